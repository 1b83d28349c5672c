"""Requests and tokens of the last 60 seconds: a log of what came when, no timers.

Times are seconds of any clock that never goes back (`time.monotonic`); the caller hands them in.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

SPAN_S = 60.0
"""Seconds that a window looks back."""
GRAIN_S = 0.01
"""Seconds within which what comes is kept as one: an entry for each request would take tens of
megabytes at some thousands a second. They count until the last of them is a minute old."""
NEVER = float("inf")


@dataclass(slots=True, eq=False)
class _Grain:
    """What came within `GRAIN_S` of `begun`, the last of it at `at`."""

    begun: float
    at: float
    amount: int
    counts: bool = True


@dataclass(slots=True, eq=False)
class Entry:
    """So much at a moment. It can be corrected as long as it counts."""

    grain: _Grain
    amount: int


class Window:
    """A sliding window: what was added in the last `SPAN_S` seconds."""

    __slots__ = ("_grains", "_total")

    def __init__(self) -> None:
        self._grains: deque[_Grain] = deque()
        self._total = 0

    def total(self, now: float) -> int:
        """What counts at the moment."""
        grains, bound = self._grains, now - SPAN_S
        while grains and grains[0].at <= bound:
            gone = grains.popleft()
            gone.counts = False
            self._total -= gone.amount
        return self._total

    @property
    def sum(self) -> int:
        """What counted when it was last looked at."""
        return self._total

    def add(self, now: float, amount: int) -> Entry:
        self._total += amount
        last = self._grains[-1] if self._grains else None
        if last is not None and now - last.begun < GRAIN_S:
            last.at = now
            last.amount += amount
            return Entry(last, amount)
        grain = _Grain(now, now, amount)
        self._grains.append(grain)
        return Entry(grain, amount)

    def correct(self, entry: Entry, amount: int) -> None:
        """The entry turned out to be another amount; nothing where it counts no more."""
        grain = entry.grain
        if grain.counts:
            more = amount - entry.amount
            self._total += more
            grain.amount += more
            entry.amount = amount

    def fits(self, now: float, wanted: int, limit: int) -> bool:
        """Whether `frees_in` is 0."""
        grains = self._grains
        if grains and grains[0].at <= now - SPAN_S:
            self.total(now)
        return self._total + wanted <= limit

    def frees_in(self, now: float, wanted: int, limit: int) -> float:
        """Seconds until `wanted` more fits; 0 now, `NEVER` where it is above the limit itself."""
        over = self.total(now) + wanted - limit
        if over <= 0:
            return 0.0
        if wanted > limit:
            return NEVER
        for grain in self._grains:
            over -= grain.amount
            if over <= 0:
                return grain.at + SPAN_S - now
        return NEVER  # grains of nothing: cannot be, their sum is the total

    def clears_in(self, now: float) -> float:
        """Seconds until nothing counts any more."""
        self.total(now)
        return self._grains[-1].at + SPAN_S - now if self._grains else 0.0
