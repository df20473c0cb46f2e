"""Simulated trials made of normal numbers instead of virtual patients, for tests of what is done with them."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np

from deqi.trial import run
from deqi.trial.design import Design, buckets, parse_design
from deqi.trial.result import TrialResult, trial
from deqi.trial.tally import BINS, HUNDREDTHS, WIDTH, Tally
from deqi.trial.truth import Truth

DESIGN: dict[str, Any] = {
    "title": "Needles against sham & waiting", "visits": [4, 8], "n": [40, 80, 160], "trials": 60, "seed": 3,
    "arms": [{"id": "verum", "plan": "acupuncture 30 min 10 sessions over 8 weeks"},
             {"id": "sham", "plan": "penetrating sham acupuncture 30 min 10 sessions over 8 weeks"},
             {"id": "waiting", "plan": "waiting list for 8 weeks"}],
    "analysis": {"primary": {"outcome": "pain", "week": 8, "method": "ancova"}},
}
FALLS = (2.0, 1.8, 0.8)
"""Mean change of pain in each arm at the last visit, points."""
LOST = 0.1


def tally(design: Design, seed: int, spread: float = 0.0, shift: float = 0.0) -> Tally:
    """Count trials of normal scores: each arm falls by FALLS, and each trial's arms by some more or less.

    Arguments:
        seed: of the random generator.
        spread: of the arms' own falls between trials, points.
        shift: of the first arm's fall, points.
    """
    found = Tally.empty(design)
    rng = np.random.default_rng(seed)
    n, arms = design.sizes[-1], len(design.arms)
    arm, bucket = np.arange(n) % arms, buckets(design, np.arange(n))
    falls = np.array(FALLS)[:arms] + shift * (np.arange(arms) == 0)
    for place in range(design.trials):
        fall = (falls + spread * rng.normal(size=arms))[arm]
        usual, gone = rng.normal(0.0, 1.2, n), rng.random(n) < LOST
        for cell, (outcome, week) in enumerate(design.cells()):
            scale = 10 if outcome == "disability" else 1
            x = (scale * HUNDREDTHS * np.clip(5.8 + usual, 0, 10)).round().astype(int)
            y = (scale * HUNDREDTHS * np.clip(5.8 + usual - fall * week / design.weeks + rng.normal(0, 1.3, n), 0, 10)
                 ).round().astype(int)
            parts = np.stack([np.ones_like(x), y, y * y, x, x * x, x * y, y <= 0.7 * x], axis=1)
            np.add.at(found.sums, (place, bucket[~gone], arm[~gone], cell), parts[~gone])
    people = design.trials * n
    found.screened[:] = [2 * people, people // 2, 0, people // 4, people // 4, people]
    found.allocated[:] = np.bincount(arm, minlength=arms) * design.trials
    _weeks(design, found, rng, falls)
    return found


def _weeks(design: Design, found: Tally, rng: np.random.Generator, falls: np.ndarray) -> None:
    for a, fall in enumerate(falls):
        for o, outcome in enumerate(design.outcomes):
            for week in range(design.weeks + 1):
                y = np.clip(rng.normal(5.8 - fall * week / design.weeks, 1.7, 400), 0, 10) * 10 * WIDTH[outcome]
                y = (y * HUNDREDTHS).round().astype(int)
                found.weekly[a, o, week] = len(y), y.sum(), (y * y).sum()
                bins = (y / HUNDREDTHS / WIDTH[outcome]).round().astype(int)
                found.histogram[a, o, week] = np.bincount(bins, minlength=BINS)


def result(**changes: Any) -> TrialResult:
    """What `deqi.trial` makes of the design with these changes, from normal numbers instead of virtual patients."""
    asked = parse_design({"trial": DESIGN | changes})
    mean = np.array([[(5.8 - fall * week / asked.weeks) * (10 if outcome == "disability" else 1)
                      for outcome, week in asked.cells()] for fall in FALLS])
    weights = np.stack([asked.weights(contrast) for contrast in asked.contrasts])
    none = np.zeros((len(weights), mean.shape[1]))
    known = Truth(1, mean, mean, 0.1 * mean, {}, {}, weights @ mean, none, 0.0 * none)

    def simulate(design: Design, world: str, **_: Any) -> Tally:
        shift = {"without:gate": -0.3, "without:muscle": 0.3}.get(world, 0.0)
        return tally(design, len(world), 0.0 if world == "central" else 0.2, shift)

    with (mock.patch.object(run, "simulate", simulate), mock.patch.object(run, "truth", lambda design: known),
          mock.patch.object(run, "check")):
        return trial(asked)
