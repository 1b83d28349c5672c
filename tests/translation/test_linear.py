"""Time grows as size does: events, blocks, members of requests, and lines that never end."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from oneapi.dialects import registry
from oneapi.dialects.base import ChatFace, ChatProvider, Hints
from oneapi.dialects.base_gather import gather
from oneapi.dialects.bedrock_invoke import InvokeUnwrapper
from oneapi.errors import ApiError
from oneapi.ir import ChatRequest, Envelope, Event
from tests.translation import grown
from tests.translation.foreign import PROVIDERS
from tests.translation.proof import OPERATIONS, STAMP

HINTS = Hints(max_output=1000)


def face(name: str, operation: str) -> ChatFace:
    found = registry.face(name, operation)
    assert found is not None
    return found


GROWTH = 4
MOST = 12
"""Of the time for a fourth: linear is 4, quadratic 16; the rest is for a busy machine."""


def assert_linear(run: Callable[[int], Callable[[], object]], size: int) -> None:
    """`run(size)` prepares and returns what is timed."""
    ratios = []
    for _ in range(6):
        small, large = (seconds(run(n)) for n in (size, size * GROWTH))
        ratios.append(large / small)
        if ratios[-1] < MOST:
            return
    raise AssertionError(f"{GROWTH} times the size took {ratios} times as long")


def seconds(call: Callable[[], object]) -> float:
    """Garbage is not collected meanwhile: how long that takes is the whole process's affair."""
    gc.disable()
    try:
        begun = time.perf_counter()
        call()
        return time.perf_counter() - begun
    finally:
        gc.enable()


def events_of(name: str, raw: bytes) -> list[Event]:
    parser = _parser(name)
    return [*parser.feed(raw), *parser.close()]


@pytest.mark.parametrize(("name", "what"), grown.STREAMS)
def test_many_events_take_as_long_as_they_are_many(name: str, what: str) -> None:
    def run(count: int) -> Callable[[], object]:
        raw = grown.STREAMS[name, what](count)
        return lambda: gather(events_of(name, raw), name)

    assert_linear(run, 1000)


@pytest.mark.parametrize("what", ["deltas", "blocks", "logprobs"])
@pytest.mark.parametrize(("name", "operation"), OPERATIONS.items())
def test_many_events_are_rendered_as_fast(name: str, operation: str, what: str) -> None:
    def run(count: int) -> Callable[[], object]:
        events = events_of("openai-chat", grown.STREAMS["openai-chat", what](count))
        return lambda: _rendered(face(name, operation), events)

    assert_linear(run, 600)


def _rendered(speaker: ChatFace, events: list[Event]) -> bytes:
    chat = ChatRequest("m", [], speaker.NAME, stream=True, wants_usage=True)
    renderer = speaker.stream_renderer(chat, STAMP)
    out = [renderer.render([event]) for event in events]
    speaker.render_response(gather(events, "openai-chat"), chat, STAMP)
    return b"".join(out) + renderer.close()


def _fed(parser: Any, raw: bytes) -> object:
    for place in range(len(raw)):
        parser.feed(raw[place : place + 1])
    return parser.close()


def _parser(name: str) -> Any:
    provider = registry.chat_provider(name)
    assert provider is not None
    return provider.stream_parser(HINTS, STAMP)


def _tap(name: str) -> Any:
    client = registry.client(name)
    return client.tap(client.OPERATIONS[OPERATIONS[name]])


READERS: list[tuple[str, Callable[[], Any]]] = [
    *((name, partial(_parser, name)) for name in PROVIDERS),
    *((name, partial(_tap, name)) for name in OPERATIONS),
    ("bedrock-converse", InvokeUnwrapper),
]
"""By the dialect whose lines they read."""


@pytest.mark.parametrize(("name", "reader"), READERS)
def test_an_endless_line_in_single_bytes(name: str, reader: Callable[[], Any]) -> None:
    def run(size: int) -> Callable[[], object]:
        raw = grown.long_line(name, size)
        return lambda: _fed(reader(), raw)

    assert_linear(run, 64 * 1024)


@pytest.mark.parametrize("what", grown.REQUESTS)
@pytest.mark.parametrize("name", PROVIDERS)
def test_many_members_are_rendered_as_fast(name: str, what: str) -> None:
    provider = registry.chat_provider(name)
    assert provider is not None

    def run(count: int) -> Callable[[], object]:
        chat = face("openai-chat", "chat").parse_request(grown.REQUESTS[what](count), Envelope("m"))
        return lambda: _rendered_for(provider, chat)

    assert_linear(run, 1000)


def _rendered_for(provider: ChatProvider, chat: ChatRequest) -> object:
    try:
        return provider.render_request(chat, "m", HINTS)
    except ApiError:
        return None


def test_what_grows_faster_is_seen() -> None:
    def run(count: int) -> Callable[[], object]:
        return lambda: sum(1 for _ in range(count) for _ in range(count))

    with pytest.raises(AssertionError):
        assert_linear(run, 200)
