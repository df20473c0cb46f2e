"""What a trial would be analysed to: ANCOVA, t test on change, and responder difference, from running sums alone.

All arms of a trial enter one model, and all trials of all sizes are analysed at once. With W for sums of squares and
products within arms, added over arms:

    ANCOVA      y = arm + slope x;  slope = W_xy / W_xx,  residual variance = (W_yy - W_xy^2 / W_xx) / (n - arms - 1)
                variance of a contrast = residual variance (sum c^2 / n_arm + (sum c mean_x)^2 / W_xx)
    t test      of the change y - x, variance pooled over the arms of the contrast
    responders  the share that responded; interval by combining the arms' Wilson intervals (Newcombe 1998, method 10,
                doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I, which for contrasts of more than
                two arms is the MOVER of Zou and Donner 2008, doi:10.1002/sim.3095)

A test rejects where the interval leaves out zero, so that test and interval never disagree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from .tally import HUNDREDTHS, SUMS

N, Y, YY, X, XX, XY, RESPONDERS = range(len(SUMS))


@dataclass(frozen=True)
class Estimates:
    """Estimates of one contrast in each trial; NaN where a trial cannot be analysed (too few people seen).

    Arguments:
        estimate: difference between the two sides of the contrast, shape (trials, ...), in the outcome's points;
            as a share for responders.
        se: its standard error.
        low, high: ends of the interval, two-sided, at the level asked for.
    """

    estimate: Float[np.ndarray, "*trials"]
    se: Float[np.ndarray, "*trials"]
    low: Float[np.ndarray, "*trials"]
    high: Float[np.ndarray, "*trials"]

    @property
    def analysed(self) -> np.ndarray:
        """Whether a trial could be analysed, shape (trials, ...)."""
        return np.isfinite(self.low) & np.isfinite(self.high)

    @property
    def rejects(self) -> np.ndarray:
        """Whether the two-sided test rejects, shape (trials, ...); a trial that cannot be analysed does not."""
        return (self.low > 0.0) | (self.high < 0.0)


class _Within(NamedTuple):
    """Moments of one cell by arm, in the outcome's points, shape (..., arms)."""

    n: np.ndarray
    y: np.ndarray
    x: np.ndarray
    yy: np.ndarray
    xx: np.ndarray
    xy: np.ndarray


def ancova(sums: np.ndarray, weights: np.ndarray, level: float = 0.05) -> Estimates:
    """Compare follow-up scores adjusted for the score at baseline.

    Arguments:
        sums: of one cell (outcome and visit) as a tally holds them, shape (..., arms, SUMS).
        weights: of the arms in the contrast, adding up to 0, shape (arms,).
        level: of the two-sided test.
    """
    m = _within(sums)
    w_xx, w_xy, w_yy = (part.sum(axis=-1) for part in (m.xx, m.xy, m.yy))
    sloped = w_xx > 0.0  # where all baselines are alike there is no slope to estimate
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(sloped, w_xy / w_xx, 0.0)
        df = m.n.sum(axis=-1) - (m.n > 0).sum(axis=-1) - sloped
        variance = np.where(df > 0, np.maximum(w_yy - slope * w_xy, 0.0) / df, np.nan)
        apart = _contrast(m.x, weights)
        unequal = np.where(sloped, apart**2 / w_xx, 0.0)
        se = np.sqrt(variance * (_contrast(1.0 / m.n, weights**2) + unequal))
    return _student(_contrast(m.y, weights) - slope * apart, se, df, level)


def change(sums: np.ndarray, weights: np.ndarray, level: float = 0.05) -> Estimates:
    """Compare changes since baseline by the t test with pooled variance; arguments as `ancova`."""
    m = _within(sums)
    within = m.yy - 2.0 * m.xy + m.xx
    used = weights != 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        df = (m.n[..., used] - 1.0).sum(axis=-1)
        variance = np.where(df > 0, within[..., used].sum(axis=-1) / df, np.nan)
        se = np.sqrt(variance * _contrast(1.0 / m.n, weights**2))
    return _student(_contrast(m.y - m.x, weights), se, df, level)


def responders(sums: np.ndarray, weights: np.ndarray, level: float = 0.05) -> Estimates:
    """Compare shares of people who responded; arguments as `ancova`.

    The standard error is that of the difference of shares (Wald); the interval does not use it.
    """
    n, count = (np.asarray(sums[..., k], dtype=float) for k in (N, RESPONDERS))
    z = stats.norm.isf(level / 2.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = count / n
        centre = (count + z**2 / 2.0) / (n + z**2)
        half = z / (n + z**2) * np.sqrt(n * p * (1.0 - p) + z**2 / 4.0)
        below, above = p - (centre - half), (centre + half) - p
        estimate = _contrast(p, weights)
        se = np.sqrt(_contrast(p * (1.0 - p) / n, weights**2))
        up = weights > 0.0
        low = estimate - np.sqrt(_contrast(np.where(up, below, above)**2, weights**2))
        high = estimate + np.sqrt(_contrast(np.where(up, above, below)**2, weights**2))
    return Estimates(estimate, se, low, high)


METHODS: dict[str, Callable[..., Estimates]] = {"ancova": ancova, "ttest": change, "responders": responders}
"""Analyses that need the sums alone."""


def change_sd(sums: np.ndarray, weights: np.ndarray) -> float:
    """Standard deviation of change within the arms of a contrast, over all trials together; NaN of fewer than two.

    Arguments:
        sums: of one cell, shape (..., arms, SUMS); trials of one world.
        weights: as `ancova`.
    """
    m = _within(np.asarray(sums).reshape(-1, *sums.shape[-2:]).sum(axis=0))
    used = weights != 0.0
    spare = (m.n[used] - 1.0).sum()
    return float(np.sqrt((m.yy - 2.0 * m.xy + m.xx)[used].sum() / spare)) if spare > 0.0 else float("nan")


def _within(sums: np.ndarray) -> _Within:
    """Means and sums of squares and products within arms; those of an arm where nobody was seen are 0."""
    n, y, yy, x, xx, xy = (np.asarray(sums[..., k], dtype=float) for k in (N, Y, YY, X, XX, XY))
    one, h = np.maximum(n, 1.0), float(HUNDREDTHS)
    return _Within(n, y / one / h, x / one / h, (yy - y * y / one) / h**2, (xx - x * x / one) / h**2,
                   (xy - x * y / one) / h**2)


def _contrast(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted sum over arms; arms outside the contrast do not count, even where they are not known."""
    used = weights != 0.0
    found: np.ndarray = values[..., used] @ weights[used]
    return found


def _student(estimate: np.ndarray, se: np.ndarray, df: np.ndarray, level: float) -> Estimates:
    known = np.isfinite(se) & (df > 0)
    with np.errstate(invalid="ignore"):
        half = np.where(known, stats.t.isf(level / 2.0, np.maximum(df, 1)) * se, np.nan)
    estimate = np.where(known, estimate, np.nan)
    return Estimates(estimate, se, estimate - half, estimate + half)
