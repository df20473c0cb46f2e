"""From a proposal to a plan: tailoring, agreeing, the plan for who treats, and the page that the patient takes home."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.orm import Session

from ...care import plan_from, sentences
from ...consult.harms import plainly
from ...consult.intake import check
from ...consult.letter import needling_of, prescription
from ...consult.limits import permits
from ...consult.points import hazards
from ...consult.report import render, render_letter
from ...consult.rules import table
from ...consult.wording import texts as report_texts
from ...errors import DeqiError, InputError
from ..engine import Engine, Pending
from ..guard import Caller, Store, Who, own
from ..page import locale_of, page
from ..store.database import Conflict
from ..store.plans import (
    Agreed,
    agree,
    end,
    first_and_last_day,
    key_of,
    latest_consultation,
    mark,
    open_plans,
    review_days,
    runs,
    used_up,
)
from ..store.safety import standing
from ..store.tables import Assessment, Consultation, Plan
from .options import Case, case, case_in, sentences_in, shut

router = APIRouter()
Id = Annotated[str, Path(max_length=32)]
ALONE = "default-src 'none'; style-src 'unsafe-inline'; sandbox; base-uri 'none'; frame-ancestors 'none'"
"""What a self-contained page may do: nothing but show itself."""
MOST_PENDING = 64
LONGEST_WORDS = 2000


@router.post("/patients/{patient}/assessments/{assessment}/tailored", name="tailored_start")
def tailored_start(request: Request, patient: Id, assessment: Id, caller: Who, database: Store) -> Response:
    """Begins a whole consultation, unless the one that stands is of these answers or on its way."""
    of = case(database, caller, assessment)
    if of.shut:
        return shut(request, of, 409)
    with database.read() as store:
        told = latest_consultation(store, caller.patient_id, assessment)
    if told is None or told.key != key_of(of.file):
        _begin(request.app, of)
    return _to(request, "tailored", patient=caller.patient_id, assessment=assessment)


@router.get("/patients/{patient}/assessments/{assessment}/tailored", name="tailored")
def tailored(request: Request, patient: Id, assessment: Id, caller: Who, database: Store) -> Response:
    """The proposal, or that it is being made; keeps it once it is there."""
    of = case(database, caller, assessment)
    if of.shut:
        return shut(request, of)
    key, problem = key_of(of.file), ""
    waiting = _pending(request.app).get((assessment, key))
    if waiting is not None and waiting.done:
        _pending(request.app).pop((assessment, key), None)
        try:
            result = waiting.result()
        except DeqiError as error:
            problem = str(error)
        else:
            with database.write(caller) as store:
                store.add(Consultation(patient_id=caller.patient_id, created_by=caller.account,
                                       assessment_id=assessment, key=key, result=result))
        waiting = None
    polled = "hx-request" in request.headers
    if waiting is not None:
        return Response(status_code=204) if polled else page(request, "plans/wait.html.j2", of=of)
    if polled:
        return Response(headers={"hx-refresh": "true"})
    with database.read() as store:
        told = latest_consultation(store, caller.patient_id, assessment)
    return page(request, "plans/tailored.html.j2", of=of, told=told, problem=problem, c=report_texts(),
                stale=told is not None and told.key != key)


@router.get("/patients/{patient}/consultations/{consultation}/report", name="report")
def report(request: Request, patient: Id, consultation: Id, caller: Who, database: Store) -> Response:
    """The whole report, as it was told."""
    return _alone(render(_consultation(database, caller, consultation)))


@router.get("/patients/{patient}/consultations/{consultation}/letter", name="letter")
def letter(request: Request, patient: Id, consultation: Id, caller: Who, database: Store) -> Response:
    """The letter to whoever goes on with the care."""
    return _alone(render_letter(_consultation(database, caller, consultation)))


@router.post("/patients/{patient}/assessments/{assessment}/plan", name="plan_ask")
def plan_ask(request: Request, patient: Id, assessment: Id, caller: Who, database: Store) -> Response:
    """Shows a plan once more and asks from when it starts."""
    of = case(database, caller, assessment)
    if of.shut:
        return shut(request, of, 409)
    return _ask(request, database, caller, of, {})


@router.post("/patients/{patient}/assessments/{assessment}/plan/agree", name="plan_agree")
def plan_agree(request: Request, patient: Id, assessment: Id, caller: Who, database: Store) -> Response:
    """Begins a plan, with the forecast that is made for it now, and ends the one that runs."""
    of = case(database, caller, assessment)
    if of.shut:
        return shut(request, of, 409)
    try:
        agreed = _agreed(request, caller, of)
        seen = str(caller.form.get("key", ""))
        with database.write(caller) as store:
            now = case_in(store, caller, assessment)
            used = used_up(store, now.assessment, datetime.date.today())
            is_same = seen == key_of(of.file) == key_of(now.file)
            made = None
            if now.shut is None and used is None and is_same:
                made = agree(store, caller.patient_id, assessment, agreed, caller.account,
                             seen=str(caller.form.get("seen", "")), why_ended=_text(caller, "why"))
                store.flush()
    except InputError as error:
        return _ask(request, database, caller, of, {str(error.field): _told(error)}, 422)
    except Conflict:
        return _ask(request, database, caller, of, {"seen": "conflict"}, 409)
    if now.shut:
        return shut(request, now, 409)
    if made is None:
        return _ask(request, database, caller, now, {} if used else {"key": "changed"}, 409)
    return _to(request, "plan", patient=caller.patient_id, plan=made.id)


@router.get("/patients/{patient}/plans/{plan}", name="plan")
def plan(request: Request, patient: Id, plan: Id, caller: Who, database: Store) -> Response:
    """The plan for who treats: what, when, how needles, what to mind, when to look again and when to stop."""
    return _plan_page(request, database, caller, plan)


@router.post("/patients/{patient}/plans/{plan}/end", name="plan_end")
def plan_end(request: Request, patient: Id, plan: Id, caller: Who, database: Store) -> Response:
    """Ends a plan, with the reason."""
    try:
        with database.write(caller) as store:
            row = own(store, caller, Plan, plan)
            if str(row.version) != str(caller.form.get("version", "")):
                raise Conflict("somebody else changed this plan in between; nothing was saved")
            end(store, row, _text(caller, "why"))
    except InputError as error:
        return _plan_page(request, database, caller, plan, {"why": _told(error)}, 422)
    except Conflict:
        return _plan_page(request, database, caller, plan, {"version": "conflict"}, 409)
    return _to(request, "plan", patient=caller.patient_id, plan=plan)


@router.get("/patients/{patient}/plans/{plan}/page", name="patient_page")
def patient_page(request: Request, patient: Id, plan: Id, caller: Who, database: Store) -> Response:
    """What the patient takes home: large, plain, to be printed."""
    with database.read() as store:
        row = own(store, caller, Plan, plan)
        today = _today(store, row)
    return page(request, "plans/patient.html.j2", plan=row, **today, shown=first_of_each, plainly=plainly,
                **_about(row))


def first_of_each(harms: Sequence[Mapping[str, Any]], most: int) -> list[Mapping[str, Any]]:
    """The first harms of each kind of care; the table has the most telling ones ahead."""
    seen: Counter[str] = Counter()
    found = []
    for harm in harms:
        seen[harm["care"]] += 1
        if seen[harm["care"]] <= most:
            found.append(harm)
    return found


def _plan_page(request: Request, database: Any, caller: Caller, plan: str, errors: Mapping[str, str] = {},
               status: int = 200) -> Response:
    with database.read() as store:
        row = own(store, caller, Plan, plan)
        assessed = own(store, caller, Assessment, row.assessment_id)
        today = _today(store, row)
        told = latest_consultation(store, caller.patient_id, row.assessment_id)
    care = plan_from(row.sentences)
    return page(request, "plans/plan.html.j2", status, plan=row, assessment=assessed, errors=dict(errors), told=told,
                prescription=prescription(needling_of(care)), **today, **_about(row))


def _today(store: Session, row: Plan) -> dict[str, Any]:
    """What a plan meets today, by the newest assessment: what to mind, and whether it may still go on."""
    known = standing(store, row.patient_id)
    newest = store.get_one(Assessment, known.assessment_id or row.assessment_id)
    patient, care, screening = check(newest.answers), plan_from(row.sentences), known.screening
    is_running = runs(row, datetime.date.today())
    return {"newest": newest, "stands": known.shut, "runs": is_running, "hazards": hazards(care, patient),
            "screening": screening,
            "refused": list(permits(care, screening, patient)) if is_running and screening is not None else []}


def _about(row: Plan) -> dict[str, Any]:
    """What both pages of a plan show."""
    course = [one for one in row.forecast if one["outcome"] == "NRS"]
    told = row.told or {}
    return {"c": report_texts(), "reviews": review_days(row), "course": course, "option": told.get("plan"),
            "nothing": told.get("nothing"), "safety": table("red_flags")["safety_net"],
            "begin": [{"week": 0.0, "value": row.baseline}], "care": plan_from(row.sentences)}


def _ask(request: Request, database: Any, caller: Caller, of: Case, errors: Mapping[str, str], status: int = 200
         ) -> Response:
    wanted = sentences_in(caller)
    care, today = plan_from(wanted), datetime.date.today()
    with database.read() as store:
        plans, used = open_plans(store, caller.patient_id, today), used_up(store, of.assessment, today)
    given = {name: _text(caller, name) for name in ("began", "note", "why")}
    given["began"] = given["began"] or max(of.assessment.day, today).isoformat()
    return page(request, "plans/ask.html.j2", status, of=of, sentences=sentences(care), plans=plans,
                today=today, seen=mark(plans), given=given, errors=dict(errors), visits=care.visits,
                key=key_of(of.file), used=used,
                not_allowed=permits(care, of.screening, of.patient))


def _agreed(request: Request, caller: Caller, of: Case) -> Agreed:
    """What a form asks to agree on, with its forecast.

    Raises:
        InputError: a day or a plan that may not be.
    """
    care = plan_from(sentences_in(caller))
    refused = permits(care, of.screening, of.patient)
    if refused:
        raise InputError(" ".join(refused), field="plan")
    began = _day(request, caller, of.assessment)
    engine: Engine = request.app.state.engine
    found = engine.plan_option(of.file, sentences(care) if care.courses else [])
    if found["option"] is None:
        raise InputError(" ".join(found["reasons"]) or "no forecast is made for this person", field="plan")
    option = dict(found["option"])
    return Agreed(
        sentences=sentences(care), began=began, forecast=option.pop("forecast"), review=found["review"],
        baseline=of.patient.pain.week_average, provenance=found["provenance"], note=_text(caller, "note") or None,
        told={"plan": option, "nothing": {key: value for key, value in found["nothing"].items() if key != "forecast"}})


def _day(request: Request, caller: Caller, assessment: Assessment) -> datetime.date:
    first, last = first_and_last_day(assessment.day)
    typed, fmt = _text(caller, "began"), locale_of(request)
    try:
        day = datetime.date.fromisoformat(typed)
    except ValueError:
        day = None
    if day is None or not first <= day <= last:
        raise InputError("not a day on which it can start", field="began", found=typed[:20],
                         accepted=f"a day from {fmt.date(first)} to {fmt.date(last)}")
    return day


def _consultation(database: Any, caller: Caller, consultation: str) -> Mapping[str, Any]:
    with database.read() as store:
        result: Mapping[str, Any] = own(store, caller, Consultation, consultation).result
    return result


def _begin(app: FastAPI, of: Case) -> None:
    """Ask for a consultation, once for one file; what nobody came back for makes room."""
    pending = _pending(app)
    key = (of.assessment.id, key_of(of.file))
    if key in pending:
        return
    for old in [old for old, one in pending.items() if one.done][:max(0, len(pending) - MOST_PENDING + 1)]:
        pending.pop(old, None)
    engine: Engine = app.state.engine
    pending[key] = engine.submit_consult(of.file)


def forget(app: FastAPI, assessments: Collection[str]) -> None:
    """Drop from memory what was computed for assessments that are erased."""
    pending = _pending(app)
    for key in [key for key in pending if key[0] in assessments]:
        pending.pop(key, None)
    app.state.engine.forget()


def _pending(app: FastAPI) -> dict[tuple[str, str], Pending]:
    """Consultations on their way, by assessment and file; gone when the server ends, and then asked for again."""
    found: dict[tuple[str, str], Pending] = app.state._state.setdefault("consultations", {})
    return found


def _alone(html: str) -> Response:
    return HTMLResponse(html, headers={"content-security-policy": ALONE})


def _text(caller: Caller, name: str) -> str:
    return str(caller.form.get(name, "")).strip()[:LONGEST_WORDS]


def _told(error: InputError) -> str:
    return str(InputError(error.message, found=error.found, accepted=error.accepted))


def _to(request: Request, name: str, **params: str) -> Response:
    return RedirectResponse(request.app.url_path_for(name, **params), 303)
