"""The audit trail: who did what to which record and when, in the transaction that did it, each entry sealed.

A seal is over the one before too, and takes the key (`crypt.sealed`); the practice's row holds one of the newest entry.

Nobody writes entries by hand for what changes rows: every row added, changed or deleted in a write gives one. What
changes no row (signing in, opening a record) is noted with `note`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, event, insert, inspect, select, update
from sqlalchemy.orm import Session

from .crypt import sealed
from .tables import Entry, OfPatient, Person, Practice, Revision, Row, new_id, now

NONE = "0" * 64


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Whoever acts.

    Attributes:
        actor: an account's id, `link:` and an id, or `system`.
        request: the id of the request.
    """

    actor: str = "system"
    request: str = ""


@dataclass(frozen=True)
class _Done:
    action: str
    kind: str
    object_id: str
    patient_id: str | None
    fields: tuple[str, ...] = ()
    row: Row | None = None


def note(store: Session, action: str, kind: str, object_id: str, patient_id: str | None = None,
         fields: tuple[str, ...] = ()) -> None:
    """Note what changes no row.

    Arguments:
        store: of a write.
        action: such as `viewed`.
        kind, object_id: what it was done to.
        patient_id: whose record it belongs to.
        fields: names that tell more; never values.
    """
    store.info["done"].append(_Done(action, kind, object_id, patient_id, fields))


def watch(store: Session, actor: Actor) -> None:
    """Collect what a write does, for `seal`."""
    store.info["actor"], store.info["done"] = actor, []
    event.listen(store, "before_flush", _collect)


def seal(store: Session) -> None:
    """Write the entries of a write, each with a digest over the one before, and the seal of the last."""
    store.flush()
    if not store.info["done"]:
        return
    last = store.execute(select(Entry.seq, Entry.digest).order_by(Entry.seq.desc()).limit(1)).first()
    seq, digest = last or (0, NONE)
    actor, at, dialect = store.info["actor"], now(), store.get_bind().dialect
    entries, revisions = [], []
    for done in store.info["done"]:
        seq += 1
        entry = Entry(seq=seq, at=at, actor=actor.actor, action=done.action, kind=done.kind, object_id=done.object_id,
                      patient_id=done.patient_id, fields=list(done.fields), request=actor.request)
        entry.digest = digest = digest_of(entry, digest, dialect)
        entries.append({column.name: getattr(entry, column.name) for column in Entry.__table__.columns})
        if done.row is not None:
            revisions.append({"seq": seq, "patient_id": done.patient_id, "content": content_of(done.row)})
    store.execute(insert(Entry), entries)
    if revisions:
        store.execute(insert(Revision), revisions)
    store.execute(update(Practice).values(trail_head=sealed(dialect, "head", seq, digest)),
                  execution_options={"synchronize_session": False})
    store.info["done"].clear()


def digest_of(entry: Entry, before: str, dialect: Dialect) -> str:
    """The seal of an entry, given that of the one before it."""
    return sealed(dialect, "entry", before, entry.seq, entry.at.isoformat(), entry.actor, entry.action, entry.kind,
                  entry.object_id, entry.patient_id, entry.fields, entry.request)


def broken_at(store: Session) -> int | None:
    """The number of the first entry that was changed or is missing, or None if the trail is whole."""
    before, expected, dialect = NONE, 1, store.get_bind().dialect
    for entry in store.scalars(select(Entry).order_by(Entry.seq)).yield_per(500):
        if entry.seq != expected or entry.digest != digest_of(entry, before, dialect):
            return expected
        before, expected = entry.digest, expected + 1
    heads = store.scalars(select(Practice.trail_head)).all()
    return None if heads == [sealed(dialect, "head", expected - 1, before)] else expected


def content_of(row: Row) -> dict[str, Any]:
    """A row's values as plain data, without its secrets."""
    values = {column.key: getattr(row, column.key) for column in inspect(type(row)).column_attrs
              if column.key not in row.secret}
    return {key: value.isoformat() if hasattr(value, "isoformat") else value for key, value in values.items()}


def _collect(store: Session, *_: object) -> None:
    done = store.info["done"]
    for row in sorted(store.new, key=lambda row: row.__tablename__):
        if row.audited:
            if "id" in inspect(type(row)).columns and row.id is None:
                row.id = new_id()
            done.append(_done("created", row, ()))
    for row in store.dirty:
        changed = _changed(row)
        if row.audited and changed:
            done.append(_done("changed", row, changed))
    done += [_done("deleted", row, (), keep=False) for row in store.deleted if row.audited]


def _changed(row: Row) -> tuple[str, ...]:
    state = inspect(row)
    return tuple(column.key for column in state.mapper.column_attrs
                 if column.key != "version" and state.attrs[column.key].history.has_changes())


def _done(action: str, row: Any, fields: tuple[str, ...], keep: bool = True) -> _Done:
    patient = row.id if isinstance(row, Person) else getattr(row, "patient_id", None)
    kept = row if keep and isinstance(row, OfPatient | Person) else None
    name = str(getattr(row, "id", None) or getattr(row, "account_id", ""))
    return _Done(action, row.__tablename__, name, patient, fields, kept)
