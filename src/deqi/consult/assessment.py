"""Reads what is known of one patient from a file; what was not given stays unknown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from deqi.consult.fields import LONGEST_LIST, answers, choice, label, medicine, number, refuse, told
from deqi.consult.instruments import questionnaires
from deqi.consult.rules import table
from deqi.consult.symptoms import (
    RANGES,
    WEEKS_PER_YEAR,
    Age,
    Day,
    Disability,
    Pain,
    PastWeek,
    Score,
    Section,
    with_week,
)
from deqi.errors import InputError
from deqi.reading import read_mapping

LONGEST_WORDS = 500
WORKS = ("working", "off_sick", "unable", "not_working")
AVERSIONS = ("visits", "needles", "soreness", "exercise", "medicines", "cost")

Nrs = Annotated[float, number(*RANGES["NRS"])]
Hours = Annotated[float, number(0, 168)]
Wish = Annotated[Literal["willing", "unsure", "refuses"], choice("willing", "unsure", "refuses")]
Medicine = Annotated[str, medicine()]


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
    instruments: Annotated[dict[str, dict[str, float]], questionnaires()] = Field(default_factory=dict)
    red_flags: Annotated[dict[str, bool | None], answers("red_flags")] = Field(default_factory=dict)
    conditions: Annotated[dict[str, bool | None], answers("conditions")] = Field(default_factory=dict)
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
        return [with_week(row, place, info.data) for place, row in enumerate(given)]

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
        if self.sex == "male" and self.conditions.get("pregnancy"):
            raise refuse("a man who is pregnant", "another sex, or false", True, "conditions.pregnancy")
        if self.age is None:
            return self
        began, weeks, most = self.pain.started_at_age, self.pain.duration_weeks, (self.age + 1) * WEEKS_PER_YEAR
        oldest = max([0.0, *(-s.week for s in self.scores), *(-c.start_week for c in self.care_so_far)])
        if oldest > most:
            raise refuse(f"younger than the record: a score or care is from {oldest:g} weeks ago",
                         "an age that goes with it", self.age, "age")
        if began is not None and began > self.age:
            raise refuse("later than today", f"at most the age, {self.age:g}", began, "pain.started_at_age")
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


def patient_of(given: Patient | Mapping[str, Any] | str | Path) -> Patient:
    """A patient as a caller gives it: an assessment, what would stand in a patient file, or the path of one."""
    if isinstance(given, Patient):
        return given
    return parse_patient(given) if isinstance(given, Mapping) else load_patient(given)


def emergency_signs(mapping: object) -> list[str]:
    """Ids of emergency questions that are answered with yes, in a file that need not be right otherwise."""
    patient = mapping.get("patient") if isinstance(mapping, Mapping) else None
    answers = patient.get("red_flags") if isinstance(patient, Mapping) else None
    grave = (row["id"] for row in table("red_flags")["questions"] if row["action"] == "emergency")
    return [id for id in grave if isinstance(answers, Mapping) and answers.get(id) is True]


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
        wrong = told(error, PatientFile, file)
        if emergency_signs(mapping):
            wrong = InputError(f"{wrong.message}. A sign of an emergency is answered with yes: see a doctor at once",
                               file=file, field=wrong.field, found=wrong.found, accepted=wrong.accepted)
        raise wrong from None
    if not patient.care_so_far:
        return patient
    from deqi.care import plan_from  # here, so that a patient without past care is read without the care room

    plans = [plan_from(past.plan, file=file, field=f"patient.care_so_far[{place}].plan")
             for place, past in enumerate(patient.care_so_far)]
    care = tuple(past.model_copy(update={"plan": plan})
                 for past, plan in zip(patient.care_so_far, plans, strict=True))
    return patient.model_copy(update={"care_so_far": care})
