"""What scores say of the spells behind them: an extended Kalman filter for every particle at once.

Given a particle's latent course, the good and bad spells and the slow drift (log-odds of pain) and the own ups and
downs of disability (points of 100) are Gaussian and Markov, and a score is a smooth function of them plus noise. The
filter gives how likely the scores are and where the three stand now. It linearises at its own answer (iterated; Bell
and Cathey 1993, doi 10.1109/9.250476).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .averages import priors
from .patients import Population
from .readout import log_odds_of, mean_flare_hours

ITERATIONS = 4
SPELL, DRIFT, OWN = range(3)


@dataclass(frozen=True)
class Observation:
    """One score.

    Arguments:
        week: weeks after the start, at least 1.
        value: NRS 0-10, or disability 0-100 in the person's instrument.
        disability: which of the two.
        whole: whether the score is rounded to a whole number of NRS.
    """

    week: int
    value: float
    disability: bool = False
    whole: bool = True


@dataclass(frozen=True)
class Filtered:
    """What the scores leave.

    Arguments:
        log_likelihood: of all scores, shape (particles,).
        mean: of spell, drift and own disability at the last week, shape (3, particles).
        covariance: of the same, shape (3, 3, particles).
    """

    log_likelihood: Float[np.ndarray, "particles"]
    mean: Float[np.ndarray, "3 particles"]
    covariance: Float[np.ndarray, "3 3 particles"]

    def draw(self, rng: np.random.Generator) -> Float[np.ndarray, "3 particles"]:
        """One state a particle."""
        matrices = np.moveaxis(self.covariance, -1, 0) + 1e-12 * np.eye(3)
        z = rng.standard_normal((len(matrices), 3, 1))
        return self.mean + (np.linalg.cholesky(matrices) @ z)[..., 0].T

    def take(self, rows: np.ndarray) -> Filtered:
        """The same for chosen particles."""
        return Filtered(self.log_likelihood[rows], self.mean[:, rows], self.covariance[:, :, rows])

    def where(self, accepted: np.ndarray, other: Filtered) -> Filtered:
        """The other's where accepted."""
        return Filtered(np.where(accepted, other.log_likelihood, self.log_likelihood),
                        np.where(accepted, other.mean, self.mean),
                        np.where(accepted, other.covariance, self.covariance))


def filtered(nrs: Float[np.ndarray, "weeks particles"], disability: Float[np.ndarray, "weeks particles"],
             people: Population, scores: Sequence[Observation], gain: Float[np.ndarray, "particles"]) -> Filtered:
    """Filter the scores of one person.

    Arguments:
        nrs: latent pain in weeks 1, 2, ... from the start, NRS.
        disability: latent disability in the same weeks, 0-100.
        people: the particles as virtual patients.
        scores: what was reported, in any order.
        gain: points of the instrument (as 0-100) for a point of disability.
    """
    table = priors()["read_out"]
    n, person = people.size, people.person
    lasting = ("spell_weeks", "drift_weeks", "disability_weeks")
    keep = np.array([np.exp(-1.0 / table[name]["value"]) for name in lasting])
    fresh = np.stack([np.broadcast_to(person[name], n) for name in ("spell_sd", "drift_sd", "disability_own_sd")])
    fresh = fresh**2 * (1.0 - keep[:, None] ** 2)
    mean = np.stack([np.broadcast_to(person["spell"], n), np.zeros(n), np.zeros(n)])
    covariance = np.zeros((3, 3, n))
    log_likelihood = np.zeros(n)
    for week in range(1, len(nrs) + 1):
        mean = keep[:, None] * mean
        covariance = keep[:, None, None] * keep[None, :, None] * covariance
        covariance[range(3), range(3)] += fresh
        for score in scores:
            if score.week == week:
                reading = _Reading(score, nrs[week - 1], disability[week - 1], people, gain)
                mean, covariance, told = _updated(mean, covariance, reading)
                log_likelihood += told
    return Filtered(log_likelihood, mean, covariance)


class _Reading:
    """How one score depends on the state: value, slope, and variance of the noise."""

    def __init__(self, score: Observation, nrs: np.ndarray, disability: np.ndarray, people: Population,
                 gain: np.ndarray):
        self.log_odds = log_odds_of(nrs)
        self.score, self.nrs, self.disability, self.gain = score, nrs, disability, gain
        self.at_start = people.person["disability"]
        self.per_nrs = np.broadcast_to(np.asarray(people.params["pain"]["disability_per_nrs"]), nrs.shape)
        if score.disability:
            self.noise = np.square(gain * priors()["read_out"]["disability_sem"]["value"])
        else:
            rounding = 1.0 / 12.0 if score.whole else 0.0
            self.noise = np.square(people.person["day_sd"]) / 7.0 + flare_variance(people) + rounding

    def at(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The score expected at a state, and its slope along the state."""
        p = 1.0 / (1.0 + np.exp(-(self.log_odds + state[SPELL] + state[DRIFT])))
        level, slope = 10.0 * p, np.maximum(10.0 * p * (1.0 - p), 0.05)
        if not self.score.disability:
            return level, np.stack([slope, slope, np.zeros_like(slope)])
        told = self.disability + self.per_nrs * (level - self.nrs) + state[OWN]
        by_spell = self.gain * self.per_nrs * slope
        return self.at_start + self.gain * (told - self.at_start), np.stack([by_spell, by_spell, self.gain])


def _updated(mean: np.ndarray, covariance: np.ndarray, reading: _Reading) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and covariance after a score, and its log-likelihood (Laplace's at the last linearisation)."""
    state = mean
    for _ in range(ITERATIONS):
        expected, slope = reading.at(state)
        surprise = reading.score.value - expected - np.einsum("in,in->n", slope, mean - state)
        spread = np.einsum("ijn,jn->in", covariance, slope)
        variance = np.einsum("in,in->n", slope, spread) + reading.noise
        state = mean + spread * (surprise / variance)
    left = covariance - spread[:, None] * spread[None] / variance
    return state, left, -0.5 * (np.log(2.0 * np.pi * variance) + surprise**2 / variance)


def flare_variance(people: Population) -> Float[np.ndarray, "patients"]:
    """Variance that flares leave in a week's average, NRS squared."""
    size = priors()["read_out"]["flare_size"]["value"] / 168.0
    return size**2 * 7.0 * people.person["flares_per_day"] * mean_flare_hours(2)
