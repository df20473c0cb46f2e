"""Asks the questions of an assessment one by one, and stops where screening finds an emergency."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deqi.consult.answers import understood
from deqi.consult.intake import answer_to, check, counterpart, is_due, placed, unanswered
from deqi.consult.questions import Question, questions, sections
from deqi.consult.screening import Screening, screen
from deqi.errors import InputError
from deqi.evidence import exists, fact
from deqi.tables import shipped

Ask = Callable[[str], str | None]
REFERRALS = ("urgent", "routine")
Tell = Callable[[str], None]


@dataclass
class Interview:
    """An assessment under way; whoever asks may stop at any point and keep it.

    Attributes:
        mapping: the patient file so far; `deqi.consult.intake.check` always accepts it.
        screening: of what is known so far.
    """

    mapping: dict[str, Any]
    screening: Screening

    @property
    def is_emergency(self) -> bool:
        """Whether screening found one, which ends the questions."""
        return self.screening.status == "emergency"


def begin(mapping: object = None, file: str | None = None) -> Interview:
    """Start an assessment, or take up one that was left.

    Arguments:
        mapping: a patient file, complete or not; None for a new one.
        file: its name, for errors.

    Raises:
        InputError: the file is no patient file.
    """
    given: Any = {"patient": {}} if mapping is None else mapping
    screening = screen(check(given, file))  # which also makes sure that there is a patient
    return Interview({"patient": dict(given["patient"])}, screening)


def conduct(interview: Interview, ask: Ask, tell: Tell) -> None:
    """Ask all questions that are due and have no answer yet.

    Arguments:
        interview: filled as the answers come.
        ask: shows a question and returns the line typed; None at the end of input.
        tell: shows a line.
    """
    words, section = _words(), ""
    answered = {each.id for each in questions() if answer_to(interview.mapping, each) is not None}
    before: list[Question] = []
    again: Question | None = None  # one to be asked next out of turn
    rival: Question | None = None  # the one whose answer the last answer contradicts
    tell(words["start"])
    while not interview.is_emergency:
        asked, again = again or _next(interview.mapping, answered), None
        if asked is None:
            return
        if asked.section != section:
            section = asked.section
            tell(f"\n{sections()[section].upper()}")
        reply = ask(_prompt(asked, interview.mapping))
        if reply is None:
            tell(words["end_of_input"])
            return
        match reply.strip().casefold():
            case "?":
                tell(_reason(asked))
                again = asked
                continue
            case "b":
                again, rival = rival or (before.pop() if before else asked), None
                if again is asked:
                    tell(words["first"])
                continue
        fault = _take(interview, asked, reply, tell)
        rival = None if fault is asked else fault
        if fault is None:
            answered.add(asked.id)
            before.append(asked)
        else:
            again = asked


def closing(interview: Interview) -> list[str]:
    """What to say at the end: whether a doctor comes first, then what is not known and what that means."""
    words, screening = _words(), interview.screening
    doctor = [f"- {finding.text}" for finding in screening.findings if finding.kind in ("emergency", *REFERRALS)]
    if interview.is_emergency:
        return [words["emergency"], *doctor]
    first = [words["refer"], *doctor] if doctor else []
    return [*first, *(_open(unanswered(interview.mapping)) or [words["all_known"]])]


def as_json(interview: Interview) -> dict[str, Any]:
    """The assessment as plain data: the patient, what screening found, the ids of the questions left open."""
    return {"patient": interview.mapping["patient"], "screening": interview.screening.as_json(),
            "unknown": [each.id for each in unanswered(interview.mapping)]}


def written(path: str, stopped: bool = False) -> str:
    """The line that says where the patient file is; after an interruption, how to go on."""
    text: str = _words()["stopped" if stopped else "written"]
    return text.format(path=path)


def _take(interview: Interview, asked: Question, reply: str, tell: Tell) -> Question | None:
    """Take an answer in; the question at fault if it cannot be: this one, or another that it contradicts."""
    changed = interview.mapping
    try:
        changed = placed(changed, asked, understood(asked, reply))
        patient = check(changed)
    except InputError as error:
        other = None if changed is interview.mapping else counterpart(changed, asked)
        name = "refused" if other is None else "conflict"
        tell(_words()[name].format(message=error.message[:1].upper() + error.message[1:], accepted=error.accepted,
                                   other=other and other.short, answer=other and _shown(answer_to(changed, other))))
        return other or asked
    interview.mapping, interview.screening = changed, screen(patient)
    return None


def _next(mapping: Mapping[str, Any], answered: set[str]) -> Question | None:
    return next((each for each in questions() if each.id not in answered and is_due(each, mapping)), None)


def _prompt(asked: Question, mapping: Mapping[str, Any]) -> str:
    given = answer_to(mapping, asked)
    so_far = "" if given is None else f" [{_words()['so_far'].format(answer=_shown(given))}]"
    return f"{asked.text}\n  ({asked.accepts}){so_far} > "


def _reason(asked: Question) -> str:
    words = _words()
    source = fact(asked.source).citation() if exists(asked.source) else asked.source
    return f"  {words['why'].format(why=asked.why, source=source)} {words['changes'][asked.use]}"


def _shown(answer: Any) -> str:
    match answer:
        case bool():
            return "yes" if answer else "no"
        case str() | int() | float():
            return str(answer)
        case []:
            return "none"
        case _:
            return json.dumps(answer, ensure_ascii=False)


def _open(left: list[Question]) -> list[str]:
    """What is not known, by what it would change."""
    words, said = _words(), []
    if any(each.id == "week_average" for each in left):
        said.append(words["needed"])
    asked_for = {use: [each.short for each in left if each.use == use and each.id != "week_average"]
                 for use in words["changes"]}
    if asked_for["forecast"]:
        said.append(words["wider"].format(names=", ".join(asked_for["forecast"])))
    if asked_for["safety"]:
        said.append(words["unasked"].format(n=len(asked_for["safety"])))
    if asked_for["options"] or asked_for["record"]:
        said.append(words["others"].format(names=", ".join(asked_for["options"] + asked_for["record"])))
    return said


def _words() -> dict[str, Any]:
    return shipped(Path(__file__).with_name("interview.yaml"))
