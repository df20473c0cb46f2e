"""Opens the store, SQLite on one's own machine or a clinic's PostgreSQL; a write is whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.fernet import MultiFernet
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from ...errors import DeqiError
from .audit import Actor, seal, watch
from .crypt import give_keys

BUSY_SECONDS = 5.0
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

    def __init__(self, url: str, keys: MultiFernet):
        self.url, self.is_sqlite = url, make_url(url).get_backend_name() == "sqlite"
        self.engine = _sqlite(url) if self.is_sqlite else create_engine(
            url, pool_size=20, max_overflow=40, pool_pre_ping=True, hide_parameters=True)
        give_keys(self.engine.dialect, keys)
        self._writer = self.engine.execution_options(immediate=True)

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees the store as it is at one moment; what it changes is dropped.

        Raises:
            StoreUnavailable: the store cannot be reached.
        """
        with _told(), Session(self.engine, autoflush=False, expire_on_commit=False) as store:
            yield store

    @contextlib.contextmanager
    def write(self, actor: Actor) -> Iterator[Session]:
        """A session whose changes, and the audit entries of them, are all there at the end of the block, or none are.

        Writes come one after the other, from the first statement on.

        Raises:
            Conflict: a row was changed by somebody else since it was read.
            StoreUnavailable: the store is locked, full or cannot be reached.
        """
        with _told(), Session(self._writer, expire_on_commit=False) as store:
            watch(store, actor)
            if not self.is_sqlite:
                store.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITES})
            yield store
            seal(store)
            store.commit()

    @property
    def path(self) -> Path | None:
        """The file of an embedded store."""
        name = make_url(self.url).database
        return Path(name) if self.is_sqlite and name else None

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (StaleDataError, IntegrityError) as error:
        if "append-only" in str(error):
            raise StoreUnavailable(_reason("append-only")) from error
        raise Conflict("somebody else changed this record in between; nothing was saved") from error
    except (OperationalError, DBAPIError) as error:
        raise StoreUnavailable(_reason(str(error.orig).lower())) from error


def _reason(told: str) -> str:
    if "full" in told or "no space" in told or "disk i/o" in told:
        return "the disk is full or cannot be written; nothing was saved. Make room, then try again"
    if "locked" in told or "timeout" in told or "busy" in told:
        return "another program holds the store; nothing was saved. Try again in a moment"
    if "readonly" in told or "read-only" in told or "unable to open" in told:
        return "the store cannot be opened for writing; nothing was saved. Check the folder and its rights"
    if "append-only" in told:
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
