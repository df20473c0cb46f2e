"""The main job: a patient in, an honest comparison of care plans out."""

from __future__ import annotations

import datetime
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..body.system import THEORIES, equations_hash, parameters_hash
from ..care import Heat, Needling, Plan, sentences
from ..evidence import document, evidence_hash
from ..population import posterior
from ..population.patients import phase_of
from .assessment import Patient, load_patient
from .forecast import Person, prepare
from .options import (
    SHARED_SIZE,
    Judged,
    compare,
    described,
    plan_kinds,
    review_rules,
    shares_of_theories,
    table,
    tailor,
    what_needles_add,
)
from .screening import Applicability, Screening, applicability, screen

DRAWS = 768
SCOUT_DRAWS = 256
"""Futures per plan in the search: enough to rank plans that share their people and their noise."""
THEORY_DRAWS = 256


@dataclass(frozen=True)
class Consultation:
    """A finished consultation; `result` holds what the JSON file holds."""

    result: dict[str, Any]

    @property
    def is_emergency(self) -> bool:
        """Whether screening found an emergency; then nothing else is in the result."""
        return self.result["screening"]["status"] == "emergency"

    def report(self, path: str | Path) -> Path:
        """Write the report as one HTML page and return its path."""
        from .report import write

        write(self.result, path)
        return Path(path)


def consult(patient: Patient | str | Path, *, seed: int = 1, draws: int = DRAWS) -> Consultation:
    """Screen a patient, compare the options, and tailor a plan.

    Arguments:
        patient: an assessment, or the path of a patient file.
        seed: of every random number; the same seed gives the same result.
        draws: virtual futures per option.

    Raises:
        InputError: the file is not a patient file.
    """
    if not isinstance(patient, Patient):
        patient = load_patient(patient)
    screening, extent = screen(patient), applicability(patient)
    result: dict[str, Any] = {
        "patient": _patient(patient, extent), "screening": screening.as_json(), "options": [], "tailored": None,
        "theories": None, "evidence": _evidence(patient), "provenance": provenance(seed, draws),
    }
    if screening.status != "emergency" and extent.status != "outside":
        result |= _forecasts(patient, screening, extent, seed, draws)
    return Consultation(result)


def _forecasts(patient: Patient, screening: Screening, extent: Applicability, seed: int, draws: int
               ) -> dict[str, Any]:
    person = prepare(patient, extent, draws=draws, seed=seed)
    scout = prepare(patient, extent, draws=SCOUT_DRAWS, seed=seed)
    with ThreadPoolExecutor(2) as threads:
        search = threads.submit(tailor, scout, screening)
        judged = {option.id: option for option in compare(person, screening)}
        ranked = search.result()
    nothing = judged["nothing"].forecast
    assert nothing is not None
    options = list(judged.values())
    tailored = None
    if ranked:
        chosen = _tailored(person, ranked[0][1])
        options.append(chosen)
        tailored = _proposal(patient, screening, chosen, ranked)
    acupuncture = judged["acupuncture"]
    shown = chosen.plan if ranked and acupuncture.forecast is None else acupuncture.plan
    # without a past: its weights would differ between theories, and with them the people
    today = patient.model_copy(update={"scores": (), "care_so_far": ()})
    removed = {name: prepare(today, extent, draws=THEORY_DRAWS, seed=seed, without=(name,) if name else ())
               for name in ("", *THEORIES)}
    theories = {
        "status": "hypothesis", "calibration": posterior.status(),
        "shares": shares_of_theories(removed, shown),
        "decomposition": what_needles_add(person, nothing, acupuncture), "note": table()["theories_note"],
    }
    return {"options": [described(option, nothing, patient) for option in options], "tailored": tailored,
            "theories": theories}


def _tailored(person: Person, plan: Plan) -> Judged:
    option = next(row for row in table()["options"] if row["id"] == "tailored")
    forecast = person.forecast(plan, table()["horizon_weeks"], size=SHARED_SIZE)
    return Judged(option["id"], option["label"], plan, forecast, None, option["experience"])


def _proposal(patient: Patient, screening: Screening, chosen: Judged, ranked: list[Any]) -> dict[str, Any]:
    week, close = table()["judged_at_week"], table()["nearly_as_good_points"]["value"]
    best_worth, best_plan, best = ranked[0]
    better = 100.0 * float(best.improved(week).mean())
    near: list[dict[str, str]] = []
    for worth, plan, forecast in ranked[1:]:
        if best_worth - worth <= close and len(near) < 3:
            gap = round(100.0 * float(forecast.improved(week).mean()) - better)
            more = "about as many" if gap == 0 else f"about {abs(gap)} {'more' if gap > 0 else 'fewer'}"
            visits = plan.visits - best_plan.visits
            change = "the same visits" if visits == 0 else f"{abs(visits)} visits {'more' if visits > 0 else 'fewer'}"
            near.append({"plan": "; ".join(sentences(plan)), "difference": f"{more} of 100 better, {change}"})
    assert chosen.forecast is not None
    return {
        "plan": [s[0].upper() + s[1:] for s in sentences(chosen.plan)], "label": chosen.label,
        "reasons": _reasons(chosen.plan, screening), "nearly_as_good": near, "review": review_rules(chosen.forecast),
        "trade_off": _trade_off(chosen, ranked),
        "prescription": _prescription(chosen.plan),
    }


def _trade_off(chosen: Judged, ranked: list[Any]) -> list[dict[str, Any]]:
    """The best plan for each number of visits, as long as more visits bring more.

    The search ranks plans with fewer futures than the comparison has; differences between plans are sharp there,
    levels are not, so all levels are moved by what the chosen plan is off.
    """
    week = table()["judged_at_week"]
    assert chosen.forecast is not None
    level = 100.0 * float(chosen.forecast.improved(week).mean())
    off = level - 100.0 * float(ranked[0][2].improved(week).mean())
    points = sorted(((plan.visits, 100.0 * float(forecast.improved(week).mean()) + off, plan)
                     for _, plan, forecast in ranked), key=lambda point: (point[0], -point[1]))
    kept: list[tuple[float, float, Plan]] = []
    for visits, better, plan in points:
        if not kept or better > kept[-1][1] or plan == ranked[0][1]:
            if kept and kept[-1][0] == visits and plan != ranked[0][1]:
                continue
            kept.append((visits, better, plan))
    return [{"label": "; ".join(sentences(plan)), "visits": visits, "improved_30pct": round(better),
             "chosen": plan == ranked[0][1]} for visits, better, plan in kept]


def _reasons(plan: Plan, screening: Screening) -> list[dict[str, str]]:
    kinds = plan_kinds(plan)
    keys = ["needling", "retention", "number", "points"] if "needling" in kinds else ["no_needling"]
    if "needling" in kinds and "deep_needling" in screening.forbids:
        keys.append("shallow")
    if "exercise" in kinds:
        keys.append("supervised_exercise" if plan.visits and any(
            c.care == "exercise" and c.with_practitioner for c in plan.courses) else "walking")
    if any(isinstance(c, Heat) for c in plan.courses):
        keys.append("heat")
    return [dict(table()["reasons"][key]) for key in keys]


def _prescription(plan: Plan) -> dict[str, Any]:
    """The needling of a plan with the STRICTA fields; what is not stated is left to the practitioner."""
    needling = next((c for c in plan.courses if isinstance(c, Needling)), None)
    if needling is None:
        return {}
    left = "left to the practitioner"
    return {
        "style": needling.style or left, "points": ", ".join(needling.points) + " (classes; names: " + (
            ", ".join(needling.point_names) or left) + ")",
        "insertions_per_session": needling.insertions or left,
        "depth": f"{needling.depth:g} mm" if isinstance(needling.depth, float) else needling.depth or "none",
        "response_sought": "de qi" if needling.de_qi else "none", "stimulation": needling.mode,
        "retention_minutes": f"{needling.retention_minutes:g}", "needle": needling.needle_type or left,
        "sessions": needling.schedule.sessions,
        "frequency": f"{needling.schedule.times_per_week:g} a week for {needling.schedule.weeks:g} weeks",
        "other_interventions": "; ".join(s for s, c in zip(sentences(plan), plan.courses, strict=False)
                                         if c is not needling) or "none",
        "practitioner": needling.practitioner or "qualified in acupuncture and registered where that exists",
    }


def _patient(patient: Patient, extent: Applicability) -> dict[str, Any]:
    weeks = patient.pain.duration_weeks
    given = patient.model_dump(mode="json", exclude={"care_so_far"}, exclude_none=False)
    unknown = [name for name, value in (
        ("how long the pain has lasted", weeks), ("age", patient.age), ("a disability score", patient.disability),
        ("medicines", patient.medicines), ("expectation", patient.expectation)) if value is None]
    return given | {
        "phase": None if weeks is None else phase_of(weeks), "unknown": unknown,
        "care_so_far": [{"start_week": c.start_week, "plan": sentences(c.plan)} for c in patient.care_so_far],
        "applicability": {"status": extent.status, "reasons": list(extent.reasons), "sources": list(extent.sources)},
    }


def _evidence(patient: Patient) -> dict[str, Any]:
    return {"guidelines": _guidelines(patient), "sources": [], "calibration": posterior.status(),
            "caveats": list(table()["caveats"])}


def _guidelines(patient: Patient) -> dict[str, list[dict[str, str]]]:
    """Guideline bodies for and against acupuncture in this phase, as the decision table of the evidence lists them."""
    weeks = patient.pain.duration_weeks
    phase = "chronic" if weeks is None or weeks >= 12 else "acute or subacute"
    row = next(r for r in document("guidelines")["decision_table"] if r["phase"] == phase)
    named = {"ACP": "acp_2017", "WHO": "who_2023", "NVL": "nvl_2017", "CMS": "cms_ncd_30_3_3", "NICE": "nice_ng59",
             "Danish": "danish_2018", "VA": "vadod_2022"}

    def item(text: str) -> dict[str, str]:
        source = next((fact for start, fact in named.items() if text.startswith(start)), "guidelines")
        body = next((e["body"] for e in document("guidelines")["entries"] if e["id"] == source), text)
        return {"body": body, "statement": text, "source": source}

    return {"for": [item(t) for t in row["for"]], "against": [item(t) for t in row["against"]],
            "mixed": [item(t) for t in row["silent_or_unseen"]]}


def provenance(seed: int, draws: int) -> dict[str, Any]:
    """What made a result: version, hashes of equations and evidence, posterior, seed, date."""
    from .. import __version__

    return {"version": __version__, **posterior.provenance(),
            "parameters": "fitted to laboratory experiments, then to trials" if posterior.stamp()
            else "fitted to laboratory experiments, not yet calibrated on trials",
            "equations": equations_hash()[:16], "laboratory": parameters_hash()[:16],
            "evidence": evidence_hash()[:16], "seed": seed, "patients": draws,
            "date": datetime.date.today().isoformat(), "funding": table()["funding"],
            "update_policy": table()["update_policy"]}
