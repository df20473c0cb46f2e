"""The joint fit of all `calibrate` experiments: one parameter set for every body, within the priors of the dossiers.

    python -m deqi.theories.fit            # sets out from its checkpoint or the shipped fit; writes fitted.json
    python -m deqi.theories.fit --confirm  # renews its stamp after a change that none of its experiments can feel

Least squares on the scale of the priors. A residual is the distance from the middle of the band in units of which 1.96
is its half-width, or from somewhat inside a one-sided bound; large ones count less (Cauchy's loss), so that papers
that contradict each other do not pull the rest along. Each free parameter adds its own distance from its prior. The
gradient is exact (forward mode through the solver). What fits is the most probable set; the curvature there gives its
spread (Laplace).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..body.system import LABORATORY, THEORIES, equations_hash
from ..body.theory import Parameter
from ..writing import write_text
from .bands import Band
from .bodies import bodies, parameter_at, reference
from .experiment import Experiment, shipped
from .laboratory import prepare, values

FITTED = Path(__file__).with_name("fitted.json")
CHECKPOINT = Path("fit_checkpoint.json")
SOFT = 2.0
"""Residual from which on the loss grows with the logarithm: about the edge of the band."""
UNFORMED = 6.0
"""Residual of a statistic that could not be formed."""
TANGENTS = 24
"""Parameters per pass of the gradient."""
WHOLE = frozenset[str]()
HELD = frozenset({"inflammation.activity_ref"})
"""Not free although it has a range: the unit in which others are measured."""


@dataclass(frozen=True)
class Free:
    """A parameter that the fit may move within the range of its prior.

    Its place z has a standard normal prior: value = low^(1-s) high^s with s = logistic(1.6 z + logit(s_0)), where s_0
    is where the prior's own value stands. So z = 0 is the prior's value and +/- 1.96 lies near the ends of its range.

    Arguments:
        address: `room.parameter` or `body:room.parameter`.
        prior: the parameter with its range.
    """

    address: str
    prior: Parameter

    def value(self, z: Any) -> Any:
        """The parameter at a place."""
        q = self.prior
        low, high = np.log(max(q.low, 0.02 * q.value)), np.log(q.high)
        at = float(np.clip((np.log(q.value) - low) / (high - low), 0.03, 0.97))
        return jnp.exp(low + (high - low) * jax.nn.sigmoid(1.6 * z + np.log(at / (1.0 - at))))


def free_parameters() -> tuple[Free, ...]:
    """Every parameter of the theories and of the read-out that has a range, and every own one of a body."""
    shared = [key for key in reference() if key.split(".")[0] in (*THEORIES, "pain") and key not in HELD]
    own = [f"{name}:{key}" for name, body in bodies().items() for key in body.values if body.owner[key] == name]
    places = [(place, parameter_at(place)) for place in (*shared, *own)]
    return tuple(Free(place, q) for place, q in places if q.high > q.low and q.value > 0.0)


def residual(value: Any, band: Band) -> Any:
    """Distance of a value from its band, 1.96 at the edge.

    From the middle of a two-sided band; from as far inside a one-sided bound as its near one lies outside.
    """
    if band.low is not None and band.high is not None:
        half = max(0.5 * (band.high - band.low), 1e-9)
        return 1.96 * (value - 0.5 * (band.low + band.high)) / half
    for edge, near, side in ((band.low, band.near_low, -1.0), (band.high, band.near_high, 1.0)):
        if edge is not None and near is not None:
            return 1.96 * jnp.maximum(side * (value - edge) / max(abs(near - edge), 0.05) + 1.0, 0.0)
    raise AssertionError("a band has a bound")


def softened(r: Any) -> Any:
    """The residual whose square is Cauchy's loss of `r`."""
    return jnp.sign(r) * SOFT * jnp.sqrt(jnp.log1p(jnp.square(r / SOFT)) + 1e-18)


class Loss:
    """Residuals of the calibrating experiments and of the priors, with their gradient.

    Only experiments marked `calibrate` are read; the others are dropped before anything is looked at.
    """

    def __init__(self, experiments: Iterable[Experiment]):
        self.experiments = tuple(e for e in experiments if e.use == "calibrate")
        self.free = free_parameters()
        with jax.enable_x64(True):
            self._made = prepare(self.experiments, [WHOLE])
            self._run = jax.jit(self._data)
            self._push = jax.jit(lambda z, basis: jax.vmap(lambda t: jax.jvp(self._data, (z,), (t,))[1])(basis))

    def fitted(self, z: Any) -> dict[str, Any]:
        """Address to value."""
        return {item.address: item.value(z[i]) for i, item in enumerate(self.free)}

    def _data(self, z: Any) -> Any:
        found = values(self.experiments, self._made, self.fitted(z), [WHOLE])[:, 0]
        rows = [residual(found[i], e.band) for i, e in enumerate(self.experiments)]
        return softened(jnp.where(jnp.isfinite(found), jnp.stack(rows), UNFORMED))

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Residuals of data, then of priors."""
        with jax.enable_x64(True):
            return np.concatenate([np.asarray(self._run(jnp.asarray(z))), z])

    def gradient(self, z: np.ndarray) -> np.ndarray:
        """Derivatives of all residuals, shape (residuals, parameters)."""
        n = len(z)
        with jax.enable_x64(True):
            columns = []
            for start in range(0, n, TANGENTS):
                basis = np.zeros((TANGENTS, n))
                for k in range(min(TANGENTS, n - start)):
                    basis[k, start + k] = 1.0
                columns.append(np.asarray(self._push(jnp.asarray(z), jnp.asarray(basis)))[: n - start])
        found = np.nan_to_num(np.concatenate(columns).T, nan=0.0, posinf=0.0, neginf=0.0)
        return np.concatenate([found, np.eye(n)])


def fit(experiments: Sequence[Experiment], *, checkpoint: Path | None = None, most: int = 30,
        tell: Any = lambda words: None) -> dict[str, Any]:
    """Fit and describe the result as data.

    Arguments:
        experiments: all experiments; those marked `calibrate` are used.
        checkpoint: file that holds the best set so far; read if it is there and of the same problem.
        most: most evaluations.
        tell: called with a line of progress.

    Returns:
        what `fitted.json` holds.
    """
    from scipy.optimize import least_squares

    loss = Loss(experiments)
    stamp = stamp_of(loss.experiments)
    start = np.asarray([fitted_places().get(item.address, 0.0) for item in loss.free])
    if checkpoint is not None and checkpoint.exists():
        held = json.loads(checkpoint.read_text())
        if held["stamp"] == stamp:
            start = np.asarray(held["z"])
            tell(f"going on from {checkpoint.name}")
    best = [np.inf]
    begun = time.monotonic()

    def measured(z: np.ndarray) -> np.ndarray:
        r = loss(z)
        cost = 0.5 * float(r @ r)
        tell(f"{time.monotonic() - begun:6.0f} s   loss {cost:9.2f}   best {min(cost, best[0]):9.2f}")
        if cost < best[0]:
            best[0] = cost
            if checkpoint is not None:
                write_text(checkpoint, json.dumps({"stamp": stamp, "z": list(z)}))
        return r

    found = least_squares(measured, start, loss.gradient, method="trf", max_nfev=most, xtol=1e-4, ftol=1e-4, gtol=1e-6)
    z, jacobian = found.x, found.jac
    covariance = np.linalg.inv(jacobian.T @ jacobian)
    rows = [{"address": item.address, "prior": item.prior.value, "low": item.prior.low, "high": item.prior.high,
             "value": float(f"{float(item.value(z[i])):.6g}"), "z": round(float(z[i]), 4),
             "sd": round(float(np.sqrt(covariance[i, i])), 4)} for i, item in enumerate(loss.free)]
    return {"stamp": stamp, "loss": {"start": float(0.5 * np.sum(loss(np.zeros(len(z)))**2)),
                                     "end": float(found.cost), "experiments": len(loss.experiments)},
            "parameters": rows, "covariance": [[float(f"{v:.4g}") for v in row[: k + 1]]
                                               for k, row in enumerate(covariance)]}


def stamp_of(calibrating: Sequence[Experiment]) -> dict[str, str]:
    """What a fit was made from: the equations, and the calibrating experiments with their bodies and bands."""
    told = repr([(e.id, [(arm.key, sorted(arm.body.values.items(), key=lambda kv: kv[0]), arm.body.pain,
                          repr(arm.body.needling)) for arm in e.arms], e.readout, e.statistic, e.question,
                  e.compare_question, e.band) for e in calibrating])
    return {"equations": equations_hash(), "experiments": sha256(told.encode()).hexdigest(), "bench": bench_hash()}


@cache
def bench_hash() -> str:
    """SHA-256 over what turns care into numbers: the tables of actions and stimuli, the grid, read-outs, statistics."""
    here, package = Path(__file__).parent, Path(__file__).parents[1]
    digest = sha256()
    for path in (package / "care" / "action.py", package / "care" / "action.yaml", package / "care" / "timeline.py",
                 package / "solve" / "grid.py", package / "solve" / "exponential.py", here / "stimuli.yaml",
                 here / "stimulus.py", here / "readouts.py", here / "statistics.py", here / "laboratory.py"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def shipped_fit() -> dict[str, Any]:
    """The fit that comes with deqi, `fitted.json`; empty if there is none."""
    return json.loads(FITTED.read_text(encoding="utf-8")) if FITTED.exists() else {}


def fitted_values() -> Mapping[str, float]:
    """Address to value of the shipped fit."""
    return {row["address"]: row["value"] for row in shipped_fit().get("parameters", ())}


def fitted_places() -> Mapping[str, float]:
    """Address to place on the prior's scale in the shipped fit, from which a new fit sets out."""
    return {row["address"]: row["z"] for row in shipped_fit().get("parameters", ())}


def stale() -> bool:
    """Whether the shipped fit was made from other equations or experiments than those that stand here."""
    held = shipped_fit().get("stamp")
    return held != stamp_of([e for e in shipped() if e.use == "calibrate"])


def write(result: Mapping[str, Any], path: Path = FITTED) -> None:
    """Write the fit, one parameter a line; and the shared parameters once more where the body reads them."""
    shared: dict[str, dict[str, float]] = {}
    for row in result["parameters"]:
        if ":" not in row["address"]:
            room, name = row["address"].split(".")
            shared.setdefault(room, {})[name] = row["value"]
    rooms = ",\n".join(f' {json.dumps(room)}: {json.dumps(values)}' for room, values in shared.items())
    write_text(LABORATORY, "{\n" + rooms + "\n}\n")

    parts = {key: json.dumps(value) for key, value in result.items() if key not in ("parameters", "covariance")}
    parts |= {key: "[\n  " + ",\n  ".join(json.dumps(row) for row in result[key]) + "]"
              for key in ("parameters", "covariance")}
    write_text(path, "{" + ",\n ".join(f'"{key}": {text}' for key, text in parts.items()) + "}\n")


def confirm() -> bool:
    """Renew the stamp of the shipped fit if its experiments give the loss that they gave then, to nine digits.

    Looked at where the fit set out and where it ended; the end is known as well as its rounded places tell.
    """
    held = shipped_fit()
    loss = Loss(shipped())
    ends = (np.zeros(len(loss.free)), np.asarray([fitted_places()[item.address] for item in loss.free]))
    start, end = (float(0.5 * np.sum(loss(z) ** 2)) for z in ends)
    same = bool(np.isclose(start, held["loss"]["start"], rtol=1e-9) and np.isclose(end, held["loss"]["end"], rtol=1e-4))
    if same:
        write({**held, "stamp": stamp_of(loss.experiments)})
    print(f"loss {start!r} to {end!r}; shipped {held['loss']['start']!r} to {held['loss']['end']!r}: "
          + ("the same, stamp renewed" if same else "not the same, a new fit is needed"))
    return same


def main() -> None:
    """Fit, with progress, and write `fitted.json`; or confirm that it still holds."""
    if "--confirm" in sys.argv[1:]:
        sys.exit(0 if confirm() else 1)
    result = fit(shipped(), checkpoint=CHECKPOINT, tell=lambda words: print(words, flush=True))
    write(result)
    CHECKPOINT.unlink(missing_ok=True)
    print(f"{len(result['parameters'])} parameters, loss {result['loss']['start']:.1f} to {result['loss']['end']:.1f}")


if __name__ == "__main__":
    main()
