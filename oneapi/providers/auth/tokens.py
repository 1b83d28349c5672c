"""Short-lived tokens: fetched once however many ask, renewed ahead, kept over reloads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

log = logging.getLogger("oneapi.sign_in")

AHEAD_S = 300.0
"""Seconds before its end from which a token is renewed, while it still serves."""
LAST_S = 20.0
"""Seconds before its end from which a token no longer serves: the call may be on its way long."""
PAUSE_S = 10.0
"""Seconds between two failed renewals of a token that still serves."""
MOST = 1000


@dataclass(frozen=True, slots=True)
class Token:
    """A token and the Unix second of its end."""

    value: str
    ends_s: float

    def __repr__(self) -> str:
        return f"Token(***, ends_s={self.ends_s:.0f})"


Fetch = Callable[[], Awaitable[Token]]


@dataclass(slots=True, eq=False)
class _Held:
    token: Token | None = None
    task: asyncio.Task[Token] | None = None
    not_before_s: float = 0.0


class Tokens:
    """Owned by the process: one for the gateway's life. Used on its event loop alone."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}

    async def get(self, name: str, fetch: Fetch, *, now_s: float) -> str:
        """The token under `name`, which stands for a key and what the token is for.

        Raises what `fetch` raises, where no token that still serves is held.
        """
        held = self._held.get(name)
        if held is None:
            if len(self._held) >= MOST:  # keys of former configurations
                self._held.clear()
            held = self._held[name] = _Held()
        token = held.token
        if token is not None and now_s < token.ends_s - LAST_S:
            due = now_s >= max(token.ends_s - AHEAD_S, held.not_before_s)
            if due and held.task is None:
                self._start(held, fetch, now_s)
            return token.value
        task = held.task or self._start(held, fetch, now_s)
        return (await asyncio.shield(task)).value

    @staticmethod
    def _start(held: _Held, fetch: Fetch, now_s: float) -> asyncio.Task[Token]:
        """Fetch in a task of its own: whoever asked first may leave, the others still wait."""

        def done(task: asyncio.Task[Token]) -> None:
            held.task = None
            if task.cancelled():
                return
            error = task.exception()
            if error is None:
                held.token = task.result()
                return
            held.not_before_s = now_s + PAUSE_S
            if held.token is not None:
                log.warning("a token could not be renewed ahead: %s", error)

        async def run() -> Token:
            return await fetch()

        held.task = asyncio.create_task(run())
        held.task.add_done_callback(done)
        return held.task
