"""The rules of a consultation: YAML tables beside this file, and the logic that says whether one holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deqi.tables import shipped

HERE = Path(__file__).parent
Facts = Mapping[str, bool | None]


def table(name: str) -> dict[str, Any]:
    """One table of rules.

    Arguments:
        name: `facts`, `red_flags`, `contraindications`, `applicability` or `harms`.
    """
    return shipped(HERE / f"{name}.yaml")


def question_ids(group: str) -> tuple[str, ...]:
    """The ids that a patient file may use.

    Arguments:
        group: `red_flags`, `conditions` or `medicines`.
    """
    home = "red_flags" if group == "red_flags" else "contraindications"
    key = "questions" if group == "red_flags" else group
    return tuple(row["id"] for row in table(home)[key])


def holds(expression: str | Mapping[str, Any], facts: Facts) -> bool | None:
    """Whether a rule's `when` holds, with unknown kept apart from no (Kleene's logic).

    Arguments:
        expression: a fact's id, or `{all: [...]}`, `{any: [...]}`, `{at_least: n, of: [...]}`, nested freely.
        facts: what is known of the patient: True, False, or None for unknown.

    Raises:
        KeyError: the expression names a fact that does not exist.
    """
    if isinstance(expression, str):
        return facts[expression]
    if "of" in expression:
        parts, needed = expression["of"], expression["at_least"]
    elif "any" in expression:
        parts, needed = expression["any"], 1
    else:
        parts, needed = expression["all"], len(expression["all"])
    answers = [holds(part, facts) for part in parts]
    if answers.count(True) >= needed:
        return True
    return None if answers.count(True) + answers.count(None) >= needed else False
