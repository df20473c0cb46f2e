"""Who did what to a record, with what stood there before and after; and the whole trail, without health data."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from ..guard import Store, Who
from ..page import page
from ..store.audit import broken_at
from ..store.tables import Person
from ..store.trail import PAGE, lines_of, names, without_health

router = APIRouter()
Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
Before = Annotated[int | None, Query(ge=1, le=2**31 - 1)]


@router.get("/patients/{patient}/trail", name="trail")
def trail(request: Request, patient: Id, caller: Who, database: Store, before: Before = None) -> Response:
    """The trail of one record, the newest first."""
    with database.read() as store:
        lines = lines_of(store, caller.patient_id, before)
        known = names(store, [line.entry.actor for line in lines])
        person = store.get(Person, caller.patient_id)
    more = lines[PAGE - 1].entry.seq if len(lines) > PAGE else None
    return page(request, "trail/trail.html.j2", patient=caller.patient_id, person=person, lines=lines[:PAGE],
                known=known, more=more, before=before)


@router.get("/audit", name="audit")
def audit(request: Request, caller: Who, database: Store, before: Before = None) -> Response:
    """The trail of the whole store; its first page says whether it is whole."""
    with database.read() as store:
        entries = without_health(store, before)
        broken = broken_at(store) if before is None else None
        known = names(store, [entry.actor for entry in entries])
    more = entries[PAGE - 1].seq if len(entries) > PAGE else None
    return page(request, "trail/audit.html.j2", entries=entries[:PAGE], known=known, broken=broken, more=more,
                before=before)
