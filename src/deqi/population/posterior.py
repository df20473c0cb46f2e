"""The calibrated averages that ship with deqi, and draws of them for a population."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..body.system import equations_hash, parameters_hash
from ..errors import DeqiError
from ..evidence import evidence_hash
from .averages import names, prior_draws, values

SHIPPED = Path(__file__).with_name("posterior.nc")
"""What the trials left of the priors; `deqi calibrate` writes it."""


@cache
def places(path: Path = SHIPPED) -> Float[np.ndarray, "averages draws"] | None:
    """Places of the posterior draws, equally weighted; None before calibration."""
    if not path.exists():
        return None
    import h5py

    with h5py.File(path) as file:
        stored = [name.decode() if isinstance(name, bytes) else str(name) for name in file["posterior/average"][()]]
        if tuple(stored) != names():
            return None
        drawn = np.asarray(file["posterior/place"][()], dtype=float)
    return drawn.reshape(-1, drawn.shape[-1]).T


@cache
def stamp(path: Path = SHIPPED) -> dict[str, str]:
    """Hashes of what made the posterior; empty before calibration."""
    if not path.exists():
        return {}
    import h5py

    with h5py.File(path) as file:
        return {key: str(value) for key, value in file.attrs.items() if key.startswith("hash_")}


@cache
def attributes(path: Path = SHIPPED) -> dict[str, str]:
    """What else is written on the posterior: version, seed, numbers of studies and statistics."""
    import h5py

    with h5py.File(path) as file:
        return {key: str(value) for key, value in file.attrs.items() if not key.startswith(("hash_", "_"))}


def inference_data() -> Any:
    """The posterior that ships as ArviZ `InferenceData`: groups posterior, prior, sample_stats, log_likelihood,
    posterior_predictive and observed_data.

    In `posterior`, `value` holds the averages on their natural scale and `place` the same as standard normal places of
    the prior, both over (chain, draw, average); `unit` stands beside each average.

    Raises:
        DeqiError: ArviZ is not installed.
    """
    try:
        import arviz
    except ImportError:
        raise DeqiError("ArviZ is not installed, and deqi works without it; `pip install 'arviz<1'`, or open "
                        f"{SHIPPED} with xarray.open_datatree") from None
    found = arviz.from_netcdf(SHIPPED).load()
    found.posterior = found.posterior.set_coords("unit")
    return found


UNCALIBRATED = "not yet calibrated"


def status() -> str:
    """What the averages rest on, in a few words."""
    if places() is None:
        return UNCALIBRATED
    made = attributes()
    return f"averages fitted to {made['trials']} studies ({made['statistics']} published numbers)"


def stale() -> tuple[str, ...]:
    """What has changed since the posterior was made: evidence, equations, laboratory; empty before calibration.

    `deqi.calibrate.store.stale` looks at the room of calibration too.
    """
    made = stamp()
    now = {"evidence": evidence_hash(), "equations": equations_hash(), "laboratory": parameters_hash()}
    return tuple(name for name, value in now.items() if made and made.get(f"hash_{name}") != value)


def provenance() -> dict[str, Any]:
    """Which posterior made a result, for its record."""
    made = {key.removeprefix("hash_"): value[:16] for key, value in stamp().items()}
    return {"posterior": (made | {"stale": list(stale())}) if made else None, "calibration": status()}


def draws_of_averages(n: int, seed: int, calibrated: bool = True) -> dict[str, np.ndarray]:
    """Draws of the averages for one population, with how its clinic differs from others.

    Arguments:
        n: number of draws.
        seed: of the random generator.
        calibrated: from the posterior if there is one; otherwise from the prior.

    Returns:
        name to value, each of shape (n,); `trial_bad_week` (log-odds), `trial_context` and `trial_rate` (factors) say
        how this population's setting differs from the average one.
    """
    rng = np.random.default_rng([seed, 7])
    found = places() if calibrated else None
    if found is None:
        z: Any = prior_draws(n, rng)
    else:
        order = np.linspace(0, found.shape[1] - 1, n).round().astype(int) if n <= found.shape[1] else \
            rng.integers(found.shape[1], size=n)
        z = found[:, rng.permutation(order)]
    drawn = {name: np.asarray(value, dtype=float) for name, value in values(z).items()}
    return drawn | setting(drawn, prior_normal(n, rng))


def prior_normal(n: int, rng: np.random.Generator) -> Float[np.ndarray, "3 draws"]:
    """Stratified standard normal numbers for how a setting differs."""
    from scipy.special import ndtri

    return np.stack([ndtri((rng.permutation(n) + 0.5) / n) for _ in range(3)])


def setting(drawn: Mapping[str, np.ndarray], z: np.ndarray) -> dict[str, np.ndarray]:
    """How the setting of each population differs from the average one; see `draws_of_averages`.

    Arguments:
        drawn: averages, each of shape (draws,).
        z: standard normal numbers, shape (3, draws).
    """
    return {"trial_bad_week": drawn["trial_bad_week_sd"] * z[0],
            "trial_context": np.exp(drawn["trial_context_sd"] * z[1]),
            "trial_rate": np.exp(drawn["trial_rate_sd"] * z[2])}
