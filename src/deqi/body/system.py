"""Assembles the rooms into du/dt = production(u, input) - loss(u, input) * u.

Order of a step, in one place: each room writes its signals in the order of ROOMS, reading those written before it;
then every room gives the production and loss of its states, reading all signals. Between steps a session may jump.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from ..errors import EquationError
from . import gate
from .circulation import CIRCULATION
from .course import COURSE
from .gate import GATE
from .inflammation import INFLAMMATION
from .inputs import REST_INPUTS
from .muscle import MUSCLE
from .neurotransmitters import NEUROTRANSMITTERS
from .nociception import NOCICEPTION
from .pain import PAIN, output_ratio_for
from .theory import Room, Values

ROOMS: tuple[Room, ...] = (
    COURSE, NEUROTRANSMITTERS, INFLAMMATION, CIRCULATION, MUSCLE, NOCICEPTION, GATE, PAIN,
)
"""All rooms, in the order in which they speak. A sixth theory is one file and one line here."""

THEORIES: tuple[str, ...] = ("gate", "neurotransmitters", "inflammation", "circulation", "muscle")

Numbers = Mapping[str, Any]
Parameters = Mapping[str, Numbers]
"""Room name to parameter name to value, a number or an array over patients."""

NRS_LOW, NRS_HIGH = 0.3, 9.7
"""Range within which a person can be anchored: the logit map never reaches 0 or 10."""


LABORATORY = Path(__file__).with_name("laboratory.json")
"""What the joint fit of the laboratory experiments made of the parameters (`deqi.theories.fit` writes it)."""


@cache
def laboratory() -> dict[str, dict[str, float]]:
    """Room to parameter to fitted value; what is not there keeps the value that its room gives."""
    import json

    return json.loads(LABORATORY.read_text(encoding="utf-8")) if LABORATORY.exists() else {}


class System:
    """The body: all rooms, each theory present or not.

    Presence is a number in the parameters (`params["present"][theory]`, 1 or 0), so that one compiled function
    serves every combination of theories. A theory that is absent still moves its own states, unheard by the others.
    """

    def __init__(self, rooms: tuple[Room, ...] = ROOMS):
        self.rooms = rooms
        self.states = tuple(state for room in rooms for state in room.states)
        self.state_names = tuple(state.name for state in self.states)

    def parameters(self, without: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
        """Parameters of the reference patient as the laboratory leaves them, with some theories absent.

        Raises:
            EquationError: an unknown theory.
        """
        absent = frozenset(without)
        for name in sorted(absent - set(THEORIES)):
            raise EquationError(f"no theory called {name!r}; accepted: {', '.join(THEORIES)}")
        present = {name: 0.0 if name in absent else 1.0 for name in THEORIES}
        known = laboratory()
        return {room.name: room.defaults() | known.get(room.name, {}) for room in self.rooms} | {"present": present}

    def signals(self, u: Numbers, params: Parameters, x: Numbers) -> dict[str, Any]:
        """All signals at states `u` under inputs `x`."""
        s = self._silence()
        states, inputs = Values(**u), Values(**x)
        for room in self.rooms:
            self._speak(room, states, params, inputs, s)
        return vars(s)

    def rates(self, u: Numbers, params: Parameters, x: Numbers, signals: Numbers | None = None
              ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Production and loss per day of every state; `signals` at the same point save computing them again."""
        spoken = self.signals(u, params, x) if signals is None else signals
        s, states, inputs = Values(**spoken), Values(**u), Values(**x)
        production, loss = {}, {}
        for room in self.rooms:
            for name, (gain, decay) in room.rates(states, Values(**params[room.name]), inputs, s).items():
                production[name], loss[name] = gain, decay
        return production, loss

    def jump(self, u: Numbers, params: Parameters, session: Numbers) -> dict[str, Any]:
        """States after a session that ends now."""
        states, event = Values(**u), Values(**session)
        after = dict(u)
        for room in self.rooms:
            after.update(room.jump(states, Values(**params[room.name]), event))
        return after

    @partial(jax.jit, static_argnums=0)
    def rest(self, params: Parameters, nrs: Any, disability: Any | None = None
             ) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
        """Anchor every patient at their own scores before care.

        Arguments:
            params: parameters of the patients.
            nrs: their pain now, shape (patients,), kept within 0.3 to 9.7.
            disability: their disability 0-100, shape (patients,), or None for that of the map.

        Returns:
            the parameters with the anchors set, and the states at rest, each of shape (patients,).
        """
        nrs = jnp.clip(jnp.asarray(nrs, dtype=float), NRS_LOW, NRS_HIGH)
        anchored = {name: dict(values) for name, values in params.items()}
        if disability is not None:
            pain = anchored["pain"]
            pain["disability_intercept"] = jnp.asarray(disability) - pain["disability_per_nrs"] * nrs
        s, x, u = self._silence(), Values(**REST_INPUTS), Values()
        s.nrs = nrs
        for room in self.rooms:
            vars(u).update(room.rest(Values(**anchored[room.name]), s))
            if room is NOCICEPTION:
                self._anchor(anchored, nrs, room.signals(u, Values(**anchored[room.name]), x, s)["source"])
            self._speak(room, u, anchored, x, s)
        shape = jnp.zeros_like(nrs)
        return anchored, {name: shape + vars(u)[name] for name in self.state_names}

    def _silence(self) -> Values:
        return Values(**{signal.name: signal.neutral for room in self.rooms for signal in room.writes
                         if not callable(signal.neutral)})

    def _speak(self, room: Room, u: Values, params: Parameters, x: Values, s: Values) -> None:
        """Let a room write its signals, or their neutral values if its theory is absent."""
        spoken = room.signals(u, Values(**params[room.name]), x, s)
        present = params["present"].get(room.name)
        for signal in room.writes:
            value = spoken[signal.name]
            vars(s)[signal.name] = value if present is None else jnp.where(present > 0.5, value, signal.without(s))

    def _anchor(self, params: dict[str, dict[str, Any]], nrs: Any, source: Any) -> None:
        """Set the resting drive so that the link's output is felt as `nrs` before care."""
        ratio = output_ratio_for(nrs, Values(**params["pain"]))
        own = params["nociception"]
        own["source_at_rest"] = source
        own["resting_drive"] = jnp.where(params["present"]["gate"] > 0.5,
                                         gate.drive_for(ratio, own["C_ref"], Values(**params["gate"])),
                                         ratio * own["C_ref"])


def parameters_hash() -> str:
    """SHA-256 over the fitted parameters: which laboratory made a result."""
    return sha256(LABORATORY.read_bytes() if LABORATORY.exists() else b"").hexdigest()


@cache
def equations_hash() -> str:
    """SHA-256 over the source of every room (not of what prints them): which equations made a result."""
    digest = sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.name == "equations.py":
            continue
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


BODY = System()
"""The body as shipped."""
