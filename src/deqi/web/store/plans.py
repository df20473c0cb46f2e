"""Plans that were agreed on: the one that runs, a new one in its place, its end, its reviews; consultations kept."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from ...care import plan_from
from ...consult.harms import plan_kinds
from ...errors import InputError
from .database import Conflict
from .tables import Assessment, Consultation, Plan, Score

LATEST_DAYS = 90
"""How long after an assessment a plan of it may begin: later, the forecast would be of somebody else. Assumed."""
LONGEST_NOTE = 4000


@dataclass(frozen=True)
class Agreed:
    """What was agreed on.

    Arguments:
        sentences: of the plan.
        began: the day it starts.
        forecast: rows, weeks from `began`.
        review: its rules.
        baseline: reported pain of today.
        told: what the patient was told beside the forecast.
        provenance: of the forecast.
        note: in words, or none.
    """

    sentences: Sequence[str]
    began: datetime.date
    forecast: Sequence[Mapping[str, Any]]
    review: Sequence[Mapping[str, Any]]
    baseline: float
    told: Mapping[str, Any]
    provenance: Mapping[str, Any]
    note: str | None


def open_plans(store: Session, patient_id: str, today: datetime.date) -> list[Plan]:
    """The plan that runs and those that are to follow it, in the order in which they begin."""
    found = plans_of(store, Plan.patient_id == patient_id, or_(Plan.state == "current", Plan.ended > today))
    return sorted((plan for plan in found if runs(plan, today)), key=lambda plan: plan.began)


def agree(store: Session, patient_id: str, assessment_id: str, agreed: Agreed, account: str, *, seen: str,
          why_ended: str) -> Plan:
    """Begin a plan, and end the one that runs.

    Arguments:
        store: of a write.
        patient_id, assessment_id: whose plan it is, and from which assessment.
        agreed: the plan.
        account: who agreed on it with the patient.
        seen: `mark` of the plans that were open when this one was agreed on.
        why_ended: why the last of them ends.

    Raises:
        Conflict: another plan runs by now, or the same one was changed.
        InputError: a plan ends and nothing is said why.
    """
    today = datetime.date.today()
    plans = open_plans(store, patient_id, today)
    if mark(plans) != seen:
        raise Conflict("somebody else agreed on a plan, or ended it, in between; nothing was saved")
    for before in plans:
        if before.state == "current":
            _end(before, max(before.began, agreed.began), why_ended)
        elif before.ended is not None and before.ended > max(agreed.began, today):
            before.ended = max(before.began, agreed.began)
    kinds = dict.fromkeys(plan_kinds(plan_from(agreed.sentences)))
    plan = Plan(patient_id=patient_id, assessment_id=assessment_id, created_by=account, began=agreed.began,
                sentences=list(agreed.sentences), kinds=" ".join(kinds),
                baseline=agreed.baseline, forecast=list(agreed.forecast), review=list(agreed.review),
                provenance=dict(agreed.provenance), told=dict(agreed.told), note=agreed.note)
    store.add(plan)
    return plan


def end(store: Session, plan: Plan, why: str) -> None:
    """End a plan today; where it has not begun, one that was to make room for it goes on.

    Raises:
        InputError: nothing is said why, or it has ended before.
    """
    today = datetime.date.today()
    _end(plan, max(plan.began, today), why)
    if plan.began > today:
        for earlier in plans_of(store, Plan.patient_id == plan.patient_id, Plan.id != plan.id,
                                Plan.ended == plan.began, Plan.began < plan.began):
            earlier.state, earlier.ended, earlier.why_ended = "current", None, None


def _end(plan: Plan, day: datetime.date, why: str) -> None:
    words = why.strip()[:LONGEST_NOTE]
    if not words:
        raise InputError("missing", field="why", accepted="why this plan ends, in a few words")
    if not runs(plan, datetime.date.today()):
        raise InputError("this plan has ended already", field="why")
    plan.state, plan.ended, plan.why_ended = "ended", day, words


def running(plans: Iterable[Plan], today: datetime.date) -> Plan | None:
    """The plan under which a person is treated today, else the one that is agreed on and has not begun.

    Arguments:
        plans: of one person, in the order in which they were agreed on.
        today: this day.
    """
    found = sorted(plans, key=lambda plan: plan.began)
    begun = [plan for plan in found if plan.began <= today and (plan.ended is None or today < plan.ended)]
    ahead = begun or [plan for plan in found if plan.state == "current"]
    return ahead[-1] if ahead else None


def plans_of(store: Session, *mine: Any) -> list[Plan]:
    """Plans in the order in which they were agreed on; `mine`: conditions on `Plan`."""
    return list(store.scalars(select(Plan).where(*mine).order_by(Plan.created_at)))


def runs(plan: Plan, today: datetime.date) -> bool:
    """Whether a plan has not ended by some day; one that makes room for a later one runs until that begins."""
    return plan.state == "current" or (plan.ended is not None and plan.ended > max(today, plan.began))


def used_up(store: Session, assessment: Assessment, today: datetime.date) -> Literal["old", "ran", "scored"] | None:
    """Why no plan may be agreed on from an assessment any more, so that a review has to come first.

    Returns:
        `old`: the last day on which a plan of it may begin is over. `ran`: a plan of it has run. `scored`: scores
        came in since. None if a plan may be agreed on.
    """
    if today > first_and_last_day(assessment.day)[1]:
        return "old"
    if store.scalar(select(Plan.id).where(Plan.assessment_id == assessment.id, Plan.began < today).limit(1)):
        return "ran"
    later = select(Score.id).where(Score.patient_id == assessment.patient_id, Score.day > assessment.day)
    return "scored" if store.scalar(later.limit(1)) else None


def mark(plans: Iterable[Plan]) -> str:
    """Stands for plans as they are now; "" for none."""
    return " ".join(f"{plan.id}.{plan.version}" for plan in plans)


def first_and_last_day(day: datetime.date) -> tuple[datetime.date, datetime.date]:
    """The days on which a plan from an assessment of some day may begin."""
    return day, day + datetime.timedelta(days=LATEST_DAYS)


def review_days(plan: Plan) -> list[tuple[datetime.date, Mapping[str, Any]]]:
    """The days on which to look again, each with its rule, as they stand when a plan begins."""
    return sorted(((plan.began + datetime.timedelta(weeks=rule["week"]), rule) for rule in plan.review),
                  key=lambda row: row[0])


def key_of(file: Mapping[str, Any]) -> str:
    """Stands for the answers that a consultation was made from; not to be logged."""
    return sha256(json.dumps(file, sort_keys=True).encode()).hexdigest()


def latest_consultation(store: Session, patient_id: str, assessment_id: str) -> Consultation | None:
    """The last consultation of an assessment."""
    return store.scalar(select(Consultation).where(
        Consultation.patient_id == patient_id, Consultation.assessment_id == assessment_id)
        .order_by(Consultation.created_at.desc()).limit(1))
