"""Which processes write to a ledger, and whether each still lives.

A process holds a lock on a small file beside the database, `NAME.<number>.alive`; the kernel
releases it however the process ends. Registering and finding the dead happen inside write
transactions, so that no two processes do either at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from sqlite_utils import Database

from oneapi.errors import StoreError

FORGET_MS = 3_600_000
"""How long the row of a dead process stays: one that was only thought dead finds itself again."""


class Alive:
    """This process's place among those that write: its number, and the lock that says it lives."""

    def __init__(self, number: int, path: Path, handle: int) -> None:
        self.number = number
        self._path = path
        self._handle = handle

    def end(self) -> None:
        """Let go of the lock and remove its file. May be called twice."""
        if self._handle >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = -1

    def abandon(self) -> None:
        """Let go of the lock alone, as the kernel does when a process is killed."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def register(db: Database, path: Path, now_ms: int) -> Alive:
    """Take a number and its lock. Within a transaction; raises `StoreError`.

    Everything that was written before is somebody else's to sum up.
    """
    number = db.execute("SELECT coalesce(max(id), 0) + 1 FROM processes").fetchone()[0]
    while (alive := _lock(path, number)) is None:
        number += 1
    db.execute(
        "INSERT INTO processes (id, pid, started_ms, synced_seq)"
        " VALUES (?, ?, ?, (SELECT coalesce(max(seq), 0) FROM tail))",
        (number, os.getpid(), now_ms),
    )
    return alive


def dead(db: Database, path: Path, own: int) -> list[int]:
    """Numbers of processes that have ended without a word."""
    rows = db.execute("SELECT id, pid FROM processes WHERE id <> ? AND gone_ms = 0", (own,))
    return [number for number, pid in rows.fetchall() if _is_dead(path, number, pid)]


def forget(path: Path, number: int) -> None:
    """Remove what a dead process left, after the commit that took over its account."""
    with contextlib.suppress(OSError):
        _file(path, number).unlink()


def _file(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}.alive")


def _lock(path: Path, number: int) -> Alive | None:
    """None where another process has that file locked."""
    file = _file(path, number)
    try:
        handle = os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        words = f"{file}: {error.strerror}; the ledger's folder must be writable"
        raise StoreError(words) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError as error:
        os.close(handle)
        raise StoreError(f"{file}: it cannot be locked: {error.strerror}") from error
    return Alive(number, file, handle)


def _is_dead(path: Path, number: int, pid: int) -> bool:
    """Whether nobody holds its lock. Where somebody removed the file, the process's id tells; an id
    that is our own now (1 in a container) was another's then.
    """
    try:
        handle = os.open(_file(path, number), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return pid == os.getpid() or not _runs(pid)
    except OSError:
        return False  # it cannot be told; another time
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(handle)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
