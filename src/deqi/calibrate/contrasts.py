"""Differences between two arms, with their sign made one: arm minus versus on 0-100, negative favours the arm.

Trials print them as differences of scores or as differences of improvements. The arms' own values tell which, else the
words beside the difference, else another difference of the same measure, else the convention of the files (arm minus
versus in the instrument's own direction).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from statistics import NormalDist
from typing import Any

from .entries import Place, count, interval, is_range, mapping, number, sequence, standard_error, words
from .moments import Moment, moment_of
from .points import Outcome, Study
from .records import Found, Observation

_AS_IT_IS = re.compile(r"sign (?:was |is |were )?(?:turned|set|flipped|changed)|arm minus versus|schema"
                       r"|difference of (?:means|scores)|negative (?:favou?rs|is improvement|means improvement)",
                       re.IGNORECASE)
_OF_IMPROVEMENT = re.compile(r"reduction|decrease|improve(?:d|ment)|positive (?:is|favou?rs|means (?:improve|better))"
                             r"|\bgain", re.IGNORECASE)
_FAVOURS = re.compile(r"favou?r(?:s|ed|ing)?\s+(?:the\s+)?([\w -]+)", re.IGNORECASE)


def read_contrasts(outcome: Outcome, rows: object, study: Study, found: Found) -> None:
    """Read the contrasts of a measure, after its points.

    Arguments:
        outcome: the measure.
        rows: the list under `contrasts`.
        study: the file they stand in.
        found: holds the observations of the points; takes those of the contrasts and what is not used.

    Raises:
        InputError: an arm that does not exist, an interval turned round, a standard error of zero or below.
    """
    place = outcome.place.at("contrasts")
    chosen: list[tuple[Mapping[str, Any], Place, Moment]] = []
    for i, item in enumerate(sequence(rows, place)):
        here = place.at(i)
        row = mapping(item, here)
        arm = study.check_arm(row, "arm", here)
        versus = None if row.get("versus") == "baseline" else study.check_arm(row, "versus", here)
        number(row, "difference", here)
        number(row, "se", here, 0.0, above=True)
        interval(row, "ci95", here), interval(row, "ci90", here), count(row, "n", here)
        moment = moment_of(row, here, study.course)
        if not outcome.measure.used:
            continue
        if reason := _unusable(row, study, moment, arm, versus):
            found.leave_out(f"{here} ({outcome.name})", reason)
        else:
            chosen.append((row, here, moment))
    readings = [_reading(row, outcome, moment, found) for row, _, moment in chosen]
    usual = next((r for r in readings if r is not None), None)
    for (row, here, moment), reading in zip(chosen, readings, strict=True):
        _add(outcome, row, here, moment, usual if reading is None else reading, study, found)


def _unusable(row: Mapping[str, Any], study: Study, moment: Moment, arm: str | None, versus: str | None) -> str | None:
    if row.get("versus") == "baseline":
        return "a change within one arm, not a difference between arms"
    if study.unclear is not None:
        return study.unclear
    if arm is None or versus is None:
        return "a group made of several arms"
    if arm == versus:
        return "an arm against itself"
    if row.get("effect_measure") is not None:
        return f"another effect measure ({row['effect_measure']})"
    if row.get("subgroup"):
        return "a subgroup"
    if is_range(row.get("difference")):
        return "a range in words, not one number"
    if moment.week is None:
        return moment.reason
    return "no time after the start" if moment.week == 0.0 else None


def _add(outcome: Outcome, row: Mapping[str, Any], place: Place, moment: Moment, reading: float | None, study: Study,
         found: Found) -> None:
    what, own = f"{place} ({outcome.name})", number(row, "difference", place)
    arm, versus = str(row["arm"]), str(row["versus"])
    both = [study.people(arm), study.people(versus)]
    n = count(row, "n", place) or (sum(x for x in both if x) if all(both) else None)
    pairs = list(_pairs(outcome, arm, versus, moment, found.observations))
    if any(a.se is not None and b.se is not None for a, b in pairs):
        found.leave_out(what, "follows from the arms")
        return
    if own is None:
        found.leave_out(what, "no difference is given, a direction at most")
        if all(a.value is None or b.value is None for a, b in pairs):
            found.observations.append(outcome.observe(arm, moment, "difference", None, None, n, versus))
        return
    se = standard_error(row, place, n)
    se = _from_p(row.get("p"), own) if se is None else se
    if reading is None:
        favours = outcome.scale.sign * own <= 0.0
        if not favours and (se is None or abs(own) > 1.96 * se):
            found.leave_out(what, "its sign can be read in two ways")
            return
        reading = outcome.scale.sign
    width = outcome.scale.width if not outcome.measure.percent else float
    found.observations.append(outcome.observe(
        arm, moment, "difference", reading * width(own), None if se is None else width(se), n, versus))


def _reading(row: Mapping[str, Any], outcome: Outcome, moment: Moment, found: Found) -> float | None:
    """Factor that turns the printed difference into one on 0-100, higher is worse; None where nothing tells."""
    own = number(row, "difference", Place(None))
    if not own:
        return None
    for a, b in _pairs(outcome, str(row["arm"]), str(row["versus"]), moment, found.observations):
        if a.value is not None and b.value is not None and abs(a.value - b.value) > 1e-9:
            return 1.0 if (a.value - b.value) * own > 0.0 else -1.0
    said = words(row, "note", "direction")
    if favoured := _FAVOURS.search(said):
        names = favoured[1].strip().lower().replace("_", " ")
        for name, sign in ((row["arm"], -1.0), (row["versus"], 1.0)):
            if names.startswith(str(name).lower().replace("_", " ")):
                return sign if own > 0.0 else -sign
    if _AS_IT_IS.search(said):
        return outcome.scale.sign
    return -1.0 if _OF_IMPROVEMENT.search(said) else None


def _pairs(outcome: Outcome, arm: str, versus: str, moment: Moment, observations: Iterable[Observation]
           ) -> Iterable[tuple[Observation, Observation]]:
    """Values of both arms of the same measure, week and statistic."""
    here = [o for o in observations if o.outcome == outcome.name and o.week == moment.week
            and o.statistic in ("mean", "median", "change", "percent_change")]
    for a in here:
        for b in here:
            if a.arm == arm and b.arm == versus and a.statistic == b.statistic:
                yield a, b


def _from_p(p: object, difference: float) -> float | None:
    """Standard error of a difference from an exact two-sided P value."""
    try:
        exact = float(str(p))
    except ValueError:
        return None
    if not 0.0001 <= exact <= 0.9 or difference == 0.0:
        return None
    return abs(difference) / NormalDist().inv_cdf(1.0 - exact / 2.0)
