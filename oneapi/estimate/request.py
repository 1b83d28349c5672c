"""How many tokens a request's input is, in any of the clients' dialects: a walk over its members.

Texts are gathered and counted together. Media cost what their rule says, whatever their bytes;
tools and the arguments of calls cost what their JSON is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from oneapi.estimate.families import Family
from oneapi.estimate.media import USUAL, MediaRule, Medium, kind_of, medium_tokens
from oneapi.wire.json import JSON, MalformedJSON, Raw, decode, encode

_DEPTH = 32
"""Levels of nesting that are followed."""
_ITEMS = 20_000
"""Values of one member that are looked at: a million empty objects would stop the event loop."""
_LONG = 2_000
"""Items of a list that are looked at: of a longer one, as many spaced evenly."""
_MOST_FRAME = 1_024
"""What providers add to a request of their own, at most: instructions for tools."""
_LEAST_TOOL = 4
_LEAST_PAGE = 50
"""Bytes of a page of a PDF, at least."""
_PDF_BASE64 = b"JVBERi"
"""%PDF."""

_TEXTS = (
    "prompt",
    "instruction",
    "system",
    "systemInstruction",
    "system_instruction",
    "instructions",
)
_TURNS = ("messages", "contents", "input")
_TOOLS = ("tools", "functions", "toolConfig")
_FORMATS = ("response_format", "text", "output_format", "output_config")
"""Where dialects have what is read: OpenAI's, Gemini's, Anthropic's, Ollama's, Bedrock's."""
_UNREAD = frozenset(
    "type role id call_id tool_call_id tool_use_id toolUseId signature thoughtSignature "
    "thought_signature encrypted_content cache_control cachePoint status detail media_type "
    "mimeType mime_type format data file_id fileUri file_uri filename redacted".split()
)
"""Members whose texts are no part of the prompt, or not known to be."""
_STRUCTURED = frozenset("input args response arguments json parameters input_schema".split())
"""Members that models read as JSON, with their names."""


@dataclass(slots=True)
class _Walk:
    """What is left to be looked at, and the tokens of what is no text."""

    rule: MediaRule
    budget: int = _ITEMS
    count: int = 0
    texts: list[str] = field(default_factory=list)


def request_tokens(
    request: JSON,
    kind: Family,
    rule: MediaRule,
    count: Callable[[str], float],
    *,
    chat: bool = False,
) -> int:
    """About how many tokens a request's input is: messages and tools, a prompt, or an input.

    Takes the decoded object, or its members as they were cut. `count` counts a text. `chat` is for
    requests whose dialect makes a message of an input or a prompt that is only a text. Arrays of
    integers are tokens already. Odd shapes count as what can be read of them; nothing is raised.
    """
    if isinstance(request, Mapping) and "generateContentRequest" in request:
        request = _decoded(request["generateContentRequest"])  # the question how many they are
    if not isinstance(request, Mapping):
        return 0
    total, texts, turned = 0.0, list[str](), 0
    for name in (*_TURNS, *_TEXTS):
        value, share = _sampled(_decoded(request.get(name)))
        walk = _Walk(rule)
        _visit(walk, value, _DEPTH)
        turns = _turns(value) if name in _TURNS else 0
        turned += turns
        chat = chat or (turns > 0 and name != "input")
        if walk.budget < 0:  # it is not all looked at: what it is as JSON is no less
            walk = _Walk(rule, texts=[_json(value)])
        total += (walk.count + turns * kind.message) * share
        if share == 1:
            texts += walk.texts
        else:
            total += count("\n".join(walk.texts)) * share
    if chat:
        total += kind.request + (0 if turned else kind.message)
    total += _images(_decoded(request.get("images")), rule)
    total += sum(_offered(_decoded(request.get(name)), kind, count) for name in _TOOLS)
    total += sum(_wanted(_decoded(request.get(name)), kind, count) for name in _FORMATS)
    return round(total + count("\n".join(texts)))


def at_most(body: bytes | int, rule: MediaRule = USUAL) -> int:
    """What a request's input cannot exceed, by its body at little cost, or by its length at none.

    A token is a byte at least, and JSON does not shorten. To that comes what providers add, and
    for a body at hand what its pictures may cost, and the pages of a PDF inside. A length alone is
    a bound for requests of text; documents, sound and film by an address have none but the model's
    window.
    """
    if isinstance(body, int):
        return body + _MOST_FRAME
    bound = len(body) + _MOST_FRAME
    bound += rule.image_most * (body.count(b"image") + body.count(b"fileData"))
    if b"application/pdf" in body or _PDF_BASE64 in body:
        bound += len(body) // _LEAST_PAGE * rule.page
    return bound


def _sampled(value: JSON) -> tuple[JSON, float]:
    """The value, or items of a long list of anything but tokens, and how much more there is."""
    if not isinstance(value, list) or len(value) <= _LONG or _integers(value):
        return value, 1
    return [value[at * len(value) // _LONG] for at in range(_LONG)], len(value) / _LONG


def _integers(value: list[JSON]) -> bool:
    """Whether a list is of tokens, as far as some items spaced evenly tell."""
    return bool(value) and all(type(item) is int for item in value[:: len(value) // _LONG + 1])


def _turns(value: JSON) -> int:
    if not isinstance(value, list) or _integers(value):
        return 0
    return sum(isinstance(item, dict) for item in value)


def _visit(walk: _Walk, value: JSON, depth: int) -> None:
    walk.budget -= 1
    if walk.budget < 0:
        return
    if isinstance(value, str):
        if value[:5] == "data:" and ";base64," in value[:100]:
            walk.count += medium_tokens(_addressed(value), walk.rule)
        else:
            walk.texts.append(value)
    elif isinstance(value, list) and depth:
        if _integers(value):
            walk.count += len(value)
            return
        for item in value[: walk.budget + 1]:  # the one beyond tells that it is too much
            _visit(walk, item, depth - 1)
    elif isinstance(value, dict) and depth:
        _visit_object(walk, value, depth)


def _visit_object(walk: _Walk, value: dict[str, Any], depth: int) -> None:
    medium = _medium(value)
    if medium is not None:
        walk.count += medium_tokens(medium, walk.rule)
        return
    for name, item in value.items():
        if name in _STRUCTURED and isinstance(item, dict):
            walk.texts.append(_json(item))
        elif name == "images":
            walk.count += _images(item, walk.rule)
        elif name not in _UNREAD:
            _visit(walk, item, depth - 1)


def _images(value: JSON, rule: MediaRule) -> int:
    """Pictures beside a message's text, as bare base64."""
    found, share = _sampled(value if isinstance(value, list) else [])
    pictures = (Medium("image", item if isinstance(item, str) else "") for item in found)
    return round(sum(medium_tokens(picture, rule) for picture in pictures) * share)


def _medium(part: dict[str, Any]) -> Medium | None:
    """A part that is no text, None for any other. Its shape tells the dialect."""
    kind = part.get("type")
    for inline in (part.get("inlineData"), part.get("inline_data")):
        if isinstance(inline, dict):
            mime = _text(inline, "mimeType") or _text(inline, "mime_type")
            return Medium(kind_of(mime), _text(inline, "data"), mime)
    for named in (part.get("fileData"), part.get("file_data")):
        if isinstance(named, dict):
            mime = _text(named, "mimeType") or _text(named, "mime_type")
            return Medium(kind_of(mime), "", mime)
    if kind in ("image_url", "input_image", "image"):
        return _picture(part)
    if kind in ("input_audio", "audio"):
        inner = part.get("input_audio") or part.get("audio")
        return Medium("audio", _text(inner, "data") if isinstance(inner, dict) else "", "audio/")
    if kind in ("video_url", "video"):
        return Medium("video")
    if kind == "document_url":
        url = _text(part, "document_url")
        return _addressed(url) if url[:5] == "data:" else Medium("file")
    if kind in ("file", "input_file", "document"):
        return _document(part)
    return None


def _picture(part: dict[str, Any]) -> Medium:
    image, source = part.get("image_url"), part.get("source")
    detail = _text(part, "detail")
    if isinstance(image, dict):
        detail, image = _text(image, "detail"), image.get("url")
    if isinstance(image, str) and image[:5] == "data:":
        return _addressed(image, detail)
    data = _text(source, "data") if isinstance(source, dict) else ""
    return Medium("image", data, "image/", detail)


def _document(part: dict[str, Any]) -> Medium | None:
    """A file; None for a document that is written text, or made of parts."""
    file, source = part.get("file"), part.get("source")
    data = _text(file, "file_data") if isinstance(file, dict) else _text(part, "file_data")
    if data[:5] == "data:":
        return _addressed(data)
    if not isinstance(source, dict):
        return Medium("file", data)
    if source.get("type") in ("text", "content"):
        return None
    return Medium("file", _text(source, "data"), _text(source, "media_type"))


def _addressed(url: str, detail: str = "") -> Medium:
    """What a data URL holds."""
    head, _, data = url.partition(",")
    mime = head[5:].partition(";")[0]
    return Medium(kind_of(mime), data, mime, detail)


def _text(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _offered(value: JSON, kind: Family, count: Callable[[str], float]) -> float:
    """Tools as models read them: their JSON, more or less, and instructions on how to call."""
    if isinstance(value, dict):
        value = value.get("tools")
    tools, share = _sampled(value)
    if not isinstance(tools, list) or not tools:
        return 0
    texts = list(islice(_declared(tools), _ITEMS + 1))
    if len(texts) > _ITEMS:  # as JSON, they are no less
        texts.append(_json(tools))
    least = _LEAST_TOOL * len(texts)
    each = max(least, kind.tool * len(texts) + kind.schema * count("\n".join(texts)))
    return kind.tools + each * share


def _wanted(value: JSON, kind: Family, count: Callable[[str], float]) -> float:
    """A schema that the answer must follow: models read it too."""
    for _ in range(3):
        if not isinstance(value, dict):
            return 0
        if isinstance(value.get("schema"), dict):
            return kind.schema * count(_json(value["schema"]))
        value = value.get("json_schema") or value.get("format")
    return 0


def _declared(tools: list[JSON]) -> Iterator[str]:
    """The JSON of each function, without what wraps it."""
    for tool in tools:
        if not isinstance(tool, dict):
            continue
        several = tool.get("functionDeclarations") or tool.get("function_declarations")
        for one in several if isinstance(several, list) else [tool]:
            inner = one.get("function") or one.get("toolSpec") if isinstance(one, dict) else None
            yield _json(inner or one)


def _json(value: JSON) -> str:
    try:
        return encode(value).decode()
    except (TypeError, ValueError, RecursionError):
        return ""


def _decoded(value: JSON) -> JSON:
    if not isinstance(value, (bytes, Raw)):
        return value
    try:
        return decode(value)
    except MalformedJSON:
        return None
