"""Streams, answers and requests of any size in every dialect: for showing that time grows as size
does.
"""

from __future__ import annotations

import json
from binascii import crc32
from collections.abc import Callable, Iterator
from struct import pack
from typing import Any

Stream = Callable[[int], bytes]


def sse(*events: Any, named: bool = False) -> bytes:
    lines = [
        (f"event: {event['type']}\n" if named else "") + f"data: {json.dumps(event)}\n\n"
        for event in events
    ]
    return "".join(lines).encode()


def frame(kind: str, payload: bytes, message: str = "event") -> bytes:
    """One message of an AWS event stream."""
    heads = {":event-type": kind, ":content-type": "application/json", ":message-type": message}
    head = b"".join(
        pack(">B", len(name)) + name.encode() + pack(">BH", 7, len(value)) + value.encode()
        for name, value in heads.items()
    )
    prelude = pack(">II", 16 + len(head) + len(payload), len(head))
    body = prelude + pack(">I", crc32(prelude)) + head + payload
    return body + pack(">I", crc32(body))


def frames(*events: tuple[str, Any]) -> bytes:
    return b"".join(frame(kind, json.dumps(value).encode()) for kind, value in events)


def _chat(delta: Any, **more: Any) -> Any:
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, **more}]}


def _openai_text(count: int) -> bytes:
    text = sse(_chat({"content": "a"}), _chat({"reasoning_content": "b"}))
    end = sse(_chat({}, finish_reason="stop")) + b"data: [DONE]\n\n"
    return text * (count // 2) + end


def _openai_blocks(count: int) -> bytes:
    calls = (
        _chat({"tool_calls": [{"index": i, "id": f"c{i}", "function": {"name": "f"}}]})
        for i in range(count)
    )
    more = (
        _chat({"tool_calls": [{"index": i, "function": {"arguments": "{}"}}]}) for i in range(count)
    )
    return sse(*calls, *more, _chat({}, finish_reason="tool_calls")) + b"data: [DONE]\n\n"


def _openai_logprobs(count: int) -> bytes:
    content = [{"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": []}]
    one = sse(_chat({"content": "a"}, logprobs={"content": content}))
    return one * count + sse(_chat({}, finish_reason="stop")) + b"data: [DONE]\n\n"


_MESSAGE = {
    "type": "message_start",
    "message": {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
}
_MESSAGE_END = (
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
)


def _block(index: int, block: Any, *deltas: Any) -> Iterator[Any]:
    yield {"type": "content_block_start", "index": index, "content_block": block}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _anthropic_text(count: int) -> bytes:
    deltas = [{"type": "text_delta", "text": "a"}] * count
    text = _block(0, {"type": "text", "text": ""}, *deltas)
    return sse(_MESSAGE, *text, *_MESSAGE_END, named=True)


def _anthropic_blocks(count: int) -> bytes:
    blocks = (
        event
        for i in range(count)
        for event in _block(
            i,
            {"type": "tool_use", "id": f"t{i}", "name": "f", "input": {}},
            {"type": "input_json_delta", "partial_json": "{}"},
        )
    )
    return sse(_MESSAGE, *blocks, *_MESSAGE_END, named=True)


def _anthropic_citations(count: int) -> bytes:
    cited = {"type": "char_location", "cited_text": "a", "document_index": 0}
    deltas = [{"type": "citations_delta", "citation": cited}] * count
    text = _block(0, {"type": "text", "text": ""}, *deltas)
    return sse(_MESSAGE, *text, *_MESSAGE_END, named=True)


def _response(**more: Any) -> Any:
    return {"id": "r", "object": "response", "model": "m", "output": [], **more}


def _responses_end() -> Any:
    return {"type": "response.completed", "response": _response(status="completed")}


def _responses_text(count: int) -> bytes:
    item = {"type": "message", "id": "i", "role": "assistant", "content": []}
    where = {"item_id": "i", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    delta = {"type": "response.output_text.delta", **where, "delta": "a"}
    return sse(
        {"type": "response.created", "response": _response(status="in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **where, "part": part},
        *[delta] * count,
        {"type": "response.output_text.done", **where, "text": "a" * count},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        _responses_end(),
        named=True,
    )


def _responses_blocks(count: int) -> bytes:
    events = []
    for i in range(count):
        item = {"type": "function_call", "id": f"i{i}", "call_id": f"c{i}", "name": "f"}
        whole = {**item, "arguments": "{}"}
        where = {"item_id": f"i{i}", "output_index": i}
        events += [
            {"type": "response.output_item.added", "output_index": i, "item": item},
            {"type": "response.function_call_arguments.delta", **where, "delta": "{}"},
            {"type": "response.function_call_arguments.done", **where, "arguments": "{}"},
            {"type": "response.output_item.done", "output_index": i, "item": whole},
        ]
    return sse(*events, _responses_end(), named=True)


def _candidate(*parts: Any, **more: Any) -> Any:
    return {"candidates": [{"content": {"parts": list(parts), "role": "model"}, **more}]}


def _gemini_text(count: int) -> bytes:
    text = sse(_candidate({"text": "a"}), _candidate({"text": "b", "thought": True}))
    return text * (count // 2) + sse(_candidate({"text": "c"}, finishReason="STOP"))


def _gemini_blocks(count: int) -> bytes:
    call = sse(_candidate({"functionCall": {"name": "f", "args": {"a": 1}}}))
    return call * count + sse(_candidate({"text": "c"}, finishReason="STOP"))


def _lines(*bodies: Any) -> bytes:
    return b"".join(json.dumps(body).encode() + b"\n" for body in bodies)


def _said(done: bool = False, **message: Any) -> Any:
    said = {"role": "assistant", "content": "", **message}
    return {"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": said, "done": done}


def _ollama_text(count: int) -> bytes:
    return _lines(*[_said(content="a"), _said(thinking="b")] * (count // 2), _said(True))


def _ollama_blocks(count: int) -> bytes:
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    return _lines(*[_said(tool_calls=[call])] * count, _said(True))


_CONVERSE_END = (
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}}),
)


def _converse_text(count: int) -> bytes:
    delta = ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "a"}})
    start = ("messageStart", {"role": "assistant"})
    return frames(start) + frames(delta) * count + frames(*_CONVERSE_END)


def _converse_blocks(count: int) -> bytes:
    events: list[tuple[str, Any]] = [("messageStart", {"role": "assistant"})]
    for i in range(count):
        use = {"toolUse": {"toolUseId": f"t{i}", "name": "f"}}
        events += [
            ("contentBlockStart", {"contentBlockIndex": i, "start": use}),
            ("contentBlockDelta", {"contentBlockIndex": i, "delta": {"toolUse": {"input": "{}"}}}),
            ("contentBlockStop", {"contentBlockIndex": i}),
        ]
    return frames(*events, *_CONVERSE_END)


def _cohere(kind: str, index: int | None = None, **message: Any) -> Any:
    event: dict[str, Any] = {"type": kind, "delta": {"message": message}}
    return event if index is None else {**event, "index": index}


_COHERE_END = {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}


def _cohere_text(count: int) -> bytes:
    start = _cohere("content-start", 0, content={"type": "text", "text": ""})
    delta = _cohere("content-delta", 0, content={"text": "a"})
    end = {"type": "content-end", "index": 0}
    return sse({"type": "message-start", "id": "m"}, start, *[delta] * count, end, _COHERE_END)


def _cohere_blocks(count: int) -> bytes:
    events: list[Any] = [{"type": "message-start", "id": "m"}]
    for i in range(count):
        call = {"id": f"c{i}", "type": "function", "function": {"name": "f", "arguments": ""}}
        events += [
            _cohere("tool-call-start", i, tool_calls=call),
            _cohere("tool-call-delta", i, tool_calls={"function": {"arguments": "{}"}}),
            {"type": "tool-call-end", "index": i},
        ]
    return sse(*events, _COHERE_END)


def _dashscope_text(count: int) -> bytes:
    def body(text: str, end: str = "null") -> Any:
        choice = {"message": {"role": "assistant", "content": text}, "finish_reason": end}
        return {"output": {"choices": [choice]}, "usage": {"input_tokens": 1, "output_tokens": 1}}

    return sse(body("a")) * count + sse(body("", "stop"))


def _dashscope_blocks(count: int) -> bytes:
    def body(calls: list[Any], end: str = "null") -> Any:
        message = {"role": "assistant", "content": "", "tool_calls": calls}
        return {"output": {"choices": [{"message": message, "finish_reason": end}]}}

    calls = (
        body([{"index": i, "id": f"c{i}", "function": {"name": "f", "arguments": "{}"}}])
        for i in range(count)
    )
    return sse(*calls, body([], "tool_calls"))


def _cloudflare_text(count: int) -> bytes:
    return sse({"response": "a"}) * count + b"data: [DONE]\n\n"


def _replicate_text(count: int) -> bytes:
    return b"event: output\nid: 1:0\ndata: a\n\n" * count + b"event: done\ndata: {}\n\n"


STREAMS: dict[tuple[str, str], Stream] = {
    ("openai-chat", "deltas"): _openai_text,
    ("openai-chat", "blocks"): _openai_blocks,
    ("openai-chat", "logprobs"): _openai_logprobs,
    ("openai-responses", "deltas"): _responses_text,
    ("openai-responses", "blocks"): _responses_blocks,
    ("anthropic", "deltas"): _anthropic_text,
    ("anthropic", "blocks"): _anthropic_blocks,
    ("anthropic", "citations"): _anthropic_citations,
    ("gemini", "deltas"): _gemini_text,
    ("gemini", "blocks"): _gemini_blocks,
    ("ollama", "deltas"): _ollama_text,
    ("ollama", "blocks"): _ollama_blocks,
    ("bedrock-converse", "deltas"): _converse_text,
    ("bedrock-converse", "blocks"): _converse_blocks,
    ("cohere", "deltas"): _cohere_text,
    ("cohere", "blocks"): _cohere_blocks,
    ("dashscope", "deltas"): _dashscope_text,
    ("dashscope", "blocks"): _dashscope_blocks,
    ("cloudflare", "deltas"): _cloudflare_text,
    ("replicate", "deltas"): _replicate_text,
}
"""Streams of so many events or blocks, by their dialect and what they are full of."""


def long_line(dialect: str, size: int) -> bytes:
    """The beginning of a stream whose first event never ends within `size` bytes."""
    start = {
        "ollama": b'{"message":{"content":"',
        "bedrock-converse": frame("contentBlockDelta", b" " * size)[: size // 2],
    }.get(dialect, b'data: {"a":"')
    return start + b"x" * (size - len(start))


_CALL = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
_SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


def _turns(count: int) -> Any:
    one = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    return {"messages": one * (count // 2)}


def _parts(count: int) -> Any:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * count}]}


def _parallel(count: int) -> Any:
    calls = [{"id": f"c{i}", **_CALL} for i in range(count)]
    results = [{"role": "tool", "tool_call_id": f"c{i}", "content": "a"} for i in range(count)]
    asked = {"role": "user", "content": "a"}
    return {"messages": [asked, {"role": "assistant", "tool_calls": calls}, *results]}


def _unanswered(count: int) -> Any:
    """Calls and results that no id joins."""
    calls = [{"id": f"c{i}", **_CALL} for i in range(count)]
    results = [{"role": "tool", "tool_call_id": f"d{i}", "content": "a"} for i in range(count)]
    asked = {"role": "user", "content": "a"}
    return {"messages": [asked, {"role": "assistant", "tool_calls": calls}, *results]}


def _systems(count: int) -> Any:
    one = [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]
    return {"messages": one * (count // 2)}


def _tools(count: int) -> Any:
    tools = [
        {"type": "function", "function": {"name": f"f{i}", "parameters": _SCHEMA}}
        for i in range(count)
    ]
    return {"messages": [{"role": "user", "content": "a"}], "tools": tools}


def _schema(count: int) -> Any:
    properties = {f"p{i}": {"type": ["string", "null"], "title": "t"} for i in range(count)}
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    return {"messages": [{"role": "user", "content": "a"}], "tools": [tool]}


def _stops(count: int) -> Any:
    return {
        "messages": [{"role": "user", "content": "a"}],
        "stop": [f"s{i}" for i in range(count)],
    }


REQUESTS: dict[str, Callable[[int], Any]] = {
    "turns": _turns,
    "parts": _parts,
    "parallel calls": _parallel,
    "results without calls": _unanswered,
    "systems": _systems,
    "tools": _tools,
    "properties": _schema,
    "stops": _stops,
}
"""Requests of OpenAI's chat with so many of something."""
