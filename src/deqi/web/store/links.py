"""A patient's own page: who is let in by a code, for how long, and what is kept of what the patient tells there."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...errors import DeqiError
from .audit import Actor, note
from .database import Database
from .plans import plans_of, running
from .tables import AdverseEvent, Alert, Link, Plan, Score, new_id, now

WEEKS, MINUTES = 26, 30
"""A link ends after half a year, its page half an hour after the code. Assumed."""
DIGITS = 8
TRIES, LOCKED_MINUTES, MOST_TRIES = 5, 15, 20
"""Wrong codes until the page is closed for a while, and until it is closed for good: 20 of 100 million."""
_hasher = PasswordHasher()


class NotLetIn(DeqiError):
    """A code that opens nothing; `reason` is wrong, or locked.

    A page that does not exist, or no longer, is told like a wrong code.
    """

    def __init__(self, reason: str):
        self.reason = reason
        super().__init__(reason)



@dataclass(frozen=True)
class Told:
    """What a patient told on one visit to the page.

    Attributes:
        scores: by outcome.
        event: kind, severity and words of something unwanted; None for nothing.
        signs: ids of emergency questions that were answered with yes.
    """

    scores: dict[str, float] = field(default_factory=dict)
    event: dict[str, str] | None = None
    signs: Sequence[str] = ()


def live_link(store: Session, patient: str) -> Link | None:
    """The link of a patient that is open; None if there is none."""
    return store.scalar(select(Link).where(Link.patient_id == patient, Link.revoked_at.is_(None),
                                           Link.expires_at > now()).order_by(Link.created_at.desc()).limit(1))


def new_link(store: Session, patient: str, account: str) -> tuple[Link, str]:
    """Make a link, and close those before it.

    Returns:
        the link, and the code, which cannot be read again.
    """
    for old in store.scalars(select(Link).where(Link.patient_id == patient, Link.revoked_at.is_(None))):
        revoke(old)
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
    link = Link(id=new_id(), patient_id=patient, created_by=account, code=_hasher.hash(code),
                expires_at=now() + datetime.timedelta(weeks=WEEKS))
    store.add(link)
    return link, code


def revoke(link: Link) -> None:
    """Close a link for good, also to the browser that is in."""
    link.revoked_at, link.session, link.csrf, link.session_until = now(), None, None, None


def enter(database: Database, id: str, code: str, request: str) -> str:
    """Let one browser in; any other that was in is out.

    Five wrong codes close the page for a quarter of an hour, also to the right code; twenty close it for good.

    Arguments:
        database: the store.
        id: of the link.
        code: as typed; what is no digit is left out.
        request: the id of the request.

    Returns:
        the token for the browser's cookie.

    Raises:
        NotLetIn: a wrong code, or one too many, or no such page.
    """
    digits = "".join(sign for sign in code if sign.isascii() and sign.isdigit())
    with database.read() as store:
        known = store.get(Link, id)
    if known is None or not is_open(known):
        raise NotLetIn("wrong")
    right = len(digits) == DIGITS and _fits(known.code, digits)
    token = secrets.token_urlsafe(32)
    with database.write(Actor(actor=f"link:{id}", request=request)) as store:
        link = store.get(Link, id)
        refusal = "wrong" if link is None or not is_open(link) or not right else None
        if link is not None and is_open(link):
            if link.locked_until is not None and link.locked_until > now():
                refusal = "locked"
            elif right:
                link.session, link.csrf = _hash(token), secrets.token_urlsafe(32)
                link.session_until = now() + datetime.timedelta(minutes=MINUTES)
                link.failures, link.locked_until = 0, None
            else:
                _count_failure(link)
            note(store, "refused" if refusal else "signed_in", "links", link.id, link.patient_id)
    if refusal is not None:
        raise NotLetIn(refusal)
    return token


def let_in(store: Session, id: str, cookie: str) -> Link | None:
    """The link that a browser was let in to; None if it was not, or its time is up."""
    link = recognised(store, id, cookie)
    in_time = link is not None and is_open(link) and link.session_until is not None and link.session_until > now()
    return link if in_time else None


def recognised(store: Session, id: str, cookie: str) -> Link | None:
    """The link that a browser was the last to be let in to, though its time be up: enough to report a warning sign."""
    link = store.get(Link, id)
    if link is None or link.revoked_at is not None or link.session is None:
        return None
    return link if hmac.compare_digest(link.session, _hash(cookie)) else None


def is_open(link: Link) -> bool:
    """Whether a link is neither revoked nor out of time."""
    return link.revoked_at is None and link.expires_at > now()


def questionnaire_of(store: Session, patient: str) -> str | None:
    """The questionnaire that a patient's plan is followed with; None without one."""
    plan = running(plans_of(store, Plan.patient_id == patient), datetime.date.today())
    outcomes = {row["outcome"] for row in plan.forecast} if plan is not None else set()
    return next((name for name in ("RMDQ", "ODI") if name in outcomes), None)


def take(store: Session, link: Link, told: Told, day: datetime.date) -> list[str]:
    """Keep what a patient told, and close the page until the code is entered again.

    A score of the day that the practice entered stays as it is.

    Returns:
        the outcomes that were not taken for that reason.
    """
    actor, patient, left = f"link:{link.id}", link.patient_id, []
    for outcome, value in told.scores.items():
        old = store.scalar(select(Score).where(Score.patient_id == patient, Score.day == day, Score.outcome == outcome))
        if old is None:
            store.add(Score(patient_id=patient, created_by=actor, day=day, outcome=outcome, value=value,
                            origin="patient"))
        elif old.origin == "patient":
            old.value = value
        else:
            left.append(outcome)
    if told.event is not None:
        details: dict[str, Any] = {key: value for key, value in told.event.items() if key != "kind" and value}
        store.add(AdverseEvent(patient_id=patient, created_by=actor, day=day, kind=told.event["kind"],
                               details=details | {"reported_by": "patient", "reviewed": False}))
    if told.signs:
        store.add(Alert(patient_id=patient, created_by=actor, day=day, signs={"signs": list(told.signs)}))
    link.session, link.csrf, link.session_until = None, None, None
    return left


def _count_failure(link: Link) -> None:
    link.failures += 1
    if link.failures >= MOST_TRIES:
        revoke(link)
    elif link.failures % TRIES == 0:
        link.locked_until = now() + datetime.timedelta(minutes=LOCKED_MINUTES)


def _fits(hashed: str, code: str) -> bool:
    try:
        return _hasher.verify(hashed, code)
    except (VerificationError, InvalidHashError):
        return False


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
