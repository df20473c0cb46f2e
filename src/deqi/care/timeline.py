"""A plan as a timeline: stretches of time with constant care, in the order in which they come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp

from ..body.inputs import INPUT, REST_INPUTS
from .action import Exposure, actions, context_strength, exposures
from .course import Course


@dataclass(frozen=True)
class Timeline:
    """All exposures of a plan and the courses whose context works on.

    Arguments:
        exposures: in order of their start.
        courses: the courses of care, for the context response.
        days: where the timeline ends.
    """

    exposures: tuple[Exposure, ...]
    courses: tuple[Course, ...]
    days: float

    def inputs_at(self, day: float) -> dict[str, float]:
        """All inputs at one moment, without the rise and fall of manipulation (see `Exposure`)."""
        return join([e for e in self.exposures if e.start_day <= day < e.end_day])

    def context_at(self, day: float) -> float:
        """Strength of the context at one moment.

        Courses act independently, 1 - prod(1 - s); a course that has ended fades over `fades_in_days`,
        quickly where nobody gave it.
        """
        fades = actions()["context"]["fades_in_days"]
        left = 1.0
        for course in self.courses:
            start, end = 7.0 * course.schedule.start_week, 7.0 * course.schedule.end_week
            fade = fades["with_practitioner" if course.with_practitioner else "alone"]["value"]
            if day >= start:
                left *= 1.0 - context_strength(course) * (exp(-(day - end) / fade) if day > end else 1.0)
        return 1.0 - left


def timeline(courses: Iterable[Course], weeks: float) -> Timeline:
    """The timeline of a plan from day 0 to the end of the last week asked for.

    Arguments:
        courses: courses of care; what lies before day 0 or after the end is cut off.
        weeks: length of the timeline.
    """
    courses, days = tuple(courses), 7.0 * weeks
    seen = [e for course in courses for e in exposures(course) if e.end_day > 0.0 and e.start_day < days]
    return Timeline(tuple(sorted(seen, key=lambda e: e.start_day)), courses, days)


def join(together: Sequence[Exposure], factors: Sequence[float] | None = None) -> dict[str, float]:
    """The inputs of several exposures at once; `factors` scale the needle's drive of each (manipulation)."""
    values = dict(REST_INPUTS)
    for index, exposure in enumerate(together):
        factor = 1.0 if factors is None else factors[index]
        for name, value in exposure.inputs.items():
            value = value * factor if name in MANIPULATED else value
            rule, rest = INPUT[name].joined, REST_INPUTS[name]
            if rule == "independent":
                values[name] = 1.0 - (1.0 - values[name]) * (1.0 - value)
            elif rule == "sum":
                values[name] += value
            elif abs(value - rest) > abs(values[name] - rest):
                values[name] = value
    return values


MANIPULATED = frozenset({"needle_mechanical", "needle_local", "needle_distal", "needle_noxious", "ltd_drive",
                         "surround"})
"""Inputs that rise and fall with manipulation of the needle."""
