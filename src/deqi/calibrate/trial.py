"""Reads a trial, one that ships or one that a user wrote, into what deqi can compare with what it computes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from deqi import evidence
from deqi.reading import read_mapping

from .contrasts import read_contrasts
from .entries import Place, count, is_range, mapping, number, sequence, text
from .measures import Measure, measure
from .moments import course_of
from .people import people_of, text_baselines
from .points import Outcome, Study, read_points
from .records import Arm, Baseline, Found, Observation, Phase, Responder, Scale, Trial
from .responders import read_responders

__all__ = ["Arm", "Baseline", "Observation", "Responder", "Scale", "Summary", "Trial", "load_trial", "read_trial",
           "shipped", "summary_table", "usable"]

PHASES: tuple[Phase, ...] = ("acute", "subacute", "chronic", "mixed")
DOSES = {"sessions": 1000.0, "sessions_per_week": 100.0, "duration_weeks": 1040.0, "session_minutes": 1440.0}
"""Most that a dose can be."""


@dataclass(frozen=True)
class Summary:
    """What came of reading one trial.

    Arguments:
        id: the trial.
        usable: whether it has a value that is not of a moment.
        pain, disability: observations with a value.
        momentary: those among them that are of a moment.
        to_predict: observations without a value.
        reasons: why it is not usable, if it is not.
    """

    id: str
    usable: bool
    pain: int
    disability: int
    momentary: int
    to_predict: int
    reasons: tuple[str, ...]


def load_trial(path: str | Path) -> Trial:
    """Read a trial file that a user wrote.

    Arguments:
        path: a YAML file, or a JSON one if it ends in `.json`, in the schema of `evidence/facts/trials/`.

    Raises:
        InputError: the file cannot be read, or something in it is impossible; the first such thing is named.
    """
    file = str(path)
    return read_trial(read_mapping(path), file)


def read_trial(body: object, file: str) -> Trial:
    """Read a trial that is parsed already.

    Arguments:
        body: the content; `id`, `arms` and `outcomes` must be there.
        file: the name to put into an error.

    Raises:
        InputError: as `load_trial`.
    """
    root = Place(file)
    if not isinstance(body, Mapping):
        raise root.refuse("not a trial", type(body).__name__, "a mapping with id, condition, arms and outcomes")
    name = text(body, "id", root, "a short name of the trial")
    for key in ("arms", "outcomes"):
        if body.get(key) is None:
            raise root.at(key).refuse("missing", None, "a list")
    found, place = Found(), root.at("population")
    phase = _phase(body, root, found)
    population = mapping(body.get("population"), place)
    people = people_of(body, population, place)
    study = _study(body, root, people.n_randomised)
    outcomes = _outcomes(body, root, study, found)
    read_responders(body.get("responders"), root.at("responders"), study, outcomes, found)
    named = {o.measure.instrument: (o.name, o.scale) for o in reversed(outcomes)}
    text_baselines(population, place, study.ids, named, found)
    for i, _ in enumerate(sequence(body.get("time_to_event"), root.at("time_to_event"))):
        found.leave_out(f"time_to_event[{i}]", "times to an event are not modelled")
    return Trial(
        name, _source(body), phase, people.duration_weeks, people.entry_nrs,
        people.randomised and len(study.arms) > 1, people.crossover, people.radicular, people.outside,
        people.age_mean, people.female_pct, people.n_randomised, study.arms, found.baselines,
        tuple(found.observations), tuple(found.unused))


@cache
def shipped() -> tuple[Trial, ...]:
    """All trials of low back pain that ship with deqi, in the order of their files."""
    return tuple(read_trial(fact.body, f"{fact.file}.yaml") for fact in evidence.trials("calibrate"))


def usable(trial: Trial) -> bool:
    """Whether a trial has at least one value of pain or disability that is not of a moment."""
    return any(o.value is not None and not o.momentary for o in trial.observations)


def summary_table(trials: tuple[Trial, ...] | None = None) -> tuple[Summary, ...]:
    """What came of reading some trials.

    Arguments:
        trials: the trials; those that ship by default.
    """
    return tuple(_summary(trial) for trial in (shipped() if trials is None else trials))


def _summary(trial: Trial) -> Summary:
    given = [o for o in trial.observations if o.value is not None]
    moments = ("only pain of a moment",) if given else ()
    reasons = moments + tuple(dict.fromkeys(reason for _, reason in trial.unused))
    return Summary(
        trial.id, usable(trial), sum(o.domain == "pain" for o in given), sum(o.domain == "disability" for o in given),
        sum(o.momentary for o in given), len(trial.observations) - len(given),
        () if usable(trial) else reasons or ("no outcome has a value",))


def _phase(body: Mapping[str, Any], root: Place, found: Found) -> Phase:
    stated = body.get("condition")
    if stated is None:
        found.leave_out("condition", "not stated: read as mixed")
        return "mixed"
    folded = stated.strip().lower() if isinstance(stated, str) else stated
    for phase in PHASES:
        if phase == folded:
            return phase
    raise root.at("condition").refuse("no such condition", stated, " | ".join(PHASES))


def _study(body: Mapping[str, Any], root: Place, n_randomised: int | None) -> Study:
    place = root.at("arms")
    arms: list[Arm] = []
    for i, item in enumerate(sequence(body["arms"], place)):
        arm = _arm(mapping(item, place.at(i)), place.at(i))
        if arm.id in {other.id for other in arms}:
            raise place.at(i).at("id").refuse("the same arm twice", arm.id, "each arm once")
        arms.append(arm)
    if not arms:
        raise place.refuse("no arm", None, "a list of at least one arm")
    without = sum(arm.n is None for arm in arms)
    rest = (n_randomised or 0) - sum(arm.n or 0 for arm in arms)
    flag = body.get("quality_flag")
    unclear = f"what the numbers are is not clear ({flag})" if flag and "unclear" in str(flag) else None
    return Study(tuple(arms), course_of(arms), rest // without if without and rest >= without else None, unclear)


def _arm(row: Mapping[str, Any], place: Place) -> Arm:
    name = text(row, "id", place, "a short name of the arm")
    here, types = place.at("interventions"), _types()
    if row.get("interventions") is None:
        raise here.refuse("missing", None, "a list of interventions, each with its type")
    given = []
    for i, item in enumerate(sequence(row["interventions"], here)):
        one = mapping(item, here.at(i))
        kind = one.get("type")
        if kind not in types:
            problem = "missing" if kind is None else "no such type of intervention"
            raise here.at(i).at("type").refuse(problem, kind, " | ".join(types))
        for key, most in DOSES.items():
            if isinstance(one.get(key), int | float):
                number(one, key, here.at(i), 0.0, most)
        given.append(one)
    return Arm(name, str(row.get("label") or name), count(row, "n", place), tuple(given))


@cache
def _types() -> tuple[str, ...]:
    content = yaml.safe_load(Path(__file__).with_name("interventions.yaml").read_text(encoding="utf-8"))
    return tuple(content)


def _outcomes(body: Mapping[str, Any], root: Place, study: Study, found: Found) -> tuple[Outcome, ...]:
    place, read = root.at("outcomes"), []
    for i, item in enumerate(sequence(body["outcomes"], place)):
        here = place.at(i)
        row = mapping(item, here)
        outcome = _outcome(row, here)
        read.append(outcome)
        read_points(outcome, row.get("points"), study, found)
        read_contrasts(outcome, row.get("contrasts"), study, found)
        if not outcome.measure.used:
            found.leave_out(f"{here} ({outcome.name})", str(outcome.measure.reason))
        elif not row.get("points") and not row.get("contrasts"):
            found.leave_out(f"{here} ({outcome.name})", "it has no values")
    return tuple(read)


def _outcome(row: Mapping[str, Any], place: Place) -> Outcome:
    name = text(row, "measure", place, "the name of a measure")
    entry = measure(name, place.file, place.at("measure").path)
    stated, here = mapping(row.get("scale"), place.at("scale")), place.at("scale")
    low, high = number(stated, "min", here), number(stated, "max", here)
    if low is not None and high is not None and low >= high:
        raise here.refuse("an empty range", [low, high], "min below max")
    worse = stated.get("higher_is_worse")
    if worse is not None and not isinstance(worse, bool):
        raise here.at("higher_is_worse").refuse("not an answer", worse, "true | false")
    if worse is None:
        worse = entry.higher_is_worse
    checked = entry.used and not entry.percent
    bounds = (low, high) if low is not None and high is not None and not entry.percent else None
    low = entry.low if low is None or entry.percent else low
    high = _top(name, entry, row) if high is None or entry.percent else high
    if high <= low:
        raise here.refuse("an empty range", [low, high], "min below max")
    return Outcome(name, entry, Scale(low, high, worse), place, (low, high) if checked else bounds,
                   row.get("spread_only") is True)


def _top(name: str, entry: Measure, row: Mapping[str, Any]) -> float:
    """The highest score where the file does not state it: in the name, else the customary one that holds all means."""
    if said := re.search(r"(?<!week )(?<!weeks )\b0\s*(?:-|–|to)\s*(\d+)\b", name):
        return float(said[1])
    if entry.or_high is None:
        return entry.high
    points = row.get("points")
    listed = points if isinstance(points, list) else []
    means = [p[key] for p in listed if isinstance(p, Mapping) for key in ("mean", "adjusted_mean", "median")
             if isinstance(p.get(key), int | float) and not is_range(p.get(key))]
    smaller, larger = sorted((entry.high, entry.or_high))
    return entry.high if not means else smaller if max(means) <= smaller else larger


def _source(body: Mapping[str, Any]) -> str:
    stated = body.get("citation")
    if not isinstance(stated, Mapping):
        return str(stated) if stated else str(body["id"])
    parts = [str(stated[key]) for key in ("authors", "title", "year", "journal") if stated.get(key)]
    for key, label in (("doi", "doi "), ("pmid", "PMID "), ("pmcid", "")):
        if stated.get(key):
            parts.append(f"{label}{stated[key]}")
            break
    return ", ".join(parts) or str(body["id"])
