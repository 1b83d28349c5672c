"""What every part of the management of people works with: the store, the file, the roster."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from oneapi.config.schema import Settings
from oneapi.errors import ApiError, StoreError
from oneapi.gateway.budgets import nanousd
from oneapi.gateway.roster import Roster
from oneapi.ledger import registered
from oneapi.ledger.opening import reading
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.ledger.users import Db

T = TypeVar("T")

log = logging.getLogger("oneapi.people")


def clock_ms() -> int:
    """Now, Unix milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Member:
    """A user of the file or of the store. `quota_nanousd` is what the file grants for good: None
    for no limit, 0 for registered users, whose grants stand in the book.
    """

    name: str
    group: str
    enabled: bool
    registered: bool
    quota_nanousd: int | None
    email: str | None


class Desk:
    """The file is asked anew for each piece of work: a reload counts at once."""

    def __init__(
        self,
        store: SqliteStore,
        settings: Callable[[], Settings],
        *,
        roster: Roster | None = None,
        now_ms: Callable[[], int] = clock_ms,
    ) -> None:
        self._store = store
        self._settings = settings
        self._roster = roster
        self._now_ms = now_ms

    async def _write(self, work: Callable[[Db], T]) -> T:
        """Do it in one transaction; the roster of this process knows of it on return."""
        result = await asyncio.wrap_future(self._store.transact(work))
        if self._roster is not None:
            try:
                await self._roster.refresh()
            except StoreError as error:  # it was written; the roster looks again by itself
                log.error("a change is not in force yet: %s", error)
        return result

    async def _read(self, work: Callable[[Db], T]) -> T:
        def read() -> T:
            with reading(self._store.path) as db:
                return work(db)

        return await asyncio.to_thread(read)

    def _member(self, db: Db, name: str) -> Member:
        """A user by name. Raises `ApiError` 404."""
        settings = self._settings()
        table = settings.users.get(name)
        if table is not None:
            quota = None if table.quota is None else nanousd(table.quota, settings.site)
            return Member(name, table.group, table.enabled, False, quota, table.email)
        try:
            person = registered.person(db, name)
        except ApiError:
            raise ApiError(404, f"there is no user {name!r}", code="unknown_user") from None
        return Member(name, person.group, person.enabled, True, 0, person.email)

    def _check_group(self, name: str) -> None:
        """Raises `ApiError` 400 where the file has no such group."""
        groups = self._settings().groups
        if name not in groups:
            known = ", ".join(sorted(groups))
            words = f"there is no group {name!r} in the configuration; there are: {known}"
            raise ApiError(400, words, code="unknown_group", param="group")
