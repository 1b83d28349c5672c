"""Reads along while Gemini's streams are relayed, and whole answers.

Usage stands on nearly every chunk and is cumulative: the last block that has one is kept as bytes
and read when somebody asks, so that a chunk of text costs a few searches in C. There is no terminal
event: a finish reason says that the answer is complete, the end of the body ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from oneapi.dialects.base import Operation
from oneapi.dialects.base_bodies import encode_text
from oneapi.dialects.base_tap import EventTap, Kind
from oneapi.dialects.gemini_answers import block_reason
from oneapi.dialects.gemini_errors import error_of
from oneapi.dialects.gemini_objects import ObjectBlocks, bare
from oneapi.dialects.gemini_usage import parse_usage, searches
from oneapi.ir import Usage
from oneapi.wire.json import JSON, MalformedJSON, decode, items, replace_string
from oneapi.wire.sse import EventBlocks, data_of, split

_USAGE: Final = b'"usageMetadata"'
_QUIET: Final = frozenset({"thought", "thoughtSignature", "text"})


class Reader:
    """What events mean; one for each stream."""

    MARKS: Sequence[bytes] = (
        b'"finishReason"',
        b'"blockReason"',
        b'"error"',
        b'"webSearchQueries"',
    )

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finished = False
        self.searches = 0

    def read(self, value: JSON) -> Kind:
        """Note what the event says."""
        if error_of(value) is not None:
            return "error"
        if not isinstance(value, dict):
            return "frame"
        self.usage = parse_usage(value.get("usageMetadata")) or self.usage
        content = False
        for candidate in _candidates(value):
            if candidate.get("finishReason"):
                self.finished = content = True
            self.searches = searches(candidate.get("groundingMetadata")) or self.searches
            content = content or any(map(_says, _parts(candidate)))
        if block_reason(value) or _int_reason(value):
            self.finished = content = True
        return "content" if content else "frame"

    def text(self, value: JSON) -> str:
        """The text it carries, calls included."""
        return text_of(value)


class GeminiTap(EventTap):
    """The tap of one stream; `array`: of one that is a JSON array."""

    def __init__(
        self, *, asked: str | None = None, array: bool = False, secrets: Sequence[str] = ()
    ) -> None:
        self._known = Reader()
        super().__init__(
            self._known, rename=_renaming(asked), renames_all=asked is not None, secrets=secrets
        )
        self._latest = b""
        self._objects = ObjectBlocks() if array else None
        if self._objects is not None:
            self._blocks = self._objects  # type: ignore[assignment]  # the same two calls
            self._split = self._cut
            self._data_of = bare  # type: ignore[assignment]  # mypy takes this for a method

    @property
    def usage(self) -> Usage | None:
        if self._latest:
            self._read_latest()
        usage = self._known.usage
        if usage is not None:
            usage.searches = self._known.searches
        return usage

    @property
    def finished(self) -> bool:
        return self._known.finished

    def _marked(self, block: bytes) -> bool:
        if _USAGE in block:
            self._latest = block
        return super()._marked(block)

    def _cut(self, block: bytes) -> list[bytes]:
        """The objects of a block; one that was kept from before is cut anew."""
        assert self._objects is not None
        cut = self._objects.split(block)
        if sum(map(len, cut)) == len(block):
            return cut
        again = ObjectBlocks()
        again.feed(block)
        return again.split(block)

    def _read_latest(self) -> None:
        """The last usage in the block that was kept."""
        latest, self._latest = self._latest, b""
        cut = ObjectBlocks()
        events = split(latest)
        if self._objects is not None:
            cut.feed(latest)
            events = cut.split(latest)
        for event in reversed(events):
            data = self._data_of(event)
            if data is None or _USAGE not in data:
                continue
            value = _decoded(data)
            usage = parse_usage(value.get("usageMetadata")) if isinstance(value, dict) else None
            if usage is not None:
                self._known.usage = usage
                return


class ArrayFraming:
    """Server-sent events as one JSON array, for clients that do not say `alt=sse`.

    What `feed` and `close` return, joined, is the array. An error's event becomes its last item.
    """

    def __init__(self) -> None:
        self._blocks = EventBlocks()
        self._begun = False

    def feed(self, chunk: bytes) -> bytes:
        """Raises ValueError when an event outgrows every bound."""
        return self._framed(self._blocks.feed(chunk))

    def close(self) -> bytes:
        out = self._framed(self._blocks.close())
        return out + (b"]" if self._begun else b"[]")

    def _framed(self, block: bytes) -> bytes:
        out: list[bytes] = []
        for event in split(block) if block else ():
            data = data_of(event)
            if data:
                out.append((b",\r\n" if self._begun else b"[") + data)
                self._begun = True
        return b"".join(out)


def parse_answer(
    operation: Operation,
    status: int,
    content_type: str,
    body: bytes,
    *,
    output_excludes_reasoning: bool = False,
) -> tuple[str | None, Usage | None]:
    """Why a whole successful answer is not what was asked for, None where it is; and its usage.

    A stream that came as one array is an answer too. Thoughts are never part of the output's count
    here, whatever a catalog says. Raises nothing.
    """
    if status >= 300:
        return None, None
    start = body[:512].lstrip().lower()
    if not start:
        return "the provider's answer was empty", None
    if "html" in content_type or start.startswith((b"<!doctype", b"<html")):
        return "the provider answered with a web page", None
    value = _decoded(body)
    answers = value if isinstance(value, list) else [value]
    if not answers or not all(isinstance(answer, dict) for answer in answers):
        return "the provider's answer is not a JSON object", None
    if any(error_of(answer) for answer in answers):
        return "the provider answered with an error inside a status of success", None
    if operation.task != "chat":
        return None, _counted(answers[0])
    reader = Reader()
    for answer in answers:
        reader.read(answer)
    if not any("candidates" in a or "promptFeedback" in a or _has_usage(a) for a in answers):
        return "the provider's answer has no `candidates`", None
    if reader.usage is not None:
        reader.usage.searches = reader.searches
    return None, reader.usage


def rename_response(body: bytes, asked: str) -> bytes:
    """The answer, or each of a list of them, with the asked model's name, every other byte kept."""
    if not body.lstrip().startswith(b"["):
        return replace_string(body, "modelVersion", asked)
    found = [bytes(item) for item in items(body)]
    renamed = [replace_string(item, "modelVersion", asked) for item in found]
    out: list[bytes] = []
    at = 0
    for old, new in zip(found, renamed, strict=True):
        start = body.index(old, at)
        out += (body[at:start], new)
        at = start + len(old)
    return b"".join((*out, body[at:]))


def response_text(body: bytes) -> str:
    """The text of a whole answer, for estimating what its provider did not count."""
    value = _decoded(body)
    return "".join(map(text_of, value)) if isinstance(value, list) else text_of(value)


def text_of(value: JSON) -> str:
    """The text that an answer or a chunk of one carries: texts, thoughts, calls."""
    return "".join(_texts(value)) if isinstance(value, dict) else ""


def _texts(value: dict[str, JSON]) -> Iterator[str]:
    for candidate in _candidates(value):
        for part in _parts(candidate):
            text, call = part.get("text"), part.get("functionCall")
            if isinstance(text, str):
                yield text
            if isinstance(call, dict):
                yield encode_text([call.get("name"), call.get("args")])
            code = part.get("executableCode")
            if isinstance(code, dict) and isinstance(code.get("code"), str):
                yield code["code"]


def _says(part: dict[str, JSON]) -> bool:
    """Whether a client waits for this part."""
    return bool(part.get("text")) or any(name not in _QUIET for name in part)


def _candidates(value: dict[str, JSON]) -> Iterator[dict[str, JSON]]:
    found = value.get("candidates")
    if isinstance(found, list):
        yield from (candidate for candidate in found if isinstance(candidate, dict))


def _parts(candidate: dict[str, JSON]) -> Iterator[dict[str, JSON]]:
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    if isinstance(parts, list):
        yield from (part for part in parts if isinstance(part, dict))


def _int_reason(value: dict[str, JSON]) -> bool:
    """A refused prompt whose reason is a number, for clients that asked for numbers."""
    feedback = value.get("promptFeedback")
    return isinstance(feedback, dict) and bool(feedback.get("blockReason"))


def _has_usage(value: dict[str, JSON]) -> bool:
    return isinstance(value.get("usageMetadata"), dict)


def _counted(value: dict[str, JSON]) -> Usage | None:
    """What embeddings used, where they say so: newer models count their prompt."""
    return parse_usage(value.get("usageMetadata"))


def _renaming(asked: str | None) -> Callable[[bytes], bytes] | None:
    if asked is None:
        return None
    name = asked
    return lambda data: replace_string(data, "modelVersion", name)


def _decoded(data: bytes) -> JSON:
    try:
        return decode(data)
    except MalformedJSON:
        return None
