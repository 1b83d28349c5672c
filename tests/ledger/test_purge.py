"""Old records go in small steps; what they had used stays."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oneapi.ledger import purge as purging
from oneapi.ledger import rollups
from oneapi.ledger.opening import reading
from oneapi.ledger.purge import Purge, purge, used_bytes
from oneapi.ledger.queries import records
from oneapi.ledger.record import Record, first_id
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.ledger.tables_logs import DAY_MS
from tests.ledger.money import a_request, crash, promised

MakeRecord = Callable[..., Record]
START = 1_790_000_000_000 // DAY_MS * DAY_MS
NOW = START + 10 * DAY_MS


def fill(store: SqliteStore, make_record: MakeRecord, count: int) -> list[Record]:
    """Records of ten days before NOW, evenly."""
    dice = random.Random(count)
    made = [
        make_record(
            id=first_id(START + n * (NOW - START) // count) + n,
            user=f"u{dice.randrange(3)}",
            channel=dice.choice(("home", "")),
            cost_nanousd=dice.choice((None, n)),
        )
        for n in range(count)
    ]
    for record in made:
        store.post(record)
    asyncio.run(store.flush())
    return made


def sums(path: Path, table: str) -> rollups.Sums:
    with reading(path) as db:
        row = db.execute(f"SELECT {rollups.sums_sql(table)} FROM {table}").fetchone()
    return rollups.sums_of(row)


def test_what_is_older_than_keep_goes_and_nothing_else(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    made = fill(store, make_record, 500)
    done = asyncio.run(Purge(store).step(keep_s=4 * 86_400, max_size=None, now_ms=NOW))
    kept = [r.id for r in made if r.id >= first_id(NOW - 4 * DAY_MS)]
    assert [r["id"] for r in records(path, limit=None, newest_first=False)] == kept
    assert done.records == 500 - len(kept)


def test_closing_entries_hold_what_went(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    fill(store, make_record, 500)
    before = sums(path, "records")
    asyncio.run(Purge(store).step(keep_s=3 * 86_400, max_size=None, now_ms=NOW))
    after = sums(path, "records")
    assert 0 < after.requests < 500
    after.add(sums(path, "closings"))
    assert after == before == sums(path, "hours")
    with reading(path) as db:
        days = [row[0] for row in db.execute("SELECT DISTINCT day_ms FROM closings ORDER BY 1")]
    assert days == [START + n * DAY_MS for n in range(7)]


def test_nothing_goes_without_a_bound(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    fill(store, make_record, 50)
    asyncio.run(Purge(store).step(keep_s=None, max_size=None, now_ms=NOW + 900 * DAY_MS))
    assert len(list(records(path, limit=None))) == 50


def test_records_of_the_last_minutes_stay_whatever_the_bounds(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    fill(store, make_record, 50)
    store.post(make_record(id=first_id(NOW - 9 * 60_000)))
    asyncio.run(Purge(store).step(keep_s=1, max_size=1, now_ms=NOW))
    assert [r["time_ms"] for r in records(path)] == [NOW - 9 * 60_000]


def test_what_a_process_has_yet_to_sum_up_stays_for_whoever_finds_it_dead(
    store: SqliteStore, path: Path
) -> None:
    """Requests that took longer than the purge spares, and a kill right after their commit."""
    dying = SqliteStore(path)
    dying.open()
    early, late = (first_id(NOW - hours * 3_600_000) for hours in (3, 2))
    dying.post(a_request(5, id=early))
    dying.sum_up().result()
    dying.post(a_request(70, id=late))
    store.post(a_request(5, id=late + 1))
    for each in (store, dying):
        asyncio.run(each.flush())
    assert promised(path) == (10, 0)
    asyncio.run(Purge(store).step(keep_s=3_600, max_size=1, now_ms=NOW))
    assert [r["id"] for r in records(path)] == [late + 1, late]
    crash(dying)
    again = SqliteStore(path)
    again.open()  # it settles what the dead one left
    assert promised(path) == (80, 0)
    done = asyncio.run(Purge(store).step(keep_s=3_600, max_size=1, now_ms=NOW))
    assert done.records == 2
    assert promised(path) == (80, 0)
    again.close()


def test_the_oldest_go_until_the_database_fits(
    store: SqliteStore, path: Path, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "_SLACK", 0)
    made = fill(store, make_record, 20_000)
    full = store.transact(used_bytes).result()
    bound = full * 3 // 4
    asyncio.run(Purge(store).step(keep_s=None, max_size=bound, now_ms=NOW))
    left = [r["id"] for r in records(path, limit=None, newest_first=False)]
    assert left == [r.id for r in made[-len(left) :]]
    assert 0.5 * len(made) < len(left) < 0.85 * len(made)
    assert store.transact(used_bytes).result() <= bound
    store.close()  # the write-ahead log goes into the file
    assert os.path.getsize(path) <= bound * 1.02


def test_purging_is_done_in_steps_that_hold_nobody_up(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    fill(store, make_record, 20_000)
    waits: list[float] = []
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            started = time.perf_counter()
            store.transact(lambda db: db.execute("SELECT 1").fetchone()).result()
            waits.append((time.perf_counter() - started) * 1000)
            time.sleep(0.002)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        purged = asyncio.run(Purge(store).step(keep_s=1, max_size=None, now_ms=NOW))
    finally:
        done.set()
        writer.join()
    waits.sort()
    print(f"{purged.records} purged, waits ms p50 {waits[len(waits) // 2]:.1f} max {waits[-1]:.1f}")
    assert purged.records > 5_000
    assert waits[len(waits) * 9 // 10] < 3 * 20


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 12 * 24), st.integers(1, 90), st.booleans()),
        min_size=1,
        max_size=6,
    )
)
def test_whatever_is_purged_when_records_and_closings_are_the_hours(
    tmp_path_factory: pytest.TempPathFactory,
    make_record: MakeRecord,
    steps: list[tuple[int, int, bool]],
) -> None:
    path = tmp_path_factory.mktemp("purge") / "oneapi.db"
    store = SqliteStore(path)
    store.open()
    try:
        for number, (hours, most, write) in enumerate(steps):
            if write:
                fill(store, make_record, 40 + number)
            store.sum_up().result()
            now = START + hours * 3_600_000
            store.transact(
                lambda db, now=now, most=most: purge(  # type: ignore[misc]
                    db, keep_s=86_400, max_size=None, now_ms=now, most=most
                )
            ).result()
        whole = sums(path, "records")
        whole.add(sums(path, "closings"))
        assert whole == sums(path, "hours")
    finally:
        store.close()
