"""What the gateway asks of whatever keeps its records.

SQLite is the embedded store (`store_sqlite`); a shared database comes behind the same protocol.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from oneapi.errors import StoreError
from oneapi.ledger.leases import Turn, Turned
from oneapi.ledger.record import Record

DeclaredKind = Literal["channel", "user", "token", "group", "policy", "model"]


Told: TypeAlias = Callable[[StoreError | None], None]
"""Hears, on its event loop, that a record is committed, or why it could not be."""


@dataclass(frozen=True, slots=True)
class Look:
    """What others have done to the ledger, as far as it concerns this process.

    `version` rises when anybody else has committed something. `short` are budgets of which
    somebody has too little while this process has a lease, `others` says whether there is any
    other process, `unwritten` whether this one has charges that the sums do not hold yet.
    """

    version: int
    short: frozenset[int]
    others: bool
    unwritten: bool


@dataclass(frozen=True, slots=True)
class Revision:
    """One configuration that was loaded or refused: `text` has its secrets masked (D12)."""

    revision: str
    time_ms: int
    outcome: str
    origin: str
    text: str


class Store(Protocol):
    """Safe for any number of threads. Errors are `StoreError`s that name the database."""

    def open(self) -> None:
        """Create or migrate, and begin to take records. Blocks. Raises `StoreError`."""
        ...

    def append(self, record: Record, told: Told | None = None) -> asyncio.Future[None]:
        """Keep a record. Called on an event loop, where the future is done once it is committed.

        The future fails with `StoreError` where it cannot be. Cancelling it does not unwrite.
        `told` hears of the outcome just before, also where the future was cancelled, and finds
        the record's `charges` filled in.
        """
        ...

    def turn(self, asked: Turn) -> concurrent.futures.Future[Turned]:
        """Lease, give back and add up, in one transaction. Fails with `StoreError`."""
        ...

    def look(self, now_ms: int) -> concurrent.futures.Future[Look]:
        """See what others have done. Writes nothing; fails with `StoreError`."""
        ...

    @property
    def renamings(self) -> int:
        """Rises when `declare` has given a name to another thing."""
        ...

    def post(self, record: Record) -> None:
        """Keep a record that nobody waits for. A failure is logged."""
        ...

    async def flush(self) -> None:
        """Return once everything that was given before is committed or has failed."""
        ...

    def close(self) -> None:
        """Write what is queued, then let go of the database. Blocks. May be called twice."""
        ...

    def declare(self, kind: DeclaredKind, names: Mapping[str, str | None]) -> dict[str, int]:
        """Stable ids (from 1) of the names a configuration declares; blocks for one commit.

        A value is the name the thing had before (`was`), None where it had none: what was
        recorded under that name then belongs to the new one.
        """
        ...

    def save_revision(
        self, revision: str, *, outcome: str, text: str, origin: str, keep: int
    ) -> None:
        """Remember a configuration and forget all but the last `keep`; blocks for one commit."""
        ...

    def revisions(self, limit: int) -> Sequence[Revision]:
        """The last configurations, newest first."""
        ...

    def health(self) -> str | None:
        """Why records cannot be written at the moment; None where they can, as far as is known."""
        ...
