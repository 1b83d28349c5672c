"""Chats, completions and edits of the mock provider."""

from __future__ import annotations

from oneapi.estimate import tokens
from oneapi.providers.mock.base import (
    CREATED,
    Answer,
    Refused,
    Request,
    asks_usage,
    events,
    limited,
    made_text,
    pieces,
    plain,
    usage_of,
)
from oneapi.providers.mock.schema import instance
from oneapi.wire.json import JSON, encode


def chat(request: Request) -> Answer:
    messages = request.fields.get("messages")
    if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
        raise Refused(400, "`messages` must be a list of messages", "invalid_messages")
    calls = _tool_calls(request, messages)
    asked = next(
        (plain(m.get("content")) for m in reversed(messages) if m.get("role") == "user"), ""
    )
    text, finish = "", "tool_calls"
    if not calls:
        text, finish = limited(request, _formatted(request) or made_text(request, asked))
    prompt = 3 + sum(4 + tokens(plain(m.get("content"))) for m in messages)
    completion = sum(tokens(c["function"]["name"] + c["function"]["arguments"]) for c in calls)
    usage = usage_of(prompt, (completion + tokens(text)) * request.n)
    if request.streamed:
        return _chat_stream(request, text, calls, finish, usage)
    message: dict[str, JSON] = {"role": "assistant", "content": text if not calls else None}
    if calls:
        message["tool_calls"] = calls
    body = {
        **_chat_head(request, "chat.completion"),
        "choices": [
            {"index": i, "message": message, "logprobs": None, "finish_reason": finish}
            for i in range(request.n)
        ],
        "usage": usage,
    }
    return Answer([encode(body)])


def _chat_head(request: Request, kind: str) -> dict[str, JSON]:
    return {
        "id": f"chatcmpl-{request.digest[:24]}",
        "object": kind,
        "created": CREATED,
        "model": request.model,
        "system_fingerprint": "fp_mock",
    }


def _chat_stream(
    request: Request, text: str, calls: list[JSON], finish: str, usage: JSON
) -> Answer:
    head = _chat_head(request, "chat.completion.chunk")
    asks = asks_usage(request)
    extra: dict[str, JSON] = {"usage": None} if asks else {}
    deltas: list[JSON] = [{"role": "assistant", "content": None if calls else ""}]
    for index, call in enumerate(calls):
        function = call["function"]
        start = {"name": function["name"], "arguments": ""}
        deltas.append({"tool_calls": [{**call, "index": index, "function": start}]})
        deltas += (
            {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
            for piece in pieces(function["arguments"])
        )
    deltas += ({"content": piece} for piece in pieces(text))
    ends: list[tuple[JSON, str | None]] = [*((delta, None) for delta in deltas), ({}, finish)]
    chunks: list[JSON] = [
        {
            **head,
            "choices": [{"index": i, "delta": delta, "logprobs": None, "finish_reason": end}],
            **extra,
        }
        for delta, end in ends
        for i in range(request.n)
    ]
    if asks:
        chunks.append({**head, "choices": [], "usage": usage})
    return events(chunks)


def _tool_calls(request: Request, messages: list[JSON]) -> list[JSON]:
    """The option's calls, where tools are offered and no result of theirs came last."""
    fields = request.fields
    if not fields.get("tools") or fields.get("tool_choice") == "none":
        return []
    if messages and messages[-1].get("role") == "tool":
        return []
    return [
        {
            "id": f"call_{request.digest[:22]}{i:02}",
            "type": "function",
            "function": {"name": call.name, "arguments": encode(call.arguments).decode()},
        }
        for i, call in enumerate(request.options.tool_calls)
    ]


def _formatted(request: Request) -> str:
    """JSON, where `response_format` asks for it and no text is scripted."""
    wanted = request.fields.get("response_format")
    if not isinstance(wanted, dict) or request.options.text is not None:
        return ""
    if wanted.get("type") == "json_object":
        return '{"answer":"mock"}'
    schema = wanted.get("json_schema")
    if wanted.get("type") != "json_schema" or not isinstance(schema, dict):
        return ""
    return encode(instance(schema.get("schema"))).decode()


def completions(request: Request) -> Answer:
    prompt = request.fields.get("prompt", "")
    prompts = [prompt] if isinstance(prompt, str) else prompt
    if not isinstance(prompts, list):
        raise Refused(400, "`prompt` must be a text or a list of texts", "invalid_prompt")
    texts = [p for p in prompts if isinstance(p, str)] or [""]
    answers = [limited(request, made_text(request, t)) for t in texts for _ in range(request.n)]
    usage = usage_of(sum(tokens(t) for t in texts), sum(tokens(text) for text, _ in answers))
    head = {
        "id": f"cmpl-{request.digest[:24]}",
        "object": "text_completion",
        "created": CREATED,
        "model": request.model,
    }
    if not request.streamed:
        choices = [_text_choice(i, text, end) for i, (text, end) in enumerate(answers)]
        return Answer([encode({**head, "choices": choices, "usage": usage})])
    chunks: list[JSON] = []
    for i, (text, end) in enumerate(answers):
        chunks += ({**head, "choices": [_text_choice(i, p, None)]} for p in pieces(text))
        chunks.append({**head, "choices": [_text_choice(i, "", end)]})
    if asks_usage(request):
        chunks.append({**head, "choices": [], "usage": usage})
    return events(chunks)


def _text_choice(index: int, text: str, finish: str | None) -> JSON:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish}


def edits(request: Request) -> Answer:
    asked = f"{request.fields.get('instruction') or ''} {request.fields.get('input') or ''}"
    text, _ = limited(request, made_text(request, asked))
    choices = [{"text": text, "index": i} for i in range(request.n)]
    usage = usage_of(tokens(asked), tokens(text) * request.n)
    return Answer(
        [encode({"object": "edit", "created": CREATED, "choices": choices, "usage": usage})]
    )
