"""An experiment of the literature as data: what was done, to which body, what was read, and the band it must hit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

from .. import evidence
from ..body.inputs import INPUT
from ..body.system import BODY, THEORIES
from ..care.course import nearest_hint, shown
from ..errors import InputError
from ..evidence._fact import Use
from ..reading import read_mapping
from .bands import Band, band
from .bodies import Body, bodies, body, reference
from .readouts import STATE_NAMES, kind, readout
from .statistics import STATISTICS, Question
from .stimulus import doing

FOLDER = Path(__file__).with_name("experiments")
USES = tuple(use for use in get_args(Use) if use != "context")
TEXTS = ("target", "conflict", "note")
FLAGS = ("by_construction", "prior_informed")
NUMBERS = ("from_minutes", "end_minutes", "watch_minutes", "level", "from_level")
FIELDS = ("id", "theory", "source", "use", "body", "set", "care", "compare", "readout", "statistic", "at_minutes",
          "published", "rule", "required", "near", "answer", *NUMBERS, *TEXTS, *FLAGS)
ARM_FIELDS = ("body", "set", "care", "at_minutes")
MAY_BE_NEGATIVE = frozenset({"skin_step", "flare_log_hazard", "context_strength",
                             *(state.name for state in BODY.states if not state.positive)})
AFTERWARDS = 240.0
"""Minutes that arms are watched after care, where the statistic seeks its own moment and the file does not say."""
LONGEST_MINUTES = 60.0 * 24 * 7 * 104


@dataclass(frozen=True)
class Arm:
    """One body under one care. `set` holds inputs that last throughout, states before care, parameters, and `nrs`."""

    body: Body
    set: tuple[tuple[str, float], ...]
    care: Any
    key: str

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Arm) and other.key == self.key


@dataclass(frozen=True)
class Experiment:
    """One published finding, ready to be re-run.

    Arguments:
        id, theory, use, target, conflict, note: as in the file; `target` is the dossier's number.
        source: where it was read, as the file names it.
        arm, compare: what was done, and the comparison if the statistic needs one.
        readout, statistic: what is read and how a number is made of it.
        question, compare_question: where in time.
        watch_minutes: how long the arms run.
        band: what counts as within and near.
        rule: the rule of `bands.yaml` that made the band.
        yes_no: a finding told in words; counted apart from numbers.
        kind: `internal` or `cross`.
        by_construction: the equations give this answer whatever their parameters, or a parameter is this datum.
        prior_informed: kept out of the fit, but a prior or a body's table was chosen with the finding in view.
    """

    id: str
    theory: str
    use: str
    source: Mapping[str, str]
    arm: Arm
    compare: Arm | None
    readout: str
    statistic: str
    question: Question
    compare_question: Question
    watch_minutes: float
    band: Band
    rule: str | None
    yes_no: bool
    kind: str
    target: str | None
    conflict: str | None
    note: str | None
    by_construction: bool
    prior_informed: bool

    @property
    def asked(self) -> str:
        """All that decides its number, as text: arms, read-out, statistic, moments."""
        arms = " against ".join(arm.key for arm in self.arms)
        return f"{arms} | {self.readout} | {self.statistic} | {self.question} | {self.compare_question}"

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The arms to run."""
        return (self.arm,) if self.compare is None else (self.arm, self.compare)

    def citation(self) -> str:
        """The source in one line."""
        if "fact" in self.source:
            return evidence.fact(self.source["fact"]).citation()
        return ", ".join(f"{name} {value}" for name, value in self.source.items())


@cache
def shipped() -> tuple[Experiment, ...]:
    """The experiments that come with deqi, in the order of their files."""
    return tuple(e for path in sorted(FOLDER.glob("*.yaml")) if path.name != "not_run.yaml" for e in load(path))


@cache
def not_run() -> tuple[dict[str, Any], ...]:
    """Facts that the bench cannot run, each group with its reason (`experiments/not_run.yaml`)."""
    import yaml

    return tuple(yaml.load((FOLDER / "not_run.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader))


def load(path: str | Path) -> tuple[Experiment, ...]:
    """Read a file of experiments.

    Arguments:
        path: a YAML or JSON file with a list of experiments.

    Raises:
        InputError: anything that is not understood: the file, the experiment and the field, and what is accepted.
    """
    file = str(path)
    content = read_mapping(path)
    if isinstance(content, Mapping) and set(content) == {"experiments"}:
        raise InputError("the list stands by itself", file=file, field="experiments",
                         accepted="- id: ... at the top of the file, without a key around it")
    items = [content] if isinstance(content, Mapping) else content
    if not isinstance(items, list) or not items:
        raise InputError("not a list of experiments", file=file, found=shown(content),
                         accepted="- id: ... with theory, body, care, readout, statistic, required")
    found: list[Experiment] = []
    for number, item in enumerate(items):
        name = item.get("id") if isinstance(item, Mapping) else None
        where = name if isinstance(name, str) and name else f"[{number}]"
        try:
            found.append(experiment(item))
        except InputError as error:
            field = f"{where}.{error.field}" if error.field else where
            raise InputError(error.message, file=file, field=field, found=error.found,
                             accepted=error.accepted) from None
        if sum(e.id == found[-1].id for e in found) > 1:
            raise InputError("the same id twice", file=file, field=f"{where}.id", accepted="each id once")
    return tuple(found)


def experiment(item: object) -> Experiment:
    """Build one experiment from parsed data.

    Raises:
        InputError: as `load`, without the file.
    """
    if not isinstance(item, Mapping):
        raise InputError("not an experiment", found=shown(item), accepted="a mapping of " + ", ".join(FIELDS[:10]))
    _known(item, FIELDS)
    for name in ("id", "theory", "body", "care", "readout", "statistic"):
        if name not in item:
            raise InputError("missing", field=name, accepted=_ACCEPTED[name])
    theory = _one_of("theory", item["theory"], THEORIES)
    statistic = _one_of("statistic", item["statistic"], tuple(STATISTICS))
    compares = STATISTICS[statistic].compares
    compare = item.get("compare")
    if compares != (compare is not None):
        raise InputError(f"statistic '{statistic}' {'needs' if compares else 'takes no'} comparison", field="compare",
                         accepted="the fields of the other arm that differ" if compares else "null")
    at = _moments(item.get("at_minutes"), STATISTICS[statistic].moments, statistic)
    numbers = {name: _number(name, item[name]) for name in NUMBERS if item.get(name) is not None}
    for name in ("from_minutes", "end_minutes", "watch_minutes"):
        if numbers.get(name, 0.0) < 0:
            raise InputError("before the start", field=name, found=numbers[name], accepted="0 or more")
    if statistic == "time_to" and "level" not in numbers:
        raise InputError("missing", field="level", accepted="the level that 'time_to' waits for")
    arm = _arm(item, item["body"], item.get("set") or {}, item["care"])
    other, other_at = None, at
    if compares:
        if not isinstance(compare, Mapping):
            raise InputError("not an arm", field="compare", found=shown(compare),
                             accepted="a mapping of what differs, such as {care: nothing} or {set: {}}")
        _known(compare, ARM_FIELDS, "compare.")
        other = _arm(compare, compare.get("body", item["body"]), compare.get("set", item.get("set")) or {},
                     compare.get("care", item["care"]))
        other_at = _moments(compare.get("at_minutes", item.get("at_minutes")), STATISTICS[statistic].moments, statistic)
        if other == arm and other_at == at:
            raise InputError("both arms are the same", field="compare", found=shown(compare),
                             accepted="another body, set, care or at_minutes: " + ", ".join(ARM_FIELDS))
    asked = Question(at, numbers.get("from_minutes"), numbers.get("from_level"), numbers.get("end_minutes"),
                     numbers.get("level"))
    ends = max(_ends(one) for one in (arm, other) if one)
    after = 0.0 if STATISTICS[statistic].moments else numbers.get("watch_minutes", ends + AFTERWARDS)
    watch = max(numbers.get("watch_minutes", 0.0), after, *at, *other_at, ends)
    if watch > LONGEST_MINUTES:
        raise InputError("too long to simulate", field="at_minutes" if watch in (*at, *other_at) else "care",
                         found=watch, accepted="at most two years")
    readout(item["readout"])
    rule = item.get("rule")
    return Experiment(
        id=_text("id", item["id"]), theory=theory, use=_one_of("use", item.get("use", "validate"), USES),
        source=_source(item.get("source")), arm=arm, compare=other, readout=item["readout"], statistic=statistic,
        question=asked, compare_question=Question(other_at, asked.base_at, asked.base, asked.end, asked.level),
        watch_minutes=watch,
        band=band(rule, _published(item.get("published")), _bounds("required", item.get("required")),
                  _bounds("near", item.get("near"))),
        rule=rule, yes_no=_one_of("answer", item.get("answer", "number"), ("number", "yes_no")) == "yes_no",
        kind=kind(item["readout"], theory), by_construction=_flag(item, "by_construction"),
        prior_informed=_flag(item, "prior_informed"), target=_words("target", item.get("target")),
        conflict=_words("conflict", item.get("conflict")), note=_words("note", item.get("note")),
    )


_ACCEPTED = {"id": "a short name", "theory": ", ".join(THEORIES), "body": "a body of bodies.yaml",
             "care": "a sentence, or a mapping of stimulus fields", "readout": "a signal, state or outcome",
             "statistic": ", ".join(STATISTICS)}


def _ends(arm: Arm) -> float:
    """When the last thing of an arm that is not slow ends, minutes."""
    return max((1440.0 * e.end_day for e in doing(arm.care, arm.body).exposures if not e.slow), default=0.0)


def _arm(item: Mapping[str, Any], name: object, overrides: object, care: Any) -> Arm:
    if not isinstance(name, str):
        raise InputError("not a body", field="body", found=shown(name), accepted=", ".join(bodies()))
    of = body(name)
    if not isinstance(overrides, Mapping):
        raise InputError("not a mapping", field="set", found=shown(overrides), accepted="{name: number}")
    values = tuple(sorted(_setting(str(key), value) for key, value in overrides.items()))
    return Arm(of, values, care, repr((of.name, values, care)))


def _setting(name: str, value: object) -> tuple[str, float]:
    place, number = _settable(name), _number(f"set.{name}", value)
    if place == "nrs" and not 0.0 <= number <= 10.0:
        raise InputError("not a pain score", field="set.nrs", found=number, accepted="0 to 10")
    if place in INPUT and INPUT[place].unit in ("0-1", "0 or 1") and number > 1.0:
        raise InputError("above 1", field=f"set.{name}", found=number, accepted="0 to 1: it is a share, 50 % is 0.5")
    if number < 0.0 and place not in MAY_BE_NEGATIVE:
        raise InputError("below 0", field=f"set.{name}", found=number, accepted="0 or more")
    return place, number


def _settable(name: str) -> str:
    """An input, a state, `nrs`, or a parameter as `room.parameter` (the room may be left out if only one has it)."""
    if name == "nrs" or name in INPUT or name in STATE_NAMES or name in reference():
        return name
    rooms = [key for key in reference() if key.split(".")[1] == name]
    if len(rooms) == 1:
        return rooms[0]
    accepted = {*INPUT, *STATE_NAMES, *reference(), "nrs"}
    raise InputError("nothing to set" if not rooms else "in more than one room", field=f"set.{name}",
                     accepted=" or ".join(rooms) or "an input, a state, a parameter or nrs"
                     + nearest_hint(name, accepted))


def _known(item: Mapping[Any, Any], accepted: Iterable[str], prefix: str = "") -> None:
    accepted = tuple(accepted)
    for key in item:
        if key not in accepted:
            raise InputError("unknown field", field=f"{prefix}{key}",
                             accepted=", ".join(accepted) + nearest_hint(str(key), accepted))


def _one_of(field: str, value: object, accepted: tuple[str, ...]) -> str:
    if value not in accepted:
        raise InputError(f"no such {field}", field=field, found=shown(value),
                         accepted=", ".join(accepted) + nearest_hint(value, accepted))
    return str(value)


def _text(field: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 100 or not value.isprintable():
        raise InputError("not a short name", field=field, found=shown(value), accepted=_ACCEPTED[field])
    return value


def _number(field: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError("not a number", field=field, found=shown(value), accepted="a number")
    return float(value)


def _moments(value: object, count: int, statistic: str) -> tuple[float, ...]:
    given = [] if value is None else value if isinstance(value, list) else [value]
    if (count and len(given) != count) or (not count and given):
        raise InputError(f"statistic '{statistic}' takes {count or 'no'} moment{'s' * (count != 1)}",
                         field="at_minutes", found=shown(value),
                         accepted={0: "null", 1: "minutes since the start", 2: "[minutes, minutes]"}[count])
    moments = tuple(_number("at_minutes", moment) for moment in given)
    if any(moment < 0 for moment in moments):
        raise InputError("before the start", field="at_minutes", found=shown(value), accepted="0 or more")
    return moments


def _words(field: str, value: object) -> str | None:
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    raise InputError("not text", field=field, found=shown(value), accepted="a line of text")


def _flag(item: Mapping[str, Any], field: str) -> bool:
    value = item.get(field, False)
    if not isinstance(value, bool):
        raise InputError("not true or false", field=field, found=shown(value), accepted="true | false")
    return value


def _published(value: object) -> dict[str, float]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError("not a mapping", field="published", found=shown(value), accepted="{value: 12, se: 3}")
    if not all(isinstance(key, str) for key in value):
        raise InputError("not names", field="published", found=shown(value), accepted="{value: 12, se: 3}")
    return {str(key): _number(f"published.{key}", number) for key, number in value.items()}


def _bounds(field: str, value: object) -> list[float | None] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2:
        raise InputError("not a band", field=field, found=shown(value), accepted="[low, high], one may be null")
    return [None if bound is None else _number(field, bound) for bound in value]


def _source(value: object) -> Mapping[str, str]:
    accepted = ("fact", "doi", "pmid", "url", "dossier", "target", "cite")
    if not isinstance(value, Mapping) or not value:
        raise InputError("no source", field="source", found=shown(value),
                         accepted="{fact: ID}, or {doi: ...}, {pmid: ...}, {url: ...}, {cite: words}: every number "
                         "has a source")
    _known(value, accepted, "source.")
    for key, told in value.items():
        if told is None or isinstance(told, Mapping | list) or not str(told).strip():
            raise InputError("no source", field=f"source.{key}", found=shown(told), accepted="its number or address")
    if "fact" in value and not evidence.exists(str(value["fact"])):
        raise InputError("no such fact", field="source.fact", found=shown(value["fact"]),
                         accepted="an id that `deqi evidence` knows")
    return {str(key): str(told) for key, told in value.items()}
