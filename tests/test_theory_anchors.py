"""Published laboratory findings that the five theories were built to meet (targets and bands of the dossiers).

What the bench runs with care in words and with every other theory at work (`TARGETS`) is asked of the bench; the
others are asked of the equations directly.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from deqi.body import gate
from deqi.body.inflammation import INFLAMMATION, steady_state
from deqi.body.system import THEORIES
from deqi.body.theory import Values
from laboratory import exposure, run

BY_HAND = {"mu_weight": 0.99, "kappa_weight": 0.01}


def at_rest(C: float, k: float = 1.0, B: float = 0.0, S: float = 0.0, **changed: float) -> float:
    return float(gate.output(C, k, B, 0.0, S, 0.0, Values(**gate.GATE.defaults() | changed)))


class TestGate:
    def test_T1_output_rises_with_c_drive_and_saturates(self) -> None:
        drives = (0, 1, 2, 3, 5, 10)
        published = [at_rest(C, residual=0.0) for C in drives]
        assert published == pytest.approx([0, 1, 37, 62, 89, 115], abs=0.6)
        shipped = [at_rest(C) for C in np.linspace(0, 40, 200)]
        assert np.all(np.diff(shipped) > 0) and np.diff(shipped)[-1] < 0.1 * np.max(np.diff(shipped))
        assert [at_rest(C) for C in drives] == pytest.approx(published, abs=3.0)

    def test_T2_surround_only_closes(self) -> None:
        assert [at_rest(5, S=S, residual=0.0) for S in (0, 5, 10, 20)] == pytest.approx([89, 75, 53, 0], abs=0.6)
        assert np.all(np.diff([at_rest(5, S=S) for S in np.linspace(0, 60, 100)]) <= 0)

    def test_T3_touch_is_u_shaped(self) -> None:
        assert [at_rest(5, B=B, residual=0.0) for B in (0, 5, 20, 50)] == pytest.approx([89, 34, 0, 103], abs=0.6)
        quiet, low, closed, open_again = (at_rest(5, B=B) for B in (0, 5, 20, 50))
        assert closed < low < quiet < open_again

    def test_T4_a_threshold_amplifies_depression(self) -> None:
        gains = (0.41, 0.5, 1, 1.45)
        assert [at_rest(2, k, residual=0.0) for k in gains] == pytest.approx([0.1, 2.4, 37, 60], abs=0.6)
        assert [at_rest(5, k, residual=0.0) for k in gains[:2]] == pytest.approx([33, 45], abs=0.6)

    def test_T5_disinhibition_opens(self) -> None:
        assert at_rest(0, B=20, MI=0.0) == pytest.approx(149, abs=1)
        assert at_rest(0, B=20) < 1

    def test_half_the_reference_drive_leaves_about_half_the_output(self) -> None:
        assert 0.4 <= at_rest(2.25) / at_rest(4.5) <= 0.7

    def test_no_dead_zone(self) -> None:
        C = np.linspace(0.0, 4.5, 60)
        assert np.min(np.diff([at_rest(c) for c in C]) / np.diff(C)) > 0.5

    def test_residual_firing_brings_the_reduction_nearer_to_the_network(self) -> None:
        from deqi.evidence import facts

        runs = [fact for fact in facts("science/mechanism_gate") if fact.id.startswith("zhang_ss_")]
        assert len(runs) > 35

        def error(residual: float) -> float:
            off = []
            for fact in runs:
                C, B, A, S, k = (float(part.lstrip("CBDSk").replace("p", ".")) for part in fact.id.split("_")[2:])
                p = Values(**gate.GATE.defaults() | {"residual": residual})
                off.append(float(gate.output(C, k, B, A, S, 0.0, p)) - fact.value)
            return float(np.sqrt(np.mean(np.square(off))))

        assert error(1.5) < error(0.0)
        assert error(1.5) < error(0.5) and error(1.5) < error(2.5)


class TestNeurotransmitters:
    def test_R4_frequency_selects_the_peptide(self) -> None:
        def csf(mu: float) -> tuple[float, float]:
            seen = run([exposure(0, 30, needle_local=1.0, needle_distal=1.0, mu_weight=mu, kappa_weight=1 - mu)],
                       31, ("csf_meap", "csf_dynorphin"))
            return float(seen.at("csf_meap", 30)), float(seen.at("csf_dynorphin", 30))

        slow, fast = csf(1 / (1 + (2 / 20) ** 2)), csf(1 / (1 + (100 / 20) ** 2))
        assert slow == pytest.approx((4.67, 1.0), rel=0.25)
        assert fast == pytest.approx((1.0, 1.49), rel=0.25)

    def test_R12_six_hours_of_current_lose_their_effect(self) -> None:
        seen = run([exposure(0, 360, needle_local=1.0, needle_distal=1.0, mu_weight=0.8, kappa_weight=0.2)], 361,
                   ("threshold_rise",))
        assert seen.at("threshold_rise", 300) <= 0.10 * seen.at("threshold_rise", 30)


class TestInflammation:
    def test_I7_ngf_sensitises_for_a_week(self) -> None:
        seen = run([exposure(0, 0.001, session={"ngf_micrograms": 1.0})], 15 * 1440,
                   ("pressure_pain_threshold", "nrs"), healthy=True)
        change = 1 - seen.at("pressure_pain_threshold", 1440, 3 * 1440, 7 * 1440, 14 * 1440)
        assert np.all(change[:3] >= 0.10) and change[3] < 0.10
        assert np.ptp(seen.at("nrs", 0, 10, 60)) < 0.1, "no acute pain"

    def test_reference_activity_is_the_steady_state_of_the_reference_patient(self) -> None:
        defaults = INFLAMMATION.defaults()
        _, activity, _, _ = steady_state(jnp.asarray(defaults["irritant_input"]), Values(**defaults))
        assert float(activity) == pytest.approx(defaults["activity_ref"], abs=1e-4)

    @pytest.mark.parametrize("irritant, phase, effect, margin",
                             [(0.03, "chronic", 3.30, 2.03), (0.12, "acute", 7.29, 3.69)])
    def test_caps_full_nsaid_stays_within_what_trials_found(self, irritant: float, phase: str, effect: float,
                                                           margin: float) -> None:
        seen = run([exposure(0, 1440, nsaid=1.0)], 1440, ("nrs",), nrs=5.5, inflammation={"irritant_input": irritant},
                   nociception={"omega_tissue": 0.5 if phase == "chronic" else 0.75})
        assert 10 * (5.5 - seen.at("nrs", 60)) == pytest.approx(effect, abs=margin)

    def test_caps_anti_ngf(self) -> None:
        seen = run([exposure(0, 1440, anti_ngf=1.0)], 1440, ("nrs",))
        assert 0.4 <= 10 * (6 - seen.at("nrs", 60)) <= 7.6


class TestCirculation:
    def test_C1_deep_needling_opens_more_vessels(self) -> None:
        def rise(depth: float) -> float:
            seen = run([exposure(0, 20, needle_mechanical=1.0, needle_depth=depth, manipulated_every=0.0)], 61,
                       ("flow",),
                       circulation={"superficial_gain": 0.5})
            assert seen.at("flow", 60) < 1.1, "over within the hour"
            return 100 * float(np.mean(seen.at("flow", *np.linspace(0, 10, 101))) - 1)

        deep, superficial = rise(1.0), rise(0.0)
        assert deep == pytest.approx(93.1, abs=18.6) and superficial == pytest.approx(46.1, abs=10.2)

    @pytest.mark.parametrize("fat_mm, minutes, sd",
                             [(2.5, 8.0, 3.4), (7.75, 23.3, 6.7), (12.75, 37.8, 9.6), (17.75, 58.6, 11.7)])
    def test_C12_ice_takes_longer_through_fat(self, fat_mm: float, minutes: float, sd: float) -> None:
        seen = run([exposure(0, 90, skin_contact=1.0, skin_step=-22.0)], 91, ("shallow_temperature",),
                   circulation={"fat_mm": fat_mm})
        t = np.linspace(0, 90, 901)
        reached = t[np.argmax(seen.at("shallow_temperature", *t) <= -7.0)]
        assert reached == pytest.approx(minutes, abs=0.5 * sd)

    @pytest.mark.parametrize("fat_mm, shallow, deep", [
        (3.0, (-14.4, -9.0), (-6.2, -7.9)), (7.0, (-9.1, -6.8), (-3.9, -5.7)), (12.5, (-5.0, -5.5), (-2.4, -4.5))])
    def test_C13_deep_muscle_keeps_cooling_after_the_ice(self, fat_mm: float, shallow: tuple[float, float],
                                                         deep: tuple[float, float]) -> None:
        seen = run([exposure(0, 20, skin_contact=1.0, skin_step=-22.0)], 60,
                   ("shallow_temperature", "deep_temperature"), circulation={"fat_mm": fat_mm})
        assert seen.at("shallow_temperature", 20, 50) == pytest.approx(shallow, abs=1.8)
        assert seen.at("deep_temperature", 20, 50) == pytest.approx(deep, abs=1.0)
        assert seen.at("deep_temperature", 50) < seen.at("deep_temperature", 20)

    def test_C17_heat_in_chronic_pain(self) -> None:
        def pain(step: float) -> np.ndarray:
            return run([exposure(0, 30, skin_contact=1.0, skin_step=step)], 151, ("nrs",)).at("nrs", 5, 60, 150)

        gained = pain(4.0) - pain(12.0)  # 37 against 45 degC on skin of 33
        assert np.all(gained >= 0.15), "from 5 min of treatment to 120 min after"
        assert gained[1] <= 1.29


class TestMuscle:
    @staticmethod
    def gain(sessions_at_week: list[float], until_week: float) -> float:
        """Capacity after training days."""
        days = np.array(sessions_at_week) * 7.0
        gaps = np.diff(days, prepend=-1000.0)
        bouts = [exposure(1440 * day, 20, session={"training": 1.0, "days_since_training": gap}, load=0.4)
                 for day, gap in zip(days, gaps, strict=True)]
        seen = run(bouts, 10080 * until_week + 60, ("capacity",), refine=1)
        return float(seen.at("capacity", 10080 * until_week))

    def test_M9_strength_is_kept_by_little_and_lost_by_nothing(self) -> None:
        trained = [week / 2 for week in range(24)]
        peak = self.gain(trained, 12)
        assert 0.45 <= 1 - self.gain(trained, 24) / peak <= 0.65
        for every in (2, 4):
            assert self.gain(trained + list(range(12 + every, 25, every)), 24.1) / peak >= 0.85

    def test_M10_endurance_sustainable_load_and_recovery(self) -> None:
        held = run([exposure(0, 20, load=0.5)], 20, ("fatigued",), refine=16)
        t = np.linspace(0, 20, 20001)
        endurance = 60 * t[np.argmax(held.at("fatigued", *t) >= 0.5)]  # no fresh unit is left
        assert endurance == pytest.approx(108, rel=0.02)
        sustained = run([exposure(0, 300, load=1.0)], 300, ("active",))
        assert sustained.at("active", 299) == pytest.approx(0.086, rel=0.02)
        rest = run([exposure(0, 10)], 10, ("fatigued",), refine=4, states={"fatigued": 0.6}).at("fatigued", 0, 1.5, 3.0)
        constant = 90 / np.log(rest[0] / rest[1])
        assert constant == pytest.approx(73, rel=0.02)

    def test_M1_endplate_noise_after_one_needling(self) -> None:
        def noise(dose: float) -> np.ndarray:
            return run([exposure(0, 30, session={"needle_dose": dose})], 60, ("endplate_noise",)).at(
                "endplate_noise", 1, 40)

        before, after = noise(1.0)
        assert after / before == pytest.approx(9.5 / 21.3, abs=1.1 / 21.3)
        before, after = noise(0.019)
        assert 1 - after / before < 0.05


@pytest.mark.parametrize("theory, own", [
    ("gate", "gain"), ("neurotransmitters", "threshold_rise"), ("inflammation", "nociceptor_gain"),
    ("circulation", "flow"), ("muscle", "endplate_noise")])
def test_without_its_theory_a_finding_is_gone_and_the_system_still_runs(theory: str, own: str) -> None:
    session = exposure(0, 30, session={"needle_dose": 1.0, "effective_minutes": 30.0, "ngf_micrograms": 1.0},
                       needle_local=1.0, needle_distal=1.0, needle_mechanical=1.0, needle_depth=1.0,
                       ltd_drive=1.0, **BY_HAND)
    signals = (own, "nrs")
    whole, removed = (run([session], 120, signals, without=off) for off in ((), (theory,)))
    assert np.ptp(whole.values[own]) > 1e-3
    assert np.ptp(removed.values[own]) < 1e-6, "its signal keeps its neutral value"
    assert removed.at("nrs", 0) == pytest.approx(6.0, abs=1e-3), "anchored again at the same score"
    assert whole.at("nrs", 45) < removed.at("nrs", 45) or theory in ("inflammation", "circulation")
    assert np.all(np.isfinite(removed.values["nrs"]))


def test_without_everything_needling_does_nothing() -> None:
    session = exposure(0, 30, session={"needle_dose": 1.0, "effective_minutes": 30.0}, needle_local=1.0,
                       needle_depth=1.0, **BY_HAND)
    seen = run([session], 2880, ("nrs",), without=THEORIES, course={"healing_rate_per_day": 0.0})
    assert np.ptp(seen.values["nrs"]) < 0.01


TARGETS = ("R1", "R2", "R4", "I7", "C1", "C12", "C13", "C17", "M1", "M6", "M9", "M10", "T1", "T2", "T3", "T4")
NEAR = {"ht_pt_offset_halflife"}
"""Met only nearly, for the reason in `reasons.yaml`: 12 min against 13 to 19."""


def test_targets_on_the_bench() -> None:
    from deqi.theories.experiment import shipped
    from deqi.theories.scoreboard import run as judge

    chosen = [e for e in shipped() if e.target in TARGETS]
    assert {e.target for e in chosen} == set(TARGETS)
    found = {row.experiment.id: row.verdict for row in judge(chosen).rows}
    assert {id for id, verdict in found.items() if verdict != "within"} == NEAR
    assert all(found[id] == "near" for id in NEAR)
