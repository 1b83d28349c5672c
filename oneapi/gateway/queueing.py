"""Who may begin now and who waits: one limiter for each thing that is limited.

A limiter belongs to the event loop and survives reloads: its limits come with each request, from
the request's own snapshot. Waiting is first come, first served; a request waits at one limiter at
a time, so that a token at its own limit never holds up its user's other tokens.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from oneapi.gateway.budgets import Limits
from oneapi.gateway.rates import NEVER, Entry, Window
from oneapi.ir import Usage
from oneapi.ledger.accounts import counted_tokens

What = Literal["requests", "tokens", "concurrency"]
CROWDED_S = 1.0
"""Seconds after which to try again where requests under way have to end first: nobody knows."""


Ticket = asyncio.Event
"""One request in line: set when its holder is first and something may have freed."""


@dataclass(frozen=True, slots=True)
class Full:
    """A limit that is reached. `frees_s` is when the request would fit, if nobody else came:
    `NEVER` for one that is larger than the limit itself.
    """

    limits: Limits
    what: What
    frees_s: float

    @property
    def limit(self) -> int:
        match self.what:
            case "requests":
                return self.limits.rpm
            case "tokens":
                return self.limits.tpm
            case "concurrency":
                return self.limits.concurrency


class Limiter:
    """The moving part of one thing's limits."""

    __slots__ = ("_queue", "requests", "running", "tokens")

    def __init__(self) -> None:
        self.requests = Window()
        self.tokens = Window()
        self.running = 0
        self._queue: deque[Ticket] = deque()

    def full(self, limits: Limits, tokens: int, now: float) -> Full | None:
        """Why a request of so many tokens does not fit now. Who stands in line is not looked at."""
        if limits.concurrency and self.running >= limits.concurrency:
            return Full(limits, "concurrency", CROWDED_S)
        if limits.rpm:
            wait = self.requests.frees_in(now, 1, limits.rpm)
            if wait:
                return Full(limits, "requests", wait)
        if limits.tpm:
            wait = self.tokens.frees_in(now, tokens, limits.tpm)
            if wait:
                return Full(limits, "tokens", wait)
        return None

    def take(self, limits: Limits, tokens: int, now: float) -> Seat:
        """Let a request in, whether it fits or not."""
        self.running += 1
        request = self.requests.add(now, 1) if limits.rpm else None
        entry = self.tokens.add(now, tokens) if limits.tpm else None
        return Seat(self, limits, request, entry)

    def seat(self, limits: Limits, tokens: int, now: float) -> Seat | None:
        """What `full` and `take` give where the request fits and nobody waits; else None. At half
        their price, for nearly every request goes this way.
        """
        if self._queue or (limits.concurrency and self.running >= limits.concurrency):
            return None
        if limits.rpm and not self.requests.fits(now, 1, limits.rpm):
            return None
        if limits.tpm and not self.tokens.fits(now, tokens, limits.tpm):
            return None
        return self.take(limits, tokens, now)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def is_idle(self, now: float) -> bool:
        """Whether it can be forgotten."""
        if self.running or self._queue:
            return False
        return not self.requests.clears_in(now) and not self.tokens.clears_in(now)

    def join(self, ticket: Ticket) -> None:
        """Stand in line: the ticket is called when its holder is first and something freed."""
        self._queue.append(ticket)

    def leave(self, ticket: Ticket) -> None:
        """Out of the line; whoever is first then looks again."""
        self._queue.remove(ticket)
        self.stir()

    def is_first(self, ticket: Ticket) -> bool:
        return self._queue[0] is ticket

    def stir(self) -> None:
        """Something may have freed: the first in line looks again."""
        if self._queue:
            self._queue[0].set()


@dataclass(slots=True, eq=False)
class Seat:
    """One request's place at a limiter, from its admission to its end."""

    limiter: Limiter
    limits: Limits
    request: Entry | None
    tokens: Entry | None
    open: bool = True

    def spent(self, usage: Usage) -> None:
        """What it did use counts instead of what was expected."""
        if self.tokens is not None:
            amount = counted_tokens(usage, self.limits.counting)
            self.limiter.tokens.correct(self.tokens, amount)

    def leave(self) -> None:
        """The request is over. Once is enough, more do nothing."""
        if self.open:
            self.open = False
            self.limiter.running -= 1
            self.limiter.stir()

    def undo(self) -> None:
        """The request never went on its way: it counts for nothing."""
        if self.request is not None:
            self.limiter.requests.correct(self.request, 0)
        if self.tokens is not None:
            self.limiter.tokens.correct(self.tokens, 0)
        self.leave()


Wanted = tuple[Limiter, Limits, int]
"""A limiter, the request's limits there, and the tokens that it is expected to use."""


def blocked(
    wanted: Sequence[Wanted], now: float, turn: Limiter | None = None
) -> tuple[Wanted, Full] | None:
    """The first limiter where the request does not fit, or where others wait before it. Nobody is
    before one whose turn it is somewhere: two that were called in different lines would wait for
    each other. What makes room is what ends, and who was called stands in line for nothing else.
    """
    for want in wanted:
        limiter, limits, tokens = want
        full = limiter.full(limits, tokens, now)
        if full is None and limiter.waiting and turn is None:
            full = Full(limits, _named(limits), CROWDED_S)
        if full is not None:
            return want, full
    return None


async def enter(
    wanted: Sequence[Wanted], queue_s: float, turn: Limiter | None = None
) -> list[Seat] | Full:
    """Seats at all limiters at once, or the limit that stands in the way after `queue_s` seconds.

    A request that is known not to fit in time is told at once. Whoever is cancelled leaves the
    line. `turn` is where `wait` has just called the request.
    """
    now = time.monotonic()
    if len(wanted) == 1:
        limiter, limits, tokens = wanted[0]
        seat = limiter.seat(limits, tokens, now)
        if seat is not None:
            return [seat]
    ends = now + queue_s
    while True:
        found = blocked(wanted, now, turn)
        if found is None:
            return [limiter.take(limits, tokens, now) for limiter, limits, tokens in wanted]
        want, full = found
        turn = await wait((want,), ends) if queue_s else None
        now = time.monotonic()
        if turn is None:  # when it frees may have come nearer meanwhile
            return want[0].full(want[1], want[2], now) or full


async def wait(wanted: Sequence[Wanted], ends: float) -> Limiter | None:
    """Wait until the request is first in line somewhere and fits there; None: not by `ends`.

    It has left every line when this returns, so its seat must be taken before anything else is
    waited for.
    """
    ticket = Ticket()
    for limiter, _, _ in wanted:
        limiter.join(ticket)
    try:
        while True:
            now = time.monotonic()
            left, soonest, hope = ends - now, NEVER, False
            for limiter, limits, tokens in wanted:
                full = limiter.full(limits, tokens, now)
                if limiter.is_first(ticket):
                    if full is None:
                        return limiter
                    soonest = min(soonest, full.frees_s if full.what != "concurrency" else NEVER)
                hope = hope or full is None or _may_free(full, left)
            if left <= 0 or not hope:
                return None
            ticket.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, soonest)):
                    await ticket.wait()
    finally:
        for limiter, _, _ in wanted:
            limiter.leave(ticket)


def _may_free(full: Full, left: float) -> bool:
    """Whether there may be room within so many seconds: tokens can turn out fewer at any time."""
    return full.frees_s < NEVER and (full.what != "requests" or full.frees_s <= left)


def _named(limits: Limits) -> What:
    """What others wait for, where it cannot be told exactly."""
    if limits.concurrency:
        return "concurrency"
    return "requests" if limits.rpm else "tokens"
