"""What goes wrong under a practice: a killed server, a full disk, a locked or lost store, two people at once."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet
from fastapi.testclient import TestClient
from sqlalchemy import event, func, select

from deqi.errors import DeqiError
from deqi.web import accounts
from deqi.web.app import open_store
from deqi.web.settings import Settings
from deqi.web.store.audit import Actor, broken_at
from deqi.web.store.database import Database, StoreUnavailable
from deqi.web.store.tables import Entry, Revision, Score
from deqi.web.store.verify import verify

from . import postgres
from .conftest import World, enter
from .serving import Server, environment
from .test_api import Program, _token

WRITES, WRITERS = 200, 8
FIRST = datetime.date(2015, 1, 1)
only_sqlite = pytest.mark.parametrize("template", ["sqlite"], indirect=True)


@pytest.mark.slow  # starts and kills a server until 200 writes are acknowledged
def test_a_server_killed_in_the_middle_of_writes_loses_none_and_halves_none(world: World) -> None:
    token, chance = _token(world.settings, world.people["ann"]), random.Random(7)
    server = Server(world.settings)
    days = itertools.count()
    sent: dict[str, str | None] = {}
    lock, done = threading.Lock(), threading.Event()
    url = f"{server.url}/api/v1/patients/{world.patients['amy']}/scores"

    def write() -> None:
        with httpx.Client(headers={"authorization": f"Bearer {token}"}, timeout=20) as client:
            while not done.is_set():
                with lock:
                    day = (FIRST + datetime.timedelta(days=next(days))).isoformat()
                    sent[day] = None
                try:
                    answer = client.post(url, json={"day": day, "outcome": "NRS", "value": 5})
                    assert answer.status_code == 201, answer.text
                    with lock:
                        sent[day] = answer.json()["id"]
                        if sum(id is not None for id in sent.values()) >= WRITES:
                            done.set()
                except httpx.HTTPError:
                    time.sleep(0.2)

    kills = 0
    try:
        server.start()
        with ThreadPoolExecutor(WRITERS) as pool:
            writers = [pool.submit(write) for _ in range(WRITERS)]
            try:
                while not done.is_set():
                    enough = sum(id is not None for id in list(sent.values())) + chance.randint(20, 60)
                    while sum(id is not None for id in list(sent.values())) < enough and not done.is_set():
                        time.sleep(chance.uniform(0, 0.02))
                        for writer in writers:
                            assert not writer.done() or writer.exception() is None, writer.exception()
                    if done.is_set():
                        break
                    server.kill()
                    kills += 1
                    server.start()
            finally:
                done.set()
            for writer in writers:
                writer.result()
    finally:
        server.kill()
    assert kills >= 2, "the server was not killed in the middle"
    _nothing_half_written(world, sent)


def _nothing_half_written(world: World, sent: dict[str, str | None]) -> None:
    acknowledged = {day: id for day, id in sent.items() if id is not None}
    database = open_store(world.settings)
    with database.read() as store:
        kept = {score.day.isoformat(): score for score in store.scalars(select(Score))}
        entries = Counter(store.scalars(select(Entry.object_id).where(Entry.kind == "scores",
                                                                      Entry.action == "created")))
        revised = Counter(store.scalars(select(Entry.object_id).join(Revision, Revision.seq == Entry.seq).where(
            Entry.kind == "scores")))
        assert broken_at(store) is None
    assert len(acknowledged) >= WRITES
    assert {day: kept[day].id for day in acknowledged} == acknowledged
    assert set(kept) <= set(sent), "a score that nobody sent"
    assert all(score.value == 5.0 and score.version == 1 for score in kept.values())
    assert entries == revised == Counter(score.id for score in kept.values())
    assert verify(database)["is_whole"]
    database.close()


@only_sqlite
def test_a_full_disk_is_told_and_loses_nothing(client: TestClient, database: Database, world: World) -> None:
    ann = Program(client, database, world.people["ann"])
    csrf = enter(client, database, world.people["ann"])
    path = f"/patients/{world.patients['amy']}/scores"
    assert ann.ask("POST", path, _score(0)).status_code == 201
    lift = _fill(database)
    answers = [ann.ask("POST", path, _score(k)) for k in range(1, 40)]
    refused = [answer for answer in answers if answer.status_code != 201]
    assert refused and {answer.status_code for answer in refused} == {503}
    assert "disk is full" in refused[0].json()["error"] and "nothing was saved" in refused[0].json()["error"]
    page = client.post("/logout", data={"csrf": csrf})
    assert page.status_code in (303, 503)
    assert ann.ask("GET", path).status_code == 200
    taken = sum(answer.status_code == 201 for answer in answers)
    lift()
    with database.read() as store:
        assert store.scalar(select(func.count()).select_from(Score)) == 1 + taken
    assert ann.ask("POST", path, _score(100)).status_code == 201
    assert verify(database)["is_whole"]


def _fill(database: Database) -> Callable[[], None]:
    """Let no more pages be added to the store; gives what lets them again."""
    limit = True

    def bound(connection: Any, *_: object) -> None:
        cursor = connection.cursor()
        pages = cursor.execute("PRAGMA page_count").fetchone()[0]
        cursor.execute(f"PRAGMA max_page_count = {pages if limit else 1_000_000}")

    database.engine.dispose()
    event.listen(database.engine, "checkout", bound)

    def lift() -> None:
        nonlocal limit
        limit = False

    return lift


@pytest.mark.slow  # waits for as long as the server does
@only_sqlite
def test_a_store_locked_by_another_program_is_told_and_loses_nothing(
        client: TestClient, database: Database, world: World) -> None:
    ann = Program(client, database, world.people["ann"])
    csrf = enter(client, database, world.people["ann"])
    path = f"/patients/{world.patients['amy']}/scores"
    assert ann.ask("GET", path).status_code == 200
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
         "c.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()", str(database.path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    try:
        answer = ann.ask("POST", path, _score(0))
        assert answer.status_code == 503 and "another program holds the store" in answer.json()["error"]
        page = client.post("/logout", data={"csrf": csrf})
        assert page.status_code == 503 and "another program holds the store" in page.text
        assert ann.ask("GET", path).json() == {"scores": []}
    finally:
        holder.communicate(b"")
    assert ann.ask("POST", path, _score(0)).status_code == 201
    assert verify(database)["is_whole"]


@pytest.mark.slow  # a PostgreSQL server of its own, stopped and started again
def test_a_lost_postgresql_is_told_and_works_again_when_it_is_back(tmp_path: Path, key_file: Path) -> None:
    if postgres.programs() is None:
        pytest.skip("no PostgreSQL on this machine (Debian: apt-get install postgresql)")
    with postgres.server() as url, _served(Settings(tmp_path, url, key_file)) as (client, database, path, headers):
        def add(k: int) -> httpx.Response:
            return client.post(f"/api/v1{path}", json=_score(k), headers=headers)

        assert add(0).status_code == 201
        _control(url, "stop")
        try:
            lost = add(1)
            assert lost.status_code == 503 and "cannot be reached" in lost.json()["error"]
            assert client.get(f"/api/v1{path}", headers=headers).status_code == 503
            assert "cannot be reached" in client.get("/patients").text
        finally:
            _control(url, "start")
        assert add(2).status_code == 201
        kept = client.get(f"/api/v1{path}", headers=headers).json()["scores"]
        assert [score["day"] for score in kept] == [_score(0)["day"], _score(2)["day"]]
        assert verify(database)["is_whole"]


@contextlib.contextmanager
def _served(settings: Settings) -> Iterator[tuple[TestClient, Database, str, dict[str, str]]]:
    from deqi.web.app import create_app
    from deqi.web.store.tables import Person, new_id

    from .conftest import PASSWORD
    from .stub import StubEngine

    app = create_app(settings, StubEngine())  # type: ignore[arg-type]  # the stub is no Engine
    database: Database = app.state.database
    with database.write(Actor()) as store:
        ann = accounts.new_account(store, "ann", "Ann", ("clinician",), PASSWORD)
        store.flush()
        person = Person(id=new_id(), responsible_id=ann.id, name="Amy Example")
        store.add(person)
        store.flush()
        token = accounts.new_token(store, ann.id, "test", accounts.SCOPES)
    with TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) as client:
        enter(client, database, ann.id)
        yield client, database, f"/patients/{person.id}/scores", {"authorization": f"Bearer {token}"}


def _control(url: str, what: str) -> None:
    folder = url.partition("host=")[2]
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c max_connections=200"
    command = [str(postgres.programs()) + "/pg_ctl", "-D", f"{folder}/data", "-o", options, "-l", f"{folder}/log",
               "-m", "immediate", "-w", what]
    if what == "start":
        command = [part for part in command if part not in ("-m", "immediate")]
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*user, *command], check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=60)


def test_of_many_who_change_the_same_at_once_one_succeeds_and_the_others_are_told(
        client: TestClient, database: Database, world: World) -> None:
    ann = Program(client, database, world.people["ann"])
    path = f"/patients/{world.patients['amy']}/scores"
    made = ann.ask("POST", path, _score(0)).json()

    def change(k: int) -> int:
        return int(ann.ask("PUT", f"{path}/{made['id']}", _score(0) | {"value": k}, **{"if-match": '"1"'}).status_code)

    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(change, range(1, 9)))
    assert statuses[200] == 1 and statuses[200] + statuses[409] + statuses[412] == 8
    assert ann.ask("GET", path).json()["scores"][0]["version"] == 2
    with database.read() as store:
        assert store.scalar(select(func.count()).select_from(Entry).where(Entry.action == "changed",
                                                                          Entry.kind == "scores")) == 1
    assert verify(database)["is_whole"]


def test_two_browsers_that_change_the_same_score_are_told_who_and_can_merge(
        client: TestClient, database: Database, world: World) -> None:
    ann = Program(client, database, world.people["ann"])
    score = ann.ask("POST", f"/patients/{world.patients['amy']}/scores", _score(0)).json()
    page = f"/patients/{world.patients['amy']}/scores/{score['id']}"
    form = {"day": score["day"], "outcome": "NRS", "version": "1"}
    csrf = enter(client, database, world.people["cas"])
    assert client.post(page, data=form | {"value": "4", "csrf": csrf}).status_code == 303
    csrf = enter(client, database, world.people["ann"])
    told = client.post(page, data=form | {"value": "7", "csrf": csrf})
    assert told.status_code == 409 and "Cas" in told.text
    assert ">4<" in told.text.replace(" ", "").replace("\n", "") and "7" in told.text
    assert client.post(page, data=form | {"value": "7", "version": "2", "csrf": csrf}).status_code == 303
    assert ann.ask("GET", f"/patients/{world.patients['amy']}/scores").json()["scores"][0]["value"] == 7
    assert verify(database)["is_whole"]


@pytest.mark.parametrize(("fault", "told"), [
    ("wrong key", "another key"), ("newer store", "newer deqi"), ("corrupt file", "damaged"),
    ("no key", "not a key file"), ("file for a folder", "cannot be made")])
@only_sqlite
def test_a_store_that_cannot_be_opened_says_why(world: World, tmp_path: Path, fault: str, told: str) -> None:
    with pytest.raises(DeqiError, match=told) as raised:
        open_store(_broken(world.settings, tmp_path, fault))
    assert "\n" not in str(raised.value)


@only_sqlite
def test_a_start_that_cannot_be_ends_with_one_message_and_status_2(world: World, tmp_path: Path) -> None:
    ended = _serve(_broken(world.settings, tmp_path, "corrupt file"))
    assert ended.returncode == 2 and "damaged" in ended.stderr, ended.stderr
    assert "Traceback" not in ended.stderr and len(ended.stderr.strip().splitlines()) == 1


def _broken(settings: Settings, folder: Path, fault: str) -> Settings:
    key, path = folder / "key", folder / "deqi.sqlite"
    key.write_text({"wrong key": Fernet.generate_key().decode() + "\n", "no key": "rosebud\n"}.get(
        fault, settings.key_file.read_text()))
    if fault == "newer store":
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
    elif fault == "corrupt file":
        path.write_bytes(b"no database at all " * 1000)
    return replace(settings, key_file=key, data=path if fault == "file for a folder" else folder)


@only_sqlite
def test_a_folder_that_may_not_be_written_is_told(world: World) -> None:
    assert world.settings.data.joinpath("deqi.sqlite").exists()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(world.settings.data / "deqi.sqlite", folder)
        shutil.copy(world.settings.key_file, folder / "key")
        for file in folder.iterdir():
            file.chmod(0o444)
        folder.chmod(0o555)
        with _nobody(), pytest.raises(StoreUnavailable, match="cannot be opened for writing"):
            open_store(Settings(folder, f"sqlite:///{folder / 'deqi.sqlite'}", folder / "key"))
        folder.chmod(0o700)


@contextlib.contextmanager
def _nobody() -> Iterator[None]:
    """Root may write everywhere; be somebody else for a while."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def _serve(settings: Settings) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", "from deqi.cli import main; main()", "serve", "--no-browser"],
                          env=environment(settings, _free_port()), capture_output=True, text=True, timeout=60,
                          check=False, cwd=Path(__file__).parents[2])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _score(k: int) -> dict[str, Any]:
    return {"day": (FIRST + datetime.timedelta(days=k)).isoformat(), "outcome": "NRS", "value": 5}


def test_a_write_that_fails_leaves_no_trace(world: World) -> None:
    database = open_store(world.settings)
    with database.read() as store:
        before = store.scalar(select(func.max(Entry.seq)))
    with pytest.raises(ZeroDivisionError), database.write(Actor()) as store:
        store.add(Score(patient_id=world.patients["amy"], created_by="x", day=FIRST, outcome="NRS", value=1.0,
                        origin="practice"))
        store.flush()
        raise ZeroDivisionError
    with database.read() as store:
        assert store.scalar(select(func.max(Entry.seq))) == before
        assert store.scalar(select(func.count()).select_from(Score)) == 0
    database.close()
