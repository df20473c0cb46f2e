"""Who may do what: every method of every route, for every kind of caller, on their own record and on another's."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient
from httpx import Response
from starlette.datastructures import FormData

from deqi.tables import shipped
from deqi.web import guard as guarding
from deqi.web import settings as web
from deqi.web.app import create_app
from deqi.web.store.audit import Actor
from deqi.web.store.database import Database
from deqi.web.store.tables import Token

from .conftest import ROLES, World
from .crawl import Way, path_of, ways
from .filled import FILL_IN, browsers, fill, token_of
from .stub import StubEngine

pytestmark = pytest.mark.parametrize("template", ["sqlite"], indirect=True, scope="session")
RULES: dict[str, dict[str, Any]] = shipped(Path(web.__file__).with_name("permissions.yaml"))
SCOPES = ("compute", "records:read", "records:write")
OPEN_PATHS = {"/static/consult.css", "/static"}
"""Answered before the guard: files that are the same for everybody."""
KEEPS = {"tailored": {"consultations", "revisions", "audit"}, "api_patients": {"audit"}, "api_bundle": {"audit"}}
"""What a GET may add to: `tailored` keeps the proposal that a POST asked for, once it is there; that records were
listed or handed out whole is noted each time."""
SCORE = {"day": "2026-03-09", "outcome": "NRS", "value": 5}
SESSION = {"stimulation": "manual", "retention_minutes": 30}
EVENT = {"kind": "bleeding", "severity": "mild", "treated": "no", "relation": "possible", "outcome": "recovered"}
SLIDERS = {"needles": "manual", "sessions": "8", "per_week": "1", "minutes": "30", "points": "both"}
BODIES: dict[str, dict[str, Any]] = {
    "alert_done": {"done": "seen"}, "answer": {"answer": "no", "before": "null"},
    "assessment_rest": {"section": "conditions"}, "options_try": SLIDERS, "options_keep": SLIDERS,
    "api_score_change": SCORE,
    "api_treatment_change": {"day": "2026-03-09", "details": SESSION},
    "api_event_change": {"day": "2026-03-09", "details": EVENT},
    "screening_cleared": {"by": "a doctor", "day": "2026-03-09", "words": "no more"}}
"""What is sent where a handler reads what was sent before it looks for the row."""


@dataclass(frozen=True)
class Caller:
    """Somebody who asks.

    Attributes:
        told: in a failure.
        who: account by short name; "" for nobody.
        headers: that prove it.
        csrf: the token of forms.
        scopes: of a program's token; None for a browser.
    """

    told: str
    who: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    csrf: str = ""
    scopes: frozenset[str] | None = None


@dataclass
class Site:
    """A server with a filled store that can be put back, and a note of what the guard decided."""

    app: FastAPI
    client: TestClient
    world: World
    records: dict[str, dict[str, str]]
    callers: list[Caller]
    passed: list[bool]
    live: sqlite3.Connection
    before: sqlite3.Connection

    def ask(self, way: Way, caller: Caller, record: str, *, nested: str = "", headers: Mapping[str, str] | None = None,
            csrf: str | None = None) -> Response:
        """Send one request; `nested` names the patient whose ids stand behind the patient's own."""
        told = {**self.records[record], **FILL_IN}
        if nested:
            told |= {key: value for key, value in self.records[nested].items() if key != "patient"}
        path = path_of(way, told)
        form = caller.csrf if csrf is None else csrf
        sent: dict[str, Any] = {}
        body = BODIES.get(way.name, {})
        if not way.is_safe:
            sent = {"json": body} if way.path.startswith("/api/") else {"data": {**body, "csrf": form}}
        self.passed.clear()
        self.app.state.tries.storage.reset()
        self.client.cookies.clear()
        return self.client.request(way.method, path, headers={
            "if-match": '"1"', **caller.headers, **({"x-csrf-token": form} if form else {}), **(headers or {})}, **sent)

    def version(self) -> int:
        """A number that changes with every change of the store by somebody else."""
        return int(self.live.execute("PRAGMA data_version").fetchone()[0])

    def changes(self) -> dict[str, set[Any]]:
        """Rows that are not as they were, by table; what was noted as viewed does not count."""
        tables = [row[0] for row in self.before.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {"practice": "id, version, name, locale"}  # the seal of the trail beside does not count
        found = {table: set(self.live.execute(f"SELECT {columns.get(table, '*')} FROM {table}")) ^ set(
            self.before.execute(f"SELECT {columns.get(table, '*')} FROM {table}")) for table in tables}
        found["audit"] = {row for row in found["audit"] if "viewed" not in row}
        return {table: rows for table, rows in found.items() if rows}

    def put_back(self) -> None:
        """Let the store be as it was."""
        self.before.backup(self.live)


@pytest.fixture(scope="module")
def site(template: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The server."""
    folder = tmp_path_factory.mktemp("matrix")
    shutil.copy(template.settings.data / "deqi.sqlite", folder / "deqi.sqlite")
    world = replace(template, settings=replace(template.settings, data=folder,
                                               database=f"sqlite:///{folder / 'deqi.sqlite'}"))
    app = create_app(world.settings, StubEngine())  # type: ignore[arg-type]  # the stub is no Engine
    database: Database = app.state.database
    records = fill(database, world)
    callers = list(_callers(database, world))
    passed: list[bool] = []

    def watched(request: Request, form: Annotated[FormData, Depends(guarding.form_of)]) -> None:
        guarding.guard(request, form)
        passed.append(True)

    app.dependency_overrides[guarding.guard] = watched
    with sqlite3.connect(folder / "deqi.sqlite", isolation_level=None) as live:
        before = sqlite3.connect(":memory:")
        live.backup(before)
        with TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) as client:
            yield Site(app, client, world, records, callers, passed, live, before)
    live.close()
    database.close()


def _callers(database: Database, world: World) -> Iterator[Caller]:
    yield Caller("nobody")
    for name, (cookie, csrf) in browsers(database, world).items():
        yield Caller(f"{name}'s browser", name, {"cookie": f"deqi={cookie}"}, csrf)
    for name in ("ann", "cas", "dan"):
        for scope in SCOPES:
            secret = token_of(database, world.people[name], "compute")
            with database.write(Actor()) as store:  # also what the account page would not give
                token = store.query(Token).filter(Token.label == "test", Token.scopes == "compute").one()
                token.label, token.scopes = f"{name} {scope}", scope
            yield Caller(f"{name}'s token for {scope}", name, {"authorization": f"Bearer {secret}"},
                         scopes=frozenset({scope}))


def _verdict(way: Way, caller: Caller, record: str) -> str:
    """What `permissions.yaml` says: ok, or why not, read without the guard's own code."""
    rule = RULES[way.name]
    if "anyone" in rule["who"]:
        return "ok"
    if not caller.who:
        return "sign in"
    if caller.scopes is not None and rule.get("scope") not in caller.scopes:
        return "forbidden"
    if not set(rule["who"]) & set(ROLES[caller.who]):
        return "forbidden"
    own = {"amy": {"ann", "cas"}, "ben": {"bob"}}[record]
    return "no record" if rule.get("record") and caller.who not in own else "ok"


def _is_refusal(response: Response, verdict: str, way: Way) -> bool:
    if verdict == "sign in" and not way.path.startswith("/api/"):
        return response.status_code == 303 and response.headers["location"] == "/login"
    return response.status_code == {"sign in": 401, "forbidden": 403, "no record": 404}[verdict]


def _cells(site: Site, wanted: Callable[[Way], bool] = lambda way: True) -> Iterator[tuple[Way, str]]:
    for way in ways(site.app):
        if way.is_guarded and wanted(way):
            for record in ("amy", "ben") if "patient" in way.parameters else ("amy",):
                yield way, record


def _asking(site: Site, way: Way) -> list[Caller]:
    """Everybody, but of tokens only one where no token is taken: it is refused for that alone."""
    tokens = [caller for caller in site.callers if caller.scopes is not None]
    taken = tokens if RULES[way.name].get("scope") or "anyone" in RULES[way.name]["who"] else tokens[:1]
    return [caller for caller in site.callers if caller.scopes is None] + taken


def _first_allowed(site: Site, way: Way, record: str) -> Caller:
    """A browser that may, or nobody where anyone may."""
    return next(caller for caller in site.callers if caller.scopes is None and _verdict(way, caller, record) == "ok")


def test_every_route_has_a_rule_and_every_rule_a_route(site: Site) -> None:
    found = ways(site.app)
    assert {way.path for way in found if not way.is_guarded} <= OPEN_PATHS
    names = [way.name for way in found if way.is_guarded]
    assert set(names) == set(RULES)
    assert len(names) == len(set(names)), "one name, one method: a rule is about one thing"


def test_a_route_about_a_patient_checks_the_record(site: Site) -> None:
    for way in ways(site.app):
        if way.is_guarded and ("patient" in way.parameters) != bool(RULES[way.name].get("record")):
            pytest.fail(f"{way.path}: {{patient}} in the path and record: true in the rule go together")
        if way.is_guarded and way.path.startswith("/api/") and "anyone" not in RULES[way.name]["who"]:
            assert RULES[way.name].get("scope") in SCOPES, way.path


def test_everybody_may_do_what_the_table_says_and_nothing_else(site: Site) -> None:
    wrong = []
    for way, record in _cells(site):
        for caller in _asking(site, way):
            verdict, version = _verdict(way, caller, record), site.version()
            if record == "ben" and verdict in ("sign in", "forbidden"):
                continue  # refused whatever the record, as for the other one
            response = site.ask(way, caller, record)
            told = f"{way.method} {way.path} ({record}) by {caller.told}: {response.status_code}, expected {verdict}"
            if bool(site.passed) != (verdict == "ok"):
                wrong.append(told)
            if verdict != "ok" and not _is_refusal(response, verdict, way):
                wrong.append(told)
            if response.status_code == 500 or (verdict == "ok" and response.status_code == 401
                                               and "anyone" not in RULES[way.name]["who"]):
                wrong.append(told)
            if site.version() != version:
                if verdict != "ok":
                    wrong.append(f"{told}; and the store changed")
                elif way.is_safe and set(site.changes()) - KEEPS.get(way.name, set()):
                    wrong.append(f"{told}; a {way.method} changed {sorted(site.changes())}")
                site.put_back()
    assert not wrong, "\n".join(wrong)


def test_what_may_be_read_is_there(site: Site) -> None:
    """The ids are real: what the matrix calls allowed is answered, so that a refusal is no accident."""
    missing = {way.name for way in ways(site.app) if way.name in ("first", "link_scores")}
    for way, record in _cells(site, lambda way: way.is_safe and way.name not in missing):
        if record == "amy":
            response = site.ask(way, _first_allowed(site, way, record), record)
            assert response.status_code < 400 or response.status_code == 409, f"{way.path}: {response.status_code}"
    site.put_back()


def test_ids_of_another_record_are_not_found_under_ones_own(site: Site) -> None:
    ann = next(caller for caller in site.callers if caller.told == "ann's browser")
    wrong = []
    for way, record in _cells(site, lambda way: bool(set(way.parameters) - {"patient", "account", *FILL_IN})):
        if record != "amy" or _verdict(way, ann, "amy") != "ok" or "anyone" in RULES[way.name]["who"]:
            continue
        response = site.ask(way, ann, "amy", nested="ben")
        if response.status_code != 404 or site.changes():
            wrong.append(f"{way.method} {way.path}: {response.status_code}, changed {sorted(site.changes())}")
        site.put_back()
    assert not wrong, "\n".join(wrong)


def test_forms_from_elsewhere_are_refused(site: Site) -> None:
    foreign = ({"origin": "https://elsewhere.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"},
               {"sec-fetch-site": "same-site"})
    bob = next(caller for caller in site.callers if caller.told == "bob's browser")
    for way, record in _cells(site, lambda way: not way.is_safe):
        if record != "amy":
            continue
        caller, version = _first_allowed(site, way, record), site.version()
        for headers in foreign:
            assert site.ask(way, caller, record, headers=headers).status_code == 403, f"{way.path} {headers}"
        if "anyone" not in RULES[way.name]["who"]:
            for csrf in ("", "wrong", bob.csrf if caller.who != "bob" else "wrong"):
                assert site.ask(way, caller, record, csrf=csrf).status_code == 403, f"{way.path} {csrf!r}"
        assert site.version() == version, way.path
