"""deqi's own questions as a FHIR Questionnaire, and the answers to them as a QuestionnaireResponse, out and in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deqi import __version__
from deqi.care import plan_from, sentences
from deqi.consult.fields import vas_points
from deqi.consult.instruments import known
from deqi.consult.intake import answer_to
from deqi.consult.questions import Question, questions, sections
from deqi.interop.fhir_bundle import Resource
from deqi.interop.fhir_codes import table

URL = "urn:deqi:questionnaire:assessment"
ANSWERS = "urn:deqi:answers"
EXTENSION = "http://hl7.org/fhir/StructureDefinition/"
CHILDREN: dict[str, dict[str, str]] = {       # the parts of one entry of a list, and their FHIR type
    "scores": {"date": "date", "week": "decimal", "outcome": "choice", "value": "decimal"},
    "care": {"plan": "string", "start_week": "decimal"},
}
TYPES = {"number": "decimal", "pain_score": "decimal", "duration": "quantity", "choice": "choice", "list": "choice",
         "yes_no": "boolean", "text": "string", "date": "date", "scores": "group", "care": "group",
         "instrument": "group"}
VALUES = {"decimal": "valueDecimal", "string": "valueString", "boolean": "valueBoolean", "date": "valueDate"}


def questionnaire() -> dict[str, Any]:
    """The questions of an assessment as a Questionnaire, in the order asked; its linkIds are the ids of the questions.

    Nothing in it needs an answer: what is left out stays unknown.
    """
    groups = [{"linkId": f"section.{id}", "text": title, "type": "group",
               "item": [_asked(each) for each in questions() if each.section == id]}
              for id, title in sections().items()]
    return {"resourceType": "Questionnaire", "id": "deqi-assessment", "url": URL, "version": __version__,
            "name": "DeqiAssessment", "title": "Assessment of low back pain for deqi", "status": "draft",
            "experimental": True, "subjectType": ["Patient"],
            "description": "Questions in deqi's own words, with why each is asked. Research software, not a medical "
                           "device. An answer left out stays unknown.", "item": groups}


def response(mapping: Mapping[str, Any], subject: str | None, date: str) -> dict[str, Any]:
    """A patient file as a QuestionnaireResponse.

    Arguments:
        mapping: a patient file's mapping that `deqi.consult.intake.check` accepts.
        subject: the reference of the Patient, if there is one.
        date: the day of the assessment, ISO.
    """
    groups = []
    for id in sections():
        answered = [(each, answer_to(mapping, each)) for each in questions() if each.section == id]
        items = [item for each, value in answered if value is not None for item in _answered(each, value)]
        if items:
            groups.append({"linkId": f"section.{id}", "item": items})
    about = {} if subject is None else {"subject": {"reference": subject}}
    return {"resourceType": "QuestionnaireResponse", "questionnaire": f"{URL}|{__version__}", "status": "completed",
            **about, "authored": date, "item": groups}


def answers_in(resource: Resource, content: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The answers in a QuestionnaireResponse.

    Arguments:
        resource: for errors.
        content: of the response, as `fhir_bundle.checked` gives it.

    Returns:
        Question id to the answer, as `deqi.consult.answers.understood` takes it; and the linkIds that are no
        question's.

    Raises:
        InputError: a question answered twice, or by a value of a kind that it cannot have.
    """
    asked = {each.id: each for each in questions()}
    given: dict[str, Any] = {}
    unknown: list[str] = []
    for item in _items(content):
        link = item["linkId"]
        question = asked.get(link)
        if question is None:
            if item.get("answer") and link.partition(".")[0] not in asked:
                unknown.append(link)
            continue
        value = _value(resource, question, item)
        if value is None:
            continue
        if question.type in CHILDREN:
            given[link] = [*given.get(link, []), value]
        elif link in given:
            raise resource.refused("a question answered twice", link, found=value, accepted="one answer")
        else:
            given[link] = value
    return given, unknown


def _asked(question: Question) -> dict[str, Any]:
    item: dict[str, Any] = {"linkId": question.id, "text": question.text, "type": TYPES[question.type]}
    if question.type == "number" and question.whole:
        item["type"] = "integer"
    if question.low is not None and question.type in ("number", "pain_score"):
        item["extension"] = [_bound(item["type"], "minValue", question.low), _bound(item["type"], "maxValue",
                                                                                   question.high)]
    if question.type == "duration":
        item["extension"] = [{"url": f"{EXTENSION}questionnaire-unitOption", "valueCoding":
                              {"system": table()["systems"]["ucum"], "code": code, "display": unit}}
                             for code, unit in table()["units"]["duration"].items()]
    if question.type in ("list", *CHILDREN):
        item["repeats"] = True
    if question.choices:
        none = {"none": "none of these"} if question.type == "list" else {}
        item["answerOption"] = [{"valueCoding": _coding(code, shown)}
                                for code, shown in {**question.choices, **none}.items()]
    conditions = [condition for path, values in question.when.items() for condition in _when(path, values)]
    if conditions:
        item |= {"enableWhen": conditions, "enableBehavior": "any"}
    why = {"linkId": f"{question.id}.why", "type": "display", "text": f"Why we ask: {question.why}", "extension": [
        {"url": f"{EXTENSION}questionnaire-itemControl", "valueCodeableConcept": {"coding": [
            {"system": "http://hl7.org/fhir/questionnaire-item-control", "code": "help"}]}}]}
    return {**item, "item": [*_parts(question), why]}


def _parts(question: Question) -> list[dict[str, Any]]:
    if question.type == "instrument":
        parts = [(part.id, f"{part.name}, {part.low:g} to {part.high:g}") for part in known()[question.id].parts]
        total = [] if any(id == "total" for id, _ in parts) or known()[question.id].total == "none" else [
            ("total", "the total, if the parts are not known")]
        return [{"linkId": f"{question.id}.{id}", "text": text, "type": "decimal"} for id, text in (*parts, *total)]
    if question.type == "scores":
        words = {"date": "the day", "week": "or the week before now, such as -2", "outcome": "the scale",
                 "value": "the value (VAS in mm, ODI in percent)"}
        scales = [{"valueCoding": _coding(name, name)} for name in ("NRS", "VAS", "RMDQ", "ODI")]
        return [{"linkId": f"scores.{name}", "text": words[name], "type": type,
                 **({"answerOption": scales} if type == "choice" else {})} for name, type in CHILDREN["scores"].items()]
    if question.type == "care":
        return [{"linkId": f"{question.id}.plan", "type": "string", "repeats": True,
                 "text": "the care, such as walking 30 min daily for 4 weeks"},
                {"linkId": f"{question.id}.start_week", "type": "decimal", "text": "the week it began, such as -6"}]
    return []


def _bound(type: str, name: str, value: float | None) -> dict[str, Any]:
    kind = "valueInteger" if type == "integer" else "valueDecimal"
    return {"url": f"{EXTENSION}{name}", kind: int(value or 0) if type == "integer" else value}


def _when(path: str, values: list[Any]) -> Iterator[dict[str, Any]]:
    other = next(each for each in questions() if each.field == path)
    for value in values:
        if value is None:
            yield {"question": other.id, "operator": "exists", "answerBoolean": False}
        elif isinstance(value, bool):
            yield {"question": other.id, "operator": "=", "answerBoolean": value}
        else:
            yield {"question": other.id, "operator": "=", "answerCoding": _coding(value, other.choices[value])}


def _coding(code: str, shown: str) -> dict[str, str]:
    return {"system": ANSWERS, "code": code, "display": shown}


def _answered(question: Question, value: Any) -> Iterator[dict[str, Any]]:
    """The items that say an answer; several for a list of scores or of care."""
    match question.type:
        case "duration":
            number, unit = value.split()
            code = next(code for code, name in table()["units"]["duration"].items() if name == unit)
            yield _item(question.id, [{"valueQuantity": {
                "value": float(number), "unit": unit, "system": table()["systems"]["ucum"], "code": code}}])
        case "choice":
            code = next(code for code in question.choices if code.casefold() == str(value).casefold())
            yield _item(question.id, [{"valueCoding": _coding(code, question.choices[code])}])
        case "list":
            yield _item(question.id, [{"valueCoding": _coding(code, question.choices.get(code, code))}
                                      for code in value or ["none"]])
        case "instrument":
            scores = value if isinstance(value, Mapping) else {"total": value}
            yield _group(question.id, {name: "decimal" for name in scores}, scores)
        case "scores":
            for row in value:
                yield _group(question.id, CHILDREN["scores"], {**row, **_iso(row)})
        case "care":
            for row in value:
                yield _group(question.id, CHILDREN["care"], {**row, "plan": sentences(plan_from(row["plan"]))})
        case "pain_score":
            yield _item(question.id, [{"valueDecimal": _points(value)}])
        case "number" if question.whole:
            yield _item(question.id, [{"valueInteger": int(value)}])
        case _:
            kind = VALUES[TYPES[question.type]]
            yield _item(question.id, [{kind: str(value) if kind in ("valueDate", "valueString") else value}])


def _group(link: str, types: Mapping[str, str], row: Mapping[str, Any]) -> dict[str, Any]:
    parts = []
    for name, type in types.items():
        values = row.get(name)
        if values is None or values == "unknown":
            continue
        for_each = [{"valueCoding": _coding(str(value).upper(), str(value).upper())} if type == "choice"
                    else {VALUES[type]: value} for value in (values if isinstance(values, list) else [values])]
        parts.append(_item(f"{link}.{name}", for_each))
    return {"linkId": link, "item": parts}


def _item(link: str, answers: list[dict[str, Any]]) -> dict[str, Any]:
    return {"linkId": link, "answer": answers}


def _iso(row: Mapping[str, Any]) -> dict[str, str]:
    return {"date": str(row["date"])} if row.get("date") else {}


def _points(value: Any) -> float:
    """Pain on the NRS: a VAS of 60 mm is 6 of 10."""
    points = vas_points(value) if isinstance(value, str) else None
    return float(value) if points is None else points


def _items(content: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All items, those below others too."""
    under_answers = (item for answer in content.get("answer", ()) for item in answer.get("item", ()))
    below = [*content.get("item", ()), *under_answers]
    for item in below:
        yield item
        yield from _items(item)


def _value(resource: Resource, question: Question, item: Mapping[str, Any]) -> Any:
    if TYPES[question.type] == "group":
        return _row(resource, question, item)
    values = [_plain(resource, question.id, answer, question) for answer in item.get("answer", ())]
    values = [value for value in values if value is not None]
    if question.type == "list":
        return [] if values == ["none"] else values or None
    if len(values) > 1:
        raise resource.refused("more than one answer", question.id, found=len(values), accepted=question.accepts)
    return values[0] if values else None


def _row(resource: Resource, question: Question, item: Mapping[str, Any]) -> dict[str, Any] | None:
    row: dict[str, Any] = {}
    for part in item.get("item", ()):
        values = [_plain(resource, part["linkId"], answer, None) for answer in part.get("answer", ())]
        values = [value for value in values if value is not None]
        name = part["linkId"].rpartition(".")[2]
        if values:
            row[name] = values if name == "plan" else values[0]
            if len(values) > 1 and name != "plan":
                raise resource.refused("more than one answer", part["linkId"], found=len(values), accepted="one answer")
    return row or None


def _plain(resource: Resource, link: str, answer: Mapping[str, Any], question: Question | None) -> Any:
    """The value of an answer, as a person would type it where a unit or a code tells more than the number."""
    kind = next((key for key in answer if key.startswith("value")), "")
    value: Any = answer.get(kind)
    match kind:
        case "":
            return None
        case "valueCoding":
            ordinal = next((each.get("valueDecimal") for each in value.get("extension", ())
                            if each.get("url") == f"{EXTENSION}ordinalValue"), None)
            wants_number = question is None or question.type in ("number", "pain_score")
            return ordinal if ordinal is not None and wants_number else value.get("code", value.get("display"))
        case "valueQuantity":
            return _quantity(resource, link, value, question)
        case "valueBoolean" | "valueDecimal" | "valueInteger" | "valueString" | "valueDate":
            return value
        case _:
            raise resource.refused("an answer of this kind is not read", f"{link}.{kind}",
                                   accepted="a number, a quantity, a code, a text, a date, true or false")


def _quantity(resource: Resource, link: str, value: Mapping[str, Any], question: Question | None) -> Any:
    units, number = table()["units"], value.get("value")
    unit = value.get("code") or value.get("unit")
    type = question.type if question else "number"
    if number is None:
        return None
    if "comparator" in value:
        raise resource.refused("not an exact value", link, found=value["comparator"], accepted="a value")
    if type == "duration" and unit in units["duration"]:
        return f"{number:.12g} {units['duration'][unit]}" if 0 <= number < 1e6 else f"{number} {unit}"
    if type == "pain_score" and unit in units["length"]:
        return f"{number:.12g} {unit}"
    if type != "duration" and (unit in (None, *units["score"]) or (question and unit == question.unit)):
        return number
    accepted = " | ".join(units["duration"]) if type == "duration" else "a value without a unit"
    raise resource.refused("a unit that does not belong here", link, found=unit, accepted=accepted)
