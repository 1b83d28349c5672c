"""Recorded streams cut at every kind of place: the events are the same.

Kinds of places: every byte; inside characters of several bytes; in the middle of lines; before and
after every line's end, between CR and LF among them. Streams of lines are fed with the other kind
of line end too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from oneapi.dialects import registry
from oneapi.dialects.bedrock_invoke import InvokeUnwrapper
from oneapi.ir import Event, Failed
from tests.translation.answered import fed, hints
from tests.translation.asked import OPERATION_OF
from tests.translation.proof import STAMP
from tests.translation.recordings import Exchange, exchanges

BINARY = frozenset({"bedrock-converse", "bedrock-invoke"})


def streams() -> list[Exchange]:
    """Every recorded stream of a chat, broken ones included."""
    return [e for e in exchanges() if e.stream and e.spoken in registry.NAMES]


def _inside_characters(raw: bytes) -> Iterator[int]:
    return (i for i, byte in enumerate(raw) if byte & 0xC0 == 0x80)


def _mid_line(raw: bytes) -> Iterator[int]:
    start = 0
    for line in raw.splitlines(keepends=True):
        yield start + len(line) // 2
        start += len(line)


def _before_line_feeds(raw: bytes) -> Iterator[int]:
    """Between CR and LF where there are both."""
    return (i for i, byte in enumerate(raw) if byte == 0x0A)


def _after_line_feeds(raw: bytes) -> Iterator[int]:
    return (i + 1 for i, byte in enumerate(raw) if byte == 0x0A)


def _every_byte(raw: bytes) -> Iterator[int]:
    return iter(range(1, len(raw)))


PLACES: dict[str, Callable[[bytes], Iterator[int]]] = {
    "every byte": _every_byte,
    "inside characters": _inside_characters,
    "mid-line": _mid_line,
    "before LF": _before_line_feeds,
    "after LF": _after_line_feeds,
}


def cut(raw: bytes, places: Iterator[int]) -> list[bytes]:
    found, last = [], 0
    for place in places:
        found.append(raw[last:place])
        last = place
    return [*found, raw[last:]]


def problems(exchange: Exchange) -> list[str]:
    """Kinds of places at which a cut changes something."""
    whole = events(exchange, [exchange.raw])
    found = [
        f"cut {name}: other events"
        for name, places in PLACES.items()
        if events(exchange, cut(exchange.raw, places(exchange.raw))) != whole
    ]
    if exchange.dialect not in BINARY:
        raw = _other_ends(exchange.raw)
        pieces = cut(raw, _before_line_feeds(raw))
        for name, parts in (("whole", [raw]), ("cut", pieces)):
            if events(exchange, parts) != whole:
                found.append(f"other line ends, {name}: other events")
    return [*found, *_relayed(exchange)]


def _other_ends(raw: bytes) -> bytes:
    if b"\r\n" in raw:
        return raw.replace(b"\r\n", b"\n")
    return raw.replace(b"\n", b"\r\n")


def events(exchange: Exchange, pieces: list[bytes]) -> list[object]:
    provider = registry.chat_provider(exchange.spoken)
    assert provider is not None
    if exchange.dialect == "bedrock-invoke":
        unwrapper = InvokeUnwrapper()
        pieces = [*map(unwrapper.feed, pieces), unwrapper.close()]
    return list(map(_comparable, fed(provider.stream_parser(hints(exchange), STAMP), pieces)))


def _comparable(event: Event) -> object:
    """Exceptions are equal to nothing but themselves."""
    if not isinstance(event, Failed):
        return event
    return event.error.status, event.error.message, event.error.code, event.error.kind


def _relayed(exchange: Exchange) -> list[str]:
    """What the tap of the byte lane lets through and counts, cut and whole."""
    if exchange.api not in OPERATION_OF or exchange.dialect in BINARY:
        return []
    client = registry.client(exchange.spoken)
    operation = client.OPERATIONS[OPERATION_OF[exchange.api]]
    seen = []
    for pieces in ([exchange.raw], cut(exchange.raw, _every_byte(exchange.raw))):
        tap = client.tap(operation)
        out = b"".join(map(tap.feed, pieces)) + tap.close()
        seen.append((out, tap.usage, tap.finished, tap.error))
    found = [] if seen[0] == seen[1] else ["cut every byte: another relay"]
    return found if seen[0][0] == exchange.raw else [*found, "relayed bytes are not the recorded"]
