"""Holds what deqi writes to the standard: the official JSON schema of R4, and `fhir.resources` for R4B."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from fhir.resources.R4B import get_fhir_model_class
from jsonschema import Draft6Validator

SCHEMA = Path(__file__).parent / "data" / "fhir_r4.schema.json"


def faults(resource: dict[str, Any]) -> list[str]:
    """What is wrong with a resource by the schema of R4; `fhir.resources` raises a ValueError."""
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    return faults_by_schema(resource)


def faults_by_schema(resource: dict[str, Any]) -> list[str]:
    """What is wrong with a resource by the schema of R4 alone."""
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}"
            for error in _validator(resource["resourceType"]).iter_errors(resource)]


@cache
def _validator(kind: str) -> Draft6Validator:
    definitions = json.loads(SCHEMA.read_text(encoding="utf-8"))["definitions"]
    return Draft6Validator({"definitions": definitions, "$ref": f"#/definitions/{kind}"})
