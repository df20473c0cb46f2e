"""The one vocabulary of what trials measured: a name in a trial file to an instrument, `measures.yaml`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal

from deqi.errors import InputError

Domain = Literal["pain", "disability", "other"]


@dataclass(frozen=True)
class Measure:
    """What an instrument is to deqi.

    Arguments:
        instrument: deqi's name for it.
        domain: `pain` or `disability`; `other` is known and not modelled.
        low, high: its range in own units, used where a file states none.
        or_high: the other customary maximum, if there is one.
        higher_is_worse: its direction.
        percent: values are percent of the baseline, not levels.
        momentary: pain around a session, not a week's average.
        used: whether deqi reports it.
        reason: why not, if it is not used.
        residual: SD, points of 0-100, of what reading it on deqi's scale leaves unexplained between trials.
        source: fact ids, or `assumed`.
        names: spellings that it is meant for.
    """

    instrument: str
    domain: Domain
    low: float
    high: float
    or_high: float | None
    higher_is_worse: bool
    percent: bool
    momentary: bool
    used: bool
    reason: str | None
    residual: float
    source: str
    names: tuple[str, ...]


def measures() -> tuple[Measure, ...]:
    """All entries of the vocabulary, in the order in which they are tried."""
    return tuple(entry for _, entry in _table())


def find(name: str) -> Measure | None:
    """The first entry that fits a name, or None."""
    plain = name.replace("_", " ")
    return next((entry for like, entry in _table() if like.search(plain)), None)


def measure(name: str, file: str | None = None, field: str | None = None) -> Measure:
    """The entry of a measure's name as a trial file has it.

    Arguments:
        name: the name.
        file, field: where it stands, for the error.

    Raises:
        InputError: no entry fits; the nearest accepted names are told.
    """
    found = find(name)
    if found is None:
        spellings = {spelling.casefold(): spelling for entry in measures() for spelling in entry.names}
        near = [spellings[close] for close in get_close_matches(name.casefold(), list(spellings), n=3, cutoff=0.4)]
        accepted = ", ".join(near or ["VAS", "NRS", "RMDQ", "ODI"]) + ", or another name that measures.yaml knows"
        raise InputError("no such measure", file=file, field=field, found=name, accepted=accepted)
    return found


@cache
def _table() -> tuple[tuple[re.Pattern[str], Measure], ...]:
    import yaml

    text = Path(__file__).with_name("measures.yaml").read_text(encoding="utf-8")
    return tuple((_pattern(row["like"]), _entry(row)) for row in yaml.safe_load(text))


def _pattern(like: str | list[str]) -> re.Pattern[str]:
    return re.compile(like if isinstance(like, str) else "|".join(like), re.IGNORECASE)


def _entry(row: dict[str, Any]) -> Measure:
    used = row["domain"] != "other"
    return Measure(
        instrument=row["instrument"], domain=row["domain"], low=float(row.get("low", 0.0)),
        high=float(row.get("high", 100.0)), or_high=row.get("or_high"),
        higher_is_worse=row.get("higher_is_worse", True), percent=row.get("percent", False),
        momentary=row.get("momentary", False), used=used, reason=row.get("reason"),
        residual=float(row.get("residual", 0.0)),
        source=row.get("source", "assumed"), names=tuple(row["names"]))
