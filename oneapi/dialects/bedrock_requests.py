"""Requests of Bedrock's Converse as the middle has them.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (read 2026-11-24).
The model stands in the path, and whether to stream too. Rendered again by `bedrock_render`, a
request is equal to what was parsed, without exception: what the middle has no place for is carried
in `extra`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from oneapi.dialects.bedrock_blocks import others, parse_blocks, refuse
from oneapi.dialects.bedrock_shapes import NAME, read_name
from oneapi.ir import (
    ChatRequest,
    Envelope,
    Message,
    OutputFormat,
    Role,
    Tool,
    ToolChoice,
)
from oneapi.wire.json import JSON, MalformedJSON, decode

SYSTEM: Final = "system"
"""In the extra of a message: the member of the request that it stood in."""

_ROLES: Final[tuple[Role, ...]] = ("user", "assistant", "system")


def parse_request(body: JSON, envelope: Envelope | None = None) -> ChatRequest:
    """Raises `ApiError` 400 naming the parameter, whatever the JSON. The envelope tells what the
    path says.
    """
    if not isinstance(body, dict):
        refuse("body", "must be an object")
    asked = envelope or Envelope("")
    chat = ChatRequest(asked.model, [], NAME, stream=asked.stream, wants_usage=asked.stream)
    chat.extra = dict(body)
    for name, take in _MEMBERS.items():
        if body.get(name) is not None and take(chat, body[name]):
            del chat.extra[name]
    return chat


def _system(chat: ChatRequest, value: JSON) -> bool:
    """Stays in `extra` where it is empty: the middle has no message without parts."""
    parts = parse_blocks(value, "system")
    if parts:
        chat.messages.append(Message("system", parts, extra={SYSTEM: True}))
    return bool(parts)


def _messages(chat: ChatRequest, value: JSON) -> bool:
    if not isinstance(value, list):
        refuse("messages", "must be a list")
    for i, message in enumerate(value):
        if not isinstance(message, dict):
            refuse(f"messages[{i}]", "must be an object")
        role = message.get("role")
        if role not in _ROLES:
            refuse(f"messages[{i}].role", "must be user, assistant or system")
        parts = parse_blocks(message.get("content"), f"messages[{i}].content")
        chat.messages.append(Message(role, parts, extra=others(message, "role", "content")))
    return bool(value)


def _inference(chat: ChatRequest, value: JSON) -> bool:
    """What is understood is taken out of `extra`, the rest of the object stays there."""
    if not isinstance(value, dict):
        refuse("inferenceConfig", "must be an object")
    limit, stop = value.get("maxTokens"), value.get("stopSequences")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool)):
        refuse("inferenceConfig.maxTokens", "must be an integer")
    chat.max_output = limit
    chat.temperature = _number(value, "temperature")
    chat.top_p = _number(value, "topP")
    rest = {k: v for k, v in value.items() if v is None or k not in _INFERRED}
    if stop is not None:
        if not isinstance(stop, list) or not all(isinstance(s, str) for s in stop):
            refuse("inferenceConfig.stopSequences", "must be a list of strings")
        chat.stop = stop
        if not stop:
            rest["stopSequences"] = []
    chat.extra["inferenceConfig"] = rest
    return bool(value) and not rest


_INFERRED: Final = frozenset({"maxTokens", "temperature", "topP", "stopSequences"})


def _number(value: JSON, name: str) -> float | None:
    number = value.get(name)
    if number is None:
        return None
    if not isinstance(number, (int, float)) or isinstance(number, bool):
        refuse(f"inferenceConfig.{name}", "must be a number")
    return number


def _tools(chat: ChatRequest, value: JSON) -> bool:
    if not isinstance(value, dict):
        refuse("toolConfig", "must be an object")
    tools = value.get("tools")
    if not isinstance(tools, list):
        refuse("toolConfig.tools", "must be a list")
    for i, entry in enumerate(tools):
        if not isinstance(entry, dict):
            refuse(f"toolConfig.tools[{i}]", "must be an object")
        _tool(chat, entry, f"toolConfig.tools[{i}]")
    rest = others(value, "tools", "toolChoice") if tools else others(value, "toolChoice")
    choice = value.get("toolChoice")
    if choice is not None:
        chat.tool_choice = _choice(choice)
    elif "toolChoice" in value:
        rest["toolChoice"] = None
    chat.extra["toolConfig"] = rest
    return not rest


def _tool(chat: ChatRequest, entry: JSON, where: str) -> None:
    point, last = entry.get("cachePoint"), chat.tools[-1] if chat.tools else None
    if isinstance(point, dict) and last and not last.cache and len(entry) == 1:
        ttl: JSON = point.get("ttl", "5m")
        if ttl in ("5m", "1h"):
            last.cache = ttl
            last.extra["cachePoint"] = point
            return
    spec = entry.get("toolSpec")
    if not isinstance(spec, dict) or len(entry) > 1:
        word = str(next(iter(entry), ""))
        chat.tools.append(Tool(word, kind="hosted", dialect=NAME, data=entry))
        return
    name, schema, strict = spec.get("name"), spec.get("inputSchema"), spec.get("strict")
    about = spec.get("description", "")
    if not isinstance(name, str):
        refuse(f"{where}.toolSpec.name", "must be a string")
    tool = Tool(read_name(name))
    known = ["name"]
    if isinstance(about, str) and about:
        tool.description = about
        known.append("description")
    if isinstance(schema, dict) and schema.keys() == {"json"} and schema["json"] is not None:
        tool.schema = schema["json"]
        known.append("inputSchema")
    if isinstance(strict, bool):
        tool.strict = strict
        known.append("strict")
    tool.extra = others(spec, *known)
    chat.tools.append(tool)


def _choice(value: JSON) -> ToolChoice:
    if not isinstance(value, dict) or len(value) != 1:
        refuse("toolConfig.toolChoice", "must hold one of auto, any and tool")
    (name, inner), choice = next(iter(value.items())), ToolChoice()
    if name == "tool":
        if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
            refuse("toolConfig.toolChoice.tool.name", "must be a string")
        choice.names = [read_name(inner["name"])]
    if name in ("any", "tool"):
        choice.mode = "required"
    if name not in ("auto", "any", "tool"):
        refuse("toolConfig.toolChoice", "must hold one of auto, any and tool")
    choice.extra = {"toolChoice": value}
    return choice


def _output(chat: ChatRequest, value: JSON) -> bool:
    """The schema stands there as JSON text, which stays beside what it says."""
    wanted = value.get("textFormat") if isinstance(value, dict) else None
    structure = wanted.get("structure") if isinstance(wanted, dict) else None
    spec = structure.get("jsonSchema") if isinstance(structure, dict) else None
    if not isinstance(spec, dict):
        return False
    text = spec.get("schema")
    try:
        schema = decode(text.encode()) if isinstance(text, str) else None
    except (MalformedJSON, UnicodeEncodeError):
        refuse("outputConfig.textFormat.structure.jsonSchema.schema", "must be JSON")
    name, about = spec.get("name"), spec.get("description")
    chat.format = OutputFormat(
        "json",
        schema,
        name if isinstance(name, str) else "",
        about if isinstance(about, str) else "",
        extra={"outputConfig": value},
    )
    return True


def _tier(chat: ChatRequest, value: JSON) -> bool:
    tier = value.get("type") if isinstance(value, dict) else None
    if not isinstance(tier, str) or not tier or len(value) > 1:
        return False
    chat.service_tier = tier
    return True


_MEMBERS: Final[Mapping[str, Callable[[ChatRequest, JSON], bool]]] = {
    "system": _system,
    "messages": _messages,
    "inferenceConfig": _inference,
    "toolConfig": _tools,
    "outputConfig": _output,
    "serviceTier": _tier,
}
"""What takes a member into the middle: False where it stays in `extra` as it is, or in part."""
