"""What may happen to this person under a plan: a distribution of the scores that would be reported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from ..care.course import Course
from ..care.plan import Plan
from ..population.patients import Population, Who, draw, phase_of
from ..population.readout import reported_disability, reported_weeks, weekly_level
from ..population.simulate import Course as Latent
from ..population.simulate import simulate
from .assessment import RANGES, Patient
from .screening import Applicability

QUANTILES = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
MINIMAL_IMPORTANT_CHANGE = {"NRS": 2.0, "RMDQ": 5.0, "ODI": 10.0}
"""Points of improvement within one person (fact `ostelo2008_mic`)."""
CLEARLY_WORSE = 2.0
WIDER_AT_THE_EDGE = 1.25
"""Factor on the spread for a person at the edge of the studied range; assumed."""
SCORE_ERROR_NRS = 0.6
"""Spread of a reported week around its level: days, flares and rounding (`williams2024_nrs_vas_retest`)."""
FEWEST_EFFECTIVE = 50.0
BLOCK = 256
"""Draws in one call of the solver: one compiled function serves comparison, search and theories."""


@dataclass(frozen=True)
class Forecast:
    """Simulated futures of one person; row w is week w from now, row 0 today.

    Arguments:
        baseline: today's reported score (NRS).
        nrs: reported week averages, shape (weeks + 1, draws).
        disability: reported disability 0-100, shape (weeks + 1, draws), or None if none was given.
        instrument: in which it is reported.
        latent: pain without noise, shape (weeks, draws).
        average: index of the draw of averages that each future belongs to.
        effective: effective number of draws after conditioning on earlier scores.
        usual_nrs: the person's usual level behind today's score, shape (draws,).
    """

    baseline: float
    nrs: Float[np.ndarray, "weeks draws"]
    disability: Float[np.ndarray, "weeks draws"] | None
    instrument: str | None
    latent: Float[np.ndarray, "weeks draws"]
    average: np.ndarray
    effective: float
    usual_nrs: Float[np.ndarray, "draws"]

    def rows(self, weeks: Iterable[int]) -> list[dict[str, Any]]:
        """The forecast at some weeks, as the interface has it."""
        found = []
        for week in weeks:
            found.append(_row("NRS", week, self.nrs[week], self.baseline))
            if self.disability is not None and self.instrument is not None:
                scale = RANGES[self.instrument][1] / 100.0
                found.append(_row(self.instrument, week, scale * self.disability[week],
                                  float(scale * self.disability[0, 0])))
        return found

    def improved(self, week: int) -> np.ndarray:
        """Whether pain has fallen by at least 30 % of today's reported score."""
        return (self.baseline > 0.0) & (self.nrs[week] <= 0.7 * self.baseline + 1e-9)


def _row(outcome: str, week: int, values: np.ndarray, baseline: float) -> dict[str, Any]:
    return {
        "week": week, "outcome": outcome, "mean": float(np.mean(values)), "sd": float(np.std(values)),
        "quantiles": {str(q): float(np.quantile(values, q)) for q in QUANTILES},
        "p_improved_30pct": float(np.mean(values <= 0.7 * baseline + 1e-9)) if baseline > 0 else 0.0,
        "p_mic": float(np.mean(values <= baseline - MINIMAL_IMPORTANT_CHANGE[outcome] + 1e-9)),
    }


def who_is(patient: Patient, applicability: Applicability, baseline_nrs: float) -> Who:
    """The person as a population of one: known values fixed, unknown ones drawn."""
    weeks = patient.pain.duration_weeks
    disability = None
    if patient.disability is not None and patient.disability.score is not None:
        disability = 100.0 * patient.disability.score / RANGES[patient.disability.instrument][1]
    return Who(
        phase="chronic" if weeks is None else phase_of(weeks), baseline_nrs=baseline_nrs, baseline_sd=0.0,
        duration_weeks=weeks, disability=disability,
        regular_opioid="regular_opioid" in (patient.medicines or ()),
        wider=WIDER_AT_THE_EDGE if applicability.status == "edge" else 1.0,
    )


@dataclass(frozen=True)
class Person:
    """One patient made ready to forecast: the draws, where their history starts, and their weights.

    Arguments:
        patient: the assessment.
        people: the draws, anchored at the first known score.
        past_weeks: weeks from the first known score or care to now.
        seed: of every random number.
    """

    patient: Patient
    people: Population
    past_weeks: int
    seed: int

    def forecast(self, plan: Plan, weeks: int, *, size: int | None = None) -> Forecast:
        """Forecast the person's scores under a plan that starts now.

        Draws are weighted by how well they meet the earlier scores under the care received, then resampled.
        """
        horizon = self.past_weeks + weeks
        course = simulate(self._history_and(plan), self.people, horizon, size=size, block=BLOCK)
        reported = reported_weeks(course.nrs, self.people, self.seed, course.flare_log_hazard, rounded=False)
        chosen, effective = self._conditioned(course)
        now, baseline = self.past_weeks, self.patient.pain.week_average
        ahead = reported[now:, chosen]
        if float(baseline).is_integer():
            reported_now = np.round(ahead)
        else:
            reported_now = ahead
        nrs = np.vstack([np.full((1, len(chosen)), baseline), reported_now])
        disability = self._disability(course, chosen, weeks)
        instrument = None if self.patient.disability is None else self.patient.disability.instrument
        return Forecast(baseline, nrs, disability, instrument, course.nrs[now:, chosen],
                        self.people.average[chosen], effective, self.people.person["usual_nrs"][chosen])

    def _history_and(self, plan: Plan) -> Plan:
        past: list[Course] = []
        for given in self.patient.care_so_far:
            ago = -round(given.start_week)
            past += [_moved(course, self.past_weeks - ago) for course in _received(given.plan, ago)]
        return Plan((*past, *(_moved(c, self.past_weeks) for c in plan.courses)))

    def _conditioned(self, course: Latent) -> tuple[np.ndarray, float]:
        """Indices of the draws after weighting by scores since the first one, and the effective number."""
        n = self.people.size
        if not self.past_weeks:
            return np.arange(n), float(n)
        level = weekly_level(course.nrs, self.people, self.seed)
        scores = {round(s.week): s.value for s in self.patient.scores if s.outcome == "NRS" and s.week <= 0}
        scores[0] = self.patient.pain.week_average
        log_weight = np.zeros(n)
        for week, value in scores.items():
            row = self.past_weeks + week - 1
            if row >= 0:
                log_weight -= 0.5 * ((level[row] - value) / SCORE_ERROR_NRS) ** 2
        weight, effective = _enough(log_weight)
        rng = np.random.default_rng([self.seed, 4])
        places = (rng.uniform() + np.arange(n)) / n
        return np.searchsorted(np.cumsum(weight), places).clip(0, n - 1), effective

    def _disability(self, course: Latent, chosen: np.ndarray, weeks: int) -> np.ndarray | None:
        given = self.patient.disability
        if given is None or given.score is None:
            return None
        today = 100.0 * given.score / RANGES[given.instrument][1]
        reported = reported_disability(course.disability, self.people, self.seed, course.nrs)[self.past_weeks:, chosen]
        return np.vstack([np.full((1, len(chosen)), today), reported[:weeks]])


def _enough(log_weight: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights, flattened until `FEWEST_EFFECTIVE` draws count, and how many counted before."""
    power, before = 1.0, None
    while True:
        weight = np.exp(power * (log_weight - log_weight.max()))
        weight /= weight.sum()
        effective = float(1.0 / np.sum(weight**2))
        before = effective if before is None else before
        if effective >= min(FEWEST_EFFECTIVE, 0.5 * len(weight)):
            return weight, before
        power *= 0.8


def _received(plan: Plan, weeks_ago: int) -> list[Course]:
    """What a person has had of a plan that began some weeks ago."""
    had = []
    for course in plan.courses:
        schedule = course.schedule
        weeks = min(schedule.weeks, weeks_ago - schedule.start_week)
        if weeks >= 1 / 7 and (schedule.is_continuous or schedule.times_per_week * weeks >= 0.5):
            had.append(replace(course, schedule=replace(schedule, weeks=weeks)))
    return had


def _moved(course: Course, weeks: float) -> Course:
    schedule = course.schedule
    return replace(course, schedule=replace(schedule, start_week=schedule.start_week + weeks))


def prepare(patient: Patient, applicability: Applicability, *, draws: int, seed: int,
            without: Sequence[str] = ()) -> Person:
    """Make a patient ready to forecast.

    The history starts at the earliest score or course of care; there the person is anchored at the score of that
    week (today's, if that week has none).
    """
    first = min([0.0, *(s.week for s in patient.scores if s.outcome == "NRS"),
                 *(c.start_week for c in patient.care_so_far)])
    past = -round(first)
    there = [s.value for s in patient.scores if s.outcome == "NRS" and round(s.week) == -past]
    anchor = there[0] if past and there else patient.pain.week_average
    people = draw(who_is(patient, applicability, anchor), draws, seed, without)
    return Person(patient, people, past, seed)
