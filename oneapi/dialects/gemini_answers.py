"""Whole answers of Gemini's dialect to the middle.

https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse (read 2026-11-24) and
recordings. A candidate may lack its content, a content its parts; calls may lack ids: then they are
made from the stamp, `call_` and the call's number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from oneapi.dialects.base import Stamp
from oneapi.dialects.base_errors import describe
from oneapi.dialects.gemini_enums import has_integers, to_names
from oneapi.dialects.gemini_errors import error_of, reason_of
from oneapi.dialects.gemini_parts import NAME, lenient_part
from oneapi.dialects.gemini_usage import parse_usage, searches
from oneapi.errors import UpstreamError
from oneapi.ir import ChatResponse, Choice, Part, Stop, ToolCall
from oneapi.wire.json import JSON, MalformedJSON, decode

_STOPS: Final[Mapping[str, Stop]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "OTHER": "error",
    "MALFORMED_FUNCTION_CALL": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "MALFORMED_RESPONSE": "error",
    "IMAGE_OTHER": "error",
    "NO_IMAGE": "error",
    "CONTINUATION": "pause",
}
_EMPTY: Final = {"role": "model"}
"""The content of a candidate that says nothing."""
_KNOWN: Final = frozenset(
    {"candidates", "usageMetadata", "modelVersion", "responseId", "promptFeedback"}
)


def stop_of(reason: str, called: bool) -> Stop:
    """Why the answer ended; calls end with `STOP` too."""
    stop = _STOPS.get(reason, "stop")
    return "tool_calls" if called and stop == "stop" else stop


def call_prefix(stamp: Stamp) -> str:
    """How the ids begin that are made for calls without one."""
    return f"call_{stamp.id}_"


def parse_answer(value: dict[str, JSON], stamp: Stamp) -> ChatResponse:
    """One answer object. Raises `UpstreamError` for an error and for what is no answer."""
    if value.get("error") or _KNOWN.isdisjoint(value):
        raise failure(value)
    if has_integers(value):
        to_names(value)
    raw = value.pop("usageMetadata", None)
    usage = parse_usage(raw)
    candidates = value.pop("candidates", None)
    choices: list[Choice] = []
    for candidate in candidates if isinstance(candidates, list) else ():
        if isinstance(candidate, dict):
            choices.append(_choice(candidate, len(choices)))
            if usage is not None:
                usage.searches += searches(candidate.get("groundingMetadata"))
    identifier, model = value.pop("responseId", None), value.pop("modelVersion", None)
    reply = ChatResponse(
        id=identifier if isinstance(identifier, str) and identifier else stamp.id,
        model=model if isinstance(model, str) else "",
        choices=_named(choices, stamp) or [blocked(value)],
        usage=usage,
        source=NAME,
        created=created(value) or stamp.created,
        raw_usage=raw,
        extra=value,
    )
    return reply


def read(body: bytes) -> JSON:
    """The body's JSON. Raises `UpstreamError` 502."""
    try:
        return decode(body)
    except MalformedJSON as error:
        raise _no_answer() from error


def failure(value: JSON) -> UpstreamError:
    """The error that an answer of success is, with its own status where it names one."""
    error = error_of(value)
    if error is None:
        return _no_answer()
    told, _, kind = describe(value)
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else 502
    return UpstreamError(
        status,
        told or "the provider answered with an error",
        code=reason_of(value) or kind or "upstream_error",
        retryable=status in (408, 429) or status >= 500,
        original_status=status,
    )


def created(value: Mapping[str, JSON]) -> int:
    """Unix seconds of `createTime`, 0 without one."""
    told = value.get("createTime")
    try:
        return int(datetime.fromisoformat(told).timestamp()) if isinstance(told, str) else 0
    except (ValueError, OverflowError):
        return 0


def blocked(value: Mapping[str, JSON]) -> Choice:
    """The choice that an answer without candidates is: a refused prompt, or nothing."""
    reason = block_reason(value)
    return Choice([], "content_filter" if reason else "stop", native_stop=reason)


def block_reason(value: Mapping[str, JSON]) -> str:
    """Why a prompt was refused, "" where it was not."""
    feedback = value.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    return reason if isinstance(reason, str) else ""


def openai_logprobs(result: JSON) -> JSON:
    """A `logprobsResult` in the middle's form, OpenAI's: `{"content": [{token, logprob …}]}`."""
    chosen = result.get("chosenCandidates") if isinstance(result, dict) else None
    if not isinstance(chosen, list):
        return None
    top = result.get("topCandidates")
    ranks = top if isinstance(top, list) else []
    content = []
    for number, entry in enumerate(chosen):
        told = _logprob(entry)
        rank = ranks[number] if number < len(ranks) else None
        others = rank.get("candidates") if isinstance(rank, dict) else None
        told["top_logprobs"] = [_logprob(o) for o in others] if isinstance(others, list) else []
        content.append(told)
    return {"content": content}


def _logprob(entry: JSON) -> dict[str, JSON]:
    told = entry if isinstance(entry, dict) else {}
    token, value = told.get("token"), told.get("logProbability")
    text = token if isinstance(token, str) else ""
    return {
        "token": text,
        "logprob": value if isinstance(value, (int, float)) else 0.0,
        "bytes": list(text.encode("utf-8", "replace")),
    }


def _choice(candidate: dict[str, JSON], number: int) -> Choice:
    content = candidate.pop("content", None)
    parts = content.get("parts") if isinstance(content, dict) else None
    found: list[Part] = [lenient_part(p) for p in parts] if isinstance(parts, list) else []
    reason = candidate.pop("finishReason", None)
    index = candidate.pop("index", None)
    reason = reason if isinstance(reason, str) else ""
    called = any(isinstance(part, ToolCall) for part in found)
    if not found and content != _EMPTY:  # a client of the same format is to see what was there
        candidate["content"] = content
    return Choice(
        found,
        stop_of(reason, called),
        index if type(index) is int and index >= 0 else number,
        native_stop=reason,
        logprobs=openai_logprobs(candidate.get("logprobsResult")),
        extra=candidate,
    )


def _named(choices: list[Choice], stamp: Stamp) -> list[Choice]:
    """The choices with an id on every call."""
    prefix, count = call_prefix(stamp), 0
    for choice in choices:
        for place, part in enumerate(choice.parts):
            if isinstance(part, ToolCall):
                if not part.id:
                    choice.parts[place] = replace(part, id=f"{prefix}{count}")
                count += 1
    return choices


def _no_answer() -> UpstreamError:
    return UpstreamError(
        502,
        "the provider's answer is none that this gateway can read",
        code="bad_upstream_answer",
        retryable=True,
    )
