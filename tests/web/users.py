"""Simulated clinicians, who go through one consultation after the other over HTTP with time to think in between.

A consultation is that of a new patient or, as often, of one who comes back after six weeks: about 40 steps. Times to
think are exponential: `THINK_SECONDS` on average before each page, form and answer, a sixth of it between two moves of
a slider. A step is what a person waits for: a page with the redirects on the way to it, or the answer to an autosave.
Forms are read from pages and sent back with what is in them; nothing that a form carries is guessed.
"""

from __future__ import annotations

import asyncio
import datetime
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from math import inf
from typing import Any

import httpx

from deqi.web import accounts
from deqi.web.store.audit import Actor
from deqi.web.store.database import Database
from deqi.web.store.tables import Assessment, Person, Score, new_id

from .filled import example
from .planned import plan

THINK_SECONDS = 6.0
WEEKS_AGO = 6
POLL_SECONDS = 2.0
"""As often as the page that waits for a proposal asks (`plans/wait.html.j2`)."""
SLIDER_MOVES = 8
API_SHARE, TAILORED_SHARE = 0.3, 0.08
"""In how many consultations a program asks for a forecast, and somebody for a whole tailored consultation."""
FORECAST_WEEKS = [2, 6, 12]
FIRST = {"sex": ("female", "male"), "week_average": range(4, 9), "worst": (8, 9), "duration": range(20, 400),
         "leg_pain": ("no",), "disability_instrument": ("RMDQ",), "disability_score": range(6, 18),
         "expectation": range(3, 9), "sleep": range(2, 9), "work": ("working",)}
AGAIN = {"week_average": range(2, 8), "worst": (8, 9), "disability_instrument": ("RMDQ",),
         "disability_score": range(4, 16), "function": range(2, 9), "sleep": range(2, 9), "mood": range(2, 9),
         "activity": range(2, 9), "expectation": range(3, 9), "course": ("better", "same")}


@dataclass
class Form:
    """One form of a page.

    Attributes:
        action: where it goes.
        fields: what it would carry now.
        offered: the values that a name may have.
        ranges: lowest, highest and step of a slider.
    """

    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    offered: dict[str, list[str]] = field(default_factory=dict)
    ranges: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    def filled(self, **given: str | Sequence[str]) -> dict[str, list[str]]:
        """What it carries with some fields set."""
        found: dict[str, list[str]] = {}
        for name, value in self.fields:
            found.setdefault(name, []).append(value)
        return found | {name: [value] if isinstance(value, str) else list(value) for name, value in given.items()}

    def value(self, name: str) -> str:
        """What a field holds; empty if nothing."""
        return next((value for key, value in self.fields if key == name), "")


class Page(HTMLParser):
    """The forms and links of a page, and what it loads by itself.

    Arguments:
        html: of a page or a fragment.
    """

    def __init__(self, html: str):
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self._form = self._select = self._area = None
        self.feed(html)

    def form(self, end: str) -> Form:
        """The last form whose action ends so."""
        found = self.find(end)
        assert found is not None, f"no form to {end.rsplit('/', 1)[-1]}"
        return found

    def find(self, end: str) -> Form | None:
        """The same, or None."""
        return next((form for form in reversed(self.forms) if form.action.endswith(end)), None)

    def link(self, end: str) -> str | None:
        """The first link, or part that loads itself, whose address ends so."""
        return next((link for link in self.links if link.endswith(end)), None)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note a form, a field or a link."""
        given = {name: value or "" for name, value in attributes}
        name = given.get("name", "")
        self.links += [given[key] for key in ("href", "hx-get") if key in given]
        if tag == "form":
            self._form = Form(given.get("action", ""))
            self.forms.append(self._form)
        if self._form is None or "disabled" in given:
            return
        if tag == "input" and name:
            self._input(self._form, name, given)
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            values = self._form.offered.setdefault(self._select, [])
            values.append(given.get("value", ""))
            if "selected" in given or len(values) == 1:
                self._form.fields = [row for row in self._form.fields if row[0] != self._select]
                self._form.fields.append((self._select, values[-1]))
        elif tag == "textarea":
            self._area = name
            self._form.fields.append((name, ""))

    def handle_data(self, data: str) -> None:
        """Fill a textarea."""
        if self._form is not None and self._area:
            self._form.fields[-1] = (self._area, (self._form.fields[-1][1] + data).removeprefix("\n"))

    def handle_endtag(self, tag: str) -> None:
        """End what ends."""
        self._form = None if tag == "form" else self._form
        self._select = None if tag == "select" else self._select
        self._area = None if tag == "textarea" else self._area

    @staticmethod
    def _input(form: Form, name: str, given: dict[str, str]) -> None:
        value, kind = given.get("value", ""), given.get("type", "text")
        if kind in ("radio", "checkbox"):
            form.offered.setdefault(name, []).append(value)
        if kind == "range":
            form.ranges[name] = (int(given["min"]), int(given["max"]), int(given["step"]))
        if kind not in ("radio", "checkbox") or "checked" in given:
            form.fields.append((name, value))


@dataclass(frozen=True)
class Step:
    """One step that somebody waited for.

    Attributes:
        name: of the step.
        began: seconds since the users began.
        seconds: until all of the answer was there.
        requests: over HTTP.
        wrong: what was wrong with the answer; empty if nothing.
    """

    name: str
    began: float
    seconds: float
    requests: int
    wrong: str = ""


@dataclass
class Log:
    """What all users saw.

    Attributes:
        steps: each step.
        tailored: seconds from asking for a proposal to having it.
        consultations: how many were gone through to the end.
    """

    steps: list[Step] = field(default_factory=list)
    tailored: list[float] = field(default_factory=list)
    consultations: int = 0
    begun: float = field(default_factory=time.perf_counter)


class Over(Exception):
    """The time is up."""


class Wrong(Exception):
    """An answer was wrong: this consultation ends here."""


@dataclass
class User:
    """One clinician at one browser.

    Attributes:
        client: with the browser's cookie.
        token: of a program of the same account.
        returning: name and id of patients who come back.
        think: mean time to think, s.
        ramp: within how many seconds to begin, by chance.
        until: `time.perf_counter` at which to stop.
        dice: of this user.
        log: that all users write.
    """

    client: httpx.AsyncClient
    token: str
    returning: list[tuple[str, str]]
    think: float
    ramp: float
    until: float
    dice: random.Random
    log: Log
    csrf: str = ""

    async def work(self, most: float) -> None:
        """See one patient after the other until the time is up, or for so many consultations."""
        await asyncio.sleep(self.dice.uniform(0, self.ramp))
        seen = 0
        while time.perf_counter() < self.until and seen < most:
            seen += 1
            try:
                await self.consult()
                self.log.consultations += 1
            except Wrong:
                continue
            except Over:
                return

    async def consult(self) -> None:
        """One consultation, from the list of patients to the trail."""
        patients = await self.open("list", "/patients")
        self.csrf = patients.form("/patients/find").value("csrf")
        is_new = not self.returning or self.dice.random() < 0.5
        hub = await (self._new() if is_new else self._back(patients))
        assessment = await self._assess(hub, FIRST if is_new else AGAIN)
        shown = await self._choose(assessment)
        if self.dice.random() < API_SHARE:
            await self._program()
        if self.dice.random() < TAILORED_SHARE:
            await self._tailored(shown)
        agreed = await self._agree(shown)
        if is_new:
            await self._treat(agreed)
            await self._follow(agreed, "ODI", self.dice.randint(10, 60))
        await self.open("trail", agreed.link("/followup").removesuffix("followup") + "trail")

    async def open(self, step: str, path: str | None, is_part: bool = False, think: float | None = None) -> Page:
        """Go to a page, or load a part of one."""
        assert path is not None, f"no link for {step}"
        return Page((await self._ask(step, "GET", path, is_part=is_part, think=think)).text)

    async def send(self, step: str, form: Form, is_part: bool = False, think: float | None = None,
                   **given: str | Sequence[str]) -> Page:
        """Send a form with some fields set; `is_part`: as htmx does, for a part of the page."""
        return Page((await self._ask(step, "POST", form.action, form.filled(**given), is_part, think)).text)

    async def _new(self) -> Page:
        asked = await self.open("new patient", "/patients/new")
        born = f"{self.dice.randint(1945, 2000)}-05-17"
        return await self.send("make patient", asked.form("/patients/new"), name=f"New {self.dice.random():.9f}",
                               birth_date=born)

    async def _back(self, patients: Page) -> Page:
        name, id = self.returning.pop()
        found = await self.send("find", patients.form("/patients/find"), is_part=True, words=name)
        hub = await self.open("patient", found.link(id))
        await self._follow(hub, "NRS", self.dice.randint(2, 6))
        await self._treat(hub)
        return await self.open("patient", found.link(id))

    async def _assess(self, hub: Page, answers: dict[str, Any]) -> Page:
        asked = await self.send("begin", hub.form("/assessments"), mode="all")
        for question, values in answers.items():
            form = asked.form(f"/questions/{question}")
            answered = await self.send("answer", form, is_part=True, given=str(self.dice.choice(values)))
            asked.forms += answered.forms
        screening = await self.open("screening", asked.link("/screening"))
        if open_questions := screening.find("/asked"):
            screening = await self.send("cannot say", open_questions)
        if doctor := screening.find("/cleared"):
            screening = await self.send("cleared", doctor, by="Dr Example")
        return await self.send("options", screening.form("/finish"))

    async def _choose(self, options: Page) -> Page:
        """Move the sliders; what is kept is sent as often as a hand lets go."""
        sliders = options.form("/options")
        now = sliders.filled()
        for move in range(1, SLIDER_MOVES + 1):
            name = self.dice.choice([*sliders.ranges, "beside"])
            if name == "beside":
                offered = sliders.offered[name]
                now[name] = self.dice.sample(offered, self.dice.randint(0, min(2, len(offered))))
            else:
                low, high, step = sliders.ranges[name]
                now[name] = [str(self.dice.randrange(low, high + 1, step))]
            mine = await self.send("slider", sliders, is_part=True, think=self.think / 6, **now)
            options.forms += mine.forms
            if move % (SLIDER_MOVES // 2) == 0:
                await self._ask("keep sliders", "POST", sliders.action + "/keep", now, True, 0)
                now["before"] = [self._kept]
        return options

    async def _agree(self, options: Page) -> Page:
        asked = (await self.send("ask", options.form("/plan"))).form("/plan/agree")
        why = {"why": "six weeks are over"} if any(name == "why" for name, _ in asked.fields) else {}
        agreed = await self.send("agree", asked, **why)
        await self.open("patient's page", agreed.link("/page"))
        return agreed

    async def _treat(self, near: Page) -> None:
        log = await self.open("treatments", near.link("/treatments"))
        session = (await self.open("new treatment", log.link("/treatments/new"))).form("/treatments/new")
        usual = {"stimulation": "manual", "retention_minutes": "30"}
        await self.send("treatment", session, **{k: v for k, v in usual.items() if not session.value(k)})

    async def _follow(self, near: Page, outcome: str, value: int) -> None:
        seen = await self.open("follow-up", near.link("/followup"))
        await self._renewed(seen)
        seen = await self.send("score", seen.form("/scores"), outcome=outcome, value=str(value))
        await self._renewed(seen)

    async def _renewed(self, seen: Page) -> None:
        """Load what the page of the follow-up loads by itself."""
        if part := seen.link("/followup/now"):
            await self.open("renewed forecast", part, is_part=True, think=0)

    async def _program(self) -> None:
        patient = {"age": self.dice.randint(30, 70), "disability": {"instrument": "RMDQ", "score": 11},
                   "pain": {"week_average": self.dice.randint(4, 8), "duration_weeks": self.dice.randint(20, 400)}}
        asked = {"patient": patient, "plan": "acupuncture 30 min twice a week for 6 weeks", "weeks": FORECAST_WEEKS}
        await self._timed("API forecast", "POST", "/api/v1/forecast", json=asked,
                          headers={"authorization": f"Bearer {self.token}"}, cookies=None)

    async def _tailored(self, options: Page) -> None:
        started = options.form("/tailored")
        begun = time.perf_counter()
        await self.send("ask for a proposal", started)
        while True:
            await self._pause(POLL_SECONDS if self.think else 0.05)
            polled = await self._timed("poll", "GET", started.action, headers={"hx-request": "true"})
            if polled.status_code == 200:
                break
        self.log.tailored.append(time.perf_counter() - begun)
        await self._timed("proposal", "GET", started.action)

    async def _ask(self, step: str, method: str, path: str, form: dict[str, list[str]] | None = None,
                   is_part: bool = False, think: float | None = None) -> httpx.Response:
        mean = self.think if think is None else think
        await self._pause(self.dice.expovariate(1 / mean) if mean else 0)
        headers = {"hx-request": "true", "x-csrf-token": self.csrf} if is_part else {}
        response = await self._timed(step, method, path, headers=headers, **({"data": form} if form else {}))
        if step == "keep sliders":
            self._kept = Page(f"<form>{response.text}</form>").forms[0].value("before")
        return response

    async def _pause(self, seconds: float) -> None:
        if time.perf_counter() + seconds > self.until:
            raise Over
        await asyncio.sleep(seconds)

    async def _timed(self, step: str, method: str, path: str, **how: Any) -> httpx.Response:
        begun, wrong = time.perf_counter(), ""
        response = None
        try:
            response = await self.client.request(method, path, **how)
            if response.status_code >= 400 or "hx-redirect" in response.headers:
                wrong = f"{response.status_code} {_told(response)}"
        except httpx.HTTPError as error:
            wrong = type(error).__name__
        took = time.perf_counter() - begun
        requests = 1 + len(response.history) if response is not None else 1
        self.log.steps.append(Step(step, begun - self.log.begun, took, requests, wrong))
        if wrong or response is None:
            raise Wrong
        return response


@dataclass(frozen=True)
class Practice:
    """Whom the users are and whom they see.

    Attributes:
        cookies, tokens: of each user; five browsers share an account.
        returning: patients of each user's, name and id.
    """

    cookies: list[str]
    tokens: list[str]
    returning: list[list[tuple[str, str]]]


def found_practice(database: Database, users: int, patients_each: int = 2, browsers_each: int = 5) -> Practice:
    """Fill a store: clinicians, and patients whose plan began six weeks ago, with a score a week."""
    practice = Practice([], [], [])
    began = datetime.date.today() - datetime.timedelta(weeks=WEEKS_AGO)
    dice = random.Random(7)
    account = ""
    for user in range(users):
        with database.write(Actor()) as store:
            if user % browsers_each == 0:
                made = accounts.new_account(store, f"clinician{user}", f"Clinician {user}", ("clinician",),
                                            "seven green herons walk slowly")
                store.flush()
                account = made.id
            practice.cookies.append(accounts.new_browser(store, account))
            practice.tokens.append(accounts.new_token(store, account, "load", ("compute",)))
            theirs = []
            for number in range(patients_each):
                person = Person(id=new_id(), responsible_id=account, name=f"Returning {user} {number}")
                answers = example()
                answers["patient"] |= {"date": began.isoformat(), "age": dice.randint(30, 70)}
                answers["patient"]["pain"]["week_average"] = pain = dice.randint(5, 8)
                asked = Assessment(id=new_id(), patient_id=person.id, created_by=account, day=began, state="done",
                                   answers=answers)
                store.add(person)
                store.flush()
                store.add(asked)
                store.flush()
                store.add(plan(person.id, asked.id, account, began, pain))
                store.add_all(Score(patient_id=person.id, created_by=account, outcome="NRS", origin="practice",
                                    day=began + datetime.timedelta(weeks=week), value=max(pain - week / 2, 0))
                              for week in range(WEEKS_AGO))
                theirs.append((person.name, person.id))
            practice.returning.append(theirs)
    return practice


async def at_work(practice: Practice, client: Callable[[], httpx.AsyncClient], seconds: float = inf, ramp: float = 0.0,
                  most: float = inf, think: float = THINK_SECONDS) -> Log:
    """Let all users of a practice work for some time.

    Arguments:
        practice: as `found_practice` made it.
        client: makes a browser that follows redirects.
        seconds: to work, once all are at work.
        ramp: seconds within which they begin, by chance, as people do who did not agree on a moment.
        most: consultations of each user.
        think: mean time to think, s.
    """
    log = Log()
    browsers = []
    for cookie in practice.cookies:
        browser = client()
        browser.cookies.set("deqi", cookie)
        browsers.append(browser)
    users = [User(browser, token, list(returning), think, ramp, log.begun + ramp + seconds, random.Random(number),
                  log)
             for number, (browser, token, returning) in enumerate(
                 zip(browsers, practice.tokens, practice.returning, strict=True))]
    try:
        await asyncio.gather(*(user.work(most) for user in users))
    finally:
        await asyncio.gather(*(browser.aclose() for browser in browsers))
    return log


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least a share of the values do not exceed."""
    return sorted(values)[max(0, -int(-share * len(values) // 1) - 1)]


def _told(response: httpx.Response) -> str:
    text = response.text
    start = text.find('id="error"')
    return " ".join(text[start:start + 300].split()) if start >= 0 else text[:200]
