"""Recorded requests return unchanged; requests of other dialects lose nothing unnamed."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.base import Hints
from oneapi.dialects.cohere import CHAT_PROVIDER, parse_request
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
from tests.dialects.native_recorded import Recorded, asks, cases, recorded, user

MODEL = "command-a-reasoning-08-2025"
CHATS = [r for r in recorded("cohere") if r.api == "cohere_chat" and r.url.endswith("/v2/chat")]
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}

WRITTEN: list[JSON] = [
    {},
    {"model": "", "messages": [], "stream": False, "tools": [], "documents": []},
    {"stream": None, "tools": None, "stop_sequences": [], "thinking": None},
    {"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": ""}]},
    {"messages": [{"role": "user", "content": []}, {"role": "user", "content": None}]},
    {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "a", "new": 1}], "new": 2}
        ]
    },
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * 2}]},
    {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "https://a/b", "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
                    {"type": "image_url", "image_url": {"url": "data:image/PNG;base64,QUJD"}},
                    {"type": "image_url", "image_url": {"url": "data:text/plain,a%20b"}},
                    {"type": "image_url", "image_url": {"url": "u", "new": 1}},
                    {"type": "image_url", "image_url": "u"},
                    {"type": "new", "new": 1},
                ],
            }
        ]
    },
    {"messages": [{"role": "assistant", "tool_calls": [CALL], "tool_plan": "I will"}]},
    {"messages": [{"role": "assistant", "tool_calls": [], "tool_plan": "", "citations": []}]},
    {
        "messages": [
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}],
                "citations": [{"start": 0, "end": 1, "text": "a", "sources": []}],
                "tool_calls": [CALL, {"function": {"name": "g", "new": 1}, "new": 2}],
            }
        ]
    },
    {
        "messages": [
            {"role": "tool", "tool_call_id": "1", "content": "a"},
            {
                "role": "tool",
                "tool_call_id": "2",
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "document", "document": {"data": {"a": 1}, "id": "x"}},
                ],
                "new": 1,
            },
        ]
    },
    {
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": None, "new": 1}, "new": 2},
            {"type": "function", "function": {"name": "f", "description": ""}},
            {"type": "new"},
        ],
        "tool_choice": "NONE",
        "strict_tools": True,
    },
    {"response_format": {"type": "json_object", "schema": {"type": "object"}}},
    {"response_format": {"type": "text"}, "safety_mode": "OFF", "priority": 3},
    {"response_format": {"type": "new"}, "citation_options": {"mode": "FAST"}},
    {"thinking": {"type": "enabled", "token_budget": 5, "new": 1}, "logprobs": False},
    {"thinking": {"type": "disabled", "token_budget": None}, "k": 0, "p": 0.99, "seed": 0},
    {"temperature": 0, "frequency_penalty": 0.5, "presence_penalty": 1, "stop_sequences": ["a"]},
]


def again(body: JSON) -> JSON:
    chat = parse_request(body)
    found = CHAT_PROVIDER.render_request(chat, chat.model, Hints())
    assert found.dropped == []
    return json.loads(found.body)


def sent(chat: ChatRequest, model: str = MODEL, **hints: Any) -> tuple[JSON, list[str]]:
    """The body, and what was dropped. The request stays as it was."""
    before = deepcopy(chat)
    outgoing = CHAT_PROVIDER.render_request(chat, model, Hints(**hints))
    assert chat == before
    return json.loads(outgoing.body), list(outgoing.dropped)


@pytest.mark.parametrize("record", cases(CHATS))
def test_a_recorded_request_returns_as_it_was(record: Recorded) -> None:
    assert again(record.request) == record.request


@pytest.mark.parametrize("body", WRITTEN, ids=str)
def test_a_request_returns_as_it_was(body: JSON) -> None:
    assert again(body) == body


def test_a_conversation_is_parts_of_the_middle() -> None:
    body = {
        "model": "m",
        "stream": True,
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "assistant", "tool_plan": "p", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "1", "content": "r"},
        ],
        "tool_choice": "REQUIRED",
        "k": 3,
        "p": 0.5,
    }
    chat = parse_request(body)
    first, second, third = (message.parts for message in chat.messages)
    assert first == [Text("s")]
    assert isinstance(second[0], Reasoning)
    assert second[1:] == [ToolCall("1", "f", '{"a": 1}', extra={"type": "function"})]
    assert isinstance(third[0], ToolResult)
    assert third[0].parts == [Text("r")]
    assert (chat.model, chat.stream, chat.top_k, chat.top_p) == ("m", True, 3, 0.5)
    assert chat.tool_choice == ToolChoice("required")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (1, "body"),
        ({"model": 1}, "model"),
        ({"stream": 1}, "stream"),
        ({"messages": {}}, "messages"),
        ({"messages": [None]}, "messages[0]"),
        ({"messages": [{"role": "bot"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [1]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text",
        ),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "assistant", "tool_calls": {"a": 1}}]}, "messages[0].tool_calls"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {}}]}]},
            "messages[0].tool_calls[0].function.name",
        ),
        ({"tools": 1}, "tools"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"response_format": "json"}, "response_format"),
        ({"thinking": {"type": "on"}}, "thinking.type"),
        ({"thinking": {"type": "enabled", "token_budget": "1"}}, "thinking.token_budget"),
        ({"stop_sequences": "a"}, "stop_sequences"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"k": True}, "k"),
        ({"p": "1"}, "p"),
    ],
)
def test_what_is_malformed_is_refused_by_name(body: JSON, param: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_request(body)
    assert (refused.value.status, refused.value.param) == (400, param)


def test_a_foreign_conversation_is_rendered() -> None:
    body, dropped = sent(
        asks(
            Message("developer", [Text("s")]),
            Message("user", [Text("a"), Media("image", data="QUJD", media_type="image/png")]),
            Message("assistant", [Reasoning("t"), Text("b"), ToolCall("1", "f")]),
            Message("tool", [ToolResult("1", [Text("r")])]),
            stream=True,
        )
    )
    assert body == {
        "model": MODEL,
        "stream": True,
        "messages": [
            {"role": "system", "content": "s"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
                ],
            },
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "b"}],
                "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            },
            {"role": "tool", "tool_call_id": "1", "content": "r"},
        ],
    }
    assert dropped == []


def test_results_among_a_users_parts_become_messages_of_their_own() -> None:
    image = Media("image", url="https://a/b.png")
    results: list[Part] = [ToolResult("1", [Text("r"), image]), ToolResult("2", []), Text("go on")]
    body, _ = sent(asks(Message("user", results)))
    assert body["messages"] == [
        {"role": "tool", "tool_call_id": "1", "content": "r"},
        {"role": "tool", "tool_call_id": "2", "content": ""},
        {"role": "user", "content": "go on"},
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "https://a/b.png"}}],
        },
    ]


def test_images_of_results_follow_all_results_of_the_turn() -> None:
    image = Media("image", url="u")
    body, _ = sent(
        asks(
            Message("tool", [ToolResult("1", [image])]),
            Message("tool", [ToolResult("2", [Text("b")])]),
            Message("assistant", [Text("c")]),
        )
    )
    assert [m["role"] for m in body["messages"]] == ["tool", "tool", "user", "assistant"]


def test_documents_of_text_are_given_apart() -> None:
    parts: list[Part] = [
        Media("file", data="QUJD", media_type="text/plain", filename="a.txt"),
        Media("file", text="DEF"),
        Text("read"),
    ]
    body, _ = sent(asks(Message("user", parts)))
    assert body["documents"] == [
        {"id": "doc:0", "data": {"title": "a.txt", "text": "ABC"}},
        {"id": "doc:1", "data": {"text": "DEF"}},
    ]
    assert body["messages"] == [{"role": "user", "content": "read"}]


def test_a_results_document_stays_in_it() -> None:
    body, _ = sent(asks(Message("tool", [ToolResult("1", [Media("file", text="ABC")])])))
    assert body["messages"][0]["content"] == [
        {"type": "document", "document": {"data": {"text": "ABC"}}}
    ]


@pytest.mark.parametrize(
    "part",
    [
        Media("file", data="/////w==", media_type="application/pdf"),
        Media("file", data="JVBERi0xLjQKJSVFT0YK", media_type="application/pdf"),
        Media("file", file_id="f"),
        Media("audio", data="QUJD"),
        Media("image", file_id="f"),
    ],
    ids=str,
)
def test_a_medium_that_is_not_taken_is_refused(part: Part) -> None:
    with pytest.raises(ApiError) as refused:
        sent(asks(Message("user", [part])))
    assert (refused.value.status, refused.value.param) == (400, "messages[0].content[0]")


def test_documents_are_fetched_and_images_are_not() -> None:
    parts: list[Part] = [Media("file", url="https://a/b"), Media("image", url="https://a/c")]
    found = CHAT_PROVIDER.fetches(asks(Message("user", parts)), Hints())
    assert found == ["https://a/b"]


def test_tools_and_their_choice_are_said() -> None:
    tools = [
        Tool("f", "does f", {"type": "object"}, strict=True),
        Tool("patch", kind="custom"),
        Tool("g"),
        Tool("search", kind="hosted", dialect="anthropic", data={}),
    ]
    body, dropped = sent(asks(user("a"), tools=tools, tool_choice=ToolChoice("required")))
    assert [entry["function"]["name"] for entry in body["tools"]] == ["f", "patch", "g"]
    assert body["tools"][1]["function"]["parameters"]["required"] == ["input"]
    assert (body["tool_choice"], "strict_tools" in body) == ("REQUIRED", False)
    assert dropped == ["tools[3]"]


def test_a_choice_of_one_tool_offers_no_other() -> None:
    tools = [Tool("f", strict=True), Tool("g")]
    body, _ = sent(asks(user("a"), tools=tools, tool_choice=ToolChoice("required", ["g"])))
    assert [entry["function"]["name"] for entry in body["tools"]] == ["g"]


def test_an_automatic_choice_is_not_said() -> None:
    body, _ = sent(asks(user("a"), tools=[Tool("f", strict=True)], tool_choice=ToolChoice("auto")))
    assert ("tool_choice" in body, body["strict_tools"]) == (False, True)


def test_numbers_are_brought_into_range() -> None:
    body, dropped = sent(
        asks(
            user("a"),
            top_p=1.0,
            presence_penalty=-1.0,
            frequency_penalty=0.5,
            stop=list("abcdef"),
            top_k=4,
        )
    )
    assert (body["p"], body["presence_penalty"], body["frequency_penalty"]) == (0.99, 0, 0.5)
    assert (body["stop_sequences"], body["k"]) == (list("abcde"), 4)
    assert dropped == ["presence_penalty", "stop"]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (OutputFormat("text"), None),
        (OutputFormat("json"), {"type": "json_object"}),
        (OutputFormat("json", {"a": 1}, "n"), {"type": "json_object", "json_schema": {"a": 1}}),
    ],
    ids=str,
)
def test_the_format_of_the_answer_is_said(wanted: OutputFormat, said: JSON) -> None:
    assert sent(asks(user("a"), format=wanted))[0].get("response_format") == said


@pytest.mark.parametrize(
    ("thinking", "model", "said"),
    [
        (Thinking(effort="medium"), MODEL, {"type": "enabled", "token_budget": 8192}),
        (Thinking(budget=77), MODEL, {"type": "enabled", "token_budget": 77}),
        (Thinking(enabled=True), MODEL, {"type": "enabled"}),
        (Thinking(enabled=False), MODEL, {"type": "disabled"}),
        (Thinking(effort="none"), "command-a-plus-05-2026", {"type": "disabled"}),
        (Thinking(enabled=False), "command-r7b-12-2024", None),
        (Thinking(show=True), MODEL, None),
    ],
    ids=str,
)
def test_thinking_is_said(thinking: Thinking, model: str, said: JSON) -> None:
    assert sent(asks(user("a"), thinking=thinking), model)[0].get("thinking") == said


def test_what_the_format_has_no_word_for_is_named() -> None:
    chat = asks(
        Message("user", [Text("a", cache="5m", extra={"x": 1})], name="bob"),
        Message("assistant", [Opaque("anthropic", {}), Reasoning(data="d")]),
        n=2,
        user="u",
        top_logprobs=3,
        parallel_tools=False,
        tools=[Tool("f", cache="1h")],
        extra={"logit_bias": {}, "store": None},
    )
    assert sent(chat)[1] == [
        "messages[0].name",
        "messages[0].content[0].cache_control",
        "messages[0].content[0].x",
        "messages[1].content[0]",
        "messages[1].content[1]",
        "tools[0].cache_control",
        "top_logprobs",
        "user",
        "n",
        "parallel_tool_calls",
        "logit_bias",
    ]


def test_a_channel_may_set_the_safety_mode() -> None:
    body, _ = sent(asks(user("a")), options={"safety_mode": "OFF"})
    assert body["safety_mode"] == "OFF"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just("user"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "type text thinking image_url url detail role content tool_calls function name id "
                "arguments tool_plan citations tool_call_id parameters description".split()
            ),
            inner | st.sampled_from(["text", "thinking", "image_url", "function", "data:,a"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool"])},
    optional={
        "content": st.text(max_size=2) | st.lists(VALUES, max_size=3),
        "tool_calls": st.lists(VALUES, max_size=2),
        "tool_call_id": st.text(max_size=2),
        "tool_plan": VALUES,
        "citations": VALUES,
    },
)


@given(st.lists(MESSAGE, max_size=3), VALUES, VALUES)
@settings(max_examples=100, deadline=None)
def test_arbitrary_json_returns_as_it_was_or_is_an_api_error(
    messages: JSON, tools: JSON, rest: JSON
) -> None:
    body = {"messages": messages, "tools": [tools], "response_format": rest, "thinking": None}
    try:
        chat = parse_request(body)
    except ApiError:
        return
    found = CHAT_PROVIDER.render_request(chat, chat.model, Hints())
    assert json.loads(found.body) == body
