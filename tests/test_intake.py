"""Questions and answers: everything has a question and a source, nothing is guessed, emergencies stop it at once."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from assessments import EMERGENCIES, HOSTILE, random_assessment
from command import EXAMPLES, Ran, deqi
from deqi.consult.assessment import Patient, load_patient, parse_patient
from deqi.consult.intake import check, patient_from_answers, unanswered
from deqi.consult.interview import begin, closing, conduct
from deqi.consult.questions import Question, not_asked, question, questions, sections
from deqi.consult.screening import screen
from deqi.errors import InputError
from deqi.evidence import exists, fact
from deqi.reading import read_mapping

GROUPS = ("red_flags", "conditions", "instruments")           # one question each entry
TABLES = ("scores", "care_so_far")                            # one question for the whole list


def fields(model: type[BaseModel], path: str = "") -> list[str]:
    """The dotted paths of what a patient file may hold."""
    paths = []
    for name, info in model.model_fields.items():
        inner = next((part for part in (info.annotation, *get_args(info.annotation))
                      if isinstance(part, type) and issubclass(part, BaseModel)), None)
        whole = inner is None or name in TABLES
        paths += [path + name] if whole else fields(inner, f"{path}{name}.")
    return paths


# The questions


def test_every_field_of_a_patient_has_a_question_or_a_reason_why_not() -> None:
    asked = {each.field.split(".")[0] if each.field.startswith(GROUPS) else each.field for each in questions()}
    assert asked | not_asked().keys() == set(fields(Patient))
    assert not asked & not_asked().keys()
    assert all(not_asked().values())


@pytest.mark.parametrize("each", questions(), ids=lambda each: each.id)
def test_a_question_says_why_it_is_asked_and_by_what_source(each: Question) -> None:
    assert each.source == "assumed" or exists(each.source), each.source
    assert each.why and each.short and each.text.endswith((".", "?")) and each.accepts
    assert each.section in sections()
    assert each.use in ("forecast", "safety", "options", "record")
    assert each.when.keys() <= {other.field for other in questions()}


def test_ids_and_fields_are_told_once_and_emergencies_come_first() -> None:
    for names in ([each.id for each in questions()], [each.field for each in questions()]):
        assert len(set(names)) == len(names)
    first = [each.id for each in questions() if each.section == "red_flags"]
    assert [each.id for each in questions()][:len(first)] == first
    assert set(EMERGENCIES) <= set(first)


@pytest.mark.parametrize("each", [each for each in questions() if each.low is not None], ids=lambda each: each.id)
def test_the_range_told_is_the_range_read(each: Question) -> None:
    around = {"worst": {"week_average": 0}, "disability_score": {"disability_instrument": "ODI"},
              "leg_pain_average": {"leg_pain": True}}.get(each.id, {})
    for fits in (each.low, each.high):
        patient_from_answers({**around, each.id: fits})
    for beyond in (each.low - 1, each.high + 1):
        with pytest.raises(InputError):
            patient_from_answers({**around, each.id: beyond})


@pytest.mark.parametrize("each", [each for each in questions() if each.choices and each.id != "medicines"],
                         ids=lambda each: each.id)
def test_the_choices_told_are_those_read(each: Question) -> None:
    around = {"disability_instrument": {"disability_score": 9}}
    for place, (name, shown) in enumerate(each.choices.items(), start=1):
        beside = around.get(each.id, {}) if name != "none" else {}
        typed = [patient_from_answers({each.id: text, **beside}) for text in (str(place), name.upper(), shown, name)]
        assert all(mapping == typed[0] for mapping in typed) and typed[0]["patient"]
    with pytest.raises(InputError) as caught:
        patient_from_answers({each.id: 3.5 if each.type == "choice" else ["something else"]})
    told = set(caught.value.accepted.split(" | "))
    assert told - {"unknown"} == set(each.choices)


# Answers


def test_answers_of_a_form_and_typed_text_give_the_same_patient() -> None:
    form = {"age": 52, "week_average": 6, "leg_pain": False, "fever": False, "sex": "female", "medicines": ["nsaid"],
            "peg": {"pain": 6, "enjoyment": 5, "activity": 6}, "wish_needles": "willing", "max_sessions": 12,
            "scores": [{"week": -2, "outcome": "NRS", "value": 6.5}], "duration": "9 months",
            "care_so_far": [{"plan": "usual care", "start_week": -4}], "pacemaker": "unknown", "mood": None}
    typed = {"age": "52", "week_average": "6", "leg_pain": "n", "fever": "No", "sex": "1", "medicines": "Ibuprofen",
             "peg": "6 5 6", "wish_needles": "yes", "max_sessions": "12", "scores": "-2 nrs 6.5",
             "duration": "9 Month", "care_so_far": "usual care, -4", "pacemaker": "u", "mood": " "}
    one, other = (parse_patient(patient_from_answers(answers)) for answers in (form, typed))
    assert one == other
    assert (one.pain.duration_weeks, one.conditions, one.mood) == (pytest.approx(39.1, abs=0.1), {}, None)


def test_unknown_answers_leave_no_trace() -> None:
    assert patient_from_answers({each.id: "unknown" for each in questions()}) == {"patient": {}}


@pytest.mark.parametrize(("answers", "field", "says"), [
    ({"wrost": 5}, "wrost", "nearest is `worst`"),
    ({"age": "fifty"}, "age", "a number, from 0 to 120 years"),
    ({"age": 150}, "patient.age", "from 0 to 120"),
    ({"duration": "9"}, "duration", "days, weeks, months or years"),
    ({"duration": "2 years 3 months"}, "duration", "days, weeks, months or years"),
    ({"week_average": "60"}, "patient.pain.week_average", '"60 mm"'),
    ({"week_average": "60 mm and 5"}, "patient.pain.week_average", '"60 mm"'),
    ({"week_average": 6, "worst": 5}, "patient.pain.worst", "at least 6"),
    ({"leg_pain": "n", "leg_pain_average": 4}, "patient.pain.leg_pain_average", "leg_pain: true"),
    ({"disability_instrument": "RMDQ", "disability_score": 30}, "patient.disability.score", "from 0 to 24"),
    ({"disability_instrument": "none", "disability_score": 3}, "patient.disability.score", "without an instrument"),
    ({"date": "2026-11-26", "scores": "2026-11-27 NRS 5"}, "patient.scores[0].date", "up to 2026-11-26"),
    ({"scores": "2026-11-27 NRS 5"}, "patient.scores[0].date", "without the date of the assessment"),
    ({"scores": "yesterday 5"}, "scores", "a semicolon between two"),
    ({"age": 40, "started_at_age": 50}, "patient.pain.started_at_age", "at most the age, 40"),
    ({"care_so_far": "walking 30 min daily for 4 weeks"}, "care_so_far", "the week it began"),
    ({"care_so_far": "wolking, -3"}, "patient.care_so_far[0].plan", "wolking"),
    ({"fever": "a little"}, "fever", "y or n"),
    ({"medicines": "warferin"}, "patient.medicines[0]", "nearest is `warfarin`"),
    ({"start_back": "3 4"}, "patient.instruments.start_back.psychosocial", "from 0 to 3"),
    ({"peg": "6 5 6 7"}, "peg", "not understood"),
])
def test_what_cannot_be_is_asked_back_and_not_guessed(answers: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_patient(patient_from_answers({"week_average": 5} | answers, file="form"))
    assert (caught.value.file, caught.value.field) == ("form", field)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_half_a_disability_answer_is_none() -> None:
    mapping = patient_from_answers({"week_average": 5, "disability_instrument": "RMDQ"})
    assert parse_patient(mapping).disability is None


def test_screening_does_not_depend_on_an_average_that_is_not_known_yet() -> None:
    for path in EXAMPLES.glob("*.yaml"):
        patient = read_mapping(path)["patient"]
        low, high = (screen(parse_patient({"patient": patient | {"pain": patient["pain"] | pain}}))
                     for pain in ({"week_average": 0}, {"week_average": 10, "worst": 10}))
        assert low == high


# The interview


def talk(replies: dict[str, str | list[str]], start: object = None) -> tuple[Any, list[str], list[str]]:
    """An interview in which each question gets its replies in turn, then `u`: what came of it, asked and told."""
    left = {id: [reply] if isinstance(reply, str) else list(reply) for id, reply in replies.items()}
    by_text = {each.text: each.id for each in questions()}
    asked: list[str] = []
    told: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(by_text[prompt.split("\n")[0]])
        assert len(asked) < 500
        return left[asked[-1]].pop(0) if left.get(asked[-1]) else "u"

    interview = begin(start)
    conduct(interview, ask, told.append)
    return interview, asked, told


@pytest.mark.parametrize("id", EMERGENCIES)
def test_an_emergency_ends_the_questions_at_once(id: str) -> None:
    interview, asked, _ = talk({each: "n" for each in EMERGENCIES} | {id: "y"})
    assert interview.is_emergency and asked[-1] == id
    assert interview.mapping["patient"]["red_flags"][id] is True
    assert "emergency department" in closing(interview)[0]


def test_two_answers_that_only_together_mean_an_emergency_end_it_too() -> None:
    interview, asked, _ = talk({"leg_deficit": "y", "cancer_history": "y"})
    assert interview.is_emergency and asked[-1] == "cancer_history"


def test_only_what_applies_is_asked() -> None:
    _, asked, _ = talk({"sex": "male", "leg_pain": "n", "wish_needles": "no"})
    assert not {"pregnancy", "leg_pain_average", "disability_score", "wish_electro"} & set(asked)
    _, asked, _ = talk({"sex": "female", "leg_pain": "y", "wish_needles": "yes", "disability_instrument": "RMDQ"})
    assert {"pregnancy", "leg_pain_average", "disability_score", "wish_electro"} <= set(asked)


def test_a_question_mark_tells_why_with_the_source() -> None:
    _, asked, told = talk({"age": ["?", "52"]})
    assert asked.count("age") == 2
    assert any(question("age").why in line and fact(question("age").source).citation() in line for line in told)


def test_b_goes_back_and_the_new_answer_counts() -> None:
    interview, asked, told = talk({"saddle_numbness": ["b", "n"], "age": ["52", "25"], "sex": ["b", "2"]})
    assert interview.mapping["patient"]["age"] == 25
    assert asked[:2] == ["saddle_numbness"] * 2 and "This is the first question." in told
    place = asked.index("sex")
    assert asked[place - 1:place + 3] == ["age", "sex", "age", "sex"]


def test_a_contradiction_is_asked_back_with_both_questions_and_either_can_be_changed() -> None:
    replies = {"week_average": ["6", "4"], "worst": ["5", "b", "5"]}
    interview, asked, told = talk(replies)
    assert interview.mapping["patient"]["pain"] == {"week_average": 4, "worst": 5}
    place = asked.index("worst")
    assert asked[place:place + 4] == ["worst", "worst", "week_average", "worst"]
    assert any("the average pain (6)" in line and "worst pain is below" in line for line in told)


def test_a_wrong_answer_is_told_and_asked_again() -> None:
    interview, asked, told = talk({"age": ["old", "130", "52"]})
    assert asked.count("age") == 3 and interview.mapping["patient"]["age"] == 52
    assert sum("from 0 to 120" in line for line in told) == 2


def test_what_is_unknown_is_named_and_the_forecast_is_said_to_be_wider() -> None:
    interview, _, _ = talk({})
    lines = closing(interview)
    wider = next(line for line in lines if "wider" in line)
    assert "how long the pain has lasted" in wider and "low mood" not in wider
    assert any("cannot be made without it" in line for line in lines)
    assert f"{sum(each.use == 'safety' for each in unanswered(interview.mapping))}" in " ".join(lines)


def test_an_interview_taken_up_again_asks_only_what_is_open() -> None:
    path = EXAMPLES / "gerac_chronic.yaml"
    start = read_mapping(path)
    _, asked, _ = talk({}, start)
    assert asked and not {"saddle_numbness", "age", "week_average", "duration", "wish_needles"} & set(asked)
    assert set(asked) <= {each.id for each in unanswered(start)}


# The command


def assess(typed: str, *arguments: object) -> Ran:
    with mock.patch("sys.stdin", io.StringIO(typed)):
        return deqi("assess", *arguments)


ANSWERS = {"age": "52", "sex": "female", "medicines": "none", "week_average": "60 mm", "worst": "8",
           "duration": "8 years", "leg_pain": "n", "disability_instrument": "RMDQ", "disability_score": "11",
           "date": "2026-11-26", "scores": "2026-11-12 VAS 65", "goal_words": "to lift my \"little\" one: 12 kg",
           "phq2": "1 1", "avoid": "cost"}


def typed(answers: dict[str, str]) -> str:
    """One line for each question that will be asked of these answers, the safety ones all denied."""
    replies = {each.id: "n" for each in questions() if each.field.startswith(("red_flags", "conditions"))} | answers
    return "".join(f"{replies.get(id, 'u')}\n" for id in talk(replies)[1])


def test_a_whole_assessment_is_written_and_accepted(tmp_path: Path) -> None:
    out = tmp_path / "p.yaml"
    ran = assess(typed(ANSWERS), "--out", out)
    assert ran.status == 0 and ran.err == ""
    patient = load_patient(out)
    assert (patient.age, patient.pain.week_average, patient.medicines) == (52, 6, ())
    assert patient.pain.duration_weeks == pytest.approx(417, abs=1)
    assert (patient.scores[0].week, patient.scores[0].outcome, patient.scores[0].value) == (-2, "NRS", 6.5)
    assert patient.goals.words == ANSWERS["goal_words"]
    assert screen(patient).status == "clear"
    assert "wider" in ran.out


def test_an_emergency_ends_with_status_three_and_the_file_is_still_written(tmp_path: Path) -> None:
    out = tmp_path / "p.yaml"
    ran = assess("n\ny\nn\n", "--out", out, "--json", tmp_path / "p.json")
    assert ran.status == 3 and "STOP" in ran.out
    assert read_mapping(out) == {"patient": {"red_flags": {"saddle_numbness": False, "bladder_change": True}}}
    assert json.loads((tmp_path / "p.json").read_text())["screening"]["status"] == "emergency"
    again = assess("", "--from", out, "--json", "-")
    assert again.status == 3 and again.json["screening"]["status"] == "emergency"


def test_the_end_of_input_leaves_the_rest_unknown_and_it_can_be_taken_up(tmp_path: Path) -> None:
    lines = typed(ANSWERS).splitlines(keepends=True)
    out = tmp_path / "p.yaml"
    ran = assess("".join(lines[:60]), "--out", out)
    assert ran.status == 0 and "input ended" in ran.out and "cannot be made without it" in ran.out
    first = check(read_mapping(out))
    assert set(first.red_flags.values()) == {False} and first.disability is None
    ran = assess("u\n", "--from", out)
    assert ran.status == 0
    (tmp_path / "again.yaml").write_text(ran.out)
    assert check(read_mapping(tmp_path / "again.yaml")) == first


def test_json_alone_goes_to_standard_output() -> None:
    ran = assess(typed(ANSWERS), "--json", "-")
    assert ran.json["patient"]["age"] == 52 and "sleep" in ran.json["unknown"]


@pytest.mark.parametrize("text", ["patient: 3", "patient: {pain: {week_average: 11}}", "patient: {pian: {}}", "[]"])
def test_a_file_to_go_on_with_that_is_none_is_one_message(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    ran = assess("", "--from", tmp_path / "bad.yaml", "--out", tmp_path / "p.yaml")
    assert ran.status == 2 and ran.err.count("\n") == 1 and str(tmp_path / "bad.yaml") in ran.err
    assert not (tmp_path / "p.yaml").exists()


def test_an_interruption_keeps_what_was_answered(tmp_path: Path) -> None:
    class Interrupted(io.StringIO):
        def readline(self, *_: Any) -> str:
            return super().readline() or self._interrupt()

        def _interrupt(self) -> str:
            raise KeyboardInterrupt

    with mock.patch("sys.stdin", Interrupted("n\nn\n")):
        ran = deqi("assess", "--out", tmp_path / "p.yaml")
    assert ran.status == 1 and "--from" in ran.out
    assert len(read_mapping(tmp_path / "p.yaml")["patient"]["red_flags"]) == 2


# Chance


@settings(max_examples=30)
@given(st.lists(st.text(max_size=12) | st.sampled_from(["b", "?", "n", "5", "-2 NRS 4", "9 months", "1,2", "\x00"]),
                max_size=200))
def test_any_lines_typed_give_a_file_that_can_be_taken_up(lines: list[str]) -> None:
    replies = iter(lines)
    interview = begin()
    conduct(interview, lambda _: next(replies, None), lambda _: None)
    assert begin(interview.mapping).screening == interview.screening
    "".join(closing(interview)).encode()


def no_unhandled_error(n: int, seed: int) -> None:
    """Read and screen random assessments: only refusals, and no emergency passed over."""
    rng = np.random.default_rng(seed)
    for number in range(n):
        hostile = number % 3 == 0
        mapping = random_assessment(rng, hostile)
        grave = rng.random() < 0.3 and isinstance(mapping["patient"].get("red_flags", {}), dict)
        if grave:
            flags = mapping["patient"].get("red_flags", {})
            mapping["patient"]["red_flags"] = {**flags, str(rng.choice(EMERGENCIES)): True}
        try:
            screening = screen(parse_patient(mapping))
        except InputError as error:
            assert hostile, error
            assert "\n" not in str(error)
            str(error).encode()
            continue
        assert not grave or screening.status == "emergency"
        json.dumps(screening.as_json(), allow_nan=False)


def test_random_assessments_are_read_and_screened_or_refused() -> None:
    no_unhandled_error(3_000, seed=1)


@pytest.mark.slow  # the promise is about 100,000 of them; rare pairs of faults need many draws
def test_a_hundred_thousand_random_assessments_are_read_and_screened_or_refused() -> None:
    no_unhandled_error(100_000, seed=2)


@pytest.mark.parametrize("make", [lambda rng: HOSTILE[int(rng.integers(len(HOSTILE)))],
                                  lambda rng: "".join(rng.choice(list("0123456789.,;-: \nuybNRSmc"), 9))],
                         ids=["values", "texts"])
def test_hostile_answers_are_understood_or_refused(make: Callable[[np.random.Generator], Any]) -> None:
    rng = np.random.default_rng(3)
    ids = [each.id for each in questions()]
    for _ in range(700):
        answers = {str(id): make(rng) for id in rng.choice(ids, 3)}
        try:
            patient_from_answers(answers)
        except InputError as error:
            assert "\n" not in str(error)
            str(error).encode()
