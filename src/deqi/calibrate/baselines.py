"""Two plain comparators for changes of pain in the arms of trials, neither of which knows of bodies or theories.

`Hyperbola` lets each kind of arm approach its own largest change over time; `MetaRegression` is linear in the baseline
and in log time. Both are Gaussian and share one likelihood, for the rows i of trial t

    y = X b + z u_t + e,   u_t ~ N(0, omega^2),   e_i ~ N(0, se_i^2 + tau^2),

and the prior of b is N(0, P^-1): P is 0 for the overall coefficient and 1/8^2 for the departure of each kind from it,
so that kinds with few arms are drawn to the whole and one that no trial had can still be predicted. Given omega, tau
and ET50 all is closed form; these three are found numerically. Pain is 0-100, time in weeks.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Self

import numpy as np
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from ..errors import InputError

FEWEST_ARMS = 3
"""Arms from which on a kind has a coefficient of its own; the rest, and kinds that no trial had, are `other`."""
OTHER = "other"
SD_KIND = 8.0
"""Prior standard deviation of kinds around the whole, and of the slopes of the meta-regression, points of 100."""
ET50_WEEKS, SD_LOG_ET50 = 3.0, 1.0
"""Prior of ET50, log-normal, 95 % within 0.4-21 weeks: settles it where every trial reports at the same week."""
VARIANCE = (0.0, 1e4)
"""Bounds of a variance. (A standard deviation would not do: at 0 the likelihood is flat in it, and a search stays.)"""


@dataclass(frozen=True)
class Rows:
    """What the arms of trials reported, one row a week; all of shape (rows,).

    Arguments:
        trial, arm: indices of the trial and of the arm, the latter unique over the trials.
        kind: kind of arm (acupuncture, sham, usual_care, waiting, exercise, other).
        week: weeks since enrolment.
        baseline: mean pain at enrolment, 0-100.
        change: mean change from enrolment, points of 100, negative where pain is less; not read for predictions.
        se: standard error of the change.
        n: people.
    """

    trial: np.ndarray
    arm: np.ndarray
    kind: np.ndarray
    week: np.ndarray
    baseline: np.ndarray
    change: np.ndarray
    se: np.ndarray
    n: np.ndarray

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, np.asarray(getattr(self, field.name)))
            found = getattr(self, field.name).shape
            if found != np.shape(self.trial) or len(found) != 1:
                raise InputError("not one value a row", field=field.name, found=found, accepted=str(self.trial.shape))
        if not np.all(self.se > 0.0):
            raise InputError("a standard error is missing", field="se", accepted="numbers above 0")

    def __len__(self) -> int:
        return len(self.trial)

    def where(self, keep: np.ndarray) -> Rows:
        """The rows that a mask or an index keeps."""
        return Rows(*(getattr(self, field.name)[keep] for field in fields(self)))


def complete(rows: Rows) -> Rows:
    """The rows, refused where there are none or a number is missing."""
    if not len(rows) or not np.isfinite([rows.week, rows.baseline, rows.change]).all():
        raise InputError("cannot fit to the rows", accepted="one row or more, with week, baseline and change")
    return rows


def products(m: np.ndarray, z: np.ndarray, rows: Rows, omega2: float, tau2: float) -> tuple[np.ndarray, float]:
    """M' V^-1 M and log |V|, V = diag(se^2 + tau^2) + omega^2 z z' within each trial (Sherman & Morrison 1950)."""
    trial = np.unique(rows.trial, return_inverse=True)[1]
    variance = rows.se**2 + tau2
    own = m / variance[:, None]
    shared = np.zeros((trial.max() + 1, m.shape[1]))
    np.add.at(shared, trial, z[:, None] * own)
    q = 1.0 + omega2 * np.bincount(trial, z**2 / variance)
    log_det = float(np.sum(np.log(variance)) + np.sum(np.log(q)))
    return m.T @ own - shared.T @ (shared * (omega2 / q)[:, None]), log_det


def solved(found: np.ndarray, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """b and its precision A = X' V^-1 X + P from the products of [X, y]."""
    precision = found[:-1, :-1] + prior
    return np.linalg.solve(precision, found[:-1, -1]), precision


def minus_log_likelihood(found: np.ndarray, log_det: float, prior: np.ndarray, integrated: slice) -> float:
    """Of omega, tau and ET50, up to a constant; part of b integrated out (in the restricted likelihood all of it)."""
    b, precision = solved(found, prior)
    fit = float(found[-1, -1] - found[:-1, -1] @ b)
    return 0.5 * (log_det + float(np.linalg.slogdet(precision[integrated, integrated])[1]) + fit)


def lowest(loss: Callable[..., float], starts: list[list[float]], bounds: list[tuple[float, float]]) -> list[float]:
    """Where the loss is lowest, from several starts."""
    found = [minimize(lambda place: loss(*place), start, method="L-BFGS-B", bounds=bounds) for start in starts]
    return [float(value) for value in min(found, key=lambda result: result.fun).x]


def kinds_of(rows: Rows) -> tuple[str, ...]:
    """Kinds with enough arms for a coefficient of their own, and `other`."""
    kinds = sorted({str(kind) for kind in rows.kind} - {OTHER})
    return (*(kind for kind in kinds if len(np.unique(rows.arm[rows.kind == kind])) >= FEWEST_ARMS), OTHER)


def membership(rows: Rows, kinds: tuple[str, ...]) -> np.ndarray:
    """A column of ones for the whole, then one of 0 and 1 for each kind, shape (rows, 1 + kinds)."""
    index = [kinds.index(kind) if kind in kinds else kinds.index(OTHER) for kind in map(str, rows.kind)]
    return np.column_stack([np.ones(len(rows)), np.eye(len(kinds))[index]])


@dataclass(frozen=True)
class Comparator(ABC):
    """A fitted comparator.

    Arguments:
        kinds: those with a coefficient of their own, `other` last.
        coefficients: b: the whole, the departures of the kinds, then `names`; shape (coefficients,).
        covariance: of b given omega and tau, shape (coefficients, coefficients).
        trial_sd, residual_sd: omega and tau.
    """

    kinds: tuple[str, ...]
    coefficients: np.ndarray
    covariance: np.ndarray
    trial_sd: float
    residual_sd: float

    names: ClassVar[tuple[str, ...]]

    @classmethod
    @abstractmethod
    def fit(cls, rows: Rows) -> Self:
        """The model that fits the rows of past trials best."""

    @abstractmethod
    def design(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """X, shape (rows, coefficients), and z, shape (rows,)."""

    def predict(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation, each (rows,), of the changes that arms of new trials will report."""
        x, z = self.design(rows)
        known = np.einsum("ij,jk,ik->i", x, self.covariance, x)
        return x @ self.coefficients, np.sqrt(known + (self.trial_sd * z) ** 2 + self.residual_sd**2 + rows.se**2)

    def predict_joint(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Mean (rows,) and covariance (rows, rows) of the changes that one new trial will report."""
        if len(np.unique(rows.trial)) != 1:
            raise InputError("cannot predict jointly", found=set(rows.trial.tolist()), accepted="rows of one trial")
        x, z = self.design(rows)
        covariance = x @ self.covariance @ x.T + self.trial_sd**2 * np.outer(z, z)
        return x @ self.coefficients, covariance + np.diag(self.residual_sd**2 + rows.se**2)

    def log_density(self, rows: Rows) -> float:
        """Joint log predictive density of the changes that one new trial reported."""
        return float(multivariate_normal.logpdf(rows.change, *self.predict_joint(rows)))

    def parameters(self) -> dict[str, tuple[float, float]]:
        """Estimate and standard error of each kind (the whole and its departure) and of the other coefficients."""
        pick = np.eye(len(self.coefficients))[1:]
        pick[: len(self.kinds), 0] = 1.0
        sds = np.sqrt(np.diag(pick @ self.covariance @ pick.T))
        found = zip((pick @ self.coefficients).tolist(), sds.tolist(), strict=True)
        return dict(zip((*self.kinds, *self.names), found, strict=True))


@dataclass(frozen=True)
class Hyperbola(Comparator):
    """change = -(Emax_kind + u_trial) week/(ET50 + week) + e, by maximum likelihood with the kinds integrated out.

    Emax is in points of 100, positive where pain falls. The last coefficient is by how much log ET50 differs from its
    estimate, so it is 0 with a standard error; its column in X is the derivative of the mean (to first order).
    """

    et50_weeks: float

    names = ("log_et50_difference",)

    @classmethod
    def fit(cls, rows: Rows) -> Self:
        kinds = kinds_of(complete(rows))
        member = membership(rows, kinds)
        prior = np.diag([0.0, *[SD_KIND**-2] * len(kinds)])

        def given(log_et50: float, omega2: float, tau2: float) -> tuple[np.ndarray, float]:
            z = -rows.week / (math.exp(log_et50) + rows.week)
            return products(np.column_stack([member * z[:, None], rows.change]), z, rows, omega2, tau2)

        def loss(log_et50: float, omega2: float, tau2: float) -> float:
            surprise = (log_et50 - math.log(ET50_WEEKS)) / SD_LOG_ET50
            return minus_log_likelihood(*given(log_et50, omega2, tau2), prior, slice(1, None)) + 0.5 * surprise**2

        v = 0.25 * float(np.var(rows.change))
        starts = [[math.log(weeks), v, v] for weeks in (1.0, 6.0)]
        log_et50, omega2, tau2 = lowest(loss, starts, [(-4.0, 7.0), VARIANCE, VARIANCE])
        b = np.append(solved(given(log_et50, omega2, tau2)[0], prior)[0], 0.0)
        model = cls(kinds, b, np.zeros((len(b), len(b))), math.sqrt(omega2), math.sqrt(tau2), math.exp(log_et50))
        prior = np.diag([*np.diag(prior), SD_LOG_ET50**-2])
        return replace(model, covariance=np.linalg.inv(products(*model.design(rows), rows, omega2, tau2)[0] + prior))

    def design(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        z = -rows.week / (self.et50_weeks + rows.week)
        x = membership(rows, self.kinds) * z[:, None]
        slope = x @ self.coefficients[:-1] * -self.et50_weeks / (self.et50_weeks + rows.week)
        return np.column_stack([x, slope]), z


@dataclass(frozen=True)
class MetaRegression(Comparator):
    """change = b0 + b_kind + b_baseline (baseline - 60)/10 + b_log log(1 + week) + u_trial + e, by restricted ML."""

    names = ("baseline_per_10", "log_week")

    @classmethod
    def fit(cls, rows: Rows) -> Self:
        kinds = kinds_of(complete(rows))
        x, z = cls(kinds, np.zeros(0), np.zeros((0, 0)), 0.0, 0.0).design(rows)
        prior = np.diag([0.0, *[SD_KIND**-2] * (len(kinds) + 2)])

        m = np.column_stack([x, rows.change])

        def loss(omega2: float, tau2: float) -> float:
            return minus_log_likelihood(*products(m, z, rows, omega2, tau2), prior, slice(None))

        v = 0.25 * float(np.var(rows.change))
        omega2, tau2 = lowest(loss, [[v, v]], [VARIANCE, VARIANCE])
        b, precision = solved(products(m, z, rows, omega2, tau2)[0], prior)
        return cls(kinds, b, np.linalg.inv(precision), math.sqrt(omega2), math.sqrt(tau2))

    def design(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        slopes = np.column_stack([(rows.baseline - 60.0) / 10.0, np.log1p(rows.week)])
        return np.column_stack([membership(rows, self.kinds), slopes]), np.ones(len(rows))
