"""Plans: what is proposed and kept, what is agreed on and by whom, and what the patient takes home."""

from __future__ import annotations

import datetime
import re
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from deqi.errors import DeqiError
from deqi.web.locale import Locale
from deqi.web.store.audit import Actor
from deqi.web.store.database import Database
from deqi.web.store.scores import plan_followed
from deqi.web.store.tables import Alert, Assessment, Consultation, Plan, Score

from .conftest import World, enter
from .planned import on_sqlite
from .planned import plan as planned
from .stub import STORED, Done
from .test_options import DAY, DENIED, HX, asked

NEEDLES = "acupuncture 30 min twice a week for 5 weeks"
BEGAN = datetime.date.today()
FMT = Locale()
WALKING = "walking 30 min 5 times a week for 12 weeks"


def agree(client: TestClient, csrf: str, at: str, plan: str = NEEDLES, **more: str) -> Any:
    if "key" not in more:
        shown = client.post(f"{at}/plan", data={"csrf": csrf, "plan": plan}).text
        more["key"] = found[1] if (found := re.search('name="key" value="([^"]*)"', shown)) else ""
    return client.post(f"{at}/plan/agree", data={"csrf": csrf, "plan": plan, "began": BEGAN.isoformat(), "seen": "",
                                                 **more})


def plans(database: Database) -> list[Plan]:
    with database.read() as store:
        return list(store.query(Plan).order_by(Plan.created_at))


class Slow(Done):
    """A consultation that takes its time."""

    def result(self) -> dict[str, Any]:
        if not self.found:
            raise DeqiError("it took too long")
        return super().result()


def test_a_proposal_is_made_once_waited_for_and_kept(app: FastAPI, client: TestClient, database: Database,
                                                     world: World) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    made: list[Slow] = []
    app.state.engine.submit_consult = lambda patient, seed=1: made.append(Slow(STORED, done=False)) or made[-1]
    for _ in range(3):
        assert client.post(f"{at}/tailored", data={"csrf": csrf}).status_code == 303
    assert len(made) == 1
    assert "being made" in client.get(f"{at}/tailored").text
    assert client.get(f"{at}/tailored", headers=HX).status_code == 204
    made[0].done = True
    assert client.get(f"{at}/tailored", headers=HX).headers["hx-refresh"] == "true"
    page = client.get(f"{at}/tailored").text
    assert all(row["choice"] in page for row in STORED["tailored"]["reasons"]) and "hypothesis" in page
    assert "3.5 of 100 points" in page
    with database.read() as store:
        assert store.query(Consultation).count() == 1
    client.post(f"{at}/tailored", data={"csrf": csrf})
    assert len(made) == 1


def test_a_proposal_that_fails_is_told_and_can_be_tried_again(app: FastAPI, client: TestClient, database: Database,
                                                              world: World) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    app.state.engine.submit_consult = lambda patient, seed=1: Slow({})
    client.post(f"{at}/tailored", data={"csrf": csrf})
    page = client.get(f"{at}/tailored").text
    assert "it took too long" in page and f'action="{at}/tailored"' in page


def test_other_answers_make_a_proposal_out_of_date(client: TestClient, database: Database, world: World) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    client.post(f"{at}/tailored", data={"csrf": csrf})
    assert "answers have changed" not in client.get(f"{at}/tailored").text
    with database.write(Actor()) as store:
        row = store.get(Assessment, at.rpartition("/")[2])
        assert row is not None
        row.answers = {"patient": row.answers["patient"] | {"age": 51}}
    page = client.get(f"{at}/tailored").text
    assert "answers have changed" in page and "Agree on this" not in page


def test_the_report_may_only_show_itself_and_is_nobody_elses(client: TestClient, database: Database, world: World
                                                             ) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    client.post(f"{at}/tailored", data={"csrf": csrf})
    links = re.findall(r'href="(/patients/[^"]*/(?:report|letter))"', client.get(f"{at}/tailored").text)
    assert len(links) == 2
    for address in links:
        answer = client.get(address)
        policy = answer.headers["content-security-policy"]
        assert answer.status_code == 200 and "default-src 'none'" in policy and "sandbox" in policy
        assert "script" not in policy
    enter(client, database, world.people["bob"])
    for address in links:
        own = address.replace(world.patients["amy"], world.patients["ben"])
        assert client.get(address).status_code == client.get(own).status_code == 404


def test_a_proposal_can_be_taken_as_sliders(client: TestClient, database: Database, world: World) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    plan = "\n".join(STORED["tailored"]["plan"])
    assert client.post(f"{at}/options/take", data={"csrf": csrf, "plan": plan}).status_code == 303
    with database.read() as store:
        kept = store.get(Assessment, at.rpartition("/")[2]).choices["yours"]  # type: ignore[union-attr]  # it is there
    assert (kept["sessions"], kept["per_week"], kept["beside"]) == (6, 1, ["exercise.walking_5"])


def test_what_is_agreed_on_is_kept_with_its_forecast(client: TestClient, database: Database, world: World) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    shown = client.post(f"{at}/plan", data={"csrf": csrf, "plan": f"{NEEDLES}\n{WALKING}"})
    assert shown.status_code == 200 and not plans(database)
    answer = agree(client, csrf, at, f"{NEEDLES}\n{WALKING}", note="ring on Friday")
    plan = plans(database)[0]
    assert answer.status_code == 303 and answer.headers["location"].endswith(plan.id)
    assert (plan.state, plan.began, plan.baseline) == ("current", BEGAN, 6)
    assert plan.kinds == "needling exercise" and len(plan.sentences) == 2
    assert {row["week"] for row in plan.forecast} >= {0, 12, 26} and plan.review and plan.provenance["seed"] == 1
    assert plan.told["plan"]["benefit"] and plan.told["nothing"]["benefit"]
    page = client.get(answer.headers["location"]).text
    assert FMT.date(BEGAN + datetime.timedelta(weeks=2)) in page and "ring on Friday" in page and "STRICTA" in page


def test_a_new_plan_ends_the_one_that_runs_and_says_why(client: TestClient, database: Database, world: World) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    agree(client, csrf, at)
    first = plans(database)[0]
    unaware = agree(client, csrf, at, WALKING)
    assert unaware.status_code == 409 and len(plans(database)) == 1 and "meanwhile" in unaware.text
    seen = f"{first.id}.{first.version}"
    assert agree(client, csrf, at, WALKING, seen=seen).status_code == 422
    assert agree(client, csrf, at, WALKING, seen=seen, why="no better").status_code == 303
    old, new = plans(database)
    assert (old.state, old.why_ended, new.state) == ("ended", "no better", "current") and old.ended >= old.began


def test_two_who_agree_at_once_do_not_leave_two_plans(client: TestClient, database: Database, world: World) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    answers = [agree(client, csrf, at, plan).status_code for plan in (NEEDLES, WALKING)]
    assert answers == [303, 409] and [plan.state for plan in plans(database)] == ["current"]


def test_nothing_is_agreed_on_that_may_not_be(client: TestClient, database: Database, world: World) -> None:
    csrf = enter(client, database, world.people["ann"])
    at = asked(database, world, preferences={"needles": "refuses"})
    assert agree(client, csrf, at).status_code == 422
    assert agree(client, csrf, at, "swimming with whales").status_code == 422
    for day in ((DAY - datetime.timedelta(days=1)).isoformat(), "2036-01-01", "soon", ""):
        assert agree(client, csrf, at, WALKING, began=day).status_code == 422
    assert not plans(database)
    assert agree(client, csrf, at, "nothing").status_code == 303
    assert plans(database)[0].kinds == "nothing"


def test_a_plan_ends_once_with_a_reason(client: TestClient, database: Database, world: World) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    agree(client, csrf, at)
    plan = plans(database)[0]
    end = f"/patients/{world.patients['amy']}/plans/{plan.id}/end"
    assert client.post(end, data={"csrf": csrf, "version": plan.version, "why": " "}).status_code == 422
    assert client.post(end, data={"csrf": csrf, "version": plan.version + 1, "why": "done"}).status_code == 409
    assert client.post(end, data={"csrf": csrf, "version": plan.version, "why": "done"}).status_code == 303
    assert client.post(end, data={"csrf": csrf, "version": plan.version + 1, "why": "again"}).status_code == 422
    assert plans(database)[0].why_ended == "done"


def test_the_patients_page_tells_both_directions_and_no_name(client: TestClient, database: Database, world: World
                                                             ) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    agree(client, csrf, at, note="her name is Amy")
    enter(client, database, world.people["cas"])
    page = client.get(f"/patients/{world.patients['amy']}/plans/{plans(database)[0].id}/page").text
    main = page[page.index("<main"):page.index("</main>")]
    assert "Amy" not in main and "Amy" not in page[page.index("<title>"):page.index("</title>")]
    better = STORED["options"][3]["benefit"]["improved_30pct"]["with"]
    assert f"{better} get better with this plan and {100 - better} do not" in main
    for words in ("Without more treatment", "3.5 of 100", "of 10,000", "emergency department", "data-print",
                  FMT.date(BEGAN + datetime.timedelta(weeks=2), "long")):
        assert words in main, words
    assert not re.search(r"hypothes|NRS|STRICTA|posterior|Shapley", main)


def test_a_plan_is_found_only_in_its_own_record(client: TestClient, database: Database, world: World) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    agree(client, csrf, at)
    plan = plans(database)[0].id
    enter(client, database, world.people["bob"])
    for patient in world.patients.values():
        for end in ("", "/page"):
            assert client.get(f"/patients/{patient}/plans/{plan}{end}").status_code == 404


def shut_by(database: Database, world: World, day: datetime.date, **red_flags: bool) -> None:
    with database.write(Actor()) as store:
        store.add(Assessment(patient_id=world.patients["amy"], created_by=world.people["ann"], day=day, state="open",
                             answers={"patient": {"pain": {"week_average": 6}, "red_flags": DENIED | red_flags}}))


@on_sqlite
def test_an_older_assessment_is_no_way_round_what_is_known_today(client: TestClient, database: Database, world: World
                                                                 ) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    agree(client, csrf, at)
    plan = plans(database)[0]
    shut_by(database, world, datetime.date.today(), foot_drop=True)
    page = client.get(f"{at}/options").text
    assert "A doctor comes first" in page and "newer assessment" in page and "of 100 better" not in page
    assert "Do not treat" in client.get(f"/patients/{world.patients['amy']}/plans/{plan.id}").text
    shut_by(database, world, datetime.date.today(), saddle_numbness=True)
    assert "sign of an emergency" in client.get(f"{at}/options").text
    assert agree(client, csrf, at, WALKING, seen=f"{plan.id}.{plan.version}", why="x").status_code == 409
    assert len(plans(database)) == 1
    for end in ("", "/page"):
        page = client.get(f"/patients/{world.patients['amy']}/plans/{plan.id}{end}").text
        assert page.index("Do not treat") < page.index(plan.sentences[0][1:])
        assert "no longer allowed" in page or end


@on_sqlite
def test_an_open_alert_shuts_every_assessment(client: TestClient, database: Database, world: World) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    with database.write(Actor()) as store:
        store.add(Alert(patient_id=world.patients["amy"], created_by="link:x", day=BEGAN, signs={"signs": ["x"]}))
    page = client.get(f"{at}/options").text
    assert "reported a warning sign" in page and f'/patients/{world.patients["amy"]}/followup' in page
    assert agree(client, csrf, at).status_code == 409 and not plans(database)


@on_sqlite
def test_what_is_answered_during_the_forecast_or_since_the_page_counts(
        app: FastAPI, client: TestClient, database: Database, world: World) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    engine, forecast = app.state.engine, app.state.engine.plan_option

    def change(**more: Any) -> None:
        with database.write(Actor()) as store:
            row = store.get_one(Assessment, at.rpartition("/")[2])
            row.answers = {"patient": row.answers["patient"] | more}

    key = re.search('name="key" value="([^"]*)"', client.post(f"{at}/plan", data={"csrf": csrf, "plan": NEEDLES}).text)
    assert key is not None
    change(age=51)
    stale = agree(client, csrf, at, key=key[1])
    assert stale.status_code == 409 and "have changed since this page" in stale.text and not plans(database)

    def meanwhile(*of: Any) -> Any:
        change(red_flags=DENIED | {"saddle_numbness": True})
        return forecast(*of)

    engine.plan_option = meanwhile
    assert agree(client, csrf, at).status_code == 409 and not plans(database)


@on_sqlite
def test_a_plan_comes_from_an_assessment_of_now(client: TestClient, database: Database, world: World) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    late = (DAY + datetime.timedelta(days=91)).isoformat()
    assert agree(client, csrf, at, began=late).status_code == 422
    with database.write(Actor()) as store:
        row = store.get_one(Assessment, at.rpartition("/")[2])
        row.day = DAY - datetime.timedelta(days=90)
    page = client.post(f"{at}/plan", data={"csrf": csrf, "plan": NEEDLES}).text
    assert "more than 90 days old" in page and "Begin a review" in page and "/plan/agree" not in page
    assert agree(client, csrf, at, began=row.day.isoformat()).status_code == 409 and not plans(database)


@on_sqlite
def test_what_happened_since_an_assessment_needs_a_review(client: TestClient, database: Database, world: World) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    agree(client, csrf, at, began=DAY.isoformat())
    plan = plans(database)[0]
    again = agree(client, csrf, at, WALKING, seen=f"{plan.id}.{plan.version}", why="x")
    assert again.status_code == 409 and "has run already" in again.text and len(plans(database)) == 1
    with database.write(Actor()) as store:
        store.delete(store.get_one(Plan, plan.id))
        store.add(Score(patient_id=world.patients["amy"], created_by=world.people["ann"], day=BEGAN, outcome="NRS",
                        value=3, origin="practice"))
    scored = agree(client, csrf, at)
    assert scored.status_code == 409 and "Scores came in since" in scored.text and not plans(database)


@on_sqlite
def test_a_plan_of_a_later_day_lets_the_one_that_runs_go_on_until_then(client: TestClient, database: Database,
                                                                       world: World) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    agree(client, csrf, at)
    first, later = plans(database)[0], BEGAN + datetime.timedelta(days=30)
    agree(client, csrf, at, WALKING, seen=f"{first.id}.{first.version}", why="a change", began=later.isoformat())
    old, new = plans(database)
    assert old.ended == new.began == later
    page = client.get(f"/patients/{world.patients['amy']}/plans/{old.id}").text
    assert f"runs until {FMT.date(later)}" in page and f"/plans/{old.id}/end" in page
    ended = client.post(f"/patients/{world.patients['amy']}/plans/{old.id}/end",
                        data={"csrf": csrf, "version": old.version, "why": "sooner"})
    assert ended.status_code == 303 and plans(database)[0].ended == BEGAN


def test_a_plan_taken_back_before_it_began_lets_the_one_before_go_on(client: TestClient, database: Database,
                                                                     world: World) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    record, later = f"/patients/{world.patients['amy']}", BEGAN + datetime.timedelta(days=7)
    agree(client, csrf, at)
    first = plans(database)[0]
    agree(client, csrf, at, WALKING, seen=f"{first.id}.{first.version}", why="a change", began=later.isoformat())
    first, second = plans(database)
    page = client.post(f"{at}/plan", data={"csrf": csrf, "plan": NEEDLES}).text
    assert f"It began on {FMT.date(BEGAN)}" in page and f"It was agreed on for {FMT.date(later)}" in page
    assert f"Until {FMT.date(later)}" in client.get(record).text
    client.post(f"{record}/plans/{second.id}/end", data={"csrf": csrf, "version": second.version, "why": "wrong"})
    first, second = plans(database)
    assert (first.state, first.ended, first.why_ended, second.ended) == ("current", None, None, later)
    assert "the day on which it was to begin" in client.get(f"{record}/plans/{second.id}").text
    assert "no longer followed" in client.get(f"{record}/plans/{second.id}/page").text
    assert "no longer followed" not in client.get(f"{record}/plans/{first.id}/page").text
    assert agree(client, csrf, at, WALKING, why="unaware").status_code == 409


def test_an_end_of_the_plan_that_runs_is_seen_before_the_one_after_the_next_is_agreed_on(
        client: TestClient, database: Database, world: World) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    weeks = [BEGAN + datetime.timedelta(weeks=week) for week in (0, 1, 3)]
    for began, why in zip(weeks, ("", "then less", "then rest"), strict=True):
        seen = " ".join(f"{plan.id}.{plan.version}" for plan in plans(database))
        assert agree(client, csrf, at, WALKING, seen=seen, why=why, began=began.isoformat()).status_code == 303
    first, second, third = plans(database)
    assert [plan.ended for plan in (first, second, third)] == [weeks[1], weeks[2], None]
    assert f"Until {FMT.date(weeks[1])}" in client.get(f"/patients/{world.patients['amy']}").text
    seen = " ".join(f"{plan.id}.{plan.version}" for plan in (first, second, third))
    client.post(f"/patients/{world.patients['amy']}/plans/{first.id}/end",
                data={"csrf": csrf, "version": first.version, "why": "bled badly"})
    assert agree(client, csrf, at, NEEDLES, seen=seen, why="go on").status_code == 409


def test_the_plan_followed_is_the_last_that_ran(database: Database, world: World) -> None:
    week, today = datetime.timedelta(weeks=1), datetime.date.today()
    spans = [(-9, -9), (-9, -1), (2, 2)]  # replaced on its first day, ran, taken back before it began
    with database.write(Actor()) as store:
        for number, (began, ended) in enumerate(spans):
            one = planned(world.patients["amy"], world.assessments["amy"], world.people["ann"], today + began * week)
            one.state, one.ended, one.why_ended = "ended", today + ended * week, str(number)
            store.add(one)
            store.flush()
    with database.read() as store:
        followed = plan_followed(store, world.patients["amy"])
        assert followed is not None and followed.why_ended == "1"
