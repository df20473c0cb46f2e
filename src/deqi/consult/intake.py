"""Turns the answers of an assessment into a patient file, one at a time or a whole form at once."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import yaml

from deqi.consult.answers import understood
from deqi.consult.assessment import Patient, parse_patient
from deqi.consult.questions import Question, question, questions
from deqi.consult.rules import holds
from deqi.consult.screening import known_facts
from deqi.errors import InputError

DURATIONS = {f"pain.duration_{unit}" for unit in ("weeks", "months", "years")}


def patient_from_answers(answers: Mapping[str, object], file: str | None = None) -> dict[str, Any]:
    """Turn the answers of a form into a patient file's mapping.

    Arguments:
        answers: question id to a value (number, true, text, list ...) or to text as a person would type it; None, an
            empty text and "unknown" leave the field out.
        file: the name to put into an error.

    Returns:
        `{"patient": {...}}`, checked; it lacks `pain.week_average` if that was not answered, which `parse_patient`
        needs.

    Raises:
        InputError: no such question (the field is its id), an answer that is not understood (likewise), or one that
            cannot be or contradicts another (the field is its place in the patient file).
    """
    mapping: dict[str, Any] = {"patient": {}}
    for id, given in answers.items():
        try:
            asked = question(id)
            mapping = placed(mapping, asked, understood(asked, given))
        except InputError as error:
            raise InputError(error.message, file=file, field=error.field, found=error.found,
                             accepted=error.accepted) from None
    check(mapping, file)
    return {"patient": settled(mapping["patient"])}


def check(mapping: object, file: str | None = None) -> Patient:
    """Read a patient of whom not everything has been asked yet.

    Arguments:
        mapping: as a patient file; `pain.week_average` and the score of a disability instrument may be missing.
        file: the name to put into an error.

    Returns:
        A patient fit for screening only: an average pain that was not given reads as 0, and no rule of screening asks
        for it.

    Raises:
        InputError: as `parse_patient`.
    """
    patient = mapping.get("patient") if isinstance(mapping, Mapping) else None
    if not isinstance(mapping, Mapping) or not isinstance(patient, Mapping):
        return parse_patient(mapping, file)
    pain = {} if patient.get("pain") in (None, "unknown") else patient["pain"]
    if isinstance(pain, Mapping) and pain.get("week_average") in (None, "unknown"):
        pain = {**pain, "week_average": 0}
    return parse_patient({**mapping, "patient": settled({**patient, "pain": pain})}, file)


def settled(patient: Mapping[str, Any]) -> dict[str, Any]:
    """A patient without a disability instrument whose score was not told: half an answer is none."""
    disability = patient.get("disability")
    half = isinstance(disability, Mapping) and str(disability.get("instrument")).upper() in ("RMDQ", "ODI") and (
        disability.get("score") in (None, "unknown"))
    return {key: value for key, value in patient.items() if not (half and key == "disability")}


def answer_to(mapping: Mapping[str, Any], asked: Question) -> Any:
    """What the file says to a question; None where it says nothing.

    Arguments:
        mapping: a patient file's mapping.
        asked: the question.
    """
    for path in sorted(_fields(asked)):
        node: Any = mapping["patient"]
        for key in path.split("."):
            node = node.get(key) if isinstance(node, Mapping) else None
        if node is not None and node != "unknown":
            return f"{node} {path.rpartition('_')[2]}" if asked.type == "duration" else node
    return None


def placed(mapping: Mapping[str, Any], asked: Question, value: Any) -> dict[str, Any]:
    """The file with the answer to a question in place of an earlier one.

    Arguments:
        mapping: a patient file's mapping, which stays as it is.
        asked: the question.
        value: the answer as `understood` gives it; None takes the earlier one out.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(mapping))
    for path in _fields(asked):
        _set(changed["patient"], path.split("."), None)
    if asked.type == "duration" and value is not None:
        number, unit = value
        _set(changed["patient"], ["pain", f"duration_{unit}"], number)
    else:
        _set(changed["patient"], asked.field.split("."), value)
    return changed


def is_due(asked: Question, mapping: Mapping[str, Any]) -> bool:
    """Whether a question is to be asked, given the answers so far.

    Arguments:
        asked: the question.
        mapping: a patient file's mapping that `check` accepts.
    """
    if asked.unless is not None and holds(asked.unless, known_facts(check(mapping))):
        return False
    by_field = {each.field: each for each in questions()}
    return all(answer_to(mapping, by_field[path]) in values for path, values in asked.when.items())


def unanswered(mapping: Mapping[str, Any]) -> list[Question]:
    """The questions that a patient file leaves open, in order.

    Arguments:
        mapping: a patient file's mapping that `check` accepts.
    """
    return [each for each in questions() if answer_to(mapping, each) is None and is_due(each, mapping)]


def counterpart(mapping: Mapping[str, Any], asked: Question) -> Question | None:
    """The question whose answer the answer to another contradicts, or None if that answer is wrong in itself.

    Arguments:
        mapping: a patient file's mapping that `check` refuses.
        asked: the question answered last.
    """
    others = (each for each in questions() if each.id != asked.id and answer_to(mapping, each) is not None)
    return next((other for other in others if _is_accepted(placed(mapping, other, None))), None)


def as_yaml(mapping: Mapping[str, Any]) -> str:
    """A patient file's text, its fields in the order of the patient's."""
    patient = settled(mapping["patient"])
    ordered = {key: patient[key] for key in Patient.model_fields if key in patient}
    return yaml.safe_dump({"patient": ordered}, sort_keys=False, allow_unicode=True, width=110)


def _is_accepted(mapping: Mapping[str, Any]) -> bool:
    try:
        check(mapping)
    except InputError:
        return False
    return True


def _fields(asked: Question) -> set[str]:
    return DURATIONS if asked.type == "duration" else {asked.field}


def _set(node: dict[str, Any], path: list[str], value: Any) -> None:
    key, *rest = path
    if not rest:
        node.pop(key, None)
        if value is not None:
            node[key] = value
        return
    below = node.get(key)
    below = below if isinstance(below, dict) else {}
    _set(below, rest, value)
    node.pop(key, None) if not below else node.update({key: below})
