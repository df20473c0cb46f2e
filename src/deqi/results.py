"""Results as data: what all of them know of themselves as xarray, as pandas and as files."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .writing import replacing

if TYPE_CHECKING:
    import pandas
    import xarray

ENDINGS = (".nc", ".parquet", ".csv")


class Result(ABC):
    """A result that gives itself as data; xarray and pandas are imported when asked for."""

    @abstractmethod
    def dataset(self) -> xarray.Dataset:
        """The result as an xarray dataset, units and provenance in `attrs`."""

    def frame(self) -> pandas.DataFrame:
        """The result as a tidy pandas frame, units and provenance in `attrs`."""
        found = self.dataset()
        return described(found.to_dataframe().reset_index(), units(found), found.attrs)

    def save(self, path: str | Path) -> Path:
        """Write the result as NetCDF (.nc), Parquet or CSV, whole or not at all, and return the path.

        NetCDF and Parquet keep units and provenance; CSV holds the bare table.

        Raises:
            InputError: another ending, or a place that cannot be written to.
        """
        path = Path(path)
        check_kind(path)
        with replacing(path) as draft:
            if path.suffix == ".nc":
                self.dataset().to_netcdf(draft, engine="h5netcdf")
            elif path.suffix == ".parquet":
                self.frame().to_parquet(draft)
            else:
                self.frame().to_csv(draft, index=False)
        return path


def check_kind(path: Path, field: str | None = None) -> None:
    """Make sure that `Result.save` knows this kind of file.

    Arguments:
        path: of the file.
        field: where the caller was told it.

    Raises:
        InputError: another ending than .nc, .parquet or .csv.
    """
    if path.suffix not in ENDINGS:
        raise InputError("unknown kind of file", field=field, found=path.name,
                         accepted="FILE.nc, FILE.parquet or FILE.csv")


def attributes(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Provenance as attributes that every kind of file can hold: text, and JSON for all else."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in provenance.items()}


def units(found: xarray.Dataset) -> dict[str, str]:
    """Unit of each variable and coordinate that states one."""
    return {str(name): values.attrs["units"] for name, values in found.variables.items() if "units" in values.attrs}


def described(table: pandas.DataFrame, unit: Mapping[str, str], made: Mapping[str, str]) -> pandas.DataFrame:
    """Write units and provenance on a frame; Parquet keeps them.

    Arguments:
        table: the frame, written on in place.
        unit: column to unit.
        made: provenance as text.
    """
    table.attrs = {"units": dict(unit), **made}
    return table
