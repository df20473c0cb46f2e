"""Pain of osteoarthritis under naproxen and placebo: mean of a trial's arm, a hyperbola in time.

Boucher and Bennetts 2018, doi 10.1002/psp4.12299; 18 trials, WOMAC pain 0-10, NONMEM column of their table 2:

    Y = E0 + h1 + (Emax + h2) t / (ET50 + t) + e ,   e ~ N(0, SD^2 / n)

Trials that washed patients out and asked for a flare of pain (`flare`) start higher and fall further. The published
differences at weeks 2, 6 and 12, -0.90, -0.84, -0.82 without and -1.03, -0.90, -0.85 with a flare design, follow to
both decimals: the flare deepens the common fall, which naproxen reaches sooner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from deqi.errors import InputError

from .comparison import Comparison

_DOI = "Boucher and Bennetts 2018, doi 10.1002/psp4.12299"


@dataclass(frozen=True)
class Parameters:
    """Estimates of doi 10.1002/psp4.12299; pain on 0-10, time in weeks."""

    e0: float = 5.20                   # baseline without a flare design
    e0_flare: float = 0.96
    emax: float = -1.16                # placebo, without a flare design
    emax_flare: float = -0.82
    emax_naproxen: float = -0.79
    log_et50: float = -0.37            # 0.69 weeks under placebo
    log_et50_naproxen: float = -1.17   # to 0.21 weeks
    between_e0: float = 0.62           # SD between studies of E0 ...
    between_emax: float = 0.74         # ... and of Emax


PUBLISHED = Parameters()


@dataclass(frozen=True)
class Arm:
    """One arm: naproxen or placebo, in a trial with or without a flare design."""

    naproxen: bool = False
    flare: bool = False


def half_time_weeks(arm: Arm, p: Parameters = PUBLISHED) -> float:
    """ET50: when half of the largest change is reached, in weeks."""
    return float(np.exp(p.log_et50 + p.log_et50_naproxen * arm.naproxen))


def pain(arm: Arm, weeks: npt.ArrayLike, p: Parameters = PUBLISHED) -> npt.NDArray[np.float64]:
    """Mean pain of an arm in a typical study.

    Arguments:
        arm: the treatment and the design.
        weeks: times since the start of treatment, of any shape.
        p: the parameters.
    Returns: WOMAC pain 0-10, in the shape of `weeks`.
    Raises: InputError for a negative time.
    """
    t = np.asarray(weeks, float)
    if np.any(t < 0):
        raise InputError("a time cannot be negative", field="weeks", found=weeks, accepted="0 or more")
    largest = p.emax + p.emax_flare * arm.flare + p.emax_naproxen * arm.naproxen
    return p.e0 + p.e0_flare * arm.flare + largest * t / (half_time_weeks(arm, p) + t)


def difference(weeks: npt.ArrayLike, flare: bool, p: Parameters = PUBLISHED) -> npt.NDArray[np.float64]:
    """Naproxen minus placebo within a trial; the study's own effects cancel.

    Arguments:
        weeks: times since the start of treatment, of any shape.
        flare: whether the trial has a flare design.
        p: the parameters.
    Returns: difference on 0-10, negative when naproxen is better, in the shape of `weeks`.
    Raises: InputError for a negative time.
    """
    return pain(Arm(True, flare), weeks, p) - pain(Arm(False, flare), weeks, p)


def comparisons() -> tuple[Comparison, ...]:
    """The published differences at weeks 2, 6 and 12 for both designs, and the two half times."""
    published = {False: (-0.90, -0.84, -0.82), True: (-1.03, -0.90, -0.85)}
    return (
        *(Comparison("Boucher 2018", f"naproxen minus placebo, week {week}, {'flare' if flare else 'no flare'} design",
                     printed, float(difference(week, flare)), 0.005, "points of 10", _DOI)
          for flare, row in published.items() for week, printed in zip((2, 6, 12), row, strict=True)),
        Comparison("Boucher 2018", "time to half of the change, placebo", 0.69, half_time_weeks(Arm()), 0.005, "weeks",
                   _DOI),
        Comparison("Boucher 2018", "time to half of the change, naproxen", 0.21, half_time_weeks(Arm(True)), 0.005,
                   "weeks", _DOI),
    )
