"""What each recorded chat says, told without our parsers.

`truth(exchange)` reads the recording by the rules of the provider's format alone: text, thoughts,
calls, how it ended in neutral words, tokens in and out. Facts: which counters include what, and
where a stream tells its usage, differ by provider.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.translation.recordings import Exchange, decoded, frames, sse

EXCLUDES = frozenset({"xai", "gemini"})
"""Providers whose chat answers count reasoning outside of the completion."""


@dataclass
class Truth:
    """`end` is stop, stop_sequence, length, tool_calls, content_filter, refusal or pause; `used`
    are tokens in and out, None where the answer does not say. `refused` says that the text is a
    refusal. `own_end` and `own_used` are the same as the recording's format has them, for a client
    of that format.
    """

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    end: str | None = None
    used: tuple[int, int] | None = None
    refused: bool = False
    own_end: str = ""
    own_used: tuple[int, int] | None = None
    thought: str = ""


def truth(exchange: Exchange) -> Truth:
    return _READERS[exchange.dialect](exchange)


def _chat(exchange: Exchange) -> Truth:
    excludes = exchange.provider in EXCLUDES
    if exchange.stream:
        return _chat_stream(exchange, excludes)
    body = exchange.body
    choice = body["choices"][0]
    message = choice.get("message") or {}
    found = Truth(_content(message.get("content")) or message.get("refusal") or "")
    found.thought = _thought(message)
    found.calls = [_openai_call(call) for call in message.get("tool_calls") or ()]
    found.end, found.own_end = _end(choice.get("finish_reason")), choice.get("finish_reason") or ""
    if message.get("refusal") and not message.get("content"):
        found.refused = True
    found.used = _openai_used(body.get("usage"), excludes)
    found.own_used = _openai_own(body.get("usage"))
    return found


def _content(content: Any) -> str:
    if isinstance(content, dict):  # an answer in JSON, as one provider gives it
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if part.get("type") == "text")
    return content or ""


def _thought(message: Any) -> str:
    """Of a message or a delta: a member of its own, or a part of the content."""
    content = message.get("content")
    parts = content if isinstance(content, list) else ()
    inner = [p.get("thinking") or () for p in parts if p.get("type") == "thinking"]
    inside = "".join(part.get("text") or "" for found in inner for part in found)
    return message.get("reasoning_content") or message.get("reasoning") or inside


def _openai_call(call: Any) -> tuple[str, Any]:
    if call.get("type") == "custom":
        return call["custom"]["name"], call["custom"]["input"]
    return call["function"]["name"], decoded(call["function"].get("arguments") or "")


def _chat_stream(exchange: Exchange, excludes: bool) -> Truth:
    found = Truth()
    calls: dict[int, list[str]] = {}
    for event in sse(exchange.raw):
        usage = event.get("usage") or (event.get("x_groq") or {}).get("usage")
        if usage:
            found.used = _openai_used(usage, excludes)
            found.own_used = _openai_own(usage)
        for choice in event.get("choices") or ():
            if choice.get("index"):
                continue
            delta = choice.get("delta") or {}
            found.text += _content(delta.get("content")) or delta.get("refusal") or ""
            found.thought += _thought(delta)
            for call in delta.get("tool_calls") or ():
                held = calls.setdefault(call.get("index", len(calls)), ["", ""])
                function = call.get("function") or call.get("custom") or {}
                held[0] = held[0] or function.get("name") or ""
                held[1] += function.get("arguments") or function.get("input") or ""
            if choice.get("finish_reason"):
                found.end = _end(choice["finish_reason"])
                found.own_end = choice["finish_reason"]
    found.calls = [(name, decoded(text)) for _, (name, text) in sorted(calls.items())]
    return found


def _openai_used(usage: Any, excludes: bool) -> tuple[int, int] | None:
    if not usage:
        return None
    given, made = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    details = usage.get("completion_tokens_details") or {}
    total = usage.get("total_tokens")
    if excludes:
        made = max(made + (details.get("reasoning_tokens") or 0), (total or 0) - given)
    if total and total > given + made:  # what is counted apart: sound heard
        given = total - made
    return given, made


def _openai_own(usage: Any) -> tuple[int, int] | None:
    """The counters as they stand, for a client that reads the same format."""
    if not usage:
        return None
    return usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0


def _end(word: Any) -> str | None:
    """A provider's word in neutral ones."""
    if word in (None, "", "null"):
        return None
    return _ENDS.get(str(word), "stop")


_ENDS = {
    "length": "length",
    "max_tokens": "length",
    "MAX_TOKENS": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "TOOL_CALL": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "sensitive": "content_filter",
    "SAFETY": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "BLOCKLIST": "content_filter",
    "RECITATION": "content_filter",
    "stop_sequence": "stop_sequence",
    "refusal": "refusal",
    "pause_turn": "pause",
}


def _completion(exchange: Exchange) -> Truth:
    choice = exchange.body["choices"][0]
    used = _openai_used(exchange.body.get("usage"), False)
    return Truth(choice["text"], end=_end(choice.get("finish_reason")), used=used)


def _responses(exchange: Exchange) -> Truth:
    body = exchange.body
    if exchange.stream:
        body = [e["response"] for e in sse(exchange.raw) if e["type"] in _LAST][-1]
    found = Truth(end="stop")
    for item in body["output"]:
        if item["type"] == "message":
            for part in item["content"]:
                found.text += part.get("text") or part.get("refusal") or ""
                found.refused = found.refused or part["type"] == "refusal"
        elif item["type"] == "reasoning":
            paragraphs = [*item["summary"], *(item.get("content") or ())]
            found.thought += "\n\n".join(part["text"] for part in paragraphs)
        elif item["type"] == "function_call":
            found.calls.append((item["name"], decoded(item["arguments"])))
            found.end = "tool_calls"
        elif item["type"] == "custom_tool_call":
            found.calls.append((item["name"], item["input"]))
            found.end = "tool_calls"
    if body.get("incomplete_details"):
        found.end = _end(body["incomplete_details"]["reason"])
    usage = body.get("usage")
    found.used = (usage["input_tokens"], usage["output_tokens"]) if usage else None
    return found


_LAST = ("response.completed", "response.incomplete", "response.failed")


def _messages(exchange: Exchange) -> Truth:
    if exchange.stream:
        return _message_events(sse(exchange.raw))
    return _message(exchange.body)


def _message(body: Any) -> Truth:
    found = Truth(end=_end(body["stop_reason"]), used=_anthropic_used(body["usage"]))
    for block in body["content"]:
        if block["type"] == "text":
            found.text += block["text"]
        elif block["type"] == "thinking":
            found.thought += block["thinking"]
        elif block["type"] == "tool_use":
            found.calls.append((block["name"], block["input"]))
    return found


def _message_events(events: list[Any]) -> Truth:
    found = Truth()
    usage: dict[str, Any] = {}
    calls: dict[int, list[str]] = {}
    for event in events:
        kind = event["type"]
        if kind == "message_start":
            usage |= event["message"]["usage"]
        elif kind == "content_block_start" and event["content_block"]["type"] == "tool_use":
            calls[event["index"]] = [event["content_block"]["name"], ""]
        elif kind == "content_block_delta":
            delta = event["delta"]
            found.text += delta.get("text") or ""
            found.thought += delta.get("thinking") or ""
            if event["index"] in calls:
                calls[event["index"]][1] += delta.get("partial_json") or ""
        elif kind == "message_delta":
            found.end = _end(event["delta"]["stop_reason"])
            usage |= {k: v for k, v in (event.get("usage") or {}).items() if v is not None}
    found.calls = [(name, decoded(text)) for _, (name, text) in sorted(calls.items())]
    found.used = _anthropic_used(usage)
    return found


def _anthropic_used(usage: dict[str, Any]) -> tuple[int, int]:
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return sum(usage.get(name) or 0 for name in names), usage.get("output_tokens") or 0


def _invoke(exchange: Exchange) -> Truth:
    if not exchange.stream:
        return _message(exchange.body)
    inner = [json.loads(base64.b64decode(event["bytes"])) for _, event in frames(exchange.raw)]
    return _message_events(inner)


def _gemini(exchange: Exchange) -> Truth:
    found = Truth()
    for body in sse(exchange.raw) if exchange.stream else [exchange.body]:
        usage = body.get("usageMetadata")
        if usage:
            found.used = _gemini_used(usage)
        if (body.get("promptFeedback") or {}).get("blockReason"):
            found.end = "content_filter"
        for candidate in body.get("candidates") or ():
            if candidate.get("index"):
                continue
            for part in (candidate.get("content") or {}).get("parts") or ():
                if "functionCall" in part:
                    call = part["functionCall"]
                    found.calls.append((call["name"], call.get("args") or {}))
                elif part.get("thought"):
                    found.thought += part.get("text") or ""
                else:
                    found.text += part.get("text") or ""
            if candidate.get("finishReason"):
                found.end = _end(candidate["finishReason"])
    if found.calls and found.end == "stop":
        found.end = "tool_calls"
    return found


def _gemini_used(usage: dict[str, Any]) -> tuple[int, int]:
    given = (usage.get("promptTokenCount") or 0) + (usage.get("toolUsePromptTokenCount") or 0)
    made = (usage.get("candidatesTokenCount") or 0) + (usage.get("thoughtsTokenCount") or 0)
    return given, made


def _converse(exchange: Exchange) -> Truth:
    found = Truth()
    if not exchange.stream:
        body = exchange.body
        for block in body["output"]["message"]["content"]:
            cited = (block.get("citationsContent") or {}).get("content") or ()
            found.text += block.get("text") or "".join(part["text"] for part in cited)
            found.thought += _reasoned((block.get("reasoningContent") or {}).get("reasoningText"))
            if "toolUse" in block:
                found.calls.append((block["toolUse"]["name"], block["toolUse"]["input"]))
        found.end, found.used = _end(body["stopReason"]), _bedrock_used(body["usage"])
        return found
    calls: dict[int, list[str]] = {}
    for kind, event in frames(exchange.raw):
        if kind == "contentBlockStart" and "toolUse" in event["start"]:
            calls[event["contentBlockIndex"]] = [event["start"]["toolUse"]["name"], ""]
        elif kind == "contentBlockDelta":
            found.text += event["delta"].get("text") or ""
            found.thought += _reasoned(event["delta"].get("reasoningContent"))
            if "toolUse" in event["delta"]:
                calls[event["contentBlockIndex"]][1] += event["delta"]["toolUse"]["input"]
        elif kind == "messageStop":
            found.end = _end(event["stopReason"])
        elif kind == "metadata":
            found.used = _bedrock_used(event["usage"])
    found.calls = [(name, decoded(text)) for _, (name, text) in sorted(calls.items())]
    return found


def _reasoned(thought: Any) -> str:
    return (thought or {}).get("text") or ""


def _bedrock_used(usage: dict[str, Any]) -> tuple[int, int]:
    names = ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
    return sum(usage.get(name) or 0 for name in names), usage["outputTokens"]


def _cohere(exchange: Exchange) -> Truth:
    found = Truth()
    if exchange.api == "cohere_generate":
        used = _cohere_used(exchange.body.get("meta"))
        return Truth(exchange.body["generations"][0]["text"], end="stop", used=used)
    if not exchange.stream:
        return _cohere_whole(exchange.body)
    calls: dict[int, list[str]] = {}
    for event in sse(exchange.raw):
        kind = event.get("type")
        message = (event.get("delta") or {}).get("message") or {}
        if kind == "content-delta":
            found.text += (message.get("content") or {}).get("text") or ""
            found.thought += (message.get("content") or {}).get("thinking") or ""
        elif kind == "tool-plan-delta":
            found.thought += message["tool_plan"]
        elif kind == "tool-call-start":
            function = message["tool_calls"]["function"]
            calls[event["index"]] = [function["name"], function.get("arguments") or ""]
        elif kind == "tool-call-delta":
            calls[event["index"]][1] += message["tool_calls"]["function"]["arguments"]
        elif kind == "message-end":
            found.end = _end(event["delta"]["finish_reason"])
            found.used = _cohere_used(event["delta"].get("usage"))
    found.calls = [(name, decoded(text)) for _, (name, text) in sorted(calls.items())]
    return found


def _cohere_whole(body: Any) -> Truth:
    if "message" not in body:  # the first version of the API
        text, calls = body.get("text") or "", body.get("tool_calls") or ()
        usage = _cohere_used(body.get("meta"))
        end = "tool_calls" if calls else _end(body.get("finish_reason"))
        return Truth(text, [(c["name"], c["parameters"]) for c in calls], end, usage)
    message = body["message"]
    text = "".join(p.get("text") or "" for p in message.get("content") or ())
    calls = [_openai_call(call) for call in message.get("tool_calls") or ()]
    found = Truth(text, calls, _end(body["finish_reason"]), _cohere_used(body.get("usage")))
    found.thought = "".join(p.get("thinking") or "" for p in message.get("content") or ())
    found.thought += message.get("tool_plan") or ""
    return found


def _cohere_used(usage: Any) -> tuple[int, int] | None:
    tokens = (usage or {}).get("billed_units") or (usage or {}).get("tokens")  # what is charged
    if not tokens:
        return None
    return int(tokens.get("input_tokens") or 0), int(tokens.get("output_tokens") or 0)


def _dashscope(exchange: Exchange) -> Truth:
    found = Truth()
    if isinstance(exchange.request, dict):
        incremental = (exchange.request.get("parameters") or {}).get("incremental_output")
    else:  # recorded as the text of a Python object
        incremental = "'incremental_output': True" in str(exchange.request)
    calls: dict[int, list[str]] = {}
    for body in sse(exchange.raw) if exchange.stream else [exchange.body]:
        output = body["output"]
        usage = body.get("usage")
        if usage:
            found.used = usage["input_tokens"], usage["output_tokens"]
        choice = (output.get("choices") or [{}])[0]
        message = choice.get("message") or {}
        text = _content_of_parts(message.get("content")) or output.get("text") or ""
        found.text = found.text + text if incremental else text or found.text
        thought = message.get("reasoning_content") or ""
        found.thought = found.thought + thought if incremental else thought or found.thought
        for number, call in enumerate(message.get("tool_calls") or ()):
            held = calls.setdefault(call.get("index", number), ["", ""])
            held[0] = held[0] or call["function"].get("name") or ""
            piece = call["function"].get("arguments") or ""
            held[1] = held[1] + piece if incremental else piece
        found.end = _end(choice.get("finish_reason") or output.get("finish_reason")) or found.end
    found.calls = [(name, decoded(text)) for _, (name, text) in sorted(calls.items())]
    return found


def _content_of_parts(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content)
    return content or ""


def _ollama(exchange: Exchange) -> Truth:
    found = Truth()
    lines = exchange.raw.decode().splitlines() if exchange.stream else []
    for body in [json.loads(line) for line in lines if line] or [exchange.body]:
        message = body.get("message") or {}
        found.text += message.get("content") or body.get("response") or ""
        found.thought += message.get("thinking") or body.get("thinking") or ""
        for call in message.get("tool_calls") or ():
            found.calls.append((call["function"]["name"], call["function"]["arguments"]))
        if body.get("done"):
            found.end = _end(body.get("done_reason", "stop"))
            found.used = body.get("prompt_eval_count") or 0, body.get("eval_count") or 0
    if found.calls and found.end == "stop":
        found.end = "tool_calls"
    return found


def _deepl(exchange: Exchange) -> Truth:
    text = "\n".join(t["text"] for t in exchange.body["translations"])
    return Truth(text, end="stop", used=(0, 0))  # it counts characters


def _replicate(exchange: Exchange) -> Truth:
    if exchange.stream:
        return Truth(_output_events(exchange.raw.decode()), end="stop")
    output = exchange.body["output"]
    text = "".join(output) if isinstance(output, list) else output
    metrics = exchange.body.get("metrics") or {}
    counted = "output_token_count" in metrics
    used = (metrics.get("input_token_count") or 0, metrics["output_token_count"])
    return Truth(text or "", end="stop", used=used if counted else None)


def _output_events(text: str) -> str:
    found = ""
    for block in text.split("\n\n"):
        lines = block.split("\n")
        if "event: output" in lines:
            data = [line[5:].removeprefix(" ") for line in lines if line.startswith("data:")]
            found += "\n".join(data)
    return found


_READERS: dict[str, Callable[[Exchange], Truth]] = {
    "openai-chat": _chat,
    "openai-completions": _completion,
    "openai-responses": _responses,
    "anthropic": _messages,
    "gemini": _gemini,
    "bedrock-converse": _converse,
    "bedrock-invoke": _invoke,
    "vertex-predict": _messages,
    "cohere": _cohere,
    "dashscope": _dashscope,
    "ollama": _ollama,
    "deepl": _deepl,
    "replicate": _replicate,
}
