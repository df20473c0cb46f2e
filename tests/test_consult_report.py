"""The report and the terminal: safe to open, honest about size and doubt, never half written."""

from __future__ import annotations

import copy
import io
import json
import os
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from deqi.consult import figures, terminal
from deqi.consult.report import crowd, render, write
from deqi.consult.wording import texts
from deqi.errors import InputError

RESULT = json.loads((Path(__file__).parent / "data" / "consult_result.json").read_text(encoding="utf-8"))
VOID = {"meta", "br", "link", "img", "input", "hr"}
CODES = {"status", "kind", "action", "phase", "instrument", "outcome", "strength", "part", "calibration",
         "unit", "sex"}


class Page(HTMLParser):
    """A page read strictly: every tag closed in order; its ids, headings, tags and text kept."""

    def __init__(self, html: str):
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.tags: Counter[str] = Counter()
        self.headings: list[int] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.children: dict[int, list[str]] = {}
        self.words: list[str] = []
        self.svgs = 0
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "svg":
            self.svgs += 1
            self.children[self.svgs] = []
        elif self.open and self.open[-1] == "svg":
            self.children[self.svgs].append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] += 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def changed(**parts) -> dict:
    result = copy.deepcopy(RESULT)
    result.update(parts)
    return result


def emergency() -> dict:
    finding = {"id": "saddle_numbness", "kind": "emergency", "action": "emergency", "source": "ces",
               "text": "New numbness between the legs."}
    return changed(screening={"status": "emergency", "findings": [finding]}, options=[], tailored=None,
                   theories=None)


def outside() -> dict:
    result = changed(options=[], tailored=None, theories=None)
    result["patient"]["applicability"] = {"status": "outside", "reasons": ["Pregnancy was not studied."]}
    return result


def closed_acupuncture() -> dict:
    result = changed()
    result["options"][3] |= {"available": False, "why_not": "No needling with a severe bleeding disorder.",
                             "forecast": []}
    return result


def infested(value, key: str, payload: str):
    if isinstance(value, dict):
        return {name: infested(child, name, payload) for name, child in value.items()}
    if isinstance(value, list):
        return [infested(child, key, payload) for child in value]
    return value + payload if isinstance(value, str) and key not in CODES else value


def shown(result: dict, width: int = 80, report: str | None = "out/report.html") -> str:
    console = Console(file=io.StringIO(), width=width)
    terminal.show(result, console, report)
    return console.file.getvalue()


@pytest.mark.parametrize("result", [RESULT, emergency(), outside(), closed_acupuncture()])
def test_page_is_well_formed_and_every_figure_speaks(result):
    html = render(result)
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>") and ("html", "lang", "en") in page.attributes
    assert len(html.encode()) < 1_000_000
    assert len(page.ids) == len(set(page.ids))
    assert page.headings[0] == 1 and page.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    assert all(children[:2] == ["title", "desc"] for children in page.children.values())
    targets = [name for _, attribute, value in page.attributes for name in value.split()
               if attribute == "aria-labelledby"]
    assert set(targets) <= set(page.ids)


def test_page_asks_for_nothing_outside_itself():
    html, page = render(RESULT), Page(render(RESULT))
    assert not set(page.tags) & {"script", "link", "img", "iframe", "object", "embed", "form", "use", "image"}
    asking = ("href", "src", "srcset", "xlink:href", "action")
    links = [value for _, name, value in page.attributes if name in asking]
    assert all(link.startswith("#") and link[1:] in page.ids for link in links)
    assert "@import" not in html and "url(" not in html
    assert not [name for _, name, _ in page.attributes if name.startswith("on") or name == "style"]


@pytest.mark.parametrize("payload", [
    "<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "</style><b>", "{{ 7*7 }}{% raw %}",
    "--></svg></title><svg onload=x>", "&lt;b&gt;", "{0.__class__}{label}"])
def test_what_a_file_says_never_becomes_markup(payload):
    honest, page = Page(render(RESULT)), Page(render(infested(RESULT, "", payload)))
    assert not set(page.tags) - set(honest.tags)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "example-1" + " ".join(payload.split()) in page.text


def test_emergency_says_what_to_do_and_nothing_else():
    page = Page(render(emergency()))
    assert "Emergency" in page.text and "emergency department today" in page.text
    assert "New numbness between the legs." in page.text
    assert page.headings == [1, 2] and page.svgs == 0 and page.tags["table"] == 0
    words = texts()
    for absent in (words["plan"]["device"], words["lead"], words["sham"]["short"], "of 100", "example-1"):
        assert absent not in page.text
    lines = shown(emergency()).strip().splitlines()
    assert "emergency department today" in " ".join(lines) and "Pain" not in " ".join(lines)


def test_outside_the_evidence_there_is_a_reason_and_no_number():
    page = Page(render(outside()))
    assert "Pregnancy was not studied." in page.text and "6 out of 10" in page.text
    assert page.svgs == 0 and "at week 12" not in page.text and "less pain" not in page.text
    assert "less pain" not in shown(outside()) and "Pregnancy was not studied." in shown(outside())


def test_uncalibrated_numbers_say_so_until_they_are_calibrated():
    assert texts()["uncalibrated"] in Page(render(RESULT)).text
    calibrated = changed(evidence=RESULT["evidence"] | {"calibration": "calibrated on 80 trials"})
    page = Page(render(calibrated))
    assert "ot yet calibrated" not in page.text and "calibrated on 80 trials" in page.text
    assert "Not yet calibrated" in shown(RESULT) and "Not yet calibrated" not in shown(calibrated)


def test_small_size_against_sham_stands_wherever_a_benefit_does():
    html = render(RESULT)
    for item in ("options", "needles", "plan"):
        section = html[html.index(f'<section class="{item}"'):]
        words = Page(section[:section.index("</section>")] + "</section>").text
        assert "small" in words and re.search(r"3\.5 of 100|0\.35 of 10", words), item
    assert texts()["sham"]["short"] in " ".join(shown(RESULT).split())


@pytest.mark.parametrize("result", [RESULT, changed(tailored=None)])
def test_not_a_medical_device_is_said_once_on_the_page_and_once_in_the_letter(result):
    page, letter = render(result).split('<section class="letter"')
    assert page.count("not a medical device") == letter.count("not a medical device") == 1


def test_not_a_medical_device_is_said_once_on_a_terminal():
    assert " ".join(shown(RESULT).split()).count("not a medical device") == 1


def test_every_array_holds_a_hundred_people_and_the_counts_it_claims():
    html = render(RESULT)
    arrays = re.findall(r'<svg viewBox="0 0 110 110".*?</svg>', html, flags=re.S)
    assert len(arrays) == 5
    for array, option in zip(arrays, RESULT["options"], strict=True):
        marks = {kind: len(re.findall("<circle" if kind != "worse" else "<path", group))
                 for kind, group in re.findall(r'<g class="mark-(\w+)">(.*?)</g>', array, flags=re.S)}
        assert sum(marks.values()) == 100
        assert marks["anyway"] + marks["extra"] == option["benefit"]["improved_30pct"]["with"]
        assert marks["anyway"] == RESULT["options"][0]["benefit"]["improved_30pct"]["with"]


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_crowd_accounts_for_everyone(improved, anyway, worse):
    counts = crowd({"improved_30pct": {"with": improved, "without": anyway}, "worse": {"with": worse}})
    assert sum(counts.values()) == 100 and min(counts.values()) >= 0
    assert counts["anyway"] + counts["extra"] == improved
    assert not (counts["extra"] and counts["fewer"])


def test_forbidden_option_keeps_its_column_and_says_why():
    page, reason = Page(render(closed_acupuncture())), "No needling with a severe bleeding disorder."
    assert page.text.count(reason) == 1
    assert page.attributes.count(("th", "role", "columnheader")) == 5
    assert f"Acupuncture. Not for you now. {reason}" in " ".join(shown(closed_acupuncture()).split())


def test_unknown_harm_is_not_shown_as_none():
    result = changed()
    result["options"][3]["harms"] = {"common": [], "rare": [], "notes": []}
    before, after = (Page(render(one)).text.count(texts()["options"]["no_harm_known"]) for one in (RESULT, result))
    assert after == before + 2


def test_long_list_of_unasked_questions_moves_to_the_record():
    asked = [{"id": f"q{k}", "kind": "not_asked", "action": "ask", "source": "ces",
              "text": f"Not asked: Is it {k}?"} for k in range(21)]
    text = Page(render(changed(screening={"status": "caution", "findings": asked}))).text
    assert text.index("21 safety questions") < text.index("For the record") < text.index("Is it 20?")


@pytest.mark.parametrize("key", ["funding", "update_policy", "date"])
def test_untold_provenance_is_named_not_dropped(key):
    result = changed(provenance=RESULT["provenance"] | {key: None})
    before, after = (Page(render(one)).text.count(texts()["record"]["missing"]) for one in (RESULT, result))
    assert after == before + (2 if key == "date" else 1)


@pytest.mark.parametrize("path", [("provenance", "version"), ("evidence", "caveats"), ("screening", "status"),
                                  ("patient", "applicability"), ("tailored", "reasons")])
def test_incomplete_result_is_refused_rather_than_left_blank(path):
    result = changed()
    del result[path[0]][path[1]]
    with pytest.raises(InputError, match=path[1]):
        render(result)


def test_interrupted_write_leaves_the_old_report(tmp_path, monkeypatch):
    target = tmp_path / "report.html"
    target.write_text("old")

    def crash(*_):
        raise KeyboardInterrupt

    for step in ("fsync", "replace"):
        monkeypatch.setattr(os, step, crash)
        with pytest.raises(KeyboardInterrupt):
            write(RESULT, target)
        assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]
        monkeypatch.undo()
    write(RESULT, target)
    assert target.read_text(encoding="utf-8") == render(RESULT) and list(tmp_path.iterdir()) == [target]


def test_report_that_cannot_be_written_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        write(RESULT, tmp_path / "no" / "report.html")
    with pytest.raises(InputError, match="cannot be written"):
        write(RESULT, tmp_path)


finite = st.floats(-12, 12).map(lambda value: round(value, 2))
triples = st.tuples(finite, finite, finite).map(sorted)
plans = st.tuples(st.integers(0, 60), st.integers(0, 100), st.text(max_size=30))


@settings(max_examples=60, deadline=None)
@given(st.lists(triples, min_size=1, max_size=5), st.lists(plans, min_size=1, max_size=8))
def test_figures_stay_inside_their_frame(parts, plans):
    rows = [{"label": "part", "low": low, "median": median, "high": high} for low, median, high in parts]
    points = [{"label": label, "visits": visits, "improved_30pct": count, "chosen": k == 0}
              for k, (visits, count, label) in enumerate(plans)]
    words = texts()
    for svg in (figures.parts(rows, words["needles"]["figure"], 12, "parts"),
                figures.trade_off(points, words["plan"]["figure"], 12, "trade")):
        width, height = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups())
        for axis, limit in (("x", width), ("y", height)):
            places = re.findall(rf' (?:{axis}[12]?|c{axis})="([^"]+)"', svg)
            assert all(0 <= float(place) <= limit for place in places)
        assert all(float(size) >= 0 for size in re.findall(r' (?:width|height|r)="([^"]+)"', svg))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 100)] * 3).map(sorted), min_size=1, max_size=6),
       st.tuples(*[st.floats(0, 4)] * 3))
def test_ranges_and_parts_of_a_spread_keep_their_order_and_fill_their_bar(ranges, parts):
    options = [{"label": "One", "benefit": {"improved_30pct": {
        "with": middle, "without": ranges[0][1], "range_average": [low, high]}}} for low, middle, high in ranges]
    words = texts()["certainty"]["figure"]
    svg = figures.comparison(options, words["average"], 12, "average")
    lines = re.findall(r'<line x1="([\d.]+)" y1="[\d.]+" x2="([\d.]+)" y2="[\d.]+" class="range"', svg)
    dots = re.findall(r'<circle cx="([\d.]+)"', svg)
    assert len(lines) == len(dots) == len(ranges)
    assert all(float(a) <= float(dot) <= float(b) for (a, b), dot in zip(lines, dots, strict=True))
    bar = figures.spread(dict(zip(words["spread"]["labels"], parts, strict=True)), words["spread"], "spread")
    wide = [float(width) for width in re.findall(r'y="20" width="([\d.]+)"', bar)]
    if sum(part**2 for part in parts) > 1e-6:
        assert sum(wide) == pytest.approx(figures.WIDTH, abs=0.5)


def test_pain_is_drawn_on_a_zero_based_axis():
    rows = [row for row in RESULT["options"][0]["forecast"] if row["outcome"] == "NRS"]
    scores = [{"week": 0, "value": 10}, {"week": -1, "value": 0}]
    svg = figures.fan(rows, scores, texts()["course"]["figure"], "fan")
    ten, zero = (float(y) for y in re.findall(r'<circle cx="[^"]+" cy="([^"]+)"', svg))
    middle = float(re.search(r'd="M[\d.]+ ([\d.]+)[^"]*" class="median"', svg)[1])
    assert (zero - middle) / (zero - ten) == pytest.approx(rows[0]["quantiles"]["0.5"] / 10, abs=0.01)


@settings(max_examples=25, deadline=None)
@given(findings=st.integers(0, 60), steps=st.integers(0, 40), width=st.integers(40, 200))
def test_terminal_never_needs_more_than_forty_lines(findings, steps, width):
    result = changed()
    result["screening"]["findings"] = [RESULT["screening"]["findings"][0]] * findings
    result["tailored"]["plan"] = ["Acupuncture for 30 minutes, twice a week."] * steps
    lines = shown(result, width).splitlines()
    assert len(lines) <= 40
    assert lines[-1].startswith("Report: out/report.html") and "Take care" in lines[0]
    assert max(map(len, lines)) <= width


def test_terminal_prints_text_as_text():
    result = infested(RESULT, "", "[red]x[/red]\x1b[31m\x07")
    words = shown(result, 200)
    assert "[red]x[/red]" in words and "\x1b" not in words and "\x07" not in words


def luminance(colour: str) -> float:
    channels = [int(colour[k:k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1])
def test_text_has_the_contrast_of_wcag_aa(theme):
    style = re.search(r"<style>(.*?)</style>", render(RESULT), flags=re.S)[1]
    root = re.findall(r":root \{(.*?)\}", style, flags=re.S)[theme]
    palette = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", root))
    pairs = [("ink", "page"), ("soft", "page"), ("accent", "page"), ("warn", "page"), ("ink", "panel"),
             ("soft", "panel"), ("ink", "warn-pale"), ("soft", "warn-pale"), ("on-warn", "warn"),
             ("on-accent", "accent")]
    for front, back in pairs:
        light, dark = sorted((luminance(palette[front]), luminance(palette[back])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (front, back)


def sentences(value) -> list[str]:
    if isinstance(value, dict):
        return [line for child in value.values() for line in sentences(child)]
    if isinstance(value, list):
        return [line for child in value for line in sentences(child)]
    return re.findall(r"[A-Z][^.!?]*[.!?](?= |$)", str(value).replace("\n", " "))


@pytest.mark.parametrize("part", ["lead", "screening", "stand", "course", "options", "sham", "needles",
                                  "plan", "review", "certainty"])
def test_fixed_words_up_to_item_8_read_at_about_twelve(part):
    """Flesch-Kincaid grade of 7 is the age of 12; syllables counted as groups of vowels."""
    lines = sentences(texts()[part])
    tokens = [token for line in lines for token in re.findall(r"[A-Za-z']+", re.sub(r"\{\w+\}", "it", line))]
    vowels = [re.findall(r"[aeiouy]+", token.lower().removesuffix("e")) for token in tokens]
    syllables = sum(max(1, len(groups)) for groups in vowels)
    assert 0.39 * len(tokens) / len(lines) + 11.8 * syllables / len(tokens) - 15.59 <= 7
