"""Whatever comes in: an `ApiError` or what was promised, never another exception."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oneapi.dialects import registry
from oneapi.dialects.base import ChatFace, Hints
from oneapi.dialects.base_gather import gather, replay
from oneapi.dialects.bedrock_invoke import InvokeUnwrapper
from oneapi.errors import ApiError
from oneapi.ir import ChatRequest, ChatResponse, Envelope, Event, Failed
from oneapi.wire.json import MalformedJSON, decode, members
from tests.translation import cuts, grown
from tests.translation.answered import readable
from tests.translation.asked import NATIVE, asked
from tests.translation.foreign import PROVIDERS
from tests.translation.mutations import DEPTHS, KINDS, SEEDS, Change, changed
from tests.translation.proof import OPERATIONS, STAMP

HINTS = Hints(max_output=1000)
CLIENTS = tuple(OPERATIONS)
FACES = [
    (name, operation)
    for name in CLIENTS
    for operation in registry.client(name).OPERATIONS
    if registry.face(name, operation) is not None
]
LARGEST = 20_000
"""Bytes of a recording that is still handy to change."""

CHANGES = st.lists(
    st.builds(Change, st.sampled_from(KINDS), st.integers(0, 10**6), st.sampled_from(SEEDS)),
    min_size=1,
    max_size=3,
)
NAMES = st.sampled_from(
    "type text content role messages input contents parts model choices delta message id "
    "tool_calls function name arguments usage output index candidates event data".split()
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | NAMES
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
some = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def face(name: str, operation: str) -> ChatFace:
    found = registry.face(name, operation)
    assert found is not None
    return found


def tried(call: Callable[..., Any], *given: Any) -> tuple[Any, ApiError | None]:
    """What the call returns, or its refusal; nothing else may be raised."""
    try:
        return call(*given), None
    except ApiError as error:
        return None, error


# --- requests ------------------------------------------------------------------------------


@cache
def requests(dialect: str) -> list[Any]:
    """Bodies to change: recorded ones, and those that grow where there are none."""
    found = [e.request for e in asked() if e.spoken == dialect]
    small = [body for body in found if len(json.dumps(body)) < LARGEST]
    return small or [make(2) for make in grown.REQUESTS.values()]


def rendered_everywhere(chat: ChatRequest) -> None:
    for name in PROVIDERS:
        provider = registry.chat_provider(name)
        assert provider is not None
        provider.fetches(chat, HINTS)
        _, error = tried(provider.render_request, chat, "m", HINTS)
        assert error is None or error.status == 400, name


def parsed(parse: Callable[[Any, Envelope], ChatRequest], raw: bytes) -> ChatRequest | None:
    try:
        body = decode(raw)
    except MalformedJSON:
        return None
    chat, error = tried(parse, body, Envelope("m"))
    assert error is None or error.status == 400
    assert error is None or error.param or not isinstance(body, dict)
    return cast("ChatRequest | None", chat)


@pytest.mark.parametrize(("name", "operation"), FACES)
@some
@given(data=st.data())
def test_any_request_is_refused_or_rendered_everywhere(
    name: str, operation: str, data: st.DataObject
) -> None:
    speaker = face(name, operation)
    body = data.draw(st.sampled_from(requests(name)) | VALUES)
    raw = changed(body, data.draw(CHANGES))
    chat = parsed(speaker.parse_request, raw)
    if chat is not None:
        tried(speaker.render_request, chat)
        rendered_everywhere(chat)


@pytest.mark.parametrize("name", NATIVE)
@some
@given(data=st.data())
def test_any_request_of_a_providers_own_format_is_too(name: str, data: st.DataObject) -> None:
    body = data.draw(st.sampled_from(requests(name)) | VALUES)
    chat = parsed(NATIVE[name], changed(body, data.draw(CHANGES)))
    if chat is not None:
        rendered_everywhere(chat)


@pytest.mark.parametrize("name", CLIENTS)
@some
@given(data=st.data())
def test_any_request_is_peeked_at(name: str, data: st.DataObject) -> None:
    client = registry.client(name)
    body = data.draw(st.sampled_from(requests(name)) | VALUES)
    raw = data.draw(st.binary(max_size=100) | st.just(changed(body, data.draw(CHANGES))))
    try:
        found = members(raw, client.WATCHED)
    except MalformedJSON:
        return
    for operation in client.OPERATIONS.values():
        _, error = tried(client.peek, operation, found, None)
        assert error is None or error.status == 400


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(("name", "operation"), FACES)
def test_nesting_ends_no_thread(name: str, operation: str, depth: int) -> None:
    for body in requests(name)[:3]:
        for place in range(0, 40, 4):
            raw = changed(body, [Change("nest", place * 8 + DEPTHS.index(depth), "null")])
            chat = parsed(face(name, operation).parse_request, raw)
            if chat is not None:
                rendered_everywhere(chat)


# --- answers -------------------------------------------------------------------------------


@cache
def bodies(dialect: str) -> list[Any]:
    found = [e for e in readable() if e.spoken == dialect and not e.stream]
    small = [e.body for e in found if isinstance(e.body, dict) and len(e.raw) < LARGEST]
    return small or [{}, {"result": {"response": "a"}}, {"output": ["a"], "status": "succeeded"}]


@cache
def streams(dialect: str) -> list[bytes]:
    """Recorded ones, and such as are made."""
    made = [make(3) for (name, _), make in grown.STREAMS.items() if name == dialect]
    found = [e for e in cuts.streams() if e.dialect == dialect and len(e.raw) < LARGEST]
    return [*made, *(e.raw for e in found)] or [b"data: {}\n\n"]


def rendered_for_clients(whole: ChatResponse | None, events: list[Event]) -> None:
    for name, operation in FACES:
        speaker = face(name, operation)
        chat = ChatRequest("m", [], name, stream=True, wants_usage=True)
        if whole is not None:
            tried(speaker.render_response, whole, chat, STAMP)
        renderer = speaker.stream_renderer(chat, STAMP)
        tried(renderer.render, events)
        tried(renderer.close)


@pytest.mark.parametrize("name", PROVIDERS)
@some
@given(data=st.data())
def test_any_answer_is_refused_or_rendered_for_all(name: str, data: st.DataObject) -> None:
    body = data.draw(st.sampled_from(bodies(name)) | VALUES)
    raw = data.draw(st.binary(max_size=60) | st.just(changed(body, data.draw(CHANGES))))
    provider = registry.chat_provider(name)
    assert provider is not None
    provider.follow_up(raw)
    assert len(provider.parse_error(429, (), raw)) == 3
    whole, _ = tried(provider.parse_response, raw, HINTS, STAMP)
    if whole is not None:
        rendered_for_clients(whole, list(replay(whole)))


def changed_stream(raw: bytes, places: Sequence[int], changes: list[Change]) -> bytes:
    """The stream with single events changed, doubled or left out."""
    lines = raw.splitlines(keepends=True)
    for place in places:
        at = place % len(lines)
        mark = b"data: " if lines[at].startswith(b"data:") else b""
        try:
            value = json.loads(lines[at].removeprefix(b"data:"))
            lines[at] = mark + changed(value, changes) + b"\n"
        except (ValueError, RecursionError):
            lines[at] = lines[at] * (place % 3)
    return b"".join(lines)


@pytest.mark.parametrize("name", PROVIDERS)
@some
@given(data=st.data())
def test_any_stream_becomes_events_that_are_rendered_for_all(
    name: str, data: st.DataObject
) -> None:
    raw = data.draw(st.sampled_from(streams(name)) | st.binary(max_size=100))
    if raw and name not in cuts.BINARY:
        places = data.draw(st.lists(st.integers(0, 10**6), max_size=3))
        raw = changed_stream(raw, places, data.draw(CHANGES))
    provider = registry.chat_provider(name)
    assert provider is not None
    parser = provider.stream_parser(HINTS, STAMP)
    events = [*parser.feed(raw), *parser.close()]
    assert sum(isinstance(event, Failed) for event in events) <= 1
    rendered_for_clients(tried(gather, events, name)[0], events)


@some
@given(
    kinds=st.lists(st.sampled_from(["contentBlockStart", "contentBlockDelta", "metadata", ""])),
    values=st.lists(VALUES | st.sampled_from([{"delta": {"text": 1}}, {"start": []}]), min_size=3),
    raw=st.binary(max_size=40),
)
def test_any_frames_become_events(kinds: list[str], values: list[Any], raw: bytes) -> None:
    made = [grown.frame(k, json.dumps(v).encode()) for k, v in zip(kinds, values, strict=False)]
    body = b"".join([*made, grown.frame("messageStop", raw), raw])
    provider = registry.chat_provider("bedrock-converse")
    assert provider is not None
    parser = provider.stream_parser(HINTS, STAMP)
    events = [*parser.feed(body), *parser.close()]
    rendered_for_clients(tried(gather, events, "bedrock-converse")[0], events)
    unwrapper = InvokeUnwrapper()
    assert isinstance(unwrapper.feed(body) + unwrapper.close(), bytes)


@pytest.mark.parametrize("name", CLIENTS)
@some
@given(data=st.data())
def test_any_bytes_are_relayed(name: str, data: st.DataObject) -> None:
    client = registry.client(name)
    operation = client.OPERATIONS[OPERATIONS[name]]
    raw = data.draw(st.sampled_from(streams(name)) | st.binary(max_size=100))
    if raw:
        places = data.draw(st.lists(st.integers(0, 10**6), max_size=3))
        raw = changed_stream(raw, places, data.draw(CHANGES))
    tap = client.tap(operation)
    assert tap.feed(raw) + tap.close() == raw or tap.error is not None or tap.done
    assert tap.output_estimate() >= 0


@pytest.mark.parametrize("name", CLIENTS)
@some
@given(data=st.data())
def test_any_whole_answer_is_read_along(name: str, data: st.DataObject) -> None:
    client = registry.client(name)
    body = data.draw(st.sampled_from(bodies(name)) | VALUES)
    raw = data.draw(st.binary(max_size=60) | st.just(changed(body, data.draw(CHANGES))))
    client.parse_answer(client.OPERATIONS[OPERATIONS[name]], 200, "application/json", raw)
    assert isinstance(client.response_text(raw), str)
    assert isinstance(client.rename_response(raw, "asked"), bytes)
