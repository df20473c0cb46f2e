"""The design of an in-silico trial: what a file may say, and what is refused before anything runs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import reduce
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from jaxtyping import Float, Int
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from ..body.system import THEORIES
from ..care import Plan, as_data, plan_from
from ..care.context import context_kind
from ..consult.fields import choice, label, nearest, number, refuse, told
from ..errors import InputError
from ..reading import read_mapping
from .parts import (
    MOST_ARMS,
    MOST_LISTED,
    OUTCOMES,
    Allocation,
    Analysis,
    Arm,
    Attrition,
    Blinding,
    Contrast,
    Eligibility,
    Expectation,
    Outcome,
    Recruitment,
    Section,
    Source,
    Week,
    one_or_several,
)

LARGEST_MIXED = 20_000
"""Most people in a trial that is analysed with a mixed model, which takes minutes beyond."""
LEAST_PER_ARM = 2
COMPARATORS = {"waiting": "waiting list", "usual_gp": "usual care", "usual_guideline": "guideline care",
               "usual_physiotherapy": "physiotherapy", "sham_penetrating": "penetrating sham",
               "sham_nonpenetrating": "non-penetrating sham", "placebo": "placebo",
               "placebo_open_label": "open-label placebo"}


class Design(Section):
    """The design of a trial, whole and consistent.

    Attributes:
        visits: weeks after randomisation.
        n: people randomised in all; several for a curve.
        trials: simulated trials in each world.
        theories: two that the trial may tell apart, or none.
    """

    title: Annotated[str, label()] = "In-silico trial"
    population: Source = Source()
    eligibility: Eligibility = Eligibility()
    recruitment: Recruitment = Recruitment()
    arms: tuple[Arm, ...] = Field(max_length=MOST_ARMS)
    allocation: Allocation = Allocation()
    blinding: Blinding = Blinding()
    expectation: Expectation | None = None
    attrition: Attrition | None = None
    visits: tuple[Week, ...] = Field(max_length=MOST_LISTED)
    outcomes: tuple[Outcome, ...] = ("pain", "disability")
    analysis: Analysis
    n: Annotated[tuple[Annotated[int, number(1, 1e12, whole=True)], ...], BeforeValidator(one_or_several)] = \
        Field(max_length=MOST_LISTED)
    trials: Annotated[int, number(1, 1_000_000, whole=True)] = 500
    theories: tuple[Annotated[str, choice(*THEORIES)], ...] = ()
    seed: Annotated[int, number(0, 2**32 - 1, whole=True)] = 1

    @property
    def arm_ids(self) -> tuple[str, ...]:
        """Names of the arms, in order."""
        return tuple(arm.id for arm in self.arms)

    @property
    def plans(self) -> tuple[Plan, ...]:
        """Plans of the arms."""
        return tuple(arm.plan for arm in self.arms)

    @property
    def ratio(self) -> tuple[int, ...]:
        """Allocation ratio in smallest whole numbers."""
        given = self.allocation.ratio or (1,) * len(self.arms)
        shared = reduce(math.gcd, given)
        return tuple(part // shared for part in given)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of people randomised, from the smallest on."""
        return tuple(sorted(set(self.n)))

    @property
    def weeks(self) -> int:
        """Length of the trial: its last visit."""
        return max(self.visits)

    @property
    def contrasts(self) -> tuple[Contrast, ...]:
        """The contrasts that are analysed."""
        first, *others = self.arm_ids
        return self.analysis.contrasts or tuple(Contrast(of=(first,), versus=(other,)) for other in others)

    def weights(self, contrast: Contrast) -> Float[np.ndarray, "arms"]:
        """Weights of the arms' means in a contrast."""
        return np.array([(arm in contrast.of) / len(contrast.of) - (arm in contrast.versus) / len(contrast.versus)
                         for arm in self.arm_ids])

    def cells(self) -> tuple[tuple[str, int], ...]:
        """What is seen of a person: outcome and week of each visit, outcome by outcome."""
        return tuple((outcome, week) for outcome in self.outcomes for week in sorted(self.visits))

    def cell(self, outcome: str, week: int) -> int:
        """Index of a cell."""
        return self.cells().index((outcome, week))

    @property
    def kinds(self) -> tuple[tuple[str, ...], ...]:
        """Kinds of context in each arm's plan, as in `context` of `action.yaml`."""
        return tuple(tuple(dict.fromkeys(context_kind(course) for course in plan.courses)) for plan in self.plans)

    @property
    def comparators(self) -> tuple[str, ...]:
        """What each arm is in a word: a comparator's kind, `active` for care that is meant to work."""
        return tuple(_comparator(kinds) for kinds in self.kinds)

    def as_data(self) -> dict[str, Any]:
        """The design as plain data, every value written out; `parse_design` reads it back."""
        data = self.model_dump(mode="json", exclude_none=True)
        data["arms"] = [{"id": arm.id, "plan": as_data(arm.plan)} for arm in self.arms]
        data["allocation"]["ratio"] = list(self.ratio)
        data["analysis"]["contrasts"] = [contrast.model_dump(mode="json") for contrast in self.contrasts]
        return {"trial": data}

    def hash(self) -> str:
        """SHA-256 over the design."""
        return sha256(json.dumps(self.as_data(), sort_keys=True).encode()).hexdigest()

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        _check_arms(self)
        _check_contrasts(self)
        _check_visits(self)
        _check_sizes(self)
        if self.theories and len(set(self.theories)) != 2:
            raise refuse("not two different theories", f"two of {', '.join(THEORIES)}", list(self.theories), "theories")
        return self


class DesignFile(Section):
    """The file: one key, `trial`."""

    trial: Design


def load_design(path: str | Path) -> Design:
    """Read a design file.

    Arguments:
        path: a YAML file, or a JSON one if it ends in `.json`.

    Raises:
        InputError: the file cannot be read, or the trial cannot be; the first reason is named.
    """
    return parse_design(read_mapping(path), file=str(path))


def parse_design(mapping: object, file: str | None = None) -> Design:
    """Make a design of what stood in a file.

    Arguments:
        mapping: a mapping with the one key `trial`.
        file: the name to put into an error.

    Raises:
        InputError: as `load_design`.
    """
    try:
        design = DesignFile.model_validate(mapping).trial
    except ValidationError as error:
        raise told(error, DesignFile, file) from None
    arms = tuple(arm.model_copy(update={"plan": plan_from(arm.plan, file=file, field=f"trial.arms[{place}].plan")})
                 for place, arm in enumerate(design.arms))
    design = design.model_copy(update={"arms": arms})
    courses = [course for plan in design.plans for course in plan.courses]
    active = [course for course in courses if context_kind(course) not in COMPARATORS]
    starts = [course.schedule.start_week for course in active or courses]
    first = min(design.visits)
    if starts and first <= min(starts):
        raise InputError("a visit before treatment starts", file=file,
                         field=f"trial.visits[{design.visits.index(first)}]", found=first,
                         accepted=f"a week after {min(starts):g}")
    return design


def buckets(design: Design, position: Int[np.ndarray, "patients"]) -> Int[np.ndarray, "patients"]:
    """Index of the smallest size of trial that holds each position."""
    return np.searchsorted(np.array(design.sizes), position, side="right")


def _check_arms(design: Design) -> None:
    ids = design.arm_ids
    if len(ids) < 2:
        raise refuse("too few arms", "two or more", len(ids), "arms")
    for place, name in enumerate(ids):
        if name in ids[:place]:
            raise refuse("the same id twice", "a name of its own for each arm", name, ("arms", place, "id"))
    ratio = design.allocation.ratio
    if ratio and len(ratio) != len(ids):
        raise refuse("not one number for each arm", f"{len(ids)} whole numbers", list(ratio), ("allocation", "ratio"))


def _check_contrasts(design: Design) -> None:
    ids = design.arm_ids
    for place, contrast in enumerate(design.analysis.contrasts):
        here = ("analysis", "contrasts", place)
        for side in ("of", "versus"):
            for index, name in enumerate(getattr(contrast, side)):
                if name not in ids:
                    raise refuse(f"no such arm{nearest(name, ids)}", ", ".join(ids), name, (*here, side, index))
            if len(set(getattr(contrast, side))) < len(getattr(contrast, side)):
                raise refuse("an arm twice on one side", "each arm once", list(getattr(contrast, side)), (*here, side))
        if contrast in design.analysis.contrasts[:place]:
            raise refuse("the same contrast twice", "each contrast once", contrast.title, here)
        both = set(contrast.of) & set(contrast.versus)
        if both:
            raise refuse("an arm on both sides", "other arms", min(both), (*here, "versus"))


def _check_visits(design: Design) -> None:
    if not design.visits:
        raise refuse("no visit", "weeks after randomisation, such as [4, 8, 12]", [], "visits")
    if not design.outcomes:
        raise refuse("no outcome", " | ".join(OUTCOMES), [], "outcomes")
    for key in ("visits", "outcomes"):
        given = getattr(design, key)
        if len(set(given)) < len(given):
            raise refuse("the same twice", "each once", list(given), key)
    primary = design.analysis.primary
    if primary.week not in design.visits:
        raise refuse("no visit in that week", ", ".join(map(str, sorted(design.visits))), primary.week,
                     ("analysis", "primary", "week"))
    if primary.outcome not in design.outcomes:
        raise refuse("not among the outcomes", ", ".join(design.outcomes), primary.outcome,
                     ("analysis", "primary", "outcome"))


def _check_sizes(design: Design) -> None:
    if not design.n:
        raise refuse("no number of people", "one whole number or several", [], "n")
    ratio = design.ratio
    least = math.ceil(LEAST_PER_ARM * sum(ratio) / min(ratio))
    for place, n in enumerate(design.n):
        if n < least:
            raise refuse("too few people for the arms", f"at least {least}, {LEAST_PER_ARM} in each arm", n,
                         ("n", place))
        if design.analysis.primary.method == "mixed" and n > LARGEST_MIXED:
            raise refuse("too many people for a mixed model", f"at most {LARGEST_MIXED:,}, or ancova", n,
                         ("n", place))


def _comparator(kinds: Sequence[str]) -> str:
    if not kinds:
        return "no treatment"
    if all(kind in COMPARATORS for kind in kinds):
        return " with ".join(COMPARATORS[kind] for kind in kinds)
    return "active"
