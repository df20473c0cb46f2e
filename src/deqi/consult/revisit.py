"""The same person some weeks later: what was today is now past, and what can change is asked again."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Mapping
from typing import Any

from ..care import Plan, sentences
from ..errors import InputError
from .assessment import Patient
from .screening import asked_again

MOST_WEEKS = 104


def carried(patient: Patient, weeks: int, care: Plan) -> dict[str, Any]:
    """Carry an assessment some weeks on.

    Today's scores become earlier ones, earlier care lies further back, and the care received since joins it. Scores of
    today, medicines and the answers to safety questions that can change (`asked_again`) are left open.

    Arguments:
        patient: as last assessed.
        weeks: since then, 1 to 104.
        care: what was done from then on; an empty plan for nothing. The same care that ran before goes on, and is not
            counted twice.

    Returns:
        a patient file's mapping without today's scores, to be asked on.

    Raises:
        InputError: weeks out of range, or a day of assessment that would lie past the calendar.
    """
    if not 1 <= weeks <= MOST_WEEKS:
        raise InputError("out of range", field="--weeks", found=weeks, accepted=f"whole weeks from 1 to {MOST_WEEKS}")
    body: dict[str, Any] = copy.deepcopy(patient.model_dump(mode="json", exclude_none=True,
                                                            exclude={"scores", "care_so_far", "instruments"}))
    pain = body["pain"]
    scores: list[dict[str, Any]] = [{"week": s.week - weeks, "outcome": s.outcome, "value": s.value}
                                    for s in patient.scores]
    scores.append({"week": -weeks, "outcome": "NRS", "value": pain.pop("week_average")})
    if patient.disability is not None:
        scores.append({"week": -weeks, "outcome": patient.disability.instrument, "value": patient.disability.score})
        body.pop("disability")
    for changing in ("worst", "leg_pain", "leg_pain_average", "course", "duration_months", "duration_years"):
        pain.pop(changing, None)
    if "duration_weeks" in pain:
        pain["duration_weeks"] = round(pain["duration_weeks"] + weeks, 2)
    given: list[dict[str, Any]] = [{"plan": sentences(c.plan), "start_week": c.start_week - weeks}
                                   for c in patient.care_so_far]
    running = any(sentences(c.plan) == sentences(care) and c.start_week + c.plan.end_week > 0.0
                  for c in patient.care_so_far)
    given += [{"plan": sentences(care), "start_week": -weeks}] if care.courses and not running else []
    if patient.date is not None:
        body["date"] = _later(patient.date, weeks)
    for changing in ("medicines", "function", "sleep", "mood", "work", "activity"):
        body.pop(changing, None)
    for group in ("red_flags", "conditions"):
        body[group] = _standing(body.get(group) or {})
    return {"patient": body | {"scores": scores, "care_so_far": given}}


def _standing(answers: Mapping[str, bool | None]) -> dict[str, bool]:
    """The answers that stand: known ones to questions that are not asked again."""
    return {id: answer for id, answer in answers.items() if answer is not None and id not in asked_again()}


def _later(day: datetime.date, weeks: int) -> str:
    try:
        return (day + datetime.timedelta(weeks=weeks)).isoformat()
    except OverflowError:
        raise InputError("too late a day", field="date", found=day.isoformat(), accepted="a day in this age") from None
