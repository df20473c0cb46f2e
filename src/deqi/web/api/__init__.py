"""The API under `/api/v1`, for other programs: the same JSON as the commands, and the records of a practice.

`document` is its schema in OpenAPI, with every status that an operation may answer.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Security
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer

from ... import __version__
from . import compute, records
from .strict import StrictRoute, json_only

ABOUT = ("The same JSON as deqi's commands, and a practice's own records. Research software, not a medical device: "
         "acupuncture over sham takes about 3.5 of 100 points off back pain on average, which is small; over no "
         "treatment the gain is moderate, much of it from the context of care. Ask with a token from your account "
         "page: `Authorization: Bearer deqi_...`.")
REFUSALS = {
    400: "The body cannot be read.", 401: "No token, or one that is unknown, revoked or out of date.",
    403: "The token or the account may not do this.", 404: "There is no such thing, or it is not the caller's own.",
    405: "This cannot be done here.", 409: "Somebody else changed the same thing in between; nothing was saved.",
    412: "The change was made from an older version; nothing was saved.", 413: "The body is too large.",
    415: "The body is not JSON.", 422: "Something in it is not accepted; the message names it.",
    429: "Too much is asked at once; ask again after the seconds in Retry-After.",
    503: "The store or the forecasts cannot be reached right now; nothing was lost or half-done.",
}
bearer = HTTPBearer(auto_error=False, description="A token from the account page, with the scopes it was given.")
router = APIRouter(prefix="/api/v1", route_class=StrictRoute)


@router.get("/openapi.json", name="api_schema", include_in_schema=False)
def schema(request: Request) -> Response:
    """This API's schema."""
    return JSONResponse(document())


_asking = [Security(bearer), Depends(json_only)]
router.include_router(compute.router, dependencies=_asking)
router.include_router(records.router, dependencies=_asking)


@cache
def document() -> dict[str, Any]:
    """The schema, in OpenAPI 3.1."""
    alone = FastAPI(openapi_url=None)
    alone.include_router(router)
    made = get_openapi(title="deqi", version=__version__, description=ABOUT, routes=alone.routes,
                       license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"})
    parts = made["components"]
    for unused in ("HTTPValidationError", "ValidationError"):
        parts["schemas"].pop(unused, None)
    parts["schemas"]["Error"] = {"type": "object", "required": ["error"], "additionalProperties": False, "properties": {
        "error": {"type": "string", "description": "the field, what is wrong, what was found, what is accepted"}}}
    parts["responses"] = {f"Refused{status}": _refusal(status, told) for status, told in REFUSALS.items()}
    for path in made["paths"].values():
        for operation in path.values():
            operation["responses"] |= {str(status): {"$ref": f"#/components/responses/Refused{status}"}
                                       for status in REFUSALS}
    return made


def _refusal(status: int, told: str) -> dict[str, Any]:
    wait = {"headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}}
    return {"description": told, **(wait if status == 429 else {}),
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
