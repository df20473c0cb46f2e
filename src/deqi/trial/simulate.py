"""The people of one arm: drawn, treated, asked at each visit, and lost on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import ndtri

from ..calibrate.reduced import ARM_EFFECT_WEEKS
from ..population.particles import expected
from ..population.patients import Population, people_at
from ..population.readout import Wanderings, disability_with, level_with, week_with_days, weekly_flares
from ..population.simulate import simulate
from .design import Design, buckets
from .parts import BLINDED
from .places import TabledPlaces
from .randomness import PEOPLE, PERSONAL, WeeklyNoise, filled, keys, stream, uniforms, weekly_noise
from .recruit import Enrolled, who
from .tally import BINS, HUNDREDTHS, WIDTH, Tally
from .worlds import Settings, absent, number


@dataclass(frozen=True)
class Scores:
    """What some people of one arm report, in whole hundredths.

    Arguments:
        arm: index of the arm.
        trial, position: of each person, in order, shape (people,).
        reported: by outcome; row w is week w, row 0 screening, shape (weeks + 1, people).
        lost_week: the first week in which a person is not seen any more; beyond the last if never.
        found_out: who knows that it is a sham.
    """

    arm: int
    trial: Int[np.ndarray, "people"]
    position: Int[np.ndarray, "people"]
    reported: Mapping[str, Int[np.ndarray, "weeks people"]]
    lost_week: Int[np.ndarray, "people"]
    found_out: Bool[np.ndarray, "people"]

    @property
    def size(self) -> int:
        """Number of people."""
        return len(self.trial)


def treat(design: Design, world: str, settings: Settings, arm: int, people: Enrolled, rows: Int[np.ndarray, "people"]
          ) -> Scores:
    """Simulate some people under the plan of an arm.

    Arguments:
        design: the design.
        world: its name.
        settings: averages of their trials.
        arm: index of the arm; not always the one that they were allocated to.
        people: everyone enrolled.
        rows: whom to treat, at most PIECE.
    """
    weeks, kept, rows = design.weeks, len(rows), filled(rows)
    trial, position = people.trial[rows], people.position[rows]
    root = stream(design.seed, number(world), PEOPLE)
    averages, draw = settings.among(trial)
    personal = uniforms(root, trial, position, np.full_like(trial, PERSONAL), 2)
    found_out = _finds_out(design, arm, personal[0])
    if found_out.any():
        averages, draw = _unblinded(averages, draw, found_out)
    drawn = people_at(who(design), TabledPlaces(people.places.uniform[:, rows]), averages, draw, absent(world))
    drawn = _expecting(design, drawn, settings.expectation[trial - settings.first_trial], personal[1])
    course = simulate(design.plans[arm], drawn, weeks)

    pain, disability = _with_own_effect(drawn, course.nrs, course.disability,
                                        settings.own[trial - settings.first_trial, arm])
    noise = weekly_noise(keys(root, trial, position), weekly_flares(drawn, weeks, course.flare_log_hazard))
    level = level_with(pain, drawn, Wanderings(noise.spell, noise.drift))
    felt = week_with_days(level, drawn, noise.day, noise.flare_hours)
    scored = disability_with(disability, drawn, level - pain, noise.own, noise.error)
    reported = {
        "pain": HUNDREDTHS * np.rint(np.vstack([drawn.person["nrs"][None], felt])).astype(np.int32),
        "disability": np.rint(HUNDREDTHS * np.vstack([drawn.person["disability"][None], scored])).astype(np.int32),
    }
    lost = _lost_week(design, reported["pain"], noise)
    return Scores(arm, trial[:kept], position[:kept],
                  {name: reported[name][:, :kept] for name in design.outcomes}, lost[:kept], found_out[:kept])


def responds(design: Design, outcome: str, before: Int[np.ndarray, "..."], after: Int[np.ndarray, "..."]
             ) -> Bool[np.ndarray, "..."]:
    """Whether scores have fallen by what counts as a response; one of 0 cannot fall."""
    rule = design.analysis.responder
    if rule.relative is not None:
        return (before > 0) & (before - after >= rule.relative * before - 1e-9)
    return before - after >= round(HUNDREDTHS * (rule.absolute or 0.0))


def count(design: Design, scores: Scores) -> Tally:
    """Count what people report.

    Arguments:
        design: the design.
        scores: of people in order of trial and position.
    """
    first = int(scores.trial[0])
    found = Tally.empty(design, first, int(scores.trial[-1]) - first + 1)
    group = (scores.trial - first) * len(design.sizes) + buckets(design, scores.position)
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    for cell, (outcome, week) in enumerate(design.cells()):
        x, y = (scores.reported[outcome][row].astype(np.int64) for row in (0, week))
        seen = (scores.lost_week > week).astype(np.int64)
        table = np.stack([np.ones_like(x), y, y * y, x, x * x, x * y, responds(design, outcome, x, y)]) * seen
        trial, size = np.divmod(group[starts], len(design.sizes))
        found.sums[trial, size, scores.arm, cell] += np.add.reduceat(table, starts, axis=1).T
    found.allocated[scores.arm] += scores.size
    found.found_out[scores.arm] += int(scores.found_out.sum())
    for index, outcome in enumerate(design.outcomes):
        found.weekly[scores.arm, index], found.histogram[scores.arm, index] = _by_week(scores.reported[outcome],
                                                                                      WIDTH[outcome])
    return found


def cells_of(design: Design, scores: Scores) -> dict[str, np.ndarray]:
    """Scores in points as columns: baselines, and each cell (not a number once lost), shape (people,)."""
    columns = {f"{outcome}_baseline": scores.reported[outcome][0] / HUNDREDTHS for outcome in design.outcomes}
    for outcome, week in design.cells():
        value = scores.reported[outcome][week] / HUNDREDTHS
        columns[f"{outcome}_week_{week}"] = np.where(scores.lost_week > week, value, np.nan)
    return columns


def _finds_out(design: Design, arm: int, u: Float[np.ndarray, "people"]) -> Bool[np.ndarray, "people"]:
    share = design.blinding.found_out if set(design.kinds[arm]) & set(BLINDED) else 0.0
    return u < share


def _unblinded(averages: Mapping[str, np.ndarray], draw: np.ndarray, found_out: np.ndarray
               ) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Every draw twice: as it is, and with the context of an open-label placebo in place of the blinded one's."""
    known = {f"context.{kind}": averages["context.placebo_open_label"] for kind in BLINDED}
    draws = len(averages["context.placebo"])
    return ({name: np.concatenate([value, known.get(name, value)]) for name, value in averages.items()},
            draw + draws * found_out)


def _expecting(design: Design, drawn: Population, slope: np.ndarray, u: np.ndarray) -> Population:
    """People whose response to the context goes with what they expect (`expectation_slope`)."""
    if design.expectation is None or not np.any(slope):
        return drawn
    level = np.clip(design.expectation.mean + design.expectation.sd * ndtri(u), 0.0, 10.0)
    course = dict(drawn.params["course"])
    course["context_plateau"] = np.asarray(course["context_plateau"]) * expected(slope, level)
    params: dict[str, Any] = {**drawn.params, "course": course}
    return replace(drawn, params=params)


def _with_own_effect(drawn: Population, pain: np.ndarray, disability: np.ndarray, own: np.ndarray
                     ) -> tuple[np.ndarray, np.ndarray]:
    """Latent scores with the arm's own effect, which builds up as in calibration; disability follows pain."""
    if not np.any(own):
        return pain, disability
    middle = np.arange(len(pain))[:, None] + 0.5
    moved = np.minimum(pain * np.exp(own * (1.0 - np.exp(-middle / ARM_EFFECT_WEEKS))), 10.0)
    return moved, disability + np.asarray(drawn.params["pain"]["disability_per_nrs"]) * (moved - pain)


def _lost_week(design: Design, pain: np.ndarray, noise: WeeklyNoise) -> np.ndarray:
    """The first week of absence: the hazard of a week follows what was reported in the week before."""
    never = design.weeks + 1
    if design.attrition is None or design.attrition.per_week == 0.0:
        return np.full(pain.shape[1], never)
    hazard = design.attrition.per_week
    odds = hazard / (1.0 - hazard) * design.attrition.odds_per_point ** ((pain[:-1] - pain[0]) / HUNDREDTHS)
    leaves = noise.staying < odds / (1.0 + odds)
    return np.where(leaves.any(axis=0), leaves.argmax(axis=0) + 1, never)


def _by_week(reported: Int[np.ndarray, "weeks people"], width: float) -> tuple[np.ndarray, np.ndarray]:
    """Sums and histogram of each week."""
    weeks, people = reported.shape
    y = reported.astype(np.int64)
    sums = np.stack([np.full(weeks, people), y.sum(axis=1), (y * y).sum(axis=1)], axis=1)
    units = round(HUNDREDTHS * width)
    bins = (reported + units // 2) // units + BINS * np.arange(weeks)[:, None]
    return sums, np.bincount(bins.ravel(), minlength=weeks * BINS).reshape(weeks, BINS)
