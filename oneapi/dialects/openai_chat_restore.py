"""Thoughts put back into a request that stays in OpenAI's dialect (the edit lane).

Providers that reason between calls refuse a conversation whose calls come back without the thought
that led to them; many clients drop it. Every byte that need not change is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from oneapi.dialects.openai_chat_shapes import Thought
from oneapi.dialects.openai_chat_thoughts import render_details
from oneapi.dialects.openai_json import dump
from oneapi.ir import Reasoning, ToolCall
from oneapi.wire.json import JSON, MalformedJSON, Raw, decode, items, join, members

_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks")

Lookup = Callable[[ToolCall], Sequence[Reasoning] | None]
"""The thoughts that came before that call; None or none where nothing is known."""


def restore_reasoning(messages: bytes | Raw, lookup: Lookup) -> bytes | None:
    """The value of `messages` with thoughts where calls lack them; None: nothing changes.

    Raises nothing: what cannot be read is left as it is.
    """
    raw = bytes(messages)
    if b"tool_calls" not in raw:
        return None
    parts: list[bytes] = []
    changed = False
    for item in items(raw):
        restored = _message(bytes(item), lookup)
        changed = changed or restored is not None
        parts.append(bytes(item) if restored is None else restored)
    return b"[" + b",".join(parts) + b"]" if changed else None


def _message(raw: bytes, lookup: Lookup) -> bytes | None:
    """One message with its thoughts, None where it needs none or they are not known."""
    if b"tool_calls" not in raw:
        return None
    try:
        held = members(raw)
        if decode(held.get("role", Raw(b"null"))) != "assistant" or _thinks(held):
            return None
        calls = decode(held.get("tool_calls", Raw(b"null")))
    except MalformedJSON:
        return None
    thoughts = _known(calls, lookup)
    if not thoughts:
        return None
    added: dict[str, Raw | bytes] = {**held}
    text = "\n\n".join(thought.text for thought in thoughts if thought.text)
    if text:
        added[_member(thoughts)] = dump(text)
    if any(thought.signature or thought.data for thought in thoughts):
        added["reasoning_details"] = dump(render_details(thoughts))
    return join(added)


def _thinks(held: dict[str, Raw]) -> bool:
    """Whether the message says what was thought, in whichever member."""
    for name in _THOUGHTS:
        if name in held and bytes(held[name]) not in (b"null", b'""', b"[]"):
            return True
    content = bytes(held.get("content", b""))
    if not content.startswith(b"[") or b"thinking" not in content:
        return False
    parts = decode(content)
    return any(isinstance(part, dict) and part.get("type") == "thinking" for part in parts)


def _known(calls: JSON, lookup: Lookup) -> Sequence[Reasoning]:
    """The thoughts before the first of the calls that has any."""
    for call in calls if isinstance(calls, list) else ():
        asked = _call(call)
        thoughts = None if asked is None else lookup(asked)
        if thoughts:
            return thoughts
    return ()


def _call(value: JSON) -> ToolCall | None:
    """The call as far as it is looked up by it."""
    function = value.get("function") if isinstance(value, dict) else None
    if not isinstance(function, dict):
        return None
    name, arguments, id = function.get("name"), function.get("arguments"), value.get("id")
    if not (isinstance(name, str) and isinstance(arguments, str) and isinstance(id, str) and id):
        return None
    return ToolCall(id, name, arguments)


def _member(thoughts: Sequence[Reasoning]) -> str:
    """The member that the text came in."""
    first = next((t for t in thoughts if t.text), None)
    if isinstance(first, Thought) and first.member == "reasoning":
        return "reasoning"
    return "reasoning_content"
