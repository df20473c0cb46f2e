"""The slow reduction: what the full model says about one arm, boiled down to functions of time for each patient.

Between minutes and months the model has only slow memory, and the free averages act on that memory in ways that are
known in closed form. So the full model is run once for each kind of arm, with the tissue held and the context silent,
and leaves for every patient

- `natural`: the log-odds of pain as a polynomial of how much tissue drive is left (its quasi-steady state);
- `feedback`: the change of log-odds for the whole of pain taken away by the context, through guarding (linear in pain);
- `fixed`: what the care does whatever the weights (companions, medicines, the minutes of needling), log-odds;
- `weighted`: what each theory's route does alone, as a quadratic in its weight (log-odds; for relief and carry-over,
  which multiply pain, the log of what is left);
- `flow`: the integral of flow above rest, by which healing may quicken.

`deqi.calibrate.reduced` puts these together with healing, context and read-out in closed form. The routes are small,
so that their interactions are left out; the error against the full model is tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from ..body.system import BODY
from ..care.timeline import timeline
from ..population.averages import averages, values
from ..population.coordinates import Coordinates
from ..population.patients import Who, people_at
from ..solve.cache import keep_compiled
from ..solve.exponential import integrate
from ..solve.grid import WEEKS, build
from .arms import Care

keep_compiled()

WEIGHTS = {
    "needle_relief": ("neurotransmitters", "relief_per_session", "relief"),
    "needle_carry_over": ("neurotransmitters", "carry_over_per_session", "carry_over"),
    "needle_consolidation": ("gate", "consolidation", "consolidation"),
    "needle_endplate": ("muscle", "k_E", "endplate"),
    "needle_vagal": ("inflammation", "v_sys", "vagal"),
}
"""Average to where it acts: room, parameter, and the coordinate in which people differ."""

MULTIPLIES = ("needle_relief", "needle_carry_over")
"""Routes that multiply pain; the others add to its log-odds."""

LEVELS = (1.0, 2.5)
"""Multiples of the prior's middle at which each route is run."""

TISSUE_NODES = np.array([1.0, 0.82, 0.6, 0.38, 0.18, 0.05])
"""Shares of tissue drive at which the natural state is found."""

FAST, SETTLED_WEEKS = 0.5, 26
"""Pace per day at which tissue or context is moved to find a quasi-steady state, and weeks until it is settled."""
CONTEXT_NODE = 0.6
"""Context response (log) at which the feedback is found."""


@dataclass(frozen=True)
class Response:
    """What the full model says about one arm; `weeks` are 1, 2, ... to its horizon.

    Arguments:
        natural: polynomial coefficients in (1 - tissue), lowest first, without the constant, shape (5, patients).
        feedback: shape (patients,).
        fixed: shape (weeks, patients).
        weighted: per route the factors of the weight and of its square (weights in multiples of the prior's middle),
            shape (routes, 2, weeks, patients).
        flow: shape (weeks, patients), days.
    """

    natural: Float[np.ndarray, "5 patients"]
    feedback: Float[np.ndarray, "patients"]
    fixed: Float[np.ndarray, "weeks patients"]
    weighted: Float[np.ndarray, "routes 2 weeks patients"]
    flow: Float[np.ndarray, "weeks patients"]


@cache
def middle() -> dict[str, float]:
    """Every average at the middle of its prior."""
    with jax.ensure_compile_time_eval():
        return {name: float(value) for name, value in values(np.zeros(len(averages()))).items()}


def _people(who: Who, places: Coordinates) -> Any:
    draws = {name: np.array([value]) for name, value in middle().items()}
    draws |= {"trial_bad_week": np.zeros(1), "trial_context": np.ones(1), "trial_rate": np.ones(1)}
    return people_at(who, places, draws, np.zeros(places.size, dtype=int))


def respond(who: Who, cares: Sequence[Care], weeks: int, places: Coordinates) -> Response:
    """Run the full model for one arm.

    Arguments:
        who: the arm's people.
        cares: what they get; several if the dose is not known (the responses are averaged).
        weeks: horizon.
        places: the quadrature set.
    """
    people = _people(who, places)
    natural, feedback = _natural(people), _feedback(people)
    runs = [_driven(people, care, weeks, places) for care in cares if care.courses]
    if not runs:
        shape = (weeks, places.size)
        return Response(natural, feedback, np.zeros(shape), np.zeros((len(WEIGHTS), 2, *shape)), np.zeros(shape))
    fixed, weighted, flow = (np.mean([run[i] for run in runs], axis=0) for i in range(3))
    return Response(natural, feedback, fixed, weighted, flow)


def _natural(people: Any) -> np.ndarray:
    """Quasi-steady log-odds of pain under less tissue drive, as a polynomial through the nodes."""
    nodes = TISSUE_NODES[1:]
    params = {room: dict(row) for room, row in people.params.items()}
    n = people.size
    floor = np.repeat(nodes, n)
    params = jax.tree.map(lambda leaf: np.tile(leaf, len(nodes)) if np.ndim(leaf) else leaf, params)
    params["course"] |= {"healing_floor": floor, "healing_rate_per_day": np.full(len(floor), FAST)}
    states = jax.tree.map(lambda leaf: np.tile(leaf, len(nodes)), people.states)
    grid = build(timeline((), SETTLED_WEEKS), resolution=WEEKS, dtype=np.float32)
    end = _integrated(params, states, grid)[0][-1].reshape(len(nodes), n)
    change = _log_odds(end) - _log_odds(np.asarray(BODY.signals(
        people.states, people.params, _rest_inputs())["nrs"]))[None]
    missing = 1.0 - nodes
    basis = missing[:, None] ** np.arange(1, len(nodes) + 1)[None]
    return np.linalg.solve(basis, change)


def _feedback(people: Any) -> np.ndarray:
    """Change of the log-odds of felt pain per share of pain that the context takes away."""
    params = {room: dict(row) for room, row in people.params.items()}
    n = people.size
    params["course"] |= {"healing_rate_per_day": np.zeros(n), "context_plateau": np.full(n, CONTEXT_NODE),
                         "context_rate_per_day": np.full(n, FAST)}
    grid = build(timeline((), SETTLED_WEEKS), resolution=WEEKS, dtype=np.float32)
    inputs = {**grid.steps.inputs, "context_strength": np.ones_like(grid.steps.days)}
    grid = type(grid)(grid.steps._replace(inputs=inputs), grid.start_days, grid.days, grid.used)
    end = _integrated(params, people.states, grid)[0][-1]
    before = np.asarray(BODY.signals(people.states, people.params, _rest_inputs())["nrs"])
    shift = _log_odds(end * np.exp(CONTEXT_NODE)) - _log_odds(before)
    return shift / (1.0 - end / before)


def _rest_inputs() -> dict[str, float]:
    from ..body.inputs import REST_INPUTS

    return dict(REST_INPUTS)


def _driven(people: Any, care: Care, weeks: int, places: Coordinates) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Responses to one care with the tissue held and the context silent."""
    grid = build(timeline(care.courses, weeks), resolution=WEEKS, dtype=np.float32)
    silent = {**grid.steps.inputs, "context_strength": np.zeros_like(grid.steps.days)}
    grid = type(grid)(grid.steps._replace(inputs=silent), grid.start_days, grid.days, grid.used)
    n, routes = people.size, tuple(WEIGHTS)
    variants = 1 + len(routes) * len(LEVELS)
    params = {room: dict(row) for room, row in people.params.items()}
    params = jax.tree.map(lambda leaf: np.tile(leaf, variants) if np.ndim(leaf) else leaf, params)
    params["course"] |= {"healing_rate_per_day": np.zeros(n * variants), "healing_floor": np.ones(n * variants)}
    for index, name in enumerate(routes):
        room, parameter, _ = WEIGHTS[name]
        own = np.asarray(people.params[room][parameter]) + np.zeros(n)
        rows = np.zeros((variants, n))
        for k, level in enumerate(LEVELS):
            rows[1 + index * len(LEVELS) + k] = level * own
        params[room][parameter] = rows.reshape(-1)
    states = jax.tree.map(lambda leaf: np.tile(leaf, variants), people.states)
    nrs, flow = _integrated(params, states, grid, weeks)
    nrs = nrs.reshape(weeks, variants, n)
    flow = flow.reshape(weeks, variants, n)[:, 0]
    before = np.asarray(BODY.signals(people.states, people.params, _rest_inputs())["nrs"])
    fixed = _log_odds(nrs[:, 0]) - _log_odds(before)[None]
    weighted = np.empty((len(routes), 2, weeks, n))
    for index, name in enumerate(routes):
        seen = np.log if name in MULTIPLIES else _log_odds
        one, more = (seen(np.maximum(nrs[:, 1 + index * len(LEVELS) + k], 0.02)) - seen(np.maximum(nrs[:, 0], 0.02))
                     for k in range(2))
        square = (more / LEVELS[1] - one) / (LEVELS[1] - LEVELS[0])
        weighted[index] = one - square, square
    return fixed, weighted, np.cumsum(7.0 * (flow - flow_at_rest(people)), axis=0)


def flow_at_rest(people: Any) -> np.ndarray:
    """Flow before care, 1 in the reference patient."""
    return np.asarray(BODY.signals(people.states, people.params, _rest_inputs())["flow"]) + np.zeros(people.size)


def _integrated(params: Any, states: Any, grid: Any, weeks: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Weekly mean pain and flow of many patients, in blocks of one compiled size."""
    block, total = 1024, len(next(iter(states.values())))
    weights = grid.weekly_weights(SETTLED_WEEKS if weeks is None else weeks)
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for start in range(0, total, block):
        rows = np.minimum(np.arange(start, start + block), total - 1)

        def cut(leaf: Any, rows: np.ndarray = rows) -> Any:
            array = np.asarray(leaf, dtype=np.float32)
            return array[rows] if array.ndim else array

        run = integrate(BODY, jax.tree.map(cut, params), jax.tree.map(cut, states), grid.steps,
                        record=("nrs", "flow"), differentiable=False)
        kept = min(block, total - start)
        found.append((weights @ np.asarray(run.mean["nrs"], dtype=float)[:, :kept],
                      weights @ np.asarray(run.mean["flow"], dtype=float)[:, :kept]))
    return np.concatenate([f[0] for f in found], axis=1), np.concatenate([f[1] for f in found], axis=1)


def _log_odds(nrs: np.ndarray) -> np.ndarray:
    p = np.clip(nrs / 10.0, 0.002, 0.998)
    return np.log(p / (1.0 - p))
