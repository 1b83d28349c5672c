"""Ollama as a provider of chat, over its native API: /v1 can set neither `num_ctx` nor `think`.

https://github.com/ollama/ollama/blob/main/docs/api.md (read 2026-11-24). A prompt that is longer
than `num_ctx` is cut without a word, so the window is computed from the prompt, in few steps: a
model is loaded anew whenever it changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from oneapi import estimate
from oneapi.dialects.base import FollowUp, Headers, Hints, Outgoing, Stamp
from oneapi.dialects.base_bodies import body_of
from oneapi.dialects.base_errors import parse_error
from oneapi.dialects.ollama_rendering import render
from oneapi.dialects.ollama_shapes import CHAT, GENERATE, NAME, Asked
from oneapi.dialects.ollama_stream import Parser, parse_response
from oneapi.ir import ChatRequest, ChatResponse, Extra, Media, Part, ToolResult
from oneapi.wire.json import JSON

LEAST: Final = 4096
"""Tokens of the smallest window: Ollama's own default."""
HEADROOM: Final = 1024
"""Tokens left for an answer of which no limit is known."""
MOST_HEADROOM: Final = 8192
"""Coding clients ask for 32,000 tokens at every turn and use few: memory is not kept for them."""
_IMAGE: Final = 800
"""Tokens of an image, about: models differ from 256 to some 1,500."""
_CHANNEL_OPTIONS: Final = frozenset(
    {"num_batch", "num_gpu", "main_gpu", "num_thread", "use_mmap", "num_keep", "min_p"}
    | {"typical_p", "repeat_last_n", "repeat_penalty", "draft_num_predict"}
)
"""Options that a channel may set for clients that do not."""


class ChatProvider:
    """The provider's side of chat. One for all."""

    NAME: Final = NAME
    OPERATION: Final = CHAT

    def fetches(self, chat: ChatRequest, hints: Hints) -> Sequence[str]:
        return list(dict.fromkeys(_addresses(part for m in chat.messages for part in m.parts)))

    def render_request(self, chat: ChatRequest, model: str, hints: Hints) -> Outgoing:
        body, dropped = render(chat, think=hints.options.get("think"))
        body["model"] = model
        warnings = _fit(body, chat, hints)
        return Outgoing(
            GENERATE if isinstance(chat, Asked) and chat.generate else CHAT,
            body_of(body),
            chat.stream,
            dropped=dropped,
            warnings=warnings,
        )

    def follow_up(self, body: bytes) -> FollowUp | None:
        return None

    def parse_response(self, body: bytes, hints: Hints, stamp: Stamp) -> ChatResponse:
        return parse_response(body, stamp)

    def stream_parser(self, hints: Hints, stamp: Stamp) -> Parser:
        return Parser(stamp)

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


def will_be_cut(chat: ChatRequest, hints: Hints) -> bool:
    """Whether the prompt does not fit the window that it will be given. Raises as rendering."""
    return bool(_fit(render(chat, think=hints.options.get("think"))[0], chat, hints))


def window(prompt: int, answer: int, context: int) -> int:
    """`num_ctx` for a prompt and an answer of so many tokens: a power of two from 4096 on.

    At most `context`, the model's own window, where that is known (not 0). A tenth is added to the
    prompt: it is an estimate.
    """
    need = prompt + prompt // 10 + answer
    size = LEAST
    while size < need:
        size *= 2
    return min(size, context) if context else size


def _fit(body: Extra, chat: ChatRequest, hints: Hints) -> list[str]:
    """Set the channel's options and the window; a warning where the prompt does not fit it."""
    options: Extra = dict(body.get("options") or {})
    for name, value in hints.options.items():
        if name in _CHANNEL_OPTIONS:
            options.setdefault(name, value)
    if "keep_alive" in hints.options and body.get("keep_alive") is None:
        body["keep_alive"] = hints.options["keep_alive"]
    prompt = prompt_tokens(body)
    size = options.get("num_ctx")
    if size is None:
        size = hints.options.get("num_ctx")
        if size is None and not isinstance(chat, Asked):  # Ollama's own clients know what they do
            answer = min(chat.max_output or HEADROOM, MOST_HEADROOM)
            size = window(prompt, answer, hints.context)
        if size is not None:
            options["num_ctx"] = size
    if options:
        body["options"] = options
    bound = size if isinstance(size, int) and not isinstance(size, bool) else 0
    bound = min(bound or hints.context, hints.context or bound)
    if not bound or prompt <= bound:
        return []
    return [
        f"the prompt has about {prompt} tokens, the model's window here {bound}: "
        "its beginning will be cut"
    ]


def prompt_tokens(body: Extra) -> int:
    """About how many tokens a rendered request's input is, of chat or generate."""
    images = _length(body.get("images"))
    messages = []
    given = body.get("messages")
    for message in given if isinstance(given, list) else ():
        if not isinstance(message, dict):
            continue
        images += _length(message.get("images"))
        messages.append({name: v for name, v in message.items() if name != "images"})
    seen: JSON = {
        "messages": messages,
        "tools": body.get("tools"),
        "prompt": body.get("prompt"),
        "instruction": body.get("system"),
    }
    return estimate.message_tokens(seen) + images * _IMAGE


def _length(value: JSON) -> int:
    return len(value) if isinstance(value, list) else 0


def _addresses(parts: Iterator[Part]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, ToolResult):
            yield from _addresses(iter(part.parts))
        elif isinstance(part, Media) and part.kind == "image" and part.url and not part.data:
            yield part.url


CHAT_PROVIDER: Final = ChatProvider()
