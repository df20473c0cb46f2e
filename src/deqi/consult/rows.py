"""Rows of forecasts, as the interface has them, as one pandas frame and one xarray dataset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..results import attributes, described
from .assessment import RANGES
from .forecast import QUANTILES

if TYPE_CHECKING:
    import pandas
    import xarray

CHANCES = ("p_improved_30pct", "p_mic")
SCORES = ("mean", "sd", *(f"q{q}" for q in QUANTILES))
UNITS = {"week": "weeks from now", **dict.fromkeys(SCORES, "points of the outcome, see unit"),
         **dict.fromkeys(CHANCES, "probability 0-1")}


def as_frame(rows: Iterable[Mapping[str, Any]], made: Mapping[str, Any], keys: Sequence[str] = ("outcome", "week")
             ) -> pandas.DataFrame:
    """One line for each forecast; no lines where there is no forecast.

    Arguments:
        rows: `week, outcome, mean, sd, quantiles, p_improved_30pct, p_mic`, and what else the keys name.
        made: the provenance.
        keys: columns that tell rows apart.
    """
    import pandas

    listed = [{**row, **{f"q{q}": value for q, value in row["quantiles"].items()}, "unit": _unit(row["outcome"])}
              for row in rows]
    table = pandas.DataFrame(listed, columns=[*keys, "unit", *SCORES, *CHANCES])
    return described(table, UNITS, attributes(made))


def as_dataset(table: pandas.DataFrame, keys: Sequence[str] = ("outcome", "week")) -> xarray.Dataset:
    """The same as an array over the keys, with the quantiles on an axis of their own.

    Arguments:
        table: of `as_frame`.
        keys: its keys.
    """
    import numpy as np
    import xarray

    axes = {key: table[key].unique() for key in keys}
    values = table.set_index(list(keys)).reindex(_grid(axes))
    shape = tuple(len(axis) for axis in axes.values())

    def over(names: Sequence[str]) -> np.ndarray:
        return values[list(names)].to_numpy(float).reshape(*shape, len(names))

    unit = {name: {"units": UNITS[name]} for name in ("mean", "sd", *CHANCES)}
    found = xarray.Dataset({name: (tuple(keys), over([name])[..., 0], unit[name]) for name in unit}, coords=axes)
    found["score"] = ((*keys, "quantile"), over([f"q{q}" for q in QUANTILES]), {"units": UNITS["mean"]})
    found["week"].attrs["units"] = UNITS["week"]
    told = {key: value for key, value in table.attrs.items() if key != "units"}
    return found.assign_coords(quantile=list(QUANTILES), unit=("outcome", [_unit(o) for o in axes["outcome"]])
                               ).assign_attrs(told)


def _grid(axes: Mapping[str, Any]) -> pandas.MultiIndex:
    import pandas

    return pandas.MultiIndex.from_product(axes.values(), names=list(axes))


def _unit(outcome: str) -> str:
    low, high = RANGES[outcome]
    return f"{outcome} {low:g}-{high:g}"
