"""A bench for tests: one body, exposures in minutes, any signal read at any minute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from deqi.body.inputs import REST_SESSION
from deqi.body.system import BODY
from deqi.care.action import MINUTES_PER_DAY, Exposure
from deqi.care.timeline import Timeline
from deqi.solve.exponential import integrate
from deqi.solve.grid import build


@dataclass(frozen=True)
class Reading:
    """Signals over time; `minutes` are the starts of the steps."""

    minutes: np.ndarray
    values: Mapping[str, np.ndarray]

    def at(self, name: str, *minutes: float) -> Any:
        """A signal at some minutes, by interpolation between steps."""
        found = np.interp(minutes, self.minutes, self.values[name])
        return found[0] if len(minutes) == 1 else found


def exposure(start: float, minutes: float, session: Mapping[str, float] | None = None,
             manipulated_every: float | None = None, **inputs: float) -> Exposure:
    """Something done from a minute on."""
    ends = {} if session is None else REST_SESSION | dict(session)
    return Exposure(start / MINUTES_PER_DAY, minutes, inputs, ends, manipulated_every)


def run(exposures: Iterable[Exposure], minutes: float, record: tuple[str, ...], *, nrs: float = 6.0,
        refine: int = 2, without: Iterable[str] = (), healthy: bool = False,
        states: Mapping[str, float] | None = None,
        **overrides: Mapping[str, float]) -> Reading:
    """Run one body and read signals.

    A `healthy` body has no nociceptive source of its own. `overrides` are parameters by room; `states` replace
    states at rest.
    """
    params = BODY.parameters(without)
    for room, values in overrides.items():
        assert set(values) <= set(params[room]), f"unknown parameter in {room}"
        params[room] |= values
    with jax.enable_x64(True):
        params, rest = BODY.rest(params, jnp.array([nrs]))
        rest = rest | {name: jnp.full(1, value) for name, value in (states or {}).items()}
        if healthy:
            params["nociception"]["resting_drive"] = jnp.zeros(1)
        line = Timeline(tuple(sorted(exposures, key=lambda e: e.start_day)), (), minutes / MINUTES_PER_DAY)
        grid = build(line, refine=refine)
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), params)
        found = integrate(BODY, params, rest, grid.steps, record=record)
        values = {name: np.asarray(found.start[name])[:grid.used, 0] for name in record}
    return Reading(grid.start_days[:grid.used] * MINUTES_PER_DAY, values)
