"""The words of a plan, as `vocabulary.yaml` lists them, and the nearest of them to a word that is none."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import Any, Literal

from deqi.care.defaults import table

Words = tuple[str, ...]


@dataclass(frozen=True)
class Name:
    """Words that start a course: its type, what they say of it, and how they are usually meant."""

    says: tuple[str, ...]
    care: str
    sets: dict[str, Any] = field(default_factory=dict)
    assumes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Modifier:
    """Words that say more about a course of some types; `after` tells that they follow its name."""

    says: tuple[str, ...]
    cares: tuple[str, ...]
    sets: dict[str, Any]
    after: bool = False


@dataclass(frozen=True)
class Phrase:
    """All that one phrase may mean."""

    name: Name | None = None
    modifiers: tuple[Modifier, ...] = ()
    separator: Literal["hard", "soft", "then"] | None = None
    other: Literal["nothing", "not_modelled"] | None = None


@cache
def names() -> tuple[Name, ...]:
    """Return every name of care, drugs included, in the order of preference for printing."""
    listed = [Name(tuple(entry["says"]), entry["care"], entry.get("sets", {}), entry.get("assumes", {}))
              for entry in table("vocabulary")["names"]]
    drugs = [Name((drug,), "medicine", {"name": name, "drug": drug})
             for name, members in table("vocabulary")["drugs"].items() for drug in members]
    return tuple(listed + drugs)


@cache
def modifiers() -> tuple[Modifier, ...]:
    """Return every modifier."""
    return tuple(Modifier(tuple(entry["says"]), tuple(entry["for"]), entry["sets"], entry.get("after", False))
                 for entry in table("vocabulary")["modifiers"])


@cache
def phrases() -> dict[Words, Phrase]:
    """Return the meaning of every phrase that is more than a quantity or a filler, by its words."""
    found: dict[Words, Phrase] = {}
    for name in names():
        for says in name.says:
            found[words_of(says)] = Phrase(name=name)
    for modifier in modifiers():
        for says in modifier.says:
            known = found.get(words_of(says), Phrase())
            found[words_of(says)] = Phrase(name=known.name, modifiers=(*known.modifiers, modifier))
    for kind, listed in table("vocabulary")["separators"].items():
        found |= {words_of(says): Phrase(separator=kind) for says in listed}
    for other in ("nothing", "not_modelled"):
        for says in table("vocabulary")[other]:
            found.setdefault(words_of(says), Phrase(other=other))
    return found


@cache
def longest_phrase() -> int:
    """Return the number of words in the longest phrase."""
    return max(len(words) for words in phrases())


@cache
def fillers() -> frozenset[str]:
    """Return the words that carry no meaning of their own."""
    return frozenset(table("vocabulary")["fillers"])


@cache
def unit(word: str) -> tuple[str, Fraction] | None:
    """Return what a unit measures and its factor: `h` is ("minutes", 60), `days` is ("days", 1)."""
    for measure, members in table("vocabulary")["units"].items():
        if word in members:
            return measure, Fraction(members[word])
    return None


def words_of(says: str) -> Words:
    """Return a phrase as its words; a hyphen is a space."""
    return tuple(says.replace("-", " ").split())


def examples() -> str:
    """Return some names of care, for errors."""
    return ", ".join(table("vocabulary")["examples"]) + " ..."


def nearest(words: Words) -> tuple[str, str] | None:
    """Return the start of some words that nothing means, with the accepted phrase that it resembles most.

    Arguments:
        words: the words from the first that was not understood.

    Returns:
        What was probably meant as one phrase and the accepted phrase, or None where nothing is near.
    """
    accepted = _by_length()
    best: tuple[float, str, str] | None = None
    for length in range(min(3, len(words)), 0, -1):
        said = " ".join(word[:40] for word in words[:length])
        for close in difflib.get_close_matches(said, accepted.get(length, ()), n=1, cutoff=0.72):
            score = _likeness(close, said)
            if _likeness(close.split()[0], words[0][:40]) < 0.6:
                continue
            if best is None or score > best[0]:
                best = score, said, close
    return best[1:] if best else None


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


@cache
def _by_length() -> dict[int, list[str]]:
    vocabulary = table("vocabulary")
    single = [word for section in ("numbers", "counts", "rates") for word in vocabulary[section]]
    single += [word for members in vocabulary["units"].values() for word in members]
    found: dict[int, list[str]] = {1: [word for word in single if len(word) > 1]}
    for words, phrase in phrases().items():
        if phrase.other != "not_modelled":
            found.setdefault(len(words), []).append(" ".join(words))
    return found
