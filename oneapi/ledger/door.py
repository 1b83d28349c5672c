"""The one door every request passes on its way in and out: admit → hold → settle or release.

In step 1 everyone is admitted and a hold reserves nothing: the door keeps count of what is open
and sees to it that a request is settled once. Step 3 gives `admit` the rates and `hold` the
budgets; callers keep their calls.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from oneapi.ledger.base import Store
from oneapi.ledger.record import Record


@dataclass(slots=True, eq=False)
class Permit:
    """One request's leave to spend. It ends by `settle` or `release`, whichever comes first."""

    open: bool = True
    settled: asyncio.Future[None] | None = None


class Door:
    """Belongs to one event loop; none of its methods wait."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.open_permits = 0

    def admit(self) -> None:
        """Let a caller in. Always does: limits come with step 3, as `ApiError`s raised here."""

    def hold(self) -> Permit:
        """A permit for one request, which must be settled or released whatever happens.

        Reserves no money: budgets come with step 3.
        """
        self.open_permits += 1
        return Permit()

    def settle(self, permit: Permit | None, record: Record) -> asyncio.Future[None]:
        """Write the request's one record and give the permit back; done once it is committed.

        A permit that was settled gives the same future again and writes nothing. None stands for
        a request that was refused before it held anything. A permit that was released has no
        hold any more, but its record is written all the same: what was used was used.
        """
        if permit is None:
            return self._store.append(record)
        if permit.settled is None:
            permit.settled = self._store.append(record)
        self.release(permit)
        return permit.settled

    def release(self, permit: Permit) -> None:
        """Give a permit back without a record. Does nothing where that has happened."""
        if permit.open:
            permit.open = False
            self.open_permits -= 1
