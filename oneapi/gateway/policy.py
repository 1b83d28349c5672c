"""Which target and which key come next: pure but for the random number and the state handed in."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from oneapi.gateway.snapshot import Channel, Key, Target
from oneapi.gateway.state import State

MAX_ATTEMPTS = 12
"""However many keys and channels there are, a request is not tried more often than this."""


def order(targets: Sequence[Target], state: State) -> list[Target]:
    """Targets in the order to try them.

    Higher priority first; inside one priority by weighted chance without replacement. Weight 0
    comes last in its tier; a channel that just failed to connect comes after all others (D21).
    """
    if len(targets) == 1:
        return list(targets)
    keyed = [
        (state.skipped(t.channel.name), -t.priority, -_draw(t.weight), i)
        for i, t in enumerate(targets)
    ]
    return [targets[k[3]] for k in sorted(keyed)]


def _draw(weight: int) -> float:
    """A random key whose descending order is weighted sampling without replacement.

    Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006: u ** (1 / w).
    """
    return float(random.random() ** (1.0 / weight)) if weight else -1.0


def live_keys(channel: Channel, state: State, now_ms: int) -> Iterator[Key]:
    """The channel's live keys, beginning with the one whose turn it is (D21)."""
    live = [k for k in channel.keys if not k.until_ms or k.until_ms > now_ms]
    if len(live) < 2:
        yield from live
        return
    start = state.next_turn(channel.name)
    for i in range(len(live)):
        yield live[(start + i) % len(live)]
