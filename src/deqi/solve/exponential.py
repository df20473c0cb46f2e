"""The fast solver: a second-order exponential integrator that keeps positive states positive.

Each step freezes the loss at its average and lets production run linearly from its value at the start to its value
at a first-order prediction; that problem is integrated exactly:

    predictor   u* = e^(-h L_n) u_n + h phi_1(h L_n) P_n
    corrector   u  = e^(-z) u_n + h [ (phi_1(z) - w(z)) r_n P_n + w(z) r* P* ],   z = h (L_n + L*) / 2

with phi_1(z) = (1 - e^-z) / z, w(z) = (z - 1 + e^-z) / z^2 and r = (1 + z) / (1 + h L). The factors r are 1 for short
steps and keep the quasi-steady value P* / L* right where the loss itself changes over a long one. All weights are
non-negative, so a state with non-negative production stays non-negative at any step.
Exponential time differencing: Cox and Matthews 2002, doi 10.1006/jcph.2002.6995; production-destruction form:
Burchard 2003, doi 10.1016/S0168-9274(03)00101-6.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..body.system import System

RECORDED = ("nrs", "disability")


class Steps(NamedTuple):
    """A grid with its inputs, padded with steps of length 0.

    Arguments:
        days: length of each step in days, shape (steps,).
        inputs: input name to its value over each step, shape (steps,).
        session: session field to its value at the end of each step, shape (steps,).
        ends_session: whether a session ends with the step, shape (steps,).
    """

    days: Any
    inputs: Mapping[str, Any]
    session: Mapping[str, Any]
    ends_session: Any


class Trajectory(NamedTuple):
    """What a run leaves behind; `steps` is the length of the grid.

    Arguments:
        start: recorded quantity to its value at the start of each step, shape (steps, patients).
        mean: the same averaged over each step, shape (steps, patients).
        end: states after the last step, each of shape (patients,).
    """

    start: Mapping[str, Any]
    mean: Mapping[str, Any]
    end: Mapping[str, Any]


def _weights(z: Any) -> tuple[Any, Any, Any]:
    """e^-z, phi_1(z) and w(z), accurate near zero."""
    decay = jnp.exp(-z)
    small = z < 0.3
    safe = jnp.where(small, 1.0, z)
    late = jnp.where(small, 1 / 2 + z * (-1 / 6 + z * (1 / 24 + z * (-1 / 120 + z * (1 / 720 - z / 5040)))),
                     (safe - 1.0 + decay) / (safe * safe))
    return decay, 1.0 - z * late, late


def step(system: System, u: Mapping[str, Any], params: Any, x: Mapping[str, Any], h: Any
         ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """One step of length `h` days under constant inputs.

    Returns:
        the states after it, and all that can be recorded (signals and states) at its start and, predicted, at its end.
    """
    now = system.signals(u, params, x)
    production, loss = system.rates(u, params, x, now)
    predicted = {}
    for name, value in u.items():
        decay, phi, _ = _weights(h * loss[name])
        predicted[name] = decay * value + h * phi * production[name]
    then = system.signals(predicted, params, x)
    production_then, loss_then = system.rates(predicted, params, x, then)
    corrected = {}
    for name, value in u.items():
        z_now, z_then = h * loss[name], h * loss_then[name]
        z = 0.5 * (z_now + z_then)
        decay, phi, late = _weights(z)
        corrected[name] = decay * value + h * ((phi - late) * (1.0 + z) / (1.0 + z_now) * production[name]
                                               + late * (1.0 + z) / (1.0 + z_then) * production_then[name])
    return corrected, now | dict(u), then | predicted


@partial(jax.jit, static_argnames=("system", "record", "differentiable"))
def integrate(system: System, params: Any, u0: Mapping[str, Any], steps: Steps,
              record: tuple[str, ...] = RECORDED, differentiable: bool = True) -> Trajectory:
    """Run the system over a grid.

    Arguments:
        system: the equations (static: one compilation per system, array shape and number of steps).
        params: anchored parameters, each a scalar or of shape (patients,).
        u0: states at rest, each of shape (patients,).
        steps: the grid with its inputs.
        record: names of the signals and states to keep.
        differentiable: run all steps, padding too, so that gradients can be taken; otherwise padding costs nothing.

    Returns:
        the trajectory; see `Trajectory`.
    """
    def advance(u: dict[str, Any], now: Steps) -> tuple[dict[str, Any], tuple[dict[str, Any], dict[str, Any]]]:
        corrected, begins, ends = step(system, u, params, now.inputs, now.days)
        start = {name: begins[name] for name in record}
        mean = {name: 0.5 * (begins[name] + ends[name]) for name in record}
        after = jax.lax.cond(now.ends_session, lambda v: system.jump(v, params, now.session), dict, corrected)
        return {name: after[name].astype(u[name].dtype) for name in u}, (start, mean)

    if differentiable:
        end, (start, mean) = jax.lax.scan(advance, dict(u0), steps)
        return Trajectory(start, mean, end)

    def write(k: Any, held: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        u, *kept = held
        u, seen = advance(u, jax.tree.map(lambda values: values[k], steps))
        return u, *jax.tree.map(lambda rows, row: rows.at[k].set(row), tuple(kept), seen)

    any_state = next(iter(u0.values()))
    empty = {name: jnp.zeros((len(steps.days), *any_state.shape), any_state.dtype) for name in record}
    used = jnp.sum(steps.days > 0.0)
    end, start, mean = jax.lax.fori_loop(0, used, write, (dict(u0), empty, empty))
    return Trajectory(start, mean, end)
