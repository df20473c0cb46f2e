"""SBML: valid, runs elsewhere as it runs here, and says where its numbers come from."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import libsbml
import numpy as np
import pytest

from command import EXAMPLES, deqi
from deqi.body.system import BODY, THEORIES, System
from deqi.care import plan_from
from deqi.care.timeline import timeline
from deqi.interop import sbml
from deqi.interop.sbml_model import model_of, values_of
from deqi.interop.sbml_run import Runners
from deqi.interop.sbml_write import as_sbml, problems
from deqi.population.patients import Population, draw, population_of
from deqi.solve import reference
from deqi.solve.exponential import integrate
from deqi.solve.grid import WEEKS, Grid, build

PLANS = (
    "acupuncture 30 min twice a week for 1 weeks",
    "electroacupuncture 2/100 Hz 4 mA 30 min twice a week for 1 weeks",
    "acupuncture 20 min once a week for 1 weeks; heat wrap 60 min a day for 3 days; walking 30 min daily for 1 weeks",
    "vigorous strength exercise 45 min 3 times a week for 1 weeks; ice 15 min a day for 3 days",
    "penetrating sham acupuncture 30 min once a week for 1 weeks; waiting list for 1 weeks",
)


def nth(tree: Any, i: int) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf).reshape(-1)[i if np.ndim(leaf) else 0], tree)


class AtLeastZero(System):
    """The body for solvers of any kind: what their error leaves below zero of a state that cannot be, counts as zero.
    Else, in rest after exercise, `active >= load` flickers, and the reference gives up in some patients."""

    def rates(self, u: Any, params: Any, x: Any, signals: Any = None) -> Any:
        kept = {state.name: jnp.maximum(u[state.name], 0.0) if state.positive else u[state.name]
                for state in self.states}
        return super().rates(kept, params, x, signals)


def by_reference(people: Population, grid: Grid) -> np.ndarray:
    """Pain at the start of each step by the reference solver."""
    return reference.solve(people.params, people.states, grid, system=AtLeastZero())["nrs"]


def by_fast_solver(people: Population, grid: Grid) -> np.ndarray:
    """The same by the fast solver in double precision, each step cut into so many that its error is below 1e-4."""
    cut = 48

    def finer(leaf: Any) -> np.ndarray:
        return np.repeat(np.asarray(leaf)[:grid.used], cut)

    ends = finer(grid.steps.ends_session) & (np.arange(grid.used * cut) % cut == cut - 1)
    with jax.enable_x64(True):
        params, states, steps = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf, float)), (
            dict(people.params), dict(people.states), jax.tree.map(finer, grid.steps._replace(days=grid.days / cut))))
        found = integrate(BODY, params, states, steps._replace(ends_session=ends), record=("nrs",))
    return np.asarray(found.start["nrs"])[::cut]


def largest_differences(people: Population, plan: str, looked_at: int, solve: Callable[[Population, Grid], np.ndarray]
                        ) -> np.ndarray:
    """Largest difference of pain over two days between libRoadRunner and a solver of deqi, by patient, NRS."""
    grid = build(timeline(plan_from(plan).courses, 0.3), resolution=WEEKS)
    params, states = dict(people.params), dict(people.states)
    values = values_of(params, states)
    with Runners(as_sbml(model_of(nth(params, 0), nth(states, 0), grid), plan, ()), record=["nrs"]) as runners:
        found = runners.run([nth(values, i) for i in range(looked_at)], days=grid.start_days[:grid.used])
    return np.max(np.abs(found[:, :, 0].T - solve(people, grid)[:, :looked_at]), axis=0)


@pytest.mark.parametrize(("plan", "without"), [(PLANS[0], ()), (PLANS[2], ("gate", "muscle"))])
def test_libroadrunner_runs_what_deqi_runs(plan: str, without: tuple[str, ...]) -> None:
    """Against the fast solver on a very fine grid, because the reference takes a minute to compile."""
    people = draw(population_of("chronic"), 2, 5, without)
    assert largest_differences(people, plan, 2, by_fast_solver).max() < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS)
def test_round_trip_of_a_hundred_patients(plan: str) -> None:
    """Slow: both solvers at tight tolerances, minutes for a plan; two days hold sessions of each kind."""
    off = largest_differences(draw(population_of("chronic"), 100, 29), plan, 100, by_reference)
    print(f"{plan}: largest difference {off.max():.1e} NRS")
    assert off.max() < 1e-4


@cache
def model(plan: str = PLANS[2], **how: Any) -> tuple[str, Any]:
    text = sbml.export(plan, **how).text
    assert text is not None
    return text, libsbml.readSBMLFromString(text)


@pytest.mark.parametrize("without", [(), THEORIES])
def test_libsbml_finds_nothing_wrong(without: tuple[str, ...]) -> None:
    text, _ = model(without=without)
    assert problems(text) == []
    assert [found for found in problems(text, units=True) if not found.startswith("Warning")] == []


def test_a_broken_model_would_be_noticed() -> None:
    text, _ = model()
    assert problems(text.replace('variable="tissue"', 'variable="tissues"'))


def test_every_number_says_what_it_is_in_which_unit_and_from_where() -> None:
    written = model()[1].getModel()
    assert written.getTimeUnits() == "unit_days"
    for parameter in (written.getParameter(i) for i in range(written.getNumParameters())):
        assert parameter.isSetUnits() and len(parameter.getNotesString()) > 60, parameter.getId()
    for room in BODY.rooms:
        for p in room.parameters:
            assert f"Source: {p.source}" in written.getParameter(f"{room.name}_{p.name}").getNotesString()


def test_sources_and_substances_are_identified() -> None:
    written = model()[1].getModel()

    def resources(name: str) -> list[str]:
        terms = [written.getParameter(name).getCVTerm(i) for i in range(written.getParameter(name).getNumCVTerms())]
        return [term.getResourceURI(0) for term in terms]

    assert resources("circulation_a_C") == ["https://identifiers.org/pubmed:10739894"]
    assert resources("adenosine") == ["https://identifiers.org/CHEBI:16335"]
    assert resources("gate_theta") == []  # fitted here: nothing published to point to


def test_the_reference_patient_starts_at_rest() -> None:
    """The initial values are in balance: nothing moves but healing before care starts."""
    record = ["nrs", "guarding", "inflammation", "lactate"]
    with Runners(model("nothing", weeks=1)[0], record=record) as runners:
        found = runners.run([{}], days=[0.0, 1.0])[0]
    assert found[0, 0] == pytest.approx(6.0, abs=1e-3)
    np.testing.assert_allclose(found[1], found[0], rtol=5e-3)


def test_a_patient_file_gives_the_person_in_the_middle(tmp_path: Path) -> None:
    out = tmp_path / "model.xml"
    run = deqi("export", "sbml", EXAMPLES / "gerac_chronic.yaml", "--plan", "walking 30 min daily for 2 weeks",
               "--weeks", 2, "--out", out, "--json", "-")
    assert run.status == 0, run.err
    assert run.json["sbml"] == str(out) and run.json["weeks"] == 2
    text = out.read_text(encoding="utf-8")
    assert problems(text) == []
    assert "in the middle of what is known" in text


@pytest.mark.parametrize(("options", "named"), [
    (["--weeks", "0"], "--weeks"), (["--weeks", "105"], "--weeks"), (["--without", "chi"], "--without"),
    (["--plan", "leeches"], "leeches")])
def test_bad_input_leaves_no_file(options: list[str], named: str, tmp_path: Path) -> None:
    out = tmp_path / "model.xml"
    run = deqi("export", "sbml", *options, "--out", out)
    assert run.status == 2 and named in run.err
    assert not out.exists()


def test_an_emergency_gets_no_model(tmp_path: Path) -> None:
    out = tmp_path / "model.xml"
    run = deqi("export", "sbml", EXAMPLES / "cauda_equina.yaml", "--out", out)
    assert run.status == 3 and "emergency" in run.out
    assert not out.exists()
