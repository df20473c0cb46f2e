"""A table of people's scores over time, and a person as they were known at one of them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..care import Plan, plan_from
from ..errors import InputError
from .assessment import Patient, parse_patient
from .history import received, rest_of
from .symptoms import WEEKS_PER_YEAR

LARGEST_ROWS = 1_000_000
NEEDED = ("id", "day", "pain")
ALSO = ("care", "age", "sex", "duration_weeks", "odi", "rmdq", "leg_pain", "regular_opioid")
COLUMNS = ", ".join(NEEDED) + " and, if known, " + ", ".join(ALSO)
SEXES = ("female", "male", "other")
ROUNDING_YEARS, ROUNDING_WEEKS = 1.0, 4.0
"""How far what one person says of age and duration may differ beyond the time between; assumed."""
MISSING = ("", "na", "nan", "null", "none", "unknown")


@dataclass(frozen=True)
class Series:
    """One person's scores.

    Arguments:
        id: of the person.
        weeks: whole weeks after the first score; days of one week are averaged.
        pain: NRS 0-10 at each.
        care: what is done from each score on, as the file words it.
        known: further fields of the patient file that hold at the first score.
        disability: scores (instrument, value) at each week, or None.
        file: the table's name, for errors.
    """

    id: str
    weeks: tuple[int, ...]
    pain: tuple[float, ...]
    care: tuple[str, ...]
    known: dict[str, Any] = field(default_factory=dict)
    disability: tuple[tuple[str, float] | None, ...] = ()
    file: str | None = None


def read_series(path: Path) -> list[Series]:
    """Read a table of scores.

    Arguments:
        path: a CSV file with a header.

    Raises:
        InputError: no such file, a missing or unknown column, or a value that cannot be; line and column are named.
    """
    file = str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})", file=file,
                         accepted="a CSV file") from None
    people: dict[str, list[dict[str, str]]] = {}
    for row in _rows(text, file):
        if row["pain"].casefold() in MISSING:
            continue
        if not row["id"]:
            raise InputError("no id", file=file, field=f"line {row['line']}, id", accepted="a label")
        people.setdefault(row["id"], []).append(row)
    if not people:
        raise InputError("no scores", file=file, accepted=COLUMNS)
    return [_series(id, rows, file) for id, rows in people.items()]


def _rows(text: str, file: str) -> Iterator[dict[str, str]]:
    """The rows by column, each with its `line`."""
    reader = csv.reader(text.splitlines())
    try:
        names = [name.strip().casefold() for name in next(reader, ())]
        for name in NEEDED:
            if name not in names:
                raise InputError(f"no column `{name}`", file=file, found=", ".join(names)[:200] or None,
                                 accepted=COLUMNS)
        for place, name in enumerate(names):
            if name not in (*NEEDED, *ALSO):
                raise InputError("unknown column", file=file, found=name[:60], accepted=COLUMNS)
            if name in names[:place]:
                raise InputError("a column stands twice", file=file, field="line 1", found=name, accepted="each once")
        for number, values in enumerate(reader, 1):
            if number > LARGEST_ROWS:
                raise InputError("too many rows", file=file, accepted=f"at most {LARGEST_ROWS}")
            if values and len(values) != len(names):
                raise InputError("another number of columns than the header", file=file,
                                 field=f"line {reader.line_num}", accepted=f"{len(names)} columns")
            if values:
                yield {name: value.strip() for name, value in zip(names, values, strict=True)} | {
                    "line": str(reader.line_num)}
    except csv.Error as error:
        raise InputError(f"cannot be read ({error})", file=file, field=f"line {reader.line_num}",
                         accepted="a CSV file") from None


def _series(id: str, rows: list[dict[str, str]], file: str) -> Series:
    rows = sorted(rows, key=lambda row: _number(row, "day", -36500.0, 36500.0, file))
    start = _number(rows[0], "day", -36500.0, 36500.0, file)
    weeks: dict[int, list[dict[str, str]]] = {}
    for row in rows:
        weeks.setdefault(round((_number(row, "day", -36500.0, 36500.0, file) - start) / 7.0), []).append(row)
    pain = [float(np.mean([_number(row, "pain", 0.0, 10.0, file) for row in group])) for group in weeks.values()]
    care, current = [], "usual care"
    for group in weeks.values():
        for row in group:
            if _given(row, "care"):
                current = row["care"]
                _plan(current, file, f"line {row['line']}, care")
        care.append(current)
    disability = []
    for group in weeks.values():
        found = [(name.upper(), _number(row, name, 0.0, 24.0 if name == "rmdq" else 100.0, file))
                 for row in group for name in ("rmdq", "odi") if _given(row, name)]
        disability.append(found[-1] if found else None)
    known = [_known(row, file) for row in rows]
    _check_same(rows, known, file)
    return Series(id, tuple(weeks), tuple(pain), tuple(care), known[0], tuple(disability), file)


@lru_cache(maxsize=256)
def _plan(care: str, file: str | None = None, field: str = "care") -> Plan:
    return plan_from(care, file=file, field=field)


def _given(row: dict[str, str], name: str) -> bool:
    return row.get(name, "").casefold() not in MISSING


def _check_same(rows: list[dict[str, str]], known: list[dict[str, Any]], file: str) -> None:
    """Refuse rows of one id, in order of time, that cannot be of one person."""
    for name in ("age", "sex", "duration_weeks"):
        first, *later = [k for k in range(len(rows)) if name in known[k]] or [0]
        for k in later:
            weeks = (float(rows[k]["day"]) - float(rows[first]["day"])) / 7.0
            was, now = known[first][name], known[k][name]
            apart = float(was != now) if name == "sex" else abs(now - was)
            most = {"sex": 0.0, "age": ROUNDING_YEARS + weeks / WEEKS_PER_YEAR}.get(name, ROUNDING_WEEKS + weeks)
            if apart > most:
                raise InputError("not the same person", file=file, field=f"line {rows[k]['line']}, {name}",
                                 found=rows[k][name][:60],
                                 accepted=f"what goes with line {rows[first]['line']}: {rows[first][name]}")


def _known(row: dict[str, str], file: str) -> dict[str, Any]:
    """Fields of the patient file from a row; what is not there stays unknown."""
    known: dict[str, Any] = {}
    if _given(row, "age"):
        known["age"] = _number(row, "age", 0.0, 120.0, file)
    if _given(row, "sex"):
        known["sex"] = row["sex"].casefold()
        if known["sex"] not in SEXES:
            raise InputError("not an answer", file=file, field=f"line {row['line']}, sex", found=row["sex"][:60],
                             accepted=" | ".join((*SEXES, "unknown")))
    if _given(row, "duration_weeks"):
        known["duration_weeks"] = _number(row, "duration_weeks", 0.0, 6300.0, file)
    for name in ("leg_pain", "regular_opioid"):
        if _given(row, name):
            word = row[name].casefold()
            if word not in ("0", "1", "true", "false", "yes", "no"):
                raise InputError("not an answer", file=file, field=f"line {row['line']}, {name}", found=row[name],
                                 accepted="true | false | unknown")
            known[name] = word in ("1", "true", "yes")
    return known


def _number(row: dict[str, str], name: str, low: float, high: float, file: str) -> float:
    place, accepted = f"line {row['line']}, {name}", f"a number from {low:g} to {high:g}"
    try:
        value = float(row[name])
    except ValueError:
        raise InputError("not a number", file=file, field=place, found=row[name][:60], accepted=accepted) from None
    if not low <= value <= high:
        raise InputError("out of range", file=file, field=place, found=row[name][:60], accepted=accepted)
    return value


def patient_at(series: Series, origin: int) -> Patient:
    """The person as known at one of their scores: no later one is looked at.

    Raises:
        InputError: something that cannot be; file and id are named.
    """
    now, known = series.weeks[origin], dict(series.known)
    pain: dict[str, Any] = {"week_average": series.pain[origin]}
    if "duration_weeks" in known:
        pain["duration_weeks"] = min(known.pop("duration_weeks") + now, 6300.0)
    if "leg_pain" in known:
        pain["leg_pain"] = known.pop("leg_pain")
    if "age" in known:
        known["age"] = min(known["age"] + now / WEEKS_PER_YEAR, 120.0)
    medicines = ["regular_opioid"] if known.pop("regular_opioid", False) else []
    scores: list[dict[str, Any]] = [{"week": series.weeks[k] - now, "outcome": "NRS", "value": series.pain[k]}
                                    for k in range(origin)]
    body: dict[str, Any] = {"pain": pain, "medicines": medicines, **known}
    for k in range(origin + 1):
        told = series.disability[k] if series.disability else None
        if told is not None and k < origin:
            scores.append({"week": series.weeks[k] - now, "outcome": told[0], "value": told[1]})
        elif told is not None:
            body["disability"] = {"instrument": told[0], "score": told[1]}
    try:
        return parse_patient({"patient": body | {"scores": scores, "care_so_far": _care_before(series, origin)}})
    except InputError as error:
        raise InputError(error.message, file=series.file, field=f"id {series.id}, {error.field}", found=error.found,
                         accepted=error.accepted) from None


def _care_before(series: Series, origin: int) -> list[dict[str, Any]]:
    """The care begun before a score; what another care replaced ends where that began."""
    began = [k for k in range(origin) if k == 0 or series.care[k] != series.care[k - 1]]
    care = []
    for k, following in pairwise([*began, origin]):
        had = received(_plan(series.care[k]), series.weeks[following] - series.weeks[k])
        if had:
            care.append({"plan": Plan(tuple(had)), "start_week": series.weeks[k] - series.weeks[origin]})
    return care


def rest_at(series: Series, origin: int) -> Plan:
    """What is still to come of the care that runs at a score."""
    first = origin
    while first and series.care[first - 1] == series.care[origin]:
        first -= 1
    return rest_of(_plan(series.care[origin]), series.weeks[origin] - series.weeks[first])
