"""The practice: what became of its patients beside what was forecast, and what went wrong beside what was published."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from ...consult.wording import plain
from .. import figures
from ..catalogue import Words, texts
from ..guard import Caller, Store, Who, own_records
from ..locale import Locale
from ..outcomes import FEWEST, Course, outcomes
from ..page import locale_of, page
from ..rates import rates
from ..store.practice import Seen, courses, harms
from ..stricta import table

router = APIRouter()
WEEKS = (6, 12, 26)
SAID = frozenset({"not_effect", "few"})
"""Notes that the page says where they matter."""


@router.get("/practice", name="practice")
def practice(request: Request, caller: Who, database: Store, week: Annotated[int, Query()] = 12) -> Response:
    """Outcomes against forecasts at one week, of one's own patients and of all; adverse events."""
    week = week if week in WEEKS else 12
    today, own = datetime.date.today(), own_records(caller)
    with database.read() as store:
        mine, everybody = courses(store, today, own), courses(store, today)
        seen, seen_by_all = harms(store, own), harms(store)
    fmt = locale_of(request)
    words = texts(fmt.language)
    own_shown = _shown(mine, week, caller, words, fmt, "own")
    all_shown = _shown(everybody, week, caller, words, fmt, "all") if _may_show(mine, everybody) else None
    notes = [note for part in (own_shown, all_shown) if part for note in part["found"]["notes"] if note not in SAID]
    return page(request, "practice/practice.html.j2", week=week, weeks=WEEKS, few=FEWEST, mine=own_shown,
                everybody=all_shown, told=list(dict.fromkeys(notes)),
                harms_mine=_harms(seen, words, fmt, "own"),
                harms_all=_harms(seen_by_all, words, fmt, "all") if _may_tell(seen, seen_by_all) else None)


def _may_show(mine: Sequence[Course], everybody: Sequence[Course]) -> bool:
    """Whether totals of all may stand beside one's own: the difference is that of the others, and few of them would be
    told by it."""
    others = {course.person for course in everybody} - {course.person for course in mine}
    return len(others) >= FEWEST


def _may_tell(mine: Seen, everybody: Seen) -> bool:
    return len(everybody.patients - mine.patients) >= FEWEST


def _shown(given: Sequence[Course], week: int, caller: Caller, words: Words, fmt: Locale, name: str) -> dict[str, Any]:
    """Outcomes with their figures; clinicians without names but one's own."""
    others = sorted({course.clinician for course in given} - {caller.account})
    label = {caller.account: words["practice"]["you"]} | {
        id: words["practice"]["other"].format(n=k + 1) for k, id in enumerate(others)}
    found = outcomes([replace(course, clinician=label[course.clinician], kind=_kind(course.kind))
                      for course in given], week)
    drawn = words["figures"]
    shown: dict[str, Any] = {"found": found, "calibration": None}
    for part in ("clinician", "kind"):
        rows: list[Mapping[str, Any]] = found["by"][part]
        shown[part] = figures.funnel(rows, drawn["funnel"], week, f"{name}-{part}", number=fmt.number) if any(
            not row["few"] for row in rows) and len(rows) > 1 else None
    if found["calibration"]:
        shown["calibration"] = figures.calibration(found["calibration"], drawn["calibration"], week,
                                                   f"{name}-calibration", number=fmt.number)
    return shown


def _harms(seen: Seen, words: Words, fmt: Locale, name: str) -> dict[str, Any]:
    """Rates of harm with their figures: those over all kinds, and of each kind that was seen."""
    rows = rates(seen.harms, seen.treatments, seen.patients)
    told = [row for row in rows if row["kind"] in table()["summaries"] or row["per_patient"]["count"]
            or row["per_patient"]["unplaced"]]
    labels, drawn = words["stricta"]["kinds"], words["figures"]["rates"]
    return {"treatments": len(seen.treatments), "patients": len(seen.patients), "events": len(seen.harms),
            "rows": told, "unplaced": told[0]["per_treatment"]["unplaced"],
            **{unit: figures.rates(told, labels, unit, drawn, f"{name}-{unit}", number=fmt.number)
               if not told[0][unit]["few"] else None for unit in ("per_treatment", "per_patient")}}


def _kind(kinds: str) -> str:
    return " + ".join(plain(kind) for kind in kinds.replace(",", " ").split()) or "–"
