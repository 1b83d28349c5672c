"""Newline-delimited JSON as bytes: where lines end. Sans I/O.

https://github.com/ndjson/ndjson-spec (read 2026-11-24): one value a line, lines end with LF; CRLF
is taken too.
"""

from __future__ import annotations

LIMIT = 64 * 1024 * 1024
"""Bytes of the longest line that is held until it is complete."""


class LineBlocks:
    """Cuts a stream after its last complete line: `feed(chunk) -> bytes`, `close() -> bytes`.

    What the calls return, joined, is what was fed.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._tail: list[bytes] = []
        self._held = 0

    def feed(self, chunk: bytes) -> bytes:
        """All lines that are complete now, as they came. Raises ValueError past the limit."""
        cut = chunk.rfind(b"\n") + 1
        if not cut:
            self._hold(chunk)
            return b""
        block = chunk[:cut]
        if self._tail:
            block = b"".join((*self._tail, block))
            self._tail.clear()
            self._held = 0
        self._hold(chunk[cut:])
        return block

    def close(self) -> bytes:
        """What is left: a last line without its end."""
        rest = b"".join(self._tail)
        self._tail.clear()
        self._held = 0
        return rest

    def _hold(self, part: bytes) -> None:
        if not part:
            return
        self._tail.append(part)
        self._held += len(part)
        if self._held > self._limit:
            raise ValueError(f"a line of more than {self._limit} bytes")
