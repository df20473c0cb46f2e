"""When to look again, what a score then means, and at a review what one's own scores say: go on, change or stop."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np

from ..care import Needling, Plan, plan_from, sentences
from .forecast import Forecast, Person, much_less
from .history import rest_of, whole_week
from .limits import permits
from .options import table
from .screening import Screening

FIRST_WEEK, LATER_WEEK, SESSION = 2, 6, 4
"""Reviews: the second week, which says more than everything known before; the fourth session; the sixth week."""
LIKELY, UNLIKELY = 0.5, 0.25
"""Chances of the goal from which on to carry on, and below which to stop; assumed."""
WORTH_OF_100 = 5
"""People of 100 that going on must add to be worth it; assumed."""


def review_weeks(plan: Plan) -> list[tuple[int, int | None]]:
    """Weeks of review, each with the number of the session that it follows, if one does."""
    weeks: dict[int, int | None] = {FIRST_WEEK: None, LATER_WEEK: None}
    needling = next((c for c in plan.courses if isinstance(c, Needling)), None)
    if needling is not None and needling.schedule.sessions >= SESSION:
        weeks[max(ceil(SESSION / needling.schedule.times_per_week), 1)] = SESSION
    return sorted(weeks.items())


def review_rules(plan: Plan, forecast: Forecast) -> list[dict[str, Any]]:
    """What a score at a review means, read off the futures: how often each led to 30 % less pain at the week judged.

    From the sixth week on, no better than today means stop, whatever the futures say (`cms_ncd_30_3_3`).

    Arguments:
        plan: the proposed plan.
        forecast: the person's futures under it.
    """
    goal = forecast.improved(table()["judged_at_week"])
    rules = []
    for week, session in review_weeks(plan):
        scores = np.arange(0, 11)
        near = [np.abs(forecast.nrs[week] - s) <= 0.75 for s in scores]
        chance = np.array([np.mean(goal[n]) if np.sum(n) >= 20 else np.nan for n in near])
        known = ~np.isnan(chance)
        if np.sum(known) < 2:
            continue
        steady = np.minimum.accumulate(np.where(known, chance, np.inf))
        good = [int(s) for s in scores[known] if steady[s] >= LIKELY]
        poor = [int(s) for s in scores[known] if steady[s] < UNLIKELY]
        keep = max(good) if good else int(np.floor(0.7 * forecast.baseline))
        early = week < LATER_WEEK
        no_better = int(np.ceil(forecast.baseline)) + early
        keep = max(min(keep, no_better - 1, 8), 0)
        stop = min(max(min([*poor, no_better]), keep + 1), 10)
        between = {1: "you are unsure", 2: f"it is {keep + 1}"}.get(stop - keep, f"it is {keep + 1} to {stop - 1}")
        rules.append({
            "week": week, "session": session, "carry_on_at": keep, "stop_at": stop,
            "carry_on": f"your week's average is {keep} or lower",
            "change": f"{between}: talk about changing the plan",
            "stop": f"it is {stop} or higher, or the treatment troubles you" if early
            else f"it is {stop} or higher: more of the same is unlikely to help",
        })
    return rules


def review_now(person: Person, screening: Screening) -> dict[str, Any] | None:
    """What the scores under the care received say of going on with it; None where no care runs.

    The goal is 30 % less pain than when that care began, twelve weeks after its start (or four weeks from now, if that
    is later). The chance of it is forecast with what is left of the care and without. What screening or the person's
    limits do not allow stops, and so does what has brought nothing by the sixth week.

    Arguments:
        person: with the care received and the scores since.
        screening: of today.
    """
    given = [c for c in person.patient.care_so_far if c.plan.courses]
    if not given:
        return None
    latest = max(given, key=lambda c: c.start_week)
    ago = -whole_week(latest.start_week)
    left, start, now = rest_of(latest.plan, ago), _score_at(person, ago), person.patient.pain.week_average
    if ago < 1 or start is None or not left.courses:
        return None
    week = max(table()["judged_at_week"] - ago, 4)
    limit = much_less(start)
    on, off = (float(np.mean(person.forecast(plan, week).nrs[week] <= limit)) for plan in (left, Plan()))
    adds = round(100.0 * on) - round(100.0 * off)
    not_allowed = permits(left, screening, person.patient)
    no_better = ago >= LATER_WEEK and now >= start
    if not_allowed or no_better or (on < UNLIKELY and adds < WORTH_OF_100):
        verdict = "stop"
    else:
        verdict = "carry_on" if (on >= LIKELY and adds >= 0) or adds >= 2 * WORTH_OF_100 else "change"
    return {"plan": sentences(left), "started_weeks_ago": ago, "score_then": start, "score_now": now, "week": week,
            "goal": f"{limit:.1f} or less".replace(".0 ", " "), "verdict": verdict, "why": list(not_allowed),
            "of_100": {"going_on": round(100.0 * on), "stopping": round(100.0 * off)}}


def given_up(review: dict[str, Any] | None) -> frozenset[str]:
    """The kinds of care that a review stopped because they brought nothing: no plan proposes them again."""
    if review is None or review["verdict"] != "stop" or review["why"]:
        return frozenset()
    return frozenset(c.care for c in plan_from(review["plan"]).courses)


def _score_at(person: Person, ago: int) -> float | None:
    """The score when care began: of that week, or the nearest of the two before it."""
    week, past = person.past.weeks - ago, person.past
    known = {0: past.anchor} | {s.week: s.value for s in past.scores if not s.disability}
    return next((known[w] for w in (week, week - 1, week - 2) if known.get(w) is not None), None)
