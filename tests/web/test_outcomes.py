"""Holds a practice's outcomes to closed forms, to other libraries, and to practices drawn from their own forecasts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from deqi.errors import InputError
from deqi.web.outcomes import (
    Course,
    clopper_pearson,
    control_limits,
    dispersion,
    outcomes,
    poisson_binomial,
    wilson,
    window_of,
)
from deqi.web.rates import Harm, published, rates

RNG = np.random.default_rng(20261126)
START = RNG.bit_generator.state


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The same random numbers for a test whatever ran before it."""
    RNG.bit_generator.state = START


def row(chance: float = 0.5, week: int = 12, mean: float = 4.0, low: float = 2.0, high: float = 6.0) -> dict[str, Any]:
    return {"week": week, "outcome": "NRS", "mean": mean, "quantiles": {"0.1": low, "0.9": high},
            "p_improved_30pct": chance}


def course(number: int = 0, *scores: tuple[float, float], chance: float = 0.5, **changes: Any) -> Course:
    plain = Course(f"p{number}", "a", "acupuncture", 6.0, (row(chance),), scores, 30.0)
    return replace(plain, **changes)


def drawn(people: int, clinician: str = "a", shift: float = 0.0) -> list[Course]:
    """People whose scores come from their own forecasts: half of the scale above, half below 30 % less pain."""
    chances = RNG.uniform(0.1, 0.8, people)
    better = RNG.uniform(size=people) < np.clip(chances + shift, 0, 1)
    return [course(k, (12.0, 3.0 if good else 6.0), chance=float(chance), clinician=clinician, person=f"{clinician}{k}")
            for k, (chance, good) in enumerate(zip(chances, better, strict=True))]


@pytest.mark.parametrize("count, n", [(0, 10), (1, 10), (5, 23), (23, 23), (43, 34407)])
def test_intervals_are_those_of_scipy(count: int, n: int) -> None:
    test = stats.binomtest(count, n)
    for own, method in ((wilson, "wilson"), (clopper_pearson, "exact")):
        theirs = test.proportion_ci(method=method)
        assert own(count, n) == pytest.approx([theirs.low, theirs.high], abs=1e-9)


@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=40))
def test_the_count_of_unequal_chances_has_its_mean_and_variance(chances: list[float]) -> None:
    p, counts = np.array(chances), poisson_binomial(np.array(chances))
    k = np.arange(len(p) + 1)
    assert counts.sum() == pytest.approx(1)
    assert counts @ k == pytest.approx(p.sum())
    assert counts @ (k - p.sum()) ** 2 == pytest.approx((p * (1 - p)).sum())


@given(st.integers(10, 400), st.floats(0.05, 0.95))
def test_control_limits_of_equal_chances_are_those_of_the_binomial(n: int, p: float) -> None:
    low, high = control_limits(np.full(n, p), 0.025)
    inside = stats.binom(n, p).pmf(np.arange(round((low + p) * n), round((high + p) * n) + 1)).sum()
    assert inside >= 0.95 - 1e-9
    assert stats.binom(n, p).cdf(round((low + p) * n)) > 0.025 - 1e-9
    assert stats.binom(n, p).sf(round((high + p) * n) - 1) > 0.025 - 1e-9


@pytest.mark.parametrize("people", [20, 60, 300])
def test_a_practice_drawn_from_its_own_forecast_lies_inside_its_limits(people: int) -> None:
    practices = 600 if people < 300 else 250
    verdicts = [outcomes(drawn(people), 12)["all"]["verdict"] for _ in range(practices)]
    inside = verdicts.count("inside") / practices
    assert 0.93 <= inside <= 0.995  # exact limits hold 95 of 100 or a little more
    assert verdicts.count("outside_998") / practices <= 0.01


def test_a_practice_that_does_worse_than_forecast_is_found() -> None:
    found = outcomes(drawn(300, shift=-0.2), 12)["all"]
    assert found["verdict"] == "outside_998" and found["difference"] < 0


def test_intervals_of_calibration_hold_their_chances_about_as_often_as_they_say() -> None:
    held = [low <= one["forecast"] <= high for _ in range(150) for one in outcomes(drawn(200), 12)["calibration"]
            for low, high in [one["interval"]]]
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


def test_a_person_counts_once_with_the_first_plan_that_ran_at_the_week() -> None:
    begun_first = course(0, (12.0, 2.0), weeks=30.0)
    later = course(0, (12.0, 6.0), weeks=16.0)
    stopped = course(1, (12.0, 6.0), weeks=30.0, ended=5.0)
    after = course(1, (7.0, 6.0), (12.0, 3.0), weeks=25.0)
    found = outcomes([later, begun_first, after, stopped], 12)
    assert (found["observed"], found["all"]["improved"], found["later"], found["ended_early"]) == (2, 2, 1, 1)
    assert found["plans"] == 4 and found["due"] == 2
    assert outcomes([replace(stopped, ended=12.0)], 12)["observed"] == 1


def test_nobody_counts_before_the_window_has_closed() -> None:
    early = course(0, (11.0, 2.0), weeks=11.5)
    assert [outcomes([replace(early, weeks=weeks)], 12)["observed"] for weeks in (11.5, 14.0, 14.1)] == [0, 0, 1]
    assert outcomes([early], 12)["not_yet"] == 1


def test_dispersion_tells_groups_that_differ_from_groups_that_do_not() -> None:
    def groups(shift: float) -> dict[str, Any]:
        courses = [one for k in range(8) for one in drawn(80, f"c{k}", shift * (-1) ** k)]
        return outcomes(courses, 12)

    apart, alike = groups(0.2), [groups(0.0)["dispersion"]["clinician"]["more"] for _ in range(40)]
    assert apart["dispersion"]["clinician"]["ratio"] > 3 and "dispersion" in apart["notes"]
    assert np.mean(alike) <= 0.2
    assert dispersion(outcomes(drawn(50), 12)["by"]["clinician"]) is None


def test_every_plan_is_counted_once_and_what_is_missing_is_told() -> None:
    courses = [
        course(0, (12.0, 3.0)), course(1, (13.9, 3.0)), course(2, (14.1, 3.0)), course(3), course(4, weeks=5.0),
        course(5, weeks=13.0), course(6, (12.0, 3.0), forecast=(row(week=8),)), course(7, (12.0, 0.0), baseline=0.0)]
    found = outcomes(courses, 12)
    assert (found["observed"], found["missing"], found["not_yet"], found["no_forecast"]) == (2, 2, 2, 2)
    assert found["due"] == 4 and found["plans"] == 8
    assert "missing" in found["notes"] and "no_forecast" in found["notes"]


def test_what_is_missing_widens_what_the_share_may_be() -> None:
    found = outcomes([*[course(k, (12.0, 3.0)) for k in range(12)], *[course(k) for k in range(12, 24)]], 12)["all"]
    assert found["share"] == 1 and found["range_missing"] == [0.5, 1.0]


def test_the_nearest_score_counts_and_never_the_one_of_the_start() -> None:
    near = outcomes([course(k, (0.0, 9.0), (10.5, 9.0), (12.5, 3.0)) for k in range(10)], 12)
    assert near["all"]["improved"] == 10
    assert all(window_of(week) < week for week in (1, 2, 4, 12, 26))


def test_thirty_percent_less_includes_exactly_thirty_percent() -> None:
    assert outcomes([course(0, (12.0, 4.2))], 12)["all"]["improved"] == 1
    assert outcomes([course(0, (12.0, 4.3))], 12)["all"]["improved"] == 0


def test_fewer_than_ten_are_counts_only() -> None:
    found = outcomes([course(k, (12.0, 3.0)) for k in range(9)], 12)
    assert found["all"] == {"label": "all", "n": 9, "missing": 0, "improved": 9, "few": True}
    assert not found["calibration"] and found["coverage"] is None and found["error"] is None and "few" in found["notes"]


def test_coverage_and_error_of_a_normal_forecast_are_those_of_the_normal() -> None:
    q10, q90 = stats.norm(5, 2).ppf([0.1, 0.9])
    courses = [course(k, (12.0, float(y)), forecast=(row(mean=5.0, low=q10, high=q90),))
               for k, y in enumerate(RNG.normal(5, 2, 4000))]
    found = outcomes(courses, 12)
    assert found["coverage"]["share"] == pytest.approx(0.8, abs=0.025)
    assert found["coverage"]["interval"][0] < found["coverage"]["share"] < found["coverage"]["interval"][1]
    t = stats.ttest_1samp([one.scores[0][1] - 5 for one in courses], 0).confidence_interval()
    assert found["error"]["interval"] == pytest.approx([t.low, t.high])


def test_bins_hold_everybody_once_in_order() -> None:
    bins = outcomes(drawn(47), 12)["calibration"]
    assert sum(one["n"] for one in bins) == 47 and min(one["n"] for one in bins) >= 10
    assert [one["low"] for one in bins] == sorted(one["low"] for one in bins)


SESSIONS = [f"s{k}" for k in range(300)]
PEOPLE = [f"p{k}" for k in range(60)]


def of(kind: str, harms: list[Harm]) -> dict[str, Any]:
    return next(one for one in rates(harms, SESSIONS, PEOPLE) if one["kind"] == kind)


def test_a_session_and_a_person_count_once_however_many_events() -> None:
    harms = [Harm("bleeding", "p1", "s1"), Harm("needle_pain", "p1", "s1", treated=True), Harm("bleeding", "p1", "s2")]
    assert of("any", harms)["per_treatment"]["count"] == 2
    assert of("any", harms)["per_patient"]["count"] == 1
    assert of("treated", harms)["per_treatment"]["count"] == 1
    assert of("bleeding", harms)["per_treatment"]["count"] == 2


def test_no_event_gives_the_rule_of_three() -> None:
    found = of("pneumothorax", [])["per_treatment"]
    assert found["bound"] and found["low"] == 0
    assert found["high"] == pytest.approx(1 - 0.05 ** (1 / 300))
    assert found["high"] == pytest.approx(3 / 300, rel=0.01)


def test_an_event_of_no_known_session_is_told_and_not_counted_in_the_rate() -> None:
    found = of("infection", [Harm("infection", "p1"), Harm("infection", "stranger", "s1")])
    assert (found["per_treatment"]["count"], found["per_treatment"]["unplaced"]) == (1, 1)
    assert (found["per_patient"]["count"], found["per_patient"]["unplaced"]) == (1, 1)


def test_few_sessions_are_counts_only() -> None:
    found = rates([Harm("bleeding", "p1", "s1")], SESSIONS[:9], PEOPLE[:3])[0]["per_treatment"]
    assert found["few"] and "rate" not in found and found["count"] == 1


def test_published_rates_are_of_the_same_unit_and_as_printed() -> None:
    for one in rates([], SESSIONS, PEOPLE):
        for unit in ("per_treatment", "per_patient"):
            told = one[unit]["published"]
            assert told is None or (0 <= told["rate"] < 0.1 and told["cite"])
    assert of("serious", [])["per_treatment"]["published"]["rate"] == pytest.approx(7.98e-6)
    assert published("furuse_bleed", "per_treatment")["low"] == pytest.approx(0.0238)
    with pytest.raises(InputError, match="per_patient_course"):
        published("furuse_bleed", "per_patient")
    with pytest.raises(InputError, match="no such kind"):
        rates([Harm("hiccups", "p1")], SESSIONS, PEOPLE)
