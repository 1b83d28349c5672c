"""Answers of OpenAI's chat, parsed whole from whichever server and rendered for clients."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from oneapi.dialects.base import Hints, Stamp
from oneapi.dialects.openai import CHAT_PROVIDER, FACES
from oneapi.dialects.openai_chat_replies import citation
from oneapi.dialects.openai_chat_shapes import Thought
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

CHAT = ChatRequest("asked", [], "openai-chat")
STAMP = Stamp("0123456789abcdef", 1_790_000_000)


def parse(body: JSON, hints: Hints | None = None) -> ChatResponse:
    return CHAT_PROVIDER.parse_response(json.dumps(body).encode(), hints or Hints(), STAMP)


def answered(message: JSON, reason: str = "stop", **members: JSON) -> Choice:
    choice = {"index": 0, "message": message, "finish_reason": reason, **members}
    return parse({"id": "1", "model": "m", "choices": [choice]}).choices[0]


def failed(body: bytes) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        CHAT_PROVIDER.parse_response(body, Hints(), STAMP)
    return caught.value


def foreign(*parts: Part, stop: Stop = "stop", chat: ChatRequest = CHAT) -> JSON:
    """The choice that a client hears of an answer in another dialect."""
    reply = ChatResponse("1", "m", [Choice(list(parts), stop)], None, "other")
    return json.loads(FACES["chat"].render_response(reply, chat, STAMP))["choices"][0]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"content": "a"}, [Text("a")]),
        ({"content": None, "refusal": "no"}, [Refusal("no")]),
        ({"content": {"a": 1}}, [Text('{"a":1}')]),
        ({"content": "a", "reasoning": "t"}, [Thought("t", member="reasoning"), Text("a")]),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"text": "t"}]},
                    {"type": "text", "text": "a"},
                ]
            },
            [Thought("t", member="thinking"), Text("a")],
        ),
        (
            {"content": [{"type": "reference", "reference_ids": [1]}]},
            [Opaque("openai-chat", {"type": "reference", "reference_ids": [1]})],
        ),
        (
            {"content": "a", "annotations": [{"type": "url_citation"}]},
            [Text("a", annotations=[{"type": "url_citation"}])],
        ),
        (
            {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
            [Media("image", data="AA==", media_type="image/png")],
        ),
        (
            {"audio": {"id": "i", "data": "AA==", "transcript": "t"}},
            [Media("audio", data="AA==", file_id="i", extra={"transcript": "t"})],
        ),
        ({"function_call": {"name": "f", "arguments": "{}"}}, [ToolCall("", "f", "{}")]),
        (
            {"tool_calls": [{"id": "c", "custom": {"name": "f", "input": "x"}}]},
            [ToolCall("c", "f", "x", custom=True)],
        ),
    ],
)
def test_messages_of_many_servers(message: JSON, expected: list[Part]) -> None:
    assert answered(message).parts == expected


@pytest.mark.parametrize(
    ("word", "stop"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("length", "length"),
        ("MAX_TOKENS", "length"),
        ("content_filter", "content_filter"),
        ("sensitive", "content_filter"),
        ("network_error", "error"),
        ("whatever", "stop"),
    ],
)
def test_finish_reasons(word: str, stop: str) -> None:
    choice = answered({"content": "a"}, word)
    assert (choice.stop, choice.native_stop) == (stop, word)


def test_a_forced_call_ends_with_stop_and_stops_for_the_call() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    choice = answered({"content": None, "tool_calls": [call]}, "stop")
    assert (choice.stop, choice.native_stop) == ("tool_calls", "stop")


def test_usage_is_found_where_a_server_hides_it() -> None:
    counts = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    choices = [{"message": {"content": "a"}}]
    for body in (
        {"choices": choices, "usage": counts},
        {"choices": choices, "x_groq": {"usage": counts}},
        {"choices": [{**choices[0], "usage": counts}]},
    ):
        assert parse(body).usage == Usage(input=3, output=2)


def test_reasoning_outside_the_output_is_counted_by_hint() -> None:
    counts = {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "completion_tokens_details": {"reasoning_tokens": 4},
    }
    body = {"choices": [{"message": {"content": "a"}}], "usage": counts}
    usage = parse(body, Hints(output_excludes_reasoning=True)).usage
    assert usage == Usage(input=3, output=2, reasoning=4)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"error": {"message": "no", "code": 429}}, 429, "no"),
        ({"error": {"message": "no", "code": 503}}, 502, "no"),
        ({"error": "no"}, 502, "no"),
        (
            {"choices": [{"error": {"code": 400, "message": "no"}, "finish_reason": "error"}]},
            400,
            "no",
        ),
        ({"base_resp": {"status_code": 1004, "status_msg": "no"}}, 502, "no"),
        ({"error_code": 17, "error_msg": "no"}, 502, "no"),
        ({"choices": []}, 502, "the provider's answer has no `choices`"),
        ({}, 502, "the provider's answer has no `choices`"),
        ([], 502, "the provider's answer is not a JSON object"),
    ],
)
def test_errors_inside_a_success_are_found(body: JSON, status: int, message: str) -> None:
    error = failed(json.dumps(body).encode())
    assert (error.status, error.message) == (status, message)


@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b'"a"', b"{"])
def test_what_is_no_answer_may_be_tried_elsewhere(body: bytes) -> None:
    error = failed(body)
    assert (error.status, error.retryable) == (502, True)


def test_an_answer_of_another_dialect_has_all_a_client_needs() -> None:
    usage = Usage(input=3, cache_read=2, output=4, reasoning=1)
    reply = ChatResponse("", "", [Choice([Text("a")], "stop")], usage, "other", extra={"odd": 1})
    body = json.loads(FACES["chat"].render_response(reply, CHAT, STAMP))
    assert body == {
        "id": "chatcmpl-0123456789abcdef",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "asked",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "a", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 5,
            "completion_tokens": 5,
            "total_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 1, "audio_tokens": 0},
        },
    }


def test_the_asked_name_is_put_back() -> None:
    reply = ChatResponse("1", "served", [Choice([], "stop")], None, "openai-chat")
    body = json.loads(FACES["chat"].render_response(reply, CHAT, replace(STAMP, model="asked")))
    assert body["model"] == "asked"


@pytest.mark.parametrize(
    ("stop", "word"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause", "stop"),
    ],
)
def test_stops_in_this_dialects_words(stop: Stop, word: str) -> None:
    assert foreign(Text("a"), stop=stop)["finish_reason"] == word


def test_signed_thoughts_come_back_from_the_client_as_they_went() -> None:
    parts: list[Part] = [
        Reasoning("one", "sig-1"),
        Reasoning(data="sealed"),
        Text("a"),
        ToolCall("c", "f", "{}", signature="sig-2"),
    ]
    message = foreign(*parts, stop="tool_calls")["message"]
    assert message["reasoning_content"] == "one"
    body = {"model": "m", "messages": [message]}
    sent = FACES["chat"].parse_request(body, Envelope("m")).messages[0].parts
    thoughts = [(t.text, t.signature, t.data) for t in sent if isinstance(t, Reasoning)]
    assert thoughts == [("one", "sig-1", ""), ("", "", "sealed")]
    assert sent[-1] == parts[-1]


def test_plain_thoughts_have_no_details() -> None:
    message = foreign(Reasoning("t"), Text("a"))["message"]
    assert message["reasoning_content"] == "t"
    assert "reasoning_details" not in message


def test_calls_without_ids_get_some() -> None:
    calls = foreign(ToolCall("", "f"), ToolCall("", "g"))["message"]["tool_calls"]
    assert [call["id"] for call in calls] == [
        "call_0123456789abcdef_0",
        "call_0123456789abcdef_1",
    ]


def test_a_client_that_offered_functions_hears_of_a_function_call() -> None:
    body = {"model": "m", "messages": [], "functions": [{"name": "f"}]}
    chat = FACES["chat"].parse_request(body, Envelope("m"))
    choice = foreign(ToolCall("c", "f", "{}"), stop="tool_calls", chat=chat)
    assert choice["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert choice["finish_reason"] == "function_call"


def test_images_that_a_model_made_are_shown() -> None:
    message = foreign(Media("image", data="AA==", media_type="image/png"))["message"]
    assert message["images"][0]["image_url"]["url"] == "data:image/png;base64,AA=="


@pytest.mark.parametrize(
    ("annotation", "url"),
    [
        ({"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 3}, "u"),
        ({"type": "web_search_result_location", "url": "u", "title": "t"}, "u"),
        ({"web": {"uri": "u", "title": "t"}}, "u"),
        ({"type": "url_citation", "url_citation": {"url": "u", "title": "t"}}, "u"),
    ],
)
def test_citations_of_other_dialects(annotation: JSON, url: str) -> None:
    found = citation(annotation, 0, 3)["url_citation"]
    assert found == {"url": url, "title": "t", "start_index": 0, "end_index": 3}


@pytest.mark.parametrize("annotation", [None, {}, {"file_id": "f"}, {"url": 1}])
def test_what_cites_no_address_is_left_out(annotation: JSON) -> None:
    assert citation(annotation, 0, 3) is None


def test_a_character_in_halves_stays_whole_in_escapes() -> None:
    content = foreign(Text("\ud83d"), Text("\ude00"))["message"]["content"]
    assert content == "\U0001f600"


def test_what_a_thought_refers_to_comes_back_where_it_stood() -> None:
    thought = {
        "type": "thinking",
        "thinking": [{"type": "text", "text": "t"}, {"type": "reference", "reference_ids": [1]}],
    }
    content = [thought, {"type": "text", "text": "a"}]
    body = {"id": "1", "model": "m", "choices": [{"index": 0, "message": {"content": content}}]}
    answer = json.loads(FACES["chat"].render_response(parse(body), CHAT, STAMP))

    assert answer["choices"][0]["message"]["content"] == content
