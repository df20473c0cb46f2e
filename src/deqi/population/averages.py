"""The averages of the population: what calibration is unsure about, as priors and as draws.

Each average has a place z with a standard normal prior; `value` turns places into values. The clinical trials move
the places (`deqi.calibrate`); what they leave is the posterior that ships (`posterior.nc`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..care.action import actions

LABORATORY = Path(__file__).parents[1] / "theories" / "fitted.json"
"""The joint fit of the laboratory experiments; its posterior is the prior of what both know."""


@cache
def priors() -> dict[str, Any]:
    """The table of priors, `priors.yaml`."""
    import yaml

    return yaml.load(Path(__file__).with_name("priors.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)


@dataclass(frozen=True)
class Average:
    """One average with its prior.

    Arguments:
        name: as in the table; `context.KIND` for the strength of a context.
        kind: normal, lognormal, logitnormal, offset (on the log-odds of another) or laboratory.
        centre, spread: of the prior, on the scale of its kind; of a laboratory row the place and its spread.
        unit: of the value.
        why: in a line.
        source: fact id, `assumed`, or `laboratory`.
        of: the average that an offset is added to.
        low, high, at: of a laboratory row: value = low^(1-s) high^s, s = logistic(1.6 place + logit(at)).
    """

    name: str
    kind: str
    centre: float
    spread: float
    unit: str
    why: str
    source: str
    of: str | None = None
    low: float = 0.0
    high: float = 0.0
    at: float = 0.5

    def value(self, z: Any, others: Mapping[str, Any]) -> Any:
        """The average at place z.

        Arguments:
            z: standard normal under the prior.
            others: averages that come before this one.
        """
        x = self.centre + self.spread * z
        if self.kind == "normal":
            return x
        if self.kind == "lognormal":
            return self.centre * jnp.exp(self.spread * z)
        if self.kind == "logitnormal":
            return jax.nn.sigmoid(_logit(self.centre) + self.spread * z)
        if self.kind == "offset":
            return jax.nn.sigmoid(_logit(others[str(self.of)]) + x)
        low, high = np.log(self.low), np.log(self.high)
        return jnp.exp(low + (high - low) * jax.nn.sigmoid(1.6 * x + _logit(self.at)))


def _logit(p: Any) -> Any:
    return jnp.log(p) - jnp.log1p(-p)


@cache
def averages() -> tuple[Average, ...]:
    """All averages, in the order of their places."""
    table = priors()
    known = [_average(name, row) for name, row in table["averages"].items()]
    return (*known, *_strengths(table["strengths"]))


@cache
def names() -> tuple[str, ...]:
    """Their names, in order."""
    return tuple(average.name for average in averages())


def context_kinds() -> tuple[str, ...]:
    """The kinds of context that have a strength."""
    return tuple(name.removeprefix("context.") for name in names() if name.startswith("context."))


def _average(name: str, row: Mapping[str, Any]) -> Average:
    if row["kind"] == "laboratory":
        return _from_laboratory(name, row)
    return Average(name, row["kind"], row["centre"], row["spread"], row["unit"], row["why"], row["source"])


def _from_laboratory(name: str, row: Mapping[str, Any]) -> Average:
    """The prior that the laboratory leaves: a place and its spread on the scale of `deqi.theories.fit`."""
    found = _laboratory()[row["address"]]
    low, high, prior = max(found["low"], 0.02 * found["prior"]), found["high"], found["prior"]
    at = float(np.clip(np.log(prior / low) / np.log(high / low), 0.03, 0.97))
    return Average(name, "laboratory", found["z"], found["sd"], row["unit"], row["why"], "laboratory",
                   low=low, high=high, at=at)


@cache
def _laboratory() -> dict[str, dict[str, Any]]:
    import json

    return {p["address"]: p for p in json.loads(LABORATORY.read_text(encoding="utf-8"))["parameters"]}


def _strengths(table: Mapping[str, Any]) -> list[Average]:
    """Strengths of contexts: the value of `action.yaml` with the common spread, or a row of their own."""
    rows, spread = table["rows"], table["spread"]["value"]
    given = {kind: row for kind, row in actions()["context"].items() if kind != "fades_in_days"}
    found = [Average(f"context.{kind}", "logitnormal", row["value"], spread, "1", f"strength of context: {kind}",
                     row["source"]) for kind, row in given.items() if kind not in rows]
    for kind, row in rows.items():
        of = f"context.{row['from']}" if "from" in row else None
        found.append(Average(f"context.{kind}", row["kind"], row["centre"], row["spread"], "1", row["why"],
                             row["source"], of))
    return found


def values(z: Any) -> dict[str, Any]:
    """Averages at places.

    Arguments:
        z: places, shape (averages, ...).

    Returns:
        name to value, each of the shape of one row.
    """
    found: dict[str, Any] = {}
    for place, average in zip(z, averages(), strict=True):
        found[average.name] = average.value(place, found)
    return found


def prior_draws(n: int, rng: np.random.Generator) -> Float[np.ndarray, "averages draws"]:
    """Places from the prior, stratified so that few draws cover each average evenly."""
    from scipy.special import ndtri

    return np.stack([ndtri((rng.permutation(n) + 0.5) / n) for _ in averages()])
