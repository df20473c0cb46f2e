"""Holds the treatment record to its table, to the plans that fill it in, and to forms that cannot be."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import FormData

from deqi import evidence
from deqi.care import Needling, plan_from
from deqi.consult.rules import table as rules
from deqi.errors import InputError
from deqi.tables import shipped
from deqi.web import stricta
from deqi.web.problems import Problems
from deqi.web.stricta import fields, prefill, read

SESSION = {"stimulation": "manual", "retention_minutes": "20"}
EVENT = {"kind": "bleeding", "severity": "mild", "treated": "no", "relation": "certain", "outcome": "recovered"}
TEXTS = shipped(Path(stricta.__file__).parent / "texts" / "en" / "stricta.yaml")


def number(text: str) -> float:
    """As the pages read numbers, with a comma or a point."""
    return float(text.replace(",", "."))


def problems(record: str, form: Any) -> dict[str, str]:
    with pytest.raises(Problems) as refused:
        read(record, form, number)
    return refused.value.by_field


def typed(value: Any) -> Any:
    """A stored value as a form would send it."""
    return value if isinstance(value, list | str) else repr(value)


PLANS = ["manual acupuncture 30 min twice a week for 5 weeks, at BL23, GB34, 12 needles",
         "electroacupuncture 2/100 Hz 3 mA 20 min once a week for 6 weeks",
         "dry needling 20 min once a week for 4 weeks",
         "acupuncture 25 min once a week for 6 weeks, 15 mm deep", "sham acupuncture 20 min once a week for 4 weeks",
         "placebo needling 20 min once a week for 4 weeks"]


@pytest.mark.parametrize("plan", PLANS)
def test_what_a_plan_fills_in_is_a_session_that_can_be_stored(plan: str) -> None:
    filled = prefill([plan, "walking 30 min 5 times a week for 12 weeks"])
    assert read("treatment", {id: typed(value) for id, value in filled.items()}, number) == filled
    needling = plan_from(plan).courses[0]
    assert isinstance(needling, Needling)
    assert filled["stimulation"] == needling.mode and filled["retention_minutes"] == needling.retention_minutes
    assert filled["other_interventions"].startswith("walking")


def test_a_plan_without_needles_fills_in_only_the_other_care() -> None:
    assert list(prefill(["walking 30 min 5 times a week for 12 weeks"])) == ["other_interventions"]
    assert prefill(["nothing"]) == {}


def test_all_items_of_stricta_about_a_session_are_there() -> None:
    items = {field.item for field in fields("treatment")}
    assert items >= {"1a", "1b", "1c", *(f"2{letter}" for letter in "abcdefg"), "3a", "4a", "4b", "5"}


def test_every_field_choice_and_kind_has_words_and_no_word_is_idle() -> None:
    choices: dict[str, set[str]] = {}
    for record in ("treatment", "adverse_event"):
        assert list(TEXTS[record]) == [field.id for field in fields(record)]
        choices |= {field.id: set(field.choices) for field in fields(record) if field.choices}
    assert choices.pop("kind") == set(stricta.table()["kinds"])
    assert {id: set(words) for id, words in TEXTS["choices"].items()} == choices
    assert list(TEXTS["kinds"]) == [*stricta.table()["summaries"], *stricta.table()["kinds"]]


def test_every_harm_of_needling_that_a_patient_is_told_of_can_be_recorded() -> None:
    told = {row["id"] for name in rules("harms")["lists"] for row in rules("harms")["care"]["needling"].get(name, [])}
    facts = {id for row in [*stricta.table()["kinds"].values(), *stricta.table()["summaries"].values()]
             for id in row.values()}
    same = {"witt_any": "baum_any_patient", "mac04_any": "baum_any_patient", "mac04_serious": "baum_sae_patient",
            "baum_requires_treatment": "witt_needs_treatment"}  # other sources of one kind
    assert {same.get(id, id) for id in told} <= facts
    assert all(evidence.fact(id) for id in facts)


def test_numbers_are_read_as_people_write_them() -> None:
    found = read("treatment", SESSION | {"depth_mm": "12,5", "insertions": "8", "note": "  easy  "}, number)
    assert found == {"stimulation": "manual", "retention_minutes": 20.0, "depth_mm": 12.5, "insertions": 8,
                     "note": "easy"}


@pytest.mark.parametrize("change, field, said", [
    ({"retention_minutes": ""}, "retention_minutes", "needed"),
    ({"retention_minutes": "nan"}, "retention_minutes", "out of range"),
    ({"retention_minutes": "1441"}, "retention_minutes", "0.1 to 1440 min"),
    ({"insertions": "7.5"}, "insertions", "not a whole number"),
    ({"insertions": "many"}, "insertions", "not a number"),
    ({"sides": "left"}, "sides", "unilateral"),
    ({"points": ["local", "ear"]}, "points", "not one of the choices"),
    ({"frequency_hz": "2"}, "frequency_hz", "only with stimulation: electro"),
    ({"stimulation": "electro"}, "frequency_hz", "needed with stimulation"),
    ({"stimulation": "electro", "frequency_hz": "2", "second_frequency_hz": "100"}, "mixed", "needed"),
    ({"stimulation": "electro", "frequency_hz": "2", "mixed": "alternating"}, "second_frequency_hz", "needed"),
    ({"depth": "none"}, "depth", "does not go with"),
    ({"stimulation": "sham_nonpenetrating", "depth_mm": "10"}, "depth_mm", "nothing enters"),
    ({"note": "x" * 2001}, "note", "too long"),
    ({"depth": ["deep", "superficial"]}, "depth", "more than once"),
])
def test_a_session_that_cannot_be_is_refused_at_its_field(change: dict[str, Any], field: str, said: str) -> None:
    told = problems("treatment", SESSION | change)
    assert list(told) == [field] and said in told[field]


@pytest.mark.parametrize("change, field", [
    ({"kind": "other"}, "words"), ({"kind": "hiccups"}, "kind"), ({"outcome": "fatal"}, "serious"),
    ({"serious": ["death"]}, "serious"), ({"relation": ""}, "relation"), ({"lasted_days": "-1"}, "lasted_days")])
def test_an_event_that_cannot_be_is_refused_at_its_field(change: dict[str, Any], field: str) -> None:
    assert list(problems("adverse_event", EVENT | change)) == [field]


def test_all_problems_are_told_at_once_in_the_order_of_the_form() -> None:
    told = problems("treatment", {"insertions": "0", "depth": "bone", "retention_minutes": "x"})
    assert list(told) == ["insertions", "depth", "stimulation", "retention_minutes"]


def test_several_choices_come_as_a_browser_sends_them() -> None:
    form = FormData([*SESSION.items(), ("points", "distal"), ("points", "local"), ("csrf", "x")])
    assert read("treatment", form, number)["points"] == ["local", "distal"]
    with pytest.raises(Problems):
        read("treatment", FormData([*SESSION.items(), ("note", "a"), ("note", "b")]), number)


def test_problems_cross_processes_whole() -> None:
    before = Problems([InputError("needed", field="a"), InputError("too long", field="b", found=1, accepted="less")])
    after = pickle.loads(pickle.dumps(before))
    assert str(after) == str(before) and after.by_field == before.by_field


@given(st.dictionaries(st.sampled_from([field.id for field in fields("treatment")]),
                       st.text(max_size=30) | st.lists(st.text(max_size=8), max_size=3)))
def test_any_form_is_read_or_refused_field_by_field(form: dict[str, Any]) -> None:
    try:
        found = read("treatment", form, number)
    except Problems as refused:
        assert set(refused.by_field) <= {field.id for field in fields("treatment")}
    else:
        assert read("treatment", {id: typed(value) for id, value in found.items()}, number) == found
