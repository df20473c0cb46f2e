"""Reads what is known of one patient from a file; what was not given stays unknown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from deqi.consult.fields import LONGEST_LIST, answer, answers, choice, label, medicine, number, refuse, told
from deqi.reading import read_mapping

WEEKS_PER_YEAR = 52.18
RANGES = {"NRS": (0.0, 10.0), "RMDQ": (0.0, 24.0), "ODI": (0.0, 100.0)}

Nrs = Annotated[float, number(*RANGES["NRS"])]
Age = Annotated[float, number(0, 120)]
PastWeek = Annotated[float, number(-6300, 0)]
Answer = Annotated[bool | None, answer()]
Wish = Annotated[Literal["willing", "unsure", "refuses"], choice("willing", "unsure", "refuses")]
Medicine = Annotated[str, medicine()]


class Section(BaseModel):
    """A part of the patient file: fixed once read, without unknown keys; an empty key is an absent one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {key: value for key, value in given.items() if value is not None}


class Pain(Section):
    """How strong the pain is, for how long, and where.

    Attributes:
        week_average, worst: NRS 0-10 over the last week.
        duration_weeks: weeks since this pain began.
        leg_pain: whether there is pain in a leg too.
        leg_pain_average: NRS 0-10 of the leg over the last week.
        started_at_age: age in years when back pain first began; without it, age less duration.
    """

    week_average: Nrs
    worst: Nrs | None = None
    duration_weeks: Annotated[float, number(0, 6300)] | None = None
    leg_pain: Answer = None
    leg_pain_average: Nrs | None = None
    started_at_age: Age | None = None

    @property
    def leg_pain_dominant(self) -> bool | None:
        """Whether the leg hurts more than the back; leg pain without a score of its own counts as such."""
        if self.leg_pain_average is not None:
            return self.leg_pain_average > self.week_average
        return self.leg_pain

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.worst is not None and self.worst < self.week_average:
            at_least = f"at least {self.week_average:g}"
            raise refuse("the worst pain is below the average", at_least, self.worst, "worst")
        return self


class Disability(Section):
    """A disability score in its own instrument: RMDQ 0-24, ODI 0-100 percent, or none."""

    instrument: Annotated[Literal["RMDQ", "ODI", "none"], choice("RMDQ", "ODI", "none")]
    score: Annotated[float, number(0, 100)] | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.instrument == "none":
            if self.score is not None:
                raise refuse("a score without an instrument", "instrument: RMDQ | ODI", self.score, "score")
        elif self.score is None:
            raise refuse("missing", f"the {self.instrument} score", key="score")
        else:
            _check_range(self.instrument, self.score, "score")
        return self


class Score(Section):
    """An earlier score: `week` counts from now (0) backwards; NRS 0-10, RMDQ 0-24, ODI 0-100 percent."""

    week: PastWeek
    outcome: Annotated[Literal["NRS", "RMDQ", "ODI"], choice("NRS", "RMDQ", "ODI")]
    value: Annotated[float, number(0, 100)]

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        _check_range(self.outcome, self.value, "value")
        return self


class PastCare(Section):
    """Care already received: a plan (`deqi.care.Plan` once read) and the week it began, counted from now."""

    plan: Any
    start_week: PastWeek


class Preferences(Section):
    """What the patient wants and can give; None where nothing was said."""

    max_sessions: Annotated[int, number(0, 500, whole=True)] | None = None
    needles: Wish | None = None
    electro: Wish | None = None
    hours_per_week: Annotated[float, number(0, 168)] | None = None


class Patient(Section):
    """What is known of one patient. None means that it was not given, never a default.

    Attributes:
        disability: None where no instrument was used.
        red_flags, conditions: question id to True, False, or None for unknown; ids in `rules/`.
        medicines: classes of medicines taken; an empty tuple says none, None says not asked.
    """

    id: Annotated[str, label()] | None = None
    age: Age | None = None
    sex: Annotated[str, choice("female", "male", "other", "unknown")] | None = None
    pain: Pain
    disability: Disability | None = None
    scores: tuple[Score, ...] = Field(default=(), max_length=LONGEST_LIST)
    care_so_far: tuple[PastCare, ...] = Field(default=(), max_length=LONGEST_LIST)
    expectation: Nrs | None = None
    red_flags: Annotated[dict[str, bool | None], answers("red_flags")] = {}
    conditions: Annotated[dict[str, bool | None], answers("conditions")] = {}
    medicines: tuple[Medicine, ...] | None = Field(default=None, max_length=LONGEST_LIST)
    preferences: Preferences = Preferences()

    @property
    def onset_age(self) -> float | None:
        """Age in years when the back pain first began, as far as the file tells."""
        if self.pain.started_at_age is not None:
            return self.pain.started_at_age
        if self.age is None or self.pain.duration_weeks is None:
            return None
        return self.age - self.pain.duration_weeks / WEEKS_PER_YEAR

    @field_validator("disability")
    @classmethod
    def _none_is_absent(cls, given: Disability | None) -> Disability | None:
        return None if given is None or given.instrument == "none" else given

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.age is None:
            return self
        began, weeks = self.pain.started_at_age, self.pain.duration_weeks
        if began is not None and began > self.age:
            raise refuse("later than today", f"at most the age, {self.age:g}", began, "pain.started_at_age")
        most = (self.age + 1) * WEEKS_PER_YEAR
        if weeks is not None and weeks > most:
            raise refuse("longer than a life", f"at most {most:.0f} weeks", weeks, "pain.duration_weeks")
        return self


class PatientFile(Section):
    """The file: one key, `patient`."""

    patient: Patient


def load_patient(path: str | Path) -> Patient:
    """Read a patient file.

    Arguments:
        path: a YAML file, or a JSON one if it ends in `.json`.

    Raises:
        InputError: the file cannot be read, or something in it is not accepted; the first such thing is
            named, with how many more there are.
    """
    return parse_patient(read_mapping(path), file=str(path))


def parse_patient(mapping: object, file: str | None = None) -> Patient:
    """Make a patient of what stood in a file, a line of a batch or a form.

    Arguments:
        mapping: a mapping with the one key `patient`.
        file: the name to put into an error.

    Raises:
        InputError: as `load_patient`.
    """
    try:
        patient = PatientFile.model_validate(mapping).patient
    except ValidationError as error:
        raise told(error, PatientFile, file) from None
    if not patient.care_so_far:
        return patient
    from deqi.care import plan_from  # here, so that a patient without past care is read without the care room

    plans = [plan_from(past.plan, file=file, field=f"patient.care_so_far[{place}].plan")
             for place, past in enumerate(patient.care_so_far)]
    care = tuple(past.model_copy(update={"plan": plan})
                 for past, plan in zip(patient.care_so_far, plans, strict=True))
    return patient.model_copy(update={"care_so_far": care})


def _check_range(instrument: str, value: float, key: str) -> None:
    low, high = RANGES[instrument]
    if not low <= value <= high:
        raise refuse(f"out of range for {instrument}", f"a number from {low:g} to {high:g}", value, key)
