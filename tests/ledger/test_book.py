"""The book: entries that never change, transactions that count once, sums."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

import pytest

from oneapi.errors import ApiError, StoreError
from oneapi.ledger import book
from oneapi.ledger.book import Entry, Posting
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.ledger.users import Actor, Db

T = TypeVar("T")
BOSS = Actor("boss", "10.0.0.9")


def do(store: SqliteStore, work: Callable[[Db], T]) -> T:
    return store.transact(work).result()


def post(store: SqliteStore, *facts: object, now_ms: int = 1_000) -> Entry:
    posting = Posting(*facts)  # type: ignore[arg-type]
    return do(store, lambda db: book.post(db, posting, BOSS, now_ms=now_ms))


def total(store: SqliteStore, user: str = "alice") -> int:
    return do(store, lambda db: book.total(db, user))


def test_a_balance_is_the_sum_of_its_entries(store: SqliteStore) -> None:
    post(store, "alice", "grant", 5_000)
    post(store, "alice", "topup", 7_000, "paid in cash")
    post(store, "alice", "correction", -12_500, "booked twice")
    post(store, "bob", "topup", 1)
    assert (total(store), total(store, "bob"), total(store, "nobody")) == (-500, 1, 0)


def test_entries_say_who_when_and_why_newest_first(store: SqliteStore) -> None:
    post(store, "alice", "grant", 5)
    made = post(store, "alice", "topup", 7, "cash", "T-1", now_ms=2_000)
    found = do(store, lambda db: book.entries(db, "alice"))
    assert found[0] == made
    assert (made.actor, made.origin, made.reason) == ("boss", "10.0.0.9", "cash")
    assert (made.time_ms, made.transaction_id) == (2_000, "T-1")
    assert [e.kind for e in found] == ["topup", "grant"]
    assert do(store, lambda db: book.entries(db, "alice", before_id=made.id)) == found[1:]


def test_a_transaction_counts_once(store: SqliteStore) -> None:
    first = post(store, "alice", "topup", 7, "cash", "T-1")
    assert post(store, "alice", "topup", 7, "again", "T-1") == first
    assert total(store) == 7


def test_a_transaction_cannot_become_another_one(store: SqliteStore) -> None:
    post(store, "alice", "topup", 7, "", "T-1")
    for other in (("bob", "topup", 7), ("alice", "topup", 8), ("alice", "code", 7)):
        with pytest.raises(ApiError) as caught:
            post(store, *other, "", "T-1")
        assert (caught.value.status, caught.value.code) == (409, "transaction_taken")
    assert (total(store), total(store, "bob")) == (7, 0)


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (("alice", "topup", 0), "wrong_amount"),
        (("alice", "topup", -5), "wrong_amount"),
        (("alice", "code", -5), "wrong_amount"),
        (("alice", "invitation", -1), "wrong_amount"),
        (("alice", "correction", 0, "why"), "wrong_amount"),
        (("alice", "correction", -5, " "), "reason_missing"),
        (("alice", "topup", book.MOST_NANOUSD + 1), "amount_too_large"),
        (("alice", "topup", 5, "a\x1b[31mb"), "text_not_plain"),
        (("alice", "topup", 5, "", "T\n1"), "text_not_plain"),
        (("alice", "topup", 5, "", "code:1:1"), "own_id"),
        (("alice", "correction", 5, "why", "invitation:by:1"), "own_id"),
    ],
)
def test_what_its_kind_cannot_be_is_refused(
    store: SqliteStore, facts: tuple[object, ...], code: str
) -> None:
    with pytest.raises(ApiError) as caught:
        post(store, *facts)
    assert caught.value.code == code
    assert total(store) == 0


def test_a_sum_never_leaves_what_a_number_holds(store: SqliteStore) -> None:
    post(store, "alice", "topup", book.MOST_NANOUSD)
    with pytest.raises(ApiError, match="more than a book can hold"):
        post(store, "alice", "topup", 1)
    assert total(store) == book.MOST_NANOUSD


@pytest.mark.parametrize("table", ["entries", "redemptions", "audit"])
def test_rows_are_never_changed(store: SqliteStore, table: str) -> None:
    values = {
        "entries": "(1, 1, 'grant', 5, '', NULL, '', 0, NULL)",
        "redemptions": "(1, 1, 1, 1, 0)",
        "audit": "(1, 0, NULL, '', 'x', NULL, NULL, '', '{}', '{}')",
    }[table]
    do(store, lambda db: db.execute(f"INSERT INTO {table} VALUES {values}").rowcount)
    replace = f"REPLACE INTO {table} VALUES {values}"
    for change in (f"UPDATE {table} SET id = 9", f"DELETE FROM {table}", replace):
        with pytest.raises(StoreError, match="never changed"):
            do(store, lambda db, sql=change: db.execute(sql).rowcount)  # type: ignore[misc]
    with sqlite3.connect(store.path) as db:
        assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)
    db.close()


def test_the_book_follows_a_user_to_another_name(store: SqliteStore) -> None:
    store.declare("user", {"alice": None})
    post(store, "alice", "topup", 7)
    store.declare("user", {"alicia": "alice"})
    assert (total(store, "alicia"), total(store, "alice")) == (7, 0)


def test_the_book_of_a_user_who_was_merged_is_not_lost(store: SqliteStore) -> None:
    store.declare("user", {"alice": None, "alicia": None})
    post(store, "alice", "topup", 7)
    post(store, "alicia", "topup", 1)
    store.declare("user", {"alicia": "alice"})
    assert total(store, "alicia") == 8
    assert {e.user for e in do(store, lambda db: book.entries(db, "alicia"))} == {"alicia"}
