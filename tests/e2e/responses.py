"""A gateway before every kind of provider that the Responses API meets, for its tests."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.harness import (
    KEY,
    Answer,
    Received,
    Reply,
    Running,
    Upstream,
    people,
    sse_reply,
)

JSON = Any
OTHER = "sk-" + "othe" * 12
KEEPER = "sk-" + "keep" * 12
PATH = "/v1/responses"


def configuration(url: str) -> str:
    channel = '[channels.{}]\ntype = "{}"\nbase_url = "{}{}"\nkeys = {}\nmodels = {}\n'
    rows = [
        ("chat", "openai-compatible", url, "/chat/v1", '["up"]', '["chat-*"]'),
        ("claude", "anthropic", url, "/claude/v1", '["up"]', '["claude-*"]'),
        ("native", "openai", url, "/native/v1", '["one", "two"]', '["gpt-5-codex", "shared"]'),
        ("second", "openai", url, "/second/v1", '["up"]', '["shared"]'),
    ]
    found = "".join(channel.format(*row) + "discover = false\n" for row in rows)
    aliases = (
        '[models.alias]\nroutes = [{ channel = "native", model = "gpt-5-codex" }]\n'
        "[models.mixed]\nroutes = [\n"
        '  { channel = "native", model = "gpt-5-codex", priority = -1 },\n'
        '  { channel = "chat", model = "chat-m" },\n]\n'
    )
    keeper = 'store_responses = true\nstore_responses_ttl = "1h"'
    return (
        found
        + aliases
        + people()
        + people(name="other", key=OTHER)
        + people(name="keeper", key=KEEPER, policy=keeper)
    )


def play(upstream: Upstream, *replies: Reply) -> None:
    """Answer the next requests so, the last reply for ever."""
    waiting = list(replies)
    upstream.received.clear()
    upstream.script = lambda _: waiting.pop(0) if len(waiting) > 1 else waiting[0]


def asked(upstream: Upstream) -> Received:
    return upstream.received[-1]


def response(name: str = "resp_up_1", text: str = "2", **members: JSON) -> JSON:
    """A whole answer of a provider that speaks the dialect."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    item = {"id": f"msg_{name}", "type": "message", "status": "completed", "role": "assistant"}
    return {
        "id": name,
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "gpt-5-codex",
        "output": [{**item, "content": content}],
        "store": True,
        "usage": {"input_tokens": 9, "output_tokens": 1, "total_tokens": 10},
        **members,
    }


def terminal(answer: JSON) -> bytes:
    event = {"type": "response.completed", "sequence_number": 2, "response": answer}
    return b"event: response.completed\ndata: " + json.dumps(event).encode() + b"\n\n"


def sse_chat(*deltas: JSON, finish: str) -> Reply:
    def chunk(delta: JSON, reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        value = {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
        return b"data: " + json.dumps(value).encode() + b"\n\n"

    usage = {"prompt_tokens": 50, "completion_tokens": 9, "total_tokens": 59}
    last = json.dumps({"id": "c", "model": "m", "choices": [], "usage": usage}).encode()
    chunks = [*map(chunk, deltas), chunk({}, finish)]
    return sse_reply(*chunks, b"data: " + last + b"\n\n", b"data: [DONE]\n\n")


def call_of(index: int, name: str, call_id: str, arguments: str) -> JSON:
    function = {"name": name, "arguments": arguments}
    call = {"index": index, "id": call_id, "type": "function", "function": function}
    return {"tool_calls": [call]}


def sse_claude(*blocks: tuple[JSON, list[JSON]], stop: str) -> Reply:
    def event(value: JSON) -> bytes:
        return f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode()

    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x"}
    usage = {"input_tokens": 40, "output_tokens": 1}
    begin: JSON = {
        **start,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    out = [event({"type": "message_start", "message": begin})]
    for index, (block, deltas) in enumerate(blocks):
        out.append(event({"type": "content_block_start", "index": index, "content_block": block}))
        for delta in deltas:
            out.append(event({"type": "content_block_delta", "index": index, "delta": delta}))
        out.append(event({"type": "content_block_stop", "index": index}))
    delta = {"stop_reason": stop, "stop_sequence": None}
    out.append(event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 30}}))
    return sse_reply(*out, event({"type": "message_stop"}))


def ask(running: Running, body: JSON, path: str = PATH, key: str = KEY) -> Answer:
    return running.post(path, body, key=key)


def create(running: Running, key: str = KEY, **members: JSON) -> JSON:
    """A whole answer's response object."""
    answer = ask(running, {"model": "chat-m", "input": "1+1?", **members}, key=key)
    assert answer.status == 200, answer.body
    return answer.json()
