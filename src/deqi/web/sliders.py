"""The sliders of one's own plan: read from a form, said in the plan language, found in a plan, fitted to a person.

The words are those that tailoring chooses from (`consult/tailoring.yaml`), so that a proposal can be taken as sliders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

from ..care import Needling, Plan, plan_from, sentences
from ..care.course import Course
from ..consult.assessment import Patient
from ..consult.limits import adapt
from ..consult.screening import Screening
from ..errors import InputError
from ..tables import shipped

RANGES = {"sessions": (1, 20), "per_week": (1, 3), "minutes": (10, 45)}
STEPS = {"minutes": 5}
ALWAYS = ("exercise.walking_5", "exercise.guided_2", "stretching.daily", "heat.wrap", "lifestyle.sleep")
"""Companions that are always offered; others of tailoring are where a plan has them."""

Form = Mapping[str, Any]


@dataclass(frozen=True)
class Sliders:
    """How the sliders stand.

    Arguments:
        needles: a mode of tailoring, `none`, `manual`, `electro_low` ...
        points: a kind of points of tailoring.
        sessions: in all.
        per_week: sessions a week.
        minutes: a session.
        beside: companions, each the name of a part and of a choice, in the order of tailoring.
    """

    needles: str = "manual"
    points: str = "both"
    sessions: int = 10
    per_week: int = 2
    minutes: int = 30
    beside: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """As the store and a hidden field of the form keep it."""
        return {"needles": self.needles, "points": self.points, "sessions": self.sessions, "per_week": self.per_week,
                "minutes": self.minutes, "beside": list(self.beside)}

    @property
    def plan(self) -> Plan:
        """The care they mean; an empty plan where everything is off."""
        said = [companions()[name] for name in self.beside]
        if self.needles != "none":
            days = ceil(7 * self.sessions / self.per_week)
            length = f"{days // 7} weeks" if days % 7 == 0 else f"{days} days"
            said.insert(0, f"{_words('mode', self.needles)} {self.minutes} min {self.sessions} sessions over {length} "
                           f"{_words('points', self.points)}")
        return plan_from(said or "nothing")


@dataclass(frozen=True)
class Fitted:
    """A plan as this person may have it.

    Arguments:
        plan: without care where nothing of the wanted plan may be.
        notes: what was changed and why, or why nothing may be.
        closed: whether nothing of a plan with care may be.
    """

    plan: Plan
    notes: tuple[str, ...]
    closed: bool

    @property
    def sentences(self) -> list[str]:
        """In the plan language."""
        return sentences(self.plan)

    @property
    def asked(self) -> list[str]:
        """The same as the engine takes it: nothing for no care."""
        return self.sentences if self.plan.courses else []


def fitted(plan: Plan, screening: Screening, patient: Patient) -> Fitted:
    """The nearest plan that screening, the person's wishes and the payer allow."""
    found, notes = adapt(plan, screening, patient)
    return Fitted(found, notes, bool(plan.courses) and not found.courses)


def closed_choices(screening: Screening, patient: Patient) -> dict[str, str]:
    """Needles and companions that this person may not have, each with the reason."""
    closed = {}
    for name in (*parts()["mode"]["choices"], *companions()):
        wanted = (Sliders(needles="none", beside=(name,)) if name in companions() else
                  Sliders(needles=name, sessions=1, per_week=1, minutes=10)).plan
        found = fitted(wanted, screening, patient)
        if wanted.courses and (found.closed or _kind(found.plan.courses[0]) != _kind(wanted.courses[0])):
            closed[name] = " ".join(found.notes)
    return closed


def read(form: Form) -> Sliders:
    """Read the sliders of a form.

    Raises:
        InputError: a value that no slider has; it names the slider.
    """
    numbers = {name: _whole(name, form.get(name)) for name in RANGES}
    getlist = getattr(form, "getlist", None)
    beside = list(getlist("beside") if getlist else form.get("beside", ()))
    for name in beside:
        _one_of("beside", name, companions())
    return Sliders(_one_of("needles", form.get("needles"), parts()["mode"]["choices"]),
                   _one_of("points", form.get("points", "both"), parts()["points"]["choices"]),
                   beside=tuple(name for name in companions() if name in beside), **numbers)


def kept(data: Any) -> Sliders:
    """Sliders as they were kept; those of the usual course where there are none, or of another version."""
    try:
        return read(data) if isinstance(data, Mapping) else Sliders()
    except (InputError, TypeError):
        return Sliders()


def of_plan(plan: Plan) -> Sliders:
    """The sliders that come nearest to a plan."""
    needles = next((course for course in plan.courses if isinstance(course, Needling)), None)
    beside = {name for course in plan.courses if course is not needles and (name := _companion(course))}
    found = tuple(name for name in companions() if name in beside)
    if needles is None:
        return Sliders(needles="none", beside=found)
    when = needles.schedule
    return Sliders(_mode(needles), _points(needles), _near("sessions", when.sessions),
                   _near("per_week", when.times_per_week), _near("minutes", when.minutes), found)


def merged(before: Sliders, mine: Sliders, theirs: Sliders) -> Sliders:
    """Two people's moves laid over each other: what I did not touch stays as the other left it."""
    old, own, other = before.as_data(), mine.as_data(), theirs.as_data()
    return read({name: other[name] if own[name] == old[name] else own[name] for name in own})


def offered(now: Sliders) -> Iterator[str]:
    """The companions that the page offers."""
    return (name for name in companions() if name in ALWAYS or name in now.beside)


@cache
def parts() -> dict[str, Any]:
    """What a plan may be made of, from `consult/tailoring.yaml`."""
    found: dict[str, Any] = shipped(Path(__file__).parents[1] / "consult/tailoring.yaml")["parts"]
    return found


@cache
def companions() -> dict[str, str]:
    """The sentence of each companion."""
    return {f"{part}.{name}": row["words"] for part in ("exercise", "stretching", "heat", "lifestyle")
            for name, row in parts()[part]["choices"].items() if row["words"]}


@cache
def _first_course(sentence: str) -> Course:
    return plan_from(sentence).courses[0]


@cache
def _needles(part: str, name: str) -> Course:
    """Needles with one choice that is not the usual one."""
    return (Sliders(needles=name) if part == "mode" else Sliders(points=name)).plan.courses[0]


def _words(part: str, name: str) -> str:
    return str(parts()[part]["choices"][name]["words"])


def _kind(course: Course) -> tuple[Any, ...]:
    return course.care, getattr(course, "mode", None), getattr(course, "frequency_hz", None)


def _mode(needles: Needling) -> str:
    if needles.mode != "electro":
        return "manual"
    modes = [name for name in parts()["mode"]["choices"] if name.startswith("electro")]

    def far(name: str) -> tuple[bool, float]:
        course = _needles("mode", name)
        assert isinstance(course, Needling)
        return len(course.frequency_hz) != len(needles.frequency_hz), abs(max(course.frequency_hz) - max(
            needles.frequency_hz))

    return min(modes, key=far)


def _points(needles: Needling) -> str:
    """The kind of points that is nearest: the same classes, and then the same depth and response sought."""
    def far(name: str) -> tuple[bool, bool]:
        course = _needles("points", name)
        assert isinstance(course, Needling)
        return course.points != needles.points, (course.depth, course.de_qi) != (needles.depth, needles.de_qi)

    return min(parts()["points"]["choices"], key=far)


def _companion(course: Course) -> str | None:
    """The companion that a course is, or the nearest of its kind."""
    found = [(name, _first_course(words)) for name, words in companions().items()]
    near = [(other.with_practitioner != course.with_practitioner,
             abs(other.schedule.times_per_week - course.schedule.times_per_week), name)
            for name, other in found if other.care == course.care]
    return next((name for name, other in found if other == course), min(near)[2] if near else None)


def _near(name: str, value: float) -> int:
    low, high = RANGES[name]
    return min(max(STEPS.get(name, 1) * round(value / STEPS.get(name, 1)), low), high)


def _whole(name: str, value: Any) -> int:
    low, high = RANGES[name]
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) < 4 and low <= int(text) <= high):
        raise InputError("out of range", field=name, found=text[:20], accepted=f"a whole number from {low} to {high}")
    return int(text)


def _one_of(field: str, value: Any, accepted: Mapping[str, Any]) -> str:
    if not isinstance(value, str) or value not in accepted:
        raise InputError("not a choice", field=field, found=str(value)[:40], accepted=", ".join(accepted))
    return value
