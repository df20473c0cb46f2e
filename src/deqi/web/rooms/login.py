"""Signing in and out, and the first account of a new store."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from limits import parse

from ...errors import InputError
from ..accounts import RECORD_ROLES, NotSignedIn, is_new, new_account, sign_in, sign_out
from ..guard import Refused, Store, Who, cookie_name
from ..page import page
from ..store.audit import Actor
from ..store.database import Conflict
from ..store.tables import Account

router = APIRouter()
TRIES = parse("20/minute")
"""Of signing in, from one address."""
Code = Annotated[str, Path(max_length=60)]


@router.get("/health", name="health")
def health(request: Request) -> Response:
    """Whether the server answers, and whether its forecasts are warm."""
    return JSONResponse({"status": "ok", "forecasts": "ready" if request.app.state.engine.ready else "warming up"})


@router.get("/", name="start")
def start(request: Request, caller: Who, database: Store) -> Response:
    """To the list of patients, for who only keeps accounts to these, or to signing in."""
    place = ("patients" if caller.roles & RECORD_ROLES else "accounts") if caller.account else "login"
    return RedirectResponse(request.app.url_path_for(place), 303)


@router.get("/first/{code}", name="first")
def first(request: Request, code: Code, database: Store) -> Response:
    """Asks for the first account; open only to who holds the code that the server told when it started."""
    _check_first(request, code, database)
    return page(request, "login/first.html.j2", code=code, problems={}, given={})


@router.post("/first/{code}", name="first_made")
def first_made(request: Request, code: Code, caller: Who, database: Store) -> Response:
    """Makes the first account, a clinician who also keeps the accounts, and signs in."""
    _check_first(request, code, database)
    form = caller.form
    name, login, password = (str(form.get(key, "")) for key in ("name", "login", "password"))
    try:
        with database.write(Actor(request=caller.request)) as store:
            if store.query(Account.id).first() is not None:
                raise Conflict("somebody else made the first account")
            new_account(store, login, name, ("clinician", "admin"), password,
                        request.state.__dict__.get("locale") or "en-GB")
    except InputError as error:
        given = {"name": name, "login": login}
        return page(request, "login/first.html.j2", 422, code=code, problems={str(error.field): error}, given=given)
    return _enter(request, sign_in(database, login, password, caller.request))


@router.get("/login", name="login")
def login(request: Request, caller: Who) -> Response:
    """Asks for name and password."""
    if caller.account:
        return RedirectResponse(request.app.url_path_for("start"), 303)
    return page(request, "login/login.html.j2", problem=None, given="")


@router.post("/login", name="login_try")
def login_try(request: Request, caller: Who, database: Store) -> Response:
    """Signs in, or says that it did not work and nothing more."""
    name, password = str(caller.form.get("login", ""))[:200], str(caller.form.get("password", ""))
    address = request.client.host if request.client else ""
    if not request.app.state.tries.hit(TRIES, "login", address):
        return page(request, "login/login.html.j2", 429, problem="too_often", given=name)
    try:
        token = sign_in(database, name, password, caller.request)
    except NotSignedIn:
        return page(request, "login/login.html.j2", 401, problem="wrong", given=name)
    return _enter(request, token)


@router.post("/logout", name="logout")
def logout(request: Request, caller: Who, database: Store) -> Response:
    """Signs out."""
    name = cookie_name(request.app.state.settings)
    with database.write(caller) as store:
        sign_out(store, request.cookies.get(name, ""))
    response = RedirectResponse(request.app.url_path_for("login"), 303)
    response.delete_cookie(name, secure=request.app.state.settings.is_secure, httponly=True, samesite="strict")
    response.headers["clear-site-data"] = '"cache", "storage"'
    return response


def _check_first(request: Request, code: str, database: Store) -> None:
    if not secrets.compare_digest(code.encode(), request.app.state.first_code.encode()) or not is_new(database):
        raise Refused(404, "no_page")


def keep(request: Request, response: Response, token: str) -> Response:
    """Let the browser keep the token of its session, away from scripts and from other sites."""
    settings = request.app.state.settings
    response.set_cookie(cookie_name(settings), token, httponly=True, samesite="strict", secure=settings.is_secure,
                        path="/", max_age=3600 * settings.session_hours)
    return response


def _enter(request: Request, token: str) -> Response:
    return keep(request, RedirectResponse(request.app.url_path_for("start"), 303), token)
