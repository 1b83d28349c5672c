"""Responses that clients may name again: in bounded memory, on disk where a policy says so.

Ids belong to the token that received them (D24). Where the provider stores a response itself, only
its place is kept: channel, key, ids inside it (D25).
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from oneapi.errors import ApiError, StoreError
from oneapi.ledger import kept as shelf
from oneapi.ledger.kept import Kept, Owner
from oneapi.ledger.store_sqlite import SqliteStore

__all__ = ["Bounds", "Kept", "Owner", "Stored"]

log = logging.getLogger("oneapi.stored")

_Look: TypeAlias = Callable[[Path, Owner, str, int], Kept | None]

PURGE_MS = 60_000
"""Milliseconds between looks at the disk for what has expired."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What memory holds at most; the least recently used go first."""

    entries: int = 50_000
    size: int = 64 * 1024 * 1024
    token_entries: int = 5_000
    token_size: int = 16 * 1024 * 1024


@dataclass(slots=True)
class _Shelf:
    """One token's responses, the least recently used first."""

    entries: OrderedDict[str, Kept] = field(default_factory=OrderedDict)
    names: dict[str, str] = field(default_factory=dict)
    size: int = 0


class Stored:
    """One for the process, touched on the event loop alone."""

    def __init__(self, store: SqliteStore | None = None, bounds: Bounds | None = None) -> None:
        self._store = store
        self._bounds = bounds or Bounds()
        self._shelves: dict[Owner, _Shelf] = {}
        self._used: OrderedDict[tuple[Owner, str], None] = OrderedDict()
        self._claims: dict[str, int] = {}  # names, and how many tokens know each
        self._size = 0
        self._purged_ms = 0

    def __len__(self) -> int:
        return len(self._used)

    @property
    def size(self) -> int:
        """Bytes that memory holds, about."""
        return self._size

    async def keep(self, owner: Owner, kept: Kept) -> None:
        """Remember a response: one with an end (`expires_ms`) on disk alone, where every process
        finds it and none finds it once it is deleted; all others in memory.

        Raises `ApiError` 503 where the disk cannot be written: a client that has been promised its
        response would not find it again.
        """
        if not kept.expires_ms or self._store is None:
            return self._remember(owner, kept)
        await self._write(lambda db: shelf.keep(db, owner, kept))

    async def find(self, owner: Owner, name: str, now_ms: int, *, disk: bool) -> Kept | None:
        """The token's response of that id; `disk` says whether its policy keeps them there."""
        own = self._shelves.get(owner)
        kept = own.entries.get(name) if own is not None else None
        if own is not None and kept is not None:
            self._used.move_to_end((owner, name))
            own.entries.move_to_end(name)
            return kept
        return await self._read(shelf.find, owner, name, now_ms) if disk else None

    async def find_named(self, owner: Owner, name: str, now_ms: int, *, disk: bool) -> Kept | None:
        """The token's response in which an item (or a conversation) of that id stands."""
        own = self._shelves.get(owner)
        within = own.names.get(name) if own is not None else None
        if within is not None:
            return await self.find(owner, within, now_ms, disk=disk)
        return await self._read(shelf.find_named, owner, name, now_ms) if disk else None

    def is_others(self, owner: Owner, name: str) -> bool:
        """Whether an item of that id is known to be another token's, and not this one's."""
        own = self._shelves.get(owner)
        if own is not None and name in own.names:
            return False
        return name in self._claims

    async def forget(self, owner: Owner, name: str, *, disk: bool) -> None:
        """Delete it. Raises `ApiError` 503 where the disk cannot be written."""
        self._drop(owner, name)
        if disk and self._store is not None:
            await self._write(lambda db: shelf.remove(db, owner, name))

    async def purge(self, now_ms: int) -> None:
        """Now and then delete what has expired."""
        if self._store is None or now_ms - self._purged_ms < PURGE_MS:
            return
        self._purged_ms = now_ms
        try:
            await asyncio.wrap_future(self._store.transact(lambda db: shelf.purge(db, now_ms)))
        except StoreError as error:
            log.error("expired responses are not deleted: %s", error)

    async def _read(self, look: _Look, owner: Owner, name: str, now_ms: int) -> Kept | None:
        if self._store is None:
            return None
        try:
            return await asyncio.to_thread(look, self._store.path, owner, name, now_ms)
        except StoreError as error:
            raise _unavailable(error) from error

    async def _write(self, work: shelf.Work) -> None:
        assert self._store is not None
        try:
            await asyncio.wrap_future(self._store.transact(work))
        except StoreError as error:
            raise _unavailable(error) from error

    def _remember(self, owner: Owner, kept: Kept) -> None:
        bounds = self._bounds
        self._drop(owner, kept.id)
        own = self._shelves.setdefault(owner, _Shelf())
        own.entries[kept.id] = kept
        for inner in kept.names:
            if inner not in own.names:
                self._claims[inner] = self._claims.get(inner, 0) + 1
            own.names[inner] = kept.id
        own.size += kept.size
        self._size += kept.size
        self._used[owner, kept.id] = None
        while own.entries and (
            len(own.entries) > bounds.token_entries or own.size > bounds.token_size
        ):
            self._drop(owner, next(iter(own.entries)))
        while self._used and (len(self._used) > bounds.entries or self._size > bounds.size):
            self._drop(*next(iter(self._used)))

    def _drop(self, owner: Owner, name: str) -> None:
        own = self._shelves.get(owner)
        kept = own.entries.pop(name, None) if own is not None else None
        if own is None or kept is None:
            return
        for inner in kept.names:
            if own.names.get(inner) == name:
                del own.names[inner]
                self._unclaim(inner)
        own.size -= kept.size
        self._size -= kept.size
        del self._used[owner, name]
        if not own.entries:
            del self._shelves[owner]

    def _unclaim(self, inner: str) -> None:
        left = self._claims[inner] - 1
        if left:
            self._claims[inner] = left
        else:
            del self._claims[inner]


def _unavailable(error: StoreError) -> ApiError:
    log.error("stored responses cannot be read or written: %s", error)
    return ApiError(
        503,
        "the gateway cannot reach its stored responses at the moment",
        code="store_unavailable",
        kind="server_error",
        headers={"retry-after": "5"},
    )
