"""The records of a practice, for other programs: those of the caller's own patients, read and added to.

Every change names the version it was made from in `If-Match`; made from another than the current one it is refused, so
nobody's change is lost.
"""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import JSONResponse, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...errors import InputError
from .. import stricta
from ..guard import Caller, Of, Store, Who, own, own_records
from ..imports import EARLIEST
from ..store import whole
from ..store.audit import note
from ..store.database import Conflict
from ..store.scores import checked
from ..store.tables import AdverseEvent, Assessment, OfPatient, Person, Plan, Score, Treatment
from ..store.trail import last_change, names
from . import models
from .compute import FhirResponse
from .strict import Outdated, StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["records"], generate_unique_id_function=lambda route: route.name)
OfId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
Matching = Annotated[str, Header(alias="if-match", pattern=r'^(W/)?"?[0-9]{1,9}"?$', description="the version that the "
                                 'change was made from, such as "3"')]
NUMBER = re.compile(r"[0-9]+")
Body = dict[str, Any]


@router.get("/patients", name="api_patients", response_model=models.Patients)
def patients(caller: Who, database: Store,
             after: Annotated[str, Query(pattern="^[0-9a-f]{32}$", description="an id: those after it")] = "0" * 32,
             limit: Annotated[int, Query(ge=1, le=500)] = 100) -> Response:
    """The records that are the caller's own."""
    with database.read() as store:
        found = list(store.scalars(select(Person).where(own_records(caller), Person.id > after).order_by(Person.id)
                                   .limit(limit + 1)))
    with database.write(caller) as store:
        note(store, "listed", "patients", "")
    return JSONResponse({"patients": [_person(one) for one in found[:limit]],
                         "next": found[limit - 1].id if len(found) > limit else None})


@router.get("/patients/{patient}", name="api_patient", response_model=models.Patient)
def patient(patient: OfId, caller: Who, database: Store) -> Response:
    """Who a record is about."""
    with database.read() as store:
        return JSONResponse(_person(store.get_one(Person, caller.patient_id)))


@router.get("/patients/{patient}/bundle", name="api_bundle", response_class=FhirResponse, response_model=dict[str, Any])
def bundle(patient: OfId, caller: Who, database: Store) -> Response:
    """The whole record as a FHIR R4 bundle."""
    with database.read() as store:
        found = whole.as_fhir(store, caller.patient_id)
    with database.write(caller) as store:
        note(store, "exported", "patients", caller.patient_id, caller.patient_id)
    return FhirResponse(found)


@router.get("/patients/{patient}/scores", name="api_scores", response_model=models.Scores)
def scores(patient: OfId, caller: Who, database: Store) -> Response:
    """All scores of a record."""
    return _all(database, caller, Score, "scores", _score)


@router.post("/patients/{patient}/scores", name="api_score_add", status_code=201, response_model=models.Score)
def score_add(patient: OfId, asked: models.ScoreAsked, caller: Who, database: Store) -> Response:
    """Add a score; 409 where there is one for the day and scale already."""
    _check_score(asked)
    with database.write(caller) as store:
        row = Score(patient_id=caller.patient_id, created_by=caller.actor, origin="import", **asked.model_dump())
        _none_on(store, row)
        store.add(row)
        store.flush()
        return _made(_score(row))


@router.put("/patients/{patient}/scores/{score}", name="api_score_change", response_model=models.Score)
def score_change(patient: OfId, score: OfId, asked: models.ScoreAsked, caller: Who, database: Store, if_match: Matching
                 ) -> Response:
    """Correct a score."""
    _check_score(asked)
    with database.write(caller) as store:
        row = _current(store, caller, Score, score, if_match)
        row.day, row.outcome, row.value = asked.day, asked.outcome, asked.value
        _none_on(store, row)
        store.flush()
        return JSONResponse(_score(row))


@router.delete("/patients/{patient}/scores/{score}", name="api_score_delete", status_code=204, response_class=Response)
def score_delete(patient: OfId, score: OfId, caller: Who, database: Store, if_match: Matching) -> Response:
    """Take a score out; the audit trail keeps what it was."""
    with database.write(caller) as store:
        store.delete(_current(store, caller, Score, score, if_match))
    return Response(status_code=204)


@router.get("/patients/{patient}/treatments", name="api_treatments", response_model=models.Treatments)
def treatments(patient: OfId, caller: Who, database: Store) -> Response:
    """All sessions of a record."""
    return _all(database, caller, Treatment, "treatments", _treatment)


@router.post("/patients/{patient}/treatments", name="api_treatment_add", status_code=201,
             response_model=models.Treatment)
def treatment_add(patient: OfId, asked: models.TreatmentAsked, caller: Who, database: Store) -> Response:
    """Log a session."""
    details = _read("treatment", asked)
    with database.write(caller) as store:
        _belongs(store, caller, Plan, asked.plan, "plan")
        row = Treatment(patient_id=caller.patient_id, created_by=caller.actor, day=asked.day, plan_id=asked.plan,
                        details=details)
        store.add(row)
        store.flush()
        return _made(_treatment(row))


@router.put("/patients/{patient}/treatments/{treatment}", name="api_treatment_change",
            response_model=models.Treatment)
def treatment_change(patient: OfId, treatment: OfId, asked: models.TreatmentAsked, caller: Who, database: Store,
                     if_match: Matching) -> Response:
    """Correct a session."""
    details = _read("treatment", asked)
    with database.write(caller) as store:
        row = _current(store, caller, Treatment, treatment, if_match)
        _belongs(store, caller, Plan, asked.plan, "plan")
        row.day, row.plan_id, row.details = asked.day, asked.plan, details
        store.flush()
        return JSONResponse(_treatment(row))


@router.get("/patients/{patient}/adverse-events", name="api_events", response_model=models.Events)
def events(patient: OfId, caller: Who, database: Store) -> Response:
    """All adverse events of a record."""
    return _all(database, caller, AdverseEvent, "adverse_events", _event)


@router.post("/patients/{patient}/adverse-events", name="api_event_add", status_code=201, response_model=models.Event)
def event_add(patient: OfId, asked: models.EventAsked, caller: Who, database: Store) -> Response:
    """Log an adverse event."""
    details = _read("adverse_event", asked)
    with database.write(caller) as store:
        _belongs(store, caller, Treatment, asked.treatment, "treatment")
        row = AdverseEvent(patient_id=caller.patient_id, created_by=caller.actor, day=asked.day,
                           treatment_id=asked.treatment, kind=details["kind"], details=details)
        store.add(row)
        store.flush()
        return _made(_event(row))


@router.put("/patients/{patient}/adverse-events/{event}", name="api_event_change", response_model=models.Event)
def event_change(patient: OfId, event: OfId, asked: models.EventAsked, caller: Who, database: Store, if_match: Matching
                 ) -> Response:
    """Correct an adverse event; one that a patient reported counts as looked at from then on."""
    details = _read("adverse_event", asked)
    with database.write(caller) as store:
        row = _current(store, caller, AdverseEvent, event, if_match)
        _belongs(store, caller, Treatment, asked.treatment, "treatment")
        if row.details.get("reported_by"):
            details |= {"reported_by": row.details["reported_by"], "reviewed": True}
        row.day, row.treatment_id, row.kind, row.details = asked.day, asked.treatment, details["kind"], details
        store.flush()
        return JSONResponse(_event(row))


@router.get("/patients/{patient}/assessments", name="api_assessments", response_model=models.Assessments)
def assessments(patient: OfId, caller: Who, database: Store) -> Response:
    """All assessments of a record."""
    return _all(database, caller, Assessment, "assessments", lambda row: _kept(row) | {
        "day": row.day.isoformat(), "state": row.state, "answers": row.answers})


@router.get("/patients/{patient}/plans", name="api_plans", response_model=models.Plans)
def plans(patient: OfId, caller: Who, database: Store) -> Response:
    """All plans of a record, with the forecasts that outcomes are held against."""
    with database.read() as store:
        found = store.scalars(select(Plan).where(Plan.patient_id == caller.patient_id).order_by(Plan.began, Plan.id))
        return JSONResponse({"plans": [_kept(row) | {
            "assessment": row.assessment_id, "began": row.began.isoformat(), "ended": _iso(row.ended),
            "state": row.state, "sentences": row.sentences, "baseline": row.baseline, "forecast": row.forecast,
            "review": row.review, "provenance": row.provenance} for row in found]})


def _all(database: Store, caller: Caller, kind: Any, name: str, shown: Any) -> Response:
    with database.read() as store:
        rows = store.scalars(select(kind).where(kind.patient_id == caller.patient_id).order_by(kind.day, kind.id))
        return JSONResponse({name: [shown(row) for row in rows]})


def _current(store: Session, caller: Caller, kind: type[Of], id: str, if_match: str) -> Of:
    """A row of the caller's record, if it still is as the caller knew it."""
    row = own(store, caller, kind, id)
    version = NUMBER.search(if_match)
    if version is None or int(version[0]) != row.version:
        actor, at = last_change(store, row)
        when = at.isoformat(timespec="seconds") if at else "an earlier day"
        raise Outdated(f"if-match: {names(store, [actor]).get(actor, 'somebody')} changed this on "
                       f"{when}, nothing was saved; found {if_match[:20]!r}; accepted: "
                       f'"{row.version}", after reading it again')
    return row


def _belongs(store: Session, caller: Caller, kind: type[OfPatient], id: str | None, field: str) -> None:
    if id is not None and store.scalar(select(kind.id).where(kind.id == id, kind.patient_id == caller.patient_id)
                                       ) is None:
        raise InputError("not of this record", field=field, found=id, accepted="an id of this patient's record")


def _none_on(store: Session, row: Score) -> None:
    with store.no_autoflush:
        other = store.scalar(select(Score.id).where(
            Score.patient_id == row.patient_id, Score.day == row.day, Score.outcome == row.outcome,
            Score.id != (row.id or "")))
    if other is not None:
        raise Conflict(f"day: there is a score of this scale on this day already; found {row.day}; accepted: another "
                       f"day, or a change of score {other}")


def _check_score(asked: models.ScoreAsked) -> None:
    checked(asked.day, asked.outcome, asked.value, datetime.date.today())


def _read(record: str, asked: models.TreatmentAsked | models.EventAsked) -> Body:
    """Details, held to the rules between the fields too."""
    if not EARLIEST <= asked.day <= datetime.date.today():
        raise InputError("not a day until today", field="day", found=str(asked.day),
                         accepted=f"a day from {EARLIEST.year} until today")
    form = {name: [str(each) for each in value] if isinstance(value, list) else str(value)
            for name, value in asked.model_dump()["details"].items() if value is not None}
    return stricta.read(record, form, float)


def _made(content: Body) -> Response:
    return JSONResponse(content, 201)


def _kept(row: Any) -> Body:
    return {"id": row.id, "version": row.version}


def _person(row: Person) -> Body:
    return _kept(row) | {"name": row.name, "birth_date": row.birth_date, "number": row.number, "contact": row.contact,
                         "responsible": row.responsible_id, "created": row.created_at.isoformat()}


def _score(row: Score) -> Body:
    return _kept(row) | {"day": row.day.isoformat(), "outcome": row.outcome, "value": row.value, "origin": row.origin}


def _treatment(row: Treatment) -> Body:
    return _kept(row) | {"day": row.day.isoformat(), "plan": row.plan_id, "details": row.details}


def _event(row: AdverseEvent) -> Body:
    return _kept(row) | {"day": row.day.isoformat(), "treatment": row.treatment_id, "kind": row.kind,
                         "details": row.details}


def _iso(day: datetime.date | None) -> str | None:
    return None if day is None else day.isoformat()
