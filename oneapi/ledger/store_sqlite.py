"""The embedded store: one SQLite file, in write-ahead mode, one writing thread (D52).

Commits are `synchronous = normal`: what was acknowledged survives the death of the process at
any moment, and the last moments before a power cut may be missing, in order.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from sqlite_utils import Database

from oneapi.errors import StoreError
from oneapi.ledger import charging, joining, leases, names, processes, queries, spending
from oneapi.ledger.base import DeclaredKind, Look, Revision, Told
from oneapi.ledger.charging import Charges, Flush
from oneapi.ledger.leases import Turn, Turned
from oneapi.ledger.opening import open_for_writing, translated
from oneapi.ledger.processes import Alive
from oneapi.ledger.record import Record
from oneapi.ledger.schema import VERSION, pragma
from oneapi.ledger.writer import Entry, Job, Writer, closed

T = TypeVar("T")

PROBE_S = 1.0
"""Seconds between attempts to write where the last write failed and nobody else tries."""


class SqliteStore:
    """`Store` over a file. Any number of processes may have it open."""

    def __init__(self, path: Path, *, busy_timeout_s: float = 10.0) -> None:
        self.path = path
        self._busy_timeout_s = busy_timeout_s
        self._lock = threading.Lock()  # opening and closing only
        self._db: Database | None = None
        self._writer: Writer | None = None
        self._probed_s = 0.0
        self._alive: Alive | None = None
        self._renamings = 0
        self._stale = False  # our own turns are no change of `version`
        self._seen = Look(-1, frozenset(), True, False)  # the writer's thread alone replaces it

    def open(self) -> None:
        """Create or migrate the file and start the writer. Raises `StoreError`."""
        with self._lock:
            if self._writer is not None:
                return
            self._db = open_for_writing(self.path, busy_timeout_s=self._busy_timeout_s)
            try:
                with translated(self.path):
                    self._alive, charges = joining.join(self._db, self.path)
            except BaseException:
                self._db.conn.close()
                self._db = None
                raise
            writer = Writer(self._db, self.path, charges)
            writer.start()
            self._writer = writer

    def append(self, record: Record, told: Told | None = None) -> asyncio.Future[None]:
        """See `Store.append`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            self._running().put(Entry(record, future, told))
        except StoreError as error:
            if told is not None:
                told(error)
            future.set_exception(error)
        return future

    def post(self, record: Record) -> None:
        """See `Store.post`. Raises `StoreError` where the store is closed."""
        self._running().put(Entry(record))

    def turn(self, asked: Turn) -> concurrent.futures.Future[Turned]:
        """See `Store.turn`. Raises `StoreError` where the store is closed."""
        writer, path = self._running(), self.path
        done: concurrent.futures.Future[Turned] = concurrent.futures.Future()

        def work(db: Database) -> Turned:
            return leases.turn(db, path, writer.charges, asked)

        def committed(turned: Turned) -> None:
            writer.charges.flushed(turned.flush)
            writer.charges.passed_on(turned.known, turned.totals)
            self._stale = True
            for number in turned.dead:
                processes.forget(path, number)

        writer.put(Job(work, done, committed))
        return done

    def look(self, now_ms: int) -> concurrent.futures.Future[Look]:
        """See `Store.look`. Raises `StoreError` where the store is closed."""
        writer = self._running()
        done: concurrent.futures.Future[Look] = concurrent.futures.Future()
        writer.put(Job(functools.partial(self._look, writer.charges, now_ms), done, writes=False))
        return done

    def _look(self, charges: Charges, now_ms: int, db: Database) -> Look:
        # Of this connection: it rises by what others commit, never by our own records.
        version = pragma(db, "data_version")
        if version != self._seen.version or self._stale:
            self._stale = False
            others = "SELECT 1 FROM processes WHERE id <> ? AND gone_ms = 0 LIMIT 1"
            alone = db.execute(others, (charges.number,)).fetchone() is None
            short = leases.short(db, charges.number, now_ms)
            self._seen = Look(version, short, not alone, False)
        elif self._seen.short:  # it ends by itself
            self._seen = replace(self._seen, short=leases.short(db, charges.number, now_ms))
        return replace(self._seen, unwritten=bool(charges.added))

    def sum_up(self) -> concurrent.futures.Future[Flush]:
        """Write now what this process's records add to the ledger's sums. Raises `StoreError` where
        the store is closed.
        """
        charges = self._running().charges
        done: concurrent.futures.Future[Flush] = concurrent.futures.Future()

        def work(db: Database) -> Flush:
            return charging.flush(db, charges, time.time_ns() // 1_000_000)

        self._running().put(Job(work, done, charges.flushed))
        return done

    def data_version(self) -> int:
        """A number that is another one when somebody else has committed something: another
        process, or another connection of this one. As old as the door's last look, which is
        every quarter of a second; costs nothing.
        """
        return self._seen.version

    @property
    def renamings(self) -> int:
        """See `Store.renamings`."""
        return self._renamings

    async def flush(self) -> None:
        """See `Store.flush`."""
        await asyncio.wrap_future(self.transact(lambda _: None))

    def close(self) -> None:
        """See `Store.close`."""
        with self._lock:
            writer, self._writer = self._writer, None
            if writer is None or self._db is None:
                return
            writer.stop()
            joining.leave(self._db, self.path, writer.charges)
            self._db.conn.close()
            self._db = None
            if self._alive is not None:
                self._alive.end()

    def transact(self, work: Callable[[Database], T]) -> concurrent.futures.Future[T]:
        """Do something in the writer's thread, in a transaction after what was given before.

        `work` may run twice where the database was locked; what it raises rolls back and reaches
        the future. SQLite's errors arrive as `StoreError`. Raises `StoreError` where the store is
        closed.
        """
        done: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._running().put(Job(work, done))
        return done

    def declare(self, kind: DeclaredKind, names_: Mapping[str, str | None]) -> dict[str, int]:
        """See `Store.declare`."""
        writer = self._running()

        def work(db: Database) -> tuple[dict[str, int], bool]:
            writer.names.forget()
            return names.declare(db, kind, names_, spending.merge)

        def committed(declared: tuple[dict[str, int], bool]) -> None:
            writer.names.renamed(kind, names_, declared[0])

        done: concurrent.futures.Future[tuple[dict[str, int], bool]] = concurrent.futures.Future()
        writer.put(Job(work, done, committed))
        ids, renamed = done.result()
        self._renamings += renamed
        return ids

    def forget_names(self) -> None:
        """Let the writer look up ids of names again: another process gave some to others."""
        known = self._running().names
        self.transact(lambda _: known.forget())

    def fingerprint_key(self) -> bytes:
        """A random key that belongs to this database, the same for every process that opens it."""

        def work(db: Database) -> bytes:
            made = {"name": "fingerprint", "value": secrets.token_bytes(32)}
            db.table("secrets").insert(made, pk="name", ignore=True)
            row = db.table("secrets").get("fingerprint")
            return bytes(row["value"])

        return self.transact(work).result()

    def save_revision(
        self, revision: str, *, outcome: str, text: str, origin: str, keep: int
    ) -> None:
        """See `Store.save_revision`."""
        kept = Revision(revision, time.time_ns() // 1_000_000, outcome, origin, text)
        self.transact(functools.partial(queries.insert_revision, kept=kept, keep=keep)).result()

    def revisions(self, limit: int) -> Sequence[Revision]:
        """See `Store.revisions`."""
        return queries.revisions(self.path, limit=limit)

    def health(self) -> str | None:
        """See `Store.health`. While writing fails, every second or so it is tried anew."""
        writer = self._writer
        if writer is None:
            return str(closed(self.path))
        error, now = writer.error, time.monotonic()
        if error is not None and now - self._probed_s > PROBE_S:
            self._probed_s = now
            self.transact(_probe)
        return error

    def _running(self) -> Writer:
        writer = self._writer
        if writer is None:
            raise closed(self.path)
        return writer


def _probe(db: Database) -> None:
    """Write something that changes nothing: only a write can tell that writing works again."""
    db.execute(f"PRAGMA user_version = {VERSION}")
