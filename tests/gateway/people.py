"""A store, a configuration and the people over both, for tests of what happens at run time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from oneapi.config.schema import Settings
from oneapi.errors import ApiError
from oneapi.gateway.people import People
from oneapi.gateway.roster import Roster
from oneapi.gateway.snapshot import Snapshot
from oneapi.gateway.state import State
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.ledger.users import Actor
from tests.gateway.making import BASE, snapshot

T = TypeVar("T")
BOSS = Actor("boss", "10.0.0.9")
NOW = 1_800_000_000_000
USD = 1_000_000_000

TEXT = (
    BASE.replace("[groups.vip]\n", '[groups.vip]\nmay_issue = ["all"]\n')
    + """
[groups.default]
may_issue = ["ci", "laptop"]
grant = "$2"
[groups.each]
may_issue = ["ci"]
each = { rpm = 7 }
[policies.ci]
models = ["m1", "glob-*"]
subnets = ["10.0.0.0/8"]
[policies.laptop]
[auth.invitations]
inviter = "$3"
invited = "$1"
most = 2
"""
)


class World:
    """A running gateway's part that is about people, its clock in the test's hands."""

    def __init__(self, folder: Path, store: SqliteStore, text: str = TEXT) -> None:
        self.folder = folder
        self.store = store
        self.now_ms = NOW
        self.state = State()
        self.state.roster = Roster(store.path)
        self.state.roster.load()
        self.snapshot: Snapshot
        self.reload(text)
        self.people = People(
            store, self.settings, roster=self.state.roster, now_ms=lambda: self.now_ms
        )

    def reload(self, text: str) -> None:
        self.snapshot = snapshot(self.folder, text)

    def settings(self) -> Settings:
        return self.snapshot.settings


@contextlib.contextmanager
def world(folder: Path, text: str = TEXT) -> Iterator[World]:
    store = SqliteStore(folder / "oneapi.db")
    store.open()
    made = World(folder, store, text)
    try:
        yield made
    finally:
        made.state.roster.close()
        store.close()


def do(work: Awaitable[T]) -> T:
    async def wait() -> T:
        return await work

    return asyncio.run(wait())


def refused(work: Callable[[], Awaitable[object]]) -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        do(work())
    return caught.value.status, caught.value.code
