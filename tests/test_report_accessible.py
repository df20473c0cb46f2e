"""The report and the letter in a browser: for all eyes and ears, on a small screen and on two sheets of paper."""

from __future__ import annotations

import re
import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

import results
import trials
from deqi.consult.report import render, render_letter
from deqi.trial.report import page as trial_page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

PEOPLE = {"ordinary": results.FULL, "emergency": results.emergency(), "refer": results.refer(),
          "outside": results.outside()}
PAGES = {name: render(result) for name, result in PEOPLE.items()} | {
    f"letter, {name}": render_letter(result) for name, result in PEOPLE.items()} | {
    "trial": trial_page(trials.result(theories=["gate", "muscle"]).as_json())}
A4 = 96 / 25.4 * 188    # the width of a page between its margins, in CSS pixels


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    """A page that is not allowed to ask for anything: what it asks for is a failure."""
    opened, asked = browser.new_page(), []
    opened.on("request", lambda request: asked.append(request.url))
    yield opened
    opened.close()
    assert not [url for url in asked if url != "about:blank"]


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_nothing_scrolls_sideways(page, name):
    page.set_content(PAGES[name])
    looks = [(1200, "light"), (360, "dark"), (1200, "dark"), (360, "light")]
    for width, scheme in looks[:2] if "letter" in name else looks:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        found = Axe().run(page).response["violations"]
        assert not [(row["id"], [node["html"] for node in row["nodes"]]) for row in found], (width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_axe_would_find_something(page):
    """The check itself works: a picture without words and grey on grey are both told."""
    page.set_content('<html lang="en"><title>t</title><main><h1 style="color:#aaa;background:#999">Hard</h1>'
                     '<svg role="img"></svg></main></html>')
    assert {"color-contrast", "svg-img-alt"} <= {row["id"] for row in Axe().run(page).response["violations"]}


def test_text_may_be_twice_as_big(page):
    page.set_viewport_size({"width": 720, "height": 900})
    page.set_content(PAGES["ordinary"])
    page.add_style_tag(content="html { font-size: 200% !important }")
    assert page.evaluate("document.documentElement.scrollWidth") <= 720


def test_type_on_the_two_sheets_is_big(page):
    """Sentences stand in 10.5 points, and nothing said in words in less than 9."""
    page.emulate_media(media="print")
    page.set_content(PAGES["ordinary"])
    sizes = page.evaluate("""() => [...document.querySelectorAll('.summary p, .summary li, .summary td, .summary th')]
        .filter(e => e.offsetHeight && e.textContent.trim())
        .map(e => [Boolean(e.closest('table, figcaption, .key')), parseFloat(getComputedStyle(e).fontSize) * 0.75])""")
    assert min(size for _, size in sizes) > 8.9
    sentences = [size for aside, size in sizes if not aside]
    assert sum(size > 10.4 for size in sentences) > 0.9 * len(sentences)


@pytest.mark.parametrize(("name", "part", "sheets"), [
    ("ordinary", ".summary", 2), ("outside", ".summary", 1), ("emergency", "main", 1),
    ("ordinary", ".practitioner", 1), ("ordinary", ".letter", 1), ("refer", ".letter", 1)])
def test_parts_keep_to_their_sheets_of_paper(page, name, part, sheets):
    page.set_content(PAGES[name])
    if part != "main":
        page.add_style_tag(content=f"main > :not({part}) {{ display: none }}")
    paper = page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == sheets
    assert len(re.findall(rb"/MediaBox \[0 0 59[45]\.\d+ 84[12]\.", paper)) == sheets    # A4 in points


def test_nothing_is_cut_off_on_paper(page):
    page.emulate_media(media="print")
    page.set_viewport_size({"width": int(A4), "height": 1000})
    page.set_content(PAGES["ordinary"])
    assert page.evaluate("document.documentElement.scrollWidth") <= int(A4)


def test_page_is_one_small_file():
    assert all(len(html.encode()) < 1_000_000 for html in PAGES.values())
