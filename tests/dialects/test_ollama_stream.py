from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.base_gather import gather, replay
from oneapi.dialects.ollama_stream import Parser, parse_response
from oneapi.errors import ApiError, UpstreamError
from oneapi.ir import (
    Aside,
    BlockStart,
    BlockStop,
    Delta,
    Event,
    Failed,
    Finish,
    Media,
    Reasoning,
    Spent,
    Start,
    Text,
    ToolCall,
    Usage,
)
from oneapi.wire.json import JSON, encode
from tests.dialects.ollama_recorded import STAMP

AT = "2026-08-04T19:58:19.95975Z"
CITY = {"function": {"name": "get_weather", "arguments": {"city": "Tōkyō"}}}


def line(done: bool = False, **members: JSON) -> bytes:
    return encode({"model": "m", "created_at": AT, "done": done, **members}) + b"\n"


def said(content: str = "", **members: JSON) -> bytes:
    return line(message={"role": "assistant", "content": content, **members})


END = line(
    True,
    message={"role": "assistant", "content": ""},
    done_reason="stop",
    total_duration=10,
    prompt_eval_count=7,
    eval_count=3,
    eval_duration=5,
)


def events_of(*lines: bytes) -> list[Event]:
    parser = Parser(STAMP)
    return parser.feed(b"".join(lines)) + parser.close()


def told(events: list[Event]) -> list[object]:
    """The events, errors as their words: exceptions are equal to nothing."""
    return [str(event.error) if isinstance(event, Failed) else event for event in events]


def test_a_stream_is_thought_then_text_then_the_end() -> None:
    own = {"created_at": AT}
    assert events_of(said(thinking="h"), said(thinking="m"), said("Hi"), END) == [
        Start(STAMP.id, "m", 1_785_873_499, source="ollama"),
        BlockStart(0, Reasoning()),
        Delta(0, "h", None, own),
        Delta(0, "m", None, own),
        BlockStop(0),
        BlockStart(1, Text("")),
        Delta(1, "Hi", None, own),
        BlockStop(1),
        Spent(
            Usage(input=7, output=3),
            {"total_duration": 10, "prompt_eval_count": 7, "eval_count": 3, "eval_duration": 5},
        ),
        Finish("stop", native_stop="stop", extra=own),
    ]


def test_tool_calls_come_whole_with_ids_made_where_there_are_none() -> None:
    given = {"id": "c9", "function": {"index": 1, "name": "now", "arguments": {}}}
    reply = gather(events_of(said(tool_calls=[CITY]), said("ok", tool_calls=[given]), END), "x")
    calls = [part for part in reply.choices[0].parts if isinstance(part, ToolCall)]
    assert [(call.id, call.name, call.arguments) for call in calls] == [
        (f"call_{STAMP.id}_1", "get_weather", '{"city":"Tōkyō"}'),
        ("c9", "now", "{}"),
    ]
    assert reply.choices[0].stop == "tool_calls"


def test_ids_are_the_same_whole_and_streamed() -> None:
    body = json.loads(END)
    body["message"] = {"role": "assistant", "content": "", "tool_calls": [CITY, CITY]}
    whole = parse_response(encode(body), STAMP)
    streamed = gather(events_of(said(tool_calls=[CITY]), said(tool_calls=[CITY]), END), "ollama")
    ids = [[p.id for p in r.choices[0].parts if isinstance(p, ToolCall)] for r in (whole, streamed)]
    assert ids[0] == ids[1] == [f"call_{STAMP.id}_1", f"call_{STAMP.id}_2"]


@pytest.mark.parametrize(
    ("reason", "stop"),
    [("stop", "stop"), ("length", "length"), ("load", "stop"), ("unload", "stop"), (None, "stop")],
)
def test_the_end_says_why(reason: JSON, stop: str) -> None:
    finish = events_of(line(True, message={}, done_reason=reason))[-1]
    assert isinstance(finish, Finish)
    assert (finish.stop, finish.native_stop) == (stop, reason or "")


def test_a_load_has_no_usage_and_no_blocks() -> None:
    events = events_of(line(True, response="", done_reason="load"))
    assert [type(event) for event in events] == [Start, Finish]


def test_a_prompt_that_was_cached_may_have_no_count() -> None:
    (spent,) = [e for e in events_of(line(True, message={}, eval_count=3)) if isinstance(e, Spent)]
    assert spent.usage == Usage(output=3)


def test_generate_and_what_is_its_own() -> None:
    end = line(True, response="", done_reason="stop", context=[1, 2], eval_count=1)
    events = events_of(line(response="Hi", thinking=""), line(response="", thinking="hm"), end)
    reply = gather(events, "ollama")
    assert reply.choices[0].parts == [Text("Hi"), Reasoning("hm")]
    assert reply.choices[0].extra == {"created_at": AT, "context": [1, 2]}


def test_an_image_that_was_made_is_a_part() -> None:
    progress = {"model": "m", "created_at": AT, "done": False, "completed": 1, "total": 20}
    events = events_of(encode(progress) + b"\n", line(True, image="iVBORw0KGgo=", response=""))
    assert Aside("ollama", progress) in events
    assert gather(events, "ollama").choices[0].parts == [
        Media("image", data="iVBORw0KGgo=", media_type="image/png")
    ]


def test_log_probabilities_are_kept() -> None:
    listed = [{"token": "Hi", "logprob": -0.1}]
    message = {"role": "assistant", "content": "Hi"}
    reply = gather(events_of(line(message=message, logprobs=listed), END), "ollama")
    assert reply.choices[0].logprobs == {"content": listed}
    body = json.loads(line(True, message=message, logprobs=listed))
    assert parse_response(encode(body), STAMP).choices[0].logprobs == {"content": listed}


def test_members_nobody_knows_are_kept() -> None:
    unknown = line(message={"role": "assistant", "content": "Hi", "mood": "good"}, remote="x")
    (delta,) = [e for e in events_of(unknown, END) if isinstance(e, Delta)]
    assert delta.extra == {"created_at": AT, "remote": "x", "message": {"mood": "good"}}


def test_nothing_counts_after_the_end() -> None:
    parser = Parser(STAMP)
    parser.feed(END)
    assert parser.done
    assert parser.feed(said("late")) == parser.close() == []


def test_the_last_line_may_lack_its_end() -> None:
    assert isinstance(events_of(said("Hi"), END.rstrip())[-1], Finish)


def test_lines_may_end_with_crlf_and_be_empty() -> None:
    crlf = (said("Hi") + b"\n" + END).replace(b"\n", b"\r\n")
    assert events_of(crlf) == events_of(said("Hi"), END)


def test_a_stream_that_breaks_has_its_blocks_stopped_and_no_finish() -> None:
    events = events_of(said("Hi"))
    assert events[-1] == BlockStop(0)


@pytest.mark.parametrize("bad", [b"nonsense\n", b"[1]\n", b'{"a":\n', b"\xff\n"])
def test_what_cannot_be_read_fails_the_stream(bad: bytes) -> None:
    events = events_of(said("Hi"), bad, END)
    assert isinstance(events[-1], Failed)
    assert events[-2] == BlockStop(0)


def test_an_error_line_fails_the_stream() -> None:
    failed = events_of(b'{"error":"model runner has stopped"}\n')[-1]
    assert isinstance(failed, Failed)
    assert (failed.error.message, failed.error.status) == ("model runner has stopped", 502)


def test_a_line_without_end_fails_the_stream() -> None:
    parser = Parser(STAMP)
    chunk, last = b"x" * (8 * 1024 * 1024), parser.feed(b"")
    for _ in range(10):
        last = last or parser.feed(chunk)
    assert isinstance(last[-1], Failed)


def test_lines_where_one_answer_was_due_are_gathered() -> None:
    reply = parse_response(said("Hello "), STAMP)
    assert reply.choices[0].parts == [Text("Hello ")]
    reply = parse_response(said("Hello ") + said("you") + END, STAMP)
    assert reply.choices[0].parts == [Text("Hello you")]
    assert reply.usage == Usage(input=7, output=3)


@pytest.mark.parametrize("body", [b"", b"no", b"[]", b"{}", b'{"message":1}', b"a\nb", b"\n\n"])
def test_what_is_no_answer_is_an_upstream_error(body: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        parse_response(body, STAMP)
    assert (caught.value.status, caught.value.code) == (502, "bad_upstream_answer")


def test_an_error_inside_a_success_is_raised() -> None:
    with pytest.raises(UpstreamError, match="out of memory"):
        parse_response(b'{"error":"out of memory"}', STAMP)


def test_a_whole_answer_and_its_stream_are_the_same() -> None:
    body = json.loads(END)
    body["message"] = {"role": "assistant", "content": "Hi", "thinking": "h", "tool_calls": [CITY]}
    reply = parse_response(encode(body), STAMP)
    assert gather(replay(reply), "ollama") == reply


PIECES = st.sampled_from(
    [
        said("Hé"),
        said(thinking="h"),
        said(tool_calls=[CITY, CITY]),
        said(tool_calls=[1, {"function": {}}, {"function": {"name": "f", "arguments": [1]}}]),
        said(images=["QUJD", 1]),
        line(message={"content": 5, "thinking": [], "tool_calls": {}}),
        line(response="x", thinking="y"),
        line(message=None, created_at=3, model=None),
        b'{"error":"x"}\n',
        b"\r\n",
        b"{}\n",
        END,
    ]
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(PIECES | st.binary(max_size=12), max_size=6).map(b"".join),
    st.lists(st.integers(0, 300), max_size=4),
)
def test_any_bytes_are_events_however_they_are_cut(raw: bytes, cuts: list[int]) -> None:
    parser = Parser(STAMP)
    pieces = [raw[a:b] for a, b in pairwise([0, *sorted(cuts), max(300, len(raw))])]
    events = [event for piece in pieces for event in parser.feed(piece)] + parser.close()
    assert told(events) == told(events_of(raw))


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=3).map(b"".join) | st.binary(max_size=40))
def test_any_body_is_an_answer_or_an_error(raw: bytes) -> None:
    try:
        reply = parse_response(raw, STAMP)
    except ApiError:
        return
    assert reply.source == "ollama"
