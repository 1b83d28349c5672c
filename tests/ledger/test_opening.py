"""Opening: only what is ours, only what we know, and a copy before it changes."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from oneapi.errors import StoreError
from oneapi.ledger.opening import connect, copy, migrate, reading
from oneapi.ledger.record import Record
from oneapi.ledger.schema import VERSION
from oneapi.ledger.store_sqlite import SqliteStore

MakeRecord = Callable[..., Record]


def fails_to_open(path: Path) -> str:
    with pytest.raises(StoreError) as caught:
        SqliteStore(path, busy_timeout_s=0.1).open()
    assert str(path) in str(caught.value)
    return str(caught.value)


def execute(path: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_the_originals_database_is_refused_and_left_as_it_is(path: Path) -> None:
    execute(path, "CREATE TABLE users (id, username, quota)", "CREATE TABLE channels (id, key)")
    before = path.read_bytes()
    words = fails_to_open(path)
    assert "`oneapi import`" in words
    assert "channels, users" in words
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_newer_schema_is_refused(store: SqliteStore, path: Path) -> None:
    store.close()
    execute(path, f"PRAGMA user_version = {VERSION + 1}")
    assert f"version {VERSION + 1}, this program knows {VERSION}" in fails_to_open(path)
    with pytest.raises(StoreError, match="this program knows"), reading(path):
        pass


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path: Path) -> None:
    path.write_bytes(b"port = 3000\n" * 100)
    assert "not an SQLite database" in fails_to_open(path)
    assert path.read_bytes() == b"port = 3000\n" * 100


def test_a_folder_is_refused(path: Path) -> None:
    path.mkdir()
    assert "a folder" in fails_to_open(path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "file is not a folder" in fails_to_open(tmp_path / "file" / "oneapi.db")


def test_a_locked_file_is_refused_in_words(store: SqliteStore, path: Path) -> None:
    store.close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "another program holds it locked" in fails_to_open(path)


def test_an_empty_file_is_taken(path: Path) -> None:
    path.touch()
    store = SqliteStore(path)
    store.open()
    store.close()
    with reading(path) as db:
        assert "records" in db.table_names()


def test_a_path_with_special_characters_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a ?b#%20é.db"
    store = SqliteStore(path)
    store.open()
    store.close()
    assert path.exists()


def test_reading_where_nothing_is_says_so_and_makes_nothing(path: Path) -> None:
    with pytest.raises(StoreError, match="there is no ledger yet"), reading(path):
        pass
    assert not path.exists()


def test_a_reader_cannot_write(store: SqliteStore, path: Path) -> None:
    with pytest.raises(StoreError, match="readonly"), reading(path) as db:
        db.execute("DELETE FROM records")


def two_versions() -> Migrations:
    steps = Migrations("test")

    @steps(name="2")
    def _second(db: Database, /) -> None:
        db.table("records").add_column("colour", str)

    return steps


def test_migrating_keeps_a_private_copy_of_the_old_version(store: SqliteStore, path: Path) -> None:
    store.save_revision("r1", outcome="loaded", text="", origin="file", keep=5)
    store.close()
    db = connect(path, busy_timeout_s=1)
    with contextlib.closing(db.conn):
        migrate(db, path, migrations=two_versions(), version=VERSION + 1)
        assert "colour" in db.table("records").columns_dict
    kept = path.with_name(f"oneapi.db.v{VERSION}-backup")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    with reading(kept) as old:
        assert "colour" not in old.table("records").columns_dict
        assert old.table("revisions").count == 1


def test_a_migration_that_fails_changes_nothing(store: SqliteStore, path: Path) -> None:
    store.close()
    steps = two_versions()

    @steps(name="3")
    def _third(db: Database, /) -> None:
        raise RuntimeError("half-way")

    db = connect(path, busy_timeout_s=1)
    with contextlib.closing(db.conn):
        for _ in range(2):
            with pytest.raises(RuntimeError):
                migrate(db, path, migrations=steps, version=VERSION + 2)
        assert "colour" not in db.table("records").columns_dict
    assert path.with_name(
        f"oneapi.db.v{VERSION}-backup-2"
    ).exists()  # no copy is written over another
    SqliteStore(path).open()


def test_processes_that_start_together_make_one_database(path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from oneapi.ledger.store_sqlite import SqliteStore\n"
        "sys.stdin.read(1)\n"
        "s = SqliteStore(Path(sys.argv[1])); s.open()\n"
        "print(s.declare('user', {'alice': None})); s.close()\n"
    )
    command = [sys.executable, "-c", script, str(path)]
    pipe = subprocess.PIPE
    children = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("x")
        child.stdin.flush()
    printed = {child.communicate(timeout=30)[0] for child in children}
    assert printed == {"{'alice': 1}\n"}


def test_a_copy_that_fails_is_removed(path: Path, tmp_path: Path) -> None:
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError):
        copy(path, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
