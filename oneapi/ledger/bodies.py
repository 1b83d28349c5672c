"""Bodies of requests and answers, in a file of their own: written behind everybody's back.

One thread of its own compresses and writes; when it cannot keep up, or the disk is full, bodies
are dropped and counted, and no request hears of it. What is too old or too much goes, oldest first.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from sqlite_utils import Database

from oneapi.errors import StoreError
from oneapi.ledger.opening import connect, create, translated
from oneapi.ledger.purge import used_bytes
from oneapi.ledger.record import first_id
from oneapi.ledger.schema import pragma

log = logging.getLogger("oneapi.bodies")

APPLICATION_ID: Final = int.from_bytes(b"1BOD", "big")
MOST_WAITING: Final = 64 * 1024 * 1024
"""Bytes that may wait to be written; what comes beyond is dropped."""
_GROUP: Final = 64
_PURGE_S: Final = 10.0
_CHUNK: Final = 200  # bodies that a purge deletes at once
_FREED: Final = 2_000  # pages given back at once
_SAY_S: Final = 60.0
_BUSY_S: Final = 5.0
_LEVEL: Final = 6


@dataclass(frozen=True, slots=True)
class Pair:
    """What came in and what went out for one record, cut to what is kept; the sizes are those of
    the whole bodies, in bytes.
    """

    id: int
    request: bytes
    answer: bytes
    request_size: int
    answer_size: int


Making: TypeAlias = Callable[[], Pair]
"""Makes a pair ready for the disk, secrets masked. Called in the thread."""


@dataclass(slots=True)
class Bounds:
    """How long bodies are kept, and the largest size of their file in bytes."""

    keep_s: int
    max_size: int


class BodyStore:
    """Safe for any number of threads, and for several processes over one file."""

    def __init__(self, path: Path, bounds: Bounds) -> None:
        self.path = path
        self.bounds = bounds
        self.dropped = 0
        self._queue: queue.SimpleQueue[tuple[Making, int] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # guards what stands below
        self._waiting = 0
        self._thread: threading.Thread | None = None
        self._closed = False
        self._said_s = -_SAY_S

    def put(self, making: Making, size: int) -> bool:
        """Queue a pair that holds `size` bytes; False where it is dropped. Never blocks."""
        with self._lock:
            if self._closed or self._waiting + size > MOST_WAITING:
                self._drop(1, "more come than can be written")
                return False
            self._waiting += size
            self._start()
        self._queue.put((making, size))
        return True

    def tend(self) -> None:
        """See that what is too old goes, also while nothing new comes."""
        with self._lock:
            if not self._closed and self.path.exists():
                self._start()

    def close(self, wait_s: float = 5.0) -> None:
        """Write what is queued, for so long at most. Blocks."""
        with self._lock:
            self._closed = True
            thread = self._thread
        self._queue.put(None)
        if thread is not None:
            thread.join(wait_s)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="bodies", daemon=True)
            self._thread.start()

    def _drop(self, count: int, why: str) -> None:
        """Count what is dropped; say so once a minute at most. Called with the lock."""
        self.dropped += count
        if time.monotonic() - self._said_s > _SAY_S:
            self._said_s = time.monotonic()
            log.warning("%s: bodies are dropped, %d so far: %s", self.path, self.dropped, why)

    def _run(self) -> None:
        db: Database | None = None
        purged_s = -_PURGE_S
        ended = False
        while not ended:
            group, ended = self._take()
            try:
                if db is None:
                    db = open_bodies(self.path)
                self._write(db, group)
                if time.monotonic() - purged_s > _PURGE_S:
                    purge(db, self.bounds, time.time_ns() // 1_000_000)
                    purged_s = time.monotonic()
            except (sqlite3.Error, StoreError) as error:
                with self._lock:
                    self._drop(len(group), str(error))
                if db is not None:  # perhaps the file was taken away: open it anew
                    db.conn.close()
                    db = None
            with self._lock:
                self._waiting -= sum(size for _, size in group)
        if db is not None:
            db.conn.close()

    def _take(self) -> tuple[list[tuple[Making, int]], bool]:
        """What waits, and whether it is the last."""
        group: list[tuple[Making, int]] = []
        with contextlib.suppress(queue.Empty):
            item = self._queue.get(timeout=_PURGE_S)
            while item is not None:
                group.append(item)
                if len(group) == _GROUP:
                    return group, False
                item = self._queue.get_nowait()
            return group, True
        return group, False

    def _write(self, db: Database, group: list[tuple[Making, int]]) -> None:
        rows = []
        for making, _ in group:
            try:
                pair = making()
            except Exception:  # a body that nobody can mask must not end the thread
                log.exception("a body is not kept")
                with self._lock:
                    self._drop(1, "it could not be masked")
                continue
            rows.append(
                (
                    pair.id,
                    zlib.compress(pair.request, _LEVEL),
                    zlib.compress(pair.answer, _LEVEL),
                    pair.request_size,
                    pair.answer_size,
                )
            )
        if rows:
            db.execute("BEGIN IMMEDIATE")
            try:
                db.conn.executemany("INSERT OR REPLACE INTO bodies VALUES (?, ?, ?, ?, ?)", rows)
                db.execute("COMMIT")
            finally:
                db.conn.rollback()  # does nothing after a commit


def open_bodies(path: Path) -> Database:
    """The file, made for the owner's eyes alone where it is new. Raises `StoreError`."""
    create(path)
    with translated(path):
        db = connect(path, busy_timeout_s=_BUSY_S)
        try:
            if pragma(db, "application_id") != APPLICATION_ID:
                if db.table_names():
                    raise StoreError(
                        f"{path}: this is another program's database; name another file in"
                        " logs.bodies.path"
                    )
                _create(db)
            db.execute("PRAGMA synchronous = OFF")  # nobody waits, nothing depends on it
        except BaseException:
            db.conn.close()
            raise
    return db


def _create(db: Database) -> None:
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.enable_wal()
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute(
            "CREATE TABLE IF NOT EXISTS bodies (id INTEGER PRIMARY KEY, request BLOB NOT NULL,"
            " answer BLOB NOT NULL, request_size INTEGER NOT NULL, answer_size INTEGER NOT NULL)"
        )
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("COMMIT")
    finally:
        db.conn.rollback()


def purge(db: Database, bounds: Bounds, now_ms: int) -> int:
    """Delete what is too old, then the oldest while the file is too large; how many went."""
    border = first_id(now_ms - bounds.keep_s * 1000)
    gone = 0
    while True:
        too_large = used_bytes(db) > bounds.max_size
        where = "true" if too_large else f"id < {border}"
        most = _CHUNK if not too_large else _CHUNK // 10
        done = db.execute(
            "DELETE FROM bodies WHERE id IN"
            f" (SELECT id FROM bodies WHERE {where} ORDER BY id LIMIT {most})"
        ).rowcount
        gone += done
        if not done:
            break
    while (free := pragma(db, "freelist_count")) > 0:
        db.execute(f"PRAGMA incremental_vacuum({_FREED})").fetchall()
        if pragma(db, "freelist_count") >= free:
            break
    return gone


def find(path: Path, record_id: int) -> Pair | None:
    """The bodies of a record, if they are kept. Raises `StoreError`."""
    if not path.exists():
        return None
    with translated(path):
        db = connect(path, busy_timeout_s=_BUSY_S, read_only=True)
        with contextlib.closing(db.conn):
            if pragma(db, "application_id") != APPLICATION_ID:
                return None  # it is just being made, or somebody else's
            row = db.execute("SELECT * FROM bodies WHERE id = ?", (record_id,)).fetchone()
    if row is None:
        return None
    number, request, answer, request_size, answer_size = row
    return Pair(
        number, zlib.decompress(request), zlib.decompress(answer), request_size, answer_size
    )
