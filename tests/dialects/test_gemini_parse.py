"""Requests come to the middle and back, in either spelling of their members."""

from __future__ import annotations

import json
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.base import Hints
from oneapi.dialects.gemini_chat import FACE, PROVIDER
from oneapi.dialects.gemini_enums import TYPES
from oneapi.dialects.gemini_parse import parse_request
from oneapi.dialects.gemini_render import render_request
from oneapi.dialects.gemini_schema import from_openapi
from oneapi.dialects.gemini_shapes import camel
from oneapi.errors import ApiError
from oneapi.ir import (
    ChatRequest,
    Envelope,
    Media,
    Message,
    Opaque,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from oneapi.wire.json import JSON, MalformedJSON, decode
from tests.dialects.gemini_recorded import CHATS, Exchange, cases

USERS = frozenset(
    "args response parameters parametersJsonSchema responseSchema responseJsonSchema".split()
)
URL_SAFE = str.maketrans("-_", "+/")


def parsed(body: JSON) -> ChatRequest:
    return parse_request(body, Envelope("m"))


def parts(*found: JSON) -> Message:
    return parsed({"contents": [{"role": "user", "parts": list(found)}]}).messages[0]


def normal(value: JSON, name: str = "") -> JSON:
    """The listed normalisations, made here again: names, alphabet, levels."""
    if name in USERS:
        return value
    if isinstance(value, dict):
        return {camel(k): normal(v, camel(k)) for k, v in value.items()}
    if isinstance(value, list):
        return [normal(item) for item in value]
    if name == "thinkingLevel":
        return value.upper()
    if name == "data" and not {"+", "/"} & set(value):
        value = value.translate(URL_SAFE)
        return value + "=" * (-len(value) % 4)
    return value


@pytest.mark.parametrize("exchange", cases(CHATS))
def test_a_recorded_request_comes_back_as_it_was(exchange: Exchange) -> None:
    chat = parse_request(exchange.request, Envelope(exchange.model))
    assert render_request(chat) == normal(exchange.request)


def test_both_spellings_mean_the_same() -> None:
    body = {
        "system_instruction": {"parts": [{"text": "be brief"}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"inline_data": {"mime_type": "image/png", "data": "AAAA"}},
                    {"file_data": {"file_uri": "gs://b/x.pdf", "mime_type": "application/pdf"}},
                ],
            }
        ],
        "tools": [
            {
                "function_declarations": [
                    {"name": "f", "parameters_json_schema": {"properties": {"a_b": {}}}}
                ]
            }
        ],
        "tool_config": {
            "function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}
        },
        "generation_config": {"max_output_tokens": 5, "thinking_config": {"thinking_budget": 9}},
        "safety_settings": [{"category": "X", "threshold": "OFF"}],
    }
    chat = parsed(body)
    assert chat == parsed(normal(body))
    assert chat.messages[0] == Message("system", [Text("be brief")])
    assert chat.tools[0].schema == {"properties": {"a_b": {}}}
    assert chat.tool_choice == ToolChoice("required", ["f"])
    assert chat.max_output == 5
    assert chat.thinking == Thinking(budget=9, enabled=True)
    assert chat.extra == {"safetySettings": [{"category": "X", "threshold": "OFF"}]}


def test_keys_of_users_are_not_respelt() -> None:
    body = {
        "contents": [
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a_b": 1}}}]},
            {
                "role": "user",
                "parts": [{"functionResponse": {"name": "f", "response": {"c_d": {"e_f": 2}}}}],
            },
        ],
        "generationConfig": {
            "responseMimeType": "application/json",
            "responseSchema": {"type": "OBJECT", "properties": {"g_h": {"type": "STRING"}}},
        },
    }
    assert render_request(parsed(body)) == body


def test_every_kind_of_part_is_known() -> None:
    message = parts(
        {"text": "a", "thoughtSignature": "s1"},
        {"text": "hm", "thought": True, "thoughtSignature": "s2"},
        {"inlineData": {"mimeType": "audio/wav", "data": "AAAA", "displayName": "x.wav"}},
        {"fileData": {"fileUri": "https://youtu.be/abc"}, "videoMetadata": {"fps": 1}},
        {"functionCall": {"id": "c", "name": "f", "args": {"x": 1}}, "thoughtSignature": "s3"},
        {"functionCall": {"name": "f"}},
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thought": True},
        {"someday": {"x": 1}},
    )
    assert message.parts == [
        Text("a", extra={"thoughtSignature": "s1"}),
        Reasoning("hm", "s2", summary=True),
        Media("audio", data="AAAA", media_type="audio/wav", filename="x.wav"),
        Media("video", url="https://youtu.be/abc", extra={"videoMetadata": {"fps": 1}}),
        ToolCall("c", "f", '{"x":1}', signature="s3"),
        ToolCall("", "f"),
        Opaque("gemini", {"executableCode": {"language": "PYTHON", "code": "1"}}),
        Opaque(
            "gemini", {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thought": True}
        ),
        Opaque("gemini", {"someday": {"x": 1}}),
    ]


@pytest.mark.parametrize(
    ("response", "said", "error"),
    [
        ({"result": "40 C"}, "40 C", False),
        ({"error": "no such city"}, "no such city", True),
        ({"output": "x"}, '{"output":"x"}', False),
        ({"result": '{"a":1}'}, '{"result":"{\\"a\\":1}"}', False),
        ({"result": [1]}, '{"result":[1]}', False),
        ({}, "{}", False),
    ],
)
def test_a_result_is_text_and_comes_back(response: JSON, said: str, error: bool) -> None:
    told = {"functionResponse": {"name": "f", "response": response}}
    message = parts(told)
    assert message.parts == [ToolResult("", [Text(said)], name="f", error=error)]
    again = render_request(ChatRequest("m", [message], "gemini"))
    assert again["contents"][0]["parts"] == [told]


def test_a_result_without_a_response_and_one_with_an_image_come_back() -> None:
    body = {
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"id": "1", "name": "f", "willContinue": True}},
                    {
                        "functionResponse": {
                            "name": "g",
                            "response": {"result": "see"},
                            "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}],
                        }
                    },
                ],
            }
        ]
    }
    assert render_request(parsed(body)) == body


@pytest.mark.parametrize(
    "system", ["be brief", {"parts": {"text": "be brief"}}, ["be brief"], {"text": "be brief"}]
)
def test_a_system_instruction_has_many_forms(system: JSON) -> None:
    chat = parsed({"systemInstruction": system, "contents": "hi"})
    assert chat.messages == [Message("system", [Text("be brief")]), Message("user", [Text("hi")])]


def test_hosted_tools_and_functions_keep_their_order() -> None:
    tools = [
        {"googleSearch": {}},
        {"functionDeclarations": [{"name": "a", "description": ""}, {"name": "b"}]},
        {"codeExecution": {}},
    ]
    chat = parsed({"contents": [], "tools": tools})
    assert [tool.name for tool in chat.tools] == ["googleSearch", "a", "b", "codeExecution"]
    hosted = chat.tools[0]
    assert (hosted.kind, hosted.dialect, hosted.data) == ("hosted", "gemini", {"googleSearch": {}})
    assert render_request(chat)["tools"] == tools


@pytest.mark.parametrize(
    "tools",
    [
        [{"functionDeclarations": [{"name": "a"}]}, {"functionDeclarations": [{"name": "b"}]}],
        [{"functionDeclarations": [{"name": "a"}], "googleSearch": {}}, {"codeExecution": {}}],
        [{"googleSearch": {}, "urlContext": {}}],
    ],
)
def test_tools_stand_in_the_entries_they_came_in(tools: JSON) -> None:
    assert render_request(parsed({"contents": [], "tools": tools}))["tools"] == tools


@pytest.mark.parametrize(
    "said",
    [
        {"tools": [], "toolConfig": {}, "generationConfig": {}, "safetySettings": []},
        {"tools": None, "systemInstruction": None, "cachedContent": None},
        {"generationConfig": {"temperature": None, "stopSequences": []}},
    ],
)
def test_top_members_that_say_nothing_come_back(said: JSON) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], **said}
    assert render_request(parsed(body)) == body


def test_functions_that_came_from_elsewhere_stand_in_one_entry() -> None:
    search = Tool("googleSearch", kind="hosted", dialect="gemini", data={"googleSearch": {}})
    chat = ChatRequest("m", [], "gemini", tools=[Tool("a"), Tool("b"), search, Tool("c")])
    assert render_request(chat)["tools"] == [
        {"functionDeclarations": [{"name": "a"}, {"name": "b"}]},
        {"googleSearch": {}},
        {"functionDeclarations": [{"name": "c"}]},
    ]


@pytest.mark.parametrize(
    ("calling", "choice"),
    [
        ({"mode": "AUTO"}, ToolChoice()),
        ({"mode": "NONE"}, ToolChoice("none")),
        ({"mode": 2}, ToolChoice("required")),
        (
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
            ToolChoice("auto", ["f"], extra={"mode": "VALIDATED"}),
        ),
    ],
)
def test_modes_of_calling(calling: JSON, choice: ToolChoice) -> None:
    found = parsed({"contents": [], "toolConfig": {"functionCallingConfig": calling}})
    assert found.tool_choice == choice


def test_schemas_become_json_schema() -> None:
    schema = {
        "type": 6,
        "property_ordering": ["a_b"],
        "properties": {
            "a_b": {"type": "STRING", "nullable": True, "format": "enum", "enum": ["x"]},
            "c": {"type": "ARRAY", "items": {"any_of": [{"type": "INTEGER"}, {"type": "NULL"}]}},
        },
    }
    assert from_openapi(schema) == {
        "type": "object",
        "properties": {
            "a_b": {"type": ["string", "null"], "enum": ["x"]},
            "c": {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
        },
    }
    assert len(TYPES) == 8


def test_settings_that_only_google_knows_come_back() -> None:
    body = {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "cachedContent": "cachedContents/x",
        "labels": {"a_b": "c"},
        "toolConfig": {"includeServerSideToolInvocations": True},
        "generationConfig": {
            "temperature": 0,
            "topK": 40,
            "responseMimeType": "text/x.enum",
            "responseSchema": {"type": "STRING", "enum": ["a"]},
            "responseModalities": ["TEXT", "AUDIO"],
            "speechConfig": {"voiceConfig": {"x": 1}},
            "thinkingConfig": {"thinkingBudget": -1, "includeThoughts": False},
        },
    }
    chat = parsed(body)
    assert render_request(chat) == body
    assert chat.thinking == Thinking(adaptive=True, enabled=True, show=False)
    assert chat.modalities == ["text", "audio"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([], None),
        ({}, "contents"),
        ({"contents": 3}, "contents"),
        ({"contents": [3]}, "contents[0]"),
        ({"contents": [{"role": "system", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"parts": [{"text": 1}]}]}, "contents[0].parts[0].text"),
        (
            {"contents": [{"parts": [{}, {"inlineData": "x"}]}]},
            "contents[0].parts[1].inlineData",
        ),
        (
            {"contents": [{"parts": [{"functionCall": {"args": []}}]}]},
            "contents[0].parts[0].functionCall.args",
        ),
        ({"contents": [], "generationConfig": {"topK": 1.5}}, "generationConfig.topK"),
        ({"contents": [], "generationConfig": {"seed": True}}, "generationConfig.seed"),
        ({"contents": [], "tools": [{"functionDeclarations": 1}]}, "tools[0].functionDeclarations"),
        ({"contents": [], "safetySettings": 1, "safety_settings": 2}, "safetySettings"),
        (
            {"contents": [], "toolConfig": {"functionCallingConfig": {"mode": "SOME"}}},
            "toolConfig.functionCallingConfig.mode",
        ),
    ],
)
def test_what_is_malformed_is_named(body: JSON, param: str | None) -> None:
    with pytest.raises(ApiError) as caught:
        parsed(body)
    assert (caught.value.status, caught.value.param) == (400, param)


NAMES = st.sampled_from(
    "contents parts text role inlineData inline_data functionCall functionResponse response args "
    "thought tools functionDeclarations parameters toolConfig functionCallingConfig mode "
    "generationConfig thinkingConfig responseSchema responseMimeType stopSequences type".split()
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.sampled_from(["user", "model", "ANY", "application/json", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(VALUES | st.dictionaries(NAMES, VALUES, max_size=6))
@settings(max_examples=400, deadline=None)
def test_any_json_is_a_request_or_refused(body: JSON) -> None:
    refused: ApiError | None = None
    try:
        chat = parsed(body)
    except ApiError as error:
        refused = error
    if refused is not None:
        assert refused.status == 400
        return
    again = cast(JSON, render_request(chat))
    assert render_request(parsed(json.loads(json.dumps(again)))) == again


def test_what_is_nested_too_deeply_is_refused() -> None:
    refused = 0
    for depth in range(900, 1000):
        args = '{"a":' * depth + "1" + "}" * depth
        body = f'{{"contents":[{{"parts":[{{"functionCall":{{"name":"f","args":{args}}}}}]}}]}}'
        try:
            chat = FACE.parse_request(decode(body.encode()), Envelope("m"))
            PROVIDER.render_request(chat, "m", Hints())
        except (ApiError, MalformedJSON):
            refused += 1
    assert 0 < refused < 100
