"""The five theories under the trials: what each carries, and how the trials would be predicted without it.

Without a theory its weights are 0 and everything else is as unsure as before. Draws of that posterior come from the
draws with it, weighted by the ratio of the likelihoods (its prior then stays for the weight that no longer acts).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..population.averages import averages, names, values
from .likelihood import Likelihood, read
from .scores import pareto_smooth

ROUTES = {
    "gate": ("needle_consolidation",),
    "neurotransmitters": ("needle_relief", "needle_carry_over"),
    "inflammation": ("needle_vagal",),
    "circulation": ("healing_by_flow",),
    "muscle": ("needle_endplate",),
}
"""The averages through which needling acts in each theory."""
SILENT = -30.0
"""Prior spreads below the middle at which a weight has practically vanished."""


def silenced(z: np.ndarray, routes: tuple[str, ...]) -> np.ndarray:
    """Places with some weights at nothing; shape (..., averages) as given."""
    quiet = np.array(z)
    for name in routes:
        place = names().index(name)
        average = averages()[place]
        quiet[..., place] = -average.centre / average.spread if average.kind == "normal" else SILENT
    return quiet


def left_out(likelihood: Likelihood, z: np.ndarray) -> list[dict[str, Any]]:
    """Leave-one-trial-out predictive density without each theory, against the whole model.

    Arguments:
        likelihood: of the trials.
        z: posterior draws of the places, shape (draws, averages).

    Returns:
        per theory the sum over trials of the difference of log density, its standard error, and the largest Pareto k
        among trials whose density can be trusted by weighting in both models; those that cannot are left out of the sum
        and counted.
    """
    whole = _by_trial(likelihood, z)
    base = [_one_out(np.zeros(len(z)), whole[:, t]) for t in range(whole.shape[1])]
    rows = []
    for theory, routes in ROUTES.items():
        without = _by_trial(likelihood, silenced(z, routes))
        weight = without.sum(axis=1) - whole.sum(axis=1)
        pairs = [(*_one_out(weight, without[:, t]), *base[t]) for t in range(whole.shape[1])]
        trusted = np.array([[density, against] for density, k, against, k0 in pairs if max(k, k0) <= 0.7])
        difference = trusted[:, 0] - trusted[:, 1]
        rows.append({"without": theory, "difference": float(difference.sum()),
                     "se": float(np.sqrt(len(difference)) * np.std(difference, ddof=1)),
                     "k": float(pareto_smooth(weight)[1]), "trials": len(difference),
                     "not_trusted": len(pairs) - len(difference)})
    return rows


def _by_trial(likelihood: Likelihood, z: np.ndarray) -> np.ndarray:
    return np.stack([np.asarray(likelihood.by_trial(jnp.asarray(place))) for place in z])


def _one_out(weight: np.ndarray, log_likelihood: np.ndarray) -> tuple[float, float]:
    """Log predictive density of one trial from the others, and the Pareto k."""
    smoothed, k = pareto_smooth(weight - log_likelihood)
    return float(np.logaddexp.reduce(smoothed + log_likelihood)), float(k)


def benefit(likelihood: Likelihood, z: np.ndarray, trial: str = "haake2007", arm: str = "verum",
            sham: str = "sham", weeks: tuple[float, float] = (6.0, 26.0)) -> list[dict[str, Any]]:
    """What each route carries of the benefit beyond sham after a course like GERAC's, points of 100.

    Arguments:
        likelihood: of the trials.
        z: posterior draws, shape (draws, averages).
        trial, arm, sham: whose arms.
        weeks: early and late.
    """
    problem, data = likelihood.problem, likelihood.data
    t = [x.id for x in problem.trials].index(trial)
    place = {(o.arm, o.week): i for i, (k, o) in enumerate(problem.rows)
             if k == t and o.domain == "pain" and o.statistic == "mean"}
    u, v = jnp.zeros((3, len(problem.trials))), jnp.zeros(len(problem.arms.trial))
    run = jax.jit(lambda at: read(at, u, v, data)[0])

    def beyond(at: np.ndarray) -> np.ndarray:
        m = np.stack([np.asarray(run(jnp.asarray(row))) for row in at])
        return np.stack([m[:, place[arm, week]] - m[:, place[sham, week]] for week in weeks])

    whole = beyond(z)
    rows = []
    for theory, routes in ROUTES.items():
        for route in routes:
            carried = whole - beyond(silenced(z, (route,)))
            rows.append({"theory": theory, "route": route,
                         **{name: [float(q) for q in np.quantile(carried[k], (0.1, 0.5, 0.9))]
                            for k, name in enumerate(("week6", "week26"))}})
    every = tuple(route for routes in ROUTES.values() for route in routes)
    context_only = beyond(silenced(z, every))
    for theory, carried in (("context of care", context_only), ("all of it", whole)):
        rows.append({"theory": theory, "route": "",
                     **{name: [float(q) for q in np.quantile(carried[k], (0.1, 0.5, 0.9))]
                        for k, name in enumerate(("week6", "week26"))}})
    return rows


def weights(z: np.ndarray) -> list[dict[str, Any]]:
    """Prior and posterior of each route's weight, and how much of the prior's spread the trials removed."""
    known, found = values(z.T), []
    quantiles = (0.05, 0.5, 0.95)
    prior = values(np.linspace(-1.645, 1.645, 3)[None].repeat(len(names()), axis=0))
    for theory, routes in ROUTES.items():
        for route in routes:
            i = names().index(route)
            found.append({
                "theory": theory, "weight": route, "unit": averages()[i].unit,
                "prior": [float(x) for x in prior[route]],
                "posterior": [float(q) for q in np.quantile(np.asarray(known[route]), quantiles)],
                "learned": float(max(1.0 - np.var(z[:, i]), 0.0)),
            })
    return found
