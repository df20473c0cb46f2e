"""Accounts: passwords, signing in with a lock-out, browsers that are signed in, tokens of programs.

Secrets are kept as hashes only: passwords as argon2id, the random tokens of browsers and programs as SHA-256.
"""

from __future__ import annotations

import datetime
import hashlib
import secrets
from collections.abc import Collection
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
RECORD_ROLES = frozenset({"clinician", "assistant"})
"""Who sees records; a token of nobody else reads or writes them."""
SHORTEST, LONGEST = 12, 128
"""Characters of a password (OWASP ASVS 2.1.1, 2.1.2)."""
WEAKEST = 3
"""Of zxcvbn's 0 to 4: safely unguessable where tries are slow."""
TRIES, LOCKED_MINUTES = 5, 15
TOKEN_DAYS = 365
TEMPORARY_DAYS = 7
"""A password that an administrator hands out ends by itself (ASVS 2.3.1)."""
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
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
    words = [*about, *(part for told in about for part in told.split())]
    if zxcvbn(password[:72], user_inputs=words)["score"] < WEAKEST:
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
    login = login.strip().casefold()
    if not 1 <= len(login) <= 80 or not login.isprintable() or " " in login:
        raise InputError("not a name to sign in with", field="login", accepted="1 to 80 characters without spaces")
    name, kept = checked_name(name), checked_roles(roles)
    if store.scalar(select(Account.id).where(Account.login == login)):
        raise InputError("taken already", field="login", accepted="another name")
    account = Account(id=new_id(), login=login, name=name, locale=locale, roles=kept,
                      password=_hasher.hash(checked_password(password, (login, name, "deqi"))))
    store.add(account)
    return account


def checked_name(name: str) -> str:
    """A name as it is shown.

    Raises:
        InputError: none, too long, or with characters that cannot be shown.
    """
    if not 1 <= len(name.strip()) <= 200 or not name.strip().isprintable():
        raise InputError("not a name", field="name", accepted="1 to 200 characters")
    return name.strip()


def checked_roles(roles: Collection[str]) -> str:
    """Roles as an account keeps them.

    Raises:
        InputError: none, or an unknown one.
    """
    if not roles or not set(roles) <= set(ROLES):
        raise InputError("not a role", field="roles", found=" ".join(roles), accepted=", ".join(ROLES))
    return " ".join(role for role in ROLES if role in roles)


def change_password(store: Session, account: Account, password: str) -> None:
    """Give an account another password of its owner's, and end all its browsers and tokens: it may be known to others.

    Raises:
        InputError: a weak password, or the one that it has.
    """
    if _fits(account.password, password):
        raise InputError("the same as before", field="password", accepted="another one")
    account.password = _hasher.hash(checked_password(password, (account.login, account.name, "deqi")))
    account.failures, account.locked_until, account.password_until = 0, None, None
    end_access(store, account.id)


def temporary_password() -> str:
    """A password to hand out, of 77 bits, that is easily read aloud."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))


def give_temporary(store: Session, account: Account) -> str:
    """Give an account a temporary password; whoever held the account is out: its browsers end, its tokens too.

    Returns:
        the password, which cannot be read again; its owner has to change it, within a week.
    """
    password = temporary_password()
    account.password = _hasher.hash(password)
    account.failures, account.locked_until = 0, None
    account.password_until = now() + datetime.timedelta(days=TEMPORARY_DAYS)
    end_access(store, account.id)
    return password


def end_browsers(store: Session, account: str) -> None:
    """End every browser's session of an account."""
    store.execute(delete(Browser).where(Browser.account_id == account))


def end_access(store: Session, account: str) -> None:
    """End every browser's session of an account, and revoke its tokens."""
    end_browsers(store, account)
    for token in store.scalars(select(Token).where(Token.account_id == account, Token.revoked_at.is_(None))):
        token.revoked_at = now()


def new_browser(store: Session, account: str) -> str:
    """Begin a browser's session; gives the token for its cookie."""
    text = secrets.token_urlsafe(32)
    store.add(Browser(token=_hash(text), account_id=account, csrf=secrets.token_urlsafe(32)))
    return text


def browser_id(cookie: str) -> bytes:
    """What a browser's session is kept under."""
    return _hash(cookie)


def confirm(database: Database, actor: Actor, password: str) -> None:
    """Ask for the password once more, before what a stranger at an open browser must not do.

    Wrong tries count as in signing in; when they lock the account, its browsers' sessions end.

    Arguments:
        database: the store.
        actor: whose `actor` is the account.
        password: as typed.

    Raises:
        InputError: it is not the account's password, or the account is locked.
    """
    with database.read() as store:
        account = store.get(Account, actor.actor)
    right = account is not None and _fits(account.password, password)
    with database.write(actor) as store:
        known = store.get(Account, actor.actor)
        good = known is not None and account is not None and _tried(
            store, known, right and known.password == account.password)
        if known is not None and not good and _is_locked(known):
            end_browsers(store, known.id)
    if not good:
        raise InputError("this is not your password", field="confirm", accepted="the one that you signed in with")


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
    right = _fits(account.password if account else _nobody(), password)
    if account is None:
        raise NotSignedIn("not signed in")
    with database.write(Actor(actor=account.id, request=request)) as store:
        known = store.get(Account, account.id)
        assert known is not None
        ended = known.password_until is not None and known.password_until < now()
        good = _tried(store, known, right and known.active and not ended and known.password == account.password)
        if good:
            token = _signed_in(store, known, password)
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


def scopes_of(roles: str) -> tuple[str, ...]:
    """The scopes that a token of an account with these roles may have."""
    return tuple(scope for scope in SCOPES if scope == "compute" or RECORD_ROLES & set(roles.split()))


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
        InputError: no label, no scope or one that the account's roles do not reach, or days out of range.
    """
    if not 1 <= len(label.strip()) <= 200 or not label.isprintable():
        raise InputError("not a label", field="label", accepted="1 to 200 characters")
    known = scopes_of(store.get_one(Account, account).roles)
    if not scopes or not set(scopes) <= set(known):
        raise InputError("not a scope of this account", field="scopes", found=" ".join(scopes),
                         accepted=", ".join(known))
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


def _is_locked(account: Account) -> bool:
    return account.locked_until is not None and account.locked_until > now()


def _tried(store: Session, account: Account, right: bool) -> bool:
    """Count a try of a password; whether it may pass."""
    if _is_locked(account) or not right:
        if not _is_locked(account):
            account.failures += 1
            if account.failures >= TRIES:
                account.failures, account.locked_until = 0, now() + datetime.timedelta(minutes=LOCKED_MINUTES)
                note(store, "locked", "accounts", account.id)
        note(store, "refused", "accounts", account.id)
        return False
    if account.failures or account.locked_until is not None:
        account.failures, account.locked_until = 0, None
    return True


def _signed_in(store: Session, account: Account, password: str) -> str:
    if _hasher.check_needs_rehash(account.password):
        account.password = _hasher.hash(password)
    store.execute(delete(Browser).where(Browser.created_at < now() - datetime.timedelta(days=2)))
    note(store, "signed_in", "accounts", account.id)
    return new_browser(store, account.id)


def _fits(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password[:LONGEST]) and len(password) <= LONGEST
    except (VerificationError, InvalidHashError):
        return False


def is_new(database: Database) -> bool:
    """Whether nobody has an account yet."""
    with database.read() as store:
        return store.scalar(select(Account.id).limit(1)) is None


@cache
def _nobody() -> str:
    return _hasher.hash(secrets.token_urlsafe(16))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
