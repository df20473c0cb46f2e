"""Times deqi against libRoadRunner, SciPy and diffrax on the same model at the same error, in one run (`make bench`).

Figures are core-seconds per patient-year, the median of five with its range. Every solver runs at its loosest setting
with at most 0.01 NRS of error over time on the same patients, against the reference solver on its own inputs. How each
was built is printed with its figure. Leaves benchmarks/latest.json and a line in benchmarks/history.jsonl.
"""

from __future__ import annotations

import datetime
import json
import platform
import subprocess
from dataclasses import asdict
from typing import Any

import jax

from deqi.writing import write_text

from . import command, grids, limit, ours, task, with_diffrax, with_libroadrunner, with_scipy

HOME = command.ROOT / "benchmarks"
OTHERS = {"libroadrunner": with_libroadrunner, "scipy": with_scipy, "diffrax": with_diffrax}


def main() -> None:
    """Measure, print, and keep the results."""
    machine = {"cores": task.CORES, "processor": processor(), "architecture": platform.machine(),
               "python": platform.python_version(), "jax": jax.__version__}
    print("machine:", ", ".join(f"{key} {value}" for key, value in machine.items()))
    print(f"task: {task.PLAN}, {task.YEAR} weeks; core-seconds per patient-year, median (range) of {task.REPEATS}; "
          f"error over time at most {task.ALLOWED} NRS", flush=True)

    consult = command.measure()
    print(f"deqi consult, fresh process: {consult['cold']} s cold, {consult['warm']} s warm", flush=True)
    mine = ours.measure()
    years_per_second = mine["patients"] / mine["wall"].median
    tell("deqi", mine)
    print(f"  {years_per_second:.0f} patient-years a second on this machine")
    bare = limit.measure(mine["patients"])
    share = bare["seconds"].median / mine["seconds"].median
    print(f"bare loop of {bare['arithmetic']} operations and {bare['transcendentals']} exponentials per patient and "
          f"step: {bare['seconds']} s; deqi reaches {100 * share:.0f} % of that speed", flush=True)

    errors = grids.measure()
    for row in errors:
        print(f"deqi, largest error in half and in 99 % of {grids.PATIENTS} patients, NRS, {row['plan']}: "
              f"moment {row['moment']}, week {row['week']}")

    found = {name: room.measure() for name, room in OTHERS.items()}
    ratios = {name: each["seconds"].median / mine["seconds"].median for name, each in found.items()}
    for name, each in found.items():
        tell(name, each)
        low = each["seconds"].least / mine["seconds"].most
        high = each["seconds"].most / mine["seconds"].least
        print(f"  ratio {ratios[name]:.0f} ({low:.0f} to {high:.0f})")

    grows = ours.scaling()
    for what, values in grows.items():
        print(f"deqi, wall ms per patient by {what}: " + ", ".join(f"{k}: {v:.4f}" for k, v in values.items()))
    trials = {n: ours.apart(n, task.CORES, "trial") for n in ours.TRIAL}
    for n, each in trials.items():
        print(f"deqi, one trial of {n} people over {task.YEAR} weeks: {each['seconds']:.1f} s, "
              f"{each['microseconds_per_person']:.1f} us a person, at most {each['peak_mib']:.0f} MiB", flush=True)
    peak = ours.apart(ours.SCALES["patients"][-1], task.CORES)["peak_mib"]
    print(f"deqi, peak memory with {ours.SCALES['patients'][-1]} patients: {peak:.0f} MiB")

    latest = {
        "patient_years_per_second": years_per_second, "error_nrs": mine["error"], "error_nrs_timed_grid": mine["error"],
        **{f"ratio_{name}": ratio for name, ratio in ratios.items()},
        "consult_warm_seconds": consult["warm"] and consult["warm"].median,
        "consult_cold_seconds": consult["cold"] and consult["cold"].median, "machine": machine,
        "spread": plain({"deqi": mine["seconds"], "bare_loop": bare["seconds"], "consult_warm": consult["warm"],
                         **{name: each["seconds"] for name, each in found.items()}}),
        "comparators": plain(found), "deqi": plain(mine), "limit": plain(bare) | {"share": share}, "scaling": grows,
        "peak_mib": peak, "trial": trials, "errors": {"patients": grids.PATIENTS, "plans": errors},
    }
    write_text(HOME / "latest.json", json.dumps(latest, indent=1) + "\n")
    line = {"date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "commit": commit(), **latest}
    history = HOME / "history.jsonl"
    before = history.read_text(encoding="utf-8") if history.exists() else ""
    write_text(history, before + json.dumps(line) + "\n")


def tell(name: str, found: dict[str, Any]) -> None:
    """Print one figure with how it came about."""
    print(f"{name}: {found['seconds']} s, error {found['error']:.4f} NRS\n  {found['built']}", flush=True)


def plain(found: Any) -> Any:
    """Results as JSON holds them."""
    if isinstance(found, task.Spread):
        return asdict(found)
    return {key: plain(value) for key, value in found.items()} if isinstance(found, dict) else found


def commit() -> str | None:
    """The commit that was measured, marked where files differ from it."""
    told = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=HOME, capture_output=True, text=True)
    return told.stdout.strip() or None


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


if __name__ == "__main__":
    main()
