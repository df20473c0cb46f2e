"""SciPy on the same model, one patient at a time on one core.

Every help: the right-hand side is Python source printed from the traced equations and compiled by Numba; the solver
starts anew only where an input changes or a session ends; the faster of two methods counts, at its loosest tolerance
within the error allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import numpy as np
import scipy
from scipy.integrate import solve_ivp

from deqi.body.equations import parameter_order, rhs_source
from deqi.body.inputs import INPUTS
from deqi.body.system import BODY
from deqi.population.patients import Population
from deqi.solve.grid import Grid

from . import task

METHODS = ("LSODA", "BDF")
TOLERANCES = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5, 1e-6)


@cache
def right_hand_side() -> Any:
    """du/dt, compiled."""
    import numba

    space: dict[str, Any] = {}
    exec(compile(rhs_source(BODY), "rhs", "exec"), space)  # our own generated source
    return numba.njit(error_model="numpy")(space["rhs"])


def solver(people: Population, grid: Grid) -> Callable[[int, str, float], np.ndarray]:
    """(patient, method, rtol) -> pain at the start of each step of the grid."""
    inputs = np.stack([np.asarray(grid.steps.inputs[item.name], float)[:grid.used] for item in INPUTS], axis=1)
    ends = np.asarray(grid.steps.ends_session)[:grid.used]
    cuts = np.flatnonzero((inputs[1:] != inputs[:-1]).any(axis=1) | ends[:-1]) + 1
    edges = [0, *cuts, grid.used]
    starts = np.append(task.starts_of(grid), grid.start_days[grid.used - 1] + grid.days[grid.used - 1])
    nrs = jax.jit(lambda u, p, x: BODY.signals(u, p, x)["nrs"])

    def solve(patient: int, method: str, rtol: float) -> np.ndarray:
        own, at_rest = task.one(people.params, patient), task.one(people.states, patient)
        p = np.array([own[room][name] for room, name in parameter_order(BODY)])
        u = np.array([at_rest[name] for name in BODY.state_names])
        seen = []
        for a, b in zip(edges, edges[1:], strict=False):
            found = solve_ivp(right_hand_side(), (starts[a], starts[b]), u, method=method, t_eval=starts[a:b + 1],
                              rtol=rtol, atol=rtol * 1e-2, args=(p, inputs[a]))
            seen.append(found.y[:, :-1])
            u = found.y[:, -1]
            if ends[b - 1]:
                session = {name: float(v[b - 1]) for name, v in grid.steps.session.items()}
                after = BODY.jump(dict(zip(BODY.state_names, u, strict=True)), own, session)
                u = np.array([float(after[name]) for name in BODY.state_names])
        states = dict(zip(BODY.state_names, np.concatenate(seen, axis=1), strict=True))
        return np.asarray(nrs(states, own, dict(zip([item.name for item in INPUTS], inputs.T, strict=True))))

    return solve


def measure(weeks: int = task.YEAR) -> dict[str, Any]:
    """Core-seconds per patient-year at equal error, and how."""
    people, grid, right = task.sample(), task.grid_of(task.THEIRS, weeks), task.truth(False, weeks)
    solve = solver(people, grid)

    def all_of_them(method: str, rtol: float) -> np.ndarray:
        return np.stack([solve(i, method, rtol) for i in range(task.SAMPLE)], axis=1)

    found: list[dict[str, Any]] = []
    for method in METHODS:
        run = partial(all_of_them, method)
        setting = task.loosest(TOLERANCES, run, right)
        spent = task.timed(partial(run, setting["rtol"]))
        found.append({"method": method, **setting, "seconds": spent.over(task.SAMPLE * weeks / task.YEAR)})
    best = min(found, key=lambda each: each["seconds"].median)
    return best | {"built": f"SciPy {scipy.__version__} solve_ivp {best['method']}, rtol {best['rtol']:.0e}, right-hand"
                   " side compiled by Numba, 1 process, patients one after another"}
