"""Reads along while a stream or an answer of Anthropic's dialect is relayed as it is.

https://docs.anthropic.com/en/docs/build-with-claude/streaming (read 2026-11-24): the prompt is
counted in `message_start`, everything in `message_delta`, `message_stop` is the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from oneapi.dialects.anthropic_usage import parse_usage
from oneapi.dialects.base import Operation
from oneapi.dialects.base_tap import EventTap, Kind
from oneapi.ir import Usage
from oneapi.wire.json import JSON, MalformedJSON, decode, members, replace_string

_TEXTS: Final = ("text", "thinking", "partial_json")


class Reader:
    """What the events of one stream mean."""

    MARKS: Sequence[bytes] = (b"message_delta", b"message_stop", b'"error"')

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self._raw: dict[str, JSON] = {}

    def read(self, value: JSON) -> Kind:
        if not isinstance(value, dict):
            return "frame"
        match value.get("type"):
            case "content_block_delta":
                return "content"
            case "content_block_start":
                return _block_kind(value.get("content_block"))
            case "message_start":
                message = value.get("message")
                self._note(message.get("usage") if isinstance(message, dict) else None)
                return "frame"
            case "message_delta":
                self._note(value.get("usage"))
                return "frame"
            case "message_stop":
                return "end"
            case "error":
                return "error"
            case None if value.get("error"):
                return "error"
            case _:
                return "frame"

    def text(self, value: JSON) -> str:
        if not isinstance(value, dict):
            return ""
        part = value.get("delta") or value.get("content_block")
        return "".join(_strings(part))

    def _note(self, usage: JSON) -> None:
        """Numbers are cumulative, and those that did not change may be left out."""
        if isinstance(usage, dict):
            self._raw.update((name, n) for name, n in usage.items() if n is not None)
            self.usage = parse_usage(self._raw) or self.usage


def tap(
    operation: Operation,
    *,
    asked: str | None = None,
    withhold_usage: bool = False,
    output_excludes_reasoning: bool = False,
    secrets: Sequence[str] = (),
) -> EventTap:
    """Reads along with one stream. Usage is never withheld: it has no event of its own."""

    def rename(data: bytes) -> bytes:
        return renamed_start(data, asked or "")

    return EventTap(Reader(), rename=rename if asked else None, secrets=secrets)


def renamed_start(data: bytes, asked: str) -> bytes:
    """A `message_start` with the asked model's name, every other byte kept; others as they are."""
    if b"message_start" not in data:
        return data
    try:
        raw = members(data).get("message")
    except MalformedJSON:
        return data
    if raw is None:
        return data
    message = bytes(raw)
    start = data.find(message)
    return data[:start] + replace_string(message, "model", asked) + data[start + len(message) :]


def parse_answer(
    operation: Operation,
    status: int,
    content_type: str,
    body: bytes,
    *,
    output_excludes_reasoning: bool = False,
) -> tuple[str | None, Usage | None]:
    """Why a whole successful answer is not what was asked for, None where it is; and what it used.

    Counting tokens uses nothing.
    """
    if status >= 300:
        return None, None
    start = body[:512].lstrip().lower()
    if not start:
        return "the provider's answer was empty", None
    if "html" in content_type or start.startswith((b"<!doctype", b"<html")):
        return "the provider answered with a web page", None
    try:
        top = members(body)
    except MalformedJSON:
        return "the provider's answer is not a JSON object", None
    payload = "input_tokens" if operation.task == "count_tokens" else "content"
    if payload not in top:
        if "error" in top:
            return "the provider answered with an error inside a status of success", None
        return f"the provider's answer has no `{payload}`", None
    if operation.task == "count_tokens":
        return None, Usage()
    try:
        return None, parse_usage(decode(top["usage"])) if "usage" in top else None
    except MalformedJSON:
        return None, None


def rename_response(body: bytes, asked: str) -> bytes:
    """The answer with the asked model's name, every other byte as it came."""
    return replace_string(body, "model", asked)


def response_text(body: bytes) -> str:
    """The text that a whole answer holds, for estimating what its provider did not count."""
    try:
        value = decode(body)
    except MalformedJSON:
        return ""
    content = value.get("content") if isinstance(value, dict) else None
    if not isinstance(content, list):
        return ""
    return "".join(text for block in content for text in _strings(block))


def _block_kind(block: JSON) -> Kind:
    """Texts and thoughts begin empty; any other block is what the client waits for."""
    if not isinstance(block, dict):
        return "frame"
    if block.get("type") in ("text", "thinking"):
        return "content" if block.get("text") or block.get("thinking") else "frame"
    return "content"


def _strings(part: JSON) -> Iterator[str]:
    """The model's own words in a block or a delta; results of server tools are input."""
    if not isinstance(part, dict):
        return
    for name in _TEXTS:
        if isinstance(part.get(name), str):
            yield part[name]
    if isinstance(part.get("name"), str):
        yield part["name"]
    if isinstance(part.get("input"), dict) and part["input"]:
        yield str(part["input"])
