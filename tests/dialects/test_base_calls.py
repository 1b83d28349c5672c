from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi.dialects import registry
from oneapi.dialects.base import Hints
from oneapi.dialects.base_calls import Restorer, wire_name
from oneapi.errors import ApiError
from oneapi.ir import (
    BlockStart,
    BlockStop,
    ChatRequest,
    ChatResponse,
    Choice,
    Delta,
    Event,
    Media,
    Message,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

TOOLS = [
    Tool("plain"),
    Tool("my.tool"),
    Tool("inner", namespace="space"),
    Tool("patch", kind="custom"),
    Tool("web", kind="hosted", dialect="x"),
]


@given(st.text(max_size=200), st.text(max_size=20))
def test_a_wire_name_has_few_letters(name: str, namespace: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", wire_name(name, namespace, most=64))


def test_a_name_that_fits_stays_and_others_stay_apart() -> None:
    assert wire_name("get-weather_2") == "get-weather_2"
    assert wire_name("tool", "space") == "space__tool"
    assert len({wire_name(name) for name in ("a.b", "a_b", "a b", "", "é")}) == 5


def test_events_of_calls_are_the_clients_own_again() -> None:
    events: list[Event] = [
        BlockStart(0, ToolCall("1", wire_name("my.tool"))),
        Delta(0, "{}"),
        BlockStop(0),
        BlockStart(1, ToolCall("2", "space__inner")),
        BlockStop(1),
        BlockStart(2, ToolCall("3", "patch")),
        Delta(2, '{"inp'),
        Delta(2, 'ut":"*** x\\n"}'),
        BlockStop(2),
        BlockStart(3, Text("")),
        Delta(3, "t"),
    ]
    assert Restorer(TOOLS).feed(events) == [
        BlockStart(0, ToolCall("1", "my.tool")),
        Delta(0, "{}"),
        BlockStop(0),
        BlockStart(1, ToolCall("2", "inner", namespace="space")),
        BlockStop(1),
        BlockStart(2, ToolCall("3", "patch", custom=True)),
        Delta(2, "*** x\n"),
        BlockStop(2),
        BlockStart(3, Text("")),
        Delta(3, "t"),
    ]


def test_a_whole_answer_is_too() -> None:
    parts = [ToolCall("1", "patch", '{"input":"x"}'), ToolCall("2", "plain", "{}")]
    reply = ChatResponse("r", "m", [Choice([*parts], "tool_calls")], None, "anthropic")
    restored = Restorer(TOOLS).restored(reply)
    assert restored.choices[0].parts == [ToolCall("1", "patch", "x", custom=True), parts[1]]


def test_a_custom_call_that_came_as_one_is_left_alone() -> None:
    call = BlockStart(0, ToolCall("3", "patch", custom=True))
    events: list[Event] = [call, Delta(0, "free"), BlockStop(0)]
    assert Restorer(TOOLS).feed(events) == events


def test_plain_tools_need_no_restoring() -> None:
    assert not Restorer([Tool("plain")]).needed
    assert Restorer(TOOLS).needed


CODEX = ChatRequest(
    "m",
    [
        Message("user", [Text("go")]),
        Message(
            "assistant",
            [
                ToolCall("1", "inner", "{}", namespace="space"),
                ToolCall("2", "patch", "*** x", custom=True),
            ],
        ),
        Message("tool", [ToolResult("1", [Text("a")]), ToolResult("2", [Text("b")], custom=True)]),
    ],
    "openai-responses",
    tools=[
        Tool("inner", namespace="space", schema={"type": "object", "properties": {}}),
        Tool("inner", namespace="other", schema={"type": "object", "properties": {}}),
        Tool("patch", kind="custom", format={"type": "grammar", "definition": "start: x"}),
        Tool("n" * 100, schema={"type": "object", "properties": {}}),
    ],
)
PROVIDERS = [name for name in registry.NAMES if registry.chat_provider(name) is not None]
OTHERS = ("deepl", "replicate", "openai-responses")
"""Two have no tools, the third has namespaces itself."""


@pytest.mark.parametrize("dialect", [name for name in PROVIDERS if name not in OTHERS])
def test_namespaced_custom_and_long_named_tools_reach_every_provider(dialect: str) -> None:
    provider = registry.chat_provider(dialect)
    assert provider is not None
    outgoing = provider.render_request(CODEX, "m", Hints(max_output=100))
    body = outgoing.body.decode()
    for name in ("space__inner", "other__inner", "patch"):
        assert f'"name":"{name}"' in body
    assert not any(name.startswith("tools") and "format" not in name for name in outgoing.dropped)
    assert "n" * 65 not in body or dialect == "anthropic"  # which takes 128 letters


@pytest.mark.parametrize("most", [64, 128])
def test_a_name_that_was_cut_is_known_again(most: int) -> None:
    tool = Tool("n" * 200)
    reply = ChatResponse(
        "1", "m", [Choice([ToolCall("1", wire_name(tool.name, most=most))], "tool_calls")], None, ""
    )
    assert Restorer([tool]).restored(reply).choices[0].parts == [ToolCall("1", tool.name)]


@pytest.mark.parametrize(
    "dialect", [name for name in PROVIDERS if name not in (*OTHERS, "anthropic")]
)
def test_a_tool_that_must_be_called_and_is_not_there_is_refused(dialect: str) -> None:
    provider = registry.chat_provider(dialect)
    assert provider is not None
    chat = replace(CODEX, tool_choice=ToolChoice("required", ["nobody"]))
    with pytest.raises(ApiError) as caught:
        provider.render_request(chat, "m", Hints(max_output=100))
    assert (caught.value.status, caught.value.param) == (400, "tool_choice")


@pytest.mark.parametrize("dialect", ["openai-chat", "openai-responses"])
def test_a_long_user_is_cut_to_what_the_provider_takes(dialect: str) -> None:
    provider = registry.chat_provider(dialect)
    assert provider is not None
    users = []
    for number in range(2):
        name = f"user_{'f' * 64}_account__session_{number}"
        chat = ChatRequest("m", [Message("user", [Text("a")])], "anthropic", user=name)
        users.append(json.loads(provider.render_request(chat, "m", Hints()).body)["user"])
    assert len(set(users)) == 2
    assert max(map(len, users)) <= 64


@pytest.mark.parametrize("dialect", ["openai-chat", "openai-responses", "anthropic"])
def test_a_file_that_lies_at_another_provider_is_refused(dialect: str) -> None:
    provider = registry.chat_provider(dialect)
    assert provider is not None
    there = Media("image", file_id="https://files.example/v1beta/files/a", media_type="image/png")
    with pytest.raises(ApiError) as caught:
        provider.render_request(
            ChatRequest("m", [Message("user", [there])], "gemini"), "m", Hints()
        )
    assert caught.value.param == "messages[0].content[0]"
