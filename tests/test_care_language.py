"""Plans in plain language: what a person would say, what it means, and how nonsense is refused."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deqi.care import (
    Cold,
    Exercise,
    Heat,
    Lifestyle,
    Medicine,
    Needling,
    Placebo,
    Plan,
    Schedule,
    Stretching,
    UsualCare,
    Waiting,
    plan_from,
    sentences,
)
from deqi.care.defaults import table
from deqi.care.vocabulary import modifiers, names, phrases, words_of
from deqi.errors import InputError


def only(text):
    (course,) = plan_from(text).courses
    return course


@pytest.mark.parametrize(("text", "schedule"), [
    ("acupuncture 30 min twice a week for 6 weeks", Schedule(30, 2, 6)),
    ("electroacupuncture 2/100 Hz 30 min 10 sessions over 5 weeks", Schedule(30, 2, 5)),
    ("acupuncture 20 min 12 sessions in 8 weeks", Schedule(20, 1.5, 8)),
    ("10 acupuncture sessions of 25 minutes over 5 weeks", Schedule(25, 2, 5)),
    ("10 × 30 min acupuncture over 5 weeks", Schedule(30, 2, 5)),
    ("acupuncture 30 min, 10 sessions twice a week", Schedule(30, 2, 5)),
    ("acupuncture 30 min once", Schedule(30, 1, 1)),
    ("twice-weekly acupuncture for six weeks, 30 minutes each", Schedule(30, 2, 6)),
    ("walking 30 min 5 times a week for 12 weeks", Schedule(30, 5, 12)),
    ("walking 30 min on 5 days a week for 3 months", Schedule(30, 5, 13)),
    ("walking half an hour every other day for 2 weeks", Schedule(30, 3.5, 2)),
    ("12 weekly yoga classes of 75 min", Schedule(75, 1, 12)),
    ("yoga 1 h 15 min fortnightly for 12 weeks", Schedule(75, 0.5, 12)),
    ("exercise 60min 2x/wk for 8wks", Schedule(60, 2, 8)),
    ("heat wrap 8 h a day for 5 days", Schedule(480, 7, 5 / 7)),
    ("stretching 10 min three times a day for 4 weeks", Schedule(10, 21, 4)),
    ("acupuncture 20 s every 3 days for a month", Schedule(1 / 3, 7 / 3, 13 / 3)),
    ("acupuncture 30 min twice a week for 6 weeks from week 3", Schedule(30, 2, 6, 3)),
    ("starting in week 3 acupuncture 30 min twice a week for 6 weeks", Schedule(30, 2, 6, 3)),
    ("after 2 weeks, acupuncture 30 min twice a week until week 8", Schedule(30, 2, 6, 2)),
    ("acupuncture 30 min weekly, weeks 4 to 10", Schedule(30, 1, 6, 4)),
    ("ibuprofen daily for 2 weeks", Schedule.continuous(2)),
    ("usual care for 26 weeks", Schedule.continuous(26)),
    ("waiting list 8 weeks", Schedule.continuous(8)),
])
def test_times(text, schedule):
    assert only(text).schedule == schedule


@pytest.mark.parametrize(("text", "fields"), [
    ("acupuncture", {"mode": "manual"}),
    ("electroacupuncture 2/100 Hz 4 mA", {"mode": "electro", "frequency_hz": (2, 100), "milliamps": 4,
                                         "mixed": "alternating"}),
    ("electro-acupuncture 2 Hz", {"frequency_hz": (2,), "mixed": None}),
    ("electroacupuncture 2 and 100 Hz simultaneous", {"frequency_hz": (2, 100), "mixed": "simultaneous"}),
    ("sham acupuncture", {"mode": "sham_penetrating", "depth": "superficial", "de_qi": False}),
    ("penetrating sham at distal points", {"mode": "sham_penetrating", "points": ("distal",)}),
    ("non-penetrating sham acupuncture", {"mode": "sham_nonpenetrating", "depth": None}),
    ("dry needling", {"mode": "manual", "points": ("trigger_point",)}),
    ("superficial acupuncture at local and trigger points without de qi",
     {"depth": "superficial", "points": ("local", "trigger_point"), "de_qi": False}),
    ("acupuncture, 14 needles 20 mm deep, manipulated every 5 min",
     {"insertions": 14, "depth": 20, "manipulation_every_minutes": 5}),
    ("acupuncture at BL23, UB40 and EX-B2", {"point_names": ("BL23", "BL40", "EX-B2"),
                                            "points": ("local", "distal")}),
    ("manual acupuncture 50 min at LI4", {"point_names": ("LI4",), "points": ("extra_segmental",)}),
    ("vigorous walking", {"kind": "walking", "intensity": "vigorous", "supervised": False}),
    ("core stability training at home", {"kind": "motor_control", "supervised": False}),
    ("intense stretching", {"intensity": "intense"}),
    ("ice", {"device": "ice"}),
    ("weight loss coaching, 10 calls over 26 weeks", {"target": "weight", "programme": "coaching"}),
    ("naproxen 500 mg twice daily for 2 weeks", {"name": "nsaid", "drug": "naproxen", "mg_per_day": 1000,
                                                "regular": True}),
    ("paracetamol as needed", {"name": "paracetamol", "regular": False}),
    ("usual physiotherapy", {"kind": "physiotherapy"}),
    ("mock TENS 8 sessions in 8 weeks", {"kind": "device", "open_label": False}),
    ("open-label placebo pill for 3 weeks", {"kind": "pill", "open_label": True}),
])
def test_details(text, fields):
    course = only(text)
    assert {name: getattr(course, name) for name in fields} == fields


@pytest.mark.parametrize("text", [
    "acupuncture 30 min twice a week for 6 weeks and walking 30 min 5 times a week for 12 weeks",
    "acupuncture 30 min twice a week for 6 weeks; walking 30 min 5 times a week for 12 weeks",
    "acupuncture 30 min twice a week for 6 weeks\nwalking 30 min 5 times a week for 12 weeks",
    "acupuncture, 30 min, twice a week, for 6 weeks, plus walking, 30 min 5 times a week, for 12 weeks.",
    "30 min acupuncture twice a week for 6 weeks with a 30-minute walk 5 times a week for 12 weeks",
])
def test_several_courses_in_one_sentence(text):
    assert plan_from(text) == plan_from(["acupuncture 30 min twice a week for 6 weeks",
                                         "walking 30 min 5 times a week for 12 weeks"])


def test_then_starts_when_all_before_has_ended():
    plan = plan_from("usual care for 4 weeks and walking daily for 2 weeks, then electroacupuncture 2 Hz "
                     "twice a week for 6 weeks, then once a week for 4 weeks")
    assert [course.schedule.start_week for course in plan.courses] == [0, 0, 4, 10]
    assert plan.courses[3].frequency_hz == (2,)
    assert plan.courses[3].schedule.times_per_week == 1


def test_nothing_is_an_empty_plan_and_stands_alone():
    assert plan_from("nothing") == plan_from(" No treatment. ") == plan_from([]) == Plan()
    assert sentences(Plan()) == ["nothing"]
    for together in ("nothing and walking", ["nothing", "walking"], ["walking", "nothing"]):
        with pytest.raises(InputError, match="stands alone"):
            plan_from(together)


@pytest.mark.parametrize(("text", "message"), [
    ("acupunture 30 min twice a week", "'acupunture' is not understood; did you mean 'acupuncture'"),
    ("acupuncture 30 min twce a week", "'twce' is not understood; did you mean 'twice'"),
    ("tai chee daily for 12 weeks", "'tai chee' is not understood; did you mean 'tai chi'"),
    ("acupuncture 30 twice a week", "'30' has no unit"),
    ("acupuncture every tuesday", "'tuesday' is not understood"),
    ("acupuncture 15-20 min", "range"),
    ("acupuncture or walking", "'or' is not understood"),
    ("acupuncture walking", "two kinds of care"),
    ("30 min twice a week", "no kind of care"),
    ("acupuncture 30 min; twice a week", "no kind of care"),
    ("acupuncture 30 min 40 min", "two values for minutes"),
    ("acupuncture and walking twice a week for 6 weeks", "may or may not hold for 'acupuncture'"),
    ("walking 150 min a week", "how long one session is"),
    ("acupuncture 5 sessions twice a week for 12 weeks", "do not agree"),
    ("walking 2 Hz", "does not apply to walking"),
    ("vigorous acupuncture", "does not apply to acupuncture"),
    ("waiting list 30 min daily", "no sessions"),
    ("massage twice a week", "no model of 'massage'"),
    ("opioid twice a week", "every day or as needed"),
    ("acupuncture once a week for 3 days", "no session"),
    ("walking 20 h 3 times a day", "24 hours"),
    ("acupuncture for 6 weeks \U0001f600", "not understood"),
])
def test_what_is_not_understood_is_named(text, message):
    with pytest.raises(InputError, match=message) as refused:
        plan_from(text)
    assert refused.value.accepted


@pytest.mark.parametrize(("text", "field"), [
    ("walking 0 min", "minutes"), ("walking -5 min", "minutes"), ("walking 1441 min", "minutes"),
    ("acupuncture 50 times a week", "times_per_week"),
    ("acupuncture 50 sessions in 1 week", "times_per_week"),
    ("walking for 521 weeks", "weeks"), ("electroacupuncture 2000 Hz", "frequency_hz"),
    ("electroacupuncture 100 mA", "milliamps"), ("acupuncture 900 needles", "insertions"),
    ("acupuncture 50 cm deep", "depth"), ("acupuncture from week -3", "start_week"),
])
def test_absurd_values_are_refused_with_the_range(text, field):
    with pytest.raises(InputError) as refused:
        plan_from(text)
    assert refused.value.field == f"plan.{field}"
    assert " to " in refused.value.accepted


@pytest.mark.parametrize("text", [
    "", " \n\t", ".", "the", "acupuncture " * 90_000, "x" * 1_000_000, "9" * 4000 + " min walking",
    "walk\x00ing", "\x1b[31mwalking", "walking\u202e", "\ud800", "(" * 4000, "walking and " * 400,
    "nan", "1/0 Hz acupuncture", "acupuncture 1/0",
    "acupuncture every 0 days", "acupuncture 0 times a week", "walking until week 0",
])
def test_hostile_text_is_refused_fast(text):
    start = time.process_time()
    with pytest.raises(InputError) as refused:
        plan_from(text)
    assert time.process_time() - start < 0.5
    assert len(str(refused.value)) < 1000
    assert "\n" not in str(refused.value)


SAID = sorted({word for words in phrases() for word in words} | {
    "30", "2.5", "-1", "min", "twice", "a", "week", "weeks", "for", "from", "every", "Hz", "/", ",", ";",
    "and", "until", "to", "BL23", "once", "mg", "then", "x", "."})


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(SAID), max_size=12).map(" ".join)))
def test_any_text_is_a_plan_or_one_clear_refusal(text):
    try:
        plan = plan_from(text)
    except InputError:
        return
    assert plan_from(sentences(plan)) == plan


def schedules(continuous=False):
    whole, parts = st.integers(1, 104).map(float), st.integers(1, 700).map(lambda days: days / 7)
    weeks, start = st.one_of(whole, parts), st.one_of(st.just(0.0), whole, parts)
    if continuous:
        return st.builds(Schedule.continuous, weeks, start)
    minutes = st.one_of(st.integers(1, 120).map(float), st.sampled_from([1 / 3, 480.0]), st.floats(0.1, 300))
    per_week = st.one_of(st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.5, 5.0, 7.0, 14.0, 7 / 3]), st.floats(1, 20))

    def make(minutes, per_week, weeks, start):
        return Schedule(minutes, per_week, max(weeks, 0.6 / per_week), start)

    return st.builds(make, minutes, per_week, weeks, start)


def either(**fields):
    return st.builds(dict, schedule=st.one_of(schedules(), schedules(continuous=True)), **fields)


def pick(*values):
    return st.sampled_from(values)


@st.composite
def needlings(draw):
    mode = draw(pick("manual", "electro", "sham_penetrating", "sham_nonpenetrating"))
    codes = pick("BL23", "BL40", "GB34", "LI4", "SI3", "EX-B2", "GV20")
    details = {}
    if mode == "electro":
        some = st.one_of(pick(2.0, 15.0, 100.0), st.floats(0.1, 500))
        hertz = draw(st.lists(some, min_size=1, max_size=2, unique=True))
        details = {"frequency_hz": tuple(hertz), "milliamps": draw(st.floats(0.1, 30)),
                   "mixed": draw(pick("alternating", "simultaneous")) if len(hertz) == 2 else None}
    if mode != "sham_nonpenetrating":
        details["depth"] = draw(st.one_of(pick("deep", "superficial"), st.floats(0.5, 120)))
    return Needling(
        schedule=draw(schedules()), mode=mode, de_qi=draw(st.booleans()),
        point_names=tuple(draw(st.lists(codes, max_size=3, unique=True))),
        points=tuple(draw(st.lists(pick("local", "distal", "trigger_point", "extra_segmental"), min_size=1,
                                   unique=True))),
        manipulation_every_minutes=draw(st.one_of(st.none(), st.floats(0.1, 30))),
        insertions=draw(st.one_of(st.none(), st.integers(1, 100))),
        sides=draw(pick(None, "unilateral", "bilateral")), **details)


DRUGS = pick(("paracetamol", None), *(
    (name, drug) for name, drugs in table("vocabulary")["drugs"].items() for drug in [None, *drugs]))
COURSES = st.one_of(
    needlings(),
    st.builds(Exercise, schedule=schedules(), supervised=st.booleans(),
              kind=pick("walking", "aerobic", "strength", "motor_control", "yoga", "pilates", "tai_chi",
                        "general"), intensity=pick("light", "moderate", "vigorous")),
    st.builds(Stretching, schedule=schedules(), intensity=pick("gentle", "intense"),
              supervised=st.booleans()),
    st.builds(Heat, schedule=schedules(), device=pick("wrap", "pack", "blanket", "bath", "lamp")),
    st.builds(Cold, schedule=schedules(), device=pick("ice", "gel", "peas", "spray")),
    either(target=pick("sleep", "sitting", "weight", "stress", "activity"),
           programme=pick("advice", "coaching", "programme")).map(lambda fields: Lifestyle(**fields)),
    st.builds(lambda schedule, drug, regular, mg: Medicine(schedule=schedule, name=drug[0], drug=drug[1],
                                                           regular=regular, mg_per_day=mg),
              schedules(continuous=True), DRUGS, st.booleans(), st.one_of(st.none(), st.floats(0.01, 10000))),
    either(kind=pick("gp", "guideline", "physiotherapy")).map(lambda fields: UsualCare(**fields)),
    st.builds(Waiting, schedule=schedules(continuous=True)),
    st.builds(Placebo, schedule=schedules(), kind=pick("injection", "device"), open_label=st.booleans()),
    st.builds(Placebo, schedule=schedules(continuous=True), kind=pick("pill", "cream"),
              open_label=st.booleans()),
)


@settings(max_examples=250, deadline=None)
@given(st.lists(COURSES, max_size=3))
def test_a_plan_can_be_said_and_understood_again(courses):
    plan = Plan(tuple(courses))
    assert plan_from(sentences(plan)) == plan
    assert plan_from("; ".join(sentences(plan))) == plan


def test_every_name_of_care_is_understood_and_every_modifier_changes_what_it_says():
    for name in names():
        for says in name.says:
            assert only(says).care == name.care
    for modifier in modifiers():
        for care in modifier.cares:
            name = next(name for name in names() if name.care == care).says[0]
            name += " 2/100 Hz" if "mixed" in modifier.sets else ""
            for says in modifier.says:
                course = only(f"{name} {says}" if modifier.after else f"{says} {name}")
                for field, value in modifier.sets.items():
                    assert getattr(course, field) == (tuple(value) if isinstance(value, list) else value)


def test_no_phrase_has_two_meanings():
    listed = [words_of(says) for name in names() for says in name.says]
    listed += [words_of(says) for group in table("vocabulary")["separators"].values() for says in group]
    listed += [words_of(says) for key in ("nothing", "not_modelled") for says in table("vocabulary")[key]]
    assert len(set(listed)) == len(listed)
    assert not set(listed) & {words_of(says) for modifier in modifiers() for says in modifier.says}
