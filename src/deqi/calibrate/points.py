"""The values of one measure by arm and time: baselines at week 0, observations afterwards."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .entries import Place, count, interval, is_range, mapping, number, sequence, standard_error
from .measures import Measure
from .moments import Course, Moment, moment_of
from .records import Arm, Baseline, Found, Observation, Scale, Statistic

VALUES = ("mean", "adjusted_mean", "median", "change", "percent_change", "value")
SPREADS = ("sd", "se", "mean_se", "change_sd", "change_se")
INTERVALS = ("ci95", "ci90", "change_ci95", "change_ci90")
LEAST_SPREAD = 0.04
"""An SD between people below this share of the range reads like a standard error, with more than 20 people."""
_POOLED = re.compile(r"pooled|\ball\b|\bboth\b|\bthe (?:two|three|four) arms|range over|^baseline\b|^overall$|^total$"
                     r"|^combined (?:groups|arms)", re.IGNORECASE)
_EVERYBODY = re.compile(r"(?:baseline )?(?:all|both|overall|total)(?: arms| groups)?(?: pooled)?|both arms pooled",
                        re.IGNORECASE)


@dataclass(frozen=True)
class Study:
    """What the readers of values need to know of the whole file.

    Arguments:
        arms: the arms.
        course: length of the care.
        shared: people in an arm without a number of its own, if that can be told.
        unclear: why none of the values may be used, or None.
    """

    arms: tuple[Arm, ...]
    course: Course
    shared: int | None
    unclear: str | None

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the arms."""
        return tuple(arm.id for arm in self.arms)

    def people(self, arm: str) -> int | None:
        """People in an arm: its own number, else an equal share of the rest."""
        own = next((a.n for a in self.arms if a.id == arm), None)
        return self.shared if own is None else own

    def check_arm(self, row: Mapping[str, Any], key: str, place: Place) -> str | None:
        """The id of a real arm; None for a group made of arms.

        Raises:
            InputError: no arm and no such group.
        """
        name = row.get(key)
        if isinstance(name, int | float) and not isinstance(name, bool):
            name = str(name)
        if isinstance(name, str) and name in self.ids:
            return name
        parts = re.split(r"\s*[+/,&]\s*|_and_|\s+and\s+", str(name))
        joined = len(parts) > 1 and all(part in self.ids for part in parts)
        subset = any(str(name).startswith(f"{id} (") for id in self.ids)
        if isinstance(name, str) and (joined or subset or _POOLED.search(name.replace("_", " "))):
            return None
        problem = "missing" if name is None else "no such arm"
        raise place.at(key).refuse(problem, name, " | ".join(self.ids) + ", or a name that says `pooled` or `all`")


@dataclass(frozen=True)
class Outcome:
    """One measure of a file, and how its scores become 0-100.

    Arguments:
        name: as in the file.
        measure: what it is to deqi.
        scale: range and direction.
        place: in the file.
        bounds: the range as stated, against which means are checked; None where it is not.
        spread_only: only its spreads are used.
    """

    name: str
    measure: Measure
    scale: Scale
    place: Place
    bounds: tuple[float, float] | None
    spread_only: bool = False

    @property
    def domain(self) -> Literal["pain", "disability"]:
        """Pain or disability, for a measure that is used."""
        return "disability" if self.measure.domain == "disability" else "pain"

    def observe(self, arm: str, moment: Moment, statistic: Statistic, value: float | None, se: float | None,
                n: int | None, versus: str | None = None) -> Observation:
        """An observation of this measure; value and se are on 0-100."""
        assert moment.week is not None
        momentary = moment.momentary or self.measure.momentary
        return Observation(arm, versus, self.name, self.measure.instrument, self.domain, moment.week, statistic, value,
                           se, n, None, self.scale, momentary)


def read_points(outcome: Outcome, rows: object, study: Study, found: Found) -> None:
    """Read the points of a measure.

    Arguments:
        outcome: the measure.
        rows: the list under `points`.
        study: the file they stand in.
        found: takes baselines, observations and what is not used.

    Raises:
        InputError: an arm that does not exist, a number out of its range, a spread of zero or below.
    """
    place = outcome.place.at("points")
    at: dict[tuple[str, float], dict[str, Observation]] = {}
    for i, item in enumerate(sequence(rows, place)):
        here = place.at(i)
        row = mapping(item, here)
        _check(row, outcome, here)
        arm, moment = study.check_arm(row, "arm", here), moment_of(row, here, study.course)
        what = f"{here} ({outcome.name})"
        if not outcome.measure.used:
            continue
        reason = _unusable(row, study, moment)
        if reason is None and arm is None and not (moment.week == 0.0 and _EVERYBODY.fullmatch(
                str(row["arm"]).replace("_", " "))):
            reason = "a group made of several arms"
        if reason is not None:
            found.leave_out(what, reason)
        elif moment.week == 0.0:
            _baseline(row, outcome, study.ids if arm is None else (arm,), what, found)
        elif arm is not None and moment.week is not None:
            n = count(row, "n", here) or study.people(arm)
            for o in _observations(row, outcome, arm, moment, n, here, found):
                kept = at.setdefault((arm, moment.week), {})
                if o.statistic in kept and kept[o.statistic].value is not None and o.value is not None:
                    found.leave_out(what, f"a second {o.statistic} of the same arm and week; the later one is kept")
                if o.statistic not in kept or o.value is not None:
                    kept[o.statistic] = o
    for (arm, _), kept in at.items():
        _settle(outcome, arm, kept, found)


def _check(row: Mapping[str, Any], outcome: Outcome, place: Place) -> None:
    """Refuse impossible numbers, in measures that are not used as well."""
    low, high = outcome.bounds or (-math.inf, math.inf)
    for key in ("mean", "adjusted_mean", "median"):
        number(row, key, place, low, high)
    number(row, "change", place, low - high if outcome.bounds else -math.inf, high - low)
    number(row, "percent_change", place, -100.0, 1000.0)
    for key in SPREADS:
        number(row, key, place, 0.0, above=True)
    for key in INTERVALS:
        interval(row, key, place)
    for key in ("n", "n_change"):
        count(row, key, place)


def _unusable(row: Mapping[str, Any], study: Study, moment: Moment) -> str | None:
    if study.unclear is not None:
        return study.unclear
    if row.get("subgroup"):
        return "a subgroup"
    if isinstance(row.get("reported"), str):
        return "text whose meaning is not clear"
    if any(is_range(row.get(key)) for key in VALUES):
        return "a range in words, not one number"
    if row.get("value") is not None and _statistic_of(row) is None:
        return "it is not said what statistic the value is"
    return moment.reason if moment.week is None else None


def _statistic_of(row: Mapping[str, Any]) -> str | None:
    named = str(row.get("statistic") or "").strip().lower().replace(" ", "_")
    return named if named in VALUES and named != "value" else None


def _level_of(row: Mapping[str, Any], outcome: Outcome, place: Place) -> tuple[str, float] | None:
    low, high = outcome.bounds or (-math.inf, math.inf)
    for key in ("mean", "adjusted_mean", "median"):
        value = number(row, key, place)
        if value is None and _statistic_of(row) == key:
            value = number(row, "value", place, low, high)
        if value is not None:
            return key, value
    return None


def _baseline(row: Mapping[str, Any], outcome: Outcome, arms: tuple[str, ...], what: str, found: Found) -> None:
    level = _level_of(row, outcome, outcome.place)
    if level is None or outcome.measure.percent:
        found.leave_out(what, "no score at the start is given")
        return
    sd = number(row, "sd", outcome.place)
    if sd is not None and (reason := _doubt(sd, count(row, "n", outcome.place), outcome.scale, 0.5)):
        found.leave_out(f"{what}.sd", reason)
        sd = None
    for arm in arms:
        if len(arms) == 1 or (arm, outcome.name) not in found.baselines:
            found.baselines[arm, outcome.name] = Baseline(
                outcome.scale.level(level[1]), None if sd is None else outcome.scale.width(sd))


def _doubt(sd: float, n: int | None, scale: Scale, most: float) -> str | None:
    """Why an SD between people cannot be one."""
    share = sd / (scale.high - scale.low)
    if n is not None and n > 20 and share < LEAST_SPREAD:
        return "too small for an SD between people: reads like a standard error"
    if share > most * (1.2 if n is None or n < 10 else 1.05):
        return "larger than the scale allows"
    return None


def _observations(row: Mapping[str, Any], outcome: Outcome, arm: str, moment: Moment, n: int | None, place: Place,
                  found: Found) -> list[Observation]:
    """What one row says, each statistic once."""
    scale, made = outcome.scale, []
    level, change = _level_of(row, outcome, place), number(row, "change", place)
    if change is None and _statistic_of(row) == "change":
        change = number(row, "value", place)
    percent = number(row, "percent_change", place)
    if outcome.measure.percent and level is not None:
        return [outcome.observe(arm, moment, "percent_change", scale.sign * level[1], standard_error(row, place, n), n)]
    sd, usable = number(row, "sd", place), dict(row)
    if sd is not None and (reason := _doubt(sd, n, scale, 0.5)):
        found.leave_out(f"{place}.sd ({outcome.name})", reason)
        sd, usable = None, {**row, "sd": None}
    if level is not None and not outcome.spread_only:
        statistic: Statistic = "median" if level[0] == "median" else "mean"
        se = None if statistic == "median" else standard_error(usable, place, n)
        made.append(outcome.observe(arm, moment, statistic, scale.level(level[1]), _width(scale, se), n))
    if sd is not None and level is not None and level[0] != "median":
        made.append(_spread(outcome, arm, moment, "sd", sd, n))
    changed = count(row, "n_change", place) or n
    se, spread = standard_error(row, place, changed, "change_"), number(row, "change_sd", place)
    if spread is not None and (reason := _doubt(spread, changed, scale, 1.0)):
        found.leave_out(f"{place}.change_sd ({outcome.name})", reason)
        spread, se = None, standard_error({**row, "change_sd": None}, place, changed, "change_")
    elif spread is None and se is not None and changed:
        spread = se * math.sqrt(changed)
    if change is not None and not outcome.spread_only:
        made.append(outcome.observe(arm, moment, "change", scale.shift(change), _width(scale, se), changed))
    if spread is not None:
        made.append(_spread(outcome, arm, moment, "change_sd", spread, changed))
    if percent is not None and level is None and change is None:
        se = standard_error(row, place, n)
        made.append(outcome.observe(arm, moment, "percent_change", scale.sign * percent, se, n))
    if not made and not outcome.spread_only:
        found.leave_out(f"{place} ({outcome.name})", "no value is given")
        empty: Statistic = "change" if "change" in row and "mean" not in row else "mean"
        made.append(outcome.observe(arm, moment, "percent_change" if outcome.measure.percent else empty, None, None, n))
    return made


def _spread(outcome: Outcome, arm: str, moment: Moment, statistic: Statistic, own: float, n: int | None) -> Observation:
    sd = outcome.scale.width(own)
    return outcome.observe(arm, moment, statistic, sd, sd / math.sqrt(2.0 * (n - 1)) if n and n > 1 else None, n)


def _width(scale: Scale, se: float | None) -> float | None:
    return None if se is None else scale.width(se)


def _settle(outcome: Outcome, arm: str, kept: dict[str, Observation], found: Found) -> None:
    """Keep one of a mean and a change of the same arm and week; where the start is not told, it follows from both."""
    mean, change = kept.get("mean"), kept.get("change")
    if mean is not None and change is not None:
        if mean.value is not None and change.value is not None:
            start = mean.value - change.value
            if (arm, outcome.name) not in found.baselines and 0.0 <= start <= 100.0:
                found.baselines[arm, outcome.name] = Baseline(start, None)
        spare = change if mean.se is not None or change.se is None else mean
        if mean.value is None:
            spare = mean
        elif change.value is None:
            spare = change
        del kept[spare.statistic]
        if spare.value is not None:
            found.leave_out(f"{outcome.name}, {arm}, week {spare.week:g}, {spare.statistic}",
                            "the same as what stands beside it")
    found.observations.extend(kept.values())
