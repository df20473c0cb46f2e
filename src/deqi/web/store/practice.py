"""A practice's plans and harms as plain records, for `outcomes` and `rates`: ids in place of names."""

from __future__ import annotations

import datetime
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..outcomes import Course
from ..rates import Harm
from .scores import weeks_of
from .tables import AdverseEvent, Person, Plan, Score, Treatment
from .treatments import harm_of


@dataclass(frozen=True)
class Seen:
    """What went wrong, and in how many.

    Attributes:
        harms: all events.
        treatments: ids of all sessions.
        patients: ids of everybody who had one.
    """

    harms: tuple[Harm, ...]
    treatments: frozenset[str]
    patients: frozenset[str]


def courses(store: Session, today: datetime.date, own: Any = None) -> list[Course]:
    """Every plan with its forecast and the pain reported since.

    Arguments:
        store: of a read.
        today: the day of asking.
        own: a condition on `Person`; None for the whole practice.
    """
    plans = store.scalars(_of(select(Plan), Plan.patient_id, own).order_by(Plan.began, Plan.id)).all()
    reported: dict[str, list[Score]] = defaultdict(list)
    for score in store.scalars(_of(select(Score), Score.patient_id, own).where(Score.outcome == "NRS")):
        reported[score.patient_id].append(score)
    return [Course(plan.patient_id, plan.created_by, plan.kinds, plan.baseline, plan.forecast,
                   [(weeks_of(plan, one.day), one.value) for one in reported[plan.patient_id] if one.day >= plan.began],
                   weeks_of(plan, today), weeks_of(plan, plan.ended) if plan.ended and plan.ended <= today else None)
            for plan in plans if plan.began <= today]


def harms(store: Session, own: Any = None) -> Seen:
    """Every adverse event, and the sessions and patients among whom they were seen.

    Arguments:
        store: of a read.
        own: a condition on `Person`; None for the whole practice.
    """
    events = store.scalars(_of(select(AdverseEvent), AdverseEvent.patient_id, own)).all()
    given = store.execute(_of(select(Treatment.id, Treatment.patient_id), Treatment.patient_id, own)).all()
    return Seen(tuple(harm_of(event) for event in events), frozenset(id for id, _ in given),
                frozenset(patient for _, patient in given))


def _of(chosen: Any, patient: Any, own: Any) -> Any:
    return chosen if own is None else chosen.join(Person, Person.id == patient).where(own)
