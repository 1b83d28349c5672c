"""Remembers what models thought before they called a tool, for clients that drop it.

Some providers refuse a conversation whose calls come back without the thought or the signature
that came with them. Keyed by whose token it was and the call's id (D24), bounded, in memory alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from oneapi.ir import ChatRequest, ChatResponse, Message, Part, Reasoning, ToolCall

MAX_ENTRIES = 20_000
MAX_CHARACTERS = 32 * 1024 * 1024

Owner = tuple[str, str]
"""User and token."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What stood before a call, and the call's own signature."""

    thoughts: tuple[Reasoning, ...]
    signature: str
    size: int


class Recall:
    """Touched on the event loop alone; the oldest memories go first."""

    def __init__(self, *, entries: int = MAX_ENTRIES, characters: int = MAX_CHARACTERS) -> None:
        self._entries = entries
        self._characters = characters
        self._held = 0
        self._memories: OrderedDict[tuple[Owner, str], Memory] = OrderedDict()

    def remember(self, owner: Owner, reply: ChatResponse) -> None:
        """Keep the thoughts of an answer that calls tools."""
        for choice in reply.choices:
            thoughts: list[Reasoning] = []
            for part in choice.parts:
                if isinstance(part, Reasoning):
                    thoughts.append(part)
                elif isinstance(part, ToolCall) and part.id and (thoughts or part.signature):
                    self._keep((owner, part.id), tuple(thoughts), part.signature)
                    thoughts = []

    def thoughts(self, owner: Owner, call_id: str) -> Sequence[Reasoning]:
        """What the model thought before this call, () where nothing is known."""
        memory = self._memories.get((owner, call_id))
        return memory.thoughts if memory is not None else ()

    def restored(self, owner: Owner, chat: ChatRequest) -> ChatRequest:
        """The request with thoughts and signatures where its calls lack them."""
        if not self._memories:
            return chat
        messages = [self._message(owner, message) for message in chat.messages]
        same = all(new is old for new, old in zip(messages, chat.messages, strict=True))
        return chat if same else replace(chat, messages=messages)

    def _message(self, owner: Owner, message: Message) -> Message:
        if message.role != "assistant":
            return message
        thinks = any(isinstance(part, Reasoning) for part in message.parts)
        parts: list[Part] = []
        for part in message.parts:
            memory = self._memories.get((owner, part.id)) if isinstance(part, ToolCall) else None
            if memory is None or not isinstance(part, ToolCall):
                parts.append(part)
                continue
            if not thinks:
                parts.extend(memory.thoughts)
            signed = part if part.signature else replace(part, signature=memory.signature)
            parts.append(signed if memory.signature else part)
        same = len(parts) == len(message.parts) and all(
            new is old for new, old in zip(parts, message.parts, strict=True)
        )
        return message if same else replace(message, parts=parts)

    def _keep(
        self, key: tuple[Owner, str], thoughts: tuple[Reasoning, ...], signature: str
    ) -> None:
        size = len(signature) + sum(len(t.text) + len(t.signature) + len(t.data) for t in thoughts)
        old = self._memories.pop(key, None)
        self._held += size - (old.size if old is not None else 0)
        self._memories[key] = Memory(thoughts, signature, size)
        while len(self._memories) > self._entries or self._held > self._characters:
            _, oldest = self._memories.popitem(last=False)
            self._held -= oldest.size
