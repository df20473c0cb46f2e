"""What all courses of care share: a schedule, checked fields, and a note of what was taken for granted."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from deqi.care.defaults import accepted_range, check_range, table
from deqi.care.schedule import Schedule
from deqi.errors import InputError

LONGEST_TEXT = 200
_FIELDS: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True, kw_only=True)
class Course:
    """One kind of care with its schedule; the base of all care types.

    A field annotated with literals takes one of them; a number keeps to the range that `defaults.yaml` gives
    for its name.

    Attributes:
        schedule: when it happens.
        defaulted: names of the fields that nobody stated; they do not count in a comparison.

    Raises:
        InputError: a field that has a value it cannot have.
    """

    care: ClassVar[str]

    schedule: Schedule
    defaulted: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        for name, hint in own_fields(type(self)).items():
            object.__setattr__(self, name, fit(name, getattr(self, name), hint))
        must = self.continuous(vars(self))
        if must is not None and must != self.schedule.is_continuous:
            raise InputError(f"{self.care.replace('_', ' ')} {'has no' if must else 'needs'} sessions",
                             field="schedule",
                             accepted="weeks only" if must else "minutes, times_per_week and weeks")
        self.check()

    def check(self) -> None:
        """Refuse fields that do not go together."""

    @classmethod
    def continuous(cls, stated: Mapping[str, Any]) -> bool | None:
        """Return True if such care goes on all the time, False if it has sessions, None if either."""
        return False

    @classmethod
    def implied(cls, stated: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields that follow from the stated ones."""
        return {}

    @property
    def with_practitioner(self) -> bool:
        """True if the sessions are visits to someone, False if they happen at home."""
        return False


def own_fields(care: type[Course]) -> dict[str, Any]:
    """Return the fields of a care type beside schedule and `defaulted`, with their types."""
    if care.care not in _FIELDS:
        hints, shared = get_type_hints(care), ("schedule", "defaulted")
        _FIELDS[care.care] = {item.name: hints[item.name] for item in fields(care) if item.name not in shared}
    return _FIELDS[care.care]


def fit(name: str, value: Any, hint: Any) -> Any:
    """Return a value as the type of its field wants it: 30 as 30.0, a list as a tuple.

    Arguments:
        name: the field's name, for its range and for the error.
        value: what was given.
        hint: the field's type: literals, bool, int, float, str, tuples and unions of them.

    Raises:
        InputError: the value does not fit.
    """
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if value is None and type(None) in options:
        return None
    for option in options:
        if get_origin(option) is Literal:
            if isinstance(value, str) and value in get_args(option):
                return value
        elif get_origin(option) is tuple:
            return _fit_tuple(name, value, get_args(option)[0])
        elif option is bool:
            if isinstance(value, bool):
                return value
        elif option in (int, float) and isinstance(value, int | float) and not isinstance(value, bool):
            return _fit_number(name, value, option)
        elif option is str and isinstance(value, str):
            return _fit_text(name, value)
    raise InputError("not understood" if isinstance(value, str) else "wrong kind of value", field=name,
                     found=shown(value), accepted=" | ".join(_accepted(name, option) for option in options)
                     + nearest_hint(value, literals(hint)))


def literals(hint: Any) -> tuple[str, ...]:
    """Return the words that a field may take; none for a field of numbers or free text."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(word for part in get_args(hint) if part is not Ellipsis for word in literals(part))


def nearest_hint(found: Any, accepted: Iterable[str]) -> str:
    """Return " (did you mean ...?)" if one of the accepted words resembles what was found, else nothing."""
    close = difflib.get_close_matches(str(found)[:60], list(accepted), n=1) if isinstance(found, str) else []
    return f" (did you mean '{close[0]}'?)" if close else ""


def shown(value: Any) -> Any:
    """Return a value that is safe to print in an error: containers by their kind, text cut short."""
    if isinstance(value, str):
        return value[:100]
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 10**15):
        return value
    return f"a {type(value).__name__}"


def _fit_tuple(name: str, value: Any, hint: Any) -> tuple[Any, ...]:
    if hint is float and isinstance(value, str):
        with suppress(ValueError):
            value = [float(part) for part in value.split("/")]
    several = value if isinstance(value, list | tuple) else (value,)
    if len(several) > 30:
        raise InputError("too many values", field=name, found=len(several), accepted="at most 30")
    fitted = tuple(fit(name, part, hint) for part in several)
    if len(set(fitted)) < len(fitted):
        raise InputError("the same value twice", field=name, found=str(list(fitted)),
                         accepted="each value once")
    return fitted


def _fit_number(name: str, value: int | float, kind: type) -> int | float:
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    check_range(name, number)
    if kind is int and number != int(number):
        raise InputError("not a whole number", field=name, found=value, accepted=accepted_range(name))
    return int(number) if kind is int else number


def _fit_text(name: str, value: str) -> str:
    if not value.strip() or len(value) > LONGEST_TEXT or not value.isprintable():
        raise InputError("not a short line of text", field=name, found=shown(value),
                         accepted=f"1 to {LONGEST_TEXT} printable characters")
    return value


def _accepted(name: str, option: Any) -> str:
    if get_origin(option) is Literal:
        return " | ".join(get_args(option))
    if get_origin(option) is tuple:
        return f"a list of: {_accepted(name, get_args(option)[0])}"
    if option in (int, float):
        return accepted_range(name) if name in table("defaults")["limits"] else "a number"
    return {bool: "true | false", str: "a short line of text"}.get(option, "nothing (null)")
