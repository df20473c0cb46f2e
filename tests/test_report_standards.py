"""What a decision aid must hold, how hard it is to read, and the letter that goes with it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
from rich.console import Console

import results
from deqi.consult import terminal
from deqi.consult.letter import letter, practitioner
from deqi.consult.report import render, render_letter
from deqi.consult.rules import table
from deqi.errors import InputError
from deqi.evidence import exists

BODY = re.compile(r"<body>.*</body>", re.S)
SILENT = {"svg", "sup", "nav"}
SAID = {"p", "li", "td", "th", "h2", "h3", "dd", "dt"}


def body(html: str) -> ElementTree.Element:
    return ElementTree.fromstring(BODY.search(html)[0])


def words(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).split())


REPORT = body(render(results.FULL))
MARKED = {mark: [element for element in REPORT.iter() if mark in element.get("data-ipdas", "").split()]
          for mark in "Q1 Q2 Q3 Q4 Q5 Q6 C1 C2 C3 C4 C5 C6".split()}
TOLD = {mark: " ".join(map(words, elements)) for mark, elements in MARKED.items()}
LABELS = [option["label"] for option in results.FULL["options"]]
CELLS = {mark: [words(cell) for row in MARKED[mark] for cell in row.iter("td")] for mark in ("Q4", "Q5", "Q6")}


@pytest.mark.parametrize("mark", MARKED)
def test_every_criterion_of_a_decision_aid_has_its_place(mark):
    assert len(TOLD[mark]) > 10


def test_what_stands_there_is_what_the_criterion_asks_for():
    made, options = results.FULL["provenance"], results.FULL["options"]
    assert "Low back pain is" in TOLD["Q1"] and "In studies of back pain" in TOLD["Q1"]
    assert "choose" in TOLD["Q2"] and "nothing more" in TOLD["Q2"]
    assert all(label in TOLD["Q3"] for label in LABELS) and "No further treatment" in TOLD["Q3"]
    for mark in ("Q4", "Q5", "Q6"):
        assert len(CELLS[mark]) % len(LABELS) == 0 and all(CELLS[mark])
    for option, cell in zip(options, CELLS["Q4"], strict=False):
        assert f"{option['benefit']['improved_30pct']['with']} of 100 better" in cell.replace("  ", " ")
        assert f"{option['benefit']['worse']['with']} clearly worse" in cell    # C1: both sides in one picture
        assert option["experience"] in TOLD["Q6"]
    assert "9 of 100 any side effect" in TOLD["Q5"] and "visits" in TOLD["Q5"]
    assert MARKED["Q4"][0] in list(MARKED["C1"][0].iter()) and MARKED["Q5"][0] in list(MARKED["C1"][0].iter())
    assert len(list(MARKED["C2"][0].iter("li"))) > 10 and "doi" in TOLD["C2"]
    assert made["date"] in TOLD["C3"] and TOLD["C4"] == made["update_policy"] and TOLD["C6"] == made["funding"]
    low, high = options[-1]["benefit"]["improved_30pct"]["range_average"]
    assert f"could be {low} to {high}" in TOLD["C5"] and all(label in TOLD["C5"] for label in LABELS)


def spoken(element: ElementTree.Element) -> Iterator[str]:
    """The sentences in an element: what ends with a full stop. Labels and numbers in cells are none."""
    def text(part: ElementTree.Element) -> str:
        inside = "" if part.tag in SILENT or part.get("aria-hidden") else (part.text or "") + "".join(map(text, part))
        return inside + (part.tail or "")

    for block in element.iter():
        if block.tag in SAID and not any(child.tag in SAID for child in block.iter() if child is not block):
            told = re.sub(r"\([^)]*\)", "", " ".join(text(block).split()))
            yield from re.findall(r"[A-Z][^.!?]*(?:\d\.\d[^.!?]*)*[.!?](?= |$)", told)


def grade(lines: list[str]) -> float:
    """Flesch-Kincaid; syllables are counted as groups of vowels."""
    tokens = [token for line in lines for token in re.findall(r"[A-Za-z']+|\d+", line)]
    vowels = [re.findall(r"[aeiouy]+", token.lower().removesuffix("e")) for token in tokens]
    syllables = sum(max(1, len(groups)) for groups in vowels)
    return 0.39 * len(tokens) / len(lines) + 11.8 * syllables / len(tokens) - 15.59


def part(name: str) -> ElementTree.Element:
    return next(element for element in REPORT.iter() if element.get("class") == name)


@pytest.mark.parametrize(("name", "sentences"), [("summary", 40), ("practitioner", 15)])
def test_what_the_patient_takes_home_reads_at_about_twelve(name, sentences):
    lines = [line for line in dict.fromkeys(spoken(part(name))) if len(line.split()) >= 4]    # short ones flatter
    assert len(lines) >= sentences
    assert grade(lines) <= 7


def test_a_theory_stands_beside_course_context_and_chance_as_a_hypothesis():
    told = words(part("theories"))
    assert told.count("hypothesis") >= 5
    for row in results.FULL["theories"]["decomposition"]:
        assert row["label"] in told
    assert results.FULL["theories"]["method"] in told


def test_what_a_result_does_not_carry_is_left_out():
    bare = results.full()
    for key in ("goals", "limits", "searched"):
        del bare["tailored"][key]
    for option in bare["options"]:
        del option["uncertainty"], option["notes"]
    del bare["review"], bare["conditioning"], bare["evidence"]["versus_nsaid"], bare["theories"]["method"]
    for row in bare["theories"]["shares"]:
        del row["points"]
    html = render(bare)
    assert "anti-inflammatory tablets:" not in html and "Why the range is so wide" not in html
    for words in ("What counts for you", "Your limits", "Changed to fit", "You began", "earlier scores were used"):
        assert words not in html


def test_care_under_way_is_judged_by_both_roads():
    told, now = words(part("review")), results.FULL["review"]["of_100"]
    assert f"If you go on, {now['going_on']} of 100" in told and f"if you stop, {now['stopping']}" in told
    console = Console(file=io.StringIO(), width=120)
    terminal.show(results.FULL, console)
    lines = console.file.getvalue().splitlines()
    assert len(lines) <= 40 and f"If you go on, {now['going_on']} of 100" in " ".join(lines)


def test_scores_that_fit_nobody_are_told_where_the_doubt_stands():
    strange = results.full(conditioning=results.FULL["conditioning"] | {"degenerate": True})
    assert "unlike those of almost all people" in render(strange)
    assert "unlike those of almost all people" not in render(results.FULL)


@pytest.mark.parametrize("result", [results.FULL, results.refer(), results.outside()])
def test_signs_of_an_emergency_stand_on_every_page_that_is_none(result):
    assert words(body(render(result))).count(table("red_flags")["safety_net"]["text"]) == 1


def test_all_reasons_stand_on_the_clinicians_pages_with_their_sources():
    told = words(part("details"))
    for row in results.FULL["tailored"]["reasons"]:
        assert row["choice"] in told and row["reason"] in told


def test_practitioner_lines_have_a_source_or_say_assumed():
    rows = [row for name in ("is", "ask", "leave", "after") for row in practitioner()[name]]
    assert all(row["source"] == "assumed" or exists(row["source"]) for row in rows)
    assert sum(row["source"] != "assumed" for row in rows) > len(rows) / 2


def section(written: dict, name: str) -> str:
    return next((" ".join(map(str, part.get("lines") or part["fields"].values())) for part in written["sections"]
                 if part["name"] == name), "")


@pytest.mark.parametrize(("result", "kind"), [
    (results.FULL, "hand_over"), (results.outside(), "hand_over"), (results.refer(), "referral"),
    (results.emergency(), "referral")])
def test_letter_is_a_referral_where_a_doctor_comes_first(result, kind):
    written = letter(result)
    assert written["kind"] == kind
    for finding in result["screening"]["findings"]:
        assert finding["text"] in section(written, "found")
    for name in result["screening"]["forbids"]:
        assert table("contraindications")["forbiddable"][name] in section(written, "forbidden")
    assert written["title"] in render_letter(result)


def test_hand_over_carries_plan_prescription_forecast_review_and_caveats():
    written, tailored = letter(results.FULL), results.FULL["tailored"]
    assert all(step in section(written, "plan") for step in tailored["plan"])
    assert "superficial" in section(written, "prescription")
    better = results.FULL["options"][-1]["benefit"]["improved_30pct"]
    assert f"{better['with']} are likely" in section(written, "forecast")
    assert f"{better['without']} with no further" in section(written, "forecast")
    assert all(row["stop"] in section(written, "review") for row in tailored["review"])
    assert "warfarin" in section(written, "person")
    assert "not been tested on single persons" in section(written, "caveats")


def test_prescription_goes_through_all_items_and_says_what_was_not_stated():
    fields = next(part["fields"] for part in letter(results.FULL)["sections"] if part["name"] == "prescription")
    items = [name.split()[0] for name in fields]
    assert items == ["1a", "1b", "1c", "2a", "2b", "2c", "2d", "2e", "2f", "2g", "3a", "3b", "4a", "4b", "5", "6"]
    assert fields["2c depth"] == "superficial" and fields["1b reasoning"] == "not stated"
    assert not section(letter(results.refer()), "prescription")


def test_emergency_letter_asks_for_today_and_plans_nothing():
    written = letter(results.emergency())
    assert "today" in written["request"]
    assert not section(written, "plan") and not section(written, "forecast") and not section(written, "prescription")


def test_letter_without_a_forecast_says_so_and_names_what_was_not_told():
    result = results.outside()
    result["patient"] |= {"age": None, "sex": "unknown", "medicines": None}
    result["patient"]["pain"] |= {"duration_weeks": None, "leg_pain": None}
    written = letter(result)
    assert "No forecast" in section(written, "forecast")
    assert section(written, "person").lower().count("not told") == 5


def test_incomplete_result_makes_no_letter():
    result = results.full()
    del result["screening"]["status"]
    with pytest.raises(InputError, match="status"):
        render_letter(result)
