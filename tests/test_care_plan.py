"""Plans as data: schedules, totals, mappings, files, defaults and their sources."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deqi import evidence
from deqi.care import Needling, Plan, Schedule, as_data, assumptions, course, load_plan, plan_from, sentences
from deqi.care.defaults import table
from deqi.errors import InputError
from test_care_language import COURSES, schedules

SENTENCE = "acupuncture 30 min twice a week for 6 weeks"


@pytest.mark.parametrize(("per_week", "days"), [
    (1, (0, 7, 14)), (2, (0, 3, 7, 10, 14)), (3, (0, 2, 4, 7, 9, 11)),
    (5, (0, 1, 2, 4, 5, 7)), (7, (0, 1, 2, 3)),
    (3.5, (0, 2, 4, 6)), (0.5, (0, 14)), (14, (0, 0.5, 1, 1.5)), (21, (0, 0.25, 0.5, 1, 1.25)),
])
def test_sessions_fall_on_the_days_a_person_would_choose(per_week, days):
    assert Schedule(30, per_week, 6).session_days()[:len(days)] == days


@given(schedules())
def test_sessions_are_as_many_as_stated_in_order_and_inside_the_course(schedule):
    days = schedule.session_days()
    assert len(days) == schedule.sessions
    assert schedule.sessions == pytest.approx(schedule.times_per_week * schedule.weeks, abs=0.5 + 1e-6)
    first = schedule.start_week * 7
    assert all(later > earlier for earlier, later in zip(days, days[1:], strict=False))
    assert first - 1 < days[0] and days[-1] < first + schedule.weeks * 7 + 1
    per_day = [sum(int(day) == whole for day in days) for whole in {int(day) for day in days}]
    assert max(per_day) <= -(-schedule.times_per_week // 7)


@given(schedules())
def test_sessions_of_a_day_do_not_overlap(schedule):
    days = schedule.session_days()
    gaps = [(later - earlier) * 1440 for earlier, later in zip(days, days[1:], strict=False)]
    assert all(gap > schedule.minutes - 1e-6 for gap in gaps)


def test_visits_hours_and_end():
    plan = plan_from([SENTENCE, "yoga 60 min weekly for 12 weeks from week 2",
                      "walking 30 min 5 times a week for 12 weeks", "heat wrap 8 h a day for 5 days",
                      "ibuprofen daily for 26 weeks"])
    assert plan.visits == 12 + 12
    assert plan.visit_hours == 6 + 12
    assert plan.home_hours == 30 + 40
    assert plan.hours == 88
    assert plan.end_week == 26
    timetable = plan.timetable()
    assert len(timetable) == 12 + 12 + 60 + 5
    assert [day for day, _ in timetable] == sorted(day for day, _ in timetable)
    assert (Plan().visits, Plan().hours, Plan().end_week, Plan().timetable()) == (0, 0, 0, ())


def test_a_mapping_is_the_sentence():
    data = {"care": "acupuncture", "minutes": 30, "times_per_week": 2, "weeks": 6}
    assert plan_from(data) == plan_from([data]) == plan_from(SENTENCE) == Plan((course(**data),))
    assert plan_from([data, "walking daily"]) == plan_from(f"{SENTENCE}; walking daily")
    total = {"care": "electroacupuncture", "sessions": 10, "weeks": 5, "minutes": 30, "frequency_hz": "2/100"}
    assert plan_from(total) == plan_from("electroacupuncture 2/100 Hz 30 min 10 sessions over 5 weeks")
    assert course("heat wrap").device == "wrap"
    assert course("ibuprofen", weeks=2) == course("medicine", drug="ibuprofen", weeks=2)
    assert course("needling", mode="sham_nonpenetrating").depth is None


def test_stricta_fields_are_kept():
    stated = {"style": "Western medical", "reasoning": "segmental", "insertions": 12,
              "points": ["local", "distal"], "point_names": ["BL23", "Jiaji (EX-B2)"], "sides": "bilateral",
              "depth": 25, "de_qi": True,
              "manipulation_every_minutes": 10, "needle_type": "0.25 x 40 mm",
              "practitioner": "physician, 5 years",
              "setting": "outpatient clinic"}
    needled = course("acupuncture", minutes=30, times_per_week=2, weeks=6, **stated)
    assert isinstance(needled, Needling)
    assert {key: as_data(Plan((needled,)))[0][key] for key in stated} == stated
    assert needled.retention_minutes == 30


@settings(max_examples=150, deadline=None)
@given(st.lists(COURSES, max_size=3))
def test_data_round_trips_exactly_also_through_json(courses):
    plan = Plan(tuple(courses))
    again = plan_from(json.loads(json.dumps(as_data(plan))))
    assert again == plan
    assert as_data(again) == as_data(plan)


@pytest.mark.parametrize(("obj", "message"), [
    ({"care": "acupuncture", "minuts": 30}, r"plan\.minuts: .*did you mean 'minutes'"),
    ({"care": "acupunctur"}, r"plan\.care: .*did you mean 'acupuncture'"),
    ({"minutes": 30}, r"plan\.care: no kind of care"),
    ({"care": "walking", "milliamps": 2}, "does not apply to walking"),
    ({"care": "massage"}, "no model"),
    ({"care": "acupuncture", "minutes": "30"}, r"plan\.minutes"),
    ({"care": "acupuncture", "minutes": True}, r"plan\.minutes"),
    ({"care": "acupuncture", "minutes": None}, r"plan\.minutes"),
    ({"care": "acupuncture", "minutes": float("nan")}, "0.1 to 1440"),
    ({"care": "acupuncture", "minutes": 10**400}, "0.1 to 1440"),
    ({"care": "acupuncture", "times_per_week": float("inf")}, "0.01 to 28"),
    ({"care": "acupuncture", "insertions": 2.5}, "not a whole number"),
    ({"care": "acupuncture", "mode": "electric"}, "did you mean 'electro'"),
    ({"care": "acupuncture", "points": ["local", "local"]}, "same value twice"),
    ({"care": "acupuncture", "points": []}, "no class of points"),
    ({"care": "acupuncture", "points": [["local"]]}, r"plan\.points"),
    ({"care": "acupuncture", "style": "x" * 500}, r"plan\.style"),
    ({"care": "electroacupuncture", "mode": "manual"}, "contradicts 'electroacupuncture'"),
    ({"care": "needling", "mode": "manual", "frequency_hz": 2}, "only with current"),
    ({"care": "electroacupuncture", "frequency_hz": [2, 50, 100]}, "one frequency, or two"),
    ({"care": "needling", "mode": "sham_nonpenetrating", "depth": "deep"}, "nothing enters the skin"),
    ({"care": "medicine"}, r"plan\.name"),
    ({"care": "medicine", "drug": "ibuprofn"}, "did you mean 'ibuprofen'"),
    ({"care": "medicine", "name": "opioid", "drug": "ibuprofen"}, "not a known drug of the class opioid"),
    ({"care": "ibuprofen", "minutes": 30}, "no sessions"),
    ({"care": ["walking"]}, r"plan\.care"),
    ({"care": "walking", "defaulted": "weeks"}, r"plan\.defaulted"),
    ({1: 2}, "no kind of care"),
    (None, "not a course of care"), (3.5, "not a course of care"), (b"walking", "not a course of care"),
    ([["walking"]], r"plan\[0\]: not a course of care"),
    (["walking", "wlking"], r"plan\[1\]: 'wlking'.*did you mean 'walking'"),
    (["walking"] * 51, "too many courses"),
])
def test_what_does_not_fit_is_refused_where_it_stands(obj, message):
    with pytest.raises(InputError, match=message):
        plan_from(obj)


def test_an_error_names_the_file_and_the_place(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text("plan:\n  - walking daily for 2 weeks\n  - {care: yoga, minutes: 2000}\n")
    with pytest.raises(InputError) as refused:
        load_plan(path)
    assert str(refused.value).startswith(f"{path}: plan[1].minutes: out of range; found 2000")
    with pytest.raises(InputError, match="patient.care_so_far"):
        plan_from("wlking", field="patient.care_so_far")


@pytest.mark.parametrize(("name", "text"), [
    ("a.yaml", f"plan:\n  - {SENTENCE}\n"), ("a.yml", f"- {SENTENCE}\n"), ("a.yaml", f"plan: {SENTENCE}\n"),
    ("a.json", json.dumps([{"care": "acupuncture", "minutes": 30, "times_per_week": 2, "weeks": 6}])),
    ("b.yaml", "care: acupuncture\nminutes: 30\ntimes_per_week: 2\nweeks: 6\n"),
])
def test_a_plan_is_read_from_a_file_or_from_words(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert load_plan(tmp_path / name) == load_plan(str(tmp_path / name)) == load_plan(SENTENCE)


@pytest.mark.parametrize("text", ["plan: []\nweeks: 12\n", "plan:\n", "- - walking\n", "12\n"])
def test_a_file_without_a_plan_is_refused(tmp_path, text):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(InputError, match=r"bad\.yaml"):
        load_plan(tmp_path / "bad.yaml")
    with pytest.raises(InputError, match="no such file"):
        load_plan("nowhere.yaml")


def test_what_nobody_stated_is_told_with_its_source():
    told = {(item.course, item.field): item for item in assumptions(plan_from(
        "acupuncture twice a week; sham acupuncture 20 min twice a week for 5 weeks"))}
    assert (0, "times_per_week") not in told
    assert (told[0, "weeks"].value, told[0, "weeks"].source) == (5, "haake2007")
    assert told[1, "mode"].value == "sham_penetrating" and told[1, "mode"].source == "assumed"
    stated = as_data(plan_from("acupuncture"))[0]
    del stated["defaulted"]
    assert assumptions(plan_from(stated)) == ()


def test_assumptions_survive_data_but_not_a_change_of_mind():
    plan = plan_from("acupuncture twice a week")
    assert assumptions(plan_from(as_data(plan))) == assumptions(plan)
    assert assumptions(plan_from(sentences(plan))) != assumptions(plan)
    assert plan_from(sentences(plan)) == plan


def test_every_default_and_limit_has_a_source():
    rows = list(table("defaults")["limits"].values())
    for layers in table("defaults")["defaults"].values():
        rows += [row for layer in layers for name, row in layer.items() if name != "when"]
    for row in rows:
        assert row["source"] == "assumed" or evidence.exists(row["source"]), row


@pytest.mark.parametrize(("trial", "text", "sessions"), [
    ("haake2007", "acupuncture 30 min 10 sessions over 5 weeks at 17 needles, with de qi", 10),
    ("brinkhaus2006", "minimal acupuncture 12 sessions over 8 weeks", 12),
    ("carlsson2001", "electroacupuncture 2/15 Hz 20 min weekly for 8 weeks", 8),
    ("hamza1999", "PENS 15/30 Hz 45 min 3 times a week for 2 weeks", 6),
    ("inoue2006", "acupuncture 20 s, one session, one needle, 20 mm deep", 1),
    ("saper2013", "yoga 75 min twice a week for 12 weeks", 24),
    ("zhang2017", "electroacupuncture 50 Hz 20 min 5 times a week for 2 weeks, then 3 times a week "
     "for 2 weeks", 16),
    ("zaringhalam2010", "acupuncture 5 weeks and baclofen 30 mg/day for 5 weeks", 10),
    ("yang2024taichi", "tai chi 60 min twice weekly for 12 weeks plus usual care for 12 weeks", 24),
])
def test_arms_of_published_trials_can_be_said(trial, text, sessions):
    assert evidence.exists(trial)
    assert sum(course.schedule.sessions for course in plan_from(text).courses) == sessions


def test_a_plan_is_read_without_the_heavy_libraries():
    code = ("import sys; from deqi.care import plan_from; plan_from('acupuncture twice a week'); "
            "print({'jax', 'pandas', 'sympy', 'matplotlib', 'numpy'} & set(sys.modules))")
    source = str(Path(__file__).parent.parent / "src")
    done = subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {source!r}); {code}"],
                          capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_thousand_plans_are_read_in_a_second():
    plan_from(SENTENCE)
    start = time.process_time()
    for _ in range(1000):
        plan_from(SENTENCE)
    assert time.process_time() - start < 2
