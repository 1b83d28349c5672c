"""multipart/form-data as it streams by: which fields there are, where their values stand. Sans I/O.

RFC 7578 and RFC 2046, read strictly: whatever two readers could understand differently (a name
given twice or encoded, a boundary inside a value, bare LF in a part's head) is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, auto

LIMIT_HEAD = 16 * 1024
LIMIT_VALUE = 64 * 1024
LIMIT_PARTS = 1000
LIMIT_VALUES = 1024 * 1024
"""Bytes of a part's head, of one kept value, of all kept values; the number of parts."""

ONCE = frozenset({"model", "stream", "n"})
"""Fields that decide about a request: given twice, two readers could see two requests."""

_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_PARAMETER = re.compile(
    rb"""\s*;\s*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*=\s*(?:"((?:[^"\\\r\n]|\\.)*)"|([^\s;"\\]+))"""
)
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n]*)")
_ESCAPE = re.compile(rb'\\(["\\])')
_PLAIN_ENCODINGS = (b"7bit", b"8bit", b"binary")


class MalformedForm(ValueError):
    """The body is not the form that its content type promises; the text says what is wrong."""


@dataclass(slots=True)
class Part:
    """One part, its value at `body[start:end]`; `value` holds a small field's, None for files."""

    name: str
    filename: str | None
    content_type: str
    start: int
    end: int = -1
    value: bytes | None = None


class _State(Enum):
    PREAMBLE = auto()
    AFTER_DELIMITER = auto()
    HEAD = auto()
    VALUE = auto()
    END = auto()


@dataclass(slots=True)
class FormScanner:
    """Feed it the body's bytes, then close it.

    `parts` fills up as heads are read; a part's `end` and `value` are set when it has passed. Both
    calls raise `MalformedForm`. The cost is linear in the bytes, whatever the size of the chunks,
    and memory is bounded: files are not kept.
    """

    boundary: bytes
    limit_head: int = LIMIT_HEAD
    parts: list[Part] = field(default_factory=list)
    _state: _State = _State.PREAMBLE
    _buffer: bytearray = field(default_factory=lambda: bytearray(b"\r\n"))
    _at: int = -2  # where in the body the buffer begins: a delimiter's line may be the first
    _searched: int = 0  # bytes of the buffer that hold no beginning of what is looked for
    _value: bytearray | None = None
    _kept: int = 0

    @property
    def fields(self) -> dict[str, str]:
        """Values of the parts that have passed, by name; "" for files and for too long values."""
        return {p.name: _text(p.value or b"") for p in self.parts if p.end >= 0}

    def span(self, name: str) -> tuple[int, int] | None:
        """Where the value of the first part of that name stands, once it has passed."""
        found = (p for p in self.parts if p.name == name and p.end >= 0)
        return next(((p.start, p.end) for p in found), None)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        self._buffer += chunk
        steps = {
            _State.PREAMBLE: self._preamble,
            _State.AFTER_DELIMITER: self._after_delimiter,
            _State.HEAD: self._head,
            _State.VALUE: self._take_value,
        }
        while self._state is not _State.END and steps[self._state]():
            pass
        if self._state is _State.END:
            self._drop(len(self._buffer))

    def close(self) -> None:
        """The body has ended."""
        if self._state is _State.PREAMBLE:
            raise MalformedForm("the boundary of the content type does not stand in the body")
        if self._state is not _State.END:
            raise MalformedForm("the form ends before its last boundary")

    def _preamble(self) -> bool:
        found = self._find_delimiter()
        if found < 0:
            return False
        self._drop(found + len(self.boundary) + 4)
        self._state = _State.AFTER_DELIMITER
        return True

    def _after_delimiter(self) -> bool:
        if len(self._buffer) < 2:
            return False
        mark = bytes(self._buffer[:2])
        if mark == b"--":
            self._state = _State.END
            return True
        if mark != b"\r\n":
            raise MalformedForm("a boundary is followed by neither a new line nor `--`")
        self._state = _State.HEAD  # the CRLF stays: it begins the head's first line
        return True

    def _head(self) -> bool:
        found = self._buffer.find(b"\r\n\r\n", self._searched)
        if found < 0:
            self._searched = max(0, len(self._buffer) - 3)
        if max(found, self._searched) > self.limit_head:
            raise MalformedForm(f"the head of a part has more than {self.limit_head} bytes")
        if found < 0:
            return False
        head = bytes(self._buffer[2:found])
        self._drop(found + 4)
        self._begin(_parse_head(head))
        return True

    def _begin(self, part: Part) -> None:
        if len(self.parts) >= LIMIT_PARTS:
            raise MalformedForm(f"the form has more than {LIMIT_PARTS} parts")
        if part.name in ONCE:
            if any(p.name == part.name for p in self.parts):
                raise MalformedForm(f"`{part.name}` stands twice")
            if part.filename is not None:
                raise MalformedForm(f"`{part.name}` must be a field, not a file")
        part.start = self._at
        self.parts.append(part)
        self._value = bytearray() if part.filename is None else None
        self._state = _State.VALUE

    def _take_value(self) -> bool:
        found = self._find_delimiter()
        length = found if found >= 0 else self._searched
        self._keep(length)
        if found < 0:
            self._drop(length)
            return False
        part = self.parts[-1]
        part.end = self._at + found
        part.value = None if self._value is None else bytes(self._value)
        self._drop(found + len(self.boundary) + 4)
        self._state = _State.AFTER_DELIMITER
        return True

    def _keep(self, length: int) -> None:
        if self._value is None:
            return
        self._kept += length
        if len(self._value) + length > LIMIT_VALUE or self._kept > LIMIT_VALUES:
            if self.parts[-1].name in ONCE:
                raise MalformedForm(f"`{self.parts[-1].name}` is too long")
            self._value = None
            return
        self._value += self._buffer[:length]

    def _find_delimiter(self) -> int:
        delimiter = b"\r\n--" + self.boundary
        found = self._buffer.find(delimiter, self._searched)
        if found < 0:
            self._searched = max(0, len(self._buffer) - len(delimiter) + 1)
            if self._state is _State.PREAMBLE:
                self._drop(self._searched)
        return found

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._at += count
        self._searched = 0


def boundary_of(content_type: bytes) -> bytes:
    """The boundary that a `multipart/form-data` content type names. Raises `MalformedForm`."""
    kind, _, rest = content_type.partition(b";")
    if kind.strip().lower() != b"multipart/form-data":
        raise MalformedForm("the content type is not multipart/form-data")
    boundary = _parameters(b";" + rest).get(b"boundary", b"")
    if not _BOUNDARY.fullmatch(boundary):
        raise MalformedForm("the content type names no valid boundary")
    return boundary


def _parse_head(head: bytes) -> Part:
    headers: dict[bytes, bytes] = {}
    for line in head.split(b"\r\n"):
        match = _HEADER.fullmatch(line)
        if match is None or match[1].lower() in headers:
            raise MalformedForm("the head of a part is malformed")
        headers[match[1].lower()] = match[2].strip()
    if headers.get(b"content-transfer-encoding", b"binary").lower() not in _PLAIN_ENCODINGS:
        raise MalformedForm("a part is encoded; parts are taken as they stand")
    kind, separator, rest = headers.get(b"content-disposition", b"").partition(b";")
    if kind.strip().lower() != b"form-data":
        raise MalformedForm("a part has no `content-disposition: form-data`")
    parameters = _parameters(separator + rest)
    name = parameters.get(b"name")
    if name is None or b"name*" in parameters or b"\\" in name:
        raise MalformedForm("a part has no plain name")
    filename = parameters.get(b"filename*", parameters.get(b"filename"))
    return Part(
        name=_text(name),
        filename=None if filename is None else _text(filename),
        content_type=_text(headers.get(b"content-type", b"")),
        start=-1,
    )


def _parameters(text: bytes) -> dict[bytes, bytes]:
    """A header's parameters, names in lower case. Raises `MalformedForm`, also for doubles."""
    found: dict[bytes, bytes] = {}
    at = 0
    while text[at:].strip(b"; \t"):
        match = _PARAMETER.match(text, at)
        if match is None or match[1].lower() in found:
            raise MalformedForm("the parameters of a header are malformed")
        quoted = match[2]
        found[match[1].lower()] = match[3] if quoted is None else _ESCAPE.sub(rb"\1", quoted)
        at = match.end()
    return found


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
