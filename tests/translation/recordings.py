"""The recorded exchanges with chat models, and what each of them says, told without our parsers.

`truth(exchange)` reads the recording by the rules of the provider's format alone: text, calls, how
it ended in neutral words, tokens in and out. Facts: which counters include what, and where a stream
tells its usage, differ by provider.
"""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "fixtures"
DIALECT_OF = {
    "chat": "openai-chat",
    "completions": "openai-completions",
    "responses": "openai-responses",
    "messages": "anthropic",
    "generateContent": "gemini",
    "converse": "bedrock-converse",
    "invoke": "bedrock-invoke",
    "predict": "vertex-predict",
    "cohere_chat": "cohere",
    "cohere_generate": "cohere",
    "generation": "dashscope",
    "multimodal": "dashscope",
    "ollama_chat": "ollama",
    "ollama_generate": "ollama",
    "translate": "deepl",
    "predictions": "replicate",
    "predictions_stream": "replicate",
    "interactions": "interactions",
}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recording. `raw` is the answer's body as bytes, `stream` whether it is one of events."""

    id: str
    provider: str
    api: str
    dialect: str
    request: Any
    status: int
    headers: tuple[tuple[str, str], ...]
    body: Any
    raw: bytes
    stream: bool
    method: str


@dataclass
class Truth:
    """`end` is stop, stop_sequence, length, tool_calls, content_filter, refusal or pause; `used`
    are tokens in and out, None where the answer does not say. `refused` says that the text is a refusal. `own_end` and `own_used` are the same
    as the recording's format has them, for a client of that format.
    """

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    end: str | None = None
    used: tuple[int, int] | None = None
    refused: bool = False
    own_end: str = ""
    own_used: tuple[int, int] | None = None


@cache
def exchanges() -> tuple[Exchange, ...]:
    return tuple(_read())


def _read() -> Iterator[Exchange]:
    for path in sorted(FOLDER.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            record = json.loads(ELIDED.sub("", line))
            request, answer = record["request"], record["response"]
            stream = "sse" in answer or "body_b64" in answer
            yield Exchange(
                record["id"],
                record["provider"],
                record["api"],
                DIALECT_OF.get(record["api"], ""),
                request.get("body"),
                answer["status"],
                tuple((answer.get("headers") or {}).items()),
                answer.get("body"),
                _raw(answer),
                stream,
                request["method"],
            )


def _raw(answer: dict[str, Any]) -> bytes:
    if "sse" in answer:
        return str(answer["sse"]).encode()
    if "body_b64" in answer:
        return base64.b64decode(answer["body_b64"])
    body = answer.get("body")
    if isinstance(body, str):
        return body.encode()
    prefix = str(answer.get("raw_prefix", "")).encode()
    return b"" if body is None else prefix + json.dumps(body, ensure_ascii=False).encode()


def chats(*, ok: bool = True) -> list[Exchange]:
    """Recorded chats, successful ones or refused ones."""
    found = (e for e in exchanges() if e.dialect and (e.status < 300) == ok)
    return [e for e in found if not left_out(e)] if ok else list(found)


EXCLUDES = frozenset({"xai", "gemini"})
"""Providers whose chat answers count reasoning outside of the completion."""
ELIDED = re.compile(r"__ELIDED_LEN_[^_]+_SHA256_[0-9a-f]+__")
"""What stands for base64 that was shortened by the recorder: no library would read it."""


def left_out(exchange: Exchange) -> str:
    """Why a recording at a chat's address is no chat that was answered, "" where it is one."""
    body = exchange.body if isinstance(exchange.body, dict) else {}
    if exchange.method != "POST":
        return "asks again for an earlier answer" if body else "no chat"
    if exchange.dialect == "interactions":
        return "another API, not spoken here"
    if exchange.dialect == "replicate" and not exchange.stream:
        return _promise(body)
    if exchange.api == "predict" and "predictions" in body:
        return "embeddings"
    if exchange.api == "invoke" and not exchange.stream and "stop_reason" not in body:
        return "embeddings" if "embeddings" in body else "a model's own format, not the chat's"
    if exchange.api == "invoke" and "generation" in body:
        return "a model's own format, not the chat's"
    if exchange.dialect == "openai-chat" and _is_error(exchange):
        return "an error inside a success"
    return ""


def _is_error(exchange: Exchange) -> bool:
    for event in sse(exchange.raw) if exchange.stream else [exchange.body]:
        choices = event.get("choices") or [{}]
        if event.get("error") or choices[0].get("error"):
            return True
    return False


def _promise(body: Any) -> str:
    if body.get("status") in ("starting", "processing"):
        return "a promise of an answer that was not recorded"
    return "" if body.get("status") == "succeeded" else "a prediction that was ended"


def truth(exchange: Exchange) -> Truth:
    return _READERS[exchange.dialect](exchange)


# --- how formats are read ------------------------------------------------------------------


def sse(raw: bytes) -> list[Any]:
    """The JSON events of a stream; lines that are no data are no events."""
    found = []
    for block in raw.decode().replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(
            line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:")
        )
        if data.strip() and data.strip() != "[DONE]":
            found.append(json.loads(data))
    return found


def frames(raw: bytes) -> list[tuple[str, Any]]:
    """(event type, payload) of an AWS event stream, read by its layout alone."""
    found, at = [], 0
    while at < len(raw):
        total, headers = struct.unpack(">II", raw[at : at + 8])
        head = raw[at + 12 : at + 12 + headers]
        names = {}
        place = 0
        while place < len(head):
            size = head[place]
            name = head[place + 1 : place + 1 + size].decode()
            place += size + 2
            (length,) = struct.unpack(">H", head[place : place + 2])
            names[name] = head[place + 2 : place + 2 + length].decode()
            place += 2 + length
        payload = raw[at + 12 + headers : at + total - 4]
        found.append((names.get(":event-type", ""), json.loads(payload)))
        at += total
    return found


def decoded(text: str) -> Any:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return text
    return value if isinstance(value, dict) else text


def _chat(exchange: Exchange) -> Truth:
    excludes = exchange.provider in EXCLUDES
    if exchange.stream:
        return _chat_stream(exchange, excludes)
    body = exchange.body
    choice = body["choices"][0]
    message = choice.get("message") or {}
    found = Truth(_content(message.get("content")) or message.get("refusal") or "")
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
                elif not part.get("thought"):
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
            if "toolUse" in event["delta"]:
                calls[event["contentBlockIndex"]][1] += event["delta"]["toolUse"]["input"]
        elif kind == "messageStop":
            found.end = _end(event["stopReason"])
        elif kind == "metadata":
            found.used = _bedrock_used(event["usage"])
    found.calls = [(name, decoded(text)) for _, (name, text) in sorted(calls.items())]
    return found


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
    return Truth(text, calls, _end(body["finish_reason"]), _cohere_used(body.get("usage")))


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
