"""Commands of a practice: serve the consultation in a browser, and look after its records."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from .common import JsonOption, app, check_places, emit

if TYPE_CHECKING:
    from ..web.settings import Settings
    from ..web.store.database import Database


@app.command()
def serve(port: Annotated[int | None, typer.Option("--port", min=1, max=65535, help="8765 unless DEQI_PORT says else")
                          ] = None,
          data: Annotated[Path | None, typer.Option("--data", metavar="DIR", help="where the records are kept")] = None,
          browser: Annotated[bool, typer.Option("--browser/--no-browser", help="open one")] = True) -> None:
    """The consultation in a browser, on this computer."""
    from ..web.serve import serve as run
    from ..web.settings import settings

    run(settings(data, port), browser=browser)


store_app = typer.Typer(no_args_is_help=True, help="The records of a practice: back up, restore, verify, hand out, "
                                                   "erase.")
app.add_typer(store_app, name="store")
DataOption = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="where the records are kept")]
PatientId = Annotated[str, typer.Argument(metavar="PATIENT-ID", help="the id in the address of the patient's pages")]


@store_app.command("backup")
def store_backup(out: Annotated[Path, typer.Argument(metavar="OUT.zip", help="where the backup goes")],
                 data: DataOption = None, json_path: JsonOption = None) -> None:
    """Write a backup, also while the server runs; the key is not in it."""
    from ..web.store.backup import backup

    check_places(out, json_path)
    with _opened(data) as (database, _):
        made = backup(database, out)
    _tell(made, json_path, f"{_rows(made)} rows are in {out}.", made["note"] + ".")


@store_app.command("restore")
def store_restore(source: Annotated[Path, typer.Argument(metavar="IN.zip", help="a backup")],
                  data: DataOption = None, json_path: JsonOption = None) -> None:
    """Put a backup into an empty store, whole or not at all; needs the key file it was made with."""
    from ..web.settings import private_folder, settings
    from ..web.store.backup import manifest_of, restore

    check_places(json_path, inputs=(source,))
    manifest_of(source)
    read = settings(data)
    private_folder(read.data)
    with _opened(data, is_new=True) as (database, _):
        fresh = database.path is not None and not database.path.exists()
        try:
            made = restore(database, source)
        except BaseException:
            if fresh and database.path is not None:
                database.close()
                for file in database.path.parent.glob(f"{database.path.name}*"):
                    file.unlink()
            raise
        if database.path is not None:
            database.path.chmod(0o600)
    _tell(made, json_path, f"{_rows(made)} rows were restored. Everybody signs in again.")


@store_app.command("verify")
def store_verify(data: DataOption = None, json_path: JsonOption = None) -> None:
    """Read every row with the key, and hold the audit trail against its seals."""
    from ..web.store.verify import verify

    with _opened(data) as (database, _):
        found = verify(database)
    _tell(found, json_path, *(f"{count:>8}  {name}" for name, count in found["rows"].items()),
          "Every row opens with the key, and the audit trail is whole." if found["is_whole"] else
          "NOT WHOLE: " + "; ".join(found["faults"]))
    if not found["is_whole"]:
        raise typer.Exit(1)


@store_app.command("export")
def store_export(patient: PatientId,
                 fhir: Annotated[Path | None, typer.Option("--fhir", metavar="OUT.json", help="as a FHIR R4 bundle")
                                 ] = None,
                 csv: Annotated[Path | None, typer.Option("--csv", metavar="OUT.zip", help="as tables")] = None,
                 data: DataOption = None, json_path: JsonOption = None) -> None:
    """Write one patient's whole record."""
    from ..web.store import whole
    from ..web.store.audit import Actor, note
    from ..writing import replacing

    if fhir is None and csv is None:
        raise InputError("the record needs a place", field="store export", accepted="--fhir OUT.json, --csv OUT.zip")
    check_places(fhir, csv, json_path)
    with _opened(data) as (database, _):
        with database.read() as store:
            bundle = whole.as_fhir(store, patient) if fhir else None
            tables = whole.as_tables(store, patient) if csv else b""
        with database.write(Actor()) as store:
            note(store, "exported", "patients", patient, patient)
    for place, content in ((fhir, json.dumps(bundle, ensure_ascii=False, indent=1).encode()), (csv, tables)):
        if place is not None:
            with replacing(place, private=True) as draft:
                draft.write_bytes(content)
    places = [str(place) for place in (fhir, csv) if place]
    _tell({"written": places}, json_path, f"The record is in {' and '.join(places)}. It is not encrypted.")


@store_app.command("erase")
def store_erase(patient: PatientId, data: DataOption = None,
                yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
                json_path: JsonOption = None) -> None:
    """Erase one patient's whole record; only who did what and when stays, without contents."""
    from ..web.store.audit import Actor
    from ..web.store.patients import erase
    from ..web.store.tables import Person

    with _opened(data) as (database, read):
        with database.read() as store:
            person = store.get(Person, patient)
        if person is None:
            raise InputError("there is no such record", field="PATIENT-ID", found=patient, accepted="a patient's id")
        if not yes and not typer.confirm("Erase this record and all that hangs on it?"):
            raise typer.Exit(1)
        with database.write(Actor()) as store:
            erase(store, store.get_one(Person, patient))
        database.forget()
    _tell({"erased": patient}, json_path, "The record is erased. Backups made earlier still hold it: delete those in "
          f"{read.data / 'backups'} and wherever else you keep some.")


@store_app.command("rotate-key")
def store_rotate_key(data: DataOption = None, json_path: JsonOption = None) -> None:
    """Make a new key, and encrypt everything anew with it; stop the server before, and start it after."""
    from ..web.store.verify import rotate

    with _opened(data) as (database, read):
        cells = rotate(database, read.key_file)
    _tell({"encrypted": cells}, json_path, f"{cells} values are encrypted with a new key, the first line of "
          f"{read.key_file}.", "The older keys stay below it: backups made until now need them. Start the server "
          "again, and keep the key file in another safe place anew.")


@store_app.command("migrate")
def store_migrate(data: DataOption = None, json_path: JsonOption = None) -> None:
    """Bring the tables up to date, after a backup of how they were."""
    from ..web.store.backup import before_migration
    from ..web.store.migrate import migrate, newest, version_of

    with _opened(data) as (database, read):
        before = version_of(database)
        saved = before_migration(database, read.data / "backups")
        migrate(database)
    _tell({"from": before, "to": newest(), "backup": saved and str(saved)}, json_path,
          f"The tables are at {newest()} already." if before == newest() else f"From {before} to {newest()}.",
          *([f"How they were is in {saved}."] if saved else []))


@contextlib.contextmanager
def _opened(data: Path | None, is_new: bool = False) -> Iterator[tuple[Database, Settings]]:
    """The store that the settings name; its tables are not brought up to date."""
    from ..web.settings import settings
    from ..web.store.crypt import keyring
    from ..web.store.database import Database
    from ..web.store.migrate import check_known, version_of

    read = settings(data)
    database = Database(read.database, keyring(read.key_file))
    try:
        if not is_new:
            if database.path is not None and not database.path.exists():
                raise InputError("there is no store", file=str(database.path),
                                 accepted="the folder of a store: --data DIR, or DEQI_DATA")
            version = version_of(database)
            check_known(version)
            if version is None:
                raise InputError("there is no store", file=str(database.path or "database"),
                                 accepted="a store that a server has made")
        yield database, read
    finally:
        database.close()


def _rows(made: Mapping[str, Any]) -> int:
    return sum(table["rows"] for table in made["tables"].values())


def _tell(found: Mapping[str, Any], json_path: str | None, *lines: str) -> None:
    emit(found, json_path)
    if json_path != "-":
        print(*lines, sep="\n")
