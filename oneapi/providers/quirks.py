"""What a provider does otherwise, applied to a request that the gateway has rendered for it."""

from __future__ import annotations

from collections.abc import Iterable

from oneapi.providers.preset import Quirk
from oneapi.wire.json import JSON


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
