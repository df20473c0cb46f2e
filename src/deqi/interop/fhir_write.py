"""Writes a plan of care with its forecast as a FHIR R4 bundle: CarePlan, requests, goal, forecast, assessment."""

from __future__ import annotations

import datetime
import json
import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from deqi import __version__
from deqi.care import Course, Medicine, Needling, Placebo, Plan, load_plan, plan_from
from deqi.care.sentences import sentence
from deqi.consult.assessment import Patient, parse_patient
from deqi.consult.limits import permits
from deqi.consult.rules import table as rules
from deqi.consult.screening import screen
from deqi.errors import InputError
from deqi.interop.fhir_codes import snomed, table
from deqi.interop.fhir_forms import response
from deqi.reading import read_mapping

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:deqi:fhir")


def export(path: Path, plan: str, date: datetime.date | None, weeks: Sequence[int], *, seed: int, with_snomed: bool
           ) -> dict[str, Any]:
    """Forecast a plan for a patient and write both as a bundle.

    Arguments:
        path: a patient file.
        plan: in words or in a file.
        date: the day the plan begins; without it, the date in the patient file.
        weeks: of the forecast.
        seed: of every random number.
        with_snomed: whether SNOMED CT codes are written too; they need a licence outside the member countries.

    Returns:
        `bundle`, None where screening found an emergency; `screening`; `forecast`.

    Raises:
        InputError: the file or the plan is not accepted; no date; a plan that this patient may not have.
    """
    from deqi.consult.single import forecast_patient

    mapping: Any = read_mapping(path)
    patient, courses = parse_patient(mapping, file=str(path)), load_plan(plan)
    day = date or patient.date
    if day is None:
        raise InputError("the day that the plan begins is not known", file=str(path), field="patient.date",
                         accepted="--date 2026-11-26, or the date in the patient file")
    emergency = screen(patient).status == "emergency"
    if not emergency:
        may_be_planned(patient, courses)
    found = forecast_patient(patient, courses, weeks, seed=seed)
    result = {"bundle": None, "screening": found["screening"], "forecast": found["forecast"]}
    if emergency:
        return result
    nothing = forecast_patient(patient, plan_from("nothing"), weeks, seed=seed)
    return result | {"bundle": bundle(mapping, patient, courses, day, found, nothing, with_snomed=with_snomed)}


def lines(found: Mapping[str, Any], out: str) -> list[str]:
    """What was written, in plain lines for the terminal.

    Arguments:
        found: as `export` gives it.
        out: where the bundle is.
    """
    screening = found["screening"]
    head = [f"screening: {screening['status']}", *(f"  {each['text']}" for each in screening["findings"])]
    if found["bundle"] is None:
        return [*head, "Screening found an emergency: no plan of care is written."]
    kinds = [entry["resource"]["resourceType"] for entry in found["bundle"]["entry"]]
    count = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    return [*head, f"{out}: {count}. A draft by research software; whoever signs the plan answers for it."]


def may_be_planned(patient: Patient, plan: Plan) -> None:
    """Refuse a plan that holds what this patient may not or will not have, or a sham.

    Raises:
        InputError: says why.
    """
    for place, course in enumerate(plan.courses):
        sham = isinstance(course, Needling) and course.sham
        if sham or (isinstance(course, Placebo) and not course.open_label):
            raise InputError("a clinic does not plan a sham", field=f"plan[{place}]", found=sentence(course),
                             accepted="care that is meant to help")
    reasons = permits(plan, screen(patient), patient)
    if reasons:
        raise InputError(f"not for this patient: {reasons[0].rstrip('.')}", field="plan",
                         found="; ".join(map(sentence, plan.courses)), accepted="a plan that keeps to this")


def bundle(mapping: Mapping[str, Any], patient: Patient, plan: Plan, day: datetime.date, found: Mapping[str, Any],
           nothing: Mapping[str, Any], *, with_snomed: bool = False) -> dict[str, Any]:
    """Write a plan with its forecast; the same input gives the same bytes.

    Arguments:
        mapping: the patient file.
        patient: the same, read.
        plan: what is planned.
        day: when it begins.
        found, nothing: `deqi.consult.single.forecast_patient` for the plan, and for no further treatment.
        with_snomed: as in `export`.

    Returns:
        A Bundle of type `collection`, valid by `fhir.resources.R4B`, all of whose references resolve inside it.

    Raises:
        InputError: SNOMED CT codes were asked for and are not there.
    """
    made = _Bundle(day)
    words = table()["writing"]
    subject = made.add({"resourceType": "Patient", **({"gender": patient.sex} if patient.sex else {}), **(
        {"identifier": [{"system": "urn:deqi:patient", "value": patient.id}]} if patient.id else {})})
    condition = made.add({"resourceType": "Condition", "clinicalStatus": {"coding": [
        {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]},
        "code": _back_pain(with_snomed), "subject": subject})
    assessment = made.add(response(mapping, subject["reference"], (patient.date or day).isoformat()))
    activities = [_activity(made, course, subject, condition) for course in plan.courses]
    goals = [made.add(_goal(patient, day, subject, condition))] if patient.pain.week_average else []
    told = [made.add(risk(forecast, title, day, subject, condition, assessment))
            for forecast, title in ((found, "with"), (nothing, "without")) if forecast["forecast"] and (
                plan.courses or title == "without")]
    end = day + datetime.timedelta(days=math.ceil(plan.end_week * 7))
    made.add({"resourceType": "CarePlan", "status": "draft", "intent": "plan", "title": words["titles"]["plan"],
              "description": "; ".join(sentence(course) for course in plan.courses) or "no further treatment",
              "subject": subject, "period": {"start": day.isoformat(), "end": end.isoformat()},
              "created": day.isoformat(), "addresses": [condition], "supportingInfo": [assessment, *told],
              **({"goal": goals} if goals else {}), **({"activity": activities} if activities else {}),
              "note": [{"text": text} for text in _notes(plan, found)]})
    return made.finished()


class _Bundle:
    """The bundle under way."""

    def __init__(self, day: datetime.date):
        self.day = day
        self.entries: list[dict[str, Any]] = []

    def add(self, content: dict[str, Any]) -> dict[str, str]:
        """Put a resource in, under an id that follows from its content and place; return the reference to it."""
        said = json.dumps([len(self.entries), content], sort_keys=True, ensure_ascii=False)
        id = str(uuid.uuid5(NAMESPACE, said))
        kind, rest = content["resourceType"], {k: v for k, v in content.items() if k != "resourceType"}
        self.entries.append({"fullUrl": f"urn:uuid:{id}", "resource": {"resourceType": kind, "id": id, **rest}})
        return {"reference": f"urn:uuid:{id}", "type": kind}

    def finished(self) -> dict[str, Any]:
        from fhir.resources.R4B import get_fhir_model_class

        ids = json.dumps([entry["fullUrl"] for entry in self.entries])
        made = {"resourceType": "Bundle", "id": str(uuid.uuid5(NAMESPACE, ids)), "type": "collection",
                "timestamp": f"{self.day}T00:00:00Z", "entry": self.entries}
        get_fhir_model_class("Bundle").model_validate(made)
        return made


def _back_pain(with_snomed: bool) -> dict[str, Any]:
    concept: dict[str, Any] = {"text": "Low back pain"}
    if not with_snomed:
        return concept
    if not snomed():
        raise InputError("the SNOMED CT codes were left out of this installation", field="--snomed",
                         accepted="the same without --snomed")
    code = snomed()["written"]
    return {"coding": [{"system": table()["systems"]["snomed"], "code": code, "display": snomed()["back"][code]}],
            **concept}


def _activity(made: _Bundle, course: Course, subject: dict[str, str], condition: dict[str, str]) -> dict[str, Any]:
    """Visits are requests of their own; what is done at home stands in the plan."""
    kind, when = _when(course, made.day)
    if course.with_practitioner:
        return {"reference": made.add({
            "resourceType": "ServiceRequest", "status": "draft", "intent": "plan",
            "code": {"text": course.care.replace("_", " ")}, "orderDetail": [{"text": sentence(course)}],
            "subject": subject, f"occurrence{kind}": when, "reasonReference": [condition]})}
    medicine = {"kind": "MedicationRequest"} if isinstance(course, Medicine) else {}
    return {"detail": {**medicine, "code": {"text": course.care.replace("_", " ")}, "status": "not-started",
                       f"scheduled{kind}": when, "description": sentence(course)}}


def _when(course: Course, day: datetime.date) -> tuple[str, dict[str, Any]]:
    """When a course happens: sessions as a Timing, care that goes on all the time as a Period."""
    times = course.schedule
    start = day + datetime.timedelta(days=math.floor(times.start_week * 7))
    end = day + datetime.timedelta(days=math.ceil(times.end_week * 7))
    bounds = {"start": start.isoformat(), "end": end.isoformat()}
    if times.is_continuous:
        return "Period", bounds
    daily = times.times_per_week % 7 == 0
    rate = Fraction(times.times_per_week / 7 if daily else times.times_per_week).limit_denominator(520)
    return "Timing", {"repeat": {
        "boundsPeriod": bounds, "count": times.sessions, "duration": _plain(times.minutes), "durationUnit": "min",
        "frequency": rate.numerator, "period": rate.denominator, "periodUnit": "d" if daily else "wk"}}


def _goal(patient: Patient, day: datetime.date, subject: dict[str, str], condition: dict[str, str]) -> dict[str, Any]:
    words, ucum = table()["writing"], table()["systems"]["ucum"]
    goal, measure = words["goal"], words["measure"]
    due = day + datetime.timedelta(weeks=goal["week"])
    at_most = round(patient.pain.week_average * (1 - goal["percent"] / 100), 1)
    return {"resourceType": "Goal", "lifecycleStatus": "proposed", "subject": subject, "startDate": day.isoformat(),
            "description": {"text": words["goal_text"].format(**goal)}, "addresses": [condition], "target": [{
                "measure": {"coding": [{"system": table()["systems"]["loinc"], "code": measure["loinc"],
                                        "display": measure["display"]}], "text": "average pain of a week, 0 to 10"},
                "detailQuantity": {"value": at_most, "comparator": "<=", "unit": "score", "system": ucum,
                                   "code": "{score}"}, "dueDate": due.isoformat()}]}


def risk(found: Mapping[str, Any], title: str, day: datetime.date, subject: dict[str, str],
         condition: dict[str, str], assessment: dict[str, str]) -> dict[str, Any]:
    """A forecast as a RiskAssessment: the chance of improvement by week, from 0 to 1, with the likely score.

    Arguments:
        found: `forecast` as the interface has it, and `diagnostics` with `calibration`.
        title: `with` the plan, or `without`.
        day: the forecast's week 0.
        subject, condition, assessment: references.
    """
    words, predictions = table()["writing"], []
    for row in found["forecast"]:
        if row["week"] == 0:
            continue
        what = "pain (NRS 0-10)" if row["outcome"] == "NRS" else f"disability ({row['outcome']})"
        then = (day + datetime.timedelta(weeks=row["week"])).isoformat()
        predictions.append({
            "outcome": {"text": words["outcome"].format(percent=words["goal"]["percent"], what=what)},
            "probabilityDecimal": round(float(row["p_improved_30pct"]), 3), "whenPeriod": {"start": then, "end": then},
            "rationale": words["rationale"].format(what=what, mean=row["mean"], low=row["quantiles"]["0.1"],
                                                   high=row["quantiles"]["0.9"])})
    calibration = found["diagnostics"]["calibration"]
    method = words["method"].format(version=__version__, calibration=calibration[0].upper() + calibration[1:])
    return {"resourceType": "RiskAssessment", "status": "preliminary", "method": {"text": method}, "subject": subject,
            "occurrenceDateTime": day.isoformat(), "condition": condition, "basis": [assessment],
            "prediction": predictions, "note": [{"text": words["titles"][title]}]}


def _notes(plan: Plan, found: Mapping[str, Any]) -> Iterator[str]:
    words, diagnostics, screening = table()["writing"], found["diagnostics"], found["screening"]
    yield from (note["text"] for note in words["notes"])
    if any(isinstance(course, Needling) for course in plan.courses):
        yield words["needles"]["text"]
    if diagnostics["reasons"]:
        key = "edge" if found["forecast"] else "no_forecast"
        yield words[key].format(reasons=" ".join(diagnostics["reasons"]).rstrip("."))
    yield from (words["safety"].format(text=finding["text"]) for finding in screening["findings"])
    if screening["forbids"]:
        names = rules("contraindications")["forbiddable"]
        yield words["forbidden"].format(names="; ".join(names[name] for name in screening["forbids"]))
    yield screening["safety_net"]["text"]


def _plain(value: float) -> int | float:
    return int(value) if value == int(value) else value
