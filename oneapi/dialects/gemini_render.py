"""Requests of Gemini's dialect from the middle, for what came in this dialect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from oneapi.dialects.gemini_parts import NAME, render_part
from oneapi.dialects.gemini_tools import render_choice, render_tools
from oneapi.ir import ChatRequest, Message, OutputFormat, Thinking
from oneapi.wire.json import JSON

SYSTEM: Final = ("system", "developer")
_ROLES: Final = {"assistant": "model", "tool": "function"}


@dataclass(slots=True)
class Asked(ChatRequest):
    """A request as it came: `idle` are its members that say nothing, null or empty ones."""

    idle: dict[str, JSON] = field(default_factory=dict, compare=False)


def render_request(chat: ChatRequest) -> dict[str, JSON]:
    """The request again, up to what `gemini_parse` normalised. Other dialects' members are left
    out; what a provider's model wants is not asked here.
    """
    own = chat.source == NAME
    body: dict[str, JSON] = {}
    system = [m for m in chat.messages if m.role in SYSTEM]
    if system:
        body["systemInstruction"] = {
            "role": "user",
            "parts": [found for m in system for found in rendered_parts(m, own)],
        }
    body["contents"] = [_content(m, own) for m in chat.messages if m.role not in SYSTEM]
    tools = render_tools(chat.tools)
    if tools:
        body["tools"] = tools
    config: dict[str, JSON] = {}
    if chat.tool_choice is not None:
        config["functionCallingConfig"] = render_choice(chat.tool_choice)
    settings = generation_config(chat)
    if chat.service_tier:
        body["serviceTier"] = chat.service_tier
    extra = dict(chat.extra) if own else {}
    merge(config, extra.pop("toolConfig", None))
    merge(settings, extra.pop("generationConfig", None))
    if config:
        body["toolConfig"] = config
    if settings:
        body["generationConfig"] = settings
    idle = chat.idle if own and isinstance(chat, Asked) else {}
    return {**idle, **body, **extra}


def merge(target: dict[str, JSON], more: JSON) -> None:
    """Puts further members in, those that are there already win."""
    if isinstance(more, dict):
        for name, value in more.items():
            target.setdefault(name, value)


def _content(message: Message, own: bool) -> JSON:
    role = _ROLES.get(message.role, "user")
    extra = message.extra if own else {}
    return {"role": role, "parts": rendered_parts(message, own), **extra}


def rendered_parts(message: Message, own: bool) -> list[JSON]:
    """The message's parts without those that this format cannot say."""
    found = (render_part(part, own=own) for part in message.parts)
    return [part for part in found if part is not None]


def generation_config(chat: ChatRequest) -> dict[str, JSON]:
    """What of a generationConfig the middle knows, as this dialect's own request had it."""
    known: dict[str, JSON] = {
        "temperature": chat.temperature,
        "topP": chat.top_p,
        "topK": chat.top_k,
        "maxOutputTokens": chat.max_output,
        "candidateCount": chat.n,
        "stopSequences": chat.stop or None,
        "seed": chat.seed,
        "presencePenalty": chat.presence_penalty,
        "frequencyPenalty": chat.frequency_penalty,
        "responseLogprobs": chat.logprobs,
        "logprobs": chat.top_logprobs,
        "responseModalities": [name.upper() for name in chat.modalities] or None,
    }
    config = {name: value for name, value in known.items() if value is not None}
    if chat.format is not None and chat.format.kind == "json":
        config.update(_format(chat.format))
    if chat.thinking is not None:
        thinking = _thinking(chat.thinking)
        if thinking:
            config["thinkingConfig"] = thinking
    return config


def _format(wanted: OutputFormat) -> dict[str, JSON]:
    found: dict[str, JSON] = {"responseMimeType": "application/json"}
    if wanted.dialect == NAME and isinstance(wanted.data, dict):
        found.update(wanted.data)
    elif wanted.schema is not None:
        found["responseJsonSchema"] = wanted.schema
    return found


def _thinking(thinking: Thinking) -> dict[str, JSON]:
    found: dict[str, JSON] = {}
    if thinking.show is not None:
        found["includeThoughts"] = thinking.show
    if thinking.adaptive:
        found["thinkingBudget"] = -1
    elif thinking.budget is not None:
        found["thinkingBudget"] = thinking.budget
    if thinking.effort:
        found["thinkingLevel"] = thinking.effort.upper()
    return {**found, **thinking.extra}
