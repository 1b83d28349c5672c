"""What was learnt at run time: survives a reload, keyed by what it describes.

One `State` lives as long as the process. Everything in it is touched on the event loop alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from oneapi.gateway.roster import Roster
from oneapi.gateway.snapshot import Discovered

SKIP_S = 2.0
"""Seconds a channel that failed to connect is left alone (D21)."""


@dataclass(slots=True, eq=False)
class Flight:
    """One request under way. `cancelled_by` is set by whoever ends it from inside."""

    id: int
    request_id: str
    started_ms: int
    user: str = ""
    token: str = ""
    endpoint: str = ""
    model: str = ""
    channel: str = ""
    client: str = ""
    stream: bool = False
    task: asyncio.Task[object] | None = None
    cancelled_by: str = ""

    def cancel(self, who: str) -> None:
        """End the request: its client gets an error, its upstream call is closed, its use is
        settled.
        """
        self.cancelled_by = who
        if self.task is not None:
            self.task.cancel()

    def as_dict(self) -> dict[str, object]:
        shown = ("id", "request_id", "started_ms", "user", "token", "endpoint", "model", "channel")
        return {name: getattr(self, name) for name in (*shown, "client", "stream")}


class KeyGuard:
    """Limits failed key look-ups per address: `limit` a minute, then refused until the minute is
    over.
    """

    MAX_ADDRESSES = 10_000

    def __init__(self) -> None:
        self._failed: dict[str, tuple[float, int]] = {}

    def blocked_s(self, address: str, limit: int) -> int:
        """Seconds until the address may try again; 0 when it may now."""
        since, count = self._failed.get(address, (0.0, 0))
        left = since + 60.0 - time.monotonic()
        return max(1, round(left)) if count >= limit and left > 0 else 0

    def failed(self, address: str) -> None:
        now = time.monotonic()
        since, count = self._failed.get(address, (now, 0))
        if now - since >= 60.0:
            since, count = now, 0
        if len(self._failed) >= self.MAX_ADDRESSES:
            self._failed.clear()
        self._failed[address] = (since, count + 1)


@dataclass(slots=True)
class Counters:
    """Totals since the start, for `/metrics`: keyed by (endpoint, channel, status) and by
    channel.
    """

    requests: dict[tuple[str, str, int], int] = field(default_factory=dict)
    tokens: dict[tuple[str, str], int] = field(default_factory=dict)
    cost_nanousd: dict[str, int] = field(default_factory=dict)
    seconds_sum: float = 0.0
    seconds_count: int = 0
    reloads: dict[str, int] = field(default_factory=dict)


class State:
    """Health, rotation and requests in flight."""

    def __init__(self) -> None:
        self.discovered = Discovered()
        self.flights: dict[int, Flight] = {}
        self.key_guard = KeyGuard()
        self.counters = Counters()
        self.roster = Roster()
        self._skip_until: dict[str, float] = {}
        self._key_turn: dict[str, int] = {}

    def skip(self, channel: str) -> None:
        """The channel just failed to connect: others come first for a moment."""
        self._skip_until[channel] = time.monotonic() + SKIP_S

    def skipped(self, channel: str) -> bool:
        until = self._skip_until.get(channel)
        if until is None:
            return False
        if until > time.monotonic():
            return True
        del self._skip_until[channel]
        return False

    def next_turn(self, channel: str) -> int:
        """A counter that goes up by one a request: where the round robin over the keys starts."""
        turn = self._key_turn.get(channel, 0)
        self._key_turn[channel] = turn + 1
        return turn

    def found(self, channel: str, models: frozenset[str]) -> bool:
        """Note what a channel serves; True when that is news."""
        if self.discovered.models.get(channel) == models:
            return False
        merged = {**self.discovered.models, channel: models}
        self.discovered = Discovered(merged, self.discovered.generation + 1)
        return True

    def forget(self, channels: set[str]) -> None:
        """Drop what was learnt about channels that are no longer in the file."""
        kept = {k: v for k, v in self.discovered.models.items() if k in channels}
        if len(kept) != len(self.discovered.models):
            self.discovered = Discovered(kept, self.discovered.generation + 1)
        for table in (self._skip_until, self._key_turn):
            for name in [n for n in table if n not in channels]:
                del table[name]

    def in_flight(self) -> Iterator[dict[str, object]]:
        for flight in self.flights.values():
            yield flight.as_dict()
