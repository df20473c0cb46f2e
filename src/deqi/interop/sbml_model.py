"""A patient under a plan as named quantities, rules, rates and events: what SBML says, before it is SBML.

Nothing is defined here: expressions come from `deqi.body.equations.trace`, numbers from the patient, inputs and
sessions from the grid that the solver runs over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import sympy as sp

from ..body.equations import shared_terms, symbol, trace
from ..body.inputs import INPUTS
from ..body.system import BODY, ROOMS, System
from ..body.theory import Room
from ..solve.grid import Grid

Kind = Literal["parameter", "state", "signal", "term", "input"]


@dataclass(frozen=True)
class Quantity:
    """A named number of the model.

    Arguments:
        id: its name; parameters carry that of their room before it, because rooms share names.
        kind: parameter (constant), state (has a rate), signal or term (has a rule), input (events may set it).
        unit: as the room gives it; None for a term.
        value: at day 0; None where a rule gives it.
        meaning: in words.
        source: a fact id or `assumed`; None where the equations say where it comes from.
        usual: value in the reference patient, for a parameter.
    """

    id: str
    kind: Kind
    unit: str | None
    value: float | None
    meaning: str
    source: str | None = None
    usual: float | None = None


@dataclass(frozen=True)
class Change:
    """What happens at one moment: inputs change, a session leaves its mark.

    Arguments:
        day: when.
        values: name of an input or a state to its new value, in terms of those just before.
        session: whether a session ends.
    """

    day: float
    values: Mapping[str, sp.Expr]
    session: bool


@dataclass(frozen=True)
class Model:
    """One patient under one plan.

    Arguments:
        quantities: all of them.
        rules: signal or term to its value, each using only those before it.
        rates: state to its change per day.
        changes: in order of time.
        days: length of the plan's grid.
    """

    quantities: tuple[Quantity, ...]
    rules: Mapping[str, sp.Expr]
    rates: Mapping[str, sp.Expr]
    changes: tuple[Change, ...]
    days: float


def model_of(params: Mapping[str, Mapping[str, Any]], states: Mapping[str, Any], grid: Grid, system: System = BODY
             ) -> Model:
    """Put one patient under the plan of a grid.

    Arguments:
        params: anchored parameters of the patient by room; `params["present"]` says which theories act.
        states: states at day 0.
        grid: the plan.
        system: the equations.
    """
    known = {(room.name, p.name): _number(params[room.name][p.name]) for room in system.rooms for p in room.parameters}
    absent = {theory for theory, there in params["present"].items() if _number(there) < 0.5}
    terms: list[Quantity] = []
    rules: dict[str, sp.Expr] = {}
    for room in system.rooms:
        for name, value in _spoken(room, system, room.name in absent):
            rules[name] = value
            if name.startswith(f"{room.name}_term_"):
                terms.append(Quantity(name, "term", None, None, f"a term that the signals of {room.title} share"))
    rates = {state.name: _named(trace(room, system).production[state.name]
                                - trace(room, system).loss[state.name] * symbol("u", state.name), room)
             for room in system.rooms for state in room.states}
    first = {item.name: float(grid.steps.inputs[item.name][0]) for item in INPUTS}
    quantities = (
        *(Quantity(parameter_id(room, p.name), "parameter", p.unit, known[room.name, p.name], p.meaning, p.source,
                   p.value)
          for room in system.rooms for p in room.parameters),
        *(Quantity(s.name, "state", s.unit, _number(states[s.name]), s.meaning) for s in system.states),
        *terms,
        *(Quantity(s.name, "signal", s.unit, None, s.meaning + (" (theory absent)" if room.name in absent else ""))
          for room in system.rooms for s in room.writes),
        *(Quantity(item.name, "input", item.unit, first[item.name], item.meaning) for item in INPUTS),
    )
    end = float(grid.start_days[grid.used - 1] + grid.days[grid.used - 1])
    return Model(quantities, rules, rates, tuple(_changes(grid, system)), end)


def values_of(params: Mapping[str, Mapping[str, Any]], states: Mapping[str, Any], system: System = BODY
              ) -> dict[str, np.ndarray]:
    """Parameters and states at day 0 by their names in the model: what sets another patient in the same model.

    Arguments:
        params, states: of one or more patients, each value a scalar or of shape (patients,).
    """
    found = {parameter_id(room, p.name): params[room.name][p.name] for room in system.rooms for p in room.parameters}
    return {name: np.asarray(value, float) for name, value in (found | dict(states)).items()}


def parameter_id(room: Room, name: str) -> str:
    """The name of a room's parameter in the model."""
    return f"{room.name}_{name}"


def _number(value: Any) -> float:
    return float(np.asarray(value, dtype=float).reshape(()))


def _named(expression: Any, room: Room) -> sp.Expr:
    """An expression in the names of the model.

    Conditions read states that cannot be negative as at least 0: a solver's error may leave one at -1e-30, and then a
    condition such as `active >= load` flickers and a solver that chooses its step by the error stands still.
    """
    expression = sp.sympify(expression)
    expression = expression.xreplace({condition: condition.xreplace(_AT_LEAST_0)
                                      for condition in expression.atoms(sp.core.relational.Relational)})
    return expression.xreplace({s: sp.Symbol(_plain(s.name, room), real=True) for s in expression.free_symbols})


_AT_LEAST_0 = {symbol("u", state.name): sp.Max(0, symbol("u", state.name), evaluate=False)
               for room in ROOMS for state in room.states if state.positive}


def _plain(name: str, room: Room) -> str:
    kind, _, rest = name.partition(".")
    return parameter_id(room, rest) if kind == "p" else rest or kind


def _spoken(room: Room, system: System, absent: bool) -> Iterator[tuple[str, sp.Expr]]:
    """The signals of a room, or their neutral values, with the terms they share."""
    if absent:
        said = SimpleNamespace(**{s.name: symbol("s", s.name) for other in system.rooms for s in other.writes})
        yield from ((s.name, _named(s.without(said), room)) for s in room.writes)
        return
    signals = trace(room, system).signals
    terms, reduced = shared_terms(signals.values(), (room.name + "_term_{}").format)
    yield from ((name.name, _named(value, room)) for name, value in terms)
    yield from zip(signals, (_named(value, room) for value in reduced), strict=True)


def _changes(grid: Grid, system: System) -> Iterator[Change]:
    """Moments at which an input changes from step to step, or a session ends."""
    inputs = {item.name: np.asarray(grid.steps.inputs[item.name], float)[:grid.used] for item in INPUTS}
    ends = np.asarray(grid.steps.ends_session)[:grid.used]
    moved = np.any([values[1:] != values[:-1] for values in inputs.values()], axis=0) | ends[:-1]
    for k in np.flatnonzero(moved):
        values = {name: _exact(v[k + 1]) for name, v in inputs.items() if v[k + 1] != v[k]}
        if ends[k]:
            values |= _left_by({name: float(v[k]) for name, v in grid.steps.session.items()}, system)
        yield Change(float(grid.start_days[k + 1]), values, bool(ends[k]))


def _left_by(session: Mapping[str, float], system: System) -> dict[str, sp.Expr]:
    """States after a session in terms of those before it, for those that it moves."""
    fields = {symbol("session", name): _exact(value) for name, value in session.items()}
    found = {}
    for room in system.rooms:
        for state, value in trace(room, system).jump.items():
            after = sp.sympify(value).xreplace(fields).doit()
            if after != symbol("u", state):
                found[state] = _named(after, room)
    return found


def _exact(value: float) -> sp.Expr:
    """A number that keeps its value; whole ones are integers, so that what is multiplied by 0 vanishes."""
    value = float(value)
    return sp.Integer(int(value)) if value.is_integer() else sp.Float(value)
