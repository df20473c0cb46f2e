"""Tells what harm each kind of care may do, on the scale on which it was counted.

Which facts are shown stands in `rules/harms.yaml`. A risk per session is never turned into one per course:
events cluster in people, and compounding would give 54 of 100 where surveys of whole courses find 9
(`baum_any_treatment`, doi 10.1136/bmjopen-2020-045961).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from deqi import evidence
from deqi.care import Medicine, Needling, Plan
from deqi.consult.assessment import Patient
from deqi.consult.rules import holds, table
from deqi.consult.screening import known_facts
from deqi.errors import InputError

SCALES = {"per_100": 100, "per_10000": 10_000}


def harms(plan_kinds: Iterable[str], patient: Patient | None = None) -> dict[str, list[Any]]:
    """The known harms of some care, and what is known about them in people like this one.

    Arguments:
        plan_kinds: the kinds of care in a plan: `needling`, `electro`, `exercise`, `stretching`, `heat`,
            `cold`, `lifestyle`, `nsaid`, `medicine`, `usual_care`, `waiting`, `placebo` or `nothing`.
        patient: for `for_you`; None leaves it empty.

    Returns:
        `common` (items with `per_100`, over a course), `rare` (`per_10000`, over a course), `per_session`
        (`per_10000`), `other` (`text`), `for_you` (`text`; shown, never multiplied) and `notes` (sentences).
        An item holds care, event, ci95 on the item's scale, ci_basis, unit, population, source (the id of
        the fact) and note.

    Raises:
        InputError: a kind of care that is not in the table, or a fact that may not be shown in its list.
    """
    shown: dict[str, list[Any]] = {key: [] for key in (*table("harms")["lists"], "other", "for_you", "notes")}
    cares = list(dict.fromkeys(care for kind in plan_kinds for care in _with_included(kind)))
    for care in cares:
        entry = table("harms")["care"][care]
        for name in table("harms")["lists"]:
            shown[name] += [rated(row, name, care) for row in entry.get(name, [])]
        shown["other"] += [_worded(row, care) for row in entry.get("other", [])]
        shown["notes"] += [note for note in entry.get("notes", []) if note not in shown["notes"]]
    if patient is not None:
        facts = known_facts(patient)
        shown["for_you"] = [_worded(row, care) for row in table("harms")["for_you"] for care in row["care"]
                            if care in cares and holds(row["when"], facts)]
        shown["notes"] += [item["text"] for item in shown["for_you"]]
    return shown


def plainly(for_you: Iterable[Mapping[str, Any]]) -> list[str]:
    """What is known about people like this patient, in words without figures; `for_you` as `harms` gives it."""
    words = {row["id"]: row.get("plain", "" if "{" in row["text"] else row["text"])
             for row in table("harms")["for_you"]}
    return list(dict.fromkeys(plain for item in for_you if (plain := words.get(item["source"], ""))))


def plan_kinds(plan: Plan) -> list[str]:
    """The kinds of care in a plan, as the table of harms names them."""
    kinds = []
    for course in plan.courses:
        if isinstance(course, Needling):
            kinds += ["needling"] + (["electro"] if course.mode == "electro" else [])
        elif isinstance(course, Medicine):
            kinds.append("nsaid" if course.name == "nsaid" else "medicine")
        else:
            kinds.append(course.care)
    return kinds or ["nothing"]


def versus_nsaid() -> dict[str, Any]:
    """What anti-inflammatory drugs do for back pain and what harm they may do, to set beside needles.

    Returns:
        `benefit` (`text`; `source`; for `lasting` and `new` pain `points` of 100 more than dummy tablets take off, with
        `ci95`, `time` and `source`), `harms` (items with `event`, `text`, `source`, and `per_100`, or `per_10000` in a
        year of daily use, or neither where no figure is held) and a `note`.
    """
    told = table("harms")["versus_nsaid"]
    benefit = {name: _points(told["benefit"][name]) for name in ("lasting", "new")}
    text = told["benefit"]["text"].format(**{name: row["points"] for name, row in benefit.items()})
    return {"benefit": {"text": text, "source": benefit["lasting"]["source"], **benefit},
            "harms": [_of_nsaid(row) for row in told["harms"]], "note": told["note"]}


def _points(row: dict[str, str]) -> dict[str, Any]:
    fact = evidence.fact(row["id"])
    low, high = fact.body.get("ci95") or fact.body["dispersion"]["value"]
    return {"points": -fact.value, "ci95": [-high, -low], "time": row["time"], "source": row["id"]}


def _of_nsaid(row: dict[str, Any]) -> dict[str, Any]:
    """One harm; what was counted in a year stays on the scale of its own."""
    body, yearly = _shown(row["id"]), None
    if not row.get("unknown") and body.get("unit") == "per_person_year":
        yearly = _rounded(body["rate"] * SCALES["per_10000"] / body["rate_per"])
    return {"event": row["event"], "per_100": row.get("per_100"), "per_10000": yearly, "text": row["text"],
            "source": row["id"]}


def rated(row: dict[str, str], name: str, care: str) -> dict[str, Any]:
    """One harm as a rate, refused where the fact was not counted in the unit of its list.

    Arguments:
        row: the fact's `id`, and the `event` in plain words.
        name: the list it is meant for: `common`, `rare` or `per_session`.
        care: the kind of care.

    Raises:
        InputError: the fact has another unit, no rate, or may not be displayed.
    """
    wanted, body = table("harms")["lists"][name], _shown(row["id"])
    if body["unit"] != wanted["unit"] or body["rate"] is None:
        raise InputError(f"a harm that does not belong in `{name}`", field=row["id"], found=body["unit"],
                         accepted=wanted["unit"])
    factor = SCALES[wanted["scale"]] / body["rate_per"]
    interval = [_rounded(bound * factor) for bound in body["ci95"]] if body["ci95"] else None
    rate = _rounded(body["rate"] * factor)
    return {"care": care, "event": row["event"], wanted["scale"]: rate, "ci95": interval,
            "ci_basis": body["ci_basis"], "unit": body["unit"], "population": body["population"],
            "source": row["id"], "note": body["notes"]}


def _worded(row: dict[str, Any], care: str) -> dict[str, Any]:
    body = _shown(row["id"])
    rate, (low, high) = body.get("rate", body.get("effect")), body["ci95"] or (None, None)
    words = {"rate": rate, "low": low, "high": high, "factor": str(body.get("factor", "")).capitalize(),
             "estimate": body.get("estimate")}
    return {"care": care, "event": row.get("event") or body["outcome"], "text": row["text"].format(**words),
            "ci95": body["ci95"], "ci_basis": body.get("ci_basis"), "unit": body.get("unit"),
            "population": body.get("population"), "source": row["id"], "note": body["notes"]}


def _shown(id: str) -> dict[str, Any]:
    body = evidence.fact(id).body
    if body.get("use") == "do_not_display":
        raise InputError("a fact that may not be shown to a patient", field=id)
    return body


def _with_included(kind: str) -> tuple[str, ...]:
    care = table("harms")["care"]
    if kind not in care:
        raise InputError("no such kind of care", found=kind, accepted=", ".join(care))
    included = care[kind].get("includes")
    return (included, kind) if included else (kind,)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
