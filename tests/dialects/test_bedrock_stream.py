"""Recorded streams and answers of Converse become events that say what the recording says."""

from __future__ import annotations

import json
from base64 import b64decode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.base import Hints, Stamp
from oneapi.dialects.base_gather import gather
from oneapi.dialects.bedrock import CHAT_PROVIDER, NAME
from oneapi.dialects.bedrock_shapes import parse_usage, stop_of
from oneapi.errors import UpstreamError
from oneapi.ir import (
    Annotation,
    Aside,
    BlockStart,
    ChatResponse,
    Event,
    Failed,
    Finish,
    Media,
    Opaque,
    Reasoning,
    Start,
    Text,
    ToolCall,
    Usage,
)
from oneapi.wire.eventstream import encode_frame
from oneapi.wire.json import JSON
from tests.dialects.bedrock_recorded import Recorded, cases, frame, payloads, recorded
from tests.dialects.native_recorded import run, well_formed

STAMP = Stamp("0123456789abcdef", 7, "m")
STREAMS = [record for record in recorded("converse") if record.stream]
ANSWERS = [record for record in recorded("converse") if record.body]
STOPS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
}


def events_of(stream: bytes, size: int = 1_000_000) -> list[Event]:
    return run(CHAT_PROVIDER.stream_parser(Hints(), STAMP), stream, size)


def answer_of(body: JSON) -> ChatResponse:
    return CHAT_PROVIDER.parse_response(json.dumps(body).encode(), Hints(), STAMP)


def total(usage: JSON) -> int:
    """All tokens of a recorded usage."""
    names = ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens", "outputTokens")
    return sum(usage.get(name, 0) for name in names)


def opaque(blob: str) -> str:
    return b64decode(blob).decode()


@pytest.mark.parametrize("record", cases(STREAMS))
def test_a_recorded_stream_says_what_the_recording_says(record: Recorded) -> None:
    text = thought = redacted = arguments = stop = ""
    usage: JSON = {}
    for name, value in payloads(record.stream):
        if name == "contentBlockDelta":
            delta = value["delta"]
            text += delta.get("text", "")
            arguments += delta.get("toolUse", {}).get("input", "")
            thought += delta.get("reasoningContent", {}).get("text", "")
            redacted += opaque(delta.get("reasoningContent", {}).get("redactedContent", ""))
        stop = value.get("stopReason", stop)
        usage = value.get("usage", usage)
    reply = gather(events_of(record.stream), NAME)
    parts = reply.choices[0].parts
    assert "".join(p.text for p in parts if isinstance(p, Text)) == text
    assert "".join(p.text for p in parts if isinstance(p, Reasoning)) == thought
    assert "".join(p.data for p in parts if isinstance(p, Reasoning)) == redacted
    assert "".join(p.arguments for p in parts if isinstance(p, ToolCall)) == arguments
    assert (reply.choices[0].native_stop, reply.choices[0].stop) == (stop, STOPS[stop])
    assert reply.usage is not None
    assert reply.usage.input_tokens + reply.usage.output_tokens == total(usage)
    assert reply.raw_usage == usage


@pytest.mark.parametrize("record", cases(STREAMS))
@pytest.mark.parametrize("size", [1, 2, 3, 7, 11, 64, 500])
def test_the_events_are_the_same_however_the_stream_is_cut(record: Recorded, size: int) -> None:
    whole = events_of(record.stream)
    assert well_formed(whole)
    assert events_of(record.stream, size) == whole


@pytest.mark.parametrize("record", cases(STREAMS))
def test_a_flipped_bit_fails_the_stream(record: Recorded) -> None:
    for place in range(0, len(record.stream), 97):
        broken = bytearray(record.stream)
        broken[place] ^= 1
        found = events_of(bytes(broken))
        assert isinstance(found[-1], Failed) or any(isinstance(e, Finish) for e in found)
    broken = bytearray(record.stream)
    broken[20] ^= 1
    assert [type(event) for event in events_of(bytes(broken))] == [Failed]


@pytest.mark.parametrize("record", cases(ANSWERS))
def test_a_recorded_answer_says_what_the_recording_says(record: Recorded) -> None:
    content = record.body["output"]["message"]["content"]
    cited = [b["citationsContent"]["content"] for b in content if "citationsContent" in b]
    text = "".join(b.get("text", "") for b in [*content, *(c for items in cited for c in items)])
    calls = [
        (b["toolUse"]["toolUseId"], b["toolUse"]["name"], b["toolUse"]["input"])
        for b in content
        if "toolUse" in b
    ]
    thoughts = [
        tuple(b["reasoningContent"]["reasoningText"][n] for n in ("text", "signature"))
        for b in content
        if "reasoningContent" in b
    ]
    reply = CHAT_PROVIDER.parse_response(record.raw, Hints(), STAMP)
    parts = reply.choices[0].parts
    assert "".join(p.text for p in parts if isinstance(p, Text)) == text
    found = [(p.id, p.name, json.loads(p.arguments)) for p in parts if isinstance(p, ToolCall)]
    assert found == calls
    assert [(p.text, p.signature) for p in parts if isinstance(p, Reasoning)] == thoughts
    assert reply.choices[0].stop == STOPS[record.body["stopReason"]]
    assert reply.usage is not None
    assert reply.usage.input_tokens + reply.usage.output_tokens == total(record.body["usage"])


def test_an_answer_takes_its_name_from_the_gateway() -> None:
    reply = answer_of(
        {"output": {"message": {"content": [{"text": "a"}]}}, "stopReason": "end_turn"}
    )
    assert (reply.id, reply.model, reply.created, reply.source) == (STAMP.id, "m", 7, NAME)


def test_a_met_stop_sequence_is_named() -> None:
    more = {"stop_sequence": "END"}
    body = {
        "output": {"message": {"role": "assistant", "content": []}},
        "stopReason": "stop_sequence",
        "additionalModelResponseFields": more,
    }
    assert answer_of(body).choices[0].stop_sequence == "END"
    stream = frame(
        "messageStop", {"stopReason": "stop_sequence", "additionalModelResponseFields": more}
    )
    finish = next(e for e in events_of(stream) if isinstance(e, Finish))
    assert (finish.stop, finish.stop_sequence) == ("stop", "END")


def test_usage_has_disjoint_buckets() -> None:
    usage = parse_usage(
        {
            "inputTokens": 3,
            "outputTokens": 61,
            "cacheReadInputTokens": 2074,
            "cacheWriteInputTokens": 297,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 200}, {"ttl": "5m", "inputTokens": 97}],
            "totalTokens": 2435,
        }
    )
    expected = Usage(input=3, cache_read=2074, cache_write_5m=97, cache_write_1h=200, output=61)
    assert usage == expected


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("model_context_window_exceeded", "length"),
        ("malformed_tool_use", "error"),
        ("malformed_model_output", "error"),
        ("new_reason", "stop"),
        (None, "stop"),
    ],
)
def test_every_stop_reason_has_a_meaning(reason: JSON, stop: str) -> None:
    assert stop_of(reason, called=False) == stop


def test_a_call_streams_its_arguments() -> None:
    stream = b"".join(
        [
            frame("messageStart", {"role": "assistant", "p": "ab"}),
            frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hm"}}),
            frame(
                "contentBlockStart",
                {
                    "contentBlockIndex": 1,
                    "start": {"toolUse": {"toolUseId": "t1", "name": "a_x2e_b"}},
                },
            ),
            frame(
                "contentBlockDelta",
                {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '{"a'}}},
            ),
            frame(
                "contentBlockDelta",
                {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '":1}'}}},
            ),
            frame("contentBlockStop", {"contentBlockIndex": 1}),
            frame("messageStop", {"stopReason": "tool_use"}),
            frame("metadata", {"usage": {"inputTokens": 1, "outputTokens": 2}, "p": "abc"}),
        ]
    )
    events = events_of(stream)
    assert well_formed(events)
    reply = gather(events, NAME)
    assert reply.choices[0].parts == [Text("Hm"), ToolCall("t1", "a.b", '{"a":1}')]
    assert reply.usage == Usage(input=1, output=2)


def test_thoughts_carry_their_signature() -> None:
    def thought(**inner: str) -> bytes:
        return frame(
            "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": inner}}
        )

    stream = thought(text="I ") + thought(text="think") + thought(signature="sig")
    reply = gather(events_of(stream + frame("messageStop", {"stopReason": "end_turn"})), NAME)
    assert reply.choices[0].parts == [Reasoning("I think", "sig")]


def test_a_citation_before_its_text_opens_the_block() -> None:
    cite = frame(
        "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"citation": {"title": "t"}}}
    )
    text = frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "a"}})
    events = events_of(cite + text)
    assert isinstance(events[1], BlockStart)
    assert events[2] == Annotation(0, {"title": "t"})


def test_the_providers_own_tools_are_not_the_clients() -> None:
    stream = b"".join(
        [
            frame(
                "contentBlockStart",
                {
                    "contentBlockIndex": 0,
                    "start": {
                        "toolUse": {"toolUseId": "1", "name": "search", "type": "server_tool_use"}
                    },
                },
            ),
            frame(
                "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}}
            ),
            frame("contentBlockStop", {"contentBlockIndex": 0}),
            frame(
                "contentBlockStart",
                {"contentBlockIndex": 1, "start": {"toolResult": {"toolUseId": "1"}}},
            ),
            frame(
                "contentBlockDelta",
                {"contentBlockIndex": 1, "delta": {"toolResult": [{"text": "x"}]}},
            ),
            frame("contentBlockStop", {"contentBlockIndex": 1}),
            frame("messageStop", {"stopReason": "end_turn"}),
        ]
    )
    events = events_of(stream)
    assert well_formed(events)
    parts = gather(events, NAME).choices[0].parts
    assert [part.data for part in parts if isinstance(part, Opaque)] == [
        {
            "toolUse": {
                "toolUseId": "1",
                "name": "search",
                "type": "server_tool_use",
                "input": "{}",
            }
        },
        {"toolResult": {"toolUseId": "1", "content": [{"text": "x"}]}},
    ]


def test_an_image_comes_whole() -> None:
    stream = b"".join(
        [
            frame(
                "contentBlockStart", {"contentBlockIndex": 0, "start": {"image": {"format": "png"}}}
            ),
            frame(
                "contentBlockDelta",
                {"contentBlockIndex": 0, "delta": {"image": {"source": {"bytes": "QUJD"}}}},
            ),
            frame("contentBlockStop", {"contentBlockIndex": 0}),
            frame("messageStop", {"stopReason": "end_turn"}),
        ]
    )
    parts = gather(events_of(stream), NAME).choices[0].parts
    assert parts == [Media("image", data="QUJD", media_type="image/png")]


def test_what_follows_the_usage_is_passed_aside_without_its_padding() -> None:
    stream = frame("messageStop", {"stopReason": "end_turn"}) + frame(
        "metadata", {"usage": {}, "metrics": {"latencyMs": 5}, "p": "abc"}
    )
    events = events_of(stream)
    assert Aside(NAME, {"metadata": {"metrics": {"latencyMs": 5}}}) in events


def test_an_unknown_event_is_passed_aside() -> None:
    assert Aside(NAME, {"new": {"a": 1}}) in events_of(frame("new", {"a": 1, "p": "x"}))


@pytest.mark.parametrize(
    ("name", "status", "retryable"),
    [
        ("throttlingException", 429, True),
        ("validationException", 400, False),
        ("modelStreamErrorException", 502, False),
        ("modelTimeoutException", 408, True),
        ("internalServerException", 502, True),
        ("serviceUnavailableException", 502, True),
    ],
)
def test_an_exception_in_the_stream_fails_it(name: str, status: int, retryable: bool) -> None:
    start = frame("messageStart", {"role": "assistant"})
    events = events_of(start + frame(name, {"message": "no"}, "exception") + start)
    assert isinstance(events[0], Start)
    assert len(events) == 2
    assert isinstance(events[1], Failed)
    error = events[1].error
    assert isinstance(error, UpstreamError)
    assert (error.status, error.message, error.code) == (status, "no", name)
    assert error.retryable is retryable


def test_an_error_message_fails_the_stream() -> None:
    headers = {":message-type": "error", ":error-code": "InternalError", ":error-message": "oh"}
    events = events_of(encode_frame(headers, b""))
    assert isinstance(events[0], Failed)
    assert events[0].error.message == "oh"


def test_a_stream_that_ends_inside_a_frame_fails() -> None:
    start = frame("messageStart", {"role": "assistant"})
    assert isinstance(events_of(start + start[:-3])[-1], Failed)


def test_a_stream_that_loses_its_usage_is_complete_all_the_same() -> None:
    stop = frame("messageStop", {"stopReason": "end_turn"})
    assert not any(isinstance(e, Failed) for e in events_of(stop + stop[:9]))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"output":1}',
        b'{"output":{"message":{"content":1}}}',
        b"<html>",
        b'{"message":"no such model"}',
        b'{"output":{"message":{"content":[1]}}}',
    ],
)
def test_what_is_no_answer_is_an_upstream_error(body: bytes) -> None:
    with pytest.raises(UpstreamError) as raised:
        CHAT_PROVIDER.parse_response(body, Hints(), STAMP)
    assert raised.value.status == 502


@pytest.mark.parametrize("record", cases([r for r in recorded("invoke") if r.status != 200]))
def test_a_recorded_error_has_message_and_kind(record: Recorded) -> None:
    headers = [(n.lower().encode(), str(v).encode()) for n, v in (record.headers or {}).items()]
    message, _, _ = CHAT_PROVIDER.parse_error(record.status, headers, record.raw)
    assert message == record.body["message"]


def test_an_errors_kind_stands_in_a_header() -> None:
    headers = [(b"x-amzn-errortype", b"ThrottlingException:http://internal.amazon.com/coral/")]
    found = CHAT_PROVIDER.parse_error(429, headers, b'{"message":"Too many requests"}')
    assert found == ("Too many requests", "", "ThrottlingException")


NAMES = st.sampled_from(
    [
        "messageStart",
        "contentBlockStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
        "new",
        "validationException",
    ]
)
INNER = st.recursive(
    st.none() | st.integers(0, 2) | st.text(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                "contentBlockIndex start delta toolUse toolResult image text input name source "
                "bytes reasoningContent signature redactedContent citation error type usage "
                "content".split()
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(st.tuples(NAMES, INNER), max_size=8))
@settings(deadline=None)
def test_arbitrary_events_make_a_well_formed_stream(events: list[tuple[str, JSON]]) -> None:
    stream = b"".join(frame(name, value) for name, value in events)
    found = events_of(stream)
    assert well_formed(found)
    assert list(map(str, events_of(stream, 5))) == list(map(str, found))


@given(st.binary(max_size=100))
@settings(deadline=None)
def test_arbitrary_bytes_are_events_or_a_failure(data: bytes) -> None:
    assert all(isinstance(event, Failed) for event in events_of(data))
    try:
        CHAT_PROVIDER.parse_response(data, Hints(), STAMP)
    except UpstreamError:
        return
    raise AssertionError("bytes without meaning are an answer")
