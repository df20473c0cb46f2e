"""`deqi calibrate`: from the evidence to the posterior that ships, and to what is known about its predictions.

    studies -> full model once per arm -> likelihood -> Laplace -> chains -> leave-one-out -> posterior, validation

Every long part leaves its result in the work folder; a run that was interrupted takes it up again if nothing that
makes the likelihood has changed.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..population import posterior
from ..population.averages import names
from . import store, targets, validate
from .held_out import predictive_moments, student
from .inference import Draws, diagnostics, laplace, remembered, sample
from .likelihood import Likelihood
from .problem import Problem, build
from .trial import Trial

METHOD = ("Full model run once per arm, closed-form reduction between arms and averages, quadrature over patients, "
          "effects of trials and arms integrated out to first order; Metropolis-Hastings chains around a map by "
          "adapted importance sampling from the Laplace approximation")


@dataclass(frozen=True)
class Size:
    """How much is done.

    Arguments:
        studies: ids of the studies; None for all.
        patients: of the quadrature set, a power of two.
        chains, warmup, draws: of the sampler, in steps.
        again: most trials that are left out by sampling anew.
    """

    studies: tuple[str, ...] | None
    patients: int
    chains: int
    warmup: int
    draws: int
    again: int


WHOLE = Size(None, 64, 8, 1000, 16000, 10)
QUICK = Size(("haake2007", "brinkhaus2006", "saper2017", "wallwork_persistent", "wallwork_acute", "exercise_pain"),
             32, 4, 500, 2000, 0)


@dataclass(frozen=True)
class Calibration:
    """What a calibration leaves.

    Arguments:
        likelihood: of its studies.
        draws: from the posterior.
        made: size, seed, time and memory.
    """

    likelihood: Likelihood
    draws: Draws
    made: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Posterior and diagnostics, as the interface has them."""
        return {"posterior": validate.averages_table(self.draws), "diagnostics": diagnostics(self.draws, names()),
                "provenance": self.made | store.current()}


def calibrate(size: Size = WHOLE, seed: int = 1, work: Path | None = None,
              told: Callable[[str, float], Any] = lambda *_: None) -> Calibration:
    """Fit the averages to the studies.

    Arguments:
        size: how much is done.
        seed: of every random number.
        work: folder for what an interrupted run takes up again.
        told: called with what is being done and the share that is done, 0-1.
    """
    before, start = 0.0, time.monotonic()
    chosen = [t for t in targets.fitted() if size.studies is None or t.id in size.studies]
    place = None if work is None else _folder(work, size, seed, chosen)
    clock = None if place is None else place / "seconds"
    if clock is not None and clock.exists():
        before = float(clock.read_text())

    def spent() -> float:
        seconds = before + time.monotonic() - start
        if clock is not None:
            clock.write_text(f"{seconds:.0f}")
        return seconds

    with jax.enable_x64(True):
        problem = _problem(chosen, size, place, told)
        likelihood = Likelihood.of(problem)
        told("finding the mode", 0.1)
        found = remembered(place, "mode", lambda: laplace(likelihood))

        def ahead(share: float) -> None:
            spent()
            told("sampling", 0.15 + 0.85 * share)

        draws = sample(likelihood, found, chains=size.chains, warmup=size.warmup, draws=size.draws, seed=seed,
                       work=place, progress=ahead)
    from .. import __version__

    made = {"version": __version__, "seed": seed, "chains": size.chains, "draws": size.draws, "warmup": size.warmup,
            "patients": size.patients, "trials": len(chosen), "statistics": problem.size, "method": METHOD,
            "minutes": spent() / 60.0,
            "peak_memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}
    return Calibration(likelihood, draws, made)


def ship(found: Calibration, folder: Path | None = None, *, size: Size = WHOLE, seed: int = 1,
         told: Callable[[str, float], Any] = lambda *_: None) -> dict[str, Any]:
    """Validate a calibration and write posterior and validation, in the package or in a folder.

    Returns:
        the validation.
    """
    with jax.enable_x64(True):
        known = validate.validate(found.likelihood, found.draws, found.made, seed=seed, again=size.again,
                                  told=lambda what: told(what, 0.0))
        log_likelihood, predictive = _with_each_draw(found, seed)
    nc = posterior.SHIPPED if folder is None else folder / posterior.SHIPPED.name
    store.write(nc, found.likelihood, found.draws, log_likelihood, predictive, found.made)
    validate.write(known, validate.VALIDATION if folder is None else folder / validate.VALIDATION.name)
    return known


def _with_each_draw(found: Calibration, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Log likelihood by trial, and simulated statistics, of each draw."""
    likelihood, z = found.likelihood, found.draws.flat
    shape = found.draws.z.shape[:2]
    by_trial = np.stack([np.asarray(likelihood.by_trial(place)) for place in z])
    m, V = predictive_moments(likelihood, z)
    rng, b = np.random.default_rng([seed, 51]), likelihood.blocks
    drawn = np.full((len(z), likelihood.problem.size), np.nan)
    for t in range(by_trial.shape[1]):
        here = np.flatnonzero(np.asarray(b.mask[t]) > 0.0)
        sd = np.sqrt(np.maximum(V[:, t][:, here, here], 0.0))
        drawn[:, np.asarray(b.index[t])[here]] = m[:, t, here] + sd * student(rng, len(z))[:, None]
    return by_trial.reshape(*shape, -1), drawn.reshape(*shape, -1)


def _problem(chosen: Sequence[Trial], size: Size, place: Path | None, told: Callable[[str, float], Any]) -> Problem:
    return remembered(place, "problem", lambda: build(
        chosen, size.patients, progress=lambda k: told("running the full model for each arm",
                                                       0.1 * (k + 1) / len(chosen))))


def _folder(work: Path, size: Size, seed: int, chosen: Sequence[Trial]) -> Path:
    """A folder of its own for everything that shapes the result."""
    key = repr((size, seed, [t.id for t in chosen], sorted(store.current().items())))
    folder = work / sha256(key.encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    return folder
