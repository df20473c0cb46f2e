"""How simulated trials are analysed: against statsmodels and SciPy on people, and by known error rates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.proportion import confint_proportions_2indep

from deqi.theories.discriminate import information
from deqi.trial import analyse, mixed, power, separate

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
    found = analyse.ancova(sums(x, y), weights, level=0.1)
    for trial in range(len(x)):
        design = np.column_stack([*(ARMS == arm for arm in range(3)), x[trial] * UNIT]).astype(float)
        test = sm.OLS(y[trial] * UNIT, design).fit().t_test([*weights, 0.0])
        assert found.estimate[trial] == pytest.approx(test.effect[0], rel=1e-10)
        assert found.se[trial] == pytest.approx(test.sd[0, 0], rel=1e-10)
        assert [found.low[trial], found.high[trial]] == pytest.approx(test.conf_int(0.1)[0], rel=1e-10)


def test_change_is_compared_by_the_t_test() -> None:
    x, y = people()
    found = analyse.change(sums(x, y), AGAINST_SECOND)
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
    found = analyse.ancova(sums(x, y, arms), np.array([1.0, -1.0]))
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


def visits_of(trials: int = 2, people: int = 60, lost: float = 0.0, seed: int = 9) -> pd.DataFrame:
    """Trials of two arms with two visits, each person with an own level; some are lost for good."""
    rng = np.random.default_rng(seed)
    rows = []
    for trial in range(trials):
        for patient in range(people):
            baseline, level, arm = rng.normal(5.5, 1.4), rng.normal(0.0, 1.0), ("verum", "sham")[patient % 2]
            gone = rng.random(2).cumsum() < lost
            for visit, away in zip((4, 8), gone, strict=True):
                value = 0.5 * baseline + level - (arm == "verum") * visit / 8 + rng.normal(0.0, 0.8)
                rows.append((trial, arm, patient, visit, np.nan if away else value, baseline))
    return pd.DataFrame(rows, columns=["trial", "arm", "patient", "visit", "value", "baseline"])


def test_the_mixed_model_is_that_of_the_formula() -> None:
    frame = visits_of(1, lost=0.2)
    found = mixed.fit(frame, ["verum", "sham"], [4, 8], 8, [np.array([1.0, -1.0])], 0.05)
    seen = frame.dropna()
    model = smf.mixedlm("value ~ C(arm, Treatment('sham')) * C(visit, Treatment(8)) + baseline", seen,
                        groups=seen["patient"]).fit(reml=True)
    name = "C(arm, Treatment('sham'))[T.verum]"
    assert found.estimates[0].estimate[0] == pytest.approx(model.params[name], abs=1e-5)
    assert found.estimates[0].se[0] == pytest.approx(model.bse[name], rel=1e-4)
    assert found.failed == 0


def test_no_mixed_model_runs_off_to_an_endless_variance() -> None:
    """With little spread between people the variance is near its bound, where optimisers stumble."""
    frame = visits_of(12, people=40)
    frame["value"] = frame["value"].sample(frac=1.0, random_state=1).to_numpy()
    found = mixed.fit(frame, ["verum", "sham"], [4, 8], 8, [np.array([1.0, -1.0])], 0.05)
    assert found.failed == 0
    assert (found.estimates[0].se < 1.0).all()


def test_a_mixed_model_that_cannot_be_fitted_is_counted() -> None:
    """A model that cannot be fitted is told, neither dropped nor taken for one that does not reject."""
    frame = visits_of(2)
    frame.loc[(frame["trial"] == 1) & (frame["arm"] == "sham"), "value"] = np.nan
    found = mixed.fit(frame, ["verum", "sham"], [4, 8], 8, [np.array([1.0, -1.0])], 0.05)
    assert found.failed == 1
    assert found.estimates[0].analysed.tolist() == [True, False]


def test_power_of_the_t_test_is_that_of_the_textbook() -> None:
    """64 an arm find half a standard deviation with 80 % power (Cohen 1988)."""
    found = power.analytic(0.5, 1.0, np.array([64.0, 64.0]), np.array([1.0, -1.0]), 0.05)
    assert found == pytest.approx(TTestIndPower().power(0.5, 64, 0.05), abs=1e-9)
    assert found == pytest.approx(0.80, abs=0.005)


def test_simulated_power_meets_the_analytic_one() -> None:
    x, y = people(20_000)
    table = sums(x, y)
    sd = analyse.change_sd(table, AGAINST_SECOND)
    simulated = power.rejected(analyse.change(table, AGAINST_SECOND))
    assert simulated.value == pytest.approx(power.analytic(-0.8, sd, np.array([25, 22, 13]), AGAINST_SECOND, 0.05),
                                            abs=4 * (simulated.mc_se or 0.0))


def test_people_for_80_percent_lie_between_the_sizes_asked() -> None:
    assert power.people_for([60, 120, 240], [0.3, 0.6, 1.0]) == 180
    assert power.people_for([60, 120], [0.85, 0.9]) == 60
    assert power.people_for([60, 120], [0.1, 0.2]) is None
    assert power.people_for([60, 120], [None, 0.8]) == 120


def test_all_trials_alike_leave_doubt_from_their_number() -> None:
    found = power.share(np.ones(100, dtype=bool))
    assert found.value == 1.0
    assert found.mc_se == pytest.approx(np.sqrt(0.005 * 0.995 / 100))


def test_two_worlds_are_told_apart_as_far_as_they_differ() -> None:
    """Normal worlds d standard deviations apart: the ratio points right in Phi(d / 2) of trials."""
    rng = np.random.default_rng(2)
    for apart in (0.0, 1.0, 3.0):
        first, second = (rng.normal([at, 0.0, 0.0], 1.0, (20_000, 3)) for at in (0.0, apart))
        found = separate.separation(("gate", "muscle"), 100, first, second)
        assert found is not None
        assert found.points_right == pytest.approx(stats.norm.cdf(apart / 2), abs=0.015)
        strong = stats.norm.sf((np.log(10) - apart**2 / 2) / apart) if apart else 0.0
        assert found.separates == pytest.approx(strong, abs=0.015)
        assert found.bits == pytest.approx(information(np.zeros(1), np.full(1, apart), 1.0), abs=0.01)


def test_few_trials_of_one_world_promise_nothing() -> None:
    """Trials are judged by others than those that taught: 60 trials of 20 numbers from one world give no evidence."""
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(2, 60, 20))
    found = separate.separation(("gate", "muscle"), 100, first, second)
    assert found is not None
    assert found.points_right == pytest.approx(0.5, abs=0.15)
    assert found.bits < 0.05
    assert separate.separation(("gate", "muscle"), 100, first[:20], second) is None
