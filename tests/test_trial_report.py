"""What a trial's result says, as numbers, tables, words and page: complete, consistent, honest, safe to open."""

from __future__ import annotations

import copy
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray

import trials
from deqi.trial import report, terminal
from deqi.trial.result import TrialResult
from trials import DESIGN, result

SECTIONS = ("summary", "not", "asked", "flow", "courses", "estimates", "power", "theories", "table", "rebuild")


@pytest.fixture(scope="module")
def made() -> TrialResult:
    return result(theories=["gate", "muscle"])


@pytest.fixture(scope="module")
def page(made: TrialResult) -> str:
    return report.page(made.as_json())


def test_json_has_the_keys_of_the_interface_and_no_nan(made: TrialResult) -> None:
    found = json.loads(json.dumps(made.as_json(), allow_nan=False))
    assert set(found) == {"design", "flow", "estimates", "power", "curves", "theories", "provenance"}
    assert found["design"]["arms"][1]["comparator"] == "penetrating sham"
    assert found["design"]["arms"][2]["words"] == ["waiting list for 8 weeks"]
    assert found["provenance"]["worlds"] == ["central", "posterior", "without:gate", "without:muscle"]


def test_flow_adds_up(made: TrialResult) -> None:
    flow = made.result["flow"]
    assert flow["assessed"] == pytest.approx(sum(flow["excluded"].values()) + flow["declined"] + flow["randomised"])
    assert sum(arm["allocated"] for arm in flow["arms"]) == pytest.approx(flow["n"])
    for arm in flow["arms"]:
        for visit in arm["visits"]:
            assert visit["seen"] + visit["lost"] == pytest.approx(arm["allocated"])
        assert arm["analysed"] == arm["visits"][-1]["seen"]


def test_estimates_hold_every_contrast_outcome_week_and_method(made: TrialResult) -> None:
    rows = made.result["estimates"]
    assert len(rows) == len({(r["contrast"], r["outcome"], r["week"], r["method"]) for r in rows}) == 2 * 2 * 2 * 3
    row = next(r for r in rows if (r["versus"], r["outcome"], r["week"], r["method"]) ==
               (["waiting"], "pain", 8, "ancova"))
    assert row["truth"] == pytest.approx(-1.2)
    assert row["bias"] == pytest.approx(0.0, abs=5 * row["bias_mc_se"])
    assert row["coverage"]["value"] == pytest.approx(0.95, abs=4 * row["coverage"]["mc_se"])
    assert row["mean_se"] == pytest.approx(row["sd"], rel=0.3)
    assert row["power"] > 0.9 and row["power_against"] == 0.0
    assert row["quantiles"]["0.5"] == pytest.approx(row["mean"], abs=0.2)


def test_power_grows_with_people_and_meets_the_estimates_at_the_largest_size(made: TrialResult) -> None:
    power = made.result["power"]
    for contrast in power["n_for_80"]:
        rows = [row for row in power["curve"] if row["contrast"] == contrast["contrast"]]
        assert [row["n"] for row in rows] == [40, 80, 160]
        last = next(r for r in made.result["estimates"] if r["contrast"] == contrast["contrast"]
                    and (r["outcome"], r["week"], r["method"]) == ("pain", 8, "ancova"))
        assert rows[-1]["power"] == last["power"] and rows[-1]["assurance"] == last["assurance"]
    sham, waiting = power["n_for_80"]
    assert sham["power"] is None
    assert 40 <= waiting["power"] <= 160


def test_with_many_trials_the_curve_lies_on_the_textbook() -> None:
    rows = result(trials=400, n=[60], outcomes=["pain"]).result["power"]["curve"]
    waiting = next(row for row in rows if row["contrast"].endswith("waiting"))
    assert waiting["ttest"] == pytest.approx(waiting["analytic"], abs=0.08)


def test_a_contrast_the_other_way_round_rejects_as_often_but_against_its_first_side(made: TrialResult) -> None:
    turned = result(analysis=DESIGN["analysis"] | {"contrasts": [{"of": ["waiting"], "versus": ["verum"]}]})
    ours = next(r for r in made.result["estimates"] if r["versus"] == ["waiting"])
    theirs = turned.result["estimates"][0]
    assert theirs["power"] == theirs["power_against"] == ours["power"]
    assert theirs["truth"] == pytest.approx(-ours["truth"])


def test_frame_and_dataset_hold_the_same_and_say_their_units(made: TrialResult, tmp_path: Path) -> None:
    table, array = made.frame(), made.dataset()
    row = table.iloc[5]
    place = {key: row[key] for key in ("contrast", "outcome", "week", "method")}
    assert array["power"].sel(place).item() == row["power"]
    assert "points" in array["truth"].attrs["units"]
    made.save(tmp_path / "t.nc")
    made.save(tmp_path / "t.parquet")
    assert xarray.open_dataset(tmp_path / "t.nc").attrs["design"] == made.result["provenance"]["design"]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), table)


def test_one_seed_one_result(made: TrialResult) -> None:
    assert result(theories=["gate", "muscle"]).as_json() == made.as_json()


class Page(HTMLParser):
    """Ids, links and outside addresses of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.outside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [given["id"]] if given.get("id") else []
        link = given.get("href") or ""
        self.links += [link[1:]] if link.startswith("#") else []
        self.outside += [tag] if tag in ("script", "link", "img", "iframe") or "src" in given else []


def test_page_is_whole_and_asks_nothing_of_another_host(page: str) -> None:
    found = Page(page)
    assert set(SECTIONS) <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert set(found.links) <= set(found.ids)
    assert not found.outside
    assert "nan" not in page.lower().replace("resonan", "")


def test_page_says_what_power_rests_on_and_how_small_the_published_benefit_is(page: str) -> None:
    for words in ("3.5 of 100 points", "Power rests on the effect that the model holds for true", "A promise",
                  "rank designs and judge no theory", "No patient took part", "not a medical device"):
        assert words in page


def test_page_shows_what_a_user_wrote_as_text(made: TrialResult) -> None:
    result = copy.deepcopy(made.as_json())
    result["design"]["title"] = "<script>alert(1)</script>"
    assert "<script>" not in report.page(result)
    assert "Needles against sham &amp; waiting" in report.page(made.as_json())


def test_words_say_that_no_size_is_enough(made: TrialResult) -> None:
    first, second, coverage, theories = report.in_words(made.result)
    assert "not within the sizes asked (up to 160)" in first
    assert "For 80 % power" in second and "people" in second
    assert "95 % intervals" in coverage
    assert "gate or muscle" in theories


def test_a_coverage_that_breaks_its_promise_is_told(made: TrialResult) -> None:
    broken: dict[str, Any] = copy.deepcopy(made.as_json())
    for row in broken["estimates"]:
        row["coverage"]["value"] = 0.7
    assert any("not what they promise" in line for line in report.in_words(broken))
    assert not any("not what they promise" in line for line in report.in_words(made.result))


def test_terminal_lists_each_size_once(made: TrialResult) -> None:
    shown = "\n".join(terminal.lines(made.result))
    assert shown.count("verum versus waiting") == 2          # in the table, and below it
    assert all(f"{share:.1f} %" in shown for share in (100 * row["power"] for row in made.result["power"]["curve"]))
    assert max(map(len, shown.splitlines())) < 400


def test_trials_that_lose_everybody_find_nothing_and_say_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(trials, "LOST", 1.0)
    found = result(n=[20], trials=50, outcomes=["pain"])
    json.dumps(found.as_json(), allow_nan=False)
    row = found.result["estimates"][0]
    assert (row["mean"], row["coverage"]["value"], row["power"]) == (None, None, 0.0)
    assert "not within the sizes asked" in report.in_words(found.result)[0]
    assert "<svg" in report.page(found.as_json())
    found.save(tmp_path / "t.nc")


def test_a_trial_whose_arm_is_lost_is_told_and_nothing_breaks() -> None:
    """Ten people in three arms and one in ten lost: some trials cannot be analysed."""
    found = result(n=[6], trials=300, outcomes=["pain"])
    row = found.result["estimates"][0]
    assert row["not_analysed"]["central"] > 0
    assert np.isfinite(row["power"])
    assert "<svg" in report.page(found.as_json())
