"""Edits of single top-level members of a request, every other byte kept: the edit lane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oneapi.wire.json import JSON, Raw, encode, join


def edit_members(
    members: Mapping[str, Raw],
    *,
    model: str | None = None,
    changes: Mapping[str, bytes] | None = None,
    set: Mapping[str, JSON] | None = None,
    drop: Sequence[str] = (),
) -> bytes | None:
    """The request with these members changed, None where nothing changes: the original goes out.

    `model` is the name to put in, `changes` are values in JSON that the dialect itself adds. `drop`
    goes before `set`; both name top-level members and have the last word. Every other member keeps
    its bytes and its place.
    """
    wanted: dict[str, bytes] = {} if model is None else {"model": encode(model)}
    wanted.update(changes or {})
    given = {name: encode(value) for name, value in (set or {}).items()}
    wanted.update(given)
    edited: dict[str, Raw | bytes] = {k: v for k, v in members.items() if k not in drop}
    changed = len(edited) < len(members)
    for name, raw in wanted.items():
        if name in drop and name not in given:
            continue
        old = edited.get(name)
        if old is None or bytes(old) != raw:
            edited[name] = raw
            changed = True
    return join(edited) if changed else None
