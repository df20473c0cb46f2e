"""The treatment record: one session in the fields of STRICTA 2010, and what went wrong during or after it.

The fields are data (`stricta.yaml`); here a form is read by them, and a plan's needling fills a form in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..care import Needling, plan_from, sentences
from ..care.defaults import table as care_table
from ..errors import InputError
from ..tables import shipped
from .problems import Problems

Form = Mapping[str, Any]
ParseNumber = Callable[[str], float]


@dataclass(frozen=True)
class Field:
    """One field of the record.

    Attributes:
        id: in the form and in what is stored; the texts have its label.
        type: text, number, integer, choice or choices (several).
        item: of STRICTA 2010, where it is one.
        choices: that may be chosen.
        low, high: ends of the range of a number, both accepted.
        unit: of a number.
        longest: most characters of a text.
        needed: must be there.
        plan: the field of `Needling` that fills it in.
        only_if, needed_if: values of other fields with which it may, or must, be there; None is an empty field.
    """

    id: str
    type: str
    item: str = ""
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    unit: str = ""
    longest: int = 0
    needed: bool = False
    plan: str | None = None
    only_if: Mapping[str, Sequence[Any]] | None = None
    needed_if: Mapping[str, Sequence[Any]] | None = None

    @property
    def accepts(self) -> str:
        """What would do, in words."""
        if self.type == "text":
            return f"at most {self.longest} characters"
        if self.type in ("choice", "choices"):
            return " | ".join(self.choices)
        whole = "a whole number" if self.type == "integer" else "a number"
        return f"{whole} from {self.low:g} to {self.high:g} {self.unit}".rstrip()


def table() -> dict[str, Any]:
    """The fields and kinds, as the file has them."""
    return shipped(Path(__file__).with_name("stricta.yaml"))


def fields(record: str) -> list[Field]:
    """The fields of a `treatment` or an `adverse_event`, in the order of the form."""
    return [_field(row) for row in table()[record]]


def read(record: str, form: Form, parse_number: ParseNumber) -> dict[str, Any]:
    """Read a form.

    Arguments:
        record: `treatment` or `adverse_event`.
        form: texts by field; several choices as a list, or as a form with `getlist` gives them. Other keys are not
            looked at.
        parse_number: reads a number as people write it here, or raises InputError.

    Returns:
        What was filled in, by field: text, number, or a list of choices. Empty fields are left out.

    Raises:
        Problems: with every field that cannot be so.
    """
    known, found, errors = fields(record), {}, []
    for field in known:
        try:
            value = _value(field, _given(form, field.id), parse_number)
        except InputError as error:
            errors.append(error)
            continue
        if value not in (None, []):
            found[field.id] = value
    wrong = {error.field for error in errors}
    errors += [told for field in known if field.id not in wrong
               and (told := _against_others(field, found, wrong)) is not None]
    errors += [told for told in _contradictions(record, found) if told.field not in wrong]
    if errors:
        places = [field.id for field in known]
        raise Problems(sorted(errors, key=lambda error: places.index(str(error.field))))
    return found


def prefill(plan: Sequence[str]) -> dict[str, Any]:
    """What the needling of a plan says of each session, as `read` would give it.

    Arguments:
        plan: its sentences. A plan without needles fills in only the other care.
    """
    agreed = plan_from(list(plan))
    needling = next((course for course in agreed.courses if isinstance(course, Needling)), None)
    others = [sentence for sentence, course in zip(sentences(agreed), agreed.courses, strict=False)
              if course is not needling]
    found: dict[str, Any] = {"other_interventions": "; ".join(others)} if others else {}
    if needling is None:
        return found
    for field in fields("treatment"):
        if field.plan and field.plan != "others":
            found[field.id] = getattr(needling, field.plan)
    found["points"] = list(needling.points)
    found["point_names"] = ", ".join(needling.point_names)
    found["response_sought"] = "de_qi" if needling.de_qi else "none"
    hertz = (*needling.frequency_hz, None, None)
    found["frequency_hz"], found["second_frequency_hz"] = hertz[:2]
    if isinstance(needling.depth, float):
        found["depth"], found["depth_mm"] = None, needling.depth
    elif needling.depth is None:
        found["depth"] = "none"
    order = [field.id for field in fields("treatment")]
    return {id: found[id] for id in order if found.get(id) not in (None, "", [])}


def _field(row: Mapping[str, Any]) -> Field:
    values = dict(row)
    ends, choices = values.pop("range", None), values.pop("choices", ())
    if isinstance(ends, str):
        limit = care_table("defaults")["limits"][ends]
        ends = limit["low"], limit["high"]
    low, high = ends or (None, None)
    return Field(**values, low=low, high=high, choices=tuple(table()["kinds"] if choices == "kinds" else choices))


def _given(form: Form, id: str) -> list[str]:
    """The texts of a field that say something."""
    getlist = getattr(form, "getlist", None)
    found = getlist(id) if getlist is not None else form.get(id)
    texts = [found] if isinstance(found, str) else list(found or ())
    if not all(isinstance(text, str) for text in texts):
        raise InputError("not a text", field=id)
    return [text.strip() for text in texts if text.strip()]


def _value(field: Field, given: list[str], parse_number: ParseNumber) -> Any:
    if field.type == "choices":
        for text in given:
            if text not in field.choices:
                raise _refused(field, "not one of the choices", text)
        return [choice for choice in field.choices if choice in given]
    if not given:
        return None
    if len(given) > 1:
        raise _refused(field, "given more than once", ", ".join(given))
    text = given[0]
    if field.type == "text":
        if len(text) > field.longest:
            raise _refused(field, "too long", f"{len(text)} characters")
        return text
    if field.type == "choice":
        if text not in field.choices:
            raise _refused(field, "not one of the choices", text)
        return text
    try:
        number = float(parse_number(text))
    except (InputError, ValueError):
        raise _refused(field, "not a number", text) from None
    assert field.low is not None and field.high is not None
    if not field.low <= number <= field.high:
        raise _refused(field, "out of range", text)
    if field.type == "integer":
        if not number.is_integer():
            raise _refused(field, "not a whole number", text)
        return int(number)
    return number


def _against_others(field: Field, found: Mapping[str, Any], wrong: set[str | None]) -> InputError | None:
    """What is amiss with a field beside the others; nothing is said while one of those cannot be read."""
    there = field.id in found
    if field.needed and not there:
        return InputError("needed", field=field.id, accepted=field.accepts)
    for other, values in (field.only_if or {}).items():
        if there and other not in wrong and found.get(other) not in values:
            allowed = ", ".join(str(value) for value in values if value is not None)
            return InputError(f"only with {other}: {allowed}", field=field.id, found=found[field.id],
                              accepted="leave it empty, or change the other")
    for other, values in (field.needed_if or {}).items():
        if not there and found.get(other) in values:
            return InputError(f"needed with {other}: {found[other]}", field=field.id, accepted=field.accepts)
    return None


def _contradictions(record: str, found: Mapping[str, Any]) -> list[InputError]:
    """What two fields cannot both say."""
    errors = []
    if record == "treatment":
        enters = found.get("stimulation") != "sham_nonpenetrating"
        if found.get("depth") in (("none",) if enters else ("deep", "superficial")) and "stimulation" in found:
            errors.append(InputError("does not go with the stimulation", field="depth", found=found["depth"],
                                     accepted="deep | superficial" if enters else "none"))
        if not enters and "depth_mm" in found:
            errors.append(InputError("nothing enters the skin", field="depth_mm", found=found["depth_mm"],
                                     accepted="leave it empty"))
        if "second_frequency_hz" in found and "mixed" not in found:
            errors.append(InputError("needed with two frequencies", field="mixed",
                                     accepted="alternating | simultaneous"))
    elif (found.get("outcome") == "fatal") != ("death" in found.get("serious", ())) and "outcome" in found:
        errors.append(InputError("an event that is fatal is serious by death, and no other is", field="serious",
                                 found=", ".join(found.get("serious", ())) or None,
                                 accepted="the same in outcome and seriousness"))
    return errors


def _refused(field: Field, message: str, found: str) -> InputError:
    return InputError(message, field=field.id, found=found, accepted=field.accepts)
