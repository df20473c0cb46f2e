"""Whether a store is whole: every row opens with the key, every change is in the trail; and the change of the key."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from cryptography.fernet import InvalidToken
from sqlalchemy import LargeBinary, Table, select, type_coerce, update

from .audit import Actor, broken_at, note
from .crypt import Document, Encrypted, WrongKey, add_key, give_keys, keyring
from .database import Database
from .tables import Entry, OfPatient, Person, Revision, Row

TOLD = 20
"""Faults that are told; nobody reads more."""


def verify(database: Database) -> dict[str, Any]:
    """Read a store from end to end.

    Arguments:
        database: the store, its tables up to date.

    Returns:
        `rows` by table, `faults` in words, and whether it `is_whole`.

    Raises:
        StoreUnavailable: it cannot be read.
    """
    rows: dict[str, int] = {}
    faults: list[str] = []
    with database.read() as store:
        if (broken := broken_at(store)) is not None:
            faults.append(f"the audit trail is not whole from entry {broken} on" + (
                "; or the oldest key, which seals it, is not in the key file" if broken == 1 else ""))
        told = Counter((kind, object_id) for kind, object_id in store.execute(
            select(Entry.kind, Entry.object_id).where(Entry.action == "created")))
        for mapper in sorted(Row.registry.mappers, key=lambda mapper: str(mapper.local_table)):
            name, kind, rows[str(mapper.local_table)] = str(mapper.local_table), mapper.class_, 0
            key = list(mapper.primary_key)
            for identity in store.execute(select(*key).order_by(*key)).all():
                rows[name] += 1
                try:
                    row = store.get(kind, tuple(identity))
                except (WrongKey, ValueError):
                    faults.append(f"{name}: a row cannot be opened with the key")
                    continue
                if isinstance(row, OfPatient | Person) and told[name, row.id] != 1:
                    faults.append(f"{name}: a row that the audit trail does not know")
                store.expunge(row)
        entries = store.scalars(select(Entry.seq).where(Entry.kind.in_(_records()), Entry.action == "created",
                                                        Entry.patient_id.in_(select(Person.id)))).all()
        kept = set(store.scalars(select(Revision.seq)))
        faults += [f"audit: entry {seq} has no contents" for seq in entries if seq not in kept]
    return {"rows": rows, "faults": faults[:TOLD], "is_whole": not faults}


def rotate(database: Database, key_file: Path) -> int:
    """Make a new key and encrypt everything anew with it, in one write; older keys stay in the file, below it:
    the oldest one seals the audit trail and backups.

    A crash in between loses nothing: the file then holds both keys.

    Arguments:
        database: the store, its tables up to date; no server may run on it.
        key_file: of its keys.

    Returns:
        how many values were encrypted anew.

    Raises:
        WrongKey: a value does not open with the keys as they are; nothing was changed in the store.
    """
    add_key(key_file)
    keys, cells = keyring(key_file), 0
    with database.write(Actor()) as store:
        connection = store.connection()
        for table in Row.metadata.sorted_tables:
            closed = _encrypted(table)
            if not closed:
                continue
            key = list(table.primary_key.columns)
            raw = [type_coerce(column, LargeBinary).label(column.name) for column in closed]
            for row in connection.execute(select(*key, *raw)).mappings().all():
                try:
                    again = {column: keys.rotate(row[column.name]) for column in closed if row[column.name] is not None}
                except InvalidToken:
                    raise WrongKey(f"a value of {table.name} does not open with the keys of {key_file}; nothing was "
                                   "encrypted anew") from None
                connection.execute(update(table).where(*(column == row[column.name] for column in key)).values(
                    {column: type_coerce(value, LargeBinary) for column, value in again.items()}))
                cells += len(again)
        note(store, "key_changed", "practice", "")
    give_keys(database.engine.dialect, keys)
    return cells


def _encrypted(table: Table) -> list[Any]:
    return [column for column in table.columns if isinstance(column.type, Encrypted | Document)]


def _records() -> list[str]:
    return [str(mapper.local_table) for mapper in Row.registry.mappers
            if issubclass(mapper.class_, OfPatient | Person)]
