"""`python -m tests.bench.translate [--gate]`: what an event costs, translated and relayed as bytes.

A stream of 200 text events arrives in chunks of ten, as from a fast provider. Each pair is parsed
from the provider's format and rendered in the client's; beside it the taps that read along in the
byte lane. Medians over rounds, one core, in this process: microseconds an event.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence

from oneapi.dialects import registry
from oneapi.dialects.base import Hints, Stamp
from oneapi.ir import ChatRequest
from oneapi.wire.eventstream import encode_frame

EVENTS = 200
BATCH = 10
ROUNDS = 15
GATE_US = 8.0
WORD = "word and "
STAMP = Stamp("0123456789abcdef", 1_750_000_000)
OPERATIONS = {
    "openai-chat": "chat",
    "openai-responses": "responses",
    "anthropic": "messages",
    "gemini": "generate",
    "ollama": "ollama.chat",
}
PAIRS = (
    ("anthropic", "openai-chat"),
    ("openai-chat", "anthropic"),
    ("openai-chat", "openai-responses"),
    ("openai-chat", "ollama"),
    ("openai-responses", "openai-chat"),
    ("gemini", "openai-chat"),
    ("ollama", "openai-chat"),
    ("bedrock-converse", "anthropic"),
    ("cohere", "openai-chat"),
)
"""(provider, client)."""


def _data(value: object, name: str = "") -> bytes:
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + json.dumps(value).encode() + b"\n\n"


def _chat() -> list[bytes]:
    whole = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}

    def chunk(delta: object, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _data({**whole, "choices": [choice]})

    texts = [chunk({"content": WORD}) for _ in range(EVENTS)]
    return [chunk({"role": "assistant", "content": ""}), *texts, chunk({}, "stop"), _data("[DONE]")]


def _anthropic() -> list[bytes]:
    def event(name: str, **members: object) -> bytes:
        return _data({"type": name, **members}, name)

    message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": []}
    usage = {"input_tokens": 3, "output_tokens": 1}
    text = {"type": "text", "text": ""}
    delta = {"type": "text_delta", "text": WORD}
    return [
        event("message_start", message={**message, "usage": usage}),
        event("content_block_start", index=0, content_block=text),
        *[event("content_block_delta", index=0, delta=delta) for _ in range(EVENTS)],
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 9}),
        event("message_stop"),
    ]


def _responses() -> list[bytes]:
    face = registry.face("openai-responses", "responses")
    provider = registry.chat_provider("openai-chat")
    assert face is not None
    assert provider is not None
    renderer = face.stream_renderer(ChatRequest("m", [], "openai-responses"), STAMP)
    parser = provider.stream_parser(Hints(), STAMP)
    out = renderer.render(parser.feed(b"".join(_chat()))) + renderer.close()
    return [part + b"\n\n" for part in out.split(b"\n\n") if part]


def _gemini() -> list[bytes]:
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 9, "totalTokenCount": 12}

    def chunk(text: str, **more: object) -> bytes:
        candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0, **more}
        value = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m"}
        return b"data: " + json.dumps(value).encode() + b"\r\n\r\n"

    return [*[chunk(WORD) for _ in range(EVENTS)], chunk("", finishReason="STOP")]


def _ollama() -> list[bytes]:
    def line(**members: object) -> bytes:
        value = {"model": "m", "created_at": "2026-01-01T00:00:00Z", **members}
        return json.dumps(value).encode() + b"\n"

    message = {"role": "assistant", "content": WORD}
    last = line(message={"role": "assistant", "content": ""}, done=True, done_reason="stop")
    return [*[line(message=message, done=False) for _ in range(EVENTS)], last]


def _converse() -> list[bytes]:
    def frame(kind: str, value: object) -> bytes:
        names = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
        return encode_frame(names, json.dumps(value).encode())

    delta = {"contentBlockIndex": 0, "delta": {"text": WORD}, "p": "abc"}
    usage = {"inputTokens": 3, "outputTokens": 9, "totalTokens": 12}
    return [
        frame("messageStart", {"role": "assistant"}),
        *[frame("contentBlockDelta", delta) for _ in range(EVENTS)],
        frame("contentBlockStop", {"contentBlockIndex": 0}),
        frame("messageStop", {"stopReason": "end_turn"}),
        frame("metadata", {"usage": usage, "metrics": {"latencyMs": 1}}),
    ]


def _cohere() -> list[bytes]:
    def event(kind: str, **members: object) -> bytes:
        return _data({"type": kind, **members}, kind)

    content = {"content": {"type": "text", "text": ""}}
    return [
        event("message-start", id="c", delta={"message": {"role": "assistant"}}),
        event("content-start", index=0, delta={"message": content}),
        *[
            event("content-delta", index=0, delta={"message": {"content": {"text": WORD}}})
            for _ in range(EVENTS)
        ],
        event("content-end", index=0),
        event("message-end", delta={"finish_reason": "COMPLETE", "usage": {}}),
    ]


STREAMS: dict[str, Callable[[], list[bytes]]] = {
    "openai-chat": _chat,
    "openai-responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "ollama": _ollama,
    "bedrock-converse": _converse,
    "cohere": _cohere,
}


def _chunks(events: Sequence[bytes]) -> list[bytes]:
    return [b"".join(events[i : i + BATCH]) for i in range(0, len(events), BATCH)]


def _median_us(once: Callable[[], object]) -> float:
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        once()
        taken.append((time.perf_counter() - start) * 1e6 / EVENTS)
    return statistics.median(taken[1:])


def translated_us(provider: str, client: str) -> float:
    """Microseconds an event, parsed and rendered."""
    spoken, face = registry.chat_provider(provider), registry.face(client, OPERATIONS[client])
    assert spoken is not None
    assert face is not None
    chunks = _chunks(STREAMS[provider]())

    def once() -> None:
        parser = spoken.stream_parser(Hints(), STAMP)
        renderer = face.stream_renderer(ChatRequest("m", [], client), STAMP)
        for chunk in chunks:
            renderer.render(parser.feed(chunk))
        renderer.render(parser.close())
        renderer.close()

    return _median_us(once)


def relayed_us(dialect: str) -> float:
    """Microseconds an event that a tap reads along with."""
    spoken = registry.client(dialect)
    operation = spoken.OPERATIONS[OPERATIONS[dialect]]
    chunks = _chunks(STREAMS[dialect]())

    def once() -> None:
        tap = spoken.tap(operation)
        for chunk in chunks:
            tap.feed(chunk)
        tap.close()

    return _median_us(once)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.bench.translate")
    parser.add_argument("--gate", action="store_true", help="exit 1 where a pair costs over 8 us")
    gate = parser.parse_args().gate
    print(f"{'byte lane':36} us an event")
    for dialect in OPERATIONS:
        print(f"{dialect:36} {relayed_us(dialect):8.2f}")
    print(f"{'translate lane, provider -> client':36} us an event")
    worst = 0.0
    for provider, client in PAIRS:
        cost = translated_us(provider, client)
        worst = max(worst, cost)
        print(f"{f'{provider} -> {client}':36} {cost:8.2f}")
    print(f"{'PASS' if worst <= GATE_US else 'FAIL'}  at most {GATE_US} us an event: {worst:.2f}")
    return 1 if gate and worst > GATE_US else 0


if __name__ == "__main__":
    sys.exit(main())
