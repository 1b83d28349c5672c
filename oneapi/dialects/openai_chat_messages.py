"""Messages of OpenAI's chat as the typed middle has them.

https://platform.openai.com/docs/api-reference/chat/create (read 2026-11-24), with what vendors add:
cache marks, `reasoning_content`, `reasoning_details` (https://openrouter.ai/docs, read 2026-11-24),
`thinking` parts (https://docs.mistral.ai, read 2026-11-24), `extra_content` (Google's).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Literal

from oneapi.dialects.base_bodies import encode_text
from oneapi.dialects.base_turns import data_url
from oneapi.dialects.openai_chat_shapes import (
    NAME,
    Turn,
    array,
    bad,
    lifetime,
    obj,
    required,
    rest,
    string,
)
from oneapi.dialects.openai_chat_thoughts import thinking_part, thoughts_of
from oneapi.ir import (
    Extra,
    Media,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from oneapi.wire.json import JSON

_ROLES: Final[Mapping[str, Role]] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_ANYWHERE: Final = ("role", "content", "name", "cache_control")
_OF_ASSISTANT: Final = (
    *_ANYWHERE,
    "refusal",
    "audio",
    "tool_calls",
    "function_call",
    "annotations",
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "thinking_blocks",
)
_OF_TOOL: Final = (*_ANYWHERE, "tool_call_id")
_SUBTYPES: Final = {"mp3": "mpeg"}
"""Formats of sound that media types call otherwise."""
_SUFFIXES: Final = {"pdf": "application/pdf", "txt": "text/plain"}


def parse_messages(value: JSON) -> list[Message]:
    """Raises `ApiError` 400 naming the member (`messages[2].content[0].type`)."""
    messages = array(value, "messages")
    return [_message(obj(m, f"messages[{i}]"), f"messages[{i}]") for i, m in enumerate(messages)]


def _message(value: Extra, at: str) -> Message:
    word = required(value.get("role"), f"{at}.role")
    role = _ROLES.get(word)
    if role is None:
        raise bad(f"{at}.role", f"must be one of {', '.join(_ROLES)}", "invalid_value")
    name = string(value.get("name"), f"{at}.name")
    taken: tuple[str, ...] = _ANYWHERE
    parts = parse_content(value.get("content"), f"{at}.content")
    if role == "assistant":
        taken = _OF_ASSISTANT
        parts = _assistant(value, parts, at)
    elif role == "tool":
        taken = _OF_TOOL
        call_id = string(value.get("tool_call_id"), f"{at}.tool_call_id")
        parts, name = [ToolResult(call_id, parts, name)], ""
    cache = lifetime(value.get("cache_control"))
    if cache and parts:
        parts[-1] = _marked(parts[-1], cache)
    turn = Turn(role, parts, name, rest(value, *taken))
    turn.wire = value
    return turn


def _marked(part: Part, cache: str) -> Part:
    match part:
        case Text() | Media() | ToolCall() | ToolResult():
            return replace(part, cache=part.cache or cache)
        case Refusal() | Reasoning() | Opaque():
            return part


def _assistant(value: Extra, content: list[Part], at: str) -> list[Part]:
    """What an assistant's message holds beside its content, in the order of an answer."""
    parts: list[Part] = [*thoughts_of(value), *content]
    refusal = string(value.get("refusal"), f"{at}.refusal")
    if refusal:
        parts.append(Refusal(refusal))
    audio = value.get("audio")
    if audio is not None:
        audio = obj(audio, f"{at}.audio")
        file_id = required(audio.get("id"), f"{at}.audio.id")
        parts.append(Media("audio", file_id=file_id, extra=rest(audio, "id")))
    annotations = value.get("annotations")
    if isinstance(annotations, list) and annotations:
        _annotate(parts, annotations)
    for i, call in enumerate(array(value.get("tool_calls"), f"{at}.tool_calls")):
        where = f"{at}.tool_calls[{i}]"
        parts.append(_tool_call(obj(call, where), where))
    if value.get("function_call") is not None:
        where = f"{at}.function_call"
        function = obj(value["function_call"], where)
        name = required(function.get("name"), f"{where}.name")
        parts.append(ToolCall("", name, arguments_of(function.get("arguments"))))
    return parts


def _annotate(parts: list[Part], annotations: list[JSON]) -> None:
    for i in range(len(parts) - 1, -1, -1):
        part = parts[i]
        if isinstance(part, Text):
            parts[i] = replace(part, annotations=annotations)
            return


def _tool_call(call: Extra, at: str) -> ToolCall:
    inner = call.get("custom")
    custom = call.get("type") == "custom" or (isinstance(inner, dict) and "function" not in call)
    kind = "custom" if custom else "function"
    inner = obj(call.get(kind), f"{at}.{kind}")
    required(inner.get("name"), f"{at}.{kind}.name")
    string(call.get("id"), f"{at}.id")
    return call_of(call)


def call_of(call: Extra) -> ToolCall:
    """A tool call, of a request or an answer. Raises nothing: wrong types count as absent."""
    inner = call.get("custom")
    custom = isinstance(inner, dict) and not isinstance(call.get("function"), dict)
    kind = "custom" if custom else "function"
    inner = call.get(kind)
    inner = inner if isinstance(inner, dict) else {}
    written = inner.get("input" if custom else "arguments")
    signature, google = signature_of(call.get("extra_content"))
    extra = rest(call, "id", "type", kind, "cache_control", "extra_content")
    if google:
        extra["extra_content"] = google
    more = rest(inner, "name", "input" if custom else "arguments")
    if more:
        extra[kind] = more
    return ToolCall(
        id=_text(call.get("id")),
        name=_text(inner.get("name")),
        arguments=arguments_of(written),
        custom=custom,
        signature=signature,
        cache=lifetime(call.get("cache_control")),
        extra=extra,
    )


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else ""


def arguments_of(value: JSON) -> str:
    """Arguments as text: some servers write the object itself."""
    if value is None:
        return ""
    return value if isinstance(value, str) else encode_text(value)


def signature_of(value: JSON) -> tuple[str, Extra]:
    """The thought signature in `extra_content`, and what else stands there."""
    if not isinstance(value, dict):
        return "", {}
    google = value.get("google")
    google = google if isinstance(google, dict) else {}
    found = google.get("thought_signature")
    if not isinstance(found, str) or not found:
        return "", value
    others = rest(value, "google")
    more = rest(google, "thought_signature")
    return found, {**others, "google": more} if more else others


def parse_content(value: JSON, at: str) -> list[Part]:
    """The parts of a content: a string is one text, an empty one none. Raises `ApiError` 400."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [Text(value)]
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise bad(at, "must be a string or an array of parts")
    return [_part(part, f"{at}[{i}]") for i, part in enumerate(value)]


def _part(value: JSON, at: str) -> Part:
    if isinstance(value, str):
        return Text(value)
    part = obj(value, at)
    kind = required(part.get("type"), f"{at}.type")
    parse = _PARTS.get(kind)
    return Opaque(NAME, part) if parse is None else parse(part, at)


def _text_part(part: Extra, at: str) -> Part:
    text = required(part.get("text"), f"{at}.text")
    cache = lifetime(part.get("cache_control"))
    return Text(text, cache, extra=rest(part, "type", "text", "cache_control"))


def _refusal_part(part: Extra, at: str) -> Part:
    return Refusal(required(part.get("refusal"), f"{at}.refusal"), rest(part, "type", "refusal"))


def _thinking_part(part: Extra, at: str) -> Part:
    return thinking_part(part)


def _url_part(kind: Literal["image", "audio", "video"]) -> Callable[[Extra, str], Part]:
    """Parts `image_url`, `audio_url` and `video_url`: an object with a URL, or the URL itself."""
    member = f"{kind}_url"

    def parse(part: Extra, at: str) -> Part:
        inner = part.get(member)
        where = f"{at}.{member}"
        if isinstance(inner, str):
            inner = {"url": inner}
        else:
            where, inner = f"{where}.url", obj(inner, where)
        media = _located(kind, required(inner.get("url"), where))
        media.detail = string(inner.get("detail"), f"{at}.{member}.detail")
        return _finished(media, part, member, rest(inner, "url", "detail"))

    return parse


def _audio_part(part: Extra, at: str) -> Part:
    inner = part.get("input_audio")
    where = f"{at}.input_audio"
    if isinstance(inner, str):  # Mistral's: the data alone
        inner = {"data": inner}
    else:
        where, inner = f"{where}.data", obj(inner, where)
    media = _located("audio", required(inner.get("data"), where), data=True)
    form = string(inner.get("format"), f"{at}.input_audio.format")
    if form and not media.media_type:
        media.media_type = f"audio/{_SUBTYPES.get(form, form)}"
    return _finished(media, part, "input_audio", rest(inner, "data", "format"))


def _file_part(part: Extra, at: str) -> Part:
    inner = obj(part.get("file"), f"{at}.file")
    media = _located("file", string(inner.get("file_data"), f"{at}.file.file_data"), data=True)
    media.file_id = string(inner.get("file_id"), f"{at}.file.file_id")
    media.filename = string(inner.get("filename"), f"{at}.file.filename")
    if media.data and not media.media_type:
        media.media_type = _SUFFIXES.get(media.filename.rpartition(".")[2].lower(), "")
    return _finished(media, part, "file", rest(inner, "file_data", "file_id", "filename"))


def _document_part(part: Extra, at: str) -> Part:
    media = _located("file", required(part.get("document_url"), f"{at}.document_url"))
    media.filename = string(part.get("document_name"), f"{at}.document_name")
    return _finished(media, rest(part, "document_name"), "document_url", {})


def _located(
    kind: Literal["image", "audio", "video", "file"], where: str, *, data: bool = False
) -> Media:
    """A medium by its URL, which may hold it whole; `data` says that bare base64 stands there."""
    found = data_url(where)
    if found is not None:
        return Media(kind, media_type=found[0], data=found[1])
    if data and not where.startswith(("http://", "https://")):
        return Media(kind, data=where)
    return Media(kind, url=where)


def _finished(media: Media, part: Extra, member: str, more: Extra) -> Media:
    media.cache = lifetime(part.get("cache_control"))
    media.extra = rest(part, "type", member, "cache_control")
    if more:
        media.extra[member] = more
    return media


_PARTS: Final[Mapping[str, Callable[[Extra, str], Part]]] = {
    "text": _text_part,
    "refusal": _refusal_part,
    "thinking": _thinking_part,
    "image_url": _url_part("image"),
    "audio_url": _url_part("audio"),
    "video_url": _url_part("video"),
    "input_audio": _audio_part,
    "file": _file_part,
    "document_url": _document_part,
}
