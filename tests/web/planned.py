"""A patient with a plan that began some weeks ago, as the tests of the rooms after the plan need one."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Sequence
from typing import Any

import pytest

from deqi.web.store.audit import Actor
from deqi.web.store.database import Database
from deqi.web.store.tables import Plan, Score, new_id

from .conftest import World
from .stub import STORED

on_sqlite = pytest.mark.parametrize("template", ["sqlite"], indirect=True)
"""For what a page says, which is the same on every store."""
RULES: list[dict[str, Any]] = [
    {"week": 2, "session": 4, "carry_on_at": 4, "stop_at": 6,
     "carry_on": "your week's average is 4 or lower", "change": "it is 5: talk",
     "stop": "it is 6 or higher, or the treatment troubles you"},
    {"week": 6, "session": None, "carry_on_at": 4, "stop_at": 6,
     "carry_on": "your week's average is 4 or lower", "change": "it is 5: talk",
     "stop": "it is 6 or higher: more of the same is unlikely to help"}]
NEEDLES = "Acupuncture 30 min twice a week for 8 weeks, points local and distal"


def plan(patient: str, assessment: str, author: str, began: datetime.date, baseline: float = 6.0) -> Plan:
    """A plan, not stored yet."""
    return Plan(id=new_id(), patient_id=patient, created_by=author, assessment_id=assessment, began=began,
                sentences=[NEEDLES], kinds="needling", baseline=baseline, review=copy.deepcopy(RULES), provenance={},
                forecast=copy.deepcopy(STORED["options"][3]["forecast"]), state="current")


def begun(world: World, database: Database, weeks: float, scores: Sequence[tuple[float, float]] = (),
          name: str = "amy", author: str = "ann") -> str:
    """Store a plan that began so many weeks ago, with pain reported at weeks since; gives its id."""
    day = datetime.date.today() - datetime.timedelta(days=round(7 * weeks))
    patient = world.patients[name]
    with database.write(Actor(actor=world.people[author])) as store:
        made = plan(patient, world.assessments[name], world.people[author], day)
        store.add(made)
        store.flush()
        store.add_all(Score(patient_id=patient, created_by=world.people[author], outcome="NRS", value=value,
                            day=day + datetime.timedelta(days=round(7 * week)), origin="practice")
                      for week, value in scores)
    return made.id
