"""What would tell two theories apart: feasible experiments ranked by the information they are expected to give.

For a pair of theories, two rivals are the model without the one and the model without the other. Each candidate has a
predictive distribution under each rival: draws of the parameters from the fit (Laplace), plus the error of a trial
with so many people an arm. With even odds before, the expected information is the mutual information between rival
and result (Jensen-Shannon divergence), at most 1 bit. The sample size is that of a two-arm comparison which finds the
difference between the rivals' mean predictions with 80 % power at 5 %.

A rival keeps the parameters that were fitted with the removed theory present, and the model tends to large effects of
a single session: bits and sample sizes are for a ranking rather than for a protocol.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..body.system import THEORIES
from .experiment import Experiment, experiment
from .fit import free_parameters, shipped_fit
from .laboratory import measure

DRAWS = 48
PEOPLE_PER_ARM = 40
SEED = 20
FIELDS = ("says", "dial", "sd", "source")


@dataclass(frozen=True)
class Candidate:
    """A feasible experiment.

    Arguments:
        id, says, dial: its name, what is done, and which of the declared means it uses.
        experiment: the same in the bench's form (its band means nothing).
        sd: between-person standard deviation of what is read.
    """

    id: str
    says: str
    dial: str
    experiment: Experiment
    sd: float


@dataclass(frozen=True)
class Rank:
    """How well a candidate tells a pair apart.

    Arguments:
        theories: the pair.
        candidate: the experiment.
        bits: expected information with 40 people an arm, 0 to 1.
        without: mean prediction without the first and without the second theory.
        people_per_arm: for 80 % power; None where the rivals predict the same.
    """

    theories: tuple[str, str]
    candidate: Candidate
    bits: float
    without: tuple[float, float]
    people_per_arm: int | None

    def as_json(self) -> dict[str, Any]:
        """The rank as plain data."""
        return {"theories": list(self.theories), "experiment": self.candidate.id, "says": self.candidate.says,
                "dial": self.candidate.dial, "bits": round(self.bits, 3),
                "prediction_without": dict(zip(self.theories, (round(v, 3) for v in self.without), strict=True)),
                "people_per_arm": self.people_per_arm}


@cache
def candidates() -> tuple[Candidate, ...]:
    """The declared list, `candidates.yaml`."""
    import yaml

    table = yaml.load(Path(__file__).with_name("candidates.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    found = []
    for row in table:
        plain = {key: value for key, value in row.items() if key not in FIELDS}
        asked = plain | {"theory": THEORIES[0], "required": [None, 0], "source": {"cite": "a proposal"}}
        found.append(Candidate(row["id"], row["says"], row["dial"], experiment(asked), row["sd"]))
    return tuple(found)


def draws(n: int = DRAWS, seed: int = SEED) -> list[dict[str, float]]:
    """Parameter sets from the fit's posterior (Laplace); the priors where nothing has been fitted."""
    rng = np.random.default_rng(seed)
    free, held = free_parameters(), shipped_fit()
    if held:
        known = {row["address"]: i for i, row in enumerate(held["parameters"])}
        free = tuple(item for item in free if item.address in known)
        order = [known[item.address] for item in free]
        whole = np.zeros((len(known), len(known)))
        for i, row in enumerate(held["covariance"]):
            whole[i, : i + 1] = whole[: i + 1, i] = row
        centre = np.asarray([held["parameters"][i]["z"] for i in order])
        spread = whole[np.ix_(order, order)]
    else:
        centre, spread = np.zeros(len(free)), np.eye(len(free))
    size, direction = np.linalg.eigh(spread)
    root = direction * np.sqrt(np.maximum(size, 0.0))  # rounding may leave a size a little below 0
    z = centre + rng.standard_normal((n, len(centre))) @ root.T
    return [{item.address: float(item.value(row[k])) for k, item in enumerate(free)} for row in z]


def predictions(seed: int = SEED, n: int = DRAWS) -> np.ndarray:
    """Every candidate without every theory under every draw, shape (draws, candidates, theories)."""
    asked = [c.experiment for c in candidates()]
    absences = [frozenset({theory}) for theory in THEORIES]
    return np.stack([measure(asked, fitted, absences) for fitted in draws(n, seed)])


def ranking(pairs: Sequence[tuple[str, str]], found: np.ndarray | None = None) -> list[Rank]:
    """All candidates for each pair, the most telling first.

    Arguments:
        pairs: theories that tie.
        found: from `predictions`.
    """
    found = predictions() if found is None else found
    ranks = []
    for a, b in pairs:
        own = [_rank((a, b), c, found[:, i, THEORIES.index(a)], found[:, i, THEORIES.index(b)])
               for i, c in enumerate(candidates())]
        ranks += sorted(own, key=lambda rank: (-rank.bits, rank.candidate.id))
    return ranks


def _rank(pair: tuple[str, str], c: Candidate, y_a: np.ndarray, y_b: np.ndarray) -> Rank:
    keep = np.isfinite(y_a) & np.isfinite(y_b)
    y_a, y_b = y_a[keep], y_b[keep]
    if not len(y_a):
        return Rank(pair, c, 0.0, (math.nan, math.nan), None)
    error = c.sd * math.sqrt(2.0 / PEOPLE_PER_ARM)
    gap = abs(float(np.mean(y_a) - np.mean(y_b)))
    # 1.96 and 0.84: two-sided 5 %, power 80 %
    people = math.ceil(2.0 * ((1.96 + 0.84) * c.sd / gap) ** 2) if gap > 1e-6 * c.sd else None
    return Rank(pair, c, information(y_a, y_b, error), (float(np.mean(y_a)), float(np.mean(y_b))), people)


def information(y_a: np.ndarray, y_b: np.ndarray, error: float) -> float:
    """Mutual information in bits between two even rivals and a result with a normal error.

    Arguments:
        y_a, y_b: predicted results under each rival, shape (draws,).
        error: standard error of the result.
    """
    both = np.concatenate([y_a, y_b])
    width = both.max() - both.min() + 10 * error
    y = np.linspace(both.min() - 5 * error, both.max() + 5 * error, min(max(2001, int(20 * width / error)), 50_001))
    p, q = (np.mean(np.exp(-0.5 * ((y[:, None] - own) / error) ** 2), axis=1) for own in (y_a, y_b))
    p, q = p / p.sum(), q / q.sum()
    m = 0.5 * (p + q)

    def towards(r: np.ndarray) -> float:
        seen = r > 1e-300
        return float(np.sum(r[seen] * np.log2(r[seen] / m[seen])))

    return min(max(0.5 * towards(p) + 0.5 * towards(q), 0.0), 1.0)
