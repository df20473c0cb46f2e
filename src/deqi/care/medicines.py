"""Medicines for pain: a class, and if it is known the drug and its daily dose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from deqi.care.course import Course, nearest_hint, shown
from deqi.care.defaults import table
from deqi.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Medicine(Course):
    """A medicine taken for some weeks.

    Attributes:
        name: its class.
        regular: taken every day; otherwise as needed.
        drug: which drug of the class, if stated.
        mg_per_day: its daily dose, if stated.
    """

    care: ClassVar[str] = "medicine"

    name: Literal["nsaid", "paracetamol", "opioid", "muscle_relaxant"]
    regular: bool
    drug: str | None = None
    mg_per_day: float | None = None

    def check(self) -> None:
        """Refuse a drug that is not one of its class."""
        drugs = table("vocabulary")["drugs"].get(self.name, ())
        if self.drug is not None and self.drug not in drugs:
            raise InputError(f"not a known drug of the class {self.name}", field="drug", found=self.drug,
                             accepted=(", ".join(drugs) or "none") + nearest_hint(self.drug, drugs))

    @classmethod
    def continuous(cls, stated: Mapping[str, Any]) -> bool | None:
        """A medicine has weeks, no sessions."""
        return True

    @classmethod
    def implied(cls, stated: Mapping[str, Any]) -> dict[str, Any]:
        """Return the class of a drug that was named without it."""
        drug, classes = stated.get("drug"), table("vocabulary")["drugs"]
        if drug is None or "name" in stated:
            return {}
        for name, drugs in classes.items():
            if drug in drugs:
                return {"name": name}
        known = [drug for drugs in classes.values() for drug in drugs]
        raise InputError("not a known drug", field="drug", found=shown(drug),
                         accepted=", ".join(known) + nearest_hint(drug, known))
