"""The quadrature set: the same few, evenly spread patients under every arm (common random numbers)."""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv

from ..population.averages import averages, priors
from ..population.coordinates import Coordinates
from ..population.readout import mean_flare_hours
from .reduced import Places

PATIENTS = 128
SHAPES, FLOORS = 9, 9
REACH = 3.5
"""How far the tables of quantiles reach, in prior spreads."""


def places_of(coordinates: Coordinates) -> Places:
    """What the reduced model needs of a quadrature set."""
    read_out, people = priors()["read_out"], priors()["people"]
    prior = {average.name: average for average in averages()}
    shape = prior["healing_shape"]
    log_shape = np.log(shape.centre) + REACH * shape.spread * np.linspace(-1.0, 1.0, SHAPES)
    floors = [prior[f"healing_floor_{phase}"] for phase in ("acute", "subacute", "chronic")]
    ends = [np.log(f.centre / (1.0 - f.centre)) + side * REACH * f.spread for f in floors for side in (-1, 1)]
    logit_floor = np.linspace(min(ends), max(ends), FLOORS)
    c = people["healing_floor_concentration"]["value"]
    mean = 1.0 / (1.0 + np.exp(-logit_floor))
    return Places(
        spell=coordinates.normal("spell"),
        spell_factor=coordinates.factor("spell_sd", read_out["spell_sd_spread"]["value"]),
        plateau=coordinates.normal("context_plateau"), level=coordinates.normal("level"),
        day=coordinates.normal("day"), rate=coordinates.exponential("context_rate"),
        day_sd=read_out["day_sd"]["centre"] * coordinates.factor("day_sd", read_out["day_sd"]["spread"]),
        log_shape=log_shape,
        log_healing=np.stack([np.log(np.maximum(coordinates.gamma("healing", float(np.exp(s))), 1e-12))
                              for s in log_shape]),
        logit_floor=logit_floor,
        floor=np.stack([betaincinv(c * m, c * (1.0 - m), coordinates.place("floor")) for m in mean]),
    )


def flare_variance(phase: str) -> float:
    """Variance that flares leave in a week's average, NRS squared."""
    read_out = priors()["read_out"]
    usual = 7.0 * read_out["flares_per_day"][phase]["value"]
    size = read_out["flare_size"]["value"] / 168.0
    return float(size**2 * usual * mean_flare_hours(2))
