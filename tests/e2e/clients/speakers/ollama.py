"""Ollama's native /api/chat: one JSON object a line.

https://docs.ollama.com/api/chat and the server's own types (read 2026-11-24).
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
    "model messages tools format options stream think keep_alive truncate shift".split()
)
MESSAGE: Final = "role content thinking images tool_calls tool_name tool_call_id".split()


def speak(request: Received) -> Reply:
    try:
        body = body_of(request)
        if request.path.endswith("/api/embed"):
            return _embeddings(body)
        need(request.path.endswith("/api/chat"), f"path {request.path}")
        asked = _asked(body)
    except Wrong as wrong:
        return refusal(400, str(wrong))
    if failure(asked.question):
        return _refused(failure(asked.question))
    answer = said(asked)
    return (
        _streamed(asked, answer) if asked.stream else whole(_last(asked, answer, whole_answer=True))
    )


def refusal(status: int, words: str) -> Reply:
    return whole({"error": words}, status)


def _refused(name: str) -> Reply:
    match name:
        case "limited":
            return whole({"error": "too many concurrent requests"}, 429, [("retry-after", "7")])
        case "account":
            return refusal(401, "unauthorized")
        case "too_long":
            return refusal(400, "prompt too long; exceeded max context length by 3 tokens")
        case "unknown":
            return refusal(404, "model 'none' not found")
    return refusal(503, "server busy, please try again. maximum pending requests exceeded")


def _asked(body: dict[str, JSON]) -> Asked:
    closed(body, MEMBERS, "body")
    asked = Asked(body["model"], body.get("stream", True))
    options = body.get("options") or {}
    asked.limit = options.get("num_predict")
    asked.stops = options.get("stop") or []
    asked.thinks = bool(body.get("think"))
    asked.schema = body.get("format") or None
    for tool in body.get("tools") or ():
        function = tool["function"]
        need(function["parameters"]["type"] == "object", "tools: parameters")
        asked.tools[function["name"]] = function["parameters"]
    calls: list[str] = []
    for i, message in enumerate(body["messages"]):
        calls = _message(asked, message, calls, f"messages[{i}]")
    return asked


def _message(asked: Asked, message: JSON, calls: list[str], where: str) -> list[str]:
    """The names of calls that still wait for their results."""
    closed(message, MESSAGE, where)
    need(isinstance(message.get("content", ""), str), f"{where}.content: not a string")
    text = message.get("content", "")
    match message["role"]:
        case "system":
            asked.system += text
        case "user":
            asked.question, asked.results = text, []
            asked.media = []
            for image in message.get("images") or ():
                asked.media.append(medium("image/png", image, where))
        case "assistant":
            for call in message.get("tool_calls") or ():
                need(isinstance(call["function"]["arguments"], dict), f"{where}.arguments")
            return [call["function"]["name"] for call in message.get("tool_calls") or ()]
        case "tool":
            need(message.get("tool_name") in calls, f"{where}.tool_name: {calls}")
            asked.results.append((message["tool_name"], text))
        case other:
            raise Wrong(f"{where}.role: `{other}`")
    return calls


def _line(asked: Asked, **message: JSON) -> dict[str, JSON]:
    message = {"role": "assistant", "content": "", **message}
    stamp = "2026-11-24T10:00:00.123456789Z"
    return {"model": asked.model, "created_at": stamp, "message": message, "done": False}


def _calls(answer: Said) -> list[JSON]:
    return [
        {"id": c.id, "function": {"index": i, "name": c.name, "arguments": json.loads(c.arguments)}}
        for i, c in enumerate(answer.calls)
    ]


def _last(asked: Asked, answer: Said, *, whole_answer: bool) -> JSON:
    message: dict[str, JSON] = {}
    if whole_answer:
        message = {"content": answer.text}
        message |= {"thinking": answer.thought} if answer.thought else {}
        message |= {"tool_calls": _calls(answer)} if answer.calls else {}
    counts = {"prompt_eval_count": FRESH + CACHED, "eval_count": MADE + answer.thought_of}
    times = dict.fromkeys(
        ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration"), 5_000_000
    )
    reason = "length" if answer.stop == "length" else "stop"
    return {**_line(asked, **message), "done": True, "done_reason": reason, **counts, **times}


def _streamed(asked: Asked, answer: Said) -> Reply:
    lines = [_line(asked, thinking=piece) for piece in pieces(answer.thought)]
    lines += [_line(asked, content=piece) for piece in answer.pieces]
    lines += [_line(asked, tool_calls=[call]) for call in _calls(answer)]
    if answer.fails:
        lines.append({"error": "an error was encountered while running the model"})
    elif not answer.cut:
        lines.append(_last(asked, answer, whole_answer=False))
    data = b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)
    return streamed(data, "application/x-ndjson", cut=answer.cut)


def _embeddings(body: dict[str, JSON]) -> Reply:
    closed(body, ("model", "input", "truncate", "dimensions", "options", "keep_alive"), "body")
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    vectors = [VECTOR for _ in texts]
    counts = {"total_duration": 5_000_000, "load_duration": 1_000_000, "prompt_eval_count": 4}
    return whole({"model": body["model"], "embeddings": vectors, **counts})
