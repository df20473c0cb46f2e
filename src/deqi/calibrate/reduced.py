"""The reduced model: reported scores of an arm's patients in closed form, from what the full model left of that arm.

For a patient i of an arm at time t (weeks), under averages theta and a trial's own effects u:

    tissue      H = floor + (1 - floor) exp(-r (t + f F(t)))            r ~ gamma, F the integral of flow above rest
    log-odds    l = logit(usual) + natural(1 - H) + fixed(t) + sum_k w_k B_k(t) + w_k^2 C_k(t)
                l' = l + feedback (1 - e^(-c)) P_felt / usual,            less pain, less guarding
    context     c = plateau int_0^t rate e^(-rate (t - s)) S(s) ds,      S = 1 - prod(1 - strength x fading)
    pain        P = 10 logistic(l') exp(sum_relief - c + v (1 - e^(-t/3)))
    reported    10 logistic(logit(P / 10) + spell e^(-t/3) + noise), then the days' noise, kept within 0 to 10

with the routes' weights w_k in multiples of the prior's middle (`deqi.calibrate.response`) and v an arm's own effect.
Disability follows pain with a lag tau, taken as pain tau earlier. Everything is differentiable in theta and u.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..population.averages import context_kinds, priors, values
from ..population.enrolment import log_odds, spell_behind, usual_level
from .response import MULTIPLIES, WEIGHTS, middle

ARM_EFFECT_WEEKS = 3.0
"""Pace at which an arm's own effect builds up; assumed."""
INTERVALS = 14
"""Intervals of the quadrature over the history of the context."""
TRIAL_EFFECTS = ("bad_week", "context", "rate")
"""What differs between trials and is shared by the arms of one: log-odds, log factor, log factor."""


class Arms(NamedTuple):
    """Arms and their patients, the latter on one quadrature set.

    Arguments:
        phase: index of the phase, shape (arms,).
        held_against: mean score that each score is held against, NRS, shape (arms,).
        total_sd: spread of scores in the phase, NRS, shape (arms,).
        observed: scores at enrolment, NRS, shape (arms, patients).
        weeks: duration of the pain, shape (arms, patients).
        natural: polynomial of the natural state, shape (arms, 5, patients).
        feedback: of context on felt pain, shape (arms, patients).
        flare_variance: of a week's flares, NRS squared, shape (arms,).
        trial: index of the trial, shape (arms,).
        kind, start, end, alone: the parts of an arm's context; index of the strength (one beyond the last for none),
            weeks, weeks, and the fading per week where nobody gave it (0 where a practitioner did), shape
            (arms, parts).
    """

    phase: Any
    held_against: Any
    total_sd: Any
    observed: Any
    weeks: Any
    natural: Any
    feedback: Any
    flare_variance: Any
    trial: Any
    kind: Any
    start: Any
    end: Any
    alone: Any


class Cells(NamedTuple):
    """Moments at which arms are looked at; responses are interpolated to each.

    Arguments:
        arm: index, shape (cells,).
        week: of the latent pain, shape (cells,).
        fixed, flow: shape (cells, patients).
        weighted: shape (cells, routes, 2, patients).
    """

    arm: Any
    week: Any
    fixed: Any
    flow: Any
    weighted: Any


class Places(NamedTuple):
    """Places of the quadrature set, each of shape (patients,), and quantile tables over the free shapes.

    Arguments:
        spell, spell_factor, plateau, level, day: standard normal (spell_factor: log-normal factor).
        rate: exponential of mean 1.
        day_sd: NRS.
        log_shape: grid of the log of the healing shape; log_healing: log quantiles there, shape (grid, patients).
        logit_floor: grid of the logit of the mean floor; floor: quantiles there, shape (grid, patients).
        flow_factor: people's own factor on the response of healing to flow (1).
    """

    spell: Any
    spell_factor: Any
    plateau: Any
    level: Any
    day: Any
    rate: Any
    day_sd: Any
    log_shape: Any
    log_healing: Any
    logit_floor: Any
    floor: Any


class Seen(NamedTuple):
    """Pain at each cell, NRS, shape (cells, patients): usual before care, latent, level of the week, as reported."""

    usual: Any
    latent: Any
    week: Any
    reported: Any


def _table(x: Any, grid: Any, rows: Any) -> Any:
    """Cubic (Catmull-Rom) interpolation of rows over a uniform grid at the points x, shape (points, patients)."""
    step = grid[1] - grid[0]
    at = jnp.clip((x - grid[0]) / step, 0.0, len(grid) - 1.001)
    k = jnp.floor(at).astype(int)
    t = (at - k)[:, None]
    row = [rows[jnp.clip(k + d, 0, len(grid) - 1)] for d in (-1, 0, 1, 2)]
    a = -0.5 * row[0] + 1.5 * row[1] - 1.5 * row[2] + 0.5 * row[3]
    b = row[0] - 2.5 * row[1] + 2.0 * row[2] - 0.5 * row[3]
    c = 0.5 * (row[2] - row[0])
    return ((a * t + b) * t + c) * t + row[1]


def _healed(theta: Mapping[str, Any], arms: Arms, places: Places) -> tuple[Any, Any]:
    """Healing rate per week and floor of each patient of each arm, shape (arms, patients)."""
    log_shape = jnp.atleast_1d(jnp.log(theta["healing_shape"]))
    quantile = jnp.exp(_table(log_shape, places.log_shape, places.log_healing))[0]
    rate = quantile[None] / (theta["healing_onset_weeks"] + arms.weeks)
    mean = jnp.stack([theta[f"healing_floor_{phase}"] for phase in ("acute", "subacute", "chronic")])
    floor = _table(jnp.log(mean) - jnp.log1p(-mean), places.logit_floor, places.floor)
    return rate, floor[arms.phase]


def context(theta: Mapping[str, Any], arms: Arms, cells: Cells, rate: Any) -> Any:
    """Response to the context of care at each cell for plateau 1, shape (cells, patients).

    Arguments:
        theta: averages.
        arms, cells: where.
        rate: of each patient per week, shape (cells, patients).
    """
    strengths = jnp.stack([theta[f"context.{kind}"] for kind in context_kinds()] + [jnp.zeros(())])
    edges = cells.week[:, None] * jnp.linspace(0.0, 1.0, INTERVALS + 1)[None]
    middles = 0.5 * (edges[:, 1:] + edges[:, :-1])
    of = cells.arm
    after = jnp.maximum(middles[:, None, :] - arms.end[of][:, :, None], 0.0)
    fading = jnp.where(arms.alone[of] > 0.0, arms.alone[of], 1.0 / theta["context_fade_weeks"])
    strength = strengths[arms.kind[of]][:, :, None] * jnp.exp(-after * fading[:, :, None])
    given = middles[:, None, :] >= arms.start[of][:, :, None]
    S = 1.0 - jnp.prod(1.0 - strength * given, axis=1)
    remembered = jnp.exp(-rate[:, :, None] * (cells.week[:, None] - edges)[:, None, :])
    return jnp.einsum("cpk,ck->cp", jnp.diff(remembered, axis=2), S)


@partial(jax.jit, static_argnames=())
def scores(z: Any, u: Any, v: Any, arms: Arms, cells: Cells, places: Places) -> Seen:
    """Scores of every patient at every cell.

    Arguments:
        z: places of the averages, shape (averages,).
        u: effects of each trial in the order of TRIAL_EFFECTS, shape (3, trials).
        v: effect of each arm, log of pain, shape (arms,).
    """
    theta, read_out, mid = values(z), priors()["read_out"], middle()
    of = cells.arm
    rate, floor = _healed(theta, arms, places)
    spell_sd = theta["spell_sd"] * places.spell_factor
    spell = spell_behind(arms.observed, arms.held_against[:, None], arms.total_sd[:, None], spell_sd[None],
                         theta["bad_week"] + u[0][arms.trial][:, None], places.spell[None])
    usual = usual_level(arms.observed, spell)

    weeks = cells.week[:, None]
    healing = rate[of] * jnp.maximum(weeks + theta["healing_by_flow"] * cells.flow / 7.0, 0.0)
    missing = (1.0 - floor[of]) * (1.0 - jnp.exp(-healing))
    natural = arms.natural[of]
    level = log_odds(usual / 10.0)[of] + sum(natural[:, k] * missing ** (k + 1) for k in range(natural.shape[1]))
    level = level + cells.fixed
    log_left = v[of][:, None] * (1.0 - jnp.exp(-weeks / ARM_EFFECT_WEEKS))
    for index, name in enumerate(WEIGHTS):
        w = theta[name] / mid[name]
        effect = w * cells.weighted[:, index, 0] + jnp.square(w) * cells.weighted[:, index, 1]
        if name in MULTIPLIES:
            log_left = log_left + effect
        else:
            level = level + effect
    pace = places.rate[None] * jnp.exp(u[2][arms.trial][of])[:, None] / theta["context_et50_weeks"]
    plateau = jnp.exp(u[1][arms.trial][of])[:, None] * (
        theta["context_plateau"] + theta["context_plateau_sd"] * places.plateau)[None]
    response = plateau * context(theta, arms, cells, pace)
    felt = 10.0 * jax.nn.sigmoid(level)
    level = level + arms.feedback[of] * (1.0 - jnp.exp(-response)) * felt / usual[of]
    latent = jnp.minimum(10.0 * jax.nn.sigmoid(level) * jnp.exp(log_left - response), 10.0)

    keep = jnp.exp(-weeks / read_out["spell_weeks"]["value"])
    hold = jnp.exp(-weeks / read_out["drift_weeks"]["value"])
    wandering = jnp.sqrt(jnp.square(spell_sd)[None] * (1.0 - jnp.square(keep))
                         + jnp.square(theta["drift_sd"]) * (1.0 - jnp.square(hold)) + 1e-9)
    share = jnp.clip(latent, 0.02, 9.98) / 10.0
    week = 10.0 * jax.nn.sigmoid(jnp.log(share / (1.0 - share)) + spell[of] * keep + wandering * places.level[None])
    noise = jnp.sqrt(jnp.square(places.day_sd)[None] / 7.0 + arms.flare_variance[of][:, None])
    return Seen(usual[of], latent, week, jnp.clip(week + noise * places.day[None], 0.0, 10.0))
