"""What the codes of other systems mean to deqi: `fhir.yaml`, and SNOMED CT apart from it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from deqi.consult.rules import table as rules
from deqi.tables import shipped

HERE = Path(__file__).parent
TABLE = HERE / "fhir.yaml"
Concept = Mapping[str, Any]


def table() -> dict[str, Any]:
    """The code tables."""
    return shipped(TABLE)


@cache
def snomed() -> dict[str, Any]:
    """The SNOMED CT codes; empty where their file was left out."""
    path = HERE / "fhir_snomed.yaml"
    return shipped(path) if path.exists() else {}


def codes(concept: Concept, system: str) -> list[str]:
    """The codes of a CodeableConcept in one system.

    Arguments:
        concept: a CodeableConcept.
        system: its name in `systems` of `fhir.yaml`.
    """
    known = table()["systems"][system]
    wanted = [known] if isinstance(known, str) else known
    return [each["code"] for each in concept.get("coding", ()) if each.get("system") in wanted and "code" in each]


def texts(concept: Concept) -> list[str]:
    """The words of a CodeableConcept: its text and what its codings display."""
    said = [concept.get("text"), *(each.get("display") for each in concept.get("coding", ()))]
    return [text for text in said if text]


def shown(concept: Concept) -> str:
    """A CodeableConcept in a few words, for people."""
    words = texts(concept) or [each.get("code", "") for each in concept.get("coding", ())]
    return words[0][:60] if words else "no code"


def pain_of(concept: Concept) -> set[str]:
    """Which pain a Condition is: `back`, `leg`, both or none."""
    icd10, ours = codes(concept, "icd10"), snomed()
    clinical = codes(concept, "snomed")
    words = {text.strip().casefold() for text in texts(concept)}
    return {place for place, row in table()["pain"].items()
            if _below(icd10, row) or words & set(row["texts"]) or set(clinical) & set(ours.get(place, ()))}


def conditions_of(concept: Concept) -> list[dict[str, Any]]:
    """The rows of `conditions` that a Condition's codes belong to."""
    icd10 = codes(concept, "icd10")
    return [row for row in table()["conditions"] if _below(icd10, row)]


def medicines_of(concept: Concept) -> list[str]:
    """The classes of medicines, by ATC code or, where none is understood, by the names in its words."""
    atc = codes(concept, "atc")
    coded = [row["class"] for row in table()["medicines"] if any(code.startswith(tuple(row["atc"])) for code in atc)]
    if coded:
        return coded
    said = [f"_{re.sub(r'[^a-z0-9]+', '_', text.casefold())}_" for text in texts(concept)]
    return [row["id"] for row in rules("contraindications")["medicines"]
            if any(f"_{name}_" in text for text in said for name in (row["id"], *row.get("also", ())))]


def observation_of(concept: Concept) -> dict[str, Any] | None:
    """The row of `observations` for what was observed, or None."""
    loinc, ours = codes(concept, "loinc"), codes(concept, "deqi")
    words = {word for text in texts(concept) for word in re.findall(r"[a-z0-9]+", text.casefold())}
    for row in table()["observations"]:
        if row.get("loinc") in loinc or row.get("deqi") in ours or words & set(row.get("words", ())):
            return dict(row)
    return None


def _below(given: Iterable[str], row: Mapping[str, Any]) -> bool:
    """Whether one of the ICD-10 codes is one of the row's or stands below one of them."""
    wanted, out = tuple(row["icd10"]), tuple(row.get("but", ()))
    return any(code.upper().startswith(wanted) and not (out and code.upper().startswith(out)) for code in given)
