"""Passwords: which are taken, how they are kept, and what a wrong name costs."""

from __future__ import annotations

import importlib.util

import pytest
from argon2 import Type, extract_parameters
from fastapi.testclient import TestClient

from deqi.errors import InputError
from deqi.web import accounts
from deqi.web.store.database import Database
from deqi.web.store.tables import Account

from .conftest import PASSWORD, World

GOOD = ("seven green herons walk slowly", "7 grüne Reiher 🐦 gehen, ganz langsam", "ねこ は しずか に あるく よる",
        "tq9!vX2$hL0p", "plover " * 5 + "wicket moraine", "heron walks " * 10 + "slowly..")


@pytest.mark.parametrize("password", GOOD)
def test_any_characters_may_stand_in_a_long_enough_password(password: str) -> None:
    assert accounts.checked_password(password) == password


@pytest.mark.parametrize("password", [
    "tq9!v", "eleven char", "password1234", "qwertyuiop12", "123456789012", "aaaaaaaaaaaaaaaa", "iloveyou1234",
    "Passw0rd2024!", "annannannann", "x" * 129])
def test_short_common_and_personal_passwords_are_refused_and_not_repeated(password: str) -> None:
    with pytest.raises(InputError) as refused:
        accounts.checked_password(password, ("ann", "Ann Example", "clinic", "deqi"))
    assert password not in str(refused.value)


def test_passwords_are_kept_as_argon2id_with_a_salt_of_their_own(database: Database, world: World) -> None:
    with database.read() as store:
        kept = [store.get_one(Account, account).password for account in world.people.values()]
    assert len(set(kept)) == len(kept), "one password, as many salts as accounts"
    spec = importlib.util.spec_from_file_location("deqi.web.as_shipped", accounts.__file__)
    assert spec is not None and spec.loader is not None
    shipped = importlib.util.module_from_spec(spec)  # the tests' own hashes are cheaper
    spec.loader.exec_module(shipped)
    found = extract_parameters(shipped._hasher.hash(PASSWORD))
    assert found.type is Type.ID and found.salt_len >= 16
    assert found.memory_cost >= 15 * 1024 and found.time_cost >= 2 and found.parallelism >= 1


def test_a_password_that_only_begins_right_is_wrong(client: TestClient, database: Database, world: World) -> None:
    with database.read() as store:
        account = store.get_one(Account, world.people["ann"])
    longest = "heron walks " * 10 + "slowly.."
    assert len(longest) == accounts.LONGEST
    account.password = accounts._hasher.hash(longest)
    assert accounts._fits(account.password, longest) and not accounts._fits(account.password, longest + "!")


def test_handed_out_passwords_cannot_be_guessed() -> None:
    made = {accounts.temporary_password() for _ in range(200)}
    assert len(made) == 200
    assert all(accounts.checked_password(one) for one in made)
    assert all(len(one) == 19 and not set(one) & set("0o1il") for one in made)


def test_a_wrong_name_costs_what_a_wrong_password_costs(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the work done, not by the clock: one hash is verified either way."""
    verified: list[str] = []
    fits = accounts._fits
    monkeypatch.setattr(accounts, "_fits", lambda hashed, password: verified.append(hashed) or fits(hashed, password))
    for login in ("ann", "nobody-of-that-name"):
        with pytest.raises(accounts.NotSignedIn):
            accounts.sign_in(database, login, "a guess that is wrong", "r")
    assert len(verified) == 2
    assert extract_parameters(verified[0]) == extract_parameters(verified[1])
