"""The list of models as Anthropic's clients read it, and the answer to counting tokens.

https://docs.anthropic.com/en/api/models-list (read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from oneapi.wire.json import JSON, encode

CREATED: Final = "2021-07-20T00:00:00Z"
"""The date of every model, the one that OpenAI's list has: what clients sorted by stays sorted."""


def models_list(
    entries: Iterable[tuple[str, str]], facts: Mapping[str, Mapping[str, JSON]] | None = None
) -> bytes:
    """The body of `GET /v1/models`: all names in the order given, on one page.

    `facts` are further members of entries by name (`max_input_tokens`, `max_tokens`,
    `display_name`, `capabilities`); owners have no place in this format.
    """
    data = [_entry(name, (facts or {}).get(name)) for name, _ in entries]
    return encode(
        {
            "data": data,
            "has_more": False,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
        }
    )


def model_entry(name: str, owner: str, facts: Mapping[str, JSON] | None = None) -> bytes:
    """The body of `GET /v1/models/{name}`."""
    return encode(_entry(name, facts))


def count_tokens_answer(count: int) -> bytes:
    """The body of `POST /v1/messages/count_tokens`."""
    return encode({"input_tokens": count})


def _entry(name: str, facts: Mapping[str, JSON] | None) -> JSON:
    entry: JSON = {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": CREATED,
        "lifecycle": "active",
    }
    return {**entry, **(facts or {})}
