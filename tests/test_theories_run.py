"""The bench itself: statistics on curves whose answers are known, one general runner, a score that cannot flatter."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from command import deqi
from deqi.body.system import THEORIES
from deqi.theories import discriminate, fit, laboratory, scoreboard
from deqi.theories.bodies import body, values_of
from deqi.theories.experiment import Experiment, experiment, shipped
from deqi.theories.fit import Loss, fitted_values, free_parameters, stale
from deqi.theories.laboratory import measure
from deqi.theories.scoreboard import Row, Scoreboard, run
from deqi.theories.statistics import STATISTICS, Course, Question

WHOLE = frozenset[str]()
OUTSIDER = """\
- id: ea_at_the_knee
  theory: neurotransmitters
  source: {doi: 10.1000/example}
  body: human_healthy
  care: electroacupuncture 2 Hz 3 mA 25 min at ST36
  readout: pressure_pain_threshold
  statistic: change_pct_at
  at_minutes: 25
  published: {value: 30, sd: 20, n: 24}
  rule: sd
"""


def curve(of: Any, minutes: float, end: float, step: float = 0.5) -> Course:
    """A read-out that follows a function of time."""
    starts = np.arange(0.0, minutes, step)
    return Course(starts, np.full_like(starts, step), of(starts), of(starts + step), (0.0,), end)


def rise_and_fall(t: Any) -> Any:
    """100 before; up with a time constant of 20 min for 60 min, then down with the same."""
    peak = 1 - np.exp(-60 / 20)
    return 100 + 80 * np.where(t <= 60, 1 - np.exp(-t / 20), peak * np.exp(-(t - 60) / 20))


class TestStatistics:
    shape = curve(rise_and_fall, 300, 60)

    def ask(self, name: str, q: Question, other: Course | None = None) -> float:
        return float(STATISTICS[name].of(self.shape, other, q, q))

    @pytest.mark.parametrize("name, q, answer", [
        ("value_at", Question((20.0,)), 100 + 80 * (1 - math.exp(-1))),
        ("change_pct_at", Question((20.0,)), 80 * (1 - math.exp(-1))),
        ("fall_at", Question((20.0,)), -80 * (1 - math.exp(-1))),
        ("percent_of_start_at", Question((20.0,)), 100 + 80 * (1 - math.exp(-1))),
        ("half_life_after_end", Question(), 20 * math.log(2)),
        ("duration_after_end", Question(), 20 * math.log(5)),
        ("duration", Question(), 60 + 20 * math.log(5)),
        ("time_of_peak", Question(), 60),
        ("peak_change_pct", Question(), 80 * (1 - math.exp(-3))),
        ("half_time_to_peak", Question(), -20 * math.log(1 - 0.5 * (1 - math.exp(-3)))),
        ("time_to", Question(level=150.0), -20 * math.log(1 - 50 / 80)),
        ("effect_ratio_pct", Question((80.0, 60.0)), 100 * math.exp(-1)),
    ])
    def test_known_curve(self, name: str, q: Question, answer: float) -> None:
        assert self.ask(name, q) == pytest.approx(answer, rel=2e-3)

    def test_before_the_moment_of_the_base_nothing_counts(self) -> None:
        late = curve(lambda t: np.where(t < 5, 0.0, rise_and_fall(t)), 300, 60)
        of = STATISTICS["time_of_peak"].of
        assert float(of(late, None, Question(base_at=6.0), Question())) == pytest.approx(60)
        assert float(of(late, None, Question(base=100.0), Question())) < 5

    def test_what_outlasts_the_watch_has_no_end(self) -> None:
        short = curve(rise_and_fall, 65, 60)
        assert math.isinf(float(STATISTICS["half_life_after_end"].of(short, None, Question(), Question())))

    def test_comparisons(self) -> None:
        half = curve(lambda t: 100 + 0.5 * (rise_and_fall(t) - 100), 300, 60)
        at = Question((60.0,))
        assert self.ask("effect_share_at", at, half) == pytest.approx(200)
        assert self.ask("removed_pct_at", at, half) == pytest.approx(-100)
        assert self.ask("area_ratio_pct", Question(), half) == pytest.approx(200)
        assert self.ask("duration_ratio_pct", Question(), half) == pytest.approx(100)

    def test_a_moment_of_change_is_read_just_before_it(self) -> None:
        level = np.array([1.0, 5.0])
        steps = Course(np.array([0.0, 10.0]), np.array([10.0, 10.0]), level, level, (), 10)
        assert steps.at(10.0) == 1.0 and steps.at(10.1) == 5.0

    def test_nothing_to_compare_with_is_not_a_number(self) -> None:
        flat = curve(lambda t: 100.0 + 0 * t, 300, 60)
        for name in ("effect_share_at", "removed_pct_at"):
            assert math.isnan(self.ask(name, Question((60.0,)), flat))
        assert math.isnan(float(STATISTICS["half_life_after_end"].of(flat, None, Question(), Question())))

    def test_jax_and_numpy_agree(self) -> None:
        traced = replace(self.shape, first=jnp.asarray(self.shape.first), last=jnp.asarray(self.shape.last))
        for name in ("half_life_after_end", "duration", "time_of_peak", "half_time_to_peak"):
            other = float(STATISTICS[name].of(traced, None, Question(), Question()))
            assert other == pytest.approx(self.ask(name, Question()), rel=1e-3)


class TestLaboratory:
    def test_a_file_from_outside_runs_without_new_code(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.yaml"
        path.write_text(OUTSIDER)
        found = deqi("theories", "--experiments", path, "--json", "-")
        assert found.status == 0 and found.err == ""
        (row,) = found.json["experiments"]
        assert row["id"] == "ea_at_the_knee" and row["kind"] == "cross" and row["use"] == "validate"
        assert row["required"] == pytest.approx([22.0, 38.0], abs=0.1) and row["band"] == "not registered"
        assert row["verdict"] in scoreboard.VERDICTS and row["value"] > row["value_without"]
        shown = deqi("theories", "--experiments", path).out
        assert "ea_at_the_knee" in shown and f"{row['value']:.4g}" in shown

    def test_bad_files_and_theories_end_with_one_message(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.yaml"
        path.write_text(OUTSIDER.replace("pressure_pain_threshold", "presure_pain_threshold"))
        report = tmp_path / "out.html"
        found = deqi("theories", "--experiments", path, "--report", report)
        assert found.status == 2 and found.err.count("\n") == 1
        assert "did you mean 'pressure_pain_threshold'" in found.err
        assert found.out == "" and not report.exists()
        assert deqi("theories", "--theory", "muscles").status == 2
        assert deqi("theories", "--experiments", tmp_path / "none.yaml").status == 2

    def test_one_value_a_body(self) -> None:
        """A parameter is the same in every experiment of a body, and shared by all bodies that have no own."""
        fitted = {"gate.d_descending": 0.11, "rat:gate.d_descending": 0.66}
        assert values_of(body("human_clbp"), fitted)["gate.d_descending"] == 0.11
        assert values_of(body("human_healthy"), fitted)["gate.d_descending"] == 0.11
        for animal in ("rat", "mouse", "rabbit", "rat_neuropathic"):
            assert values_of(body(animal), fitted)["gate.d_descending"] == 0.66
        assert values_of(body("zhang_network"), fitted)["gate.d_descending"] == 0.0

    def test_the_bench_agrees_with_the_solver_of_the_clinic(self) -> None:
        from laboratory import exposure
        from laboratory import run as clinic

        asked = experiment({  # both with the parameters that ship
            "id": "x", "theory": "gate", "source": {"cite": "none"}, "body": "human_clbp", "readout": "nrs",
            "care": {"needle_local": 1.0, "mu_weight": 0.99, "surround": 3.0, "minutes": 30}, "statistic": "value_at",
            "at_minutes": 20, "required": [0, 10]})
        there = clinic([exposure(0, 30, needle_local=1.0, mu_weight=0.99, surround=3.0)], 60, ("nrs",)).at("nrs", 20)
        assert measure([asked], fitted_values(), [WHOLE])[0, 0] == pytest.approx(there, abs=0.01)

    def test_a_number_does_not_depend_on_what_else_is_run(self) -> None:
        chosen = [e for e in shipped() if e.id in ("dcf_adenosine", "dcf_duration", "ht_pt_offset_halflife")]
        together = measure(chosen, {}, [WHOLE])[:, 0]
        alone = [measure([e], {}, [WHOLE])[0, 0] for e in chosen]
        assert together == pytest.approx(alone, rel=1e-9)

    def test_blockade_reaches_the_body(self) -> None:
        asked = {"id": "x", "theory": "neurotransmitters", "source": {"cite": "none"}, "body": "human_clbp",
                 "care": {"do": "tens", "points": ["distal"], "frequency_hz": [2], "minutes": 30},
                 "compare": {"set": {}}, "readout": "fast_analgesia", "statistic": "removed_pct_at", "at_minutes": 30,
                 "required": [0, 100]}
        removed = [measure([experiment(asked | {"set": {"naloxone_mg_per_kg": dose}})], {}, [WHOLE])[0, 0]
                   for dose in (0.0, 0.002, 0.02)]
        assert removed[0] == pytest.approx(0) and removed[0] < removed[1] < removed[2] < 100


@pytest.fixture(scope="module")
def board() -> Scoreboard:
    return run(shipped())


@pytest.mark.slow  # every arm once more on a grid three times as fine
def test_a_finer_grid_changes_no_verdict(board: Scoreboard, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = laboratory.build
    monkeypatch.setattr(laboratory, "build", lambda line, resolution, refine: usual(
        line, resolution=resolution, refine=3 * refine))
    monkeypatch.setattr(laboratory, "lay", laboratory.lay.__wrapped__)
    monkeypatch.setattr(laboratory, "SIZES", (256, 1024, 4096, 16384, 65536))
    found = measure(shipped(), fitted_values(), [WHOLE])[:, 0]
    assert {row.experiment.id for row, value in zip(board.rows, found, strict=True)
            if row.experiment.band.verdict(float(value)) != row.verdict} == set()


class TestScoreboard:
    def test_it_says_the_same_twice(self, board: Scoreboard) -> None:
        again = run(shipped())
        assert json.dumps(again.as_json()["experiments"]) == json.dumps(board.as_json()["experiments"])

    def test_the_fit_is_of_these_equations_and_experiments(self) -> None:
        assert not stale()

    def test_the_stored_matrix_is_the_one_that_comes_out(self, board: Scoreboard) -> None:
        assert scoreboard.MATRIX.read_text() == scoreboard.matrix(board.rows)

    def test_every_miss_has_its_reason_and_no_reason_is_idle(self, board: Scoreboard) -> None:
        missed = {row.experiment.id for row in board.rows if row.verdict != "within"}
        assert {id for id in scoreboard.reasons()} == missed

    def test_known_contradictions_are_on_show(self, board: Scoreboard) -> None:
        found = {c["conflict"]: c for c in scoreboard.conflicts(board.rows)}
        for name in ("naloxone in man", "tolerance", "caffeine", "plasma beta-endorphin", "PET sign"):
            assert found[name]["of"] >= 2
            assert found[name]["met"] < found[name]["of"], f"{name}: one side must be missed"

    def test_yes_or_no_is_counted_apart(self, board: Scoreboard) -> None:
        for use in scoreboard.USES:
            c = scoreboard.summary(board.rows)["by_use"][use]
            assert c["numbers"]["experiments"] + c["yes_no"]["experiments"] == c["experiments"]
            assert c["numbers"]["experiments"] > 0 and c["yes_no"]["experiments"] > 0

    def test_without_its_theory_its_own_states_rest(self, board: Scoreboard) -> None:
        row = next(row for row in board.rows if row.experiment.id == "circ_fm_deep_muscle")
        assert row.without["circulation"][0] == pytest.approx(0.0) and row.verdict == "within"

    def test_the_page_holds_everything_and_asks_nobody(self, board: Scoreboard) -> None:
        from deqi.theories.report import render

        page = render(board)
        assert len(page) < 1_500_000 and "http-equiv" not in page and "<script" not in page
        assert not [word for word in ('src="http', 'href="http', "@import", "url(") if word in page]
        for row in board.rows:
            assert f"<code>{row.experiment.id}</code>" in page
        assert "beyond sham" in page and page.count("<math") > 50


def told(value: str, without: dict[str, str], *, kind: str = "cross", theory: str = "gate") -> Row:
    """A row with given verdicts."""
    e: Any = SimpleNamespace(id="x", theory=theory, kind=kind, conflict=None, readout="nrs", statistic="value_at")
    alone = {t: (0.0, without.get(t, "within")) for t in THEORIES}
    pairs = {pair: (0.0, without.get("+".join(pair), "within")) for pair in scoreboard.PAIRS}
    return Row(e, 0.0, value, alone, pairs, (0.0, "within"), "as registered", False, None)


@pytest.mark.parametrize("row, earned", [
    (told("within", {"gate": "outside"}), ("gate",)),
    (told("within", {"gate": "near"}), ()),
    (told("near", {"gate": "outside"}), ()),
    (told("outside", {"gate": "outside"}), ()),
    (told("within", {"gate": "outside"}, kind="internal"), ()),
    (told("within", {"gate": "outside", "muscle": "outside"}), ("gate", "muscle")),
    (told("within", {}), ()),
])
def test_a_theory_earns_only_what_is_within_with_it_and_outside_without(row: Row, earned: tuple[str, ...]) -> None:
    assert row.earned_by == earned


def test_a_number_that_cannot_be_formed_without_a_theory_is_not_earned() -> None:
    row = told("within", {"gate": "outside"})
    assert replace(row, without=row.without | {"gate": (math.nan, "outside")}).earned_by == ()
    own: Any = SimpleNamespace(**vars(row.experiment) | {"readout": "flow"})
    assert replace(row, experiment=own, without=row.without | {"circulation": (0.0, "outside")}).earned_by == ("gate",)


def test_a_tie_is_an_experiment_that_either_of_two_theories_is_enough_for() -> None:
    both = told("within", {"gate": "outside", "muscle": "outside", "gate+muscle": "outside"})
    either = told("within", {"gate+muscle": "outside"})
    neither = told("within", {})
    assert both.either == () and either.either == (("gate", "muscle"),) and neither.either == ()
    (pair,) = scoreboard.ties([both, either, neither])
    assert pair == {"theories": ["gate", "muscle"], "either": ["x"], "both": ["x"]}
    assert scoreboard.tied([both]) == [("gate", "muscle")]


@pytest.mark.parametrize("statistic, required, value, said", [
    ("effect_share_at", [105, None], 99.97, True), ("effect_share_at", [105, None], 104, False),
    ("fall_at", [4, 8], 0.1, True), ("fall_at", [4, 8], 3.0, False), ("fall_at", [-2, 2], 3.0, False),
    ("value_at", [4, 8], 3.0, False),
])
def test_near_that_is_nearer_to_no_effect_is_told(statistic: str, required: list[Any], value: float,
                                                  said: bool) -> None:
    asked = {"id": "x", "theory": "gate", "source": {"cite": "none"}, "body": "human_clbp", "care": "nothing",
             "readout": "nrs", "statistic": statistic, "at_minutes": 1, "required": required}
    if STATISTICS[statistic].compares:
        asked["compare"] = {"body": "human_healthy"}
    row = replace(told("near", {}), experiment=experiment(asked), value=value)
    assert row.near_to_nothing is said


class Forbidden:
    """An experiment for validation: reading anything but its use fails."""

    use = "validate"

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the loss read '{name}' of an experiment kept for validation")


SMALL = ("crp_halflife", "circ_myrer_le8_deep_20", "lactate_healthy", "circ_otte_0_10", "zhang_ss_C2_B0_D0_S0_k1")


@pytest.fixture(scope="module")
def loss() -> Loss:
    chosen: list[Any] = [e for e in shipped() if e.id in SMALL]
    return Loss([*chosen, Forbidden()])


class TestFit:
    def test_the_loss_never_reads_what_is_kept_for_validation(self, loss: Loss) -> None:
        assert len(loss.experiments) == len(SMALL)
        assert np.all(np.isfinite(loss(np.zeros(len(loss.free)))))

    def test_only_calibrating_experiments_are_stamped_and_a_change_of_one_is_seen(self) -> None:
        calibrating = [e for e in shipped() if e.use == "calibrate"]
        other = [replace(calibrating[0], band=replace(calibrating[0].band, high=1e6)), *calibrating[1:]]
        assert fit.stamp_of(calibrating) != fit.stamp_of(other)

    def test_gradient_is_that_of_finite_differences(self, loss: Loss) -> None:
        z = 0.1 * np.random.default_rng(3).standard_normal(len(loss.free))
        exact = loss.gradient(z)
        seen = [i for i, item in enumerate(loss.free) if item.address in (
            "gate.aC", "gate.theta", "inflammation.crp_half_life_hours", "circulation.to_deep_per_minute",
            "circulation.through_fat_minutes_per_mm", "human_healthy:circulation.lactate_rest")]
        assert len(seen) == 6
        for i in seen:
            step = np.zeros_like(z)
            step[i] = 1e-4
            slope = (loss(z + step) - loss(z - step)) / 2e-4
            assert np.max(np.abs(exact[: len(SMALL), i])) > 0
            assert exact[:, i] == pytest.approx(slope, rel=2e-2, abs=2e-3)

    def test_fitted_values_stay_within_their_priors(self) -> None:
        known = {item.address: item.prior for item in free_parameters()}
        assert set(fitted_values()) == set(known)
        for address, value in fitted_values().items():
            assert 0.02 * known[address].low <= value <= known[address].high * (1 + 1e-6), address

    def test_a_small_fit_gets_nearer_and_goes_on_from_its_checkpoint(self, tmp_path: Path,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fit, "fitted_places", lambda: {})
        some: list[Experiment] = [e for e in shipped() if e.id in SMALL[:2]]
        held, said = tmp_path / "checkpoint.json", []
        first = fit.fit(some, checkpoint=held, most=3, tell=said.append)
        assert first["loss"]["end"] <= first["loss"]["start"] and held.exists()
        second = fit.fit(some, checkpoint=held, most=3, tell=said.append)
        assert any("going on" in words for words in said)
        assert second["loss"]["end"] <= first["loss"]["end"] + 1e-6


class TestDiscrimination:
    def test_information_is_nothing_for_equal_rivals_and_one_bit_for_distant_ones(self) -> None:
        same = np.array([0.0, 0.1, -0.1])
        assert discriminate.information(same, same, 0.5) == pytest.approx(0, abs=1e-9)
        assert discriminate.information(same, same + 50, 0.5) == pytest.approx(1, abs=1e-6)
        nearer, farther = (discriminate.information(same, same + gap, 0.5) for gap in (0.5, 1.0))
        assert 0 < nearer < farther < 1

    def test_sample_size_is_that_of_the_textbook(self) -> None:
        """Difference of half an SD: 63 an arm for 80 % power at 5 %."""
        c = discriminate.candidates()[0]
        rank = discriminate._rank(("gate", "muscle"), replace(c, sd=2.0), np.zeros(4), np.ones(4))
        assert rank.people_per_arm == 63

    def test_every_declared_means_is_on_the_list(self) -> None:
        assert {c.dial for c in discriminate.candidates()} >= {
            "naloxone", "caffeine", "local anaesthetic", "remote or local point", "superficial or deep",
            "time of read-out"}

    def test_the_ranking_is_by_information_and_repeats(self) -> None:
        found = discriminate.predictions(n=4)
        ranks = discriminate.ranking([("gate", "neurotransmitters")], found)
        assert len(ranks) == len(discriminate.candidates())
        assert [r.bits for r in ranks] == sorted((r.bits for r in ranks), reverse=True)
        assert np.array_equal(found, discriminate.predictions(n=4), equal_nan=True)


def test_jax_stays_in_single_precision_outside_the_bench() -> None:
    assert jax.numpy.asarray(1.0).dtype == jnp.float32
