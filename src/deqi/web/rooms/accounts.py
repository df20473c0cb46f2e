"""Accounts: an administrator keeps everybody's; each person keeps their own name, password, sessions and tokens."""

from __future__ import annotations

from typing import Annotated, Any

import babel
from fastapi import APIRouter, Path, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...errors import InputError
from ..accounts import (
    ROLES,
    TEMPORARY_DAYS,
    TOKEN_DAYS,
    browser_id,
    change_password,
    checked_name,
    checked_roles,
    confirm,
    end_access,
    give_temporary,
    new_account,
    new_browser,
    new_token,
    scopes_of,
    temporary_password,
)
from ..guard import Caller, Refused, Store, Who, cookie_name
from ..locale import STANDARD, Locale
from ..page import page
from ..store.audit import note
from ..store.database import Conflict
from ..store.tables import Account, Browser, Member, Person, Token, now
from .login import keep

router = APIRouter()
Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
COUNTRIES = ("GB", "US", "AU", "AT", "BE", "CA", "CH", "DE", "DK", "FI", "IE", "IN", "NL", "NO", "NZ", "SE", "SG", "ZA")
"""Whose dates and decimals can be chosen; texts are in the languages of the catalogue."""
TOKEN_CHOICES = (30, 90, TOKEN_DAYS)


@router.get("/accounts", name="accounts")
def accounts(request: Request, database: Store) -> Response:
    """Everybody who may sign in."""
    with database.read() as store:
        listed = store.scalars(select(Account).order_by(Account.active.desc(), func.lower(Account.name))).all()
    return page(request, "accounts/accounts.html.j2", accounts=listed, now=now())


@router.get("/accounts/new", name="account_new")
def account_new(request: Request) -> Response:
    """Asks for another account."""
    return page(request, "accounts/new.html.j2", problems={}, given={}, roles=ROLES)


@router.post("/accounts/new", name="account_made")
def account_made(request: Request, caller: Who, database: Store) -> Response:
    """Makes another account, and shows its temporary password once."""
    login, name, roles = _text(caller, "login"), _text(caller, "name"), _chosen(caller, "roles")
    try:
        confirm(database, caller, _text(caller, "confirm"))
        with database.write(caller) as store:
            account = new_account(store, login, name, roles, temporary_password(), caller.locale or STANDARD)
            store.flush()
            secret = give_temporary(store, account)
    except InputError as error:
        return page(request, "accounts/new.html.j2", 422, problems=_told(error), roles=ROLES,
                    given={"login": login, "name": name, "roles": roles})
    return page(request, "accounts/once.html.j2", kind="password", secret=secret, name=account.name,
                days=TEMPORARY_DAYS, back="accounts")


@router.get("/accounts/{account}", name="account_edit")
def account_edit(request: Request, account: Id, caller: Who, database: Store) -> Response:
    """One account, as its administrator sees it."""
    return _edit(request, account, caller, database)


@router.post("/accounts/{account}", name="account_changed")
def account_changed(request: Request, account: Id, caller: Who, database: Store) -> Response:
    """Changes name, roles, and whether the account may sign in; never takes away the last administrator."""
    name, roles, active = _text(caller, "name"), _chosen(caller, "roles"), "active" in caller.form
    try:
        confirm(database, caller, _text(caller, "confirm"))
        with database.write(caller) as store:
            known = _account(store, account)
            if str(known.version) != _text(caller, "version"):
                raise Conflict("somebody else changed this account in between; nothing was saved")
            known.name, kept = checked_name(name), checked_roles(roles)
            _keep_an_administrator(store, known, caller, stays="admin" in roles and active)
            known.roles, known.active = kept, active
            if not active:
                end_access(store, known.id)
    except InputError as error:
        given = {"name": name, "roles": roles, "active": active}
        return _edit(request, account, caller, database, 422, _told(error), given)
    return RedirectResponse(request.app.url_path_for("accounts"), 303)


@router.get("/accounts/{account}/password", name="account_reset")
def account_reset(request: Request, account: Id, database: Store) -> Response:
    """Asks before an account gets a temporary password."""
    with database.read() as store:
        return page(request, "accounts/reset.html.j2", account=_account(store, account), problems={})


@router.post("/accounts/{account}/password", name="account_was_reset")
def account_was_reset(request: Request, account: Id, caller: Who, database: Store) -> Response:
    """Gives an account a temporary password, shown once, and ends its sessions and tokens."""
    with database.read() as store:
        known = _account(store, account)
    try:
        if account == caller.account:
            raise InputError("this is your own account", field="confirm", accepted="change it under Your account")
        confirm(database, caller, _text(caller, "confirm"))
        with database.write(caller) as store:
            secret = give_temporary(store, _account(store, account))
    except InputError as error:
        return page(request, "accounts/reset.html.j2", 422, account=known, problems=_told(error))
    return page(request, "accounts/once.html.j2", kind="password", secret=secret, name=known.name,
                days=TEMPORARY_DAYS, back="accounts")


@router.post("/accounts/{account}/unlock", name="account_unlocked")
def account_unlocked(request: Request, account: Id, caller: Who, database: Store) -> Response:
    """Lets somebody try again who typed a wrong password too often."""
    with database.write(caller) as store:
        known = _account(store, account)
        known.failures, known.locked_until = 0, None
    return RedirectResponse(request.app.url_path_for("account_edit", account=account), 303)


@router.post("/accounts/{account}/end", name="account_ended")
def account_ended(request: Request, account: Id, caller: Who, database: Store) -> Response:
    """Ends all sessions and tokens of an account, as for a lost phone."""
    with database.write(caller) as store:
        known = _account(store, account)
        end_access(store, known.id)
        note(store, "ended_access", "accounts", known.id)
    return RedirectResponse(request.app.url_path_for("account_edit", account=account), 303)


@router.get("/accounts/{account}/records", name="account_records")
def account_records(request: Request, account: Id, database: Store) -> Response:
    """Asks to whom all records of a clinician who leaves are handed over; shows how many, and no names."""
    return _records(request, account, database)


@router.post("/accounts/{account}/records", name="account_handed_over")
def account_handed_over(request: Request, account: Id, caller: Who, database: Store) -> Response:
    """Makes another clinician answer for all records of one."""
    try:
        confirm(database, caller, _text(caller, "confirm"))
        with database.write(caller) as store:
            heirs = {heir.id for heir in _clinicians(store, account)}
            heir = _text(caller, "heir")
            if heir not in heirs:
                raise InputError("nobody chosen", field="heir", accepted="another active clinician")
            for person in store.scalars(select(Person).where(Person.responsible_id == account)):
                person.responsible_id = heir
            for member in store.scalars(select(Member).where(Member.account_id == account)):
                store.delete(member)
    except InputError as error:
        return _records(request, account, database, 422, _told(error))
    return RedirectResponse(request.app.url_path_for("account_edit", account=account), 303)


@router.get("/account", name="account")
def account(request: Request, caller: Who, database: Store) -> Response:
    """One's own account."""
    return _own(request, caller, database)


@router.post("/account", name="account_named")
def account_named(request: Request, caller: Who, database: Store) -> Response:
    """Changes one's own name, and how dates and decimals are written."""
    name, locale = _text(caller, "name"), _text(caller, "locale")
    try:
        with database.write(caller) as store:
            own = _account(store, caller.account)
            own.name = checked_name(name)
            if locale not in dict(_locales()):
                raise InputError("not one of these", field="locale", accepted="a country of the list")
            own.locale = locale
    except InputError as error:
        return _own(request, caller, database, 422, _told(error), {"name": name, "locale": locale})
    return RedirectResponse(request.app.url_path_for("account"), 303)


@router.get("/account/password", name="password")
def password(request: Request) -> Response:
    """Asks for another password."""
    return page(request, "accounts/password.html.j2", problems={})


@router.post("/account/password", name="password_changed")
def password_changed(request: Request, caller: Who, database: Store) -> Response:
    """Changes one's own password; all other browsers are signed out, and this one gets another cookie."""
    try:
        confirm(database, caller, _text(caller, "confirm"))
        with database.write(caller) as store:
            change_password(store, _account(store, caller.account), _text(caller, "password"))
            cookie = new_browser(store, caller.account)
    except InputError as error:
        return page(request, "accounts/password.html.j2", 422, problems=_told(error))
    return keep(request, RedirectResponse(request.app.url_path_for("account"), 303), cookie)


@router.post("/account/sessions", name="sessions_ended")
def sessions_ended(request: Request, caller: Who, database: Store) -> Response:
    """Ends one of one's own sessions in another browser, or all of them."""
    this, wanted = _this_browser(request), _text(caller, "session")
    with database.write(caller) as store:
        for browser in store.scalars(select(Browser).where(Browser.account_id == caller.account,
                                                           Browser.token != this)):
            if wanted in ("", browser.token.hex()):
                store.delete(browser)
        note(store, "ended_sessions", "accounts", caller.account)
    return RedirectResponse(request.app.url_path_for("account"), 303)


@router.get("/account/tokens/new", name="token_new")
def token_new(request: Request, caller: Who) -> Response:
    """Asks what a program's token is for."""
    return _token_form(request, caller, {}, {})


@router.post("/account/tokens/new", name="token_made")
def token_made(request: Request, caller: Who, database: Store) -> Response:
    """Makes a token, and shows it once."""
    label, scopes, days = _text(caller, "label"), _chosen(caller, "scopes"), _days(_text(caller, "days"))
    try:
        confirm(database, caller, _text(caller, "confirm"))
        with database.write(caller) as store:
            secret = new_token(store, caller.account, label, scopes, days)
    except InputError as error:
        return _token_form(request, caller, {"label": label, "scopes": scopes, "days": days}, _told(error), 422)
    return page(request, "accounts/once.html.j2", kind="token", secret=secret, name=label, days=days, back="account")


@router.post("/account/tokens/{token}/revoke", name="token_revoke")
def token_revoke(request: Request, token: Id, caller: Who, database: Store) -> Response:
    """Revokes one of one's own tokens."""
    with database.write(caller) as store:
        known = store.scalar(select(Token).where(Token.id == token, Token.account_id == caller.account))
        if known is None:
            raise Refused(404, "no_page")
        known.revoked_at = known.revoked_at or now()
    return RedirectResponse(request.app.url_path_for("account"), 303)


def _account(store: Session, account: str) -> Account:
    known = store.get(Account, account)
    if known is None:
        raise Refused(404, "no_page")
    return known


def _keep_an_administrator(store: Session, account: Account, caller: Caller, *, stays: bool) -> None:
    if stays:
        return
    if account.id == caller.account:
        raise InputError("you would lock yourself out", field="roles", accepted="another administrator does this")
    others = store.scalars(select(Account).where(Account.id != account.id, Account.active.is_(True)))
    if not any("admin" in other.roles.split() for other in others):
        raise InputError("nobody would keep the accounts", field="roles", accepted="another administrator first")


def _clinicians(store: Session, besides: str) -> list[Account]:
    listed = store.scalars(select(Account).where(Account.active.is_(True), Account.id != besides))
    return sorted((one for one in listed if "clinician" in one.roles.split()), key=lambda one: one.name.casefold())


def _edit(request: Request, account: str, caller: Caller, database: Store, status: int = 200,
          problems: dict[str, str] | None = None, given: dict[str, Any] | None = None) -> Response:
    with database.read() as store:
        known = _account(store, account)
        records = store.scalar(select(func.count()).select_from(Person).where(Person.responsible_id == account))
        open_browsers = store.scalar(select(func.count()).select_from(Browser).where(Browser.account_id == account))
        tokens = store.scalar(select(func.count()).select_from(Token).where(
            Token.account_id == account, Token.revoked_at.is_(None), Token.expires_at > now()))
    filled = {"name": known.name, "roles": known.roles.split(), "active": known.active, **(given or {})}
    return page(request, "accounts/edit.html.j2", status, account=known, given=filled, problems=problems or {},
                roles=ROLES, records=records, browsers=open_browsers, tokens=tokens, now=now(),
                is_own=account == caller.account)


def _records(request: Request, account: str, database: Store, status: int = 200,
             problems: dict[str, str] | None = None) -> Response:
    with database.read() as store:
        known = _account(store, account)
        count = store.scalar(select(func.count()).select_from(Person).where(Person.responsible_id == account))
        heirs = [(heir.id, heir.name) for heir in _clinicians(store, account)]
    return page(request, "accounts/records.html.j2", status, account=known, count=count, heirs=heirs,
                problems=problems or {})


def _own(request: Request, caller: Caller, database: Store, status: int = 200,
         problems: dict[str, str] | None = None, given: dict[str, str] | None = None) -> Response:
    with database.read() as store:
        own = _account(store, caller.account)
        browsers = store.scalars(select(Browser).where(Browser.account_id == own.id).order_by(
            Browser.seen_at.desc())).all()
        tokens = store.scalars(select(Token).where(Token.account_id == own.id, Token.revoked_at.is_(None)).order_by(
            Token.created_at.desc())).all()
    filled = {"name": own.name, "locale": own.locale, **(given or {})}
    return page(request, "accounts/account.html.j2", status, given=filled, problems=problems or {},
                locales=_locales(), browsers=browsers, this=_this_browser(request), tokens=tokens, now=now())


def _token_form(request: Request, caller: Caller, given: dict[str, Any], problems: dict[str, str],
                status: int = 200) -> Response:
    return page(request, "accounts/token.html.j2", status, given=given, problems=problems,
                scopes=scopes_of(" ".join(caller.roles)), choices=TOKEN_CHOICES)


def _locales() -> list[tuple[str, str]]:
    told = [(f"en-{country}", Locale(f"en-{country}")) for country in COUNTRIES]
    return [(tag, f"{babel.Locale(*tag.split('-')).territory_name}: {locale.date(now().date())}, {locale.number(6.5)}")
            for tag, locale in told]


def _text(caller: Caller, field: str) -> str:
    return str(caller.form.get(field, ""))


def _chosen(caller: Caller, field: str) -> tuple[str, ...]:
    return tuple(value for value in caller.form.getlist(field) if isinstance(value, str))


def _days(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0


def _this_browser(request: Request) -> bytes:
    return browser_id(request.cookies.get(cookie_name(request.app.state.settings), ""))


def _told(error: InputError) -> dict[str, str]:
    found = str(InputError(error.message, found=error.found, accepted=error.accepted))
    return {str(error.field): found}
