"""From latent pain to what is reported: good and bad spells, days, flares, rounding. Noise lives here only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float

from .averages import priors
from .patients import Population


@dataclass(frozen=True)
class Wanderings:
    """Standard normal numbers behind what moves between weeks, each of shape (weeks, patients).

    Arguments:
        spell: good and bad spells of a few weeks.
        drift: slow drift of a person's usual level.
    """

    spell: np.ndarray
    drift: np.ndarray

    @classmethod
    def of(cls, seed: int, weeks: int, n: int) -> Wanderings:
        """Those of a seed; the same under every plan."""
        drawn = np.random.default_rng([seed, 1]).standard_normal((weeks, 2, n))
        return cls(drawn[:, 0], drawn[:, 1])


def reported_weeks(latent: Float[np.ndarray, "weeks patients"], people: Population, seed: int,
                   flare_log_hazard: Float[np.ndarray, "weeks"] | None = None,
                   rounded: bool = True) -> Float[np.ndarray, "weeks patients"]:
    """Weekly averages of pain as they would be reported.

    Spells and drift (Ornstein-Uhlenbeck on the logit scale) move the week; near-white days with heavy tails leave a
    seventh of their variance in the week's average; flares add to it.

    Arguments:
        latent: weekly mean of latent pain in weeks 1, 2, ...; NRS 0-10.
        people: the virtual patients.
        seed: of the random generator; the same seed gives the same noise under every plan.
        flare_log_hazard: log of the factor on the flare hazard in each week.
        rounded: round to whole numbers, as the numeric rating scale is reported.

    Returns:
        reported pain, NRS 0-10.
    """
    weeks, n = latent.shape
    week = weekly_level(latent, people, seed)
    rng = np.random.default_rng([seed, 5])
    tail = priors()["read_out"]["day_tail"]["value"]
    day = rng.standard_t(tail, (weeks, n)) / np.sqrt(tail / (tail - 2.0))
    hours = _flare_hours(rng, weekly_flares(people, weeks, flare_log_hazard))
    week = week_with_days(week, people, day, hours)
    return np.round(week) if rounded else week


def weekly_level(latent: Float[np.ndarray, "weeks patients"], people: Population, seed: int
                 ) -> Float[np.ndarray, "weeks patients"]:
    """The level of pain in each week with its spells and drift, before days, flares and rounding; NRS 0-10."""
    return level_with(latent, people, Wanderings.of(seed, *latent.shape))


def level_with(latent: Float[np.ndarray, "weeks patients"], people: Population, moved: Wanderings
               ) -> Float[np.ndarray, "weeks patients"]:
    """The level of pain in each week under given spells and drift; see `weekly_level`."""
    return 10.0 / (1.0 + np.exp(-(log_odds_of(latent) + _wandering(moved, people))))


def week_with_days(level: Float[np.ndarray, "weeks patients"], people: Population,
                   day: Float[np.ndarray, "weeks patients"], flare_hours: Float[np.ndarray, "weeks patients"]
                   ) -> Float[np.ndarray, "weeks patients"]:
    """The week's average with what its days and flares add, before rounding; NRS 0-10.

    Arguments:
        level: pain of each week with its spells and drift.
        people: the virtual patients.
        day: deviation of the days of each week, of variance 1.
        flare_hours: hours of flares in each week; their mean is in the level already.
    """
    share = priors()["read_out"]["flare_size"]["value"] / 168.0
    usual = 7.0 * people.person["flares_per_day"]
    week = level + people.person["day_sd"] / np.sqrt(7.0) * day + share * (flare_hours - usual * mean_flare_hours())
    return np.clip(week, 0.0, 10.0)


def log_odds_of(latent: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Log-odds of pain as a share of its scale, kept off the ends."""
    share = np.clip(latent, 0.02, 9.98) / 10.0
    return np.log(share / (1.0 - share))


def _wandering(moved: Wanderings, people: Population) -> np.ndarray:
    """Good and bad spells of a few weeks, and the slow drift of a person's usual level from today on (log-odds).

    Both start where `people.person` has them: the spell of the day of assessment, and no drift unless one is given.
    """
    table = priors()["read_out"]
    spell, drift = people.person["spell"], people.person.get("drift", np.zeros(people.size))
    keep, hold = (np.exp(-1.0 / table[name]["value"]) for name in ("spell_weeks", "drift_weeks"))
    out = np.empty(moved.spell.shape)
    for week in range(len(out)):
        spell = keep * spell + people.person["spell_sd"] * np.sqrt(1.0 - keep**2) * moved.spell[week]
        drift = hold * drift + people.person["drift_sd"] * np.sqrt(1.0 - hold**2) * moved.drift[week]
        out[week] = spell + drift
    return out


def weekly_flares(people: Population, weeks: int, log_hazard: np.ndarray | None) -> np.ndarray:
    """Mean number of flares in each week, shape (weeks, patients)."""
    factor = np.ones(weeks) if log_hazard is None else np.exp(log_hazard)
    return 7.0 * people.person["flares_per_day"] * factor[:, None]


def _flare_hours(rng: np.random.Generator, mean: np.ndarray) -> np.ndarray:
    """Hours of flares in each week, at a mean number of flares."""
    table = priors()["read_out"]
    count = rng.poisson(mean)
    hours = np.zeros(count.shape)
    shape, scale = table["flare_hours_shape"]["value"], table["flare_hours_scale"]["value"]
    longest = table["longest_flare_hours"]["value"]
    for k in range(1, int(count.max(initial=0)) + 1):
        hours += (count >= k) * np.minimum(scale * rng.weibull(shape, count.shape), longest)
    return hours


@cache
def mean_flare_hours(power: int = 1) -> float:
    """Mean of a power of the length of a flare in hours, cut at the longest."""
    table = priors()["read_out"]
    shape, scale = table["flare_hours_shape"]["value"], table["flare_hours_scale"]["value"]
    t = np.linspace(0.0, table["longest_flare_hours"]["value"], 20001)
    return float(np.trapezoid(power * t ** (power - 1) * np.exp(-((t / scale) ** shape)), t))


def momentary_days(latent: Float[np.ndarray, "patients"], people: Population, days: int, seed: int
                   ) -> Float[np.ndarray, "days patients"]:
    """Momentary ratings, one a day, around a steady level: near-white from day to day, heavy-tailed, with flares."""
    rng = np.random.default_rng([seed, 2])
    tail = priors()["read_out"]["day_tail"]["value"]
    noise = rng.standard_t(tail, (days, people.size)) / np.sqrt(tail / (tail - 2.0))
    flaring = rng.uniform(size=noise.shape) < people.person["flares_per_day"] * mean_flare_hours() / 24.0
    return np.clip(latent + people.person["day_sd"] * noise + priors()["read_out"]["flare_size"]["value"] * flaring,
                   0.0, 10.0)


def reported_disability(latent: Float[np.ndarray, "weeks patients"], people: Population, seed: int,
                        pain: Float[np.ndarray, "weeks patients"]) -> Float[np.ndarray, "weeks patients"]:
    """Disability 0-100 as it would be scored.

    It follows the good and bad spells of pain, has ups and downs of its own, and the questionnaire's error.

    Arguments:
        latent: latent disability in weeks 1, 2, ...
        people: the virtual patients.
        seed: of the random generator.
        pain: latent pain in the same weeks, NRS.
    """
    rng = np.random.default_rng([seed, 3])
    error, own = rng.standard_normal(latent.shape), rng.standard_normal(latent.shape)
    return disability_with(latent, people, weekly_level(pain, people, seed) - pain, own, error)


def disability_with(latent: Float[np.ndarray, "weeks patients"], people: Population,
                    spells: Float[np.ndarray, "weeks patients"], own: Float[np.ndarray, "weeks patients"],
                    error: Float[np.ndarray, "weeks patients"]) -> Float[np.ndarray, "weeks patients"]:
    """Disability as scored under given noise; see `reported_disability`.

    Arguments:
        latent: latent disability, 0-100.
        people: the virtual patients.
        spells: what spells and drift add to pain in each week, NRS.
        own, error: standard normal numbers behind disability's own ups and downs and the questionnaire's error.
    """
    table = priors()["read_out"]
    keep = np.exp(-1.0 / table["disability_weeks"]["value"])
    fresh = people.person["disability_own_sd"] * np.sqrt(1.0 - keep**2)
    moved = np.empty(latent.shape)
    last = people.person.get("own", np.zeros(people.size))
    for week in range(len(latent)):
        last = keep * last + fresh * own[week]
        moved[week] = last
    follows = np.asarray(people.params["pain"]["disability_per_nrs"])
    return np.clip(latent + follows * spells + moved + table["disability_sem"]["value"] * error, 0.0, 100.0)
