"""A practice's days in a browser, from the address that `deqi serve` tells to signing out, on a desk and on a phone."""

from __future__ import annotations

import datetime
import os
import re
import statistics
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, expect

from deqi.web.app import create_app
from deqi.web.settings import Settings

from . import walking
from .stub import StubEngine
from .walking import CHROMIUM, DEVICES, WORDS, Visit, choose, visit, write

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt install chromium)")
TODAY = datetime.date.today()
BEGAN = TODAY - datetime.timedelta(weeks=8)
BASELINE = "6"
SHOTS = Path(os.environ["DEQI_SCREENS"]) if "DEQI_SCREENS" in os.environ else None
"""Where pictures for the documentation go; `make screens` says so."""
QUESTIONS = walking.questions()
PLAN_BUTTON = WORDS["options"]["tailored"]
EMERGENCY = WORDS["assessment"]["screening"]["lines"]["emergency"]
expect.set_options(timeout=30_000)


def day_of(week: float) -> datetime.date:
    """The day so many weeks after the walk's plan began."""
    return BEGAN + datetime.timedelta(days=round(7 * week))


@pytest.fixture(scope="module")
def opened() -> Iterator[Browser]:
    with walking.browser() as found:
        yield found


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """`deqi serve` with the model, and the address of the first account."""
    with walking.serve(tmp_path_factory.mktemp("practice")) as found:
        yield found


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[tuple[str, FastAPI]]:
    """A server in this process, with stored forecasts."""
    app = create_app(Settings(tmp_path, f"sqlite:///{tmp_path / 'deqi.sqlite'}", tmp_path / "key"), StubEngine())
    server = uvicorn.Server(uvicorn.Config(app, port=walking.free_port(), log_level="error", server_header=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    yield f"http://127.0.0.1:{server.config.port}", app
    server.should_exit = True
    thread.join()


def test_a_first_forecast_is_a_few_clicks_away(opened: Browser, quick: tuple[str, FastAPI]) -> None:
    url, app = quick
    with visit(opened, url, "desktop") as who:
        walking.first_account(who, f"{url}/first/{app.state.first_code}")
        who.click(WORDS["patients"]["example"])
        who.click(WORDS["patients"]["next"]["options"]["action"], "link")
        expect(who.tab.locator("#sliders")).to_be_visible()
        assert "small" in who.tab.inner_text(".mind")
        who.tab.locator("#yours .row-agree button").click()
        who.click(WORDS["plans"]["ask"]["agree"])
        walking.add_score(who, who.patient, TODAY - datetime.timedelta(days=1), "5.5")
        expect(who.tab.locator("tr", has_text=WORDS["followup"]["origin"]["practice"]).last).to_contain_text("5.5")
        walking.sign_out(who)
        with who.refusing(401):
            who.go("/patients")
        assert urlsplit(who.tab.url).path == "/login"
        assert not who.faults


@pytest.mark.slow
def test_two_who_edit_at_once_are_told_and_merge(opened: Browser, quick: tuple[str, FastAPI]) -> None:
    url, app = quick
    with visit(opened, url, "desktop") as one, visit(opened, url, "phone") as other:
        walking.first_account(one, f"{url}/first/{app.state.first_code}")
        record = walking.new_patient(one, "First")
        walking.sign_in(other, "ann")
        for who in (one, other):
            who.go(f"{record}/edit")
        one.tab.fill("#name", "By one")
        one.click(WORDS["patients"]["save"])
        other.tab.fill("#name", "By the other")
        other.tab.fill("#number", "77")
        with other.refusing(409):
            other.click(WORDS["patients"]["save"])
        for told in ("First", "By one", "By the other", "Ann Example"):
            assert told in other.text
        other.look("a conflict")
        other.tab.locator("label", has_text="By the other").click()
        other.click(WORDS["errors"]["conflict"]["keep"])
        one.go(record)
        assert "By the other" in one.text and "77" in one.text
        hold(one)
        hold(other)


@pytest.mark.slow
def test_an_assistant_sees_what_an_assistant_may(opened: Browser, quick: tuple[str, FastAPI]) -> None:
    url, app = quick
    with visit(opened, url, "desktop") as who, visit(opened, url, "phone") as assistant:
        walking.first_account(who, f"{url}/first/{app.state.first_code}")
        who.click(WORDS["patients"]["example"])
        record = who.patient
        who.go("/accounts/new")
        who.tab.fill("#name", "Cas Example")
        who.tab.fill("#login", "cas")
        for role, on in (("clinician", False), ("assistant", True)):
            who.tab.locator(f"input[value={role}]").set_checked(on)
        who.tab.fill("#confirm", walking.PASSWORD)
        who.click(WORDS["accounts"]["new"]["submit"])
        who.look("a temporary password")
        handed = who.tab.input_value("#once")
        who.go(record)
        who.tab.select_option("#join", label="Cas Example")
        who.click(WORDS["patients"]["team"]["add_action"])
        walking.sign_in(assistant, "cas", handed)
        assistant.look("one's own password first")
        assistant.tab.fill("#confirm", handed)
        assistant.tab.fill("#password", "nine blue kites over the lake")
        assistant.click(WORDS["accounts"]["password"]["submit"])
        assistant.go("/patients")
        assistant.look("an assistant's patients")
        assistant.click("Example patient", "link")
        assistant.look("an assistant's record")
        for words in (WORDS["patients"]["next"]["options"]["action"], WORDS["patients"]["more"]["erase"]):
            assert words not in assistant.text
        walking.add_score(assistant, record, TODAY - datetime.timedelta(days=1), "5")
        assert "Cas Example" in assistant.text
        assistant.look("an assistant's follow-up")
        for path in (f"{record}/trail", f"{record}/erase", "/practice", "/accounts"):
            with assistant.refusing(403):
                assistant.go(path)
            assert WORDS["guard"]["not_allowed"] in assistant.text
        hold(who)
        hold(assistant)


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_a_practice_goes_all_the_way(opened: Browser, real: tuple[str, str], device: str, tmp_path: Path,
                                     record_property: pytest.RecordProperty) -> None:
    url, first = real
    with visit(opened, url, device, SHOTS) as who:
        enter(who, first)
        record = assess(who)
        screen(who, record)
        moves = compare(who)
        record_property("moves_ms", [round(one) for one in moves])
        propose(who)
        agree(who)
        follow(who, record)
        with visit(opened, url, "phone", SHOTS) as patient:
            report(who, patient, record)
            hold(patient)
        take_in(who, record, tmp_path)
        walk_past(who, record)
        walking.sign_out(who)
        who.look("sign in")
        hold(who)
        print(device, "moves: p50", round(statistics.median(moves)), "ms, p95",
              round(statistics.quantiles(moves, n=20)[-1]), "ms; pages:", len(who.met))


def hold(who: Visit) -> None:
    """What every page met is held to."""
    assert not who.faults, who.faults
    assert not who.barriers, who.barriers
    assert not who.advice, who.advice


def enter(who: Visit, first: str) -> None:
    """The first account, or the one there is; the empty list; the example patient."""
    with who.refusing(404):
        is_new = who.tab.goto(first).status == 200  # type: ignore[union-attr]  # not a hash
    if not is_new:  # somebody walked here before
        return walking.sign_in(who, "ann")
    who.look("first account")
    walking.first_account(who, first)
    assert WORDS["patients"]["first"]["title"] in who.text
    who.look("no patients")
    who.click(WORDS["patients"]["example"])
    who.look("example patient")
    who.click(WORDS["patients"]["next"]["options"]["action"], "link")
    expect(who.tab.locator("#sliders")).to_be_visible()
    who.go("/patients")
    who.look("patients")


def assess(who: Visit) -> str:
    """Answer by keys alone until a reload, and the rest with all questions on a page; gives the record's path."""
    record = walking.new_patient(who, f"Walker on the {who.device}")
    who.look("new record")
    who.click(WORDS["patients"]["next"]["begin"]["one"])
    who.look("one question")
    walking.by_keys(who, {"saddle_numbness": "y"}, "saddle_numbness")
    assert EMERGENCY in who.text and PLAN_BUTTON not in who.text
    who.look("emergency")
    options = who.tab.url.replace("/screening", "/options")
    who.go(options)
    assert who.tab.locator("#sliders, .columns").count() == 0 and WORDS["options"]["shut"]["emergency"] in who.text
    who.look("options shut")
    who.go(options.replace("/options", "/screening"))
    who.tab.get_by_role("link", name=re.compile("^Change")).first.click()
    grave = walking.by_keys(who, dict.fromkeys(QUESTIONS, "n") | {"cancer_history": "y"}, "faint_and_sweating")
    assert len(grave) > 25
    walking.by_keys(who, {"age": "52", "sex": "1"}, "sex")
    who.go(options.replace("/options", ""))
    write(who, "date", BEGAN.isoformat())
    write(who, "week_average", BASELINE)
    who.tab.reload()
    for question, value in (("age", "52"), ("week_average", BASELINE), ("date", BEGAN.isoformat())):
        assert who.tab.input_value(f"#{question}") == value, question
    assert who.tab.locator("#cancer_history input[value=yes]").is_checked()
    who.tab.get_by_role("button", name=WORDS["assessment"]["rest"], exact=True).click()
    expect(who.tab.locator("#pacemaker input[value=no]")).to_be_checked()
    choose(who, "leg_pain", "no")
    choose(who, "disability_instrument", "RMDQ")
    write(who, "disability_score", "11")
    choose(who, "wish_needles", "willing")
    choose(who, "wish_electro", "willing")
    ask = who.tab.locator("#ask-worst")
    ask.locator("input[name=given]").fill("twelve")
    with who.refusing(422):
        ask.locator("input[name=given]").dispatch_event("change")
        expect(ask.locator(".wrong")).to_be_visible()
    ask.locator("input[name=given]").fill("8")
    ask.locator("input[name=given]").dispatch_event("change")
    expect(ask.locator(".wrong")).to_have_count(0)
    who.look("all questions")
    return record


def screen(who: Visit, record: str) -> None:
    """A doctor has to be asked first; then the options open."""
    words = WORDS["assessment"]["screening"]
    who.tab.get_by_role("link", name=WORDS["assessment"]["finish"], exact=True).first.click()
    who.tab.wait_for_url("**/screening")
    assert words["lines"]["refer"] in who.text
    who.look("a doctor first")
    who.go(who.tab.url.replace("/screening", "/options"))
    assert who.tab.locator("#sliders").count() == 0 and WORDS["options"]["shut"]["refer"] in who.text
    who.go(who.tab.url.replace("/options", "/screening"))
    who.tab.fill("#day", (TODAY + datetime.timedelta(days=1)).isoformat())
    with who.refusing(422):
        who.click(words["cleared"]["submit"])
    assert words["cleared"]["no_name"] in who.text and words["cleared"]["no_day"] in who.text
    who.look("a statement refused")
    who.tab.fill("#by", "Dr Field")
    who.tab.fill("#day", TODAY.isoformat())
    who.click(words["cleared"]["submit"])
    assert "Dr Field" in who.text
    if who.tab.get_by_role("button", name=words["cannot_say"]).count():
        who.click(words["cannot_say"])
    who.look("screening")
    who.click(words["finish_options"])
    expect(who.tab.locator(".chip-row label.shut").first).to_be_visible()  # the doctor was asked, the sign still stands
    assert who.tab.locator("input[name=needles][value=electro_low]").is_disabled()
    assert "eedl" in who.tab.inner_text("#yours")
    who.look("options without needles")
    who.go(who.tab.url.replace("/options", "/questions/cancer_history"))
    walking.by_keys(who, {"cancer_history": "n"}, "cancer_history")
    who.go(f"{'/'.join(urlsplit(who.tab.url).path.split('/')[:5])}/options")


def compare(who: Visit) -> list[float]:
    """The options, and the sliders by keys; what is shown is what the size of the benefit is."""
    expect(who.tab.locator("#sliders")).to_be_visible()
    assert "small" in who.tab.inner_text(".mind") and "3.5" in who.tab.inner_text(".mind")
    who.look("options")
    before = who.tab.inner_html("#yours")
    moves = walking.move(who, "sessions", 50)
    assert who.tab.inner_html("#yours") != before
    shown = int(who.tab.input_value("#sessions"))
    assert f"{shown} visits" in who.tab.inner_text("#yours .row-time")
    with who.tab.expect_response("**/options/keep"):
        who.tab.locator("label", has_text=WORDS["options"]["beside"]["exercise"]["walking_5"]).click()
    expect(who.tab.locator("#yours header")).to_contain_text("alking")
    who.tab.reload()
    assert who.tab.input_value("#sessions") == str(shown)
    expect(who.tab.locator("#yours header")).to_contain_text("alking")
    return moves


def propose(who: Visit) -> None:
    """The whole consultation, with its reasons."""
    who.click(PLAN_BUTTON)
    who.tab.wait_for_selector(".steps", timeout=600_000)
    assert "small" in who.tab.inner_text(".mind") and WORDS["plans"]["columns"]["because"] in who.text
    who.look("proposal")


def agree(who: Visit) -> None:
    """Agree on the proposal, from the day of the assessment on; the patient's page is two sheets of paper."""
    said = [line.strip() for line in who.tab.locator(".steps li").all_inner_texts()]
    who.click(WORDS["options"]["agree"])
    who.tab.fill("#began", (BEGAN - datetime.timedelta(days=1)).isoformat())
    with who.refusing(422):
        who.click(WORDS["plans"]["ask"]["agree"])
    expect(who.tab.locator("#began-error")).to_be_visible()
    who.look("agree")
    who.tab.fill("#began", BEGAN.isoformat())
    who.click(WORDS["plans"]["ask"]["agree"])
    agreed = [line.strip() for line in who.tab.locator(".steps li").all_inner_texts()]
    assert [line.lower() for line in agreed] == [line.lower() for line in said]
    count = re.search(r"(\d+) have at least 30 %", who.text)
    who.look("plan")
    who.click(WORDS["plans"]["plan"]["page"], "link")
    told = re.search(r"(\d+) get better with this plan", who.text)
    assert count and told and count[1] == told[1]
    assert "That is small" in who.text and "emergency" in who.text
    who.look("patient's page")
    paper = who.tab.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) <= 2


def follow(who: Visit, record: str) -> None:
    """Weeks entered late: scores, sessions, something unwanted, a review, and the rule to stop."""
    words = WORDS["followup"]
    who.go(f"{record}/followup")
    who.look("follow-up begins")
    for week, value in ((1, "5.5"), (2, "5")):
        walking.add_score(who, record, day_of(week), value)
    for k in range(4):
        walking.add_session(who, record, day_of(k / 2))
    who.look("treatments")
    who.click(WORDS["treatments"]["new_event"], "link")
    who.look("an unwanted event, empty")
    who.tab.fill("#day", day_of(1).isoformat())
    for name, value in (("kind", "bleeding"), ("severity", "mild"), ("treated", "no"), ("relation", "probable"),
                        ("outcome", "recovered")):
        who.tab.select_option(f"#{name}", value)
    who.click(WORDS["treatments"]["save"])
    assert WORDS["stricta"]["kinds"]["bleeding"] in who.text
    who.go(f"{record}/followup")
    row = who.tab.locator("tr", has_text=words["reviews"]["session"].format(session=4)).first
    expect(row).to_contain_text(words["reviews"]["state"]["done"])
    expect(row).to_contain_text("5")
    assert words["stop"]["title"] not in who.tab.locator(".message").all_inner_texts()
    expect(who.tab.locator("tr", has_text=words["reviews"]["week"].format(week=6)).first).to_contain_text(
        words["reviews"]["state"]["overdue"])
    walking.add_score(who, record, day_of(6), BASELINE)
    stop = who.tab.locator(".message.warn")
    expect(stop).to_contain_text("no better than at the start means stop")
    expect(stop).to_contain_text(BASELINE)
    who.tab.wait_for_selector("#renewed figure")
    assert "which is small" in who.tab.inner_text("#renewed")
    assert words["now"]["verdict"]["carry_on"] not in who.tab.inner_text("#renewed")  # one page, one advice
    who.look("follow-up, stop")


def report(who: Visit, patient: Visit, record: str) -> None:
    """The patient's own page: a code, a score, nothing else; the clinician sees it."""
    words = WORDS["link"]
    who.go(f"{record}/link")
    who.click(words["practice"]["make"])
    who.look("a page for the patient")
    address, code = who.tab.inner_text("dd.long"), who.tab.inner_text(".code")
    patient.tab.goto(address)
    patient.look("code")
    patient.tab.fill("#code", "0000 0000" if code != "0000 0000" else "1111 1111")
    with patient.refusing(401):
        patient.click(words["enter"]["go"])
    assert words["enter"]["problem"]["wrong"][:20] in patient.text
    patient.tab.fill("#code", code)
    patient.click(words["enter"]["go"])
    assert "Walker" not in patient.tab.content()
    patient.look("own scores")
    patient.tab.get_by_label(words["signs"]["none"]).check()
    patient.tab.locator("#pain input[value='4']").check()
    patient.click(words["form"]["send"])
    assert words["thanks"]["lead"] in patient.text
    patient.look("thanks")
    who.go(f"{record}/followup")
    row = who.tab.locator("tr", has_text=WORDS["followup"]["origin"]["patient"]).first
    expect(row).to_contain_text("4")
    assert who.tab.locator(".message.warn").count() == 0


def take_in(who: Visit, record: str, folder: Path) -> None:
    """A file of scores: first one with a mistake in it, then a good one."""
    words = WORDS["followup"]["import"]
    file = folder / "scores.csv"
    who.go(f"{record}/scores-import")
    file.write_text(f"day,outcome,value\n{day_of(3)},NRS,4.5\n{day_of(4)},NRS,45\n", encoding="utf-8")
    who.tab.set_input_files("#file", file)
    with who.refusing(422):
        who.click(words["read"])
    assert "3" in who.tab.inner_text(".message.error li")
    who.look("a file refused")
    file.write_text(f"day,outcome,value\n{day_of(3)},NRS,4.5\n{day_of(4)},RMDQ,9\n", encoding="utf-8")
    who.tab.set_input_files("#file", file)
    who.click(words["read"])
    who.look("a file read")
    who.click(words["take"])
    assert who.tab.locator("td", has_text=WORDS["followup"]["origin"]["import"]).count() == 2


def walk_past(who: Visit, record: str) -> None:
    """The trail tells it all; the practice's outcomes; the theories, live."""
    who.go(f"{record}/trail")
    kinds = WORDS["trail"]["kinds"]
    for kind in ("scores", "treatments", "adverse_events", "links"):
        assert kinds[kind] in who.text, kind
    who.look("trail")
    who.go(record)
    who.look("record")
    who.go("/practice")
    assert WORDS["figures"]["notes"]["not_effect"] in who.text
    who.look("practice")
    who.go("/explain")
    who.look("explain")
    before = who.tab.inner_html("#pictures")
    for name, value in (("theories", "gate"), ("given", "naloxone"), ("mode", "electro")):
        box = who.tab.locator(f"input[name={name}][value={value}]")
        with who.tab.expect_response(re.compile("/explain")):
            who.tab.locator("#choices label", has=box).click()
    for slider in ("hz", "minutes"):
        with who.tab.expect_response(re.compile("/explain")):
            who.tab.focus(f"#{slider}")
            who.tab.keyboard.press("ArrowRight")
    expect(who.tab.locator("#of-gate")).to_contain_text(WORDS["explain"]["off"])
    assert who.tab.inner_html("#pictures") != before
    who.look("explain, changed")


