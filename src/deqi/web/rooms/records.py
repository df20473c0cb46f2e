"""A patient's whole record to take along, as a FHIR bundle or as tables; the file's name tells nothing."""

from __future__ import annotations

import json

from fastapi import APIRouter
from fastapi.responses import Response

from ..guard import Store, Who
from ..store import whole
from ..store.audit import note

router = APIRouter()


@router.post("/patients/{patient}/export/fhir", name="patient_export_fhir")
def patient_export_fhir(patient: str, caller: Who, database: Store) -> Response:
    """The record as a FHIR R4 bundle."""
    with database.read() as store:
        found = json.dumps(whole.as_fhir(store, caller.patient_id), ensure_ascii=False, indent=1)
    with database.write(caller) as store:
        note(store, "exported", "patients", caller.patient_id, caller.patient_id)
    return _file(found.encode(), "application/fhir+json", "record.json")


@router.post("/patients/{patient}/export/csv", name="patient_export_csv")
def patient_export_csv(patient: str, caller: Who, database: Store) -> Response:
    """The record as a zip of tables."""
    with database.read() as store:
        found = whole.as_tables(store, caller.patient_id)
    with database.write(caller) as store:
        note(store, "exported", "patients", caller.patient_id, caller.patient_id)
    return _file(found, "application/zip", "record.zip")


def _file(content: bytes, kind: str, name: str) -> Response:
    return Response(content, media_type=kind, headers={"content-disposition": f'attachment; filename="{name}"'})
