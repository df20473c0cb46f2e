"""What all commands share: the application, common options, and how a result is written."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: its small products only make threads spin

from ..errors import InputError

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None,
                  help="deqi: acupuncture and low back pain, an honest comparison of care plans. Research software.")

JsonOption = Annotated[str | None, typer.Option("--json", metavar="PATH", help="write JSON there; - prints it")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="seed of every random number")]
PatientArgument = Annotated[Path, typer.Argument(metavar="PATIENT.yaml", help="patient file")]


def warn_if_stale() -> None:
    """Say on the error stream that the posterior that ships was made before something changed."""
    from ..population import posterior

    changed = posterior.stale()
    if changed:
        print(f"deqi: the posterior was made before a change of {', '.join(changed)}; run `deqi calibrate`",
              file=sys.stderr)


@contextlib.contextmanager
def working(what: str, json_path: str | None) -> Iterator[None]:
    """A spinner on a terminal, nothing elsewhere."""
    if json_path == "-" or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


@contextlib.contextmanager
def counting(what: str, json_path: str | None) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on a terminal, moved by (how much was done since the last call, how much there is); nothing elsewhere."""
    if json_path == "-" or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(),
                  console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, advance=done, total=total)


def check_places(*places: Path | str | None, inputs: Sequence[Path | str | None] = ()) -> None:
    """Refuse a result that could not be written, or would replace another or a file that is read, before any work is
    done or any other result written."""
    from ..writing import check_place

    written: set[str] = set()
    for place in places:
        if place in (None, "-"):
            continue
        check_place(place)
        if os.path.realpath(place) in written:
            raise InputError("two results cannot go to one file", file=str(place), accepted="a path for each")
        if os.path.exists(place) and any(i is not None and os.path.exists(i) and os.path.samefile(place, i)
                                         for i in inputs):
            raise InputError("the result would replace the file it is made from", file=str(place),
                             accepted="another path")
        written.add(os.path.realpath(place))


def emit(found: Any, json_path: str | None) -> None:
    """Give a result as JSON where it was asked for."""
    if json_path is None:
        return
    if json_path == "-":
        print(json.dumps(found, indent=1, allow_nan=False))
        return
    write_json(json_path, found)


def write_json(path: Path | str, found: Any) -> None:
    """Write data as JSON, whole or not at all."""
    from ..writing import write_text

    write_text(path, json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
