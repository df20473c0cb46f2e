"""The mixed model of all visits: a random intercept for each person, arm by visit, baseline as covariate.

    value = arm x visit + slope x baseline + own level of the person + error

fitted by restricted maximum likelihood (statsmodels' `MixedLM`). People who were seen at one visit or more count, so
what is missing may depend on what was seen. The contrast at a visit is tested by Student's t with people - arms - 1
degrees of freedom (those between people), since the normal distribution rejects too often in small trials.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from .analyse import Estimates

OPTIMISERS = ("bfgs", "powell", "nm")
"""Tried one after the other until one converges. L-BFGS, the default, often runs off to an endless variance of people
and calls that converged."""


@dataclass(frozen=True)
class Mixed:
    """Mixed models of some trials.

    Arguments:
        estimates: by contrast, each of shape (trials,); NaN where the model did not converge.
        failed: trials whose model did not converge or could not be fitted.
    """

    estimates: tuple[Estimates, ...]
    failed: int


def fit(records: Any, arms: Sequence[str], visits: Sequence[float], week: float, weights: Sequence[np.ndarray],
        level: float) -> Mixed:
    """Fit the mixed model to each trial.

    Arguments:
        records: pandas frame of one outcome: trial, arm, patient, visit, value (missing: not seen), baseline.
        arms: their ids, in the order of the weights.
        visits: weeks.
        week: the visit of the contrast.
        weights: of the arms, one array for each contrast, each adding up to 0.
        level: of the two-sided test.
    """
    rows, failed = [], 0
    for _, trial in records.groupby("trial", sort=True):
        found = _one(trial, arms, visits, week, weights, level)
        failed += not np.isfinite(found).all()
        rows.append(found)
    table = np.array(rows).reshape(-1, len(weights), 4)
    return Mixed(tuple(Estimates(*table[:, k].T) for k in range(len(weights))), failed)


def _one(trial: Any, arms: Sequence[str], visits: Sequence[float], week: float, weights: Sequence[np.ndarray],
         level: float) -> np.ndarray:
    """Estimate, standard error and interval of each contrast, shape (contrasts, 4)."""
    seen = trial[trial["value"].notna()]
    cells = [(arm, visit) for arm in arms for visit in visits]
    means = np.column_stack([(seen["arm"] == arm) & (seen["visit"] == visit) for arm, visit in cells]).astype(float)
    kept = means.any(axis=0)
    baseline = seen["baseline"].to_numpy(float)
    design = np.column_stack([means[:, kept], baseline - baseline.mean()])
    fitted = _converged(seen["value"].to_numpy(float), design, seen["patient"].to_numpy())
    df = seen["patient"].nunique() - seen["arm"].nunique() - 1
    rows = np.full((len(weights), 4), np.nan)
    for row, weight in zip(rows, weights, strict=True):
        whole = np.array([weight[arms.index(arm)] * (visit == week) for arm, visit in cells])
        if fitted is None or df < 1 or whole[~kept].any():
            continue
        c = np.append(whole[kept], 0.0)
        estimate, se = c @ fitted[0], np.sqrt(c @ fitted[1] @ c)
        half = stats.t.isf(level / 2.0, df) * se
        row[:] = estimate, se, estimate - half, estimate + half
    return rows


def _converged(value: np.ndarray, design: np.ndarray, person: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Fixed effects and their covariance; None where no optimiser converges."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what statsmodels warns of is counted by the caller
        for optimiser in OPTIMISERS:
            try:
                found = MixedLM(value, design, groups=person).fit(reml=True, method=optimiser)
            except (np.linalg.LinAlgError, ValueError):
                continue
            covariance = np.asarray(found.cov_params())[:design.shape[1], :design.shape[1]]
            variances = np.diag(covariance)
            if found.converged and np.isfinite(covariance).all() and (0.0 < variances).all() and \
                    variances.max() < np.var(value):  # a mean less sure than one person's score: it ran off
                return np.asarray(found.fe_params), covariance
    return None
