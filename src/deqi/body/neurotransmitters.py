"""Theory 2, neurotransmitter regulation: opioid, monoamine, adenosine and CCK signals driven by the needle.

Fast clock: one 23-min constant carries rise and fall of the threshold in man. Slow clock: tolerance (days) and a
carry-over per session whose size only trials can fix. Adenosine acts locally; monoamine acts through descending
inhibition in the gate; mu, kappa and adenosine analgesia multiply at the read-out. Needle number enters only through
the segments it recruits (`needle_number_human`), so local and distal drive combine as independent routes.
"""

from __future__ import annotations

from math import log
from typing import Any

import jax.numpy as jnp

from .functions import power, saturation
from .theory import MINUTES_PER_DAY, Parameter, Room, Signal, State, Values

PARAMETERS = (
    Parameter("tau_s_minutes", 23.1, "min", "ht_pt_offset_halflife", 15, 35, "peptide signal; 16 min half-life"),
    Parameter("rho", 0.26, "fold/min", "assumed", 0.03, 1.5,
              "nucleotide release; gives a 5-fold adenosine excess at 30 min in man (1-10 is possible); 1.27 in the "
              "mouse gives 23"),
    Parameter("nucleotide_half_life_minutes", 10.0, "min", "ado_fold_mouse", 5, 15,
              "tissue removal, slow enough that blocking deaminase triples the duration"),
    Parameter("adenosine_half_life_minutes", 12.0, "min", "ado_fold_mouse", 10, 15, "tissue removal of adenosine"),
    Parameter("rho_exercise", 0.30, "fold/min", "assumed", 0.1, 0.6,
              "release at full aerobic intensity; light exercise gives about a 5-fold rise"),
    Parameter("A50", 2.5, "fold", "ado_fold_mouse", 0.5, 9, "adenosine excess of half effect"),
    Parameter("K_caffeine_mg_per_kg", 20.0, "mg/kg", "caf_chronic_high", 4, 70, "caffeine dose that doubles A50"),
    Parameter("eta", 0.06, "1", "assumed", 0, 0.5, "mu drive by local adenosine"),
    Parameter("tau_M_minutes", 30.0, "min", "nac_5ht_timecourse", 20, 45, "monoamine signal"),
    Parameter("th_P", 0.25, "1", "assumed", 0, 0.5, "monoamine drive by mu peptide"),
    Parameter("th_u", 0.2, "1", "assumed", 0, 0.5, "monoamine drive by the needle itself"),
    Parameter("th_exercise", 0.3, "1", "assumed", 0, 0.6,
              "monoamine drive by full aerobic exercise (exercise-induced hypoalgesia, shown in healthy people)"),
    Parameter("tau_C_minutes", 600.0, "min", "tol_6h", 240, 720, "CCK-like anti-opioid"),
    Parameter("c_mu", 0.0106, "1/min", "tol_6h", 0.008, 0.023, "CCK drive by mu peptide"),
    Parameter("c_kappa", 0.0212, "1/min", "assumed", 0.008, 0.046, "CCK drive by kappa peptide; ratio 1:2 assumed"),
    Parameter("r_B", 0.01, "1/min", "assumed", 0.002, 0.05, "CSF beta-endorphin release, observed only"),
    Parameter("csf_half_life_minutes", 317.0, "min", "be_csf_halflife", 150, 600, "CSF beta-endorphin"),
    Parameter("tau_T_days", 2.0, "days", "assumed", 1, 3, "opioid tolerance, from daily against 3-day spacing"),
    Parameter("tolerance_gain", 0.2, "1 per 30 min", "assumed", 0, 2,
              "tolerance after a full 30-min session in man (4 in the rat)"),
    Parameter("E_mu", 0.10, "1", "pens_lbp_duration_15", 0.1, 0.5,
              "ceiling of mu analgesia; opioid sparing (0.32, tens_freq_2hz) is an upper anchor"),
    Parameter("E_kappa", 0.11, "1", "pens_lbp_duration_15", 0.1, 0.5,
              "ceiling of kappa analgesia; opioid sparing (0.35, tens_freq_100hz) is an upper anchor"),
    Parameter("E_M", 0.10, "1", "assumed", 0, 0.3, "share of the C drive that full descending monoamine removes"),
    Parameter("E_A", 0.10, "1", "assumed", 0, 0.3, "ceiling of adenosine analgesia"),
    Parameter("P50", 1.0, "1", "assumed", 0.3, 3, "mu signal of half effect"),
    Parameter("D50", 1.0, "1", "assumed", 0.3, 3, "kappa signal of half effect"),
    Parameter("K_mu_mg_per_kg", 0.0023, "mg/kg", "nal_mor_occupancy", 0.0015, 0.0035, "naloxone at mu receptors"),
    Parameter("K_kappa_mg_per_kg", 0.03, "mg/kg", "nal_dor_kor", 0.01, 0.03, "naloxone at kappa receptors"),
    Parameter("naloxone_proof", 0.5, "1", "assumed", 0.1, 1.0,
              "share of the low-frequency effect that naloxone does not reach in man; 0.15 in the rabbit"),
    Parameter("X50_minutes", 21.0, "min", "pens_lbp_duration_15", 15, 24, "session exposure of half relief"),
    Parameter("exposure_exponent", 6.0, "1", "pens_lbp_duration_30", 2, 8,
              "steepness of relief against session minutes"),
    Parameter("relief_per_session", 0.335, "1", "pens_lbp_duration_30", 0.1, 0.5, "relief after a long session"),
    Parameter("relief_of_visit", 0.01, "1", "pens_lbp_duration_0", 0, 0.2,
              "relief by the visit itself; with what insertion does to end plates, no current relieves 10 %"),
    Parameter("relief_by_warmth_per_hour", 0.2, "1/h", "circ_heat_lbp", 0, 0.5,
              "relief built up by full warm drive, so that heat is still felt 120 min after"),
    Parameter("tau_relief_days", 0.4, "days", "price1984_timecourse", 0.1, 1, "fading of the relief after a session"),
    Parameter("carry_over_per_session", 0.008, "1", "assumed", 0, 0.03,
              "lasting relief left by a full session; trials fix its size"),
    Parameter("tau_L_days", 12.0, "days", "price1984_timecourse", 7, 28, "fading of the carry-over; 10-14 days seen"),
    Parameter("alpha_mu", 112.0, "%", "ht_pt_plateau", 70, 140, "pain threshold rise per unit of mu signal"),
    Parameter("alpha_kappa", 112.0, "%", "assumed", 50, 140, "pain threshold rise per unit of kappa signal"),
    Parameter("alpha_M", 8.0, "%", "assumed", 0, 30, "pain threshold rise per unit of monoamine signal"),
    Parameter("meap_gain", 5.1, "fold", "csf_meap_2hz", 3, 8, "CSF enkephalin fragment per unit of mu signal"),
    Parameter("dynorphin_gain", 0.70, "fold", "csf_dyn_100hz", 0.4, 1.2, "CSF dynorphin per unit of kappa signal"),
)

STATES = (
    State("nucleotide", "fold", "nucleotide excess at the needle"),
    State("adenosine", "fold", "adenosine excess above baseline"),
    State("mu_peptide", "1", "mu/delta peptide signal"),
    State("kappa_peptide", "1", "kappa peptide signal"),
    State("monoamine", "1", "descending serotonin and noradrenaline"),
    State("cck", "1", "CCK-like anti-opioid"),
    State("csf_endorphin", "1", "CSF beta-endorphin, observed only"),
    State("mu_tolerance", "1", "slow tolerance of the mu channel"),
    State("kappa_tolerance", "1", "slow tolerance of the kappa channel"),
    State("session_relief", "1", "share of pain taken away after a session of needling or heat"),
    State("carry_over", "1", "share of pain taken away for weeks"),
)

WRITES = (
    Signal("fast_remainder", "1", 1.0, "share of pain left by mu, kappa and adenosine analgesia"),
    Signal("descending_monoamine", "1", 0.0, "descending inhibition carried by monoamine"),
    Signal("relief_remainder", "1", 1.0, "share of pain left by relief after sessions and carry-over"),
    Signal("mu_lost", "0-1", 0.0, "share of what mu receptors do that naloxone, CCK and tolerance take away"),
    Signal("threshold_rise", "%", 0.0, "rise of the pain threshold"),
    Signal("csf_meap", "fold", 1.0, "CSF met-enkephalin fragment"),
    Signal("csf_dynorphin", "fold", 1.0, "CSF dynorphin A"),
)


def _drive(x: Values) -> Any:
    return x.needle_local + x.needle_distal - x.needle_local * x.needle_distal


def _opposed(u: Values, x: Values) -> Any:
    return 1.0 + power(u.cck * (1.0 - x.cck_block), 3.0)


def _naloxone(p: Values, x: Values) -> Any:
    """Factor on the mu signal's half effect, a share of the effect being out of naloxone's reach."""
    return 1.0 + x.naloxone_mg_per_kg / p.K_mu_mg_per_kg


def signals(u: Values, p: Values, x: Values, s: Values) -> dict[str, Any]:
    """Analgesia (each 0 to 1), threshold and CSF read-outs."""
    opposed = _opposed(u, x)
    reach = p.E_mu * (1.0 - x.opioid)
    mu_half = p.P50 * opposed * (1.0 + u.mu_tolerance)
    e_mu = reach * ((1.0 - p.naloxone_proof) * saturation(u.mu_peptide, mu_half * _naloxone(p, x))
                    + p.naloxone_proof * saturation(u.mu_peptide, mu_half))
    kappa_half = p.D50 * opposed * (1.0 + u.kappa_tolerance) * (1.0 + x.naloxone_mg_per_kg / p.K_kappa_mg_per_kg)
    e_kappa = p.E_kappa * saturation(u.kappa_peptide, kappa_half)
    caffeine = 1.0 + x.caffeine_mg_per_kg / p.K_caffeine_mg_per_kg
    e_A = p.E_A * x.a1_receptor * saturation(u.adenosine, p.A50 * caffeine)
    blocked = 1.0 - x.monoamine_block
    mu = u.mu_peptide / (opposed * (1.0 + u.mu_tolerance)) * (1.0 - x.opioid)
    kappa = u.kappa_peptide / (opposed * (1.0 + u.kappa_tolerance))
    return {
        "fast_remainder": (1.0 - e_mu) * (1.0 - e_kappa) * (1.0 - e_A),
        "descending_monoamine": p.E_M * saturation(u.monoamine, 1.0) * blocked,
        "relief_remainder": (1.0 - u.session_relief) * (1.0 - u.carry_over),
        "mu_lost": 1.0 - (1.0 - saturation(x.naloxone_mg_per_kg, p.K_mu_mg_per_kg))
        / (opposed * (1.0 + u.mu_tolerance)),
        "threshold_rise": p.alpha_mu * mu + p.alpha_kappa * kappa + p.alpha_M * u.monoamine * blocked,
        "csf_meap": 1.0 + p.meap_gain * u.mu_peptide,
        "csf_dynorphin": 1.0 + p.dynorphin_gain * u.kappa_peptide,
    }


def rates(u: Values, p: Values, x: Values, s: Values) -> dict[str, tuple[Any, Any]]:
    """Release by the needle, conversion, decay (per minute, then per day)."""
    drive = _drive(x)
    tau_s, tau_M, tau_C = p.tau_s_minutes, p.tau_M_minutes, p.tau_C_minutes
    k_N = log(2.0) / p.nucleotide_half_life_minutes
    k_A = log(2.0) / p.adenosine_half_life_minutes
    a = saturation(u.adenosine, p.A50 * (1.0 + x.caffeine_mg_per_kg / p.K_caffeine_mg_per_kg)) * x.a1_receptor
    per_minute = {
        "nucleotide": (p.rho * x.needle_local + p.rho_exercise * x.aerobic, k_N),
        "adenosine": (k_N * u.nucleotide, k_A * (1.0 - x.deaminase_block)),
        "mu_peptide": ((x.mu_weight * drive + p.eta * a) / tau_s, 1.0 / tau_s),
        "kappa_peptide": (x.kappa_weight * drive / tau_s, 1.0 / tau_s),
        "monoamine": ((p.th_P * u.mu_peptide + p.th_u * drive + p.th_exercise * x.aerobic) / tau_M, 1.0 / tau_M),
        "cck": (p.c_mu * u.mu_peptide + p.c_kappa * u.kappa_peptide, 1.0 / tau_C),
        "csf_endorphin": (p.r_B * u.mu_peptide, log(2.0) / p.csf_half_life_minutes),
    }
    warmth = 24.0 * p.relief_by_warmth_per_hour * s.warm_drive
    tolerance = p.tolerance_gain * MINUTES_PER_DAY / 30.0
    per_day = {
        "mu_tolerance": (tolerance * u.mu_peptide, 1.0 / p.tau_T_days),
        "kappa_tolerance": (tolerance * u.kappa_peptide, 1.0 / p.tau_T_days),
        "session_relief": (warmth, warmth + 1.0 / p.tau_relief_days),
        "carry_over": (0.0, 1.0 / p.tau_L_days),
    }
    return {name: (MINUTES_PER_DAY * a, MINUTES_PER_DAY * b) for name, (a, b) in per_minute.items()} | per_day


def jump(u: Values, p: Values, session: Values) -> dict[str, Any]:
    """Relief and carry-over left by a session through its exposure H_s = X^h / (X50^h + X^h)."""
    X = power(session.effective_minutes / p.X50_minutes, p.exposure_exponent)
    H_s = X / (1.0 + X)
    visit = p.relief_of_visit * jnp.maximum(session.context_visit, 0.0)
    relief = 1.0 - (1.0 - visit) * (1.0 - p.relief_per_session * H_s)
    lasting = p.carry_over_per_session * H_s / (1.0 + u.mu_tolerance + u.kappa_tolerance)
    return {
        "session_relief": u.session_relief + relief * (1.0 - u.session_relief),
        "carry_over": u.carry_over + lasting * (1.0 - u.carry_over),
    }


def rest(p: Values, s: Values) -> dict[str, Any]:
    """Nothing is released before care."""
    return {state.name: 0.0 for state in STATES}


NEUROTRANSMITTERS = Room("neurotransmitters", "Neurotransmitter regulation", STATES, PARAMETERS, WRITES,
                         signals, rates, rest, jump)
