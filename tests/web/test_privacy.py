"""Nothing about a patient in logs, addresses or plain bytes, after a walk through every page and every form."""

from __future__ import annotations

import datetime
import logging
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from bs4 import Tag
from fastapi import FastAPI
from fastapi.testclient import TestClient

from deqi.web import accounts
from deqi.web.rooms import login
from deqi.web.store.database import Database

from .conftest import PASSWORD, World
from .crawl import Page, addresses, attributes, crawl, path_of, read, route_of, ways
from .filled import FILL_IN, LINK_CODE, SCORES, WORDS, fill, token_of

pytestmark = pytest.mark.parametrize("template", ["sqlite"], indirect=True, scope="session")
TYPED, CLERK = "zebrafinch", "clerkword"
"""What the walk types into forms about patients, and into those about accounts, whose words are stored as they are."""
ABOUT_ACCOUNTS = ("/account", "/login", "/first")
LATER = {"logout", "patient_erased", "password_changed", "sessions_ended", "token_revoke", "link_revoke", "plan_end",
         "score_delete", "treatment_delete"}
"""Forms that take away what others need; sent last, and signing out not at all."""
QUERIES = {"week": r"\d{1,2}", "before": r"\d{1,9}", "after": r"\d{1,9}", "page": r"\d{1,6}"}
"""What may stand behind a question mark: a place in a list."""


def _filled(form: Tag, way: str) -> dict[str, Any]:
    """What a person might send with a form: each field of it, with marks where there are words."""
    words = CLERK if way.startswith(ABOUT_ACCOUNTS) else TYPED
    sent: dict[str, Any] = {}
    for field in form.find_all(["input", "textarea", "select", "button"]):
        given = attributes(field)
        name, kind = given.get("name"), given.get("type", "text")
        if not name or kind == "file":
            continue
        if field.name == "select":
            options = [attributes(option).get("value", "") for option in field.find_all("option")]
            sent[name] = next((value for value in options if value), "")
        elif field.name == "button":
            sent.setdefault(name, given.get("value", ""))
        elif kind in ("hidden", "range"):
            sent[name] = given.get("value", "")
        elif kind == "radio":
            if "checked" in given or ("required" in given and name not in sent):
                sent[name] = given.get("value", "")
        elif kind == "checkbox":
            if "checked" in given or "required" in given:
                sent.setdefault(name, []).append(given.get("value", ""))
        elif kind == "date":
            sent[name] = datetime.date.today().isoformat()
        elif kind == "password":
            sent[name] = PASSWORD
        elif given.get("inputmode") in ("decimal", "numeric"):
            sent[name] = given.get("value") or (str(SCORES["NRS"]) if "required" in given else "")
        else:
            sent[name] = given.get("value") or f"{words} {name}"
    return sent


def _forms(pages: list[Page]) -> Iterator[tuple[str, Tag]]:
    for page in pages:
        for form in page.soup.find_all("form") if page.soup is not None else ():
            yield attributes(form).get("action", page.path), form


def _send_all(app: FastAPI, client: TestClient, pages: list[Page]) -> list[Page]:
    """Send every form of the pages, of each route twice, and read what follows."""
    found, times = list[Page](), Counter[str]()
    waiting = sorted(_forms(pages), key=lambda row: route_of(app, row[0], "POST") in LATER)
    for action, form in waiting:
        route = route_of(app, action, "POST")
        times[route] += 1
        if times[route] > 2 or route in ("logout", "login_try"):
            continue
        answer = read(app, action, client.post(action, data=_filled(form, action)))
        found.append(answer)
        if "location" in answer.response.headers:
            target = answer.response.headers["location"]
            found.append(read(app, target, client.get(target)))
    return found


@pytest.mark.slow  # every page and every form: what no smaller test shows
def test_a_full_run_leaves_no_trace_of_a_patient_outside_the_records(
        app: FastAPI, client: TestClient, database: Database, world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for quiet in ("sqlalchemy", "asyncio"):  # below a warning never switched on: `serve` has no setting for it
        logging.getLogger(quiet).setLevel(logging.WARNING)
    ids = FILL_IN | fill(database, world)["amy"]
    token = token_of(database, world.people["ann"], *accounts.SCOPES)
    caplog.clear()
    pages = [read(app, "/login", client.post("/login", data={"login": "ann", "password": guess}))
             for guess in (f"{TYPED} wrong password", PASSWORD)]
    cookie = client.cookies["deqi"]
    walked = crawl(app, client) + [read(app, path, client.get(path)) for path in (
        path_of(way, ids) for way in ways(app) if way.method == "GET" and way.is_guarded)]
    csrf = {"x-csrf-token": _csrf(client)}
    pages += [read(app, "/patients/find", client.post("/patients/find", data={"words": WORDS["name"]}, headers=csrf))]
    pages += _as_a_program(app, client, ids, token) + _as_a_patient(app, client, ids)
    client.cookies.set("deqi", cookie)
    pages += walked + _send_all(app, client, walked)
    sent = {page.route for page in pages if page.response.request.method != "GET" and page.response.status_code < 400}
    assert len(sent) >= 25, sorted(sent)

    secrets = [token, cookie, csrf["x-csrf-token"], PASSWORD, LINK_CODE]
    marks = [*WORDS.values(), TYPED, *(str(value) for value in SCORES.values()), *secrets]
    _not_in_logs(caplog, [*marks, CLERK, *ids["patient"].split()])
    _not_in_addresses(pages, [*marks, CLERK])
    _not_in_files(world, [*WORDS.values(), TYPED, token, cookie, PASSWORD, LINK_CODE])
    for page in pages:
        assert "set-cookie" not in page.response.headers or not any(
            mark in page.response.headers["set-cookie"] for mark in marks[:len(WORDS) + 1]), page.path
        assert not any(mark in page.response.headers.get("content-disposition", "") for mark in marks), page.path
        title = page.soup.title.get_text() if page.soup is not None and page.soup.title else ""
        assert not any(mark in title for mark in marks), f"{page.path}: a title stays in a browser's history: {title}"


def _csrf(client: TestClient) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/account").text)
    assert found
    return found[1]


def _as_a_patient(app: FastAPI, client: TestClient, ids: dict[str, str]) -> list[Page]:
    """A patient with the code of a link tells a score, words, and a warning sign."""
    door = f"/p/{ids['link']}"
    entered = read(app, door, client.post(door, data={"code": LINK_CODE}))
    pages = [read(app, door, client.get(door)), entered]
    inside = read(app, f"{door}/scores", client.get(f"{door}/scores"))
    return [*pages, inside, *_send_all(app, client, [inside])]


def _as_a_program(app: FastAPI, client: TestClient, ids: dict[str, str], token: str) -> list[Page]:
    client.cookies.clear()
    bearer = {"authorization": f"Bearer {token}", "if-match": '"1"'}
    score = {"day": "2026-03-09", "outcome": "NRS", "value": SCORES["NRS"]}
    event = {"day": "2026-03-09", "details": {"kind": "other", "severity": "mild", "treated": "no",
                                              "relation": "possible", "outcome": "recovered", "words": TYPED}}
    bodies = {"api_score_add": score, "api_event_add": event, "api_screen": {"patient": {"name": TYPED}},
              "api_consult": {"patient": {"goals": {"words": TYPED}, "pain": {"week_average": TYPED}}}}
    found = []
    for way in ways(app):
        if way.path.startswith("/api/"):
            path = path_of(way, ids)
            body = {} if way.is_safe else {"json": bodies.get(way.name, {TYPED: TYPED})}
            found.append(read(app, path, client.request(way.method, path, headers=bearer, **body)))
    return found


def _not_in_logs(caplog: pytest.LogCaptureFixture, marks: list[str]) -> None:
    told = [f"{record.name} {record.getMessage()} {record.exc_text or ''} {record.exc_info or ''}"
            for record in caplog.records if record.name not in ("httpx", "httpcore")]
    assert sum(line.startswith("deqi.web") for line in told) > 100, "requests are logged"
    found = [line for line in told if any(mark in line for mark in marks)]
    assert not found, "\n".join(found[:5])


def _not_in_addresses(pages: list[Page], marks: list[str]) -> None:
    for page in pages:
        told = [("asked", page.path), *addresses(page)]
        told += [(name, page.response.headers.get(name, "")) for name in (
            "location", "hx-redirect", "hx-push-url", "hx-replace-url", "content-location", "link")]
        for name, address in told:
            assert not any(mark in address for mark in marks), f"{page.path}: {name} {address}"
            parts = urlsplit(address)
            if not parts.path.startswith("/static/"):
                for key, value in parse_qsl(parts.query, keep_blank_values=True):
                    assert re.fullmatch(QUERIES.get(key, "(?!)"), value), f"{page.path}: {name} {address}"
        for form in page.soup.find_all("form") if page.soup is not None else ():
            assert attributes(form).get("method", "get").lower() == "post", f"{page.path}: {form}"


def _not_in_files(world: World, marks: list[str]) -> None:
    files = [file for file in world.settings.data.rglob("*") if file.is_file()]
    assert any(file.name == "deqi.sqlite" for file in files)
    for file in files:
        content = file.read_bytes()
        found = [mark for mark in marks if mark.encode() in content or mark.encode("utf-16-le") in content]
        assert not found, f"{file.name}: {found}"


def test_a_fault_tells_neither_the_log_nor_the_page_what_was_typed(
        client: TestClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(database: object, name: str, password: str, request: str) -> str:
        raise RuntimeError(f"{name} {password}")

    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(login, "sign_in", fails)
    answer = client.post("/login", data={"login": TYPED, "password": f"{TYPED} too"})
    assert answer.status_code == 500 and TYPED not in answer.text
    assert answer.headers["x-request-id"] in answer.text
    faults = [record.getMessage() for record in caplog.records if "fault" in record.getMessage()]
    assert len(faults) == 1 and answer.headers["x-request-id"] in faults[0] and "RuntimeError" in faults[0]
    assert TYPED not in caplog.text


def test_a_store_that_fails_tells_nothing_of_the_row(client: TestClient, database: Database, world: World,
                                                     caplog: pytest.LogCaptureFixture) -> None:
    from sqlalchemy import text

    from .conftest import enter

    csrf = enter(client, database, world.people["ann"])
    with database.engine.begin() as connection:
        connection.execute(text("DROP TABLE revisions"))
    caplog.set_level(logging.DEBUG, "deqi")
    answer = client.post("/patients/new", data={"csrf": csrf, "name": TYPED})
    assert answer.status_code == 503 and TYPED not in answer.text and TYPED not in caplog.text
