"""The solver for many patients: the same weeks as the step-by-step solver, with nothing left out that can be felt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest

from deqi.body.system import BODY
from deqi.care import plan_from
from deqi.care.timeline import timeline
from deqi.population.context import strength
from deqi.population.patients import Population, draw, population_of
from deqi.population.simulate import simulate
from deqi.solve.dependence import dependence
from deqi.solve.exponential import integrate
from deqi.solve.grid import MONTHS, Grid, build

PLAN = plan_from("acupuncture 30 min twice a week for 1 week and strength exercise 30 min twice a week for 2 weeks")
WEEKS = 3


@pytest.fixture(scope="module")
def people() -> Population:
    return draw(population_of("chronic"), 64, 4)


@pytest.fixture(scope="module")
def grid() -> Grid:
    return build(timeline(PLAN.courses, WEEKS), resolution=MONTHS, dtype=np.float32)


def stepped(people: Population, grid: Grid, record: tuple[str, ...], **change: Any) -> Any:
    """The step-by-step solver on the same grid."""
    felt = strength(PLAN.courses, grid.start_days + 0.5 * grid.days, people.averages)[:, people.average]
    inputs = {**grid.steps.inputs, "context_strength": felt.astype(np.float32)}
    params, states = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), (dict(people.params), dict(people.states)))
    return integrate(BODY, params, states | change, grid.steps._replace(inputs=inputs), record=record,
                     differentiable=False)


def test_weeks_are_the_averages_of_the_steps(people: Population, grid: Grid) -> None:
    found, seen = simulate(PLAN, people, WEEKS), stepped(people, grid, ("nrs", "disability"))
    for name in ("nrs", "disability"):
        averages = grid.weekly_weights(WEEKS) @ np.asarray(seen.mean[name], float)
        assert np.allclose(getattr(found, name), averages, rtol=2e-5, atol=2e-5)


def test_states_that_no_patient_can_change_are_the_same_in_all(people: Population, grid: Grid) -> None:
    own = [("p", room, name) for room, values in people.params.items() for name, v in values.items() if np.ndim(v)]
    varying = dependence(BODY).varying([*own, ("x", "context_strength")])
    seen = stepped(people, grid, BODY.state_names).start
    spread = {name: float(np.ptp(np.asarray(seen[name]), axis=1).max()) for name in BODY.state_names}
    differing = {name for name in BODY.state_names if spread[name] > 0.0}
    assert differing <= varying < set(BODY.state_names)
    assert {"tissue", "lactate", "context", "session_relief", "guarding_reflex"} <= differing


def test_states_that_are_not_felt_change_nothing(people: Population, grid: Grid) -> None:
    unfelt = set(BODY.state_names) - dependence(BODY).felt(("nrs", "disability"))
    assert unfelt
    usual = stepped(people, grid, ("nrs",)).start["nrs"]
    doubled = {name: np.asarray(2.0 * people.states[name] + 1.0, np.float32) for name in unfelt}
    assert np.array_equal(usual, stepped(people, grid, ("nrs",), **doubled).start["nrs"])
    moved = {"guarding": np.asarray(1.01 * people.states["guarding"], np.float32)}
    assert not np.array_equal(usual, stepped(people, grid, ("nrs",), **moved).start["nrs"])


def test_no_step_crosses_the_end_of_a_week() -> None:
    for plan in (PLAN, plan_from("heat wrap 8 h a day for 9 days"), plan_from("walking 20 min daily for 3 weeks")):
        grid = build(timeline(plan.courses, 20), resolution=MONTHS)
        weights = grid.weekly_weights(20)
        assert np.array_equal(weights.argmax(axis=0)[:grid.used], grid.week[:grid.used])
        assert np.allclose(weights.max(axis=0)[:grid.used], grid.days[:grid.used] / 7.0)


def test_finer_steps_change_little(people: Population, grid: Grid) -> None:
    """The grid for months against one with quarter steps, at every moment of needling in every patient."""
    plan = plan_from("acupuncture 30 min twice a week for 1 week")
    coarse, fine = (build(timeline(plan.courses, 2), resolution=MONTHS, dtype=np.float32, refine=k, size=2048)
                    for k in (1, 4))
    one, four = stepped(people, coarse, ("nrs",)), stepped(people, fine, ("nrs",))
    moments = np.asarray(one.start["nrs"])[:coarse.used] - np.asarray(four.start["nrs"])[:fine.used:4]
    worst = np.abs(moments).max(axis=0)
    assert np.median(worst) < 0.005
    assert worst.max() < 0.02


def test_context_may_differ_from_patient_to_patient(people: Population) -> None:
    """Half of the people in a draw of the averages in which needles mean nothing, half in one where they mean much."""
    half = people.size // 2

    def course(strengths: list[float], average: np.ndarray) -> np.ndarray:
        averages = {name: np.repeat(values[:1], 2) for name, values in people.averages.items()}
        averages["context.needling_open"] = np.array(strengths)
        return simulate(PLAN, replace(people, averages=averages, average=average), WEEKS).nrs

    mixed = course([0.0, 0.9], np.repeat([0, 1], half))
    alone = course([0.0, 0.0], np.zeros(people.size, int))
    assert np.array_equal(mixed[:, :half], alone[:, :half])
    likes = np.asarray(people.params["course"]["context_plateau"])[half:] > 0.2
    assert np.all(mixed[-1, half:][likes] < alone[-1, half:][likes])
