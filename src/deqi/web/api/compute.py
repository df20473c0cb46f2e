"""What the model computes, for other programs: the same JSON as the commands write. Nothing is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from threading import Lock
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import JSONResponse, Response

from ...consult.intake import check
from ...consult.screening import applicability, screen
from ...errors import DeqiError
from ...evidence import fact, show
from ...interop.fhir_forms import questionnaire
from ..engine import Busy, Engine
from ..guard import Who
from .models import (
    ConsultAsked,
    Consultation,
    Fact,
    Forecast,
    ForecastAsked,
    OfPatient,
    Reviewed,
    Screened,
    SimulateAsked,
    Simulation,
)
from .strict import Missing, StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["compute"], generate_unique_id_function=lambda route: route.name)
AT_ONCE = 2
"""Computations of one account's programs, so that they leave places to others."""
WAIT_SECONDS = 5
_at_work: Counter[str] = Counter()
_counting = Lock()


async def the_engine(request: Request) -> Engine:
    """The engine."""
    engine: Engine = request.app.state.engine
    return engine


@contextmanager
def _one_more(caller: Who) -> Iterator[None]:
    """Of an account's computations at one time.

    Raises:
        Busy: it has as many already as one account may.
    """
    with _counting:
        if _at_work[caller.account] >= AT_ONCE:
            raise Busy(WAIT_SECONDS)
        _at_work[caller.account] += 1
    try:
        yield
    finally:
        with _counting:
            _at_work[caller.account] -= 1
            if not _at_work[caller.account]:
                del _at_work[caller.account]


Model = Annotated[Engine, Depends(the_engine)]


class FhirResponse(JSONResponse):
    """A FHIR resource."""

    media_type = "application/fhir+json"


@router.post("/screen", name="api_screen", response_model=Screened)
def screened(asked: OfPatient) -> Response:
    """Screen a patient for what needs care before anything else; not everything need have been asked yet."""
    patient = check({"patient": asked.patient})
    return JSONResponse({"screening": screen(patient).as_json(), "applicability": asdict(applicability(patient))})


@router.post("/consult", name="api_consult", response_model=Consultation)
def consult(asked: ConsultAsked, caller: Who, engine: Model) -> Response:
    """Screen a patient, compare the options and tailor a plan; as `deqi consult --json`. Takes many seconds."""
    with _one_more(caller):
        return JSONResponse(engine.consult({"patient": asked.patient}, asked.seed))


@router.post("/forecast", name="api_forecast", response_model=Forecast)
def forecast(asked: ForecastAsked, caller: Who, engine: Model) -> Response:
    """Forecast reported pain and disability under one plan; as `deqi forecast --json`."""
    with _one_more(caller):
        return JSONResponse(engine.forecast({"patient": asked.patient}, asked.plan, asked.weeks, asked.seed))


@router.post("/simulate", name="api_simulate", response_model=Simulation)
def simulate(asked: SimulateAsked, caller: Who, engine: Model) -> Response:
    """Simulate a virtual population under one plan; as `deqi simulate --json`."""
    given: dict[str, Any] = asked.model_dump(exclude={"plan"})
    with _one_more(caller):
        return JSONResponse(engine.simulate(asked.plan, **given))


@router.post("/review", name="api_review", response_model=Reviewed)
def review(asked: OfPatient, caller: Who, engine: Model) -> Response:
    """Hold the scores since care began against going on and stopping."""
    with _one_more(caller):
        return JSONResponse({"review": engine.review({"patient": asked.patient})})


@router.get("/evidence/{id}", name="api_evidence", response_model=Fact)
def evidence(id: Annotated[str, Path(max_length=200)]) -> Response:
    """The fact behind a number, with its source; as `deqi evidence ID --json`."""
    try:
        return JSONResponse(show.as_json(fact(id)))
    except DeqiError as error:
        raise Missing(str(error)) from None


@router.get("/questions", name="api_questions", response_class=FhirResponse, response_model=dict[str, Any])
def questions() -> Response:
    """The questions of an assessment, as a FHIR R4 Questionnaire."""
    return FhirResponse(questionnaire())
