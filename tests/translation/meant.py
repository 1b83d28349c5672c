"""What a request in the middle means, apart from how a dialect writes it: for comparing requests
that went through another dialect.

Left aside: thoughts (they are shown to those who made them), names of participants, marks for
caches, ids, and where line breaks between texts stand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from oneapi.dialects.base_turns import linked
from oneapi.ir import (
    ChatRequest,
    Media,
    Message,
    Part,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)

Item = tuple[str, ...]


@dataclass
class Meaning:
    """`turns` are (what, who or name, text) in order, `settings` the numbers by their names."""

    system: str = ""
    turns: list[Item] = field(default_factory=list)
    tools: list[Item] = field(default_factory=list)
    choice: Item = ()
    settings: dict[str, Any] = field(default_factory=dict)


def meaning(chat: ChatRequest) -> Meaning:
    found = Meaning()
    for message in linked(chat.messages):
        if message.role in ("system", "developer"):
            found.system += _bare("".join(p.text for p in message.parts if isinstance(p, Text)))
            continue
        for item in _items(message):
            _append(found.turns, item)
    found.turns += [("media", "user", "document")] * len(chat.extra.get("documents", ()))
    found.tools = [
        (tool.name, _bare(tool.description), *_members(tool.schema))
        for tool in chat.tools
        if tool.kind == "function"
    ]
    if chat.tool_choice is not None and chat.tool_choice.mode != "auto":
        found.choice = (chat.tool_choice.mode, *chat.tool_choice.names)
    for name in ("max_output", "temperature", "top_p", "top_k", "seed", "stop"):
        value = getattr(chat, name)
        if value not in (None, []):
            found.settings[name] = value
    return found


def _append(turns: list[Item], item: Item) -> None:
    """Texts of one speaker that follow each other are one."""
    if turns and item[0] == "text" and turns[-1][:2] == item[:2]:
        turns[-1] = (*item[:2], turns[-1][2] + item[2])
    elif item[0] != "text" or item[2]:
        turns.append(item)


def _items(message: Message) -> Iterator[Item]:
    who = "assistant" if message.role == "assistant" else "user"
    for part in message.parts:
        yield from _item(part, who)


def _item(part: Part, who: str) -> Iterator[Item]:
    match part:
        case Text() | Refusal():
            yield "text", who, _bare(part.text)
        case Media():
            plain = part.text or part.media_type.startswith("text/")
            yield "media", who, "document" if plain else part.kind
        case ToolCall():
            yield "call", part.name, _arguments(part)
        case ToolResult():
            texts = "".join(p.text for p in part.parts if isinstance(p, Text))
            yield "result", part.name, _bare(texts)
            for inner in part.parts:
                if isinstance(inner, Media):
                    yield from _item(inner, who)
        case _:
            return


def _arguments(call: ToolCall) -> str:
    try:
        value = json.loads(call.arguments or "{}")
    except ValueError:
        value = call.arguments
    if not isinstance(value, dict):
        value = {"input": value}
    return json.dumps(value, sort_keys=True)


def _members(schema: Any) -> tuple[str, ...]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return tuple(sorted(properties)) if isinstance(properties, dict) else ()


def _bare(text: str) -> str:
    return re.sub(r"\s+", "", text)


ADAPTED = (
    "system prompts: more may follow, where JSON is asked for in words",
    "turns: a user's first word where the format wants one, the words that lead to a tool's image",
    "calls: namespaces stand in the name where there are none",
    "tools: none where none may be called; stand-ins where the history has calls and no tools",
    "tool_choice: the tools that it names are all there are, where names cannot be said, and a "
    "single tool is named, where nothing else can be said",
    "max_output: the model's most where one must be named; 16 where that is the least",
    "temperature and top_p: within the format's bounds, 1 is left out where it is the default",
    "files of text: among the documents, where the format keeps them apart",
    "top_k: in the members that the model itself reads, where the format leaves it to them",
)
"""How requests differ in another dialect, besides what was dropped and named."""
_DEFAULTS = {"top_p": 1}
_BOUNDED = ("temperature", "top_p")
_LEAST_OUTPUT = 16


def lost(chat: ChatRequest, again: ChatRequest, dropped: Iterable[str], most: int) -> list[str]:
    """What of a request is not in what its rendering means, and was neither dropped by name nor is
    `ADAPTED`. `most` is the limit that is named where the request has none.
    """
    names = set(dropped)
    one, two = meaning(chat), meaning(again)
    found = [] if two.system.startswith(one.system) else ["another system prompt"]
    found += _turns(one.turns, two.turns)
    idle = not two.tools and one.choice == ("none",)
    if one.tools and not idle and two.tools != one.tools and "tools" not in names:
        found.append(f"tools: {two.tools}, not {one.tools}")
    if one.choice and not idle and "tool_choice" not in names and not _chosen(one, two):
        found.append(f"tool_choice: {two.choice}, not {one.choice}")
    stops = [text for i, text in enumerate(chat.stop) if f"stop[{i}]" not in names]
    if stops:
        one.settings["stop"] = stops
    for name in {*one.settings, *two.settings} - names:
        wanted, said = one.settings.get(name), two.settings.get(name)
        if wanted != said and not _adapted(name, wanted, said, again, most):
            found.append(f"{name}: {said}, not {wanted}")
    return found


def _chosen(one: Meaning, two: Meaning) -> bool:
    """The same choice; or that of any, where all that are left may be chosen."""
    if one.choice == two.choice or two.choice == (*one.choice, *(t[0] for t in two.tools)):
        return True
    return one.choice[:1] == two.choice and {t[0] for t in two.tools} <= {*one.choice[1:]}


def _turns(one: list[Item], two: list[Item]) -> list[str]:
    found = []
    for who in ("user", "assistant"):
        wanted, said = (_said(turns, who) for turns in (one, two))
        if wanted not in said and not all(text in said for text in _texts(one, who)):
            found.append(f"the {who}'s text: {said[:200]!r}, not {wanted[:200]!r}")
    for kind in ("call", "result"):
        pairs = list(zip(_of(one, kind), _of(two, kind), strict=False))
        if len(_of(one, kind)) != len(_of(two, kind)) or not all(_same(a, b) for a, b in pairs):
            found.append(f"{kind}s: {_of(two, kind)}, not {_of(one, kind)}"[:400])
    if sorted(_of(one, "media")) != sorted(_of(two, "media")):
        found.append(f"media: {_of(two, 'media')}, not {_of(one, 'media')}")
    return found


def _same(one: Item, two: Item) -> bool:
    """The same call or result, the namespace before its name where it must stand there."""
    same = one[1] == two[1] or two[1].endswith(f"__{one[1]}")
    return same and one[2] in two[2]


def _of(turns: list[Item], kind: str) -> list[Item]:
    return [item for item in turns if item[0] == kind]


def _texts(turns: list[Item], who: str) -> list[str]:
    return [item[2] for item in turns if item[:2] == ("text", who)]


def _said(turns: list[Item], who: str) -> str:
    return "".join(_texts(turns, who))


def _adapted(name: str, wanted: Any, said: Any, again: ChatRequest, most: int) -> bool:
    if name == "max_output":
        return bool(said == (most if wanted is None else max(wanted, _LEAST_OUTPUT)))
    if name == "top_k":
        return f'"top_k": {wanted}' in json.dumps(again.extra).replace("topK", "top_k")
    if name in _BOUNDED and wanted is not None:
        if said is None:
            return _DEFAULTS.get(name) == float(wanted)
        return bool(abs(wanted - said) <= 1 and not 0 < wanted < said)
    return False
