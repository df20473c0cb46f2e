"""The printed equations are the ones that run, nothing in them is dead, and every number has a source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from jax import lax

from deqi import evidence
from deqi.body import equations
from deqi.body.equations import symbol, trace
from deqi.body.inputs import INPUTS, SESSION_FIELDS
from deqi.body.system import BODY
from deqi.body.theory import Parameter, Room, Signal, no_jump
from deqi.care.action import actions
from deqi.errors import EquationError
from deqi.population.patients import priors

MOMENTS = 200
ROOMS = pytest.mark.parametrize("room", BODY.rooms, ids=lambda room: room.name)


@cache
def moments() -> dict[str, Any]:
    """Random states, parameters within their ranges, inputs and sessions; each value of shape (moments,)."""
    rng = np.random.default_rng(8)

    def between(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, MOMENTS)

    rest = BODY.rest(BODY.parameters(), 6.0)[1]
    states = {name: value * between(0.3, 2.0) + between(0.0, 1.0) * (rng.random(MOMENTS) < 0.7)
              for name, value in ((state.name, float(rest[state.name])) for state in BODY.states)}
    for state in BODY.states:
        if not state.positive:
            states[state.name] *= rng.choice([-1.0, 1.0], MOMENTS)
    params: dict[str, Any] = {room.name: {q.name: between(0.9 * q.low + 0.1 * q.value, q.high) for q in room.parameters}
                              for room in BODY.rooms}
    params["present"] = BODY.parameters()["present"]
    inputs = {item.name: between(0.0, 1.0) * (rng.random(MOMENTS) < 0.6) for item in INPUTS}
    inputs["skin_step"] = between(-20.0, 8.0)
    session = {item.name: between(0.0, 2.0) for item in SESSION_FIELDS}
    return {"u": states, "p": params, "x": inputs, "session": session}


def numbers(expressions: Mapping[str, sp.Expr], values: Mapping[str, Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Expressions evaluated in double precision."""
    known = {symbol(kind, name): value for kind, some in values.items() for name, value in some.items()}
    used = sorted(set().union(*(e.free_symbols for e in expressions.values())), key=str) if expressions else []
    found = sp.lambdify(used, list(expressions.values()), "numpy", cse=True)(*(known[s] for s in used))
    return dict(zip(expressions, found, strict=True))


def agree(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    assert set(found) == set(expected)
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, atol=1e-300, err_msg=name)


@cache
def compiled() -> tuple[Any, ...]:
    """Signals, production and loss, and jumps as the solver computes them, in double precision."""
    m = moments()
    with jax.enable_x64(True):
        signals = jax.jit(BODY.signals)(m["u"], m["p"], m["x"])
        production, loss = jax.jit(BODY.rates)(m["u"], m["p"], m["x"])
        jump = jax.jit(BODY.jump)(m["u"], m["p"], m["session"])
        return jax.tree.map(lambda a: np.broadcast_to(np.asarray(a), (MOMENTS,)), (signals, production, loss, jump))


@ROOMS
def test_printed_equations_are_the_ones_that_run(room):
    m, (signals, production, loss, jump) = moments(), compiled()
    values = {"u": m["u"], "p": m["p"][room.name], "x": m["x"], "s": signals, "session": m["session"]}
    found = trace(room)
    agree(numbers(found.signals, values), {signal.name: signals[signal.name] for signal in room.writes})
    agree(numbers(found.production, values), {state.name: production[state.name] for state in room.states})
    agree(numbers(found.loss, values), {state.name: loss[state.name] for state in room.states})
    agree(numbers(found.jump, values), {name: jump[name] for name in found.jump})


def test_states_that_do_not_jump_are_left_alone_by_a_session():
    jumping = {name for room in BODY.rooms for name in trace(room).jump}
    for name in set(BODY.state_names) - jumping:
        np.testing.assert_array_equal(compiled()[3][name], moments()["u"][name])


def test_source_for_other_solvers_gives_the_same_slopes():
    space: dict[str, Any] = {}
    exec(equations.rhs_source(), space)
    m, (_, production, loss, _) = moments(), compiled()
    for i in range(0, MOMENTS, 10):
        u = np.array([m["u"][name][i] for name in BODY.state_names])
        p = np.array([m["p"][room][name][i] for room, name in equations.parameter_order()])
        x = np.array([m["x"][item.name][i] for item in INPUTS])
        gain, fall = (np.array([side[name][i] for name in BODY.state_names]) for side in (production, loss))
        off = np.abs(space["rhs"](0.0, u, p, x) - (gain - fall * u)) / (np.abs(gain) + np.abs(fall * u) + 1e-300)
        assert off.max() < 1e-9


@ROOMS
def test_every_parameter_is_used(room):
    used = {str(s) for expression in trace(room).all() for s in expression.free_symbols}
    assert not [q.name for q in room.parameters if f"p.{q.name}" not in used]


def test_document_names_every_quantity():
    text = equations.as_markdown()
    for room in BODY.rooms:
        for item in (*room.states, *room.writes, *room.parameters):
            assert f"`{item.name}`" in text
    assert text.count("$$") % 2 == 0


def test_operation_without_a_form_on_paper_is_named():
    odd = Room("odd", "Odd", (), (Parameter("a", 1.0, "1", "assumed", 0, 2, "any"),), (Signal("b", "1", 0.0, "any"),),
               lambda u, p, x, s: {"b": lax.erf(p.a)}, lambda u, p, x, s: {}, lambda p, s: {}, no_jump)
    with pytest.raises(EquationError, match="'odd' uses 'erf'"):
        trace(odd)


def test_a_sixth_room_needs_nothing_but_its_functions():
    sixth = Room("sixth", "Sixth", (), (Parameter("a", 2.0, "1", "assumed", 0, 3, "any"),),
                 (Signal("b", "1", 0.0, "any"),), lambda u, p, x, s: {"b": jnp.tanh(p.a) * x.load},
                 lambda u, p, x, s: {}, lambda p, s: {})
    assert trace(sixth).signals["b"] == sp.tanh(symbol("p", "a")) * symbol("x", "load")


# --- sources


def entries(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The source of every entry of a table that holds a value; None where it has none."""
    if isinstance(node, Mapping):
        if "source" in node or any(isinstance(v, int | float | list) for v in node.values()):
            yield path, node.get("source")
        for key, inner in node.items():
            yield from entries(inner, f"{path}.{key}")


def sourced(source: Any) -> bool:
    return source == "assumed" or (isinstance(source, str) and evidence.exists(source))


@ROOMS
def test_every_parameter_has_a_source(room):
    assert not [f"{q.name}: {q.source}" for q in room.parameters if not sourced(q.source)]


@pytest.mark.parametrize("table", [actions, priors], ids=["action.yaml", "priors.yaml"])
def test_every_entry_of_a_table_has_a_source(table):
    found = list(entries(table(), ""))
    assert len(found) > 30
    assert not [f"{path}: {source}" for path, source in found if not sourced(source)]
