"""What the averages are fitted to: each datum once, nothing that is kept for judging, a reason for what is left out."""

from __future__ import annotations

from collections import Counter

import pytest

from deqi import evidence
from deqi.calibrate import targets
from deqi.calibrate.problem import build
from deqi.evidence import _shelves


@pytest.fixture(scope="module")
def fitted():
    return {trial.id: trial for trial in targets.fitted()}


@pytest.fixture
def unread(monkeypatch):
    """Targets as if nothing had been read yet; what was remembered comes back afterwards."""
    targets.studies.cache_clear()
    yield monkeypatch
    targets.studies.cache_clear()


def named_instead() -> set[str]:
    return {id for row in targets.table() for id in row.get("instead", ())}


def test_only_facts_meant_for_it_are_used():
    used = targets.facts_used()
    assert len(used) > 20 and len(set(used)) == len(used)
    for id in used:
        found = evidence.fact(id)
        assert found.use == "calibrate", id
        assert not found.file.startswith(("pooled/", "meta_chronic", "context/")), id


def test_what_a_fact_stands_for_is_not_used_beside_it():
    instead = named_instead()
    assert len(instead) > 5
    assert all(evidence.exists(id) for id in instead)
    assert not instead & set(targets.facts_used())
    assert not instead & set(trial.id for trial in targets.studies())


def test_no_two_targets_read_the_same_number():
    read = Counter()
    for row in targets.table():
        for entry in targets._entries(row):
            read[entry["fact"], entry.get("path")] += 1
    assert max(read.values()) == 1


def watched(monkeypatch) -> list[evidence.Fact]:
    """Targets that note every fact they ask for, and fail on one that is not meant for a fit."""
    seen: list[evidence.Fact] = []
    real_fact, real_trials = evidence.fact, evidence.trials

    def fact(id):
        found = real_fact(id)
        assert found.use == "calibrate", f"{found.key} is for {found.use}"
        seen.append(found)
        return found

    def trials(use=None):
        assert use == "calibrate"
        return real_trials(use)

    def refused(*_):
        raise AssertionError("a whole shelf or file was read")

    monkeypatch.setattr(evidence, "fact", fact)
    monkeypatch.setattr(evidence, "trials", trials)
    for door in ("facts", "document"):
        monkeypatch.setattr(evidence, door, refused)
    return seen


def test_nothing_kept_for_judging_is_read(unread):
    seen = watched(unread)
    assert len(targets.fitted()) > 40
    assert {f.id for f in seen} == set(targets.facts_used())
    assert not any(f.file.startswith(("pooled/", "meta_chronic", "context/")) for f in seen)


def test_a_target_that_reads_a_pooled_result_would_be_seen(unread):
    pooled = next(f for f in _shelves.facts(use="validate") if "effect" in f.body and "ci95" in f.body)
    row = {"id": "forbidden", "condition": "chronic",
           "arms": {"a": [{"type": "exercise"}], "b": [{"type": "usual_care"}]},
           "contrast": {"outcome": "pain intensity", "fact": pooled.key, "arm": "a", "versus": "b", "week": 12}}
    rows = [*targets.table(), row]
    unread.setattr(targets, "table", lambda: rows)
    watched(unread)
    with pytest.raises(AssertionError, match="is for validate"):
        targets.fitted()


def test_every_study_is_fitted_once_or_says_why_not(fitted):
    every = targets.studies()
    assert max(Counter(t.id for t in every).values()) == 1
    assert {t.id for t in every} >= {fact.id for fact in evidence.trials("calibrate")}
    assert len(fitted) == len(targets.fitted()) > 40
    for trial in every:
        reason = targets.left_out(trial)
        assert (reason is None) == (trial.id in fitted)
        assert reason is None or len(reason) > 10
        if trial.outside is not None:
            assert reason is not None and trial.outside in reason


def test_trials_of_other_people_are_left_out(fitted):
    left = {t.id: targets.left_out(t) for t in targets.studies() if t.id not in fitted}
    assert "pregnancy" in str(left["kaplan2016"])
    assert "sciatica" in str(left["zhang2017"]) and "surgery" in str(left["heo2018"])


@pytest.mark.parametrize(("fact", "outcome"), [("gerac2007_cpgs_pain_sd", "CPGS pain"),
                                               ("gerac2007_hfaq_sd", "HFAQ(FFbHR)")])
def test_gerac_is_as_published_by_variability(fitted, fact, outcome):
    published = evidence.fact(fact).body
    seen = 0
    for o in fitted["haake2007"].observations:
        if o.outcome != outcome or o.statistic not in ("mean", "sd"):
            continue
        k = published["value"]["weeks"].index(o.week)
        table = published["value"] if o.statistic == "mean" else published["dispersion"]["sd"]
        assert o.to_own(o.value) == pytest.approx(table[o.arm][k], abs=1e-9)
        if o.statistic == "mean":
            assert o.se == pytest.approx(published["dispersion"]["sd"][o.arm][k] / o.n**0.5, rel=0.05)
        seen += 1
    assert seen == 2 * 3 * 3                                    # means and spreads, arms, weeks after enrolment
    start = fitted["haake2007"].baselines["verum", outcome]
    own = published["value"]["verum"][0]
    assert start.mean == pytest.approx(own if outcome == "CPGS pain" else 100.0 - own)


def test_gerac_counts_no_composite_beside_its_means(fitted):
    assert not any(o.statistic == "responders" for o in fitted["haake2007"].observations)


@pytest.mark.parametrize(("fact", "study"), [("wallwork2024_acute_pain", "wallwork_acute"),
                                             ("wallwork2024_persistent_pain", "wallwork_persistent")])
def test_cohorts_are_as_published(fitted, fact, study):
    value = evidence.fact(fact).body["value"]
    means = {o.week: o.value for o in fitted[study].observations if o.statistic == "mean"}
    after = {w: m for w, m in zip(value["weeks"], value["mean"], strict=True) if w > 0}
    assert means == pytest.approx(after)


def test_signs_of_what_is_added(fitted):
    """Exercise and anti-inflammatory medicines help: the difference of arms is negative."""
    for study, arm in (("exercise_pain", "exercise"), ("nsaid_pain", "nsaid"), ("exercise_function", "exercise")):
        (difference,) = [o.value for o in fitted[study].observations if o.statistic == "difference" and o.arm == arm]
        assert -25.0 < difference < -1.0
    (fall,) = [o.value for o in fitted["pengel2003"].observations if o.statistic == "percent_change"]
    assert -90.0 < fall < -20.0


def test_a_difference_beside_its_two_arms_counts_once(fitted):
    """ART prints the means of its arms and their difference at 26 weeks; the latter says nothing new."""
    trial = fitted["brinkhaus2006"]
    printed = {(o.outcome, o.week) for o in trial.observations if o.statistic == "difference"}
    assert ("VAS", 26.0) in printed
    problem = build([trial], 16)
    rows = [o for _, o in problem.rows]
    assert not any(o.statistic == "difference" and o.outcome == "VAS" and o.week in (8.0, 26.0, 52.0) for o in rows)
    assert {o.arm for o in rows if o.outcome == "VAS" and o.week == 26.0 and o.statistic == "mean"} == {
        "acupuncture", "minimal"}
    keys = Counter((o.arm, o.versus, o.outcome, o.week, o.statistic, str(o.rule)) for o in rows)
    assert max(keys.values()) == 1
    assert problem.size == len(rows) > 10


def test_every_number_of_the_fit_stands_once(fitted):
    for trial in fitted.values():
        keys = Counter((o.arm, o.versus, o.outcome, o.week, o.statistic, str(o.rule), o.value)
                       for o in trial.observations if o.value is not None)
        assert max(keys.values()) == 1, (trial.id, keys.most_common(2))
