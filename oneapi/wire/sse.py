"""Server-sent events as bytes: where events end, and what their data is. Sans I/O.

https://html.spec.whatwg.org/multipage/server-sent-events.html (read 2026-11-24): lines end with
CRLF, LF or CR, an empty line ends an event. Blocks keep every byte: what is relayed is what came.
"""

from __future__ import annotations

import re

LIMIT = 64 * 1024 * 1024
"""Bytes of the longest event that is held until it is complete."""

_BOM = b"\xef\xbb\xbf"
_EOL = rb"(?:\r\n|\n|\r)"
_EVENT = re.compile(rb"%s|(?:[^\r\n]+(?:%s|\Z))+%s?" % (_EOL, _EOL, _EOL))
_LINE = re.compile(rb"[^\r\n]+")
# An empty line: two ends of line in a row. A CR that is the last byte so far may yet become a CRLF.
_BOUNDARY = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?=(\r\n|\n|\r(?=[^\n])))")


class EventBlocks:
    """Cuts a stream after its last complete event: `feed(chunk) -> bytes`, `close() -> bytes`.

    What the calls return, joined, is what was fed. The cost is linear in the bytes, whatever the
    size of the chunks.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._tail: list[bytes] = []
        self._held = 0
        self._edge = b"\n"  # the last bytes seen, at most three: an empty line may be cut anywhere

    def feed(self, chunk: bytes) -> bytes:
        """All events that are complete now, as they came. Raises ValueError past the limit."""
        if not chunk:
            return b""
        if chunk.endswith(b"\n\n") and not self._tail:  # the common case: whole events
            self._edge = b"\n\n"
            return chunk
        window = self._edge + chunk
        cut = _last_boundary(window) - len(self._edge)
        self._edge = window[-3:]
        if cut < 0 or (cut == 0 and not self._tail):  # a boundary that was served before
            return self._hold(chunk)
        block = chunk[:cut]
        if self._tail:
            block = b"".join((*self._tail, block))
            self._tail.clear()
            self._held = 0
        if cut < len(chunk):
            self._hold(chunk[cut:])
        return block

    def close(self) -> bytes:
        """What is left: an event that was never ended, usually nothing."""
        rest = b"".join(self._tail)
        self._tail.clear()
        self._held = 0
        return rest

    def _hold(self, part: bytes) -> bytes:
        self._tail.append(part)
        self._held += len(part)
        if self._held > self._limit:
            raise ValueError(f"an event of more than {self._limit} bytes")
        return b""


def split(block: bytes) -> list[bytes]:
    """Single events with the empty lines that end them; a superfluous empty line stands alone."""
    simple = block.endswith(b"\n\n") and not block.startswith(b"\n")
    if simple and b"\r" not in block and b"\n\n\n" not in block:
        return [event + b"\n\n" for event in block[:-2].split(b"\n\n")]
    return _EVENT.findall(block)


def data_of(event: bytes) -> bytes | None:
    """The event's data, its lines joined by LF; None where it has none (comments, empty lines)."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2 and b"\r" not in event:
        return event[6:-2]
    lines = [
        line[5:].removeprefix(b" ")
        for line in _LINE.findall(event.removeprefix(_BOM))
        if line.startswith(b"data:") or line == b"data"
    ]
    return b"\n".join(lines) if lines else None


def _last_boundary(window: bytes) -> int:
    """The end of the last empty line in the window, 0 where there is none."""
    cut = window.rfind(b"\n\n") + 2
    end = cut if cut > 1 else 0
    if b"\r" in window:
        cut = window.rfind(b"\n\r\n") + 3
        end = max(end, cut if cut > 2 else 0)
        if window.count(b"\r") != window.count(b"\r\n"):
            end = max(end, max((m.end(1) for m in _BOUNDARY.finditer(window)), default=0))
    return end
