"""Quantities in plain language: "30 min", "twice a week", "10 sessions", "for 6 weeks", "from week 3"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from deqi.care.defaults import table
from deqi.care.vocabulary import unit
from deqi.errors import InputError


@dataclass(frozen=True)
class Token:
    """A piece of a sentence: a `word`, `number`, `count` (once, twice), `point` (BL23) or `symbol`."""

    kind: str
    text: str
    value: Fraction = Fraction(0)


@dataclass(frozen=True)
class Fact:
    """A field of a course, its value, and the words that say so."""

    name: str
    value: Any
    text: str


_END = Token("end", "")
_FARTHEST_NOUN = 4  # "12 weekly back exercise classes"
Found = tuple[list[Fact], int]  # what is stated, and how many tokens say it


def quantity(tokens: list[Token], at: int) -> Found | None:
    """Return what the tokens from `at` state if they begin a quantity, and how many they are; else None.

    Raises:
        InputError: minutes a week, which do not tell how long one session is.
    """
    for rule in _RULES:
        found = rule(tokens, at)
        if found:
            return found
    return None


def bring_nouns_home(tokens: list[Token]) -> list[Token]:
    """Return the tokens with "10 acupuncture sessions" in the order "acupuncture 10 sessions"."""
    words = table("vocabulary")
    separators = {part for group in words["separators"].values() for part in group}
    stops = {*words["per"], *words["for"], *separators}
    ordered = list(tokens)
    for at, token in enumerate(tokens):
        for noun in range(at + 1, min(at + 1 + _FARTHEST_NOUN, len(tokens))):
            between = ordered[noun]
            measured = unit(between.text)
            if token.kind != "number" or between.kind != "word" or between.text in stops:
                break
            if measured and measured[0] == "sessions":
                ordered[at:noun] = [*ordered[at + 1:noun], token]
            if measured:
                break
    return ordered


def _points(tokens: list[Token], at: int) -> Found | None:
    if _peek(tokens, at).kind != "point":
        return None
    letters = tokens[at].text.upper().replace("-", "")
    meridian = letters.rstrip("0123456789")
    number = letters[len(meridian):]
    meridian = table("vocabulary")["points"]["other_letters"].get(meridian, meridian)
    name = f"EX-{meridian[2:]}{number}" if meridian.startswith("EX") else f"{meridian}{number}"
    return [Fact("point_names", [name], name)], 1


def _start(tokens: list[Token], at: int) -> Found | None:
    """From week 3; week 3 to 8; after 2 weeks; starting in 10 days; 2 weeks later; until week 12."""
    words = table("vocabulary")
    here = _peek(tokens, at).text
    if here in ("week", "weeks", "day", "days") and _peek(tokens, at + 1).kind == "number":
        return _from_to(tokens, at, "start_week")
    if here in words["until"]:
        week = at + (_peek(tokens, at + 1).text == "the") + 1
        if _peek(tokens, week).text in ("week", "day") and _peek(tokens, week + 1).kind == "number":
            facts, length = _from_to(tokens, week, "end_week")
            return facts, week - at + length
    lead = 0
    if here in words["starters"] and here != "from":
        lead = 1 + (_peek(tokens, at + 1).text in ("in", "after"))
    elif here in ("after", "from"):
        lead = 1
    period = _period(tokens, at + lead)
    if not period:
        return None
    used = lead + period[1]
    later = _peek(tokens, at + used).text == "later"
    if not lead and not later:
        return None
    return [Fact("start_week", _weeks(period[0]), _said(tokens, at, used + later))], used + later


def _from_to(tokens: list[Token], at: int, name: str) -> Found:
    measured = unit(tokens[at].text)
    days = measured[1] if measured else Fraction(7)
    facts, length = [Fact(name, _weeks(tokens[at + 1].value * days), _said(tokens, at, 2))], 2
    if name == "start_week" and _peek(tokens, at + 2).text in table("vocabulary")["until"]:
        repeated = _peek(tokens, at + 3).text == tokens[at].text
        last = _peek(tokens, at + 3 + repeated)
        if last.kind == "number":
            length = 4 + repeated
            facts.append(Fact("end_week", _weeks(last.value * days), _said(tokens, at, length)))
    return facts, length


def _manipulation(tokens: list[Token], at: int) -> Found | None:
    """Every 10 min."""
    if _peek(tokens, at).text != "every" or _peek(tokens, at + 1).kind != "number":
        return None
    measured = unit(_peek(tokens, at + 2).text)
    if not measured or measured[0] != "minutes":
        return None
    minutes = float(tokens[at + 1].value * measured[1])
    return [Fact("manipulation_every_minutes", minutes, _said(tokens, at, 3))], 3


def _rate(tokens: list[Token], at: int) -> Found | None:
    """Twice a week; 3 times every 2 weeks; 2/week; 5 days a week; daily; every other day; 10 sessions."""
    counted = _count(tokens, at)
    value, used = counted if counted else (Fraction(1), 0)
    interval = _interval(tokens, at + used)
    if interval:
        days, more = interval
        return [Fact("times_per_week", float(value * 7 / days), _said(tokens, at, used + more))], used + more
    if counted and tokens[at + used - 1].text not in ("day", "days", "night", "nights"):
        return [Fact("sessions", float(value), _said(tokens, at, used))], used
    return None


def _count(tokens: list[Token], at: int) -> tuple[Fraction, int] | None:
    here = _peek(tokens, at)
    if here.kind == "count":
        return here.value, 1
    if here.kind != "number":
        return None
    if _interval(tokens, at + 1) and _peek(tokens, at + 1).text == "/":
        return here.value, 1
    noun = unit(_peek(tokens, at + 1).text)
    if noun and noun[0] == "sessions":
        return here.value, 2
    if noun and noun == ("days", Fraction(1)) and _interval(tokens, at + 2):
        return here.value, 2
    return None


def _interval(tokens: list[Token], at: int) -> tuple[Fraction, int] | None:
    """Days between sessions: "a week", "per day", "every 2 weeks", "every other day", "daily"."""
    words = table("vocabulary")
    here = _peek(tokens, at)
    if here.text in words["rates"]:
        return Fraction(words["rates"][here.text]), 1
    if here.text not in words["per"]:
        return None
    number, used = Fraction(1), 1
    nxt = _peek(tokens, at + 1)
    if here.text == "every" and (nxt.kind == "number" or nxt.text in words["ordinals"]):
        number, used = nxt.value if nxt.kind == "number" else Fraction(words["ordinals"][nxt.text]), 2
    measured = unit(_peek(tokens, at + used).text)
    if measured and measured[0] == "days" and number > 0:
        return number * measured[1], used + 1
    return None


def _length(tokens: list[Token], at: int) -> Found | None:
    """For 6 weeks; over a month; 5 days."""
    lead = int(_peek(tokens, at).text in table("vocabulary")["for"])
    if lead and _peek(tokens, at + 1).text in ("a", "an"):
        measured = unit(_peek(tokens, at + 2).text)
        if measured and measured[0] == "days":
            return [Fact("weeks", _weeks(measured[1]), _said(tokens, at, 3))], 3
    period = _period(tokens, at + lead)
    if period:
        return [Fact("weeks", _weeks(period[0]), _said(tokens, at, lead + period[1]))], lead + period[1]
    return None


def _frequency(tokens: list[Token], at: int) -> Found | None:
    """2 Hz; 2/100 Hz; 2 Hz and 100 Hz."""
    values: list[float] = []
    best: Found | None = None
    here = at
    while _peek(tokens, here).kind == "number":
        values.append(float(tokens[here].value))
        here += 1
        if _measures(tokens, here, "hz"):
            here += 1
            best = [Fact("frequency_hz", list(values), _said(tokens, at, here - at))], here - at
        if _peek(tokens, here).text not in ("/", "and", ","):
            break
        here += 1
    return best


def _amount(tokens: list[Token], at: int) -> Found | None:
    """30 min; 1 h 30 min; an hour; 4 mA; 20 mm deep; 14 needles; 400 mg; 1200 mg a day."""
    here = _peek(tokens, at)
    measured = unit(_peek(tokens, at + 1).text)
    if measured is None or measured[0] in ("days", "sessions", "hz"):
        return None
    if here.kind != "number" and not (here.text in ("a", "an") and measured[0] == "minutes"):
        return None
    name, factor = measured
    value, used = (here.value if here.kind == "number" else Fraction(1)) * factor, 2
    if name == "minutes":
        rest, smaller = _peek(tokens, at + used), unit(_peek(tokens, at + used + 1).text)
        if rest.kind == "number" and smaller and smaller[0] == name and smaller[1] < factor:
            value, used = value + rest.value * smaller[1], used + 2
        _refuse_weekly_minutes(tokens, at, used)
    if name == "depth" and _peek(tokens, at + used).text in ("deep", "depth"):
        used += 1
    if name == "mg":
        interval = _interval(tokens, at + used)
        if interval:
            value, used, name = value / interval[0], used + interval[1], "mg_per_day"
    return [Fact(name, float(value), _said(tokens, at, used))], used


def _refuse_weekly_minutes(tokens: list[Token], at: int, used: int) -> None:
    interval = _interval(tokens, at + used)
    if interval and interval[0] > 1 and _peek(tokens, at + used).text in ("a", "per", "/"):
        said = _said(tokens, at, used + interval[1])
        raise InputError(f"'{said}' does not tell how long one session is",
                         accepted="minutes per session and sessions a week, such as '30 min 5 times a week'")


def _period(tokens: list[Token], at: int) -> tuple[Fraction, int] | None:
    """Days in "6 weeks"."""
    measured = unit(_peek(tokens, at + 1).text)
    if _peek(tokens, at).kind == "number" and measured and measured[0] == "days":
        return tokens[at].value * measured[1], 2
    return None


def _measures(tokens: list[Token], at: int, name: str) -> bool:
    measured = unit(_peek(tokens, at).text)
    return measured is not None and measured[0] == name


def _weeks(days: Fraction) -> float:
    return float(days / 7)


def _peek(tokens: list[Token], at: int) -> Token:
    return tokens[at] if at < len(tokens) else _END


def _said(tokens: list[Token], at: int, length: int) -> str:
    return " ".join(token.text for token in tokens[at:at + length])


_RULES: tuple[Callable[[list[Token], int], Found | None], ...] = (
    _points, _start, _manipulation, _frequency, _amount, _rate, _length)
