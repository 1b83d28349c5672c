from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.anthropic import CHAT_PROVIDER, FACES
from oneapi.dialects.anthropic_stream import Renderer
from oneapi.dialects.base import Hints, Stamp
from oneapi.dialects.base_gather import gather, replay
from oneapi.errors import UpstreamError
from oneapi.ir import (
    ChatRequest,
    ChatResponse,
    Choice,
    Envelope,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Stop,
    Text,
    ToolCall,
    Usage,
)
from oneapi.wire.json import JSON
from tests.dialects.anthropic_judge import judged_message
from tests.dialects.anthropic_recorded import ANSWERS, Exchange, cases

STAMP = Stamp("0123456789abcdef", model="asked")
BARE = Stamp("0123456789abcdef")
CHAT = ChatRequest("m", [], "anthropic")
FACE = FACES["messages"]


def answered(body: bytes) -> ChatResponse:
    return CHAT_PROVIDER.parse_response(body, Hints(), BARE)


def rendered(reply: ChatResponse, stamp: Stamp = BARE) -> JSON:
    return json.loads(FACE.render_response(reply, CHAT, stamp))


def foreign(*parts: Part, stop: Stop = "stop", **members: Any) -> ChatResponse:
    choice = Choice(list(parts), stop, extra={"odd": 1}, logprobs={"content": []})
    return ChatResponse(
        "chatcmpl-1",
        "gpt",
        [choice],
        Usage(input=7, cache_read=3, output=5, reasoning=2),
        "openai-chat",
        extra={"system_fingerprint": "fp"},
        **members,
    )


@pytest.mark.parametrize("exchange", cases(ANSWERS))
def test_a_recorded_answer_comes_back_as_it_was(exchange: Exchange) -> None:
    assert rendered(answered(exchange.raw)) == exchange.body


@pytest.mark.parametrize("exchange", cases(ANSWERS))
def test_a_recorded_answer_survives_being_streamed(exchange: Exchange) -> None:
    renderer = Renderer(BARE)
    stream = renderer.render(replay(answered(exchange.raw))) + renderer.close()
    parser = CHAT_PROVIDER.stream_parser(Hints(), BARE)
    reply = gather(parser.feed(stream) + parser.close(), "anthropic")
    assert rendered(reply) == exchange.body


@pytest.mark.parametrize("exchange", cases(ANSWERS))
def test_a_recorded_usage_is_split_into_buckets_that_add_up(exchange: Exchange) -> None:
    raw, usage = exchange.body["usage"], answered(exchange.raw).usage
    assert usage is not None
    assert usage.output_tokens == raw["output_tokens"]
    assert usage.input_tokens == (
        raw["input_tokens"]
        + raw.get("cache_read_input_tokens", 0)
        + raw.get("cache_creation_input_tokens", 0)
    )


def test_another_providers_answer_is_a_message() -> None:
    reply = foreign(
        Reasoning("hm"),
        Text("yes", annotations=[{"type": "url_citation"}]),
        ToolCall("call_1", "look", '{"a": 1}'),
        stop="tool_calls",
    )
    message = judged_message(FACE.render_response(reply, CHAT, STAMP))
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
    assert message.content[2].input == {"a": 1}
    assert (message.id, message.model) == ("msg_0123456789abcdef", "asked")
    assert message.stop_reason == "tool_use"
    assert message.usage.input_tokens == 7
    assert message.usage.cache_read_input_tokens == 3
    assert message.usage.output_tokens == 7
    assert message.usage.output_tokens_details.thinking_tokens == 2


def test_another_dialects_members_do_not_leak() -> None:
    assert {"odd", "system_fingerprint", "logprobs"}.isdisjoint(rendered(foreign(Text("a"))))


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("content_filter", "refusal"),
        ("refusal", "refusal"),
        ("pause", "pause_turn"),
    ],
)
def test_why_another_answer_ended_is_told_in_this_dialects_words(stop: Stop, reason: str) -> None:
    assert rendered(foreign(Text("a"), stop=stop))["stop_reason"] == reason


def test_a_call_makes_the_reason_even_where_its_provider_says_stop() -> None:
    assert rendered(foreign(ToolCall("", "f", "")))["stop_reason"] == "tool_use"


def test_a_refusal_is_text_and_the_reason() -> None:
    body = rendered(foreign(Refusal("I won't")))
    assert body["content"] == [{"type": "text", "text": "I won't"}]
    assert body["stop_reason"] == "refusal"


@pytest.mark.parametrize(
    ("arguments", "custom", "given"),
    [
        ("", False, {}),
        ("null", False, {}),
        ('{"a":1}', False, {"a": 1}),
        ("[1]", False, {"input": [1]}),
        ("not json", False, {"input": "not json"}),
        ('{"a":1}', True, {"input": '{"a":1}'}),
    ],
)
def test_arguments_are_an_object_whatever_the_model_wrote(
    arguments: str, custom: bool, given: JSON
) -> None:
    reply = foreign(ToolCall("c", "f", arguments, custom=custom))
    assert rendered(reply)["content"][0]["input"] == given


def test_calls_without_ids_get_stable_ones() -> None:
    content = rendered(foreign(ToolCall("", "f"), ToolCall("", "f")))["content"]
    assert [b["id"] for b in content] == ["toolu_0123456789abcdef1", "toolu_0123456789abcdef2"]


def test_empty_texts_and_what_has_no_block_are_left_out() -> None:
    reply = foreign(Text(""), Media("image", data="aGk="), Opaque("gemini", {}), Text("x"))
    assert rendered(reply)["content"] == [{"type": "text", "text": "x"}]


@pytest.mark.parametrize(
    "thought",
    [
        Reasoning("why", data="enc", id="rs_1", summary=True),
        Reasoning(data="enc", id="rs_1"),
        Reasoning(data="enc"),
        Reasoning("why", signature="sig"),
        Reasoning("why"),
    ],
)
def test_another_providers_thought_comes_back_with_the_next_request(thought: Reasoning) -> None:
    content = rendered(foreign(thought))["content"]
    body = {"messages": [{"role": "assistant", "content": content}]}
    part = FACE.parse_request(body, Envelope("m")).messages[0].parts[0]
    assert isinstance(part, Reasoning)
    assert (part.text, part.signature, part.data, part.id, part.summary) == (
        thought.text,
        thought.signature,
        thought.data,
        thought.id,
        thought.summary,
    )


def test_usage_of_caches_tools_and_thought_is_split() -> None:
    body = {
        "content": [],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 1,
            "cache_read_input_tokens": 2,
            "cache_creation_input_tokens": 7,
            "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
            "output_tokens": 9,
            "output_tokens_details": {"thinking_tokens": 5},
            "server_tool_use": {"web_search_requests": 6},
            "iterations": [
                {"type": "message", "input_tokens": 1, "output_tokens": 9},
                {"type": "compaction", "input_tokens": 100, "output_tokens": 10},
            ],
        },
    }
    usage = answered(json.dumps(body).encode()).usage
    assert usage == Usage(
        input=101,
        cache_read=2,
        cache_write_5m=3,
        cache_write_1h=4,
        output=14,
        reasoning=5,
        searches=6,
    )


def test_an_error_inside_a_success_keeps_its_own_status() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'
    with pytest.raises(UpstreamError) as caught:
        answered(body)
    assert (caught.value.status, caught.value.message, caught.value.retryable) == (
        529,
        "busy",
        True,
    )


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"content": "x"}', b"\xff"])
def test_what_is_no_answer_is_a_bad_gateway(body: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        answered(body)
    assert caught.value.status == 502


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.none()
        | st.dictionaries(
            st.sampled_from(["type", "text", "thinking", "id", "name", "input", "source"]),
            st.none() | st.text() | st.sampled_from(["text", "tool_use", "image", "tool_result"]),
        )
    ),
    st.none() | st.dictionaries(st.sampled_from(["input_tokens", "iterations"]), st.text()),
)
def test_any_content_is_an_answer(content: list[JSON], usage: JSON) -> None:
    reply = answered(json.dumps({"content": content, "usage": usage}).encode())
    assert rendered(reply)["type"] == "message"
