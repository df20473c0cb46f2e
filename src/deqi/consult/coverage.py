"""How many sessions of acupuncture US Medicare still pays for: fact `cms_ncd_30_3_3`, as version 1 of it says.

Twelve sessions within 90 days; eight more for those who get better; twenty a year at most. The fact does not say what
counts as better; here it is the smallest fall in pain that matters to people (`ostelo2008_mic`), a choice of deqi's.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from deqi import evidence
from deqi.care import Needling
from deqi.consult.assessment import Patient
from deqi.consult.rules import table
from deqi.consult.screening import applicability

DAYS_PER_YEAR = 365.0


@dataclass(frozen=True)
class Allowance:
    """What is still paid for.

    Attributes:
        sessions: from now on.
        days: from the start of the plan within which they must lie; infinity for no such limit.
        why: the rule in plain words.
    """

    sessions: float
    days: float
    why: str


def allowance(patient: Patient) -> Allowance:
    """What the patient's payer allows of acupuncture; no limit unless it is Medicare.

    Arguments:
        patient: whose `care_so_far` counts, as far as it lies in the past year.
    """
    if patient.preferences.coverage != "medicare":
        return Allowance(inf, inf, "")
    words = table("limits")["medicare"]
    weeks = patient.pain.duration_weeks
    if weeks is not None and weeks < words["weeks"]["value"]:
        return Allowance(0, 0, words["weeks_short"])
    if words["source"] in applicability(patient).sources:
        return Allowance(0, 0, words["specific"])
    rule, given = evidence.fact(words["source"]).body["rule"], _given_days(patient)
    used, first, initial = len(given), rule["initial"]["max_visits"], rule["initial"]["window_days"]
    if used and _better(patient, min(given)):
        most = min(first + rule["extension"]["additional_sessions"], rule["annual_cap"])
        return Allowance(max(most - used, 0), inf, words["better"].format(n=most, used=used))
    left = initial + min(given, default=0.0)
    return Allowance(max(first - used, 0) if left > 0 else 0, max(left, 0.0),
                     words["new"].format(n=first, days=initial, used=used))


def _given_days(patient: Patient) -> list[float]:
    """The days of the sessions of the past year, counted from now."""
    return [day for past in patient.care_so_far for course in past.plan.courses if isinstance(course, Needling)
            for each in course.schedule.session_days()
            if -DAYS_PER_YEAR <= (day := each + 7.0 * past.start_week) < 0]


def _better(patient: Patient, first_day: float) -> bool:
    """Whether pain fell enough since about the first session; False if no score tells."""
    words = table("limits")["medicare"]
    since = first_day / 7.0 - words["score_before_weeks"]["value"]
    scores = [score for score in patient.scores if score.outcome == "NRS" and since <= score.week < 0]
    if not scores:
        return False
    then = min(scores, key=lambda score: abs(score.week - first_day / 7.0))
    return then.value - patient.pain.week_average >= words["better_points"]["value"] - 1e-9
