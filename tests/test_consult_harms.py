"""Harms: the published rates, on the scale on which they were counted."""

import json
import re

import pytest

from deqi import evidence
from deqi.consult.assessment import parse_patient
from deqi.consult.harms import harms, plainly, rated, versus_nsaid
from deqi.consult.rules import table
from deqi.errors import InputError


def person(**fields):
    return parse_patient({"patient": {"age": 50, "pain": {"week_average": 6}} | fields})


def by_source(items):
    return {item["source"]: item for item in items}


def test_common_harms_of_needling_per_100_people_over_a_course():
    common = by_source(harms(["needling"])["common"])
    published = {"witt_any": 8.6, "witt_bleeding": 6.1, "witt_pain": 1.7, "witt_vegetative": 0.7}
    assert {id: round(common[id]["per_100"], 1) for id in published} == published
    assert common["witt_any"]["ci95"] == [8.49, 8.72]
    assert common["witt_bleeding"]["ci95"] is None


def test_serious_harm_per_10000_people():
    rare = by_source(harms(["needling"])["rare"])
    assert rare["baum_sae_patient"]["per_10000"] == 1.01
    assert rare["baum_sae_patient"]["ci95"] == [0.23, 2.33]
    assert rare["witt_pneumothorax"]["per_10000"] == pytest.approx(2 / 229230 * 1e4, rel=1e-3)


@pytest.mark.parametrize("name", ["common", "rare"])
@pytest.mark.parametrize("id", ["baum_any_treatment", "furuse_bleed", "ex_nonserious", "nsaid_mve_absolute"])
def test_a_risk_per_session_or_year_cannot_enter_a_list_per_course(name, id):
    with pytest.raises(InputError, match="per_patient_course"):
        rated({"id": id, "event": "any"}, name, "needling")


def test_every_item_is_in_the_unit_of_its_list():
    shown = harms(table("harms")["care"])
    for name, unit in (("common", "per_patient_course"), ("rare", "per_patient_course"),
                       ("per_session", "per_treatment")):
        assert shown[name] and {item["unit"] for item in shown[name]} == {unit}


def test_what_may_not_be_displayed_is_refused():
    with pytest.raises(InputError, match="may not be shown"):
        rated({"id": "shinbara_clinics_forgotten", "event": "a forgotten needle"}, "common", "needling")


def test_exercise_is_told_in_words_since_its_starting_risk_is_unknown():
    shown = harms(["exercise"])
    assert not shown["common"] and not shown["rare"]
    text = by_source(shown["other"])["ex_nonserious"]["text"]
    assert "1.19" in text and "(1.09 to 1.3)" in text and "100" in text


def test_current_adds_to_needling_without_a_rate_of_its_own():
    shown = harms(["electro"])
    assert shown["common"] == harms(["needling"])["common"]
    assert any("current" in note for note in shown["notes"])


def test_one_care_named_twice_is_shown_once():
    assert harms(["needling", "electro", "needling"]) == harms(["electro"])


def test_an_anticoagulant_is_told_but_changes_no_rate():
    shown = harms(["needling", "exercise"], person(medicines=["warfarin"]))
    assert shown["common"] == harms(["needling", "exercise"])["common"]
    told = by_source(shown["for_you"])
    assert set(told) == {"ac_minor", "ac_major", "warfarin", "ac_prospective"}
    assert "1.15" in told["ac_minor"]["text"] and "1.03 to 1.28" in told["ac_minor"]["text"]
    assert "no risk is multiplied" in told["warfarin"]["text"]


def test_the_patients_own_page_tells_it_once_and_without_ratios():
    shown = harms(["needling"], person(medicines=["warfarin"], conditions={"other_lung_disease": True}))
    told = plainly(shown["for_you"])
    assert len(told) == 5 < len(shown["for_you"])  # three lungs in one
    assert "clearly higher figures for the very drug" in told[2] and "no more frequent" in told[3]
    assert "small bleedings after needling were recorded a little more often" in told[0]
    for row in table("harms")["for_you"]:
        plain = " ".join(plainly([{"source": row["id"]}]))
        assert not any(word in plain for word in ("{", " OR ", "odds", "CI")) and not re.search(r"\d\.\d", plain)


def test_what_is_known_of_needles_is_not_told_for_other_care():
    assert harms(["exercise", "heat"], person(medicines=["warfarin"]))["for_you"] == []


def test_unknown_medicines_say_nothing():
    assert harms(["needling"], person())["for_you"] == []


def test_all_that_the_evidence_marks_for_display_is_shown_on_the_scale_it_was_counted_on():
    """Per-session figures stand with the points they belong to (`lin_ptx_atrisk`) or on their own scale."""
    shown, versus = harms(table("harms")["care"]), versus_nsaid()
    told = {item["source"] for name in ("common", "rare", "per_session", "other") for item in shown[name]}
    told |= {item["source"] for item in versus["harms"]}
    told |= {row["source"] for row in table("points")["hazards"]}
    counted = {"baum_any_treatment"}    # told as the per-course figure of the same review
    for fact in evidence.facts("adverse_events"):
        if fact.body.get("use") == "primary_display":
            assert fact.id in told | counted, fact.id
        assert fact.body.get("use") != "do_not_display" or fact.id not in {
            item["source"] for name in ("common", "rare", "per_session", "other") for item in shown[name]}


def test_no_figure_per_session_becomes_one_per_course():
    """Whatever a plan holds: the rates of a course stay those that were counted over courses."""
    for kinds in (["needling"], ["electro"], ["needling", "exercise", "heat", "nsaid"], list(table("harms")["care"])):
        shown = harms(kinds, person(sex="male", medicines=["warfarin"]))
        for name, scale in (("common", "per_100"), ("rare", "per_10000")):
            for item in shown[name]:
                body = evidence.fact(item["source"]).body
                assert body["unit"] == "per_patient_course"
                assert item[scale] == pytest.approx(body["rate"] / body["rate_per"] * float(scale[4:]), rel=1e-3)


def test_tablets_stand_beside_needles_with_benefit_and_harm():
    versus = versus_nsaid()
    benefit = versus["benefit"]
    assert (benefit["lasting"]["points"], benefit["lasting"]["ci95"]) == (3.3, [1.27, 5.33])
    assert (benefit["new"]["points"], benefit["new"]["ci95"]) == (7.29, [3.61, 10.98])
    assert "about 3 of 100" in benefit["text"] and "about 7" in benefit["text"]
    by_event = {item["event"]: item for item in versus["harms"]}
    any_harm = by_event["any side effect"]
    notes = evidence.fact("vandergaag2020_nsaid_ae").body["notes"]
    assert f"{10 * any_harm['per_100']:g} per 1000" in notes and "11.1 of 100" in any_harm["text"] and "111 vs" in notes
    yearly = [item for item in versus["harms"] if item["per_10000"] is not None]
    assert [item["per_10000"] for item in yearly] == [30.0] and "year" in yearly[0]["text"]
    assert all(evidence.exists(item["source"]) for item in (*versus["harms"], benefit, benefit["new"]))
    json.dumps(versus)


@pytest.mark.parametrize(("given", "told"), [
    ({"sex": "male"}, {"ptx_male_sex"}),
    ({"conditions": {"other_lung_disease": True}}, {"ptx_tuberculosis", "ptx_lung_cancer", "ptx_pneumonia"}),
    ({"conditions": {"liver_cirrhosis": True}}, {"bleeding_comorbid"}),
    ({"conditions": {"pregnancy": True}}, {"preg_preterm", "preg_forbidden"}),
    ({"sex": "female"}, set()),
])
def test_what_is_told_for_this_person_names_its_study_and_moves_no_rate(given, told):
    shown = harms(["needling"], person(**given))
    assert set(by_source(shown["for_you"])) == told
    assert shown["common"] == harms(["needling"])["common"] and shown["rare"] == harms(["needling"])["rare"]


@pytest.mark.parametrize("kind", table("harms")["care"])
def test_every_care_says_something_and_names_its_sources(kind):
    shown = harms([kind], person(age=80, medicines=["warfarin", "doac", "heparin", "antiplatelet"],
                                 conditions={"diabetes": True, "emphysema": True, "pregnancy": True,
                                             "chronic_bronchitis": True, "thoracic_surgery": True}))
    assert any(shown.values())
    for name in ("common", "rare", "per_session", "other", "for_you"):
        for item in shown[name]:
            assert evidence.exists(item["source"])
            assert "None" not in item.get("text", "") and "{" not in item.get("text", "")
    json.dumps(shown)


def test_an_unknown_care_is_refused():
    with pytest.raises(InputError, match="needling"):
        harms(["leeches"])
