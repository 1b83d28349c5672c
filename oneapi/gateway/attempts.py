"""How often somebody may be wrong: guesses of codes and the like, by user and by address."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from oneapi.errors import ApiError

MOST_KEYS: Final = 20_000


class Attempts:
    """`most` failed attempts of a key in any `per_s` seconds. Belongs to the event loop.

    An attempt is counted when it begins and forgiven when it succeeds, so that a thousand at once
    are no way around it.
    """

    def __init__(
        self, most: int, per_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._per_s = per_s
        self._clock = clock
        self._made: dict[str, deque[float]] = {}

    def begin(self, *keys: str) -> None:
        """Count an attempt; raises `ApiError` 429 where one of the keys has had its share."""
        now = self._clock()
        wait = max((self._wait_s(key, now) for key in keys), default=0.0)
        if wait > 0:
            raise ApiError(
                429,
                "too many wrong attempts; try again later",
                code="too_many_attempts",
                kind="rate_limit_error",
                headers={"retry-after": str(math.ceil(wait)), "x-should-retry": "false"},
            )
        for key in keys:
            self._made.setdefault(key, deque()).append(now)

    def forgive(self, *keys: str) -> None:
        """The last attempt was right."""
        for key in keys:
            made = self._made.get(key)
            if made:
                made.pop()

    def _wait_s(self, key: str, now: float) -> float:
        made = self._made.get(key)
        if made is None:
            if len(self._made) >= MOST_KEYS:  # the oldest go: memory is bounded, whoever floods it
                del self._made[next(iter(self._made))]
            return 0.0
        while made and made[0] <= now - self._per_s:
            made.popleft()
        if len(made) < self._most:
            return 0.0
        return made[0] + self._per_s - now
