"""OpenAI's Chat Completions, as strict as the vendor's own API.

https://platform.openai.com/docs/api-reference/chat (read 2026-11-24).
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
    Call,
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
    "model messages stream stream_options max_tokens max_completion_tokens tools tool_choice "
    "parallel_tool_calls response_format stop temperature top_p n seed user metadata store "
    "reasoning_effort presence_penalty frequency_penalty logprobs top_logprobs logit_bias "
    "service_tier prompt_cache_key verbosity modalities safety_identifier"
).split()


def speak(request: Received) -> Reply:
    try:
        need(request.header("authorization") == "Bearer up-key", "authorization")
        body = body_of(request)
        if request.path.endswith("/embeddings"):
            return _embeddings(body)
        need(request.path.endswith("/chat/completions"), f"path {request.path}")
        asked = _asked(body)
    except Wrong as wrong:
        return refusal(400, str(wrong), kind="invalid_request_error")
    if failure(asked.question):
        return refused(failure(asked.question))
    answer = said(asked)
    if not asked.stream:
        return whole(_whole(asked, answer))
    return _streamed(
        asked, answer, usage=bool((body.get("stream_options") or {}).get("include_usage"))
    )


def refusal(
    status: int, words: str, *, code: str | None = None, kind: str = "api_error", after: str = ""
) -> Reply:
    headers = [("retry-after", after)] if after else []
    value = {"message": words, "type": kind, "param": None, "code": code}
    return whole({"error": value}, status, headers)


def refused(name: str) -> Reply:
    match name:
        case "limited":
            return refusal(
                429, "Rate limit reached", code="rate_limit_exceeded", kind="tokens", after="7"
            )
        case "account":
            return refusal(401, "Incorrect API key provided: up-key", code="invalid_api_key")
        case "too_long":
            words = "This model's maximum context length is 8192 tokens."
            return refusal(400, words, code="context_length_exceeded", kind="invalid_request_error")
        case "unknown":
            return refusal(404, "The model does not exist", code="model_not_found")
    return refusal(503, "The engine is currently overloaded", kind="server_error")


def _asked(body: dict[str, JSON]) -> Asked:
    closed(body, MEMBERS, "body")
    need(isinstance(body.get("messages"), list) and body["messages"], "messages")
    need("max_tokens" not in body, "max_tokens: use max_completion_tokens")
    asked = Asked(body["model"], body.get("stream") is True)
    need("stream_options" not in body or asked.stream, "stream_options without stream")
    asked.limit = body.get("max_completion_tokens")
    stop = body.get("stop") or []
    asked.stops = [stop] if isinstance(stop, str) else stop
    asked.thinks = body.get("reasoning_effort", "none") != "none"
    for i, tool in enumerate(body.get("tools") or ()):
        _tool(asked, tool, f"tools[{i}]")
    need("tool_choice" not in body or asked.tools, "tool_choice without tools")
    form = body.get("response_format") or {}
    if form.get("type") == "json_schema":
        need(form["json_schema"].get("name"), "response_format.json_schema.name")
        asked.schema = form["json_schema"]["schema"]
    _messages(asked, body["messages"])
    return asked


def _tool(asked: Asked, tool: JSON, where: str) -> None:
    need(tool.get("type") == "function", f"{where}.type")
    closed(tool, ("type", "function"), where)
    function = tool["function"]
    closed(function, ("name", "description", "parameters", "strict"), where)
    need(function["parameters"]["type"] == "object", f"{where}.function.parameters")
    asked.tools[function["name"]] = function["parameters"]


def _messages(asked: Asked, messages: list[JSON]) -> None:
    open_calls: dict[str, str] = {}
    for i, message in enumerate(messages):
        where = f"messages[{i}]"
        role = message.get("role")
        if role != "tool":
            need(not open_calls, f"{where}: tool_calls must be followed by tool messages")
            asked.results = []
        match role:
            case "system" | "developer":
                closed(message, ("role", "content", "name"), where)
                asked.system += _text(message["content"], where)
            case "user":
                closed(message, ("role", "content", "name"), where)
                asked.media = _media(message["content"], where)
                asked.question = _text(message["content"], where)
            case "assistant":
                allowed = ("role", "content", "name", "tool_calls", "refusal", "audio")
                closed(message, allowed, where)
                need(message.get("content") or message.get("tool_calls"), f"{where}.content")
                open_calls = _calls(message.get("tool_calls") or [], where)
            case "tool":
                closed(message, ("role", "content", "tool_call_id"), where)
                name = open_calls.pop(message.get("tool_call_id"), None)
                need(name, f"{where}.tool_call_id: no such call")
                asked.results.append((str(name), _text(message["content"], where)))
            case _:
                raise Wrong(f"{where}.role: `{role}`")
    need(not open_calls, "messages: tool_calls without their results")


def _calls(calls: list[JSON], where: str) -> dict[str, str]:
    for call in calls:
        closed(call, ("id", "type", "function"), where)
        need(call["type"] == "function", f"{where}.tool_calls.type")
        need(isinstance(json.loads(call["function"]["arguments"]), dict), f"{where}.arguments")
    return {call["id"]: call["function"]["name"] for call in calls}


def _text(content: JSON, where: str) -> str:
    if isinstance(content, str):
        return content
    need(isinstance(content, list), f"{where}.content")
    return "".join(part["text"] for part in content if part["type"] == "text")


def _media(content: JSON, where: str) -> list[str]:
    found = []
    for part in content if isinstance(content, list) else ():
        match part["type"]:
            case "text":
                closed(part, ("type", "text"), where)
            case "image_url":
                found.append(data_url(part["image_url"]["url"], where))
            case "file":
                need(part["file"].get("filename"), f"{where}.file.filename")
                found.append(data_url(part["file"]["file_data"], where))
            case _:
                raise Wrong(f"{where}.content: `{part['type']}`")
    return found


def _usage(answer: Said) -> JSON:
    made = MADE + answer.thought_of
    return {
        "prompt_tokens": FRESH + CACHED,
        "completion_tokens": made,
        "total_tokens": FRESH + CACHED + made,
        "prompt_tokens_details": {"cached_tokens": CACHED, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": answer.thought_of},
    }


FINISH: Final = {"stop": "stop", "sequence": "stop", "length": "length", "tools": "tool_calls"}


def _head(asked: Asked, kind: str) -> dict[str, JSON]:
    return {"id": "chatcmpl-A1", "object": kind, "created": 1_764_000_000, "model": asked.model}


def _whole(asked: Asked, answer: Said) -> JSON:
    message: dict[str, JSON] = {"role": "assistant", "content": answer.text or None}
    message |= {"refusal": None, "annotations": []}
    if answer.calls:
        message["tool_calls"] = [_call(call) for call in answer.calls]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": FINISH[answer.stop],
    }
    return {**_head(asked, "chat.completion"), "choices": [choice], "usage": _usage(answer)}


def _call(call: Call) -> JSON:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _streamed(asked: Asked, answer: Said, *, usage: bool) -> Reply:
    head = _head(asked, "chat.completion.chunk")
    deltas: list[JSON] = [{"role": "assistant", "content": "" if answer.text else None}]
    deltas += [{"content": piece} for piece in answer.pieces]
    for i, call in enumerate(answer.calls):
        begun = _call(Call(call.id, call.name, ""))
        deltas.append({"tool_calls": [{"index": i, **begun}]})
        for piece in pieces(call.arguments):
            deltas.append({"tool_calls": [{"index": i, "function": {"arguments": piece}}]})
    chunks = [_chunk(head, delta, None, usage=usage) for delta in deltas]
    if answer.cut:
        return streamed(b"".join(chunks), cut=True)
    if answer.fails:
        error = {"message": "The server had an error", "type": "server_error", "code": None}
        return streamed(b"".join(chunks) + _event({"error": error}))
    chunks.append(_chunk(head, {}, FINISH[answer.stop], usage=usage))
    if usage:
        chunks.append(_event({**head, "choices": [], "usage": _usage(answer)}))
    return streamed(b"".join(chunks) + b"data: [DONE]\n\n")


def _chunk(head: JSON, delta: JSON, finish: str | None, *, usage: bool) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    value = {**head, "choices": [choice]}
    return _event({**value, "usage": None} if usage else value)


def _event(value: JSON) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def _embeddings(body: dict[str, JSON]) -> Reply:
    allowed = ("model", "input", "encoding_format", "dimensions", "user")
    closed(body, allowed, "body")
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    need(texts, "input")
    need(body.get("encoding_format", "float") == "float", "encoding_format: only floats here")
    entry = {"object": "embedding", "embedding": list(VECTOR)}
    data = [{**entry, "index": i} for i in range(len(texts))]
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    return whole({"object": "list", "data": data, "model": body["model"], "usage": usage})
