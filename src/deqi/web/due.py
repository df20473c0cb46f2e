"""What is due for a patient under care: reviews by week and by session, and scores that are missing."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

EARLY_DAYS = 3
"""A score this many days before a review stands for it."""
LATE_DAYS = 7
"""From so many days on, what is due is overdue."""
SCORE_DAYS = 14
"""Care that runs without a score for so many days lacks one."""

State = Literal["coming", "due", "overdue", "done"]


@dataclass(frozen=True)
class Review:
    """One look at how it goes.

    Arguments:
        week: of the plan.
        session: that it follows; None for one that goes by the week alone.
        day: on which it falls; for one after a session that was not given yet, the day that the plan has it on.
        state: how it stands.
    """

    week: int
    session: int | None
    day: datetime.date
    state: State


def reviews(began: datetime.date, rules: Sequence[Mapping[str, Any]], treated: Sequence[datetime.date],
            scored: Sequence[datetime.date], today: datetime.date) -> list[Review]:
    """Return the reviews of a plan, the earliest first.

    A review is done with a score on its day, up to three days before, or at any time after. One that follows a session
    waits for that session, whatever the calendar says.

    Arguments:
        began: the day the plan began.
        rules: `Plan.review`.
        treated: days of the sessions under this plan, in order.
        scored: days of pain scores.
        today: this day.
    """
    found = []
    for rule in rules:
        week, session = int(rule["week"]), rule.get("session")
        given = session is None or len(treated) >= session
        day = treated[session - 1] if session is not None and given else began + datetime.timedelta(weeks=week)
        found.append(Review(week, session, day, _state(day, given, scored, today)))
    return sorted(found, key=lambda review: review.day)


def days_without_score(began: datetime.date, scored: Sequence[datetime.date], today: datetime.date) -> int | None:
    """Return for how many days a plan has run without a pain score; None if that is no more than two weeks.

    Arguments:
        began: the day the plan began.
        scored: days of pain scores, before the plan too.
        today: this day.
    """
    since = (today - max([began, *(day for day in scored if day <= today)])).days
    return since if since > SCORE_DAYS else None


def _state(day: datetime.date, given: bool, scored: Sequence[datetime.date], today: datetime.date) -> State:
    if not given or today < day - datetime.timedelta(days=EARLY_DAYS):
        return "coming"
    if any(day - datetime.timedelta(days=EARLY_DAYS) <= each <= today for each in scored):
        return "done"
    if today < day:
        return "coming"
    return "overdue" if today > day + datetime.timedelta(days=LATE_DAYS) else "due"
