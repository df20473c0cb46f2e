"""Builds one course of care from what is stated about it, completed by what is taken for granted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from deqi.care import vocabulary
from deqi.care.course import Course, fit, literals, nearest_hint, own_fields, shown
from deqi.care.defaults import Default, check_range, defaults_for
from deqi.care.exercise import Exercise
from deqi.care.lifestyle import Lifestyle
from deqi.care.medicines import Medicine
from deqi.care.needling import Needling
from deqi.care.schedule import Schedule
from deqi.care.stretching import Stretching
from deqi.care.thermal import Cold, Heat
from deqi.care.usual import Placebo, UsualCare, Waiting
from deqi.care.vocabulary import Name
from deqi.errors import InputError

CARE_TYPES: dict[str, type[Course]] = {
    kind.care: kind for kind in
    (Needling, Exercise, Stretching, Heat, Cold, Lifestyle, Medicine, UsualCare, Waiting, Placebo)
}
TIMES = ("minutes", "times_per_week", "weeks", "start_week")


def course(care: str, **stated: Any) -> Course:
    """Build one course of care; fields that are not stated take their defaults.

    Arguments:
        care: any name of care (`acupuncture`, `walking`, `heat wrap`, `ibuprofen` ...).
        stated: its fields, and `minutes`, `times_per_week` (or `sessions` in all), `weeks`, `start_week`.

    Raises:
        InputError: an unknown name or field, or a value out of range.
    """
    return from_mapping({"care": care, **stated})


def from_mapping(item: Mapping[Any, Any]) -> Course:
    """Build one course from a mapping with `care`, fields and times.

    Raises:
        InputError: as `course`.
    """
    care = item.get("care")
    if care is None:
        raise InputError("no kind of care", field="care", accepted=vocabulary.examples()
                         + nearest_hint(next((key for key in item if key != "care"), None), ["care"]))
    name = _named(care)
    stated = {str(key): value for key, value in item.items() if key != "care"}
    for key, value in name.sets.items():
        if key in stated and stated[key] != value:
            raise InputError(f"contradicts '{care}'", field=key, found=shown(stated[key]),
                             accepted=str(value))
        stated[key] = value
    return build(name.care, stated, name.assumes, str(care))


def build(care: str, stated: Mapping[str, Any], assumed: Mapping[str, Any], said: str) -> Course:
    """Return a course of a care type from what is stated, what a word usually means, and the defaults.

    Arguments:
        care: the care type (`needling` ...).
        stated: fields and times.
        assumed: values that hold unless stated, from the words used.
        said: the words for the care, for errors.

    Raises:
        InputError: a field that the care does not have, or a value it cannot take.
    """
    kind = CARE_TYPES[care]
    hints = own_fields(kind)
    accepted = ("care", *hints, *TIMES, "sessions")
    for key in stated:
        if key not in (*accepted, "defaulted"):
            raise InputError(f"'{str(key)[:60]}' does not apply to {said}", field=str(key)[:60],
                             accepted=", ".join(accepted) + nearest_hint(key, accepted))
    stated = {**stated, **kind.implied(stated)}
    soft = {name: value for name, value in assumed.items() if name not in stated}
    typed = {name: fit(name, value, hints[name])
             for name, value in {**soft, **stated}.items() if name in hints}
    known = {name: Default(value, "assumed") for name, value in soft.items()}
    known |= defaults_for(care, {**stated, **typed})
    chosen = {name: typed[name] if name in typed else known[name].value
              for name in hints if name in typed or name in known}
    missing = next((item.name for item in fields(kind) if item.name in hints and item.name not in chosen
                    and item.default is MISSING), None)
    if missing:
        raise InputError(f"{said} needs it", field=missing, accepted=" | ".join(literals(hints[missing])))
    schedule, timed = _schedule(kind.continuous(chosen), stated, known, said)
    defaulted = [name for name in chosen if name not in stated] + timed
    if "defaulted" in stated:
        defaulted = [name for name in _names(stated["defaulted"]) if name in (*hints, *TIMES)]
    return kind(schedule=schedule, defaulted=tuple(defaulted), **chosen)


def _named(care: object) -> Name:
    """The name of care that a mapping gives: a care type, or any phrase that names one."""
    if isinstance(care, str):
        if care in CARE_TYPES:
            return Name((care,), care)
        words = vocabulary.words_of(care[:100].lower().replace("_", " "))
        phrase = vocabulary.phrases().get(words)
        if phrase and phrase.name:
            return phrase.name
        if phrase and phrase.other == "not_modelled":
            raise InputError("deqi has no model of it", field="care", found=shown(care),
                             accepted=vocabulary.examples())
    raise InputError("not a kind of care", field="care", found=shown(care),
                     accepted=vocabulary.examples() + nearest_hint(
                         care, [says for name in vocabulary.names() for says in name.says]))


def _schedule(continuous: bool | None, stated: Mapping[str, Any], known: Mapping[str, Default],
              said: str) -> tuple[Schedule, list[str]]:
    """The schedule that is stated, completed by defaults, and the names of those."""
    given = {name: fit(name, stated[name], float) for name in (*TIMES, "sessions") if name in stated}
    sessions = given.pop("sessions", None)
    if continuous is None:
        continuous = not (given.keys() & {"minutes", "times_per_week"} or sessions)
    if continuous:
        if "minutes" in given or sessions:
            raise InputError(f"{said} has no sessions", field="minutes" if "minutes" in given else "sessions",
                             found=given.get("minutes", sessions), accepted="weeks only")
        if given.pop("times_per_week", 7.0) < 7:
            raise InputError(f"{said} is for every day or as needed", field="times_per_week",
                             found=shown(stated["times_per_week"]), accepted="daily for 2 weeks")
    elif sessions is not None:
        _spread(sessions, given, known)
    needed = ("weeks",) if continuous else ("minutes", "times_per_week", "weeks")
    defaulted = [name for name in needed if name not in given]
    given |= {name: float(known[name].value) for name in defaulted}
    if continuous:
        return Schedule.continuous(given["weeks"], given.get("start_week", 0.0)), defaulted
    return Schedule(**given), defaulted


def _spread(sessions: float, given: dict[str, float], known: Mapping[str, Default]) -> None:
    """Complete the times by a number of sessions in all."""
    if "weeks" in given and "times_per_week" in given:
        made = given["weeks"] * given["times_per_week"]
        if abs(made - sessions) >= 1:
            raise InputError(f"{sessions:g} sessions do not agree with {given['times_per_week']:g} a week "
                             f"for {given['weeks']:g} weeks", field="sessions", found=sessions,
                             accepted=f"{made:g}")
    elif "times_per_week" in given:
        given["weeks"] = sessions / given["times_per_week"]
    elif "weeks" in given:
        given["times_per_week"] = sessions / given["weeks"]
        check_range("times_per_week", given["times_per_week"])
    elif sessions == 1:
        given |= {"times_per_week": 1.0, "weeks": 1.0}
    else:
        given["weeks"] = sessions / known["times_per_week"].value


def _names(value: object) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise InputError("not a list of field names", field="defaulted", found=shown(value),
                         accepted="[weeks, ...]")
    return list(value)
