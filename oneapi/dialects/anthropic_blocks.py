"""Content blocks of Anthropic's dialect as parts of the middle.

https://docs.anthropic.com/en/api/messages (read 2026-11-24). Blocks that only Anthropic knows
(server tools and their results, uploads into containers, whatever comes next year) are `Opaque`.
"""

from __future__ import annotations

from typing import Final

from oneapi.dialects.anthropic_forms import (
    NAME,
    Kept,
    Result,
    arguments_of,
    refuse,
    unwrap,
)
from oneapi.dialects.base_turns import data_url
from oneapi.errors import ApiError
from oneapi.ir import Extra, Media, Opaque, Part, Reasoning, Text, ToolCall
from oneapi.wire.json import JSON

_MEDIA: Final = frozenset({"image", "document"})
_LIFETIMES: Final = frozenset({"5m", "1h"})


def parse_parts(content: JSON, where: str) -> list[Part]:
    """A list of blocks. Raises `ApiError` 400 naming the member below `where`."""
    if not isinstance(content, list):
        raise refuse(where, "must be a string or an array of content blocks")
    return [parse_part(block, f"{where}[{index}]") for index, block in enumerate(content)]


def parse_part(block: JSON, where: str = "content") -> Part:
    """One block. Raises `ApiError` 400 naming the member below `where`."""
    if not isinstance(block, dict):
        raise refuse(where, "must be an object")
    kind = block.get("type")
    match kind:
        case "text":
            return _text(block, where)
        case "image" | "document":
            return _media(block, where)
        case "search_result":
            return _search_result(block)
        case "thinking":
            return _thinking(block, where)
        case "redacted_thinking":
            return _redacted(block, where)
        case "tool_use":
            return _call(block, where)
        case "tool_result":
            return _result(block, where)
        case str():
            return Opaque(NAME, block)
        case _:
            raise refuse(f"{where}.type", "must be a string")


def answer_part(block: JSON) -> Part:
    """One block of an answer: what is malformed goes on as it is."""
    try:
        return parse_part(block)
    except ApiError:
        return Opaque(NAME, block)


def take_cache(rest: Extra) -> str:
    """The lifetime that a `cache_control` asks for, "" for none.

    The member stays in `rest` where it says more than its lifetime, or says the default one.
    """
    mark = rest.get("cache_control")
    if not isinstance(mark, dict) or mark.get("type") != "ephemeral":
        return ""
    lifetime = mark.get("ttl")
    if mark == canonical_mark(lifetime if lifetime == "1h" else "5m"):
        del rest["cache_control"]
    return lifetime if isinstance(lifetime, str) and lifetime in _LIFETIMES else "5m"


def canonical_mark(lifetime: str) -> JSON:
    """The shortest `cache_control` of that lifetime."""
    return {"type": "ephemeral", "ttl": "1h"} if lifetime == "1h" else {"type": "ephemeral"}


def take_string(rest: Extra, name: str, where: str) -> str:
    """A string that must be there. Raises `ApiError` 400."""
    value = rest.pop(name, None)
    if not isinstance(value, str):
        raise refuse(f"{where}.{name}", "must be a string")
    return value


def _rest(block: JSON) -> Extra:
    return {name: value for name, value in block.items() if name != "type"}


def _text(block: JSON, where: str) -> Part:
    if len(block) == 2 and type(text := block.get("text")) is str:
        return Text(text)
    rest = _rest(block)
    found = Text(take_string(rest, "text", where), cache=take_cache(rest), extra=rest)
    citations = rest.get("citations")
    if isinstance(citations, list) and citations:
        found.annotations = rest.pop("citations")
    return found


def _thinking(block: JSON, where: str) -> Part:
    rest = _rest(block)
    text = take_string(rest, "thinking", where)
    signature = rest.get("signature")
    if isinstance(signature, str):
        del rest["signature"]
        borrowed = unwrap(text, signature)
        if borrowed is not None:
            return borrowed
    return Reasoning(text, signature if isinstance(signature, str) else "", extra=rest)


def _redacted(block: JSON, where: str) -> Part:
    rest = _rest(block)
    data = take_string(rest, "data", where)
    if not data:
        return Opaque(NAME, block)
    return unwrap("", data) or Reasoning(data=data, extra=rest)


def _call(block: JSON, where: str) -> Part:
    rest = _rest(block)
    given = rest.pop("input", None)
    if not isinstance(given, dict):
        raise refuse(f"{where}.input", "must be an object")
    return ToolCall(
        take_string(rest, "id", where),
        take_string(rest, "name", where),
        arguments_of(given),
        cache=take_cache(rest),
        extra=rest,
    )


def _result(block: JSON, where: str) -> Part:
    rest = _rest(block)
    found = Result(take_string(rest, "tool_use_id", where), [], cache=take_cache(rest), extra=rest)
    content = rest.pop("content", None)
    if isinstance(content, str):
        found.form = "text"
        found.parts = [Text(content)]
    elif content is None:
        found.form = "absent"
        if "content" in block:
            found.idle["content"] = None
    else:
        found.parts = _inner_parts(content, f"{where}.content")
    failed = rest.pop("is_error", None)
    if failed is True:
        found.error = True
    elif "is_error" in block:
        if failed not in (None, False):
            raise refuse(f"{where}.is_error", "must be a boolean")
        found.idle["is_error"] = failed
    return found


def _inner_parts(content: JSON, where: str) -> list[Part]:
    """The blocks of a result. Calls and results cannot stand in one: they pass as they are."""
    if not isinstance(content, list):
        raise refuse(where, "must be a string or an array of content blocks")
    return [
        Opaque(NAME, block)
        if isinstance(block, dict) and block.get("type") in ("tool_use", "tool_result")
        else parse_part(block, f"{where}[{index}]")
        for index, block in enumerate(content)
    ]


def _media(block: JSON, where: str) -> Part:
    source = block.get("source")
    if not isinstance(source, dict):
        raise refuse(f"{where}.source", "must be an object")
    image = block["type"] == "image"
    if not image and source.get("type") == "content":
        return _kept(block, _texts(source.get("content")))
    rest = _rest(block)
    del rest["source"]
    media = Media("image" if image else "file", cache=take_cache(rest), extra=rest)
    if not _fill(media, source):
        return Opaque(NAME, block)
    title = rest.get("title")
    if isinstance(title, str) and title and not image:
        media.filename = rest.pop("title")
    return media


def _fill(media: Media, source: JSON) -> bool:
    """Where the medium is, from its source; False for a source of another kind."""
    left = {name: value for name, value in source.items() if name != "type"}
    kind = source.get("type")
    if kind == "url":
        media.url = _pop(left, "url")
        inline = data_url(media.url)
        if inline is not None:
            media.url, (media.media_type, media.data) = "", inline
    elif kind == "file":
        media.file_id = _pop(left, "file_id")
    elif kind in ("base64", "text"):
        media.media_type = _pop(left, "media_type")
        if kind == "base64":
            media.data = _pop(left, "data")
        else:
            media.text = _pop(left, "data")
    if left:
        media.extra["source"] = left
    return bool(media.url or media.file_id or media.data or media.text)


def _pop(left: Extra, name: str) -> str:
    value = left.get(name)
    if not isinstance(value, str):
        return ""
    del left[name]
    return value


def _search_result(block: JSON) -> Part:
    return _kept(block, _texts(block.get("content")))


def _kept(block: JSON, text: str) -> Part:
    """A document of blocks, its text in plain sight of other dialects."""
    rest = dict(block)
    title, source = rest.get("title"), rest.get("source")
    return Kept(
        "file",
        media_type="text/plain",
        filename=title if isinstance(title, str) else "",
        text=f"{source}\n{text}" if isinstance(source, str) and source else text,
        cache=take_cache(rest),
        block=block,
    )


def _texts(content: JSON) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    found = (item.get("text") for item in content if isinstance(item, dict))
    return "\n".join(text for text in found if isinstance(text, str))
