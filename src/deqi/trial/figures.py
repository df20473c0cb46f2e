"""The pictures of a trial's report: courses of the arms, power over people, and estimates beside the truth.

Marks differ in shape or line as well as in colour; every figure says in words what it shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import log
from typing import Any

from markupsafe import Markup

from ..calibrate.figures import Scale as Axis
from ..consult.svg import Scale, Spot, circle, frame, line, path, text
from ..consult.wording import number

WIDTH, HEIGHT = 320, 220
TOPS = {"pain": 10.0, "disability": 100.0}
STRIP, ROW = 420, 22
Row = Mapping[str, Any]


def course(own: Row, others: Iterable[Row], name: str) -> Markup:
    """Draw one arm's reported scores over the weeks: mean and 80 % of people, the other arms' means in grey.

    Arguments:
        own, others: rows of `curves` of one outcome.
        name: unique on the page.
    """
    weeks, top = own["weeks"], TOPS[own["outcome"]]
    x, y = Scale(0, weeks[-1], 34, WIDTH - 30), Scale(0, top, HEIGHT - 34, 12)

    def spots(values: Sequence[float]) -> list[Spot]:
        return [(x(week), y(value)) for week, value in zip(weeks, values, strict=True)]

    low, high = own["quantiles"]["0.1"], own["quantiles"]["0.9"]
    start, end = number(own["mean"][0]), number(own["mean"][-1])
    desc = (f"Mean {own['outcome']} of the arm {own['arm']}: {start} at baseline, {end} in week {weeks[-1]}; there, "
            f"80 % of people lie between {number(low[-1])} and {number(high[-1])}.")
    return frame(
        name, f"Course of {own['outcome']} in {own['arm']}", desc, WIDTH, HEIGHT,
        path(spots(high) + spots(low)[::-1], "band80", closed=True),
        *(line(34, y(k * top / 5), WIDTH - 30, y(k * top / 5), "grid") for k in range(6)),
        *(text(28, y(k * top / 5) + 4, number(k * top / 5), "tick", "end") for k in range(6)),
        *(path(spots(other["mean"]), "ghost") for other in others),
        path(spots(own["mean"]), "median"),
        text(x(weeks[-1]) + 4, y(own["mean"][-1]) + 4, end, "soft"),
        *(text(x(week), HEIGHT - 18, week, "tick", "middle") for week in _ticks(weeks[-1])),
        text((34 + WIDTH - 30) / 2, HEIGHT - 3, "weeks", "tick", "middle"))


def power(rows: Sequence[Row], wanted: float, name: str, textbook: bool) -> Markup:
    """Draw power (dots, solid) and assurance (rings, dashed) of one contrast over people, with Monte Carlo error.

    Arguments:
        rows: of `power.curve`, one contrast, from the smallest size on.
        wanted: the power that is aimed at, 0 to 1.
        name: unique on the page.
        textbook: whether the analytic power of the t test belongs beside it.
    """
    sizes = [row["n"] for row in rows]
    first, last = log(sizes[0]), log(sizes[-1])
    x = Scale(first - 0.1, max(last, first + 0.01) + 0.1, 44, WIDTH - 8)
    y = Scale(0, 100, HEIGHT - 36, 10)
    drawn = [line(44, y(k), WIDTH - 8, y(k), "grid") for k in range(0, 101, 20)]
    drawn += [text(38, y(k) + 4, f"{k} %", "tick", "end") for k in range(0, 101, 20)]
    drawn.append(line(44, y(100 * wanted), WIDTH - 8, y(100 * wanted), "promised"))
    if textbook:
        known = [row for row in rows if row["analytic"] is not None]
        drawn.append(path([(x(log(row["n"])), y(100 * row["analytic"])) for row in known], "ghost"))
    for key, error, kind in (("assurance", "assurance_mc_se", "late"), ("power", "mc_se", "own")):
        known = [row for row in rows if row[key] is not None]
        drawn.append(path([(x(log(row["n"])), y(100 * row[key])) for row in known], f"curve {kind}"))
        for row in known:
            at, reach = x(log(row["n"])), 196 * row[error]
            drawn += [line(at, y(100 * row[key] - reach), at, y(100 * row[key] + reach), f"whisker {kind}"),
                      circle(at, y(100 * row[key]), 4, f"spot {kind}")]
    shown = _apart([x(log(n)) for n in sizes])
    drawn += [text(x(log(sizes[k])), HEIGHT - 20, f"{sizes[k]:,}", "tick", "middle") for k in shown]
    drawn.append(text((44 + WIDTH - 8) / 2, HEIGHT - 4, "people randomised in all", "tick", "middle"))
    desc = "; ".join(f"{row['n']} people: power {_percent(row['power'])}, assurance {_percent(row['assurance'])}"
                     for row in rows)
    return frame(name, f"Power and assurance: {rows[0]['contrast']}", desc, WIDTH, HEIGHT, *drawn)


def estimates(rows: Sequence[Row], important: float | None, name: str) -> Markup:
    """Draw estimates, one row each: truth, mean with 95 % of trials (central world), and the posterior world below.

    Arguments:
        rows: of `estimates`, one outcome and method.
        important: a change that matters to one person, marked on both sides; None for shares.
        name: unique on the page.
    """
    factor = 100.0 if rows[0]["method"] == "responders" else 1.0
    seen = [_band(factor, _of_trials(row)) for row in rows]
    doubted = [_band(factor, list(row["quantiles"].values())) for row in rows]
    marks = [] if important is None else [-important, important]
    held = Axis.around([*(v for band in (*seen, *doubted) for v in band), *(factor * row["truth"] for row in rows),
                        *marks])
    x, foot = Scale(held.low, held.high, 64, STRIP - 12), 20 + ROW * len(rows)
    drawn = [line(x(0), 8, x(0), foot - 6, "axis"),
             *(line(x(mark), 8, x(mark), foot - 6, "promised") for mark in marks)]
    said = []
    for k, row in enumerate(rows):
        y, at = 20 + ROW * k, x(factor * row["truth"])
        drawn.append(text(0, y + 4, f"week {row['week']}", "soft"))
        if doubted[k]:
            low, inner, _, middle, _, outer, high = map(x, doubted[k])
            drawn += [line(low, y + 5, high, y + 5, "thin late"), line(inner, y + 5, outer, y + 5, "thick late"),
                      circle(middle, y + 5, 3.6, "spot late")]
        if seen[k]:
            low, middle, high = map(x, seen[k])
            drawn += [line(low, y - 4, high, y - 4, "thin own"), circle(middle, y - 4, 3.6, "spot own")]
        drawn.append(path([(at, y - 9), (at + 4, y - 4), (at, y + 1), (at - 4, y - 4)], "truth", closed=True))
        said.append(f"week {row['week']}: truth {number(factor * row['truth'], 2)}, mean estimate "
                    f"{number(seen[k][1] if seen[k] else None, 2)}")
    drawn += [text(x(tick), foot + 8, number(tick, 2), "tick", "middle") for tick in held.ticks]
    return frame(name, f"Estimates: {rows[0]['contrast']}, {rows[0]['outcome']}", "; ".join(said), STRIP, foot + 14,
                 *drawn)


def _of_trials(row: Row) -> list[float | None]:
    """Mean estimate in the central world with 1.96 standard deviations of the trials to either side."""
    mean, sd = row["mean"], row["sd"]
    return [None if mean is None or sd is None else mean + k * sd for k in (-1.96, 0.0, 1.96)]


def _band(factor: float, values: Sequence[float | None]) -> list[float]:
    """Values times a factor; nothing where one is not known."""
    known = [factor * value for value in values if value is not None]
    return known if len(known) == len(values) else []


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.0f} %"


def _ticks(last: int) -> list[int]:
    """Whole weeks for an axis, seven at most."""
    step = next(step for step in (1, 2, 4, 8, 13, 26, 52, 104) if last / step <= 6)
    return list(range(0, last + 1, step))


def _apart(places: Sequence[float], least: float = 34.0) -> list[int]:
    """Indices of the places that can be named without touching, the last one among them."""
    kept: list[int] = []
    for k in reversed(range(len(places))):
        if not kept or places[kept[-1]] - places[k] >= least:
            kept.append(k)
    return kept
