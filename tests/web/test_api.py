"""The API: who may ask what, the same JSON as the commands, one message for each refusal, and no change lost."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Semaphore
from typing import Any

import httpx
import pytest
import yaml
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from deqi.body.system import THEORIES
from deqi.evidence import fact, show
from deqi.interop.fhir_forms import questionnaire
from deqi.web import accounts, stricta
from deqi.web.api import models
from deqi.web.api.strict import DEEPEST, Unreadable, strict_json
from deqi.web.app import open_store
from deqi.web.engine import Busy
from deqi.web.settings import Settings
from deqi.web.store.audit import Actor
from deqi.web.store.database import Database, StoreUnavailable
from deqi.web.store.tables import AdverseEvent, Assessment, Entry, Plan, Score, Treatment

from .conftest import World, enter
from .serving import environment, serving
from .stub import STORED

EXAMPLE = Path(__file__).parents[2] / "examples" / "gerac_chronic.yaml"
PATIENT = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["patient"]
SESSION = {"stimulation": "manual", "retention_minutes": 30}
EVENT = {"kind": "bleeding", "severity": "mild", "treated": "no", "relation": "probable", "outcome": "recovered"}
only_sqlite = pytest.mark.parametrize("template", ["sqlite"], indirect=True)


def add_events(store: Session, patient: str, account: str) -> list[str]:
    """Put a score, a plan, a session and an event into a record; gives the event's id."""
    of: dict[str, Any] = {"patient_id": patient, "created_by": account}
    day = datetime.date(2026, 3, 9)
    assessment = store.scalar(select(Assessment.id).where(Assessment.patient_id == patient))
    plan = Plan(**of, assessment_id=assessment, began=day, sentences=["walking 30 min daily for 4 weeks"],
                kinds="exercise", baseline=6.0, forecast=STORED["options"][3]["forecast"],
                review=STORED["tailored"]["review"], provenance=STORED["provenance"])
    treatment = Treatment(**of, day=day, details=SESSION)
    store.add_all([Score(**of, day=day, outcome="NRS", value=5.0, origin="practice"), plan, treatment])
    store.flush()
    event = AdverseEvent(**of, day=day, treatment_id=treatment.id, kind="bleeding", details=EVENT)
    store.add(event)
    store.flush()
    return [event.id]


class Program:
    """Another program with a token."""

    def __init__(self, client: TestClient, database: Database, account: str, *scopes: str):
        with database.write(Actor()) as store:
            token = accounts.new_token(store, account, "program", scopes or accounts.SCOPES)
        self.client, self.headers = client, {"authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Ask; a body goes as JSON."""
        return self.client.request(method, f"/api/v1{path}", json=body, headers=self.headers | headers)


@pytest.fixture
def ann(client: TestClient, database: Database, world: World) -> Program:
    """Ann's program, which may do all that Ann may."""
    return Program(client, database, world.people["ann"])


def test_a_token_may_do_what_its_scope_says_and_no_more(client: TestClient, database: Database, world: World) -> None:
    reader = Program(client, database, world.people["ann"], "records:read")
    scores = f"/patients/{world.patients['amy']}/scores"
    assert reader.ask("GET", scores).status_code == 200
    assert reader.ask("POST", scores, {"day": "2026-03-03", "outcome": "NRS", "value": 5}).status_code == 403
    assert reader.ask("POST", "/screen", {"patient": PATIENT}).status_code == 403
    assert client.get(f"/api/v1{scores}").status_code == 401
    assert client.get(f"/api/v1{scores}", headers={"authorization": "Bearer deqi_nothing"}).status_code == 401


def test_a_browser_that_is_signed_in_may_change_things_only_with_its_csrf_token(
        client: TestClient, database: Database, world: World) -> None:
    csrf = enter(client, database, world.people["ann"])
    path, body = f"/api/v1/patients/{world.patients['amy']}/scores", {"day": "2026-03-03", "outcome": "NRS", "value": 5}
    assert client.post(path, json=body).status_code == 403
    assert client.post(path, json=body, headers={"x-csrf-token": csrf}).status_code == 201


def test_somebody_elses_record_does_not_exist(ann: Program, world: World) -> None:
    for path in ("", "/bundle", "/scores", "/plans", "/assessments"):
        assert ann.ask("GET", f"/patients/{world.patients['ben']}{path}").status_code == 404
    assert [one["id"] for one in ann.ask("GET", "/patients").json()["patients"]] == [world.patients["amy"]]


def test_parts_of_another_record_are_not_reached_through_an_own_one(
        ann: Program, database: Database, world: World) -> None:
    with database.write(Actor()) as store:
        add_events(store, world.patients["ben"], world.people["bob"])
    with database.read() as store:
        theirs = store.scalars(select(Score.id)).one()
        session = store.scalars(select(Treatment.id)).one()
    body = {"day": "2026-03-03", "outcome": "NRS", "value": 5}
    path = f"/patients/{world.patients['amy']}"
    assert ann.ask("PUT", f"{path}/scores/{theirs}", body, **{"if-match": '"1"'}).status_code == 404
    assert ann.ask("DELETE", f"{path}/scores/{theirs}", **{"if-match": '"1"'}).status_code == 404
    answer = ann.ask("POST", f"{path}/adverse-events", {"day": "2026-03-03", "treatment": session, "details": EVENT})
    assert answer.status_code == 422 and "of this patient's record" in answer.json()["error"]


def test_a_change_from_an_older_version_is_refused_and_says_by_whom(
        ann: Program, client: TestClient, database: Database, world: World) -> None:
    cas = Program(client, database, world.people["cas"])
    path, body = f"/patients/{world.patients['amy']}/scores", {"day": "2026-03-03", "outcome": "NRS", "value": 5}
    made = ann.ask("POST", path, body).json()
    assert made["version"] == 1 and made["origin"] == "import"
    one = f"{path}/{made['id']}"
    assert ann.ask("PUT", one, body).status_code == 422
    assert cas.ask("PUT", one, body | {"value": 4}, **{"if-match": '"1"'}).json()["version"] == 2
    late = ann.ask("PUT", one, body | {"value": 7}, **{"if-match": '"1"'})
    assert late.status_code == 412 and "Cas changed this" in late.json()["error"] and '"2"' in late.json()["error"]
    assert ann.ask("DELETE", one, **{"if-match": '"1"'}).status_code == 412
    assert ann.ask("GET", path).json()["scores"][0]["value"] == 4
    assert ann.ask("POST", path, body).status_code == 409
    assert ann.ask("DELETE", one, **{"if-match": '"2"'}).status_code == 204
    assert ann.ask("GET", path).json() == {"scores": []}


def test_a_session_and_an_event_are_kept_and_corrected(ann: Program, world: World) -> None:
    path = f"/patients/{world.patients['amy']}"
    session = ann.ask("POST", f"{path}/treatments", {"day": "2026-03-03", "details": SESSION}).json()
    event = ann.ask("POST", f"{path}/adverse-events",
                    {"day": "2026-03-03", "treatment": session["id"], "details": EVENT}).json()
    changed = ann.ask("PUT", f"{path}/adverse-events/{event['id']}",
                      {"day": "2026-03-04", "details": EVENT | {"severity": "severe"}}, **{"if-match": '"1"'}).json()
    assert changed["details"]["severity"] == "severe" and changed["treatment"] is None
    longer = ann.ask("PUT", f"{path}/treatments/{session['id']}",
                     {"day": "2026-03-03", "details": SESSION | {"retention_minutes": 20}}, **{"if-match": '"1"'})
    assert longer.json()["details"] == SESSION | {"retention_minutes": 20.0}
    assert ann.ask("GET", f"{path}/treatments").json()["treatments"] == [longer.json()]
    refused = ann.ask("POST", f"{path}/treatments", {"day": "2026-03-03", "details": SESSION | {"frequency_hz": 2}})
    assert refused.status_code == 422 and "frequency_hz" in refused.json()["error"]


@pytest.mark.parametrize(("path", "body", "field"), [
    ("/forecast", {"patient": {"age": 50, "pain": {"week_avrage": 6}}}, "week_average"),
    ("/forecast", {"patient": PATIENT, "weeks": [105]}, "weeks"),
    ("/forecast", {"patient": PATIENT, "plan": "leeches"}, "leeches"),
    ("/simulate", {"plan": "nothing", "patients": 10_001}, "patients"),
    ("/simulate", {"plan": "nothing", "without": ["phlogiston"]}, "without"),
    ("/consult", {"patient": PATIENT, "sead": 2}, "sead"),
    ("/consult", {"patient": PATIENT, "seed": True}, "seed"),
    ("/screen", [], "body"),
])
@only_sqlite
def test_what_is_not_accepted_is_named_in_one_message(ann: Program, path: str, body: Any, field: str) -> None:
    answer = ann.ask("POST", path, body)
    assert answer.status_code == 422 and list(answer.json()) == ["error"]
    assert field in answer.json()["error"] and "\n" not in answer.json()["error"]


@pytest.mark.parametrize("body", [
    b"", b"{", b'{"patient": NaN}', b'{"patient": {"age": Infinity}}', b'{"patient": {"age": 1e999}}',
    b'{"patient": {"age": ' + b"9" * 5000 + b"}}", b'{"patient": {"age": ' + b"9" * 30 + b"}}",
    b'{"patient": {"id": "\\ud800"}}', b'{"patient": {"\\udfff": 1}}', b'{"patient": {"id": "a\\u0000b"}}',
    b'{"patient": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", b'{"patient": ' + b'{"a":' * 60 + b"1" + b"}" * 61,
    b'{"patient": {"id": "\xff"}}', b'{"patient": {}, "patient": {}}', b"\xef\xbb\xbf{}",
])
@only_sqlite
def test_a_body_that_programs_would_read_differently_is_refused(ann: Program, body: bytes) -> None:
    answer = ann.client.post("/api/v1/screen", content=body,
                             headers=ann.headers | {"content-type": "application/json"})
    assert answer.status_code == 400 if body else answer.status_code in (400, 422)
    assert list(answer.json()) == ["error"]


@only_sqlite
def test_another_kind_of_body_is_refused_after_the_guard(ann: Program) -> None:
    for kind in ("text/plain", "application/xml", "application/x-www-form-urlencoded", ""):
        headers = {"content-type": kind}
        answer = ann.client.post("/api/v1/screen", content=b"{}", headers=ann.headers | headers)
        assert answer.status_code == 415, kind
        assert ann.client.post("/api/v1/screen", content=b"{}", headers=headers).status_code == 401
    broken = ann.client.post("/api/v1/screen", content=b"{", headers={"content-type": "application/json"})
    assert broken.status_code == 401


@only_sqlite
def test_a_body_beyond_all_use_is_refused_as_json(ann: Program) -> None:
    answer = ann.client.post("/api/v1/screen", content=b"[" + b" " * 8_000_001,
                             headers=ann.headers | {"content-type": "application/json"})
    assert answer.status_code == 413 and list(answer.json()) == ["error"]


@only_sqlite
def test_too_much_at_once_says_when_to_ask_again(ann: Program, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: Any, **__: Any) -> None:
        raise Busy(7)

    monkeypatch.setattr(app.state.engine, "forecast", busy, raising=False)
    answer = ann.ask("POST", "/forecast", {"patient": PATIENT})
    assert answer.status_code == 429 and answer.headers["retry-after"] == "7"


@only_sqlite
def test_an_account_leaves_places_to_others(ann: Program, client: TestClient, database: Database, world: World,
                                            app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    cas, go_on, begun = Program(client, database, world.people["cas"]), Event(), Semaphore(0)

    def slow(*_: Any, **__: Any) -> dict[str, Any]:
        begun.release()
        assert go_on.wait(20)
        return STORED

    monkeypatch.setattr(app.state.engine, "consult", slow)
    with ThreadPoolExecutor(3) as programs:
        asked = [programs.submit(ann.ask, "POST", "/consult", {"patient": PATIENT}) for _ in range(2)]
        assert all(begun.acquire(timeout=20) for _ in asked)
        refused = ann.ask("POST", "/simulate", {"plan": "nothing"})
        assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
        assert cas.ask("POST", "/simulate", {"plan": "nothing"}).status_code == 200
        go_on.set()
        assert [one.result().status_code for one in asked] == [200, 200]
    assert ann.ask("POST", "/simulate", {"plan": "nothing"}).status_code == 200


@only_sqlite
def test_what_a_program_reads_whole_is_in_the_trail_each_time(ann: Program, database: Database, world: World) -> None:
    for _ in range(2):
        assert ann.ask("GET", "/patients").status_code == 200
        assert ann.ask("GET", f"/patients/{world.patients['amy']}/bundle").status_code == 200
    with database.read() as store:
        noted = store.execute(select(Entry.action, Entry.patient_id).where(
            Entry.actor == world.people["ann"], Entry.action != "viewed")).all()
    assert noted == 2 * [("listed", None), ("exported", world.patients["amy"])]


@only_sqlite
def test_a_view_that_cannot_be_noted_is_refused_and_noted_once_it_can(
        ann: Program, database: Database, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"/patients/{world.patients['amy']}/scores"

    def locked(*_: Any) -> None:
        raise StoreUnavailable("another program holds the store")

    with monkeypatch.context() as while_locked:
        while_locked.setattr(database, "write", locked)
        assert ann.ask("GET", path).status_code == ann.ask("GET", path).status_code == 503
    assert ann.ask("GET", path).status_code == ann.ask("GET", path).status_code == 200
    with database.read() as store:
        assert store.scalars(select(Entry.action).where(Entry.actor == world.people["ann"])).all() == ["viewed"]


@only_sqlite
def test_correcting_what_a_patient_reported_keeps_that_they_did(ann: Program, database: Database, world: World) -> None:
    with database.write(Actor()) as store:
        event = AdverseEvent(patient_id=world.patients["amy"], created_by="link:x", day=datetime.date(2026, 3, 9),
                             kind="other", details={"words": "dizzy", "reported_by": "patient", "reviewed": False})
        store.add(event)
    path = f"/patients/{world.patients['amy']}/adverse-events/{event.id}"
    answer = ann.ask("PUT", path, {"day": "2026-03-09", "details": EVENT}, **{"if-match": '"1"'})
    assert answer.status_code == 200
    with database.read() as store:
        kept = store.get_one(AdverseEvent, event.id)
    assert kept.kind == "bleeding" and kept.details["reported_by"] == "patient" and kept.details["reviewed"] is True


@only_sqlite
def test_the_schema_needs_no_token_and_tells_nothing_of_records(client: TestClient) -> None:
    answer = client.get("/api/v1/openapi.json")
    assert answer.status_code == 200 and answer.json()["openapi"].startswith("3.1")
    assert client.get("/docs").status_code == client.get("/openapi.json").status_code == 404


@only_sqlite
def test_a_nul_in_a_path_is_no_record(ann: Program) -> None:
    assert ann.ask("GET", "/patients/%00/scores").status_code == 404
    assert ann.ask("GET", "/evidence/no_such_fact").status_code == 404


@only_sqlite
def test_facts_and_questions_are_those_of_the_commands(ann: Program) -> None:
    assert ann.ask("GET", "/evidence/pooled_li2020_mbma").json() == json.loads(
        json.dumps(show.as_json(fact("pooled_li2020_mbma"))))
    questions = ann.ask("GET", "/questions")
    assert questions.json() == questionnaire() and questions.headers["content-type"] == "application/fhir+json"


def test_json_of_forty_levels_is_read_and_of_more_is_not() -> None:
    assert strict_json(b"[" * DEEPEST + b"]" * DEEPEST)
    with pytest.raises(Unreadable):
        strict_json(b"[" * (DEEPEST + 2) + b"]" * (DEEPEST + 2))


def test_the_schema_knows_the_theories_and_every_field_of_stricta() -> None:
    assert models.Theory.__args__ == THEORIES
    assert set(models.TreatmentDetails.model_fields) == {field.id for field in stricta.fields("treatment")}


@pytest.mark.slow  # runs the model
@only_sqlite
def test_the_answers_are_the_json_of_the_commands(world: World, tmp_path: Path) -> None:
    plan = "acupuncture 30 min twice a week for 6 weeks"
    with serving(world.settings, is_real=True) as server:
        token = _token(world.settings, world.people["ann"])
        for path, body, command in (
                ("consult", {"patient": PATIENT, "seed": 3}, ["consult", str(EXAMPLE), "--seed", "3"]),
                ("forecast", {"patient": PATIENT, "plan": plan, "weeks": [4, 12]},
                 ["forecast", str(EXAMPLE), "--plan", plan, "--weeks", "4,12"]),
                ("simulate", {"plan": plan, "patients": 200, "without": ["gate"]},
                 ["simulate", plan, "--patients", "200", "--without", "gate"])):
            made = subprocess.run([sys.executable, "-c", "from deqi.cli import main; main()", *command, "--json", "-"],
                                  env=environment(world.settings), capture_output=True, check=True, timeout=600)
            answer = httpx.post(f"{server.url}/api/v1/{path}", json=body, timeout=600,
                                headers={"authorization": f"Bearer {token}"})
            assert answer.status_code == 200, answer.text
            assert answer.json() == json.loads(made.stdout), path


def _token(settings: Settings, account: str) -> str:
    database = open_store(settings)
    with database.write(Actor()) as store:
        token = accounts.new_token(store, account, "test", accounts.SCOPES)
    database.close()
    return token
