"""A plan for this person: a search over what a plan may be made of, within their limits, for what matters to them.

A plan is one choice for each part (needles, minutes, sessions, spacing, points, companions). The coarse mixes are tried
first, then one part at a time is exchanged for the better until nothing gains. All plans meet the same particles and
the same days, so that their differences are sharp with few of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ..care import Heat, Needling, Plan, plan_from, sentences
from ..tables import shipped
from .assessment import Patient
from .forecast import Forecast, Person
from .limits import permits
from .screening import Screening

PASSES = 3
SOFTNESS_NRS = 0.35
"""Width of the threshold in the search, so that few particles rank plans smoothly; reported figures count people."""
FITTED = ("points", "sessions", "spacing")
"""Parts that give way where needles as usual are not allowed."""
WISHES = {"needles": "needling", "exercise": "exercise", "heat": "heat"}

Choices = dict[str, str]


def table() -> dict[str, Any]:
    """Parts, choices, goals and burdens, `tailoring.yaml`."""
    return shipped(Path(__file__).with_name("tailoring.yaml"))


@dataclass(frozen=True)
class Tried:
    """A plan that the search looked at.

    Arguments:
        choices: part to choice.
        plan: the same as care.
        forecast: by the search's particles.
        reached: people of 100 who reach each goal (flares: of 100 that are prevented).
        burden: points of 100.
        utility: what it is worth, points of 100.
        handicap: points that choices with weaker evidence must bring; only for choosing.
    """

    choices: Choices
    plan: Plan
    forecast: Forecast
    reached: Mapping[str, float]
    burden: float
    utility: float
    handicap: float


@dataclass
class Search:
    """The search for one person.

    Arguments:
        person: with the particles that plans are tried on.
        screening: what no plan may contain.
        given_up: kinds of care that have brought this person nothing.
        tried: by the plan's sentences, in the order of trying; None where a plan is not allowed.
    """

    person: Person
    screening: Screening
    given_up: frozenset[str] = frozenset()
    tried: dict[tuple[str, ...], Tried | None] = field(default_factory=dict)

    def run(self) -> list[Tried]:
        """All plans tried, the proposed one first, then by worth."""
        parts, start = table()["parts"], first_choices()
        coarse = [[(name, choice) for choice, row in parts[name]["choices"].items() if row.get("coarse")]
                  for name in table()["coarse"]]
        best = self._best(start | dict(mix) for mix in product(*coarse))
        for _ in range(PASSES):
            before = best
            for name, part in parts.items():
                if best is None or ("needs" in part and best.choices[part["needs"]] == "none"):
                    continue
                better = self._best(best.choices | {name: choice} for choice in part["choices"])
                best = better if better is not None else best
            if best is before:
                break
        if best is None:
            return []
        others = [one for one in self.tried.values() if one is not None and one is not best]
        return [best, *sorted(others, key=lambda one: -one.utility)]

    def _best(self, many: Iterable[Choices]) -> Tried | None:
        wanted = [(choices, plan_of(choices)) for choices in map(self._open, many)]
        fresh: dict[tuple[str, ...], tuple[Choices, Plan]] = {}
        for choices, plan in wanted:
            key = tuple(sentences(plan))
            if key in self.tried or key in fresh:
                continue
            if self._refused(plan):
                self.tried[key] = None
            else:
                fresh[key] = (choices, plan)
        with ThreadPoolExecutor(2) as threads:
            self.tried |= zip(fresh, threads.map(lambda one: judge(self.person, *one), fresh.values()), strict=True)
        found = [one for _, plan in wanted if (one := self.tried.get(tuple(sentences(plan)))) is not None]
        return max(found, key=lambda one: one.utility - one.handicap, default=None)


    def _open(self, choices: Choices) -> Choices:
        """The choices if they are allowed; else with the first points, number and spacing of needles that are."""
        if choices["mode"] == "none" or not self._refused(plan_of(choices)):
            return choices
        parts = {name: table()["parts"][name]["choices"] for name in FITTED}
        others = (choices | dict(zip(FITTED, mix, strict=True)) for mix in product(*(parts[name] for name in FITTED)))
        return next((other for other in others if not self._refused(plan_of(other))), choices)

    def _refused(self, plan: Plan) -> bool:
        return bool(self.given_up & {c.care for c in plan.courses}
                    or permits(plan, self.screening, self.person.patient))


def first_choices() -> Choices:
    """The usual choice for each part."""
    return {name: next(choice for choice, row in part["choices"].items() if row.get("first"))
            for name, part in table()["parts"].items()}


def plan_of(choices: Choices) -> Plan:
    """The care that choices mean."""
    return _plan(tuple(sorted(choices.items())))


@lru_cache(maxsize=4096)
def _plan(chosen: tuple[tuple[str, str], ...]) -> Plan:
    choices, parts, said = dict(chosen), table()["parts"], []
    if choices["mode"] != "none":
        sessions, per_week = int(choices["sessions"]), int(choices["spacing"])
        words, where = (parts[name]["choices"][choices[name]]["words"] for name in ("mode", "points"))
        said.append(f"{words} {choices['minutes']} min {sessions} sessions over {sessions / per_week:g} weeks {where}")
    for name in ("exercise", "heat", "stretching", "lifestyle"):
        words = parts[name]["choices"][choices[name]]["words"]
        said += [words] if words else []
    return plan_from(said or "nothing")


def judge(person: Person, choices: Choices, plan: Plan) -> Tried:
    """What a plan is worth to a person."""
    week = table()["judged_at_week"]
    forecast = person.forecast(plan, week)
    reached = goals_reached(forecast, week)
    cost = burden(plan, person.patient)
    return Tried(choices, plan, forecast, reached, cost, benefit(reached, person.patient) - cost, _handicap(choices))


def _handicap(choices: Choices) -> float:
    """What the chosen parts must bring because other ones are better supported."""
    total = 0.0
    for name, part in table()["parts"].items():
        row = part["choices"][choices[name]]
        idle = "needs" in part and choices[part["needs"]] == "none"
        if not row.get("first") and not idle:
            total += table()["margins"][row["strength"]]["value"]
    return total


def goals_reached(forecast: Forecast, week: int) -> dict[str, float]:
    """People of 100 who reach each goal at a week; flares prevented of 100. A goal nothing was told of is absent."""
    below = _softly_below(forecast.nrs[week], 0.7 * forecast.baseline, SOFTNESS_NRS)
    reached = {"pain": 100.0 * below if forecast.baseline else 0.0}
    if forecast.disability is not None and forecast.disability[0, 0] > 0.0:
        today = float(forecast.disability[0, 0])
        reached["function"] = 100.0 * _softly_below(forecast.disability[week], 0.7 * today, 10.0 * SOFTNESS_NRS)
    reached["fewer_flares"] = 100.0 * (1.0 - float(np.mean(np.exp(forecast.flare_log_hazard[:week]))))
    return reached


def _softly_below(values: np.ndarray, limit: float, width: float) -> float:
    return float(np.mean(1.0 / (1.0 + np.exp(np.clip((values - limit) / width, -50.0, 50.0)))))


def weights(patient: Patient) -> dict[str, float]:
    """How much each goal counts, summing to 1: as the patient said, else pain alone."""
    given = {} if patient.goals is None else {
        name: value for name in table()["goals"] if (value := getattr(patient.goals, name))}
    total = sum(given.values())
    return {name: value / total for name, value in given.items()} if total else {"pain": 1.0}


def benefit(reached: Mapping[str, float], patient: Patient) -> float:
    """Goals reached, weighted. Pain stands for a goal whose score was not given; a goal that deqi has no number for
    leaves its weight to the others."""
    wanted = weights(patient)
    counted = {name: weight for name, weight in wanted.items() if name in reached}
    unscored = sum(weight for name, weight in wanted.items()
                   if name not in reached and "missing" not in table()["goals"][name])
    counted["pain"] = counted.get("pain", 0.0) + (unscored if counted or unscored else 1.0)
    return sum(weight * reached[name] for name, weight in counted.items()) / sum(counted.values())


def burden(plan: Plan, patient: Patient) -> float:
    """What a plan costs a person, points of 100."""
    costs, wishes = table()["burden"], patient.preferences
    avoided = [table()["aversions"][name] for name in wishes.avoid or ()]
    kinds = {course.care for course in plan.courses}
    visits = max([1.0, *(row["visits_factor"] for row in avoided if "visits_factor" in row)])
    total = (visits * plan.visits / costs["visits_per_point"]["value"]
             + active_hours(plan) / costs["home_hours_per_point"]["value"]
             + len(plan.courses) * costs["points_per_item"]["value"])
    total += sum(points for row in avoided for kind, points in row.get("points", {}).items() if kind in kinds)
    unsure = [kind for wish, kind in WISHES.items() if getattr(wishes, wish) == "unsure" and kind in kinds]
    if wishes.electro == "unsure" and any(isinstance(c, Needling) and c.mode == "electro" for c in plan.courses):
        unsure.append("electro")
    return total + len(unsure) * float(table()["unsure"]["points"]["value"])


def active_hours(plan: Plan) -> float:
    """Hours at home that take a person's time; a wrap is worn while doing other things."""
    return sum(c.schedule.hours for c in plan.courses if not c.with_practitioner and not isinstance(c, Heat))


def reasons(found: list[Tried], screening: Screening) -> list[dict[str, str]]:
    """Why each part of the proposed plan is as it is, and what the best other choice would have brought.

    Arguments:
        found: what the search returned.
        screening: of the person.
    """
    best, rows = found[0], []
    for name, part in table()["parts"].items():
        if "needs" in part and best.choices[part["needs"]] == "none":
            continue
        choice = part["choices"][best.choices[name]]
        if choice.get("words", "") is None and name not in ("mode", "exercise"):
            continue
        said = _said(name, best.choices[name], choice)
        rows.append({"choice": f"{part['label']}: {said}", "reason": choice["reason"],
                     "strength": choice["strength"], "source": choice["source"], "instead": _instead(name, found)})
    if any(isinstance(c, Needling) and c.depth == "superficial" for c in best.plan.courses) and (
            "deep_needling" in screening.forbids):
        row = table()["shallow"]
        rows.append({"choice": f"{row['label']}: shallow", "reason": row["reason"], "strength": row["strength"],
                     "source": row["source"], "instead": ""})
    return rows


def _said(name: str, key: str, choice: Mapping[str, Any]) -> str:
    words = choice.get("words", key)
    return "none" if words is None else "near and further away" if words == "" else str(words)


def _instead(name: str, found: list[Tried]) -> str:
    """What the best other choice of one part would change, in words."""
    best = found[0]
    others = [one for one in found[1:] if one.choices[name] != best.choices[name]
              and all(one.choices[k] == v for k, v in best.choices.items() if k != name)]
    if not others:
        return "Nothing else was open."
    other = max(others, key=lambda one: one.utility)
    row = table()["parts"][name]["choices"][other.choices[name]]
    told = f"With {_said(name, other.choices[name], row)} instead: {how_many(other, best)} of 100 with 30 % less pain."
    if other.utility > best.utility:
        told += " By the model it would be worth a little more, but it is less well supported."
    return told


def how_many(other: Tried, best: Tried) -> str:
    """How many more people of 100 have 30 % less pain under another plan, in words."""
    gap = round(other.reached["pain"] - best.reached["pain"])
    return "about as many" if gap == 0 else f"about {abs(gap)} {'more' if gap > 0 else 'fewer'}"


def trade_off(found: list[Tried], level: Callable[[Tried], float]) -> list[dict[str, Any]]:
    """The plans that no other beats on both benefit and burden (Pareto), by visits; the proposed one among them.

    Arguments:
        found: what the search returned.
        level: people of 100 with 30 % less pain under a plan.
    """
    costs = [(one.plan.visits, active_hours(one.plan), -one.reached["pain"]) for one in found]

    def beaten(cost: tuple[float, ...]) -> bool:
        return any(other != cost and all(o <= c for o, c in zip(other, cost, strict=True)) for other in costs)

    best, by_visits = found[0], dict[float, Tried]()
    for cost, one in sorted(zip(costs, found, strict=True), key=lambda pair: pair[0]):
        if one is not best and beaten(cost):
            continue
        other = by_visits.get(one.plan.visits)
        if other is None or one is best or (other is not best and one.utility > other.utility):
            by_visits[one.plan.visits] = one
    return [{"label": "; ".join(sentences(one.plan)), "visits": one.plan.visits, "hours": round(
        one.plan.visit_hours + active_hours(one.plan), 1), "improved_30pct": round(level(one)),
        "utility": round(one.utility, 1), "chosen": one is best} for _, one in sorted(by_visits.items())]
