"""The reduced model against the full one it stands for, and the likelihood of what trials report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_t

from deqi.calibrate import arms as room
from deqi.calibrate import targets
from deqi.calibrate.likelihood import FREEDOM, Likelihood, _statistics, log_student, read, sample_size
from deqi.calibrate.problem import KINDS, Problem, Statistics, baseline_of, build, who_of
from deqi.calibrate.reduced import TRIAL_EFFECTS, scores
from deqi.calibrate.trial import read_trial
from deqi.care import Plan, plan_from
from deqi.care.action import actions, context_strength
from deqi.care.context import context_kind
from deqi.care.timeline import timeline
from deqi.population.averages import averages, context_kinds, names, values
from deqi.population.context import strength
from deqi.population.coordinates import Coordinates
from deqi.population.patients import people_at
from deqi.population.simulate import simulate

ARMS = {
    "haake2007": ("verum", "sham"), "brinkhaus2006": ("waitlist",), "saper2017": ("education",),
    "wallwork_acute": ("untreated",),
}
PLACES = {"middle": None, "one place": 11, "another": 12}
NONE = {"trial_bad_week": np.zeros(1), "trial_context": np.ones(1), "trial_rate": np.ones(1)}


def place(seed: int | None) -> np.ndarray:
    n = len(averages())
    return np.zeros(n) if seed is None else 0.8 * np.random.default_rng(seed).standard_normal(n)


def studies(*ids: str) -> list[Any]:
    return [t for t in targets.fitted() if t.id in ids]


@pytest.fixture(autouse=True)
def doubles():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def few() -> Problem:
    """Three studies on 32 patients."""
    with jax.enable_x64(True):
        return build(studies("haake2007", "wallwork_acute", "wallwork_persistent"), 32)


@pytest.fixture(scope="module")
def likelihood(few) -> Likelihood:
    with jax.enable_x64(True):
        return Likelihood.of(few)


@pytest.fixture(scope="module")
def arms_of_128() -> dict[str, Problem]:
    with jax.enable_x64(True):
        return {id: build([_only(t, ARMS[id])], 128) for id in ARMS for t in studies(id)}


def _only(trial: Any, chosen: tuple[str, ...]) -> Any:
    """A trial with what some of its arms report."""
    return replace(trial, observations=tuple(o for o in trial.observations if o.arm in chosen and not o.versus))


def latent(problem: Problem, z: np.ndarray) -> np.ndarray:
    u, v = jnp.zeros((len(TRIAL_EFFECTS), len(problem.trials))), jnp.zeros(problem.arms.trial.shape[0])
    return np.asarray(scores(jnp.asarray(z), u, v, problem.arms, problem.cells, problem.places).latent)


def full(problem: Problem, arm_id: str, z: np.ndarray, weeks: np.ndarray) -> np.ndarray:
    """Mean latent pain of the full model at moments, NRS."""
    (trial,) = problem.trials
    arm = next(a for a in trial.arms if a.id == arm_id)
    last = float(np.ceil(max(o.week for o in trial.observations if o.arm in ARMS[trial.id])))
    (care,) = room.care_of(arm, trial, max(o.week for _, o in problem.rows))
    who, _ = who_of(trial, arm_id)
    theta = {name: np.array([float(value)]) for name, value in values(z).items()} | NONE
    people = people_at(who, Coordinates.quasi(128), theta, np.zeros(128, dtype=int))
    course = simulate(Plan(care.courses), people, int(last))
    return np.interp(weeks - 0.5, np.arange(len(course.nrs)), course.nrs.mean(axis=1))


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize(("id", "arm"), [(id, arm) for id, chosen in ARMS.items() for arm in chosen])
def test_the_reduced_model_follows_the_full_one(arms_of_128, id, arm, where):
    problem, z = arms_of_128[id], place(PLACES[where])
    used = [i for i, t in enumerate(_arm_ids(problem)) if t == arm]
    cells = np.flatnonzero(np.isin(problem.cells.arm, used) & (problem.readings.disability == 0))
    assert len(cells) > 0
    reduced = 10.0 * latent(problem, z)[cells].mean(axis=1)
    whole = 10.0 * full(problem, arm, z, problem.cells.week[cells])
    assert np.abs(reduced - whole).max() < (0.8 if id == "wallwork_acute" else 0.4), (reduced, whole)


def _arm_ids(problem: Problem) -> list[str]:
    """Id of each arm row."""
    found = [""] * len(problem.arms.trial)
    for row, (_, o) in zip(problem.arm_of, problem.rows, strict=True):
        found[row] = o.arm
    return found


def test_the_places_looked_at_are_far_apart(arms_of_128):
    courses = [latent(arms_of_128["haake2007"], place(seed)).mean(axis=1) for seed in PLACES.values()]
    assert min(np.abs(a - b).max() for a, b in zip(courses, courses[1:] + courses[:1], strict=True)) > 0.2


def test_128_patients_stand_for_1024():
    chosen = [_only(t, arms) for id, arms in (("haake2007", ("verum",)), ("wallwork_acute", ("untreated",)))
              for t in studies(id)]
    z, seen = jnp.asarray(place(12)), []
    for problem in (build(chosen, 128), build(chosen, 1024)):
        u, v = jnp.zeros((3, 2)), jnp.zeros(2)
        seen.append([np.asarray(x) for x in read(z, u, v, Likelihood.of(problem).data)])
    (few_m, few_cells), (many_m, many_cells) = seen
    assert 0.0 < np.abs(few_cells - many_cells).max() < 1.0
    spread = [k for k, (_, o) in enumerate(problem.rows) if o.statistic == "sd"]
    assert len(spread) > 3 and np.abs(few_m - many_m)[spread].max() < 0.06      # log points


COURSES = {
    "needling_open": "acupuncture 30 min twice a week for 4 weeks",
    "sham_penetrating": "penetrating sham acupuncture 30 min twice a week for 4 weeks",
    "sham_nonpenetrating": "non-penetrating sham acupuncture 30 min twice a week for 4 weeks",
}


def every_course() -> list[Any]:
    """A course of every kind of care that the table of interventions knows, and of every spelling of its context."""
    from deqi.care.build import course

    sentences = [c for text in COURSES.values() for c in plan_from(text).courses]
    stated = [("exercise", {"supervised": True}), ("exercise", {"supervised": False}), ("stretching", {}),
              ("heat", {}), ("cold", {}), ("lifestyle", {}), ("medicine", {"name": "nsaid"}),
              ("medicine", {"name": "paracetamol"}), ("usual_care", {"kind": "gp"}),
              ("usual_care", {"kind": "guideline"}), ("usual_care", {"kind": "physiotherapy"}), ("waiting", {}),
              ("placebo", {"open_label": False}), ("placebo", {"open_label": True})]
    return [*sentences, *(course(care, weeks=4, **more) for care, more in stated)]


def test_every_kind_of_course_has_one_context_in_both_tables():
    seen = set()
    for course in every_course():
        kind = context_kind(course)
        assert actions()["context"][kind]["value"] == context_strength(course), kind
        assert kind in context_kinds()
        seen.add(kind)
    assert seen == set(actions()["context"]) - {"fades_in_days"}


def test_the_context_of_a_plan_is_that_of_its_timeline_at_the_values_of_the_table():
    table = actions()["context"]
    fade = table["fades_in_days"]["with_practitioner"]["value"] / 7.0
    drawn = {f"context.{kind}": np.full(2, table[kind]["value"]) for kind in table if kind != "fades_in_days"}
    drawn |= {"context_fade_weeks": np.full(2, fade)}
    plan = plan_from(f"{COURSES['needling_open']}, heat 20 min 3 times a week for 3 weeks")
    days = np.array([0.0, 3.0, 20.99, 21.01, 27.9, 28.1, 60.0, 400.0])
    line = timeline(plan.courses, 60)
    found = strength(plan.courses, days, drawn)
    assert found.shape == (len(days), 2)
    assert np.allclose(found[:, 0], [line.context_at(day) for day in days], atol=1e-12)
    assert found[4, 0] > found[6, 0] > found[7, 0] > 0.0
    drawn["context_fade_weeks"] = np.array([fade, 0.5 * fade])
    assert strength(plan.courses, days, drawn)[-1, 1] < found[-1, 0]


def test_trials_are_independent_of_their_order(few, likelihood):
    order = [2, 0, 1]
    other = Likelihood.of(build([few.trials[i] for i in order], 32))
    z = jnp.asarray(place(12))
    own, moved = (np.asarray(x.by_trial(z)) for x in (likelihood, other))
    assert np.allclose(moved, own[order], rtol=1e-9)
    assert len(set(np.round(own, 6))) == 3


@pytest.mark.parametrize("seed", PLACES.values())
def test_what_a_trial_reports_has_a_covariance(likelihood, seed):
    _, V = (np.asarray(x) for x in likelihood.moments(jnp.asarray(place(seed))))
    mask = np.asarray(likelihood.blocks.mask) > 0.0
    for t, here in enumerate(mask):
        block = V[t][np.ix_(here, here)]
        assert np.allclose(block, block.T) and np.linalg.eigvalsh(block).min() > 1e-8
        assert np.all(V[t][~here] == 0.0)


def test_the_spread_between_trials_is_that_of_drawn_effects(few, likelihood):
    """First-order covariance against trials that are drawn: few effects, so that the order suffices."""
    z = place(None)
    theta = {name: float(value) for name, value in values(z).items()}
    rng, n = np.random.default_rng(3), 600
    run = jax.jit(lambda u, v: read(jnp.asarray(z), u, v, likelihood.data)[0])
    tau = np.array([theta[f"trial_{name}_sd"] for name in TRIAL_EFFECTS])[:, None]
    still = jnp.zeros(len(few.arms.trial))
    drawn = np.stack([np.asarray(run(jnp.asarray(tau * rng.standard_normal((3, 3))), still)) for _ in range(n)])
    m, V = (np.asarray(x) for x in likelihood.moments(jnp.asarray(z)))
    error = np.asarray(likelihood.blocks.error)
    care = theta["trial_care_sd"]
    for i, (t, o) in enumerate(few.rows):
        if o.statistic not in ("mean", "change"):
            continue
        column = int(np.flatnonzero((np.asarray(likelihood.blocks.index[t]) == i)
                                    & (np.asarray(likelihood.blocks.mask[t]) > 0))[0])
        between = V[t, column, column] - error[t, column, column]
        assert between > 0.0
        level = m[t, column] if o.statistic == "mean" else 60.0
        most = drawn[:, i].var() + (1.5 * care * max(level, 20.0)) ** 2
        assert 0.6 * drawn[:, i].var() < between < 1.3 * most


def test_the_density_is_students(likelihood):
    z = jnp.asarray(place(12))
    m, V = (np.asarray(x) for x in likelihood.moments(z))
    found = np.asarray(likelihood.by_trial(z))
    b = likelihood.blocks
    for t, here in enumerate(np.asarray(b.mask) > 0.0):
        shape = V[t][np.ix_(here, here)] * (FREEDOM - 2.0) / FREEDOM
        known = multivariate_t(m[t][here], shape, df=FREEDOM).logpdf(np.asarray(b.y[t])[here])
        assert found[t] == pytest.approx(known, rel=1e-9)
    x = np.linspace(-300.0, 300.0, 400_001)
    density = np.exp(np.asarray(log_student((x / 2.0) ** 2, np.log(2.0), 1.0)))
    assert np.trapezoid(density, x) == pytest.approx(1.0, abs=1e-5)
    assert np.trapezoid(density * x**2, x) == pytest.approx(4.0, rel=1e-2)


def statistics(*rows: dict[str, Any]) -> Statistics:
    usual = {"cell": 0, "versus": -1, "relative": np.nan, "absolute": np.nan, "level": np.nan, "shift": 0.0}
    whole = [usual | row for row in rows]
    return Statistics(*(np.array([row[name] for row in whole]) for name in Statistics._fields))


def test_statistics_of_four_people_are_those_of_the_hand():
    before = np.array([[60.0, 60.0, 60.0, 60.0], [80.0, 40.0, 80.0, 40.0]])
    after = np.array([[10.0, 20.0, 50.0, 60.0], [60.0, 40.0, 60.0, 20.0]])
    s = statistics(*({"kind": KINDS.index(kind), "cell": cell} | more for kind, cell, more in (
        ("mean", 0, {}), ("mean", 1, {"shift": 3.0}), ("change", 0, {}), ("percent_change", 0, {}), ("sd", 0, {}),
        ("sd", 1, {}), ("change_sd", 1, {}), ("difference", 0, {"versus": 1}), ("responders", 0, {"relative": 0.5}),
        ("responders", 1, {"relative": 0.625}), ("responders", 0, {"absolute": 25.0}),
        ("responders", 0, {"level": 55.0}))))
    found = np.asarray(_statistics(jnp.asarray(after), jnp.asarray(before), s))
    soft = [1.0, 1.0, 0.0, 0.0]
    assert found[:4] == pytest.approx([35.0, 48.0, -25.0, -100.0 * 25.0 / 60.0])
    assert np.exp(found[4:7]) == pytest.approx([np.sqrt(425.0), np.sqrt(275.0), np.sqrt(75.0)], rel=1e-3)
    assert found[7] == pytest.approx(35.0 - 45.0)
    assert found[8:] == pytest.approx([np.mean(soft), 0.0, 0.5, 0.75], abs=0.1)


def test_more_people_say_more():
    """What sampling adds to the variance of a mean falls with the people; what is between trials stays."""
    body = {"id": "sizes", "condition": "chronic", "population": {"duration": "mean 5 years"},
            "arms": [{"id": "a", "n": 50, "interventions": [{"type": "usual_care"}]}],
            "outcomes": [{"measure": "NRS", "scale": {"min": 0, "max": 10, "higher_is_worse": True}, "points": [
                {"arm": "a", "week": 0, "mean": 6.0, "sd": 1.5}, {"arm": "a", "week": 6, "mean": 5.0}]}]}
    variances = []
    for n in (50, 200, 10**6):
        body["arms"][0]["n"] = n
        problem = build([read_trial(body, "sizes")], 32)
        assert problem.size == 1 and sample_size(problem, 0) == n
        variances.append(float(Likelihood.of(problem).moments(jnp.zeros(len(names())))[1][0, 0, 0]))
    small, large, huge = variances
    assert (small - huge) / (large - huge) == pytest.approx(4.0, rel=0.01)
    assert np.sqrt(small - huge) == pytest.approx(22.0 / np.sqrt(50), rel=0.02) and huge > 1.0


def test_the_people_of_an_arm_start_where_the_trial_says(few):
    trial, = studies("brinkhaus2006")
    assert baseline_of(trial, "acupuncture", "pain")[0] == pytest.approx(63.0)
    who, known = who_of(trial, "minimal")
    assert known and who.baseline_nrs == pytest.approx(6.6) and who.phase == "chronic"
    row = _arm_ids(few).index("sham")
    assert few.arms.observed[row].mean() == pytest.approx(6.78, abs=0.1)
    assert few.arms.observed[row].min() >= 3.0
