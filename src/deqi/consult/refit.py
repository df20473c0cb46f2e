"""Changes courses of care until they keep to limits, as little as may be, and notes what was changed and why.

Words stand in `rules/limits.yaml`. Nothing here decides what is allowed: `limits.py` does, before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from math import ceil, inf
from typing import Any, TypeVar

from deqi.care import Exercise, Heat, Needling, Stretching
from deqi.care.course import Course
from deqi.care.defaults import defaults_for
from deqi.care.needling import classes_of
from deqi.consult.assessment import Patient
from deqi.consult.contents import CHEST, busiest, contents, hours_a_week, is_low, visits_a_week
from deqi.consult.coverage import Allowance, allowance
from deqi.consult.points import class_regions, published_points, where
from deqi.consult.rules import table
from deqi.errors import InputError

Bans = Mapping[str, str]
AnyCourse = TypeVar("AnyCourse", bound=Course)
SHORTEST_WEEKS = 1 / 7
LITTLE = 1e-9


def made_safe(course: Course, bans: Bans) -> tuple[Course | None, list[str]]:
    """A course without what is forbidden, or None where nothing is left of it.

    Arguments:
        course: as planned.
        bans: what no plan may contain, with the reason in words.

    Returns:
        The course, and notes on what was changed.
    """
    notes: list[str] = []
    changed: Course | None = course
    steps: tuple[tuple[set[str], Callable[[Any, Bans], Course | None], str], ...] = (
        ({"electro"}, _by_hand, "by_hand"), ({"low_frequency_electro"}, _faster, "frequency"),
        (set(table("points")["regions"]), _elsewhere, "points"), ({"chest_current"}, _off_the_chest, "points"),
        ({"deep_needling"}, _shallow, "shallow"), ({"heavy_exercise"}, _lighter, "lighter"),
        ({"heat_pads"}, _wrap, "wrap"),
    )
    if not contents(course) & bans.keys() & {"needling", "exercise", "heat"}:
        for keys, change, note in steps:
            found = contents(changed) & bans.keys() & keys if changed is not None else frozenset()
            if changed is not None and found:
                changed = change(changed, bans)
                notes.append(_note(note, _why(found, bans)))
    left = contents(changed) & bans.keys() if changed is not None else contents(course) & bans.keys()
    if changed is None or left:
        return None, [_note("left_out", _why(left, bans), course)]
    return changed, notes


def made_timely(courses: Iterable[Course], patient: Patient) -> tuple[list[Course], list[str]]:
    """Courses within the visits, hours, sessions and weeks that a person can give, and that are paid for.

    Arguments:
        courses: of one plan.
        patient: with wishes, and with the care so far that a payer counts.

    Returns:
        The courses that are left, and notes on what was changed.
    """
    wishes, made = patient.preferences, _Timely(list(courses))
    if wishes.visits_per_week is not None:
        made.visits(wishes.visits_per_week, inf if wishes.max_weeks is None else wishes.max_weeks)
    if wishes.hours_per_week is not None:
        made.hours(wishes.hours_per_week)
    if wishes.max_sessions is not None:
        made.sessions(wishes.max_sessions)
    if wishes.max_weeks is not None:
        made.weeks(wishes.max_weeks)
    made.covered(allowance(patient))
    return made.courses, list(dict.fromkeys(made.notes))


@dataclass
class _Timely:
    """Courses that are fitted to one limit after the other; no later step adds to what an earlier one counts."""

    courses: list[Course]
    notes: list[str] = field(default_factory=list)

    def visits(self, most: float, longest: float) -> None:
        while (found := busiest(self.courses, visits_a_week))[0] > most + LITTLE:
            if not self._at_home(found[1]):
                course = max(found[1], key=visits_a_week)
                self._put(course, _rarer(course, most, longest), "rarer")

    def hours(self, most: float) -> None:
        while (found := busiest(self.courses, hours_a_week))[0] > most + LITTLE:
            course = max(found[1], key=hours_a_week)
            self._put(course, _rarer(course, 0.0, 0.0), "rarer")

    def sessions(self, most: int) -> None:
        while (excess := sum(map(_visits, self.courses)) - most) > 0:
            if not self._at_home(self.courses):
                course = max(self.courses, key=_visits)
                self._put(course, _with_sessions(course, _visits(course) - excess), "shorter")

    def weeks(self, most: float) -> None:
        for course in [each for each in self.courses if each.schedule.end_week > most + LITTLE]:
            self._put(course, _until(course, most), "weeks")

    def covered(self, allowed: Allowance) -> None:
        sessions = allowed.sessions
        for course in [each for each in self.courses if isinstance(each, Needling)]:
            fitted = _until(course, min(allowed.days / 7, course.schedule.end_week))
            fitted = fitted and _with_sessions(fitted, sessions)
            sessions -= _visits(fitted)
            if fitted is not course:
                self._put(course, fitted, "covered", allowed.why)

    def _at_home(self, courses: Iterable[Course]) -> bool:
        """Do the guided course with the most visits at home; False where there is none."""
        guided = [each for each in courses if isinstance(each, Exercise | Stretching) and each.supervised]
        if guided:
            most = max(guided, key=_visits)
            self._put(most, _with(most, supervised=False), "at_home")
        return bool(guided)

    def _put(self, course: Course, changed: Course | None, note: str, why: str = "") -> None:
        """Put the changed course in the place of the other, or take it out, and note it."""
        place = next(index for index, each in enumerate(self.courses) if each is course)
        self.courses[place:place + 1] = [] if changed is None else [changed]
        gone = "left_out" if why else "no_time"
        self.notes.append(_note(note if changed is not None else gone, why, course))


# What is changed for safety


def _by_hand(course: Needling, _: Bans) -> Needling:
    known = defaults_for("needling", {"mode": "manual"})["manipulation_every_minutes"].value
    return _with(course, mode="manual", frequency_hz=(), mixed=None, milliamps=None, manipulation_every_minutes=known)


def _faster(course: Needling, _: Bans) -> Needling:
    high = tuple(hertz for hertz in course.frequency_hz if not is_low(hertz))
    return _with(course, frequency_hz=high or (float(table("limits")["high_frequency_hz"]["value"]),), mixed=None)


def _off_the_chest(course: Needling, bans: Bans) -> Needling:
    return _elsewhere(course, dict.fromkeys(CHEST, "") | dict(bans)) or _by_hand(course, bans)


def _elsewhere(course: Needling, bans: Bans) -> Needling | None:
    """The same needling at points that lie in no forbidden region: what is left, else others, else named ones."""
    unnamed = [point for point in course.points if point not in classes_of(course.point_names)]
    names = tuple(name for name in course.point_names if not where(name) & bans.keys())
    classes = tuple(point for point in unnamed if not class_regions(point) & bans.keys())
    if not names and not classes:
        classes = tuple(point for point in ("distal", "local") if not class_regions(point) & bans.keys())[:1]
    if not names and not classes:
        names = tuple(name for point in ("distal", "local") for name in published_points(point)
                      if where(name) & class_regions(point) and not where(name) & bans.keys())
    if not names and not classes:
        return None
    return _with(course, point_names=names, points=tuple(dict.fromkeys((*classes_of(names), *classes))))


def _shallow(course: Needling, _: Bans) -> Needling:
    return _with(course, depth="superficial", de_qi=False)


def _lighter(course: Exercise, _: Bans) -> Exercise:
    return _with(course, kind="general" if course.kind == "strength" else course.kind,
                 intensity="moderate" if course.intensity == "vigorous" else course.intensity)


def _wrap(course: Heat, _: Bans) -> Heat:
    return _with(course, device="wrap")


# What is changed for time


def _rarer(course: Course, least: float, longest: float) -> Course | None:
    """A course with fewer sessions a week; needling keeps their number as far as time allows.

    Arguments:
        least: times a week to go to where once a week is too much; 0 for none.
        longest: the week until which a plan may be drawn out.
    """
    schedule = course.schedule
    times = ceil(schedule.times_per_week) - 1.0
    if times < 1:
        times = least if least < schedule.times_per_week else 0.0
    if not times:
        return None
    weeks = schedule.weeks
    if isinstance(course, Needling):
        weeks = max(weeks, min(schedule.sessions / times, longest - schedule.start_week))
    return _scheduled(course, times_per_week=times, weeks=weeks)


def _with_sessions(course: Course, sessions: float) -> Course | None:
    schedule = course.schedule
    if sessions >= schedule.sessions:
        return course
    if sessions < 1:
        return None
    weeks = max(sessions / schedule.times_per_week, SHORTEST_WEEKS)
    if not (2 * weeks).is_integer():  # whole days read better than a third of a week
        weeks = min(ceil(7 * weeks - LITTLE) / 7, schedule.weeks)
    return _scheduled(course, times_per_week=sessions / weeks, weeks=weeks)


def _until(course: Course, week: float) -> Course | None:
    left = week - course.schedule.start_week
    return course if left >= course.schedule.weeks - LITTLE else _scheduled(course, weeks=left)


def _scheduled(course: Course, **times: float) -> Course | None:
    """A course with other times; None if no session falls into them."""
    try:
        return _with(course, schedule=replace(course.schedule, **times))
    except InputError:
        return None


def _visits(course: Course | None) -> int:
    return course.schedule.sessions if course is not None and course.with_practitioner else 0


# Words


def _with(course: AnyCourse, **changes: Any) -> AnyCourse:
    """A course with changed fields, which were then not taken for granted."""
    schedule = changes.get("schedule", course.schedule)
    moved = {item.name for item in fields(schedule)
             if getattr(schedule, item.name) != getattr(course.schedule, item.name)}
    stated = moved | changes.keys()
    return replace(course, **changes, defaulted=tuple(name for name in course.defaulted if name not in stated))


def _why(keys: Iterable[str], bans: Bans) -> str:
    return " ".join(dict.fromkeys(bans[key] for key in bans if key in set(keys)))


def _note(name: str, why: str, course: Course | None = None) -> str:
    words = table("limits")
    text = words["changed"][name].format(why=why, what="" if course is None else words["care"][course.care],
                                         n=words["high_frequency_hz"]["value"])
    return str(text[:1].upper() + text[1:])
