"""Messages of the middle as items of a Responses input.

Items that came in this dialect and whose parts are unchanged go out as they came.
"""

from __future__ import annotations

from collections.abc import Sequence

from oneapi.dialects.base_calls import SHORTEST, wire_name
from oneapi.dialects.base_turns import as_url
from oneapi.dialects.responses_shapes import NAME, Noted, Object, Turn
from oneapi.errors import ApiError
from oneapi.ir import (
    Media,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from oneapi.wire.json import JSON

_CONTENT = ("input_", "output_", "computer_screenshot")
"""How the types of content parts begin; opaque data of any other type is an item."""


class InputWriter:
    """Fills `items` message by message; `dropped` names what could not be said.

    `own` says that the request came in this dialect, `sealed` that notes of our own go out too: to
    a client's eyes they belong to the request, to a provider they are noise.
    """

    def __init__(self, *, own: bool, sealed: bool = False, system_role: str = "system") -> None:
        self.items: list[JSON] = []
        self.dropped: list[str] = []
        self._own = own
        self._sealed = sealed
        self._system_role = system_role
        self._at = ""
        self._role = "user"
        self._content: list[JSON] = []
        self._thought: Object | None = None  # the last item, if it is a thought made here

    def write(self, message: Message, number: int) -> None:
        self._at = f"messages[{number}]"
        self._role = self._role_of(message)
        if message.name and message.role != "tool":
            self.dropped.append(f"{self._at}.name")
        noted = message.items if isinstance(message, Turn) else ()
        if not noted and not self._own:
            self.dropped += [f"{self._at}.{name}" for name in message.extra]
        self._parts(message.parts, noted)
        self._flush()
        if self._thought is not None:  # a thought must be followed by what was thought of
            self.items.pop()
            self.dropped.append(f"{self._at}.reasoning")
            self._thought = None

    def _role_of(self, message: Message) -> str:
        if message.role == "tool":
            return "user"
        if message.role == "system" and not self._own:
            return self._system_role
        return message.role

    def _parts(self, parts: Sequence[Part], noted: Sequence[Noted]) -> None:
        """Items as they came where their parts are still there, parts as new items elsewhere."""
        first = {id(note.parts[0]): i for i, note in enumerate(noted) if note.parts}
        place = passed = 0
        while place < len(parts):
            found = first.get(id(parts[place]))
            if found is not None and found >= passed and _fits(noted[found], parts, place):
                self._as_they_came(noted[passed : found + 1], noted[found])
                place += len(noted[found].parts)
                passed = found + 1
                continue
            self._part(parts[place], f"{self._at}.content[{place}]")
            place += 1
        self._as_they_came(noted[passed:], None)

    def _as_they_came(self, noted: Sequence[Noted], last: Noted | None) -> None:
        """The last one, and before it those that no parts belong to."""
        for note in noted:
            if note is not last and note.parts:
                continue
            if note.sealed and not self._sealed:
                if last is note:
                    self._unsealed(note)
                continue
            self._append(note.item)

    def _unsealed(self, note: Noted) -> None:
        """A note of our own for a provider: thoughts of others mean nothing to it, but text does.

        What is left of the note's parts is written as if it had come from elsewhere.
        """
        for part in note.parts:
            if isinstance(part, Reasoning):
                self.dropped.append(f"input[{len(self.items)}]")
            else:
                self._part(part, f"input[{len(self.items)}]")
        self._flush()

    def _part(self, part: Part, at: str) -> None:
        match part:
            case Text():
                self._text(part, at)
            case Refusal():
                self._content.append({"type": "refusal", "refusal": part.text})
            case Media():
                self._media(part, at)
            case Reasoning():
                self._reasoning(part, at)
            case ToolCall():
                self._call(part, at)
            case ToolResult():
                self._result(part, at)
            case Opaque():
                self._opaque(part, at)

    def _text(self, part: Text, at: str) -> None:
        kind = "output_text" if self._role == "assistant" else "input_text"
        entry: Object = {"type": kind, "text": part.text}
        if self._own:
            entry.update(part.extra)
            if part.annotations:
                entry["annotations"] = part.annotations
        else:
            self.dropped += [f"{at}.{name}" for name in part.extra]
            if part.annotations:
                self.dropped.append(f"{at}.annotations")
            self._drop_cache(part.cache, at)
        self._content.append(entry)

    def _media(self, part: Media, at: str) -> None:
        if self._role == "assistant":
            self.dropped.append(at)
            return
        entry = self._medium(part, at)
        if entry["type"] == "input_image" and not self._own:
            entry.setdefault("detail", "auto")  # the default, which the library's types want said
        self._content.append(entry)

    def _medium(self, part: Media, at: str) -> Object:
        if not self._own:
            self.dropped += [f"{at}.{name}" for name in part.extra]
            self._drop_cache(part.cache, at)
        if part.text and not (part.url or part.data or part.file_id):
            return {"type": "input_text", "text": part.text}
        if part.kind == "image":
            entry: Object = {"type": "input_image"}
            self._place(entry, part, "image_url", at)
        elif part.kind == "file":
            entry = {"type": "input_file"}
            self._place(entry, part, "file_url", at)
            if part.filename or part.data:  # data must have a name
                form = part.media_type.rpartition("/")[2]
                entry["filename"] = part.filename or (
                    f"document.{form}" if form.isalnum() else "document"
                )
        else:
            raise ApiError(
                400,
                f"{part.kind} cannot be given to the model behind this name",
                code="unsupported_content",
                param=at,
            )
        if part.detail:
            entry["detail"] = part.detail
        if self._own:
            entry.update(part.extra)
        return entry

    def _place(self, entry: Object, part: Media, member: str, at: str) -> None:
        if "://" in part.file_id and not self._own:
            raise ApiError(
                400,
                "a file that was uploaded to another provider cannot be read by this one: "
                "send its content",
                code="unsupported_file",
                param=at,
            )
        if part.file_id:
            entry["file_id"] = part.file_id
        elif part.data and part.kind == "file":
            entry["file_data"] = as_url(part)
        else:
            entry[member] = as_url(part)

    def _reasoning(self, part: Reasoning, at: str) -> None:
        """Only what this dialect's providers encrypted themselves can be given back to one."""
        redacted = part.data and not (part.id or part.summary or part.text)  # another vendor's
        if part.signature or redacted or not (self._own or part.data):
            self.dropped.append(at)
            return
        item = thought_item([part])
        if not item.get("id"):
            item.pop("id", None)
        self._append(item)
        self._thought = item

    def _call(self, part: ToolCall, at: str) -> None:
        item: Object = {"type": "custom_tool_call" if part.custom else "function_call"}
        if self._own and part.item_id:
            item["id"] = part.item_id
        item["call_id"] = part.id
        item["name"] = part.name if self._own else wire_name(part.name, most=SHORTEST)
        if part.namespace:
            item["namespace"] = part.namespace
        item["input" if part.custom else "arguments"] = (
            part.arguments if part.custom else part.arguments or "{}"
        )
        self._beside(item, part.extra, part.cache, at)

    def _result(self, part: ToolResult, at: str) -> None:
        kind = "custom_tool_call_output" if part.custom else "function_call_output"
        item: Object = {"type": kind, "call_id": part.call_id, "output": ""}
        held, self._content = self._content, []
        role, self._role = self._role, "user"
        for number, inner in enumerate(part.parts):
            if isinstance(inner, Text | Media):
                self._part(inner, f"{at}.content[{number}]")
            else:
                self.dropped.append(f"{at}.content[{number}]")
        item["output"] = _short(self._content)
        self._content, self._role = held, role
        if part.error:
            self.dropped.append(f"{at}.is_error")
        self._beside(item, part.extra, part.cache, at)

    def _opaque(self, part: Opaque, at: str) -> None:
        if part.dialect != NAME:
            self.dropped.append(at)
            return
        kind = part.data.get("type") if isinstance(part.data, dict) else None
        if isinstance(kind, str) and kind.startswith(_CONTENT):
            self._content.append(part.data)
        else:
            self._append(part.data)

    def _beside(self, item: Object, extra: Object, cache: str, at: str) -> None:
        if self._own:
            item.update(extra)
        else:
            self.dropped += [f"{at}.{name}" for name in extra]
            self._drop_cache(cache, at)
        self._append(item)

    def _drop_cache(self, cache: str, at: str) -> None:
        if cache:
            self.dropped.append(f"{at}.cache_control")

    def _append(self, item: JSON) -> None:
        self._flush()
        self.items.append(item)
        self._thought = None

    def _flush(self) -> None:
        """The message that the content so far is."""
        if self._content:
            content, self._content = self._content, []
            self.items.append({"role": self._role, "content": _short(content)})
            self._thought = None


def thought_item(thoughts: Sequence[Reasoning]) -> Object:
    """The reasoning item that holds a thought, its summary, or both."""
    item: Object = {"type": "reasoning", "id": thoughts[0].id, "summary": []}
    for thought in thoughts:
        if thought.text:
            kind = "summary" if thought.summary else "reasoning"
            member = "summary" if thought.summary else "content"
            item[member] = [{"type": f"{kind}_text", "text": thought.text}]
        if thought.data:
            item["encrypted_content"] = thought.data
    return item


def _fits(note: Noted, parts: Sequence[Part], place: int) -> bool:
    held = parts[place : place + len(note.parts)]
    return len(held) == len(note.parts) and all(
        a is b for a, b in zip(held, note.parts, strict=True)
    )


def _short(content: list[JSON]) -> JSON:
    """One plain text is a string."""
    if not content:
        return ""
    only = content[0]
    if len(content) == 1 and len(only) == 2 and only["type"] in ("input_text", "output_text"):
        return only["text"]
    return content
