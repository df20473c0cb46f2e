"""Commands for other systems: a clinic's records as FHIR, a patient under a plan as SBML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from .common import JsonOption, SeedOption, app, check_places, emit, warn_if_stale, working, write_json

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
    from ..interop import fhir_write as room
    from ..interop.fhir_bundle import day_of
    from ..interop.fhir_forms import questionnaire as questions

    check_places(out, questionnaire, json_path, inputs=(patient, plan))
    if questionnaire is not None:
        write_json(questionnaire, questions())
        emit({"questionnaire": str(questionnaire)}, json_path)
        if json_path != "-":
            print(f"The questions are in {questionnaire}.")
        if patient is None and plan is None and out is None:
            return
    if patient is None or plan is None or out is None:
        raise InputError("a plan of care needs three things", field="export fhir",
                         accepted="PATIENT.yaml --plan TEXT --out CAREPLAN.json, or --questionnaire OUT.json alone")
    from ..consult.single import weeks_of

    warn_if_stale()
    with working("forecasting", json_path):
        found = room.export(patient, plan, day_of(date), weeks_of(weeks), seed=seed, with_snomed=snomed)
    if found["bundle"] is not None:
        write_json(out, found["bundle"])
    emit(found, json_path)
    if json_path != "-":
        print("\n".join(room.lines(found, str(out))))
    if found["bundle"] is None:
        raise typer.Exit(3)


@export_app.command("sbml")
def export_sbml(patient: Annotated[Path | None, typer.Argument(
                    metavar="PATIENT.yaml", help="patient file; without one, the reference patient")] = None,
                plan: Annotated[str, typer.Option("--plan", help="a plan in words, or a plan file")] = "nothing",
                weeks: Annotated[int, typer.Option("--weeks", help="weeks from now")] = 12,
                without: Annotated[list[str] | None, typer.Option("--without", metavar="THEORY",
                                                                  help="a theory to leave out; may be repeated")
                                   ] = None,
                out: Annotated[Path | None, typer.Option("--out", metavar="MODEL.xml", help="where the model goes")
                               ] = None,
                json_path: JsonOption = None, seed: SeedOption = 1) -> None:
    """Write a patient under a plan as a model in SBML, for other simulators."""
    from ..interop import sbml as room
    from ..writing import write_text

    if out is None:
        raise InputError("the model needs a place", field="--out", accepted="--out MODEL.xml")
    check_places(out, json_path, inputs=(patient, plan))
    warn_if_stale()
    with working("writing the model", json_path):
        found = room.export(plan, patient, weeks=weeks, without=without or (), seed=seed)
    if found.text is not None:
        write_text(out, found.text)
    emit(found.about | {"sbml": None if found.text is None else str(out)}, json_path)
    if json_path != "-":
        print("\n".join(room.lines(found, str(out))))
    if found.text is None:
        raise typer.Exit(3)


@import_app.command("fhir")
def import_fhir(bundle: Annotated[Path, typer.Argument(metavar="BUNDLE.json", help="a FHIR R4 bundle or resource")],
                out: Annotated[Path | None, typer.Option("--out", metavar="PATIENT.yaml",
                                                         help="where the patient file goes")] = None,
                date: DateOption = None, json_path: JsonOption = None, seed: SeedOption = 1) -> None:
    """Read a FHIR R4 bundle into a patient file; say what was used, what was ignored, what is not known."""
    from ..consult.intake import as_yaml
    from ..interop import fhir_read as room
    from ..interop.fhir_bundle import day_of
    from ..reading import LARGEST_RECORD_BYTES, read_mapping
    from ..writing import write_text

    check_places(out, json_path, inputs=(bundle,))
    found = room.read(read_mapping(bundle, LARGEST_RECORD_BYTES), day_of(date), file=str(bundle))
    if out is not None:
        write_text(out, as_yaml(found.mapping))
    emit(found.as_json(), json_path)
    if json_path != "-":
        print("\n".join(room.lines(found, str(out) if out else None)))
    if found.screening.status == "emergency":
        raise typer.Exit(3)
