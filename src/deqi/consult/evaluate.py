"""`deqi evaluate`: how good the forecasts are for people whose later scores are known, always predicted forward.

A table of scores goes in (id, day, pain, and what else is known); from every score of a person the next one is
predicted from it and those before it. Beside deqi stand four plain ways to predict; each is a normal distribution whose
spread is that of its own errors in all *other* people.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from ..calibrate.scores import crps_draws, pit_draws, pit_uniformity
from ..care import Plan, plan_from
from ..errors import InputError
from .assessment import Patient, parse_patient
from .forecast import prepare
from .history import rest_of
from .screening import applicability

DRAWS = 512
LEVELS = (0.5, 0.8, 0.95)
LARGEST_ROWS = 1_000_000
NEEDED = ("id", "day", "pain")
ALSO = ("care", "age", "sex", "duration_weeks", "odi", "rmdq", "leg_pain", "regular_opioid")
COLUMNS = ", ".join(NEEDED) + " and, if known, " + ", ".join(ALSO)
MISSING = ("", "na", "nan", "null", "none", "unknown")


@dataclass(frozen=True)
class Series:
    """One person's scores.

    Arguments:
        id: of the person.
        weeks: whole weeks after the first score; days of one week are averaged.
        pain: NRS 0-10 at each.
        care: what is done from each score on, as the file words it.
        known: further fields of the patient file that hold at the first score.
        disability: scores (instrument, value) at each week, or None.
    """

    id: str
    weeks: tuple[int, ...]
    pain: tuple[float, ...]
    care: tuple[str, ...]
    known: dict[str, Any] = field(default_factory=dict)
    disability: tuple[tuple[str, float] | None, ...] = ()


@dataclass(frozen=True)
class Prediction:
    """One forward prediction, and what was then reported.

    Arguments:
        id: of the person.
        group: the care that the prediction is for.
        extent: `inside` or `edge` of what was studied.
        known: how many weeks with scores it rests on.
        ahead: weeks from the last of them.
        observed: what was reported.
        last, mean: the last score, and the mean of those known.
        draws: deqi's forecast.
    """

    id: str
    group: str
    extent: str
    known: int
    ahead: int
    observed: float
    last: float
    mean: float
    draws: np.ndarray


def read_series(path: Path) -> list[Series]:
    """Read a table of scores.

    Arguments:
        path: a CSV file with a header.

    Raises:
        InputError: no such file, a missing or unknown column, or a value that cannot be; line and column are named.
    """
    file = str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})", file=file,
                         accepted="a CSV file") from None
    reader = csv.DictReader(text.splitlines())
    names = [name.strip().casefold() for name in reader.fieldnames or ()]
    for name in NEEDED:
        if name not in names:
            raise InputError(f"no column `{name}`", file=file, found=", ".join(names)[:200] or None, accepted=COLUMNS)
    for name in names:
        if name not in (*NEEDED, *ALSO):
            raise InputError("unknown column", file=file, found=name[:60], accepted=COLUMNS)
    people: dict[str, list[dict[str, str]]] = {}
    for number, raw in enumerate(reader, 2):
        if number > LARGEST_ROWS:
            raise InputError("too many rows", file=file, accepted=f"at most {LARGEST_ROWS}")
        if None in raw or None in raw.values():
            raise InputError("another number of columns than the header", file=file, field=f"line {number}",
                             accepted=f"{len(names)} columns")
        row = {name: (value or "").strip() for name, value in zip(names, raw.values(), strict=True)}
        row["line"] = str(number)
        if row["pain"].casefold() in MISSING:
            continue
        if not row["id"]:
            raise InputError("no id", file=file, field=f"line {number}, id", accepted="a label")
        people.setdefault(row["id"], []).append(row)
    if not people:
        raise InputError("no scores", file=file, accepted=COLUMNS)
    return [_series(id, rows, file) for id, rows in people.items()]


def _series(id: str, rows: list[dict[str, str]], file: str) -> Series:
    rows = sorted(rows, key=lambda row: _number(row, "day", -36500.0, 36500.0, file))
    start = _number(rows[0], "day", -36500.0, 36500.0, file)
    weeks: dict[int, list[dict[str, str]]] = {}
    for row in rows:
        weeks.setdefault(round((_number(row, "day", -36500.0, 36500.0, file) - start) / 7.0), []).append(row)
    pain = [float(np.mean([_number(row, "pain", 0.0, 10.0, file) for row in group])) for group in weeks.values()]
    care, current = [], "usual care"
    for group in weeks.values():
        said = [row["care"] for row in group if row.get("care", "").casefold() not in MISSING]
        current = said[-1] if said else current
        care.append(current)
    disability = []
    for group in weeks.values():
        found = [(name.upper(), _number(row, name, 0.0, 24.0 if name == "rmdq" else 100.0, file))
                 for row in group for name in ("rmdq", "odi") if row.get(name, "").casefold() not in MISSING]
        disability.append(found[-1] if found else None)
    return Series(id, tuple(weeks), tuple(pain), tuple(care), _known(rows[0], file), tuple(disability))


def _known(row: dict[str, str], file: str) -> dict[str, Any]:
    """Fields of the patient file from a row; what is not there stays unknown."""
    def given(name: str) -> bool:
        return row.get(name, "").casefold() not in MISSING

    known: dict[str, Any] = {}
    if given("age"):
        known["age"] = _number(row, "age", 0.0, 120.0, file)
    if given("sex"):
        known["sex"] = row["sex"]
    if given("duration_weeks"):
        known["duration_weeks"] = _number(row, "duration_weeks", 0.0, 6300.0, file)
    for name in ("leg_pain", "regular_opioid"):
        if given(name):
            word = row[name].casefold()
            if word not in ("0", "1", "true", "false", "yes", "no"):
                raise InputError("not an answer", file=file, field=f"line {row['line']}, {name}", found=row[name],
                                 accepted="true | false | unknown")
            known[name] = word in ("1", "true", "yes")
    return known


def _number(row: dict[str, str], name: str, low: float, high: float, file: str) -> float:
    place, accepted = f"line {row['line']}, {name}", f"a number from {low:g} to {high:g}"
    try:
        value = float(row[name])
    except ValueError:
        raise InputError("not a number", file=file, field=place, found=row[name][:60], accepted=accepted) from None
    if not low <= value <= high:
        raise InputError("out of range", file=file, field=place, found=row[name][:60], accepted=accepted)
    return value


def patient_at(series: Series, origin: int) -> Patient:
    """The person as known at one of their scores: no later one is looked at."""
    now, known = series.weeks[origin], dict(series.known)
    pain: dict[str, Any] = {"week_average": series.pain[origin]}
    if "duration_weeks" in known:
        pain["duration_weeks"] = min(known.pop("duration_weeks") + now, 6300.0)
    if "leg_pain" in known:
        pain["leg_pain"] = known.pop("leg_pain")
    medicines = ["regular_opioid"] if known.pop("regular_opioid", False) else []
    scores: list[dict[str, Any]] = [{"week": series.weeks[k] - now, "outcome": "NRS", "value": series.pain[k]}
                                    for k in range(origin)]
    body: dict[str, Any] = {"pain": pain, "medicines": medicines, **known}
    for k in range(origin + 1):
        told = series.disability[k] if series.disability else None
        if told is not None and k < origin:
            scores.append({"week": series.weeks[k] - now, "outcome": told[0], "value": told[1]})
        elif told is not None:
            body["disability"] = {"instrument": told[0], "score": told[1]}
    care = []
    for k in range(origin):
        if k == 0 or series.care[k] != series.care[k - 1]:
            care.append({"plan": series.care[k], "start_week": series.weeks[k] - now})
    return parse_patient({"patient": body | {"scores": scores, "care_so_far": care}})


def predict_next(series: Series, origin: int, seed: int) -> Prediction | None:
    """The next score from those up to `origin`; None for a person outside what was studied.

    A care that began earlier goes on: its plan is taken to start at its first row, and what is left of it follows.
    """
    patient = patient_at(series, origin)
    extent = applicability(patient)
    if extent.status == "outside":
        return None
    ahead = series.weeks[origin + 1] - series.weeks[origin]
    forecast = prepare(patient, extent, draws=DRAWS, seed=seed).forecast(_rest(series, origin), ahead)
    known = series.pain[:origin + 1]
    return Prediction(series.id, series.care[origin], extent.status, origin + 1, ahead, series.pain[origin + 1],
                      known[-1], float(np.mean(known)), forecast.nrs[ahead])


def _rest(series: Series, origin: int) -> Plan:
    """What is still to come of the care that runs at a score."""
    first = origin
    while first and series.care[first - 1] == series.care[origin]:
        first -= 1
    return rest_of(plan_from(series.care[origin]), series.weeks[origin] - series.weeks[first])


def evaluate(people: Sequence[Series], *, seed: int = 1, told: Callable[[int], Any] = lambda _: None) -> dict[str, Any]:
    """Predict every score but the first from those before it, and judge.

    Arguments:
        people: their scores.
        seed: of every random number.
        told: called with the number of predictions made.

    Returns:
        `groups`: by care and extent, and all together, the figures of deqi and of the comparators; `left_out`.

    Raises:
        InputError: a care that is not understood, or nobody with two scores.
    """
    work = [(one, origin) for one in people for origin in range(len(one.weeks) - 1)]
    if not work:
        raise InputError("nobody has scores of two weeks", accepted="at least two weeks of one person")
    for care in {c for one in people for c in one.care}:
        plan_from(care, field="care")
    found: list[Prediction] = []
    left_out = 0
    with ThreadPoolExecutor(2) as threads:
        # each with random numbers of its own, so that their error averages out
        asked = [(one, origin, seed + 7919 * number) for number, (one, origin) in enumerate(work)]
        for done, made in enumerate(threads.map(lambda w: predict_next(*w), asked), 1):
            left_out += made is None
            found += [made] if made is not None else []
            told(done)
    return {"groups": _judged(found), "predictions": len(found), "left_out": left_out}


def _judged(found: list[Prediction]) -> list[dict[str, Any]]:
    others = comparators(found)
    care, extent = np.array([p.group for p in found]), np.array([p.extent for p in found])
    groups = {"all": np.full(len(found), True)}
    for name in dict.fromkeys(care.tolist()):
        groups |= {name: care == name} | {f"{name} · {e}": (care == name) & (extent == e) for e in ("inside", "edge")}
    rows = []
    for name, chosen in groups.items():
        if chosen.any():
            own = [p for p, c in zip(found, chosen, strict=True) if c]
            rows.append({"group": name, "n": len(own), "people": len({p.id for p in own}), "deqi": _of_draws(own),
                         **{key: _of_normal(own, m[chosen], s[chosen]) for key, (m, s) in others.items()}})
    return rows


def _of_draws(found: Sequence[Prediction]) -> dict[str, Any]:
    y, draws = np.array([p.observed for p in found]), np.stack([p.draws for p in found], axis=1)
    covered = {f"{100 * level:.0f}": float(np.mean((y >= low) & (y <= high))) for level in LEVELS
               for low, high in [np.quantile(draws, (0.5 - level / 2, 0.5 + level / 2), axis=0)]}
    pit = pit_draws(y, draws)
    return _errors(y, draws.mean(axis=0), np.median(draws, axis=0)) | {
        "crps": float(np.mean(crps_draws(y, draws))), "coverage": covered, "sd": float(np.mean(draws.std(axis=0))),
        "pit": np.histogram(pit, bins=10, range=(0.0, 1.0))[0].tolist(),
        "pit_p": float(pit_uniformity(pit).p) if len(y) > 4 else None}


def _of_normal(found: Sequence[Prediction], mean: np.ndarray, sd: np.ndarray) -> dict[str, Any]:
    y = np.array([p.observed for p in found])
    z = (y - mean) / sd
    crps = sd * (z * (2.0 * norm.cdf(z) - 1.0) + 2.0 * norm.pdf(z) - 1.0 / math.sqrt(math.pi))
    covered = {f"{100 * level:.0f}": float(np.mean(np.abs(z) <= norm.ppf(0.5 + level / 2))) for level in LEVELS}
    return _errors(y, mean, mean) | {"crps": float(np.mean(crps)), "coverage": covered, "sd": float(np.mean(sd))}


def _errors(y: np.ndarray, mean: np.ndarray, middle: np.ndarray) -> dict[str, float]:
    return {"bias": float(np.mean(mean - y)), "mae": float(np.mean(np.abs(middle - y))),
            "rmse": float(np.sqrt(np.mean(np.square(mean - y))))}


def comparators(found: Sequence[Prediction]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Plain predictions, mean and spread, shape (predictions,); what they learn they learn from other people.

    `last_value`, `running_mean`; `population_mean` of the same care; `autoregression` of the next score on the last and
    on the mean of those known.
    """
    y = np.array([p.observed for p in found])
    last, mean = np.array([p.last for p in found]), np.array([p.mean for p in found])
    ids, care = np.array([p.id for p in found]), np.array([p.group for p in found])
    design = np.column_stack([np.ones_like(y), last, mean])
    shapes = {"last_value": last.copy(), "running_mean": mean.copy(), "population_mean": np.empty_like(y),
              "autoregression": np.empty_like(y)}
    spreads = {name: np.empty_like(y) for name in shapes}
    for id in dict.fromkeys(ids.tolist()):
        own, alike = ids == id, (ids != id)
        for group in dict.fromkeys(care[own].tolist()):
            rows = own & (care == group)
            near = alike & (care == group) if np.sum(alike & (care == group)) >= 5 else alike
            if not near.any():
                near = own
            level = float(np.mean(y[near]))
            fit = np.linalg.lstsq(design[near], y[near], rcond=None)[0]
            shapes["population_mean"][rows], shapes["autoregression"][rows] = level, design[rows] @ fit
            errors = {"last_value": y[near] - last[near], "running_mean": y[near] - mean[near],
                      "population_mean": y[near] - level, "autoregression": y[near] - design[near] @ fit}
            for name, error in errors.items():
                spreads[name][rows] = max(float(np.sqrt(np.mean(np.square(error)))), 0.1)
    return {name: (shapes[name], spreads[name]) for name in shapes}


def lines(found: dict[str, Any]) -> list[str]:
    """The figures as a table for the terminal."""
    if "synthetic" in found:
        return ["weeks known   people   50 %  80 %  95 %   bias    SD   moved"] + [
            f"{row['weeks_known']:>11} {row['n']:>8}  " + " ".join(f"{100 * c:>5.1f}" for c in row["coverage"].values())
            + f" {row['bias']:>6.2f} {row['sd']:>5.2f} {100 * row['moved']:>5.0f} %" for row in found["synthetic"]]
    told = [f"{found['predictions']} forward predictions; {found['left_out']} left out (outside what was studied)"]
    head = "                   bias    MAE   RMSE   CRPS   50 %  80 %  95 %   SD"
    for row in found["groups"]:
        told += ["", f"{row['group']}: {row['n']} predictions for {row['people']} people", head]
        for name in ("deqi", "last_value", "running_mean", "population_mean", "autoregression"):
            r = row[name]
            told.append(f"  {name.replace('_', ' '):<15} {r['bias']:>6.2f} {r['mae']:>6.2f} {r['rmse']:>6.2f} "
                        f"{r['crps']:>6.3f}  " + " ".join(f"{100 * c:>5.0f}" for c in r["coverage"].values())
                        + f"  {r['sd']:>5.2f}")
        told.append("  PIT of deqi, ten bins: " + " ".join(str(n) for n in row["deqi"]["pit"]))
    return told

