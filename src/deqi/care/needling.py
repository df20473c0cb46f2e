"""Needling: acupuncture, electroacupuncture, dry needling and their shams, with the STRICTA 2010 fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from deqi.care.course import Course
from deqi.care.defaults import table
from deqi.errors import InputError

Mode = Literal["manual", "electro", "sham_penetrating", "sham_nonpenetrating"]
PointClass = Literal["local", "distal", "trigger_point", "extra_segmental"]


@dataclass(frozen=True, kw_only=True)
class Needling(Course):
    """A course of needling. Fields that may be None or empty are then not stated.

    Attributes:
        mode: by hand, with current, or a sham that does or does not enter the skin.
        point_names: `BL23`, `GB34` ... or plain words.
        points: classes of the points, seen from the low back (local is the painful segment).
        de_qi: whether the needling sensation is sought.
        depth: `deep` (muscle), `superficial` (skin), or millimetres; None where nothing enters the skin.
        frequency_hz: electro only; two frequencies are given `mixed`.
        mixed: how two frequencies come: in turn or at the same time.
        milliamps: electro only, current.
        manipulation_every_minutes: how often needles are moved by hand; None if they are left alone.
        insertions: needles per session.
        sides: unilateral or bilateral.
        style, reasoning, needle_type, practitioner, setting: STRICTA items 1a, 1b, 2g, 5 and 4b, in words.

    Source: STRICTA 2010 (MacPherson and others, doi 10.1371/journal.pmed.1000261).
    """

    care: ClassVar[str] = "needling"

    mode: Mode
    point_names: tuple[str, ...] = ()
    points: tuple[PointClass, ...]
    de_qi: bool
    depth: Literal["deep", "superficial"] | float | None = None
    frequency_hz: tuple[float, ...] = ()
    mixed: Literal["alternating", "simultaneous"] | None = None
    milliamps: float | None = None
    manipulation_every_minutes: float | None = None
    insertions: int | None = None
    sides: Literal["unilateral", "bilateral"] | None = None
    style: str | None = None
    reasoning: str | None = None
    needle_type: str | None = None
    practitioner: str | None = None
    setting: str | None = None

    def check(self) -> None:
        """Refuse fields that do not go together."""
        electro = self.mode == "electro"
        for name in ("frequency_hz", "milliamps"):
            if bool(getattr(self, name)) != electro:
                raise InputError("electroacupuncture needs it" if electro else "only with current",
                                 field=name, found=None if electro else str(getattr(self, name)),
                                 accepted="a value" if electro else "mode electro, or leave it out")
        if len(self.frequency_hz) > 2 or (len(self.frequency_hz) == 2) != (self.mixed is not None):
            raise InputError("one frequency, or two that are mixed", field="frequency_hz",
                             found=str(list(self.frequency_hz)),
                             accepted="[2], or [2, 100] with mixed: alternating")
        if (self.depth is not None) != self.penetrating:
            raise InputError("needs a depth" if self.penetrating else "nothing enters the skin",
                             field="depth", found=self.depth,
                             accepted="deep | superficial | millimetres" if self.penetrating else "no depth")
        if not self.points:
            raise InputError("no class of points", field="points", accepted="at least one class")

    @classmethod
    def implied(cls, stated: Mapping[str, Any]) -> dict[str, Any]:
        """Return the classes of the points that were named, where no class was stated."""
        names = stated.get("point_names")
        if names and "points" not in stated and all(isinstance(name, str) for name in names):
            return {"points": classes_of([names] if isinstance(names, str) else names)}
        return {}

    @property
    def with_practitioner(self) -> bool:
        """Every session is a visit."""
        return True

    @property
    def penetrating(self) -> bool:
        """True if needles enter the skin."""
        return self.mode != "sham_nonpenetrating"

    @property
    def sham(self) -> bool:
        """True if the needling is meant not to work."""
        return self.mode.startswith("sham")

    @property
    def retention_minutes(self) -> float:
        """How long the needles stay in; with current, how long it flows."""
        return self.schedule.minutes


def classes_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return the classes of named points, each once, in the order of the names.

    Arguments:
        names: point codes such as `BL23`; a name without a code counts as local.

    Source: `points` in `vocabulary.yaml` (brinkhaus2006 by name, assumed by meridian).
    """
    return tuple(dict.fromkeys(_class_of(name.upper()) for name in names))


def _class_of(name: str) -> str:
    points = table("vocabulary")["points"]
    meridian = re.sub(r"\d.*", "", name)
    for said, listed in ((name, points["by_name"]), (meridian, points["by_meridian"])):
        for point_class, members in listed.items():
            if said in members:
                return str(point_class)
    return "local"
