"""The fast solver for many patients: weekly averages alone, and of the states only what must be carried.

The steps are those of `exponential.step`. What is the same in every patient is computed once, what nothing recorded
can feel is left out (`dependence`), and averages are summed up on the way instead of kept step by step.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..body.system import System
from .dependence import dependence
from .exponential import RECORDED, Steps, step


class Context(NamedTuple):
    """Strength of the context where patients differ in it.

    Arguments:
        strength: shape (steps, columns).
        column: of each patient, shape (patients,).
    """

    strength: Any
    column: Any


@partial(jax.jit, static_argnames=("system", "weeks", "record"))
def weekly(system: System, params: Any, u0: Mapping[str, Any], steps: Steps, week: Any, used: Any, context: Context,
           weeks: int, record: tuple[str, ...] = RECORDED) -> dict[str, Any]:
    """Averages over each week.

    Arguments:
        system: the equations (static: one compilation per system, block of patients and padded size).
        params: anchored parameters, each a scalar or of shape (patients,).
        u0: states at rest, each of shape (patients,).
        steps: the grid with its inputs.
        week: the week in which each step lies, shape (steps,).
        used: number of steps before the padding.
        context: its strength for each patient, in place of the input `context_strength`.
        weeks: number of weeks, or more.
        record: names of the signals and states to average.

    Returns:
        name to its average over each week, shape (weeks, patients); 0 in weeks beyond the grid.
    """
    known = dependence(system)
    own = [("p", room, name) for room, values in params.items() for name, value in values.items() if jnp.ndim(value)]
    varying, felt = known.varying([*own, ("x", "context_strength")]), known.felt(record)
    rest = {name: value if name in varying else value[0] for name, value in u0.items()}

    def advance(k: Any, held: tuple[dict[str, Any], dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
        carried, sums = held
        now = jax.tree.map(lambda values: values[k], steps)
        x = {**now.inputs, "context_strength": context.strength[k][context.column]}
        after, begins, ends = step(system, rest | carried, params, x, now.days)
        jumped = system.jump(after, params, now.session)
        share = now.days / 14.0
        sums = {name: total.at[week[k]].add(share * (begins[name] + ends[name])) for name, total in sums.items()}
        return {name: _after(now.ends_session, jumped[name], after[name]).astype(rest[name].dtype)
                for name in carried}, sums

    patients = context.column.shape
    sums = {name: jnp.zeros((weeks, *patients), context.strength.dtype) for name in record}
    return jax.lax.fori_loop(0, used, advance, ({name: rest[name] for name in sorted(felt)}, sums))[1]


def _after(ends_session: Any, jumped: Any, stepped: Any) -> Any:
    """A state after a step; one that no session moves needs no choice."""
    return stepped if jumped is stepped else jnp.where(ends_session, jumped, stepped)
