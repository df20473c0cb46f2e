"""The slow solver that the fast one is checked against: an implicit fifth-order method at tight tolerances.

Same equations, same piecewise-constant inputs, same jumps, other mathematics: Kvaerno's L-stable method of order 5
with step-size control (Kvaerno 2004, doi 10.1023/B:BITN.0000046811.70614.38), through diffrax, in double precision.
Double precision is switched on here, for the length of the call, and nowhere else; the fast path stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
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
MOST_STEPS = 10_000
"""Most inner steps within one step of the grid."""


def solve(params: Mapping[str, Any], states: Mapping[str, Any], grid: Grid, *, system: System = BODY,
          rtol: float = RTOL, atol: float = ATOL) -> dict[str, Float[np.ndarray, "steps patients"]]:
    """Solve the equations over the stretches and jumps of a grid, each patient with inner steps of their own.

    Arguments:
        params: anchored parameters, each a scalar or of shape (patients,).
        states: states at rest, each of shape (patients,).
        grid: the plan; its inputs, times and jumps matter, not how fine it is where the inputs stay the same.
        system: the equations.
        rtol, atol: tolerances of the error control.

    Returns:
        `nrs` and every state at the start of each step of the grid, padding included, shape (steps, patients).

    Raises:
        RuntimeError: (by diffrax) the inner steps did not reach the end of a step.
    """
    with jax.enable_x64(True):
        people = jax.tree.map(_double, (dict(params), dict(states)))
        axes = jax.tree.map(lambda leaf: 0 if leaf.ndim else None, people)
        one = partial(_solve, system, jax.tree.map(_double, grid.steps), rtol, atol)
        found = jax.jit(jax.vmap(one, in_axes=(axes,), out_axes=1))(people)
        return {name: np.asarray(values) for name, values in found.items()}


def _double(leaf: Any) -> Any:
    array = np.asarray(leaf)
    return array if array.dtype == bool else array.astype(np.float64)


def _solve(system: System, steps: Steps, rtol: float, atol: float, person: tuple[Any, Any]) -> dict[str, Any]:
    params, rest = person

    def stack(u: Mapping[str, Any]) -> Any:
        return jnp.stack([u[name] for name in system.state_names])

    def unstack(y: Any) -> dict[str, Any]:
        return dict(zip(system.state_names, y, strict=True))

    def slope(t: Any, y: Any, x: Mapping[str, Any]) -> Any:
        production, loss = system.rates(unstack(y), params, x)
        return stack(production) - stack(loss) * y

    def advance(y: Any, now: Steps) -> tuple[Any, dict[str, Any]]:
        u = unstack(y)
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(slope), diffrax.Kvaerno5(), 0.0, now.days, None, y, args=now.inputs,
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol), max_steps=MOST_STEPS)
        end = solution.ys[-1]
        after = jnp.where(now.ends_session, stack(system.jump(unstack(end), params, now.session)), end)
        return after, u | {"nrs": system.signals(u, params, now.inputs)["nrs"]}

    return jax.lax.scan(advance, stack(rest), steps)[1]
