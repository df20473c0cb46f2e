"""The error of deqi's grid in many patients, by kind of care: against the same grid with its steps cut in four."""

from __future__ import annotations

import jax
import numpy as np

from deqi.body.system import BODY
from deqi.care import plan_from
from deqi.care.timeline import timeline
from deqi.population.patients import draw, population_of
from deqi.solve.exponential import integrate
from deqi.solve.grid import build

from . import task

PLANS = ("acupuncture 30 min twice a week for 1 week", "electroacupuncture 2/100 Hz 30 min twice a week for 1 week",
         "walking 30 min 3 times a week for 1 week", "strength training 45 min twice a week for 1 week",
         "heat wrap 8 h a day for 1 week", "ice pack 20 min 3 times a week for 1 week", "nothing")
PATIENTS, WEEKS, FINER, PADDED = 512, 3, 4, 8192
SHARES = (0.5, 0.99)


def measure() -> list[dict[str, object]]:
    """For each plan, quantiles over patients of the largest error at a moment and in a week's average, NRS."""
    people = draw(population_of("chronic"), PATIENTS, 3)
    params, states = (jax.tree.map(lambda a: np.asarray(a, np.float32), dict(tree))
                      for tree in (people.params, people.states))
    found = []
    for plan in PLANS:
        seen = []
        for refine in (1, FINER):
            grid = build(timeline(plan_from(plan).courses, WEEKS), resolution=task.OURS, refine=refine, size=PADDED,
                         dtype=np.float32)
            run = integrate(BODY, params, states, grid.steps, record=("nrs",), differentiable=False)
            weeks = grid.weekly_weights(WEEKS) @ np.asarray(run.mean["nrs"], float)
            seen.append((np.asarray(run.start["nrs"])[:grid.used:refine], weeks))
        moment, week = (np.abs(coarse - fine).max(axis=0) for coarse, fine in zip(*seen, strict=True))
        found.append({"plan": plan, "steps": len(seen[0][0])} | {
            name: {str(share): float(np.quantile(error, share)) for share in SHARES}
            for name, error in (("moment", moment), ("week", week))})
    return found
