"""The legacy completions of OpenAI's dialect, answered by models that chat.

https://platform.openai.com/docs/api-reference/completions (read 2026-11-24). The prompt becomes a
message of the user. Tokens as a prompt, several prompts and `suffix` are refused: a chat cannot
answer them. `best_of` is dropped; `logprobs` come in the shape that completions have.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from oneapi.dialects.base import Stamp
from oneapi.dialects.openai_chat_replies import render_usage
from oneapi.dialects.openai_chat_requests import integer, number, sampling
from oneapi.dialects.openai_chat_shapes import NAME as CHAT
from oneapi.dialects.openai_chat_shapes import WORDS, Asked, bad, string
from oneapi.dialects.openai_errors import stream_error
from oneapi.dialects.openai_json import dump
from oneapi.errors import ApiError
from oneapi.ir import (
    BlockStart,
    ChatRequest,
    ChatResponse,
    Choice,
    Delta,
    Envelope,
    Event,
    Extra,
    Failed,
    Finish,
    Message,
    Refusal,
    Spent,
    Start,
    Text,
)
from oneapi.wire.json import JSON

NAME: Final = "openai-completions"
_ID: Final = "cmpl-"
_DONE: Final = b"data: [DONE]\n\n"
_TAKEN: Final = frozenset(
    {"model", "prompt", "stream", "stream_options", "max_tokens", "temperature", "top_p", "top_k"}
    | {"stop", "seed", "presence_penalty", "frequency_penalty", "n", "logprobs", "user", "echo"}
    | {"suffix", "service_tier"}
)


class CompletionsFace:
    """`ChatFace` of `/completions`."""

    NAME = NAME
    CONTENT_TYPE = b"text/event-stream"

    def parse_request(self, body: JSON, envelope: Envelope) -> ChatRequest:
        if not isinstance(body, dict):
            raise ApiError(400, "the body must be a JSON object", code="invalid_type")
        if body.get("suffix"):
            raise bad("suffix", "cannot be asked of a model that chats", "unsupported_parameter")
        echo = body.get("echo")
        if echo is not None and not isinstance(echo, bool):
            raise bad("echo", "must be a boolean")
        message = Message("user", [Text(_prompt(body.get("prompt")))])
        chat = Asked(model=envelope.model, messages=[message], source=NAME, wire=dict(body))
        sampling(chat, body, envelope)
        limit = integer(body, "max_tokens")
        chat.max_output = limit if limit is not None and limit >= 0 else None
        wanted = body.get("logprobs")
        if wanted is not None and not isinstance(wanted, bool):  # some clients send a chat's
            chat.top_logprobs = integer(body, "logprobs")
        chat.logprobs = None if wanted is None or wanted is False else True
        chat.user = string(body.get("user"), "user")
        number(body, "best_of")
        chat.extra = {k: v for k, v in body.items() if k not in _TAKEN and v is not None}
        return chat

    def render_request(self, chat: ChatRequest) -> JSON:
        wire = chat.wire if isinstance(chat, Asked) else {}
        prompt = _prompt_of(chat)
        held = wire.get("prompt")
        same = held is not None and _prompt(held) == prompt
        return {**wire, "model": chat.model, "prompt": held if same else prompt}

    def render_response(self, reply: ChatResponse, chat: ChatRequest, stamp: Stamp) -> bytes:
        same = reply.source == CHAT
        body: Extra = {
            "id": reply.id or _ID + stamp.id,
            "object": "text_completion",
            "created": reply.created or stamp.created,
            "model": stamp.model or reply.model or chat.model,
            "choices": [_choice(choice, chat, same=same) for choice in reply.choices],
        }
        if same and reply.raw_usage is not None:
            body["usage"] = reply.raw_usage
        elif reply.usage is not None:
            body["usage"] = render_usage(reply.usage)
        if same:
            body |= reply.extra
        return dump({**body, "object": "text_completion"})

    def stream_renderer(self, chat: ChatRequest, stamp: Stamp) -> CompletionsStream:
        return CompletionsStream(chat, stamp)


def _prompt(value: JSON) -> str:
    """The one prompt that was given. Raises `ApiError` 400 for what a chat cannot take."""
    if value is None:
        what = "you must provide a `prompt` parameter"
        raise ApiError(400, what, code="missing_required_parameter", param="prompt")
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise bad("prompt", "must be a string or an array")
    if len(value) != 1:
        raise bad("prompt", "must be one prompt: this model chats", "unsupported_value")
    if not isinstance(value[0], str):
        raise bad("prompt[0]", "must be text, not tokens: this model chats", "unsupported_value")
    return value[0]


def _prompt_of(chat: ChatRequest) -> str:
    return "\n\n".join(
        part.text for message in chat.messages for part in message.parts if isinstance(part, Text)
    )


def _echo(chat: ChatRequest) -> str:
    """The prompt, where the client wants it before the answer."""
    return _prompt_of(chat) if isinstance(chat, Asked) and chat.wire.get("echo") is True else ""


def _choice(choice: Choice, chat: ChatRequest, *, same: bool) -> JSON:
    echo = _echo(chat)
    said = "".join(p.text for p in choice.parts if isinstance(p, (Text, Refusal)))
    extra = {k: v for k, v in choice.extra.items() if k not in ("message", "text")} if same else {}
    return {
        "text": echo + said,
        "index": choice.index,
        "logprobs": logprobs_of(choice.logprobs, len(echo)),
        "finish_reason": _word(choice.stop, choice.native_stop, same=same),
        **extra,
    }


def _word(stop: JSON, native: str, *, same: bool) -> str | None:
    if stop is None:
        return None
    if same and native:
        return native
    word = WORDS[stop]
    return "stop" if word == "tool_calls" else word


def logprobs_of(value: JSON, offset: int = 0) -> JSON:
    """Log probabilities of a chat in the shape of completions, whose own are left as they are.

    `offset` is the place of the first token in the text, in characters.
    """
    content = value.get("content") if isinstance(value, dict) else None
    if not isinstance(content, list):
        return value
    out: dict[str, list[JSON]] = {
        "tokens": [],
        "token_logprobs": [],
        "top_logprobs": [],
        "text_offset": [],
    }
    for entry in content:
        if not isinstance(entry, dict):
            continue
        token = entry.get("token")
        token = token if isinstance(token, str) else ""
        tops = entry.get("top_logprobs")
        out["tokens"].append(token)
        out["token_logprobs"].append(entry.get("logprob"))
        out["top_logprobs"].append(
            {
                str(top.get("token")): top.get("logprob")
                for top in (tops if isinstance(tops, list) else ())
                if isinstance(top, dict)
            }
        )
        out["text_offset"].append(offset)
        offset += len(token)
    return out


class CompletionsStream:
    """One stream of completions: text alone, thoughts and calls have no place in it."""

    def __init__(self, chat: ChatRequest, stamp: Stamp) -> None:
        self._chat = chat
        self._stamp = stamp
        self._echo = _echo(chat)
        self._same = False
        self._head: Extra = {}
        self._texts: dict[int, int] = {}  # the choice of each block of text
        self._lengths: dict[int, int] = {}
        self._finished: set[int] = set()
        self._spent: Spent | None = None

    def render(self, events: Iterable[Event]) -> bytes:
        return b"".join(chunk for event in events for chunk in self._event(event))

    def fail(self, error: ApiError) -> bytes:
        return stream_error(error)

    def close(self) -> bytes:
        open_ones = [n for n in self._lengths if n not in self._finished]
        out = [c for n in open_ones for c in self._event(Finish("stop", n))]
        if self._spent is not None and self._chat.wants_usage:
            raw = self._spent.raw if self._same else None
            usage = render_usage(self._spent.usage) if raw is None else raw
            out.append(self._line({**self._begun(), "choices": [], "usage": usage}))
        return b"".join((*out, _DONE))

    def _event(self, event: Event) -> Iterable[bytes]:
        match event:
            case Start():
                self._begin(event)
            case BlockStart(index=index, part=Text() | Refusal() as part, choice=choice):
                self._texts[index] = choice
                if choice not in self._lengths:
                    self._lengths[choice] = 0
                    yield from self._text(choice, self._echo, None, None)
                yield from self._text(choice, part.text, None, None)
            case Delta() if event.index in self._texts:
                yield from self._text(
                    self._texts[event.index], event.text, event.logprobs, event.extra
                )
            case Finish() if event.choice not in self._finished:
                self._finished.add(event.choice)
                word = _word(event.stop, event.native_stop, same=self._same)
                yield self._chunk(event.choice, "", word, None, event.extra)
            case Spent():
                self._spent = event
            case Failed():
                yield self.fail(event.error)
            case _:
                pass  # thoughts, calls, media and what other dialects know

    def _begin(self, event: Start) -> None:
        self._same = event.source == CHAT
        self._head = {
            "id": event.id or _ID + self._stamp.id,
            "object": "text_completion",
            "created": event.created or self._stamp.created,
            "model": self._stamp.model or event.model or self._chat.model,
        }
        if self._same:
            self._head |= {k: v for k, v in event.extra.items() if k not in self._head}

    def _begun(self) -> Extra:
        if not self._head:
            self._begin(Start("", ""))
        return self._head

    def _text(self, choice: int, text: str, logprobs: JSON, extra: Extra | None) -> Iterable[bytes]:
        if text or logprobs is not None:
            told = logprobs_of(logprobs, self._lengths.get(choice, 0))
            self._lengths[choice] = self._lengths.get(choice, 0) + len(text)
            yield self._chunk(choice, text, None, told, extra)

    def _chunk(
        self, choice: int, text: str, word: str | None, logprobs: JSON, extra: Extra | None
    ) -> bytes:
        beside = {k: v for k, v in (extra or {}).items() if k not in ("delta", "message", "text")}
        entry: Extra = {
            "text": text,
            "index": choice,
            "logprobs": logprobs,
            "finish_reason": word,
            **(beside if self._same else {}),
        }
        return self._line({**self._begun(), "choices": [entry]})

    def _line(self, value: JSON) -> bytes:
        return b"data: " + dump(value) + b"\n\n"
