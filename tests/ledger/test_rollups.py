"""Sums by the hour: they tell the same as the records, for ever."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlite_utils import Database

from oneapi.errors import UsageError
from oneapi.ir import Usage
from oneapi.ledger import rollups, tables_logs
from oneapi.ledger.accounts import Account, Counting, counted_tokens
from oneapi.ledger.opening import reading
from oneapi.ledger.purge import purge
from oneapi.ledger.record import Record, first_id
from oneapi.ledger.rollups import Sums, merge, series, spent, usage
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.ledger.tables_logs import DAY_MS, HOUR_MS

MakeRecord = Callable[..., Record]
START = 1_790_000_000_000 // DAY_MS * DAY_MS
"""A day's beginning (UTC)."""
DAYS = 6
LATER = START + 120 * DAY_MS
"""When the days of the records are old enough to be merged."""


def write(store: SqliteStore, some: Iterable[Record]) -> None:
    for record in some:
        store.post(record)
    asyncio.run(store.flush())


@pytest.fixture
def many(store: SqliteStore, make_record: MakeRecord) -> list[Record]:
    """300 records of six days, some refused, unpriced or absurd."""
    dice = random.Random(6)
    made = [
        make_record(
            id=first_id(START + dice.randrange(DAYS * DAY_MS)) + n,
            user=dice.choice(("alice", "bob")),
            token=dice.choice(("t1", "t2", "")),
            group=dice.choice(("vip", "default")),
            model=dice.choice(("m1", "m2", "m3")),
            channel=dice.choice(("home", "cloud", "")),
            status=dice.choice((200, 200, 429)),
            attempts=dice.choice((0, 1, 2)),
            cost_nanousd=dice.choice((None, 0, 7, dice.randrange(10**9))),
            ttft_ms=dice.choice((None, 40)),
            usage=Usage(
                input=dice.randrange(5_000),
                cache_read=dice.randrange(300),
                output=dice.randrange(900),
                reasoning=dice.choice((0, 10)),
                image_in=dice.choice((0, -400)),
            ),
        )
        for n in range(300)
    ]
    write(store, made)
    return made


def expected(some: Iterable[Record]) -> Sums:
    """The sums, computed another way."""
    whole = Sums()
    for r in some:
        cached = max(r.usage.cache_read, 0)
        whole.add(
            Sums(
                requests=1,
                attempted=int(r.attempts > 0),
                errors=int(r.status >= 400),
                unpriced=int(r.cost_nanousd is None),
                cost_nanousd=r.cost_nanousd or 0,
                input_tokens=max(r.usage.input_tokens, 0),
                output_tokens=max(r.usage.output_tokens, 0),
                cached_tokens=cached,
                cached_tenths=counted_tokens(r.usage, "billable")
                - counted_tokens(r.usage, "fresh"),
                total_ms=r.total_ms,
                ttft_ms=r.ttft_ms or 0,
                answered=int(r.ttft_ms is not None),
            )
        )
    return whole


def all_sums(path: Path) -> Sums:
    with reading(path) as db:
        row = db.execute(f"SELECT {rollups.sums_sql('hours')} FROM hours").fetchone()
    return rollups.sums_of(row)


def test_hours_add_up_to_the_records(path: Path, many: list[Record]) -> None:
    assert all_sums(path) == expected(many)


def test_a_row_is_an_hour_of_one_user_token_group_model_and_channel(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    for minute in (0, 59, 60):
        write(store, [make_record(id=first_id(START + minute * 60_000))])
    write(store, [make_record(id=first_id(START + 1), model="other")])
    with reading(path) as db:
        rows = db.execute("SELECT hour_ms, requests FROM hours ORDER BY 1, 2").fetchall()
    assert rows == [(START, 1), (START, 2), (START + HOUR_MS, 1)]


def test_a_record_that_is_not_written_counts_nothing(
    store: SqliteStore, path: Path, many: list[Record]
) -> None:
    def insert_and_fail(db: Any) -> None:
        columns = ", ".join(c.name for c in db.table("records").columns if c.name != "id")
        db.execute(f"INSERT INTO records (id, {columns}) SELECT id + 1, {columns} FROM records")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.transact(insert_and_fail).result()
    assert all_sums(path) == expected(many)


@pytest.mark.parametrize("counting", ["all", "fresh", "billable"])
@pytest.mark.parametrize("kept", ["records", "merged", "purged"])
def test_an_account_is_summed_to_the_millisecond(
    store: SqliteStore, path: Path, many: list[Record], counting: Counting, kept: str
) -> None:
    since, until = START + DAY_MS + 1_234_567, START + 4 * DAY_MS + 3_599_999
    if kept == "purged":  # whole hours are all that is known of it
        since -= since % HOUR_MS
        store.sum_up().result()
        store.transact(
            lambda db: purge(db, keep_s=1, max_size=None, now_ms=START + 3 * DAY_MS, most=999)
        ).result()
    elif kept == "merged":
        while store.transact(lambda db: merge(db, LATER, rows=7)).result():
            pass
    own = [r for r in many if r.user == "bob" and since <= r.id >> 20 < until]
    account = Account("user", "bob", "tokens", counting=counting)
    with reading(path) as db:
        ids = [row[0] for row in db.execute("SELECT id FROM names WHERE name = 'bob'")]
        found = spent(db, "user", ids, since_ms=since, until_ms=until)
    assert found == expected(own)
    assert found.amount(account) == sum(counted_tokens(r.usage, counting) for r in own)


def test_a_name_with_no_number_has_spent_nothing(path: Path, many: list[Record]) -> None:
    with reading(path) as db:
        assert spent(db, "user", []) == Sums()


@pytest.mark.parametrize("zone", [UTC, ZoneInfo("Asia/Shanghai"), ZoneInfo("Asia/Kathmandu")])
@pytest.mark.parametrize("by", [(), ("day",), ("user", "day"), ("model", "channel"), ("endpoint",)])
@pytest.mark.parametrize("merged", [False, True])
def test_usage_is_the_same_from_hours_and_from_records(
    store: SqliteStore,
    path: Path,
    many: list[Record],
    by: tuple[str, ...],
    zone: tzinfo,
    merged: bool,
) -> None:
    if merged:
        while store.transact(lambda db: merge(db, LATER, rows=50)).result():
            pass
    since, until = START + 5_000_000, START + 5 * DAY_MS - 77
    assert usage(path, by=by, since_ms=since, until_ms=until, zone=zone) == by_hand(
        [r for r in many if since <= r.id >> 20 < until], by, zone
    )


def by_hand(some: list[Record], by: tuple[str, ...], zone: tzinfo) -> list[dict[str, Any]]:
    groups: dict[tuple[str, ...], list[Record]] = {} if by else {(): []}
    for r in some:
        day = datetime.fromtimestamp((r.id >> 20) / 1000, zone).strftime("%Y-%m-%d")
        key = tuple(day if k == "day" else str(getattr(r, k)) for k in by)
        groups.setdefault(key, []).append(r)
    found = []
    for key, members in sorted(groups.items()):
        sums = expected(members)
        shown = ("requests", "errors", "input_tokens", "output_tokens", "cost_nanousd", "unpriced")
        row = {name: getattr(sums, name) for name in shown}
        found.append({**dict(zip(by, key, strict=True)), **row})
    return found


def test_usage_outlives_the_records(store: SqliteStore, path: Path, many: list[Record]) -> None:
    before = usage(path, by=["user", "day"])
    store.sum_up().result()
    store.transact(
        lambda db: purge(db, keep_s=1, max_size=None, now_ms=LATER, most=10_000)
    ).result()
    assert store.transact(lambda db: db.table("records").count).result() == 0
    assert usage(path, by=["user", "day"]) == before


def test_a_chart_has_a_row_a_step(path: Path, many: list[Record]) -> None:
    zone = timezone(timedelta(hours=8))
    rows = series(path, "model", since_ms=START, until_ms=START + 2 * DAY_MS, zone=zone)
    inside = [r for r in many if r.id >> 20 < START + 2 * DAY_MS]
    assert {(row["time_ms"] - START) / HOUR_MS for row in rows} == {-8, 16, 40}
    assert sum(row["total_ms"] for row in rows) == sum(r.total_ms for r in inside)
    first = series(path, since_ms=START, until_ms=START + HOUR_MS, step="hour")
    assert [row["time_ms"] for row in first] == [START]


def test_a_chart_by_what_is_not_summed_names_what_is(path: Path, many: list[Record]) -> None:
    with pytest.raises(UsageError, match=r"'endpoint'; it can be by user, token, group, model"):
        series(path, "endpoint", since_ms=START)


def test_old_hours_become_days_and_recent_ones_stay(
    store: SqliteStore, path: Path, many: list[Record], make_record: MakeRecord
) -> None:
    recent = make_record(id=first_id(LATER - DAY_MS + HOUR_MS * 3))
    write(store, [recent])
    steps = 0
    while store.transact(lambda db: merge(db, LATER, rows=10)).result():
        steps += 1
    with reading(path) as db:
        hours = [row[0] for row in db.execute("SELECT DISTINCT hour_ms FROM hours ORDER BY 1")]
    assert steps >= len(many) // 10 - DAYS
    assert hours == [*(START + n * DAY_MS for n in range(DAYS)), LATER - DAY_MS + HOUR_MS * 3]
    assert all_sums(path) == expected([*many, recent])


def test_a_record_that_comes_into_a_merged_day_counts(
    store: SqliteStore, path: Path, many: list[Record]
) -> None:
    while store.transact(lambda db: merge(db, LATER)).result():
        pass
    late = replace(many[0], id=first_id(START + 5 * HOUR_MS + 9), user="late")
    write(store, [late])
    (row,) = [r for r in usage(path, by=["user", "day"]) if r["user"] == "late"]
    assert (row["requests"], row["day"]) == (1, usage(path, by=["day"])[0]["day"])


def test_absurd_costs_fill_a_sum_and_break_nothing(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    for n in range(5):
        write(
            store,
            [make_record(id=first_id(START) + n, cost_nanousd=2**62, usage=Usage(input=2**62))],
        )
    with reading(path) as db:
        found = db.execute("SELECT cost_nanousd, typeof(cost_nanousd) FROM hours").fetchone()
    assert found == (2**63 - 1, "integer")
    assert usage(path)[0]["requests"] == 5


def test_records_of_an_older_version_are_added_up(
    store: SqliteStore, path: Path, many: list[Record]
) -> None:
    store.close()
    with sqlite3.connect(path) as raw:
        raw.execute("DROP TABLE hours")
        raw.execute("DROP TABLE closings")
        raw.execute("DROP TABLE log_marks")
        raw.execute("DROP TABLE price_rules")
        raw.execute("DROP TRIGGER records_hours")
        for (name,) in raw.execute(
            "SELECT name FROM sqlite_master WHERE name LIKE 'idx_records_%'"
        ).fetchall():
            raw.execute(f"DROP INDEX {name}")
    raw.close()
    db = Database(sqlite3.connect(path), execute_plugins=False)
    tables_logs.create(db)
    db.conn.commit()
    db.close()
    assert all_sums(path) == expected(many)


def test_days_are_right_where_summer_time_is_half_an_hour(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    """Lord Howe: 11 hours before UTC in summer, 10:30 in winter, when days begin within an hour."""
    zone = ZoneInfo("Australia/Lord_Howe")
    first, midnight = (
        int(datetime(2026, month, 11, tzinfo=zone).timestamp() * 1000) for month in (1, 5)
    )
    arrived = (first, midnight - 60_000, midnight + 60_000)
    write(store, [make_record(id=first_id(time_ms)) for time_ms in arrived])
    days = [row["day"] for row in usage(path, by=["day"], since_ms=first, zone=zone)]
    assert days == ["2026-01-11", "2026-05-10", "2026-05-11"]
