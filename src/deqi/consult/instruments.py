"""Questionnaire scores: which may be entered, how items add up, and what a score means.

The table is `instruments.yaml`; the licences stand in the facts that it names. No questionnaire's wording ships.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import PlainValidator

from deqi.consult.fields import in_range, listed, nearest, refuse
from deqi.evidence import fact
from deqi.tables import shipped

ROUNDING = 0.05  # a mean is often written with one decimal
ITEMS_AND_TOTAL = "the items or the total, or both that agree"


@dataclass(frozen=True)
class Part:
    """One number that a questionnaire gives.

    Attributes:
        low, high: its range, both included.
        whole: whether only whole numbers are scores.
        within: the part whose points include these, or None.
        digits: the digits that the number may be written with, or None for any.
    """

    id: str
    name: str
    low: float
    high: float
    whole: bool = False
    within: str | None = None
    digits: str | None = None
    range_source: str | None = None


@dataclass(frozen=True)
class Instrument:
    """One questionnaire; `instruments.yaml` explains the columns."""

    id: str
    name: str
    measures: str
    may: Literal["score_items", "enter_score"]
    source: str
    total: Literal["sum", "mean", "given", "none"]
    higher: Literal["worse", "better"]
    parts: tuple[Part, ...]
    missing: Mapping[str, str]
    meanings: tuple[Mapping[str, Any], ...]
    all_or_none: bool = False

    @property
    def licence(self) -> str:
        """What the licence allows, as the evidence tells it."""
        body = fact(self.source).body
        return f"{body['licence']}: {body['licence_note']}"

    @property
    def total_part(self) -> Part | None:
        """The total and its range; None if the parts never add up."""
        if self.total == "none":
            return None
        if self.total == "given":
            return next(part for part in self.parts if part.id == "total")
        parts = self.parts if self.total == "sum" else self.parts[:1]
        low, high = sum(part.low for part in parts), sum(part.high for part in parts)
        return Part("total", "total", low, high, whole=all(part.whole for part in parts))


@cache
def known() -> dict[str, Instrument]:
    """The questionnaires whose scores a patient file may hold, by id."""
    rows = _table()["instruments"]
    return {row["id"]: Instrument(**row | {"parts": tuple(Part(**part) for part in row["parts"]),
                                           "meanings": tuple(row["meanings"])}) for row in rows}


def elsewhere() -> dict[str, dict[str, str]]:
    """The questionnaires with a place of their own in the patient file: id to `place` and what deqi `may` do."""
    places: dict[str, dict[str, str]] = _table()["elsewhere"]
    return places


def left_out() -> dict[str, str]:
    """The questionnaires of the evidence that a patient file cannot hold, and why."""
    reasons: dict[str, str] = _table()["left_out"]
    return reasons


def scored(id: str, given: object) -> dict[str, float]:
    """Check what was entered for one questionnaire, and add up its items.

    Arguments:
        id: of the questionnaire.
        given: a mapping of parts to numbers, or one number, the total.

    Returns:
        The parts, and `total` where it was given or follows from them.

    Raises:
        PydanticCustomError: no such questionnaire, or a score that cannot be; `deqi.consult.fields.told` makes one
            message of it.
    """
    instrument = _named(id)
    whole = instrument.total_part
    allowed = {part.id: part for part in (*instrument.parts, *((whole,) if whole else ()))}
    if not isinstance(given, Mapping):
        if whole is None:
            raise refuse("scores without their names", f"a mapping with {', '.join(allowed)}", given, id)
        given = {"total": given}
    scores = {}
    for key, value in given.items():
        if key not in allowed:
            raise refuse(f"unknown key{nearest(key, allowed)}", listed(tuple(allowed), key), key, (id, str(key)))
        if value is not None and value != "unknown":
            scores[key] = _read(instrument, allowed[key], value)
    _check_parts(instrument, scores)
    return _with_total(instrument, scores)


def meaning(id: str, scores: Mapping[str, float]) -> tuple[str, str] | None:
    """What scores say about a person, with the source; None where nothing may be said.

    Arguments:
        id: of the questionnaire.
        scores: as `scored` returns them.
    """
    for row in known()[id].meanings:
        if all(key in scores and low <= scores[key] <= high for key, (low, high) in row["when"].items()):
            return row["text"], row["source"]
    return None


def questionnaires() -> PlainValidator:
    """Accept scores of questionnaires: id to a number or to a mapping of parts."""

    def check(given: object) -> dict[str, dict[str, float]]:
        if not isinstance(given, Mapping):
            raise refuse("not a mapping", f"the keys {', '.join(known())}", given)
        found = {id: scored(id, value) for id, value in given.items() if value is not None and value != "unknown"}
        return {id: scores for id, scores in found.items() if scores}

    return PlainValidator(check)


def _named(id: object) -> Instrument:
    if isinstance(id, str) and id in known():
        return known()[id]
    place = elsewhere().get(str(id).casefold(), {}).get("place")
    if place:
        raise refuse("a score with a place of its own", f"`{place}` for it", id, str(id))
    if id in left_out():
        raise refuse("a questionnaire that is not read", ", ".join(known()), id, str(id))
    raise refuse(f"no such questionnaire{nearest(id, (*known(), *elsewhere()))}", ", ".join(known()), id, str(id))


def _read(instrument: Instrument, part: Part, value: object) -> float:
    key = (instrument.id, part.id)
    score = in_range(value, part.low, part.high, whole=part.whole, key=key)
    if part.digits and set(str(int(score))) - set(part.digits):
        raise refuse("a digit out of range", f"digits from {part.digits[0]} to {part.digits[-1]}", value, key)
    return score


def _check_parts(instrument: Instrument, scores: Mapping[str, float]) -> None:
    ranges = {part.id: part for part in instrument.parts}
    for part in instrument.parts:
        if part.within is None or not {part.id, part.within} <= scores.keys():
            continue
        outside, most = scores[part.within] - scores[part.id], ranges[part.within].high - part.high
        if not 0 <= outside <= most:
            low, high = max(part.low, scores[part.within] - most), min(part.high, scores[part.within])
            raise refuse(f"does not go with a {part.within} of {scores[part.within]:g}", f"from {low:g} to {high:g}",
                         scores[part.id], (instrument.id, part.id))
    given = [part.id for part in instrument.parts if part.id in scores]
    if instrument.all_or_none and 0 < len(given) < len(instrument.parts):
        absent = next(part.id for part in instrument.parts if part.id not in scores)
        raise refuse("missing", f"both parts of {instrument.name}, or none", key=(instrument.id, absent))


def _with_total(instrument: Instrument, scores: dict[str, float]) -> dict[str, float]:
    items = [scores.get(part.id) for part in instrument.parts]
    if instrument.total not in ("sum", "mean") or None in items:
        return scores
    total = sum(item for item in items if item is not None)
    if instrument.total == "mean":
        total /= len(items)
    if abs(scores.get("total", total) - total) > ROUNDING:
        raise refuse(f"does not go with its items, whose {instrument.total} is {total:.3g}", ITEMS_AND_TOTAL,
                     scores["total"], (instrument.id, "total"))
    return scores | {"total": total}


def _table() -> dict[str, Any]:
    return shipped(Path(__file__).with_name("instruments.yaml"))
