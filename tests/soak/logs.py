"""The log at millions of records: `python -m tests.soak.logs --records 2000000` (some minutes).

Prints bytes a record, what a page, a chart and an audit take, and how long purging holds the
writer. Exit status 1 where a promise is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from oneapi.ledger.audit import Audited, audit
from oneapi.ledger.filters import Filter
from oneapi.ledger.opening import reading
from oneapi.ledger.purge import Purge, used_bytes
from oneapi.ledger.queries import count, page
from oneapi.ledger.rollups import series, usage
from oneapi.ledger.store_sqlite import SqliteStore
from tests.ledger.many import END_MS, SPAN_MS, fill

MOST_BYTES = 300
MOST_PAGE_MS = 50
MOST_AUDIT_S = 60  # a million
INDEXED = (
    Filter(),
    Filter(user="user1"),
    Filter(user="user41"),
    Filter(token="token1-2"),
    Filter(token="token37-0"),
    Filter(model="model1"),
    Filter(model="model19"),
    Filter(channel="channel1"),
    Filter(channel="channel8"),
    Filter(channel="nowhere"),
    Filter(status=200),
    Filter(status=429),
    Filter(status=418),
)
SCANNED = (
    Filter(endpoint="nothing"),
    Filter(user="user1", status=502),
    Filter(request_id="no such id"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=2_000_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        return 0 if run(Path(name) / "oneapi.db", args.records) else 1


def run(path: Path, records: int) -> bool:
    """Whether every promise is kept."""
    print(f"{records:,} records: writing took {fill(path, records):.1f} us each")
    good = [_size(path, records), _pages(path), _sums(path), _audit(path, records), _purge(path)]
    return all(good)


def _size(path: Path, records: int) -> bool:
    with reading(path) as db:
        size = used_bytes(db) / records
        rows = db.table("hours").count
    print(f"{size:.0f} bytes a record on disk (at most {MOST_BYTES}); {rows:,} rows of hours")
    return size <= MOST_BYTES


def _pages(path: Path) -> bool:
    worst = 0.0
    for wanted in INDEXED:
        took = _ms(lambda wanted=wanted: page(path, wanted))  # type: ignore[misc]
        newer = _ms(
            lambda wanted=wanted: page(path, wanted, cursor=f">{(END_MS - SPAN_MS // 2) << 20:x}")  # type: ignore[misc]
        )
        worst = max(worst, took, newer)
        print(f"  page {_named(wanted)}: {took:.1f} ms, in the middle {newer:.1f} ms")
    for wanted in SCANNED:
        print(f"  scan {_named(wanted)}: {_ms(lambda w=wanted: page(path, w)):,.0f} ms")  # type: ignore[misc]
    for wanted in (Filter(), Filter(user="user1"), Filter(status=429)):
        print(f"  count {_named(wanted)}: {_ms(lambda w=wanted: count(path, w)):,.0f} ms")  # type: ignore[misc]
    print(f"the slowest page by an index: {worst:.1f} ms (at most {MOST_PAGE_MS})")
    return worst <= MOST_PAGE_MS


def _sums(path: Path) -> bool:
    week = END_MS - 7 * 86_400_000
    print(
        f"usage by model {_ms(lambda: usage(path, by=['model'])):.0f} ms, by user and day "
        f"{_ms(lambda: usage(path, by=['user', 'day'])):.0f} ms, by endpoint (no sums) "
        f"{_ms(lambda: usage(path, by=['endpoint'])):.0f} ms; chart of a week by the hour "
        f"{_ms(lambda: series(path, 'model', since_ms=week, step='hour')):.0f} ms"
    )
    return True


def _audit(path: Path, records: int) -> bool:
    found = Audited()
    started = time.perf_counter()
    wrong = list(audit(path, found, until_ms=END_MS + 86_400_000))
    took = time.perf_counter() - started
    most = MOST_AUDIT_S * max(records / 1_000_000, 0.1)
    print(f"audit of {found.records:,} records: {took:.1f} s, {len(wrong)} differences")
    return not wrong and found.records == records and took <= most


def _purge(path: Path) -> bool:
    """The older half goes, the file shrinks, and the writer is never held for long."""
    store = SqliteStore(path)
    store.open()
    try:
        before, waits = os.path.getsize(path), asyncio.run(_purging(store))
    finally:
        store.close()
    after = os.path.getsize(path)
    waits.sort()
    print(
        f"purging half: {before / 1e6:,.0f} to {after / 1e6:,.0f} MB; other writes waited ms p50 "
        f"{waits[len(waits) // 2]:.1f}, p99 {waits[len(waits) * 99 // 100]:.1f}, "
        f"most {waits[-1]:.1f}"
    )
    found = Audited()
    wrong = list(audit(path, found, until_ms=END_MS + 86_400_000))
    print(f"audit after it: {found.purged_requests:,} purged, {len(wrong)} differences")
    return not wrong and after < 0.7 * before


async def _purging(store: SqliteStore) -> list[float]:
    purge = Purge(store)
    waits: list[float] = []
    under_way = True

    async def write() -> None:
        while under_way:
            started = time.perf_counter()
            await store.flush()
            waits.append((time.perf_counter() - started) * 1000)
            await asyncio.sleep(0.005)

    writing = asyncio.create_task(write())
    started = time.perf_counter()
    total = 0
    while True:
        done = await purge.step(keep_s=SPAN_MS // 2000, max_size=None, now_ms=END_MS)
        total += done.records
        if not (done.records or done.freed):
            break
    print(f"{total / (time.perf_counter() - started):,.0f} records purged a second")
    under_way = False
    await writing
    return waits


def _ms(work: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    return min(times)


def _named(wanted: Filter) -> str:
    asked = {n: v for n in wanted.__slots__ if (v := getattr(wanted, n)) is not None}
    return ", ".join(f"{n} {v}" for n, v in asked.items()) or "by time"


if __name__ == "__main__":
    sys.exit(main())
