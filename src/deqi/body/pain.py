"""Read-outs: pain on the numeric scale, disability, pressure pain threshold.

Pain is a logit-affine map of the gate's output, anchored at 6 in the reference patient, so that arm means are well
described on the logit scale. Fast analgesia, relief, carry-over and context multiply what is left, so that more pain
leaves more to relieve (`witt2019_effect_modifiers`).
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from .functions import logistic, logit
from .theory import Parameter, Room, Signal, State, Values

ANCHOR_NRS = 6.0

PARAMETERS = (
    Parameter("slope", 5.0, "log-odds", "assumed", 3.5, 6.5,
              "log-odds of pain per unit of relative gate output; no output leaves about 0.1 of 10"),
    Parameter("sleep_slope", 0.17, "log-odds/item", "assumed", 0, 0.4,
              "pain after worse sleep; 0.4 NRS per item near the anchor, 2.08 is the upper bound"),
    Parameter("disability_per_nrs", 6.0, "points/NRS", "gerac2007_hfaq_sd", 4, 10,
              "change of disability (0-100) with pain; 5 in exercise trials, 9 in GERAC"),
    Parameter("disability_intercept", 10.0, "points", "assumed", -80, 100, "what else disables (set by anchoring)"),
    Parameter("tau_disability_days", 14.0, "days", "assumed", 7, 21, "lag of disability behind pain"),
)

STATES = (State("disability", "0-100", "latent disability"),)

WRITES = (
    Signal("nrs", "0-10", ANCHOR_NRS, "pain now"),
    Signal("pressure_pain_threshold", "ratio", 1.0, "pressure pain threshold over its value before care"),
)


def output_ratio_for(nrs: Any, p: Values) -> Any:
    """The gate output, relative to the reference, that is felt as `nrs` while nothing else acts."""
    return 1.0 + (logit(nrs / 10.0) - logit(jnp.asarray(ANCHOR_NRS / 10.0))) / p.slope


def signals(u: Values, p: Values, x: Values, s: Values) -> dict[str, Any]:
    """Pain and pressure pain threshold; the gate takes conditioned inhibition off twice, on C and on its relay."""
    log_odds = logit(jnp.asarray(ANCHOR_NRS / 10.0)) + p.slope * (s.output_ratio - 1.0)
    felt = 10.0 * logistic(log_odds + p.sleep_slope * x.poor_sleep)
    left = s.fast_remainder * s.relief_remainder * jnp.exp(-s.context_effect)
    return {
        "nrs": jnp.minimum(felt * left, 10.0),
        "pressure_pain_threshold": (1.0 + 0.01 * s.threshold_rise)
        / (s.nociceptor_gain * s.gain * jnp.square(1.0 - s.conditioned_inhibition)),
    }


def rates(u: Values, p: Values, x: Values, s: Values) -> dict[str, tuple[Any, Any]]:
    """Disability follows pain with a lag, within 0 to 100."""
    target = p.disability_intercept + p.disability_per_nrs * s.nrs
    return {"disability": (jnp.clip(target, 0.0, 100.0) / p.tau_disability_days, 1.0 / p.tau_disability_days)}


def rest(p: Values, s: Values) -> dict[str, Any]:
    """Disability in balance with the pain of the day."""
    return {"disability": jnp.clip(p.disability_intercept + p.disability_per_nrs * s.nrs, 0.0, 100.0)}


PAIN = Room("pain", "Pain and disability", STATES, PARAMETERS, WRITES, signals, rates, rest)
