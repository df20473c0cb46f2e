"""The page on which the second of two people who changed the same row chooses, field by field, what to keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from ..catalogue import texts
from ..page import locale_of, page
from ..store.tables import OfPatient
from ..store.trail import content_at, last_change, names

Values = Mapping[str, Any]


def merge(request: Request, store: Session, row: OfPatient, version: int, theirs: Values, mine: Values,
          labels: Mapping[str, str], before: Callable[[Values], Values], shown: Callable[[str, Any], str],
          sent: Callable[[str, Any], str], action: str, back: str) -> Response:
    """A page with the fields that were changed by both, or by either; what is alike is carried along.

    Arguments:
        store: of a read or a write that changes nothing.
        row: as it is stored now.
        version: that the caller's form was made from.
        theirs, mine: values by field, as stored now and as the caller filled them in.
        labels: of all fields, in order.
        before: makes the same of the row's earlier content.
        shown, sent: a field's value as it is read, and as the form sends it.
        action: where the choice is posted; back: where to go without it.
    """
    old = before(content_at(store, row, version))
    differing = [name for name in labels if theirs.get(name) != mine.get(name)]
    fields: Sequence[dict[str, Any]] = [
        {"name": name, "label": labels[name], "before": shown(name, old.get(name)),
         "theirs": shown(name, theirs.get(name)), "mine": shown(name, mine.get(name)),
         "value_theirs": sent(name, theirs.get(name)), "value_mine": sent(name, mine.get(name))}
        for name in differing]
    kept = {name: sent(name, mine.get(name)) for name in labels if name not in differing}
    actor, when = last_change(store, row)
    others = texts(locale_of(request).language)["trail"]["actors"]
    who = names(store, [actor]).get(actor) or (others["patient"] if actor.startswith("link:") else others["system"])
    who = who[:1].upper() + who[1:]
    return page(request, "conflict.html.j2", 409, fields=fields, kept=kept, who_changed=who, when=when,
                version=row.version, action=action, back=back)


def version_in(given: Values) -> int:
    """The version that a form was made from; 0 where it says none."""
    text = str(given.get("version", ""))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
