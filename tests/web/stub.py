"""Stands in for the engine where a test is not about forecasts: real screening, and a stored consultation's numbers."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deqi import web
from deqi.care import plan_from, sentences
from deqi.consult.intake import check
from deqi.consult.screening import applicability, screen
from deqi.tables import shipped

DATA = Path(__file__).parent.parent / "data"
STORED = json.loads((DATA / "consult_full.json").read_text(encoding="utf-8"))
POPULATION = json.loads((DATA / "simulate.json").read_text(encoding="utf-8"))
EXPLAIN = shipped(Path(web.__file__).with_name("explain.yaml"))
Patient = Mapping[str, Any]


@dataclass
class Done:
    """A consultation that is finished at once."""

    found: dict[str, Any]
    done: bool = True

    def result(self) -> dict[str, Any]:
        """What it found."""
        return self.found


class StubEngine:
    """As `deqi.web.engine.Engine`, with stored numbers."""

    ready = True

    def start(self) -> None:
        """Nothing to start."""

    def close(self) -> None:
        """Nothing to end."""

    def forget(self) -> None:
        """Nothing is kept."""

    def options(self, patient: Patient, plan: Sequence[str] | None = None) -> dict[str, Any]:
        """The stored options."""
        found, numbers = _screened(patient), []
        if found["numbers"]:
            numbers = copy.deepcopy(STORED["options"][:4])
            if plan is not None:
                numbers.append(self.plan_option(patient, plan)["option"])
        return found | {"options": numbers, "reasons": [] if numbers else found["applicability"]["reasons"],
                        "limits": [], "review": [], "conditioning": None}

    def get_ready(self, patient: Patient, plan: Sequence[str]) -> None:
        """Nothing to make."""

    def plan_option(self, patient: Patient, plan: Sequence[str]) -> dict[str, Any]:
        """The stored acupuncture option, or no treatment for no plan, under the name of the plan."""
        nothing, with_needles = copy.deepcopy(STORED["options"][0]), copy.deepcopy(STORED["options"][3])
        care = plan_from(list(plan))
        option = (with_needles if care.courses else nothing) | {"id": "yours", "label": "Your plan", "plan": list(plan)}
        option["burden"] = with_needles["burden"] | {"visits": care.visits}
        if not _screened(patient)["numbers"]:
            return {"option": None, "nothing": None, "review": [], "reasons": ["no forecast is made"]}
        return {"option": option, "nothing": nothing, "reasons": [], "provenance": STORED["provenance"],
                "review": copy.deepcopy(STORED["tailored"]["review"]) if care.courses else []}

    def explain(self, **choices: Any) -> dict[str, Any]:
        """Two made-up curves for each signal; what is switched off stays at 0."""
        rows, minutes = EXPLAIN["series"], [0.0, 30.0, 120.0, 1440.0]
        usual = {"body": "human_clbp", "mode": "manual", "hz": 2.0, "minutes": 30.0, "site": "both", "given": [],
                 "without": []}
        chosen, wave = usual | choices, [0.0, 1.0, 0.5, 0.0]
        series = [row | {"absent": row["theory"] in chosen["without"], "as_usual": wave,
                         "as_chosen": [0.0] * 4 if row["theory"] in chosen["without"] else wave} for row in rows]
        weeks, course = list(range(13)), {"as_usual": 4.0, "as_chosen": 4.0 + 0.1 * len(chosen["without"]),
                                          "no_needling": 5.0}
        return {"choices": chosen, "minutes": minutes, "session_ends": chosen["minutes"], "series": series,
                "weeks": weeks, "course": {key: [6 + (end - 6) * week / 12 for week in weeks]
                                           for key, end in course.items()},
                "accepted": EXPLAIN["choices"], "status": EXPLAIN["status"], "note": EXPLAIN["note"]}

    def consult(self, patient: Patient, seed: int = 1) -> dict[str, Any]:
        """The stored consultation."""
        return copy.deepcopy(STORED) | {"screening": _screened(patient)["screening"]}

    def submit_consult(self, patient: Patient, seed: int = 1) -> Done:
        """The same, done already."""
        return Done(self.consult(patient, seed))

    def forecast(self, patient: Patient, plan: Sequence[str] | str, weeks: Sequence[int] = (0, 6, 12), seed: int = 1,
                 draws: int | None = 256) -> dict[str, Any]:
        """The stored acupuncture option's rows, each week's from the nearest one stored; none where none is made."""
        screened = _screened(patient)
        rows = [row for row in STORED["options"][3]["forecast"] if row["outcome"] == "NRS"]
        found = [copy.deepcopy(min(rows, key=lambda row: abs(row["week"] - week))) | {"week": week} for week in weeks]
        return {"id": None, "plan": sentences(plan_from(plan)), "forecast": found if screened["numbers"] else [],
                "screening": screened["screening"], "provenance": STORED["provenance"],
                "diagnostics": STORED["conditioning"] | {"calibration": STORED["provenance"]["calibration"]}}

    def simulate(self, plan: str | Sequence[str], **how: Any) -> dict[str, Any]:
        """The stored population."""
        plan_from(plan)
        return copy.deepcopy(POPULATION)

    def review(self, patient: Patient) -> dict[str, Any] | None:
        """The stored review where care has begun; nothing else."""
        return copy.deepcopy(STORED["review"]) if check(patient).care_so_far else None


def _screened(patient: Patient) -> dict[str, Any]:
    read = check(patient)
    screening, extent = screen(read), applicability(read)
    return {"screening": screening.as_json(), "numbers": screening.status != "emergency" and extent.status != "outside",
            "applicability": {"status": extent.status, "reasons": list(extent.reasons)}}
