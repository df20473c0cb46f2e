"""Signing in: who gets in, who does not, and what a page gives away."""

from __future__ import annotations

from fastapi.testclient import TestClient

from deqi.web.store.database import Database

from .conftest import PASSWORD, World, enter


def _sign_in(client: TestClient, password: str) -> int:
    return client.post("/login", data={"login": "Ann", "password": password}).status_code


def test_the_right_password_opens_and_the_cookie_is_kept_from_scripts(client: TestClient) -> None:
    answer = client.post("/login", data={"login": "Ann", "password": PASSWORD})
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    assert client.get("/").headers["location"] != "/login"


def test_five_wrong_tries_lock_the_account_also_for_the_right_password(client: TestClient) -> None:
    for _ in range(5):
        assert _sign_in(client, "not the password") == 401
    assert _sign_in(client, PASSWORD) == 401


def test_many_tries_from_one_address_have_to_wait(client: TestClient) -> None:
    names = [client.post("/login", data={"login": f"x{k}", "password": "y"}).status_code for k in range(21)]
    assert names[:20] == [401] * 20 and names[20] == 429


def test_a_page_of_another_site_signs_nobody_in(client: TestClient) -> None:
    for headers in ({"origin": "https://elsewhere.example"}, {"sec-fetch-site": "cross-site"}):
        assert client.post("/login", data={"login": "ann", "password": PASSWORD}, headers=headers).status_code == 403


def test_signing_out_ends_the_session_on_the_server(client: TestClient, database: Database, world: World) -> None:
    csrf = enter(client, database, world.people["ann"])
    kept = dict(client.cookies)
    assert client.post("/logout").status_code == 403
    assert client.post("/logout", data={"csrf": csrf}).status_code == 303
    client.cookies.update(kept)
    assert client.get("/").headers["location"] == "/login"


def test_a_foreign_host_name_is_refused(client: TestClient) -> None:
    assert client.get("/login", headers={"host": "elsewhere.example"}).status_code == 400
