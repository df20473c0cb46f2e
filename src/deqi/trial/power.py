"""What many simulated trials say of the design: power, assurance, coverage, bias, and people needed for 80 % power.

Power is the share of trials whose two-sided test rejects, in a world at the middle of the calibrated averages;
assurance is the same share where every trial has its own draw of the averages, its own setting and its arms' own
effects, so that it holds what is not known (O'Hagan, Stevens and Campbell 2005, doi:10.1002/pst.175). Each share comes
with its Monte Carlo standard error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from .analyse import Estimates

WANTED = 0.8
"""The power that sizes are looked for at: what trials usually plan with."""


@dataclass(frozen=True)
class Share:
    """A share of simulated trials.

    Arguments:
        value: 0 to 1; None where there was no trial.
        mc_se: its standard error from the number of trials; that of half a trial more where all agree.
        trials: how many.
    """

    value: float | None
    mc_se: float | None
    trials: int


def share(hits: np.ndarray) -> Share:
    """The share of true values, shape (trials,)."""
    n = int(hits.size)
    if n == 0:
        return Share(None, None, 0)
    p = float(hits.mean())
    held = min(max(p, 0.5 / n), 1.0 - 0.5 / n)
    return Share(p, float(np.sqrt(held * (1.0 - held) / n)), n)


def rejected(found: Estimates) -> Share:
    """The share of trials that reject; those that could not be analysed count as trials that do not."""
    return share(found.rejects)


def covered(found: Estimates, truth: float) -> Share:
    """The share of analysed trials whose interval holds the truth."""
    kept = found.analysed
    return share((found.low[kept] <= truth) & (truth <= found.high[kept]))


def analytic(effect: float, sd: float, people: np.ndarray, weights: np.ndarray, level: float) -> float | None:
    """Power of the t test by the noncentral t distribution.

    Arguments:
        effect: true contrast of mean changes, points.
        sd: of change within arms, points.
        people: analysed in each arm, shape (arms,); a mean number need not be whole.
        weights: of the arms in the contrast, shape (arms,).
        level: of the two-sided test.

    Returns:
        None where too few people are left for a test.
    """
    used = weights != 0.0
    df = float((people[used] - 1.0).sum())
    if df <= 0.0 or not (people[used] > 0.0).all() or not sd > 0.0:
        return None
    away = effect / (sd * float(np.sqrt((weights[used] ** 2 / people[used]).sum())))
    edge = stats.t.isf(level / 2.0, df)
    return float(stats.nct.sf(edge, df, away) + stats.nct.cdf(-edge, df, away))


def people_for(sizes: Sequence[int], power: Sequence[float | None], wanted: float = WANTED) -> int | None:
    """People randomised in all at which the curve first reaches the power wanted, between sizes by a straight line.

    Arguments:
        sizes: people randomised, ascending.
        power: at each size.
        wanted: 0 to 1.

    Returns:
        the number, the smallest size where that is enough already; None if no size asked for reaches it.
    """
    known = [(n, p) for n, p in zip(sizes, power, strict=True) if p is not None]
    for place, (n, p) in enumerate(known):
        if p >= wanted:
            if place == 0:
                return n
            before, below = known[place - 1]
            return int(np.ceil(before + (n - before) * (wanted - below) / (p - below)))
    return None
