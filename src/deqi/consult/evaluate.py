"""`deqi evaluate`: how good the forecasts are for people whose later scores are known, always predicted forward.

A table of scores goes in (id, day, pain, and what else is known); from every score of a person the next one is
predicted from it and those before it. Beside deqi stand four plain ways to predict; each is a normal distribution whose
spread is that of its own errors in all *other* people.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from ..calibrate.scores import crps_draws, pit_draws, pit_uniformity
from ..care import plan_from
from ..errors import InputError
from .forecast import prepare
from .screening import applicability
from .series import Series, patient_at, rest_at

DRAWS = 512
LEVELS = (0.5, 0.8, 0.95)


@dataclass(frozen=True)
class Prediction:
    """One forward prediction, and what was then reported.

    Arguments:
        id: of the person.
        group: the care that the prediction is for.
        extent: `inside` or `edge` of what was studied.
        known: how many weeks with scores it rests on.
        ahead: weeks from the last of them.
        observed: what was reported.
        last, mean: the last score, and the mean of those known.
        draws: deqi's forecast.
    """

    id: str
    group: str
    extent: str
    known: int
    ahead: int
    observed: float
    last: float
    mean: float
    draws: np.ndarray


def predict_next(series: Series, origin: int, seed: int) -> Prediction | None:
    """The next score from those up to `origin`; None for a person outside what was studied.

    A care that began earlier goes on: its plan is taken to start at its first row, and what is left of it follows.
    """
    patient = patient_at(series, origin)
    extent = applicability(patient)
    if extent.status == "outside":
        return None
    ahead = series.weeks[origin + 1] - series.weeks[origin]
    forecast = prepare(patient, extent, draws=DRAWS, seed=seed).forecast(rest_at(series, origin), ahead)
    known = series.pain[:origin + 1]
    return Prediction(series.id, series.care[origin], extent.status, origin + 1, ahead, series.pain[origin + 1],
                      known[-1], float(np.mean(known)), forecast.nrs[ahead])


def evaluate(people: Sequence[Series], *, seed: int = 1, told: Callable[[int], Any] = lambda _: None) -> dict[str, Any]:
    """Predict every score but the first from those before it, and judge.

    Arguments:
        people: their scores.
        seed: of every random number.
        told: called with the number of predictions made.

    Returns:
        `groups`: by care and extent, and all together, the figures of deqi and of the comparators; `left_out`.

    Raises:
        InputError: a care that is not understood, or nobody with two scores.
    """
    work = [(one, origin) for one in people for origin in range(len(one.weeks) - 1)]
    if not work:
        raise InputError("nobody has scores of two weeks", accepted="at least two weeks of one person")
    for care in {c for one in people for c in one.care}:
        plan_from(care, field="care")
    found: list[Prediction] = []
    left_out = 0
    with ThreadPoolExecutor(2) as threads:
        # each with random numbers of its own, so that their error averages out
        asked = [(one, origin, seed + 7919 * number) for number, (one, origin) in enumerate(work)]
        for done, made in enumerate(threads.map(lambda w: predict_next(*w), asked), 1):
            left_out += made is None
            found += [made] if made is not None else []
            told(done)
    return {"groups": _judged(found), "predictions": len(found), "left_out": left_out}


def _judged(found: list[Prediction]) -> list[dict[str, Any]]:
    others = comparators(found)
    care, extent = np.array([p.group for p in found]), np.array([p.extent for p in found])
    groups = {"all": np.full(len(found), True)}
    for name in dict.fromkeys(care.tolist()):
        groups |= {name: care == name} | {f"{name} · {e}": (care == name) & (extent == e) for e in ("inside", "edge")}
    rows = []
    for name, chosen in groups.items():
        if chosen.any():
            own = [p for p, c in zip(found, chosen, strict=True) if c]
            rows.append({"group": name, "n": len(own), "people": len({p.id for p in own}), "deqi": _of_draws(own),
                         **{key: _of_normal(own, m[chosen], s[chosen]) for key, (m, s) in others.items()}})
    return rows


def _of_draws(found: Sequence[Prediction]) -> dict[str, Any]:
    y, draws = np.array([p.observed for p in found]), np.stack([p.draws for p in found], axis=1)
    covered = {f"{100 * level:.0f}": float(np.mean((y >= low) & (y <= high))) for level in LEVELS
               for low, high in [np.quantile(draws, (0.5 - level / 2, 0.5 + level / 2), axis=0)]}
    pit = pit_draws(y, draws)
    return _errors(y, draws.mean(axis=0), np.median(draws, axis=0)) | {
        "crps": float(np.mean(crps_draws(y, draws))), "coverage": covered, "sd": float(np.mean(draws.std(axis=0))),
        "pit": np.histogram(pit, bins=10, range=(0.0, 1.0))[0].tolist(),
        "pit_p": float(pit_uniformity(pit).p) if len(y) > 4 else None}


def _of_normal(found: Sequence[Prediction], mean: np.ndarray, sd: np.ndarray) -> dict[str, Any]:
    y = np.array([p.observed for p in found])
    z = (y - mean) / sd
    crps = sd * (z * (2.0 * norm.cdf(z) - 1.0) + 2.0 * norm.pdf(z) - 1.0 / math.sqrt(math.pi))
    covered = {f"{100 * level:.0f}": float(np.mean(np.abs(z) <= norm.ppf(0.5 + level / 2))) for level in LEVELS}
    return _errors(y, mean, mean) | {"crps": float(np.mean(crps)), "coverage": covered, "sd": float(np.mean(sd))}


def _errors(y: np.ndarray, mean: np.ndarray, middle: np.ndarray) -> dict[str, float]:
    return {"bias": float(np.mean(mean - y)), "mae": float(np.mean(np.abs(middle - y))),
            "rmse": float(np.sqrt(np.mean(np.square(mean - y))))}


def comparators(found: Sequence[Prediction]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Plain predictions, mean and spread, shape (predictions,); what they learn they learn from other people.

    `last_value`, `running_mean`; `population_mean` of the same care; `autoregression` of the next score on the last and
    on the mean of those known.
    """
    y = np.array([p.observed for p in found])
    last, mean = np.array([p.last for p in found]), np.array([p.mean for p in found])
    ids, care = np.array([p.id for p in found]), np.array([p.group for p in found])
    design = np.column_stack([np.ones_like(y), last, mean])
    shapes = {"last_value": last.copy(), "running_mean": mean.copy(), "population_mean": np.empty_like(y),
              "autoregression": np.empty_like(y)}
    spreads = {name: np.empty_like(y) for name in shapes}
    for id in dict.fromkeys(ids.tolist()):
        own, alike = ids == id, (ids != id)
        for group in dict.fromkeys(care[own].tolist()):
            rows = own & (care == group)
            near = alike & (care == group) if np.sum(alike & (care == group)) >= 5 else alike
            if not near.any():
                near = own
            level = float(np.mean(y[near]))
            fit = np.linalg.lstsq(design[near], y[near], rcond=None)[0]
            shapes["population_mean"][rows], shapes["autoregression"][rows] = level, design[rows] @ fit
            errors = {"last_value": y[near] - last[near], "running_mean": y[near] - mean[near],
                      "population_mean": y[near] - level, "autoregression": y[near] - design[near] @ fit}
            for name, error in errors.items():
                spreads[name][rows] = max(float(np.sqrt(np.mean(np.square(error)))), 0.1)
    return {name: (shapes[name], spreads[name]) for name in shapes}


def lines(found: dict[str, Any]) -> list[str]:
    """The figures as a table for the terminal."""
    if "synthetic" in found:
        return ["weeks known   people   50 %  80 %  95 %   bias    SD   moved"] + [
            f"{row['weeks_known']:>11} {row['n']:>8}  " + " ".join(f"{100 * c:>5.1f}" for c in row["coverage"].values())
            + f" {row['bias']:>6.2f} {row['sd']:>5.2f} {100 * row['moved']:>5.0f} %" for row in found["synthetic"]]
    told = [f"{found['predictions']} forward predictions; {found['left_out']} left out (outside what was studied)"]
    head = "                   bias    MAE   RMSE   CRPS   50 %  80 %  95 %   SD"
    for row in found["groups"]:
        told += ["", f"{row['group']}: {row['n']} predictions for {row['people']} people", head]
        for name in ("deqi", "last_value", "running_mean", "population_mean", "autoregression"):
            r = row[name]
            told.append(f"  {name.replace('_', ' '):<15} {r['bias']:>6.2f} {r['mae']:>6.2f} {r['rmse']:>6.2f} "
                        f"{r['crps']:>6.3f}  " + " ".join(f"{100 * c:>5.0f}" for c in r["coverage"].values())
                        + f"  {r['sd']:>5.2f}")
        told.append("  PIT of deqi, ten bins: " + " ".join(str(n) for n in row["deqi"]["pit"]))
    return told

