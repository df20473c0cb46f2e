"""Holds the virtual populations against the published courses that their priors were set on (`anchors.yaml`)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..care import plan_from
from .patients import draw, population_of
from .readout import reported_weeks
from .simulate import simulate


@dataclass(frozen=True)
class Row:
    """One published figure and what the virtual population gives, 0-100.

    Arguments:
        anchor: id of the course.
        week: weeks after enrolment.
        statistic: `mean`, `fall` (from the observed baseline) or `sd`.
        low, high: the band.
        value: of the virtual population.
        source: fact id.
    """

    anchor: str
    week: int
    statistic: str
    low: float
    high: float
    value: float
    source: str

    @property
    def holds(self) -> bool:
        """Whether the value lies within the band."""
        return self.low <= self.value <= self.high

    def as_json(self) -> dict[str, Any]:
        """The row with its verdict."""
        return asdict(self) | {"holds": self.holds}


def anchor_table() -> list[dict[str, Any]]:
    """The published courses, `anchors.yaml`."""
    import yaml

    return yaml.load(Path(__file__).with_name("anchors.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)


def measure(patients: int, seed: int) -> list[Row]:
    """Simulate every anchor.

    Arguments:
        patients: virtual patients per course.
        seed: of every random number.
    """
    rows = []
    for anchor in anchor_table():
        who = population_of(anchor["phase"], anchor["baseline"] / 10.0, anchor.get("duration_weeks"))
        people = draw(who, patients, seed)
        course = simulate(plan_from(anchor["plan"]), people, max(anchor["weeks"]))
        reported = 10.0 * reported_weeks(course.nrs, people, seed, course.flare_log_hazard, rounded=False)
        baseline = 10.0 * float(np.mean(people.person["nrs"]))
        statistic = "mean" if "mean" in anchor else "fall"
        for index, week in enumerate(anchor["weeks"]):
            level = float(np.mean(reported[week - 1]))
            target, margin = anchor[statistic][index], anchor["margin"]
            rows.append(Row(anchor["id"], week, statistic, target - margin, target + margin,
                            level if statistic == "mean" else baseline - level, anchor["source"]))
            if "sd" in anchor:
                low, high = anchor["sd"][index]
                rows.append(Row(anchor["id"], week, "sd", low, high, _within(reported[week - 1], people.average),
                                anchor["source"]))
    return rows


def _within(scores: np.ndarray, setting: np.ndarray) -> float:
    """Spread of scores between the people of one study: settings differ, and a study is one of them."""
    means = np.bincount(setting, scores) / np.bincount(setting)
    n, k = len(scores), len(means)
    return float(np.sqrt(np.sum((scores - means[setting]) ** 2) / (n - k)))


def lines(rows: list[Row]) -> list[str]:
    """A table for the terminal."""
    shown = [f"{'published course':<24} {'week':>4}  {'':<5} {'band':>10}  {'virtual':>7}"]
    shown += [f"{r.anchor:<24} {r.week:>4}  {r.statistic:<5} {r.low:>4.0f} to {r.high:<3.0f}  {r.value:>7.1f}"
              f"  {'holds' if r.holds else 'MISSED'}" for r in rows]
    missed = sum(not r.holds for r in rows)
    return [*shown, f"{len(rows) - missed} of {len(rows)} hold. Points of 100; see `deqi evidence ID` for the sources."]
