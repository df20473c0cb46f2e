"""The course of the episode: tissue that heals at its own pace, and the response to the context of care.

Healing is exponential in each person, towards a share that does not heal; with rates that differ between people as a
gamma distribution the mean is a power law in time. The context response approaches its plateau at each
person's rate; with exponentially distributed rates the mean is t/(ET50 + t), the shape of acupuncture and placebo arms.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from .theory import Parameter, Room, Signal, State, Values

PARAMETERS = (
    Parameter("healing_rate_per_day", 0.002, "1/day", "wallwork2024_persistent_pain", 0, 0.3,
              "healing of the painful tissue in this person"),
    Parameter("healing_floor", 0.5, "1", "downie2016_trajectories", 0, 1,
              "share of the tissue's drive that does not heal in this person"),
    Parameter("healing_by_flow", 0.0, "1", "assumed", -0.3, 0.3, "quickening of healing per unit of flow above rest"),
    Parameter("context_plateau", 0.8, "log", "gerac2007_cpgs_pain_sd", -1.5, 4.5,
              "fall of the log of pain at the plateau of the response to a context of strength 1"),
    Parameter("context_rate_per_day", 0.03, "1/day", "gerac2007_cpgs_pain_sd", 0.0005, 0.5,
              "approach to that plateau; exponentially distributed between people with mean 1/ET50"),
    Parameter("context_naloxone_share", 0.5, "1", "placebo_nal_partial", 0.2, 0.9,
              "share of the context response that naloxone reaches"),
    Parameter("K_mu_mg_per_kg", 0.0023, "mg/kg", "nal_mor_occupancy", 0.0015, 0.0035, "naloxone at mu receptors"),
)

STATES = (
    State("tissue", "1", "nociception from the painful tissue, 1 on the day of assessment"),
    State("context", "log", "response to the context of care", positive=False),
)

WRITES = (
    Signal("tissue_source", "1", 1.0, "tissue nociception over that of the reference patient"),
    Signal("context_effect", "log", 0.0, "fall of the log of pain by context"),
)


def signals(u: Values, p: Values, x: Values, s: Values) -> dict[str, Any]:
    """Tissue drive, and the context response with its naloxone-sensitive share."""
    reached = p.context_naloxone_share * x.naloxone_mg_per_kg / (x.naloxone_mg_per_kg + p.K_mu_mg_per_kg)
    return {"tissue_source": u.tissue, "context_effect": u.context * (1.0 - reached)}


def rates(u: Values, p: Values, x: Values, s: Values) -> dict[str, tuple[Any, Any]]:
    """Healing, quickened by flow or not; approach of the context response to strength times plateau."""
    healing = p.healing_rate_per_day * jnp.maximum(1.0 + p.healing_by_flow * (s.flow - 1.0), 0.0)
    return {
        "tissue": (healing * p.healing_floor, healing),
        "context": (p.context_rate_per_day * p.context_plateau * x.context_strength, p.context_rate_per_day),
    }


def rest(p: Values, s: Values) -> dict[str, Any]:
    """The tissue as it is today; no response yet."""
    return {"tissue": 1.0, "context": 0.0}


COURSE = Room("course", "Course of the episode", STATES, PARAMETERS, WRITES, signals, rates, rest)
