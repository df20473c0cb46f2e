"""The log of sessions and of what went wrong: what prefills a new session, and what harms a practice saw."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from .. import stricta
from ..rates import Harm
from .tables import AdverseEvent, Plan, Treatment

OF_THE_DAY = frozenset({"session", "variation", "response_obtained", "note"})
"""Fields that belong to one session and are not taken over from the last."""


def treatments_of(store: Session, patient: str) -> list[Treatment]:
    """All sessions of a record, the latest first."""
    return list(store.scalars(select(Treatment).where(Treatment.patient_id == patient)
                              .order_by(Treatment.day.desc(), Treatment.created_at.desc())))


def events_of(store: Session, patient: str) -> list[AdverseEvent]:
    """All adverse events of a record, the latest first."""
    return list(store.scalars(select(AdverseEvent).where(AdverseEvent.patient_id == patient)
                              .order_by(AdverseEvent.day.desc(), AdverseEvent.created_at.desc())))


def plan_on(store: Session, patient: str, day: datetime.date) -> Plan | None:
    """The plan that a session of some day is given under; None if none ran then."""
    return store.scalar(select(Plan).where(Plan.patient_id == patient, Plan.began <= day,
                                           or_(Plan.ended.is_(None), Plan.ended >= day))
                        .order_by(Plan.began.desc(), Plan.created_at.desc()).limit(1))


def prefilled(store: Session, patient: str, plan: Plan | None) -> dict[str, Any]:
    """What the next session will mostly be: as the last one under the plan was, and before that as the plan says.

    Arguments:
        store: of a read.
        patient: whose record.
        plan: that runs, or None.

    Returns:
        values by field of `stricta.yaml`, with the number of the session.
    """
    earlier = [one for one in treatments_of(store, patient) if plan is not None and one.plan_id == plan.id]
    if earlier:
        told = {key: value for key, value in earlier[0].details.items() if key not in OF_THE_DAY}
    else:
        told = stricta.prefill(plan.sentences) if plan is not None else {}
    return told | {"session": _next_session(earlier)}


def is_serious(details: Mapping[str, Any]) -> bool:
    """Whether an event was serious, by any of the reasons."""
    return bool(details.get("serious"))


def is_open(event: AdverseEvent) -> bool:
    """Whether a patient reported it and nobody has looked at it yet."""
    return event.details.get("reported_by") == "patient" and not event.details.get("reviewed")


def harm_of(event: AdverseEvent) -> Harm:
    """An event as `rates` counts it."""
    return Harm(event.kind, event.patient_id, event.treatment_id, is_serious(event.details),
                event.details.get("treated") == "professional")


def _next_session(earlier: Sequence[Treatment]) -> int:
    told = [one.details["session"] for one in earlier if isinstance(one.details.get("session"), int)]
    return max([len(earlier), *told], default=0) + 1
