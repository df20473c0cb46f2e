"""Recruiting: candidates are assessed until each place of a trial is taken, and dealt out over the arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from ..errors import InputError
from ..population.averages import priors
from ..population.coordinates import NAMES, Coordinates
from ..population.patients import (
    Who,
    disability_at_enrolment,
    duration_at_enrolment,
    population_of,
    scores_at_enrolment,
)
from .design import Design
from .randomness import ALLOCATION, PEOPLE, stream, uniforms
from .tally import SCREENED
from .worlds import TRUTH, number

CANDIDATES = 4096
"""Candidates among whom eligibility is measured."""
LEAST_ELIGIBLE = 0.005
ROWS = len(NAMES) + 2
"""Numbers of a candidate: the places among others, consent, and one to make it even."""


@dataclass(frozen=True)
class Enrolled:
    """People who were randomised, in order of trial and position.

    Arguments:
        trial, position, arm: of each, shape (people,).
        places: where each stands among others.
        screened: candidates by what became of them, shape (SCREENED,).
    """

    trial: Int[np.ndarray, "people"]
    position: Int[np.ndarray, "people"]
    arm: Int[np.ndarray, "people"]
    places: Coordinates
    screened: Int[np.ndarray, "screened"]

    @classmethod
    def joined(cls, parts: Sequence[Enrolled]) -> Enrolled:
        """Parts that follow on one another, as one."""
        if len(parts) == 1:
            return parts[0]
        trial, position, arm = (np.concatenate([getattr(part, name) for part in parts])
                                for name in ("trial", "position", "arm"))
        return cls(trial, position, arm,
                   Coordinates(np.concatenate([part.places.uniform for part in parts], axis=1)),
                   np.sum([part.screened for part in parts], axis=0))


def who(design: Design) -> Who:
    """The population that candidates come from; a trial that lets in less pain than usual finds such people too."""
    found = population_of(design.population.phase, design.population.pain_mean)
    least = design.eligibility.pain.least
    usual = priors()["people"]["entry_nrs"]["value"]
    return found if least is None else replace(found, entry_nrs=max(min(usual, least - 0.5), 0.0))


def enrol(design: Design, world: str, start: int, stop: int) -> Enrolled:
    """Recruit the people of some places, counted trial by trial.

    A place whose candidate is not eligible or declines goes to the next candidate for it.

    Arguments:
        design: the design.
        world: its name.
        start, stop: first place and the one after the last; a trial has as many as its largest size.
    """
    trial, position = np.divmod(np.arange(start, stop), design.sizes[-1])
    root, source = stream(design.seed, number(world), PEOPLE), who(design)
    places = np.empty((len(NAMES), len(trial)))
    screened = np.zeros(len(SCREENED), dtype=np.int64)
    waiting, attempt = np.arange(len(trial)), 0
    while waiting.size:
        u = uniforms(root, trial[waiting], position[waiting], np.full(waiting.size, attempt * ROWS // 2), ROWS)
        candidates = Coordinates(u[:len(NAMES)])
        fate = _fate(design, source, candidates, u[len(NAMES)])
        taken = fate == SCREENED.index("randomised")
        places[:, waiting[taken]] = candidates.uniform[:, taken]
        screened += np.bincount(fate, minlength=len(SCREENED))
        screened[0] += fate.size
        waiting, attempt = waiting[~taken], attempt + 1
    return Enrolled(trial, position, allocated(design, world, trial, position), Coordinates(places), screened)


def baseline(source: Who, places: Coordinates) -> tuple[Float[np.ndarray, "people"], Float[np.ndarray, "people"]]:
    """Pain (whole numbers, as reported) and disability at screening."""
    observed = scores_at_enrolment(places, source)
    return np.round(observed), disability_at_enrolment(places, source, observed)


def check_eligible(design: Design, file: str | None = None) -> float:
    """Measure the share of candidates who are eligible.

    Raises:
        InputError: almost nobody is.
    """
    at = np.arange(CANDIDATES)
    u = uniforms(stream(design.seed, number(TRUTH), PEOPLE), np.zeros_like(at), at, np.zeros_like(at), ROWS)
    fate = _fate(design, who(design), Coordinates(u[:len(NAMES)]), np.zeros(CANDIDATES))
    share = float(np.mean(fate == SCREENED.index("randomised")))
    if share < LEAST_ELIGIBLE:
        names = [name for name in SCREENED if np.any(fate == SCREENED.index(name)) and name != "randomised"]
        raise InputError("almost nobody is eligible", file=file, field="trial.eligibility",
                         found=f"{100.0 * share:.2g} % of {CANDIDATES:,} candidates (left out by {', '.join(names)})",
                         accepted=f"at least {100.0 * LEAST_ELIGIBLE:g} %")
    return share


def allocated(design: Design, world: str, trial: Int[np.ndarray, "n"], position: Int[np.ndarray, "n"]
              ) -> Int[np.ndarray, "n"]:
    """The arm of each place: by permuted blocks of the ratio twice over, or by chance.

    Arguments:
        design: the design.
        world: its name.
        trial, position: the places.
    """
    ratio, root = np.array(design.ratio), stream(design.seed, number(world), ALLOCATION)
    if design.allocation.method == "simple":
        u = uniforms(root, trial, position, np.zeros_like(trial), 1)[0]
        return np.searchsorted(np.cumsum(ratio) / ratio.sum(), u, side="right")
    block = np.repeat(np.arange(len(ratio)), 2 * ratio)
    (trials, blocks), where = np.unique(np.stack([trial, position // block.size]), axis=1, return_inverse=True)
    u = uniforms(root, trials, blocks, np.zeros_like(trials), block.size)
    dealt = block[np.argsort(u, axis=0)]
    return np.asarray(dealt[position % block.size, where.ravel()])


def _fate(design: Design, source: Who, places: Coordinates, consent: Float[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """What becomes of each candidate, as an index into SCREENED; the first reason counts."""
    pain, disability = baseline(source, places)
    seen = {"pain": pain, "duration_weeks": duration_at_enrolment(source, places), "disability": disability}
    fate = np.where(consent < design.recruitment.consent, SCREENED.index("randomised"), SCREENED.index("declined"))
    for name in ("disability", "duration_weeks", "pain"):
        bounds = getattr(design.eligibility, name)
        low = -np.inf if bounds.least is None else bounds.least
        high = np.inf if bounds.most is None else bounds.most
        fate = np.where((seen[name] >= low) & (seen[name] <= high), fate, SCREENED.index(name))
    return fate
