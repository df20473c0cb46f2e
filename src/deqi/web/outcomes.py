"""A practice's outcomes beside the forecasts made when its plans began: what was due, what came, what is missing.

Chances are compared with counts: the share that has at least 30 % less pain at one week, against the mean chance that
the forecasts gave. Limits take people as independent and the forecasts as right; a forecast's average is unsure as
well, and all share that, so more than 5 of 100 practices lie outside the 95 % limits even if nothing is amiss.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from scipy.special import betaincinv, chdtrc, ndtri, stdtrit

FEWEST = 10
"""Scores below which only counts are told: a share of so few says little, and may point at a person. Assumed."""
BINS = 5
WINDOW_WEEKS = 2.0
"""How far from the week judged a score may lie, for week 8 or later; a quarter of the time before. Assumed."""
TAILS = {"95": 0.025, "99.8": 0.001}
"""Of the control limits, on either side (Spiegelhalter 2005, doi 10.1002/sim.1970)."""
FEWEST_GROUPS = 3

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Course:
    """One person's plan, as it was forecast when it began and as it went.

    Attributes:
        person: a pseudonym.
        clinician, kind: groups that it belongs to: who gave it, what kind of plan.
        baseline: NRS when it began.
        forecast: rows made then, as the interface has them; those of NRS count.
        scores: (weeks since it began, NRS).
        weeks: how long ago it began.
        ended: weeks from its beginning to its end; None while it runs.
    """

    person: str
    clinician: str
    kind: str
    baseline: float
    forecast: Sequence[Row]
    scores: Sequence[tuple[float, float]]
    weeks: float
    ended: float | None = None


@dataclass(frozen=True)
class Held:
    """A score beside its forecast."""

    course: Course
    observed: float
    mean: float
    low: float
    high: float
    chance: float

    @property
    def improved(self) -> bool:
        """At least 30 % less pain than at the start."""
        return self.observed <= 0.7 * self.course.baseline + 1e-9


def window_of(week: float) -> float:
    """How many weeks before or after a week a score may lie and still stand for it."""
    return min(WINDOW_WEEKS, week / 4)


def outcomes(courses: Sequence[Course], week: int) -> dict[str, Any]:
    """Hold what was reported at one week against what was forecast at the start.

    A person counts once, with the first plan that ran at that week: a later plan is often chosen because the first did
    not help. Nobody counts before the window has closed, or those who come early would count more.

    Arguments:
        courses: one for each plan.
        week: since each plan began; the forecasts must have it.

    Returns:
        `week`, `window`; numbers of plans: `plans`, of `people`; `due`, of which `observed` and `missing`; `not_yet`;
        `ended_early` (before that week); `later` (of people who count with an earlier plan); `no_forecast` (none for
        that week, or no pain to begin with). `all`, and `by` clinician and kind: groups, see
        `group`. `calibration`: bins, see `calibration`. `coverage`, `error`: None for fewer than ten scores.
        `dispersion` by clinician and kind: None for fewer than three groups. `notes`: ids of sentences in the texts.
    """
    held: list[Held] = []
    missing: list[Course] = []
    counted: set[str] = set()
    not_yet = no_forecast = ended_early = later = 0
    for course in sorted(courses, key=lambda course: -course.weeks):
        row = _forecast_at(course, week)
        score = _nearest(course.scores, week)
        if row is None:
            no_forecast += 1
        elif course.ended is not None and course.ended < week:
            ended_early += 1
        elif course.person in counted:
            later += 1
        elif course.weeks <= week + window_of(week):
            not_yet += 1
        elif score is not None:
            counted.add(course.person)
            low, high = (float(row["quantiles"][level]) for level in ("0.1", "0.9"))
            held.append(Held(course, score, float(row["mean"]), low, high, float(row["p_improved_30pct"])))
        else:
            counted.add(course.person)
            missing.append(course)
    by = {part: _groups(held, missing, part) for part in ("clinician", "kind")}
    found = {
        "week": week, "window": window_of(week), "plans": len(courses),
        "people": len({course.person for course in courses}), "due": len(held) + len(missing),
        "observed": len(held), "missing": len(missing), "not_yet": not_yet,
        "ended_early": ended_early, "later": later, "no_forecast": no_forecast,
        "all": group("all", held, len(missing)), "by": by, "calibration": calibration(held),
        "coverage": _coverage(held), "error": _error(held),
        "dispersion": {part: dispersion(rows) for part, rows in by.items()},
    }
    return found | {"notes": _notes(found)}


def group(label: str, held: Sequence[Held], missing: int) -> dict[str, Any]:
    """How many of a group have at least 30 % less pain, beside how many were forecast.

    Arguments:
        label: of the group.
        held: its scores.
        missing: scores that were due and never came.

    Returns:
        `label`, `n`, `missing`, `improved` and `few`. Unless they are few: `forecast` (the mean chance), `share` with
        its `interval`, their `difference`, its exact control limits `limits` by level, `variance` (of one person),
        `verdict` (`inside`, `outside_95`, `outside_998`), and `range_missing`: the share if nobody of those missing is
        better, and if all are.
    """
    n, improved = len(held), sum(one.improved for one in held)
    told: dict[str, Any] = {"label": label, "n": n, "missing": missing, "improved": improved, "few": n < FEWEST}
    if n < FEWEST:
        return told
    chances = np.array([one.chance for one in held])
    limits = {level: control_limits(chances, tail) for level, tail in TAILS.items()}
    difference = improved / n - float(np.mean(chances))
    inside = {level: low - 1e-9 <= difference <= high + 1e-9 for level, (low, high) in limits.items()}
    verdict = "inside" if inside["95"] else "outside_95" if inside["99.8"] else "outside_998"
    return told | {
        "forecast": float(np.mean(chances)), "share": improved / n, "interval": wilson(improved, n),
        "difference": difference, "limits": limits, "variance": float(np.mean(chances * (1 - chances))),
        "verdict": verdict, "range_missing": [improved / (n + missing), (improved + missing) / (n + missing)]}


def control_limits(chances: np.ndarray, tail: float) -> list[float]:
    """The share improved minus the mean chance, at its lowest and highest that chance alone gives more often than
    `tail` on that side.

    Exact: the count of improved people is a sum of independent trials, each with a chance of its own.

    Arguments:
        chances: of each person, shape (people,).
        tail: on either side.
    """
    counts = poisson_binomial(chances)
    low = int(np.argmax(np.cumsum(counts) > tail))
    high = len(chances) - int(np.argmax(np.cumsum(counts[::-1]) > tail))
    return [float((count - np.sum(chances)) / len(chances)) for count in (low, high)]


def poisson_binomial(chances: np.ndarray) -> np.ndarray:
    """Chance of each number of successes of independent trials, shape (trials + 1,)."""
    counts = np.ones(1)
    for chance in chances:
        counts = np.convolve(counts, (1 - chance, chance))
    return counts


def dispersion(groups: Sequence[Row]) -> dict[str, Any] | None:
    """Whether groups differ from their forecasts more than chance among people allows.

    Arguments:
        groups: as `group` gives them; those with few scores are left out.

    Returns:
        `groups`, `ratio` (mean squared z, 1 if there is only chance), `p`, and `more` (p under 0.05); None for
        fewer than three groups.

    Source: Spiegelhalter 2005, doi 10.1002/sim.1970. Limits are not widened by it: it is told.
    """
    many = [row for row in groups if not row["few"] and row["variance"] > 0]
    if len(many) < FEWEST_GROUPS:
        return None
    squares = sum(row["difference"] ** 2 * row["n"] / row["variance"] for row in many)
    p = float(chdtrc(len(many), squares))
    return {"groups": len(many), "ratio": squares / len(many), "p": p, "more": p < 0.05}


def calibration(held: Sequence[Held]) -> list[dict[str, Any]]:
    """Chances that were forecast beside shares that came true, in up to five bins of equal size.

    Returns:
        `low`, `high` and mean `forecast` of the chances, `n`, `improved`, `share`, `interval` (Wilson); empty
        for fewer than ten scores.
    """
    ordered = sorted(held, key=lambda one: one.chance)
    bins = []
    for part in np.array_split(np.arange(len(ordered)), max(1, min(BINS, len(ordered) // FEWEST))):
        ones = [ordered[k] for k in part]
        if len(ones) >= FEWEST:
            improved = sum(one.improved for one in ones)
            bins.append({"low": ones[0].chance, "high": ones[-1].chance, "n": len(ones), "improved": improved,
                         "forecast": float(np.mean([one.chance for one in ones])), "share": improved / len(ones),
                         "interval": wilson(improved, len(ones))})
    return bins


def wilson(count: int, n: int, tail: float = 0.025) -> list[float]:
    """Score interval of a share (Wilson 1927, doi 10.1080/01621459.1927.10502953)."""
    z = float(ndtri(1 - tail))
    middle, half = count + z * z / 2, z * sqrt(count * (n - count) / n + z * z / 4)
    return [max(0.0, (middle - half) / (n + z * z)), min(1.0, (middle + half) / (n + z * z))]


def clopper_pearson(count: int, n: int, tail: float = 0.025) -> list[float]:
    """Exact interval of a share (Clopper and Pearson 1934, doi 10.1093/biomet/26.4.404)."""
    return [0.0 if count == 0 else float(betaincinv(count, n - count + 1, tail)),
            1.0 if count == n else float(betaincinv(count + 1, n - count, 1 - tail))]


def _coverage(held: Sequence[Held]) -> dict[str, Any] | None:
    """How many scores the 80 % interval holds; whole scores at an edge count in full, so a good forecast holds more
    than 80 of 100, and fewer without them."""
    if len(held) < FEWEST:
        return None
    within = sum(one.low - 1e-9 <= one.observed <= one.high + 1e-9 for one in held)
    edge = sum(min(abs(one.observed - one.low), abs(one.observed - one.high)) < 1e-9 for one in held)
    return {"n": len(held), "within": within, "at_edge": edge, "below": sum(one.observed < one.low for one in held),
            "above": sum(one.observed > one.high for one in held), "share": within / len(held),
            "interval": wilson(within, len(held))}


def _error(held: Sequence[Held]) -> dict[str, Any] | None:
    """Reported minus forecast pain, NRS, with the 95 % interval of the mean (Student's t)."""
    if len(held) < FEWEST:
        return None
    errors = np.array([one.observed - one.mean for one in held])
    mean, sd = float(np.mean(errors)), float(np.std(errors, ddof=1))
    half = float(stdtrit(len(held) - 1, 0.975)) * sd / sqrt(len(held))
    return {"n": len(held), "mean": mean, "sd": sd, "interval": [mean - half, mean + half],
            "observed": float(np.mean([one.observed for one in held])),
            "forecast": float(np.mean([one.mean for one in held]))}


def _notes(found: Row) -> list[str]:
    return [note for note, holds in (
        ("not_effect", found["observed"] > 0), ("few", found["observed"] < FEWEST), ("missing", found["missing"] > 0),
        ("no_forecast", found["no_forecast"] > 0), ("limits", found["observed"] >= FEWEST),
        ("edges", found["observed"] >= FEWEST),
        ("dispersion", any(row and row["more"] for row in found["dispersion"].values()))) if holds]


def _groups(held: Iterable[Held], missing: Iterable[Course], part: str) -> list[dict[str, Any]]:
    members: dict[str, tuple[list[Held], list[Course]]] = {}
    for one in held:
        members.setdefault(getattr(one.course, part), ([], []))[0].append(one)
    for course in missing:
        members.setdefault(getattr(course, part), ([], []))[1].append(course)
    return [group(label, ones, len(lost)) for label, (ones, lost) in sorted(members.items())]


def _forecast_at(course: Course, week: int) -> Row | None:
    if course.baseline <= 0:
        return None
    return next((row for row in course.forecast if row["outcome"] == "NRS" and row["week"] == week), None)


def _nearest(scores: Iterable[tuple[float, float]], week: int) -> float | None:
    """The score nearest to the week, the earlier of two as near; None if none lies within the window."""
    near = [(abs(at - week), at, value) for at, value in scores if abs(at - week) <= window_of(week) + 1e-9]
    return min(near)[2] if near else None
