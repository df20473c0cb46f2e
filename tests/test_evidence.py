"""The evidence room: every fact can be found, has a source, and says what it may be used for."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml

from deqi import evidence
from deqi.errors import InputError
from deqi.evidence import _shelves, compile, show

SHIPPED = evidence.facts()


# What ships


def test_the_shipped_form_is_not_older_than_the_yaml():
    assert evidence.evidence_hash() == compile.source_hash(), "run python -m deqi.evidence.compile"


@pytest.mark.parametrize("name", ["trials/haake2007", "context/baer2005", "meta_chronic", "red_flags"])
def test_the_shipped_form_says_what_the_yaml_says(name):
    assert evidence.document(name) == yaml.safe_load((compile.FACTS / f"{name}.yaml").read_text("utf-8"))


def test_every_yaml_file_ships():
    assert len(evidence.documents()) == len(list(compile.FACTS.rglob("*.yaml"))) == 120


def test_a_changed_word_or_name_changes_the_stamp(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("facts: [{id: x, source: {doi: d}, value: 1}]")
    before = compile.compile_facts(tmp_path, tmp_path / "facts.json")
    assert json.loads((tmp_path / "facts.json").read_text())["sha256"] == before
    file.write_text("facts: [{id: x, source: {doi: d}, value: 2}]")
    changed = compile.source_hash(tmp_path)
    file.rename(tmp_path / "b.yaml")
    assert len({before, changed, compile.source_hash(tmp_path)}) == 3


@pytest.mark.parametrize(
    "content",
    [
        "facts: [{id: x, source: {doi: d}}, {id: x, source: {doi: d}}]",
        "facts: [{id: x, source: {doi: d}, when: 2020-01-21}]",
        "facts: [{id: x, source: {doi: d}, value: .nan}]",
        "facts: [{id: x, source: {doi: d}, value: {7: weeks}}]",
        "facts: [{id: x",
    ],
    ids=["id twice", "date", "nan", "key that is a number", "not yaml"],
)
def test_what_cannot_be_compiled_is_refused_by_name_and_nothing_is_written(tmp_path, content):
    (tmp_path / "broken.yaml").write_text(content)
    with pytest.raises(InputError, match="broken.yaml"):
        compile.compile_facts(tmp_path, tmp_path / "facts.json")
    assert not (tmp_path / "facts.json").exists()


def test_no_machine_path_address_or_mail_in_the_facts():
    text = _shelves.COMPILED.read_text("utf-8")
    assert not [
        mark for mark in ("/home/", "/root/", "/tmp/", "file://", "localhost", "@gmail") if mark in text
    ]


# Finding facts


def test_ids_are_unique_in_the_room_once_they_name_their_file():
    assert max(Counter(fact.key for fact in SHIPPED).values()) == 1
    assert all(evidence.fact(fact.key) is fact for fact in SHIPPED)


def test_a_shared_id_is_refused_until_it_names_its_file():
    shared = {id for id, times in Counter(fact.id for fact in SHIPPED).items() if times > 1}
    assert shared == {"antiplatelet", "deqi_prevalence", "yuan2016"}
    for id in shared:
        assert not evidence.exists(id)
        with pytest.raises(InputError, match=f":{id} or "):
            evidence.fact(id)
    assert evidence.fact("meta_chronic:yuan2016").use == "validate"
    assert evidence.trial("yuan2016").file == "trials/yuan2016"


def test_every_record_with_an_id_is_a_fact():
    def ids(content):
        for record in content if isinstance(content, list) else []:
            if isinstance(record, dict) and "id" in record:
                yield record["id"]

    for name in evidence.documents():
        document = evidence.document(name)
        expected = (
            {document["id"]} if "id" in document else {id for part in document.values() for id in ids(part)}
        )
        assert expected <= {fact.id for fact in evidence.facts(name)}, name


def test_an_unknown_name_is_answered_with_the_nearest():
    for ask, wrong, near in [
        (evidence.fact, "ht_pt_ofset_halflife", "ht_pt_offset_halflife"),
        (evidence.trial, "brinkhaus2007", "brinkhaus2006"),
        (evidence.document, "redflags", "red_flags"),
        (evidence.facts, "science/mechanism_gates", "science/mechanism_gate"),
    ]:
        with pytest.raises(InputError, match=near):
            ask(wrong)
    with pytest.raises(InputError, match="calibrate"):
        evidence.facts(use="calibration")


def test_a_folder_holds_its_files():
    folder = evidence.facts("science")
    assert {fact.file for fact in folder} == {
        name for name in evidence.documents() if name.startswith("science/")
    }
    assert set(evidence.facts("science/mechanism_gate")) < set(folder)


# Sources


def test_every_fact_says_where_it_was_read_or_how_it_was_computed():
    without = [fact.key for fact in SHIPPED if not any(fact.source.values())]
    assert without == []
    assert not [fact.key for fact in SHIPPED if not fact.citation() or "\n" in fact.citation()]


def test_a_rule_names_the_sources_behind_its_keys():
    assert "WHO 1999" in evidence.fact("contraindications:pregnancy_all").citation()
    assert "Carr 2015, doi 10.1136/acupmed-2015-010936" in evidence.fact("pregnancy_all").citation()


def test_only_records_derived_from_others_have_no_publication():
    derived = {fact.section for fact in SHIPPED if "computed" in fact.source}
    assert derived == {"derived_by_us", "surrogate_parameters"}


# What may be fitted


def test_pooled_results_never_enter_a_fit():
    calibrate = {fact.file for fact in evidence.facts(use="calibrate")}
    assert not [name for name in calibrate if name.startswith(("pooled/", "context/", "meta_chronic"))]
    assert {fact.use for fact in (*evidence.facts("pooled"), *evidence.facts("meta_chronic"))} == {"validate"}


def test_a_file_in_pooled_stays_out_of_a_fit_whatever_it_claims():
    claim = {"id": "bold2030", "use": "calibrate", "citation": {"doi": "10.1/x"}}
    (fact,) = _shelves.facts_in("pooled/bold2030", claim)
    assert fact.use == "validate"


def test_trials_in_other_conditions_inform_context_only():
    others = evidence.trials("context")
    assert {fact.body["context_only"] for fact in others} == {True}
    assert len(others) == 9 and len(evidence.trials("calibrate")) == 88


def test_rules_and_harms_are_no_data_for_a_fit():
    for name in ("adverse_events", "contraindications", "guidelines", "proms", "red_flags"):
        assert {fact.use for fact in evidence.facts(name)} == {None}


# Numbers that much rests on


def test_gerac_arm_means_over_26_weeks():
    pain = evidence.fact("gerac2007_cpgs_pain_sd").value
    assert pain["weeks"] == [0, 6, 13, 26]
    assert pain["verum"] == [67.7, 48.6, 45.4, 40.2]
    assert pain["sham"] == [67.8, 51.0, 48.5, 43.3]
    assert pain["conventional"] == [67.8, 57.1, 54.8, 52.3]


def test_the_opioid_clock():
    fact = evidence.fact("ht_pt_offset_halflife")
    assert (fact.value, fact.body["units"], fact.use) == (16, "min", "calibrate")


def test_gerac_responders_in_the_trial_file():
    responders = {r["arm"]: r["percent"] for r in evidence.trial("haake2007").body["responders"]}
    assert responders == {"verum": 47.6, "sham": 44.2, "conventional": 27.4}


def test_the_per_course_harm_is_a_rate_per_course():
    harm = evidence.fact("witt_any").body
    assert harm["unit"] == "per_patient_course"
    assert harm["rate"] / harm["rate_per"] == pytest.approx(harm["numerator"] / harm["denominator"], abs=1e-4)


# What a reader sees


def test_every_fact_can_be_shown():
    for fact in SHIPPED:
        text = show.describe(fact)
        assert text.startswith(f"{fact.id}  ({fact.file}") and fact.citation() in text, fact.key
        assert json.loads(json.dumps(show.as_json(fact)))["body"] == fact.body, fact.key


def test_a_shown_fact_tells_value_use_and_source():
    text = show.describe(evidence.fact("ht_pt_offset_halflife"))
    assert "value: 16" in text and "use: calibrate" in text and "source: https://" in text
    assert "use: do_not_display" in show.describe(
        next(f for f in evidence.facts("adverse_events") if f.body.get("use") == "do_not_display")
    )


def test_the_overview_counts_every_fact_once():
    overview = show.overview()
    assert sum(row["facts"] for row in overview["files"]) == overview["total"]["facts"] == len(SHIPPED)
    assert sum(overview["total"][use] for use in show.USES) == len(SHIPPED)
    listed = show.listing()
    assert "red_flags" in listed and "trials " in listed and "haake2007" not in listed


# Speed


def test_nothing_is_read_before_it_is_asked_for():
    source = str(Path(evidence.__file__).parents[2])
    code = f"""import sys
sys.path.insert(0, {source!r})
import deqi.evidence
print(*{{"yaml", "json", "difflib", "jax", "numpy"}} & set(sys.modules))"""
    loaded = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""


def test_the_first_fact_is_quick():
    def seconds() -> float:
        for shelf in (_shelves._read, _shelves._by_file, _shelves._by_id):
            shelf.cache_clear()
        start = time.perf_counter()
        evidence.fact("ht_pt_offset_halflife")
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 0.06
