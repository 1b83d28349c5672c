"""Recordings as parameters of tests."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

import pytest

from tests.translation.recordings import Exchange

LIBRARIES = {
    "openai-chat": "openai",
    "openai-responses": "openai",
    "anthropic": "anthropic",
    "gemini": "google.genai",
    "ollama": "ollama",
}
"""The official library of each client dialect."""


def cases(found: Iterable[Exchange]) -> list[object]:
    """Parameters for a test, or one that is skipped with a reason."""
    kept: list[object] = [pytest.param(exchange, id=exchange.id) for exchange in found]
    return kept or [pytest.param(None, marks=pytest.mark.skip(reason="no recordings beside"))]


def clients() -> list[object]:
    """The client dialects; those whose library is not there are skipped with a reason."""
    return [pytest.param(name, marks=_missing(library)) for name, library in LIBRARIES.items()]


def _missing(library: str) -> pytest.MarkDecorator:
    package = library.partition(".")[0]
    found = find_spec(package) is not None and find_spec(library) is not None
    return pytest.mark.skipif(not found, reason=f"{library} is not in this environment")
