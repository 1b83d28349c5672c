"""Predictions answer chats: prompts, polls, streams, as recorded and as the vendor documents."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.base import FollowUp, Hints, Outgoing, Stamp
from oneapi.dialects.base_gather import gather
from oneapi.dialects.replicate import CHAT_PROVIDER, NAME
from oneapi.dialects.replicate_answers import POLL_S, StreamParser
from oneapi.dialects.replicate_shapes import PREDICT, VERSION
from oneapi.errors import ApiError, UpstreamError
from oneapi.ir import (
    Aside,
    ChatRequest,
    ChatResponse,
    Delta,
    Event,
    Failed,
    Finish,
    Media,
    Message,
    OutputFormat,
    Reasoning,
    Spent,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
)
from oneapi.wire.json import JSON
from tests.dialects.native_recorded import (
    CUTS,
    Recorded,
    asks,
    cases,
    recorded,
    run,
    said,
    user,
    well_formed,
)

STAMP = Stamp("0123456789abcdef")
ALL = recorded("replicate")
STREAMS = [record for record in ALL if record.api == "predictions_stream"]
PREDICTIONS = [
    record
    for record in ALL
    if record.api == "predictions" and isinstance(record.body, dict) and record.status < 300
]
NOT_CHAT = {
    "models": "what a model is, no request to it",
    "files": "uploads of files",
    "trainings": "trainings",
    "hardware": "a list of machines",
    "deployments": "management of deployments",
    "collections": "lists of models",
    "account": "whose the token is",
    "webhooks": "a secret to check signatures with",
}
"""Recorded here, and why it is no chat. A prediction of any model has the shape of a chat's; those
that are recorded are mostly of image models: made, polled, cancelled.
"""


def render(chat: ChatRequest, model: str = "meta/llama", **options: JSON) -> Outgoing:
    before = copy.deepcopy(chat)
    out = CHAT_PROVIDER.render_request(chat, model, Hints(options=options))
    assert chat == before, "a renderer never changes a request"
    return out


def given_of(chat: ChatRequest, **options: JSON) -> Any:
    return json.loads(render(chat, **options).body)["input"]


def parse(value: JSON) -> ChatResponse:
    return CHAT_PROVIDER.parse_response(json.dumps(value).encode(), Hints(), STAMP)


def streamed(stream: bytes, size: int = 1_000_000) -> list[Event]:
    return run(CHAT_PROVIDER.stream_parser(Hints(), STAMP), stream, size)


def pieces(stream: str) -> list[str]:
    """The pieces of text of a stream, read without the code under test."""
    found = []
    for event in stream.split("\n\n"):
        lines = event.split("\n")
        if "event: output" in lines:
            found.append("\n".join(line[6:] for line in lines if line.startswith("data: ")))
    return found


# Recordings


@pytest.mark.parametrize("record", cases(STREAMS))
def test_a_recorded_stream_is_read(record: Recorded) -> None:
    events = streamed(record.sse)
    told = pieces(record.sse.decode())
    assert well_formed(events)
    assert [event.text for event in events if isinstance(event, Delta)] == [t for t in told if t]
    assert said(gather(events, NAME)) == ("".join(told), "", [], "stop")


@pytest.mark.parametrize("record", cases(STREAMS))
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_recorded_stream_may_be_cut_anywhere(record: Recorded, end: str) -> None:
    stream = record.sse.replace(b"\n", end.encode())
    assert all(streamed(stream, size) == streamed(record.sse) for size in CUTS)


@pytest.mark.parametrize("record", cases(PREDICTIONS))
def test_a_recorded_prediction_is_followed_answered_or_an_error(record: Recorded) -> None:
    body, urls = record.body, record.body["urls"]
    follow = CHAT_PROVIDER.follow_up(record.raw)
    if body["status"] in ("starting", "processing"):
        streams = body.get("stream") is True
        assert follow is not None
        assert (follow.url, follow.streams) == (urls["stream" if streams else "get"], streams)
        return
    assert follow is None
    if body["status"] == "succeeded":
        assert CHAT_PROVIDER.parse_response(record.raw, Hints(), STAMP).id == body["id"]
        return
    with pytest.raises(UpstreamError) as raised:
        CHAT_PROVIDER.parse_response(record.raw, Hints(), STAMP)
    assert raised.value.code == f"prediction_{body['status']}"


@pytest.mark.parametrize("record", cases(r for r in ALL if r.status >= 400))
def test_a_recorded_refusal_is_read(record: Recorded) -> None:
    message, _, _ = CHAT_PROVIDER.parse_error(record.status, (), record.raw)
    given = record.body if isinstance(record.body, dict) else {}
    assert message
    assert message in str(given.get("detail") or given.get("title") or message)


@pytest.mark.parametrize("record", cases(ALL))
def test_what_is_no_prediction_has_a_reason(record: Recorded) -> None:
    predictions = (*PREDICTIONS, *STREAMS)
    assert record in predictions or record.status >= 400 or record.api in NOT_CHAT


# Requests


def test_a_single_message_is_the_prompt() -> None:
    chat = asks(Message("system", [Text("be brief")]), user("hi"), max_output=9, temperature=0.0)
    out = render(chat)
    assert json.loads(out.body) == {
        "input": {
            "prompt": "hi",
            "system_prompt": "be brief",
            "max_tokens": 9,
            "temperature": 0.0,
        }
    }
    assert (out.operation, out.streams, out.headers) == (PREDICT, False, [(b"prefer", b"wait")])


def test_a_stream_begins_with_a_prediction() -> None:
    out = render(asks(user("hi"), stream=True))
    assert json.loads(out.body)["stream"] is True
    assert (out.streams, out.headers) == (False, [])


def test_a_version_is_named_in_the_body() -> None:
    version = "ab" * 32
    out = render(asks(user("hi")), f"owner/name:{version}")
    assert (out.operation, json.loads(out.body)["version"]) == (VERSION, version)


def test_a_conversation_is_written_out() -> None:
    chat = asks(user("weather?"), Message("assistant", [Reasoning("hm"), Text("Where?")]))
    chat.messages += [user("Rome"), user("in Italy")]
    expected = "User: weather?\n\nAssistant: Where?\n\nUser: Rome\nin Italy\n\nAssistant:"
    assert given_of(chat)["prompt"] == expected


def test_an_answer_that_is_begun_is_gone_on_with() -> None:
    chat = asks(user("count"), Message("assistant", [Text("one, two,")]))
    assert given_of(chat)["prompt"] == "User: count\n\nAssistant: one, two,"


def test_calls_and_results_are_told_in_words() -> None:
    chat = asks(
        user("weather?"),
        Message("assistant", [ToolCall("c", "weather", '{"city":"Rome"}')]),
        Message("tool", [ToolResult("c", [Text("sunny")])]),
    )
    prompt = given_of(chat)["prompt"]
    assert 'Assistant: [called weather with {"city":"Rome"}]' in prompt
    assert "User: [weather answered: sunny]" in prompt


def test_a_model_may_name_its_inputs_itself() -> None:
    chat = asks(Message("system", [Text("be brief")]), user("hi"), max_output=9, stop=["a", "b"])
    names = {"prompt": "text", "system": "", "max_tokens": "max_new_tokens", "stop": ""}
    out = render(chat, inputs=names)
    assert json.loads(out.body)["input"] == {"text": "be brief\n\nhi", "max_new_tokens": 9}
    assert out.dropped == ["stop"]


def test_numbers_and_stops_have_the_commonest_names() -> None:
    chat = asks(
        user("x"),
        top_p=0.5,
        top_k=3,
        seed=1,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        stop=["a", "b"],
    )
    assert given_of(chat, defaults={"min_tokens": 1, "seed": 9}) == {
        "min_tokens": 1,
        "seed": 1,
        "prompt": "x",
        "top_p": 0.5,
        "top_k": 3,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "stop_sequences": "a,b",
    }


def test_a_model_may_take_messages() -> None:
    chat = asks(
        Message("system", [Text("be brief")]), user("hi"), Message("assistant", [Text("yes")])
    )
    assert given_of(chat, messages=True) == {
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "yes"},
        ]
    }


@pytest.mark.parametrize(
    ("options", "expected", "dropped"),
    [
        ({}, {"image": "https://a.example/2.png"}, ["messages[0].content[0]"]),
        (
            {"inputs": {"image": "image_input"}},
            {"image_input": ["data:image/png;base64,AA==", "https://a.example/2.png"]},
            [],
        ),
        (
            {"image_list": True},
            {"image": ["data:image/png;base64,AA==", "https://a.example/2.png"]},
            [],
        ),
    ],
)
def test_pictures_are_inputs_of_their_own(
    options: dict[str, JSON], expected: JSON, dropped: Sequence[str]
) -> None:
    first = Media("image", data="AA==", media_type="image/png")
    second = Media("image", url="https://a.example/2.png")
    out = render(asks(Message("user", [first, second, Text("?")])), **options)
    assert json.loads(out.body)["input"] == {"prompt": "?", **expected}
    assert out.dropped == dropped


def test_effort_is_said_where_the_model_has_a_name_for_it() -> None:
    chat = asks(user("x"), thinking=Thinking(effort="low"))
    assert given_of(chat, inputs={"effort": "reasoning_effort"})["reasoning_effort"] == "low"
    assert render(chat).dropped == ["reasoning_effort"]


def test_what_no_prediction_can_be_told_is_named() -> None:
    chat = asks(
        Message("user", [Text("x", cache="5m")], name="n"),
        n=2,
        user="u",
        logprobs=True,
        tools=[Tool("f")],
        extra={"logit_bias": {}},
        modalities=["audio"],
    )
    assert set(render(chat).dropped) == {
        "messages[0].content[0].cache_control",
        "messages[0].name",
        "n",
        "user",
        "logprobs",
        "tools",
        "logit_bias",
        "modalities",
    }


@pytest.mark.parametrize(
    ("chat", "param"),
    [
        (asks(Message("system", [Text("x")])), "messages"),
        (asks(Message("user", [Media("audio", data="AA==")])), "messages[0].content[0]"),
        (asks(Message("user", [Media("image", file_id="f")])), "messages[0].content[0]"),
        (asks(user("x"), format=OutputFormat("json")), "response_format"),
        (asks(user("x"), tool_choice=ToolChoice("required")), "tool_choice"),
    ],
)
def test_what_a_prediction_cannot_give_is_refused(chat: ChatRequest, param: str) -> None:
    with pytest.raises(ApiError) as raised:
        render(chat)
    assert (raised.value.status, raised.value.param) == (400, param)


@pytest.mark.parametrize(("wait", "line"), [(5, b"wait=5"), (900, b"wait=60"), (None, b"wait")])
def test_a_whole_answer_is_waited_for(wait: JSON, line: bytes) -> None:
    assert render(asks(user("x")), wait=wait).headers == [(b"prefer", line)]


# Answers

DONE: dict[str, Any] = {
    "id": "p1",
    "model": "meta/llama",
    "status": "succeeded",
    "input": {"prompt": "x", "max_tokens": 100},
    "output": ["Hel", "lo"],
    "error": None,
    "metrics": {"predict_time": 1.5, "input_token_count": 5, "output_token_count": 2},
    "urls": {"get": "https://api.example/v1/predictions/p1"},
}


def test_a_finished_prediction_is_an_answer() -> None:
    reply = parse(DONE)
    assert said(reply) == ("Hello", "", [], "stop")
    assert (reply.id, reply.model, reply.usage) == ("p1", "meta/llama", Usage(input=5, output=2))
    assert CHAT_PROVIDER.follow_up(json.dumps(DONE).encode()) is None


@pytest.mark.parametrize(
    ("output", "parts"),
    [
        ("Hello", [Text("Hello")]),
        ([], []),
        (None, []),
        ({"a": [1]}, [Text('{"a":[1]}')]),
        (["a", 1], [Text('["a",1]')]),
        (["https://a.example/1.png"], [Text("https://a.example/1.png")]),
    ],
)
def test_an_output_of_any_shape_is_read(output: JSON, parts: list[Text]) -> None:
    assert parse({**DONE, "output": output}).choices[0].parts == parts


def test_files_of_a_model_that_counts_no_tokens_are_media() -> None:
    output = ["https://a.example/x.webp", "https://a.example/y.mp4", "https://a.example/z.zip"]
    reply = parse({**DONE, "output": output, "metrics": {"image_count": 1}})
    assert reply.choices[0].parts == [
        Media("image", url=output[0]),
        Media("video", url=output[1]),
        Media("file", url=output[2]),
    ]
    assert reply.usage == Usage(images=1)


def test_an_answer_as_long_as_it_might_be_was_cut() -> None:
    metrics = {"input_token_count": 5, "output_token_count": 100}
    assert parse({**DONE, "metrics": metrics}).choices[0].stop == "length"


@pytest.mark.parametrize("status", ["failed", "canceled", "aborted"])
def test_a_prediction_that_ended_otherwise_is_an_error(status: str) -> None:
    with pytest.raises(UpstreamError) as raised:
        parse({**DONE, "status": status, "error": "out of memory", "output": None})
    assert (raised.value.message, raised.value.code) == ("out of memory", f"prediction_{status}")


def test_a_prediction_that_never_ended_is_an_error() -> None:
    with pytest.raises(UpstreamError) as raised:
        parse({**DONE, "status": "processing"})
    assert raised.value.retryable


PENDING = {
    "id": "p1",
    "status": "starting",
    "urls": {"get": "https://api.example/g", "stream": "https://s.example/s"},
}


def test_a_prediction_is_asked_for_again() -> None:
    follow = CHAT_PROVIDER.follow_up(json.dumps(PENDING).encode())
    assert follow == FollowUp("https://api.example/g", wait_s=POLL_S)


def test_a_stream_that_was_asked_for_is_followed() -> None:
    follow = CHAT_PROVIDER.follow_up(json.dumps({**PENDING, "stream": True}).encode())
    assert follow is not None
    assert (follow.url, follow.streams) == ("https://s.example/s", True)
    assert (b"accept", b"text/event-stream") in follow.headers


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"status":"starting"}', b'{"status":[]}'])
def test_what_is_no_promise_is_not_followed(raw: bytes) -> None:
    assert CHAT_PROVIDER.follow_up(raw) is None
    with pytest.raises(UpstreamError):
        CHAT_PROVIDER.parse_response(raw, Hints(), STAMP)


# Streams


def test_line_feeds_and_spaces_of_a_piece_are_kept() -> None:
    stream = (
        b"event: output\nid: 1:0\ndata:  a\ndata: \ndata: b\n\n"
        b"event: output\nid: 1:1\ndata: \ndata: \n\nevent: done\ndata: {}\n\n"
    )
    assert [e.text for e in streamed(stream) if isinstance(e, Delta)] == [" a\n\nb", "\n"]


def test_a_stream_that_says_nothing_is_complete_too() -> None:
    events = streamed(b": hi\n\nevent: done\ndata: {}\n\n")
    assert well_formed(events)
    assert [type(event) for event in events][-1] is Finish


@pytest.mark.parametrize("data", [b'{"detail":"no room"}', b"no room"])
def test_an_error_ends_a_stream(data: bytes) -> None:
    stream = (
        b"event: output\ndata: a\n\nevent: error\ndata: " + data + b"\n\nevent: done\ndata: {}\n\n"
    )
    failed = streamed(stream)[-1]
    assert isinstance(failed, Failed)
    assert failed.error.message == "no room"


@pytest.mark.parametrize(("reason", "code"), [("canceled", "canceled"), ("error", "failed")])
def test_a_stream_that_was_ended_from_outside_failed(reason: str, code: str) -> None:
    failed = streamed(b'event: done\ndata: {"reason":"%s"}\n\n' % reason.encode())[-1]
    assert isinstance(failed, Failed)
    assert failed.error.code == f"prediction_{code}"


def test_a_stream_closed_for_its_age_can_be_gone_on_with() -> None:
    parser = StreamParser(STAMP)
    stream = b"event: output\nid: 7:1\ndata: a\n\n:408: 408 Request Timeout\n\n"
    events = run(parser, stream)
    assert well_formed(events)
    assert (parser.done, parser.timed_out, parser.last_id) == (False, True, "7:1")


def test_logs_and_counts_of_a_stream_are_carried() -> None:
    stream = (
        b"event: logs\ndata: warm\n\n"
        b'event: done\ndata: {"metrics":{"input_token_count":1,"output_token_count":2}}\n\n'
    )
    events = streamed(stream)
    assert events[0] == Aside(NAME, {"logs": "warm"})
    assert [e.usage for e in events if isinstance(e, Spent)] == [Usage(input=1, output=2)]


def test_text_cut_within_a_letter_is_whole() -> None:
    stream = "event: output\r\ndata: 你好🙂\r\n\r\nevent: done\r\ndata: {}\r\n\r\n".encode()
    assert all(streamed(stream, size) == streamed(stream) for size in CUTS)
    assert said(gather(streamed(stream, 1), NAME))[0] == "你好🙂"


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "status output input metrics error urls get stream output_token_count".split()
            ),
            inner,
        )
    ),
    max_leaves=12,
)
STATUSES = st.sampled_from(["starting", "processing", "succeeded", "failed", "canceled", "x"])


@settings(max_examples=120, deadline=None)
@given(JSONS, STATUSES, st.binary(max_size=60))
def test_anything_is_an_answer_or_an_error(value: JSON, status: str, noise: bytes) -> None:
    shaped = {**value, "status": status} if isinstance(value, dict) else value
    for raw in (json.dumps(value).encode(), json.dumps(shaped).encode(), noise):
        CHAT_PROVIDER.follow_up(raw)
        try:
            reply = CHAT_PROVIDER.parse_response(raw, Hints(), STAMP)
        except UpstreamError:
            continue
        assert len(reply.choices) == 1
    for kind in (b"output", b"error", b"done", b"x"):
        assert well_formed(streamed(b"event: " + kind + b"\ndata: " + noise + b"\n\n"))
