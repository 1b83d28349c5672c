"""Cohere's chat, version 2.

https://docs.cohere.com/reference/chat (read 2026-11-24).
"""

from __future__ import annotations

import json
from typing import Final

from tests.e2e.clients.speakers.base import (
    CACHED,
    FRESH,
    JSON,
    MADE,
    VECTOR,
    Asked,
    Said,
    Wrong,
    body_of,
    closed,
    data_url,
    failure,
    need,
    pieces,
    said,
    streamed,
    whole,
)
from tests.e2e.upstream import Received, Reply

MEMBERS: Final = (
    "model messages tools tool_choice documents citation_options response_format safety_mode "
    "max_tokens stop_sequences temperature seed frequency_penalty presence_penalty k p logprobs "
    "thinking strict_tools stream priority"
).split()


def speak(request: Received) -> Reply:
    try:
        need(request.header("authorization") == "Bearer up-key", "authorization")
        if request.path.endswith("/v2/embed"):
            return _embeddings(body_of(request))
        need(request.path.endswith("/v2/chat"), f"path {request.path}")
        asked = _asked(body_of(request))
    except Wrong as wrong:
        return refusal(400, str(wrong))
    if failure(asked.question):
        return _refused(failure(asked.question))
    answer = said(asked)
    return _streamed(asked, answer) if asked.stream else whole(_whole(asked, answer))


def refusal(status: int, words: str) -> Reply:
    return whole({"id": "err-1", "message": words}, status)


def _refused(name: str) -> Reply:
    match name:
        case "limited":
            return whole({"id": "err-1", "message": "rate limited"}, 429, [("retry-after", "7")])
        case "account":
            return refusal(401, "invalid api token")
        case "too_long":
            return refusal(400, "too many tokens: the total must be at most 288000")
        case "unknown":
            return refusal(404, "model 'none' not found, make sure the correct model ID was used")
    return refusal(503, "The service is overloaded")


def _asked(body: dict[str, JSON]) -> Asked:
    closed(body, MEMBERS, "body")
    asked = Asked(body["model"], body.get("stream") is True)
    asked.limit, asked.stops = body.get("max_tokens"), body.get("stop_sequences") or []
    asked.thinks = (body.get("thinking") or {}).get("type") == "enabled"
    form = body.get("response_format") or {}
    asked.schema = form.get("json_schema")
    for tool in body.get("tools") or ():
        need(tool["type"] == "function", "tools.type")
        asked.tools[tool["function"]["name"]] = tool["function"]["parameters"]
    need(asked.schema is None or not asked.tools, "response_format with tools")
    calls: dict[str, str] = {}
    for i, message in enumerate(body["messages"]):
        calls = _message(asked, message, calls, f"messages[{i}]")
    need(not calls, "messages: tool calls without their results")
    return asked


def _message(asked: Asked, message: JSON, calls: dict[str, str], where: str) -> dict[str, str]:
    """The calls that still wait for their results."""
    role = message["role"]
    if role != "tool":
        need(not calls, f"{where}: tool calls without their results")
    match role:
        case "system":
            asked.system += _text(message["content"])
        case "user":
            asked.question, asked.results = _text(message["content"]), []
            parts = message["content"] if isinstance(message["content"], list) else []
            images = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
            asked.media = [data_url(url, where) for url in images]
        case "assistant":
            allowed = ("role", "content", "tool_calls", "tool_plan", "citations")
            closed(message, allowed, where)
            found = message.get("tool_calls") or []
            need(message.get("content") or found, f"{where}: content or tool_calls")
            return {call["id"]: call["function"]["name"] for call in found}
        case "tool":
            closed(message, ("role", "tool_call_id", "content"), where)
            need(message["tool_call_id"] in calls, f"{where}.tool_call_id")
            name = calls.pop(message["tool_call_id"])
            asked.results.append((name, _text(message["content"])))
        case _:
            raise Wrong(f"{where}.role: `{role}`")
    return calls


def _text(content: JSON) -> str:
    if isinstance(content, str):
        return content
    found = []
    for part in content:
        if part["type"] == "document":
            found.append(_document(part["document"]["data"]))
        elif part["type"] == "text":
            found.append(part["text"])
    return "".join(found)


def _document(data: JSON) -> str:
    return data if isinstance(data, str) else "".join(map(str, data.values()))


FINISH: Final = {
    "stop": "COMPLETE",
    "sequence": "STOP_SEQUENCE",
    "length": "MAX_TOKENS",
    "tools": "TOOL_CALL",
}


def _usage(answer: Said) -> JSON:
    """What is billed, and beside it what the vendor's templates and its cache make of it."""
    made = MADE + answer.thought_of
    tokens = {"input_tokens": FRESH + CACHED + 500, "output_tokens": made + 2}
    if answer.thought:
        tokens["reasoning_tokens"] = answer.thought_of
    billed = {"input_tokens": FRESH + CACHED, "output_tokens": made}
    return {"billed_units": billed, "tokens": tokens, "cached_tokens": CACHED}


def _calls(answer: Said) -> list[JSON]:
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in answer.calls
    ]


def _whole(asked: Asked, answer: Said) -> JSON:
    message: dict[str, JSON] = {"role": "assistant"}
    content: list[JSON] = []
    if answer.thought:
        content.append({"type": "thinking", "thinking": answer.thought})
    if answer.text:
        content.append({"type": "text", "text": answer.text})
    message |= {"content": content} if content else {}
    message |= {"tool_calls": _calls(answer)} if answer.calls else {}
    finish = FINISH[answer.stop]
    return {"id": "co-1", "message": message, "finish_reason": finish, "usage": _usage(answer)}


def _event(kind: str, **members: JSON) -> bytes:
    value = json.dumps({"type": kind, **members}, ensure_ascii=False)
    return f"event: {kind}\ndata: {value}\n\n".encode()


def _delta(value: JSON) -> JSON:
    return {"message": value}


def _streamed(asked: Asked, answer: Said) -> Reply:
    start = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}
    out = [_event("message-start", id="co-1", delta=_delta(start))]
    index = 0
    for kind, text in (("thinking", answer.thought), ("text", answer.text)):
        if text:
            out += _content(index, kind, text)
            index += 1
    if answer.cut:
        return streamed(b"".join(out[:-1]), cut=True)
    for i, call in enumerate(_calls(answer)):
        begun = {**call, "function": {**call["function"], "arguments": ""}}
        out.append(_event("tool-call-start", index=i, delta=_delta({"tool_calls": begun})))
        for piece in pieces(call["function"]["arguments"]):
            value = {"tool_calls": {"function": {"arguments": piece}}}
            out.append(_event("tool-call-delta", index=i, delta=_delta(value)))
        out.append(_event("tool-call-end", index=i))
    delta: dict[str, JSON] = {"finish_reason": FINISH[answer.stop], "usage": _usage(answer)}
    if answer.fails:
        delta |= {"finish_reason": "ERROR", "error": "the model failed"}
    out.append(_event("message-end", id="co-1", delta=delta))
    return streamed(b"".join(out))


def _content(index: int, kind: str, text: str) -> list[bytes]:
    begun = {"type": kind, kind: ""}
    out = [_event("content-start", index=index, delta=_delta({"content": begun}))]
    for piece in pieces(text):
        delta = _delta({"content": {kind: piece}})
        out.append(_event("content-delta", index=index, delta=delta))
    return [*out, _event("content-end", index=index)]


def _embeddings(body: dict[str, JSON]) -> Reply:
    allowed = ("model", "texts", "input_type", "embedding_types", "output_dimension", "truncate")
    closed(body, allowed, "body")
    need(body["input_type"].startswith("search_") or body["input_type"] == "clustering", "type")
    need(body["embedding_types"] == ["float"], "embedding_types")
    vectors = {"float": [VECTOR for _ in body["texts"]]}
    meta = {"billed_units": {"input_tokens": 4}}
    return whole({"id": "emb-1", "texts": body["texts"], "embeddings": vectors, "meta": meta})
