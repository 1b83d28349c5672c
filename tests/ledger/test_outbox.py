"""Warnings are written once, and sent until they are taken or given up."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import TypeVar

import pytest
from sqlite_utils import Database

from oneapi.ledger import outbox, spending
from oneapi.ledger.accounts import Account, Budget, Period
from oneapi.ledger.outbox import CLAIM_MS, KEEP_MS, TOLD_MS, Crossing, Notice, Waiting
from oneapi.ledger.store_sqlite import SqliteStore
from tests.ledger.conftest import a_record

T = TypeVar("T")
NOW = 1_800_000_000_000
ALICE = Account("user", "alice", "nanousd", Period("month"))
NOTICE = Notice("budget", {"subject": "s", "text": "t"}, [("webhook", ""), ("mail", "a@x.org")])


def crossing(*crossed: int, bucket: int = 5, bound: int = 100, name: str = "alice") -> Crossing:
    return Crossing(
        Account("user", name, "nanousd", Period("month")), bucket, bound, crossed, NOTICE
    )


def did(store: SqliteStore, work: Callable[[Database], T]) -> T:
    return store.transact(work).result(10)


def told(store: SqliteStore, *crossings: Crossing) -> int:
    return did(store, functools.partial(outbox.tell, crossings=crossings, now_ms=NOW))


def claimed(store: SqliteStore, now_ms: int = NOW) -> list[Waiting]:
    return did(store, functools.partial(outbox.claim, who="me", now_ms=now_ms))


@pytest.fixture(autouse=True)
def known(store: SqliteStore) -> None:
    store.declare("user", {"alice": None, "bob": None})


def test_a_threshold_is_told_once_a_period(store: SqliteStore) -> None:
    assert told(store, crossing(80)) == 1
    assert told(store, crossing(80)) == 0
    assert told(store, crossing(80, 95)) == 1
    assert told(store, crossing(80, bucket=6)) == 1
    assert told(store, crossing(80, name="bob")) == 1
    assert len(claimed(store)) == 2 * 4


def test_a_leap_over_several_thresholds_is_one_notice(store: SqliteStore) -> None:
    assert told(store, crossing(80, 95, 100)) == 1
    assert told(store, crossing(80)) == 0
    assert told(store, crossing(50, 80, 95, 100)) == 0  # a threshold that was added below


def test_more_money_begins_anew(store: SqliteStore) -> None:
    assert told(store, crossing(80, bound=100)) == 1
    assert told(store, crossing(80, bound=200)) == 1


def test_of_many_processes_one_tells(store: SqliteStore, path: Path) -> None:
    others = [SqliteStore(path) for _ in range(3)]
    for other in others:
        other.open()
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda s=s: results.append(told(s, crossing(80, 95))))
        for s in (store, *others)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        other.close()
    assert sorted(results) == [0, 0, 0, 1]
    assert len(outbox.last(path)) == 2


def test_the_mark_and_the_notice_are_one_transaction(store: SqliteStore) -> None:
    def broken(db: Database) -> None:
        outbox.tell(db, [crossing(80)], NOW)
        raise RuntimeError("power is gone")

    with pytest.raises(RuntimeError):
        did(store, broken)
    assert told(store, crossing(80)) == 1


def test_a_notice_is_taken_by_one_and_returns_if_he_dies(store: SqliteStore, path: Path) -> None:
    told(store, crossing(80))
    assert outbox.due(path, NOW)
    webhook, mail = claimed(store)
    assert (webhook.way, webhook.address, webhook.attempts) == ("webhook", "", 1)
    assert (mail.way, mail.address, mail.facts) == (
        "mail",
        "a@x.org",
        {"subject": "s", "text": "t"},
    )
    assert claimed(store) == []
    assert not outbox.due(path, NOW)
    later = NOW + CLAIM_MS + 1
    assert [w.attempts for w in claimed(store, later)] == [2, 2]


def test_what_failed_is_due_again_later_and_keeps_its_error(store: SqliteStore, path: Path) -> None:
    told(store, crossing(80))
    webhook, mail = claimed(store)
    fail = functools.partial(outbox.failed, now_ms=NOW)
    did(store, functools.partial(fail, notice_id=webhook.id, error="e" * 999, again_ms=NOW + 50))
    did(store, functools.partial(fail, notice_id=mail.id, error="no such box", again_ms=None))
    assert not outbox.due(path, NOW + 49)
    [again] = claimed(store, NOW + 50)
    assert (again.id, again.attempts) == (webhook.id, 2)
    did(store, functools.partial(outbox.sent, notice_id=webhook.id, now_ms=NOW + 60))
    newest, oldest = outbox.last(path)
    assert (newest.state, newest.error, newest.attempts) == ("failed", "no such box", 1)
    assert (oldest.state, oldest.error, oldest.attempts) == ("sent", "", 2)
    assert oldest.subject == "s"
    assert not outbox.due(path, NOW + 10**9)


def test_old_notices_and_old_periods_are_forgotten(store: SqliteStore, path: Path) -> None:
    told(store, crossing(80), crossing(80, bucket=0))
    webhook, *_ = claimed(store)
    did(store, functools.partial(outbox.sent, notice_id=webhook.id, now_ms=NOW))
    did(store, functools.partial(outbox.prune, now_ms=NOW + KEEP_MS))
    assert len(outbox.last(path)) == 4
    did(store, functools.partial(outbox.prune, now_ms=NOW + TOLD_MS + 1))
    assert len(outbox.last(path)) == 3  # what waits is kept
    assert told(store, crossing(80, bucket=0)) == 0  # of all time, for ever
    assert told(store, crossing(80)) == 1


def test_what_was_never_recorded_is_not_told(store: SqliteStore) -> None:
    assert told(store, crossing(80, name="nobody")) == 0


@pytest.mark.anyio
async def test_standings_are_the_ledgers_sums_with_the_accounts_credit(
    store: SqliteStore, path: Path
) -> None:
    record = a_record(cost_nanousd=70)
    quota = Budget(Account("user", "alice", "nanousd"), 100, credited=True)
    await store.append(record)
    store.close()  # adds what was not added up yet
    store.open()
    did(store, lambda db: spending.add_credit(db, "alice", 40, record.time_ms))
    unknown = Budget(Account("user", "zoe", "nanousd"), 5)
    [standing] = outbox.standings(path, [quota, unknown], zone=UTC, now_ms=record.time_ms)
    assert (standing.budget, standing.used, standing.bound) == (quota, 70, 140)
