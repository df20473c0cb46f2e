"""How a number is taken from a course in time, and from its comparison: the statistics that experiments may ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

LEFT_OF_PEAK = 0.20
"""An effect lasts while more than this share of its peak is left: the dossiers' bound for an effect that is gone."""
NOTHING = 0.005
"""An effect smaller than this share of the value before is none: no share of it can be formed."""


@dataclass(frozen=True)
class Course:
    """A read-out over time in one arm; differentiable in its values, fixed in its times.

    Arguments:
        starts: start of each step, minutes, shape (steps,).
        lengths: length of each step, minutes.
        first, last: value at the start and at the end of each step, under the inputs of that step.
        sessions: when something fast begins, minutes.
        end: when the last fast thing ends, minutes.
    """

    starts: np.ndarray
    lengths: np.ndarray
    first: Any
    last: Any
    sessions: tuple[float, ...]
    end: float

    def at(self, minute: float) -> Any:
        """The value at a minute; at the moment of a change, the value just before it."""
        k = max(int(np.searchsorted(self.starts, minute - 1e-9, side="left")) - 1, 0)
        share = np.clip((minute - self.starts[k]) / self.lengths[k], 0.0, 1.0)
        return self.first[k] + share * (self.last[k] - self.first[k])


@dataclass(frozen=True)
class Question:
    """Where in time a statistic looks.

    Arguments:
        at: minutes since the start.
        base_at: when the value before is read; None for the very start.
        base: the value before itself, where the experiment gives it.
        end: when care ends; None for the end of what is fast.
        level: the level that `time_to` waits for.
    """

    at: tuple[float, ...] = ()
    base_at: float | None = None
    base: float | None = None
    end: float | None = None
    level: float | None = None


def _base(c: Course, q: Question) -> Any:
    if q.base is not None:
        return q.base
    return c.first[0] if q.base_at is None else c.at(q.base_at)


def _effect(c: Course, q: Question, minute: float | None = None) -> Any:
    return c.at(q.at[0] if minute is None else minute) - _base(c, q)


def _xp(*values: Any) -> Any:
    """JAX where a value is traced, NumPy otherwise: the same functions, without the cost of dispatch."""
    return jnp if any(isinstance(value, jax.Array) for value in values) else np


def _share(a: Any, b: Any) -> Any:
    """100 a / b; not a number where there is nothing to compare with."""
    xp = _xp(a, b)
    nothing = xp.abs(b) < 1e-9
    return xp.where(nothing, xp.nan, 100.0 * a / xp.where(nothing, 1.0, b))


def _effect_share(c: Course, q: Question, d: Course, r: Question, minute: float | None = None,
                  other: float | None = None) -> Any:
    """One effect in percent of another; not a number where that other is nothing."""
    mine, theirs = _effect(c, q, minute), _effect(d, r, other)
    xp = _xp(theirs)
    return xp.where(xp.abs(theirs) < NOTHING * xp.abs(_base(d, r)), xp.nan, _share(mine, theirs))


def _change_pct(c: Course, q: Question) -> Any:
    return _share(_effect(c, q), _base(c, q))


def _first_crossing(times: np.ndarray, below: Any, after: np.ndarray) -> Any:
    """When, at the times `after`, `below` first falls to 0 (positive before, negative after); endless if never."""
    xp = _xp(below)
    crossed = (below <= 0.0) & xp.asarray(after)
    k = xp.argmax(crossed)
    k0 = xp.maximum(k - 1, 0)
    gap = below[k0] - below[k]
    share = xp.clip(below[k0] / xp.where(xp.abs(gap) < 1e-15, 1.0, gap), 0.0, 1.0)
    t = xp.asarray(times)
    return xp.where(xp.any(crossed), t[k0] + share * (t[k] - t[k0]), xp.inf)


def _effects(c: Course, q: Question) -> tuple[np.ndarray, Any]:
    """Times and effects at both ends of every step."""
    times = np.stack([c.starts, c.starts + c.lengths], axis=1).reshape(-1)
    xp = _xp(c.first)
    effects = xp.stack([c.first, c.last], axis=1).reshape(-1) - _base(c, q)
    return times, xp.where(times < (q.base_at or -1e9), 0.0, effects)


def _peak(c: Course, q: Question) -> tuple[np.ndarray, Any, Any]:
    times, effects = _effects(c, q)
    xp = _xp(effects)
    return times, effects, xp.argmax(xp.abs(effects))


def _end(c: Course, q: Question) -> float:
    return c.end if q.end is None else q.end


def _half_life(c: Course, _: Course | None, q: Question) -> Any:
    times, effects = _effects(c, q)
    xp, end = _xp(effects), _end(c, q)
    at_end = c.at(end) - _base(c, q)
    left = effects / xp.where(xp.abs(at_end) < 1e-12, 1.0, at_end) - 0.5
    found = _first_crossing(times, left, times > end + 1e-9) - end
    return xp.where(xp.abs(at_end) < 1e-9, xp.nan, found)


def _lasts(c: Course, q: Question, since: float) -> Any:
    times, effects, k = _peak(c, q)
    xp = _xp(effects)
    left = xp.abs(effects) / xp.maximum(xp.abs(effects[k]), 1e-12) - LEFT_OF_PEAK
    after = (times >= since) & (xp.arange(len(times)) > k)
    return xp.where(xp.abs(effects[k]) < 1e-9, xp.nan, xp.maximum(_first_crossing(times, left, after) - since, 0.0))


def _rise_time(c: Course, q: Question) -> Any:
    times, effects, k = _peak(c, q)
    xp = _xp(effects)
    left = 0.5 - xp.abs(effects) / xp.maximum(xp.abs(effects[k]), 1e-12)
    return _first_crossing(times, left, times >= 0.0)


def _time_of_peak(c: Course, q: Question) -> Any:
    times, effects, k = _peak(c, q)
    xp = _xp(effects)
    return xp.where(xp.abs(effects[k]) < 1e-9, xp.nan, xp.asarray(times)[k])


def _time_to(c: Course, q: Question) -> Any:
    level = q.level or 0.0
    times, effects = _effects(c, Question(base=level))
    xp = _xp(effects)
    return _first_crossing(times, effects * xp.sign(c.first[0] - level), times >= 0.0)


def _area(c: Course, q: Question) -> Any:
    base = _base(c, q)
    return _xp(c.first).sum(np.asarray(c.lengths) * (0.5 * (c.first + c.last) - base))


def _mean(c: Course, q: Question) -> Any:
    xp = _xp(c.first)
    return xp.mean(xp.stack([c.at(t) for t in np.linspace(q.at[0], q.at[1], 101)]))


def _since_session(c: Course, minute: float) -> Any:
    """Effect against the moment before the latest session began."""
    began = max((t for t in c.sessions if t < minute - 1e-6), default=0.0)
    return c.at(minute) - (c.at(began) if began > c.starts[0] else c.first[0])


@dataclass(frozen=True)
class Statistic:
    """A number taken from an arm, or from an arm and its comparison.

    Arguments:
        meaning: in words.
        moments: how many minutes `at_minutes` must give.
        compares: whether it needs a second arm.
        null: what it says where nothing happens; None where there is no such number.
        of: (course, course of the comparison, question, question of the comparison) -> number.
    """

    meaning: str
    moments: int
    compares: bool
    null: float | None
    of: Callable[[Course, Any, Question, Question], Any]


STATISTICS: dict[str, Statistic] = {
    "value_at": Statistic("the value", 1, False, None, lambda a, b, q, r: a.at(q.at[0])),
    "change_at": Statistic("change since before", 1, False, 0.0, lambda a, b, q, r: _effect(a, q)),
    "fall_at": Statistic("fall since before", 1, False, 0.0, lambda a, b, q, r: -_effect(a, q)),
    "change_pct_at": Statistic("change in percent of the value before", 1, False, 0.0,
                               lambda a, b, q, r: _change_pct(a, q)),
    "fall_pct_at": Statistic("fall in percent of the value before", 1, False, 0.0,
                             lambda a, b, q, r: -_change_pct(a, q)),
    "percent_of_start_at": Statistic("percent of the value before", 1, False, 100.0,
                                     lambda a, b, q, r: 100.0 + _change_pct(a, q)),
    "mean_change_pct": Statistic("mean change between two minutes, percent of the value before", 2, False, 0.0,
                                 lambda a, b, q, r: _share(_mean(a, q) - _base(a, q), _base(a, q))),
    "peak": Statistic("the largest departure from the value before", 0, False, None,
                      lambda a, b, q, r: _base(a, q) + _peak(a, q)[1][_peak(a, q)[2]]),
    "peak_change_pct": Statistic("the largest departure, percent of the value before", 0, False, 0.0,
                                 lambda a, b, q, r: _share(_peak(a, q)[1][_peak(a, q)[2]], _base(a, q))),
    "time_of_peak": Statistic("minute of the largest departure", 0, False, None,
                              lambda a, b, q, r: _time_of_peak(a, q)),
    "half_time_to_peak": Statistic("minutes until half of the peak effect", 0, False, None,
                                   lambda a, b, q, r: _rise_time(a, q)),
    "half_life_after_end": Statistic("minutes after the end until half of the effect is left", 0, False, None,
                                     lambda a, b, q, r: _half_life(a, b, q)),
    "duration": Statistic("minutes until a fifth of the peak effect is left", 0, False, 0.0,
                          lambda a, b, q, r: _lasts(a, q, 0.0)),
    "duration_after_end": Statistic("minutes after the end until a fifth of the peak effect is left", 0, False, 0.0,
                                    lambda a, b, q, r: _lasts(a, q, _end(a, q))),
    "time_to": Statistic("minutes until `level` is reached", 0, False, None, lambda a, b, q, r: _time_to(a, q)),
    "effect_ratio_pct": Statistic("effect at the first minute in percent of that at the second", 2, False, None,
                                  lambda a, b, q, r: _effect_share(a, q, a, q, q.at[0], q.at[1])),
    "effect_ratio_session_pct": Statistic("the same, each effect against the moment before its own session", 2, False,
                                          None,
                                          lambda a, b, q, r: _share(_since_session(a, q.at[0]),
                                                                    _since_session(a, q.at[1]))),
    "difference_at": Statistic("value minus that of the comparison", 1, True, 0.0,
                               lambda a, b, q, r: a.at(q.at[0]) - b.at(r.at[0])),
    "difference_pct_at": Statistic("difference in percent of the comparison", 1, True, 0.0,
                                   lambda a, b, q, r: _share(a.at(q.at[0]) - b.at(r.at[0]), b.at(r.at[0]))),
    "fall_pct_difference_at": Statistic("fall in percent minus that of the comparison", 1, True, 0.0,
                                        lambda a, b, q, r: _change_pct(b, r) - _change_pct(a, q)),
    "ratio_to": Statistic("value in percent of the comparison", 1, True, 100.0,
                          lambda a, b, q, r: _share(a.at(q.at[0]), b.at(r.at[0]))),
    "log_ratio": Statistic("natural logarithm of value over comparison", 1, True, 0.0,
                           lambda a, b, q, r: _xp(a.first).log(a.at(q.at[0]) / b.at(r.at[0]))),
    "effect_share_at": Statistic("effect in percent of that of the comparison", 1, True, 100.0,
                                 lambda a, b, q, r: _effect_share(a, q, b, r)),
    "removed_pct_at": Statistic("percent of the comparison's effect that is taken away", 1, True, 0.0,
                                lambda a, b, q, r: 100.0 - _effect_share(a, q, b, r)),
    "area_ratio_pct": Statistic("area under the effect in percent of that of the comparison", 0, True, 100.0,
                                lambda a, b, q, r: _share(_area(a, q), _area(b, r))),
    "duration_ratio_pct": Statistic("duration after the end in percent of that of the comparison", 0, True, 100.0,
                                    lambda a, b, q, r: _share(_lasts(a, q, _end(a, q)), _lasts(b, r, _end(b, r)))),
}
