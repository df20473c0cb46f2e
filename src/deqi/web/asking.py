"""One question of an assessment as a form asks it: how an answer is shown, typed, read back, and refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import FormData

from ..consult.answers import NUMBER
from ..consult.instruments import Part, known
from ..consult.intake import answer_to, counterpart, is_due, placed, unanswered
from ..consult.questions import Question, question, questions
from ..consult.rules import table
from ..consult.wording import plain
from ..errors import InputError
from .catalogue import Words
from .locale import Locale

LONGEST = 4000
SCALE = range(11)
UNITS = ("days", "weeks", "months", "years")


@dataclass(frozen=True)
class Refusal:
    """Why an answer was not taken.

    Arguments:
        words: the message.
        other: the question whose answer it contradicts, or None.
        answer: what stands there, in words.
    """

    words: str
    other: Question | None = None
    answer: str = ""


@dataclass(frozen=True)
class Asked:
    """A question with its answer so far.

    Arguments:
        question: as it is asked.
        answer: in the patient file; None where it says nothing.
        typed: what each field of the form holds, as a person types it.
        is_due: whether it is to be asked, given the other answers.
        is_carried: whether the answer stands from an earlier assessment.
        refusal: why what was typed was not taken, or None.
    """

    question: Question
    answer: Any
    typed: Mapping[str, str] = field(default_factory=dict)
    is_due: bool = True
    is_carried: bool = False
    refusal: Refusal | None = None

    @property
    def before(self) -> str:
        """The answer as the form carries it back, to tell whether it changed meanwhile."""
        return as_sent(self.answer)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The numbers of a questionnaire, where one is asked for; its total too, where the items need not be told."""
        instrument = known()[self.question.id]
        total = instrument.total_part
        return instrument.parts if total is None or total in instrument.parts else (*instrument.parts, total)

    @property
    def also(self) -> dict[str, str]:
        """What belongs to a choice, where one is a class of medicines."""
        rows = table("contraindications")["medicines"] if self.question.id == "medicines" else ()
        return {row["id"]: ", ".join(map(plain, row["also"])) for row in rows if row.get("also")}

    @property
    def scale(self) -> list[tuple[str, str]]:
        """The values from 0 to 10, as they are chosen and as they are shown."""
        return [(str(value), str(value)) for value in SCALE]

    @property
    def is_scale(self) -> bool:
        """Whether 0 to 10 will do."""
        return (self.question.type in ("number", "pain_score") and (self.question.low, self.question.high) == (0, 10)
                and (self.typed.get("given", "") in ("", *map(str, SCALE))))


def asked(mapping: Mapping[str, Any], each: Question, fmt: Locale, carried: Mapping[str, Any] | None = None,
          sent: FormData | None = None, refusal: Refusal | None = None) -> Asked:
    """Return a question with its answer.

    Arguments:
        mapping: the patient file so far.
        each: the question.
        fmt: of the person who answers.
        carried: the answers that a review began with, or None.
        sent: a form that was refused, whose words stay in their fields.
        refusal: why.
    """
    answer = answer_to(mapping, each)
    typed = _fields(answer, each, fmt) if sent is None else {
        key: ", ".join(str(value) for value in sent.getlist(key))[:LONGEST] for key in sent}
    is_carried = answer is not None and carried is not None and answer_to(carried, each) == answer
    return Asked(each, answer, typed, is_due(each, mapping), is_carried, refusal)


def read(form: FormData, each: Question, fmt: Locale) -> Any:
    """Return what a form says to a question, as `consult.answers.understood` takes it.

    Raises:
        InputError: too long, or a field that is no text.
    """
    if "chosen" in form:
        return _loaded(form, "chosen")
    given = [str(value).strip() for value in form.getlist("given")]
    if sum(map(len, given)) > LONGEST:
        raise InputError("too long", field=each.id, accepted=f"up to {LONGEST} characters")
    text = given[0] if given else ""
    match each.type:
        case "list":
            return ", ".join(value for value in given if value)
        case "number" | "pain_score":
            return _number(text, fmt)
        case "duration":
            return f"{_number(text, fmt)} {form.get('unit')}" if text and not text[-1].isalpha() else text
        case "scores" | "care":
            return "; ".join(line.strip() for line in text.splitlines() if line.strip())
        case "instrument":
            parts = {key[5:]: _number(str(value).strip(), fmt) for key, value in form.items()
                     if key.startswith("part.") and str(value).strip()}
            return {part: _plain(number) for part, number in parts.items()} or None
        case _:
            return text


def as_sent(answer: Any) -> str:
    """Return an answer as a hidden field of a form holds it."""
    return json.dumps(answer, sort_keys=True, ensure_ascii=False)


def seen(form: FormData) -> Any:
    """Return the answer that a form was made from.

    Raises:
        InputError: the form does not say.
    """
    return _loaded(form, "before")


def refused(error: InputError, mapping: Mapping[str, Any], each: Question, value: Any, words: Words) -> Refusal:
    """Return why an answer was not taken, and which other one it contradicts.

    Arguments:
        error: what was said.
        mapping: the patient file without the answer.
        each: the question.
        value: the answer as `understood` gives it; None if it was not understood.
        words: `t.assessment` of the catalogue.
    """
    message = f"{error.message[:1].upper()}{error.message[1:]}. {words['accepted'].format(accepted=error.accepted)}"
    other = None if value is None else counterpart(placed(mapping, each, value), each)
    return Refusal(message, other, "" if other is None else shown(answer_to(mapping, other), other, words))


def shown(answer: Any, each: Question, words: Words) -> str:
    """Return an answer in words."""
    match answer:
        case None:
            return ""
        case bool():
            return str(words["yes"] if answer else words["no"])
        case float():
            return f"{answer:g}"
        case list() if each.type == "list":
            return ", ".join(each.choices.get(name, str(name)) for name in answer) or str(words["none"])
        case list() if each.type == "scores":
            return "; ".join(f"{row.get('date') or row.get('week')} {row['outcome']} {row['value']}" for row in answer)
        case list():
            return "; ".join(f"{_sentence(row['plan'])}, {row['start_week']}" for row in answer)
        case Mapping():
            return ", ".join(f"{part} {value:g}" for part, value in answer.items())
        case _:
            return str(each.choices.get(answer, answer))


def next_after(mapping: Mapping[str, Any], each: Question | None) -> Question | None:
    """Return the next question that is due and has no answer; None after the last."""
    order = [one.id for one in questions()]
    place = -1 if each is None else order.index(each.id)
    return next((one for one in unanswered(mapping) if order.index(one.id) > place), None)


def before(mapping: Mapping[str, Any], each: Question) -> Question | None:
    """Return the question before one that is due, answered or not; None before the first."""
    earlier: Question | None = None
    for one in questions():
        if one.id == each.id:
            return earlier
        if is_due(one, mapping):
            earlier = one
    return earlier


def progress(mapping: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Return for each section how many of its due questions are answered, and how many are due."""
    found: dict[str, tuple[int, int]] = {}
    for each in questions():
        if is_due(each, mapping):
            done, due = found.get(each.section, (0, 0))
            found[each.section] = done + (answer_to(mapping, each) is not None), due + 1
    return found


def changed_dues(before_it: Mapping[str, Any], after: Mapping[str, Any]) -> list[Question]:
    """Return the questions that an answer made due, or not due any more."""
    return [each for each in questions() if is_due(each, before_it) != is_due(each, after)]


def the_question(id: str) -> Question | None:
    """Return a question by its id; None if there is none."""
    try:
        return question(id)
    except InputError:
        return None


def _fields(answer: Any, each: Question, fmt: Locale) -> dict[str, str]:
    """The fields of the form with an answer in them."""
    if answer is None:
        return {}
    match each.type:
        case "yes_no":
            return {"given": "yes" if answer else "no"}
        case "number" | "pain_score":
            return {"given": _typed(answer, fmt) if isinstance(answer, int | float) else str(answer)}
        case "duration":
            number, unit = str(answer).rsplit(" ", 1)
            return {"given": _typed(float(number), fmt), "unit": unit}
        case "list":
            return {"given": ", ".join(answer) or "none"}
        case "scores":
            return {"given": "\n".join(
                f"{row.get('date') or row.get('week')} {row['outcome']} {row['value']}" for row in answer) or "none"}
        case "care":
            return {"given": "\n".join(f"{_sentence(row['plan'])}, {row['start_week']}" for row in answer) or "none"}
        case "instrument":
            parts = answer if isinstance(answer, Mapping) else {"total": answer}
            return {f"part.{part}": _typed(value, fmt) for part, value in parts.items() if value is not None}
        case _:
            return {"given": str(answer)}


def _typed(value: float, fmt: Locale) -> str:
    """A number as a person types it, without signs between thousands."""
    return f"{value:.3f}".rstrip("0").rstrip(".").replace(".", fmt.decimal)


def _sentence(plan: Any) -> str:
    return " and ".join(plan) if isinstance(plan, list) else str(plan)


def _number(text: str, fmt: Locale) -> str:
    """A number as the readers of answers take it; what is no number stays as it was typed."""
    try:
        value = fmt.parse_number(text)
    except InputError:
        return text
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _plain(text: str) -> float | str:
    return float(text) if NUMBER.fullmatch(text) else text


def _loaded(form: FormData, key: str) -> Any:
    try:
        loaded = json.loads(str(form[key])[:LONGEST * 2])
        json.dumps(loaded, allow_nan=False)
        return loaded
    except (KeyError, ValueError, RecursionError):
        raise InputError("not readable", field=key, accepted="the form as it was opened") from None
