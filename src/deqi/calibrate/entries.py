"""Checks on what may stand in a trial file, and the one clear message where something else does."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deqi.errors import InputError

_RANGE = re.compile(r"\s*[-+]?\d+(\.\d+)?\s*(-|–|to|\.\.)\s*[-+]?\d+(\.\d+)?\s*%?\s*")


@dataclass(frozen=True)
class Place:
    """A place in a file, for messages: `outcomes[0].points[3]`."""

    file: str | None
    path: str = ""

    def __str__(self) -> str:
        return self.path

    def at(self, key: str | int) -> Place:
        """A place below this one."""
        if isinstance(key, int):
            return Place(self.file, f"{self.path}[{key}]")
        return Place(self.file, f"{self.path}.{key}" if self.path else key)

    def refuse(self, problem: str, found: object, accepted: str) -> InputError:
        """The error to raise."""
        return InputError(problem, file=self.file, field=self.path or None, found=found, accepted=accepted)


def mapping(value: object, place: Place) -> Mapping[str, Any]:
    """A mapping; nothing stands for an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise place.refuse("not a mapping", value, "keys with values")
    return value


def sequence(value: object, place: Place) -> Sequence[Any]:
    """A list; nothing stands for an empty one."""
    if value is None:
        return ()
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise place.refuse("not a list", value, "a list")
    return value


def text(row: Mapping[str, Any], key: str, place: Place, accepted: str = "a text") -> str:
    """A text that must be there; a number is taken as one."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not str(value).strip():
        problem = "missing" if value is None else "not a text"
        raise place.at(key).refuse(problem, value, accepted)
    return str(value)


def words(row: Mapping[str, Any], *keys: str) -> str:
    """The texts under some keys, joined by semicolons; what is no text is left out."""
    return "; ".join(str(row[key]) for key in keys if isinstance(row.get(key), str))


def is_range(value: object) -> bool:
    """Whether a text gives a range (`-2.3 to -4.1`) instead of one number."""
    return isinstance(value, str) and _RANGE.fullmatch(value) is not None


def number(row: Mapping[str, Any], key: str, place: Place, low: float = -math.inf, high: float = math.inf,
           *, above: bool = False, whole: bool = False) -> float | None:
    """A finite number from low to high, or None where nothing or a range in words stands.

    Arguments:
        row, key: where to look.
        place: of the row.
        low, high: what is accepted.
        above: `low` itself is not accepted.
        whole: only whole numbers.

    Raises:
        InputError: anything else.
    """
    value, kind = row.get(key), "a whole number" if whole else "a number"
    if value is None or is_range(value):
        return None
    accepted = kind
    if math.isfinite(low) and math.isfinite(high):
        accepted = f"{kind} {'above' if above else 'from'} {low:g} {'and at most' if above else 'to'} {high:g}"
    elif math.isfinite(low):
        accepted = f"{kind} {'above' if above else 'of at least'} {low:g}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise place.at(key).refuse(f"not {kind}", value, accepted)
    if isinstance(value, float) and not math.isfinite(value):
        raise place.at(key).refuse("not a finite number", value, accepted)
    if abs(value) > 1e15:
        raise place.at(key).refuse("out of range", value, accepted)
    if not low <= value <= high or (above and value == low):
        raise place.at(key).refuse("out of range", value, accepted)
    if whole and value != int(value):
        raise place.at(key).refuse(f"not {kind}", value, accepted)
    return float(value)


def count(row: Mapping[str, Any], key: str, place: Place, least: int = 1) -> int | None:
    """A number of people."""
    found = number(row, key, place, least, 10_000_000, whole=True)
    return None if found is None else int(found)


def interval(row: Mapping[str, Any], key: str, place: Place) -> tuple[float, float] | None:
    """An interval `[low, high]`, or None; a one-sided one (an end missing) is None too."""
    value = row.get(key)
    if value is None:
        return None
    ends = sequence(value, place.at(key))
    if len(ends) != 2:
        raise place.at(key).refuse("not an interval", value, "[low, high]")
    pair = {str(i): end for i, end in enumerate(ends)}
    low, high = (number(pair, str(i), place.at(key)) for i in range(2))
    if low is None or high is None:
        return None
    if low > high:
        raise place.at(key).refuse("the lower end is above the upper", value, "[low, high]")
    return low, high


def standard_error(row: Mapping[str, Any], place: Place, n: int | None, prefix: str = "") -> float | None:
    """The standard error of a row's value, own units: `se`, else from an interval, else from `sd` and n.

    Arguments:
        row, place: the row.
        n: people behind it.
        prefix: `change_` for that of a change.

    Raises:
        InputError: a spread of zero or below, an interval turned round.
    """
    keys = [f"{prefix}se"] if prefix else ["se", "mean_se"]
    stated = [number(row, key, place, 0.0, above=True) for key in keys]
    ci95, ci90 = (interval(row, f"{prefix}{key}", place) for key in ("ci95", "ci90"))
    sd = number(row, f"{prefix}sd", place, 0.0, above=True)
    for se in stated:
        if se is not None:
            return se
    for ci, z in ((ci95, 1.959964), (ci90, 1.644854)):
        if ci is not None and ci[1] > ci[0]:
            return (ci[1] - ci[0]) / (2.0 * z)
    return sd / math.sqrt(n) if sd is not None and n else None
