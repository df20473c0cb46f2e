"""The fixed words of the consultation, and numbers turned into words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deqi.tables import shipped


def texts() -> dict[str, Any]:
    """Return every fixed word of page and terminal, as `texts.yaml` holds them."""
    return shipped(Path(__file__).with_name("texts.yaml"))


def number(value: float | None, digits: int = 1) -> str:
    """Return a number without idle zeros: 6.0 is "6", 4.52 is "4.5"; an unknown one is a dash."""
    if value is None:
        return "–"
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def duration(weeks: float) -> str:
    """Return weeks as a person would say them: days, weeks, about so many months or years."""
    words: dict[str, str] = texts()["duration"]
    if weeks < 2:
        return words["days"].format(n=round(weeks * 7))
    if weeks < 14:
        return words["weeks"].format(n=round(weeks))
    if weeks < 104:
        return words["months"].format(n=round(weeks * 12 / 52))
    return words["years"].format(n=round(weeks / 52))


def plain(identifier: str) -> str:
    """Return an identifier as words: `last_resort` is "last resort"."""
    return str(identifier).replace("_", " ")


def care_under_way(review: Mapping[str, Any]) -> str:
    """Return what going on with the present care and stopping it would bring, as a sentence.

    Arguments:
        review: `review` of the consultation.
    """
    told: str = texts()["review"]["now"].format(
        ago=number(review["started_weeks_ago"]), then=number(review["score_then"]), now=number(review["score_now"]),
        on=review["of_100"]["going_on"], off=review["of_100"]["stopping"], goal=review["goal"],
        week=number(review["week"]))
    return told


def inline(label: str) -> str:
    """Return a label as it stands inside a sentence: "Usual care" is "usual care", "NSAID" stays."""
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]
