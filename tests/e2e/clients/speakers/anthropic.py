"""Anthropic's Messages, as strict as the vendor's own API.

https://platform.claude.com/docs/en/api/messages (read 2026-11-24).
"""

from __future__ import annotations

import json
import re
from typing import Final

from tests.e2e.clients.speakers.base import (
    CACHED,
    FRESH,
    JSON,
    MADE,
    SIGNATURE,
    THOUGHT,
    Asked,
    Said,
    Wrong,
    body_of,
    closed,
    failure,
    medium,
    need,
    pieces,
    said,
    streamed,
    whole,
)
from tests.e2e.upstream import Received, Reply

MEMBERS: Final = (
    "model max_tokens messages system stream stop_sequences temperature top_k top_p tools "
    "tool_choice thinking output_config metadata service_tier cache_control container "
    "inference_geo context_management"
).split()
NAME: Final = re.compile(r"^[a-zA-Z0-9_-]{1,128}$")
BLOCKS: Final = {
    "text": ("type", "text", "cache_control", "citations"),
    "image": ("type", "source", "cache_control"),
    "document": ("type", "source", "title", "context", "citations", "cache_control"),
    "thinking": ("type", "thinking", "signature"),
    "redacted_thinking": ("type", "data"),
    "tool_use": ("type", "id", "name", "input", "cache_control"),
    "tool_result": ("type", "tool_use_id", "content", "is_error", "cache_control"),
}


def speak(request: Received) -> Reply:
    try:
        need(request.header("x-api-key") == "up-key", "x-api-key")
        need(request.header("anthropic-version") == "2023-06-01", "anthropic-version")
        need(request.header("authorization") is None, "authorization beside x-api-key")
        body = body_of(request)
        counts = request.path.endswith("/messages/count_tokens")
        need(counts or request.path.endswith("/messages"), f"path {request.path}")
        asked = _asked(body, counts=counts)
    except Wrong as wrong:
        return refusal(400, "invalid_request_error", str(wrong))
    if counts:
        return whole({"input_tokens": 77})
    if failure(asked.question):
        return _refused(failure(asked.question))
    answer = said(asked, prefix="toolu_01")
    return _streamed(asked, answer) if asked.stream else whole(_whole(asked, answer))


def refusal(status: int, kind: str, words: str, after: str = "") -> Reply:
    headers = [("retry-after", after)] if after else []
    error = {"type": kind, "message": words}
    return whole({"type": "error", "error": error, "request_id": "req_1"}, status, headers)


def _refused(name: str) -> Reply:
    match name:
        case "limited":
            return refusal(429, "rate_limit_error", "Number of requests has exceeded", "7")
        case "account":
            return refusal(401, "authentication_error", "invalid x-api-key")
        case "too_long":
            words = "prompt is too long: 208310 tokens > 200000 maximum"
            return refusal(400, "invalid_request_error", words)
        case "unknown":
            return refusal(404, "not_found_error", "model: claude-none")
    return refusal(529, "overloaded_error", "Overloaded")


def _asked(body: dict[str, JSON], *, counts: bool) -> Asked:
    closed(body, MEMBERS, "body")
    asked = Asked(body["model"], body.get("stream") is True)
    if not counts:
        limit = body.get("max_tokens")
        need(isinstance(limit, int) and limit > 0, "max_tokens: Field required")
        asked.limit = limit
    asked.stops = body.get("stop_sequences") or []
    need(all(stop.strip() for stop in asked.stops), "stop_sequences: whitespace")
    asked.system = _texts(body.get("system") or "", "system")
    _thinking(asked, body)
    for i, tool in enumerate(body.get("tools") or ()):
        need(tool.get("type", "custom") == "custom", f"tools.{i}.type")
        need(NAME.match(tool["name"]), f"tools.{i}.name")
        need(tool["input_schema"]["type"] == "object", f"tools.{i}.input_schema")
        asked.tools[tool["name"]] = tool["input_schema"]
    need("tool_choice" not in body or asked.tools, "tool_choice without tools")
    form = (body.get("output_config") or {}).get("format")
    if form is not None:
        need(form["type"] == "json_schema", "output_config.format.type")
        need(form["schema"].get("additionalProperties") is False, "schema: additionalProperties")
        asked.schema = form["schema"]
    _messages(asked, body["messages"])
    return asked


def _thinking(asked: Asked, body: dict[str, JSON]) -> None:
    thinking = body.get("thinking") or {"type": "disabled"}
    asked.thinks = thinking["type"] != "disabled"
    if thinking["type"] == "enabled":
        need(1024 <= thinking["budget_tokens"] < body["max_tokens"], "thinking.budget_tokens")
    if asked.thinks:
        need(body.get("temperature", 1) == 1, "temperature may only be 1 when thinking")
        need("top_k" not in body, "top_k when thinking")
        choice = (body.get("tool_choice") or {}).get("type", "auto")
        need(choice in ("auto", "none"), "tool_choice when thinking")
    need(0 <= body.get("temperature", 1) <= 1, "temperature: range 0..1")


def _messages(asked: Asked, messages: list[JSON]) -> None:
    need(messages and messages[0]["role"] == "user", "messages: first must be the user's")
    open_calls: dict[str, str] = {}
    for i, message in enumerate(messages):
        where = f"messages.{i}"
        closed(message, ("role", "content"), where)
        need(message["role"] in ("user", "assistant"), f"{where}.role: `{message['role']}`")
        blocks = message["content"]
        if isinstance(blocks, str):
            blocks = [{"type": "text", "text": blocks}]
        need(blocks, f"{where}.content: empty")
        for block in blocks:
            need(block.get("type") in BLOCKS, f"{where}: `{block.get('type')}`")
            closed(block, BLOCKS[block["type"]], where)
        if message["role"] == "user":
            _user(asked, blocks, open_calls, where)
            open_calls = {}
        else:
            need(not open_calls, f"{where}: tool_use without tool_result")
            open_calls = _assistant(asked, blocks, where)
    need(not open_calls, "messages: tool_use without tool_result")


def _user(asked: Asked, blocks: list[JSON], open_calls: dict[str, str], where: str) -> None:
    results = [block for block in blocks if block["type"] == "tool_result"]
    need(blocks[: len(results)] == results, f"{where}: tool_result blocks come first")
    ids = [block["tool_use_id"] for block in results]
    need(sorted(ids) == sorted(open_calls), f"{where}: {ids} are no results of {open_calls}")
    asked.results = [
        (open_calls[block["tool_use_id"]], _texts(block.get("content") or "", where))
        for block in results
    ]
    asked.media = [_medium(b, where) for b in blocks if b["type"] in ("image", "document")]
    asked.question = _texts([b for b in blocks if b["type"] == "text"], where, empty=True)


def _medium(block: JSON, where: str) -> str:
    source = block["source"]
    need(source["type"] == "base64", f"{where}.source.type")
    return medium(source["media_type"], source["data"], where)


def _assistant(asked: Asked, blocks: list[JSON], where: str) -> dict[str, str]:
    calls = {b["id"]: b["name"] for b in blocks if b["type"] == "tool_use"}
    need(all(NAME.match(name) for name in calls), f"{where}: tool_use.id")
    inputs = [b["input"] for b in blocks if b["type"] == "tool_use"]
    need(all(isinstance(value, dict) for value in inputs), f"{where}: tool_use.input")
    thoughts = [b for b in blocks if b["type"] == "thinking"]
    for block in thoughts:
        need(block["signature"] == SIGNATURE, f"{where}: Invalid `signature` in `thinking` block")
        need(block["thinking"] == THOUGHT, f"{where}: `thinking` blocks cannot be modified")
    for block in (b for b in blocks if b["type"] == "redacted_thinking"):
        need(block["data"] == SIGNATURE, f"{where}: Invalid `data` in `redacted_thinking` block")
    if asked.thinks and calls:
        need(blocks[0]["type"].endswith("thinking"), f"{where}: must start with a thinking block")
    return calls


def _texts(content: JSON, where: str, *, empty: bool = False) -> str:
    if isinstance(content, str):
        return content
    found = [block["text"] for block in content if block["type"] == "text"]
    need(all(found), f"{where}: text content blocks must be non-empty")
    need(empty or content == "" or found, f"{where}: no text")
    return "".join(found)


STOPS: Final = {
    "stop": "end_turn",
    "sequence": "stop_sequence",
    "length": "max_tokens",
    "tools": "tool_use",
}


def _usage(answer: Said) -> dict[str, JSON]:
    return {
        "input_tokens": FRESH,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": CACHED,
        "output_tokens": MADE + answer.thought_of,
        "output_tokens_details": {"thinking_tokens": answer.thought_of},
        "service_tier": "standard",
    }


def _blocks(answer: Said) -> list[JSON]:
    found: list[JSON] = []
    if answer.hidden:
        found.append({"type": "redacted_thinking", "data": SIGNATURE})
    elif answer.thought:
        thought = {"type": "thinking", "thinking": answer.thought, "signature": SIGNATURE}
        found.append(thought)
    if answer.text:
        found.append({"type": "text", "text": answer.text})
    for call in answer.calls:
        value = json.loads(call.arguments)
        found.append({"type": "tool_use", "id": call.id, "name": call.name, "input": value})
    return found


def _head(asked: Asked) -> dict[str, JSON]:
    return {"id": "msg_01A", "type": "message", "role": "assistant", "model": asked.model}


def _whole(asked: Asked, answer: Said) -> JSON:
    return {
        **_head(asked),
        "content": _blocks(answer),
        "stop_reason": STOPS[answer.stop],
        "stop_sequence": asked.stops[0] if answer.stop == "sequence" else None,
        "usage": _usage(answer),
    }


def _streamed(asked: Asked, answer: Said) -> Reply:
    usage = {**_usage(answer), "output_tokens": 1}
    message = {
        **_head(asked),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    out = [_event("message_start", message=message), _event("ping")]
    for i, block in enumerate(_blocks(answer)):
        out += _block(i, block, answer)
        if answer.cut or answer.fails:
            break
    if answer.cut:
        return streamed(b"".join(out[:-1]), cut=True)
    if answer.fails:
        error = {"type": "overloaded_error", "message": "Overloaded"}
        return streamed(b"".join(out[:-1]) + _event("error", error=error))
    delta = {
        k: v for k, v in _whole(asked, answer).items() if k in ("stop_reason", "stop_sequence")
    }
    out.append(_event("message_delta", delta=delta, usage=_usage(answer)))
    return streamed(b"".join(out) + _event("message_stop"))


def _block(index: int, block: JSON, answer: Said) -> list[bytes]:
    begun: JSON
    deltas: list[JSON]
    match block["type"]:
        case "redacted_thinking":
            begun, deltas = block, []
        case "thinking":
            begun = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": p} for p in pieces(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        case "text":
            begun = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": p} for p in pieces(block["text"])]
        case _:
            begun = {**block, "input": {}}
            call = next(call for call in answer.calls if call.id == block["id"])
            deltas = [
                {"type": "input_json_delta", "partial_json": p}
                for p in ("", *pieces(call.arguments))
            ]
    return [
        _event("content_block_start", index=index, content_block=begun),
        *(_event("content_block_delta", index=index, delta=delta) for delta in deltas),
        _event("content_block_stop", index=index),
    ]


def _event(kind: str, **members: JSON) -> bytes:
    value = json.dumps({"type": kind, **members}, ensure_ascii=False)
    return f"event: {kind}\ndata: {value}\n\n".encode()
