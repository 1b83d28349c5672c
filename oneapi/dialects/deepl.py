"""DeepL as a provider of chats: the user's last message is the text, the model's name the language.

https://developers.deepl.com/docs/api-reference/translate (read 2026-11-24) and recordings. The
answer is whole; the gateway makes a stream of it. Characters are billed, and are asked for.

Models are `deepl-zh`, `deepl-en-us` …: what follows `deepl-` is the target language. Members of the
request with the names of DeepL's own parameters (`PARAMETERS`) are passed on, whatever the client's
format; channel options of the same names stand in for them. System prompts become `context`, which
influences a translation without being translated or billed, unless the option `system_prompt` is
false.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from oneapi.dialects.base import (
    ChatProvider,
    FollowUp,
    Headers,
    Hints,
    Outgoing,
    Stamp,
    StreamParser,
)
from oneapi.dialects.base_bodies import body_of
from oneapi.dialects.base_errors import parse_error as parse_any_error
from oneapi.dialects.base_errors import refused
from oneapi.dialects.base_gather import replay
from oneapi.dialects.base_turns import plain_text
from oneapi.errors import ApiError, UpstreamError
from oneapi.ir import (
    ChatRequest,
    ChatResponse,
    Choice,
    Event,
    Failed,
    Media,
    Message,
    Text,
    ToolResult,
    Usage,
)
from oneapi.wire.json import JSON, MalformedJSON, decode

NAME: Final = "deepl"
TRANSLATE: Final = "deepl.translate"

PARAMETERS: Final = (
    "target_lang",
    "source_lang",
    "context",
    "formality",
    "glossary_id",
    "model_type",
    "split_sentences",
    "preserve_formatting",
    "tag_handling",
    "tag_handling_version",
    "outline_detection",
    "splitting_tags",
    "non_splitting_tags",
    "ignore_tags",
    "style_id",
    "translation_memory_id",
    "translation_memory_threshold",
    "custom_instructions",
    "enable_beta_languages",
)
LIMIT: Final = 128 * 1024
"""Bytes of the largest request that the vendor takes; it answers a larger one with a web page."""

_LANGUAGE: Final = re.compile(r"(?:deepl-)?([a-z]{2,3}(?:-[a-z0-9]{2,8})*)", re.IGNORECASE)
_QUOTA: Final = 456
_UNSAID: Final = (
    ("tools", "tools"),
    ("parallel_tools", "parallel_tool_calls"),
    ("max_output", "max_tokens"),
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("stop", "stop"),
    ("seed", "seed"),
    ("presence_penalty", "presence_penalty"),
    ("frequency_penalty", "frequency_penalty"),
    ("logprobs", "logprobs"),
    ("top_logprobs", "top_logprobs"),
    ("thinking", "reasoning_effort"),
    ("verbosity", "verbosity"),
    ("user", "user"),
    ("service_tier", "service_tier"),
    ("cache_key", "prompt_cache_key"),
)


class _Provider:
    """The protocol is `base.ChatProvider`."""

    NAME = NAME
    OPERATION = TRANSLATE

    def fetches(self, chat: ChatRequest, hints: Hints) -> Sequence[str]:
        return ()

    def render_request(self, chat: ChatRequest, model: str, hints: Hints) -> Outgoing:
        return render_request(chat, model, hints)

    def follow_up(self, body: bytes) -> FollowUp | None:
        return None

    def parse_response(self, body: bytes, hints: Hints, stamp: Stamp) -> ChatResponse:
        return parse_response(body, stamp)

    def stream_parser(self, hints: Hints, stamp: Stamp) -> StreamParser:
        return WholeParser(stamp)

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


CHAT_PROVIDER: Final[ChatProvider] = _Provider()


def render_request(chat: ChatRequest, model: str, hints: Hints) -> Outgoing:
    """Raises `ApiError` 400 where there is no text, no language, or more than text."""
    _refuse_impossible(chat)
    dropped: list[str] = []
    place = max((i for i, m in enumerate(chat.messages) if m.role == "user"), default=-1)
    if place < 0:
        raise _wrong("messages", "must hold a user's message: it is what is translated")
    body: dict[str, JSON] = {"text": [_text(chat.messages[place], f"messages[{place}]", dropped)]}
    for name in PARAMETERS:
        if chat.extra.get(name) is not None:
            body[name] = chat.extra[name]
        elif hints.options.get(name) is not None:
            body[name] = hints.options[name]
    body["target_lang"] = _target(chat, model, body)
    _put_context(chat, place, hints, body, dropped)
    body["show_billed_characters"] = True
    _name_unsaid(chat, dropped)
    encoded = body_of(body)
    if len(encoded) > LIMIT:
        raise ApiError(
            413,
            f"the text is too long: a request may have {LIMIT} bytes",
            code="context_length_exceeded",
            param=f"messages[{place}]",
        )
    return Outgoing(TRANSLATE, encoded, streams=False, dropped=dropped)


def parse_response(body: bytes, stamp: Stamp) -> ChatResponse:
    """Raises `UpstreamError`: 502 for what is no answer, the provider's own for an error."""
    try:
        value = decode(body)
    except MalformedJSON:
        value = None
    translations = value.get("translations") if isinstance(value, dict) else None
    if not isinstance(translations, list) or not translations:
        if isinstance(value, dict) and value.get("message"):
            raise refused(value)
        raise UpstreamError(
            502,
            "the provider's answer holds no translation",
            code="bad_upstream_answer",
            retryable=True,
            original_status=200,
        )
    found = [item for item in translations if isinstance(item, dict)]
    parts = [_translated(item) for item in found]
    first = found[0] if found else {}
    choice = Choice([*parts], "stop", extra=_beside(first))
    usage = Usage(characters=sum(_characters(item) for item in found))
    return ChatResponse("", stamp.model, [choice], usage, NAME)


class WholeParser:
    """The answer has no stream: a whole one is told as events at its end."""

    def __init__(self, stamp: Stamp) -> None:
        self.done = False
        self._stamp = stamp
        self._chunks: list[bytes] = []

    def feed(self, chunk: bytes) -> list[Event]:
        self._chunks.append(chunk)
        return []

    def close(self) -> list[Event]:
        if self.done:
            return []
        self.done = True
        try:
            return list(replay(parse_response(b"".join(self._chunks), self._stamp)))
        except UpstreamError as error:
            return [Failed(error)]


def parse_error(status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
    """`{message, detail}`, a web page, or nothing at all: then the status speaks."""
    message, code, kind = parse_any_error(status, headers, body)
    try:
        value = decode(body)
    except MalformedJSON:
        value = None
    detail = value.get("detail") if isinstance(value, dict) else None
    if isinstance(detail, str) and detail not in ("", message):
        message = f"{message}: {detail}"
    if status == _QUOTA:  # DeepL's own status: no characters are left
        return message, code or "insufficient_quota", kind or "insufficient_quota"
    return message, code, kind


def _refuse_impossible(chat: ChatRequest) -> None:
    """What a translation cannot give, where the client would wait for it in vain."""
    if chat.format is not None and chat.format.kind == "json":
        raise _wrong("response_format", "cannot be JSON: the answer is a translation")
    if chat.tool_choice is not None and chat.tool_choice.mode == "required":
        raise _wrong("tool_choice", "cannot be required: the answer is a translation")


def _text(message: Message, at: str, dropped: list[str]) -> str:
    for i, part in enumerate(message.parts):
        if isinstance(part, (Media, ToolResult)):
            raise _wrong(f"{at}.content[{i}]", "is no text: only text is translated")
        if not isinstance(part, Text):
            dropped.append(f"{at}.content[{i}]")
        elif part.cache:
            dropped.append(f"{at}.content[{i}].cache_control")
    text = plain_text(message.parts, "\n")
    if not text:
        raise _wrong(f"{at}.content", "holds no text")
    return text


def _target(chat: ChatRequest, model: str, body: Mapping[str, JSON]) -> str:
    """The client's word, then the model's name, then the channel's."""
    asked = chat.extra.get("target_lang")
    named = _LANGUAGE.fullmatch(model)
    language = named[1] if asked is None and named else None
    language = language or body.get("target_lang")
    if not isinstance(language, str) or not language:
        raise _wrong("model", "must name the language, as in `deepl-en-us`")
    return language.upper()


def _put_context(
    chat: ChatRequest, place: int, hints: Hints, body: dict[str, JSON], dropped: list[str]
) -> None:
    """System prompts become the context; other messages than the last of the user are not said."""
    wanted = hints.options.get("system_prompt") is not False and "context" not in body
    prompts: list[str] = []
    for i, message in enumerate(chat.messages):
        text = plain_text(message.parts, "\n")
        if wanted and message.role in ("system", "developer") and text:
            prompts.append(text)
        elif i != place:
            dropped.append(f"messages[{i}]")
    if prompts:
        body["context"] = "\n\n".join(prompts)


def _name_unsaid(chat: ChatRequest, dropped: list[str]) -> None:
    dropped += [
        name for attribute, name in _UNSAID if getattr(chat, attribute) not in (None, "", [])
    ]
    if chat.n is not None and chat.n > 1:
        dropped.append("n")
    if any(word != "text" for word in chat.modalities):
        dropped.append("modalities")
    dropped += [name for name in chat.extra if name not in PARAMETERS]


def _translated(item: JSON) -> Text:
    text = item.get("text")
    return Text(text if isinstance(text, str) else "")


def _beside(item: JSON) -> dict[str, JSON]:
    """What is told of the first translation: the language found, the model used."""
    return {k: v for k, v in item.items() if k not in ("text", "billed_characters")}


def _characters(item: JSON) -> int:
    """What is billed; where the answer does not say it, about as many as came back."""
    billed = item.get("billed_characters")
    if isinstance(billed, int) and not isinstance(billed, bool) and 0 <= billed < 10**12:
        return billed
    return len(_translated(item).text)


def _wrong(param: str, words: str) -> ApiError:
    return ApiError(400, f"`{param}` {words}", code="unsupported_value", param=param)
