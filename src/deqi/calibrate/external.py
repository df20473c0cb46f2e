"""The calibrated model beside pooled results that no fit has seen: a check of consistency."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import least_squares

from .likelihood import Likelihood, read
from .problem import Problem, build
from .trial import read_trial

CURVE_WEEKS = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0)


@cache
def table() -> list[dict[str, Any]]:
    """The pooled results, `external.yaml`."""
    import yaml

    return yaml.load(Path(__file__).with_name("external.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)


def compare(z: np.ndarray) -> list[dict[str, Any]]:
    """Every pooled result with what the model says of the same comparison.

    The model's interval is that of the mean over trials (its averages are unsure); single trials scatter around it.

    Arguments:
        z: places of posterior draws, shape (draws, averages).
    """
    found = []
    for row in table():
        values = _predicted(row, z)
        low, middle, high = (float(q) for q in np.quantile(values, (0.025, 0.5, 0.975)))
        published = row["published"]
        ends = (published[0] if published[0] is not None else published[1],
                published[2] if published[2] is not None else published[1])
        overlap = low <= max(ends) and high >= min(ends)
        found.append({
            "id": row["id"], "what": row["what"], "published": published, "predicted": [low, middle, high],
            "overlap": bool(overlap), "unit": row["scale"], "source": row["source"],
            "conflict": None if overlap else
            f"published {published[1]:g}, predicted {middle:.2g} ({low:.2g} to {high:.2g})",
        })
    return found


def _predicted(row: dict[str, Any], z: np.ndarray) -> np.ndarray:
    later = [row["later"]] if "later" in row else []
    weeks = [row["week"], *later, *(CURVE_WEEKS if row["scale"] == "weeks" else ())]
    problem = _problem(row, weeks)
    levels = _means(problem, z)
    arms = list(row["arms"])
    contrast = levels["mean", arms[0], row["week"]] - levels["mean", arms[1], row["week"]]
    if row["scale"] == "points":
        return contrast
    if row["scale"] == "sd":
        spread = [np.exp(levels["sd", arm, row["week"]]) for arm in arms]
        return contrast / np.sqrt(0.5 * (spread[0] ** 2 + spread[1] ** 2))
    if row["scale"] == "ratio":
        return (levels["mean", arms[0], row["later"]] - levels["mean", arms[1], row["later"]]) / contrast
    fall = np.stack([row["baseline"] - levels["mean", arms[0], week] for week in CURVE_WEEKS])
    return np.array([_et50(curve) for curve in fall.T])


def _et50(fall: np.ndarray) -> float:
    """ET50 of the hyperbola through a curve of falls."""
    t = np.array(CURVE_WEEKS)
    fitted = least_squares(lambda p: np.exp(p[0]) * t / (np.exp(p[1]) + t) - fall, [np.log(max(fall[-1], 1.0)), 0.5])
    return float(np.exp(fitted.x[1]))


def _problem(row: dict[str, Any], weeks: list[float]) -> Problem:
    points = [{"arm": arm, "week": 0, "mean": row["baseline"], "sd": 16, "n": 150} for arm in row["arms"]]
    points += [{"arm": arm, "week": week, "mean": 40, "sd": 20, "n": 150} for arm in row["arms"]
               for week in dict.fromkeys(weeks)]
    body = {"id": row["id"], "condition": row["condition"], "population": {"duration": "mean 5 years"},
            "arms": [{"id": arm, "n": 150, "interventions": given} for arm, given in row["arms"].items()],
            "outcomes": [{"measure": "NRS", "scale": {"min": 0, "max": 100, "higher_is_worse": True},
                          "points": points}]}
    return build([read_trial(body, row["id"])], everything=True)


def _means(problem: Problem, z: np.ndarray) -> dict[tuple[str, str, float], np.ndarray]:
    """Statistics of the average trial at each draw."""
    data = Likelihood.of(problem).data
    u, v = jnp.zeros((3, 1)), jnp.zeros(len(problem.arms.trial))
    run = jax.jit(lambda place: read(place, u, v, data)[0])
    m = np.stack([np.asarray(run(jnp.asarray(place))) for place in z])
    return {(o.statistic, o.arm, o.week): m[:, i] for i, (_, o) in enumerate(problem.rows)}
