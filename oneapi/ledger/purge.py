"""What keeps the log small: old records go, what they had used stays as closing entries (D28).

All of it is done in small steps in the writer's thread, each a transaction of its own, so that no
record waits long for its commit. Any number of processes may do it at the same time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from sqlite_utils import Database

from oneapi.ledger import rollups
from oneapi.ledger.record import first_id, id_time_ms
from oneapi.ledger.schema import pragma
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.ledger.tables_logs import DAY_MS, ID_SHIFT, KEYS, SUMS, upsert

T = TypeVar("T")

YOUNGEST_MS: Final = 10 * 60_000
"""Records younger than that stay whatever the size: sums of them may still be under way."""
STEP_MS: Final = 6.0
"""How long a step may take; the next one is cut to it."""
ROUND_S: Final = 2.0
"""How long `step` goes on; the rest is for the next time."""
SHARE: Final = 0.5
"""The part of the writer's time that it takes."""
_FEWEST: Final = 20
_MOST: Final = 2_000
_FREED: Final = 128  # pages given back to the disk in a step
_SLACK: Final = 512  # free pages that stay in the file for the records to come


@dataclass(slots=True)
class Purged:
    """What a `step` did: records and rows of hours that went, bytes given back to the disk."""

    records: int = 0
    hours: int = 0
    freed: int = 0


class Purge:
    """Belongs to one event loop."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._rows = 200  # records a step, as fits STEP_MS

    async def step(
        self, *, keep_s: int | None, max_size: int | None, now_ms: int | None = None
    ) -> Purged:
        """Purge for a moment, so much as is to be purged; call it every few seconds.

        `keep_s` is the age at which records go, `max_size` the bytes of the database above which
        the oldest go; None: never. Raises `StoreError`.
        """
        now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        done = Purged()
        ends = time.monotonic() + ROUND_S
        if keep_s is not None or max_size is not None:
            await asyncio.wrap_future(self._store.sum_up())
        while time.monotonic() < ends:
            gone = await self._records(keep_s, max_size, now)
            done.records += gone
            if not gone:
                break
        while time.monotonic() < ends:
            rows = await self._timed(partial(rollups.merge, now_ms=now, rows=300))
            done.hours += rows
            if not rows:
                break
        while time.monotonic() < ends:
            pages = await self._timed(_give_back)
            done.freed += pages
            if not pages:
                break
        return done

    async def _records(self, keep_s: int | None, max_size: int | None, now_ms: int) -> int:
        if keep_s is None and max_size is None:
            return 0
        started = time.perf_counter()
        work = partial(purge, keep_s=keep_s, max_size=max_size, now_ms=now_ms, most=self._rows)
        gone, took_ms = await self._timed(partial(_with_time, work))
        if gone and took_ms:
            fitting = int(gone * STEP_MS / took_ms)
            self._rows = max(_FEWEST, min(_MOST, fitting, self._rows * 2))
        await asyncio.sleep((time.perf_counter() - started) * (1 / SHARE - 1) if gone else 0)
        return gone

    async def _timed(self, work: Callable[[Database], T]) -> T:
        return await asyncio.wrap_future(self._store.transact(work))


def purge(db: Database, *, keep_s: int | None, max_size: int | None, now_ms: int, most: int) -> int:
    """Delete the oldest records that are to go, `most` of them, and post their closing entries.

    One transaction's work. Returns how many went. Records whose cost a process has yet to sum up
    stay, and those after them: were it killed, nobody else would know what they used.
    """
    border = now_ms - YOUNGEST_MS
    if max_size is None or used_bytes(db) <= max_size:
        if keep_s is None:
            return 0
        border = min(border, now_ms - keep_s * 1000)
    row = _oldest(db, first_id(border), most)
    if row[0] and (unsummed := _unsummed(db)) is not None and unsummed <= row[1]:
        row = _oldest(db, unsummed, most)
    if not row[0]:
        return 0
    close(db, "id <= ?", (row[1],))
    db.execute("DELETE FROM records WHERE id <= ?", (row[1],))
    rollups.set_mark(db, rollups.PURGED, id_time_ms(row[1]) + 1)
    return int(row[0])


def _oldest(db: Database, before_id: int, most: int) -> tuple[int, int]:
    """How many records of the oldest `most` have ids below that, and the last id of them."""
    row = db.execute(
        "SELECT count(*), max(id) FROM (SELECT id FROM records WHERE id < ? ORDER BY id LIMIT ?)",
        (before_id, most),
    ).fetchone()
    return row[0], row[1]


def _unsummed(db: Database) -> int | None:
    """The lowest id of a record that its process has not summed up, as `charging` would."""
    row = db.execute(
        "SELECT min(t.record_id) FROM tail t JOIN processes p ON p.id = t.process"
        " WHERE t.seq > (SELECT min(synced_seq) FROM processes WHERE gone_ms = 0)"
        " AND t.seq > p.synced_seq AND p.gone_ms = 0"
    ).fetchone()
    return row[0] if row is not None else None


def close(db: Database, where: str, values: Sequence[Any]) -> None:
    """Post the closing entries of records that are about to be deleted, in their transaction."""
    keys = ", ".join(f"coalesce({key}, 0)" for key in KEYS)
    rows = db.execute(
        f"SELECT (id >> {ID_SHIFT}) / {DAY_MS} * {DAY_MS}, {keys}, {rollups.sums_sql('records')}"
        f" FROM records WHERE {where} GROUP BY {', '.join(map(str, range(1, len(KEYS) + 2)))}",
        values,
    ).fetchall()
    places = ", ".join("?" * (1 + len(KEYS) + len(SUMS)))
    db.conn.executemany(
        upsert("closings", "day_ms", f"VALUES ({places})"),
        [(*row[: len(KEYS) + 1], *_fitting(rollups.sums_of(row[len(KEYS) + 1 :]))) for row in rows],
    )


def used_bytes(db: Database) -> int:
    """Bytes of the database that hold something: pages that wait to be given back do not count."""
    pages = pragma(db, "page_count") - pragma(db, "freelist_count")
    return pages * pragma(db, "page_size")


def _fitting(sums: rollups.Sums) -> tuple[int, ...]:
    return tuple(min(getattr(sums, name), 2**63 - 1) for name in SUMS)


def _with_time(work: Callable[[Database], int], db: Database) -> tuple[int, float]:
    """The result and the milliseconds it took in the writer's thread."""
    started = time.perf_counter()
    found = work(db)
    return found, (time.perf_counter() - started) * 1000


def _give_back(db: Database) -> int:
    """Shrink the file by some of its free pages; the bytes that went."""
    if pragma(db, "freelist_count") <= _SLACK:
        return 0
    before = pragma(db, "page_count")
    db.execute(f"PRAGMA incremental_vacuum({_FREED})").fetchall()  # it stops where nobody reads on
    return (before - pragma(db, "page_count")) * pragma(db, "page_size")
