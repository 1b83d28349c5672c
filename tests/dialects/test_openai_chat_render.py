"""Requests of other dialects as OpenAI's chat: what it can say is said, the rest is named."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from oneapi.dialects.base import Hints
from oneapi.dialects.openai import CHAT_PROVIDER, FACES
from oneapi.errors import ApiError
from oneapi.ir import (
    ChatRequest,
    Envelope,
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

USER = [Message("user", [Text("hi")])]


def render(
    chat: ChatRequest, hints: Hints | None = None, **options: JSON
) -> tuple[JSON, list[str]]:
    hints = replace(hints or Hints(), options=options)
    outgoing = CHAT_PROVIDER.render_request(chat, "served", hints)
    return json.loads(outgoing.body), list(outgoing.dropped)


def ask(messages: list[Message] | None = None, **fields: Any) -> ChatRequest:
    return ChatRequest("asked", messages or USER, "other", **fields)


def written(*parts: Part, role: Any = "assistant", **options: JSON) -> JSON:
    """The messages that one message becomes."""
    return render(ask([Message(role, list(parts))]), **options)[0]["messages"]


def test_the_model_is_the_targets_and_the_usage_is_asked_for() -> None:
    body, _ = render(ask(stream=True))
    assert body["model"] == "served"
    assert body["stream_options"] == {"include_usage": True}
    quiet, _ = render(ask(stream=True), Hints(include_usage=False))
    assert "stream_options" not in quiet


def test_hints_name_the_limit_and_the_role() -> None:
    chat = ask([Message("developer", [Text("s")]), *USER], max_output=9)
    body, _ = render(chat, Hints(limit_field="max_completion_tokens", system_role="developer"))
    assert body["max_completion_tokens"] == 9
    assert body["messages"][0] == {"role": "developer", "content": "s"}
    assert render(chat)[0]["messages"][0]["role"] == "system"


def test_results_among_a_users_parts_come_first() -> None:
    call = Message("assistant", [Text("let me"), ToolCall("c", "f", "{}")])
    user = Message("user", [ToolResult("c", [Text("1")], error=True), Text("go on")])
    body, dropped = render(ask([call, user]))
    assert body["messages"] == [
        {
            "role": "assistant",
            "content": "let me",
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "content": "1", "tool_call_id": "c"},
        {"role": "user", "content": "go on"},
    ]
    assert dropped == ["messages[1].content[0].is_error"]


def test_a_results_images_are_shown_by_the_user() -> None:
    call = Message("assistant", [ToolCall("c", "f")])
    shot = Media("image", data="AA==", media_type="image/png")
    result = Message("tool", [ToolResult("c", [Text("see"), shot])])
    messages = render(ask([call, result]))[0]["messages"]
    assert messages[1] == {"role": "tool", "content": "see", "tool_call_id": "c"}
    assert messages[2]["role"] == "user"
    assert messages[2]["content"][1]["image_url"]["url"] == "data:image/png;base64,AA=="


def test_calls_without_ids_are_joined_to_their_results() -> None:
    chat = ask(
        [Message("assistant", [ToolCall("", "f")]), Message("tool", [ToolResult("", [], "f")])]
    )
    first, second = render(chat)[0]["messages"]
    assert first["tool_calls"][0]["id"] == second["tool_call_id"] == "call_1"


def test_long_ids_are_shortened_alike() -> None:
    long = "x" * 60
    chat = ask(
        [Message("assistant", [ToolCall(long, "f")]), Message("tool", [ToolResult(long, [])])]
    )
    first, second = render(chat)[0]["messages"]
    assert first["tool_calls"][0]["id"] == second["tool_call_id"]
    assert len(second["tool_call_id"]) == 40


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            Media("image", url="https://x", detail="low"),
            {"type": "image_url", "image_url": {"url": "https://x", "detail": "low"}},
        ),
        (
            Media("audio", data="AA==", media_type="audio/mpeg"),
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
        ),
        (
            Media("file", data="AA==", media_type="application/pdf"),
            {
                "type": "file",
                "file": {"filename": "document", "file_data": "data:application/pdf;base64,AA=="},
            },
        ),
        (
            Media("video", url="https://x"),
            {"type": "video_url", "video_url": {"url": "https://x"}},
        ),
        (Media("file", text="plain"), {"type": "text", "text": "plain"}),
    ],
)
def test_media_are_parts(part: Media, expected: JSON) -> None:
    assert written(Text("see"), part, role="user")[0]["content"][1] == expected


def test_a_file_of_another_provider_is_refused_by_name() -> None:
    with pytest.raises(ApiError) as caught:
        written(Media("file", file_id="f-1"), role="user")
    assert (caught.value.status, caught.value.param) == (400, "messages[0].content[0]")


def test_sounds_and_documents_are_fetched_and_images_on_request() -> None:
    parts: list[Part] = [
        Media("image", url="https://i"),
        Media("audio", url="https://a"),
        ToolResult("c", [Media("file", url="https://f")]),
    ]
    chat = ask([Message("user", parts)])
    assert CHAT_PROVIDER.fetches(chat, Hints()) == ["https://a", "https://f"]
    hints = Hints(options={"fetch_images": True})
    assert CHAT_PROVIDER.fetches(chat, hints) == ["https://i", "https://a", "https://f"]


SIGNED = Reasoning("t", "s")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("reasoning_content", {"reasoning_content": "t", "content": "a"}),
        ("reasoning", {"reasoning": "t", "content": "a"}),
        (
            "reasoning_details",
            {
                "reasoning": "t",
                "reasoning_details": [
                    {"type": "reasoning.text", "index": 0, "text": "t", "signature": "s"}
                ],
                "content": "a",
            },
        ),
        (
            "thinking",
            {
                "content": [
                    {
                        "type": "thinking",
                        "thinking": [{"type": "text", "text": "t"}],
                        "signature": "s",
                    },
                    {"type": "text", "text": "a"},
                ]
            },
        ),
        ("none", {"content": "a"}),
    ],
)
def test_thoughts_go_where_the_provider_wants_them(where: str, expected: JSON) -> None:
    assert written(SIGNED, Text("a"), thoughts=where) == [{"role": "assistant", **expected}]


def test_a_signature_goes_with_its_call() -> None:
    call = ToolCall("c", "f", signature="s")
    content = {"google": {"thought_signature": "s"}}
    assert written(call)[0]["tool_calls"][0]["extra_content"] == content
    bare, dropped = render(ask([Message("assistant", [call])]), thoughts="none")
    assert "extra_content" not in bare["messages"][0]["tool_calls"][0]
    assert dropped == ["messages[0].tool_calls[0].signature"]
    accepts = ["thought_signatures"]
    kept, _ = render(ask([Message("assistant", [call])]), thoughts="none", accepts=accepts)
    assert kept["messages"][0]["tool_calls"][0]["extra_content"] == content


@pytest.mark.parametrize(
    ("thinking", "style", "expected"),
    [
        (Thinking(effort="low"), "effort", {"reasoning_effort": "low"}),
        (Thinking(budget=2000), "effort", {"reasoning_effort": "low"}),
        (Thinking(budget=50_000), "effort", {"reasoning_effort": "high"}),
        (Thinking(adaptive=True), "effort", {}),
        (Thinking(enabled=False), "thinking", {"thinking": {"type": "disabled"}}),
        (
            Thinking(effort="high"),
            "thinking",
            {"thinking": {"type": "enabled"}, "reasoning_effort": "high"},
        ),
        (Thinking(enabled=False), "enable_thinking", {"enable_thinking": False}),
        (
            Thinking(budget=9),
            "enable_thinking",
            {"enable_thinking": True, "thinking_budget": 9},
        ),
        (Thinking(effort="low"), "reasoning", {"reasoning": {"effort": "low"}}),
        (
            Thinking(budget=9, show=False),
            "reasoning",
            {"reasoning": {"max_tokens": 9, "exclude": True}},
        ),
    ],
)
def test_thinking_in_the_providers_words(thinking: Thinking, style: str, expected: JSON) -> None:
    body, dropped = render(ask(thinking=thinking), thinking=style)
    plain, _ = render(ask())
    assert {k: v for k, v in body.items() if k not in plain} == expected
    assert dropped == []


def test_no_thinking_cannot_be_said_by_an_effort() -> None:
    assert render(ask(thinking=Thinking(enabled=False)))[1] == ["thinking"]


def test_tools_get_names_that_the_format_allows() -> None:
    tools = [Tool("read.file"), Tool("f", namespace="ns")]
    call = Message("assistant", [ToolCall("c", "f", namespace="ns")])
    body, _ = render(ask([call], tools=tools))
    first, second = (tool["function"]["name"] for tool in body["tools"])
    assert first.startswith("read_file_")
    assert second == "ns__f"
    assert body["messages"][0]["tool_calls"][0]["function"]["name"] == "ns__f"


def test_a_forced_tool_is_forced_under_its_name_on_the_wire() -> None:
    tools = [Tool("f", namespace="ns"), Tool("g")]
    body, _ = render(ask(tools=tools, tool_choice=ToolChoice("required", ["f"])))
    assert body["tool_choice"] == {"type": "function", "function": {"name": "ns__f"}}


def test_a_choice_of_several_confines_the_tools() -> None:
    tools = [Tool("f"), Tool("g"), Tool("h")]
    body, _ = render(ask(tools=tools, tool_choice=ToolChoice("auto", ["f", "h"])))
    assert [tool["function"]["name"] for tool in body["tools"]] == ["f", "h"]
    assert body["tool_choice"] == "auto"
    assert body["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {}}


def test_custom_tools_are_functions_where_they_are_not_known() -> None:
    tools = [Tool("patch", "d", kind="custom", format={"type": "grammar", "definition": "x"})]
    call = Message("assistant", [ToolCall("c", "patch", 'say "x"', custom=True)])
    body, _ = render(ask([call], tools=tools))
    function = body["tools"][0]["function"]
    assert function["parameters"]["required"] == ["input"]
    assert "x" in function["description"]
    arguments = body["messages"][0]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments) == {"input": 'say "x"'}
    native, _ = render(ask([call], tools=tools), accepts=["custom_tools"])
    assert native["tools"][0]["custom"]["format"]["grammar"] == {"definition": "x"}
    assert native["messages"][0]["tool_calls"][0]["custom"]["input"] == 'say "x"'


def test_a_choice_among_no_tools_is_not_sent() -> None:
    hosted = Tool("search", kind="hosted", dialect="other", data={})
    body, dropped = render(
        ask(tools=[hosted], tool_choice=ToolChoice("auto"), parallel_tools=False)
    )
    assert body.keys() & {"tools", "tool_choice", "parallel_tool_calls"} == set()
    assert dropped == ["tools[0]"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (OutputFormat("text"), {"type": "text"}),
        (OutputFormat("json"), {"type": "json_object"}),
        (
            OutputFormat("json", {"a": 1}, strict=True),
            {
                "type": "json_schema",
                "json_schema": {"name": "response", "schema": {"a": 1}, "strict": True},
            },
        ),
    ],
)
def test_output_formats(wanted: OutputFormat, expected: JSON) -> None:
    assert render(ask(format=wanted))[0]["response_format"] == expected


def test_a_schema_is_dropped_where_only_objects_are_known() -> None:
    body, dropped = render(ask(format=OutputFormat("json", {"a": 1})), json_schema=False)
    assert body["response_format"] == {"type": "json_object"}
    assert dropped == ["response_format.json_schema"]


def test_what_few_servers_know_is_dropped_by_name_unless_accepted() -> None:
    chat = ask(top_k=4, cache_key="k", verbosity="low", service_tier="flex")
    assert render(chat)[1] == ["top_k", "prompt_cache_key", "verbosity", "service_tier"]
    accepts = ["top_k", "prompt_cache_key", "verbosity", "service_tier"]
    body, dropped = render(chat, accepts=accepts)
    assert {name: body[name] for name in accepts} == {
        "top_k": 4,
        "prompt_cache_key": "k",
        "verbosity": "low",
        "service_tier": "flex",
    }
    assert dropped == []


def test_what_the_format_cannot_say_is_named() -> None:
    parts: list[Part] = [Text("a", cache="5m", extra={"odd": 1}), Opaque("other", {})]
    tools = [Tool("f", cache="1h", extra={"examples": []})]
    chat = ask([Message("user", parts, extra={"weight": 1})], tools=tools, extra={"store": True})
    assert render(chat)[1] == [
        "messages[0].content[0].cache_control",
        "messages[0].content[0].odd",
        "messages[0].content[1]",
        "messages[0].weight",
        "store",
        "tools[0].cache_control",
        "tools[0].examples",
    ]


def test_marks_are_sent_where_they_are_known() -> None:
    content = written(Text("a", cache="1h"), role="user", accepts=["cache_control"])[0]["content"]
    assert content[0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


def test_text_may_have_to_be_one_string() -> None:
    assert written(Text("a"), Text("b"), role="user", flat_text=True)[0]["content"] == "a\n\nb"
    assert len(written(Text("a"), Text("b"), role="user")[0]["content"]) == 2


def test_rendering_changes_nothing() -> None:
    chat = ask([Message("user", [Text("a", cache="5m")])], tools=[Tool("f")])
    before = repr(chat)
    render(chat)
    assert repr(chat) == before


def test_half_a_character_is_refused() -> None:
    with pytest.raises(ApiError) as caught:
        render(ask([Message("user", [Text("\ud83d")])]))
    assert caught.value.status == 400


def test_a_changed_request_keeps_the_wording_of_what_has_not_changed() -> None:
    body: JSON = {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}],
        "max_completion_tokens": 5,
        "stop": "x",
        "random_seed": 7,
        "tool_choice": "any",
        "stream": False,
        "custom": None,
    }
    chat = FACES["chat"].parse_request(body, Envelope("m"))
    changed = replace(chat, stop=["y"], messages=[*chat.messages, Message("user", [Text("b")])])
    assert FACES["chat"].render_request(changed) == {
        **body,
        "messages": [*body["messages"], {"role": "user", "content": "b"}],
        "stop": ["y"],
    }


def test_a_request_of_this_dialect_is_asked_for_its_usage() -> None:
    options = {"include_obfuscation": False}
    body = {"model": "m", "messages": [], "stream": True, "stream_options": options}
    chat = FACES["chat"].parse_request(body, Envelope("m"))
    assert render(chat)[0]["stream_options"] == {**options, "include_usage": True}


def test_legacy_functions_stay_functions() -> None:
    body = {
        "model": "m",
        "messages": [
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
        ],
        "functions": [{"name": "f"}],
        "function_call": {"name": "f"},
    }
    chat = FACES["chat"].parse_request(body, Envelope("m"))
    rewritten = replace(chat, messages=[replace(m) for m in chat.messages], tools=[Tool("g")])
    again = FACES["chat"].render_request(rewritten)
    assert again["functions"] == [{"name": "g"}]
    assert again["messages"][1] == {"role": "function", "name": "f", "content": "1"}
    assert again["messages"][0]["function_call"] == {"name": "f", "arguments": "{}"}
