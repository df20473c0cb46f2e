"""What comes before any care or verdict today: an emergency, a doctor, a plan that is no longer allowed."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.orm import Session

from ...care import plan_from
from ...consult.intake import check
from ...consult.limits import permits
from .plans import runs
from .safety import doctor_first, standing
from .tables import Assessment, Plan


@dataclass(frozen=True)
class First:
    """What whoever treats has to read first.

    Arguments:
        shut: as `Standing.shut`.
        assessment_id, day: of the newest assessment; None where there is none.
        findings: in words, those of an emergency or those a doctor has to hear of.
        not_allowed: why the plan that runs is no longer allowed, by the newest assessment.
    """

    shut: Literal["emergency", "alert", "refer"] | None
    assessment_id: str | None
    day: datetime.date | None
    findings: tuple[str, ...]
    not_allowed: tuple[str, ...]

    @property
    def alone(self) -> bool:
        """Whether nothing else may stand beside it."""
        return self.shut in ("emergency", "alert")


def what_first(store: Session, patient_id: str, plan: Plan | None) -> First:
    """What has to be read before anything of a patient's care.

    Arguments:
        store: of a read.
        patient_id: whose record it is.
        plan: that is followed; whether it is still allowed is asked while it runs.
    """
    stands = standing(store, patient_id)
    if stands.assessment_id is None or stands.screening is None:
        return First(stands.shut, None, None, (), ())
    newest = store.get_one(Assessment, stands.assessment_id)
    found = doctor_first(newest, stands.screening) if stands.shut == "refer" else [
        each for each in stands.screening.findings if each.kind == stands.shut]
    refused = permits(plan_from(plan.sentences), stands.screening, check(newest.answers)) if (
        plan is not None and runs(plan, datetime.date.today()) and stands.shut != "emergency") else ()
    return First(stands.shut, newest.id, newest.day, tuple(each.text for each in found), tuple(refused))
