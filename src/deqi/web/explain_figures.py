"""The pictures of the Explain tab: one signal over a session and the day after it, and pain over weeks of sessions.

As in `consult.figures`: inline SVG, labels on the marks, classes and no colours; lines differ in dashes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import floor, log10
from typing import Any

from markupsafe import Markup

from ..consult.figures import WIDTH
from ..consult.svg import Scale, Spot, frame, line, path, rect, text
from ..consult.wording import number as plain_number

Row = Mapping[str, Any]
Number = Callable[[float | None, int], str]
SMALL, LEFT, BREAK_MINUTES = 240, 6, 120.0
"""Width of a small picture, its left edge, and the minute up to which time is drawn wider."""
LEAST_SPAN = 0.05
"""Of the largest value: a signal that moves less is drawn as flat as it is."""


def signal(minutes: Sequence[float], row: Row, session_ends: float, words: Row, name: str,
           number: Number = plain_number) -> Markup:
    """Draw one signal as chosen and as usual, over two hours and then, narrower, the rest of the day.

    Arguments:
        minutes: since the session began.
        row: of `series` of `explain.explain`.
        session_ends: minute at which the needles come out.
        words: `figure` of the texts.
        name: unique on the page.
        number: writes a number for the reader.
    """
    both = [*row["as_chosen"], *row["as_usual"]]
    low, high = _span(min(both), max(both))
    y, last = Scale(low, high, 92, 20), minutes[-1]
    first, then = Scale(0, BREAK_MINUTES, LEFT, 150), Scale(BREAK_MINUTES, last, 150, SMALL - LEFT)

    def x(minute: float) -> float:
        return first(minute) if minute <= BREAK_MINUTES else then(minute)

    def short(value: float) -> str:
        return number(value, max(0, 2 - floor(log10(abs(value)))) if value else 0)

    def course(which: str) -> list[Spot]:
        return [(x(minute), y(value)) for minute, value in zip(minutes, row[which], strict=True)]

    told = {"name": row["name"], "unit": row["unit"]} | {
        f"{which}_{end}": short(pick(row[f"as_{which}"]))
        for which in ("chosen", "usual") for end, pick in (("low", min), ("high", max))}
    return frame(
        name, words["title"].format(**told), words["desc"].format(**told), SMALL, 116,
        rect(LEFT, 20, x(session_ends) - LEFT, 72, "session"),
        line(LEFT, 92, SMALL - LEFT, 92, "axis"), line(150, 20, 150, 96, "grid"),
        text(LEFT, 13, words["top"].format(low=short(low), high=short(high), unit=row["unit"]), "soft"),
        path(course("as_usual"), "usual"), path(course("as_chosen"), "as-chosen"),
        *(text(x(60 * hour), 112, words["hours"].format(n=hour), "soft",
               "start" if not hour else "end" if 60 * hour >= last else "middle")
          for hour in (0, 1, 2, round(last / 60))))


def weeks_of_sessions(weeks: Sequence[float], course: Row, words: Row, name: str, number: Number = plain_number
                      ) -> Markup:
    """Draw mean pain over weeks as chosen, as usual and without needles.

    Arguments:
        weeks: since the first session.
        course: `as_chosen`, `as_usual`, `no_needling`.
        words: `course` of the texts.
        name: unique on the page.
        number: writes a number for the reader.
    """
    x, y = Scale(weeks[0], weeks[-1], 24, WIDTH - 110), Scale(0, 10, 186, 26)
    kinds = {"no_needling": "without-needles", "as_usual": "usual", "as_chosen": "as-chosen"}
    told = {key: number(course[key][-1], 1) for key in kinds} | {
        "start": number(course["as_usual"][0], 1), "weeks": number(weeks[-1], 0)}
    return frame(
        name, words["title"].format(**told), words["desc"].format(**told), WIDTH, 224,
        text(0, 13, words["y"], "soft"),
        *(line(24, y(value), WIDTH - 110, y(value), "grid") for value in range(0, 11, 2)),
        *(text(18, y(value) + 5, value, "soft", "end") for value in range(0, 11, 2)),
        *(path([(x(week), y(value)) for week, value in zip(weeks, course[key], strict=True)], kind)
          for key, kind in kinds.items()),
        *(text(WIDTH - 104, base, words["lines"][key], "strong" if key == "as_chosen" else "soft")
          for key, base in _apart({key: y(course[key][-1]) + 5 for key in kinds})),
        *(text(x(week), 204, number(week, 0), "soft", "middle") for week in range(0, round(weeks[-1]) + 1, 3)),
        text((24 + WIDTH - 110) / 2, 221, words["x"], "soft", "middle"))


def _span(low: float, high: float) -> tuple[float, float]:
    least = LEAST_SPAN * max(abs(low), abs(high), 0.02)
    room = max(0.0, least - (high - low)) / 2
    return low - room, high + room


def _apart(wanted: Mapping[str, float]) -> list[tuple[str, float]]:
    """Labels from the top, moved down where they would touch."""
    rows = sorted(wanted.items(), key=lambda row: row[1])
    placed = [rows[0]]
    for _, (key, base) in pairwise(rows):
        placed.append((key, max(base, placed[-1][1] + 17)))
    return placed
