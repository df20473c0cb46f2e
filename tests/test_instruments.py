"""Questionnaire scores: what may be entered, how items add up, what a score means, and that no wording ships."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from deqi.consult.assessment import RANGES, parse_patient
from deqi.consult.instruments import elsewhere, known, left_out, meaning
from deqi.errors import InputError
from deqi.evidence import document, exists, fact


def read(id: str, given: Any) -> dict[str, float]:
    """The scores of one questionnaire, read with a patient file."""
    patient = parse_patient({"patient": {"pain": {"week_average": 5}, "instruments": {id: given}}})
    return patient.instruments[id]


def refusal(id: str, given: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        read(id, given)
    assert "\n" not in str(caught.value)
    return caught.value


def test_every_questionnaire_of_the_evidence_is_read_or_left_out_for_a_reason() -> None:
    evidence = {entry["id"] for entry in document("proms")["entries"]}
    assert evidence == known().keys() | elsewhere().keys() | left_out().keys()
    assert all(left_out().values())


@pytest.mark.parametrize("instrument", known().values(), ids=known())
def test_ranges_and_licences_are_those_of_the_evidence(instrument: Any) -> None:
    body = fact(instrument.source).body
    assert body["licence"] in instrument.licence
    assert instrument.may == "enter_score" or body["licence"] in ("ask_first", "free_with_notice", "free_text_ok")
    total = instrument.total_part
    ranged = total is not None and total.range_source != "assumed"
    if ranged and isinstance(body["range"], list):
        assert [total.low, total.high] == body["range"]
    assert instrument.missing["source"] == "assumed" or exists(instrument.missing["source"])
    assert all(exists(row["source"]) for row in instrument.meanings)


def test_no_wording_of_a_questionnaire_ships() -> None:
    for instrument in known().values():
        assert all(len(part.name.split()) <= 4 for part in instrument.parts)


@pytest.mark.parametrize(("id", "given", "total"), [
    ("peg", {"pain": 6, "enjoyment": 5, "activity": 4}, 5),
    ("peg", {"pain": 6, "enjoyment": 5, "activity": 6, "total": 5.7}, 17 / 3),
    ("peg", 4.3, 4.3),
    ("phq2", {"interest": 1, "mood": 3}, 4),
    ("phq2", 3, 3),
    ("start_back", {"total": 5, "psychosocial": 3}, 5),
    ("omspq_sf", 55, 55),
])
def test_totals(id: str, given: Any, total: float) -> None:
    assert read(id, given)["total"] == pytest.approx(total)


def test_a_missing_item_gives_no_total_and_no_meaning() -> None:
    assert "total" not in read("peg", {"pain": 6, "enjoyment": 5})
    assert "total" not in read("phq2", {"interest": 3, "mood": "unknown"})
    assert meaning("phq2", read("phq2", {"interest": 3})) is None
    assert meaning("start_back", read("start_back", {"total": 6})) is None


@pytest.mark.parametrize(("id", "given", "field", "says"), [
    ("start_back", {"total": 10}, "start_back.total", "from 0 to 9"),
    ("start_back", {"total": 9, "psychosocial": 3}, "start_back.psychosocial", "from 5 to 5"),
    ("start_back", {"total": 2, "psychosocial": 3}, "start_back.psychosocial", "from 0 to 2"),
    ("peg", {"pain": 6, "enjoyment": 5, "activity": 6, "total": 9}, "peg.total", "mean is 5.67"),
    ("peg", {"pain": "6"}, "peg.pain", "not a number"),
    ("phq2", {"mood": 1.5}, "phq2.mood", "a whole number from 0 to 3"),
    ("phq2", {"moood": 1}, "phq2.moood", "nearest is `mood`"),
    ("phq2", True, "phq2.total", "not a whole number"),
    ("eq5d_5l", {"profile": 11161, "vas": 70}, "eq5d_5l.profile", "digits from 1 to 5"),
    ("eq5d_5l", {"profile": 11111}, "eq5d_5l.vas", "both parts"),
    ("eq5d_5l", 0.8, "eq5d_5l", "profile, vas"),
    ("fabq", {"work": 43}, "fabq.work", "from 0 to 42"),
    ("rmdq", 11, "rmdq", "`disability` for it"),
    ("rmqd", 11, "rmqd", "nearest is `rmdq`"),
    ("gpe", 3, "gpe", "not read"),
])
def test_a_score_that_cannot_be_is_told_with_its_field(id: str, given: Any, field: str, says: str) -> None:
    error = refusal(id, given)
    assert error.field == f"patient.instruments.{field}"
    assert says in str(error)


@pytest.mark.parametrize(("total", "psychosocial", "group"), [
    (0, 0, "Low"), (3, 3, "Low"), (4, 0, "Medium"), (7, 3, "Medium"), (4, 4, "High"), (9, 5, "High")])
def test_start_back_groups_are_the_published_ones(total: int, psychosocial: int, group: str) -> None:
    found = meaning("start_back", read("start_back", {"total": total, "psychosocial": psychosocial}))
    assert found is not None and found[0].startswith(group)


def test_every_start_back_score_that_can_be_has_one_group() -> None:
    # four items stand outside the psychosocial part, so the total exceeds it by 0 to 4
    for items, psychosocial in product(range(5), range(6)):
        assert meaning("start_back", read("start_back", {"total": items + psychosocial, "psychosocial": psychosocial}))


def test_phq2_asks_further_from_three_up() -> None:
    assert [meaning("phq2", {"total": total}) is not None for total in range(7)] == [False] * 3 + [True] * 4


def test_pain_and_disability_have_the_ranges_of_the_evidence() -> None:
    for id in ("nrs", "vas", "rmdq", "odi"):
        assert list(RANGES[id.upper()]) == fact(id).body["range"]


def test_scores_read_once_are_read_the_same_again() -> None:
    scores = read("peg", {"pain": 6, "enjoyment": 5, "activity": 6})
    assert read("peg", scores) == scores
