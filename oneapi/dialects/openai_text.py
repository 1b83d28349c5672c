"""The text that a model wrote, in any shape of OpenAI's dialect: whole answers and events."""

from __future__ import annotations

from collections.abc import Iterator

from oneapi.wire.json import JSON

_QUIET = frozenset(
    {"role", "name", "index", "id", "type", "channel", "obfuscation", "object", "model"}
)
"""Members of a delta that frame content and are none."""


def text_of(value: JSON) -> str:
    """Text, reasoning and tool calls of an answer or an event, joined; "" for anything else."""
    return "".join(_texts(value))


def has_content(value: JSON) -> bool:
    """Whether a stream's event carries what a client waits for, or says that it has all of it."""
    if not isinstance(value, dict):
        return False
    choices = value.get("choices")
    if isinstance(choices, list):
        return any(_chosen(choice) for choice in choices)
    kind = value.get("type")
    return isinstance(kind, str) and kind not in ("error", "ping") and not value.get("error")


def finish_of(value: JSON) -> str | None:
    """The first finish reason in an event; for events with a `type`, the last one's type."""
    if not isinstance(value, dict):
        return None
    choices = value.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        reason = choice.get("finish_reason") if isinstance(choice, dict) else None
        if reason and isinstance(reason, str):
            return reason
    kind = value.get("type")
    return kind if isinstance(kind, str) and kind.endswith((".done", ".completed")) else None


def error_of(value: JSON) -> JSON:
    """The error that an event reports, None where it reports none."""
    if not isinstance(value, dict):
        return None
    if value.get("error"):
        return value["error"]
    if value.get("type") == "error" or value.get("object") == "error":
        return value
    choices = value.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0].get("error") or None
    return _vendor_error(value) if not choices else None


def _vendor_error(value: JSON) -> JSON:
    """Errors in a provider's own envelope, which ride on a status of success."""
    envelope = value.get("base_resp")
    if isinstance(envelope, dict) and envelope.get("status_code"):
        return envelope
    return value if value.get("error_code") or value.get("success") is False else None


def _chosen(choice: JSON) -> bool:
    if not isinstance(choice, dict):
        return False
    if choice.get("finish_reason") or choice.get("text"):
        return True
    return any(
        bool(value) and isinstance(value, (str, list, dict))
        for part in ("delta", "message")
        for name, value in _items(choice.get(part))
        if name not in _QUIET
    )


def _items(value: JSON) -> Iterator[tuple[str, JSON]]:
    if isinstance(value, dict):
        yield from value.items()


def _texts(value: JSON) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    choices = value.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, dict):
            continue
        said = [*_said(choice.get("delta")), *_said(choice.get("message"))]
        yield from said or _strings(choice.get("text"))  # some send the same text as both
    kind = value.get("type")
    if isinstance(kind, str):
        if kind.endswith(".delta"):
            yield from _strings(value.get("delta"))
        elif kind.endswith(".segment"):
            yield from _strings(value.get("text"))
    elif choices is None:
        yield from _strings(value.get("text"))


def _said(message: JSON) -> Iterator[str]:
    """The texts of a message or of a delta."""
    if not isinstance(message, dict):
        return
    yield from _strings(message.get("content"))
    thought = [*_strings(message.get("reasoning_content"))]
    yield from thought or _strings(message.get("reasoning"))
    yield from _strings(message.get("refusal"))
    calls = message.get("tool_calls")
    for call in (*(calls if isinstance(calls, list) else (calls,)), message):
        if isinstance(call, dict):
            function = call.get("function") or call.get("function_call")
            if isinstance(function, dict):
                yield from _strings([function.get("name"), function.get("arguments")])
    audio = message.get("audio")
    if isinstance(audio, dict):
        yield from _strings(audio.get("transcript"))


def _strings(value: JSON, depth: int = 0) -> Iterator[str]:
    """A string, the strings of a list, or the text of content parts, thinking ones included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth < 4:
        for item in value:
            yield from _strings(item, depth + 1)
    elif isinstance(value, dict) and depth < 4:
        yield from _strings([value.get("text"), value.get("thinking")], depth + 1)
