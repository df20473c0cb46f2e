"""Cohorts, companions and spreads that enter the likelihood beside the trials, as studies of the same kind."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .. import evidence
from .trial import Trial, read_trial


@cache
def table() -> list[dict[str, Any]]:
    """The targets, `targets.yaml`."""
    import yaml

    return yaml.load(Path(__file__).with_name("targets.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)


@cache
def studies() -> tuple[Trial, ...]:
    """The trials that ship, joined by what else is known of them, and the other targets; each datum once."""
    joined = {row["joins"]: row for row in table() if "joins" in row}
    found = []
    for fact in evidence.trials("calibrate"):
        body = fact.body
        if fact.id in joined:
            body = copy.deepcopy(dict(body))
            body["outcomes"] = [*body.get("outcomes", []), *_outcomes(joined[fact.id])]
        found.append(read_trial(body, f"{fact.id}.yaml"))
    others = [row for row in table() if "joins" not in row]
    return (*found, *(read_trial(_body(row), f"targets.yaml: {row['id']}") for row in others))


def left_out(trial: Trial) -> str | None:
    """Why a study is not in the fit; None if it is."""
    from .problem import is_used

    if trial.outside is not None:
        return f"outside deqi's population: {trial.outside}"
    if not any(is_used(o) and o.value is not None for o in trial.observations):
        reasons = dict.fromkeys(reason for _, reason in trial.unused)
        return "; ".join(list(reasons)[:3]) or "no number of pain or disability at a known week"
    return None


def fitted() -> tuple[Trial, ...]:
    """The studies that the averages are fitted to."""
    return tuple(trial for trial in studies() if left_out(trial) is None)


def facts_used() -> tuple[str, ...]:
    """Ids of the facts that the targets read; all are marked `calibrate`."""
    found = []
    for row in table():
        for entry in _entries(row):
            found.append(entry["fact"])
    return tuple(dict.fromkeys(found))


def _entries(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    single = [row[key] for key in ("course", "one", "median_recovery", "contrast", "spread") if key in row]
    return [*single, *row.get("series", ()), *row.get("contrasts", ())]


def _body(row: Mapping[str, Any]) -> dict[str, Any]:
    arms = [{"id": name, "n": row.get("n"), "label": name, "interventions": given}
            for name, given in row["arms"].items()]
    return {
        "id": row["id"], "condition": row["condition"],
        "population": {"n_randomised": row.get("n", 400) * len(arms), "duration": _duration(row)},
        "arms": arms, "outcomes": _outcomes(row), "responders": _recovered(row),
    }


def _duration(row: Mapping[str, Any]) -> str | None:
    return f"mean {row['duration_weeks']} weeks" if "duration_weeks" in row else None


def _outcomes(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = [_series(entry) for entry in row.get("series", ())]
    if "course" in row:
        found.append(_course(row["course"], row.get("n")))
    if "one" in row:
        found.append(_one(row["one"]))
    if "spread" in row:
        entry = row["spread"]
        found.append(_outcome(entry, points=[{"arm": entry["arm"], "week": entry["week"], "n": row["n"], "change": 0.0,
                                              "change_sd": _at(entry["fact"], entry["path"])}], spread_only=True))
    entries = [row["contrast"]] if "contrast" in row else row.get("contrasts", ())
    return [*found, *(_contrast(entry) for entry in entries)]


SCALES = {"RMDQ": (0, 24), "RMDQ 0-23": (0, 23), "bothersomeness": (0, 10)}


def _outcome(entry: Mapping[str, Any], **content: Any) -> dict[str, Any]:
    low, high = SCALES.get(entry["outcome"], (0, 100))
    worse = entry.get("higher_is_worse", True)
    return {"measure": entry["outcome"].removesuffix(" 0-23"),
            "scale": {"min": low, "max": high, "higher_is_worse": worse}} | content


def _series(entry: Mapping[str, Any]) -> dict[str, Any]:
    body = evidence.fact(entry["fact"]).body
    value, spread = body["value"], body["dispersion"]["sd"]
    counts = body["dispersion"].get("n")
    points = [{"arm": arm, "week": week, "mean": value[arm][k], "sd": spread[arm][k],
               "n": counts[arm][k] if counts else 370}
              for arm in entry["arms"] for k, week in enumerate(value["weeks"])]
    return _outcome(entry, points=points)


def _course(entry: Mapping[str, Any], n: int | None) -> dict[str, Any]:
    value = evidence.fact(entry["fact"]).body["value"]
    points = [{"arm": entry["arm"], "week": week, "mean": mean, "n": n, "se": entry["se"]}
              for week, mean in zip(value["weeks"], value["mean"], strict=True)]
    return _outcome(entry, points=points)


def _one(entry: Mapping[str, Any]) -> dict[str, Any]:
    fall = _at(entry["fact"], f"value.{entry['path']}")
    return _outcome(entry, points=[{"arm": entry["arm"], "week": entry["week"], "percent_change": -fall,
                                    "se": entry["se"]}])


def _contrast(entry: Mapping[str, Any]) -> dict[str, Any]:
    body = evidence.fact(entry["fact"]).body
    effect, ci = (body["effect"], body["ci95"]) if "path" not in entry else (
        body["value"][entry["path"]], _at(entry["fact"], entry["ci"]))
    unit = entry.get("unit_sd", 1.0)
    return _outcome(entry, points=[], contrasts=[{
        "arm": entry["arm"], "versus": entry["versus"], "week": entry["week"], "difference": unit * effect,
        "ci95": sorted(unit * end for end in ci), "direction": "arm minus versus"}])


def _recovered(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "median_recovery" not in row:
        return []
    entry = row["median_recovery"]
    days = _at(entry["fact"], f"value.{entry['path']}")
    return [{"definition": f"pain NRS below {entry['level']:g}", "arm": entry["arm"], "week": round(days / 7.0, 2),
             "percent": 50.0, "n": row["n"]}]


def _at(fact: str, path: str) -> Any:
    found: Any = evidence.fact(fact).body
    for part in path.split("."):
        found = found[part]
    return found
