"""What a course of care does to the body: exposures with inputs, and the strength of its context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, singledispatch
from math import log
from pathlib import Path
from typing import Any

import numpy as np

from ..body.inputs import REST_SESSION
from .course import Course
from .exercise import Exercise
from .lifestyle import Lifestyle
from .medicines import Medicine
from .needling import Needling
from .stretching import Stretching
from .thermal import Cold, Heat
from .usual import Placebo, UsualCare, Waiting

MINUTES_PER_DAY = 1440.0


@dataclass(frozen=True)
class Exposure:
    """Something done to the body for a while.

    Arguments:
        start_day: days since the start of the plan.
        minutes: how long it lasts.
        inputs: body inputs while it lasts.
        session: session fields that act when it ends; empty if nothing jumps.
        manipulated_every_minutes: needling by hand: the drive of the needle follows
            m(t) = min(1, sum_j exp(-(t - t_j) / tau_m)) over manipulations at 0, every so many minutes;
            0 for one manipulation at insertion; None if the drive is steady.
        slow: it lasts for days (a medicine) and needs no fine steps.
    """

    start_day: float
    minutes: float
    inputs: Mapping[str, float]
    session: Mapping[str, float] = field(default_factory=dict)
    manipulated_every_minutes: float | None = None
    slow: bool = False

    @property
    def end_day(self) -> float:
        """When it ends, in days since the start of the plan."""
        return self.start_day + self.minutes / MINUTES_PER_DAY


@cache
def actions() -> dict[str, Any]:
    """The table that joins care to the equations, `action.yaml`."""
    import yaml

    return yaml.load(Path(__file__).with_name("action.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)


def manipulation(start_minute: float, end_minute: float, every: float, lasting: float) -> float:
    """Mean of m(t) between two minutes of a session that lasts `lasting` minutes.

    Source: neurotransmitter dossier, section 2; tau_m assumed 3 min (1-6).
    """
    tau = actions()["needling"]["tau_manipulation_minutes"]["value"]
    times = every * np.arange(int(lasting / every) + 1) if every else np.zeros(1)
    t = start_minute + (np.arange(64) + 0.5) * (end_minute - start_minute) / 64
    since = t[:, None] - times
    left = np.where(since >= 0.0, np.exp(-np.maximum(since, 0.0) / tau), 0.0).sum(axis=1)
    return float(np.minimum(left, 1.0).mean())


@singledispatch
def exposures(course: Course, needling: Mapping[str, Any] | None = None) -> list[Exposure]:
    """What a course of care does to the body, session by session.

    Arguments:
        course: the care.
        needling: the section `needling` of another body's table (a rat's currents are not a man's); None for
            that of `action.yaml`.

    Raises:
        TypeError: a care that the table does not know.
    """
    raise TypeError(f"no action is known for {type(course).__name__}")


@exposures.register
def _needling(course: Needling, needling: Mapping[str, Any] | None = None) -> list[Exposure]:
    table, minutes = needling or actions()["needling"], course.schedule.minutes
    local, distal = needle_drive(course, table)
    w_mu, w_kappa = receptor_weights(course, table)
    strength = max(local, distal)
    deep = depth_of(course, table)
    every = 0.0 if course.manipulation_every_minutes is None else course.manipulation_every_minutes
    steady = course.mode == "electro"
    moved = minutes if steady else minutes * manipulation(0.0, minutes, every, minutes)
    full = moved + table["retention_share"]["value"] * (minutes - moved)
    vagal = max(table["vagal"]["local"]["value"] * local, table["vagal"]["distal"]["value"] * distal)
    trauma = table["microtrauma"]["deep" if deep > 0.5 else "superficial"]["value"] if course.penetrating else 0.0
    touch = {"needle_mechanical": local, "needle_depth": deep}
    inputs = {
        "needle_local": local, "needle_distal": distal, "mu_weight": w_mu, "kappa_weight": w_kappa,
        "surround": table["surround_hz"]["value"] * local,
        "needle_noxious": _noxious(course, table), "ltd_drive": _ltd(course, table), "microtrauma": trauma,
        "vagal_stimulus": vagal,
    }
    session = REST_SESSION | {
        "needle_dose": _muscle_dose(course, deep, table), "effective_minutes": strength * full,
        "context_visit": 1.0,
    }
    days = course.schedule.session_days()
    if steady:
        return [e for day in days for e in (Exposure(day, minutes, inputs, session),
                                            Exposure(day, minutes, touch, {}, every))]
    return [Exposure(day, minutes, inputs | touch, session, every) for day in days]


def needle_drive(course: Needling, table: Mapping[str, Any]) -> tuple[float, float]:
    """Afferent drive g(I) at local and at distal points, each 0 to 1."""
    if course.mode == "electro":
        half, current = table["electro_half_milliamps"], course.milliamps or 0.0
        p = half["exponent"]["value"]
        g = {site: current**p / (current**p + half[site]["value"] ** p) for site in ("local", "distal")}
    else:
        kind = course.mode if course.sham else "de_qi" if course.de_qi else "without"
        by_hand = table["manual_drive"][kind]["value"]
        g = {"local": by_hand, "distal": by_hand}
    here = any(point in ("local", "trigger_point") for point in course.points)
    there = any(point in ("distal", "extra_segmental") for point in course.points)
    return g["local"] * here, g["distal"] * there


def receptor_weights(course: Needling, table: Mapping[str, Any]) -> tuple[float, float]:
    """Shares of the drive that release mu/delta and kappa peptide."""
    table = table["frequency"]
    if course.mixed == "simultaneous":
        return 0.0, 1.0
    if course.mixed == "alternating":
        weights = [_mu_weight(f, table) for f in course.frequency_hz]
        return max(weights), max(1.0 - w for w in weights)
    w_mu = _mu_weight(course.frequency_hz[0] if course.frequency_hz else table["by_hand_hz"]["value"], table)
    return w_mu, 1.0 - w_mu


def _mu_weight(frequency_hz: float, table: Mapping[str, Any]) -> float:
    return 1.0 / (1.0 + (frequency_hz / table["crossover_hz"]["value"]) ** table["exponent"]["value"])


def depth_of(course: Needling, table: Mapping[str, Any]) -> float:
    """0 in the skin, 1 in muscle."""
    table = table["depth"]
    if course.depth is None:
        return 0.0
    if isinstance(course.depth, str):
        return table[course.depth]["value"]
    return 1.0 if course.depth >= table["muscle_from_mm"]["value"] else 0.0


def _noxious(course: Needling, table: Mapping[str, Any]) -> float:
    """Drive of A-delta and C fibres; under current it climbs steeply where their thresholds lie."""
    table = table["noxious"]
    if course.mode == "electro":
        p, half = table["electro_exponent"]["value"], table["electro_half_milliamps"]["value"]
        current = course.milliamps or 0.0
        return current**p / (current**p + half**p)
    return table["nonpenetrating" if not course.penetrating else "de_qi" if course.de_qi else "without"]["value"]


def _ltd(course: Needling, table: Mapping[str, Any]) -> float:
    """Slow noxious drive in the painful segment; depression stays where it was caused (human_ltd_homotopic_2008)."""
    table = table["ltd"]
    if not any(point in ("local", "trigger_point") for point in course.points):
        return 0.0
    if course.mode == "electro":
        slow = min(course.frequency_hz) <= table["highest_hz"]["value"]
        current = course.milliamps or 0.0
        return slow * current / (current + table["electro_half_milliamps"]["value"])
    return table["by_hand"]["value"] if course.de_qi else 0.0


def _muscle_dose(course: Needling, deep: float, table: Mapping[str, Any]) -> float:
    table = table["dose"]
    if not course.penetrating:
        return table["sham_nonpenetrating"]["value"]
    return table["deep" if deep > 0.5 else "superficial"]["value"]


@exposures.register
def _exercise(course: Exercise, _: Any = None) -> list[Exposure]:
    row, intensity = actions()["exercise"][course.kind], actions()["exercise_intensity"][course.intensity]["value"]
    inputs = {"load": min(row["load"] * intensity, 1.0), "aerobic": min(row["aerobic"] * intensity, 1.0)}
    days = course.schedule.session_days()
    since = [REST_SESSION["days_since_training"]] + [b - a for a, b in zip(days, days[1:], strict=False)]
    bouts = [Exposure(day, course.schedule.minutes, inputs,
                      REST_SESSION | {"training": row["training"], "days_since_training": gap})
             for day, gap in zip(days, since, strict=True)]
    fewer_flares = log(actions()["exercise_flare_hazard_ratio"]["value"])
    return [*bouts, _throughout(course, {"flare_log_hazard": fewer_flares})]


@exposures.register
def _stretching(course: Stretching, _: Any = None) -> list[Exposure]:
    inputs = {"stretch": actions()["stretching"][course.intensity]["value"]}
    return [Exposure(day, course.schedule.minutes, inputs) for day in course.schedule.session_days()]


@exposures.register
def _heat(course: Heat, _: Any = None) -> list[Exposure]:
    inputs = {"skin_contact": 1.0, "skin_step": actions()["heat_skin_step"][course.device]["value"]}
    return [Exposure(day, course.schedule.minutes, inputs) for day in course.schedule.session_days()]


@exposures.register
def _cold(course: Cold, _: Any = None) -> list[Exposure]:
    inputs = {"skin_contact": 1.0, "skin_step": actions()["cold_skin_step"][course.device]["value"]}
    return [Exposure(day, course.schedule.minutes, inputs) for day in course.schedule.session_days()]


@exposures.register
def _medicine(course: Medicine, _: Any = None) -> list[Exposure]:
    row = {key: value for key, value in actions()["medicine"].get(course.name, {}).items() if key != "source"}
    share = 1.0 if course.regular else actions()["medicine"]["as_needed"]["value"]
    return [_throughout(course, {name: share * value for name, value in row.items()})] if row else []


@exposures.register
def _lifestyle(course: Lifestyle, _: Any = None) -> list[Exposure]:
    table = actions()["lifestyle"]
    share = table["share_of_advice"]["value"] if course.programme == "advice" else 1.0
    row = {name: share * value for name, value in table[course.target].items() if name != "source"}
    return [_throughout(course, row)]


@exposures.register
def _usual(course: UsualCare, _: Any = None) -> list[Exposure]:
    row = {name: value for name, value in actions()["guideline_care"][course.kind].items() if name != "source"}
    return [_throughout(course, row)]


@exposures.register(Waiting)
@exposures.register(Placebo)
def _meaning_only(course: Course, _: Any = None) -> list[Exposure]:
    return []


def _throughout(course: Course, inputs: Mapping[str, float]) -> Exposure:
    """An exposure over the whole course, without sessions."""
    weeks = course.schedule.weeks
    return Exposure(7.0 * course.schedule.start_week, 7.0 * MINUTES_PER_DAY * weeks, dict(inputs), slow=True)


def context_strength(course: Course) -> float:
    """How strongly the context of a course works, from the one table of context strengths."""
    table = actions()["context"]
    key: str
    if isinstance(course, Needling):
        key = course.mode if course.sham else "needling_open"
    elif isinstance(course, Exercise):
        key = "exercise_supervised" if course.supervised else "exercise_home"
    elif isinstance(course, Medicine):
        key = "nsaid" if course.name == "nsaid" else "other_medicine"
    elif isinstance(course, UsualCare):
        key = f"usual_{course.kind}"
    elif isinstance(course, Placebo):
        key = "placebo_open_label" if course.open_label else "placebo"
    else:
        key = course.care
    return table[key]["value"]
