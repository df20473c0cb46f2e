"""A patient's whole record, for the patient or for another system: as a FHIR R4 bundle, and as tables."""

from __future__ import annotations

import base64
import datetime
import io
import json
import uuid
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from ... import __version__
from ...errors import InputError
from ...interop.fhir_codes import table as fhir
from ...interop.fhir_forms import response
from ...interop.fhir_write import risk
from ..imports import written
from .plans import runs
from .tables import (
    Account,
    AdverseEvent,
    Alert,
    Assessment,
    Consultation,
    Entry,
    OfPatient,
    Person,
    Plan,
    Score,
    Treatment,
)

Resource = dict[str, Any]
Of = TypeVar("Of", bound=OfPatient)
WEEKS = (2, 4, 8, 12, 26)
"""Of a plan's forecast that the bundle tells; the tables have all."""
OUTCOMES = {"recovered": "resolved", "recovering": "recovering", "not_recovered": "ongoing",
            "lasting": "resolvedWithSequelae", "fatal": "fatal", "unknown": "unknown"}
"""Outcomes of ICH E2B by the code of FHIR's value set adverse-event-outcome."""
CODES = "http://terminology.hl7.org/CodeSystem"
READ_ME = """The record of one patient, as tables.

Each file is a table in UTF-8 with commas; texts that a spreadsheet could take for a formula begin with an apostrophe.
consultations/ holds what was computed and told, as `deqi consult --json` writes it. trail.csv says who did what and
when. Written by deqi {version}, research software and not a medical device.
"""


def as_fhir(store: Session, patient: str) -> Resource:
    """The record as a Bundle of type `collection`; all its references resolve inside it.

    Arguments:
        store: of a read.
        patient: id of a record, access to which has been checked.

    Raises:
        InputError: there is no such record.
    """
    person = _person(store, patient)
    subject = {"reference": _urn(person.id)}
    condition_id = uuid.uuid5(uuid.UUID(hex=person.id), "condition").hex
    found = [_patient_resource(person), {
        "resourceType": "Condition", "id": _uuid(condition_id), "subject": subject, "code": {"text": "Low back pain"},
        "clinicalStatus": {"coding": [{"system": f"{CODES}/condition-clinical", "code": "active"}]}}]
    found += [_answers(row, subject) for row in _rows(store, Assessment, patient)]
    found += [_observation(row, subject) for row in _rows(store, Score, patient)]
    for plan in _rows(store, Plan, patient):
        found += _care_plan(plan, subject, {"reference": _urn(condition_id)})
    found += [_procedure(row, subject) for row in _rows(store, Treatment, patient)]
    found += [_adverse_event(row, subject) for row in _rows(store, AdverseEvent, patient)]
    found += [_flag(row, subject) for row in _rows(store, Alert, patient)]
    found += [_document(row, subject) for row in _rows(store, Consultation, patient)]
    return {"resourceType": "Bundle", "id": str(uuid.uuid4()), "type": "collection",
            "timestamp": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "entry": [{"fullUrl": f"urn:uuid:{each['id']}", "resource": each} for each in found]}


def as_tables(store: Session, patient: str) -> bytes:
    """The record as a zip of CSV files, one a table, with the trail of who did what.

    Arguments:
        store: of a read.
        patient: id of a record, access to which has been checked.

    Raises:
        InputError: there is no such record.
    """
    person = _person(store, patient)
    people = {row.id: row.name for row in store.scalars(select(Account))}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("README.txt", READ_ME.format(version=__version__))
        file.writestr("patient.csv", written([_plain(person) | {
            "responsible": people.get(person.responsible_id)}], ["id", "name", "birth_date", "number", "contact",
                                                                 "responsible", "created_at", "version"]))
        for kind, own in ((Assessment, ("day", "state")), (Score, ("day", "outcome", "value", "origin")),
                          (Plan, ("assessment_id", "began", "baseline", "kinds", "note", "state", "ended",
                                  "why_ended")),
                          (Treatment, ("plan_id", "day")), (AdverseEvent, ("treatment_id", "day", "kind")),
                          (Alert, ("day", "seen_by", "seen_at", "done"))):
            rows = [_plain(row) | {"created_by": people.get(row.created_by, row.created_by)}
                    for row in _rows(store, kind, patient)]
            file.writestr(f"{kind.__tablename__}.csv", written(rows, ["id", *own, "created_by", "created_at",
                                                                      "version"]))
        for kind, column in ((Assessment, "answers"), (Assessment, "choices"), (Plan, "sentences"), (Plan, "review"),
                             (Plan, "forecast"), (Plan, "provenance"), (Treatment, "details"),
                             (AdverseEvent, "details"), (Alert, "signs")):
            parts = [{"of": row.id, "field": field, "value": value} for row in _rows(store, kind, patient)
                     for field, value in _parts(getattr(row, column))]
            file.writestr(f"{kind.__tablename__}_{column}.csv", written(parts, ["of", "field", "value"]))
        for row in _rows(store, Consultation, patient):
            file.writestr(f"consultations/{row.id}.json", json.dumps(row.result, indent=1, ensure_ascii=False))
        trail = store.scalars(select(Entry).where(Entry.patient_id == patient).order_by(Entry.seq))
        file.writestr("trail.csv", written(
            [_plain(entry) | {"actor": people.get(entry.actor, entry.actor), "fields": " ".join(entry.fields)}
             for entry in trail], ["seq", "at", "actor", "action", "kind", "object_id", "fields"]))
    return out.getvalue()


def _person(store: Session, patient: str) -> Person:
    person = store.get(Person, patient)
    if person is None:
        raise InputError("there is no such record", field="patient", found=patient, accepted="the id of a patient")
    return person


def _rows(store: Session, kind: type[Of], patient: str) -> Sequence[Of]:
    return store.scalars(select(kind).where(kind.patient_id == patient).order_by(kind.created_at, kind.id)).all()


def _plain(row: Any) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in inspect(type(row)).column_attrs}


def _parts(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The single values of a document, each with its place."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _parts(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _parts(inner, f"{path}[{place}]")
    elif value is not None:
        yield path, value


def _uuid(id: str) -> str:
    return str(uuid.UUID(hex=id))


def _urn(id: str) -> str:
    return f"urn:uuid:{_uuid(id)}"


def _of(row: OfPatient, kind: str, subject: Resource) -> Resource:
    return {"resourceType": kind, "id": _uuid(row.id), "meta": {"versionId": str(row.version)}, "subject": subject}


def _patient_resource(person: Person) -> Resource:
    numbers = [{"system": "urn:deqi:patient", "value": person.id}]
    if person.number:
        numbers.append({"system": "urn:deqi:number", "value": person.number})
    found: Resource = {"resourceType": "Patient", "id": _uuid(person.id), "meta": {"versionId": str(person.version)},
                       "identifier": numbers, "name": [{"text": person.name}]}
    if person.birth_date:
        found["birthDate"] = person.birth_date
    if person.contact:
        found["telecom"] = [{"system": "other", "value": person.contact}]
    return found


def _answers(row: Assessment, subject: Resource) -> Resource:
    found = response(row.answers, subject["reference"], row.day.isoformat())
    items = {"item": found.pop("item")} if found["item"] else {}
    found.pop("item", None)
    return _of(row, "QuestionnaireResponse", subject) | found | items | {
        "status": "completed" if row.state == "done" else "in-progress"}


def _observation(row: Score, subject: Resource) -> Resource:
    known = next(each for each in fhir()["observations"] if each.get("outcome") == row.outcome)
    system = "loinc" if "loinc" in known else "deqi"
    code: Resource = {"system": fhir()["systems"][system], "code": known[system]}
    if system == "loinc":
        code["display"] = fhir()["writing"]["measure"]["display"]
    unit = "%" if row.outcome == "ODI" else "{score}"
    return _of(row, "Observation", subject) | {
        "status": "final", "code": {"coding": [code], "text": row.outcome}, "effectiveDateTime": row.day.isoformat(),
        "valueQuantity": {"value": row.value, "unit": "percent" if row.outcome == "ODI" else "score",
                          "system": fhir()["systems"]["ucum"], "code": unit},
        "note": [{"text": f"origin: {row.origin}"}]}


def _care_plan(row: Plan, subject: Resource, condition: Resource) -> Iterator[Resource]:
    ended = not runs(row, datetime.date.today())
    asked = {"reference": _urn(row.assessment_id)}
    forecast = [each for each in row.forecast if each["week"] in WEEKS]
    basis: list[Resource] = [asked]
    if forecast:
        calibration = (row.provenance or {}).get("calibration") or "unknown calibration"
        told = risk({"forecast": forecast, "diagnostics": {"calibration": calibration}}, "with", row.began, subject,
                    condition, asked)
        told = {"resourceType": "RiskAssessment", "id": str(uuid.uuid5(uuid.UUID(hex=row.id), "forecast"))} | told
        basis.append({"reference": f"urn:uuid:{told['id']}"})
        yield told
    words = [word for word in (row.note, row.why_ended) if word]
    period = {"start": row.began.isoformat()}
    if row.ended and row.ended >= row.began:
        period["end"] = row.ended.isoformat()
    yield _of(row, "CarePlan", subject) | {
        "status": ("revoked" if row.why_ended else "completed") if ended else "active", "intent": "plan",
        "title": "Plan of care for low back pain", "description": "; ".join(row.sentences) or "no further treatment",
        "period": period, "created": row.created_at.date().isoformat(), "addresses": [condition],
        "supportingInfo": basis,
        **({"activity": [{"detail": {"status": "stopped" if ended else "in-progress", "description": sentence}}
                         for sentence in row.sentences]} if row.sentences else {}),
        **({"note": [{"text": word} for word in words]} if words else {})}


def _procedure(row: Treatment, subject: Resource) -> Resource:
    """A session; its STRICTA fields are notes, for R4 has no elements for them."""
    plan = {"basedOn": [{"reference": _urn(row.plan_id)}]} if row.plan_id else {}
    notes = [{"text": f"{field}: {value}"} for field, value in _parts(row.details)]
    return _of(row, "Procedure", subject) | plan | {
        "status": "completed", "code": {"text": "Acupuncture"}, "performedDateTime": row.day.isoformat(),
        **({"note": notes} if notes else {})}


def _adverse_event(row: AdverseEvent, subject: Resource) -> Resource:
    told = row.details
    words = f"{row.kind.replace('_', ' ')}" + (f": {told['words']}" if told.get("words") else "")
    found = _of(row, "AdverseEvent", subject) | {"actuality": "actual", "event": {"text": words},
                                                 "date": row.day.isoformat()}
    serious = "Serious" if told.get("serious") else "Non-serious"
    found["seriousness"] = {"coding": [{"system": f"{CODES}/adverse-event-seriousness", "code": serious}],
                            "text": ", ".join(told.get("serious") or ()) or "not serious"}
    if told.get("severity"):
        found["severity"] = {"coding": [{"system": f"{CODES}/adverse-event-severity", "code": told["severity"]}]}
    if told.get("outcome") in OUTCOMES:
        found["outcome"] = {"coding": [{"system": f"{CODES}/adverse-event-outcome",
                                        "code": OUTCOMES[told["outcome"]]}]}
    if row.treatment_id:
        found["suspectEntity"] = [{"instance": {"reference": _urn(row.treatment_id)}, **(
            {"causality": [{"assessment": {"text": told["relation"]}}]} if told.get("relation") else {})}]
    return found


def _flag(row: Alert, subject: Resource) -> Resource:
    """Warning signs that the patient reported."""
    said = "; ".join(f"{field}: {value}" if field else str(value) for field, value in _parts(row.signs))
    return _of(row, "Flag", subject) | {
        "status": "inactive" if row.seen_at else "active", "code": {"text": said or "warning signs"},
        "period": {"start": row.day.isoformat()}}


def _document(row: Consultation, subject: Resource) -> Resource:
    """A consultation as it was told, whole, inside a document."""
    data = base64.b64encode(json.dumps(row.result, ensure_ascii=False).encode()).decode("ascii")
    return _of(row, "DocumentReference", subject) | {
        "status": "current", "date": row.created_at.isoformat(timespec="seconds"),
        "context": {"related": [{"reference": _urn(row.assessment_id)}]},
        "content": [{"attachment": {"contentType": "application/json", "title": "consultation", "data": data}}]}
