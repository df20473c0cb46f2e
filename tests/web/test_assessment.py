"""Assessments: what the model is given, what blocks the way, whose answer stands, and that nothing typed is lost."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from bs4 import BeautifulSoup
from fastapi.testclient import TestClient
from httpx import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from deqi.care import plan_from
from deqi.consult.assessment import parse_patient
from deqi.consult.questions import question, questions
from deqi.web.catalogue import texts
from deqi.web.store import assessments, safety
from deqi.web.store.audit import Actor
from deqi.web.store.database import Database
from deqi.web.store.tables import Alert, Assessment, Person, Plan, Score

from .conftest import World, enter
from .planned import on_sqlite

DAY = datetime.date(2026, 3, 2)


def made(**patient: Any) -> Assessment:
    """An assessment that is in no store."""
    return Assessment(patient_id="p" * 32, created_by="a" * 32, day=DAY, answers={"patient": patient}, choices=None)


def days(count: int) -> datetime.timedelta:
    return datetime.timedelta(days=count)


def score(world: World, day: datetime.date, value: float, outcome: str = "NRS") -> Score:
    return Score(patient_id=world.patients["amy"], created_by=world.people["ann"], day=day, outcome=outcome,
                 value=value, origin="practice")


def plan(world: World, began: datetime.date, words: str, **more: Any) -> Plan:
    return Plan(patient_id=world.patients["amy"], created_by=world.people["ann"], baseline=6, kinds="needling",
                assessment_id=world.assessments["ben"], began=began, sentences=[words], forecast=[], review=[],
                provenance={}, **more)


def test_the_patient_file_holds_dated_scores_and_care_as_far_as_it_went(database: Database, world: World) -> None:
    weekly = "acupuncture 30 min once a week for 6 weeks"
    with database.write(Actor()) as store:
        store.add_all([score(world, DAY - days(21), 7), score(world, DAY, 5), score(world, DAY + days(7), 4),
                       score(world, DAY - days(14), 12, "RMDQ")])
        store.add_all([plan(world, DAY - days(70), weekly, state="ended", ended=DAY - days(56)),
                       plan(world, DAY - days(14), weekly), plan(world, DAY, weekly)])
    with database.read() as store:
        asked = store.get_one(Assessment, world.assessments["amy"])
        file = assessments.patient_mapping(store, world.patients["amy"], asked)
    read = parse_patient(file)
    assert [(s.week, s.outcome, s.value) for s in read.scores] == [(-3, "NRS", 7), (-2, "RMDQ", 12)]
    assert read.pain.week_average == 6
    assert [(c.start_week, c.plan.visits) for c in read.care_so_far] == [(-10, 2), (-2, plan_from(weekly).visits)]


@pytest.mark.parametrize("patient, reason", [
    ({"red_flags": {"saddle_numbness": True}}, "emergency"),
    ({"red_flags": {"foot_drop": True}}, "refer"),
    ({"pain": {"week_average": 6}}, "not_asked"),
])
def test_what_blocks_the_options(patient: dict[str, Any], reason: str) -> None:
    assert safety.open_to_options(made(**patient)) == reason


def test_a_statement_opens_the_options_until_something_new_is_found() -> None:
    flags = {each.id: False for each in questions() if each.section == "red_flags"}
    asked = made(red_flags=flags | {"foot_drop": True}, pain={"week_average": 6})
    said = safety.Statement("Dr Grey", DAY, "no infection")
    assert safety.open_to_options(asked) == "refer"
    safety.state_cleared(asked, said, "a" * 32, ["foot_drop"])
    assert safety.open_to_options(asked) is None
    assessments.take(Session(), asked, question("prolonged_steroids"), True, before=False)
    assert safety.open_to_options(asked) == "refer"


def test_different_questions_merge_and_the_same_one_conflicts() -> None:
    asked = made(pain={"week_average": 6})
    assessments.take(Session(), asked, question("worst"), 8, before=None)
    assessments.take(Session(), asked, question("age"), 50, before=None)
    assert asked.answers["patient"] == {"pain": {"week_average": 6, "worst": 8}, "age": 50}
    assessments.take(Session(), asked, question("age"), 50, before=None)  # the same answer is no conflict
    with pytest.raises(assessments.AnswerChanged) as told:
        assessments.take(Session(), asked, question("age"), 51, before=None)
    assert told.value.theirs == 50


def test_a_review_asks_again_what_can_change_and_keeps_the_days(database: Database, world: World) -> None:
    with database.write(Actor()) as store:
        first = store.get_one(Assessment, world.assessments["amy"])
        first.answers = {"patient": {"date": DAY.isoformat(), "pain": {"week_average": 6, "duration_weeks": 40},
                                     "scores": [{"week": -2, "outcome": "NRS", "value": 7}], "medicines": ["nsaid"],
                                     "red_flags": {"fever": False}, "conditions": {"diabetes": False}}}
        store.flush()
        assessments.finish(store, first, world.people["ann"])
        person = store.get_one(Person, world.patients["amy"])
        later = assessments.begin(store, person, DAY + days(10), world.people["ann"])
        store.flush()
        answers = later.answers["patient"]
        assert not {"medicines", "red_flags"} & answers.keys() and answers["conditions"] == {"diabetes": False}
        assert answers["pain"] == {"duration_weeks": pytest.approx(40 + 10 / 7, abs=0.01)}
        assessments.take(store, later, question("week_average"), 4, before=None)
        read = parse_patient(assessments.patient_mapping(store, person.id, later))
    assert [(round(s.week * 7), s.value) for s in read.scores] == [(-24, 7), (-10, 6)]


class Room:
    """Ann's browser in one assessment of Amy's."""

    def __init__(self, client: TestClient, database: Database, world: World, who: str = "ann"):
        self.client, self.csrf = client, enter(client, database, world.people[who])
        self.home = f"/patients/{world.patients['amy']}"
        self.at = f"{self.home}/assessments/{world.assessments['amy']}"

    def get(self, place: str) -> Response:
        return self.client.get(f"{self.at}/{place}".rstrip("/"))

    def post(self, place: str, auto: bool = False, **form: Any) -> Response:
        headers = {"hx-request": "true"} if auto else {}
        return self.client.post(f"{self.at}/{place}", data={"csrf": self.csrf, **form}, headers=headers)

    def say(self, id: str, given: Any, before: Any = None, auto: bool = True, **form: Any) -> Response:
        return self.post(f"questions/{id}", auto, given=given, before=json.dumps(before), **form)


def hidden(room: Room, name: str) -> str:
    """What the forms of the screening carry under a name."""
    found = BeautifulSoup(room.get("screening").text, "html.parser").select_one(f"input[name={name}]")
    return str(found["value"]) if found else ""


@pytest.fixture
def room(client: TestClient, database: Database, world: World) -> Room:
    """Signed in."""
    return Room(client, database, world)


def stored(database: Database, world: World) -> dict[str, Any]:
    with database.read() as store:
        answers: dict[str, Any] = store.get_one(Assessment, world.assessments["amy"]).answers["patient"]
        return answers


def test_every_question_shows_what_it_was_told(room: Room, database: Database, world: World) -> None:
    given: dict[str, dict[str, Any]] = {
        "saddle_numbness": {"given": "no"}, "date": {"given": "2026-03-01"}, "age": {"given": "50"},
        "sex": {"given": "female"}, "medicines": {"given": ["warfarin", "nsaid"]}, "worst": {"given": "8,5"},
        "duration": {"given": "9", "unit": "months"}, "leg_pain": {"given": "yes"},
        "scores": {"given": "2026-02-12 NRS 7\n-4 RMDQ 14"}, "goal_words": {"given": "walk <far> & \"wide\""},
        "care_so_far": {"given": "walking 30 min daily for 4 weeks, -6"}, "avoid": {"given": ["none"]},
        "peg": {"part.pain": "6", "part.enjoyment": "5", "part.activity": "4"}, "phq2": {"part.total": "3"}}
    for id, form in given.items():
        assert room.post(f"questions/{id}", True, before="null", **form).status_code == 200, id
    patient = stored(database, world)
    assert patient["pain"] == {"week_average": 6, "worst": 8.5, "duration_months": 9, "leg_pain": True}
    assert patient["medicines"] == ["warfarin", "nsaid"] and patient["preferences"]["avoid"] == []
    assert patient["instruments"] == {"peg": {"pain": 6, "enjoyment": 5, "activity": 4}, "phq2": {"total": 3}}
    open_ones = {each.type: each for each in questions() if each.id not in given}
    for each in (*map(question, given), *open_ones.values()):  # sent as it stands, a form changes nothing
        page = room.get(f"questions/{each.id}")
        assert page.status_code == 200, each.id
        assert room.post(f"questions/{each.id}", True, **fields(page.text)).status_code == 200, each.id
    assert stored(database, world) == patient
    assert room.get("").status_code == 200 == room.get("screening").status_code


def fields(page: str) -> dict[str, Any]:
    """What the form of a page would send, with the browser's rules for what is checked."""
    form = BeautifulSoup(page, "html.parser").select_one("form.one")
    assert form is not None
    found: dict[str, Any] = {}
    for each in form.select("input[name], textarea[name], select[name]"):
        name, kind = str(each["name"]), each.get("type")
        if kind in ("radio", "checkbox") and not each.has_attr("checked"):
            continue
        chosen = each.select_one("option[selected]") or each
        value = str(chosen.get("value", "")) if each.name != "textarea" else each.text.removeprefix("\n")
        found.setdefault(name, []).append(value)
    return found


def test_what_is_not_understood_or_contradicts_stays_in_its_field(room: Room, database: Database, world: World) -> None:
    answer = room.say("age", "fifty", auto=False)
    assert answer.status_code == 422 and 'value="fifty"' in answer.text and "Not understood" in answer.text
    answer = room.say("worst", "3", auto=False)
    assert answer.status_code == 422 and "/questions/week_average" in answer.text
    assert "the worst pain is below the average" in answer.text.lower()
    assert room.say("worst", "3").status_code == 422
    assert "worst" not in stored(database, world)["pain"]


def test_two_people_merge_by_question_and_the_second_chooses_where_they_differ(
        client: TestClient, database: Database, world: World) -> None:
    ann = Room(client, database, world)
    assert ann.say("age", "50").status_code == 200
    assert ann.say("worst", "8").status_code == 200  # from a page that is older than the age
    clash = ann.say("age", "51")
    assert clash.status_code == 409 and "Ann" in clash.text
    chosen = {str(each["value"]) for each in BeautifulSoup(clash.text, "html.parser").select("[name=chosen]")}
    assert chosen == {"50", "51"}
    assert ann.post("questions/age", chosen="51", before="50", go="all").status_code == 303
    assert stored(database, world)["age"] == 51


def test_an_emergency_is_told_at_once_alone_and_can_be_corrected(room: Room, database: Database, world: World) -> None:
    assert room.say("bowel_change", "yes").headers["hx-redirect"].endswith("/screening")
    page = room.get("screening").text
    assert "STOP" in page and "/questions/bowel_change" in page and "/options" not in page
    assert room.get("").headers["location"].endswith("/screening")
    assert room.get("questions/age").headers["location"].endswith("/screening")
    with database.read() as store:
        assert safety.open_to_options(store.get_one(Assessment, world.assessments["amy"])) == "emergency"
    assert room.get("questions/bowel_change").status_code == 200
    assert room.say("bowel_change", "no", True).status_code == 200
    assert "STOP" not in room.get("screening").text


def test_a_doctor_first_needs_a_name_and_a_day(room: Room) -> None:
    for each in questions():
        if each.section == "red_flags":
            room.say(each.id, "yes" if each.id == "foot_drop" else "no")
    today = datetime.date.today()
    assert room.post("cleared", by="", day=today.isoformat()).status_code == 422
    assert room.post("cleared", by="Dr Grey", day=(today + days(1)).isoformat()).status_code == 422
    assert 'name="by"' in room.get("screening").text
    assert room.post("cleared", by="Dr Grey", day=(DAY - days(1)).isoformat()).status_code == 422
    assert room.post("cleared", by="Dr Grey", day=today.isoformat(), words="seen",
                     findings=hidden(room, "findings")).status_code == 303
    page = room.get("screening").text
    assert 'name="by"' not in page and "Dr Grey" in page


def test_what_the_patient_cannot_say_opens_only_once_it_is_stated(room: Room, database: Database, world: World) -> None:
    def blocked() -> str | None:
        with database.read() as store:
            return safety.open_to_options(store.get_one(Assessment, world.assessments["amy"]))

    assert blocked() == "not_asked"
    assert room.post("asked", questions=hidden(room, "questions")).status_code == 303
    assert blocked() is None


def test_a_corrected_answer_takes_its_stored_score_along(room: Room, database: Database, world: World) -> None:
    assert room.post("finish").status_code == 303
    assert room.say("week_average", "5", before=6).status_code == 200
    with database.read() as store:
        assert [row.value for row in store.scalars(select(Score))] == [5]


def test_a_question_that_becomes_due_comes_with_the_answer(room: Room) -> None:
    assert 'id="ask-leg_pain_average"' in room.say("leg_pain", "yes", go="all").text
    assert "given" not in room.say("leg_pain", "no", before=True, go="all").text


def test_open_questions_of_health_are_answered_at_once_but_no_warning_sign(room: Room, database: Database,
                                                                            world: World) -> None:
    room.say("diabetes", "yes")
    assert room.post("rest", section="red_flags").status_code == 422
    assert room.post("rest", section="conditions").status_code == 303
    patient = stored(database, world)
    assert patient["conditions"]["diabetes"] is True and patient["conditions"]["pacemaker"] is False
    assert "red_flags" not in patient


def test_a_new_assessment_of_a_known_patient_is_a_review_and_is_not_begun_twice(room: Room, database: Database,
                                                                                 world: World) -> None:
    room.say("diabetes", "no")
    room.post("finish")
    first = room.client.post(f"{room.home}/assessments", data={"csrf": room.csrf, "mode": "all"}).headers["location"]
    assert room.client.post(f"{room.home}/assessments", data={"csrf": room.csrf, "mode": "all"}
                            ).headers["location"] == first
    assert texts()["assessment"]["carried"] in room.client.get(f"{first}/questions/diabetes").text
    one = room.client.post(f"{room.home}/assessments", data={"csrf": room.csrf, "mode": "one"}).headers["location"]
    assert one.endswith("/questions/saddle_numbness")


def test_no_answer_of_another_patient_s_assessment(room: Room, world: World) -> None:
    for place in ("", "/screening", "/questions/age"):
        assert room.client.get(f"{room.home}/assessments/{world.assessments['ben']}{place}").status_code == 404
    assert room.post("questions/nonsense", before="null").status_code == 404
    for number in ("NaN", "1e999", "-Infinity"):
        assert room.post("questions/goal_words", chosen=number, before="null").status_code == 422
        assert room.post("questions/phq2", False, before="null", **{"part.total": number}).status_code == 422
    for nonsense in ("", "{", '"' + "x" * 9000, "[" * 5000):
        assert room.post("questions/age", given="50", before=nonsense).status_code in (409, 422)


@on_sqlite
def test_what_stands_today_is_the_newest_screening_and_the_open_alerts(database: Database, world: World) -> None:
    amy, ann = world.patients["amy"], world.people["ann"]

    def stands() -> str | None:
        with database.read() as store:
            return safety.standing(store, amy).shut

    assert stands() is None
    with database.write(Actor()) as store:
        newest = Assessment(patient_id=amy, created_by=ann, day=datetime.date.today(), choices=None,
                            answers={"patient": {"red_flags": {"foot_drop": True}}})
        store.add(newest)
    assert stands() == "refer"
    with database.write(Actor()) as store:
        alert = Alert(patient_id=amy, created_by="link:x", day=DAY, signs={"signs": ["saddle_numbness"]})
        store.add(alert)
    assert stands() == "alert"
    with database.write(Actor()) as store:
        store.get_one(Assessment, newest.id).answers = {"patient": {"red_flags": {"saddle_numbness": True}}}
    assert stands() == "emergency"
    with database.read() as store:
        found = safety.standing(store, amy)
    assert found.assessment_id == newest.id and found.screening is not None
    with database.write(Actor()) as store:  # a review that was begun and left blank hides nothing
        store.add(Assessment(patient_id=amy, created_by=ann, day=datetime.date.today(), choices=None, state="open",
                             answers={"patient": {}}))
    with database.read() as store:
        found = safety.standing(store, amy)
    assert (found.shut, found.assessment_id) == ("emergency", newest.id)
    with database.write(Actor()) as store:  # one that was finished since, without the sign, does settle it
        store.add(Assessment(patient_id=amy, created_by=ann, day=datetime.date.today() + datetime.timedelta(days=1),
                             choices=None, state="done", answers={"patient": {}}))
    assert stands() == "alert"


@on_sqlite
def test_a_statement_covers_only_what_was_on_the_page(room: Room, database: Database, world: World) -> None:
    for each in questions():
        if each.section == "red_flags":
            room.say(each.id, "yes" if each.id == "foot_drop" else "no")
    shown = hidden(room, "findings")
    room.say("upper_motor_signs", "yes", before=False)
    room.post("cleared", by="Dr Grey", day=datetime.date.today().isoformat(), findings=shown)
    with database.read() as store:
        assert safety.open_to_options(store.get_one(Assessment, world.assessments["amy"])) == "refer"
    more = hidden(room, "findings")
    assert "upper_motor_signs" in more and "foot_drop" not in more
    room.post("cleared", by="Dr Grey", day=datetime.date.today().isoformat(), findings=more)
    with database.read() as store:
        assert safety.open_to_options(store.get_one(Assessment, world.assessments["amy"])) is None


@on_sqlite
def test_the_day_of_an_assessment_takes_its_own_scores_along_and_never_lies_ahead(room: Room, database: Database,
                                                                                  world: World) -> None:
    room.say("date", DAY.isoformat())
    room.post("finish")
    ahead = datetime.date.today() + days(1)
    assert room.say("date", ahead.isoformat(), before=DAY.isoformat()).status_code == 422
    with database.write(Actor()) as store:
        store.add(score(world, DAY + days(9), 2))
    assert room.say("date", (DAY + days(9)).isoformat(), before=DAY.isoformat()).status_code == 422
    assert room.say("date", (DAY + days(3)).isoformat(), before=DAY.isoformat()).status_code == 200
    with database.read() as store:
        assert [(row.day, row.value) for row in store.scalars(select(Score).order_by(Score.day))] == [
            (DAY + days(3), 6), (DAY + days(9), 2)]
        assert store.get_one(Assessment, world.assessments["amy"]).day == DAY + days(3)


@on_sqlite
@pytest.mark.parametrize("chosen, left", [("own", (6, "practice")), ("stored", (2, "patient"))])
def test_two_scores_of_a_day_are_shown_and_one_is_chosen(room: Room, database: Database, world: World, chosen: str,
                                                         left: tuple[float, str]) -> None:
    with database.write(Actor()) as store:
        told = score(world, DAY, 2)
        told.origin = "patient"
        store.add(told)
    unaware = room.post("finish")
    assert unaware.status_code == 409 and "6 in this assessment, 2 in the record (from the patient)" in unaware.text
    assert room.post("finish", clash=hidden(room, "clash"), score=chosen).status_code == 303
    with database.read() as store:
        assert [(row.value, row.origin) for row in store.scalars(select(Score))] == [left]


@on_sqlite
def test_care_that_was_answered_and_planned_counts_once(database: Database, world: World) -> None:
    weekly, other = "acupuncture 30 min once a week for 6 weeks", "walking 30 min daily for 4 weeks"
    with database.write(Actor()) as store:
        store.add(plan(world, DAY - days(42), weekly, state="ended", ended=DAY - days(21)))
        row = store.get_one(Assessment, world.assessments["amy"])
        row.answers = {"patient": {"pain": {"week_average": 6}, "care_so_far": [
            {"plan": weekly, "start_week": -6}, {"plan": weekly, "start_week": -40},
            {"plan": other, "start_week": -6}]}}
    with database.read() as store:
        asked = store.get_one(Assessment, world.assessments["amy"])
        care = assessments.patient_mapping(store, world.patients["amy"], asked)["patient"]["care_so_far"]
    assert [round(row["start_week"]) for row in care] == [-40, -6, -6]
    assert care[1]["plan"] == other and "3 weeks" in care[2]["plan"][0]
