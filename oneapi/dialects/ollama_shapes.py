"""Ollama's native format: its names, values that requests and answers share, spelling.

https://github.com/ollama/ollama/blob/main/docs/api.md and …/api/types.go (read 2026-11-24), the
Python client's models and recordings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import gmtime, strftime
from types import MappingProxyType
from typing import Final

from oneapi.dialects.base import Operation
from oneapi.dialects.base_bodies import encode_text
from oneapi.ir import ChatRequest, Extra, Message, Stop, Tool, ToolCall, Usage
from oneapi.wire.json import JSON, MalformedJSON, decode

NAME: Final = "ollama"
CHAT: Final = "ollama.chat"
GENERATE: Final = "ollama.generate"
EMBED: Final = "ollama.embed"
EMBEDDINGS: Final = "ollama.embeddings"

LIMITS: Final = ("options.num_predict",)
OPERATIONS: Final[Mapping[str, Operation]] = MappingProxyType(
    {
        operation.name: operation
        for operation in (
            Operation(CHAT, "^/api/chat", streams=True, ends=True, task="chat", limits=LIMITS),
            Operation(
                GENERATE, "^/api/generate", streams=True, ends=True, task="chat", limits=LIMITS
            ),
            Operation(EMBED, "^/api/embed", task="embeddings"),
            Operation(EMBEDDINGS, "^/api/embeddings", task="embeddings"),
        )
    }
)
"""Paths count from the host's root: a channel's base address may be that of the /v1 mode."""

METRICS: Final = (
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
)
"""What an answer's last line says it took: durations in nanoseconds, counts in tokens."""

LEVELS: Final = ("low", "medium", "high", "max")
"""What `think` may be beside true and false, for the models that know levels."""

_MOST: Final = 10**12
_MAGIC: Final = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("Qk", "image/bmp"),
)
_SECONDS: Final = re.compile(r"(\.\d+)(?=[Z+-]|$)")


@dataclass(slots=True)
class Asked(ChatRequest):
    """A request as an Ollama client wrote it: of `generate`, or of chat.

    `original` is what it wrote, for members that say nothing ("" or null or the default) and are
    yet to return to the wire as they were.
    """

    generate: bool = False
    original: Extra = field(default_factory=dict)


@dataclass(slots=True)
class Turn(Message):
    """A message, with how it was written."""

    original: Extra = field(default_factory=dict)


@dataclass(slots=True)
class Function(Tool):
    """A tool, with how it was written."""

    original: Extra = field(default_factory=dict)


@dataclass(slots=True)
class Call(ToolCall):
    """A tool call, with how it was written.

    In a stream, `line` has the line's own members beside the message, and `more` says that the next
    call stands in the same line.
    """

    original: Extra = field(default_factory=dict)
    line: Extra = field(default_factory=dict)
    more: bool = False


def respelled(out: Extra, original: Extra, defaults: Extra) -> Extra:
    """The rendered object with the original's spelling where both say the same.

    Members of the original that say nothing are put back; rendered ones that it leaves out, or has
    as null, are so again where they have their default.
    """
    for name, value in original.items():
        if name not in out and is_empty(value):
            out[name] = value
    for name, default in defaults.items():
        if name not in out or out[name] != default or original.get(name) is not None:
            continue
        if name in original:
            out[name] = None
        else:
            del out[name]
    return out


def is_empty(value: JSON) -> bool:
    """Whether a member's value says nothing: null, "", [], {} and false."""
    return value is None or value is False or (isinstance(value, (str, list, dict)) and not value)


def parse_call(entry: Extra, synthetic: str) -> Call:
    """A call whose shape was checked: `{id?, function: {index?, name, arguments}}`.

    `synthetic` is the id where it has none.
    """
    function = entry["function"]
    arguments = function.get("arguments")
    if arguments is None:
        text = ""
    else:
        text = arguments if isinstance(arguments, str) else encode_text(arguments)
    given = entry.get("id")
    return Call(
        id=given if isinstance(given, str) and given else synthetic,
        name=function["name"],
        arguments=text,
        extra={n: v for n, v in entry.items() if n not in ("id", "type", "function")},
        original=entry,
    )


def render_call(call: ToolCall, index: int | None = None) -> Extra:
    """The call with its arguments as an object; `index` counts an answer's calls."""
    original = call.original if isinstance(call, Call) else None
    function: Extra = {"name": call.name, "arguments": _arguments(call)}
    if original is None:
        if index is not None:
            function = {"index": index, **function}
        return {"id": call.id, "function": function} if call.id else {"function": function}
    given = original["function"]
    if isinstance(given.get("arguments"), str):
        function["arguments"] = call.arguments
    elif given.get("arguments") is None and not call.arguments:
        del function["arguments"]
    function.update({n: v for n, v in given.items() if n not in function})
    out: Extra = {"id": call.id, "function": function, **call.extra}
    if "type" in original:
        out["type"] = original["type"]
    if not isinstance(original.get("id"), str) or not original["id"]:
        del out["id"]  # it was made here
        if "id" in original:
            out["id"] = original["id"]
    return respelled(out, original, {})


def _arguments(call: ToolCall) -> JSON:
    """Always an object: clients and servers refuse anything else."""
    if not call.arguments:
        return {}
    try:
        value = decode(call.arguments.encode("utf-8", "replace"))
    except MalformedJSON:
        value = None
    return value if isinstance(value, dict) else {"input": call.arguments}


def stripped(call: Call) -> Call:
    """The call as a block begins with it."""
    return replace(call, arguments="")


def is_call(entry: JSON) -> bool:
    """Whether an entry of `tool_calls` can be read."""
    if not isinstance(entry, dict):
        return False
    function = entry.get("function")
    return isinstance(function, dict) and isinstance(function.get("name"), str)


def media_type(data: str) -> str:
    """Of an image by the first bytes of its base64; JPEG where they are of no known format."""
    return next((kind for start, kind in _MAGIC if data.startswith(start)), "image/jpeg")


def usage_of(value: Extra) -> Usage | None:
    """The counts of an answer's last line, None where it has none.

    The prompt's count may be missing where a cache held all of it: that is no input.
    """
    prompt, answer = _count(value.get("prompt_eval_count")), _count(value.get("eval_count"))
    if prompt is None and answer is None:
        return None
    return Usage(input=prompt or 0, output=answer or 0)


def stop_of(reason: JSON, called: bool) -> Stop:
    """Why an answer ended: `stop` stands for tool calls too, and for a model that was loaded."""
    if isinstance(reason, str) and reason == "length":
        return "length"
    return "tool_calls" if called else "stop"


def reason_of(stop: Stop | None) -> str:
    """`done_reason` of an answer that another dialect told."""
    return "length" if stop == "length" else "stop"


def seconds_of(created_at: JSON) -> int:
    """Unix seconds of an RFC 3339 time, 0 where it is none."""
    if not isinstance(created_at, str):
        return 0
    try:  # digits past microseconds are cut: not every version of Python reads them
        text = _SECONDS.sub("", created_at, count=1)
        return max(0, int(datetime.fromisoformat(text).timestamp()))
    except (ValueError, OverflowError):
        return 0


def rfc3339(seconds: int, nanoseconds: int = 0) -> str:
    """The time in UTC; the fraction is written where there is one."""
    fraction = f".{nanoseconds:09d}" if nanoseconds else ""
    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(seconds)) + fraction + "Z"


def _count(value: JSON) -> int | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _MOST:
        return int(value)
    return None
