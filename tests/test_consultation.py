"""One consultation from file to page, and what must follow for this person and not for that one."""

from __future__ import annotations

import json
import math
import re
from html import unescape
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from command import EXAMPLES, deqi, example
from deqi.body.system import THEORIES
from deqi.care import Needling, plan_from
from deqi.consult import batch
from deqi.consult.assessment import Patient, parse_patient
from deqi.consult.consultation import consult
from deqi.consult.forecast import Forecast, prepare
from deqi.consult.limits import adapt
from deqi.consult.options import table
from deqi.consult.report import render
from deqi.consult.review import review_rules
from deqi.consult.screening import applicability, screen
from deqi.consult.single import forecast_patient, lines
from deqi.consult.tailoring import first_choices, plan_of
from deqi.consult.tailoring import table as tailoring
from deqi.consult.wording import texts
from deqi.evidence import exists

NEEDLES = "acupuncture 30 min twice a week for 6 weeks"
STEADY = [{"week": week, "outcome": "NRS", "value": 6.8} for week in (-6, -4, -2)]
REFUSES = {"preferences": {"needles": "refuses", "max_sessions": 15}}


def person(**changes) -> Patient:
    return parse_patient({"patient": example(**changes)})


def future(patient: Patient, plan: str = "nothing", *, draws: int = 256, seed: int = 1) -> Forecast:
    """A forecast in the shape that a consultation compiles."""
    return prepare(patient, applicability(patient), draws=draws, seed=seed).forecast(
        plan_from(plan), table()["horizon_weeks"])


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<style.*?</style>|<[^>]+>", " ", html, flags=re.S)).split())


@pytest.fixture(scope="session")
def gerac(tmp_path_factory):
    """The main job on the example patient, by the command line."""
    place = tmp_path_factory.mktemp("gerac")
    ran = deqi("consult", EXAMPLES / "gerac_chronic.yaml", "--report", place / "report.html",
               "--json", place / "result.json", "--seed", "1")
    return SimpleNamespace(ran=ran, files={file.name for file in place.iterdir()},
                           result=json.loads((place / "result.json").read_text(encoding="utf-8")),
                           html=(place / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def refusing():
    """The same person, who refuses needles."""
    return consult(person(**REFUSES), draws=256).result


def test_the_main_job_ends_well_with_page_and_json(gerac):
    assert gerac.ran.status == 0 and gerac.ran.err == ""
    assert gerac.files == {"report.html", "result.json"}
    assert set(gerac.result) >= {"patient", "screening", "options", "tailored", "theories", "evidence", "provenance"}
    assert set(gerac.result["screening"]) >= {"status", "findings"} and gerac.result["screening"]["status"] == "clear"
    assert gerac.result["provenance"]["seed"] == 1
    assert len(gerac.ran.out.splitlines()) <= 40 and len(gerac.html.encode()) < 1_000_000


def test_the_options_stand_in_their_order_with_all_their_parts(gerac):
    options = gerac.result["options"]
    assert [option["id"] for option in options] == ["nothing", "usual_care", "exercise", "acupuncture", "tailored"]
    for option in options:
        assert set(option) >= {"id", "label", "plan", "forecast", "benefit", "harms", "burden"}
        assert option["available"] and option["label"] in gerac.html
    assert options[0]["burden"]["visits"] == 0 and options[3]["burden"]["visits"] == 12


def test_the_chance_without_is_that_of_nothing_everywhere(gerac):
    nothing = gerac.result["options"][0]["benefit"]
    for option in gerac.result["options"]:
        assert option["benefit"]["week"] == nothing["week"] == 12
        for chance in ("improved_30pct", "mic", "worse"):
            assert option["benefit"][chance]["without"] == nothing[chance]["with"] == nothing[chance]["without"]


def test_the_range_of_the_average_holds_the_point(gerac):
    for option in gerac.result["options"]:
        improved = option["benefit"]["improved_30pct"]
        low, high = improved["range_average"]
        assert 0 <= low <= improved["with"] <= high <= 100
        assert low < high


def test_chance_and_forecast_tell_the_same(gerac):
    for option in gerac.result["options"]:
        row = next(row for row in option["forecast"] if (row["week"], row["outcome"]) == (12, "NRS"))
        assert option["benefit"]["improved_30pct"]["with"] == round(100 * row["p_improved_30pct"])
        assert option["benefit"]["mic"]["with"] == round(100 * row["p_mic"])
        assert option["benefit"]["pain"]["median"] == row["quantiles"]["0.5"]


def test_every_option_is_forecast_for_every_week_and_makes_sense(gerac):
    for option in gerac.result["options"]:
        assert [(row["week"], row["outcome"]) for row in option["forecast"]] == [
            (week, outcome) for week in range(27) for outcome in ("NRS", "RMDQ")]
        assert all(sensible(row) for row in option["forecast"])


def sensible(row: dict) -> bool:
    """Quantiles that rise within the scale, and chances that are chances."""
    top = {"NRS": 10, "RMDQ": 24, "ODI": 100}[row["outcome"]]
    quantiles = list(row["quantiles"].values())
    return (all(a <= b for a, b in pairwise(quantiles)) and 0 <= quantiles[0] and quantiles[-1] <= top
            and 0 <= row["p_improved_30pct"] <= 1 and 0 <= row["p_mic"] <= 1
            and math.isfinite(row["mean"]) and 0 <= row["sd"] < top)


def test_needles_beyond_sham_are_small_and_context_is_larger(gerac):
    parts = {part["part"]: part for part in gerac.result["theories"]["decomposition"]}
    assert 0 < parts["needles_beyond_sham"]["median"] < 0.8
    assert parts["context"]["median"] > parts["needles_beyond_sham"]["median"]
    assert all(part["low"] <= part["median"] <= part["high"] for part in parts.values())


def test_wherever_a_benefit_is_shown_the_page_says_small_against_sham(gerac):
    for item in ("options", "needles", "plan"):
        section = gerac.html[gerac.html.index(f'<section class="{item}"'):]
        said = words(section[:section.index("</section>")])
        assert "small" in said and "sham" in said and re.search(r"3\.5 of 100|0\.35 of 10", said), item
    assert texts()["sham"]["short"] in " ".join(gerac.ran.out.split())


def test_the_theories_are_told_as_hypotheses(gerac):
    told = gerac.result["theories"]
    assert told["status"] == "hypothesis" and [share["theory"] for share in told["shares"]] == list(THEORIES)
    for share in told["shares"]:
        assert 0 <= share["share"]["low"] <= share["share"]["median"] <= share["share"]["high"] <= 1


def test_the_proposal_is_one_of_the_trade_off_and_within_limits(gerac):
    tailored, curve = gerac.result["tailored"], gerac.result["tailored"]["trade_off"]
    assert [point["chosen"] for point in curve].count(True) == 1
    assert all(a["visits"] <= b["visits"] for a, b in pairwise(curve))
    assert tailored["plan"] == gerac.result["options"][-1]["plan"]
    assert tailored["prescription"].get("sessions", 0) <= 15
    assert [rule["week"] for rule in tailored["review"]] == [2, 6]
    assert all({"carry_on", "change", "stop"} <= set(rule) for rule in tailored["review"])


def test_every_source_named_in_a_result_exists(gerac, refusing):
    own = {source["id"] for source in texts()["sources"]} | {"assumed"}

    def sources(node):
        if isinstance(node, dict):
            yield from ([node["source"]] if isinstance(node.get("source"), str) else [])
            node = list(node.values())
        for part in node if isinstance(node, list) else ():
            yield from sources(part)

    named = {source for result in (gerac.result, refusing) for source in sources(result)}
    assert len(named) > 10
    assert {source for source in named if source not in own and not exists(source)} == set()


def test_who_refuses_needles_is_offered_none(refusing):
    options = {option["id"]: option for option in refusing["options"]}
    assert not options["acupuncture"]["available"] and options["acupuncture"]["why_not"]
    assert options["acupuncture"]["benefit"] is None and options["acupuncture"]["forecast"] == []
    tailored = refusing["tailored"]
    assert "puncture" not in " ".join(tailored["plan"]).lower() and tailored["prescription"] == {}
    assert not any("puncture" in point["label"] for point in tailored["trade_off"])
    assert any(reason["choice"] == "Needles: none" for reason in tailored["reasons"])
    assert refusing["theories"]["decomposition"] == []
    assert options["acupuncture"]["why_not"] in words(render(refusing))


def test_a_refusal_is_told_as_the_wish_it_is():
    patient = person(**REFUSES)
    plan, why = adapt(plan_from(NEEDLES), screen(patient), patient)
    assert not plan.courses and why == ("You said no to needles.",)


def test_the_same_seed_gives_the_same_consultation(refusing):
    again = consult(person(**REFUSES), draws=256).result
    for result in (refusing, again):
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", result["provenance"]["date"])
    assert refusing | {"provenance": None} == again | {"provenance": None}


def searched() -> list:
    """The usual plan with each choice that tailoring may make."""
    return [plan_of(first_choices() | {part: choice}) for part, row in tailoring()["parts"].items()
            for choice in row["choices"]]


def needling(plan) -> list[Needling]:
    return [course for course in plan.courses if isinstance(course, Needling)]


def test_with_an_anticoagulant_needles_stay_shallow():
    patient = person(medicines=["warfarin"])
    fitted = [adapt(plan, screen(patient), patient)[0] for plan in (*searched(), plan_from(NEEDLES))]
    courses = [course for plan in fitted for course in needling(plan)]
    assert courses and {course.depth for course in courses} == {"superficial"}


@pytest.mark.parametrize("most", [0, 1, 4, 9])
def test_no_plan_has_more_sessions_than_the_person_wants(most):
    patient = person(preferences={"needles": "willing", "max_sessions": most})
    for plan in (*searched(), plan_from(NEEDLES)):
        fitted, _ = adapt(plan, screen(patient), patient)
        assert fitted.visits <= most


def test_unanswered_red_flags_are_never_clear():
    for red_flags in ({}, None):
        patient = person(red_flags=red_flags)
        assert screen(patient).status != "clear"
        found = forecast_patient(patient, plan_from("nothing"), [4], seed=1, draws=256)
        assert found["forecast"] and found["screening"]["status"] == "caution"


@pytest.mark.parametrize(("changes", "reason"), [
    ({"age": 16, "pain": {"week_average": 6, "duration_weeks": 40}}, "under 18"),
    ({"conditions": {"pregnancy": True}}, "pregnancy"),
    ({"conditions": {"previous_spine_surgery": True}}, "operated"),
    ({"conditions": {"vertebral_fracture": True}}, "specific cause"),
    ({"red_flags": {"leg_deficit": True}}, "nerve deficit"),
])
def test_outside_of_what_was_studied_there_is_no_number_but_a_reason(changes, reason):
    patient = person(**changes)
    found = consult(patient).result
    assert found["options"] == [] and found["tailored"] is None and found["theories"] is None
    assert any(reason in told for told in found["patient"]["applicability"]["reasons"])
    page = words(render(found))
    assert reason in page and "of 100 people like you" not in page
    single = forecast_patient(patient, plan_from(NEEDLES), [4, 12], seed=1)
    assert single["forecast"] == [] and any(reason in told for told in single["diagnostics"]["reasons"])
    assert "no numeric forecast" in lines(single)[-1]


def test_an_emergency_is_told_alone():
    found = consult(parse_patient({"patient": example("cauda_equina")}))
    assert found.is_emergency and found.result["options"] == [] and found.result["tailored"] is None
    assert {finding["kind"] for finding in found.result["screening"]["findings"]} == {"emergency"}


def test_at_the_edge_of_what_was_studied_the_forecast_is_wider():
    middle, edge = future(person(age=50)), future(person(age=84))
    for week in (4, 12, 26):
        assert edge.nrs[week].std() > 1.05 * middle.nrs[week].std()


def test_regular_opioids_change_needling_by_way_of_mu_alone():
    def lost(plan: str) -> float:
        without, taking = (future(person(medicines=taken), plan).latent for taken in ([], ["regular_opioid"]))
        return float(np.max(np.mean(taking - without, axis=1)))

    electro = "electroacupuncture {} Hz 30 min twice a week for 6 weeks"
    assert lost("nothing") == lost("guideline based care for 12 weeks") == 0.0
    assert lost(electro.format(2)) > 2 * lost(electro.format(100)) >= 0.0


def test_earlier_scores_narrow_the_forecast_and_move_it_towards_them():
    none, steady = future(person(), draws=4096), future(person(scores=STEADY), draws=4096)
    assert steady.nrs[4].std() < 0.97 * none.nrs[4].std()
    assert abs(steady.nrs[4].mean() - 6.8) < abs(none.nrs[4].mean() - 6.8)
    worse = [{"week": -2, "outcome": "NRS", "value": 9}, {"week": -1, "outcome": "NRS", "value": 9}]
    assert future(person(scores=worse), draws=4096).nrs[4].mean() > none.nrs[4].mean()


def test_care_so_far_that_did_not_help_counts_against_more_of_it():
    care = [{"start_week": -6, "plan": NEEDLES}]
    failed = future(person(care_so_far=care, scores=STEADY), NEEDLES, draws=4096)
    fresh = future(person(scores=STEADY), NEEDLES, draws=4096)
    assert np.all(np.isfinite(failed.nrs)) and failed.nrs.shape == fresh.nrs.shape
    assert failed.nrs[12].mean() > fresh.nrs[12].mean()


def test_care_so_far_ends_today():
    planned, given = (future(person(care_so_far=[{"start_week": -2, "plan": f"acupuncture 30 min twice a week for "
                                                                             f"{weeks} weeks"}])) for weeks in (12, 2))
    assert np.allclose(planned.latent, given.latent, atol=1e-3) and planned.nrs.shape == given.nrs.shape


def test_scores_that_contradict_each_other_move_the_particles_and_make_no_sure_forecast():
    wild = [{"week": -4, "outcome": "NRS", "value": 1}, {"week": -2, "outcome": "NRS", "value": 9},
            {"week": -1, "outcome": "NRS", "value": 0}]
    patient = person(scores=wild)
    found = forecast_patient(patient, plan_from("nothing"), [4], seed=1, draws=1024)
    assert found["diagnostics"]["moved"] and not found["diagnostics"]["degenerate"]
    assert found["forecast"][0]["sd"] > 1.5


def test_the_past_does_not_blur_what_the_theories_are_said_to_do():
    care = [{"start_week": -4, "plan": "acupuncture 30 min twice a week for 4 weeks"}]
    found = consult(person(scores=STEADY, care_so_far=care, preferences={"hours_per_week": 4}), draws=256).result
    share = {row["theory"]: row["share"] for row in found["theories"]["shares"]}
    assert share["circulation"]["high"] < 0.05 and share["inflammation"]["high"] < 0.15


@pytest.mark.parametrize("changes", [
    {"pain": {"week_average": 0}}, {"pain": {"week_average": 10, "duration_weeks": 3}},
    {"pain": {"week_average": 3.5, "duration_weeks": 8}, "disability": {"instrument": "ODI", "score": 100}},
    {"age": None, "disability": None, "medicines": None, "conditions": None, "preferences": None},
])
def test_extreme_and_bare_patients_get_a_forecast_that_makes_sense(changes):
    found = forecast_patient(person(**changes), plan_from("nothing"), [0, 1, 4, 12], seed=1, draws=256)
    assert [row["week"] for row in found["forecast"] if row["outcome"] == "NRS"] == [0, 1, 4, 12]
    assert all(sensible(row) for row in found["forecast"])
    assert found["forecast"][0]["sd"] < 1e-9 and found["forecast"][0]["p_mic"] == 0


def test_without_pain_nobody_can_be_said_to_improve():
    forecast = future(person(pain={"week_average": 0}))
    assert not forecast.improved(12).any()
    assert all(row["p_improved_30pct"] == 0 for row in forecast.rows([4, 12]) if row["outcome"] == "NRS")


@pytest.mark.parametrize("now", [2, 6.8, 10])
def test_review_scores_stay_on_the_scale_and_in_order(now):
    forecast = future(person(pain={"week_average": now, "duration_weeks": 400}), NEEDLES)
    for rule in review_rules(plan_from(NEEDLES), forecast):
        carry_on, stop = rule["carry_on_at"], rule["stop_at"]
        assert all(str(rule[f"{step}_at"]) in rule[step] for step in ("carry_on", "stop"))
        assert 0 <= carry_on < stop <= 10
        between = re.search(r"\d+", rule["change"])
        assert carry_on < int(between.group()) < stop if between else stop == carry_on + 1
        assert rule["week"] < 6 or stop <= math.ceil(now)


def test_a_batch_keeps_its_order_and_no_bad_line_stops_it(tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "DRAWS", 256)
    good, emergency = example(), example("cauda_equina")
    bad = json.dumps(good).replace('"week_average": 6.8', '"week_average": 11')
    rows = [
        json.dumps({"id": "first", "patient": good, "plan": "nothing"}),
        "{not json", "[1, 2]", '{"id": NaN}', '{"id": ["x"], "patient": {}}',
        json.dumps({"id": "stop", "patient": emergency, "plan": NEEDLES}),
        f'{{"id": "eleven", "patient": {bad}}}',
        json.dumps({"id": "plan", "patient": good, "plan": "homeopathy"}),
        json.dumps({"id": "extra", "patient": good, "plans": "nothing"}),
        json.dumps({"id": "none", "patient": None}),
        f'{{"id": "twice", "patient": {json.dumps(good)}, "patient": {json.dumps(emergency)}}}',
        "", '{"id": "\\ud800", "patient": {}}',
        json.dumps({"id": 7, "patient": good, "plan": ["nothing"]}),
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(rows), encoding="utf-8")
    counts = batch.run_batch(tmp_path / "in.jsonl", tmp_path / "out.jsonl", [4, 12], seed=1)
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in found] == ["first", None, None, None, None, "stop", "eleven", "plan", "extra",
                                            "none", None, "\ud800", 7]
    assert counts == {"forecasts": 3, "errors": 10} and [("error" in row) for row in found].count(True) == 10
    by_id = {row["id"]: row for row in found}
    assert by_id["stop"]["forecast"] == [] and by_id["stop"]["screening"]["status"] == "emergency"
    assert "in.jsonl line 7: patient.pain.week_average" in by_id["eleven"]["error"]
    assert "'homeopathy' is not understood" in by_id["plan"]["error"]
    assert by_id["first"]["forecast"] == by_id[7]["forecast"]
    alone = forecast_patient(person(), plan_from("nothing"), [4, 12], seed=1, draws=256)
    assert by_id["first"]["forecast"] == alone["forecast"]


def test_a_batch_of_any_length_keeps_its_order(tmp_path):
    ids = list(range(3 * batch.AHEAD + 1))
    (tmp_path / "in.jsonl").write_text("".join(f'{{"id": {id}}}\n' for id in ids))
    batch.run_batch(tmp_path / "in.jsonl", tmp_path / "out.jsonl", [4], seed=1)
    assert [json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == ids
