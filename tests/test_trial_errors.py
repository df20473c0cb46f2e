"""Error rates of virtual trials themselves: null trials reject in 5 %, and power is that of the textbook."""

from __future__ import annotations

import numpy as np
import pytest

from deqi.trial import analyse, power, run
from deqi.trial.design import Design, parse_design
from deqi.trial.tally import Tally

NEEDLES = "acupuncture 30 min 6 sessions over 4 weeks"
AGAINST = np.array([1.0, -1.0])


def simulated(comparator: str, n: int | list[int], trials: int) -> tuple[Design, Tally]:
    """Trials of needles against a comparator, pain in week 4."""
    design = parse_design({"trial": {
        "arms": [{"id": "needles", "plan": NEEDLES}, {"id": "other", "plan": comparator}], "visits": [4],
        "outcomes": ["pain"], "n": n, "trials": trials, "seed": 6,
        "analysis": {"primary": {"outcome": "pain", "week": 4}}}})
    return design, run.simulate(design)


def errors(n: int, trials: int) -> dict[str, power.Share]:
    """Share of null trials that reject, by method: both arms have the same plan."""
    _, tally = simulated(NEEDLES, n, trials)
    return {name: power.rejected(method(tally.by_size[:, 0, :, 0], AGAINST))
            for name, method in analyse.METHODS.items()}


def test_null_trials_reject_about_as_often_as_promised() -> None:
    """1,000 trials of 24: a Monte Carlo standard error of 0.7 points; the slow test looks closer."""
    for name, found in errors(24, 1000).items():
        assert found.value == pytest.approx(0.05, abs=0.025), name


@pytest.mark.slow  # 300,000 virtual patients: five thousand trials are what one point of accuracy takes
def test_null_trials_reject_in_five_of_a_hundred() -> None:
    for name, found in errors(60, 5000).items():
        assert found.value == pytest.approx(0.05, abs=0.01), name


@pytest.mark.slow  # 240,000 virtual patients, for a Monte Carlo error of 0.7 points
def test_power_of_virtual_trials_is_that_of_the_textbook() -> None:
    """Against a waiting list; the textbook knows only the true difference and the spread of change."""
    design, tally = simulated("waiting list for 4 weeks", [24, 36, 60], 4000)
    effect = float(run.truth(design).difference[0, 0])
    for size, n in enumerate(design.sizes):
        sums = tally.by_size[:, size, :, 0]
        seen = power.rejected(analyse.change(sums, AGAINST))
        wanted = power.analytic(effect, analyse.change_sd(sums, AGAINST), np.full(2, n / 2), AGAINST, 0.05)
        assert 0.5 < wanted < 0.98
        assert seen.value == pytest.approx(wanted, abs=0.02)
