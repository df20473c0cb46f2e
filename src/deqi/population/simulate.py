"""Run a plan on virtual patients: blocks of fixed shape, one thread per core, weekly results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from ..body.system import BODY
from ..care.plan import Plan
from ..care.timeline import timeline
from ..solve.cache import keep_compiled
from ..solve.exponential import RECORDED
from ..solve.grid import MONTHS, Grid, build
from ..solve.weekly import Context, weekly
from ..threads import mapped
from .context import strength
from .patients import Population

keep_compiled()

BLOCK = 2048
"""Most patients in one call of the solver; what fits the cache of a core."""
STEPS, WEEKS, COLUMNS = 2048, (64, 128, 256, 520), (64, 256, 1024, BLOCK)
"""Padded numbers of steps (at least), of weeks, and of draws in a block: what is padded alike never compiles again."""


@dataclass(frozen=True)
class Course:
    """Latent course of virtual patients under a plan.

    Arguments:
        weeks: week numbers 1, 2, ...
        nrs: mean latent pain over the week that ends at each, shape (weeks, patients), 0-10.
        disability: latent disability at the same, 0-100.
        flare_log_hazard: log factor on the flare hazard in each week, shape (weeks,).
    """

    weeks: np.ndarray
    nrs: Float[np.ndarray, "weeks patients"]
    disability: Float[np.ndarray, "weeks patients"]
    flare_log_hazard: Float[np.ndarray, "weeks"]


def simulate(plan: Plan, people: Population, weeks: int, *, block: int = BLOCK,
             progress: Callable[[int], Any] | None = None) -> Course:
    """Simulate a plan on virtual patients.

    Arguments:
        plan: the plan; day 0 is the day of assessment.
        people: the patients, anchored at rest.
        weeks: how long.
        block: most patients in one call of the solver.
        progress: called with the number of patients finished.

    Returns:
        the latent weekly course.
    """
    grid = _grid(plan, weeks)
    felt = strength(plan.courses, (grid.start_days + 0.5 * grid.days)[:grid.used], people.averages)
    block = min(block, _round_up(people.size, 64))
    padded = next(size for size in WEEKS if size >= weeks)

    def run(start: int) -> tuple[np.ndarray, np.ndarray]:
        rows = _rows(people.size, start, block)
        context = _context(felt, people.average[rows], len(grid.days))
        found = weekly(BODY, *_cut(people, rows), grid.steps, grid.week, grid.used, context, padded)
        kept = min(block, people.size - start)
        nrs, disability = (np.asarray(found[name])[:weeks, :kept].astype(float) for name in RECORDED)
        if progress is not None:
            progress(kept)
        return nrs, disability

    starts = range(0, people.size, block)
    blocks = list(mapped(run, starts, 1 if len(starts) == 1 else None))
    nrs, disability = (np.concatenate([b[i] for b in blocks], axis=1) for i in (0, 1))
    return Course(np.arange(1, weeks + 1), nrs, disability, _weekly_hazard(grid, weeks))


@lru_cache(maxsize=128)
def _grid(plan: Plan, weeks: int) -> Grid:
    """The grid of a plan, kept: worlds and people that share a plan share it."""
    return build(timeline(plan.courses, weeks), resolution=MONTHS, size=STEPS, dtype=np.float32)


def _weekly_hazard(grid: Grid, weeks: int) -> np.ndarray:
    hazard = np.asarray(grid.steps.inputs["flare_log_hazard"], dtype=float)
    return np.bincount(grid.week, grid.days / 7.0 * hazard, weeks)[:weeks]


def _context(felt: Float[np.ndarray, "used draws"], average: Int[np.ndarray, "patients"], steps: int) -> Context:
    """Strengths of the context in the draws that a block needs, padded, over so many steps."""
    needed, own = np.unique(average, return_inverse=True)
    chosen = np.zeros((steps, next(size for size in COLUMNS if size >= len(needed))), dtype=np.float32)
    chosen[:len(felt), :len(needed)] = felt[:, needed]
    return Context(chosen, own.astype(np.int32))


def _round_up(n: int, to: int) -> int:
    return -(-n // to) * to


def _rows(n: int, start: int, block: int) -> np.ndarray:
    """Indices of a block; the last one is filled up with its last patient."""
    return np.minimum(np.arange(start, start + block), n - 1)


def _cut(people: Population, rows: np.ndarray) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    def take(leaf: Any) -> Any:
        array = np.asarray(leaf, dtype=np.float32)
        return array[rows] if array.ndim else array

    return jax.tree.map(take, people.params), jax.tree.map(take, people.states)
