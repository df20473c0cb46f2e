"""Scores from a table or a clinic's bundle, all or none of them; and tables that no spreadsheet runs as a program."""

from __future__ import annotations

import csv
import datetime
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..consult.symptoms import RANGES
from ..errors import InputError
from ..interop import fhir_read
from .problems import Problems

LARGEST_BYTES = 2 * 1024 * 1024
LARGEST_ROWS = 10_000
TOLD = 50
"""Problems that are told at once; nobody reads more."""
COLUMNS = {"day": ("day", "date"), "outcome": ("outcome", "scale", "instrument", "questionnaire"),
           "value": ("value", "score", "points")}
OUTCOMES = ("NRS", "RMDQ", "ODI")
EARLIEST = datetime.date(1910, 1, 1)
"""Of what a record may speak; a patient file reaches back 120 years, and a record outlives some of them."""
ACCEPTED = "three columns: day, outcome, value"
DAYS = "a day as 2026-11-26 or 26.11.2026"
NUMBER = re.compile(r"\d{1,3}([.,]\d{1,6})?", re.ASCII)
ISO, DOTTED = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII), re.compile(r"(\d\d?)\.(\d\d?)\.(\d{4})", re.ASCII)
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""What a spreadsheet takes for the start of a formula, wide forms too (OWASP, CSV injection)."""

Score = dict[str, Any]


def from_csv(content: bytes, today: datetime.date) -> list[Score]:
    """Read scores from a table, with commas, semicolons or tabs between its columns and a comma or point in numbers.

    Arguments:
        content: the file.
        today: no score may be later.

    Returns:
        `day` (a date), `outcome` (NRS, RMDQ or ODI) and `value`, in order of the days; rows that say the same once.

    Raises:
        Problems: every line that cannot be, with its column; at most fifty are told.
    """
    try:
        text = _sized(content).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Problems([InputError("cannot be read", accepted="a CSV file in UTF-8")]) from None
    if "\0" in text:
        raise Problems([InputError("no text", accepted="a CSV file in UTF-8")])
    head = text.lstrip("\r\n").split("\n", 1)[0]
    separator = next((sign for sign in (";", "\t") if sign in head), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    names: list[str] = []
    found: dict[tuple[datetime.date, str], tuple[float, int]] = {}
    errors: list[InputError] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = _names(cells, reader.line_num)
                continue
            try:
                _take(found, _row(names, cells, reader.line_num, separator, today), reader.line_num)
            except Problems as problems:
                errors += problems.errors
            if len(found) > LARGEST_ROWS:
                raise Problems([InputError("too many scores", accepted=f"at most {LARGEST_ROWS}")])
            if len(errors) >= TOLD:
                break
    except csv.Error as error:
        errors.append(InputError(f"cannot be read ({error})", field=f"line {reader.line_num}", accepted="a CSV file"))
    if errors:
        raise Problems(errors[:TOLD])
    if not found:
        raise Problems([InputError("no scores", accepted=ACCEPTED)])
    return [{"day": day, "outcome": outcome, "value": value} for (day, outcome), (value, _) in sorted(found.items())]


def from_fhir(content: bytes, today: datetime.date) -> tuple[list[Score], list[dict[str, str]]]:
    """Read scores from a FHIR R4 bundle of one patient.

    Arguments:
        content: the file, JSON.
        today: no score may be later.

    Returns:
        The scores as `from_csv` gives them, a visual analogue scale as NRS; and what was not taken, with its reason.

    Raises:
        Problems: no valid bundle, or a score that cannot be; the resource is named.
    """
    try:
        document = json.loads(_sized(content).decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise Problems([InputError("cannot be read", accepted="a FHIR R4 bundle as JSON, in UTF-8")]) from None
    try:
        read, ignored = fhir_read.scores(document, today)
    except InputError as error:
        raise Problems([error]) from None
    found: list[Score] = []
    errors: list[InputError] = []
    for score in read:
        low, high = RANGES[score.outcome]
        if not low <= score.value <= high:
            errors.append(score.resource.refused("out of range", "value", found=score.value,
                                                 accepted=f"a number from {low:g} to {high:g}"))
        value = score.value / 10 if score.outcome == "VAS" else float(score.value)
        found.append({"day": score.when.first, "outcome": "NRS" if score.outcome == "VAS" else score.outcome,
                      "value": value})
    if errors:
        raise Problems(errors[:TOLD])
    return found, ignored


def written(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Write a table as CSV; a text that a spreadsheet would take for a formula begins with an apostrophe instead.

    Arguments:
        rows: cells by column; one that is missing or None is empty.
        columns: names, in order.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_defused(name) for name in columns])
    for row in rows:
        writer.writerow([_defused(row.get(name)) for name in columns])
    return out.getvalue()


def _defused(cell: object) -> object:
    if cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool)):
        return cell
    text = cell.isoformat() if isinstance(cell, datetime.date) else str(cell)
    return f"'{text}" if text.lstrip().startswith(FORMULA) or text[:1] in ("\t", "\r", "\n") else text


def _sized(content: bytes) -> bytes:
    if len(content) > LARGEST_BYTES:
        raise Problems([InputError("too large", found=f"{len(content) / 1024**2:.1f} MB",
                                   accepted=f"at most {LARGEST_BYTES // 1024**2} MB")])
    return content


def _names(cells: Sequence[str], line: int) -> list[str]:
    """The columns of the header; those that are unknown, twice or missing are told together."""
    names, errors = [], []
    for cell in cells:
        said = cell.strip().casefold()
        name = next((name for name, words in COLUMNS.items() if said in words), "")
        if not name:
            errors.append(InputError("unknown column", field=f"line {line}", found=cell.strip()[:40],
                                     accepted=ACCEPTED))
        elif name in names:
            errors.append(InputError(f"two columns for the {name}", field=f"line {line}", found=cell.strip()[:40],
                                     accepted="each once"))
        names.append(name)
    missing = [name for name in COLUMNS if name not in names]
    if missing and not (errors and len(names) == len(COLUMNS)):
        errors.append(InputError(f"no column for: {', '.join(missing)}", field=f"line {line}", accepted=ACCEPTED))
    if errors:
        raise Problems(errors)
    return names


def _row(names: Sequence[str], cells: Sequence[str], line: int, separator: str, today: datetime.date
         ) -> tuple[datetime.date, str, float]:
    if len(cells) != len(names):
        advice = " (a decimal comma needs quotes, or semicolons between columns)" if separator == "," else ""
        raise Problems([InputError(f"another number of columns than the header{advice}", field=f"line {line}",
                                   found=len(cells), accepted=f"{len(names)} columns")])
    row = {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
    errors = []

    def refused(column: str, message: str, accepted: str) -> None:
        errors.append(InputError(message, field=f"line {line}, {column}", found=row[column][:40], accepted=accepted))

    day = _day(row["day"])
    if day is None:
        refused("day", "no such day", DAYS)
    elif day > today or day < EARLIEST:
        refused("day", "after today" if day > today else "too long ago", f"a day from {EARLIEST.year} to {today}")
    outcome = row["outcome"].upper()
    if outcome not in OUTCOMES:
        refused("outcome", "not one of the scales", " | ".join(OUTCOMES))
    low, high = RANGES.get(outcome, (0.0, 100.0))
    value = float(row["value"].replace(",", ".")) if NUMBER.fullmatch(row["value"]) else None
    if value is None:
        refused("value", "not a number", f"a number from {low:g} to {high:g}")
    elif not low <= value <= high:
        refused("value", "out of range", f"a number from {low:g} to {high:g}")
    if errors or day is None or value is None:
        raise Problems(errors)
    return day, outcome, value


def _take(found: dict[tuple[datetime.date, str], tuple[float, int]], row: tuple[datetime.date, str, float],
          line: int) -> None:
    day, outcome, value = row
    before = found.setdefault((day, outcome), (value, line))
    if before[0] != value:
        raise Problems([InputError(f"another {outcome} than line {before[1]} on the same day",
                                   field=f"line {line}, value", found=value, accepted="one score a day and scale")])


def _day(text: str) -> datetime.date | None:
    """A day, year first or with points; with slashes it could be read in two ways, so it is not."""
    iso, dotted = ISO.fullmatch(text), DOTTED.fullmatch(text)
    try:
        if iso:
            return datetime.date(*(int(part) for part in iso.groups()))
        return datetime.date(*(int(part) for part in reversed(dotted.groups()))) if dotted else None
    except ValueError:
        return None
