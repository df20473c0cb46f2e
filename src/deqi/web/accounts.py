"""Accounts: passwords, signing in with a lock-out, browsers that are signed in, tokens of programs.

Secrets are kept as hashes only: passwords as argon2id, the random tokens of browsers and programs as SHA-256.
"""

from __future__ import annotations

import datetime
import hashlib
import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from zxcvbn import zxcvbn

from ..errors import DeqiError, InputError
from .settings import Settings
from .store.audit import Actor, note
from .store.database import Database
from .store.tables import Account, Browser, Token, new_id, now

ROLES = ("clinician", "assistant", "admin")
SCOPES = ("compute", "records:read", "records:write")
SHORTEST, LONGEST = 12, 128
"""Characters of a password (OWASP ASVS 2.1.1, 2.1.2)."""
WEAKEST = 3
"""Of zxcvbn's 0 to 4: safely unguessable where tries are slow."""
TRIES, LOCKED_MINUTES = 5, 15
TOKEN_DAYS = 365
_hasher = PasswordHasher()


class NotSignedIn(DeqiError):
    """The name or the password is wrong, or the account is locked; which of them is not told."""


def checked_password(password: str, about: tuple[str, ...] = ()) -> str:
    """Refuse a password that is easily guessed.

    Arguments:
        password: as typed.
        about: words that it should not lean on, such as the account's name.

    Raises:
        InputError: too short, too long, or easily guessed; the message does not repeat it.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise InputError("too short" if len(password) < SHORTEST else "too long", field="password",
                         accepted=f"{SHORTEST} to {LONGEST} characters; a sentence is easy to remember")
    if zxcvbn(password[:72], user_inputs=list(about))["score"] < WEAKEST:
        raise InputError("too easily guessed", field="password", accepted="a sentence, or four words that are no pair")
    return password


def new_account(store: Session, login: str, name: str, roles: tuple[str, ...], password: str, locale: str = "en-GB"
                ) -> Account:
    """Add an account.

    Arguments:
        store: of a write.
        login: the name to sign in with; upper and lower case are the same.
        name: as it is shown.
        roles: one or more of `ROLES`.

    Raises:
        InputError: a name that is taken or cannot be, an unknown role, a weak password.
    """
    login, name = login.strip().casefold(), name.strip()
    if not 1 <= len(login) <= 80 or not login.isprintable() or " " in login:
        raise InputError("not a name to sign in with", field="login", accepted="1 to 80 characters without spaces")
    if not 1 <= len(name) <= 200 or not name.isprintable():
        raise InputError("not a name", field="name", accepted="1 to 200 characters")
    if not roles or not set(roles) <= set(ROLES):
        raise InputError("not a role", field="roles", found=" ".join(roles), accepted=", ".join(ROLES))
    if store.scalar(select(Account.id).where(Account.login == login)):
        raise InputError("taken already", field="login", accepted="another name")
    account = Account(id=new_id(), login=login, name=name, locale=locale,
                      roles=" ".join(role for role in ROLES if role in roles),
                      password=_hasher.hash(checked_password(password, (login, name, "deqi"))))
    store.add(account)
    return account


def change_password(store: Session, account: Account, password: str) -> None:
    """Give an account another password, and end all its browsers.

    Raises:
        InputError: a weak password.
    """
    account.password = _hasher.hash(checked_password(password, (account.login, account.name, "deqi")))
    account.failures, account.locked_until = 0, None
    store.execute(delete(Browser).where(Browser.account_id == account.id))


def is_password_of(account: Account, password: str) -> bool:
    """Whether it is the account's password."""
    return _fits(account.password, password)


def sign_in(database: Database, login: str, password: str, request: str) -> str:
    """Sign somebody in.

    Each wrong try counts; after five the account is locked for a quarter of an hour, also to the right password. A
    wrong name costs as much time as a wrong password.

    Arguments:
        database: the store.
        login, password: as typed.
        request: the id of the request.

    Returns:
        the token for the browser's cookie.

    Raises:
        NotSignedIn: whatever was wrong.
    """
    with database.read() as store:
        account = store.scalar(select(Account).where(Account.login == login.strip().casefold()))
    right = _fits(account.password if account else _nobody(), password[:LONGEST])
    if account is None:
        raise NotSignedIn("not signed in")
    with database.write(Actor(actor=account.id, request=request)) as store:
        known = store.get(Account, account.id)
        assert known is not None
        locked = known.locked_until is not None and known.locked_until > now()
        good = right and not locked and known.active and known.password == account.password
        if good:
            token = _signed_in(store, known, password)
        elif not locked:
            known.failures += 1
            if known.failures >= TRIES:
                known.failures, known.locked_until = 0, now() + datetime.timedelta(minutes=LOCKED_MINUTES)
                note(store, "locked", "accounts", known.id)
        if not good:
            note(store, "refused", "accounts", known.id)
    if not good:
        raise NotSignedIn("not signed in")
    return token


def account_of_browser(store: Session, cookie: str, settings: Settings) -> tuple[Account, Browser] | None:
    """The account that a browser is signed in to; None if it is not, or was for too long or idle."""
    browser = store.get(Browser, _hash(cookie)) if cookie else None
    if browser is None:
        return None
    if (now() - browser.created_at > datetime.timedelta(hours=settings.session_hours)
            or now() - browser.seen_at > datetime.timedelta(minutes=settings.idle_minutes)):
        return None
    account = store.get(Account, browser.account_id)
    return (account, browser) if account is not None and account.active else None


def seen(database: Database, cookie: str) -> None:
    """Note that a browser is in use, at most once a minute, so that it does not fall idle."""
    with database.read() as store:
        browser = store.get(Browser, _hash(cookie))
    if browser is None or now() - browser.seen_at < datetime.timedelta(minutes=1):
        return
    with database.write(Actor()) as store:
        current = store.get(Browser, _hash(cookie))
        if current is not None:
            current.seen_at = now()


def sign_out(store: Session, cookie: str) -> None:
    """End a browser's session."""
    browser = store.get(Browser, _hash(cookie))
    if browser is not None:
        note(store, "signed_out", "accounts", browser.account_id)
        store.delete(browser)


def new_token(store: Session, account: str, label: str, scopes: tuple[str, ...], days: int = TOKEN_DAYS) -> str:
    """Make a token for another program.

    Arguments:
        store: of a write.
        account: in whose name it asks.
        label: what it is for.
        scopes: one or more of `SCOPES`.
        days: until it ends.

    Returns:
        the token, which cannot be read again.

    Raises:
        InputError: no label, no scope, or days out of range.
    """
    if not 1 <= len(label.strip()) <= 200:
        raise InputError("no label", field="label", accepted="1 to 200 characters")
    if not scopes or not set(scopes) <= set(SCOPES):
        raise InputError("not a scope", field="scopes", found=" ".join(scopes), accepted=", ".join(SCOPES))
    if not 1 <= days <= TOKEN_DAYS:
        raise InputError("out of range", field="days", found=days, accepted=f"1 to {TOKEN_DAYS}")
    text = "deqi_" + secrets.token_urlsafe(32)
    store.add(Token(account_id=account, label=label.strip(), token=_hash(text), scopes=" ".join(scopes),
                    expires_at=now() + datetime.timedelta(days=days)))
    return text


def account_of_token(store: Session, text: str) -> tuple[Account, Token] | None:
    """The account in whose name a program asks; None if the token is unknown, ended or revoked."""
    token = store.scalar(select(Token).where(Token.token == _hash(text)))
    if token is None or token.revoked_at is not None or token.expires_at < now():
        return None
    account = store.get(Account, token.account_id)
    return (account, token) if account is not None and account.active else None


def _signed_in(store: Session, account: Account, password: str) -> str:
    if account.failures or account.locked_until is not None:
        account.failures, account.locked_until = 0, None
    if _hasher.check_needs_rehash(account.password):
        account.password = _hasher.hash(password)
    store.execute(delete(Browser).where(Browser.created_at < now() - datetime.timedelta(days=2)))
    text = secrets.token_urlsafe(32)
    store.add(Browser(token=_hash(text), account_id=account.id, csrf=secrets.token_urlsafe(32)))
    note(store, "signed_in", "accounts", account.id)
    return text


def _fits(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobody() -> str:
    return _hasher.hash(secrets.token_urlsafe(16))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
