"""What the mock provider's answers share: the request as they see it, and texts made of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from oneapi.providers.mock.options import MockOptions
from oneapi.wire.json import JSON, encode

CREATED = 1_700_000_000
"""When every answer was made, so that the same request gets the same bytes."""
MAX_N = 128
_QUOTED = 80  # characters of the request that the default answer repeats

# What one event of a stream carries: a word with the space before it, or two CJK signs.
_CJK = "\u3040-\u9fff\uac00-\ud7af"
_PIECE = re.compile(rf"\s*(?:[{_CJK}]{{1,2}}|[^\s{_CJK}]+)|\s+")
_FILLER = (
    " Every answer of this model is made up on the spot, the same one for the same question, "
    "so that programs can be tried out without a network, a key or a bill."
)


class Refused(Exception):
    """A request that the mock provider refuses as a real one would: status and text."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: one part, or the events of a stream."""

    parts: Sequence[bytes]
    content_type: bytes = b"application/json"
    status: int = 200
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """A request's fields, JSON's or a form's, and the digest of its bytes."""

    fields: Mapping[str, JSON]
    uploads: Mapping[str, bytes]
    digest: str
    options: MockOptions

    @property
    def model(self) -> str:
        return str(self.fields.get("model") or "demo")

    @property
    def streamed(self) -> bool:
        return self.fields.get("stream") in (True, "true")

    @property
    def n(self) -> int:
        return min(max(integer(self.fields.get("n")) or 1, 1), MAX_N)


def error(status: int, message: str, code: str | None) -> Answer:
    """An error of OpenAI's shape."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return Answer([encode(body)], status=status)


def pieces(text: str) -> list[str]:
    """The text cut as a stream carries it; joined they are the text."""
    return _PIECE.findall(text)


def made_text(request: Request, asked: str) -> str:
    """The option's text, or one that repeats the question and is `options.tokens` pieces long."""
    options = request.options
    if options.text is not None:
        return options.text
    quoted = " ".join(asked.split())
    if len(quoted) > _QUOTED:
        quoted = quoted[: _QUOTED - 1] + "…"
    said = f"You said: “{quoted}”." if quoted else "You said nothing."
    words, filler = pieces(said), pieces(_FILLER)
    while len(words) < options.tokens:
        words += filler
    return "".join(words[: options.tokens])


def limited(request: Request, text: str) -> tuple[str, str]:
    """The text within the request's own limits, and why it ends."""
    stop = request.fields.get("stop")
    for word in stop if isinstance(stop, list) else [stop]:
        if isinstance(word, str) and word and word in text:
            text = text[: text.index(word)]
    for name in ("max_completion_tokens", "max_tokens"):
        limit = integer(request.fields.get(name))
        if limit is not None and limit < len(cut := pieces(text)):
            return "".join(cut[: max(limit, 0)]), "length"
    return text, "stop"


def plain(content: JSON) -> str:
    """The text of a message's content, which is a text or a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [p["text"] for p in content if isinstance(p, dict) and isinstance(p.get("text"), str)]
    return "\n".join(texts)


def usage_of(prompt: int, completion: int) -> dict[str, JSON]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def integer(value: JSON) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and value.isdecimal() else None


def _event(value: JSON) -> bytes:
    return b"data: " + encode(value) + b"\n\n"


def events(values: Sequence[JSON], *, done: bool = True) -> Answer:
    parts = [_event(v) for v in values]
    if done:
        parts.append(b"data: [DONE]\n\n")
    return Answer(parts, content_type=b"text/event-stream", stream=True)


def asks_usage(request: Request) -> bool:
    options = request.fields.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True
