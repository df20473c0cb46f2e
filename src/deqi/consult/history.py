"""What is known of one person's past: where it starts, the care received, and the scores since."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor

import numpy as np
from scipy.special import ndtr

from ..care.course import Course
from ..care.plan import Plan
from ..population.averages import priors
from ..population.filtering import Observation
from ..population.patients import PHASES, Phase, Who, phase_of
from .assessment import RANGES, Patient
from .screening import Applicability

OLDEST_WEEKS = 104
"""Weeks after which a score or a course of care is left aside: a person's usual level has drifted away by then
(`drift_weeks`)."""
WIDER_AT_THE_EDGE = 1.25
"""Factor on the spread for a person at the edge of the studied range; assumed."""


@dataclass(frozen=True)
class History:
    """A past.

    Arguments:
        weeks: from its start (the first score or course of care) to now, a whole number.
        anchor: score of its first week, NRS; None where care began before any score.
        disability: score of its first week as 0-100, or None.
        scores: the later ones, today's among them, weeks counted from the start.
        unused: earlier scores that say nothing here, and why.
    """

    weeks: int
    anchor: float | None
    disability: float | None
    scores: tuple[Observation, ...]
    unused: tuple[str, ...]


def history_of(patient: Patient) -> History:
    """The past of a patient. Scores of one week are averaged; those of another questionnaire than today's are not used,
    because no equation turns one into the other for one person (`edelen2021_crosswalk_r2`)."""
    instrument = patient.disability.instrument if patient.disability else None
    alike = [s for s in patient.scores if s.outcome == "NRS" or s.outcome == instrument]
    oldest = _oldest(patient)
    known = [s for s in alike if whole_week(s.week) >= -oldest]
    began = [ago for ago, courses in _had(patient) if courses]
    weeks = max([0, *(-whole_week(s.week) for s in known), *began])
    pain: dict[int, list[float]] = defaultdict(list)
    function: dict[int, list[float]] = defaultdict(list)
    for score in known:
        if whole_week(score.week) < 0:
            (pain if score.outcome == "NRS" else function)[weeks + whole_week(score.week)].append(score.value)
    pain[weeks] = [patient.pain.week_average]
    if patient.disability is not None and patient.disability.score is not None:
        function[weeks] = [patient.disability.score]
    scale = 100.0 / RANGES[instrument][1] if instrument else 1.0
    at = {week: float(np.mean(values)) for week, values in pain.items()}
    able = {week: scale * float(np.mean(values)) for week, values in function.items()}
    scores = [Observation(week, value, whole=all(v.is_integer() for v in pain[week]))
              for week, value in at.items() if week]
    scores += [Observation(week, value, disability=True) for week, value in able.items() if week]
    unused = [f"{name} scores are not used: today's score is of another questionnaire or was not given"
              for name in sorted({s.outcome for s in patient.scores if s not in alike})]
    if any(whole_week(s.week) == 0 for s in known):
        unused.append("scores of the last half week are not used beside today's, which looks back on them")
    if len(known) < len(alike):
        unused.append(f"scores older than {oldest} weeks are not used: " + (
            "they say little about today" if oldest == OLDEST_WEEKS else "this pain had not begun"))
    return History(weeks, at.get(0), able.get(0), tuple(scores), tuple(unused))


def whole_week(week: float) -> int:
    """The nearest whole week; a half goes to the later one."""
    return floor(week + 0.5)


def who_may_be(patient: Patient, applicability: Applicability, past: History) -> list[tuple[Who, float]]:
    """The person at the start of the past: known values fixed, unknown ones spread over what they may be."""
    people, now = priors()["people"], patient.pain.duration_weeks
    if now is None:
        phases = list(zip(PHASES, people["phases_if_unknown"]["value"], strict=True))
    else:
        phases = [(phase_of(max(now - past.weeks, 0.0)), 1.0)]
    found = []
    for phase, share in phases:
        if not share:
            continue
        for score, chance in scores_of(phase) if past.anchor is None else [(past.anchor, 1.0)]:
            found.append((Who(
                phase=phase, baseline_nrs=score, baseline_sd=0.0,
                duration_weeks=None if now is None else max(now - past.weeks, 0.1), disability=past.disability,
                regular_opioid="regular_opioid" in (patient.medicines or ()),
                wider=WIDER_AT_THE_EDGE if applicability.status == "edge" else 1.0), share * chance))
    return found


def scores_of(phase: Phase) -> list[tuple[float, float]]:
    """Scores that a person may have had before any was written down, with their chances."""
    seekers = priors()["people"]["care_seekers"][phase]
    scores = np.arange(1.0, 11.0)
    chance = np.diff(ndtr((np.append(scores - 0.5, 10.5) - seekers["mean"]) / seekers["sd"]))
    return list(zip(scores.tolist(), (chance / chance.sum()).tolist(), strict=True))


def rest_of(plan: Plan, weeks: float) -> Plan:
    """What is still to come of a plan that began some weeks ago."""
    courses = []
    for course in plan.courses:
        start = course.schedule.start_week - weeks
        left = course.schedule.weeks + min(start, 0.0)
        if left > 1 / 7:
            courses.append(replace(course, schedule=replace(course.schedule, start_week=max(start, 0.0), weeks=left)))
    return Plan(tuple(courses))


def care_received(patient: Patient, past: History) -> tuple[Course, ...]:
    """The courses of care a person has had, weeks counted from the start of the past."""
    courses: list[Course] = []
    for ago, had in _had(patient):
        courses += shifted(had, past.weeks - ago)
    return tuple(courses)


def shifted(courses: Iterable[Course], weeks: float) -> list[Course]:
    """Courses that begin some weeks later."""
    return [replace(c, schedule=replace(c.schedule, start_week=c.schedule.start_week + weeks)) for c in courses]


def _oldest(patient: Patient) -> int:
    """The weeks that count: since this pain began, and no more than two years."""
    weeks = patient.pain.duration_weeks
    return OLDEST_WEEKS if weeks is None else min(OLDEST_WEEKS, ceil(weeks))


def _had(patient: Patient) -> list[tuple[int, Sequence[Course]]]:
    """Of all care that still counts, how many weeks ago it began and its courses from then on."""
    found = []
    for given in patient.care_so_far:
        ago = -whole_week(given.start_week)
        before = max(ago - _oldest(patient), 0)
        plan = rest_of(given.plan, before) if before else given.plan
        found.append((ago - before, received(plan, ago - before)))
    return found


def received(plan: Plan, weeks_ago: int) -> Sequence[Course]:
    """What a person has had of a plan that began some weeks ago."""
    had = []
    for course in plan.courses:
        schedule = course.schedule
        weeks = min(schedule.weeks, weeks_ago - schedule.start_week)
        if weeks >= 1 / 7 and (schedule.is_continuous or schedule.times_per_week * weeks >= 0.5):
            had.append(replace(course, schedule=replace(schedule, weeks=weeks)))
    return had
