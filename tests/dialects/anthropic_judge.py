"""Anthropic's own client library as the judge of what is rendered; without it tests skip."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from oneapi.wire.json import JSON


def judged_request(body: JSON) -> JSON:
    """The request as the library's types have it. Raises pydantic's error for what they refuse."""
    return _forced(_adapter().validate_python(body))


def judged_message(body: bytes) -> Any:
    """A whole answer as the library reads it."""
    types = pytest.importorskip("anthropic.types")
    return types.Message.model_validate_json(body)


def judged_stream(sse: bytes) -> Any:
    """A stream as the library gathers it: only named events count, unknown types are errors."""
    types = pytest.importorskip("anthropic.types")
    pydantic = pytest.importorskip("pydantic")
    streaming = pytest.importorskip("anthropic._streaming")
    messages = pytest.importorskip("anthropic.lib.streaming._messages")
    adapter = pydantic.TypeAdapter(types.RawMessageStreamEvent)
    snapshot, buffers = None, {}  # type: ignore[var-annotated]
    last = None
    for event in streaming.SSEDecoder().iter_bytes(iter([sse])):
        if event.event == "ping":
            continue
        value = adapter.validate_python(event.json())
        assert event.event == value.type
        last = value.type
        snapshot = messages.accumulate_event(
            event=value, current_snapshot=snapshot, json_bufs=buffers
        )
    assert last == "message_stop"
    return snapshot


@cache
def _adapter() -> Any:
    pydantic = pytest.importorskip("pydantic")
    params = pytest.importorskip("anthropic.types.message_create_params")
    return pydantic.TypeAdapter(params.MessageCreateParamsNonStreaming)


def _forced(value: Any) -> JSON:
    """Every iterable read, for pydantic checks them late."""
    if isinstance(value, dict):
        return {name: _forced(member) for name, member in value.items()}
    if isinstance(value, str | bytes | int | float | None):
        return value
    return [_forced(item) for item in value]
