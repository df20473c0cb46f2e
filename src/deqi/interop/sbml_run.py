"""Runs an exported model in libRoadRunner: compiled once, one patient after another, in processes of their own.

Own processes, because two compilers of machine code in one (JAX's and libRoadRunner's) end now and then in a crash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
from jaxtyping import Float

JUST_AFTER = 1e-9
"""Days (a tenth of a millisecond) after each time at which is looked: at an event libRoadRunner still shows what was
before it."""


class Runner:
    """A model in libRoadRunner (its CVODE, stiff).

    Arguments:
        text: SBML as `deqi.interop.sbml` writes it.
        record: names of what is kept.
        backend: code generator, MCJIT or LLJIT.
        optimise: level of LLJIT: NONE, LESS, DEFAULT or AGGRESSIVE.
    """

    def __init__(self, text: str, record: Sequence[str] = ("nrs", "disability"), backend: str = "LLJIT",
                 optimise: str = "NONE"):
        import roadrunner
        from roadrunner import Config

        roadrunner.Logger.setLevel(roadrunner.Logger.LOG_CRITICAL)
        Config.setValue(Config.LLVM_BACKEND, getattr(Config, backend))
        Config.setValue(Config.LLJIT_OPTIMIZATION_LEVEL, getattr(Config, optimise))
        self.model: Any = roadrunner.RoadRunner(text)
        self.model.timeCourseSelections = list(record)
        ruled = set(self.model.getAssignmentRuleIds())
        names = list(self.model.model.getGlobalParameterIds())
        self._places = [place for place, name in enumerate(names) if name not in ruled]
        self._names = [names[place] for place in self._places]
        self._first = np.array(self.model.model.getGlobalParameterValues(self._places))

    def run(self, values: Mapping[str, float], *, days: Sequence[float] | Float[np.ndarray, "times"],
            rtol: float = 1e-7, atol: float = 1e-9) -> Float[np.ndarray, "times recorded"]:
        """Run from day 0.

        Arguments:
            values: parameters and states at day 0 of this patient (`sbml_model.values_of`); none are those of the file.
            days: when to look, increasing, the first one 0; what care does at that moment counts.
            rtol, atol: tolerances; `atol` is set for each state, because libRoadRunner multiplies a single one by the
                initial value, which is 0 for many states.
        """
        integrator = self.model.integrator
        integrator.relative_tolerance = rtol
        integrator.setValue("absolute_tolerance", [atol] * len(self.model.getRateRuleIds()))
        self.model.reset()
        self.model.model.setGlobalParameterValues(self._places, [
            values.get(name, known) for name, known in zip(self._names, self._first, strict=True)])
        return np.array(self.model.simulate(times=[0.0, *(np.asarray(days[1:], float) + JUST_AFTER)]))


class Runners:
    """A model in some processes, each with a `Runner` of its own; to be used in a `with` statement.

    Arguments:
        text: the SBML.
        processes: how many.
        how: as `Runner` takes it.
    """

    def __init__(self, text: str, processes: int = 1, **how: Any):
        self._pool = ProcessPoolExecutor(processes, get_context("spawn"), _prepare, (text, how))

    def __enter__(self) -> Runners:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def run(self, people: Sequence[Mapping[str, float]], **how: Any) -> Float[np.ndarray, "patients times recorded"]:
        """Run patients as `Runner.run` does."""
        return np.stack(list(self._pool.map(partial(_run, how=how), people)))


_runner: Runner
"""The model of this process."""


def _prepare(text: str, how: Mapping[str, Any]) -> None:
    global _runner
    _runner = Runner(text, **how)


def _run(values: Mapping[str, float], how: Mapping[str, Any]) -> np.ndarray:
    return _runner.run(values, **how)
