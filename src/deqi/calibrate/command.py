"""`deqi calibrate`, with its progress bar: rebuild the posterior, or report on the one that ships."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..population import posterior
from . import store, validate
from .fit import QUICK, WHOLE, calibrate, ship


def run(*, quick: bool, report: Path | None, rebuild: bool, work: Path | None, out: Path | None, seed: int,
        quiet: bool = False) -> dict[str, Any]:
    """Do what the command asks for.

    Arguments:
        quick: a reduced version that ships nothing.
        report: where the validation report goes.
        rebuild: make the posterior anew even if only a report is asked for.
        work: folder that an interrupted run goes on from.
        out: folder for posterior and validation instead of the package.
        seed: of every random number.
        quiet: no progress bar.

    Returns:
        `posterior`, `diagnostics` and `provenance`.

    Raises:
        InputError: a folder that cannot be used, or a report on a calibration that does not exist.
    """
    for folder, field in ((work, "--work"), (out, "--out")):
        if folder is not None and folder.exists() and not folder.is_dir():
            raise InputError("not a folder", field=field, found=str(folder), accepted="a folder, there or to be made")
    if quick:
        if report is not None:
            raise InputError("the quick version is not validated", field="--report",
                             accepted="--report without --quick")
        with _progress(quiet) as told:
            return calibrate(QUICK, seed, work, told).as_json()
    if report is not None and not rebuild:
        return _report_on_what_ships(report)
    with _progress(quiet) as told:
        found = calibrate(WHOLE, seed, work, told)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
        known = ship(found, out, seed=seed, told=told)
    if report is not None:
        from .report import write

        write(known, report)
    return found.as_json()


def _report_on_what_ships(report: Path) -> dict[str, Any]:
    from .report import write

    known = validate.shipped()
    if not known:
        raise InputError("nothing is calibrated yet", field="--report", accepted="`deqi calibrate` first")
    write(known, report)
    return {"posterior": known["averages"], "diagnostics": known["diagnostics"],
            "provenance": known["made"] | known["stamp"]}


@contextlib.contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str, float], Any]]:
    """A bar on a terminal, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
                  console=Console(stderr=True)) as bar:
        task = bar.add_task("calibrating", total=1.0)
        yield lambda what, share: bar.update(task, description=what, completed=share)


def lines(found: dict[str, Any], report: Path | None) -> list[str]:
    """A table for the terminal."""
    shown = [f"{'average':<30} {'unit':<16} {'prior 5-50-95 %':>26}   {'posterior 5-50-95 %':>26}"]
    for row in found["posterior"]:
        prior, after = ("  ".join(f"{x:.3g}" for x in row[key]) for key in ("prior", "posterior"))
        shown.append(f"{row['name']:<30} {row['unit']:<16} {prior:>26}   {after:>26}")
    d = found["diagnostics"]
    shown.append(f"R-hat at most {d['r_hat_max']:.3f}, effective draws at least {d['ess_min']:.0f}, "
                 f"{100 * d['jumps']:.0f} % of independent jumps taken.")
    changed = store.stale() if posterior.SHIPPED.exists() else ()
    if changed:
        shown.append(f"The posterior that ships was made before a change of: {', '.join(changed)}. "
                     "Run `deqi calibrate` to make it anew.")
    return [*shown, *([f"Report: {report}"] if report is not None else [])]
