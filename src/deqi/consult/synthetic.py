"""People drawn from the model itself, whose forecasts must be right: intervals that cover what they promise.

They differ from the people of a forecast in nothing but the draw: averages from the posterior, places among others, and
a first score as people with such pain have it. What they report is then predicted from the weeks known so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ..care import plan_from
from ..population.averages import priors
from ..population.particles import draw_particles
from ..population.patients import PHASES, Who, duration_at_enrolment
from ..population.readout import reported_weeks
from ..population.simulate import simulate
from .assessment import parse_patient
from .evaluate import LEVELS, held
from .forecast import prepare
from .history import rest_of, scores_of
from .screening import Applicability

KNOWN_WEEKS = (0, 2, 4, 8)
AHEAD = 4
"""Weeks from the last known score to the one predicted."""
DRAWS = 256
INSIDE = Applicability("inside", (), ())
PLANS = ("nothing", "guideline based care for 12 weeks", "acupuncture 30 min twice a week for 6 weeks")


def synthetic(n: int, seed: int) -> list[dict[str, Any]]:
    """People with their weekly reported scores.

    Arguments:
        n: how many.
        seed: of the random generator.

    Returns:
        `duration_weeks` at the start, `plan` from the start on, and `scores` of weeks 0, 1, ...
    """
    shares = priors()["people"]["phases_if_unknown"]["value"]
    whos = [(Who(phase=phase, baseline_nrs=score, baseline_sd=0.0), share * chance)
            for phase, share in zip(PHASES, shares, strict=True) for score, chance in scores_of(phase) if score >= 3.0]
    particles = draw_particles(whos, n, seed, averages=min(n, 2048))
    people, weeks = particles.people(), max(KNOWN_WEEKS) + AHEAD
    kept: list[dict[str, Any]] = [{} for _ in range(n)]
    for number, plan in enumerate(PLANS):
        course = simulate(plan_from(plan), people, weeks)
        reported = reported_weeks(course.nrs, people, seed + number, course.flare_log_hazard)
        for i in range(number, n, len(PLANS)):
            kept[i] = {"plan": plan, "scores": [float(people.person["nrs"][i]), *reported[:, i].tolist()]}
    durations = np.empty(n)
    for kind in np.unique(particles.kind):
        rows = np.flatnonzero(particles.kind == kind)
        durations[rows] = duration_at_enrolment(particles.whos[kind], particles.take(rows).places)
    for one, duration in zip(kept, durations, strict=True):
        one["duration_weeks"] = float(duration)
    return kept


def coverage(n: int, seed: int, *, known: Sequence[int] = KNOWN_WEEKS) -> list[dict[str, Any]]:
    """How often intervals hold what synthetic people report, by how many weeks of scores are known.

    Arguments:
        n: how many people.
        seed: of every random number; the forecasts' own numbers are others.
        known: weeks of scores known (0: the first alone).

    Returns:
        one row for each of `known`: `weeks_known`, `n`, `coverage` at 50, 80 and 95, mean `sd`, `bias`, share `moved`.
    """
    people = synthetic(n, seed)
    work = [(one, weeks) for weeks in known for one in people]
    with ThreadPoolExecutor(2) as threads:
        made = list(threads.map(lambda w: _one(w[0], w[1], seed + 1_000_003), work))
    rows = []
    for number, weeks in enumerate(known):
        own = np.array(made[number * n:(number + 1) * n])
        rows.append({"weeks_known": weeks, "n": n, "coverage": {
            f"{100 * level:.0f}": float(np.mean(own[:, 2 + k])) for k, level in enumerate(LEVELS)},
            "bias": float(np.mean(own[:, 0])), "sd": float(np.mean(own[:, 1])), "moved": float(np.mean(own[:, 5]))})
    return rows


def _one(one: dict[str, Any], weeks: int, seed: int) -> list[float]:
    scores, plan = one["scores"], one["plan"]
    past = [{"week": k - weeks, "outcome": "NRS", "value": scores[k]} for k in range(weeks)]
    patient = parse_patient({"patient": {
        "age": 70, "medicines": [],
        "pain": {"week_average": scores[weeks], "duration_weeks": one["duration_weeks"] + weeks, "leg_pain": False},
        "scores": past, "care_so_far": [{"plan": plan, "start_week": -weeks}] if weeks and plan != "nothing" else []}})
    person = prepare(patient, INSIDE, draws=DRAWS, seed=seed)
    draws = person.forecast(rest_of(plan_from(plan), weeks), AHEAD).nrs[AHEAD]
    y = scores[weeks + AHEAD]
    kept = [held(draws, y, level) for level in LEVELS]
    return [float(np.mean(draws)) - y, float(np.std(draws)), *kept, float(person.known.degrees > 0)]
