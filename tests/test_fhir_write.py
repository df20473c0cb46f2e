"""FHIR out: valid R4, every reference resolves, the same input gives the same bytes, nothing forbidden is planned."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command import EXAMPLES, deqi
from deqi.care import Plan, plan_from
from deqi.consult.assessment import parse_patient
from deqi.consult.screening import screen
from deqi.errors import InputError
from deqi.interop import fhir_codes
from deqi.interop.fhir_read import read
from deqi.interop.fhir_write import bundle, may_be_planned
from deqi.reading import read_mapping
from fhir_schema import faults, faults_by_schema

DAY = datetime.date(2026, 11, 26)
PLAN = ("acupuncture 30 min twice a week for 6 weeks and walking 30 min daily for 12 weeks and ibuprofen for 2 weeks "
        "and heat wrap 8 h a day for 5 days and physiotherapy 30 min every other day for 4 weeks")


def forecast(patient: Any, improved: float, reasons: tuple[str, ...] = ()) -> dict[str, Any]:
    """What `deqi forecast` gives, with made-up numbers."""
    rows = [{"week": week, "outcome": outcome, "mean": 4.2, "quantiles": {"0.1": 1.0, "0.9": 7.0},
             "p_improved_30pct": improved + week / 1000} for week in (0, 4, 12) for outcome in ("NRS", "RMDQ")]
    return {"forecast": [] if reasons else rows, "screening": screen(patient).as_json(),
            "diagnostics": {"reasons": list(reasons), "calibration": "calibrated on trials"}}


def written(plan: str | Plan = PLAN, name: str = "whole_assessment", reasons: tuple[str, ...] = (), **options: Any
            ) -> dict[str, Any]:
    mapping: Any = read_mapping(EXAMPLES / f"{name}.yaml")
    patient = parse_patient(mapping)
    return bundle(mapping, patient, plan_from(plan), DAY, forecast(patient, 0.4, reasons),
                  forecast(patient, 0.3, reasons), **options)


def of_kind(made: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in made["entry"] if entry["resource"]["resourceType"] == kind]


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield node["reference"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_resource_is_valid_and_every_reference_resolves() -> None:
    made = written()
    assert not faults(made)
    for entry in made["entry"]:
        assert not faults(entry["resource"]) and entry["fullUrl"] == f"urn:uuid:{entry['resource']['id']}"
    urls = [entry["fullUrl"] for entry in made["entry"]]
    assert len(set(urls)) == len(urls) and set(references(made)) <= set(urls)


def test_the_schema_finds_faults() -> None:
    made = written()
    del of_kind(made, "CarePlan")[0]["intent"]
    of_kind(made, "Patient")[0]["gender"] = "unstated"
    del made["type"]
    for resource in (made, *of_kind(made, "Patient")):
        assert faults_by_schema(resource), resource["resourceType"]
    with pytest.raises(ValueError, match="intent"):
        faults(*of_kind(made, "CarePlan"))


def test_the_same_input_gives_the_same_bytes_and_another_input_other_ids() -> None:
    assert json.dumps(written()) == json.dumps(written())
    assert written()["id"] != written("walking 30 min daily for 12 weeks")["id"]


def test_the_plan_is_a_draft_with_visits_as_requests_and_the_rest_in_the_plan() -> None:
    made = written()
    plan, = of_kind(made, "CarePlan")
    assert (plan["status"], plan["intent"], plan["created"]) == ("draft", "plan", "2026-11-26")
    assert plan["period"] == {"start": "2026-11-26", "end": "2027-02-18"}
    needling, physiotherapy = of_kind(made, "ServiceRequest")
    assert (needling["status"], needling["intent"]) == ("draft", "plan")
    repeat = needling["occurrenceTiming"]["repeat"]
    assert (repeat["count"], repeat["frequency"], repeat["period"], repeat["periodUnit"]) == (12, 2, 1, "wk")
    assert (repeat["duration"], repeat["durationUnit"]) == (30, "min")
    assert physiotherapy["occurrenceTiming"]["repeat"]["count"] == 14
    details = [each["detail"] for each in plan["activity"] if "detail" in each]
    assert len(details) == 3 and all("reference" not in each for each in plan["activity"] if "detail" in each)  # cpl-3
    assert [each.get("kind") for each in details] == [None, "MedicationRequest", None]
    assert details[0]["scheduledTiming"]["repeat"]["periodUnit"] == "d" and "scheduledPeriod" in details[1]


def test_the_forecast_stands_beside_that_of_no_further_treatment() -> None:
    made = written()
    ours, theirs = of_kind(made, "RiskAssessment")
    chances = [(each["whenPeriod"]["end"], each["probabilityDecimal"]) for each in ours["prediction"]]
    assert chances == [("2026-12-24", 0.404)] * 2 + [("2027-02-18", 0.412)] * 2
    assert theirs["prediction"][0]["probabilityDecimal"] == 0.304 and "Without" in theirs["note"][0]["text"]
    assert "80 of 100 people" in ours["prediction"][0]["rationale"]
    supporting = {each["reference"] for each in of_kind(made, "CarePlan")[0]["supportingInfo"]}
    assert {f"urn:uuid:{each['id']}" for each in (ours, theirs)} <= supporting
    goal, = of_kind(made, "Goal")
    assert goal["target"][0]["detailQuantity"]["value"] == 4.2             # 30 % below a VAS of 60 mm
    assert goal["target"][0]["dueDate"] == "2027-02-18"


def test_the_notes_keep_the_promise_small() -> None:
    needles, walking = (str(of_kind(written(plan), "CarePlan")[0]["note"])
                        for plan in (PLAN, "walking 30 min daily for 4 weeks"))
    assert "Research software" in needles and "about 3.5 of 100 points" in needles
    assert "current through needles" in needles                            # which this patient refuses
    assert "Research software" in walking and "3.5 of 100" not in walking


def test_without_a_forecast_the_plan_says_why() -> None:
    made = written(reasons=("The spine was operated on.",))
    assert not faults(made) and not of_kind(made, "RiskAssessment")
    assert "No numeric forecast: The spine was operated on." in str(of_kind(made, "CarePlan")[0]["note"])


def test_no_treatment_is_a_plan_without_activities() -> None:
    made = written("nothing")
    assert not faults(made) and "activity" not in of_kind(made, "CarePlan")[0]
    assert len(of_kind(made, "RiskAssessment")) == 1


def test_the_bundle_brings_the_patient_back() -> None:
    mapping: Any = read_mapping(EXAMPLES / "whole_assessment.yaml")
    found = read(written())
    back = parse_patient(found.mapping).model_dump()
    sent = parse_patient(mapping).model_dump()
    assert {key for key in sent if sent[key] != back[key]} == {"id"}
    assert "CarePlan" in str(found.ignored) and not re.search("whole-assessment", str(found.mapping))


def test_snomed_codes_are_written_on_request_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "snomed" not in json.dumps(written())
    assert "279039007" in json.dumps(written(with_snomed=True))
    fhir_codes.table()
    monkeypatch.setattr(fhir_codes, "HERE", tmp_path)
    fhir_codes.snomed.cache_clear()
    try:
        assert written()
        with pytest.raises(InputError, match="left out of this installation"):
            written(with_snomed=True)
    finally:
        fhir_codes.snomed.cache_clear()


@pytest.mark.parametrize("name, plan, why", [
    ("whole_assessment", "electroacupuncture 30 min once a week for 6 weeks", "as you wish"),
    ("older_adult_anticoagulant", "ibuprofen for 2 weeks", "raise bleeding"),
    ("older_adult_anticoagulant", "deep acupuncture 30 min once a week for 6 weeks", "shallow insertion"),
    ("gerac_chronic", "sham acupuncture 30 min once a week for 6 weeks", "does not plan a sham"),
])
def test_what_a_patient_may_not_have_is_not_written(name: str, plan: str, why: str) -> None:
    patient = parse_patient(read_mapping(EXAMPLES / f"{name}.yaml"))
    with pytest.raises(InputError, match=why):
        may_be_planned(patient, plan_from(plan))


@settings(max_examples=60, deadline=None)
@given(care=st.sampled_from(["acupuncture", "walking", "heat", "stretching", "physiotherapy"]),
       rate=st.one_of(st.sampled_from([0.5, 1, 2, 3.5, 7, 14]), st.floats(0.25, 14)), weeks=st.integers(4, 30),
       start=st.floats(0, 10))
def test_any_schedule_is_a_valid_timing(care: str, rate: float, weeks: int, start: float) -> None:
    plan = plan_from({"care": care, "minutes": 20, "times_per_week": rate, "weeks": weeks, "start_week": start})
    made = written(plan, "ashar_person")
    assert not faults(made)
    detail = of_kind(made, "CarePlan")[0]["activity"][0].get("detail") or of_kind(made, "ServiceRequest")[0]
    repeat = (detail.get("scheduledTiming") or detail["occurrenceTiming"])["repeat"]
    assert repeat["count"] == plan.courses[0].schedule.sessions
    per_week = repeat["frequency"] / repeat["period"] * (7 if repeat["periodUnit"] == "d" else 1)
    assert per_week == pytest.approx(rate, abs=1e-3)
    assert repeat["boundsPeriod"]["start"] < repeat["boundsPeriod"]["end"]


# The command


def test_the_command_writes_plan_and_forecast(tmp_path: Path) -> None:
    out = tmp_path / "careplan.json"
    ran = deqi("export", "fhir", EXAMPLES / "whole_assessment.yaml", "--plan", "walking 30 min daily for 6 weeks",
               "--out", out, "--weeks", "4,12", "--json", "-")
    assert ran.status == 0 and ran.json["screening"]["status"] == "caution"
    made = json.loads(out.read_text(encoding="utf-8"))
    assert not faults(made) and made == ran.json["bundle"]
    chances = [round(row["p_improved_30pct"], 3) for row in ran.json["forecast"]]
    told = [each["probabilityDecimal"] for each in of_kind(made, "RiskAssessment")[0]["prediction"]]
    assert told == chances and len(told) == 4                              # pain and disability at two weeks


def test_the_command_writes_no_plan_in_an_emergency_and_names_what_is_missing(tmp_path: Path) -> None:
    out = tmp_path / "careplan.json"
    plan = ("--plan", "walking 30 min daily for 6 weeks", "--out", out)
    ran = deqi("export", "fhir", EXAMPLES / "cauda_equina.yaml", *plan, "--date", "2026-11-26")
    assert ran.status == 3 and not out.exists() and "no plan of care is written" in ran.out
    for arguments in (plan, ("--date", "26.11.2026", *plan), plan[:2]):
        ran = deqi("export", "fhir", EXAMPLES / "gerac_chronic.yaml", *arguments)
        assert ran.status == 2 and ran.err.count("\n") == 1 and not out.exists()


def test_the_command_writes_the_questions(tmp_path: Path) -> None:
    out = tmp_path / "questions.json"
    assert deqi("export", "fhir", "--questionnaire", out).status == 0
    assert not faults(json.loads(out.read_text(encoding="utf-8")))
