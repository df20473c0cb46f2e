"""Limits: no plan contains what screening forbids, what the patient refuses or cannot give, or what is not paid for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assessments import random_assessment
from deqi import evidence
from deqi.care import Needling, Plan, plan_from
from deqi.care.course import Course
from deqi.care.defaults import table as care_table
from deqi.consult.assessment import AVERSIONS, Patient, parse_patient
from deqi.consult.contents import contents
from deqi.consult.limits import adapt, bans, limits_of, permits
from deqi.consult.points import class_regions, hazards, where
from deqi.consult.rules import question_ids, table
from deqi.consult.screening import screen

FORBIDDABLE = table("contraindications")["forbiddable"]
NEEDLES = "acupuncture 30 min twice a week for 6 weeks"
POINTS: list[dict[str, Any]] = [
    *({"points": classes} for classes in (["local"], ["distal"], ["trigger_point"], ["extra_segmental"],
                                          ["local", "distal"])),
    *({"point_names": names} for names in (["BL23"], ["LI4", "GB34"], ["sp 6"], ["UB60"], ["BL32"], ["BL17", "BL25"],
                                           ["GV20"], ["Hegu"]))]
MODES: list[dict[str, Any]] = [
    {}, {"depth": "superficial"}, {"depth": 4}, {"depth": 25}, {"frequency_hz": [2]}, {"frequency_hz": [10]},
    {"frequency_hz": [2, 100]}, {"frequency_hz": [100]}, {"mode": "sham_penetrating"}, {"mode": "sham_nonpenetrating"}]
COMPANIONS = [
    "supervised exercise 45 min twice a week for 12 weeks", "walking 30 min daily for 12 weeks",
    "vigorous aerobic exercise 30 min 3 times a week for 6 weeks", "strength training twice a week for 8 weeks",
    "supervised stretching 30 min once a week for 6 weeks", "heat wrap 8 h a day for 5 days",
    "heat pack daily for 2 weeks", "hot bath daily for 1 week", "ice pack daily for 1 week", "ibuprofen for 2 weeks",
    "paracetamol as needed for 2 weeks", "tramadol for 1 week", "sleep advice for 6 weeks",
    "sleep coaching 30 min once a week for 6 weeks", "guideline based care for 12 weeks",
    "physiotherapy 30 min once a week for 6 weeks", "placebo pill for 3 weeks"]
PLANS = [plan_from([{"care": "needling"} | mode | points]) for mode in MODES for points in POINTS]
PLANS += [plan_from(said) for said in COMPANIONS]
PLANS += [plan_from([NEEDLES, said]) for said in COMPANIONS]
PLANS += [plan_from([{"care": "needling", "frequency_hz": [2]}, *COMPANIONS[:3]]), plan_from(COMPANIONS),
          plan_from(f"{NEEDLES}, then electroacupuncture 2 Hz twice a week for 6 weeks")]


def person(**fields: Any) -> Patient:
    """A person of 45 who answered no to everything but what is given."""
    base: dict[str, Any] = {"age": 45, "sex": "female", "pain": {"week_average": 6, "duration_weeks": 40}}
    answers = {"red_flags": dict.fromkeys(question_ids("red_flags"), False),
               "conditions": dict.fromkeys(question_ids("conditions"), False), "medicines": []}
    for name, given_ in fields.items():
        answers[name] = answers[name] | given_ if isinstance(answers.get(name), dict) else given_
    return parse_patient({"patient": base | answers})


def refused(plan: Plan | str | list[str], patient: Patient) -> tuple[str, ...]:
    return permits(plan if isinstance(plan, Plan) else plan_from(plan), screen(patient), patient)


def adapted(plan: Plan | str | list[str], patient: Patient) -> tuple[Plan, tuple[str, ...]]:
    return adapt(plan if isinstance(plan, Plan) else plan_from(plan), screen(patient), patient)


# Every rule that forbids something


def smallest(expression: Any) -> dict[str, bool]:
    """Answers that make a rule hold."""
    if isinstance(expression, str):
        return {expression: True}
    if "any" in expression:
        return smallest(expression["any"][0])
    parts = expression["of"][:expression["at_least"]] if "of" in expression else expression["all"]
    return {key: value for part in parts for key, value in smallest(part).items()}


def triggering(facts: Mapping[str, bool]) -> Patient:
    """The smallest patient of whom these facts are true."""
    fields: dict[str, Any] = {"red_flags": {}, "conditions": {}, "medicines": [], "preferences": {}}
    pain = {"week_average": 6, "duration_weeks": 40}
    rows = {row["id"]: row for row in table("facts")["facts"]}
    for id in facts:
        if id in question_ids("medicines"):
            fields["medicines"].append(id)
        elif id in rows:
            row = rows[id]
            value = row["equals"] if "equals" in row else row["above"] + 1 if "above" in row else row["below"] - 1
            match row["field"].split("."):
                case ["preferences", name]:
                    fields["preferences"][name] = value
                case ["pain", name]:
                    pain[name] = value
                case ["onset_age"]:
                    pain["started_at_age"] = value
                case [name]:
                    fields[name] = max(value, fields.get(name, 0)) if name == "age" else value
        else:
            fields["red_flags" if id in question_ids("red_flags") else "conditions"][id] = True
    return person(**fields, pain=pain)


def forbidding() -> Iterator[tuple[str, Patient, tuple[str, ...]]]:
    flags = table("red_flags")
    for row in flags["questions"] + flags["combinations"]:
        if banned := flags["forbids"].get(row["action"]):
            yield row["id"], triggering(smallest(row.get("when", row["id"]))), tuple(banned)
    for row in table("contraindications")["rules"]:
        for number, one in enumerate(row["when"]["any"] if "any" in row["when"] else [row["when"]]):
            if row.get("forbids"):
                yield f"{row['id']}-{number}", triggering(smallest(one)), tuple(row["forbids"])


RULES = list(forbidding())


@pytest.mark.parametrize(("patient", "banned"), [rule[1:] for rule in RULES], ids=[rule[0] for rule in RULES])
def test_what_a_rule_forbids_no_plan_contains(patient, banned):
    screening = screen(patient)
    assert set(banned) <= screening.forbids
    for plan in PLANS:
        held = frozenset[str]().union(*map(contents, plan.courses))
        assert bool(permits(plan, screening, patient)) >= bool(held & set(banned)), (plan, banned)
        result, notes = adapt(plan, screening, patient)
        assert not permits(result, screening, patient)
        assert not frozenset[str]().union(*map(contents, result.courses)) & screening.forbids
        assert result == plan or notes


def test_every_ban_is_used_by_a_rule_and_met_by_a_plan():
    """Nothing forbiddable is idle: some rule forbids it, and some plan of this test contains it."""
    met = frozenset[str]().union(*(contents(course) for plan in PLANS for course in plan.courses))
    assert set(FORBIDDABLE) <= met
    by_rules = {ban for id, _, banned in RULES for ban in banned}
    by_all = {ban for row in table("contraindications")["never"] for ban in row["forbids"]}
    assert set(FORBIDDABLE) == by_rules | by_all
    assert by_rules == set(table("red_flags")["forbids"]["emergency"])
    assert set(table("limits")["wishes"].values()) <= set(FORBIDDABLE)


@pytest.mark.parametrize("ban", [ban for ban in FORBIDDABLE if ban != "chest_current"])
def test_a_ban_leaves_open_what_does_not_contain_it(ban):
    """Screening that forbids one thing alone: refused are the plans that contain it, and no others."""
    patient = person()
    screening = screen(patient)
    rule = next(rule for rule in RULES if ban in rule[2])
    finding = next(finding for finding in screen(rule[1]).findings if ban in finding.forbids)
    one = type(screening)("caution", (type(finding)(finding.id, "precaution", "modify", finding.source, finding.text,
                                                    (ban,)),), frozenset({ban}))
    for plan in PLANS:
        held = frozenset[str]().union(*map(contents, plan.courses))
        assert bool(permits(plan, one, patient)) == bool(held & {ban, "chest_current"})


@pytest.mark.parametrize("plan", PLANS[:3] + [plan_from(said) for said in COMPANIONS])
def test_an_emergency_stops_every_plan_and_allows_none(plan):
    patient = person(red_flags={"saddle_numbness": True})
    assert "doctor" in refused(plan, patient)[0]
    assert adapted(plan, patient)[0] == Plan()
    assert refused(Plan(), patient) == ()


def test_current_never_runs_over_chest_or_head():
    for points in ({"point_names": ["BL17"]}, {"point_names": ["GV20"]}, {"points": ["extra_segmental"]}):
        plan = plan_from([{"care": "needling", "frequency_hz": [100]} | points])
        assert refused(plan, person())
        assert "chest_current" not in contents(adapted(plan, person())[0].courses[0])
    assert not refused(plan_from([{"care": "needling", "frequency_hz": [100], "point_names": ["BL23"]}]), person())


# The nearest plan


def only(plan: Plan) -> Course:
    assert len(plan.courses) == 1
    return plan.courses[0]


def test_anticoagulants_make_needles_shallow_and_leave_the_rest():
    plan, notes = adapted([NEEDLES, "walking 30 min daily for 12 weeks"], person(medicines=["warfarin"]))
    before = plan_from([NEEDLES, "walking 30 min daily for 12 weeks"])
    needles = plan.courses[0]
    assert isinstance(needles, Needling) and (needles.depth, needles.de_qi) == ("superficial", False)
    assert (needles.schedule, needles.points, plan.courses[1]) == (
        before.courses[0].schedule, before.courses[0].points, before.courses[1])
    assert len(notes) == 1 and "shallow" in notes[0] and "anticoagulant" in notes[0]


@pytest.mark.parametrize(("given_hz", "left_hz"), [
    ([2], (100,)), ([2, 100], (100,)), ([10], (100,)), ([15, 30], (15, 30))])
def test_opioid_users_get_no_low_frequency(given_hz, left_hz):
    patient = person(medicines=["regular_opioid"])
    plan, notes = adapted(plan_from([{"care": "needling", "frequency_hz": given_hz}]), patient)
    needles = only(plan)
    assert isinstance(needles, Needling) and (needles.mode, needles.frequency_hz) == ("electro", left_hz)
    assert (needles.mixed is not None) == (len(left_hz) == 2) and bool(notes) == (tuple(given_hz) != left_hz)


@pytest.mark.parametrize("patient", [person(conditions={"pacemaker": True}), person(preferences={"electro": "refuses"}),
                                     person(conditions={"pacemaker": "unknown"})])
def test_without_current_the_same_needles_are_moved_by_hand(patient):
    plan, notes = adapted("electroacupuncture 2/100 Hz 30 min twice a week for 6 weeks", patient)
    needles = only(plan)
    assert isinstance(needles, Needling) and needles.mode == "manual" and needles.manipulation_every_minutes
    assert needles.schedule.sessions == 12 and "by hand" in notes[0]


def test_points_move_away_from_what_is_forbidden():
    skin, lung = person(conditions={"skin_problem": True}), person(conditions={"emphysema": True})
    assert only(adapted(NEEDLES, skin)[0]).points == ("distal",)
    assert only(adapted(plan_from([{"care": "needling", "point_names": ["BL17", "BL25"]}]), lung)[0]
                ).point_names == ("BL25",)
    limb = person(conditions={"lymphoedema": True})
    assert only(adapted(NEEDLES, limb)[0]).points == ("local",)
    nowhere = person(conditions={"lymphoedema": True, "skin_problem": True})
    assert adapted(NEEDLES, nowhere) == (Plan(), refused(NEEDLES, nowhere))


def test_in_pregnancy_points_are_named_so_that_none_is_forbidden():
    needles = only(adapted(NEEDLES, person(conditions={"pregnancy": True}))[0])
    assert needles.point_names and not {"LI4", "SP6", "BL60", "BL67"} & set(needles.point_names)
    assert all(not where(name) & {"low_back_points", "pregnancy_points"} for name in needles.point_names)


def test_heat_and_exercise_become_what_is_allowed():
    drowsy, broken = person(medicines=["sedative"]), person(conditions={"vertebral_fracture": True})
    assert only(adapted("heat pack daily for 2 weeks", drowsy)[0]).device == "wrap"
    strong = only(adapted("vigorous strength training twice a week for 8 weeks", broken)[0])
    assert (strong.kind, strong.intensity, strong.schedule.sessions) == ("general", "moderate", 16)


def test_what_cannot_be_is_told_with_the_reason():
    for patient, reason in ((person(preferences={"needles": "refuses"}), "You said no to needles."),
                            (person(red_flags={"cancer_history": True}), "until a doctor has looked")):
        plan, reasons = adapted(NEEDLES, patient)
        assert plan == Plan() and reason in reasons[0]


@pytest.mark.parametrize(("condition", "medicine"), [
    ("stomach_ulcer", None), ("heart_failure", None), ("vascular_disease", None), ("kidney_disease", None),
    ("pregnancy", None), (None, "warfarin"), (None, "doac"), (None, "heparin")])
def test_tablets_that_raise_a_risk_the_person_has_are_left_out(condition, medicine):
    patient = person(conditions={condition: True} if condition else {}, medicines=[medicine] if medicine else [])
    assert refused("ibuprofen for 2 weeks", patient) and not refused("paracetamol for 2 weeks", patient)
    assert not refused("ibuprofen for 2 weeks", person())


def test_tablets_wait_until_the_medicines_are_known():
    assert "before this is known" in refused("ibuprofen for 2 weeks", person(medicines=None))[0]


# Wishes


@pytest.mark.parametrize(("wish", "plan", "other"), [
    ("exercise", "walking 30 min daily for 12 weeks", "heat wrap 8 h a day for 5 days"),
    ("heat", "heat wrap 8 h a day for 5 days", "ice pack daily for 1 week"),
    ("medicines", "paracetamol for 2 weeks", "walking 30 min daily for 12 weeks")])
def test_a_refused_kind_of_care_is_left_out_and_no_other(wish, plan, other):
    patient = person(preferences={wish: "refuses"})
    assert refused(plan, patient) == (f"You said no to {wish}.",) and not refused(other, patient)
    left, notes = adapted([plan, other], patient)
    assert left == plan_from(other) and f"You said no to {wish}." in notes[0]
    assert not refused(plan, person(preferences={wish: "unsure"}))


@pytest.mark.parametrize("most", [0, 1, 4, 9, 12])
def test_visits_in_all_stay_within_what_the_person_can_go_to(most):
    patient = person(preferences={"max_sessions": most})
    for plan in PLANS:
        assert bool(refused(plan, patient)) >= (plan.visits > most)
        assert adapted(plan, patient)[0].visits <= most
    assert adapted(NEEDLES, patient)[0].visits == most


def test_guided_exercise_goes_home_before_needles_get_fewer():
    both = [NEEDLES, "supervised exercise 45 min twice a week for 12 weeks"]
    plan, notes = adapted(both, person(preferences={"max_sessions": 15}))
    assert plan.visits == 12 and [c.schedule.sessions for c in plan.courses] == [12, 24]
    assert len(notes) == 1 and "at home" in notes[0]


def test_fewer_visits_a_week_spread_the_same_needles_over_more_weeks():
    plan = only(adapted(NEEDLES, person(preferences={"visits_per_week": 1}))[0])
    assert (plan.schedule.times_per_week, plan.schedule.sessions) == (1, 12)
    short = only(adapted(NEEDLES, person(preferences={"visits_per_week": 1, "max_weeks": 8}))[0])
    assert (short.schedule.times_per_week, short.schedule.sessions, short.schedule.end_week) == (1, 8, 8)


def test_courses_that_follow_each_other_do_not_add_up_within_a_week():
    plan = "acupuncture 30 min twice a week for 3 weeks, then physiotherapy 30 min twice a week for 3 weeks"
    assert not refused(plan, person(preferences={"visits_per_week": 2, "hours_per_week": 1}))
    assert refused(plan.replace(", then", " and"), person(preferences={"visits_per_week": 2}))


def test_hours_and_weeks_are_kept():
    patient = person(preferences={"hours_per_week": 2, "max_weeks": 6})
    for plan in PLANS:
        left = adapted(plan, patient)[0]
        assert left.end_week <= 6 and not refused(left, patient)
    assert [c.schedule.minutes * c.schedule.times_per_week <= 120
            for c in adapted("walking 30 min daily for 12 weeks", patient)[0].courses] == [True]


# Medicare


def medicare(**fields: Any) -> Patient:
    return person(preferences={"coverage": "medicare"}, **fields)


SO_FAR = [{"plan": NEEDLES, "start_week": -6}]


@pytest.mark.parametrize(("fields", "sessions"), [
    ({}, 12),
    ({"pain": {"week_average": 6, "duration_weeks": 11}}, 0),
    ({"pain": {"week_average": 6}}, 12),                                                      # not known: not refused
    ({"care_so_far": SO_FAR}, 0),                                                             # twelve used, not better
    ({"care_so_far": SO_FAR, "scores": [{"week": -6, "outcome": "NRS", "value": 7}]}, 0),     # a point is not enough
    ({"care_so_far": SO_FAR, "scores": [{"week": -6, "outcome": "NRS", "value": 8}]}, 8),
    ({"care_so_far": [{"plan": "acupuncture once a week for 4 weeks", "start_week": -4}]}, 8),
    ({"care_so_far": [{"plan": "acupuncture once a week for 4 weeks", "start_week": -20}]}, 0),     # 90 days are over
    ({"care_so_far": [{"plan": NEEDLES, "start_week": -80}]}, 12),                            # more than a year ago
    ({"care_so_far": [{"plan": "walking 30 min daily for 6 weeks", "start_week": -6}]}, 12),
])
def test_medicare_pays_for_so_many_sessions(fields, sessions):
    """Twelve in 90 days, eight more when better, twenty a year: `cms_ncd_30_3_3`."""
    rule = evidence.fact("cms_ncd_30_3_3").body["rule"]
    assert (rule["initial"], rule["extension"]["additional_sessions"], rule["annual_cap"]) == (
        {"max_visits": 12, "window_days": 90}, 8, 20)
    long = "acupuncture 3 times a week for 10 weeks"
    assert "Medicare" in refused(long, medicare(**fields))[0]
    assert adapted(long, medicare(**fields))[0].visits == sessions
    assert not refused(long, person(**fields))


def test_the_first_twelve_must_lie_within_90_days():
    assert refused("acupuncture 12 sessions over 24 weeks", medicare())
    left = adapted("acupuncture 12 sessions over 24 weeks", medicare())[0]
    assert 0 < left.visits < 12 and max(only(left).schedule.session_days()) < 90
    assert not refused("acupuncture once a week for 12 weeks", medicare())


@pytest.mark.parametrize("condition", ["previous_spine_surgery", "pregnancy", "axial_spondyloarthritis"])
def test_medicare_does_not_pay_for_pain_with_a_cause(condition):
    assert any("Medicare" in reason for reason in refused(NEEDLES, medicare(conditions={condition: True})))


# Any patient, any plan


WISH = st.sampled_from([None, "willing", "unsure", "refuses"])
WISHES = st.fixed_dictionaries({}, optional={
    "max_sessions": st.integers(0, 30), "max_weeks": st.integers(0, 15), "visits_per_week": st.floats(0, 5),
    "hours_per_week": st.floats(0, 8), "needles": WISH, "electro": WISH, "exercise": WISH, "heat": WISH,
    "medicines": WISH, "coverage": st.sampled_from(["none", "medicare"]),
    "avoid": st.lists(st.sampled_from(AVERSIONS))})
COURSES = st.one_of(
    st.sampled_from(COMPANIONS).map(plan_from),
    st.builds(lambda mode, points, times, weeks, start: plan_from(
        [{"care": "needling", "times_per_week": times, "weeks": weeks, "start_week": start} | mode | points]),
        st.sampled_from(MODES), st.sampled_from(POINTS), st.floats(0.3, 14),
        st.floats(2, 30), st.sampled_from([0, 0, 3, 12])))


@settings(max_examples=300, deadline=None)
@given(wishes=WISHES, plans=st.lists(COURSES, min_size=1, max_size=4), data=st.data(),
       medicines=st.none() | st.lists(st.sampled_from(question_ids("medicines")), max_size=3))
def test_an_adapted_plan_is_always_allowed(wishes, plans, data, medicines):
    conditions = data.draw(st.dictionaries(st.sampled_from(question_ids("conditions")), st.booleans(), max_size=4))
    flags = data.draw(st.dictionaries(st.sampled_from(question_ids("red_flags")), st.booleans(), max_size=1))
    past = data.draw(st.lists(st.fixed_dictionaries({"plan": st.sampled_from([NEEDLES, "usual care"]),
                                                    "start_week": st.integers(-60, 0)}), max_size=2))
    patient = person(preferences=wishes, conditions=conditions, red_flags=flags, medicines=medicines, care_so_far=past)
    plan = Plan(tuple(course for each in plans for course in each.courses))
    screening = screen(patient)
    reasons = permits(plan, screening, patient)
    result, notes = adapt(plan, screening, patient)
    assert not permits(result, screening, patient)
    assert (result == plan and not notes) if not reasons else notes
    assert adapt(result, screening, patient) == (result, ())
    assert result.visits <= plan.visits and len(result.courses) <= len(plan.courses)
    assert not any("{" in text or "None" in text for text in (*reasons, *notes, *limits_of(patient, screening)))


def test_random_assessments_always_end_in_an_allowed_plan():
    rng = np.random.default_rng(7)
    for number in range(300):
        patient = parse_patient(random_assessment(rng, hostile=False))
        screening = screen(patient)
        for plan in (PLANS[number % len(PLANS)], PLANS[-2]):
            assert not permits(adapt(plan, screening, patient)[0], screening, patient)


# What is told


def test_limits_are_told_once_in_words():
    patient = person(medicines=["warfarin"], preferences={"max_sessions": 10, "electro": "refuses", "heat": "refuses"})
    told = limits_of(patient, screen(patient))
    assert told == ("Sessions: 10 at most.", "No current through needles, as you wish.", "No heat, as you wish.",
                    "For your safety no deep insertion.", "For your safety no anti-inflammatory drugs.")
    assert limits_of(person(), screen(person())) == ()


def test_the_words_of_limits_have_sources():
    for row in (table("limits")["low_frequency_hz"], table("limits")["high_frequency_hz"],
                table("limits")["medicare"]["weeks"], table("limits")["medicare"]["better_points"],
                table("limits")["medicare"]["score_before_weeks"], *table("contraindications")["never"]):
        assert row["source"] == "assumed" or evidence.exists(row["source"])
    assert bans(screen(person()), person()).keys() == {"chest_current"}


# Points


NUMBER_OF_POINTS = {"LU": 11, "LI": 20, "ST": 45, "SP": 21, "HT": 9, "SI": 19, "BL": 67, "KI": 27, "PC": 9, "TE": 23,
                    "GB": 44, "LR": 14, "CV": 24, "GV": 28}


def test_every_point_lies_somewhere_and_an_unknown_one_may_lie_anywhere():
    for meridian, number in NUMBER_OF_POINTS.items():
        for point in range(1, number + 1):
            assert 0 < len(where(f"{meridian}{point}")) < 5, (meridian, point)
    assert where("Hegu") == where("BL99") == where("") == frozenset(table("points")["regions"])
    assert where("bl 23") == where("UB23") == where("BL23") == {"low_back_points"}
    assert "thoracic_points" in where("BL17") and "pregnancy_points" in where("BL32")


def test_points_that_the_care_room_calls_local_lie_where_local_points_may():
    for name in care_table("vocabulary")["points"]["by_name"]["local"]:
        assert where(name) & class_regions("local"), name


@pytest.mark.parametrize(("names", "ids"), [
    (["BL17"], {"hazard_lung"}), (["GB21"], {"hazard_lung", "hazard_lung_apex"}), (["BL23"], {"hazard_kidney"}),
    (["BL52"], {"hazard_kidney"}), (["BL40"], {"hazard_knee_vessels"}), (["GB30"], {"hazard_sciatic_nerve"}),
    (["GV4"], {"hazard_spinal_canal"}), (["Huatuojiaji"], {"hazard_lung", "hazard_spinal_canal"}),
    (["CV4"], {"hazard_bladder_and_bowel"}), (["GB34"], set()), (["BL25"], set())])
def test_hazards_of_named_points(names, ids):
    found = hazards(plan_from([{"care": "needling", "point_names": names}]), person(sex="male"))
    assert {finding.id for finding in found} == ids
    assert all(finding.text and evidence.exists(finding.source) for finding in found)


def test_hazards_follow_depth_pregnancy_and_medicines():
    shallow = plan_from([{"care": "needling", "point_names": ["BL23", "BL17"], "depth": "superficial"}])
    assert {finding.id for finding in hazards(shallow, person())} == {"hazard_lung"}
    named = plan_from([{"care": "needling", "point_names": ["SP6", "ST36"]}])
    expected = {"hazard_pregnancy_points", "hazard_pregnancy_other_lists"}
    for answer, ids in ((True, expected), ("unknown", expected), (False, set())):
        assert {f.id for f in hazards(named, person(conditions={"pregnancy": answer}))} == ids
    knee = plan_from([{"care": "needling", "point_names": ["BL40"]}])
    assert "hazard_knee_vessels_anticoag" in {f.id for f in hazards(knee, person(medicines=["doac"]))}
    lung = hazards(plan_from([{"care": "needling", "point_names": ["BL13"]}]), person())[0]
    assert "1.75 of 1,000,000" in lung.text and lung.source == "lin_ptx_atrisk"
    blunt = plan_from([{"care": "needling", "mode": "sham_nonpenetrating", "point_names": ["BL13"]}])
    assert hazards(blunt, person()) == []


def test_hazards_are_those_of_the_evidence():
    entries = [row["points"] for row in evidence.document("contraindications")["point_hazards"]]
    named = {row["entry"] for row in table("points")["hazards"] if "entry" in row}
    assert named <= set(entries)
    assert set(entries) - named == {"BL25, BL26"}        # its record calls the hazard low
