"""What the mock provider is told to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oneapi.wire.json import JSON


@dataclass(frozen=True, slots=True)
class ScriptedCall:
    """A tool call to answer with, where tools are offered."""

    name: str
    arguments: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScriptedError:
    """An error for one request in `every`, at most `count` times (None: for ever)."""

    status: int
    code: str | None = None
    message: str | None = None
    every: int = 1
    count: int | None = None


@dataclass(frozen=True, slots=True)
class MockOptions:
    """`latency_ms` before an answer, `chunk_ms` between the events of a stream, `tokens` the length
    of an answer, `text` the answer itself, `cut_after` the events after which a stream breaks off.
    """

    latency_ms: int = 0
    chunk_ms: int = 0
    tokens: int = 32
    text: str | None = None
    tool_calls: tuple[ScriptedCall, ...] = ()
    error: ScriptedError | None = None
    cut_after: int | None = None

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> MockOptions:
        """Options as the configuration holds them, checked there: a channel's `mock` table."""
        told = dict(values)
        told["tool_calls"] = tuple(ScriptedCall(**call) for call in told.get("tool_calls", ()))
        if told.get("error") is not None:
            told["error"] = ScriptedError(**told["error"])
        return cls(**told)
