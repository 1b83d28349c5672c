"""Remembers what models thought before they called a tool, for clients that drop it.

Some providers refuse a conversation whose calls come back without the thought or the signature
that came with them. Keyed by whose token it was and the call's id (D24), bounded, in memory alone.
Where a client's dialect or library has no ids (Ollama's), a call is known by its name and
arguments; the last of several such is meant. A thought goes back to the dialect it came in alone:
what vouches for it means nothing elsewhere.
"""

from __future__ import annotations

import json
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
    """What stood before a call, and the call's own signature.

    `first` says that the thoughts began the answer: models that sign theirs want them there again,
    before any text. `dialect` is the provider's, `call` that and the call's name and arguments.
    """

    thoughts: tuple[Reasoning, ...]
    signature: str
    call: str
    dialect: str
    size: int
    first: bool

    @property
    def vouched(self) -> bool:
        return any(map(_vouched, self.thoughts))


class Recall:
    """Touched on the event loop alone; the oldest memories go first."""

    def __init__(self, *, entries: int = MAX_ENTRIES, characters: int = MAX_CHARACTERS) -> None:
        self._entries = entries
        self._characters = characters
        self._held = 0
        self._memories: OrderedDict[tuple[Owner, str], Memory] = OrderedDict()
        self._ids: dict[tuple[Owner, str], str] = {}  # of the last call with a name and arguments

    def remember(self, owner: Owner, reply: ChatResponse) -> None:
        """Keep the thoughts of an answer that calls tools."""
        for choice in reply.choices:
            thoughts: list[Reasoning] = []
            first = bool(choice.parts) and isinstance(choice.parts[0], Reasoning)
            for part in choice.parts:
                if isinstance(part, Reasoning):
                    thoughts.append(part)
                elif isinstance(part, ToolCall) and part.id and (thoughts or part.signature):
                    held = self._memory(part, tuple(thoughts), reply.source, first=first)
                    self._keep(owner, part.id, held)
                    thoughts, first = [], False

    def thoughts(self, owner: Owner, call: ToolCall, dialect: str) -> Sequence[Reasoning]:
        """What the model thought before this call, () where nothing is known."""
        memory = self._of(owner, call, dialect)
        return memory.thoughts if memory is not None else ()

    def restored(self, owner: Owner, chat: ChatRequest, dialect: str) -> ChatRequest:
        """The request for a provider's dialect, with thoughts and signatures where its calls lack
        them.
        """
        if not self._memories:
            return chat
        messages = [self._message(owner, message, dialect) for message in chat.messages]
        same = all(new is old for new, old in zip(messages, chat.messages, strict=True))
        return chat if same else replace(chat, messages=messages)

    def _message(self, owner: Owner, message: Message, dialect: str) -> Message:
        if message.role != "assistant":
            return message
        thoughts = [part for part in message.parts if isinstance(part, Reasoning)]
        signed = any(map(_vouched, thoughts))
        parts: list[Part] = []
        for part in message.parts:
            memory = self._of(owner, part, dialect) if isinstance(part, ToolCall) else None
            if memory is None or not isinstance(part, ToolCall):
                parts.append(part)
                continue
            if not signed and (memory.vouched or not thoughts):
                # A text that came back without what vouches for it is put back whole.
                parts = [p for p in parts if not _is_among(p, thoughts)]
                at = 0 if memory.first else len(parts)
                parts[at:at] = memory.thoughts
            signs = memory.signature and not part.signature
            parts.append(replace(part, signature=memory.signature) if signs else part)
        same = len(parts) == len(message.parts) and all(
            new is old for new, old in zip(parts, message.parts, strict=True)
        )
        return message if same else replace(message, parts=parts)

    def _of(self, owner: Owner, call: ToolCall, dialect: str) -> Memory | None:
        """What is known of this very call: some models number theirs anew in every conversation,
        so that an id alone would bring back another one's thought.
        """
        described = f"{dialect} {_described(call)}"
        name = call.id or self._ids.get((owner, described), "")
        memory = self._memories.get((owner, name))
        return memory if memory is not None and memory.call == described else None

    def _memory(
        self, call: ToolCall, thoughts: tuple[Reasoning, ...], dialect: str, *, first: bool
    ) -> Memory:
        described = f"{dialect} {_described(call)}"
        size = len(call.signature) + len(described)
        size += sum(len(t.text) + len(t.signature) + len(t.data) for t in thoughts)
        return Memory(thoughts, call.signature, described, dialect, size, first)

    def _keep(self, owner: Owner, name: str, memory: Memory) -> None:
        key = (owner, name)
        if key in self._memories:
            self._forget(key, self._memories.pop(key))
        self._held += memory.size
        self._memories[key] = memory
        self._ids[owner, memory.call] = name
        while len(self._memories) > self._entries or self._held > self._characters:
            self._forget(*self._memories.popitem(last=False))

    def _forget(self, key: tuple[Owner, str], memory: Memory) -> None:
        owner, name = key
        self._held -= memory.size
        if self._ids.get((owner, memory.call)) == name:
            del self._ids[owner, memory.call]


def _vouched(thought: Reasoning) -> bool:
    return bool(thought.signature or thought.data)


def _is_among(part: Part, thoughts: Sequence[Reasoning]) -> bool:
    return any(part is thought for thought in thoughts)


def _number(text: str) -> float:
    """A number as it is compared: libraries write 1.0 as 1."""
    value = float(text)
    return int(value) if value.is_integer() else value


def _described(call: ToolCall) -> str:
    """Name and arguments, whatever the order of their members and the blanks between them."""
    try:
        read = json.loads(call.arguments or "{}", parse_float=_number)
        value = json.dumps(read, sort_keys=True)
    except (ValueError, RecursionError):
        value = call.arguments
    return f"{call.name}\0{value}"
