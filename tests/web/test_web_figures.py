"""Holds the web's figures to what a reader must be able to see, hear and trust in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

import deqi.web
from deqi.consult.figures import CHARACTER
from deqi.web import figures, outcomes, rates, stricta
from deqi.web.catalogue import texts

WEB = Path(deqi.web.__file__).parent
WORDS = texts()["figures"]
KINDS = texts()["stricta"]["kinds"]
SESSIONS = [f"s{k}" for k in range(400)]


def drawn(figure: Markup) -> ElementTree.Element:
    return ElementTree.fromstring(str(figure))


def marks(figure: Markup, kind: str) -> list[ElementTree.Element]:
    return [each for each in drawn(figure).iter() if kind in each.get("class", "").split()]


def said(figure: Markup) -> str:
    return " ".join(each.text or "" for each in drawn(figure) if each.tag in ("title", "desc"))


def forecast(low: float = 2.0, high: float = 6.0) -> list[dict[str, Any]]:
    return [{"week": week, "outcome": "NRS", "quantiles": {"0.1": low, "0.25": low + 0.5, "0.5": (low + high) / 2,
                                                           "0.75": high - 0.5, "0.9": high}} for week in (0, 4, 12)]


def followed(*scores: tuple[float, float], reviews: tuple[float, ...] = (2, 6), **bands: float) -> Markup:
    rows = [{"week": week, "value": value} for week, value in scores]
    return figures.followed(forecast(**bands), rows, WORDS["followed"], "f", reviews)


def row(label: str, n: int, share: float, chance: float = 0.4) -> dict[str, Any]:
    course = outcomes.Course("p", label, "k", 6.0, (), (), 30.0)
    held = [outcomes.Held(course, 0.0 if k < round(share * n) else 6.0, 4.0, 2.0, 6.0, chance) for k in range(n)]
    return outcomes.group(label, held, 0)


def funnel(*rows: dict[str, Any]) -> Markup:
    return figures.funnel(rows, WORDS["funnel"], 12, "g")


def harms(bleedings: int, of: int = 400) -> list[dict[str, Any]]:
    events = [rates.Harm("bleeding", f"p{k}", f"s{k}") for k in range(bleedings)]
    return rates.rates(events, SESSIONS[:of], [f"p{k}" for k in range(60)])


def rated(rows: list[dict[str, Any]], unit: str = "per_treatment") -> Markup:
    return figures.rates(rows, KINDS, unit, WORDS["rates"], "h")


BINS = [{"forecast": 0.1 * k, "share": 0.09 * k, "interval": [0.05 * k, 0.12 * k], "n": 12} for k in range(1, 6)]
ALL = {
    "followed": followed((0, 6), (2, 9.5), (5, 4), (9, 0)), "begun": followed(), "long": followed((60, 4)),
    "funnel": funnel(row("Dr A", 40, 0.4), row("Dr B", 150, 0.1), row("A group with a long name", 60, 0.55),
                     row("Dr C", 4, 0.5)), "one group": funnel(row("all", 12, 1.0)), "no group": funnel(row("a", 3, 0)),
    "calibration": figures.calibration(BINS, WORDS["calibration"], 12, "c"),
    "no bins": figures.calibration([], WORDS["calibration"], 12, "c"),
    "rates": rated(harms(9)), "people": rated(harms(9), "per_patient"), "few": rated(harms(1, 5)),
}


@pytest.mark.parametrize("name", ALL)
def test_a_figure_is_named_for_those_who_hear_it_and_styled_by_classes_only(name: str) -> None:
    root = drawn(ALL[name])
    title, desc = root[0], root[1]
    assert title.tag == "title" and desc.tag == "desc" and title.text and len(desc.text or "") > 20
    assert root.get("role") == "img" and root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert not any("style" in each.attrib or "fill" in each.attrib for each in root.iter())
    assert "{" not in said(ALL[name]) and "None" not in str(ALL[name]) and "nan" not in str(ALL[name])


@pytest.mark.parametrize("name", ALL)
def test_words_stay_inside_the_figure(name: str) -> None:
    root = drawn(ALL[name])
    width, height = (float(part) for part in root.get("viewBox", "").split()[2:])
    for each in root.iter("text"):
        x, wide = float(each.get("x", 0)), CHARACTER * len(each.text or "")
        left = x - {"start": 0, "middle": wide / 2, "end": wide}[each.get("text-anchor", "start")]
        assert left >= -4 and left + wide <= width + 4, each.text
        assert 10 <= float(each.get("y", 0)) <= height - 2, each.text


@pytest.mark.parametrize("name", ALL)
def test_every_class_has_a_style(name: str) -> None:
    sheets = WEB.parent / "consult" / "templates" / "style.css", WEB / "static" / "figures.css"
    css = "".join(sheet.read_text(encoding="utf-8") for sheet in sheets)
    used = {kind for each in drawn(ALL[name]).iter() for kind in each.get("class", "").split()}
    assert {kind for kind in used if f".{kind} " not in css} <= {"keys", "here", "bound"}  # groups, without a look


def test_pain_is_drawn_on_the_whole_scale_from_zero() -> None:
    spots = {float(each.get("cy", 0)) for each in marks(followed((1, 6), (2, 2), low=0, high=10), "own")}
    assert spots == {196 - 17 * 6, 196 - 17 * 2, 256 - 5}  # the last is the key's


def test_scores_outside_the_wide_band_differ_in_shape_and_are_told() -> None:
    figure = followed((0, 6), (2, 6.1), (3, 1.9), (8, 2))
    assert len(marks(figure, "beyond")) == 2 + 2 and len(marks(figure, "own")) == 2 + 1  # and the keys
    assert "6.1 at week 2 (above the wide band)" in said(figure) and "1.9 at week 3 (below" in said(figure)
    tips = [each.get("d", "") for each in marks(figure, "beyond")]
    assert len({re.sub(r"^M[\d.]+ ", "", tip) for tip in tips}) == len(tips)


def test_the_band_between_two_forecast_weeks_is_straight() -> None:
    rows = [{"week": week, "outcome": "NRS", "quantiles": dict.fromkeys(("0.1", "0.25"), low) | dict.fromkeys(
        ("0.5", "0.75", "0.9"), 8.0)} for week, low in ((0, 6.0), (4, 2.0))]
    for value, beyond in ((4.01, 0), (3.99, 2)):
        figure = figures.followed(rows, [{"week": 2, "value": value}], WORDS["followed"], "f")
        assert len(marks(figure, "beyond")) == beyond


def test_reviews_are_marked_and_those_outside_the_course_are_not() -> None:
    assert len(marks(followed(reviews=(0, 2, 6, 99)), "review")) == 2 + 1
    assert not marks(followed(reviews=()), "review")


def test_names_from_people_cannot_become_markup() -> None:
    figure = funnel(row("<script>x</script>", 30, 0.4), row('"&', 12, 0.4))
    assert "<script" not in str(figure) and "<script>x</script>" in said(figure)


@given(st.integers(10, 300), st.floats(0, 1), st.floats(0.15, 0.85))
def test_a_mark_lies_beyond_the_line_that_its_shape_says(n: int, share: float, chance: float) -> None:
    one = row("a", n, share, chance)
    beyond = {level: abs(one["difference"]) > figures._limit(n, one["variance"], level) for level in outcomes.TAILS}
    told = {"95": one["verdict"] != "inside", "99.8": one["verdict"] == "outside_998"}
    for level in outcomes.TAILS:  # lines are drawn by the normal, verdicts are exact: they part by a person or two
        near = abs(abs(one["difference"]) - figures._limit(n, one["variance"], level)) < 2.0 / n
        assert near or beyond[level] == told[level]


def test_a_group_of_few_is_named_and_not_drawn() -> None:
    figure = funnel(row("Dr A", 40, 0.4), row("Dr C", 9, 0.5))
    assert len(marks(figure, "own")) == 1 + 1 and "fewer than 10 people: Dr C" in said(figure)


def test_the_interval_of_a_bin_is_drawn_where_it_lies() -> None:
    whiskers = marks(ALL["calibration"], "whisker")
    for one, whisker in zip(BINS, whiskers, strict=True):
        ends = [float(whisker.get(key, 0)) for key in ("y1", "y2")]
        assert ends == pytest.approx([276 - 250 * bound for bound in one["interval"]], abs=0.06)


def test_a_rate_and_its_published_one_share_a_scale_and_are_told_apart() -> None:
    figure = rated([one for one in harms(10) if one["kind"] in ("bleeding", "pneumothorax", "burn")])
    assert len(marks(figure, "middle")) == 1 + 1 and len(marks(figure, "published")) == 2 + 1
    assert "bleeding or a bruise: here 2.5 (1.2–4.5); published 2.6 (2.4–2.9)" in said(figure)
    assert "none in 400: at most 0.75" in said(figure) and "no published rate" in said(figure)


def test_few_treatments_are_counts_only() -> None:
    assert "1 of 5: too few to tell" in said(ALL["few"]) and not marks(ALL["few"], "range")


def test_numbers_are_written_as_the_reader_writes_them() -> None:
    def comma(value: float | None, digits: int = 1) -> str:
        return f"{value:.{digits}f}".replace(".", ",")

    figure = figures.followed(forecast(), [{"week": 1, "value": 6.5}], WORDS["followed"], "f", number=comma)
    assert "6,5 at week 1,0" in said(figure)


@given(st.lists(st.tuples(st.floats(0, 52), st.floats(0, 10)), max_size=30))
def test_any_scores_can_be_drawn(scores: list[tuple[float, float]]) -> None:
    figure = followed(*scores)
    assert np.isfinite([float(part) for each in drawn(figure).iter() for part in re.findall(r"-?[\d.]+",
                                                                                            each.get("d", ""))]).all()


def test_every_note_has_words() -> None:
    crowd = [outcomes.Course(f"p{k}", f"c{k % 4}", "k", 6.0, (), (), 30.0) for k in range(9)]
    ids = {"few", "missing", "no_forecast", "limits", "edges", "dispersion", "not_effect", "rates"}
    assert set(WORDS["notes"]) == ids and set(outcomes.outcomes(crowd, 12)["notes"]) <= ids
    assert {one["kind"] for one in harms(1)} == set(KINDS) == {*stricta.table()["summaries"], *stricta.table()["kinds"]}
