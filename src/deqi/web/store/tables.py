"""What the store holds, a class a table. Whatever identifies a patient, or could, is `Encrypted` or a `Document`.

Every row that people change has a `version`: a change made from an older version is refused, never lost. Who changed
what is written by `audit.py` in the same transaction.
"""

from __future__ import annotations

import datetime
import uuid
from typing import Any, ClassVar

from sqlalchemy import JSON, DateTime, Dialect, ForeignKey, Index, LargeBinary, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column
from sqlalchemy.types import TypeDecorator

from .crypt import Document, Encrypted

NAMES = {"ix": "ix_%(column_0_label)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s",
         "fk": "fk_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s"}


class Moment(TypeDecorator[datetime.datetime]):
    """A moment in UTC, with its time zone also where the database keeps none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        """In UTC."""
        return None if value is None else value.astimezone(datetime.UTC)

    def process_result_value(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        """In UTC, whatever zone the database answers in."""
        return None if value is None else value.replace(tzinfo=value.tzinfo or datetime.UTC).astimezone(datetime.UTC)


def new_id() -> str:
    """An id that says nothing and cannot be guessed, 32 hexadecimal digits."""
    return uuid.uuid4().hex


def now() -> datetime.datetime:
    """This moment."""
    return datetime.datetime.now(datetime.UTC)


class Row(DeclarativeBase):
    """A row of any table.

    Attributes:
        audited: whether each change is written to the audit trail.
        secret: columns that no trail and no export shows.
    """

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime.datetime: Moment}
    audited: ClassVar[bool] = True
    secret: ClassVar[frozenset[str]] = frozenset()


class Shared(Row):
    """A row that people change: an id, and the version that an edit must have been made from."""

    __abstract__ = True
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    version: Mapped[int]
    created_at: Mapped[datetime.datetime] = mapped_column(default=now)

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:
        """Let SQLAlchemy refuse a change made from an older version."""
        return {"version_id_col": cls.version}


class OfPatient(Shared):
    """A row of one patient's record."""

    __abstract__ = True
    patient_id: Mapped[str] = mapped_column(ForeignKey("patients.id", ondelete="CASCADE"), index=True)
    created_by: Mapped[str] = mapped_column(String(40))


class Practice(Shared):
    """The practice itself, one row.

    Attributes:
        key_check: opens only with the right key.
        locale: for pages before anybody signed in, such as `en-GB`.
        trail_head: the seal of the newest entry of the audit trail, so that a missing end shows.
    """

    __tablename__ = "practice"
    secret = frozenset({"key_check", "trail_head"})
    name: Mapped[str] = mapped_column(String(200), default="")
    locale: Mapped[str] = mapped_column(String(20), default="en-GB")
    key_check: Mapped[str] = mapped_column(Encrypted)
    trail_head: Mapped[str] = mapped_column(String(64), default="")


class Account(Shared):
    """Somebody who may sign in.

    Attributes:
        login: in lower case.
        roles: one or more of clinician, assistant, admin, separated by spaces.
        password: argon2id.
        password_until: when a temporary password ends, which its owner has to change; None for one of their own.
        failures: of signing in since the last success.
    """

    __tablename__ = "accounts"
    secret = frozenset({"password", "password_until", "failures", "locked_until"})
    login: Mapped[str] = mapped_column(String(80), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    roles: Mapped[str] = mapped_column(String(60))
    password: Mapped[str] = mapped_column(String(200))
    password_until: Mapped[datetime.datetime | None]
    locale: Mapped[str] = mapped_column(String(20), default="en-GB")
    active: Mapped[bool] = mapped_column(default=True)
    failures: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime.datetime | None]


class Browser(Row):
    """One browser that is signed in; its cookie is kept as a hash only."""

    __tablename__ = "browsers"
    audited = False
    token: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    csrf: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime.datetime] = mapped_column(default=now)
    seen_at: Mapped[datetime.datetime] = mapped_column(default=now)


class Token(Shared):
    """A key with which another program asks in an account's name; kept as a hash only.

    Attributes:
        scopes: one or more of compute, records:read, records:write, separated by spaces.
    """

    __tablename__ = "tokens"
    secret = frozenset({"token"})
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    label: Mapped[str] = mapped_column(String(200))
    token: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    scopes: Mapped[str] = mapped_column(String(200))
    expires_at: Mapped[datetime.datetime]
    revoked_at: Mapped[datetime.datetime | None]


class Person(Shared):
    """A patient: who it is. Everything else of the record hangs on the id.

    Attributes:
        responsible_id: the clinician who answers for the record.
        number: the practice's own number for the patient.
    """

    __tablename__ = "patients"
    responsible_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    name: Mapped[str] = mapped_column(Encrypted)
    birth_date: Mapped[str | None] = mapped_column(Encrypted)
    number: Mapped[str | None] = mapped_column(Encrypted)
    contact: Mapped[str | None] = mapped_column(Encrypted)


class Member(Row):
    """Somebody else who takes part in a patient's care, and so may open the record."""

    __tablename__ = "members"
    patient_id: Mapped[str] = mapped_column(ForeignKey("patients.id", ondelete="CASCADE"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True,
                                            index=True)


class Assessment(OfPatient):
    """What was asked and answered on one day.

    Attributes:
        day: week 0 of its forecasts.
        answers: the mapping of a patient file, complete or not.
        state: open while it is being filled in, then done.
        choices: the plan that is being put together on the options page, as the sliders stand; None before.
    """

    __tablename__ = "assessments"
    day: Mapped[datetime.date]
    answers: Mapped[Any] = mapped_column(Document)
    choices: Mapped[Any | None] = mapped_column(Document)
    state: Mapped[str] = mapped_column(String(10), default="open")


class Consultation(OfPatient):
    """What `deqi consult` gave for one assessment, kept as it was told to the patient.

    Attributes:
        key: of the answers that it was made from; other answers make it out of date.
        result: as `deqi consult --json` writes it.
    """

    __tablename__ = "consultations"
    assessment_id: Mapped[str] = mapped_column(ForeignKey("assessments.id", ondelete="CASCADE"), index=True)
    key: Mapped[str] = mapped_column(String(64))
    result: Mapped[Any] = mapped_column(Document)


class Plan(OfPatient):
    """A plan that was agreed on, with the forecast made when it began: what outcomes are held against.

    Attributes:
        began: the day it starts.
        sentences: the plan in words, as `deqi forecast --plan` takes it.
        forecast: rows as the interface has them, weeks from `began`.
        baseline: the reported pain that it began with, NRS.
        review: rules, as `consult.review` gives them.
        provenance: what made the forecast.
        told: what the patient was told of it beside the forecast: `plan` and `nothing` as options; None if nothing was.
        state: current, or ended.
        why_ended: in words.
    """

    __tablename__ = "plans"
    assessment_id: Mapped[str] = mapped_column(ForeignKey("assessments.id", ondelete="CASCADE"), index=True)
    began: Mapped[datetime.date]
    sentences: Mapped[Any] = mapped_column(Document)
    kinds: Mapped[str] = mapped_column(String(100))
    baseline: Mapped[float]
    forecast: Mapped[Any] = mapped_column(Document)
    review: Mapped[Any] = mapped_column(Document)
    provenance: Mapped[Any] = mapped_column(Document)
    told: Mapped[Any | None] = mapped_column(Document)
    note: Mapped[str | None] = mapped_column(Encrypted)
    state: Mapped[str] = mapped_column(String(10), default="current")
    ended: Mapped[datetime.date | None]
    why_ended: Mapped[str | None] = mapped_column(Encrypted)


class Score(OfPatient):
    """One reported score.

    Attributes:
        outcome: NRS, RMDQ or ODI.
        origin: practice, patient or import.
    """

    __tablename__ = "scores"
    __table_args__ = (UniqueConstraint("patient_id", "day", "outcome"),)
    day: Mapped[datetime.date]
    outcome: Mapped[str] = mapped_column(String(10))
    value: Mapped[float]
    origin: Mapped[str] = mapped_column(String(10))


class Treatment(OfPatient):
    """One session that was given.

    Attributes:
        details: in STRICTA fields (`web/stricta.yaml`).
    """

    __tablename__ = "treatments"
    plan_id: Mapped[str | None] = mapped_column(ForeignKey("plans.id", ondelete="CASCADE"), index=True)
    day: Mapped[datetime.date]
    details: Mapped[Any] = mapped_column(Document)


class AdverseEvent(OfPatient):
    """Something unwanted that happened during or after care.

    Attributes:
        kind: an event of `web/stricta.yaml`.
        details: severity, seriousness, relation, outcome and words.
    """

    __tablename__ = "adverse_events"
    treatment_id: Mapped[str | None] = mapped_column(ForeignKey("treatments.id", ondelete="CASCADE"), index=True)
    day: Mapped[datetime.date]
    kind: Mapped[str] = mapped_column(String(60))
    details: Mapped[Any] = mapped_column(Document)


class Alert(OfPatient):
    """Warning signs that a patient reported, for a clinician to see; open until one says what was done.

    Attributes:
        day: of the report.
        signs: ids of emergency questions of `consult/rules/red_flags.yaml`, and the patient's own words.
        seen_by, seen_at: who looked, and when; None while it is open.
        done: what was done, in words.
    """

    __tablename__ = "alerts"
    day: Mapped[datetime.date]
    signs: Mapped[Any] = mapped_column(Document)
    seen_by: Mapped[str | None] = mapped_column(String(40))
    seen_at: Mapped[datetime.datetime | None]
    done: Mapped[str | None] = mapped_column(Encrypted)


class Link(OfPatient):
    """A page on which one patient enters scores with a code; code and cookie are kept as hashes only.

    Attributes:
        failures: wrong codes since the last right one.
        locked_until: no code is taken before.
        session, csrf, session_until: of the one browser that is let in, until it has sent its scores or time is up.
    """

    __tablename__ = "links"
    secret = frozenset({"code", "failures", "locked_until", "session", "csrf", "session_until"})
    code: Mapped[str] = mapped_column(String(200))
    expires_at: Mapped[datetime.datetime]
    failures: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime.datetime | None]
    session: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    csrf: Mapped[str | None] = mapped_column(String(60))
    session_until: Mapped[datetime.datetime | None]
    revoked_at: Mapped[datetime.datetime | None]


class Entry(Row):
    """One line of the audit trail; the database lets nobody change or delete one.

    Attributes:
        actor: an account's id, `link:` and an id, or `system`.
        action: created, changed, deleted, viewed, signed_in ...
        kind, object_id: what it was done to.
        fields: names of the fields that changed, never their values.
        request: the id of the request.
        digest: HMAC-SHA-256 over the digest before and this entry, so that a gap or a change shows.
    """

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_patient_id_seq", "patient_id", "seq"),)
    audited = False
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime.datetime]
    actor: Mapped[str] = mapped_column(String(40))
    action: Mapped[str] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(40))
    object_id: Mapped[str] = mapped_column(String(40))
    patient_id: Mapped[str | None] = mapped_column(String(32))
    fields: Mapped[Any] = mapped_column(JSON)
    request: Mapped[str] = mapped_column(String(32))
    digest: Mapped[str] = mapped_column(String(64))


class Revision(Row):
    """A row of a patient's record as an entry of the trail left it; erased with the patient, unlike the entry."""

    __tablename__ = "revisions"
    audited = False
    seq: Mapped[int] = mapped_column(ForeignKey("audit.seq"), primary_key=True, autoincrement=False)
    patient_id: Mapped[str] = mapped_column(ForeignKey("patients.id", ondelete="CASCADE"), index=True)
    content: Mapped[Any] = mapped_column(Document)
