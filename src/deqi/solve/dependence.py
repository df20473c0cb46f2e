"""What depends on what in the equations: which states differ between patients, and which are felt in what is recorded.

Found in the traced equations, so that a new theory needs nothing said here. A state that no patient-specific number
can reach is the same in everybody and is carried once; a state that nothing recorded can feel is not carried at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax

from ..body.inputs import REST_INPUTS, REST_SESSION
from ..body.system import System

Key = tuple[str, ...]
"""A number of the equations: ("u", state), ("x", input), ("session", field) or ("p", room, parameter)."""


@dataclass(frozen=True)
class Dependence:
    """What each state's course follows from.

    Arguments:
        change: state to what its production, its loss and its jump depend on.
        rest: state to what its value before care depends on; ("nrs",) and ("disability",) are the person's scores.
        signals: signal to what it depends on.
    """

    change: Mapping[str, frozenset[Key]]
    rest: Mapping[str, frozenset[Key]]
    signals: Mapping[str, frozenset[Key]]

    def varying(self, own: Iterable[Key]) -> frozenset[str]:
        """States that can differ between patients whose numbers `own` differ, and whose scores do."""
        own = frozenset(own) | {("nrs",), ("disability",)}
        found = {name for name, keys in self.rest.items() if keys & own}
        return _grown(found, lambda reached: {
            name for name, keys in self.change.items() if keys & own or any(("u", state) in keys for state in reached)})

    def felt(self, recorded: Iterable[str]) -> frozenset[str]:
        """States that can be felt in recorded signals or states."""
        names = set(recorded)
        first = names & set(self.change)
        first |= {state for name in names & set(self.signals) for state in _states(self.signals[name])}
        return _grown(first, lambda reached: {state for name in reached for state in _states(self.change[name])})


def _states(keys: Iterable[Key]) -> set[str]:
    return {key[1] for key in keys if key[0] == "u"}


def _grown(found: set[str], more: Callable[[set[str]], set[str]]) -> frozenset[str]:
    """The least set that holds `found` and all that `more` finds of it."""
    while not (fresh := more(found)) <= found:
        found = found | fresh
    return frozenset(found)


@lru_cache(maxsize=8)
def dependence(system: System) -> Dependence:
    """Trace a system."""
    u = {name: 1.0 for name in system.state_names}
    p: dict[str, Any] = system.parameters()

    def course(u: Any, p: Any, x: Any, session: Any) -> Any:
        signals = system.signals(u, p, x)
        return signals, *system.rates(u, p, x, signals), system.jump(u, p, session)

    signals, production, loss, jump = _reach(course, u=u, p=p, x=REST_INPUTS, session=REST_SESSION)
    _, rest = _reach(lambda p, nrs, disability: system.rest(p, nrs, disability), p=p, nrs=5.0, disability=40.0)
    change = {name: production[name] | loss[name] | jump[name] | {("u", name)} for name in u}
    return Dependence(change, rest, signals)


def _reach(function: Callable[..., Any], **groups: Any) -> Any:
    """Of each number that a function returns, the numbers it depends on."""
    closed, shape = jax.make_jaxpr(lambda groups: function(**groups), return_shape=True)(groups)
    paths = [tuple(str(part.key) for part in path) for path, _ in jax.tree_util.tree_leaves_with_path(groups)]
    found = _follow(closed.jaxpr, [frozenset({path}) for path in paths])
    return jax.tree.unflatten(jax.tree.structure(shape), found)


def _follow(jaxpr: Any, given: list[frozenset[Key]]) -> list[frozenset[Key]]:
    nothing: frozenset[Key] = frozenset()
    known = dict(zip(jaxpr.invars, given, strict=True))

    def of(atom: Any) -> frozenset[Key]:
        return nothing if hasattr(atom, "val") else known.get(atom, nothing)

    for equation in jaxpr.eqns:
        sources = [of(atom) for atom in equation.invars]
        inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
        if inner is not None:
            results = _follow(inner.jaxpr, sources)
        else:
            results = [nothing.union(*sources)] * len(equation.outvars)
        known.update(zip(equation.outvars, results, strict=True))
    return [of(atom) for atom in jaxpr.outvars]
