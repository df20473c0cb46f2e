"""The fast solver: right against the reference, second order, positive, differentiable, indifferent to padding."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deqi.body.system import BODY, THEORIES
from deqi.care import plan_from
from deqi.care.timeline import timeline
from deqi.population.context import strength
from deqi.population.patients import PHASES, Population, draw, population_of
from deqi.population.simulate import simulate
from deqi.solve import reference
from deqi.solve.exponential import integrate
from deqi.solve.grid import MOMENTS, WEEKS, Grid, Resolution, build

PLANS = (
    "acupuncture 30 min twice a week for 2 weeks",
    "electroacupuncture 2/100 Hz 4 mA 30 min twice a week for 2 weeks",
    "supervised strength exercise 45 min twice a week for 2 weeks",
    "heat wrap 8 h a day for 3 days and ibuprofen daily for 2 weeks",
    "penetrating sham acupuncture 30 min twice a week for 2 weeks and walking 30 min 3 times a week for 2 weeks",
)
POSITIVE = [state.name for state in BODY.states if state.positive]


def doubles(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf, float)), tree)


def singles(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), tree)


def grid_of(plan: str, weeks: float, resolution: Resolution = MOMENTS, **how: Any) -> Grid:
    return build(timeline(plan_from(plan).courses, weeks), resolution=resolution, **how)


def fast_error(people: Population, plan: str, weeks: float, resolution: Resolution) -> float:
    """Largest difference over time between the production solver (float32) and the reference, NRS."""
    grid = grid_of(plan, weeks, resolution, dtype=np.float32)
    found = integrate(BODY, singles(dict(people.params)), singles(dict(people.states)), grid.steps,
                      differentiable=False)
    truth = reference.solve(people.params, people.states, grid)["nrs"]
    return float(np.max(np.abs(np.asarray(found.start["nrs"], float)[:grid.used] - truth)))


@pytest.mark.parametrize("plan", [PLANS[0], PLANS[4]])
def test_fast_solver_agrees_with_the_reference(plan: str) -> None:
    """Another method, tight tolerances, double precision."""
    people = draw(population_of("chronic"), 4, 5)
    assert fast_error(people, plan, 1, MOMENTS) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS)
def test_fast_solver_agrees_for_many_patients(plan: str) -> None:
    """Slow: the reference takes seconds per patient and week."""
    for phase in ("chronic", "acute"):
        people = draw(population_of(phase), 500, 11)
        assert fast_error(people, plan, 3, MOMENTS) < 0.025
        assert fast_error(people, plan, 3, WEEKS) < 0.15


def test_second_order() -> None:
    """Halving all steps quarters the error."""
    people = draw(population_of("chronic"), 3, 2)
    with jax.enable_x64(True):
        params, states = doubles(dict(people.params)), doubles(dict(people.states))

        def end(refine: int) -> np.ndarray:
            found = integrate(BODY, params, states, grid_of(PLANS[0], 1, WEEKS, refine=refine).steps,
                              differentiable=False)
            return np.array([float(jnp.sum(found.end[name]) / (1.0 + jnp.sum(jnp.abs(states[name]))))
                             for name in ("consolidated_gain", "ngf_sensitisation", "guarding", "disability")])

        one, two, four, finest = (end(r) for r in (2, 4, 8, 32))
        off = [np.abs(coarser - finest) for coarser in (one, two, four)]
        orders = np.log2(off[0] / off[1]), np.log2(off[1] / off[2])
    assert 1.7 <= np.median(np.concatenate(orders)) <= 2.4, orders


def test_quasi_steady_value_is_right_in_one_long_step() -> None:
    """Metabolites after a day are where production and loss balance, however short their time constant."""
    people = draw(population_of("chronic"), 3, 2)
    displaced = dict(people.states) | {"lactate": np.full(3, 9.0), "oxygen": np.full(3, 0.9)}
    grid = grid_of("nothing", 1, dtype=np.float32)
    found = integrate(BODY, singles(dict(people.params)), singles(displaced), grid.steps, differentiable=False)
    np.testing.assert_allclose(found.end["lactate"], people.states["lactate"], rtol=1e-4)
    np.testing.assert_allclose(found.end["oxygen"], people.states["oxygen"], rtol=1e-3)


def check_bounds(end: Any, nrs: np.ndarray) -> None:
    assert np.all(np.isfinite(nrs)) and nrs.min() >= 0.0 and nrs.max() <= 10.0
    for name in BODY.state_names:
        assert np.all(np.isfinite(end[name])), name
    for name in POSITIVE:
        assert np.min(end[name]) >= 0.0, name


def random_people(rng: np.random.Generator, n: int) -> tuple[Any, Any]:
    """Patients with every parameter drawn over the whole range of its prior, anchored anywhere."""
    params = BODY.parameters([theory for theory in THEORIES if rng.uniform() < 0.1])
    for room in BODY.rooms:
        for p in room.parameters:
            if p.name not in ("resting_drive", "source_at_rest"):
                params[room.name][p.name] = rng.uniform(p.low, p.high, n)
    params, states = BODY.rest(singles(params), rng.uniform(0.0, 10.0, n), rng.uniform(0.0, 100.0, n))
    return singles(params), singles(states)


def random_plan(rng: np.random.Generator) -> str:
    said = ["acupuncture {m} min {t} times a week for 1 weeks", 
            "electroacupuncture {hz} Hz {ma} mA {m} min {t} times a week for 1 weeks",
            "penetrating sham acupuncture {m} min {t} times a week for 1 weeks", 
            "vigorous strength exercise {m} min {t} times a week for 1 weeks",
            "heat wrap {m} min a day for 4 days", "ice {m} min a day for 4 days", "ibuprofen daily for 1 weeks",
            "walking {m} min {t} times a week for 1 weeks", "stretching {m} min {t} times a week for 1 weeks"]
    chosen = rng.choice(len(said), size=rng.integers(1, 4), replace=False)
    return "; ".join(said[i].format(m=rng.integers(2, 90), t=rng.integers(1, 6), hz=rng.integers(1, 200),
                                    ma=rng.integers(1, 20)) for i in chosen)


@settings(max_examples=12, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_bounds_hold_over_the_whole_prior(seed: int) -> None:
    rng = np.random.default_rng(seed)
    params, states = random_people(rng, 256)
    grid = grid_of(random_plan(rng), 1, WEEKS, dtype=np.float32, size=2048)
    found = integrate(BODY, params, states, grid.steps, differentiable=False)
    check_bounds(found.end, np.asarray(found.start["nrs"]))


@pytest.mark.slow
def test_bounds_hold_for_a_hundred_thousand_patients() -> None:
    """Slow: 100 random plans, 1,000 random patients each."""
    rng = np.random.default_rng(7)
    for _ in range(100):
        params, states = random_people(rng, 1000)
        grid = grid_of(random_plan(rng), 1, WEEKS, dtype=np.float32, size=2048)
        found = integrate(BODY, params, states, grid.steps, differentiable=False)
        check_bounds(found.end, np.asarray(found.start["nrs"]))


def test_gradients_equal_finite_differences() -> None:
    people = draw(population_of("chronic"), 3, 4)
    names = (("muscle", "k_E"), ("gate", "consolidation"), ("course", "context_plateau"),
             ("neurotransmitters", "carry_over_per_session"), ("circulation", "k_w_per_minute"))
    with jax.enable_x64(True):
        params, states = doubles(dict(people.params)), doubles(dict(people.states))
        steps = grid_of(PLANS[0], 2, WEEKS).steps

        @jax.jit
        def outcome(factors: Any) -> Any:
            changed = {room: dict(values) for room, values in params.items()}
            for (room, name), factor in zip(names, factors, strict=True):
                changed[room][name] = changed[room][name] * factor
            return jnp.mean(integrate(BODY, changed, states, steps).start["nrs"][-1])

        at = jnp.ones(len(names))
        slopes = jax.jit(jax.grad(outcome))(at)
        assert np.all(np.isfinite(slopes))
        for i in range(len(names)):
            h = 1e-5
            difference = (outcome(at.at[i].add(h)) - outcome(at.at[i].add(-h))) / (2 * h)
            assert float(slopes[i]) == pytest.approx(float(difference), rel=1e-3, abs=1e-7), names[i]


def test_padding_and_skipping_it_change_nothing() -> None:
    people = draw(population_of("chronic"), 64, 4)
    params, states = singles(dict(people.params)), singles(dict(people.states))
    short, long = (grid_of(PLANS[0], 1, WEEKS, dtype=np.float32, size=size) for size in (256, 2048))
    one = integrate(BODY, params, states, short.steps, differentiable=False)
    two = integrate(BODY, params, states, long.steps, differentiable=False)
    three = integrate(BODY, params, states, short.steps)
    used = short.used
    np.testing.assert_array_equal(one.start["nrs"][:used], two.start["nrs"][:used])
    np.testing.assert_allclose(one.start["nrs"][:used], three.start["nrs"][:used], atol=1e-4)


@pytest.mark.parametrize("phase", PHASES)
def test_weekly_averages_of_the_coarse_grid_are_those_of_the_fine_one(phase: Any) -> None:
    people = draw(population_of(phase), 64, 4)
    coarse = simulate(plan_from(PLANS[0]), people, 3).nrs
    fine = grid_of(PLANS[0], 3, MOMENTS, dtype=np.float32)
    felt = strength(plan_from(PLANS[0]).courses, fine.start_days + 0.5 * fine.days, people.averages)
    inputs = {**fine.steps.inputs, "context_strength": felt[:, people.average].astype(np.float32)}
    found = integrate(BODY, singles(dict(people.params)), singles(dict(people.states)),
                      fine.steps._replace(inputs=inputs), differentiable=False)
    assert np.max(np.abs(fine.weekly_weights(3) @ np.asarray(found.mean["nrs"], float) - coarse)) < 0.03
