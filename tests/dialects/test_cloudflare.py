"""Workers AI's own format, by examples in the shapes that the vendor documents."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.base import Hints, Outgoing, Stamp
from oneapi.dialects.base_gather import gather
from oneapi.dialects.base_turns import with_media
from oneapi.dialects.cloudflare import CHAT_PROVIDER, NAME
from oneapi.dialects.cloudflare_requests import DEFAULT_MAX_TOKENS
from oneapi.errors import ApiError, UpstreamError
from oneapi.ir import (
    Aside,
    ChatRequest,
    ChatResponse,
    Event,
    Failed,
    Finish,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
)
from oneapi.wire.json import JSON
from tests.dialects.native_recorded import CUTS, asks, run, said, user, well_formed

STAMP = Stamp("0123456789abcdef")
PICTURE = Media("image", data="AAE=", media_type="image/png")
WEATHER = Tool("weather", "of a city", {"type": "object"})
TIME = Tool("time")


def render(chat: ChatRequest, hints: Hints | None = None, **options: JSON) -> Outgoing:
    before = copy.deepcopy(chat)
    out = CHAT_PROVIDER.render_request(chat, "@cf/meta/x", hints or Hints(options=options))
    assert chat == before, "a renderer never changes a request"
    return out


def body(chat: ChatRequest, **options: JSON) -> Any:
    return json.loads(render(chat, **options).body)


def whole(result: JSON, **envelope: JSON) -> ChatResponse:
    value = {"result": result, "success": True, "errors": [], "messages": [], **envelope}
    return CHAT_PROVIDER.parse_response(json.dumps(value).encode(), Hints(), STAMP)


def sse(*values: JSON, done: bool = True) -> bytes:
    events = "".join(f"data: {json.dumps(value, ensure_ascii=False)}\n\n" for value in values)
    return (events + ("data: [DONE]\n\n" if done else "")).encode()


def streamed(stream: bytes, size: int = 1_000_000) -> list[Event]:
    return run(CHAT_PROVIDER.stream_parser(Hints(), STAMP), stream, size)


def told(*values: JSON) -> ChatResponse:
    events = streamed(sse(*values))
    assert well_formed(events)
    return gather(events, NAME)


# Requests


def test_a_plain_chat_raises_the_vendors_low_limit() -> None:
    out = render(asks(user("hi"), stream=True))
    assert json.loads(out.body) == {
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "max_tokens": DEFAULT_MAX_TOKENS,
    }
    assert out.streams


@pytest.mark.parametrize(
    ("asked", "hints", "expected"),
    [
        (7, Hints(max_output=3), 7),
        (None, Hints(max_output=100), 100),
        (None, Hints(max_output=10**6), DEFAULT_MAX_TOKENS),
        (None, Hints(options={"max_tokens": 9}), 9),
    ],
)
def test_the_limit_is_the_clients_then_the_channels_then_the_models(
    asked: int | None, hints: Hints, expected: int
) -> None:
    out = render(asks(user("hi"), max_output=asked), hints)
    assert json.loads(out.body)["max_tokens"] == expected


def test_parameters_have_the_vendors_names() -> None:
    chat = asks(
        user("hi"),
        temperature=0.0,
        top_p=0.5,
        top_k=3,
        seed=1,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        format=OutputFormat("json", {"type": "object"}),
    )
    found = body(chat, lora="l")
    del found["messages"], found["max_tokens"]
    assert found == {
        "temperature": 0.0,
        "top_p": 0.5,
        "top_k": 3,
        "seed": 1,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "response_format": {"type": "json_schema", "json_schema": {"type": "object"}},
        "lora": "l",
    }


def test_what_the_format_cannot_say_is_named() -> None:
    chat = asks(
        Message("user", [Text("a", cache="5m"), Opaque("x", 1)], name="n", extra={"y": 1}),
        stop=["x"],
        n=2,
        logprobs=True,
        thinking=Thinking(effort="low"),
        user="u",
        parallel_tools=False,
        modalities=["audio"],
        format=OutputFormat("json", extra={"z": 1}),
        tools=[Tool("w", kind="hosted"), Tool("f", strict=True)],
        tool_choice=ToolChoice(extra={"q": 1}),
        extra={"logit_bias": {}},
    )
    assert set(render(chat).dropped) == {
        "messages[0].y",
        "messages[0].name",
        "messages[0].content[0].cache_control",
        "messages[0].content[1]",
        "stop",
        "n",
        "logprobs",
        "reasoning_effort",
        "user",
        "parallel_tool_calls",
        "modalities",
        "response_format.z",
        "tools[0]",
        "tools[1].strict",
        "tool_choice.q",
        "logit_bias",
    }


def test_calls_and_results_keep_their_ids() -> None:
    chat = asks(
        Message("assistant", [Reasoning("hm"), ToolCall("c", "weather", '{"city":"Rome"}')]),
        Message("tool", [ToolResult("c", [Text("sunny")])]),
    )
    function = {"name": "weather", "arguments": '{"city":"Rome"}'}
    assert body(chat)["messages"] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "c", "type": "function", "function": function}],
        },
        {"role": "tool", "content": "sunny", "name": "weather", "tool_call_id": "c"},
    ]


@pytest.mark.parametrize(
    ("choice", "names", "word"),
    [
        (None, ["weather", "time"], None),
        (ToolChoice("none"), [], None),
        (ToolChoice("required"), ["weather", "time"], "required"),
        (ToolChoice("required", ["time"]), ["time"], "required"),
        (ToolChoice("auto", ["weather"]), ["weather"], None),
    ],
)
def test_a_choice_of_tools_is_made_by_what_is_offered(
    choice: ToolChoice | None, names: list[str], word: str | None
) -> None:
    found = body(asks(user("x"), tools=[WEATHER, TIME], tool_choice=choice))
    assert [tool["function"]["name"] for tool in found.get("tools", [])] == names
    assert found.get("tool_choice") == word


def test_pictures_are_fetched_and_given_as_data() -> None:
    chat = asks(Message("user", [Media("image", url="https://a.example/1.png"), Text("what?")]))
    urls = CHAT_PROVIDER.fetches(chat, Hints())
    assert urls == ["https://a.example/1.png"]
    found = body(with_media(chat, {urls[0]: ("image/png", "AAE=")}))
    assert found["messages"][0]["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAE="}},
        {"type": "text", "text": "what?"},
    ]


def test_older_models_take_one_picture_as_bytes() -> None:
    out = render(asks(Message("user", [PICTURE, PICTURE, Text("?")])), image_field=["@cf/*"])
    found = json.loads(out.body)
    assert found["image"] == [0, 1]
    assert found["messages"][0]["content"] == "?"


def test_of_several_pictures_older_models_take_the_last() -> None:
    first, last = Media("image", data="AA=="), Media("image", data="AQ==")
    out = render(asks(Message("user", [first, last])), image_field=True)
    assert json.loads(out.body)["image"] == [1]
    assert out.dropped == ["messages[0].content[0]"]


@pytest.mark.parametrize("part", [Media("audio", data="AA=="), Media("file", data="AA==")])
def test_other_media_are_refused(part: Media) -> None:
    with pytest.raises(ApiError) as raised:
        render(asks(Message("user", [part])))
    assert (raised.value.status, raised.value.param) == (400, "messages[0].content[0]")


def test_a_picture_that_is_no_base64_is_refused() -> None:
    with pytest.raises(ApiError) as raised:
        render(asks(Message("user", [Media("image", data="!")])), image_field=True)
    assert raised.value.param == "messages[0].content[0]"


# Answers

USAGE = {"prompt_tokens": 26, "completion_tokens": 8, "total_tokens": 34}


def test_a_native_answer_is_read() -> None:
    reply = whole({"response": "Hello", "usage": USAGE})
    assert said(reply) == ("Hello", "", [], "stop")
    assert (reply.usage, reply.raw_usage) == (Usage(input=26, output=8), USAGE)


def test_arguments_that_are_an_object_become_text() -> None:
    calls = [{"name": "f", "arguments": {"a": [1, "ü"]}}, {"name": "g", "arguments": "{}"}]
    reply = whole({"response": None, "tool_calls": calls})
    assert said(reply) == ("", "", [("", "f", '{"a":[1,"ü"]}'), ("", "g", "{}")], "tool_calls")


@pytest.mark.parametrize(
    ("response", "text"), [({"a": 1}, '{"a":1}'), (7, "7"), (True, "true"), (None, ""), ("", "")]
)
def test_a_response_of_any_kind_is_text(response: JSON, text: str) -> None:
    assert said(whole({"response": response}))[0] == text


def test_a_completion_in_the_envelope_is_read() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"content": "a", "reasoning_content": "hm", "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "length"}
    reply = whole({"id": "x", "created": 5, "model": "m", "choices": [choice], "usage": USAGE})
    assert said(reply) == ("a", "hm", [("c", "f", "{}")], "length")
    assert (reply.id, reply.created, reply.model) == ("x", 5, "m")


@pytest.mark.parametrize("value", [{"response": "hi"}, {"result": "hi", "success": True}])
def test_an_answer_without_its_envelope_is_one(value: JSON) -> None:
    reply = CHAT_PROVIDER.parse_response(json.dumps(value).encode(), Hints(), STAMP)
    assert said(reply)[0] == "hi"


def test_what_stands_beside_the_answer_is_carried() -> None:
    assert whole({"response": "x", "metrics": 1}).extra == {"metrics": 1}


REFUSED = {
    "result": None,
    "success": False,
    "errors": [{"code": 3040, "message": "no room"}],
    "messages": [],
}


def test_an_error_inside_a_success_is_one() -> None:
    with pytest.raises(UpstreamError) as raised:
        CHAT_PROVIDER.parse_response(json.dumps(REFUSED).encode(), Hints(), STAMP)
    assert (raised.value.code, raised.value.message) == ("3040", "no room")


def test_a_refusal_is_read() -> None:
    told = CHAT_PROVIDER.parse_error(429, (), json.dumps(REFUSED).encode())
    assert told[:2] == ("no room", "3040")


@pytest.mark.parametrize("raw", [b"", b"[]", b"<html>", b'{"result":{}}', b'{"result":[1]}', b"1"])
def test_what_is_no_answer_is_a_502(raw: bytes) -> None:
    with pytest.raises(UpstreamError) as raised:
        CHAT_PROVIDER.parse_response(raw, Hints(), STAMP)
    assert raised.value.status == 502


# Streams

STREAM = (
    {"response": "Hel", "p": "abcdef"},
    {"response": "lö 🙂", "p": "a"},
    {"response": 7, "p": "ab"},
    {"response": "", "usage": USAGE},
)


def test_a_native_stream_is_read() -> None:
    reply = told(*STREAM)
    assert said(reply) == ("Hellö 🙂7", "", [], "stop")
    assert reply.usage == Usage(input=26, output=8)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_stream_may_be_cut_anywhere(end: str) -> None:
    stream = sse(*STREAM).replace(b"\n", end.encode())
    assert all(streamed(stream, size) == streamed(sse(*STREAM)) for size in CUTS)


def test_whole_calls_in_a_stream_are_told_apart() -> None:
    reply = told(
        {"response": "", "tool_calls": [{"name": "f", "arguments": {"a": 1}}]},
        {"response": "", "tool_calls": [{"name": "f", "arguments": {"a": 2}}]},
    )
    assert said(reply)[2:] == ([("", "f", '{"a":1}'), ("", "f", '{"a":2}')], "tool_calls")


def test_calls_in_pieces_are_joined() -> None:
    reply = told(
        {"tool_calls": [{"id": "c", "index": 0, "function": {"name": "f"}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {"tool_calls": [{"id": None, "index": 0, "function": {"name": None, "arguments": ""}}]},
    )
    assert said(reply)[2:] == ([("c", "f", '{"a":1}')], "tool_calls")


def test_chunks_of_a_completion_are_read() -> None:
    reply = told(
        {"id": "x", "created": 5, "model": "m", "choices": [{"delta": {"reasoning": "hm"}}]},
        {"choices": [{"delta": {"content": "a"}}]},
        {"choices": [{"delta": {}, "finish_reason": "length"}], "usage": USAGE},
    )
    assert said(reply) == ("a", "hm", [], "length")
    assert (reply.id, reply.model, reply.usage) == ("x", "m", Usage(input=26, output=8))


def test_an_error_in_mid_stream_ends_it() -> None:
    events = streamed(sse({"response": "a"}, REFUSED, {"response": "b"}))
    failed = events[-1]
    assert isinstance(failed, Failed)
    assert failed.error.message == "no room"


def test_a_stream_that_breaks_off_has_no_finish() -> None:
    parser = CHAT_PROVIDER.stream_parser(Hints(), STAMP)
    events = run(parser, sse({"response": "a"}, done=False) + b'data: {"resp')
    assert well_formed(events)
    assert not parser.done
    assert not [event for event in events if isinstance(event, Finish)]


def test_an_unknown_member_of_a_stream_is_carried() -> None:
    assert Aside(NAME, {"safety": 1}) in streamed(sse({"response": "a", "safety": 1}))


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "result response choices message delta content tool_calls function name arguments "
                "id index finish_reason usage prompt_tokens errors success".split()
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=120, deadline=None)
@given(st.lists(JSONS, max_size=3), st.binary(max_size=50))
def test_anything_is_events_or_an_error(values: list[JSON], noise: bytes) -> None:
    assert well_formed(streamed(sse(*values)))
    assert well_formed(streamed(b"data: " + noise + b"\n\n"))
    for raw in (json.dumps(values[0]).encode() if values else b"", noise):
        try:
            reply = CHAT_PROVIDER.parse_response(raw, Hints(), STAMP)
        except UpstreamError:
            continue
        assert len(reply.choices) == 1
