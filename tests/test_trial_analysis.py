"""How simulated trials are analysed: against statsmodels and SciPy on people, and by known error rates."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep

from deqi.trial import analyse

ARMS = np.array([0] * 25 + [1] * 22 + [2] * 13)
AGAINST_SECOND = np.array([1.0, -1.0, 0.0])
AGAINST_BOTH = np.array([1.0, -0.5, -0.5])
UNIT = 0.01


def people(trials: int = 3, effect: float = -80.0, arms: np.ndarray = ARMS, seed: int = 4
           ) -> tuple[np.ndarray, np.ndarray]:
    """Scores at baseline and follow-up of trials without drop-out, hundredths, shape (trials, people)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(560.0, 140.0, (trials, len(arms)))
    y = 0.5 * x + effect * (arms == 0) + rng.normal(200.0, 180.0, x.shape)
    return x.round().astype(int), y.round().astype(int)


def sums(x: np.ndarray, y: np.ndarray, arms: np.ndarray = ARMS) -> np.ndarray:
    """The same as running sums, shape (trials, arms, 7)."""
    parts = np.stack([np.ones_like(x), y, y * y, x, x * x, x * y, (y <= 0.7 * x).astype(int)], axis=-1)
    return np.stack([parts[:, arms == arm].sum(axis=1) for arm in range(arms.max() + 1)], axis=1)


@pytest.mark.parametrize("weights", [AGAINST_SECOND, AGAINST_BOTH])
def test_analysis_of_covariance_is_that_of_least_squares(weights: np.ndarray) -> None:
    x, y = people()
    found = analyse.ancova(sums(x, y), weights, UNIT, level=0.1)
    for trial in range(len(x)):
        design = np.column_stack([*(ARMS == arm for arm in range(3)), x[trial] * UNIT]).astype(float)
        test = sm.OLS(y[trial] * UNIT, design).fit().t_test([*weights, 0.0])
        assert found.estimate[trial] == pytest.approx(test.effect[0], rel=1e-10)
        assert found.se[trial] == pytest.approx(test.sd[0, 0], rel=1e-10)
        assert [found.low[trial], found.high[trial]] == pytest.approx(test.conf_int(0.1)[0], rel=1e-10)


def test_change_is_compared_by_the_t_test() -> None:
    x, y = people()
    found = analyse.change(sums(x, y), AGAINST_SECOND, UNIT)
    for trial in range(len(x)):
        change = (y - x)[trial] * UNIT
        test = stats.ttest_ind(change[ARMS == 0], change[ARMS == 1])
        interval = test.confidence_interval(0.95)
        assert [found.low[trial], found.high[trial]] == pytest.approx([interval.low, interval.high], rel=1e-10)
        assert found.estimate[trial] / found.se[trial] == pytest.approx(test.statistic, rel=1e-10)
        assert bool(found.rejects[trial]) == (test.pvalue < 0.05)


def test_responders_are_compared_by_newcombes_interval() -> None:
    x, y = people()
    table = sums(x, y)
    found = analyse.responders(table, AGAINST_SECOND)
    for trial in range(len(x)):
        (n1, r1), (n2, r2) = table[trial, :2][:, [analyse.N, analyse.RESPONDERS]]
        wanted = confint_proportions_2indep(r1, n1, r2, n2, method="newcomb", compare="diff")
        assert [found.low[trial], found.high[trial]] == pytest.approx(wanted, rel=1e-9)


def test_large_sums_lose_nothing() -> None:
    """A million people in one arm: sums of squares near 1e12 against a variance near 1e4."""
    arms = np.repeat([0, 1], 500_000)
    x, y = people(1, arms=arms)
    found = analyse.ancova(sums(x, y, arms), np.array([1.0, -1.0]), UNIT)
    design = np.column_stack([arms == 0, arms == 1, x[0] * UNIT]).astype(float)
    wanted = sm.OLS(y[0] * UNIT, design).fit().t_test([1.0, -1.0, 0.0])
    assert found.se[0] == pytest.approx(wanted.sd[0, 0], rel=1e-10)


@pytest.mark.parametrize("method", analyse.METHODS)
def test_a_trial_that_lost_an_arm_is_not_analysed_and_rejects_nothing(method: str) -> None:
    x, y = people(2)
    table = sums(x, y)
    table[1, 1] = 0
    found = analyse.METHODS[method](table, AGAINST_SECOND)
    assert found.analysed.tolist() == [True, False]
    assert not found.rejects[1]
    others = analyse.METHODS[method](table, np.array([1.0, 0.0, -1.0]))
    assert others.analysed.all()


@pytest.mark.parametrize("method", analyse.METHODS)
def test_intervals_cover_and_null_trials_reject_in_one_of_twenty(method: str) -> None:
    """20,000 null trials of independent normal scores: error of Monte Carlo 0.15 points."""
    x, y = people(20_000, effect=0.0)
    rejected = analyse.METHODS[method](sums(x, y), AGAINST_SECOND).rejects.mean()
    assert rejected == pytest.approx(0.05, abs=0.015 if method == "responders" else 0.006)
