"""Opens the store, SQLite on one's own machine or a clinic's PostgreSQL; a write is whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as WaitedTooLong
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from ...errors import DeqiError, InputError
from .audit import Actor, seal, watch
from .crypt import Keyring, give_keys
from .tables import Row

BUSY_SECONDS = 5.0
"""How long to wait for another program that holds the store."""
TURN_SECONDS = 20.0
"""How long to wait for others of this process."""
WRITES = 7_263_001
"""The advisory lock under which PostgreSQL lets one write after the other append to the audit trail."""


class StoreUnavailable(DeqiError):
    """The store cannot be read or written right now; nothing was changed."""


class Conflict(DeqiError):
    """Somebody else changed the same record in between; nothing was changed."""


class Database:
    """One store.

    Arguments:
        url: a SQLAlchemy URL.
        keys: that open and close what is encrypted.
    """

    def __init__(self, url: str, keys: Keyring):
        self.url, self.is_sqlite = url, make_url(url).get_backend_name() == "sqlite"
        self.engine = _sqlite(url) if self.is_sqlite else create_engine(
            url, pool_size=20, max_overflow=40, pool_pre_ping=True, hide_parameters=True)
        give_keys(self.engine.dialect, keys)
        self._writer = self.engine.execution_options(immediate=True)
        self._turn = Lock()
        self._reader = self.engine if self.is_sqlite else self.engine.execution_options(
            isolation_level="REPEATABLE READ")

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees the store as it is at one moment; what it changes is dropped.

        Raises:
            StoreUnavailable: the store cannot be reached.
        """
        with told(), Session(self._reader, autoflush=False, expire_on_commit=False) as store:
            yield store

    @contextlib.contextmanager
    def write(self, actor: Actor) -> Iterator[Session]:
        """A session whose changes, and the audit entries of them, are all there at the end of the block, or none are.

        Writes come one after the other. Those of this process wait here for their turn: SQLite lets whoever asks at a
        lucky moment go first, and under load somebody is never lucky.

        Raises:
            Conflict: a row was changed by somebody else since it was read.
            StoreUnavailable: the store is locked, full or cannot be reached.
        """
        with self._in_turn(), told(), Session(self._writer, expire_on_commit=False) as store:
            watch(store, actor)
            if not self.is_sqlite:
                store.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITES})
            yield store
            seal(store)
            store.commit()

    @contextlib.contextmanager
    def _in_turn(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=TURN_SECONDS):
            raise StoreUnavailable("too much is being written at once; nothing was saved. Try again in a moment")
        try:
            yield
        finally:
            self._turn.release()

    def forget(self) -> None:
        """Leave no trace of what was deleted in the files of the store.

        SQLite overwrites what is deleted, and its log is emptied here; PostgreSQL writes the tables anew. Backups made
        earlier, and the archives of a PostgreSQL server, are not reached.

        Raises:
            StoreUnavailable: the store is in use; what was deleted stays deleted, and its traces go when the last
                connection is closed, or with the next call.
        """
        with told():
            if not self.is_sqlite:
                with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    of_patients = [name for name, table in Row.metadata.tables.items()
                                   if name == "patients" or ("patient_id" in table.columns and name != "audit")]
                    connection.exec_driver_sql(f"VACUUM FULL {', '.join(of_patients)}")
                return
            with contextlib.closing(self.engine.raw_connection()) as raw:
                cursor = raw.cursor()
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                busy = cursor.fetchone()
            if busy is None or busy[0]:
                raise StoreUnavailable("what was deleted is gone, but somebody reads the store, so that traces of it "
                                       "stay in its log until the server stops")

    @property
    def path(self) -> Path | None:
        """The file of an embedded store."""
        name = make_url(self.url).database
        return Path(name) if self.is_sqlite and name else None

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Tell what a database reports as one of deqi's own errors."""
    try:
        yield
    except (StaleDataError, IntegrityError) as error:
        if "append-only" in str(error):
            raise StoreUnavailable(_reason("append-only")) from error
        raise Conflict("somebody else changed this record in between; nothing was saved") from error
    except DataError as error:
        raise InputError("a value that cannot be stored", accepted="text without NUL characters") from error
    except (DBAPIError, WaitedTooLong) as error:
        raise StoreUnavailable(_reason(str(getattr(error, "orig", "timeout")).lower())) from error


def _reason(said: str) -> str:
    if "full" in said or "no space" in said or "disk i/o" in said:
        return "the disk is full or cannot be written; nothing was saved. Make room, then try again"
    if "locked" in said or "timeout" in said or "busy" in said:
        return "another program holds the store; nothing was saved. Try again in a moment"
    if "readonly" in said or "read-only" in said or "unable to open" in said:
        return "the store cannot be opened for writing; nothing was saved. Check the folder and its rights"
    if "not a database" in said or "malformed" in said:
        return "the file of the store is damaged, or is none; restore a backup with `deqi store restore`"
    if "append-only" in said:
        return "the audit trail can only be added to; nothing was saved"
    return "the store cannot be reached; nothing was saved. Try again in a moment"


def _sqlite(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False}, pool_size=20,
                           max_overflow=40, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions begin where `begin` below says so
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine
