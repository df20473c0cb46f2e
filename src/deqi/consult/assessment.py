"""Reads what is known of one patient from a file; what was not given stays unknown."""

from __future__ import annotations

import datetime
from pathlib import Path
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

from deqi.consult.fields import (
    LONGEST_LIST,
    answer,
    answers,
    choice,
    day,
    label,
    medicine,
    number,
    pain_score,
    refuse,
    told,
)
from deqi.consult.instruments import questionnaires
from deqi.reading import read_mapping

WEEKS_PER_YEAR = 52.18
WEEKS_PER_MONTH = WEEKS_PER_YEAR / 12
RANGES = {"NRS": (0.0, 10.0), "VAS": (0.0, 100.0), "RMDQ": (0.0, 24.0), "ODI": (0.0, 100.0)}
WORKS = ("working", "off_sick", "unable", "not_working")
LONGEST_WORDS = 500
COURSES = ("better", "same", "worse", "comes_and_goes")
AVERSIONS = ("visits", "needles", "soreness", "exercise", "medicines", "cost")

Nrs = Annotated[float, number(*RANGES["NRS"])]
PainScore = Annotated[float, pain_score()]
Age = Annotated[float, number(0, 120)]
Hours = Annotated[float, number(0, 168)]
Day = Annotated[datetime.date, day()]
PastWeek = Annotated[float, number(-6300, 0)]
Answer = Annotated[bool | None, answer()]
Wish = Annotated[Literal["willing", "unsure", "refuses"], choice("willing", "unsure", "refuses")]
Medicine = Annotated[str, medicine()]
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


class PastCare(Section):
    """Care already received: a plan (`deqi.care.Plan` once read) and the week it began, counted from now."""

    plan: Any
    start_week: PastWeek


class Goals(Section):
    """How much each goal matters to the patient, 0 (not at all) to 10; None where nothing was said.

    Attributes:
        words: the goal in the patient's own words.
    """

    pain: Nrs | None = None
    function: Nrs | None = None
    fewer_flares: Nrs | None = None
    fewer_medicines: Nrs | None = None
    words: Annotated[str, label(LONGEST_WORDS)] | None = None


class Preferences(Section):
    """What the patient wants and can give; None where nothing was said.

    Attributes:
        needles, electro, exercise, heat, medicines: willing, unsure or refuses.
        hours_per_week: time for care, with the way there.
        avoid: what the patient would rather be spared; an empty tuple says nothing, None says not asked.
        coverage: whose limit on visits counts; fact `cms_ncd_30_3_3` for `medicare`.
    """

    max_sessions: Annotated[int, number(0, 500, whole=True)] | None = None
    needles: Wish | None = None
    electro: Wish | None = None
    exercise: Wish | None = None
    heat: Wish | None = None
    medicines: Wish | None = None
    hours_per_week: Hours | None = None
    visits_per_week: Annotated[float, number(0, 14)] | None = None
    max_weeks: Annotated[int, number(0, 520, whole=True)] | None = None
    avoid: tuple[Annotated[str, choice(*AVERSIONS)], ...] | None = Field(default=None, max_length=LONGEST_LIST)
    coverage: Annotated[Literal["none", "medicare"], choice("none", "medicare")] | None = None


class Patient(Section):
    """What is known of one patient. None means that it was not given, never a default.

    Attributes:
        date: the day of the assessment, week 0.
        sex: female, male or other.
        disability: None where no instrument was used.
        function: how much the back keeps the patient from daily things, 0-10; recorded, not used in a forecast.
        sleep, mood: trouble sleeping and low mood in the last week, 0-10; recorded, not used in a forecast.
        work: recorded, not used in a forecast.
        activity: hours of at least moderate activity a week; recorded, not used in a forecast.
        instruments: questionnaire id to its parts and `total`, where there is one; recorded, not used in a forecast.
        red_flags, conditions: question id to True, False, or None for unknown; ids in `rules/`.
        medicines: classes of medicines taken; an empty tuple says none, None says not asked.
    """

    id: Annotated[str, label()] | None = None
    date: Day | None = None
    age: Age | None = None
    sex: Annotated[str, choice("female", "male", "other", "unknown")] | None = None
    pain: Pain
    disability: Disability | None = None
    scores: tuple[Score, ...] = Field(default=(), max_length=LONGEST_LIST)
    care_so_far: tuple[PastCare, ...] = Field(default=(), max_length=LONGEST_LIST)
    expectation: Nrs | None = None
    function: Nrs | None = None
    sleep: Nrs | None = None
    mood: Nrs | None = None
    work: Annotated[Literal["working", "off_sick", "unable", "not_working"], choice(*WORKS)] | None = None
    activity: Hours | None = None
    goals: Goals = Goals()
    instruments: Annotated[dict[str, dict[str, float]], questionnaires()] = {}
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

    @field_validator("scores", mode="before")
    @classmethod
    def _dated_scores(cls, given: object, info: ValidationInfo) -> object:
        if not isinstance(given, list | tuple):
            return given
        return [_with_week(row, place, info.data) for place, row in enumerate(given)]

    @field_validator("disability")
    @classmethod
    def _none_is_absent(cls, given: Disability | None) -> Disability | None:
        return None if given is None or given.instrument == "none" else given

    @model_validator(mode="after")
    def _todays_scores_agree(self) -> Self:
        today = {"NRS": self.pain.week_average}
        if self.disability is not None and self.disability.score is not None:
            today[self.disability.instrument] = self.disability.score
        for place, score in enumerate(self.scores):
            now = today.get(score.outcome, score.value)
            if score.week == 0 and score.value != now:
                raise refuse(f"another {score.outcome} for today, where {now:g} stands", "one of them", score.value,
                             ("scores", place, "value"))
        return self

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


def _with_week(row: object, place: int, patient: dict[str, Any]) -> object:
    """A score whose date tells its week, counted from the date of the assessment."""
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
