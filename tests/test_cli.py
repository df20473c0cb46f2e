"""The command line: bad input ends in one clear message and leaves nothing behind; good input keeps its promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from command import EXAMPLES, deqi, example
from deqi.consult import consultation, single
from deqi.consult.options import table

GERAC, EMERGENCY = EXAMPLES / "gerac_chronic.yaml", EXAMPLES / "cauda_equina.yaml"
RECORDED = json.loads((Path(__file__).parent / "data" / "consult_result.json").read_text(encoding="utf-8"))


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to work in; what a command writes without saying where would show up there."""
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def refused(ran, place, *words):
    """Assert that a command was refused in one line that says all this, and left nothing behind."""
    assert ran.status == 2 and ran.out == ""
    assert ran.err.startswith("deqi: ") and ran.err.count("\n") == 1, ran.err
    for word in words:
        assert word in ran.err
    assert list(place.iterdir()) == []


def undated(found: dict) -> dict:
    """A result without the day it was made on."""
    return found | {"provenance": found["provenance"] | {"date": None}}


def text_of(**changes) -> str:
    return yaml.safe_dump({"patient": example(**changes)})


BAD_FILES = {
    "missing-field": (text_of(pain={"duration_weeks": 40}), ["patient.pain.week_average", "missing"]),
    "unknown-key": (text_of(expectaton=6), ["patient.expectaton", "nearest is `expectation`"]),
    "unknown-question": (text_of(red_flags={"saddle_numbnes": False}),
                         ["patient.red_flags.saddle_numbnes", "nearest is `saddle_numbness`"]),
    "nrs-11": (text_of(pain={"week_average": 11}),
               ["patient.pain.week_average", "out of range", "found 11", "a number from 0 to 10"]),
    "nrs-nan": (text_of(pain={"week_average": float("nan")}), ["patient.pain.week_average", "found nan"]),
    "nrs-text": (text_of(pain={"week_average": "six"}), ["patient.pain.week_average", "found 'six'", "a number"]),
    "future-score": (text_of(scores=[{"week": 3, "outcome": "NRS", "value": 6}]),
                     ["patient.scores[0].week", "found 3", "to 0"]),
    "odi-130": (text_of(disability={"instrument": "ODI", "score": 130}),
                ["patient.disability.score", "found 130", "from 0 to 100"]),
    "past-care": (text_of(care_so_far=[{"start_week": -4, "plan": "akupunktur twice a week"}]),
                  ["patient.care_so_far[0].plan", "akupunktur", "accepted: a sentence"]),
    "no-mapping": ("- 1\n- 2\n", ["accepted: "]),
    "empty": ("", ["empty"]),
    "blank": (" \n\n", ["empty"]),
    "binary": (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", ["binary"]),
    "half-yaml": ("patient: {age: 5", ["not valid YAML", "line"]),
    "ten-megabytes": ("patient: " + "x" * 10_000_000, ["too large", "2 MB"]),
    "bomb": ("a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi",
                                                                                       strict=True)),
             ["anchor or alias"]),
    "tag": ("patient: !!python/object/apply:os.system ['true']\n", ["YAML tag"]),
    "repeated-key": ("patient:\n  age: 50\n  age: 60\n", ["stands twice", "found 'age'"]),
    "deep": ("[" * 5000 + "]" * 5000, ["nested too deeply"]),
}


@pytest.mark.parametrize("command", ["consult", "forecast"])
@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_patient_file_is_refused_in_one_line(tmp_path, place, command, name):
    content, words = BAD_FILES[name]
    file = tmp_path / "patient.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    extra = ("--report", "out.html") if command == "consult" else ("--plan", "nothing", "--weeks", "4")
    refused(deqi(command, file, *extra, "--json", "out.json"), place, str(file), *words)


@pytest.mark.parametrize("command", ["consult", "forecast"])
@pytest.mark.parametrize(("name", "word"), [("no-such.yaml", "no such file"), (".", "not a regular file")])
def test_a_path_that_is_no_file_is_refused(place, command, name, word):
    refused(deqi(command, name, "--json", "out.json"), place, name, word)


@pytest.mark.parametrize(("arguments", "words"), [
    (["--plan", "acupuncture 30 min twice a fortnightly for 6 weeks"], ["plan", "found", "accepted"]),
    (["--plan", "homeopathy for 6 weeks"], ["plan", "'homeopathy' is not understood"]),
    (["--plan", ""], ["plan"]),
    (["--plan", "no-such-plan.yaml"], ["no-such-plan.yaml: no such file"]),
    (["--weeks", ""], ["--weeks", "found ''", "whole weeks from 0 to 104"]),
    (["--weeks", "1,x"], ["--weeks", "found '1,x'"]),
    (["--weeks", "1.5"], ["--weeks", "found '1.5'"]),
    (["--weeks", "1,-2"], ["--weeks"]),
    (["--weeks", "1_0"], ["--weeks"]),
    (["--weeks", "105"], ["--weeks", "0 to 104"]),
    (["--out", "out.jsonl"], ["--out", "only a batch"]),
    (["--batch", str(GERAC), "--out", "out.jsonl"], ["a batch holds its own patients"]),
])
def test_a_bad_question_about_a_good_patient_is_refused(place, arguments, words):
    refused(deqi("forecast", GERAC, *arguments, "--json", "out.json"), place, *words)


def test_a_bad_plan_file_is_refused_by_its_name_and_place(tmp_path, place):
    file = tmp_path / "plan.yaml"
    file.write_text("plan:\n  - walking 30 min 5 times a week for 12 weeks\n  - {care: walking, minutes: -3}\n")
    refused(deqi("forecast", GERAC, "--plan", file), place, str(file), "plan[1].minutes", "found -3")
    file.write_text("plan: &a [*a]\n")
    refused(deqi("simulate", file), place, str(file), "anchor or alias")


@pytest.mark.parametrize(("arguments", "words"), [
    (["nothing", "--population", "elderly"], ["--population", "found 'elderly'", "acute, subacute, chronic"]),
    (["nothing", "--without", "magnetism"], ["--without", "found 'magnetism'", "gate, neurotransmitters"]),
    (["nothing", "--baseline", "11"], ["--baseline", "found 11.0", "from 1 to 9"]),
    (["nothing", "--baseline", "nan"], ["--baseline", "found nan"]),
    (["nothing", "--out", "people.xls"], ["--out", "found 'people.xls'", "FILE.nc, FILE.parquet or FILE.csv"]),
    (["nothing", "--out", "no/such/people.nc"], ["no/such/people.nc", "no such folder"]),
    (["fly to the moon"], ["'fly' is not understood"]),
    (["no-such.yml"], ["no-such.yml: no such file"]),
    (["walking\x1b[31m\n"], ["a control character"]),
    (["walking 30 min 14 times a week for 500 weeks", "--patients", "64", "--weeks", "520"], ["too much", "accepted"]),
])
def test_a_simulation_that_makes_no_sense_is_refused(place, arguments, words):
    refused(deqi("simulate", *arguments, "--json", "out.json"), place, *words)


def test_an_unknown_fact_is_refused_with_the_nearest(place):
    refused(deqi("evidence", "haake2077"), place, "found 'haake2077'", "haake2007")


def test_a_batch_needs_a_file_in_and_a_place_out(place):
    refused(deqi("forecast", "--batch", "in.jsonl"), place, "--out OUT.jsonl")
    refused(deqi("forecast", "--batch", "in.jsonl", "--out", "out.jsonl"), place, "in.jsonl", "cannot be read")
    refused(deqi("forecast", "--batch", ".", "--out", "out.jsonl"), place, "cannot be read")
    refused(deqi("forecast"), place, "a patient file, or --batch")


@pytest.mark.parametrize("arguments", [
    ["consult"], ["consult", GERAC, "--raport", "out.html"], ["consult", GERAC, "--seed", "-1"],
    ["consult", GERAC, "--seed", "one"], ["consult", GERAC, GERAC], ["diagnose", GERAC],
    ["simulate", "nothing", "--patients", "0"], ["simulate", "nothing", "--weeks", "0"],
    ["simulate", "nothing", "--baseline", "six"], ["forecast", GERAC, "--json"], ["anchors", "--patients", "1"],
])
def test_a_command_that_is_said_wrong_is_told_how(place, arguments):
    ran = deqi(*arguments)
    assert ran.status == 2 and ran.out == ""
    assert ran.err.startswith(("Usage: deqi ", "Error: ")) and ran.err.count("Error: ") == 1
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(("arguments", "word"), [
    (["consult", GERAC, "--report", "no/such/folder.html", "--json", "out.json"], "no/such/folder.html"),
    (["consult", GERAC, "--report", "out.html", "--json", "no/such/folder.json"], "no/such/folder.json"),
    (["forecast", GERAC, "--json", "no/such/folder.json"], "no/such/folder.json"),
    (["forecast", "--batch", GERAC, "--out", "no/such/folder.jsonl"], "no/such/folder.jsonl"),
    (["simulate", "nothing", "--out", "people.nc", "--json", ""], "not a file"),
    (["evidence", "--json", "."], "not a file"),
])
def test_a_place_that_cannot_be_written_is_refused_before_any_work(place, monkeypatch, arguments, word):
    def working(*_, **__):
        pytest.fail("worked first")

    monkeypatch.setattr(consultation, "consult", working)
    monkeypatch.setattr(single, "forecast_file", working)
    monkeypatch.setattr("deqi.consult.batch.run_batch", working)
    monkeypatch.setattr("deqi.population.trajectories.run", working)
    refused(deqi(*arguments), place, word)


@pytest.mark.parametrize("arguments", [
    ["consult", GERAC, "--report", "one.html", "--letter", "one.html"],
    ["consult", GERAC, "--report", "one.html", "--json", "./one.html"],
    ["forecast", "--batch", GERAC, "--out", "one.jsonl", "--json", "one.jsonl"],
    ["assess", "--out", "one.yaml", "--json", "one.yaml"],
    ["review", GERAC, "--weeks", "2", "--out", "one.yaml", "--json", "one.yaml"],
    ["export", "fhir", "--questionnaire", "one.json", "--json", "one.json"],
])
def test_two_results_at_one_place_are_refused_before_any_work(place, arguments):
    refused(deqi(*arguments), place, "one.", "two results cannot go to one file")


@pytest.mark.parametrize("arguments", [
    ["consult", "{}", "--json", "{}"], ["consult", "{}", "--letter", "{}"], ["consult", "{}", "--report", "{link}"],
    ["forecast", "{}", "--json", "{}"], ["forecast", "--batch", "{}", "--out", "{}"],
    ["forecast", GERAC, "--plan", "{}", "--json", "{}"], ["review", "{}", "--weeks", "2", "--out", "{}"],
    ["assess", "--from", "{}", "--json", "{}"], ["evaluate", "{}", "--json", "{}"],
    ["import", "fhir", "{}", "--out", "{}"], ["export", "fhir", "{}", "--plan", "nothing", "--out", "{}"],
])
def test_a_result_never_replaces_what_it_is_made_from(tmp_path, place, arguments):
    file, link = tmp_path / "file.yaml", tmp_path / "link.yaml"
    file.write_text("mine")
    link.symlink_to(file)
    refused(deqi(*(str(a).format(file, link=link) for a in arguments)), place, "would replace the file it is made from")
    assert file.read_text() == "mine" and link.is_symlink()


def test_an_assessment_may_go_on_in_its_own_file(place, monkeypatch):
    (place / "patient.yaml").write_text(text_of())
    monkeypatch.setattr("deqi.consult.interview.conduct", lambda *_: None)
    assert deqi("assess", "--from", "patient.yaml", "--out", "patient.yaml").status == 0
    assert yaml.safe_load((place / "patient.yaml").read_text(encoding="utf-8"))["patient"]["age"] == example()["age"]


def test_nothing_but_a_file_is_ever_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert deqi("evidence", "--json", tmp_path / "pipe").status == 2
    assert (tmp_path / "pipe").is_fifo() and len(list(tmp_path.iterdir())) == 1


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(place, monkeypatch):
    (place / "facts.json").write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    ran = deqi("evidence", "haake2007", "--json", "facts.json")
    assert ran.status == 2 and ran.err.count("\n") == 1 and "No space left on device" in ran.err
    assert [file.read_text() for file in place.iterdir()] == ["old"]


def test_an_emergency_exits_with_3_and_says_only_what_to_do_now(place):
    ran = deqi("consult", EMERGENCY, "--report", "out.html", "--json", "out.json")
    assert ran.status == 3 and ran.err == ""
    assert "emergency department today" in ran.out
    found = json.loads((place / "out.json").read_text(encoding="utf-8"))
    assert found["screening"]["status"] == "emergency" and {"ces"} <= {f["source"] for f in
                                                                       found["screening"]["findings"]}
    assert found["options"] == [] and found["tailored"] is None and found["theories"] is None
    page = (place / "out.html").read_text(encoding="utf-8")
    assert "emergency department today" in page and "<svg" not in page
    for said in (page, ran.out):
        assert not any(option["label"] in said for option in table()["options"]) and "of 100" not in said


def test_a_forecast_stops_at_an_emergency_too():
    ran = deqi("forecast", EMERGENCY, "--plan", "walking 30 min 5 times a week for 12 weeks", "--json", "-")
    assert ran.status == 3
    assert ran.json["forecast"] == [] and "emergency" in ran.json["diagnostics"]["reasons"][0]
    plain = deqi("forecast", EMERGENCY)
    assert plain.status == 3 and "no forecast is made" in plain.out and "NRS" not in plain.out


def test_consult_prints_the_page_in_short_and_writes_both_files(place, monkeypatch):
    monkeypatch.setattr(consultation, "consult", lambda *_, **__: consultation.Consultation(RECORDED))
    ran = deqi("consult", GERAC, "--report", "out.html", "--json", "out.json")
    assert ran.status == 0 and ran.err == "" and len(ran.out.splitlines()) <= 40 and "out.html" in ran.out
    assert json.loads((place / "out.json").read_text(encoding="utf-8")) == RECORDED
    assert {file.name for file in place.iterdir()} == {"out.html", "out.json"}
    assert deqi("consult", GERAC, "--json", "-").json == RECORDED


def test_a_forecast_has_the_keys_of_the_interface():
    ran = deqi("forecast", GERAC, "--plan", "nothing", "--weeks", "12,1,4,4", "--json", "-", "--seed", "3")
    assert ran.status == 0 and ran.err == ""
    found = ran.json
    assert {"forecast", "diagnostics", "provenance", "screening"} <= set(found)
    assert [(row["week"], row["outcome"]) for row in found["forecast"]] == [
        (week, outcome) for week in (1, 4, 12) for outcome in ("NRS", "RMDQ")]
    for row in found["forecast"]:
        assert set(row) >= {"week", "outcome", "mean", "sd", "quantiles", "p_improved_30pct", "p_mic"}
        assert list(row["quantiles"]) == ["0.025", "0.1", "0.25", "0.5", "0.75", "0.9", "0.975"]
    assert found["provenance"]["seed"] == 3 and found["provenance"]["version"]


def test_the_same_seed_gives_the_same_forecast_and_another_seed_another():
    first, again, other = (deqi("forecast", GERAC, "--json", "-", "--seed", seed).json for seed in (3, 3, 4))
    assert undated(first) == undated(again)
    assert first["forecast"] != other["forecast"]


def test_a_forecast_in_plain_lines_says_what_it_is_worth():
    out = deqi("forecast", GERAC, "--weeks", "12").out
    assert "Averages fitted to" in out and "not a medical device" in out and "of 100" in out


def test_a_simulation_has_the_keys_of_the_interface(place):
    arguments = ("simulate", "nothing", "--patients", "256", "--weeks", "8", "--baseline", "6", "--seed", "5")
    ran = deqi(*arguments, "--json", "-", "--out", "people.parquet")
    assert ran.status == 0 and ran.err == "" and set(ran.json) == {"summary", "provenance"}
    summary = ran.json["summary"]
    assert summary["weeks"] == list(range(9))
    for outcome in ("nrs", "disability"):
        assert {"mean", "sd", "quantiles"} <= set(summary[outcome])
        assert len(summary[outcome]["mean"]) == len(summary[outcome]["quantiles"]["0.5"]) == 9
    assert all(0 <= value <= 10 for value in summary["nrs"]["mean"])
    assert {file.name for file in place.iterdir()} == {"people.parquet"}
    again = deqi(*arguments, "--json", "out.json")
    assert json.loads((place / "out.json").read_text(encoding="utf-8")) == ran.json
    assert "averages fitted to" in again.out
    without = deqi(*arguments, "--json", "-", "--without", "muscle", "--without", "gate").json
    assert without["provenance"]["without"] == ["muscle", "gate"]
    assert without["summary"]["nrs"]["mean"][0] == summary["nrs"]["mean"][0]


def test_a_fact_has_its_source_and_the_list_counts_all():
    found = deqi("evidence", "haake2007", "--json", "-")
    assert found.status == 0 and found.err == "" and found.json["id"] == "haake2007"
    assert {"use", "citation", "source", "body"} <= set(found.json)
    assert deqi("evidence", "--json", "-").json["total"]["facts"] > 100
    assert "haake2007" in deqi("evidence", "haake2007").out


def test_a_batch_says_in_json_how_it_went(place):
    lines = [{"id": "a", "patient": example("cauda_equina"), "plan": "nothing"}, {"id": "b", "patient": {}}]
    (place / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    ran = deqi("forecast", "--batch", "in.jsonl", "--out", "out.jsonl", "--weeks", "4", "--json", "-")
    assert ran.status == 0 and ran.json == {"forecasts": 1, "errors": 1}
    found = [json.loads(line) for line in (place / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in found] == ["a", "b"] and found[0]["forecast"] == []
    assert {file.name for file in place.iterdir()} == {"in.jsonl", "out.jsonl"}


def process(*arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """`deqi` as its users run it, in a process of its own."""
    return subprocess.run([sys.executable, "-c", "from deqi.cli import main; main()", *map(str, arguments)],
                          capture_output=True, env=os.environ | environment, timeout=120)


def test_as_a_process_bad_input_ends_with_2_and_one_line(place):
    ran = process("consult", "no-such.yaml", "--report", "out.html")
    assert (ran.returncode, ran.stdout) == (2, b"") and ran.stderr.count(b"\n") == 1
    assert list(place.iterdir()) == []


def test_an_emergency_gets_through_to_a_terminal_that_knows_only_ascii():
    ran = process("consult", EMERGENCY, PYTHONIOENCODING="ascii")
    assert (ran.returncode, ran.stderr) == (3, b"") and b"emergency department today" in ran.stdout


def test_a_reader_that_stops_reading_is_no_error():
    ran = subprocess.run(f'"{sys.executable}" -c "from deqi.cli import main; main()" evidence --json - | head -1',
                         shell=True, capture_output=True, timeout=120)
    assert ran.stdout == b"{\n" and b"Traceback" not in ran.stderr
