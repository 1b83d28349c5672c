"""Copies of a ledger in use."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from oneapi.errors import StoreError
from oneapi.ledger.backup import backup
from oneapi.ledger.queries import records
from oneapi.ledger.record import Record
from oneapi.ledger.store_sqlite import SqliteStore

MakeRecord = Callable[..., Record]


def test_a_copy_made_while_records_are_written_is_whole(
    store: SqliteStore, path: Path, tmp_path: Path, make_record: MakeRecord
) -> None:
    going = threading.Event()
    going.set()

    def write() -> None:
        while going.is_set():
            for _ in range(50):
                store.post(make_record())
            store.transact(lambda _: None).result()

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for n in range(5):
            backup(path, tmp_path / f"copy{n}.db")
    finally:
        going.clear()
        writing.join()
    sizes = []
    for n in range(5):
        with closing(sqlite3.connect(tmp_path / f"copy{n}.db")) as copied:
            assert copied.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            (tail,) = copied.execute("SELECT count(*) FROM tail").fetchone()
            (size,) = copied.execute("SELECT count(*) FROM records").fetchone()
            assert tail == size
            sizes.append(size)
    assert sizes == sorted(sizes)


def test_a_copy_is_one_private_file_that_sqlite_utils_reads(
    store: SqliteStore, path: Path, tmp_path: Path
) -> None:
    before = os.umask(0)
    try:
        backup(path, tmp_path / "copy.db")
    finally:
        os.umask(before)
    assert sorted(p.name for p in tmp_path.glob("copy*")) == ["copy.db"]
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    command = [sys.executable, "-m", "sqlite_utils", "tables", str(tmp_path / "copy.db"), "--csv"]
    assert "records" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_copy_is_a_ledger(
    store: SqliteStore, path: Path, tmp_path: Path, make_record: MakeRecord
) -> None:
    store.post(make_record())
    store.close()
    backup(path, tmp_path / "copy.db")
    restored = SqliteStore(tmp_path / "copy.db")
    restored.open()
    restored.post(make_record())
    restored.close()
    assert len(list(records(tmp_path / "copy.db"))) == 2


def test_nothing_is_overwritten(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("precious")
    with pytest.raises(StoreError, match="nothing is overwritten"):
        backup(path, tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "precious"


def test_what_is_no_ledger_is_not_copied(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE notes (text)")
    with pytest.raises(StoreError, match="another program's database"):
        backup(path, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_a_folder_that_does_not_exist_is_named(store: SqliteStore, path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere.*No such file"):
        backup(path, path.parent / "nowhere" / "copy.db")
