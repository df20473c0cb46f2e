"""Scores against their definitions; Pareto smoothing against weights whose tail is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import genpareto, norm

from deqi.calibrate import scores
from deqi.errors import InputError


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def crps_gaussian(y, mean, sd):
    """Closed form (Gneiting and Raftery 2007)."""
    z = (y - mean) / sd
    return sd * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))


@given(st.floats(-5, 5), st.floats(-3, 3), st.floats(0.1, 4))
def test_gaussian_crps_is_the_integral_of_the_squared_distance_of_the_distributions(y, mean, sd):
    x = np.linspace(-45, 45, 60_001)
    integral = np.trapezoid((norm.cdf(x, mean, sd) - (x >= y)) ** 2, x)
    assert crps_gaussian(y, mean, sd) == pytest.approx(integral, abs=2e-3)


def test_crps_from_few_draws_is_fair(rng):
    y = rng.normal(size=40_000)
    expected = np.mean(crps_gaussian(y, 0.3, 1.5))
    for draws in (2, 5):
        found = scores.crps_draws(y, rng.normal(0.3, 1.5, (draws, len(y))))
        assert np.mean(found) == pytest.approx(expected, abs=4 * np.std(found) / 200)


def test_weighted_crps_counts_every_pair_by_its_weights(rng):
    x, w = rng.normal(size=9), rng.random(9)
    w /= w.sum()
    pairs = np.sum(np.multiply.outer(w, w) * np.abs(np.subtract.outer(x, x))) / (1 - np.sum(w**2))
    assert scores.crps_draws(0.4, x, 3 * w) == pytest.approx(np.sum(w * np.abs(x - 0.4)) - 0.5 * pairs)
    assert scores.crps_draws(0.4, x) == pytest.approx(scores.crps_draws(0.4, x, np.full(9, 5.0)))
    assert scores.crps_draws(0.4, [1.0]) == pytest.approx(0.6)


def test_weights_turn_draws_of_one_distribution_into_scores_of_another(rng):
    x = rng.normal(0, 2, 40_000)
    w = norm.pdf(x, 1, 1) / norm.pdf(x, 0, 2)
    assert scores.crps_draws(2.0, x, w) == pytest.approx(crps_gaussian(2.0, 1.0, 1.0), abs=0.02)
    assert scores.pit_draws(2.0, x, w) == pytest.approx(norm.cdf(2.0, 1.0, 1.0), abs=0.01)
    low, high = scores.interval_draws(x, 0.8, w)
    assert (low, high) == pytest.approx(norm.interval(0.8, 1.0, 1.0), abs=0.04)


def test_even_weights_give_the_quantiles_of_hazen_and_dropped_draws_do_not_count(rng):
    x, q = rng.normal(size=(11, 3)), [0.02, 0.3, 0.5, 0.99]
    assert np.allclose(scores.weighted_quantile(x, q), np.quantile(x, q, axis=0, method="hazen"))
    w = np.r_[np.ones(8), np.zeros(3)]
    assert np.allclose(scores.weighted_quantile(x, q, w), np.quantile(x[:8], q, axis=0, method="hazen"))


@pytest.mark.parametrize("level", scores.LEVELS)
def test_intervals_hold_what_they_promise_and_are_as_wide_as_the_spread_says(rng, level):
    mean = rng.normal(size=5000)
    y = mean + rng.normal(0, 2.0, 5000)
    interval = norm.interval(level, mean, 2.0)
    assert scores.coverage(y, interval) == pytest.approx(level, abs=0.025)
    assert scores.width(interval) == pytest.approx(4 * norm.ppf(0.5 + level / 2))
    assert scores.mean_absolute_error(y, mean) == pytest.approx(2 * np.sqrt(2 / np.pi), abs=0.08)


def test_the_test_of_uniformity_errs_as_often_as_it_says_and_names_the_fault(rng):
    assert np.mean([scores.pit_uniformity(rng.random(60)).p < 0.1 for _ in range(1000)]) == pytest.approx(0.1, abs=0.03)
    y = rng.normal(size=400)
    low, narrow, wide = (scores.pit_uniformity(norm.cdf(y, *p)) for p in ((-0.5, 1), (0, 0.6), (0, 1.8)))
    assert max(low.p, narrow.p, wide.p) < 1e-3
    assert low.location > 0.3 and abs(narrow.location) < 0.2
    assert narrow.spread > 0.3 > -0.3 > wide.spread


def test_rows_of_one_trial_do_not_count_as_independent(rng):
    trials, rows = 25, 6
    group = np.repeat(np.arange(trials), rows)

    def pit():
        shared = np.repeat(rng.normal(size=trials), rows)
        return norm.cdf(np.sqrt(0.7) * shared + np.sqrt(0.3) * rng.normal(size=trials * rows))

    found = [(scores.pit_uniformity(u).p < 0.1, scores.pit_uniformity(u, group).p < 0.1) for u in
             (pit() for _ in range(600))]
    naive, grouped = np.mean(found, axis=0)
    assert naive > 0.3
    assert grouped == pytest.approx(0.1, abs=0.06)
    with pytest.raises(InputError, match="too few groups"):
        scores.pit_uniformity(rng.random(6), [0, 0, 1, 1, 2, 2])


def pareto(rng, k, size):
    return genpareto.rvs(k, scale=2.0, size=size, random_state=rng)


@pytest.mark.parametrize("k", [-0.3, 0.0, 0.3, 0.7, 1.2])
def test_pareto_draws_give_back_their_shape(rng, k):
    found = np.array([scores.fit_pareto(np.sort(pareto(rng, k, 1000))) for _ in range(20)])
    assert np.mean(found, axis=0) == pytest.approx((k, 2.0), abs=0.1)
    p = np.linspace(0.01, 0.99, 7)
    assert np.allclose(scores.pareto_quantile(p, k, 2.0), genpareto.ppf(p, k, scale=2.0))
    if k > 0:
        smoothed = [scores.pareto_smooth(np.log(pareto(rng, k, 4000) + 2.0 / k))[1] for _ in range(20)]
        assert np.mean(smoothed) == pytest.approx(k, abs=0.1)


def normal_weights(rng, sd, size=4000):
    """Draws of N(0, sd^2) and log weights for N(0, 1), whose tail has the index 1 - sd^2 where sd < 1."""
    x = rng.normal(0, sd, size)
    return x, norm.logpdf(x) - norm.logpdf(x, 0, sd)


@pytest.mark.parametrize(("sd", "low", "high"), [(2.0, -np.inf, 0.0), (1.2, -np.inf, 0.0), (0.8, 0.2, 0.5),
                                                 (0.5, 0.55, 0.9), (0.3, 0.7, 1.1)])
def test_k_is_small_for_a_wide_proposal_and_nears_one_for_a_narrow_one(rng, sd, low, high):
    assert low < np.mean([scores.pareto_smooth(normal_weights(rng, sd)[1])[1] for _ in range(20)]) < high


def test_smoothing_makes_estimates_of_a_narrow_proposal_steadier(rng):
    raw, smooth = [], []
    for _ in range(200):
        x, lw = normal_weights(rng, 0.55, 1000)
        raw.append(np.average(x**2, weights=np.exp(lw)))
        smooth.append(np.exp(scores.pareto_smooth(lw)[0]) @ x**2)
    assert np.mean((np.array(smooth) - 1) ** 2) < 0.8 * np.mean((np.array(raw) - 1) ** 2)


def test_smoothed_weights_are_normalised_keep_their_order_and_leave_the_body_alone(rng):
    _, lw = normal_weights(rng, 0.6)
    kept = lw.copy()
    found, _ = scores.pareto_smooth(lw + 900.0)
    assert np.array_equal(lw, kept)
    assert np.exp(found).sum() == pytest.approx(1.0)
    order = np.argsort(lw)
    assert np.all(np.diff(found[order]) >= 0)
    body = order[:-200]
    assert np.ptp(found[body] - lw[body]) < 1e-9
    assert found.max() - found[order[0]] <= lw.max() - lw[order[0]] + 1e-9


def test_tails_that_cannot_be_fitted():
    flat, k = scores.pareto_smooth(np.zeros(100))
    assert k == -np.inf and np.allclose(flat, -np.log(100))
    assert scores.pareto_smooth([0.0, 1.0, 2.0])[1] == np.inf
    one, k = scores.pareto_smooth(np.r_[np.full(200, -1e6), 0.0])
    assert k == np.inf and one[-1] == 0.0
    zeros, k = scores.pareto_smooth(np.r_[np.full(100, -np.inf), np.zeros(100)])
    assert k == -np.inf and np.exp(zeros).sum() == pytest.approx(1.0)
    for bad in ([], [np.nan, 0.0], [-np.inf, -np.inf], [np.inf, 0.0]):
        with pytest.raises(InputError, match="log weights"):
            scores.pareto_smooth(bad)


def test_effective_sample_size_counts_even_draws():
    assert scores.effective_sample_size(np.full(50, -700.0)) == pytest.approx(50)
    assert scores.effective_sample_size(np.r_[np.zeros(10), np.full(90, -np.inf)]) == pytest.approx(10)


def test_weights_that_are_none_are_refused():
    for bad in ([0.0, 0.0], [1.0, -1.0], [1.0, 1.0, 1.0], [np.nan, 1.0]):
        with pytest.raises(InputError, match="weight"):
            scores.crps_draws(0.0, [1.0, 2.0], bad)
