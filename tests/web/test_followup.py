"""Follow-up: what is due, what a score means, when to stop, and that no score is lost or taken in by half."""

from __future__ import annotations

import datetime
import json
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from deqi.consult.assessment import parse_patient
from deqi.errors import InputError
from deqi.web.store import scores as kept
from deqi.web.store.audit import Actor
from deqi.web.store.database import Database
from deqi.web.store.tables import Alert, Assessment, Plan, Score, Treatment, new_id

from .conftest import World, enter
from .planned import begun, on_sqlite, plan
from .stub import StubEngine

BEGAN = datetime.date(2026, 1, 5)


def on(week: float, value: float, outcome: str = "NRS") -> Score:
    return Score(day=BEGAN + datetime.timedelta(days=round(7 * week)), outcome=outcome, value=value)


def at(week: float) -> datetime.date:
    return BEGAN + datetime.timedelta(days=round(7 * week))


@on_sqlite
def test_reviews_stand_with_their_dates_and_the_pain_that_was_reported(client: TestClient, database: Database,
                                                                      world: World) -> None:
    begun(world, database, 8, [(-1, 9), (1.6, 5)])
    with database.write(Actor(actor=world.people["ann"])) as store:
        plan_id = store.scalars(select(Plan.id)).one()
        began = datetime.date.today() - datetime.timedelta(weeks=8)
        store.add_all(Treatment(patient_id=world.patients["amy"], created_by=world.people["ann"], plan_id=plan_id,
                                day=began + datetime.timedelta(days=3 * k), details={}) for k in range(4))
    enter(client, database, world.people["ann"])
    told = client.get(f"/patients/{world.patients['amy']}/followup").text
    rows = [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in re.findall(r"<tr>.*?</tr>", told, re.S)]
    session, week = next(row for row in rows if row.startswith("After")), next(
        row for row in rows if row.startswith("Week 6"))
    assert session.endswith("done 5") and "about" not in session
    assert week.endswith("overdue –")


@pytest.mark.parametrize(("week", "value", "stops"), [(5.4, 6, False), (5.6, 6, True), (8, 7, True), (8, 5.9, False)])
def test_no_better_from_the_sixth_week_on_means_stop(week: float, value: float, stops: bool) -> None:
    held = plan("p", "a", "c", BEGAN)
    assert (kept.no_better(held, [on(2, 4), on(week, value)]) is not None) is stops


def test_a_later_better_score_lifts_the_stop() -> None:
    assert kept.no_better(plan("p", "a", "c", BEGAN), [on(7, 8), on(8, 3)]) is None


@pytest.mark.parametrize(("week", "value", "verdict"), [
    (1, 9, None), (2, 4, "carry_on"), (2, 4.5, "change"), (3, 5, "change"), (2, 6, "stop"), (7, 4, "carry_on")])
def test_a_score_means_what_the_plans_last_rule_says(week: float, value: float, verdict: str | None) -> None:
    found = kept.meaning(plan("p", "a", "c", BEGAN), on(week, value), [BEGAN] * 4)
    assert (found and found[0]) == verdict


def test_a_rule_that_follows_a_session_waits_for_that_session() -> None:
    held, score = plan("p", "a", "c", BEGAN), on(2.5, 7)
    assert kept.meaning(held, score, []) is None
    assert kept.meaning(held, score, [at(1), at(1.5), at(2), at(4)]) is None
    found = kept.meaning(held, score, [at(1), at(1.5), at(2), at(2.5)])
    assert found is not None and found[0] == "stop" and found[1]["week"] == 2


@pytest.mark.parametrize(("outcome", "value", "field"), [
    ("NRS", 10.5, "value"), ("RMDQ", 25, "value"), ("RMDQ", 3.5, "value"), ("ODI", 101, "value"), ("VAS", 5, "outcome"),
    ("NRS", float("nan"), "value")])
def test_a_score_outside_its_scale_is_refused(outcome: str, value: float, field: str) -> None:
    with pytest.raises(InputError) as caught:
        kept.checked(BEGAN, outcome, value, BEGAN)
    assert caught.value.field == field


def test_the_patient_as_of_the_last_score_has_the_whole_past(client: TestClient, database: Database, world: World
                                                            ) -> None:
    began = begun(world, database, 4, [(0, 6), (2, 5), (4, 3)])
    with database.read() as store:
        followed = store.get(Plan, began)
        assert followed is not None
        mapping = kept.patient_now(store, world.patients["amy"], followed)
    assert mapping is not None
    read = parse_patient(mapping)
    today = datetime.date.today()
    assert read.pain.week_average == 3 and read.date == today
    assert [(care.start_week, care.plan.courses[0].schedule.weeks) for care in read.care_so_far] == [(-4.0, 8.0)]
    asked = (today - datetime.date(2026, 3, 2)).days / 7
    assert {(round(score.week, 3), score.value) for score in read.scores} == {
        (-4.0, 6.0), (-2.0, 5.0), (round(-asked, 3), 6.0)}


@on_sqlite
def test_the_page_says_stop_with_dates_and_a_way_to_end(client: TestClient, database: Database, world: World) -> None:
    begun(world, database, 7, [(2, 5), (6.5, 6)])
    enter(client, database, world.people["ann"])
    told = client.get(f"/patients/{world.patients['amy']}/followup").text
    assert "no better than at the start means stop" in told and "End this plan" in told
    enter(client, database, world.people["cas"])
    told = client.get(f"/patients/{world.patients['amy']}/followup").text
    assert "no better than at the start means stop" in told and "End this plan" not in told
    begun(world, database, 7, [(2, 5), (6.5, 5)], name="ben", author="bob")
    enter(client, database, world.people["bob"])
    assert "no better than" not in client.get(f"/patients/{world.patients['ben']}/followup").text


@on_sqlite
def test_what_was_thought_then_stands_beside_what_is_thought_now(client: TestClient, database: Database, world: World
                                                               ) -> None:
    begun(world, database, 7, [(2, 5), (6.5, 6)])
    enter(client, database, world.people["ann"])
    url = f"/patients/{world.patients['amy']}/followup/now"
    fragment, whole = client.get(url, headers={"hx-request": "true"}).text, client.get(url).text
    assert "<html" not in fragment and "<html" in whole
    for text in (fragment, whole):
        assert "48 of 100 people like this" in text and "31 of 100" in text and "Thought then" in text
        assert "small" in text


@on_sqlite
def test_where_no_forecast_can_be_made_the_reason_is_told(client: TestClient, database: Database, world: World,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise InputError("outside the people studied", field="age", found=9, accepted="18 or older")

    monkeypatch.setattr(StubEngine, "forecast", refuse)
    begun(world, database, 7, [(2, 5)])
    enter(client, database, world.people["ann"])
    answer = client.get(f"/patients/{world.patients['amy']}/followup/now", headers={"hx-request": "true"})
    assert answer.status_code == 200 and "outside the people studied" in answer.text


@on_sqlite
def test_a_refused_forecast_is_told_with_its_reasons(client: TestClient, database: Database, world: World) -> None:
    begun(world, database, 7, [(2, 5)])
    with database.write(Actor()) as store:
        row = store.get_one(Assessment, world.assessments["amy"])
        row.answers = {"patient": {"pain": {"week_average": 6}, "age": 12}}
    enter(client, database, world.people["ann"])
    answer = client.get(f"/patients/{world.patients['amy']}/followup/now", headers={"hx-request": "true"})
    told = " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())
    assert answer.status_code == 200 and "you are under 18" in told and "<svg" not in answer.text


@on_sqlite
@pytest.mark.parametrize(("weeks", "scored", "ended", "asked_of", "said"), [
    (0, 0, False, "8 weeks", "if the plan goes on"), (3, 2, False, "6 weeks", "if the plan goes on"),
    (9, 8.5, False, "Nothing", "Nothing of the plan is left"), (3, 2, True, "Nothing", "The plan was ended")])
def test_what_is_thought_now_is_of_what_is_left_of_the_plan(
        client: TestClient, database: Database, world: World, monkeypatch: pytest.MonkeyPatch, weeks: float,
        scored: float, ended: bool, asked_of: str, said: str) -> None:
    asked: list[str] = []
    forecast = StubEngine.forecast

    def noted(self: StubEngine, patient: Any, plan: Any, **how: Any) -> dict[str, Any]:
        asked.extend(plan)
        return forecast(self, patient, plan, **how)

    monkeypatch.setattr(StubEngine, "forecast", noted)
    monkeypatch.setattr(StubEngine, "review", lambda *_: None)
    made = begun(world, database, weeks, [(scored, 5)])
    if ended:
        with database.write(Actor()) as store:
            row = store.get_one(Plan, made)
            row.state, row.ended, row.why_ended = "ended", datetime.date.today(), "why"
    enter(client, database, world.people["ann"])
    told = client.get(f"/patients/{world.patients['amy']}/followup/now", headers={"hx-request": "true"}).text
    assert len(asked) == 1 and asked_of.lower() in asked[0].lower() and said in told


def assessed(database: Database, world: World, state: str = "done", **answers: Any) -> str:
    """Another assessment of today; gives its id."""
    with database.write(Actor()) as store:
        row = Assessment(id=new_id(), patient_id=world.patients["amy"], created_by=world.people["ann"], state=state,
                         day=datetime.date.today(), answers={"patient": {"pain": {"week_average": 6}, **answers}})
        store.add(row)
    return row.id


VERDICTS = ("What the last score means", "Renew the forecast", "When to look again", "Forecast and scores", "<svg",
            "no better than at the start")


@on_sqlite
@pytest.mark.parametrize("how", ["emergency", "alert"])
def test_in_an_emergency_no_verdict_and_no_forecast_is_shown(client: TestClient, database: Database, world: World,
                                                             how: str) -> None:
    begun(world, database, 7, [(2, 5), (6.5, 6)])
    if how == "emergency":
        assessed(database, world, "open", red_flags={"saddle_numbness": True})
    else:
        with database.write(Actor()) as store:
            store.add(Alert(patient_id=world.patients["amy"], created_by="link:x", day=datetime.date.today(),
                            signs={"signs": ["saddle_numbness"]}))
    patient = world.patients["amy"]
    for name in ("ann", "cas"):
        enter(client, database, world.people[name])
        for url, headers in (("followup", {}), ("followup/now", {}), ("followup/now", {"hx-request": "true"}),
                             ("treatments/new", {})):
            answer = client.get(f"/patients/{patient}/{url}", headers=headers)
            assert answer.status_code == 200 and not any(words in answer.text for words in VERDICTS), url
            said = "Signs of an emergency" if how == "emergency" else "reported warning signs"
            assert answer.text.count(said) == 1, url
        assert ("Signs of an emergency" in client.get(f"/patients/{patient}").text) is (how == "emergency")


@on_sqlite
def test_a_referral_and_what_is_no_longer_allowed_stand_first(client: TestClient, database: Database, world: World
                                                             ) -> None:
    began = begun(world, database, 3, [(2, 5)])
    with database.write(Actor()) as store:
        row = store.get_one(Plan, began)
        row.sentences = ["Electroacupuncture 2 Hz 30 min twice a week for 5 weeks, points local"]
    enter(client, database, world.people["ann"])
    base = f"/patients/{world.patients['amy']}"
    told_first = [("conditions", "pacemaker", "No current with an implanted electrical device", f"/plans/{began}"),
                  ("red_flags", "foot_drop", "A doctor comes first", "/screening")]
    for part, asked, said, to in told_first:
        assessed(database, world, **{part: {asked: True}})
        for url in ("", "/followup", "/treatments/new", "/followup/now"):
            told = client.get(base + url).text
            assert said in told and "no longer allowed" in told and f'{to}"' in told, (asked, url)
    page = client.get(f"{base}/followup").text
    assert "The first review follows session 4" in page
    assert page.index("A doctor comes first") < page.index("What the last score means")
    with database.write(Actor()) as store:
        row = store.get_one(Plan, began)
        row.state, row.ended, row.why_ended = "ended", datetime.date.today(), "pacemaker"
    assert "no longer allowed" not in client.get(base).text


def add(client: TestClient, patient: str, csrf: str, **given: str) -> int:
    return client.post(f"/patients/{patient}/scores", data={"csrf": csrf, **given}).status_code


def test_scores_are_added_once_a_day_and_scale(client: TestClient, database: Database, world: World) -> None:
    patient, csrf = world.patients["amy"], enter(client, database, world.people["cas"])
    assert add(client, patient, csrf, day="2026-04-01", outcome="NRS", value="4,5") == 303
    assert add(client, patient, csrf, day="2026-04-01", outcome="NRS", value="5") == 422
    assert add(client, patient, csrf, day="2026-04-01", outcome="RMDQ", value="9") == 303
    assert add(client, patient, csrf, day="2999-04-01", outcome="NRS", value="5") == 422
    assert add(client, patient, csrf, day="", outcome="NRS", value="") == 422
    with database.read() as store:
        rows = store.scalars(select(Score).where(Score.patient_id == patient).order_by(Score.outcome)).all()
    assert [(row.outcome, row.value, row.origin, row.created_by) for row in rows] == [
        ("NRS", 4.5, "practice", world.people["cas"]), ("RMDQ", 9.0, "practice", world.people["cas"])]


def stored(database: Database, world: World, name: str = "amy", value: float = 5) -> str:
    with database.write(Actor(actor=world.people["ann"])) as store:
        row = Score(id=new_id(), patient_id=world.patients[name], created_by=world.people["ann"], outcome="NRS",
                    value=value, day=datetime.date(2026, 4, 1), origin="practice")
        store.add(row)
    return row.id


def test_two_who_correct_one_score_at_once_are_told_and_nothing_is_lost(
        client: TestClient, database: Database, world: World) -> None:
    patient, score = world.patients["amy"], stored(database, world)
    url = f"/patients/{patient}/scores/{score}"
    csrf = enter(client, database, world.people["cas"])
    form = {"day": "2026-04-01", "outcome": "NRS", "version": "1"}
    assert client.post(url, data={**form, "csrf": csrf, "value": "4"}).status_code == 303
    csrf = enter(client, database, world.people["ann"])
    told = client.post(url, data={**form, "csrf": csrf, "value": "3"})
    assert told.status_code == 409
    assert "Cas wrote" in told.text and re.search(r'value="4"[^>]*required', told.text) and 'value="3"' in told.text
    assert 'name="version"' in told.text and 'id="version" value="2"' in told.text
    kept_fields = dict(re.findall(r'<input type="hidden" name="(day|outcome)" value="([^"]*)"', told.text))
    assert client.post(url, data={**kept_fields, "csrf": csrf, "value": "3", "version": "2"}).status_code == 303
    with database.read() as store:
        row = store.get(Score, score)
        assert row is not None and (row.value, row.version, row.day) == (3.0, 3, datetime.date(2026, 4, 1))


@on_sqlite
def test_a_score_changed_meanwhile_is_not_taken_out(client: TestClient, database: Database, world: World) -> None:
    patient, score = world.patients["amy"], stored(database, world)
    csrf = enter(client, database, world.people["ann"])
    url = f"/patients/{patient}/scores/{score}/delete"
    assert client.post(url, data={"csrf": csrf, "version": "7"}).status_code == 409
    assert client.post(url, data={"csrf": csrf, "version": "1"}).status_code == 303
    with database.read() as store:
        assert store.get(Score, score) is None


@on_sqlite
def test_a_score_is_reached_through_its_own_patient_only(client: TestClient, database: Database, world: World) -> None:
    others = stored(database, world, "ben")
    csrf = enter(client, database, world.people["ann"])
    base = f"/patients/{world.patients['amy']}/scores/{others}"
    assert client.get(base).status_code == 404
    for url in (base, f"{base}/delete"):
        form = {"csrf": csrf, "version": "1", "day": "2026-04-01", "outcome": "NRS", "value": "1"}
        assert client.post(url, data=form).status_code == 404
    assert client.get(f"/patients/{world.patients['ben']}/followup").status_code == 404


def read_file(client: TestClient, patient: str, csrf: str, content: bytes) -> tuple[int, str, str]:
    answer = client.post(f"/patients/{patient}/scores-import", data={"csrf": csrf}, files={"file": ("a.csv", content)})
    rows = re.search(r'name="rows" value="([^"]*)"', answer.text)
    return answer.status_code, answer.text, rows[1].replace("&#34;", '"') if rows else ""


def count(database: Database) -> int:
    with database.read() as store:
        return store.scalar(select(func.count()).select_from(Score)) or 0


def test_a_file_is_shown_first_and_then_taken_in_whole(client: TestClient, database: Database, world: World) -> None:
    patient, csrf = world.patients["amy"], enter(client, database, world.people["ann"])
    stored(database, world, value=5)
    content = b"day;outcome;value\n2026-04-01;NRS;5\n2026-04-08;NRS;4,5\n2026-04-08;RMDQ;9\n"
    status, page, rows = read_file(client, patient, csrf, content)
    assert status == 200 and "2 new scores" in page and "1 score is stored already" in page and count(database) == 1
    take = f"/patients/{patient}/scores-import/take"
    assert client.post(take, data={"csrf": csrf, "rows": rows}).status_code == 303 and count(database) == 3
    assert client.post(take, data={"csrf": csrf, "rows": rows}).status_code == 303 and count(database) == 3


@on_sqlite
def test_a_file_of_too_many_scores_is_refused_and_a_long_list_is_folded(client: TestClient, database: Database,
                                                                      world: World) -> None:
    patient, csrf = world.patients["amy"], enter(client, database, world.people["ann"])
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=k) for k in range(501)]
    lines = [f"{day},NRS,5" for day in days]
    status, page, rows = read_file(client, patient, csrf, "\n".join(["day,outcome,value", *lines]).encode())
    assert status == 422 and "found 501; accepted: at most 500" in page and not rows
    sent = json.dumps([{"day": day.isoformat(), "outcome": "NRS", "value": 5} for day in days])
    take = f"/patients/{patient}/scores-import/take"
    assert client.post(take, data={"csrf": csrf, "rows": sent}).status_code == 422 and count(database) == 0
    status, page, rows = read_file(client, patient, csrf, "\n".join(["day,outcome,value", *lines[1:]]).encode())
    assert status == 200 and client.post(take, data={"csrf": csrf, "rows": rows}).status_code == 303
    told = client.get(f"/patients/{patient}/followup").text
    shown, folded = told.split("<details><summary>400 older scores</summary>")
    assert shown.count("/scores/") == 100 and folded.count("/scores/") == 400


@on_sqlite
def test_a_file_with_a_bad_line_brings_nothing_in(client: TestClient, database: Database, world: World) -> None:
    csrf = enter(client, database, world.people["ann"])
    for content, said in ((b"day,outcome,value\n2026-04-02,NRS,4\n2026-04-01,NRS,11\n", "line 3, value"),
                          (b"", "no scores"), (b"\xff\xfe", "UTF-8"), (b'{"resourceType": "Bundle"', "FHIR")):
        status, page, rows = read_file(client, world.patients["amy"], csrf, content)
        assert status == 422 and said in page and not rows
    assert count(database) == 0


@on_sqlite
def test_another_score_of_the_same_day_stops_the_whole_file(client: TestClient, database: Database, world: World
                                                           ) -> None:
    patient, csrf = world.patients["amy"], enter(client, database, world.people["ann"])
    stored(database, world, value=5)
    status, page, rows = read_file(client, patient, csrf, b"day,outcome,value\n2026-04-01,NRS,4\n2026-04-08,NRS,4\n")
    assert status == 200 and "4 in the file, 5 stored" in page and not rows
    sent = json.dumps([{"day": "2026-04-08", "outcome": "NRS", "value": 4},
                       {"day": "2026-04-01", "outcome": "NRS", "value": 4}])
    take = f"/patients/{patient}/scores-import/take"
    assert client.post(take, data={"csrf": csrf, "rows": sent}).status_code == 422 and count(database) == 1


@on_sqlite
def test_rows_that_the_browser_changed_are_refused(client: TestClient, database: Database, world: World) -> None:
    csrf = enter(client, database, world.people["ann"])
    take = f"/patients/{world.patients['amy']}/scores-import/take"
    good = '{"day": "2026-04-08", "outcome": "NRS", "value": 4}'
    for bad in ('{"day": "2026-04-01", "outcome": "NRS", "value": 99}', '{"day": "2026-04-01", "outcome": "X"}', "1",
                '{"day": "2026-04-01", "outcome": "X", "value": 1}', '{"day": "x", "outcome": "NRS", "value": 1}',
                '{"day": "2026-04-01", "outcome": "NRS", "value": NaN}', "[", good,
                '{"day": "2026-04-01", "outcome": ["NRS"], "value": 1}'):
        assert client.post(take, data={"csrf": csrf, "rows": f"[{good}, {bad}]"}).status_code == 422, bad
    for rows in ("", "[[", "{}"):
        assert client.post(take, data={"csrf": csrf, "rows": rows}).status_code == 422
    assert count(database) == 0


@on_sqlite
def test_warning_signs_stay_until_a_clinician_says_what_was_done(client: TestClient, database: Database, world: World
                                                                ) -> None:
    patient = world.patients["amy"]
    with database.write(Actor()) as store:
        row = Alert(id=new_id(), patient_id=patient, created_by="link:x", day=datetime.date.today(),
                    signs={"signs": ["saddle_numbness"]})
        store.add(row)
    url, page = f"/patients/{patient}/alerts/{row.id}", f"/patients/{patient}/followup"
    csrf = enter(client, database, world.people["cas"])
    assert client.post(url, data={"csrf": csrf, "done": "called"}).status_code == 403
    csrf = enter(client, database, world.people["ann"])
    assert "New numbness between the legs" in client.get(page).text
    assert client.post(url, data={"csrf": csrf, "done": " "}).status_code == 422
    assert client.post(url, data={"csrf": csrf, "done": "called, sent to hospital"}).status_code == 303
    assert "New numbness" not in client.get(page).text
    late = client.post(url, data={"csrf": csrf, "done": "sent by ambulance"})
    assert late.status_code == 409 and "Ann wrote" in late.text
    assert "called, sent to hospital" in late.text and "sent by ambulance" in late.text and "was not kept" in late.text
    with database.read() as store:
        assert store.get_one(Alert, row.id).done == "called, sent to hospital"


@on_sqlite
def test_warning_signs_stand_on_the_list_of_those_who_treat_the_patient(client: TestClient, database: Database,
                                                                       world: World) -> None:
    with database.write(Actor()) as store:
        store.add(Alert(patient_id=world.patients["amy"], created_by="link:x", day=datetime.date.today(),
                        signs={"signs": ["saddle_numbness"]}))
    for name, seen in (("ann", True), ("cas", True), ("bob", False)):
        enter(client, database, world.people[name])
        assert ("The patient reported warning signs" in client.get("/patients").text) is seen, name
    enter(client, database, world.people["ann"])
    assert "The patient reported warning signs" in client.get(f"/patients/{world.patients['amy']}").text
