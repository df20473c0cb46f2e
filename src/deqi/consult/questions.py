"""The questions of an assessment, in the order asked: `questions.yaml`, with those of other tables put in.

Screening brings its questions from `rules/`, the questionnaires theirs from `instruments.yaml`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from deqi.consult.fields import listed, nearest
from deqi.consult.instruments import known
from deqi.consult.rules import table
from deqi.errors import InputError
from deqi.tables import shipped


@dataclass(frozen=True)
class Question:
    """One question; `questions.yaml` explains the fields.

    Attributes:
        choices: what may be chosen: the word in the file to the words shown.
        low, high: the range of a number, or None.
        when: fields to the values that they must have for the question to be asked.
        unless: a rule that spares the question, as in `rules/`, or None.
    """

    id: str
    section: str
    short: str
    text: str
    type: str
    field: str
    use: str
    why: str
    source: str
    choices: Mapping[str, str] = dataclasses.field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    unit: str = ""
    whole: bool = False
    when: Mapping[str, list[Any]] = dataclasses.field(default_factory=dict)
    unless: Any = None

    @property
    def accepts(self) -> str:
        """What will do as an answer, in a few words."""
        words: str = _table()["types"][self.type]
        if self.choices:
            return f"{words}: " + ", ".join(f"{n} {text}" for n, text in enumerate(self.choices.values(), start=1))
        if self.low is None or self.high is None:
            return words
        return f"{words}, from {self.low:g} to {self.high:g} {self.unit}".rstrip()


@cache
def questions() -> tuple[Question, ...]:
    """All questions in the order in which they are asked, those about emergencies first."""
    return tuple(question for row in _table()["questions"] for question in _questions_of(row))


def question(id: str) -> Question:
    """One question.

    Raises:
        InputError: there is none of this id.
    """
    by_id = {each.id: each for each in questions()}
    if id not in by_id:
        raise InputError(f"no such question{nearest(id, by_id)}", field=str(id)[:100],
                         accepted=listed(tuple(by_id), id))
    return by_id[id]


def sections() -> dict[str, str]:
    """The headings under which questions are asked, by id."""
    titles: dict[str, str] = _table()["sections"]
    return titles


def not_asked() -> dict[str, str]:
    """The fields of the patient file that no question asks for, and why."""
    reasons: dict[str, str] = _table()["not_asked"]
    return reasons


def _questions_of(row: Mapping[str, Any]) -> Iterator[Question]:
    match row.get("from"):
        case "red_flags":
            for flag in table("red_flags")["questions"]:
                yield Question(flag["id"], row["section"], flag["ask"], flag["ask"], "yes_no",
                               f"red_flags.{flag['id']}", row["use"], flag["why"], flag["source"])
        case "conditions":
            for condition in table("contraindications")["conditions"]:
                why, source = _reason(condition)
                yield Question(condition["id"], row["section"], condition["ask"],
                               f"Does this apply to you? {condition['ask']}", "yes_no",
                               f"conditions.{condition['id']}", row["use"], why, source,
                               unless=condition.get("unless"))
        case "instruments":
            for instrument in known().values():
                parts = ", ".join(f"{part.name} {part.low:g}-{part.high:g}" for part in instrument.parts)
                yield Question(instrument.id, row["section"], f"the score of {instrument.name}",
                               f"{instrument.name}, if you have filled it in: {parts}?", "instrument",
                               f"instruments.{instrument.id}", row["use"],
                               f"It tells {instrument.measures}. It is noted and changes no number.", instrument.source)
        case _:
            plain = {key: value for key, value in row.items() if key != "range"}
            low, high = row.get("range", (None, None))
            if row.get("choices") == "medicines":
                plain["choices"] = {each["id"]: each["id"].replace("_", " ")
                                    for each in table("contraindications")["medicines"]}
            yield Question(**plain, low=low, high=high)


def _reason(condition: Mapping[str, Any]) -> tuple[str, str]:
    """Why a condition is asked about: what the first rule that mentions it says."""
    tables = (("contraindications", "rules"), ("applicability", "rules"), ("red_flags", "combinations"))
    rules = [rule for name, rows in tables for rule in table(name)[rows]]
    said = next((rule for rule in rules if condition["id"] in _mentioned(rule["when"])), None)
    if said is None:
        return "A treatment may have to be changed for it.", condition.get("source", "assumed")
    return said["text"], condition.get("source", said["source"])


def _mentioned(expression: Any) -> set[str]:
    if isinstance(expression, str):
        return {expression}
    parts = (part for value in expression.values() if isinstance(value, list) for part in value)
    return set().union(*map(_mentioned, parts))


def _table() -> dict[str, Any]:
    return shipped(Path(__file__).with_name("questions.yaml"))
