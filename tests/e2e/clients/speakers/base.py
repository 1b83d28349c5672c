"""What every scripted provider does, whatever it speaks: one small conversation.

A provider reads the request in its own format into an `Asked`, or refuses it (`Wrong`) as the real
one would; `said` decides what the model says; the provider writes that in its own format. Asked
with tools it calls one, after a thought where thinking was asked for; asked with the tool's result
it repeats it; a question that begins with `fail ` gets a refusal of that name: limited,
account, too_long, overloaded or unknown.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.e2e.upstream import Received, Reply

JSON = Any

CITY: Final = "Zürich 🏔"
SECOND: Final = "Bern"
THOUGHT: Final = "Ask the tool — naïve guesses won’t do."
SIGNATURE: Final = "+/+/c2lnbmF0dXJlIG9mIGEgdGhvdWdodA=="
GREETING: Final = "Grüezi 🏔, "
OBJECT: Final = '{"city": "Zürich", "celsius": 17}'
FRESH, CACHED, MADE, THOUGHT_OF = 120, 30, 20, 7
"""Tokens of every answer: fresh input, cached input, text, thought (where it thinks)."""
VECTOR: Final = (0.5, -0.25, 0.125)
SHORT: Final = 16
"""An output limit at which the answer is cut off: the least that all providers take."""


class Wrong(Exception):
    """The request breaks a rule of the provider's."""


def need(condition: object, words: str) -> None:
    if not condition:
        raise Wrong(words)


def closed(value: Mapping[str, JSON], allowed: Sequence[str], where: str) -> None:
    """No members but these, as strict providers want it."""
    for name in value:
        need(name in allowed, f"{where}: unknown member `{name}`")


@dataclass(frozen=True, slots=True)
class Call:
    id: str
    name: str
    arguments: str


@dataclass(slots=True)
class Asked:
    """A request as its provider understands it."""

    model: str
    stream: bool = False
    system: str = ""
    question: str = ""
    tools: dict[str, JSON] = field(default_factory=dict)
    results: list[tuple[str, str]] = field(default_factory=list)
    """Name and text of the tools' results that end the conversation."""
    media: list[str] = field(default_factory=list)
    """`image/png 68`: type and size of what came with the last question."""
    thinks: bool = False
    limit: int | None = None
    stops: list[str] = field(default_factory=list)
    schema: JSON = None


@dataclass(frozen=True, slots=True)
class Said:
    """What the model says. `stop` is stop, tools, length or sequence."""

    thought: str
    text: str
    calls: tuple[Call, ...]
    stop: str
    cut: bool = False
    fails: bool = False
    hidden: bool = False
    """The thought is told in encrypted form alone, by those who have one."""

    @property
    def thought_of(self) -> int:
        return THOUGHT_OF if self.thought else 0

    @property
    def pieces(self) -> list[str]:
        return pieces(self.text)


def said(asked: Asked, *, prefix: str = "call_") -> Said:
    """The model's answer; calls have ids that begin with `prefix`."""
    question = asked.question
    if asked.results:
        text = "; ".join(f"{name} said {result}" for name, result in asked.results)
        return Said("", text, (), "stop")
    thought = THOUGHT if asked.thinks else ""
    if asked.tools:
        cities = [CITY, SECOND] if "both" in question else [CITY]
        name = next(iter(asked.tools))
        calls = [
            Call(f"{prefix}{i}{len(asked.tools)}", name, json.dumps({"city": city}))
            for i, city in enumerate(cities)
        ]
        hidden = bool(thought) and question.startswith("secretly")
        return Said(thought, "", tuple(calls), "tools", hidden=hidden)
    if asked.schema is not None:
        return Said(thought, OBJECT, (), "stop")
    if asked.media:
        return Said(thought, "I see " + ", ".join(asked.media), (), "stop")
    if asked.stops:
        return Said(thought, "One, two, ", (), "sequence")
    if asked.limit is not None and asked.limit <= SHORT:
        return Said(thought, "One, two, three", (), "length")
    cut, fails = question.startswith("break"), question.startswith("interrupt")
    return Said(thought, GREETING + (asked.system or question), (), "stop", cut, fails)


def failure(question: str) -> str:
    """Which refusal a question asks for, "" for none."""
    return question.removeprefix("fail ") if question.startswith("fail ") else ""


def pieces(text: str, size: int = 5) -> list[str]:
    """Fragments, as models stream them."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def scattered(data: bytes, size: int = 41) -> list[bytes | float]:
    """A body in chunks that end anywhere: in the middle of events, of lines and of letters."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def medium(media_type: str, data: str, where: str) -> str:
    """How base64 that came is described; its bytes must be what its type says."""
    try:
        raw = b64decode(data, validate=True)
    except ValueError as error:
        raise Wrong(f"{where}: not base64") from error
    marks = {"image/png": b"\x89PNG", "application/pdf": b"%PDF"}
    need(media_type in marks, f"{where}: media type `{media_type}`")
    need(raw.startswith(marks[media_type]), f"{where}: these bytes are no {media_type}")
    return f"{media_type} {len(raw)}"


def data_url(url: str, where: str) -> str:
    head, _, data = url.partition(",")
    need(head.startswith("data:") and head.endswith(";base64"), f"{where}: no data URL")
    return medium(head[5:-7], data, where)


def body_of(request: Received) -> dict[str, JSON]:
    need((request.header("content-type") or "").startswith("application/json"), "content-type")
    try:
        value = request.json()
    except ValueError as error:
        raise Wrong("the body is not JSON") from error
    need(isinstance(value, dict), "the body is not an object")
    return dict(value)


def whole(value: JSON, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> Reply:
    body = json.dumps(value, ensure_ascii=False).encode()
    return Reply(status, (("content-type", "application/json"), *headers), body)


def streamed(data: bytes, kind: str = "text/event-stream", *, cut: bool = False) -> Reply:
    return Reply(200, (("content-type", kind),), scattered(data), cut=cut)
