"""The options side by side: chances with and without, harms, and time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..care import Plan, plan_from, sentences
from ..population import posterior
from ..tables import shipped
from .assessment import Patient
from .forecast import CLEARLY_WORSE, EIGHTY, MINIMAL_IMPORTANT_CHANGE, Forecast, Person, variance_between
from .harms import harms, plan_kinds
from .limits import adapt
from .screening import Screening
from .tailoring import active_hours


def table() -> dict[str, Any]:
    """Options and words, `options.yaml`."""
    return shipped(Path(__file__).with_name("options.yaml"))


@dataclass(frozen=True)
class Judged:
    """A plan with its forecast, or why it is not open to the person; `notes` say what was changed to make it so."""

    id: str
    label: str
    plan: Plan
    forecast: Forecast | None
    why_not: str | None
    experience: str
    notes: tuple[str, ...] = ()


def compare(person: Person, screening: Screening) -> list[Judged]:
    """The fixed options, each forecast for the same week with the same futures."""
    judged = []
    for option in table()["options"]:
        if option["id"] == "tailored":
            continue
        plan, notes = plan_from(option["plan"] or "nothing"), tuple[str, ...]()
        if plan.courses:
            plan, notes = adapt(plan, screening, person.patient)
        why_not = None if plan.courses or not option["plan"] else " ".join(notes)
        judged.append(judge(person, option["id"], plan, why_not, notes))
    return judged


def judge(person: Person, id: str, plan: Plan, why_not: str | None = None, notes: tuple[str, ...] = ()) -> Judged:
    """One option with its forecast, unless it is not open to the person."""
    option = next(row for row in table()["options"] if row["id"] == id)
    forecast = None if why_not else person.forecast(plan, table()["horizon_weeks"])
    alone = forecast is not None and "experience_at_home" in option and not plan.visits
    return Judged(id, option["label"], plan if forecast else plan_from(option["plan"] or "nothing"), forecast, why_not,
                  option["experience_at_home" if alone else "experience"], () if why_not else notes)


def described(option: Judged, yardstick: Forecast, patient: Patient) -> dict[str, Any]:
    """One option as the result file has it; the chance without is that of no further treatment."""
    week = table()["judged_at_week"]
    kinds = plan_kinds(option.plan)
    common = {
        "id": option.id, "label": option.label,
        "plan": steps(option.plan),
        "available": option.forecast is not None, "why_not": option.why_not, "notes": list(option.notes),
        "harms": harms(kinds, patient),
        "burden": {"visits": option.plan.visits, "practitioner_hours": round(option.plan.visit_hours, 1),
                   "home_hours": round(active_hours(option.plan), 1),
                   "hours": round(option.plan.visit_hours + active_hours(option.plan), 1)},
        "experience": option.experience,
    }
    if option.forecast is None:
        return common | {"forecast": [], "benefit": None, "uncertainty": None}
    ours, theirs = option.forecast, yardstick
    low, high = _range_of_average(ours, week)
    benefit = {
        "week": week,
        "improved_30pct": {"with": _of_100(ours.improved(week)), "without": _of_100(theirs.improved(week)),
                           "range_average": [low, high]},
        "mic": {"with": _of_100(_fall(ours, week) >= MINIMAL_IMPORTANT_CHANGE["NRS"]),
                "without": _of_100(_fall(theirs, week) >= MINIMAL_IMPORTANT_CHANGE["NRS"])},
        "worse": {"with": _of_100(_fall(ours, week) <= -CLEARLY_WORSE),
                  "without": _of_100(_fall(theirs, week) <= -CLEARLY_WORSE)},
        "pain": {"median": float(np.median(ours.nrs[week])), "q10": float(np.quantile(ours.nrs[week], 0.1)),
                 "q90": float(np.quantile(ours.nrs[week], 0.9))},
        "note": None if option.id == "nothing" or posterior.stamp() else "Not yet calibrated on trials.",
    }
    weeks = range(table()["horizon_weeks"] + 1)
    return common | {"forecast": ours.rows(weeks), "benefit": benefit, "uncertainty": ours.split(week)}


def steps(plan: Plan) -> list[str]:
    """A plan as sentences that stand alone."""
    return [sentence[0].upper() + sentence[1:] for sentence in sentences(plan)]


def _fall(forecast: Forecast, week: int) -> np.ndarray:
    return forecast.baseline - forecast.nrs[week] + 1e-9


def _of_100(flags: np.ndarray) -> int:
    return round(100.0 * float(np.mean(flags)))


def _range_of_average(forecast: Forecast, week: int) -> list[int]:
    """80 % range of the share of people who improve, over what is unsure about averages: the spread between draws of
    the averages, and the error of so many particles."""
    share = forecast.by_particle(forecast.improved(week)).mean(axis=0)
    spread = EIGHTY * np.sqrt(variance_between(share, forecast.average) + share.var() / len(share))
    return [round(100.0 * float(np.clip(share.mean() + side * spread, 0.0, 1.0))) for side in (-1.0, 1.0)]
