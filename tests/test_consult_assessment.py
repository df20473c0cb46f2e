"""Reading a patient: what is accepted, what is refused, and that a refusal is one clear message."""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deqi.consult.assessment import Patient, load_patient, parse_patient
from deqi.errors import InputError
from deqi.reading import LARGEST_BYTES, read_mapping
from fields import with_field

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.yaml"))
FULL = {
    "id": "example-1", "age": 52, "sex": "female",
    "pain": {"week_average": 6, "worst": 8, "duration_weeks": 40, "leg_pain": False},
    "disability": {"instrument": "RMDQ", "score": 11},
    "scores": [{"week": -2, "outcome": "NRS", "value": 6.5}],
    "care_so_far": [{"plan": "walking 30 min 5 times a week for 2 weeks", "start_week": -3}],
    "expectation": 6, "red_flags": {"fever": False, "cancer_history": "unknown"},
    "conditions": {"pacemaker": True}, "medicines": ["warfarin", "regular_opioid"],
    "preferences": {"max_sessions": 12, "needles": "willing", "electro": "unsure", "hours_per_week": 3},
}


def changed(path: str, value: object) -> dict:
    """The full patient with one field changed; `path` uses dots, digits are list places."""
    return {"patient": with_field(FULL, path, value)}


def refusal(mapping: object) -> InputError:
    with pytest.raises(InputError) as caught:
        parse_patient(mapping, file="p.yaml")
    assert "\n" not in str(caught.value)
    return caught.value


def test_every_field_of_the_interface_is_read_and_unknown_stays_unknown():
    patient = parse_patient({"patient": FULL})
    assert patient.red_flags == {"fever": False, "cancer_history": None}
    assert patient.medicines == ("warfarin", "regular_opioid")
    bare = parse_patient({"patient": {"pain": {"week_average": 4}}})
    assert (bare.age, bare.sex, bare.medicines, bare.disability, bare.expectation) == (None,) * 5
    assert bare.preferences.needles is None


def test_past_care_becomes_the_same_plan_as_elsewhere():
    from deqi.care import plan_from
    plan = parse_patient({"patient": FULL}).care_so_far[0].plan
    assert plan == plan_from(FULL["care_so_far"][0]["plan"])


@pytest.mark.parametrize(("path", "value", "found", "accepted"), [
    ("age", True, True, "a number from 0 to 120"),
    ("age", "52", "52", "a number"),
    ("age", 121, 121, "from 0 to 120"),
    ("pain.week_average", float("nan"), None, "from 0 to 10"),
    ("pain.week_average", float("inf"), None, "from 0 to 10"),
    ("pain.week_average", -0.1, -0.1, "from 0 to 10"),
    ("pain.worst", 5, 5, "at least 6"),
    ("pain.duration_weeks", 10**400, 10**400, "number"),
    ("pain.leg_pain", "maybe", "maybe", "true | false | unknown"),
    ("disability.score", 25, 25, "from 0 to 24"),
    ("disability.instrument", "SF36", "SF36", "RMDQ | ODI | none"),
    ("scores.0.week", 1, 1, "to 0"),
    ("scores.0.value", 11, 11, "from 0 to 10"),
    ("care_so_far.0.start_week", 0.5, 0.5, "to 0"),
    ("red_flags.fever", "yes", "yes", "true | false | unknown"),
    ("preferences.max_sessions", 2.5, 2.5, "a whole number"),
    ("preferences.needles", "no", "no", "willing | unsure | refuses"),
])
def test_a_wrong_value_is_told_with_field_found_and_accepted(path, value, found, accepted):
    error = refusal(changed(path, value))
    field = "patient." + path.replace(".0", "[0]")
    assert (error.file, error.field) == ("p.yaml", field)
    assert error.found == found or found is None
    assert accepted in error.accepted


@pytest.mark.parametrize(("path", "nearest"), [
    ("pain.week_avrage", "week_average"), ("medicine", "medicines"),
    ("preferences.max_session", "max_sessions"),
    ("red_flags.sadle_numbness", "saddle_numbness"), ("conditions.pace_maker", "pacemaker"),
])
def test_an_unknown_key_is_told_with_the_nearest(path, nearest):
    error = refusal(changed(path, True))
    assert error.field == f"patient.{path}"
    assert f"nearest is `{nearest}`" in error.message


def test_a_misspelt_required_key_is_told_rather_than_its_absence():
    assert "nearest is `patient`" in str(refusal({"pateint": FULL}))
    misspelt = copy.deepcopy(FULL)
    misspelt["pian"] = misspelt.pop("pain")
    assert "nearest is `pain`" in str(refusal({"patient": misspelt}))


def test_several_problems_are_counted():
    broken = changed("age", 500)
    broken["patient"]["expectation"] = "high"
    broken["patient"]["sex"] = 3
    assert "(and 2 more)" in str(refusal(broken))


def test_a_drug_by_name_counts_as_its_class():
    assert parse_patient(changed("medicines", ["Apixaban", "aspirin"])).medicines == ("doac", "antiplatelet")
    assert "nearest is `warfarin`" in str(refusal(changed("medicines", ["warferin"])))


def test_dates_that_contradict_each_other_are_refused():
    assert refusal(changed("pain.started_at_age", 60)).field == "patient.pain.started_at_age"
    assert refusal(changed("pain.duration_weeks", 6000)).field == "patient.pain.duration_weeks"


def test_no_instrument_means_no_disability_score():
    assert parse_patient(changed("disability", {"instrument": "none"})).disability is None
    assert refusal(changed("disability", {"instrument": "ODI"})).field == "patient.disability.score"


@pytest.mark.parametrize(("name", "content", "says"), [
    ("a.yaml", b"", "empty"),
    ("a.yaml", b" \n\t ", "empty"),
    ("a.yaml", b"\x89PNG\r\n\0\0", "binary"),
    ("a.yaml", "é".encode("latin-1"), "binary"),
    ("a.yaml", b"patient: {age: 3", "not valid YAML"),
    ("a.yaml", b"a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]", "anchor or alias"),
    ("a.yaml", b"[" * 100_000, "nested too deeply"),
    ("a.yaml", b"patient:\n  age: 3\n  age: 4\n", "same key stands twice"),
    ("a.yaml", b"patient: !!python/object/apply:os.system [ls]", "tag"),
    ("a.yaml", b"a: 1\n---\na: 2", "not valid YAML"),
    ("a.json", b"{'patient': 1}", "not valid JSON"),
    ("a.json", b'{"patient": {"age": 1, "age": 2}}', "same key stands twice"),
    ("a.json", b"[" * 200_000, "nested too deeply"),
    ("a.json", b'{"age": ' + b"9" * 5000 + b"}", "not valid JSON"),
    ("a.yaml", b"#" * (LARGEST_BYTES + 1), "too large"),
])
def test_a_file_that_is_no_patient_file_is_refused_in_one_line(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=says) as caught:
        load_patient(path)
    assert caught.value.file == str(path) and "\n" not in str(caught.value)


def test_a_path_that_is_no_file_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "absent.yaml", "/dev/zero"):
        with pytest.raises(InputError):
            load_patient(path)


def test_json_and_yaml_give_the_same_patient(tmp_path):
    yaml_path = EXAMPLES[0]
    json_path = tmp_path / "p.json"
    json_path.write_text(json.dumps(read_mapping(yaml_path)))
    assert load_patient(json_path) == load_patient(yaml_path)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_read_and_say_where_they_come_from(path):
    assert load_patient(path).id
    assert path.read_text(encoding="utf-8").startswith("# ")


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=12)
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from([*FULL, *Patient.model_fields["pain"].annotation.model_fields, "plan", "week"]) | scalars,
    inner, max_size=4), max_leaves=8)


@settings(max_examples=300, deadline=None)
@given(key=st.sampled_from(list(FULL)), value=anything)
def test_garbage_in_a_field_parses_or_is_refused_and_nothing_else(key, value):
    try:
        assert isinstance(parse_patient({"patient": FULL | {key: value}}), Patient)
    except InputError as error:
        assert "\n" not in str(error)
        str(error).encode()


@settings(max_examples=200, deadline=None)
@given(anything)
def test_garbage_as_a_whole_is_refused_and_nothing_else(mapping):
    try:
        parse_patient(mapping)
    except InputError as error:
        str(error).encode()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["p.yaml", "p.json"]))
def test_any_bytes_are_read_or_refused_and_nothing_else(tmp_path_factory, content, name):
    path = tmp_path_factory.mktemp("bytes") / name
    path.write_bytes(content)
    try:
        load_patient(path)
    except InputError as error:
        assert "\n" not in str(error)
