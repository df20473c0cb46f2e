"""What the Explain tab shows: one session in a body of the model, theory by theory, and a course of such sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..care import plan_from
from ..care.course import nearest_hint
from ..errors import InputError
from ..population.trajectories import run
from ..tables import shipped
from ..theories.bodies import body
from ..theories.experiment import Arm
from ..theories.fit import fitted_values
from ..theories.laboratory import batches, lay
from ..theories.statistics import Course

LAID = 32
"""Grids of sessions that are kept before all are let go."""

FAINT = 1e-6
"""What is smaller is rounding."""


def table() -> dict[str, Any]:
    """Choices, series and their words, `explain.yaml`."""
    return shipped(Path(__file__).with_name("explain.yaml"))


@dataclass(frozen=True)
class Choices:
    """What was chosen.

    Arguments:
        body: of `explain.yaml`.
        mode: manual or electro.
        hz: of the current; by hand it has no meaning.
        minutes: of the session.
        site: local, distal or both.
        given: drugs held throughout.
        without: theories that are switched off.
    """

    body: str = "human_clbp"
    mode: str = "manual"
    hz: float = 2.0
    minutes: float = 30.0
    site: str = "both"
    given: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


def choices_of(told: Mapping[str, Any]) -> Choices:
    """Choices from plain data; what is not told is as usual.

    Raises:
        InputError: an unknown field, or a value that is not accepted.
    """
    found: dict[str, Any] = {}
    rows = table()["choices"]
    for field, value in told.items():
        if field not in rows:
            raise InputError("unknown field", field=field[:60], accepted=", ".join(rows) + nearest_hint(field, rows))
        row = rows[field]
        if field in ("given", "without"):
            if not isinstance(value, list | tuple):
                raise InputError("not a list", field=field, found=value, accepted=f"a list of {', '.join(row)}")
            chosen = {_one_of(field, item, row) for item in value}
            found[field] = tuple(name for name in row if name in chosen)
        elif "low" in row:
            found[field] = _within(field, value, row)
        else:
            found[field] = _one_of(field, value, row)
    return Choices(**found)


def _one_of(field: str, value: Any, row: Mapping[str, Any]) -> str:
    if not isinstance(value, str) or value not in row:
        raise InputError("not a choice", field=field, found=value, accepted=", ".join(row) + nearest_hint(value, row))
    return value


def _within(field: str, value: Any, row: Mapping[str, Any]) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not row["low"] <= value <= row["high"]:
        raise InputError("out of range", field=field, found=value,
                         accepted=f"{row['low']} to {row['high']} {row['unit']}")
    return float(value)


def explain(told: Mapping[str, Any]) -> dict[str, Any]:
    """One session as chosen beside the same session as usual (all theories, no drug), and a course of such sessions.

    Arguments:
        told: see `Choices`.

    Returns:
        `choices`; `minutes` since the session began and `series` over them (`id`, `theory`, `name`, `unit`, `says`,
        `absent` if its theory is switched off, `as_chosen`, `as_usual`); `weeks` and `course`, mean reported pain of
        the reference population `as_chosen`, `as_usual` and with `no_needling`; `session_ends`; `accepted`, what may be
        chosen; `status` and `note`.

    Raises:
        InputError: a choice that is not accepted.
    """
    chosen = choices_of(told)
    minutes, courses = _session(chosen)
    series = []
    for row in table()["series"]:
        absent, own = row["theory"] in chosen.without, {name: values[row["id"]] for name, values in courses.items()}
        if absent and row.get("rests"):
            own["as_chosen"] = own["as_chosen"][:1] * len(minutes)
        series.append({key: row[key] for key in ("id", "theory", "name", "unit", "says")} | {"absent": absent} | own)
    return {"choices": asdict(chosen), "minutes": minutes, "session_ends": chosen.minutes, "series": series,
            "weeks": list(range(table()["weeks"] + 1)), "course": _course(chosen), "accepted": table()["choices"],
            "status": table()["status"], "note": table()["note"]}


def care_of(chosen: Choices) -> dict[str, Any]:
    """The session as care."""
    sites = {"both": ["local", "distal"]}.get(chosen.site, [chosen.site])
    current = {"frequency_hz": [chosen.hz]} if chosen.mode == "electro" else {}
    return {"care": "needling", "mode": chosen.mode, "minutes": chosen.minutes, "points": sites, **current}


def _session(chosen: Choices) -> tuple[list[float], dict[str, dict[str, list[float]]]]:
    """Minutes, and every series over them as chosen and as usual."""
    last = 60.0 * table()["hours"]
    of, care, told = body(chosen.body), care_of(chosen), repr(chosen)
    drugs: dict[str, float] = {}
    for name in chosen.given:
        drugs |= table()["choices"]["given"][name]["inputs"]
    held = tuple(sorted(drugs.items()))
    arms = {"as_chosen": (Arm(of, held, care, f"as chosen {told}"), frozenset(chosen.without)),
            "as_usual": (Arm(of, (), care, f"as usual {told}"), frozenset[str]())}
    wanted = [(arm, last, absent, row["id"]) for arm, absent in arms.values() for row in table()["series"]]
    with jax.enable_x64(True):
        seen = {row[0]: found for batch in batches(wanted)
                for row, found in zip(batch.rows, batch.run(fitted_values()), strict=True)}
    if lay.cache_info().currsize > LAID:
        lay.cache_clear()
    close, far = np.arange(0.0, 121.0, 2.0), np.arange(135.0, last + 1.0, 15.0)
    minutes = np.concatenate([close, far])
    courses = {}
    for name, (arm, _) in arms.items():
        courses[name] = {key: _plain(_at(found, minutes)) for key, found in seen[arm].items()}
    return minutes.tolist(), courses


def _at(course: Course, minutes: np.ndarray) -> np.ndarray:
    """Values at some minutes; at the moment of a change, the value just before it (as `Course.at`)."""
    k = np.maximum(np.searchsorted(course.starts, minutes - 1e-9) - 1, 0)
    share = np.clip((minutes - course.starts[k]) / course.lengths[k], 0.0, 1.0)
    return course.first[k] + share * (course.last[k] - course.first[k])


def _course(chosen: Choices) -> dict[str, list[float]]:
    """Mean reported pain by week."""
    plan = (tuple(sorted((key, tuple(value) if isinstance(value, list) else value)
                         for key, value in (care_of(chosen) | table()["course"]).items())),)
    return {"as_chosen": _mean_pain(plan, chosen.without), "as_usual": _mean_pain(plan, ()),
            "no_needling": _mean_pain((), ())}


@lru_cache(maxsize=256)
def _mean_pain(plan: tuple[tuple[tuple[str, Any], ...], ...], without: tuple[str, ...]) -> list[float]:
    care = [{key: list(value) if isinstance(value, tuple) else value for key, value in course} for course in plan]
    return _plain(run(plan_from(care), patients=table()["people"], weeks=table()["weeks"], without=without
                      ).nrs.mean(axis=1))


def _plain(values: np.ndarray) -> list[float]:
    return [float(f"{value:.5g}") if abs(value) > FAINT else 0.0 for value in values]
