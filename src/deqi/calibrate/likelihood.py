"""How likely the reported statistics of trials are under the averages.

All that one trial reports is jointly Student's t with few degrees of freedom (some trials are odd in all they say),

    y ~ t_5(m(theta), V),   V = SE + J_u diag(tau^2) J_u' + J_v diag(tau_arm^2) J_v' + conversion + unknown baselines

with m the statistic of the virtual patients (never of the mean patient), SE the known standard errors with a
correlation that fades in time within an arm, u what the arms of a trial share (how bad the week of enrolment was, size
and pace of the context response), v what is an arm's own, smaller, and smallest among arms that needle. The effects u
and v are integrated out to first order; patients are not linearised. Standard deviations are data too, on the log
scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln
from jaxtyping import Float

from ..population.averages import priors, values
from .arms import is_needled
from .problem import GAINS, KINDS, Problem, Statistics
from .reduced import TRIAL_EFFECTS, scores

CORRELATION, CORRELATION_WEEKS = 0.76, 6.0
"""Correlation of an arm's sampling errors at two visits, and the time over which it is raised to a power: AR(1) within
trial of 0.76 per visit in a placebo meta-analysis of another condition (pain_dynamics, doi 10.1002/psp4.70150)."""
BETWEEN_DOMAINS = 0.5
"""Correlation of the sampling errors of pain and disability (`correlation_matrix_scales`)."""
SOFTNESS_NRS = 0.4
"""Softness of a responder's threshold: scores are whole numbers, and the quadrature set is finite; assumed."""
SHARE_ERROR = 0.04
"""What a responder share is off beyond sampling, by its threshold's wording; assumed."""
USUAL_SD = {"pain": 22.0, "disability": 20.0}
"""Spread of scores at follow-up, 0-100, where a trial gives none (`gerac2007_cpgs_pain_sd`, `gerac2007_hfaq_sd`)."""
USUAL_N = 30
FREEDOM = 5.0
"""Degrees of freedom between trials; assumed."""


class Blocks(NamedTuple):
    """Statistics by trial, padded; each of shape (trials, most, ...).

    Arguments:
        index: of the statistic; mask: 1.0 where there is one.
        y: reported value (log of a standard deviation).
        error: covariance of sampling, conversion and unknown baselines.
        own, versus: arm within the trial, one-hot, shape (trials, most, arms).
        needled: 1.0 for arms that get needles, true or sham, and nothing but usual care beside, shape (trials, arms).
        spread: 1.0 where the statistic is a standard deviation.
        spread_alike: 1.0 where two standard deviations belong to one domain of the trial.
        freedom: degrees of freedom between trials, a number.
    """

    index: Any
    mask: Any
    y: Any
    error: Any
    own: Any
    versus: Any
    needled: Any
    spread: Any
    spread_alike: Any
    freedom: Any


def read(z: Any, u: Any, v: Any, data: Any) -> tuple[Any, Any]:
    """Means of the cells and statistics under the averages.

    Returns:
        statistics, shape (statistics,), in points of 100 (responders: share; standard deviations: log points), and the
        means of the cells, shape (cells,).
    """
    arms, cells, places, statistics, readings, disability = data
    seen = scores(z, u, v, arms, cells, places)
    theta, people, read_out = values(z), priors()["people"], priors()["read_out"]
    observed = arms.observed[cells.arm]
    easing = people["disability_pain_correlation"]["value"] * people["disability_sd"]["value"] / 2.0
    sem = read_out["disability_sem"]["value"]
    disabled = disability.observed
    gains = jnp.stack([theta[name] for name in GAINS.values()] + [jnp.ones(())])[readings.gain]
    change = easing * (seen.usual - observed) + theta["disability_per_nrs"] * (seen.week - seen.usual)
    own = jnp.sqrt(sem**2 + jnp.square(theta["disability_own_sd"])
                   * (1.0 - jnp.exp(-2.0 * cells.week / read_out["disability_weeks"]["value"])))
    later = jnp.clip(disabled + gains[:, None] * (change + own[:, None] * disability.error[None]), 0.0, 100.0)
    is_disability = readings.disability[:, None] > 0.5
    y = jnp.where(is_disability, later, 10.0 * seen.reported)
    y0 = jnp.where(is_disability, disabled, 10.0 * observed)
    return _statistics(y, y0, statistics), jnp.mean(y, axis=1)


def _statistics(y: Any, y0: Any, s: Statistics) -> Any:
    mean, mean0 = jnp.mean(y, axis=1), jnp.mean(y0, axis=1)
    sd, change_sd = (jnp.log(jnp.std(x, axis=1) + 1e-3) for x in (y, y - y0))
    own, other = mean[s.cell], mean[s.versus]
    before, soft = y0[s.cell], 10.0 * SOFTNESS_NRS
    threshold = jnp.where(jnp.isfinite(s.relative)[:, None], (1.0 - jnp.nan_to_num(s.relative))[:, None] * before,
                          jnp.where(jnp.isfinite(s.absolute)[:, None],
                                    before - jnp.nan_to_num(s.absolute)[:, None],
                                    jnp.nan_to_num(s.level)[:, None]))
    share = jnp.mean(jax.nn.sigmoid((threshold - y[s.cell]) / soft), axis=1)
    found = (own + s.shift, own - mean0[s.cell], 100.0 * (own / mean0[s.cell] - 1.0), sd[s.cell], change_sd[s.cell],
             own - other, share)
    return jnp.select([s.kind == k for k in range(len(KINDS))], found)


@dataclass(frozen=True)
class Likelihood:
    """The log likelihood of a set of trials, by trial.

    Arguments:
        problem: the trials.
        blocks: their statistics.
        data: arrays of the problem, as `read` wants them.
    """

    problem: Problem
    blocks: Blocks
    data: Any

    @classmethod
    def of(cls, problem: Problem, y: np.ndarray | None = None) -> Likelihood:
        """Prepare a problem; `y` replaces the reported values (simulated trials)."""
        data = jax.tree.map(jnp.asarray, (problem.arms, problem.cells, problem.places, problem.statistics,
                                          problem.readings, problem.disability))
        return cls(problem, _blocks(problem, reported(problem) if y is None else y), data)

    def by_trial(self, z: Any) -> Float[Any, "trials"]:
        """Log likelihood of each trial at places z of the averages."""
        return by_trial(z, self.data, self.blocks)

    def moments(self, z: Any) -> tuple[Any, Any]:
        """Predictive mean, shape (trials, most), and covariance, shape (trials, most, most), of what trials report."""
        return moments(z, self.data, self.blocks)


@jax.jit
def moments(z: Any, data: Any, b: Blocks) -> tuple[Any, Any]:
    """Predictive mean and covariance by trial; see `Likelihood.moments`."""
    theta, arms = values(z), data[0]
    trials, n_arms = b.index.shape[0], arms.trial.shape[0]
    u, v = jnp.zeros((len(TRIAL_EFFECTS), trials)), jnp.zeros(n_arms)
    (m, _), push = jax.linearize(lambda u, v: read(z, u, v, data), u, v)
    taus = [theta["trial_bad_week_sd"], theta["trial_context_sd"], theta["trial_rate_sd"]]
    level = 1.0 - b.spread
    V = b.error
    for k, tau in enumerate(taus):
        j = push(jnp.zeros_like(u).at[k].set(1.0), v)[0][b.index] * b.mask * level
        V = V + jnp.square(tau) * j[:, :, None] * j[:, None, :]
    own, cell_means = push(jnp.zeros_like(u), jnp.ones_like(v))
    s = data[3]
    mine = jnp.where(s.versus >= 0, cell_means[s.cell], own)[b.index] * b.mask * level
    theirs = jnp.where(s.versus >= 0, cell_means[s.versus], 0.0)[b.index] * b.mask * level
    sd = jnp.where(b.needled > 0.5, theta["trial_needle_sd"], theta["trial_care_sd"])
    j = (mine[:, :, None] * b.own - theirs[:, :, None] * b.versus) * sd[:, None, :]
    V = V + jnp.einsum("tia,tja->tij", j, j)
    spread = b.spread * b.mask
    own_spread = 0.5 * b.spread_alike + 0.5 * jnp.eye(b.index.shape[1])[None]
    V = V + jnp.square(theta["trial_spread_sd"]) * own_spread * spread[:, :, None] * spread[:, None, :]
    return m[b.index] * b.mask, V


@jax.jit
def by_trial(z: Any, data: Any, b: Blocks) -> Any:
    """Log likelihood of each trial."""
    m, V = moments(z, data, b)
    V = V + (1.0 - b.mask)[:, :, None] * jnp.eye(b.index.shape[1])[None]
    L = jnp.linalg.cholesky(V)
    r = jax.scipy.linalg.solve_triangular(L, ((b.y - m) * b.mask)[:, :, None], lower=True)[:, :, 0]
    return log_student(jnp.sum(jnp.square(r), axis=1), jnp.sum(jnp.log(jnp.diagonal(L, axis1=1, axis2=2)), axis=1),
                       jnp.sum(b.mask, axis=1), b.freedom)


def log_student(distance: Any, half_log_det: Any, p: Any, nu: Any = FREEDOM) -> Any:
    """Log density of Student's t with a given covariance.

    Arguments:
        distance: squared Mahalanobis distance by that covariance.
        half_log_det: half the log determinant of the covariance.
        p: dimension.
        nu: degrees of freedom.
    """
    return (gammaln(0.5 * (nu + p)) - gammaln(0.5 * nu) - 0.5 * p * jnp.log(jnp.pi * (nu - 2.0)) - half_log_det
            - 0.5 * (nu + p) * jnp.log1p(distance / (nu - 2.0)))


def reported(problem: Problem) -> np.ndarray:
    """What was reported, in the units of `read`; nan where nothing was."""
    found = np.full(problem.size, np.nan)
    for i, (_, o) in enumerate(problem.rows):
        if o.value is not None:
            found[i] = np.log(max(o.value, 0.1)) if o.statistic in ("sd", "change_sd") else o.value
    return found


def sample_size(problem: Problem, i: int) -> int:
    """People behind a statistic: as stated, else the arm's, else an equal share of the trial."""
    trial, o = problem.trials[problem.rows[i][0]], problem.rows[i][1]
    arm = next(a for a in trial.arms if a.id == o.arm)
    shared = None if trial.n_randomised is None else max(trial.n_randomised // max(len(trial.arms), 1), 2)
    return max(int(o.n or arm.n or shared or USUAL_N), 2)


def standard_error(problem: Problem, i: int) -> float:
    """Standard error of a statistic in the units of `read`: as reported, else from the usual spread."""
    o, n = problem.rows[i][1], sample_size(problem, i)
    if o.statistic in ("sd", "change_sd"):
        return float(1.0 / np.sqrt(2.0 * (n - 1)))
    if o.statistic == "responders":
        p = 0.4 if o.value is None else float(np.clip(o.value, 0.03, 0.97))
        return float(np.hypot(np.sqrt(p * (1.0 - p) / n), SHARE_ERROR))
    usual = USUAL_SD[o.domain] / np.sqrt(n) * (np.sqrt(2.0) if o.statistic == "difference" else 1.0)
    if o.statistic == "percent_change":
        usual *= 1.6
    return float(usual if o.se is None else max(o.se, 0.3 * usual))


def _blocks(problem: Problem, y: np.ndarray) -> Blocks:
    members = [[i for i, (t, _) in enumerate(problem.rows) if t == number] for number in range(len(problem.trials))]
    most = max(len(m) for m in members)
    n_arms = max(len(t.arms) for t in problem.trials)
    shape = (len(members), most)
    index, mask, values_, spread = np.zeros(shape, int), np.zeros(shape), np.zeros(shape), np.zeros(shape)
    error, alike = np.zeros((*shape, most)), np.zeros((*shape, most))
    own, versus = np.zeros((*shape, n_arms)), np.zeros((*shape, n_arms))
    needled = np.zeros((len(members), n_arms))
    for t, rows in enumerate(members):
        ids = [a.id for a in problem.trials[t].arms]
        for a, arm in enumerate(problem.trials[t].arms):
            needled[t, a] = float(is_needled(arm))
        for a, i in enumerate(rows):
            o = problem.rows[i][1]
            index[t, a], mask[t, a], values_[t, a] = i, 1.0, y[i] if np.isfinite(y[i]) else 0.0
            spread[t, a] = float(o.statistic in ("sd", "change_sd"))
            own[t, a, ids.index(o.arm)] = 1.0
            if o.versus:
                versus[t, a, ids.index(o.versus)] = 1.0
            for b, j in enumerate(rows):
                error[t, a, b] = _covariance(problem, i, j)
                alike[t, a, b] = float(problem.rows[j][1].domain == o.domain)
    return Blocks(*(jnp.asarray(x) for x in (index, mask, values_, error, own, versus, needled, spread, alike,
                                             FREEDOM)))


def _covariance(problem: Problem, i: int, j: int) -> float:
    """Covariance of two statistics of one trial that the averages do not touch."""
    a, b = problem.rows[i][1], problem.rows[j][1]
    spreads = [o.statistic in ("sd", "change_sd") for o in (a, b)]
    if i == j and spreads[0]:
        return standard_error(problem, i) ** 2
    if any(spreads):
        return 0.0
    same_arm = a.arm == b.arm and a.versus == b.versus
    read_alike = (a.outcome, a.statistic, a.rule) == (b.outcome, b.statistic, b.rule)
    apart = abs(a.week - b.week) / CORRELATION_WEEKS + (not read_alike)
    correlation = 1.0 if i == j else same_arm * CORRELATION ** max(apart, 0.2)
    if i != j and a.domain != b.domain:
        correlation *= BETWEEN_DOMAINS
    found = standard_error(problem, i) * standard_error(problem, j) * correlation
    if i == j:
        found += 1e-6
    if "responders" in (a.statistic, b.statistic):
        return found
    if a.outcome == b.outcome and "difference" not in (a.statistic, b.statistic):
        found += problem.residual[i] * problem.residual[j] * (1.0 if same_arm else 0.5)
    elif i == j:
        found += (0.3 * problem.residual[i]) ** 2
    if a.domain == b.domain:
        found += problem.baseline_sd[i] * problem.baseline_sd[j]
    return found

