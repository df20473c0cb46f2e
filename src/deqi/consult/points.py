"""Where the needles of a plan go: the regions of points and of classes of points, and what a needle can meet there.

`rules/points.yaml` holds both. A name that is not understood may lie anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from deqi import evidence
from deqi.care import Needling, Plan
from deqi.care.action import actions, depth_of
from deqi.care.defaults import table as care_table
from deqi.care.needling import classes_of
from deqi.consult.assessment import Patient
from deqi.consult.rules import holds, table
from deqi.consult.screening import Finding, known_facts

RANGE = re.compile(r"([A-Z-]+)(\d+)-(\d+)")
CODE = re.compile(r"(EX[A-Z]{1,2}|[A-Z]{2})(\d{1,2})")


def is_deep(course: Needling) -> bool:
    """Whether needles reach muscle; `care/action.yaml` says from how many millimetres on."""
    return depth_of(course, actions()["needling"]) > 0.5


def regions_of(course: Needling) -> frozenset[str]:
    """The regions in which the points of a course lie or, where it does not name them, may lie."""
    classes = [point for point in course.points if point not in classes_of(course.point_names)]
    return frozenset[str]().union(*map(where, course.point_names), *(class_regions(each) for each in classes))


@cache
def where(name: str) -> frozenset[str]:
    """The regions in which one named point lies; all of them if the name is not the code of a point.

    Arguments:
        name: a code such as `BL23` or `bl 23`.
    """
    code, regions = _code(name), table("points")["regions"]
    found = frozenset(region for region, ranges in regions.items() if code in _codes(ranges))
    return found or frozenset(regions)


def class_regions(point_class: str) -> frozenset[str]:
    """The regions in which points of a class may lie."""
    return frozenset(table("points")["classes"][point_class])


def published_points(point_class: str) -> tuple[str, ...]:
    """The points of a class that a trial's protocol names (brinkhaus2006)."""
    return tuple(care_table("vocabulary")["points"]["by_name"].get(point_class, ()))


def hazards(plan: Plan, patient: Patient) -> list[Finding]:
    """What needles can meet at the points of a plan, and how that is avoided.

    Arguments:
        plan: of which the needling counts; shams that stay outside of the skin do not.
        patient: for hazards that only some people have; unknown is never no.

    Returns:
        One finding for each hazard, of the kind `precaution`.
    """
    facts, courses = known_facts(patient), [course for course in plan.courses if isinstance(course, Needling)]
    found = []
    for row in table("points")["hazards"]:
        met = any(course.penetrating and _meets(course, row) for course in courses)
        holding = holds(row["when"], facts) if "when" in row else True
        if met and (holding or (holding is None and row.get("unless_no"))):
            text = row["text"].format(**evidence.fact(row["source"]).body)
            found.append(Finding(f"hazard_{row['id']}", "precaution", row["action"], row["source"], text))
    return found


def _meets(course: Needling, row: dict[str, Any]) -> bool:
    if row.get("deep_only") and not is_deep(course):
        return False
    unnamed = {point for point in course.points if point not in classes_of(course.point_names)}
    return (any(_code(name) in _codes(row.get("ranges", ())) for name in course.point_names)
            or bool(regions_of(course) & set(row.get("regions", ())))
            or bool(unnamed & set(row.get("classes", ()))))


def _code(name: str) -> str:
    letters = re.sub(r"[\s-]", "", name.upper())
    letters = table("points")["words"].get(letters, letters).replace("-", "")
    code = CODE.fullmatch(letters)
    if code is None:
        return letters
    meridian = care_table("vocabulary")["points"]["other_letters"].get(code[1], code[1])
    return f"{meridian}{int(code[2])}"


def _codes(ranges: Iterable[str]) -> frozenset[str]:
    return frozenset[str]().union(*map(_codes_of, ranges))


@cache
def _codes_of(written: str) -> frozenset[str]:
    parts = RANGE.fullmatch(written)
    assert parts is not None, written
    return frozenset(f"{parts[1].replace('-', '')}{number}" for number in range(int(parts[2]), int(parts[3]) + 1))
