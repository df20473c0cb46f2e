"""Chronic pain under tramadol, tapentadol and placebo: mean of a trial's arm on the logit scale.

Mercier, Claret, Prins and Bruno 2014, doi 10.1007/s40122-014-0023-5; 45 trials, 81 arms, table 3 as transcribed in
the public nlmixr2lib:

    P(t) = 10 expit[B + R (1 - exp(-k t))] ,
    R = R0 [1 + th_b logit(P0 / 10) + th_T D / (D + ED50) + th_X X]     D tramadol in mg a day, X = 1 for tapentadol

The baseline covariate has to be centred at the mean baseline: week 12 then lies 45.6 % below baseline for tramadol
300 mg and 35.6 % for tapentadol, where the paper prints 46 % and 36 %; placebo lies 28 % below. Taken as printed, the
formula gives 49.0 % and 39.3 % (`centred=False`), with P0 the mean baseline 6.9; with P0 = 10 expit(B) = 6.93 it
gives 49.1 %. For means of arms only, not for patients. The paper's residual, 0.26 / sqrt(n), is implausibly small and
is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from deqi.errors import InputError

from .comparison import Comparison

_DOI = "Mercier 2014, doi 10.1007/s40122-014-0023-5"
MEAN_BASELINE = 6.9  # mean of the trials on 0-10, SD 0.72; doi 10.1007/s40122-014-0023-5


@dataclass(frozen=True)
class Parameters:
    """Estimates of doi 10.1007/s40122-014-0023-5; time in weeks, the rest on the logit scale."""

    base: float = 0.812             # B, SE 0.053
    response: float = -0.819        # R0 under placebo, SE 0.058
    by_baseline: float = 0.158      # th_b, SE 0.111
    by_tramadol: float = 0.980      # th_T, SE 0.144
    ed50_mg: float = 184.0          # SE 66
    by_tapentadol: float = 0.259    # th_X, SE 0.018
    rate_per_week: float = 0.571    # k, SE 0.015; one for all arms
    between_base: float = 0.313     # SD between arms of B, additive
    between_response: float = 0.065  # SD between arms of R, exponential


PUBLISHED = Parameters()


@dataclass(frozen=True)
class Arm:
    """One arm: its mean pain at baseline (0-10), tramadol in mg a day, and whether it takes tapentadol instead.

    Tapentadol stands for 100-250 mg twice a day, the only doses studied. Raises: InputError for a baseline outside
    0-10, a negative dose, or both drugs.
    """

    baseline: float = MEAN_BASELINE
    tramadol_mg: float = 0.0
    tapentadol: bool = False

    def __post_init__(self) -> None:
        if not 0.0 < self.baseline < 10.0:
            raise InputError("a mean baseline lies inside the scale", field="baseline", found=self.baseline,
                             accepted="above 0 and below 10")
        if self.tramadol_mg < 0 or (self.tramadol_mg and self.tapentadol):
            raise InputError("an arm takes tramadol, tapentadol or neither", field="tramadol_mg",
                             found=self.tramadol_mg, accepted="mg a day, 0 with tapentadol")


def pain(arm: Arm, weeks: npt.ArrayLike, centred: bool = True,
         p: Parameters = PUBLISHED) -> npt.NDArray[np.float64]:
    """Mean pain of an arm.

    An arm of mean baseline starts at 10 expit(B), 6.9; another one is shifted by its distance on the logit scale.

    Arguments:
        arm: baseline and drug.
        weeks: times since the start of treatment, of any shape.
        centred: whether the baseline covariate counts from the mean baseline; False takes the formula as printed.
        p: the parameters.
    Returns: pain 0-10, in the shape of `weeks`.
    Raises: InputError for a negative time.
    """
    t = np.asarray(weeks, float)
    if np.any(t < 0):
        raise InputError("a time cannot be negative", field="weeks", found=weeks, accepted="0 or more")
    above_mean = logit(arm.baseline / 10.0) - logit(MEAN_BASELINE / 10.0)
    covariate = above_mean if centred else logit(arm.baseline / 10.0)
    response = p.response * (1.0 + p.by_baseline * covariate
                             + p.by_tramadol * arm.tramadol_mg / (arm.tramadol_mg + p.ed50_mg)
                             + p.by_tapentadol * arm.tapentadol)
    return 10.0 * expit(p.base + above_mean - response * np.expm1(-p.rate_per_week * t))


def change_percent(arm: Arm, weeks: npt.ArrayLike, centred: bool = True,
                   p: Parameters = PUBLISHED) -> npt.NDArray[np.float64]:
    """Change of mean pain in per cent of its own start, negative for relief; arguments and errors as `pain`."""
    return 100.0 * (pain(arm, weeks, centred, p) / pain(arm, 0.0, centred, p) - 1.0)


def comparisons() -> tuple[Comparison, ...]:
    """What the paper prints, and what was computed from its estimates."""
    placebo, tramadol, tapentadol = Arm(), Arm(tramadol_mg=300.0), Arm(tapentadol=True)
    computed = f"arithmetic on the estimates of {_DOI}"

    def week_12(what: str, published: float, arm: Arm, tolerance: float, source: str,
                centred: bool = True) -> Comparison:
        return Comparison("Mercier 2014", f"change at week 12, {what}", published,
                          float(change_percent(arm, 12.0, centred)), tolerance, "%", source)

    return (
        week_12("tramadol 300 mg", -46.0, tramadol, 0.5, _DOI),
        week_12("tapentadol", -36.0, tapentadol, 0.5, _DOI),
        week_12("tramadol 300 mg, to one decimal", -45.6, tramadol, 0.05, computed),
        week_12("tramadol 300 mg, covariate not centred", -49.0, tramadol, 0.05, computed, centred=False),
        week_12("placebo", -28.0, placebo, 0.5, computed),
        Comparison("Mercier 2014", "mean pain at baseline", 6.9, float(pain(placebo, 0.0)), 0.05, "points of 10", _DOI),
        Comparison("Mercier 2014", "time to half of the response", 1.2,
                   float(np.log(2.0)) / PUBLISHED.rate_per_week, 0.05, "weeks", _DOI),
    )
