"""Reads the audit trail: who did what, what a record held before and after, and what a form was made from."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from .tables import Account, Entry, OfPatient, Person, Revision

PAGE = 50
LONGEST = 300
"""Characters of a value that the trail shows; a forecast is longer and its numbers tell nobody anything here."""
BESIDE = frozenset({"id", "version", "created_at", "created_by", "patient_id"})
"""Columns that no person filled in."""
NOT_CONTENT = frozenset({"patients", "members"})
"""Kinds of rows of a record that say nothing about health."""


@dataclass(frozen=True)
class Change:
    """One field before and after; None where it was not there."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Line:
    """An entry of the trail as it is shown.

    Attributes:
        entry: as stored.
        changes: of its fields; empty where nothing is kept, as after a deletion.
    """

    entry: Entry
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Bare:
    """An entry as who keeps the accounts may see it: what was done to a record's content is not told apart, because
    that there was an unwanted event tells something of a patient."""

    seq: int
    at: datetime.datetime
    actor: str
    action: str
    kind: str
    patient_id: str | None
    fields: tuple[str, ...]


def lines_of(store: Session, patient: str, before: int | None = None) -> list[Line]:
    """The trail of one record, the newest first, a page of it.

    Arguments:
        store: of a read.
        patient: whose record.
        before: the number of an entry; only earlier ones.
    """
    chosen = select(Entry).where(Entry.patient_id == patient)
    if before is not None:
        chosen = chosen.where(Entry.seq < before)
    entries = store.scalars(chosen.order_by(Entry.seq.desc()).limit(PAGE + 1)).all()
    seqs = [entry.seq for entry in entries]
    kept = {row.seq: row.content for row in store.scalars(select(Revision).where(Revision.seq.in_(seqs)))}
    earlier = _earlier(store, patient, [entry for entry in entries if entry.action in ("changed", "deleted")])
    return [Line(entry, changes(earlier.get(entry.seq, {}), kept.get(entry.seq, {}))) for entry in entries]


def without_health(store: Session, before: int | None = None) -> list[Bare]:
    """The whole trail for who keeps the accounts, the newest first, a page of it.

    Arguments:
        store: of a read.
        before: the number of an entry; only earlier ones.
    """
    chosen = select(Entry) if before is None else select(Entry).where(Entry.seq < before)
    found = []
    for entry in store.scalars(chosen.order_by(Entry.seq.desc()).limit(PAGE + 1)):
        content = entry.patient_id is not None and entry.kind not in NOT_CONTENT
        found.append(Bare(entry.seq, entry.at, entry.actor, entry.action, "record" if content else entry.kind,
                          entry.patient_id, () if content else tuple(entry.fields)))
    return found


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """The fields that differ, down to the parts of documents, as texts."""
    old, new = _flat(before), _flat(after)
    fields = [*new, *(field for field in old if field not in new)]
    return tuple(Change(field, old.get(field), new.get(field)) for field in fields if old.get(field) != new.get(field))


def content_at(store: Session, row: OfPatient | Person, version: int) -> dict[str, Any]:
    """A row's values as one of its versions had them; empty where that is not kept."""
    kept = store.scalars(select(Revision).join(Entry, Entry.seq == Revision.seq).where(
        Entry.kind == row.__tablename__, Entry.object_id == row.id).order_by(Entry.seq.desc()))
    return next((one.content for one in kept if one.content.get("version") == version), {})


def last_change(store: Session, row: OfPatient | Person) -> tuple[str, datetime.datetime | None]:
    """Whose change of a row was the last, as an actor, and when it was."""
    entry = store.scalar(select(Entry).where(Entry.kind == row.__tablename__, Entry.object_id == row.id)
                         .order_by(Entry.seq.desc()).limit(1))
    return (entry.actor, entry.at) if entry is not None else ("system", None)


def names(store: Session, actors: Iterable[str]) -> dict[str, str]:
    """The names of actors that are accounts, by id; others, such as a patient's link, have none."""
    return {id: name for id, name in store.execute(select(Account.id, Account.name).where(Account.id.in_(set(actors))))}


def _earlier(store: Session, patient: str, entries: Sequence[Entry]) -> dict[int, dict[str, Any]]:
    """What each entry's row held before it, by the entry's number."""
    if not entries:
        return {}
    Before = select(Entry.seq.label("seq"), Entry.object_id.label("object_id"), Entry.kind.label("kind")).join(
        Revision, Revision.seq == Entry.seq).where(Entry.patient_id == patient).subquery()
    rows = store.execute(
        select(Entry.seq, func.max(Before.c.seq))
        .join(Before, and_(Before.c.object_id == Entry.object_id, Before.c.kind == Entry.kind,
                           Before.c.seq < Entry.seq))
        .where(Entry.seq.in_([entry.seq for entry in entries])).group_by(Entry.seq)).all()
    found = {seq: before for seq, before in rows}
    kept = {row.seq: row.content for row in store.scalars(select(Revision).where(Revision.seq.in_(found.values())))}
    return {seq: kept[before] for seq, before in found.items()}


def _flat(content: Mapping[str, Any], path: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in content.items():
        if not path and key in BESIDE:
            continue
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            flat |= _flat(value, name)
        elif value not in (None, "", []):
            text = value if isinstance(value, str) else f"{value:.10g}" if isinstance(value, float) else json.dumps(
                value, ensure_ascii=False)
            flat[name] = text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
    return flat
