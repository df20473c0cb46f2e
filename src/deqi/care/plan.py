"""A plan of care: a list of courses, read from sentences or mappings, and written back as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from deqi.care.build import CARE_TYPES, TIMES, build, from_mapping
from deqi.care.course import Course, own_fields, shown
from deqi.care.defaults import defaults_for
from deqi.care.language import EXAMPLE, Reading, read
from deqi.care.schedule import Schedule
from deqi.errors import InputError
from deqi.reading import read_mapping

MOST_COURSES = 50
_FILES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Plan:
    """A list of courses of care; an empty one is no treatment at all."""

    courses: tuple[Course, ...] = ()

    @property
    def visits(self) -> int:
        """Sessions with a practitioner, in all."""
        return sum(course.schedule.sessions for course in self.courses if course.with_practitioner)

    @property
    def visit_hours(self) -> float:
        """Hours with a practitioner, in all."""
        return sum(course.schedule.hours for course in self.courses if course.with_practitioner)

    @property
    def home_hours(self) -> float:
        """Hours of exercise, stretching, heat and cold on one's own, in all."""
        return sum(course.schedule.hours for course in self.courses if not course.with_practitioner)

    @property
    def hours(self) -> float:
        """Hours in all."""
        return self.visit_hours + self.home_hours

    @property
    def end_week(self) -> float:
        """The week in which the last course ends; 0 for no treatment."""
        return max((course.schedule.end_week for course in self.courses), default=0.0)

    def timetable(self) -> tuple[tuple[float, Course], ...]:
        """Return every session as its day and its course, in order of time."""
        sessions = [(day, course) for course in self.courses for day in course.schedule.session_days()]
        return tuple(sorted(sessions, key=lambda session: session[0]))


@dataclass(frozen=True)
class Assumption:
    """A field of a plan that nobody stated, with the value taken for granted and its source."""

    course: int
    field: str
    value: Any
    source: str


def load_plan(asked: object) -> Plan:
    """Read a plan from a file, from plain words, or from what `plan_from` takes.

    Arguments:
        asked: a `.yaml`, `.yml` or `.json` file (a list of courses, or a mapping with the key `plan`), a sentence,
            or courses.

    Raises:
        InputError: the file cannot be read, or the plan in it not understood.
    """
    if not isinstance(asked, Path) and not (isinstance(asked, str) and asked.strip().lower().endswith(_FILES)):
        return plan_from(asked)
    file = str(asked).strip()
    content = read_mapping(file)
    if isinstance(content, Mapping) and "plan" in content:
        extra = next((key for key in content if key != "plan"), None)
        if extra is not None:
            raise InputError("unknown key", file=file, field=str(extra)[:60], accepted="plan")
        content = content["plan"]
    return plan_from(content, file=file)


def plan_from(obj: object, file: str | None = None, field: str = "plan") -> Plan:
    """Read a plan from what a file or a caller gives.

    Arguments:
        obj: a sentence, a mapping of one course (`care`, `minutes`, `times_per_week`, `weeks` ...), or a list
            of them; an empty list and "nothing" are no treatment. A `Plan` is returned as it is.
        file: the file's name, for errors.
        field: where the plan stands in it, for errors.

    Raises:
        InputError: anything that is not understood; it names the word or key and what is accepted.
    """
    if isinstance(obj, Plan):
        return obj
    items: Iterable[object] = obj if isinstance(obj, list | tuple) else [obj]
    courses: list[Course] = []
    stated_nothing = False
    for number, item in enumerate(items):
        place = f"{field}[{number}]" if isinstance(obj, list | tuple) else field
        try:
            new = _courses(item, courses)
            stated_nothing |= not new
            if stated_nothing and (courses or new):
                raise InputError("'nothing' stands alone in a plan",
                                 accepted="the other care without 'nothing'")
            courses += new
            if len(courses) > MOST_COURSES:
                raise InputError("too many courses", found=len(courses), accepted=f"at most {MOST_COURSES}")
        except InputError as error:
            where = f"{place}.{error.field}" if error.field else place
            raise InputError(error.message, file=file, field=where, found=error.found,
                             accepted=error.accepted) from None
    return Plan(tuple(courses))


def as_data(plan: Plan) -> list[dict[str, Any]]:
    """Return a plan as plain data that `plan_from` reads back exactly, every field written out."""
    return [_data(course) for course in plan.courses]


def assumptions(plan: Plan) -> tuple[Assumption, ...]:
    """Return every field of a plan that was taken for granted, with its value and source."""
    found = []
    for number, item in enumerate(plan.courses):
        stated = {name: value for name, value in {**_times(item.schedule), **_own(item)}.items()
                  if name not in item.defaulted}
        known = defaults_for(item.care, stated)
        for name in item.defaulted:
            value = getattr(item.schedule if name in TIMES else item, name)
            source = known[name].source if name in known else "assumed"
            found.append(Assumption(number, name, value, source))
    return tuple(found)


def _courses(item: object, before: list[Course]) -> list[Course]:
    if isinstance(item, str):
        readings = read(item)
        _refuse_shared_times(readings)
        new: list[Course] = []
        for reading in readings:
            stated = dict(reading.stated)
            if reading.then and "start_week" not in stated and (before or new):
                stated["start_week"] = max(earlier.schedule.end_week for earlier in (*before, *new))
            new.append(build(reading.name.care, stated, reading.name.assumes, reading.text))
        return new
    if isinstance(item, Mapping):
        return [from_mapping(item)]
    raise InputError("not a course of care", found=shown(item), accepted=f"{EXAMPLE}, 'nothing', or "
                     "a mapping such as {care: acupuncture, minutes: 30, times_per_week: 2, weeks: 6}")


def _refuse_shared_times(readings: list[Reading]) -> None:
    """Refuse "acupuncture and walking twice a week": it does not tell whether both are meant."""
    for first, second in pairwise(readings):
        bare = not first.dosed and CARE_TYPES[first.name.care].continuous(first.stated) is False
        dosed = second.dosed and not CARE_TYPES[second.name.care].continuous(second.stated)
        if second.joined and bare and dosed:
            raise InputError(f"the times of '{second.text}' may or may not hold for '{first.text}' too",
                             accepted=f"times for each, such as '{first.text} 30 min twice a week for "
                             f"6 weeks and {second.text} ...'")


def _data(course: Course) -> dict[str, Any]:
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in _own(course).items()}
    return {"care": course.care, **_times(course.schedule), **plain, "defaulted": list(course.defaulted)}


def _own(course: Course) -> dict[str, Any]:
    return {name: getattr(course, name) for name in own_fields(type(course))}


def _times(schedule: Schedule) -> dict[str, float]:
    names = ("weeks", "start_week") if schedule.is_continuous else TIMES
    return {name: getattr(schedule, name) for name in names}
