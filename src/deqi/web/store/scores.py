"""A person's scores beside the plan: when to look again, what a score then means, and the person as of the last one."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Mapping, Sequence
from math import floor
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...care import sentences
from ...consult.intake import check
from ...consult.symptoms import RANGES
from ...errors import InputError
from ..due import EARLY_DAYS, Review
from ..imports import EARLIEST, OUTCOMES
from .assessments import patient_mapping
from .plans import plans_of, running
from .tables import Alert, Assessment, Person, Plan, Score, Treatment, new_id

STOP_WEEK = 6
"""From then on no better than at the start means stop (fact `cms_ncd_30_3_3`, as `consult.review` has it)."""

Verdict = Literal["carry_on", "change", "stop"]


def scores_of(store: Session, patient: str) -> list[Score]:
    """All scores of a record, the earliest first."""
    return list(store.scalars(select(Score).where(Score.patient_id == patient).order_by(Score.day, Score.outcome)))


def plan_followed(store: Session, patient: str) -> Plan | None:
    """The plan that runs, else the last one that ran; None where nothing was agreed."""
    plans = sorted(plans_of(store, Plan.patient_id == patient), key=lambda plan: plan.began)
    ran = [plan for plan in plans if plan.ended is None or plan.ended > plan.began]
    return running(plans, datetime.date.today()) or next(reversed(ran or plans), None)


def days_treated(store: Session, plan: Plan) -> list[datetime.date]:
    """The days of a plan's sessions, in order."""
    return list(store.scalars(select(Treatment.day).where(
        Treatment.patient_id == plan.patient_id, Treatment.plan_id == plan.id).order_by(Treatment.day)))


def open_alerts(store: Session, mine: Any) -> list[tuple[Person, Alert]]:
    """Warning signs that patients reported and nobody has dealt with, the newest first.

    Arguments:
        mine: a condition on `Person`, as `guard.own_records` gives it.
    """
    rows = store.execute(select(Person, Alert).join(Alert, Alert.patient_id == Person.id).where(
        mine, Alert.seen_at.is_(None)).order_by(Alert.created_at.desc()))
    return [(person, alert) for person, alert in rows]


def weeks_of(plan: Plan, day: datetime.date) -> float:
    """Weeks from the beginning of a plan to a day."""
    return (day - plan.began).days / 7


def week_of(plan: Plan, day: datetime.date) -> int:
    """The nearest whole week since a plan began; a half goes to the later one."""
    return floor(weeks_of(plan, day) + 0.5)


def pain_since(plan: Plan, scores: Sequence[Score]) -> list[Score]:
    """The reports of pain since a plan began, the earliest first."""
    found = [score for score in scores if score.outcome == "NRS" and score.day >= plan.began]
    return sorted(found, key=lambda score: score.day)


def pain_at(review: Review, pain: Sequence[Score]) -> float | None:
    """The report of pain that stands for a review, as `due.reviews` takes it; None if it was not done yet."""
    opens = review.day - datetime.timedelta(days=EARLY_DAYS)
    return next((one.value for one in pain if one.day >= opens), None) if review.state == "done" else None


def no_better(plan: Plan, scores: Sequence[Score]) -> Score | None:
    """The last score, if it meets the rule to stop: from the sixth week on no better than at the start."""
    pain = pain_since(plan, scores)
    met = bool(pain) and week_of(plan, pain[-1].day) >= STOP_WEEK and pain[-1].value >= plan.baseline
    return pain[-1] if met else None


def meaning(plan: Plan, score: Score, treated: Sequence[datetime.date]) -> tuple[Verdict, Mapping[str, Any]] | None:
    """What a score means by the plan's own rules: those of the last review before it.

    A review that follows a session waits for that session, as `due.reviews` has it.

    Arguments:
        plan: with its rules.
        score: of pain, since the plan began.
        treated: days of the plan's sessions, in order.

    Returns:
        the verdict and the rule; None before the first review.
    """
    week = week_of(plan, score.day)
    given = sum(day - datetime.timedelta(days=EARLY_DAYS) <= score.day for day in treated)
    past = [rule for rule in sorted(plan.review, key=lambda rule: rule["week"])
            if rule["week"] <= week and given >= (rule.get("session") or 0)]
    if not past:
        return None
    rule = past[-1]
    if week >= STOP_WEEK and score.value >= plan.baseline:
        return "stop", rule
    if score.value <= rule["carry_on_at"]:
        return "carry_on", rule
    return ("stop" if score.value >= rule["stop_at"] else "change"), rule


def patient_now(store: Session, patient: str, plan: Plan) -> dict[str, Any] | None:
    """The patient file as of the last report of pain, with every score and all care until then.

    What can change and was not asked again, such as warning signs, stands as it was last answered.

    Arguments:
        store: of a read.
        patient: of the record.
        plan: that is followed.

    Returns:
        the mapping; None without a report of pain since the plan began.
    """
    pain = pain_since(plan, scores_of(store, patient))
    asked = store.scalar(select(Assessment).where(Assessment.patient_id == patient)
                         .order_by((Assessment.state == "done").desc(), Assessment.day.desc(),
                                   Assessment.created_at.desc()).limit(1))
    if not pain or asked is None:
        return None
    last, body = pain[-1], copy.deepcopy(dict(asked.answers["patient"]))
    if last.day <= asked.day:
        return patient_mapping(store, patient, asked)
    moved = Assessment(id=new_id(), patient_id=patient, day=last.day, answers={"patient": _later(body, last, asked)})
    return patient_mapping(store, patient, moved)


def checked(day: datetime.date | None, outcome: str, value: float, today: datetime.date) -> None:
    """Refuse a score that cannot be.

    Raises:
        InputError: with the field (`day`, `outcome`, `value`).
    """
    if day is None or not EARLIEST <= day <= today:
        raise InputError("not a day until today", field="day", accepted=f"a day from {EARLIEST.year} until today")
    if outcome not in OUTCOMES:
        raise InputError("not one of the scales", field="outcome", found=outcome, accepted=" | ".join(OUTCOMES))
    low, high = RANGES[outcome]
    if not low <= value <= high:
        raise InputError("out of range", field="value", found=f"{value:g}",
                         accepted=f"a number from {low:g} to {high:g} for {outcome}")
    if outcome == "RMDQ" and not float(value).is_integer():
        raise InputError("not a whole number", field="value", found=f"{value:g}",
                         accepted="a whole number from 0 to 24")


def _later(body: dict[str, Any], last: Score, asked: Assessment) -> dict[str, Any]:
    """A patient's answers some weeks on: the last report of pain is today's, and today's of then an earlier one."""
    weeks, read = (last.day - asked.day).days / 7, check(asked.answers)
    pain = {key: value for key, value in (body.get("pain") or {}).items() if key in ("leg_pain", "started_at_age")}
    pain["week_average"] = last.value
    if read.pain.duration_weeks is not None:
        pain["duration_weeks"] = round(read.pain.duration_weeks + weeks, 2)
    scores: list[dict[str, Any]] = [{"week": score.week - weeks, "outcome": score.outcome, "value": score.value}
                                    for score in read.scores]
    then = [("NRS", (body.get("pain") or {}).get("week_average"))]
    if read.disability is not None:
        then.append((read.disability.instrument, read.disability.score))
    scores += [{"date": asked.day.isoformat(), "outcome": outcome, "value": value} for outcome, value in then
               if isinstance(value, int | float)]
    care = [{"plan": sentences(had.plan), "start_week": had.start_week - weeks} for had in read.care_so_far]
    left = {key: value for key, value in body.items() if key not in ("disability", "instruments")}
    return left | {"date": last.day.isoformat(), "pain": pain, "scores": scores, "care_so_far": care}
