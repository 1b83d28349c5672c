"""Requests of other dialects in DashScope's own format: what is said, dropped by name, refused."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from oneapi.dialects.base import Hints, Outgoing
from oneapi.dialects.dashscope import CHAT_PROVIDER
from oneapi.dialects.dashscope_shapes import MULTIMODAL, TEXT
from oneapi.errors import ApiError
from oneapi.ir import (
    ChatRequest,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from oneapi.wire.json import JSON
from tests.dialects.native_recorded import asks, user

PICTURE = Media("image", data="AA==", media_type="image/png")
WEATHER = Tool("weather", "of a city", {"type": "object"})
TIME = Tool("time", schema={"type": "object"})


def render(chat: ChatRequest, **options: JSON) -> Outgoing:
    before = copy.deepcopy(chat)
    out = CHAT_PROVIDER.render_request(chat, "qwen-x", Hints(options=options))
    assert chat == before, "a renderer never changes a request"
    return out


def body(chat: ChatRequest, **options: JSON) -> Any:
    return json.loads(render(chat, **options).body)


def test_a_plain_chat_asks_for_messages() -> None:
    assert body(asks(user("hi"))) == {
        "model": "qwen-x",
        "input": {"messages": [{"role": "user", "content": "hi"}]},
        "parameters": {"result_format": "message"},
    }


def test_a_stream_is_asked_for_by_a_header_and_piecewise() -> None:
    out = render(asks(user("hi"), stream=True))
    assert out.streams
    assert (b"x-dashscope-sse", b"enable") in out.headers
    assert json.loads(out.body)["parameters"]["incremental_output"] is True


def test_a_channel_may_take_whole_texts_in_streams() -> None:
    parameters = body(asks(user("hi"), stream=True), incremental_output=False)["parameters"]
    assert parameters["incremental_output"] is False


def test_parameters_have_the_vendors_names() -> None:
    chat = asks(
        user("hi"),
        max_output=9,
        temperature=0.0,
        top_p=0.5,
        top_k=3,
        seed=1,
        presence_penalty=0.1,
        n=2,
        logprobs=True,
        top_logprobs=2,
        parallel_tools=True,
        stop=["x"],
    )
    assert body(chat)["parameters"] == {
        "result_format": "message",
        "max_tokens": 9,
        "temperature": 0.0,
        "top_p": 0.5,
        "top_k": 3,
        "seed": 1,
        "presence_penalty": 0.1,
        "n": 2,
        "logprobs": True,
        "top_logprobs": 2,
        "parallel_tool_calls": True,
        "stop": ["x"],
    }


def test_what_the_format_cannot_say_is_named() -> None:
    chat = asks(
        Message("user", [Text("a", cache="1h", extra={"x": 1})], extra={"y": 1}),
        frequency_penalty=0.0,
        user="u",
        verbosity="low",
        service_tier="flex",
        cache_key="k",
        modalities=["text", "audio"],
        extra={"logit_bias": {}},
        tools=[Tool("w", kind="hosted", dialect="anthropic"), Tool("f", strict=True, cache="5m")],
    )
    assert set(render(chat).dropped) == {
        "frequency_penalty",
        "user",
        "verbosity",
        "service_tier",
        "prompt_cache_key",
        "modalities",
        "logit_bias",
        "messages[0].y",
        "messages[0].content[0].x",
        "messages[0].content[0].cache_control",
        "tools[0]",
        "tools[1].strict",
        "tools[1].cache_control",
    }


def test_pictures_go_to_the_other_endpoint_as_items() -> None:
    out = render(asks(Message("user", [PICTURE, Text("what?")]), user("and?")))
    assert out.operation == MULTIMODAL
    assert json.loads(out.body)["input"]["messages"] == [
        {"role": "user", "content": [{"image": "data:image/png;base64,AA=="}, {"text": "what?"}]},
        {"role": "user", "content": [{"text": "and?"}]},
    ]


@pytest.mark.parametrize(
    ("option", "operation"),
    [
        (True, MULTIMODAL),
        (["qwen-*"], MULTIMODAL),
        (["other-*"], TEXT),
        (False, TEXT),
        (None, TEXT),
    ],
)
def test_the_channel_knows_which_models_have_eyes(option: JSON, operation: str) -> None:
    assert render(asks(user("hi")), multimodal=option).operation == operation


def test_media_in_the_vendors_store_are_looked_up() -> None:
    chat = asks(Message("user", [Media("audio", url="oss://bucket/1.wav")]))
    assert (b"x-dashscope-ossresourceresolve", b"enable") in render(chat).headers


@pytest.mark.parametrize(
    "part", [Media("file", data="AA=="), Media("file", file_id="f"), Media("image", file_id="f")]
)
def test_what_must_not_be_left_out_is_refused(part: Media) -> None:
    with pytest.raises(ApiError) as raised:
        render(asks(Message("user", [Text("read"), part])))
    assert (raised.value.status, raised.value.param) == (400, "messages[0].content[1]")


def test_a_document_of_text_is_text() -> None:
    chat = asks(Message("user", [Media("file", text="lorem"), Text("sum up")]))
    assert body(chat)["input"]["messages"][0]["content"] == "lorem\nsum up"


def test_calls_and_results_are_joined_by_ids() -> None:
    chat = asks(
        user("weather?"),
        Message("assistant", [Reasoning("hm"), ToolCall("", "weather", '{"city":"Rome"}')]),
        Message("tool", [ToolResult("", [Text("sunny")], name="weather")]),
    )
    assert body(chat)["input"]["messages"][1:] == [
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "hm",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city":"Rome"}'},
                }
            ],
        },
        {"role": "tool", "content": "sunny", "tool_call_id": "call_1", "name": "weather"},
    ]


def test_results_among_a_users_parts_come_first() -> None:
    result = ToolResult("c", [Text("1")], name="f", error=True)
    out = render(asks(Message("user", [Text("go on"), result])))
    assert json.loads(out.body)["input"]["messages"] == [
        {"role": "tool", "content": "1", "tool_call_id": "c", "name": "f"},
        {"role": "user", "content": "go on"},
    ]
    assert out.dropped == ["messages[0].content[1].is_error"]


def test_thoughts_of_earlier_turns_stay_away() -> None:
    chat = asks(user("a"), Message("assistant", [Reasoning("hm"), Text("b")]), user("c"))
    assert "reasoning_content" not in body(chat)["input"]["messages"][1]


def test_a_developers_words_are_the_systems_and_a_refusal_is_text() -> None:
    chat = asks(
        Message("developer", [Text("be brief")]), Message("assistant", [Refusal("no")]), user("x")
    )
    assert [(m["role"], m["content"]) for m in body(chat)["input"]["messages"]] == [
        ("system", "be brief"),
        ("assistant", "no"),
        ("user", "x"),
    ]


def test_a_part_of_another_dialect_is_dropped() -> None:
    chat = asks(Message("user", [Text("x"), Opaque("anthropic", {"type": "search_result"})]))
    assert render(chat).dropped == ["messages[0].content[1]"]


def test_marks_of_a_cache_are_sent_where_the_channel_says_so() -> None:
    chat = asks(Message("system", [Text("long", cache="5m")]), user("x"))
    messages = body(chat, cache_marks=True)["input"]["messages"]
    marked = {"text": "long", "cache_control": {"type": "ephemeral"}}
    assert [message["content"] for message in messages] == [[marked], "x"]


def test_a_tool_of_free_text_becomes_a_function_in_what_was_said() -> None:
    chat = asks(Message("assistant", [ToolCall("c", "patch", "*** Begin", custom=True)]), user("x"))
    call = body(chat)["input"]["messages"][0]["tool_calls"][0]
    assert json.loads(call["function"]["arguments"]) == {"input": "*** Begin"}


@pytest.mark.parametrize(
    ("choice", "expected", "names", "dropped"),
    [
        (ToolChoice("auto"), "auto", ["weather", "time"], []),
        (ToolChoice("none"), "none", ["weather", "time"], []),
        (ToolChoice("required"), None, ["weather", "time"], ["tool_choice"]),
        (
            ToolChoice("required", ["time"]),
            {"type": "function", "function": {"name": "time"}},
            ["time"],
            [],
        ),
        (ToolChoice("auto", ["weather"]), "auto", ["weather"], []),
    ],
)
def test_a_choice_of_tools_is_said_as_far_as_there_are_words(
    choice: ToolChoice, expected: JSON, names: list[str], dropped: list[str]
) -> None:
    out = render(asks(user("x"), tools=[WEATHER, TIME], tool_choice=choice))
    parameters = json.loads(out.body)["parameters"]
    assert parameters.get("tool_choice") == expected
    assert [tool["function"]["name"] for tool in parameters["tools"]] == names
    assert out.dropped == dropped


def test_one_tool_that_must_be_called_is_named() -> None:
    chat = asks(user("x"), tools=[WEATHER], tool_choice=ToolChoice("required"))
    assert body(chat)["parameters"]["tool_choice"]["function"] == {"name": "weather"}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (OutputFormat("text"), {"type": "text"}),
        (OutputFormat("json"), {"type": "json_object"}),
        (
            OutputFormat("json", {"type": "object"}, strict=True),
            {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": {"type": "object"}},
            },
        ),
    ],
)
def test_an_output_format_is_said(wanted: OutputFormat, expected: JSON) -> None:
    assert body(asks(user("x"), format=wanted))["parameters"]["response_format"] == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Thinking(enabled=True, budget=9), {"enable_thinking": True, "thinking_budget": 9}),
        (Thinking(enabled=False, budget=9), {"enable_thinking": False}),
        (Thinking(effort="none"), {"enable_thinking": False}),
        (Thinking(effort="high"), {"enable_thinking": True}),
        (Thinking(adaptive=True), {"enable_thinking": True}),
        (Thinking(show=True), {}),
    ],
)
def test_thinking_is_switched(wanted: Thinking, expected: JSON) -> None:
    parameters = body(asks(user("x"), thinking=wanted))["parameters"]
    assert {k: v for k, v in parameters.items() if "thinking" in k} == expected


def test_a_channels_defaults_yield_to_the_request() -> None:
    options: dict[str, JSON] = {"enable_search": True, "enable_thinking": False, "num_ctx": 1}
    parameters = body(asks(user("x"), thinking=Thinking(enabled=True)), **options)["parameters"]
    assert parameters == {
        "result_format": "message",
        "enable_thinking": True,
        "enable_search": True,
    }


def test_headers_of_the_channel_are_sent() -> None:
    headers = render(asks(user("x")), workspace="ws", data_inspection="enable").headers
    assert headers == [
        (b"x-dashscope-workspace", b"ws"),
        (b"x-dashscope-datainspection", b"enable"),
    ]


def test_half_a_letter_is_refused() -> None:
    with pytest.raises(ApiError) as raised:
        render(asks(user("\ud83d")))
    assert raised.value.status == 400
