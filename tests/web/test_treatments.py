"""The treatment log: what is filled in, what is refused, what a serious event says, and two who write at once."""

from __future__ import annotations

import datetime
import re

from fastapi.testclient import TestClient
from sqlalchemy import select

from deqi.web.store.audit import Actor
from deqi.web.store.database import Database
from deqi.web.store.tables import AdverseEvent, Person, Plan, Treatment, new_id

from .conftest import World, enter
from .planned import begun, on_sqlite

TODAY = datetime.date.today().isoformat()
SESSION = {"day": TODAY, "session": "1", "stimulation": "manual", "retention_minutes": "30"}
EVENT = {"day": TODAY, "kind": "bleeding", "severity": "mild", "treated": "no", "relation": "certain",
         "outcome": "recovered"}
SERIOUS = {**EVENT, "kind": "pneumothorax", "severity": "severe", "serious": "hospital", "treated": "professional",
           "outcome": "recovering"}


def value_of(page: str, field: str) -> str:
    found = re.search(rf'<input id="{field}"[^>]*value="([^"]*)"', page) or re.search(
        rf'<select id="{field}".*?<option value="([^"]*)" selected', page, re.S)
    assert found, field
    return found[1]


@on_sqlite
def test_a_session_is_filled_in_from_the_plan_and_then_from_the_session_before(
        client: TestClient, database: Database, world: World) -> None:
    plan = begun(world, database, 3)
    csrf = enter(client, database, world.people["cas"])
    url = f"/patients/{world.patients['amy']}/treatments/new"
    page = client.get(url).text
    assert [value_of(page, field) for field in ("session", "stimulation", "retention_minutes")] == ["1", "manual", "30"]
    assert page.count("checked") == 2 and 'value="local" checked' in page
    form = {**SESSION, "csrf": csrf, "points": ["local"], "insertions": "12", "retention_minutes": "25,5", "note": "n"}
    assert client.post(url, data=form).status_code == 303
    page = client.get(url).text
    assert [value_of(page, field) for field in ("session", "insertions", "retention_minutes")] == ["2", "12", "25.5"]
    assert page.count("checked") == 1 and ">n</textarea>" not in page
    with database.read() as store:
        row = store.scalars(select(Treatment)).one()
    assert row.plan_id == plan and row.created_by == world.people["cas"]
    assert row.details == {"session": 1, "stimulation": "manual", "retention_minutes": 25.5, "points": ["local"],
                           "insertions": 12, "note": "n"}


@on_sqlite
def test_what_cannot_be_is_told_at_its_field_and_nothing_is_kept(client: TestClient, database: Database, world: World
                                                                ) -> None:
    csrf = enter(client, database, world.people["ann"])
    url = f"/patients/{world.patients['amy']}/treatments/new"
    for field, value in (("retention_minutes", "9999"), ("frequency_hz", "2"), ("stimulation", "laser"),
                         ("day", "2999-01-01"), ("points", "knee")):
        answer = client.post(url, data={**SESSION, "csrf": csrf, field: value})
        assert answer.status_code == 422 and f'href="#{field}"' in answer.text, field
    with database.read() as store:
        assert store.scalar(select(Treatment)) is None


@on_sqlite
def test_a_form_that_is_sent_twice_makes_one_record_and_another_one_where_it_was_changed(
        client: TestClient, database: Database, world: World) -> None:
    csrf = enter(client, database, world.people["ann"])
    for kind, form, url in ((Treatment, SESSION, "treatments/new"), (AdverseEvent, EVENT, "events/new"),
                            (Person, {"name": "Zoe"}, "")):
        url = f"/patients/{world.patients['amy']}/{url}" if url else "/patients/new"
        once = re.search(r'name="once"[^>]*value="([0-9a-f]{32})"', client.get(url).text)
        assert once is not None
        sent = {**form, "csrf": csrf, "once": once[1]}
        with database.read() as store:
            before = len(store.scalars(select(kind)).all())
        answers = [client.post(url, data=sent) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [303, 303]
        assert answers[0].headers["location"] == answers[1].headers["location"]
        assert client.post(url, data={**sent, "name": "Zoa", "day": "2026-01-02"}).status_code == 303
        with database.read() as store:
            assert len(store.scalars(select(kind)).all()) == before + 2
    sent["once"] = world.patients["ben"]
    assert world.patients["ben"] not in client.post("/patients/new", data=sent).headers["location"]


@on_sqlite
def test_a_session_belongs_to_the_plan_that_ran_on_its_day(client: TestClient, database: Database, world: World
                                                          ) -> None:
    earlier, later = begun(world, database, 6), begun(world, database, 2)
    with database.write(Actor()) as store:
        row = store.get_one(Plan, earlier)
        row.state, row.ended = "ended", datetime.date.today() - datetime.timedelta(weeks=2)
    csrf, url = enter(client, database, world.people["ann"]), f"/patients/{world.patients['amy']}/treatments/new"
    for weeks, plan in ((0, later), (2, later), (4, earlier), (7, None)):
        day = (datetime.date.today() - datetime.timedelta(weeks=weeks)).isoformat()
        assert client.post(url, data={**SESSION, "csrf": csrf, "day": day}).status_code == 303
        with database.read() as store:
            assert store.scalars(select(Treatment).where(Treatment.day == datetime.date.fromisoformat(day))
                                 ).one().plan_id == plan
    with database.read() as store:
        row = store.scalars(select(Treatment).where(Treatment.plan_id.is_(None))).one()
    for weeks, plan in ((4, earlier), (0, later), (7, None)):
        day = (datetime.date.today() - datetime.timedelta(weeks=weeks)).isoformat()
        with database.read() as store:
            version = store.get_one(Treatment, row.id).version
        moved = client.post(url.replace("new", row.id), data={**SESSION, "csrf": csrf, "day": day, "version": version})
        assert moved.status_code == 303
        with database.read() as store:
            assert store.get_one(Treatment, row.id).plan_id == plan


def logged(database: Database, world: World, name: str = "amy") -> str:
    with database.write(Actor(actor=world.people["ann"])) as store:
        row = Treatment(id=new_id(), patient_id=world.patients[name], created_by=world.people["ann"],
                        day=datetime.date.today(), plan_id=None,
                        details={"stimulation": "manual", "retention_minutes": 30, "points": ["local"],
                                 "insertions": 8})
        store.add(row)
    return row.id


def test_two_who_correct_one_session_choose_field_by_field(client: TestClient, database: Database, world: World
                                                          ) -> None:
    url = f"/patients/{world.patients['amy']}/treatments/{logged(database, world)}"
    csrf = enter(client, database, world.people["cas"])
    form = {**SESSION, "session": "", "version": "1", "insertions": "8", "points": ["local"]}
    assert client.post(url, data={**form, "csrf": csrf, "points": ["local", "distal"]}).status_code == 303
    csrf = enter(client, database, world.people["ann"])
    told = client.post(url, data={**form, "csrf": csrf, "insertions": "10"})
    assert told.status_code == 409 and "near the back pain, arms or legs" in told.text and "Cas wrote" in told.text
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)"[^>]*value="([^"]*)"', told.text))
    assert "insertions" not in hidden and "points" not in hidden and hidden["version"] == "2"
    chosen = {**hidden, "points": "local,distal", "insertions": "10", "csrf": csrf}
    assert client.post(url, data=chosen).status_code == 303
    with database.read() as store:
        assert store.scalars(select(Treatment)).one().details == {
            "stimulation": "manual", "retention_minutes": 30.0, "points": ["local", "distal"], "insertions": 10}


def test_a_session_taken_out_leaves_its_events(client: TestClient, database: Database, world: World) -> None:
    session, patient = logged(database, world), world.patients["amy"]
    csrf = enter(client, database, world.people["ann"])
    assert client.post(f"/patients/{patient}/events/new", data={**EVENT, "csrf": csrf, "treatment": session}
                       ).status_code == 303
    url = f"/patients/{patient}/treatments/{session}/delete"
    assert client.post(url, data={"csrf": csrf, "version": "9"}).status_code == 409
    assert client.post(url, data={"csrf": csrf, "version": "1"}).status_code == 303
    with database.read() as store:
        assert store.scalar(select(Treatment)) is None
        assert store.scalars(select(AdverseEvent)).one().treatment_id is None


@on_sqlite
def test_a_serious_event_says_what_to_do_and_whom_to_tell(client: TestClient, database: Database, world: World) -> None:
    csrf = enter(client, database, world.people["cas"])
    url = f"/patients/{world.patients['amy']}/events/new"
    assert client.post(url, data={**EVENT, "csrf": csrf}).headers["location"].endswith("/treatments")
    answer = client.post(url, data={**SERIOUS, "csrf": csrf})
    told = client.get(answer.headers["location"]).text
    assert "This event is serious" in told and "Tell the clinician who answers for this patient today" in told
    assert client.post(url, data={**SERIOUS, "csrf": csrf, "outcome": "fatal"}).status_code == 422


@on_sqlite
def test_what_a_patient_reported_counts_as_looked_at_once_it_is_completed(
        client: TestClient, database: Database, world: World) -> None:
    patient = world.patients["amy"]
    with database.write(Actor()) as store:
        row = AdverseEvent(id=new_id(), patient_id=patient, created_by="link:x", day=datetime.date.today(),
                           kind="other", details={"words": "dizzy", "reported_by": "patient", "reviewed": False})
        store.add(row)
    csrf = enter(client, database, world.people["ann"])
    assert "to be looked at" in client.get(f"/patients/{patient}/treatments").text
    url = f"/patients/{patient}/events/{row.id}"
    assert "The patient reported this" in client.get(url).text
    form = {**EVENT, "csrf": csrf, "version": "1", "kind": "dizziness_nausea_sweating", "words": "dizzy"}
    assert client.post(url, data=form).status_code == 303
    assert "to be looked at" not in client.get(f"/patients/{patient}/treatments").text
    with database.read() as store:
        kept = store.scalars(select(AdverseEvent)).one()
    assert kept.details["reviewed"] is True and kept.details["reported_by"] == "patient"


@on_sqlite
def test_nothing_of_another_record_can_be_reached_or_tied_to_this_one(client: TestClient, database: Database,
                                                                     world: World) -> None:
    others, patient = logged(database, world, "ben"), world.patients["amy"]
    csrf = enter(client, database, world.people["ann"])
    assert client.get(f"/patients/{patient}/treatments/{others}").status_code == 404
    assert client.post(f"/patients/{patient}/treatments/{others}", data={**SESSION, "csrf": csrf}).status_code == 404
    assert client.post(f"/patients/{patient}/events/new", data={**EVENT, "csrf": csrf, "treatment": others}
                       ).status_code == 303
    with database.read() as store:
        assert store.scalars(select(AdverseEvent)).one().treatment_id is None
