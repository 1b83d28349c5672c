"""Hidden thought in messages of OpenAI's chat, wherever vendors write it.

`reasoning_content` (DeepSeek's), `reasoning` (OpenRouter's, Groq's, Ollama's), `reasoning_details`
(https://openrouter.ai/docs/use-cases/reasoning-tokens), `thinking_blocks` (LiteLLM's, in
Anthropic's shape) and parts of the content (Mistral's); read 2026-11-24. Raises nothing: what is
of an unknown shape is left where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from oneapi.dialects.openai_chat_shapes import Thought, rest
from oneapi.ir import Extra, Reasoning
from oneapi.wire.json import JSON

_MEMBERS = ("reasoning_content", "reasoning")


def thoughts_of(message: Extra) -> list[Thought]:
    """The thoughts beside a message's content, each once: servers that give details repeat their
    text.
    """
    details = parse_details(message.get("reasoning_details"))
    plain = _plain(message)
    if details:
        return _joined(details, plain)
    blocks = _blocks(message.get("thinking_blocks"))
    if blocks:
        return blocks
    return [plain] if plain is not None else []


def thinking_part(part: Extra) -> Thought:
    """A part `{"type": "thinking", "thinking": [{"type": "text", "text": …}]}`.

    Where what a thought refers to stands among its texts, `extra` holds the list as it came.
    """
    inner = part.get("thinking")
    pieces = inner if isinstance(inner, list) else [inner]
    text = "".join(_text(p.get("text") if isinstance(p, dict) else p) for p in pieces)
    signature = _text(part.get("signature"))
    extra = rest(part, "type", "thinking", "signature")
    if any(isinstance(p, dict) and p.get("type", "text") != "text" for p in pieces):
        extra["thinking"] = inner
    return Thought(text, signature, extra=extra, member="thinking")


def parse_details(value: JSON) -> list[Thought]:
    """The entries of `reasoning_details`."""
    if not isinstance(value, list):
        return []
    return [_detail(entry) for entry in value if isinstance(entry, dict)]


def _detail(entry: Extra) -> Thought:
    summary = entry.get("type") == "reasoning.summary"
    text = _text(entry.get("summary") if summary else entry.get("text"))
    taken = {"summary"} if summary else {"text"}
    taken |= {name for name in ("signature", "data", "id") if isinstance(entry.get(name), str)}
    return Thought(
        text=text,
        signature=_text(entry.get("signature")),
        data=_text(entry.get("data")),
        summary=summary,
        id=_text(entry.get("id")),
        detail={k: v for k, v in entry.items() if k not in taken},
    )


def _plain(message: Extra) -> Thought | None:
    for member in _MEMBERS:
        text = message.get(member)
        if isinstance(text, str) and text:
            return Thought(text, member=member)
    return None


def _joined(details: list[Thought], plain: Thought | None) -> list[Thought]:
    """Details with the member that repeats their text, or with the text that they lack."""
    if plain is None:
        return details
    if any(d.text for d in details):
        return [replace(d, member=plain.member) if d.text else d for d in details]
    signed = [i for i, d in enumerate(details) if d.signature]
    if len(signed) == 1:
        thought = replace(details[signed[0]], text=plain.text, member=plain.member)
        return [*details[: signed[0]], thought, *details[signed[0] + 1 :]]
    return [plain, *details]


def _blocks(value: JSON) -> list[Thought]:
    """Thoughts in Anthropic's shape."""
    if not isinstance(value, list):
        return []
    return [
        Thought(
            _text(block.get("thinking")),
            _text(block.get("signature")),
            _text(block.get("data")),
            member="thinking_blocks",
        )
        for block in value
        if isinstance(block, dict) and block.get("type") in ("thinking", "redacted_thinking")
    ]


def render_details(thoughts: Sequence[Reasoning]) -> list[JSON]:
    """The thoughts as `reasoning_details`."""
    return [render_detail(thought, number) for number, thought in enumerate(thoughts)]


def render_detail(thought: Reasoning, number: int) -> JSON:
    """One thought's entry: as it came, where it came as one."""
    detail = thought.detail if isinstance(thought, Thought) else None
    entry: Extra = {"type": _type(thought), "index": number} if detail is None else dict(detail)
    if thought.text:
        entry["summary" if entry.get("type") == "reasoning.summary" else "text"] = thought.text
    for name, value in (
        ("signature", thought.signature),
        ("data", thought.data),
        ("id", thought.id),
    ):
        if value:
            entry[name] = value
    return entry


def _type(thought: Reasoning) -> str:
    if thought.data and not thought.text:
        return "reasoning.encrypted"
    return "reasoning.summary" if thought.summary and not thought.signature else "reasoning.text"


def render_thinking_part(thought: Reasoning) -> JSON:
    """A thought as a part of the content."""
    extra = thought.extra if isinstance(thought, Thought) else {}
    part: Extra = {"type": "thinking", "thinking": [{"type": "text", "text": thought.text}]}
    if thought.signature:
        part["signature"] = thought.signature
    return {**part, **extra}


def render_blocks(thoughts: Sequence[Reasoning]) -> list[JSON]:
    """Thoughts in Anthropic's shape."""
    return [
        {"type": "redacted_thinking", "data": t.data}
        if t.data and not t.text
        else {"type": "thinking", "thinking": t.text, "signature": t.signature}
        for t in thoughts
    ]


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else ""
