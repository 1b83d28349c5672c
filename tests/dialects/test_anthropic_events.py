from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.anthropic import CHAT_PROVIDER, FACES
from oneapi.dialects.anthropic_forms import Streamed
from oneapi.dialects.base import Hints, Stamp, StreamParser
from oneapi.dialects.base_gather import gather
from oneapi.errors import UpstreamError
from oneapi.ir import (
    Aside,
    BlockStart,
    BlockStop,
    ChatRequest,
    Delta,
    Event,
    Failed,
    Finish,
    Reasoning,
    Signature,
    Spent,
    Start,
    Text,
    ToolCall,
    Usage,
)
from oneapi.wire.json import JSON, encode
from tests.dialects.anthropic_recorded import STREAMS, Exchange, cases, data_events


def parser() -> StreamParser:
    return CHAT_PROVIDER.stream_parser(Hints(), Stamp("x"))


def events_of(stream: bytes, size: int = 0) -> list[Event]:
    reader = parser()
    events: list[Event] = []
    for start in range(0, len(stream), size or len(stream) or 1):
        events += reader.feed(stream[start : start + (size or len(stream))])
    return events + reader.close()


def sse(*events: JSON, padding: bytes = b"") -> bytes:
    return b"".join(
        b"event: %b\ndata: %b%b\n\n" % (event["type"].encode(), encode(event), padding)
        for event in events
    )


START: JSON = {
    "type": "message_start",
    "message": {"id": "msg_1", "model": "c", "usage": {"input_tokens": 4, "output_tokens": 1}},
}
STOP: JSON = {"type": "message_stop"}


def began(block: JSON, index: int = 0) -> JSON:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(value: JSON, index: int = 0) -> JSON:
    return {"type": "content_block_delta", "index": index, "delta": value}


def ended(index: int = 0) -> JSON:
    return {"type": "content_block_stop", "index": index}


def finished(reason: str = "end_turn", **usage: int) -> JSON:
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None},
        "usage": usage,
    }


SAMPLE = sse(
    START,
    {"type": "ping"},
    began({"type": "thinking", "thinking": "", "signature": ""}),
    delta({"type": "thinking_delta", "thinking": "Überlegung 😀"}),
    delta({"type": "signature_delta", "signature": "c2ln"}),
    ended(),
    began({"type": "tool_use", "id": "t", "name": "f", "input": {}}, 1),
    delta({"type": "input_json_delta", "partial_json": ""}, 1),
    delta({"type": "input_json_delta", "partial_json": '{"a":'}, 1),
    delta({"type": "input_json_delta", "partial_json": "1}"}, 1),
    ended(1),
    finished("tool_use", output_tokens=9),
    STOP,
    padding=b"    ",
)


def test_a_stream_becomes_events() -> None:
    events = events_of(SAMPLE)
    assert [type(event) for event in events] == [
        *(Spent, Start, BlockStart, Delta, Signature, BlockStop),
        *(BlockStart, Delta, Delta, Delta, BlockStop, Spent, Finish),
    ]
    reply = gather(events, "anthropic")
    thought, call = reply.choices[0].parts
    assert isinstance(thought, Reasoning)
    assert (thought.text, thought.signature) == ("Überlegung 😀", "c2ln")
    assert call == ToolCall("t", "f", '{"a":1}')
    assert reply.choices[0].stop == "tool_calls"
    assert reply.usage == Usage(input=4, output=9)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_events_are_the_same_however_the_stream_is_cut(ending: bytes) -> None:
    stream = SAMPLE.replace(b"\n", ending)
    whole = events_of(SAMPLE)
    for size in (1, 2, 3, 7, 64):
        assert events_of(stream, size) == whole


@pytest.mark.parametrize("exchange", cases(STREAMS))
def test_a_recorded_stream_gives_the_same_events_byte_by_byte(exchange: Exchange) -> None:
    whole = events_of(exchange.sse)
    assert events_of(exchange.sse, 1) == whole
    assert events_of(exchange.sse.replace(b"\n", b"\r\n"), 5) == whole


@pytest.mark.parametrize("exchange", cases(STREAMS))
def test_a_recorded_stream_ends_with_its_reason_and_usage(exchange: Exchange) -> None:
    end = next(e for e in data_events(exchange.sse) if e["type"] == "message_delta")
    reply = gather(events_of(exchange.sse), "anthropic")
    assert reply.choices[0].native_stop == end["delta"]["stop_reason"]
    assert reply.usage is not None
    assert reply.usage.output_tokens == end["usage"]["output_tokens"]


def test_the_end_is_known_when_it_comes() -> None:
    reader = parser()
    reader.feed(SAMPLE)
    assert reader.done
    assert reader.feed(SAMPLE) == []


def test_a_stream_that_breaks_stops_its_blocks_and_finishes_nothing() -> None:
    events = events_of(sse(START, began({"type": "text", "text": ""})) + b"event: content_bl")
    assert isinstance(events[-1], BlockStop)
    assert not any(isinstance(event, Finish) for event in events)


@pytest.mark.parametrize(
    ("kind", "status", "retryable"),
    [
        ("overloaded_error", 529, True),
        ("rate_limit_error", 429, True),
        ("api_error", 500, True),
        ("authentication_error", 502, True),
        ("invalid_request_error", 400, False),
        ("unheard_of", 500, True),
    ],
)
def test_an_error_event_fails_with_its_status(kind: str, status: int, retryable: bool) -> None:
    error = {"type": "error", "error": {"type": kind, "message": "sorry"}}
    failed = events_of(sse(START, error, STOP))[-1]
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, UpstreamError)
    assert (failed.error.status, failed.error.message) == (status, "sorry")
    assert failed.error.retryable is retryable


def test_data_that_is_not_json_fails() -> None:
    assert isinstance(events_of(b"data: {nope\n\n")[-1], Failed)


def test_a_type_that_stands_on_the_events_line_alone_is_believed() -> None:
    stream = b'event: content_block_delta\ndata: {"index":0,"delta":{"type":"text_delta",'
    events = events_of(sse(START) + stream + b'"text":"hi"}}\n\n')
    assert Delta(0, "hi") in events


def test_text_whose_beginning_never_came_is_text() -> None:
    events = events_of(sse(delta({"type": "text_delta", "text": "hi"}), STOP))
    assert events == [
        Start("", "", source="anthropic"),
        BlockStart(0, Text("")),
        Delta(0, "hi"),
        BlockStop(0),
        Finish("stop"),
    ]


def test_input_that_came_with_the_beginning_counts_once() -> None:
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}
    alone = gather(events_of(sse(START, began(block), ended(), STOP)), "anthropic")
    more = delta({"type": "input_json_delta", "partial_json": '{"b":2}'})
    both = gather(events_of(sse(START, began(block), more, ended(), STOP)), "anthropic")
    assert [r.choices[0].parts for r in (alone, both)] == [
        [ToolCall("t", "f", '{"a":1}')],
        [ToolCall("t", "f", '{"b":2}')],
    ]


def test_a_server_tools_block_waits_until_it_is_whole() -> None:
    events = events_of(
        sse(
            START,
            began({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}),
            delta({"type": "input_json_delta", "partial_json": '{"query":"x"}'}),
            ended(),
        )
    )
    (block,) = [e for e in events if isinstance(e, BlockStart)]
    assert isinstance(block.part, Streamed)
    assert block.part.data["input"] == {"query": "x"}


def test_a_redacted_thought_is_encrypted_data() -> None:
    events = events_of(sse(START, began({"type": "redacted_thinking", "data": "b3A="}), ended()))
    assert Signature(0, "", "b3A=") in events


def test_deltas_and_events_of_tomorrow_are_asides() -> None:
    odd = delta({"type": "smell_delta", "smell": "rose"})
    news = {"type": "weather", "sun": True}
    events = events_of(sse(START, began({"type": "text", "text": ""}), odd, news))
    assert [e.data for e in events if isinstance(e, Aside)] == [odd, news]


def test_numbers_of_the_end_replace_those_of_the_beginning() -> None:
    start = {
        "type": "message_start",
        "message": {
            "usage": {
                "input_tokens": 3,
                "cache_creation_input_tokens": 10,
                "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 8},
                "output_tokens": 1,
            }
        },
    }
    events = events_of(
        sse(start, finished(input_tokens=5, cache_creation_input_tokens=12, output_tokens=7))
    )
    spent = [e for e in events if isinstance(e, Spent)][-1]
    assert spent.usage == Usage(input=5, cache_write_5m=4, cache_write_1h=8, output=7)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.integers(1, 40))
def test_any_bytes_are_events(noise: bytes, size: int) -> None:
    events_of(SAMPLE[: len(noise) * 5] + noise + SAMPLE, size)


KEYS = st.sampled_from(
    ["type", "index", "delta", "content_block", "message", "usage", "error", "text", "id", "input"]
)
VALUES = st.recursive(
    st.none()
    | st.integers()
    | st.text(max_size=3)
    | st.sampled_from(["message_start", "content_block_start", "content_block_delta"])
    | st.sampled_from(["content_block_stop", "message_delta", "text_delta", "tool_use", "text"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=5), max_size=6))
def test_any_json_is_events(values: list[JSON]) -> None:
    events_of(b"".join(b"data: %b\n\n" % encode(value) for value in values))


@pytest.mark.parametrize("depth", [400, 980, 984, 988, 992, 996, 100_000])
def test_bottomless_events_fail_and_nothing_else(depth: int) -> None:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    block = b'{"type":"tool_use","id":"a","name":"b","input":%b}' % deep
    stream = b'data: {"type":"content_block_start","content_block":%b}\n\n' % block
    renderer = FACES["messages"].stream_renderer(ChatRequest("m", [], "anthropic"), Stamp("x"))
    renderer.render(events_of(sse(START) + stream + b'data: {"type":"odd","x":%b}\n\n' % deep))
    with contextlib.suppress(UpstreamError):
        reply = CHAT_PROVIDER.parse_response(b'{"content":[%b]}' % block, Hints(), Stamp("x"))
        FACES["messages"].render_response(reply, ChatRequest("m", [], "anthropic"), Stamp("x"))
        assert depth < 1000
