"""`deqi simulate`: the course of a virtual population under a plan, summed up or in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..body.system import THEORIES, equations_hash, parameters_hash
from ..care import load_plan, sentences
from ..errors import InputError
from ..evidence import evidence_hash
from ..writing import replacing
from . import posterior
from .patients import PHASES, draw, population_of
from .readout import reported_disability, reported_weeks
from .simulate import simulate

QUANTILES = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)


@dataclass(frozen=True)
class Trajectories:
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

    def dataset(self) -> Any:
        """The full result as an xarray dataset over (week, patient)."""
        import xarray

        axes = {"week": np.arange(len(self.nrs)), "patient": np.arange(self.nrs.shape[1])}
        attributes = {key: str(value) for key, value in self.provenance.items()}
        return xarray.Dataset({"nrs": (("week", "patient"), self.nrs.astype(np.float32)),
                               "disability": (("week", "patient"), self.disability.astype(np.float32))},
                              coords=axes, attrs=attributes)


def _summed(values: np.ndarray) -> dict[str, Any]:
    return {"mean": values.mean(axis=1).tolist(), "sd": values.std(axis=1).tolist(),
            "quantiles": {str(q): np.quantile(values, q, axis=1).tolist() for q in QUANTILES}}


def run(plan: str, *, patients: int, population: str, baseline: float | None, weeks: int,
        without: Sequence[str] = (), seed: int = 1) -> Trajectories:
    """Simulate a plan.

    Arguments:
        plan: a sentence, a plan file, or `nothing`.
        patients: how many virtual patients.
        population: chronic, acute or subacute.
        baseline: observed mean at enrolment, NRS; the published one if None.
        weeks: how long.
        without: theories that are absent.
        seed: of every random number.

    Raises:
        InputError: a plan, population, baseline or theory that is not accepted.
    """
    phase = next((p for p in PHASES if p == population), None)
    if phase is None:
        raise InputError("no such population", field="--population", found=population, accepted=", ".join(PHASES))
    if baseline is not None and not 1.0 <= baseline <= 9.0:
        raise InputError("out of range", field="--baseline", found=baseline, accepted="a mean from 1 to 9")
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


def save(found: Trajectories, path: Path) -> None:
    """Write the full result as NetCDF (.nc) or Parquet (.parquet), whole or not at all.

    Raises:
        InputError: another ending, or a place that cannot be written to.
    """
    check_kind(path)
    with replacing(path) as draft:
        if path.suffix == ".nc":
            found.dataset().to_netcdf(draft, engine="h5netcdf")
        else:
            found.dataset().to_dataframe().reset_index().to_parquet(draft)


def check_kind(path: Path) -> None:
    """Make sure that `save` knows this kind of file.

    Raises:
        InputError: another ending than .nc or .parquet.
    """
    if path.suffix not in (".nc", ".parquet"):
        raise InputError("unknown kind of file", field="--out", found=path.name, accepted="FILE.nc or FILE.parquet")


def lines(found: Trajectories) -> list[str]:
    """A table for the terminal."""
    rows = ["plan: " + ("; ".join(found.provenance["plan"]) or "nothing"),
            "week   NRS mean   SD   80 % of people   disability"]
    low, high = (np.quantile(found.nrs, q, axis=1) for q in (0.1, 0.9))
    for week in range(len(found.nrs)):
        rows.append(f"{week:>4}   {found.nrs[week].mean():>8.2f} {found.nrs[week].std():>4.2f}"
                    f"   {low[week]:>5.1f} to {high[week]:<4.1f}   {found.disability[week].mean():>8.1f}")
    return [*rows, f"Virtual patients; {found.provenance['calibration']}."]
