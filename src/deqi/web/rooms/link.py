"""The patient's own page: made and closed by the practice, entered with a code, and used to report scores."""

from __future__ import annotations

import contextlib
import datetime
import hmac
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import RedirectResponse, Response
from limits import parse
from sqlalchemy import select

from ...consult.rules import table
from ...errors import InputError
from .. import stricta
from ..accounts import sign_out
from ..catalogue import texts
from ..guard import Caller, Refused, Store, Who, cookie_name
from ..page import locale_of, page
from ..store import links as kept
from ..store.audit import Actor
from ..store.database import Conflict, Database, StoreUnavailable
from ..store.scores import checked
from ..store.tables import Link, Person

router = APIRouter()
Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
COOKIE = "deqi-link"
TRIES = parse("20/minute")
"""Of a code, from one address."""
KINDS = ("bleeding", "needle_pain", "dizziness_nausea_sweating", "fainting", "tiredness", "aggravation", "burn",
         "soreness_exercise", "other")
"""What a patient may choose; the rest is for a clinician to name."""
WORDS = 1000
REMEMBERED_HOURS = 24
"""How long a browser keeps its cookie. The page ends before; a warning sign that is sent later is still known whose it
is."""


@router.get("/patients/{patient}/link", name="patient_link")
def patient_link(request: Request, patient: Id, caller: Who, database: Store) -> Response:
    """Whether the patient has a page of their own, and until when."""
    with database.read() as store:
        row, person = kept.live_link(store, caller.patient_id), store.get(Person, caller.patient_id)
    return page(request, "link/patient_link.html.j2", patient=caller.patient_id, row=row, person=person,
                address=_address(request, row), local=not request.app.state.settings.is_secure, code=None)


@router.post("/patients/{patient}/link", name="link_new")
def link_new(request: Request, patient: Id, caller: Who, database: Store) -> Response:
    """Makes a page for the patient and shows its code, this once."""
    with database.write(caller) as store:
        row, code = kept.new_link(store, caller.patient_id, caller.account)
        person = store.get(Person, caller.patient_id)
    return page(request, "link/patient_link.html.j2", patient=caller.patient_id, row=row, person=person,
                address=_address(request, row), local=not request.app.state.settings.is_secure, code=code)


@router.post("/patients/{patient}/link/revoke", name="link_revoke")
def link_revoke(request: Request, patient: Id, caller: Who, database: Store) -> Response:
    """Closes the patient's page for good."""
    with database.write(caller) as store:
        for row in store.scalars(select(Link).where(Link.patient_id == caller.patient_id, Link.revoked_at.is_(None))):
            kept.revoke(row)
    return RedirectResponse(request.app.url_path_for("patient_link", patient=caller.patient_id), 303)


@router.get("/p/{link}", name="link")
def link(request: Request, link: Id, caller: Who, database: Store) -> Response:
    """Asks for the code; says the same whether or not there is such a page."""
    return _asks(request, link, caller)


@router.post("/p/{link}", name="link_enter")
def link_enter(request: Request, link: Id, caller: Who, database: Store) -> Response:
    """Lets a browser in, and signs out whoever was signed in on it, since it is handed to a patient now."""
    address = request.client.host if request.client else ""
    if not request.app.state.tries.hit(TRIES, "link", address):
        return _asks(request, link, caller, "too_often", 429)
    try:
        token = kept.enter(database, link, str(caller.form.get("code", ""))[:40], caller.request)
    except kept.NotLetIn as refused:
        return _asks(request, link, caller, refused.reason, 401)
    response = RedirectResponse(request.app.url_path_for("link_scores", link=link), 303)
    secure = request.app.state.settings.is_secure
    response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure, path=f"/p/{link}",
                        max_age=3600 * REMEMBERED_HOURS)
    if caller.account:
        name = cookie_name(request.app.state.settings)
        with database.write(caller) as store:
            sign_out(store, request.cookies.get(name, ""))
        response.delete_cookie(name, secure=secure, httponly=True, samesite="strict")
    return response


@router.get("/p/{link}/scores", name="link_scores")
def link_scores(request: Request, link: Id, caller: Who, database: Store) -> Response:
    """One page: warning signs, pain, disability, anything unwanted."""
    with database.read() as store:
        row = kept.let_in(store, link, request.cookies.get(COOKIE, ""))
        asked = kept.questionnaire_of(store, row.patient_id) if row is not None else None
    if row is None:
        return _asks(request, link, caller, "again", 401)
    return _form(request, row, caller, asked, {}, {})


@router.post("/p/{link}/scores", name="link_scores_sent")
def link_scores_sent(request: Request, link: Id, caller: Who, database: Store) -> Response:
    """Keeps what the patient told; a warning sign is read first, and says what to do now whatever else is so."""
    signs = _ticked(caller)
    if signs:
        return _warned(request, link, caller, database, signs)
    cookie = request.cookies.get(COOKIE, "")
    with database.read() as store:
        row = kept.let_in(store, link, cookie)
        asked = kept.questionnaire_of(store, row.patient_id) if row is not None else None
    if row is None:
        return _asks(request, link, caller, "not_kept", 401)
    if not _of_form(row, caller):
        raise Refused(403, "stale_form")
    told, errors = _told(request, caller, asked)
    if errors:
        return _form(request, row, caller, asked, caller.form, errors)
    with database.write(Actor(actor=f"link:{link}", request=caller.request)) as store:
        current = kept.let_in(store, link, cookie)
        if current is None:
            return _asks(request, link, caller, "not_kept", 401)
        left = kept.take(store, current, told, datetime.date.today())
    _as_patient(request, caller, "")
    return _closed(request, link, page(request, "link/thanks.html.j2", left=left))


def _warned(request: Request, link: str, caller: Caller, database: Database, signs: list[str]) -> Response:
    """What to do now; the report is kept if this browser was let in, even where its time is over or the rest cannot be
    read. A store that cannot be written to keeps nobody from being told."""
    cookie, saved, whole = request.cookies.get(COOKIE, ""), False, False
    with contextlib.suppress(StoreUnavailable, Conflict):
        with database.read() as store:
            row = kept.recognised(store, link, cookie)
            asked = kept.questionnaire_of(store, row.patient_id) if row is not None else None
        if row is not None and _of_form(row, caller):
            told, _ = _told(request, caller, asked)
            with database.write(Actor(actor=f"link:{link}", request=caller.request)) as store:
                current, in_time = kept.recognised(store, link, cookie), kept.let_in(store, link, cookie)
                if current is not None:
                    kept.take(store, current, told if in_time else kept.Told(signs=signs), datetime.date.today())
            saved, whole = current is not None, in_time is not None
    _as_patient(request, caller, "")
    asks = [sign["ask"] for sign in _signs() if sign["id"] in signs]
    response = page(request, "link/emergency.html.j2", 200 if saved else 401, signs=asks, saved=saved, whole=whole)
    return _closed(request, link, response) if saved else response


def _ticked(caller: Caller) -> list[str]:
    """The warning signs that a form reports."""
    known, sent = {sign["id"] for sign in _signs()}, [str(sign) for sign in caller.form.getlist("signs")]
    return list(dict.fromkeys(sign for sign in sent if sign in known))


def _of_form(row: Link, caller: Caller) -> bool:
    """Whether a form is the one that this page gave out."""
    sent = str(caller.form.get("csrf", "")).encode("utf-8", "surrogateescape")
    return row.csrf is not None and hmac.compare_digest(sent, row.csrf.encode())


def _closed(request: Request, link: str, response: Response) -> Response:
    response.delete_cookie(COOKIE, path=f"/p/{link}", httponly=True, samesite="strict",
                           secure=request.app.state.settings.is_secure)
    return response


def _asks(request: Request, link: str, caller: Caller, problem: str = "", status: int = 200) -> Response:
    name = caller.name if caller.account else ""
    _as_patient(request, caller, "")
    return page(request, "link/enter.html.j2", status, address=link, problem=problem, signed_in=name)


def _form(request: Request, row: Link, caller: Caller, asked: str | None, given: Any, errors: dict[str, str]
          ) -> Response:
    _as_patient(request, caller, row.csrf or "")
    ticked = list(given.getlist("signs")) if hasattr(given, "getlist") else []
    return page(request, "link/scores.html.j2", 422 if errors else 200, address=row.id, asked=asked,
                given={name: str(given.get(name, "")) for name in ("pain", "disability", "kind", "severity", "words")},
                ticked=ticked, errors=errors, signs=_signs(), kinds=KINDS, most=WORDS,
                numbers=[(n, n) for n in range(11)])


def _as_patient(request: Request, caller: Caller, csrf: str) -> None:
    """Show the page as to somebody who is not signed in: no name, no way to other pages."""
    request.state.caller = Caller(actor="nobody", request=caller.request, csrf=csrf)


def _told(request: Request, caller: Caller, asked: str | None) -> tuple[kept.Told, dict[str, str]]:
    """What the form tells, and what is wrong with it by field."""
    form, fmt = caller.form, locale_of(request)
    words, today = texts(fmt.language)["link"], datetime.date.today()
    errors: dict[str, str] = {}
    scores: dict[str, float] = {}
    signs = _ticked(caller)
    if not signs and "none" not in form.getlist("signs"):
        errors["signs"] = words["signs"]["missing"]
    for name, outcome in (("pain", "NRS"), ("disability", asked)):
        text = str(form.get(name, "")).strip()[:40]
        if outcome is None or (name == "disability" and not text):
            continue
        try:
            value = fmt.parse_number(text, name) if text else None
            if value is None:
                errors[name] = words["pain"]["missing"]
                continue
            checked(today, outcome, value, today)
            scores[outcome] = value
        except InputError as error:
            errors[name] = str(InputError(error.message, found=text, accepted=error.accepted))
    kind = str(form.get("kind", "")) or "nothing"
    if kind == "nothing":
        return kept.Told(scores, None, signs), errors
    event = {"kind": kind, "severity": str(form.get("severity", "")), "words": str(form.get("words", "")).strip()}
    if kind not in KINDS:
        errors["kind"] = words["event"]["missing"]
        return kept.Told(scores, None, signs), errors
    severities = next(each.choices for each in stricta.fields("adverse_event") if each.id == "severity")
    if event["severity"] not in severities:
        errors["severity"] = words["event"]["how"]
        event["severity"] = ""
    event["words"] = event["words"][:WORDS]
    return kept.Told(scores, event, signs), errors


def _signs() -> list[dict[str, Any]]:
    """The emergency questions that are asked at every review."""
    return [row for row in table("red_flags")["questions"] if row["action"] == "emergency" and row.get("ask_again")]


def _address(request: Request, row: Link | None) -> str:
    if row is None:
        return ""
    path = str(request.app.url_path_for("link", link=row.id))
    public: str | None = request.app.state.settings.public_url
    return (public or str(request.base_url).rstrip("/")) + path
