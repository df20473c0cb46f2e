"""A design that can be is read whole; one that cannot is refused with its field before anything runs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from deqi.errors import InputError
from deqi.trial import run
from deqi.trial.design import load_design, parse_design
from deqi.trial.recruit import allocated, enrol
from deqi.trial.tally import SCREENED
from deqi.trial.worlds import POSTERIOR, central, names, settings
from designs import SHORT, SMALL, small

ARMS = SMALL["arms"]
IMPOSSIBLE: dict[str, tuple[dict[str, Any], str]] = {
    "nobody": ({"n": 0}, "trial.n[0]"),
    "fewer than nobody": ({"n": [-4]}, "trial.n[0]"),
    "half a person": ({"n": 60.5}, "trial.n[0]"),
    "too few for the arms": ({"n": [100, 7]}, "trial.n[1]"),
    "no trial": ({"trials": 0}, "trial.trials"),
    "one arm": ({"arms": ARMS[:1], "allocation": None}, "trial.arms"),
    "the same arm twice": ({"arms": [ARMS[0], ARMS[0]], "allocation": None}, "trial.arms[1].id"),
    "a plan that is none": ({"arms": [{"id": "a", "plan": "acupncture daily"}, ARMS[1]], "allocation": None},
                            "trial.arms[0].plan"),
    "an unknown arm": ({"analysis": {"primary": {"week": 4}, "contrasts": [{"of": "vermu", "versus": "sham"}]}},
                       "trial.analysis.contrasts[0].of[0]"),
    "an arm on both sides": ({"analysis": {"primary": {"week": 4},
                                           "contrasts": [{"of": ["sham"], "versus": ["verum", "sham"]}]}},
                             "trial.analysis.contrasts[0].versus"),
    "a visit on the first day": ({"visits": [0, 4]}, "trial.visits[0]"),
    "a visit before treatment": ({"arms": [{"id": c, "plan": f"acupuncture {SHORT} starting in week 3"} for c in "ab"],
                                  "allocation": None}, "trial.visits[0]"),
    "a visit in another life": ({"visits": [4, 521]}, "trial.visits[1]"),
    "no primary visit": ({"analysis": {"primary": {"week": 3}}}, "trial.analysis.primary.week"),
    "no primary outcome": ({"outcomes": ["disability"]}, "trial.analysis.primary.outcome"),
    "a ratio for other arms": ({"allocation": {"ratio": [1, 1]}}, "trial.allocation.ratio"),
    "a misspelt key": ({"vists": [4]}, "trial.vists"),
    "pain that nobody has": ({"eligibility": {"pain": {"least": 8, "most": 3}}}, "trial.eligibility.pain.least"),
    "a theory against itself": ({"theories": ["gate", "gate"]}, "trial.theories"),
    "an unknown theory": ({"theories": ["gate", "chi"]}, "trial.theories[1]"),
    "a mixed model of a town": ({"n": 20_001, "analysis": {"primary": {"week": 4, "method": "mixed"}}}, "trial.n[0]"),
    "two rules of response": ({"analysis": {"primary": {"week": 4}, "responder": {"relative": 0.3, "absolute": 2}}},
                              "trial.analysis.responder"),
}


@pytest.mark.parametrize("changes,field", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_cannot_be_is_refused_with_its_field(changes, field):
    with pytest.raises(InputError) as refused:
        small(**changes)
    assert refused.value.field == field
    assert refused.value.file == "trial.yaml"
    assert refused.value.accepted


def test_more_than_a_run_can_hold_needs_a_folder():
    with pytest.raises(InputError, match="--out") as refused:
        run.check(small(n=10**12))
    assert refused.value.field == "trial.n"
    with pytest.raises(InputError, match="random numbers"):
        run.check(small(n=10**12), "folder")


def test_almost_nobody_eligible_is_refused_with_the_reason():
    with pytest.raises(InputError, match="left out by pain") as refused:
        run.check(small(eligibility={"pain": {"least": 10}, "disability": {"most": 1}}))
    assert refused.value.field == "trial.eligibility"


def test_a_design_survives_its_own_data(tmp_path):
    design = small()
    assert parse_design(design.as_data()).as_data() == design.as_data()
    assert parse_design(design.as_data()).hash() == design.hash() != small(seed=4).hash()
    path = tmp_path / "trial.yaml"
    path.write_text("trial:\n  arms:\n    - {id: a, plan: walking 30 min daily for 4 weeks}\n"
                    "    - {id: b, plan: nothing}\n  visits: [4]\n  analysis: {primary: {week: 4}}\n  n: 40\n")
    read = load_design(path)
    assert (read.sizes, read.ratio, read.trials) == ((40,), (1, 1), 500)
    assert read.comparators == ("active", "no treatment")
    assert [contrast.title for contrast in read.contrasts] == ["a versus b"]


def test_weights_of_a_factorial_contrast_are_means_over_arms():
    design = small(arms=[{"id": name, "plan": f"acupuncture {SHORT}"} for name in "abcd"], allocation=None,
                   analysis={"primary": {"week": 4}, "contrasts": [{"of": ["a", "c"], "versus": ["b", "d"]}]})
    assert design.weights(design.contrasts[0]).tolist() == [0.5, -0.5, 0.5, -0.5]


def test_worlds_follow_from_the_theories():
    assert names(small()) == ("central", "posterior")
    assert names(small(theories=["gate", "muscle"])) == ("central", "posterior", "without:gate", "without:muscle")
    with pytest.raises(InputError, match="no such world"):
        run.simulate(small(), "without:chi")


def test_everybody_in_the_trial_met_the_criteria_and_every_candidate_is_accounted_for():
    design = small(n=400)
    people = enrol(design, "central", 0, 2000)
    from deqi.population.patients import duration_at_enrolment
    from deqi.trial.recruit import baseline, who

    pain, disability = baseline(who(design), people.places)
    assert pain.min() >= 4
    assert duration_at_enrolment(who(design), people.places).min() >= 26
    assert disability.min() >= 20 and disability.max() <= 90
    counted = dict(zip(SCREENED, people.screened.tolist(), strict=True))
    assert counted["randomised"] == 2000
    assert counted["assessed"] == sum(counted.values()) - counted["assessed"]
    share = counted["declined"] / (counted["declined"] + 2000)
    assert abs(share - 0.2) < 4.0 * math.sqrt(0.16 / 2500)


def test_blocks_keep_the_ratio_in_every_trial_and_differ_between_trials():
    design = small(n=[16, 24])
    trial, position = np.divmod(np.arange(24 * 50), 24)
    arms = allocated(design, "central", trial, position).reshape(50, 24)
    for size in (8, 16, 24):
        assert (np.sum(arms[:, :size] == 0, axis=1) == size // 2).all()
    assert len({tuple(row) for row in arms}) > 45


def test_simple_randomisation_keeps_the_ratio_on_average_only():
    design = small(allocation={"ratio": [2, 1, 1], "method": "simple"})
    trial, position = np.divmod(np.arange(40 * 500), 40)
    arms = allocated(design, "central", trial, position)
    assert abs(np.mean(arms == 0) - 0.5) < 4.0 * math.sqrt(0.25 / 20_000)
    assert np.std(np.sum(arms.reshape(500, 40) == 0, axis=1)) > 2.0


def test_trials_of_the_posterior_differ_in_averages_setting_and_arms():
    design = small(arms=[*ARMS, {"id": "again", "plan": ARMS[0]["plan"]}], allocation=None)
    found = settings(design, POSTERIOR, 0, 4000)
    later = settings(design, POSTERIOR, 100, 7)
    for name in ("context_plateau", "trial_context"):
        np.testing.assert_array_equal(later.averages[name], found.averages[name][100:107])
    spread = np.sqrt(np.mean(found.averages["trial_context_sd"] ** 2))
    assert abs(np.std(np.log(found.averages["trial_context"])) / spread - 1.0) < 0.1
    assert (found.own[:, 0] == found.own[:, 3]).all(), "arms of the same plan share what is their own"
    assert np.std(found.own[:, 2]) > np.std(found.own[:, 0]), "other care varies more than needles"
    assert abs(np.mean(np.log(found.averages["context_et50_weeks"])) - np.log(central()["context_et50_weeks"])) < 0.15
