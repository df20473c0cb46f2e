"""One person's forecast learns from their scores, and says how unsure it stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from deqi.care import plan_from
from deqi.consult import conditioning
from deqi.consult.assessment import Patient, parse_patient
from deqi.consult.forecast import Person, prepare
from deqi.consult.history import history_of
from deqi.consult.screening import applicability
from deqi.consult.synthetic import coverage
from deqi.population.readout import reported_weeks, weekly_level


def patient(week_average: float = 6, **more: Any) -> Patient:
    pain = {"week_average": week_average, "duration_weeks": 100, "leg_pain": False} | more.pop("pain", {})
    return parse_patient({"patient": {"age": 50, "medicines": [], "pain": pain} | more})


def ready(one: Patient, draws: int = 1024, seed: int = 3) -> Person:
    return prepare(one, applicability(one), draws=draws, seed=seed)


def weekly(*values: float) -> list[dict[str, Any]]:
    return [{"week": k - len(values), "outcome": "NRS", "value": v} for k, v in enumerate(values)]


def test_the_filter_agrees_with_weighting_by_simulated_noise() -> None:
    one = patient(5, scores=weekly(7, 6, 4))
    person = ready(one, draws=4096)
    now = person.course(plan_from("nothing"), 1).nrs[person.past.weeks - 1]
    level = 10 / (1 + np.exp(-(np.log(now / (10 - now)) + person.known.state[0] + person.known.state[1])))

    first = patient(7)
    prior = ready(first, draws=40_000, seed=8)
    course = prior.course(plan_from("nothing"), 4)
    said = reported_weeks(course.nrs, prior.people, 8, course.flare_log_hazard)
    agrees = np.all(np.abs(said[:3] - np.array([[6], [4], [5]])) < 0.6, axis=0)
    brute = weekly_level(course.nrs, prior.people, 8)[2][agrees]
    assert np.sum(agrees) > 150
    assert level.mean() == pytest.approx(brute.mean(), abs=3 * brute.std() / np.sum(agrees) ** 0.5 + 0.08)
    assert level.std() == pytest.approx(brute.std(), rel=0.25)


def test_moved_particles_agree_with_weighted_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    one = patient(4, scores=weekly(8, 7, 6, 5))
    weighted = ready(one, draws=4096).forecast(plan_from("nothing"), 8)
    monkeypatch.setattr(conditioning, "LARGEST_K", -np.inf)
    person = ready(one, draws=2048, seed=9)
    moved = person.forecast(plan_from("nothing"), 8)
    assert person.known.degrees > 0 and person.known.accepted > 0.1
    assert moved.nrs[4].mean() == pytest.approx(weighted.nrs[4].mean(), abs=0.15)
    assert moved.nrs[4].std() == pytest.approx(weighted.nrs[4].std(), rel=0.1)


def test_many_and_odd_scores_still_give_a_forecast() -> None:
    person = ready(patient(6, scores=weekly(*[9, 2] * 12)), draws=512)
    forecast = person.forecast(plan_from("nothing"), 4)
    assert person.known.degrees > 0
    assert len(np.unique(person.people.person["usual_nrs"])) > 100
    steady = ready(patient(6, scores=weekly(*[6] * 24)), draws=512).forecast(plan_from("nothing"), 4)
    assert forecast.nrs[4].std() > 1.5 * steady.nrs[4].std()


def test_scores_narrow_a_forecast_and_pull_it() -> None:
    alone = ready(patient(6)).forecast(plan_from("nothing"), 8)
    steady = ready(patient(6, scores=weekly(6, 6, 6, 6, 6, 6, 6, 6))).forecast(plan_from("nothing"), 8)
    better = ready(patient(6, scores=weekly(3, 3, 3, 4, 3, 3, 3, 3))).forecast(plan_from("nothing"), 8)
    assert steady.nrs[8].std() < 0.85 * alone.nrs[8].std()
    assert better.nrs[8].mean() < steady.nrs[8].mean() - 1.0
    assert better.baseline == 6


def test_a_disability_score_is_let_in() -> None:
    rmdq = {"instrument": "RMDQ", "score": 4}
    worse = {"week": -4, "outcome": "RMDQ", "value": 18}
    same = {"week": -4, "outcome": "RMDQ", "value": 5}
    pain = {"week": -4, "outcome": "NRS", "value": 6}
    fell, stayed = (ready(patient(6, disability=rmdq, scores=[pain, s])).forecast(plan_from("nothing"), 8)
                    for s in (worse, same))
    assert fell.disability is not None and stayed.disability is not None
    assert fell.disability[8].mean() > stayed.disability[8].mean()
    other = history_of(patient(6, disability=rmdq, scores=[{"week": -4, "outcome": "ODI", "value": 40}]))
    assert not other.weeks and "ODI" in other.unused[0]


def test_unknown_things_widen_a_forecast() -> None:
    known = ready(patient(6, expectation=5)).forecast(plan_from("acupuncture twice a week for 6 weeks"), 12)
    unknown = ready(patient(6, pain={"duration_weeks": None})).forecast(
        plan_from("acupuncture twice a week for 6 weeks"), 12)
    assert unknown.nrs[12].std() > 1.03 * known.nrs[12].std()


def test_what_is_older_than_two_years_is_left_aside_and_said() -> None:
    old = [{"week": -500, "outcome": "NRS", "value": 9}, {"week": -2, "outcome": "NRS", "value": 6}]
    past = history_of(patient(6, scores=old, pain={"duration_weeks": 900}))
    assert past.weeks == 2 and "older" in past.unused[0]
    care = [{"plan": "acupuncture once a week for 6 weeks", "start_week": -300}]
    long_ago = ready(patient(6, care_so_far=care, pain={"duration_weeks": 900}), draws=64)
    assert long_ago.past.weeks == 0 and long_ago.received == ()


def test_what_is_older_than_the_pain_is_left_aside_and_said() -> None:
    past = history_of(patient(6, pain={"duration_weeks": 3}, scores=weekly(7, 6, 6, 6, 6, 6)))
    assert past.weeks == 3 and past.anchor == 6 and "had not begun" in past.unused[0]


def test_care_before_any_score_leaves_the_start_open() -> None:
    care = [{"plan": "acupuncture twice a week for 6 weeks", "start_week": -4}]
    person = ready(patient(5, care_so_far=care), draws=512)
    assert person.past.anchor is None
    assert np.std(person.people.person["nrs"]) > 0.8
    assert person.forecast(plan_from("nothing"), 4).nrs[0].std() == 0


def test_the_spread_splits_into_people_days_and_parameters() -> None:
    split = ready(patient(6)).forecast(plan_from("nothing"), 12).split(12)
    parts = [split[name] for name in ("sd_people", "sd_days", "sd_parameters")]
    assert min(parts) > 0.1
    assert sum(p**2 for p in parts) == pytest.approx(split["sd_total"] ** 2)


def test_intervals_for_people_of_the_model_cover_what_they_promise() -> None:
    for row in coverage(160, 11, known=(0, 4)):
        for level, found in row["coverage"].items():
            promised = float(level) / 100
            assert found == pytest.approx(promised, abs=3.3 * (promised * (1 - promised) / row["n"]) ** 0.5), row


@pytest.mark.slow  # 40,000 forecasts; the promise of two points needs them
def test_intervals_cover_within_two_points() -> None:
    for row in coverage(10_000, 5):
        for level, found in row["coverage"].items():
            assert found == pytest.approx(float(level) / 100, abs=0.02), row
