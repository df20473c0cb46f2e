"""The complaint as a patient file tells it: pain, disability, and the scores of earlier days."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from deqi.consult.fields import answer, choice, day, number, pain_score, refuse

WEEKS_PER_YEAR = 52.18
WEEKS_PER_MONTH = WEEKS_PER_YEAR / 12
RANGES = {"NRS": (0.0, 10.0), "VAS": (0.0, 100.0), "RMDQ": (0.0, 24.0), "ODI": (0.0, 100.0)}
COURSES = ("better", "same", "worse", "comes_and_goes")

PainScore = Annotated[float, pain_score()]
Age = Annotated[float, number(0, 120)]
Day = Annotated[datetime.date, day()]
PastWeek = Annotated[float, number(-6300, 0)]
Answer = Annotated[bool | None, answer()]
_DAY: TypeAdapter[datetime.date] = TypeAdapter(Day)
_PAST_WEEK: TypeAdapter[float] = TypeAdapter(PastWeek)


class Section(BaseModel):
    """A part of the patient file: fixed once read, without unknown keys; an empty or unknown key is an absent one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {key: value for key, value in given.items()
                if not (value is None or (isinstance(value, str) and value == "unknown"))}


class Pain(Section):
    """How strong the pain is, for how long, and where.

    Attributes:
        week_average, worst: NRS 0-10 over the last week; a VAS with its unit becomes the NRS.
        course: how it has been going.
        duration_months, duration_years: other ways to say `duration_weeks`, as given.
        duration_weeks: weeks since this pain began, from whichever way it was said.
        leg_pain: whether there is pain in a leg too.
        leg_pain_average: NRS 0-10 of the leg over the last week.
        started_at_age: age in years when back pain first began; without it, age less duration.
    """

    week_average: PainScore
    worst: PainScore | None = None
    course: Annotated[Literal["better", "same", "worse", "comes_and_goes"], choice(*COURSES)] | None = None
    duration_months: Annotated[float, number(0, 1450)] | None = None
    duration_years: Annotated[float, number(0, 120)] | None = None
    duration_weeks: Annotated[float, number(0, 6300)] | None = Field(default=None, validate_default=True)
    leg_pain: Answer = None
    leg_pain_average: PainScore | None = None
    started_at_age: Age | None = None

    @property
    def leg_pain_dominant(self) -> bool | None:
        """Whether the leg hurts more than the back; leg pain without a score of its own counts as such."""
        if self.leg_pain_average is not None:
            return self.leg_pain_average > self.week_average
        return self.leg_pain

    @field_validator("duration_weeks", mode="after")
    @classmethod
    def _in_weeks(cls, weeks: float | None, info: ValidationInfo) -> float | None:
        given = [("weeks", weeks, 1.0), ("months", info.data.get("duration_months"), WEEKS_PER_MONTH),
                 ("years", info.data.get("duration_years"), WEEKS_PER_YEAR)]
        told = [(value * unit, f"{value:g} {name}", unit) for name, value, unit in given if value is not None]
        for (fine, finer, _), (coarse, coarser, unit) in zip(told, told[1:], strict=False):
            if abs(fine - coarse) > unit:  # people count whole months and years
                raise refuse("two durations that disagree", "one of them", f"{finer} and {coarser}")
        return told[0][0] if told else None

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.worst is not None and self.worst < self.week_average:
            at_least = f"at least {self.week_average:g}"
            raise refuse("the worst pain is below the average", at_least, self.worst, "worst")
        if self.leg_pain is False and self.leg_pain_average:
            raise refuse("a score for a leg said not to hurt", "leg_pain: true, or no score",
                         self.leg_pain_average, "leg_pain_average")
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
    """An earlier score: NRS 0-10, RMDQ 0-24, ODI 0-100 percent; a VAS of 0-100 mm is kept as NRS = VAS / 10.

    Attributes:
        week: weeks from now (0) backwards; from the date, if one was given.
        date: the day of the score, as given.
    """

    week: PastWeek
    date: Day | None = None
    outcome: Annotated[Literal["NRS", "RMDQ", "ODI"], choice("NRS", "RMDQ", "ODI", "VAS")]
    value: Annotated[float, number(0, 100)]

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        _check_range(self.outcome, self.value, "value")
        if str(self.outcome) != "VAS":
            return self
        return self.model_copy(update={"outcome": "NRS", "value": self.value / 10})


def with_week(row: object, place: int, patient: dict[str, Any]) -> object:
    """Tell the week of a score by its date, before the score is read.

    Arguments:
        row: what stands in the list of scores; anything but a mapping with a date is given back as it is.
        place: its place in the list.
        patient: what has been read of the patient, with the `date` of the assessment.

    Raises:
        PydanticCustomError: the date is after the assessment, contradicts a week given too, or cannot be counted.
    """
    if not isinstance(row, dict) or not isinstance(row.get("date"), str | datetime.date) or "date" not in patient:
        return row
    today, key = patient["date"], (place, "date")
    try:
        then = _DAY.validate_python(row["date"])
    except ValidationError:
        return row  # told when the score itself is read
    if today is None:
        raise refuse("a dated score without the date of the assessment", "`date` in `patient` as well, or `week`",
                     row["date"], key)
    if then > today:
        raise refuse("a score after the day of the assessment", f"a date up to {today}", row["date"], key)
    week, told = (then - today).days / 7, row.get("week")
    if told not in (None, "unknown"):
        try:
            told = _PAST_WEEK.validate_python(told)
        except ValidationError:
            return row
        if abs(told - week) > 1:
            raise refuse("a date and a week that disagree", f"one of them, or week: {week:.3g}", told, (place, "week"))
    return row | {"week": week}


def _check_range(instrument: str, value: float, key: str) -> None:
    low, high = RANGES[instrument]
    if not low <= value <= high:
        raise refuse(f"out of range for {instrument}", f"a number from {low:g} to {high:g}", value, key)
