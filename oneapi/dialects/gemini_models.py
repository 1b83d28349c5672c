"""The list of models as Gemini's clients read it, and what counting tokens answers.

https://ai.google.dev/api/models and https://ai.google.dev/api/tokens (read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from oneapi.errors import ApiError
from oneapi.wire.json import JSON, encode

METHODS: Final = ("generateContent", "countTokens")
MAX_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """What is known of a model. Limits in tokens, 0: unknown; `thinking` None: unknown."""

    name: str
    display_name: str = ""
    description: str = ""
    version: str = ""
    input_limit: int = 0
    output_limit: int = 0
    methods: Sequence[str] = METHODS
    thinking: bool | None = None


def models_list(
    entries: Iterable[ModelEntry], *, page_size: str = "", page_token: str = ""
) -> bytes:
    """The body of `GET /v1beta/models`, in the order given; sizes and tokens as the query has them.

    Without a size all stand on one page. Raises `ApiError` 400 for a size or token that is none.
    """
    found = list(entries)
    start = _number(page_token, "pageToken")
    size = min(_number(page_size, "pageSize"), MAX_PAGE) or len(found)
    listed: dict[str, JSON] = {"models": [_entry(e) for e in found[start : start + size]]}
    if start + size < len(found):
        listed["nextPageToken"] = str(start + size)
    return encode(listed)


def model_entry(entry: ModelEntry) -> bytes:
    """The body of `GET /v1beta/models/{name}`."""
    return encode(_entry(entry))


def count_tokens_answer(count: int) -> bytes:
    """The body of an answer to `:countTokens`."""
    return encode({"totalTokens": count})


def _entry(entry: ModelEntry) -> JSON:
    told: dict[str, JSON] = {
        "name": f"models/{entry.name}",
        "version": entry.version or "001",
        "displayName": entry.display_name or entry.name,
        "supportedGenerationMethods": list(entry.methods),
    }
    known = {
        "description": entry.description,
        "inputTokenLimit": entry.input_limit,
        "outputTokenLimit": entry.output_limit,
    }
    told.update({name: value for name, value in known.items() if value})
    if entry.thinking is not None:
        told["thinking"] = entry.thinking
    return told


def _number(value: str, name: str) -> int:
    if not value:
        return 0
    if not (value.isascii() and value.isdecimal() and len(value) < 10):
        raise ApiError(400, f"`{name}` is none of ours", code="invalid_value", param=name)
    return int(value)
