"""Requests of other dialects as Gemini's models want them.

https://ai.google.dev/api/generate-content (read 2026-11-24) and recordings: system prompts stand
apart, turns of one role are one content, results carry the tool's name and come first in theirs.
What cannot be said is named in `dropped`, as the client calls it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from oneapi.dialects.base import Hints, Outgoing
from oneapi.dialects.base_bodies import body_of
from oneapi.dialects.base_calls import plainly_named
from oneapi.dialects.base_turns import linked, system_first
from oneapi.dialects.gemini_parts import NAME, render_call, render_part, stays_file
from oneapi.dialects.gemini_render import merge, render_request
from oneapi.dialects.gemini_schema import for_json_schema, for_openapi
from oneapi.dialects.gemini_thinking import Family, family_of, thinking_config
from oneapi.dialects.gemini_tools import DECLARATIONS
from oneapi.errors import ApiError
from oneapi.ir import (
    ChatRequest,
    Media,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from oneapi.wire.json import JSON

MAX_STOPS: Final = 5
MAX_N: Final = 8
MAX_LOGPROBS: Final = 20
_SEED: Final = 2**31 - 1
NO_SIGNATURE: Final = "skip_thought_signature_validator"
"""What the vendor's page on thought signatures gives for calls that its model did not make."""
_TIERS: Final = frozenset({"flex", "priority", "standard"})
_SILENT_TIERS: Final = frozenset({"", "auto", "default"})
_FREE_TEXT: Final[JSON] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}


def outgoing(chat: ChatRequest, model: str, hints: Hints) -> Outgoing:
    """The request for one model. Raises `ApiError` 400 for what must not be dropped."""
    if chat.source == NAME:
        body, dropped = render_request(chat), []
    else:
        writer = _Writer(plainly_named(chat), family_of(model, hints.options))
        body, dropped = writer.body(), writer.dropped
    if hints.safety and "safetySettings" not in body:
        body["safetySettings"] = list(hints.safety)
    return Outgoing(
        "generate",
        body_of(body),
        chat.stream,
        dropped=dropped,
    )


class _Writer:
    """One foreign request. `dropped` names what was left out, once each."""

    def __init__(self, chat: ChatRequest, family: Family) -> None:
        self._chat = chat
        self._family = family
        self._names: dict[str, None] = {}

    @property
    def dropped(self) -> list[str]:
        return list(self._names)

    def body(self) -> dict[str, JSON]:
        chat = self._chat
        messages = linked(chat.messages)
        first, rest = system_first(messages)
        system = [p for i, m in enumerate(first) for p in self._message(m, i)]
        contents = self._contents(rest, len(first))
        body: dict[str, JSON] = {}
        if not contents:  # a prompt that is nothing but instructions
            contents, system = [{"role": "user", "parts": system or [{"text": ""}]}], []
        if system:
            body["systemInstruction"] = {"role": "user", "parts": system}
        body["contents"] = contents
        tools = self._tools()
        if tools:
            body["tools"] = tools
        if chat.tool_choice is not None and tools:
            choice = self._choice(chat.tool_choice)
            if choice:
                body["toolConfig"] = {"functionCallingConfig": choice}
        config = self._config()
        if config:
            body["generationConfig"] = config
        self._rest(body)
        return body

    def _drop(self, *names: str) -> None:
        self._names.update(dict.fromkeys(names))

    def _contents(self, messages: Sequence[Message], offset: int) -> list[JSON]:
        """The turns, those of one role in a row joined."""
        contents: list[dict[str, JSON]] = []
        for number, message in enumerate(messages, offset):
            role = "model" if message.role == "assistant" else "user"
            parts = self._message(message, number)
            if not parts:
                continue
            if contents and contents[-1]["role"] == role:
                contents[-1]["parts"] += parts
            else:
                contents.append({"role": role, "parts": parts})
        for content in contents:
            if content["role"] == "user":  # results come first
                content["parts"].sort(key=lambda part: "functionResponse" not in part)
            elif self._family.signatures:
                _sign(content["parts"])
        return list(contents)

    def _message(self, message: Message, number: int) -> list[dict[str, JSON]]:
        where = f"messages[{number}]"
        if message.name:
            self._drop(f"{where}.name")
        self._drop(*(f"{where}.{name}" for name in message.extra))
        found: list[dict[str, JSON]] = []
        for index, part in enumerate(message.parts):
            found += self._part(part, f"{where}.content[{index}]")
        return found

    def _part(self, part: Part, where: str) -> list[dict[str, JSON]]:
        """The part as one of this format, or several: media beside a result."""
        if not isinstance(part, Opaque):
            self._drop(*(f"{where}.{name}" for name in part.extra))
        if not isinstance(part, Opaque | Reasoning | Refusal) and part.cache:
            self._drop(f"{where}.cache_control")
        match part:
            case ToolResult():
                return self._result(part, where)
            case ToolCall():
                return [render_call(part, own=False)]
            case Media():
                return [self._media(part, where)]
            case Reasoning():
                if not part.text:  # encrypted by another provider: of no use here
                    self._drop(where)
                    return []
            case Text() | Refusal():
                if not part.text:  # an empty text is refused
                    return []
            case Opaque():
                pass
        told = render_part(part, own=False)
        if told is None:
            self._drop(where)
        return [told] if told is not None else []

    def _media(self, part: Media, where: str) -> dict[str, JSON]:
        if part.detail not in ("", "auto"):
            self._drop(f"{where}.detail")
        if part.file_id and not stays_file(part.file_id):
            raise ApiError(
                400,
                "a file that was uploaded to another provider cannot be read by this one: "
                "send its content",
                code="unsupported_file",
                param=f"{where}.file_id",
            )
        told = render_part(part, own=False)
        if told is None:
            raise ApiError(400, f"`{where}` is empty", code="invalid_value", param=where)
        return told

    def _result(self, part: ToolResult, where: str) -> list[dict[str, JSON]]:
        """A result; its media within it or beside it, as the family wants."""
        said: list[Part] = []
        media: list[dict[str, JSON]] = []
        for index, inner in enumerate(part.parts):
            place = f"{where}.content[{index}]"
            if isinstance(inner, Text | Refusal):
                said.append(inner)
            elif isinstance(inner, Media):
                media.append(self._media(inner, place))
            else:
                self._drop(place)
        told = render_part(replace(part, parts=said, name=part.name or "tool"), own=False)
        assert told is not None
        nested = [one for one in media if "text" not in one]
        if not self._family.nested_media or not nested:
            return [told, *media]
        told["functionResponse"]["parts"] = nested
        return [told, *(one for one in media if "text" in one)]

    def _tools(self) -> list[JSON]:
        declared: list[JSON] = []
        hosted: list[JSON] = []
        for index, tool in enumerate(self._chat.tools):
            where = f"tools[{index}]"
            if tool.kind == "hosted":
                if tool.dialect == NAME:
                    hosted.append(tool.data)
                else:
                    self._drop(where)
                continue
            declared.append(self._declaration(tool, where))
        return [*([{DECLARATIONS: declared}] if declared else []), *hosted]

    def _declaration(self, tool: Tool, where: str) -> JSON:
        told: dict[str, JSON] = {"name": tool.name}
        if tool.description:
            told["description"] = tool.description
        self._drop(*(f"{where}.{name}" for name in tool.extra))
        if tool.cache:
            self._drop(f"{where}.cache_control")
        if tool.strict:
            self._drop(f"{where}.strict")
        if tool.format is not None:
            self._drop(f"{where}.format")
        schema = _FREE_TEXT if tool.kind == "custom" else tool.schema
        if schema is None:
            return told
        member = "parameters" if self._family.openapi else "parametersJsonSchema"
        made = self._schema(schema, f"{where}.parameters")
        return told if made is None else {**told, member: made}

    def _schema(self, schema: JSON, where: str) -> JSON:
        lost: set[str] = set()
        convert = for_openapi if self._family.openapi else for_json_schema
        made = convert(schema, lost)
        self._drop(*(f"{where}.{name}" for name in sorted(lost)))
        return made

    def _choice(self, choice: ToolChoice) -> dict[str, JSON]:
        self._drop(*(f"tool_choice.{name}" for name in choice.extra))
        known = {tool.name for tool in self._chat.tools if tool.kind != "hosted"}
        names = [name for name in choice.names if name in known]
        if choice.mode == "none":
            return {"mode": "NONE"}
        if choice.mode == "required":
            if not known or (choice.names and not names):
                raise ApiError(
                    400,
                    "the tool that `tool_choice` asks for is none that this provider can call",
                    code="unsupported_tool",
                    param="tool_choice",
                )
            return {"mode": "ANY", **({"allowedFunctionNames": names} if names else {})}
        if names:  # a list of names is taken with ANY and VALIDATED alone
            return {"mode": "VALIDATED", "allowedFunctionNames": names}
        return {"mode": "AUTO"} if known else {}

    def _config(self) -> dict[str, JSON]:
        chat = self._chat
        known: dict[str, JSON] = {
            "temperature": chat.temperature,
            "topP": chat.top_p,
            "topK": chat.top_k,
            "maxOutputTokens": chat.max_output,
            "stopSequences": chat.stop[:MAX_STOPS] or None,
            "seed": None if chat.seed is None else chat.seed & _SEED,
            "presencePenalty": chat.presence_penalty,
            "frequencyPenalty": chat.frequency_penalty,
        }
        config = {name: value for name, value in known.items() if value is not None}
        if len(chat.stop) > MAX_STOPS:
            self._drop("stop")
        if chat.n is not None and chat.n > 1:
            config["candidateCount"] = _bounded(chat.n, MAX_N, "n")
        if chat.logprobs:
            config["responseLogprobs"] = True
            if chat.top_logprobs:
                config["logprobs"] = min(chat.top_logprobs, MAX_LOGPROBS)
        if chat.modalities and chat.modalities != ["text"]:
            config["responseModalities"] = [name.upper() for name in chat.modalities]
        self._format(config)
        self._think(config)
        return config

    def _format(self, config: dict[str, JSON]) -> None:
        wanted = self._chat.format
        if wanted is None or wanted.kind != "json":
            return
        config["responseMimeType"] = "application/json"
        self._drop(*(f"response_format.{name}" for name in wanted.extra))
        if wanted.schema is None:
            return
        member = "responseSchema" if self._family.openapi else "responseJsonSchema"
        made = self._schema(wanted.schema, "response_format.schema")
        if made is not None:
            config[member] = made

    def _think(self, config: dict[str, JSON]) -> None:
        thinking = self._chat.thinking
        if thinking is None:
            return
        self._drop(*(f"thinking.{name}" for name in thinking.extra))
        found = thinking_config(thinking, self._family)
        if found is None:
            self._drop("reasoning_effort" if thinking.effort else "thinking")
        elif found:
            config["thinkingConfig"] = found

    def _rest(self, body: dict[str, JSON]) -> None:
        """What the whole request says beside its messages and settings."""
        chat = self._chat
        if chat.service_tier in _TIERS:
            merge(body, {"serviceTier": chat.service_tier})
        elif chat.service_tier not in _SILENT_TIERS:
            self._drop("service_tier")
        if chat.parallel_tools is False and chat.tools:
            self._drop("parallel_tool_calls")
        given = {
            "verbosity": chat.verbosity,
            "user": chat.user,
            "prompt_cache_key": chat.cache_key,
        }
        self._drop(*(name for name, value in given.items() if value), *chat.extra)


def _sign(parts: Iterable[dict[str, JSON]]) -> None:
    """The first call of a step has a signature; one that another model made has the dummy."""
    calls = [part for part in parts if "functionCall" in part]
    if calls and not any("thoughtSignature" in call for call in calls):
        calls[0]["thoughtSignature"] = NO_SIGNATURE


def _bounded(value: int, most: int, name: str) -> int:
    if value > most:
        raise ApiError(
            400, f"`{name}` must be at most {most} here", code="invalid_value", param=name
        )
    return value
