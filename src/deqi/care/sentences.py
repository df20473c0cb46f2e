"""Plain language out: says a plan in words that it can be read back from."""

from __future__ import annotations

import re
from typing import Any

from deqi.care import vocabulary
from deqi.care.build import build
from deqi.care.course import Course, own_fields
from deqi.care.plan import Plan
from deqi.care.schedule import Schedule
from deqi.care.vocabulary import Name

_CODE = re.compile(r"(EX-)?[A-Z]{1,2}\d{1,2}")
_RATES = {14.0: "twice a day", 7.0: "daily", 3.5: "every other day", 2.0: "twice a week", 1.0: "once a week",
          0.5: "once every 2 weeks"}


def sentences(plan: Plan) -> list[str]:
    """Return a plan as one sentence a course; "nothing" for an empty one.

    `plan_from(sentences(plan))` is the plan again, but for what the language cannot say: style, reasoning,
    needle type, practitioner, setting, and point names that are no codes. Times are always said; other fields
    only where they differ from what the rest of the sentence would be taken to mean.
    """
    return [sentence(course) for course in plan.courses] or ["nothing"]


def sentence(course: Course) -> str:
    """Return one course in words."""
    fitting = [name for name in vocabulary.names() if name.care == course.care and all(
        _plain(getattr(course, field)) == value for field, value in {**name.assumes, **name.sets}.items())]
    said = [(name, *_details(course, name)) for name in fitting]
    name, details, _ = min(said, key=lambda option: (option[2], len(option[1])))
    places: dict[str, list[str]] = {"before": [], "number": [], "after": []}
    for place, words in details.values():
        places[place].append(words)
    line = " ".join([*places["before"], name.says[0], *places["number"], *_when(course.schedule)])
    return ", ".join([line, *places["after"]])


def _details(course: Course, name: Name) -> tuple[dict[str, tuple[str, str]], int]:
    """Place and words of what must be said beside a name to mean this course; and how much cannot be said."""
    times = {"weeks": course.schedule.weeks, "start_week": course.schedule.start_week}
    if not course.schedule.is_continuous:
        times |= {"minutes": course.schedule.minutes, "times_per_week": course.schedule.times_per_week}
    words: dict[str, tuple[str, str]] = {}
    stated: dict[str, Any] = {}
    while True:
        meant = build(course.care, {**times, **name.sets, **stated}, name.assumes, course.care)
        differ = [field for field in own_fields(type(course))
                  if getattr(meant, field) != getattr(course, field)]
        sayable = {field: found for field in differ if (found := _words(course, field))}
        if not sayable:
            return words, len(differ)
        field = next(iter(sayable))
        words[field], stated[field] = sayable[field], _plain(getattr(course, field))


def _words(course: Course, field: str) -> tuple[str, str] | None:
    """Where a field is said and how; None if the language has no words for its value."""
    value = getattr(course, field)
    if field == "point_names":
        coded = bool(value) and all(_CODE.fullmatch(name) for name in value)
        return ("after", "at " + " and ".join(", ".join(value).rsplit(", ", 1))) if coded else None
    if field == "frequency_hz":
        return ("number", "/".join(_number(hertz) for hertz in value) + " Hz") if value else None
    if value is not None and not isinstance(value, str | bool | tuple):
        number = _number(value)
        return {"milliamps": ("number", f"{number} mA"), "mg_per_day": ("number", f"{number} mg a day"),
                "depth": ("after", f"{number} mm deep"), "insertions": ("after", f"{number} needles"),
                "manipulation_every_minutes": ("after", f"manipulated every {number} min")}[field]
    parts = value if isinstance(value, tuple) else (value,)
    wanted = [_modifier(course.care, field, part) for part in parts]
    modifiers = [modifier for modifier in wanted if modifier is not None]
    if not modifiers or len(modifiers) < len(wanted):
        return None
    return "after" if modifiers[0].after else "before", " and ".join(item.says[0] for item in modifiers)


def _modifier(care: str, field: str, value: Any) -> vocabulary.Modifier | None:
    return next((modifier for modifier in vocabulary.modifiers() if care in modifier.cares
                 and field in modifier.sets and modifier.sets[field] in (value, [value])), None)


def _when(schedule: Schedule) -> list[str]:
    words = []
    if schedule.is_continuous:
        words.append(f"for {_period(schedule.weeks)}")
    else:
        words += [_minutes(schedule.minutes), _rate(schedule)]
    if schedule.start_week:
        day = round(schedule.start_week * 7)
        whole = schedule.start_week == int(schedule.start_week) or day / 7 != schedule.start_week
        words.append(f"from week {_number(schedule.start_week)}" if whole else f"from day {day}")
    return words


def _rate(schedule: Schedule) -> str:
    times, length = schedule.times_per_week, _period(schedule.weeks)
    if times in _RATES:
        return f"{_RATES[times]} for {length}"
    if times % 7 == 0:
        return f"{_number(times / 7)} times a day for {length}"
    if times != int(times) and schedule.sessions / schedule.weeks == times:
        return f"{schedule.sessions} session{'s' * (schedule.sessions > 1)} over {length}"
    return f"{_number(times)} times a week for {length}"


def _minutes(minutes: float) -> str:
    seconds = round(minutes * 60)
    if minutes < 1 and seconds / 60 == minutes:
        return f"{seconds} s"
    return f"{_number(minutes / 60)} h" if minutes >= 120 and minutes % 60 == 0 else f"{_number(minutes)} min"


def _period(weeks: float) -> str:
    days, months = round(weeks * 7), round(weeks * 3 / 13)
    if weeks != int(weeks) and days / 7 == weeks:
        return f"{days} day{'s' * (days > 1)}"
    if weeks != int(weeks) and months * 13 / 3 == weeks:
        return f"{months} month{'s' * (months > 1)}"
    return f"{_number(weeks)} week{'s' * (weeks != 1)}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
