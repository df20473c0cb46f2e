"""What hurts: tissue, ischaemia and muscle joined into the C drive that reaches the dorsal horn."""

from __future__ import annotations

from typing import Any

from .theory import Parameter, Room, Signal, Values

PARAMETERS = (
    Parameter("omega_tissue", 0.45, "1", "assumed", 0.05, 0.9, "share of the drive that comes from tissue"),
    Parameter("omega_ischaemia", 0.15, "1", "assumed", 0, 0.5, "share that comes from ischaemia"),
    Parameter("omega_muscle", 0.40, "1", "assumed", 0.05, 0.8, "share that comes from muscle"),
    Parameter("C_ref", 4.5, "Hz", "assumed", 3, 10, "C drive of the reference patient"),
    Parameter("resting_drive", 4.5, "Hz", "assumed", 0, 400, "C drive of this person before care (set by anchoring)"),
    Parameter("source_at_rest", 1.0, "1", "assumed", 0, 100, "joined source before care (set by anchoring)"),
)

WRITES = (
    Signal("source", "1", 1.0, "joined nociceptive source"),
    Signal("c_drive", "Hz", 4.5, "C drive on the dorsal horn"),
    Signal("resting_drive", "Hz", 4.5, "C drive before care"),
    Signal("reference_drive", "Hz", 4.5, "C drive of the reference patient"),
)


def signals(u: Values, p: Values, x: Values, s: Values) -> dict[str, Any]:
    """C drive = resting drive times gain times weighted sources, over their value at rest, plus any test pain."""
    source = s.nociceptor_gain * (p.omega_tissue * s.tissue_source + p.omega_ischaemia * s.ischaemic_source
                                  + p.omega_muscle * s.muscle_source)
    return {"source": source, "c_drive": p.resting_drive * source / p.source_at_rest + x.c_fibre,
            "resting_drive": p.resting_drive, "reference_drive": p.C_ref}


def rates(u: Values, p: Values, x: Values, s: Values) -> dict[str, tuple[Any, Any]]:
    """No states of its own."""
    return {}


def rest(p: Values, s: Values) -> dict[str, Any]:
    """No states of its own."""
    return {}


NOCICEPTION = Room("nociception", "Nociceptive drive", (), PARAMETERS, WRITES, signals, rates, rest)
