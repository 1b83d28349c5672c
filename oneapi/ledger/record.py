"""One request in the ledger, and the ids that put requests in order."""

from __future__ import annotations

import os
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Literal

from oneapi.ir import Usage
from oneapi.ledger.prices import Price

UsageSource = Literal["upstream", "estimated", "none"]

ID_SHIFT = 20
"""An id is the millisecond it was made in (Unix), shifted by this many bits."""
_LAST_MS: int = 2 ** (63 - ID_SHIFT) - 1
_LANE_BITS = 8
_TICK_BITS = ID_SHIFT - _LANE_BITS


@dataclass(slots=True)
class Record:
    """What is kept of one request, failed ones too. Names are "" where there was none.

    `id` comes from `new_id()` at the moment the request arrives: periods are cut by it. `status`
    is what the client was answered (499: it left before an answer was complete),
    `upstream_status` the last attempt's original status, 0 where none came. `cost_nanousd` is
    None where the model has no price. `ttft_ms` is None where no byte was answered. `client` is
    an address. `price` is what `price_rule` names. `charges` are what it adds to accounts that a
    configuration bounds: the budget's id and an amount; the writer fills them in.
    """

    id: int
    time_ms: int
    user: str
    token: str
    group: str
    policy: str
    revision: str
    endpoint: str
    dialect_in: str
    dialect_out: str
    model: str
    channel: str
    served_model: str
    status: int
    error_code: str
    upstream_status: int
    stream: bool
    usage: Usage
    usage_source: UsageSource
    cost_nanousd: int | None
    price_rule: str
    settlement: str
    ttft_ms: int | None
    total_ms: int
    attempts: int
    request_id: str
    client: str
    price: Price | None = None
    charges: tuple[tuple[int, int], ...] = ()


class IdSource:
    """Makes ids: 43 bits of Unix milliseconds, 12 of the time within them, 8 of a process's lane.

    Ids of one process always rise, also where the clock is set back, so none comes twice. Two
    processes draw different lanes as a rule; where they do not, an id can only collide within the
    same quarter of a microsecond, and then the store gives the later record another one.
    """

    __slots__ = ("_lane", "_last", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self.draw_lane()

    def draw_lane(self) -> None:
        """Take another lane: a forked process must not keep its parent's."""
        self._lock = threading.Lock()
        self._lane = secrets.randbits(_LANE_BITS)

    def next(self) -> int:
        """A new id, higher than all before it."""
        milliseconds, rest = divmod(time.time_ns(), 1_000_000)
        tick = milliseconds << _TICK_BITS | rest >> _LANE_BITS  # 999,999 >> 8 is under 2**12
        with self._lock:
            if tick <= self._last:
                tick = self._last + 1
            self._last = tick
            return tick << _LANE_BITS | self._lane


# The one mutable state of this module: ids must differ whoever asks for them.
_SOURCE = IdSource()
os.register_at_fork(after_in_child=_SOURCE.draw_lane)


def new_id() -> int:
    """A time-ordered id under 2**63, unique in this process and, with the store's help, in all."""
    return _SOURCE.next()


def first_id(time_ms: int) -> int:
    """The lowest id a request that arrived at that Unix millisecond can have; of a time for which
    there are no ids (before 1970, after 2248) the nearest.
    """
    return min(max(0, time_ms), _LAST_MS) << ID_SHIFT


def id_time_ms(record_id: int) -> int:
    """The Unix millisecond in which an id was made."""
    return record_id >> ID_SHIFT
