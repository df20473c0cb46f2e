"""Brings a store's tables to the version that this deqi knows, with Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from ...errors import DeqiError
from .database import Database, told

SCRIPTS = Path(__file__).with_name("migrations")


def version_of(database: Database) -> str | None:
    """The version of a store's tables; None for an empty one.

    Raises:
        StoreUnavailable: it cannot be read.
    """
    with told(), database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """The version of the tables that this deqi knows."""
    head = ScriptDirectory(str(SCRIPTS)).get_current_head()
    assert head is not None
    return head


def check_known(version: str | None) -> None:
    """Refuse a version of the tables that this deqi does not know.

    Raises:
        DeqiError: a newer deqi made it.
    """
    if version not in {None, *(script.revision for script in ScriptDirectory(str(SCRIPTS)).walk_revisions())}:
        raise DeqiError("this store was made by a newer deqi; install that version or a later one")


def migrate(database: Database) -> None:
    """Bring the tables up to date, in one transaction.

    Raises:
        DeqiError: the store was made by a newer deqi, or cannot be written.
    """
    check_known(version_of(database))
    with told(), database.engine.execution_options(immediate=True).begin() as connection:
        upgrade(connection)


def upgrade(connection: Connection, version: str = "head") -> None:
    """Bring the tables to a version, in the transaction of a connection."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, version)
