"""The input of a Responses request as messages: items that belong to one turn come together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from oneapi.dialects.responses_items import (
    CALLS,
    COMPACTING,
    COMPACTIONS,
    RESULTS,
    SUMMARY,
    TRIGGER,
    read_call,
    read_content,
    read_result,
    signed_call,
    thoughts_of,
)
from oneapi.dialects.responses_shapes import (
    NAME,
    Noted,
    Object,
    Turn,
    bad,
    rest_of,
    unseal,
    word_in,
)
from oneapi.ir import Media, Message, Opaque, Part, Refusal, Role, Text, ToolCall
from oneapi.wire.json import JSON

ROLES: Final[dict[str, Role]] = {
    "user": "user",
    "system": "system",
    "developer": "developer",
    "assistant": "assistant",
}
_CLIENT_SIDE: Final = frozenset({"additional_tools", "configuration_update"})
"""Opaque items that come from the client, beside outputs and responses of hosted tools."""


def read_input(value: JSON) -> list[Message]:
    """The conversation. Raises `ApiError` 400 naming the item (`input[2].content[0].type`)."""
    if value is None:
        return []
    if isinstance(value, str):
        return [Turn("user", [Text(value)], origin="string")]
    if not isinstance(value, list):
        raise bad("input", "must be a string or an array")
    reader = _Reader()
    for number, item in enumerate(value):
        reader.take(item, f"input[{number}]")
    return reader.close()


def kind_of(item: JSON, at: str) -> str:
    """The item's type; a message and a reference may leave it out."""
    if not isinstance(item, dict):
        raise bad(at, "must be an object")
    kind = item.get("type")
    if isinstance(kind, str) and kind:
        return kind
    if kind is None and "role" in item:
        return "message"
    if kind is None and isinstance(item.get("id"), str):
        return "item_reference"
    raise bad(f"{at}.type", "must be a string")


def compacts(messages: Sequence[Message]) -> bool:
    """Whether the conversation ends with the wish for a compaction of it."""
    last = messages[-1] if messages else None
    noted = last.items if isinstance(last, Turn) else ()
    return any(isinstance(n.item, dict) and n.item.get("type") == TRIGGER for n in noted)


class _Reader:
    """Puts items into messages.

    What the model said in one turn is one message: thoughts, texts, calls. A text after a text, or
    a thought after a text, begins the next one, but never between calls and their results.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._open: Turn | None = None
        self._items: list[Noted] = []
        self._said = False
        self._called = False
        self._calls: dict[str, tuple[int, int]] = {}  # where a call stands: part, item
        self._signatures: dict[str, str] = {}

    def take(self, item: JSON, at: str) -> None:
        kind = kind_of(item, at)
        if kind == "message":
            self._message(item, at)
        elif kind in CALLS:
            self._call(item, kind, at)
        elif kind in RESULTS:
            self._close()
            self._alone("tool", item, [read_result(item, kind, at)])
        elif kind == "reasoning":
            self._reasoning(item, at)
        elif kind in COMPACTIONS and (note := unseal(word_in(item, "encrypted_content"))):
            self._alone("user", item, [Text(SUMMARY + word_in(note, "summary"))], sealed=True)
        elif kind == TRIGGER:
            self._alone("user", item, [Text(COMPACTING)])
        elif kind == "image_generation_call" and word_in(item, "result"):
            form = word_in(item, "output_format") or "png"
            media = Media("image", data=word_in(item, "result"), media_type=f"image/{form}")
            self._add(item, [media])
        elif kind.endswith(("_output", "_response")) or kind in _CLIENT_SIDE:
            self._alone("user", item, [Opaque(NAME, item)])
        else:
            self._add(item, [Opaque(NAME, item)])

    def close(self) -> list[Message]:
        self._close()
        return self.messages

    def _message(self, item: Object, at: str) -> None:
        word = item.get("role")
        role = ROLES.get(word) if isinstance(word, str) else None
        if role is None:
            raise bad(f"{at}.role", f"must be one of {', '.join(ROLES)}", "invalid_value")
        parts = read_content(item.get("content"), f"{at}.content")
        extra = rest_of(item, "type", "id", "role", "content", "status")
        if role != "assistant":
            self._alone(role, item, parts, extra=extra)
            return
        if self._said and not self._called:
            self._close()
        self._add(item, parts)
        self._said = self._said or any(isinstance(part, Text | Refusal) for part in parts)
        if extra and self._open is not None:
            self._open.extra.update(extra)

    def _reasoning(self, item: Object, at: str) -> None:
        for name in ("summary", "content"):
            if item.get(name) is not None and not isinstance(item[name], list):
                raise bad(f"{at}.{name}", "must be an array")
        signed = signed_call(item)
        if signed is not None:
            self._sign(item, *signed)
            return
        if self._said and not self._called:
            self._close()
        sealed = unseal(word_in(item, "encrypted_content")) is not None
        self._add(item, list(thoughts_of(item)), sealed=sealed)

    def _call(self, item: Object, kind: str, at: str) -> None:
        call = read_call(item, kind, at)
        call.signature = self._signatures.pop(call.id, "")
        parts, items = len(self._turn().parts), len(self._items)
        self._add(item, [call])
        self._called = True
        if call.id:
            self._calls[call.id] = parts, items

    def _sign(self, item: Object, call_id: str, signature: str) -> None:
        """A note about a call, which stands before it or after it."""
        turn, found = self._turn(), self._calls.get(call_id)
        self._add(item, [], sealed=True)
        if found is None:
            self._signatures[call_id] = signature
            return
        part, place = found
        call = turn.parts[part]
        assert isinstance(call, ToolCall)
        signed = replace(call, signature=signature)
        turn.parts[part] = signed
        self._items[place] = replace(self._items[place], parts=(signed,))

    def _alone(
        self,
        role: Role,
        item: Object,
        parts: list[Part],
        *,
        sealed: bool = False,
        extra: Object | None = None,
    ) -> None:
        self._close()
        noted = Noted(item, tuple(parts), sealed)
        self.messages.append(Turn(role, parts, extra=extra or {}, items=(noted,)))

    def _turn(self) -> Turn:
        if self._open is None:
            self._open = Turn("assistant", [])
            self.messages.append(self._open)
        return self._open

    def _add(self, item: Object, parts: list[Part], *, sealed: bool = False) -> None:
        turn = self._turn()
        turn.parts.extend(parts)
        self._items.append(Noted(item, tuple(parts), sealed))

    def _close(self) -> None:
        if self._open is not None:
            self._open.items = tuple(self._items)
            if not self._open.parts:  # nothing but notes about calls that are not there
                self.messages.pop()
        self._open, self._items = None, []
        self._said = self._called = False
        self._calls = {}
