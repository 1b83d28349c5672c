"""Tools and the choice among them, both ways.

https://ai.google.dev/api/caching#Tool (read 2026-11-24): one tool holds function declarations,
something that Google runs itself, or both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from oneapi.dialects.gemini_enums import MODES, word
from oneapi.dialects.gemini_parts import NAME
from oneapi.dialects.gemini_schema import from_openapi
from oneapi.dialects.gemini_shapes import bad, items, join, message, strings, text
from oneapi.ir import Tool, ToolChoice
from oneapi.wire.json import JSON

_MODES: Final = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
DECLARATIONS: Final = "functionDeclarations"


@dataclass(slots=True)
class Listed(Tool):
    """A tool that remembers which entry of `tools` it stood in: some clients give every function
    an entry of its own, others put Google's tools beside functions.
    """

    entry: int = -1


def parse_tools(value: list[JSON], where: str) -> list[Tool]:
    """The tools one by one. Raises `ApiError` 400."""
    found: list[Tool] = []
    for number, entry in enumerate(value):
        place = f"{where}[{number}]"
        members = message(entry, place)
        for index, declared in enumerate(items(members, DECLARATIONS, place)):
            found.append(_declared(declared, f"{place}.{DECLARATIONS}[{index}]", number))
        for name, told in members.items():
            found.append(Listed(name, kind="hosted", dialect=NAME, data={name: told}, entry=number))
    return found


def _declared(value: JSON, where: str, entry: int) -> Tool:
    """A function; its schema stays in `data` as it stood, `schema` is what others read."""
    members = message(value, where)
    tool = Listed(text(members, "name", where), dialect=NAME, entry=entry)
    given = {name: members.pop(name) for name in ("parameters",) if name in members}
    tool.schema = from_openapi(given.get("parameters"))
    if "parametersJsonSchema" in members:
        given["parametersJsonSchema"] = tool.schema = members.pop("parametersJsonSchema")
    if "description" in members:
        tool.description = given["description"] = text(members, "description", where)
    tool.data, tool.extra = given, members
    return tool


def render_tools(tools: Sequence[Tool]) -> list[JSON]:
    """Tools of this dialect again, each in the entry it stood in; functions of others in a row
    stand in one.
    """
    found: list[JSON] = []
    last: int | None = None
    for tool in tools:
        if tool.kind == "hosted" and tool.dialect != NAME:
            continue
        entry = tool.entry if isinstance(tool, Listed) else -1
        joins = entry == last and (
            entry >= 0 or (tool.kind != "hosted" and DECLARATIONS in found[-1])
        )
        if not joins:
            found.append({})
            last = entry
        if tool.kind == "hosted":
            found[-1].update(tool.data)
        else:
            found[-1].setdefault(DECLARATIONS, []).append(_declaration(tool))
    return found


def _declaration(tool: Tool) -> JSON:
    told: dict[str, JSON] = {"name": tool.name}
    own = tool.dialect == NAME and isinstance(tool.data, dict)
    if tool.description or (own and "description" in tool.data):
        told["description"] = tool.description
    if own:
        schemas = {k: v for k, v in tool.data.items() if k != "description"}
        return {**told, **schemas, **tool.extra}
    if tool.schema is not None:
        told["parametersJsonSchema"] = tool.schema
    return told


def parse_choice(members: dict[str, JSON], where: str) -> ToolChoice:
    """A functionCallingConfig."""
    mode = word(members.pop("mode", None), MODES)
    names = strings(members, "allowedFunctionNames", where)
    if mode not in ("", *MODES):
        raise bad(join(where, "mode"), "must be AUTO, ANY, NONE or VALIDATED", "invalid_value")
    choice = ToolChoice(names=names, extra=members)
    if mode == "ANY":
        choice.mode = "required"
    elif mode == "NONE":
        choice.mode = "none"
    elif mode not in ("", "AUTO"):
        choice.extra["mode"] = mode
    return choice


def render_choice(choice: ToolChoice) -> dict[str, JSON]:
    """The functionCallingConfig again."""
    told: dict[str, JSON] = {"mode": _MODES[choice.mode], **choice.extra}
    if choice.names:
        told["allowedFunctionNames"] = list(choice.names)
    return told


def function_names(tools: Sequence[Tool]) -> Iterator[str]:
    """Names of the functions among the tools."""
    return (tool.name for tool in tools if tool.kind != "hosted")
