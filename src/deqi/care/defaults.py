"""What is taken for granted where a plan does not say, and the ranges that a plan must keep to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from deqi.errors import InputError

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Default:
    """A value taken for granted, and where it comes from: the id of a fact, or `assumed`."""

    value: Any
    source: str


@cache
def table(name: str) -> dict[str, Any]:
    """Return one of this room's YAML tables (`defaults`, `vocabulary`)."""
    text = files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.load(text, Loader=_Loader)
    return loaded


def defaults_for(care: str, stated: Mapping[str, Any]) -> dict[str, Default]:
    """Return what is taken for granted about a course of care beside what was stated.

    Arguments:
        care: the type of care (`needling`, `exercise` ...).
        stated: the fields that the plan states, with their values.

    Returns:
        The default of every field that has one and was not stated.
    """
    chosen: dict[str, Default] = {}
    for layer in table("defaults")["defaults"][care]:
        known = {name: default.value for name, default in chosen.items()} | dict(stated)
        if all(_holds(wanted, known.get(name)) for name, wanted in layer.get("when", {}).items()):
            chosen.update({name: Default(**entry) for name, entry in layer.items()
                           if name != "when" and name not in stated})
    return chosen


def check_range(name: str, value: float) -> None:
    """Refuse a number that is not finite or lies outside the accepted range of its field.

    Raises:
        InputError: with the range.
    """
    limit = table("defaults")["limits"][name]
    if not (math.isfinite(value) and limit["low"] <= value <= limit["high"]):
        raise InputError("out of range", field=name, found=value, accepted=accepted_range(name))


def accepted_range(name: str) -> str:
    """Return the accepted range of a field in words, such as "0.1 to 500 Hz"."""
    limit = table("defaults")["limits"][name]
    return f"{limit['low']} to {limit['high']} {limit['unit']}"


def _holds(wanted: Any, value: Any) -> bool:
    if wanted == "given":
        return value is not None and value != ()
    if wanted == "several":
        return isinstance(value, list | tuple) and len(value) > 1
    return bool(value == wanted)
