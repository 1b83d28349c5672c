"""Reads along while a Responses stream is relayed.

https://platform.openai.com/docs/api-reference/responses-streaming (read 2026-11-24). The terminal
event repeats the whole answer and tells its usage; some send `[DONE]` after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from oneapi.dialects.base import Operation
from oneapi.dialects.base_tap import EventTap, Kind
from oneapi.dialects.responses_usage import parse_usage, rename_event
from oneapi.ir import Usage
from oneapi.wire.json import JSON

_FRAMES: Final = frozenset(
    {
        "response.created",
        "response.in_progress",
        "response.queued",
        "response.output_item.added",
        "response.content_part.added",
        "response.reasoning_summary_part.added",
        "keepalive",
        "ping",
    }
)
_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.done"})
_FAILURES: Final = frozenset({"response.failed", "response.cancelled", "response.error", "error"})

_LOST: Final = ("failed", "cancelled")


class Reader:
    """What the events of one stream mean."""

    MARKS: Sequence[bytes] = (
        b"response.completed",
        b"response.incomplete",
        b"response.failed",
        b"response.cancelled",
        b"response.done",
        b"event: error",
        b'"error"',
    )

    def __init__(self, *, output_excludes_reasoning: bool = False) -> None:
        self.usage: Usage | None = None
        self._excludes = output_excludes_reasoning

    def read(self, value: JSON) -> Kind:
        if not isinstance(value, dict):
            return "content" if value is not None else "frame"
        kind = value.get("type")
        if not isinstance(kind, str):
            return "error" if value.get("error") else "content"
        if kind in _FRAMES:
            return "frame"
        if kind in _FAILURES:
            self._note(value)
            return "error"
        if kind not in _ENDS:
            return "content"
        self._note(value)
        response = value.get("response")
        failed = isinstance(response, dict) and response.get("status") in _LOST
        return "error" if failed else "end"

    def text(self, value: JSON) -> str:
        if not isinstance(value, dict):
            return ""
        kind, delta = value.get("type"), value.get("delta")
        if not isinstance(kind, str) or not isinstance(delta, str):
            return ""
        return delta if kind.endswith(".delta") and "audio.delta" not in kind else ""

    def _note(self, value: JSON) -> None:
        usage = parse_usage(value.get("response"), output_excludes_reasoning=self._excludes)
        self.usage = usage or self.usage


def tap(
    operation: Operation,
    *,
    asked: str | None = None,
    withhold_usage: bool = False,
    output_excludes_reasoning: bool = False,
    secrets: Sequence[str] = (),
) -> EventTap:
    """Reads along with one stream; there is no usage that could be withheld."""
    return EventTap(
        Reader(output_excludes_reasoning=output_excludes_reasoning),
        rename=None if asked is None else lambda data: rename_event(data, asked),
        secrets=secrets,
    )
