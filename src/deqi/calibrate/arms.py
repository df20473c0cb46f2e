"""An arm of a trial in deqi's terms: courses of care, and the context of what deqi has no equations for.

A dose that was not reported is marginalised: the arm is run at a few doses that other trials of the same family used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from ..care.action import actions
from ..care.build import course as build_course
from ..care.context import context_kind
from ..care.course import Course
from .trial import Arm, Trial, shipped

NODES = 3
"""Doses at which an arm is run whose dose was not fully reported."""


@dataclass(frozen=True)
class Part:
    """The context of one care in an arm.

    Arguments:
        kind: row of the strengths.
        start_week, end_week: when it is given.
        by_practitioner: fades slowly after its end; otherwise quickly.
    """

    kind: str
    start_week: float
    end_week: float
    by_practitioner: bool


@dataclass(frozen=True)
class Care:
    """What one arm gets, at one dose.

    Arguments:
        courses: what deqi has equations for.
        parts: contexts of all that is given.
    """

    courses: tuple[Course, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Dose:
    """Sessions a week, weeks and minutes a session."""

    times_per_week: float
    weeks: float
    minutes: float

    @property
    def sessions(self) -> float:
        """Sessions in all."""
        return self.times_per_week * self.weeks


@cache
def interventions() -> dict[str, Any]:
    """The table of interventions, `interventions.yaml`."""
    import yaml

    return yaml.load(Path(__file__).with_name("interventions.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)


def care_of(arm: Arm, trial: Trial, horizon: float, without: str | None = None) -> tuple[Care, ...]:
    """What an arm gets: one care, or one for each dose it may have been.

    Arguments:
        arm: the arm.
        trial: its trial.
        horizon: weeks until the last observation; what goes on throughout ends there.
        without: a trial whose doses are not looked at (one that is predicted).
    """
    rows = [_refined(item) for item in arm.interventions]
    partial = [_reported(item, row) for item, row in zip(arm.interventions, rows, strict=True)]
    longest = max((d["weeks"] for d in partial if d.get("weeks")), default=None)
    unknown = any("family" in row and len(d) < 3 for row, d in zip(rows, partial, strict=True))
    found = []
    for node in range(NODES if unknown else 1):
        courses: list[Course] = []
        parts: list[Part] = []
        for item, row, dose in zip(arm.interventions, rows, partial, strict=True):
            _add(item, row, dose, node if unknown else None, longest, horizon, without or trial.id, courses, parts)
        found.append(Care(tuple(courses), tuple(parts)))
    return tuple(found)


def _refined(item: Mapping[str, Any]) -> dict[str, Any]:
    row = dict(interventions()[item["type"]])
    said = _words(item)
    for word in row.pop("words", ()):
        if re.search(word["like"], said, re.IGNORECASE):
            if "care" in word or "context" in word:
                row = {}
            return row | {key: value for key, value in word.items() if key != "like"}
    return row


def _words(item: Mapping[str, Any]) -> str:
    return " ".join(str(item.get(key) or "") for key in ("name", "note", "drug", "detail", "dose", "style"))


def _number(value: Any) -> float | None:
    """A number, or the middle of a range such as `15-20`; None for other words."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    ends = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:-|to)\s*(\d+(?:\.\d+)?)\s*", str(value or ""))
    return (float(ends[1]) + float(ends[2])) / 2.0 if ends else None


def _reported(item: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, float]:
    """What was reported of the dose: times_per_week, weeks, minutes."""
    weeks, often, sessions, minutes = (_number(item.get(key)) for key in (
        "duration_weeks", "sessions_per_week", "sessions", "session_minutes"))
    if sessions is None:
        sessions = _number(item.get("sessions_max"))
    if weeks is not None and weeks <= 0.0:
        weeks = None
    if sessions == 1.0 or "single dose" in _words(item):
        weeks, often = 1.0 / 7.0, 7.0
    if sessions and weeks:
        often = sessions / weeks
    elif sessions and often:
        weeks = sessions / often
    elif sessions and "family" in row:
        typical = _typical(row["family"], 1, "")
        weeks, often = sessions / typical.times_per_week, typical.times_per_week
    found = {"weeks": weeks, "times_per_week": often, "minutes": minutes}
    return {key: value for key, value in found.items() if value is not None and value > 0.0}


@cache
def _doses(family: str) -> tuple[tuple[str, Dose], ...]:
    """Doses that were fully reported (minutes apart), with their trial, fewest sessions first."""
    found = []
    for trial in shipped():
        for arm in trial.arms:
            for item in arm.interventions:
                row = interventions()[item["type"]]
                weeks, often, sessions = (_number(item.get(k)) for k in (
                    "duration_weeks", "sessions_per_week", "sessions"))
                if row.get("family") != family or not weeks or not (often or sessions) or sessions == 1.0:
                    continue
                rate = sessions / weeks if sessions else float(often or 1.0)
                found.append((trial.id, Dose(rate, weeks, _number(item.get("session_minutes")) or 30.0)))
    return tuple(sorted(found, key=lambda entry: entry[1].sessions))


def _typical(family: str, node: int, without: str) -> Dose:
    """The dose at one of the nodes among the other trials' doses."""
    known = [dose for trial, dose in _doses(family) if trial != without]
    if not known:
        return Dose(3.0, 1.0, 30.0) if family == "heat" else Dose(2.0, 6.0, 30.0)
    return known[int((node + 0.5) / NODES * len(known))]


def _add(item: Mapping[str, Any], row: Mapping[str, Any], dose: Mapping[str, float], node: int | None,
         longest: float | None, horizon: float, without: str, courses: list[Course], parts: list[Part]) -> None:
    if "care" not in row and "context" not in row:
        return
    if "family" in row:
        usual = _typical(row["family"], 1 if node is None else node, without)
        weeks = dose.get("weeks") or longest or usual.weeks
        given = Dose(dose.get("times_per_week", usual.times_per_week), weeks, dose.get("minutes", usual.minutes))
    else:
        given = Dose(0.0, dose.get("weeks", longest if longest and not row.get("throughout") else horizon), 0.0)
    weeks = min(max(given.weeks, 1.0 / 7.0), 200.0)
    if "care" not in row:
        parts.append(Part(row["context"], 0.0, weeks, row["context"] != "placebo" or bool(item.get("sessions"))))
        return
    made = _course(item, row, replace(given, weeks=weeks))
    courses.append(made)
    parts.append(Part(context_kind(made), 0.0, weeks, made.with_practitioner))


def _course(item: Mapping[str, Any], row: Mapping[str, Any], given: Dose) -> Course:
    stated: dict[str, Any] = dict(row.get("stated", {})) | {"weeks": given.weeks}
    if given.times_per_week:
        often = max(given.times_per_week, 0.6 / given.weeks)
        stated |= {"times_per_week": min(often, 28.0), "minutes": min(max(given.minutes, 1.0), 480.0)}
    if row["care"] == "needling":
        stated |= _needling(item, stated["mode"])
    return build_course(row["care"], **stated)


def _needling(item: Mapping[str, Any], mode: str) -> dict[str, Any]:
    """Depth, de qi and current as far as they were reported; the rest is what deqi takes for granted."""
    found: dict[str, Any] = {}
    depth = str(item.get("depth") or "").lower()
    if mode in ("manual", "electro"):
        if "superficial" in depth or "subcutaneous" in depth or re.fullmatch(r"\s*[1-5] ?mm.*", depth):
            found["depth"] = "superficial"
        if item.get("deqi") is False:
            found["de_qi"] = False
        if mode == "manual" and item.get("stimulation") == "none":
            found["manipulation_every_minutes"] = None
    if mode == "electro":
        said = str(item.get("ea_frequency_hz") or "")
        hertz = list(dict.fromkeys(float(h) for h in re.findall(r"(\d+(?:\.\d+)?)\s*(?:Hz|/|$|alternating)", said)
                                   if 0.1 <= float(h) <= 500.0))[:2]
        if hertz:
            found["frequency_hz"] = hertz
            if len(hertz) == 2:
                found["mixed"] = "alternating"
    return found


def alone_fades_in_days() -> float:
    """Fading of a context that nobody gave, days."""
    return float(actions()["context"]["fades_in_days"]["alone"]["value"])


NEEDLES = frozenset({"acupuncture", "electroacupuncture", "dry_needling", "sham_penetrating", "sham_nonpenetrating"})
USUAL = frozenset({"usual_care", "guideline_care"})


def is_needled(arm: Arm) -> bool:
    """Whether an arm gets needles, true or sham, and nothing but usual care beside."""
    types = {str(item["type"]) for item in arm.interventions}
    return bool(types & NEEDLES) and types <= NEEDLES | USUAL


def kind_of_arm(arm: Arm) -> str:
    """The type of an arm in a word: its most active part, for tables and for plain comparators."""
    types = {str(item["type"]) for item in arm.interventions}
    order: Sequence[tuple[str, set[str]]] = (
        ("electroacupuncture", {"electroacupuncture"}),
        ("acupuncture", {"acupuncture", "dry_needling"}),
        ("sham needling", {"sham_penetrating", "sham_nonpenetrating"}),
        ("hands-on", {"massage", "manual_therapy", "acupressure"}),
        ("device", {"tens", "laser", "moxibustion", "cupping"}),
        ("exercise", {"exercise", "yoga", "stretching"}),
        ("other placebo", {"sham_other"}),
        ("medicine or heat", {"nsaid", "analgesic", "heat", "cold", "other", "injection"}),
        ("usual care or advice", {"usual_care", "guideline_care", "education", "psychological"}),
        ("waiting or nothing", {"waitlist", "no_treatment"}),
    )
    for name, members in order:
        if types & members:
            return name
    return "usual care or advice"


def dose_text(care: Sequence[Care]) -> str:
    """How the doses of an arm are known, in a line."""
    return "reported" if len(care) == 1 else f"marginalised over {len(care)} doses of other trials"

