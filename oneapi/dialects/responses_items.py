"""Items of the Responses dialect as parts of the middle: a conversation's and an answer's.

https://platform.openai.com/docs/api-reference/responses/create#responses-create-input (read
2026-11-24). Items that only this dialect knows (calls of hosted tools, references) stay opaque.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from oneapi.dialects.base_bodies import encode_text
from oneapi.dialects.base_turns import data_url
from oneapi.dialects.responses_shapes import (
    BETWEEN,
    NAME,
    Object,
    bad,
    list_in,
    rest_of,
    text_in,
    unseal,
    word_in,
)
from oneapi.ir import Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from oneapi.wire.json import JSON

SUMMARY: Final = "What happened in this conversation so far, as a summary:\n\n"
"""Stands before the summary that a compaction of our own holds."""

COMPACTING: Final = (
    "You are about to run out of context. Write a summary of this conversation for the model that "
    "goes on with it: what the user wants, what was done and decided, files and commands by name, "
    "what is left to do and what must not be forgotten. Answer with the summary alone."
)
COMPACTIONS: Final = ("compaction", "compaction_summary", "context_compaction")
TRIGGER: Final = "compaction_trigger"
"""An item that ends an input: the answer is to be one compaction of all before it."""

CALLS: Final = {"function_call": "arguments", "custom_tool_call": "input"}
RESULTS: Final = ("function_call_output", "custom_tool_call_output")
TEXTS: Final = ("input_text", "output_text", "text")


def read_content(value: JSON, at: str) -> list[Part]:
    """What a message or a tool's result holds: a string, or a list of parts."""
    if isinstance(value, str):
        return [Text(value)]
    if not isinstance(value, list):
        raise bad(at, "must be a string or an array")
    return [read_part(part, f"{at}[{i}]") for i, part in enumerate(value)]


def read_part(value: JSON, at: str) -> Part:
    """One part of a content. Raises `ApiError` 400 naming it."""
    if not isinstance(value, dict):
        raise bad(at, "must be an object")
    kind = value.get("type")
    if not isinstance(kind, str):
        raise bad(f"{at}.type", "must be a string")
    if kind in TEXTS:
        text = text_in(value, "text", at)
        return Text(text, _cache(value), list_in(value, "annotations"), _text_extra(value))
    match kind:
        case "refusal":
            return Refusal(text_in(value, "refusal", at), rest_of(value, "type", "refusal"))
        case "input_image":
            return _image(value, at)
        case "input_file":
            return _file(value, at)
        case "input_audio":
            return _audio(value, at)
        case _:
            return Opaque(NAME, value)


def read_call(item: Object, kind: str, at: str) -> ToolCall:
    """A call in a conversation, where its text must be one."""
    text_in(item, CALLS[kind], at)
    text_in(item, "name", at)
    word_in(item, "call_id", at)
    return call_of(item, kind)


def call_of(item: Object, kind: str) -> ToolCall:
    """A call of an answer: what is missing is left empty, arguments as an object become text."""
    arguments = item.get(CALLS[kind])
    if arguments is not None and not isinstance(arguments, str):
        arguments = encode_text(arguments)
    return ToolCall(
        id=word_in(item, "call_id"),
        name=word_in(item, "name"),
        arguments=arguments or "",
        custom=kind == "custom_tool_call",
        namespace=word_in(item, "namespace"),
        item_id=word_in(item, "id"),
        extra=rest_of(
            item, "type", "id", "call_id", "name", "arguments", "input", "namespace", "status"
        ),
    )


def read_result(item: Object, kind: str, at: str) -> ToolResult:
    return ToolResult(
        call_id=word_in(item, "call_id", at),
        parts=read_content(item.get("output"), f"{at}.output"),
        name=word_in(item, "name", at),
        custom=kind == "custom_tool_call_output",
        extra=rest_of(item, "type", "id", "call_id", "name", "output", "status"),
    )


def thoughts_of(item: Object) -> list[Reasoning]:
    """A reasoning item: its thought, its summary, or both; what is encrypted goes with the last.

    A note that was sealed here gives back the thought as its provider made it.
    """
    name, data = word_in(item, "id"), word_in(item, "encrypted_content")
    note = unseal(data)
    if note is not None:
        return [
            Reasoning(
                word_in(note, "text"),
                word_in(note, "signature"),
                word_in(note, "data"),
                note.get("summary") is True,
                word_in(note, "id"),  # the item's own id was made here, the maker knows none
            )
        ]
    found: list[Reasoning] = []
    for member, summary in (("content", False), ("summary", True)):
        texts = [word_in(part, "text") for part in list_in(item, member) if isinstance(part, dict)]
        if texts:
            found.append(Reasoning(BETWEEN.join(texts), summary=summary, id=name))
    if not found:  # without an id, as a summary of which none came: so it is no other vendor's
        found.append(Reasoning(summary=bool(data) and not name, id=name))
    found[-1].data = data
    known = ("type", "id", "status", "summary", "content", "encrypted_content")
    found[-1].extra = rest_of(item, *known)
    return found


def signed_call(item: Object) -> tuple[str, str] | None:
    """The call's id and its signature, where a reasoning item is a sealed note about a call."""
    note = unseal(word_in(item, "encrypted_content"))
    if note is None or not isinstance(note.get("call"), str):
        return None
    return note["call"], word_in(note, "signature")


def output_parts(items: Sequence[JSON]) -> list[Part]:
    """The parts of an answer's items. Raises nothing: what cannot be read is opaque."""
    parts: list[Part] = []
    for item in items:
        kind = item.get("type") if isinstance(item, dict) else None
        if kind == "message":
            parts += [_said(part) for part in list_in(item, "content")]
        elif kind == "reasoning":
            parts += thoughts_of(item)
        elif isinstance(kind, str) and kind in CALLS:
            parts.append(call_of(item, kind))
        else:
            parts.append(Opaque(NAME, item))
    return parts


def said_part(value: JSON) -> Part:
    """A part of an answer's message."""
    return _said(value)


def _said(value: JSON) -> Part:
    if isinstance(value, dict):
        if isinstance(value.get("text"), str) and value.get("type") in TEXTS:
            annotations = list_in(value, "annotations")
            return Text(value["text"], annotations=annotations, extra=_text_extra(value))
        if isinstance(value.get("refusal"), str):
            return Refusal(value["refusal"], rest_of(value, "type", "refusal"))
    return Opaque(NAME, value)


def _text_extra(value: Object) -> Object:
    known = ("type", "text", "annotations", "logprobs", "prompt_cache_breakpoint")
    return rest_of(value, *known)


def _image(value: Object, at: str) -> Media:
    media = Media(
        "image",
        file_id=word_in(value, "file_id", at),
        detail=word_in(value, "detail", at),
        cache=_cache(value),
        extra=rest_of(value, "type", "image_url", "file_id", "detail", "prompt_cache_breakpoint"),
    )
    _fill(media, word_in(value, "image_url", at))
    return _checked(media, f"{at}.image_url")


def _file(value: Object, at: str) -> Media:
    known = ("type", "file_data", "file_url", "file_id", "filename", "detail")
    media = Media(
        "file",
        file_id=word_in(value, "file_id", at),
        filename=word_in(value, "filename", at),
        detail=word_in(value, "detail", at),
        cache=_cache(value),
        extra=rest_of(value, *known, "prompt_cache_breakpoint"),
    )
    _fill(media, word_in(value, "file_url", at))
    data = word_in(value, "file_data", at)
    if data.startswith("data:"):
        _fill(media, data)
    elif data:
        media.data = data
    return _checked(media, f"{at}.file_data")


def _audio(value: Object, at: str) -> Media:
    sound = value.get("input_audio")
    if not isinstance(sound, dict):
        raise bad(f"{at}.input_audio", "must be an object")
    form = word_in(sound, "format", f"{at}.input_audio")
    return Media(
        "audio",
        data=text_in(sound, "data", f"{at}.input_audio"),
        media_type=f"audio/{form}" if form else "",
        extra=rest_of(value, "type", "input_audio"),
    )


def _fill(media: Media, url: str) -> None:
    """The URL, or what it holds itself."""
    held = data_url(url)
    if held is None:
        media.url = url
    else:
        media.media_type, media.data = held


def _checked(media: Media, at: str) -> Media:
    if not (media.url or media.data or media.file_id):
        raise bad(at, "must hold a URL, data or a file's id", "missing_required_parameter")
    return media


def _cache(value: Object) -> str:
    """A breakpoint of the prompt cache, in the nearest lifetime that the middle knows."""
    mark = value.get("prompt_cache_breakpoint")
    if not isinstance(mark, dict):
        return ""
    return "1h" if mark.get("ttl") == "12h" else "5m"
