"""Requests of Gemini's dialect to the middle.

https://ai.google.dev/api/generate-content (read 2026-11-24). Normalised on the way, so that what
`gemini_render` writes may differ from the original by these alone:

- member names of the format in camelCase, integers as numbers, and below the top nulls and empty
  messages left out;
- `systemInstruction` with the role `user`, `contents` as a list of messages of parts, every one
  with a role (a missing one is `user`);
- base64 of inline data in the standard alphabet; modalities and thinking levels in capitals;
- entries of `tools` that hold nothing left out;
- a `model` in the body left out: the path names it.
"""

from __future__ import annotations

from typing import Final

from oneapi.dialects.gemini_enums import MODALITIES, word
from oneapi.dialects.gemini_parts import NAME, parse_part
from oneapi.dialects.gemini_render import Asked
from oneapi.dialects.gemini_schema import from_openapi
from oneapi.dialects.gemini_seal import joined
from oneapi.dialects.gemini_shapes import (
    bad,
    camel,
    flag,
    integer,
    items,
    join,
    message,
    number,
    optional,
    strings,
    text,
)
from oneapi.dialects.gemini_tools import parse_choice, parse_tools
from oneapi.ir import (
    ChatRequest,
    Envelope,
    Message,
    OutputFormat,
    Part,
    Role,
    Thinking,
)
from oneapi.wire.json import JSON

_ROLES: Final[dict[str, Role]] = {"user": "user", "model": "assistant", "function": "tool"}
_CONFIG: Final = "generationConfig"
_JSON: Final = "application/json"


def parse_request(body: JSON, envelope: Envelope) -> ChatRequest:
    """Raises `ApiError` 400 naming the member, whatever the JSON."""
    members = message(body, "")
    members.pop("model", None)
    chat = Asked(envelope.model, [], NAME, stream=envelope.stream, wants_usage=envelope.stream)
    chat.idle = {camel(name): told for name, told in body.items() if _says_nothing(told)}
    system = members.pop("systemInstruction", None)
    if system is not None:
        parts = _parts_of(system, "systemInstruction")
        chat.messages.append(Message("system", parts))
    chat.messages += _contents(members.pop("contents", None))
    chat.tools = parse_tools(items(members, "tools", ""), "tools")
    config = optional(members, "toolConfig", "")
    calling = optional(config, "functionCallingConfig", "toolConfig")
    if calling:
        chat.tool_choice = parse_choice(calling, "toolConfig.functionCallingConfig")
    if config:
        members["toolConfig"] = config
    chat.service_tier = text(members, "serviceTier", "")
    settings = optional(members, _CONFIG, "")
    _configure(chat, settings)
    if settings:
        members[_CONFIG] = settings
    chat.extra = members
    return chat


def _says_nothing(value: JSON) -> bool:
    """Null, empty, or an object of such members."""
    if isinstance(value, dict):
        return all(inner in (None, "", [], {}) for inner in value.values())
    return value in (None, "", [])


def _contents(value: JSON) -> list[Message]:
    if value is None:
        raise bad("contents", "is missing", "missing_required_parameter")
    if isinstance(value, (str, dict)):
        return [_content(value, "contents")]
    if not isinstance(value, list):
        raise bad("contents", "must be an array")
    return [_content(entry, f"contents[{index}]") for index, entry in enumerate(value)]


def _content(value: JSON, where: str) -> Message:
    if isinstance(value, str):
        return Message("user", [parse_part(value, where)])
    members = message(value, where)
    role = text(members, "role", where) or "user"
    if role not in _ROLES:
        raise bad(join(where, "role"), "must be `user` or `model`", "invalid_value")
    parts = members.pop("parts", None)
    return Message(_ROLES[role], _parts(parts, join(where, "parts")), extra=members)


def _parts_of(value: JSON, where: str) -> list[Part]:
    """The parts of a system instruction: a text, one content, or parts."""
    if isinstance(value, (str, list)):
        return _parts(value, where)
    members = message(value, where)
    if "text" in members and "parts" not in members:
        return [parse_part(value, where)]
    return _parts(members.get("parts"), join(where, "parts"))


def _parts(value: JSON, where: str) -> list[Part]:
    if value is None:
        return []
    if isinstance(value, (str, dict)):
        return [parse_part(value, where)]
    if not isinstance(value, list):
        raise bad(where, "must be an array")
    return joined([parse_part(part, f"{where}[{index}]") for index, part in enumerate(value)])


def _configure(chat: ChatRequest, config: dict[str, JSON]) -> None:
    """Takes what the middle knows out of a generationConfig."""
    chat.temperature = number(config, "temperature", _CONFIG)
    chat.top_p = number(config, "topP", _CONFIG)
    chat.top_k = integer(config, "topK", _CONFIG)
    chat.max_output = integer(config, "maxOutputTokens", _CONFIG)
    chat.n = integer(config, "candidateCount", _CONFIG)
    chat.seed = integer(config, "seed", _CONFIG)
    chat.stop = strings(config, "stopSequences", _CONFIG)
    chat.presence_penalty = number(config, "presencePenalty", _CONFIG)
    chat.frequency_penalty = number(config, "frequencyPenalty", _CONFIG)
    chat.logprobs = flag(config, "responseLogprobs", _CONFIG)
    chat.top_logprobs = integer(config, "logprobs", _CONFIG)
    chat.modalities = _modalities(config)
    thinking = optional(config, "thinkingConfig", _CONFIG)
    if thinking:
        chat.thinking = _thinking(thinking, join(_CONFIG, "thinkingConfig"))
    chat.format = _format(config)


def _modalities(config: dict[str, JSON]) -> list[str]:
    value = config.pop("responseModalities", None)
    if value is None:
        return []
    found = [word(entry, MODALITIES) for entry in value] if isinstance(value, list) else [""]
    if not all(found):
        raise bad(f"{_CONFIG}.responseModalities", "must be an array of modalities")
    return [name.lower() for name in found]


def _thinking(members: dict[str, JSON], where: str) -> Thinking:
    found = Thinking(
        effort=text(members, "thinkingLevel", where).lower(),
        budget=integer(members, "thinkingBudget", where),
        show=flag(members, "includeThoughts", where),
        extra=members,
    )
    if found.budget is not None and found.budget < 0:  # -1: as much as the model likes
        found.budget, found.adaptive = None, True
    if found.budget == 0:
        found.enabled = False
    elif found.budget or found.adaptive or found.effort:
        found.enabled = True
    return found


def _format(config: dict[str, JSON]) -> OutputFormat | None:
    """JSON is what the middle knows; any other media type stays among the settings."""
    if config.get("responseMimeType") != _JSON:
        return None
    del config["responseMimeType"]
    given = {n: config.pop(n) for n in ("responseSchema", "responseJsonSchema") if n in config}
    schema = from_openapi(given.get("responseSchema"))
    if "responseJsonSchema" in given:
        schema = given["responseJsonSchema"]
    found = OutputFormat("json", schema, dialect=NAME, data=given)
    title = schema.get("title") if isinstance(schema, dict) else None
    found.name = title if isinstance(title, str) else ""
    return found
