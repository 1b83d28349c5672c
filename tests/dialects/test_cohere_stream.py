"""Recorded streams and answers become events that say what the recording says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.base import Hints, Stamp
from oneapi.dialects.base_gather import gather
from oneapi.dialects.cohere import CHAT_PROVIDER, NAME
from oneapi.dialects.cohere_shapes import logprobs_of, parse_usage, stop_of
from oneapi.errors import ApiError, UpstreamError
from oneapi.ir import (
    Annotation,
    Aside,
    BlockStart,
    BlockStop,
    ChatResponse,
    Delta,
    Event,
    Failed,
    Finish,
    Opaque,
    Reasoning,
    Spent,
    Start,
    Text,
    ToolCall,
    Usage,
)
from oneapi.wire.json import JSON
from tests.dialects.native_recorded import Recorded, cases, recorded, run, said, well_formed

STAMP = Stamp("0123456789abcdef", 7, "m")
RECORDS = [r for r in recorded("cohere") if r.api in ("cohere_chat", "cohere_generate")]
STREAMS = [r for r in RECORDS if r.sse]
ANSWERS = [r for r in RECORDS if not r.sse and r.status == 200 and r.api == "cohere_chat"]
GENERATED = [r for r in RECORDS if r.api == "cohere_generate"]
STOPS = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
}


def events_of(stream: bytes, size: int = 1_000_000) -> list[Event]:
    return run(CHAT_PROVIDER.stream_parser(Hints(), STAMP), stream, size)


def answer_of(body: JSON) -> ChatResponse:
    return CHAT_PROVIDER.parse_response(json.dumps(body).encode(), Hints(), STAMP)


def sse(*events: JSON) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def lines(*events: JSON) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def of_message(kind: str, index: int = 0, **message: JSON) -> JSON:
    return {"type": kind, "index": index, "delta": {"message": message}}


def billed(usage: JSON) -> tuple[int, int]:
    units = usage["billed_units"]
    return units["input_tokens"], units["output_tokens"]


def spent(usage: Usage | None) -> tuple[int, int]:
    assert usage is not None
    return usage.input_tokens, usage.output_tokens


END = {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}


@pytest.mark.parametrize("record", cases(STREAMS))
def test_a_recorded_stream_says_what_the_recording_says(record: Recorded) -> None:
    text = thought = stop = ""
    calls: dict[int, list[str]] = {}
    usage: JSON = {}
    for line in record.sse.decode().split("\n"):
        if not line.startswith("data: {"):
            continue
        value = json.loads(line[6:])
        message = value.get("delta", {}).get("message", {})
        content, call = message.get("content") or {}, message.get("tool_calls") or {}
        if value["type"] == "content-delta":
            text += content.get("text", "")
            thought += content.get("thinking", "")
        thought += message.get("tool_plan", "")
        if value["type"] == "tool-call-start":
            calls[value["index"]] = [call["id"], call["function"]["name"], ""]
        if value["type"] == "tool-call-delta":
            calls[value["index"]][2] += call["function"]["arguments"]
        if value["type"] == "message-end":
            stop, usage = value["delta"]["finish_reason"], value["delta"]["usage"]
    reply = gather(events_of(record.sse), NAME)
    found = [(a, b, c) for a, b, c in calls.values()]
    assert said(reply) == (text, thought, found, STOPS[stop])
    assert spent(reply.usage) == billed(usage)
    assert reply.raw_usage == usage


@pytest.mark.parametrize("record", cases(STREAMS))
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
def test_the_events_are_the_same_however_the_stream_is_cut(record: Recorded, size: int) -> None:
    whole = events_of(record.sse)
    assert well_formed(whole)
    assert events_of(record.sse, size) == whole
    crlf = record.sse.replace(b"\n", b"\r\n")
    assert events_of(crlf, size) == whole


@pytest.mark.parametrize("record", cases(ANSWERS))
def test_a_recorded_answer_says_what_the_recording_says(record: Recorded) -> None:
    message = record.body["message"]
    content = message.get("content") or []
    text = "".join(item["text"] for item in content if item["type"] == "text")
    thought = "".join(item["thinking"] for item in content if item["type"] == "thinking")
    calls = [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or []
    ]
    reply = CHAT_PROVIDER.parse_response(record.raw, Hints(), STAMP)
    stop = STOPS[record.body["finish_reason"]]
    assert said(reply) == (text, thought + message.get("tool_plan", ""), calls, stop)
    parts = reply.choices[0].parts
    cited = [a for part in parts if isinstance(part, Text) for a in part.annotations]
    assert cited == message.get("citations", [])
    assert spent(reply.usage) == billed(record.body["usage"])
    assert (reply.id, reply.model) == (record.body["id"], "m")


@pytest.mark.parametrize("record", cases(GENERATED))
def test_a_recorded_generation_is_an_answer(record: Recorded) -> None:
    reply = CHAT_PROVIDER.parse_response(record.raw, Hints(), STAMP)
    expected = [(g["text"], g["finish_reason"]) for g in record.body["generations"]]
    found = [(p.text, c.native_stop) for c in reply.choices for p in c.parts if isinstance(p, Text)]
    assert found == expected
    assert spent(reply.usage) == billed(record.body["meta"])


@pytest.mark.parametrize("record", cases([r for r in RECORDS if r.status != 200]))
def test_a_recorded_error_has_its_message(record: Recorded) -> None:
    found = CHAT_PROVIDER.parse_error(record.status, (), record.raw)
    assert found == (record.body["message"], "", "")


def test_what_is_billed_is_counted() -> None:
    usage = {
        "billed_units": {"input_tokens": 67.0, "output_tokens": 66},
        "tokens": {"input_tokens": 510, "output_tokens": 99, "reasoning_tokens": 29},
        "cached_tokens": 144,
    }
    assert parse_usage(usage) == Usage(input=67, output=37, reasoning=29)


def test_real_tokens_are_counted_where_nothing_is_billed() -> None:
    usage = {"tokens": {"input_tokens": 510, "output_tokens": 99}, "cached_tokens": 144}
    assert parse_usage(usage) == Usage(input=366, cache_read=144, output=99)


@pytest.mark.parametrize(
    "usage", [None, 1, {}, {"billed_units": 1}, {"tokens": {"input_tokens": -1}}]
)
def test_what_is_no_usage_is_none(usage: JSON) -> None:
    assert parse_usage(usage) is None


@pytest.mark.parametrize(
    ("reason", "stop"),
    [("ERROR", "error"), ("TIMEOUT", "error"), ("ERROR_TOXIC", "content_filter"), (1, "stop")],
)
def test_every_finish_reason_has_a_meaning(reason: JSON, stop: str) -> None:
    assert stop_of(reason, called=False) == stop


def test_log_probabilities_of_several_tokens_add_up() -> None:
    found = logprobs_of([{"text": "ab", "token_ids": [1, 2], "logprobs": [-0.5, -0.25]}])
    assert found["content"][0]["token"] == "ab"
    assert found["content"][0]["logprob"] == -0.75
    assert logprobs_of(None) is None


def test_citations_come_to_their_text_though_it_ended() -> None:
    citation = {"start": 0, "end": 1, "text": "a", "content_index": 1}
    events = events_of(
        sse(
            of_message("content-start", 0, content={"type": "thinking", "thinking": "t"}),
            {"type": "content-end", "index": 0},
            of_message("content-start", 1, content={"type": "text", "text": ""}),
            of_message("content-delta", 1, content={"text": "a"}),
            {"type": "content-end", "index": 1},
            of_message("citation-start", 0, citations=citation),
            {"type": "citation-end", "index": 0},
            END,
        )
    )
    assert events[1:] == [
        BlockStart(0, Reasoning()),
        Delta(0, "t"),
        BlockStop(0),
        BlockStart(1, Text("")),
        Delta(1, "a"),
        Annotation(1, citation),
        BlockStop(1),
        Finish("stop", native_stop="COMPLETE"),
    ]


def test_a_citation_of_a_plan_is_passed_aside() -> None:
    events = events_of(sse(of_message("citation-start", 0, citations={"type": "PLAN"}), END))
    assert events[1] == Aside(NAME, {"citations": {"type": "PLAN"}})


def test_a_plan_ends_where_the_calls_begin() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{"}}
    events = events_of(
        sse(
            {"type": "message-start", "id": "x"},
            {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will"}}},
            of_message("tool-call-start", 0, tool_calls=call),
            of_message("tool-call-delta", 0, tool_calls={"function": {"arguments": "}"}}),
            {"type": "tool-call-end", "index": 0},
            {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}},
        )
    )
    assert well_formed(events)
    reply = gather(events, NAME)
    assert reply.id == "x"
    assert said(reply) == ("", "I will", [("1", "f", "{}")], "tool_calls")


def test_deltas_carry_their_log_probabilities() -> None:
    event = of_message("content-delta", 0, content={"text": "a"})
    event["logprobs"] = {"text": "a", "token_ids": [1], "logprobs": [-1.0]}
    reply = gather(events_of(sse(event, END)), NAME)
    assert reply.choices[0].logprobs["content"][0]["logprob"] == -1.0


def test_an_unknown_event_is_passed_aside() -> None:
    debug = {"type": "debug", "prompt": "p"}
    assert Aside(NAME, debug) in events_of(sse(debug, END))


def test_content_of_an_unknown_type_stays_whole() -> None:
    events = events_of(sse(of_message("content-start", 0, content={"type": "new", "a": 1}), END))
    assert BlockStart(0, Opaque(NAME, {"type": "new", "a": 1})) in events


@pytest.mark.parametrize(
    "stream",
    [
        sse({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "oh"}}),
        sse({"message": "oh"}),
        lines({"message": "oh"}),
        lines({"event_type": "stream-error", "is_finished": True, "err": "oh"}),
        lines({"event_type": "stream-end", "finish_reason": "ERROR", "err": "oh"}),
    ],
)
def test_an_error_in_the_stream_fails_it(stream: bytes) -> None:
    events = events_of(stream + stream)
    assert len(events) == 1
    assert isinstance(events[0], Failed)
    assert (events[0].error.status, events[0].error.message) == (502, "oh")


def test_what_is_no_json_fails_the_stream() -> None:
    events = events_of(b"data: {\n\n" + sse(END))
    assert [type(event) for event in events] == [Failed]


def test_nothing_follows_the_end() -> None:
    parser = CHAT_PROVIDER.stream_parser(Hints(), STAMP)
    parser.feed(sse(END))
    assert parser.done
    assert parser.feed(sse(END)) == []


def test_a_stream_that_stops_short_has_no_finish() -> None:
    events = events_of(sse(of_message("content-delta", 0, content={"text": "a"})))
    assert [type(event) for event in events] == [Start, BlockStart, Delta, BlockStop]


def test_the_older_api_streams_lines() -> None:
    stream = lines(
        {"event_type": "stream-start", "generation_id": "g", "is_finished": False},
        {"event_type": "search-results", "documents": []},
        {"event_type": "text-generation", "text": "größe"},
        {"event_type": "citation-generation", "citations": [{"start": 0}]},
        {"event_type": "tool-calls-chunk", "text": "I will", "tool_call_delta": {"index": 0}},
        {
            "event_type": "tool-calls-generation",
            "tool_calls": [{"name": "f", "parameters": {"a": 1}}],
        },
        {
            "event_type": "stream-end",
            "finish_reason": "COMPLETE",
            "response": {"meta": {"billed_units": {"input_tokens": 3, "output_tokens": 2}}},
        },
    )
    for size in (1, 2, 5, 1000):
        events = events_of(stream, size)
        assert well_formed(events)
        reply = gather(events, NAME)
        assert reply.id == "g"
        assert said(reply) == ("größe", "I will", [("call_1", "f", '{"a":1}')], "tool_calls")
        assert spent(reply.usage) == (3, 2)


def test_the_older_api_answers_whole() -> None:
    reply = answer_of(
        {
            "text": "a",
            "generation_id": "g",
            "finish_reason": "MAX_TOKENS",
            "citations": [{"start": 0}],
            "tool_calls": None,
            "meta": {"billed_units": {"input_tokens": 3, "output_tokens": 2}},
        }
    )
    assert (reply.id, said(reply)) == ("g", ("a", "", [], "length"))
    assert spent(reply.usage) == (3, 2)


def test_an_error_inside_a_success_is_raised() -> None:
    with pytest.raises(ApiError, match="no such model"):
        answer_of({"id": "x", "message": "no such model"})


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"<html>", b'{"generations":1}'])
def test_what_is_no_answer_is_an_upstream_error(body: bytes) -> None:
    with pytest.raises(UpstreamError) as raised:
        CHAT_PROVIDER.parse_response(body, Hints(), STAMP)
    assert raised.value.status == 502


KINDS = st.sampled_from(
    [
        "message-start",
        "content-start",
        "content-delta",
        "content-end",
        "tool-plan-delta",
        "tool-call-start",
        "tool-call-delta",
        "tool-call-end",
        "citation-start",
        "citation-end",
        "debug",
        "message-end",
    ]
)
INNER = st.recursive(
    st.none() | st.integers(0, 2) | st.text(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                "message content text thinking type tool_calls function arguments name id "
                "citations tool_plan content_index finish_reason usage error logprobs".split()
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
EVENTS = st.fixed_dictionaries(
    {"type": KINDS},
    optional={"index": st.integers(0, 2) | st.text(max_size=1), "delta": INNER, "logprobs": INNER},
)


@given(st.lists(EVENTS, max_size=10))
@settings(deadline=None)
def test_arbitrary_events_make_a_well_formed_stream(events: JSON) -> None:
    stream = sse(*events)
    found = events_of(stream)
    assert well_formed(found)
    assert list(map(str, events_of(stream, 7))) == list(map(str, found))


OLDER = st.fixed_dictionaries(
    {
        "event_type": st.sampled_from(
            "stream-start text-generation tool-calls-chunk tool-calls-generation stream-end "
            "citation-generation search-results".split()
        )
    },
    optional={n: INNER for n in "text tool_calls citations response finish_reason err".split()},
)


@given(st.lists(OLDER, max_size=8))
@settings(deadline=None)
def test_arbitrary_older_events_make_a_well_formed_stream(events: JSON) -> None:
    assert well_formed(events_of(lines(*events)))


@given(st.binary(max_size=60), INNER)
@settings(deadline=None)
def test_arbitrary_answers_are_answers_or_errors(data: bytes, value: JSON) -> None:
    events_of(data)
    events_of(b"data: " + data + b"\n\n")
    for body in (data, json.dumps(value).encode(), json.dumps({"message": value}).encode()):
        try:
            reply = CHAT_PROVIDER.parse_response(body, Hints(), STAMP)
        except ApiError:
            continue
        assert reply.source == NAME


def test_usage_comes_last() -> None:
    usage = {"billed_units": {"input_tokens": 1, "output_tokens": 1}}
    end = {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}}
    assert events_of(sse(end))[-1] == Spent(Usage(input=1, output=1), usage)


def test_a_call_in_an_answer_that_says_complete_is_a_call() -> None:
    body = {
        "text": "",
        "tool_calls": [{"name": "f", "parameters": {}}],
        "finish_reason": "COMPLETE",
    }
    reply = answer_of(body)
    assert reply.choices[0].stop == "tool_calls"
    assert reply.choices[0].parts == [ToolCall("call_1", "f", "{}")]
