"""When something was measured: weeks after enrolment, from a number or from words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .entries import Place, number
from .records import Arm

LATEST_WEEK = 1040.0
MOMENTARY_WEEKS = 3.0 / 7.0 + 1e-3
"""Within three days of the start there is no week's average yet."""
AT_ONCE_WEEKS = 0.001
UNITS = {"s": 1 / 604800, "m": 1 / 10080, "h": 1 / 168, "d": 1 / 7, "w": 1.0, "mo": 52 / 12, "y": 52.0}
_AMOUNT = re.compile(
    r"(\d+(?:\.\d+)?)[\s-]*(sec(?:ond)?s?|min(?:ute)?s?|h(?:(?:ou)?rs?)?|d(?:ays?)?|w(?:ee)?ks?|w|mo(?:nth)?s?|y(?:ea)?rs?)\b",
    re.IGNORECASE)
_SEVERAL = re.compile(r"\d\s*(?:-|–|to|and|,|/|&)\s*\d|\bmean\b|average|\ball\b|during|over the|immediately and",
                      re.IGNORECASE)
_SESSION = re.compile(r"per session|each (?:session|treatment)|after session|immediate|pre.?session", re.IGNORECASE)
_END = re.compile(r"\bpost|\bend\b|after (?:the )?(?:treatment|course|intervention|therapy)|follow", re.IGNORECASE)


@dataclass(frozen=True)
class Moment:
    """A moment of a trial.

    Arguments:
        week: weeks after enrolment; None where it cannot be told.
        momentary: pain of a moment, not a week's average.
        reason: why there is no week.
    """

    week: float | None
    momentary: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Course:
    """How long the care of a trial lasts, weeks (None where unknown), and whether it is a single session."""

    weeks: float | None
    single: bool


def course_of(arms: Iterable[Arm]) -> Course:
    """The longest course of care among the arms."""
    longest, single, more = [], False, False
    for arm in arms:
        for item in arm.interventions:
            weeks, sessions, often = (_middle(item.get(key)) for key in (
                "duration_weeks", "sessions", "sessions_per_week"))
            if sessions == 1:
                single = True
                continue
            if weeks:
                longest.append(weeks)
            elif sessions and often:
                longest.append(sessions / often)
            more = more or bool(weeks or sessions)
    if single and not more:
        return Course(0.0, True)
    return Course(max(longest, default=None), False)


def moment_of(row: Mapping[str, Any], place: Place, course: Course) -> Moment:
    """When a row of a file was measured.

    Arguments:
        row: with `week`, a number or words, else `day`, else words under `time_label`, `time` or `visit`.
        place: of the row.
        course: of the trial.

    Raises:
        InputError: a week below 0 or above 1040, or one that is neither a number nor words.
    """
    week, key = row.get("week"), "week"
    if week is None and row.get("day") is not None:
        day = number(row, "day", place, 0.0, 7 * LATEST_WEEK)
        return _at(None if day is None else day / 7.0, False, place.at("day"))
    if week is None:
        key = next((k for k in ("time_label", "time", "visit") if isinstance(row.get(k), str)), "week")
        week = row.get(key)
    if week is None:
        return Moment(None, reason="no time is stated")
    if isinstance(week, str) and not re.fullmatch(r"\s*\d+(\.\d+)?\s*", week):
        return _read(week, place.at(key), course)
    numeric = {key: float(week) if isinstance(week, str) else week}
    return _at(number(numeric, key, place, 0.0, LATEST_WEEK), False, place.at(key))


def _read(said: str, place: Place, course: Course) -> Moment:
    if re.fullmatch(r"\s*(baseline|enrol?ment|start|before( treatment)?|pre)\s*", said, re.IGNORECASE):
        return Moment(0.0)
    if _SEVERAL.search(said):
        return Moment(None, reason=f"a span or several moments ({said}), not one")
    amounts = [(float(value), _unit(unit)) for value, unit in _AMOUNT.findall(said)]
    numbered = re.search(r"\b(?:week|wk)s?\s*(\d+(?:\.\d+)?)", said, re.IGNORECASE)
    session, ends = _SESSION.search(said) is not None, _END.search(said) is not None
    if numbered and not amounts:
        return _at(float(numbered[1]), session, place)
    if len(amounts) > 1:
        return Moment(None, reason=f"a span or several moments ({said}), not one")
    if amounts:
        weeks = amounts[0][0] * UNITS[amounts[0][1]]
        short = amounts[0][1] in ("s", "m", "h")
        if re.search(r"\bpost|\bafter\b", said, re.IGNORECASE):
            if course.weeks is None:
                return Moment(None, reason=f"counted from the end of a course of unknown length ({said})")
            weeks += course.weeks
        return _at(weeks, short or session, place)
    if session or ends:
        if course.weeks is None or "visit" in said:
            return Moment(None, reason=f"the week is not stated ({said})")
        return _at(course.weeks or AT_ONCE_WEEKS, session, place)
    return Moment(None, reason=f"the week is not stated ({said})")


def _at(week: float | None, momentary: bool, place: Place) -> Moment:
    if week is None:
        return Moment(None, reason="a span or several moments, not one")
    if week > LATEST_WEEK:
        raise place.refuse("out of range", week, f"a number from 0 to {LATEST_WEEK:g}")
    return Moment(week, momentary or 0.0 < week <= MOMENTARY_WEEKS)


def _unit(word: str) -> str:
    low = word.lower()
    return "mo" if low.startswith("mo") else low[0]


def _middle(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    ends = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:-|–|to)\s*(\d+(?:\.\d+)?)\s*", str(value or ""))
    return (float(ends[1]) + float(ends[2])) / 2.0 if ends else None
