"""Conversations that a gateway keeps: stored answers, what they follow, and compaction.

https://platform.openai.com/docs/api-reference/responses/compact and …/input-tokens (read
2026-11-24). A provider of another dialect stores nothing: what came before is put into the input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from oneapi.dialects.base import Stamp
from oneapi.dialects.base_turns import plain_text
from oneapi.dialects.responses_items import COMPACTING
from oneapi.dialects.responses_parse import parse_request
from oneapi.dialects.responses_reply import compaction_item
from oneapi.dialects.responses_shapes import NAME, Object, list_in, sealed_bytes, word_in
from oneapi.dialects.responses_usage import render_usage
from oneapi.ir import ChatRequest, ChatResponse, Envelope, Message, Text, Usage
from oneapi.wire.json import JSON

_DROPPED: Final = ("tools", "tool_choice", "parallel_tool_calls", "text", "stream", "store")
"""Members of a request that a compaction does without."""


def previous_id(body: JSON) -> str:
    """The answer that a request follows, "" where it follows none."""
    return word_in(body, "previous_response_id") if isinstance(body, dict) else ""


def stores(body: JSON) -> bool:
    """Whether the client wants its answer kept: it does where it says nothing."""
    return isinstance(body, dict) and body.get("store") is not False


def input_items(body: JSON) -> list[JSON]:
    """A request's input as items, a string as the message that it is."""
    given = body.get("input") if isinstance(body, dict) else None
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    return list(given) if isinstance(given, list) else []


def output_items(response: JSON) -> list[JSON]:
    """An answer's items."""
    return list_in(response, "output")


def with_history(
    body: JSON, previous_input: Sequence[JSON], previous_output: Sequence[JSON]
) -> JSON:
    """The request with what came before in its input, and without naming it.

    `previous_input` is the whole input of the answer that it follows, its own history included.
    References to items among them become the items. The body itself stays as it is.
    """
    if not isinstance(body, dict):
        return body
    known = [*previous_input, *previous_output]
    by_id = {name: item for item in known if isinstance(item, dict) and (name := _id(item))}
    new = [_resolved(item, by_id) for item in input_items(body)]
    rest = {k: v for k, v in body.items() if k != "previous_response_id"}
    return {**rest, "input": [*known, *new]}


def compact_request(body: JSON, envelope: Envelope) -> ChatRequest:
    """A chat that asks a model for what `/responses/compact` wants: a summary of the conversation.

    Raises `ApiError` 400 as `parse_request` does.
    """
    kept = {k: v for k, v in body.items() if k not in _DROPPED} if isinstance(body, dict) else body
    chat = parse_request(kept, envelope)
    chat.stream = False
    chat.messages = [*chat.messages, Message("user", [Text(COMPACTING)])]
    return chat


def compact_response(reply: ChatResponse, body: JSON, stamp: Stamp) -> bytes:
    """The `response.compaction`: the user's own messages, and the rest as one item.

    The item's `encrypted_content` is a note of our own; `parse_request` reads the summary back.
    """
    summary = plain_text([part for choice in reply.choices[:1] for part in choice.parts])
    kept = [item for item in input_items(body) if _is_users(item)]
    item = compaction_item(summary, f"cmp_{stamp.id}")
    own = reply.raw_usage if reply.source == NAME else None
    return sealed_bytes(
        {
            "id": f"resp_{stamp.id}",
            "object": "response.compaction",
            "created_at": stamp.created,
            "output": [*kept, item],
            "usage": render_usage(reply.usage or Usage(), own),
        }
    )


def render_input_tokens(count: int) -> bytes:
    """The answer of `/responses/input_tokens`."""
    return sealed_bytes({"object": "response.input_tokens", "input_tokens": count})


def _is_users(item: JSON) -> bool:
    """What a compaction keeps as it is: what the user said."""
    return isinstance(item, dict) and item.get("role") == "user"


def _id(item: Object) -> str:
    return word_in(item, "id")


def _resolved(item: JSON, known: Mapping[str, JSON]) -> JSON:
    if not isinstance(item, dict):
        return item
    refers = item.get("type") == "item_reference" or set(item) == {"id"}
    return known.get(_id(item), item) if refers else item
