"""Daily pain scores (0-10) under placebo: the typical patient's course, and the mean over patients.

Plan, Elshoff, Stockis, Sargentini-Maier and Karlsson 2012, doi 10.1038/clpt.2011.301 (DDMODEL00000194); placebo arms
of three trials in neuropathic pain, 231 patients, 22,492 scores, 18 weeks:

    P(t) = B [1 - pmax (1 - exp(-ln 2 t / h))]

Two different means follow. The typical patient's (every random effect 0) is 5.61, 5.32 and 5.08 at 4, 8 and 18 weeks:
these are the values usually quoted. The mean over patients, whose pmax varies enormously (variance 3.78 on the logit,
mean 0.29 against a typical 0.19), is 5.17, 4.80 and 4.47, from 6.08 at the start. The estimates stand here with the
digits of DDMODEL00000194; rounded to B 6.21, pmax 0.190, h 27.7 d they give 5.62 instead of 5.61 at 4 weeks. The Markov
part of the model, which makes a day's integer score stick to the day before, is left out: means only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import expit, logit

from deqi.errors import InputError

from .comparison import Comparison

_SOURCE = "arithmetic on the estimates of Plan 2012, doi 10.1038/clpt.2011.301 (typical patient)"


@dataclass(frozen=True)
class Parameters:
    """Estimates of DDMODEL00000194, doi 10.1038/clpt.2011.301; variances between patients where they act."""

    baseline: float = 6.20667           # B, 0-10
    placebo: float = 0.18986            # pmax, share of B
    half_time_days: float = 27.7045     # h
    paracetamol: float = 0.36374        # shift of logit(P / 10) in those who take it
    var_baseline: float = 0.568985      # of logit(B / 10)
    var_placebo: float = 3.77567        # of logit(pmax)
    var_half_time: float = 0.352913     # of ln(h)


PUBLISHED = Parameters()


def typical(days: npt.ArrayLike, paracetamol: bool = False, p: Parameters = PUBLISHED) -> npt.NDArray[np.float64]:
    """Expected score of the typical patient, every random effect at 0.

    Arguments:
        days: times since the start, of any shape.
        paracetamol: whether the patient also takes paracetamol.
        p: the parameters.
    Returns: pain 0-10, in the shape of `days`.
    Raises: InputError for a negative time.
    """
    return _course(p.baseline, p.placebo, p.half_time_days, _times(days), paracetamol, p)


def population_mean(days: npt.ArrayLike, paracetamol: bool = False, p: Parameters = PUBLISHED,
                    nodes: int = 40) -> npt.NDArray[np.float64]:
    """Expected score over patients, by Gauss-Hermite quadrature over the three independent random effects.

    Arguments:
        days: times since the start, of any shape.
        paracetamol: whether the patients also take paracetamol.
        p: the parameters.
        nodes: quadrature nodes for each effect; 40 are exact to about 0.0001.
    Returns: pain 0-10, in the shape of `days`.
    Raises: InputError for a negative time.
    """
    z, weight = hermegauss(nodes)
    weight = weight / weight.sum()
    baseline = 10.0 * expit(logit(p.baseline / 10.0) + np.sqrt(p.var_baseline) * z)[:, None, None]
    placebo = expit(logit(p.placebo) + np.sqrt(p.var_placebo) * z)[:, None]
    half_time = p.half_time_days * np.exp(np.sqrt(p.var_half_time) * z)
    t = _times(days)
    means = [np.einsum("ijk,i,j,k", _course(baseline, placebo, half_time, day, paracetamol, p), weight, weight, weight)
             for day in t.ravel()]
    return np.array(means).reshape(t.shape)


def comparisons() -> tuple[Comparison, ...]:
    """The means at 4, 8 and 18 weeks, which are those of the typical patient."""
    return tuple(Comparison("Plan 2012", f"mean pain at {week} weeks, typical patient", mean, float(typical(7 * week)),
                            0.005, "points of 10", _SOURCE) for week, mean in ((4, 5.61), (8, 5.32), (18, 5.08)))


def _course(baseline: Any, placebo: Any, half_time: Any, day: Any, paracetamol: bool, p: Parameters) -> Any:
    score = baseline * (1.0 + placebo * np.expm1(-np.log(2.0) * day / half_time))
    return 10.0 * expit(logit(score / 10.0) + p.paracetamol) if paracetamol else score


def _times(days: npt.ArrayLike) -> npt.NDArray[np.float64]:
    t = np.asarray(days, float)
    if np.any(t < 0):
        raise InputError("a time cannot be negative", field="days", found=days, accepted="0 or more")
    return t
