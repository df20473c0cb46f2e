"""The arms, moments and statistics of a set of trials, laid out as arrays for the reduced model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, NamedTuple

import numpy as np

from ..population.averages import context_kinds, priors
from ..population.coordinates import Coordinates
from ..population.patients import (
    Phase,
    Who,
    disability_at_enrolment,
    duration_at_enrolment,
    phase_of,
    scores_at_enrolment,
)
from .arms import Care, alone_fades_in_days, care_of
from .measures import find, measure
from .quadrature import PATIENTS, flare_variance, places_of
from .reduced import Arms, Cells, Places
from .response import Response, respond
from .trial import Arm, Observation, Trial

KINDS = ("mean", "change", "percent_change", "sd", "change_sd", "difference", "responders")
"""Statistics that the reduced model gives."""
PHASES: tuple[Phase, ...] = ("acute", "subacute", "chronic")
DISABILITY_LAG_WEEKS = 1.7
"""Disability follows pain by the lag of `tau_disability_days` (12 days in the laboratory's fit)."""
BASELINE_SD = {"pain": 8.0, "disability": 9.0}
"""Spread of trials' baseline means, 0-100, where a trial does not give its own; measured over the trials that do."""
LEAST_PARTS = 6
GAINS = {"roland_morris": "gain_rmdq", "oswestry": "gain_odi", "hannover": "gain_hfaq"}
"""Instruments of disability whose gain is free, and the average that it is."""
INSTRUMENT_SD = {"roland_morris": 22.0, "oswestry": 15.0, "hannover": 17.0}
"""Spread of scores at enrolment, 0-100, where a trial gives none (`esi_paired_scales`, `gerac2007_hfaq_sd`)."""


class Statistics(NamedTuple):
    """What is compared with what was reported; each of shape (statistics,).

    Arguments:
        kind: index in KINDS.
        cell, versus: index of the cell, and of the other arm's for a difference (-1 for none).
        relative, absolute, level: rule of a responder: share of the baseline, points of 100, or a final level; nan
            for the two that do not hold.
        shift: what the outcome's own baseline lies above that of its domain, 0-100; added to means.
    """

    kind: Any
    cell: Any
    versus: Any
    relative: Any
    absolute: Any
    level: Any
    shift: Any


class Readings(NamedTuple):
    """How each cell is read, each of shape (cells,).

    Arguments:
        disability: 1.0 for disability, 0.0 for pain.
        gain: index of the instrument in GAINS (its length for another, whose gain is 1).
    """

    disability: Any
    gain: Any


class Disability(NamedTuple):
    """Disability at enrolment, 0-100, shape (cells, patients), and the questionnaire's own error, shape (patients,)."""

    observed: Any
    error: Any


@dataclass(frozen=True)
class Problem:
    """Everything that the likelihood needs about a set of trials.

    Arguments:
        trials: the trials in the order of their index.
        rows: one for each statistic: trial index, arm id, the observation.
        arms, cells, places, statistics, readings, disability: see there.
        residual: of each statistic, what converting its scale leaves unexplained, 0-100.
        baseline_sd: of each statistic, what an unknown baseline adds, 0-100.
    """

    trials: tuple[Trial, ...]
    rows: tuple[tuple[int, Observation], ...]
    arms: Arms
    cells: Cells
    places: Places
    statistics: Statistics
    readings: Readings
    disability: Disability
    residual: np.ndarray
    baseline_sd: np.ndarray
    arm_of: np.ndarray

    @property
    def size(self) -> int:
        """Number of statistics."""
        return len(self.rows)


def is_used(observation: Observation) -> bool:
    """Whether the reduced model can say something about an observation."""
    return (observation.statistic in KINDS and not observation.momentary and 0.0 < observation.week <= 520.0
            and (observation.statistic != "responders" or observation.rule is not None))


def phase_of_trial(trial: Trial) -> Phase:
    """The phase of a trial: as stated, else by its duration; mixed populations without one count as chronic."""
    if trial.duration_weeks is not None and trial.phase in ("mixed",):
        return phase_of(trial.duration_weeks)
    return trial.phase if trial.phase in PHASES else "chronic"


def baseline_of(trial: Trial, arm: str, domain: str) -> tuple[float | None, float | None]:
    """Mean and spread at enrolment, 0-100: the arm's, else the trial's; None where nobody says."""
    own = [b for (a, outcome), b in trial.baselines.items() if a == arm and measure(outcome).domain == domain]
    every = [b for (_, outcome), b in trial.baselines.items() if measure(outcome).domain == domain]
    means = [b.mean for b in (own or every)]
    spreads = [b.sd for b in (own or every) if b.sd]
    return (float(np.mean(means)) if means else None), (float(np.mean(spreads)) if spreads else None)


def who_of(trial: Trial, arm: str) -> tuple[Who, bool]:
    """The people of an arm, and whether their baseline is known."""
    phase = phase_of_trial(trial)
    people = priors()["people"]
    mean, sd = baseline_of(trial, arm, "pain")
    usual_sd = people["baseline_sd"][phase]["value"]
    others = people["others_mean"][phase]["value"]
    spread = float(np.clip(usual_sd if sd is None else sd / 10.0, 0.8, 2.5))
    duration = trial.duration_weeks
    weeks: Any = None
    if duration is not None:
        low = {"acute": 0.2, "subacute": 6.0, "chronic": 12.0}[phase]
        centre = max(duration, low)
        weeks = {"centre": 0.75 * centre if phase == "chronic" else centre, "spread": 0.8, "low": low,
                 "high": max(4.0 * centre, 12.0)}
    disability, _ = baseline_of(trial, arm, "disability")
    level = others if mean is None else float(np.clip(mean / 10.0, 0.8, 9.3))
    return Who(phase, level, spread, weeks, entry_nrs=trial.entry_nrs, disability_mean=disability), mean is not None


def build(trials: Sequence[Trial], patients: int = PATIENTS, seed: int = 0, everything: bool = False,
          progress: Any = None) -> Problem:
    """Lay out trials as arrays.

    Arguments:
        trials: the trials.
        patients: size of the quadrature set, a power of two.
        seed: of its scrambling.
        everything: observations without a value too (to predict them).
        progress: called with each finished trial.
    """
    coordinates = Coordinates.quasi(patients, seed)
    places = places_of(coordinates)
    rows: list[tuple[int, Observation]] = []
    arm_rows: list[dict[str, Any]] = []
    arm_index: dict[tuple[int, str], int] = {}
    responses: list[Response] = []
    cells: dict[tuple[int, str, str, float], int] = {}
    chosen: list[dict[str, Any]] = []
    for number, trial in enumerate(trials):
        used = _once([o for o in trial.observations if is_used(o) and (everything or o.value is not None)])
        needed = sorted({o.arm for o in used} | {o.versus for o in used if o.versus})
        last = max((o.week for o in used), default=1.0)
        for arm in trial.arms:
            if arm.id not in needed:
                continue
            cares = care_of(arm, trial, last)
            arm_index[number, arm.id] = len(arm_rows)
            made, response = _arm(trial, number, arm, cares, ceil(last), coordinates)
            arm_rows.append(made)
            responses.append(response)
        for o in used:
            found = _statistic(trial, number, o, arm_index, cells)
            if found is not None:
                rows.append((number, o))
                chosen.append(found)
        if progress is not None:
            progress(number)
    return _packed(tuple(trials), tuple(rows), arm_rows, responses, cells, chosen, places, coordinates)


def _once(used: list[Observation]) -> list[Observation]:
    """Each datum once: a difference between two arms whose levels or changes stand beside it says nothing new."""
    known = {(o.arm, o.outcome, o.week) for o in used if o.statistic in ("mean", "change")}
    return [o for o in used if o.statistic != "difference" or not {
        (o.arm, o.outcome, o.week), (o.versus, o.outcome, o.week)} <= known]


def _arm(trial: Trial, number: int, arm: Arm, cares: Sequence[Care], weeks: int, coordinates: Coordinates
         ) -> tuple[dict[str, Any], Response]:
    who, known = who_of(trial, arm.id)
    people = priors()["people"]
    response = respond(who, cares, weeks, coordinates)
    observed = scores_at_enrolment(coordinates, who)
    return {
        "phase": PHASES.index(who.phase), "held_against": who.baseline_nrs,
        "total_sd": people["baseline_sd"][who.phase]["value"], "observed": observed,
        "weeks": duration_at_enrolment(who, coordinates), "flare_variance": flare_variance(who.phase),
        "trial": number, "parts": cares[len(cares) // 2].parts, "known": known,
        "who": who, "id": arm.id,
        "disability_known": baseline_of(trial, arm.id, "disability")[0] is not None,
    }, response


def moment(week: float, domain: str) -> float:
    """The week of the latent pain that a score at `week` looks back on."""
    middle = max(week - 0.5, 0.5 * week)
    return middle if domain == "pain" else max(middle - DISABILITY_LAG_WEEKS, 0.3 * middle)


def _statistic(trial: Trial, number: int, o: Observation, arm_index: dict[tuple[int, str], int],
               cells: dict[tuple[int, str, str, float], int]) -> dict[str, Any] | None:
    instrument = measure(o.outcome)
    rule = o.rule
    domain = o.domain if rule is None else rule.domain

    def cell(arm: str) -> int:
        key = (arm_index[number, arm], domain, o.outcome if domain == "disability" else "", moment(o.week, domain))
        return cells.setdefault(key, len(cells))

    if (number, o.arm) not in arm_index or (o.versus and (number, o.versus) not in arm_index):
        return None
    own = cell(o.arm)
    return {
        "kind": KINDS.index(o.statistic), "cell": own, "versus": cell(o.versus) if o.versus else -1,
        "relative": np.nan if rule is None or rule.relative is None else rule.relative,
        "absolute": np.nan if rule is None or rule.absolute is None else rule.absolute,
        "level": np.nan if rule is None or rule.level is None else rule.level,
        "shift": _shift(trial, o, domain), "residual": instrument.residual, "domain": domain,
    }


def _shift(trial: Trial, o: Observation, domain: str) -> float:
    own = trial.baselines.get((o.arm, o.outcome))
    whole, _ = baseline_of(trial, o.arm, domain)
    known = own is not None and whole is not None and o.statistic == "mean" and domain == "pain"
    return own.mean - whole if known else 0.0  # type: ignore[union-attr, operator]  # `known` says that neither is None


def _packed(trials: tuple[Trial, ...], rows: tuple[tuple[int, Observation], ...], arm_rows: list[dict[str, Any]],
            responses: list[Response], cells: dict[tuple[int, str, str, float], int], chosen: list[dict[str, Any]],
            places: Places, coordinates: Coordinates) -> Problem:
    kinds = context_kinds()
    most = max([LEAST_PARTS, *(len(a["parts"]) for a in arm_rows)])
    none = len(kinds)
    kind = np.full((len(arm_rows), most), none)
    start, end, alone = (np.zeros((len(arm_rows), most)) for _ in range(3))
    for i, a in enumerate(arm_rows):
        for j, part in enumerate(a["parts"]):
            kind[i, j], start[i, j], end[i, j] = kinds.index(part.kind), part.start_week, part.end_week
            alone[i, j] = 0.0 if part.by_practitioner else 7.0 / alone_fades_in_days()
    own = ("phase", "held_against", "total_sd", "observed", "weeks", "flare_variance", "trial")
    arms = Arms(
        **{key: np.array([a[key] for a in arm_rows]) for key in own},
        natural=np.stack([r.natural for r in responses]), feedback=np.stack([r.feedback for r in responses]),
        kind=kind, start=start, end=end, alone=alone)
    keys = list(cells)
    made = Cells(np.array([k[0] for k in keys]), np.array([k[3] for k in keys]),
                 *(np.stack([_at(responses[k[0]], name, k[3]) for k in keys])
                   for name in ("fixed", "flow", "weighted")))
    readings = Readings(np.array([float(k[1] == "disability") for k in keys]),
                        np.array([_gain_of(k[2]) for k in keys]))
    disability = np.stack([_disability(trials, arm_rows[k[0]], k[2], coordinates) for k in keys])
    statistics = Statistics(*(np.array([c[name] for c in chosen]) for name in Statistics._fields))
    arm_of = made.arm[statistics.cell]
    known = np.array([[a["known"], a["disability_known"]] for a in arm_rows])
    unknown = np.array([0.0 if known[arm_of[i], int(c["domain"] == "disability")] else BASELINE_SD[c["domain"]]
                        for i, c in enumerate(chosen)])
    share = np.array([{"mean": 1.0, "change": 0.5, "percent_change": 0.3}.get(KINDS[k], 0.0)
                      for k in statistics.kind])
    return Problem(trials, rows, arms, made, places, statistics, readings,
                   Disability(disability, coordinates.normal("questionnaire")),
                   np.array([c["residual"] for c in chosen]), unknown * share, arm_of)


def _gain_of(outcome: str) -> int:
    found = find(outcome) if outcome else None
    return list(GAINS).index(found.instrument) if found is not None and found.instrument in GAINS else len(GAINS)


def _disability(trials: tuple[Trial, ...], arm: dict[str, Any], outcome: str, coordinates: Coordinates) -> np.ndarray:
    """Disability of an arm's people at enrolment on the scale of one outcome."""
    who, trial = arm["who"], trials[arm["trial"]]
    own = trial.baselines.get((arm["id"], outcome))
    others = [b for (_, name), b in trial.baselines.items() if name == outcome]
    means = [b.mean for b in ([own] if own else others)]
    spreads = [b.sd for b in ([own] if own else others) if b.sd]
    gain = _gain_of(outcome)
    usual = list(INSTRUMENT_SD.values())[gain] if gain < len(GAINS) else None
    return disability_at_enrolment(coordinates, replace(
        who, disability_mean=float(np.mean(means)) if means else who.disability_mean,
        disability_sd=float(np.mean(spreads)) if spreads else usual), arm["observed"])


def _at(response: Response, name: str, week: float) -> np.ndarray:
    """A response at a moment: weekly means stand in the middle of their weeks."""
    weekly = getattr(response, name)
    axis = {"fixed": 0, "flow": 0, "weighted": 2}[name]
    last = weekly.shape[axis] - 1
    place = min(max(week - 0.5, 0.0), float(last))
    low = int(place)
    high, share = min(low + 1, last), place - low
    return (1.0 - share) * np.take(weekly, low, axis) + share * np.take(weekly, high, axis)
