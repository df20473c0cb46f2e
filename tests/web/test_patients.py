"""The patients' rooms: who finds whom, what is due, who may do what, and that a rival change is told."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select

from deqi.web import due
from deqi.web.store import plans, safety
from deqi.web.store.audit import Actor
from deqi.web.store.database import Database
from deqi.web.store.tables import Assessment, Entry, Member, Person, Plan, Revision, Score

from . import planned
from .conftest import World, enter
from .planned import begun

DAY = datetime.date(2026, 3, 2)
RULES: list[dict[str, Any]] = [{"week": 2, "session": None}, {"week": 3, "session": 4}, {"week": 6, "session": None}]


def at(days: int) -> datetime.date:
    return DAY + datetime.timedelta(days=days)


@pytest.mark.parametrize("day, treated, scored, states", [
    (0, (), (0,), ["coming", "coming", "coming"]),
    (14, (), (), ["due", "coming", "coming"]),
    (14, (), (12,), ["done", "coming", "coming"]),
    (13, (), (8,), ["coming", "coming", "coming"]),
    (25, (0, 7, 14), (), ["overdue", "coming", "coming"]),
    (25, (0, 7, 14, 21), (), ["overdue", "due", "coming"]),
    (25, (0, 7, 14, 21), (22,), ["done", "done", "coming"]),
    (60, (0, 7, 14, 21), (22,), ["done", "done", "overdue"]),
])
def test_reviews_go_by_weeks_and_by_sessions(day: int, treated: tuple[int, ...], scored: tuple[int, ...],
                                             states: list[str]) -> None:
    found = due.reviews(DAY, RULES, [at(d) for d in treated], [at(d) for d in scored], at(day))
    assert [each.state for each in found] == states


def test_a_plan_without_scores_for_more_than_two_weeks_says_so() -> None:
    assert due.days_without_score(DAY, [at(-30)], at(14)) is None
    assert due.days_without_score(DAY, [at(-30)], at(15)) == 15
    assert due.days_without_score(DAY, [at(10)], at(20)) is None


def test_a_new_patient_needs_only_a_name(client: TestClient, database: Database, world: World) -> None:
    csrf = enter(client, database, world.people["ann"])
    assert client.post("/patients/new", data={"csrf": csrf, "name": " "}).status_code == 422
    answer = client.post("/patients/new", data={"csrf": csrf, "name": "Zoë Müller", "birth_date": "", "number": "7"})
    assert answer.status_code == 303
    assert "Zoë Müller" in client.get(answer.headers["location"]).text


def test_finding_looks_at_beginnings_of_words_without_accents_and_only_at_ones_own(
        client: TestClient, database: Database, world: World) -> None:
    csrf = enter(client, database, world.people["ann"])
    client.post("/patients/new", data={"csrf": csrf, "name": "Zoë Müller", "number": "A 7"})

    def found(words: str) -> list[str]:
        page = client.post("/patients/find", data={"csrf": csrf, "words": words}, headers={"hx-request": "true"}).text
        return sorted(re.findall(r'<a href="[^"]+">([^<]+)</a>', page))

    assert found("") == ["Amy Example", "Zoë Müller"]
    assert found("mull ZOE") == ["Zoë Müller"] == found("7")
    assert found("ller") == found("ben") == []


def test_a_plan_that_makes_room_for_a_later_one_is_followed_until_that_begins(
        client: TestClient, database: Database, world: World) -> None:
    enter(client, database, world.people["ann"])
    before, week = begun(world, database, 3), datetime.timedelta(weeks=1)
    begins = datetime.date.today() + week
    with database.write(Actor(actor=world.people["ann"])) as store:
        plan = store.get_one(Plan, before)
        plan.state, plan.ended, plan.why_ended = "ended", begins, "another one"
        later = planned.plan(world.patients["amy"], world.assessments["amy"], world.people["ann"], begins)
        later.sentences = ["Walking 30 min 5 times a week for 6 weeks"]
        store.add(later)
    hub = client.get(f"/patients/{world.patients['amy']}").text
    assert planned.NEEDLES in hub and "Walking 30 min" not in hub and later.id in hub
    assert "due" in client.get("/patients").text  # week 2 of the plan that still runs
    with database.read() as store:
        agreed = plans.plans_of(store, Plan.patient_id == world.patients["amy"])
    assert [plans.running(agreed, begins + day * week).id for day in (-4, -1, 0)] == [before, before, later.id]
    assert plans.running([], begins) is None


def test_the_example_is_one_step_from_a_forecast(client: TestClient, database: Database, world: World) -> None:
    csrf = enter(client, database, world.people["ann"])
    home = client.post("/patients/example", data={"csrf": csrf}).headers["location"]
    with database.read() as store:
        made = store.scalars(select(Assessment).where(Assessment.patient_id == home.split("/")[-1])).one()
        assert safety.open_to_options(made) is None and made.state == "done"
        assert {s.outcome for s in store.scalars(select(Score).where(Score.patient_id == made.patient_id))} == {
            "NRS", "RMDQ"}


def test_two_edits_of_one_field_are_both_shown_and_of_two_fields_both_kept(
        client: TestClient, database: Database, world: World) -> None:
    amy = world.patients["amy"]
    csrf = enter(client, database, world.people["ann"])

    def save(version: int, **fields: str) -> int:
        answer = client.post(f"/patients/{amy}/edit", data={"csrf": csrf, "version": version, **fields})
        pages.append(answer.text)
        return answer.status_code

    pages: list[str] = []
    with database.read() as store:
        version = store.get_one(Person, amy).version
    assert save(version, name="Amy Example", contact="first") == 303
    assert save(version, name="Amy Example", contact="second") == 409
    assert "first" in pages[-1] and "second" in pages[-1]
    assert save(version, name="Amy Other", contact="") == 409
    assert 'name="contact" value="first"' in pages[-1] and "Amy Other" in pages[-1]
    assert save(version + 1, name="Amy Other", contact="first") == 303
    with database.read() as store:
        person = store.get_one(Person, amy)
        assert (person.name, person.contact) == ("Amy Other", "first")


def test_only_the_responsible_clinician_changes_the_team_or_erases(
        client: TestClient, database: Database, world: World) -> None:
    amy, people = world.patients["amy"], world.people

    def act(name: str, who: str) -> int:
        return client.post(f"/patients/{amy}/team", data={"csrf": csrf, "act": name, "account": people[who]}
                           ).status_code

    csrf = enter(client, database, people["ann"])
    assert act("join", "dan") == 422  # keeps accounts, and sees no health data
    assert act("join", "bob") == 303
    csrf = enter(client, database, people["bob"])
    assert act("leave", "cas") == 403 == client.get(f"/patients/{amy}/erase").status_code
    csrf = enter(client, database, people["ann"])
    assert act("hand_over", "cas") == 422
    assert act("hand_over", "bob") == 303
    with database.read() as store:
        assert store.get_one(Person, amy).responsible_id == people["bob"]
        assert set(store.scalars(select(Member.account_id).where(Member.patient_id == amy))) == {
            people["ann"], people["cas"]}
    assert act("leave", "cas") == 403


def test_erasing_asks_for_a_word_and_leaves_only_the_trail(
        app: FastAPI, client: TestClient, database: Database, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    amy = world.patients["amy"]
    csrf = enter(client, database, world.people["ann"])
    assert client.post(f"/patients/{amy}/erase", data={"csrf": csrf, "word": "amy"}).status_code == 422
    forgot: list[bool] = []
    monkeypatch.setattr(app.state.engine, "forget", lambda: forgot.append(True))
    waiting = {(world.assessments[name], "key"): None for name in ("amy", "ben")}
    app.state._state["consultations"] = waiting
    assert client.post(f"/patients/{amy}/erase", data={"csrf": csrf, "word": "Erase"}).status_code == 303
    assert forgot and list(waiting) == [(world.assessments["ben"], "key")], "nothing of the patient stays in memory"
    with database.read() as store:
        assert store.get(Person, amy) is None
        for owner in (Assessment.patient_id, Member.patient_id, Revision.patient_id):
            assert store.scalars(select(owner).where(owner == amy)).first() is None
        actions = list(store.scalars(select(Entry.action).where(Entry.patient_id == amy).order_by(Entry.seq)))
    assert actions[0] == "created" and actions[-1] == "deleted"
