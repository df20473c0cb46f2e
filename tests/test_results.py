"""Results as data: the public names, round trips through files, and the posterior as ArviZ reads it."""

from __future__ import annotations

import importlib
import json
import math
import subprocess
import sys

import arviz
import numpy as np
import pandas as pd
import pytest
import xarray

import deqi
from command import EXAMPLES
from deqi.body.system import THEORIES
from deqi.consult.consultation import Consultation
from deqi.population import posterior
from deqi.population.averages import averages, names
from deqi.results import Result
from results import FULL

NEEDLES = "acupuncture 30 min twice a week for 6 weeks"
OWN = {"id": "own", "theory": "neurotransmitters", "source": {"cite": "made up"}, "body": "human_healthy",
       "care": "electroacupuncture 2 Hz 3 mA 25 min at ST36", "readout": "pressure_pain_threshold",
       "statistic": "change_pct_at", "at_minutes": 25, "published": {"value": 30, "sd": 20, "n": 24}, "rule": "sd"}


@pytest.fixture(scope="module")
def found() -> dict[str, Result]:
    return {"simulate": deqi.simulate(NEEDLES, patients=64, weeks=4),
            "forecast": deqi.forecast(EXAMPLES / "ashar_person.yaml", NEEDLES, [2, 6]),
            "consult": Consultation(FULL),
            "theories": deqi.theories([OWN])}


def test_a_name_stays_what_it_is_when_its_package_is_imported():
    for module in ("deqi.consult.forecast", "deqi.theories.experiment"):
        importlib.import_module(module)
    for name in deqi.__all__:
        assert getattr(deqi, name) is getattr(deqi, name)
    assert all(callable(getattr(deqi, verb)) for verb in ("consult", "forecast", "posterior", "simulate", "theories",
                                                      "trial"))
    assert set(deqi.__all__) <= set(dir(deqi))
    with pytest.raises(AttributeError, match="no attribute 'nothing_of_the_kind'"):
        deqi.nothing_of_the_kind  # noqa: B018  # asking is what raises


@pytest.mark.parametrize("statement", ["import deqi", "import deqi.cli"])
def test_the_import_brings_in_nothing_large(statement):
    large = ("arviz", "fhir", "jax", "matplotlib", "numpy", "pandas", "pydantic", "scipy", "sympy", "xarray")
    code = f"import sys; {statement}; print([name for name in {large} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["simulate", "forecast", "consult", "theories"])
def test_what_is_saved_is_read_back(found, name, tmp_path):
    result = found[name]
    table, data = result.frame(), result.dataset()
    assert len(table) and table.attrs["units"] and table.attrs["version"]
    for ending in (".nc", ".parquet", ".csv"):
        assert result.save(tmp_path / f"result{ending}").exists()
    with xarray.open_dataset(tmp_path / "result.nc", engine="h5netcdf") as stored:
        xarray.testing.assert_equal(stored.load(), data)
        assert stored.attrs == data.attrs
        assert any("units" in stored[variable].attrs for variable in stored.data_vars)
    back = pd.read_parquet(tmp_path / "result.parquet")
    pd.testing.assert_frame_equal(back, table, check_dtype=False)
    assert back.attrs == table.attrs
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "result.csv"), table, check_dtype=False, check_exact=False)
    assert {file.name for file in tmp_path.iterdir()} == {"result.nc", "result.parquet", "result.csv"}


def test_another_ending_is_refused_and_nothing_written(found, tmp_path):
    with pytest.raises(deqi.InputError, match=r"found 'result\.xlsx'; accepted: FILE\.nc, FILE\.parquet or FILE\.csv"):
        found["simulate"].save(tmp_path / "result.xlsx")
    assert not list(tmp_path.iterdir())


def test_a_frame_of_a_consultation_holds_what_its_json_holds(found):
    table = found["consult"].frame().set_index(["option", "outcome", "week"])
    data = found["consult"].dataset()
    opened = [option for option in FULL["options"] if option["forecast"]]
    assert len(table) == sum(len(option["forecast"]) for option in opened)
    for option in opened:
        for row in option["forecast"]:
            key = (option["id"], row["outcome"], row["week"])
            told = dict(zip(("option", "outcome", "week"), key, strict=True))
            assert table.loc[key, "mean"] == row["mean"] == data["mean"].sel(told)
            assert table.loc[key, "q0.9"] == row["quantiles"]["0.9"] == data["score"].sel(**told, quantile=0.9)
            assert table.loc[key, "p_mic"] == row["p_mic"] == data["p_mic"].sel(told)


def test_a_forecast_in_python_is_that_of_the_command(found):
    from deqi.consult.single import forecast_file

    told = forecast_file(EXAMPLES / "ashar_person.yaml", NEEDLES, [2, 6], seed=1)
    assert found["forecast"].result == told
    assert list(found["forecast"].frame()["outcome"].unique()) == ["NRS", "ODI"]
    assert list(found["forecast"].dataset()["unit"].values) == ["NRS 0-10", "ODI 0-100"]


def test_no_forecast_is_an_empty_frame_and_says_why(tmp_path):
    stopped = deqi.forecast(EXAMPLES / "cauda_equina.yaml", "nothing")
    assert stopped.frame().empty and "p_mic" in stopped.frame() and stopped.dataset().sizes["week"] == 0
    assert "emergency" in str(stopped)
    assert pd.read_parquet(stopped.save(tmp_path / "none.parquet")).empty


@pytest.mark.parametrize(("call", "message"), [
    (lambda: deqi.simulate("nothing", patients=0), "found 0; accepted: 1 to"),
    (lambda: deqi.simulate("nothing", weeks=521), "found 521; accepted: 1 to 520"),
    (lambda: deqi.simulate("acupuncture 30 min sometimes"), "sometimes"),
    (lambda: deqi.forecast(EXAMPLES / "ashar_person.yaml", "nothing", [-1]), "accepted: whole weeks"),
    (lambda: deqi.forecast(EXAMPLES / "ashar_person.yaml", "nothing", []), "accepted: whole weeks"),
    (lambda: deqi.theories(theory="gait"), "gate"),
    (lambda: deqi.theories([]), "accepted: one experiment or more"),
    (lambda: deqi.theories([OWN | {"readout": "pain"}]), "no such read-out"),
])
def test_bad_input_is_told_as_on_the_command_line(call, message):
    with pytest.raises(deqi.InputError, match=message):
        call()


def test_the_scoreboard_says_what_each_absence_leaves(found):
    board, data = found["theories"], found["theories"].dataset()
    (row,) = board.rows
    told = json.loads(json.dumps(board.as_json()))["experiments"][0]
    value = data["value"].sel(experiment="own")
    assert float(value.sel(without="nothing")) == row.value and row.verdict == data["verdict"].sel(without="nothing")
    assert float(value.sel(without="all")) == row.empty[0]
    for theory in THEORIES:
        assert float(value.sel(without=theory)) == pytest.approx(told["without"][theory]["value"], rel=1e-5, abs=1e-6)
    pair = ("gate", "muscle")
    assert float(value.sel(without="gate+muscle")) == row.without_both[pair][0]
    assert (float(data["low"][0]), float(data["high"][0])) == (row.experiment.band.low, row.experiment.band.high)
    assert math.isfinite(float(data["low"][0]))


def test_arviz_opens_the_posterior_and_sums_it_up():
    shipped = arviz.from_netcdf(posterior.SHIPPED)
    assert list(arviz.summary(shipped, var_names="value", kind="stats").index) == [f"value[{n}]" for n in names()]
    opened = deqi.posterior()
    whole = arviz.summary(opened, kind="diagnostics")
    assert len(whole) == 2 * len(names()) and whole["r_hat"].max() <= 1.02
    assert list(opened.posterior["unit"].sel(average=list(names())).values) == [a.unit for a in averages()]
    assert np.allclose(opened.posterior["place"].values.reshape(-1, len(names())).T, posterior.places())


def test_without_arviz_the_way_round_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "arviz", None)
    with pytest.raises(deqi.DeqiError, match=r"ArviZ is not installed.*xarray\.open_datatree"):
        deqi.posterior()
    tree = xarray.open_datatree(posterior.SHIPPED, engine="h5netcdf")
    assert tree["posterior/value"].sizes["average"] == len(names())
    tree.close()
