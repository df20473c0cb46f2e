"""Theory 3, anti-inflammatory effects: mediators, their resolution, repair, and slow sensitisation of the nociceptor.

Five states and two read-outs on the day scale (cytokine half-lives are hours, so their fast part is algebraic). The
room acts on pain through the nociceptor gain alone, and its reach is capped by what NSAIDs and anti-NGF achieve.
Needling acts twice, with opposite signs: a small systemic cut of production, and irritation where the needle was.
"""

from __future__ import annotations

from math import log
from typing import Any

import jax.numpy as jnp
from jax import lax

from .functions import power
from .theory import Parameter, Room, Signal, State, Values

PARAMETERS = (
    Parameter("irritant_input", 0.03, "irritant/day", "assumed", 0.0, 0.3,
              "load kept up by the painful tissue; four times as high in the first weeks of an episode"),
    Parameter("r_L", 0.1, "1/day", "assumed", 0.02, 0.3, "clearance of irritant; repair within 1-6 weeks"),
    Parameter("e", 0.5, "1/day", "assumed", 0.0, 1.5, "self-amplification; below the bistable range"),
    Parameter("d", 1.0, "1/day", "assumed", 0.5, 3, "decay of pro-inflammatory activity"),
    Parameter("K", 1.0, "1", "assumed", 0.3, 3, "resolving activity of half suppression"),
    Parameter("b_0", 0.1, "1/day", "assumed", 0, 0.3, "resolving activity without inflammation"),
    Parameter("b", 0.5, "1/day", "assumed", 0.1, 2, "recruitment of resolving activity"),
    Parameter("c", 0.5, "1/day", "assumed", 0.1, 2, "decay of resolving activity"),
    Parameter("tau_m_days", 21.0, "days", "assumed", 7, 42, "repair"),
    Parameter("tau_G_days", 4.5, "days", "infl_ngf_erector", 3, 7,
              "sensitisation; present on days 1-7 after NGF, gone on day 14"),
    Parameter("ngf_per_microgram", 2.0, "1/ug", "infl_ngf_erector", 1, 8, "sensitisation by 1 ug NGF in the muscle"),
    Parameter("ischaemic_sensitisation", 0.05, "1", "assumed", 0, 0.3, "sensitisation by ischaemic drive above rest"),
    Parameter("g_P", 0.30, "1", "infl_nsaid_chronic", 0.05, 0.6,
              "gain of pro-inflammatory activity; full NSAID buys 3.3 of 100 in chronic and 7.3 in acute pain"),
    Parameter("g_N", 0.33, "1", "infl_tanezumab10", 0.03, 0.7, "gain of sensitisation; anti-NGF buys 4 of 100"),
    Parameter("activity_ref", 0.1934, "1", "assumed", 0.1, 0.4,
              "activity of the reference patient: the steady state under an irritant input of 0.03 a day"),
    Parameter("v_sys", 0.03, "1", "infl_tvns_negative", 0, 0.2,
              "largest cut of production by a full stimulus; null human test, half-normal prior"),
    Parameter("tau_v_days", 0.5, "days", "assumed", 0.1, 1, "fading of the vagal drive"),
    Parameter("k_crp", 10.0, "mg/L/day", "assumed", 1, 30, "CRP production per unit of activity"),
    Parameter("crp_half_life_hours", 19.0, "h", "infl_crp_halflife", 17, 21, "CRP"),
)

STATES = (
    State("irritant", "1", "tissue irritant load"),
    State("inflammation", "1", "pro-inflammatory activity"),
    State("resolution", "1", "resolving activity"),
    State("repair", "1", "repair recruited by inflammation"),
    State("ngf_sensitisation", "1", "slow sensitisation of the nociceptor"),
    State("vagal_drive", "1", "systemic cut of mediator production"),
    State("crp", "mg/L", "C-reactive protein, observed only"),
)

WRITES = (Signal("nociceptor_gain", "1", 1.0, "gain of the nociceptor, 1 in the untreated reference patient"),)


def _raw_gain(inflammation: Any, sensitisation: Any, p: Values, nsaid: Any, anti_ngf: Any) -> Any:
    return 1.0 + p.g_P * inflammation * (1.0 - nsaid) + p.g_N * sensitisation * (1.0 - anti_ngf)


def steady_state(irritant_input: Any, p: Values) -> tuple[Any, Any, Any, Any]:
    """Irritant, inflammation, resolution and repair under a constant irritant input.

    The fixed point is found by damped iteration from the upper side; below the bistable range it is unique.
    """
    def nearer(_: int, x: Any) -> Any:
        irritant = irritant_input / (p.r_L * (1.0 + x))
        resolution = (p.b_0 + p.b * x) / p.c
        amplified = irritant + p.e * x * x / (1.0 + x * x)
        return 0.5 * x + 0.5 * amplified / ((1.0 + resolution / p.K) * p.d)

    x = lax.fori_loop(0, 80, nearer, jnp.ones_like(jnp.asarray(irritant_input) * p.r_L))
    return irritant_input / (p.r_L * (1.0 + x)), x, (p.b_0 + p.b * x) / p.c, x


def signals(u: Values, p: Values, x: Values, s: Values) -> dict[str, Any]:
    """Gain = (1 + g_P x (1 - NSAID) + g_N G (1 - anti-NGF)) over its value in the reference patient."""
    gain = _raw_gain(u.inflammation, u.ngf_sensitisation, p, x.nsaid, x.anti_ngf)
    return {"nociceptor_gain": gain / _raw_gain(p.activity_ref, p.activity_ref, p, 0.0, 0.0)}


def rates(u: Values, p: Values, x: Values, s: Values) -> dict[str, tuple[Any, Any]]:
    """Irritant, mediators, resolution, repair, sensitisation, vagal drive, CRP."""
    activity = u.inflammation
    square = power(activity, 2.0)
    produced = (u.irritant + p.e * square / (1.0 + square)) * jnp.maximum(1.0 - u.vagal_drive, 0.0)
    ischaemia = jnp.maximum(s.ischaemic_source - 1.0, 0.0)
    return {
        "irritant": (p.irritant_input * s.tissue_source + x.microtrauma, p.r_L * (1.0 + u.repair)),
        "inflammation": (produced / (1.0 + u.resolution / p.K), p.d),
        "resolution": (p.b_0 + p.b * activity, p.c),
        "repair": (activity / p.tau_m_days, 1.0 / p.tau_m_days),
        "ngf_sensitisation": ((activity + p.ischaemic_sensitisation * ischaemia) / p.tau_G_days, 1.0 / p.tau_G_days),
        "vagal_drive": (p.v_sys * x.vagal_stimulus / p.tau_v_days, 1.0 / p.tau_v_days),
        "crp": (p.k_crp * activity, 24.0 * log(2.0) / p.crp_half_life_hours),
    }


def jump(u: Values, p: Values, session: Values) -> dict[str, Any]:
    """NGF injected into the muscle sensitises the nociceptor."""
    return {"ngf_sensitisation": u.ngf_sensitisation + p.ngf_per_microgram * session.ngf_micrograms}


def rest(p: Values, s: Values) -> dict[str, Any]:
    """The steady state under the person's own irritant input."""
    irritant, activity, resolution, repair = steady_state(p.irritant_input * s.tissue_source, p)
    return {
        "irritant": irritant, "inflammation": activity, "resolution": resolution, "repair": repair,
        "ngf_sensitisation": activity, "vagal_drive": 0.0,
        "crp": p.k_crp * activity * p.crp_half_life_hours / (24.0 * log(2.0)),
    }


INFLAMMATION = Room("inflammation", "Anti-inflammatory effects", STATES, PARAMETERS, WRITES,
                    signals, rates, rest, jump)
