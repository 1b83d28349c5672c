"""Recorded chats and completions of OpenAI's dialect, whichever provider answered, and how they
are compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pytest

from oneapi.dialects.base import Hints, Stamp
from oneapi.dialects.openai import CHAT_PROVIDER, FACES
from oneapi.errors import ApiError
from oneapi.ir import ChatRequest, Envelope, Event, Failed, Message
from oneapi.wire.json import JSON

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "fixtures"
HINTS = Hints(include_usage=False)
STAMP = Stamp("0123456789abcdef", 1_790_000_000)


@dataclass(frozen=True, slots=True)
class Chat:
    """One recording. `sse` is a stream's bytes, b"" where the answer came whole."""

    id: str
    operation: str
    request: JSON
    status: int
    body: JSON
    sse: bytes
    prefix: bytes

    @property
    def raw(self) -> bytes:
        if isinstance(self.body, str):
            return self.body.encode()
        return self.prefix + json.dumps(self.body, ensure_ascii=False).encode()

    def chat(self) -> ChatRequest:
        """The request, or an empty one where the recorded one is none that a face takes."""
        try:
            return FACES[self.operation].parse_request(self.request, Envelope("m"))
        except ApiError:
            return ChatRequest("m", [], "openai-chat")


def recorded() -> Iterator[Chat]:
    for path in sorted(FOLDER.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            asked, answer = record["request"], record["response"]
            if record["api"] in FACES and asked["method"] == "POST":
                yield Chat(
                    record["id"],
                    record["api"],
                    asked.get("body"),
                    answer["status"],
                    answer.get("body"),
                    answer.get("sse", "").encode(),
                    answer.get("raw_prefix", "").encode(),
                )


CHATS = list(recorded())


def cases(wanted: Callable[[Chat], bool]) -> list[object]:
    """Parameters for a test, or one that is skipped with a reason."""
    found = [chat for chat in CHATS if wanted(chat)]
    if not found:
        return [pytest.param(None, marks=pytest.mark.skip(reason="no recordings beside the tree"))]
    return [pytest.param(chat, id=chat.id) for chat in found]


def parse_stream(stream: bytes, size: int = 0, hints: Hints = HINTS) -> list[Event]:
    """The stream's events, fed in pieces of `size` bytes; 0: whole."""
    parser = CHAT_PROVIDER.stream_parser(hints, STAMP)
    size = size or max(len(stream), 1)
    pieces = (stream[i : i + size] for i in range(0, len(stream), size))
    return [*(event for piece in pieces for event in parser.feed(piece)), *parser.close()]


def render_stream(events: list[Event], chat: ChatRequest, operation: str = "chat") -> bytes:
    """The events for a client that wants the usage, with whatever ends the stream."""
    chat = replace(chat, wants_usage=True)
    renderer = FACES[operation].stream_renderer(chat, STAMP)
    out = renderer.render(event for event in events if not isinstance(event, Failed))
    failed = next((event for event in events if isinstance(event, Failed)), None)
    return out + (renderer.close() if failed is None else renderer.fail(failed.error))


def bare(chat: ChatRequest, source: str = "") -> ChatRequest:
    """The request with what the middle holds alone: how it was written is forgotten."""
    held = {field.name: getattr(chat, field.name) for field in fields(ChatRequest)}
    held["messages"] = [Message(m.role, m.parts, m.name, dict(m.extra)) for m in chat.messages]
    held["source"] = source or chat.source
    return ChatRequest(**held)


def without_nulls(value: JSON) -> JSON:
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return [without_nulls(v) for v in value] if isinstance(value, list) else value


def chunks_of(stream: bytes) -> list[JSON]:
    """The stream's chunks, read without the code under test."""
    lines = stream.decode().replace("\r\n", "\n").split("\n")
    found = [line[5:].strip() for line in lines if line.startswith("data:")]
    return [json.loads(data) for data in found if data != "[DONE]"]


def folded(chunks: list[JSON]) -> JSON:
    """All chunks as one: texts joined, the first id, the last of everything else."""
    top: JSON = {}
    choices: dict[int, JSON] = {}
    for chunk in chunks:
        for name, value in chunk.items():
            if name in ("choices", "obfuscation", "p") or value is None:
                continue
            first = name in ("id", "model", "created", "object") and top.get(name)
            top[name] = top[name] if first else value
        for choice in chunk.get("choices") or []:
            _fold_choice(choices.setdefault(choice.get("index", 0), {}), choice)
    return {**top, "choices": choices}


def _fold_choice(held: JSON, choice: JSON) -> None:
    for name, value in choice.items():
        if name in ("index", "obfuscation") or not value:
            continue
        if name == "delta":
            _fold_delta(held.setdefault("delta", {}), value)
        elif name == "logprobs":
            for kind, entries in value.items():
                if entries:
                    logprobs = held.setdefault("logprobs", {})
                    logprobs[kind] = logprobs.get(kind, []) + entries
        elif name == "finish_reason":
            held.setdefault(name, value)
        elif name == "text":
            held[name] = held.get(name, "") + value
        else:
            held[name] = value


def _fold_delta(held: JSON, delta: JSON) -> None:
    for name, value in delta.items():
        if not value or name == "role":
            continue
        if name in ("tool_calls", "reasoning_details"):
            for number, entry in enumerate(value):
                key = (
                    entry.get("type") if name != "tool_calls" else "",
                    entry.get("index", number),
                )
                _fold_entry(held.setdefault(name, {}).setdefault(str(key), {}), entry)
        elif name == "content" and isinstance(value, list):
            for part in value:
                text = "".join(piece["text"] for piece in part.get("thinking", []))
                held["thinking"] = held.get("thinking", "") + text
        elif isinstance(value, list):
            held[name] = held.get(name, []) + value
        else:
            whole = isinstance(value, str) and name != "channel"
            held[name] = held.get(name, "") + value if whole else value


def _fold_entry(held: JSON, entry: JSON) -> None:
    for name, value in entry.items():
        if name == "function":
            function = held.setdefault(name, {"name": "", "arguments": ""})
            function["name"] = function["name"] or value.get("name") or ""
            function["arguments"] += value.get("arguments") or ""
        elif name in ("text", "summary"):
            held[name] = held.get(name, "") + value
        elif value not in (None, ""):
            held[name] = value
