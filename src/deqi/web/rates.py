"""How often a practice's care did harm, with exact intervals, beside the rates that were published.

A rate of treatments is set beside a published one of treatments, one of patients beside one of patients over a course;
neither is turned into the other (harms cluster in people, `baum_any_treatment`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from .. import evidence
from ..errors import InputError
from .outcomes import FEWEST, clopper_pearson
from .stricta import table

UNITS = {"per_treatment": "per_treatment", "per_patient": "per_patient_course"}
"""Of the practice, and of the fact that means the same."""
ONE_SIDED = 0.05


@dataclass(frozen=True)
class Harm:
    """One adverse event.

    Attributes:
        kind: of `stricta.yaml`.
        person: a pseudonym.
        treatment: the session it belongs to, or None where that is not known.
        serious, treated: whether it was serious, and whether it needed treatment.
    """

    kind: str
    person: str
    treatment: str | None = None
    serious: bool = False
    treated: bool = False


def rates(harms: Sequence[Harm], treatments: Collection[str], patients: Collection[str]) -> list[dict[str, Any]]:
    """Treatments and patients with at least one event, over all kinds and of each kind.

    Arguments:
        harms: all events.
        treatments: ids of all sessions given, with an event or not.
        patients: pseudonyms of everybody treated.

    Returns:
        For `any`, `treated`, `serious` and each kind: `kind`, and by unit (`per_treatment`, `per_patient`) `count`,
        `of`, `few`, and unless they are few `rate`, `low`, `high` (95 %, Clopper-Pearson; with no event the one-sided
        upper bound, about 3 of `of`) and `bound`, whether it is one; `unplaced`, events that belong to none of the
        treatments or patients and so are not in `count`; `published`, see `published`, or None.

    Raises:
        InputError: an unknown kind.
    """
    kinds = table()["kinds"]
    for harm in harms:
        if harm.kind not in kinds:
            raise InputError("no such kind of adverse event", field="kind", found=harm.kind, accepted=", ".join(kinds))
    chosen: dict[str, Callable[[Harm], bool]] = {
        "any": lambda harm: True, "treated": lambda harm: harm.treated, "serious": lambda harm: harm.serious}
    rows = []
    for kind, facts in (table()["summaries"] | kinds).items():
        own = [harm for harm in harms if (chosen[kind](harm) if kind in chosen else harm.kind == kind)]
        rows.append({"kind": kind} | {
            unit: rate([at for at in places if at in whole], len(whole))
            | {"unplaced": sum(at not in whole for at in places),
               "published": published(facts[unit], unit) if unit in facts else None}
            for unit, places, whole in (("per_treatment", [harm.treatment for harm in own], set(treatments)),
                                        ("per_patient", [harm.person for harm in own], set(patients)))})
    return rows


def rate(places: Collection[str | None], of: int) -> dict[str, Any]:
    """The share with an event, each counted once, with its exact 95 % interval; only counts for fewer than ten."""
    count = len(set(places))
    told: dict[str, Any] = {"count": count, "of": of, "few": of < FEWEST}
    if of < FEWEST:
        return told
    low, high = clopper_pearson(count, of, ONE_SIDED if count == 0 else ONE_SIDED / 2)
    return told | {"rate": count / of, "low": low, "high": high, "bound": count == 0}


def published(id: str, unit: str) -> dict[str, Any]:
    """A published rate of the same unit.

    Arguments:
        id: of the fact.
        unit: `per_treatment` or `per_patient`.

    Returns:
        `rate`, `low`, `high` (shares; None where no interval was found), `event`, `population`, `basis` of the
        interval, `source` (the id) and `cite`.

    Raises:
        InputError: the fact counts something else, or may not be shown.
    """
    fact = evidence.fact(id)
    body = fact.body
    if body.get("unit") != UNITS[unit] or body.get("rate") is None or body.get("use") == "do_not_display":
        raise InputError("a fact that is no rate of this unit", field=id, found=body.get("unit"), accepted=UNITS[unit])
    low, high = body["ci95"] or (None, None)
    per = body["rate_per"]
    return {"rate": body["rate"] / per, "low": None if low is None else low / per,
            "high": None if high is None else high / per, "event": body["event"], "population": body["population"],
            "basis": body["ci_basis"], "source": id, "cite": fact.citation()}
