"""deqi: speed at the error it has, how time grows with patients, weeks, sessions and threads, memory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np

from deqi.body.system import BODY
from deqi.care import plan_from
from deqi.population.patients import draw, population_of
from deqi.population.simulate import BLOCK, simulate
from deqi.solve.exponential import integrate

from . import task

PATIENTS = 20_000
SCALES = {"patients": (1_000, 10_000, 100_000), "weeks": (13, 26, 52, 104), "sessions": (6, 12, 24), "threads": (1, 2)}
TRIAL = (10_000, 100_000, 1_000_000)
"""People of one trial, under a year of acupuncture or of usual care."""
SMALLER = 4_000
"""Patients where something else than their number is varied."""


def error(weeks: int = task.YEAR) -> float:
    """Largest error over time of the fast solver (float32) against the reference on the same inputs, NRS."""
    grid, people = task.grid_of(task.OURS, weeks, dtype=np.float32), task.sample()
    params, states = (jax.tree.map(lambda a: np.asarray(a, np.float32), dict(tree))
                      for tree in (people.params, people.states))
    found = integrate(BODY, params, states, grid.steps, differentiable=False)
    return task.off(np.asarray(found.start["nrs"], float)[:grid.used], task.truth(True, weeks))


def run_seconds(patients: int, weeks: int = task.YEAR, sessions: int = 12, repeats: int = task.REPEATS) -> task.Spread:
    """Wall seconds of `simulate`, compiled before."""
    people = draw(population_of("chronic"), patients, 1)
    plan = plan_from(f"acupuncture 30 min {sessions} sessions over 6 weeks")
    simulate(plan, draw(population_of("chronic"), min(patients, 2 * BLOCK), 1), weeks)
    return task.timed(lambda: simulate(plan, people, weeks), repeats)


def measure(patients: int = PATIENTS) -> dict[str, Any]:
    """Core-seconds per patient-year, the wall seconds behind them, and how."""
    wall = run_seconds(patients)
    return {"wall": wall, "patients": patients, "seconds": wall.over(patients / task.CORES), "error": error(),
            "built": f"deqi, {patients} patients x {task.YEAR} weeks x 12 sessions, float32, "
            f"{task.grid_of(task.OURS).used} steps, {task.CORES} threads, JAX {jax.__version__}"}


def scaling() -> dict[str, dict[int, float]]:
    """Wall milliseconds per patient by what is varied, one thing at a time; else 52 weeks and 12 sessions."""
    def each(patients: int, spent: task.Spread) -> float:
        return 1e3 * spent.median / patients

    return {
        "patients": {n: each(n, run_seconds(n, repeats=3 if n <= PATIENTS else 1)) for n in SCALES["patients"]},
        "weeks": {w: each(SMALLER, run_seconds(SMALLER, weeks=w)) for w in SCALES["weeks"]},
        "sessions": {s: each(SMALLER, run_seconds(SMALLER, sessions=s)) for s in SCALES["sessions"]},
        "threads": {t: each(SMALLER, task.Spread(*apart(SMALLER, t)["spread"]))
                    for t in SCALES["threads"] if t <= task.CORES},
    }


def peak_mib() -> float | None:
    """Most memory that this process has held; not known where the system does not tell."""
    status = Path("/proc/self/status")  # ru_maxrss would count the process that started this one
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    return None if found is None else int(found[1]) / 1024


def trial(people: int) -> dict[str, float | None]:
    """Wall seconds, microseconds per person and peak memory of one simulated trial, all of it."""
    from deqi.trial.design import parse_design
    from deqi.trial.run import simulate as run

    def design(n: int) -> Any:
        return parse_design({"trial": {
            "arms": [{"id": "needles", "plan": task.PLAN},
                     {"id": "usual", "plan": f"usual care for {task.YEAR} weeks"}],
            "visits": [6, 26, task.YEAR], "analysis": {"primary": {"outcome": "pain", "week": task.YEAR}},
            "n": n, "trials": 1}})

    run(design(2 * BLOCK))
    spent = task.timed(lambda: run(design(people)), 1).median
    return {"seconds": spent, "microseconds_per_person": 1e6 * spent / people,
            "peak_mib": peak_mib()}


def apart(patients: int, threads: int, *what: str) -> dict[str, Any]:
    """`run_seconds` in a process of its own that may use so many cores: `spread`, and its `peak_mib` of memory.

    With `trial`, what `trial` gives.
    """
    told = subprocess.run([sys.executable, "-m", "benchmarks.ours", str(patients), str(threads), *what], check=True,
                          capture_output=True, text=True, cwd=Path(__file__).parents[1])
    found: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:int(sys.argv[2])])
    if sys.argv[3:] == ["trial"]:
        print(json.dumps(trial(int(sys.argv[1]))))
        sys.exit()
    taken = run_seconds(int(sys.argv[1]), repeats=3 if int(sys.argv[1]) <= PATIENTS else 1)
    print(json.dumps({"spread": [taken.median, taken.least, taken.most],
                      "peak_mib": peak_mib()}))
