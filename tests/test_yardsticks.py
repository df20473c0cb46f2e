"""Published models beside deqi's: each gives the numbers known of it, and keeps what its equations promise."""

from __future__ import annotations

import ast
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deqi.body import gate
from deqi.body.theory import Values
from deqi.errors import InputError
from deqi.evidence import facts
from deqi.theories import yardsticks
from deqi.theories.yardsticks import boucher2018, comparisons, mercier2014, plan2012, zhang2014
from deqi.theories.yardsticks import three_compartment as muscle

ROWS = comparisons()


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.model}: {row.quantity}" for row in ROWS])
def test_known_numbers(row: yardsticks.Comparison) -> None:
    assert row.met, f"{row.value} is not {row.published} +/- {row.tolerance} {row.unit}"
    assert row.tolerance > 0 and row.unit and row.source


def test_a_number_out_of_band_is_not_met() -> None:
    assert not replace(ROWS[0], value=ROWS[0].published + 1.01 * ROWS[0].tolerance).met


def test_yardsticks_stand_beside_the_model() -> None:
    for file in Path(yardsticks.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and not node.level:
                assert not (node.module or "").startswith("deqi.") or node.module in ("deqi.errors", "deqi.evidence")


class TestThreeCompartment:
    LOADS = (0.2, 0.3, 0.5, 0.7)

    def test_generic_endurance(self) -> None:
        closed = [muscle.endurance_closed_form(load) for load in self.LOADS]
        solved = [muscle.endurance_seconds(load) for load in self.LOADS]
        assert closed == pytest.approx([516.9, 271.5, 108.3, 45.1], abs=0.06)
        assert solved == pytest.approx([517.7, 271.9, 108.5, 45.2], abs=0.06)
        for seconds in (closed, solved):
            assert seconds == pytest.approx([517, 272, 108, 45], abs=0.7)

    @pytest.mark.parametrize("group", [muscle.GENERIC, muscle.KNEE_EXTENSORS, muscle.ELBOW])
    def test_equations_agree_with_the_closed_form(self, group: muscle.Muscle) -> None:
        for load in self.LOADS:
            exact = muscle.endurance_closed_form(load, group)
            assert muscle.endurance_seconds(load, group) == pytest.approx(exact, rel=0.004)
            later = muscle.endurance_seconds(load, group, force_loss=0.01)
            assert exact < later < 1.03 * exact

    def test_faster_tracking_closes_the_gap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        exact, gaps = muscle.endurance_closed_form(0.5), []
        for gain in (10.0, 100.0, 1000.0):
            monkeypatch.setattr(muscle, "TRACKING", gain)
            gaps.append(abs(muscle.endurance_seconds(0.5) - exact))
        assert gaps[1] < 0.2 * gaps[0] and gaps[2] < 0.2 * gaps[1]

    def test_a_sustainable_load_is_held_for_ever(self) -> None:
        limit = muscle.sustainable_load()
        assert limit == pytest.approx(0.086, abs=5e-4)
        assert muscle.endurance_seconds(limit - 0.002) == muscle.endurance_closed_form(limit - 0.002) == math.inf
        assert muscle.endurance_seconds(limit + 0.002) < math.inf > muscle.endurance_closed_form(limit + 0.002)
        held = muscle.hold(0.08, 6 * 3600)
        assert held.active == pytest.approx(0.08, rel=0.002) and held.resting > 0.05

    def test_rest_recovers_in_73_seconds(self) -> None:
        tired = muscle.Shares(0.5, 0.0, 0.5)
        seconds = muscle.recovery_time_constant(resting=True)
        assert seconds == pytest.approx(73, abs=0.5)
        assert muscle.hold(0.0, seconds, start=tired).fatigued == pytest.approx(0.5 / math.e, rel=1e-5)

    def test_under_load_recovery_takes_18_minutes(self) -> None:
        seconds = muscle.recovery_time_constant(resting=False)
        assert seconds / 60 == pytest.approx(18, abs=0.5)
        starts = [muscle.Shares(0.97 - q, 0.03, q) for q in (0.2, 0.4)]
        less, more = (muscle.hold(0.03, seconds, start=start).fatigued for start in starts)
        assert more - less == pytest.approx(0.2 / math.e, rel=0.01)

    def test_rest_between_holds_counts_only_with_its_multiplier(self) -> None:
        def after_ten_cycles(group: muscle.Muscle) -> float:
            shares = muscle.RESTED
            for _ in range(10):
                shares = muscle.hold(0.0, 10.0, group, muscle.hold(0.5, 10.0, group, shares))
            return shares.fatigued

        assert after_ten_cycles(muscle.GENERIC) < 0.6 * after_ten_cycles(replace(muscle.GENERIC, rest_multiplier=1.0))

    @settings(max_examples=40)
    @given(st.floats(0, 1), st.floats(0, 2000), st.floats(0, 1), st.floats(0, 1))
    def test_shares_stay_shares(self, load: float, seconds: float, fatigued: float, active: float) -> None:
        start = muscle.Shares((1 - fatigued) * (1 - active), (1 - fatigued) * active, fatigued)
        end = muscle.hold(load, seconds, start=start)
        parts = (end.resting, end.active, end.fatigued)
        assert sum(parts) == pytest.approx(1.0, abs=1e-6) and min(parts) > -1e-6

    @pytest.mark.parametrize("load", [-0.1, 1.1, 50.0])
    def test_a_load_is_a_share(self, load: float) -> None:
        for ask in (muscle.endurance_seconds, muscle.endurance_closed_form, lambda x: muscle.hold(x, 1.0)):
            with pytest.raises(InputError, match="share of maximal force"):
                ask(load)


class TestZhang:
    def test_the_table_holds_every_fact_once(self) -> None:
        recorded = {f.id: f for f in facts("science/mechanism_gate") if f.id.startswith("zhang_ss_")}
        assert len(recorded) == len(zhang2014.runs()) == len({run.setting for run in zhang2014.runs()}) == 38
        for run in zhang2014.runs():
            condition, s = recorded[run.fact].body["condition"], run.setting
            assert run.hertz == recorded[run.fact].value
            for words in (f"C={s.C:g} Hz", f"A-beta={s.a_beta:g} Hz", f"A-delta={s.a_delta:g} Hz",
                          f"surround A-beta={s.surround:g} Hz", f"weights x{s.k:g}"):
                assert words in condition

    def test_exact_runs(self) -> None:
        assert zhang2014.rate(2) == 34.7
        assert zhang2014.rate(5, a_beta=20) == 17.3
        assert zhang2014.rate(2, a_delta=20) == 160.3
        assert zhang2014.rate(2, k=0.5) == 1.3

    @pytest.mark.parametrize("C, touches", [(2, (0, 5, 10, 20, 30, 50)), (5, (0, 5, 20, 50)), (10, (0, 5, 20, 50))])
    def test_touch_is_u_shaped(self, C: float, touches: tuple[float, ...]) -> None:
        rates = [zhang2014.rate(C, touch) for touch in touches]
        lowest = touches.index(20)
        assert rates == sorted(rates[:lowest], reverse=True) + sorted(rates[lowest:])
        assert rates[lowest] < 0.35 * rates[0] and rates[-1] > 2 * rates[lowest]

    def test_surround_only_closes_and_lost_inhibition_opens(self) -> None:
        assert [zhang2014.rate(2, surround=S) for S in (0, 5, 10, 50)] == [34.7, 4.0, 0.0, 0.0]
        assert zhang2014.disinhibited_rate() == 160.3 > 50 * zhang2014.rate(2, a_beta=20)

    def test_a_run_never_made_is_refused_with_its_neighbours(self) -> None:
        with pytest.raises(InputError) as refused:
            zhang2014.rate(2, a_beta=25)
        assert "C 2 Hz, A-beta 20 Hz; C 2 Hz, A-beta 30 Hz" in str(refused.value)

    def test_rmse(self) -> None:
        assert zhang2014.rmse(zhang2014.rate) == 0.0
        assert zhang2014.rmse(lambda *setting: zhang2014.rate(*setting) + 3.0) == pytest.approx(3.0)

    def test_the_reduction_of_the_gate_is_ten_hertz_off(self) -> None:
        def reduction(residual: float) -> zhang2014.Predict:
            values = Values(**gate.GATE.defaults() | {"residual": residual})
            return lambda C, B, A, S, k: float(gate.output(C, k, B, A, S, 0.0, values))

        assert zhang2014.rmse(reduction(0.0)) == pytest.approx(10.2, abs=0.05)
        assert zhang2014.rmse(reduction(1.5)) == pytest.approx(9.9, abs=0.05)


class TestBoucher:
    def test_differences_to_both_decimals(self) -> None:
        weeks = (2, 6, 12)
        assert list(np.round(boucher2018.difference(weeks, flare=False), 2)) == [-0.90, -0.84, -0.82]
        assert list(np.round(boucher2018.difference(weeks, flare=True), 2)) == [-1.03, -0.90, -0.85]

    def test_the_flare_design_changes_start_and_fall_of_both_arms(self) -> None:
        for naproxen in (False, True):
            plain, flare = (boucher2018.Arm(naproxen, design) for design in (False, True))
            assert boucher2018.pain(flare, 0) - boucher2018.pain(plain, 0) == pytest.approx(0.96)
            for arm, largest in ((plain, -1.16), (flare, -1.98)):
                half = boucher2018.pain(arm, boucher2018.half_time_weeks(arm)) - boucher2018.pain(arm, 0)
                assert half == pytest.approx((largest - 0.79 * naproxen) / 2)

    def test_in_the_long_run_the_difference_is_that_of_the_largest_change(self) -> None:
        for flare in (False, True):
            assert boucher2018.difference(1e6, flare) == pytest.approx(-0.79, abs=1e-4)


class TestMercier:
    PLACEBO, TRAMADOL = mercier2014.Arm(), mercier2014.Arm(tramadol_mg=300)
    TAPENTADOL = mercier2014.Arm(tapentadol=True)

    def test_week_12_with_a_centred_covariate(self) -> None:
        assert mercier2014.change_percent(self.TRAMADOL, 12) == pytest.approx(-45.6, abs=0.05)
        assert mercier2014.change_percent(self.TAPENTADOL, 12) == pytest.approx(-36, abs=0.5)
        assert mercier2014.change_percent(self.PLACEBO, 12) == pytest.approx(-28.0, abs=0.05)

    def test_without_centring_neither_printed_change_is_met(self) -> None:
        tramadol = mercier2014.change_percent(self.TRAMADOL, 12, centred=False)
        assert tramadol == pytest.approx(-49.0, abs=0.05)
        assert mercier2014.change_percent(self.TAPENTADOL, 12, centred=False) == pytest.approx(-39.3, abs=0.05)

    @given(st.floats(1, 9), st.floats(0, 400), st.floats(0, 52))
    def test_pain_stays_on_the_scale_and_falls_with_time_and_dose(self, baseline: float, mg: float,
                                                                  weeks: float) -> None:
        arm, placebo = mercier2014.Arm(baseline, mg), mercier2014.Arm(baseline)
        now, later = mercier2014.pain(arm, [weeks, weeks + 1])
        assert 0 < later <= now < 10
        assert now <= mercier2014.pain(placebo, weeks) + 1e-12

    def test_an_arm_starts_near_its_baseline(self) -> None:
        for baseline in (4.0, 6.9, 8.5):
            assert mercier2014.pain(mercier2014.Arm(baseline), 0) == pytest.approx(baseline, abs=0.04)

    def test_worse_baselines_fall_further_on_the_logit_scale(self) -> None:
        def fall(baseline: float) -> float:
            start, end = mercier2014.pain(mercier2014.Arm(baseline, 300), [0, 12]) / 10
            return math.log(start / (1 - start)) - math.log(end / (1 - end))

        assert fall(5.0) < fall(6.9) < fall(8.5)

    @pytest.mark.parametrize("arm", [{"baseline": 0.0}, {"baseline": 10.0}, {"tramadol_mg": -50.0},
                                     {"tramadol_mg": 300.0, "tapentadol": True}])
    def test_arms_that_no_trial_has(self, arm: dict[str, float]) -> None:
        with pytest.raises(InputError):
            mercier2014.Arm(**arm)


class TestPlan:
    DAYS = (28, 56, 126)

    def test_the_quoted_means_are_the_typical_patients(self) -> None:
        assert list(np.round(plan2012.typical(self.DAYS), 2)) == [5.61, 5.32, 5.08]

    def test_rounded_estimates_give_another_last_digit(self) -> None:
        rounded = replace(plan2012.PUBLISHED, baseline=6.21, placebo=0.190, half_time_days=27.7)
        assert list(np.round(plan2012.typical(self.DAYS, p=rounded), 2)) == [5.62, 5.32, 5.08]

    def test_the_mean_over_patients_is_lower(self) -> None:
        mean = plan2012.population_mean((0, *self.DAYS))
        assert mean == pytest.approx([6.08, 5.17, 4.80, 4.47], abs=0.005)

    @pytest.mark.parametrize("paracetamol", [False, True])
    def test_quadrature_agrees_with_drawn_patients(self, paracetamol: bool) -> None:
        p, draws = plan2012.PUBLISHED, np.random.default_rng(1).standard_normal((3, 200_000))

        def shifted(typical: float, variance: float, z: np.ndarray) -> np.ndarray:
            return 1 / (1 + (1 / typical - 1) * np.exp(-math.sqrt(variance) * z))

        share = shifted(p.baseline / 10, p.var_baseline, draws[0])
        half_time = p.half_time_days * np.exp(math.sqrt(p.var_half_time) * draws[2])
        share = share * (1 - shifted(p.placebo, p.var_placebo, draws[1]) * (1 - 0.5 ** (56 / half_time)))
        if paracetamol:
            share = 1 / (1 + (1 / share - 1) * math.exp(-p.paracetamol))
        error = 10 * share.std() / math.sqrt(share.size)
        assert plan2012.population_mean(56, paracetamol) == pytest.approx(10 * share.mean(), abs=4 * error)

    def test_quadrature_has_converged(self) -> None:
        fine = plan2012.population_mean(self.DAYS, nodes=80)
        assert plan2012.population_mean(self.DAYS) == pytest.approx(fine, abs=1e-4)


@pytest.mark.parametrize("ask", [lambda: boucher2018.pain(boucher2018.Arm(), -1), lambda: plan2012.typical([0, -1]),
                                 lambda: mercier2014.pain(mercier2014.Arm(), -1), lambda: muscle.hold(0.1, -1),
                                 lambda: plan2012.population_mean(-1)])
def test_time_runs_forward(ask: object) -> None:
    with pytest.raises(InputError, match="cannot be negative"):
        ask()  # type: ignore[operator]  # each case is a call
