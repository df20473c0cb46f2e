"""Commands about the model: virtual populations, trials, calibration, theories and the evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import JsonOption, SeedOption, app, check_places, counting, emit, warn_if_stale, working


@app.command()
def simulate(plan: Annotated[str, typer.Argument(metavar="PLAN", help="a sentence, a file, or nothing")],
             patients: Annotated[int, typer.Option("--patients", min=1, max=1_000_000)] = 1000,
             population: Annotated[str, typer.Option("--population", help="chronic | acute | subacute")] = "chronic",
             baseline: Annotated[float | None, typer.Option("--baseline", help="mean NRS observed at enrolment")
                                 ] = None,
             weeks: Annotated[int, typer.Option("--weeks", min=1, max=520)] = 12,
             without: Annotated[list[str] | None, typer.Option("--without", metavar="THEORY")] = None,
             out: Annotated[Path | None, typer.Option("--out", metavar="FILE.nc|.parquet|.csv")] = None,
             json_path: JsonOption = None, seed: SeedOption = 1) -> None:
    """Simulate a plan on a virtual population."""
    from ..population import trajectories
    from ..results import check_kind

    if out is not None:
        check_kind(out, "--out")
    check_places(out, json_path)
    warn_if_stale()
    with working(f"simulating {patients} patients", json_path):
        found = trajectories.run(plan, patients=patients, population=population, baseline=baseline, weeks=weeks,
                                 without=without or (), seed=seed)
    if out is not None:
        found.save(out)
    emit(found.as_json(), json_path)
    if json_path != "-":
        print("\n".join(trajectories.lines(found)))


@app.command()
def anchors(patients: Annotated[int, typer.Option("--patients", min=64)] = 4000, json_path: JsonOption = None,
            seed: SeedOption = 1) -> None:
    """Hold the virtual populations against the published courses they were set on."""
    from ..population import anchors as room

    check_places(json_path)
    with working("simulating the published courses", json_path):
        rows = room.measure(patients, seed)
    emit({"anchors": [row.as_json() for row in rows]}, json_path)
    if json_path != "-":
        print("\n".join(room.lines(rows)))


@app.command()
def predict(trial: Annotated[Path, typer.Argument(metavar="TRIAL.yaml", help="trial file")],
            json_path: JsonOption = None, seed: SeedOption = 1) -> None:
    """Predict what a trial would report, arm by arm, with its sampling error and the spread between trials."""
    from ..calibrate import predict as room

    check_places(json_path, inputs=(trial,))
    warn_if_stale()
    with working("predicting the trial", json_path):
        found = room.predict_file(trial, seed=seed)
    emit(found, json_path)
    if json_path != "-":
        print("\n".join(room.lines(found)))


@app.command()
def trial(design: Annotated[Path, typer.Argument(metavar="DESIGN.yaml", help="design file")],
          report: Annotated[Path | None, typer.Option("--report", metavar="OUT.html", help="where the report goes")
                            ] = None,
          out: Annotated[Path | None, typer.Option("--out", metavar="FOLDER",
                                                   help="keeps everybody's scores; an interrupted run goes on there")
                         ] = None,
          cluster: Annotated[str | None, typer.Option("--cluster", metavar="ADDRESS",
                                                      help="of a Dask scheduler, such as tcp://host:8786")] = None,
          trials: Annotated[int | None, typer.Option("--trials", min=1, max=1_000_000,
                                                     help="simulated in each world, instead of the design's")] = None,
          json_path: JsonOption = None,
          seed: Annotated[int | None, typer.Option("--seed", min=0, max=2**32 - 1,
                                                   help="of every random number, instead of the design's")] = None
          ) -> None:
    """Run a trial before it is run: recruit, treat and analyse virtual patients many times over."""
    from ..trial import terminal
    from ..trial.result import trial as run

    check_places(report, json_path, inputs=(design,))
    warn_if_stale()
    with counting("simulating trials", json_path) as progress:
        found = run(design, trials=trials, seed=seed, out=out, cluster=cluster, progress=progress)
    if report is not None:
        found.report(report)
    emit(found.as_json(), json_path)
    if json_path != "-":
        print("\n".join(terminal.lines(found.result)))
        if report is not None:
            print(f"\nThe report is in {report}.")


@app.command()
def calibrate(quick: Annotated[bool, typer.Option("--quick", help="a reduced version in minutes; ships nothing")
                               ] = False,
              report: Annotated[Path | None, typer.Option("--report", metavar="OUT.html",
                                                          help="the validation report of what ships; with --rebuild, "
                                                               "of what is made now")] = None,
              rebuild: Annotated[bool, typer.Option("--rebuild", help="make the posterior anew before the report")
                                 ] = False,
              work: Annotated[Path | None, typer.Option("--work", metavar="FOLDER",
                                                        help="where an interrupted run goes on from")] = None,
              out: Annotated[Path | None, typer.Option("--out", metavar="FOLDER",
                                                       help="where posterior and validation go instead of the package")
                             ] = None,
              json_path: JsonOption = None, seed: SeedOption = 1) -> None:
    """Fit the averages to the trials: rebuilds the posterior that ships (under an hour on two cores)."""
    from ..calibrate import command

    check_places(report, json_path)
    found = command.run(quick=quick, report=report, rebuild=rebuild, work=work, out=out, seed=seed,
                        quiet=json_path == "-")
    emit(found, json_path)
    if json_path != "-":
        print("\n".join(command.lines(found, report)))


@app.command()
def theories(experiments: Annotated[Path | None, typer.Option("--experiments", metavar="FILE.yaml",
                                                              help="your experiments instead of those that ship")
                                    ] = None,
             theory: Annotated[str | None, typer.Option("--theory", metavar="NAME", help="one theory only")] = None,
             report: Annotated[Path | None, typer.Option("--report", metavar="OUT.html", help="where the page goes")
                               ] = None,
             json_path: JsonOption = None, seed: SeedOption = 1) -> None:
    """Put the theories on trial: every published experiment, with the whole model and without each theory."""
    from ..theories import scoreboard, terminal

    check_places(report, json_path, inputs=(experiments,))
    chosen = scoreboard.chosen(experiments, theory)
    with working(f"running {len(chosen)} experiments", json_path):
        board = scoreboard.run(chosen)
        if report is not None:
            from ..theories import report as page

            page.write(board, report)
    emit(board.as_json(), json_path)
    if json_path != "-":
        print("\n".join(terminal.lines(board)))
        if report is not None:
            print(f"\nThe page is in {report}.")


@app.command()
def evidence(id: Annotated[str | None, typer.Argument(metavar="[ID]", help="fact id")] = None,
             json_path: JsonOption = None, seed: SeedOption = 1) -> None:
    """Show the fact behind a number, with its source; without an id, what facts there are."""
    from ..evidence import fact, show

    check_places(json_path)
    found = None if id is None else fact(id)
    emit(show.overview() if found is None else show.as_json(found), json_path)
    if json_path != "-":
        print(show.listing() if found is None else show.describe(found))
