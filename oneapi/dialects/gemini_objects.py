"""JSON objects in a row, as a stream without `alt=sse` has them: `[{…}\\r\\n,\\r\\n{…}]`. Sans I/O.

Whatever stands between objects (brackets, commas, white space) goes with the object after it.
"""

from __future__ import annotations

import re

LIMIT = 64 * 1024 * 1024
"""Bytes of the longest object that is held until it is complete."""

_OUTSIDE = re.compile(rb'[{}"]')
_INSIDE = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_FRAME = b"[], \t\r\n\xef\xbb\xbf"


class ObjectBlocks:
    """Cuts a stream after its last complete object: `feed(chunk) -> bytes`, `close() -> bytes`.

    What the calls return, joined, is what was fed; every byte is looked at once. `split` cuts what
    the last `feed` returned into single objects.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._tail: list[bytes] = []
        self._held = 0
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._ends: list[int] = []

    def feed(self, chunk: bytes) -> bytes:
        """All objects that are complete now. Raises ValueError past the limit."""
        ends = self._scan(chunk)
        if not ends:
            self._hold(chunk)
            return b""
        block = chunk[: ends[-1]]
        self._ends = [self._held + end for end in ends]
        if self._tail:
            block = b"".join((*self._tail, block))
            self._tail.clear()
            self._held = 0
        self._hold(chunk[ends[-1] :])
        return block

    def close(self) -> bytes:
        """What is left: the closing bracket, or an object that was never ended."""
        rest = b"".join(self._tail)
        self._tail.clear()
        self._held = 0
        self._ends = [len(rest)] if rest else []
        return rest

    def split(self, block: bytes) -> list[bytes]:
        """The objects of the block that the last call returned, each with what stands before it."""
        starts = [0, *self._ends[:-1]]
        return [block[start:end] for start, end in zip(starts, self._ends, strict=True)]

    def _scan(self, chunk: bytes) -> list[int]:
        """Where objects end in the chunk."""
        ends: list[int] = []
        at = 0
        if self._escaped and chunk:
            self._escaped = False
            at = 1
        while at < len(chunk):
            if self._in_string:
                at = self._string(chunk, at)
                continue
            found = _OUTSIDE.search(chunk, at)
            if found is None:
                break
            at = found.end()
            mark = found[0]
            if mark == b'"':
                self._in_string = True
            elif mark == b"{":
                self._depth += 1
            elif self._depth:
                self._depth -= 1
                if not self._depth:
                    ends.append(at)
        return ends

    def _string(self, chunk: bytes, at: int) -> int:
        """Past the string that began before; what is no end may be an escape cut in two."""
        found = _INSIDE.match(chunk, at)
        at = found.end() if found else at
        if at < len(chunk):
            if chunk[at : at + 1] == b'"':
                self._in_string = False
            else:
                self._escaped = True
            at += 1
        return at

    def _hold(self, part: bytes) -> None:
        if not part:
            return
        self._tail.append(part)
        self._held += len(part)
        if self._held > self._limit:
            raise ValueError(f"an object of more than {self._limit} bytes")


def bare(item: bytes) -> bytes | None:
    """The object itself, None where only framing is left."""
    return item.strip(_FRAME) or None
