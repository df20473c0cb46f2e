"""The comparators: a published meta-analysis, the dense likelihood, and the coverage of what they promise."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from deqi.calibrate.baselines import SD_KIND, Hyperbola, MetaRegression, Rows, products
from deqi.errors import InputError

EMAX = {"acupuncture": 25.0, "exercise": 15.0, "sham": 18.0, "usual_care": 8.0, "waiting": 2.0}
ET50, PER_10, LOG_WEEK = 2.5, -3.0, -2.0
BOTH = pytest.mark.parametrize("model", [Hyperbola, MetaRegression])


def trials(rng, model, count=40, omega=5.0, tau=2.5, **changed):
    """Trials of 2 or 3 arms with up to 3 weeks each, as the model has it."""
    kinds, rows, arm = EMAX | changed, [], 0
    for trial in range(count):
        u, baseline = rng.normal(0, omega), rng.uniform(45, 75)
        for kind in rng.choice(list(kinds), rng.integers(2, 4), replace=False):
            arm += 1
            for week in rng.choice([2.0, 4.0, 8.0, 12.0, 26.0, 52.0], rng.integers(1, 4), replace=False):
                se = rng.uniform(1.5, 4.0)
                mean = (-(kinds[kind] + u) * week / (ET50 + week) if model is Hyperbola else
                        -kinds[kind] + u + PER_10 * (baseline - 60) / 10 + LOG_WEEK * np.log1p(week))
                rows.append((trial, arm, kind, week, baseline, mean + rng.normal(0, np.hypot(tau, se)), se, 50))
    return Rows(*map(np.array, zip(*rows, strict=True)))


def truth(model):
    if model is Hyperbola:
        return EMAX | {"log_et50_difference": 0.0}
    return {kind: -value for kind, value in EMAX.items()} | {"baseline_per_10": PER_10, "log_week": LOG_WEEK}


@cache
def coverage(model, datasets=200):
    """Shares within the 90 % intervals of rows, of contrasts and of each parameter; mean of omega and tau."""
    rng = np.random.default_rng(1)
    rows, contrasts, parameters, sds = [], [], [], []
    for _ in range(datasets):
        fitted, new = model.fit(trials(rng, model)), trials(rng, model, 4)
        mean, sd = fitted.predict(new)
        rows += list(np.abs(new.change - mean) < 1.645 * sd)
        one = new.where(new.trial == 0)
        joint, cov = fitted.predict_joint(one)
        spread = np.sqrt(cov[0, 0] + cov[-1, -1] - 2 * cov[0, -1])
        contrasts.append(abs(one.change[0] - one.change[-1] - joint[0] + joint[-1]) < 1.645 * spread)
        off = {"log_et50_difference": np.log(fitted.et50_weeks / ET50)} if model is Hyperbola else {}
        found = fitted.parameters()
        parameters.append([abs(found[name][0] + off.get(name, 0.0) - value) < 1.645 * found[name][1]
                           for name, value in truth(model).items()])
        sds.append((fitted.trial_sd, fitted.residual_sd))
    return np.mean(rows), np.mean(contrasts), np.mean(parameters, axis=0), np.mean(sds, axis=0)


@pytest.mark.slow  # fits to many simulated evidences
@BOTH
def test_90_percent_intervals_hold_new_trials_and_their_contrasts(model):
    rows, contrasts, _, _ = coverage(model)
    assert 0.87 < rows < 0.93
    assert 0.85 < contrasts < 0.95


@BOTH
def test_parameters_are_recovered(model):
    _, _, parameters, sds = coverage(model)
    assert np.all(np.abs(parameters - 0.9) < 3 * np.sqrt(0.9 * 0.1 / 200))
    assert 0.87 < np.mean(parameters) < 0.93
    assert sds == pytest.approx((5.0, 2.5), abs=0.25)


@BOTH
def test_variances_end_at_zero_only_where_the_likelihood_does(model):
    rng = np.random.default_rng(5)
    assert all(model.fit(trials(rng, model, 12, 10.0, 1.0)).trial_sd > 4.0 for _ in range(10))
    assert np.mean([model.fit(trials(rng, model, 40, 0.0, 0.0)).trial_sd for _ in range(10)]) < 0.8


def bcg():
    """Log risk ratios of tuberculosis after BCG vaccination in 13 trials (Colditz 1994), latitude as the baseline.

    The results are those of metafor (Viechtbauer 2010) for its `dat.bcg`.
    """
    cases = np.array([(4, 119, 11, 128), (6, 300, 29, 274), (3, 228, 11, 209), (62, 13536, 248, 12619),
                      (33, 5036, 47, 5761), (180, 1361, 372, 1079), (8, 2537, 10, 619), (505, 87886, 499, 87892),
                      (29, 7470, 45, 7232), (17, 1699, 65, 1600), (186, 50448, 141, 27197), (5, 2493, 3, 2338),
                      (27, 16886, 29, 17825)], float)
    a, b, c, d = cases.T
    change = np.log(a / (a + b) / (c / (c + d)))
    se = np.sqrt(1 / a - 1 / (a + b) + 1 / c - 1 / (c + d))
    latitude = np.array([44, 55, 42, 52, 13, 44, 19, 13, 27, 42, 18, 33, 33], float)
    index, zero = np.arange(13), np.zeros(13)
    return Rows(index, index, np.full(13, "other"), zero, 60 + 10 * latitude, change, se, a + b + c + d)


def test_meta_regression_gives_the_published_result_for_bcg():
    rows = bcg()
    alone = MetaRegression.fit(replace(rows, baseline=np.full(13, 60.0)))
    assert np.hypot(alone.trial_sd, alone.residual_sd) ** 2 == pytest.approx(0.3132, abs=2e-3)
    mean, sd = alone.predict(replace(rows, baseline=np.full(13, 60.0)))
    assert mean == pytest.approx(np.full(13, -0.7145), abs=1e-3)
    assert np.sqrt(sd**2 - rows.se**2 - 0.3132) == pytest.approx(np.full(13, 0.1798), abs=2e-3)

    fitted = MetaRegression.fit(rows)
    assert np.hypot(fitted.trial_sd, fitted.residual_sd) ** 2 == pytest.approx(0.0764, abs=2e-3)
    assert fitted.parameters()["baseline_per_10"] == pytest.approx((-0.0291, 0.0072), abs=1e-4)


def test_without_heterogeneity_meta_regression_is_weighted_least_squares():
    week, baseline, se = np.array([1.0, 3, 7, 15, 31, 63]), np.array([50.0, 70, 55, 65, 60, 45]), np.arange(1.0, 7.0)
    change = -5 - 0.4 * (baseline - 60) - 4 * np.log1p(week) + 0.1 * np.array([1, -1, 1, 1, -1, -1])
    index = np.arange(6)
    fitted = MetaRegression.fit(Rows(index, index, np.full(6, "other"), week, baseline, change, se, index))
    assert (fitted.trial_sd, fitted.residual_sd) == pytest.approx((0.0, 0.0), abs=1e-3)

    x = np.column_stack([np.ones(6), (baseline - 60) / 10, np.log1p(week)])
    prior = np.diag([0.0, SD_KIND**-2, SD_KIND**-2])
    precision = x.T @ (x / se[:, None] ** 2) + prior
    expected = np.linalg.solve(precision, x.T @ (change / se**2))
    found = [value for value, _ in fitted.parameters().values()]
    assert found == pytest.approx(expected, abs=1e-5)
    assert [sd for _, sd in fitted.parameters().values()][1:] == pytest.approx(
        np.sqrt(np.diag(np.linalg.inv(precision)))[1:], abs=1e-5)


def test_products_are_those_of_the_dense_covariance():
    rows = trials(np.random.default_rng(2), Hyperbola, 6)
    rng = np.random.default_rng(3)
    m, z = rng.normal(size=(len(rows), 4)), rng.normal(size=len(rows))
    same = np.equal.outer(rows.trial, rows.trial)
    v = np.diag(rows.se**2 + 2.0) + 3.0 * np.outer(z, z) * same
    found, log_det = products(m, z, rows, 3.0, 2.0)
    assert np.allclose(found, m.T @ np.linalg.solve(v, m))
    assert log_det == pytest.approx(np.linalg.slogdet(v)[1])


def test_the_slope_of_the_hyperbola_is_its_derivative():
    rows = trials(np.random.default_rng(4), Hyperbola)
    fitted = Hyperbola.fit(rows)
    up, down = (replace(fitted, et50_weeks=fitted.et50_weeks * np.exp(h)).predict(rows)[0] for h in (1e-4, -1e-4))
    assert np.allclose(fitted.design(rows)[0][:, -1], (up - down) / 2e-4, atol=1e-5)


@BOTH
def test_joint_predictions_agree_with_those_of_single_rows_and_with_the_log_density(model):
    rng = np.random.default_rng(6)
    fitted, new = model.fit(trials(rng, model)), trials(rng, model, 3)
    one = new.where(new.trial == 1)
    (mean, sd), (joint, covariance) = fitted.predict(one), fitted.predict_joint(one)
    assert np.allclose(mean, joint) and np.allclose(sd**2, np.diag(covariance))
    assert np.all(covariance[0, 1:] > 0.25 * fitted.trial_sd**2)  # arms share their trial
    assert fitted.log_density(one) == pytest.approx(multivariate_normal.logpdf(one.change, mean, covariance))
    with pytest.raises(InputError, match="one trial"):
        fitted.predict_joint(new)


@BOTH
def test_a_kind_that_no_trial_had_is_predicted_by_the_whole_with_the_spread_of_kinds(model):
    rng = np.random.default_rng(8)
    rows = trials(rng, model)
    fitted = model.fit(rows)
    one = rows.where(np.arange(1))
    late = replace(one, week=np.array([1000.0]))
    found = {kind: fitted.predict(replace(late, kind=np.array([kind]))) for kind in (*EMAX, "unheard_of")}
    mean, sd = found.pop("unheard_of")
    assert mean == pytest.approx(np.mean([known for known, _ in found.values()]), abs=1.0)
    assert all(sd**2 - narrow**2 > 0.8 * SD_KIND**2 for _, narrow in found.values())


@BOTH
def test_kinds_with_few_arms_are_other(model):
    rows = trials(np.random.default_rng(9), model)
    arms = np.unique(rows.arm[rows.kind == "sham"])
    few = rows.where((rows.kind != "sham") | np.isin(rows.arm, arms[:2]))
    fitted = model.fit(few)
    assert fitted.kinds == ("acupuncture", "exercise", "usual_care", "waiting", "other")
    renamed = model.fit(replace(few, kind=np.where(few.kind == "sham", "other", few.kind)))
    assert fitted.parameters() == renamed.parameters()


@BOTH
def test_unfit_rows_are_refused(model):
    rows = trials(np.random.default_rng(10), model, 3)
    with pytest.raises(InputError, match="cannot fit"):
        model.fit(replace(rows, change=np.full(len(rows), np.nan)))
    with pytest.raises(InputError, match="cannot fit"):
        model.fit(rows.where(rows.trial < 0))
    with pytest.raises(InputError, match="se: "):
        replace(rows, se=np.zeros(len(rows)))
    with pytest.raises(InputError, match="week: "):
        replace(rows, week=np.zeros(2))
