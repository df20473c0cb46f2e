"""What may happen to this person under a plan: a distribution of the scores that would be reported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from typing import Any

import numpy as np
from jaxtyping import Float

from ..care.course import Course
from ..care.plan import Plan
from ..population.filtering import Filtered, filtered
from ..population.particles import Particles, draw_particles
from ..population.patients import Population
from ..population.readout import reported_disability, reported_weeks
from ..population.simulate import Course as Latent
from ..population.simulate import simulate
from .assessment import RANGES, Patient
from .conditioning import Conditioned, condition
from .history import History, care_received, history_of, shifted, who_may_be
from .screening import Applicability

QUANTILES = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
MINIMAL_IMPORTANT_CHANGE = {"NRS": 2.0, "RMDQ": 5.0, "ODI": 10.0}
"""Points of improvement within one person (fact `ostelo2008_mic`)."""
CLEARLY_WORSE = 2.0
EIGHTY = 1.2816
"""Standard deviations on each side of the middle that hold 80 of 100."""
GAINS = {"RMDQ": "gain_rmdq", "ODI": "gain_odi"}
"""The average that says how many points of a questionnaire go with a point of disability."""
DRAWS = 768
"""Particles of one person."""
FEWEST_MOVES = 0.02
"""Share of accepted moves below which the particles have not found their way to the scores."""
REPLICATES = 3
"""Futures of each particle: days and spells are most of the spread and cost little."""
BLOCK = 256
"""Draws in one call of the solver: one compiled function serves comparison, search and theories."""


@dataclass(frozen=True)
class Forecast:
    """Simulated futures of one person; row w is week w from now, row 0 today.

    Each particle lives `REPLICATES` futures that differ in days and spells alone; futures stand replicate by replicate.

    Arguments:
        baseline: today's reported score (NRS).
        nrs: reported week averages, shape (weeks + 1, futures).
        disability: reported disability 0-100, shape (weeks + 1, particles), or None if none was given.
        instrument: in which it is reported.
        latent: pain without noise, shape (weeks, particles).
        average: index of the draw of averages that each particle belongs to, shape (particles,).
        level_now: pain now without noise, shape (particles,).
        flare_log_hazard: log factor on the hazard of flares in each week to come, shape (weeks,).
    """

    baseline: float
    nrs: Float[np.ndarray, "weeks futures"]
    disability: Float[np.ndarray, "weeks particles"] | None
    instrument: str | None
    latent: Float[np.ndarray, "weeks particles"]
    average: np.ndarray
    level_now: Float[np.ndarray, "particles"]
    flare_log_hazard: Float[np.ndarray, "weeks"]

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

    def by_particle(self, values: Float[np.ndarray, "futures"]) -> Float[np.ndarray, "replicates particles"]:
        """Something of every future, the futures of one particle in one column."""
        return values.reshape(-1, len(self.average))

    def improved(self, week: int) -> np.ndarray:
        """Whether pain has fallen by at least 30 % of today's reported score, shape (futures,)."""
        return (self.baseline > 0.0) & (self.nrs[week] <= much_less(self.baseline))

    def split(self, week: int) -> dict[str, float]:
        """Where the spread of the reported score at a week comes from: SDs in points of NRS whose squares add up.

        `sd_days`: good and bad days and weeks of one person; `sd_parameters`: what is unsure about averages and about
        the setting; `sd_people`: how people alike on paper differ.
        """
        lives = self.by_particle(self.nrs[week])
        total = float(np.var(lives))
        days = min(float(np.mean(lives.var(axis=0, ddof=1))), total)
        between = min(variance_between(lives.mean(axis=0), self.average), total - days)
        return {"week": week, "sd_total": total**0.5, "sd_people": max(total - days - between, 0.0) ** 0.5,
                "sd_days": days**0.5, "sd_parameters": between**0.5}


def much_less(score: float) -> float:
    """The highest score that is at least 30 % less."""
    return 0.7 * score + 1e-9


def variance_between(values: Float[np.ndarray, "particles"], average: np.ndarray) -> float:
    """Variance between the draws of the averages, beyond what the few particles of each explain (one-way analysis of
    variance with groups of unequal size)."""
    _, group = np.unique(average, return_inverse=True)
    size = np.bincount(group)
    n, groups = len(values), len(size)
    if groups < 2 or n <= groups:
        return 0.0
    mean = np.bincount(group, values) / size
    within = float(np.sum(np.square(values - mean[group]))) / (n - groups)
    between = float(np.sum(size * np.square(mean - values.mean()))) / (groups - 1)
    return max((between - within) / ((n - np.sum(size**2) / n) / (groups - 1)), 0.0)


def range_over_averages(values: Float[np.ndarray, "particles"], average: np.ndarray) -> dict[str, float]:
    """Mean of something over the particles, with the 80 % range of it over the draws of the averages."""
    middle, spread = float(np.mean(values)), EIGHTY * variance_between(values, average) ** 0.5
    return {"low": middle - spread, "median": middle, "high": middle + spread}


def _row(outcome: str, week: int, values: np.ndarray, baseline: float) -> dict[str, Any]:
    return {
        "week": week, "outcome": outcome, "mean": float(np.mean(values)), "sd": float(np.std(values)),
        "quantiles": {str(q): float(x) for q, x in zip(QUANTILES, np.quantile(values, QUANTILES), strict=True)},
        "p_improved_30pct": float(np.mean(values <= much_less(baseline))) if baseline > 0 else 0.0,
        "p_mic": float(np.mean(values <= baseline - MINIMAL_IMPORTANT_CHANGE[outcome] + 1e-9)),
    }


@dataclass(frozen=True)
class Person:
    """One patient made ready to forecast: particles that agree with all that is known.

    Arguments:
        patient: the assessment.
        past: what is known of the past.
        known: the particles after the earlier scores; without a past, the prior ones.
        seed: of every random number.
        absent: theories that are left out.
    """

    patient: Patient
    past: History
    known: Conditioned
    seed: int
    absent: tuple[str, ...] = ()

    @cached_property
    def people(self) -> Population:
        """The particles as virtual patients, anchored at the start of the past."""
        return self.known.particles.people(self.absent)

    @cached_property
    def received(self) -> tuple[Course, ...]:
        """The care of the past."""
        return care_received(self.patient, self.past)

    def conditioning(self) -> dict[str, Any]:
        """How the earlier scores were let in."""
        known, past = self.known, self.past
        return {"weeks": past.weeks, "scores": len(past.scores) + (past.anchor is not None),
                "effective_draws": round(known.effective, 1),
                "pareto_k": None if known.k == -inf else round(known.k, 2),
                "moved": known.degrees > 0, "degenerate": known.degrees > 0 and known.accepted < FEWEST_MOVES,
                "unused": list(past.unused)}

    def lacking(self, theories: Sequence[str]) -> Person:
        """The same person in a world without some theories."""
        return replace(self, absent=tuple(theories))

    def forecast(self, plan: Plan, weeks: int) -> Forecast:
        """Forecast the person's scores under a plan that starts now.

        Arguments:
            plan: the plan.
            weeks: how long.
        """
        course = self.course(plan, weeks)
        now, baseline = self.past.weeks, self.patient.pain.week_average
        latent, hazard = course.nrs[now:], course.flare_log_hazard[now:]
        people = self._now()
        whole = float(baseline).is_integer()
        nrs = np.hstack([reported_weeks(latent, people, self.seed + 10_007 * replicate, hazard, rounded=whole)
                         for replicate in range(REPLICATES)])
        nrs = np.vstack([np.full((1, nrs.shape[1]), baseline), nrs])
        instrument = None if self.patient.disability is None else self.patient.disability.instrument
        level_now = course.nrs[now - 1] if now else people.person["usual_nrs"]
        return Forecast(baseline, nrs, self._disability(course, people), instrument, latent,
                        self.known.particles.average, level_now, hazard)

    def course(self, plan: Plan, weeks: int) -> Latent:
        """The latent course from the start of the past to some weeks from now."""
        whole = Plan((*self.received, *shifted(plan.courses, self.past.weeks)))
        return simulate(whole, self.people, self.past.weeks + weeks, block=BLOCK)

    def _now(self) -> Population:
        spell, drift, own = self.known.state
        return replace(self.people, person={**self.people.person, "spell": spell, "drift": drift, "own": own})

    def _disability(self, course: Latent, people: Population) -> np.ndarray | None:
        given = self.patient.disability
        if given is None or given.score is None:
            return None
        now = self.past.weeks
        start, today = people.person["disability"], 100.0 * given.score / RANGES[given.instrument][1]
        told = reported_disability(course.disability[now:], people, self.seed, course.nrs[now:])
        reported = np.clip(start + self.gain * (told - start), 0.0, 100.0)
        return np.vstack([np.full((1, people.size), today), reported])

    @property
    def gain(self) -> np.ndarray:
        """Points of the person's questionnaire for a point of disability, shape (draws,)."""
        return gain_of(self.patient, self.known.particles)


def gain_of(patient: Patient, particles: Particles) -> Float[np.ndarray, "particles"]:
    """Points of a person's questionnaire (as 0-100) for a point of disability."""
    if patient.disability is None or patient.disability.instrument not in GAINS:
        return np.ones(particles.size)
    return np.asarray(particles.averages[GAINS[patient.disability.instrument]][particles.average])


def prepare(patient: Patient, applicability: Applicability, *, draws: int, seed: int) -> Person:
    """Make a patient ready to forecast: draw particles and condition them on the earlier scores.

    Arguments:
        patient: the assessment.
        applicability: how far it lies within what was studied.
        draws: number of particles.
        seed: of every random number.
    """
    past = history_of(patient)
    drawn = draw_particles(who_may_be(patient, applicability, past), draws, seed, patient.expectation)
    if not past.weeks:
        people = drawn.people()
        start = np.stack([people.person["spell"], np.zeros(draws), np.zeros(draws)])
        return Person(patient, past, Conditioned(drawn, start, float(draws), -np.inf, 0, 1.0), seed)
    plan = Plan(care_received(patient, past))

    def tell(particles: Particles) -> Filtered:
        people = particles.people()
        course = simulate(plan, people, past.weeks, block=BLOCK)
        return filtered(course.nrs, course.disability, people, past.scores, gain_of(patient, particles))

    return Person(patient, past, condition(drawn, tell, seed), seed)
