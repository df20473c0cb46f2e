"""Puts what the resources of a bundle say into one patient file; what contradicts itself is asked back."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deqi.consult.answers import understood
from deqi.consult.intake import check, placed
from deqi.consult.questions import question
from deqi.errors import InputError
from deqi.interop.fhir_bundle import Moment, Opened, Resource
from deqi.interop.fhir_codes import table

AGE_TOLERANCE = 1.0  # years that an age told in a form may differ from the date of birth
OWN_ANSWER = "the answer in the form counts"
ONE_MOMENT = "a score of one moment, taken for the average of the week"
HALF_A_LIST = "other medicines were not understood, so the list stays unknown"
WHOLE_LIST = "taken for the whole list of medicines: ask whether there are others"


@dataclass(frozen=True)
class Said:
    """A value and the resource that gave it."""

    value: Any
    resource: Resource


@dataclass(frozen=True)
class Scored:
    """A score of one day."""

    outcome: str
    value: float
    when: Moment
    resource: Resource


@dataclass
class Chart:
    """What has been read so far."""

    today: Moment
    bundle: Opened
    facts: dict[str, Said] = field(default_factory=dict)
    scores: list[Scored] = field(default_factory=list)
    onsets: list[tuple[Moment, Resource]] = field(default_factory=list)
    medicines: dict[str, Resource] = field(default_factory=dict)
    strangers: list[Resource] = field(default_factory=list)
    forms: list[tuple[Moment, Resource, dict[str, Any]]] = field(default_factory=list)
    used: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)
    ignored: list[tuple[str, str]] = field(default_factory=list)

    def use(self, resource: Resource, path: str, note: str | None = None) -> None:
        """Report that a resource gave a field."""
        fields, notes = self.used.setdefault(resource.name, ([], []))
        fields += [path] if path not in fields else []
        notes += [note] if note and note not in notes else []

    def ignore(self, resource: Resource, reason: str) -> None:
        """Report that a resource, or a part of it, gave nothing."""
        self.ignored.append((resource.name, reason))

    def say(self, path: str, value: Any, resource: Resource, note: str | None = None) -> None:
        """Take a value in; two that differ are asked back."""
        before = self.facts.get(path)
        if before is not None and before.value != value:
            raise resource.refused(f"contradicts {before.resource.name} on {path}", path, found=value,
                                   accepted=f"{before.value}, or the one that is right in both")
        self.facts[path] = Said(value, resource)
        self.use(resource, path, note)


def assembled(chart: Chart, id: str) -> dict[str, Any]:
    """The patient file that a chart makes.

    Arguments:
        chart: everything that was read.
        id: the label of the patient.

    Returns:
        A mapping that `deqi.consult.intake.check` accepts.

    Raises:
        InputError: two values for one field, or a value that cannot be; it names the resource.
    """
    made = _File({"patient": {"id": id, "date": chart.today.first.isoformat()}})
    _forms(chart, made)
    for path, said in chart.facts.items():
        before = made.get(path)
        if before is None:
            made.put(path, said.value, said.resource)
        elif before != said.value and not (path == "age" and abs(before - said.value) <= AGE_TOLERANCE):
            raise said.resource.refused(f"contradicts {made.origins[path].name} on {path}", path, found=said.value,
                                        accepted=f"{before}, or the one that is right in both")
    _duration(chart, made)
    _medicines(chart, made)
    _scores(chart, made)
    try:
        check(made.mapping)
    except InputError as error:
        raise made.told(error) from None
    return made.mapping


@dataclass
class _File:
    """The file under way, and the resource that each of its fields came from."""

    mapping: dict[str, Any]
    origins: dict[str, Resource] = field(default_factory=dict)

    def get(self, path: str) -> Any:
        node: Any = self.mapping["patient"]
        for key in path.split("."):
            node = node.get(key) if isinstance(node, Mapping) else None
        return node

    def put(self, path: str, value: Any, resource: Resource) -> None:
        *above, last = path.split(".")
        node = self.mapping["patient"]
        for key in above:
            node = node.setdefault(key, {})
        node[last] = value
        self.origins[path] = resource

    def add(self, row: dict[str, Any], resource: Resource) -> None:
        scores = self.mapping["patient"].setdefault("scores", [])
        self.origins[f"scores[{len(scores)}]"] = resource
        scores.append(row)

    def told(self, error: InputError) -> InputError:
        """An error in the file as one in the resource that gave the field."""
        parts = re.split(r"[.]", str(error.field).removeprefix("patient."))
        for length in range(len(parts), 0, -1):
            start = ".".join(parts[:length])
            for path, resource in self.origins.items():
                if path == start or path.startswith((f"{start}.", f"{start}[")):
                    return resource.refused(error.message, ".".join(parts), found=error.found,
                                            accepted=error.accepted or "")
        return error


def _forms(chart: Chart, made: _File) -> None:
    """The answers of the forms; a later day's answer takes the place of an earlier one."""
    told: dict[str, tuple[Moment, Any]] = {}
    for when, resource, given in sorted(chart.forms, key=lambda form: form[0].first):
        for id, raw in given.items():
            try:
                value = understood(question(id), raw)
            except InputError as error:
                raise resource.refused(error.message, id, found=error.found, accepted=error.accepted or "") from None
            before = told.get(id)
            if value is None or (id == "date" and value == chart.today.first.isoformat()):
                continue
            if id == "date":
                chart.ignore(resource, f"date {str(value)[:20]}: the day of the assessment is {chart.today.first}")
                continue
            if before is not None and before[1] != value and before[0].first == when.first:
                raise resource.refused("contradicts another form of the same day", id, found=value,
                                       accepted=f"{before[1]}, or the one that is right in both")
            told[id] = when, value
            made.mapping = placed(made.mapping, question(id), value)
            made.origins[question(id).field] = resource
            chart.use(resource, question(id).field)


def _duration(chart: Chart, made: _File) -> None:
    """Weeks since the pain began, from the onsets of conditions where no form tells it."""
    if not chart.onsets:
        return
    if any(made.get(f"pain.duration_{unit}") is not None for unit in ("weeks", "months", "years")):
        for _, resource in chart.onsets:
            chart.ignore(resource, f"onset: {OWN_ANSWER}")
        return
    first, last, source = datetime.date.min, datetime.date.max, chart.onsets[0][1]
    for onset, resource in chart.onsets:
        first, last = max(first, onset.first), min(last, onset.last)
        if first > last:
            raise resource.refused(f"another onset than that of {source.name}", "onset",
                                   found=onset.first.isoformat(), accepted="one onset of this pain")
    last = min(last, chart.today.first)
    days = (chart.today.first - first).days - (last - first).days / 2
    note = None if first == last else f"the onset lies between {first} and {last}: the middle was taken"
    made.put("pain.duration_weeks", round(days / 7, 1), source)
    for _, resource in chart.onsets:
        chart.use(resource, "pain.duration_weeks", note)


def _medicines(chart: Chart, made: _File) -> None:
    if not chart.medicines:
        return
    told, thinners = made.get("medicines"), table()["unsure"]["unless"]
    if told is None and chart.strangers and not chart.medicines.keys() & set(thinners):
        for name in [name for name, (fields, _) in chart.used.items() if fields == ["medicines"]]:
            del chart.used[name]  # a list that leaves out a blood thinner would read as a no
            chart.ignored.append((name, f"{', '.join(chart.medicines)}: {HALF_A_LIST}"))
        return
    for name, resource in chart.medicines.items():
        if told is not None and name not in told:
            raise resource.refused(f"contradicts {made.origins['medicines'].name} on medicines", "medicines",
                                   found=name, accepted="the same medicines in both")
        if told is None:
            chart.use(resource, "medicines", WHOLE_LIST)
    if told is None:
        made.put("medicines", list(chart.medicines), next(iter(chart.medicines.values())))


def _scores(chart: Chart, made: _File) -> None:
    """The latest score of the last days stands for now, the others for their week."""
    told = day_scores(chart)
    pain = [score for score in told if score.outcome in ("NRS", "VAS")]
    disability = [score for score in told if score not in pain]
    for scores, path in ((pain, "pain.week_average"), (disability, "disability")):
        recent = [score for score in scores if _days(chart, score) <= table()["recent_days"]["value"]]
        if made.get(path) is not None:
            for score in recent:
                chart.ignore(score.resource, f"{score.outcome} {score.value:g}: {OWN_ANSWER}")
        elif recent:
            now = recent[-1]
            value = {"instrument": now.outcome, "score": now.value} if path == "disability" else (
                f"{now.value:g} mm" if now.outcome == "VAS" else now.value)
            made.put(path, value, now.resource)
            chart.use(now.resource, path, ONE_MOMENT if path != "disability" else None)
            recent = [now]
        for score in scores:
            if score not in recent:
                week = -round(_days(chart, score) / 7, 3) or 0
                made.add({"week": week, "outcome": score.outcome, "value": score.value}, score.resource)
                chart.use(score.resource, "scores")


def day_scores(chart: Chart) -> list[Scored]:
    """The last score of each day in each outcome, in order of the days; pain on an NRS and on a VAS are one outcome.

    Raises:
        InputError: two of one day that differ, and it is not known which came last.
    """
    kinds = (("NRS", "VAS"), ("ODI",), ("RMDQ",))
    told = [score for kind in kinds for score in _one_a_day(chart, [s for s in chart.scores if s.outcome in kind])]
    return sorted(told, key=lambda score: score.when.first)


def _one_a_day(chart: Chart, scores: Iterable[Scored]) -> list[Scored]:
    """The last score of each day, in order; two of a day whose order is not known are asked back."""
    days: dict[datetime.date, Scored] = {}
    for score in sorted(scores, key=_clock):
        before = days.get(score.when.first)
        if before is not None:
            if _points(before) == _points(score):
                chart.ignore(score.resource, f"tells the same as {before.resource.name}")
                continue
            if before.when.instant is None or score.when.instant in (None, before.when.instant):
                raise score.resource.refused(f"another {score.outcome} than {before.resource.name} of the same day",
                                             "value", found=score.value, accepted="times that tell which came last")
            chart.ignore(before.resource, "a later score of the same day counts")
        days[score.when.first] = score
    return [days[day] for day in sorted(days)]


def _points(score: Scored) -> float:
    return score.value / 10 if score.outcome == "VAS" else score.value


def _clock(score: Scored) -> tuple[datetime.date, float]:
    instant = score.when.instant
    return score.when.first, 0.0 if instant is None else instant.timestamp()


def _days(chart: Chart, score: Scored) -> int:
    return max(0, (chart.today.first - score.when.first).days)
