"""Every number of the model says where it comes from, and none comes from what is kept to judge it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import deqi
from deqi.body.inputs import INPUTS, SESSION_FIELDS
from deqi.body.system import BODY, ROOMS
from deqi.evidence import exists, fact

HOME = Path(deqi.__file__).parent
PARAMETERS = [(room.name, parameter) for room in ROOMS for parameter in room.parameters]
TABLES = ["care/action.yaml", "care/defaults.yaml", "population/priors.yaml", "population/anchors.yaml",
          "consult/tailoring.yaml"]


def entries(node: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """All mappings of a table, each with its place."""
    if isinstance(node, dict):
        yield place, node
        for key, value in node.items():
            yield from entries(value, f"{place}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from entries(value, f"{place}[{index}]")


@pytest.mark.parametrize("room, parameter", PARAMETERS, ids=[f"{room}.{p.name}" for room, p in PARAMETERS])
def test_parameter_has_a_source_that_may_shape_it(room: str, parameter: Any) -> None:
    assert parameter.meaning and parameter.unit
    assert parameter.source == "assumed" or exists(parameter.source), parameter.source
    if parameter.source != "assumed":
        assert fact(parameter.source).use != "validate", f"{parameter.source} is kept to judge the model"


@pytest.mark.parametrize("table", TABLES)
def test_numbers_in_tables_have_sources(table: str) -> None:
    rows = list(entries(yaml.safe_load((HOME / table).read_text(encoding="utf-8")), table))
    valued = [(place, row) for place, row in rows
              if {"value", "centre"} & row.keys() and "low" not in row.keys() - {"centre"}]
    assert valued or table == "population/anchors.yaml"
    for place, row in rows:
        if "source" in row:
            assert row["source"] == "assumed" or exists(row["source"]), f"{place}: {row['source']}"
            if table != "consult/tailoring.yaml" and row["source"] != "assumed":
                assert fact(row["source"]).use != "validate", f"{place}: {row['source']}"
    for place, row in valued:
        assert "source" in row, place


def test_names_of_states_signals_and_inputs_are_told_once() -> None:
    for names in (BODY.state_names, [s.name for room in ROOMS for s in room.writes],
                  [i.name for i in (*INPUTS, *SESSION_FIELDS)]):
        assert len(set(names)) == len(names)


def test_the_states_are_those_of_the_design() -> None:
    """With two more: guarding that comes and goes with pain (M4), and what four weeks of stretching leave."""
    assert set(BODY.state_names) == {"guarding_reflex", "flexibility"} | set("""
        nucleotide adenosine mu_peptide kappa_peptide monoamine cck csf_endorphin mu_tolerance kappa_tolerance
        session_relief carry_over irritant inflammation resolution repair ngf_sensitisation vagal_drive crp
        cgrp_release vasodilation nitric_oxide cold_constriction lactate acid atp oxygen skin_temperature
        shallow_temperature deep_temperature endplate_activity motor_excitability guarding viscoelastic
        stretch_tolerance capacity maintenance soreness active fatigued gate_gain consolidated_gain tissue context
        disability""".split())
