"""The tables that ship with deqi: YAML beside the code that uses them, read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml


@cache
def shipped(path: Path) -> dict[str, Any]:
    """Read a table.

    Arguments:
        path: of a YAML file in the package.
    """
    rows: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return rows
