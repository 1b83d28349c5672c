"""What providers counted for the inputs of recorded requests, read without the gateway's code.

Where something of the prompt is not in the request, `left_out` says what: then there is nothing to
estimate it by.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.translation.recordings import FOLDER, frames, sse

CHATS = frozenset(
    "chat completions responses messages count_tokens generateContent converse ollama_chat "
    "ollama_generate cohere_chat predict invoke".split()
)
FLOOR = 3
"""The least that an error is divided by: of one or two tokens any miss is half of it."""
_MODEL_IN_PATH = re.compile(r"/models?/([^/:?]+(?:[:.][^/:?]+)*?)(?:/|:[a-zA-Z]+(?:\?|$))")
_MEDIA = re.compile(
    r'image_url|input_image|"image"|inlineData|input_audio|"images"|"document|"file"|input_file'
)
_ELSEWHERE = ("previous_response_id", "conversation", "cachedContent", "prompt_id", "documents")
_HIDDEN = re.compile(
    r'"(?:google_?[sS]earch\w*|code_?[eE]xecution|url_?[cC]ontext|connectors|plugins|mcp_servers|'
    r"search_parameters|web_search_options|enable_search|fileUri|file_uri|file_id|file_url|"
    r'item_reference|cached_content|skills|container)"\s*:'
)
_HOSTED = re.compile(
    r'"type": "(?:web_search|code_interpreter|code_execution|file_search|mcp|computer|image_gen|'
    r"x_search|web_fetch|bash_|text_editor|memory|tool_search|advisor|shell|local_shell|apply_patch|"
    r"custom|namespace|compaction|openrouter|item_reference|image_generation|reasoning)"
)


@dataclass(frozen=True, slots=True)
class Counted:
    """A recorded request and the tokens that its provider counted for the input."""

    id: str
    provider: str
    api: str
    model: str
    request: Any
    truth: int
    left_out: str


def error(estimate: int, truth: int) -> float:
    """How far the estimate is from the truth, as a share of it: 0.1 is a tenth too much."""
    return (estimate - truth) / max(FLOOR, truth)


@cache
def counted() -> tuple[Counted, ...]:
    """All recorded requests whose input was counted."""
    return tuple(found for path in sorted(FOLDER.glob("*.jsonl")) for found in _read(path))


def _read(path: Path) -> Iterator[Counted]:
    for line in path.read_text().splitlines():
        record = json.loads(line)
        asked, answer = record["request"], record["response"]
        body = asked.get("body")
        if record["api"] not in CHATS or answer["status"] >= 300 or not isinstance(body, dict):
            continue
        truth = max((_input(value) for value in _values(answer)), default=0)
        if truth:
            model = body.get("model") or _model(asked["url"])
            yield Counted(
                record["id"],
                record["provider"],
                record["api"],
                model,
                body,
                truth,
                _left_out(body, json.dumps(body), _text(answer)),
            )


def _model(url: str) -> str:
    found = _MODEL_IN_PATH.search(url.replace("%3A", ":"))
    return found[1] if found else ""


def _values(answer: dict[str, Any]) -> Iterator[Any]:
    if "sse" in answer:
        text = str(answer["sse"])
        if text.lstrip().startswith("{"):
            yield from (json.loads(line) for line in text.splitlines() if line.strip())
        else:
            yield from sse(text.encode())
    elif "body_b64" in answer:
        yield from (payload for _, payload in frames(b64decode(answer["body_b64"])))
    else:
        yield answer.get("body")


def _text(answer: dict[str, Any]) -> str:
    raw = b64decode(answer["body_b64"]) if "body_b64" in answer else b""
    return raw.decode("utf-8", "replace")


def _input(value: Any) -> int:
    """The input's tokens in one answer or event, cached ones among them, 0 where it says none."""
    if not isinstance(value, dict):
        return 0
    for inner in map(value.get, ("message", "response", "x_groq", "delta")):
        if isinstance(inner, dict) and (found := _input(inner)):
            return found
    usage = value.get("usage") or value.get("usageMetadata") or value
    usage = usage.get("billed_units") or usage  # without the provider's own preamble
    names = "prompt_tokens input_tokens promptTokenCount totalTokens prompt_eval_count inputTokens"
    found = next((int(usage[n]) for n in names.split() if isinstance(usage.get(n), int | float)), 0)
    beside = "cache_creation_input_tokens cache_read_input_tokens"
    beside += " cacheReadInputTokens cacheWriteInputTokens"
    return found + sum(int(usage.get(name) or 0) for name in beside.split()) if found else 0


def _left_out(body: dict[str, Any], text: str, answered: str) -> str:
    if "__ELIDED" in text:
        return "bytes were shortened by the recorder"
    if any(body.get(name) for name in _ELSEWHERE):
        return "a part of the prompt is elsewhere"
    if _HIDDEN.search(text) or _HOSTED.search(text):
        return "the provider adds what is not in the request"
    if "blocked by our content filters" in answered:
        return "nothing was counted: a filter refused it"
    if _holds_media(text) and "base64" not in text:
        return "media by address"
    return ""


def _holds_media(text: str) -> bool:
    return _MEDIA.search(text) is not None
