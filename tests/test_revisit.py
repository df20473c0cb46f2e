"""A review: the same person some weeks later, with what was today now past."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
import yaml

from command import EXAMPLES, deqi
from deqi.care import plan_from, sentences
from deqi.consult.assessment import load_patient, parse_patient
from deqi.consult.intake import check
from deqi.consult.revisit import carried
from deqi.consult.screening import asked_again, screen
from deqi.errors import InputError

CARE = plan_from("acupuncture 30 min twice a week for 6 weeks")
GERAC = load_patient(EXAMPLES / "gerac_chronic.yaml")


def test_today_becomes_the_past() -> None:
    body = carried(GERAC, 2, CARE)["patient"]
    assert "week_average" not in body["pain"] and "disability" not in body and "medicines" not in body
    assert {"week": -2, "outcome": "NRS", "value": GERAC.pain.week_average} in body["scores"]
    assert {"week": -2, "outcome": "RMDQ", "value": GERAC.disability.score} in body["scores"]
    assert body["care_so_far"] == [{"plan": sentences(CARE), "start_week": -2}]
    assert body["pain"]["duration_weeks"] == GERAC.pain.duration_weeks + 2


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_can_come_back_twice(file: Path) -> None:
    first = load_patient(file)
    mapping = carried(first, 4, CARE)
    assert check(mapping)
    mapping["patient"]["pain"]["week_average"] = 4
    again = carried(parse_patient(mapping), 2, plan_from("nothing"))
    again["patient"]["pain"]["week_average"] = 3
    second = parse_patient(again)
    assert [s.week for s in second.scores if s.outcome == "NRS"][-2:] == [-6, -2]
    assert second.care_so_far[-1].start_week == -6


def test_what_can_change_counts_only_as_answered_today() -> None:
    before = parse_patient({"patient": {"age": 45, "pain": {"week_average": 6}, "medicines": [], "red_flags": {
        id: False for id in asked_again() if id == "saddle_numbness"}, "conditions": {
            "pacemaker": True, "pregnancy": False}}})
    later = carried(before, 2, CARE)
    kinds = {finding.id: finding.kind for finding in screen(check(later)).findings}
    assert kinds["saddle_numbness"] == kinds["pregnancy"] == kinds["medicines"] == "not_asked"
    assert kinds["pacemaker_ea"] == "contraindication"
    later["patient"]["red_flags"] = {"bladder_change": True}
    assert screen(check(later)).status == "emergency"


def test_care_that_goes_on_is_not_counted_twice() -> None:
    first = carried(GERAC, 2, CARE)
    first["patient"]["pain"]["week_average"] = 5
    assert len(carried(parse_patient(first), 2, CARE)["patient"]["care_so_far"]) == 1
    assert len(carried(parse_patient(first), 2, plan_from("walking 30 min daily for 2 weeks"))[
        "patient"]["care_so_far"]) == 2


@pytest.mark.parametrize("weeks", [0, -1, 105])
def test_weeks_out_of_range_are_refused(weeks: int) -> None:
    with pytest.raises(InputError, match="out of range"):
        carried(GERAC, weeks, CARE)


def test_the_command_leads_to_a_review_by_the_persons_own_scores(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "later.yaml"
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n" * 3))
    ran = deqi("review", EXAMPLES / "gerac_chronic.yaml", "--weeks", "2", "--care",
               "acupuncture 30 min twice a week for 6 weeks", "--out", out)
    assert ran.status == 0, ran.err
    later = yaml.safe_load(out.read_text(encoding="utf-8"))
    later["patient"]["pain"]["week_average"] = 4
    later["patient"]["medicines"] = []
    out.write_text(yaml.safe_dump(later), encoding="utf-8")
    ran = deqi("consult", out)
    assert ran.status == 0 and "You began 2 weeks ago at 6.8 out of 10; now it is 4" in " ".join(ran.out.split())


def test_a_wrong_plan_or_week_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    for more, told in ((["--weeks", "0"], "--weeks"), (["--weeks", "2", "--care", "levitation"], "levitation")):
        ran = deqi("review", EXAMPLES / "gerac_chronic.yaml", *more, "--out", tmp_path / "x.yaml")
        assert ran.status == 2 and told in ran.err and not (tmp_path / "x.yaml").exists()
