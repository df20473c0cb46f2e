"""The kind of context that a course of care comes with: its row in the one table of context strengths."""

from __future__ import annotations

from deqi.care.course import Course
from deqi.care.exercise import Exercise
from deqi.care.medicines import Medicine
from deqi.care.needling import Needling
from deqi.care.usual import Placebo, UsualCare


def context_kind(course: Course) -> str:
    """The row of `context` in `action.yaml` that a course belongs to."""
    if isinstance(course, Needling):
        return course.mode if course.sham else "needling_open"
    if isinstance(course, Exercise):
        return "exercise_supervised" if course.supervised else "exercise_home"
    if isinstance(course, Medicine):
        return "nsaid" if course.name == "nsaid" else "other_medicine"
    if isinstance(course, UsualCare):
        return f"usual_{course.kind}"
    if isinstance(course, Placebo):
        return "placebo_open_label" if course.open_label else "placebo"
    return course.care
