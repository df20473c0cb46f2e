"""From the likelihood to draws of the averages: mode, Laplace approximation, then NUTS in its coordinates.

With the effects of trials and arms integrated out, what is left free has a few dozen dimensions with normal priors, so
that the Laplace approximation is a good map: in its coordinates the posterior is nearly round and the sampler needs
few steps. NUTS is NumPyro's (Phan 2019); the log density is exact, the approximation only steers.
Every chunk of draws is written to the work folder; a run that was interrupted goes on from there.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..population.averages import averages
from ..writing import replacing
from .likelihood import Likelihood, by_trial

CHUNK = 25
TAIL = 15.0
"""Degrees of freedom of importance draws around a Laplace approximation."""


@dataclass(frozen=True)
class Laplace:
    """Normal approximation at the mode.

    Arguments:
        mode: places, shape (averages,).
        root: lower triangular, covariance = root root', shape (averages, averages).
        log_density: log posterior at the mode, up to the constant of the prior.
    """

    mode: Float[np.ndarray, "averages"]
    root: Float[np.ndarray, "averages averages"]
    log_density: float

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of the approximation."""
        return self.root @ self.root.T


@dataclass(frozen=True)
class Draws:
    """Draws of the places of the averages.

    Arguments:
        z: shape (chains, draws, averages).
        log_density: log posterior, shape (chains, draws).
        diverging: share of diverging transitions.
        steps: mean number of leapfrog steps.
        laplace: what steered the sampler.
    """

    z: Float[np.ndarray, "chains draws averages"]
    log_density: Float[np.ndarray, "chains draws"]
    diverging: float
    steps: float
    laplace: Laplace

    @property
    def flat(self) -> Float[np.ndarray, "draws averages"]:
        """All chains one after the other."""
        return self.z.reshape(-1, self.z.shape[-1])


def laplace(likelihood: Likelihood, weights: Any = 1.0, start: np.ndarray | None = None, most: int = 400,
            prior_sd: Any = 1.0, told: Callable[[int, float], Any] | None = None) -> Laplace:
    """Find the mode by L-BFGS and the curvature there by differences of the gradient.

    Arguments:
        likelihood: of the trials.
        weights: of each trial; 0 leaves it out.
        start: places to start from; the middle of the prior if None.
        most: most iterations.
        prior_sd: spread of the prior of each place; other than 1 in sensitivity analyses.
        told: called with the iteration and the log density.
    """
    from scipy.optimize import minimize

    n = len(averages())
    w = jnp.asarray(np.broadcast_to(np.asarray(weights, float), (likelihood.blocks.index.shape[0],)))
    wide = jnp.asarray(np.broadcast_to(np.asarray(prior_sd, float), (n,)))
    count = 0

    def negative(x: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal count
        value, gradient = _value_and_gradient(jnp.asarray(x), w, wide, likelihood.data, likelihood.blocks)
        count += 1
        if told is not None:
            told(count, float(value))
        if not np.isfinite(value):
            return 1e10, np.zeros(len(x))
        return -float(value), -np.asarray(gradient, float)

    x0 = np.zeros(n) if start is None else start
    found = minimize(negative, x0, jac=True, method="L-BFGS-B", options={"maxiter": most, "gtol": 2e-3, "maxcor": 30})
    step = 2e-3
    hessian = np.empty((n, n))
    for i in range(n):
        up, down = (negative(found.x + s * step * np.eye(n)[i])[1] for s in (1.0, -1.0))
        hessian[i] = (up - down) / (2.0 * step)
    return Laplace(found.x, _root(0.5 * (hessian + hessian.T)), -float(found.fun))


def _root(precision: np.ndarray) -> np.ndarray:
    """Lower triangular root of the inverse; data add curvature on the whole, so none is left below the prior's."""
    values, vectors = np.linalg.eigh(precision)
    covariance = (vectors / np.maximum(values, 0.8)) @ vectors.T
    return np.linalg.cholesky(covariance)


def log_posterior(z: Any, weights: Any, prior_sd: Any, data: Any, blocks: Any) -> Any:
    """Log posterior density of places z, up to the constant of the prior."""
    return jnp.sum(weights * by_trial(z, data, blocks)) - 0.5 * jnp.sum(jnp.square(z / prior_sd))


_value = jax.jit(log_posterior)
_value_and_gradient = jax.jit(jax.value_and_grad(log_posterior))


def sample(likelihood: Likelihood, found: Laplace, *, chains: int = 4, warmup: int = 100, draws: int = 250,
           seed: int = 1, weights: Any = 1.0, work: Path | None = None,
           progress: Callable[[int], Any] | None = None) -> Draws:
    """Draw from the posterior.

    Arguments:
        likelihood: of the trials.
        found: the Laplace approximation, whose coordinates the sampler uses.
        chains, warmup, draws: of the sampler.
        seed: of every random number.
        weights: of each trial.
        work: folder for checkpoints; what is found there is taken up.
        progress: called with the number of transitions done.
    """
    import numpyro
    from numpyro.distributions import ImproperUniform, constraints
    from numpyro.infer import NUTS

    w = jnp.asarray(np.broadcast_to(np.asarray(weights, float), (likelihood.blocks.index.shape[0],)))
    given = (jnp.asarray(found.mode), jnp.asarray(found.root), w, likelihood.data, likelihood.blocks)

    def model(mode: Any, root: Any, w: Any, data: Any, blocks: Any) -> None:
        x = numpyro.sample("x", ImproperUniform(constraints.real_vector, (), (len(found.mode),)))
        numpyro.factor("log_posterior", log_posterior(mode + root @ x, w, 1.0, data, blocks))

    kernel = NUTS(model, step_size=0.5, adapt_mass_matrix=False, target_accept_prob=0.8, max_tree_depth=6)

    def chain(index: int) -> list[Any]:
        place = None if work is None else work / f"chain-{index}.pickle"
        kept, state = _taken_up(place)
        if state is None:
            key = jax.random.PRNGKey(1000 * seed + index)
            start = 0.5 * jax.random.normal(key, (len(found.mode),))
            state = kernel.init(key, warmup, init_params={"x": start}, model_args=given, model_kwargs={})
        while len(kept) * CHUNK < warmup + draws:
            state, rows = _chunk(state)
            kept.append(rows)
            if place is not None:
                with replacing(place) as draft:
                    draft.write_bytes(pickle.dumps((kept, state)))
            if progress is not None:
                progress(CHUNK)
        return kept

    def _chunk(state: Any) -> tuple[Any, Any]:
        rows = []
        for _ in range(CHUNK):
            state = step(state, given)
            rows.append((np.asarray(state.z["x"]), float(-state.potential_energy), bool(state.diverging),
                         int(state.num_steps)))
        return state, tuple(np.asarray(column) for column in zip(*rows, strict=True))

    step = jax.jit(lambda state, given: kernel.sample(state, given, {}))
    runs = [chain(index) for index in range(chains)]
    x, density_, diverging, steps = (np.stack([np.concatenate([rows[i] for rows in run]) for run in runs])
                                     for i in range(4))
    x, density_, diverging, steps = (a[:, warmup:warmup + draws] for a in (x, density_, diverging, steps))
    z = found.mode + x @ found.root.T
    return Draws(z, density_, float(diverging.mean()), float(steps.mean()), found)


def _taken_up(place: Path | None) -> tuple[list[Any], Any]:
    """Chunks of an interrupted chain and its state."""
    if place is None or not place.exists():
        return [], None
    return pickle.loads(place.read_bytes())


def importance(likelihood: Likelihood, near: Laplace, *, weights: Any = 1.0, draws: int = 600, seed: int = 1
               ) -> tuple[Float[np.ndarray, "draws averages"], Float[np.ndarray, "draws"]]:
    """Draws around a Laplace approximation (heavier-tailed, Student's t) with their log importance weights.

    Arguments:
        likelihood: of the trials.
        near: the approximation.
        weights: of each trial.
        draws: how many.
        seed: of the random generator.
    """
    rng, n = np.random.default_rng([seed, 61]), len(near.mode)
    x = rng.standard_normal((draws, n)) / np.sqrt(rng.chisquare(TAIL, (draws, 1)) / TAIL)
    z = near.mode + x @ near.root.T
    w = jnp.asarray(np.broadcast_to(np.asarray(weights, float), (likelihood.blocks.index.shape[0],)))
    log_p = np.array([float(_value(jnp.asarray(place), w, 1.0, likelihood.data, likelihood.blocks)) for place in z])
    log_q = -0.5 * (TAIL + n) * np.log1p(np.sum(x**2, axis=1) / TAIL)
    return z, np.where(np.isfinite(log_p), log_p, -1e30) - log_q


def diagnostics(draws: Draws, names: tuple[str, ...]) -> dict[str, Any]:
    """R-hat (split), bulk effective sample size by average, divergences and steps."""
    from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

    r_hat = {name: float(split_gelman_rubin(draws.z[:, :, i])) for i, name in enumerate(names)}
    bulk = {name: float(effective_sample_size(draws.z[:, :, i])) for i, name in enumerate(names)}
    return {"r_hat": r_hat, "ess_bulk": bulk, "r_hat_max": max(r_hat.values()), "ess_min": min(bulk.values()),
            "divergences": draws.diverging, "steps": draws.steps}
