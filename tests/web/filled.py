"""The tests' practice with a whole record for each patient, every free word of it a mark that can be looked for."""

from __future__ import annotations

import copy
import datetime
from pathlib import Path
from typing import Any

from deqi.tables import shipped
from deqi.web import accounts, settings
from deqi.web.store.audit import Actor
from deqi.web.store.database import Database
from deqi.web.store.tables import (
    AdverseEvent,
    Alert,
    Assessment,
    Browser,
    Consultation,
    Link,
    Person,
    Plan,
    Score,
    Token,
    Treatment,
    new_id,
    now,
)

from .conftest import World
from .stub import STORED

WORDS = {"name": "Quillfeather", "number": "MRN77421X", "contact": "quill-post", "birth": "1961-04-17",
         "answer": "zymurgyanswer", "plan_note": "plumbagonote", "treatment_note": "thistledownnote",
         "event_words": "wormwoodevent", "alert_words": "foxglovesign", "why": "yarrowreason"}
"""Marks; each stands once for each patient, with the patient's short name behind it."""
SCORES = {"NRS": 6.125, "RMDQ": 11.375}
FILL_IN = {"code": "0" * 22, "question": "fever", "id": "cms_ncd_30_3_3"}
"""What stands in a path and is nobody's."""
LINK_CODE = "40271593"


def fill(database: Database, world: World) -> dict[str, dict[str, str]]:
    """Give both patients a record, and each clinician a token.

    Returns:
        ids by the patient's short name, and by the name that a path has for them.
    """
    made = {}
    for name, owner in (("amy", "ann"), ("ben", "bob")):
        patient, author = world.patients[name], world.people[owner]
        rows = _rows(name, patient, author, world.assessments[name])
        with database.write(Actor(actor=author)) as store:
            person = store.get_one(Person, patient)
            person.name, person.number = f"{WORDS['name']} {name}", WORDS["number"] + name
            person.contact, person.birth_date = WORDS["contact"] + name, WORDS["birth"]
            assessment = store.get_one(Assessment, world.assessments[name])
            assessment.answers, assessment.day = _answers(name), _day(20)
            assessment.state = "done"
            for row in rows.values():
                store.add(row)
                store.flush()
            accounts.new_token(store, author, f"token of {name}", accounts.SCOPES)
            store.flush()
            kept = store.query(Token).filter(Token.label == f"token of {name}").one()
            rows["link"].code = accounts._hasher.hash(LINK_CODE)
        made[name] = {"patient": patient, "assessment": world.assessments[name], "token": kept.id,
                      "account": author, **{kind: str(row.id) for kind, row in rows.items()}}
    return made


def token_of(database: Database, account: str, *scopes: str) -> str:
    """A token of an account."""
    with database.write(Actor()) as store:
        return accounts.new_token(store, account, "test", scopes)


def _day(ago: int) -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=ago)


def _answers(name: str) -> Any:
    answers = example()
    answers["patient"]["goals"] = {**answers["patient"].get("goals", {}), "words": WORDS["answer"] + name}
    return answers


def _rows(name: str, patient: str, author: str, assessment: str) -> dict[str, Any]:
    own = {"patient_id": patient, "created_by": author}
    option = STORED["options"][3]
    plan = new_id()
    treatment = new_id()
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(weeks=26)
    return {
        "consultation": Consultation(id=new_id(), **own, assessment_id=assessment, key="0" * 64,
                                     result=copy.deepcopy(STORED)),
        "plan": Plan(id=plan, **own, assessment_id=assessment, began=_day(19), sentences=option["plan"],
                     kinds="needling", baseline=6.0, forecast=option["forecast"],
                     review=STORED["tailored"]["review"], provenance=STORED["provenance"],
                     told={"plan": option, "nothing": STORED["options"][0]}, note=WORDS["plan_note"] + name),
        "score": Score(id=new_id(), **own, day=_day(10), outcome="NRS", value=SCORES["NRS"], origin="practice"),
        "other_score": Score(id=new_id(), **own, day=_day(10), outcome="RMDQ", value=SCORES["RMDQ"],
                             origin="practice"),
        "treatment": Treatment(id=treatment, **own, plan_id=plan, day=_day(15), details={
            "stimulation": "manual", "retention_minutes": 30, "session": 1, "note": WORDS["treatment_note"] + name}),
        "event": AdverseEvent(id=new_id(), **own, treatment_id=treatment, day=_day(15), kind="other", details={
            "severity": "mild", "treated": "no", "relation": "possible", "outcome": "recovered",
            "words": WORDS["event_words"] + name}),
        "alert": Alert(id=new_id(), **own, day=_day(9), signs={
            "signs": ["saddle_numbness"], "words": WORDS["alert_words"] + name}),
        "link": Link(id=new_id(), **own, code="", expires_at=until),
    }


def browsers(database: Database, world: World) -> dict[str, tuple[str, str]]:
    """A session for each account, whose use is not noted for an hour: cookie and form token, by short name."""
    found = {}
    with database.write(Actor()) as store:
        for name, account in world.people.items():
            cookie = accounts.new_browser(store, account)
            store.flush()
            browser = store.get_one(Browser, accounts.browser_id(cookie))
            browser.seen_at = now() + datetime.timedelta(hours=1)
            found[name] = (cookie, browser.csrf)
    return found


def example() -> Any:
    """A patient with all answers: the example that comes with deqi."""
    return {"patient": shipped(Path(settings.__file__).with_name("example.yaml"))["patient"]}
