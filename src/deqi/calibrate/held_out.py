"""Each trial predicted from all the others: leave-one-trial-out, for deqi and for two plain comparators.

Draws made without a trial come from the draws made with it, weighted by the inverse of its likelihood and smoothed
(Pareto); where the diagnostic says that the weights have degenerated, the posterior without the trial is approximated
anew and its draws are weighted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .arms import kind_of_arm
from .baselines import Comparator, Hyperbola, MetaRegression, Rows
from .inference import Draws, importance, laplace
from .likelihood import FREEDOM, Likelihood, log_student, moments, sample_size, standard_error
from .problem import baseline_of
from .scores import (
    coverage,
    crps_draws,
    interval_draws,
    mean_absolute_error,
    pareto_smooth,
    pit_draws,
    width,
)

MOST_K = 0.7
USED = 400
"""Draws of the averages that predictions are made from."""


@dataclass(frozen=True)
class Prediction:
    """One statistic of a trial that was left out.

    Arguments:
        trial, arm, kind: what it belongs to.
        observation: index of the statistic in the problem.
        domain, statistic, week: what it is.
        value: what was reported, points of 100 (share; log of a standard deviation).
        draws: of the predicted statistic, sampling and between-trial spread included.
        log_density: of the reported value.
    """

    trial: str
    arm: str
    kind: str
    observation: int
    domain: str
    statistic: str
    week: float
    value: float
    draws: np.ndarray
    log_density: float


@dataclass(frozen=True)
class LeftOut:
    """All of one trial, left out.

    Arguments:
        trial: its id.
        k: Pareto diagnostic of the weights that its draws have.
        anew: whether the posterior without it was approximated anew.
        joint: log predictive density of all that it reported.
        predictions: by statistic.
    """

    trial: str
    k: float
    anew: bool
    joint: float
    predictions: tuple[Prediction, ...]


def predictive_moments(likelihood: Likelihood, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predictive means and covariances at several places, shapes (draws, trials, most) and with most once more."""
    run = jax.jit(lambda place: moments(place, likelihood.data, likelihood.blocks))
    found = [run(jnp.asarray(place)) for place in z]
    return np.stack([np.asarray(m) for m, _ in found]), np.stack([np.asarray(V) for _, V in found])


def leave_one_out(likelihood: Likelihood, draws: Draws, *, seed: int = 1, again: int = 12,
                  progress: Callable[[str], Any] | None = None) -> tuple[LeftOut, ...]:
    """Predict every trial from the others.

    Arguments:
        likelihood: of all trials.
        draws: of the posterior with all trials.
        seed: of every random number.
        again: most trials that are approximated anew, the worst first.
        progress: called with the trial that is done.
    """
    z = draws.flat[np.linspace(0, len(draws.flat) - 1, USED).round().astype(int)]
    by_trial = np.stack([np.asarray(likelihood.by_trial(jnp.asarray(place))) for place in z])
    m, V = predictive_moments(likelihood, z)
    smoothed = [pareto_smooth(-by_trial[:, t]) for t in range(by_trial.shape[1])]
    worst = sorted(range(len(smoothed)), key=lambda t: -smoothed[t][1])
    anew = {t for t in worst[:again] if smoothed[t][1] > MOST_K}
    found = []
    for t, trial in enumerate(likelihood.problem.trials):
        if t in anew:
            weights = np.ones(by_trial.shape[1])
            weights[t] = 0.0
            near = laplace(likelihood, weights, near=draws.laplace)
            own, ratio = importance(likelihood, near, weights=weights, seed=seed)
            m_t, V_t = predictive_moments(likelihood, own)
            log_weight, k = pareto_smooth(ratio)
        else:
            m_t, V_t = m, V
            log_weight, k = smoothed[t]
        found.append(_left_out(likelihood, t, m_t[:, t], V_t[:, t], np.exp(log_weight), (k, t in anew), seed))
        if progress is not None:
            progress(trial.id)
    return tuple(found)


def _left_out(likelihood: Likelihood, t: int, m: np.ndarray, V: np.ndarray, weight: np.ndarray,
              quality: tuple[float, bool], seed: int) -> LeftOut:
    b, problem = likelihood.blocks, likelihood.problem
    here = np.asarray(b.mask[t]) > 0.0
    y, index = np.asarray(b.y[t])[here], np.asarray(b.index[t])[here]
    weight = weight / weight.sum()
    joint = _joint(y, m[:, here], V[:, here][:, :, here], weight)
    rng = np.random.default_rng([seed, t])
    chosen = rng.choice(len(m), 2000, p=weight)
    sd = np.sqrt(np.maximum(V[:, np.arange(V.shape[1]), np.arange(V.shape[1])], 1e-12))
    rows = []
    for place, i in zip(np.flatnonzero(here), index, strict=True):
        o = problem.rows[i][1]
        drawn = m[chosen, place] + sd[chosen, place] * student(rng, len(chosen))
        arm = next(a for a in problem.trials[t].arms if a.id == o.arm)
        value = float(np.asarray(b.y[t])[place])
        density = _mixed(np.asarray(log_student(((value - m[:, place]) / sd[:, place]) ** 2, np.log(sd[:, place]),
                                                1.0)), weight)
        rows.append(Prediction(problem.trials[t].id, o.arm, kind_of_arm(arm), int(i), o.domain, o.statistic, o.week,
                               value, drawn, density))
    return LeftOut(problem.trials[t].id, float(quality[0]), quality[1], joint, tuple(rows))


def _joint(y: np.ndarray, m: np.ndarray, V: np.ndarray, weight: np.ndarray) -> float:
    L = np.linalg.cholesky(V + 1e-9 * np.eye(V.shape[-1]))
    r = np.stack([np.linalg.solve(root, y - mean) for root, mean in zip(L, m, strict=True)])
    half_log_det = np.sum(np.log(np.diagonal(L, axis1=1, axis2=2)), axis=1)
    return _mixed(np.asarray(log_student(np.sum(r**2, axis=1), half_log_det, float(len(y)))), weight)


def _mixed(log_density: np.ndarray, weight: np.ndarray) -> float:
    return float(np.logaddexp.reduce(log_density + np.log(np.maximum(weight, 1e-300))))


def student(rng: np.random.Generator, n: int) -> np.ndarray:
    """Student's t numbers of variance 1, as heavy-tailed as trials are."""
    return rng.standard_t(FREEDOM, n) * np.sqrt((FREEDOM - 2.0) / FREEDOM)


def pain_rows(likelihood: Likelihood) -> tuple[Rows, np.ndarray]:
    """Changes of mean pain of all arms whose baseline is known, for the comparators, and their statistics' indices."""
    problem = likelihood.problem
    columns = ("trial", "arm", "kind", "week", "baseline", "change", "se", "n")
    found: dict[str, list[Any]] = {name: [] for name in columns}
    index = []
    arm_number: dict[tuple[int, str], int] = {}
    for i, (t, o) in enumerate(problem.rows):
        if o.domain != "pain" or o.statistic not in ("mean", "change") or o.value is None:
            continue
        mean, _ = baseline_of(problem.trials[t], o.arm, "pain")
        if mean is None:
            continue
        arm = next(a for a in problem.trials[t].arms if a.id == o.arm)
        row = (t, arm_number.setdefault((t, o.arm), len(arm_number)), kind_of_arm(arm), o.week, mean,
               o.value - mean if o.statistic == "mean" else o.value, standard_error(problem, i),
               sample_size(problem, i))
        for name, value in zip(found, row, strict=True):
            found[name].append(value)
        index.append(i)
    return Rows(**{name: np.array(values) for name, values in found.items()}), np.array(index)


def comparators_left_out(rows: Rows, kinds: Sequence[type[Comparator]] = (Hyperbola, MetaRegression)
                         ) -> dict[str, tuple[np.ndarray, np.ndarray, float]]:
    """Each comparator's predictions of every trial from the others: mean, sd, and the joint log density in all."""
    found = {}
    for kind in kinds:
        mean, sd, joint = np.empty(len(rows)), np.empty(len(rows)), 0.0
        for t in np.unique(rows.trial):
            fitted, left = kind.fit(rows.where(rows.trial != t)), rows.where(rows.trial == t)
            mean[rows.trial == t], sd[rows.trial == t] = fitted.predict(left)
            joint += fitted.log_density(left)
        found[kind.__name__] = (mean, sd, joint)
    return found


def summary(values: np.ndarray, draws: np.ndarray, log_density: np.ndarray) -> dict[str, float]:
    """Scores of predictions: coverage, width, error, CRPS and log density; draws of shape (draws, statistics)."""
    intervals = {level: interval_draws(draws, level) for level in (0.5, 0.8, 0.95)}
    return {
        "statistics": len(values),
        **{f"covered_{round(100 * level)}": coverage(values, interval) for level, interval in intervals.items()},
        "width_80": width(intervals[0.8]), "width_95": width(intervals[0.95]),
        "mae": mean_absolute_error(values, np.median(draws, axis=0)),
        "bias": float(np.mean(np.mean(draws, axis=0) - values)),
        "crps": float(np.mean(crps_draws(values, draws))), "log_density": float(np.mean(log_density)),
    }


def pit(values: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Probability integral transform of the reported values."""
    return pit_draws(values, draws)
