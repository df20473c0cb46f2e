"""Chunks on a cluster, in a folder, killed in the middle: the same numbers to the bit, each person counted once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pandas
import pytest

from deqi.errors import DeqiError, InputError
from deqi.trial import cluster, run
from deqi.trial.partitions import MANIFEST, made_of
from designs import small

CHUNK = 60
"""Four chunks of the small design's 240 people."""


@pytest.fixture(scope="module")
def alone():
    return run.simulate(small(), "posterior")


def test_a_folder_keeps_everybody_and_a_second_run_computes_nothing(alone, tmp_path, monkeypatch):
    told: list[int] = []
    found = run.simulate(small(), "posterior", chunk=CHUNK, out=tmp_path / "runs", progress=told.append)
    assert found.equals(alone)
    assert sum(told) == 240
    kept = pandas.read_parquet(tmp_path / "runs")
    assert len(kept) == 240 and not kept.duplicated(["world", "trial", "patient"]).any()
    records = run.records(small(), "posterior")
    last = records[(records["outcome"] == "pain") & (records["visit"] == 4)]
    pandas.testing.assert_series_equal(kept.sort_values(["trial", "patient"])["pain_week_4"].reset_index(drop=True),
                                       last["value"].reset_index(drop=True), check_names=False)
    monkeypatch.setattr(run, "work", None)
    told.clear()
    assert run.simulate(small(), "posterior", chunk=999, out=tmp_path / "runs", progress=told.append).equals(alone)
    assert sum(told) == 240


def test_what_was_half_written_is_written_again(alone, tmp_path):
    folder = tmp_path / "runs"
    run.simulate(small(), "posterior", chunk=CHUNK, out=folder)
    tallies = sorted(folder.glob("*.npz"))
    tallies[1].unlink()  # killed between the partition and its tally
    drafts = [folder / f".posterior-000000000060.npz.{name}.part" for name in ("killed", "at_work")]
    for draft in drafts:
        draft.write_bytes(b"half")
    os.utime(drafts[0], (0.0, 0.0))
    sorted(folder.glob("*.parquet"))[2].unlink()
    assert run.simulate(small(), "posterior", chunk=CHUNK, out=folder).equals(alone)
    assert len(sorted(folder.glob("*.npz"))) == 4
    assert list(folder.glob(".*.part")) == drafts[1:]  # another run may still be at it


@pytest.mark.parametrize("change", [{"seed": 4}, {"visits": [1, 4]}, {"trials": 7}])
def test_a_folder_of_another_design_is_refused(tmp_path, change):
    folder = tmp_path / "runs"
    run.simulate(small(trials=1), "central", out=folder)
    with pytest.raises(InputError, match="another run"):
        run.simulate(small(**{"trials": 1, **change}), "central", out=folder)


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="not a folder of simulated trials"):
        run.simulate(small(), out=tmp_path)
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(InputError, match="manifest"):
        run.simulate(small(), out=tmp_path)
    with pytest.raises(InputError, match="cannot keep results there"):
        run.simulate(small(), out=tmp_path / "thesis.txt")
    with pytest.raises(InputError, match="no such folder"):
        run.simulate(small(), out=tmp_path / "no" / "runs")
    assert sorted(path.name for path in tmp_path.iterdir()) == [MANIFEST, "thesis.txt"]


SCRIPT = """
import sys
from deqi.trial import run
from designs import small
found = run.simulate(small(), "posterior", chunk=20, out=sys.argv[1], threads=1)
found.save(sys.argv[2])
"""


@pytest.mark.slow  # two processes import JAX; the promise that a crash costs one chunk rests on it
def test_a_killed_run_goes_on_and_ends_the_same(alone, tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "runs"), str(tmp_path / "tally.npz")]
    here = {**os.environ, "PYTHONPATH": os.path.dirname(__file__)}
    with subprocess.Popen(command, env=here) as killed:
        deadline = time.monotonic() + 120.0
        while len(list((tmp_path / "runs").glob("*.npz"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
    finished = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*.npz")}
    assert 3 <= len(finished) < 12 and not (tmp_path / "tally.npz").exists()
    subprocess.run(command, env=here, check=True, timeout=300)
    from deqi.trial.tally import Tally

    assert Tally.load(tmp_path / "tally.npz").equals(alone)
    now = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*.npz")}
    assert len(now) == 12 and all(now[name] == when for name, when in finished.items()), "none was computed again"
    assert len(pandas.read_parquet(tmp_path / "runs")) == 240


def local(workers: int, **kwargs):
    from distributed import LocalCluster

    return LocalCluster(n_workers=workers, dashboard_address=None, **kwargs)


def test_a_cluster_within_the_process_changes_no_bit(alone):
    with local(1, processes=False, threads_per_worker=1) as few:
        assert run.simulate(small(), "posterior", chunk=CHUNK, cluster=few.scheduler_address).equals(alone)


@pytest.mark.slow  # workers import JAX
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_number_of_workers_changes_no_bit(alone, workers, tmp_path):
    told: list[int] = []
    with local(workers, processes=True, threads_per_worker=1) as many:
        found = run.simulate(small(), "posterior", chunk=CHUNK, cluster=many.scheduler_address, out=tmp_path / "runs",
                             progress=told.append)
    assert found.equals(alone)
    assert sum(told) == 240
    assert len(pandas.read_parquet(tmp_path / "runs")) == 240


@pytest.mark.slow  # workers import JAX
def test_a_killed_worker_changes_nothing(alone):
    with local(2, processes=True, threads_per_worker=1) as two:
        from distributed import Client

        with Client(two) as client:
            pids = list(client.run(os.getpid).values())
            done: list[int] = []

            def kill_one(people: int) -> None:
                if not done:
                    os.kill(pids[0], signal.SIGKILL)
                done.append(people)

            found = run.simulate(small(), "posterior", chunk=20, cluster=client, progress=kill_one)
            assert len(done) == 12
            assert pids[0] not in client.run(os.getpid).values()
    assert found.equals(alone)


def test_a_worker_with_another_deqi_is_refused(monkeypatch):
    chunk = next(run.chunks_of(small(), "central", CHUNK))
    made = made_of(small())
    with pytest.raises(DeqiError, match="another deqi \\(equations differ\\)"):
        cluster._chunk(small().as_data(), chunk, False, made | {"equations": "older"})


def test_nobody_at_the_address_is_one_clear_message(monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE_SECONDS", 1.0)
    started = time.monotonic()
    for address in ("tcp://127.0.0.1:9", "nonsense://x", ""):
        with pytest.raises(InputError, match="no scheduler answers") as refused:
            run.simulate(small(), cluster=address)
        assert refused.value.field == "--cluster"
    assert time.monotonic() - started < 10.0


def test_without_dask_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match="deqi\\[cluster\\]"):
        run.simulate(small(), cluster="tcp://127.0.0.1:8786")


def test_the_manifest_says_what_made_the_results(tmp_path):
    run.simulate(small(trials=1), out=tmp_path / "runs")
    made = json.loads((tmp_path / "runs" / MANIFEST).read_text())
    assert made["design"] == small(trials=1).hash()
    assert {"seed", "version", "equations", "laboratory", "posterior", "chunk"} <= set(made)
