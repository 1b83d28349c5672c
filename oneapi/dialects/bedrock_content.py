"""Parts as content blocks of Bedrock's Converse.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html and its
neighbours (read 2026-11-24), and recordings.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, assert_never

from oneapi.dialects.bedrock_shapes import (
    BLOCK_OF,
    LONGEST_NAME,
    NAME,
    format_of,
    spell_name,
    write_redacted,
)
from oneapi.errors import ApiError
from oneapi.ir import (
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

_ID: Final = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_NOT_ID: Final = re.compile(r"[^a-zA-Z0-9_.:-]")
_NOT_TITLE: Final = re.compile(r"[^a-zA-Z0-9\s()\[\]-]")
_LONGEST_TITLE: Final = 200
BUCKET: Final = "s3://"


class Contents:
    """Renders the parts of one request; `dropped` fills with what the format cannot say.

    `own` says that the parts came from this format and return as they were.
    """

    def __init__(self, *, own: bool) -> None:
        self.own = own
        self.dropped: list[str] = []
        self._titles: dict[str, int] = {}

    def blocks(self, parts: Sequence[Part], where: str) -> list[JSON]:
        """The blocks, cache points among them. Raises `ApiError` 400 naming the part."""
        found: list[JSON] = []
        for j, part in enumerate(parts):
            place = f"{where}[{j}]"
            block = self._block(part, place)
            if block is not None:
                found.append(block)
            mark = _mark(part)
            if mark and found and "cachePoint" not in found[-1]:
                found.append({"cachePoint": self.cache_point(mark, part)})
        return found

    def cache_point(self, ttl: str, marked: JSON) -> JSON:
        """The point that ends a cached prefix; without a lifetime, five minutes are meant."""
        if self.own and "cachePoint" in marked.extra:
            return marked.extra["cachePoint"]
        return {"type": "default", "ttl": ttl} if ttl == "1h" else {"type": "default"}

    def drop_extra(self, extra: dict[str, JSON], where: str) -> None:
        """Members of another dialect, but for the empty ones: they say nothing."""
        if not self.own:
            self.dropped += [f"{where}.{name}" for name, value in extra.items() if value]

    def _block(self, part: Part, where: str) -> JSON:
        """None for what the format cannot say."""
        match part:
            case Text():
                return self._text(part, where)
            case Refusal():
                return {"text": part.text} if part.text.strip() else None
            case Reasoning():
                return self._reasoning(part, where)
            case Media():
                return self._media(part, where)
            case ToolCall():
                return self._call(part, where)
            case ToolResult():
                return self._result(part, where)
            case Opaque():
                return self._opaque(part, where)
            case _:
                assert_never(part)

    def _text(self, part: Text, where: str) -> JSON:
        if self.own:
            for name in ("citationsContent", "json"):
                if name in part.extra:
                    return {name: part.extra[name]}
            return {"text": part.text}
        if part.annotations:
            self.dropped.append(f"{where}.annotations")
        self.drop_extra(part.extra, where)
        return {"text": part.text} if part.text.strip() else None  # blank texts are refused

    def _reasoning(self, part: Reasoning, where: str) -> JSON:
        """Thoughts that nothing vouches for are refused by the models that sign theirs, and those
        that another provider encrypted are of no use to any.
        """
        if part.data and not (part.text or part.id or part.summary):
            return {"reasoningContent": {"redactedContent": write_redacted(part.data)}}
        if not self.own and (not part.signature or part.summary or part.id):
            self.dropped.append(where)
            return None
        said: dict[str, JSON] = {"text": part.text}
        if part.signature or "signature" in part.extra:
            said["signature"] = part.signature
        return {"reasoningContent": {"reasoningText": said}}

    def _call(self, part: ToolCall, where: str) -> JSON:
        if not self.own:
            self.drop_extra(part.extra, where)
        call: dict[str, JSON] = {
            "toolUseId": self._id(part.id),
            "name": tool_name(part.name, f"{where}.name"),
        }
        if part.arguments or not self.own:
            call["input"] = _input(part)
        return {"toolUse": call | _own_members(part) if self.own else call}

    def _result(self, part: ToolResult, where: str) -> JSON:
        result: dict[str, JSON] = {
            "toolUseId": self._id(part.call_id),
            "content": self._result_content(part, where),
        }
        if self.own:
            return {"toolResult": result | _own_members(part)}
        self.drop_extra(part.extra, where)
        if part.error:
            result["status"] = "error"
        return {"toolResult": result}

    def _result_content(self, part: ToolResult, where: str) -> list[JSON]:
        found: list[JSON] = []
        for k, inner in enumerate(part.parts):
            place = f"{where}.content[{k}]"
            if isinstance(inner, Media) and inner.kind == "audio" and not self.own:
                raise _refused(place, "cannot be sound inside a tool's result")
            block = self._block(inner, place)
            if block is not None:
                found.append(block)
        return found

    def _media(self, part: Media, where: str) -> JSON:
        name = BLOCK_OF[part.kind]
        source = self._source(part, where)
        inner: dict[str, JSON] = {}
        format_ = "txt" if part.text and not self.own else ""
        if part.media_type or not self.own:
            format_ = format_ or format_of(part.kind, part.media_type, part.filename, part.data)
        if format_:
            inner["format"] = format_
        elif not self.own:
            raise _refused(where, f"is of a type that is not taken: {part.media_type or 'unknown'}")
        if part.kind == "file":
            inner["name"] = part.filename if self.own else self._title(part)
        inner["source"] = source
        if self.own:
            return {name: inner | _own_members(part)}
        self._cited(part, inner, where)
        return {name: inner}

    def _source(self, part: Media, where: str) -> JSON:
        if self.own and "source" in part.extra:
            return part.extra["source"]
        if part.data:
            return {"bytes": part.data}
        if part.text:
            return {"bytes": b64encode(part.text.encode("utf-8", "replace")).decode()}
        if part.url.startswith(BUCKET):
            return {"s3Location": {"uri": part.url}}
        if part.url:
            raise _refused(where, "must be given as data: its URL could not be fetched")
        raise _refused(where, "must be given as data: files of other providers are not known here")

    def _cited(self, part: Media, inner: dict[str, JSON], where: str) -> None:
        """Citations and context of a document are the same in the format of the models' vendor."""
        extra = dict(part.extra)
        wanted, context = extra.get("citations"), extra.get("context")
        if part.kind == "file" and isinstance(wanted, dict) and wanted.get("enabled") is True:
            inner["citations"] = {"enabled": True}
            del extra["citations"]
        if part.kind == "file" and isinstance(context, str) and context:
            inner["context"] = context
            del extra["context"]
        self.drop_extra(extra, where)

    def _title(self, part: Media) -> str:
        """The document's name in the letters that are allowed, unlike those before it."""
        stem, dot, ending = part.filename.rpartition(".")
        plain = stem if dot and len(ending) <= 5 else part.filename
        plain = " ".join(_NOT_TITLE.sub(" ", plain).split())[: _LONGEST_TITLE - 8].strip()
        plain = title = plain or "Document"
        while title in self._titles:
            self._titles[plain] += 1
            title = f"{plain} {self._titles[plain]}"
        self._titles[title] = 1
        return title

    def _opaque(self, part: Opaque, where: str) -> JSON:
        if part.dialect == NAME:
            return part.data
        found = _search_result(part.data)
        if found is None:
            self.dropped.append(where)
        return found

    def _id(self, id_: str) -> str:
        """A call's id in the letters that are allowed; the same for its result."""
        if self.own or _ID.fullmatch(id_):
            return id_
        digest = sha256(id_.encode("utf-8", "replace")).hexdigest()[:12]
        return f"{_NOT_ID.sub('_', id_)[:48]}_{digest}"


def _own_members(part: Media | ToolCall | ToolResult) -> dict[str, JSON]:
    """A block's members beyond the middle, without what the parser keeps there of its places."""
    return {k: v for k, v in part.extra.items() if k not in ("cachePoint", "source")}


def tool_name(name: str, where: str) -> str:
    """The name as the format spells it. Raises `ApiError` 400 for one that is too long."""
    spelt = spell_name(name)
    if not 0 < len(spelt) <= LONGEST_NAME:
        raise _refused(where, f"must have 1 to {LONGEST_NAME} letters here, spelt {spelt[:80]!r}")
    return spelt


def _mark(part: Part) -> str:
    """The cache mark of a part, or of one inside a tool's result: points stand between blocks."""
    if isinstance(part, ToolResult):
        inner = (p.cache for p in reversed(part.parts) if isinstance(p, (Text, Media)) and p.cache)
        return part.cache or next(inner, "")
    return part.cache if isinstance(part, (Text, Media, ToolCall)) else ""


def _input(call: ToolCall) -> JSON:
    """The arguments, which must be an object here: any other text becomes its member `input`."""
    if call.custom:
        return {"input": call.arguments}
    try:
        value = decode(call.arguments.encode("utf-8", "replace")) if call.arguments else {}
    except MalformedJSON:
        return {"input": call.arguments}
    return value if isinstance(value, dict) else {"input": call.arguments}


def _search_result(data: JSON) -> JSON:
    """A search result in the shape of the models' vendor as a block of this format."""
    if not isinstance(data, dict) or data.get("type") != "search_result":
        return None
    source, title, content = data.get("source"), data.get("title"), data.get("content")
    if not isinstance(source, str) or not isinstance(title, str) or not isinstance(content, list):
        return None
    texts = [
        {"text": item["text"]}
        for item in content
        if isinstance(item, dict) and isinstance(item.get("text"), str)
    ]
    found: dict[str, JSON] = {"source": source, "title": title, "content": texts}
    wanted = data.get("citations")
    if isinstance(wanted, dict) and wanted.get("enabled") is True:
        found["citations"] = {"enabled": True}
    return {"searchResult": found}


def _refused(param: str, what: str) -> ApiError:
    return ApiError(400, f"`{param}` {what}", code="unsupported_value", param=param)
