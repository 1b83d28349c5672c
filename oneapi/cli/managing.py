"""What the verbs that manage people share: the store opened as a second process, money, tables."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import TypeVar

from oneapi.cli.place import ask_all, database_path, loaded_offline
from oneapi.config.schema import Settings
from oneapi.errors import UsageError
from oneapi.gateway.people import People
from oneapi.ledger import amounts
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.ledger.users import Actor

T = TypeVar("T")

SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Opened:
    """The people of a configuration, for one command."""

    def __init__(self, settings: Settings, people: People) -> None:
        self.settings = settings
        self.people = people
        self.actor = Actor("", f"cli:{_login()}")

    def nanousd(self, text: str) -> int:
        """An amount of money as it is typed. Raises `UsageError`."""
        site = self.settings.site
        try:
            return amounts.parse(text, site.currency, site.points_per_usd)
        except ValueError as error:
            raise UsageError(str(error)) from None

    def money(self, nanousd: int | None, nothing: str = "") -> str:
        """An amount as the site shows it."""
        if nanousd is None:
            return nothing
        site = self.settings.site
        return amounts.show(nanousd, site.currency, site.points_per_usd)


@contextlib.contextmanager
def opened(config: str | None) -> Iterator[Opened]:
    """The store, beside a gateway that runs or without one. Raises `UsageError`, `StoreError`."""
    settings = loaded_offline(config).settings
    store = SqliteStore(database_path(config))
    store.open()
    try:
        yield Opened(settings, People(store, lambda: settings))
    finally:
        store.close()
    with contextlib.suppress(UsageError, OSError):
        ask_all(config, {"verb": "look"})  # what was changed is in force when the command ends


def done(work: Awaitable[T]) -> T:
    """Wait for one piece of work."""

    async def wait() -> T:
        return await work

    return asyncio.run(wait())


def reload_running(config: str | None) -> None:
    """Ask gateways that run to read their file again; none may be running."""
    with contextlib.suppress(UsageError):
        ask_all(config, {"verb": "reload"})


def seconds(text: str) -> int:
    """Of `90s`, `15m`, `24h`, `7d`; `0` is nothing. Raises `UsageError`."""
    if text == "0":
        return 0
    if text[:-1].isascii() and text[:-1].isdigit() and text[-1:] in SPANS:
        return int(text[:-1]) * SPANS[text[-1]]
    raise UsageError(f"{text!r} is no span of time such as 15m, 24h or 7d")


def moment_ms(text: str | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> int:
    """Unix ms of a date such as 2027-01-01 (UTC), or of `30d` from now; 0 for None and `never`.

    Raises `UsageError`.
    """
    if text is None or text == "never":
        return 0
    if text[-1:] in SPANS and text[:-1].isdigit():
        return int(now().timestamp() * 1000) + seconds(text) * 1000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no date such as 2027-01-01 and no span such as 30d"
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def stamp(time_ms: int, never: str = "") -> str:
    """A moment for people, UTC to the minute."""
    if not time_ms:
        return never
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def listed(text: str | None) -> tuple[str, ...]:
    """A comma list."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def json_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _login() -> str:
    """Who runs the command, as the system knows them."""
    return str(os.getuid())
