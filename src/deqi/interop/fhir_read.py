"""Reads a FHIR R4 bundle into a patient file, and reports what was used, what was ignored, what is not known."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deqi.consult.intake import check, unanswered
from deqi.consult.questions import Question
from deqi.consult.screening import Screening, screen
from deqi.errors import InputError
from deqi.interop.fhir_bundle import Moment, Opened, Resource, checked, moment, opened, subject_of
from deqi.interop.fhir_chart import Chart, Scored, assembled, day_scores
from deqi.interop.fhir_codes import codes, conditions_of, medicines_of, observation_of, pain_of, shown, table
from deqi.interop.fhir_forms import answers_in


@dataclass(frozen=True)
class Imported:
    """What a bundle told of one patient.

    Attributes:
        mapping: a patient file; `deqi.consult.intake.check` accepts it, `parse_patient` if the average pain is in it.
        used: resource, fields that it gave, and a note on how it was taken, or None.
        ignored: resource and reason.
        unknown: the questions still open.
        screening: of what is known.
    """

    mapping: dict[str, Any]
    used: tuple[dict[str, Any], ...]
    ignored: tuple[dict[str, str], ...]
    unknown: tuple[Question, ...]
    screening: Screening

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {"patient": self.mapping["patient"], "used": list(self.used), "ignored": list(self.ignored),
                "unknown": [each.id for each in self.unknown], "screening": self.screening.as_json()}


def read(document: object, date: datetime.date | None = None, file: str | None = None) -> Imported:
    """Read what a clinic's system knows of one patient.

    Arguments:
        document: a Bundle (collection, searchset, document, transaction or batch) or a single resource, as parsed JSON.
        date: the day of the assessment; without it, that of the bundle's timestamp or of a form that came alone.
        file: the name to put into an error.

    Raises:
        InputError: no valid FHIR R4 in a resource that is read; two patients; a day after the assessment; values that
            contradict each other or cannot be. It names the resource and the path.
    """
    try:
        return _read(document, date)
    except InputError as error:
        raise InputError(error.message, file=file, field=error.field, found=error.found, accepted=error.accepted
                         ) from None
    except RecursionError:
        raise InputError("nested too deeply", file=file, accepted="a bundle as systems write it") from None


def scores(document: object, date: datetime.date) -> tuple[list[Scored], list[dict[str, str]]]:
    """Read only the scores that a clinic's system holds of one patient, each with its day, and what gave none.

    Arguments:
        document: a Bundle or a single resource, as parsed JSON.
        date: today; no score may be later.

    Raises:
        InputError: as `read`.
    """
    try:
        chart, _ = _charted(document, date)
        found = day_scores(chart)
    except RecursionError:
        raise InputError("nested too deeply", accepted="a bundle as systems write it") from None
    return found, [{"resource": name, "reason": reason} for name, reason in chart.ignored]


def lines(found: Imported, out: str | None) -> list[str]:
    """The report in plain lines for the terminal.

    Arguments:
        found: what was read.
        out: where the patient file is, if it was written.
    """
    findings = [finding for finding in found.screening.findings if finding.kind != "not_asked"]
    told = [f"screening: {found.screening.status}", *(f"  {finding.text}" for finding in findings), "used:"]
    for row in found.used:
        told.append(f"  {row['resource']}: {_few(row['fields'])}" + (f" ({row['note']})" if row["note"] else ""))
    told += ["ignored:", *(f"  {row['resource']}: {row['reason']}" for row in found.ignored)]
    told.append(f"not known, and asked by deqi ({len(found.unknown)}): {_few([each.id for each in found.unknown])}")
    if out is not None:
        ready = all(each.id != "week_average" for each in found.unknown)
        lacks = "" if ready else " It lacks the average pain, so no forecast can be made yet."
        told.append(f"{out} is written.{lacks} To answer what is left: deqi assess --from {out} --out {out}")
    return told


def _few(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _charted(document: object, date: datetime.date | None) -> tuple[Chart, Opened]:
    bundle = opened(document)
    today = bundle.date if date is None else Moment(date, date)
    if today is None or not today.is_day:
        raise InputError("the day of the assessment is not known", field="Bundle.timestamp",
                         accepted="--date 2026-11-26, or a timestamp in the bundle")
    chart = Chart(today, bundle)
    contents = {resource.place: checked(resource) for resource in bundle.resources if resource.kind in READERS}
    _one_person(bundle, contents)
    for resource in bundle.resources:
        reader = READERS.get(resource.kind)
        if reader is not None:
            reader(chart, resource, contents[resource.place])
        elif resource.kind != "Medication":
            chart.ignore(resource, "deqi does not read this kind of resource")
    for place, reason in bundle.rest:
        chart.ignored.append((place, reason))
    return chart, bundle


def _read(document: object, date: datetime.date | None) -> Imported:
    chart, bundle = _charted(document, date)
    for resource in bundle.resources:  # a Medication is read where a statement refers to it
        if resource.kind == "Medication" and resource.name not in chart.used:
            chart.ignore(resource, "nothing that was read refers to it")
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode("utf-8", "replace")).hexdigest()
    mapping = assembled(chart, id=f"fhir-{digest[:10]}")
    patient = check(mapping)
    used = tuple({"resource": name, "fields": fields, "note": "; ".join(notes) or None}
                 for name, (fields, notes) in chart.used.items())
    ignored = tuple({"resource": name, "reason": reason} for name, reason in chart.ignored)
    return Imported(mapping, used, ignored, tuple(unanswered(mapping)), screen(patient))


def _one_person(bundle: Opened, contents: Mapping[str, Mapping[str, Any]]) -> None:
    people = [resource for resource in bundle.resources if resource.kind == "Patient"]
    if len(people) > 1:
        raise people[1].refused("two patients in one bundle", "Patient", accepted="the resources of one person")
    first: str | None = None
    for resource in bundle.resources:
        reference = subject_of(contents.get(resource.place, {}))
        if reference is None or resource.kind == "Patient":
            continue
        if people and bundle.find(reference, resource) is not people[0]:
            raise resource.refused("about another than the patient of this bundle", "subject", found=reference,
                                   accepted=f"a reference to {people[0].name}")
        if first is not None and not people and reference != first:
            raise resource.refused("about another person than the resources before it", "subject", found=reference,
                                   accepted=first)
        first = first or reference


def _person(chart: Chart, resource: Resource, content: Mapping[str, Any]) -> None:
    if content.get("deceasedBoolean") or content.get("deceasedDateTime"):
        raise resource.refused("recorded as deceased", "deceased", accepted="a living patient")
    gender, genders = content.get("gender"), table()["genders"]
    if gender is not None and gender not in genders:
        raise resource.refused("not one of the choices", "gender", found=gender, accepted=" | ".join(genders))
    if gender not in (None, "unknown"):
        chart.say("sex", gender, resource)
    if "birthDate" in content:
        born = _past(chart, resource, "birthDate", content["birthDate"])
        oldest, youngest = (_years(day, chart.today.first) for day in (born.first, born.last))
        note = None if oldest == youngest else f"born in {content['birthDate']}: between {youngest} and {oldest}"
        chart.say("age", max(0.0, (oldest + youngest) / 2) if note else oldest, resource, note)
    if resource.name not in chart.used:
        chart.ignore(resource, "neither a date of birth nor a gender")


def _condition(chart: Chart, resource: Resource, content: Mapping[str, Any]) -> None:
    concept = content.get("code", {})
    verified = _status(resource, content, "verificationStatus", table()["verification"])
    if verified is not None and verified not in table()["verification"]["used"]:
        return chart.ignore(resource, f"{shown(concept)}: {verified}, so it stays unknown")
    clinical = table()["clinical"]
    state = _status(resource, content, "clinicalStatus", {"used": clinical["now"], "other": clinical["past"]})
    over = state in clinical["past"] or any(key.startswith("abatement") for key in content)
    note = "no clinical status: taken as current" if state is None and not over else None
    rows, pains = conditions_of(concept), pain_of(concept)
    for row in rows:
        if "unclear" in row:
            chart.ignore(resource, f"{shown(concept)}: the code leaves open {row['unclear']}")
        elif over and not row.get("past"):
            chart.ignore(resource, f"{shown(concept)}: over, so whether {row['field']} holds now stays unknown")
        else:
            chart.say(row["field"], True, resource, note)
    if pains and over:
        return chart.ignore(resource, f"{shown(concept)}: over")
    if "leg" in pains:
        chart.say("pain.leg_pain", True, resource, note)
    if "back" in pains:
        _onset(chart, resource, content)
    if not rows and not pains:
        chart.ignore(resource, f"{shown(concept)}: not a condition that deqi understands")


def _onset(chart: Chart, resource: Resource, content: Mapping[str, Any]) -> None:
    age = content.get("onsetAge", {})
    start = content.get("onsetDateTime") or content.get("onsetPeriod", {}).get("start")
    if start is not None:
        chart.onsets.append((_past(chart, resource, "onset", start), resource))
    elif age.get("code", age.get("unit")) in ("a", "years", "year") and "value" in age and "comparator" not in age:
        chart.say("pain.started_at_age", age["value"], resource)
    else:
        chart.ignore(resource, f"{shown(content.get('code', {}))}: no onset that tells how long it has lasted")


def _observation(chart: Chart, resource: Resource, content: Mapping[str, Any]) -> None:
    row = observation_of(content["code"])
    if row is None:
        return chart.ignore(resource, f"{shown(content['code'])}: not an observation that deqi reads")
    if "why_not" in row:
        return chart.ignore(resource, f"{shown(content['code'])}: {row['why_not']}")
    if not _counts(chart, resource, content):
        return None
    start = content.get("effectivePeriod", {})
    given = (content.get("effectiveDateTime") or content.get("effectiveInstant") or start.get("end")
             or start.get("start"))
    if given is None:
        return chart.ignore(resource, "no date: it cannot be told when this score was given")
    when = _past(chart, resource, "effective", given)
    if not when.is_day:
        return chart.ignore(resource, f"the day of this score is not known, only {given}")
    read = _score(resource, content, row)
    if isinstance(read, str):
        return chart.ignore(resource, read)
    chart.scores.append(Scored(*read, when, resource))
    return None


def _score(resource: Resource, content: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[str, float] | str:
    """The outcome and its value, or why it cannot be read."""
    units, outcome = table()["units"], row["outcome"]
    if "valueInteger" in content:
        number, unit = content["valueInteger"], None
    elif "valueQuantity" in content and "value" in content["valueQuantity"]:
        quantity = content["valueQuantity"]
        if "comparator" in quantity:
            return f"not an exact value: {quantity['comparator']} {quantity['value']}"
        number, unit = quantity["value"], quantity.get("code") or quantity.get("unit")
    else:
        return "no number in it"
    if unit in units["length"]:
        if "VAS" not in (outcome, row.get("or")):
            raise resource.refused("a length for a score that has none", "valueQuantity.unit", found=unit,
                                   accepted=f"a number without a unit for {outcome}")
        return "VAS", number * (10 if unit == "cm" else 1)
    if outcome == "VAS":
        return "a visual analogue scale without mm or cm: it cannot be told how long the line was"
    if outcome == "ODI" and unit not in units["percent"]:
        return "an Oswestry score that is not in percent: points of 50 and percent cannot be told apart"
    if outcome != "ODI" and unit not in (None, *units["score"]):
        raise resource.refused("a unit that this score does not have", "valueQuantity.unit", found=unit,
                               accepted="a number without a unit, or {score}")
    return outcome, number


def _medicine(chart: Chart, resource: Resource, content: Mapping[str, Any]) -> None:
    if not _counts(chart, resource, content):
        return None
    if content.get("doNotPerform"):
        return chart.ignore(resource, "an order not to take it")
    if resource.kind == "MedicationRequest":
        orders, intent = table()["orders"], content.get("intent")
        if intent not in orders["used"] + orders["other"]:
            raise resource.refused("not one of the choices", "intent", found=intent,
                                   accepted=", ".join(orders["used"] + orders["other"]))
        if intent not in orders["used"]:
            return chart.ignore(resource, f"a {intent}, no order")
    ended = content.get("effectivePeriod", {}).get("end")
    if ended is not None and chart.today.is_after(moment(ended, resource, "effectivePeriod.end")):
        return chart.ignore(resource, f"ended on {ended}")
    concept = content.get("medicationCodeableConcept")
    reference = content.get("medicationReference", {}).get("reference")
    if concept is None and reference is not None:
        found = chart.bundle.find(reference, resource)
        if found is None or found.kind != "Medication":
            return chart.ignore(resource, f"its medication {reference[:60]} is not in the bundle")
        concept = checked(found).get("code")
        chart.use(found, "medicines")
    concept = concept or {}
    classes, atc = medicines_of(concept), codes(concept, "atc")
    if not classes and atc and not any(code.startswith(tuple(table()["unsure"]["atc"])) for code in atc):
        return chart.ignore(resource, f"{shown(concept)}: none of the classes of medicines that matter here")
    if not classes:
        chart.strangers.append(resource)
        return chart.ignore(resource, f"{shown(concept)}: not a medicine that deqi understands")
    dosage = content.get("dosage", content.get("dosageInstruction", []))
    if classes == ["regular_opioid"] and dosage and all(each.get("asNeededBoolean") for each in dosage):
        return chart.ignore(resource, f"{shown(concept)}: an opioid as needed is no regular one")
    for each in classes:
        chart.medicines.setdefault(each, resource)
    chart.use(resource, "medicines", "prescribed; whether it is taken is not told"
              if resource.kind == "MedicationRequest" else None)
    return None


def _form(chart: Chart, resource: Resource, content: Mapping[str, Any]) -> None:
    if not _counts(chart, resource, content):
        return None
    given, strange = answers_in(resource, content)
    for link in strange:
        chart.ignore(resource, f"{link[:80]}: no question of deqi's")
    if not given:
        return None if strange else chart.ignore(resource, "no answer in it")
    if "authored" not in content:
        return chart.ignore(resource, "no date: it cannot be told when this form was filled in")
    when = _past(chart, resource, "authored", content["authored"])
    if not when.is_day or (chart.today.first - when.first).days > table()["recent_days"]["value"]:
        return chart.ignore(resource, f"filled in {content['authored'][:10]}: too long ago to hold now")
    chart.forms.append((when, resource, given))
    return None


def _counts(chart: Chart, resource: Resource, content: Mapping[str, Any]) -> bool:
    """Whether a resource of this status counts; reported if not."""
    rule = table()["statuses"][resource.kind]
    status = content.get(rule["field"])
    if status not in rule["used"] + rule["other"]:
        raise resource.refused("not one of the choices", rule["field"], found=status,
                               accepted=", ".join(rule["used"] + rule["other"]))
    if status not in rule["used"]:
        chart.ignore(resource, f"its status is {status}")
    return status in rule["used"]


def _status(resource: Resource, content: Mapping[str, Any], key: str, known: Mapping[str, list[str]]) -> str | None:
    """A Condition's status, one code of a required list, perhaps with local ones beside; None if it is not stated."""
    if key not in content:
        return None
    accepted = known["used"] + known["other"]
    found = {each["code"] for each in content[key].get("coding", ()) if each.get("code") in accepted}
    if len(found) != 1:
        told = ", ".join(sorted(found)) or shown(content[key])
        raise resource.refused("not one status of the standard", key, found=told, accepted=", ".join(accepted))
    return found.pop()


def _past(chart: Chart, resource: Resource, path: str, given: object) -> Moment:
    when = moment(given, resource, path)
    if when.is_after(chart.today):
        raise resource.refused("after the day of the assessment", path, found=given,
                               accepted=f"a date up to {chart.today.first}, or another --date")
    return when


def _years(born: datetime.date, today: datetime.date) -> int:
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


READERS: dict[str, Callable[[Chart, Resource, Mapping[str, Any]], None]] = {
    "Patient": _person, "Condition": _condition, "Observation": _observation, "MedicationStatement": _medicine,
    "MedicationRequest": _medicine, "QuestionnaireResponse": _form,
}
