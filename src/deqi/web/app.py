"""Puts the server together: what a request passes, in order, and the rooms that answer it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from pathlib import Path

from anyio.to_thread import current_default_thread_limiter
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from sqlalchemy import select
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Route

from .. import __version__
from ..errors import DeqiError, InputError
from .api import router as api
from .api.strict import Missing, NotJson, Outdated, Unreadable
from .catalogue import texts
from .edges import Edges
from .engine import Busy, Engine, Failed
from .guard import Refused, guard
from .page import page
from .rooms import ROOMS
from .settings import Settings, private_folder
from .store.audit import Actor
from .store.backup import before_migration
from .store.crypt import WrongKey, keyring
from .store.database import Conflict, Database, StoreUnavailable
from .store.migrate import migrate
from .store.tables import Practice

STATIC = Path(__file__).with_name("static")
REPORT_STYLE = files("deqi.consult").joinpath("templates/style.css")
THREADS = 120
"""Requests that are answered at once: all that may wait for a forecast (the places of the engine's lanes), and 40 more,
so that pages are answered also while forecasts are slow."""
STATUS: dict[type[DeqiError], int] = {
    InputError: 422, Conflict: 409, StoreUnavailable: 503, Busy: 429, Failed: 503, WrongKey: 503, Unreadable: 400,
    Missing: 404, Outdated: 412, NotJson: 415}


def create_app(settings: Settings, engine: Engine | None = None) -> FastAPI:
    """The server as an ASGI application.

    Arguments:
        settings: of the server.
        engine: that forecasts; None for one of its own, started with the application.

    Raises:
        DeqiError: the store cannot be opened.
    """
    database = open_store(settings)
    app = FastAPI(title="deqi", version=__version__, docs_url=None, redoc_url=None, openapi_url=None,
                  dependencies=[Depends(guard)], lifespan=_lifespan)
    app.state.settings, app.state.database = settings, database
    app.state.engine = engine or Engine(settings.data / "cache")
    app.state.first_code = secrets.token_urlsafe(16)
    app.state.tries = MovingWindowRateLimiter(MemoryStorage())
    for room in (*ROOMS, api):
        app.include_router(room)
    app.router.routes.append(Route("/static/consult.css", _report_style))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=settings.hosts, www_redirect=False)
    app.add_middleware(Edges, settings=settings)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(DeqiError, _told)
    app.add_exception_handler(RequestValidationError, _misshapen)
    app.add_exception_handler(HTTPException, _http)
    return app


def open_store(settings: Settings) -> Database:
    """Open the store of a server, make it if there is none, and bring it up to date.

    Raises:
        DeqiError: another key, a newer deqi, or no way to reach it.
    """
    private_folder(settings.data)
    database = Database(settings.database, keyring(settings.key_file, create=True))
    if database.path is not None:  # before SQLite opens it, whose log gets the rights that the file has
        with suppress(OSError):  # which SQLite will tell
            database.path.touch(mode=0o600)
            database.path.chmod(0o600)
    before_migration(database, settings.data / "backups")
    migrate(database)
    with database.write(Actor()) as store:
        if store.scalar(select(Practice)) is None:  # reading it opens `key_check`, which only the right key does
            store.add(Practice(key_check="the right key"))
    return database


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    current_default_thread_limiter().total_tokens = THREADS
    app.state.engine.start()
    yield
    app.state.engine.close()
    app.state.database.close()


def _report_style(request: Request) -> Response:
    """The report's style, which the pages share."""
    return Response(REPORT_STYLE.read_text(encoding="utf-8"), media_type="text/css",
                    headers={"cache-control": "max-age=3600"})


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    if (error.status == 401 or error.reason == "own_password") and not _is_program(request):
        target = str(request.app.url_path_for("login" if error.status == 401 else "password"))
        if "hx-request" in request.headers:
            return Response(status_code=401, headers={"hx-redirect": target})
        return RedirectResponse(target, 303)
    return _answer(request, error.status, reason=error.reason)


def _told(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)
    response = _answer(request, status, message=str(error))
    if isinstance(error, Busy):
        response.headers["retry-after"] = str(error.seconds)
    return response


def _misshapen(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    found = first["input"] if isinstance(first["input"], str | int | float) else None
    return _answer(request, 422, message=str(InputError(str(first["msg"]), field=field, found=found)))


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    reason = {404: "no_page", 405: "no_method"}.get(error.status_code, "other")
    response = _answer(request, error.status_code, reason=reason)
    response.headers.update(error.headers or {})
    return response


def _answer(request: Request, status: int, reason: str = "", message: str = "") -> Response:
    """A refusal as the caller reads it: JSON for a program, a page for a person."""
    told = message or texts("en")["guard"][reason]
    if _is_program(request):
        return JSONResponse({"error": told}, status)
    return page(request, "error.html.j2", status, detail=told)


def _is_program(request: Request) -> bool:
    return request.url.path.startswith("/api/")
