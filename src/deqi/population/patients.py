"""Virtual patients: draws from what is known about averages and about how people differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from ..body.system import BODY

Phase = Literal["acute", "subacute", "chronic"]
PHASES: tuple[Phase, ...] = ("acute", "subacute", "chronic")
AVERAGES_PER_POPULATION = 64
"""Draws of the unsure averages in one population; its patients are dealt out over them."""


@cache
def priors() -> dict[str, Any]:
    """The table of priors, `priors.yaml`."""
    import yaml

    return yaml.load(Path(__file__).with_name("priors.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)


def phase_of(duration_weeks: float) -> Phase:
    """Acute under 6 weeks, subacute under 12, chronic from 12 on (Wallwork 2024)."""
    return "acute" if duration_weeks < 6 else "subacute" if duration_weeks < 12 else "chronic"


@dataclass(frozen=True)
class Population:
    """Virtual patients on the day of assessment.

    Arguments:
        params: body parameters by room, anchored at each person's own level; arrays of shape (patients,).
        states: body states at rest, shape (patients,).
        person: what the read-out needs, shape (patients,): reported baseline `nrs` and `disability`, `usual_nrs`
            (without the bad week), `spell` now, `spell_sd`, `day_sd`, `flares_per_day`.
        average: index of the draw of the averages that each patient belongs to, shape (patients,).
        averages: the draws themselves, each of shape (draws,).
    """

    params: Mapping[str, Mapping[str, Any]]
    states: Mapping[str, Any]
    person: Mapping[str, Float[np.ndarray, "patients"]]
    average: np.ndarray
    averages: Mapping[str, Float[np.ndarray, "draws"]]

    @property
    def size(self) -> int:
        """Number of patients."""
        return len(self.average)


@dataclass(frozen=True)
class Who:
    """Who is drawn: a kind of population, or one person whose values are known.

    Arguments:
        phase: acute, subacute or chronic.
        baseline_nrs: observed mean (population) or observed score (person) at enrolment, 0-10.
        baseline_sd: spread of the observed scores; 0 for one person.
        duration_weeks: duration of the pain in weeks; a mapping (centre, spread, low, high) draws it log-normally,
            None draws it as in the population of the phase.
        disability: observed 0-100, or None to draw it.
        regular_opioid: the mu channel is taken (`opioid_user_lf`).
        wider: factor on the spread of responses and of the read-out, for people at the edge of what was studied.
    """

    phase: Phase
    baseline_nrs: float
    baseline_sd: float
    duration_weeks: float | Mapping[str, float] | None = None
    disability: float | None = None
    regular_opioid: bool = False
    wider: float = 1.0


def population_of(phase: Phase, baseline_nrs: float | None = None,
                  duration_weeks: Mapping[str, float] | None = None) -> Who:
    """The population of a phase, at its published baseline and duration or at others."""
    people = priors()["people"]
    mean = people["baseline_mean"][phase]["value"] if baseline_nrs is None else baseline_nrs
    return Who(phase, mean, people["baseline_sd"][phase]["value"], duration_weeks)


def draw(who: Who, n: int, seed: int, without: Iterable[str] = ()) -> Population:
    """Draw virtual patients; the same seed gives the same people whatever theories are absent.

    Arguments:
        who: whom to draw.
        n: how many.
        seed: of the random generator.
        without: theories that are absent; everyone is anchored again at the same level.
    """
    rng = np.random.default_rng(seed)
    averages = _draw_averages(rng)
    average = np.arange(n) % AVERAGES_PER_POPULATION
    mean = {name: values[average] for name, values in averages.items()}
    people, phase = priors()["people"], who.phase

    duration = people["duration_weeks"][phase] if who.duration_weeks is None else who.duration_weeks
    weeks = _between(rng, n, duration) if isinstance(duration, Mapping) else np.full(n, float(duration))
    healing_per_week = rng.gamma(mean["healing_shape"], 1.0 / (mean["healing_onset_weeks"] + weeks))
    floor = people["healing_floor"]
    spread_of_floor = floor["concentration"]["value"]
    floors = rng.beta(spread_of_floor * floor[phase]["value"], spread_of_floor * (1.0 - floor[phase]["value"]), n)
    sources = rng.dirichlet(people["sources"][phase]["value"], n)
    response = {key: _spread(rng, n, people["response_spread"]["value"])
                for key in ("carry_over", "consolidation", "endplate", "vagal", "relief", "opioid", "flow")}

    params = BODY.parameters(without)
    transmitters = params["neurotransmitters"]
    params["course"] |= {
        "healing_rate_per_day": healing_per_week / 7.0,
        "healing_floor": floors,
        "healing_by_flow": mean["healing_by_flow"],
        "context_plateau": rng.normal(mean["context_plateau"], who.wider * people["context_plateau_sd"]["value"]),
        "context_rate_per_day": rng.exponential(1.0, n) / (7.0 * mean["context_et50_weeks"]),
    }
    params["nociception"] |= {
        "omega_tissue": sources[:, 0], "omega_ischaemia": sources[:, 1], "omega_muscle": sources[:, 2],
    }
    irritant = people["irritant_input"][phase]
    params["inflammation"] |= {
        "irritant_input": irritant["centre"] * _spread(rng, n, irritant["spread"]),
        "v_sys": np.minimum(mean["needle_vagal"] * response["vagal"], 0.9),
    }
    params["neurotransmitters"] |= {
        "carry_over_per_session": np.minimum(mean["needle_carry_over"] * response["carry_over"], 0.3),
        "relief_per_session": np.minimum(transmitters["relief_per_session"] * response["relief"], 0.9),
        "E_mu": (not who.regular_opioid) * np.minimum(transmitters["E_mu"] * response["opioid"], 0.9),
    }
    params["gate"] |= {"consolidation": mean["needle_consolidation"] * response["consolidation"]}
    params["circulation"] |= {
        "fat_mm": people["fat_mm"]["centre"] * _spread(rng, n, people["fat_mm"]["spread"]),
        "blunting": rng.uniform(0.0, people["blunting_high"]["value"], n),
    }
    params["muscle"] |= {
        "k_E": mean["needle_endplate"] * response["endplate"],
        "fear": people["fear"]["centre"] * _spread(rng, n, people["fear"]["spread"]),
        "learned": np.full(n, people["learned"][phase]["value"]),
    }
    person = _at_enrolment(rng, who, n, mean["bad_week"])
    params, states = BODY.rest(params, person["usual_nrs"], person["usual_disability"])
    return Population(params, states, person, average, averages)


def _draw_averages(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draws of the averages, stratified so that few draws cover each prior evenly."""
    from scipy.special import ndtr, ndtri

    drawn, n = {}, AVERAGES_PER_POPULATION
    for name, prior in priors()["averages"].items():
        z = ndtri((rng.permutation(n) + 0.5) / n)
        if prior["kind"] == "normal":
            drawn[name] = prior["centre"] + prior["spread"] * z
        elif prior["kind"] == "lognormal":
            drawn[name] = prior["centre"] * np.exp(prior["spread"] * z)
        else:
            drawn[name] = prior["centre"] * ndtri(0.5 + 0.5 * ndtr(z))
    return drawn


def _spread(rng: np.random.Generator, n: int, sigma: float) -> np.ndarray:
    """Log-normal factors with mean 1."""
    return np.exp(sigma * rng.standard_normal(n) - 0.5 * sigma**2)


def _between(rng: np.random.Generator, n: int, prior: Mapping[str, float]) -> np.ndarray:
    drawn = prior["centre"] * np.exp(prior["spread"] * rng.standard_normal(n))
    return np.clip(drawn, prior["low"], prior["high"])


def _at_enrolment(rng: np.random.Generator, who: Who, n: int, bad_week: np.ndarray) -> dict[str, np.ndarray]:
    """Observed scores at enrolment, and the usual level behind them: people enrol in a bad week."""
    people, read_out = priors()["people"], priors()["read_out"]
    entry = people["entry_nrs"]["value"]
    observed = np.full(n, who.baseline_nrs)
    if who.baseline_sd > 0.0:
        observed = _truncated(rng, n, who.baseline_nrs, who.baseline_sd, min(entry, who.baseline_nrs - 0.5), 10.0)
    spell_sd = who.wider * read_out["spell_sd"]["centre"] * _spread(rng, n, read_out["spell_sd"]["spread"])
    spell = _spell_behind(rng, observed, who, spell_sd, bad_week)
    usual = 10.0 / (1.0 + np.exp(-(_logit(observed / 10.0) - spell)))
    disability = _disability(rng, who, observed, n)
    easing = people["disability_pain_correlation"]["value"] * people["disability_sd"]["value"] / 2.0
    flares = read_out["flares_per_day"][who.phase]["value"]
    shape = read_out["flare_shape"]["value"]
    return {
        "nrs": observed, "usual_nrs": usual, "disability": disability,
        "usual_disability": np.clip(disability + easing * (usual - observed), 0.0, 100.0),
        "spell": spell, "spell_sd": spell_sd, "wider": np.full(n, who.wider),
        "day_sd": read_out["day_sd"]["centre"] * _spread(rng, n, read_out["day_sd"]["spread"]),
        "flares_per_day": flares * rng.gamma(shape, 1.0 / shape, n),
    }


def _spell_behind(rng: np.random.Generator, observed: np.ndarray, who: Who, spell_sd: np.ndarray,
                  bad_week: np.ndarray) -> np.ndarray:
    """The spell behind an observed score: the further the score lies from others', the more of it is the week's.

    Usual level and spell are normal on the logit scale; this is the spell given their sum.
    """
    people = priors()["people"]
    mean = who.baseline_nrs if who.baseline_sd > 0.0 else people["others_mean"][who.phase]["value"]
    p = mean / 10.0
    total_sd = people["baseline_sd"][who.phase]["value"] / 10.0 / (p * (1.0 - p))
    share = np.minimum((spell_sd / total_sd) ** 2, 0.9)
    expected = bad_week + share * (_logit(observed / 10.0) - _logit(np.asarray(p)))
    return expected + spell_sd * np.sqrt(1.0 - share) * rng.standard_normal(len(observed))


def _disability(rng: np.random.Generator, who: Who, observed: np.ndarray, n: int) -> np.ndarray:
    people = priors()["people"]
    if who.disability is not None:
        return np.full(n, float(who.disability))
    sd, r = people["disability_sd"]["value"], people["disability_pain_correlation"]["value"]
    pull = (observed - who.baseline_nrs) / max(who.baseline_sd, 1.0)
    drawn = people["disability_mean"][who.phase]["value"] + sd * (
        r * pull + np.sqrt(1.0 - r**2) * rng.standard_normal(n))
    return np.clip(drawn, 0.0, 100.0)


def _truncated(rng: np.random.Generator, n: int, mean: float, sd: float, low: float, high: float) -> np.ndarray:
    """Normal scores within the entry rule whose mean after truncation is the one asked for."""
    from scipy.optimize import brentq
    from scipy.special import ndtr, ndtri

    quantiles = (np.arange(1000) + 0.5) / 1000

    def scores(centre: float, u: np.ndarray) -> np.ndarray:
        below, above = ndtr((low - centre) / sd), ndtr((high - centre) / sd)
        return centre + sd * ndtri(np.clip(below + u * (above - below), 1e-12, 1.0 - 1e-12))

    centre = brentq(lambda c: float(np.mean(scores(c, quantiles))) - mean, low - 4.0 * sd, high + 4.0 * sd)
    return np.clip(scores(centre, rng.uniform(size=n)), low, high)


def _logit(p: np.ndarray) -> np.ndarray:
    p = np.clip(p, 0.02, 0.98)
    return np.log(p / (1.0 - p))
