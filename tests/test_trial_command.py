"""`deqi trial` and `deqi.trial`: one run to the end, and what is refused before anything runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import deqi as package
from command import Ran, deqi
from deqi.errors import InputError
from deqi.trial import run
from deqi.trial.design import load_design

EXAMPLES = Path(__file__).parents[1] / "examples" / "trials"
TINY: dict[str, Any] = {
    "arms": [{"id": "needles", "plan": "acupuncture 30 min 4 sessions over 4 weeks"},
             {"id": "waiting", "plan": "waiting list for 4 weeks"}],
    "visits": [2, 4], "outcomes": ["pain"], "n": [12, 24], "trials": 8, "seed": 5,
    "analysis": {"primary": {"outcome": "pain", "week": 4}},
}


def written(folder: Path, **changes: Any) -> Path:
    """A design file: the tiny trial with some keys replaced."""
    path = folder / "design.yaml"
    path.write_text(json.dumps({"trial": TINY | changes}), encoding="utf-8")    # JSON is YAML too
    return path


@pytest.fixture(scope="module", autouse=True)
def quick_truth() -> Iterator[None]:
    """The truth from a thousand people instead of thirty: nothing here looks at its last digits."""
    with mock.patch.object(run, "truth", partial(run.truth, people=1024)):
        yield


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, Path]:
    folder = tmp_path_factory.mktemp("trial")
    return deqi("trial", written(folder), "--report", folder / "r.html", "--json", folder / "r.json"), folder


def test_command_prints_the_table_and_writes_json_and_report(ran: tuple[Ran, Path]) -> None:
    done, folder = ran
    assert done.status == 0
    assert done.err == ""
    assert "needles versus waiting" in done.out
    assert f"The report is in {folder / 'r.html'}." in done.out
    found = json.loads((folder / "r.json").read_text(encoding="utf-8"))
    assert [row["n"] for row in found["power"]["curve"]] == [12, 24]
    assert found["estimates"][0]["truth"] < 0.0
    assert found["provenance"]["patients"] == 2 * 8 * 24
    assert "Power rests on" in (folder / "r.html").read_text(encoding="utf-8")


def test_python_gives_what_the_command_gives(ran: tuple[Ran, Path]) -> None:
    found = package.trial(ran[1] / "design.yaml").as_json()
    assert found == json.loads((ran[1] / "r.json").read_text(encoding="utf-8"))


def test_seed_and_trials_of_the_command_override_the_file(ran: tuple[Ran, Path]) -> None:
    done = deqi("trial", ran[1] / "design.yaml", "--seed", 6, "--trials", 4, "--json", "-")
    assert (done.json["provenance"]["seed"], done.json["provenance"]["trials"]) == (6, 4)
    assert done.json["design"]["seed"] == 6
    before = json.loads((ran[1] / "r.json").read_text(encoding="utf-8"))
    assert done.json["estimates"][0]["mean"] != before["estimates"][0]["mean"]


def test_mixed_models_that_fail_are_counted() -> None:
    analysis = TINY["analysis"] | {"primary": {"outcome": "pain", "week": 4, "method": "mixed"}, "mixed_trials": 3}
    found = package.trial({"trial": TINY | {"analysis": analysis, "n": 20}}).as_json()
    assert found["provenance"]["mixed_models"]["central"]["fitted"] == 3
    last = found["estimates"][-1]
    assert (last["method"], last["trials"]) == ("mixed", {"central": 3, "posterior": 3})
    assert last["not_analysed"]["central"] == found["provenance"]["mixed_models"]["central"]["failed"]


@pytest.mark.parametrize(("changes", "field", "words"), [
    ({"n": 0}, "trial.n", "0"),
    ({"visits": [0, 4]}, "trial.visits", "0"),
    ({"trials": 0}, "trial.trials", "0"),
    ({"n": 1_000_000_000_000}, "trial.n", "--out"),
    ({"analysis": TINY["analysis"] | {"contrasts": [{"of": ["needles"], "versus": ["waitng"]}]}},
     "trial.analysis.contrasts[0].versus[0]", "nearest is `waiting`"),
    ({"analysis": TINY["analysis"] | {"contrasts": [{"of": ["needles", "needles"], "versus": ["waiting"]}]}},
     "trial.analysis.contrasts[0].of", "twice"),
    ({"analysis": TINY["analysis"] | {"contrasts": 2 * [{"of": ["needles"], "versus": ["waiting"]}]}},
     "trial.analysis.contrasts[1]", "the same contrast twice"),
    ({"visit": [4]}, "trial.visit", "nearest is `visits`"),
    ({"arms": [TINY["arms"][0] | {"plan": "acupuncture 30 min 4 sesions over 4 weeks"}, TINY["arms"][1]]},
     "trial.arms[0].plan", "sesions"),
])
def test_a_trial_that_cannot_be_is_refused_before_anything_runs(
        changes: dict[str, Any], field: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "simulate", lambda *_, **__: pytest.fail("it ran"))
    design = written(tmp_path, **changes)
    done = deqi("trial", design, "--json", tmp_path / "r.json", "--report", tmp_path / "r.html")
    assert done.status == 2
    assert str(design) in done.err and field in done.err and words in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["design.yaml"]


def test_a_report_over_its_own_design_is_refused(tmp_path: Path) -> None:
    design = written(tmp_path)
    done = deqi("trial", design, "--report", design)
    assert done.status == 2
    assert "would replace the file it is made from" in done.err


@pytest.mark.parametrize("name", ["two_shams", "sessions", "factorial"])
def test_examples_are_designs_that_may_run(name: str) -> None:
    design = load_design(EXAMPLES / f"{name}.yaml")
    run.check(design)
    assert design.analysis.primary.week in design.visits


def test_a_mapping_is_checked_like_a_file() -> None:
    with pytest.raises(InputError, match="no such arm"):
        package.trial({"trial": TINY | {"analysis": TINY["analysis"] | {
            "contrasts": [{"of": ["needles"], "versus": ["sham"]}]}}})
