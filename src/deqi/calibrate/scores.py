"""How good a prediction was: scores of predictive distributions, and importance weights that tell when they fail.

A predictive distribution is Gaussian (mean, sd) or given by draws, with weights or without. Draws lie along the first
axis, so that `draws` of shape (draws, ...) go with `y` of shape (...); weights are (draws,) or as `draws`, need not
sum to 1, and are even when left out. Scores keep the unit of `y`, and lower is better but for the log density.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp
from scipy.stats import chi2
from scipy.stats import f as f_distribution

from ..errors import InputError

LEVELS = (0.5, 0.8, 0.95)
"""Central intervals that are judged."""
FEWEST = 5
"""Draws in the tail below which no Pareto distribution is fitted."""

Interval = tuple[np.ndarray, np.ndarray]


def normalised(draws: np.ndarray, weights: ArrayLike | None) -> np.ndarray:
    """Weights of the shape of `draws` that sum to 1 over the first axis."""
    w = np.ones(len(draws)) if weights is None else np.asarray(weights, float)
    if len(w) != len(draws) or not np.all(w >= 0.0) or not np.all(w.sum(axis=0) > 0.0):
        raise InputError("cannot weight the draws", found=w.shape, accepted="one weight >= 0 a draw, not all of them 0")
    w = w.reshape(w.shape + (1,) * (draws.ndim - w.ndim))
    return np.broadcast_to(w / w.sum(axis=0), draws.shape)


def crps_draws(y: ArrayLike, draws: ArrayLike, weights: ArrayLike | None = None) -> np.ndarray:
    """Continuous ranked probability score from draws, E|X - y| - E|X - X'|/2, by the fair estimator.

    X and X' are never the same draw, so the expected score does not depend on how many draws there are (Ferro 2014).
    With weights the pairs count w_i w_j / (1 - sum of w^2). A single draw scores its absolute error.
    """
    x = np.asarray(draws, float)
    w = normalised(x, weights)
    error = np.sum(w * np.abs(x - np.asarray(y, float)), axis=0)
    order = np.argsort(x, axis=0)
    below = np.cumsum(np.take_along_axis(w, order, axis=0), axis=0)[:-1]
    gaps = np.diff(np.take_along_axis(x, order, axis=0), axis=0)
    half_difference = np.sum(below * (1.0 - below) * gaps, axis=0)
    distinct = 1.0 - np.sum(w**2, axis=0)
    return error - np.where(distinct > 1e-12, half_difference / np.maximum(distinct, 1e-12), 0.0)


def weighted_quantile(draws: ArrayLike, q: ArrayLike, weights: ArrayLike | None = None) -> np.ndarray:
    """Quantiles of weighted draws; with even weights Hazen's (Hyndman & Fan 1996, definition 5).

    A draw stands at the middle of its step of the cumulative weight, with straight lines between.

    Arguments:
        draws: shape (draws, ...).
        q: probabilities, shape () or (quantiles,).

    Returns:
        shape (...) or (quantiles, ...).
    """
    x, q = np.asarray(draws, float), np.asarray(q, float)
    w = normalised(x, weights)
    columns = [_quantile(own, q, own_w) for own, own_w in
               zip(x.reshape(len(x), -1).T, w.reshape(len(x), -1).T, strict=True)]
    return np.stack(columns, axis=-1).reshape(q.shape + x.shape[1:])


def _quantile(x: np.ndarray, q: np.ndarray, w: np.ndarray) -> np.ndarray:
    order = np.argsort(x)
    order = order[w[order] > 0.0]
    at = np.cumsum(w[order]) - 0.5 * w[order]
    return np.asarray(np.interp(q, at, x[order]))


def interval_draws(draws: ArrayLike, level: float, weights: ArrayLike | None = None) -> Interval:
    """Low and high end of the central interval that holds `level` of the draws."""
    low, high = weighted_quantile(draws, [0.5 - 0.5 * level, 0.5 + 0.5 * level], weights)
    return low, high


def coverage(y: ArrayLike, interval: Interval) -> float:
    """Share of `y` that lies in its interval."""
    y = np.asarray(y, float)
    return float(np.mean((interval[0] <= y) & (y <= interval[1])))


def width(interval: Interval) -> float:
    """Mean width of the intervals."""
    return float(np.mean(interval[1] - interval[0]))


def mean_absolute_error(y: ArrayLike, centre: ArrayLike) -> float:
    """Mean distance of `y` from the middle of its prediction (the median is the one that minimises it)."""
    return float(np.mean(np.abs(np.asarray(y, float) - np.asarray(centre, float))))


def pit_draws(y: ArrayLike, draws: ArrayLike, weights: ArrayLike | None = None) -> np.ndarray:
    """Probability integral transform from draws; a draw that equals `y` counts one half."""
    x = np.asarray(draws, float)
    return np.asarray(np.sum(normalised(x, weights) * np.heaviside(np.asarray(y, float) - x, 0.5), axis=0))


@dataclass(frozen=True)
class Uniformity:
    """Departure of PIT values from uniform: Neyman's smooth test of order 2 (Rayner & Best 1989).

    Arguments:
        statistic: chi-squared with 2 degrees of freedom under uniformity; Hotelling's T^2 with groups.
        p: its probability.
        location: mean of sqrt(3) (2u - 1): above 0 where more was observed than predicted.
        spread: mean of sqrt(5) (6u^2 - 6u + 1): above 0 where predictions were too narrow, below 0 too wide.
    """

    statistic: float
    p: float
    location: float
    spread: float


def pit_uniformity(pit: ArrayLike, group: ArrayLike | None = None) -> Uniformity:
    """Whether PIT values are uniform.

    Arguments:
        pit: shape (values,).
        group: shape (values,), 4 or more different; values of one group (the rows of a trial) may depend on each other.
    """
    u = np.asarray(pit, float)
    components = np.column_stack([math.sqrt(3.0) * (2.0 * u - 1.0), math.sqrt(5.0) * (6.0 * u**2 - 6.0 * u + 1.0)])
    location, spread = components.mean(axis=0)
    if group is None:
        statistic = float(len(u) * (location**2 + spread**2))
        return Uniformity(statistic, float(chi2.sf(statistic, 2)), float(location), float(spread))
    names, index = np.unique(np.asarray(group), return_inverse=True)
    if len(names) < 4:
        raise InputError("too few groups for the test of uniformity", found=len(names), accepted="4 or more")
    totals = np.zeros((len(names), 2))
    np.add.at(totals, index, components)
    mean, g = totals.mean(axis=0), len(names)
    statistic = float(g * mean @ np.linalg.pinv(np.cov(totals.T)) @ mean)
    p = float(f_distribution.sf(statistic * (g - 2) / (2 * (g - 1)), 2, g - 2))
    return Uniformity(statistic, p, float(location), float(spread))


def effective_sample_size(log_weights: ArrayLike) -> float:
    """How many even draws the weighted ones are worth: (sum of w)^2 / (sum of w^2) (Kish 1965)."""
    lw = np.asarray(log_weights, float)
    return float(np.exp(2.0 * logsumexp(lw) - logsumexp(2.0 * lw)))


def pareto_smooth(log_weights: ArrayLike) -> tuple[np.ndarray, float]:
    """Pareto-smoothed importance weights (Vehtari et al. 2024, JMLR 25:72).

    The largest M = min(S/5, 3 sqrt(S)) of S weights give way to the expected order statistics of the generalised
    Pareto distribution fitted to them, none above the largest raw weight. Estimates are reliable where its shape k is
    below min(1 - 1/log10(S), 0.7).

    Arguments:
        log_weights: log ratios of target to proposal, up to a constant, shape (draws,).

    Returns:
        log weights that sum to 1 once exponentiated, and k: -inf where the tail is flat, inf where it is too short to
        be fitted (the weights are then the raw ones).
    """
    lw = np.array(log_weights, float)
    if lw.ndim != 1 or not lw.size or np.isnan(lw).any() or not np.isfinite(lw.max()):
        raise InputError("cannot smooth the log weights", found=lw.shape,
                         accepted="a row of numbers, the largest finite, -inf for 0")
    lw -= lw.max()
    size = len(lw)
    order = np.argsort(lw)
    m = math.ceil(min(0.2 * size, 3.0 * math.sqrt(size)))
    cutoff = max(lw[order[-m - 1]], math.log(np.finfo(float).tiny)) if m < size else 0.0
    tail = order[-m:][lw[order[-m:]] > cutoff]
    k = -math.inf if size > m and -cutoff < 1e-12 else math.inf
    if len(tail) >= FEWEST and k > 0.0:
        k, sigma = fit_pareto(np.exp(cutoff) * np.expm1(lw[tail] - cutoff))
        p = (np.arange(len(tail)) + 0.5) / len(tail)
        lw[tail] = np.minimum(np.log(np.exp(cutoff) + pareto_quantile(p, k, sigma)), 0.0)
    return lw - logsumexp(lw), k


def fit_pareto(x: np.ndarray) -> tuple[float, float]:
    """Shape k and scale sigma of the generalised Pareto distribution, p(x) = (1 + k x/sigma)^(-1/k - 1)/sigma.

    The mean of theta = -k/sigma over its profile posterior on a grid (Zhang & Stephens 2009, whose k has the other
    sign); then k is drawn to 0.5 as by 10 further observations (Vehtari et al. 2024).

    Arguments:
        x: exceedances of the threshold in ascending order, > 0, shape (n,).
    """
    n = len(x)
    m = 30 + math.isqrt(n)
    quartile = x[math.floor(n / 4 + 0.5) - 1]
    theta = 1.0 / x[-1] + (1.0 - np.sqrt(m / (np.arange(m) + 0.5))) / (3.0 * quartile)

    def shape(theta: Any) -> Any:
        return np.mean(np.log1p(-np.multiply.outer(theta, x)), axis=-1)

    profile = n * (np.log(-theta / shape(theta)) - shape(theta) - 1.0)
    mean = float(np.exp(profile - logsumexp(profile)) @ theta)
    k = float(shape(mean))
    return (n * k + 10 * 0.5) / (n + 10), -k / mean


def pareto_quantile(p: ArrayLike, k: float, sigma: float) -> np.ndarray:
    """Quantiles of the generalised Pareto distribution above its threshold."""
    out = -np.log1p(-np.asarray(p, float))
    return sigma * (np.expm1(k * out) / k if k != 0.0 else out)
