"""Tables of the manual that are read from stored results: forecasts judged, example trials, the benchmark."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cells import grid


def _stored(name: str) -> Any:
    return json.loads((Path(__file__).with_name("data") / f"{name}.json").read_text(encoding="utf-8"))


def _real_people() -> str:
    groups = _stored("ashar2022")["groups"]
    rows = []
    for group in groups:
        for name in ("deqi", "last_value", "population_mean", "autoregression"):
            r = group[name]
            figures = ["too few other people", *[""] * 6] if r is None else [
                f"{r['bias']:+.2f}", f"{r['mae']:.2f}", f"{r['crps']:.2f}",
                *(f"{100 * c:.0f}" for c in r["coverage_exact"].values()), f"{r['sd']:.2f}"]
            rows.append((f"{group['group']} ({group['n']})" if name == "deqi" else "", name.replace("_", " "),
                         *figures))
    closed = "; ".join(f"{group['group']}: {100 * group['deqi']['coverage']['80']:.0f}" for group in groups
                       if " · " not in group["group"])
    return grid(("people", "prediction", "bias", "MAE", "CRPS", "in 50 %", "in 80 %", "in 95 %", "SD"), rows) + (
        f"\n\nIn 80 % with scores at an edge counted in full, deqi: {closed}.")


def _synthetic_people() -> str:
    return grid(("weeks of scores known", "people", "in 50 %", "in 80 %", "in 95 %", "bias", "SD of the forecast"), (
        (r["weeks_known"], r["n"], *(f"{100 * c:.1f}" for c in r["coverage"].values()), f"{r['bias']:+.2f}",
         f"{r['sd']:.2f}") for r in _stored("synthetic")["synthetic"]))


def _trial(name: str) -> str:
    """Power and assurance of an example design, and what follows, from the JSON of its run."""
    from deqi.trial.report import in_words

    found = _stored(f"trial_{name}")
    power = found["power"]
    truth = {row["contrast"]: row["truth"] for row in found["estimates"]
             if all(row[key] == power["primary"][key] for key in ("outcome", "week", "method"))}
    rows = ((row["contrast"], f"{truth[row['contrast']]:.2f}", row["n"],
             *(f"{100 * row[share]:.0f} % ± {100 * row[error]:.0f}"
               for share, error in (("power", "mc_se"), ("assurance", "assurance_mc_se")))) for row in power["curve"])
    said = "\n".join(f"- {line}" for line in in_words(found, brief=True))
    return grid(("contrast", "truth", "people", "power", "assurance"), rows) + f"\n\n{said}"


def _bench() -> Any:
    return json.loads((Path(__file__).parents[1] / "benchmarks" / "latest.json").read_text(encoding="utf-8"))


def _grid_errors() -> str:
    """How far deqi's grid is off while some care goes on and in the two weeks after it."""
    found = _bench()["errors"]
    return grid(("care", "moment, half of people", "moment, 99 of 100", "week, half of people", "week, 99 of 100"), (
        (row["plan"], *(f"{row[what][share]:.3f}" for what in ("moment", "week") for share in ("0.5", "0.99")))
        for row in found["plans"])) + f"\n\nLargest errors in {found['patients']} patients, NRS."


def _trial_scale() -> str:
    """How one simulated trial grows with its people."""
    return grid(("people", "seconds", "microseconds a person", "memory at most, MiB"), (
        (f"{int(n):,}", f"{each['seconds']:.1f}", f"{each['microseconds_per_person']:.1f}", f"{each['peak_mib']:.0f}")
        for n, each in _bench()["trial"].items()))


def _speed() -> str:
    """What each solver takes for a patient-year, beside its error, from the last run of `make bench`."""
    found = _bench()
    solvers = {"deqi": found["deqi"], **found["comparators"]}
    machine = found["machine"]
    return grid(("solver", "core-ms per patient-year", "least to most", "largest error, NRS", "times deqi", "how"), (
        (name, f"{1e3 * each['seconds']['median']:.3g}",
         f"{1e3 * each['seconds']['least']:.3g} to {1e3 * each['seconds']['most']:.3g}", f"{each['error']:.4f}",
         "1" if name == "deqi" else f"{found[f'ratio_{name}']:.0f}", each["built"])
        for name, each in solvers.items())) + (
        f"\n\n{found['patient_years_per_second']:,.0f} patient-years a second on {machine['processor']}, "
        f"{machine['cores']} cores; {100 * found['limit']['share']:.0f} % of the speed of a bare loop of as many "
        "operations.")


TABLES: dict[str, Callable[..., str]] = {
    "real-people": _real_people, "synthetic-people": _synthetic_people, "trial": _trial, "speed": _speed,
    "grid-errors": _grid_errors, "trial-scale": _trial_scale,
}
