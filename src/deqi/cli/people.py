"""Commands about people: a consultation, an assessment, a review, forecasts and how good they are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, TextIO

import typer

from ..errors import InputError
from .common import JsonOption, PatientArgument, SeedOption, app, check_places, emit, warn_if_stale, working

LONGEST_LINE = 10_000


@app.command()
def consult(patient: PatientArgument,
            report: Annotated[Path | None, typer.Option("--report", metavar="OUT.html", help="where the report goes")
                              ] = None,
            letter: Annotated[Path | None, typer.Option("--letter", metavar="OUT.html",
                                                        help="a referral or hand-over letter")] = None,
            json_path: JsonOption = None, seed: SeedOption = 1) -> None:
    """Screen a patient, compare the options side by side, and tailor a plan."""
    from ..consult.consultation import consult as run

    check_places(report, letter, json_path, inputs=(patient,))
    warn_if_stale()
    with working("forecasting the options", json_path):
        found = run(patient, seed=seed)
    if report is not None:
        found.report(report)
    if letter is not None:
        found.letter(letter)
    emit(found.result, json_path)
    if json_path != "-":
        from rich.console import Console

        from ..consult.terminal import show

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
    from ..reading import read_mapping

    check_places(out, json_path)
    check_places(json_path, inputs=(start,))  # going on with a file may write to it
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
    from ..care import load_plan
    from ..consult.assessment import load_patient
    from ..consult.revisit import carried

    check_places(out, json_path, inputs=(patient, care))
    _interview(carried(load_patient(patient), weeks, load_plan(care)), str(patient), out, json_path)


def _interview(mapping: object, file: str, out: Path | None, json_path: str | None) -> None:
    from ..consult import interview as room
    from ..consult.intake import as_yaml
    from ..writing import write_text

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
    emit(room.as_json(begun), json_path)
    print("", *([] if stopped else room.closing(begun)), sep="\n", file=shown)
    if out is not None:
        print(room.written(str(out), stopped), file=shown)
    if stopped:
        raise typer.Exit(1)
    if begun.is_emergency:
        raise typer.Exit(3)


def _typed(prompt: str, shown: TextIO) -> str | None:
    """The line typed after a prompt, or None at the end of input."""
    print(prompt, end="", file=shown, flush=True)
    if sys.stdin is None:
        return None
    line = sys.stdin.readline(LONGEST_LINE)
    if not sys.stdin.isatty():
        print(file=shown)  # nobody's return key ended the line
    return line.rstrip("\r\n") if line else None


@app.command()
def forecast(patient: Annotated[Path | None, typer.Argument(metavar="PATIENT.yaml", help="patient file")] = None,
             plan: Annotated[str, typer.Option("--plan", help="a plan in words, or a plan file")] = "nothing",
             weeks: Annotated[str, typer.Option("--weeks", help="weeks from now, such as 1,2,4,8,12")] = "1,2,4,8,12",
             batch: Annotated[Path | None, typer.Option("--batch", metavar="IN.jsonl")] = None,
             out: Annotated[Path | None, typer.Option("--out", metavar="OUT.jsonl")] = None,
             json_path: JsonOption = None, seed: SeedOption = 1) -> None:
    """Forecast reported pain and disability under one plan, for one patient or a batch."""
    from ..consult import single

    asked = single.weeks_of(weeks)
    check_places(out, json_path, inputs=(patient, plan, batch))
    if batch is not None:
        if out is None:
            raise InputError("a batch needs a place for its results", field="--out", accepted="--out OUT.jsonl")
        if patient is not None:
            raise InputError("a batch holds its own patients", field="PATIENT.yaml", found=str(patient),
                             accepted="--batch IN.jsonl --out OUT.jsonl")
        from ..consult.batch import run_batch

        warn_if_stale()
        with working("forecasting the batch", json_path):
            counts = run_batch(batch, out, asked, seed=seed)
        emit(counts, json_path)
        if json_path != "-":
            print(f"{counts['forecasts']} forecasts, {counts['errors']} errors: {out}")
        return
    if patient is None:
        raise InputError("no patient", field="PATIENT.yaml",
                         accepted="a patient file, or --batch IN.jsonl --out OUT.jsonl")
    if out is not None:
        raise InputError("only a batch writes there", field="--out", found=str(out), accepted="--json PATH")
    warn_if_stale()
    with working("forecasting", json_path):
        found = single.forecast_file(patient, plan, asked, seed=seed)
    emit(found, json_path)
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
    from ..consult import evaluate as room
    from ..consult.provenance import provenance

    check_places(json_path, inputs=(scores,))
    warn_if_stale()
    with working("forecasting people whose scores are known", json_path):
        if scores is not None:
            from ..consult.series import read_series

            found = room.evaluate(read_series(scores), seed=seed)
        else:
            from ..consult.synthetic import coverage

            found = {"synthetic": coverage(synthetic, seed)}
    found |= {"provenance": provenance(seed, room.DRAWS)}
    emit(found, json_path)
    if json_path != "-":
        print("\n".join(room.lines(found)))
