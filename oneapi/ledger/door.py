"""The one door every request passes on its way in and out: hold → settle or release.

A hold reserves the most that a request can cost, of every budget that bounds it, before the call.
Settling writes the request's one record; what it used is what the record says, and the hold ends
with the record's commit. A hold is taken from what this process has leased (`lease_book`), without
a write, as long as the budgets are far from their limits.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from datetime import UTC, tzinfo

from oneapi.errors import StoreError
from oneapi.ledger.accounts import Budget
from oneapi.ledger.base import Store
from oneapi.ledger.lease_book import LeaseBook
from oneapi.ledger.permit import Permit, Shortage, Want
from oneapi.ledger.record import Record

__all__ = ["Door", "Permit", "Shortage", "Want"]


class Door:
    """Belongs to one event loop. `zone` is where calendar periods begin; it may be changed."""

    def __init__(self, store: Store, zone: tzinfo = UTC) -> None:
        self._store = store
        self._book = LeaseBook(store, zone)
        self.open_permits = 0

    @property
    def zone(self) -> tzinfo:
        return self._book.zone

    @zone.setter
    def zone(self, zone: tzinfo) -> None:
        self._book.zone = zone

    def permit(self) -> Permit:
        """A permit that holds nothing yet; it must be settled or released whatever happens."""
        self.open_permits += 1
        return Permit()

    def try_hold(self, permit: Permit, wants: Sequence[Want], now_ms: int) -> bool:
        """Hold all of `wants` at once, if this process may without asking; else hold nothing.

        False means: ask `hold`. `now_ms` is when the request arrived (`record.id_time_ms` of its
        id): it belongs to the periods of that moment, however long it waits.
        """
        return self._book.try_hold(permit, wants, now_ms)

    async def hold(self, permit: Permit, wants: Sequence[Want], now_ms: int) -> Shortage | None:
        """Hold all of `wants` or nothing; None where it is held.

        Tries without asking first. Where another process has something left that it does not
        need, it is waited for, at most `lease_book.PATIENCE_S`. Raises `StoreError` where the
        ledger cannot be asked.
        """
        return await self._book.hold(permit, wants, now_ms)

    def give_back(self, permit: Permit, budgets: Sequence[Budget]) -> None:
        """Release what a permit holds of these budgets, and keep the rest."""
        self._book.give_back(permit, budgets)

    def settle(self, permit: Permit | None, record: Record) -> asyncio.Future[None]:
        """Write the request's one record and, with its commit, end what the permit holds.

        The record is charged to every account that the ledger keeps for its user, token, group,
        model and channel, whatever the permit held. Where the commit fails (`StoreError`), there
        is no charge and no hold either. A permit that was settled gives the same future again and
        writes nothing. None stands for a request that was refused before it held anything. A
        permit that was released has no hold any more, but its record is written all the same:
        what was used was used.
        """
        if permit is None:
            return self._store.append(record, functools.partial(self._landed, None, record))
        if permit.settled is None:
            self._end(permit)
            told = functools.partial(self._landed, permit, record)
            permit.settled = self._store.append(record, told)
        return permit.settled

    def release(self, permit: Permit) -> None:
        """End a permit without a record. Does nothing where it has ended."""
        if permit.settled is None:
            self._book.release(permit)
        self._end(permit)

    def remaining(self, budget: Budget, now_ms: int) -> int | None:
        """What is left of a budget, as far as this process knows without asking: what others use
        since it last asked is not seen. None where it never asked. Negative where it is overdrawn.
        """
        return self._book.remaining(budget, now_ms)

    async def freed(self, timeout_s: float) -> None:
        """Wait until something is given back that a refused request may now have, or the time is
        over.
        """
        await self._book.freed(timeout_s)

    async def tick(self) -> None:
        """What `run` does every quarter of a second."""
        await self._book.tick()

    async def run(self) -> None:
        """Keep the ledger's sums and leases up to date, until cancelled: the background's part."""
        await self._book.run()

    def _end(self, permit: Permit) -> None:
        if permit.open:
            permit.open = False
            self.open_permits -= 1

    def _landed(self, permit: Permit | None, record: Record, error: StoreError | None) -> None:
        if permit is not None:
            self._book.release(permit)
        if error is None:  # after its hold ended: what is missing now, others hold
            self._book.spend(record)
