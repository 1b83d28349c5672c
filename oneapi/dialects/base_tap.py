"""Reads along while a stream of events is relayed, for dialects whose events say what they are.

Every event is parsed until the first content; later only those that hold one of the reader's marks,
so that a block of plain text costs a few searches in C.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Protocol

from oneapi import estimate
from oneapi.dialects.base_errors import scrub
from oneapi.ir import Usage
from oneapi.wire.json import JSON, MalformedJSON, decode
from oneapi.wire.lines import LineBlocks
from oneapi.wire.sse import EventBlocks, data_of, split

_EVENT = 64 * 1024 * 1024
"""Bytes of the largest event: the last one of Responses repeats the whole answer."""
_PENDING = 1024 * 1024
"""Bytes held back for the first content: Responses repeats instructions and tools before it."""
_HELD = 1024 * 1024
_SAMPLE = 256 * 1024

Kind = Literal["frame", "content", "end", "error"]
"""`frame` carries nothing a client waits for, `end` completes the stream."""


class EventReader(Protocol):
    """What one dialect's events mean. One reader for each stream: it may remember."""

    @property
    def MARKS(self) -> Sequence[bytes]:
        """What events that must be read after the first content contain: errors, usage, the end.

        They may match too often, never too rarely.
        """
        ...

    usage: Usage | None

    def read(self, value: JSON) -> Kind:
        """Note what the event says. `value` is None where the data is no JSON. Raises nothing."""
        ...

    def text(self, value: JSON) -> str:
        """The text it carries, for estimating."""
        ...


class EventTap:
    """The tap of one stream of server-sent events, or of lines (`lines=True`).

    `rename` puts the asked model's name into an event's JSON, every other byte kept; it is asked
    for every event if `renames_all`, else for those that are parsed. `secrets` are removed from
    the texts of errors.
    """

    def __init__(
        self,
        reader: EventReader,
        *,
        lines: bool = False,
        rename: Callable[[bytes], bytes] | None = None,
        renames_all: bool = False,
        secrets: Sequence[str] = (),
    ) -> None:
        self.error: JSON = None
        self.content_seen = False
        self.done = False
        self.events = 0
        self.held = b""
        self._terminal = 0  # how much of it is the terminal event
        self.relayed_bytes = 0
        self.sampled_bytes = 0
        self._reader = reader
        self._rename = rename
        self._renames_all = renames_all and rename is not None
        self._secrets = secrets
        self._blocks: EventBlocks | LineBlocks = (
            LineBlocks(_EVENT) if lines else EventBlocks(_EVENT)
        )
        self._split = _lines if lines else split
        self._data_of = _line if lines else data_of
        self._samples: list[bytes] = []
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    @property
    def usage(self) -> Usage | None:
        return self._reader.usage

    @property
    def finished(self) -> bool:
        return self.done

    def feed(self, chunk: bytes) -> bytes:
        if self.done:
            self._hold(chunk)
            return b""
        block = self._blocks.feed(chunk)
        if not block:
            return b""
        if self.content_seen and not self._renames_all and not self._marked(block):
            self.events += 1
            return self._out(block)
        return self._walk(block)

    def close(self) -> bytes:
        rest = self._blocks.close()
        if not self.done and rest:
            rest = self._walk(rest)
        pending = b"".join(self._pending)
        self._pending.clear()
        held, self.held = self.held[: self._whole()], b""
        return rest + pending + held

    def _whole(self) -> int:
        """How much of what is held is the terminal event and whole events after it: nobody waits
        for the rest of another.
        """
        if not self._terminal or isinstance(self._blocks, LineBlocks):
            return len(self.held)
        ends = (self.held.rfind(mark) + len(mark) for mark in (b"\n\n", b"\r\n\r\n"))
        return max(self._terminal, *ends)

    def sample(self) -> str:
        return "".join(
            self._reader.text(_parse(data))
            for block in self._samples
            for event in self._split(block)
            if (data := self._data_of(event)) is not None
        )

    def output_estimate(self, count: Callable[[str], int] = estimate.tokens) -> int:
        if not self.sampled_bytes:
            return 0
        return round(count(self.sample()) * self.relayed_bytes / self.sampled_bytes)

    def _marked(self, block: bytes) -> bool:
        return any(mark in block for mark in self._reader.MARKS)

    def _walk(self, block: bytes) -> bytes:
        out: list[bytes] = []
        at = 0
        for event in self._split(block):
            at += len(event)
            out.append(self._event(event))
            if self.done:
                self._hold(block[at:] + self._blocks.close())
                break
        return b"".join(out)

    def _event(self, event: bytes) -> bytes:
        data = self._data_of(event)
        if data is None:
            return self._release(event)
        self.events += 1
        if self.content_seen and not self._marked(event):
            return self._out(self._renamed(event, data) if self._renames_all else event)
        value = _parse(data)
        kind = self._reader.read(value)
        if kind == "error" and self.error is None:
            self.error = value
            if self._secrets:
                event = scrub(event, self._secrets)
        elif self._rename is not None:
            event = self._renamed(event, data)
        if kind == "end":
            self.done = True
            self.content_seen = True
            pending = b"".join(self._pending)
            self._pending.clear()
            self._hold(pending + event)
            self._terminal = len(self.held)
            return b""
        if kind != "frame" or self.content_seen:
            self.content_seen = self.content_seen or kind == "content"
            return self._release(event)
        self._pending.append(event)
        self._pending_bytes += len(event)
        if self._pending_bytes > _PENDING:
            self.content_seen = True
            return self._release(b"")
        return b""

    def _renamed(self, event: bytes, data: bytes) -> bytes:
        start = event.find(data)
        if start < 0 or self._rename is None:  # data in several lines
            return event
        return event[:start] + self._rename(data) + event[start + len(data) :]

    def _release(self, event: bytes) -> bytes:
        out = b"".join((*self._pending, event))
        self._pending.clear()
        return self._out(out)

    def _out(self, block: bytes) -> bytes:
        self.relayed_bytes += len(block)
        if self.sampled_bytes < _SAMPLE:
            self._samples.append(block)
            self.sampled_bytes += len(block)
        return block

    def _hold(self, part: bytes) -> None:
        self.held = (self.held + part)[: max(_HELD, len(self.held))] if self.held else part


def _lines(block: bytes) -> Iterable[bytes]:
    return block.splitlines(keepends=True)


def _line(line: bytes) -> bytes | None:
    return line.strip() or None


def _parse(data: bytes) -> JSON:
    try:
        return decode(data)
    except MalformedJSON:
        return None
