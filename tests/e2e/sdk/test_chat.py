"""Chats of the current OpenAI library, against recorded answers: plain, streamed, formatted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel

from tests.e2e.harness import Reply, json_reply, sse_reply, until
from tests.e2e.sdk.stage import (
    Stage,
    check_usage,
    chunks,
    json_of,
    key_of,
    recorded,
    replay,
    whole,
)
from tests.e2e.talk import DONE, sse

HELLO: Any = [{"role": "user", "content": "Hello!"}]
PLAIN: Mapping[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "gpt-4o",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "2"}, "finish_reason": "stop"}
    ],
    "usage": {
        "prompt_tokens": 12,
        "completion_tokens": 7,
        "total_tokens": 19,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 6},
    },
}
PARTS: Any = [
    {"type": "text", "text": "What is this?"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0=", "detail": "low"}},
]


class Article(BaseModel):
    title: str
    author: str


def text_of(found: list[ChatCompletionChunk]) -> str:
    return "".join(c.choices[0].delta.content or "" for c in found if c.choices)


def test_a_plain_chat_is_answered_and_metered_by_its_buckets(stage: Stage) -> None:
    stage.play(json_reply(PLAIN))
    found = stage.client.chat.completions.create(model="gpt-4o", messages=HELLO, max_tokens=9)
    assert (found.choices[0].message.content, found.choices[0].finish_reason) == ("2", "stop")
    assert stage.asked.json() == {"model": "gpt-4o", "messages": HELLO, "max_tokens": 9}
    record = stage.record(found._request_id)
    check_usage(record, found.usage)
    assert (record["input"], record["output"], record["cost_nanousd"]) == (4, 1, 68_000)


def test_a_recorded_chat_is_read_as_it_was_recorded(stage: Stage) -> None:
    exchange = recorded("openai", "openai-d9eb53f20a")
    stage.play(replay(exchange))
    found = whole(stage.client, exchange)
    wanted = json_of(exchange)
    assert found.to_dict() == wanted
    record = stage.record(found._request_id)
    check_usage(record, found.usage)
    assert record["reasoning"] == wanted["usage"]["completion_tokens_details"]["reasoning_tokens"]
    assert record["reasoning"] > 0


def test_an_alias_is_answered_under_its_own_name(stage: Stage) -> None:
    stage.play(json_reply(PLAIN))
    found = stage.client.chat.completions.create(model="fast", messages=HELLO)
    assert found.model == "fast"
    assert stage.asked.json()["model"] == "gpt-4o"
    record = stage.record(found._request_id)
    assert (record["model"], record["served_model"]) == ("fast", "gpt-4o")


def test_a_stream_brings_text_as_it_comes_and_no_usage_unasked(stage: Stage) -> None:
    exchange = recorded("openai", "openai-fec723bf92")
    stage.play(replay(exchange))
    found = chunks(stage.client, exchange)
    assert text_of(found) == "Hello! How can I assist you today?"
    assert [c.choices[0].finish_reason for c in found][-1] == "stop"
    assert all(c.usage is None for c in found)
    assert stage.asked.json()["stream_options"] == {"include_usage": True}
    record = stage.record()
    assert (record["stream"], record["usage_source"], record["status"]) == (1, "estimated", 200)
    assert 5 <= record["output"] <= 20
    assert record["cost_nanousd"] == 2_000 * record["input"] + 8_000 * record["output"]


def test_the_usage_chunk_comes_when_it_is_asked_for(stage: Stage) -> None:
    exchange = recorded("openai", "openai-9cc3a3f178")
    stage.play(replay(exchange))
    *texts, last = chunks(stage.client, exchange)
    assert all(c.usage is None and c.choices for c in texts)
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (15, 23)
    check_usage(stage.record(), last.usage)


def test_the_usage_chunk_is_withheld_and_still_counted_when_nobody_asked(stage: Stage) -> None:
    usage = PLAIN["usage"]
    stage.play(sse_reply(sse("Hi"), sse(choices=[], usage=usage), DONE))
    stream = stage.client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    found = list(stream)
    assert [c.choices[0].delta.content for c in found] == ["Hi"]
    record = stage.record()
    assert (record["input"], record["cache_read"], record["output"], record["reasoning"]) == (
        4,
        8,
        1,
        6,
    )
    assert record["usage_source"] == "upstream"


def test_images_reach_the_provider_and_its_answer_the_client(stage: Stage) -> None:
    exchange = recorded("openai", "openai-9cc3a3f178")
    stage.play(replay(exchange))
    found = chunks(stage.client, exchange)
    sent = stage.asked.json()
    assert sent["messages"] == exchange.asks()["messages"]
    assert len(sent["messages"][0]["content"][1]["image_url"]["url"]) > 7_000
    assert text_of(found).endswith(".")


def test_parts_of_a_message_pass_as_they_are(stage: Stage) -> None:
    stage.play(json_reply(PLAIN))
    messages: Any = [{"role": "user", "content": PARTS}]
    stage.client.chat.completions.create(model="gpt-4o", messages=messages)
    assert stage.asked.json()["messages"] == messages


def test_a_json_schema_is_sent_and_its_answer_parsed(stage: Stage) -> None:
    exchange = recorded("openai_compat_other", "openai_compat_other-1344248c6e")
    stage.play(replay(exchange))
    client = stage.client.with_options(api_key=key_of("openai_compat_other"))
    asks = exchange.asks()
    found = client.chat.completions.parse(
        model=asks["model"], messages=asks["messages"], response_format=Article
    )
    assert found.choices[0].message.parsed == Article(
        title="Apples are tasty", author="Hadley Wickham"
    )
    schema = stage.asked.json()["response_format"]["json_schema"]
    assert (schema["name"], schema["strict"]) == ("Article", True)
    assert schema["schema"]["required"] == ["title", "author"]
    record = stage.record(found._request_id)
    assert (record["input"] + record["cache_read"], record["output"]) == (209, 19)


def test_a_recorded_refusal_is_parsed_as_one(stage: Stage) -> None:
    exchange = recorded("openai", "openai-123aa43979")
    stage.play(replay(exchange))
    message = whole(stage.client, exchange).choices[0].message
    assert message.content is None
    assert message.refusal == json_of(exchange)["choices"][0]["message"]["refusal"]
    assert stage.asked.json()["response_format"] == exchange.asks()["response_format"]


def test_the_stream_helper_parses_a_schema_as_it_grows(stage: Stage) -> None:
    text = ['{"title"', ': "Apples",', ' "author": "Hadley"}']
    end = sse(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
    usage = sse(choices=[], usage=PLAIN["usage"])
    stage.play(sse_reply(*map(sse, text), end, usage, DONE))
    helper = stage.client.chat.completions.stream(
        model="gpt-4o",
        messages=HELLO,
        response_format=Article,
        stream_options={"include_usage": True},
    )
    with helper as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.parsed == Article(title="Apples", author="Hadley")
    check_usage(stage.record(), final.usage)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_several_choices_come_each_under_its_index(stage: Stage, stream: bool) -> None:
    words = ["one", "two"]
    if stream:
        events = [
            sse(choices=[{"index": i, "delta": {"content": w}, "finish_reason": "stop"}])
            for i, w in enumerate(words)
        ]
        stage.play(sse_reply(*events, DONE))
        parts = stage.client.chat.completions.create(
            model="gpt-4o", messages=HELLO, n=2, stream=True
        )
        got = {c.choices[0].index: c.choices[0].delta.content for c in parts}
    else:
        message = {"role": "assistant"}
        choices = [
            {"index": i, "message": {**message, "content": w}, "finish_reason": "stop"}
            for i, w in enumerate(words)
        ]
        stage.play(json_reply({**PLAIN, "choices": choices}))
        found = stage.client.chat.completions.create(model="gpt-4o", messages=HELLO, n=2)
        got = {c.index: c.message.content for c in found.choices}
    assert got == {0: "one", 1: "two"}
    assert stage.asked.json()["n"] == 2


def test_a_recorded_stream_of_two_choices_is_told_apart(stage: Stage) -> None:
    exchange = recorded("openrouter", "openrouter-db0eb6fc86")
    stage.play(replay(exchange))
    client = stage.client.with_options(api_key=key_of("openrouter"))
    found = chunks(client, exchange)
    assert text_of(found) == "cobalt"
    assert stage.asked.json()["n"] == 2


def test_log_probabilities_pass(stage: Stage) -> None:
    entry = {"token": "2", "bytes": [50], "logprob": -1e-05, "top_logprobs": []}
    choice = {**PLAIN["choices"][0], "logprobs": {"content": [entry], "refusal": None}}
    stage.play(json_reply({**PLAIN, "choices": [choice]}))
    found = stage.client.chat.completions.create(
        model="gpt-4o", messages=HELLO, logprobs=True, top_logprobs=0
    )
    kept = found.choices[0].logprobs
    assert kept is not None
    assert kept.content is not None
    assert kept.content[0].to_dict() == entry
    assert stage.asked.json()["top_logprobs"] == 0


def test_recorded_log_probabilities_of_reasoning_pass(stage: Stage) -> None:
    exchange = recorded("deepseek", "deepseek-4b2a48d804")
    stage.play(replay(exchange))
    client = stage.client.with_options(api_key=key_of("deepseek"))
    found = whole(client, exchange)
    assert found.to_dict()["choices"] == json_of(exchange)["choices"]
    check_usage(stage.record(found._request_id), found.usage)


def test_closing_a_stream_cancels_the_call_to_the_provider(stage: Stage) -> None:
    stage.play(sse_reply(sse("Once upon"), hang=True))
    gone = stage.upstream.gone
    stream = stage.client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    assert next(iter(stream)).choices[0].delta.content == "Once upon"
    stream.close()
    assert until(lambda: stage.upstream.gone == gone + 1)
    request_id = stream.response.headers["x-request-id"]
    assert until(lambda: stage.record()["request_id"] == request_id)
    record = stage.record()
    assert (record["status"], record["settlement"], record["usage_source"]) == (
        499,
        "client_left",
        "estimated",
    )
    assert record["output"] > 0


def test_a_request_id_of_the_clients_own_is_kept(stage: Stage) -> None:
    stage.play(json_reply(PLAIN))
    found = stage.client.chat.completions.create(
        model="gpt-4o", messages=HELLO, extra_headers={"x-request-id": "my-own.id_1"}
    )
    assert found._request_id == "my-own.id_1"
    stage.record("my-own.id_1")


def test_the_raw_response_tells_the_channel_and_the_cost_and_hides_the_account(
    stage: Stage,
) -> None:
    hidden = (
        ("x-request-id", "req_theirs"),
        ("openai-organization", "org-1"),
        ("set-cookie", "a=b"),
    )
    kind = (("content-type", "application/json"),)
    stage.play(Reply(200, (*kind, *hidden), json.dumps(PLAIN).encode()))
    raw = stage.client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)
    assert raw.headers["x-oneapi-channel"] == "openai"
    assert float(raw.headers["x-oneapi-cost"]) == 0.000068
    assert raw.parse().choices[0].message.content == "2"
    assert not {"openai-organization", "set-cookie"} & set(raw.headers)
    assert raw.headers["x-request-id"] == stage.record()["request_id"] != "req_theirs"
