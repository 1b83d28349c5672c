"""The list of models as OpenAI's clients read it, with the members that the original added."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from oneapi.wire.json import JSON, encode

CREATED = 1_626_777_600
"""The original's date for every model: what clients sorted by stays sorted."""


def models_list(
    entries: Iterable[tuple[str, str]],
    facts: Mapping[str, Mapping[str, JSON]] | None = None,
    *,
    catalog: bool = False,
) -> bytes:
    """The body of `GET /v1/models` from (name, owner) pairs.

    `facts` are further members of entries by name, what is known of a model. `catalog` adds an
    empty `models`: Codex asks with `?client_version=` for entries that hold its own instructions,
    reports an error where that member is missing, and goes by its own catalog where it is empty.
    """
    known = facts or {}
    data = [_entry(name, owner, known.get(name)) for name, owner in entries]
    return encode({"object": "list", "data": data, **({"models": []} if catalog else {})})


def model_entry(name: str, owner: str, facts: Mapping[str, JSON] | None = None) -> bytes:
    """The body of `GET /v1/models/{name}`."""
    return encode(_entry(name, owner, facts))


def _entry(name: str, owner: str, facts: Mapping[str, JSON] | None) -> JSON:
    return {
        "id": name,
        "object": "model",
        "created": CREATED,
        "owned_by": owner,
        "permission": [_permission()],
        "root": name,
        "parent": None,
        **(facts or {}),
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
