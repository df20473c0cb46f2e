"""What may be at work: the effect split into course, context and needles, and shared among the five theories."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
from jaxtyping import Float

from ..body.system import THEORIES
from ..care import Needling, Plan
from .forecast import Forecast, Person, range_over_averages
from .options import table

METHOD = ("Shapley values: the mean of what a theory adds to the model's effect over all orders in which the theories "
          "can be let in; ranges over what this person may be like and over the draws of the averages")
SMALLEST_SHARED_NRS = 0.2
"""Effect below which no shares are told: they would be shares of noise. Assumed."""


def decomposition(person: Person, nothing: Forecast, plan: Plan, treated: Forecast) -> list[dict[str, Any]]:
    """Points of NRS from today's score to the week judged, under a plan with needles.

    Arguments:
        person: the person.
        nothing: the forecast without further treatment.
        plan: the plan.
        treated: its forecast.

    Returns:
        natural course, regression to the mean, context, needles beyond sham: middle and 80 % range over averages.
    """
    blunt = Plan(tuple(sham_of(c) if isinstance(c, Needling) else c for c in plan.courses))
    week = table()["judged_at_week"]
    sham = person.course(blunt, week).nrs[person.past.weeks + week - 1]
    parts = {
        "natural_course": nothing.level_now - nothing.latent[week - 1],
        "regression_to_the_mean": nothing.baseline - nothing.level_now,
        "context": nothing.latent[week - 1] - sham,
        "needles_beyond_sham": sham - treated.latent[week - 1],
    }
    return [{"part": part, "label": table()["parts"][part]} | range_over_averages(values, nothing.average)
            for part, values in parts.items()]


def needles_note(parts: list[dict[str, Any]]) -> str | None:
    """What to say where the model gives needles less than trials found."""
    row = next((part for part in parts if part["part"] == "needles_beyond_sham"), None)
    less = row is not None and row["high"] < table()["needles_in_trials"]["value"]
    return table()["needles_less"] if less else None


def sham_of(course: Needling) -> Needling:
    """The same visits with superficial needles off the points."""
    return replace(course, mode="sham_penetrating", depth="superficial", de_qi=False, frequency_hz=(), mixed=None,
                   milliamps=None, manipulation_every_minutes=None, points=("local",))


def shares_of_theories(person: Person, plan: Plan) -> dict[str, Any]:
    """What each theory carries of a plan's effect beyond doing nothing more; hypotheses, with ranges.

    The effect of every combination of theories is simulated (32 worlds, each person anchored at the same score), and
    shared out by Shapley's rule (Shapley 1953, doi 10.1515/9781400881970-018). What is left without any theory is
    context and belongs to none.

    Arguments:
        person: with the particles to use.
        plan: the plan whose effect is shared out.

    Returns:
        `shares`, by theory `points` (NRS at the week judged) and `share` of the whole effect, 0-1; `rest`, the same
        for what no theory carries; `whole`, points. No shares where the whole is too small to be shared out.
    """
    worlds = [absent for size in range(len(THEORIES) + 1) for absent in combinations(THEORIES, size)]
    with ThreadPoolExecutor(2) as threads:
        effects = dict(zip(worlds, threads.map(lambda absent: _effect(person.lacking(absent), plan), worlds),
                           strict=True))
    whole = float(np.mean(effects[()]))
    if whole < SMALLEST_SHARED_NRS:
        return {"shares": [], "rest": None, "whole": _range(effects[()])}

    def row(values: np.ndarray) -> dict[str, Any]:
        points = _range(values)
        return {"share": {key: float(np.clip(value / whole, 0.0, 1.0)) for key, value in points.items()},
                "points": points}

    shares = [{"theory": theory, "sentence": table()["theories"][theory]} | row(shapley(theory, effects))
              for theory in THEORIES]
    return {"shares": shares, "rest": {"label": table()["parts"]["context"]} | row(effects[tuple(THEORIES)]),
            "whole": _range(effects[()])}


def _range(values: Float[np.ndarray, "particles"]) -> dict[str, float]:
    """Median and 80 % range of what this person may have: over the particles, which differ in traits and averages."""
    low, median, high = np.quantile(values, (0.1, 0.5, 0.9))
    return {"low": float(low), "median": float(median), "high": float(high)}


def shapley(player: str, worth: dict[tuple[str, ...], np.ndarray]) -> np.ndarray:
    """Shapley value of one player.

    Arguments:
        player: whose.
        worth: of every coalition, by who is *absent* from it, in the order of `THEORIES`.
    """
    n, value = len(THEORIES), np.zeros_like(next(iter(worth.values())))
    others = [t for t in THEORIES if t != player]
    for size in range(n):
        weight = factorial(size) * factorial(n - size - 1) / factorial(n)
        for present in combinations(others, size):
            without = tuple(t for t in THEORIES if t not in present)
            value = value + weight * (worth[_less(without, player)] - worth[without])
    return value


def _less(absent: Sequence[str], player: str) -> tuple[str, ...]:
    return tuple(t for t in absent if t != player)


def _effect(person: Person, plan: Plan) -> np.ndarray:
    """Points of NRS that a plan takes away at the week judged, shape (particles,)."""
    week = table()["judged_at_week"]
    row = person.past.weeks + week - 1
    nothing, treated = (person.course(Plan(courses), week).nrs[row] for courses in ((), plan.courses))
    return np.asarray(nothing - treated)
