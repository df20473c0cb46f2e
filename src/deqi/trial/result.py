"""Runs a design in its worlds and holds what came of it: numbers, tables, page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..body.system import equations_hash, parameters_hash
from ..care import sentences
from ..evidence import evidence_hash
from ..population import posterior
from ..results import Result, attributes, described
from . import analyse, mixed, run, worlds
from .design import Design, load_design, parse_design
from .partitions import code_hash
from .separate import separation
from .summary import Simulated, courses, curve, estimates, flow
from .worlds import CENTRAL, POSTERIOR

if TYPE_CHECKING:
    import pandas
    import xarray

KEYS = ("contrast", "outcome", "week", "method")
UNITS = {"week": "weeks after randomisation", "n": "people randomised",
         **dict.fromkeys(("truth", "mean", "sd", "mean_se", "bias", "bias_mc_se", "truth_se"),
                         "points (pain NRS 0-10, disability 0-100); share of people for responders"),
         **dict.fromkeys(("power", "mc_se", "assurance", "assurance_mc_se", "coverage", "coverage_mc_se"),
                         "share of trials 0-1")}


@dataclass(frozen=True)
class TrialResult(Result):
    """A finished in-silico trial; `result` holds what the JSON file holds."""

    result: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return self.result

    def frame(self) -> pandas.DataFrame:
        """One line for each contrast, outcome, week and method."""
        import pandas

        rows = []
        for row in self.result["estimates"]:
            flat = {key: value for key, value in row.items() if not isinstance(value, dict | list)}
            rows.append(flat | {"coverage": row["coverage"]["value"], "coverage_mc_se": row["coverage"]["mc_se"],
                                **{f"q{q}": value for q, value in row["quantiles"].items()}})
        return described(pandas.DataFrame(rows), UNITS, attributes(self.result["provenance"]))

    def dataset(self) -> xarray.Dataset:
        """The same over (contrast, outcome, week, method)."""
        table = self.frame()
        found = table.set_index(list(KEYS)).to_xarray().assign_attrs(
            {key: value for key, value in table.attrs.items() if key != "units"})
        for name, unit in UNITS.items():
            found[name].attrs["units"] = unit
        return found

    def report(self, path: str | Path) -> Path:
        """Write the report as one HTML page and return its path."""
        from .report import write

        write(self.result, path)
        return Path(path)


def trial(design: Design | Mapping[str, Any] | str | Path, *, trials: int | None = None, seed: int | None = None,
          out: str | Path | None = None, cluster: str | None = None,
          progress: Callable[[int, int], Any] | None = None) -> TrialResult:
    """Run an in-silico trial: simulate it many times, analyse each, and say what the design would show.

    Arguments:
        design: a design, the mapping that a file would hold, or the path of a design file.
        trials: simulated trials in each world, instead of the design's.
        seed: instead of the design's.
        out: folder for everybody's scores; an interrupted run goes on from there.
        cluster: address of a Dask scheduler; in this process without one.
        progress: called with the patients simulated since the last call, and with how many there are in all.

    Raises:
        InputError: the design cannot be; nothing has run then.
    """
    asked = _changed(_read(design), trials, seed)
    named = worlds.names(asked)
    run.check(asked, out, file=str(design) if isinstance(design, str | Path) else None)
    total = len(named) * asked.trials * asked.sizes[-1]
    told = None if progress is None else (lambda done: progress(done, total))
    tallies = {world: run.simulate(asked, world, out=out, cluster=cluster, progress=told) for world in named}
    found = Simulated(asked, tallies, run.truth(asked), _mixed(asked))
    return TrialResult({
        "design": described_design(asked), "flow": flow(asked, tallies[CENTRAL]), "estimates": estimates(found),
        "power": curve(found), "curves": courses(asked, tallies[CENTRAL]), "theories": _separation(asked, found),
        "provenance": provenance(asked, found)})


def described_design(design: Design) -> dict[str, Any]:
    """The design as read, defaults filled in, with each arm's plan in words and what kind of comparator it is."""
    told = design.as_data()["trial"]
    for arm, plan, kind in zip(told["arms"], design.plans, design.comparators, strict=True):
        arm |= {"words": sentences(plan), "comparator": kind}
    return dict(told)


def provenance(design: Design, found: Simulated) -> dict[str, Any]:
    """What made a result, for its record."""
    from .. import __version__

    fitted = {world: {"fitted": sum(len(m.estimates[0].estimate) for m in models),
                      "failed": sum(m.failed for m in models)} for world, models in found.mixed.items()}
    return {"version": __version__, **posterior.provenance(), "code": code_hash()[:16],
            "equations": equations_hash()[:16],
            "laboratory": parameters_hash()[:16], "evidence": evidence_hash()[:16], "design": design.hash()[:16],
            "seed": design.seed, "trials": design.trials, "worlds": list(found.tallies),
            "patients": sum(int(tally.allocated.sum()) for tally in found.tallies.values()),
            "mixed_models": fitted or None}


def _read(design: Design | Mapping[str, Any] | str | Path) -> Design:
    if isinstance(design, Design):
        return design
    return load_design(design) if isinstance(design, str | Path) else parse_design(design)


def _changed(design: Design, trials: int | None, seed: int | None) -> Design:
    """The design with another number of trials or another seed, checked as a file would be."""
    changes = {key: value for key, value in (("trials", trials), ("seed", seed)) if value is not None}
    if not changes:
        return design
    return parse_design({"trial": design.as_data()["trial"] | changes})


def _mixed(design: Design) -> dict[str, list[mixed.Mixed]]:
    """Mixed models of the first trials at every size in both worlds, where the primary analysis is one."""
    primary = design.analysis.primary
    if primary.method != "mixed":
        return {}
    weights = [design.weights(contrast) for contrast in design.contrasts]
    found = {}
    for world in (CENTRAL, POSTERIOR):
        records = run.records(design, world, range(min(design.trials, design.analysis.mixed_trials)))
        own = records[records["outcome"] == primary.outcome]
        found[world] = [mixed.fit(own[own["patient"] < n], design.arm_ids, sorted(design.visits), primary.week,
                                  weights, design.analysis.level) for n in design.sizes]
    return found


def _separation(design: Design, found: Simulated) -> dict[str, Any] | None:
    """Whether the trial tells the two theories of the design apart; None where none are named."""
    if not design.theories:
        return None
    first, second = design.theories
    against_first = np.eye(len(design.arms))[1:] - np.eye(len(design.arms))[0]
    reported = [np.column_stack([
        analyse.ancova(found.tallies[f"without:{theory}"].by_size[:, -1, :, cell], weights).estimate
        for weights in against_first for cell in range(len(design.cells()))]) for theory in (first, second)]
    judged = separation((first, second), design.sizes[-1], *reported)
    return None if judged is None else judged.as_json()
