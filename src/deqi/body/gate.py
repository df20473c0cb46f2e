"""Theory 1, the pain gate: the dorsal horn as the link from nociception to the signal that reaches the brain.

Steady-state reduction of the dorsal-horn network of Zhang, Janik and Grill 2014 (ModelDB 168414): 18 parameters
fitted to 45 runs of the published network (R2 0.970). Descending inhibition, the residual firing and the slow gain
are additions, each marked. Absolute rates mean nothing in man: only the ratio to the reference is passed on.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from .functions import power, saturation, softplus
from .theory import Parameter, Room, Signal, State, Values

_FIT = "surrogate_parameters"  # fitted to 45 runs of the network (zhang_ss_*)

PARAMETERS = (
    Parameter("MI", 180.8, "Hz", _FIT, 90, 360, "maximum of local A-beta inhibition"),
    Parameter("KI", 44.16, "Hz", _FIT, 22, 88, "A-beta rate of half that inhibition"),
    Parameter("MJ", 122.7, "Hz", _FIT, 61, 245, "maximum of surround inhibition"),
    Parameter("KJ", 31.43, "Hz", _FIT, 16, 63, "surround rate of half that inhibition"),
    Parameter("nJ", 1.266, "1", _FIT, 1, 2, "steepness of surround inhibition"),
    Parameter("aC", 66.2, "1", _FIT, 33, 132, "C drive on the excitatory interneurone"),
    Parameter("wI", 2.401, "1", _FIT, 1.2, 4.8, "local inhibition of the interneurone"),
    Parameter("wJ", 2.534, "1", _FIT, 1.3, 5.1, "surround inhibition of the interneurone"),
    Parameter("FE", 524.5, "Hz", _FIT, 262, 1049, "ceiling of the interneurone"),
    Parameter("bE", 59.52, "Hz", _FIT, 30, 119, "softness of the interneurone's threshold"),
    Parameter("wE", 1.07, "1", _FIT, 0.5, 2.1, "interneurone on projection cell"),
    Parameter("wB", 29.3, "1", _FIT, 15, 59, "A-beta on projection cell"),
    Parameter("wA", 32.37, "1", _FIT, 16, 65, "A-delta on projection cell"),
    Parameter("vI", 13.69, "1", _FIT, 7, 27, "local inhibition of the projection cell"),
    Parameter("vJ", 2.983, "1", _FIT, 1.5, 6, "surround inhibition of the projection cell"),
    Parameter("theta", 42.02, "Hz", _FIT, 21, 84, "threshold of the projection cell"),
    Parameter("FP", 205.7, "Hz", _FIT, 103, 411, "ceiling of the projection cell"),
    Parameter("bP", 1.895, "Hz", _FIT, 0.9, 3.8, "softness of the projection cell's threshold"),
    Parameter("residual", 1.5, "1", "zhang_ss_C5_B20_D0_S0_k1", 0, 4,
              "direct C drive on the projection cell that only the surround closes, so that remission keeps a "
              "gradient; least squares over Zhang's runs (RMSE 10.2 Hz without it, 9.9 with it)"),
    Parameter("surround_recruited", 1.0, "1", "ea_wdr_inhibition_seg_low", 0.2, 3.0,
              "share of the surround that a needle's A-beta volleys recruit; set to 1 in the published network"),
    Parameter("d_descending", 0.3, "1", "cpm_healthy_during", 0.1, 0.5,
              "share of the C drive that painful stimulation elsewhere removes in man; 0.78 in the rat"),
    Parameter("conditioning", 0.6, "1", "lbp_cpm_smd", 0.2, 1.0,
              "conditioned modulation in chronic low back pain as a share of the healthy response"),
    Parameter("conditioning_opioid", 0.3, "1", "dnic_by_needling_acupoint", 0.05, 0.8,
              "share of conditioned modulation that needs mu receptors; naloxone reduces it"),
    Parameter("depression_opioid", 0.8, "1", "ltd_ea2hz_neuropathic", 0.3, 1.0,
              "share of slow depression that needs mu receptors; naloxone blocks it in the rat"),
    Parameter("tau_gain_days", 0.296, "days", "human_hfs_halflife_2011", 0.2, 0.42,
              "7.1 h: half-life 4.9 h of the slow gain"),
    Parameter("a_ltp", 12.0, "1/day", "human_hfs_homotopic_2004", 3, 48,
              "potentiation at an excess of one reference drive; 5 s at 100 Hz raise pain by 27 % in man"),
    Parameter("C_star", 1.5, "1", "assumed", 1.2, 2.5,
              "drive at which potentiation starts, in own resting drives, or in reference drives where those are more"),
    Parameter("a_ltd", 33.0, "1/day", "human_ltd_homotopic_2008", 8, 66,
              "30 min of full drive take the gain half way from 1 to its floor, which lowers pain by 27-44 %"),
    Parameter("gain_low", 0.4, "1", "ltd_adelta_slice", 0.3, 0.6, "floor of the slow gain"),
    Parameter("gain_high", 2.0, "1", "assumed", 1.5, 2.5, "ceiling of the slow gain"),
    Parameter("consolidation", 1.1, "1/day", "assumed", 0, 4,
              "rate at which the fast gain is written into the consolidated gain; its prior includes 0"),
    Parameter("tau_consolidated_days", 150.0, "days", "assumed", 28, 365, "fading of the consolidated gain"),
)

STATES = (
    State("gate_gain", "1", "fast part of the slow gain k (hours); 1 at rest"),
    State("consolidated_gain", "1", "slow part of the gain k (weeks to months); 1 at rest"),
)

WRITES = (
    Signal("output_ratio", "1", lambda s: s.c_drive / s.reference_drive,
           "projection output over that of the reference patient; without the gate the C drive in proportion"),
    Signal("gain", "1", 1.0, "slow gain k"),
    Signal("conditioned_inhibition", "1", 0.0, "share of the C drive removed by painful stimulation elsewhere"),
)


def output(C: Any, k: Any, B: Any, A: Any, S: Any, H: Any, p: Values) -> Any:
    """Projection output P in Hz for C, A-beta, A-delta and surround drive, gain k and descending inhibition H (0-1)."""
    I = p.MI * saturation(B, p.KI)
    J = p.MJ * power(S, p.nJ) / (power(S, p.nJ) + p.KJ ** p.nJ)
    open_share = 1.0 - H
    off = -p.wI * I - p.wJ * J
    u = jnp.maximum(softplus(p.aC * C * open_share + off, p.bE) - softplus(off, p.bE), 0.0)
    E = p.FE * saturation(u, p.FE)
    x = p.wE * k * E * open_share + p.wB * B + p.wA * A - p.vI * I - p.vJ * J - p.theta
    z = softplus(x, p.bP) + p.residual * C * open_share * k * jnp.exp(-p.vJ * J / p.theta)
    return p.FP * saturation(z, p.FP)


def drive_for(ratio: Any, reference: Any, p: Values) -> Any:
    """The C drive in Hz whose output at rest is `ratio` times that of the reference drive."""
    target = ratio * _resting(reference, p)

    def halve(_: int, ends: tuple[Any, Any]) -> tuple[Any, Any]:
        low, high = ends
        middle = 0.5 * (low + high)
        below = _resting(middle, p) < target
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    ends = jnp.zeros_like(target), jnp.full_like(target, 400.0)
    low, high = lax.stop_gradient(lax.fori_loop(0, 60, halve, ends))
    found = 0.5 * (low + high)
    # halving has no gradient; one Newton step, which moves nothing, gives it that of the implicit function
    slope = lax.stop_gradient(jax.jvp(lambda C: _resting(C, p), (found,), (jnp.ones_like(found),))[1])
    return found + (target - _resting(found, p)) / jnp.maximum(slope, 1e-6)


def _resting(C: Any, p: Values) -> Any:
    return output(C, 1.0, 0.0, 0.0, 0.0, 0.0, p)


def signals(u: Values, p: Values, x: Values, s: Values) -> dict[str, Any]:
    """Output ratio of the gate under the drives and inputs of the moment."""
    k = u.gate_gain * u.consolidated_gain
    conditioned = p.conditioning * x.needle_noxious * (1.0 - p.conditioning_opioid * s.mu_lost)
    H = 1.0 - (1.0 - p.d_descending * conditioned) * (1.0 - s.descending_monoamine)
    P = output(s.c_drive, k, x.a_beta, x.a_delta, p.surround_recruited * x.surround + s.warm_afferents, H, p)
    return {"output_ratio": P / _resting(s.reference_drive, p), "gain": k,
            "conditioned_inhibition": p.d_descending * conditioned}


def rates(u: Values, p: Values, x: Values, s: Values) -> dict[str, tuple[Any, Any]]:
    """Potentiation by unusually strong C drive, depression by slow noxious A-delta drive, fading, consolidation.

    dk/dt = -(k - 1)/tau + a_LTP ([C - C*]+ / C_ref)^2 (k_high - k) - a_LTD H N (k - k_low); the consolidated gain
    moves towards the same ends while the fast gain is away from 1, and fades over months. The square: seconds at
    100 Hz potentiate in man (`human_hfs_homotopic_2004`), hours at a few Hz do not.
    """
    threshold = p.C_star * jnp.maximum(s.resting_drive, s.reference_drive)
    ltp = p.a_ltp * jnp.square(jnp.maximum(s.c_drive - threshold, 0.0) / s.reference_drive)
    ltd = p.a_ltd * p.conditioning * x.ltd_drive * (1.0 - p.depression_opioid * s.mu_lost)
    fade, slow_fade = 1.0 / p.tau_gain_days, 1.0 / p.tau_consolidated_days
    up = p.consolidation * jnp.maximum(u.gate_gain - 1.0, 0.0)
    down = p.consolidation * jnp.maximum(1.0 - u.gate_gain, 0.0)
    return {
        "gate_gain": (fade + ltp * p.gain_high + ltd * p.gain_low, fade + ltp + ltd),
        "consolidated_gain": (slow_fade + up * p.gain_high + down * p.gain_low, slow_fade + up + down),
    }


def rest(p: Values, s: Values) -> dict[str, Any]:
    """Both gains are 1 before any care."""
    return {"gate_gain": 1.0, "consolidated_gain": 1.0}


GATE = Room("gate", "Pain gate", STATES, PARAMETERS, WRITES, signals, rates, rest)
