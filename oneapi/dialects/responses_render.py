"""A chat of the middle as a Responses request: for a provider, or as its client wrote it.

https://platform.openai.com/docs/api-reference/responses/create (read 2026-11-24). There are no
stop sequences, seeds, penalties, `top_k` and further answers (`n`) here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from oneapi.dialects.base import Hints, Outgoing
from oneapi.dialects.base_bodies import body_of
from oneapi.dialects.base_calls import short_user
from oneapi.dialects.base_turns import linked
from oneapi.dialects.responses_parse import include_of
from oneapi.dialects.responses_shapes import ENCRYPTED, LOGPROBS, NAME, Asked, Object, Turn
from oneapi.dialects.responses_tools import (
    check_answers,
    render_choice,
    render_format,
    render_thinking,
    render_tools,
)
from oneapi.dialects.responses_write import InputWriter
from oneapi.errors import ApiError
from oneapi.ir import ChatRequest, Message, Text
from oneapi.wire.json import JSON

OPERATION: Final = "responses"
_LEAST_OUTPUT: Final = 16
_TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
_NOTHING: Final[tuple[JSON, ...]] = (None, "", [], {})
_UNSAID: Final = ("top_k", "seed", "presence_penalty", "frequency_penalty", "stop")


def render_own(chat: ChatRequest) -> JSON:
    """The request as its client wrote it, up to the normalisations of `responses_parse`."""
    return _Request(chat, Hints(), sealed=True).body(chat.model)


def render_request(chat: ChatRequest, model: str, hints: Hints) -> Outgoing:
    """Raises `ApiError` 400 for more than one answer, and for sound and film."""
    request = _Request(chat, hints)
    body = request.body(model)
    return Outgoing(OPERATION, body_of(body), chat.stream, dropped=request.dropped)


class _Request:
    """One request in the making."""

    def __init__(self, chat: ChatRequest, hints: Hints, *, sealed: bool = False) -> None:
        self.dropped: list[str] = []
        self._chat = chat
        self._own = chat.source == NAME
        self._sealed = sealed
        self._hints = hints

    def body(self, model: str) -> Object:
        chat, own = self._chat, self._own
        body: Object = {"model": model}
        self._input(body)
        if chat.stream:
            body["stream"] = True
        tools = render_tools(chat.tools, own, self.dropped)
        if tools:
            body["tools"] = tools
        if chat.tool_choice is not None and (tools or own):
            body["tool_choice"] = render_choice(chat.tool_choice, chat.tools, own, self.dropped)
        if chat.parallel_tools is not None and (tools or own):
            body["parallel_tool_calls"] = chat.parallel_tools
        for name, value in (
            ("max_output_tokens", chat.max_output),
            ("temperature", chat.temperature),
            ("top_p", chat.top_p),
            ("top_logprobs", chat.top_logprobs),
            ("user", (chat.user if own else short_user(chat.user)) or None),
            ("service_tier", self._tier()),
            ("prompt_cache_key", chat.cache_key or None),
        ):
            if value is not None:
                body[name] = value
        self._thinking(body)
        self._text(body)
        if own:
            body.update((k, v) for k, v in chat.extra.items() if k != "text")
            if isinstance(chat, Asked):
                _as_it_was(body, chat.wire)
        else:
            self._foreign(body)
        return body

    def _tier(self) -> str | None:
        """Other vendors' tiers are not known here."""
        tier = self._chat.service_tier
        if not tier or self._own or tier in _TIERS:
            return tier or None
        self.dropped.append("service_tier")
        return None

    def _input(self, body: Object) -> None:
        chat = self._chat
        messages: Sequence[Message] = chat.messages if self._own else linked(chat.messages)
        role = self._hints.system_role
        writer = InputWriter(own=self._own, sealed=self._sealed, system_role=role)
        writer.dropped = self.dropped
        for number, message in enumerate(messages):
            text = _text_of(message)
            if text is not None and isinstance(message, Turn) and message.origin != "items":
                if message.origin == "instructions":
                    body["instructions"] = text
                    continue
                if not writer.items and number == len(messages) - 1:
                    body["input"] = text
                    return
            writer.write(message, number)
        if writer.items or not self._own:
            body["input"] = writer.items

    def _thinking(self, body: Object) -> None:
        thinking = self._chat.thinking
        if thinking is not None:
            reasoning = render_thinking(thinking, self._own, self.dropped)
            if reasoning:
                body["reasoning"] = reasoning
        include = include_of(self._chat)
        if not self._own and thinking is not None and thinking.enabled is not False:
            include = [ENCRYPTED, *(word for word in include if word == LOGPROBS)]
        if include:
            body["include"] = include

    def _text(self, body: Object) -> None:
        chat = self._chat
        text: Object = {}
        if chat.format is not None:
            text["format"] = render_format(chat.format, self._own, self.dropped)
        if chat.verbosity:
            text["verbosity"] = chat.verbosity
        if self._own:
            text.update(chat.extra.get("text", {}))
        if text:
            body["text"] = text

    def _foreign(self, body: Object) -> None:
        """What other dialects ask for beyond this one. Nothing is stored for them."""
        chat = self._chat
        check_answers(chat.n)
        if "audio" in chat.modalities or "image" in chat.modalities:
            raise ApiError(
                400,
                "the model behind this name answers in text alone",
                code="unsupported_value",
                param="modalities",
            )
        self.dropped += [name for name in _UNSAID if getattr(chat, name) not in (None, [])]
        self.dropped += chat.extra
        body["store"] = False
        if chat.max_output is not None:  # the least that is taken; other dialects allow 1
            body["max_output_tokens"] = max(chat.max_output, _LEAST_OUTPUT)


def _as_it_was(body: Object, wire: Object) -> None:
    """Puts back what said nothing: null and empty members, here and in what else came."""
    for name, value in wire.items():
        if name not in body:
            if _spare(value) in _NOTHING or (name == "stream" and value is False):
                body[name] = value
        elif body[name] != value and _spare(body[name]) == _spare(value):
            body[name] = value


def _spare(value: JSON, depth: int = 5) -> JSON:
    """The value without members that say nothing, as deep as this format's own members go."""
    if depth and isinstance(value, dict):
        found = {k: _spare(v, depth - 1) for k, v in value.items()}
        return {k: v for k, v in found.items() if v not in _NOTHING}
    if depth and isinstance(value, list):
        return [_spare(v, depth - 1) for v in value]
    return value


def _text_of(message: Message) -> str | None:
    """The text that is all of the message."""
    part = message.parts[0] if len(message.parts) == 1 else None
    return part.text if isinstance(part, Text) else None
