"""Does the trial tell two theories apart? Its estimates without the one theory against those without the other.

The rivals are the model without the first and without the second theory. In each rival's world many trials are
simulated, each with its own draw of the averages; all that a trial would report (the adjusted difference of every arm
from the first, for every outcome and visit) is one vector. Two normal distributions with a common covariance are
fitted to one half of the trials and judge the other half, then the halves change places, so that no trial is judged by
what it taught. With even odds before, the likelihood ratio says which rival a trial points to; 10 is where evidence
counts as strong (Jeffreys 1961, Theory of Probability, appendix B).

A rival keeps the averages that were fitted with the removed theory present, so this says how much a trial could tell
of the model's own theories, not which of them holds in a body.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

STRONG = 10.0
"""Likelihood ratio from which a trial counts as telling the two apart."""
FEWEST = 40
"""Trials a world, at least, for halves that can be fitted; assumed."""


@dataclass(frozen=True)
class Separation:
    """How well one trial tells two theories apart, with even odds before.

    Arguments:
        theories: the pair.
        n: people randomised.
        trials: simulated in each world that could be analysed.
        points_right: probability that the likelihood ratio favours the world the trial came from; 0.5 is a coin.
        separates: probability that it does so by 10 or more.
        misleads: probability that it favours the other world by 10 or more.
        bits: expected information, 0 (nothing) to 1 (settled).
        mc_se: standard error of `points_right`, `separates` and `bits` from the number of trials.
    """

    theories: tuple[str, str]
    n: int
    trials: tuple[int, int]
    points_right: float
    separates: float
    misleads: float
    bits: float
    mc_se: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self) | {"theories": list(self.theories), "trials": list(self.trials)}


def separation(theories: tuple[str, str], n: int, first: Float[np.ndarray, "trials results"],
               second: Float[np.ndarray, "trials results"]) -> Separation | None:
    """Judge trials of two worlds by one another.

    Arguments:
        theories: the pair; `first` was simulated without the first of them, `second` without the second.
        n: people randomised in each trial.
        first, second: what each trial reports; rows with a result that is not known are left out.

    Returns:
        None where too few trials could be analysed.
    """
    worlds = [rows[np.isfinite(rows).all(axis=1)] for rows in (first, second)]
    if min(len(rows) for rows in worlds) < FEWEST:
        return None
    ratio = np.concatenate([_held_out(*worlds), _held_out(*worlds[::-1])])
    weight = np.concatenate([np.full(len(rows), 0.5 / len(rows)) for rows in worlds])
    gained = 1.0 - np.logaddexp(0.0, -ratio) / np.log(2.0)
    judged = {"points_right": (ratio > 0.0).astype(float), "separates": (ratio >= np.log(STRONG)).astype(float),
              "bits": gained}
    found = {key: float(weight @ values) for key, values in judged.items()}
    error = {key: float(np.sqrt((weight**2) @ (values - found[key]) ** 2)) for key, values in judged.items()}
    return Separation(theories, n, (len(worlds[0]), len(worlds[1])), found["points_right"], found["separates"],
                      float(weight @ (ratio <= -np.log(STRONG))), min(max(found["bits"], 0.0), 1.0), error)


def _held_out(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Log likelihood ratio of each trial of a world for it against the other, from the trials of the other half."""
    found = np.empty(len(own))
    for half in (0, 1):
        a, b = own[1 - half::2], other[1 - half::2]
        inverse = np.linalg.inv(_spread(np.vstack([a - a.mean(axis=0), b - b.mean(axis=0)])))
        judged = own[half::2]
        towards = (a.mean(axis=0) - b.mean(axis=0)) @ inverse
        found[half::2] = (judged - 0.5 * (a.mean(axis=0) + b.mean(axis=0))) @ towards
    return found


def _spread(residuals: np.ndarray) -> np.ndarray:
    """Covariance, drawn towards its diagonal the more results there are for each trial."""
    trials, results = residuals.shape
    whole = residuals.T @ residuals / (trials - 2)
    drawn = results / (results + trials)
    found: np.ndarray = (1.0 - drawn) * whole + drawn * np.diag(np.diag(whole))
    return found
