"""The treatment log: each session in the fields of STRICTA 2010, and what went wrong during or after it."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.datastructures import FormData

from ...errors import InputError
from .. import stricta
from ..catalogue import Words, texts
from ..guard import Caller, Store, Who, own
from ..imports import EARLIEST
from ..locale import Locale
from ..page import locale_of, page
from ..problems import Problems
from ..store import treatments as kept
from ..store.database import Database
from ..store.first import First, what_first
from ..store.tables import AdverseEvent, Person, Plan, Treatment, new_id
from ..store.trail import names
from .merging import merge, version_in
from .once import add_once

router = APIRouter()
Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
MAIN = ("session", "stimulation", "points", "point_names", "insertions", "depth", "retention_minutes", "frequency_hz",
        "milliamps", "response_obtained", "variation", "note")
"""Fields of a session that the page shows open; the others stand behind a heading, filled in already."""
Values = dict[str, Any]


@router.get("/patients/{patient}/treatments", name="treatments")
def treatments(request: Request, patient: Id, caller: Who, database: Store) -> Response:
    """The sessions and the adverse events of a record."""
    with database.read() as store:
        sessions, events = kept.treatments_of(store, caller.patient_id), kept.events_of(store, caller.patient_id)
        person = store.get(Person, caller.patient_id)
        authors = names(store, [one.created_by for one in [*sessions, *events]])
    return page(request, "treatments/treatments.html.j2", patient=caller.patient_id, person=person, sessions=sessions,
                events=events, authors=authors, open={one.id for one in events if kept.is_open(one)},
                serious={one.id for one in events if kept.is_serious(one.details)})


@router.get("/patients/{patient}/treatments/new", name="treatment_new")
def treatment_new(request: Request, patient: Id, caller: Who, database: Store) -> Response:
    """A new session, filled in from the plan and the session before."""
    with database.read() as store:
        plan = kept.plan_on(store, caller.patient_id, datetime.date.today())
        given = kept.prefilled(store, caller.patient_id, plan)
    given["day"] = datetime.date.today().isoformat()
    return _new_session(request, caller, database, _as_typed("treatment", given, locale_of(request)), {})


@router.post("/patients/{patient}/treatments/new", name="treatment_add")
def treatment_add(request: Request, patient: Id, caller: Who, database: Store) -> Response:
    """Keeps a session."""
    found, errors = _read("treatment", caller.form, locale_of(request))
    if errors:
        return _new_session(request, caller, database, _typed("treatment", caller.form), errors)
    with database.write(caller) as store:
        day = found.pop("day")
        plan = kept.plan_on(store, caller.patient_id, day)
        add_once(store, caller, Treatment(patient_id=caller.patient_id, created_by=caller.account, day=day,
                                          plan_id=plan.id if plan is not None else None, details=found))
    return _to(request, "treatments", caller)


@router.get("/patients/{patient}/treatments/{treatment}", name="treatment")
def treatment(request: Request, patient: Id, treatment: Id, caller: Who, database: Store) -> Response:
    """One session, to be corrected."""
    with database.read() as store:
        row = own(store, caller, Treatment, treatment)
    return _session_page(request, caller, _as_typed("treatment", _values(row), locale_of(request)), {}, row)


@router.post("/patients/{patient}/treatments/{treatment}", name="treatment_change")
def treatment_change(request: Request, patient: Id, treatment: Id, caller: Who, database: Store) -> Response:
    """Corrects a session; a change made meanwhile by somebody else is shown beside one's own."""
    found, errors = _read("treatment", caller.form, locale_of(request))
    with database.write(caller) as store:
        row = own(store, caller, Treatment, treatment)
        if errors:
            return _session_page(request, caller, _typed("treatment", caller.form), errors, row)
        if row.version != version_in(caller.form):
            return _conflict(request, store, row, "treatment", found)
        day = found.pop("day")
        if day != row.day:
            under = kept.plan_on(store, caller.patient_id, day)
            row.plan_id = under.id if under else None
        row.day, row.details = day, found
    return _to(request, "treatments", caller)


@router.post("/patients/{patient}/treatments/{treatment}/delete", name="treatment_delete")
def treatment_delete(request: Request, patient: Id, treatment: Id, caller: Who, database: Store) -> Response:
    """Takes out a session that was not given; its adverse events stay, tied to no session."""
    with database.write(caller) as store:
        row = own(store, caller, Treatment, treatment)
        if row.version != version_in(caller.form):
            return _session_page(request, caller, _as_typed("treatment", _values(row), locale_of(request)), {}, row,
                                 409)
        for event in store.scalars(select(AdverseEvent).where(AdverseEvent.treatment_id == row.id)):
            event.treatment_id = None
        store.flush()
        store.delete(row)
    return _to(request, "treatments", caller)


@router.get("/patients/{patient}/events/new", name="event_new")
def event_new(request: Request, patient: Id, caller: Who, database: Store) -> Response:
    """A new adverse event, of the last session unless another is chosen."""
    with database.read() as store:
        sessions = kept.treatments_of(store, caller.patient_id)
    given = {"day": datetime.date.today().isoformat(), "treatment": sessions[0].id if sessions else ""}
    return _event_page(request, caller, _as_typed("adverse_event", given, locale_of(request)), {}, None, sessions)


@router.post("/patients/{patient}/events/new", name="event_add")
def event_add(request: Request, patient: Id, caller: Who, database: Store) -> Response:
    """Keeps an adverse event."""
    found, errors = _read("adverse_event", caller.form, locale_of(request))
    with database.write(caller) as store:
        sessions = kept.treatments_of(store, caller.patient_id)
        if errors:
            return _event_page(request, caller, _typed("adverse_event", caller.form), errors, None, sessions)
        row = add_once(store, caller, AdverseEvent(
            patient_id=caller.patient_id, created_by=caller.account, day=found.pop("day"), kind=found.pop("kind"),
            treatment_id=_session_of(found.pop("treatment"), sessions), details=found))
    return _after_event(request, caller, row)


@router.get("/patients/{patient}/events/{event}", name="event")
def event(request: Request, patient: Id, event: Id, caller: Who, database: Store) -> Response:
    """One adverse event: what to do if it is serious, and the form to correct it."""
    with database.read() as store:
        row, sessions = own(store, caller, AdverseEvent, event), kept.treatments_of(store, caller.patient_id)
    return _event_page(request, caller, _as_typed("adverse_event", _values(row), locale_of(request)), {}, row, sessions)


@router.post("/patients/{patient}/events/{event}", name="event_change")
def event_change(request: Request, patient: Id, event: Id, caller: Who, database: Store) -> Response:
    """Corrects an adverse event; one that a patient reported counts as looked at from then on."""
    found, errors = _read("adverse_event", caller.form, locale_of(request))
    with database.write(caller) as store:
        row, sessions = own(store, caller, AdverseEvent, event), kept.treatments_of(store, caller.patient_id)
        if errors:
            return _event_page(request, caller, _typed("adverse_event", caller.form), errors, row, sessions)
        if row.version != version_in(caller.form):
            return _conflict(request, store, row, "adverse_event", found)
        if row.details.get("reported_by"):
            found |= {"reported_by": row.details["reported_by"], "reviewed": True}
        row.day, row.kind = found.pop("day"), found.pop("kind")
        row.treatment_id, row.details = _session_of(found.pop("treatment"), sessions), found
    return _after_event(request, caller, row)


def _new_session(request: Request, caller: Caller, database: Database, given: Values, errors: Mapping[str, str]
                 ) -> Response:
    """The form of a new session, below what has to be read before any is given."""
    with database.read() as store:
        plan = kept.plan_on(store, caller.patient_id, datetime.date.today())
        first = what_first(store, caller.patient_id, plan)
    return _session_page(request, caller, given, errors, None, first=first, plan=plan)


def _session_page(request: Request, caller: Caller, given: Values, errors: Mapping[str, str], row: Treatment | None,
                  status: int = 200, first: First | None = None, plan: Plan | None = None) -> Response:
    known = stricta.fields("treatment")
    main = [field for name in MAIN for field in known if field.id == name]
    rest = [field for field in known if field.id not in MAIN]
    return page(request, "treatments/treatment.html.j2", 422 if errors else status, patient=caller.patient_id,
                given=given, errors=errors, row=row, once=_once(caller), first=first, plan=plan, main=main, rest=rest,
                today=datetime.date.today(), beyond=bool({field.id for field in rest} & set(errors)),
                labels=_labels(request, "treatment"), choices_of=_choices_of(request))


def _event_page(request: Request, caller: Caller, given: Values, errors: Mapping[str, str], row: AdverseEvent | None,
                sessions: list[Treatment]) -> Response:
    return page(request, "treatments/event.html.j2", 422 if errors else 200, patient=caller.patient_id, given=given,
                errors=errors, row=row, once=_once(caller), fields=stricta.fields("adverse_event"),
                choices_of=_choices_of(request),
                labels=_labels(request, "adverse_event"), sessions=_days(request, sessions),
                today=datetime.date.today(), serious=row is not None and kept.is_serious(row.details),
                reported=row is not None and kept.is_open(row))


def _once(caller: Caller) -> str:
    return str(caller.form.get("once", ""))[:32] or new_id()


def _read(record: str, form: FormData, fmt: Locale) -> tuple[Values, dict[str, str]]:
    """What a form says, with its day (and session, for an event), and what is wrong with it by field."""
    typed, errors = _typed(record, form), {}
    try:
        found = stricta.read(record, typed, fmt.parse_number)
    except Problems as problems:
        found, errors = {}, problems.by_field
    try:
        day = datetime.date.fromisoformat(typed["day"])
        if not EARLIEST <= day <= datetime.date.today():
            raise ValueError
        found["day"] = day
    except ValueError:
        refused = InputError("not a day until today", found=typed["day"][:40], accepted="a day until today")
        errors = {"day": str(refused), **errors}
    if record == "adverse_event":
        found["treatment"] = typed["treatment"]
    return found, errors


def _typed(record: str, form: FormData) -> Values:
    """A form's texts by field; several choices as a list, also where they came as one text with commas."""
    typed: Values = {"day": str(form.get("day", "")).strip(), "treatment": str(form.get("treatment", "")).strip()}
    for field in stricta.fields(record):
        texts_given = [text for text in form.getlist(field.id) if isinstance(text, str)]
        if field.type == "choices":
            typed[field.id] = [part for text in texts_given for part in text.split(",") if part]
        else:
            typed[field.id] = texts_given if len(texts_given) > 1 else (texts_given or [""])[0]
    return typed


def _as_typed(record: str, values: Mapping[str, Any], fmt: Locale) -> Values:
    """Stored values as a form shows them."""
    typed: Values = {"day": values.get("day", ""), "treatment": values.get("treatment") or ""}
    for field in stricta.fields(record):
        value = values.get(field.id)
        many = list(value or ()) if field.type == "choices" else None
        typed[field.id] = many if many is not None else fmt.number(value, 2) if isinstance(value, int | float) else (
            value or "")
    return typed


def _values(row: Treatment | AdverseEvent) -> Values:
    own: Values = {"kind": row.kind, "treatment": row.treatment_id} if isinstance(row, AdverseEvent) else {}
    return {**row.details, **own, "day": row.day.isoformat()}


def _conflict(request: Request, store: Session, row: Treatment | AdverseEvent, record: str, mine: Values) -> Response:
    fmt = locale_of(request)
    words = texts(fmt.language)
    name = "treatment" if record == "treatment" else "event"
    labels = _labels(request, record)
    days = {one.id: fmt.date(one.day) for one in kept.treatments_of(store, row.patient_id)}

    def before(content: Mapping[str, Any]) -> Values:
        own = {"kind": content.get("kind"), "treatment": content.get("treatment_id")}
        return {**content["details"], "day": content["day"], **own} if content else {}

    def shown(field: str, value: Any) -> str:
        return days.get(value, "") if field == "treatment" else said(words, field, value, fmt)

    theirs = _values(row)
    mine = mine | {"day": mine["day"].isoformat()}
    if "treatment" in mine:
        mine["treatment"], theirs["treatment"] = mine["treatment"] or None, theirs["treatment"] or None
    return merge(request, store, row, version_in(request.state.caller.form), theirs, mine, labels, before, shown,
                 _sent(fmt),
                 str(request.app.url_path_for(f"{name}_change", patient=row.patient_id, **{name: row.id})),
                 str(request.app.url_path_for("treatments", patient=row.patient_id)))


def _labels(request: Request, record: str) -> dict[str, str]:
    """The labels of a form, by field."""
    words = texts(locale_of(request).language)
    labels = {"day": words["treatments"]["day"]} | {
        field.id: words["stricta"][record][field.id]["label"] for field in stricta.fields(record)}
    return labels | ({"treatment": words["treatments"]["of_session"]} if record == "adverse_event" else {})


def _choices_of(request: Request) -> Callable[[stricta.Field], list[tuple[str, str]]]:
    record = texts(locale_of(request).language)["stricta"]

    def choices_of(field: stricta.Field) -> list[tuple[str, str]]:
        known = record["kinds"] if field.id == "kind" else record["choices"][field.id]
        return [(choice, known[choice]) for choice in field.choices]

    return choices_of


def _days(request: Request, sessions: list[Treatment]) -> list[tuple[str, str]]:
    """The sessions to choose from, by day."""
    fmt = locale_of(request)
    none = texts(fmt.language)["treatments"]["no_session"]
    return [("", none), *((one.id, fmt.date(one.day)) for one in sessions)]


def said(words: Words, field: str, value: Any, fmt: Locale) -> str:
    """A value of a field in words."""
    if value in (None, "", []):
        return ""
    if isinstance(value, int | float):
        return fmt.number(value, 2)
    known = words["stricta"]["kinds"] if field == "kind" else (
        words["stricta"]["choices"][field] if field in words["stricta"]["choices"] else {})
    many = value if isinstance(value, list) else [value]
    return ", ".join(str(known[one]) if one in known else str(one) for one in many)


def _sent(fmt: Locale) -> Callable[[str, Any], str]:
    def sent(field: str, value: Any) -> str:
        if isinstance(value, list):
            return ",".join(value)
        return fmt.number(value, 4) if isinstance(value, int | float) else str(value or "")

    return sent


def _session_of(id: str, sessions: list[Treatment]) -> str | None:
    """A session of this very record, or none."""
    return next((one.id for one in sessions if one.id == id), None)


def _after_event(request: Request, caller: Caller, row: AdverseEvent) -> Response:
    """To the list; after a serious event to its page, which says what to do."""
    if kept.is_serious(row.details):
        return RedirectResponse(request.app.url_path_for("event", patient=caller.patient_id, event=row.id), 303)
    return _to(request, "treatments", caller)


def _to(request: Request, name: str, caller: Caller) -> Response:
    return RedirectResponse(request.app.url_path_for(name, patient=caller.patient_id), 303)
