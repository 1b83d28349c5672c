"""Chat requests: every member is understood, kept, or refused by its name."""

from __future__ import annotations

import pytest

from oneapi.dialects.openai import FACES
from oneapi.dialects.openai_chat_shapes import Thought
from oneapi.errors import ApiError
from oneapi.ir import (
    ChatRequest,
    Envelope,
    Media,
    Opaque,
    OutputFormat,
    Part,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from oneapi.wire.json import JSON

FACE = FACES["chat"]


def parse(**members: JSON) -> ChatRequest:
    body = {"model": "m", "messages": [], **members}
    return FACE.parse_request(body, Envelope("m"))


def parts(message: JSON) -> list[Part]:
    return parse(messages=[message]).messages[0].parts


def refused(**members: JSON) -> str | None:
    with pytest.raises(ApiError) as caught:
        parse(**members)
    assert caught.value.status == 400
    return caught.value.param


def test_sampling_is_taken_as_numbers() -> None:
    chat = parse(temperature=0, top_p=0.5, top_k=40, seed=7, n=2, logprobs=True, top_logprobs=3)
    assert (chat.temperature, chat.top_p, chat.top_k, chat.seed) == (0, 0.5, 40, 7)
    assert (chat.n, chat.logprobs, chat.top_logprobs) == (2, True, 3)


@pytest.mark.parametrize(
    ("members", "limit"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 6}, 6),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 6),
        ({"max_tokens": -1}, None),
        ({"max_tokens": None}, None),
        ({"max_tokens": 5.0}, 5),
    ],
)
def test_the_limit_has_two_names(members: JSON, limit: int | None) -> None:
    assert parse(**members).max_output == limit


@pytest.mark.parametrize("names", ["stop", ["stop"]])
def test_one_stop_sequence_or_several(names: JSON) -> None:
    assert parse(stop=names).stop == ["stop"]


@pytest.mark.parametrize(
    ("members", "thinking"),
    [
        ({"reasoning_effort": "low"}, Thinking(effort="low")),
        ({"thinking": {"type": "disabled"}}, Thinking(enabled=False)),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 9, "clear_thinking": False}},
            Thinking(enabled=True, budget=9, extra={"clear_thinking": False}),
        ),
        ({"thinking": {"type": "auto"}}, Thinking(adaptive=True)),
        (
            {"reasoning": {"effort": "high", "exclude": True}},
            Thinking(effort="high", show=False),
        ),
        ({"reasoning": {"max_tokens": 9, "enabled": True}}, Thinking(budget=9, enabled=True)),
        ({"enable_thinking": True, "thinking_budget": 9}, Thinking(enabled=True, budget=9)),
        ({"include_reasoning": False}, Thinking(show=False)),
        ({}, None),
    ],
)
def test_thinking_is_asked_for_in_every_vendors_words(members: JSON, thinking: object) -> None:
    assert parse(**members).thinking == thinking


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"type": "text"}, OutputFormat("text")),
        ({"type": "json_object"}, OutputFormat("json")),
        ({"type": "json_object", "schema": {"a": 1}}, OutputFormat("json", {"a": 1})),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}},
            OutputFormat("json", {}, "n", strict=True),
        ),
    ],
)
def test_output_formats(value: JSON, expected: OutputFormat) -> None:
    assert parse(response_format=value).format == expected


def test_a_vendors_own_output_format_is_kept_for_it() -> None:
    grammar = {"type": "grammar", "grammar": "root ::= x"}
    chat = parse(response_format=grammar)
    assert chat.format is None
    assert chat.extra == {"response_format": grammar}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("auto", ToolChoice("auto")),
        ("any", ToolChoice("required")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("required", ["f"])),
        ({"type": "function", "name": "f"}, ToolChoice("required", ["f"])),
        ({"type": "custom", "custom": {"name": "f"}}, ToolChoice("required", ["f"], custom=True)),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
            ToolChoice("required", ["f"]),
        ),
        ({"type": "web_search"}, ToolChoice("required", extra={"type": "web_search"})),
    ],
)
def test_tool_choices(value: JSON, expected: ToolChoice) -> None:
    assert parse(tool_choice=value).tool_choice == expected


def test_tools_are_functions_custom_ones_or_the_providers_own() -> None:
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}
    hosted = {"type": "web_search", "web_search": {"enable": True}}
    chat = parse(
        tools=[
            {"type": "function", "function": {"name": "f", "parameters": {}, "strict": True}},
            {"function": {"name": "g"}, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            {"type": "custom", "custom": {"name": "c", "format": grammar}},
            hosted,
        ]
    )
    flat = {"type": "grammar", "syntax": "lark", "definition": "x"}
    assert chat.tools == [
        Tool("f", schema={}, strict=True),
        Tool("g", cache="1h"),
        Tool("c", kind="custom", format=flat),
        Tool("web_search", kind="hosted", dialect="openai-chat", data=hosted),
    ]


def test_the_older_functions_are_tools() -> None:
    chat = parse(functions=[{"name": "f", "description": "d"}], function_call={"name": "f"})
    assert chat.tools == [Tool("f", "d")]
    assert chat.tool_choice == ToolChoice("required", ["f"])


def test_an_older_conversation_of_functions() -> None:
    chat = parse(
        messages=[
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
        ]
    )
    assert chat.messages[0].parts == [ToolCall("", "f", "{}")]
    assert chat.messages[1].parts == [ToolResult("", [Text("1")], "f")]
    assert chat.messages[1].role == "tool"


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "text", "text": "a"}, Text("a")),
        (
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
            Text("a", cache="5m"),
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://x/y", "detail": "low"}},
            Media("image", url="https://x/y", detail="low"),
        ),
        ({"type": "image_url", "image_url": "https://x/y"}, Media("image", url="https://x/y")),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
            Media("image", data="AA==", media_type="image/png"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
            Media("audio", data="AA==", media_type="audio/mpeg"),
        ),
        ({"type": "input_audio", "input_audio": "https://x/y"}, Media("audio", url="https://x/y")),
        ({"type": "video_url", "video_url": {"url": "https://x"}}, Media("video", url="https://x")),
        ({"type": "file", "file": {"file_id": "f-1"}}, Media("file", file_id="f-1")),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "AA=="}},
            Media("file", data="AA==", filename="a.pdf", media_type="application/pdf"),
        ),
        (
            {"type": "document_url", "document_url": "https://x", "document_name": "a"},
            Media("file", url="https://x", filename="a"),
        ),
        ({"type": "refusal", "refusal": "no"}, Refusal("no")),
        (
            {"type": "thinking", "thinking": [{"type": "text", "text": "t"}]},
            Thought("t", member="thinking"),
        ),
        (
            {"type": "reference", "ids": [1]},
            Opaque("openai-chat", {"type": "reference", "ids": [1]}),
        ),
    ],
)
def test_parts_of_a_content(part: JSON, expected: Part) -> None:
    assert parts({"role": "user", "content": [part]}) == [expected]


def test_a_mark_on_a_message_is_its_last_parts() -> None:
    message = {"role": "user", "content": "a", "cache_control": {"type": "ephemeral"}}
    assert parts(message) == [Text("a", cache="5m")]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"reasoning_content": "t"}, [Thought("t", member="reasoning_content")]),
        ({"reasoning": "t", "reasoning_content": ""}, [Thought("t", member="reasoning")]),
        ({"reasoning": "t", "reasoning_content": "t"}, [Thought("t", member="reasoning_content")]),
        (
            {"thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "s"}]},
            [Thought("t", "s", member="thinking_blocks")],
        ),
        (
            {"reasoning": "t", "reasoning_details": [{"type": "reasoning.text", "text": "t"}]},
            [Thought("t", member="reasoning", detail={"type": "reasoning.text"})],
        ),
        (  # as a client gathers our own streams
            {
                "reasoning_content": "t",
                "reasoning_details": [{"type": "reasoning.text", "signature": "s", "index": 0}],
            },
            [
                Thought(
                    "t",
                    "s",
                    member="reasoning_content",
                    detail={"type": "reasoning.text", "index": 0},
                )
            ],
        ),
        (
            {"reasoning_details": [{"type": "reasoning.encrypted", "data": "d", "id": "i"}]},
            [Thought(data="d", id="i", detail={"type": "reasoning.encrypted"})],
        ),
        (
            {"reasoning_details": [{"type": "reasoning.summary", "summary": "t"}]},
            [Thought("t", summary=True, detail={"type": "reasoning.summary"})],
        ),
    ],
)
def test_thoughts_stand_in_many_places_and_count_once(members: JSON, expected: list[Part]) -> None:
    assert parts({"role": "assistant", "content": "a", **members}) == [*expected, Text("a")]


def test_calls_carry_signatures() -> None:
    call = {
        "id": "c",
        "type": "function",
        "function": {"name": "f", "arguments": {"a": 1}},
        "extra_content": {"google": {"thought_signature": "s", "more": 1}},
    }
    expected = ToolCall(
        "c", "f", '{"a":1}', signature="s", extra={"extra_content": {"google": {"more": 1}}}
    )
    assert parts({"role": "assistant", "tool_calls": [call]}) == [expected]


def test_custom_calls_hold_text() -> None:
    call = {"id": "c", "type": "custom", "custom": {"name": "f", "input": "x = 1"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    assert parts(message) == [ToolCall("c", "f", "x = 1", custom=True)]


def test_what_is_unknown_is_kept() -> None:
    message = {"role": "assistant", "content": "a", "prefix": True, "weight": None}
    chat = parse(provider={"order": []}, metadata=None, messages=[message])
    assert chat.extra == {"provider": {"order": []}}
    assert chat.messages[0].extra == {"prefix": True}


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": [1]}, "messages[0]"),
        ({"messages": [{}]}, "messages[0].role"),
        ({"messages": [{"role": "wizard"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [1]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {}}]}]},
            "messages[0].tool_calls[0].function.name",
        ),
        ({"messages": [{"role": "tool", "tool_call_id": 1}]}, "messages[0].tool_call_id"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {}}}, "tool_choice.function.name"),
        ({"temperature": "0.5"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"n": 1.5}, "n"),
        ({"stop": [1]}, "stop[0]"),
        ({"stream": 1}, "stream"),
        ({"stream_options": []}, "stream_options"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"user": 1}, "user"),
        ({"modalities": "a", "verbosity": 1}, "verbosity"),
    ],
)
def test_what_is_malformed_is_refused_by_name(members: JSON, param: str) -> None:
    assert refused(**members) == param


@pytest.mark.parametrize("body", [None, [], 1, "a"])
def test_a_body_that_is_no_object_is_refused(body: JSON) -> None:
    with pytest.raises(ApiError) as caught:
        FACE.parse_request(body, Envelope("m"))
    assert caught.value.status == 400
