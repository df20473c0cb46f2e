"""Follow-up: the forecast made when a plan began, the scores since, and whether to go on, change or stop."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...care import plan_from, sentences
from ...consult.history import rest_of
from ...consult.intake import check
from ...consult.rules import table
from ...consult.screening import applicability
from ...consult.wording import texts as report_texts
from ...errors import InputError
from .. import due, figures, imports
from ..catalogue import texts
from ..guard import Caller, Refused, Store, Who, own
from ..locale import Locale
from ..page import locale_of, page
from ..problems import Problems
from ..store import scores as kept
from ..store.first import what_first
from ..store.plans import runs
from ..store.tables import Alert, Assessment, Link, Person, Plan, Score, now
from ..store.trail import names
from .merging import merge, version_in

router = APIRouter()
Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
FIELDS = ("day", "outcome", "value")
FORECAST_WEEKS = 26
PREVIEWED = 200
MOST_IMPORTED = 500
"""Scores of one import, so that nobody else waits long for it. Assumed."""
SHOWN = 100
"""Scores that the list shows unfolded."""


@router.get("/patients/{patient}/followup", name="followup")
def followup(request: Request, patient: Id, caller: Who, database: Store) -> Response:
    """What was forecast, what was reported, and what that means by the plan's own rules."""
    with database.read() as store:
        return page(request, "followup/followup.html.j2", **_view(store, request, caller))


@router.get("/patients/{patient}/followup/now", name="followup_now")
def followup_now(request: Request, patient: Id, caller: Who, database: Store) -> Response:
    """The forecast renewed with all scores, and going on against stopping; a fragment for htmx, else a page."""
    with database.read() as store:
        plan = kept.plan_followed(store, caller.patient_id)
        mapping = kept.patient_now(store, caller.patient_id, plan) if plan is not None else None
        pain = kept.pain_since(plan, kept.scores_of(store, caller.patient_id)) if plan is not None else []
        first = what_first(store, caller.patient_id, plan)
    if plan is None or mapping is None:
        raise Refused(404, "no_record")
    context: dict[str, Any] = {"problem": None, "refused": None, "first": first}
    try:
        context |= {} if first.alone else _renewed(request, plan, mapping, pain)
    except InputError as error:
        context |= {"problem": error}
    template = "followup/_now.html.j2" if "hx-request" in request.headers else "followup/now.html.j2"
    return page(request, template, patient=caller.patient_id, plan=plan, **context)


@router.post("/patients/{patient}/scores", name="score_add")
def score_add(request: Request, patient: Id, caller: Who, database: Store) -> Response:
    """Takes one score in."""
    given, errors = _given(caller), {}
    try:
        day, outcome, value = read_score(given, locale_of(request))
        with database.write(caller) as store:
            other = _same(store, caller.patient_id, day, outcome)
            if other is not None:
                raise InputError("there is one of that day already", field="day", found=f"{outcome} {other.value:g}",
                                 accepted="another day, or change that one in the list")
            store.add(Score(patient_id=caller.patient_id, created_by=caller.account, day=day, outcome=outcome,
                            value=value, origin="practice"))
    except InputError as error:
        errors = _by_field(error)
        with database.read() as store:
            return page(request, "followup/followup.html.j2", 422,
                        **_view(store, request, caller) | {"given": given, "errors": errors})
    return _back(request, caller)


@router.get("/patients/{patient}/scores/{score}", name="score")
def score(request: Request, patient: Id, score: Id, caller: Who, database: Store) -> Response:
    """One score, to be corrected or taken out."""
    with database.read() as store:
        row = own(store, caller, Score, score)
        return page(request, "followup/score.html.j2", patient=caller.patient_id, score=row, errors={},
                    given=_shown(row, locale_of(request)))


@router.post("/patients/{patient}/scores/{score}", name="score_change")
def score_change(request: Request, patient: Id, score: Id, caller: Who, database: Store) -> Response:
    """Corrects a score; a change made meanwhile by somebody else is shown beside one's own."""
    given, fmt = _given(caller), locale_of(request)
    try:
        day, outcome, value = read_score(given, fmt)
        with database.write(caller) as store:
            row = own(store, caller, Score, score)
            if str(row.version) != str(caller.form.get("version", "")):
                return _conflict(request, store, row, given, fmt)
            other = _same(store, caller.patient_id, day, outcome)
            if other is not None and other.id != row.id:
                raise InputError("there is one of that day already", field="day", found=f"{outcome} {other.value:g}",
                                 accepted="another day")
            row.day, row.outcome, row.value = day, outcome, value
    except InputError as error:
        with database.read() as store:
            row = own(store, caller, Score, score)
            return page(request, "followup/score.html.j2", 422, patient=caller.patient_id, score=row, given=given,
                        errors=_by_field(error))
    return _back(request, caller)


@router.post("/patients/{patient}/scores/{score}/delete", name="score_delete")
def score_delete(request: Request, patient: Id, score: Id, caller: Who, database: Store) -> Response:
    """Takes a score out; the trail keeps that it was there."""
    with database.write(caller) as store:
        row = own(store, caller, Score, score)
        if str(row.version) != str(caller.form.get("version", "")):
            return page(request, "followup/score.html.j2", 409, patient=caller.patient_id, score=row, errors={},
                        given=_shown(row, locale_of(request)))
        store.delete(row)
    return _back(request, caller)


@router.get("/patients/{patient}/scores-import", name="scores_import")
def scores_import(request: Request, patient: Id, caller: Who) -> Response:
    """Asks for a file of scores."""
    return page(request, "followup/import.html.j2", patient=caller.patient_id, problems=())


@router.post("/patients/{patient}/scores-import", name="scores_import_read")
def scores_import_read(request: Request, patient: Id, caller: Who, database: Store) -> Response:
    """Shows what of a file would be taken in."""
    file = caller.form.get("file")
    content = file.file.read(imports.LARGEST_BYTES + 1) if file is not None and not isinstance(file, str) else b""
    try:
        rows, ignored = _read_file(content)
    except Problems as problems:
        return page(request, "followup/import.html.j2", 422, patient=caller.patient_id, problems=problems.errors)
    with database.read() as store:
        new, same, other = _sorted(store, caller.patient_id, rows)
    if len(new) > MOST_IMPORTED:
        problem = InputError("too many new scores in one file", found=len(new), accepted=_most(request))
        return page(request, "followup/import.html.j2", 422, patient=caller.patient_id, problems=[problem])
    told = json.dumps([{**row, "day": row["day"].isoformat()} for row in new])
    return page(request, "followup/preview.html.j2", patient=caller.patient_id, new=new, same=same, other=other,
                ignored=ignored, rows=told, most=PREVIEWED)


@router.post("/patients/{patient}/scores-import/take", name="scores_import_take")
def scores_import_take(request: Request, patient: Id, caller: Who, database: Store) -> Response:
    """Takes in what was shown, all of it or nothing."""
    rows = _sent_rows(str(caller.form.get("rows", "")))
    if len(rows) > MOST_IMPORTED:
        raise InputError("too many scores at once", field="rows", found=len(rows), accepted=_most(request))
    with database.write(caller) as store:
        new, _, other = _sorted(store, caller.patient_id, rows)
        if other:
            raise InputError("another score of the same day was saved meanwhile", field="day",
                             found=other[0]["day"].isoformat(), accepted="read the file again")
        store.add_all(Score(patient_id=caller.patient_id, created_by=caller.account, origin="import", **row)
                      for row in new)
    return _back(request, caller)


@router.post("/patients/{patient}/alerts/{alert}", name="alert_done")
def alert_done(request: Request, patient: Id, alert: Id, caller: Who, database: Store) -> Response:
    """Notes what was done about warning signs that a patient reported."""
    done = str(caller.form.get("done", "")).strip()[:2000]
    if not done:
        raise InputError("missing", field="done", accepted="what was done, in a few words")
    with database.write(caller) as store:
        row = own(store, caller, Alert, alert)
        if row.seen_at is not None:
            return page(request, "followup/alert.html.j2", 409, patient=caller.patient_id, alert=row, typed=done,
                        by=names(store, [row.seen_by or ""]).get(row.seen_by or "", ""))
        row.seen_by, row.seen_at, row.done = caller.account, now(), done
    return _back(request, caller)


def read_score(given: Mapping[str, str], fmt: Locale) -> tuple[datetime.date, str, float]:
    """A score as a form has it.

    Raises:
        InputError: with the field.
    """
    try:
        day = datetime.date.fromisoformat(given["day"])
    except ValueError:
        raise InputError("not a day", field="day", found=given["day"][:40], accepted="a day until today") from None
    value = fmt.parse_number(given["value"][:40], "value")
    kept.checked(day, given["outcome"], value, datetime.date.today())
    return day, given["outcome"], value


def _view(store: Session, request: Request, caller: Caller) -> dict[str, Any]:
    """Everything that the follow-up page shows."""
    patient, today, fmt = caller.patient_id, datetime.date.today(), locale_of(request)
    scores, plan = kept.scores_of(store, patient), kept.plan_followed(store, patient)
    person = store.get(Person, patient)
    assert person is not None
    alerts = [alert for _, alert in kept.open_alerts(store, Person.id == patient)]
    link = store.scalar(select(Link).where(Link.patient_id == patient, Link.revoked_at.is_(None),
                                           Link.expires_at > now()))
    told: dict[str, Any] = {
        "patient": patient, "person": person, "plan": plan, "today": today, "alerts": alerts, "patient_link": link,
        "first": what_first(store, patient, plan),
        "signs": _signs(), "unfolded": SHOWN,
        "scores": sorted(scores, key=lambda row: (row.day, row.outcome), reverse=True),
        "assessment": store.scalar(select(Assessment.id).where(Assessment.patient_id == patient)
                                   .order_by(Assessment.day.desc(), Assessment.created_at.desc()).limit(1)),
        "authors": names(store, [row.created_by for row in scores]), "errors": {},
        "given": {"day": today.isoformat(), "outcome": "NRS", "value": ""}, "outcomes": kept.OUTCOMES,
        "picture": None, "reviews": [], "stop": None, "last": None, "meaning": None,
        "runs": plan is not None and runs(plan, today)}
    if plan is None:
        return told
    pain = kept.pain_since(plan, scores)
    last = pain[-1] if pain else None
    treated = kept.days_treated(store, plan)
    reviews = due.reviews(plan.began, plan.review, treated, [one.day for one in pain], today)
    return told | {
        "picture": _picture(plan, pain, fmt, request), "treated": len(treated),
        "reviews": [(one, kept.pain_at(one, pain)) for one in reviews], "stop": kept.no_better(plan, scores),
        "last": last, "last_week": kept.week_of(plan, last.day) if last else None,
        "meaning": kept.meaning(plan, last, treated) if last else None,
        "week": kept.week_of(plan, today)}


def _picture(plan: Plan, pain: list[Score], fmt: Locale, request: Request) -> Any:
    rows = [row for row in plan.forecast if row["outcome"] == "NRS" and row["week"] <= FORECAST_WEEKS]
    points = [{"week": kept.weeks_of(plan, one.day), "value": one.value} for one in pain]
    if len(rows) < 2:
        return None
    return figures.followed(rows, points, texts(fmt.language)["figures"]["followed"], "followed",
                            [rule["week"] for rule in plan.review], number=fmt.number)


def _renewed(request: Request, plan: Plan, mapping: dict[str, Any], pain: list[Score]) -> dict[str, Any]:
    """The forecast from the last score on, under what is left of the plan, beside the one of the beginning."""
    engine, ago = request.app.state.engine, kept.week_of(plan, pain[-1].day)
    is_running = runs(plan, datetime.date.today())
    review = engine.review(mapping) if is_running else None
    rest = rest_of(plan_from(plan.sentences), ago)
    care = "ended" if not is_running else "runs" if rest.courses else "over"
    left = review["plan"] if review else sentences(rest) if care == "runs" else ["Nothing"]
    ahead = max(FORECAST_WEEKS - ago, 4)
    found = engine.forecast(mapping, left, weeks=list(range(ahead + 1)), draws=256)
    rows = [row for row in found["forecast"] if row["outcome"] == "NRS"]
    if not rows:
        return {"refused": _why_none(found["screening"], mapping)}
    then = {row["week"]: row for row in plan.forecast if row["outcome"] == "NRS"}
    beside = [{"week": week, "then": then[week], "now": row} for row in rows
              if (week := row["week"] + ago) in then and week > ago and week in (6, 12, 26)]
    points = [{"week": (one.day - pain[-1].day).days / 7, "value": one.value} for one in pain]
    return {"review": review, "beside": beside, "last": pain[-1], "ago": ago, "rows": rows, "points": points,
            "care": care, "words": report_texts()["course"]["figure"], "moved": bool(found["diagnostics"].get("moved"))}


def _why_none(screening: Mapping[str, Any], mapping: Mapping[str, Any]) -> list[str]:
    """Why no forecast is made: what screening found, or how the person differs from those who were studied."""
    if screening["status"] == "emergency":
        return [finding["text"] for finding in screening["findings"] if finding["kind"] == "emergency"]
    return list(applicability(check(mapping)).reasons)


def _signs() -> dict[str, str]:
    """What each emergency question asks for, in words."""
    return {row["id"]: row["sign"] for row in table("red_flags")["questions"] if row["action"] == "emergency"}


def _most(request: Request) -> str:
    return str(texts(locale_of(request).language)["followup"]["import"]["at_most"]).format(n=MOST_IMPORTED)


def _read_file(content: bytes) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    today = datetime.date.today()
    if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return imports.from_fhir(content, today)
    return imports.from_csv(content, today), []


def _sent_rows(text: str) -> list[dict[str, Any]]:
    """The rows of a preview, which come back from the browser and are checked again."""
    try:
        rows = json.loads(text)
        if not isinstance(rows, list) or len({(row["day"], row["outcome"]) for row in rows}) < len(rows):
            raise ValueError
        found = [{"day": datetime.date.fromisoformat(row["day"]), "outcome": row["outcome"],
                  "value": float(row["value"])} for row in rows]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError("not the rows that were shown", field="rows", accepted="read the file again") from None
    for row in found:
        kept.checked(row["day"], row["outcome"], row["value"], datetime.date.today())
    return found


def _sorted(store: Session, patient: str, rows: list[dict[str, Any]]
            ) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows that are new, those that are stored already, and those whose day has another score."""
    known = {(row.day, row.outcome): row.value for row in kept.scores_of(store, patient)}
    parts: tuple[list[dict[str, Any]], ...] = ([], [], [])
    for row in rows:
        stored = known.get((row["day"], row["outcome"]))
        parts[0 if stored is None else 1 if stored == row["value"] else 2].append(
            row if stored is None else row | {"stored": stored})
    return parts[0], parts[1], parts[2]


def _conflict(request: Request, store: Session, row: Score, given: Mapping[str, str], fmt: Locale) -> Response:
    words = texts(fmt.language)["followup"]
    labels = {name: words["fields"][name] for name in FIELDS}
    action = request.app.url_path_for("score_change", patient=row.patient_id, score=row.id)

    def before(content: Mapping[str, Any]) -> dict[str, str]:
        if not content:
            return {}
        return {"day": content["day"], "outcome": content["outcome"], "value": fmt.number(content["value"])}

    return merge(request, store, row, version_in(given), _shown(row, fmt), given, labels, before,
                 lambda name, value: "" if value is None else str(value), lambda name, value: str(value or ""),
                 str(action), str(request.app.url_path_for("followup", patient=row.patient_id)))


def _given(caller: Caller) -> dict[str, str]:
    return {name: str(caller.form.get(name, "")).strip() for name in (*FIELDS, "version")}


def _shown(row: Score, fmt: Locale) -> dict[str, str]:
    return {"day": row.day.isoformat(), "outcome": row.outcome, "value": fmt.number(row.value),
            "version": str(row.version)}


def _same(store: Session, patient: str, day: datetime.date, outcome: str) -> Score | None:
    return store.scalar(select(Score).where(Score.patient_id == patient, Score.day == day, Score.outcome == outcome))


def _by_field(error: InputError) -> dict[str, str]:
    return {str(error.field or "value"): str(InputError(error.message, found=error.found, accepted=error.accepted))}


def _back(request: Request, caller: Caller) -> Response:
    return RedirectResponse(request.app.url_path_for("followup", patient=caller.patient_id), 303)
