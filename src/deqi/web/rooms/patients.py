"""The list of patients, and one patient's hub: who it is, where things stand, who may open the record."""

from __future__ import annotations

import contextlib
import datetime
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...errors import InputError
from ...tables import shipped
from .. import due
from ..catalogue import texts
from ..guard import Caller, Refused, Store, Who, own_records
from ..page import page
from ..store import assessments, patients, safety
from ..store.database import StoreUnavailable
from ..store.first import what_first
from ..store.plans import open_plans, running
from ..store.scores import open_alerts
from ..store.tables import Account, Assessment, Person, Plan, Score, Treatment, new_id
from . import plans
from .once import add_once

router = APIRouter()
EXAMPLE = Path(__file__).parent.parent / "example.yaml"


@router.get("/patients", name="patients")
def patient_list(request: Request, caller: Who, database: Store) -> Response:
    """The caller's own records, the one that changed last first, with what is due."""
    with database.read() as store:
        found, count = patients.listed(store, own_records(caller), today())
        return page(request, "patients/list.html.j2", found=found, count=count, words="", today=today(),
                    alerts=open_alerts(store, own_records(caller)))


@router.post("/patients/find", name="patients_find")
def find(request: Request, caller: Who, database: Store) -> Response:
    """The records whose name or number begins like what was typed."""
    words = str(caller.form.get("words", ""))[:200]
    template = "patients/_list.html.j2" if "hx-request" in request.headers else "patients/list.html.j2"
    with database.read() as store:
        found, count = patients.listed(store, own_records(caller), today(), words)
        return page(request, template, found=found, count=count, words=words, today=today(),
                    alerts=open_alerts(store, own_records(caller)))


@router.post("/patients/example", name="patient_example")
def example(request: Request, caller: Who, database: Store) -> Response:
    """Makes the example patient, with an assessment that is filled in."""
    given = shipped(EXAMPLE)
    with database.write(caller) as store:
        person = Person(id=new_id(), responsible_id=caller.account, **given["person"])
        store.add(person)
        store.flush()
        answers = {"patient": {"date": today().isoformat(), **given["patient"]}}
        made = Assessment(patient_id=person.id, created_by=caller.account, day=today(), answers=answers)
        store.add(made)
        store.flush()
        assessments.finish(store, made, caller.account)
    return _to(request, "patient", patient=person.id)


@router.get("/patients/new", name="patient_new")
def new(request: Request, caller: Who) -> Response:
    """Asks who the patient is."""
    return page(request, "patients/new.html.j2", given=dict.fromkeys(patients.FIELDS), once=new_id(),
                problems={})


@router.post("/patients/new", name="patient_made")
def made(request: Request, caller: Who, database: Store) -> Response:
    """Makes a record."""
    try:
        given = patients.read_person(caller.form, today())
    except InputError as error:
        return page(request, "patients/new.html.j2", 422, given=_typed(caller), problems=_told(error),
                    once=str(caller.form.get("once", ""))[:32] or new_id())
    with database.write(caller) as store:
        person = add_once(store, caller, Person(responsible_id=caller.account, **given))
    return _to(request, "patient", patient=person.id)


@router.get("/patients/{patient}", name="patient")
def hub(request: Request, caller: Who, database: Store) -> Response:
    """Where this person is on the way, and the doors to all rooms."""
    with database.read() as store:
        person = the_person(store, caller)
        done = list(store.scalars(select(Assessment).where(Assessment.patient_id == person.id)
                                  .order_by(Assessment.day.desc(), Assessment.created_at.desc())))
        agreed = open_plans(store, person.id, today())
        current = running(agreed, today())
        scores = list(store.scalars(select(Score).where(Score.patient_id == person.id)
                                    .order_by(Score.day.desc(), Score.outcome).limit(8)))
        reviews, lacking = _due(store, person.id, current)
        treated = store.execute(select(func.count(), func.max(Treatment.day))
                                .where(Treatment.patient_id == person.id)).one()
        newest = done[0] if done else None
        first = what_first(store, person.id, current)
        born = datetime.date.fromisoformat(person.birth_date) if person.birth_date else None
        return page(request, "patients/patient.html.j2", person=person, born=born,
                    alerts=open_alerts(store, Person.id == person.id), assessments=done, newest=newest,
                    current=current, later=next((each for each in agreed if each.began > today()), None),
                    first=first, scores=scores, reviews=reviews, lacking=lacking, treated=treated,
                    blocked=safety.open_to_options(newest) if newest else None,
                    responsible=store.get_one(Account, person.responsible_id), team=patients.team(store, person.id),
                    colleagues=patients.colleagues(store), clinicians=patients.colleagues(store, "clinician"),
                    today=today())


@router.get("/patients/{patient}/edit", name="patient_edit")
def edit(request: Request, caller: Who, database: Store) -> Response:
    """Asks what is to change about who the patient is."""
    with database.read() as store:
        person = the_person(store, caller)
        given = {key: getattr(person, key) for key in patients.FIELDS}
        return page(request, "patients/edit.html.j2", person=person, given=given, version=person.version, problems={})


@router.post("/patients/{patient}/edit", name="patient_changed")
def changed(request: Request, caller: Who, database: Store) -> Response:
    """Changes who the patient is; where somebody else did in between, asks which of the two stands."""
    version = str(caller.form.get("version", ""))
    if not version.isdecimal() or len(version) > 9:
        raise InputError("missing", field="version", accepted="the form as it was opened")
    try:
        given = patients.read_person(caller.form, today())
    except InputError as error:
        with database.read() as store:
            return page(request, "patients/edit.html.j2", 422, person=the_person(store, caller), given=_typed(caller),
                        version=int(version), problems=_told(error))
    with database.write(caller) as store:
        person = the_person(store, caller)
        if person.version != int(version) and (rows := _rivals(store, person, given, int(version))):
            who, when = patients.last_change(store, "patients", person.id)
            kept = {key: getattr(person, key) or "" for key in patients.FIELDS if key not in {r["name"] for r in rows}}
            return page(request, "conflict.html.j2", 409, who_changed=who, when=when, fields=rows, kept=kept,
                        version=person.version, back=_url(request, "patient", patient=person.id),
                        action=_url(request, "patient_changed", patient=person.id))
        for key, value in given.items() if person.version == int(version) else ():
            setattr(person, key, value)
    return _to(request, "patient", patient=caller.patient_id)


@router.post("/patients/{patient}/team", name="patient_team")
def change_team(request: Request, caller: Who, database: Store) -> Response:
    """Adds somebody to the team, takes somebody from it, or makes another clinician responsible."""
    account = str(caller.form.get("account", ""))[:32]
    acts = {"join": patients.join, "leave": patients.leave, "hand_over": patients.hand_over}
    act = acts.get(str(caller.form.get("act", "")))
    if act is None:
        raise InputError("unknown", field="act", accepted=", ".join(acts))
    with database.write(caller) as store:
        act(store, _responsible_for(store, caller), account)
    return _to(request, "patient", patient=caller.patient_id)


@router.get("/patients/{patient}/erase", name="patient_erase")
def erase(request: Request, caller: Who, database: Store) -> Response:
    """Says what erasing takes away, and asks for a word that nobody types by mistake."""
    with database.read() as store:
        return _erase_page(request, store, _responsible_for(store, caller), {})


@router.post("/patients/{patient}/erase", name="patient_erased")
def erased(request: Request, caller: Who, database: Store) -> Response:
    """Erases the whole record."""
    with database.write(caller) as store:
        person = _responsible_for(store, caller)
        word = _word(person)
        if str(caller.form.get("word", "")).strip().casefold() != word.casefold():
            problem = InputError(texts()["patients"]["erase"]["wrong"], field="word")
            return _erase_page(request, store, person, _told(problem), 422)
        made = set(store.scalars(select(Assessment.id).where(Assessment.patient_id == person.id)))
        patients.erase(store, person)
    plans.forget(request.app, made)
    with contextlib.suppress(StoreUnavailable):  # traces that somebody's reading keeps go when the server stops
        database.forget()
    return _to(request, "patients")


def the_person(store: Session, caller: Caller) -> Person:
    """The patient that the route is about."""
    person = store.get(Person, caller.patient_id)
    if person is None:
        raise Refused(404, "no_record")
    return person


def today() -> datetime.date:
    """This day, on this machine's clock."""
    return datetime.date.today()


def _responsible_for(store: Session, caller: Caller) -> Person:
    person = the_person(store, caller)
    if person.responsible_id != caller.account:
        raise Refused(403, "not_allowed")
    return person


def _due(store: Session, patient: str, plan: Plan | None) -> tuple[list[due.Review], int | None]:
    if plan is None:
        return [], None
    treated = list(store.scalars(select(Treatment.day).where(Treatment.plan_id == plan.id).order_by(Treatment.day)))
    scored = list(store.scalars(select(Score.day).where(Score.patient_id == patient, Score.outcome == "NRS")))
    return (due.reviews(plan.began, plan.review, treated, scored, today()),
            due.days_without_score(plan.began, scored, today()))


def _rivals(store: Session, person: Person, given: dict[str, str | None], version: int) -> list[dict[str, Any]]:
    """The fields that the caller changed and that stand otherwise now."""
    before = patients.before_change(store, "patients", person.id, person.id, version) or {}
    words = texts()["patients"]["fields"]
    return [{"name": key, "label": words[key], "before": before.get(key) or "", "theirs": getattr(person, key) or "",
             "mine": given[key] or ""} for key in patients.FIELDS
            if given[key] not in (before.get(key), getattr(person, key))]


def _erase_page(request: Request, store: Session, person: Person, problems: dict[str, str], status: int = 200
                ) -> Response:
    return page(request, "patients/erase.html.j2", status, person=person, counts=patients.counts(store, person.id),
                word=_word(person), problems=problems)


def _word(person: Person) -> str:
    return person.number or str(texts()["patients"]["erase"]["word"])


def _typed(caller: Caller) -> dict[str, str]:
    return {key: str(caller.form.get(key) or "")[:1000] for key in patients.FIELDS}


def _told(error: InputError) -> dict[str, str]:
    return {str(error.field): str(InputError(error.message, found=error.found, accepted=error.accepted))}


def _url(request: Request, name: str, **ids: str) -> str:
    return str(request.app.url_path_for(name, **ids))


def _to(request: Request, name: str, **ids: str) -> Response:
    return RedirectResponse(_url(request, name, **ids), 303)
