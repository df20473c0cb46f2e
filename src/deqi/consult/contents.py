"""What a plan contains, as its limits count it: care that may be forbidden, visits and hours a week."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deqi.care import Cold, Exercise, Heat, Medicine, Needling, Stretching
from deqi.care.course import Course
from deqi.consult.points import is_deep, regions_of
from deqi.consult.rules import table

CHEST = frozenset({"thoracic_points", "head_points"})


def contents(course: Course) -> frozenset[str]:
    """What of `forbiddable` in `rules/contraindications.yaml` a course of care contains."""
    match course:
        case Needling():
            return _of_needling(course)
        case Exercise():
            heavy = course.kind == "strength" or course.intensity == "vigorous"
            return frozenset({"exercise", "heavy_exercise"} if heavy else {"exercise"})
        case Stretching():
            return frozenset({"stretching"})
        case Heat():
            return frozenset({"heat"} if course.device == "wrap" else {"heat", "heat_pads"})
        case Cold():
            return frozenset({"cold"})
        case Medicine():
            return frozenset({"medicine", "nsaid"} if course.name == "nsaid" else {"medicine"})
    return frozenset()


def is_low(hertz: float) -> bool:
    """Whether a current counts as one of low frequency."""
    return bool(hertz <= table("limits")["low_frequency_hz"]["value"])


def _of_needling(course: Needling) -> frozenset[str]:
    regions = regions_of(course)
    electro = course.mode == "electro"
    held = {"needling": True, "deep_needling": is_deep(course), "electro": electro,
            "low_frequency_electro": electro and any(map(is_low, course.frequency_hz)),
            "chest_current": electro and bool(regions & CHEST)}
    return frozenset(name for name, holds in held.items() if holds) | regions


def visits_a_week(course: Course) -> float:
    """Visits a week of a course while it runs."""
    return course.schedule.times_per_week if course.with_practitioner else 0.0


def hours_a_week(course: Course) -> float:
    """Hours a week of a course while it runs; heat is worn while doing other things and takes none."""
    return 0.0 if isinstance(course, Heat) else course.schedule.minutes / 60 * course.schedule.times_per_week


def busiest(courses: Sequence[Course], load: Callable[[Course], float]) -> tuple[float, tuple[Course, ...]]:
    """The highest load of a week in which courses run together, and those courses.

    Arguments:
        courses: of one plan.
        load: `visits_a_week` or `hours_a_week`.
    """
    together = [tuple(other for other in courses
                      if other.schedule.start_week <= each.schedule.start_week < other.schedule.end_week)
                for each in courses]
    return max(((sum(map(load, some)), some) for some in together), key=lambda found: found[0], default=(0.0, ()))
