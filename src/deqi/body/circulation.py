"""Theory 4, local blood circulation: vasodilation by the needle, temperature, washout of metabolites, oxygen.

Flow rises where the needle is (nothing 50 mm away) and is back within an hour in man. Temperature follows a reduced
network skin -> shallow muscle (1 cm under the fat) -> deep muscle (3 cm), fitted to ice-pack data over four fat
thicknesses; it is a transfer model, not an energy balance. Metabolites hurt in combination, not singly.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from .functions import saturation
from .theory import MINUTES_PER_DAY, Parameter, Room, Signal, State, Values

PARAMETERS = (
    Parameter("a_C", 2.1, "1/min", "circ_sato2000", 1, 4, "CGRP release; +30 % flow from 30 s of C-fibre drive"),
    Parameter("tau_1_minutes", 0.5, "min", "circ_sato2000", 0.3, 0.8, "CGRP release"),
    Parameter("tau_2_minutes", 0.8, "min", "circ_sato2000", 0.6, 1.0, "CGRP vasodilation"),
    Parameter("a_N", 0.48, "1/min", "circ_fm_deep_muscle", 0.1, 1.0, "NO and other local release; set by +93 % deep"),
    Parameter("N_max", 1.2, "1", "assumed", 0.5, 3, "ceiling of the NO path"),
    Parameter("tau_N_minutes", 20.0, "min", "circ_trap_60min", 10, 30, "NO path; raised at 20 min, gone at 60 min"),
    Parameter("superficial_gain", 0.2, "1", "circ_fm_sc_muscle", 0, 0.6,
              "response to a needle in the skin as a share of a deep one; 0 in healthy people, 0.5 in fibromyalgia"),
    Parameter("blunting", 0.0, "1", "circ_trap_60min", 0, 0.6, "loss of the response in myalgic muscle"),
    Parameter("q_10", 13.7, "1", "circ_leg_heating", 5, 14, "flow ratio per 10 degC"),
    Parameter("z_max", 0.8, "1", "circ_thorsson", 0.4, 0.9, "largest cold vasoconstriction"),
    Parameter("z_half_degC", 3.0, "degC", "assumed", 1, 8, "muscle cooling that constricts at the rate below"),
    Parameter("tau_cold_minutes", 20.0, "min", "assumed", 5, 40, "onset of constriction at that cooling"),
    Parameter("tau_release_minutes", 30.0, "min", "assumed", 15, 60, "release of cold constriction"),
    Parameter("fat_mm", 10.0, "mm", "assumed", 2, 35, "fat over the muscle, half a skinfold"),
    Parameter("tau_skin_on_minutes", 2.0, "min", "circ_skin_4mod", 1, 4, "skin under the source"),
    Parameter("tau_skin_off_minutes", 24.0, "min", "circ_myrer_10_18", 15, 35, "skin after the source is taken away"),
    Parameter("through_muscle_minutes", 0.87, "min", "circ_otte_0_10", 0.4, 1.5, "skin to shallow muscle without fat"),
    Parameter("through_fat_minutes_per_mm", 5.06, "min/mm", "circ_otte_11_20", 4, 6, "skin to shallow muscle, per mm"),
    Parameter("to_deep_per_minute", 0.072, "1/min", "circ_myrer_le8", 0.05, 0.1, "shallow to deep muscle"),
    Parameter("w_cold_per_minute", 0.0167, "1/min", "circ_otte_0_10", 0.008, 0.03, "perfusion under cold"),
    Parameter("w_heat_per_minute", 0.083, "1/min", "circ_hot_pack_15mm", 0.04, 0.15, "perfusion under heat"),
    Parameter("k_w_per_minute", 0.2, "1/min", "assumed", 0.1, 0.3, "washout at resting flow"),
    Parameter("lactate_rest", 4.4, "mM", "circ_tm_lactate", 2, 7, "interstitial lactate in myalgia; 3.1 in controls"),
    Parameter("lactate_arterial", 1.0, "mM", "assumed", 0.5, 1.5, "arterial lactate"),
    Parameter("acid_rest", 45.0, "nM", "assumed", 39.8, 55, "interstitial hydrogen ion, pH 7.35"),
    Parameter("acid_arterial", 39.8, "nM", "circ_pollak", 38, 42, "arterial hydrogen ion, pH 7.40"),
    Parameter("atp_rest", 300.0, "nM", "circ_pollak", 200, 400, "interstitial ATP at which nothing is felt"),
    Parameter("atp_arterial", 200.0, "nM", "assumed", 100, 300, "arterial ATP"),
    Parameter("K_lactate", 5.0, "mM", "circ_pollak", 3, 10, "lactate of the mixture felt as fatigue"),
    Parameter("K_acid", 50.1, "nM", "circ_pollak", 45, 63, "hydrogen ion of that mixture, pH 7.3"),
    Parameter("K_atp", 400.0, "nM", "circ_pollak", 300, 500, "ATP of that mixture"),
    Parameter("metabolic_q_10", 3.0, "1", "assumed", 1.5, 4,
              "metabolic rate ratio per 10 degC, so that cooled muscle needs less as it gets less"),
    Parameter("metabolic_gain", 4.0, "1", "assumed", 1, 10, "rise of metabolite production at full load"),
    Parameter("oxygen_rest", 0.5, "1", "assumed", 0.3, 0.7, "tissue oxygen as a share of arterial, at rest"),
    Parameter("k_O_per_minute", 0.5, "1/min", "assumed", 0.2, 1.5, "oxygen supply at resting flow"),
    Parameter("K_oxygen", 0.2, "1", "assumed", 0.01, 0.5, "oxygen at which uptake halves"),
    Parameter("warm_hz_max", 4.0, "Hz", "circ_heat_lbp", 0, 12,
              "surround firing of warm skin afferents at most; with it 45 degC relieves 0.7 of 10 more than 37 degC"),
    Parameter("warm_half_degC", 5.0, "degC", "assumed", 2, 8, "skin warming of half that firing"),
)

STATES = (
    State("cgrp_release", "1", "CGRP released by needled afferents"),
    State("vasodilation", "1", "neurogenic vasodilation"),
    State("nitric_oxide", "1", "NO and other local vasodilators"),
    State("cold_constriction", "1", "cold vasoconstriction"),
    State("lactate", "mM", "interstitial lactate"),
    State("acid", "nM", "interstitial hydrogen ion"),
    State("atp", "nM", "interstitial ATP"),
    State("oxygen", "1", "tissue oxygen, share of arterial"),
    State("skin_temperature", "degC", "skin, deviation from baseline", positive=False),
    State("shallow_temperature", "degC", "muscle 1 cm under the fat, deviation", positive=False),
    State("deep_temperature", "degC", "muscle 3 cm under the fat, deviation", positive=False),
)

WRITES = (
    Signal("flow", "1", 1.0, "muscle blood flow over rest"),
    Signal("hypoxia", "1", 0.0, "lack of oxygen, share of rest"),
    Signal("ischaemic_source", "1", 1.0, "ischaemic drive, 1 in the untreated reference patient"),
    Signal("warm_drive", "0-1", 0.0, "drive of warm skin afferents, share of the largest"),
    Signal("warm_afferents", "Hz", 0.0, "firing of warm skin afferents"),
)


def flow_under(u: Values, p: Values) -> Any:
    """Relative flow (1 + V + N) q^(T/10) (1 - Z); q acts under warming, Z holds all that cold does to flow."""
    dilated = 1.0 + u.vasodilation + u.nitric_oxide
    warmed = jnp.exp(jnp.log(p.q_10) * jnp.maximum(u.shallow_temperature, 0.0) / 10.0)
    return dilated * warmed * (1.0 - u.cold_constriction)


def _ischaemia(lactate: Any, acid: Any, atp: Any, p: Values) -> Any:
    return saturation((lactate / p.K_lactate) * (acid / p.K_acid) * (atp / p.K_atp), 1.0)


def signals(u: Values, p: Values, x: Values, s: Values) -> dict[str, Any]:
    """Flow, hypoxia, ischaemic drive (product of metabolites: one alone is silent) and warm afferents."""
    warm = jnp.square(jnp.maximum(u.skin_temperature, 0.0))
    warm_drive = saturation(warm, p.warm_half_degC**2)
    at_rest = _ischaemia(p.lactate_rest, p.acid_rest, p.atp_rest, p)
    return {
        "flow": flow_under(u, p),
        "hypoxia": jnp.maximum(1.0 - u.oxygen / p.oxygen_rest, 0.0),
        "ischaemic_source": _ischaemia(u.lactate, u.acid, u.atp, p) / at_rest,
        "warm_drive": warm_drive,
        "warm_afferents": p.warm_hz_max * warm_drive,
    }


def rates(u: Values, p: Values, x: Values, s: Values) -> dict[str, tuple[Any, Any]]:
    """Vasodilators, temperature network, washout, oxygen (per minute, then per day)."""
    flow = flow_under(u, p)
    depth = x.needle_depth + p.superficial_gain * (1.0 - x.needle_depth)
    stimulus = x.needle_mechanical * depth * (1.0 - p.blunting)

    cooling = jnp.maximum(-u.shallow_temperature, 0.0)
    constricting = cooling / (p.z_half_degC * p.tau_cold_minutes)

    conduction = 1.0 / (p.through_muscle_minutes + p.through_fat_minutes_per_mm * p.fat_mm)
    perfusion = jnp.where(u.skin_temperature > 0.0, p.w_heat_per_minute, p.w_cold_per_minute)
    k_skin = x.skin_contact / p.tau_skin_on_minutes + (1.0 - x.skin_contact) / p.tau_skin_off_minutes

    local = p.a_N * stimulus * (1.0 - x.no_block)

    washout = p.k_w_per_minute * flow
    metabolism = ((1.0 + p.metabolic_gain * x.load)
                  * jnp.exp(jnp.log(p.metabolic_q_10) * u.shallow_temperature / 10.0))
    made = p.k_w_per_minute * metabolism
    supply = p.k_O_per_minute * flow
    uptake = p.k_O_per_minute * (1.0 - p.oxygen_rest) / p.oxygen_rest * (p.oxygen_rest + p.K_oxygen)

    per_minute = {
        "cgrp_release": (p.a_C * (stimulus + x.antidromic) * (1.0 - x.cgrp_block), 1.0 / p.tau_1_minutes),
        "vasodilation": (u.cgrp_release / p.tau_2_minutes, 1.0 / p.tau_2_minutes),
        "nitric_oxide": (local, 1.0 / p.tau_N_minutes + local / p.N_max),
        "cold_constriction": (constricting * p.z_max, constricting + 1.0 / p.tau_release_minutes),
        "lactate": (made * (p.lactate_rest - p.lactate_arterial) + washout * p.lactate_arterial, washout),
        "acid": (made * (p.acid_rest - p.acid_arterial) + washout * p.acid_arterial, washout),
        "atp": (made * (p.atp_rest - p.atp_arterial) + washout * p.atp_arterial, washout),
        "oxygen": (supply, supply + uptake * metabolism / (u.oxygen + p.K_oxygen)),
        "skin_temperature": (x.skin_contact * x.skin_step / p.tau_skin_on_minutes, k_skin),
        "shallow_temperature": (conduction * u.skin_temperature, conduction + perfusion),
        "deep_temperature": (p.to_deep_per_minute * u.shallow_temperature, p.to_deep_per_minute + perfusion),
    }
    return {name: (MINUTES_PER_DAY * a, MINUTES_PER_DAY * b) for name, (a, b) in per_minute.items()}


def rest(p: Values, s: Values) -> dict[str, Any]:
    """Resting flow, metabolites and oxygen; no deviation of temperature."""
    quiet = {state.name: 0.0 for state in STATES}
    return quiet | {"lactate": p.lactate_rest, "acid": p.acid_rest, "atp": p.atp_rest, "oxygen": p.oxygen_rest}


CIRCULATION = Room("circulation", "Local blood circulation", STATES, PARAMETERS, WRITES, signals, rates, rest)
