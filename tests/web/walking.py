"""Goes through a practice's days in a browser, as a person does: the steps, and what each page met is held to."""

from __future__ import annotations

import contextlib
import datetime
import io
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Dialog, Page, Response, Route, sync_playwright

from deqi.consult.questions import questions as asked
from deqi.web.catalogue import texts
from deqi.web.settings import Settings

from .serving import environment

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PASSWORD = "seven green herons walk slowly"
DEVICES: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}}
RULES = {"resultTypes": ["violations"],
         "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
PICTURES = {("options", "desktop", "light"): 1500, ("one question", "phone", "light"): 760,
            ("emergency", "desktop", "light"): 560, ("proposal", "desktop", "light"): 1200,
            ("patient's page", "desktop", "light"): 1400, ("follow-up, stop", "desktop", "dark"): 1200,
            ("own scores", "phone", "light"): 844, ("explain, changed", "desktop", "light"): 1150}
"""The pages whose pictures the documentation shows, and how much of each from its top, in pixels."""
WIDTHS = {"desktop": (640, 320), "phone": (320,)}
"""Twice as big on a desktop; and as narrow as WCAG 1.4.10 asks."""
ORDINARY = re.compile("Failed to load resource|Response Status Error Code|htmx:(afterRequest|sendAbort)")
"""What the console holds of answers, which are looked at themselves, and of requests that a newer one replaced."""
WORDS = texts("en")


@dataclass
class Visit:
    """One person's browser on a server.

    Attributes:
        tab: the page that is open.
        device: of `DEVICES`.
        faults: what must not be: errors of scripts, failed and refused requests, other hosts, sideways scrolling.
        barriers: what axe finds against WCAG 2.2 A and AA; `advice` is what it finds besides.
        met: names of the pages that were looked at.
        shots: where pictures go; None for none.
    """

    tab: Page
    device: str
    shots: Path | None = None
    faults: list[str] = field(default_factory=list)
    barriers: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    met: list[str] = field(default_factory=list)
    allowed: set[int] = field(default_factory=set)

    def look(self, name: str) -> None:
        """Hold the page to what every page is held to, light and dark, and take its picture if it is one to show."""
        tab, axe = self.tab, Axe()
        self.met.append(name)
        for scheme in ("light", "dark"):
            tab.emulate_media(color_scheme=scheme)
            for rule in axe.run(tab, options=RULES).response["violations"]:
                told = f"{name}, {scheme}: {rule['id']} {[node['html'][:160] for node in rule['nodes'][:2]]}"
                (self.advice if "best-practice" in rule["tags"] else self.barriers).append(told)
            if self.shots is not None and (height := PICTURES.get((name, self.device, scheme))):
                clip = {"x": 0, "y": 0, "width": DEVICES[self.device]["viewport"]["width"], "height": height}
                tab.evaluate("scrollTo(0, 0)")
                taken = tab.screenshot(full_page=True, clip=clip, caret="initial")  # hiding it is an inline style
                file = re.sub("[^a-z]+", "-", name.replace("'", ""))
                from PIL import Image  # comes with matplotlib

                Image.open(io.BytesIO(taken)).quantize(255, method=Image.Quantize.FASTOCTREE).save(
                    self.shots / f"{file}.png", optimize=True)
        tab.emulate_media(color_scheme="light")
        size = DEVICES[self.device]["viewport"]
        for width in (size["width"], *WIDTHS[self.device]):
            tab.set_viewport_size({"width": width, "height": size["height"]})
            wide = tab.evaluate("document.documentElement.scrollWidth")
            if wide > width:
                self.faults.append(f"{name} scrolls sideways: {wide} > {width}")
        tab.set_viewport_size(size)

    def click(self, words: str, role: Any = "button", nth: int = 0) -> None:
        """Press what a person sees by these words, and wait for the page after it."""
        with self.tab.expect_navigation():
            self.tab.get_by_role(role, name=words, exact=True).nth(nth).click()

    def go(self, path: str) -> None:
        """Open a page by its address."""
        self.tab.goto(path)

    @contextlib.contextmanager
    def refusing(self, *status: int) -> Iterator[None]:
        """While this lasts the server may answer so."""
        self.allowed |= set(status)
        yield
        self.allowed -= set(status)

    @property
    def text(self) -> str:
        """What the page says."""
        return self.tab.inner_text("main")

    @property
    def patient(self) -> str:
        """The path of the record that is open."""
        return "/".join(urlsplit(self.tab.url).path.split("/")[:3])


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@contextlib.contextmanager
def visit(opened: Browser, url: str, device: str, shots: Path | None = None) -> Iterator[Visit]:
    """A browser of somebody's own: its cookies are nobody else's."""
    context = opened.new_context(base_url=url, locale="en-GB", **DEVICES[device])
    context.set_default_timeout(60_000)
    context.add_init_script("addEventListener('securitypolicyviolation', "
                            "e => console.error('policy: ' + e.violatedDirective + ' ' + e.blockedURI))")
    tab = context.new_page()
    visitor = Visit(tab, device, shots)

    def only_here(route: Route) -> None:
        if urlsplit(route.request.url).netloc == urlsplit(url).netloc:
            return route.continue_()
        visitor.faults.append(f"another host: {route.request.url}")
        route.abort()

    def answered(response: Response) -> None:
        if response.status >= 400 and response.status not in visitor.allowed:
            visitor.faults.append(f"{response.status} {response.request.method} {urlsplit(response.url).path}")

    def left(dialog: Dialog) -> None:
        visitor.faults.append(f"a dialog: {dialog.type} {dialog.message}")
        dialog.accept()

    context.route("**/*", only_here)
    tab.on("response", answered)
    tab.on("dialog", left)
    tab.on("pageerror", lambda error: visitor.faults.append(f"script: {error}"))
    tab.on("console", lambda line: visitor.faults.append(f"console: {line.text} {line.location}")
           if line.type == "error" and not ORDINARY.search(line.text) else None)
    tab.on("requestfailed", lambda request: visitor.faults.append(f"failed: {request.url} {request.failure}")
           if request.failure != "net::ERR_ABORTED" else None)
    yield visitor
    context.close()


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[tuple[str, str]]:
    """`deqi serve` on a new store, as the command line starts it.

    Returns:
        the address of the server, and the one that the command tells for the first account.
    """
    settings = Settings(folder / "data", f"sqlite:///{folder / 'data' / 'deqi.sqlite'}", folder / "key")
    port = free_port()
    with open(folder / "log", "wb") as log, subprocess.Popen(
            [sys.executable, "-c", "from deqi.cli import main; main()", "serve", "--no-browser"],
            env=environment(settings, port), stdout=subprocess.PIPE, stderr=log, text=True) as process:
        try:
            assert process.stdout is not None
            first = next(told[0] for line in process.stdout if (told := re.search(r"http\S+/first/\S+", line)))
            drain = threading.Thread(target=process.stdout.read, daemon=True)
            drain.start()
            yield f"http://127.0.0.1:{port}", first
        finally:
            process.terminate()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# What people do.

def first_account(who: Visit, address: str) -> None:
    """Open the address that the command told, and make the first account."""
    words = WORDS["login"]["first"]
    who.tab.goto(address)
    who.tab.fill("#name", "Ann Example")
    who.tab.fill("#login", "ann")
    who.tab.fill("#password", PASSWORD)
    who.click(words["submit"])


def questions() -> list[str]:
    """The ids of all questions."""
    return [each.id for each in asked()]


def sign_in(who: Visit, login: str, password: str = PASSWORD) -> None:
    """Sign in."""
    who.go("/login")
    who.tab.fill("#login", login)
    who.tab.fill("#password", password)
    who.click(WORDS["login"]["submit"])


def sign_out(who: Visit) -> None:
    """Sign out by the menu."""
    who.tab.click("details.menu summary")
    who.click(WORDS["common"]["nav"]["logout"])


def new_patient(who: Visit, name: str) -> str:
    """Make a record; gives its path."""
    who.go("/patients/new")
    who.tab.fill("#name", name)
    who.click(WORDS["patients"]["make"])
    return who.patient


def by_keys(who: Visit, answers: dict[str, str], last: str) -> list[str]:
    """Answer one question per screen with the keyboard alone; what is not in `answers` is passed by.

    Returns:
        the questions that were asked, until after the one that is named last.
    """
    met = []
    while True:
        who.tab.locator("html.js form.one :focus").wait_for(state="attached")
        here = urlsplit(who.tab.url).path.rsplit("/", 1)[-1]
        met.append(here)
        for key in answers.get(here, ""):
            who.tab.keyboard.press(key)
        with who.tab.expect_navigation():
            who.tab.keyboard.press("Enter")
        if here == last:
            return met


def choose(who: Visit, question: str, value: str) -> None:
    """Answer one of all the questions on a page, and wait until it is saved."""
    ask = who.tab.locator(f"#ask-{question}")
    ask.locator(f"input[value='{value}']").first.check()
    ask.locator(".saved", has_text=WORDS["common"]["save"]["saved"]).wait_for()


def write(who: Visit, question: str, value: str) -> None:
    """Write the answer to one of all the questions on a page, and wait until it is saved."""
    ask = who.tab.locator(f"#ask-{question}")
    entry = ask.locator("input:not([type=hidden]), textarea").first
    entry.fill(value)
    entry.dispatch_event("change")
    ask.locator(".saved", has_text=WORDS["common"]["save"]["saved"]).wait_for()


def add_score(who: Visit, record: str, day: datetime.date, value: str, outcome: str = "NRS") -> None:
    """Enter a score at the follow-up."""
    who.go(f"{record}/followup")
    who.tab.fill("#day", day.isoformat())
    who.tab.select_option("#outcome", outcome)
    who.tab.fill("#value", value)
    who.click(WORDS["followup"]["scores"]["save"])


def add_session(who: Visit, record: str, day: datetime.date) -> None:
    """Record a session as the plan has it."""
    who.go(f"{record}/treatments/new")
    who.tab.fill("#day", day.isoformat())
    who.click(WORDS["treatments"]["save"])


MOVES = """() => { window.moved = []; let began = null;
window.drawn = k => new Promise(done => { const look = () => moved.length > k ? done()
  : setTimeout(look, 5); look(); });
addEventListener('keydown', () => began ??= performance.now(), true);
addEventListener('htmx:afterSettle', event => event.target.id === 'yours' && requestAnimationFrame(() => setTimeout(
  () => { window.moved.push(performance.now() - began); began = null; }))); }"""


def move(who: Visit, slider: str, moves: int) -> list[float]:
    """Move a slider by keys, back and forth; gives milliseconds from each key to the new picture on the screen."""
    tab = who.tab
    tab.evaluate(MOVES)
    tab.focus(f"#{slider}")
    for k in range(moves):
        tab.keyboard.press("ArrowLeft" if k // 3 % 2 else "ArrowRight")
        tab.evaluate("k => drawn(k)", k)
    found: list[float] = tab.evaluate("window.moved")
    return found
