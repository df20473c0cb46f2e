"""The options side by side: chances with and without, what the needles add, and a plan for this person."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ..body.system import THEORIES
from ..care import Exercise, Heat, Medicine, Needling, Plan, UsualCare, plan_from, sentences
from ..population import posterior
from .assessment import Patient
from .forecast import CLEARLY_WORSE, MINIMAL_IMPORTANT_CHANGE, Forecast, Person
from .harms import harms
from .screening import Screening

SHARED_SIZE = 2048
"""Least padded steps of a plan in a consultation, so that few compilations serve all."""


@cache
def table() -> dict[str, Any]:
    """Options, search and words, `options.yaml`."""
    import yaml

    return yaml.load(Path(__file__).with_name("options.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)


@dataclass(frozen=True)
class Judged:
    """A plan with its forecast; `plan` is None where it may not or need not be tried."""

    id: str
    label: str
    plan: Plan
    forecast: Forecast | None
    why_not: str | None
    experience: str


def fit_to(plan: Plan, patient: Patient, screening: Screening) -> tuple[Plan, str | None]:
    """A plan within the person's limits, or why it is not open to them."""
    courses = []
    for course in plan.courses:
        if isinstance(course, Needling):
            if patient.preferences.needles == "refuses":
                return plan, "You said no to needles."
            if "needling" in screening.forbids:
                return plan, "Your answers speak against needles for now."
            if patient.preferences.max_sessions == 0:
                return plan, "You said no to sessions."
            course = _shorter(course, patient.preferences.max_sessions)
            if "deep_needling" in screening.forbids:
                course = replace(course, depth="superficial", de_qi=False)
            if "low_back_points" in screening.forbids:
                course = replace(course, points=("distal",))
        if isinstance(course, Exercise) and "exercise" in screening.forbids:
            return plan, "Your answers speak against exercise for now."
        if isinstance(course, Heat) and "heat" in screening.forbids:
            return plan, "Your answers speak against heat."
        if isinstance(course, Medicine) and course.name == "nsaid" and "nsaid" in screening.forbids:
            return plan, "Your answers speak against this medicine."
        courses.append(course)
    return Plan(tuple(courses)), None


def _shorter(course: Needling, most: int | None) -> Needling:
    schedule = course.schedule
    if most is None or schedule.sessions <= most:
        return course
    return replace(course, schedule=replace(schedule, weeks=most / schedule.times_per_week))


def compare(person: Person, screening: Screening) -> list[Judged]:
    """The fixed options, each forecast for the same week with the same futures."""
    judged = []
    for option in table()["options"]:
        if option["id"] == "tailored":
            continue
        plan, why_not = fit_to(plan_from(option["plan"] or "nothing"), person.patient, screening)
        forecast = None if why_not else _forecast(person, plan)
        judged.append(Judged(option["id"], option["label"], plan, forecast, why_not, option["experience"]))
    return judged


def _forecast(person: Person, plan: Plan, weeks: int | None = None) -> Forecast:
    return person.forecast(plan, weeks or table()["horizon_weeks"], size=SHARED_SIZE)


def tailor(scout: Person, screening: Screening) -> list[tuple[float, Plan, Forecast]]:
    """All mixes that are open to the person, best first: people better of 100, less what visits and hours cost.

    Arguments:
        scout: the person with fewer draws than the comparison, enough to rank plans.
    """
    burden, week = table()["burden"], table()["judged_at_week"]
    hours = scout.patient.preferences.hours_per_week
    def open_plans(mixes: Iterable[list[str]]) -> list[Plan]:
        plans: dict[tuple[str, ...], Plan] = {}
        for mix in mixes:
            plan, why_not = fit_to(plan_from(mix or "nothing"), scout.patient, screening)
            if not why_not and _hours_per_week(plan) <= (168.0 if hours is None else hours):
                plans.setdefault(tuple(sentences(plan)), plan)
        return list(plans.values())

    def judge(plan: Plan) -> tuple[float, Plan, Forecast]:
        forecast = _forecast(scout, plan, week)
        better = 100.0 * float(np.mean(forecast.improved(week)))
        cost = (plan.visits / burden["visits_per_point"]["value"]
                + _active_hours(plan) / burden["home_hours_per_point"]["value"]
                + len(plan.courses) * burden["points_per_item"]["value"])
        return better - cost, plan, forecast

    mixes = [[row["plan"] for row in rows if row["plan"]] for rows in product(*table()["search"].values())]
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        found = sorted(threads.map(judge, open_plans(mixes)), key=lambda item: -item[0])
        if found:
            best = sentences(found[0][1])
            found += threads.map(judge, open_plans([*best, extra["plan"]] for extra in table()["extras"]))
    return sorted(found, key=lambda item: -item[0])


def _active_hours(plan: Plan) -> float:
    """Hours at home that take a person's time; a wrap is worn while doing other things."""
    return sum(c.schedule.hours for c in plan.courses if not c.with_practitioner and not isinstance(c, Heat))


def _hours_per_week(plan: Plan) -> float:
    return sum(c.schedule.minutes / 60.0 * c.schedule.times_per_week for c in plan.courses if not isinstance(c, Heat))


def described(option: Judged, yardstick: Forecast, patient: Patient) -> dict[str, Any]:
    """One option as the result file has it; the chance without is that of no further treatment."""
    week = table()["judged_at_week"]
    kinds = plan_kinds(option.plan)
    common = {
        "id": option.id, "label": option.label,
        "plan": [sentence[0].upper() + sentence[1:] for sentence in sentences(option.plan)],
        "available": option.forecast is not None, "why_not": option.why_not,
        "harms": harms(kinds, patient),
        "burden": {"visits": option.plan.visits, "practitioner_hours": round(option.plan.visit_hours, 1),
                   "home_hours": round(_active_hours(option.plan), 1),
                   "hours": round(option.plan.visit_hours + _active_hours(option.plan), 1)},
        "experience": option.experience,
    }
    if option.forecast is None:
        return common | {"forecast": [], "benefit": None}
    ours, theirs = option.forecast, yardstick
    low, high = _range_of_average(ours.improved(week), ours.average)
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
    return common | {"forecast": ours.rows(weeks), "benefit": benefit}


def plan_kinds(plan: Plan) -> list[str]:
    """The kinds of care in a plan, as the table of harms names them."""
    kinds = []
    for course in plan.courses:
        if isinstance(course, Needling):
            kinds += ["needling"] + (["electro"] if course.mode == "electro" else [])
        elif isinstance(course, Medicine):
            kinds.append("nsaid" if course.name == "nsaid" else "medicine")
        elif isinstance(course, UsualCare):
            kinds.append("usual_care")
        else:
            kinds.append(course.care)
    return kinds or ["nothing"]


def _fall(forecast: Forecast, week: int) -> np.ndarray:
    return forecast.baseline - forecast.nrs[week] + 1e-9


def _of_100(flags: np.ndarray) -> int:
    return round(100.0 * float(np.mean(flags)))


def _range_of_average(flags: np.ndarray, average: np.ndarray) -> list[int]:
    """80 % range of the share of people, over what is unsure about averages: the spread between draws of the averages
    beyond what their number of people explains, and the error of so many futures."""
    groups = np.unique(average)
    shares = np.array([np.mean(flags[average == g]) for g in groups])
    within = np.mean([np.var(flags[average == g]) / max(np.sum(average == g) - 1, 1) for g in groups])
    middle = float(np.mean(flags))
    between = max(float(np.var(shares, ddof=1)) - float(within), 0.0)
    spread = 1.2816 * np.sqrt(between + middle * (1.0 - middle) / len(flags))
    return [round(100.0 * float(np.clip(middle + side * spread, 0.0, 1.0))) for side in (-1.0, 1.0)]


def _by_average(values: np.ndarray, average: np.ndarray) -> dict[str, float]:
    """Median and 80 % range over the draws of the averages."""
    means = np.array([np.mean(values[average == g]) for g in np.unique(average)])
    low, median, high = np.quantile(means, (0.1, 0.5, 0.9))
    return {"low": float(low), "median": float(median), "high": float(high)}


def what_needles_add(person: Person, nothing: Forecast, acupuncture: Judged) -> list[dict[str, Any]]:
    """Points of NRS at the week judged, split into course, regression to the mean, context, and needles beyond sham."""
    if acupuncture.forecast is None:
        return []
    blunt = Plan(tuple(_sham_of(c) if isinstance(c, Needling) else c for c in acupuncture.plan.courses))
    sham = _forecast(person, blunt)
    week = table()["judged_at_week"] - 1
    parts = {
        "natural_course": nothing.usual_nrs - nothing.latent[week],
        "regression_to_the_mean": nothing.baseline - nothing.usual_nrs,
        "context": nothing.latent[week] - sham.latent[week],
        "needles_beyond_sham": sham.latent[week] - acupuncture.forecast.latent[week],
    }
    return [{"part": part, "label": table()["parts"][part]} | _by_average(values, nothing.average)
            for part, values in parts.items()]


def _sham_of(course: Needling) -> Needling:
    """The same visits with superficial needles off the points."""
    return replace(course, mode="sham_penetrating", depth="superficial", de_qi=False, frequency_hz=(), mixed=None,
                   milliamps=None, manipulation_every_minutes=None, points=("local",))


def shares_of_theories(people: Mapping[str, Person], plan: Plan) -> list[dict[str, Any]]:
    """Share of the model's own effect that goes when a theory is left out; hypotheses, with ranges.

    Arguments:
        people: the person with the whole model under `""`, and without each theory under its name.
        plan: the plan whose effect is shared out.
    """
    week = table()["judged_at_week"] - 1
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        whole, *removed = threads.map(lambda name: _forecast(people[name], plan, week + 1), ("", *THEORIES))
    lost = {name: one.latent[week] - whole.latent[week] for name, one in zip(THEORIES, removed, strict=True)}
    groups = np.unique(whole.average)
    weight = {name: np.array([max(float(np.mean(values[whole.average == g])), 0.0) for g in groups])
              for name, values in lost.items()}
    total = np.maximum(sum(weight.values()), 1e-9)
    found = []
    for name in THEORIES:
        low, median, high = np.quantile(weight[name] / total, (0.1, 0.5, 0.9))
        found.append({"theory": name, "sentence": table()["theories"][name],
                      "share": {"low": float(low), "median": float(median), "high": float(high)}})
    return found


def review_rules(forecast: Forecast, weeks: tuple[int, ...] = (2, 6)) -> list[dict[str, Any]]:
    """What a score at a review means, read off the futures: how often each score led to 30 % less pain at week 12."""
    goal = forecast.improved(table()["judged_at_week"])
    rules = []
    for week in weeks:
        scores = np.arange(0, 11)
        near = [np.abs(forecast.nrs[week] - s) <= 0.75 for s in scores]
        chance = np.array([np.mean(goal[n]) if np.sum(n) >= 20 else np.nan for n in near])
        known = ~np.isnan(chance)
        if np.sum(known) < 2:
            continue
        steady = np.minimum.accumulate(np.where(known, chance, np.inf))
        good = [int(s) for s in scores[known] if steady[s] >= 0.5]
        poor = [int(s) for s in scores[known] if steady[s] < 0.25]
        keep = max(good) if good else int(np.floor(0.7 * forecast.baseline))
        keep = min(keep, int(np.floor(forecast.baseline)), 8)
        stop = min(max(min(poor) if poor else int(np.ceil(forecast.baseline)) + 1, keep + 2), 10)
        between = f"{keep + 1}" if stop - keep == 2 else f"{keep + 1} to {stop - 1}"
        rules.append({
            "week": week, "carry_on": f"your week's average is {keep} or lower",
            "change": f"it is {between}: talk about changing the plan",
            "stop": f"it is {stop} or higher: more of the same is unlikely to help" if week > 2
            else f"it is {stop} or higher, or the treatment troubles you",
        })
    return rules
