"""Particles that agree with a person's earlier scores: weighted where that is enough, moved where it is not.

Weights are the likelihood of the scores, smoothed at their tail (Pareto; Vehtari et al. 2024, JMLR 25:72). Where the
diagnostic says that they have degenerated, the scores are let in by degrees, and between the degrees particles move by
Metropolis-Hastings steps that leave the posterior as it is (Del Moral et al. 2006,
doi 10.1111/j.1467-9868.2006.00553.x).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ..calibrate.scores import effective_sample_size, pareto_smooth
from ..population.filtering import Filtered
from ..population.particles import Particles

LARGEST_K = 0.7
"""Pareto k above which weights are not trusted (Vehtari et al. 2024)."""
FEWEST_EFFECTIVE = 100.0
"""Effective particles below which they are moved too; a quantile of the tails needs so many. Assumed."""
MOVES = 2
"""Metropolis-Hastings steps at each degree."""
WANTED_ACCEPTANCE = 0.25
MOST_DEGREES = 40


@dataclass(frozen=True)
class Conditioned:
    """What the scores leave of the particles, all of equal weight.

    Arguments:
        particles: chosen, and moved if need be.
        state: spell and drift (log-odds) and own disability (points) now, shape (3, particles).
        effective: effective number of particles under the first weights.
        k: their Pareto k.
        degrees: in how many degrees the scores were let in; 0 where weights were enough.
        accepted: share of the moves taken.
    """

    particles: Particles
    state: Float[np.ndarray, "3 particles"]
    effective: float
    k: float
    degrees: int
    accepted: float


def condition(particles: Particles, tell: Callable[[Particles], Filtered], seed: int) -> Conditioned:
    """Condition particles on what a person's scores tell.

    Arguments:
        particles: from the prior.
        tell: the filtered scores under each particle's course.
        seed: of the random generator.
    """
    rng, told = np.random.default_rng([seed, 4]), tell(particles)
    log_weight, k = pareto_smooth(told.log_likelihood)
    effective = effective_sample_size(log_weight)
    degrees, accepted = 0, 1.0
    if k <= LARGEST_K and effective >= min(FEWEST_EFFECTIVE, 0.3 * particles.size):
        rows = _resampled(log_weight, rng)
        particles, told = particles.take(rows), told.take(rows)
    else:
        particles, told, degrees, accepted = _by_degrees(particles, told, tell, rng)
    return Conditioned(particles, told.draw(rng), effective, k, degrees, accepted)


def _by_degrees(particles: Particles, told: Filtered, tell: Callable[[Particles], Filtered], rng: np.random.Generator
                ) -> tuple[Particles, Filtered, int, float]:
    power, step, degrees, taken = 0.0, 0.5, 0, []
    while power < 1.0:
        degrees += 1
        after = 1.0 if degrees == MOST_DEGREES else _next_power(told.log_likelihood, power)
        rows = _resampled((after - power) * told.log_likelihood, rng)
        particles, told, power = particles.take(rows), told.take(rows), after
        for _ in range(MOVES):
            proposal = particles.moved(step, rng)
            other = tell(proposal)
            gain = power * (other.log_likelihood - told.log_likelihood)
            accepted = np.log(rng.uniform(size=particles.size)) < gain
            particles, told = particles.where(accepted, proposal), told.where(accepted, other)
            taken.append(float(np.mean(accepted)))
            step = float(np.clip(step * np.exp(taken[-1] - WANTED_ACCEPTANCE), 0.05, 0.9))
    return particles, told, degrees, float(np.mean(taken))


def _next_power(log_likelihood: np.ndarray, power: float) -> float:
    """The power at which half of the particles would still count."""
    low, high, half = power, 1.0, 0.5 * len(log_likelihood)
    if effective_sample_size((1.0 - power) * log_likelihood) >= half:
        return 1.0
    for _ in range(30):
        middle = 0.5 * (low + high)
        enough = effective_sample_size((middle - power) * log_likelihood) >= half
        low, high = (middle, high) if enough else (low, middle)
    return max(low, power + 1e-6)


def _resampled(log_weight: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows drawn in proportion to their weights, evenly spaced."""
    weight = np.exp(log_weight - log_weight.max())
    places = (rng.uniform() + np.arange(len(weight))) / len(weight)
    return np.searchsorted(np.cumsum(weight) / weight.sum(), places).clip(0, len(weight) - 1)
