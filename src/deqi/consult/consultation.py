"""The main job: a patient in, an honest comparison of care plans out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..care import sentences
from ..evidence import document
from ..population import posterior
from ..population.patients import phase_of
from ..results import Result
from .assessment import Patient, patient_of
from .at_work import METHOD, decomposition, needles_note, shares_of_theories
from .forecast import DRAWS, Forecast, prepare
from .harms import versus_nsaid
from .letter import needling_of
from .limits import limits_of
from .options import Judged, compare, described, judge, steps, table
from .points import hazards
from .provenance import provenance
from .review import given_up, review_now, review_rules
from .rows import as_dataset, as_frame
from .screening import Applicability, Screening, applicability, screen
from .tailoring import Search, Tried, goals_reached, how_many, reasons, trade_off, weights
from .tailoring import table as choices

if TYPE_CHECKING:
    import pandas
    import xarray

SCOUT_DRAWS = 256
"""Particles of the search and of the theories' worlds: enough for differences between worlds that share them."""
VISITS_APART = 4
KEYS = ("option", "outcome", "week")


@dataclass(frozen=True)
class Consultation(Result):
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

    def frame(self) -> pandas.DataFrame:
        """One line for each option, outcome and week; no lines for options that are closed."""
        rows = [row | {"option": option["id"]} for option in self.result["options"] for row in option["forecast"]]
        return as_frame(rows, self.result["provenance"], KEYS)

    def dataset(self) -> xarray.Dataset:
        """Mean, spread, quantiles (`score`) and chances over (option, outcome, week)."""
        return as_dataset(self.frame(), KEYS)

    def letter(self, path: str | Path) -> Path:
        """Write a referral or hand-over letter as one HTML page and return its path."""
        from ..writing import write_text
        from .report import render_letter

        write_text(path, render_letter(self.result))
        return Path(path)


def consult(patient: Patient | Mapping[str, Any] | str | Path, *, seed: int = 1, draws: int = DRAWS) -> Consultation:
    """Screen a patient, compare the options, and tailor a plan.

    Arguments:
        patient: an assessment, the path of a patient file, or what would stand in one.
        seed: of every random number; the same seed gives the same result.
        draws: virtual futures per option.

    Raises:
        InputError: the file is not a patient file.
    """
    patient = patient_of(patient)
    screening, extent = screen(patient), applicability(patient)
    result: dict[str, Any] = {
        "patient": _patient(patient, extent), "screening": screening.as_json(), "options": [], "tailored": None,
        "review": None, "theories": None, "evidence": _evidence(patient), "provenance": provenance(seed, draws),
    }
    if screening.status != "emergency" and extent.status != "outside":
        result |= _forecasts(patient, screening, extent, seed, draws)
    return Consultation(result)


def _forecasts(patient: Patient, screening: Screening, extent: Applicability, seed: int, draws: int
               ) -> dict[str, Any]:
    person = prepare(patient, extent, draws=draws, seed=seed)
    scout = prepare(patient, extent, draws=SCOUT_DRAWS, seed=seed + 1)
    judged = {option.id: option for option in compare(person, screening)}
    review = review_now(person, screening)
    found = Search(scout, screening, given_up(review)).run()
    nothing, acupuncture = judged["nothing"].forecast, judged["acupuncture"]
    assert nothing is not None
    tailored = None
    if found:
        chosen = judge(person, "tailored", found[0].plan)
        judged["tailored"] = chosen
        tailored = _proposal(patient, screening, chosen, found, review)
    shown = acupuncture.plan if acupuncture.forecast is not None or not found else found[0].plan
    parts = [] if acupuncture.forecast is None else decomposition(
        person, nothing, acupuncture.plan, acupuncture.forecast)
    theories = {
        "status": "hypothesis", "calibration": posterior.status(), "method": METHOD,
        **shares_of_theories(scout, shown), "note": table()["theories_note"],
        "decomposition": parts, "needles_note": needles_note(parts),
    }
    return {"options": [described(option, nothing, patient) for option in judged.values()], "tailored": tailored,
            "review": review, "theories": theories, "conditioning": person.conditioning()}


def _proposal(patient: Patient, screening: Screening, chosen: Judged, found: list[Tried],
              review: dict[str, Any] | None) -> dict[str, Any]:
    week, close, best = table()["judged_at_week"], choices()["nearly_as_good_points"]["value"], found[0]
    assert chosen.forecast is not None
    near: list[dict[str, str]] = []
    named = [best]
    for other in found[1:]:
        if best.utility - other.utility <= close and len(near) < 3 and all(_unlike(other, one) for one in named):
            named.append(other)
            visits = other.plan.visits - best.plan.visits
            change = "the same visits" if visits == 0 else f"{abs(visits)} visits {'more' if visits > 0 else 'fewer'}"
            near.append({"plan": "; ".join(sentences(other.plan)),
                         "difference": f"{how_many(other, best)} of 100 better, {change}"})
    idle = dict(table()["reasons"]["nothing"])
    off = 100.0 * float(chosen.forecast.improved(week).mean()) - best.reached["pain"]
    return {
        "plan": steps(chosen.plan) if chosen.plan.courses else [idle["choice"]],
        "label": chosen.label, "reasons": reasons(found, screening) if chosen.plan.courses else [idle],
        "replaces": None if review is None else table()["replaces"], "nearly_as_good": near,
        "review": review_rules(chosen.plan, chosen.forecast) if chosen.plan.courses else [],
        # the search ranks plans by few particles: differences are sharp there, levels are not, so all are moved alike
        "trade_off": trade_off(found, lambda one: one.reached["pain"] + off),
        "goals": _goals(patient, chosen.forecast), "limits": list(limits_of(patient, screening)),
        "searched": len(found),
        "prescription": needling_of(chosen.plan),
        "hazards": [asdict(finding) for finding in hazards(chosen.plan, patient)],
    }


def _unlike(a: Tried, b: Tried) -> bool:
    """Whether two plans differ in what a person would call another plan: needles, exercise, or some visits."""
    return (any(a.choices[part] != b.choices[part] for part in ("mode", "exercise"))
            or abs(a.plan.visits - b.plan.visits) >= VISITS_APART)


def _goals(patient: Patient, forecast: Forecast) -> list[dict[str, Any]]:
    """What the plan was chosen for: the patient's goals with their weights, and how many of 100 reach each."""
    week = table()["judged_at_week"]
    reached = goals_reached(forecast, week) | {"pain": 100.0 * float(forecast.improved(week).mean())}
    if forecast.disability is not None and "function" in reached:
        reached["function"] = 100.0 * float(np.mean(forecast.disability[week] <= 0.7 * forecast.disability[0]))
    rows = []
    for goal, weight in weights(patient).items():
        row, count = choices()["goals"][goal], reached.get(goal)
        missing = row.get("missing", "You gave no score for it, so pain stood for it.") if count is None else None
        rows.append({"goal": goal, "weight": round(weight, 2), "text": row["text"],
                     "of_100": None if count is None else round(count), "note": missing})
    return rows


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
            "caveats": list(table()["caveats"]), "versus_nsaid": versus_nsaid()}


def _guidelines(patient: Patient) -> dict[str, list[dict[str, str]]]:
    """Guideline bodies for and against acupuncture in this phase."""
    weeks = patient.pain.duration_weeks
    phase = "chronic" if weeks is None or weeks >= 12 else "acute or subacute"
    sides: dict[str, list[dict[str, str]]] = {"for": [], "against": [], "mixed": []}
    for row in table()["guidelines"][phase]:
        body = next(entry["body"] for entry in document("guidelines")["entries"] if entry["id"] == row["source"])
        sides[row["side"]].append({"body": body, "statement": row["statement"], "source": row["source"]})
    return sides
