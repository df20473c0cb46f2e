"""Where each virtual patient stands among others: one uniform number for everything in which people differ.

Random numbers make a population; a Sobol sequence makes a quadrature set, on which averages need far fewer patients.
Everything about a patient follows from these numbers and from the averages of the population.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import gammainccinv, gammaincinv, ndtri

NAMES = (
    "score", "spell", "level", "healing", "floor", "context_plateau", "context_rate", "duration", "day", "disability",
    "spell_sd", "day_sd", "flares", "tissue", "ischaemia", "muscle", "irritant", "carry_over", "consolidation",
    "endplate", "vagal", "relief", "opioid", "flow", "fat", "blunting", "fear", "questionnaire",
)
"""What people differ in, the most telling first: the first dimensions of a Sobol sequence are the most even."""


@dataclass(frozen=True)
class Coordinates:
    """Places of patients among others.

    Arguments:
        uniform: of each name, shape (names, patients), strictly between 0 and 1.
    """

    uniform: Float[np.ndarray, "names patients"]

    @classmethod
    def random(cls, n: int, seed: int) -> Coordinates:
        """`n` people taken at random."""
        return cls(np.clip(np.random.default_rng(seed).uniform(size=(len(NAMES), n)), 1e-12, 1.0 - 1e-12))

    @classmethod
    def quasi(cls, n: int, seed: int = 0) -> Coordinates:
        """`n` people spread evenly (scrambled Sobol sequence; `n` a power of two)."""
        from scipy.stats import qmc

        drawn = qmc.Sobol(len(NAMES), seed=seed).random(n).T
        return cls(np.clip(drawn, 1e-9, 1.0 - 1e-9))

    @property
    def size(self) -> int:
        """Number of patients."""
        return self.uniform.shape[1]

    def place(self, name: str) -> np.ndarray:
        """Uniform numbers of one name, shape (patients,)."""
        return self.uniform[NAMES.index(name)]

    def normal(self, name: str) -> np.ndarray:
        """The same as standard normal numbers."""
        return ndtri(self.place(name))

    def exponential(self, name: str) -> np.ndarray:
        """The same as exponential numbers of mean 1."""
        return -np.log1p(-self.place(name))

    def gamma(self, name: str, shape: float | np.ndarray) -> np.ndarray:
        """The same as gamma numbers of scale 1."""
        u = self.place(name)
        return np.where(u < 0.5, gammaincinv(shape, u), gammainccinv(shape, 1.0 - u))

    def factor(self, name: str, sigma: float) -> np.ndarray:
        """The same as log-normal factors of mean 1."""
        return np.exp(sigma * self.normal(name) - 0.5 * sigma**2)
