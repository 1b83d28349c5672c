"""A recorded answer rendered in each client dialect, read by that dialect's official library.

What a dialect cannot say is declared in its projection: words for how an answer ended, and the
form of a custom tool's free text. All else must be equal: text, calls, tokens in and out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oneapi.dialects import registry
from oneapi.dialects.base import ChatFace, Hints, Stamp
from oneapi.dialects.base_gather import gather, replay
from oneapi.dialects.bedrock_invoke import InvokeUnwrapper
from oneapi.ir import ChatRequest, ChatResponse, Event
from tests.translation.canned import Canned
from tests.translation.readers import READERS, Seen
from tests.translation.recordings import Exchange
from tests.translation.truths import EXCLUDES, Truth, truth

OPERATIONS = {
    "openai-chat": "chat",
    "openai-responses": "responses",
    "anthropic": "messages",
    "gemini": "generate",
    "ollama": "ollama.chat",
}
ENDS: dict[str, dict[str, str]] = {
    "openai-chat": {
        "stop": "stop",
        "stop_sequence": "stop",
        "length": "length",
        "tool_calls": "tool_calls",
        "content_filter": "content_filter",
        "refusal": "content_filter",
        "pause": "stop",
    },
    "openai-responses": {
        "stop": "completed",
        "stop_sequence": "completed",
        "length": "max_output_tokens",
        "tool_calls": "completed",
        "content_filter": "content_filter",
        "refusal": "completed",
        "pause": "completed",
    },
    "anthropic": {
        "stop": "end_turn",
        "stop_sequence": "stop_sequence",
        "length": "max_tokens",
        "tool_calls": "tool_use",
        "content_filter": "refusal",
        "refusal": "refusal",
        "pause": "pause_turn",
    },
    "gemini": {
        "stop": "STOP",
        "stop_sequence": "STOP",
        "length": "MAX_TOKENS",
        "tool_calls": "STOP",
        "content_filter": "SAFETY",
        "refusal": "SAFETY",
        "pause": "STOP",
    },
    "ollama": {
        "stop": "stop",
        "stop_sequence": "stop",
        "length": "length",
        "tool_calls": "stop",
        "content_filter": "stop",
        "refusal": "stop",
        "pause": "stop",
    },
}
CALLS_END = frozenset({"anthropic"})
"""Dialects in which an answer that calls tools never just stops: a forced call is such a one."""
REFUSES = frozenset({"anthropic"})
"""Dialects that tell a refusal by how the answer ended, and not by a text of another kind."""
UNCOUNTED: dict[str, tuple[int, int] | None] = {"anthropic": (0, 0), "ollama": (0, 0)}
"""What dialects say that must always say something, where the provider did not count."""
STAMP = Stamp("0123456789abcdef", 1_750_000_000)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A recorded answer in the typed middle, both ways."""

    events: list[Event]
    whole: ChatResponse


def parse(exchange: Exchange) -> Parsed:
    name = exchange.spoken
    provider = registry.chat_provider(name)
    assert provider is not None
    hints = Hints(output_excludes_reasoning=exchange.provider in EXCLUDES)
    if not exchange.stream:
        whole = provider.parse_response(exchange.raw, hints, STAMP)
        return Parsed(list(replay(whole)), whole)
    raw = exchange.raw
    if exchange.dialect == "bedrock-invoke":
        unwrapper = InvokeUnwrapper()
        raw = unwrapper.feed(raw) + unwrapper.close()
    parser = provider.stream_parser(hints, STAMP)
    events = [*parser.feed(raw), *parser.close()]
    return Parsed(events, gather(events, name))


def expected(told: Truth, dialect: str, *, own: bool) -> Seen:
    """The recorded truth as far as the dialect can say it; `own` where it is the recording's."""
    used = told.used if told.used is not None else UNCOUNTED.get(dialect)
    calls = [(name, _arguments(value, dialect)) for name, value in told.calls]
    end = None if told.end is None else ENDS[dialect][told.end]
    if own:
        used, end = told.own_used or used, told.own_end or end
    elif told.refused and dialect in REFUSES:
        end = ENDS[dialect]["refusal"]
    elif calls and told.end == "stop" and dialect in CALLS_END:
        end = ENDS[dialect]["tool_calls"]
    return Seen(told.text, told.thought, calls, end, used)


def _arguments(value: Any, dialect: str) -> Any:
    """Free text of a custom tool stands in an object where the dialect knows no other calls."""
    if isinstance(value, dict) or dialect.startswith("openai"):
        return value
    return {"input": value}


def problem(exchange: Exchange, dialect: str, server: Canned, *, stream: bool) -> str:
    """What the dialect's library read otherwise than it was recorded, "" for nothing."""
    parsed = parse(exchange)
    face = registry.face(dialect, OPERATIONS[dialect])
    assert face is not None
    server.body, server.content_type = _render(face, parsed, stream=stream)
    read: Callable[..., Seen] = READERS[dialect]
    seen = read(server.base, stream=stream)
    told = expected(truth(exchange), dialect, own=dialect == exchange.dialect)
    wrong = [
        f"{name}: {getattr(seen, name)!r}, not {getattr(told, name)!r}"
        for name in ("text", "thought", "calls", "end", "used")
        if getattr(seen, name) != getattr(told, name) and not (name == "end" and told.end is None)
    ]
    return "; ".join(wrong)


def _render(face: ChatFace, parsed: Parsed, *, stream: bool) -> tuple[bytes, str]:
    chat = ChatRequest("m", [], face.NAME, stream=stream, wants_usage=True)
    if not stream:
        return face.render_response(parsed.whole, chat, STAMP), "application/json"
    renderer = face.stream_renderer(chat, STAMP)
    body = renderer.render(parsed.events) + renderer.close()
    return body, face.CONTENT_TYPE.decode()
