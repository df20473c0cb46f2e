"""One person as a cloud of particles: places among others and draws of the averages, alike in all that is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtr, ndtri

from .averages import priors
from .coordinates import Coordinates
from .patients import AVERAGES_PER_POPULATION, Population, Who, people_at
from .posterior import draws_of_averages

EDGE = 1e-12
FILLED = (64, 256, 1024)
"""Lengths that groups of particles are filled up to."""


@dataclass(frozen=True)
class Particles:
    """What one person may be.

    Arguments:
        whos: what is known; more than one where the phase or the score at the start is not.
        kind: index into `whos` of each particle, shape (particles,).
        places: where each stands among others.
        averages: draws of the averages, each of shape (draws,).
        average: index of the draw that each particle belongs to, shape (particles,).
    """

    whos: tuple[Who, ...]
    kind: Int[np.ndarray, "particles"]
    places: Coordinates
    averages: Mapping[str, Float[np.ndarray, "draws"]]
    average: Int[np.ndarray, "particles"]

    @property
    def size(self) -> int:
        """Number of particles."""
        return len(self.average)

    def people(self, without: Iterable[str] = ()) -> Population:
        """The particles as virtual patients, anchored at the person's score; theories may be absent."""
        found = []
        present = np.unique(self.kind)
        for kind in present:
            rows = np.flatnonzero(self.kind == kind)
            filled = rows if len(present) == 1 else _filled(rows)
            people = people_at(self.whos[kind], Coordinates(self.places.uniform[:, filled]), self.averages,
                               self.average[filled], without)
            found.append((rows, people))
        return found[0][1] if len(found) == 1 else _joined(found, self)

    def take(self, rows: Int[np.ndarray, "chosen"]) -> Particles:
        """The chosen particles, which may repeat."""
        return replace(self, kind=self.kind[rows], places=Coordinates(self.places.uniform[:, rows]),
                       average=self.average[rows])

    def where(self, accepted: np.ndarray, other: Particles) -> Particles:
        """The other's particle where accepted, the own one elsewhere."""
        return replace(self, kind=np.where(accepted, other.kind, self.kind),
                       places=Coordinates(np.where(accepted, other.places.uniform, self.places.uniform)),
                       average=np.where(accepted, other.average, self.average))

    def moved(self, step: float, rng: np.random.Generator) -> Particles:
        """A proposal that leaves the prior as it is (preconditioned Crank-Nicolson, Cotter et al. 2013,
        doi 10.1214/13-STS421): places move by `step`, 0-1; every second particle takes another draw of the averages."""
        z = ndtri(self.places.uniform)
        z = np.sqrt(1.0 - step**2) * z + step * rng.standard_normal(z.shape)
        other = rng.integers(len(next(iter(self.averages.values()))), size=self.size)
        swap = rng.uniform(size=self.size) < 0.5
        return replace(self, places=Coordinates(np.clip(ndtr(z), EDGE, 1.0 - EDGE)),
                       average=np.where(swap, other, self.average))


def draw_particles(whos: Sequence[tuple[Who, float]], n: int, seed: int, expectation: float | None = None,
                   averages: int = AVERAGES_PER_POPULATION) -> Particles:
    """Particles from the calibrated population.

    Arguments:
        whos: what the person may be, with its share; the shares sum to 1.
        n: how many particles.
        seed: of the random generator.
        expectation: of help from the treatment, 0-10; None draws it. Its slope on the context response has a prior
            that spans zero (`expectation_slope`).
        averages: number of draws of the averages.
    """
    drawn = dict(_draws(averages, seed))
    # how bad a week it is, is the person's own spell; how trials differ in whom they recruit when is not added to it
    drawn["trial_bad_week"] = np.zeros(averages)
    drawn["trial_context"] = drawn["trial_context"] * _expected(expectation, averages, seed)
    rng = np.random.default_rng([seed, 8])
    shares = np.cumsum([share for _, share in whos])
    kind = np.searchsorted(shares, (np.arange(n) + 0.5) / n * shares[-1]).clip(0, len(whos) - 1)
    return Particles(tuple(who for who, _ in whos), rng.permutation(kind), Coordinates.random(n, seed), drawn,
                     np.arange(n) % averages)


@lru_cache(maxsize=8)
def _draws(n: int, seed: int) -> Mapping[str, Float[np.ndarray, "draws"]]:
    """The draws of the averages, kept: every patient of a batch has the same."""
    return draws_of_averages(n, seed)


def _expected(expectation: float | None, draws: int, seed: int) -> Float[np.ndarray, "draws"]:
    """Factor on the context response that goes with what the person expects, by draw of the averages."""
    rng, prior = np.random.default_rng([seed, 9]), priors()["people"]["expectation_slope"]
    slope = prior["centre"] + prior["spread"] * rng.standard_normal(draws)
    level = rng.uniform(0.0, 10.0, draws) if expectation is None else np.full(draws, expectation)
    return expected(slope, level)


def expected(slope: Float[np.ndarray, "n"], level: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Factor on the context response that goes with an expectation of 0-10; `slope` is its log for 5 points."""
    return np.exp(slope * (level - 5.0) / 5.0)


def _filled(rows: np.ndarray) -> np.ndarray:
    """Rows filled up with the last one to a length that compiles once: groups change in size as particles move."""
    size = next(size for size in FILLED if size >= len(rows) or size == FILLED[-1])
    return rows[np.minimum(np.arange(max(size, len(rows))), len(rows) - 1)]


def _joined(parts: Sequence[tuple[np.ndarray, Population]], particles: Particles) -> Population:
    """Groups of particles put together in their order."""
    rows = [rows for rows, _ in parts]

    def join(*leaves: Any) -> Any:
        if all(np.ndim(leaf) == 0 for leaf in leaves):
            return leaves[0]
        whole = np.empty(particles.size, dtype=np.result_type(*(np.asarray(leaf).dtype for leaf in leaves)))
        for place, leaf in zip(rows, leaves, strict=True):
            whole[place] = np.asarray(leaf)[:len(place)] if np.ndim(leaf) else leaf
        return whole

    people = [people for _, people in parts]
    return Population(jax.tree.map(join, *(p.params for p in people)), jax.tree.map(join, *(p.states for p in people)),
                      jax.tree.map(join, *(p.person for p in people)), particles.average, particles.averages)
