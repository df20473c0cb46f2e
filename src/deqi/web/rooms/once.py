"""A form that makes a row makes it once: the row's id comes with the form, and sending it again finds the row there."""

from __future__ import annotations

import re
from typing import TypeVar

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from ..guard import Caller
from ..store.tables import Shared, new_id

Made = TypeVar("Made", bound=Shared)
ID = re.compile("[0-9a-f]{32}", re.ASCII)
OWN = frozenset({"id", "version", "created_at"})


def add_once(store: Session, caller: Caller, made: Made) -> Made:
    """Add a row, unless this very form has made it already; a form sent again with other contents makes another one.

    Arguments:
        store: of a write.
        caller: whose form has the row's id as `once`.
        made: the row, without an id.

    Returns:
        the row that is in the store then.
    """
    sent = str(caller.form.get("once", ""))
    before = store.get(type(made), sent) if ID.fullmatch(sent) else None
    if before is not None and _alike(before, made):
        return before
    made.id = sent if ID.fullmatch(sent) and before is None else new_id()
    store.add(made)
    return made


def _alike(one: Shared, other: Shared) -> bool:
    names = [column.key for column in inspect(type(one)).column_attrs if column.key not in OWN]
    return all(getattr(one, name) == getattr(other, name) for name in names)
