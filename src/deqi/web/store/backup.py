"""One portable backup of a store, of SQLite or PostgreSQL and for either: rows as JSON lines, a table a file, in a zip.

What is encrypted stays encrypted, and the key is not in it; the manifest is sealed with it, so that none but deqi's own
backups are put back. A backup is a snapshot of one moment, made while the server
runs; it is written whole or not at all, and put back whole or not at all.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Date, DateTime, LargeBinary, MetaData, Table, insert, select
from sqlalchemy.orm import Session

from ... import __version__
from ...errors import DeqiError, InputError
from ...writing import replacing
from .audit import broken_at
from .crypt import WrongKey, sealed
from .database import Database, told
from .migrate import check_known, newest, upgrade, version_of
from .tables import Practice, now

FORMAT = 1
LEFT_OUT = frozenset({"alembic_version", "browsers"})
"""The version stands in the manifest, and nobody stays signed in."""
BATCH = 500
NOTE = ("Names, free words and documents in it are encrypted, scores and days are not. The key is not in it: keep the "
        "key file in another safe place, for without it nobody can read this backup. Restore: deqi store restore")
Manifest = dict[str, Any]


def backup(database: Database, path: Path) -> Manifest:
    """Write a backup.

    Arguments:
        database: the store; a server may be running on it.
        path: of the zip; a file that is there already is replaced.

    Returns:
        the manifest: `format, deqi, tables_version, made_at, note, tables: {name: {rows, sha256}}, seal`.

    Raises:
        InputError: the file cannot be written, or the store holds nothing.
        StoreUnavailable: the store cannot be read.
    """
    engine = database.engine if database.is_sqlite else database.engine.execution_options(
        isolation_level="REPEATABLE READ")
    with told(), replacing(path, private=True) as draft, engine.connect() as connection, zipfile.ZipFile(
            draft, "w", zipfile.ZIP_DEFLATED) as file:
        tables = _tables(connection)
        if "alembic_version" not in tables:
            raise InputError("there is no store to back up", file=str(database.path or "database"),
                             accepted="a store that a server has made")
        made: Manifest = {"format": FORMAT, "deqi": __version__, "note": NOTE, "made_at": now().isoformat(),
                          "tables_version": connection.scalar(select(tables["alembic_version"].c.version_num)),
                          "tables": {}}
        for name, table in tables.items():
            if name not in LEFT_OUT:
                made["tables"][name] = _write(file, connection, table)
        made["seal"] = sealed(connection.dialect, "backup", made)
        file.writestr("manifest.json", json.dumps(made, indent=1))
    return made


def before_migration(database: Database, folder: Path) -> Path | None:
    """Back a store up if its tables are about to be brought up to date; gives the backup's path, None if they are not.

    Raises:
        DeqiError: a newer deqi made the store, or no backup can be made: then nothing should be migrated either.
    """
    version = version_of(database)
    check_known(version)
    if version in (None, newest()):
        return None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"before-{newest()}-{now():%Y%m%d-%H%M%S}.zip"
    backup(database, path)
    return path


def manifest_of(path: Path) -> Manifest:
    """Read the manifest of a backup, and hold every file of it against it.

    Raises:
        InputError: no backup, a damaged one, or one of a newer deqi.
    """
    try:
        with zipfile.ZipFile(path) as file:
            made: Manifest = json.loads(file.read("manifest.json"))
            if made.get("format") != FORMAT:
                raise _refused(path, "a backup of another deqi", f"format {FORMAT}", made.get("format"))
            if set(file.namelist()) != {"manifest.json", *(f"{name}.jsonl" for name in made["tables"])}:
                raise _refused(path, "a damaged backup: a table is missing or one too many", "a whole backup")
            for name, told_of in made["tables"].items():
                rows, digest = 0, hashlib.sha256()
                with file.open(f"{name}.jsonl") as lines:
                    for line in lines:
                        rows += 1
                        digest.update(line)
                if rows != told_of["rows"] or digest.hexdigest() != told_of["sha256"]:
                    raise _refused(path, f"a damaged backup: {name} is not as it was written", "a whole backup")
    except OSError as error:
        raise _refused(path, f"cannot be read ({error.strerror})", "a backup that `deqi store backup` made") from None
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError, EOFError, NotImplementedError):
        raise _refused(path, "no backup, or a damaged one", "a backup that `deqi store backup` made") from None
    check_known(made["tables_version"])
    return made


def restore(database: Database, path: Path) -> Manifest:
    """Put a backup into an empty store, and bring its tables up to date.

    Arguments:
        database: empty, with the keys that the backup was made with.
        path: of the backup.

    Returns:
        the manifest.

    Raises:
        InputError: a store that is not empty, or no whole backup.
        WrongKey: the backup was made with another key, or was changed since.
        DeqiError: its audit trail is not whole.
        StoreUnavailable: the store cannot be written. Whatever is raised, the store is as empty as before.
    """
    made = manifest_of(path)
    told_of = {name: value for name, value in made.items() if name != "seal"}
    if made.get("seal") != sealed(database.engine.dialect, "backup", told_of):
        raise WrongKey(f"{path}: this backup was made with another key, or was changed since it was made; nothing was "
                       "restored. Name the right key file in DEQI_KEY_FILE")
    with told(), database.engine.execution_options(immediate=True).begin() as connection:
        if _tables(connection):
            raise InputError("a backup goes only into an empty store", file=str(database.path or "database"),
                             accepted="another folder: --data DIR, or an empty database")
        upgrade(connection, made["tables_version"])
        with zipfile.ZipFile(path) as file:
            for name, table in _tables(connection).items():
                if name in made["tables"]:
                    with file.open(f"{name}.jsonl") as lines:
                        for rows in _batches(lines, table):
                            connection.execute(insert(table), rows)
        upgrade(connection)
        with Session(connection) as store:
            store.scalars(select(Practice)).all()  # reading it opens `key_check`, which only the right key does
            if (broken := broken_at(store)) is not None:
                raise DeqiError(f"the audit trail of this backup is not whole from entry {broken} on; nothing was "
                                "restored")
    return made


def _tables(connection: Connection) -> dict[str, Table]:
    """The tables as they are, each after those that it refers to."""
    found = MetaData()
    found.reflect(connection)
    return {table.name: table for table in found.sorted_tables}


def _write(file: zipfile.ZipFile, connection: Connection, table: Table) -> dict[str, Any]:
    rows, digest = 0, hashlib.sha256()
    with file.open(f"{table.name}.jsonl", "w", force_zip64=True) as out:
        for row in connection.execution_options(yield_per=BATCH).execute(
                select(table).order_by(*table.primary_key.columns)).mappings():
            line = json.dumps({name: _out(value) for name, value in row.items()}, ensure_ascii=False).encode() + b"\n"
            out.write(line)
            digest.update(line)
            rows += 1
    return {"rows": rows, "sha256": digest.hexdigest()}


def _out(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime.datetime):  # without a time zone it is UTC, as SQLite keeps it
        return value.replace(tzinfo=value.tzinfo or datetime.UTC).astimezone(datetime.UTC).isoformat()
    return value.isoformat() if isinstance(value, datetime.date) else value


def _batches(lines: Any, table: Table) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    for line in lines:
        row: Mapping[str, Any] = json.loads(line)
        rows.append({name: _in(value, table.c[name].type) for name, value in row.items()})
        if len(rows) == BATCH:
            yield rows
            rows = []
    if rows:
        yield rows


def _in(value: Any, kind: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, LargeBinary):
        return base64.b64decode(value)
    if isinstance(kind, DateTime):
        return datetime.datetime.fromisoformat(value)
    return datetime.date.fromisoformat(value) if isinstance(kind, Date) else value


def _refused(path: Path, message: str, accepted: str, found: object = None) -> InputError:
    return InputError(message, file=str(path), found=found, accepted=accepted)
