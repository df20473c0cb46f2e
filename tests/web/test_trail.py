"""The trail: what stood there before, who sees it, and whether a tampered one is noticed."""

from __future__ import annotations

import datetime

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from deqi.web.store import trail
from deqi.web.store.audit import Actor
from deqi.web.store.database import Database
from deqi.web.store.tables import AdverseEvent, Assessment, Score, new_id

from .conftest import World, enter
from .planned import on_sqlite

DAY = datetime.date(2026, 4, 1)


def scored(database: Database, world: World) -> str:
    """A score that Cas entered, Ann corrected and Ann took out."""
    with database.write(Actor(actor=world.people["cas"])) as store:
        row = Score(id=new_id(), patient_id=world.patients["amy"], created_by=world.people["cas"], outcome="NRS",
                    value=7, day=DAY, origin="practice")
        store.add(row)
    with database.write(Actor(actor=world.people["ann"])) as store:
        kept = store.get(Score, row.id)
        assert kept is not None
        kept.value = 4
    with database.write(Actor(actor=world.people["ann"])) as store:
        kept = store.get(Score, row.id)
        assert kept is not None
        store.delete(kept)
    return row.id


def test_a_change_shows_before_and_after_and_a_deletion_what_was_there(
        client: TestClient, database: Database, world: World) -> None:
    scored(database, world)
    with database.read() as store:
        lines = trail.lines_of(store, world.patients["amy"])
    gone, changed, made = lines[:3]
    assert [line.entry.action for line in lines[:3]] == ["deleted", "changed", "created"]
    assert changed.changes == (trail.Change("value", "7", "4"),)
    assert trail.Change("value", None, "7") in made.changes and trail.Change("value", "4", None) in gone.changes
    enter(client, database, world.people["ann"])
    told = client.get(f"/patients/{world.patients['amy']}/trail").text
    assert "Cas" in told and "took out: score" in told and "<del>" in told


@on_sqlite
def test_of_a_document_only_the_changed_parts_are_shown(client: TestClient, database: Database, world: World) -> None:
    with database.write(Actor(actor=world.people["ann"])) as store:
        row = store.get(Assessment, world.assessments["amy"])
        assert row is not None
        row.answers = {"patient": {"pain": {"week_average": 5}, "red_flags": {"fever": False}}}
    with database.read() as store:
        line = trail.lines_of(store, world.patients["amy"])[0]
    assert line.changes == (trail.Change("answers.patient.pain.week_average", "6", "5"),
                            trail.Change("answers.patient.red_flags.fever", None, "false"))


def test_the_trail_comes_page_by_page(client: TestClient, database: Database, world: World,
                                      monkeypatch: pytest.MonkeyPatch) -> None:
    scored(database, world)
    with database.read() as store:
        whole = [line.entry.seq for line in trail.lines_of(store, world.patients["amy"])]
        monkeypatch.setattr(trail, "PAGE", 1)
        seen, before = [], None
        while page := trail.lines_of(store, world.patients["amy"], before)[:1]:
            before = page[0].entry.seq
            seen.append(before)
    assert seen == whole and len(seen) >= 4


@on_sqlite
def test_only_those_who_treat_see_a_records_trail(client: TestClient, database: Database, world: World) -> None:
    url = f"/patients/{world.patients['amy']}/trail"
    for name, status in (("ann", 200), ("cas", 403), ("bob", 404), ("dan", 403)):
        enter(client, database, world.people[name])
        assert client.get(url).status_code == status, name


def test_who_keeps_accounts_sees_no_health_data(client: TestClient, database: Database, world: World) -> None:
    scored(database, world)
    with database.write(Actor(actor=world.people["ann"])) as store:
        store.add(AdverseEvent(patient_id=world.patients["amy"], created_by=world.people["ann"], day=DAY,
                               kind="pneumothorax", details={"words": "a lung"}))
    enter(client, database, world.people["dan"])
    told = client.get("/audit").text
    assert world.patients["amy"] in told and "The trail is whole" in told and "added: part of a record" in told
    for word in ("score", "unwanted", "pneumothorax", "lung", "Amy", "outcome", "value"):
        assert word not in told.split("<main", 1)[1].split("<table", 1)[1], word
    for name in ("ann", "cas"):
        enter(client, database, world.people[name])
        assert client.get("/audit").status_code == 403


def test_a_tampered_trail_is_told_with_the_place(client: TestClient, database: Database, world: World) -> None:
    scored(database, world)
    with database.engine.begin() as connection:
        if database.is_sqlite:
            connection.execute(text("DROP TRIGGER audit_no_update"))
        else:
            connection.execute(text("DROP TRIGGER audit_no_change ON audit"))
        connection.execute(text("UPDATE audit SET actor = 'somebody' WHERE seq = 3"))
    enter(client, database, world.people["dan"])
    assert "broken at entry 3" in client.get("/audit").text
