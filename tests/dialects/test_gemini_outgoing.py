"""Requests of other dialects as Gemini's models take them, and what is dropped or refused."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest

from oneapi.dialects.base import Hints, Outgoing
from oneapi.dialects.gemini_chat import PROVIDER
from oneapi.dialects.gemini_parse import parse_request
from oneapi.dialects.gemini_schema import for_json_schema, for_openapi
from oneapi.dialects.gemini_thinking import family_of, thinking_config
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

FLASH = "gemini-2.5-flash"
THIRD = "gemini-3-flash-preview"
SHOWN = {"includeThoughts": True}
WEATHER = Tool(
    "weather", "tells it", {"type": "object", "properties": {"city": {"type": "string"}}}
)


def user(*parts: Part) -> Message:
    return Message("user", list(parts))


def asked(*messages: Message, **more: JSON) -> ChatRequest:
    given = list(messages) or [user(Text("hi"))]
    return ChatRequest("m", given, "openai-chat", **more)


def sent(chat: ChatRequest, model: str = FLASH, hints: Hints | None = None) -> Outgoing:
    before = deepcopy(chat)
    found = PROVIDER.render_request(chat, model, hints or Hints())
    assert chat == before
    return found


def body(chat: ChatRequest, model: str = FLASH, hints: Hints | None = None) -> JSON:
    return json.loads(sent(chat, model, hints).body)


def test_a_conversation_with_tools() -> None:
    chat = asked(
        Message("system", [Text("be brief")]),
        Message("developer", [Text("be kind")]),
        user(Text("weather?")),
        Message("assistant", [Text("let me see"), ToolCall("c1", "weather", '{"city":"Rome"}')]),
        Message("assistant", [ToolCall("c2", "weather", '{"city":"Oslo"}')]),
        Message("tool", [ToolResult("c1", [Text("40 C")])]),
        Message("tool", [ToolResult("c2", [Text("no such city")], error=True)]),
        user(Text("and?")),
        tools=[WEATHER],
        tool_choice=ToolChoice("required", ["weather"]),
    )
    assert body(chat) == {
        "systemInstruction": {
            "role": "user",
            "parts": [{"text": "be brief"}, {"text": "be kind"}],
        },
        "contents": [
            {"role": "user", "parts": [{"text": "weather?"}]},
            {
                "role": "model",
                "parts": [
                    {"text": "let me see"},
                    {"functionCall": {"id": "c1", "name": "weather", "args": {"city": "Rome"}}},
                    {"functionCall": {"id": "c2", "name": "weather", "args": {"city": "Oslo"}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {
                        "functionResponse": {
                            "id": "c1",
                            "name": "weather",
                            "response": {"result": "40 C"},
                        }
                    },
                    {
                        "functionResponse": {
                            "id": "c2",
                            "name": "weather",
                            "response": {"error": "no such city"},
                        }
                    },
                    {"text": "and?"},
                ],
            },
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "weather",
                        "description": "tells it",
                        "parametersJsonSchema": WEATHER.schema,
                    }
                ]
            }
        ],
        "toolConfig": {
            "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}
        },
    }


@pytest.mark.parametrize(
    ("model", "signatures"),
    [(FLASH, [None, None]), (THIRD, ["skip_thought_signature_validator", None])],
)
def test_calls_of_other_models_have_the_dummy_signature_where_one_is_due(
    model: str, signatures: list[str | None]
) -> None:
    calls: list[Part] = [ToolCall("1", "f", "{}"), ToolCall("2", "f", "")]
    parts = body(asked(user(Text("a")), Message("assistant", calls)), model)["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == signatures


def test_a_signature_is_replayed_on_its_call() -> None:
    call = ToolCall("1", "f", "{}", signature="sig")
    chat = asked(user(Text("a")), Message("assistant", [Reasoning("hm", "foreign"), call]))
    assert body(chat, THIRD)["contents"][1]["parts"] == [
        {"text": "hm", "thought": True},
        {"functionCall": {"id": "1", "name": "f", "args": {}}, "thoughtSignature": "sig"},
    ]


@pytest.mark.parametrize("model", [FLASH, THIRD])
def test_an_image_in_a_result_stands_where_the_model_reads_it(model: str) -> None:
    image = Media("image", data="iVBORw==")
    blob = {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}
    chat = asked(
        Message("assistant", [ToolCall("1", "f", "{}")]),
        Message("tool", [ToolResult("1", [Text("see"), image])]),
    )
    first, *rest = body(chat, model)["contents"][1]["parts"]
    nested = first["functionResponse"].get("parts", [])
    assert (nested, rest) == (([blob], []) if model == THIRD else ([], [blob]))


def test_media_in_all_forms() -> None:
    chat = asked(
        user(
            Media("image", data="AAAA", media_type="image/webp", detail="high"),
            Media("video", url="https://www.youtube.com/watch?v=1"),
            Media("file", file_id="https://generativelanguage.googleapis.com/v1beta/files/x"),
            Media("file", text="a document"),
            Media("audio", data="AAAA", media_type="audio/wav"),
            Media("image", url="https://a.example/i.png"),
        )
    )
    found = sent(chat)
    assert json.loads(found.body)["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/webp", "data": "AAAA"}},
        {"fileData": {"fileUri": "https://www.youtube.com/watch?v=1"}},
        {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x"}},
        {"text": "a document"},
        {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
        {"fileData": {"fileUri": "https://a.example/i.png"}},
    ]
    assert found.dropped == ["messages[0].content[0].detail"]
    assert PROVIDER.fetches(chat, Hints()) == ["https://a.example/i.png"]


def test_settings_and_formats() -> None:
    schema: JSON = {"type": "object", "properties": {"a": {"type": "integer"}}}
    chat = asked(
        max_output=9,
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        stop=["a", "b", "c", "d", "e", "f"],
        seed=2**40 + 7,
        presence_penalty=1,
        frequency_penalty=2,
        n=2,
        logprobs=True,
        top_logprobs=3,
        modalities=["text", "image"],
        format=OutputFormat("json", schema, name="x", strict=True),
    )
    found = sent(chat)
    assert json.loads(found.body)["generationConfig"] == {
        "maxOutputTokens": 9,
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 3,
        "stopSequences": ["a", "b", "c", "d", "e"],
        "seed": 7,
        "presencePenalty": 1,
        "frequencyPenalty": 2,
        "candidateCount": 2,
        "responseLogprobs": True,
        "logprobs": 3,
        "responseModalities": ["TEXT", "IMAGE"],
        "responseMimeType": "application/json",
        "responseJsonSchema": schema,
    }
    assert found.dropped == ["stop"]


def test_what_cannot_be_said_is_named() -> None:
    chat = asked(
        Message(
            "user",
            [Text("a", cache="5m", extra={"x": 1}), Opaque("anthropic", {})],
            name="ann",
            extra={"y": 2},
        ),
        tools=[
            Tool("f", strict=True, cache="5m", extra={"z": 1}),
            Tool("web", kind="hosted", dialect="anthropic", data={}),
            Tool("g", kind="custom", format={"type": "grammar"}),
        ],
        parallel_tools=False,
        user="u",
        verbosity="low",
        cache_key="k",
        service_tier="scale",
        extra={"logit_bias": {}},
        thinking=Thinking(effort="high"),
    )
    assert sent(chat, "gemini-2.0-flash").dropped == [
        "messages[0].name",
        "messages[0].y",
        "messages[0].content[0].x",
        "messages[0].content[0].cache_control",
        "messages[0].content[1]",
        "tools[0].z",
        "tools[0].cache_control",
        "tools[0].strict",
        "tools[1]",
        "tools[2].format",
        "reasoning_effort",
        "service_tier",
        "parallel_tool_calls",
        "verbosity",
        "user",
        "prompt_cache_key",
        "logit_bias",
    ]


@pytest.mark.parametrize(
    ("chat", "param"),
    [
        (asked(user(Media("file", file_id="file-abc"))), "messages[0].content[0].file_id"),
        (asked(user(Media("image"))), "messages[0].content[0]"),
        (asked(n=9), "n"),
        (asked(tools=[WEATHER], tool_choice=ToolChoice("required", ["other"])), "tool_choice"),
    ],
)
def test_what_must_not_be_dropped_is_refused(chat: ChatRequest, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        sent(chat)
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        (ToolChoice(), {"mode": "AUTO"}),
        (ToolChoice("none"), {"mode": "NONE"}),
        (ToolChoice("required"), {"mode": "ANY"}),
        (
            ToolChoice("auto", ["weather"]),
            {"mode": "VALIDATED", "allowedFunctionNames": ["weather"]},
        ),
    ],
)
def test_choices_among_tools(choice: ToolChoice, calling: JSON) -> None:
    found = body(asked(tools=[WEATHER], tool_choice=choice))
    assert found["toolConfig"] == {"functionCallingConfig": calling}


def test_nothing_but_instructions_is_a_prompt() -> None:
    assert body(asked(Message("system", [Text("tell a joke")]))) == {
        "contents": [{"role": "user", "parts": [{"text": "tell a joke"}]}]
    }


def test_custom_tools_take_their_input_as_text() -> None:
    custom = Tool("run", kind="custom")
    call = ToolCall("1", "run", "ls -l", custom=True)
    found = body(asked(user(Text("a")), Message("assistant", [call]), tools=[custom]))
    declared = found["tools"][0]["functionDeclarations"][0]
    assert declared["parametersJsonSchema"]["required"] == ["input"]
    assert found["contents"][1]["parts"][0]["functionCall"]["args"] == {"input": "ls -l"}


def test_the_channels_safety_settings_yield_to_the_clients() -> None:
    hints = Hints(safety=[{"category": "A", "threshold": "OFF"}])
    assert body(asked(), hints=hints)["safetySettings"] == list(hints.safety)
    own = parse_request({"contents": "hi", "safetySettings": [{"category": "B"}]}, Envelope("m"))
    assert body(own, hints=hints)["safetySettings"] == [{"category": "B"}]


def test_a_stream_is_asked_for_by_its_operation() -> None:
    found = sent(asked(stream=True))
    assert (found.operation, found.streams) == ("generate", True)


@pytest.mark.parametrize(
    ("model", "thinking", "config"),
    [
        (FLASH, Thinking(effort="none"), {"thinkingBudget": 0}),
        (FLASH, Thinking(effort="low"), {"thinkingBudget": 1024, **SHOWN}),
        (FLASH, Thinking(effort="max", show=True), {"thinkingBudget": 24576, **SHOWN}),
        (FLASH, Thinking(show=False), {"includeThoughts": False}),
        (FLASH, Thinking(adaptive=True), {"thinkingBudget": -1, **SHOWN}),
        ("gemini-2.5-pro", Thinking(effort="none"), {"thinkingBudget": 128}),
        ("gemini-2.5-pro", Thinking(budget=64), {"thinkingBudget": 128, **SHOWN}),
        ("gemini-2.5-flash-lite", Thinking(enabled=False), {"thinkingBudget": 0}),
        (THIRD, Thinking(effort="none"), {"thinkingLevel": "MINIMAL"}),
        (THIRD, Thinking(budget=4096), {"thinkingLevel": "MEDIUM", **SHOWN}),
        ("gemini-3-pro-preview", Thinking(effort="medium"), {"thinkingLevel": "HIGH", **SHOWN}),
        ("gemini-3-pro-preview", Thinking(effort="minimal"), {"thinkingLevel": "LOW", **SHOWN}),
        ("gemini-3.1-pro", Thinking(effort="medium"), {"thinkingLevel": "MEDIUM", **SHOWN}),
        (THIRD, Thinking(adaptive=True), SHOWN),
        ("gemini-2.0-flash", Thinking(enabled=False), {}),
        ("gemini-2.0-flash", Thinking(effort="low"), None),
        (FLASH, Thinking(), {}),
    ],
)
def test_how_much_to_think(model: str, thinking: Thinking, config: JSON) -> None:
    assert thinking_config(thinking, family_of(model, {})) == config


def test_a_channel_may_say_what_a_model_can() -> None:
    family = family_of("my-tuned", {"thinking": "level", "signatures": True})
    assert thinking_config(Thinking(effort="high"), family) == {
        "thinkingLevel": "HIGH",
        "includeThoughts": True,
    }
    assert family.signatures
    assert thinking_config(Thinking(), family_of(THIRD, {"thinking": "none"})) == {}


SCHEMA: JSON = {
    "$schema": "x",
    "type": "object",
    "additionalProperties": False,
    "definitions": {
        "Node": {"type": "object", "properties": {"next": {"$ref": "#/definitions/Node"}}}
    },
    "properties": {
        "const": {"const": "a"},
        "n": {"type": ["integer", "null"], "exclusiveMinimum": 0},
        "node": {"$ref": "#/definitions/Node"},
        "one": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    },
}


def test_json_schema_keeps_what_is_read() -> None:
    lost: set[str] = set()
    found = for_json_schema(SCHEMA, lost)
    assert lost == {"exclusiveMinimum"}
    assert found["properties"]["const"] == {"enum": ["a"]}
    assert found["properties"]["node"] == {"$ref": "#/$defs/Node"}
    assert found["$defs"]["Node"]["properties"]["next"] == {"$ref": "#/$defs/Node"}
    assert "$schema" not in found


def test_the_openapi_subset_is_for_those_that_want_it() -> None:
    hints = Hints(options={"schema": "openapi"})
    found = sent(
        asked(tools=[Tool("f", schema=SCHEMA), Tool("g", schema={"type": "object"})]), FLASH, hints
    )
    first, second = json.loads(found.body)["tools"][0]["functionDeclarations"]
    assert first["parameters"] == {
        "type": "OBJECT",
        "properties": {
            "const": {"type": "STRING", "enum": ["a"]},
            "n": {"type": "INTEGER", "nullable": True},
            "node": {"type": "OBJECT", "properties": {"next": {"type": "OBJECT"}}},
            "one": {"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}]},
        },
    }
    assert second == {"name": "g"}
    assert found.dropped == ["tools[0].parameters.exclusiveMinimum"]


def test_references_that_branch_do_not_grow_without_end() -> None:
    definitions: dict[str, JSON] = {
        f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 4} for i in range(20)
    }
    schema = {"$defs": definitions, "properties": {"a": {"$ref": "#/$defs/d0"}}}
    assert len(json.dumps(for_openapi(schema, set()))) < 1_000_000
