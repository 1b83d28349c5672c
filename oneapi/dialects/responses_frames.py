"""Writes the events of a Responses stream, numbered from 0: a provider's own where they fit."""

from __future__ import annotations

from typing import Final

from oneapi.dialects.responses_faithful import same_event
from oneapi.dialects.responses_shapes import Object, sealed_bytes, word_in

ADDED: Final = "response.output_item.added"
DONE: Final = "response.output_item.done"
PART_ADDED: Final = "response.content_part.added"
PART_DONE: Final = "response.content_part.done"
SUMMARY_ADDED: Final = "response.reasoning_summary_part.added"
SUMMARY_DONE: Final = "response.reasoning_summary_part.done"

KINDS: Final = frozenset(
    {ADDED, DONE, PART_ADDED, PART_DONE, SUMMARY_ADDED, SUMMARY_DONE}
    | {
        "response.output_text.done",
        "response.refusal.done",
        "response.reasoning_text.done",
        "response.reasoning_summary_text.done",
        "response.function_call_arguments.done",
        "response.custom_tool_call_input.done",
    }
)
"""Events that are made here too: a provider's own are kept until their time has come."""


class Frames:
    """`out` collects bytes; `kept` holds a provider's own events by their type."""

    def __init__(self) -> None:
        self.out: list[bytes] = []
        self.number = 0
        self.kept: dict[str, Object] = {}

    def send(self, kind: str, members: Object) -> None:
        """One event."""
        event = {"type": kind, **members, "sequence_number": self.number}
        event["type"] = kind
        self.number += 1
        name = kind.encode("utf-8", "replace")
        self.out.append(b"event: %b\ndata: %b\n\n" % (name, sealed_bytes(event)))

    def frame(self, kind: str, members: Object) -> Object:
        """An event of the grammar. Returns what of it went out."""
        event = self.chosen(kind, members)
        self.send(kind, event)
        return event

    def chosen(self, kind: str, members: Object) -> Object:
        """The provider's own event where it says the same, else the one made here."""
        given = self.kept.pop(kind, None)
        if given is None or not same_event(given, members):
            return members
        event = dict(given)
        event.update((k, members[k]) for k in ("output_index", "item_id") if k in members)
        return event

    def item_of(self, kind: str) -> Object:
        """The item in a kept event, {} without one."""
        item = self.kept.get(kind, {}).get("item")
        return item if isinstance(item, dict) else {}

    def announced(self, kind: str) -> bool:
        """Whether the provider said that an item of this kind begins."""
        return word_in(self.item_of(ADDED), "type") == kind

    def flush(self) -> bytes:
        out = b"".join(self.out)
        self.out.clear()
        return out
