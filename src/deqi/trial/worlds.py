"""Worlds: from which averages of the population each simulated trial is drawn.

    central         the model's best guess: the mean of the posterior, an average setting, no effects of an arm's own
    posterior       each trial has its own draw of the averages, its own setting, and arms with effects of their own
    without:THEORY  as posterior, with one theory absent
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtri

from ..body.system import THEORIES
from ..care import Needling, Plan, UsualCare
from ..errors import InputError
from ..population import posterior
from ..population.averages import prior_draws, priors, values
from .design import Design
from .randomness import SETTING, stream, uniforms

CENTRAL, POSTERIOR, TRUTH = "central", "posterior", "truth"
"""`truth` has the averages of `central` and people of its own."""
WITHOUT = "without:"
UNCALIBRATED_DRAWS = 1024


@dataclass(frozen=True)
class Settings:
    """The averages of some trials.

    Arguments:
        first_trial: index of the first.
        averages: name to value, each of shape (draws,).
        draw: index of each trial's draw, shape (trials,).
        own: log factor that an arm's own effect puts on pain in the long run, shape (trials, arms).
        expectation: log factor on the context response for 5 points of expectation, shape (trials,).
    """

    first_trial: int
    averages: Mapping[str, Float[np.ndarray, "draws"]]
    draw: Int[np.ndarray, "trials"]
    own: Float[np.ndarray, "trials arms"]
    expectation: Float[np.ndarray, "trials"]

    def among(self, trials: Int[np.ndarray, "n"]) -> tuple[dict[str, np.ndarray], Int[np.ndarray, "n"]]:
        """The draws that some trials need, and the index of each trial's among them."""
        needed, index = np.unique(self.draw[trials - self.first_trial], return_inverse=True)
        return {name: of[needed] for name, of in self.averages.items()}, index


def names(design: Design) -> tuple[str, ...]:
    """The worlds that a design is simulated in."""
    return (CENTRAL, POSTERIOR, *(WITHOUT + theory for theory in design.theories))


def absent(world: str) -> tuple[str, ...]:
    """Theories that are absent from a world.

    Raises:
        InputError: there is no such world.
    """
    if world in (CENTRAL, POSTERIOR, TRUTH):
        return ()
    theory = world.removeprefix(WITHOUT)
    if theory == world or theory not in THEORIES:
        raise InputError("no such world", field="world", found=world,
                         accepted=", ".join((CENTRAL, POSTERIOR, *(WITHOUT + name for name in THEORIES))))
    return (theory,)


def number(world: str) -> int:
    """What stands for a world in the keys of its random numbers."""
    missing = absent(world)
    return 3 + THEORIES.index(missing[0]) if missing else (CENTRAL, POSTERIOR, TRUTH).index(world)


def settings(design: Design, world: str, first: int, trials: int) -> Settings:
    """The averages of trials that follow on one another.

    Arguments:
        design: the design.
        world: its name.
        first: index of the first trial.
        trials: how many.
    """
    calm = {} if design.recruitment.bad_week else {"bad_week": 0.0, "trial_bad_week": 0.0}
    if world in (CENTRAL, TRUTH):
        still = {name: np.array([calm.get(name, value)]) for name, value in central().items()}
        return Settings(first, still, np.zeros(trials, int), np.zeros((trials, len(design.arms))), np.zeros(trials))
    plans = design.plans
    which = np.arange(first, first + trials)
    u = uniforms(stream(design.seed, number(world), SETTING), which, np.zeros_like(which), np.zeros_like(which),
                 5 + len(plans))
    table = drawn()
    draw = np.floor(u[0] * table["bad_week"].size).astype(int)
    found = {name: value[draw] for name, value in table.items()}
    z = ndtri(u[1:])
    found |= posterior.setting(found, z[:3])
    found |= {name: np.full(trials, value) for name, value in calm.items()}
    own = np.stack([found["trial_needle_sd" if is_needled(plan) else "trial_care_sd"] * z[4 + plans.index(plan)]
                    for plan in plans], axis=1)
    slope = priors()["people"]["expectation_slope"]
    return Settings(first, found, np.arange(trials), own, slope["centre"] + slope["spread"] * z[3])


def is_needled(plan: Plan) -> bool:
    """Whether a plan has needles, true or sham, and nothing but usual care beside."""
    return (any(isinstance(course, Needling) for course in plan.courses)
            and all(isinstance(course, Needling | UsualCare) for course in plan.courses))


@cache
def drawn() -> dict[str, Float[np.ndarray, "draws"]]:
    """The averages of every draw of the posterior (of the prior, before calibration)."""
    return {name: np.asarray(value, dtype=float) for name, value in values(_places()).items()}


@cache
def central() -> dict[str, float]:
    """The averages at the mean of the posterior's places, in an average setting."""
    found = {name: float(value) for name, value in values(_places().mean(axis=1)).items()}
    return found | {"trial_bad_week": 0.0, "trial_context": 1.0, "trial_rate": 1.0}


def _places() -> Float[np.ndarray, "averages draws"]:
    found = posterior.places()
    return prior_draws(UNCALIBRATED_DRAWS, np.random.default_rng(0)) if found is None else found
