"""Requests of other dialects as Converse wants them: nothing is lost without being named."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.base import Hints
from oneapi.dialects.base_calls import Restorer
from oneapi.dialects.bedrock import CHAT_PROVIDER
from oneapi.dialects.bedrock_schemas import closed_schema
from oneapi.dialects.bedrock_shapes import read_name, spell_name
from oneapi.errors import ApiError
from oneapi.ir import (
    ChatRequest,
    ChatResponse,
    Choice,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Part,
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

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NEWER = "anthropic.claude-opus-4-8"
NOVA = "us.amazon.nova-2-lite-v1:0"
F = Tool("f", schema={"type": "object", "properties": {}})


def sent(chat: ChatRequest, model: str = CLAUDE, **hints: Any) -> tuple[JSON, list[str]]:
    """The body, and what was dropped. The request stays as it was."""
    before = deepcopy(chat)
    outgoing = CHAT_PROVIDER.render_request(chat, model, Hints(**hints))
    assert chat == before
    return json.loads(outgoing.body), list(outgoing.dropped)


def content_of(*parts: Part) -> tuple[list[JSON], list[str]]:
    body, dropped = sent(asks(Message("user", list(parts))))
    return (body["messages"][0]["content"] if "messages" in body else []), dropped


def test_a_stream_is_asked_for_at_its_own_operation() -> None:
    found = CHAT_PROVIDER.render_request(asks(user("a"), stream=True), "m", Hints())
    assert (found.operation, found.streams) == ("converse.stream", True)
    assert json.loads(found.body) == {"messages": [{"role": "user", "content": [{"text": "a"}]}]}


def test_system_prompts_stand_apart_wherever_they_stood() -> None:
    body, _ = sent(
        asks(
            Message("system", [Text("a", cache="1h")]),
            user("b"),
            Message("developer", [Text("c")]),
            user("d"),
        )
    )
    assert body["system"] == [
        {"text": "a"},
        {"cachePoint": {"type": "default", "ttl": "1h"}},
        {"text": "c"},
    ]
    assert body["messages"] == [{"role": "user", "content": [{"text": "b"}, {"text": "d"}]}]


def test_results_of_parallel_calls_stand_in_one_turn() -> None:
    body, _ = sent(
        asks(
            user("a"),
            Message("assistant", [ToolCall("1", "f", '{"x":1}'), ToolCall("2", "f")]),
            Message("tool", [ToolResult("1", [Text("one")])]),
            Message("tool", [ToolResult("2", [Text("two")], error=True)]),
            user("go on"),
            tools=[F],
        )
    )
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][1]["content"] == [
        {"toolUse": {"toolUseId": "1", "name": "f", "input": {"x": 1}}},
        {"toolUse": {"toolUseId": "2", "name": "f", "input": {}}},
    ]
    assert body["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": "1", "content": [{"text": "one"}]}},
        {"toolResult": {"toolUseId": "2", "content": [{"text": "two"}], "status": "error"}},
        {"text": "go on"},
    ]


def test_calls_without_ids_get_some() -> None:
    body, _ = sent(
        asks(
            user("a"),
            Message("assistant", [ToolCall("", "f")]),
            Message("tool", [ToolResult("", [], name="f")]),
        )
    )
    call, result = (turn["content"][0] for turn in body["messages"][1:])
    assert call["toolUse"]["toolUseId"] == result["toolResult"]["toolUseId"] == "call_1"


@pytest.mark.parametrize("id_", ["functions.f:0", "call_1", "a" * 64])
def test_an_id_that_fits_is_kept(id_: str) -> None:
    assert content_of(ToolResult(id_, []))[0][0]["toolResult"]["toolUseId"] == id_


@pytest.mark.parametrize("id_", ["a|b", "ü", "a" * 65, "x y" * 40])
def test_an_id_that_does_not_fit_is_changed_alike_in_call_and_result(id_: str) -> None:
    result, call = content_of(ToolCall(id_, "f"), ToolResult(id_, []))[0]
    made = call["toolUse"]["toolUseId"]
    assert made == result["toolResult"]["toolUseId"]
    assert made.isascii()
    assert len(made) <= 64


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Refusal("no"), {"text": "no"}),
        (
            Media("image", data="QUJD", media_type="image/jpg"),
            {"image": {"format": "jpeg", "source": {"bytes": "QUJD"}}},
        ),
        (
            Media("image", data="iVBORw0KGgoA"),
            {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgoA"}}},
        ),
        (
            Media("video", url="s3://bucket/key", media_type="video/3gpp"),
            {"video": {"format": "three_gp", "source": {"s3Location": {"uri": "s3://bucket/key"}}}},
        ),
        (
            Media("audio", data="QUJD", media_type="audio/wav"),
            {"audio": {"format": "wav", "source": {"bytes": "QUJD"}}},
        ),
        (
            Media("file", data="QUJD", media_type="application/pdf", filename="A_b (1).v2.pdf"),
            {"document": {"format": "pdf", "name": "A b (1) v2", "source": {"bytes": "QUJD"}}},
        ),
        (
            Media("file", data="QUJD", filename="notes.md"),
            {"document": {"format": "md", "name": "notes", "source": {"bytes": "QUJD"}}},
        ),
        (
            Media("file", text="ABC", extra={"citations": {"enabled": True}, "context": "c"}),
            {
                "document": {
                    "format": "txt",
                    "name": "Document",
                    "source": {"bytes": "QUJD"},
                    "citations": {"enabled": True},
                    "context": "c",
                }
            },
        ),
        (
            Reasoning("t", "sig"),
            {"reasoningContent": {"reasoningText": {"text": "t", "signature": "sig"}}},
        ),
        (Reasoning(data="EtkE"), {"reasoningContent": {"redactedContent": "RXRrRQ=="}}),
        (
            ToolCall("1", "f", "text", custom=True),
            {"toolUse": {"toolUseId": "1", "name": "f", "input": {"input": "text"}}},
        ),
        (
            ToolCall("1", "f", '{"a":'),
            {"toolUse": {"toolUseId": "1", "name": "f", "input": {"input": '{"a":'}}},
        ),
        (
            Opaque(
                "anthropic",
                {
                    "type": "search_result",
                    "source": "s",
                    "title": "t",
                    "content": [{"type": "text", "text": "x"}],
                    "citations": {"enabled": True},
                },
            ),
            {
                "searchResult": {
                    "source": "s",
                    "title": "t",
                    "content": [{"text": "x"}],
                    "citations": {"enabled": True},
                }
            },
        ),
    ],
    ids=str,
)
def test_a_part_becomes_a_block(part: Part, block: JSON) -> None:
    assert content_of(part) == ([block], [])


def test_a_results_media_stand_inside_it() -> None:
    image = Media("image", data="QUJD", media_type="image/png")
    document = Media("file", data="QUJD", media_type="text/csv", filename="a.csv")
    blocks, _ = content_of(ToolResult("1", [Text("see"), image, document]))
    assert [next(iter(item)) for item in blocks[0]["toolResult"]["content"]] == [
        "text",
        "image",
        "document",
    ]


def test_documents_of_one_name_are_told_apart() -> None:
    document = Media("file", data="QUJD", media_type="text/csv", filename="a.csv")
    blocks, _ = content_of(document, document)
    assert [block["document"]["name"] for block in blocks] == ["a", "a 2"]


@pytest.mark.parametrize(
    ("part", "dropped"),
    [
        (Text(""), []),
        (Text("", annotations=[{"url": "u"}]), ["messages[0].content[0].annotations"]),
        (Text("", extra={"foo": 1, "bar": None}), ["messages[0].content[0].foo"]),
        (Reasoning("unsigned"), ["messages[0].content[0]"]),
        (Reasoning("", data="gAAA", id="rs_1"), ["messages[0].content[0]"]),
        (Opaque("anthropic", {"type": "container_upload"}), ["messages[0].content[0]"]),
    ],
    ids=str,
)
def test_a_part_that_cannot_be_said_is_named(part: Part, dropped: list[str]) -> None:
    assert content_of(part) == ([], dropped)


@pytest.mark.parametrize(
    "part",
    [
        Media("image", url="https://example.com/a.png"),
        Media("image", file_id="file-1", media_type="image/png"),
        Media("image", data="QUJD", media_type="image/tiff"),
        Media("file", data="QUJD", media_type="application/zip"),
        ToolResult("1", [Media("audio", data="QUJD", media_type="audio/wav")]),
    ],
    ids=str,
)
def test_a_part_that_must_not_be_dropped_is_refused(part: Part) -> None:
    with pytest.raises(ApiError) as refused:
        content_of(part)
    assert refused.value.status == 400
    assert (refused.value.param or "").startswith("messages[0].content[0]")


def test_media_are_fetched_but_for_the_accounts_own() -> None:
    parts: list[Part] = [
        Media("image", url="https://a/b.png"),
        Media("image", url="s3://a/b.png"),
        ToolResult("1", [Media("file", url="https://a/c.pdf")]),
    ]
    found = CHAT_PROVIDER.fetches(asks(Message("user", parts)), Hints())
    assert found == ["https://a/b.png", "https://a/c.pdf"]


def test_cache_marks_become_points() -> None:
    body, dropped = sent(
        asks(
            Message("user", [Text("a", cache="5m"), ToolResult("1", [Text("x", cache="1h")])]),
            tools=[Tool("f", schema=F.schema, cache="5m")],
        )
    )
    point = {"cachePoint": {"type": "default"}}
    hour = {"cachePoint": {"type": "default", "ttl": "1h"}}
    content = body["messages"][0]["content"]
    assert (content[1], content[3]) == (hour, point)  # results come first, their points with them
    assert body["toolConfig"]["tools"][1] == point
    assert dropped == []


def test_tools_are_specified() -> None:
    tools = [
        Tool(
            "f", "does f", {"type": "object", "properties": {"a": {"type": "string"}}}, strict=True
        ),
        Tool(
            "patch", "patches", kind="custom", format={"syntax": "lark", "definition": "start: x"}
        ),
        Tool("web_search", kind="hosted", dialect="openai-responses", data={"type": "web_search"}),
    ]
    body, dropped = sent(asks(user("a"), tools=tools))
    first, second = (entry["toolSpec"] for entry in body["toolConfig"]["tools"])
    assert first == {
        "name": "f",
        "description": "does f",
        "inputSchema": {"json": tools[0].schema},
        "strict": True,
    }
    assert second["inputSchema"]["json"]["required"] == ["input"]
    assert "start: x" in second["inputSchema"]["json"]["properties"]["input"]["description"]
    assert dropped == ["tools[2]"]


def test_alternatives_at_the_top_of_a_schema_are_merged_and_named() -> None:
    schema = {
        "anyOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}],
        "allOf": [{"properties": {"b": {}}, "required": ["b"]}, 1],
        "properties": {"c": {}},
    }
    body, dropped = sent(asks(user("a"), tools=[Tool("f", schema=schema)]))
    made = body["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"]
    assert made["type"] == "object"
    assert sorted(made["properties"]) == ["a", "b", "c"]
    assert made["required"] == ["b"]
    assert dropped == ["tools[0].parameters.anyOf", "tools[0].parameters.allOf"]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (None, None),
        (ToolChoice("auto"), None),
        (ToolChoice("required"), {"any": {}}),
        (ToolChoice("required", ["f"]), {"tool": {"name": "f"}}),
    ],
)
def test_the_choice_of_tools_is_said(choice: ToolChoice | None, said: JSON) -> None:
    body, _ = sent(asks(user("a"), tools=[F], tool_choice=choice))
    assert body["toolConfig"].get("toolChoice") == said


def test_a_choice_among_some_leaves_the_others_out() -> None:
    tools = [F, Tool("g"), Tool("h")]
    body, _ = sent(asks(user("a"), tools=tools, tool_choice=ToolChoice("required", ["f", "h"])))
    names = [entry["toolSpec"]["name"] for entry in body["toolConfig"]["tools"]]
    assert (names, body["toolConfig"]["toolChoice"]) == (["f", "h"], {"any": {}})


def test_no_tools_are_offered_where_none_may_be_called() -> None:
    body, dropped = sent(asks(user("a"), tools=[F], tool_choice=ToolChoice("none")))
    assert ("toolConfig" in body, dropped) == (False, ["tool_choice"])


def test_tools_that_were_used_are_declared() -> None:
    used = [user("a"), Message("assistant", [ToolCall("1", "f")])]
    body, _ = sent(asks(*used, Message("tool", [ToolResult("1", [])])))
    assert [e["toolSpec"]["name"] for e in body["toolConfig"]["tools"]] == ["f"]
    body, _ = sent(asks(*used, tools=[F, Tool("g")], tool_choice=ToolChoice("none")))
    assert len(body["toolConfig"]["tools"]) == 2


def test_numbers_are_the_inference_configuration() -> None:
    body, dropped = sent(
        asks(user("a"), max_output=5, temperature=0.5, stop=["x", "\n"], top_k=3), CLAUDE
    )
    assert body["inferenceConfig"] == {"maxTokens": 5, "temperature": 0.5, "stopSequences": ["x"]}
    assert body["additionalModelRequestFields"] == {"top_k": 3}
    assert body["additionalModelResponseFieldPaths"] == ["/stop_sequence"]
    assert dropped == ["stop"]


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (NOVA, {"inferenceConfig": {"topK": 3}}),
        ("cohere.command-r-v1:0", {"k": 3}),
        ("mistral.mistral-large-2407-v1:0", {"top_k": 3}),
        ("us.meta.llama4-maverick-17b-instruct-v1:0", None),
    ],
)
def test_top_k_stands_where_the_family_has_it(model: str, fields: JSON) -> None:
    body, dropped = sent(asks(user("a"), top_k=3), model)
    assert body.get("additionalModelRequestFields") == fields
    assert dropped == ([] if fields else ["top_k"])


def test_heat_is_bounded_and_excludes_the_share() -> None:
    body, dropped = sent(asks(user("a"), temperature=1.5, top_p=0.9))
    assert body["inferenceConfig"] == {"temperature": 1.0}
    assert dropped == ["temperature", "top_p"]


def test_a_schema_for_the_answer_is_text_and_closed() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "object"}}}
    wanted = OutputFormat("json", schema, "Answer", "about")
    body, _ = sent(asks(user("a"), format=wanted))
    spec = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert (spec["name"], spec["description"]) == ("Answer", "about")
    made = json.loads(spec["schema"])
    assert made["additionalProperties"] is False
    assert made["properties"]["a"]["additionalProperties"] is False


def test_a_member_named_like_a_keyword_is_a_member() -> None:
    schema = {
        "type": "object",
        "properties": {"enum": {"type": "object"}},
        "enum": [{"type": "object"}],
    }
    closed = closed_schema(schema)
    assert closed["properties"]["enum"]["additionalProperties"] is False
    assert closed["enum"] == schema["enum"]


def test_json_without_a_schema_is_named() -> None:
    assert sent(asks(user("a"), format=OutputFormat("json")))[1] == ["response_format"]


@pytest.mark.parametrize(
    ("model", "thinking", "fields", "output"),
    [
        (CLAUDE, Thinking(effort="low"), {"type": "enabled", "budget_tokens": 2048}, None),
        (CLAUDE, Thinking(budget=5000), {"type": "enabled", "budget_tokens": 5000}, None),
        (CLAUDE, Thinking(budget=64000), {"type": "enabled", "budget_tokens": 19999}, None),
        (CLAUDE, Thinking(enabled=False), {"type": "disabled"}, None),
        (CLAUDE, Thinking(effort="none"), {"type": "disabled"}, None),
        (NEWER, Thinking(effort="xhigh"), {"type": "adaptive"}, {"effort": "xhigh"}),
        (NEWER, Thinking(effort="minimal"), {"type": "adaptive"}, {"effort": "low"}),
        (
            NEWER,
            Thinking(adaptive=True, show=True),
            {"type": "adaptive", "display": "summarized"},
            None,
        ),
        (NEWER, Thinking(budget=2000), {"type": "adaptive"}, {"effort": "low"}),
    ],
    ids=str,
)
def test_claude_is_told_how_to_think(
    model: str, thinking: Thinking, fields: JSON, output: JSON
) -> None:
    body, dropped = sent(asks(user("a"), thinking=thinking, max_output=20000), model)
    assert body["additionalModelRequestFields"] == {"thinking": fields}
    assert body.get("outputConfig") == output
    assert dropped == []


@pytest.mark.parametrize(
    ("model", "effort", "fields"),
    [
        (NOVA, "low", {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
        ("openai.gpt-oss-20b-1:0", "xhigh", {"reasoning_effort": "high"}),
    ],
)
def test_other_families_are_told_in_their_words(model: str, effort: str, fields: JSON) -> None:
    body, _ = sent(asks(user("a"), thinking=Thinking(effort=effort), max_output=9), model)
    assert body["additionalModelRequestFields"] == fields
    assert body["inferenceConfig"] == {"maxTokens": 9}


def test_nova_at_its_hardest_takes_no_numbers() -> None:
    chat = asks(user("a"), thinking=Thinking(effort="high"), max_output=9, temperature=0.5)
    body, dropped = sent(chat, NOVA)
    assert "inferenceConfig" not in body
    assert sorted(dropped) == ["max_tokens", "temperature"]


@pytest.mark.parametrize(
    ("model", "rest"),
    [
        ("us.meta.llama4-maverick-17b-instruct-v1:0", {}),
        ("anthropic.claude-3-haiku-20240307-v1:0", {}),
        (CLAUDE, {"max_output": 500}),
        (CLAUDE, {"tools": [F], "tool_choice": ToolChoice("required")}),
    ],
)
def test_thinking_that_is_not_possible_is_named(model: str, rest: dict[str, Any]) -> None:
    body, dropped = sent(asks(user("a"), thinking=Thinking(effort="low"), **rest), model)
    assert ("additionalModelRequestFields" in body, dropped) == (False, ["reasoning_effort"])


@pytest.mark.parametrize(("signature", "thinks"), [("sig", True), ("", False)])
def test_a_turn_under_way_thinks_only_if_it_began_so(signature: str, thinks: bool) -> None:
    call = Message("assistant", [Reasoning("t", signature), ToolCall("1", "f")])
    chat = asks(user("a"), call, Message("tool", [ToolResult("1", [])]), tools=[F])
    chat.thinking = Thinking(effort="low")
    assert ("additionalModelRequestFields" in sent(chat)[0]) is thinks


def test_sampling_yields_to_thinking() -> None:
    chat = asks(user("a"), thinking=Thinking(effort="low"), temperature=0.2, top_k=5)
    body, dropped = sent(chat)
    assert ("inferenceConfig" in body, dropped) == (False, ["temperature", "top_k"])


@pytest.mark.parametrize(
    ("tier", "said", "dropped"),
    [
        ("auto", None, []),
        ("flex", {"type": "flex"}, []),
        ("scale", None, ["service_tier"]),
    ],
)
def test_the_tier_is_said(tier: str, said: JSON, dropped: list[str]) -> None:
    body, found = sent(asks(user("a"), service_tier=tier))
    assert (body.get("serviceTier"), found) == (said, dropped)


def test_what_converse_has_no_word_for_is_named() -> None:
    chat = asks(
        Message("user", [Text("a")], name="bob", extra={"foo": 1}),
        seed=1,
        n=2,
        logprobs=True,
        presence_penalty=0.5,
        user="u",
        parallel_tools=False,
        tools=[Tool("f", extra={"defer": True}, namespace="n")],
        extra={"logit_bias": {"1": 1}, "store": None},
    )
    assert sent(chat)[1] == [
        "messages[0].name",
        "messages[0].foo",
        "tools[0].defer",
        "seed",
        "presence_penalty",
        "logprobs",
        "user",
        "n",
        "parallel_tool_calls",
        "logit_bias",
    ]


def test_a_channel_may_set_its_guardrail() -> None:
    body, _ = sent(
        asks(user("a"), top_k=1),
        options={
            "guardrailConfig": {"guardrailIdentifier": "g"},
            "additionalModelRequestFields": {"x": 1, "top_k": 9},
        },
    )
    assert body["guardrailConfig"] == {"guardrailIdentifier": "g"}
    assert body["additionalModelRequestFields"] == {"x": 1, "top_k": 1}


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(ApiError) as refused:
        sent(asks(user("\ud800")))
    assert refused.value.status == 400


@given(st.text(max_size=20))
@settings(deadline=None)
def test_a_tools_name_can_be_read_back(name: str) -> None:
    assert read_name(spell_name(name)) == name


@given(st.text(alphabet="_x2e50f", max_size=14))
@settings(deadline=None)
def test_names_that_look_spelt_can_be_read_back(name: str) -> None:
    assert read_name(spell_name(name)) == name


@pytest.mark.parametrize("name", ["get_weather", "mcp__server__tool-1", "x_", "_x_", "a_x"])
def test_a_plain_name_stays(name: str) -> None:
    assert spell_name(name) == name


def test_a_conversation_that_the_assistant_begins_gets_a_word_of_the_user_before_it() -> None:
    body, _ = sent(asks(Message("assistant", [Text("Hello!")]), user("a")))
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][0]["content"][0]["text"].strip()


def test_instructions_alone_are_said_by_the_user() -> None:
    body, _ = sent(asks(Message("system", [Text("a")])))
    assert body == {"messages": [{"role": "user", "content": [{"text": "a"}]}]}


def test_a_text_of_white_space_is_left_out() -> None:
    blocks, _ = content_of(Text(" \n"), Text("a"), ToolResult("1", [Text(" ")]))
    assert blocks == [{"toolResult": {"toolUseId": "1", "content": []}}, {"text": "a"}]


def test_a_name_too_long_for_converse_is_cut_and_known_again() -> None:
    tool = Tool("f" * 65, schema=F.schema)
    body, _ = sent(asks(user("a"), tools=[tool], tool_choice=ToolChoice("required", [tool.name])))
    name = body["toolConfig"]["tools"][0]["toolSpec"]["name"]
    assert len(name) <= 64
    assert body["toolConfig"]["toolChoice"] == {"tool": {"name": name}}
    reply = ChatResponse("1", "m", [Choice([ToolCall("c", name)], "tool_calls")], None, "x")
    assert Restorer([tool]).restored(reply).choices[0].parts == [ToolCall("c", tool.name)]
