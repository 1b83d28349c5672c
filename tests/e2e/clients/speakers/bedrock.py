"""Bedrock's Converse and ConverseStream with a model that thinks and signs.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
…_ConverseStream.html (read 2026-11-24).
"""

from __future__ import annotations

import json
import re
from typing import Final
from urllib.parse import unquote

from oneapi.wire.eventstream import encode_frame
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
    "messages system inferenceConfig toolConfig guardrailConfig additionalModelRequestFields "
    "additionalModelResponseFieldPaths promptVariables requestMetadata performanceConfig "
    "outputConfig serviceTier"
).split()
NAME: Final = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
BLOCKS: Final = "text image document toolUse toolResult reasoningContent cachePoint".split()


def speak(request: Received) -> Reply:
    try:
        need(request.header("authorization") == "Bearer up-key", "authorization")
        model, _, verb = request.path.rpartition("/model/")[2].rpartition("/")
        need(verb in ("converse", "converse-stream"), f"path {request.path}")
        asked = _asked(unquote(model), body_of(request))
    except Wrong as wrong:
        return refusal(400, "ValidationException", str(wrong))
    if failure(asked.question):
        return _refused(failure(asked.question))
    answer = said(asked, prefix="tooluse_")
    return _streamed(answer) if verb == "converse-stream" else whole(_whole(answer))


def refusal(status: int, kind: str, words: str) -> Reply:
    return whole({"message": words}, status, [("x-amzn-errortype", kind)])


def _refused(name: str) -> Reply:
    match name:
        case "limited":
            return refusal(429, "ThrottlingException", "Too many requests, please wait")
        case "account":
            words = "The security token included in the request is invalid."
            return refusal(403, "UnrecognizedClientException", words)
        case "too_long":
            words = "Input is too long for requested model."
            return refusal(400, "ValidationException", words)
        case "unknown":
            return refusal(404, "ResourceNotFoundException", "Could not resolve the model")
    return refusal(503, "ServiceUnavailableException", "Bedrock is unable to process your request.")


def _asked(model: str, body: dict[str, JSON]) -> Asked:
    closed(body, MEMBERS, "body")
    asked = Asked(model)
    config = body.get("inferenceConfig") or {}
    closed(config, ("maxTokens", "temperature", "topP", "stopSequences"), "inferenceConfig")
    asked.limit, asked.stops = config.get("maxTokens"), config.get("stopSequences") or []
    more = body.get("additionalModelRequestFields") or {}
    thinking = more.get("thinking") or {"type": "disabled"}
    asked.thinks = thinking["type"] != "disabled"
    if thinking["type"] == "enabled":
        need(1024 <= thinking["budget_tokens"], "thinking.budget_tokens")
        need(thinking["budget_tokens"] < (asked.limit or 0), "thinking.budget_tokens < maxTokens")
    for block in body.get("system") or ():
        need(len(block) == 1 and next(iter(block)) in ("text", "cachePoint"), f"system: {block}")
        asked.system += block.get("text", "")
    form = (body.get("outputConfig") or {}).get("textFormat")
    if form is not None:
        asked.schema = json.loads(form["structure"]["jsonSchema"]["schema"])
    for tool in (body.get("toolConfig") or {}).get("tools", ()):
        spec = tool["toolSpec"]
        closed(spec, ("name", "description", "inputSchema", "strict"), "toolSpec")
        need(NAME.match(spec["name"]), "toolSpec.name")
        asked.tools[spec["name"]] = spec["inputSchema"]["json"]
    _messages(asked, body["messages"])
    return asked


def _messages(asked: Asked, messages: list[JSON]) -> None:
    need(
        messages and messages[0]["role"] == "user", "A conversation must start with a user message"
    )
    calls: dict[str, str] = {}
    last = ""
    for i, message in enumerate(messages):
        where = f"messages.{i}"
        role, blocks = message["role"], message["content"]
        need(role != last, f"{where}: roles must alternate")
        need(blocks, f"{where}.content is empty")
        last = role
        for block in blocks:
            need(len(block) == 1 and next(iter(block)) in BLOCKS, f"{where}: {list(block)}")
            need(block.get("text", "x").strip(), f"{where}: The text field is blank")
        if role == "user":
            _user(asked, blocks, calls, where)
            calls = {}
        else:
            need(not calls, f"{where}: toolUse without toolResult")
            calls = _assistant(asked, blocks, where)
    need(not calls, "messages: toolUse without toolResult")


def _user(asked: Asked, blocks: list[JSON], calls: dict[str, str], where: str) -> None:
    results = [block["toolResult"] for block in blocks if "toolResult" in block]
    ids = [result["toolUseId"] for result in results]
    need(sorted(ids) == sorted(calls), f"{where}: toolResult ids {ids}, not {list(calls)}")
    need(not results or asked.tools, "toolConfig must be defined when using toolUse")
    asked.results = [(calls[r["toolUseId"]], _told(r["content"], where)) for r in results]
    asked.question = "".join(block.get("text", "") for block in blocks)
    asked.media = []
    for block in blocks:
        for kind, prefix in (("image", "image/"), ("document", "application/")):
            if kind in block:
                value = block[kind]
                need(kind == "image" or value.get("name"), f"{where}.document.name")
                asked.media.append(
                    medium(prefix + value["format"], value["source"]["bytes"], where)
                )
    documents = any("document" in block for block in blocks)
    need(not documents or asked.question, f"{where}: a document needs a text beside it")


def _told(content: list[JSON], where: str) -> str:
    need(content, f"{where}: toolResult.content")
    return "".join(b["text"] if "text" in b else json.dumps(b["json"]) for b in content)


def _assistant(asked: Asked, blocks: list[JSON], where: str) -> dict[str, str]:
    uses = [block["toolUse"] for block in blocks if "toolUse" in block]
    need(all(isinstance(use["input"], dict) for use in uses), f"{where}: toolUse.input")
    thoughts = [b["reasoningContent"] for b in blocks if "reasoningContent" in b]
    for thought in thoughts:
        if "redactedContent" in thought:
            need(thought["redactedContent"] == SIGNATURE, f"{where}: redactedContent")
            continue
        text = thought["reasoningText"]
        need(text["signature"] == SIGNATURE, f"{where}: Invalid signature")
        need(text["text"] == THOUGHT, f"{where}: reasoning was modified")
    if asked.thinks and uses:
        need("reasoningContent" in blocks[0], f"{where}: must start with a thinking block")
    return {use["toolUseId"]: use["name"] for use in uses}


STOPS: Final = {
    "stop": "end_turn",
    "sequence": "stop_sequence",
    "length": "max_tokens",
    "tools": "tool_use",
}


def _usage(answer: Said) -> JSON:
    made = MADE + answer.thought_of
    return {
        "inputTokens": FRESH,
        "outputTokens": made,
        "totalTokens": FRESH + CACHED + made,
        "cacheReadInputTokens": CACHED,
        "cacheWriteInputTokens": 0,
    }


def _whole(answer: Said) -> JSON:
    blocks: list[JSON] = []
    if answer.hidden:
        blocks.append({"reasoningContent": {"redactedContent": SIGNATURE}})
    elif answer.thought:
        text = {"text": answer.thought, "signature": SIGNATURE}
        blocks.append({"reasoningContent": {"reasoningText": text}})
    if answer.text:
        blocks.append({"text": answer.text})
    for call in answer.calls:
        use = {"toolUseId": call.id, "name": call.name, "input": json.loads(call.arguments)}
        blocks.append({"toolUse": use})
    return {
        "output": {"message": {"role": "assistant", "content": blocks}},
        "stopReason": STOPS[answer.stop],
        "usage": _usage(answer),
        "metrics": {"latencyMs": 500},
    }


def _frame(kind: str, value: JSON, word: str = "event") -> bytes:
    headers = {
        ":exception-type" if word == "exception" else ":event-type": kind,
        ":content-type": "application/json",
        ":message-type": word,
    }
    return encode_frame(headers, json.dumps(value, ensure_ascii=False).encode())


def _streamed(answer: Said) -> Reply:
    out = [_frame("messageStart", {"role": "assistant"})]
    deltas: list[tuple[JSON, list[JSON]]] = []
    if answer.hidden:
        deltas.append((None, [{"reasoningContent": {"redactedContent": SIGNATURE}}]))
    elif answer.thought:
        texts = [{"reasoningContent": {"text": piece}} for piece in pieces(answer.thought)]
        deltas.append((None, [*texts, {"reasoningContent": {"signature": SIGNATURE}}]))
    if answer.text:
        deltas.append((None, [{"text": piece} for piece in answer.pieces]))
    for call in answer.calls:
        start = {"toolUse": {"toolUseId": call.id, "name": call.name}}
        inputs = [{"toolUse": {"input": piece}} for piece in pieces(call.arguments)]
        deltas.append((start, inputs))
    for i, (start, values) in enumerate(deltas):
        if start is not None:
            out.append(_frame("contentBlockStart", {"contentBlockIndex": i, "start": start}))
        for value in values:
            out.append(_frame("contentBlockDelta", {"contentBlockIndex": i, "delta": value}))
        out.append(_frame("contentBlockStop", {"contentBlockIndex": i}))
    if answer.cut or answer.fails:
        out = out[:-1]
    else:
        out.append(_frame("messageStop", {"stopReason": STOPS[answer.stop]}))
        meta = {"usage": _usage(answer), "metrics": {"latencyMs": 500}}
        out.append(_frame("metadata", meta))
    if answer.fails:
        words = {"message": "The system encountered an unexpected error"}
        out.append(_frame("internalServerException", words, "exception"))
    kind = "application/vnd.amazon.eventstream"
    return streamed(b"".join(out), kind, cut=answer.cut)
