"""Edits of single top-level members of a request, every other byte kept: the edit lane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from oneapi.wire.json import JSON, MalformedJSON, Raw, decode, encode, join
from oneapi.wire.json import members as members_of

LEAST_THOUGHT: Final = 1024
"""Tokens of thought that may be asked for at least (Anthropic's rule, others have none)."""


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


def shortened(
    members: Mapping[str, Raw], names: Sequence[str], most: int, *, usual: str, budget: str = ""
) -> dict[str, Raw]:
    """The members with an answer of at most `most` tokens: in those of `names` that the request
    has, else in `usual`. A `budget` of thoughts that would not fit is lowered too.

    A name may lead into a member that is an object: `options.num_predict`.
    """
    edited = dict(members)
    given = [name for name in names if _inside(members, name) is not None]
    # Nothing given: what holds the limit may still be there, in its other spelling.
    held = [name for name in names if "." in name and name.partition(".")[0] in members]
    for name in given or held[:1] or [usual]:
        outer, _, inner = name.partition(".")
        _put(edited, outer, inner, most)
    if budget:
        _lower_budget(edited, budget, most)
    return edited


def _lower_budget(edited: dict[str, Raw], budget: str, most: int) -> None:
    raw = _inside(edited, budget)
    value = _number(raw)
    if value is None or value < most:
        return
    outer, _, inner = budget.partition(".")
    lower = max(most // 2, LEAST_THOUGHT)
    if lower < most:
        _put(edited, outer, inner, lower)
    else:
        del edited[outer]


def _inside(members: Mapping[str, Raw], name: str) -> Raw | None:
    """A member's value by its name, None where it is absent, null or in what is no object."""
    outer, dot, inner = name.partition(".")
    raw = members.get(outer)
    if raw is None or bytes(raw) == b"null":
        return None
    return _inside(_object(raw), inner) if dot else raw


def _put(edited: dict[str, Raw], outer: str, inner: str, value: int) -> None:
    if not inner:
        edited[outer] = Raw(encode(value))
        return
    held = dict(_object(edited[outer])) if outer in edited else {}
    held[inner] = Raw(encode(value))
    edited[outer] = Raw(join(held))


def _object(raw: Raw) -> Mapping[str, Raw]:
    try:
        return members_of(bytes(raw))
    except MalformedJSON:
        return {}


def _number(raw: Raw | None) -> float | None:
    try:
        value = decode(raw) if raw is not None else None
    except MalformedJSON:
        return None
    return value if isinstance(value, int | float) else None
