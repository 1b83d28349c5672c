"""Where a finished request is written down: the ledger's door, the counters, the access line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace

from oneapi.errors import ApiError, StoreError
from oneapi.gateway.state import Counters
from oneapi.ledger.accounts import Budget
from oneapi.ledger.door import Door, Permit
from oneapi.ledger.record import Record

LEDGER_UNAVAILABLE = "ledger_unavailable"


async def written(committed: asyncio.Future[None]) -> None:
    """Wait for the commit; raises `ApiError` 503 where the ledger cannot be written."""
    try:
        await committed
    except StoreError as error:
        raise unavailable() from error


def unavailable() -> ApiError:
    """The ledger cannot be written, and without it nothing is answered."""
    return ApiError(
        503,
        "the gateway cannot write its ledger at the moment; nothing was charged",
        code=LEDGER_UNAVAILABLE,
        kind="server_error",
        headers={"retry-after": "5"},
    )


class Books:
    """One for the process. `access` is told of every record; it must not block."""

    def __init__(self, door: Door, counters: Counters, access: Callable[[Record], None]) -> None:
        self.door = door
        self._counters = counters
        self._access = access
        self.touched: Callable[[str, Iterable[Budget]], None] | None = None
        """Told of every settled request's user and the budgets it was held of; must not block."""

    def settle(self, permit: Permit | None, record: Record) -> asyncio.Future[None]:
        """Post the record and give the permit back; the future is done once it is committed.

        Counters and access line come with the commit: they tell what the ledger tells.
        """
        if self.touched is not None and permit is not None and permit.holds:
            self.touched(record.user, [hold[0] for hold in permit.holds])
        committed = self.door.settle(permit, record)
        committed.add_done_callback(lambda done: self._tell(done, record))
        return committed

    def _tell(self, committed: asyncio.Future[None], record: Record) -> None:
        # Cancelled: whoever waited for the commit has left, the record is written all the same.
        if not committed.cancelled() and committed.exception() is not None:
            record = replace(record, status=503, error_code=LEDGER_UNAVAILABLE, usage_source="none")
        self._count(record)
        self._access(record)

    def _count(self, record: Record) -> None:
        counters = self._counters
        key = (record.endpoint, record.channel, record.status)
        counters.requests[key] = counters.requests.get(key, 0) + 1
        counters.seconds_sum += record.total_ms / 1000
        counters.seconds_count += 1
        if record.usage_source != "none":
            for kind, amount in (
                ("input", record.usage.input_tokens),
                ("output", record.usage.output_tokens),
            ):
                slot = (record.channel, kind)
                counters.tokens[slot] = counters.tokens.get(slot, 0) + amount
        if record.cost_nanousd:
            spent = counters.cost_nanousd.get(record.channel, 0)
            counters.cost_nanousd[record.channel] = spent + record.cost_nanousd
