"""Lanes of work: each one process that imports the model, fed one job at a time, replaced when it dies or hangs."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import queue
import signal
import sys
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as WaitedTooLong
from dataclasses import dataclass
from itertools import count
from math import ceil
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, RLock, Thread
from time import monotonic
from types import MappingProxyType
from typing import Any

from ..errors import DeqiError, InputError

START_SECONDS = 300.0
"""In which a process must be ready; the very first start compiles for a minute."""
MOST_AHEAD = 16
"""Jobs for idle moments that are kept."""
M_ARENA_MAX = -8
"""As in `malloc.h`."""
LOOK_SECONDS = 1.0
"""How often an idle lane looks whether its process lives."""


class Busy(DeqiError):
    """Too much is asked at once; `seconds` says when to ask again."""

    def __init__(self, seconds: int):
        self.seconds = seconds
        super().__init__(f"the forecasts are busy; try again in {seconds} seconds")


class Failed(DeqiError):
    """A job that was taken and brought no result, through no fault of who asked."""


@dataclass(frozen=True)
class Job:
    """Something asked of a lane: the name of a job of `quick.py`, its arguments, and where the answer goes.

    `is_own`: asked by the lane itself; it never was in line.
    """

    name: str
    arguments: Mapping[str, Any]
    answer: Future[Any]
    is_own: bool = False


class Lane:
    """One process and the jobs that wait for it.

    Arguments:
        name: `quick` or `long`; what is made ready differs.
        cache: folder of compiled functions.
        places: jobs that may wait.
        seconds: that a job may take.
        patience: seconds that a caller waits in all.
        niceness: by how much the process gives way to others.
        slack: seconds by which a job of a name may come later than one of another name that was asked for with it.
            Who is due first goes first, so that nobody is passed over for ever.
        after: a lane that is started first, so that this one finds its functions compiled.
        target: what the process runs; `work` if None.

    Attributes:
        compiler: a lane that is warm in all; while idle, this one loads what that one compiled.
    """

    compiler: Lane | None = None

    def __init__(self, name: str, cache: Path, *, places: int, seconds: float, patience: float, niceness: int = 0,
                 slack: Mapping[str, float] = MappingProxyType({}), after: Lane | None = None,
                 target: Callable[..., None] | None = None):
        self._target = target or work
        self.name, self.cache, self.seconds, self.patience = name, cache, seconds, patience
        self.niceness, self.slack, self.after = niceness, slack, after
        self._waiting: queue.PriorityQueue[tuple[float, int, Job]] = queue.PriorityQueue(places)
        self._numbers, self._line = count(), RLock()
        self._ahead: OrderedDict[str, Job] = OrderedDict()
        self._keeps_from = 0.0
        self._ready, self._closed, self._forgets = Event(), Event(), Event()
        self._usual, self._step, self._can_get_warmer, self._stuck = 0.2, 0, True, False
        self._process: Any = None
        self._pipe: Connection | None = None
        self._thread = Thread(target=self._serve, name=f"deqi-{name}", daemon=True)

    def start(self) -> None:
        """Start the process in the background; starting again does nothing."""
        if not self._thread.is_alive() and not self._closed.is_set():
            self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether its process is warm."""
        return self._ready.is_set()

    @property
    def idle(self) -> bool:
        """Whether its process is warm and nobody waits for it."""
        return self.ready and not self._waiting.unfinished_tasks

    @property
    def pid(self) -> int | None:
        """The process at work, if one is."""
        return None if self._process is None else self._process.pid

    def submit(self, name: str, **arguments: Any) -> Future[Any]:
        """Put a job in line.

        Raises:
            Busy: too many wait already.
            Failed: the lane is closed.
        """
        if self._closed.is_set():
            raise Failed("the server is stopping")
        job = Job(name, arguments, Future())
        with self._line:
            try:
                self._waiting.put_nowait((monotonic() + self.slack.get(name, 0.0), next(self._numbers), job))
            except queue.Full:
                raise Busy(self._wait()) from None
        return job.answer

    def submit_if_idle(self, name: str, **arguments: Any) -> Future[Any] | None:
        """Put a job in line where nobody waits; None where somebody does."""
        with self._line:
            return self.submit(name, **arguments) if self.idle else None

    def prepare(self, name: str, **arguments: Any) -> None:
        """Have a job done whose answer nobody waits for, once nobody waits for another; the last few are kept."""
        key = json.dumps([name, arguments], sort_keys=True, default=str)
        with self._line:
            self._ahead.pop(key, None)
            self._ahead[key] = Job(name, arguments, Future(), is_own=True)
            if len(self._ahead) > MOST_AHEAD:
                self._ahead.popitem(last=False)

    def ask(self, name: str, **arguments: Any) -> Any:
        """Put a job in line and wait for its result; raises what the job raised, Busy or Failed."""
        return self.wait(self.submit(name, **arguments))

    def wait(self, answer: Future[Any], patience: float | None = None) -> Any:
        """Wait for the answer of a job, as long as patience lasts."""
        try:
            return answer.result(self.patience if patience is None else patience)
        except WaitedTooLong:
            answer.cancel()
            raise Busy(self._wait()) from None
        except CancelledError:
            raise Failed("the server is stopping") from None

    def forget(self) -> None:
        """Have the process drop what it keeps of patients, before its next job.

        It keeps nothing either of what was asked before and is answered later, for as long as anybody waits.
        """
        with self._line:
            self._ahead.clear()
        self._keeps_from = monotonic() + self.patience
        self._forgets.set()

    def close(self) -> None:
        """End the process; jobs that wait fail."""
        self._closed.set()
        self._kill()
        if self._thread.is_alive():
            self._thread.join()
        self._kill()
        while not self._waiting.empty():
            self._waiting.get_nowait()[-1].answer.cancel()

    def _wait(self) -> int:
        return max(1, ceil(self._usual * self._waiting.qsize()))

    def _serve(self) -> None:
        while self.after is not None and not self.after._ready.wait(LOOK_SECONDS):
            if self._closed.is_set():
                return
        while not self._closed.is_set():
            if not self._alive() and not self._stuck:
                self._begin()
            job = self._next()
            if self._forgets.is_set():
                self._forgets.clear()
                self._forget_now()
            if job is not None:
                self._answer(job)
                if monotonic() < self._keeps_from:
                    self._forget_now()

    def _next(self) -> Job | None:
        try:
            return self._waiting.get(timeout=0.0 if self._ahead else LOOK_SECONDS)[-1]
        except queue.Empty:
            return None if self._stuck else self._for_an_idle_moment()

    def _forget_now(self) -> None:
        if self._alive():  # a new one keeps nothing
            self._answer(Job("forget", {}, Future(), is_own=True))

    def _for_an_idle_moment(self) -> Job | None:
        with self._line:
            if self._ahead:
                return self._ahead.popitem(last=False)[1]
        if not (self._can_get_warmer and self.compiler is not None and self.compiler.ready):
            return None
        job = Job("get_warmer", {"step": self._step}, Future(), is_own=True)
        job.answer.add_done_callback(self._warmed)
        return job

    def _warmed(self, answer: Future[Any]) -> None:
        self._step += 1
        self._can_get_warmer = answer.exception() is None and answer.result()

    def _answer(self, job: Job) -> None:
        """Have a job done, unless nobody waits for it any more."""
        told: Mapping[str, Any] | Failed | None = None
        try:
            if job.answer.set_running_or_notify_cancel():
                told = self._done(job)
        except Exception as error:  # whatever it is, the lane goes on
            told = Failed(f"the forecast could not be asked for: {type(error).__name__}")
        if not job.is_own:
            self._waiting.task_done()  # before the answer is there: whoever has it finds the lane idle
        if isinstance(told, Failed):
            job.answer.set_exception(told)
        elif told is not None:
            _settle(job.answer, told)

    def _done(self, job: Job) -> Mapping[str, Any] | Failed:
        """What the process tells of a job, which is tried twice if the process dies."""
        for _ in range(2):
            if self._closed.is_set():
                break
            if not self._alive() and not self._begin():
                return Failed("forecasts cannot be made now: the model does not start")
            assert self._pipe is not None
            began = monotonic()
            try:
                self._pipe.send_bytes(json.dumps([job.name, job.arguments], default=str).encode())
                if not self._pipe.poll(self.seconds):
                    self._kill()
                    return Failed(f"this took longer than {self.seconds:g} seconds and was stopped")
                told: dict[str, Any] = json.loads(self._pipe.recv_bytes())
            except (EOFError, OSError):
                self._kill()
                continue
            self._usual = 0.8 * self._usual + 0.2 * (monotonic() - began)
            return told
        return Failed("the server is stopping" if self._closed.is_set() else
                      "the forecast could not be made: its process ended twice")

    def _alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def _begin(self) -> bool:
        """Start a process and wait until it is warm; one that fails is started again when somebody asks."""
        self._kill()
        spawn = get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=self._target, args=(theirs, self.name, str(self.cache), self.niceness),
                                      name=f"deqi-{self.name}", daemon=True)
        try:
            self._process.start()
            theirs.close()
            if not self._closed.is_set() and self._pipe.poll(START_SECONDS):
                self._pipe.recv_bytes()
                self._step, self._can_get_warmer, self._stuck = 0, True, False
                self._ready.set()
                return True
        except (EOFError, OSError):
            pass
        self._kill()
        self._stuck = True
        return False

    def _kill(self) -> None:
        self._ready.clear()
        process = self._process
        if process is not None and process.pid is not None:
            process.kill()
            process.join()


def _settle(answer: Future[Any], told: Mapping[str, Any]) -> None:
    """Give a job's answer, as its process told it, to who asked."""
    if "result" in told:
        answer.set_result(told["result"])
    elif "input" in told:
        answer.set_exception(InputError(**told["input"]))
    elif "refused" in told:
        answer.set_exception(DeqiError(told["refused"]))
    else:
        answer.set_exception(Failed(f"the forecast could not be made ({told['failed']})"))


def work(pipe: Connection, lane: str, cache: str, niceness: int) -> None:
    """What a process does: get warm, then serve.

    Messages are JSON both ways, so that nothing but plain data crosses. Of an error that nobody foresaw only its kind
    and place are told: its words may hold what a patient said.
    """
    one_heap()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's, meant for the server
    if hasattr(os, "nice"):
        os.nice(niceness)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy: its small products only make threads spin
    os.environ["NPROC"] = "1"  # as for XLA, which sizes its pool by it: the same numbers for half the processor time
    os.environ["JAX_COMPILATION_CACHE_DIR"] = cache
    Path(cache).mkdir(mode=0o700, parents=True, exist_ok=True)
    from . import quick

    quick.warm()
    for step in range(len(quick.STEPS) if lane == "long" else 0):
        quick.get_warmer(step)
    serve(pipe, quick.JOBS)


def one_heap() -> None:
    """Have all threads of this process share one heap; glibc gives each its own, and what they free is not reused."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library has no such switch
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def serve(pipe: Connection, jobs: Mapping[str, Callable[..., Any]]) -> None:
    """Say that the process is ready, then answer one job after the other until the pipe closes."""
    try:
        pipe.send_bytes(b"ready")
        while True:
            name, arguments = json.loads(pipe.recv_bytes())
            pipe.send_bytes(_told(jobs[name], arguments))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        sys.exit(0)


def _told(job: Callable[..., Any], arguments: Mapping[str, Any]) -> bytes:
    told: dict[str, Any]
    try:
        return json.dumps({"result": job(**arguments)}, allow_nan=False).encode()
    except InputError as error:
        field = error.field and error.field.removeprefix("--")  # an option on the command line, a field here
        told = {"input": {"message": error.message, "file": error.file, "field": field, "found": error.found,
                          "accepted": error.accepted}}
    except DeqiError as error:
        told = {"refused": str(error)}
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        told = {"failed": f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"}
    return json.dumps(told, default=repr).encode()
