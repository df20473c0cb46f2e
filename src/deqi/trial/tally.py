"""Running statistics of simulated trials: whole numbers only, so that the order in which they are added cannot matter.

Reported scores are whole hundredths: a pain of 7 is 700, a disability of 43.21 is 4321. Sums of them and of their
products are exact in 64 bits for 9e10 people an arm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile
from zlib import error as Garbled

import numpy as np
from jaxtyping import Float, Int

from ..errors import InputError
from ..writing import replacing
from .design import Design

HUNDREDTHS = 100
"""Units of a point: sums of scores are in hundredths, sums of products in ten-thousandths."""
SUMS = ("n", "y", "yy", "x", "xx", "xy", "responders")
"""Sums over the people seen at a visit; x is the score at baseline, y the one at the visit."""
SCREENED = ("assessed", "pain", "duration_weeks", "disability", "declined", "randomised")
"""Candidates: all, those left out by the first criterion that they miss, those who decline, those who are in."""
BINS = 101
WIDTH = {"pain": 0.1, "disability": 1.0}
"""Points to a bin of the histograms; bin k holds scores that round to k of these."""


@dataclass(frozen=True)
class Tally:
    """What was counted in some of the simulated trials of a design.

    Arguments:
        first_trial: index of the first trial in `sums`.
        sums: shape (trials, sizes, arms, cells, SUMS), int64; people whose position lies between two sizes of trial.
        screened: shape (SCREENED,), int64.
        allocated, found_out: by arm, shape (arms,), int64.
        weekly: n, y and yy by arm, outcome and week from 0 on, shape (arms, outcomes, weeks + 1, 3), int64; of all
            people, those lost too.
        histogram: shape (arms, outcomes, weeks + 1, BINS), int64.
    """

    first_trial: int
    sums: Int[np.ndarray, "trials sizes arms cells sums"]
    screened: Int[np.ndarray, "screened"]
    allocated: Int[np.ndarray, "arms"]
    found_out: Int[np.ndarray, "arms"]
    weekly: Int[np.ndarray, "arms outcomes weeks three"]
    histogram: Int[np.ndarray, "arms outcomes weeks bins"]

    @classmethod
    def empty(cls, design: Design, first_trial: int = 0, trials: int | None = None) -> Tally:
        """Nothing counted yet, for all trials of a design or for some that follow on one another."""
        arms, outcomes, weeks = len(design.arms), len(design.outcomes), design.weeks + 1
        count = design.trials if trials is None else trials
        shapes = ((count, *cls.shape(design)[1:]), (len(SCREENED),), (arms,), (arms,), (arms, outcomes, weeks, 3),
                  (arms, outcomes, weeks, BINS))
        return cls(first_trial, *(np.zeros(shape, dtype=np.int64) for shape in shapes))

    @staticmethod
    def shape(design: Design) -> tuple[int, ...]:
        """Shape of the sums over all trials of a design."""
        return design.trials, len(design.sizes), len(design.arms), len(design.cells()), len(SUMS)

    @property
    def trials(self) -> int:
        """Number of trials."""
        return len(self.sums)

    def include(self, part: Tally) -> None:
        """Add a part whose trials lie within those of this tally, in place."""
        at = part.first_trial - self.first_trial
        self.sums[at:at + part.trials] += part.sums
        for name in _TOTALS:
            getattr(self, name).__iadd__(getattr(part, name))

    def __add__(self, other: Tally) -> Tally:
        """Both together, over all trials that either has."""
        first = min(self.first_trial, other.first_trial)
        last = max(self.first_trial + self.trials, other.first_trial + other.trials)
        whole = Tally(first, np.zeros((last - first, *self.sums.shape[1:]), dtype=np.int64),
                      *(np.zeros_like(getattr(self, name)) for name in _TOTALS))
        whole.include(self)
        whole.include(other)
        return whole

    def equals(self, other: Tally) -> bool:
        """Whether every number is the same."""
        return self.first_trial == other.first_trial and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in ("sums", *_TOTALS))

    @cached_property
    def by_size(self) -> Int[np.ndarray, "trials sizes arms cells sums"]:
        """Sums of the whole trial of each size."""
        return np.cumsum(self.sums, axis=1)

    @property
    def weekly_mean(self) -> Float[np.ndarray, "arms outcomes weeks"]:
        """Mean score of all simulated people in each week, points."""
        n, y = self.weekly[..., 0], self.weekly[..., 1]
        return np.asarray(y / np.maximum(n, 1) / HUNDREDTHS)

    @property
    def weekly_sd(self) -> Float[np.ndarray, "arms outcomes weeks"]:
        """Their spread, points."""
        n = np.maximum(self.weekly[..., 0], 1)
        mean = self.weekly[..., 1] / n
        return np.asarray(np.sqrt(np.maximum(self.weekly[..., 2] / n - mean**2, 0.0)) / HUNDREDTHS)

    def save(self, path: str | Path) -> None:
        """Write it as a NumPy archive, whole or not at all."""
        with replacing(path) as draft, draft.open("wb") as file:
            np.savez_compressed(file, first_trial=self.first_trial,
                                **{name: getattr(self, name) for name in ("sums", *_TOTALS)})

    @classmethod
    def load(cls, path: str | Path) -> Tally:
        """Read what `save` wrote.

        Raises:
            InputError: it is not such a file.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls(int(file["first_trial"]), *(file[name] for name in ("sums", *_TOTALS)))
        except (OSError, ValueError, KeyError, EOFError, NotImplementedError, BadZipFile, Garbled) as error:
            raise InputError(f"not a tally that can be read ({error})", file=str(path),
                             accepted="a file that deqi wrote") from None


_TOTALS = ("screened", "allocated", "found_out", "weekly", "histogram")
