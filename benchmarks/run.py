"""Times deqi against SciPy and diffrax on the same model at the same error, in one run (`make bench`).

The comparators get every help they can use: SciPy a compiled right-hand side generated from the same equations,
restarted only where an input or a session changes, at the loosest tolerance that reaches deqi's own error; diffrax
the same segments, vectorised over patients. Figures are ratios of core-seconds per patient-year.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import jax
import numpy as np
from scipy.integrate import solve_ivp

from deqi.body.equations import parameter_order, rhs_source
from deqi.body.inputs import INPUTS
from deqi.body.system import BODY
from deqi.care import plan_from
from deqi.care.timeline import timeline
from deqi.population.patients import Population, draw, population_of
from deqi.population.simulate import simulate
from deqi.solve import reference
from deqi.solve.exponential import integrate
from deqi.solve.grid import MOMENTS, WEEKS, Grid, Resolution, build

PLAN = "acupuncture 30 min 12 sessions over 6 weeks"
HOME = Path(__file__).parent
ROOT = HOME.parent
CORES = os.cpu_count() or 1
PATIENTS, WEEKS_RUN = 10_000, 52
SAMPLE, SAMPLE_WEEKS = 3, 52


def timed(run: Callable[[], Any], repeats: int) -> float:
    """Median wall seconds of a call."""
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        spent.append(time.perf_counter() - start)
    return median(spent)


def grid_of(resolution: Resolution, weeks: int, dtype: type = np.float32) -> Grid:
    """The grid of the benchmark's plan."""
    return build(timeline(plan_from(PLAN).courses, weeks), resolution=resolution, dtype=dtype)


def error_of(people: Population, resolution: Resolution, truth: np.ndarray) -> float:
    """Largest error of the fast solver (float32) over time against the reference on the same inputs, NRS."""
    grid = grid_of(resolution, SAMPLE_WEEKS)
    params, states = (jax.tree.map(lambda a: np.asarray(a, np.float32), tree)
                      for tree in (dict(people.params), dict(people.states)))
    found = integrate(BODY, params, states, grid.steps)
    return float(np.max(np.abs(np.asarray(found.start["nrs"], float)[:grid.used] - truth)))


def scipy_solver(people: Population, grid: Grid) -> Callable[[int, str, float], np.ndarray]:
    """SciPy on one patient: pain at the start of each step of the grid.

    The right-hand side is Python source printed from the traced equations, compiled by Numba. The solver restarts only
    where an input changes or a session ends; equal neighbouring steps are one segment.
    """
    import numba

    space: dict[str, Any] = {}
    exec(compile(rhs_source(BODY), "rhs", "exec"), space)  # our own generated source
    rhs = numba.njit(error_model="numpy")(space["rhs"])
    inputs = np.stack([np.asarray(grid.steps.inputs[item.name], float)[:grid.used] for item in INPUTS], axis=1)
    ends = np.asarray(grid.steps.ends_session)[:grid.used]
    cuts = np.flatnonzero((inputs[1:] != inputs[:-1]).any(axis=1) | ends[:-1]) + 1
    edges = [0, *cuts, grid.used]
    starts = np.append(grid.start_days[:grid.used], grid.start_days[grid.used - 1] + grid.days[grid.used - 1])
    nrs = jax.jit(lambda u, p, x: BODY.signals(u, p, x)["nrs"])

    def solve(patient: int, method: str, rtol: float) -> np.ndarray:
        own = {room: {k: float(np.asarray(v).reshape(-1)[patient if np.ndim(v) else 0]) for k, v in values.items()}
               for room, values in people.params.items()}
        p = np.array([own[room][name] for room, name in parameter_order(BODY)])
        u = np.array([float(np.asarray(people.states[name])[patient]) for name in BODY.state_names])
        seen = []
        for a, b in zip(edges, edges[1:], strict=False):
            found = solve_ivp(rhs, (starts[a], starts[b]), u, method=method, t_eval=starts[a:b + 1], rtol=rtol,
                              atol=rtol * 1e-2, args=(p, inputs[a]))
            seen.append((found.y[:, :-1], inputs[a]))
            u = found.y[:, -1]
            if ends[b - 1]:
                session = {name: float(v[b - 1]) for name, v in grid.steps.session.items()}
                after = BODY.jump(dict(zip(BODY.state_names, u, strict=True)), own, session)
                u = np.array([float(after[name]) for name in BODY.state_names])
        out = []
        for y, x in seen:
            states = dict(zip(BODY.state_names, y, strict=True))
            given = {item.name: value for item, value in zip(INPUTS, x, strict=True)}
            out.append(np.broadcast_to(np.asarray(nrs(states, own, given)), y.shape[1:]))
        return np.concatenate(out)

    return solve


def scipy_ratio(people: Population, grid: Grid, truth: np.ndarray, target: float) -> dict[str, Any]:
    """Seconds per patient-year of the faster SciPy method at the loosest tolerance that reaches the target error."""
    solve = scipy_solver(people, grid)
    best: dict[str, Any] = {}
    for method in ("LSODA", "BDF"):
        for rtol in (1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5, 1e-6):
            solve(0, method, rtol)  # compiles
            start = time.perf_counter()
            found = np.stack([solve(i, method, rtol) for i in range(SAMPLE)], axis=1)
            seconds = (time.perf_counter() - start) / SAMPLE / (SAMPLE_WEEKS / 52.18)
            error = float(np.max(np.abs(found - truth)))
            print(f"  scipy {method:<5} rtol {rtol:.0e}: {1e3 * seconds:8.1f} ms per patient-year, error {error:.4f}")
            if error <= target:
                if not best or seconds < best["seconds"]:
                    best = {"method": method, "rtol": rtol, "seconds": seconds, "error": error}
                break
    return best


def diffrax_seconds(people: Population, coarse: Grid) -> float:
    """Seconds per patient-year of diffrax (Kvaerno5, rtol 1e-4), vectorised over the sample, compilation left out."""
    def run() -> None:
        reference.solve(people.params, people.states, coarse, rtol=1e-4, atol=1e-6)

    run()
    return timed(run, 1) / SAMPLE / (SAMPLE_WEEKS / 52.18)


def consult_seconds() -> tuple[float | None, float | None]:
    """Wall seconds of `deqi consult` in a fresh process, with an empty and with a filled compilation cache."""
    program = Path(sys.executable).with_name("deqi")
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {"JAX_COMPILATION_CACHE_DIR": folder}

        def run() -> None:
            subprocess.run([program, "consult", "examples/gerac_chronic.yaml", "--report", f"{folder}/report.html"],
                           cwd=ROOT, env=env, check=True, capture_output=True)

        try:
            return timed(run, 1), timed(run, 3)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"  consult could not be timed: {error}")
            return None, None


def main() -> None:
    """Measure, print and write benchmarks/latest.json."""
    print(f"machine: {platform.machine()}, {CORES} cores, Python {platform.python_version()}, JAX {jax.__version__}")
    cold, warm = consult_seconds()
    print(f"deqi consult, fresh process: {cold} s with an empty cache, {warm} s with a filled one")

    people = draw(population_of("chronic"), PATIENTS, 1)
    plan = plan_from(PLAN)
    simulate(plan, people, WEEKS_RUN)
    wall = timed(lambda: simulate(plan, people, WEEKS_RUN), 3)
    years = PATIENTS * WEEKS_RUN / 52.18
    print(f"deqi: {PATIENTS} patients x {WEEKS_RUN} weeks x 12 sessions, {CORES} threads, float32: {wall:.2f} s, "
          f"{1e3 * wall / years:.3f} ms per patient-year")

    few = draw(population_of("chronic"), SAMPLE, 1)
    grids = {name: grid_of(kind, SAMPLE_WEEKS, np.float64) for name, kind in (("moments", MOMENTS), ("weeks", WEEKS))}
    truths = {name: reference.solve(few.params, few.states, grid)["nrs"] for name, grid in grids.items()}
    error = {"moments": error_of(few, MOMENTS, truths["moments"]), "weeks": error_of(few, WEEKS, truths["weeks"])}
    print(f"largest error over time against the reference, NRS: {error['weeks']:.4f} on the grid timed here, "
          f"{error['moments']:.4f} on the fine grid")

    print("SciPy, one patient at a time on one core; right-hand side compiled by Numba from the traced equations:")
    scipy = scipy_ratio(few, grids["weeks"], truths["weeks"], max(error["weeks"], 1e-3))
    ours = wall * CORES / years
    ratio_scipy = scipy["seconds"] / ours if scipy else None
    ratio_diffrax = diffrax_seconds(few, grids["weeks"]) * CORES / ours
    print(f"ratio to SciPy (core-seconds, {scipy.get('method')} rtol {scipy.get('rtol')}): {ratio_scipy}")
    print(f"ratio to diffrax (Kvaerno5, rtol 1e-4, vectorised over {SAMPLE}, all cores): {ratio_diffrax:.0f}")

    latest = {
        "patient_years_per_second": years / wall, "error_nrs": error["moments"], "error_nrs_timed_grid": error["weeks"],
        "ratio_libroadrunner": None, "ratio_scipy": ratio_scipy, "ratio_diffrax": ratio_diffrax,
        "consult_warm_seconds": warm, "consult_cold_seconds": cold,
        "machine": {"cores": CORES, "architecture": platform.machine(), "python": platform.python_version(),
                    "jax": jax.__version__},
        "comparators": {"scipy": scipy, "diffrax": "Kvaerno5, rtol 1e-4, restarted where inputs change"},
    }
    draft = HOME / "latest.json.part"
    draft.write_text(json.dumps(latest, indent=1) + "\n", encoding="utf-8")
    shutil.move(draft, HOME / "latest.json")


if __name__ == "__main__":
    main()
