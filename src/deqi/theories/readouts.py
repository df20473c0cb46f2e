"""What can be read in a body: every signal and state, and a few quantities that papers print in other units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..body import gate
from ..body.functions import saturation
from ..body.system import BODY, ROOMS
from ..body.theory import Values
from ..care.course import nearest_hint
from ..errors import InputError

OUTCOMES = frozenset({"nrs", "pressure_pain_threshold", "disability"})
"""What people feel and do. An experiment that reads one of them can be owned by a theory."""


@dataclass(frozen=True)
class Readout:
    """A quantity that an experiment may read.

    Arguments:
        name, unit, meaning: as shown.
        room: the room it belongs to.
        value: (signals, states, parameters by room, inputs) -> value; all broadcast over arms.
    """

    name: str
    unit: str
    room: str
    meaning: str
    value: Callable[[Values, Values, Mapping[str, Any], Values], Any]


def _p(params: Mapping[str, Any], room: str) -> Values:
    return Values(**params[room])


def _hz(s: Values, u: Values, p: Mapping[str, Any], x: Values) -> Any:
    return s.output_ratio * gate.output(s.reference_drive, 1.0, 0.0, 0.0, 0.0, 0.0, _p(p, "gate"))


def _adenosine_effect(s: Values, u: Values, p: Mapping[str, Any], x: Values) -> Any:
    q = _p(p, "neurotransmitters")
    half = q.A50 * (1.0 + x.caffeine_mg_per_kg / q.K_caffeine_mg_per_kg)
    return 100.0 * q.E_A * x.a1_receptor * saturation(u.adenosine, half)


DERIVED = (
    Readout("projection_output", "Hz", "gate", "firing of the projection cell", _hz),
    Readout("fast_analgesia", "%", "neurotransmitters", "pain taken away by mu, kappa and adenosine",
            lambda s, u, p, x: 100.0 * (1.0 - s.fast_remainder)),
    Readout("adenosine_analgesia", "%", "neurotransmitters", "pain taken away by adenosine", _adenosine_effect),
    Readout("adenosine_fold", "fold", "neurotransmitters", "interstitial adenosine over its level before",
            lambda s, u, p, x: 1.0 + u.adenosine),
    Readout("mu_blockade", "%", "neurotransmitters", "mu receptors held by naloxone",
            lambda s, u, p, x: 100.0 * saturation(x.naloxone_mg_per_kg, _p(p, "neurotransmitters").K_mu_mg_per_kg)),
    Readout("kappa_blockade", "%", "neurotransmitters", "kappa receptors held by naloxone",
            lambda s, u, p, x: 100.0 * saturation(x.naloxone_mg_per_kg, _p(p, "neurotransmitters").K_kappa_mg_per_kg)),
    Readout("mu_binding_potential", "1", "neurotransmitters", "mu receptors left free for a PET tracer",
            lambda s, u, p, x: 1.0 / (1.0 + u.mu_peptide / _p(p, "neurotransmitters").P50)),
    Readout("production_cut", "%", "inflammation", "cut of mediator production by the vagal arm",
            lambda s, u, p, x: 100.0 * u.vagal_drive),
    Readout("flexion_relaxation", "SMD", "muscle", "flexion-relaxation ratio, 0 in health (muscle dossier, section 3)",
            lambda s, u, p, x: -1.2 * s.total_guarding),
    Readout("reflex", "%", "muscle", "tendon or H reflex over its size before",
            lambda s, u, p, x: 100.0 * (1.0 + u.motor_excitability)),
    Readout("viscoelastic_pct", "%", "muscle", "change of muscle stiffness by a stretch",
            lambda s, u, p, x: 100.0 * u.viscoelastic),
    Readout("extension_torque_gain", "%", "muscle", "gain of lumbar extension torque; 167 % at the plateau "
            "(muscle dossier, section 4)", lambda s, u, p, x: 167.0 * u.capacity),
)


def _plain(name: str, where: str) -> Callable[[Values, Values, Mapping[str, Any], Values], Any]:
    if where == "signal":
        return lambda s, u, p, x: getattr(s, name)
    return lambda s, u, p, x: getattr(u, name)


@cache
def readouts() -> dict[str, Readout]:
    """All read-outs by name."""
    found = {}
    for room in ROOMS:
        for signal in room.writes:
            found[signal.name] = Readout(signal.name, signal.unit, room.name, signal.meaning,
                                         _plain(signal.name, "signal"))
        for state in room.states:
            found[state.name] = Readout(state.name, state.unit, room.name, state.meaning, _plain(state.name, "state"))
    return found | {item.name: item for item in DERIVED}


def readout(name: str) -> Readout:
    """A read-out by name.

    Raises:
        InputError: there is none; it names the nearest.
    """
    if not isinstance(name, str) or name not in readouts():
        raise InputError("no such read-out", field="readout", found=str(name)[:60],
                         accepted="nrs, pressure_pain_threshold, disability, a state or signal of the equations, "
                         + ", ".join(item.name for item in DERIVED) + nearest_hint(name, readouts()))
    return readouts()[name]


def kind(name: str, theory: str) -> str:
    """`internal` if an experiment reads its own theory's room, `cross` if it reads what people feel or another room."""
    return "internal" if readouts()[name].room == theory and name not in OUTCOMES else "cross"


STATE_ROOM = {state.name: room.name for room in ROOMS for state in room.states}
STATE_NAMES = BODY.state_names
