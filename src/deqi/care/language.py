"""Plain language in: reads "acupuncture 30 min twice a week for 6 weeks" into what it states.

A sentence is cut into tokens; at each token the longest known phrase, else a quantity, else a filler word is
taken, and a word that is none of these is an error. Separators then cut the sentence into courses, each with
one name of care. The words themselves are in `vocabulary.yaml`.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import Any

from deqi.care import vocabulary
from deqi.care.defaults import table
from deqi.care.quantities import Fact, Token, bring_nouns_home, quantity
from deqi.care.vocabulary import Modifier, Name, Phrase
from deqi.errors import InputError

LONGEST_PLAN = 5000  # characters
EXAMPLE = "a sentence such as 'acupuncture 30 min twice a week for 6 weeks'"
_TIMES = ("times_per_week", "sessions", "weeks", "start_week")


@dataclass
class Reading:
    """What one course of a sentence states.

    Attributes:
        name: the words that name its care.
        stated: fields and values.
        text: the name as it was said.
        then: it starts when the courses before it have ended.
        joined: "and" or a comma ties it to the course before it.
    """

    name: Name
    text: str
    stated: dict[str, Any] = field(default_factory=dict)
    then: bool = False
    joined: bool = False

    @property
    def dosed(self) -> bool:
        """True if it says how long or how often."""
        return any(key in self.stated for key in ("minutes", "times_per_week", "weeks", "sessions"))


@dataclass
class _Group:
    """The words between two separators."""

    separator: str
    names: list[tuple[Name, str]] = field(default_factory=list)
    modifiers: list[tuple[Phrase, str]] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    nothing: bool = False


def read(text: str) -> list[Reading]:
    """Read a plan in plain words.

    Arguments:
        text: one or more courses of care, joined by "and", commas, semicolons, "then" or new lines.

    Returns:
        What each course states; an empty list for "nothing".

    Raises:
        InputError: empty or overlong text, control characters, a word that is not understood, a number
            without a unit, no care or two kinds of care in one course, two values for one thing.
    """
    try:
        groups = _groups(bring_nouns_home(_tokens(text)))
        if not groups:
            raise InputError("no kind of care is named", accepted=vocabulary.examples())
        if any(group.nothing for group in groups):
            if any(group.names or group.facts or group.modifiers for group in groups) or len(groups) > 1:
                raise InputError("'nothing' stands alone in a plan",
                                 accepted="the other care without 'nothing'")
            return []
        return _readings(groups)
    except InputError as error:
        raise InputError(error.message, field=error.field, found=text if error.found is None else error.found,
                         accepted=error.accepted or EXAMPLE) from None


def _tokens(text: str) -> list[Token]:
    if len(text) > LONGEST_PLAN:
        raise InputError("too long for a plan", found=f"{len(text)} characters",
                         accepted=f"at most {LONGEST_PLAN} characters")
    if any(unicodedata.category(char) in ("Cc", "Cs", "Cf", "Co") and char not in "\n\r\t" for char in text):
        raise InputError("a control character", found=text, accepted="plain text")
    if not text.strip():
        raise InputError("an empty plan", found=text, accepted=f"{EXAMPLE}, or 'nothing'")
    plain = unicodedata.normalize("NFKC", text).lower().strip()
    plain = re.sub(r"[\u2010-\u2015\u2212]", "-", plain).replace("\u00d7", " x ").replace("\r", "")
    plain = re.sub(r"\bhalf an?\b", "0.5", plain)
    plain = re.sub(r"(?<=[^\W_])-(?=[^\W\d_])(?<!\bex-)", " ", plain)  # twice-weekly, 30-min; but EX-B2
    return [_token(match) for match in _pattern().finditer(plain)]


@cache
def _pattern() -> re.Pattern[str]:
    points = table("vocabulary")["points"]
    letters = {*points["other_letters"]}.union(*points["by_meridian"].values())
    meridian = "|".join(sorted(name.lower().replace("-", "-?") for name in letters))
    return re.compile(
        rf"(?P<point>(?<![^\W_])(?:{meridian})-?\d{{1,2}}(?![^\W_]))"
        r"|(?P<number>(?<![\w.])-\d+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
        r"|(?P<word>[^\W\d_]+)|(?P<symbol>[-/,;.+&():\n])|(?P<other>\S)")


def _token(match: re.Match[str]) -> Token:
    kind, text = str(match.lastgroup), match.group()
    words = table("vocabulary")
    if kind == "other":
        raise InputError(f"'{text}' is not understood", accepted=EXAMPLE)
    if kind == "number":
        if len(text) > 25:
            raise InputError("a number with too many digits", found=text, accepted="a shorter number")
        return Token("number", text, Fraction(text))
    if text in words["counts"]:
        return Token("count", text, Fraction(words["counts"][text]))
    if text in words["numbers"]:
        return Token("number", text, Fraction(words["numbers"][text]))
    return Token(kind, "newline" if text == "\n" else text)


def _groups(tokens: list[Token]) -> list[_Group]:
    groups = [_Group("hard")]
    at = 0
    while at < len(tokens):
        phrase, length = _longest_phrase(tokens, at)
        said = " ".join(token.text for token in tokens[at:at + length])
        group = groups[-1]
        if phrase and phrase.separator:
            groups.append(_Group(phrase.separator))
        elif phrase and phrase.other == "not_modelled":
            raise InputError(f"deqi has no model of '{said}'", accepted=vocabulary.examples())
        elif phrase and phrase.other == "nothing":
            group.nothing = True
        elif phrase and phrase.name:
            group.names.append((phrase.name, said))
        elif phrase:
            group.modifiers.append((phrase, said))
        elif found := quantity(tokens, at):
            facts, length = found
            group.facts += facts
        elif tokens[at].text in vocabulary.fillers():
            length = 1
        else:
            raise _not_understood(tokens, at)
        at += length
    return _merged(groups)


def _longest_phrase(tokens: list[Token], at: int) -> tuple[Phrase | None, int]:
    for length in range(min(vocabulary.longest_phrase(), len(tokens) - at), 0, -1):
        phrase = vocabulary.phrases().get(tuple(token.text for token in tokens[at:at + length]))
        if phrase:
            return phrase, length
    return None, 0


def _merged(groups: list[_Group]) -> list[_Group]:
    """Join the words before and after a name to it, unless a hard separator stands between."""
    merged: list[_Group] = []
    pending = ""  # separators with nothing between them count as the strongest of them
    for group in groups:
        strongest = max(pending, group.separator, key=("", "soft", "hard", "then").index)
        if not (group.names or group.modifiers or group.facts or group.nothing):
            pending = strongest
            continue
        pending = ""
        last = merged[-1] if merged else None
        loose = strongest == "soft" and last is not None and not (group.nothing or last.nothing)
        if loose and last is not None and not (last.names and group.names):
            last.names += group.names
            last.modifiers += group.modifiers
            last.facts += group.facts
        else:
            merged.append(_Group(strongest, group.names, group.modifiers, group.facts, group.nothing))
    return merged


def _readings(groups: Iterable[_Group]) -> list[Reading]:
    readings: list[Reading] = []
    for group in groups:
        if group.separator == "then" and not group.names and readings:  # "then once a week": the same care
            before = readings[-1]
            group.names.append((before.name, before.text))
            group.facts += [Fact(key, value, before.text) for key, value in before.stated.items()
                            if key not in (*_TIMES, *(fact.name for fact in group.facts), *before.name.sets)]
        if not group.names:
            said = group.facts[0].text if group.facts else group.modifiers[0][1]
            raise InputError(f"no kind of care is named beside '{said}'",
                             accepted=vocabulary.examples())
        if len(group.names) > 1:
            first, second = group.names[0][1], group.names[1][1]
            raise InputError(f"two kinds of care in one course: '{first}' and '{second}'",
                             accepted=f"'{first} ... and {second} ...', each with its own times")
        name, text = group.names[0]
        reading = Reading(name, text, dict(name.sets), then=group.separator == "then",
                          joined=group.separator == "soft" and bool(readings))
        for phrase, said in group.modifiers:
            for key, value in _meant(phrase, said, reading).sets.items():
                _state(reading, Fact(key, value, said))
        for fact in group.facts:
            _state(reading, fact)
        _settle(reading)
        readings.append(reading)
    return readings


def _meant(phrase: Phrase, said: str, reading: Reading) -> Modifier:
    for modifier in phrase.modifiers:
        if reading.name.care in modifier.cares:
            return modifier
    raise InputError(f"'{said}' does not apply to {reading.text}")


def _state(reading: Reading, fact: Fact) -> None:
    known, value = reading.stated.get(fact.name), fact.value
    if isinstance(value, list | tuple) and isinstance(known, list | tuple) and fact.name != "frequency_hz":
        value = [*known, *(item for item in value if item not in known)]
    elif fact.name in reading.stated and known != value:
        raise InputError(f"two values for {fact.name.replace('_', ' ')} of {reading.text}: '{fact.text}' and "
                         f"{_shown(known)}", accepted="one value; 'and' joins two courses of care")
    reading.stated[fact.name] = value


def _settle(reading: Reading) -> None:
    """Turn what people say into fields: a last week into weeks, milligrams a time into milligrams a day."""
    stated = reading.stated
    if "end_week" in stated:
        _state(reading, Fact("weeks", stated.pop("end_week") - stated.get("start_week", 0.0), "until"))
    if reading.name.care != "medicine":
        return
    once = stated.get("sessions") == 1
    if once:
        del stated["sessions"]
        stated.setdefault("weeks", 1 / 7)
    if "mg" in stated:
        per_day = 1.0 if once else stated.get("times_per_week", 7.0) / 7
        _state(reading, Fact("mg_per_day", stated.pop("mg") * per_day, "mg"))


def _not_understood(tokens: list[Token], at: int) -> InputError:
    token, after = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else None
    stranger = after is not None and after.kind == "word" and not _has_meaning(after.text)
    if token.kind in ("number", "count") and not stranger:
        if after and after.text in ("-", "to", "or"):
            return InputError(f"a range of values at '{token.text} {after.text} ...'", accepted="one value")
        return InputError(f"'{token.text}' has no unit", accepted="min, h, days, weeks, sessions, "
                          "times a week, Hz, mA, mm, needles or mg after a number")
    if token.kind in ("number", "count") or (stranger and _has_meaning(token.text)):
        at += 1
    spelt = itertools.takewhile(lambda later: later.kind == "word", tokens[at:])
    words = tuple(later.text for later in spelt)
    if words and _has_meaning(words[0]):
        return InputError(f"'{words[0]}' is not understood where it stands")
    near = vocabulary.nearest(words[:3])
    if near:
        return InputError(f"'{near[0]}' is not understood; did you mean '{near[1]}'?")
    return InputError(f"'{tokens[at].text[:40]}' is not understood",
                      accepted=f"{EXAMPLE}; care: {vocabulary.examples()}")


def _has_meaning(word: str) -> bool:
    lists = (table("vocabulary")[name] for name in ("per", "ordinals", "rates", "for", "starters", "until"))
    return bool((word,) in vocabulary.phrases() or word in vocabulary.fillers() or vocabulary.unit(word)
                or any(word in listed for listed in lists))


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)
