"""Random assessments, plausible and hostile, for tests of what is read from people and machines."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from deqi.consult.assessment import AVERSIONS, WORKS
from deqi.consult.instruments import known
from deqi.consult.rules import question_ids, table
from deqi.consult.symptoms import COURSES

EMERGENCIES = tuple(row["id"] for row in table("red_flags")["questions"] if row["action"] == "emergency")
WISHES = ("willing", "unsure", "refuses")
PLANS = ("walking 30 min daily for 4 weeks", "usual care", "acupuncture 30 min twice a week for 6 weeks")
HOSTILE: tuple[Any, ...] = (
    float("nan"), float("inf"), -float("inf"), -0.0, 1e308, 10**400, -1, 11, 25, 101, 6300.5, True, False, None,
    "", " ", "6", "60 mm", "60 mm 6 cm", "-6 cm", "1e3 mm", "٦ mm", "unknown", "Unknown", "null", "yes",
    "2026-02-30", "2026-11-26T00:00", "9999-12-31", "0000-01-01",
    "\x00", "\ud800", "x" * 5000, "'; drop table", "[red]{0}%s", b"bytes", object(),
    [], [[]], (1, 2), {}, {"": None}, {1: 2}, {"week": 0}, {"a": {"b": {}}}, [None], [{}],
    [{"week": -1, "date": "2026-11-26", "outcome": "VAS", "value": "7"}],
)


def random_assessment(rng: np.random.Generator, hostile: bool) -> dict[str, Any]:
    """A patient file's mapping of which each part is there by chance.

    Arguments:
        rng: where chance comes from.
        hostile: whether a few values or keys are replaced by what no form should send; without it, every one can be
            read.
    """
    patient = {key: value for key, value in _plausible(rng).items() if rng.random() < 0.7 or key == "pain"}
    if patient.get("sex") == "male" and patient.get("conditions"):
        patient["conditions"].pop("pregnancy", None)
    for _ in range(int(rng.integers(1, 5)) if hostile else 0):
        _corrupt(rng, patient)
    return {"patient": patient}


def _plausible(rng: np.random.Generator) -> dict[str, Any]:
    age, average = round(float(rng.uniform(18, 95)), 1), round(float(rng.uniform(0, 10)), 1)
    leg = _answer(rng)
    return {
        "id": "p", "date": "2026-11-26", "age": age, "sex": _one(rng, "female", "male", "other", "unknown"),
        "pain": _some(rng, worst=round(float(rng.uniform(average, 10)), 2), course=_one(rng, *COURSES),
                      leg_pain=leg, started_at_age=round(float(rng.uniform(10, age)), 1),
                      **_one(rng, {"duration_weeks": float(rng.integers(0, 800))},
                             {"duration_months": int(rng.integers(0, 200)), "duration_weeks": None},
                             {"duration_years": float(rng.integers(0, 17))}),
                      **({"leg_pain_average": float(rng.integers(0, 11))} if leg is True else {})
                      ) | {"week_average": _one(rng, average, f"{average * 10:.0f} mm" if average < 1 else average)},
        "disability": _one(rng, {"instrument": "RMDQ", "score": int(rng.integers(0, 25))},
                           {"instrument": "ODI", "score": int(rng.integers(0, 101))}, {"instrument": "none"}),
        "scores": [{"week": -float(rng.integers(1, 200)), "outcome": outcome, "value": float(rng.integers(0, 11))}
                   for outcome in rng.choice(["NRS", "RMDQ", "ODI", "VAS"], rng.integers(0, 4)).tolist()],
        "care_so_far": [{"plan": _one(rng, *PLANS), "start_week": -float(rng.integers(0, 60))}
                        for _ in range(rng.integers(0, 2))],
        "red_flags": _answers(rng, [id for id in question_ids("red_flags") if id not in EMERGENCIES]),
        "conditions": _answers(rng, question_ids("conditions")),
        "medicines": rng.choice(question_ids("medicines"), rng.integers(0, 4)).tolist(),
        "instruments": {id: {"total": 0}
                        for id, each in known().items() if each.total == "given" and rng.random() < 0.5},
        "expectation": float(rng.integers(0, 11)), "function": int(rng.integers(0, 11)), "sleep": 3, "mood": "unknown",
        "work": _one(rng, *WORKS, "unknown"), "activity": float(rng.uniform(0, 40)),
        "goals": _some(rng, pain=9, function=10, fewer_flares=4, fewer_medicines=0, words="to lift the baby"),
        "preferences": _some(rng, max_sessions=12, needles=_one(rng, *WISHES), electro=_one(rng, *WISHES),
                             exercise=_one(rng, *WISHES), hours_per_week=3, visits_per_week=2, max_weeks=12,
                             avoid=list(AVERSIONS[:int(rng.integers(0, 3))]), coverage=_one(rng, "none", "medicare")),
    }


def _corrupt(rng: np.random.Generator, node: Any) -> None:
    """Replace, drop, rename or add something at a random place below a mapping or list."""
    places = list(node) if isinstance(node, dict) else list(range(len(node)))
    if not places:
        return
    place = places[int(rng.integers(len(places)))]
    if isinstance(node[place], dict | list) and rng.random() < 0.75:
        _corrupt(rng, node[place])
        return
    foreign = copy.copy(HOSTILE[int(rng.integers(len(HOSTILE)))])
    if isinstance(node, dict) and rng.random() < 0.1:
        node[foreign if foreign.__hash__ else "plan"] = node.pop(place)
    else:
        node[place] = foreign


def _answers(rng: np.random.Generator, ids: Any) -> dict[str, Any]:
    return {id: _answer(rng) for id in ids if rng.random() < 0.5}


def _answer(rng: np.random.Generator) -> Any:
    return _one(rng, False, False, False, True, "unknown", None)


def _some(rng: np.random.Generator, **values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if rng.random() < 0.7}


def _one(rng: np.random.Generator, *choices: Any) -> Any:
    return choices[int(rng.integers(len(choices)))]
