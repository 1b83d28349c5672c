"""Answers as Ollama's clients read them: whole ones, errors, models that were loaded.

https://github.com/ollama/ollama/blob/main/docs/api.md (read 2026-11-24). Times that no provider
told are the gateway's own: the prompt's is that until the first content, the answer's the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, assert_never

from oneapi.dialects.base import Stamp
from oneapi.dialects.base_bodies import encode_text
from oneapi.dialects.ollama_shapes import NAME, Call, reason_of, render_call, rfc3339
from oneapi.errors import ApiError
from oneapi.ir import (
    ChatResponse,
    Choice,
    Extra,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)
from oneapi.wire.json import JSON, encode

_BILLION: Final = 1_000_000_000


def render_response(reply: ChatResponse, stamp: Stamp, *, generate: bool) -> bytes:
    """The body of a whole answer."""
    own = reply.source == NAME
    choice = reply.choices[0] if reply.choices else Choice([], None)
    extra = dict(reply.extra) if own else {}
    created = extra.pop("created_at", None)
    pictures = own or generate
    message = message_of(choice.parts, extra.pop("message", None), pictures=pictures)
    out: Extra = {
        "model": stamp.model or reply.model,
        "created_at": created if isinstance(created, str) else Clock(stamp).now(),
        **shaped(message, generate),
        "done": True,
    }
    reason = choice.native_stop if own else reason_of(choice.stop)
    if reason:
        out["done_reason"] = reason
    if own and isinstance(reply.raw_usage, dict):
        out.update(reply.raw_usage)
    else:
        out.update(metrics(reply.usage, stamp.elapsed_ns(), 0))
    listed = logprobs_of(choice.logprobs)
    if listed is not None:
        out["logprobs"] = listed
    return encoded({**out, **extra})


def load_answer(model: str, stamp: Stamp, *, unload: bool = False, generate: bool = False) -> bytes:
    """What answers a request that only loads a model, or unloads it: nothing had to be done."""
    return encoded(
        {
            "model": model,
            "created_at": Clock(stamp).now(),
            **shaped({"role": "assistant", "content": ""}, generate),
            "done": True,
            "done_reason": "unload" if unload else "load",
        }
    )


def render_error(error: ApiError, request_id: str = "") -> bytes:
    """`{"error": "text"}`: there is no room for a code."""
    suffix = f" (request id: {request_id})" if request_id else ""
    return encoded({"error": error.message + suffix})


def stream_error(error: ApiError, request_id: str = "") -> bytes:
    """The same as a line: clients raise it wherever it stands."""
    return render_error(error, request_id) + b"\n"


class Clock:
    """RFC 3339 times of one answer; the text of a second is made once."""

    def __init__(self, stamp: Stamp) -> None:
        self._elapsed = stamp.elapsed_ns
        self._created = stamp.created
        self._second = -1
        self._text = ""

    def now(self) -> str:
        seconds, rest = divmod(self._elapsed(), _BILLION)
        if seconds != self._second:
            self._second = seconds
            self._text = rfc3339(self._created + seconds)[:-1]
        return f"{self._text}.{rest:09d}Z"


def message_of(parts: Iterable[Part], rest: JSON, *, pictures: bool) -> Extra:
    """The message that an answer's parts make; what the format has no place for is left out.

    `pictures` says whether images that were made have one: generate's answers do. The Python client
    refuses a chat's whole answer where one is in it.
    """
    texts, thoughts, images = [], [], []
    calls: list[Extra] = []
    for part in parts:
        match part:
            case Text() | Refusal():
                texts.append(part.text)
            case Reasoning():
                thoughts.append(part.text)
            case Media():
                if pictures and part.kind == "image" and part.data:
                    images.append(part.data)
            case ToolCall():
                calls.append(called(part, part.arguments, len(calls)))
            case ToolResult() | Opaque():
                pass
            case _:
                assert_never(part)
    message: Extra = {"role": "assistant", "content": "".join(texts)}
    if any(thoughts):
        message["thinking"] = "\n".join(thought for thought in thoughts if thought)
    if images:
        message["images"] = images
    if calls:
        message["tool_calls"] = calls
    if isinstance(rest, dict):
        message.update(rest)
    return message


def called(part: ToolCall, arguments: str, index: int) -> Extra:
    if isinstance(part, Call):
        return render_call(
            Call(part.id, part.name, arguments, extra=part.extra, original=part.original)
        )
    return render_call(ToolCall(part.id, part.name, arguments), index)


def shaped(message: Extra, generate: bool) -> Extra:
    """A message as chat has it, or its members as generate has them at the top."""
    if not generate:
        return {"message": message}
    out: Extra = {"response": message.pop("content")}
    images = message.pop("images", None)
    if images:
        out["image"] = images[0]
    message.pop("role", None)
    return {**out, **message}


def metrics(usage: Usage | None, elapsed_ns: int, first_ns: int) -> Extra:
    """Counts, and times in nanoseconds. Clients divide by the answer's: it is never 0."""
    out: Extra = {"total_duration": elapsed_ns, "load_duration": 0}
    if usage is not None:
        out["prompt_eval_count"] = usage.input_tokens
    out["prompt_eval_duration"] = first_ns
    if usage is not None:
        out["eval_count"] = usage.output_tokens
    out["eval_duration"] = max(1, elapsed_ns - first_ns)
    return out


def logprobs_of(value: JSON) -> JSON:
    """The list of tokens, None where another format's log probabilities are shaped otherwise."""
    listed = value.get("content") if isinstance(value, dict) else None
    if not isinstance(listed, list):
        return None
    return listed if all(map(_is_token, listed)) else None


def _is_token(entry: JSON) -> bool:
    """Whether clients can read it: they refuse the whole answer where one has another type."""
    if not isinstance(entry, dict) or not isinstance(entry.get("token"), str):
        return False
    return isinstance(entry.get("logprob"), (int, float))


def plain(value: JSON) -> str:
    """A provider's time, as it may stand in a string of JSON unchecked."""
    fits = isinstance(value, str) and value.isascii() and value.isprintable()
    return value if fits and '"' not in value and "\\" not in value else ""


def encoded(value: JSON) -> bytes:
    try:
        return encode(value)
    except UnicodeEncodeError:
        return encode_text(value).encode()
