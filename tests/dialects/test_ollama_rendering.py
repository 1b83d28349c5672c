from __future__ import annotations

from dataclasses import replace

import pytest

from oneapi.dialects.ollama_rendering import render
from oneapi.errors import ApiError
from oneapi.ir import (
    ChatRequest,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from oneapi.wire.json import JSON
from tests.dialects.ollama_recorded import parsed

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}}
HI = Message("user", [Text("hi")])


def foreign(*messages: Message) -> ChatRequest:
    return ChatRequest("m", list(messages or (HI,)), "another")


def body(chat: ChatRequest, think: JSON = None) -> JSON:
    return render(chat, think=think)[0]


def test_members_become_options() -> None:
    chat = replace(
        foreign(), max_output=7, temperature=0.5, top_p=0.9, seed=1, stop=["a"], stream=True
    )
    assert body(chat) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "options": {"num_predict": 7, "temperature": 0.5, "top_p": 0.9, "seed": 1, "stop": ["a"]},
    }


def test_arguments_become_objects_and_results_are_messages_of_their_own() -> None:
    chat = foreign(
        Message("assistant", [Text("so"), ToolCall("c1", "f", '{"x":1}'), ToolCall("c2", "g")]),
        Message(
            "user",
            [
                ToolResult("c1", [Text("one"), Media("image", data="QUJD")]),
                ToolResult("c2", [Text("two")]),
                Text("go on"),
            ],
        ),
    )
    assert body(chat)["messages"] == [
        {
            "role": "assistant",
            "content": "so",
            "tool_calls": [
                {"id": "c1", "function": {"name": "f", "arguments": {"x": 1}}},
                {"id": "c2", "function": {"name": "g", "arguments": {}}},
            ],
        },
        {
            "role": "tool",
            "content": "one",
            "images": ["QUJD"],
            "tool_name": "f",
            "tool_call_id": "c1",
        },
        {"role": "tool", "content": "two", "tool_name": "g", "tool_call_id": "c2"},
        {"role": "user", "content": "go on"},
    ]


@pytest.mark.parametrize("arguments", ["*** Begin Patch", "[1]", '{"x":'])
def test_arguments_that_are_no_object_become_one(arguments: str) -> None:
    chat = foreign(Message("assistant", [ToolCall("c", "patch", arguments, custom=True)]))
    call = body(chat)["messages"][0]["tool_calls"][0]
    assert call["function"]["arguments"] == {"input": arguments}


def test_a_developer_is_a_system_and_thoughts_go_along() -> None:
    chat = foreign(
        Message("developer", [Text("be"), Text("brief")]),
        Message("assistant", [Reasoning("hm", signature="s"), Text("yes")]),
    )
    assert body(chat)["messages"] == [
        {"role": "system", "content": "be\nbrief"},
        {"role": "assistant", "content": "yes", "thinking": "hm"},
    ]


def test_a_text_document_is_text() -> None:
    document = Media("file", text="the plan", filename="plan.txt")
    assert body(foreign(Message("user", [document])))["messages"][0]["content"] == "the plan"


@pytest.mark.parametrize(
    "part",
    [
        Media("audio", data="QUJD", media_type="audio/wav"),
        Media("file", data="QUJD", media_type="application/pdf"),
        Media("image", file_id="file-1"),
        Media("video", url="https://example.org/a.mp4"),
    ],
)
def test_media_it_cannot_take_are_refused_by_name(part: Part) -> None:
    with pytest.raises(ApiError) as caught:
        render(foreign(HI, Message("user", [Text("what?"), part])))
    assert (caught.value.status, caught.value.param) == (400, "messages[1].content[1]")


@pytest.mark.parametrize(
    ("chat", "param"),
    [
        (replace(foreign(), n=2), "n"),
        (replace(foreign(), modalities=["text", "audio"]), "modalities"),
    ],
)
def test_what_must_not_be_dropped_is_refused(chat: ChatRequest, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        render(chat)
    assert caught.value.param == param


def test_what_is_dropped_is_named_once() -> None:
    chat = replace(
        foreign(
            Message("user", [Text("a", cache="5m"), Text("b", cache="5m")], name="bob"),
            Message("assistant", [Opaque("another", {"type": "x"}), Reasoning(data="secret")]),
            Message("tool", [ToolResult("c", [], error=True)], extra={"odd": 1}),
        ),
        tools=[Tool("web_search", kind="hosted", dialect="another"), Tool("f", cache="1h")],
        tool_choice=ToolChoice("required"),
        parallel_tools=False,
        user="u",
        extra={"logit_bias": {"1": 2}},
    )
    assert set(render(chat)[1]) == {
        "messages[0].name",
        "messages[0].content[0].cache_control",
        "messages[0].content[1].cache_control",
        "messages[1].content[0]",
        "messages[1].content[1]",
        "messages[2].odd",
        "messages[2].content[0].is_error",
        "tools[0]",
        "tools[1].cache_control",
        "tool_choice",
        "parallel_tool_calls",
        "user",
        "logit_bias",
    }


def test_tools() -> None:
    chat = replace(foreign(), tools=[Tool("f", "does f", SCHEMA), Tool("g")])
    empty = {"type": "object", "properties": {}}
    assert body(chat)["tools"] == [
        {
            "type": "function",
            "function": {"name": "f", "description": "does f", "parameters": SCHEMA},
        },
        {"type": "function", "function": {"name": "g", "description": "", "parameters": empty}},
    ]


def test_a_choice_is_made_by_the_tools_that_are_sent() -> None:
    chat = replace(foreign(), tools=[Tool("f"), Tool("g")])
    assert "tools" not in body(replace(chat, tool_choice=ToolChoice("none")))
    one = body(replace(chat, tool_choice=ToolChoice("required", ["g"])))
    assert [tool["function"]["name"] for tool in one["tools"]] == ["g"]


def test_format() -> None:
    assert body(replace(foreign(), format=OutputFormat("json")))["format"] == "json"
    assert body(replace(foreign(), format=OutputFormat("json", SCHEMA)))["format"] == SCHEMA
    assert "format" not in body(replace(foreign(), format=OutputFormat("text")))


@pytest.mark.parametrize(
    ("thinking", "option", "sent"),
    [
        (None, None, None),
        (None, False, False),
        (None, "low", "low"),
        (None, "levels", None),
        (None, "never", None),
        (Thinking(effort="high"), None, True),
        (Thinking(effort="high"), "levels", "high"),
        (Thinking(effort="minimal"), "levels", "low"),
        (Thinking(effort="xhigh"), "levels", "high"),
        (Thinking(effort="none"), "levels", False),
        (Thinking(effort="high"), False, True),
        (Thinking(budget=2048, enabled=True), "levels", True),
        (Thinking(budget=0), None, False),
        (Thinking(enabled=False), None, False),
        (Thinking(adaptive=True), None, True),
        (Thinking(summary="auto"), None, None),
        (Thinking(effort="high"), "never", None),
        (Thinking(enabled=False), "never", None),
    ],
)
def test_think(thinking: Thinking | None, option: JSON, sent: JSON) -> None:
    assert body(replace(foreign(), thinking=thinking), option).get("think") == sent


def test_thinking_that_a_model_never_does_is_named() -> None:
    chat = replace(foreign(), thinking=Thinking(effort="high"))
    assert render(chat, think="never")[1] == ["thinking"]
    assert render(replace(chat, thinking=Thinking(effort="none")), think="never")[1] == []


def test_rendering_changes_nothing() -> None:
    turns = [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}]
    chat = parsed({"model": "m", "messages": turns})
    first = body(chat)
    first["messages"][0]["tool_calls"][0]["function"]["name"] = "changed"
    assert body(chat)["messages"] == turns


def test_a_system_prompt_that_the_gateway_adds_goes_into_an_ollama_clients_request() -> None:
    chat = parsed({"model": "m", "messages": [{"role": "user", "content": "hi"}]})
    forced = replace(chat, messages=[Message("system", [Text("be brief")]), *chat.messages])
    assert body(forced)["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi"},
    ]


def test_a_limit_that_the_gateway_lowers_is_sent() -> None:
    chat = parsed({"model": "m", "options": {"num_predict": -1, "seed": 1}})
    assert body(replace(chat, max_output=9))["options"] == {"num_predict": 9, "seed": 1}
