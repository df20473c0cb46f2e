"""The benchmark's parts: they measure what they say, on a task small enough to wait for."""

from __future__ import annotations

import json

import numpy as np
import pytest
from benchmarks import limit, ours, run, task
from benchmarks.named_once import named_once

from deqi.body.system import BODY
from deqi.interop.sbml_model import model_of


def test_the_loosest_setting_within_the_error_allowed_counts() -> None:
    right = np.array([5.0, 4.0])

    def solve(rtol: float) -> np.ndarray:
        if rtol > 0.05:
            raise RuntimeError("gave up")
        return right + rtol

    assert task.loosest((1e-1, 2e-2, 8e-3, 1e-3), solve, right)["rtol"] == 8e-3
    with pytest.raises(LookupError):
        task.loosest((1e-1, 2e-2), solve, right)


def test_spread_is_median_and_range() -> None:
    clock = iter((0.0, 4.0, 10.0, 11.0, 20.0, 22.0))
    spread = task.timed(lambda: None, 3, clock=lambda: next(clock))
    assert spread == task.Spread(2.0, 1.0, 4.0)
    assert spread.over(2) == task.Spread(1.0, 0.5, 2.0)


def test_more_sessions_take_longer_and_the_bare_loop_less_than_the_solver() -> None:
    solver = ours.run_seconds(limit.room.BLOCK, repeats=2)
    assert solver.least > ours.run_seconds(limit.room.BLOCK, sessions=3, repeats=2).least
    bare = limit.measure(limit.room.BLOCK)
    assert bare["arithmetic"] > 1000 and bare["transcendentals"] > 10
    assert bare["seconds"].least * limit.room.BLOCK / task.CORES < solver.most


def test_the_forms_for_libroadrunner_have_the_same_values() -> None:
    params, states = BODY.rest(BODY.parameters(), 6.0)
    plain = model_of(params, states, task.grid_of(task.THEIRS, weeks=1))
    rng, changed = np.random.default_rng(3), []
    for name, other in named_once(plain).rules.items():
        rule = plain.rules[name]
        if rule != other:
            at = {symbol: rng.uniform(-2.0, 3.0) if "term" in symbol.name else rng.uniform(0.2, 3.0)
                  for symbol in sorted(rule.free_symbols, key=str)}
            assert float(other.subs(at)) == pytest.approx(float(rule.subs(at)), rel=1e-9), name
            changed.append(name)
    assert {"nrs", "gate_term_9", "gate_term_11"} <= set(changed)


def test_results_are_kept_as_json() -> None:
    kept = run.plain({"deqi": {"seconds": task.Spread(2.0, 1.0, 3.0), "events": 3, "consult": None}})
    assert json.loads(json.dumps(kept)) == {
        "deqi": {"seconds": {"median": 2.0, "least": 1.0, "most": 3.0}, "events": 3, "consult": None}}
