"""`deqi predict`: a trial file in, what it would report out, in its own units, from its people and its care alone."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
import yaml

from command import Ran, deqi

QUANTILES = ["0.025", "0.1", "0.25", "0.5", "0.75", "0.9", "0.975"]
WEEK = 6
TRIAL: dict[str, Any] = {
    "id": "mine2026", "condition": "chronic",
    "population": {"n_randomised": 150, "duration": "mean 5 years", "notes": "pain at least 4 of 10"},
    "arms": [
        {"id": "needles", "n": 50, "interventions": [
            {"type": "acupuncture", "sessions": 12, "sessions_per_week": 2, "duration_weeks": 6,
             "session_minutes": 30}]},
        {"id": "sham", "n": 50, "interventions": [
            {"type": "sham_penetrating", "sessions": 12, "sessions_per_week": 2, "duration_weeks": 6,
             "session_minutes": 30}]},
        {"id": "waiting", "n": 50, "interventions": [{"type": "waitlist"}]},
    ],
    "outcomes": [
        {"measure": "NRS", "scale": {"min": 0, "max": 10, "higher_is_worse": True}, "points": [
            *({"arm": arm, "week": 0, "mean": 6.3, "sd": 1.5} for arm in ("needles", "sham", "waiting")),
            *({"arm": arm, "week": WEEK, "mean": 4.0, "sd": 2.2} for arm in ("needles", "sham", "waiting"))],
         "contrasts": [{"arm": "needles", "versus": "sham", "week": WEEK, "difference": -0.5, "ci95": [-1.3, 0.3]}]},
        {"measure": "VAS", "scale": {"min": 0, "max": 100, "higher_is_worse": True}, "points": [
            *({"arm": arm, "week": 0, "mean": 63, "sd": 15} for arm in ("needles", "sham", "waiting")),
            {"arm": "needles", "week": WEEK, "mean": 40, "sd": 22}]},
        {"measure": "HFAQ", "scale": {"min": 0, "max": 100, "higher_is_worse": False}, "points": [
            *({"arm": arm, "week": 0, "mean": 47, "sd": 15} for arm in ("needles", "sham", "waiting")),
            {"arm": "needles", "week": WEEK, "mean": 65, "sd": 20}, {"arm": "waiting", "week": WEEK, "change": 2}]},
    ],
    "responders": [{"definition": ">=30% reduction in pain", "arm": "needles", "week": WEEK, "n": 50,
                    "n_responders": 24}],
}


def changed(path: str, value: object, of: dict[str, Any] = TRIAL) -> dict[str, Any]:
    """A trial with one field changed; `path` uses dots, digits are list places."""
    body = copy.deepcopy(of)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = body
    for part in parents:
        place = place[part]
    place[last] = value
    return body


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("predict")


@pytest.fixture(scope="module")
def ask(folder):
    """Run `deqi predict` on a trial, once for each trial and seed."""
    known: dict[str, Ran] = {}

    def run(body: Any, *more: object, seed: int = 1) -> Ran:
        key = json.dumps([body, more, seed], default=str)
        if key not in known:
            file = folder / "trial.yaml"
            file.write_text(body if isinstance(body, str) else yaml.safe_dump(body), encoding="utf-8")
            known[key] = deqi("predict", file, "--json", "-", "--seed", seed, *more)
        return known[key]

    return run


@pytest.fixture(scope="module")
def found(ask) -> dict[str, Any]:
    ran = ask(TRIAL)
    assert ran.status == 0
    return ran.json


def row(found: dict[str, Any], arm: str, outcome: str, statistic: str) -> dict[str, Any]:
    (one,) = [r for r in found["arms"] if (r["arm"], r["outcome"], r["week"], r["statistic"])
              == (arm, outcome, WEEK, statistic)]
    return one


def contrast(found: dict[str, Any], arm: str, versus: str, outcome: str = "NRS") -> dict[str, Any]:
    (one,) = [r for r in found["contrasts"] if (r["arm"], r["versus"], r["outcome"]) == (arm, versus, outcome)]
    return one


def numbers(found: dict[str, Any]) -> str:
    """What is predicted, without where the file lay."""
    return json.dumps([found["arms"], found["contrasts"]])


def test_it_has_the_keys_of_the_interface(found):
    assert set(found) >= {"arms", "contrasts", "not_predicted", "outside", "provenance", "read_as"}
    for r in found["arms"]:
        assert set(r) - {"responder"} == {"arm", "outcome", "week", "statistic", "mean", "sd", "quantiles"}
    for r in found["contrasts"]:
        assert set(r) == {"arm", "versus", "outcome", "week", "mean", "sd", "quantiles"}
    assert found["provenance"]["seed"] == 1 and found["provenance"]["version"]
    # what the file asks for is there: the levels and the changes of each arm, and the share of responders
    asked = {(arm, outcome, kind) for arm in ("needles", "sham", "waiting") for outcome in ("NRS",)
             for kind in ("mean", "change")}
    asked |= {("needles", outcome, kind) for outcome in ("VAS", "HFAQ") for kind in ("mean", "change")}
    assert {(r["arm"], r["outcome"], r["statistic"]) for r in found["arms"]} >= asked
    assert row(found, "needles", "NRS" if "NRS" in {r["outcome"] for r in found["arms"]
                                                    if r["statistic"] == "percent"} else "VAS", "percent")
    assert found["outside"] is None
    assert {r["week"] for r in found["arms"]} == {WEEK}         # the baseline is no prediction


def test_quantiles_stand_in_order_and_around_the_mean(found):
    for r in (*found["arms"], *found["contrasts"]):
        assert list(r["quantiles"]) == QUANTILES
        values = list(r["quantiles"].values())
        assert values == sorted(values) and values[0] < values[-1], r
        assert values[1] < r["mean"] < values[-2]
        assert 0.15 < r["sd"] / (values[-1] - values[0]) < 0.45


def test_it_speaks_the_units_of_the_file(found):
    nrs, vas = (row(found, "needles", outcome, "mean") for outcome in ("NRS", "VAS"))
    assert 2.0 < nrs["mean"] < 6.3 and vas["mean"] == pytest.approx(10.0 * nrs["mean"], abs=2.0)
    assert vas["sd"] == pytest.approx(10.0 * nrs["sd"], rel=0.15)
    for outcome, start in (("NRS", 6.3), ("VAS", 63.0)):
        level, change = (row(found, "needles", outcome, kind)["mean"] for kind in ("mean", "change"))
        assert change < 0.0 and level - start == pytest.approx(change, abs=0.03 * start)
    level, change = (row(found, "needles", "HFAQ", kind)["mean"] for kind in ("mean", "change"))
    assert change > 2.0 and level - 47.0 == pytest.approx(change, abs=1.5)        # a higher score is better
    share = next(r for r in found["arms"] if r["statistic"] == "percent")
    assert 15.0 < share["mean"] < 85.0 and "30 %" in share["responder"]
    assert all(0.0 <= q <= 100.0 for q in share["quantiles"].values())


def test_waiting_helps_less_than_needles_and_needles_hardly_more_than_sham(found):
    waiting, sham = contrast(found, "needles", "waiting"), contrast(found, "needles", "sham")
    assert waiting["mean"] < -0.5 and waiting["quantiles"]["0.75"] < 0.0
    assert waiting["mean"] < sham["mean"] < 0.3
    assert waiting["mean"] == pytest.approx(row(found, "needles", "NRS", "change")["mean"]
                                            - row(found, "waiting", "NRS", "change")["mean"], abs=1e-9)
    function = contrast(found, "needles", "waiting", "HFAQ")
    assert function["mean"] > 2.0


def test_a_difference_alone_gives_both_arms_their_own_people(ask):
    """The people behind a difference are those of both arms together; the people of one arm are its own."""
    alone = copy.deepcopy(TRIAL)
    alone["outcomes"] = [{"measure": "NRS", "scale": {"min": 0, "max": 10, "higher_is_worse": True}, "points": [
        {"arm": arm, "week": 0, "mean": 6.3, "sd": 1.5} for arm in ("needles", "sham")],
        "contrasts": [{"arm": "needles", "versus": "sham", "week": WEEK, "difference": -0.5, "ci95": [-1.3, 0.3]}]}]
    alone["responders"] = []
    for arm in alone["arms"]:
        arm["n"] = 4
    a, b = (row(ask(alone).json, arm, "NRS", "change")["sd"] for arm in ("needles", "sham"))
    assert a == pytest.approx(b, rel=0.07)


def test_arms_are_compared_in_the_order_of_the_file(found):
    pairs = [(r["arm"], r["versus"]) for r in found["contrasts"] if r["outcome"] == "NRS"]
    assert pairs == [("needles", "sham"), ("needles", "waiting"), ("sham", "waiting")]


def test_a_difference_that_stands_alone_is_turned_as_the_file_has_it(ask):
    turned = changed("outcomes.0.contrasts.0", {"arm": "waiting", "versus": "needles", "week": 12, "difference": None})
    later = [r for r in ask(turned).json["contrasts"] if r["week"] == 12]
    assert [(r["arm"], r["versus"]) for r in later] == [("waiting", "needles")] and later[0]["mean"] > 0.5


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(ask, found, folder):
    file = folder / "again.yaml"
    file.write_text(yaml.safe_dump(TRIAL), encoding="utf-8")
    assert numbers(deqi("predict", file, "--json", "-", "--seed", 1).json) == numbers(found)
    other = ask(TRIAL, seed=2).json
    assert numbers(other) != numbers(found)
    a, b = (row(x, "needles", "NRS", "mean") for x in (found, other))
    assert abs(a["mean"] - b["mean"]) < 0.25 * a["sd"]


def test_fewer_people_make_it_less_sure(ask, found):
    small = copy.deepcopy(TRIAL)
    for arm in small["arms"]:
        arm["n"] = 8
    small["responders"][0] |= {"n": 8, "n_responders": 4}
    few = ask(small).json
    for r in found["arms"]:
        other = next(x for x in few["arms"] if all(x[k] == r[k] for k in ("arm", "outcome", "statistic")))
        assert other["sd"] > 1.1 * r["sd"], r
    assert contrast(few, "needles", "sham")["sd"] > 1.5 * contrast(found, "needles", "sham")["sd"]


def test_what_was_reported_afterwards_does_not_matter(ask, found):
    told = copy.deepcopy(TRIAL)
    for outcome in told["outcomes"]:
        for point in outcome["points"]:
            if point["week"] > 0:
                for key, value in (("mean", 0.2), ("sd", 0.9), ("change", -0.3)):
                    if key in point:
                        point[key] = value * (outcome["scale"]["max"] / 10)
                point["se"] = 0.05
    told["outcomes"][0]["contrasts"][0] |= {"difference": -4.0, "ci95": [-4.2, -3.8]}
    told["responders"][0]["n_responders"] = 49
    assert numbers(ask(told).json) == numbers(found)


def test_a_trial_without_results_is_predicted_alike(ask, found):
    planned = copy.deepcopy(TRIAL)
    for outcome in planned["outcomes"]:
        for point in outcome["points"]:
            if point["week"] > 0:
                for key in {"mean", "sd", "change"} & set(point):
                    point[key] = None
    ran = ask(planned)
    assert ran.status == 0
    level = row(ran.json, "needles", "NRS", "mean")
    assert level["mean"] == pytest.approx(row(found, "needles", "NRS", "mean")["mean"], abs=0.1)


def test_where_people_start_matters(ask, found):
    worse = copy.deepcopy(TRIAL)
    for outcome, start in zip(worse["outcomes"], (8.0, 80.0, 47.0), strict=True):
        for point in outcome["points"]:
            if point["week"] == 0:
                point["mean"] = start
    assert row(ask(worse).json, "needles", "NRS", "mean")["mean"] > row(found, "needles", "NRS", "mean")["mean"] + 0.5


def test_each_arm_says_what_it_was_read_as(found):
    read = {r["arm"]: r for r in found["read_as"]}
    assert "acupuncture" in " ".join(read["needles"]["care"]) and read["needles"]["dose"] == "reported"
    assert "sham" in " ".join(read["sham"]["care"])


def test_a_dose_that_is_not_told_is_said_to_be_spread(ask):
    vague = changed("arms.0.interventions", [{"type": "acupuncture"}])
    read = {r["arm"]: r for r in ask(vague).json["read_as"]}
    assert "marginalised" in read["needles"]["dose"]


@pytest.mark.parametrize("notes", ["pregnant women, 20-30 weeks of gestation", "sciatica for 6 weeks"])
def test_people_outside_deqis_population_are_said_to_be(ask, notes):
    outside = changed("population.notes", notes)
    ran = ask(outside)
    assert ran.status == 0 and ran.json["outside"] is not None
    assert notes.split()[0][:4].lower() in ran.json["outside"]


def test_plain_lines_name_arms_weeks_and_people_outside(folder):
    file = folder / "lines.yaml"
    file.write_text(yaml.safe_dump(changed("population.notes", "pregnant women")), encoding="utf-8")
    ran = deqi("predict", file)
    assert ran.status == 0 and "needles minus" in ran.out and "Arms read as:" in ran.out
    assert "Outside the people deqi is calibrated on: pregnancy." in ran.out


REFUSED = {
    "sd-0": (changed("outcomes.0.points.3.sd", 0), "outcomes[0].points[3].sd"),
    "n-0": (changed("arms.1.n", 0), "arms[1].n"),
    "140-percent": (changed("responders.0", {"definition": ">=30% reduction in pain", "arm": "needles", "week": WEEK,
                                             "percent": 140}), "responders[0].percent"),
    "week-3": (changed("outcomes.0.points.3.week", -3), "outcomes[0].points[3].week"),
    "mean-35": (changed("outcomes.0.points.3.mean", 35), "outcomes[0].points[3].mean"),
    "unknown-measure": (changed("outcomes.0.measure", "Zufriedenheit"), "outcomes[0].measure"),
    "unknown-arm": (changed("outcomes.0.points.3.arm", "neddles"), "outcomes[0].points[3].arm"),
    "unknown-care": (changed("arms.0.interventions.0.type", "acupunkture"), "arms[0].interventions[0].type"),
    "no-arms": ({k: v for k, v in TRIAL.items() if k != "arms"}, "arms"),
    "nothing-to-predict": (changed("outcomes", []) | {"responders": []}, "outcomes"),
    "not-yaml": ("id: [1, 2", "YAML"),
    "a-list": ("- 1\n- 2\n", "mapping"),
    "empty": ("", "empty"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_impossible_is_refused_in_one_line(ask, name):
    body, word = REFUSED[name]
    ran = ask(body)
    assert ran.status == 2 and ran.out == ""
    assert ran.err.startswith("deqi: ") and ran.err.count("\n") == 1 and "Traceback" not in ran.err, ran.err
    assert word in ran.err and "trial.yaml" in ran.err


def test_a_file_that_is_not_there_is_refused():
    ran = deqi("predict", "no-such-trial.yaml", "--json", "-")
    assert ran.status == 2 and ran.out == "" and ran.err.count("\n") == 1 and "no-such-trial.yaml" in ran.err


def test_numbers_are_finite(found):
    assert all(np.isfinite([r["mean"], r["sd"], *r["quantiles"].values()]).all()
               for r in (*found["arms"], *found["contrasts"]))
