"""Stands before every route: who asks, does the request come from our own page, may they do this.

The rules are `permissions.yaml`, by the name of a route. What has no rule is refused.
"""

from __future__ import annotations

import contextlib
import hmac
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from fastapi import Depends, Request
from limits import parse
from sqlalchemy import or_, select
from sqlalchemy.orm import Session
from starlette.datastructures import FormData

from ..errors import DeqiError
from ..tables import shipped
from .accounts import RECORD_ROLES, account_of_browser, account_of_token, seen
from .settings import Settings
from .store.audit import Actor, note
from .store.database import Database, StoreUnavailable
from .store.tables import Account, Browser, Member, OfPatient, Person, Token

Of = TypeVar("Of", bound=OfPatient)
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
VIEWED = parse("1/hour")
OWN_PASSWORD_FIRST = frozenset({"password", "password_changed", "logout"})
"""All that a browser may do before a temporary password is replaced."""
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class Refused(DeqiError):
    """A request that is not answered.

    Arguments:
        status: of HTTP.
        reason: the key of a text in `errors` of the catalogue.
    """

    def __init__(self, status: int, reason: str):
        self.status, self.reason = status, reason
        super().__init__(reason)


@dataclass(frozen=True, kw_only=True)
class Caller(Actor):
    """Who asks, and what the guard found out.

    Attributes:
        account: the account's id; empty for somebody who is not signed in.
        name: as it is shown.
        roles: of clinician, assistant, admin.
        locale: such as `en-GB`; None where nobody is signed in.
        csrf: the token that the caller's forms must carry.
        scopes: of a program's token; None for a browser.
        is_temporary: whether the password was handed out, and has to be replaced first.
        patient_id: the record that the route is about; access has been checked.
        form: what was sent as a form.
    """

    account: str = ""
    name: str = ""
    roles: frozenset[str] = frozenset()
    locale: str | None = None
    csrf: str = ""
    scopes: frozenset[str] | None = None
    is_temporary: bool = False
    patient_id: str = ""
    form: FormData = field(default_factory=FormData)


@dataclass(frozen=True)
class Rule:
    """What one route asks of its caller; `permissions.yaml` explains the fields."""

    who: tuple[str, ...]
    record: bool = False
    scope: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is answered without signing in."""
        return "anyone" in self.who


@cache
def rules() -> dict[str, Rule]:
    """The rules by the name of the route."""
    rows: dict[str, dict[str, Any]] = shipped(Path(__file__).with_name("permissions.yaml"))
    return {name: Rule(**{**row, "who": tuple(row["who"])}) for name, row in rows.items()}


async def form_of(request: Request) -> FormData:
    """What was sent as a form; empty for anything else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return await request.form() if request.method not in SAFE and kind in FORMS else FormData()


def guard(request: Request, form: Annotated[FormData, Depends(form_of)]) -> None:
    """Let a request pass, with its caller in `request.state.caller`, or refuse it.

    Raises:
        Refused: 401 nobody is signed in, 403 not allowed or not from our own page, 404 no such record for the caller.
    """
    rule = rules().get(request.scope["route"].name)
    settings: Settings = request.app.state.settings
    database: Database = request.app.state.database
    if rule is None:
        raise Refused(403, "not_allowed")
    if request.method not in SAFE and not _own_page(request, settings):
        raise Refused(403, "other_site")
    with database.read() as store:
        caller = _caller(request, store, settings, form)
        request.state.caller = caller
        _check(request, rule, caller)
        if rule.record:
            patient = str(request.path_params["patient"])
            if not may_open(store, caller, patient):
                raise Refused(404, "no_record")
            request.state.caller = caller = Caller(**{**_values(caller), "patient_id": patient})
    if caller.csrf:
        with contextlib.suppress(StoreUnavailable):  # a store that cannot be written can still be read
            seen(database, request.cookies[cookie_name(settings)])
    if rule.record:
        _note_view(request, database, caller)


async def the_caller(request: Request) -> Caller:
    """Who asks; the guard has let them pass. (`async`, as `the_database`: a thread for it would cost more than it.)"""
    caller: Caller = request.state.caller
    return caller


Who = Annotated[Caller, Depends(the_caller)]
"""The caller, as a handler takes it."""


async def the_database(request: Request) -> Database:
    """The store."""
    database: Database = request.app.state.database
    return database


Store = Annotated[Database, Depends(the_database)]
"""The store, as a handler takes it."""


def may_open(store: Session, caller: Caller, patient: str) -> bool:
    """Whether a record is one of the caller's own: as the responsible clinician, or on the team."""
    return store.scalar(select(Person.id).where(Person.id == patient, own_records(caller))) is not None


def own(store: Session, caller: Caller, kind: type[Of], id: str) -> Of:
    """A row of the record that the route is about.

    Raises:
        Refused: there is none of this id, or it is another record's; which of the two is not told.
    """
    row: Of | None = store.scalar(select(kind).where(kind.id == id, kind.patient_id == caller.patient_id))
    if row is None:
        raise Refused(404, "no_record")
    return row


def own_records(caller: Caller) -> Any:
    """The condition on `Person` that a record is one of the caller's own."""
    if not caller.roles & RECORD_ROLES:
        return Person.id.is_(None)
    team = select(Member.patient_id).where(Member.account_id == caller.account)
    return or_(Person.responsible_id == caller.account, Person.id.in_(team))


def _caller(request: Request, store: Session, settings: Settings, form: FormData) -> Caller:
    request_id = request.state.request_id
    bearer = request.headers.get("authorization", "")
    if bearer[:7].lower() == "bearer ":
        known = account_of_token(store, bearer[7:].strip())
        if known is None:
            raise Refused(401, "bad_token")
        return _of_account(known[0], request_id, form, token=known[1])
    browser = account_of_browser(store, request.cookies.get(cookie_name(settings), ""), settings)
    if browser is None:
        return Caller(actor="nobody", request=request_id, form=form)
    return _of_account(browser[0], request_id, form, browser=browser[1])


def _of_account(account: Account, request_id: str, form: FormData, token: Token | None = None,
                browser: Browser | None = None) -> Caller:
    return Caller(actor=account.id, request=request_id, account=account.id, name=account.name,
                  roles=frozenset(account.roles.split()), locale=account.locale, form=form,
                  is_temporary=browser is not None and account.password_until is not None,
                  csrf=browser.csrf if browser else "", scopes=frozenset(token.scopes.split()) if token else None)


def _check(request: Request, rule: Rule, caller: Caller) -> None:
    if rule.is_open:
        return
    if not caller.account:
        raise Refused(401, "sign_in")
    if caller.scopes is not None:
        if rule.scope is None or rule.scope not in caller.scopes:
            raise Refused(403, "no_scope")
    elif request.method not in SAFE and not _carries_csrf(request, caller):
        raise Refused(403, "stale_form")
    if not caller.roles & set(rule.who):
        raise Refused(403, "not_allowed")
    if caller.is_temporary and request.scope["route"].name not in OWN_PASSWORD_FIRST:
        raise Refused(403, "own_password")


def _carries_csrf(request: Request, caller: Caller) -> bool:
    sent = request.headers.get("x-csrf-token") or caller.form.get("csrf") or ""
    return bool(caller.csrf) and isinstance(sent, str) and hmac.compare_digest(sent.encode(), caller.csrf.encode())


def _own_page(request: Request, settings: Settings) -> bool:
    """Whether a browser says that the request comes from a page of this server; programs say nothing, and may pass."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    try:
        return origin is None or urlsplit(origin).hostname in settings.hosts
    except ValueError:
        return False


def cookie_name(settings: Settings) -> str:
    """The cookie's name; through TLS one that a browser ties to this very host."""
    return "__Host-deqi" if settings.is_secure else "deqi"


def _note_view(request: Request, database: Database, caller: Caller) -> None:
    """Note that a record was opened, once an hour for each caller.

    What cannot be noted is not shown: while the store cannot be written, also reading a record is refused, with 503.
    """
    tries, key = request.app.state.tries, ("viewed", caller.account, caller.patient_id)
    if tries.test(VIEWED, *key):
        with database.write(caller) as store:
            note(store, "viewed", "patients", caller.patient_id, caller.patient_id)
        tries.hit(VIEWED, *key)


def _values(caller: Caller) -> dict[str, Any]:
    return {name: getattr(caller, name) for name in caller.__dataclass_fields__}
