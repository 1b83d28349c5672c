"""Reads along while an OpenAI stream is relayed, at the price of a few searches in C per block.

Events are parsed until the first content has come, and later only where a block holds what may be
a usage, an error or the end. https://platform.openai.com/docs/api-reference/chat-streaming (read
2026-11-24); where providers differ stands in `openai_usage`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from oneapi import estimate
from oneapi.dialects.openai_errors import describe, scrub
from oneapi.dialects.openai_text import error_of, finish_of, has_content, text_of
from oneapi.dialects.openai_usage import spoken, usage_in
from oneapi.ir import Usage
from oneapi.wire.json import JSON, MalformedJSON, decode, encode, members, replace_string
from oneapi.wire.sse import EventBlocks, data_of, split

_EVENT = 16 * 1024 * 1024
"""Bytes of the largest event: an image in base64 is one."""
_CONTENT = frozenset(
    {"type", "error", "choices", "citations", "search_results", "references", "web_search"}
    | {"images", "related_questions"}
)
"""Members that a chunk is for: one that has any of them is more than a usage chunk."""
_PENDING = 64 * 1024
"""Bytes held back for the first content; past them the stream is relayed as it is."""
_HELD = 1024 * 1024
"""Bytes kept after the terminal event; what follows is dropped."""
_TAIL = 4096
"""Bytes at the end of a block that are searched for an error, and of the stream for its finish."""


class StreamTap:
    """The tap of one stream: `feed(chunk) -> bytes` while it runs, `close() -> bytes` at its end.

    `asked` is the model's name to put back where the gateway changed it (to `served`, if that is
    another one): every non-empty top-level `model` becomes it. `withhold_usage` drops the extra
    usage chunk (no choices) that the client did not ask for. `secrets` are removed from the texts
    of errors. `feed` raises ValueError when a single event outgrows 16 MB.

    Until the first content, events without any (`pending`) are held back, so that another target
    may still be tried; a comment passes at once, and what was held goes before it. From `[DONE]`
    on everything is in `held`: the caller commits first and then sends what `close` returns.
    """

    def __init__(
        self,
        *,
        asked: str | None = None,
        served: str | None = None,
        withhold_usage: bool = False,
        output_excludes_reasoning: bool = False,
        sample_bytes: int = 262_144,
        secrets: Sequence[str] = (),
    ) -> None:
        self.usage: Usage | None = None
        self.error: JSON = None
        self.content_seen = False
        self.done = False
        self.events = 0  # data events that were parsed, and one for each block that was not
        self.held = b""
        self.relayed_bytes = 0
        self.sampled_bytes = 0
        self._rename = None if asked is None or asked == served else _Rename(asked)
        self._withhold_usage = withhold_usage
        self._excludes = output_excludes_reasoning
        self._secrets = secrets
        self._sample_bytes = sample_bytes
        self._blocks = EventBlocks(_EVENT)
        self._samples: list[bytes] = []
        self._pending: list[bytes] = []
        self._pending_bytes = 0  # since the stream began: a bound, not a balance
        self._tail = b""
        self._finished = False
        self._images = 0
        self.picture = ("", "")  # size and quality of the last one that was made

    @property
    def pending(self) -> bytes:
        """Events without content that wait for the first that has some."""
        return b"".join(self._pending)

    @property
    def finished(self) -> bool:
        """Whether a finish reason or the terminal event has come."""
        if not self._finished and not self.done:
            self._finished = any(finish_of(value) for value in _values(self._tail))
        return self._finished or self.done

    def feed(self, chunk: bytes) -> bytes:
        if self.done:
            self._hold(chunk)
            return b""
        block = self._blocks.feed(chunk)
        if not block:
            return b""
        return self._pass(block)

    def close(self) -> bytes:
        rest = self._blocks.close()
        if not self.done and rest:
            rest = self._walk(rest)
        pending = b"".join(self._pending)
        self._pending.clear()
        held, self.held = self.held, b""
        return rest + pending + held

    def sample(self) -> str:
        """Text of what was relayed, from at most `sample_bytes` of it."""
        return "".join(text_of(value) for block in self._samples for value in _values(block))

    def output_estimate(self, count: Callable[[str], int] = estimate.tokens) -> int:
        """About how many tokens were relayed, for a stream that did not count them."""
        if not self.sampled_bytes:
            return 0
        return round(count(self.sample()) * self.relayed_bytes / self.sampled_bytes)

    def error_text(self) -> str:
        """The error's words, "" where none has come."""
        return "" if self.error is None else describe(self.error)[0]

    def _pass(self, block: bytes) -> bytes:
        """Whole events: relayed in one piece up to the first that must be looked at."""
        start = _first_marked(block) if self.content_seen else 0
        if start < 0:
            return self._relay(block)
        if start == 0:
            return self._walk(block)
        return self._relay(block[:start]) + self._walk(block[start:])

    def _relay(self, block: bytes) -> bytes:
        """A block of content that holds nothing of interest."""
        self.events += 1
        if self._rename is not None:
            block = self._rename.block(block)
        return self._out(block)

    def _walk(self, block: bytes) -> bytes:
        """Events that are looked at one by one, until the first content has come."""
        out: list[bytes] = []
        at = 0
        for event in split(block):
            at += len(event)
            before = self.content_seen
            out.append(self._event(event))
            if self.done:
                self._hold(block[at:] + self._blocks.close())
                break
            if self.content_seen and not before and at < len(block):
                out.append(self._pass(block[at:]))
                break
        return b"".join(out)

    def _event(self, event: bytes) -> bytes:
        data = data_of(event)
        if data is None:
            return self._release(event)
        self.events += 1
        if data.strip() == b"[DONE]":
            self.done = True
            self._hold(event)
            return b""
        value = _parse(data)
        if self._note(value, data) and self._withhold_usage:
            return b""
        if self.error is not None and self._secrets:
            event = scrub(event, self._secrets)
        if self._rename is not None:
            event = self._rename.event(event)
        if self.content_seen or has_content(value) or _is_broken_object(value, data):
            self.content_seen = True
            return self._release(event)
        self._pending.append(event)
        self._pending_bytes += len(event)
        if self._pending_bytes > _PENDING:
            self.content_seen = True
            return self._release(b"")
        return b""

    def _note(self, value: JSON, data: bytes) -> bool:
        """Remember what the event says. True when it is a usage chunk that holds nothing else."""
        if not isinstance(value, dict):
            return False
        if self.error is None:
            self.error = error_of(value)
        self._finished = self._finished or finish_of(value) is not None
        kind = value.get("type")
        if isinstance(kind, str) and kind.startswith("image_") and kind.endswith(".completed"):
            self._pictured(value)
        if b'"usage"' not in data:
            return False
        usage = self._usage_of(value, data)
        if usage is None:
            return False
        if usage.input_tokens or usage.output_tokens or self.usage is None:
            self.usage = usage  # counts are cumulative: the last ones count, but for empty ones
        more = any(value.get(name) for name in _CONTENT & value.keys())
        return not more and isinstance(value.get("usage"), dict)

    def _pictured(self, value: dict[str, JSON]) -> None:
        """One more picture is made, whether its event says what it used or not."""
        self._images += 1
        self.usage = replace(self.usage or Usage(), images=self._images)
        size, quality = value.get("size"), value.get("quality")
        self.picture = (
            size if isinstance(size, str) else "",
            quality if isinstance(quality, str) else "",
        )

    def _usage_of(self, value: JSON, data: bytes) -> Usage | None:
        try:
            usage = usage_in(members(data), output_excludes_reasoning=self._excludes)
        except MalformedJSON:
            return None
        kind = value.get("type")
        if usage is None or not isinstance(kind, str):
            return usage
        if kind.startswith("image_"):
            usage.images = self._images
        return spoken(usage) if kind.startswith("speech.") else usage

    def _release(self, event: bytes) -> bytes:
        """What was held back, and then this."""
        out = b"".join((*self._pending, event))
        self._pending.clear()
        return self._out(out)

    def _out(self, block: bytes) -> bytes:
        size = len(block)
        self.relayed_bytes += size
        if self.sampled_bytes < self._sample_bytes:
            self._samples.append(block)
            self.sampled_bytes += size
        self._tail = block[-_TAIL:] if size >= _TAIL else (self._tail + block)[-_TAIL:]
        return block

    def _hold(self, part: bytes) -> None:
        self.held = (self.held + part)[:_HELD]


class _Rename:
    """Puts the asked model's name into events, every other byte as it came."""

    def __init__(self, asked: str) -> None:
        self._asked = asked
        self._value = encode(asked)
        self._head = b""  # how this stream's events begin, up to the model's value and with it
        self._old = b""
        self._new = b""

    def block(self, block: bytes) -> bytes:
        """Many events at once, where all of them begin as the last one looked at did.

        Bytes that are the same up to a value mean the same up to it: if the head's `model` is the
        top level's, so is that of every event with this head.
        """
        head = self._head
        if head and block.startswith(head) and b"\r" not in block:
            count = block.count(b"\n" + head) + 1
            if block.count(b"\n") == 2 * count and block.count(self._old) == count:
                return block.replace(self._old, self._new)
        return b"".join(map(self.event, split(block)))

    def event(self, event: bytes) -> bytes:
        data = data_of(event)
        start = -1 if data is None else event.find(data)
        if data is None or start < 0:  # no data, or data in several lines
            return event
        renamed = replace_string(data, "model", self._asked)
        if renamed is not data:
            self._learn(event[:start], data, renamed)
        return event[:start] + renamed + event[start + len(data) :]

    def _learn(self, frame: bytes, data: bytes, renamed: bytes) -> None:
        """Remember how an event begins, if its only `model` is the one that was replaced."""
        self._head = b""
        key = data.find(b'"model"')
        value = renamed.find(self._value, key)
        if (
            key < 0
            or value < 0
            or data.count(b'"model"') != 1
            or data[key:value] != renamed[key:value]
        ):
            return
        end = len(data) - (len(renamed) - value - len(self._value))
        self._old = data[key:end]
        self._new = renamed[key : value + len(self._value)]
        if data.replace(self._old, self._new) == renamed:  # else the key was written in escapes
            self._head = frame + data[:end]


def _first_marked(block: bytes) -> int:
    """Where the first event begins that may hold a usage, the terminal event or an error; -1: none.

    A few searches in C instead of 200 parses: a usage object has a member `…_tokens`, and the
    bytes sought cannot stand inside a JSON string, whose quotes are escaped, but for `[DONE]`,
    which only costs time. A terminal event without a space, an error and a usage of another kind
    are the last of what a provider sends, so that a block's end is enough.
    """
    tail = max(0, len(block) - _TAIL)
    marks = (
        block.find(b'_tokens":'),
        block.find(b'.completed"'),  # a picture is made
        block.find(b"data: [DONE]") if tail else -1,
        block.find(b"[DONE]", tail),
        _set(block, b'"error":', tail),
        _set(block, b'"usage":', tail),
    )
    if max(marks) < 0:
        return -1
    first = min(mark for mark in marks if mark >= 0)
    ends = ((end, block.rfind(end, 0, first)) for end in (b"\n\n", b"\n\r\n", b"\r\r"))
    return max((at + len(end) for end, at in ends if at >= 0), default=0)


def _set(block: bytes, key: bytes, start: int) -> int:
    """Where the key first stands after `start`, -1 where it does not or all its values are null."""
    first = block.find(key, start)
    if first < 0:
        return -1
    nulls = block.count(key + b"null", first) or block.count(key + b" null", first)
    return first if nulls != block.count(key, first) else -1


def _values(block: bytes) -> Iterator[JSON]:
    for event in split(block):
        data = data_of(event)
        if data is not None:
            yield _parse(data)


def _is_broken_object(value: JSON, data: bytes) -> bool:
    """An event that is meant as JSON and is none, a cut character in its text for instance: passed
    on, since the client may read it.
    """
    return value is None and data.lstrip().startswith(b"{")


def _parse(data: bytes) -> JSON:
    try:
        return decode(data)
    except MalformedJSON:
        return None
