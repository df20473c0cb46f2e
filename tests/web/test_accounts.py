"""Accounts: who can be locked out, what a temporary password allows, what ends when, what is asked again."""

from __future__ import annotations

import datetime
import html
import re

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from deqi.web import accounts
from deqi.web.settings import Settings
from deqi.web.store.audit import Actor
from deqi.web.store.database import Database
from deqi.web.store.tables import Account, Browser, Entry, Member, Person, Token, now

from .conftest import PASSWORD, World, enter

ANOTHER = "eleven patient otters carry lanterns"


def _once(page: str) -> str:
    shown = re.search(r'<textarea id="once"[^>]*>\s*([^<]+)</textarea>', page)
    assert shown, page
    return html.unescape(shown[1])


def _account(database: Database, account: str) -> Account:
    with database.read() as store:
        return store.get_one(Account, account)


def _change(client: TestClient, database: Database, account: str, csrf: str, **form: object) -> int:
    known = _account(database, account)
    sent = {"csrf": csrf, "version": known.version, "name": known.name, "roles": known.roles.split(), "active": "yes",
            "confirm": PASSWORD, **form}
    given = {key: value for key, value in sent.items() if value is not None}
    return client.post(f"/accounts/{account}", data=given).status_code


def _other_browser(database: Database, account: str) -> str:
    with database.write(Actor()) as store:
        return accounts.new_browser(store, account)


def test_a_new_account_works_only_after_its_owner_chose_a_password(client: TestClient, database: Database,
                                                                   world: World) -> None:
    csrf = enter(client, database, world.people["dan"])
    form = {"csrf": csrf, "login": "Eve", "name": "Eve Example", "roles": ["clinician"], "confirm": PASSWORD}
    made = client.post("/accounts/new", data=form)
    secret = _once(made.text)
    client.cookies.clear()
    assert client.post("/login", data={"login": "eve", "password": secret}).status_code == 303
    for path in ("/patients", "/account", "/account/tokens/new"):
        assert client.get(path).headers["location"] == "/account/password"
    page = client.get("/account/password").text
    form = {"csrf": re.search(r'name="csrf" value="([^"]+)"', page)[1], "confirm": secret}  # type: ignore[index]  # a form has one
    assert client.post("/account/password", data={**form, "password": secret}).status_code == 422
    assert client.post("/account/password", data={**form, "password": ANOTHER}).status_code == 303
    assert client.get("/patients").status_code == 200
    assert secret not in client.get("/account").text


def test_a_temporary_password_ends_by_itself_and_is_shown_once(client: TestClient, database: Database, world: World
                                                               ) -> None:
    csrf = enter(client, database, world.people["dan"])
    ann = world.people["ann"]
    client.cookies.set("deqi", _other_browser(database, ann))
    assert client.get("/account").status_code == 200
    csrf = enter(client, database, world.people["dan"])
    reset = client.post(f"/accounts/{ann}/password", data={"csrf": csrf, "confirm": PASSWORD})
    secret = _once(reset.text)
    assert len(secret) >= 16 and reset.headers["cache-control"] == "no-store"
    with database.write(Actor()) as store:
        assert not store.scalars(select(Browser).where(Browser.account_id == ann)).all()
        store.get_one(Account, ann).password_until = now() - datetime.timedelta(seconds=1)
    for password in (secret, PASSWORD):
        assert client.post("/login", data={"login": "ann", "password": password}).status_code == 401


def test_nobody_removes_the_last_administrator_or_locks_themselves_out(client: TestClient, database: Database,
                                                                       world: World) -> None:
    dan, ann = world.people["dan"], world.people["ann"]
    csrf = enter(client, database, dan)
    assert _change(client, database, dan, csrf, roles=["assistant"]) == 422
    assert _change(client, database, dan, csrf, active=None) == 422
    assert _change(client, database, ann, csrf, roles=["clinician", "admin"]) == 303
    ann_csrf = enter(client, database, ann)
    assert _change(client, database, dan, ann_csrf, active=None) == 303
    assert _change(client, database, ann, ann_csrf, roles=["clinician"]) == 422
    assert _account(database, ann).roles == "clinician admin" and not _account(database, dan).active


def test_an_administrator_who_was_closed_meanwhile_cannot_close_the_last(database: Database, world: World) -> None:
    """Two of them close each other at once: the guard let both pass, the write lets one."""
    from deqi.errors import InputError
    from deqi.web.guard import Caller
    from deqi.web.rooms.accounts import _keep_an_administrator

    with database.write(Actor()) as store:
        store.get_one(Account, world.people["ann"]).roles = "clinician admin"
        store.get_one(Account, world.people["dan"]).active = False
    with database.write(Actor()) as store, pytest.raises(InputError, match="nobody would keep"):
        _keep_an_administrator(store, store.get_one(Account, world.people["ann"]),
                               Caller(account=world.people["dan"]), stays=False)


def test_a_closed_account_is_out_at_once(client: TestClient, database: Database, world: World) -> None:
    cas = world.people["cas"]
    with database.write(Actor()) as store:
        token = accounts.new_token(store, cas, "diary", ("records:read",))
    theirs = _other_browser(database, cas)
    csrf = enter(client, database, world.people["dan"])
    assert _change(client, database, cas, csrf, active=None) == 303
    client.cookies.set("deqi", theirs)
    assert client.get("/account").headers["location"] == "/login"
    client.cookies.clear()
    assert client.get("/api/v1/patients", headers={"authorization": f"Bearer {token}"}).status_code == 401
    assert client.post("/login", data={"login": "cas", "password": PASSWORD}).status_code == 401


def test_an_older_page_does_not_undo_what_another_administrator_did(client: TestClient, database: Database,
                                                                    world: World) -> None:
    csrf, bob = enter(client, database, world.people["dan"]), world.people["bob"]
    version = _account(database, bob).version
    assert _change(client, database, bob, csrf, name="Robert") == 303
    assert _change(client, database, bob, csrf, name="Bobby", version=version) == 409
    assert _account(database, bob).name == "Robert"


def test_wrong_passwords_at_an_open_browser_lock_and_sign_out(client: TestClient, database: Database, world: World
                                                              ) -> None:
    csrf = enter(client, database, world.people["ann"])
    form = {"csrf": csrf, "label": "mine", "scopes": ["records:read"], "days": "30", "confirm": "a guess"}
    for _ in range(5):
        assert client.post("/account/tokens/new", data=form).status_code == 422
    assert client.get("/account").headers["location"] == "/login"
    assert client.post("/login", data={"login": "ann", "password": PASSWORD}).status_code == 401
    with database.read() as store:
        assert not store.scalars(select(Token)).all()
        assert "locked" in store.scalars(select(Entry.action)).all()


def test_an_administrator_unlocks(client: TestClient, database: Database, world: World) -> None:
    for _ in range(5):
        client.post("/login", data={"login": "ann", "password": "a guess"})
    csrf = enter(client, database, world.people["dan"])
    assert client.post(f"/accounts/{world.people['ann']}/unlock", data={"csrf": csrf}).status_code == 303
    client.cookies.clear()
    assert client.post("/login", data={"login": "ann", "password": PASSWORD}).status_code == 303


def test_a_changed_password_ends_other_browsers_and_renews_this_one(client: TestClient, database: Database,
                                                                    world: World) -> None:
    other = _other_browser(database, world.people["ann"])
    with database.write(Actor()) as store:
        token = accounts.new_token(store, world.people["ann"], "program", accounts.SCOPES)
    csrf = enter(client, database, world.people["ann"])
    this = client.cookies["deqi"]
    for wrong in ({"confirm": "not it", "password": ANOTHER}, {"confirm": PASSWORD, "password": "too short"},
                  {"confirm": PASSWORD, "password": "ann ann ann ann ann"},
                  {"confirm": PASSWORD, "password": PASSWORD}):
        assert client.post("/account/password", data={"csrf": csrf, **wrong}).status_code == 422
    answer = client.post("/account/password", data={"csrf": csrf, "confirm": PASSWORD, "password": ANOTHER})
    renewed = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
    for cookie, lets_in in ((renewed, True), (this, False), (other, False)):
        client.cookies.clear()
        client.cookies.set("deqi", cookie)
        assert (client.get("/account").status_code == 200) == lets_in
    client.cookies.clear()
    assert client.get("/api/v1/patients", headers={"authorization": f"Bearer {token}"}).status_code == 401


def test_one_ends_ones_own_sessions_and_nobody_elses(client: TestClient, database: Database, world: World) -> None:
    mine, bobs = (_other_browser(database, world.people[name]) for name in ("ann", "bob"))
    csrf = enter(client, database, world.people["ann"])
    for cookie in (bobs, mine):
        client.post("/account/sessions", data={"csrf": csrf, "session": accounts.browser_id(cookie).hex()})
    with database.read() as store:
        left = set(store.scalars(select(Browser.token)))
    assert accounts.browser_id(bobs) in left and accounts.browser_id(mine) not in left
    assert accounts.browser_id(client.cookies["deqi"]) in left


def test_a_token_is_shown_once_kept_as_a_hash_and_limited_by_roles(client: TestClient, database: Database,
                                                                   world: World) -> None:
    form = {"label": "the diary", "scopes": ["records:read"], "days": "30", "confirm": PASSWORD}
    csrf = enter(client, database, world.people["dan"])
    assert client.post("/account/tokens/new", data={"csrf": csrf, **form}).status_code == 422
    csrf = enter(client, database, world.people["ann"])
    assert client.post("/account/tokens/new", data={"csrf": csrf, **form, "confirm": "wrong"}).status_code == 422
    secret = _once(client.post("/account/tokens/new", data={"csrf": csrf, **form}).text)
    page = client.get("/account").text
    assert "the diary" in page and secret not in page
    with database.read() as store:
        token = store.scalars(select(Token)).one()
    assert secret.encode() not in token.token and token.expires_at < now() + datetime.timedelta(days=31)
    client.cookies.clear()
    bearer = {"authorization": f"Bearer {secret}"}
    assert client.get("/api/v1/patients", headers=bearer).status_code == 200
    csrf = enter(client, database, world.people["ann"])
    assert client.post(f"/account/tokens/{token.id}/revoke", data={"csrf": csrf}).status_code == 303
    client.cookies.clear()
    assert client.get("/api/v1/patients", headers=bearer).status_code == 401


def test_records_of_who_leaves_are_handed_over_without_being_seen(client: TestClient, database: Database, world: World
                                                                  ) -> None:
    ann, bob, amy = world.people["ann"], world.people["bob"], world.patients["amy"]
    with database.write(Actor()) as store:
        store.add(Member(patient_id=world.patients["ben"], account_id=ann))
    csrf = enter(client, database, world.people["dan"])
    assert "Amy" not in client.get(f"/accounts/{ann}/records").text
    for heir in (world.people["cas"], ann, ""):
        form = {"csrf": csrf, "confirm": PASSWORD, "heir": heir}
        assert client.post(f"/accounts/{ann}/records", data=form).status_code == 422
    form = {"csrf": csrf, "confirm": PASSWORD, "heir": bob}
    assert client.post(f"/accounts/{ann}/records", data=form).status_code == 303
    with database.read() as store:
        assert store.get_one(Person, amy).responsible_id == bob
        assert not store.scalars(select(Member).where(Member.account_id == ann)).all()
        trail = store.scalars(select(Entry).where(Entry.patient_id == amy, Entry.action == "changed")).all()
        left = store.scalars(select(Entry.patient_id).where(Entry.kind == "members", Entry.action == "deleted")).all()
    assert [entry.fields for entry in trail] == [["responsible_id"]] and left == [world.patients["ben"]]


def test_a_session_in_use_lasts_and_an_idle_one_ends(client: TestClient, database: Database, world: World) -> None:
    enter(client, database, world.people["ann"])
    this = accounts.browser_id(client.cookies["deqi"])
    idle = datetime.timedelta(minutes=Settings.idle_minutes)

    def set_seen(ago: datetime.timedelta) -> None:
        with database.write(Actor()) as store:
            store.get_one(Browser, this).seen_at = now() - ago

    set_seen(idle - datetime.timedelta(minutes=1))
    assert client.get("/account").status_code == 200
    with database.read() as store:
        assert now() - store.get_one(Browser, this).seen_at < datetime.timedelta(minutes=1)
    set_seen(idle + datetime.timedelta(seconds=1))
    assert client.get("/account").headers["location"] == "/login"
    with database.write(Actor()) as store:
        browser = store.get_one(Browser, this)
        browser.seen_at, browser.created_at = now(), now() - datetime.timedelta(hours=Settings.session_hours, seconds=1)
    assert client.get("/account").headers["location"] == "/login"


def test_names_and_dates_are_written_as_one_chose(client: TestClient, database: Database, world: World) -> None:
    csrf = enter(client, database, world.people["ann"])
    assert client.post("/account", data={"csrf": csrf, "name": "Ann B.", "locale": "xx-YY"}).status_code == 422
    assert client.post("/account", data={"csrf": csrf, "name": "Ann B.", "locale": "en-DE"}).status_code == 303
    page = client.get("/account").text
    assert 'data-locale="en-DE"' in page and "Ann B." in page
