"""Bodies that are nearly right: recorded ones with single places changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["delete", "replace", "double", "rename", "wrap", "nest", "empty"]
KINDS: tuple[Kind, ...] = ("delete", "replace", "double", "rename", "wrap", "nest", "empty")
DEPTHS = (40, 400, 900, 4000)
SEEDS: tuple[str, ...] = (
    "null",
    "[]",
    "{}",
    '"a"',
    "true",
    "-1",
    "0",
    "1.5",
    "1e999",
    "123456789012345678901234567890",
    '"\\ud800"',
    '"é\\u0000"',
    "[null]",
    "[[]]",
    '[{"type":"text"}]',
    '{"type":"text","text":7}',
    '{"type":"image_url","image_url":{"url":"data:x,y"}}',
    '{"a":{"b":[1,{"c":null}]}}',
)
"""Values to put in the place of others, as JSON."""


@dataclass(frozen=True, slots=True)
class Change:
    """At the `place`-th member or item of all (modulo their number), do `kind` with `value`."""

    kind: Kind
    place: int
    value: str


def changed(body: Any, changes: list[Change]) -> bytes:
    """The body with these changes, as JSON; a nested one may be too deep for any parser."""
    body = deepcopy(body)
    deep: dict[str, bytes] = {}
    for change in changes:
        places = list(_places(body))
        if places:
            holder, key = places[change.place % len(places)]
            _change(holder, key, change, deep)
    raw = json.dumps(body).encode()
    for mark, nested in deep.items():
        raw = raw.replace(json.dumps(mark).encode(), nested)
    return raw


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    found = [value] if isinstance(value, dict | list) else []
    while found:
        holder = found.pop()
        keys = range(len(holder)) if isinstance(holder, list) else list(holder)
        for key in keys:
            yield holder, key
            if isinstance(holder[key], dict | list):
                found.append(holder[key])


def _change(holder: Any, key: Any, change: Change, deep: dict[str, bytes]) -> None:
    match change.kind:
        case "delete":
            del holder[key]
        case "replace":
            holder[key] = json.loads(change.value)
        case "double":
            if isinstance(holder, list):
                holder.insert(key, deepcopy(holder[key]))
            else:
                holder[f"{key}_"] = deepcopy(holder[key])
        case "rename":
            if isinstance(holder, dict):
                holder[json.loads(change.value) if change.value[0] == '"' else "x"] = holder.pop(
                    key
                )
        case "wrap":
            holder[key] = [holder[key]]
        case "empty":
            holder[key] = type(holder[key])()
        case "nest":
            depth = DEPTHS[change.place % len(DEPTHS)]
            mark = f"deep{len(deep)}"
            holder[key] = mark
            open_, close = (b"[", b"]") if change.place % 2 else (b'{"a":', b"}")
            deep[mark] = open_ * depth + b"1" + close * depth
