"""Shares of responders, and the rule that makes a person one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .entries import Place, count, interval, mapping, number, sequence, text
from .measures import find
from .moments import moment_of
from .points import Outcome, Study
from .records import Found, Responder, Scale

_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*(?:%|percent)", re.IGNORECASE)
_POINTS = re.compile(r"(\d+(?:\.\d+)?)\s*-?\s*(?:points?|units?|mm|cm)\b", re.IGNORECASE)
_AT_LEAST = re.compile(r"(?:>=?|≥|\bat least|\bmore than|\bgreater than|\bby|\bof)\s*(\d+(?:\.\d+)?)", re.IGNORECASE)
_BELOW = re.compile(r"(?:\bbelow|\bunder|\bless than|<=?|≤|\bat most|\bno more than)\s*(\d+(?:\.\d+)?)"
                    r"|(\d+(?:\.\d+)?)\s*or (?:less|lower|below)", re.IGNORECASE)
_FALL = re.compile(r"reduc|improv|decreas|\bfall|\bfell|lower than baseline|change|relief|better|\bdrop"
                   r"|\bMCID|important", re.IGNORECASE)
_RULE_WORDS = re.compile(r"[\d.]+\s*(?:%|percent)|\bnon-?respond\w*|\brespond\w*|\brelief|\bimprov\w*|\brecover\w*"
                         r"|\bclinically \w+", re.IGNORECASE)
"""What a definition says beside the measure's name."""
_TIME = re.compile(r"\b(?:at |within |after |by )?\d+(?:\.\d+)?[\s-]*(?:h|hours?|min\w*|days?|weeks?|months?|years?)\b",
                   re.IGNORECASE)


def read_responders(rows: object, place: Place, study: Study, outcomes: tuple[Outcome, ...], found: Found) -> None:
    """Read the shares of responders of a file.

    Arguments:
        rows: the list under `responders`.
        place: of the list.
        study: the file they stand in.
        outcomes: its measures, for names and scales.
        found: takes observations and what is not used.

    Raises:
        InputError: an arm that does not exist, a share outside 0-100, more responders than people.
    """
    for i, item in enumerate(sequence(rows, place)):
        here = place.at(i)
        row = mapping(item, here)
        definition, arm = text(row, "definition", here), study.check_arm(row, "arm", here)
        share, n = _share(row, here)
        ci = interval(row, "ci95", here)
        moment, read = moment_of(row, here, study.course), rule_of(definition, outcomes)
        reason = study.unclear or ("a group made of several arms" if arm is None else None)
        if reason is None and isinstance(read, str):
            reason = read
        if reason is None and not moment.week:
            reason = moment.reason or "no time after the start"
        if reason is not None or arm is None or isinstance(read, str):
            found.leave_out(f"{here} ({definition})", str(reason))
            continue
        if share is None:
            found.leave_out(f"{here} ({definition})", "no share is given")
        rule, template = read
        n = n or study.people(arm)
        se = (ci[1] - ci[0]) / 3.92 / 100.0 if ci is not None and ci[1] > ci[0] else _error(share, n)
        made = template.observe(arm, moment, "responders", share, se, n)
        found.observations.append(replace(made, rule=rule))


def rule_of(definition: str, outcomes: tuple[Outcome, ...]) -> tuple[Responder, Outcome] | str:
    """The rule that a definition states, with the measure it is about, or why there is none.

    Arguments:
        definition: such as `>=30% reduction in RMDQ` or `VNRS below 4 at 1 hour`.
        outcomes: the measures of the file.
    """
    said = _TIME.sub("", definition)
    shares, points = _PERCENT.findall(said), _POINTS.findall(said)
    if len(shares) + len(points) > 1:
        return "several thresholds in one rule"
    name = " ".join(_RULE_WORDS.sub(" ", definition).split())
    measure = find(name)
    if measure is None:
        return "not a rule about pain or disability"
    if not measure.used:
        return f"not a rule about pain or disability: {measure.reason}"
    outcome = _outcome(name, measure.instrument, measure.domain, outcomes)
    domain, scale = outcome.domain, outcome.scale
    if shares:
        if not scale.higher_is_worse:
            return "a share of a score in which higher is better"
        share = float(shares[0]) / 100.0
        return (Responder(domain, relative=share), outcome) if 0.0 < share <= 1.0 else "no share between 0 and 100 %"
    below = _BELOW.search(said)
    if not points and _FALL.search(said):
        points = _AT_LEAST.findall(said)
    if points and _FALL.search(said):
        return Responder(domain, absolute=_within(float(points[0]), scale)), outcome
    if below and not _FALL.search(said) and scale.higher_is_worse:
        return Responder(domain, level=scale.level(float(below[1] or below[2]))), outcome
    return "no threshold of a score"


def _within(points: float, scale: Scale) -> float:
    return min(scale.width(points), 100.0)


def _outcome(name: str, instrument: str, domain: str, outcomes: tuple[Outcome, ...]) -> Outcome:
    """The file's measure that a rule is about: of the instrument, else of the domain, else by the table."""
    used = [o for o in outcomes if o.measure.used and not o.measure.percent]
    for o in used:
        if o.measure.instrument == instrument:
            return o
    if instrument == "pain_nrs" and not re.search(r"N?P?RS|numeric", name, re.IGNORECASE):
        for o in used:
            if o.domain == domain:
                return o
    measure = find(name)
    assert measure is not None
    scale = Scale(measure.low, measure.high, measure.higher_is_worse)
    return Outcome(measure.names[0], measure, scale, Place(None), None)


def _share(row: Mapping[str, Any], place: Place) -> tuple[float | None, int | None]:
    percent, n = number(row, "percent", place, 0.0, 100.0), count(row, "n", place)
    responders = count(row, "n_responders", place, least=0)
    if responders is not None and n is not None:
        if responders > n:
            raise place.at("n_responders").refuse("more responders than people", responders, f"at most {n}")
        return responders / n, n
    return (None if percent is None else percent / 100.0), n


def _error(share: float | None, n: int | None) -> float | None:
    if share is None or not n:
        return None
    p = (share * n + 0.5) / (n + 1.0)
    return math.sqrt(p * (1.0 - p) / n)
