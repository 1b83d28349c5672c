"""The tiny request of `oneapi test`, and what its answer says about a channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oneapi.dialects.registry import chat_provider
from oneapi.errors import ApiError
from oneapi.ir import ChatRequest, Message, Text
from oneapi.net.base import Call, Reply
from oneapi.providers.account import Account
from oneapi.providers.operations import CHAT
from oneapi.wire.json import JSON, decode, encode

MAX_ANSWER = 1024 * 1024
MAX_OUTPUT = 16
"""Tokens asked for: some providers refuse 1, and an answer cut short is an answer."""
_MAX_WORDS = 300

# Members that answers of some dialect have, and those in which their text stands.
_ANSWERS = (
    "choices",
    "data",
    "results",
    "content",
    "candidates",
    "message",
    "output",
    "translations",
    "result",
    "parts",
)
_TEXTS = ("text", "content", "response")

# How names of models tell what they are for; what is not told is a chat.
_HINTS: tuple[tuple[str, str], ...] = (
    ("embed", "embeddings"),
    ("bge-", "embeddings"),
    ("e5-", "embeddings"),
    ("gte-", "embeddings"),
    ("moderation", "moderations"),
    ("davinci-", "completions"),
    ("babbage-", "completions"),
    ("tts-", "speech"),
)


@dataclass(frozen=True, slots=True)
class Probe:
    """What a channel said: `ok`, its status, and its first words or why it refused, one line."""

    ok: bool
    status: int
    text: str


def probe_call(account: Account, key: str, model: str, *, operation: str | None = None) -> Call:
    """The cheapest request that shows whether the channel serves the model.

    Asked is in OpenAI's dialect where the model is served in it, else in the first of its own.
    Raises `ValueError` where the channel offers nothing that is cheap to ask.
    """
    spoken = account.dialects(model)
    if operation is None and CHAT not in spoken:
        return _own_call(account, key, model, spoken)
    chosen = operation or probe_operation(account, model)
    fields: dict[str, JSON] = {"model": model}
    if chosen == "chat":
        fields["messages"] = [{"role": "user", "content": "Say hi."}]
        fields[account.preset.limit_field] = MAX_OUTPUT
    elif chosen == "completions":
        fields |= {"prompt": "Hi", "max_tokens": MAX_OUTPUT}
    elif chosen == "speech":
        fields |= {"input": "Hi.", "voice": "alloy"}
    else:
        fields["input"] = "hi"
    return Call(
        method=b"POST",
        target=account.target(chosen, model),
        headers=(
            *account.headers(key),
            (b"content-type", b"application/json"),
            (b"accept", b"*/*"),
        ),
        body=encode(fields),
    )


def _own_call(account: Account, key: str, model: str, spoken: Sequence[str]) -> Call:
    said = [Message("user", [Text("Say hi.")])]
    chat = ChatRequest(model, said, CHAT, max_output=MAX_OUTPUT)
    for dialect in spoken:
        provider = chat_provider(dialect)
        if provider is None or account.wrap(provider.OPERATION):
            continue  # what a transport packs is the gateway's work: other models show the host
        try:
            outgoing = provider.render_request(chat, model, account.hints_for(model, dialect))
        except ApiError as error:
            raise ValueError(error.message) from None
        return Call(
            method=b"POST",
            target=account.target(outgoing.operation, model),
            headers=(
                *account.headers(key),
                (b"content-type", b"application/json"),
                (b"accept", b"*/*"),
                *outgoing.headers,
            ),
            body=outgoing.body,
        )
    raise ValueError("this channel offers no operation that is cheap to try")


def probe_operation(account: Account, model: str) -> str:
    """What to ask a model for, by its name and by what the channel offers."""
    lower = model.lower()
    for hint, operation in _HINTS:
        if hint in lower and account.supports(operation):
            return operation
    for operation in ("chat", "completions", "embeddings"):
        if account.supports(operation):
            return operation
    raise ValueError("this channel offers no operation that is cheap to try")


async def read_probe(reply: Reply, *, secrets: tuple[str, ...] = ()) -> Probe:
    """Read and close an answer to a probe. Raises `CarrierError`; its text holds no `secrets`."""
    try:
        body = await reply.read(MAX_ANSWER)
    finally:
        await reply.aclose()
    try:
        value = decode(body)
    except ValueError:
        value = None
    kind = next((v for n, v in reply.headers if n == b"content-type"), b"")
    answered = reply.status in (200, 201) and (
        _answers(value) or (kind.startswith(b"audio/") and body)
    )
    text = _words(value) if value is not None else ("" if answered else _start(body))
    for secret in secrets:
        text = text.replace(secret, "***") if secret else text
    return Probe(ok=bool(answered), status=reply.status, text=text)


def _answers(value: JSON) -> bool:
    """Whether this is an answer: some providers tell errors inside a 200."""
    if not isinstance(value, dict) or value.get("error"):
        return False
    return any(isinstance(value.get(name), dict | list) for name in _ANSWERS) or "input" in value


def _words(value: JSON) -> str:
    """The answer's text, or its error's."""
    if not isinstance(value, dict):
        return _line(str(value))
    choices = value.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        message = choices[0].get("message")
        said = message.get("content") if isinstance(message, dict) else choices[0].get("text")
        return _line(said) if isinstance(said, str) else ""
    if isinstance(value.get("data"), list):
        return ""
    if _answers(value) and not value.get("error"):
        return _line(_first_text(value))
    error = value.get("error")
    for place in (error, value.get("base_resp"), value):
        if isinstance(place, str):
            return _line(place)
        if isinstance(place, dict):
            for name in ("message", "status_msg", "msg", "detail", "error_msg"):
                if isinstance(place.get(name), str):
                    return _line(place[name])
    return ""


def _first_text(value: JSON, depth: int = 6) -> str:
    """The first text of an answer in whatever dialect."""
    if isinstance(value, str) or depth == 0:
        return value if isinstance(value, str) else ""
    if isinstance(value, list):
        return next((text for item in value if (text := _first_text(item, depth - 1))), "")
    if not isinstance(value, dict):
        return ""
    inside = (value.get(name) for name in (*_TEXTS, *_ANSWERS))
    return next((text for item in inside if item and (text := _first_text(item, depth - 1))), "")


def _start(body: bytes) -> str:
    return _line(body[: 4 * _MAX_WORDS].decode("utf-8", "replace"))


def _line(text: str) -> str:
    """One line for a terminal: no control characters, not too long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _MAX_WORDS else line[: _MAX_WORDS - 1] + "…"
