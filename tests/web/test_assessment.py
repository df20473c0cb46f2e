"""Assessments: what the model is given, what blocks the way, whose answer stands, and that nothing typed is lost."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from sqlalchemy.orm import Session

from deqi.care import plan_from
from deqi.consult.assessment import parse_patient
from deqi.consult.questions import question, questions
from deqi.web.store import assessments
from deqi.web.store.audit import Actor
from deqi.web.store.database import Database
from deqi.web.store.tables import Assessment, Person, Plan, Score

from .conftest import World

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
    assert assessments.open_to_options(made(**patient)) == reason


def test_a_statement_opens_the_options_until_something_new_is_found() -> None:
    flags = {each.id: False for each in questions() if each.section == "red_flags"}
    asked = made(red_flags=flags | {"foot_drop": True}, pain={"week_average": 6})
    said = assessments.Statement("Dr Grey", DAY, "no infection")
    assert assessments.open_to_options(asked) == "refer"
    assessments.state_cleared(asked, said, "a" * 32)
    assert assessments.open_to_options(asked) is None
    assessments.take(Session(), asked, question("prolonged_steroids"), True, before=False)
    assert assessments.open_to_options(asked) == "refer"


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
