"""The command line: parses, calls, prints. Exit 0 done, 2 bad input, 3 emergency found, 1 anything else."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: its small products only make threads spin

from .errors import DeqiError, InputError

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None,
                  help="deqi: acupuncture and low back pain, an honest comparison of care plans. Research software.")

LONGEST_LINE = 10_000
JsonOption = Annotated[str | None, typer.Option("--json", metavar="PATH", help="write JSON there; - prints it")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="seed of every random number")]
PatientArgument = Annotated[Path, typer.Argument(metavar="PATIENT.yaml", help="patient file")]


@app.command()
def consult(patient: PatientArgument,
            report: Annotated[Path | None, typer.Option("--report", metavar="OUT.html", help="where the report goes")
                              ] = None,
            letter: Annotated[Path | None, typer.Option("--letter", metavar="OUT.html",
                                                        help="a referral or hand-over letter")] = None,
            json_path: JsonOption = None, seed: SeedOption = 1) -> None:
    """Screen a patient, compare the options side by side, and tailor a plan."""
    from .consult.consultation import consult as run

    _check_places(report, letter, json_path, inputs=(patient,))
    _warn_if_stale()
    with _working("forecasting the options", json_path):
        found = run(patient, seed=seed)
    if report is not None:
        found.report(report)
    if letter is not None:
        found.letter(letter)
    _emit(found.result, json_path)
    if json_path != "-":
        from rich.console import Console

        from .consult.terminal import show

        show(found.result, Console(), str(report) if report else None)
    if found.is_emergency:
        raise typer.Exit(3)


@app.command()
def assess(out: Annotated[Path | None, typer.Option("--out", metavar="PATIENT.yaml",
                                                    help="where the patient file goes; without it, it is printed")
                          ] = None,
           start: Annotated[Path | None, typer.Option("--from", metavar="PATIENT.yaml",
                                                      help="a patient file to go on with")] = None,
           json_path: JsonOption = None, seed: SeedOption = 1) -> None:
    """Ask the questions of an assessment in the terminal, safety first, and write the patient file."""
    from .reading import read_mapping

    _check_places(out, json_path)
    _check_places(json_path, inputs=(start,))  # going on with a file may write to it
    _interview(None if start is None else read_mapping(start), str(start), out, json_path)


@app.command()
def review(patient: PatientArgument,
           weeks: Annotated[int, typer.Option("--weeks", help="since that assessment")],
           care: Annotated[str, typer.Option("--care", metavar="PLAN", help="what was done since, in words or a file")
                           ] = "nothing",
           out: Annotated[Path | None, typer.Option("--out", metavar="PATIENT.yaml",
                                                    help="where the new patient file goes; without it, it is printed")
                          ] = None,
           json_path: JsonOption = None, seed: SeedOption = 1) -> None:
    """Take up a patient some weeks later: ask what can change, and write the new patient file for `deqi consult`."""
    from .care import load_plan
    from .consult.assessment import load_patient
    from .consult.revisit import carried

    _check_places(out, json_path, inputs=(patient, care))
    _interview(carried(load_patient(patient), weeks, load_plan(care)), str(patient), out, json_path)


def _interview(mapping: object, file: str, out: Path | None, json_path: str | None) -> None:
    from .consult import interview as room
    from .consult.intake import as_yaml
    from .writing import write_text

    begun = room.begin(mapping, file)
    shown = sys.stderr if out is None or json_path == "-" else sys.stdout
    stopped = False
    try:
        room.conduct(begun, lambda prompt: _typed(prompt, shown), lambda line: print(line, file=shown))
    except KeyboardInterrupt:
        stopped = True
    if out is not None:
        write_text(out, as_yaml(begun.mapping))
    elif json_path != "-":
        print(as_yaml(begun.mapping), end="")
    _emit(room.as_json(begun), json_path)
    print("", *([] if stopped else room.closing(begun)), sep="\n", file=shown)
    if out is not None:
        print(room.written(str(out), stopped), file=shown)
    if stopped:
        raise typer.Exit(1)
    if begun.is_emergency:
        raise typer.Exit(3)


@app.command()
def forecast(patient: Annotated[Path | None, typer.Argument(metavar="PATIENT.yaml", help="patient file")] = None,
             plan: Annotated[str, typer.Option("--plan", help="a plan in words, or a plan file")] = "nothing",
             weeks: Annotated[str, typer.Option("--weeks", help="weeks from now, such as 1,2,4,8,12")] = "1,2,4,8,12",
             batch: Annotated[Path | None, typer.Option("--batch", metavar="IN.jsonl")] = None,
             out: Annotated[Path | None, typer.Option("--out", metavar="OUT.jsonl")] = None,
             json_path: JsonOption = None, seed: SeedOption = 1) -> None:
    """Forecast reported pain and disability under one plan, for one patient or a batch."""
    from .consult import single

    asked = single.weeks_of(weeks)
    _check_places(out, json_path, inputs=(patient, plan, batch))
    if batch is not None:
        if out is None:
            raise InputError("a batch needs a place for its results", field="--out", accepted="--out OUT.jsonl")
        if patient is not None:
            raise InputError("a batch holds its own patients", field="PATIENT.yaml", found=str(patient),
                             accepted="--batch IN.jsonl --out OUT.jsonl")
        from .consult.batch import run_batch

        _warn_if_stale()
        with _working("forecasting the batch", json_path):
            counts = run_batch(batch, out, asked, seed=seed)
        _emit(counts, json_path)
        if json_path != "-":
            print(f"{counts['forecasts']} forecasts, {counts['errors']} errors: {out}")
        return
    if patient is None:
        raise InputError("no patient", field="PATIENT.yaml",
                         accepted="a patient file, or --batch IN.jsonl --out OUT.jsonl")
    if out is not None:
        raise InputError("only a batch writes there", field="--out", found=str(out), accepted="--json PATH")
    _warn_if_stale()
    with _working("forecasting", json_path):
        found = single.forecast_file(patient, plan, asked, seed=seed)
    _emit(found, json_path)
    if json_path != "-":
        print("\n".join(single.lines(found)))
    if found["screening"]["status"] == "emergency":
        raise typer.Exit(3)


@app.command()
def evaluate(scores: Annotated[Path | None, typer.Argument(metavar="SCORES.csv",
                                                           help="id, day, pain and what else is known")] = None,
             synthetic: Annotated[int, typer.Option("--synthetic", metavar="N", min=0,
                                                    help="instead: N people drawn from the model itself")] = 0,
             json_path: JsonOption = None, seed: SeedOption = 1) -> None:
    """Judge the forecasts on people whose later scores are known, always predicted forward."""
    if (scores is None) == (not synthetic):
        raise InputError("one of the two is needed", field="SCORES.csv", found=str(scores) if scores else None,
                         accepted="a table of scores, or --synthetic N")
    from .consult import evaluate as room
    from .consult.provenance import provenance

    _check_places(json_path, inputs=(scores,))
    _warn_if_stale()
    with _working("forecasting people whose scores are known", json_path):
        if scores is not None:
            from .consult.series import read_series

            found = room.evaluate(read_series(scores), seed=seed)
        else:
            from .consult.synthetic import coverage

            found = {"synthetic": coverage(synthetic, seed)}
    found |= {"provenance": provenance(seed, room.DRAWS)}
    _emit(found, json_path)
    if json_path != "-":
        print("\n".join(room.lines(found)))


@app.command()
def simulate(plan: Annotated[str, typer.Argument(metavar="PLAN", help="a sentence, a file, or nothing")],
             patients: Annotated[int, typer.Option("--patients", min=1, max=1_000_000)] = 1000,
             population: Annotated[str, typer.Option("--population", help="chronic | acute | subacute")] = "chronic",
             baseline: Annotated[float | None, typer.Option("--baseline", help="mean NRS observed at enrolment")
                                 ] = None,
             weeks: Annotated[int, typer.Option("--weeks", min=1, max=520)] = 12,
             without: Annotated[list[str] | None, typer.Option("--without", metavar="THEORY")] = None,
             out: Annotated[Path | None, typer.Option("--out", metavar="FILE.nc|FILE.parquet")] = None,
             json_path: JsonOption = None, seed: SeedOption = 1) -> None:
    """Simulate a plan on a virtual population."""
    from .population import trajectories

    if out is not None:
        trajectories.check_kind(out)
    _check_places(out, json_path)
    _warn_if_stale()
    with _working(f"simulating {patients} patients", json_path):
        found = trajectories.run(plan, patients=patients, population=population, baseline=baseline, weeks=weeks,
                                 without=without or (), seed=seed)
    if out is not None:
        trajectories.save(found, out)
    _emit(found.as_json(), json_path)
    if json_path != "-":
        print("\n".join(trajectories.lines(found)))


@app.command()
def anchors(patients: Annotated[int, typer.Option("--patients", min=64)] = 4000, json_path: JsonOption = None,
            seed: SeedOption = 1) -> None:
    """Hold the virtual populations against the published courses they were set on."""
    from .population import anchors as room

    _check_places(json_path)
    with _working("simulating the published courses", json_path):
        rows = room.measure(patients, seed)
    _emit({"anchors": [row.as_json() for row in rows]}, json_path)
    if json_path != "-":
        print("\n".join(room.lines(rows)))


@app.command()
def predict(trial: Annotated[Path, typer.Argument(metavar="TRIAL.yaml", help="trial file")],
            json_path: JsonOption = None, seed: SeedOption = 1) -> None:
    """Predict what a trial would report, arm by arm, with its sampling error and the spread between trials."""
    from .calibrate import predict as room

    _check_places(json_path, inputs=(trial,))
    _warn_if_stale()
    with _working("predicting the trial", json_path):
        found = room.predict_file(trial, seed=seed)
    _emit(found, json_path)
    if json_path != "-":
        print("\n".join(room.lines(found)))


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
    from .calibrate import command

    _check_places(report, json_path)
    found = command.run(quick=quick, report=report, rebuild=rebuild, work=work, out=out, seed=seed,
                        quiet=json_path == "-")
    _emit(found, json_path)
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
    from .theories import experiment, scoreboard

    _check_places(report, json_path, inputs=(experiments,))
    asked = experiment.shipped() if experiments is None else experiment.load(experiments)
    chosen = scoreboard.of_theory(asked, theory)
    if not chosen:
        raise InputError("no experiment of this theory", file=str(experiments), field="--theory", found=theory,
                         accepted=", ".join(dict.fromkeys(e.theory for e in asked)))
    with _working(f"running {len(chosen)} experiments", json_path):
        board = scoreboard.run(chosen)
        if report is not None:
            from .theories import report as page

            page.write(board, report)
    _emit(board.as_json(), json_path)
    if json_path != "-":
        print("\n".join(scoreboard.lines(board)))
        if report is not None:
            print(f"\nThe page is in {report}.")


@app.command()
def evidence(id: Annotated[str | None, typer.Argument(metavar="[ID]", help="fact id")] = None,
             json_path: JsonOption = None, seed: SeedOption = 1) -> None:
    """Show the fact behind a number, with its source; without an id, what facts there are."""
    from .evidence import fact, show

    _check_places(json_path)
    found = None if id is None else fact(id)
    _emit(show.overview() if found is None else show.as_json(found), json_path)
    if json_path != "-":
        print(show.listing() if found is None else show.describe(found))


export_app = typer.Typer(no_args_is_help=True, help="Write for other systems.")
import_app = typer.Typer(no_args_is_help=True, help="Read from other systems.")
app.add_typer(export_app, name="export")
app.add_typer(import_app, name="import")
DateOption = Annotated[str | None, typer.Option("--date", metavar="2026-11-26", help="the day it is counted from")]


@export_app.command("fhir")
def export_fhir(patient: Annotated[Path | None, typer.Argument(metavar="PATIENT.yaml", help="patient file")] = None,
                plan: Annotated[str | None, typer.Option("--plan", help="a plan in words, or a plan file")] = None,
                out: Annotated[Path | None, typer.Option("--out", metavar="CAREPLAN.json",
                                                         help="where the bundle goes")] = None,
                questionnaire: Annotated[Path | None, typer.Option("--questionnaire", metavar="OUT.json",
                                                                   help="instead: the questions of an assessment")
                                         ] = None,
                weeks: Annotated[str, typer.Option("--weeks", help="weeks of the forecast")] = "4,8,12",
                date: DateOption = None,
                snomed: Annotated[bool, typer.Option("--snomed", help="write SNOMED CT codes too, if you are licensed")
                                  ] = False,
                json_path: JsonOption = None, seed: SeedOption = 1) -> None:
    """Write a plan of care with its forecast, or the questions of an assessment, as FHIR R4."""
    from .interop import fhir_write as room
    from .interop.fhir_bundle import day_of
    from .interop.fhir_forms import questionnaire as questions
    from .writing import write_text

    _check_places(out, questionnaire, json_path, inputs=(patient, plan))
    if questionnaire is not None:
        write_text(questionnaire, json.dumps(questions(), indent=1, ensure_ascii=False) + "\n")
        _emit({"questionnaire": str(questionnaire)}, json_path)
        if json_path != "-":
            print(f"The questions are in {questionnaire}.")
        if patient is None and plan is None and out is None:
            return
    if patient is None or plan is None or out is None:
        raise InputError("a plan of care needs three things", field="export fhir",
                         accepted="PATIENT.yaml --plan TEXT --out CAREPLAN.json, or --questionnaire OUT.json alone")
    from .consult.single import weeks_of

    _warn_if_stale()
    with _working("forecasting", json_path):
        found = room.export(patient, plan, day_of(date), weeks_of(weeks), seed=seed, with_snomed=snomed)
    if found["bundle"] is not None:
        write_text(out, json.dumps(found["bundle"], indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    _emit(found, json_path)
    if json_path != "-":
        print("\n".join(room.lines(found, str(out))))
    if found["bundle"] is None:
        raise typer.Exit(3)


@import_app.command("fhir")
def import_fhir(bundle: Annotated[Path, typer.Argument(metavar="BUNDLE.json", help="a FHIR R4 bundle or resource")],
                out: Annotated[Path | None, typer.Option("--out", metavar="PATIENT.yaml",
                                                         help="where the patient file goes")] = None,
                date: DateOption = None, json_path: JsonOption = None, seed: SeedOption = 1) -> None:
    """Read a FHIR R4 bundle into a patient file; say what was used, what was ignored, what is not known."""
    from .consult.intake import as_yaml
    from .interop import fhir_read as room
    from .interop.fhir_bundle import day_of
    from .reading import LARGEST_RECORD_BYTES, read_mapping
    from .writing import write_text

    _check_places(out, json_path, inputs=(bundle,))
    found = room.read(read_mapping(bundle, LARGEST_RECORD_BYTES), day_of(date), file=str(bundle))
    if out is not None:
        write_text(out, as_yaml(found.mapping))
    _emit(found.as_json(), json_path)
    if json_path != "-":
        print("\n".join(room.lines(found, str(out) if out else None)))
    if found.screening.status == "emergency":
        raise typer.Exit(3)


def _warn_if_stale() -> None:
    """Say on the error stream that the posterior that ships was made before something changed."""
    from .population import posterior

    changed = posterior.stale()
    if changed:
        print(f"deqi: the posterior was made before a change of {', '.join(changed)}; run `deqi calibrate`",
              file=sys.stderr)


@contextlib.contextmanager
def _working(what: str, json_path: str | None) -> Iterator[None]:
    """A spinner on a terminal, nothing elsewhere."""
    if json_path == "-" or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def _typed(prompt: str, shown: TextIO) -> str | None:
    """The line typed after a prompt, or None at the end of input."""
    print(prompt, end="", file=shown, flush=True)
    if sys.stdin is None:
        return None
    line = sys.stdin.readline(LONGEST_LINE)
    if not sys.stdin.isatty():
        print(file=shown)  # nobody's return key ended the line
    return line.rstrip("\r\n") if line else None


def _check_places(*places: Path | str | None, inputs: Sequence[Path | str | None] = ()) -> None:
    """Refuse a result that could not be written, or would replace another or a file that is read, before any work is
    done or any other result written."""
    from .writing import check_place

    written: set[str] = set()
    for place in places:
        if place in (None, "-"):
            continue
        check_place(place)
        if os.path.realpath(place) in written:
            raise InputError("two results cannot go to one file", file=str(place), accepted="a path for each")
        if os.path.exists(place) and any(i is not None and os.path.exists(i) and os.path.samefile(place, i)
                                         for i in inputs):
            raise InputError("the result would replace the file it is made from", file=str(place),
                             accepted="another path")
        written.add(os.path.realpath(place))


def _emit(found: Any, json_path: str | None) -> None:
    if json_path is None:
        return
    if json_path == "-":
        print(json.dumps(found, indent=1, allow_nan=False))
        return
    from .writing import write_text

    write_text(json_path, json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def main() -> None:
    """Run the command line; bad input ends with one message on standard error."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a sign still gives the rest
    try:
        app(prog_name="deqi")
    except DeqiError as error:
        print(f"deqi: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(1)
