"""Backups: one snapshot, whole or not at all, from either kind of store into either, and never with the key."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import shutil
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import func, select, text

from deqi.errors import DeqiError, InputError
from deqi.web.app import open_store
from deqi.web.settings import Settings
from deqi.web.store import backup as room
from deqi.web.store.audit import Actor
from deqi.web.store.backup import backup, before_migration, restore
from deqi.web.store.crypt import WrongKey, keyring
from deqi.web.store.database import Database
from deqi.web.store.tables import Account, Browser, Person, Score
from deqi.web.store.verify import verify

from .conftest import World, _fresh
from .serving import environment
from .test_api import add_events


@pytest.fixture
def filled(world: World) -> World:
    """A practice with a record in it."""
    database = open_store(world.settings)
    with database.write(Actor()) as store:
        add_events(store, world.patients["amy"], world.people["ann"])
    database.close()
    return world


def _empty(kind: str, folder: Path, request: pytest.FixtureRequest) -> str:
    if kind == "sqlite":
        return f"sqlite:///{folder / 'restored.sqlite'}"
    return _fresh(request.getfixturevalue("postgres_url"))


@pytest.mark.parametrize("into", ["sqlite", "postgresql"])
def test_a_backup_of_either_store_restores_into_either(
        filled: World, into: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    keys = keyring(filled.settings.key_file)
    source, target = Database(filled.settings.database, keys), Database(_empty(into, tmp_path, request), keys)
    made = backup(source, tmp_path / "b.zip")
    restore(target, tmp_path / "b.zip")
    assert verify(target)["is_whole"]
    with source.read() as old, target.read() as new:
        for kind in (Person, Score, Account):
            rows = [sorted((row.id, row.version, row.created_at) for row in store.scalars(select(kind)))
                    for store in (old, new)]
            assert rows[0] == rows[1] and rows[0]
        assert old.get_one(Person, filled.patients["amy"]).name == new.get_one(Person, filled.patients["amy"]).name
    again = backup(target, tmp_path / "again.zip")
    assert again["tables"] == made["tables"]
    with target.write(Actor()) as store:
        add_events(store, filled.patients["ben"], filled.people["bob"])
    assert verify(target)["is_whole"]
    source.close()
    target.close()


def test_a_backup_holds_neither_the_key_nor_a_name_and_says_so(filled: World, tmp_path: Path) -> None:
    database = Database(filled.settings.database, keyring(filled.settings.key_file))
    made = backup(database, tmp_path / "b.zip")
    database.close()
    assert "key is not in it" in made["note"] and (tmp_path / "b.zip").stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(tmp_path / "b.zip") as file:
        content = b"".join(file.read(name) for name in file.namelist())
    for secret in ("Amy Example", filled.settings.key_file.read_text().strip(), "walking 30 min"):
        assert secret.encode() not in content
        assert base64.b64encode(secret.encode()) not in content


@pytest.mark.parametrize("damage", ["row", "table", "manifest", "cut", "no zip", "format", "newer"])
@pytest.mark.parametrize("template", ["sqlite"], indirect=True)
def test_a_damaged_backup_leaves_the_store_empty(filled: World, damage: str, tmp_path: Path) -> None:
    keys = keyring(filled.settings.key_file)
    source, target = Database(filled.settings.database, keys), Database(f"sqlite:///{tmp_path}/new.sqlite", keys)
    path = tmp_path / "b.zip"
    backup(source, path)
    source.close()
    _damaged(path, damage)
    with pytest.raises(DeqiError, match="backup|newer"):
        restore(target, path)
    with target.engine.connect() as connection:
        assert not room._tables(connection)
    target.close()


def _damaged(path: Path, damage: str) -> None:
    if damage in ("cut", "no zip"):
        path.write_bytes(path.read_bytes()[:-200] if damage == "cut" else b"scores")
        return
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    made: dict[str, Any] = json.loads(parts["manifest.json"])
    if damage == "row":
        parts["scores.jsonl"] = parts["scores.jsonl"].replace(b'"value": 5.0', b'"value": 1.0')
    elif damage == "table":
        del parts["audit.jsonl"]
    else:
        made |= {"manifest": {"tables": 3}, "format": {"format": 99}, "newer": {"tables_version": "9999"}}[damage]
        parts["manifest.json"] = json.dumps(made).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)


@pytest.mark.parametrize("table", ["audit", "accounts", "scores"])
def test_a_forged_backup_is_restored_not_at_all(filled: World, tmp_path: Path, table: str) -> None:
    """Somebody with the file could mend its sums, but not its seal."""
    database = Database(filled.settings.database, keyring(filled.settings.key_file))
    path = tmp_path / "b.zip"
    backup(database, path)
    database.close()
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    made = json.loads(parts["manifest.json"])
    name, (old, new) = f"{table}.jsonl", {"audit": (b'"created"', b'"deleted"'), "accounts": (b"clinician", b"admin"),
                                          "scores": (b'"NRS"', b'"ODI"')}[table]
    assert old in parts[name]
    parts[name] = parts[name].replace(old, new, 1)
    made["tables"][table]["sha256"] = hashlib.sha256(parts[name]).hexdigest()
    parts["manifest.json"] = json.dumps(made).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)
    target = Database(f"sqlite:///{tmp_path}/new.sqlite", keyring(filled.settings.key_file))
    with pytest.raises(DeqiError, match="was changed since it was made"):
        restore(target, path)
    with target.engine.connect() as connection:
        assert not room._tables(connection)
    target.close()


def test_a_store_with_records_or_another_key_takes_no_backup(filled: World, tmp_path: Path) -> None:
    database = Database(filled.settings.database, keyring(filled.settings.key_file))
    path = tmp_path / "b.zip"
    backup(database, path)
    with pytest.raises(InputError, match="only into an empty store"):
        restore(database, path)
    database.close()
    (tmp_path / "other").write_text(Fernet.generate_key().decode() + "\n")
    target = Database(f"sqlite:///{tmp_path}/new.sqlite", keyring(tmp_path / "other"))
    with pytest.raises(WrongKey):
        restore(target, path)
    with target.engine.connect() as connection:
        assert not room._tables(connection)
    target.close()


def test_a_backup_that_cannot_be_finished_leaves_no_file(filled: World, tmp_path: Path,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(filled.settings.database, keyring(filled.settings.key_file))
    (tmp_path / "out").mkdir()

    def full(value: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(room, "_out", full)
    with pytest.raises(InputError, match="No space left"):
        backup(database, tmp_path / "out" / "b.zip")
    assert not list((tmp_path / "out").iterdir())
    database.close()


def test_a_backup_is_one_moment_while_others_write(filled: World, tmp_path: Path) -> None:
    database = open_store(filled.settings)
    stop = threading.Event()

    def write() -> None:
        year = 1901
        while not stop.is_set():
            year += 1
            with database.write(Actor()) as store:
                for outcome in ("NRS", "RMDQ"):
                    store.add(Score(patient_id=filled.patients["ben"], created_by="x", outcome=outcome, value=1.0,
                                    origin="practice", day=datetime.date(year, 1, 1)))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for k in range(3):
            backup(database, tmp_path / f"{k}.zip")
    finally:
        stop.set()
        writer.join()
    database.close()
    for k in range(3):
        target = Database(f"sqlite:///{tmp_path}/{k}.sqlite", keyring(filled.settings.key_file))
        restore(target, tmp_path / f"{k}.zip")
        assert verify(target)["is_whole"]
        with target.read() as store:
            pairs = store.execute(select(Score.day, func.count()).where(
                Score.patient_id == filled.patients["ben"]).group_by(Score.day)).all()
        assert all(count == 2 for _, count in pairs)
        target.close()


def test_nobody_stays_signed_in(filled: World, tmp_path: Path) -> None:
    database = open_store(filled.settings)
    with database.write(Actor()) as store:
        store.add(Browser(token=b"x" * 32, account_id=filled.people["ann"], csrf="c"))
    made = backup(database, tmp_path / "b.zip")
    database.close()
    assert "browsers" not in made["tables"]


def test_a_store_of_an_older_version_is_backed_up_before_it_is_brought_up_to_date(
        filled: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = open_store(filled.settings)
    assert before_migration(database, tmp_path / "backups") is None
    monkeypatch.setattr(room, "newest", lambda: "0099")
    saved = before_migration(database, tmp_path / "backups")
    assert saved is not None and room.manifest_of(saved)["tables"]["patients"]["rows"] == 2
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DeqiError, match="newer deqi"):
        before_migration(database, tmp_path / "backups")
    database.close()


def _run(settings: Settings, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", "from deqi.cli import main; main()", "store", *command],
                          env=environment(settings), capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow  # a dozen commands, each in a process of its own
def test_the_commands_do_what_they_say(filled: World, tmp_path: Path) -> None:
    settings, amy = filled.settings, filled.patients["amy"]
    told = _run(settings, "verify", "--json", "-")
    assert told.returncode == 0 and json.loads(told.stdout)["rows"]["patients"] == 2, told.stderr
    assert "not in it" in _run(settings, "backup", str(tmp_path / "b.zip")).stdout
    refused = _run(settings, "restore", str(tmp_path / "b.zip"))
    assert refused.returncode == 2 and "empty store" in refused.stderr and "Traceback" not in refused.stderr
    fresh = replace(settings, data=tmp_path / "new", database=f"sqlite:///{tmp_path / 'new' / 'deqi.sqlite'}")
    assert _run(fresh, "verify").returncode == 2
    assert _run(fresh, "restore", str(tmp_path / "b.zip")).returncode == 0
    assert _run(fresh, "verify").returncode == 0
    exported = _run(fresh, "export", amy, "--fhir", str(tmp_path / "r.json"), "--csv", str(tmp_path / "r.zip"))
    assert exported.returncode == 0 and json.loads((tmp_path / "r.json").read_text())["resourceType"] == "Bundle"
    assert _run(fresh, "export", "0" * 32, "--csv", str(tmp_path / "no.zip")).returncode == 2
    assert _run(fresh, "erase", amy, "--yes").returncode == 0
    assert _run(fresh, "erase", amy, "--yes").returncode == 2
    shutil.copy(settings.key_file, tmp_path / "key")
    own = replace(fresh, key_file=tmp_path / "key")
    rotated = _run(own, "rotate-key")
    assert rotated.returncode == 0, rotated.stderr
    assert len((tmp_path / "key").read_text().split()) == 2
    (tmp_path / "key").write_text((tmp_path / "key").read_text().split()[0] + "\n")
    assert _run(own, "verify").returncode == 0
    assert _run(fresh, "verify").returncode == 1  # with the older key alone nothing opens
    assert "already" in _run(own, "migrate").stdout


def test_verify_tells_a_row_that_nobody_is_known_to_have_written(filled: World) -> None:
    database = open_store(filled.settings)
    assert verify(database)["is_whole"]
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE scores SET id = :id"), {"id": "f" * 32})
    assert verify(database)["faults"] == ["scores: a row that the audit trail does not know"]
    database.close()


def test_a_backup_of_nothing_is_refused(tmp_path: Path, key_file: Path) -> None:
    keyring(key_file, create=True)
    database = Database(f"sqlite:///{tmp_path}/new.sqlite", keyring(key_file))
    with pytest.raises(InputError, match="no store"):
        backup(database, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()
    database.close()
