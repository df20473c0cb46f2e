"""Who took part in a trial: duration, entry criterion, whether they lie outside deqi's population, baseline text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .entries import Place, number, words
from .measures import Measure, find
from .records import Baseline, Found, Scale

WEEKS_PER = {"day": 1 / 7, "week": 1.0, "month": 52.18 / 12, "year": 52.18}
_DURATION = re.compile(r"\b(?:mean|median)s?\b([^;]*?)\b(day|week|month|year)s?\b", re.IGNORECASE)
_TIME_UNIT = r"(?!\s*-?\s*(?:days?|weeks?|wks?|months?|years?|yrs?|h\b|hours?|min|%|percent))"
_ENTRY = (
    re.compile(r"\b(?:V?NP?RS|VAS|pain)\b[^;]{0,40}?(?:>=|≥|>|\bat least|\bover|\babove|\bminimum(?: of)?)\s*"
               r"(\d+(?:\.\d+)?)(?![\d.])" + _TIME_UNIT, re.IGNORECASE),
    re.compile(r"\b(?:V?NP?RS|VAS|pain)\b[^;]{0,40}?(\d+(?:\.\d+)?)\s*(?:mm|cm|/\s*100?)?\s*"
               r"or (?:more|higher|above|greater)", re.IGNORECASE),
)
_OUTSIDE = (
    (re.compile(r"pregnan|gestation|postpartum", re.IGNORECASE), "pregnancy"),
    (re.compile(r"after (?:back |spinal |spine )?surgery|post-?(?:surg|operat)|failed back", re.IGNORECASE),
     "after surgery"),
    (re.compile(r"sciatica|leg pain is primary|radiculopathy|radicular pain", re.IGNORECASE),
     "sciatica or leg pain is the complaint"),
    (re.compile(r"any spinal level|not lbp only|upper \(|osteoarthritis|migraine|rest neck|any site|neck pain|headache"
                r"|mixed (?:pain )?sites", re.IGNORECASE), "other spinal levels or conditions too"),
    (re.compile(r"\bchildren|adolescen|fracture|spondyloarthr|ankylosing|osteopor|cancer|tumou?r|infection",
                re.IGNORECASE), "a specific disease or age outside deqi's"),
)
_NOT_MEANT = re.compile(r"exclud|(?<!with or )without|\bno\b", re.IGNORECASE)
_NOT_RANDOMISED = re.compile(r"\bnot randomi[sz]ed|\bnon-?randomi[sz]ed (?:study|trial)|observational|uncontrolled"
                             r"|before-after|allocation may not be random|not clear that allocation was random",
                             re.IGNORECASE)


@dataclass(frozen=True)
class People:
    """What is known of those who took part; fields as in `Trial`."""

    duration_weeks: float | None
    entry_nrs: float | None
    randomised: bool
    crossover: bool
    radicular: bool | None
    outside: str | None
    age_mean: float | None
    female_pct: float | None
    n_randomised: int | None


def people_of(body: Mapping[str, Any], population: Mapping[str, Any], place: Place) -> People:
    """Read who took part.

    Arguments:
        body: the whole file.
        population: its `population`.
        place: of the population.

    Raises:
        InputError: an age outside 0-120, a share outside 0-100, a number of people that is none.
    """
    said = words(population, "duration", "notes")
    n = number(population, "n_randomised", place, 1, 10_000_000, whole=True)
    allowed, stated = population.get("radicular_allowed"), body.get("randomised")
    return People(
        duration_weeks=_duration(population, place), entry_nrs=_entry(said),
        randomised=stated if isinstance(stated, bool) else not (
            _NOT_RANDOMISED.search(said) or re.search("uncontrolled", words(body, "extraction_notes"))),
        crossover=re.search("cross-?over", said + words(body, "extraction_notes", "design"), re.IGNORECASE) is not None,
        radicular=allowed if isinstance(allowed, bool) else None, outside=_outside(body, population),
        age_mean=number(population, "age_mean", place, 0, 120),
        female_pct=number(population, "female_pct", place, 0, 100), n_randomised=None if n is None else int(n))


def text_baselines(population: Mapping[str, Any], place: Place, arms: tuple[str, ...],
                   outcomes: Mapping[str, tuple[str, Scale]], found: Found) -> None:
    """Read baselines from words such as `64.8 (SD 14.0) VAS 0-100`; they fill what no point gives.

    Arguments:
        population, place: where `baseline_pain` stands.
        arms: ids of the arms; the words hold for all of them.
        outcomes: of each instrument in the file, the measure's name and scale.
        found: takes the baselines.

    Raises:
        InputError: a mean outside its own scale.
    """
    said = population.get("baseline_pain")
    if said is None:
        return
    for part in str(said).split(";"):
        amount = re.search(r"(\d+(?:\.\d+)?)", part)
        top = re.search(r"\b0\s*(?:-|–|to)\s*(\d+)", part)
        measure = find(part)
        if amount is None or top is None or measure is None or not measure.used or measure.percent:
            found.leave_out(place.at("baseline_pain"), f"no number with a known measure and scale ({part.strip()})")
            continue
        scale = Scale(0.0, float(top[1]), measure.higher_is_worse)
        mean = number({"baseline_pain": float(amount[1])}, "baseline_pain", place, 0.0, scale.high)
        spread = re.search(r"SD\s*(\d+(?:\.\d+)?)", part)
        sd = scale.width(float(spread[1])) if spread else None
        assert mean is not None
        _fill(measure, Baseline(scale.level(mean), sd), part.strip(), arms, outcomes, found)


def _fill(measure: Measure, baseline: Baseline, said: str, arms: tuple[str, ...],
          outcomes: Mapping[str, tuple[str, Scale]], found: Found) -> None:
    name = outcomes[measure.instrument][0] if measure.instrument in outcomes else said
    for arm in arms:
        own = found.baselines.get((arm, name))
        if own is None:
            found.baselines[arm, name] = baseline
        elif own.sd is None and baseline.sd is not None:
            found.baselines[arm, name] = Baseline(own.mean, baseline.sd)


def _duration(population: Mapping[str, Any], place: Place) -> float | None:
    stated = number(population, "duration_weeks", place, 0.0, 6300.0)
    if stated is not None:
        return stated
    match = _DURATION.search(words(population, "duration"))
    if match is None:
        return None
    amounts = [float(x) for x in re.findall(r"\d+(?:\.\d+)?", re.sub(r"\([^)]*\)", "", match[1]))]
    return sum(amounts) / len(amounts) * WEEKS_PER[match[2].lower()] if amounts else None


def _entry(said: str) -> float | None:
    for pattern in _ENTRY:
        if match := pattern.search(said):
            value = float(match[1])
            least = value if value <= 10.0 else value / 10.0
            return least if least <= 10.0 else None
    return None


def _outside(body: Mapping[str, Any], population: Mapping[str, Any]) -> str | None:
    if site := body.get("body_site"):
        return f"another part of the body: {site}"
    for clause in re.split(r"[;.]", words(population, "duration", "notes")):
        if _NOT_MEANT.search(clause):
            continue
        for pattern, reason in _OUTSIDE:
            if pattern.search(clause):
                return reason
    return None
