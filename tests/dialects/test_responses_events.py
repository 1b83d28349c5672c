from __future__ import annotations

import json
import time
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.base import Hints
from oneapi.dialects.base_gather import gather
from oneapi.dialects.responses import CHAT_PROVIDER, NAME
from oneapi.errors import UpstreamError
from oneapi.ir import (
    Annotation,
    Aside,
    BlockStart,
    BlockStop,
    Delta,
    Event,
    Failed,
    Finish,
    Opaque,
    Reasoning,
    Refusal,
    Signature,
    Spent,
    Start,
    Text,
    ToolCall,
    Usage,
)
from oneapi.wire.json import JSON
from tests.dialects.responses_recorded import STAMP, STREAMS, Exchange, told

CREATED = {"type": "response.created", "response": {"id": "resp_1", "model": "m", "created_at": 5}}


def read(chunks: Iterable[bytes]) -> list[Event]:
    parser = CHAT_PROVIDER.stream_parser(Hints(), STAMP)
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return events + parser.close()


def stream(*events: JSON) -> bytes:
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (str(e.get("type")).encode(), json.dumps(e).encode())
        for e in events
    )


def heard(*events: JSON) -> list[Event]:
    """What the middle says of these events after the creation, asides left out."""
    return [e for e in read([stream(CREATED, *events)])[1:] if not isinstance(e, Aside)]


def ended(*items: JSON, **members: JSON) -> JSON:
    response = {"id": "resp_1", "status": "completed", "output": list(items), **members}
    return {"type": f"response.{response['status']}", "response": response}


def added(index: int, kind: str, **members: JSON) -> JSON:
    item = {"type": kind, "id": f"i{index}", **members}
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index: int, kind: str, **members: JSON) -> JSON:
    return {**added(index, kind, **members), "type": "response.output_item.done"}


def of(index: int, name: str, **members: JSON) -> JSON:
    return {"type": f"response.{name}", "output_index": index, "item_id": f"i{index}", **members}


@pytest.mark.parametrize("exchange", STREAMS)
def test_a_recorded_stream_says_what_its_last_event_repeats(exchange: Exchange) -> None:
    whole = told(exchange.sse)[-1]["response"]
    reply = CHAT_PROVIDER.parse_response(json.dumps(whole).encode(), Hints(), STAMP)

    gathered = gather(read([exchange.sse]), NAME)

    # What is encrypted is encrypted anew for every event.
    for part in (*gathered.choices[0].parts, *reply.choices[0].parts):
        if isinstance(part, Reasoning):
            part.data = part.data and "encrypted"
    assert gathered.choices[0].parts == reply.choices[0].parts
    assert gathered.choices[0].stop == reply.choices[0].stop
    assert (gathered.id, gathered.model) == (reply.id, reply.model)
    assert (gathered.usage, gathered.raw_usage) == (reply.usage, reply.raw_usage)


@pytest.mark.parametrize("exchange", STREAMS)
def test_a_recorded_stream_is_the_same_however_it_is_cut(exchange: Exchange) -> None:
    whole, sse = read([exchange.sse]), exchange.sse
    crlf = sse.replace(b"\n", b"\r\n")

    for size in (1, 7, 997):
        assert read(sse[i : i + size] for i in range(0, len(sse), size)) == whole
    assert read(crlf[i : i + 1] for i in range(len(crlf))) == whole


def test_text_comes_as_deltas() -> None:
    part = {"type": "output_text", "text": "", "annotations": []}
    note = {"type": "file_path", "file_id": "f", "index": 0}
    assert heard(
        added(0, "message", content=[]),
        of(0, "content_part.added", content_index=0, part=part),
        of(0, "output_text.delta", content_index=0, delta="é", logprobs=[]),
        of(0, "output_text.delta", content_index=0, delta="b", logprobs=[{"token": "b"}]),
        of(0, "output_text.annotation.added", content_index=0, annotation_index=0, annotation=note),
        of(0, "output_text.done", content_index=0, text="éb"),
        of(0, "content_part.done", content_index=0, part={**part, "text": "éb"}),
        done(0, "message", content=[{**part, "text": "éb", "annotations": [note]}]),
        ended(),
    ) == [
        BlockStart(0, Text("")),
        Delta(0, "é"),
        Delta(0, "b", logprobs={"content": [{"token": "b"}]}),
        Annotation(0, note),
        BlockStop(0),
        Finish("stop", native_stop="completed"),
    ]


def test_what_never_came_as_a_delta_comes_from_what_is_done() -> None:
    whole = {"type": "output_text", "text": "whole"}
    assert heard(
        added(0, "message"),
        of(0, "content_part.added", content_index=0, part={**whole, "text": ""}),
        of(0, "output_text.delta", content_index=0, delta="wh"),
        of(0, "output_text.done", content_index=0, text="whole"),
        done(0, "message", content=[whole, {"type": "refusal", "refusal": "no"}]),
        done(1, "function_call", call_id="c", name="f", arguments="{}"),
        ended(),
    ) == [
        BlockStart(0, Text("")),
        Delta(0, "wh"),
        Delta(0, "ole"),
        BlockStart(1, Refusal("")),
        Delta(1, "no"),
        BlockStop(0),
        BlockStop(1),
        BlockStart(2, ToolCall("c", "f", item_id="i1")),
        Delta(2, "{}"),
        BlockStop(2),
        Finish("tool_calls", native_stop="completed"),
    ]


def test_an_answer_may_come_in_one_piece() -> None:
    item = {"type": "message", "content": [{"type": "output_text", "text": "all"}]}

    assert heard(ended(item))[:3] == [BlockStart(0, Text("")), Delta(0, "all"), BlockStop(0)]


def test_calls_may_come_side_by_side() -> None:
    events = heard(
        added(0, "function_call", call_id="a", name="f", arguments=""),
        added(1, "custom_tool_call", call_id="b", name="g", input="", namespace="n"),
        of(0, "function_call_arguments.delta", delta="{"),
        of(1, "custom_tool_call_input.delta", delta="x"),
        of(0, "function_call_arguments.delta", delta="}"),
        done(0, "function_call", call_id="a", name="f", arguments="{}"),
        done(1, "custom_tool_call", call_id="b", name="g", input="x"),
        ended(),
    )

    assert events[:2] == [
        BlockStart(0, ToolCall("a", "f", item_id="i0")),
        BlockStart(1, ToolCall("b", "g", custom=True, namespace="n", item_id="i1")),
    ]
    assert [(e.index, e.text) for e in events if isinstance(e, Delta)] == [
        (0, "{"),
        (1, "x"),
        (0, "}"),
    ]


def test_parts_of_a_summary_are_paragraphs_of_one_thought() -> None:
    parts = [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]
    assert heard(
        added(0, "reasoning", summary=[]),
        of(0, "reasoning_summary_text.delta", summary_index=0, delta="a"),
        of(0, "reasoning_summary_text.done", summary_index=0, text="a"),
        of(0, "reasoning_summary_text.delta", summary_index=1, delta="b"),
        done(0, "reasoning", summary=parts, encrypted_content="e"),
        ended(),
    )[:-1] == [
        BlockStart(0, Reasoning(summary=True, id="i0")),
        Delta(0, "a"),
        Delta(0, "\n\n", extra={"part": 1}),
        Delta(0, "b"),
        Signature(0, data="e"),
        BlockStop(0),
    ]


def test_a_thought_and_its_summary_are_two_blocks_of_one_id() -> None:
    assert heard(
        added(0, "reasoning"),
        of(0, "reasoning_text.delta", content_index=0, delta="raw"),
        of(0, "reasoning_summary_text.delta", summary_index=0, delta="sum"),
        done(0, "reasoning", encrypted_content="e"),
        ended(),
    )[:-1] == [
        BlockStart(0, Reasoning(id="i0")),
        Delta(0, "raw"),
        BlockStart(1, Reasoning(summary=True, id="i0")),
        Delta(1, "sum"),
        Signature(1, data="e"),
        BlockStop(0),
        BlockStop(1),
    ]


def test_hosted_tools_are_opaque_and_their_progress_an_aside() -> None:
    search = {"type": "web_search_call", "id": "i0", "status": "completed"}
    progress = of(0, "web_search_call.searching")

    end = done(0, "web_search_call", status="completed")

    events = read([stream(CREATED, added(0, "web_search_call"), progress, end)])

    assert Aside(NAME, progress) in events
    assert BlockStart(0, Opaque(NAME, search)) in events


def test_an_answer_that_was_cut_says_why_and_what_it_used() -> None:
    details = {"incomplete_details": {"reason": "max_output_tokens"}, "status": "incomplete"}
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}

    assert heard(ended(**details, usage=usage)) == [
        Spent(Usage(input=3, output=4), usage),
        Finish("length", native_stop="max_output_tokens"),
    ]


def test_an_older_end_is_one_too() -> None:
    done = {"type": "response.done", "response": {"status": "completed", "output": []}}
    failed = {"type": "response.done", "response": {"status": "failed", "error": {"code": "x"}}}

    assert heard(done) == [Finish("stop", native_stop="completed")]
    assert isinstance(heard(failed)[-1], Failed)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "rate_limit_exceeded", "message": "slow down", "param": None},
        {"type": "error", "error": {"code": "rate_limit_exceeded", "message": "slow down"}},
        {"type": "response.error", "error": {"code": "429", "message": "slow down"}},
        {"error": {"code": 429, "message": "slow down"}},
        {
            "type": "response.failed",
            "response": {"error": {"code": "rate_limit_exceeded", "message": "slow down"}},
        },
    ],
)
def test_an_error_ends_the_stream(event: JSON) -> None:
    failed = heard(event, of(0, "output_text.delta", content_index=0, delta="more"))[-1]

    assert isinstance(failed, Failed)
    assert isinstance(failed.error, UpstreamError)
    assert (failed.error.status, failed.error.message) == (429, "slow down")
    assert failed.error.retryable


def test_an_error_may_come_first() -> None:
    events = read([stream({"type": "error", "code": "server_error", "message": "x"})])

    assert [type(event) for event in events] == [Failed]


def test_nothing_counts_after_the_end() -> None:
    parser = CHAT_PROVIDER.stream_parser(Hints(), STAMP)
    parser.feed(stream(CREATED, ended()) + b"data: [DONE]\n\n")

    assert parser.done
    assert parser.feed(stream(of(0, "output_text.delta", delta="x"))) == []
    assert parser.close() == []


def test_a_stream_that_breaks_off_has_no_finish() -> None:
    events = heard(added(0, "message"), of(0, "output_text.delta", content_index=0, delta="x"))

    assert events == [BlockStart(0, Text("")), Delta(0, "x"), BlockStop(0)]


def test_a_stream_without_its_creation_begins_all_the_same() -> None:
    first = read([stream(of(0, "output_text.delta", content_index=0, delta="x"))])[0]

    assert first == Start("", "", STAMP.created, source=NAME)


def test_what_is_no_json_fails() -> None:
    assert isinstance(read([b"data: {oops\n\n"])[0], Failed)
    assert read([b": comment\n\ndata: [DONE]\n\ndata: 7\n\n"]) == []


KINDS = st.sampled_from(
    (
        "created completed failed output_item.added output_item.done content_part.added "
        "content_part.done output_text.delta output_text.done reasoning_summary_text.delta "
        "reasoning_text.done function_call_arguments.delta output_text.annotation.added "
        "refusal.delta brand_new"
    ).split()
)
VALUES = st.recursive(
    st.none() | st.integers(-1, 2) | st.text(max_size=3) | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "id", "text", "content", "summary", "output", "usage", "status"]
            ),
            inner | st.sampled_from(["message", "reasoning", "function_call", "output_text"]),
            max_size=5,
        )
    ),
    max_leaves=12,
)
EVENTS = st.dictionaries(
    st.sampled_from(["output_index", "content_index", "summary_index", "delta", "text"])
    | st.sampled_from(["item", "part", "response", "annotation", "logprobs"]),
    VALUES,
    max_size=6,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(KINDS, EVENTS), max_size=8), st.binary(max_size=12))
def test_any_events_are_read(events: list[tuple[str, JSON]], noise: bytes) -> None:
    said = read([stream(*({**e, "type": f"response.{kind}"} for kind, e in events)), noise])

    opened = [e.index for e in said if isinstance(e, BlockStart)]
    stopped = [e.index for e in said if isinstance(e, BlockStop)]
    assert opened == list(range(len(opened)))
    assert len(stopped) == len(set(stopped))
    if not any(isinstance(e, Failed) for e in said):
        assert sorted(stopped) == opened


def test_many_items_are_read_in_a_moment() -> None:
    events = [
        done(n, "function_call", call_id=f"c{n}", name="f", arguments="{}") for n in range(8_000)
    ]
    started = time.perf_counter()

    assert len(heard(*events, ended())) == 3 * 8_000 + 1
    assert time.perf_counter() - started < 3
