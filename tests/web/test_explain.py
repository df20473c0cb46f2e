"""The Explain tab: what a switched-off theory, a drug and the frequency of the current do in the model."""

from __future__ import annotations

import pytest

from deqi.errors import InputError
from deqi.theories.laboratory import lay
from deqi.theories.readouts import readouts
from deqi.web import explain as module
from deqi.web.explain import explain, table

SERIES = [row["id"] for row in table()["series"]]


def curves(which: str = "as_chosen", **choices) -> dict[str, list[float]]:
    return {row["id"]: row[which] for row in explain(choices)["series"]}


def peak(values: list[float]) -> float:
    return max(values, key=lambda value: abs(value - values[0])) - values[0]


def test_with_nothing_changed_both_are_the_same():
    found = explain({})
    assert all(row["as_chosen"] == row["as_usual"] for row in found["series"])
    assert found["course"]["as_chosen"] == found["course"]["as_usual"] != found["course"]["no_needling"]
    assert found["status"] == "hypothesis" and "3.5 of 100" in found["note"]


@pytest.mark.parametrize("mode", ["manual", "electro"])
def test_naloxone_takes_away_fast_analgesia_and_nothing_where_that_theory_is_off(mode):
    given, usual = (curves(which, mode=mode, given=["naloxone"]) for which in ("as_chosen", "as_usual"))
    assert 0.0 < peak(given["fast_analgesia"]) < 0.7 * peak(usual["fast_analgesia"])
    assert given["mu_peptide"] == pytest.approx(usual["mu_peptide"], rel=0.05)  # its release is not blocked
    off = ["neurotransmitters"]
    given, usual = curves(mode=mode, given=["naloxone"], without=off), curves(mode=mode, without=off)
    felt = {"nrs", "context_effect", "projection_output", "total_guarding"}  # through the context, which it halves
    assert all(given[name] == usual[name] for name in SERIES if name not in felt)
    assert max(abs(a - b) for a, b in zip(given["nrs"], usual["nrs"], strict=True)) < 0.05


def test_slow_current_releases_mu_and_fast_current_kappa_peptides():
    slow, fast = curves(mode="electro", hz=2), curves(mode="electro", hz=100)
    assert peak(slow["mu_peptide"]) > 10.0 * peak(slow["kappa_peptide"])
    assert peak(fast["kappa_peptide"]) > 10.0 * peak(fast["mu_peptide"])


def test_adenosine_is_released_where_the_needle_is_and_caffeine_blocks_what_it_does():
    assert peak(curves(site="distal")["adenosine"]) == 0.0 < peak(curves(site="local")["adenosine"])
    assert peak(curves(given=["caffeine"])["adenosine_analgesia"]) < 0.9 * peak(curves()["adenosine_analgesia"])


def test_longer_sessions_do_more_until_they_end():
    short, long = (explain({"minutes": minutes, "mode": "electro"}) for minutes in (10, 40))
    for found in (short, long):
        mu = next(row["as_chosen"] for row in found["series"] if row["id"] == "mu_peptide")
        highest = found["minutes"][mu.index(max(mu))]
        assert abs(highest - found["session_ends"]) <= 2.0
    assert peak(curves(minutes=40)["mu_peptide"]) > peak(curves(minutes=10)["mu_peptide"])


@pytest.mark.parametrize("theory", table()["choices"]["without"])
def test_a_theory_that_is_off_rests(theory):
    found = explain({"without": [theory]})
    assert {row["theory"] for row in found["series"] if row["absent"]} == {theory}
    for row in found["series"]:
        if row["absent"] and row["id"] != "projection_output":  # without the gate it follows the C drive
            assert len(set(row["as_chosen"])) == 1, row["id"]


@pytest.mark.parametrize("drug", table()["choices"]["given"])
def test_every_drug_on_offer_does_something(drug):
    chosen, usual = (curves(which, given=[drug]) for which in ("as_chosen", "as_usual"))
    assert any(abs(a - b) > 0.01 * max(map(abs, usual[name])) for name in SERIES
               for a, b in zip(chosen[name], usual[name], strict=True))


def test_a_healthy_body_has_no_pain_and_feels_less_pressure():
    found = curves(body="human_healthy")
    assert max(found["nrs"]) < 0.5 and peak(found["pressure_pain_threshold"]) > 0.1


def test_less_is_left_of_a_course_where_what_carries_over_is_off():
    course = explain({"without": ["neurotransmitters"]})["course"]
    assert course["as_usual"][6] < course["as_chosen"][6] < course["no_needling"][6]
    assert course["as_usual"][0] == course["as_chosen"][0] == course["no_needling"][0]


def test_series_stand_under_their_own_theory():
    for row in table()["series"]:
        assert row["theory"] in (readouts()[row["id"]].room, "outcome"), row["id"]


def test_grids_do_not_pile_up(monkeypatch):
    monkeypatch.setattr(module, "LAID", 4)
    for minutes in (31, 32, 33, 34, 36):
        explain({"minutes": minutes})
    assert lay.cache_info().currsize <= 6


@pytest.mark.parametrize(("choices", "field"), [
    ({"hz": 0.5}, "hz"), ({"hz": True}, "hz"), ({"minutes": 61}, "minutes"), ({"minutes": float("nan")}, "minutes"),
    ({"mode": "laser"}, "mode"), ({"body": "rat"}, "body"), ({"site": ["local"]}, "site"),
    ({"given": "naloxone"}, "given"), ({"given": ["aspirin"]}, "given"), ({"without": ["qi"]}, "without"),
    ({"needles": 3}, "needles")])
def test_what_is_not_a_choice_is_named_with_what_is(choices, field):
    with pytest.raises(InputError) as caught:
        explain(choices)
    assert caught.value.field == field and caught.value.accepted
