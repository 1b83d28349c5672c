"""Whatever clients and providers send: a request, an answer, events, or an error that says so."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar, assert_never

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.base import Hints
from oneapi.dialects.base_gather import gather
from oneapi.dialects.base_think import ThinkSplitter
from oneapi.dialects.openai import CHAT_PROVIDER, FACES
from oneapi.errors import ApiError
from oneapi.ir import (
    Annotation,
    Aside,
    BlockStart,
    BlockStop,
    ChatRequest,
    Delta,
    Envelope,
    Event,
    Failed,
    Finish,
    Signature,
    Spent,
    Start,
)
from oneapi.wire.json import JSON
from tests.dialects.openai_chats import STAMP, bare, parse_stream

T = TypeVar("T")
CHAT = ChatRequest("m", [], "openai-chat", wants_usage=True)
NAMES = (
    "messages role content type text tool_calls function name arguments id index custom input url "
    "image_url reasoning reasoning_details reasoning_content thinking thinking_blocks audio data "
    "input_audio file file_data annotations refusal extra_content google thought_signature tools "
    "cache_control tool_choice allowed_tools mode response_format json_schema schema stop choices "
    "delta message finish_reason usage error x_groq model created images logprobs function_call "
    "functions prompt tool_call_id signature summary transcript prompt_tokens status_code code"
).split()
WORDS = ["", "a", "user", "assistant", "tool", "text", "thinking", "{}", "custom", "stop", "\ud83d"]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([*WORDS, "data:,x", "image_url", "reasoning.text"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8)


def some(*names: str, **kinds: st.SearchStrategy[JSON]) -> st.SearchStrategy[JSON]:
    """Objects with some of these members, any values in those that are only named."""
    return st.fixed_dictionaries({}, optional={**{name: VALUES for name in names}, **kinds})


ROLES = st.sampled_from(["user", "assistant", "tool", "function", "system", "developer"])
MESSAGES = st.fixed_dictionaries(
    {"role": ROLES},
    optional={
        name: VALUES
        for name in ("content", "tool_calls", "function_call", "reasoning_details", "audio", "name")
    },
)
CALLS = some(
    "extra_content",
    "custom",
    id=st.sampled_from(["a", "b", None, ""]),
    index=st.sampled_from([0, 1, None, "x"]),
    function=some(
        name=st.sampled_from(["f", "", None]),
        arguments=st.sampled_from(["{", "}", "{}", "", None, {"a": 1}]),
    ),
)
PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "thinking", "image_url", "refusal", "reference"])},
    optional={name: VALUES for name in ("text", "thinking", "image_url", "signature", "refusal")},
)
DELTAS = some(
    "audio",
    "annotations",
    "reasoning_details",
    "images",
    "function_call",
    "odd",
    content=st.text(max_size=3) | st.lists(PARTS, max_size=2),
    reasoning=st.text(max_size=3),
    reasoning_content=st.text(max_size=3),
    refusal=st.text(max_size=2),
    tool_calls=st.lists(CALLS, max_size=3),
)
CHOICES = some(
    "logprobs",
    "usage",
    "message",
    "text",
    "odd",
    index=st.integers(0, 2) | LEAVES,
    delta=DELTAS | VALUES,
    finish_reason=st.sampled_from(["stop", "tool_calls", None, "", "null", 3]),
)
CHUNKS = some(
    "usage", "x_groq", "service_tier", "odd", "id", choices=st.lists(CHOICES, max_size=2) | VALUES
)


@given(VALUES | OBJECTS | some("tools", "tool_choice", messages=st.lists(MESSAGES, max_size=3)))
def test_any_json_is_a_request_or_refused(body: JSON) -> None:
    for face in FACES.values():
        chat = lawful(lambda: face.parse_request(body, Envelope("m")))  # noqa: B023 - called at once
        if chat is None:
            continue
        face.render_request(chat)
        for asked in (chat, bare(chat), bare(chat, "other")):
            lawful(lambda: CHAT_PROVIDER.render_request(asked, "m", Hints()))  # noqa: B023


def lawful(call: Callable[[], T]) -> T | None:
    """What the call returns, None where it refuses the request; anything else it raises passes."""
    try:
        return call()
    except ApiError as error:
        if error.status != 400:
            raise
        return None


@given(VALUES | some("usage", "error", choices=st.lists(some(message=DELTAS), max_size=2)))
def test_any_json_is_an_answer_or_an_error(body: JSON) -> None:
    try:
        reply = CHAT_PROVIDER.parse_response(json.dumps(body).encode(), Hints(), STAMP)
    except ApiError:
        return
    for face in FACES.values():
        for source in (reply.source, "other"):
            assert json.loads(face.render_response(replace(reply, source=source), CHAT, STAMP))


@settings(deadline=None)
@given(st.lists(CHUNKS, max_size=6), st.booleans())
def test_any_chunks_are_events_in_order_and_any_events_are_chunks(
    chunks: list[JSON], complete: bool
) -> None:
    stream = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
    events = parse_stream(stream + (b"data: [DONE]\n\n" if complete else b""))
    check(events)
    splitter = ThinkSplitter()
    split = [*splitter.feed(events), *splitter.close()]
    alien = [replace(e, source="") if isinstance(e, Start) else e for e in events]
    for found in (events, split, alien):
        for face in FACES.values():
            renderer = face.stream_renderer(CHAT, STAMP)
            out = renderer.render(found) + renderer.close()
            for event in out.removesuffix(b"data: [DONE]\n\n").split(b"\n\n"):
                assert not event or isinstance(json.loads(event[6:]), dict)
    if isinstance(events[0] if events else None, Start) and not isinstance(events[-1], Failed):
        gather(events, "openai-chat")


@given(st.binary(max_size=80), st.integers(1, 9))
def test_any_bytes_are_events(noise: bytes, size: int) -> None:
    check(parse_stream(noise, size))
    check(parse_stream(b"data: " + noise + b"\n\n" + noise, size))


def check(events: list[Event]) -> None:
    """The grammar that `oneapi.ir` promises."""
    started = failed = False
    open_blocks: set[int] = set()
    finished: set[int] = set()
    count = 0
    for event in events:
        assert not failed
        match event:
            case Start():
                assert not started
                started = True
            case BlockStart():
                assert started
                assert event.index == count
                assert event.choice not in finished
                open_blocks.add(event.index)
                count += 1
            case Delta() | Signature() | Annotation():
                assert event.index in open_blocks
            case BlockStop():
                open_blocks.remove(event.index)
            case Finish():
                assert started
                assert event.choice not in finished
                finished.add(event.choice)
            case Failed():
                failed = True
            case Spent() | Aside():
                pass
            case _:
                assert_never(event)
    assert failed or not open_blocks


def seconds(size: int, kind: str) -> float:
    """How long it takes to parse that much of something that invites quadratic time."""
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{" + " " * size}}
    more = [
        {"index": n, "id": f"c{n}", "function": {"name": "f", "arguments": ""}}
        for n in range(1, size // 20)
    ]
    blank = {"index": 0, "delta": {"content": " "}}
    choices: dict[str, list[JSON]] = {
        "calls": [{"index": 0, "delta": {"tool_calls": [call, *more]}}],
        "blanks": [blank] * (size // 10),
    }
    body = {"id": "1", "choices": choices[kind]}
    stream = b"data: " + json.dumps(body).encode() + b"\n\ndata: [DONE]\n\n"
    began = time.perf_counter()
    splitter = ThinkSplitter()
    splitter.feed(parse_stream(stream))
    return time.perf_counter() - began


@pytest.mark.parametrize("kind", ["calls", "blanks"])
def test_time_is_linear_in_what_comes(kind: str) -> None:
    small = min(seconds(20_000, kind) for _ in range(3))
    large = min(seconds(160_000, kind) for _ in range(3))
    assert large < 30 * small  # eight times as much; sixty-four times as long were quadratic
