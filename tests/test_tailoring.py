"""The proposed plan: allowed, for what matters to this person, and better than a fixed or a random one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from deqi.care import Needling, plan_from, sentences
from deqi.consult import tailoring
from deqi.consult.assessment import Patient, parse_patient
from deqi.consult.at_work import shapley, shares_of_theories
from deqi.consult.contents import contents
from deqi.consult.forecast import Person, prepare
from deqi.consult.limits import adapt, permits
from deqi.consult.review import given_up, review_now, review_weeks
from deqi.consult.screening import applicability, screen
from deqi.consult.tailoring import (
    Search,
    Tried,
    burden,
    first_choices,
    judge,
    plan_of,
    reasons,
    table,
    trade_off,
    weights,
)
from test_limits import RULES


def patient(**more: Any) -> Patient:
    pain = {"week_average": 6, "duration_weeks": 100, "leg_pain": False} | more.pop("pain", {})
    return parse_patient({"patient": {"age": 50, "medicines": [], "pain": pain,
                                      "disability": {"instrument": "RMDQ", "score": 11}} | more})


def ready(one: Patient, draws: int = 64, seed: int = 3) -> Person:
    return prepare(one, applicability(one), draws=draws, seed=seed)


def search(one: Patient, draws: int = 64, seed: int = 3) -> list[Tried]:
    return Search(ready(one, draws, seed), screen(one)).run()


@pytest.fixture(scope="module")
def found() -> list[Tried]:
    return search(patient(), draws=128)


def test_every_choice_makes_a_plan_and_has_a_reason() -> None:
    for name, part in table()["parts"].items():
        assert sum(bool(row.get("first")) for row in part["choices"].values()) == 1, name
        for choice, row in part["choices"].items():
            assert row["strength"] in ("strong", "some", "weak", "assumed") and row["reason"] and row["source"]
            plan = plan_of(first_choices() | {name: choice})
            assert plan_from(sentences(plan)) == plan


def test_the_proposal_beats_what_it_exchanges(found: list[Tried]) -> None:
    best = found[0]
    assert all(best.utility - best.handicap >= one.utility - one.handicap for one in found
               if sum(one.choices[k] != v for k, v in best.choices.items()) == 1)
    parts = {row["choice"].split(":")[0] for row in reasons(found, screen(patient()))}
    assert {"Needles", "Number of sessions", "Sessions a week", "Exercise"} <= parts


def test_a_choice_with_weaker_evidence_brings_more(found: list[Tried]) -> None:
    best, compared = found[0], 0
    for name, part in table()["parts"].items():
        row = part["choices"][best.choices[name]]
        usual = best.choices | {name: first_choices()[name]}
        other = next((one for one in found if one.choices == usual), None)
        if other is not None and not row.get("first"):
            assert best.utility - other.utility >= table()["margins"][row["strength"]]["value"]
            compared += 1
    assert compared


def test_no_plan_on_the_curve_is_beaten(found: list[Tried]) -> None:
    points = trade_off(found, lambda one: one.reached["pain"])
    assert sum(point["chosen"] for point in points) == 1
    assert [p["visits"] for p in points] == sorted({p["visits"] for p in points})


@pytest.mark.parametrize("more, kept", [
    ({"preferences": {"needles": "refuses"}}, lambda plan: not any(isinstance(c, Needling) for c in plan.courses)),
    ({"preferences": {"max_sessions": 4}}, lambda plan: plan.visits <= 4),
    ({"preferences": {"hours_per_week": 1}}, lambda plan: True),
    ({"medicines": ["warfarin"]},
     lambda plan: all(c.depth != "deep" for c in plan.courses if isinstance(c, Needling))),
    ({"conditions": {"pacemaker": True}},
     lambda plan: all(c.mode != "electro" for c in plan.courses if isinstance(c, Needling))),
    ({"medicines": ["regular_opioid"]},
     lambda plan: all(min(c.frequency_hz) > 10 for c in plan.courses if isinstance(c, Needling) and c.frequency_hz)),
])
def test_no_plan_looked_at_is_forbidden(more: dict[str, Any], kept: Any) -> None:
    one = patient(**more)
    screening = screen(one)
    for tried in search(one):
        assert permits(tried.plan, screening, one) == ()
        assert kept(tried.plan), sentences(tried.plan)


@pytest.mark.parametrize(("one", "banned"), [rule[1:] for rule in RULES], ids=[rule[0] for rule in RULES])
def test_whatever_a_rule_forbids_the_search_never_proposes(
        one: Patient, banned: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every rule that forbids something, with worths drawn by lot, so that any plan may come first."""
    rng = np.random.default_rng(2)

    def by_lot(person: Any, choices: Any, plan: Any) -> Tried:
        return Tried(choices, plan, None, {"pain": 50.0}, 0.0, float(rng.uniform(0, 100)), 0.0)

    monkeypatch.setattr(tailoring, "judge", by_lot)
    found = Search(SimpleNamespace(patient=one), screen(one)).run()  # nothing else is read
    for tried in found:
        assert permits(tried.plan, screen(one), one) == ()
        assert not set(banned) & set().union(*(contents(course) for course in tried.plan.courses))


def test_goals_and_aversions_change_what_a_plan_is_worth() -> None:
    plan = plan_of(first_choices())
    assert weights(patient()) == {"pain": 1.0}
    assert weights(patient(goals={"pain": 2, "function": 6})) == {"pain": 0.25, "function": 0.75}
    assert burden(plan, patient(preferences={"avoid": ["visits"]})) > burden(plan, patient())
    assert burden(plan, patient(preferences={"avoid": ["needles"]})) > burden(plan, patient()) + 4
    assert burden(plan, patient(preferences={"needles": "unsure"})) > burden(plan, patient())
    without = search(patient(preferences={"avoid": ["visits", "needles", "cost"]}))
    assert without[0].plan.visits <= search(patient())[0].plan.visits


@pytest.mark.slow  # searches for many people
def test_a_tailored_plan_leaves_less_to_regret_than_a_fixed_or_a_random_one() -> None:
    """Worth on particles that the search did not see, over people with different wishes; regret against the best of
    the three for each person."""
    rng = np.random.default_rng(5)
    regrets = []
    for number in range(6):
        one = patient(
            pain={"week_average": float(rng.integers(4, 9)), "duration_weeks": float(rng.integers(12, 500))},
            goals={"pain": float(rng.integers(1, 10)), "function": float(rng.integers(1, 10))},
            preferences={"avoid": list(rng.choice(["visits", "needles", "exercise", "cost"], 1)),
                         "max_sessions": int(rng.integers(4, 16))})
        regrets.append(regret(one, number, rng))
    tailored, fixed, random = np.mean(regrets, axis=0)
    assert tailored < fixed and tailored < random


def regret(one: Patient, seed: int, rng: np.random.Generator) -> list[float]:
    """What the tailored, the fixed and a random allowed plan leave to regret, points of 100."""
    screening, unseen = screen(one), ready(one, draws=256, seed=seed + 900)
    best = search(one, draws=128, seed=seed)[0]
    fixed = adapt(plan_from("acupuncture 30 min twice a week for 5 weeks"), screening, one)[0]
    while True:
        choices = {name: str(rng.choice(list(part["choices"]))) for name, part in table()["parts"].items()}
        random = plan_of(choices)
        if random.courses and not permits(random, screening, one):
            break
    worth = [judge(unseen, best.choices, plan).utility for plan in (best.plan, fixed, random)]
    return [max(worth) - w for w in worth]


def test_shapley_values_share_out_the_whole() -> None:
    rng = np.random.default_rng(1)
    from itertools import combinations

    from deqi.body.system import THEORIES

    worth = {absent: rng.normal(size=3) for size in range(6) for absent in combinations(THEORIES, size)}
    total = sum(shapley(theory, worth) for theory in THEORIES)
    assert total == pytest.approx(worth[()] - worth[tuple(THEORIES)])
    idle = {absent: np.array([float(len(absent) - ("gate" in absent))]) for absent in worth}
    assert shapley("gate", idle) == pytest.approx(0.0)


def test_theories_share_an_effect_with_ranges() -> None:
    found = shares_of_theories(ready(patient()), plan_from("acupuncture twice a week for 5 weeks"))
    rows = [*found["shares"], found["rest"]]
    assert sum(row["points"]["median"] for row in rows) == pytest.approx(found["whole"]["median"], abs=0.2)
    assert sum(row["share"]["median"] for row in rows) == pytest.approx(1.0, abs=0.15)
    assert shares_of_theories(ready(patient()), plan_from("nothing"))["shares"] == []
    for row in rows:
        assert row["share"]["low"] <= row["share"]["median"] <= row["share"]["high"]
        assert row["points"]["low"] <= row["points"]["high"]


def test_reviews_come_in_week_two_at_the_fourth_session_and_in_week_six() -> None:
    assert review_weeks(plan_from("acupuncture once a week for 10 weeks")) == [(2, None), (4, 4), (6, None)]
    assert review_weeks(plan_from("acupuncture twice a week for 5 weeks")) == [(2, 4), (6, None)]
    assert review_weeks(plan_from("walking 30 min daily for 6 weeks")) == [(2, None), (6, None)]


def test_a_review_reads_the_persons_own_scores() -> None:
    care = [{"plan": "acupuncture 30 min twice a week for 6 weeks", "start_week": -4}]

    def at_review(now: float) -> dict[str, Any]:
        one = patient(pain={"week_average": now}, care_so_far=care,
                      scores=[{"week": -4, "outcome": "NRS", "value": 7}, {"week": -2, "outcome": "NRS", "value": now}])
        found = review_now(ready(one, draws=512), screen(one))
        assert found is not None
        return found

    better, worse = at_review(3), at_review(9)
    assert better["score_then"] == 7 and better["verdict"] == "carry_on"
    assert better["of_100"]["going_on"] > 50 > worse["of_100"]["going_on"] and worse["verdict"] != "carry_on"
    assert review_now(ready(patient()), screen(patient())) is None


CARE = [{"plan": "electroacupuncture 2 Hz 30 min twice a week for 10 weeks", "start_week": -6}]
THEN = [{"week": -6, "outcome": "NRS", "value": 6}]


def test_a_review_stops_what_brought_nothing_by_the_sixth_week_and_proposes_it_no_more() -> None:
    one = patient(pain={"week_average": 6}, care_so_far=CARE, scores=THEN, conditions={"pacemaker": False})
    person = ready(one)
    review = review_now(person, screen(one))
    assert review is not None and review["verdict"] == "stop" and not review["why"]
    assert given_up(review) == {"needling"}
    found = Search(person, screen(one), given_up(review)).run()
    assert not any(isinstance(c, Needling) for tried in found for c in tried.plan.courses)


@pytest.mark.parametrize("more", [{"conditions": {"pacemaker": True}}, {"medicines": ["regular_opioid"]},
                                  {"conditions": {"bleeding_disorder": True}}, {"preferences": {"needles": "refuses"}}])
def test_a_review_never_goes_on_with_what_screening_forbids(more: dict[str, Any]) -> None:
    one = patient(pain={"week_average": 3}, care_so_far=CARE, scores=THEN, **more)
    review = review_now(ready(one), screen(one))
    assert review is not None and review["verdict"] == "stop" and review["why"]


def test_doing_nothing_more_is_a_plan_too() -> None:
    found = search(patient(pain={"week_average": 0}))
    assert found[0].plan.courses == ()