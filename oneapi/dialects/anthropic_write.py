"""Requests of Anthropic's dialect from the middle again, as they were given.

The inverse of `anthropic_parse` and `anthropic_blocks`, for requests of this dialect and whatever
was changed in them since. Normalised: the order of members, a `data:` URL that stood as a URL (it
becomes base64), a thinking block without a `signature` (it gets an empty one).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from oneapi.dialects.anthropic_blocks import canonical_mark
from oneapi.dialects.anthropic_forms import (
    NAME,
    Borrowed,
    Function,
    Kept,
    Request,
    Result,
    Schema,
    Streamed,
    Turn,
    input_of,
    wrap,
)
from oneapi.ir import (
    ChatRequest,
    Extra,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from oneapi.wire.json import JSON


def write_request(chat: ChatRequest) -> JSON:
    """The request, `chat.source` being this dialect."""
    body: JSON = {"model": chat.model} if chat.model else {}
    system, messages = _split(chat.messages)
    if system is not None:
        body["system"] = _content(system)
    body["messages"] = [write_message(message) for message in messages]
    write_settings(chat, body)
    if chat.tools:
        body["tools"] = [write_tool(tool) for tool in chat.tools]
    choice = write_choice(chat.tool_choice, chat.parallel_tools)
    if choice is not None:
        body["tool_choice"] = choice
    if chat.user:
        body["metadata"] = {"user_id": chat.user}
    _thinking(chat, body)
    body.update(_merged(body, chat.extra))
    if isinstance(chat, Request):
        for name, value in chat.idle.items():
            body.setdefault(name, value)
    return body


def write_settings(chat: ChatRequest, body: JSON) -> None:
    """The members that are numbers and words."""
    for name, value in (
        ("max_tokens", chat.max_output),
        ("temperature", chat.temperature),
        ("top_p", chat.top_p),
        ("top_k", chat.top_k),
    ):
        if value is not None:
            body[name] = value
    if chat.stream:
        body["stream"] = True
    if chat.stop:
        body["stop_sequences"] = list(chat.stop)
    if chat.service_tier:
        tier = chat.service_tier
        body["service_tier"] = "standard_only" if tier == "default" else tier


def write_message(message: Message) -> JSON:
    role = "user" if message.role == "tool" else message.role
    written: JSON = {"role": "system" if role == "developer" else role}
    if not isinstance(message, Turn) or message.form != "absent" or message.parts:
        written["content"] = _content(message)
    written.update(message.extra)
    return written


def write_tool(tool: Tool) -> JSON:
    if tool.kind == "hosted":
        return tool.data
    written: JSON = {"name": tool.name}
    if tool.description:
        written["description"] = tool.description
    if tool.schema is not None:
        written["input_schema"] = tool.schema
    if tool.strict is not None:
        written["strict"] = tool.strict
    _mark(written, tool.cache, tool.extra)
    written.update(tool.extra)
    if isinstance(tool, Function):
        for name, value in tool.idle.items():
            written.setdefault(name, value)
    return written


def write_choice(choice: ToolChoice | None, parallel: bool | None) -> JSON:
    """The choice of a tool; None where nothing is said."""
    if choice is None:
        return {"type": "auto", "disable_parallel_tool_use": True} if parallel is False else None
    written: JSON
    if choice.mode == "required" and choice.names:
        written = {"type": "tool", "name": choice.names[0]}
    else:
        written = {"type": {"auto": "auto", "none": "none", "required": "any"}[choice.mode]}
    if parallel is not None:
        written["disable_parallel_tool_use"] = not parallel
    written.update(choice.extra)
    return written


def write_thinking(thinking: Thinking) -> JSON:
    """The `thinking` member; None where only an effort is said."""
    written: JSON = {}
    if thinking.adaptive:
        written["type"] = "adaptive"
    elif thinking.enabled is not None:
        written["type"] = "enabled" if thinking.enabled else "disabled"
    if thinking.budget is not None:
        written["budget_tokens"] = thinking.budget
    if thinking.show is not None:
        written["display"] = "summarized" if thinking.show else "omitted"
    written.update(thinking.extra)
    return written if "type" in written else None


def write_format(wanted: OutputFormat) -> JSON:
    return {"type": "json_schema", "schema": wanted.schema, **wanted.extra}


def write_parts(parts: Sequence[Part]) -> list[JSON]:
    """Blocks; what no block can say is left out."""
    return [block for part in parts if (block := write_part(part)) is not None]


def write_part(part: Part) -> JSON:
    """A part as a block, None where this dialect has none for it."""
    match part:
        case Text():
            return _text(part)
        case Refusal():
            return {"type": "text", "text": part.text}
        case Reasoning():
            return _thought(part)
        case Media():
            return _media(part)
        case ToolCall():
            return _call(part)
        case ToolResult():
            return _result(part)
        case Streamed():
            return part.data
        case Opaque():
            return part.data if part.dialect == NAME else None
        case _:
            assert_never(part)


def _split(messages: Sequence[Message]) -> tuple[Message | None, Sequence[Message]]:
    first = messages[0] if messages else None
    if isinstance(first, Turn) and first.apart:
        return first, messages[1:]
    return None, messages


def _content(message: Message) -> JSON:
    if isinstance(message, Turn) and message.form == "text":
        plain = _plain(message.parts)
        if plain is not None:
            return plain
    return write_parts(message.parts)


def _plain(parts: Sequence[Part]) -> str | None:
    """The text of one text block that is nothing but text."""
    if len(parts) == 1 and isinstance(parts[0], Text):
        part = parts[0]
        if not (part.cache or part.annotations or part.extra):
            return part.text
    return None


def _thinking(chat: ChatRequest, body: JSON) -> None:
    if chat.thinking is not None:
        thinking = write_thinking(chat.thinking)
        if thinking is not None:
            body["thinking"] = thinking
        if chat.thinking.effort:
            body["output_config"] = {"effort": chat.thinking.effort}
    if chat.format is not None and chat.format.kind == "json":
        if isinstance(chat.format, Schema) and chat.format.older:
            body["output_format"] = write_format(chat.format)
        else:
            config = body.setdefault("output_config", {})
            config["format"] = write_format(chat.format)


def _merged(body: JSON, extra: Extra) -> Extra:
    """Members beyond the middle; those of objects that the middle knows a part of are joined."""
    merged = dict(extra)
    for name in ("metadata", "output_config"):
        if isinstance(merged.get(name), dict) and name in body:
            merged[name] = {**body[name], **merged[name]}
    return merged


def _mark(block: JSON, cache: str, extra: Extra) -> None:
    if cache and "cache_control" not in extra:
        block["cache_control"] = canonical_mark(cache)


def _text(part: Text) -> JSON:
    block: JSON = {"type": "text", "text": part.text}
    if part.annotations:
        block["citations"] = part.annotations
    _mark(block, part.cache, part.extra)
    block.update(part.extra)
    return block


def _thought(part: Reasoning) -> JSON:
    if part.data and not part.text:
        data = wrap(part) if isinstance(part, Borrowed) or part.id else part.data
        return {"type": "redacted_thinking", "data": data, **part.extra}
    foreign = isinstance(part, Borrowed) or part.data or part.id
    signature = wrap(part) if foreign else part.signature
    return {"type": "thinking", "thinking": part.text, "signature": signature, **part.extra}


def _media(part: Media) -> JSON:
    if isinstance(part, Kept):
        return part.block
    source: JSON
    if part.url:
        source = {"type": "url", "url": part.url}
    elif part.file_id:
        source = {"type": "file", "file_id": part.file_id}
    elif part.text:
        source = {"type": "text", "media_type": part.media_type or "text/plain", "data": part.text}
    elif part.data:
        source = {"type": "base64", "media_type": part.media_type, "data": part.data}
    else:
        return None
    left = part.extra.get("source")
    if isinstance(left, dict):
        source.update(left)
    block: JSON = {"type": "image" if part.kind == "image" else "document", "source": source}
    if part.filename and part.kind != "image":
        block["title"] = part.filename
    _mark(block, part.cache, part.extra)
    block.update({name: value for name, value in part.extra.items() if name != "source"})
    return block


def _call(part: ToolCall) -> JSON:
    block: JSON = {
        "type": "tool_use",
        "id": part.id,
        "name": part.name,
        "input": input_of(part.arguments, custom=part.custom),
    }
    _mark(block, part.cache, part.extra)
    block.update(part.extra)
    return block


def _result(part: ToolResult) -> JSON:
    block: JSON = {"type": "tool_result", "tool_use_id": part.call_id}
    form = part.form if isinstance(part, Result) else "blocks"
    plain = _plain(part.parts) if form == "text" else None
    if plain is not None:
        block["content"] = plain
    elif form != "absent" or part.parts:
        block["content"] = write_parts(part.parts)
    if part.error:
        block["is_error"] = True
    _mark(block, part.cache, part.extra)
    block.update(part.extra)
    if isinstance(part, Result):
        for name, value in part.idle.items():
            block.setdefault(name, value)
    return block
