"""What is true of a design: the difference that its trials estimate, on the same people under every arm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ..threads import Progress, mapped
from .design import Design
from .randomness import PIECE
from .recruit import enrol
from .simulate import Scores, responds, treat
from .tally import HUNDREDTHS
from .worlds import TRUTH, settings

TRUE_PEOPLE, MOST_TRUE = 32_768, 1_048_576
"""People on whom the truth rests: at least, and at most; four times those of the largest trial in between."""


@dataclass(frozen=True)
class Truth:
    """What is true of a design in the central world: the same people under every arm with the same noise, none lost.

    Arguments:
        people: how many.
        mean, sd: of reported scores, points, shape (arms, cells).
        responders: share who respond, shape (arms, cells).
        baseline_mean, baseline_sd: by outcome, points.
        difference: paired difference of each contrast, points, shape (contrasts, cells).
        se: its Monte Carlo standard error.
        responder_difference: difference of shares, shape (contrasts, cells).
    """

    people: int
    mean: Float[np.ndarray, "arms cells"]
    sd: Float[np.ndarray, "arms cells"]
    responders: Float[np.ndarray, "arms cells"]
    baseline_mean: dict[str, float]
    baseline_sd: dict[str, float]
    difference: Float[np.ndarray, "contrasts cells"]
    se: Float[np.ndarray, "contrasts cells"]
    responder_difference: Float[np.ndarray, "contrasts cells"]


def truth(design: Design, *, people: int | None = None, threads: int | None = None, progress: Progress | None = None
          ) -> Truth:
    """Simulate the same people under every arm.

    Arguments:
        design: the design.
        people: how many; enough for the largest trial if None.
        threads: at work; a core each if None.
        progress: called with the number of people finished, each once for every arm.
    """
    people = people or min(max(TRUE_PEOPLE, 4 * design.sizes[-1]), MOST_TRUE)
    whole = design.model_copy(update={"n": (people,), "trials": 1, "attrition": None})
    enrolled, where = enrol(whole, TRUTH, 0, people), settings(whole, TRUTH, 0, 1)
    arms, cells = len(design.arms), design.cells()
    sums, products = np.zeros((arms, len(cells)), np.int64), np.zeros((len(cells), arms, arms), np.int64)
    responded = np.zeros((arms, len(cells)), np.int64)
    before: dict[str, np.ndarray] = {outcome: np.zeros(2, np.int64) for outcome in design.outcomes}

    def piece(start: int) -> list[Scores]:
        rows = np.arange(start, min(start + PIECE, people))
        return [treat(whole, TRUTH, where, arm, enrolled, rows) for arm in range(arms)]

    for scores in mapped(piece, range(0, people, PIECE), threads):
        for name in design.outcomes:
            x = scores[0].reported[name][0].astype(np.int64)
            before[name] += np.array([x.sum(), (x * x).sum()])
        for cell, (outcome, week) in enumerate(cells):
            y = np.stack([s.reported[outcome][week] for s in scores]).astype(np.int64)
            sums[:, cell] += y.sum(axis=1)
            products[cell] += y @ y.T
            x = scores[0].reported[outcome][0].astype(np.int64)
            responded[:, cell] += responds(design, outcome, x, y).sum(axis=1)
        if progress is not None:
            progress(arms * scores[0].size)
    weights = np.stack([design.weights(contrast) for contrast in design.contrasts])
    mean = sums / people / HUNDREDTHS
    covariance = products / people / HUNDREDTHS**2 - np.einsum("ac,bc->cab", mean, mean)
    spread = np.einsum("ka,cab,kb->kc", weights, covariance, weights)
    shares = responded / people
    first = {name: x[0] / people / HUNDREDTHS for name, x in before.items()}
    return Truth(people, mean, np.sqrt(np.einsum("caa->ac", covariance)), shares, first,
                 {name: float(np.sqrt(x[1] / people / HUNDREDTHS**2 - first[name]**2)) for name, x in before.items()},
                 weights @ mean, np.sqrt(np.maximum(spread, 0.0) / people), weights @ shares)
