"""Legacy completions, answered by models that chat."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from oneapi.dialects.base import Hints, Stamp
from oneapi.dialects.openai import CHAT_PROVIDER, FACES
from oneapi.errors import ApiError
from oneapi.ir import (
    BlockStart,
    BlockStop,
    ChatRequest,
    ChatResponse,
    Choice,
    Delta,
    Envelope,
    Event,
    Finish,
    Message,
    Reasoning,
    Spent,
    Start,
    Text,
    Usage,
)
from oneapi.wire.json import JSON
from tests.dialects.openai_chats import chunks_of

FACE = FACES["completions"]
STAMP = Stamp("0123456789abcdef", 1_790_000_000)
LOGPROBS = {
    "content": [
        {"token": "a", "logprob": -1.0, "top_logprobs": [{"token": "b", "logprob": -2.0}]},
        {"token": "bc", "logprob": -3.0, "top_logprobs": []},
    ]
}


def parse(**members: JSON) -> ChatRequest:
    return FACE.parse_request({"model": "m", "prompt": "once", **members}, Envelope("m"))


def whole(choice: Choice, **members: JSON) -> JSON:
    reply = ChatResponse("", "m", [choice], Usage(input=1, output=2), "other")
    return json.loads(FACE.render_response(reply, parse(**members), STAMP))


@pytest.mark.parametrize("prompt", ["once", ["once"]])
def test_the_prompt_is_what_the_user_says(prompt: JSON) -> None:
    assert parse(prompt=prompt).messages == [Message("user", [Text("once")])]


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt[0]"),
        ({"prompt": {}}, "prompt"),
        ({"suffix": "end"}, "suffix"),
        ({"echo": "yes"}, "echo"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"logprobs": "5"}, "logprobs"),
    ],
)
def test_what_a_chat_cannot_answer_is_refused_by_name(members: JSON, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse(**members)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_what_a_chat_knows_is_asked_of_it() -> None:
    chat = parse(max_tokens=9, temperature=0.5, stop="x", n=2, logprobs=3, seed=1, best_of=4)
    outgoing = CHAT_PROVIDER.render_request(chat, "served", Hints())
    assert json.loads(outgoing.body) == {
        "model": "served",
        "messages": [{"role": "user", "content": "once"}],
        "max_tokens": 9,
        "temperature": 0.5,
        "stop": ["x"],
        "n": 2,
        "logprobs": True,
        "top_logprobs": 3,
        "seed": 1,
    }
    assert outgoing.dropped == ["best_of"]


def test_an_answer_is_a_text_completion() -> None:
    body = whole(Choice([Reasoning("t"), Text("a"), Text("b")], "stop"))
    assert (body["object"], body["id"]) == ("text_completion", "cmpl-0123456789abcdef")
    assert body["choices"] == [
        {"text": "ab", "index": 0, "logprobs": None, "finish_reason": "stop"}
    ]
    assert body["usage"]["total_tokens"] == 3


def test_the_prompt_is_echoed_where_that_was_asked() -> None:
    assert whole(Choice([Text(" more")], "length"), echo=True)["choices"][0]["text"] == "once more"


def test_log_probabilities_have_the_older_shape() -> None:
    choice = Choice([Text("abc")], "stop", logprobs=LOGPROBS)
    assert whole(choice)["choices"][0]["logprobs"] == {
        "tokens": ["a", "bc"],
        "token_logprobs": [-1.0, -3.0],
        "top_logprobs": [{"b": -2.0}, {}],
        "text_offset": [0, 1],
    }


def events(*texts: str) -> list[Event]:
    deltas: list[Event] = [Delta(1, text) for text in texts]
    return [
        Start("1", "m", 5, source="other"),
        BlockStart(0, Reasoning()),
        Delta(0, "t"),
        BlockStop(0),
        BlockStart(1, Text("")),
        *deltas,
        BlockStop(1),
        Spent(Usage(input=1, output=2)),
        Finish("stop"),
    ]


def stream(chat: ChatRequest, found: list[Event]) -> list[JSON]:
    renderer = FACE.stream_renderer(chat, STAMP)
    out = b"".join(renderer.render([event]) for event in found) + renderer.close()
    assert out.endswith(b"data: [DONE]\n\n")
    return chunks_of(out)


def test_a_stream_is_texts_and_a_finish() -> None:
    chunks = stream(parse(stream=True), events("a", "b"))
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    choices = [chunk["choices"][0] for chunk in chunks]
    assert [choice["text"] for choice in choices] == ["a", "b", ""]
    assert [choice["finish_reason"] for choice in choices] == [None, None, "stop"]


def test_a_stream_tells_its_usage_if_asked_and_echoes_the_prompt() -> None:
    chat = parse(stream=True, echo=True, stream_options={"include_usage": True})
    chunks = stream(chat, events("a"))
    assert chunks[0]["choices"][0]["text"] == "once"
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["total_tokens"]) == ([], 3)


def test_a_request_returns_to_its_own_shape() -> None:
    body: JSON = {"model": "m", "prompt": ["once"], "logit_bias": {}, "stop": None}
    chat = FACE.parse_request(body, Envelope("m"))
    assert FACE.render_request(chat) == body
    other = replace(chat, messages=[Message("user", [Text("twice")])])
    assert FACE.render_request(other) == {**body, "prompt": "twice"}
