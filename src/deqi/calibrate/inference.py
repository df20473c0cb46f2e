"""From the likelihood to draws of the averages: mode, Laplace, adapted importance sampling, Metropolis-Hastings.

With the effects of trials and arms integrated out, what is left free has some fifty dimensions with normal priors. The
Laplace approximation is a good map; importance sampling in rounds makes a better one, a mixture of Student's t; chains
then mix independent jumps from it with random-walk steps in its coordinates, and their draws are exact whatever the
map. Only values of the log density are needed, and a value takes milliseconds (its gradient, a hundred times more).
Checkpoints go to the work folder; a run that was interrupted goes on from there and ends the same.
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
from scipy.linalg import solve_triangular

from ..population.averages import averages
from ..writing import replacing
from .likelihood import Likelihood, by_trial
from .scores import pareto_smooth

THIN, CHECKPOINT = 40, 1000
"""Steps between two draws that are kept, and between two checkpoints."""
RANDOM_WALK = 1.7
"""Length of a random-walk step over the root of the dimension, in the proposal's coordinates."""
TAIL = 12.0
"""Degrees of freedom of the components of the proposal."""
ENOUGH = 300.0
"""Effective draws from which a round's covariance is taken."""


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
        jumps, steps: acceptance of independent jumps and of random-walk steps.
        k: Pareto diagnostic of the map that they come from.
        laplace: where it started.
    """

    z: Float[np.ndarray, "chains draws averages"]
    log_density: Float[np.ndarray, "chains draws"]
    jumps: float
    steps: float
    k: float
    laplace: Laplace

    @property
    def flat(self) -> Float[np.ndarray, "draws averages"]:
        """All chains one after the other."""
        return self.z.reshape(-1, self.z.shape[-1])


def laplace(likelihood: Likelihood, weights: Any = 1.0, start: np.ndarray | None = None, most: int = 400,
            prior_sd: Any = 1.0, near: Laplace | None = None,
            told: Callable[[int, float], Any] | None = None) -> Laplace:
    """Find the mode by L-BFGS and the curvature there by differences of the gradient.

    Arguments:
        likelihood: of the trials.
        weights: of each trial; 0 leaves it out.
        start: places to start from; the middle of the prior if None.
        most: most iterations.
        near: an approximation of a similar posterior, to start from and in whose coordinates to search.
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

    if near is not None:
        def in_its_coordinates(x: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = negative(near.mode + near.root @ x)
            return value, near.root.T @ gradient

        moved = minimize(in_its_coordinates, np.zeros(n), jac=True, method="L-BFGS-B",
                         options={"maxiter": most, "gtol": 5e-3, "maxcor": 30})
        start = near.mode + near.root @ moved.x
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
_values = jax.jit(jax.vmap(lambda z, w, data, blocks: log_posterior(z, w, 1.0, data, blocks), (0, None, None, None)))
_value_and_gradient = jax.jit(jax.value_and_grad(log_posterior))


def sample(likelihood: Likelihood, found: Laplace, *, chains: int = 8, warmup: int = 2000, draws: int = 20000,
           seed: int = 1, work: Path | None = None, progress: Callable[[float], Any] | None = None) -> Draws:
    """Draw from the posterior.

    Arguments:
        likelihood: of the trials.
        found: the Laplace approximation.
        chains, warmup, draws: of the sampler, in steps; every THIN-th is kept.
        seed: of every random number.
        work: folder for checkpoints; what is found there is taken up.
        progress: called with the share that is done.
    """
    told = progress if progress is not None else lambda _: None
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
    value = batched(likelihood)
    proposal = remembered(work, "proposal", lambda: adapt(value, found, seed=seed, progress=lambda s: told(0.2 * s)))
    rng = np.random.default_rng([seed, 71])
    x = proposal.draws[rng.choice(len(proposal.draws), chains, p=proposal.weight)]
    state: Any = (x, value(x), proposal.log_density(x), rng, [], np.zeros(4))
    place = None if work is None else work / "chains.pickle"
    if place is not None and place.exists():
        state = pickle.loads(place.read_bytes())
    x, log_p, log_q, rng, kept, tally = state
    total = warmup + draws
    step = RANDOM_WALK / np.sqrt(x.shape[1])
    for number in range(len(kept) * THIN, total):
        if number % 2:
            proposed = proposal.sample(rng, chains)
            new_q = proposal.log_density(proposed)
        else:
            proposed = x + step * rng.standard_normal(x.shape) @ proposal.root.T
            new_q = proposal.log_density(proposed)
        new_p = value(proposed)
        ratio = new_p - log_p - ((new_q - log_q) if number % 2 else 0.0)
        taken = np.log(rng.uniform(size=chains)) < ratio
        tally += [taken.sum(), chains, 0, 0] if number % 2 else [0, 0, taken.sum(), chains]
        x = np.where(taken[:, None], proposed, x)
        log_p, log_q = np.where(taken, new_p, log_p), np.where(taken, new_q, log_q)
        if (number + 1) % THIN == 0:
            kept.append((x.copy(), log_p.copy()))
        if (number + 1) % CHECKPOINT == 0 or number + 1 == total:
            if place is not None:
                with replacing(place) as draft:
                    draft.write_bytes(pickle.dumps((x, log_p, log_q, rng, kept, tally)))
            told(0.2 + 0.8 * (number + 1) / total)
    after = kept[warmup // THIN:]
    return Draws(np.stack([row for row, _ in after], axis=1), np.stack([row for _, row in after], axis=1),
                 float(tally[0] / max(tally[1], 1)), float(tally[2] / max(tally[3], 1)), proposal.k, found)


@dataclass(frozen=True)
class Proposal:
    """A mixture of Student's t found by importance sampling in rounds, each adapted to the weights of those before.

    Arguments:
        centres, roots: of the components, shapes (rounds, averages) and (rounds, averages, averages).
        draws, weight: all draws with their normalised importance weights.
        k: Pareto diagnostic of the weights.
    """

    centres: np.ndarray
    roots: np.ndarray
    draws: np.ndarray
    weight: np.ndarray
    k: float

    @property
    def root(self) -> np.ndarray:
        """Root of the covariance of the last component."""
        return self.roots[-1]

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Log density at places, shape (places,), up to a constant."""
        n = z.shape[1]
        found = []
        for centre, root in zip(self.centres, self.roots, strict=True):
            x = solve_triangular(root, (z - centre).T, lower=True)
            found.append(-0.5 * (TAIL + n) * np.log1p(np.sum(x**2, axis=0) / TAIL) - np.sum(np.log(np.diag(root))))
        return np.logaddexp.reduce(np.stack(found), axis=0) - np.log(len(found))

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """`n` places at random."""
        which = rng.integers(len(self.centres), size=n)
        x = rng.standard_normal((n, self.centres.shape[1])) / np.sqrt(rng.chisquare(TAIL, (n, 1)) / TAIL)
        return self.centres[which] + np.einsum("nij,nj->ni", self.roots[which], x)


def adapt(value: Callable[[np.ndarray], np.ndarray], found: Laplace, *, rounds: int = 6, each: int = 2400,
          seed: int = 1, progress: Callable[[float], Any] = lambda _: None) -> Proposal:
    """Adaptive importance sampling from the Laplace approximation on (population Monte Carlo, Cappe 2008).

    Arguments:
        value: log posterior at places, shape (places, averages) to (places,).
        found: where it starts.
        rounds, each: rounds, and draws in each.
        seed: of the random generator.
        progress: called with the share that is done.
    """
    rng = np.random.default_rng([seed, 61])
    centre, root = found.mode, found.root
    made = Proposal(centre[None], root[None], np.empty((0, len(centre))), np.empty(0), np.inf)
    log_p = np.empty(0)
    for number in range(rounds):
        last = Proposal(centre[None], root[None], made.draws, made.weight, made.k)
        fresh = last.sample(rng, each)
        draws, log_p = np.vstack([made.draws, fresh]), np.concatenate([log_p, value(fresh)])
        if number:
            made = Proposal(np.vstack([made.centres, centre[None]]), np.concatenate([made.roots, root[None]]),
                            draws, made.weight, made.k)
        ratio = log_p - made.log_density(draws)
        smoothed, k = pareto_smooth(ratio)
        made = Proposal(made.centres, made.roots, draws, np.exp(smoothed), float(k))
        centre, root = _moments(draws, ratio, found)
        progress((number + 1) / rounds)
    return made


def _moments(draws: np.ndarray, ratio: np.ndarray, found: Laplace) -> tuple[np.ndarray, np.ndarray]:
    """Centre and root of weighted draws, the weights flattened until enough of them count."""
    power = 1.0
    while True:
        q = np.exp(power * (ratio - ratio.max()))
        q /= q.sum()
        if 1.0 / np.sum(q**2) > ENOUGH or power < 0.05:
            break
        power *= 0.85
    centre = q @ draws
    apart = draws - centre
    return centre, np.linalg.cholesky(0.95 * (apart * q[:, None]).T @ apart + 0.05 * found.covariance)


def batched(likelihood: Likelihood, size: int = 8) -> Callable[[np.ndarray], np.ndarray]:
    """The log posterior at many places, in batches of one compiled size; -inf where it is not finite."""
    weights = jnp.ones(likelihood.blocks.index.shape[0])

    def value(z: np.ndarray) -> np.ndarray:
        padded = np.concatenate([z, np.repeat(z[-1:], -len(z) % size, axis=0)])
        found = np.concatenate([np.asarray(_values(jnp.asarray(part), weights, likelihood.data, likelihood.blocks))
                                for part in np.split(padded, len(padded) // size)])[:len(z)]
        return np.where(np.isfinite(found), found, -1e30)

    return value


def remembered(work: Path | None, name: str, make: Callable[[], Any]) -> Any:
    """A result that was kept in the work folder, or made and kept now."""
    if work is None:
        return make()
    path = work / f"{name}.pickle"
    if path.exists():
        return pickle.loads(path.read_bytes())
    made = make()
    with replacing(path) as draft:
        draft.write_bytes(pickle.dumps(made))
    return made


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
    """R-hat (split), bulk effective sample size by average, acceptance, and the Pareto k of the map."""
    from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

    r_hat = {name: float(split_gelman_rubin(draws.z[:, :, i])) for i, name in enumerate(names)}
    bulk = {name: float(effective_sample_size(draws.z[:, :, i])) for i, name in enumerate(names)}
    return {"r_hat": r_hat, "ess_bulk": bulk, "r_hat_max": max(r_hat.values()), "ess_min": min(bulk.values()),
            "jumps": draws.jumps, "steps": draws.steps, "k": draws.k}
