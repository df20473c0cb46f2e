"""Inference: the prior comes back where nothing was seen, truths are recovered, a broken run ends as a whole one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare, spearmanr

from deqi.calibrate import inference, targets
from deqi.calibrate.fit import QUICK
from deqi.calibrate.inference import (
    THIN,
    Draws,
    Laplace,
    _value_and_gradient,
    diagnostics,
    importance,
    laplace,
    log_posterior,
    sample,
)
from deqi.calibrate.likelihood import FREEDOM, Likelihood
from deqi.calibrate.problem import KINDS, Problem, build
from deqi.calibrate.scores import pareto_smooth
from deqi.population.averages import names

STUDIES = ("haake2007", "brinkhaus2006", "exercise_pain", "henschke2008")
"""Few, and between them every statistic but a percent change."""
PATIENTS = 16


@pytest.fixture(autouse=True)
def doubles():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def problem() -> Problem:
    with jax.enable_x64(True):
        return build([t for t in targets.fitted() if t.id in STUDIES], PATIENTS)


@pytest.fixture(scope="module")
def likelihood(problem) -> Likelihood:
    with jax.enable_x64(True):
        return Likelihood.of(problem)


@pytest.fixture(scope="module")
def near(likelihood) -> Laplace:
    with jax.enable_x64(True):
        return laplace(likelihood)


def reported_at(likelihood: Likelihood, z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What trials report under averages at z, of shape (statistics,): Student's t around the predicted means."""
    m, V = (np.asarray(x) for x in likelihood.moments(jnp.asarray(z)))
    mask, index = np.asarray(likelihood.blocks.mask) > 0.0, np.asarray(likelihood.blocks.index)
    y = np.full(likelihood.problem.size, np.nan)
    for t, here in enumerate(mask):
        root = np.linalg.cholesky(V[t][np.ix_(here, here)])
        wide = np.sqrt((FREEDOM - 2.0) / rng.chisquare(FREEDOM))
        y[index[t][here]] = m[t][here] + wide * root @ rng.standard_normal(here.sum())
    return y


Engine = Callable[[Likelihood, Laplace, int], tuple[np.ndarray, np.ndarray]]


def by_importance(likelihood: Likelihood, near: Laplace, seed: int) -> tuple[np.ndarray, np.ndarray]:
    z, log_weight = importance(likelihood, near, draws=3000, seed=seed)
    return z, np.exp(pareto_smooth(log_weight)[0])


_every = jax.jit(jax.vmap(log_posterior, in_axes=(0, None, None, None, None)))
WALKERS, STEPS, REACH = 64, 200, 1.15


def by_walking(likelihood: Likelihood, near: Laplace, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Many short Metropolis walks that would accept every step if the Laplace approximation, made wider, were right."""
    rng, n = np.random.default_rng([seed, 8]), len(near.mode)
    weights = jnp.ones(likelihood.blocks.index.shape[0])

    def density(x: np.ndarray) -> np.ndarray:
        found = np.asarray(_every(jnp.asarray(near.mode + x @ near.root.T), weights, 1.0, likelihood.data,
                                  likelihood.blocks))
        return np.where(np.isfinite(found), found, -np.inf) + 0.5 * np.sum(x**2, axis=1) / REACH**2

    x = rng.standard_normal((WALKERS, n))
    now, kept = density(x), []
    for k in range(STEPS):
        b = rng.uniform(0.05, 0.7, (WALKERS, 1))
        tried = np.sqrt(1.0 - b**2) * x + b * REACH * rng.standard_normal((WALKERS, n))
        there = density(tried)
        taken = np.log(rng.uniform(size=WALKERS)) < there - now
        x, now = np.where(taken[:, None], tried, x), np.where(taken, there, now)
        if k >= STEPS // 2 and k % 10 == 9:
            kept.append(near.mode + x @ near.root.T)
    z = np.concatenate(kept)
    return z, np.full(len(z), 1.0 / len(z))


def by_sampling(likelihood: Likelihood, near: Laplace, seed: int) -> tuple[np.ndarray, np.ndarray]:
    z = sample(likelihood, near, chains=8, warmup=10 * THIN, draws=60 * THIN, seed=seed).flat
    return z, np.full(len(z), 1.0 / len(z))


def simulation_based(likelihood: Likelihood, engine: Engine, simulations: int, seed: int,
                     told: Callable[[int, np.ndarray], Any] = lambda *_: None
                     ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True places, posterior means and ranks of the truth (0-1), each of shape (simulations, averages)."""
    rng = np.random.default_rng([seed, 4])
    true, mean, rank = (np.empty((simulations, len(names()))) for _ in range(3))
    for k in range(simulations):
        true[k] = rng.standard_normal(len(names()))
        seen = Likelihood.of(likelihood.problem, reported_at(likelihood, true[k], rng))
        z, weight = engine(seen, laplace(seen), seed + k)
        mean[k], rank[k] = weight @ z, weight @ (z < true[k])
        told(k, rank[:k + 1])
    return true, mean, rank


def inside(rank: np.ndarray, level: float = 0.9) -> float:
    """Share of truths within the central intervals."""
    return float(np.mean(np.abs(rank - 0.5) <= level / 2.0))


def test_the_problem_holds_what_the_quick_fit_holds(problem):
    kinds = {KINDS[k] for k in problem.statistics.kind}
    assert kinds == set(KINDS) - {"percent_change"}
    assert set(STUDIES) & set(QUICK.studies) and problem.size > 30


def test_the_mode_is_one_and_is_found_again(likelihood, near):
    again = laplace(likelihood)
    assert np.array_equal(near.mode, again.mode) and np.array_equal(near.root, again.root)
    weights, prior_sd = jnp.ones(len(STUDIES)), jnp.ones(len(names()))
    slope = _value_and_gradient(jnp.asarray(near.mode), weights, prior_sd, likelihood.data, likelihood.blocks)[1]
    assert np.linalg.norm(near.root.T @ np.asarray(slope)) < 0.3
    for side in np.random.default_rng(1).standard_normal((8, len(names()))):
        moved = near.mode + near.root @ (side / np.linalg.norm(side))
        value = log_posterior(jnp.asarray(moved), weights, prior_sd, likelihood.data, likelihood.blocks)
        assert near.log_density > value > near.log_density - 4.0


def test_the_gradient_is_the_slope(likelihood):
    weights, step = jnp.ones(len(STUDIES)), 1e-5
    wide = jnp.ones(len(names()))
    z = 0.8 * np.random.default_rng(11).standard_normal(len(names()))

    def value(at: np.ndarray) -> Any:
        return _value_and_gradient(jnp.asarray(at), weights, wide, likelihood.data, likelihood.blocks)

    slope = np.asarray(value(z)[1]) + z                        # without the prior's own
    for i, name in enumerate(names()):
        up, down = (float(value(z + s * step * np.eye(len(z))[i])[0]) for s in (1.0, -1.0))
        assert slope[i] - z[i] == pytest.approx((up - down) / (2.0 * step), rel=1e-3, abs=1e-4), name
    assert np.sum(np.abs(slope) > 1e-3) > 20


def test_the_trials_narrow_what_they_speak_of_and_nothing_else(near):
    sd = dict(zip(names(), np.sqrt(np.diag(near.covariance)), strict=True))
    assert sd["context_plateau"] < 0.8 and sd["spell_sd"] < 0.8
    for silent in ("healing_floor_subacute", "context.heat", "context.hands_on", "gain_odi"):
        assert sd[silent] == pytest.approx(1.0, abs=0.02)


def test_without_trials_the_prior_comes_back(likelihood):
    nothing = laplace(likelihood, 0.0, start=np.full(len(names()), 0.7))
    assert np.allclose(nothing.mode, 0.0, atol=2e-3)
    assert np.allclose(nothing.covariance, np.eye(len(names())), atol=1e-6)
    z, log_weight = importance(likelihood, nothing, weights=0.0, draws=4000, seed=3)
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    spread = np.sqrt(weight @ z**2)
    assert abs(spread.mean() - 1.0) < 0.02 and np.abs(weight @ z).max() < 0.15
    assert np.sqrt(np.mean(z**2)) > 1.05                       # the proposal itself is wider


def test_a_wider_prior_leaves_wider_places(likelihood):
    wide = laplace(likelihood, 0.0, prior_sd=2.0)
    assert np.allclose(np.diag(wide.covariance)[0], 1.25)       # no flatter than the floor of the curvature allows


def test_a_trial_of_weight_0_is_as_good_as_gone(problem, likelihood):
    others = Likelihood.of(problem, _without(likelihood, "haake2007"))
    weights = np.array([float(t.id != "haake2007") for t in problem.trials])
    z = np.random.default_rng(5).standard_normal((3, len(names())))
    for place in z:
        a, b = (log_posterior(jnp.asarray(place), jnp.asarray(weights), 1.0, x.data, x.blocks)
                for x in (likelihood, others))
        assert float(a) == pytest.approx(float(b), rel=1e-12)


def _without(likelihood: Likelihood, id: str) -> np.ndarray:
    """What was reported, with one trial's numbers turned into others."""
    y = np.asarray(likelihood.blocks.y)[np.asarray(likelihood.blocks.mask) > 0.0]
    order = np.asarray(likelihood.blocks.index)[np.asarray(likelihood.blocks.mask) > 0.0]
    found = np.empty(likelihood.problem.size)
    found[order] = y
    trial = [likelihood.problem.trials[t].id for t, _ in likelihood.problem.rows]
    return np.where(np.array(trial) == id, found + 7.0, found)


class BrokenOff(Exception):
    """What stops a run in its middle."""


@pytest.mark.slow  # twenty seconds of sampling, three times over
def test_a_sampler_that_was_broken_off_ends_with_the_same_draws(problem, tmp_path, monkeypatch):
    """On the smallest study: a run is stopped after some checkpoints, and goes on from there."""
    monkeypatch.setattr(inference, "CHECKPOINT", 2 * THIN)
    (trial,) = [t for t in problem.trials if t.id == "henschke2008"]
    small = Likelihood.of(build([trial], PATIENTS))
    near = laplace(small)
    size: dict[str, Any] = {"chains": 4, "warmup": THIN, "draws": 7 * THIN, "seed": 3}
    whole = sample(small, near, work=tmp_path / "whole", **size)

    def stop(share: float) -> None:
        if share > 0.6:
            raise BrokenOff

    with pytest.raises(BrokenOff):
        sample(small, near, work=tmp_path / "broken", progress=stop, **size)
    shares: list[float] = []
    resumed = sample(small, near, work=tmp_path / "broken", progress=shares.append, **size)
    assert shares[0] > 0.6 and shares[-1] == pytest.approx(1.0)  # what was there is not made again
    assert np.array_equal(resumed.z, whole.z) and np.array_equal(resumed.log_density, whole.log_density)
    assert whole.z.shape == (4, 7, len(names())) and not np.array_equal(whole.z[0], whole.z[1])
    assert np.array_equal(sample(small, near, **size).z, whole.z)  # without a folder too
    for k in (0, 6):
        value = log_posterior(jnp.asarray(whole.z[1, k]), jnp.ones(1), 1.0, small.data, small.blocks)
        assert whole.log_density[1, k] == pytest.approx(float(value), abs=1e-6)


def test_chains_that_disagree_are_seen(near):
    z = np.random.default_rng(2).standard_normal((4, 250, len(names())))
    good = diagnostics(Draws(z, z[..., 0], 0.1, 0.3, 0.5, near), names())
    assert good["r_hat_max"] < 1.02 and good["ess_min"] > 500
    z[2, :, 5] += 1.5
    bad = diagnostics(Draws(z, z[..., 0], 0.1, 0.3, 0.5, near), names())
    assert bad["r_hat"][names()[5]] > 1.1 and bad["r_hat_max"] == bad["r_hat"][names()[5]]
    assert bad["ess_bulk"][names()[5]] < 100


@pytest.mark.slow  # a fit of its own
def test_truths_are_recovered(likelihood):
    """Eight truths from the prior, eight sets of trials: intervals hold them, means follow them."""
    true, mean, rank = simulation_based(likelihood, by_importance, 8, seed=1)
    assert 0.8 <= inside(rank) <= 0.98
    spoken_of = [names().index(name) for name in ("context_plateau", "spell_sd", "context_et50_weeks", "drift_sd")]
    assert spearmanr(true[:, spoken_of].ravel(), mean[:, spoken_of].ravel()).statistic > 0.5


@pytest.mark.slow
def test_two_samplers_say_the_same(likelihood, near):
    """Slow, and worth it: chains with independent jumps and plain walks share nothing but the density."""
    draws = sample(likelihood, near, chains=8, warmup=1000, draws=8000, seed=2)
    d = diagnostics(draws, names())
    assert d["r_hat_max"] < 1.05 and d["jumps"] > 0.02
    walks = [by_walking(likelihood, near, seed)[0] for seed in range(6)]
    mean = np.mean([z.mean(axis=0) for z in walks], axis=0)
    own = np.std([z.mean(axis=0) for z in walks], axis=0, ddof=1) / np.sqrt(len(walks))
    sd = draws.flat.std(axis=0)
    error = sd / np.sqrt(list(d["ess_bulk"].values()))
    apart = (draws.flat.mean(axis=0) - mean) / np.hypot(np.maximum(own, 0.02), error)
    assert np.abs(apart).max() < 4.5 and np.mean(np.abs(apart) < 2.0) > 0.85
    ratio = np.concatenate(walks).std(axis=0) / sd
    assert 0.75 < ratio.min() and ratio.max() < 1.35


@pytest.mark.slow
def test_the_posterior_is_calibrated_by_simulation(likelihood):
    """Slow, and worth it: the one check of prior, likelihood and sampler together (Talts 2018), 100 simulations."""
    _, _, rank = simulation_based(likelihood, by_sampling, 100, seed=1)
    p = [chisquare(np.histogram(column, 10, (0.0, 1.0))[0]).pvalue for column in rank.T]
    assert min(p) > 0.01 / len(names()), names()[int(np.argmin(p))]
    assert 0.85 <= inside(rank) <= 0.95
