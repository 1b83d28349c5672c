"""Streams of OpenAI's chat become events, whatever a server does with its chunks."""

from __future__ import annotations

import json

import pytest

from oneapi.dialects.base import Hints
from oneapi.dialects.base_gather import gather
from oneapi.dialects.openai_chat_shapes import Thought
from oneapi.ir import (
    Aside,
    BlockStart,
    BlockStop,
    Choice,
    Delta,
    Event,
    Failed,
    Finish,
    Media,
    Opaque,
    Part,
    Refusal,
    Spent,
    Start,
    Text,
    ToolCall,
    Usage,
)
from oneapi.wire.json import JSON
from tests.dialects.openai_chats import parse_stream

DONE = b"data: [DONE]\n\n"


def chunk(delta: JSON = None, reason: str | None = None, **members: JSON) -> bytes:
    choice: JSON = {"index": members.pop("index", 0), "delta": delta or {}, "finish_reason": reason}
    choice |= members.pop("choice", {})
    body = {"id": "1", "model": "m", "created": 5, "choices": [choice], **members}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def answer(*chunks: bytes) -> Choice:
    return gather(parse_stream(b"".join(chunks) + DONE), "openai-chat").choices[0]


def parts(*deltas: JSON) -> list[Part]:
    return answer(*(chunk(delta) for delta in deltas), chunk(reason="stop")).parts


def call(index: JSON = 0, id: JSON = None, name: JSON = None, arguments: JSON = None) -> JSON:
    function = {"name": name, "arguments": arguments}
    entry = {"index": index, "id": id, "function": function}
    return {"tool_calls": [{k: v for k, v in entry.items() if v is not None}]}


def calls(*deltas: JSON) -> list[tuple[str, str, str]]:
    found = parts(*deltas)
    return [(c.id, c.name, c.arguments) for c in found if isinstance(c, ToolCall)]


def kinds(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_a_plain_stream() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    stream = chunk({"role": "assistant", "content": ""}) + chunk({"content": "a"})
    stream += chunk({"content": "b"}) + chunk({}, "stop")
    stream += b'data: {"id":"1","choices":[],"usage":%s}\n\n' % json.dumps(usage).encode()
    assert parse_stream(stream + DONE) == [
        Start("1", "m", 5, source="openai-chat"),
        BlockStart(0, Text("")),
        Delta(0, "a"),
        Delta(0, "b"),
        BlockStop(0),
        Spent(Usage(input=3, output=2), usage),
        Finish("stop", 0, "stop"),
    ]


def test_a_first_chunk_without_id_and_choices_is_no_start() -> None:
    azure = b'data: {"id":"","model":"","created":0,"choices":[],"prompt_filter_results":[1]}\n\n'
    start = parse_stream(azure + chunk({"content": "a"}))[0]
    extra = {"prompt_filter_results": [1]}
    assert start == Start("1", "m", 5, extra=extra, source="openai-chat")


def test_thoughts_and_texts_follow_each_other() -> None:
    found = parts(
        {"role": "assistant", "content": "", "reasoning_content": "t"},
        {"content": None, "reasoning_content": "u"},
        {"content": "a", "reasoning_content": None},
        {"reasoning_content": "v"},
        {"content": "b"},
    )
    member = "reasoning_content"
    assert found == [
        Thought("tu", member=member),
        Text("a"),
        Thought("v", member=member),
        Text("b"),
    ]


def test_a_thought_that_is_told_twice_counts_once() -> None:
    detail = {"type": "reasoning.text", "index": 0, "format": "f"}
    found = parts(
        {"reasoning": "t", "reasoning_details": [{**detail, "text": "t"}]},
        {"reasoning": "u", "reasoning_details": [{**detail, "text": "u"}]},
        {"reasoning_details": [{**detail, "signature": "s"}]},
        {"content": "a"},
    )
    assert found == [Thought("tu", "s", member="reasoning", detail=detail), Text("a")]


def test_content_may_come_as_parts() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}
    reference = {"type": "reference", "reference_ids": [1]}
    found = parts(
        {"content": [thinking]}, {"content": [thinking]}, {"content": "a"}, {"content": [reference]}
    )
    expected = [Thought("tt", member="thinking"), Text("a"), Opaque("openai-chat", reference)]
    assert found == expected


def test_refusals_images_and_annotations() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    found = parts(
        {"refusal": "no"}, {"images": [image]}, {"annotations": [{"a": 1}]}, {"content": "x"}
    )
    assert found == [
        Refusal("no"),
        Media("image", data="AA==", media_type="image/png"),
        Text("x", annotations=[{"a": 1}]),
    ]


def test_sound_comes_in_fragments() -> None:
    found = parts(
        {"audio": {"id": "i"}},
        {"audio": {"transcript": "he"}},
        {"audio": {"transcript": "y", "data": "AA=="}},
        {"audio": {"expires_at": 9}},
    )
    extra = {"transcript": "hey", "expires_at": 9}
    assert found == [Media("audio", data="AA==", file_id="i", extra=extra)]


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        (  # in fragments
            [call(0, "a", "f", ""), call(0, arguments='{"x'), call(0, arguments='":1}')],
            [("a", "f", '{"x":1}')],
        ),
        (  # whole, parallel
            [call(0, "a", "f", "{}"), call(1, "b", "g", "{}")],
            [("a", "f", "{}"), ("b", "g", "{}")],
        ),
        (  # name and id are said again, empty or not
            [call(0, "a", "f", "{"), call(0, "", "", ""), call(0, "a", "f", "}")],
            [("a", "f", "{}")],
        ),
        (  # interleaved
            [
                call(0, "a", "f", "{"),
                call(1, "b", "g", "{"),
                call(0, arguments="}"),
                call(1, arguments="}"),
            ],
            [("a", "f", "{}"), ("b", "g", "{}")],
        ),
        (  # no index: joined by id, or to the last
            [call(None, "a", "f", "{"), call(None, arguments="}"), call(None, "b", "g", "{}")],
            [("a", "f", "{}"), ("b", "g", "{}")],
        ),
        (  # one index for all
            [call(0, "a", "f", "{}"), call(0, "b", "g", "{}")],
            [("a", "f", "{}"), ("b", "g", "{}")],
        ),
        (  # the name comes late
            [call(0, "a", arguments=""), call(0, name="f", arguments="{}")],
            [("a", "f", "{}")],
        ),
        (  # as an object
            [call(0, "a", "f", {"x": 1})],
            [("a", "f", '{"x":1}')],
        ),
        (  # the older way
            [
                {"function_call": {"name": "f", "arguments": "{"}},
                {"function_call": {"arguments": "}"}},
            ],
            [("", "f", "{}")],
        ),
    ],
)
def test_calls_are_put_together(deltas: list[JSON], expected: list[tuple[str, str, str]]) -> None:
    assert calls(*deltas) == expected


def test_a_complete_call_stops_where_the_next_begins() -> None:
    stream = (
        chunk(call(0, "a", "f", "{}")) + chunk(call(1, "b", "g", "{}")) + chunk({}, "tool_calls")
    )
    events = parse_stream(stream + DONE)
    assert kinds(events)[1:7] == [
        "BlockStart",
        "Delta",
        "BlockStop",
        "BlockStart",
        "Delta",
        "BlockStop",
    ]


def test_custom_calls_and_signatures() -> None:
    custom = {"index": 0, "id": "a", "custom": {"name": "f", "input": "x"}}
    content = {"google": {"thought_signature": "s"}}
    signed = {"index": 1, "id": "b", "function": {"name": "g"}, "extra_content": content}
    assert parts({"tool_calls": [custom]}, {"tool_calls": [signed]}) == [
        ToolCall("a", "f", "x", custom=True),
        ToolCall("b", "g", signature="s"),
    ]


def test_log_probabilities_go_with_their_text() -> None:
    logprobs = {"content": [{"token": "a"}]}
    found = answer(chunk({"content": "a"}, choice={"logprobs": logprobs}), chunk({}, "stop"))
    assert found.logprobs == logprobs


def test_a_finish_that_comes_twice_is_one() -> None:
    stream = chunk({"content": "a"}) + chunk(
        {"content": ""}, "stop", choice={"native_finish_reason": "x"}
    )
    stream += chunk({"content": ""}, "stop", usage={"prompt_tokens": 1, "completion_tokens": 1})
    events = parse_stream(stream + DONE)
    assert kinds(events)[-2:] == ["Spent", "Finish"]
    assert events[-1] == Finish("stop", 0, "stop", None, {"native_finish_reason": "x"})


@pytest.mark.parametrize(("end", "finished"), [(DONE, True), (b"", False)])
def test_a_choice_without_a_reason_is_finished_by_the_terminal_event_alone(
    end: bytes, finished: bool
) -> None:
    events = parse_stream(chunk({"content": "a"}) + end)
    assert isinstance(events[-1], Finish) is finished
    assert BlockStop(0) in events


def test_several_choices() -> None:
    stream = chunk({"content": "a"}) + chunk({"content": "b"}, index=1)
    stream += chunk({"content": "c"}) + chunk({}, "stop") + chunk({}, "length", index=1)
    choices = gather(parse_stream(stream + DONE), "d").choices
    assert [(c.parts, c.stop) for c in choices] == [([Text("ac")], "stop"), ([Text("b")], "length")]


def test_usage_stands_in_many_places() -> None:
    counts = {"prompt_tokens": 3, "completion_tokens": 2}
    for last in (
        chunk({}, "stop", usage=counts),
        chunk({}, "stop", x_groq={"usage": counts}),
        chunk({}, "stop", choice={"usage": counts}),
    ):
        events = parse_stream(chunk({"content": "a"}) + last + DONE)
        assert [e.usage for e in events if isinstance(e, Spent)] == [Usage(input=3, output=2)]


def test_an_empty_count_does_not_undo_a_full_one() -> None:
    full = {"prompt_tokens": 3, "completion_tokens": 2}
    empty = {"prompt_tokens": 0, "completion_tokens": 0}
    stream = chunk({"content": "a"}, usage=full) + chunk({}, "stop", usage=empty)
    assert sum(isinstance(e, Spent) for e in parse_stream(stream + DONE)) == 1


def test_members_that_come_late_are_kept_for_this_dialect() -> None:
    stream = chunk({"content": "a"}, obfuscation="x") + chunk(
        {}, "stop", time_info={"a": 1}, p="ab"
    )
    assert Aside("openai-chat", {"time_info": {"a": 1}}) in parse_stream(stream + DONE)


def test_members_beside_the_text_are_kept_with_it() -> None:
    stream = chunk({"content": "a", "channel": "final"}, choice={"seed": 3}) + DONE
    assert Delta(0, "a", None, {"delta": {"channel": "final"}, "seed": 3}) in parse_stream(stream)


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (b'data: {"error":{"message":"no","code":429}}\n\n', 429),
        (b'event: error\ndata: {"error":{"message":"no","status_code":400}}\n\n', 400),
        (b'data: {"choices":[{"index":0,"error":{"code":502,"message":"no"}}]}\n\n', 502),
        (b'data: {"id":"1","x_groq":{"error":"no"},"choices":[]}\n\n', 502),
        (b'data: {"code":"invalid","error":"no"}\n\n', 502),
    ],
)
def test_errors_end_the_stream(event: bytes, status: int) -> None:
    for before in (b"", chunk({"content": "a"})):
        if not before and b"x_groq" in event:
            continue
        events = parse_stream(before + event + chunk({"content": "b"}) + DONE)
        assert isinstance(events[-1], Failed)
        assert (events[-1].error.status, events[-1].error.message) == (status, "no")


def test_an_event_that_is_not_json_ends_the_stream() -> None:
    events = parse_stream(chunk({"content": "a"}) + b'data: {"choices"\n\n' + DONE)
    assert isinstance(events[-1], Failed)


def test_an_event_that_is_cut_off_is_left_out() -> None:
    events = parse_stream(chunk({"content": "a"}) + chunk({"content": "b"})[:-9])
    assert kinds(events) == ["Start", "BlockStart", "Delta", "BlockStop"]


@pytest.mark.parametrize("noise", [b": ping\n\n", b"\n\n", b"data: ping\n\n", b"event: x\n\n"])
def test_noise_says_nothing(noise: bytes) -> None:
    stream = chunk({"content": "a"}) + DONE
    assert parse_stream(noise + stream) == parse_stream(stream)


def test_nothing_that_follows_the_terminal_event_counts() -> None:
    stream = chunk({"content": "a"}) + DONE
    assert parse_stream(stream + chunk({"content": "b"})) == parse_stream(stream)


def test_an_answer_that_came_whole_is_taken_all_the_same() -> None:
    body = {
        "id": "1",
        "model": "m",
        "choices": [{"message": {"content": "a"}, "finish_reason": "stop"}],
    }
    for text in (json.dumps(body), json.dumps(body, indent=1)):
        found = gather(parse_stream(text.encode(), 3), "d")
        assert found.choices[0].parts == [Text("a")]


def test_a_page_is_a_failure() -> None:
    assert isinstance(parse_stream(b"<html>\n\n</html>")[-1], Failed)


def test_reasoning_outside_the_output_is_counted_by_hint() -> None:
    counts = {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "completion_tokens_details": {"reasoning_tokens": 4},
    }
    stream = chunk({"content": "a"}, "stop", usage=counts)
    events = parse_stream(stream, hints=Hints(output_excludes_reasoning=True))
    assert Usage(input=3, output=2, reasoning=4) in [
        e.usage for e in events if isinstance(e, Spent)
    ]


def test_the_text_of_a_legacy_completion() -> None:
    stream = b'data: {"id":"1","choices":[{"index":0,"text":"a"}]}\n\n'
    stream += b'data: {"id":"1","choices":[{"index":0,"text":"b","finish_reason":"stop"}]}\n\n'
    assert gather(parse_stream(stream), "d").choices[0].parts == [Text("ab")]
