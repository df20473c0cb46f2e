"""The scoreboard as an xarray dataset: every experiment against every theory taken away."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..body.system import THEORIES
from .readouts import readouts
from .scoreboard import ABSENCES, Row

if TYPE_CHECKING:
    import xarray

PLAIN = ("theory", "use", "kind", "readout", "statistic")
UNIT = "of the read-out (see unit), or what the statistic makes of it: minutes, %, a ratio"


def as_dataset(rows: Sequence[Row], made: Mapping[str, str]) -> xarray.Dataset:
    """Value and verdict over (experiment, without); the band and the source beside each experiment.

    Arguments:
        rows: of the scoreboard.
        made: the provenance as text.

    Returns:
        `without` is "nothing" for the whole model, a theory, two theories joined by +, or "all"; a bound that a band
        lacks is NaN, and so is a value that cannot be formed.
    """
    import xarray

    told = [[row.told(absent) for absent in ABSENCES] for row in rows]
    asked, axes = [row.experiment for row in rows], ("experiment", "without")
    beside = {name: [getattr(e, name) for e in asked] for name in PLAIN} | {
        "unit": [readouts()[e.readout].unit for e in asked],
        "low": [math.nan if e.band.low is None else e.band.low for e in asked],
        "high": [math.nan if e.band.high is None else e.band.high for e in asked],
        "citation": [e.citation() for e in asked]}
    return xarray.Dataset(
        {"value": (axes, [[value for value, _ in line] for line in told], {"units": UNIT}),
         "verdict": (axes, [[verdict for _, verdict in line] for line in told])},
        coords={"experiment": [e.id for e in asked], "without": [_label(absent) for absent in ABSENCES],
                **{name: ("experiment", values) for name, values in beside.items()}}, attrs=dict(made))


def _label(absent: frozenset[str]) -> str:
    if absent == frozenset(THEORIES):
        return "all"
    return "+".join(theory for theory in THEORIES if theory in absent) or "nothing"
