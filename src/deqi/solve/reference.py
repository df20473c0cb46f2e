"""The slow solver that the fast one is checked against: an implicit fifth-order method at tight tolerances.

Same equations, same piecewise-constant inputs, same jumps, other mathematics: Kvaerno's L-stable method of order 5
with error control (Kvaerno 2004, doi 10.1023/B:BITN.0000046811.70614.38), through diffrax, in double precision.
Double precision is switched on here, for the length of a call, and nowhere else; the fast path stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..body.system import BODY, System
from .exponential import Steps
from .grid import Grid

RTOL, ATOL = 1e-8, 1e-10
MOST_INNER_STEPS = 100_000
LONGEST_STRETCH = 48
"""Most steps of the grid in one call of the solver; a fixed number compiles once."""


def solve(params: Mapping[str, Any], states: Mapping[str, Any], grid: Grid, *, system: System = BODY,
          rtol: float = RTOL, atol: float = ATOL) -> dict[str, Float[np.ndarray, "steps patients"]]:
    """Solve the equations over the inputs and jumps of a grid, each patient with inner steps of their own.

    Arguments:
        params: anchored parameters, each a scalar or of shape (patients,).
        states: states at rest, each of shape (patients,).
        grid: the plan; how fine it is matters only where its inputs change from step to step.
        system: the equations.
        rtol, atol: tolerances of the error control.

    Returns:
        `nrs` and every state at the start of each step of the grid, without the padding, shape (steps, patients).

    Raises:
        RuntimeError: (by diffrax) a stretch did not reach its end.
    """
    with jax.enable_x64(True):
        people, u = jax.tree.map(_double, (dict(params), dict(states)))
        steps = jax.tree.map(lambda leaf: _double(leaf)[: grid.used], grid.steps)
        found = []
        for stretch in _stretches(steps):
            x = {name: values[stretch.start] for name, values in steps.inputs.items()}
            count = stretch.stop - stretch.start
            ends = np.cumsum(steps.days[stretch])
            times = np.concatenate([[0.0], ends, np.full(LONGEST_STRETCH - count, ends[-1])])
            seen = _advance(system, people, u, x, times, rtol, atol)
            found.append({name: np.asarray(values)[:count] for name, values in seen.items()})
            u = {name: seen[name][-1] for name in u}
            if steps.ends_session[stretch.stop - 1]:
                session = {name: values[stretch.stop - 1] for name, values in steps.session.items()}
                u = system.jump(u, people, session)
        return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def _double(leaf: Any) -> Any:
    array = np.asarray(leaf)
    return array if array.dtype == np.bool_ else array.astype(np.float64)


def _stretches(steps: Steps) -> Iterator[slice]:
    """Runs of steps over which nothing changes from outside: the solver starts anew only between them."""
    inputs = np.stack(list(steps.inputs.values()))
    changes = np.flatnonzero((inputs[:, 1:] != inputs[:, :-1]).any(axis=0) | steps.ends_session[:-1]) + 1
    edges = [0, *changes, inputs.shape[1]]
    for a, b in zip(edges, edges[1:], strict=False):
        for start in range(a, b, LONGEST_STRETCH):
            yield slice(start, min(start + LONGEST_STRETCH, b))


@partial(jax.jit, static_argnums=0)
def _advance(system: System, people: Mapping[str, Any], u: Mapping[str, Any], x: Mapping[str, Any], times: Any,
             rtol: float, atol: float) -> dict[str, Any]:
    """States and pain at some times (days) of a stretch with constant inputs, each of shape (times, patients)."""
    def slope(t: Any, y: Any, params: Mapping[str, Any]) -> Any:
        production, loss = system.rates(dict(zip(system.state_names, y, strict=True)), params, x)
        return jnp.stack([production[name] - loss[name] * v for name, v in zip(system.state_names, y, strict=True)])

    def one(params: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
        start = jnp.stack([own[name] for name in system.state_names])
        ys = diffrax.diffeqsolve(
            diffrax.ODETerm(slope), diffrax.Kvaerno5(), times[0], times[-1], None, start, args=params,
            saveat=diffrax.SaveAt(ts=times), stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),
            max_steps=MOST_INNER_STEPS).ys
        seen = dict(zip(system.state_names, ys.T, strict=True))
        return seen | {"nrs": system.signals(seen, params, x)["nrs"]}

    axes = jax.tree.map(lambda leaf: 0 if jnp.ndim(leaf) else None, (people, u))
    return jax.vmap(one, in_axes=axes, out_axes=1)(people, u)
