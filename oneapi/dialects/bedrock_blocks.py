"""Content blocks of Bedrock's Converse as parts: of requests and of answers alike.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html (read
2026-11-24). Each block is an object with one member, whose name is its type. A block whose shape
the middle cannot hold stays `Opaque`, and nothing of it is lost.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

from oneapi.dialects.base_bodies import encode_text
from oneapi.dialects.bedrock_shapes import KIND_OF, MEDIA_TYPES, NAME, read_name, read_redacted
from oneapi.errors import ApiError
from oneapi.ir import Extra, Media, Opaque, Part, Reasoning, Text, ToolCall, ToolResult
from oneapi.wire.json import JSON

Marked = Text | Media | ToolCall | ToolResult


def parse_blocks(value: JSON, where: str) -> list[Part]:
    """A list of content blocks; a cache point becomes the mark of the part before it.

    Raises `ApiError` 400 naming the block, below the parameter `where`.
    """
    if not isinstance(value, list):
        refuse(where, "must be a list of content blocks")
    parts: list[Part] = []
    for i, block in enumerate(value):
        if not isinstance(block, dict) or not block:
            refuse(f"{where}[{i}]", "must be an object that holds one content block")
        if not mark_cache(parts, block):
            parts.append(_parse_block(block, f"{where}[{i}]"))
    return parts


def mark_cache(parts: list[Part], block: JSON) -> bool:
    """Marks the last of the parts where the block is a cache point for it."""
    point = block.get("cachePoint")
    if not isinstance(point, dict) or len(block) > 1 or not parts:
        return False
    last, ttl = parts[-1], point.get("ttl", "5m")
    if not isinstance(last, Marked) or last.cache or ttl not in ("5m", "1h"):
        return False
    parts[-1] = replace(last, cache=ttl, extra={**last.extra, "cachePoint": point})
    return True


def _parse_block(block: JSON, where: str) -> Part:
    if len(block) > 1:
        return Opaque(NAME, block)
    name, value = next(iter(block.items()))
    if name == "text":
        if not isinstance(value, str):
            refuse(f"{where}.text", "must be a string")
        return Text(value)
    if not isinstance(value, dict):
        return Opaque(NAME, block)
    if name == "toolUse":
        return _tool_call(value, where)
    if name == "toolResult":
        return _tool_result(value, where)
    found: Part | None = None
    if name == "reasoningContent":
        found = _reasoning(value)
    elif name == "citationsContent":
        found = _cited(value)
    elif name in KIND_OF:
        found = _media(name, value)
    return found or Opaque(NAME, block)


def _tool_call(value: JSON, where: str) -> Part:
    if value.get("type", "tool_use") != "tool_use":  # the provider runs it, not the client
        return Opaque(NAME, {"toolUse": value})
    name, id_ = value.get("name"), value.get("toolUseId")
    if not isinstance(name, str):
        refuse(f"{where}.toolUse.name", "must be a string")
    if not isinstance(id_, str):
        refuse(f"{where}.toolUse.toolUseId", "must be a string")
    arguments = encode_text(value["input"]) if "input" in value else ""
    extra = others(value, "name", "toolUseId", "input")
    return ToolCall(id_, read_name(name), arguments, extra=extra)


def _tool_result(value: JSON, where: str) -> Part:
    id_, content = value.get("toolUseId"), value.get("content")
    if not isinstance(id_, str):
        refuse(f"{where}.toolResult.toolUseId", "must be a string")
    if not isinstance(content, list):
        refuse(f"{where}.toolResult.content", "must be a list")
    if value.get("type") not in (None, "tool_result"):
        return Opaque(NAME, {"toolResult": value})
    parts = [
        _result_part(item, f"{where}.toolResult.content[{i}]") for i, item in enumerate(content)
    ]
    extra = others(value, "toolUseId", "content")
    return ToolResult(id_, parts, error=value.get("status") == "error", extra=extra)


def _result_part(item: JSON, where: str) -> Part:
    if not isinstance(item, dict) or not item:
        refuse(where, "must be an object that holds one content block")
    if item.keys() == {"json"}:
        return Text(encode_text(item["json"]), extra={"json": item["json"]})
    if "toolUse" in item or "toolResult" in item:
        return Opaque(NAME, item)
    return _parse_block(item, where)


def _reasoning(value: JSON) -> Part | None:
    if len(value) != 1:
        return None
    data, said = value.get("redactedContent"), value.get("reasoningText")
    if isinstance(data, str) and data:
        return Reasoning(data=read_redacted(data))
    if not isinstance(said, dict) or not said.keys() <= {"text", "signature"}:
        return None
    text, signature = said.get("text"), said.get("signature", "")
    if not isinstance(text, str) or not isinstance(signature, str):
        return None
    return Reasoning(
        text, signature, extra={"signature": ""} if said.get("signature") == "" else {}
    )


def _cited(value: JSON) -> Part | None:
    """A text with its citations. Its pieces stay beside it: their borders carry meaning."""
    content, citations = value.get("content", []), value.get("citations", [])
    if not isinstance(content, list) or not isinstance(citations, list):
        return None
    found = [item.get("text") for item in content if isinstance(item, dict)]
    pieces = [piece for piece in found if isinstance(piece, str)]
    if len(pieces) < len(content):
        return None
    return Text("".join(pieces), annotations=list(citations), extra={"citationsContent": value})


def _media(name: str, value: JSON) -> Part | None:
    kind, source = KIND_OF[name], value.get("source")
    format_, title = value.get("format", ""), value.get("name", "")
    type_ = MEDIA_TYPES[kind].get(format_, "") if isinstance(format_, str) else ""
    if not isinstance(title, str) or not isinstance(source, dict) or len(source) != 1:
        return None
    if not type_ and ("format" in value or kind != "file"):
        return None
    if ("name" in value) != (kind == "file"):
        return None
    media = Media(kind, media_type=type_, filename=title)
    media.extra = others(value, "format", "source", "name")
    return _sourced(media, source)


def _sourced(media: Media, source: JSON) -> Media | None:
    """The medium with its bytes, its text or its place in a bucket; None for any other source."""
    data, text, place = source.get("bytes"), source.get("text"), source.get("s3Location")
    if isinstance(data, str) and data:
        return replace(media, data=data)
    if isinstance(text, str) and media.kind == "file":
        return replace(media, text=text, extra={**media.extra, "source": source})
    if isinstance(place, dict) and isinstance(place.get("uri"), str) and place["uri"]:
        return replace(media, url=place["uri"], extra={**media.extra, "source": source})
    return None


def refuse(param: str, what: str) -> NoReturn:
    """Raises the `ApiError` 400 for a member of a request."""
    raise ApiError(400, f"`{param}` {what}", code="invalid_type", param=param)


def others(value: JSON, *known: str) -> Extra:
    """The members that are not among the known ones."""
    return {name: member for name, member in value.items() if name not in known}
