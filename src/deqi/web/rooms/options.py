"""The options side by side, and one's own, which moves with the sliders."""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.orm import Session

from ...care import plan_from
from ...consult.assessment import Patient, parse_patient
from ...consult.screening import Screening, screen
from ...consult.wording import texts as report_texts
from ...errors import InputError
from ..catalogue import texts
from ..engine import Engine
from ..guard import Caller, Store, Who, own
from ..page import locale_of, page
from ..sliders import RANGES, STEPS, Sliders, closed_choices, fitted, kept, merged, of_plan, offered, parts, read
from ..store.assessments import patient_mapping
from ..store.database import Database
from ..store.plans import open_plans, running
from ..store.safety import Reason, open_to_options, standing
from ..store.tables import Assessment

router = APIRouter()
Id = Annotated[str, Path(max_length=32)]
OWN_SCORES_WEEKS = 26
"""How far back a person's own scores are drawn."""


@dataclass(frozen=True)
class Case:
    """One assessment made ready for what comes after screening.

    Arguments:
        assessment: as stored.
        file: the patient file.
        shut: why no options may be shown; None if they may be.
        plan: the id of the plan that runs.
        newest: the id of a newer assessment that shuts this one; None where it is this one's own answers, or an alert.
    """

    assessment: Assessment
    file: Mapping[str, Any]
    shut: Reason | Literal["alert"] | None
    plan: str | None
    newest: str | None = None

    @cached_property
    def patient(self) -> Patient:
        """The patient, as the model reads the file."""
        return parse_patient(self.file)

    @cached_property
    def screening(self) -> Screening:
        """What screening finds."""
        return screen(self.patient)

    @property
    def own_scores(self) -> list[dict[str, float]]:
        """Pain as reported, weeks from now."""
        scores = [{"week": one.week, "value": one.value} for one in self.patient.scores
                  if one.outcome == "NRS" and one.week >= -OWN_SCORES_WEEKS]
        return [*scores, *([] if any(one["week"] == 0 for one in scores)
                           else [{"week": 0.0, "value": self.patient.pain.week_average}])]


def case(database: Database, caller: Caller, assessment: str) -> Case:
    """An assessment of the caller's patient.

    Raises:
        Refused: there is no such assessment in this record.
    """
    with database.read() as store:
        return case_in(store, caller, assessment)


def case_in(store: Session, caller: Caller, assessment: str) -> Case:
    """The same, within a read or a write that is under way."""
    row = own(store, caller, Assessment, assessment)
    today = datetime.date.today()
    plan = running(open_plans(store, caller.patient_id, today), today)
    known, told = standing(store, caller.patient_id), open_to_options(row)
    why: Reason | Literal["alert"] | None = told
    if known.shut is not None and told != "emergency":
        why = known.shut
    is_newer = known.shut in ("emergency", "refer") and why == known.shut and known.assessment_id != row.id
    return Case(row, patient_mapping(store, caller.patient_id, row), why, plan.id if plan else None,
                known.assessment_id if is_newer else None)


def shut(request: Request, of: Case, status: int = 200) -> Response:
    """The page that says why there are no options, and where to go."""
    return page(request, "options/shut.html.j2", status, of=of, reasons=[])


def get_ready(request: Request, of: Case) -> None:
    """Have made what the page of the options shows, before it is asked for."""
    if of.shut is None:
        with contextlib.suppress(InputError):  # the page that needs it will say so
            fit = fitted(kept((of.assessment.choices or {}).get("yours")).plan, of.screening, of.patient)
            request.app.state.engine.get_ready(of.file, fit.asked)


@router.get("/patients/{patient}/assessments/{assessment}/options", name="options")
def options(request: Request, patient: Id, assessment: Id, caller: Who, database: Store) -> Response:
    """The options side by side."""
    of = case(database, caller, assessment)
    if of.shut:
        return shut(request, of)
    engine: Engine = request.app.state.engine
    found = engine.options(of.file)
    if not found["options"]:
        return page(request, "options/shut.html.j2", of=of, reasons=found["reasons"])
    now = kept((of.assessment.choices or {}).get("yours"))
    return page(request, "options/options.html.j2", of=of, found=found, now=now, ranges=RANGES, steps=STEPS,
                closed=closed_choices(of.screening, of.patient), offered=list(offered(now)), parts_of=parts(),
                before=json.dumps(now.as_data()), **_shown(request, of, now))


@router.post("/patients/{patient}/assessments/{assessment}/options", name="options_try")
def options_try(request: Request, patient: Id, assessment: Id, caller: Who, database: Store) -> Response:
    """One's own plan as the sliders stand: for htmx its column and picture, nothing kept; else kept and shown."""
    now = read(caller.form)
    if "hx-request" not in request.headers:
        _keep(database, caller, assessment, now)
        return _to_options(request, caller, assessment)
    of = case(database, caller, assessment)
    if of.shut:
        return shut(request, of, 409)
    return page(request, "options/_yours.html.j2", of=of, **_shown(request, of, now))


@router.post("/patients/{patient}/assessments/{assessment}/options/keep", name="options_keep")
def options_keep(request: Request, patient: Id, assessment: Id, caller: Who, database: Store) -> Response:
    """Keeps the sliders as they stand, once a hand has let go."""
    now = _keep(database, caller, assessment, read(caller.form))
    return page(request, "options/_before.html.j2", before=json.dumps(now.as_data()))


@router.post("/patients/{patient}/assessments/{assessment}/options/take", name="options_take")
def options_take(request: Request, patient: Id, assessment: Id, caller: Who, database: Store) -> Response:
    """Sets the sliders as near to a plan as they go."""
    plan = plan_from(sentences_in(caller))
    with database.write(caller) as store:
        _set(own(store, caller, Assessment, assessment), of_plan(plan))
    return _to_options(request, caller, assessment)


def sentences_in(caller: Caller) -> list[str]:
    """The sentences of a plan in a form, a line each."""
    text = str(caller.form.get("plan", ""))[:5000]
    return [line.strip() for line in text.splitlines() if line.strip()] or ["nothing"]


def _keep(database: Database, caller: Caller, assessment: str, now: Sliders) -> Sliders:
    """Keep the sliders, laid field by field over what somebody else may have moved since the page was made.

    Sliders are scratch: nobody is asked to choose between two hands on them, and no plan is made of what is kept here
    but of what a page shows when it is agreed on. So the form carries how they stood (`before`), and no version.
    """
    try:
        before = kept(json.loads(str(caller.form.get("before", ""))[:2000]))
    except (ValueError, RecursionError):
        before = None
    with database.write(caller) as store:
        row = own(store, caller, Assessment, assessment)
        told = (row.choices or {}).get("yours")
        if before is not None and told is not None:
            now = merged(before, now, kept(told))
        if told != now.as_data():
            _set(row, now)
    return now


def _set(row: Assessment, now: Sliders) -> None:
    row.choices = {**(row.choices or {}), "yours": now.as_data()}


def _to_options(request: Request, caller: Caller, assessment: str) -> Response:
    return RedirectResponse(request.app.url_path_for("options", patient=caller.patient_id, assessment=assessment), 303)


def _shown(request: Request, of: Case, now: Sliders) -> dict[str, Any]:
    """One's own plan beside no further treatment, and the words for both."""
    engine: Engine = request.app.state.engine
    fit = fitted(now.plan, of.screening, of.patient)
    found = engine.plan_option(of.file, fit.asked)
    if found["option"] is None:
        raise InputError(" ".join(found["reasons"]) or "no forecast is made for this person")
    words = texts(locale_of(request).language)["options"]
    yours = {**found["option"], "id": "yours", "label": words["yours"], "notes": list(fit.notes)}
    if fit.closed:
        yours |= {"available": False, "why_not": " ".join(fit.notes), "notes": [], "benefit": None, "forecast": []}
    figure = report_texts()["course"]["figure"]
    return {"c": report_texts(), "yours": yours, "nothing": found["nothing"], "sentences": fit.sentences,
            "fan_words": {name: {**figure, "title": words["fan"][name]} for name in ("nothing", "yours")}}
