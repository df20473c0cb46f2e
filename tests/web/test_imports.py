"""Holds what is taken in from files to all or nothing, and what is written to what spreadsheets do with it."""

from __future__ import annotations

import csv
import datetime
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deqi.web.imports import LARGEST_BYTES, TOLD, from_csv, from_fhir, written
from deqi.web.problems import Problems

TODAY = datetime.date(2026, 11, 26)
SUNDAY = datetime.date(2026, 11, 22)


def read(text: str) -> list[dict[str, Any]]:
    return from_csv(text.encode(), TODAY)


def refused(text: str | bytes) -> list[str]:
    with pytest.raises(Problems) as found:
        from_csv(text.encode() if isinstance(text, str) else text, TODAY)
    return [str(error) for error in found.value.errors]


@pytest.mark.parametrize("text", [
    "day,outcome,value\n2026-11-22,NRS,6.5\n",
    "\ufeffDate;Scale;Score\r\n22.11.2026;nrs;6,5\r\n",
    'value,day,outcome\n"6,5",2026-11-22,NRS',
    "\n day\toutcome \tvalue\n2026-11-22\tNRS\t6,5\n\n2026-11-22\tNRS\t6.5\n",
])
def test_tables_are_read_as_countries_write_them(text: str) -> None:
    assert read(text) == [{"day": SUNDAY, "outcome": "NRS", "value": 6.5}]


def test_scores_come_in_order_of_their_days() -> None:
    rows = read("day,outcome,value\n2026-11-22,RMDQ,12\n2026-11-01,ODI,40\n2026-11-22,NRS,5")
    assert [(row["day"].day, row["outcome"]) for row in rows] == [(1, "ODI"), (22, "NRS"), (22, "RMDQ")]


def test_every_bad_line_is_named_with_its_column() -> None:
    told = refused("day;outcome;value\n2026-11-22;NRS;6\n2026-02-30;NRS;6\n2026-11-27;NRS;6\n11/12/2026;NRS;6\n"
                   "2026-11-22;VAS;60\n2026-11-21;NRS;11\n2026-11-20;NRS;six\n2026-11-22;NRS;7\n2026-11-20;NRS\n"
                   "1850-01-01;pain;-1\n")
    for line, part in zip(told, [
            "line 3, day: no such day", "line 4, day: after today", "line 5, day: no such day", "line 6, outcome",
            "line 7, value: out of range", "line 8, value: not a number", "line 9, value: another NRS than line 2",
            "line 10: another number of columns", "line 11, day: too long ago", "line 11, outcome",
            "line 11, value: not a number"], strict=True):
        assert part in line and "accepted" in line


@pytest.mark.parametrize("text, said", [
    ("day,outcome,value,name\n2026-11-22,NRS,6,x", "unknown column; found 'name'"),
    ("day,outcome,score,value\n", "two columns for the value"),
    ("day,outcome\n", "no column for: value"),
    ("", "no scores"), ("day,outcome,value\n", "no scores"), ("2026-11-22,NRS,6\n", "unknown column"),
    ("day,outcome,value\n2026-11-22,NRS,6,5", "semicolons"),
    ("day,outcome,value\n2026-11-22,NRS,nan", "not a number"),
    ("day,outcome,value\n2026-11-22,NRS,1e1", "not a number"),
    ("day,outcome,value\n2026-11-22,NRS,٦", "not a number"),
    (b"day,outcome,value\n\xff\xfe", "UTF-8"), (b"\x00\x01", "no text"), (b"PK\x03\x04\xff", "UTF-8"),
    (b"x" * (LARGEST_BYTES + 1), "at most 2 MB"), ("day,outcome,value\n" + '"' + "x" * 140_000, "cannot be read"),
])
def test_a_file_that_is_no_table_of_scores_is_refused(text: str | bytes, said: str) -> None:
    assert any(said in line for line in refused(text))


def test_a_file_full_of_mistakes_is_not_told_in_full() -> None:
    assert len(refused("day,outcome,value\n" + "x,y,z\n" * 5000)) == TOLD


@given(st.binary(max_size=300) | st.text(alphabet="day,outcmevlu;\n\"-.0123456789NRS\r", max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for reader in (from_csv, from_fhir):
        try:
            reader(content, TODAY)
        except Problems as problems:
            assert problems.errors


cells = st.one_of(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=20),
                  st.integers(-99, 99), st.none())


@given(st.lists(st.fixed_dictionaries({"a": cells, "b": cells}), max_size=5))
def test_no_cell_starts_a_formula_and_numbers_stay_numbers(rows: list[dict[str, Any]]) -> None:
    back = list(csv.reader(io.StringIO(written(rows, ["a", "b"]), newline="")))[1:]
    assert len(back) == len(rows)
    for row, out in zip(rows, back, strict=True):
        for cell, text in zip((row["a"], row["b"]), out, strict=True):
            if isinstance(cell, int):
                assert text == str(cell)
            else:
                assert not text.lstrip().startswith(("=", "+", "-", "@", "＝", "＠")) and text[:1] not in ("\t", "\n")
                assert text.removeprefix("'") == (cell or "").removeprefix("'")


def test_scores_that_are_written_are_read_back() -> None:
    rows = [{"day": SUNDAY, "outcome": "NRS", "value": 6.5}, {"day": SUNDAY, "outcome": "ODI", "value": 30.0}]
    assert read(written(rows, ["day", "outcome", "value"])) == rows


def observation(code: str, value: Any, day: str = "2026-11-22") -> dict[str, Any]:
    given = {"valueInteger": value} if isinstance(value, int) else {"valueQuantity": value}
    return {"resource": {"resourceType": "Observation", "status": "final", "effectiveDateTime": day,
                         "code": {"coding": [{"system": "http://loinc.org", "code": code}]}, **given}}


def bundle(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": list(entries)}).encode()


def test_a_bundle_gives_scores_with_their_days_and_tells_what_it_did_not_give() -> None:
    rows, ignored = from_fhir(bundle(observation("72514-3", 6), observation("72514-3", 7, "2026-10-01"),
                                     observation("8302-2", 170)), TODAY)
    assert rows == [{"day": datetime.date(2026, 10, 1), "outcome": "NRS", "value": 7.0},
                    {"day": SUNDAY, "outcome": "NRS", "value": 6.0}]
    assert len(ignored) == 1 and "not an observation that deqi reads" in ignored[0]["reason"]


@pytest.mark.parametrize("content, said", [
    (bundle(observation("72514-3", 11)), "out of range"), (bundle(observation("72514-3", 6, "2026-12-01")), "after"),
    (b"{", "cannot be read"), (b"[]", "not a FHIR resource"), (b"[" * 200_000, "cannot be read"),
    (b"x" * (LARGEST_BYTES + 1), "too large"),
])
def test_a_bundle_that_cannot_be_is_refused_whole(content: bytes, said: str) -> None:
    with pytest.raises(Problems, match=said):
        from_fhir(content, TODAY)
