"""Parts of Gemini's contents and the middle's, both ways.

https://ai.google.dev/api/caching#Part (read 2026-11-24). A part holds one of text, inlineData,
fileData, functionCall and functionResponse; what else there is (executableCode, toolCall …), or a
thought that is no text, is passed to this dialect alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from oneapi.dialects.base_bodies import encode_text
from oneapi.dialects.gemini_seal import Borrowed, unseal
from oneapi.dialects.gemini_shapes import bad, join, message, text
from oneapi.errors import ApiError
from oneapi.ir import (
    Extra,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from oneapi.wire.json import JSON, MalformedJSON, decode

NAME: Final = "gemini"
_KNOWN: Final = frozenset({"text", "inlineData", "fileData", "functionCall", "functionResponse"})
_OTHER: Final = frozenset(
    {"executableCode", "codeExecutionResult", "toolCall", "toolResponse", "audioTranscription"}
)
_URL_SAFE: Final = str.maketrans("-_", "+/")
_GOOGLES: Final = re.compile(
    r"gs://|https?://[\w.\-]*googleapis\.com/\w+/(?:v\w+/)?files/|https?://generativelanguage"
    r"\.googleapis\.com/|files/",
    re.IGNORECASE,
)
_FILMS: Final = re.compile(r"https?://(?:[\w\-]+\.)?(?:youtube\.com|youtu\.be)/", re.IGNORECASE)
Kind = Literal["image", "audio", "video", "file"]


def parse_part(value: JSON, where: str) -> Part:
    """One part. Raises `ApiError` 400 naming the member."""
    if isinstance(value, str):
        return Text(value)
    found = message(value, where)
    kinds = [name for name in found if name in _KNOWN]
    thought = found.get("thought") is True
    odd = len(kinds) > 1 or (thought and kinds not in ([], ["text"]))
    if odd or not found or not _OTHER.isdisjoint(found):
        return Opaque(NAME, value)
    if thought:
        return _reasoning(found, where)
    if found.get("thought") is False:
        del found["thought"]
    match kinds:
        case ["inlineData"]:
            return _blob(found, where)
        case ["fileData"]:
            return _file(found, where)
        case ["functionCall"]:
            return _call(found, where)
        case ["functionResponse"]:
            return _result(found, where)
        case ["text"]:
            return Text(text(found, "text", where), extra=found)
        case _:
            return Text("", extra=found) if "thoughtSignature" in found else Opaque(NAME, value)


def lenient_part(value: JSON) -> Part:
    """The same of an answer: what cannot be read is passed on as it is."""
    try:
        return parse_part(value, "")
    except ApiError:
        return Opaque(NAME, value)


def render_part(part: Part, *, own: bool) -> dict[str, JSON] | None:
    """One part; None for what this format cannot say. `own` says that it came from this dialect:
    then its further members return.
    """
    match part:
        case Text():
            return {"text": part.text, **(part.extra if own else {})}
        case Refusal():
            return {"text": part.text}
        case Reasoning():
            return _render_reasoning(part, own)
        case Media():
            return _render_media(part, own)
        case ToolCall():
            return render_call(part, own=own)
        case ToolResult():
            return _render_result(part, own)
        case Opaque():
            return part.data if part.dialect == NAME and isinstance(part.data, dict) else None


def render_call(call: ToolCall, *, own: bool) -> dict[str, JSON]:
    """A functionCall with its signature."""
    outer, inner = _extras(call.extra, "functionCall") if own else ({}, {})
    told: dict[str, JSON] = {"name": call.name, **inner}
    if call.id:
        told = {"id": call.id, **told}
    if call.arguments or not own:
        told["args"] = arguments_of(call.arguments)
    found: dict[str, JSON] = {"functionCall": told, **outer}
    if call.signature:
        found["thoughtSignature"] = call.signature
    return found


def arguments_of(arguments: str) -> dict[str, JSON]:
    """Arguments as the object that this format wants; a text that is none is its `input`."""
    if not arguments.strip():
        return {}
    try:
        value = decode(arguments.encode())
    except (MalformedJSON, UnicodeEncodeError):
        return {"input": arguments}
    return value if isinstance(value, dict) else {"input": arguments}


def kind_of(media_type: str, url: str = "") -> Kind:
    """What a media type is of; a film's page has none."""
    match media_type.partition("/")[0].lower():
        case "image":
            return "image"
        case "audio":
            return "audio"
        case "video":
            return "video"
    return "video" if not media_type and _FILMS.match(url) else "file"


def stays_file(url: str) -> bool:
    """Whether the provider reads the URL itself: its own files, its storage, films."""
    return _GOOGLES.match(url) is not None or _FILMS.match(url) is not None


def _reasoning(found: dict[str, JSON], where: str) -> Part:
    del found["thought"]
    signature = text(found, "thoughtSignature", where)
    said = text(found, "text", where)
    borrowed = unseal(said, signature)
    if borrowed is not None:
        borrowed.extra = found
        return borrowed
    return Reasoning(said, signature, summary=True, extra=found)


def _blob(found: dict[str, JSON], where: str) -> Media:
    media = _blob_of(found, where)
    media.extra = {**found, **media.extra}
    return media


def _blob_of(found: dict[str, JSON], where: str) -> Media:
    place = join(where, "inlineData")
    blob = message(found.pop("inlineData"), place)
    data, media_type = text(blob, "data", place), text(blob, "mimeType", place)
    name = text(blob, "displayName", place)
    extra: Extra = {"inlineData": blob} if blob else {}
    return Media(
        kind_of(media_type), data=_standard(data), media_type=media_type, filename=name, extra=extra
    )


def _file(found: dict[str, JSON], where: str) -> Media:
    media = _file_of(found, where)
    media.extra = {**found, **media.extra}
    return media


def _file_of(found: dict[str, JSON], where: str) -> Media:
    place = join(where, "fileData")
    file = message(found.pop("fileData"), place)
    uri, media_type = text(file, "fileUri", place), text(file, "mimeType", place)
    media = Media(kind_of(media_type, uri), media_type=media_type)
    media.filename = text(file, "displayName", place)
    if _GOOGLES.match(uri):
        media.file_id = uri
    else:
        media.url = uri
    if file:
        media.extra = {"fileData": file}
    return media


def _call(found: dict[str, JSON], where: str) -> ToolCall:
    place = join(where, "functionCall")
    call = message(found.pop("functionCall"), place)
    args = call.pop("args", None)
    if args is not None and not isinstance(args, dict):
        raise bad(join(place, "args"), "must be an object")
    made = ToolCall(text(call, "id", place), text(call, "name", place))
    made.arguments = "" if args is None else encode_text(args)
    made.signature = text(found, "thoughtSignature", where)
    made.extra = {**found, "functionCall": call} if call else found
    return made


def _result(found: dict[str, JSON], where: str) -> ToolResult:
    place = join(where, "functionResponse")
    told = message(found.pop("functionResponse"), place)
    response = told.pop("response", None)
    if response is not None and not isinstance(response, dict):
        raise bad(join(place, "response"), "must be an object")
    result = ToolResult(text(told, "id", place), [], name=text(told, "name", place))
    if response is not None:
        said, result.error = _said(response)
        result.parts.append(Text(said))
    inner = told.pop("parts", None)
    if inner is not None and not isinstance(inner, list):
        raise bad(join(place, "parts"), "must be an array")
    for number, part in enumerate(inner or ()):
        result.parts.append(_inner(part, f"{place}.parts[{number}]"))
    result.extra = {**found, "functionResponse": told} if told else found
    return result


def _inner(value: JSON, where: str) -> Part:
    """A part of a result: media alone."""
    found = message(value, where)
    if "inlineData" in found:
        return _blob(found, where)
    if "fileData" in found:
        return _file(found, where)
    return Opaque(NAME, value)


def _said(response: dict[str, JSON]) -> tuple[str, bool]:
    """A result as text, and whether it is an error: what `{"result": …}` and `{"error": …}` wrap,
    the object's JSON for any other. `_response` is the inverse.
    """
    if len(response) == 1:
        ((name, value),) = response.items()
        if isinstance(value, str) and not _is_object(value):
            if name == "result":
                return value, False
            if name == "error":
                return value, True
    return encode_text(response), False


def _response(said: str, error: bool) -> dict[str, JSON]:
    if not error and _is_object(said):
        value = decode(said.encode())
        assert isinstance(value, dict)
        return value
    return {"error" if error else "result": said}


def _is_object(said: str) -> bool:
    if not said.lstrip().startswith("{"):
        return False
    try:
        return isinstance(decode(said.encode()), dict)
    except (MalformedJSON, UnicodeEncodeError):
        return False


def _render_reasoning(part: Reasoning, own: bool) -> dict[str, JSON]:
    found: dict[str, JSON] = {"text": part.text, "thought": True}
    if own:
        signature = part.sealed if isinstance(part, Borrowed) else part.signature
        if signature:
            found["thoughtSignature"] = signature
        found.update(part.extra)
    return found


def _render_media(part: Media, own: bool) -> dict[str, JSON] | None:
    if part.text and not part.data:
        return {"text": part.text}
    member = "inlineData" if part.data or not (part.url or part.file_id) else "fileData"
    outer, inner = _extras(part.extra, member) if own else ({}, {})
    told: dict[str, JSON] = {"mimeType": part.media_type} if part.media_type else {}
    if member == "inlineData":
        if not part.data and not own:
            return None
        told["mimeType"] = part.media_type or _sniffed(part.data)
        told["data"] = part.data
    else:
        told["fileUri"] = part.url or part.file_id
    if own and part.filename:
        told["displayName"] = part.filename
    return {member: {**told, **inner}, **outer}


def _render_result(part: ToolResult, own: bool) -> dict[str, JSON]:
    outer, inner = _extras(part.extra, "functionResponse") if own else ({}, {})
    told: dict[str, JSON] = {"name": part.name}
    if part.call_id:
        told = {"id": part.call_id, **told}
    texts = [p.text for p in part.parts if isinstance(p, Text | Refusal)]
    if texts or not own:
        told["response"] = _response("\n".join(texts), part.error)
    media = [
        render_part(p, own=own) for p in part.parts if not isinstance(p, Text | Refusal | ToolCall)
    ]
    nested = [found for found in media if found is not None]
    if nested:
        told["parts"] = nested
    return {"functionResponse": {**told, **inner}, **outer}


def _extras(extra: Extra, member: str) -> tuple[Extra, Mapping[str, JSON]]:
    """The part's own further members, and those inside its one message."""
    inner = extra.get(member)
    outer = {name: value for name, value in extra.items() if name != member}
    return outer, inner if isinstance(inner, dict) else {}


def _standard(data: str) -> str:
    """Base64 in the standard alphabet, padded: Google takes the URL-safe one as well, and its
    Python library sends that. What mixes the two is neither and stays.
    """
    if "-" in data or "_" in data:
        if "+" in data or "/" in data:
            return data
        data = data.translate(_URL_SAFE)
    return data + "=" * (-len(data) % 4)


def _sniffed(data: str) -> str:
    """The media type by the first bytes of the base64, for media that came without one."""
    for start, media_type in _MAGIC:
        if data.startswith(start):
            return media_type
    return "application/octet-stream"


_MAGIC: Final = (
    ("iVBOR", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi", "application/pdf"),
    ("SUQz", "audio/mpeg"),
    ("T2dn", "audio/ogg"),
)
