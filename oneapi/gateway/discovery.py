"""Finding out which models a channel serves, again and again: Ollama comes and goes, and pulls
models.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from oneapi.gateway.snapshot import Channel, Snapshot
from oneapi.gateway.state import State
from oneapi.net.base import CarrierError, Timeouts
from oneapi.providers.discover import discover

log = logging.getLogger("oneapi.discovery")

TICK_S = 1.0
MISSING_S = 3.0
"""Seconds between looks for a provider on this machine that has not answered yet."""
PRESENT_S = 20.0
"""Seconds between refreshes of one that has."""
REMOTE_S = 600.0
"""Seconds between looks at a provider elsewhere, whose list changes seldom."""
REMOTE_MISSING_S = 60.0
PATIENCE = Timeouts(connect=2.0, first_byte=10.0, idle=10.0)


class Discovery:
    """One background task asks all channels that are to be asked; `wake` makes it look at once."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._wake = asyncio.Event()
        self._reported: dict[str, str] = {}
        self._due: dict[str, float] = {}

    def wake(self) -> None:
        """The configuration changed: every channel is due."""
        self._due.clear()
        self._wake.set()

    async def run(self, snapshot: Callable[[], Snapshot]) -> None:
        while True:
            self._wake.clear()
            await self.look(snapshot())
            try:
                async with asyncio.timeout(TICK_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def look(self, snapshot: Snapshot) -> None:
        """Ask every discovering channel whose time has come."""
        now = time.monotonic()
        asked = [
            c
            for c in snapshot.channels.values()
            if c.discover and self._due.get(c.name, 0.0) <= now
        ]
        answers = await asyncio.gather(*(self._ask(c) for c in asked))
        for channel, found in zip(asked, answers, strict=True):
            self._due[channel.name] = time.monotonic() + _pause_s(channel, found)

    async def _ask(self, channel: Channel) -> bool:
        try:
            models = await discover(
                channel.carrier, channel.account, channel.keys[0].secret, timeouts=PATIENCE
            )
        except (CarrierError, ValueError) as error:
            self._report(channel.name, f"its models are not known yet: {error}", logging.INFO)
            return False
        if self._state.found(channel.name, frozenset(models)):
            self._report(channel.name, f"serves {len(models)} models", logging.INFO)
        else:
            self._reported.pop(channel.name, None)
        return True

    def _report(self, channel: str, words: str, level: int) -> None:
        """Log what is news; a provider that stays away is not repeated."""
        if self._reported.get(channel) != words:
            self._reported[channel] = words
            log.log(level, "channel %s: %s", channel, words)


def _pause_s(channel: Channel, found: bool) -> float:
    if channel.preset.local:
        return PRESENT_S if found else MISSING_S
    return REMOTE_S if found else REMOTE_MISSING_S
