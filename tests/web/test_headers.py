"""What surrounds every answer: headers, cookies, limits, TLS, and pages without anything inline."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.testclient import TestClient as Plain

from deqi.web.app import STATIC, create_app
from deqi.web.edges import LARGEST_BODY, POLICY
from deqi.web.store.database import Database

from .conftest import PASSWORD, World, enter
from .crawl import Page, attributes, path_of, read, route_of, ways
from .filled import FILL_IN, fill
from .stub import StubEngine

pytestmark = pytest.mark.parametrize("template", ["sqlite"], indirect=True, scope="session")
EXACT = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
         "form-action 'self'; manifest-src 'self'; base-uri 'none'; frame-ancestors 'none'")
PAPERS = {"report", "letter"}
"""Whole documents with a style of their own: they have a policy of their own, which lets no script run."""
EVERYWHERE = {"x-content-type-options": "nosniff", "x-frame-options": "DENY", "referrer-policy": "same-origin",
              "cross-origin-opener-policy": "same-origin", "cross-origin-resource-policy": "same-origin"}


def _pages(app: FastAPI, client: TestClient, database: Database, world: World) -> list[Page]:
    """All pages of the site, as a clinician and as an administrator see them, with refusals."""
    ids, found = FILL_IN | fill(database, world)["amy"], []
    for account in ("ann", "dan"):
        enter(client, database, world.people[account])
        found += [read(app, path, client.get(path)) for path in (
            path_of(way, ids) for way in ways(app) if way.method == "GET" and way.is_guarded)]
    found += [read(app, path, client.get(path)) for path in ("/nowhere", "/patients/0000")]
    client.cookies.clear()
    return [*found, read(app, "/login", client.get("/login"))]


@pytest.mark.slow  # every page of the site
def test_no_page_holds_script_or_style_and_every_answer_says_how_it_may_be_used(
        app: FastAPI, client: TestClient, database: Database, world: World) -> None:
    assert POLICY == EXACT
    pages = _pages(app, client, database, world)
    nothing_to_show = {"start", "first", "link_scores"}
    assert {page.route for page in pages if page.response.status_code == 200} >= {
        way.name for way in ways(app) if way.method == "GET" and way.is_guarded} - nothing_to_show
    for page in pages:
        told = f"{page.path} {page.response.status_code}"
        headers = page.response.headers
        assert page.response.status_code < 500, told
        assert {name: headers[name] for name in EVERYWHERE} == EVERYWHERE, told
        assert headers["cache-control"] == "no-store", told
        assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"]), told
        if page.route in PAPERS and page.response.status_code == 200:
            assert "script-src" not in headers["content-security-policy"], told
            assert "default-src 'none'" in headers["content-security-policy"], told
            assert "frame-ancestors 'none'" in headers["content-security-policy"], told
            continue
        assert headers["content-security-policy"] == EXACT, told
        assert "server" not in headers and "x-powered-by" not in headers, told
        for tag in page.soup.find_all(True) if page.soup is not None else ():
            given = attributes(tag)
            assert not (tag.name == "script" and ("src" not in given or tag.string)), told
            assert tag.name not in ("style", "iframe", "object", "embed", "base", "applet"), told
            assert not [name for name in given if name == "style" or re.match("on|hx-on", name)], f"{told}: {tag}"
            assert not [value for value in given.values() if value.strip().lower().startswith("javascript:")], told
            if tag.name in ("script", "link", "img", "source") or "src" in given:
                assert given.get("src", given.get("href", "")).startswith("/static/"), f"{told}: {tag}"


def test_what_is_typed_is_shown_as_text(app: FastAPI, client: TestClient, database: Database, world: World) -> None:
    csrf = enter(client, database, world.people["ann"])
    evil = "\"><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 191 }}' \u2028"
    made = client.post("/patients/new", data={"csrf": csrf, "name": evil, "contact": evil})
    assert made.status_code == 303, made.text
    pages = [made.headers["location"], "/patients", made.headers["location"] + "/edit"]
    for page in [client.get(path) for path in pages] + [client.post("/login", data={"login": evil, "password": "x"})]:
        assert "<script>alert" not in page.text and "<img src=x" not in page.text and "1337" not in page.text
    assert "&lt;script&gt;alert(1)" in client.get(pages[0]).text


@pytest.fixture
def behind_tls(world: World) -> Iterator[tuple[TestClient, FastAPI]]:
    """A server that a proxy with TLS stands before."""
    settings = dataclasses.replace(world.settings, public_url="https://clinic.example")
    app = create_app(settings, StubEngine())  # type: ignore[arg-type]  # the stub is no Engine
    with TestClient(app, base_url="https://clinic.example", follow_redirects=False) as client:
        yield client, app
    app.state.database.close()


def test_behind_tls_nothing_goes_in_the_clear(behind_tls: tuple[TestClient, FastAPI]) -> None:
    client, app = behind_tls
    answer = client.post("/login", data={"login": "ann", "password": PASSWORD})
    assert answer.status_code == 303
    assert answer.headers["strict-transport-security"] == "max-age=63072000; includeSubDomains"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-deqi=") and "domain" not in cookie.lower()
    assert {"Secure", "HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    plain = Plain(app, base_url="http://clinic.example", follow_redirects=False)
    assert plain.get("/login").status_code == 403
    assert plain.post("/login", data={"login": "ann", "password": PASSWORD}).status_code == 403
    assert plain.get("/health").status_code == 200


def test_a_cookie_is_for_this_host_and_hidden_from_scripts(client: TestClient) -> None:
    cookie = client.post("/login", data={"login": "ann", "password": PASSWORD}).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert len(cookie.partition("=")[2].partition(";")[0]) >= 43, "256 bits"


def test_each_sign_in_begins_a_session_of_its_own(client: TestClient) -> None:
    client.cookies.set("deqi", "chosen-by-somebody-else")
    made = {client.post("/login", data={"login": "ann", "password": PASSWORD}).cookies["deqi"] for _ in range(3)}
    assert len(made) == 3 and "chosen-by-somebody-else" not in made


@pytest.mark.parametrize("host", ["elsewhere.example", "127.0.0.1.elsewhere.example", "localhost.", ""])
def test_other_host_names_are_refused(client: TestClient, host: str) -> None:
    assert client.get("/login", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("path", ["/login", "/api/v1/screen"])
def test_too_much_is_refused_whether_it_is_announced_or_not(client: TestClient, path: str) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(LARGEST_BODY // 1_000_000 + 1):
            yield b"x" * 1_000_000

    kind = {"content-type": "application/x-www-form-urlencoded" if path == "/login" else "application/json"}
    assert client.post(path, content=b"x" * (LARGEST_BODY + 1), headers=kind).status_code == 413
    assert client.post(path, content=pieces(), headers=kind).status_code == 413
    assert client.get("/health", headers={"content-length": "-1"}).status_code == 413


def test_a_method_cannot_be_passed_off_as_another(app: FastAPI, client: TestClient, database: Database, world: World
                                                  ) -> None:
    csrf = enter(client, database, world.people["ann"])
    for override in ("x-http-method-override", "x-method-override", "x-http-method"):
        assert client.get("/logout", headers={override: "POST", "x-csrf-token": csrf}).status_code == 405
    assert client.post("/account?_method=GET", data={"_method": "GET"}).status_code == 403
    for method in ("PUT", "DELETE", "TRACE", "PATCH", "OPTIONS", "CONNECT", "PROPFIND"):
        assert client.request(method, "/account", headers={"x-csrf-token": csrf}).status_code == 405, method
    assert client.get("/account").status_code == 200


def test_no_other_site_may_read_answers(client: TestClient) -> None:
    for origin in ("https://elsewhere.example", "null", "http://[::1", "http://127.0.0.1"):
        answer = client.get("/login", headers={"origin": origin})
        assert answer.status_code == 200 and "access-control-allow-origin" not in answer.headers
    assert client.post("/login", data={"login": "x"}, headers={"origin": "http://[::1"}).status_code == 403


def test_only_the_files_meant_for_it_are_served(client: TestClient) -> None:
    for path in ("/static/", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static//etc/passwd",
                 "/static/app.css.map", "/static/LICENSES.md%00.css", "/.git/config", "/static/.htaccess",
                 "/openapi.json", "/docs", "/redoc"):
        assert client.get(path).status_code in (400, 404), path
    assert client.get("/static/app.css").headers["content-type"].startswith("text/css")


def test_what_programs_get_is_never_shown_as_a_page(app: FastAPI, client: TestClient) -> None:
    answer = client.get("/api/v1/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert route_of(app, "/api/v1/openapi.json") == "api_schema"


def test_nothing_of_another_machine_is_named_in_what_is_served(client: TestClient) -> None:
    for file in sorted(STATIC.iterdir()):
        text = client.get(f"/static/{file.name}").text if file.suffix in (".css", ".js", ".svg") else ""
        found = re.findall(r"(?:src|href|action|url\(|import|fetch\()\W{0,3}(?:https?:)?//[\w.-]+", text)
        assert not found, f"{file.name}: {found}"
