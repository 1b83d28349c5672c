"""Amazon's binary event streams (application/vnd.amazon.eventstream) as frames. Sans I/O.

https://smithy.io/2.0/aws/amazon-eventstream.html (read 2026-11-24): a frame is the length of the
whole, the length of its headers and a CRC32 of these eight bytes; headers; the payload; a CRC32 of
all that came before it. Numbers are big-endian.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Mapping
from typing import Final, NamedTuple
from uuid import UUID
from zlib import crc32

LIMIT: Final = 64 * 1024 * 1024
"""Bytes of the largest frame."""

_PRELUDE: Final = struct.Struct(">III")
_WORD: Final = struct.Struct(">I")
_SMALLEST: Final = 16
_MOST_KNOWN: Final = 64
"""Header blocks that are remembered: a stream has about six different ones."""

_NUMBERS: Final[Mapping[int, struct.Struct]] = {
    2: struct.Struct(">b"),
    3: struct.Struct(">h"),
    4: struct.Struct(">i"),
    5: struct.Struct(">q"),
    8: struct.Struct(">q"),
}
_TRUE, _FALSE, _BYTES, _STRING, _UUID = 0, 1, 6, 7, 9


class Frame(NamedTuple):
    """One message. Header values are text whatever their type: numbers in decimal, a timestamp in
    Unix milliseconds, bytes in base64, `true`, `false`. Frames share their headers: read only.
    """

    headers: Mapping[str, str]
    payload: bytes


class EventStream:
    """Bytes to frames: `feed(chunk) -> list[Frame]`, `close()`.

    Both raise ValueError where the bytes are no event stream, a checksum does not fit, or a frame
    is longer than `limit`. What came before the fault is returned first: `fault` names it then, and
    the next call raises it. The cost is linear in the bytes, whatever the size of the chunks.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.fault = ""
        self._limit = limit
        self._held: list[bytes] = []
        self._size = 0
        self._needed = _PRELUDE.size
        self._known: dict[bytes, Mapping[str, str]] = {}

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that are complete now."""
        if self.fault:
            raise ValueError(self.fault)
        if self._size + len(chunk) < self._needed:
            if chunk:
                self._held.append(chunk)
                self._size += len(chunk)
            return []
        if self._held:
            chunk = b"".join((*self._held, chunk))
        frames: list[Frame] = []
        try:
            self._keep(chunk[self._cut(chunk, frames) :])
        except ValueError as error:
            self.fault = str(error)
            self._keep(b"")
            if not frames:
                raise
        return frames

    def close(self) -> None:
        """The stream has ended. Raises ValueError where that was inside a frame."""
        if not self.fault and self._size:
            self.fault = "the event stream ends inside a frame"
        if self.fault:
            raise ValueError(self.fault)

    def _keep(self, rest: bytes) -> None:
        self._held = [rest] if rest else []
        self._size = len(rest)

    def _cut(self, data: bytes, frames: list[Frame]) -> int:
        """Puts the whole frames of `data` into `frames`; the place where the rest begins."""
        at, end = 0, len(data)
        while end - at >= _PRELUDE.size:
            total, head, check = _PRELUDE.unpack_from(data, at)
            if crc32(data[at : at + 8]) != check:
                raise ValueError("the checksum of a frame's prelude does not fit")
            if total > self._limit:
                raise ValueError(f"a frame of more than {self._limit} bytes")
            if total < _SMALLEST + head:
                raise ValueError("a frame is shorter than its headers")
            if end - at < total:
                self._needed = total
                return at
            frames.append(self._frame(data, at, at + total, head))
            at += total
        self._needed = _PRELUDE.size
        return at

    def _frame(self, data: bytes, start: int, end: int, head: int) -> Frame:
        if crc32(data[start : end - 4]) != _WORD.unpack_from(data, end - 4)[0]:
            raise ValueError("the checksum of a frame does not fit")
        middle = start + _PRELUDE.size + head
        raw = data[start + _PRELUDE.size : middle]
        headers = self._known.get(raw)
        if headers is None:
            headers = _parse_headers(raw)
            if len(self._known) < _MOST_KNOWN:
                self._known[raw] = headers
        return Frame(headers, data[middle : end - 4])


def encode_frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """The frame with these headers, all of them strings."""
    head = b"".join(_encode_header(name, value) for name, value in headers.items())
    total = _SMALLEST + len(head) + len(payload)
    prelude = struct.pack(">II", total, len(head))
    body = b"".join((prelude, _WORD.pack(crc32(prelude)), head, payload))
    return body + _WORD.pack(crc32(body))


def _encode_header(name: str, value: str) -> bytes:
    key, data = name.encode(), value.encode()
    return bytes((len(key),)) + key + struct.pack(">BH", _STRING, len(data)) + data


def _parse_headers(raw: bytes) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    at = 0
    try:
        while at < len(raw):
            start = at + 1
            at = start + raw[at]
            name = raw[start:at].decode()
            headers[name], at = _value(raw, at)
    except (IndexError, struct.error, ValueError) as error:
        raise ValueError("the headers of a frame are malformed") from error
    return headers


def _value(raw: bytes, at: int) -> tuple[str, int]:
    """The value whose type stands at `at`, and where it ends."""
    kind = raw[at]
    at += 1
    if kind in (_TRUE, _FALSE):
        return ("true" if kind == _TRUE else "false"), at
    if kind in _NUMBERS:
        number = _NUMBERS[kind]
        return str(number.unpack_from(raw, at)[0]), at + number.size
    if kind == _UUID:
        return str(UUID(bytes=raw[at : at + 16])), at + 16
    if kind not in (_BYTES, _STRING):
        raise ValueError(f"a header of the unknown type {kind}")
    end = at + 2 + struct.unpack_from(">H", raw, at)[0]
    value = raw[at + 2 : end]
    if len(raw) < end:
        raise ValueError("the headers of a frame are malformed")
    return (value.decode() if kind == _STRING else b64encode(value).decode()), end
