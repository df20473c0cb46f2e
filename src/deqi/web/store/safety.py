"""What must come before any option is shown: an emergency, a doctor, a question that nobody asked.

`open_to_options` says whether the rooms after screening may open; `standing`, what is known today whichever record is
looked at.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...consult.intake import check
from ...consult.rules import table
from ...consult.screening import Finding, Screening, screen
from .tables import Alert, Assessment, now

Reason = Literal["emergency", "refer", "not_asked", "no_pain"]
DOCTOR = ("urgent", "routine")


@dataclass(frozen=True)
class Statement:
    """A clinician's statement that a doctor has been asked about what screening found.

    Arguments:
        by: the doctor who was asked.
        day: when.
        words: what the doctor said.
    """

    by: str
    day: datetime.date
    words: str


@dataclass(frozen=True)
class Standing:
    """What is known today of a patient's safety, whichever assessment or plan is looked at.

    Arguments:
        shut: why nothing may be offered: `emergency`, or `refer` with no doctor asked, in the last finished assessment
            or one begun since; `alert`, warning signs that the patient reported and nobody has dealt with. None if
            nothing speaks against.
        assessment_id: of the assessment that says so, else of the newest; None where there is none.
        screening: of that assessment.
    """

    shut: Literal["emergency", "alert", "refer"] | None
    assessment_id: str | None
    screening: Screening | None


def standing(store: Session, patient_id: str) -> Standing:
    """Return what is known today of a patient's safety: of every assessment since the last finished one, and of alerts.

    One that was begun and left blank hides nothing that was found before.
    """
    since = [(one, screened(one)) for one in _since_the_last_done(store, patient_id)]
    newest, found = since[0] if since else (None, None)
    grave = next((pair for pair in since if pair[1].status == "emergency"), None)
    referred = next((pair for pair in since if doctor_first(*pair)), None)
    if grave is not None:
        return Standing("emergency", grave[0].id, grave[1])
    if store.scalar(select(Alert.id).where(Alert.patient_id == patient_id, Alert.seen_at.is_(None)).limit(1)):
        return Standing("alert", None if newest is None else newest.id, found)
    if referred is not None:
        return Standing("refer", referred[0].id, referred[1])
    return Standing(None, None if newest is None else newest.id, found)


def _since_the_last_done(store: Session, patient_id: str) -> Iterator[Assessment]:
    """The assessments of a patient, the newest first, as far back as one that was finished."""
    for one in store.scalars(select(Assessment).where(Assessment.patient_id == patient_id)
                             .order_by(Assessment.day.desc(), Assessment.created_at.desc())):
        yield one
        if one.state == "done":
            return


def open_to_options(assessment: Assessment) -> Reason | None:
    """Return why no options may be shown for an assessment; None if they may be.

    Every room after screening calls this first and sends whoever asks back to the page `screening`, which says what to
    do about it. Keep `choices["cleared"]` and `choices["asked"]` when you write `choices`: they open these rooms.

    Arguments:
        assessment: as stored.

    Returns:
        `emergency`: there is an emergency, and nothing else is shown. `refer`: a doctor comes first, and nobody has
        stated that one was asked. `not_asked`: a question about an emergency has no answer, and nobody has stated that
        it was asked. `no_pain`: the average pain, where every forecast starts, is not known.
    """
    screening = screened(assessment)
    if screening.status == "emergency":
        return "emergency"
    if doctor_first(assessment, screening):
        return "refer"
    if not_asked(assessment, screening):
        return "not_asked"
    return "no_pain" if assessment.answers["patient"].get("pain", {}).get("week_average") is None else None


def screened(assessment: Assessment) -> Screening:
    """Return what screening finds in the answers so far."""
    return screen(check(assessment.answers))


def doctor_first(assessment: Assessment, screening: Screening) -> list[Finding]:
    """Return the findings that a doctor has to hear of and that no statement covers."""
    covered = ((assessment.choices or {}).get("cleared") or {}).get("findings", [])
    return [each for each in screening.findings if each.kind in DOCTOR and each.id not in covered]


def not_asked(assessment: Assessment, screening: Screening) -> list[Finding]:
    """Return the questions about emergencies without an answer of which nobody stated that they were asked."""
    grave = {row["id"] for row in table("red_flags")["questions"] if row["action"] == "emergency"}
    grave -= set(((assessment.choices or {}).get("asked") or {}).get("questions", []))
    return [each for each in screening.findings if each.kind == "not_asked" and each.id in grave]


def state_cleared(assessment: Assessment, statement: Statement, account: str, shown: Collection[str]) -> None:
    """Keep that a doctor has been asked about what was shown; another finding needs another statement.

    Arguments:
        assessment: read in the same write.
        statement: who was asked, and when.
        account: who states it.
        shown: ids of the findings that whoever states it saw.
    """
    before = ((assessment.choices or {}).get("cleared") or {}).get("findings", [])
    findings = [each.id for each in screened(assessment).findings
                if each.kind in DOCTOR and (each.id in shown or each.id in before)]
    told = {"by": statement.by, "day": statement.day.isoformat(), "words": statement.words, "findings": findings,
            "stated_by": account}
    assessment.choices = {**(assessment.choices or {}), "cleared": told}


def state_asked(assessment: Assessment, account: str, shown: Collection[str]) -> None:
    """Keep that the open questions about emergencies that were shown were asked, and that the patient cannot say."""
    choices = assessment.choices or {}
    before = (choices.get("asked") or {}).get("questions", [])
    left = [each.id for each in not_asked(assessment, screened(assessment)) if each.id in shown]
    told = {"questions": [*before, *left], "day": now().date().isoformat(), "stated_by": account}
    assessment.choices = {**choices, "asked": told}
