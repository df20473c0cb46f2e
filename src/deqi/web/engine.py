"""What the web asks of the model: forecasts in processes of their own, so that no page waits for another's work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .lanes import Busy, Failed, Lane

__all__ = ["Busy", "Engine", "Failed", "Pending"]

WEEKS = (1, 2, 4, 8, 12)
SLACK = {"explain": 1.0, "forecast": 2.0, "review": 2.0}
"""Seconds by which what nobody holds a slider for may come later."""

Given = Mapping[str, Any]
"""What would stand in a patient file: one key, `patient`."""


@dataclass(frozen=True)
class Pending:
    """A consultation that is being made."""

    answer: Future[Any]

    @property
    def done(self) -> bool:
        """Whether `result` returns, or raises, at once."""
        return self.answer.done()

    def result(self) -> dict[str, Any]:
        """The consultation as `deqi consult --json` has it; waits for it. Raises what `Engine.consult` raises."""
        found: dict[str, Any] = self.answer.result()
        return found


class Engine:
    """Forecasts for the web, from any thread; arguments and results are plain data.

    Two processes: one for what a person waits for with a hand on a slider, and one, which gives way to it, for whole
    consultations, and for whatever may wait a moment while nobody wants one. Every method raises `InputError` for what
    is not accepted, `Busy` (with `seconds`) when too much is asked at once, and `Failed` when a job takes too long or
    its process ends twice.

    Arguments:
        cache: folder of compiled functions; made if it is not there.
    """

    def __init__(self, cache: Path):
        self._quick = Lane("quick", cache, places=64, seconds=60.0, patience=90.0, slack=SLACK)
        self._long = Lane("long", cache, places=8, seconds=300.0, patience=900.0, niceness=10, after=self._quick)
        self._quick.compiler = self._long

    def start(self) -> None:
        """Start both processes and warm them in the background."""
        self._quick.start()
        self._long.start()

    @property
    def ready(self) -> bool:
        """Whether a forecast would be made without waiting for the model to get warm."""
        return self._quick.ready

    def close(self) -> None:
        """End both processes."""
        self._quick.close()
        self._long.close()

    def options(self, patient: Given, plan: Sequence[str] | None = None) -> dict[str, Any]:
        """The options side by side.

        Arguments:
            patient: as in a patient file.
            plan: sentences of one more option, `yours`.

        Returns:
            `options` as in a consultation (none where no forecast is made), `reasons` why there are none, `review`
            (rules of `yours`), `screening`, `applicability`, `limits`, `conditioning`.
        """
        return self._ask("options", patient=patient, plan=None if plan is None else list(plan))

    def get_ready(self, patient: Given, plan: Sequence[str]) -> None:
        """Have `options` and `plan_option` made before they are asked for, in an idle moment; waits for nothing."""
        self._quick.prepare("get_ready", patient=patient, plan=list(plan))

    def plan_option(self, patient: Given, plan: Sequence[str]) -> dict[str, Any]:
        """One plan, for a slider that moves.

        Arguments:
            patient: as in a patient file.
            plan: sentences; none for no further treatment.

        Returns:
            `option` (`yours`, or None where no forecast is made), `nothing` (the same for no further treatment, to
            hold it against), `review` (rules of the plan), `reasons`, `provenance` of the forecast.
        """
        return self._ask("plan_option", patient=patient, plan=list(plan))

    def forecast(self, patient: Given, plan: str | Sequence[str], weeks: Sequence[int] = WEEKS, seed: int = 1,
                 draws: int | None = None) -> dict[str, Any]:
        """As `deqi forecast --json`; fewer or more particles than there if `draws` says so."""
        return self._ask("forecast", patient=patient, plan=_plain(plan), weeks=list(weeks), seed=seed, draws=draws)

    def simulate(self, plan: str | Sequence[str], *, patients: int = 1000, population: str = "chronic",
                 baseline: float | None = None, weeks: int = 12, without: Sequence[str] = (), seed: int = 1
                 ) -> dict[str, Any]:
        """As `deqi simulate --json`, of at most 10,000 patients, 104 weeks and 240,000 patient-weeks; takes seconds."""
        found: dict[str, Any] = self._long.ask(
            "simulate", plan=_plain(plan), patients=patients, population=population, baseline=baseline, weeks=weeks,
            without=list(without), seed=seed)
        return found

    def review(self, patient: Given) -> dict[str, Any] | None:
        """What the scores since care began say of going on with it; None where no care runs or no forecast is made."""
        found: dict[str, Any] | None = self._ask("review", patient=patient)
        return found

    def explain(self, **choices: Any) -> dict[str, Any]:
        """One session in a body of the model, theory by theory; see `explain.explain`."""
        return self._ask("explain", **choices)

    def consult(self, patient: Given, seed: int = 1) -> dict[str, Any]:
        """As `deqi consult --json`; takes many seconds."""
        return dict(self._long.ask("consult", patient=patient, seed=seed))

    def submit_consult(self, patient: Given, seed: int = 1) -> Pending:
        """Begin a consultation without waiting for it."""
        return Pending(self._long.submit("consult", patient=patient, seed=seed))

    def forget(self) -> None:
        """Let both processes drop what they keep of patients, before their next job; waits for nothing."""
        self._quick.forget()
        self._long.forget()

    def _ask(self, job: str, **arguments: Any) -> Any:
        aside = self._long.submit_if_idle(job, **arguments) if job in SLACK else None
        return self._quick.ask(job, **arguments) if aside is None else self._long.wait(aside, self._quick.patience)


def _plain(plan: str | Sequence[str]) -> str | list[str]:
    return plan if isinstance(plan, str) else list(plan)
