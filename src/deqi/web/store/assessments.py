"""What a patient was asked, as the model takes it.

`patient_mapping` is the patient file of an assessment for every forecast. Answers are merged question by question: two
people who answer different ones never collide.
"""

from __future__ import annotations

import copy
import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...care import Plan as Care
from ...care import plan_from, sentences
from ...consult.intake import answer_to, check, placed, settled
from ...consult.questions import Question
from ...consult.revisit import MOST_WEEKS, carried
from ...errors import DeqiError, InputError
from .tables import Assessment, Person, Plan, Score

File = dict[str, Any]
MOST_SCORES = 1000
SAME_SCORE_DAYS = 3
"""A score that was typed without its day is taken for a stored one that is this near."""


class AnswerChanged(DeqiError):
    """Somebody else gave another answer to the same question in between.

    Attributes:
        theirs: the answer as it stands now.
    """

    def __init__(self, theirs: Any):
        self.theirs = theirs
        super().__init__("somebody else changed this answer in between")


@dataclass(frozen=True)
class Clash:
    """A score of an assessment beside another one that the store holds for the same day.

    Arguments:
        outcome: NRS, RMDQ or ODI.
        own: by the answers.
        stored: as it stands.
        origin: of the stored one.
    """

    outcome: str
    own: float
    stored: float
    origin: str


def patient_mapping(store: Session, patient_id: str, assessment: Assessment) -> File:
    """Return the patient file of an assessment, for the engine.

    It holds the answers, the stored scores up to the day of the assessment, each with its date, and the plans that
    began before it as care received, a plan that was ended as far as it went. Today's scores are the answers: a stored
    score of the same day does not stand beside them.

    Arguments:
        store: of a read or a write.
        patient_id: whose record it is.
        assessment: of that patient.
    """
    patient = settled(copy.deepcopy(dict(assessment.answers["patient"])))
    scores = [*_typed_scores(store, patient_id, patient, assessment.day),
              *_stored_scores(store, patient_id, patient, assessment.day)][-MOST_SCORES:]
    received = list(_care_received(store, patient_id, assessment))
    care = [*(row for row in patient.get("care_so_far", ()) if not any(_same_care(row, one) for one in received)),
            *received]
    return {"patient": patient | {"date": assessment.day.isoformat(), "scores": scores, "care_so_far": care}}


def take(store: Session, assessment: Assessment, asked: Question, value: Any, before: Any) -> None:
    """Take one answer in; where the assessment is done already, a score that came from it follows.

    Arguments:
        store: of a write.
        assessment: read in the same write.
        asked: the question.
        value: the answer as `understood` gives it; None for not known.
        before: the answer that whoever answers saw, as `answer_to` gave it.

    Raises:
        AnswerChanged: another answer than `before` stands there now, and it is not this one.
        InputError: the answer cannot be, or contradicts another one (`counterpart` finds it in `placed`).
    """
    theirs = answer_to(assessment.answers, asked)
    changed = placed(assessment.answers, asked, value)
    if answer_to(changed, asked) == theirs:
        return
    if theirs != before:
        raise AnswerChanged(theirs)
    patient = check(changed)
    if asked.id == "date":
        if patient.date is None:
            raise InputError("missing", field=asked.id, accepted="the day of this assessment")
        if patient.date > datetime.date.today():
            raise InputError("not yet", field=asked.id, found=patient.date.isoformat(), accepted="a day up to today")
        if assessment.state == "done":
            _move(store, assessment, patient.date)
        assessment.day = patient.date
    if assessment.state == "done" and asked.id != "date":
        _follow(store, assessment, _todays(assessment.answers["patient"]), _todays(changed["patient"]))
    assessment.answers = changed


def begin(store: Session, person: Person, day: datetime.date, account: str) -> Assessment:
    """Return a new assessment; after an earlier one it carries on from that, and asks only what can change.

    Arguments:
        store: of a write.
        person: the patient.
        day: of the assessment.
        account: who begins it.
    """
    earlier = latest(store, person.id, day)
    answers = {"patient": {}} if earlier is None else _carried_on(store, earlier, day)
    answers["patient"] |= {"date": day.isoformat()}
    if person.birth_date and (age := _age(person.birth_date, day)) is not None:
        answers["patient"]["age"] = age
    made = Assessment(patient_id=person.id, created_by=account, day=day, answers=answers)
    store.add(made)
    return made


def finish(store: Session, assessment: Assessment, account: str, keep_stored: bool = False) -> None:
    """Close an assessment; its scores join the patient's.

    Arguments:
        store: of a write.
        assessment: read in the same write.
        account: who closes it.
        keep_stored: where the store has another value for that day, keep that; else it is corrected.
    """
    assessment.state = "done"
    stored = _stored_on(store, assessment.patient_id, assessment.day)
    for outcome, value in _todays(assessment.answers["patient"]).items():
        if outcome not in stored:
            store.add(Score(patient_id=assessment.patient_id, created_by=account, day=assessment.day, outcome=outcome,
                            value=value, origin="practice"))
        elif stored[outcome].value != value and not keep_stored:
            stored[outcome].value, stored[outcome].origin = value, "practice"


def clashes(store: Session, assessment: Assessment) -> list[Clash]:
    """Return where the store holds another score for the day of an assessment that is open."""
    if assessment.state == "done":
        return []
    stored = _stored_on(store, assessment.patient_id, assessment.day)
    return [Clash(outcome, value, stored[outcome].value, stored[outcome].origin)
            for outcome, value in _todays(assessment.answers["patient"]).items()
            if outcome in stored and stored[outcome].value != value]


def _stored_on(store: Session, patient_id: str, day: datetime.date) -> dict[str, Score]:
    rows = store.scalars(select(Score).where(Score.patient_id == patient_id, Score.day == day))
    return {row.outcome: row for row in rows}


def _move(store: Session, assessment: Assessment, day: datetime.date) -> None:
    """Let the stored scores of an assessment go along to another day.

    Raises:
        InputError: that day has another score already.
    """
    here, there = (_stored_on(store, assessment.patient_id, each) for each in (assessment.day, day))
    for outcome, value in _todays(assessment.answers["patient"]).items():
        own, other = here.get(outcome), there.get(outcome)
        if own is None or own.value != value or own.origin != "practice" or day == assessment.day:
            continue
        if other is None:
            own.day = day
        elif other.value == value:
            store.delete(own)
        else:
            raise InputError(f"that day has another {outcome} score, {other.value:g}: correct that one first",
                             field="date", found=day.isoformat())


def _follow(store: Session, assessment: Assessment, before: Mapping[str, float], after: Mapping[str, float]) -> None:
    """Let the stored scores of an assessment follow a correction of its answers."""
    rows = store.scalars(select(Score).where(Score.patient_id == assessment.patient_id, Score.day == assessment.day,
                                             Score.origin == "practice"))
    for row in rows:
        if row.value == before.get(row.outcome) and row.outcome in after:
            row.value = after[row.outcome]


def latest(store: Session, patient_id: str, day: datetime.date) -> Assessment | None:
    """Return the last assessment of a patient up to a day."""
    return store.scalar(select(Assessment).where(Assessment.patient_id == patient_id, Assessment.day <= day)
                        .order_by(Assessment.day.desc(), Assessment.created_at.desc()).limit(1))


def _todays(patient: Mapping[str, Any]) -> dict[str, float]:
    """Today's scores among the answers, by outcome."""
    read = check({"patient": patient})
    found = {} if patient.get("pain", {}).get("week_average") in (None, "unknown") else {"NRS": read.pain.week_average}
    if read.disability is not None and read.disability.score is not None:
        found[read.disability.instrument] = read.disability.score
    return found


def _stored_scores(store: Session, patient_id: str, patient: Mapping[str, Any], day: datetime.date
                   ) -> Iterator[File]:
    today = {"NRS", *_todays(patient)}
    for row in _scores(store, patient_id, day):
        if row.day < day or row.outcome not in today:
            yield {"date": row.day.isoformat(), "outcome": row.outcome, "value": row.value}


def _typed_scores(store: Session, patient_id: str, patient: Mapping[str, Any], day: datetime.date
                  ) -> Iterator[File]:
    """Scores that were answered, less those that the store has too."""
    known = [(row.outcome, row.day) for row in _scores(store, patient_id, day)]
    for row in patient.get("scores", ()):
        then = datetime.date.fromisoformat(row["date"]) if row.get("date") else (
            day + datetime.timedelta(days=round(7 * float(row["week"]))))
        outcome = str(row["outcome"]).upper().replace("VAS", "NRS")
        if not any(name == outcome and abs((when - then).days) <= SAME_SCORE_DAYS for name, when in known):
            yield row


def _scores(store: Session, patient_id: str, day: datetime.date) -> list[Score]:
    return list(store.scalars(select(Score).where(Score.patient_id == patient_id, Score.day <= day)
                              .order_by(Score.day, Score.outcome)))


def _care_received(store: Session, patient_id: str, assessment: Assessment) -> Iterator[File]:
    plans = store.scalars(select(Plan).where(
        Plan.patient_id == patient_id, Plan.began < assessment.day, Plan.assessment_id != assessment.id)
        .order_by(Plan.began))
    for plan in plans:
        had = plan_from(plan.sentences)
        if plan.ended is not None and plan.ended < assessment.day:
            had = _until(had, (plan.ended - plan.began).days / 7)
        if had.courses:
            yield {"plan": sentences(had), "start_week": -(assessment.day - plan.began).days / 7}


def _same_care(typed: Mapping[str, Any], received: Mapping[str, Any]) -> bool:
    """Whether care that was answered is a plan that the store has too: the same courses, in overlapping weeks."""
    one, other = plan_from(typed["plan"]), plan_from(received["plan"])
    if _courses(one) != _courses(other):
        return False
    first, second = float(typed["start_week"]), float(received["start_week"])
    return first < second + _weeks(other) and second < first + _weeks(one)


def _courses(plan: Care) -> list[str]:
    """The courses of a plan, whenever they end: what is left of one that was stopped is the same care."""
    return sorted(sentences(Care(tuple(replace(each, schedule=replace(each.schedule, weeks=1.0))
                                       for each in plan.courses))))


def _weeks(plan: Care) -> float:
    return max((each.schedule.start_week + each.schedule.weeks for each in plan.courses), default=0.0)


def _until(plan: Care, weeks: float) -> Care:
    """What a person had of a plan that was ended after some weeks."""
    courses = []
    for course in plan.courses:
        ran = min(course.schedule.weeks, weeks - course.schedule.start_week)
        if ran >= 1 / 7:
            courses.append(replace(course, schedule=replace(course.schedule, weeks=ran)))
    return Care(tuple(courses))


def _carried_on(store: Session, earlier: Assessment, day: datetime.date) -> File:
    """The answers of an earlier assessment on a later day, by the day and not only by the week."""
    weeks = (day - earlier.day).days / 7
    whole = min(max(round(weeks), 1), MOST_WEEKS)
    before = check(earlier.answers)
    patient: File = carried(before, whole, Care())["patient"]
    if "NRS" not in _todays(earlier.answers["patient"]):
        del patient["scores"][len(before.scores)]  # it stands there as 0 where it was not told
    for row, key in [(row, "week") for row in patient["scores"]] + [(c, "start_week") for c in patient["care_so_far"]]:
        row[key] = round(row[key] + whole - weeks, 3)
    if "duration_weeks" in patient["pain"]:
        patient["pain"]["duration_weeks"] = round(patient["pain"]["duration_weeks"] + weeks - whole, 2)
    patient["scores"] = [row for row in patient["scores"] if row["week"] < 0]
    patient["scores"] = list(_typed_scores(store, earlier.patient_id, patient, day))
    return {"patient": {key: value for key, value in patient.items() if value not in ({}, [])}}


def _age(birth_date: str, day: datetime.date) -> int | None:
    born = datetime.date.fromisoformat(birth_date)
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day)) if born <= day else None
