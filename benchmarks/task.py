"""What every solver is given: one plan, a few patients, the error allowed, and how a call is timed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from statistics import median
from typing import Any

import jax
import numpy as np

from deqi.care import plan_from
from deqi.care.timeline import timeline
from deqi.population.patients import Population, draw, population_of
from deqi.solve import reference
from deqi.solve.grid import MONTHS, WEEKS, Grid, Resolution, build

PLAN = "acupuncture 30 min 12 sessions over 6 weeks"
YEAR = 52
"""Weeks of a patient-year."""
ALLOWED = 0.01
"""Largest error over time, NRS, at which solvers are compared."""
REPEATS = 5
SAMPLE = 3
"""Patients on whom errors are measured and the slow solvers timed."""
CORES = os.cpu_count() or 1
OURS: Resolution = MONTHS
"""The grid on which deqi is timed (that of `simulate`)."""
THEIRS: Resolution = replace(WEEKS, late_days=MONTHS.late_days)
"""The grid that gives the others their inputs: few changes, so that they seldom start anew."""


@dataclass(frozen=True)
class Spread:
    """Median, least and most of some repetitions."""

    median: float
    least: float
    most: float

    def over(self, number: float) -> Spread:
        """The same for one of many."""
        return Spread(self.median / number, self.least / number, self.most / number)

    def __str__(self) -> str:
        return f"{self.median:.4g} ({self.least:.4g} to {self.most:.4g})"


def timed(run: Callable[[], Any], repeats: int = REPEATS, clock: Callable[[], float] = time.perf_counter) -> Spread:
    """Wall seconds of a call that has been made ready before, or seconds of another clock."""
    spent = []
    for _ in range(repeats):
        start = clock()
        run()
        spent.append(clock() - start)
    return Spread(median(spent), min(spent), max(spent))


def grid_of(resolution: Resolution, weeks: int = YEAR, plan: str = PLAN, dtype: type = np.float64) -> Grid:
    """The grid of a plan."""
    return build(timeline(plan_from(plan).courses, weeks), resolution=resolution, dtype=dtype)


@cache
def sample(n: int = SAMPLE) -> Population:
    """The patients on whom errors are measured."""
    return draw(population_of("chronic"), n, 1)


@cache
def truth(ours: bool, weeks: int = YEAR) -> np.ndarray:
    """Pain of the sample at the start of each step of our or of their grid, by the reference solver."""
    people = sample()
    return reference.solve(people.params, people.states, grid_of(OURS if ours else THEIRS, weeks))["nrs"]


def one(tree: Mapping[str, Any], patient: int) -> Any:
    """One patient's numbers."""
    return jax.tree.map(lambda leaf: float(np.asarray(leaf).reshape(-1)[patient if np.ndim(leaf) else 0]), dict(tree))


def starts_of(grid: Grid) -> np.ndarray:
    """When the steps of a grid start, days."""
    return np.asarray(grid.start_days[:grid.used])


def loosest(tolerances: Iterable[float], solve: Callable[[float], np.ndarray], right: np.ndarray) -> dict[str, float]:
    """The first of some relative tolerances, the loosest first, whose `error` is allowed; `rtol` is its name."""
    for rtol in tolerances:
        try:
            error = off(solve(rtol), right)
        except RuntimeError:  # the solver gave up at this tolerance
            continue
        if error <= ALLOWED:
            return {"rtol": rtol, "error": error}
    raise LookupError(f"no tolerance reaches {ALLOWED} NRS")


def off(found: np.ndarray, right: np.ndarray) -> float:
    """Largest error over time and patients, NRS."""
    return float(np.max(np.abs(found - right)))
