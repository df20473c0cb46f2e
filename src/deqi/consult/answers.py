"""Understands an answer as a person types it or a form gives it; whether it can be is for the patient file to say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from deqi.consult.instruments import known
from deqi.consult.questions import Question
from deqi.errors import InputError

NUMBER = re.compile(r"[+-]?\d{1,12}(\.\d{1,12})?", re.ASCII)
DURATION = re.compile(r"(\d{1,6}(?:\.\d{1,6})?) ?(day|week|month|year)s?", re.ASCII | re.IGNORECASE)
SILENCE = ("", "u", "unknown")
YES, NO = ("y", "yes", "true"), ("n", "no", "false")


def understood(question: Question, given: object) -> Any:
    """Read an answer.

    Arguments:
        question: what was asked.
        given: text as typed, or a value.

    Returns:
        The value for the patient file; None for an unknown one; for a duration, the number and its unit.

    Raises:
        InputError: the text is no answer to this type of question; its field is the question's id.
    """
    if isinstance(given, str):
        text = given.strip()
        return None if text.casefold() in SILENCE else _READERS[question.type](question, text)
    if question.type == "duration" and given is not None:
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise _refused(question, given)
        return given, "weeks"
    return given


def _number(question: Question, text: str) -> int | float:
    if not NUMBER.fullmatch(text):
        raise _refused(question, text)
    return float(text) if "." in text else int(text)


def _pain_score(question: Question, text: str) -> int | float | str:
    return _number(question, text) if NUMBER.fullmatch(text) else text


def _duration(question: Question, text: str) -> tuple[float, str]:
    found = DURATION.fullmatch(text)
    if found is None:
        raise _refused(question, text)
    number, unit = float(found[1]), found[2].lower()
    return (round(number / 7, 3), "weeks") if unit == "day" else (number, f"{unit}s")


def _yes_no(question: Question, text: str) -> bool:
    if text.casefold() not in (*YES, *NO):
        raise _refused(question, text)
    return text.casefold() in YES


def _choice(question: Question, text: str) -> str:
    name = _named(question, text)
    if name not in question.choices:
        raise _refused(question, text)
    return name


def _list(question: Question, text: str) -> list[str]:
    if text.casefold() == "none":
        return []
    return list(dict.fromkeys(_named(question, part.strip()) for part in text.split(",")))


def _text(question: Question, text: str) -> str:
    return text


def _scores(question: Question, text: str) -> list[dict[str, Any]]:
    rows = []
    for part in _rows(text):
        words = part.split()
        if len(words) != 3 or not NUMBER.fullmatch(words[2]):
            raise _refused(question, part)
        when, outcome, value = words
        day = {"week": _number(question, when)} if NUMBER.fullmatch(when) else {"date": when}
        rows.append({**day, "outcome": outcome.upper(), "value": _number(question, value)})
    return rows


def _care(question: Question, text: str) -> list[dict[str, Any]]:
    rows = []
    for part in _rows(text):
        plan, comma, week = (piece.strip() for piece in part.rpartition(","))
        if not comma or not plan or not NUMBER.fullmatch(week):
            raise _refused(question, part)
        rows.append({"plan": plan, "start_week": _number(question, week)})
    return rows


def _instrument(question: Question, text: str) -> Mapping[str, Any]:
    parts = known()[question.id].parts
    scores = [None if word in SILENCE else _number(question, word) for word in re.split(r"[\s,;]+", text)]
    if len(scores) == 1:
        return {parts[0].id if len(parts) == 1 else "total": scores[0]}
    if len(scores) > len(parts):
        raise _refused(question, text)
    return {part.id: score for part, score in zip(parts, scores, strict=False) if score is not None}


def _rows(text: str) -> list[str]:
    return [] if text.casefold() == "none" else [part.strip() for part in text.split(";") if part.strip()]


def _named(question: Question, text: str) -> str:
    """The word in the file for a choice given by its place, its word or the words shown."""
    for place, (name, shown) in enumerate(question.choices.items(), start=1):
        if text.casefold() in (str(place), name.casefold(), shown.casefold()):
            return name
    return text


def _refused(question: Question, found: object) -> InputError:
    return InputError("not understood", field=question.id, found=found, accepted=question.accepts)


_READERS = {"number": _number, "pain_score": _pain_score, "duration": _duration, "yes_no": _yes_no, "choice": _choice,
            "list": _list, "text": _text, "date": _text, "scores": _scores, "care": _care, "instrument": _instrument}
