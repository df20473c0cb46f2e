"""The benchmark's parts: they measure what they say, on a task small enough to wait for."""

from __future__ import annotations

import json

import numpy as np
import pytest
from benchmarks import limit, ours, run, task


def test_the_loosest_setting_within_the_error_allowed_counts() -> None:
    right = np.array([5.0, 4.0])

    def solve(rtol: float) -> np.ndarray:
        if rtol > 0.05:
            raise RuntimeError("gave up")
        return right + rtol

    assert task.loosest((1e-1, 2e-2, 8e-3, 1e-3), solve, right)["rtol"] == 8e-3
    with pytest.raises(LookupError):
        task.loosest((1e-1, 2e-2), solve, right)


def test_spread_is_median_and_range(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0.0, 4.0, 10.0, 11.0, 20.0, 22.0))
    monkeypatch.setattr(task.time, "perf_counter", lambda: next(clock))
    spread = task.timed(lambda: None, 3)
    assert spread == task.Spread(2.0, 1.0, 4.0)
    assert spread.over(2) == task.Spread(1.0, 0.5, 2.0)


def test_more_sessions_take_longer_and_the_bare_loop_less_than_the_solver() -> None:
    solver = ours.run_seconds(limit.room.BLOCK, repeats=2)
    assert solver.least > ours.run_seconds(limit.room.BLOCK, sessions=3, repeats=2).least
    bare = limit.measure(limit.room.BLOCK)
    assert bare["arithmetic"] > 1000 and bare["transcendentals"] > 10
    assert bare["seconds"].least * limit.room.BLOCK / task.CORES < solver.most


def test_results_are_kept_as_json() -> None:
    kept = run.plain({"deqi": {"seconds": task.Spread(2.0, 1.0, 3.0), "events": 3, "consult": None}})
    assert json.loads(json.dumps(kept)) == {
        "deqi": {"seconds": {"median": 2.0, "least": 1.0, "most": 3.0}, "events": 3, "consult": None}}
