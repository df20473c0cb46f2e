"""FHIR in: a clinic's bundle becomes a patient file; nothing is dropped silently, nothing guessed, nobody named."""

from __future__ import annotations

import copy
import datetime
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assessments import HOSTILE
from command import EXAMPLES, deqi
from deqi.consult.assessment import load_patient, parse_patient
from deqi.consult.questions import question
from deqi.consult.rules import question_ids
from deqi.errors import InputError
from deqi.evidence import exists
from deqi.interop import fhir_codes
from deqi.interop.fhir_codes import table
from deqi.interop.fhir_forms import questionnaire, response
from deqi.interop.fhir_read import Imported, read
from deqi.reading import read_mapping
from fhir_schema import faults

BUNDLE = EXAMPLES / "fhir" / "back_pain_bundle.json"
FORM = EXAMPLES / "fhir" / "questionnaire_response.json"
PATIENTS = sorted(path.stem for path in EXAMPLES.glob("*.yaml"))
WEEK = "2026-11-26"


def bundle(**changes: dict[str, Any]) -> dict[str, Any]:
    """The example bundle, the content of some resources (by id, `_` for `-`) changed; None takes a key away."""
    made: dict[str, Any] = json.loads(BUNDLE.read_text(encoding="utf-8"))
    for id, change in changes.items():
        resource = next(entry["resource"] for entry in made["entry"] if entry["resource"]["id"] == id.replace("_", "-"))
        resource.update(change)
        for key in [key for key, value in change.items() if value is None]:
            del resource[key]
    return made


def with_resource(*resources: dict[str, Any]) -> dict[str, Any]:
    """The example bundle with more resources."""
    made = bundle()
    made["entry"] += [{"resource": resource} for resource in resources]
    return made


def condition(code: str, system: str = "http://hl7.org/fhir/sid/icd-10", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "code": {"coding": [{"system": system, "code": code}]},
            "subject": {"reference": "Patient/p1"}, **more}


def medicine(**concept: Any) -> dict[str, Any]:
    return {"resourceType": "MedicationStatement", "status": "active", "medicationCodeableConcept": concept,
            "subject": {"reference": "Patient/p1"}}


def score(value: Any, day: str = WEEK, code: str = "72514-3", unit: str | None = None, **more: Any) -> dict[str, Any]:
    quantity = {"valueInteger": value} if unit is None else {"valueQuantity": {"value": value, "unit": unit}}
    return {"resourceType": "Observation", "status": "final", "effectiveDateTime": day, **quantity, **more,
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]}}


def alone(*resources: dict[str, Any]) -> dict[str, Any]:
    """A bundle of these resources only."""
    return {"resourceType": "Bundle", "type": "searchset", "timestamp": f"{WEEK}T12:00:00Z",
            "entry": [{"resource": resource} for resource in resources]}


def status(code: str, key: str = "clinicalStatus") -> dict[str, Any]:
    return {key: {"coding": [{"code": code}]}}


def patient_of(found: Imported) -> dict[str, Any]:
    patient: dict[str, Any] = found.mapping["patient"]
    return patient


def reasons(found: Imported) -> str:
    return " | ".join(f"{row['resource']}: {row['reason']}" for row in found.ignored)


# What is read


def test_the_example_bundle_becomes_a_patient() -> None:
    patient = parse_patient(read(bundle()).mapping)
    assert (patient.age, patient.sex, patient.pain.week_average) == (52, "female", 6)
    assert patient.pain.duration_weeks == pytest.approx(40.6, abs=0.1)     # from the middle of February to 26 November
    assert patient.disability is not None and (patient.disability.instrument, patient.disability.score) == ("RMDQ", 11)
    assert [(s.outcome, s.value, round(s.week, 2)) for s in patient.scores] == [("NRS", 7.2, -3.14)]
    assert patient.medicines == ("warfarin", "paracetamol")
    assert patient.conditions == {"diabetes": True}


def test_what_a_bundle_does_not_say_stays_unknown() -> None:
    found = read(bundle())
    patient = parse_patient(found.mapping)
    assert patient.red_flags == {} and patient.expectation is None and patient.conditions.get("pacemaker") is None
    open_questions = {each.id for each in found.unknown}
    assert {"pacemaker", "saddle_numbness", "wish_needles"} <= open_questions
    assert not open_questions & {"age", "sex", "week_average", "medicines", "duration"}


def test_every_resource_is_used_or_reported() -> None:
    document = bundle()
    document["entry"].append({"request": {"method": "DELETE", "url": "Condition/1"}})
    found = read(document)
    told = {row["resource"] for row in (*found.used, *found.ignored)}
    assert {name.split()[0] for name in told} == {f"entry[{n}]" for n in range(len(document["entry"]))}
    assert "Immunization/influenza: deqi does not read this kind" in reasons(found)
    assert "Observation/pain-wrong: its status is entered-in-error" in reasons(found)
    assert "Body weight: not an observation that deqi reads" in reasons(found)


def test_no_name_identifier_or_birth_date_reaches_the_file(tmp_path: Path) -> None:
    out = tmp_path / "patient.yaml"
    document = bundle(p1={"identifier": [{"system": "urn:x", "value": "MRN-4711"}], "birthDate": "1974-05-03",
                          "address": [{"city": "Smallville"}], "telecom": [{"value": "555-0100"}]})
    source = tmp_path / "bundle.json"
    source.write_text(json.dumps(document), encoding="utf-8")
    assert deqi("import", "fhir", source, "--out", out).status == 0
    text = out.read_text(encoding="utf-8")
    assert not re.search(r"Example|Invented|MRN|4711|1974|Smallville|555|p1\b|clinic", text)
    assert load_patient(out).age == 52


@pytest.mark.parametrize("born, age", [("1974-11-26", 52), ("1974-11-27", 51), ("1974-05", 52), ("1974-11", 51.5),
                                       ("1974", 51.5), ("2026", 0), ("1926-02-28", 100)])
def test_age_from_a_date_of_birth_that_may_be_partial(born: str, age: float) -> None:
    assert patient_of(read(bundle(p1={"birthDate": born})))["age"] == age


@pytest.mark.parametrize("document, field, value", [
    (score(7), "pain.week_average", 7),
    (score(6.5, unit="{score}"), "pain.week_average", 6.5),
    (score(60, code="38214-3", unit="mm"), "pain.week_average", "60 mm"),
    (score(6, code="38214-3", unit="cm"), "pain.week_average", "60 mm"),
    (score(55, code="38208-5", unit="mm"), "pain.week_average", "55 mm"),
    (condition("Z95.0"), "conditions.pacemaker", True),
    (condition("Z95.810", "http://hl7.org/fhir/sid/icd-10-cm"), "conditions.pacemaker", True),
    (condition("D66"), "conditions.bleeding_disorder", True),
    (condition("C50.9", **status("resolved")), "red_flags.cancer_history", True),
    (condition("J18.9", **status("resolved")), "conditions.other_lung_disease", True),
    (condition("M54.41"), "pain.leg_pain", True),
    (condition("E11", clinicalStatus={"coding": [{"system": "urn:local", "code": "A"}, {"code": "active"}]}),
     "conditions.diabetes", True),
    (condition("23056005", "http://snomed.info/sct"), "pain.leg_pain", True),
    (condition("M54.5", onsetAge={"value": 31, "code": "a"}), "pain.started_at_age", 31),
    (medicine(text="Apixaban 5 mg"), "medicines", ["doac"]),
    (medicine(coding=[{"system": "http://www.whocc.no/atc", "code": "N02AX02"}]), "medicines", ["regular_opioid"]),
    (medicine(coding=[{"system": "http://www.whocc.no/atc", "code": "M01AE01"}]), "medicines", ["nsaid"]),
])
def test_one_resource_gives_one_field(document: dict[str, Any], field: str, value: Any) -> None:
    node: Any = patient_of(read(alone(document)))
    for key in field.split("."):
        node = node[key]
    assert node == value


@pytest.mark.parametrize("document, reason", [
    (score(60, code="38214-3", unit="{score}"), "without mm or cm"),
    (score(4, code="38221-8"), "a faces scale"),
    (score(3, code="77565-0"), "interferes"),
    (score(6, effectiveDateTime=None), "no date"),
    (score(6, "2026-11"), "the day of this score is not known"),
    (score(6, status="cancelled"), "its status is cancelled"),
    (score(None, unit="{score}"), "no number"),
    ({**score(6, unit="{score}"), "valueQuantity": {"value": 6, "comparator": ">"}}, "not an exact value"),
    ({**score(30, unit="{score}"), "code": {"text": "Oswestry total"}}, "not in percent"),
    (condition("Z95.0", **status("provisional", "verificationStatus")), "provisional, so it stays unknown"),
    (condition("Z95.0", **status("refuted", "verificationStatus")), "refuted, so it stays unknown"),
    (condition("Z33", **status("resolved")), "over"),
    (condition("Z33.2"), "not a condition that deqi understands"),
    (condition("G40.9"), "leaves open whether there were seizures recently"),
    (condition("G83.4"), "may be an emergency"),
    (condition("M54.50"), "no onset"),
    (medicine(text="Blue pills"), "not a medicine that deqi understands"),
    ({**medicine(text="warfarin"), "status": "stopped"}, "its status is stopped"),
    ({**medicine(text="tramadol (opioid)"), "dosage": [{"asNeededBoolean": True}]}, "no regular one"),
    ({**medicine(text="warfarin"), "effectivePeriod": {"end": "2026-01-31"}}, "ended on 2026-01-31"),
    ({"resourceType": "MedicationRequest", "status": "active", "intent": "proposal", "subject": {"display": "x"},
      "medicationCodeableConcept": {"text": "warfarin"}}, "no order"),
])
def test_what_cannot_be_read_without_a_guess_is_reported(document: dict[str, Any], reason: str) -> None:
    document = {key: value for key, value in document.items() if value is not None}
    if "valueQuantity" in document:
        document["valueQuantity"] = {k: v for k, v in document["valueQuantity"].items() if v is not None}
    found = read(alone(document))
    assert patient_of(found).keys() == {"id", "date"}
    assert reason in reasons(found)


def test_the_latest_score_of_a_day_counts_and_older_ones_are_kept() -> None:
    found = read(alone(score(4, f"{WEEK}T08:00:00Z"), score(7, f"{WEEK}T11:00:00Z"), score(5, "2026-11-12"),
                       score(9, "2026-11-12"[:8] + "02")))
    assert patient_of(found)["pain"]["week_average"] == 7
    assert [(row["week"], row["value"]) for row in patient_of(found)["scores"]] == [(-3.429, 9), (-2, 5)]
    assert "a later score of the same day counts" in reasons(found)


def test_an_old_score_is_not_the_pain_of_now() -> None:
    found = read(alone(score(7, "2026-10-01")))
    assert "pain" not in patient_of(found) and patient_of(found)["scores"][0]["week"] == -8
    assert "week_average" in {each.id for each in found.unknown}


def test_a_blood_thinner_is_never_lost_in_a_list_half_understood() -> None:
    strange = medicine(coding=[{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "0"}], text="Marcumar")
    half = read(alone(medicine(text="ibuprofen"), strange))
    assert "medicines" not in patient_of(half) and "the list stays unknown" in reasons(half)
    assert "medicines" in {each.id for each in half.unknown}
    assert patient_of(read(alone(medicine(text="warfarin"), strange)))["medicines"] == ["warfarin"]
    statin = medicine(coding=[{"system": "http://www.whocc.no/atc", "code": "C10AA05"}])
    assert patient_of(read(alone(medicine(text="ibuprofen"), statin)))["medicines"] == ["nsaid"]
    fondaparinux = medicine(coding=[{"system": "http://www.whocc.no/atc", "code": "B01AX05"}])
    assert "medicines" not in patient_of(read(alone(medicine(text="ibuprofen"), fondaparinux)))


# What is asked back


@pytest.mark.parametrize("document, where, problem", [
    (with_resource(score(5, "2026-11-27")), "entry[13] Observation", "after the day of the assessment"),
    (bundle(rmdq={"valueQuantity": {"value": 30, "unit": "{score}"}}), "Observation/rmdq", "out of range for RMDQ"),
    (bundle(pain_now={"valueInteger": 60}), "Observation/pain-now", "out of range"),
    (bundle(pain_now={"valueInteger": None, "valueQuantity": {"value": 60, "unit": "mm"}}), "Observation/pain-now",
     "a length for a score that has none"),
    (bundle(rmdq={"valueQuantity": {"value": 11, "unit": "kg"}}), "Observation/rmdq", "a unit that this score"),
    (alone(score(3), score(4)), "entry[1] Observation", "another NRS than entry[0]"),
    (bundle(p1={"birthDate": "2027-01-01"}), "Patient/p1: birthDate", "after the day"),
    (bundle(p1={"birthDate": "1774-01-01"}), "Patient/p1: birthDate", "no such day"),
    (bundle(p1={"gender": "gorp"}), "Patient/p1: gender", "not one of the choices"),
    (bundle(p1={"deceasedBoolean": True}), "Patient/p1: deceased", "deceased"),
    (bundle(back={"onsetDateTime": "1960"}), "Condition/back", "longer than a life"),
    (bundle(rmdq={"subject": {"reference": "Patient/p2"}}), "Observation/rmdq: subject", "another than the patient"),
    (with_resource({"resourceType": "Patient", "id": "p2"}), "Patient/p2", "two patients"),
    (bundle(pain_now={"status": "invented"}), "Observation/pain-now: status", "not one of the choices"),
    (bundle(diabetes=status("perhaps")), "Condition/diabetes: clinicalStatus", "not one status"),
    (bundle(diabetes={"verificationStatus": {"text": "refuted"}}), "diabetes: verificationStatus", "not one status"),
    (bundle(pain_now={"status": None}), "Observation/pain-now: status", "not valid FHIR R4"),
    (bundle(pain_now={"effectiveDateTime": "25.11.2026"}), "Observation/pain-now: effectiveDateTime", "not valid FHIR"),
    (bundle(pain_now={"valueString": "six"}), "Observation/pain-now", "not valid FHIR R4"),
    (bundle(pain_now={"painfulness": 6}), "Observation/pain-now: painfulness", "not valid FHIR R4"),
    (with_resource(condition("M54.50", onsetDateTime="2020")), "entry[13] Condition", "another onset than"),
    ({"resourceType": "Bundle", "type": "history"}, "Bundle.type", "several states"),
    ({"resourceType": "Bundle", "type": "collection"}, "Bundle.timestamp", "day of the assessment is not known"),
    ({"patient": {}}, "resourceType", "not a FHIR resource"),
])
def test_what_contradicts_itself_or_cannot_be_is_asked_back(document: object, where: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        read(document)
    assert problem in caught.value.message and where in str(caught.value.field), caught.value


def test_a_form_and_a_record_that_disagree_are_asked_back() -> None:
    form = json.loads(FORM.read_text(encoding="utf-8"))
    form["item"].append({"linkId": "pacemaker", "answer": [{"valueBoolean": False}]})
    form["item"].append({"linkId": "medicines", "answer": [{"valueCoding": {"code": "nsaid"}}]})
    with pytest.raises(InputError, match=r"Condition: conditions.pacemaker: contradicts .*Response/answers"):
        read(alone(form, condition("Z95.0")))
    with pytest.raises(InputError, match="contradicts .* on medicines"):
        read(alone(form, medicine(text="warfarin")))


def test_the_day_of_the_assessment_may_be_given() -> None:
    later = patient_of(read(bundle(), datetime.date(2026, 12, 24)))
    assert sorted(row["week"] for row in later["scores"]) == [-7.143, -4.286, -4.143]      # 50, 30 and 29 days
    assert "pain" in later and "week_average" not in later["pain"]
    with pytest.raises(InputError, match="after the day of the assessment"):
        read(bundle(), datetime.date(2026, 1, 1))


# Forms


def test_the_example_form_is_read_with_units_ordinals_and_nesting() -> None:
    found = read(read_mapping(FORM))
    patient = parse_patient(found.mapping)
    assert (patient.pain.week_average, patient.pain.leg_pain_average) == (6.2, 3)
    assert patient.pain.duration_weeks == pytest.approx(9 * 52.18 / 12)
    assert patient.preferences.avoid == ("cost", "visits") and patient.instruments["peg"]["enjoyment"] == 5
    assert [(row.week, row.value) for row in patient.scores] == [(-4, 7)] and len(patient.care_so_far) == 1
    assert "favourite_colour: no question of deqi's" in reasons(found)


@pytest.mark.parametrize("name", PATIENTS)
def test_a_patient_file_goes_out_as_a_form_and_comes_back(name: str) -> None:
    mapping: Any = read_mapping(EXAMPLES / f"{name}.yaml")
    form = response(mapping, None, WEEK)
    assert not faults(form)
    back = read(form).mapping
    mapping["patient"] |= {"id": back["patient"]["id"], "date": WEEK}
    sent, received = (known(parse_patient(each).model_dump()) for each in (mapping, back))
    assert received == sent


def known(node: Any) -> Any:
    """Without what is unknown and without what was taken for granted in a plan."""
    if isinstance(node, dict):
        return {key: known(value) for key, value in node.items() if value is not None and key != "defaulted"}
    return [known(each) for each in node] if isinstance(node, list | tuple) else node


def test_the_questionnaire_is_valid_and_asks_every_question_with_its_reason() -> None:
    form = questionnaire()
    assert not faults(form)
    items = list(walked(form))
    ids = [item["linkId"] for item in items]
    assert len(set(ids)) == len(ids)                                       # invariant que-2
    asked = {item["linkId"] for item in items if f"{item['linkId']}.why" in ids}
    assert asked == {each.id for each in map(question, asked)} and len(asked) > 100
    for item in items:
        assert (item["type"] == "display") <= ("item" not in item)         # que-1
        assert (item["type"] == "group") <= bool(item.get("item"))
        for when in item.get("enableWhen", ()):
            assert when["question"] in asked


def walked(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in node.get("item", ()):
        yield item
        yield from walked(item)


@pytest.mark.parametrize("items, problem", [
    ([("week_average", {"valueDecimal": 6}), ("week_average", {"valueDecimal": 7})], "answered twice"),
    ([("week_average", {"valueString": "rather bad"})], "not a number"),
    ([("week_average", {"valueQuantity": {"value": 6, "unit": "kg"}})], "a unit that does not belong"),
    ([("duration", {"valueQuantity": {"value": 3, "unit": "fortnights"}})], "a unit that does not belong"),
    ([("pacemaker", {"valueAttachment": {"title": "x"}})], "an answer of this kind"),
    ([("worst", {"valueDecimal": 3}), ("week_average", {"valueDecimal": 6})], "worst pain is below"),
    ([("age", {"valueInteger": 300})], "out of range"),
])
def test_answers_that_cannot_be_are_asked_back(items: list[tuple[str, dict[str, Any]]], problem: str) -> None:
    form = {"resourceType": "QuestionnaireResponse", "status": "completed", "authored": WEEK,
            "item": [{"linkId": link, "answer": [answer]} for link, answer in items]}
    with pytest.raises(InputError) as caught:
        read(form)
    assert problem in caught.value.message and "QuestionnaireResponse" in str(caught.value.field)


# Codes


def test_every_code_has_a_source_and_a_place_in_the_patient_file() -> None:
    rows = [*table()["conditions"], *table()["medicines"], *table()["observations"], *table()["pain"].values()]
    assert {row["source"] for row in rows} <= {*table()["sources"], "assumed"}
    for row in table()["conditions"]:
        group, _, id = row.get("field", "conditions.pacemaker").partition(".")
        assert id in question_ids(group), row
    assert {row["class"] for row in table()["medicines"]} == set(question_ids("medicines"))
    for words in (table()["writing"]["needles"]["source"], table()["writing"]["goal"]["percent_source"]):
        assert exists(words)


def test_snomed_can_be_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    backache = condition("161891005", "http://snomed.info/sct", onsetDateTime="2026-02-26")
    assert "pain" in patient_of(read(alone(backache)))
    fhir_codes.table()
    fhir_codes.snomed.cache_clear()
    monkeypatch.setattr(fhir_codes, "HERE", tmp_path)
    try:
        assert "not a condition that deqi understands" in reasons(read(alone(backache)))
    finally:
        fhir_codes.snomed.cache_clear()


# Hostile input


DOCUMENTS = [json.loads(path.read_text(encoding="utf-8")) for path in (BUNDLE, FORM)]


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_corrupted_bundle_is_read_or_refused_with_one_message(data: st.DataObject) -> None:
    document = copy.deepcopy(data.draw(st.sampled_from(DOCUMENTS)))
    for _ in range(data.draw(st.integers(1, 3))):
        node: Any = document
        while isinstance(node, dict | list) and node:
            key: Any = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
            if not isinstance(node[key], dict | list) or not node[key] or data.draw(st.integers(0, 3)) == 0:
                value = copy.deepcopy(data.draw(st.sampled_from([each for each in HOSTILE if is_json(each)])))
                node[key] = value if data.draw(st.booleans()) else [value]
                break
            node = node[key]
    try:
        found = read(document, file="bundle.json")
    except InputError as error:
        assert str(error).startswith("bundle.json: ") and "\n" not in str(error)
        return
    json.dumps(found.as_json(), allow_nan=False)
    parse_patient({"patient": {**patient_of(found), "pain": {"week_average": 0, **patient_of(found).get("pain", {})}}})


def is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, tuple)


def test_a_form_nested_without_end_is_refused() -> None:
    item: dict[str, Any] = {"linkId": "x"}
    for _ in range(400):
        item = {"linkId": "x", "item": [item]}
    with pytest.raises(InputError):
        read({"resourceType": "QuestionnaireResponse", "status": "completed", "authored": WEEK, "item": [item]})


# The command


def test_the_command_writes_the_file_and_prints_the_report(tmp_path: Path) -> None:
    out = tmp_path / "patient.yaml"
    ran = deqi("import", "fhir", BUNDLE, "--out", out)
    assert ran.status == 0 and "used:" in ran.out and "ignored:" in ran.out and "influenza" in ran.out
    assert load_patient(out).pain.week_average == 6
    told = deqi("import", "fhir", BUNDLE, "--json", "-").json
    assert told.keys() == {"patient", "used", "ignored", "unknown", "screening"}


def test_the_command_stops_at_an_emergency_and_refuses_bad_input(tmp_path: Path) -> None:
    form = json.loads(FORM.read_text(encoding="utf-8"))
    form["item"][0]["item"][0]["answer"] = [{"valueBoolean": True}]
    source, out = tmp_path / "form.json", tmp_path / "patient.yaml"
    source.write_text(json.dumps(form), encoding="utf-8")
    assert deqi("import", "fhir", source, "--out", out).status == 3 and out.exists()
    out.unlink()
    source.write_text(json.dumps(bundle(pain_now={"valueInteger": 60})), encoding="utf-8")
    ran = deqi("import", "fhir", source, "--out", out)
    assert ran.status == 2 and not out.exists() and ran.err.count("\n") == 1 and "Observation/pain-now" in ran.err
