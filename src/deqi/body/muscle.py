"""Theory 5, muscle relaxation: trigger-point activity, guarding, stretch, training, and fatigue inside a bout.

The pain-spasm-pain loop through the gamma system has gain 0 (`spindle_pain`). Guarding follows pain, fear and what
has been learned; training quietens fear through `maintenance`, not through strength, because strength gained does
not explain pain lost (`steiger_no_mediation`). Fatigue is the three-compartment controller 3CC-r.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from .theory import MINUTES_PER_DAY, Parameter, Room, Signal, State, Values

SECONDS_PER_DAY = 86400.0

PARAMETERS = (
    Parameter("E_0", 1.0, "1", "epn_acu", 0.2, 2, "untreated end-plate activity; 1 is 21 uV of end-plate noise"),
    Parameter("e_O", 0.5, "1", "assumed", 0, 1.5, "rise of end-plate activity with hypoxia"),
    Parameter("tau_E_days", 7.0, "days", "assumed", 3, 14, "return of end-plate activity"),
    Parameter("k_E", 0.81, "1", "epn_acu", 0.3, 1.3, "fall of end-plate activity per session, exponent"),
    Parameter("dA", 0.27, "1", "vfr_acu", 0.1, 0.4, "fall of motoneuron excitability per session"),
    Parameter("sustained_minutes", 5.0, "min", "hreflex_time", 2, 15,
              "effective minutes of a session for half of that fall; short needling does nothing"),
    Parameter("tau_A_minutes", 60.0, "min", "hreflex_time", 30, 180, "return of motoneuron excitability"),
    Parameter("g_pain", 0.45, "1", "guard_exp_pain", 0.2, 0.6, "share of guarding that follows the pain of the moment"),
    Parameter("g_fear", 0.25, "1", "assumed", 0.1, 0.5, "share that follows fear"),
    Parameter("g_learned", 0.30, "1", "frr_smd", 0.1, 0.5, "share that is learned"),
    Parameter("fear", 1.0, "1", "assumed", 0, 2.5, "fear of movement over its mean in chronic low back pain"),
    Parameter("learned", 1.0, "0-1", "frr_smd", 0, 1, "1 in chronic pain, 0 in acute pain and in health"),
    Parameter("P_0", 6.0, "NRS", "assumed", 4, 7, "pain at which guarding is that of the reference patient"),
    Parameter("tau_G_days", 14.0, "days", "assumed", 3, 60, "change of guarding by fear and by what is learned"),
    Parameter("tau_reflex_minutes", 5.0, "min", "guard_exp_pain", 1, 20,
              "guarding that comes and goes with the pain of the moment; gone when a test pain ends"),
    Parameter("fear_quietened", 0.5, "1", "ex_who", 0, 0.9, "share of fear that regular training takes away"),
    Parameter("k_guarding", 0.11, "1", "myo_stiff_cLBP", 0.05, 0.15, "stiffness per unit of guarding"),
    Parameter("k_endplate", 0.04, "1", "myo_stiff_healthy", 0, 0.1, "stiffness per unit of end-plate activity"),
    Parameter("stretch_step", 0.39, "1", "stretch_swe_hi", 0.2, 0.6, "fall of stiffness by an intense stretch"),
    Parameter("tau_V_minutes", 3.0, "min", "stretch_recovery", 2, 5, "return of stiffness after a stretch"),
    Parameter("tau_stretch_minutes", 0.2, "min", "stretch_creep", 0.15, 0.27, "creep within a stretch, 12 s"),
    Parameter("tolerance_gain", 8.0, "deg", "stretch_recovery", 3, 15, "range of motion gained by an intense stretch"),
    Parameter("tau_T_minutes", 30.0, "min", "stretch_recovery", 10, 40, "loss of it; still there at 30 min, not at 60"),
    Parameter("flexibility_per_minute", 0.13, "deg/min", "stretch_4wk", 0.03, 0.5,
              "lasting range of motion per minute of an intense stretch; 17 degrees in four weeks of daily stretching"),
    Parameter("tau_flexibility_days", 60.0, "days", "assumed", 20, 180, "loss of that range"),
    Parameter("phi", 0.127, "1", "lumbar_train_freq", 0.08, 0.2, "capacity gained per session"),
    Parameter("refractory_days", 7.0, "days", "lumbar_train_freq", 4, 10, "refractory constant between sessions"),
    Parameter("tau_C_days", 57.4, "days", "lumbar_detrain", 40, 80, "loss of capacity without training, 8.2 weeks"),
    Parameter("tau_m_days", 56.0, "days", "lumbar_detrain", 30, 80, "loss of maintenance, 8 weeks"),
    Parameter("tau_S_days", 7.0, "days", "ffm_tau_default", 3, 15, "training soreness"),
    Parameter("soreness_per_load", 1.5, "1/day", "assumed", 0, 5, "soreness built up at full load"),
    Parameter("w_G", 0.55, "1", "assumed", 0.2, 0.8, "weight of guarding in the muscle's drive"),
    Parameter("w_E", 0.25, "1", "assumed", 0.05, 0.6, "weight of end-plate activity"),
    Parameter("w_q", 0.10, "1", "assumed", 0, 0.4, "weight of fatigue"),
    Parameter("w_S", 0.10, "1", "assumed", 0, 0.4, "weight of soreness"),
    Parameter("w_C", 0.02, "1", "steiger_no_mediation", 0, 0.1, "weight of capacity: about 0"),
    Parameter("F_per_second", 0.00970, "1/s", "fat_default_F", 0.0055, 0.017, "fatigue rate"),
    Parameter("R_per_second", 0.00091, "1/s", "fat_default_R", 0.0005, 0.0016, "recovery rate under load"),
    Parameter("rest_multiplier", 15.0, "1", "fat_rest_multiplier", 10, 20, "recovery at rest over that under load"),
    Parameter("tracking_per_second", 10.0, "1/s", "assumed", 5, 20, "recruitment and release; only needs to be fast"),
    Parameter("stiffness_epn_uV", 21.0, "uV", "epn_acu", 15, 27, "end-plate noise at activity 1"),
)

STATES = (
    State("endplate_activity", "1", "trigger-point activity, 1 untreated"),
    State("motor_excitability", "1", "deviation of motoneuron excitability", positive=False),
    State("guarding", "1", "guarding by fear and by what is learned"),
    State("guarding_reflex", "1", "guarding by the pain of the moment"),
    State("viscoelastic", "1", "deviation of stiffness after a stretch, share", positive=False),
    State("stretch_tolerance", "deg", "gain of range of motion after a stretch"),
    State("flexibility", "deg", "lasting gain of range of motion by regular stretching"),
    State("capacity", "0-1", "trunk capacity above untrained"),
    State("maintenance", "0-1", "how recently trained"),
    State("soreness", "1", "training soreness"),
    State("active", "0-1", "share of motor units active (3CC)"),
    State("fatigued", "0-1", "share of motor units fatigued (3CC)"),
)

WRITES = (
    Signal("muscle_source", "1", 1.0, "musculoskeletal drive, 1 in the untreated reference patient"),
    Signal("stiffness", "1", 1.15, "stiffness over that of healthy muscle"),
    Signal("endplate_noise", "uV", 21.0, "end-plate noise"),
    Signal("total_guarding", "1", 1.0, "guarding, 1 in the mean patient with chronic pain, 0 in health"),
    Signal("range_of_motion", "deg", 0.0, "range of motion gained"),
)


def signals(u: Values, p: Values, x: Values, s: Values) -> dict[str, Any]:
    """Drive to the gate and observables."""
    guarding = u.guarding + u.guarding_reflex
    drive = (p.w_G * guarding + p.w_E * u.endplate_activity + p.w_q * u.fatigued + p.w_S * u.soreness
             - p.w_C * u.capacity)
    return {
        "muscle_source": jnp.maximum(drive, 0.0) / (p.w_G + p.w_E),
        "stiffness": 1.0 + p.k_guarding * guarding + p.k_endplate * u.endplate_activity + u.viscoelastic,
        "endplate_noise": p.stiffness_epn_uV * u.endplate_activity,
        "total_guarding": guarding,
        "range_of_motion": u.stretch_tolerance + u.flexibility,
    }


def _learned_guarding(maintenance: Any, excitability: Any, p: Values) -> Any:
    fear = p.fear * (1.0 - p.fear_quietened * maintenance)
    return (p.g_fear * fear + p.g_learned * p.learned) * jnp.maximum(1.0 + excitability, 0.0)


def _reflex_guarding(pain: Any, excitability: Any, p: Values) -> Any:
    return p.g_pain * pain / p.P_0 * jnp.maximum(1.0 + excitability, 0.0)


def rates(u: Values, p: Values, x: Values, s: Values) -> dict[str, tuple[Any, Any]]:
    """Trigger point, guarding, stretch, capacity, soreness and the three compartments of fatigue."""
    k_A = MINUTES_PER_DAY / p.tau_A_minutes
    k_reflex = MINUTES_PER_DAY / p.tau_reflex_minutes
    k_V = MINUTES_PER_DAY * (x.stretch / p.tau_stretch_minutes + 1.0 / p.tau_V_minutes)
    k_T = MINUTES_PER_DAY * (x.stretch / p.tau_stretch_minutes + 1.0 / p.tau_T_minutes)
    stretched = MINUTES_PER_DAY * x.stretch / p.tau_stretch_minutes

    track = SECONDS_PER_DAY * p.tracking_per_second
    fatigue = SECONDS_PER_DAY * p.F_per_second
    recovery = SECONDS_PER_DAY * p.R_per_second * jnp.where(u.active >= x.load, p.rest_multiplier, 1.0)
    # with no fresh unit left, active + fatigued is steady: F a is split into F (a + q) - F q
    exhausted = jnp.where(x.load > 1.0 - u.fatigued, 1.0, 0.0)
    return {
        "endplate_activity": (p.E_0 * (1.0 + p.e_O * s.hypoxia) / p.tau_E_days, 1.0 / p.tau_E_days),
        "motor_excitability": (0.0, k_A),
        "guarding": (_learned_guarding(u.maintenance, u.motor_excitability, p) / p.tau_G_days, 1.0 / p.tau_G_days),
        "guarding_reflex": (_reflex_guarding(s.nrs, u.motor_excitability, p) * k_reflex, k_reflex),
        "viscoelastic": (-stretched * p.stretch_step * x.stretch, k_V),
        "stretch_tolerance": (stretched * p.tolerance_gain * x.stretch, k_T),
        "flexibility": (MINUTES_PER_DAY * p.flexibility_per_minute * x.stretch, 1.0 / p.tau_flexibility_days),
        "capacity": (0.0, jnp.maximum(1.0 - u.maintenance, 0.0) / p.tau_C_days),
        "maintenance": (0.0, 1.0 / p.tau_m_days),
        "soreness": (p.soreness_per_load * x.load, 1.0 / p.tau_S_days),
        "active": (track * jnp.maximum(jnp.minimum(x.load, 1.0 - u.fatigued), 0.0), track + fatigue),
        "fatigued": (fatigue * (u.active + exhausted * u.fatigued), recovery + fatigue * exhausted),
    }


def jump(u: Values, p: Values, session: Values) -> dict[str, Any]:
    """A needling session quietens end plates and motoneurons; a training session builds capacity."""
    d = session.needle_dose
    minutes = jnp.square(session.effective_minutes / p.sustained_minutes)
    sustained = minutes / (1.0 + minutes)
    fresh = 1.0 - jnp.exp(-session.days_since_training / p.refractory_days)
    trained = jnp.minimum(session.training, 1.0)
    return {
        "endplate_activity": u.endplate_activity * jnp.exp(-p.k_E * d),
        "motor_excitability": u.motor_excitability - p.dA * d * sustained * (1.0 + u.motor_excitability),
        "capacity": u.capacity + session.training * p.phi * fresh * (1.0 - u.capacity),
        "maintenance": u.maintenance + trained * (1.0 - u.maintenance),
    }


def rest(p: Values, s: Values) -> dict[str, Any]:
    """Untreated end plates, guarding in balance with the pain of the day, untrained."""
    quiet = {state.name: 0.0 for state in STATES}
    return quiet | {"endplate_activity": p.E_0 * 1.0, "guarding": _learned_guarding(0.0, 0.0, p),
                    "guarding_reflex": _reflex_guarding(s.nrs, 0.0, p)}


MUSCLE = Room("muscle", "Muscle relaxation", STATES, PARAMETERS, WRITES, signals, rates, rest, jump)

