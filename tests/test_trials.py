"""Reading trials: published numbers arrive on one scale with one sign, and the impossible is refused by its place."""

import copy
import math
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deqi import evidence
from deqi.calibrate.measures import find, measure, measures
from deqi.calibrate.records import Responder, Scale
from deqi.calibrate.trial import load_trial, read_trial, shipped, summary_table, usable
from deqi.errors import InputError
from fields import with_field

MINE = {
    "id": "mine2026", "condition": "chronic", "citation": {"authors": "A et al.", "year": 2026, "doi": "10.1/x"},
    "population": {"n_randomised": 100, "age_mean": 50, "female_pct": 60, "notes": "NRS >=4",
                   "duration": "median 3 (IQR 1-8) years", "baseline_pain": "6.2 (SD 1.5) NRS 0-10"},
    "arms": [
        {"id": "needles", "n": 50, "label": "acupuncture", "interventions": [
            {"type": "acupuncture", "sessions": 12, "sessions_per_week": 2, "duration_weeks": 6}]},
        {"id": "usual", "n": 50, "label": "usual care", "interventions": [{"type": "usual_care"}]},
    ],
    "outcomes": [
        {"measure": "NRS", "scale": {"min": 0, "max": 10, "higher_is_worse": True}, "points": [
            {"arm": "needles", "week": 0, "n": 50, "mean": 6.0, "sd": 1.6},
            {"arm": "needles", "week": 6, "n": 48, "mean": 3.5, "sd": 2.2},
            {"arm": "usual", "week": 6, "n": 47, "change": -0.9, "change_ci95": [-1.5, -0.3]},
        ], "contrasts": [{"arm": "needles", "versus": "usual", "week": 26, "difference": -1.2, "ci95": [-2.0, -0.4]}]},
        {"measure": "HFAQ", "scale": {"min": 0, "max": 100, "higher_is_worse": False}, "points": [
            {"arm": "needles", "week": 6, "n": 48, "mean": 70, "sd": 18}], "contrasts": []},
    ],
    "responders": [{"definition": ">=30% reduction in pain", "arm": "needles", "week": 6, "n": 48, "n_responders": 24}],
}


def changed(path: str, value: object) -> dict:
    """The trial above with one field changed; `path` uses dots, digits are list places."""
    return with_field(MINE, path, value)


def refusal(body: object) -> InputError:
    with pytest.raises(InputError) as caught:
        read_trial(body, "t.yaml")
    assert "\n" not in str(caught.value)
    assert caught.value.file == "t.yaml"
    return caught.value


def trial(id: str):
    return next(t for t in shipped() if t.id == id)


def one(id: str, **wanted):
    """The one observation of a shipped trial that has these fields."""
    fits = [o for o in trial(id).observations if all(getattr(o, key) == value for key, value in wanted.items())]
    assert len(fits) == 1, fits
    return fits[0]


def reason(id: str, part: str) -> str:
    return next(why for what, why in trial(id).unused if part in what)


@pytest.mark.parametrize(("path", "value", "field"), [
    ("outcomes.0.points.1.sd", 0, "outcomes[0].points[1].sd"),
    ("outcomes.0.points.1.sd", -2.0, "outcomes[0].points[1].sd"),
    ("outcomes.0.points.1.se", 0, "outcomes[0].points[1].se"),
    ("outcomes.0.points.2.change_se", -1, "outcomes[0].points[2].change_se"),
    ("outcomes.0.points.1.n", 0, "outcomes[0].points[1].n"),
    ("outcomes.0.points.1.n", 12.5, "outcomes[0].points[1].n"),
    ("outcomes.0.points.1.n", "many", "outcomes[0].points[1].n"),
    ("outcomes.0.points.1.mean", 35, "outcomes[0].points[1].mean"),
    ("outcomes.0.points.1.mean", -0.1, "outcomes[0].points[1].mean"),
    ("outcomes.0.points.1.mean", "three", "outcomes[0].points[1].mean"),
    ("outcomes.0.points.1.mean", True, "outcomes[0].points[1].mean"),
    ("outcomes.0.points.1.mean", math.nan, "outcomes[0].points[1].mean"),
    ("outcomes.0.points.1.mean", 10**400, "outcomes[0].points[1].mean"),
    ("outcomes.0.points.2.change", -11, "outcomes[0].points[2].change"),
    ("outcomes.0.points.1.week", -1, "outcomes[0].points[1].week"),
    ("outcomes.0.points.1.week", 1041, "outcomes[0].points[1].week"),
    ("outcomes.0.points.1.week", "30 years", "outcomes[0].points[1].week"),
    ("outcomes.0.points.1.week", [6], "outcomes[0].points[1].week"),
    ("outcomes.0.points.1.arm", "nedles", "outcomes[0].points[1].arm"),
    ("outcomes.0.points.1.arm", None, "outcomes[0].points[1].arm"),
    ("outcomes.0.points.1", "text", "outcomes[0].points[1]"),
    ("outcomes.0.points", {"arm": 1}, "outcomes[0].points"),
    ("outcomes.0.points.2.change_ci95", [-0.3, -1.5], "outcomes[0].points[2].change_ci95"),
    ("outcomes.0.points.2.change_ci95", [-0.3], "outcomes[0].points[2].change_ci95"),
    ("outcomes.0.contrasts.0.ci95", [1, -1], "outcomes[0].contrasts[0].ci95"),
    ("outcomes.0.contrasts.0.versus", "nobody", "outcomes[0].contrasts[0].versus"),
    ("outcomes.0.contrasts.0.difference", "big", "outcomes[0].contrasts[0].difference"),
    ("outcomes.0.measure", "happiness", "outcomes[0].measure"),
    ("outcomes.0.measure", None, "outcomes[0].measure"),
    ("outcomes.0.scale", {"min": 10, "max": 0}, "outcomes[0].scale"),
    ("outcomes.0.scale.higher_is_worse", "yes", "outcomes[0].scale.higher_is_worse"),
    ("outcomes", None, "outcomes"),
    ("arms", None, "arms"),
    ("arms", [], "arms"),
    ("arms.1.id", "needles", "arms[1].id"),
    ("arms.0.n", -5, "arms[0].n"),
    ("arms.0.interventions.0.type", "accupuncture", "arms[0].interventions[0].type"),
    ("arms.0.interventions.0.sessions", -3, "arms[0].interventions[0].sessions"),
    ("arms.0.interventions", None, "arms[0].interventions"),
    ("id", None, "id"),
    ("condition", "persistent", "condition"),
    ("population.female_pct", 160, "population.female_pct"),
    ("population.age_mean", 500, "population.age_mean"),
    ("population.n_randomised", 0, "population.n_randomised"),
    ("population.baseline_pain", "62 NRS 0-10", "population.baseline_pain"),
    ("responders.0.percent", 130, "responders[0].percent"),
    ("responders.0.n_responders", 60, "responders[0].n_responders"),
    ("responders.0.arm", "nobody", "responders[0].arm"),
    ("responders.0.definition", None, "responders[0].definition"),
])
def test_the_impossible_is_refused_by_its_place(path, value, field):
    assert refusal(changed(path, value)).field == field


def test_measures_that_are_not_modelled_are_checked_too():
    point = {"arm": "needles", "week": 6, "mean": 40, "sd": -7}
    body = changed("outcomes.1", {"measure": "SF36_PCS", "points": [point]})
    assert refusal(body).field == "outcomes[1].points[0].sd"


JUNK = st.one_of(st.none(), st.booleans(), st.integers(-5, 200), st.floats(), st.text(max_size=12), st.just([]),
                 st.just({}), st.just([1, 2]), st.just({"arm": 1}))


def places(content: object, path: tuple = ()) -> list[tuple]:
    """The paths of everything below a mapping or a list."""
    pairs = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [deeper for key, below in pairs for deeper in ((*path, key), *places(below, (*path, key)))]


@given(path=st.sampled_from(places(MINE)), junk=JUNK)
def test_whatever_stands_in_a_field_the_file_is_read_or_refused_with_its_name(path, junk):
    try:
        read = read_trial(changed(".".join(map(str, path)), junk), "t.yaml")
    except InputError as error:
        assert str(error).startswith("t.yaml") and "\n" not in str(error)
    else:
        assert all(o.se is None or o.se > 0 for o in read.observations)


@pytest.mark.parametrize("body", [None, [], "trial", 3, {}])
def test_what_is_no_trial_is_refused(body):
    refusal(body)


def test_an_unknown_measure_is_told_the_nearest_names():
    error = refusal(changed("outcomes.0.measure", "Rolland Moris"))
    assert "Roland Morris" in str(error)


def test_files_are_read_and_unreadable_ones_refused(tmp_path: Path):
    good = tmp_path / "mine.yaml"
    good.write_text(yaml.safe_dump(MINE), encoding="utf-8")
    assert load_trial(good).id == "mine2026"
    broken = tmp_path / "broken.yaml"
    broken.write_text("id: [unclosed", encoding="utf-8")
    for path in (broken, tmp_path / "absent.yaml", tmp_path):
        with pytest.raises(InputError) as caught:
            load_trial(path)
        assert str(path) in str(caught.value)


def test_a_trial_of_ones_own_is_read_on_one_scale():
    mine = read_trial(MINE, "t.yaml")
    assert (mine.phase, mine.entry_nrs, mine.randomised, mine.outside) == ("chronic", 4.0, True, None)
    assert mine.duration_weeks == pytest.approx(3 * 52.18)
    assert (mine.baselines["needles", "NRS"].mean, mine.baselines["needles", "NRS"].sd) == (60.0, 16.0)
    assert (mine.baselines["usual", "NRS"].mean, mine.baselines["usual", "NRS"].sd) == (62.0, 15.0)
    by = {(o.outcome, o.arm, o.week, o.statistic): o for o in mine.observations}
    mean = by["NRS", "needles", 6.0, "mean"]
    assert (mean.value, mean.se, mean.n, mean.domain) == (35.0, pytest.approx(22 / math.sqrt(48)), 48, "pain")
    change = by["NRS", "usual", 6.0, "change"]
    assert (change.value, change.se) == (pytest.approx(-9), pytest.approx(12 / 3.92, rel=1e-3))
    assert by["NRS", "usual", 6.0, "change_sd"].value == pytest.approx(12 / 3.92 * math.sqrt(47), rel=1e-3)
    assert by["HFAQ", "needles", 6.0, "mean"].value == pytest.approx(30.0)
    share = by["NRS", "needles", 6.0, "responders"]
    assert (share.value, share.rule) == (0.5, Responder("pain", relative=0.3))
    assert usable(mine)


def test_a_trial_without_its_results_can_still_be_predicted():
    body = copy.deepcopy(MINE)
    del body["citation"]
    for point in body["outcomes"][0]["points"][1:]:
        for key in ("mean", "sd", "change", "change_ci95", "n"):
            point.pop(key, None)
    body["outcomes"][0]["contrasts"][0] |= {"difference": None, "ci95": None}
    body["responders"] = [{"definition": ">=50% reduction in pain", "arm": "usual", "week": 6, "percent": None}]
    body["outcomes"].pop()
    read = read_trial(body, "t.yaml")
    assert all(o.value is None and o.se is None for o in read.observations)
    assert [(o.statistic, o.week, o.n) for o in read.observations] == [
        ("mean", 6.0, 50), ("mean", 6.0, 50), ("difference", 26.0, 100), ("responders", 6.0, 50)]
    assert not usable(read)
    for key in ("responders", "population"):
        del body[key]
    assert read_trial(body, "t.yaml").n_randomised is None


def test_every_shipped_trial_is_read_and_used_or_told_why_not():
    rows = summary_table()
    assert len(rows) == 88
    for row in rows:
        assert row.usable or row.reasons, row
        assert all(row.reasons), row
    assert sum(row.usable for row in rows) >= 30
    for fact in evidence.trials("context"):
        assert read_trial(fact.body, fact.file).outside


def test_observations_of_shipped_trials_are_sound():
    for t in shipped():
        arms = {arm.id for arm in t.arms}
        for o in t.observations:
            assert o.arm in arms and (o.versus in arms) == (o.statistic == "difference")
            assert 0.0 < o.week <= 1040.0
            assert o.se is None or o.se > 0.0
            assert measure(o.outcome).domain == o.domain
            assert (o.rule is not None) == (o.statistic == "responders")
            bounds = {"mean": (0, 100), "median": (0, 100), "responders": (0, 1)}.get(o.statistic, (-100, 100))
            assert o.value is None or bounds[0] <= o.value <= bounds[1]
        for baseline in t.baselines.values():
            assert 0.0 <= baseline.mean <= 100.0 and (baseline.sd is None or 0.0 < baseline.sd < 55.0)
        seen = [(o.arm, o.versus, o.outcome, o.week, o.statistic, o.rule) for o in t.observations]
        assert len(seen) == len(set(seen)), t.id


def test_art():
    art = trial("brinkhaus2006")
    assert art.duration_weeks == pytest.approx(14.7 * 52.18) and art.entry_nrs == 4.0
    assert (art.baselines["acupuncture", "VAS"].mean, art.baselines["acupuncture", "VAS"].sd) == (63.0, 14.0)
    assert art.baselines["waitlist", "VAS"].mean == 64.8
    change = one("brinkhaus2006", arm="acupuncture", statistic="change")
    assert (change.value, change.week, change.se) == (-28.7, 8.0, pytest.approx(30.3 / math.sqrt(140)))
    assert one("brinkhaus2006", arm="waitlist", statistic="change_sd").value == 22.0
    assert one("brinkhaus2006", outcome="HFAQ(FFbHR)", arm="acupuncture", week=26.0, versus=None).value == 34.0
    assert one("brinkhaus2006", outcome="PDI", arm="minimal", week=52.0, versus=None).value == pytest.approx(2300 / 70)


def test_signs_of_art():
    def difference(outcome, week):
        return one("brinkhaus2006", outcome=outcome, week=week, statistic="difference").value

    assert difference("VAS", 26.0) == pytest.approx(-3.8)
    assert difference("HFAQ(FFbHR)", 52.0) == pytest.approx(-2.9)
    assert difference("PDI", 52.0) == pytest.approx(-400 / 70)
    assert difference("SF36_bodily_pain", 52.0) == pytest.approx(-8.5)
    assert reason("brinkhaus2006", "outcomes[0].contrasts[0]") == "follows from the arms"


def test_a_difference_of_reductions_is_turned_round():
    body = copy.deepcopy(evidence.trial("brinkhaus2006").body)
    for point in body["outcomes"][0]["points"]:
        point["change_sd"] = None
    found = {o.versus: o for o in read_trial(body, "t.yaml").observations
             if o.statistic == "difference" and o.week == 8.0}
    assert found["minimal"].value == pytest.approx(-5.1)
    assert found["waitlist"].value == pytest.approx(-21.7)
    assert found["minimal"].se == pytest.approx(17.6 / 3.92, rel=1e-3)


@pytest.mark.parametrize(("row", "value"), [
    ({"difference": -1.2}, -12.0),
    ({"difference": 1.2, "ci95": [0.2, 2.2]}, None),
    ({"difference": 0.2, "ci95": [-0.8, 1.2]}, 2.0),
    ({"difference": 1.2, "note": "difference in pain reduction, positive favours needles"}, -12.0),
    ({"difference": 1.2, "direction": "favours usual"}, 12.0),
    ({"difference": -1.2, "note": "improvement; sign turned"}, -12.0),
    ({"difference": 1.2, "direction": "arm minus versus"}, 12.0),
])
def test_the_sign_of_a_difference_follows_the_words(row, value):
    found = [o for o in read_trial(changed("outcomes.0.contrasts.0", {"arm": "needles", "versus": "usual", "week": 26}
                                           | row), "t.yaml").observations if o.statistic == "difference"]
    assert (None if not found else pytest.approx(found[0].value)) == value


def test_signs_elsewhere():
    assert one("thomas2006", week=104.0).value == pytest.approx(-8.0)
    assert one("thomas2006", week=325.0).value == pytest.approx(0.4)
    assert one("kennedy2008", statistic="difference").value == pytest.approx(-18.7)
    assert one("haas2014", instrument="cpgs_pain", week=12.0).value == pytest.approx(-8.6)
    assert one("yang2024taichi", week=12.0).value == pytest.approx(-6.42)


def test_gerac_is_read_and_its_composite_left_out():
    gerac = trial("haake2007")
    assert [arm.n for arm in gerac.arms] == [387, 387, 388]
    assert not gerac.observations and not usable(gerac)
    assert {arm: b.mean for (arm, _), b in gerac.baselines.items()} == dict.fromkeys(
        ("verum", "sham", "conventional"), 67.8)
    assert reason("haake2007", "responders[0]") == "several thresholds in one rule"
    assert "shares" in reason("haake2007", "outcomes[0]")


def test_hamza_is_percent_of_the_moment():
    o = one("hamza1999", arm="m30")
    assert (o.statistic, o.value, o.week, o.momentary) == ("percent_change", -48.0, 2.0, True)
    assert o.se == pytest.approx(21 / math.sqrt(75))
    assert o.to_own(o.value) == 48.0
    assert trial("hamza1999").crossover and not usable(trial("hamza1999"))


def test_saper2017():
    mean = one("saper2017", arm="yoga", instrument="roland_morris", statistic="mean")
    assert (mean.value, mean.se) == (pytest.approx(1100 / 23), pytest.approx(490 / 23 / math.sqrt(127)))
    assert trial("saper2017").baselines["yoga", "RMDQ (modified, 0-23)"].mean == pytest.approx(1480 / 23)
    share = one("saper2017", arm="education", statistic="responders", domain="pain")
    assert (share.value, share.outcome) == (pytest.approx(15 / 61), "NRS average back pain past week")
    assert share.rule == Responder("pain", relative=0.3)
    assert "medicines" in reason("saper2017", "any NSAID")


def test_witt2006():
    mean = one("witt2006", arm="acupuncture", statistic="mean")
    assert (mean.value, mean.se, mean.n) == (25.5, pytest.approx(0.4), 1549)
    assert mean.to_own(mean.value) == 74.5
    assert one("witt2006", arm="control", statistic="change_sd").value == pytest.approx(0.4 * math.sqrt(1544))
    assert trial("witt2006").baselines["control", "HFAQ(FFbHR)"].mean == pytest.approx(37.6)


def test_pach2013():
    mean = one("pach2013", arm="standardised", outcome="HFAQ", week=8.0)
    assert (mean.value, mean.se) == (pytest.approx(25.8), pytest.approx(7.7 / 3.92, rel=1e-3))
    assert trial("pach2013").entry_nrs == 4.0
    assert "span" in reason("pach2013", "outcomes[1].points[0]")


def test_thomas2006_and_xia2016():
    assert one("thomas2006", arm="usual_care", statistic="mean").value == pytest.approx(41.7)
    assert trial("thomas2006").baselines["acupuncture", "SF36_bodily_pain"].mean == pytest.approx(69.2)
    mean = one("xia2016", arm="waitlist", domain="pain")
    assert (mean.value, mean.se) == (48.0, pytest.approx(13.6 / 3.92, rel=1e-3))
    assert {why for what, why in trial("xia2016").unused if "contrasts" in what} == {"follows from the arms"}


@pytest.mark.parametrize(("id", "part", "why"), [
    ("alzahrani2021", "outcomes[0].points[1]", "not clear"),
    ("kwon2007", "outcomes[0].points[0]", "not clear"),
    ("corestability2022", "outcomes[0].points[0].sd", "standard error"),
    ("jensen2015rest", "outcomes[0].points[0]", "subgroup"),
    ("haas2014", "outcomes[0].points[0]", "several arms"),
    ("weiner2008", "outcomes[1].points[0]", "range in words"),
    ("shin2015laser", "outcomes[0].points[3]", "week is not stated"),
    ("zhang2017", "outcomes[1]", "leg pain"),
    ("coan1980", "outcomes[0].points[0]", "no time"),
    ("vas2012", "outcomes[0].contrasts[0]", "another effect measure"),
])
def test_what_is_left_out_says_why(id, part, why):
    assert why in reason(id, part)


def test_an_sd_that_reads_like_a_standard_error_gives_none():
    assert all(o.se is None and o.statistic == "mean" for o in trial("corestability2022").observations)


def test_who_lies_outside():
    outside = {t.id: t.outside for t in shipped() if t.outside}
    assert outside["kaplan2016"] == "pregnancy"
    assert outside["heo2021"] == "after surgery"
    assert "sciatica" in outside["tu2024"] and "sciatica" in outside["zhang2017"]
    assert "other" in outside["giles2003"] and "other" in outside["cohen2017"]
    assert not {"haake2007", "witt2006", "brinkhaus2006", "semrau2015", "lee2012chukyu"} & set(outside)
    assert {t.id for t in shipped() if not t.randomised} >= {"mckee2013", "semrau2015", "weidenhammer2007", "le2024"}
    assert trial("sherman2011").randomised and trial("coan1980").randomised


def test_every_spelling_belongs_to_its_own_entry():
    for entry in measures():
        assert entry.used or entry.reason
        for name in entry.names:
            assert find(name) is entry, name


@pytest.mark.parametrize(("name", "instrument"), [
    ("Oswestry low back pain disability questionnaire (%)", "oswestry"), ("ODI v2.1a", "oswestry"),
    ("Pain intensity, VAS 0-100 mm", "pain_vas"), ("back pain NRS (0-10)", "pain_nrs"), ("RMDQ-24", "roland_morris"),
    ("pain-related disability (CPGS)", "cpgs_disability"), ("PROMIS pain interference", "general_health"),
    ("VAS quality of life", "general_health"), ("NRS worst pain in 24 h", "pain_worst"), ("FFbH-R", "hannover"),
    ("VAS back pain when walking", "pain_on_movement"), ("pain self-efficacy", "mind"), ("NRS leg pain", "leg_pain"),
])
def test_spellings_of_other_trials_are_known(name, instrument):
    assert measure(name).instrument == instrument


@pytest.mark.parametrize(("measure_name", "scale", "mean", "level"), [
    ("VAS", None, 6.2, 62.0), ("VAS", None, 62, 62.0), ("NRS", {"min": None, "max": None}, 31, 31.0),
    ("RMDQ 18 items", None, 9, 50.0), ("VAS pain 0-10", {}, 3, 30.0), ("ODI", {"min": 0, "max": 50}, 10, 20.0),
    ("SF36_bodily_pain", None, 40, 60.0),
])
def test_a_missing_scale_falls_back_on_the_table(measure_name, scale, mean, level):
    body = changed("outcomes.0", {"measure": measure_name, "scale": scale,
                                  "points": [{"arm": "usual", "week": 6, "mean": mean}]})
    assert read_trial(body, "t.yaml").observations[0].value == pytest.approx(level)


@given(low=st.floats(-100, 100), width=st.floats(0.1, 1000), worse=st.booleans(), share=st.floats(0, 1))
def test_conversion_and_back(low, width, worse, share):
    scale = Scale(low, low + width, worse)
    own = low + share * width
    assert scale.own_level(scale.level(own)) == pytest.approx(own, abs=1e-6 * width + 1e-9)
    assert -1e-9 <= scale.level(own) <= 100.0 + 1e-9
    assert scale.sign * scale.own_width(scale.shift(share)) == pytest.approx(share)


@pytest.mark.parametrize("statistic", ["mean", "change", "sd", "change_sd", "difference", "responders"])
def test_observations_go_back_to_the_units_of_the_file(statistic):
    body = copy.deepcopy(MINE)
    body["outcomes"][1]["points"] = [
        {"arm": "needles", "week": 6, "n": 48, "mean": 70, "sd": 18}, {"arm": "usual", "week": 6, "change": 5},
        {"arm": "usual", "week": 6, "change_sd": 12}]
    body["outcomes"][1]["contrasts"] = [{"arm": "needles", "versus": "usual", "week": 26, "difference": 8}]
    own = {"mean": 70, "change": 5, "sd": 18, "change_sd": 12, "difference": 8, "responders": 50}[statistic]
    found = [o for o in read_trial(body, "t.yaml").observations if o.statistic == statistic and (
        o.outcome == "HFAQ" or statistic == "responders")]
    assert [o.to_own(o.value) for o in found] == [pytest.approx(own)]


@pytest.mark.parametrize(("words", "week", "momentary"), [
    ("1 hour", 1 / 168, True), ("3 days", 3 / 7, True), ("post", 6.0, False), ("end of treatment", 6.0, False),
    ("3 months after treatment", 19.0, False), ("6 months", 26.0, False), ("week 12", 12.0, False), ("12", 12.0, False),
    ("after each treatment", 6.0, True), ("1-8 mean", None, False), ("26 and 52", None, False),
    ("visit 2", None, False),
])
def test_words_for_moments(words, week, momentary):
    body = changed("outcomes.0.points", [{"arm": "needles", "week": words, "mean": 3.0}])
    found = [o for o in read_trial(body, "t.yaml").observations if o.outcome == "NRS" and o.statistic == "mean"]
    assert [(pytest.approx(o.week), o.momentary) for o in found] == ([] if week is None else [(week, momentary)])


@pytest.mark.parametrize(("definition", "rule"), [
    (">=30% reduction in RMDQ", Responder("disability", relative=0.3)),
    (">=50% pain relief at 6 weeks", Responder("pain", relative=0.5)),
    ("NRS reduction of at least 2 points", Responder("pain", absolute=20.0)),
    (">1.0 point NRS improvement", Responder("pain", absolute=10.0)),
    ("VNRS below 4 at 1 hour", Responder("pain", level=40.0)),
    (">=12% improvement on HFAQ", None), ("global improvement", None), ("any pain medication", None),
    (">=30% pain reduction and >=30% RMDQ reduction", None), ("overall efficacy (Chinese criteria)", None),
])
def test_rules_of_responders(definition, rule):
    body = changed("responders", [{"definition": definition, "arm": "usual", "week": 6, "percent": 40, "n": 50}])
    found = [o.rule for o in read_trial(body, "t.yaml").observations if o.statistic == "responders"]
    assert found == ([] if rule is None else [rule])
