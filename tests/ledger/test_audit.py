"""Bills computed again: a clean ledger is clean, and whatever is changed in it is found."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from oneapi.gateway import meter
from oneapi.ir import Usage
from oneapi.ledger import audit as auditing
from oneapi.ledger import spending
from oneapi.ledger.accounts import Account, Period
from oneapi.ledger.audit import Audited, Difference, audit
from oneapi.ledger.pricelist import rule_of
from oneapi.ledger.prices import Price
from oneapi.ledger.purge import Purge
from oneapi.ledger.record import Record, first_id
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.ledger.tables_logs import DAY_MS, HOUR_MS

MakeRecord = Callable[..., Record]
START = 1_790_000_000_000 // DAY_MS * DAY_MS
DEAR = Price(rule_of("prices.dear", {"input": Decimal(3), "output": Decimal("15.5")}), 800_000)
USED = Usage(input=1_001, cache_read=17, output=333)


def write(store: SqliteStore, some: Iterable[Record]) -> None:
    for record in some:
        store.post(record)
    asyncio.run(store.flush())


def priced(make_record: MakeRecord, n: int, **changes: object) -> Record:
    return make_record(
        id=first_id(START + n * HOUR_MS) + n,
        **{
            "usage": USED,
            "price": DEAR,
            "price_rule": DEAR.id,
            "cost_nanousd": DEAR.cost(USED),
            **changes,
        },
    )


@pytest.fixture
def clean(store: SqliteStore, path: Path, make_record: MakeRecord) -> Path:
    """A ledger nobody has open: 60 priced records, one unpriced, one refused."""
    write(store, [priced(make_record, n) for n in range(60)])
    nothing = {"price": None, "usage": Usage()}
    write(
        store,
        [
            priced(make_record, 60, price=None, price_rule="unpriced", cost_nanousd=None),
            priced(make_record, 61, price_rule="", cost_nanousd=0, usage_source="none", **nothing),
        ],
    )
    store.close()
    return path


def run(
    path: Path, *, since_ms: int | None = None, until_ms: int | None = None
) -> tuple[Audited, list[Difference]]:
    found = Audited()
    return found, list(audit(path, found, since_ms=since_ms, until_ms=until_ms))


def tamper(path: Path, sql: str) -> None:
    raw = sqlite3.connect(path)
    with raw:
        assert raw.execute(sql).rowcount == 1
    raw.close()


def test_a_clean_ledger_has_no_differences(clean: Path) -> None:
    found, differences = run(clean)
    assert differences == []
    assert (found.records, found.unpriced, found.older, found.days) == (62, 1, 0, 3)
    assert found.oldest_ms == START
    assert found.accounts >= 2


def test_a_changed_cost_is_found(clean: Path) -> None:
    number = first_id(START + 7 * HOUR_MS) + 7
    tamper(clean, f"UPDATE records SET cost_nanousd = cost_nanousd - 1 WHERE id = {number}")
    cost, *others = run(clean)[1]
    assert (cost.what, cost.subject) == ("cost", f"{number:016x}")
    assert (cost.stored, cost.computed) == (DEAR.cost(USED) - 1, DEAR.cost(USED))
    assert {d.what for d in others} == {"hours"}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("input = input + 1", {"cost", "hours"}),
        ("cost_nanousd = NULL", {"cost", "hours"}),
        ("user_id = NULL", {"hours"}),
        ("price_rule_id = NULL", {"cost"}),
    ],
)
def test_a_changed_record_is_found(clean: Path, change: str, what: set[str]) -> None:
    tamper(clean, f"UPDATE records SET {change} WHERE id = {first_id(START)}")
    assert {d.what for d in run(clean)[1]} == what


def test_a_record_that_is_deleted_is_found(clean: Path) -> None:
    tamper(clean, f"DELETE FROM records WHERE id = {first_id(START)}")
    assert {d.what for d in run(clean)[1]} == {"hours"}


def test_a_cost_of_what_nothing_prices_is_found(clean: Path) -> None:
    tamper(clean, "UPDATE records SET cost_nanousd = 1 WHERE cost_nanousd IS NULL")
    cost = run(clean)[1][0]
    assert (cost.what, cost.stored, cost.computed) == ("cost", 1, None)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE price_rules SET body = replace(body, '800000', '800001')", "were changed"),
        ("UPDATE price_rules SET body = '[1]'", "no price"),
        ("UPDATE price_rules SET body = replace(body, '3000000000', '\"3\"')", "whole numbers"),
        ("UPDATE price_rules SET body = replace(body, '3000000000', 'null')", "no price"),
        ("UPDATE price_rules SET body = 'x'", "Expecting"),
        ("DELETE FROM price_rules", "missing"),
    ],
)
def test_a_changed_price_is_found(clean: Path, sql: str, words: str) -> None:
    tamper(clean, sql)
    prices = [d for d in run(clean)[1] if d.what == "price"]
    assert [d.subject for d in prices] == [DEAR.id]
    assert words in prices[0].words


@pytest.mark.parametrize(
    "sql",
    [
        f"UPDATE hours SET cost_nanousd = cost_nanousd + 5 WHERE hour_ms = {START}",
        f"DELETE FROM hours WHERE hour_ms = {START}",
    ],
)
def test_a_changed_hour_is_found(clean: Path, sql: str) -> None:
    tamper(clean, sql)
    hours = [d for d in run(clean)[1] if d.what == "hours" and "cost_nanousd" in d.subject]
    assert [d.subject for d in hours] == ["2026-09-21 alice/ci/vip/fast/home cost_nanousd"]


def test_a_changed_sum_of_an_account_is_found(clean: Path) -> None:
    tamper(
        clean,
        "UPDATE spend SET used = used - 3 WHERE budget_id ="
        " (SELECT id FROM budgets WHERE scope = 'user')",
    )
    (found,) = run(clean)[1]
    assert (found.what, found.subject) == ("spend", "user alice nanousd total")
    assert found.stored == 60 * DEAR.cost(USED) - 3
    assert found.computed == 60 * DEAR.cost(USED)


def test_a_credit_without_an_entry_is_found(clean: Path) -> None:
    tamper(clean, "UPDATE budgets SET credit = 9 WHERE scope = 'user'")
    (found,) = run(clean)[1]
    assert (found.what, found.subject, found.computed) == ("credit", "user alice", 0)


def test_what_was_purged_is_known_by_its_closing_entries(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    write(store, [priced(make_record, n) for n in range(60)])
    now = START + 30 * HOUR_MS
    asyncio.run(Purge(store).step(keep_s=3_600, max_size=None, now_ms=now))
    store.close()
    found, differences = run(path)
    assert differences == []
    assert (found.records, found.purged_requests) == (31, 29)
    assert found.purged_nanousd == 29 * DEAR.cost(USED)
    assert (found.oldest_ms, found.purged_until_ms) == (START + 29 * HOUR_MS, START + 2 * DAY_MS)
    tamper(path, f"UPDATE closings SET cost_nanousd = 0 WHERE day_ms = {START}")
    assert [d.what for d in run(path)[1]] == ["hours"]


def test_records_that_are_not_in_the_sums_yet_are_no_difference(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    write(store, [priced(make_record, n) for n in range(9)])
    assert run(path)[1] == []


def test_a_period_confines_what_is_looked_at(clean: Path) -> None:
    tamper(
        clean, f"UPDATE records SET cost_nanousd = cost_nanousd + 1 WHERE id = {first_id(START)}"
    )
    found, differences = run(clean, since_ms=START + DAY_MS)
    assert (differences, found.records, found.days) == ([], 62 - 24, 2)
    found, differences = run(clean, until_ms=START + HOUR_MS)
    assert ([d.what for d in differences], found.records) == (["cost"], 1)


def test_prices_of_older_versions_cannot_be_computed_again(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    write(store, [priced(make_record, 0, price=None, price_rule="prices.fast")])
    store.close()
    found, differences = run(path)
    assert (differences, found.older) == ([], 1)


def test_progress_is_told(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "_PAGE", 25)
    seen: list[tuple[int, int]] = []
    list(audit(clean, Audited(), progress=lambda ms, records: seen.append((ms, records))))
    assert seen == [(START + 24 * HOUR_MS, 25), (START + 49 * HOUR_MS, 50)]


def test_the_rule_of_the_unpriced_has_one_name() -> None:
    assert auditing.UNPRICED == meter.UNPRICED


def test_a_price_of_the_request_is_due_where_nothing_was_counted(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    price = Price(rule_of("prices.flat", {"request": Decimal("0.01"), "input": Decimal(1)}))
    flat = {"price": price, "price_rule": price.id, "usage_source": "none"}
    write(
        store,
        [
            priced(make_record, 0, usage=Usage(), cost_nanousd=10_000_000, **flat),
            priced(make_record, 1, usage=USED, cost_nanousd=price.cost(USED), **flat),
        ],
    )
    store.close()
    (found,) = run(path)[1]
    assert (found.what, found.computed) == ("cost", 10_000_000)


@pytest.mark.parametrize(
    ("period", "zone", "keep_s", "untold"),
    [
        (Period("month"), "UTC", 3_600, 0),
        (Period("month"), "Asia/Kolkata", 3_600, 1),
        (Period("rolling", 86_400), "UTC", 3_600, 4),
        (Period("month"), "Asia/Kolkata", None, 0),
    ],
)
def test_sums_that_purged_records_alone_could_tell_are_no_difference(
    store: SqliteStore,
    path: Path,
    make_record: MakeRecord,
    period: Period,
    zone: str,
    keep_s: int | None,
    untold: int,
) -> None:
    """Neither a day of a zone with half hours nor a part of a window begins with an hour."""
    now = time.time_ns() // 1_000_000
    account, place = Account("user", "alice", "nanousd", period), ZoneInfo(zone)
    begins = period.since(now, place)
    asyncio.run(
        _waited(store.transact(lambda db: spending.open_account(db, account, place, now)[1]))
    )
    apart = period.granule_ms if period.seconds else 1
    write(
        store,
        [replace(priced(make_record, 0), id=first_id(begins + n * apart)) for n in range(4)],
    )
    assert run(path)[1] == []
    asyncio.run(Purge(store).step(keep_s=keep_s, max_size=None, now_ms=now + HOUR_MS))
    store.close()
    found, differences = run(path)
    assert (differences, found.untold) == ([], untold)


async def _waited(job: Future[bool]) -> None:
    assert await asyncio.wrap_future(job)


@pytest.mark.parametrize("time_ms", [-1, 2**62, 253_402_300_799_000])
def test_a_period_may_end_whenever_it_likes(clean: Path, time_ms: int) -> None:
    found, differences = run(clean, since_ms=time_ms if time_ms < 0 else None, until_ms=2**62)
    assert (differences, found.records) == ([], 62)
    assert run(clean, since_ms=2**62)[0].records == 0
