"""Sums of accounts that the ledger makes from what it has already."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from sqlite_utils import Database

from oneapi.ledger import schema
from oneapi.ledger.accounts import Account
from oneapi.ledger.opening import connect, create
from oneapi.ledger.store_sqlite import SqliteStore
from tests.ledger.money import ALICE, promised


def version_2(path: Path) -> Database:
    """A ledger as step 2 left it, in use."""
    create(path)
    db = connect(path, busy_timeout_s=1)
    schema.MIGRATIONS.apply(db, stop_before="3 money")
    db.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    db.execute("PRAGMA user_version = 2")
    return db


def test_an_older_ledgers_records_are_summed_up_when_it_is_opened(path: Path) -> None:
    db = version_2(path)
    people = [
        (1, "user", "alice", None),
        (2, "user", "old alice (#2)", 1),
        (3, "token", "ci", None),
    ]
    for number, kind, name, same_as in people:
        db.execute(
            "INSERT INTO names (id, kind, name, same_as) VALUES (?, ?, ?, ?)",
            (number, kind, name, same_as),
        )
    costs = {10: (1, 3, 5), 11: (2, 3, 6), 12: (1, None, None), 13: (None, None, 9)}
    for number, (user, token, cost) in costs.items():
        row: dict[str, int | None] = {c: 0 for c in schema.COLUMNS if c not in schema.NULLABLE}
        row |= {"id": number, "user_id": user, "token_id": token, "cost_nanousd": cost}
        db.table("records").insert(row)
    db.conn.close()
    store = SqliteStore(path)
    store.open()
    store.close()
    assert promised(path) == (11, 0)
    assert promised(path, Account("token", "ci", "nanousd")) == (11, 0)
    with contextlib.closing(sqlite3.connect(path)) as after:
        assert after.execute("SELECT count(*) FROM budgets").fetchone() == (2,)
        assert after.execute("SELECT seq, record_id FROM tail").fetchall() == [
            (1, 10), (2, 11), (3, 12), (4, 13),
        ]  # fmt: skip
    assert (path.parent / "oneapi.db.v2-backup").exists()


def test_an_account_that_nobody_knows_has_spent_nothing(path: Path) -> None:
    store = SqliteStore(path)
    store.open()
    store.close()
    assert promised(path, ALICE) == (0, 0)


def test_absurd_costs_of_an_older_ledger_do_not_keep_it_shut(path: Path) -> None:
    """Version 2 kept what a provider's 10**30 tokens cost: more than SQLite adds up."""
    db = version_2(path)
    for number, name, costs in ((1, "absurd", (2**63 - 1, 2**62, 5)), (2, "dear", (2**40, 7))):
        db.execute("INSERT INTO names (id, kind, name) VALUES (?, 'user', ?)", (number, name))
        for n, cost in enumerate(costs):
            row: dict[str, int | None] = {c: 0 for c in schema.COLUMNS if c not in schema.NULLABLE}
            row |= {"id": 10 * number + n, "user_id": number, "cost_nanousd": cost}
            db.table("records").insert(row)
    db.conn.close()
    store = SqliteStore(path)
    store.open()
    store.close()
    assert promised(path, Account("user", "absurd", "nanousd")) == (2**63 - 1, 0)
    assert promised(path, Account("user", "dear", "nanousd")) == (2**40 + 7, 0)
