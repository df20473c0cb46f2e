"""The API held to its own schema by schemathesis: no fault of the server, no status, kind or shape that is not told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from deqi.web import accounts
from deqi.web.api import document
from deqi.web.app import open_store
from deqi.web.guard import rules
from deqi.web.settings import Settings
from deqi.web.store.audit import Actor, broken_at
from deqi.web.store.tables import Score, Treatment

from .conftest import World
from .serving import serving
from .test_api import add_events

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
SECONDS = float(os.environ.get("DEQI_FUZZ_SECONDS", "600"))
only_sqlite = pytest.mark.parametrize("template", ["sqlite"], indirect=True)


@only_sqlite
def test_a_few_examples_of_every_operation_keep_to_the_schema(world: World, tmp_path: Path) -> None:
    with serving(world.settings) as server:
        told = _fuzz(server.url, world, tmp_path, "run", "--phases", "examples,coverage,fuzzing", "-n", "3",
                     "--max-time", "8", "--seed", "1")
    assert told.returncode == 0, told.stdout[-6000:]


@pytest.mark.slow  # ten minutes of requests against the real model
@only_sqlite
def test_ten_minutes_of_requests_find_no_fault(world: World, tmp_path: Path) -> None:
    with serving(world.settings, is_real=True) as server:
        told = _fuzz(server.url, world, tmp_path, "fuzz", "--max-time", str(SECONDS), "--continue-on-failure")
    print(told.stdout[-3000:])
    assert told.returncode == 0, told.stdout[-12_000:]
    database = open_store(world.settings)
    with database.read() as store:
        assert broken_at(store) is None
    database.close()


def test_the_schema_has_an_operation_for_every_rule_and_every_refusal_for_each() -> None:
    operations = [operation for path in document()["paths"].values() for operation in path.values()]
    named = {operation["operationId"] for operation in operations}
    assert named == {name for name in rules() if name.startswith("api_")} - {"api_schema"}
    for operation in operations:
        assert {"400", "401", "403", "404", "409", "413", "415", "422", "429", "503"} <= set(operation["responses"])
        assert operation["security"] and operation["description"]


def _fuzz(url: str, world: World, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    token, ids = _prepared(world.settings, world)
    lists = {"patients": [world.patients["amy"]], "scores": ids["scores"], "treatments": ids["treatments"],
             "events": ids["events"], "versions": ['"1"', '"2"'], "facts": ["pooled_li2020_mbma", "nrs"],
             "plans": ["nothing", "acupuncture 30 min twice a week for 6 weeks", "walking 30 min daily for 4 weeks"]}
    bound = {"path.patient": "patients", "path.score": "scores", "path.treatment": "treatments",
             "path.event": "events", "header.if-match": "versions", "path.id": "facts", "body.plan": "plans"}
    lines = [f"[dictionaries.{name}]\nvalues = {json.dumps(values)}\n" for name, values in lists.items()]
    lines.append("[parameters]")
    lines += [f'"{key}" = {{dictionary = "{name}", probability = 0.7}}' for key, name in bound.items()]
    config = folder / "schemathesis.toml"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "--no-color",
         "--config-file", str(config), *command[:1], f"{url}/api/v1/openapi.json", "-H",
         f"Authorization: Bearer {token}", "--checks", CHECKS, "--request-timeout", "300", *command[1:]],
        capture_output=True, text=True, timeout=SECONDS + 600, cwd=folder, check=False)


def _prepared(settings: Settings, world: World) -> tuple[str, dict[str, list[str]]]:
    """A token that may do everything, and something of each kind in the record."""
    database = open_store(settings)
    with database.write(Actor()) as store:
        token = accounts.new_token(store, world.people["ann"], "fuzz", accounts.SCOPES)
        events = add_events(store, world.patients["amy"], world.people["ann"])
    with database.read() as store:
        ids = {"scores": list(store.scalars(select(Score.id))), "treatments": list(store.scalars(select(Treatment.id))),
               "events": events}
    database.close()
    return token, ids
