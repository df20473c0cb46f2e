"""A server of the tests' own, on each kind of store, with people of every role and a stub for the forecasts."""

from __future__ import annotations

import datetime
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, make_url, text

from deqi.web import accounts
from deqi.web.app import create_app, open_store
from deqi.web.settings import Settings
from deqi.web.store.audit import Actor
from deqi.web.store.database import Database
from deqi.web.store.tables import Account, Assessment, Browser, Member, Person, new_id

from . import postgres
from .stub import StubEngine

PASSWORD = "seven green herons walk slowly"
STORES = ("sqlite", "postgresql")
accounts._hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)  # quick; test_passwords has the real one


@dataclass(frozen=True)
class World:
    """A store with a small practice in it; ids by short names.

    Attributes:
        settings: of a server on it.
        people: account ids: `ann` and `bob` are clinicians, `cas` is an assistant, `dan` keeps accounts.
        patients: `amy` is Ann's, with Cas on the team; `ben` is Bob's alone.
        assessments: by patient.
    """

    settings: Settings
    people: dict[str, str]
    patients: dict[str, str]
    assessments: dict[str, str]


ROLES = {"ann": ("clinician",), "bob": ("clinician",), "cas": ("assistant",), "dan": ("admin",)}


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One key for all the stores of a run."""
    return tmp_path_factory.mktemp("key") / "key"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of a PostgreSQL server, or a skip with the reason."""
    if postgres.programs() is None:
        pytest.skip("no PostgreSQL on this machine (Debian: apt-get install postgresql)")
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="session", params=STORES)
def template(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, key_file: Path) -> World:
    """A store that tests copy: made once for each kind."""
    folder = tmp_path_factory.mktemp("template")
    url = f"sqlite:///{folder / 'deqi.sqlite'}"
    if request.param == "postgresql":
        url = _fresh(request.getfixturevalue("postgres_url"))
    database = open_store(Settings(folder, url, key_file))
    with database.write(Actor()) as store:
        people = {name: accounts.new_account(store, name, name.title(), roles, PASSWORD)
                  for name, roles in ROLES.items()}
        store.flush()
        patients = {name: Person(id=new_id(), responsible_id=people[owner].id, name=f"{name.title()} Example")
                    for name, owner in (("amy", "ann"), ("ben", "bob"))}
        store.add_all(patients.values())
        store.flush()
        store.add(Member(patient_id=patients["amy"].id, account_id=people["cas"].id))
        done = {name: Assessment(id=new_id(), patient_id=one.id, created_by=people["ann"].id,
                                 day=datetime.date(2026, 3, 2), answers={"patient": {"pain": {"week_average": 6}}})
                for name, one in patients.items()}
        store.add_all(done.values())
    database.close()
    return World(Settings(folder, url, key_file), {name: one.id for name, one in people.items()},
                 {name: one.id for name, one in patients.items()}, {name: one.id for name, one in done.items()})


@pytest.fixture
def world(template: World, tmp_path: Path) -> Iterator[World]:
    """A copy of the store, for one test."""
    if template.settings.database.startswith("sqlite"):
        shutil.copy(template.settings.data / "deqi.sqlite", tmp_path / "deqi.sqlite")
        yield replace(template, settings=replace(template.settings, data=tmp_path,
                                                 database=f"sqlite:///{tmp_path / 'deqi.sqlite'}"))
        return
    url = _fresh(template.settings.database, template=str(make_url(template.settings.database).database))
    yield replace(template, settings=replace(template.settings, data=tmp_path, database=url))
    _on_server(url, f'DROP DATABASE "{make_url(url).database}" WITH (FORCE)')


@pytest.fixture
def app(world: World) -> Iterator[FastAPI]:
    """A server on the store, with stored forecasts."""
    yield create_app(world.settings, StubEngine())


@pytest.fixture
def database(app: FastAPI) -> Iterator[Database]:
    """The server's store."""
    yield app.state.database
    app.state.database.close()


@pytest.fixture
def client(app: FastAPI, database: Database) -> Iterator[TestClient]:
    """A browser that is not signed in."""
    with TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) as browser:
        yield browser


def enter(client: TestClient, database: Database, account: str) -> str:
    """Sign a browser in without its password; gives the token that its forms carry."""
    cookie, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    with database.write(Actor()) as store:
        assert store.get(Account, account) is not None
        store.add(Browser(token=accounts._hash(cookie), account_id=account, csrf=csrf))
    client.cookies.set("deqi", cookie)
    return csrf


def _fresh(server: str, template: str = "template1") -> str:
    """Another database on the same PostgreSQL server, as a copy of one."""
    name = f"t{secrets.token_hex(8)}"
    _on_server(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _on_server(url: str, command: str) -> None:
    engine = create_engine(make_url(url).set(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(command))
    engine.dispose()
