"""The door: what goes in comes out, and is booked once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from oneapi.errors import StoreError
from oneapi.ledger.door import Door
from oneapi.ledger.queries import records
from oneapi.ledger.record import Record
from oneapi.ledger.store_sqlite import SqliteStore

MakeRecord = Callable[..., Record]


def test_a_settled_request_has_one_record_and_no_permit(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    async def run() -> None:
        door = Door(store)
        permit = door.permit()
        assert door.open_permits == 1
        await door.settle(permit, make_record())
        assert door.open_permits == 0

    asyncio.run(run())
    assert len(list(records(path))) == 1


def test_settling_twice_books_once(store: SqliteStore, path: Path, make_record: MakeRecord) -> None:
    async def run() -> None:
        door = Door(store)
        permit = door.permit()
        first = door.settle(permit, make_record())
        second = door.settle(permit, make_record())
        assert first is second
        await second
        door.release(permit)
        assert door.open_permits == 0

    asyncio.run(run())
    assert len(list(records(path))) == 1


def test_releasing_twice_counts_once(store: SqliteStore) -> None:
    door = Door(store)
    one, two = door.permit(), door.permit()
    door.release(one)
    door.release(one)
    assert door.open_permits == 1
    door.release(two)
    assert door.open_permits == 0


def test_a_request_refused_before_it_held_anything_is_booked(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    async def run() -> None:
        await Door(store).settle(None, make_record(status=401))

    asyncio.run(run())
    assert [r["status"] for r in records(path)] == [401]


def test_a_released_permit_still_books_its_record(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    async def run() -> None:
        door = Door(store)
        permit = door.permit()
        door.release(permit)
        await door.settle(permit, make_record())
        assert door.open_permits == 0

    asyncio.run(run())
    assert len(list(records(path))) == 1


def test_a_failed_settlement_leaks_no_permit(store: SqliteStore, make_record: MakeRecord) -> None:
    store.close()

    async def run() -> None:
        door = Door(store)
        permit = door.permit()
        with pytest.raises(StoreError):
            await door.settle(permit, make_record())
        assert door.open_permits == 0

    asyncio.run(run())
