"""Whether a provider's own event or item still says what the middle says.

Compared is what a model wrote and what joins a call to its result; all else is the provider's to
tell.
"""

from __future__ import annotations

from typing import Final

from oneapi.dialects.responses_shapes import BETWEEN, list_in, word_in
from oneapi.wire.json import JSON

_TEXTS: Final = ("text", "refusal", "arguments", "input")
_NAMES: Final = ("type", "call_id", "name", "arguments", "input")


def same_event(given: JSON, made: JSON) -> bool:
    """Both are events of one type; `made` has every member that counts."""
    for name in _TEXTS:
        if name in made and given.get(name) != made[name]:
            return False
    if "part" in made:
        return _same_part(given.get("part"), made["part"])
    return "item" not in made or same_item(given.get("item"), made["item"])


def same_item(given: JSON, made: JSON, *, encrypted: bool = True) -> bool:
    """`encrypted` says whether what is encrypted must be the same: providers do it anew."""
    if given is made:
        return True
    if not isinstance(given, dict) or not isinstance(made, dict):
        return False
    if any(given.get(name) != made.get(name) for name in _NAMES):
        return False
    kind = made.get("type")
    if kind == "reasoning":
        hidden = word_in(made, "encrypted_content")
        if encrypted and hidden and word_in(given, "encrypted_content") != hidden:
            return False
        return all(_joined(given, name) == _joined(made, name) for name in ("summary", "content"))
    if kind != "message":
        return True
    a, b = list_in(given, "content"), list_in(made, "content")
    return len(a) == len(b) and all(_same_part(x, y) for x, y in zip(a, b, strict=True))


def _same_part(given: JSON, made: JSON) -> bool:
    if not isinstance(given, dict) or not isinstance(made, dict):
        return bool(given == made)
    return all(given.get(name) == made.get(name) for name in ("type", "text", "refusal"))


def _joined(item: JSON, name: str) -> str:
    return BETWEEN.join(word_in(p, "text") for p in list_in(item, name) if isinstance(p, dict))
