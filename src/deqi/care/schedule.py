"""When care happens: minutes per session, sessions a week, weeks, and the week it starts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from deqi.care.defaults import check_range
from deqi.errors import InputError

MINUTES_A_DAY = 1440.0
WAKING_DAY = 0.5  # sessions of one day share this part of it, first to last


@dataclass(frozen=True)
class Schedule:
    """When one course of care happens. Weeks count as everywhere in deqi: week 0 is the start of the plan.

    Attributes:
        minutes: length of a session; 0 where care goes on all the time (a medicine, usual care, waiting).
        times_per_week: sessions a week, 7 for once a day; 0 where care goes on all the time.
        weeks: how long the course lasts.
        start_week: when it begins.

    Raises:
        InputError: a value that is out of range, no session at all, or more than 24 hours a day.
    """

    minutes: float
    times_per_week: float
    weeks: float
    start_week: float = 0.0

    def __post_init__(self) -> None:
        if not self.is_continuous:
            check_range("minutes", self.minutes)
            check_range("times_per_week", self.times_per_week)
        check_range("weeks", self.weeks)
        check_range("start_week", self.start_week)
        if self.is_continuous:
            return
        if self.sessions < 1:
            raise InputError("no session falls into so short a course", field="weeks", found=self.weeks,
                             accepted=f"at least {_plain(0.5 / self.times_per_week)} weeks at this frequency")
        if self.minutes * math.ceil(self.times_per_week / 7) > MINUTES_A_DAY:
            raise InputError("more than 24 hours a day", field="minutes", found=self.minutes,
                             accepted="fewer minutes or fewer sessions")

    @classmethod
    def continuous(cls, weeks: float, start_week: float = 0.0) -> Schedule:
        """Return the schedule of care that goes on all the time, without sessions."""
        return cls(0.0, 0.0, weeks, start_week)

    @property
    def is_continuous(self) -> bool:
        """True for care that goes on all the time."""
        return self.minutes == 0 and self.times_per_week == 0

    @property
    def sessions(self) -> int:
        """Number of sessions in all; 0 for care that goes on all the time."""
        return math.floor(self.times_per_week * self.weeks + 0.5)

    @property
    def end_week(self) -> float:
        """The week in which the course ends."""
        return self.start_week + self.weeks

    @property
    def hours(self) -> float:
        """Hours in all sessions together."""
        return self.sessions * self.minutes / 60

    def session_days(self) -> tuple[float, ...]:
        """Return the days of all sessions, counted from the start of the plan.

        Sessions keep the same hour of the day and spread evenly over whole days (twice a week: 0, 3, 7,
        10 ...); several sessions of one day share its 12 waking hours.
        """
        if self.is_continuous:
            return ()
        first = math.floor(self.start_week * 7 + 1e-9)
        a_day = math.ceil(self.times_per_week / 7)
        gap = max(WAKING_DAY / (a_day - 1), self.minutes / MINUTES_A_DAY) if a_day > 1 else 0.0
        days: list[float] = []
        previous, rank = -1, 0
        for session in range(self.sessions):
            day = math.floor(session * 7 / self.times_per_week + 1e-9)
            rank = rank + 1 if day == previous else 0
            previous = day
            days.append(first + day + rank * gap)
        return tuple(days)


def _plain(value: float) -> str:
    return f"{value:.3g}"
