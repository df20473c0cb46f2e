"""The patient's own page: who is let in, what it gives away, what becomes of what is told there."""

from __future__ import annotations

import datetime
import re

import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select

from deqi.web.store import links
from deqi.web.store.audit import Actor
from deqi.web.store.database import Database, StoreUnavailable
from deqi.web.store.tables import AdverseEvent, Alert, Entry, Link, Score, now

from .conftest import World, enter
from .planned import begun, on_sqlite


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of a hash is not what is tested here."""
    monkeypatch.setattr(links, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


GOOD = {"signs": "none", "pain": "4", "kind": "nothing"}


def made(database: Database, world: World, name: str = "amy") -> tuple[str, str]:
    """A link and its code."""
    with database.write(Actor()) as store:
        row, code = links.new_link(store, world.patients[name], world.people["ann"])
    return row.id, code


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**8:08d}"


def let_in(client: TestClient, link: str, code: str) -> str:
    """Enter the code; gives the token of the form."""
    assert client.post(f"/p/{link}", data={"code": code}).status_code == 303
    found = re.search(r'name="csrf" value="([^"]+)"', client.get(f"/p/{link}/scores").text)
    assert found
    return found[1]


def send(client: TestClient, link: str, csrf: str, **given: object) -> tuple[int, str]:
    answer = client.post(f"/p/{link}/scores", data={**GOOD, "csrf": csrf, **given})
    return answer.status_code, answer.text


def over(database: Database, link: str) -> None:
    """Let the time on a page run out."""
    with database.write(Actor()) as store:
        row = store.get(Link, link)
        assert row is not None
        row.session_until = now() - datetime.timedelta(seconds=1)


@on_sqlite
def test_the_practice_sees_the_code_once(client: TestClient, database: Database, world: World) -> None:
    csrf = enter(client, database, world.people["ann"])
    url = f"/patients/{world.patients['amy']}/link"
    told = client.post(url, data={"csrf": csrf}).text
    code = re.search(r'class="code">(\d{4}) (\d{4})<', told)
    assert code and "this computer only" in told
    again = client.get(url).text
    assert "/p/" in again and code[1] + " " + code[2] not in again
    with database.read() as store:
        row = store.scalar(select(Link))
        assert row is not None and row.code.startswith("$argon2id$") and code[1] + code[2] not in row.code


def test_what_a_patient_tells_is_kept_as_theirs(client: TestClient, database: Database, world: World) -> None:
    begun(world, database, 3)
    link, code = made(database, world)
    csrf = let_in(client, link, code)
    status, told = send(client, link, csrf, pain="3", disability="7", kind="bleeding", severity="mild", words="arm")
    assert status == 200 and "Thank you" in told
    with database.read() as store:
        scores = store.scalars(select(Score).order_by(Score.outcome)).all()
        assert [(row.outcome, row.value, row.origin, row.created_by) for row in scores] == [
            ("NRS", 3.0, "patient", f"link:{link}"), ("RMDQ", 7.0, "patient", f"link:{link}")]
        event = store.scalars(select(AdverseEvent)).one()
        assert event.kind == "bleeding" and event.details == {
            "severity": "mild", "words": "arm", "reported_by": "patient", "reviewed": False}
        actors = set(store.scalars(select(Entry.actor).where(Entry.kind.in_(["scores", "adverse_events"]))))
        assert actors == {f"link:{link}"}
    assert send(client, link, csrf)[0] == 401  # sent once, the page is closed


@on_sqlite
def test_warning_signs_are_told_at_once_even_where_the_rest_is_missing(client: TestClient, database: Database,
                                                                      world: World) -> None:
    link, code = made(database, world)
    csrf = let_in(client, link, code)
    status, told = send(client, link, csrf, signs=["saddle_numbness", "made_up"], pain="")
    assert status == 200 and "emergency department today" in told and "Thank you" not in told
    with database.read() as store:
        alert = store.scalars(select(Alert)).one()
        assert alert.signs == {"signs": ["saddle_numbness"]} and alert.seen_at is None
        assert store.scalar(select(Score)) is None


def alerts(database: Database) -> list[list[str]]:
    with database.read() as store:
        return [row.signs["signs"] for row in store.scalars(select(Alert).order_by(Alert.created_at))]


@on_sqlite
def test_no_browser_holds_a_warning_sign_back_because_another_answer_is_missing(
        client: TestClient, database: Database, world: World) -> None:
    link, code = made(database, world)
    let_in(client, link, code)
    assert re.search(rf'<form [^>]*action="/p/{link}/scores"[^>]* novalidate>', client.get(f"/p/{link}/scores").text)


@on_sqlite
def test_a_warning_sign_is_kept_also_when_the_time_on_the_page_is_over(client: TestClient, database: Database,
                                                                     world: World) -> None:
    link, code = made(database, world)
    csrf = let_in(client, link, code)
    over(database, link)
    status, told = send(client, link, csrf, signs="saddle_numbness", pain="9")
    assert status == 200 and "emergency department today" in told and "other answers were not saved" in told
    assert alerts(database) == [["saddle_numbness"]]
    with database.read() as store:
        assert store.scalar(select(Score)) is None


@on_sqlite
@pytest.mark.parametrize("how", ["no cookie", "another form", "closed page", "sent before", "store is full"])
def test_a_warning_sign_that_cannot_be_kept_is_answered_all_the_same_and_says_so(
        client: TestClient, database: Database, world: World, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    link, code = made(database, world)
    csrf = let_in(client, link, code)
    if how == "no cookie":
        client.cookies.clear()
    if how == "another form":
        csrf = "x" * 43
    if how == "closed page":
        made(database, world)
    if how == "sent before":
        send(client, link, csrf)
    if how == "store is full":
        def full(*_: object) -> None:
            raise StoreUnavailable("full")
        monkeypatch.setattr(links, "take", full)
    status, told = send(client, link, csrf, signs="saddle_numbness")
    assert status == 401 and "emergency department today" in told
    assert "was NOT saved" in told and "can see what you ticked" not in told and alerts(database) == []


@on_sqlite
def test_nobody_is_told_that_what_they_sent_is_safe_when_it_was_not_kept(client: TestClient, database: Database,
                                                                       world: World) -> None:
    link, code = made(database, world)
    csrf = let_in(client, link, code)
    over(database, link)
    status, told = send(client, link, csrf)
    assert status == 401 and "was NOT saved" in told
    assert "NOT saved" not in client.get(f"/p/{link}/scores").text


@on_sqlite
def test_an_unanswered_warning_sign_is_never_no(client: TestClient, database: Database, world: World) -> None:
    link, code = made(database, world)
    csrf = let_in(client, link, code)
    assert send(client, link, csrf, signs="made_up")[0] == 422
    assert send(client, link, csrf, pain="11")[0] == 422
    assert send(client, link, csrf, kind="bleeding")[0] == 422
    assert send(client, link, csrf)[0] == 200


@on_sqlite
def test_a_score_that_the_practice_entered_today_stays(client: TestClient, database: Database, world: World) -> None:
    with database.write(Actor()) as store:
        store.add(Score(patient_id=world.patients["amy"], created_by=world.people["ann"], outcome="NRS", value=8,
                        day=datetime.date.today(), origin="practice"))
    link, code = made(database, world)
    assert "that one was kept" in send(client, link, let_in(client, link, code), pain="1")[1]
    with database.read() as store:
        assert store.scalars(select(Score)).one().value == 8


@on_sqlite
def test_a_patient_may_correct_their_own_score_of_the_day(client: TestClient, database: Database, world: World) -> None:
    link, code = made(database, world)
    for pain in ("6", "2"):
        assert send(client, link, let_in(client, link, code), pain=pain)[0] == 200
    with database.read() as store:
        assert store.scalars(select(Score)).one().value == 2


def test_five_wrong_codes_close_the_page_also_to_the_right_one_and_twenty_for_good(
        client: TestClient, database: Database, world: World) -> None:
    link, code = made(database, world)
    for _ in range(5):
        assert client.post(f"/p/{link}", data={"code": wrong(code)}).status_code == 401
    assert client.post(f"/p/{link}", data={"code": code}).status_code == 401
    with database.write(Actor()) as store:
        row = store.get(Link, link)
        assert row is not None and row.locked_until is not None and row.locked_until > now()
        row.locked_until, row.failures = None, 19
    assert client.post(f"/p/{link}", data={"code": wrong(code)}).status_code == 401
    assert client.post(f"/p/{link}", data={"code": code}).status_code == 401
    with database.read() as store:
        row = store.get(Link, link)
        assert row is not None and row.revoked_at is not None


@on_sqlite
def test_many_tries_from_one_address_have_to_wait(client: TestClient) -> None:
    found = [client.post(f"/p/{'0' * 32}", data={"code": "1"}).status_code for _ in range(21)]
    assert found[:20] == [401] * 20 and found[20] == 429


@on_sqlite
def test_unknown_ended_and_revoked_pages_say_the_same(client: TestClient, database: Database, world: World) -> None:
    link, code = made(database, world)
    told = []
    for change in (None, {"revoked_at": now()}, {"expires_at": now() - datetime.timedelta(days=1)}):
        name = link
        if change is None:
            name = "0" * 32
        else:
            with database.write(Actor()) as store:
                row = store.get(Link, link)
                assert row is not None
                row.revoked_at = None
                for field, value in change.items():
                    setattr(row, field, value)
        answer = client.post(f"/p/{name}", data={"code": code})
        told.append((answer.status_code, answer.text.replace(name, "")))
    assert told[0] == told[1] == told[2] and told[0][0] == 401


@on_sqlite
def test_pages_name_nobody_and_a_cookie_opens_one_page_only(client: TestClient, database: Database, world: World
                                                           ) -> None:
    link, code = made(database, world)
    other, _ = made(database, world, "ben")
    csrf = let_in(client, link, code)
    for page in (client.get(f"/p/{link}"), client.get(f"/p/{link}/scores")):
        assert "Amy" not in page.text and "Ann" not in page.text and 'href="/patients' not in page.text
    cookie = client.cookies["deqi-link"]
    client.cookies.clear()
    client.cookies.set("deqi-link", cookie)
    assert client.get(f"/p/{other}/scores").status_code == 401
    assert send(client, other, csrf)[0] == 401
    assert send(client, link, "x" * 43)[0] == 403
    assert client.get(f"/patients/{world.patients['amy']}").status_code in (303, 404)


@on_sqlite
def test_a_new_code_and_a_revoked_page_put_the_browser_out(client: TestClient, database: Database, world: World
                                                          ) -> None:
    link, code = made(database, world)
    csrf = let_in(client, link, code)
    made(database, world)
    assert send(client, link, csrf)[0] == 401
    assert client.post(f"/p/{link}", data={"code": code}).status_code == 401


@on_sqlite
def test_half_an_hour_after_the_code_the_page_is_closed(client: TestClient, database: Database, world: World) -> None:
    link, code = made(database, world)
    csrf = let_in(client, link, code)
    over(database, link)
    assert send(client, link, csrf)[0] == 401


@on_sqlite
def test_handing_the_device_over_signs_the_clinician_out(app: FastAPI, client: TestClient, database: Database,
                                                         world: World) -> None:
    enter(client, database, world.people["ann"])
    kept = client.cookies["deqi"]
    link, code = made(database, world)
    assert "Ann is signed in on this device" in client.get(f"/p/{link}").text
    assert client.post(f"/p/{link}", data={"code": code}).status_code == 303
    client.cookies.set("deqi", kept)
    assert client.get(f"/patients/{world.patients['amy']}/followup").headers["location"] == "/login"


@on_sqlite
def test_an_assistant_may_close_a_page_but_not_make_one(client: TestClient, database: Database, world: World) -> None:
    link, code = made(database, world)
    csrf = enter(client, database, world.people["cas"])
    url = f"/patients/{world.patients['amy']}/link"
    assert client.post(url, data={"csrf": csrf}).status_code == 403
    assert client.post(f"{url}/revoke", data={"csrf": csrf}).status_code == 303
    assert client.post(f"/p/{link}", data={"code": code}).status_code == 401
