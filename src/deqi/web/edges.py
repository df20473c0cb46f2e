"""What every request passes first and every answer last: an id, limits, TLS, security headers, one line in the log.

The log tells the route's template and the account's id, never the path, the query or the body: it holds nothing about
a patient.
"""

from __future__ import annotations

import logging
import time
import traceback
import uuid
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .settings import Settings

LARGEST_BODY = 8_000_000
"""Bytes of a request: a bundle of a clinic's record for one patient fits."""
POLICY = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
    "form-action 'self'", "manifest-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"))
HEADERS = {
    "content-security-policy": POLICY, "x-content-type-options": "nosniff", "x-frame-options": "DENY",
    "referrer-policy": "same-origin", "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
log = logging.getLogger("deqi.web")


class _TooLarge(HTTPException):
    """Of a kind that whoever reads the body passes on."""


class Edges:
    """An ASGI application around the application.

    Arguments:
        app: what answers.
        settings: of the server.
    """

    def __init__(self, app: ASGIApp, settings: Settings):
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id, begun, status = uuid.uuid4().hex, time.perf_counter(), 0
        scope.setdefault("state", {})["request_id"] = request_id
        left = LARGEST_BODY

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise _TooLarge(413)
            return message

        async def dressed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._dress(MutableHeaders(scope=message), scope, request_id)
            await send(message)

        try:
            refused = self._refused(scope)
            await (refused or self.app)(scope, limited, dressed)
        except _TooLarge:
            await _too_large(scope)(scope, receive, dressed)
        except Exception as error:
            _log_fault(error, request_id)
            if not status:
                await _fault(scope, request_id)(scope, receive, dressed)
        finally:
            took = 1000.0 * (time.perf_counter() - begun)
            log.info("%s %s %s %.0f ms %s %s", scope["method"], _template(scope), status, took, request_id,
                     getattr(scope["state"].get("caller"), "actor", "-"))

    def _refused(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > LARGEST_BODY:
            return _too_large(scope)
        if self.settings.is_secure and scope["scheme"] != "https" and scope["path"] != "/health":
            return PlainTextResponse("Only through TLS: ask the reverse proxy, not this server.", 403)
        return None

    def _dress(self, headers: MutableHeaders, scope: Scope, request_id: str) -> None:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        headers["x-request-id"] = request_id
        is_static = scope["path"].startswith("/static/")  # asked for with the version: another one, another address
        headers.setdefault("cache-control", "max-age=3600" if is_static else "no-store")
        if scope["path"].startswith("/api/"):  # nothing that a program is sent is ever shown as a page
            headers.setdefault("content-disposition", 'attachment; filename="deqi.json"')
        if self.settings.is_secure:
            headers["strict-transport-security"] = "max-age=63072000; includeSubDomains"


def _too_large(scope: Scope) -> ASGIApp:
    told = f"Too large; at most {LARGEST_BODY // 1_000_000} MB."
    return JSONResponse({"error": told}, 413) if _is_program(scope) else PlainTextResponse(told, 413)


def _fault(scope: Scope, request_id: str) -> ASGIApp:
    told = f"Something went wrong on our side; nothing was half-saved. Number of this fault: {request_id}"
    return JSONResponse({"error": told}, 500) if _is_program(scope) else PlainTextResponse(told, 500)


def _is_program(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.startswith("/api/")


def _log_fault(error: BaseException, request_id: str) -> None:
    """Log where a fault came from, without its message, which may tell what somebody typed."""
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    log.error("fault %s %s at %s", request_id, type(error).__name__, places)


def _template(scope: MutableMapping[str, Any]) -> str:
    route = scope.get("route")
    return getattr(route, "path", None) or ("/static" if scope["path"].startswith("/static/") else "(no route)")
