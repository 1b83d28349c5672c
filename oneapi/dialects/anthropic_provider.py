"""Anthropic as a provider of chats.

https://docs.anthropic.com/en/api/messages (read 2026-11-24). `Hints.options` of this format:
`anthropic_version` (a date), `thinking` ("adaptive", or "budget" for models before 2026),
`system_inside` ("keep" or "user": what becomes of system messages inside a conversation; by default
this dialect's own stay and others' become the user's text), `fetch_urls` (true where the host takes
no URLs of images and documents).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from oneapi.dialects.anthropic_answers import no_answer, parse_response
from oneapi.dialects.anthropic_errors import parse_error
from oneapi.dialects.anthropic_events import Parser
from oneapi.dialects.anthropic_forms import NAME, Borrowed, Kept, Schema, Turn
from oneapi.dialects.anthropic_outgoing import Foreign
from oneapi.dialects.anthropic_write import write_request
from oneapi.dialects.base import FollowUp, Headers, Hints, Outgoing, Stamp, StreamParser
from oneapi.dialects.base_bodies import body_of
from oneapi.errors import ApiError
from oneapi.ir import ChatRequest, ChatResponse, Media, Message, Part, Text, ToolResult

VERSION: Final = "2023-06-01"
_OUTPUTS_BETA: Final = "structured-outputs-2025-11-13"
_FILES_BETA: Final = "files-api-2025-04-14"


class Provider:
    """`base.ChatProvider`."""

    NAME: str = NAME
    OPERATION: str = "messages"

    def fetches(self, chat: ChatRequest, hints: Hints) -> Sequence[str]:
        """Addresses of images and documents, where the host takes none."""
        if not hints.options.get("fetch_urls"):
            return ()
        found = (part.url for m in chat.messages for part in _media(m.parts))
        return list(dict.fromkeys(url for url in found if url))

    def render_request(self, chat: ChatRequest, model: str, hints: Hints) -> Outgoing:
        """Raises `ApiError` 400: several answers, sound, files that are neither PDF nor text."""
        try:
            if chat.source == NAME:
                return _own(chat, model, hints)
            made = Foreign(chat, model, hints)
            return Outgoing(
                self.OPERATION,
                body_of(made.body),
                chat.stream,
                headers=_headers(hints, made.betas),
                dropped=made.dropped,
                warnings=made.warnings,
            )
        except RecursionError as error:
            raise ApiError(400, "the request is nested too deeply", code="invalid_value") from error

    def follow_up(self, body: bytes) -> FollowUp | None:
        return None

    def parse_response(self, body: bytes, hints: Hints, stamp: Stamp) -> ChatResponse:
        try:
            return parse_response(body)
        except RecursionError as error:
            raise no_answer("the provider's answer is nested too deeply") from error

    def stream_parser(self, hints: Hints, stamp: Stamp) -> StreamParser:
        return Parser()

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


CHAT_PROVIDER: Final = Provider()


def _own(chat: ChatRequest, model: str, hints: Hints) -> Outgoing:
    """A request of this dialect: as it was, but for what another provider thought."""
    dropped: list[str] = []
    messages: list[Message] = []
    shift = 1 if chat.messages and _apart(chat.messages[0]) else 0
    for index, message in enumerate(chat.messages):
        where = f"messages[{index - shift}]"
        dropped += [
            f"{where}.content[{number}]"
            for number, part in enumerate(message.parts)
            if isinstance(part, Borrowed)
        ]
        messages += _without_borrowed(message)
    if hints.options.get("system_inside") == "user":
        messages = [_as_user(message) for message in messages]
    betas = []
    if isinstance(chat.format, Schema) and chat.format.older:
        betas.append(_OUTPUTS_BETA)
    if any(part.file_id for m in messages for part in _media(m.parts)):
        betas.append(_FILES_BETA)
    body = body_of(write_request(replace(chat, model=model, messages=messages)))
    headers = _headers(hints, betas)
    return Outgoing("messages", body, chat.stream, headers=headers, dropped=dropped)


def _without_borrowed(message: Message) -> list[Message]:
    """The message without other providers' thoughts, nothing where it was nothing else."""
    kept = [part for part in message.parts if not isinstance(part, Borrowed)]
    if len(kept) == len(message.parts):
        return [message]
    return [replace(message, parts=kept)] if kept else []


def _apart(message: Message) -> bool:
    return isinstance(message, Turn) and message.apart


def _as_user(message: Message) -> Message:
    """A system message inside the conversation as the user's text, for hosts that refuse it."""
    if message.role != "system" or _apart(message):
        return message
    parts: list[Part] = [
        replace(part, text=f"<system>\n{part.text}\n</system>") if isinstance(part, Text) else part
        for part in message.parts
    ]
    return replace(message, role="user", parts=parts)


def _media(parts: Sequence[Part]) -> Iterator[Media]:
    for part in parts:
        if isinstance(part, ToolResult):
            yield from _media(part.parts)
        elif isinstance(part, Media) and not isinstance(part, Kept):
            yield part


def _headers(hints: Hints, betas: Sequence[str]) -> Headers:
    version = hints.options.get("anthropic_version")
    version = version if isinstance(version, str) and version else VERSION
    headers = [(b"anthropic-version", version.encode("latin-1", "replace"))]
    if betas:
        headers.append((b"anthropic-beta", ",".join(dict.fromkeys(betas)).encode()))
    return headers
