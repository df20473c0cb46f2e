"""Whose records there are, what stands in them at a glance, and who may open them."""

from __future__ import annotations

import datetime
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from ...errors import InputError
from .. import due
from .plans import plans_of, running
from .tables import (
    Account,
    AdverseEvent,
    Assessment,
    Consultation,
    Entry,
    Link,
    Member,
    Person,
    Plan,
    Revision,
    Score,
    Treatment,
)

FIELDS = ("name", "birth_date", "number", "contact")
LONGEST = {"name": 200, "number": 60, "contact": 500}
RECORD = (Assessment, Consultation, Plan, Score, Treatment, AdverseEvent, Link)


@dataclass(frozen=True)
class Glance:
    """A patient in a list.

    Arguments:
        person: who it is.
        active: when something of the record last changed.
        open_assessment: that is being filled in, or None.
        plan: the one that runs, or None.
        reviews: of that plan, which are due or overdue.
        unscored_days: for how many days that plan has run without a score, if too long.
    """

    person: Person
    active: datetime.datetime
    open_assessment: Assessment | None
    plan: Plan | None
    reviews: tuple[due.Review, ...]
    unscored_days: int | None


def listed(store: Session, mine: Any, today: datetime.date, words: str = "", most: int = 60
           ) -> tuple[list[Glance], int]:
    """Return records at a glance, the one that changed last first, and how many there are in all.

    Arguments:
        store: of a read.
        mine: the condition on `Person`, as `guard.own_records` gives it.
        today: this day.
        words: that name or number must hold, each as the beginning of a word; compared in memory, since the store
            holds them encrypted.
        most: how many to return.
    """
    changed = {id: at for id, at in store.execute(select(Entry.patient_id, func.max(Entry.at)).where(
        Entry.patient_id.in_(select(Person.id).where(mine)), Entry.action != "viewed").group_by(Entry.patient_id))}
    people = [one for one in store.scalars(select(Person).where(mine)) if _fits(one, words)]
    at = {one.id: changed.get(one.id) or one.created_at for one in people}
    people.sort(key=lambda one: at[one.id], reverse=True)
    shown = people[:most]
    ids = [one.id for one in shown]
    agreed = defaultdict[str, list[Plan]](list)
    for each in plans_of(store, Plan.patient_id.in_(ids), or_(Plan.state == "current", Plan.ended > today)):
        agreed[each.patient_id].append(each)
    plans = {id: plan for id, theirs in agreed.items() if (plan := running(theirs, today)) is not None}
    open_ones = {each.patient_id: each for each in store.scalars(
        select(Assessment).where(Assessment.patient_id.in_(ids), Assessment.state == "open").order_by(Assessment.day))}
    treated = _days(store, Treatment, [plan.id for plan in plans.values()], Treatment.plan_id)
    scored = _days(store, Score, ids, Score.patient_id, Score.outcome == "NRS")
    found = []
    for one in shown:
        plan, days = plans.get(one.id), scored[one.id]
        waiting = () if plan is None else tuple(
            each for each in due.reviews(plan.began, plan.review, treated[plan.id], days, today)
            if each.state in ("due", "overdue"))
        lacking = None if plan is None else due.days_without_score(plan.began, days, today)
        found.append(Glance(one, at[one.id], open_ones.get(one.id), plan, waiting, lacking))
    return found, len(people)


def read_person(form: Mapping[str, Any], today: datetime.date) -> dict[str, str | None]:
    """Return who a patient is, as a form says it.

    Raises:
        InputError: no name, a field too long, or no such day of birth.
    """
    given = {key: str(form.get(key) or "").strip() for key in FIELDS}
    if not given["name"]:
        raise InputError("missing", field="name", accepted="a name, or what you call this patient by")
    for key, longest in LONGEST.items():
        if len(given[key]) > longest or not given[key].replace("\r\n", "").replace("\n", "").isprintable():
            raise InputError("too long, or with signs that cannot be shown", field=key,
                             accepted=f"up to {longest} characters")
    if given["birth_date"]:
        try:
            born = datetime.date.fromisoformat(given["birth_date"])
        except ValueError:
            raise InputError("not a date", field="birth_date", found=given["birth_date"][:20],
                             accepted="a day such as 1975-03-02") from None
        if not today.year - 120 <= born.year or born > today:
            raise InputError("no such birthday", field="birth_date", found=born.isoformat(),
                             accepted="a day of the last 120 years")
    return {key: value or None for key, value in given.items()}


def before_change(store: Session, kind: str, object_id: str, patient_id: str, version: int) -> dict[str, Any] | None:
    """Return a row's contents as they stood in an earlier version; None if nothing is known of it.

    Arguments:
        store: of a read or a write.
        kind: the name of its table.
        object_id, patient_id: which row.
        version: of that time.
    """
    rows = store.scalars(select(Revision).join(Entry, Entry.seq == Revision.seq).where(
        Entry.kind == kind, Entry.object_id == object_id, Revision.patient_id == patient_id)
        .order_by(Revision.seq.desc()))
    return next((row.content for row in rows if row.content.get("version") == version), None)


def last_change(store: Session, kind: str, object_id: str) -> tuple[str, datetime.datetime]:
    """Return who changed a row last, by name, and when."""
    entry = store.scalars(select(Entry).where(Entry.kind == kind, Entry.object_id == object_id,
                                              Entry.action != "viewed").order_by(Entry.seq.desc()).limit(1)).one()
    account = store.get(Account, entry.actor)
    return (account.name if account else entry.actor.partition(":")[0]), entry.at


def team(store: Session, patient_id: str) -> list[Account]:
    """Return who else may open a record, by name."""
    return list(store.scalars(select(Account).join(Member, Member.account_id == Account.id)
                              .where(Member.patient_id == patient_id).order_by(Account.name)))


def colleagues(store: Session, role: str | None = None) -> list[Account]:
    """Return the accounts that may take part in care, by name; only those of one role if one is given."""
    wanted = {role} if role else {"clinician", "assistant"}
    rows = store.scalars(select(Account).where(Account.active).order_by(Account.name))
    return [one for one in rows if set(one.roles.split()) & wanted]


def hand_over(store: Session, person: Person, account: str) -> None:
    """Make another clinician responsible; the one before stays on the team.

    Raises:
        InputError: nobody who treats patients.
    """
    if account not in {one.id for one in colleagues(store, "clinician")}:
        raise InputError("not a clinician", field="account", accepted="a clinician of this practice")
    before, person.responsible_id = person.responsible_id, account
    leave(store, person, account)
    join(store, person, before)


def join(store: Session, person: Person, account: str) -> None:
    """Let somebody else open a record.

    Raises:
        InputError: nobody who takes part in care.
    """
    if account not in {one.id for one in colleagues(store)}:
        raise InputError("nobody who takes part in care", field="account", accepted="a clinician or an assistant")
    if account != person.responsible_id and store.get(Member, (person.id, account)) is None:
        store.add(Member(patient_id=person.id, account_id=account))


def leave(store: Session, person: Person, account: str) -> None:
    """Take somebody from the team."""
    member = store.get(Member, (person.id, account))
    if member is not None:
        store.delete(member)


def counts(store: Session, patient_id: str) -> dict[str, int]:
    """Return how many rows of each kind a record has, by table."""
    return {table.__tablename__: store.scalar(
        select(func.count()).select_from(table).where(table.patient_id == patient_id)) or 0 for table in RECORD}


def erase(store: Session, person: Person) -> None:
    """Erase a patient and the whole record, earlier contents too; the audit trail keeps that it was done."""
    store.delete(person)


def _fits(person: Person, words: str) -> bool:
    held = _plain(f"{person.name} {person.number or ''}").split()
    return all(any(part.startswith(word) for part in held) for word in _plain(words).split())


def _plain(text: str) -> str:
    """In small letters and without accents."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(sign))


def _days(store: Session, table: Any, ids: Iterable[str], column: Any, *more: Any
          ) -> defaultdict[str, Sequence[datetime.date]]:
    found: defaultdict[str, Any] = defaultdict(list)
    for owner, day in store.execute(select(column, table.day).where(column.in_(list(ids)), *more).order_by(table.day)):
        found[owner].append(day)
    return found
