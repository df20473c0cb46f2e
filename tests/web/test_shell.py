"""The shell of every page: what it shows to whom, what it never holds, and what its script does in a browser."""

from __future__ import annotations

import hashlib
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from fastapi.testclient import TestClient
from jinja2 import nodes
from playwright.sync_api import expect, sync_playwright

from deqi.web import page as pages
from deqi.web.app import REPORT_STYLE
from deqi.web.edges import POLICY
from deqi.web.page import environment, page, render

WEB = Path(pages.__file__).parent
TEMPLATES = sorted(WEB.glob("templates/**/*.j2"))
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ANN = {"account": "1", "name": "Ann <Example>", "roles": frozenset({"clinician"}), "locale": "de-DE", "csrf": 'a"<b'}
CLASH = [{"name": "pain", "label": "Pain", "before": "6", "theirs": "6", "mine": "5"},
         {"name": "drugs", "label": "Drugs", "before": "none", "theirs": "ibuprofen", "mine": ""},
         {"name": "work", "label": "Work", "before": "none", "theirs": "desk", "mine": "none"}]


def application(caller: Mapping[str, Any] | None) -> FastAPI:
    """A server of every part and no store; it counts what is saved and sent."""
    app = FastAPI()
    app.state.saved, app.state.sent, app.state.broken, app.state.pause = [], [], False, 0.0

    @app.middleware("http")
    async def dress(request: Request, call_next: Any) -> Response:
        request.state.caller = SimpleNamespace(**caller) if caller else None
        response: Response = await call_next(request)
        response.headers["content-security-policy"] = POLICY
        return response

    @app.get("/", name="patients")
    def every(request: Request) -> Response:
        return page(request, "every.html.j2", errors={"pain": "found 12"})

    @app.get("/accounts", name="accounts")
    def ask(request: Request) -> Response:
        return page(request, "ask.html.j2")

    @app.get("/fail")
    def fail(request: Request) -> Response:
        return page(request, "error.html.j2", 503, detail="The store is locked.")

    @app.get("/text")
    def text() -> Response:
        return Response("<b>Too large</b>", 413, media_type="text/plain")

    @app.api_route("/clash", methods=["GET", "POST"])
    def clash(request: Request) -> Response:
        return page(request, "conflict.html.j2", 409, fields=CLASH, who_changed="Bob", when=None, version=7,
                    action="/next", back="/", kept={"question": "pain"})

    @app.get("/piece")
    def piece(request: Request) -> Response:
        return page(request, "_piece.html.j2", words="Piece")

    @app.post("/save")
    async def save(request: Request) -> Response:
        form = await request.form()
        if app.state.broken:
            return page(request, "error.html.j2", 503)
        time.sleep(app.state.pause)
        app.state.saved.append((form["version"], form["nrs"], request.headers.get("x-csrf-token")))
        return Response(render(request, "_saved.html.j2", version=len(app.state.saved) + 1), media_type="text/html")

    @app.post("/next")
    async def following(request: Request) -> Response:
        form = await request.form()
        app.state.sent.append((form["version"], form["nrs"]))
        return page(request, "ask.html.j2")

    @app.get("/static/consult.css")
    def style() -> Response:
        return Response(REPORT_STYLE.read_text(encoding="utf-8"), media_type="text/css")

    app.mount("/static", StaticFiles(directory=WEB / "static"))
    return app


@pytest.fixture(autouse=True, scope="module")
def templates() -> Iterator[None]:
    """The pages of this file beside the real ones."""
    real, own = environment().loader, jinja2.FileSystemLoader(Path(__file__).with_name("shell"))
    assert real is not None
    environment().loader = jinja2.ChoiceLoader([real, own])
    yield
    environment().loader = real


def shown(caller: Mapping[str, Any] | None, path: str = "/") -> str:
    if caller is None:
        caller = {**ANN, "account": "", "csrf": ""}
    return TestClient(application(caller)).get(path).text


def test_the_way_about_shows_what_exists_and_what_one_may() -> None:
    assert re.findall(r'<li><a href="([^"]+)"[^>]*>(\w+)</a></li>', shown(ANN).split("</header>")[0]) == [
        ("/", "Patients")]
    admin = {**ANN, "roles": frozenset({"admin"})}
    assert 'href="/accounts"' in shown(admin) and 'href="/accounts"' not in shown(ANN)
    assert 'href="/" aria-current="page"' in shown(ANN) and 'href="/" aria-current' not in shown(admin, "/accounts")
    assert "<nav" not in shown(None, "/accounts")


def test_what_comes_from_people_is_escaped() -> None:
    html = shown(ANN)
    assert "Ann &lt;Example&gt;" in html and "Ann <Example>" not in html and 'value="a&#34;&lt;b"' in html
    assert r"""hx-headers='{"X-CSRF-Token": "a\"\u003cb"}'""" in html


def test_language_and_decimals_are_the_callers() -> None:
    html = shown(ANN)
    assert '<html lang="en" data-locale="en-DE">' in html and "3,5 days" in html and "6,5" in html
    british = shown({**ANN, "locale": "en-GB"})
    assert "3.5 days" in british
    assert 'value="3.5"' in html  # what the browser computes with has a point everywhere


def test_every_page_says_what_deqi_is() -> None:
    for path in ("/", "/accounts", "/fail", "/clash"):
        foot = shown(ANN, path).split("<footer")[1]
        assert "not a medical device" in foot and "3.5 of 100" in foot


def test_errors_are_tied_to_their_fields() -> None:
    html = shown(ANN)
    assert 'id="pain" name="pain" type="text" inputmode="decimal" value="12"' in html
    described = re.search(r'id="pain"[^>]*aria-describedby="([^"]+)" aria-invalid="true"', html)
    assert described and all(f'id="{name}"' in html for name in described[1].split())
    assert '<a href="#pain">Pain: found 12</a>' in html


def test_a_conflict_proposes_what_only_one_changed() -> None:
    html = shown(ANN, "/clash")
    assert re.findall(r'name="(\w+)" value="(\w*)" required checked', html) == [("pain", "5"), ("work", "desk")]
    assert html.count('type="radio"') == 6 and "(empty)" in html and 'value="7"' in html and 'value="pain"' in html


def test_a_refusal_has_words_for_every_status() -> None:
    app = FastAPI()

    @app.get("/{status}")
    def refuse(request: Request, status: int) -> Response:
        return page(request, "error.html.j2", status)

    for status in (400, 401, 403, 404, 405, 409, 413, 418, 422, 429, 500, 503, 507):
        answer = TestClient(app).get(f"/{status}")
        assert answer.status_code == status and answer.text.count("<h1>") == 1


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_no_page_holds_script_style_or_another_host(file: Path) -> None:
    """The policy would block it, so nobody would see it work."""
    source = re.sub(r"\{#.*?#\}", "", file.read_text(encoding="utf-8"), flags=re.S)
    assert not re.findall(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=|hx-on|javascript:|\bjs:|https?://", source)
    assert not re.findall(r"\|\s*safe\b", source)


def fixed(node: nodes.Node) -> str:
    """What a template writes whatever it is given."""
    if isinstance(node, nodes.TemplateData):
        return node.data
    if isinstance(node, nodes.Block) and node.name == "shape":
        return ""
    return "".join(map(fixed, node.iter_child_nodes()))


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_no_page_keeps_words_of_its_own(file: Path) -> None:
    """Every word stands in the catalogue; outside of tags there is at most the name of the program."""
    source = fixed(environment().parse(file.read_text(encoding="utf-8")))
    assert set(re.findall(r"[A-Za-z]{2,}", re.sub(r'<[^>]*>|[\w-]+="[^"]*"', " ", source))) <= {"deqi"}


def test_htmx_is_the_one_that_was_looked_at() -> None:
    told = (WEB / "static/LICENSES.md").read_text(encoding="utf-8")
    assert hashlib.sha256((WEB / "static/htmx.min.js").read_bytes()).hexdigest() in told


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def served(browser: Any) -> Iterator[tuple[Any, FastAPI]]:
    """A page in a browser on a server of its own; any fault of a script fails the test."""
    app, free = application({**ANN, "csrf": "token"}), socket.socket()
    free.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [free]}, daemon=True)
    thread.start()
    context = browser.new_context(base_url=f"http://127.0.0.1:{free.getsockname()[1]}", locale="en-GB")
    tab = context.new_page()
    faults: list[str] = []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("console", lambda line: faults.append(line.text) if "Content Security" in line.text else None)
    tab.set_default_timeout(10_000)
    tab.goto("/")
    yield tab, app
    context.close()
    server.should_exit = True
    thread.join()
    assert not faults


@pytest.mark.slow
def test_keys_alone_answer_and_go_on(served: tuple[Any, FastAPI]) -> None:
    tab, app = served
    assert tab.evaluate("document.activeElement.getAttribute('role')") == "alert"  # the first thing to look at
    tab.focus("input[name=nrs]:checked")
    for key in "10":
        tab.keyboard.press(key)
    assert tab.input_value("input[name=nrs]:checked") == "10"
    tab.focus("input[name=sex] >> nth=0")
    tab.keyboard.press("2")
    assert tab.input_value("input[name=sex]:checked") == "m"
    tab.focus("input[name=drugs] >> nth=0")
    tab.keyboard.press("2")
    assert tab.locator("input[name=drugs]:checked").count() == 0
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/next")
    assert app.state.sent[-1][1] == "10"
    tab.goto("/")
    tab.focus("#field_text")
    tab.keyboard.type("7")
    tab.keyboard.press("Backspace")
    assert tab.url.endswith("/") and tab.input_value("#field_text") == ""


@pytest.mark.slow
def test_backspace_on_nothing_and_alt_left_go_back(served: tuple[Any, FastAPI]) -> None:
    tab, _ = served
    for place, key in (("#field_text", "Backspace"), ("input[name=nrs]:checked", "Alt+ArrowLeft")):
        tab.goto("/")
        tab.focus(place)
        tab.keyboard.press(key)
        tab.wait_for_url("**/back")


@pytest.mark.slow
def test_a_range_tells_its_value_in_words(served: tuple[Any, FastAPI]) -> None:
    tab, _ = served
    tab.focus("#sessions")
    tab.keyboard.press("Home")
    assert tab.inner_text("output[for=sessions]") == "1 session"
    assert tab.get_attribute("#sessions", "aria-valuetext") == "1 session"
    tab.focus("#gap")
    tab.keyboard.press("ArrowRight")
    assert tab.inner_text("output[for=gap]") == "4 days"
    tab.keyboard.press("ArrowRight")
    assert tab.inner_text("output[for=gap]") == "4,5 days"


@pytest.mark.slow
def test_answers_save_themselves_one_after_the_other(served: tuple[Any, FastAPI]) -> None:
    tab, app = served
    app.state.pause = 0.4
    tab.check("input[name=nrs][value='1']", force=True)
    tab.wait_for_timeout(400)  # the first save is under way
    tab.check("input[name=nrs][value='10']", force=True)
    expect(tab.locator("#version")).to_have_value("3")
    assert app.state.saved == [("1", "1", "token"), ("2", "10", "token")]
    expect(tab.locator(".saved")).to_have_text("✓ Saved")


@pytest.mark.slow
def test_going_on_waits_for_the_save_under_way(served: tuple[Any, FastAPI]) -> None:
    """Otherwise a person would be in conflict with herself."""
    tab, app = served
    app.state.pause = 0.6
    tab.check("input[name=nrs][value='1']", force=True)
    tab.wait_for_timeout(450)
    tab.click("text=Next")
    tab.wait_for_url("**/next")
    assert app.state.saved == [("1", "1", "token")] and app.state.sent == [("2", "1")]


@pytest.mark.slow
def test_without_a_connection_nothing_is_lost(served: tuple[Any, FastAPI]) -> None:
    tab, app = served
    tab.context.set_offline(True)
    tab.check("input[name=nrs][value='1']", force=True)
    expect(tab.locator(".saved")).to_contain_text("Not saved")
    asked = []
    tab.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    tab.close(run_before_unload=True)
    tab.wait_for_timeout(300)
    assert asked == ["beforeunload"]
    tab.context.set_offline(False)
    expect(tab.locator("#version")).to_have_value("2")
    assert app.state.saved == [("1", "1", "token")]


@pytest.mark.slow
def test_a_busy_store_is_tried_again(served: tuple[Any, FastAPI]) -> None:
    tab, app = served
    app.state.broken = True
    tab.check("input[name=nrs][value='1']", force=True)
    tab.wait_for_selector("#notices #error")
    app.state.broken = False
    expect(tab.locator("#version")).to_have_value("2")
    assert app.state.saved and tab.locator("#notices #error").count() == 0


@pytest.mark.slow
def test_refusals_are_told_in_place(served: tuple[Any, FastAPI]) -> None:
    tab, _ = served
    tab.click("#fail")
    assert "locked" in tab.inner_text("#notices #error") and tab.locator("h1:text('Every part')").count() == 1
    tab.click("#text")
    expect(tab.locator("#notices")).to_contain_text("<b>Too large")
    tab.click("#swap")
    expect(tab.locator("#fresh")).to_be_focused()
    assert tab.inner_text("#notices") == ""
    tab.context.set_offline(True)
    tab.click("#swap")
    expect(tab.locator("#notices")).to_contain_text("cannot be reached")
    tab.context.set_offline(False)
    tab.click("#clash")
    tab.wait_for_selector("h1:text('changed this meanwhile')")
    assert tab.locator("header.top").count() == 1 and tab.title() == "Someone else changed this meanwhile · deqi"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_part_is_accessible_and_fits(browser: Any, served: tuple[Any, FastAPI], scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    tab, _ = served
    tab.emulate_media(color_scheme=scheme)
    for width in (320, 360, 1440):
        tab.set_viewport_size({"width": width, "height": 800})
        for path in ("/", "/accounts", "/fail", "/clash"):
            tab.goto(path)
            assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path
            broken = axe.run(tab).response["violations"]
            assert not broken, [(rule["id"], rule["nodes"][0]["html"]) for rule in broken]
