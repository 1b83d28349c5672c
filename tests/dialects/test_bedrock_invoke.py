"""InvokeModel's streams become the server-sent events that they hold."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.bedrock_invoke import InvokeUnwrapper
from oneapi.wire.json import JSON
from tests.dialects.bedrock_recorded import Recorded, cases, frame, payloads, recorded

STREAMS = [record for record in recorded("invoke") if record.stream]


def unwrapped(stream: bytes, size: int = 1_000_000) -> bytes:
    unwrapper = InvokeUnwrapper()
    chunks = (stream[i : i + size] for i in range(0, len(stream), size))
    return b"".join(map(unwrapper.feed, chunks)) + unwrapper.close()


def chunk(text: str) -> bytes:
    return frame("chunk", {"bytes": b64encode(text.encode()).decode(), "p": "abc"})


def error_in(stream: bytes) -> JSON:
    event = stream.split(b"\n\n")[-2]
    assert event.startswith(b"event: error\ndata: ")
    return json.loads(event.split(b"data: ")[1])["error"]


@pytest.mark.parametrize("record", cases(STREAMS))
def test_a_recorded_stream_keeps_every_byte_of_its_events(record: Recorded) -> None:
    inner = [b64decode(value["bytes"]) for _, value in payloads(record.stream)]
    expected = [
        b"event: " + json.loads(data)["type"].encode() + b"\ndata: " + data for data in inner
    ]
    assert unwrapped(record.stream).split(b"\n\n") == [*expected, b""]


@pytest.mark.parametrize("record", cases(STREAMS))
@pytest.mark.parametrize("size", [1, 5, 13, 333])
def test_the_bytes_are_the_same_however_the_stream_is_cut(record: Recorded, size: int) -> None:
    assert unwrapped(record.stream, size) == unwrapped(record.stream)


def test_the_type_may_stand_anywhere_in_the_event() -> None:
    found = unwrapped(chunk('{"index":0,"type":"content_block_stop"}'))
    assert found == b'event: content_block_stop\ndata: {"index":0,"type":"content_block_stop"}\n\n'


def test_an_event_without_a_type_has_data_alone() -> None:
    assert unwrapped(chunk('{"generation":"a"}')) == b'data: {"generation":"a"}\n\n'


def test_an_event_of_several_lines_becomes_one() -> None:
    assert unwrapped(chunk('{"type":"ping",\n "a": 1}')) == (
        b'event: ping\ndata: {"type":"ping","a":1}\n\n'
    )


def test_the_metrics_stay() -> None:
    text = '{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":1}}'
    assert text.encode() in unwrapped(chunk(text))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("throttlingException", "rate_limit_error"),
        ("validationException", "invalid_request_error"),
        ("serviceUnavailableException", "overloaded_error"),
        ("modelTimeoutException", "timeout_error"),
        ("modelStreamErrorException", "api_error"),
        ("internalServerException", "api_error"),
        ("newException", "api_error"),
    ],
)
def test_an_exception_becomes_an_error_event(name: str, kind: str) -> None:
    stream = chunk('{"type":"ping"}') + frame(name, {"message": "no"}, "exception")
    found = unwrapped(stream + chunk('{"type":"ping"}'))
    assert found.count(b"event: ping") == 1
    assert error_in(found) == {"type": kind, "message": "no"}


def test_a_broken_frame_becomes_an_error_event_after_what_was_whole() -> None:
    broken = chunk('{"type":"ping"}')
    found = unwrapped(broken + broken[:-1] + b"?")
    assert found.startswith(b"event: ping")
    assert "checksum" in error_in(found)["message"]


def test_a_stream_that_ends_inside_a_frame_says_so() -> None:
    assert "ends inside" in error_in(unwrapped(chunk("{}") + b"\0"))["message"]


@pytest.mark.parametrize("payload", [{"bytes": "%%"}, {"bytes": "e30\n"}, [], 1])
def test_what_is_no_event_becomes_an_error(payload: JSON) -> None:
    assert error_in(unwrapped(frame("chunk", payload)))["type"] == "api_error"


@given(st.lists(st.binary(max_size=30) | st.text(max_size=10).map(chunk), max_size=4))
@settings(deadline=None)
def test_arbitrary_bytes_raise_nothing(pieces: list[bytes]) -> None:
    stream = b"".join(pieces)
    assert unwrapped(stream, 3) == unwrapped(stream)
