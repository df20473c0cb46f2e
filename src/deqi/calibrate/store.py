"""The posterior as a file: NetCDF with the groups that ArviZ knows, stamped with what made it."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from ..body.system import equations_hash, parameters_hash
from ..evidence import evidence_hash
from ..population import posterior
from ..population.averages import averages, names, prior_draws, values
from ..writing import replacing
from .inference import Draws
from .likelihood import Likelihood, reported

MADE_BY = ("interventions.yaml", "measures.yaml", "targets.yaml", "arms.py", "contrasts.py", "likelihood.py",
           "moments.py", "people.py", "points.py", "problem.py", "quadrature.py", "reduced.py", "responders.py",
           "response.py", "targets.py", "trial.py")
"""Files of this room that shape the likelihood."""
PEOPLE = ("priors.yaml", "averages.py", "coordinates.py", "enrolment.py", "patients.py")
"""Files of the population that shape it."""


def calibration_hash() -> str:
    """SHA-256 over the priors and all that turns trials into a likelihood."""
    here, digest = Path(__file__).parent, sha256()
    for path in (*(posterior.SHIPPED.with_name(name) for name in PEOPLE), *(here / name for name in MADE_BY)):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def current() -> dict[str, str]:
    """Hashes of what would make a posterior now."""
    return {"hash_evidence": evidence_hash(), "hash_equations": equations_hash(),
            "hash_laboratory": parameters_hash(), "hash_calibration": calibration_hash()}


def stale(path: Path = posterior.SHIPPED) -> tuple[str, ...]:
    """What has changed since a posterior was made: evidence, equations, laboratory, calibration."""
    made = posterior.stamp(path)
    return tuple(key.removeprefix("hash_") for key, value in current().items() if made.get(key) != value)


def write(path: Path, likelihood: Likelihood, draws: Draws, log_likelihood: np.ndarray, predictive: np.ndarray,
          attributes: dict[str, Any]) -> None:
    """Write a posterior, whole or not at all.

    Arguments:
        path: of the NetCDF file.
        likelihood: of the trials.
        draws: of the places.
        log_likelihood: by trial, shape (chains, draws, trials).
        predictive: statistics that simulated trials report, shape (chains, draws, statistics).
        attributes: what made it, beside the hashes.
    """
    import xarray

    problem, chains = likelihood.problem, draws.z.shape[0]
    whole = values(np.moveaxis(draws.z, -1, 0))
    prior = prior_draws(draws.z.shape[1], np.random.default_rng(0))
    trials = [trial.id for trial in problem.trials]
    statistic = [f"{problem.trials[t].id}/{o.arm}/{o.outcome}/{o.week:g}/{o.statistic}" for t, o in problem.rows]
    axes = {"chain": np.arange(chains), "draw": np.arange(draws.z.shape[1])}
    places = ("chain", "draw", "average")
    named = {"average": list(names())}
    groups = {
        "posterior": xarray.Dataset(
            {"place": (places, draws.z.astype(np.float32)),
             "value": (places, np.stack([np.asarray(whole[n]) for n in names()], axis=-1).astype(np.float32)),
             "unit": ("average", [average.unit for average in averages()])}, coords={**axes, **named}),
        "prior": xarray.Dataset({"place": (places, prior.T[None].astype(np.float32))},
                                coords={"chain": [0], "draw": axes["draw"], **named}),
        "sample_stats": xarray.Dataset({"lp": (("chain", "draw"), draws.log_density)}, coords=axes),
        "log_likelihood": xarray.Dataset({"trial": (("chain", "draw", "study"), log_likelihood.astype(np.float32))},
                                         coords={**axes, "study": trials}),
        "posterior_predictive": xarray.Dataset(
            {"reported": (("chain", "draw", "statistic"), predictive.astype(np.float32))},
            coords={**axes, "statistic": statistic}),
        "observed_data": xarray.Dataset({"reported": ("statistic", reported(problem))},
                                        coords={"statistic": statistic}),
    }
    with replacing(path) as draft:
        xarray.Dataset(attrs={key: str(value) for key, value in (attributes | current()).items()}).to_netcdf(
            draft, engine="h5netcdf", mode="w")
        for group, dataset in groups.items():
            compressed = {name: {"zlib": True, "complevel": 5} for name, v in dataset.data_vars.items()
                          if v.dtype.kind == "f"}
            dataset.to_netcdf(draft, engine="h5netcdf", mode="a", group=group, encoding=compressed)
    for remembered in (posterior.places, posterior.stamp, posterior.attributes):
        remembered.cache_clear()
