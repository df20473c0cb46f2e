"""diffrax as a plain user calls it: Kvaerno's method of order 5, vectorised over patients, all cores.

The same segments as SciPy: it starts anew only where an input changes or a session ends; double precision; compiled
before it is timed; the loosest tolerance within the error allowed.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import diffrax
import numpy as np

from deqi.population.patients import Population, draw, population_of
from deqi.solve import reference

from . import task

TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-5)
PATIENTS = 16
"""Together in one call: a compiled loop over few patients is mostly overhead."""


def measure(weeks: int = task.YEAR, patients: int = PATIENTS) -> dict[str, Any]:
    """Core-seconds per patient-year at equal error, and how."""
    few, grid, right = task.sample(), task.grid_of(task.THEIRS, weeks), task.truth(False, weeks)
    many = draw(population_of("chronic"), patients, 2)

    def solve(people: Population, rtol: float) -> np.ndarray:
        return reference.solve(people.params, people.states, grid, rtol=rtol, atol=rtol * 1e-2)["nrs"]

    setting = task.loosest(TOLERANCES, partial(solve, few), right)
    run = partial(solve, many, setting["rtol"])
    run()
    return setting | {
        "seconds": task.timed(run, clock=time.process_time).over(patients * weeks / task.YEAR),
        "built": f"diffrax {diffrax.__version__} Kvaerno5, rtol {setting['rtol']:.0e}, jitted, vmapped over {patients} "
        f"patients, float64, seconds of all cores at work"}
