"""`deqi simulate`: the course of a virtual population under a plan, summed up or in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from ..body.system import THEORIES, equations_hash, parameters_hash
from ..care import Plan, load_plan, sentences
from ..errors import InputError
from ..evidence import evidence_hash
from ..results import Result, attributes
from . import posterior
from .patients import PHASES, draw, population_of
from .readout import reported_disability, reported_weeks
from .simulate import simulate

if TYPE_CHECKING:
    import xarray

MOST_PATIENTS, MOST_WEEKS = 1_000_000, 520
QUANTILES = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)


@dataclass(frozen=True)
class Trajectories(Result):
    """Reported scores of a population; row w is week w, row 0 enrolment.

    Arguments:
        nrs: week averages, NRS 0-10, shape (weeks + 1, patients).
        disability: 0-100, shape (weeks + 1, patients).
        provenance: what made them.
    """

    nrs: Float[np.ndarray, "weeks patients"]
    disability: Float[np.ndarray, "weeks patients"]
    provenance: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Means, spreads and quantiles by week."""
        summary = {"weeks": list(range(len(self.nrs))),
                   "nrs": _summed(self.nrs), "disability": _summed(self.disability)}
        return {"summary": summary, "provenance": self.provenance}

    def dataset(self) -> xarray.Dataset:
        """The full result over (week, patient): `nrs` (0-10) and `disability` (0-100)."""
        import xarray

        def scores(values: np.ndarray, unit: str, told: str) -> tuple[Any, ...]:
            return ("week", "patient"), values.astype(np.float32), {"units": unit, "long_name": told}

        return xarray.Dataset(
            {"nrs": scores(self.nrs, "NRS 0-10", "reported week average of pain"),
             "disability": scores(self.disability, "0-100", "reported disability")},
            coords={"week": ("week", np.arange(len(self.nrs)), {"units": "weeks after enrolment"}),
                    "patient": np.arange(self.nrs.shape[1])}, attrs=attributes(self.provenance))


def _summed(values: np.ndarray) -> dict[str, Any]:
    return {"mean": values.mean(axis=1).tolist(), "sd": values.std(axis=1).tolist(),
            "quantiles": {str(q): np.quantile(values, q, axis=1).tolist() for q in QUANTILES}}


def run(plan: str | Path | Plan | Sequence[Any], *, patients: int = 1000, population: str = "chronic",
        baseline: float | None = None, weeks: int = 12, without: Sequence[str] = (), seed: int = 1) -> Trajectories:
    """Simulate a plan.

    Arguments:
        plan: a sentence, a plan file, `nothing`, or a list of courses.
        patients: how many virtual patients.
        population: chronic, acute or subacute.
        baseline: observed mean at enrolment, NRS; the published one if None.
        weeks: how long.
        without: theories that are absent.
        seed: of every random number.

    Raises:
        InputError: a plan, population, baseline, number or theory that is not accepted.
    """
    phase = next((p for p in PHASES if p == population), None)
    if phase is None:
        raise InputError("no such population", field="--population", found=population, accepted=", ".join(PHASES))
    if baseline is not None and not 1.0 <= baseline <= 9.0:
        raise InputError("out of range", field="--baseline", found=baseline, accepted="a mean from 1 to 9")
    for field, asked_for, most in (("--patients", patients, MOST_PATIENTS), ("--weeks", weeks, MOST_WEEKS)):
        if not 1 <= asked_for <= most:
            raise InputError("out of range", field=field, found=asked_for, accepted=f"1 to {most:,}")
    for name in without:
        if name not in THEORIES:
            raise InputError("no such theory", field="--without", found=name, accepted=", ".join(THEORIES))
    asked = load_plan(plan)
    people = draw(population_of(phase, baseline), patients, seed, without)
    course = simulate(asked, people, weeks)
    nrs = reported_weeks(course.nrs, people, seed, course.flare_log_hazard, rounded=False)
    disability = reported_disability(course.disability, people, seed, course.nrs)
    from .. import __version__

    made = {"version": __version__, **posterior.provenance(),
            "equations": equations_hash()[:16], "laboratory": parameters_hash()[:16],
            "evidence": evidence_hash()[:16], "seed": seed,
            "plan": sentences(asked), "population": phase, "patients": patients, "without": list(without)}
    return Trajectories(np.vstack([people.person["nrs"][None], nrs]),
                        np.vstack([people.person["disability"][None], disability]), made)


def lines(found: Trajectories) -> list[str]:
    """A table for the terminal."""
    rows = ["plan: " + ("; ".join(found.provenance["plan"]) or "nothing"),
            "week   NRS mean   SD   80 % of people   disability"]
    low, high = (np.quantile(found.nrs, q, axis=1) for q in (0.1, 0.9))
    for week in range(len(found.nrs)):
        rows.append(f"{week:>4}   {found.nrs[week].mean():>8.2f} {found.nrs[week].std():>4.2f}"
                    f"   {low[week]:>5.1f} to {high[week]:<4.1f}   {found.disability[week].mean():>8.1f}")
    return [*rows, f"Virtual patients; {found.provenance['calibration']}."]
