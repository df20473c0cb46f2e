"""Options: when they are shut, what the sliders mean, what limits do to them, and that moves are kept in peace."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from deqi.care import plan_from, sentences
from deqi.consult.assessment import parse_patient
from deqi.consult.rules import table
from deqi.consult.screening import screen
from deqi.errors import InputError
from deqi.web import sliders
from deqi.web.sliders import Sliders
from deqi.web.store.audit import Actor
from deqi.web.store.database import Database
from deqi.web.store.tables import Assessment, Revision, new_id

from .conftest import World, enter

DENIED = {row["id"]: False for row in table("red_flags")["questions"]}
DAY = datetime.date.today() - datetime.timedelta(days=2)
HX = {"hx-request": "true"}


def asked(database: Database, world: World, choices: Any = None, name: str = "amy", **more: Any) -> str:
    """An assessment in which everything grave was denied; returns the address of its options."""
    answers = {"patient": {"age": 50, "pain": {"week_average": 6, "duration_weeks": 100}, "red_flags": DENIED,
                           "medicines": [], "date": DAY.isoformat()} | more}
    made = Assessment(id=new_id(), patient_id=world.patients[name], created_by=world.people["ann"],
                      day=DAY, answers=answers, choices=choices)
    with database.write(Actor()) as store:
        store.add(made)
    return f"/patients/{world.patients[name]}/assessments/{made.id}"


def form(csrf: str, **moved: Any) -> dict[str, Any]:
    return {"csrf": csrf, **Sliders().as_data(), **moved}


def kept(database: Database, at: str) -> Any:
    with database.read() as store:
        return store.get(Assessment, at.rpartition("/")[2]).choices  # type: ignore[union-attr]  # it is there


@pytest.mark.parametrize(("more", "told"), [
    ({"red_flags": DENIED | {"saddle_numbness": True}}, "sign of an emergency"),
    ({"red_flags": {}}, "questions about emergencies are open"),
    ({"red_flags": DENIED | {"cancer_history": True}}, "A doctor comes first"),
    ({"age": 14}, "No numbers")])
def test_no_option_is_shown_before_it_may_be(client: TestClient, database: Database, world: World,
                                             more: dict[str, Any], told: str) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world, **more)
    page = client.get(f"{at}/options")
    assert page.status_code == 200 and told in page.text and "of 100 better" not in page.text
    moved = client.post(f"{at}/options", data=form(csrf), headers=HX)
    assert moved.status_code in (409, 422) and "of 100 better" not in moved.text


def test_the_page_holds_every_option_in_the_order_of_the_report_and_says_the_size(
        client: TestClient, database: Database, world: World) -> None:
    enter(client, database, world.people["ann"])
    page = client.get(f"{asked(database, world)}/options").text
    places = [page.index(f'id="{name}-name"') for name in ("nothing", "usual_care", "exercise", "acupuncture", "yours")]
    assert places == sorted(places) and "3.5 of 100 points" in page
    assert "<style" not in page and " style=" not in page


def test_a_move_changes_one_column_and_writes_nothing(client: TestClient, database: Database, world: World) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    client.get(f"{at}/options")
    with database.read() as store:
        before = store.query(Revision).count()
    moved = client.post(f"{at}/options", data=form(csrf, sessions="7"), headers=HX).text
    assert 'id="yours"' in moved and 'id="exercise"' not in moved and "7 visits" in moved
    assert 'id="picture"' in moved and 'id="told"' in moved
    with database.read() as store:
        assert store.query(Revision).count() == before
    assert kept(database, at) is None


def test_without_script_the_sliders_are_kept_and_shown(client: TestClient, database: Database, world: World) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world, {"asked": {"questions": ["x"]}})
    assert client.post(f"{at}/options", data=form(csrf, minutes="45")).status_code == 303
    assert kept(database, at) == {"asked": {"questions": ["x"]}, "yours": Sliders(minutes=45).as_data()}
    assert 'value="45" aria-valuetext' in client.get(f"{at}/options").text


def test_two_hands_on_the_sliders_are_laid_over_each_other(client: TestClient, database: Database, world: World
                                                           ) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    before = json.dumps(Sliders().as_data())
    client.post(f"{at}/options/keep", data=form(csrf, sessions="5", before=before))
    answer = client.post(f"{at}/options/keep", data=form(csrf, minutes="20", before=before))
    assert kept(database, at)["yours"] == Sliders(sessions=5, minutes=20).as_data()
    assert "&#34;sessions&#34;: 5" in answer.text


def test_what_no_slider_has_is_refused(client: TestClient, database: Database, world: World) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    for moved in ({"sessions": "21"}, {"needles": "laser"}, {"beside": "exercise.none"}, {"minutes": "½"},
                  {"points": "<b>"}, {"per_week": ""}):
        assert client.post(f"{at}/options", data=form(csrf, **moved), headers=HX).status_code == 422


def test_anothers_assessment_does_not_exist(client: TestClient, database: Database, world: World) -> None:
    csrf = enter(client, database, world.people["ann"])
    own, other = world.patients["amy"], world.assessments["ben"]
    assert client.get(f"/patients/{own}/assessments/{other}/options").status_code == 404
    assert client.post(f"/patients/{own}/assessments/{other}/options/keep", data=form(csrf)).status_code == 404


def test_an_assistant_decides_nothing(client: TestClient, database: Database, world: World) -> None:
    enter(client, database, world.people["cas"])
    assert client.get(f"{asked(database, world)}/options").status_code == 403


POSITIONS = st.builds(
    Sliders, needles=st.sampled_from(list(sliders.parts()["mode"]["choices"])),
    points=st.sampled_from(list(sliders.parts()["points"]["choices"])), sessions=st.integers(2, 20),
    per_week=st.integers(1, 3), minutes=st.sampled_from(range(10, 50, 5)),
    beside=st.sets(st.sampled_from(list(sliders.companions()))).map(
        lambda chosen: tuple(name for name in sliders.companions() if name in chosen)))


@settings(max_examples=30)
@given(POSITIONS)
def test_every_position_is_a_plan_that_gives_the_position_back(now: Sliders) -> None:
    plan = plan_from(sentences(now.plan))
    assert plan == now.plan
    again = sliders.of_plan(plan)
    if now.needles == "none":
        assert again.beside == now.beside and again.needles == "none"
    else:
        assert again == now
        assert plan.courses[0].schedule.sessions == now.sessions


@settings(max_examples=50)
@given(POSITIONS, POSITIONS, POSITIONS)
def test_a_merge_takes_each_field_from_one_of_the_two(before: Sliders, mine: Sliders, theirs: Sliders) -> None:
    found = sliders.merged(before, mine, theirs)
    assert sliders.merged(before, mine, before) == mine and sliders.merged(before, before, theirs) == theirs
    assert all(value in (mine.as_data()[name], theirs.as_data()[name]) for name, value in found.as_data().items())


@settings(max_examples=30)
@given(POSITIONS)
def test_no_position_goes_beyond_what_screening_and_wishes_allow(now: Sliders) -> None:
    patient = parse_patient({"patient": {
        "age": 70, "pain": {"week_average": 6, "duration_weeks": 100}, "red_flags": DENIED, "medicines": ["warfarin"],
        "preferences": {"max_sessions": 8, "electro": "refuses", "exercise": "refuses"}}})
    found = sliders.fitted(now.plan, screen(patient), patient)
    assert found.plan.visits <= 8
    for course in found.plan.courses:
        assert course.care != "exercise"
        if course.care == "needling":
            assert course.mode == "manual" and course.depth == "superficial"  # type: ignore[attr-defined]  # needling
    assert found.notes or found.plan == now.plan


def test_what_a_person_may_not_have_is_told_with_its_reason() -> None:
    patient = parse_patient({"patient": {
        "age": 70, "pain": {"week_average": 6, "duration_weeks": 100}, "medicines": [], "red_flags": DENIED,
        "preferences": {"exercise": "refuses"}, "conditions": {"pacemaker": True}}})
    closed = sliders.closed_choices(screen(patient), patient)
    assert closed["exercise.walking_5"] == "You said no to exercise."
    assert "electro_low" in closed and "manual" not in closed and "none" not in closed


def test_sliders_of_another_version_start_anew() -> None:
    assert sliders.kept({"needles": "laser"}) == sliders.kept(None) == sliders.kept([1]) == Sliders()
    with pytest.raises(InputError, match="sessions: out of range"):
        sliders.read(Sliders().as_data() | {"sessions": 0})


def test_what_screening_has_made_ready_is_what_the_options_ask_for(
        client: TestClient, database: Database, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    csrf, engine, asked_for = enter(client, database, world.people["ann"]), client.app.state.engine, []
    at = asked(database, world, disability={"instrument": "RMDQ", "score": 11})
    with database.write(Actor()) as store:
        store.get_one(Assessment, at.rpartition("/")[2]).state = "open"
    for name in ("get_ready", "options", "plan_option"):
        whole = getattr(engine, name)
        monkeypatch.setattr(engine, name, lambda *given, whole=whole: asked_for.append(given) or whole(*given))
    assert client.get(f"{at}/screening").status_code == 200
    assert client.post(f"{at}/finish", data={"csrf": csrf}, follow_redirects=True).status_code == 200
    (file, plan), options, mine = asked_for
    assert (file,) == options and (file, plan) == mine and plan


@pytest.mark.parametrize("before", ["[" * 1000, '{"beside": 5}', '{"beside": null}', "{}", "5"])
def test_a_form_that_no_page_made_moves_the_sliders_or_is_refused(
        client: TestClient, database: Database, world: World, before: str) -> None:
    csrf, at = enter(client, database, world.people["ann"]), asked(database, world)
    for path in ("/options", "/options/keep"):
        assert client.post(at + path, data=form(csrf, before=before)).status_code in (200, 303)
