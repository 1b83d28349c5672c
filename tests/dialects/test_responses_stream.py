from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.base import Hints, Stamp
from oneapi.dialects.base_gather import replay
from oneapi.dialects.responses import CHAT_PROVIDER, NAME
from oneapi.dialects.responses_shapes import sealed_bytes
from oneapi.dialects.responses_stream import ResponsesRenderer
from oneapi.errors import ApiError, UpstreamError
from oneapi.ir import (
    Annotation,
    Aside,
    BlockStart,
    BlockStop,
    ChatResponse,
    Choice,
    Delta,
    Event,
    Failed,
    Finish,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Signature,
    Spent,
    Start,
    Stop,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)
from oneapi.wire.json import JSON
from tests.dialects.responses_recorded import (
    FACE,
    STAMP,
    STREAMS,
    WHOLE,
    Exchange,
    kinds,
    parsed,
    told,
)

ASKED = {"model": "asked", "input": "hi", "stream": True}
START = Start("chatcmpl-1", "real", source="elsewhere")
LAST = Finish("stop")


def renderer(asked: JSON = None, stamp: Stamp = STAMP) -> ResponsesRenderer:
    found = FACE.stream_renderer(parsed(asked or ASKED), stamp)
    assert isinstance(found, ResponsesRenderer)
    return found


def shown(events: Iterable[Event], asked: JSON = None, stamp: Stamp = STAMP) -> list[JSON]:
    """The events of the stream, their numbers checked."""
    made = renderer(asked, stamp)
    found = told(made.render(events) + made.close())
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert json.loads(sealed_bytes(made.final)) == found[-1]["response"]
    return found


def foreign(*events: Event) -> list[JSON]:
    """A stream of another dialect's provider, each event checked by OpenAI's own library."""
    found = shown([START, *events])
    responses = pytest.importorskip("openai.types.responses")
    adapter = pytest.importorskip("pydantic").TypeAdapter(responses.ResponseStreamEvent)
    for event in found:
        adapter.validate_python(event)
    return found


def block(index: int, part: Part, *texts: str) -> list[Event]:
    return [BlockStart(index, part), *(Delta(index, text) for text in texts), BlockStop(index)]


def output(found: list[JSON]) -> list[JSON]:
    """The items of the last event, which are those that were done, in their order."""
    items: list[JSON] = found[-1]["response"]["output"]
    ended = [e for e in found if e["type"] == "response.output_item.done"]
    assert [e["output_index"] for e in ended] == list(range(len(ended)))
    if found[-1]["type"] == "response.completed":
        assert [e["item"] for e in ended] == items
    return items


def parsed_events(exchange: Exchange) -> list[Event]:
    parser = CHAT_PROVIDER.stream_parser(Hints(), STAMP)
    return parser.feed(exchange.sse) + parser.close()


@pytest.mark.parametrize("exchange", STREAMS)
def test_every_recorded_stream_comes_back_as_it_was(exchange: Exchange) -> None:
    assert shown(parsed_events(exchange), exchange.request) == told(exchange.sse)


HOSTED = ("web_search_call.in_progress", "web_search_call.searching", "web_search_call.completed")


@pytest.mark.parametrize("exchange", STREAMS)
def test_a_recorded_stream_keeps_its_grammar_where_its_frames_are_forgotten(
    exchange: Exchange,
) -> None:
    events = [e for e in parsed_events(exchange) if not isinstance(e, Aside)]
    recorded = [e for e in told(exchange.sse) if e["type"].removeprefix("response.") not in HOSTED]

    found = shown(events, exchange.request)

    assert kinds(found) == kinds(recorded)
    assert [e.get("delta") for e in found] == [e.get("delta") for e in recorded]
    assert [_numbers(e) for e in found] == [_numbers(e) for e in recorded]
    assert [_said(e) for e in found[2:-1]] == [_said(e) for e in recorded[2:-1]]
    assert found[-1]["response"]["usage"] == recorded[-1]["response"]["usage"]


def _numbers(event: JSON) -> list[JSON]:
    return [event.get(n) for n in ("output_index", "content_index", "summary_index")]


def _said(event: JSON) -> JSON:
    """What an event says, ids and what is encrypted left out."""
    if event["type"] == "response.output_item.added":
        return event["item"]["type"]
    said = {n: event[n] for n in ("text", "refusal", "arguments", "input") if n in event}
    for name in ("part", "item"):
        if name in event:
            left = ("id", "encrypted_content", "phase", "status", "content", "logprobs")
            said[name] = {k: v for k, v in event[name].items() if k not in left}
            texts = [p.get("text") or p.get("refusal") for p in event[name].get("content") or []]
            said[name]["content"] = texts
    return said


@pytest.mark.parametrize("exchange", WHOLE)
def test_a_recorded_answer_can_be_told_as_a_stream(exchange: Exchange) -> None:
    reply = CHAT_PROVIDER.parse_response(exchange.raw, Hints(), STAMP)

    found = shown(replay(reply), exchange.request)

    last, body = found[-1]["response"], exchange.body
    assert found[-1]["type"] == f"response.{body['status']}"
    assert [item["type"] for item in last["output"]] == [item["type"] for item in body["output"]]
    for name in ("id", "model", "created_at", "usage", "tools", "text", "metadata", "temperature"):
        assert last[name] == body[name]


@pytest.mark.parametrize("exchange", STREAMS)
def test_the_asked_name_stands_in_every_event(exchange: Exchange) -> None:
    found = shown(parsed_events(exchange), exchange.request, replace(STAMP, model="mine"))

    assert {e["response"]["model"] for e in found if "response" in e} == {"mine"}


def test_text_is_framed_by_the_whole_grammar() -> None:
    found = foreign(
        *block(0, Text(""), "hel", "lo"), LAST, Spent(Usage(input=3, output=2, reasoning=1))
    )

    assert kinds(found) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert found[4] == {
        "type": "response.output_text.delta",
        "item_id": "msg_0123456789abcdef0001",
        "output_index": 0,
        "content_index": 0,
        "logprobs": [],
        "sequence_number": 4,
        "delta": "hel",
    }
    assert found[6]["text"] == found[7]["part"]["text"] == "hello"
    assert found[0]["response"]["status"] == "in_progress"
    assert found[0]["response"]["usage"] is None
    assert found[-1]["response"]["usage"]["output_tokens_details"] == {"reasoning_tokens": 1}
    assert output(found)[0]["content"][0]["text"] == "hello"


def test_every_event_names_its_type_for_those_who_read_that_line() -> None:
    made = renderer()
    raw = made.render([START, *block(0, Text(""), "x")]) + made.close()

    for part in raw.decode().strip().split("\n\n"):
        name, data = part.split("\n")
        assert name == "event: " + json.loads(data.removeprefix("data: "))["type"]


def test_calls_side_by_side_keep_their_order() -> None:
    found = foreign(
        BlockStart(0, Text("")),
        Delta(0, "ok"),
        BlockStart(1, ToolCall("a", "f")),
        BlockStart(2, ToolCall("b", "g")),
        Delta(2, "[2]"),
        Delta(1, "[1]"),
        BlockStop(2),
        BlockStop(1),
        BlockStop(0),
        Finish("tool_calls"),
    )

    items = output(found)
    assert [item["type"] for item in items] == ["message", "function_call", "function_call"]
    assert [(i["call_id"], i["arguments"]) for i in items[1:]] == [("a", "[1]"), ("b", "[2]")]
    deltas = [e for e in found if e["type"] == "response.function_call_arguments.delta"]
    assert [(e["output_index"], e["delta"]) for e in deltas] == [(2, "[2]"), (1, "[1]")]


def test_a_thought_is_shown_as_a_summary_and_sealed() -> None:
    found = foreign(
        BlockStart(0, Reasoning()),
        Delta(0, "hm"),
        Signature(0, "sig"),
        BlockStop(0),
        *block(1, Text(""), "x"),
        LAST,
    )

    assert kinds(found)[2:8] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    item = output(found)[0]
    back = parsed({"model": "m", "input": [item, *output(found)[1:]]})
    assert item["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert back.messages[0].parts[0] == Reasoning("hm", "sig")


def test_a_thought_without_words_is_what_it_encrypts() -> None:
    found = foreign(BlockStart(0, Reasoning()), Signature(0, data="gAAA"), BlockStop(0), LAST)

    assert kinds(found)[2:4] == ["output_item.added", "output_item.done"]
    back = parsed({"model": "m", "input": [*output(found), {"role": "user", "content": "x"}]})
    assert Reasoning(data="gAAA") in [p for m in back.messages for p in m.parts]


def test_a_calls_signature_follows_it() -> None:
    found = foreign(
        BlockStart(0, ToolCall("c", "f")),
        Delta(0, "{}"),
        Signature(0, "sig"),
        BlockStop(0),
        Finish("tool_calls"),
    )

    items = output(found)

    assert [item["type"] for item in items] == ["function_call", "reasoning"]
    back = parsed({"model": "m", "input": items}).messages[0].parts
    assert [p.signature for p in back if isinstance(p, ToolCall)] == ["sig"]


def test_texts_that_follow_each_other_are_one_message() -> None:
    found = foreign(*block(0, Text(""), "a"), *block(1, Refusal(""), "no"), LAST)

    assert [p["type"] for p in output(found)[0]["content"]] == ["output_text", "refusal"]
    assert found[-1]["response"]["output"][0]["content"][1] == {"type": "refusal", "refusal": "no"}
    places = [e["content_index"] for e in found if e["type"] == "response.content_part.added"]
    assert places == [0, 1]


def test_a_custom_tools_text_comes_out_of_its_function() -> None:
    asked = {**ASKED, "tools": [{"type": "custom", "name": "g"}]}
    events = [START, *block(0, ToolCall("c", "g"), '{"in', 'put":"a b"}'), Finish("tool_calls")]

    found = shown(events, asked)

    assert kinds(found)[2:6] == [
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
    ]
    assert (found[3]["delta"], found[4]["input"]) == ("a b", "a b")
    assert output(found)[0]["type"] == "custom_tool_call"


def test_a_tool_of_a_namespace_is_called_in_it() -> None:
    tool = {"type": "function", "name": "f", "parameters": {}}
    asked = {**ASKED, "tools": [{"type": "namespace", "name": "n", "tools": [tool]}]}

    found = shown([START, *block(0, ToolCall("", "n__f"), "{}"), LAST], asked)

    call = output(found)[0]
    assert (call["name"], call["namespace"]) == ("f", "n")
    assert call["call_id"].startswith("call_")


@pytest.mark.parametrize(
    ("stop", "reason"),
    [("length", "max_output_tokens"), ("content_filter", "content_filter")],
)
def test_a_stream_that_was_cut_is_incomplete(stop: Stop, reason: str) -> None:
    last = foreign(*block(0, Text(""), "hal"), Finish(stop))[-1]

    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": reason}
    assert last["response"]["output"][0]["status"] == "incomplete"


def test_citations_and_log_probabilities_are_told() -> None:
    inner = {"url": "https://x.test", "title": "t", "start_index": 0, "end_index": 1}
    entry = {"token": "x", "logprob": -0.5, "bytes": [120], "top_logprobs": []}
    found = foreign(
        BlockStart(0, Text("")),
        Delta(0, "x", logprobs={"content": [entry]}),
        Annotation(0, {"type": "url_citation", "url_citation": inner}),
        BlockStop(0),
        LAST,
    )

    assert kinds(found)[4:6] == ["output_text.delta", "output_text.annotation.added"]
    assert found[4]["logprobs"] == found[6]["logprobs"] == [entry]
    part = output(found)[0]["content"][0]
    assert part["annotations"] == [{"type": "url_citation", **inner}]
    assert part["logprobs"] == [entry]


def test_pictures_are_items_and_what_is_unknown_is_left_out() -> None:
    picture = Media("image", data="QUJD", media_type="image/png")
    found = foreign(
        *block(0, Text(""), "a"),
        *block(1, Opaque("elsewhere", {"type": "x"})),
        *block(2, ToolResult("c", [])),
        *block(3, picture),
        *block(4, Text(""), "b"),
        Aside("elsewhere", {"type": "response.completed", "response": {}}),
        LAST,
    )

    assert [i["type"] for i in output(found)] == ["message", "image_generation_call", "message"]


def test_of_several_answers_the_first_is_told() -> None:
    other: list[Event] = [
        BlockStart(1, Text(""), choice=1),
        Delta(1, "b"),
        BlockStop(1),
        Finish("length", 1),
    ]

    found = foreign(*block(0, Text(""), "a"), *other, LAST)

    assert found[-1]["type"] == "response.completed"
    assert [i["content"][0]["text"] for i in output(found)] == ["a"]


def test_a_failure_ends_the_stream_with_the_whole_response() -> None:
    error = UpstreamError(429, "slow down", code="rate_limited", retryable=True)

    made = renderer()
    events: list[Event] = [START, *block(0, Text(""), "a"), Failed(error), *block(1, Text(""), "b")]
    found = told(made.render(events) + made.close())

    assert kinds(found)[:2] == ["created", "in_progress"]
    last = found[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["status"] == "failed"
    assert last["response"]["error"] == {"code": "rate_limit_exceeded", "message": "slow down"}
    assert [e["sequence_number"] for e in found] == list(range(len(found)))


@pytest.mark.parametrize(
    ("status", "code", "told_as"),
    [
        (502, "upstream_broke", "server_error"),
        (400, "invalid_value", "invalid_prompt"),
        (400, "context_length_exceeded", "context_length_exceeded"),
    ],
)
def test_a_stream_may_fail_before_it_begins(status: int, code: str, told_as: str) -> None:
    found = told(renderer().fail(ApiError(status, "no", code=code)))

    assert kinds(found) == ["created", "in_progress", "failed"]
    assert found[-1]["response"]["error"]["code"] == told_as


def test_a_providers_own_failure_is_told_in_cleaned_words() -> None:
    given = {"id": "resp_1", "model": "m", "store": True, "error": {"code": "x", "message": "sk-1"}}
    kept: list[Event] = [
        Start("resp_1", "m", source=NAME),
        Aside(NAME, {"type": "response.failed", "response": given}),
    ]
    made = renderer()
    made.render(kept)

    last = told(made.fail(UpstreamError(502, "cleaned", code="x", retryable=False)))[-1]

    assert last["response"]["error"] == {"code": "x", "message": "cleaned"}
    assert last["response"]["store"] is True


def test_what_was_changed_on_the_way_is_told_as_it_is_now() -> None:
    """As where thoughts are taken out of a text after its provider's events were read."""
    part = {"type": "output_text", "text": "<think>a</think>b", "annotations": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "content": [part]}
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events: list[Event] = [
        Start("resp_1", "m", source=NAME),
        Aside(NAME, {"type": "response.output_item.added", "output_index": 0, "item": item}),
        *block(0, Reasoning(), "a"),
        Aside(NAME, {"type": "response.content_part.added", **where, "part": {**part, "text": ""}}),
        *block(1, Text(""), "b"),
        Aside(NAME, {"type": "response.output_item.done", "output_index": 0, "item": item}),
        Aside(NAME, {"type": "response.completed", "response": {"output": [item]}}),
        LAST,
    ]

    found = shown(events)

    assert [i["type"] for i in output(found)] == ["reasoning", "message"]
    assert output(found)[1]["content"][0]["text"] == "b"


def test_a_whole_answer_and_its_stream_say_the_same() -> None:
    parts: list[Part] = [
        Reasoning("hm", signature="s"),
        Text("a"),
        Text("b"),
        ToolCall("c", "f", "{}", signature="t"),
        ToolCall("d", "g", "[]"),
    ]
    usage = Usage(input=1, output=2)
    reply = ChatResponse("x", "real", [Choice(parts, "tool_calls")], usage, "elsewhere")

    whole = json.loads(FACE.render_response(reply, parsed(ASKED), STAMP))

    assert foreign(*list(replay(reply))[1:])[-1]["response"] == whole


def test_a_wish_for_a_compaction_is_answered_with_one() -> None:
    """As Codex asks for it: by an item that ends the input."""
    asked = {**ASKED, "input": [{"role": "user", "content": "hi"}, {"type": "compaction_trigger"}]}
    parts: list[Part] = [Reasoning("hm"), Text("they "), Text("agreed")]
    reply = ChatResponse("x", "real", [Choice(parts, "stop")], None, "elsewhere")

    found = shown(replay(reply), asked)
    whole = json.loads(FACE.render_response(reply, parsed(asked), STAMP))

    assert kinds(found)[2:] == ["output_item.added", "output_item.done", "completed"]
    assert output(found) == whole["output"]
    back = parsed({"model": "m", "input": output(found)}).messages[0].parts[0]
    assert isinstance(back, Text)
    assert back.text.endswith("they agreed")


def test_half_a_surrogate_pair_goes_out_replaced() -> None:
    found = shown([START, *block(0, Text(""), "a\ud800"), *block(1, ToolCall("c", "f"), "\ud800")])

    assert [i["type"] for i in output(found)] == ["message", "function_call"]


PARTS = st.sampled_from(
    [
        Text(""),
        Refusal(""),
        Reasoning(),
        Reasoning(id="x"),
        ToolCall("", "f"),
        ToolCall("c", "f"),
        Opaque(NAME, {"type": "web_search_call", "id": "w"}),
        Opaque(NAME, 1),
        Opaque("other", 1),
        Media("image", data="QQ=="),
        Media("audio", data="QQ=="),
        ToolResult("c", []),
    ]
)
STEPS = st.one_of(
    st.builds(BlockStart, st.integers(0, 3), PARTS, st.integers(0, 1)),
    st.builds(Delta, st.integers(0, 3), st.text(max_size=3)),
    st.builds(Signature, st.integers(0, 3), st.just("s"), st.just("d")),
    st.builds(Annotation, st.integers(0, 3), st.just({"type": "x"})),
    st.builds(BlockStop, st.integers(0, 3)),
    st.builds(Finish, st.sampled_from(["stop", "length", "error"])),
    st.builds(
        Aside, st.just(NAME), st.sampled_from([{}, {"type": "response.output_item.done"}, 3])
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=15))
def test_any_events_make_a_stream_that_can_be_numbered(events: list[Event]) -> None:
    made = renderer()
    found = told(made.render([START, *events]) + made.close())

    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert found[-1]["type"] in ("response.completed", "response.incomplete", "response.failed")
