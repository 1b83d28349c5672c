"""OpenAI's Responses, as strict as the vendor's own API.

https://platform.openai.com/docs/api-reference/responses (read 2026-11-24).
"""

from __future__ import annotations

import json
from typing import Final

from tests.e2e.clients.speakers.base import (
    CACHED,
    FRESH,
    JSON,
    MADE,
    SIGNATURE,
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
from tests.e2e.clients.speakers.chat import refusal, refused
from tests.e2e.upstream import Received, Reply

MEMBERS: Final = (
    "model input instructions max_output_tokens max_tool_calls previous_response_id store include "
    "reasoning text tools tool_choice parallel_tool_calls temperature top_p top_logprobs "
    "truncation metadata stream stream_options prompt_cache_key prompt_cache_retention "
    "service_tier user safety_identifier background"
).split()


def speak(request: Received) -> Reply:
    try:
        need(request.header("authorization") == "Bearer up-key", "authorization")
        need(request.path.endswith("/responses"), f"path {request.path}")
        body = body_of(request)
        asked = _asked(body)
    except Wrong as wrong:
        return refusal(400, str(wrong), kind="invalid_request_error")
    if failure(asked.question):
        return refused(failure(asked.question))
    answer = said(asked)
    sealed = "reasoning.encrypted_content" in (body.get("include") or ())
    if asked.stream:
        return _streamed(body, answer, sealed=sealed)
    return whole(_response(body, answer, sealed=sealed))


def _asked(body: dict[str, JSON]) -> Asked:
    closed(body, MEMBERS, "body")
    asked = Asked(body["model"], body.get("stream") is True)
    asked.limit = body.get("max_output_tokens")
    reasoning = body.get("reasoning") or {}
    closed(reasoning, ("effort", "summary", "context"), "reasoning")
    asked.thinks = reasoning.get("effort", "none") != "none"
    asked.system = body.get("instructions") or ""
    for i, tool in enumerate(body.get("tools") or ()):
        closed(tool, ("type", "name", "description", "parameters", "strict"), f"tools[{i}]")
        need(tool["type"] == "function", f"tools[{i}].type")
        need(tool["parameters"]["type"] == "object", f"tools[{i}].parameters")
        asked.tools[tool["name"]] = tool["parameters"]
    form = (body.get("text") or {}).get("format") or {"type": "text"}
    if form["type"] == "json_schema":
        need(form.get("name"), "text.format.name")
        asked.schema = form["schema"]
    items = body["input"]
    if isinstance(items, str):
        items = [{"role": "user", "content": items}]
    need(items, "input: empty")
    _items(asked, items, stored=body.get("store", True))
    return asked


def _items(asked: Asked, items: list[JSON], *, stored: bool) -> None:
    calls: dict[str, str] = {}
    thought = False
    for i, item in enumerate(items):
        where = f"input[{i}]"
        kind = item.get("type", "message")
        need(not thought or kind in ("message", "function_call"), f"{where}: after reasoning")
        if kind != "function_call_output":
            asked.results = []
        match kind:
            case "message":
                _message(asked, item, where)
            case "reasoning":
                closed(item, ("type", "id", "summary", "content", "encrypted_content"), where)
                need(isinstance(item.get("summary"), list), f"{where}.summary")
                need(item.get("encrypted_content") == SIGNATURE, f"{where}.encrypted_content")
                need(not stored or item["id"].startswith("rs_"), f"{where}.id")
            case "function_call":
                closed(item, ("type", "id", "call_id", "name", "arguments", "status"), where)
                need("id" not in item or item["id"].startswith("fc_"), f"{where}.id")
                need(isinstance(json.loads(item["arguments"]), dict), f"{where}.arguments")
                calls[item["call_id"]] = item["name"]
            case "function_call_output":
                closed(item, ("type", "id", "call_id", "output", "status"), where)
                need(item["call_id"] in calls, f"{where}: No tool call found for {item['call_id']}")
                output = item["output"]
                if not isinstance(output, str):
                    output = "".join(part["text"] for part in output)
                asked.results.append((calls.pop(item["call_id"]), output))
            case _:
                raise Wrong(f"{where}.type: `{kind}`")
        thought = kind == "reasoning"
    need(not calls, f"No tool output found for function call {list(calls)}")
    need(not thought, "reasoning was provided without its required following item")


def _message(asked: Asked, item: JSON, where: str) -> None:
    closed(item, ("type", "id", "role", "content", "status", "phase"), where)
    role, content = item["role"], item["content"]
    need(role in ("user", "assistant", "system", "developer"), f"{where}.role")
    word = "output_text" if role == "assistant" else "input_text"
    if isinstance(content, str):
        content = [{"type": word, "text": content}]
    texts, media = [], []
    for part in content:
        match part["type"]:
            case "input_text" | "output_text":
                need(part["type"] == word, f"{where}: `{part['type']}` of {role}")
                texts.append(part["text"])
            case "input_image":
                media.append(data_url(part["image_url"], where))
            case "input_file":
                need(part.get("filename"), f"{where}.filename")
                media.append(data_url(part["file_data"], where))
            case other:
                raise Wrong(f"{where}: `{other}`")
    if role == "user":
        asked.question, asked.media = "".join(texts), media
    elif role != "assistant":
        asked.system += "".join(texts)


def _usage(answer: Said) -> JSON:
    made = MADE + answer.thought_of
    return {
        "input_tokens": FRESH + CACHED,
        "input_tokens_details": {"cached_tokens": CACHED},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": answer.thought_of},
        "total_tokens": FRESH + CACHED + made,
    }


def _items_of(answer: Said, *, sealed: bool) -> list[JSON]:
    found: list[JSON] = []
    if answer.thought:
        summary = [{"type": "summary_text", "text": answer.thought}]
        item: JSON = {"id": "rs_1", "type": "reasoning", "summary": summary}
        found.append({**item, "encrypted_content": SIGNATURE} if sealed else item)
    if answer.text:
        part = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
        found.append(
            {
                "id": "msg_1",
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [part],
            }
        )
    return found + [_call(i, call) for i, call in enumerate(answer.calls)]


def _call(index: int, call: Call) -> JSON:
    return {
        "id": f"fc_{index}",
        "type": "function_call",
        "status": "completed",
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
    }


def _response(body: JSON, answer: Said, *, sealed: bool) -> dict[str, JSON]:
    short = answer.stop == "length"
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_764_000_000,
        "status": "incomplete" if short else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if short else None,
        "instructions": body.get("instructions"),
        "model": body["model"],
        "output": _items_of(answer, sealed=sealed),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": body.get("tools") or [],
        "usage": _usage(answer),
    }


class _Events:
    """Numbers events from 0 and keeps their bytes."""

    def __init__(self) -> None:
        self.out: list[bytes] = []

    def add(self, kind: str, **members: JSON) -> None:
        value = {"type": kind, "sequence_number": len(self.out), **members}
        line = json.dumps(value, ensure_ascii=False)
        self.out.append(f"event: {kind}\ndata: {line}\n\n".encode())


def _streamed(body: JSON, answer: Said, *, sealed: bool) -> Reply:
    done = _response(body, answer, sealed=sealed)
    begun = {**done, "status": "in_progress", "output": [], "usage": None}
    events = _Events()
    events.add("response.created", response=begun)
    events.add("response.in_progress", response=begun)
    for i, item in enumerate(done["output"]):
        _item(events, i, item)
        if answer.cut or answer.fails:
            break
    if answer.cut:
        return streamed(b"".join(events.out[:-2]), cut=True)
    if answer.fails:
        events.out = events.out[:-2]
        events.add("error", code="server_error", message="The server had an error", param=None)
        return streamed(b"".join(events.out))
    events.add(f"response.{done['status']}", response=done)
    return streamed(b"".join(events.out))


def _item(events: _Events, index: int, item: JSON) -> None:
    kind = item["type"]
    hollow: dict[str, JSON] = {**item}
    hollow |= {k: v for k, v in (("content", []), ("summary", []), ("arguments", "")) if k in item}
    events.add("response.output_item.added", output_index=index, item=hollow)
    at: dict[str, JSON] = {"item_id": item["id"], "output_index": index}
    if kind == "reasoning":
        _part(events, "reasoning_summary", {**at, "summary_index": 0}, item["summary"][0])
    elif kind == "message":
        _part(events, "output", {**at, "content_index": 0}, item["content"][0])
    else:
        for piece in pieces(item["arguments"]):
            events.add("response.function_call_arguments.delta", **at, delta=piece)
        whole_call = {"arguments": item["arguments"], "name": item["name"]}
        events.add("response.function_call_arguments.done", **at, **whole_call)
    events.add("response.output_item.done", output_index=index, item=item)


def _part(events: _Events, word: str, at: dict[str, JSON], part: JSON) -> None:
    name = "content_part" if word == "output" else f"{word}_part"
    events.add(f"response.{name}.added", **at, part={**part, "text": ""})
    extra: dict[str, JSON] = {"logprobs": []} if word == "output" else {}
    for piece in pieces(part["text"]):
        events.add(f"response.{word}_text.delta", **at, delta=piece, **extra)
    events.add(f"response.{word}_text.done", **at, text=part["text"], **extra)
    events.add(f"response.{name}.done", **at, part=part)
