"""The command line in this process: its exit status and what it printed."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from deqi import cli

EXAMPLES = Path(__file__).parents[1] / "examples"


@dataclass(frozen=True)
class Ran:
    """One run of `deqi`."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be JSON and nothing else."""
        return json.loads(self.out)


def deqi(*arguments: object) -> Ran:
    """Run `deqi` with these arguments; any error but those it means to make goes through."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    with (contextlib.redirect_stdout(out), contextlib.redirect_stderr(err),
          mock.patch.object(sys, "argv", ["deqi", *map(str, arguments)])):
        try:
            cli.main()
        except SystemExit as leaving:
            status = leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 1
    return Ran(status, out.getvalue(), err.getvalue())


def example(name: str = "gerac_chronic", **changes: Any) -> dict[str, Any]:
    """The `patient` of an example file, with some keys replaced; None takes a key away."""
    patient = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))["patient"] | changes
    return {key: value for key, value in patient.items() if value is not None}
