"""Members of Gemini's messages, whichever way their names are spelt, and what is wrong with them.

JSON of protocol buffers (https://protobuf.dev/programming-guides/json/, read 2026-11-24): parsers
take `systemInstruction` and `system_instruction` alike, null is absent, integers may be strings.
Only names of the format's own messages are converted: keys in schemas, arguments and results are
the user's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oneapi.errors import ApiError
from oneapi.wire.json import JSON

MAX_INT = 2**53


def camel(name: str) -> str:
    """`inline_data` → `inlineData`; names that are camelCase already stay."""
    if "_" not in name or name.startswith("_"):
        return name
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


def snake(name: str) -> str:
    """`inlineData` → `inline_data`."""
    return "".join("_" + c.lower() if c.isupper() else c for c in name)


def message(value: JSON, where: str) -> dict[str, JSON]:
    """The members of a message by their camelCase names, nulls left out.

    Raises `ApiError` 400 where it is no object, and where a member stands in both spellings.
    """
    if not isinstance(value, dict):
        raise bad(where, "must be an object")
    found: dict[str, JSON] = {}
    for name, item in value.items():
        if item is None:
            continue
        known = camel(name)
        if known in found:
            raise bad(f"{where}.{known}" if where else known, "stands twice", "invalid_value")
        found[known] = item
    return found


def optional(members: dict[str, JSON], name: str, where: str) -> dict[str, JSON]:
    """Takes out a member that is a message; {} without it."""
    value = members.pop(name, None)
    return {} if value is None else message(value, join(where, name))


def text(members: dict[str, JSON], name: str, where: str) -> str:
    """Takes out a member that is a string; "" without it."""
    value = members.pop(name, None)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise bad(join(where, name), "must be a string")
    return value


def flag(members: dict[str, JSON], name: str, where: str) -> bool | None:
    """Takes out a member that is a boolean."""
    value = members.pop(name, None)
    if value is not None and not isinstance(value, bool):
        raise bad(join(where, name), "must be a boolean")
    return value


def number(members: dict[str, JSON], name: str, where: str) -> float | None:
    """Takes out a member that is a number, an integer as it stands."""
    value = members.pop(name, None)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise bad(join(where, name), "must be a number")
    return value


def integer(members: dict[str, JSON], name: str, where: str, least: int = -MAX_INT) -> int | None:
    """Takes out a member that is an integer, `100.0` and `"100"` among them."""
    value = members.pop(name, None)
    if value is None:
        return None
    if isinstance(value, str) and len(value) < 20 and value.removeprefix("-").isdecimal():
        value = int(value)
    whole = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not whole or not -MAX_INT <= value <= MAX_INT or value != int(value):
        raise bad(join(where, name), "must be an integer")
    if value < least:
        raise bad(join(where, name), f"must be {least} or more", "invalid_value")
    return int(value)


def strings(members: dict[str, JSON], name: str, where: str) -> list[str]:
    """Takes out a member that is a list of strings; [] without it."""
    value = members.pop(name, None)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise bad(join(where, name), "must be an array of strings")
    return list(value)


def items(members: dict[str, JSON], name: str, where: str) -> list[JSON]:
    """Takes out a member that is repeated; a single message stands for a list of one."""
    value = members.pop(name, None)
    if value is None:
        return []
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise bad(join(where, name), "must be an array")
    return value


def of_extra(extra: Mapping[str, JSON], names: Sequence[str]) -> dict[str, JSON]:
    """Those of the members that are there."""
    return {name: extra[name] for name in names if name in extra}


def join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def bad(where: str, what: str, code: str = "invalid_type") -> ApiError:
    return ApiError(400, f"`{where or 'body'}` {what}", code=code, param=where or None)
