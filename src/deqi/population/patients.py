"""Virtual patients: draws from what is known about averages and about how people differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.special import betaincinv, ndtr, ndtri

from ..body.system import BODY
from .averages import priors
from .coordinates import Coordinates
from .enrolment import spell_behind, usual_level
from .posterior import draws_of_averages

Phase = Literal["acute", "subacute", "chronic"]
PHASES: tuple[Phase, ...] = ("acute", "subacute", "chronic")
AVERAGES_PER_POPULATION = 64
"""Draws of the unsure averages in one population; its patients are dealt out over them."""


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
            (without the bad week), `spell` now, `spell_sd`, `drift_sd`, `day_sd`, `flares_per_day`.
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
        disability: observed 0-100, or None to draw it around `disability_mean` with `disability_sd` (those of the
            phase if None).
        regular_opioid: the mu channel is taken (`opioid_user_lf`).
        entry_nrs: least score that the study let in; None for the usual rule.
        wider: factor on the spread of responses and of the read-out, for people at the edge of what was studied.
    """

    phase: Phase
    baseline_nrs: float
    baseline_sd: float
    duration_weeks: float | Mapping[str, float] | None = None
    disability: float | None = None
    regular_opioid: bool = False
    wider: float = 1.0
    entry_nrs: float | None = None
    disability_mean: float | None = None
    disability_sd: float | None = None


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
    averages = draws_of_averages(AVERAGES_PER_POPULATION, seed)
    average = np.arange(n) % AVERAGES_PER_POPULATION
    return people_at(who, Coordinates.random(n, seed), averages, average, without)


def people_at(who: Who, places: Coordinates, averages: Mapping[str, np.ndarray], average: np.ndarray,
              without: Iterable[str] = ()) -> Population:
    """The patients at given places among others.

    Arguments:
        who: whom to draw.
        places: where each stands among others.
        averages: draws of the averages, each of shape (draws,).
        average: index of the draw that each patient belongs to, shape (patients,).
        without: theories that are absent.
    """
    mean = {name: values[average] for name, values in averages.items()}
    people, phase = priors()["people"], who.phase
    spread = people["response_spread"]["value"]

    weeks = duration_at_enrolment(who, places)
    shape, floor = mean["healing_shape"], mean[f"healing_floor_{phase}"]
    healing_per_week = places.gamma("healing", shape) / (mean["healing_onset_weeks"] + weeks)
    c = people["healing_floor_concentration"]["value"]
    sources = np.stack([places.gamma(name, weight) for name, weight in
                        zip(("tissue", "ischaemia", "muscle"), people["sources"][phase]["value"], strict=True)])
    sources = sources / sources.sum(axis=0)

    params = BODY.parameters(without)
    transmitters = params["neurotransmitters"]
    params["course"] |= {
        "healing_rate_per_day": healing_per_week / 7.0,
        "healing_floor": betaincinv(c * floor, c * (1.0 - floor), places.place("floor")),
        "healing_by_flow": mean["healing_by_flow"],
        "context_plateau": mean["trial_context"] * (
            mean["context_plateau"] + who.wider * mean["context_plateau_sd"] * places.normal("context_plateau")),
        "context_rate_per_day": mean["trial_rate"] * places.exponential("context_rate")
        / (7.0 * mean["context_et50_weeks"]),
    }
    params["nociception"] |= {
        "omega_tissue": sources[0], "omega_ischaemia": sources[1], "omega_muscle": sources[2],
    }
    irritant = people["irritant_input"][phase]
    params["inflammation"] |= {
        "irritant_input": irritant["centre"] * places.factor("irritant", irritant["spread"]),
        "v_sys": np.minimum(mean["needle_vagal"] * places.factor("vagal", spread), 0.9),
    }
    params["neurotransmitters"] |= {
        "carry_over_per_session": np.minimum(mean["needle_carry_over"] * places.factor("carry_over", spread), 0.3),
        "relief_per_session": np.minimum(mean["needle_relief"] * places.factor("relief", spread), 0.9),
        "E_mu": (not who.regular_opioid) * np.minimum(transmitters["E_mu"] * places.factor("opioid", spread), 0.9),
    }
    params["gate"] |= {"consolidation": mean["needle_consolidation"] * places.factor("consolidation", spread)}
    params["circulation"] |= {
        "fat_mm": people["fat_mm"]["centre"] * places.factor("fat", people["fat_mm"]["spread"]),
        "blunting": people["blunting_high"]["value"] * places.place("blunting"),
    }
    params["muscle"] |= {
        "k_E": mean["needle_endplate"] * places.factor("endplate", spread),
        "fear": people["fear"]["centre"] * places.factor("fear", people["fear"]["spread"]),
        "learned": np.full(places.size, people["learned"][phase]["value"]),
    }
    params["pain"] |= {"disability_per_nrs": mean["disability_per_nrs"]}
    person = _at_enrolment(places, who, mean)
    params, states = BODY.rest(params, person["usual_nrs"], person["usual_disability"])
    return Population(params, states, person, average, averages)


def held_against(who: Who) -> tuple[float, float]:
    """Mean and spread of the scores that a score is held against: of the same trial, or for one person of all who
    have such pain, whom no entry rule selected."""
    people = priors()["people"]
    if who.baseline_sd > 0.0:
        return who.baseline_nrs, people["baseline_sd"][who.phase]["value"]
    seekers = people["care_seekers"][who.phase]
    return seekers["mean"], seekers["sd"]


def duration_at_enrolment(who: Who, places: Coordinates) -> np.ndarray:
    """Weeks since the pain began: known, or log-normal within bounds."""
    prior = priors()["people"]["duration_weeks"][who.phase] if who.duration_weeks is None else who.duration_weeks
    if not isinstance(prior, Mapping):
        return np.full(places.size, float(prior))
    drawn = prior["centre"] * np.exp(prior["spread"] * places.normal("duration"))
    return np.clip(drawn, prior["low"], prior["high"])


def _at_enrolment(places: Coordinates, who: Who, mean: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Observed scores at enrolment, and the usual level behind them: people enrol in a bad week."""
    people, read_out = priors()["people"], priors()["read_out"]
    observed = scores_at_enrolment(places, who)
    spell_sd = who.wider * mean["spell_sd"] * places.factor("spell_sd", read_out["spell_sd_spread"]["value"])
    others, others_sd = held_against(who)
    spell = np.asarray(spell_behind(observed, others, others_sd, spell_sd, mean["bad_week"] + mean["trial_bad_week"],
                                    places.normal("spell")))
    usual = np.asarray(usual_level(observed, spell))
    disability = disability_at_enrolment(places, who, observed)
    easing = people["disability_pain_correlation"]["value"] * people["disability_sd"]["value"] / 2.0
    shape = read_out["flare_shape"]["value"]
    return {
        "nrs": observed, "usual_nrs": usual, "disability": disability,
        "usual_disability": np.clip(disability + easing * (usual - observed), 0.0, 100.0),
        "spell": spell, "spell_sd": spell_sd, "drift_sd": who.wider * mean["drift_sd"],
        "disability_own_sd": mean["disability_own_sd"],
        "day_sd": read_out["day_sd"]["centre"] * places.factor("day_sd", read_out["day_sd"]["spread"]),
        "flares_per_day": read_out["flares_per_day"][who.phase]["value"] * places.gamma("flares", shape) / shape,
    }


def scores_at_enrolment(places: Coordinates, who: Who) -> np.ndarray:
    """Scores observed at enrolment, NRS, shape (patients,)."""
    if who.baseline_sd <= 0.0:
        return np.full(places.size, float(who.baseline_nrs))
    entry = priors()["people"]["entry_nrs"]["value"] if who.entry_nrs is None else who.entry_nrs
    low = min(entry, who.baseline_nrs - 0.5)
    return _truncated(places.place("score"), who.baseline_nrs, who.baseline_sd, low, 10.0)


def disability_at_enrolment(places: Coordinates, who: Who, observed: np.ndarray) -> np.ndarray:
    """Disability observed at enrolment, 0-100, shape (patients,)."""
    people = priors()["people"]
    if who.disability is not None:
        return np.full(places.size, float(who.disability))
    sd = people["disability_sd"]["value"] if who.disability_sd is None else who.disability_sd
    r = people["disability_pain_correlation"]["value"]
    centre = people["disability_mean"][who.phase]["value"] if who.disability_mean is None else who.disability_mean
    others, others_sd = (who.baseline_nrs, max(who.baseline_sd, 1.0)) if who.baseline_sd > 0.0 else held_against(who)
    pull = (observed - others) / others_sd
    return np.clip(centre + sd * (r * pull + np.sqrt(1.0 - r**2) * places.normal("disability")), 0.0, 100.0)


def _truncated(u: np.ndarray, mean: float, sd: float, low: float, high: float) -> np.ndarray:
    """Normal scores within the entry rule whose mean after truncation is the one asked for."""
    quantiles = (np.arange(1000) + 0.5) / 1000

    def scores(centre: float, at: np.ndarray) -> np.ndarray:
        below, above = ndtr((low - centre) / sd), ndtr((high - centre) / sd)
        return centre + sd * ndtri(np.clip(below + at * (above - below), 1e-12, 1.0 - 1e-12))

    centre = brentq(lambda c: float(np.mean(scores(c, quantiles))) - mean, low - 4.0 * sd, high + 4.0 * sd)
    return np.clip(scores(centre, u), low, high)
