"""What a provider does otherwise, applied to a request on its way to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from oneapi.providers.preset import Quirk
from oneapi.wire.json import JSON, MalformedJSON, Raw, decode, encode


def apply(body: dict[str, JSON], quirks: Iterable[Quirk]) -> list[str]:
    """Change `body` as `quirks` say; returns the names of the fields that were dropped."""
    dropped: list[str] = []
    for quirk in quirks:
        for old, new in quirk.rename.items():
            if old in body:
                value = body.pop(old)
                body.setdefault(new, value)
        for name in quirk.drop:
            if body.pop(name, None) is not None:
                dropped.append(name)
        for name, words in quirk.values.items():
            value = body.get(name)
            if isinstance(value, str) and value in words:
                body[name] = words[value]
        body.update(quirk.set)
        for name, (low, high) in quirk.clamp.items():
            value = body.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                body[name] = min(max(value, low), high)
    return dropped


def changing(quirks: Iterable[Quirk]) -> tuple[Quirk, ...]:
    """Those that change members, and do not tell a renderer alone."""
    return tuple(q for q in quirks if _names(q))


def edited(
    members: Mapping[str, Raw], quirks: Sequence[Quirk]
) -> tuple[Mapping[str, Raw], list[str]]:
    """A client's own request as `apply` changes it, every other member kept to the letter; the
    same members where nothing changes, and the names of the fields that were dropped.
    """
    names = {name for quirk in quirks for name in _names(quirk)}
    try:
        held = {name: decode(bytes(members[name])) for name in names if name in members}
    except MalformedJSON:
        return members, []  # the provider's to refuse
    before = dict(held)
    dropped = apply(held, quirks)
    if held == before:
        return members, dropped
    changed = {k: v for k, v in members.items() if k not in names or k in held}
    for name, value in held.items():
        if name not in before or before[name] != value:
            changed[name] = Raw(encode(value))
    return changed, dropped


def _names(quirk: Quirk) -> set[str]:
    """The members that it may touch."""
    tables = (quirk.rename, quirk.rename.values(), quirk.drop, quirk.values, quirk.set, quirk.clamp)
    return {name for table in tables for name in table}
