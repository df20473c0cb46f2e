"""The JSON of the API, as its schema has it. Results may hold more than is named here; requests may not."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from .. import stricta

Theory = Literal["gate", "neurotransmitters", "inflammation", "circulation", "muscle"]
Id = Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="32 hexadecimal digits; says nothing of whom it names")]
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Day = Annotated[datetime.date, Field(description="such as 2026-11-26")]
Seed = Annotated[int, Field(strict=True, ge=0, le=2**32 - 1, description="of every random number")]
Sentence = Annotated[str, Field(max_length=2000)]
PlanText = Annotated[Sentence | Annotated[list[Sentence], Field(max_length=50)], Field(
    description="sentences, such as `acupuncture 30 min twice a week for "
    "6 weeks`; `nothing` for no further treatment")]
PatientFile = Annotated[dict[str, Any], Field(
    description="what stands under `patient:` in a patient file; an unknown key is refused, and the nearest is named",
    examples=[{"age": 52, "sex": "female", "pain": {"week_average": 6, "duration_weeks": 40},
               "disability": {"instrument": "RMDQ", "score": 11}}])]


class Asked(BaseModel):
    """What is asked; nothing that is not named here."""

    model_config = ConfigDict(extra="forbid")


class Told(BaseModel):
    """What is answered."""

    model_config = ConfigDict(extra="allow")


class Error(BaseModel):
    """Why something was refused: one message with the field, what was found, and what is accepted."""

    error: str


class OfPatient(Asked):
    """A patient, of whom as much is told as is known."""

    patient: PatientFile


class ConsultAsked(OfPatient):
    """A consultation."""

    seed: Seed = 1


class ForecastAsked(OfPatient):
    """A forecast under one plan."""

    plan: PlanText = "nothing"
    weeks: Annotated[list[Annotated[int, Field(strict=True, ge=0, le=104)]],
                     Field(min_length=1, max_length=105, description="from now")] = [1, 2, 4, 8, 12]
    seed: Seed = 1


class SimulateAsked(Asked):
    """A virtual population under one plan."""

    plan: PlanText
    patients: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 1000
    population: Literal["acute", "subacute", "chronic"] = "chronic"
    baseline: Annotated[float, Field(strict=True, ge=1, le=9, description="mean pain at enrolment, NRS")] | None = None
    weeks: Annotated[int, Field(strict=True, ge=1, le=104)] = 12
    without: Annotated[list[Theory], Field(max_length=5, description="theories that are absent")] = []
    seed: Seed = 1


class Finding(Told):
    """Something that screening found."""

    id: str
    kind: str
    action: str
    source: str | None


class Screening(Told):
    """What safety asks for before anything else."""

    status: Literal["clear", "caution", "refer", "emergency"]
    findings: list[Finding]


class Applicability(Told):
    """How far a person lies within what was studied."""

    status: str
    reasons: list[str]


class Screened(Told):
    """Screening alone."""

    screening: Screening
    applicability: Applicability


class ForecastRow(Told):
    """What is expected of one outcome in one week."""

    week: int
    outcome: str
    mean: float
    sd: float
    quantiles: dict[str, float]
    p_improved_30pct: float
    p_mic: float


class Forecast(Told):
    """As `deqi forecast --json` writes it."""

    forecast: list[ForecastRow]
    screening: Screening
    diagnostics: dict[str, Any]
    provenance: dict[str, Any]


class Option(Told):
    """One option of a consultation; without numbers where it is closed to this person."""

    id: str
    label: str
    plan: list[str]
    forecast: list[ForecastRow]
    benefit: dict[str, Any] | None
    harms: dict[str, Any] | None
    burden: dict[str, Any] | None


class Consultation(Told):
    """As `deqi consult --json` writes it."""

    patient: dict[str, Any]
    screening: Screening
    options: list[Option]
    tailored: dict[str, Any] | None
    theories: dict[str, Any] | None
    evidence: dict[str, Any]
    provenance: dict[str, Any]


class ByWeek(Told):
    """A score in a population, by week."""

    mean: list[float]
    sd: list[float]
    quantiles: dict[str, list[float]]


class Summary(Told):
    """A population, by week."""

    weeks: list[int]
    nrs: ByWeek
    disability: ByWeek


class Simulation(Told):
    """As `deqi simulate --json` writes it."""

    summary: Summary
    provenance: dict[str, Any]


class Reviewed(Told):
    """What the scores since care began say of going on with it; null where no care runs or no forecast is made."""

    review: dict[str, Any] | None


class Fact(Told):
    """As `deqi evidence ID --json` writes it."""

    id: str
    file: str
    section: str
    use: str | None
    citation: str
    source: dict[str, Any]
    body: dict[str, Any]


class Kept(BaseModel):
    """Something of a record; `version` is what a change of it names in If-Match."""

    id: Id
    version: int


class Patient(Kept):
    """Who a record is about."""

    name: str
    birth_date: str | None
    number: str | None
    contact: str | None
    responsible: Id
    created: datetime.datetime


class Patients(BaseModel):
    """Records of the caller's own, by id; `next` is what to ask for after, null at the end."""

    patients: list[Patient]
    next: Id | None


class ScoreAsked(Asked):
    """A reported score; one a day and scale."""

    day: Day
    outcome: Literal["NRS", "RMDQ", "ODI"]
    value: Annotated[float, Field(strict=True, ge=0, le=100, description="NRS 0-10, RMDQ 0-24, ODI 0-100")]


class Score(Kept):
    """A reported score."""

    day: datetime.date
    outcome: Literal["NRS", "RMDQ", "ODI"]
    value: float
    origin: Literal["practice", "patient", "import"]


class Scores(BaseModel):
    """All scores of a record, by day."""

    scores: list[Score]


def _details(name: str, record: str, about: str) -> type[BaseModel]:
    """The fields of a treatment or an adverse event, as `stricta.yaml` has them, as a model."""
    found: dict[str, Any] = {}
    one_of: Any = Literal
    for field in stricta.fields(record):
        kind: Any
        if field.type == "text":
            kind = Annotated[str, Field(max_length=field.longest)]
        elif field.type == "choice":
            kind = one_of[field.choices]
        elif field.type == "choices":
            kind = Annotated[list[one_of[field.choices]], Field(max_length=len(field.choices))]
        else:
            kind = Annotated[int if field.type == "integer" else float,
                             Field(strict=True, ge=field.low, le=field.high, description=field.unit or None)]
        found[field.id] = (kind, ...) if field.needed else (kind | None, None)
    return create_model(name, __base__=Asked, __doc__=about, **found)


TreatmentDetails = _details("TreatmentDetails", "treatment", "One session in the fields of STRICTA 2010.")
EventDetails = _details("EventDetails", "adverse_event", "What went wrong, in the terms of ICH E2A, E2B and WHO-UMC.")


class TreatmentAsked(Asked):
    """A session that was given."""

    day: Day
    plan: Id | None = None
    details: TreatmentDetails  # type: ignore[valid-type]  # made from a table


class Treatment(Kept):
    """A session that was given."""

    day: datetime.date
    plan: Id | None
    details: dict[str, Any]


class Treatments(BaseModel):
    """All sessions of a record, by day."""

    treatments: list[Treatment]


class EventAsked(Asked):
    """Something unwanted that happened during or after care."""

    day: Day
    treatment: Id | None = None
    details: EventDetails  # type: ignore[valid-type]  # made from a table


class Event(Kept):
    """Something unwanted that happened during or after care."""

    day: datetime.date
    treatment: Id | None
    kind: str
    details: dict[str, Any]


class Events(BaseModel):
    """All adverse events of a record, by day."""

    adverse_events: list[Event]


class Assessment(Kept):
    """What was asked and answered on one day; `answers` is the mapping of a patient file, complete or not."""

    day: datetime.date
    state: str
    answers: dict[str, Any]


class Assessments(BaseModel):
    """All assessments of a record, by day."""

    assessments: list[Assessment]


class AgreedPlan(Kept):
    """A plan that was agreed on, with the forecast made when it began."""

    assessment: Id
    began: datetime.date
    ended: datetime.date | None
    state: str
    sentences: list[str]
    baseline: float
    forecast: list[dict[str, Any]]
    review: list[dict[str, Any]]
    provenance: dict[str, Any]


class Plans(BaseModel):
    """All plans of a record, by the day they began."""

    plans: list[AgreedPlan]
