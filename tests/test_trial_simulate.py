"""Simulated people: the same whoever computes them, treated and lost as the design says, and counted exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deqi.population.coordinates import NAMES, Coordinates
from deqi.population.patients import draw, population_of
from deqi.population.readout import reported_disability, reported_weeks
from deqi.trial import run
from deqi.trial.places import TabledPlaces
from deqi.trial.randomness import PIECE, keys, stream, weekly_noise
from deqi.trial.run import Chunk
from deqi.trial.tally import HUNDREDTHS, SUMS, Tally
from designs import SHORT, small

ARMS = [{"id": "a", "plan": f"acupuncture {SHORT}"}, {"id": "b", "plan": f"acupuncture {SHORT}"}]


@pytest.fixture(scope="module")
def posterior():
    return run.simulate(small(), "posterior")


def test_a_person_has_the_same_scores_alone_as_in_a_crowd():
    design = small()
    crowd = run.work(design, Chunk("posterior", 0, 240), tables=True)[1]
    for trial, patient in ((0, 0), (3, 7), (5, 39)):
        place = 40 * trial + patient
        alone = run.work(design, Chunk("posterior", place, place + 1), tables=True)[1]
        together = crowd[(crowd["trial"] == trial) & (crowd["patient"] == patient)].reset_index(drop=True)
        assert alone.equals(together)


@pytest.mark.parametrize("chunk,threads", [(77, 1), (100, 2), (10_000, 2)])
def test_chunks_and_threads_change_no_bit(posterior, chunk, threads):
    assert run.simulate(small(), "posterior", chunk=chunk, threads=threads).equals(posterior)


@pytest.mark.slow  # hundreds of trials in one call of the solver, each in its own averages, against few
def test_many_small_trials_in_one_piece_change_no_bit():
    design = small(n=16, trials=400)
    assert run.simulate(design, "posterior", chunk=500).equals(run.simulate(design, "posterior"))


def test_more_trials_or_larger_ones_leave_those_there_were(posterior):
    grown = run.simulate(small(n=[24, 40, 64], trials=8), "posterior")
    np.testing.assert_array_equal(grown.by_size[:6, :2], posterior.by_size)


def test_another_seed_or_world_has_other_people(posterior):
    for other in (run.simulate(small(seed=4), "posterior"), run.simulate(small(), "central")):
        assert not np.array_equal(other.sums, posterior.sums)


def test_sums_are_those_of_the_records(posterior):
    design = small()
    records = run.records(design, "posterior", range(2, 4))
    assert set(records["trial"]) == {2, 3}
    for (trial, arm, outcome, visit), rows in records.groupby(["trial", "arm", "outcome", "visit"]):
        seen = rows[rows["value"].notna()]
        x, y = (np.rint(HUNDREDTHS * seen[name]).astype(int) for name in ("baseline", "value"))
        expected = [len(y), y.sum(), (y * y).sum(), x.sum(), (x * x).sum(), (x * y).sum(),
                    ((x > 0) & (x - y >= 0.3 * x - 1e-9)).sum()]
        cell = posterior.by_size[trial, -1, design.arm_ids.index(arm), design.cell(outcome, visit)]
        assert cell.tolist() == expected


def test_weeks_and_histograms_count_everybody(posterior):
    assert (posterior.histogram.sum(axis=-1) == posterior.weekly[..., 0]).all()
    assert (posterior.weekly[..., 0] == posterior.allocated[:, None, None]).all()
    bins = np.arange(posterior.histogram.shape[-1])
    mean = (posterior.histogram * bins).sum(axis=-1) / posterior.weekly[..., 0]
    assert np.abs(mean[:, 0] / 10.0 - posterior.weekly_mean[:, 0]).max() < 1e-9, "pain is reported in whole numbers"
    assert np.abs(mean[:, 1] - posterior.weekly_mean[:, 1]).max() < 0.5


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(1, 5), max_size=3), seed=st.integers(0, 10**6))
def test_parts_add_up_in_any_order(cuts, seed):
    design, rng = small(), np.random.default_rng(seed)
    edges = sorted({0, 6, *cuts})
    parts = []
    for first, last in zip(edges, edges[1:], strict=False):
        part = Tally.empty(design, first, last - first)
        for values in (part.sums, part.screened, part.weekly, part.histogram):
            values[:] = rng.integers(0, 2**40, values.shape)
        parts.append(part)
    one = parts[0]
    for part in parts[1:]:
        one = one + part
    other = parts[-1]
    for index in rng.permutation(len(parts) - 1):
        other = other + parts[index]
    whole = Tally.empty(design)
    for part in parts:
        whole.include(part)
    assert one.equals(other) and one.equals(whole)


def test_a_tally_survives_its_file(posterior, tmp_path):
    posterior.save(tmp_path / "tally.npz")
    assert Tally.load(tmp_path / "tally.npz").equals(posterior)


def test_arms_alike_have_no_true_difference():
    truth = run.truth(small(arms=ARMS, allocation=None), people=2048)
    assert (truth.difference == 0.0).all() and (truth.se == 0.0).all()
    assert (truth.responder_difference == 0.0).all()


def test_trials_scatter_around_the_truth_and_their_sham_is_found_out_at_the_stated_rate():
    design = small(attrition=None, n=2000, trials=2, eligibility={"pain": {"least": 4}})
    truth, found = run.truth(design, people=8192), run.simulate(design)
    n, y = (found.by_size[:, -1].sum(axis=0)[..., SUMS.index(name)] for name in ("n", "y"))
    error = truth.sd * np.sqrt(1.0 / n + 1.0 / truth.people)
    assert (np.abs(y / n / HUNDREDTHS - truth.mean) < 4.0 * error).all()
    assert truth.difference[0, 0] < 0.0, "needles help a little"
    assert found.found_out[0] == found.found_out[2] == 0
    assert abs(found.found_out[1] / found.allocated[1] - 0.2) < 4.0 * math.sqrt(0.16 / found.allocated[1])


def test_who_finds_out_a_sham_fares_worse():
    shams = {"arms": [{"id": "a", "plan": f"acupuncture {SHORT}"},
                      {"id": "b", "plan": f"penetrating sham acupuncture {SHORT}"}], "allocation": None}
    blind, knowing = (run.truth(small(**shams, blinding={"found_out": share}), people=2048) for share in (0, 1))
    assert (knowing.mean[0] == blind.mean[0]).all(), "the true needle's patients have nothing to find out"
    assert (knowing.mean[1] > blind.mean[1]).all()


def test_people_are_lost_at_the_hazard_and_stay_lost():
    design = small(arms=ARMS, allocation=None, attrition={"per_week": 0.1}, n=4000, trials=1, outcomes=["pain"])
    seen = run.simulate(design).sums[..., SUMS.index("n")].sum(axis=(0, 1, 2)) / 4000
    for share, weeks in zip(seen, (2, 4), strict=True):
        expected = 0.9**weeks
        assert abs(share - expected) < 4.0 * math.sqrt(expected * (1.0 - expected) / 4000)


def test_those_in_more_pain_are_lost_more_often():
    rules = (None, {"per_week": 0.1, "odds_per_point": 1.0}, {"per_week": 0.1, "odds_per_point": 3.0})
    last = [run.simulate(small(attrition=rule, n=4000, trials=1)).by_size[0, -1, :, 1] for rule in rules]
    mean = [sums[:, SUMS.index("y")].sum() / sums[:, SUMS.index("n")].sum() / HUNDREDTHS for sums in last]
    assert abs(mean[1] - mean[0]) < 0.07, "loss at random leaves the mean"
    assert mean[2] < mean[0] - 0.15


def test_a_bad_week_at_recruitment_makes_people_fall_by_themselves():
    waiting = {"arms": [{"id": c, "plan": "nothing"} for c in "ab"], "allocation": None, "blinding": {}}
    bad, usual = (run.truth(small(**waiting, recruitment={"bad_week": value}), people=4096) for value in (True, False))
    fall = [truth.baseline_mean["pain"] - truth.mean[0, 1] for truth in (bad, usual)]
    assert fall[0] > fall[1] + 0.1


def test_expectation_moves_the_response_in_the_posterior_alone():
    hopeful, doubtful = ({"expectation": {"mean": mean, "sd": 0}} for mean in (10, 0))
    same = [run.simulate(small(trials=1, **change), "central") for change in (hopeful, doubtful)]
    assert same[0].equals(same[1]), "the prior of its slope is centred on nothing"
    other = [run.simulate(small(trials=1, **change), "posterior") for change in (hopeful, doubtful)]
    assert not other[0].equals(other[1])


def test_noise_of_keys_is_distributed_as_noise_of_seeds():
    people = draw(population_of("chronic"), PIECE, 5)
    latent = np.tile(people.person["usual_nrs"], (40, 1))
    disability = np.tile(people.person["usual_disability"], (40, 1))
    seeds = [(reported_weeks(latent, people, s, rounded=False), reported_disability(disability, people, s, latent))
             for s in range(8)]
    keyed = [_read(people, latent, disability, trial) for trial in range(8)]
    for k, width in ((0, 0.02), (1, 0.2)):
        one, other = (np.stack([pair[k] for pair in pairs]) for pairs in (seeds, keyed))
        spread = np.std(one.mean(axis=(1, 2))) + np.std(other.mean(axis=(1, 2)))
        assert abs(one.mean() - other.mean()) < max(4.0 * spread / math.sqrt(8), width)
        np.testing.assert_allclose(np.std(other, axis=(0, 2)), np.std(one, axis=(0, 2)), rtol=0.05)
        change = [np.std(np.diff(x, axis=1)) for x in (one, other)]
        assert change[1] == pytest.approx(change[0], rel=0.03)


def _read(people, latent, disability, trial):
    from deqi.population.readout import Wanderings, disability_with, level_with, week_with_days, weekly_flares

    own = keys(stream(1, 0, 0), np.full(PIECE, trial), np.arange(PIECE))
    noise = weekly_noise(own, weekly_flares(people, 40, None))
    level = level_with(latent, people, Wanderings(noise.spell, noise.drift))
    return (week_with_days(level, people, noise.day, noise.flare_hours),
            disability_with(disability, people, level - latent, noise.own, noise.error))


@pytest.mark.parametrize("shape", [0.25, 0.45, 0.8, 1.0, 4.5, 9.0, 30.0])
def test_tabled_gamma_numbers_are_the_computed_ones(shape):
    u = (np.random.default_rng(1).integers(2**32, size=(len(NAMES), 500)) + 0.5) * 2.0**-32
    np.testing.assert_allclose(TabledPlaces(u).gamma("healing", shape), Coordinates(u).gamma("healing", shape),
                               rtol=1e-6, atol=1e-300)
