"""What may stand in a field of a patient file, and the one clear message where something else does."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, BeforeValidator, PlainValidator, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from deqi.consult.rules import question_ids, table
from deqi.errors import InputError

ANSWERS = "true | false | unknown"
VAS = re.compile(r"(\d+(?:\.\d+)?) ?(mm|cm)", re.ASCII)
MM_PER_POINT = {"mm": 10.0, "cm": 1.0}  # a VAS is a line of 100 mm; a point of the NRS is a tenth of it
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
LONGEST_LIST = 1000
UNKNOWN_KEY = ("extra_forbidden", "invalid_key")


def refuse(problem: str, accepted: str, found: object = None, key: str | tuple[int | str, ...] = ()
           ) -> PydanticCustomError:
    """The error that a check raises; `told` makes the message of it.

    Arguments:
        problem: what is wrong, in a few words.
        accepted: what would do.
        found: what stands there.
        key: the field's name (or path) below the place where the check runs, if it checks several.
    """
    below = (key,) if isinstance(key, str) else key
    context = {"problem": problem, "accepted": accepted, "found": found, "key": below}
    return PydanticCustomError("deqi", "{problem}", context)


def in_range(value: object, low: float, high: float, *, whole: bool = False, key: tuple[int | str, ...] = ()
             ) -> float:
    """A finite number from low to high; neither true nor text nor NaN is one.

    Arguments:
        value: what stands there.
        whole: whether only a whole number will do.
        key: as in `refuse`.

    Raises:
        PydanticCustomError: it is not such a number.
    """
    kind = "a whole number" if whole else "a number"
    accepted = f"{kind} from {low:g} to {high:g}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refuse(f"not {kind}", accepted, value, key)
    if isinstance(value, float) and not math.isfinite(value):
        raise refuse("not a finite number", accepted, value, key)
    if not low <= value <= high:
        raise refuse("out of range", accepted, value, key)
    if whole and value != int(value):
        raise refuse(f"not {kind}", accepted, value, key)
    return int(value) if whole else float(value)


def number(low: float, high: float, *, whole: bool = False) -> PlainValidator:
    """Accept a finite number from low to high, as `in_range` does."""
    return PlainValidator(lambda value: in_range(value, low, high, whole=whole))


def vas_points(text: str) -> float | None:
    """Points of the NRS for a VAS with its unit, such as `60 mm`; None for any other text."""
    line = VAS.fullmatch(text.strip()[:40])
    return None if line is None else float(line[1]) / MM_PER_POINT[line[2]]


def pain_score() -> PlainValidator:
    """Accept pain on the NRS, 0 to 10, or on a VAS as text with its unit, which becomes the NRS.

    A VAS of 60 mm counts as 6 of 10. A bare number is never taken for millimetres.
    """
    accepted = 'a number from 0 to 10, or text with the unit of a VAS: "60 mm" (0 to 100) or "6 cm" (0 to 10)'

    def check(value: object) -> float:
        points = vas_points(value) if isinstance(value, str) else value
        if isinstance(points, bool) or not isinstance(points, int | float):
            raise refuse("not a number", accepted, value)
        if not 0 <= points <= 10:  # NaN neither
            raise refuse("out of range", accepted, value)
        return float(points)

    return PlainValidator(check)


def day() -> BeforeValidator:
    """Accept a date as year-month-day."""
    accepted = "a date as 2026-11-26, from 1900 on"

    def check(value: object) -> datetime.date:
        if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
            found = value
        elif isinstance(value, str) and ISO_DATE.fullmatch(value):
            try:
                found = datetime.date.fromisoformat(value)
            except ValueError:
                raise refuse("no such day", accepted, value) from None
        else:
            raise refuse("not a date", accepted, value)
        if found.year < 1900:
            raise refuse("too long ago", accepted, value)
        return found

    return BeforeValidator(check)


def choice(*names: str) -> PlainValidator:
    """Accept one of the names, in upper or lower case."""
    by_folded_name = {name.casefold(): name for name in names}

    def check(value: object) -> str:
        name = by_folded_name.get(value.casefold()) if isinstance(value, str) else None
        if name is None:
            raise refuse("not one of the choices", " | ".join(names), value)
        return name

    return PlainValidator(check)


def answer() -> PlainValidator:
    """Accept true, false or unknown, which becomes None."""

    def check(value: object) -> bool | None:
        if isinstance(value, bool):
            return value
        if value is None or value == "unknown":
            return None
        raise refuse("not an answer", ANSWERS, value)

    return PlainValidator(check)


def answers(group: str) -> PlainValidator:
    """Accept answers to the questions of one group of rules, `red_flags` or `conditions`."""

    def check(value: object) -> dict[str, bool | None]:
        if not isinstance(value, Mapping):
            raise refuse("not a mapping of answers", f"question id: {ANSWERS}", value)
        known = question_ids(group)
        for key, given in value.items():
            if key not in known:
                raise refuse(f"no such question{nearest(key, known)}", listed(known, key), key, str(key))
            if given is not None and not isinstance(given, bool) and given != "unknown":
                raise refuse("not an answer", ANSWERS, given, key)
        return {key: given if isinstance(given, bool) else None for key, given in value.items()}

    return PlainValidator(check)


def medicine() -> PlainValidator:
    """Accept a class of medicines or a common name of one in it, which becomes the class."""

    def check(value: object) -> str:
        known: dict[str, str] = {name: row["id"] for row in table("contraindications")["medicines"]
                                 for name in (row["id"], *row.get("also", ()))}
        name = value.strip().casefold().replace(" ", "_") if isinstance(value, str) else ""
        if name not in known:
            classes = ", ".join(question_ids("medicines"))
            raise refuse(f"no such medicine{nearest(value, known)}", classes, value)
        return known[name]

    return PlainValidator(check)


def label(longest: int = 200) -> PlainValidator:
    """Accept a printable text of one line, or a number as one."""

    def check(value: object) -> str:
        plain = isinstance(value, int | float | str) and not isinstance(value, bool)
        try:
            text = str(value) if plain else ""
        except ValueError:  # a whole number of thousands of digits
            text = ""
        if not 0 < len(text) <= longest or not text.isprintable():
            raise refuse("not a label", f"a short text of up to {longest} characters", value)
        return text

    return PlainValidator(check)


def nearest(name: object, names: Iterable[str]) -> str:
    """The end of a message that names the accepted word nearest to this one."""
    return f", nearest is `{get_close_matches(str(name)[:100], names, n=1, cutoff=0)[0]}`"


def listed(names: Sequence[str], name: object) -> str:
    """The accepted words: all of a dozen, else the nearest three and how many there are."""
    if len(names) <= 12:
        return ", ".join(names)
    close = get_close_matches(str(name)[:100], names, n=3, cutoff=0)
    return f"{', '.join(close)} or another of the {len(names)} ids"


def told(error: ValidationError, model: type[BaseModel], file: str | None) -> InputError:
    """What is wrong, as one message: the first problem, and how many more there are.

    Arguments:
        error: what pydantic found.
        model: the model it read the file with.
        file: the file's name.
    """
    try:
        errors = error.errors(include_url=False)
    except UnicodeEncodeError:  # pydantic cannot report a lone surrogate
        return InputError("text with broken characters", file=file, accepted="text in UTF-8")
    first = min(errors, key=lambda each: each["type"] not in UNKNOWN_KEY)  # a misspelt key goes missing too
    key, message, found, accepted = _explained(first, model)
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    field = _path((*first["loc"], *key))
    return InputError(message + more, file=file, field=field, found=found, accepted=accepted)


def _explained(error: ErrorDetails, model: type[BaseModel]) -> tuple[tuple[int | str, ...], str, object, str]:
    context, last = error.get("ctx", {}), error["loc"][-1] if error["loc"] else ""
    keys = tuple(_part(model, error["loc"]).model_fields)
    match error["type"]:
        case "deqi":
            return context["key"], context["problem"], context["found"], context["accepted"]
        case "extra_forbidden" | "invalid_key":
            return (), f"unknown key{nearest(last, keys)}", last, listed(keys, last)
        case "missing":
            return (), "missing", None, f"a value for `{last}`"
        case "too_long":
            return (), "too many entries", None, f"at most {LONGEST_LIST}"
        case "tuple_type":
            return (), "not a list", error["input"], "a list"
        case _:
            return (), "not a mapping", error["input"], f"the keys {', '.join(keys)}"


def _part(model: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel]:
    for name in loc:
        known = model.model_fields.get(str(name))
        model = next(_models(known.annotation), model) if known else model
    return model


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _path(loc: tuple[int | str, ...]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).removeprefix(".")
    return path.encode("unicode_escape").decode("ascii")[:120]
