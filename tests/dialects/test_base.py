"""The dialect's module is what the gateway asks for."""

from __future__ import annotations

from oneapi.dialects import openai
from oneapi.dialects.base import ClientDialect, Tap


def test_openais_dialect_keeps_the_protocol() -> None:
    dialect: ClientDialect = openai  # a type checker compares every signature
    tap: Tap = openai.StreamTap()
    assert dialect.OPERATIONS["chat"].path == "/chat/completions"
    assert tap.feed(b"") == b""
