"""The contract that every room of the body keeps: states, parameters, signals, rates, jumps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace as Values
from typing import Any

MINUTES_PER_DAY = 1440.0
"""The dossiers give fast rates per minute; the assembled system runs in days."""


@dataclass(frozen=True)
class State:
    """A quantity that the equations carry forward in time.

    `positive` states are non-negative by construction (production and loss are both non-negative);
    the others are deviations that may take either sign.
    """

    name: str
    unit: str
    meaning: str
    positive: bool = True


@dataclass(frozen=True)
class Parameter:
    """A number in an equation, with where it comes from.

    Arguments:
        name: as it stands in the equation.
        value: the value in the reference patient.
        unit: its unit; rates are per day unless the name says minutes.
        source: a fact id of the evidence room, or `assumed`.
        low, high: the range that its prior covers (about 95 %), in the same unit.
        meaning: what it is, and why this value where the source leaves a choice.
    """

    name: str
    value: float
    unit: str
    source: str
    low: float
    high: float
    meaning: str

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"{self.name}: {self.value} lies outside its own range {self.low} to {self.high}")


@dataclass(frozen=True)
class Signal:
    """A quantity that one room tells the others.

    `neutral` is what they hear when the room is removed: a number, or a function of the signals written before.
    """

    name: str
    unit: str
    neutral: float | Callable[[Values], Any]
    meaning: str

    def without(self, s: Values) -> Any:
        """The neutral value, given the signals written so far."""
        return self.neutral(s) if callable(self.neutral) else self.neutral


Rates = Mapping[str, tuple[Any, Any]]
"""State name to (production per day, loss per day): du/dt = production - loss * u."""


def no_jump(u: Values, p: Values, session: Values) -> Mapping[str, Any]:
    """What a session does at once to a room that feels it only through its inputs: nothing."""
    return {}


@dataclass(frozen=True)
class Room:
    """One room of the body, a theory or one of the two that every theory needs (course, pain).

    The functions take namespaces: `u` states, `p` this room's parameters, `x` inputs from care, `s` signals
    written by the rooms before it. All values broadcast over patients.

    Arguments:
        signals: (u, p, x, s) -> {signal: value}.
        rates: (u, p, x, s) -> {state: (production, loss)}; here `s` holds the signals of all rooms.
        rest: (p, s) -> {state: value} before any care, `s` being the signals known so far at rest.
        jump: (u, p, session) -> {state: new value} at the end of a session, where a closed form exists.
    """

    name: str
    title: str
    states: tuple[State, ...]
    parameters: tuple[Parameter, ...]
    writes: tuple[Signal, ...]
    signals: Callable[[Values, Values, Values, Values], Mapping[str, Any]]
    rates: Callable[[Values, Values, Values, Values], Rates]
    rest: Callable[[Values, Values], Mapping[str, Any]]
    jump: Callable[[Values, Values, Values], Mapping[str, Any]] = field(default=no_jump)

    def defaults(self) -> dict[str, float]:
        """The parameters of the reference patient, by name."""
        return {parameter.name: parameter.value for parameter in self.parameters}
