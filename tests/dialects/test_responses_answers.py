from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.base import Hints, Stamp
from oneapi.dialects.responses import CHAT_PROVIDER, NAME, parse_usage
from oneapi.errors import UpstreamError
from oneapi.ir import (
    ChatResponse,
    Choice,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Stop,
    Text,
    Tool,
    ToolCall,
    Usage,
)
from oneapi.wire.json import JSON
from tests.dialects.responses_recorded import FACE, STAMP, WHOLE, Exchange, parsed

ASKED = {"model": "asked", "input": "hi", "instructions": "be brief", "temperature": 0.5}


def read(body: JSON) -> ChatResponse:
    return CHAT_PROVIDER.parse_response(json.dumps(body).encode(), Hints(), STAMP)


def shown(reply: ChatResponse, asked: JSON = None, stamp: Stamp = STAMP) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FACE.render_response(reply, parsed(asked or ASKED), stamp))
    return found


def answer(*parts: Part, stop: Stop = "stop", usage: Usage | None = None) -> ChatResponse:
    """An answer that came in another dialect."""
    return ChatResponse("chatcmpl-1", "real", [Choice(list(parts), stop)], usage, "elsewhere")


def valid(body: JSON) -> JSON:
    """Checked by OpenAI's own library, where it is installed."""
    responses = pytest.importorskip("openai.types.responses")
    responses.Response.model_validate(body)
    return body


@pytest.mark.parametrize("exchange", WHOLE)
def test_every_recorded_answer_comes_back_as_it_was(exchange: Exchange) -> None:
    assert shown(read(exchange.body), exchange.request) == exchange.body


@pytest.mark.parametrize("exchange", WHOLE)
def test_a_recorded_answer_says_the_same_where_its_items_are_forgotten(
    exchange: Exchange,
) -> None:
    reply = read(exchange.body)
    reply.extra = {}

    again = read(shown(reply, exchange.request))

    assert _said(again.choices[0].parts) == _said(reply.choices[0].parts)
    assert (again.usage, again.raw_usage) == (reply.usage, reply.raw_usage)
    assert (again.id, again.model, again.created) == (reply.id, reply.model, reply.created)
    assert again.choices[0].stop == reply.choices[0].stop


def _said(parts: list[Part]) -> list[Part]:
    return [replace(p, item_id="") if isinstance(p, ToolCall) else p for p in parts]


@pytest.mark.parametrize("exchange", WHOLE)
def test_every_recorded_answer_tells_its_usage(exchange: Exchange) -> None:
    usage = parse_usage(exchange.body)

    assert usage is not None
    assert usage.input_tokens == exchange.body["usage"]["input_tokens"]
    assert usage.input_tokens + usage.output_tokens == exchange.body["usage"]["total_tokens"]


def test_an_answer_keeps_what_was_not_changed_on_the_way() -> None:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "phase": "final_answer"}
    first = {**message, "content": [{"type": "output_text", "text": "a"}]}
    second = {**message, "content": [{"type": "output_text", "text": "b"}]}
    body = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "x"}
    reply = read({**body, "status": "completed", "output": [first, second], "usage": None})
    reply.choices[0].parts[1] = Text("changed")

    output = shown(reply)["output"]

    assert output[0] == first
    assert output[1]["content"][0]["text"] == "changed"


def test_an_answer_of_another_dialect_is_a_whole_response() -> None:
    usage = Usage(input=5, cache_read=3, cache_write_5m=2, output=4, reasoning=6)
    reply = answer(Text("hello"), usage=usage)

    body = valid(shown(reply, stamp=replace(STAMP, model="asked")))

    assert body["output"] == [
        {
            "id": "msg_0123456789abcdef0001",
            "type": "message",
            "status": "completed",
            "content": [
                {"type": "output_text", "annotations": [], "logprobs": [], "text": "hello"}
            ],
            "role": "assistant",
        }
    ]
    assert body["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
        "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 6},
        "total_tokens": 20,
    }
    assert (body["id"], body["status"]) == ("resp_0123456789abcdef", "completed")
    assert (body["model"], body["created_at"]) == ("asked", STAMP.created)


def test_the_request_is_repeated() -> None:
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    asked = {
        **ASKED,
        "tools": [tool],
        "tool_choice": {"type": "function", "name": "f"},
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_object"}},
        "metadata": {"a": "b"},
        "store": False,
        "max_output_tokens": 50,
        "parallel_tool_calls": False,
    }

    body = valid(shown(answer(Text("x")), asked))

    assert body["tools"] == [{**tool, "description": None, "strict": True}]
    assert body["text"] == {"format": {"type": "json_object"}, "verbosity": "medium"}
    assert body["reasoning"] == {"effort": "low", "summary": None}
    for name in ("instructions", "temperature", "tool_choice", "metadata", "store"):
        assert body[name] == asked[name]
    assert (body["max_output_tokens"], body["parallel_tool_calls"]) == (50, False)


def test_parallel_calls_are_items_of_their_own() -> None:
    reply = answer(
        Text("ok"), ToolCall("c1", "f", "{}"), ToolCall("", "f", '{"a":1}'), stop="tool_calls"
    )

    output = valid(shown(reply))["output"]

    assert [item["type"] for item in output] == ["message", "function_call", "function_call"]
    assert (output[1]["call_id"], output[2]["arguments"]) == ("c1", '{"a":1}')
    assert output[2]["call_id"].startswith("call_0123456789abcdef")
    assert len({item["id"] for item in output}) == 3


def test_a_custom_tools_text_is_taken_out_of_the_function_that_it_became() -> None:
    space = {"type": "namespace", "name": "n", "description": "d"}
    tools = [{"type": "custom", "name": "g"}]
    asked = {**ASKED, "tools": [{**space, "tools": tools}]}
    reply = answer(ToolCall("c", "n__g", '{"input":"a text"}'))

    call = valid(shown(reply, asked))["output"][0]

    assert (call["type"], call["name"], call["namespace"]) == ("custom_tool_call", "g", "n")
    assert call["input"] == "a text"


def test_a_thought_of_others_is_shown_and_can_be_sent_back() -> None:
    thought = Reasoning("thinking", signature="sig", data="hidden")

    item = valid(shown(answer(thought, Text("x"))))["output"][0]
    back = parsed({"model": "m", "input": [item, {"role": "assistant", "content": "x"}]})

    assert item["summary"] == [{"type": "summary_text", "text": "thinking"}]
    assert back.messages[0].parts[0] == thought


def test_a_calls_signature_can_be_sent_back() -> None:
    call = ToolCall("c", "f", "{}", signature="sig")

    output = valid(shown(answer(call)))["output"]
    back = parsed({"model": "m", "input": output})

    assert [item["type"] for item in output] == ["function_call", "reasoning"]
    assert [p.signature for p in back.messages[0].parts if isinstance(p, ToolCall)] == ["sig"]


def test_what_others_encrypted_is_sealed_and_theirs_again() -> None:
    item = shown(answer(Reasoning(data="gAAA", id="their-1")))["output"][0]
    back = parsed({"model": "m", "input": [item, {"role": "assistant", "content": "x"}]})

    assert item["summary"] == []
    assert back.messages[0].parts[0] == Reasoning(data="gAAA", id="their-1")


def test_a_refusal_and_a_picture_have_forms_of_their_own() -> None:
    picture = Media("image", data="QUJD", media_type="image/png")

    output = valid(shown(answer(Refusal("no"), picture)))["output"]

    assert output[0]["content"] == [{"type": "refusal", "refusal": "no"}]
    assert (output[1]["type"], output[1]["result"]) == ("image_generation_call", "QUJD")


@pytest.mark.parametrize(
    ("stop", "reason"),
    [("length", "max_output_tokens"), ("content_filter", "content_filter")],
)
def test_an_answer_that_was_cut_says_so(stop: Stop, reason: str) -> None:
    body = valid(shown(answer(Text("hal"), stop=stop)))

    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert body["output"][-1]["status"] == "incomplete"
    assert read(body).choices[0].stop == stop


def test_a_chats_citation_is_one_here() -> None:
    inner = {"url": "https://x.test", "title": "t", "start_index": 1, "end_index": 2}
    note = {"type": "url_citation", "url_citation": inner}
    odd = {"type": "char_location"}

    body = valid(shown(answer(Text("x", annotations=[note, odd]))))

    assert body["output"][0]["content"][0]["annotations"] == [{"type": "url_citation", **inner}]


def test_log_probabilities_stand_with_the_text() -> None:
    entry = {"token": "x", "logprob": -0.5, "bytes": [120], "top_logprobs": []}
    reply = answer(Text("x"))
    reply.choices[0].logprobs = {"content": [entry]}

    body = valid(shown(reply))

    assert body["output"][0]["content"][0]["logprobs"] == [entry]
    assert read(body).choices[0].logprobs == {"content": [entry]}


def test_of_several_answers_the_first_is_told() -> None:
    reply = answer(Text("b"))
    reply.choices.append(Choice([Text("a")], "stop", index=0))
    reply.choices[0].index = 1

    assert shown(reply)["output"][0]["content"][0]["text"] == "a"


def test_items_of_hosted_tools_are_opaque() -> None:
    search = {"type": "web_search_call", "id": "ws", "status": "completed"}
    reply = read({"status": "completed", "output": [search, 7]})

    assert reply.choices[0].parts == [Opaque(NAME, search), Opaque(NAME, 7)]


@pytest.mark.parametrize(
    ("status", "details", "calls", "stop"),
    [
        ("completed", None, False, "stop"),
        ("completed", None, True, "tool_calls"),
        ("incomplete", {"reason": "max_output_tokens"}, True, "length"),
        ("incomplete", {"reason": "content_filter"}, False, "content_filter"),
        ("incomplete", {"reason": "brand_new"}, False, "length"),
    ],
)
def test_why_an_answer_ended(status: str, details: JSON, calls: bool, stop: str) -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    body = {"status": status, "incomplete_details": details, "output": [call] if calls else []}

    assert read(body).choices[0].stop == stop


@pytest.mark.parametrize(
    ("code", "status", "retryable"),
    [
        ("server_error", 502, True),
        ("rate_limit_exceeded", 429, True),
        ("invalid_prompt", 400, False),
        ("image_too_large", 400, False),
        ("context_length_exceeded", 400, False),
        ("odd", 502, True),
    ],
)
def test_a_failed_answer_is_its_providers_error(code: str, status: int, retryable: bool) -> None:
    with pytest.raises(UpstreamError, match="sorry") as caught:
        read({"status": "failed", "error": {"code": code, "message": "sorry"}, "output": []})

    error = caught.value
    assert (error.status, error.code, error.retryable) == (status, code, retryable)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"{}", b'{"output":7}', b"\xff"])
def test_what_is_no_answer_is_a_bad_gateway(body: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        CHAT_PROVIDER.parse_response(body, Hints(), STAMP)

    assert caught.value.status == 502


ITEMS = st.sampled_from(["message", "reasoning", "function_call", "custom_tool_call", "x", 7])
ANY = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "text", "content", "summary", "arguments", "name", "id", "usage"]
            ),
            inner | ITEMS,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(ANY, st.binary(max_size=20))
def test_any_answer_is_read_or_refused(output: JSON, noise: bytes) -> None:
    body = json.dumps({"status": "completed", "output": [output], "usage": output}).encode()
    for raw in (body, body[: len(body) // 2] + noise, noise):
        try:
            reply = CHAT_PROVIDER.parse_response(raw, Hints(), STAMP)
        except UpstreamError:
            continue
        shown(reply)


def test_tools_of_the_request_alone_name_calls() -> None:
    chat = parsed(ASKED)
    chat.tools = [Tool("g", kind="hosted", dialect=NAME, data={"type": "g"})]

    body = json.loads(FACE.render_response(answer(ToolCall("c", "g", "{}")), chat, STAMP))

    assert body["output"][0]["type"] == "function_call"
