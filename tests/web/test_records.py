"""A whole record taken along: valid FHIR R4 with nothing missing, and tables that no spreadsheet runs."""

from __future__ import annotations

import csv
import datetime
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from fhir.resources.R4B import get_fhir_model_class
from sqlalchemy import select

from deqi.interop import fhir_read
from deqi.web.store import whole
from deqi.web.store.audit import Actor
from deqi.web.store.database import Database
from deqi.web.store.tables import Alert, Assessment, Consultation, Entry, Person, Plan, Score, Treatment
from fhir_schema import SCHEMA, faults_by_schema

from .conftest import World, enter
from .stub import STORED
from .test_api import add_events

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


def _check(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """Hold a bundle to the standard, and every resource for which the schema that ships with the tests has a rule."""
    get_fhir_model_class("Bundle").model_validate(bundle)
    known = json.loads(SCHEMA.read_text(encoding="utf-8"))["definitions"]
    resources = [entry["resource"] for entry in bundle["entry"]]
    for resource in resources:
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)
        if resource["resourceType"] in known:
            assert not faults_by_schema(resource), resource["resourceType"]
    return resources


def _fill(database: Database, world: World) -> None:
    with database.write(Actor()) as store:
        amy, ann = world.patients["amy"], world.people["ann"]
        add_events(store, amy, ann)
        person = store.get_one(Person, amy)
        person.birth_date, person.number, person.contact = "1970-02-03", "=1+1", "+49 1 \"quoted\", @home"
        assessment = store.get_one(Assessment, world.assessments["amy"])
        assessment.answers, assessment.state = yaml.safe_load(EXAMPLES[0].read_text(encoding="utf-8")), "done"
        plan = store.scalars(select(Plan)).one()
        plan.state, plan.ended, plan.why_ended, plan.note = "ended", datetime.date(2026, 4, 1), "moved away", "=cmd()"
        store.add(Consultation(patient_id=amy, created_by=ann, assessment_id=assessment.id, key="k", result=STORED))
        store.add(Alert(patient_id=amy, created_by="link:x", day=datetime.date(2026, 3, 20),
                        signs={"ids": ["saddle_numbness"], "words": "since today"}))
        store.scalars(select(Treatment)).one().plan_id = plan.id
        for outcome, value in (("RMDQ", 11.0), ("ODI", 30.0)):
            store.add(Score(patient_id=amy, created_by=ann, day=datetime.date(2026, 3, 9), outcome=outcome,
                            value=value, origin="patient"))


def test_the_bundle_is_valid_r4_whole_and_points_only_into_itself(database: Database, world: World) -> None:
    _fill(database, world)
    with database.read() as store:
        bundle = whole.as_fhir(store, world.patients["amy"])
    bundle = json.loads(json.dumps(bundle))
    resources = _check(bundle)
    kinds = sorted(resource["resourceType"] for resource in resources)
    assert kinds == sorted(["Patient", "Condition", "QuestionnaireResponse", "Observation", "Observation",
                            "Observation", "RiskAssessment", "CarePlan", "Procedure", "AdverseEvent", "Flag",
                            "DocumentReference"])
    inside = {entry["fullUrl"] for entry in bundle["entry"]}
    assert len(inside) == len(resources)
    assert set(_references(bundle)) <= inside


def _references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["reference"]] if isinstance(value.get("reference"), str) else []
        return own + [each for inner in value.values() for each in _references(inner)]
    return [each for inner in value for each in _references(inner)] if isinstance(value, list) else []


def test_scores_and_answers_come_back_as_they_went(database: Database, world: World) -> None:
    _fill(database, world)
    with database.read() as store:
        bundle = json.loads(json.dumps(whole.as_fhir(store, world.patients["amy"])))
    read, _ = fhir_read.scores(bundle, datetime.date(2026, 11, 26))
    assert {(score.outcome, float(score.value), score.when.first.isoformat()) for score in read} >= {
        ("NRS", 5.0, "2026-03-09"), ("RMDQ", 11.0, "2026-03-09"), ("ODI", 30.0, "2026-03-09")}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("template", ["sqlite"], indirect=True)
def test_every_example_patient_can_be_taken_along(database: Database, world: World, path: Path) -> None:
    with database.write(Actor()) as store:
        answers = json.loads(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")), default=str))
        store.get_one(Assessment, world.assessments["amy"]).answers = answers
    with database.read() as store:
        bundle = json.loads(json.dumps(whole.as_fhir(store, world.patients["amy"])))
    _check(bundle)


@pytest.mark.parametrize("answers", [{"patient": {}}, {"patient": {"pain": {"leg_pain": True}}}])
def test_an_assessment_that_was_hardly_begun_can_be_taken_along(
        database: Database, world: World, answers: dict[str, object]) -> None:
    with database.write(Actor()) as store:
        store.get_one(Assessment, world.assessments["amy"]).answers = answers
    with database.read() as store:
        _check(json.loads(json.dumps(whole.as_fhir(store, world.patients["amy"]))))


def test_the_tables_hold_everything_and_run_as_nothing(database: Database, world: World) -> None:
    _fill(database, world)
    with database.read() as store:
        content = whole.as_tables(store, world.patients["amy"])
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        tables = {name: list(csv.DictReader(io.StringIO(file.read(name).decode(), newline="")))
                  for name in file.namelist() if name.endswith(".csv")}
        assert any(name.startswith("consultations/") for name in file.namelist())
    assert tables["patient.csv"][0]["number"] == "'=1+1" and tables["patient.csv"][0]["name"] == "Amy Example"
    assert tables["patient.csv"][0]["responsible"] == "Ann"
    assert tables["plans.csv"][0]["note"] == "'=cmd()"
    assert {(row["outcome"], float(row["value"])) for row in tables["scores.csv"]} == {
        ("NRS", 5.0), ("RMDQ", 11.0), ("ODI", 30.0)}
    assert tables["trail.csv"] and tables["adverse_events_details.csv"] and tables["assessments_answers.csv"]
    cells = [cell for rows in tables.values() for row in rows for cell in row.values() if cell]
    assert not [cell for cell in cells if cell.startswith(("=", "@", "+")) or cell[:1] in "\t\r\n"]


@pytest.mark.parametrize("kind", ["fhir", "csv"])
def test_only_the_clinicians_of_a_record_take_it_along_and_the_trail_knows(
        client: TestClient, database: Database, world: World, kind: str) -> None:
    amy = world.patients["amy"]
    for who, status in (("bob", 404), ("cas", 403), ("dan", 403), ("ann", 200)):
        csrf = enter(client, database, world.people[who])
        answer = client.post(f"/patients/{amy}/export/{kind}", data={"csrf": csrf})
        assert answer.status_code == status, who
    assert "Amy" not in answer.headers["content-disposition"]
    with database.read() as store:
        told = store.scalars(select(Entry).where(Entry.action == "exported")).one()
    assert (told.actor, told.patient_id) == (world.people["ann"], amy)
