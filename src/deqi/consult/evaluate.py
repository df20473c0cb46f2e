"""`deqi evaluate`: how good the forecasts are for people whose later scores are known, always predicted forward.

A table of scores goes in (id, day, pain, and what else is known); from every score of a person the next one is
predicted from it and those before it. Beside deqi stand four plain ways to predict; each is a normal distribution whose
spread is that of its errors in *other* people, kept to the scale and to whole scores as deqi's forecasts are.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from ..calibrate.scores import crps_draws, pit_draws, pit_uniformity
from ..care import Plan
from ..errors import InputError
from .assessment import Patient
from .forecast import prepare
from .screening import applicability
from .series import Series, patient_at, rest_at

DRAWS = 512
LEVELS = (0.5, 0.8, 0.95)
COMPARATORS = ("last_value", "running_mean", "population_mean", "autoregression")
FEWEST = 10
"""Predictions for other people below which nothing is learnt from them; assumed."""
SMALLEST_SD = 0.1
NORMAL = norm.ppf((np.arange(2048) + 0.5) / 2048)
"""Even quantiles of a normal distribution, which stand for draws."""


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


def predict_next(series: Series, origin: int, patient: Patient, rest: Plan, seed: int) -> Prediction | None:
    """The next score from those up to `origin`; None for a person outside what was studied.

    Arguments:
        series, origin: the person's scores, and the last that is known.
        patient: as known then (`patient_at`).
        rest: care still to come (`rest_at`).
        seed: of the forecast.
    """
    extent = applicability(patient)
    if extent.status == "outside":
        return None
    ahead = series.weeks[origin + 1] - series.weeks[origin]
    forecast = prepare(patient, extent, draws=DRAWS, seed=seed).forecast(rest, ahead)
    known = series.pain[:origin + 1]
    return Prediction(series.id, series.care[origin], extent.status, origin + 1, ahead, series.pain[origin + 1],
                      known[-1], float(np.mean(known)), forecast.nrs[ahead])


def evaluate(people: Sequence[Series], *, seed: int = 1) -> dict[str, Any]:
    """Predict every score but the first from those before it, and judge.

    Arguments:
        people: their scores.
        seed: of every random number.

    Returns:
        `groups`: by care and extent, and all together, the figures of deqi and of the comparators (None where there
        are too few other people); `left_out`. `coverage` counts scores between the quantiles and on them,
        `coverage_exact` those on them by share (`held`).

    Raises:
        InputError: something of a person that cannot be, or nobody with two scores; before any forecast.
    """
    # each with random numbers of its own, so that their error averages out
    places = [(one, origin) for one in people for origin in range(len(one.weeks) - 1)]
    work = [(one, origin, patient_at(one, origin), rest_at(one, origin), seed + 7919 * number)
            for number, (one, origin) in enumerate(places)]
    if not work:
        raise InputError("nobody has scores of two weeks", accepted="at least two weeks of one person")
    with ThreadPoolExecutor(2) as threads:
        found = [made for made in threads.map(lambda w: predict_next(*w), work) if made is not None]
    return {"groups": _judged(found), "predictions": len(found), "left_out": len(work) - len(found)}


def _judged(found: list[Prediction]) -> list[dict[str, Any]]:
    scored: dict[str, list[dict[str, float] | None]] = {
        "deqi": [score(p.draws, p.observed) for p in found], **comparators(found)}
    care, extent = np.array([p.group for p in found]), np.array([p.extent for p in found])
    groups = {"all": np.full(len(found), True)}
    for name in dict.fromkeys(care.tolist()):
        groups |= {name: care == name} | {f"{name} · {e}": (care == name) & (extent == e) for e in ("inside", "edge")}
    rows = []
    for name, chosen in groups.items():
        if chosen.any():
            own = np.flatnonzero(chosen).tolist()
            rows.append({"group": name, "n": len(own), "people": len({found[i].id for i in own}),
                         **{key: _figures([of[i] for i in own]) for key, of in scored.items()}})
    return rows


def score(draws: np.ndarray, y: float) -> dict[str, float]:
    """How good one prediction was.

    Arguments:
        draws: predicted scores, shape (draws,).
        y: what was reported.

    Returns:
        `error` of the mean and `miss` of the median, `crps`, `sd`, `pit`, and for each level whether the interval
        between its quantiles, ends included (`in_80`), and the exact one (`held_80`) have it.
    """
    found = {"error": float(np.mean(draws)) - y, "miss": abs(float(np.median(draws)) - y),
             "crps": float(crps_draws(y, draws)), "sd": float(np.std(draws)), "pit": float(pit_draws(y, draws))}
    for level in LEVELS:
        low, high = np.quantile(draws, (0.5 - level / 2, 0.5 + level / 2))
        found |= {f"in_{100 * level:.0f}": float(low <= y <= high), f"held_{100 * level:.0f}": held(draws, y, level)}
    return found


def held(draws: np.ndarray, y: float, level: float) -> float:
    """Whether a central interval holds a score, 0 to 1.

    Scores are whole numbers: one at an edge counts for the share of it that the interval needs, so that the promise can
    be kept exactly.

    Arguments:
        draws: predicted scores, shape (draws,).
        y: what was reported.
        level: of the interval, such as 0.8.
    """
    tail = 0.5 - level / 2.0
    below, at = float(np.mean(draws < y - 0.25)), float(np.mean(np.abs(draws - y) <= 0.25))
    if at == 0.0:
        return float(tail <= below <= 1.0 - tail)
    return float(np.clip((min(below + at, 1.0 - tail) - max(below, tail)) / at, 0.0, 1.0))


def _figures(scores: Sequence[dict[str, float] | None]) -> dict[str, Any] | None:
    """Means over predictions; None where one of them could not be made."""
    made = [s for s in scores if s is not None]
    if len(made) < len(scores):
        return None
    of = {key: np.array([s[key] for s in made]) for key in made[0]}
    percents = [f"{100 * level:.0f}" for level in LEVELS]
    return {"bias": float(np.mean(of["error"])), "mae": float(np.mean(of["miss"])),
            "rmse": float(np.sqrt(np.mean(np.square(of["error"])))), "crps": float(np.mean(of["crps"])),
            "coverage": {percent: float(np.mean(of[f"in_{percent}"])) for percent in percents},
            "coverage_exact": {percent: float(np.mean(of[f"held_{percent}"])) for percent in percents},
            "sd": float(np.mean(of["sd"])), "pit": np.histogram(of["pit"], bins=10, range=(0.0, 1.0))[0].tolist(),
            "pit_p": float(pit_uniformity(of["pit"]).p) if len(made) > 4 else None}


def comparators(found: Sequence[Prediction]) -> dict[str, list[dict[str, float] | None]]:
    """How good plain predictions were, each with `score`; what they learn they learn from other people.

    `last_value`, `running_mean`; `population_mean` of the same care; `autoregression` of the next score on the last and
    on the mean of those known. Level and spread are of other people with the same care or, where those have fewer than
    `FEWEST` predictions, with any; None where there are fewer still.
    """
    y = np.array([p.observed for p in found])
    last, mean = np.array([p.last for p in found]), np.array([p.mean for p in found])
    ids, care = np.array([p.id for p in found]), np.array([p.group for p in found])
    design = np.column_stack([np.ones_like(y), last, mean])
    scores: dict[str, list[dict[str, float] | None]] = {name: [None] * len(found) for name in COMPARATORS}
    for id, group in dict.fromkeys(zip(ids.tolist(), care.tolist(), strict=True)):
        others, alike = ids != id, care == group
        near = others & alike if np.sum(others & alike) >= FEWEST else others
        if np.sum(near) < FEWEST:
            continue
        fit, _, rank, _ = np.linalg.lstsq(design[near], y[near], rcond=None)
        middles = {"last_value": (last, 0), "running_mean": (mean, 0),
                   "population_mean": (np.full_like(y, np.mean(y[near])), 1), "autoregression": (design @ fit, rank)}
        for name, (middle, learnt) in middles.items():
            errors = y[near] - middle[near]
            sd = max(float(np.sqrt(np.sum(errors**2) / (len(errors) - learnt))), SMALLEST_SD)
            for i in np.flatnonzero((ids == id) & alike):
                draws = np.clip(middle[i] + sd * NORMAL, 0.0, 10.0)
                scores[name][i] = score(np.round(draws) if last[i].is_integer() else draws, y[i])
    return scores


def lines(found: dict[str, Any]) -> list[str]:
    """The figures as a table for the terminal."""
    if "synthetic" in found:
        return ["weeks known   people   50 %  80 %  95 %   bias    SD   moved"] + [
            f"{row['weeks_known']:>11} {row['n']:>8}  " + " ".join(f"{100 * c:>5.1f}" for c in row["coverage"].values())
            + f" {row['bias']:>6.2f} {row['sd']:>5.2f} {100 * row['moved']:>5.0f} %" for row in found["synthetic"]]
    told = [f"{found['predictions']} forward predictions; {found['left_out']} left out (outside what was studied)",
            "50, 80, 95 %: how many of 100 scores the interval held, one at its edge by the share needed"]
    head = "                   bias    MAE   RMSE   CRPS   50 %  80 %  95 %   SD"
    for row in found["groups"]:
        told += ["", f"{row['group']}: {row['n']} predictions for {row['people']} people", head]
        for name in ("deqi", *COMPARATORS):
            r = row[name]
            told.append(f"  {name.replace('_', ' '):<15} " + (
                "too few other people" if r is None else f"{r['bias']:>6.2f} {r['mae']:>6.2f} {r['rmse']:>6.2f} "
                f"{r['crps']:>6.3f}  " + " ".join(f"{100 * c:>5.0f}" for c in r["coverage_exact"].values())
                + f"  {r['sd']:>5.2f}"))
        told += ["  PIT of deqi, ten bins: " + " ".join(str(n) for n in row["deqi"]["pit"]),
                 f"  80 % interval of deqi, edges counted in full: {100 * row['deqi']['coverage']['80']:.0f}"]
    return told
