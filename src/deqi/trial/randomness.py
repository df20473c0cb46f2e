"""Random numbers of simulated trials: one key for each person, whatever the chunk, the worker or the size of the trial.

A key is (seed, stream, trial, position), folded one after the other into JAX's counter-based generator (Threefry,
Salmon et al. 2011, doi:10.1145/2063384.2063405). Calls have fixed shapes, so that nothing compiles twice.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from jax.scipy.special import erfinv
from jaxtyping import Float, Int

from ..population.averages import priors

PIECE = 1024
"""Length of one call, here and of the solver; longer arrays are cut, shorter ones filled up."""
PEOPLE, ALLOCATION, SETTING = 0, 1, 2
"""Streams of a world: of each person, of each block of the allocation, of each trial."""
NOISE, PERSONAL = 1 << 30, 1 << 31
"""What is folded into a person's key: week by week, and once; attempts at recruiting count from 0."""
WORDS = 2
FLARES = 8192
"""Flares whose lengths are drawn in one call."""
MOST_FLARES = 64
"""Most flares in one week; the mean is 0.4."""


def stream(seed: int, world: int, kind: int) -> Any:
    """The key of one stream of a world."""
    return random.fold_in(random.fold_in(random.key(seed), world), kind)


@jax.jit
def _keys(key: Any, a: Any, b: Any) -> Any:
    return jax.vmap(lambda i, j: random.fold_in(random.fold_in(key, i), j))(a, b)


@partial(jax.jit, static_argnames="rows")
def _rows(keys: Any, start: Any, rows: int) -> Any:
    """Uniform numbers, shape (rows, people): 32 bits, off both ends."""
    counters = start[None, :] + jnp.arange((rows + 1) // WORDS, dtype=jnp.uint32)[:, None]
    words = random.key_data(jax.vmap(jax.vmap(random.fold_in), (None, 0))(keys, counters))
    return jnp.moveaxis(words, 2, 1).reshape(-1, keys.shape[0])[:rows]


def keys(root: Any, a: Int[np.ndarray, "piece"], b: Int[np.ndarray, "piece"]) -> Any:
    """Keys of (trial, position), or of (trial, block); `PIECE` of them."""
    return _keys(root, a.astype(np.uint32), b.astype(np.uint32))


def uniforms(root: Any, a: Int[np.ndarray, "n"], b: Int[np.ndarray, "n"], start: Int[np.ndarray, "n"], rows: int
             ) -> Float[np.ndarray, "rows n"]:
    """Uniform numbers strictly between 0 and 1, with the 32 bits that a word has.

    Arguments:
        root: the key of a stream.
        a, b: trial and position (or block) of each.
        start: what to fold in for the first two rows; the next two take the number after it.
        rows: how many for each.
    """
    found = np.empty((rows, len(a)))
    for at in range(0, len(a), PIECE):
        cut = slice(at, at + PIECE)
        i, j, k = (filled(x[cut]).astype(np.uint32) for x in (a, b, start))
        found[:, cut] = np.asarray(_rows(_keys(root, i, j), k, rows))[:, :len(a[cut])]
    return (found + 0.5) * 2.0**-32


def filled(values: np.ndarray, to: int = PIECE) -> np.ndarray:
    """Values, the last one repeated to the length of a call (zeros where there is none)."""
    if len(values) == to:
        return values
    return np.concatenate([values, np.full(to - len(values), values[-1] if len(values) else 0, values.dtype)])


class WeeklyNoise(NamedTuple):
    """What moves scores from week to week, shape (weeks, people).

    Arguments:
        spell, drift, own, error: standard normal.
        day: of variance 1 with heavy tails.
        flare_hours: hours of flares.
        staying: uniform, who drops out.
    """

    spell: Any
    drift: Any
    own: Any
    error: Any
    day: Any
    flare_hours: Any
    staying: Any


def weekly_noise(of: Any, flares: Float[np.ndarray, "weeks piece"]) -> WeeklyNoise:
    """The noise behind each person's scores; the same under every plan.

    Arguments:
        of: keys, shape (PIECE,).
        flares: mean number of flares in each week.
    """
    tail = int(priors()["read_out"]["day_tail"]["value"])
    spell, drift, own, error, day, staying, flared = (np.asarray(x) for x in
                                                      _noise(of, flares.astype(np.float32), tail))
    return WeeklyNoise(spell, drift, own, error, day, _flare_hours(of, flared), staying)


def _flare_hours(of: Any, count: Int[np.ndarray, "weeks piece"]) -> Float[np.ndarray, "weeks piece"]:
    """Hours of flares: of each flare a Weibull time, cut at the longest; flares are few, so one by one."""
    table = priors()["read_out"]
    shape, scale = table["flare_hours_shape"]["value"], table["flare_hours_scale"]["value"]
    flat = count.ravel()
    place = np.repeat(np.arange(flat.size), flat)
    rank = np.arange(place.size) - np.repeat(np.cumsum(flat) - flat, flat)
    week, person = np.divmod(place, count.shape[1])
    counter = (NOISE + 128 * week + 64 + rank).astype(np.uint32)
    u = np.empty(place.size)
    for at in range(0, place.size, FLARES):
        cut = slice(at, at + FLARES)
        u[cut] = np.asarray(_flare_words(of, filled(person[cut], FLARES), filled(counter[cut], FLARES)))[:u[cut].size]
    hours = np.minimum(scale * (-np.log((u + 0.5) * 2.0**-32)) ** (1.0 / shape),
                       table["longest_flare_hours"]["value"])
    return np.bincount(place, hours, flat.size).reshape(count.shape)


@jax.jit
def _flare_words(of: Any, person: Any, counter: Any) -> Any:
    return random.key_data(jax.vmap(random.fold_in)(of[person], counter))[:, 0]


def _unit(words: Any) -> Any:
    """Words to uniform numbers that single precision holds, strictly between 0 and 1."""
    return ((words >> 9).astype(jnp.float32) + 0.5) * 2.0**-23


def _normal(words: Any) -> Any:
    return np.sqrt(2.0).astype(np.float32) * erfinv(2.0 * _unit(words) - 1.0)


@partial(jax.jit, static_argnames="tail")
def _noise(of: Any, flares: Any, tail: int) -> tuple[Any, ...]:
    weeks = jnp.arange(flares.shape[0], dtype=jnp.uint32)

    def words(k: Any) -> Any:
        """Two words for each week and person; k-th of the week."""
        each = jax.vmap(lambda week: jax.vmap(lambda key: random.key_data(random.fold_in(key, week)), out_axes=1)(of))
        return jnp.moveaxis(each(NOISE + 128 * weeks + k), 1, 0)

    spell, drift = words(0)
    own, error = words(1)
    day, last = words(2)
    odd, chance = words(3)
    # chi squared of `tail` degrees of freedom: exponentials for each two, a square for an odd one
    squares = jnp.square(_normal(odd)) if tail % 2 else 0.0
    staying, more = words(4)
    pairs = [last, more, *(words(8 + k)[0] for k in range(tail // 2 - 2))][:tail // 2]
    squares = squares - 2.0 * sum(jnp.log(_unit(pair)) for pair in pairs)
    heavy = _normal(day) * jnp.sqrt((tail - 2.0) / squares)

    def another(held: tuple[Any, ...]) -> tuple[Any, ...]:
        k, p, below, count = held
        more = _unit(chance) > below
        p = p * flares / (k + 1.0)
        return k + 1, p, below + p, count + more

    none = jnp.exp(-flares)
    start = (jnp.int32(0), none, none, jnp.zeros(flares.shape, jnp.int32))
    count = jax.lax.while_loop(lambda h: (h[0] < MOST_FLARES) & jnp.any(_unit(chance) > h[2]), another, start)[3]
    return (_normal(spell), _normal(drift), _normal(own), _normal(error), heavy, _unit(staying), count)
