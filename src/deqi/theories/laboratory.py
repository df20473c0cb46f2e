"""Runs arms: every body under every care at once, with any theories absent, and any read-out over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..body.inputs import INPUT, INPUTS, SESSION_FIELDS
from ..body.system import BODY, THEORIES, System
from ..body.theory import Values
from ..care.action import Exposure
from ..care.timeline import Timeline
from ..errors import InputError
from ..solve.cache import keep_compiled
from ..solve.exponential import step
from ..solve.grid import MOMENTS, WEEKS, build
from .bodies import values_of
from .experiment import Arm, Experiment
from .readouts import STATE_NAMES, STATE_ROOM, readouts
from .statistics import STATISTICS, Course
from .stimulus import doing

keep_compiled()

MINUTES_PER_DAY = 1440.0
LEAD_MINUTES = 0.01
"""Every arm begins this long before its care, so that the value before is read with nothing done."""
LONG_DAYS = 3.0
"""Arms that run longer are laid on the grid for weeks, the others on that for moments."""
SIZES = (64, 256, 1024, 4096, 16384)
"""Lengths that arms are padded to; arms of one length run together and compile once."""


Row = tuple[Arm, float, frozenset[str]]
"""An arm, the minutes it is watched, and the theories that are absent: one column of a batch."""


@dataclass(frozen=True)
class Laid:
    """An arm on its grid.

    Arguments:
        starts, lengths: of the steps, minutes since care began, shape (steps,).
        inputs: input to its values over the steps, shape (steps,).
        session: session field to its values at the end of each step.
        sessions, end: as in `Course`.
    """

    starts: np.ndarray
    lengths: np.ndarray
    inputs: Mapping[str, np.ndarray]
    session: Mapping[str, np.ndarray]
    sessions: tuple[float, ...]
    end: float


@cache
def lay(arm: Arm, watch_minutes: float) -> Laid:
    """Lay an arm on its grid.

    Arguments:
        arm: body, settings and care.
        watch_minutes: until when it is watched.
    """
    done = doing(arm.care, arm.body)
    fast = [e for e in done.exposures if not e.slow]
    end = max((MINUTES_PER_DAY * e.end_day for e in fast), default=0.0)
    minutes = max(watch_minutes, end) * 1.0001 + 1.0
    lead = LEAD_MINUTES / MINUTES_PER_DAY
    held = {name: value for name, value in arm.set if name in INPUT}
    whole = [Exposure(0.0, minutes + 2 * LEAD_MINUTES, held, slow=True)] if held else []
    shifted = [Exposure(e.start_day + lead, e.minutes, e.inputs, e.session, e.manipulated_every_minutes, e.slow)
               for e in done.exposures]
    begins = Exposure(lead, LEAD_MINUTES, {})  # so that the steps are short from here on, whatever is done
    line = Timeline(tuple([*whole, begins, *shifted]), done.courses, (minutes + LEAD_MINUTES) / MINUTES_PER_DAY)
    long = minutes > LONG_DAYS * MINUTES_PER_DAY
    grid = build(line, resolution=WEEKS if long else MOMENTS, refine=1 if long else 4 if minutes < 60.0 else 2)
    used = grid.used
    steps = grid.steps
    return Laid(MINUTES_PER_DAY * (grid.start_days[:used] - lead), MINUTES_PER_DAY * grid.days[:used],
                {name: np.asarray(values)[:used] for name, values in steps.inputs.items()},
                {name: np.asarray(values)[:used] for name, values in steps.session.items()},
                tuple(sorted({round(MINUTES_PER_DAY * e.start_day, 6) for e in fast})), end)


@partial(jax.jit, static_argnames=("system", "reads"))
def _march(system: System, params: Any, u0: Any, days: Any, inputs: Any, session: Any, reads: tuple[str, ...]
           ) -> tuple[Any, Any]:
    """March all arms over their grids; each array over steps has shape (steps, arms).

    Returns:
        each read-out at the start and at the end of every step, shape (steps, arms).
    """
    def advance(u: Any, now: tuple[Any, Any, Any]) -> tuple[Any, tuple[Any, Any]]:
        h, x, event = now
        after, begins, ends = step(system, u, params, x, h)
        first, last = ({name: _read(name, system, params, spoken, x, h) for name in reads} for spoken in (begins, ends))
        return system.jump(after, params, event), (first, last)

    _, seen = jax.lax.scan(advance, u0, (days, inputs, session))
    return seen


def _read(name: str, system: System, params: Any, spoken: Mapping[str, Any], x: Mapping[str, Any], like: Any) -> Any:
    s, u = Values(**spoken), Values(**{state: spoken[state] for state in system.state_names})
    return jnp.broadcast_to(readouts()[name].value(s, u, params, Values(**x)), like.shape)


@dataclass(frozen=True)
class Batch:
    """Arms of one length, each with some theories absent, ready to march.

    Arguments:
        rows: what each column is.
        laid: its grid.
        reads: what is read.
        days, inputs, session: arrays over (steps, columns), padded.
    """

    rows: tuple[Row, ...]
    laid: tuple[Laid, ...]
    reads: tuple[str, ...]
    days: np.ndarray
    inputs: Mapping[str, np.ndarray]
    session: Mapping[str, np.ndarray]

    def run(self, fitted: Mapping[str, Any]) -> list[dict[str, Course]]:
        """The courses of every read-out in every column.

        Arguments:
            fitted: address to value (`bodies.values_of`); may be traced by JAX.
        """
        params, states = anchored(self.rows, fitted)
        seen = _march(BODY, params, states, self.days, self.inputs, self.session, self.reads)
        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(seen))
        first, last = seen if traced else jax.tree.map(np.asarray, seen)
        found = []
        for column, (laid, (_, _, absent)) in enumerate(zip(self.laid, self.rows, strict=True)):
            n = len(laid.starts)
            courses = {}
            for name in self.reads:
                a, b = first[name][:n, column], last[name][:n, column]
                if name in STATE_NAMES and STATE_ROOM[name] in absent:
                    a = b = 0.0 * a + a[0]  # a theory that is taken away has a state that rests
                courses[name] = Course(laid.starts, laid.lengths, a, b, laid.sessions, laid.end)
            found.append(courses)
        return found


def anchored(rows: Sequence[Row], fitted: Mapping[str, Any]) -> tuple[Any, Any]:
    """Parameters and states before care, each value of shape (columns,)."""
    columns = [values_of(arm.body, fitted) for arm, _, _ in rows]
    changed = [dict(arm.set) for arm, _, _ in rows]
    params: dict[str, dict[str, Any]] = {room.name: {} for room in BODY.rooms}
    for key in columns[0]:
        room, name = key.split(".")
        params[room][name] = _column([c.get(key, v[key]) for c, v in zip(changed, columns, strict=True)])
    params["present"] = {theory: jnp.asarray([0.0 if theory in absent else 1.0 for _, _, absent in rows])
                         for theory in THEORIES}
    pain = np.asarray([c.get("nrs", arm.body.pain) for c, (arm, _, _) in zip(changed, rows, strict=True)])
    anchored_params, states = BODY.rest(params, jnp.asarray(pain, float))
    drive = anchored_params["nociception"]["resting_drive"]
    anchored_params["nociception"]["resting_drive"] = jnp.where(pain > 0.0, drive, 0.0)
    for name in {name for c in changed for name in c} & set(STATE_NAMES):
        here = np.asarray([name in c for c in changed])
        states[name] = jnp.where(here, np.asarray([c.get(name, 0.0) for c in changed]), states[name])
    return anchored_params, states


def _column(values: Sequence[Any]) -> Any:
    """One number for each column, traced or plain."""
    if any(isinstance(value, jax.Array) for value in values):
        return jnp.stack([jnp.asarray(value, float) for value in values])
    return np.asarray(values, float)


def batches(wanted: Iterable[tuple[Arm, float, frozenset[str], str]]) -> list[Batch]:
    """Sort arms into batches of one length.

    Arguments:
        wanted: (arm, minutes watched, absent theories, read-out); the same arm may come again with another read-out.

    Raises:
        InputError: an arm that takes more steps than the bench has room for.
    """
    reads: dict[Row, set[str]] = {}
    for arm, minutes, absent, name in wanted:
        reads.setdefault((arm, minutes, absent), set()).add(name)
    by_size: dict[int, list[Row]] = {}
    for row in reads:
        steps = len(lay(row[0], row[1]).starts)
        if steps > SIZES[-1]:
            raise InputError("too much care over too long a time to simulate", field="care", found=f"{steps} steps",
                             accepted=f"at most {SIZES[-1]} steps: fewer sessions or fewer weeks")
        by_size.setdefault(next(size for size in SIZES if size >= steps), []).append(row)
    made = []
    for size, rows in sorted(by_size.items()):
        laid = tuple(lay(arm, minutes) for arm, minutes, _ in rows)
        names = tuple(sorted(set().union(*(reads[row] for row in rows))))
        made.append(Batch(tuple(rows), laid, names,
                          _stack(laid, size, lambda grid: grid.lengths / MINUTES_PER_DAY, 0.0),
                          {item.name: _stack(laid, size, lambda grid, n=item.name: grid.inputs[n], item.rest)
                           for item in INPUTS},
                          {item.name: _stack(laid, size, lambda grid, n=item.name: grid.session[n], item.rest)
                           for item in SESSION_FIELDS}))
    return made


def _stack(laid: Sequence[Laid], size: int, of: Any, rest: float) -> np.ndarray:
    whole = np.full((size, len(laid)), rest)
    for column, grid in enumerate(laid):
        values = of(grid)
        whole[: len(values), column] = values
    return whole


def measure(experiments: Sequence[Experiment], fitted: Mapping[str, Any], absences: Sequence[frozenset[str]]
            ) -> np.ndarray:
    """The number of every experiment with every set of theories absent.

    Arguments:
        experiments: what to run.
        fitted: address to value.
        absences: sets of absent theories.

    Returns:
        shape (experiments, absences); not a number where the statistic could not be formed.
    """
    with jax.enable_x64(True):
        made = prepare(experiments, absences)
        return np.asarray(values(experiments, made, fitted, absences))


def prepare(experiments: Sequence[Experiment], absences: Sequence[frozenset[str]]) -> list[Batch]:
    """The batches that a set of experiments needs."""
    return batches((arm, e.watch_minutes, absent, e.readout)
                   for e in experiments for arm in e.arms for absent in absences)


def values(experiments: Sequence[Experiment], made: Sequence[Batch], fitted: Mapping[str, Any],
           absences: Sequence[frozenset[str]]) -> Any:
    """The same as `measure` from prepared batches; differentiable in `fitted`."""
    courses = {row: found for batch in made for row, found in zip(batch.rows, batch.run(fitted), strict=True)}
    table = []
    for e in experiments:
        statistic = STATISTICS[e.statistic]
        line = []
        for absent in absences:
            a = courses[e.arm, e.watch_minutes, absent][e.readout]
            b = None if e.compare is None else courses[e.compare, e.watch_minutes, absent][e.readout]
            line.append(statistic.of(a, b, e.question, e.compare_question))
        table.append(_column(line))
    return jnp.stack(table) if isinstance(table[0], jax.Array) else np.stack(table)
