"""libRoadRunner on the SBML that deqi exports of the same plan and patients, with its own CVODE.

Every help: formulas in the forms that it evaluates fastest (`named_once`); the model is compiled once and patients are
set by values; no largest step; one name recorded, once a day; the code generator that runs it fastest of those tried;
the loosest tolerance within the error allowed; one process and one for each core, the better of which counts.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np

from deqi.interop.sbml_model import model_of, values_of
from deqi.interop.sbml_run import Runners
from deqi.interop.sbml_write import as_sbml

from . import task
from .named_once import named_once

TOLERANCES = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5)
BACKENDS: tuple[dict[str, Any], ...] = (
    {"backend": "LLJIT", "optimise": "NONE"}, {"backend": "LLJIT", "optimise": "DEFAULT"},
    {"backend": "MCJIT", "optimise": "DEFAULT"})


def measure(weeks: int = task.YEAR, backends: tuple[dict[str, Any], ...] = BACKENDS) -> dict[str, Any]:
    """Core-seconds per patient-year at equal error, and how."""
    people, grid, right = task.sample(), task.grid_of(task.THEIRS, weeks), task.truth(False, weeks)
    model = model_of(task.one(people.params, 0), task.one(people.states, 0), grid)
    text, values = as_sbml(named_once(model), task.PLAN, ()), values_of(people.params, people.states)
    patients = [task.one(values, i) for i in range(task.SAMPLE)]
    years, days = task.SAMPLE * weeks / task.YEAR, np.arange(7.0 * weeks + 1)

    with Runners(text, record=["nrs"], **backends[0]) as runners:
        def solve(rtol: float) -> np.ndarray:
            return runners.run(patients, days=task.starts_of(grid), rtol=rtol, atol=rtol * 1e-2)[:, :, 0].T

        setting = task.loosest(TOLERANCES, solve, right)
    rtol = setting["rtol"]
    how = {"days": days, "rtol": rtol, "atol": rtol * 1e-2}

    def seconds(backend: dict[str, Any], processes: int, repeats: int) -> tuple[task.Spread, float]:
        """Core-seconds per patient-year, and seconds until the model is compiled."""
        with Runners(text, processes, record=["nrs"], **backend) as runners:
            ready = task.timed(lambda: runners.run([patients[0]] * processes * 2, days=[0.0, 1.0]), 1)
            spent = task.timed(lambda: runners.run(patients * processes, **how), repeats)
        return spent.over(years), ready.median

    tried = {name: seconds(backend, 1, 1)[0].median
             for backend in backends for name in [" ".join(backend.values())]}
    chosen = backends[min(range(len(backends)), key=lambda i: list(tried.values())[i])]
    found = [(*seconds(chosen, n, task.REPEATS), n) for n in sorted({1, task.CORES})]
    best, ready, processes = min(found, key=lambda each: each[0].median)
    return setting | {
        "seconds": best, "compiling_seconds": ready, "tried": tried, "events": len(model.changes),
        "built": f"libRoadRunner {version('libroadrunner')} CVODE (BDF), rtol {rtol:.0e}, {' '.join(chosen.values())}, "
        f"terms named once, {len(model.changes)} events, compiled once in {ready:.0f} s (not counted), "
        f"{processes} process(es)"}
