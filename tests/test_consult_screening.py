"""Screening: what stops, what delays, what only warns, and that unknown is never no."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deqi import evidence
from deqi.consult.assessment import load_patient, parse_patient
from deqi.consult.rules import holds, question_ids, table
from deqi.consult.screening import applicability, asked_again, known_facts, screen

EXAMPLES = Path(__file__).parents[1] / "examples"
ORDER = ("clear", "caution", "refer", "emergency")
QUESTIONS = {row["id"]: row["action"] for row in table("red_flags")["questions"]}
NO_FLAGS = dict.fromkeys(question_ids("red_flags"), False)
NO_CONDITIONS = dict.fromkeys(question_ids("conditions"), False)


def person(flags=None, conditions=None, medicines=(), **fields):
    """A person of 45 who answered no to everything but what is given."""
    base = {"age": 45, "sex": "female", "pain": {"week_average": 6, "duration_weeks": 40}}
    return parse_patient({"patient": base | fields | {
        "red_flags": NO_FLAGS | (flags or {}), "conditions": NO_CONDITIONS | (conditions or {}),
        "medicines": list(medicines)}})


def found(patient):
    return {finding.id: finding for finding in screen(patient).findings}


def test_all_answered_no_is_clear():
    result = screen(person())
    assert (result.status, result.findings, result.forbids) == ("clear", (), frozenset())


@pytest.mark.parametrize("flag", [
    "saddle_numbness", "bladder_change", "bowel_change", "new_sexual_dysfunction", "both_legs",
    "progressive_weakness", "gait_change", "major_trauma", "fever", "tearing_pain", "pulsating_abdomen",
    "faint_and_sweating"])
def test_one_grave_sign_is_an_emergency_and_stops_everything(flag):
    result = screen(person({flag: True, "night_pain": True}, medicines=["warfarin"]))
    assert result.status == "emergency"
    assert {finding.kind for finding in result.findings} == {"emergency"}
    assert {"needling", "electro", "heat", "cold", "exercise"} <= result.forbids


@pytest.mark.parametrize("flag", [
    "minor_trauma", "night_pain", "weight_loss", "thoracic_pain", "getting_worse", "osteoporosis",
    "pain_at_several_sites", "recent_infection", "leg_deficit"])
def test_one_weak_sign_warns_and_blocks_no_care(flag):
    result = screen(person({flag: True}))
    assert result.status == "caution"
    assert not result.forbids


def test_signs_that_are_weak_alone_are_urgent_together():
    """The combinations that the sources name, each against its parts."""
    cases = {
        "fracture_after_minor_trauma": {"minor_trauma": True, "osteoporosis": True},
        "malignancy_picture": {"weight_loss": True, "night_pain": True},
    }
    for rule, flags in cases.items():
        for part in flags:
            assert rule not in found(person({part: True}))
        result = screen(person(flags))
        assert result.status == "refer" and rule in {finding.id for finding in result.findings}
        assert "needling" in result.forbids


def test_minor_trauma_over_50_needs_an_image():
    assert "fracture_after_minor_trauma" in found(person({"minor_trauma": True}, age=51))


def test_cancer_is_urgent_and_with_a_nerve_sign_an_emergency():
    assert screen(person({"cancer_history": True})).status == "refer"
    assert screen(person({"cancer_history": True, "leg_deficit": True})).status == "emergency"


AXSPA = ["wakes_second_half_of_night", "buttock_pain", "better_with_movement", "psoriasis_ever",
         "arthritis_ever"]


@pytest.mark.parametrize(("signs", "onset", "weeks", "rule"), [
    (4, 40, 40, "axspa_refer"),
    (3, 40, 40, "axspa_hla_b27"),
    (2, 40, 40, None),
    (3, 34, 40, "axspa_refer"),        # onset before 35 is itself a sign
    (2, 34, 40, "axspa_hla_b27"),
    (5, 45, 40, None),                 # began at 45: the rule is not entered
    (5, 40, 12, None),                 # not yet three months
])
def test_the_nice_rule_for_axial_spondyloarthritis(signs, onset, weeks, rule):
    pain = {"week_average": 5, "duration_weeks": weeks, "started_at_age": onset}
    ids = found(person(dict.fromkeys(AXSPA[:signs], True), pain=pain))
    assert {key for key in ids if key.startswith("axspa")} == ({rule} if rule else set())
    if rule:
        assert ids[rule].kind == "routine" and ids[rule].source == "axspa"


@pytest.mark.parametrize("left_out", [key for key, action in QUESTIONS.items() if action == "emergency"])
@pytest.mark.parametrize("answer", [None, "unknown"])
def test_an_emergency_question_left_open_is_never_clear(left_out, answer):
    result = screen(person({left_out: answer}))
    assert result.status == "caution"
    assert [(finding.id, finding.kind) for finding in result.findings] == [(left_out, "not_asked")]


def test_nothing_asked_names_every_emergency_question():
    result = screen(parse_patient({"patient": {"pain": {"week_average": 5}, "red_flags": {}}}))
    asked = {finding.id for finding in result.findings if finding.kind == "not_asked"}
    assert result.status == "caution"
    assert {key for key, action in QUESTIONS.items() if action == "emergency"} <= asked
    assert {"pacemaker", "pregnancy", "medicines"} <= asked
    assert "electro" in result.forbids          # no current before the pacemaker question


def test_nobody_asks_a_man_about_pregnancy():
    bare = {"pain": {"week_average": 5}, "sex": "male"}
    assert "pregnancy" not in found(parse_patient({"patient": bare}))


@pytest.mark.parametrize(("given", "rule", "forbidden", "allowed"), [
    ({"medicines": ["warfarin"]}, "anticoag", "deep_needling", "needling"),
    ({"conditions": {"pacemaker": True}}, "pacemaker_ea", "electro", "needling"),
    ({"conditions": {"bleeding_disorder": True}}, "severe_bleeding", "needling", "exercise"),
    ({"conditions": {"pregnancy": True}}, "pregnancy_points", "pregnancy_points", "exercise"),
    ({"conditions": {"cold_sensitivity": True}}, "cold_vasospasm", "cold", "heat"),
    ({"conditions": {"reduced_sensation": True}}, "heat_sensation", "heat", "needling"),
    ({"conditions": {"skin_problem": True}}, "local_skin", "low_back_points", "exercise"),
    ({"conditions": {"emphysema": True}}, "lung", "thoracic_points", "needling"),
    ({"conditions": {"very_thin": True}}, "lung", "thoracic_points", "low_back_points"),
    ({"conditions": {"lymphoedema": True}}, "lymphoedema", "limb_points", "low_back_points"),
    ({"conditions": {"clotting_tendency": True}}, "cold_vasospasm", "cold", "heat"),
    ({"conditions": {"cannot_consent": True}}, "cannot_consent", "needling", "exercise"),
    ({"conditions": {"spinal_infection": True}}, "spinal_infection", "needling", "exercise"),
    ({"conditions": {"vertebral_fracture": True}}, "vertebral_fracture", "heavy_exercise", "exercise"),
    ({"conditions": {"unstable_heart": True}}, "unstable_heart", "stretching", "medicine"),
    ({"conditions": {"stomach_ulcer": True}}, "nsaid_gut", "nsaid", "medicine"),
    ({"conditions": {"heart_failure": True}}, "nsaid_heart_failure", "nsaid", "needling"),
    ({"conditions": {"kidney_disease": True}}, "nsaid_not_studied_here", "nsaid", "needling"),
    ({"medicines": ["sedative"]}, "heat_drowsy", "heat_pads", "heat"),
    ({"medicines": ["regular_opioid"]}, "opioid_and_low_frequency", "low_frequency_electro", "electro"),
    ({"preferences": {"needles": "refuses"}}, "refuses", "needling", "heat"),
    ({"preferences": {"electro": "refuses"}}, "refuses_electro", "electro", "needling"),
])
def test_a_contraindication_forbids_what_it_names_and_no_more(given, rule, forbidden, allowed):
    patient = person(**given)
    assert rule in found(patient)
    result = screen(patient)
    assert result.status == "caution" and forbidden in result.forbids and allowed not in result.forbids


def test_an_opioid_user_is_told_about_low_frequency():
    finding = found(person(medicines=["regular_opioid"]))["opioid_and_low_frequency"]
    assert "100 Hz" in finding.text and finding.source == "opioid_user_lf"


def test_heavy_exercise_waits_for_the_doctor_and_light_exercise_does_not():
    forbids = screen(person({"cancer_history": True})).forbids
    assert "heavy_exercise" in forbids and not {"exercise", "heat", "stretching"} & forbids


def test_each_finding_tells_what_it_forbids():
    """Together the findings account for every ban, also for those of questions not asked."""
    for patient in (person({"weight_loss": True, "night_pain": True}, {"pregnancy": True}, ["warfarin"]),
                    parse_patient({"patient": {"pain": {"week_average": 5}}})):
        result = screen(patient)
        assert {ban for finding in result.findings for ban in finding.forbids} == result.forbids
    assert found(person(medicines=["warfarin"]))["anticoag"].forbids == ("deep_needling",)


# At a review


def test_every_sign_of_an_emergency_is_asked_again_and_nothing_that_cannot_change():
    again = set(asked_again())
    assert {key for key, action in QUESTIONS.items() if action == "emergency"} <= again
    assert {"pregnancy", "skin_problem"} <= again
    assert not again & {"pacemaker", "bleeding_disorder", "psoriasis_ever", "relative_with_spondyloarthritis",
                        "previous_spine_surgery", "thoracic_surgery"}
    assert again <= {*question_ids("red_flags"), *question_ids("conditions")}


def test_json_has_the_shape_of_the_interface():
    result = screen(load_patient(EXAMPLES / "older_adult_anticoagulant.yaml")).as_json()
    assert result["status"] == "caution"
    assert all({"id", "kind", "action", "source"} <= finding.keys() for finding in result["findings"])
    assert "does not exclude" in result["safety_net"]["text"]


def test_the_examples_screen_as_they_say():
    status = {path.stem: screen(load_patient(path)).status for path in EXAMPLES.glob("*.yaml")}
    assert status["cauda_equina"] == "emergency"
    assert status["gerac_chronic"] == status["acute_primary_care"] == "clear"
    assert status["ashar_person"] == status["older_adult_anticoagulant"] == "caution"


@settings(max_examples=150, deadline=None)
@given(flags=st.dictionaries(st.sampled_from(list(QUESTIONS)), st.booleans()),
       conditions=st.dictionaries(st.sampled_from(question_ids("conditions")), st.booleans()),
       medicines=st.lists(st.sampled_from(question_ids("medicines"))),
       age=st.none() | st.integers(18, 95), added=st.sampled_from(list(QUESTIONS)))
def test_one_more_yes_never_lowers_the_status_and_lifts_no_ban(flags, conditions, medicines, age, added):
    base = {"age": age, "pain": {"week_average": 5, "duration_weeks": 30}, "conditions": conditions,
            "medicines": medicines}
    before = screen(parse_patient({"patient": base | {"red_flags": flags}}))
    after = screen(parse_patient({"patient": base | {"red_flags": flags | {added: True}}}))
    assert ORDER.index(after.status) >= ORDER.index(before.status)
    assert before.forbids <= after.forbids
    if QUESTIONS[added] == "emergency":
        assert after.status == "emergency"


def test_unknown_is_neither_yes_nor_no():
    facts = {"a": True, "b": False, "c": None}
    assert holds({"any": ["a", "c"]}, facts) is True
    assert holds({"any": ["b", "c"]}, facts) is None
    assert holds({"all": ["b", "c"]}, facts) is False
    assert holds({"at_least": 2, "of": ["a", "c"]}, facts) is None
    assert holds({"at_least": 2, "of": ["a", "b"]}, facts) is False


@pytest.mark.parametrize(("given", "status"), [
    ({}, "inside"),
    ({"age": 17}, "outside"),
    ({"age": 18}, "inside"),
    ({"age": 81}, "edge"),
    ({"age": None}, "edge"),
    ({"pain": {"week_average": 2.9}}, "edge"),
    ({"pain": {"week_average": 3}}, "inside"),
    ({"pain": {"week_average": 5, "leg_pain": True}}, "edge"),
    ({"pain": {"week_average": 5, "leg_pain": True, "leg_pain_average": 4}}, "inside"),
    ({"flags": {"leg_deficit": True}}, "outside"),
    ({"conditions": {"previous_spine_surgery": True}}, "outside"),
    ({"conditions": {"pregnancy": True}}, "outside"),
    ({"conditions": {"axial_spondyloarthritis": True}}, "outside"),
    ({"conditions": {"pregnancy": True}, "age": 81}, "outside"),
])
def test_who_the_forecasts_are_for(given, status):
    result = applicability(person(**given))
    assert result.status == status
    assert bool(result.reasons) == (status != "inside")
    assert len(result.reasons) == len(result.sources)


def rows(tree):
    if isinstance(tree, dict):
        yield tree
    for part in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from rows(part)


@pytest.mark.parametrize("name", ["facts", "red_flags", "contraindications", "applicability"])
def test_every_rule_has_a_source_that_exists(name):
    for row in rows(table(name)):
        if {"when", "ask", "field"} & row.keys() and (name != "contraindications" or "when" in row):
            assert {"source", "limit_source"} & row.keys(), row
        for key in ("source", "limit_source", "level_source"):
            assert row.get(key, "assumed") == "assumed" or evidence.exists(row[key]), row


def test_rules_name_only_known_facts_and_bans():
    facts = known_facts(person())
    bans = table("contraindications")["forbiddable"]
    for name in ("red_flags", "contraindications", "applicability"):
        for row in rows(table(name)):
            for key in {"when", "unless"} & row.keys():
                holds(row[key], facts)
    for row in rows(table("contraindications")):
        assert set([*row.get("forbids", []), *row.get("forbids_until_asked", [])]) <= set(bans)
    assert {ban for some in table("red_flags")["forbids"].values() for ban in some} <= set(bans)


def test_no_condition_of_the_evidence_is_left_without_a_rule():
    """Each record of contraindications and red flags is the source of some rule; `emergency` is a level of its own."""
    contra = table("contraindications")
    cited = {row["source"].removeprefix("contraindications:") for row in contra["rules"] + contra["never"]}
    assert {fact.id for fact in evidence.facts("contraindications")} - cited == {"emergency"}
    flags = table("red_flags")
    cited = {row["source"] for row in flags["questions"] + flags["combinations"]}
    assert {fact.id for fact in evidence.facts("red_flags")} <= cited


def test_every_question_about_a_condition_is_used_by_some_rule():
    """No one is asked for nothing."""
    used = {name for kind in ("red_flags", "contraindications", "applicability", "harms", "points")
            for row in rows(table(kind)) for key in {"when", "unless"} & row.keys() for name in named(row[key])}
    assert {*question_ids("conditions")} <= used


def named(expression):
    if isinstance(expression, str):
        return {expression}
    return {name for part in expression.values() if isinstance(part, list) for each in part for name in named(each)}


def test_one_id_means_one_thing():
    ids = [*question_ids("red_flags"), *question_ids("conditions"), *question_ids("medicines"),
           *(row["id"] for row in table("facts")["facts"])]
    assert len(ids) == len(set(ids))
