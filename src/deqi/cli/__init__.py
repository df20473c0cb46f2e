"""The command line: parses, calls, prints. Exit 0 done, 2 bad input, 3 emergency found, 1 anything else."""

from __future__ import annotations

import io
import sys

from ..errors import DeqiError
from . import clinic, people, practice, research
from .common import app

__all__ = ["app", "clinic", "main", "people", "practice", "research"]


def main() -> None:
    """Run the command line; bad input ends with one message on standard error."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a sign still gives the rest
    try:
        app(prog_name="deqi")
    except DeqiError as error:
        print(f"deqi: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(1)
