"""Gives any plan for any patient as SBML: the equations that run, the person's numbers, care as events.

    export("acupuncture 30 min 12 sessions over 6 weeks", weeks=26).text      # the reference patient
    export("walking 30 min daily for 6 weeks", "patient.yaml").text           # the person in the file

A person is unsure; a model file holds one set of numbers. It is that of the person in the middle of what is known: the
particles of the forecast, conditioned on the earlier scores, at the median of each place among others and of each
average.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..body.system import BODY, THEORIES
from ..care import Plan, load_plan, sentences
from ..care.course import Course
from ..care.timeline import timeline
from ..consult.assessment import load_patient
from ..consult.forecast import DRAWS, Person, prepare
from ..consult.history import shifted
from ..consult.provenance import provenance
from ..consult.screening import applicability, screen
from ..consult.single import MOST_WEEKS
from ..errors import InputError
from ..population.context import strength
from ..population.coordinates import Coordinates
from ..population.particles import Particles
from ..population.patients import Population
from ..solve.grid import WEEKS, Grid, Resolution, build
from .sbml_model import model_of
from .sbml_write import as_sbml

REFERENCE_NRS = 6.0
"""Pain of the reference patient (chronic non-specific low back pain); disability follows from the map."""


@dataclass(frozen=True)
class Export:
    """What an export gives.

    Arguments:
        text: the SBML; None where screening found an emergency, and nothing is forecast.
        about: plan, patient, weeks, screening, what made it.
    """

    text: str | None
    about: dict[str, Any]


def export(plan: str | Plan, patient: Path | str | None = None, *, weeks: int = 12, without: Iterable[str] = (),
           seed: int = 1, resolution: Resolution = WEEKS) -> Export:
    """A patient under a plan as SBML Level 3 Version 2.

    Arguments:
        plan: in words, in a file, or read already; it starts now.
        patient: a patient file; without one, the reference patient.
        weeks: how long, 1 to 104, from now.
        without: theories that are absent; the person is anchored at the same score again.
        seed: of the particles, for a patient file.
        resolution: of the inputs; between the steps of this grid they are constant, as they are for the solver.

    Raises:
        InputError: a plan, a patient, weeks or a theory that is not accepted; a person outside what was studied.
    """
    absent = tuple(dict.fromkeys(without))
    for name in absent:
        if name not in THEORIES:
            raise InputError("no such theory", field="--without", found=name, accepted=", ".join(THEORIES))
    if not 1 <= weeks <= MOST_WEEKS:
        raise InputError("out of range", field="--weeks", found=weeks, accepted=f"whole weeks from 1 to {MOST_WEEKS}")
    asked = load_plan(plan)
    about: dict[str, Any] = {"plan": sentences(asked), "weeks": weeks, "without": list(absent),
                             "patient": "reference patient", "screening": None,
                             "provenance": provenance(seed, DRAWS if patient else 1)}
    if patient is None:
        params, states = BODY.rest(BODY.parameters(absent), REFERENCE_NRS)
        grid, notes = build(timeline(asked.courses, weeks), resolution=resolution), []
    else:
        told = load_patient(Path(patient))
        about |= {"patient": told.id, "screening": screen(told).as_json()}
        if about["screening"]["status"] == "emergency":
            return Export(None, about)
        extent = applicability(told)
        if extent.status == "outside":
            raise InputError("outside what was studied: " + "; ".join(extent.reasons), file=str(patient),
                             accepted="a patient for whom a forecast may be made")
        person = prepare(told, extent, draws=DRAWS, seed=seed)
        people = in_the_middle(person.known.particles).people(absent)
        params, states = people.params, people.states
        grid = _as_felt((*person.received, *shifted(asked.courses, person.past.weeks)), person.past.weeks + weeks,
                        people, resolution)
        notes = _of_the_person(person)
    title = f"{about['patient']}: {'; '.join(about['plan']) or 'no further treatment'}"
    return Export(as_sbml(model_of(params, states, grid), title, [*_NOTES, *notes, _made(about)]), about)


def in_the_middle(particles: Particles) -> Particles:
    """The one particle in the middle of many: median places and averages, the most frequent kind of person."""
    kind = np.bincount(particles.kind).argmax()
    averages = {name: np.median(values[particles.average], keepdims=True)
                for name, values in particles.averages.items()}
    return Particles(particles.whos, np.array([kind]),
                     Coordinates(np.median(particles.places.uniform, axis=1, keepdims=True)), averages, np.array([0]))


def lines(found: Export, out: str) -> list[str]:
    """What was written, in plain lines for the terminal."""
    screening = found.about["screening"]
    head = [f"screening: {screening['status']}", *(f"  {each['text']}" for each in screening["findings"])
            ] if screening else []
    if found.text is None:
        return [*head, "Screening found an emergency: no model is written."]
    return [*head, f"{out}: {found.about['patient']}, {found.about['weeks']} weeks, SBML Level 3 Version 2. "
            "Research software."]


def _as_felt(courses: Iterable[Course], weeks: float, people: Population, resolution: Resolution) -> Grid:
    """The grid of some courses with the strength that their context has for this person."""
    courses = tuple(courses)
    grid = build(timeline(courses, weeks), resolution=resolution)
    felt = strength(courses, grid.start_days + 0.5 * grid.days, people.averages)[:, 0]
    return replace(grid, steps=grid.steps._replace(inputs={**grid.steps.inputs, "context_strength": felt}))


_NOTES = (
    "Five theories of how acupuncture may ease low back pain, as one system of equations; generated by deqi from the "
    "equations that it runs. Time is in days.",
    "Read nrs (pain now, 0-10) and disability (0-100). Both are latent: the read-out adds good and bad days, spells, "
    "flares, and the rounding of a reported score, none of which is part of the equations.",
    "Parameters carry the name of their room before their own. Care sets the inputs; an event stands wherever one "
    "changes or a session ends, with values as constant between events as the solver of deqi takes them.",
    "Research software, not a medical device. What lasts of acupuncture beyond sham is small on average.",
)


def _of_the_person(person: Person) -> list[str]:
    said = ["The numbers are those of the person in the middle of what is known: median places among others and median "
            "averages of the particles that agree with the scores. One model cannot show how unsure that is."]
    if person.past.weeks:
        said.append(f"Day 0 is the start of the known past; the plan starts on day {7 * person.past.weeks}.")
    return said


def _made(about: dict[str, Any]) -> str:
    made = about["provenance"]
    return "; ".join([f"deqi {made['version']}", f"equations {made['equations']}", f"laboratory {made['laboratory']}",
                      f"evidence {made['evidence']}", f"seed {made['seed']}", f"{about['weeks']} weeks",
                      f"theories absent: {', '.join(about['without']) or 'none'}"])
