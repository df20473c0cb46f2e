"""The engine: its processes, what they may cost, and that their answers are those of the commands."""

from __future__ import annotations

import copy
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from deqi.errors import InputError
from deqi.web import lanes
from deqi.web.lanes import Busy, Failed, Lane, serve

EXAMPLES = Path(__file__).parents[2] / "examples"
NEEDLES = ["acupuncture 30 min twice a week for 6 weeks"]


# The lane, with jobs of its own that import nothing

def _refuse() -> None:
    raise InputError("out of range", file="p.yaml", field="patient.age", found=[200, None], accepted="0 to 120")


def _stumble() -> None:
    raise ValueError("Anna Muster, pain 7")


def _die(marker: str | None = None) -> str:
    if marker is None or not Path(marker).exists():
        if marker is not None:
            Path(marker).touch()
        os._exit(1)
    return "alive"


_kept: list[str] = []


def _keep() -> list[str]:
    _kept.append("kept")
    return _kept


def toy(pipe, lane, cache, niceness) -> None:
    """A process like `lanes.work`, with toy jobs."""
    serve(pipe, {"echo": lambda **told: told, "pid": os.getpid, "refuse": _refuse, "stumble": _stumble, "die": _die,
                 "sleep": lambda seconds: time.sleep(seconds), "nan": lambda: float("nan"),
                 "kept": _keep, "forget": _kept.clear})


def stillborn(pipe, lane, cache, niceness) -> None:
    """A process that does not get as far as being ready."""
    os._exit(1)


@pytest.fixture
def lane(tmp_path, monkeypatch):
    monkeypatch.setattr(lanes, "LOOK_SECONDS", 0.05)
    made = Lane("toy", tmp_path, places=1, seconds=1.0, patience=20.0, target=toy)
    made.start()
    yield made
    made.close()


def test_plain_data_crosses_and_back(lane):
    told = {"patient": {"scores": [1, 2.5, None, True, "schmerzfrei – 0"]}}
    assert lane.ask("echo", **told) == told
    assert lane.ready


def test_an_input_error_crosses_whole(lane):
    with pytest.raises(InputError) as here:
        _refuse()
    with pytest.raises(InputError) as there:
        lane.ask("refuse")
    assert vars(there.value) == vars(here.value) and str(there.value) == str(here.value)


def test_an_error_nobody_foresaw_tells_its_place_and_not_its_words(lane):
    with pytest.raises(Failed, match=r"ValueError in test_engine.py, line \d+") as caught:
        lane.ask("stumble")
    assert "Anna" not in str(caught.value)
    with pytest.raises(Failed):
        lane.ask("nan")


def test_a_process_that_dies_idle_is_replaced(lane):
    first = lane.ask("pid")
    os.kill(first, 9)
    assert lane.ask("pid") not in (first, os.getpid())


def test_a_job_whose_process_dies_is_tried_once_more(lane, tmp_path):
    assert lane.ask("die", marker=str(tmp_path / "died")) == "alive"
    with pytest.raises(Failed, match="ended twice"):
        lane.ask("die")
    assert lane.ask("echo", a=1) == {"a": 1}


def test_a_job_that_takes_too_long_is_stopped(lane):
    first = lane.ask("pid")
    with pytest.raises(Failed, match="longer than 1 seconds"):
        lane.ask("sleep", seconds=60)
    assert lane.ask("pid") != first


def test_who_comes_when_too_many_wait_is_told_when_to_come_back(lane):
    lane.ask("pid")
    running = lane.submit("sleep", seconds=0.8)
    while not running.running():
        time.sleep(0.01)
    waiting = lane.submit("echo", a=1)
    with pytest.raises(Busy) as caught:
        lane.submit("echo", a=2)
    assert caught.value.seconds >= 1
    assert waiting.result(10) == {"a": 1}


def test_a_lane_is_idle_while_nobody_waits_for_it(lane):
    lane.ask("echo")
    assert lane.idle
    begun = lane.submit("sleep", seconds=0.2)
    assert not lane.idle
    lane.wait(begun)
    assert lane.idle


def test_a_hand_on_a_slider_goes_before_others_that_wait(tmp_path):
    lane = Lane("toy", tmp_path, places=4, seconds=20.0, patience=20.0, slack={"echo": 0.2}, target=toy)
    lane.start()
    done = []
    begun = lane.submit("sleep", seconds=0.8)
    for name, then in (("echo", 0.0), ("pid", 0.4), ("kept", 0.0)):
        lane.submit(name).add_done_callback(lambda _, name=name: done.append(name))
        time.sleep(then)
    lane.wait(begun)
    lane.ask("sleep", seconds=0)
    lane.close()
    assert done == ["pid", "echo", "kept"]  # and nobody is passed over for ever


def test_nobody_waits_beyond_patience(lane):
    lane.ask("pid")
    lane.patience = 0.1
    with pytest.raises(Busy):
        lane.ask("sleep", seconds=0.8)


def test_closing_ends_the_process_and_fails_what_waits(lane):
    pid = lane.ask("pid")
    jobs = [lane.submit("sleep", seconds=0.9)]
    while not jobs[0].running():
        time.sleep(0.01)
    jobs.append(lane.submit("echo", a=1))
    lane.close()
    for job in jobs:
        with pytest.raises(Failed, match="stopping"):
            lane.wait(job)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(Failed, match="stopping"):
        lane.ask("pid")


def test_a_model_that_does_not_start_is_said_to_whoever_asks(tmp_path):
    lane = Lane("toy", tmp_path, places=4, seconds=1.0, patience=20.0, target=stillborn)
    lane.start()
    with pytest.raises(Failed, match="does not start"):
        lane.ask("pid")
    assert not lane.ready
    lane.close()


def test_a_lane_never_started_or_closed_twice_does_no_harm(tmp_path):
    lane = Lane("toy", tmp_path, places=1, seconds=1.0, patience=20.0, target=toy)
    lane.close()
    lane.start()
    lane.close()


def test_a_process_ends_with_its_server(tmp_path):
    code = ("import os, sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
            "if __name__ == '__main__':\n"
            "    from test_engine import toy; from deqi.web.lanes import Lane\n"
            "    lane = Lane('toy', Path('.'), places=1, seconds=1.0, patience=20.0, target=toy); lane.start()\n"
            "    print(lane.ask('pid'), flush=True); os.kill(os.getpid(), 9)\n")
    script = tmp_path / "server.py"
    script.write_text(code)
    told = subprocess.run([sys.executable, script, Path(__file__).parent], capture_output=True, text=True, timeout=60)
    pid = int(told.stdout)
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("the process outlived its server")


def test_the_web_process_imports_no_model():
    code = "import sys, deqi.web.engine; print(sorted({'jax', 'numpy', 'deqi.consult'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.strip() == "[]"


# The jobs, without processes

@pytest.fixture
def quick():
    from deqi.web import quick

    return quick


@pytest.fixture(scope="module")
def patient() -> dict:
    return yaml.safe_load((EXAMPLES / "gerac_chronic.yaml").read_text())


def changed(patient: dict, **fields) -> dict:
    return {"patient": patient["patient"] | fields}


def test_the_same_plan_is_the_same_option_whoever_asks(quick, patient):
    found = quick.options(patient, NEEDLES)
    shown = {option["id"]: option for option in found["options"]}
    assert list(shown) == ["nothing", "usual_care", "exercise", "acupuncture", "yours"]
    for part in ("benefit", "forecast", "harms", "burden", "uncertainty", "experience"):
        assert shown["yours"][part] == shown["acupuncture"][part]
    moved = quick.plan_option(patient, NEEDLES)
    assert moved["option"] == shown["yours"] and moved["review"] == found["review"] != []
    assert moved["nothing"] == shown["nothing"]
    mine, nothing = (moved[name]["benefit"]["improved_30pct"] for name in ("option", "nothing"))
    assert mine["without"] == nothing["with"]
    json.dumps(found, allow_nan=False)


def test_moving_a_slider_costs_one_forecast_and_moving_it_back_none(quick, patient, monkeypatch):
    plans = []
    whole = quick.Person.forecast
    monkeypatch.setattr(quick.Person, "forecast",
                        lambda self, plan, weeks: plans.append(plan) or whole(self, plan, weeks))
    someone = changed(patient, age=51)
    quick.options(someone, None)
    plans.clear()
    for minutes in (21, 22, 21):
        quick.plan_option(someone, [f"acupuncture {minutes} min once a week for 3 weeks"])
    turned = {"patient": dict(reversed(someone["patient"].items()))}
    quick.options(turned, ["acupuncture 22 min once a week for 3 weeks"])
    assert len(plans) == 2


def test_an_emergency_and_a_child_get_no_numbers_but_the_reason(quick, patient):
    grave = yaml.safe_load((EXAMPLES / "cauda_equina.yaml").read_text())
    for given in (grave, changed(patient, age=15)):
        for found in (quick.options(given, NEEDLES), quick.plan_option(given, NEEDLES)):
            assert found["reasons"] and not found.get("options") and not found.get("option") and not found["review"]
        assert quick.review(given) is None
    assert quick.options(grave, None)["screening"]["status"] == "emergency"


def test_a_plan_beyond_the_persons_limits_is_closed_with_the_reason(quick, patient):
    found = quick.plan_option(patient, ["acupuncture 30 min 20 sessions over 10 weeks"])  # 15 at most, in the file
    option = found["option"]
    assert not option["available"] and "15" in option["why_not"]
    assert option["benefit"] is None and option["forecast"] == [] and found["review"] == []


def test_no_treatment_is_a_plan(quick, patient):
    option = quick.plan_option(patient, [])["option"]
    with_, without = (option["benefit"]["improved_30pct"][side] for side in ("with", "without"))
    assert with_ == without and option["harms"] == quick.plan_option(patient, [])["nothing"]["harms"]


def test_a_forecast_is_that_of_the_command(quick, patient):
    from deqi.consult.single import forecast

    assert quick.forecast(patient, NEEDLES, [1, 12], 3, None) == forecast(patient, NEEDLES, [1, 12], seed=3).result
    page = {"seed": quick.SEED, "draws": quick.PARTICLES}  # of a person who is kept
    assert quick.forecast(patient, NEEDLES, [1, 12], **page) == forecast(patient, NEEDLES, [1, 12], **page).result


def test_a_plan_is_never_a_file(quick, patient, tmp_path):
    place = tmp_path / "plan.yaml"
    place.write_text("- acupuncture 30 min twice a week for 6 weeks\n")
    for ask in (lambda: quick.forecast(patient, str(place), [12], 1, 64),
                lambda: quick.plan_option(patient, [str(place)]),
                lambda: quick.simulate(str(place), 64, "chronic", None, 12, (), 1)):
        with pytest.raises(InputError):
            ask()


@pytest.mark.parametrize(("field", "value"), [("patients", 10_001), ("weeks", 0), ("weeks", 12.5), ("seed", -1),
                                              ("seed", True)])
def test_a_simulation_is_bounded(quick, field, value):
    asked = {"plan": NEEDLES, "patients": 64, "population": "chronic", "baseline": None, "weeks": 12, "without": (),
             "seed": 1}
    with pytest.raises(InputError) as caught:
        quick.simulate(**asked | {field: value})
    assert caught.value.field == field


def test_many_patients_over_many_weeks_are_too_many(quick):
    """One request would hold up everybody else's for minutes."""
    with pytest.raises(InputError, match=r"2,307 patients over 104 weeks"):
        quick.simulate(NEEDLES, 10_000, "chronic", None, 104, (), 1)


def test_nothing_of_a_person_is_kept_when_asked_to_forget(quick, patient):
    before = quick.case(patient)
    assert quick.case(patient) is before
    quick.forget()
    assert quick.case(patient) is not before and len(quick._persons._held) == 1 and not quick._plans._held


def test_a_lane_forgets_before_its_next_job(lane):
    assert lane.ask("kept") == ["kept"] and lane.ask("kept") == ["kept", "kept"]
    lane.forget()
    assert lane.ask("kept") == ["kept"]
    assert lane.submit_if_idle("kept") is not None


def test_what_is_prepared_is_done_when_nobody_waits_and_once(tmp_path, monkeypatch):
    monkeypatch.setattr(lanes, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(lanes, "MOST_AHEAD", 3)
    lane = Lane("toy", tmp_path, places=4, seconds=20.0, patience=20.0, target=toy)
    lane.start()
    begun = lane.submit("sleep", seconds=0.3)
    while not begun.running():
        time.sleep(0.01)
    for _ in range(5):
        lane.prepare("kept")
    for number in range(4):
        lane.prepare("echo", number=number)  # the oldest makes room
    assert list(lane._ahead) == [json.dumps(["echo", {"number": number}]) for number in (1, 2, 3)]
    assert lane.ask("kept") == ["kept"]  # before all that
    lane.prepare("kept")
    while lane._ahead:
        time.sleep(0.01)
    assert lane.ask("kept") == ["kept"] * 3
    lane.close()


def test_a_job_that_cannot_be_sent_fails_alone(lane):
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Failed, match="RecursionError"):
        lane.ask("echo", deep=deep)
    assert lane.ask("echo", a=1) == {"a": 1}


def test_a_lane_forgets_again_after_a_job_that_waited_when_it_was_asked_to(tmp_path):
    lane = Lane("toy", tmp_path, places=4, seconds=20.0, patience=20.0, target=toy)
    lane.start()
    begun = lane.submit("sleep", seconds=0.3)
    while not begun.running():
        time.sleep(0.01)
    waited = lane.submit("kept")
    lane.forget()
    assert lane.wait(waited) == ["kept"]
    assert lane.ask("kept") == ["kept"] == lane.ask("kept")  # also what is asked just afterwards
    lane._keeps_from = 0.0
    assert lane.ask("kept") == ["kept"]
    assert lane.ask("kept") == ["kept", "kept"]
    lane.close()


def test_a_review_is_that_of_the_scores(quick, patient):
    going = changed(patient, pain=patient["patient"]["pain"] | {"week_average": 2},
                    care_so_far=[{"start_week": -6, "plan": "acupuncture 30 min once a week for 12 weeks"}],
                    scores=[{"week": -6, "outcome": "NRS", "value": 7}])
    assert quick.review(going)["verdict"] == "carry_on"
    worse = copy.deepcopy(going)
    worse["patient"]["pain"]["week_average"] = 8
    assert quick.review(worse)["verdict"] == "stop"
    assert quick.review(patient) is None


def test_what_was_used_last_is_kept(quick):
    kept, made = quick.Kept(2), []
    for key in "abacab":
        kept.get(key, lambda key=key: made.append(key))
    assert made == ["a", "b", "c", "b"]


# Cost

COMPANIONS = ([], ["walking 30 min 5 times a week for 12 weeks"],
              ["supervised exercise 45 min twice a week for 12 weeks"],
              ["heat wrap 8 h a day for 5 days"], ["stretching 10 min daily for 6 weeks"])


def positions(n: int, seed: int) -> list[list[str]]:
    """Plans that sliders may stand at, the largest among them."""
    rng = random.Random(seed)
    found = [["manual acupuncture 45 min 20 sessions over 20 weeks", *COMPANIONS[1]],
             ["electroacupuncture at 2 Hz 10 min 1 session"]]
    while len(found) < n:
        sessions, spacing = rng.randint(1, 20), rng.choice((1, 2, 3))
        mode, minutes = rng.choice(("manual acupuncture", "electroacupuncture at 2 Hz")), rng.choice(range(10, 46, 5))
        found.append([f"{mode} {minutes} min {sessions} sessions over {max(sessions / spacing, 1):g} weeks",
                      *rng.choice(COMPANIONS)])
    return found


def test_no_limit_refuses_the_plans_that_make_the_solver_warm(quick):
    plans = [(how["patient"], how["plan"]) for _, how in quick.STEPS if "plan" in how]
    for person, plan in [*plans, ({"patient": quick.SOMEBODY}, quick.MUCH)]:
        of = quick.case(person)
        assert not of.reasons and not quick.permits(quick.plan_from(plan), of.screening, of.patient)


@pytest.mark.slow
def test_once_warm_no_slider_and_no_person_compiles_anything(quick, patient):
    import jax

    quick.warm()
    for step in range(len(quick.STEPS)):
        assert quick.get_warmer(step) == (step + 1 < len(quick.STEPS))
    compiled: list[str] = []

    def heard(event: str, seconds: float, **told: object) -> None:
        if "backend_compile" in event:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(heard)
    try:
        usual = changed(patient, preferences={})
        unknown = changed(usual, pain={"week_average": 5})
        treated = changed(usual, care_so_far=[{"start_week": -8, "plan": NEEDLES[0]}])
        followed = changed(treated, scores=[{"week": -8, "outcome": "NRS", "value": 8}])
        known_long = changed(usual, scores=[{"week": -50, "outcome": "NRS", "value": 8}])
        plain = changed(usual, disability=None, medicines=["regular_opioid"])
        for person in (usual, unknown, treated, followed, known_long, plain):
            quick.options(person, NEEDLES)
        for plan in positions(100, 1):
            assert quick.plan_option(usual, plan)["option"]["available"]
        for minutes in (5, 17, 45, 60):
            quick.explain(minutes=minutes, mode="electro", hz=40, without=["gate", "muscle"], given=["naloxone"])
    finally:
        jax.monitoring.unregister_event_duration_listener(heard)
    assert compiled == []


@pytest.mark.slow
def test_the_engine_serves_a_slider_while_a_consultation_is_made(quick, patient):
    import jax

    from deqi.web.engine import Engine

    cache = Path(jax.config.values["jax_compilation_cache_dir"])  # where other tests keep what they compiled
    engine = Engine(cache)
    engine.start()
    try:
        assert not engine.ready
        assert engine.plan_option(patient, NEEDLES)["option"]["available"] and engine.ready
        pending = engine.submit_consult(patient)
        assert not pending.done
        free = changed(patient, preferences={})
        moved = [engine.plan_option(free, plan)["option"]["plan"] for plan in positions(4, 2)]
        assert all(moved) and not pending.done
        with pytest.raises(InputError, match="pain"):
            engine.options({"patient": {"age": 50}})
        consultation = pending.result()
        assert pending.done and {option["id"] for option in consultation["options"]} >= {"nothing", "tailored"}
        assert engine.explain(mode="electro")["choices"]["mode"] == "electro"
        assert engine.simulate("nothing", patients=64)["summary"]["weeks"][-1] == 12
        assert any(cache.iterdir())
    finally:
        engine.close()
