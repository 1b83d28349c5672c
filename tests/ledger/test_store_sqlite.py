"""Writing records: committed, in groups, through trouble."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from oneapi.errors import StoreError
from oneapi.ir import Usage
from oneapi.ledger.queries import records
from oneapi.ledger.record import Record
from oneapi.ledger.store_sqlite import SqliteStore

MakeRecord = Callable[..., Record]


@contextlib.contextmanager
def plain(path: Path) -> Iterator[sqlite3.Connection]:
    """The file as any other program sees it."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as connection:
        yield connection


def count(path: Path) -> int:
    with plain(path) as connection:
        return int(connection.execute("SELECT count(*) FROM records").fetchone()[0])


def append(store: SqliteStore, *some: Record) -> list[BaseException | None]:
    """Append all at once and wait; what became of each."""

    async def run() -> list[BaseException | None]:
        futures = [store.append(record) for record in some]
        return await asyncio.gather(*futures, return_exceptions=True)

    return asyncio.run(run())


def test_an_appended_record_is_committed_and_reads_back_whole(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    record = make_record(usage=Usage(*range(1, 14)), client="2001:db8::7", request_id="from-client")
    assert append(store, record) == [None]
    (found,) = records(path)
    for name in ("user", "token", "group", "policy", "revision", "endpoint", "dialect_in",
                 "dialect_out", "model", "channel", "served_model", "status", "error_code",
                 "upstream_status", "stream", "usage_source", "cost_nanousd", "price_rule",
                 "settlement", "ttft_ms", "total_ms", "attempts", "request_id", "client", "id",
                 "time_ms"):  # fmt: skip
        assert found[name] == getattr(record, name), name
    assert [found[f] for f in ("input", "output", "searches")] == [1, 7, 13]


def test_what_is_unknown_stays_unknown(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    append(store, make_record(cost_nanousd=None, ttft_ms=None, channel="", client="", token=""))
    (found,) = records(path)
    assert (found["cost_nanousd"], found["ttft_ms"]) == (None, None)
    assert (found["channel"], found["client"], found["token"]) == ("", "", "")


def test_a_thousand_at_once_are_all_written_in_few_commits(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    statements: list[str] = []
    append(store, make_record())  # its names are known from now on
    store.transact(lambda db: db.conn.set_trace_callback(statements.append)).result()
    made = [make_record() for _ in range(1_000)]
    assert append(store, *made) == [None] * 1_000
    assert statements.count("COMMIT") < 20
    written = sorted(r["id"] for r in records(path, limit=None))
    assert written[1:] == [r.id for r in made]


def test_a_posted_record_is_written_and_flush_waits_for_it(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    store.post(make_record())
    asyncio.run(store.flush())
    assert count(path) == 1


def test_closing_writes_what_is_queued_and_may_be_done_twice(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    for _ in range(700):
        store.post(make_record())
    store.close()
    store.close()
    assert count(path) == 700


def test_a_closed_store_refuses_in_words(store: SqliteStore, make_record: MakeRecord) -> None:
    store.close()
    (error,) = append(store, make_record())
    assert isinstance(error, StoreError)
    assert "the ledger is closed" in str(error)
    assert "the ledger is closed" in str(store.health())
    with pytest.raises(StoreError, match="closed"):
        store.post(make_record())


def test_a_store_opens_again_after_closing(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    append(store, make_record())
    store.close()
    store.open()
    append(store, make_record())
    assert count(path) == 2


def test_a_caller_who_leaves_does_not_unwrite_his_record(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    async def run() -> None:
        store.append(make_record()).cancel()
        await store.append(make_record())

    asyncio.run(run())
    assert count(path) == 2


def test_a_loop_that_ended_does_not_stop_the_writer(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        entered.set()
        leave.wait(5)

    store.transact(hold)
    assert entered.wait(5)

    async def abandon() -> None:
        store.append(make_record())

    asyncio.run(abandon())  # its loop is closed before the writer comes to it
    leave.set()
    append(store, make_record())
    assert count(path) == 2


def test_one_record_that_does_not_fit_spares_the_others(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    wrong: Any = object()
    outcome = append(store, make_record(), make_record(status=wrong), make_record())
    assert [type(o) for o in outcome] == [type(None), StoreError, type(None)]
    assert count(path) == 2
    assert store.health() is None


def test_absurd_numbers_are_kept_as_the_largest_there_is(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    assert append(store, make_record(usage=Usage(input=10**30)), make_record()) == [None, None]
    assert max(r["input"] for r in records(path)) == 2**63 - 1


def test_half_surrogates_and_long_names_are_kept_readable(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    append(store, make_record(model="a\ud800\0b", channel="x" * 5_000))
    (found,) = records(path)
    assert found["model"] == "a?\ufffdb"
    assert found["channel"] == "x" * 200


def test_the_same_record_twice_is_one_record(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    record = make_record()
    assert append(store, record, record) == [None, None]
    assert count(path) == 1


def test_two_records_with_one_id_are_both_kept(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    first = make_record(request_id="one")
    second = make_record(id=first.id, request_id="two")
    assert append(store, first) == append(store, second) == [None]
    assert {r["request_id"] for r in records(path)} == {"one", "two"}
    assert first.id != second.id


def fill(store: SqliteStore, spare_pages: int) -> None:
    """From now on the disk has room for so many more pages only."""

    def limit(db: Any) -> None:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages + spare_pages}")

    store.transact(limit).result()


def test_a_full_disk_refuses_records_and_recovers(
    store: SqliteStore, path: Path, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
) -> None:
    assert append(store, make_record()) == [None]
    fill(store, 2)
    outcome = append(store, *[make_record() for _ in range(400)])
    errors = [o for o in outcome if o is not None]
    assert errors
    assert "the disk is full" in str(errors[0])
    assert "the disk is full" in str(store.health())
    assert count(path) == 401 - len(errors)  # what was refused is not there
    assert sum(r.levelno == logging.ERROR for r in caplog.records) == 1
    fill(store, 10_000)
    assert append(store, make_record()) == [None]
    assert store.health() is None


def test_health_tries_again_by_itself(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    fill(store, 0)
    append(store, *[make_record() for _ in range(400)])
    assert store.health() is not None
    until = time.monotonic() + 5
    while store.health() is not None and time.monotonic() < until:
        time.sleep(0.01)
    assert store.health() is None  # one page of what is there can be written again


def test_a_locked_database_is_waited_for(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    with plain(path) as other:
        other.execute("BEGIN IMMEDIATE")

        async def run() -> None:
            future = store.append(make_record())
            await asyncio.sleep(0.1)
            assert not future.done()
            other.execute("ROLLBACK")
            await future

        asyncio.run(run())
    assert count(path) == 1


def test_a_lock_that_outlasts_one_time_out_is_waited_for_once_more(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    with plain(path) as other:
        other.execute("BEGIN IMMEDIATE")

        async def run() -> None:
            future = store.append(make_record())
            await asyncio.sleep(0.4)  # the store's time-out is 0.3
            other.execute("ROLLBACK")
            await future

        asyncio.run(run())
    assert count(path) == 1


def test_a_database_that_stays_locked_refuses_and_recovers(
    path: Path, make_record: MakeRecord
) -> None:
    store = SqliteStore(path, busy_timeout_s=0.05)
    store.open()
    with plain(path) as other:
        other.execute("BEGIN IMMEDIATE")
        (error,) = append(store, make_record())
        assert "another program holds it locked" in str(error)
        with pytest.raises(StoreError, match="locked"):
            store.transact(lambda db: None).result()
        other.execute("ROLLBACK")
    assert append(store, make_record()) == [None]
    store.close()
    assert count(path) == 1


def test_a_job_that_fails_leaves_nothing_behind(store: SqliteStore, path: Path) -> None:
    def work(db: Any) -> None:
        db.execute("INSERT INTO names (kind, name) VALUES ('user', 'ghost')")
        raise KeyError("no")

    with pytest.raises(KeyError):
        store.transact(work).result()
    assert store.transact(lambda db: db.table("names").count).result() == 0


def test_files_are_for_their_owner_alone_whatever_the_umask(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    before = os.umask(0)
    try:
        store = SqliteStore(tmp_path / "state" / "oneapi.db")
        store.open()
        append(store, make_record())
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "state").iterdir()}
        store.close()
    finally:
        os.umask(before)
    names = ("oneapi.db", "oneapi.db-wal", "oneapi.db-shm", "oneapi.db.1.alive")
    assert modes == dict.fromkeys(names, 0o600)
    assert not list((tmp_path / "state").glob("*.alive"))
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_settings_of_the_file(store: SqliteStore, path: Path) -> None:
    def pragma(name: str) -> Any:
        return store.transact(lambda db: db.execute(f"PRAGMA {name}").fetchone()[0]).result()

    assert pragma("journal_mode") == "wal"
    assert pragma("synchronous") == 1  # normal
    assert pragma("auto_vacuum") == 2  # incremental
    assert pragma("application_id") == 0x31415049
    assert pragma("user_version") == 3


def test_the_key_for_fingerprints_is_one_for_all_who_open_the_file(
    store: SqliteStore, path: Path, tmp_path: Path
) -> None:
    key = store.fingerprint_key()
    assert len(key) == 32
    for same, where in ((True, path), (False, tmp_path / "other.db")):
        other = SqliteStore(where)
        other.open()
        assert (other.fingerprint_key() == key) is same
        other.close()


def test_revisions_are_kept_newest_first_and_the_oldest_forgotten(store: SqliteStore) -> None:
    for n in range(5):
        store.save_revision(f"r{n}", outcome="loaded", text=f"port = {n}", origin="file", keep=3)
    kept = store.revisions(10)
    assert [r.revision for r in kept] == ["r4", "r3", "r2"]
    assert (kept[0].outcome, kept[0].text, kept[0].origin) == ("loaded", "port = 4", "file")
    assert abs(kept[0].time_ms - time.time() * 1000) < 60_000
    assert len(store.revisions(1)) == 1
