"""Reading a patient: what is accepted, what is refused, and that a refusal is one clear message."""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deqi.consult.assessment import Patient, load_patient, parse_patient
from deqi.errors import InputError
from deqi.reading import LARGEST_BYTES, read_mapping
from fields import with_field

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.yaml"))
FULL = {
    "id": "example-1", "age": 52, "sex": "female",
    "pain": {"week_average": 6, "worst": 8, "duration_weeks": 40, "leg_pain": False},
    "disability": {"instrument": "RMDQ", "score": 11},
    "scores": [{"week": -2, "outcome": "NRS", "value": 6.5}],
    "care_so_far": [{"plan": "walking 30 min 5 times a week for 2 weeks", "start_week": -3}],
    "expectation": 6, "red_flags": {"fever": False, "cancer_history": "unknown"},
    "conditions": {"pacemaker": True}, "medicines": ["warfarin", "regular_opioid"],
    "preferences": {"max_sessions": 12, "needles": "willing", "electro": "unsure", "hours_per_week": 3},
}


def changed(path: str, value: object) -> dict:
    """The full patient with one field changed; `path` uses dots, digits are list places."""
    return {"patient": with_field(FULL, path, value)}


def refusal(mapping: object) -> InputError:
    with pytest.raises(InputError) as caught:
        parse_patient(mapping, file="p.yaml")
    assert "\n" not in str(caught.value)
    return caught.value


def test_an_emergency_in_a_file_that_is_wrong_elsewhere_is_still_told():
    body = {"pain": {"week_average": 60}, "red_flags": {"saddle_numbness": True}}
    with pytest.raises(InputError, match="see a doctor at once") as told:
        parse_patient({"patient": body})
    assert told.value.field == "patient.pain.week_average"


def test_every_field_of_the_interface_is_read_and_unknown_stays_unknown():
    patient = parse_patient({"patient": FULL})
    assert patient.red_flags == {"fever": False, "cancer_history": None}
    assert patient.medicines == ("warfarin", "regular_opioid")
    bare = parse_patient({"patient": {"pain": {"week_average": 4}}})
    assert (bare.age, bare.sex, bare.medicines, bare.disability, bare.expectation) == (None,) * 5
    assert bare.preferences.needles is None


def test_past_care_becomes_the_same_plan_as_elsewhere():
    from deqi.care import plan_from
    plan = parse_patient({"patient": FULL}).care_so_far[0].plan
    assert plan == plan_from(FULL["care_so_far"][0]["plan"])


@pytest.mark.parametrize(("path", "value", "found", "accepted"), [
    ("age", True, True, "a number from 0 to 120"),
    ("age", "52", "52", "a number"),
    ("age", 121, 121, "from 0 to 120"),
    ("pain.week_average", float("nan"), None, "from 0 to 10"),
    ("pain.week_average", float("inf"), None, "from 0 to 10"),
    ("pain.week_average", -0.1, -0.1, "from 0 to 10"),
    ("pain.worst", 5, 5, "at least 6"),
    ("pain.duration_weeks", 10**400, 10**400, "number"),
    ("pain.leg_pain", "maybe", "maybe", "true | false | unknown"),
    ("disability.score", 25, 25, "from 0 to 24"),
    ("disability.instrument", "SF36", "SF36", "RMDQ | ODI | none"),
    ("scores.0.week", 1, 1, "to 0"),
    ("scores.0.value", 11, 11, "from 0 to 10"),
    ("care_so_far.0.start_week", 0.5, 0.5, "to 0"),
    ("red_flags.fever", "yes", "yes", "true | false | unknown"),
    ("preferences.max_sessions", 2.5, 2.5, "a whole number"),
    ("preferences.needles", "no", "no", "willing | unsure | refuses"),
])
def test_a_wrong_value_is_told_with_field_found_and_accepted(path, value, found, accepted):
    error = refusal(changed(path, value))
    field = "patient." + path.replace(".0", "[0]")
    assert (error.file, error.field) == ("p.yaml", field)
    assert error.found == found or found is None
    assert accepted in error.accepted


@pytest.mark.parametrize(("path", "nearest"), [
    ("pain.week_avrage", "week_average"), ("medicine", "medicines"),
    ("preferences.max_session", "max_sessions"),
    ("red_flags.sadle_numbness", "saddle_numbness"), ("conditions.pace_maker", "pacemaker"),
])
def test_an_unknown_key_is_told_with_the_nearest(path, nearest):
    error = refusal(changed(path, True))
    assert error.field == f"patient.{path}"
    assert f"nearest is `{nearest}`" in error.message


def test_a_misspelt_required_key_is_told_rather_than_its_absence():
    assert "nearest is `patient`" in str(refusal({"pateint": FULL}))
    misspelt = copy.deepcopy(FULL)
    misspelt["pian"] = misspelt.pop("pain")
    assert "nearest is `pain`" in str(refusal({"patient": misspelt}))


def test_several_problems_are_counted():
    broken = changed("age", 500)
    broken["patient"]["expectation"] = "high"
    broken["patient"]["sex"] = 3
    assert "(and 2 more)" in str(refusal(broken))


def test_a_drug_by_name_counts_as_its_class():
    assert parse_patient(changed("medicines", ["Apixaban", "aspirin"])).medicines == ("doac", "antiplatelet")
    assert "nearest is `warfarin`" in str(refusal(changed("medicines", ["warferin"])))


def test_dates_that_contradict_each_other_are_refused():
    assert refusal(changed("pain.started_at_age", 60)).field == "patient.pain.started_at_age"
    assert refusal(changed("pain.duration_weeks", 6000)).field == "patient.pain.duration_weeks"


@pytest.mark.parametrize(("given", "points"), [
    (6, 6), ("60 mm", 6), ("60mm", 6), ("6 cm", 6), (" 6.5 cm ", 6.5), ("100 mm", 10), ("0 mm", 0)])
def test_a_visual_analogue_scale_with_its_unit_becomes_the_numeric_one(given, points):
    assert parse_patient({"patient": {"pain": {"week_average": given}}}).pain.week_average == points


@pytest.mark.parametrize("given", [60, "60", "6", "60 mm 6 cm", "101 mm", "11 cm", "-1 mm", "six", "6 inches", "mm"])
def test_a_number_whose_unit_is_not_clear_is_asked_back(given):
    error = refusal(changed("pain.week_average", given))
    assert error.field == "patient.pain.week_average" and '"60 mm"' in error.accepted


@pytest.mark.parametrize(("given", "weeks"), [
    ({"duration_weeks": 40}, 40), ({"duration_months": 9}, 39.1), ({"duration_years": 8}, 417.4),
    ({"duration_weeks": 417, "duration_years": 8}, 417), ({"duration_weeks": 440, "duration_years": 8}, 440),
    ({"duration_months": "unknown"}, None)])
def test_a_duration_in_any_unit_is_kept_in_weeks(given, weeks):
    pain = parse_patient({"patient": {"pain": {"week_average": 4} | given}}).pain
    assert pain.duration_weeks == (weeks if weeks is None else pytest.approx(weeks, abs=0.1))


@pytest.mark.parametrize("given", [
    {"duration_weeks": 40, "duration_years": 8}, {"duration_weeks": 40, "duration_months": 12},
    {"duration_months": 3, "duration_years": 2}])
def test_two_durations_that_disagree_are_asked_back(given):
    error = refusal({"patient": {"pain": {"week_average": 4} | given}})
    assert "disagree" in error.message and all(f"{value}" in error.found for value in given.values())


def test_a_dated_score_is_counted_from_the_day_of_the_assessment():
    dated = {"date": "2026-11-12", "outcome": "VAS", "value": 65}
    score, = parse_patient({"patient": FULL | {"date": "2026-11-26", "scores": [dated]}}).scores
    assert (score.week, score.outcome, score.value) == (-2, "NRS", 6.5)


@pytest.mark.parametrize(("changes", "field", "says"), [
    ({"scores": [{"date": "2026-11-12", "outcome": "NRS", "value": 5}]}, "scores[0].date", "`date` in `patient`"),
    ({"date": "2026-11-26", "scores": [{"date": "2026-11-27", "outcome": "NRS", "value": 5}]}, "scores[0].date",
     "up to 2026-11-26"),
    ({"date": "2026-11-26", "scores": [{"date": "2026-11-12", "week": -8, "outcome": "NRS", "value": 5}]},
     "scores[0].week", "week: -2"),
    ({"date": "2026-11-26", "scores": [{"date": "2026-11-12", "week": "two", "outcome": "NRS", "value": 5}]},
     "scores[0].week", "not a number"),
    ({"scores": [{"outcome": "NRS", "value": 5}]}, "scores[0].week", "missing"),
    ({"scores": [{"week": -1, "outcome": "VAS", "value": 101}]}, "scores[0].value", "from 0 to 100"),
    ({"scores": [{"week": 0, "outcome": "NRS", "value": 5}]}, "scores[0].value", "another NRS for today"),
    ({"scores": [{"week": 0, "outcome": "RMDQ", "value": 5}]}, "scores[0].value", "another RMDQ for today"),
    ({"date": "2026-02-30"}, "date", "no such day"),
    ({"date": "26.11.2026"}, "date", "2026-11-26"),
    ({"date": "20261126"}, "date", "2026-11-26"),
    ({"pain": {"week_average": 5, "leg_pain": False, "leg_pain_average": 2}}, "pain.leg_pain_average",
     "leg_pain: true"),
    ({"sleep": 11}, "sleep", "from 0 to 10"),
    ({"work": "retired"}, "work", "not_working"),
    ({"goals": {"pain": 11}}, "goals.pain", "from 0 to 10"),
    ({"goals": {"flares": 1}}, "goals.flares", "fewer_flares"),
    ({"goals": {"words": "one\ntwo"}}, "goals.words", "short text"),
    ({"preferences": {"avoid": ["needless"]}}, "preferences.avoid[0]", "needles"),
    ({"preferences": {"coverage": "nhs"}}, "preferences.coverage", "none | medicare"),
    ({"preferences": {"exercise": True}}, "preferences.exercise", "willing"),
])
def test_an_assessment_that_contradicts_itself_is_asked_back(changes, field, says):
    error = refusal({"patient": FULL | changes})
    assert error.field == f"patient.{field}" and says in str(error)


def test_a_score_for_today_that_agrees_is_read():
    today = [{"week": 0, "outcome": "VAS", "value": 60}, {"week": 0, "outcome": "RMDQ", "value": 11}]
    assert len(parse_patient({"patient": FULL | {"scores": today}}).scores) == 2


def test_unknown_is_the_same_as_leaving_it_out_wherever_it_stands():
    keys = ("age", "sex", "date", "disability", "scores", "care_so_far", "expectation", "sleep", "mood", "work",
            "activity", "goals", "instruments", "medicines", "preferences", "red_flags", "conditions")
    bare = {"pain": {"week_average": 4}}
    unknown = parse_patient({"patient": bare | dict.fromkeys(keys, "unknown")})
    assert unknown == parse_patient({"patient": bare})


def test_the_patient_file_of_the_manual_is_read_as_it_stands(tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "patient-file.md").read_text(encoding="utf-8")
    path = tmp_path / "p.yaml"
    path.write_text(page.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    patient = load_patient(path)
    assert patient.scores[1].week == -4 and patient.mood is None and patient.preferences.avoid == ("soreness",)


@pytest.mark.filterwarnings("error")
def test_a_patient_becomes_json_and_is_read_the_same_again():
    for path in EXAMPLES:
        patient = load_patient(path)
        body = json.loads(patient.model_dump_json(exclude={"care_so_far"}))
        assert parse_patient({"patient": body}) == patient.model_copy(update={"care_so_far": ()})


def test_an_example_shows_every_field():
    shown = read_mapping(Path(__file__).parents[1] / "examples" / "whole_assessment.yaml")["patient"]
    assert set(shown) == set(Patient.model_fields)
    for part in ("goals", "preferences"):
        assert set(shown[part]) == set(Patient.model_fields[part].annotation.model_fields)


def test_no_instrument_means_no_disability_score():
    assert parse_patient(changed("disability", {"instrument": "none"})).disability is None
    assert refusal(changed("disability", {"instrument": "ODI"})).field == "patient.disability.score"


@pytest.mark.parametrize(("name", "content", "says"), [
    ("a.yaml", b"", "empty"),
    ("a.yaml", b" \n\t ", "empty"),
    ("a.yaml", b"\x89PNG\r\n\0\0", "binary"),
    ("a.yaml", "é".encode("latin-1"), "binary"),
    ("a.yaml", b"patient: {age: 3", "not valid YAML"),
    ("a.yaml", b"a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]", "anchor or alias"),
    ("a.yaml", b"[" * 100_000, "nested too deeply"),
    ("a.yaml", b"patient:\n  age: 3\n  age: 4\n", "same key stands twice"),
    ("a.yaml", b"patient: !!python/object/apply:os.system [ls]", "tag"),
    ("a.yaml", b"a: 1\n---\na: 2", "not valid YAML"),
    ("a.json", b"{'patient': 1}", "not valid JSON"),
    ("a.json", b'{"patient": {"age": 1, "age": 2}}', "same key stands twice"),
    ("a.json", b"[" * 200_000, "nested too deeply"),
    ("a.json", b'{"age": ' + b"9" * 5000 + b"}", "not valid JSON"),
    ("a.yaml", b"#" * (LARGEST_BYTES + 1), "too large"),
])
def test_a_file_that_is_no_patient_file_is_refused_in_one_line(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=says) as caught:
        load_patient(path)
    assert caught.value.file == str(path) and "\n" not in str(caught.value)


def test_a_path_that_is_no_file_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "absent.yaml", "/dev/zero"):
        with pytest.raises(InputError):
            load_patient(path)


def test_json_and_yaml_give_the_same_patient(tmp_path):
    yaml_path = EXAMPLES[0]
    json_path = tmp_path / "p.json"
    json_path.write_text(json.dumps(read_mapping(yaml_path)))
    assert load_patient(json_path) == load_patient(yaml_path)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_read_and_say_where_they_come_from(path):
    assert load_patient(path).id
    assert path.read_text(encoding="utf-8").startswith("# ")


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=12)
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from([*FULL, *Patient.model_fields["pain"].annotation.model_fields, "plan", "week"]) | scalars,
    inner, max_size=4), max_leaves=8)


@settings(max_examples=300, deadline=None)
@given(key=st.sampled_from(list(FULL)), value=anything)
def test_garbage_in_a_field_parses_or_is_refused_and_nothing_else(key, value):
    try:
        assert isinstance(parse_patient({"patient": FULL | {key: value}}), Patient)
    except InputError as error:
        assert "\n" not in str(error)
        str(error).encode()


@settings(max_examples=200, deadline=None)
@given(anything)
def test_garbage_as_a_whole_is_refused_and_nothing_else(mapping):
    try:
        parse_patient(mapping)
    except InputError as error:
        str(error).encode()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["p.yaml", "p.json"]))
def test_any_bytes_are_read_or_refused_and_nothing_else(tmp_path_factory, content, name):
    path = tmp_path_factory.mktemp("bytes") / name
    path.write_bytes(content)
    try:
        load_patient(path)
    except InputError as error:
        assert "\n" not in str(error)
