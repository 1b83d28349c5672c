"""Connections to the ledger's file: created for the owner's eyes alone, checked, migrated."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from sqlite_utils import Database, Migrations

from oneapi.errors import StoreError
from oneapi.ledger.schema import APPLICATION_ID, MIGRATIONS, VERSION, pragma, version_of

_WAL_LIMIT = 64 * 1024 * 1024  # bytes that the -wal file shrinks to after a burst


def is_busy(error: sqlite3.Error) -> bool:
    """Whether somebody else held a lock for longer than the busy time-out."""
    # The low byte is the primary code; locks come in several extended ones.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def store_error(path: Path, error: sqlite3.Error) -> StoreError:
    """SQLite's error in words that say what to do."""
    hints = {
        sqlite3.SQLITE_BUSY: "another program holds it locked",
        sqlite3.SQLITE_FULL: "the disk is full",
        sqlite3.SQLITE_IOERR: "the disk failed or is full",
        sqlite3.SQLITE_READONLY: "it may be read only; see the modes and owner of file and folder",
        sqlite3.SQLITE_CANTOPEN: "see that file and folder exist and may be read and written",
        sqlite3.SQLITE_CORRUPT: "the file is damaged; restore a backup",
        sqlite3.SQLITE_NOTADB: "this is not an SQLite database, and it was left as it is",
    }
    hint = hints.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    return StoreError(f"{path}: {error} ({hint})" if hint else f"{path}: {error}")


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors leave as ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise store_error(path, error) from error


def connect(path: Path, *, busy_timeout_s: float, read_only: bool = False) -> Database:
    """A connection in autocommit to an existing file, for any thread. Raises `sqlite3.Error`."""
    mode = "ro" if read_only else "rw"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=busy_timeout_s,
        isolation_level=None,
        check_same_thread=False,
    )
    # Else a REPLACE passes the triggers by that keep rows of the book and the trail as they are.
    connection.execute("PRAGMA recursive_triggers = ON")
    # Plugins are looked up in the user's site-packages too, which are none of our business (D52).
    return Database(connection, execute_plugins=False)


@contextlib.contextmanager
def reading(path: Path, *, busy_timeout_s: float = 10.0) -> Iterator[Database]:
    """A read-only connection to a ledger that may be in use. Raises `StoreError`."""
    if not path.exists():
        raise StoreError(f"{path}: there is no ledger yet; `oneapi serve` makes it")
    with translated(path):
        db = connect(path, busy_timeout_s=busy_timeout_s, read_only=True)
        with contextlib.closing(db.conn):
            if version_of(db, str(path)) < VERSION:
                raise StoreError(f"{path}: its schema is older, `oneapi serve` updates it")
            yield db


def open_for_writing(path: Path, *, busy_timeout_s: float) -> Database:
    """The writer's connection; the file is made (0600) or migrated. Raises `StoreError`."""
    create(path)
    with translated(path):
        db = connect(path, busy_timeout_s=busy_timeout_s)
        try:
            version_of(db, str(path))  # before anything is changed in a file that is not ours
            if pragma(db, "page_count") == 0:
                db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # later only a VACUUM could
            _enable_wal(db, busy_timeout_s)
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
            migrate(db, path)
            db.execute("BEGIN IMMEDIATE")  # says at once where the file is read only or locked
            db.conn.rollback()
        except BaseException:
            db.conn.close()
            raise
    return db


def create(path: Path) -> None:
    """Make an empty file that only its owner may read, where there is none. Raises `StoreError`."""
    if path.is_dir():
        raise StoreError(f"{path}: this is a folder; the ledger is a file")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _create_new(path)
    except FileExistsError as error:
        if not path.exists():
            raise StoreError(f"{path}: {error.filename} is not a folder") from error
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error


def _create_new(path: Path) -> None:
    """Whatever the umask: SQLite gives the same mode to the files it puts beside this one (D39)."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


def _enable_wal(db: Database, busy_timeout_s: float) -> None:
    """Write-ahead logging. Where two processes start, SQLite does not wait by itself."""
    until = time.monotonic() + busy_timeout_s
    while True:
        try:
            db.enable_wal()
            return
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)


def migrate(
    db: Database, path: Path, *, migrations: Migrations = MIGRATIONS, version: int = VERSION
) -> None:
    """Bring the schema up to `version` in one transaction, after a copy of what holds records.

    The copy stands beside the file as `NAME.v1-backup`. Raises `StoreError`, `sqlite3.Error`.
    """
    if pragma(db, "application_id") == APPLICATION_ID and pragma(db, "user_version") >= version:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        found = version_of(db, str(path))  # again: another process may just have migrated
        if found < version:
            if found:
                copy(path, _free_name(path, found))
            migrations.apply(db)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {version}")
        db.execute("COMMIT")
    finally:
        db.conn.rollback()  # does nothing after a commit


def _free_name(path: Path, version: int) -> Path:
    """A name for the copy that an earlier attempt has not taken."""
    name = f"{path.name}.v{version}-backup"
    taken = 1
    target = path.with_name(name)
    while target.exists():
        taken += 1
        target = path.with_name(f"{name}-{taken}")
    return target


def copy(source: Path, target: Path) -> None:
    """A consistent copy of a database in use, 0600. Raises `StoreError`; overwrites nothing."""
    try:
        _create_new(target)
    except FileExistsError:
        raise StoreError(f"{target}: it exists, and nothing is overwritten") from None
    except OSError as error:
        raise StoreError(f"{target}: {error.strerror}") from error
    try:
        with translated(target):
            _copy(source, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _copy(source: Path, target: Path) -> None:
    reader = connect(source, busy_timeout_s=10.0, read_only=True)
    with contextlib.closing(reader.conn):
        writer = connect(target, busy_timeout_s=10.0)
        with contextlib.closing(writer.conn):
            # All pages in one step: one read transaction, which no writer waits for. Step by step
            # would begin again whenever another process commits, so perhaps never end.
            reader.conn.backup(writer.conn, pages=-1)
            writer.execute("PRAGMA journal_mode = DELETE")  # one file, readable from anywhere
