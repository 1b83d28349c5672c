"""Gemini's generateContent, as strict as the vendor's own API is with its third family.

https://ai.google.dev/api/generate-content and …/gemini-api/docs/thought-signatures (read
2026-11-24).
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
    VECTOR,
    Asked,
    Said,
    Wrong,
    body_of,
    closed,
    failure,
    medium,
    need,
    said,
    streamed,
    whole,
)
from tests.e2e.upstream import Received, Reply

MEMBERS: Final = (
    "contents systemInstruction tools toolConfig generationConfig safetySettings cachedContent "
    "labels"
).split()
CONFIG: Final = (
    "temperature topP topK candidateCount maxOutputTokens stopSequences seed presencePenalty "
    "frequencyPenalty responseMimeType responseSchema responseJsonSchema responseModalities "
    "responseLogprobs logprobs thinkingConfig mediaResolution"
).split()
PART: Final = (
    "text thought thoughtSignature inlineData fileData functionCall functionResponse"
).split()

FOREIGN: Final = "skip_thought_signature_validator"
"""What the vendor takes for calls that its model did not make."""


def speak(request: Received) -> Reply:
    try:
        need(request.header("x-goog-api-key") == "up-key", "x-goog-api-key")
        path, _, verb = request.path.rpartition(":")
        model = path.rpartition("/models/")[2]
        body = body_of(request)
        if verb == "countTokens":
            closed(body, ("contents", "generateContentRequest"), "body")
            return whole({"totalTokens": 77})
        if verb == "batchEmbedContents":
            return _embeddings(body)
        need(verb in ("generateContent", "streamGenerateContent"), f"verb {verb}")
        need(verb[0] == "g" or "alt=sse" in request.target, "alt=sse")
        asked = _asked(model, body)
    except Wrong as wrong:
        return refusal(400, "INVALID_ARGUMENT", str(wrong))
    if failure(asked.question):
        return _refused(failure(asked.question))
    answer = said(asked)
    return (
        _streamed(model, answer) if verb[0] == "s" else whole(_chunk(model, _parts(answer), answer))
    )


def refusal(status: int, kind: str, words: str, *details: JSON) -> Reply:
    error = {"code": status, "message": words, "status": kind, "details": list(details)}
    return whole({"error": error}, status)


def _refused(name: str) -> Reply:
    match name:
        case "limited":
            retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
            return refusal(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota", retry)
        case "account":
            info = {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID",
            }
            words = "API key not valid. Please pass a valid API key."
            return refusal(400, "INVALID_ARGUMENT", words, info)
        case "too_long":
            words = "The input token count (2000000) exceeds the maximum number of tokens allowed"
            return refusal(400, "INVALID_ARGUMENT", words)
        case "unknown":
            return refusal(404, "NOT_FOUND", "models/none is not found for API version v1beta")
    return refusal(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")


def _asked(model: str, body: dict[str, JSON]) -> Asked:
    closed(body, MEMBERS, "body")
    asked = Asked(model)
    config = body.get("generationConfig") or {}
    closed(config, CONFIG, "generationConfig")
    asked.limit = config.get("maxOutputTokens")
    asked.stops = config.get("stopSequences") or []
    thinking = config.get("thinkingConfig") or {}
    closed(thinking, ("includeThoughts", "thinkingBudget", "thinkingLevel"), "thinkingConfig")
    asked.thinks = bool(thinking.get("includeThoughts"))
    asked.schema = config.get("responseJsonSchema") or config.get("responseSchema")
    if asked.schema is not None:
        need(config.get("responseMimeType") == "application/json", "responseMimeType")
    asked.system = "".join(
        p["text"] for p in (body.get("systemInstruction") or {}).get("parts", ())
    )
    for tool in body.get("tools") or ():
        closed(tool, ("functionDeclarations",), "tools")
        for declared in tool["functionDeclarations"]:
            _tool(asked, declared)
    _contents(asked, body["contents"])
    return asked


def _tool(asked: Asked, declared: JSON) -> None:
    allowed = ("name", "description", "parameters", "parametersJsonSchema", "behavior", "response")
    closed(declared, allowed, "functionDeclarations")
    need(("parameters" in declared) != ("parametersJsonSchema" in declared), "one of parameters")
    schema = declared.get("parametersJsonSchema") or declared["parameters"]
    if "parameters" in declared:
        need("additionalProperties" not in schema, "parameters: additionalProperties")
    asked.tools[declared["name"]] = schema


def _contents(asked: Asked, contents: list[JSON]) -> None:
    need(contents, "contents is not specified")
    calls: list[JSON] = []
    for i, content in enumerate(contents):
        where = f"contents[{i}]"
        closed(content, ("role", "parts"), where)
        need(content.get("role") in ("user", "model"), f"{where}.role")
        parts = content["parts"]
        need(parts, f"{where}.parts must not be empty")
        for part in parts:
            closed(part, PART, where)
        if content["role"] == "model":
            need(not calls, f"{where}: function response must follow a function call turn")
            calls = [part["functionCall"] for part in parts if "functionCall" in part]
            _signed(parts, where)
        else:
            _user(asked, parts, calls, where)
            calls = []
    need(not calls, "contents: a function call turn must be followed by its responses")


def _signed(parts: list[JSON], where: str) -> None:
    """The first call of a step must hold the signature that came with it."""
    first = next((part for part in parts if "functionCall" in part), None)
    if first is not None:
        words = f"{where}: Function call is missing a thought_signature in functionCall parts"
        need(first.get("thoughtSignature") in (SIGNATURE, FOREIGN), words)


def _user(asked: Asked, parts: list[JSON], calls: list[JSON], where: str) -> None:
    answers = [part["functionResponse"] for part in parts if "functionResponse" in part]
    need(len(answers) == len(calls), f"{where}: as many function responses as function calls")
    asked.results = []
    for call, given in zip(calls, answers, strict=True):
        need(given["name"] == call["name"], f"{where}: functionResponse.name")
        need(given.get("id", call.get("id")) == call.get("id"), f"{where}: functionResponse.id")
        need(isinstance(given["response"], dict), f"{where}: functionResponse.response")
        asked.results.append((given["name"], "".join(map(str, given["response"].values()))))
    asked.question = "".join(part.get("text", "") for part in parts)
    media = [part["inlineData"] for part in parts if "inlineData" in part]
    asked.media = [medium(m["mimeType"], m["data"], where) for m in media]


def _parts(answer: Said) -> list[JSON]:
    found: list[JSON] = []
    if answer.thought:
        found.append({"text": answer.thought, "thought": True})
    if answer.text:
        found.append({"text": answer.text})
    for i, call in enumerate(answer.calls):
        value = {"name": call.name, "args": json.loads(call.arguments), "id": call.id}
        part: JSON = {"functionCall": value}
        found.append(part if i else {**part, "thoughtSignature": SIGNATURE})
    return found


def _chunk(model: str, parts: list[JSON], answer: Said, *, ended: bool = True) -> JSON:
    candidate: dict[str, JSON] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if ended:
        candidate["finishReason"] = "MAX_TOKENS" if answer.stop == "length" else "STOP"
    usage = {"promptTokenCount": FRESH + CACHED, "cachedContentTokenCount": CACHED}
    usage |= {"totalTokenCount": FRESH + CACHED + (MADE + answer.thought_of if ended else 0)}
    if ended:
        usage |= {"candidatesTokenCount": MADE}
    if answer.thought and ended:
        usage |= {"thoughtsTokenCount": answer.thought_of}
    head = {"modelVersion": model, "responseId": "resp-1"}
    return {"candidates": [candidate], "usageMetadata": usage, **head}


def _streamed(model: str, answer: Said) -> Reply:
    """Texts in two halves, calls whole, as Gemini streams them; lines end with CR LF."""
    parts: list[JSON] = []
    for part in _parts(answer):
        if "text" in part:
            half = len(part["text"]) // 2
            parts += [{**part, "text": part["text"][:half]}, {**part, "text": part["text"][half:]}]
        else:
            parts.append(part)
    last = len(parts) - 1
    chunks = [_chunk(model, [p], answer, ended=i == last) for i, p in enumerate(parts)]
    lines = [f"data: {json.dumps(c, ensure_ascii=False)}\r\n\r\n".encode() for c in chunks]
    if answer.cut:
        return streamed(lines[0], cut=True)
    if answer.fails:
        error = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
        return streamed(lines[0] + f"data: {json.dumps(error)}\r\n\r\n".encode())
    return streamed(b"".join(lines))


def _embeddings(body: dict[str, JSON]) -> Reply:
    closed(body, ("requests",), "body")
    for one in body["requests"]:
        allowed = ("model", "content", "taskType", "title", "outputDimensionality")
        closed(one, allowed, "requests")
        need(one["model"].startswith("models/"), "requests.model")
        need(all(part["text"] for part in one["content"]["parts"]), "requests.content")
    return whole({"embeddings": [{"values": VECTOR} for _ in body["requests"]]})
