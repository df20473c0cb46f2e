"""Run a trial's worlds: in chunks of bounded memory, here or on a cluster, with results kept in a folder or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..threads import Progress, mapped
from .design import Design
from .randomness import PIECE
from .recruit import Enrolled, check_eligible, enrol
from .simulate import Scores, cells_of, count, treat
from .tally import Tally
from .truth import Truth, truth
from .worlds import CENTRAL, absent, names, settings

__all__ = ["CHUNK", "Chunk", "Truth", "check", "chunks_of", "records", "simulate", "truth", "work"]

CHUNK = 65_536
"""People in one chunk: the unit of work, of a partition, and of what is lost in a crash."""
RECRUITED = 8192
"""People recruited in one go of a thread."""
MOST_PATIENT_WEEKS = 1e10
"""Simulated in one run whose results are not kept: about five hours on two cores."""
MOST_KEPT = 1e12
"""Simulated in one run at all: weeks on a cluster of a hundred cores."""
MOST_PEOPLE = 2**32 - 1
MOST_BYTES = 2 * 2**30
"""Of running statistics, which are held whole."""


@dataclass(frozen=True)
class Chunk:
    """A stretch of places, counted trial by trial.

    Arguments:
        world: its name.
        start, stop: first place, and the one after the last.
    """

    world: str
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Number of people."""
        return self.stop - self.start


def check(design: Design, out: str | Path | None = None, *, file: str | None = None) -> None:
    """Refuse a run that cannot be, before anything runs.

    Arguments:
        design: the design.
        out: the folder that keeps results, from which an interrupted run goes on; None for none.
        file: the name to put into an error.

    Raises:
        InputError: too much for one run, or almost nobody is eligible.
    """
    worlds = len(names(design))
    people = design.sizes[-1]
    total = people * design.trials * design.weeks * worlds
    if total > MOST_PATIENT_WEEKS and out is None:
        raise InputError("more than can be held in one run", file=file, field="trial.n",
                         found=f"{people:,} people x {design.trials:,} trials x {design.weeks} weeks x {worlds} worlds",
                         accepted=f"at most {MOST_PATIENT_WEEKS:.0e} patient-weeks, or --out FOLDER, which keeps "
                         "what is finished")
    if people > MOST_PEOPLE:
        raise InputError("more people than have random numbers", file=file, field="trial.n", found=f"{people:,}",
                         accepted=f"at most {MOST_PEOPLE:,} in one trial")
    if total > MOST_KEPT:
        raise InputError("more than a run can finish", file=file, field="trial.n",
                         found=f"{people:,} people x {design.trials:,} trials x {design.weeks} weeks x {worlds} worlds",
                         accepted=f"at most {MOST_KEPT:.0e} patient-weeks")
    held = 8 * int(np.prod(Tally.shape(design)))
    if held > MOST_BYTES:
        raise InputError("too many statistics to hold", file=file, field="trial.trials", found=design.trials,
                         accepted=f"at most {design.trials * MOST_BYTES // held:,} trials of so many sizes, arms and "
                         "visits")
    check_eligible(design, file)


def simulate(design: Design, world: str = CENTRAL, *, chunk: int = CHUNK, out: str | Path | None = None,
             cluster: Any = None, threads: int | None = None, progress: Progress | None = None) -> Tally:
    """Simulate all trials of a design in one world.

    Arguments:
        design: the design.
        world: `central`, `posterior` or `without:THEORY`.
        chunk: people in one chunk; results are the same whatever it is.
        out: a folder that keeps every person's scores, and from which an interrupted run goes on.
        cluster: address of a Dask scheduler, or a client of one; None for this process.
        threads: at work in this process; a core each if None.
        progress: called with the number of people finished.

    Returns:
        running statistics, the same to the bit whatever the chunks, threads and workers.

    Raises:
        InputError: a world that is not, a folder of another design, or no cluster at that address.
    """
    absent(world)
    total = Tally.empty(design)
    tell = progress or (lambda people: None)
    if out is not None:
        from .partitions import Folder

        folder = Folder.open(out, design, chunk)
        chunks = []
        for part in chunks_of(design, world, folder.chunk):
            done = folder.tally(part)
            if done is None:
                chunks.append(part)
            else:
                total.include(done)
                tell(part.size)
    else:
        folder, chunks = None, list(chunks_of(design, world, chunk))
    for part, found, table in _work(design, chunks, folder is not None, cluster, threads, tell):
        if folder is not None:
            folder.keep(part, found, table)
        total.include(found)
    return total


def chunks_of(design: Design, world: str, size: int = CHUNK, trials: range | None = None) -> Iterator[Chunk]:
    """The chunks of a world's trials, in order; all trials if None."""
    people = design.sizes[-1]
    first, last = (0, design.trials) if trials is None else (trials.start, trials.stop)
    return (Chunk(world, start, min(start + size, last * people))
            for start in range(first * people, last * people, size))


def work(design: Design, chunk: Chunk, *, tables: bool = False, threads: int | None = 1,
         progress: Progress | None = None) -> tuple[Tally, Any]:
    """Simulate one chunk: a function of its arguments alone.

    Arguments:
        design: the design.
        chunk: which places.
        tables: whether to return every person's scores.
        threads: at work; a core each if None.
        progress: called with the number of people finished.

    Returns:
        the tally of the chunk's trials, and the scores as a data frame in order of trial and patient (or None).
    """
    people = Enrolled.joined(list(mapped(
        lambda start: enrol(design, chunk.world, start, min(start + RECRUITED, chunk.stop)),
        range(chunk.start, chunk.stop, RECRUITED), threads)))
    first, trials = int(people.trial[0]), int(people.trial[-1] - people.trial[0]) + 1
    where = settings(design, chunk.world, first, trials)
    found = Tally.empty(design, first, trials)
    found.screened[:] = people.screened

    def piece(arm_rows: tuple[int, np.ndarray]) -> tuple[Tally, Any]:
        scores = treat(design, chunk.world, where, arm_rows[0], people, arm_rows[1])
        return count(design, scores), _table(design, scores) if tables else None

    frames = []
    for part, frame in mapped(piece, _pieces(design, people), threads):
        found.include(part)
        frames.append(frame)
        if progress is not None:
            progress(int(part.allocated.sum()))
    return found, _in_order(frames) if tables else None


def records(design: Design, world: str = CENTRAL, trials: range | None = None) -> Any:
    """Scores in long form, for models of individual records.

    Arguments:
        design: the design.
        world: its name.
        trials: trials that follow on one another; all if None.

    Returns:
        a data frame of trial, arm, patient, outcome, visit, value and baseline; not a number where lost.
    """
    import pandas

    wanted = range(design.trials) if trials is None else trials
    wide = pandas.concat([work(design, part, tables=True, threads=None)[1]
                          for part in chunks_of(design, world, CHUNK, wanted)])
    parts = [wide[["trial", "arm", "patient"]].assign(outcome=outcome, visit=week, value=wide[f"{outcome}_week_{week}"],
                                                     baseline=wide[f"{outcome}_baseline"])
             for outcome, week in design.cells()]
    return pandas.concat(parts, ignore_index=True)


def _work(design: Design, chunks: list[Chunk], tables: bool, cluster: Any, threads: int | None, tell: Progress
          ) -> Iterator[tuple[Chunk, Tally, Any]]:
    if cluster is None:
        for chunk in chunks:
            yield chunk, *work(design, chunk, tables=tables, threads=threads, progress=tell)
        return
    from .cluster import spread

    for chunk, found, table in spread(design, chunks, cluster, tables=tables):
        tell(chunk.size)
        yield chunk, found, table


def _pieces(design: Design, people: Enrolled) -> list[tuple[int, np.ndarray]]:
    """Stretches of each arm's people that fill the solver's blocks."""
    found = []
    for arm in range(len(design.arms)):
        rows = np.flatnonzero(people.arm == arm)
        found += [(arm, rows[start:start + PIECE]) for start in range(0, len(rows), PIECE)]
    return found


def _table(design: Design, scores: Scores) -> Any:
    import pandas

    return pandas.DataFrame({"trial": scores.trial, "patient": scores.position, "arm": design.arm_ids[scores.arm],
                             **cells_of(design, scores)})


def _in_order(frames: list[Any]) -> Any:
    import pandas

    return pandas.concat(frames).sort_values(["trial", "patient"], ignore_index=True)
