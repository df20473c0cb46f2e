"""The grid of a plan: fine in and after exposures, growing to a day between them, padded to a fixed size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ..body.inputs import REST_INPUTS, REST_SESSION
from ..care.action import MINUTES_PER_DAY, Exposure, manipulation
from ..care.timeline import Timeline, join
from ..errors import InputError
from .exponential import Steps


@dataclass(frozen=True)
class Resolution:
    """How fine a grid is; chosen by measured error against the reference.

    Arguments:
        first_minutes: first step after something begins or ends, by kind as `growth`.
        in_session_minutes: longest step during an exposure (or a twentieth of it).
        moved_minutes: longest step while a needle is moved by hand.
        growth: factor from step to step after an exposure, by its kind: needling, movement, cold, other.
        soon_days, late_days: longest step while nothing happens, soon after something has and later on; none crosses
            the end of a week.
    """

    first_minutes: Mapping[str, float]
    in_session_minutes: float
    moved_minutes: float
    growth: Mapping[str, float]
    soon_days: float = 1.0
    late_days: float = 1.0


MOMENTS = Resolution({"needling": 0.2, "movement": 0.2, "cold": 0.2, "other": 0.2}, 0.8, 0.5,
                     {"needling": 1.17, "movement": 1.25, "cold": 1.05, "other": 1.18})
"""For pain at every moment: within about 0.01 NRS of the reference."""

WEEKS = Resolution({"needling": 0.5, "movement": 1.0, "cold": 0.5, "other": 0.5}, 10.0, 2.0,
                   {"needling": 1.35, "movement": 3.0, "cold": 1.3, "other": 1.5})
"""For weekly averages: within about 0.03 NRS of the reference, at half the steps."""

MONTHS = Resolution({"needling": 0.3, "movement": 1.0, "cold": 0.5, "other": 0.5}, 8.0, 0.65,
                    {"needling": 1.18, "movement": 3.0, "cold": 1.12, "other": 1.35}, 0.5, 7.0)
"""For many patients over months: under needling each moment is within 0.01 NRS in 99 of 100, each week within 0.02."""

SIZES = (256, 2048, 4096, 8192, 16384, 32768, 65536)
"""Padded lengths: a plan of the same size never compiles again."""

LATE_SHARE = 0.05
"""How the longest step grows from soon to late: as a share of the time since something last began or ended."""

_SAME = 1e-9


@dataclass(frozen=True)
class Grid:
    """Steps of a plan with the times at which they stand.

    Arguments:
        steps: what the solver runs over.
        start_days: start of each step, shape (steps,); the padding stands at the end.
        days: length of each step.
        used: number of steps before the padding.
    """

    steps: Steps
    start_days: Float[np.ndarray, "steps"]
    days: Float[np.ndarray, "steps"]
    used: int

    @property
    def week(self) -> Int[np.ndarray, "steps"]:
        """The week in which each step lies, 0 for the first; the padding lies in the last."""
        return np.asarray((self.start_days + 0.5 * self.days) // 7.0, dtype=np.int32)

    def weekly_weights(self, weeks: int) -> Float[np.ndarray, "weeks steps"]:
        """Weights that average step means over each of the weeks 1 to `weeks`."""
        edges = 7.0 * np.arange(weeks + 1)
        ends = np.minimum(edges[1:, None], self.start_days + self.days)
        overlap = ends - np.maximum(edges[:-1, None], self.start_days)
        return np.maximum(overlap, 0.0) / 7.0


def _spread(length: float, first: float, longest: float, growth: float) -> list[float]:
    """Step lengths that sum to `length`, growing from `first` to `longest`."""
    steps, total, h = [], 0.0, first
    while total + h < length * (1 - _SAME):
        steps.append(h)
        total += h
        h = min(h * growth, longest)
    return [*steps, length - total]


def _stirrings(exposure: Exposure) -> list[float]:
    """When an exposure starts or the needle is moved, days."""
    every = exposure.manipulated_every_minutes
    if not every:
        return [exposure.start_day]
    return [exposure.start_day + k * every / MINUTES_PER_DAY for k in range(int(exposure.minutes / every - _SAME) + 1)]


def _segments(line: Timeline) -> list[tuple[float, float, list[Exposure]]]:
    """Stretches of time between any two starts or ends of exposures, with what goes on in each."""
    edges = {0.0, line.days} | {7.0 * w for w in range(int(line.days // 7) + 1)}
    edges |= {min(max(t, 0.0), line.days) for e in line.exposures for t in (*_stirrings(e), e.end_day)}
    for course in line.courses:
        edges |= {t for t in (7.0 * course.schedule.start_week, 7.0 * course.schedule.end_week) if 0 < t < line.days}
    times = sorted(edges)
    kept = [times[0]] + [b for a, b in zip(times, times[1:], strict=False) if b - a > _SAME]
    active: list[Exposure] = []
    segments, upcoming = [], list(line.exposures)
    for a, b in zip(kept, kept[1:], strict=False):
        while upcoming and upcoming[0].start_day <= a + _SAME:
            active.append(upcoming.pop(0))
        active = [e for e in active if e.end_day > a + _SAME]
        segments.append((a, b, list(active)))
    return segments


def _drive_factors(together: list[Exposure], start: float, end: float) -> list[float]:
    factors = []
    for e in together:
        if e.manipulated_every_minutes is None:
            factors.append(1.0)
        else:
            a, b = ((t - e.start_day) * MINUTES_PER_DAY for t in (start, end))
            factors.append(manipulation(a, b, e.manipulated_every_minutes, e.minutes))
    return factors


def _kind(exposure: Exposure) -> str:
    inputs = exposure.inputs
    if inputs.get("needle_local") or inputs.get("needle_distal") or inputs.get("needle_mechanical"):
        return "needling"
    if inputs.get("skin_step", 0.0) < 0.0:
        return "cold"
    return "movement" if inputs.get("load") or inputs.get("stretch") else "other"


def _finest(exposures: list[Exposure], resolution: Resolution) -> str:
    return min((_kind(e) for e in exposures), key=lambda kind: resolution.growth[kind])


def build(line: Timeline, *, resolution: Resolution = MOMENTS, refine: int = 1,
          size: int | None = None, dtype: type = np.float64) -> Grid:
    """Lay the grid of a timeline.

    Arguments:
        line: the plan.
        resolution: how fine.
        refine: cut every step into so many equal ones (for convergence tests).
        size: padded length to share with other plans; longer plans take the smallest of SIZES that fits.
        dtype: of the arrays.

    Returns:
        the grid; step starts and lengths in days.
    """
    starts: list[float] = []
    lengths: list[float] = []
    rows: list[dict[str, float]] = []
    ends: list[dict[str, float] | None] = []
    since_change, kind = 1e9, "other"
    for a, b, together in _segments(line):
        fast = [e for e in together if not e.slow]
        begins = any(abs(t - a) < _SAME for e in fast for t in _stirrings(e))
        if begins:
            since_change, kind = 0.0, _finest(fast, resolution)
        growth = resolution.growth[kind]
        first = max(resolution.first_minutes[kind] / MINUTES_PER_DAY, since_change * (growth - 1.0))
        longest = min(resolution.late_days, max(resolution.soon_days, LATE_SHARE * min(since_change, a)))
        if fast:
            moved = any(e.manipulated_every_minutes is not None for e in fast)
            usual = max(resolution.in_session_minutes, max(e.minutes for e in fast) / 20.0)
            longest = (resolution.moved_minutes if moved else usual) / MINUTES_PER_DAY
        t = a
        for h in _spread(b - a, min(first, longest), longest, growth):
            row = join(together, _drive_factors(together, t, t + h))
            row["context_strength"] = line.context_at(t + 0.5 * h)
            starts.append(t)
            lengths.append(h)
            rows.append(row)
            ends.append(None)
            t += h
        since_change += b - a
        finished = [e for e in fast if abs(e.end_day - b) < _SAME]
        if finished:
            since_change, kind = 0.0, _finest(finished, resolution)
        jumps = [dict(e.session) for e in finished if e.session]
        if jumps:
            ends[-1] = {name: rest + max((j[name] - rest for j in jumps), key=abs)
                        for name, rest in REST_SESSION.items()}
    return _pad(starts, lengths, rows, ends, refine, size, dtype)


def _pad(starts: list[float], lengths: list[float], rows: list[dict[str, float]],
         ends: list[dict[str, float] | None], refine: int, size: int | None, dtype: type) -> Grid:
    used = len(lengths) * refine
    fits = next((s for s in SIZES if s >= used), 0)
    if not fits:
        raise InputError("too much care over too long a time to simulate", found=f"{used} steps",
                         accepted=f"at most {SIZES[-1]} steps: fewer weeks or fewer sessions")
    size = fits if size is None else max(size, fits)
    days = np.zeros(size)
    days[:used] = np.repeat(np.asarray(lengths) / refine, refine)
    start_days = np.full(size, starts[-1] + lengths[-1])
    start_days[:used] = np.repeat(starts, refine) + np.tile(np.arange(refine), len(lengths)) * days[:used]

    inputs: dict[str, np.ndarray] = {name: np.full(size, rest, dtype=dtype) for name, rest in REST_INPUTS.items()}
    for name, values in inputs.items():
        values[:used] = np.repeat([row[name] for row in rows], refine)
    session: dict[str, np.ndarray] = {name: np.full(size, rest, dtype=dtype) for name, rest in REST_SESSION.items()}
    ends_session = np.zeros(size, dtype=bool)
    for index, event in enumerate(ends):
        if event is not None:
            last = (index + 1) * refine - 1
            ends_session[last] = True
            for name, value in event.items():
                session[name][last] = value
    return Grid(Steps(days.astype(dtype), inputs, session, ends_session), start_days, days, used)
