"""The experiments as data: nothing left out unseen, bands as first written, rules in one place, errors that help."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deqi import evidence
from deqi.body.inputs import INPUT
from deqi.errors import InputError
from deqi.theories import bands
from deqi.theories.bands import band, registered
from deqi.theories.bodies import bodies
from deqi.theories.experiment import FOLDER, experiment, load, not_run, shipped
from deqi.theories.readouts import STATE_NAMES, readouts
from deqi.theories.stimulus import stimuli

MINIMAL: dict[str, Any] = {
    "id": "mine", "theory": "neurotransmitters", "source": {"doi": "10.1000/mine"}, "body": "human_healthy",
    "care": "manual acupuncture 30 min at LI4", "readout": "pressure_pain_threshold", "statistic": "change_pct_at",
    "at_minutes": 30, "required": [10, 40],
}


def test_there_are_enough_of_them_in_every_theory() -> None:
    counted = {theory: sum(e.theory == theory for e in shipped()) for theory in {e.theory for e in shipped()}}
    assert sum(counted.values()) >= 120 and len(counted) == 5 and min(counted.values()) >= 10


def test_every_fact_of_the_science_shelf_is_run_or_says_why_not() -> None:
    run = {evidence.fact(e.source["fact"]).key for e in shipped() if "fact" in e.source}
    told = [evidence.fact(name).key for group in not_run() for name in group["facts"]]
    assert len(told) == len(set(told)) and not run & set(told)
    assert {f.key for f in evidence.facts("science")} == run | set(told)


def test_a_fact_kept_for_validation_never_calibrates() -> None:
    for e in shipped():
        if "fact" in e.source and evidence.fact(e.source["fact"]).use == "validate":
            assert e.use == "validate", e.id


def test_an_experiment_sets_only_what_experimenters_set() -> None:
    settable = {*INPUT, *STATE_NAMES, "nrs", "circulation.fat_mm", "gate.MI"}
    for e in shipped():
        for arm in e.arms:
            assert {name for name, _ in arm.set} <= settable, e.id


def test_bodies_and_stimuli_have_sources_that_may_shape_them() -> None:
    sources = [(name, q.source) for name, body in bodies().items() for q in body.values.values()]
    sources += [(name, row["source"]) for name, row in stimuli().items()]
    for name, source in sources:
        assert source == "assumed" or evidence.fact(source).use == "calibrate", name


class TestBands:
    def test_all_are_those_first_registered(self) -> None:
        assert {registered(e) for e in shipped()} == {"as registered"}
        assert bands.withdrawn(shipped()) == ["cortex_reflex_not_lowered"], "not_run.yaml says why"

    def test_another_question_under_the_same_band_shows(self) -> None:
        item = next(e for e in shipped() if e.id == "ht_pt_plateau")
        assert not bands.question_changed(item)
        assert bands.question_changed(replace(item, readout="nrs"))
        assert bands.question_changed(replace(item, use="validate"))
        changed = {e.id for e in shipped() if bands.question_changed(e)}
        assert 0 < len(changed) < 60 and "stretch_4wk" in changed

    def test_a_later_change_shows(self) -> None:
        item = next(e for e in shipped() if e.id == "ht_pt_plateau")
        wider = experiment(MINIMAL | {"id": item.id, "required": [60, 100]})
        assert registered(wider) == "changed"
        assert registered(experiment(MINIMAL)) == "not registered"

    def test_the_register_cannot_be_edited_unseen(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        held = json.loads(bands.REGISTER.read_text())
        held["bands"]["ht_pt_plateau"][0][0] = 10
        forged = tmp_path / "bands.lock.json"
        forged.write_text(json.dumps(held))
        monkeypatch.setattr(bands, "REGISTER", forged)
        with pytest.raises(InputError, match="altered"):
            bands.register.__wrapped__()

    @pytest.mark.parametrize("rule, published, required, near", [
        ("size", {"value": 40}, [30, 50], [20, 60]),
        ("size", {"value": -40}, [-50, -30], [-60, -20]),
        ("sd", {"value": 10, "sd": 11, "n": 75}, [7.5105, 12.4895], [5.021, 14.979]),
        ("unnamed", {"value": 52.05, "spread": 6.69}, [38.9376, 65.1624], [25.8252, 78.2748]),
        ("ci95", {"value": -3.3, "low": -5.33, "high": -1.27}, [-5.33, -1.27], [-7.36, 0.76]),
        ("smd", {"smd": -0.33, "low": -0.58, "high": -0.08}, [-1.16, -0.16], [-1.66, 0.34]),
        ("single_run", {"value": 10}, [5, 15], [0, 20]),
        ("present", {}, [5, None], [3.75, None]),
        ("lost", {}, [-20, 20], [-40, 40]),
    ])
    def test_rules(self, rule: str, published: dict[str, float], required: list[Any], near: list[Any]) -> None:
        made = band(rule, published, None, None)
        assert made.required == pytest.approx(required) and made.near == pytest.approx(near)

    def test_verdicts(self) -> None:
        made = band(None, {}, [10, 20], None)
        assert [made.verdict(v) for v in (10, 20, 9.9, 25, 4.9, float("nan"))] == [
            "within", "within", "near", "near", "outside", "outside"]


WRONG = [
    ({"readout": "pressure_pain_treshold"}, "readout", "pressure_pain_threshold"),
    ({"body": "human_helthy"}, "body", "human_healthy"),
    ({"statistic": "chnge_pct_at"}, "statistic", "change_pct_at"),
    ({"theory": "gates"}, "theory", "gate"),
    ({"required": [40, 10]}, "required", "low"),
    ({"required": None}, "required", "rule"),
    ({"required": "10-40"}, "required", "low"),
    ({"at_minute": 30}, "at_minute", "at_minutes"),
    ({"at_minutes": None}, "at_minutes", "minutes"),
    ({"at_minutes": [1, 2]}, "at_minutes", "minutes"),
    ({"at_minutes": 1e9}, "at_minutes", "two years"),
    ({"at_minutes": float("nan")}, "at_minutes", "number"),
    ({"set": {"naloxone_mg_kg": 1}}, "set.naloxone_mg_kg", "naloxone_mg_per_kg"),
    ({"set": {"naloxone_mg_per_kg": "high"}}, "set.naloxone_mg_per_kg", "number"),
    ({"set": {"tolerance_gain": 1}}, "set.tolerance_gain", "muscle.tolerance_gain"),
    ({"statistic": "ratio_to"}, "compare", "other arm"),
    ({"compare": {"set": {}}}, "compare", "null"),
    ({"care": "moxibustion 30 min"}, "care", "acupuncture"),
    ({"care": {"do": "tems", "minutes": 30}}, "care.do", "tens"),
    ({"care": {"minutes": 30, "a_betta": 5}}, "care.a_betta", "a_beta"),
    ({"care": {"a_beta": 5}}, "care.minutes", "above 0"),
    ({"source": {}}, "source", "doi"),
    ({"source": {"fact": "nothing_like_it"}}, "source.fact", "evidence"),
    ({"use": "calibration"}, "use", "calibrate"),
    ({"rule": "sise", "required": None}, "rule", "size"),
    ({"rule": "sd", "required": None, "published": {"value": 1}}, "published.sd", "sd: ..., n: ..."),
    ({"statistic": "time_to", "at_minutes": None}, "level", "level"),
    ({"at_minutes": -5}, "at_minutes", "0 or more"),
    ({"watch_minutes": -5}, "watch_minutes", "0 or more"),
    ({"set": {"nrs": 50}}, "set.nrs", "0 to 10"),
    ({"set": {"no_block": 100}}, "set.no_block", "share"),
    ({"set": {"naloxone_mg_per_kg": -1}}, "set.naloxone_mg_per_kg", "0 or more"),
    ({"near": [20, 30]}, "near", "wider"),
    ({"required": [10, 10]}, "required", "low"),
    ({"rule": "sd"}, "rule", "not both"),
    ({"rule": ["sd"], "required": None}, "rule", "size"),
    ({"readout": ["nrs"]}, "readout", "nrs"),
    ({"body": []}, "body", "human_clbp"),
    ({"conflict": ["a"]}, "conflict", "text"),
    ({"by_construction": "yes"}, "by_construction", "true"),
    ({"source": {"doi": ""}}, "source.doi", "number or address"),
    ({"source": "Smith 2010"}, "source", "cite"),
    ({"care": []}, "care", "sentence"),
    ({"care": {}}, "care", "minutes"),
    ({"care": {"do": ["tens"]}}, "care.do", "tens"),
    ({"care": {"do": "cold_pressor", "minute": 5}}, "care.minute", "minutes"),
    ({"care": {"do": "cold_pressor", "minutes": 0}}, "care.minutes", "above 0"),
    ({"care": {"a_beta": 1, "minutes": -5}}, "care.minutes", "above 0"),
    ({"care": {"a_beta": 1, "minutes": 5, "start_minutes": -60}}, "care.start_minutes", "0 or more"),
    ({"care": {"a_beta": 1, "minutes": 5, "times": 2}}, "care.every_minutes", "minutes"),
    ({"care": {"a_beta": 1, "minutes": 5, "times": float("nan")}}, "care.times", "number"),
    ({"statistic": "ratio_to", "compare": {}}, "compare", "set"),
    ({"statistic": "ratio_to", "compare": "nothing"}, "compare", "care: nothing"),
    ({"rule": "sd", "required": None, "published": {"value": 1, "SD": 2, "n": 3}}, "published.sd", "sd"),
    ({"rule": "sd", "required": None, "published": {"value": 1, "sd": 2, "n": 0}}, "published.n", "above 0"),
    ({"rule": "paired", "required": None, "published": {
        "before": 0, "sd_before": 1, "after": 2, "sd_after": 1, "n": 3}}, "published.before", "above 0"),
]


@pytest.mark.parametrize("changed, field, accepted", WRONG, ids=[f"{w[1]}-{i}" for i, w in enumerate(WRONG)])
def test_bad_input_names_the_field_and_what_would_do(changed: dict[str, Any], field: str, accepted: str,
                                                     tmp_path: Path) -> None:
    item = {key: value for key, value in (MINIMAL | changed).items() if value is not None}
    path = tmp_path / "mine.json"
    path.write_text(json.dumps([item]))
    with pytest.raises(InputError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: mine") and field in message and accepted in message


@pytest.mark.parametrize("missing", ["id", "theory", "body", "care", "readout", "statistic"])
def test_a_missing_field_is_named(missing: str) -> None:
    with pytest.raises(InputError, match=missing):
        experiment({key: value for key, value in MINIMAL.items() if key != missing})


def test_the_same_id_twice(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps([MINIMAL, MINIMAL]))
    with pytest.raises(InputError, match="same id twice"):
        load(path)


def test_the_files_hold_nothing_but_experiments() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == {
        "circulation", "gate", "gate_network", "inflammation", "muscle", "neurotransmitters", "not_run"}


def test_every_readout_is_told_once_with_unit_and_meaning() -> None:
    assert all(item.unit and item.meaning for item in readouts().values())
