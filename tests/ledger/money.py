"""Budgets, requests that spend them, and what the ledger's file says of them."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from oneapi.ir import Usage
from oneapi.ledger.accounts import TOTAL, Account, Budget, Period, Scope, Unit
from oneapi.ledger.door import Door, Permit, Shortage, Want
from oneapi.ledger.record import Record, id_time_ms, new_id
from oneapi.ledger.store_sqlite import SqliteStore

ALICE = Account("user", "alice", "nanousd")


def budget(
    limit: int,
    *,
    scope: Scope = "user",
    name: str = "alice",
    unit: Unit = "nanousd",
    period: Period = TOTAL,
    credited: bool = False,
) -> Budget:
    return Budget(Account(scope, name, unit, period), limit, credited)


def a_request(cost: int = 0, **changes: Any) -> Record:
    """A record of alice's, of so many nano-dollars."""
    made = changes.pop("id", None) or new_id()
    values: dict[str, Any] = {
        "id": made, "time_ms": id_time_ms(made), "user": "alice", "token": "ci", "group": "vip",
        "policy": "p", "revision": "r", "endpoint": "chat", "dialect_in": "a", "dialect_out": "b",
        "model": "fast", "channel": "home", "served_model": "m", "status": 200, "error_code": "",
        "upstream_status": 200, "stream": False, "usage": Usage(input=cost), "attempts": 1,
        "usage_source": "upstream", "cost_nanousd": cost, "price_rule": "p", "total_ms": 1,
        "settlement": "complete", "ttft_ms": 1, "request_id": f"{made:016x}", "client": "",
    }  # fmt: skip
    return Record(**{**values, **changes})


async def spend(door: Door, wants: list[Want], **record: Any) -> Shortage | None:
    """A request from hold to settlement; `cost` is what it comes to."""
    made = a_request(**record)
    permit = door.permit()
    shortage = await door.hold(permit, wants, made.time_ms)
    if shortage is not None:
        door.release(permit)
        return shortage
    await door.settle(permit, made)
    return None


async def held(door: Door, wants: list[Want], now_ms: int | None = None) -> Permit | None:
    """A permit that holds all of it, or None."""
    permit = door.permit()
    arrived = id_time_ms(new_id()) if now_ms is None else now_ms
    if await door.hold(permit, wants, arrived) is None:
        return permit
    door.release(permit)
    return None


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as connection:
        yield connection


def promised(path: Path, account: Account = ALICE) -> tuple[int, int]:
    """What an account has spent in all buckets, and what is leased of it, as the file has it."""
    with opened(path) as db:
        where = (
            "SELECT b.id FROM budgets b JOIN names n ON n.id = b.name_id WHERE b.scope = ?"
            " AND n.name = ? AND b.unit = ? AND b.period = ?"
        )
        key = (account.scope, account.name, account.unit, account.period.key)
        sums = [
            db.execute(f"SELECT coalesce(sum({what}), 0) {table} WHERE budget_id IN ({where})", key)
            for what, table in (("used", "FROM spend"), ("amount", "FROM leases"))
        ]
        used, leased = (row.fetchone()[0] for row in sums)
        return used, leased


def crash(store: SqliteStore) -> None:
    """As if the process had been killed: what it committed is there, and its lock is gone."""
    writer, alive, db = store._writer, store._alive, store._db
    assert writer is not None
    assert alive is not None
    assert db is not None
    writer.stop()
    alive.abandon()
    db.conn.close()
    store._writer = store._db = None


async def settled(door: Door, until: Callable[[], bool], ticks: int = 40) -> None:
    """Let the background work until something is so."""
    for _ in range(ticks):
        if until():
            return
        await door.tick()
        await asyncio.sleep(0.01)
    assert until()
