"""The assessment, one question per screen or all at once, and the screening that decides what may follow."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...consult.answers import understood
from ...consult.intake import answer_to, check, placed
from ...consult.questions import Question, questions, sections
from ...consult.rules import table
from ...consult.screening import Finding, screen
from ...consult.wording import texts as report_texts
from ...errors import InputError
from ...evidence import exists, fact
from .. import asking
from ..catalogue import texts
from ..guard import Refused, Store, Who, own
from ..page import locale_of, page
from ..store import assessments, patients, safety
from ..store.tables import Assessment, Entry, Person, Revision
from .options import case_in, get_ready
from .patients import the_person, today

router = APIRouter()
AT = "/patients/{patient}/assessments/{assessment}"
Id = Annotated[str, Path(max_length=32)]
NOW_DAYS = 7
"""An open assessment this old is gone on with; an older one is carried on in a new one."""
REST = ("conditions",)
"""Sections whose open questions may be answered with no at once."""


def _asked_for(question: Annotated[str, Path(max_length=60)]) -> Question:
    found = asking.the_question(question)
    if found is None:
        raise Refused(404, "no_page")
    return found


Each = Annotated[Question, Depends(_asked_for)]


@router.post("/patients/{patient}/assessments", name="assessment_new")
def new(request: Request, caller: Who, database: Store) -> Response:
    """Begins an assessment, or goes on with one of the last days that is open."""
    with database.write(caller) as store:
        person = the_person(store, caller)
        found = store.scalar(select(Assessment).where(
            Assessment.patient_id == person.id, Assessment.state == "open",
            Assessment.day > today() - datetime.timedelta(days=NOW_DAYS)).order_by(Assessment.day.desc()).limit(1))
        if found is None:
            found = assessments.begin(store, person, today(), caller.account)
            store.flush()
    if caller.form.get("mode") == "one" and (first := asking.next_after(found.answers, None)):
        return _to(request, found, "question", question=first.id)
    return _to(request, found, "assessment")


@router.get(AT, name="assessment")
def all_at_once(request: Request, assessment: Id, caller: Who, database: Store) -> Response:
    """All questions on a page, each of which saves itself."""
    with database.read() as store:
        found = own(store, caller, Assessment, assessment)
        carried = _carried(store, found)
    if safety.screened(found).status == "emergency":
        return _to(request, found, "screening")
    fmt = locale_of(request)
    asked = [asking.asked(found.answers, each, fmt, carried) for each in questions()]
    first = asking.next_after(found.answers, None)
    return page(request, "assessment/all.html.j2", **_headed(request, found), asked=asked, sections=sections(),
                first=first, rest=REST, progress=asking.progress(found.answers))


@router.get(AT + "/questions/{question}", name="question")
def one(request: Request, assessment: Id, each: Each, caller: Who, database: Store) -> Response:
    """One question, large."""
    with database.read() as store:
        found = own(store, caller, Assessment, assessment)
        carried = _carried(store, found)
    return _one(request, found, asking.asked(found.answers, each, locale_of(request), carried))


@router.post(AT + "/questions/{question}", name="answer")
def answer(request: Request, assessment: Id, each: Each, caller: Who, database: Store) -> Response:
    """Takes one answer in; says so if it cannot be, or if somebody else gave another one meanwhile."""
    fmt, words, value = locale_of(request), texts()["assessment"], None
    is_auto = "hx-request" in request.headers
    try:
        seen = asking.seen(caller.form)
        with database.write(caller) as store:
            found = own(store, caller, Assessment, assessment)
            earlier = found.answers
            value = understood(each, asking.read(caller.form, each, fmt))
            assessments.take(store, found, each, value, seen)
    except InputError as error:
        if error.field == "before":
            raise
        refusal = asking.refused(error, earlier, each, value, words)
        asked = asking.asked(earlier, each, fmt, sent=caller.form, refusal=refusal)
        if is_auto:
            return page(request, "assessment/_refused.html.j2", 422, **_about(found), asked=asked)
        return _one(request, found, asked, 422)
    except assessments.AnswerChanged as changed:
        return _conflict(request, database, found, each, seen, changed.theirs, placed(earlier, each, value))
    if safety.screened(found).status == "emergency":
        return _to(request, found, "screening", is_auto)
    if is_auto:
        moved = [asking.asked(found.answers, other, fmt) for other in asking.changed_dues(earlier, found.answers)]
        return page(request, "assessment/_answered.html.j2", **_about(found), moved=moved,
                    among_all=caller.form.get("go") == "all",
                    asked=asking.asked(found.answers, each, fmt), progress=asking.progress(found.answers))
    if caller.form.get("go") == "all":
        return _to(request, found, "assessment")
    following = asking.next_after(found.answers, each)
    return _to(request, found, "question", question=following.id) if following else _to(request, found, "screening")


@router.post(AT + "/rest", name="assessment_rest")
def rest(request: Request, assessment: Id, caller: Who, database: Store) -> Response:
    """Answers the open questions of one section with no."""
    section = str(caller.form.get("section", ""))
    if section not in REST:
        raise InputError("not for this section", field="section", accepted=", ".join(REST))
    with database.write(caller) as store:
        found = own(store, caller, Assessment, assessment)
        for each in questions():
            if each.section == section and each.type == "yes_no" and answer_to(found.answers, each) is None:
                assessments.take(store, found, each, False, None)
    return RedirectResponse(_url(request, found, "assessment") + f"#{section}", 303)


@router.get(AT + "/screening", name="screening")
def screening(request: Request, assessment: Id, caller: Who, database: Store) -> Response:
    """What screening found, what it forbids, and the next step; meanwhile that step is made ready."""
    with database.read() as store:
        of = case_in(store, caller, assessment)
    get_ready(request, of)
    return _screening(request, of.assessment)


@router.post(AT + "/cleared", name="screening_cleared")
def cleared(request: Request, assessment: Id, caller: Who, database: Store) -> Response:
    """Keeps the statement that a doctor has been asked."""
    form = {key: str(caller.form.get(key, "")).strip()[:500] for key in ("by", "day", "words")}
    shown = str(caller.form.get("findings", ""))[:2000].split()
    with database.write(caller) as store:
        found = own(store, caller, Assessment, assessment)
        problems = _problems(form, found.day)
        if problems:
            return _screening(request, found, 422, given=form, problems=problems)
        day = datetime.date.fromisoformat(form["day"])
        safety.state_cleared(found, safety.Statement(form["by"], day, form["words"]), caller.account,
                                  shown)
    return _to(request, found, "screening")


@router.post(AT + "/asked", name="screening_asked")
def asked_all(request: Request, assessment: Id, caller: Who, database: Store) -> Response:
    """Keeps the statement that the open questions were asked and the patient cannot say."""
    with database.write(caller) as store:
        found = own(store, caller, Assessment, assessment)
        safety.state_asked(found, caller.account, str(caller.form.get("questions", ""))[:2000].split())
    return _to(request, found, "screening")


@router.post(AT + "/finish", name="assessment_finish")
def finish(request: Request, assessment: Id, caller: Who, database: Store) -> Response:
    """Closes the assessment, and goes on to the options if they may be shown."""
    with database.write(caller) as store:
        found = own(store, caller, Assessment, assessment)
        clash = assessments.clashes(store, found)
        is_seen = _mark(clash) == str(caller.form.get("clash", ""))
        if is_seen:
            assessments.finish(store, found, caller.account, keep_stored=caller.form.get("score") == "stored")
    if not is_seen:
        return _screening(request, found, 409)
    if safety.open_to_options(found) is None:
        return _to(request, found, "options")
    return RedirectResponse(str(request.app.url_path_for("patient", patient=caller.patient_id)), 303)


def _mark(clash: Sequence[assessments.Clash]) -> str:
    """Stands for the scores that clash, as a page showed them."""
    return " ".join(f"{each.outcome}:{each.own:g}:{each.stored:g}" for each in clash)


def _carried(store: Session, found: Assessment) -> Mapping[str, Any] | None:
    """The answers that an assessment began with, taken over from an earlier one."""
    first = store.scalar(select(Revision).join(Entry, Entry.seq == Revision.seq).where(
        Entry.kind == "assessments", Entry.object_id == found.id, Entry.action == "created"))
    if first is None or first.content["state"] != "open":
        return None
    content: Mapping[str, Any] = first.content["answers"]
    return content


def _about(found: Assessment) -> dict[str, Any]:
    """What every page of an assessment shows."""
    return {"assessment": found, "ids": {"patient": found.patient_id, "assessment": found.id},
            "blocked": safety.open_to_options(found), "screening": safety.screened(found)}


def _headed(request: Request, found: Assessment) -> dict[str, Any]:
    """The same for a whole page, which says whose assessment it is."""
    with request.app.state.database.read() as store:
        return _about(found) | {"whose": store.get_one(Person, found.patient_id).name}


def _one(request: Request, found: Assessment, asked: asking.Asked, status: int = 200) -> Response:
    each = asked.question
    if safety.screened(found).status == "emergency" and not _explains(found, each):
        return _to(request, found, "screening")
    count = asking.progress(found.answers).get(each.section, (0, 0))
    return page(request, "assessment/one.html.j2", status, **_headed(request, found), asked=asked, sections=sections(),
                count=count, before=asking.before(found.answers, each), source=_cited(each.source),
                is_exact="exact" in request.query_params)


def _conflict(request: Request, database: Any, found: Assessment, each: Question, seen: Any, theirs: Any,
              mine: Mapping[str, Any]) -> HTMLResponse:
    words, my_answer = texts()["assessment"], answer_to(mine, each)
    with database.read() as store:
        who, when = patients.last_change(store, "assessments", found.id)
    row = {"name": "chosen", "label": each.text, "before": asking.shown(seen, each, words),
           "theirs": asking.shown(theirs, each, words), "mine": asking.shown(my_answer, each, words),
           "value_theirs": asking.as_sent(theirs), "value_mine": asking.as_sent(my_answer)}
    return page(request, "conflict.html.j2", 409, who_changed=who, when=when, fields=[row], version=found.version,
                kept={"before": asking.as_sent(theirs), "go": "all"}, back=_url(request, found, "assessment"),
                action=_url(request, found, "answer", question=each.id))


def _screening(request: Request, found: Assessment, status: int = 200, **form: Any) -> HTMLResponse:
    screened, cleared = safety.screened(found), (found.choices or {}).get("cleared")
    with request.app.state.database.read() as store:
        clash = assessments.clashes(store, found)
    causes = {each.id: _causes(found, each) for each in screened.findings if each.kind != "not_asked"}
    return page(request, "assessment/screening.html.j2", status, **{
        **_headed(request, found), "clash": clash, "mark": _mark(clash),
        "screening": screened, "causes": causes, "words": report_texts()["screening"],
        "cited": {each.id: _cited(each.source) for each in screened.findings}, "net": table("red_flags")["safety_net"],
        "forbidden": table("contraindications")["forbiddable"], "doctor": safety.doctor_first(found, screened),
        "open_grave": safety.not_asked(found, screened), "cleared": cleared,
        "cleared_day": cleared and locale_of(request).date(datetime.date.fromisoformat(cleared["day"])),
        "given": {"by": "", "day": today().isoformat(), "words": ""}, "problems": {},
        "question_ids": {each.id for each in questions()}, **form})


def _causes(found: Assessment, finding: Finding) -> list[Question]:
    """The questions whose answers lead to a finding: without one of them it would not be there."""
    given = (each for each in questions() if answer_to(found.answers, each) is not None)
    return [each for each in given if (finding.id, finding.kind) not in _found_without(found, each)]


def _found_without(found: Assessment, each: Question) -> set[tuple[str, str]]:
    try:
        return {(one.id, one.kind) for one in screen(check(placed(found.answers, each, None))).findings}
    except InputError:  # another answer rests on this one
        return {(one.id, one.kind) for one in safety.screened(found).findings}


def _explains(found: Assessment, each: Question) -> bool:
    """Whether an answer belongs to what makes an emergency, and so may be corrected."""
    return any(each in _causes(found, one) for one in safety.screened(found).findings)


def _problems(form: Mapping[str, str], first: datetime.date) -> dict[str, str]:
    words = texts()["assessment"]["screening"]["cleared"]
    found = {} if form["by"] else {"by": str(words["no_name"])}
    try:
        is_day = min(first, today()) <= datetime.date.fromisoformat(form["day"]) <= today()
    except ValueError:
        is_day = False
    return found if is_day else found | {"day": str(words["no_day"])}


def _cited(source: str) -> str:
    return fact(source).citation() if exists(source) else source


def _url(request: Request, found: Assessment, name: str, **more: str) -> str:
    return str(request.app.url_path_for(name, patient=found.patient_id, assessment=found.id, **more))


def _to(request: Request, found: Assessment, name: str, is_auto: bool = False, **more: str) -> Response:
    url = _url(request, found, name, **more)
    return Response(status_code=200, headers={"hx-redirect": url}) if is_auto else RedirectResponse(url, 303)
