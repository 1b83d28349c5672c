"""The list of models as OpenAI's clients read it, with the members that the original added."""

from __future__ import annotations

from collections.abc import Iterable

from oneapi.wire.json import JSON, encode

CREATED = 1_626_777_600
"""The original's date for every model: what clients sorted by stays sorted."""


def models_list(entries: Iterable[tuple[str, str]]) -> bytes:
    """The body of `GET /v1/models`: names and owners, in the order given."""
    return encode({"object": "list", "data": [_entry(name, owner) for name, owner in entries]})


def model_entry(name: str, owner: str) -> bytes:
    """The body of `GET /v1/models/{name}`."""
    return encode(_entry(name, owner))


def _entry(name: str, owner: str) -> JSON:
    return {
        "id": name,
        "object": "model",
        "created": CREATED,
        "owned_by": owner,
        "permission": [_permission()],
        "root": name,
        "parent": None,
    }


def _permission() -> JSON:
    return {
        "id": "modelperm-oneapi",
        "object": "model_permission",
        "created": CREATED,
        "allow_create_engine": True,
        "allow_sampling": True,
        "allow_logprobs": True,
        "allow_search_indices": False,
        "allow_view": True,
        "allow_fine_tuning": False,
        "organization": "*",
        "group": None,
        "is_blocking": False,
    }
