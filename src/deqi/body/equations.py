"""The equations made visible: traced from the code that the solver runs, so that what is printed is what runs.

    trace(GATE).production["gate_gain"]     # a sympy expression
    as_markdown()                           # every room with its equations, numbers and sources
    rhs_source()                            # du/dt as the source of one plain Python function

A symbol is called as it stands in the rooms: `u.` a state, `p.` a parameter of the room, `x.` an input from
care, `s.` a signal, `session.` a field of a session that ends.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import count
from math import log
from typing import Any

import jax
import numpy as np
import sympy as sp
from jax.extend.core import Literal
from sympy.codegen.cfunctions import expm1, log1p
from sympy.printing.pycode import PythonCodePrinter

from ..errors import EquationError
from .inputs import INPUTS, SESSION_FIELDS
from .system import BODY, System
from .theory import Room, Values


@dataclass(frozen=True)
class RoomEquations:
    """The equations of one room as sympy expressions.

    Arguments:
        signals: signal to its value.
        production, loss: state to its production and its loss per day, du/dt = production - loss * u.
        jump: state to its value after a session, for the states that jump.
    """

    signals: Mapping[str, sp.Expr]
    production: Mapping[str, sp.Expr]
    loss: Mapping[str, sp.Expr]
    jump: Mapping[str, sp.Expr]

    def all(self) -> Iterator[sp.Expr]:
        """Every expression of the room."""
        for part in (self.signals, self.production, self.loss, self.jump):
            yield from part.values()


def symbol(kind: str, name: str) -> sp.Symbol:
    """The symbol of a quantity; `kind` is u, p, x, s or session."""
    return sp.Symbol(f"{kind}.{name}", real=True)


@cache
def trace(room: Room, system: System = BODY) -> RoomEquations:
    """The equations of a room.

    Arguments:
        room: the room.
        system: the body it stands in, whose states and signals it may read.

    Raises:
        EquationError: the room uses an operation that has no form on paper.
    """
    names = {
        "u": system.state_names,
        "p": [parameter.name for parameter in room.parameters],
        "x": [item.name for item in INPUTS],
        "s": [signal.name for other in system.rooms for signal in other.writes],
        "session": [item.name for item in SESSION_FIELDS],
    }
    u, p, x, s, session = ({name: symbol(kind, name) for name in some} for kind, some in names.items())
    signals, rates = (_expressions(room.name, what, u, p, x, s) for what in (room.signals, room.rates))
    return RoomEquations(
        signals={signal.name: signals[signal.name] for signal in room.writes},
        production={state.name: rates[state.name][0] for state in room.states},
        loss={state.name: rates[state.name][1] for state in room.states},
        jump=_expressions(room.name, room.jump, u, p, session),
    )


def _expressions(room: str, function: Callable[..., Any], *groups: Mapping[str, sp.Symbol]) -> Any:
    """What a room's function returns for symbols; traced in double precision, so that constants are exact."""
    def on_values(*numbers: Mapping[str, Any]) -> Any:
        return function(*(Values(**group) for group in numbers))

    with jax.enable_x64(True):
        shapes = jax.tree.map(lambda _: jax.ShapeDtypeStruct((), np.float64), groups)
        closed, shape = jax.make_jaxpr(on_values, return_shape=True)(*shapes)
    found = _run(room, closed.jaxpr, closed.consts, jax.tree.leaves(groups))
    return jax.tree.unflatten(jax.tree.structure(shape), found)


def _run(room: str, jaxpr: Any, consts: Any, arguments: list[Any]) -> list[Any]:
    """Follow the operations of a jaxpr with sympy expressions in place of numbers."""
    values = dict(zip(jaxpr.constvars, (_number(c) for c in consts), strict=True))
    values |= dict(zip(jaxpr.invars, arguments, strict=True))

    def read(atom: Any) -> Any:
        return _number(atom.val) if isinstance(atom, Literal) else values[atom]

    for step in jaxpr.eqns:
        given = [read(atom) for atom in step.invars]
        inner = step.params.get("jaxpr", step.params.get("call_jaxpr"))
        if inner is not None:
            results = _run(room, inner.jaxpr, inner.consts, given)
        elif step.primitive.name in _MEANING:
            results = [_MEANING[step.primitive.name](step.params, *given)]
        else:
            raise EquationError(f"room {room!r} uses {step.primitive.name!r}, which has no form on paper; "
                                f"known: {', '.join(sorted(_MEANING))}")
        values.update(zip(step.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _number(value: Any) -> Any:
    """A number as one would write it: whole, a short fraction, ln 2, or a decimal."""
    if np.asarray(value).dtype == np.bool_:
        return sp.true if value else sp.false
    number = float(value)
    if number == log(2.0):
        return sp.log(2)
    fraction = Fraction(number).limit_denominator(10_000)
    exact = float(fraction) == number
    return sp.Rational(fraction.numerator, fraction.denominator) if exact else sp.Float(number, 17)


def _select(params: Mapping[str, Any], condition: Any, otherwise: Any, then: Any) -> Any:
    """A choice; a choice by the same condition inside one of its branches is settled."""
    def settle(branch: Any, holds: bool) -> Any:
        same = {inner: inner.args[0 if holds else 1].expr for inner in branch.atoms(sp.Piecewise)
                if inner.args[0].cond == condition}
        return branch.xreplace(same)

    return sp.Piecewise((settle(then, True), condition), (settle(otherwise, False), True))


_MEANING: dict[str, Callable[..., Any]] = {
    "add": lambda _, a, b: a + b, "sub": lambda _, a, b: a - b, "mul": lambda _, a, b: a * b,
    "div": lambda _, a, b: a / b, "neg": lambda _, a: -a, "pow": lambda _, a, b: a**b,
    "integer_pow": lambda params, a: a ** params["y"], "square": lambda _, a: a**2,
    "sqrt": lambda _, a: sp.sqrt(a), "exp": lambda _, a: sp.exp(a), "log": lambda _, a: sp.log(a),
    "log1p": lambda _, a: log1p(a), "expm1": lambda _, a: expm1(a), "tanh": lambda _, a: sp.tanh(a),
    "logistic": lambda _, a: 1 / (1 + sp.exp(-a)), "sign": lambda _, a: sp.sign(a),
    "abs": lambda _, a: sp.Abs(a, evaluate=False),  # as written, so that what repeats is seen
    "max": lambda _, a, b: sp.Max(a, b, evaluate=False), "min": lambda _, a, b: sp.Min(a, b, evaluate=False),
    "clamp": lambda _, low, a, high: sp.Min(sp.Max(a, low, evaluate=False), high, evaluate=False),
    "gt": lambda _, a, b: sp.Gt(a, b), "ge": lambda _, a, b: sp.Ge(a, b), "lt": lambda _, a, b: sp.Lt(a, b),
    "le": lambda _, a, b: sp.Le(a, b), "and": lambda _, a, b: sp.And(a, b), "or": lambda _, a, b: sp.Or(a, b),
    "not": lambda _, a: sp.Not(a), "select_n": _select, "copy": lambda _, a: a,
    "stop_gradient": lambda _, a: a, "convert_element_type": lambda _, a: a,
}
"""What each elementwise operation of JAX is on paper: (parameters, operands) -> expression."""


def parameter_order(system: System = BODY) -> tuple[tuple[str, str], ...]:
    """Room and name of every parameter, in the order of `p` in `rhs_source`."""
    return tuple((room.name, parameter.name) for room in system.rooms for parameter in room.parameters)


def rhs_source(system: System = BODY) -> str:
    """The right-hand side du/dt as the source of one plain Python function, with all theories present.

    Returns:
        source that defines `rhs(t, u, p, x)`: arrays of states in the order of `system.state_names`, parameters
        in that of `parameter_order`, inputs in that of `INPUTS`; it returns du/dt per day and compiles under
        Numba (`njit(error_model="numpy")`).
    """
    places = {symbol("u", name): sp.Symbol(f"u[{i}]", real=True) for i, name in enumerate(system.state_names)}
    places |= {symbol("x", item.name): sp.Symbol(f"x[{i}]", real=True) for i, item in enumerate(INPUTS)}
    spot = {key: f"p[{i}]" for i, key in enumerate(parameter_order(system))}
    lines: list[str] = []
    spare = (sp.Symbol(f"a{i}", real=True) for i in count())

    def emit(targets: list[str], expressions: list[sp.Expr]) -> None:
        shared, reduced = sp.cse(expressions, spare, order="none")
        lines.extend(f"    {target} = {_PRINTER.doprint(value)}"
                     for target, value in [*shared, *zip(targets, reduced, strict=True)])

    def place(room: Room, expression: sp.Expr) -> sp.Expr:
        own = {symbol("p", q.name): sp.Symbol(spot[room.name, q.name], real=True) for q in room.parameters}
        spoken = {symbol("s", signal.name): sp.Symbol(f"s_{signal.name}", real=True)
                  for other in system.rooms for signal in other.writes}
        return expression.xreplace(places | own | spoken)

    for room in system.rooms:
        found = trace(room, system).signals
        emit([f"s_{name}" for name in found], [place(room, value) for value in found.values()])
    slopes = [place(room, trace(room, system).production[state.name])
              - place(room, trace(room, system).loss[state.name]) * places[symbol("u", state.name)]
              for room in system.rooms for state in room.states]
    emit([f"du[{i}]" for i in range(len(slopes))], slopes)
    used = ", ".join(sorted(_PRINTER.module_imports["math"]))
    head = [f"from math import {used}", "", "from numpy import empty", "", "",
            "def rhs(t, u, p, x):", f"    du = empty({len(slopes)})"]
    return "\n".join([*head, *lines, "    return du", ""])


def shared_terms(expressions: Iterable[sp.Expr], name: Callable[[int], str]
                 ) -> tuple[list[tuple[sp.Symbol, sp.Expr]], list[sp.Expr]]:
    """What is long and repeated, taken out of some expressions to be written once before them.

    Arguments:
        expressions: as `trace` gives them.
        name: what the first, second ... of these terms is called.

    Returns:
        the terms with their values, each of which may use those before it, and the expressions in their words.
    """
    found, reduced = sp.cse(list(expressions), order="none")
    short: dict[sp.Symbol, sp.Expr] = {}
    terms: list[tuple[sp.Symbol, sp.Expr]] = []
    for place, value in found:
        value = value.xreplace(short)
        short[place] = value
        if value.count_ops() >= 5:
            short[place] = sp.Symbol(name(len(terms) + 1), real=True)
            terms.append((short[place], value))
    return terms, [value.xreplace(short) for value in reduced]


_PRINTER = PythonCodePrinter({"fully_qualified_modules": False})


_STYLE = {"u": "mathrm", "p": "mathit", "x": "mathsf", "s": "mathtt", "session": "mathsf"}
_NOTE = """# The equations of deqi

Printed from the code that the solver runs (`python -m deqi.body.equations --markdown`). Each theory is a room; a
room gives every state a production and a loss per day, $du/dt = \\text{production} - \\text{loss}\\,u$, and speaks
to the others through signals. Upright: $\\mathrm{states}$; slanted: $\\mathit{parameters}$; sans serif:
$\\mathsf{inputs}$ from care; typewriter: $\\mathtt{signals}$; $z_i$ stands for what would be repeated. Time is in
days.
"""


def as_markdown(system: System = BODY) -> str:
    """The equations with their states, signals, parameters and sources, as Markdown with LaTeX."""
    parts = [_NOTE, *(_room_on_paper(room, system) for room in system.rooms)]
    for title, items in (("Inputs from care", INPUTS), ("Fields of a session", SESSION_FIELDS)):
        parts += [f"## {title}\n", _table(("name", "unit", "at rest", "meaning"), (
            (f"`{item.name}`", item.unit, f"{item.rest:g}", item.meaning) for item in items))]
    return "\n".join(parts)


def _room_on_paper(room: Room, system: System) -> str:
    about = inspect.getdoc(sys.modules[room.signals.__module__]) or ""
    parts = [f"## {room.title}\n", about, ""]
    if room.states:
        parts += ["### States\n", _table(("state", "unit", "meaning"), (
            (f"`{state.name}`", state.unit, state.meaning) for state in room.states))]
    parts += ["### Signals\n", _table(("signal", "unit", "meaning"), (
        (f"`{signal.name}`", signal.unit, signal.meaning) for signal in room.writes))]
    written = formulas(room, system)
    parts += [f"$$ {line} $$\n" for line in written["signals"]]
    for part, title in (("rates", "Rates of change, per day"), ("jump", "At the end of a session")):
        if written[part]:
            parts += [f"### {title}\n", *(f"$$ {line} $$\n" for line in written[part])]
    parts += ["### Parameters\n", _table(("parameter", "value", "range", "unit", "source", "meaning"), (
        (f"`{q.name}`", f"{q.value:g}", f"{q.low:g} to {q.high:g}", q.unit, f"`{q.source}`", q.meaning)
        for q in room.parameters))]
    return "\n".join(parts)


def formulas(room: Room, system: System = BODY) -> dict[str, list[str]]:
    """The equations of a room in LaTeX: its `signals`, its `rates` per day, and its `jump` at the end of a session."""
    found = trace(room, system)
    slopes = {_name(symbol("u", name)): (gain, found.loss[name]) for name, gain in found.production.items()}
    return {
        "signals": _formulas({_name(symbol("s", name)): (value,) for name, value in found.signals.items()}),
        "rates": _formulas(slopes, r"\frac{{d\,{left}}}{{dt}} = {} - \left({}\right) {left}"),
        "jump": _formulas({_name(symbol("u", name)): (value,) for name, value in found.jump.items()},
                          "{left}^{{+}} = {}"),
    }


def _formulas(equations: Mapping[str, tuple[sp.Expr, ...]], form: str = "{left} = {}") -> list[str]:
    """Equations in LaTeX, what is long and repeated written once before them."""
    if not equations:
        return []
    shared, reduced = shared_terms([value for values in equations.values() for value in values], "z_{{{}}}".format)
    lines = [f"{name.name} = {_latex(value)}" for name, value in shared]
    written = (_latex(value) for value in reduced)
    for left, values in equations.items():
        right = form.format(*(next(written) for _ in values), left=left).replace("= 0 - ", "= - ")
        lines.append(right)
    return lines


def _latex(value: sp.Expr) -> str:
    written = value.replace(log1p, lambda z: sp.log(1 + z)).replace(expm1, lambda z: sp.exp(z) - 1)
    return sp.latex(written, symbol_names={s: _name(s) for s in written.free_symbols}, ln_notation=True,
                    mul_symbol=r"\,")


def _name(s: sp.Symbol) -> str:
    kind, _, name = s.name.replace("_", r"\_").partition(".")
    return rf"\{_STYLE[kind]}{{{name}}}" if name else s.name


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ("---",) * len(head), *rows)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(as_markdown() if "--markdown" in sys.argv else rhs_source())
