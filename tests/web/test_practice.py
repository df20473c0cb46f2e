"""A practice's outcomes: who sees them, nobody's name, and nothing told of few people."""

from __future__ import annotations

import datetime
import re

import pytest
from fastapi.testclient import TestClient

from deqi.web.store import practice
from deqi.web.store.audit import Actor
from deqi.web.store.database import Database
from deqi.web.store.tables import AdverseEvent, Assessment, Person, Plan, Score, Treatment, new_id

from .conftest import World, enter
from .planned import begun, on_sqlite, plan

TODAY = datetime.date.today()


def many(world: World, database: Database, count: int, owner: str, weeks: float = 15, sessions: int = 0) -> None:
    """Store patients of one clinician whose plans began, each with pain of 3 at week 12, and sessions."""
    began = TODAY - datetime.timedelta(days=round(7 * weeks))
    author = world.people[owner]
    with database.write(Actor(actor=author)) as store:
        people = [Person(id=new_id(), responsible_id=author, name=f"Secret Name {owner} {k}") for k in range(count)]
        store.add_all(people)
        store.flush()
        asked = [Assessment(id=new_id(), patient_id=one.id, created_by=author, day=began, answers={"patient": {}})
                 for one in people]
        store.add_all(asked)
        store.flush()
        for one, assessment in zip(people, asked, strict=True):
            store.add(plan(one.id, assessment.id, author, began))
            store.add(Score(patient_id=one.id, created_by=author, outcome="NRS", value=3, origin="practice",
                            day=began + datetime.timedelta(weeks=12)))
            store.add_all(Treatment(patient_id=one.id, created_by=author, plan_id=None, day=began,
                                    details={"stimulation": "manual", "retention_minutes": 30})
                          for _ in range(sessions))


def test_a_course_holds_the_scores_since_the_plan_began(client: TestClient, database: Database, world: World) -> None:
    begun(world, database, 7, [(-3, 9), (0, 6), (2, 5)])
    with database.read() as store:
        found = practice.courses(store, TODAY)
    assert len(found) == 1 and found[0].scores == [(0.0, 6.0), (2.0, 5.0)] and found[0].weeks == 7.0
    assert found[0].clinician == world.people["ann"] and found[0].person == world.patients["amy"]


@on_sqlite
def test_a_plan_that_was_ended_early_is_shown_and_gives_its_score_to_no_other_count(
        client: TestClient, database: Database, world: World) -> None:
    stopped = begun(world, database, 16, [(12, 3)])
    begun(world, database, 15)
    with database.write(Actor()) as store:
        row = store.get_one(Plan, stopped)
        row.state, row.ended = "ended", TODAY - datetime.timedelta(weeks=15)
    enter(client, database, world.people["ann"])
    told = " ".join(re.sub(r"<[^>]+>", " ", client.get("/practice").text).split())
    assert "Ended before this week, so not counted 1" in told and "of which came 1" in told


@on_sqlite
def test_few_people_are_told_as_counts_only(client: TestClient, database: Database, world: World) -> None:
    many(world, database, 9, "ann")
    enter(client, database, world.people["ann"])
    told = client.get("/practice").text
    assert "9 scores, 9 of them with at least 30 % less pain" in told and "of 100 (" not in told
    assert "<svg" not in told


@on_sqlite
def test_one_sees_ones_own_and_totals_without_names(client: TestClient, database: Database, world: World) -> None:
    many(world, database, 11, "ann")
    many(world, database, 12, "bob")
    enter(client, database, world.people["ann"])
    told = client.get("/practice").text
    assert "11 scores" in told and "23 scores" in told and "clinician 1" in told
    assert "Secret" not in told and "Bob" not in told and "Example" not in told
    assert not any(id in told for id in (*world.people.values(), *world.patients.values()))
    assert "can be chance or the mix of patients" in told and "not what care did for them" in told


@on_sqlite
def test_totals_that_would_tell_of_few_others_are_not_shown(client: TestClient, database: Database, world: World
                                                           ) -> None:
    many(world, database, 12, "ann")
    many(world, database, 9, "bob")
    enter(client, database, world.people["ann"])
    told = client.get("/practice").text
    assert "12 scores" in told and "21 scores" not in told and "taking yours away" in told


@on_sqlite
def test_missing_scores_are_counted_and_bound_the_share(client: TestClient, database: Database, world: World) -> None:
    many(world, database, 12, "ann")
    begun(world, database, 20, [(2, 5)])
    enter(client, database, world.people["ann"])
    told = client.get("/practice").text
    assert "<dt>and never came</dt><dd>1</dd>" in told and "If nobody of those missing were better" in told


def test_harms_are_counted_in_sessions_and_patients(client: TestClient, database: Database, world: World) -> None:
    many(world, database, 10, "ann", sessions=2)
    with database.write(Actor(actor=world.people["ann"])) as store:
        session = store.query(Treatment).first()
        assert session is not None
        store.add(AdverseEvent(patient_id=session.patient_id, created_by=world.people["ann"], day=TODAY,
                               kind="bleeding", treatment_id=session.id, details={"severity": "mild"}))
        store.add(AdverseEvent(patient_id=session.patient_id, created_by="link:x", day=TODAY, kind="other",
                               details={"reported_by": "patient", "reviewed": False}))
    enter(client, database, world.people["ann"])
    told = client.get("/practice").text
    assert "2 events in 20 sessions of 10 patients." in told and "per session: 1." in told
    assert "bleeding or a bruise" in told and "published" in told


@pytest.mark.parametrize("name", ["cas", "dan"])
@on_sqlite
def test_who_does_not_treat_sees_no_outcomes(client: TestClient, database: Database, world: World, name: str) -> None:
    enter(client, database, world.people[name])
    assert client.get("/practice").status_code == 403


@on_sqlite
def test_another_week_may_be_asked_for(client: TestClient, database: Database, world: World) -> None:
    enter(client, database, world.people["ann"])
    assert "6 weeks after" in client.get("/practice?week=6").text
    assert "12 weeks after" in client.get("/practice?week=7").text
    assert client.get("/practice?week=x").status_code == 422
