"""Requests and tokens of the last 60 seconds, exactly: a log of what came when, no timers.

Times are seconds of any clock that never goes back (`time.monotonic`); the caller hands them in.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

SPAN_S = 60.0
"""Seconds that a window looks back."""
NEVER = float("inf")


@dataclass(slots=True, eq=False)
class Entry:
    """So much at a moment. It can be corrected as long as it counts."""

    at: float
    amount: int
    counts: bool = True


class Window:
    """A sliding window: what was added in the last `SPAN_S` seconds."""

    __slots__ = ("_entries", "_total")

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._total = 0

    def total(self, now: float) -> int:
        """What counts at the moment."""
        entries, bound = self._entries, now - SPAN_S
        while entries and entries[0].at <= bound:
            gone = entries.popleft()
            gone.counts = False
            self._total -= gone.amount
        return self._total

    @property
    def sum(self) -> int:
        """What counted when it was last looked at."""
        return self._total

    def add(self, now: float, amount: int) -> Entry:
        entry = Entry(now, amount)
        self._entries.append(entry)
        self._total += amount
        return entry

    def correct(self, entry: Entry, amount: int) -> None:
        """The entry turned out to be another amount; nothing where it counts no more."""
        if entry.counts:
            self._total += amount - entry.amount
            entry.amount = amount

    def frees_in(self, now: float, wanted: int, limit: int) -> float:
        """Seconds until `wanted` more fits; 0 now, `NEVER` where it is above the limit itself."""
        over = self.total(now) + wanted - limit
        if over <= 0:
            return 0.0
        if wanted > limit:
            return NEVER
        for entry in self._entries:
            over -= entry.amount
            if over <= 0:
                return entry.at + SPAN_S - now
        return NEVER  # entries of nothing: cannot be, their sum is the total

    def clears_in(self, now: float) -> float:
        """Seconds until nothing counts any more."""
        self.total(now)
        return self._entries[-1].at + SPAN_S - now if self._entries else 0.0
