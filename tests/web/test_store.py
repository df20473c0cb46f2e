"""The store: its tables on both databases, what is encrypted, a trail that shows any change, erasing without trace."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from cryptography.fernet import Fernet
from sqlalchemy import event, func, make_url, select, text
from sqlalchemy.exc import DBAPIError

from deqi.errors import InputError
from deqi.web.app import open_store
from deqi.web.store import database as store_database
from deqi.web.store.audit import Actor, broken_at, note
from deqi.web.store.crypt import Document, Encrypted, Keyring, give_keys, keyring, sealed
from deqi.web.store.database import Conflict, Database, StoreUnavailable
from deqi.web.store.patients import erase
from deqi.web.store.tables import (
    AdverseEvent,
    Alert,
    Assessment,
    Consultation,
    Entry,
    Person,
    Plan,
    Revision,
    Row,
    Score,
    Treatment,
)
from deqi.web.store.verify import rotate, verify

from .conftest import World
from .planned import on_sqlite

MARK = "Zanzibarmarker"
DAY = datetime.date(2026, 3, 9)
OPEN = {"accounts", "tokens", "browsers", "members", "audit", "scores"}
"""Tables without words about a patient: ids, days, numbers, names of staff."""


@pytest.fixture
def marked(world: World) -> World:
    """A record in which every field that could tell who it is holds a marker."""
    database = open_store(world.settings)
    of = {"patient_id": world.patients["amy"], "created_by": world.people["ann"]}
    with database.write(Actor()) as store:
        person = store.get_one(Person, world.patients["amy"])
        person.name = person.birth_date = person.number = person.contact = MARK
        assessment = store.get_one(Assessment, world.assessments["amy"])
        assessment.answers = {"patient": {"goals": {"words": MARK}}}
        assessment.choices = {"words": MARK}
        plan = Plan(**of, assessment_id=assessment.id, began=DAY, sentences=[MARK], kinds="needles", baseline=6.0,
                    forecast=[{"word": MARK}], review=[MARK], provenance=MARK, note=MARK, why_ended=MARK)
        treatment = Treatment(**of, day=DAY, details={"note": MARK})
        store.add_all([plan, treatment, Score(**of, day=DAY, outcome="NRS", value=5.0, origin="practice"),
                       Consultation(**of, assessment_id=assessment.id, key="k", result={"words": MARK}),
                       Alert(**of, day=DAY, signs={"words": MARK}, done=MARK)])
        store.flush()
        store.add(AdverseEvent(**of, day=DAY, treatment_id=treatment.id, kind="bleeding", details={"words": MARK}))
    with database.write(Actor()) as store:
        store.get_one(Person, world.patients["amy"]).contact = f"{MARK} again"
    database.close()
    return world


def _raw(database: Database) -> bytes:
    """All bytes that a thief of the files would hold; of PostgreSQL, all that its tables give."""
    if database.path is not None:
        return b"".join(file.read_bytes() for file in database.path.parent.glob(f"{database.path.name}*"))
    with database.engine.connect() as connection:
        rows = [connection.execute(text(f"SELECT * FROM {table}")).all() for table in Row.metadata.tables]
    return repr(rows).encode()


def test_the_migrations_make_the_tables(world: World) -> None:
    database = open_store(world.settings)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, Row.metadata)
    database.close()
    assert not differences


def test_what_could_tell_who_a_patient_is_is_encrypted(marked: World) -> None:
    database = open_store(marked.settings)
    with database.read() as store:
        assert store.get_one(Person, marked.patients["amy"]).name == MARK
        assert MARK in repr([row.content for row in store.scalars(select(Revision))])
    assert MARK.encode() not in _raw(database)
    database.close()


def test_every_word_about_a_patient_stands_in_an_encrypted_column() -> None:
    """A new column of words in a patient's table must be encrypted, or be named here with what it may hold."""
    codes = {"id", "patient_id", "created_by", "assessment_id", "plan_id", "treatment_id", "responsible_id", "state",
             "kinds", "kind", "key", "seen_by", "origin", "outcome", "day", "began", "ended", "seen_at", "version",
             "created_at", "baseline", "value", "seq", "code", "expires_at", "failures", "locked_until", "session",
             "csrf", "session_until", "revoked_at"}
    for table in Row.metadata.sorted_tables:
        if table.name in OPEN or not ({"patient_id", "birth_date"} & set(table.columns.keys())):
            continue
        for column in table.columns:
            assert isinstance(column.type, Encrypted | Document) or column.name in codes, column


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit WHERE seq = 1",
                                       "DELETE FROM audit"])
def test_the_database_lets_nobody_change_the_trail(world: World, statement: str) -> None:
    database = open_store(world.settings)
    with pytest.raises(DBAPIError, match="append-only"), database.engine.begin() as connection:
        connection.execute(text(statement))
    assert verify(database)["is_whole"]
    database.close()


@pytest.mark.parametrize(("statement", "entry"), [
    ("UPDATE audit SET actor = 'nobody' WHERE seq = 3", 3), ("DELETE FROM audit WHERE seq = 4", 4),
    ("UPDATE audit SET action = 'viewed' WHERE seq = 2", 2), ("DELETE FROM audit WHERE seq = 1", 1)])
def test_a_change_or_a_gap_made_from_outside_shows(world: World, statement: str, entry: int) -> None:
    database = open_store(world.settings)
    with database.read() as store:
        assert broken_at(store) is None
    with database.engine.begin() as connection:
        if database.is_sqlite:
            for verb in ("update", "delete"):
                connection.execute(text(f"DROP TRIGGER audit_no_{verb}"))
        else:
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER audit_no_change"))
            connection.execute(text("ALTER TABLE revisions DROP CONSTRAINT fk_revisions_seq"))
        if database.is_sqlite:
            connection.execute(text("DELETE FROM revisions"))
        connection.execute(text(statement))
    with database.read() as store:
        assert broken_at(store) == entry
    database.close()


def _own_key(world: World, folder: Path) -> Path:
    """A copy of the key file, which all worlds share."""
    key = folder / "own" / "key"
    key.parent.mkdir()
    key.write_text(world.settings.key_file.read_text())
    return key


@pytest.mark.parametrize("renewed", [False, True])
@on_sqlite
def test_an_end_cut_off_from_outside_shows(world: World, tmp_path: Path, renewed: bool) -> None:
    """Also after the change of the key."""
    database = open_store(world.settings)
    if renewed:
        rotate(database, _own_key(world, tmp_path))
    with database.write(Actor()) as store:
        note(store, "viewed", "patients", "x")
        note(store, "exported", "patients", "x")
    with database.read() as store:
        assert broken_at(store) is None
        last = store.scalars(select(func.max(Entry.seq))).one()
    with database.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_no_delete"))
        connection.execute(text(f"DELETE FROM audit WHERE seq = {last}"))
    with database.read() as store:
        assert broken_at(store) == last
    assert not verify(database)["is_whole"]
    database.close()


@on_sqlite
def test_a_seal_takes_the_oldest_key(world: World, tmp_path: Path) -> None:
    database = open_store(world.settings)
    before = sealed(database.engine.dialect, "head", 1)
    rotate(database, _own_key(world, tmp_path))
    assert sealed(database.engine.dialect, "head", 1) == before
    give_keys(database.engine.dialect, Keyring([Fernet.generate_key().decode()]))
    assert sealed(database.engine.dialect, "head", 1) != before
    database.close()


@on_sqlite
def test_a_write_of_many_rows_asks_the_store_seldom(world: World) -> None:
    """A big import holds up everybody else's writes as long as it takes."""
    database = open_store(world.settings)
    asked: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    with database.write(Actor()) as store:
        store.add_all(Score(patient_id=world.patients["ben"], created_by="x", outcome="NRS", value=1.0,
                            day=datetime.date(1901, 1, 1) + datetime.timedelta(k), origin="practice")
                      for k in range(300))
    assert len(asked) < 30
    assert verify(database)["is_whole"]
    with database.read() as store:
        assert store.scalars(select(func.count()).select_from(Revision).join(Entry, Entry.seq == Revision.seq).where(
            Entry.kind == "scores", Revision.patient_id == world.patients["ben"])).one() >= 300
    database.close()


def test_the_trail_holds_in_any_time_zone_of_the_server(world: World) -> None:
    database = open_store(world.settings)
    if not database.is_sqlite:
        name = make_url(world.settings.database).database
        with database.engine.begin() as connection:
            connection.execute(text(f'ALTER DATABASE "{name}" SET timezone TO \'Asia/Kathmandu\''))
        database.close()
        database = open_store(world.settings)
    with database.write(Actor()) as store:
        note(store, "viewed", "patients", "x")
    with database.read() as store:
        assert broken_at(store) is None
        assert all(at.utcoffset() == datetime.timedelta(0) for at in store.scalars(select(Entry.at)))
    database.close()


def test_erasing_leaves_entries_and_nothing_else(marked: World) -> None:
    database, amy = open_store(marked.settings), marked.patients["amy"]
    with database.engine.connect() as connection:
        closed = [bytes(value) for table in Row.metadata.sorted_tables for column in table.columns
                  if isinstance(column.type, Encrypted | Document) and "patient_id" in table.columns
                  for value in connection.execute(text(f"SELECT {column.name} FROM {table.name} WHERE "
                                                       f"patient_id = '{amy}'")).scalars() if value is not None]
    assert len(closed) >= 15
    with database.write(Actor(actor=marked.people["ann"])) as store:
        erase(store, store.get_one(Person, amy))
    database.forget()
    raw = _raw(database)
    for value in closed:
        assert value not in raw and value[20:60] not in raw, "ciphertext of the record is still in the file"
    with database.read() as store:
        for kind in (Assessment, Plan, Score, Treatment, AdverseEvent, Alert, Consultation, Revision):
            assert not store.scalars(select(kind).where(kind.patient_id == amy)).all()
        left = store.scalars(select(Entry).where(Entry.patient_id == amy)).all()
        assert left and left[-1].action == "deleted" and broken_at(store) is None
    assert verify(database)["is_whole"]
    database.close()


def test_a_new_key_closes_everything_anew_and_the_old_one_opens_nothing(marked: World, tmp_path: Path) -> None:
    key = _own_key(marked, tmp_path)
    database = Database(marked.settings.database, keyring(key))
    cells = rotate(database, key)
    assert cells >= 15 and verify(database)["is_whole"]
    newest, old = key.read_text().split()
    database.close()
    key.write_text(newest + "\n")
    database = Database(marked.settings.database, keyring(key))
    (fault,) = verify(database)["faults"]
    assert "oldest key" in fault, "every row opens, and the seals need the oldest key"
    with database.read() as store:
        assert store.get_one(Person, marked.patients["amy"]).name == MARK
    database.close()
    key.write_text(old + "\n")
    database = Database(marked.settings.database, keyring(key))
    faults = verify(database)["faults"]
    assert faults and all("cannot be opened" in fault for fault in faults)
    database.close()


def test_a_text_that_postgresql_cannot_hold_is_bad_input_and_no_fault(world: World) -> None:
    database = open_store(world.settings)
    if not database.is_sqlite:
        with pytest.raises(InputError, match="cannot be stored"), database.read() as store:
            store.get(Person, "a\0b")
    database.close()


def test_a_read_sees_one_moment(world: World) -> None:
    database = open_store(world.settings)
    with database.read() as store:
        assert not store.scalars(select(Score)).all()
        with database.write(Actor()) as other:
            other.add(Score(patient_id=world.patients["amy"], created_by="x", day=DAY, outcome="NRS", value=5.0,
                            origin="practice"))
        assert not store.scalars(select(Score)).all()
    with database.read() as store:
        assert len(store.scalars(select(Score)).all()) == 1
    database.close()


def test_who_waits_too_long_for_a_turn_is_told_and_no_turn_is_lost(world: World, monkeypatch) -> None:
    database = open_store(world.settings)
    monkeypatch.setattr(store_database, "TURN_SECONDS", 0.05)
    with database.write(Actor()):
        with pytest.raises(StoreUnavailable, match="at once; nothing was saved"), database.write(Actor()):
            pass
    with pytest.raises(ZeroDivisionError), database.write(Actor()):
        raise ZeroDivisionError
    with database.write(Actor()) as store:
        assert store.scalar(select(func.count()).select_from(Entry))
    database.close()


def test_of_two_changes_from_one_version_the_second_is_refused(world: World) -> None:
    database = open_store(world.settings)
    with database.read() as store:
        mine = store.get_one(Person, world.patients["amy"])
    with database.write(Actor()) as store:
        store.get_one(Person, world.patients["amy"]).contact = "theirs"
    with pytest.raises(Conflict), database.write(Actor()) as store:
        mine.contact = "mine"
        store.add(mine)
    with database.read() as store:
        assert store.get_one(Person, world.patients["amy"]).contact == "theirs"
    database.close()
