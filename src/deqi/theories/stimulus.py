"""What is done to a body in an experiment, turned into exposures: care in words, laboratory stimuli, plain inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from ..body.inputs import INPUT, REST_SESSION
from ..care.action import MINUTES_PER_DAY, Exposure, exposures
from ..care.build import course
from ..care.course import Course, nearest_hint, shown
from ..care.plan import plan_from
from ..care.schedule import Schedule
from ..errors import InputError
from .bodies import Body

WHEN = ("start_minutes", "times", "every_minutes")
MINUTES_PER_WEEK = 7.0 * MINUTES_PER_DAY


@dataclass(frozen=True)
class Doing:
    """What an arm does: its exposures from minute 0 on, and the courses of care whose context works on."""

    exposures: tuple[Exposure, ...]
    courses: tuple[Course, ...]


@cache
def stimuli() -> dict[str, Any]:
    """The laboratory's stimuli, `stimuli.yaml`."""
    import yaml

    return yaml.load(Path(__file__).with_name("stimuli.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)


def doing(care: object, body: Body) -> Doing:
    """Turn the `care` of an experiment into exposures.

    Arguments:
        care: a sentence, a mapping, or a list of them. A mapping gives `care` (words or a name of care, with its
            fields), `do` (a stimulus of `stimuli.yaml`, with its fields) or plain inputs of the equations, and
            `minutes`; also `start_minutes`, and `times` with `every_minutes` for repetition. Care without a
            frequency is done once.
        body: whose currents and needles count.

    Raises:
        InputError: anything that is not understood; it names the field and what is accepted.
    """
    items = care if isinstance(care, list | tuple) else [care]
    if not items:
        raise InputError("no care", field="care", accepted="a sentence, a mapping, or 'nothing'")
    found: list[Exposure] = []
    courses: list[Course] = []
    for item in items:
        told, when = _timing(item)
        once, own = _once(told, body)
        for k in range(int(when["times"])):
            shift = (when["start_minutes"] + k * when["every_minutes"]) / MINUTES_PER_DAY
            found += [replace(e, start_day=e.start_day + shift) for e in once]
            courses += [_later(c, 7.0 * c.schedule.start_week + shift) for c in own]
    return Doing(tuple(sorted(found, key=lambda e: e.start_day)), tuple(courses))


def _timing(item: object) -> tuple[Any, dict[str, float]]:
    when = {"start_minutes": 0.0, "times": 1.0, "every_minutes": 0.0}
    if isinstance(item, str):
        return item, when
    if not isinstance(item, Mapping):
        raise InputError("not care", field="care", found=type(item).__name__,
                         accepted="a sentence, or a mapping with care, do or inputs")
    for name in WHEN:
        if name in item:
            when[name] = _number(item[name], name)
    if when["start_minutes"] < 0:
        raise InputError("before the start", field="care.start_minutes", found=when["start_minutes"],
                         accepted="0 or more")
    if when["times"] < 1 or when["times"] > 1000 or when["times"] != int(when["times"]):
        raise InputError("not a number of repetitions", field="care.times", found=when["times"], accepted="1 to 1000")
    if when["times"] > 1 and when["every_minutes"] <= 0:
        raise InputError("how far apart?", field="care.every_minutes", accepted="minutes from start to start")
    return {key: value for key, value in item.items() if key not in WHEN}, when


def _once(told: Any, body: Body) -> tuple[list[Exposure], list[Course]]:
    if isinstance(told, str):
        return _courses(_in_words(told), body)
    if "care" in told:
        rest = {key: value for key, value in told.items() if key != "care"}
        return _courses([_single(course(told["care"], **rest))] if rest else _in_words(str(told["care"])), body)
    if "do" in told:
        return _stimulus(told, body), []
    if not told:
        raise InputError("nothing is done", field="care", accepted="care, do, or inputs of the equations with minutes")
    return [_plain(told)], []


def _in_words(sentence: str) -> list[Course]:
    try:
        return [_single(c) for c in plan_from(sentence).courses]
    except InputError as error:
        raise InputError(error.message, field="care", found=error.found, accepted=error.accepted) from None


def _single(c: Course) -> Course:
    """Care whose frequency and weeks nobody stated is one session."""
    if {"times_per_week", "weeks"} <= set(c.defaulted) and not c.schedule.is_continuous:
        return replace(c, schedule=Schedule(c.schedule.minutes, 7.0, 1.0 / 7.0, c.schedule.start_week))
    return c


def _later(c: Course, days: float) -> Course:
    return replace(c, schedule=replace(c.schedule, start_week=days / 7.0))


def _courses(courses: Sequence[Course], body: Body) -> tuple[list[Exposure], list[Course]]:
    return [e for c in courses for e in exposures(c, body.needling)], list(courses)


def _stimulus(told: Mapping[str, Any], body: Body) -> list[Exposure]:
    name = told["do"]
    if not isinstance(name, str) or name not in stimuli():
        raise InputError("no such stimulus", field="care.do", found=str(name)[:60],
                         accepted=", ".join(stimuli()) + nearest_hint(name, stimuli()))
    row = stimuli()[name]
    fields = {key: value for key, value in told.items() if key != "do"}
    if "like" in row:
        one = course(row["like"], **({"milliamps": row["milliamps"]} | fields))
        return [_without(e, row["leaves_out"]) for e in exposures(_single(one), body.needling)]
    taken = {how["from"] for part in ("inputs", "session") for how in row.get(part, {}).values()
             if isinstance(how, Mapping)}
    _refuse(fields, {"minutes", *taken})
    minutes = _minutes(fields)
    inputs, session = ({key: _scaled(key, how, fields) for key, how in row.get(part, {}).items()}
                       for part in ("inputs", "session"))
    return [Exposure(0.0, minutes, inputs, REST_SESSION | session if session else {})]


def _scaled(key: str, how: Any, fields: Mapping[str, Any]) -> float:
    if not isinstance(how, Mapping):
        return float(how)
    value = fields.get(how["from"], how.get("default"))
    return (_number(value, how["from"]) - how.get("minus", 0.0)) * how.get("times", 1.0)


def _without(e: Exposure, left_out: Sequence[str]) -> Exposure:
    session = {key: REST_SESSION[key] if key in left_out else value for key, value in e.session.items()}
    return replace(e, inputs={k: v for k, v in e.inputs.items() if k not in left_out}, session=session)


def _plain(told: Mapping[str, Any]) -> Exposure:
    _refuse(told, {"minutes", *INPUT, *REST_SESSION})
    minutes = _minutes(told)
    given = {key: value for key, value in told.items() if key != "minutes"}
    inputs = {key: _number(value, key) for key, value in given.items() if key in INPUT}
    session = {key: _number(value, key) for key, value in given.items() if key in REST_SESSION}
    return Exposure(0.0, minutes, inputs, REST_SESSION | session if session else {})


def _refuse(given: Mapping[str, Any], accepted: set[str]) -> None:
    for key in given:
        if key not in accepted:
            raise InputError("unknown field", field=f"care.{key}", accepted=", ".join(sorted(accepted)[:12])
                             + (" ..." if len(accepted) > 12 else "") + nearest_hint(key, accepted))


def _minutes(fields: Mapping[str, Any]) -> float:
    if "minutes" not in fields:
        raise InputError("how long?", field="care.minutes", accepted="minutes above 0")
    minutes = _number(fields["minutes"], "minutes")
    if minutes <= 0:
        raise InputError("not a length of time", field="care.minutes", found=minutes, accepted="minutes above 0")
    return minutes


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError("not a number", field=f"care.{name}", found=shown(value), accepted="a number")
    return float(value)
