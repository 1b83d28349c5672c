"""The gateway as one object: the snapshot in force, the state beside it, the ledger below.

Endpoints, the control socket, signals and the watcher all speak to this.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from oneapi.config.load import Loaded
from oneapi.errors import ConfigError, OneApiError, Problem, StoreError
from oneapi.gateway import history
from oneapi.gateway.books import Books
from oneapi.gateway.build import build
from oneapi.gateway.carriers import Carriers
from oneapi.gateway.departures import Departures
from oneapi.gateway.discovery import Discovery
from oneapi.gateway.keepbodies import Bodies
from oneapi.gateway.notify import Notifier, is_heard
from oneapi.gateway.people import People
from oneapi.gateway.relay import Relay
from oneapi.gateway.roster import Roster
from oneapi.gateway.sharing import carry_names, refuse_shared_names
from oneapi.gateway.snapshot import Snapshot
from oneapi.gateway.state import State
from oneapi.gateway.stored import Stored
from oneapi.ledger.changes import Changed
from oneapi.ledger.door import Door
from oneapi.ledger.purge import Purge
from oneapi.ledger.record import Record
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.providers.catalog import Preset

log = logging.getLogger("oneapi.gateway")

HOUSEKEEPING_S = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a reload ended. `changed` is false where the configuration is the one in force."""

    ok: bool
    changed: bool
    revision: str
    messages: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        return {
            "ok": self.ok,
            "changed": self.changed,
            "revision": self.revision,
            "messages": list(self.messages),
        }


@dataclass(slots=True)
class Loading:
    """Where configurations come from, and how the last attempt ended."""

    read: Callable[[bool], Loaded]
    """Reads and checks the file; the argument asks to run `cmd:` again. Raises `ConfigError`."""
    error: ConfigError | None = None
    failed_ms: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Gateway:
    """Made once the store is open and the first configuration has loaded."""

    def __init__(
        self,
        loaded: Loaded,
        *,
        read: Callable[[bool], Loaded],
        catalog: Mapping[str, Preset],
        store: SqliteStore,
        access: Callable[[Record], None],
    ) -> None:
        self.started_ms = time.time_ns() // 1_000_000
        self.catalog = catalog
        self.store = store
        self.state = State()
        self.carriers = Carriers()
        self.books = Books(Door(store), self.state.counters, access)
        self.relay = Relay(self.state, self.books)
        self.departures = Departures()
        self.stored = Stored(store)
        self.purging = Purge(store)
        self.bodies = Bodies(store.path)
        self.loading = Loading(read)
        self.loaded = loaded
        self.snapshot: Snapshot = self._build(loaded)
        self.books.door.zone = self.snapshot.zone
        self.state.roster = Roster(store.path)
        self.state.roster.load()
        self.people = People(store, lambda: self.snapshot.settings, roster=self.state.roster)
        self._at_start = _fixed(self.snapshot)
        self.notifier = Notifier(
            store,
            settings=lambda: self.snapshot.settings,
            zone=lambda: self.snapshot.zone,
            email_of=self._email_of,
        )
        self._listen()
        self.discovery = Discovery(self.state)
        self.draining = False
        self._remember(loaded, "start", "applied")

    async def run(self) -> None:
        """Background work until cancelled: discovery, and closing what a reload retired."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.books.door.run())
            group.create_task(self.discovery.run(lambda: self.snapshot))
            group.create_task(self.state.roster.follow(self._heard))
            group.create_task(self.notifier.run())
            group.create_task(self._housekeep())

    def _build(self, loaded: Loaded) -> Snapshot:
        """Blocks. Raises `ConfigError`."""
        refuse_shared_names(loaded, self.store)
        snapshot = build(loaded, self.catalog, self.store.declare, self.carriers)
        carry_names(loaded, self.store)
        return snapshot

    def _heard(self, changed: Changed) -> None:
        """Another process changed users or tokens: a deleted one's name is not theirs any more."""
        if changed.users is None or any(person.deleted_ms for person in changed.people):
            self.store.forget_names()

    def _email_of(self, user: str) -> str | None:
        """A registered user's address, if it is verified (D15)."""
        person = self.state.roster.person(user) if self.state.roster is not None else None
        return person.email if person is not None and person.email_verified else None

    async def _housekeep(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            await self.carriers.close_retired(self.state.flights)
            await self.stored.purge(time.time_ns() // 1_000_000)
            self.relay.gate.sweep()
            await self._tend_people()
            await self._keep_small()

    async def _keep_small(self) -> None:
        logs = self.snapshot.settings.logs
        try:
            self.bodies.follow(self.loaded)
            await self.purging.step(keep_s=logs.keep, max_size=logs.max_size)
        except OneApiError as error:  # the next turn tries again
            log.error("old records are not purged: %s", error)

    async def _tend_people(self) -> None:
        if self.store.health() is not None:  # told elsewhere, once
            return
        try:
            await self.people.chores()
        except OneApiError as error:  # the next turn tries again
            log.error("invitations are not paid, deletions not cleared up: %s", error)

    async def look(self) -> None:
        """Take what other processes changed about tokens and users, now rather than soon."""
        if self.state.roster is not None:
            changed = await self.state.roster.refresh()
            if changed is not None:
                self._heard(changed)

    async def reload(self, origin: str, *, rerun_commands: bool = False) -> Outcome:
        """Read, check, build, swap. A file that does not load leaves everything as it is.

        `origin` says who asked: watcher, signal, socket, page.
        """
        async with self.loading.lock, _short_turns():
            try:
                loaded = await asyncio.to_thread(self.loading.read, rerun_commands)
                if loaded.revision == self.snapshot.revision:
                    self.loaded = loaded
                    self._recovered()
                    return Outcome(True, False, loaded.revision, self._messages(self.snapshot))
                snapshot = await asyncio.to_thread(self._build, loaded)
                await self.state.roster.refresh()  # users may have other names now
            except ConfigError as error:
                return await self._rejected(origin, error)
            except (OneApiError, OSError, ValueError) as error:
                return await self._rejected(origin, _as_config_error(error))
            return await self._swap(origin, loaded, snapshot)

    def _listen(self) -> None:
        """Budgets are watched where somebody hears of them."""
        heard = is_heard(self.snapshot.settings)
        self.books.touched = self.notifier.touched if heard else None

    async def _swap(self, origin: str, loaded: Loaded, snapshot: Snapshot) -> Outcome:
        self.snapshot = snapshot
        self.books.door.zone = snapshot.zone
        self.loaded = loaded
        self._listen()
        self.state.forget(set(snapshot.channels))
        self.carriers.retire((c.carrier for c in snapshot.channels.values()), self.state.flights)
        self.discovery.wake()
        self._recovered()
        self._count("applied")
        await asyncio.to_thread(self._remember, loaded, origin, "applied")
        for message in _needs_restart(self._at_start, snapshot):
            log.warning("%s", message)
        log.info("configuration %s is in force (%s)", loaded.revision, origin)
        return Outcome(True, True, loaded.revision, self._messages(snapshot))

    def _messages(self, snapshot: Snapshot) -> tuple[str, ...]:
        return (*_needs_restart(self._at_start, snapshot), *snapshot.warnings)

    async def _rejected(self, origin: str, error: ConfigError) -> Outcome:
        self.loading.error = error
        self.loading.failed_ms = time.time_ns() // 1_000_000
        self._count("rejected")
        messages = tuple(str(p) for p in error.problems)
        for message in messages:
            log.error("configuration not taken: %s", message)
        await asyncio.to_thread(self._remember_failure, origin, "\n".join(messages))
        return Outcome(False, False, self.snapshot.revision, messages)

    def _recovered(self) -> None:
        self.loading.error = None

    def _count(self, outcome: str) -> None:
        reloads = self.state.counters.reloads
        reloads[outcome] = reloads.get(outcome, 0) + 1

    def _remember(self, loaded: Loaded, origin: str, outcome: str) -> None:
        text = "\n".join(f"# {path}\n{masked}" for path, masked in loaded.texts.items())
        self._save(loaded.revision, outcome=outcome, text=text, origin=origin)
        try:
            history.keep(loaded, self.store.path, most=loaded.settings.state.revisions)
        except OSError as error:
            log.error("the revision's files are not kept: %s", error)

    def _remember_failure(self, origin: str, messages: str) -> None:
        self._save("", outcome=f"rejected: {messages}", text="", origin=origin)

    def _save(self, revision: str, *, outcome: str, text: str, origin: str) -> None:
        keep = self.loaded.settings.state.revisions
        try:
            self.store.save_revision(revision, outcome=outcome, text=text, origin=origin, keep=keep)
        except StoreError as error:
            log.error("the revision is not kept: %s", error)

    async def aclose(self) -> None:
        await self.carriers.aclose()
        self.state.roster.close()
        self.bodies.close()
        self.store.close()


@contextlib.asynccontextmanager
async def _short_turns() -> AsyncIterator[None]:
    """While a thread reads the file, requests get the interpreter back after 0.5 ms (D11)."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _as_config_error(error: Exception) -> ConfigError:
    return ConfigError([Problem(str(error))])


FIXED = (("server", "host"), ("server", "port"), ("server", "tls"), ("state", "path"))
"""Keys that act at a start alone."""


def _fixed(snapshot: Snapshot) -> dict[str, object]:
    return {f"{t}.{key}": getattr(getattr(snapshot.settings, t), key) for t, key in FIXED}


def _needs_restart(at_start: Mapping[str, object], snapshot: Snapshot) -> list[str]:
    """Keys that are not what they were at the start, in words."""
    return [
        f"{key} changed: that takes effect at the next start"
        for key, value in _fixed(snapshot).items()
        if value != at_start[key]
    ]
