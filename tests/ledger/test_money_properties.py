"""Whatever happens in whatever order: every balance is what was given minus what was recorded."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oneapi.errors import StoreError
from oneapi.ir import Usage
from oneapi.ledger import audit_sums, spending
from oneapi.ledger.accounts import Period
from oneapi.ledger.door import Door, Permit
from oneapi.ledger.opening import reading
from oneapi.ledger.prices import Price, Rates, Rule
from oneapi.ledger.record import id_time_ms, new_id
from oneapi.ledger.store_sqlite import SqliteStore
from tests.ledger.money import a_request, budget, crash, opened, promised

Step: TypeAlias = tuple[str, int, int]
"""What is done, by which process or to which permit, and an amount."""

steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["hold", "hold", "hold", "settle", "settle", "release", "crash", "limit", "credit",
             "debit", "look", "refused", "fails"]
        ),
        st.integers(0, 3),
        st.integers(0, 50),
    ),
    min_size=15,
    max_size=60,
)  # fmt: skip
rates = st.integers(0, 3_000_000)
prices = st.builds(
    lambda given, made, ratio: Price(Rule("r", Rates(input=given, output=made)), ratio),
    rates,
    rates,
    st.integers(100_000, 2_000_000),
)


@dataclass(slots=True)
class World:
    """Two processes over one file, and what must be so by simple arithmetic."""

    path: Path
    price: Price
    limit: int = 300
    credit: int = 0
    beyond: int = 0
    """What requests used beyond their holds."""
    lately: int = 0
    """That since all processes looked: another one may not know of it yet."""
    recorded: int = 0
    records: int = 0
    lowest: int = 0
    """How far limits and credits were lowered below what was spent and leased, at the most."""
    stores: list[SqliteStore] = field(default_factory=list)
    doors: list[Door] = field(default_factory=list)
    open: list[tuple[int, Permit, int]] = field(default_factory=list)

    def start(self) -> None:
        for _ in range(2):
            self.stores.append(self._opened())
            self.doors.append(Door(self.stores[-1]))

    def _opened(self) -> SqliteStore:
        store = SqliteStore(self.path)
        store.open()
        return store

    @property
    def held(self) -> int:
        return sum(amount for _, _, amount in self.open)

    async def hold(self, which: int, amount: int) -> None:
        which %= 2
        door = self.doors[which]
        wants = [
            (budget(self.limit, credited=True), amount),
            (budget(10**9, scope="token", name="ci", period=Period("month")), amount),
            (budget(10**9, scope="channel", name="home", period=Period("rolling", 600)), amount),
        ]
        await self._quiet()
        permit = door.permit()
        waiting = asyncio.ensure_future(door.hold(permit, wants, id_time_ms(new_id())))
        while not waiting.done():  # the other process goes on meanwhile
            await asyncio.wait([waiting], timeout=0.01)
            for other in self.doors:
                await other.tick()
        left = self.limit + self.credit - self.recorded - self.held
        if waiting.result() is None:
            assert amount == 0 or amount <= left + self.lately, "held more than there is"
            self.open.append((which, permit, amount))
        else:
            assert amount > left, "refused what there is"
            door.release(permit)

    async def _quiet(self) -> None:
        """What a process gives back reaches the others."""
        for _ in range(3):
            await asyncio.sleep(0)
            for store in self.stores:
                await store.flush()

    async def settle(self, which: int, amount: int) -> None:
        if not self.open:
            return
        process, permit, hold = self.open.pop(which % len(self.open))
        used = Usage(input=amount, output=amount // 2)
        cost = self.price.cost(used)
        await self.doors[process].settle(permit, a_request(cost, usage=used))
        self._recorded(cost, hold)

    async def refused(self, which: int, amount: int) -> None:
        """A request that held nothing, and is recorded all the same."""
        await self.doors[which % 2].settle(None, a_request(amount))
        self._recorded(amount, 0)

    async def fails(self, which: int, amount: int) -> None:
        """A record that the ledger cannot take: neither charge nor hold is left."""
        if not self.open:
            return
        process, permit, _ = self.open.pop(which % len(self.open))
        wrong = a_request(amount, status=object())
        with pytest.raises(StoreError):
            await self.doors[process].settle(permit, wrong)

    def _recorded(self, cost: int, hold: int) -> None:
        self.recorded += cost
        self.records += 1
        self.beyond += max(cost - hold, 0)
        self.lately += max(cost - hold, 0)

    async def release(self, which: int, amount: int) -> None:
        if self.open:
            process, permit, _ = self.open.pop(which % len(self.open))
            self.doors[process].release(permit)

    async def crash(self, which: int, amount: int) -> None:
        which %= 2
        await asyncio.sleep(0)
        crash(self.stores[which])
        self.open = [entry for entry in self.open if entry[0] != which]
        self.stores[which] = self._opened()
        self.doors[which] = Door(self.stores[which])

    async def reload(self, which: int, amount: int) -> None:
        self.limit = amount * 8
        self._lowered()

    async def give(self, which: int, amount: int) -> None:
        await self._credit(which, amount)

    async def take(self, which: int, amount: int) -> None:
        await self._credit(which, -amount)
        await self.look(which, amount)

    async def _credit(self, which: int, amount: int) -> None:
        now = id_time_ms(new_id())
        job = self.stores[which % 2].transact(
            lambda db: spending.add_credit(db, "alice", amount, now)
        )
        await asyncio.wrap_future(job)
        self.credit += amount
        self._lowered()

    def _lowered(self) -> None:
        taken = max(sum(promised(self.path)), self.recorded + self.held)
        self.lowest = max(self.lowest, taken - self.limit - self.credit)

    async def look(self, which: int, amount: int) -> None:
        for door in self.doors:
            for _ in range(4):
                await door.tick()
        for store in self.stores:
            await store.flush()
        await asyncio.sleep(0)
        self.lately = 0

    async def run(self, done: list[Step]) -> None:
        self.start()
        does: Mapping[str, Callable[[int, int], object]] = {
            "hold": self.hold, "settle": self.settle, "release": self.release,
            "crash": self.crash, "limit": self.reload, "credit": self.give, "debit": self.take,
            "look": self.look, "refused": self.refused, "fails": self.fails,
        }  # fmt: skip
        for what, which, amount in done:
            await does[what](which, amount * 5 if what == "hold" else amount)  # type: ignore[misc]
            used, leased = promised(self.path)
            bound = self.limit + self.credit + self.beyond + max(self.lowest, 0)
            assert used <= self.recorded
            assert used + leased <= bound
            assert self.recorded + self.held <= bound
        await self.look(0, 0)
        for store in self.stores:
            store.close()

    def check(self) -> None:
        used, leased = promised(self.path)
        assert (used, leased) == (self.recorded, 0)
        with opened(self.path) as db:
            counted = db.execute("SELECT count(*), coalesce(sum(cost_nanousd), 0) FROM records")
            assert counted.fetchone() == (self.records, self.recorded)
            credit = db.execute("SELECT coalesce(sum(credit), 0) FROM budgets").fetchone()[0]
            assert credit == self.credit
        with reading(self.path) as kept:
            assert [c for c in audit_sums.spend(kept) if c.stored != c.computed] == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps, prices)
def test_balance_is_grants_and_credits_minus_records(done: list[Step], price: Price) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder) / "oneapi.db", price)
        asyncio.run(world.run(done))
        world.check()
