"""The one thread that writes: records in groups, each group one commit."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from oneapi.errors import StoreError
from oneapi.ledger import charging, spending
from oneapi.ledger.base import Told
from oneapi.ledger.charging import Charges, Flush
from oneapi.ledger.names import Names
from oneapi.ledger.opening import is_busy, store_error
from oneapi.ledger.record import Record, new_id
from oneapi.ledger.rows import INSERT, Row, clamped, row

log = logging.getLogger("oneapi.ledger")

MAX_GROUP = 512
"""Records a commit: more would make the first of them wait for the last."""
BUSY_TRIES = 2
"""Times a locked database is tried; each waits for the busy time-out first."""
TAIL = 50_000
"""Records that `tail` keeps at least, and prunes when it holds this many more or so."""
PRUNE_EVERY = 5_000

Waiting = asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class Entry:
    """A record to be written, who waits for it, and who hears of it first."""

    record: Record
    future: Waiting | None = None
    told: Told | None = None


_MISFITS = (
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    AttributeError,
    OverflowError,
    TypeError,
    ValueError,
)
"""What one record can raise that the others of its group have nothing to do with."""


def closed(path: Path) -> StoreError:
    """What is said to whoever comes before `open` or after `close`."""
    return StoreError(f"{path}: the ledger is closed")


@dataclass(frozen=True, slots=True)
class Job:
    """Something else to do in a transaction of its own, and who waits for its result."""

    work: Callable[[Database], Any]
    done: concurrent.futures.Future[Any]
    committed: Callable[[Any], None] | None = None
    """Told of the result by the writer's thread, before it does anything else."""
    writes: bool = True


class Writer:
    """Owns the connection while it runs. `put` and `stop` may be called from any thread."""

    def __init__(self, db: Database, path: Path, charges: Charges) -> None:
        self.names = Names(db)
        self.charges = charges
        self.error: str | None = None  # the last write's failure; written by this thread alone
        self._db = db
        self._path = path
        self._queue: queue.SimpleQueue[Entry | Job | None] = queue.SimpleQueue()
        self._since_prune = PRUNE_EVERY  # an earlier process may have left some
        self._lock = threading.Lock()
        self._stopped = False  # guarded by the lock: after the last item nothing is queued
        self._finished = False
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, item: Entry | Job) -> None:
        """Queue something. Raises `StoreError` after `stop`."""
        with self._lock:
            if self._stopped:
                raise closed(self._path)
            self._queue.put(item)

    def stop(self) -> None:
        """Write what is queued and end the thread. Blocks."""
        with self._lock:
            self._stopped = True
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while not self._finished:
            entries, then = self._take()
            if entries:
                self._write_safely(entries)
            if then is not None:
                self._do(then)

    def _take(self) -> tuple[list[Entry], Job | None]:
        """What waits, up to a group or the first job, which comes after the records before it."""
        entries: list[Entry] = []
        item = self._queue.get()
        left = min(self._queue.qsize(), MAX_GROUP - 1)  # nobody else takes: so many are there
        while True:
            if item is None:
                self._finished = True
                return entries, None
            if isinstance(item, Job):
                return entries, item
            entries.append(item)
            if not left:
                return entries, None
            left -= 1
            item = self._queue.get_nowait()

    def _write_safely(self, entries: list[Entry]) -> None:
        """Write a group. Whatever happens, who waits hears of it and the thread lives on."""
        try:
            outcome = self._write(entries)
        except Exception as error:  # the thread's outermost border
            log.exception("%s: the writer failed", self._path)
            failure = StoreError(f"{self._path}: {type(error).__name__}: {error}")
            self._undo()
            self.error = str(failure)
            outcome = [(entry, failure) for entry in entries]
        _answer(outcome)

    def _write(self, entries: list[Entry]) -> list[tuple[Entry, StoreError | None]]:
        for attempt in range(1, BUSY_TRIES + 1):
            try:
                rows = [self._row(entry.record) for entry in entries]
                self._commit(rows)
            except _MISFITS:
                return self._one_by_one(entries)
            except sqlite3.Error as error:
                self._undo()
                if is_busy(error) and attempt < BUSY_TRIES:
                    continue
                return self._failed(entries, store_error(self._path, error))
            for entry, values in zip(entries, rows, strict=True):
                self._charge(entry, values)
            self._wrote(len(rows))
            return [(entry, None) for entry in entries]
        raise AssertionError("the last attempt returns")

    def _charge(self, entry: Entry, values: Row) -> None:
        heard = entry.told is not None
        entry.record.charges = self.charges.charge(values, tell=heard)

    def _row(self, record: Record) -> Row:
        return row(record, self.names.id, self.names.price(record.price_rule, record.price))

    def _commit(self, rows: list[Row]) -> None:
        # One row is a transaction by itself: SQLite is entered once, so that the interpreter is
        # given away, and waited for, once.
        connection = self._db.conn
        if len(rows) == 1:
            connection.execute(INSERT, rows[0])
            return
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, rows)
        connection.execute("COMMIT")

    def _undo(self) -> None:
        """End a failed transaction; SQLite may have done so itself."""
        try:
            self._db.conn.rollback()
        except sqlite3.Error as error:
            log.warning("%s: rollback: %s", self._path, error)

    def _failed(
        self, entries: Sequence[Entry], error: StoreError
    ) -> list[tuple[Entry, StoreError | None]]:
        # Once a trouble, not once a request; but nobody else tells of a record none waits for.
        level = logging.ERROR if self.error is None else logging.DEBUG
        unheard = sum(entry.future is None for entry in entries)
        log.log(level, "%d records were not written: %s", len(entries), error)
        if unheard and level == logging.DEBUG:
            log.error("%d records that nobody waits for were not written", unheard)
        self.error = str(error)
        return [(entry, error) for entry in entries]

    def _one_by_one(self, entries: list[Entry]) -> list[tuple[Entry, StoreError | None]]:
        """A group in which one record does not fit: the others must not suffer for it."""
        self._undo()
        return [(entry, self._write_alone(entry)) for entry in entries]

    def _write_alone(self, entry: Entry) -> StoreError | None:
        record = entry.record
        try:
            values = clamped(self._row(record))
            while not self._insert_new(entry, values):
                record.id = new_id()  # a process with our lane had the same instant
                values = (record.id, *values[1:])
        except _MISFITS as error:
            log.error("record %s does not fit the ledger: %s", record.id, error)
            return StoreError(f"{self._path}: the record does not fit: {error}")
        except sqlite3.Error as error:
            self._undo()
            failure = store_error(self._path, error)
            self._failed([entry], failure)
            return failure
        return None

    def _insert_new(self, entry: Entry, values: Row) -> bool:
        """Whether the row is in the table now; not, where another one has its id."""
        try:
            self._commit([values])
        except sqlite3.IntegrityError:
            found = self._db.execute("SELECT * FROM records WHERE id = ?", values[:1]).fetchone()
            if found is None:  # it is no clash of ids
                raise
            return bool(found == values)
        self._charge(entry, values)
        self._wrote(1)
        return True

    def _wrote(self, count: int) -> None:
        """Note a success; now and then keep `tail` short, which the next write can do as well."""
        if self.error is not None:
            log.info("%s: records are written again", self._path)
            self.error = None
        self._since_prune += count
        if self._since_prune < PRUNE_EVERY:
            return
        self._since_prune = 0
        done: concurrent.futures.Future[Flush] = concurrent.futures.Future()
        self._do(Job(self._prune, done, self.charges.flushed))
        if (error := done.exception()) is not None:
            log.warning("%s: pruning: %s", self._path, error)

    def _prune(self, db: Database) -> Flush:
        """Shorten `tail` as far as every process has summed up what stands in it."""
        now_ms = time.time_ns() // 1_000_000
        flush = charging.flush(db, self.charges, now_ms)
        db.execute(
            "DELETE FROM tail WHERE seq <= min((SELECT max(seq) FROM tail) - ?,"
            " (SELECT min(synced_seq) FROM processes WHERE gone_ms = 0))",
            (TAIL,),
        )
        spending.prune(db, now_ms)
        return flush

    def _do(self, job: Job) -> None:
        """A job in a transaction. It runs once more where the database was locked."""
        if not job.done.set_running_or_notify_cancel():
            return
        for attempt in range(1, BUSY_TRIES + 1):
            try:
                if job.writes:
                    self._db.execute("BEGIN IMMEDIATE")
                result = job.work(self._db)
                if job.writes:
                    self._db.execute("COMMIT")
                if job.committed is not None:
                    job.committed(result)
            except sqlite3.Error as error:
                self._undo()
                if is_busy(error) and attempt < BUSY_TRIES:
                    continue
                failure = store_error(self._path, error)
                self.error = str(failure)
                job.done.set_exception(failure)
            except Exception as error:  # noqa: BLE001  the thread's outermost border
                self._undo()
                job.done.set_exception(error)
            else:
                if job.writes:
                    self.error = None
                job.done.set_result(result)
            return


def _answer(outcome: Sequence[tuple[Entry, StoreError | None]]) -> None:
    """Tell those who wait, each on its loop, with one wake-up a loop."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[Entry, StoreError | None]]] = {}
    for entry, error in outcome:
        if entry.future is not None:
            loops.setdefault(entry.future.get_loop(), []).append((entry, error))
    for loop, entries in loops.items():
        try:
            loop.call_soon_threadsafe(_resolve, entries)
        except RuntimeError:
            log.debug("an event loop ended before its records were written")


def _resolve(outcome: Sequence[tuple[Entry, StoreError | None]]) -> None:
    for entry, error in outcome:
        if entry.told is not None:
            entry.told(error)
        if entry.future is None or entry.future.done():  # the client left while the commit ran
            continue
        if error is None:
            entry.future.set_result(None)
        else:
            entry.future.set_exception(error)
