"""The API held to its own schema by schemathesis: no fault of the server, no status, kind or shape that is not told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from deqi.web import accounts
from deqi.web.api import document
from deqi.web.app import open_store
from deqi.web.guard import rules
from deqi.web.store.audit import Actor, broken_at
from deqi.web.store.tables import Score, Treatment

from .conftest import World
from .serving import serving
from .test_api import PATIENT, add_events

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
SECONDS = int(os.environ.get("DEQI_FUZZ_SECONDS", "600"))
only_sqlite = pytest.mark.parametrize("template", ["sqlite"], indirect=True)


@only_sqlite
def test_a_few_examples_of_every_operation_keep_to_the_schema(world: World, tmp_path: Path) -> None:
    token = _prepared(world, tmp_path)
    with serving(world.settings) as server:
        told = _fuzz(server.url, token, tmp_path, "run", "--phases", "examples,coverage,fuzzing", "-n", "3",
                     "--max-time", "4", "--seed", "1")
    assert told.returncode == 0, told.stdout[-6000:] + told.stderr[-2000:]


@pytest.mark.slow  # ten minutes of requests against the real model
@only_sqlite
def test_ten_minutes_of_requests_find_no_fault(world: World, tmp_path: Path) -> None:
    token = _prepared(world, tmp_path)
    with serving(world.settings, is_real=True) as server:
        _wait_until_warm(server.url, token)
        for command in (("run", "--phases", "examples,coverage,fuzzing"), ("fuzz", "--suppress-health-check", "all")):
            told = _fuzz(server.url, token, tmp_path, *command, "--max-time", str(SECONDS // 2),
                         "--continue-on-failure")
            print(told.stdout[told.stdout.find("SUMMARY"):])
            assert told.returncode == 0, told.stdout[-12_000:] + told.stderr[-2000:]
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


def _wait_until_warm(url: str, token: str) -> None:
    """Let the server compile what a consultation needs: it does so once, in its first minutes."""
    httpx.get(f"{url}/api/v1/openapi.json", timeout=60)
    answer = httpx.post(f"{url}/api/v1/consult", json={"patient": PATIENT}, timeout=900,
                        headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text


def _fuzz(url: str, token: str, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "--no-color",
         "--config-file", str(folder / "schemathesis.toml"), *command[:1], f"{url}/api/v1/openapi.json", "-H",
         f"Authorization: Bearer {token}", "--checks", CHECKS, "--request-timeout", "900", *command[1:]],
        capture_output=True, text=True, timeout=SECONDS + 1800, cwd=folder, check=False)


def _prepared(world: World, folder: Path) -> str:
    """Put something of each kind into a record, and what reaches it into the settings of the run; gives a token."""
    amy, database = world.patients["amy"], open_store(world.settings)
    with database.write(Actor()) as store:
        token = accounts.new_token(store, world.people["ann"], "fuzz", accounts.SCOPES)
        events = add_events(store, amy, world.people["ann"])
    with database.read() as store:
        scores, treatments = (list(store.scalars(select(kind.id))) for kind in (Score, Treatment))
    database.close()
    values = {"path.patient": [amy], "path.score": scores, "path.treatment": treatments, "path.event": events,
              "path.id": ["pooled_li2020_mbma", "nrs"], "header.if-match": ['"1"', '"2"'],
              "body.plan": ["nothing", "acupuncture 30 min twice a week for 6 weeks", "walking 30 min daily"]}
    names = {key: key.replace(".", "_").replace("-", "_") for key in values}
    lines = [f"[dictionaries.{names[key]}]\nvalues = {json.dumps(each)}" for key, each in values.items()]
    lines += ["[parameters]", *(f'"{key}" = {{dictionary = "{name}", probability = 0.7}}'
                                for key, name in names.items())]
    (folder / "schemathesis.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return token
