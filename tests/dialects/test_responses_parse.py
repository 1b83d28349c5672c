from __future__ import annotations

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.base import Hints
from oneapi.dialects.responses import CHAT_PROVIDER, NAME
from oneapi.errors import ApiError
from oneapi.ir import (
    ChatRequest,
    Envelope,
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
from tests.dialects.responses_recorded import ALL, FACE, Exchange, cases, parsed

CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "42"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}


def chat_of(**members: JSON) -> ChatRequest:
    return parsed({"model": "m", "input": "hi", **members})


def turns_of(*items: JSON) -> list[Message]:
    return chat_of(input=list(items)).messages


def shape(messages: list[Message]) -> list[tuple[str, list[str]]]:
    return [(m.role, [type(part).__name__ for part in m.parts]) for m in messages]


@pytest.mark.parametrize("exchange", cases(ALL))
def test_every_recorded_request_comes_back_as_it_was(exchange: Exchange) -> None:
    chat = parsed(copy.deepcopy(exchange.request))
    outgoing = CHAT_PROVIDER.render_request(chat, chat.model, Hints())

    assert FACE.render_request(chat) == exchange.request
    assert json.loads(outgoing.body) == exchange.request
    assert not outgoing.dropped


@pytest.mark.parametrize("exchange", cases(ALL))
def test_a_recorded_request_says_the_same_where_its_items_are_forgotten(
    exchange: Exchange,
) -> None:
    chat = parsed(exchange.request)
    for number, message in enumerate(chat.messages):
        chat.messages[number] = Message(message.role, message.parts, extra=message.extra)

    again = parsed(json.loads(CHAT_PROVIDER.render_request(chat, "m", Hints()).body))

    assert [m for m in again.messages if m.parts] == again.messages
    assert [_plain(m) for m in again.messages] == [_plain(m) for m in chat.messages]


def _plain(message: Message) -> list[object]:
    """What the parts say, ids of items aside."""
    said: list[object] = []
    for part in message.parts:
        if isinstance(part, ToolCall):
            said.append((part.id, part.name, part.namespace, part.arguments, part.custom))
        elif isinstance(part, ToolResult):
            said.append((part.call_id, [getattr(p, "text", p) for p in part.parts]))
        elif isinstance(part, Text | Refusal):
            said.append(part.text)
        else:
            said.append(part)
    return said


def test_instructions_are_the_first_message_and_a_string_is_the_user() -> None:
    chat = chat_of(instructions="be brief")

    assert shape(chat.messages) == [("system", ["Text"]), ("user", ["Text"])]
    assert FACE.render_request(chat) == {"model": "m", "input": "hi", "instructions": "be brief"}


@pytest.mark.parametrize(
    "said",
    [
        {"instructions": None, "tools": None, "text": None, "stream": None, "store": None},
        {"instructions": "", "tools": [], "include": [], "reasoning": {}, "text": {}},
        {"stream": False, "reasoning": {"effort": None, "summary": None}, "metadata": {}},
        {"text": {"format": None, "verbosity": "low"}, "reasoning": {"effort": "low", "x": None}},
        {"tools": [{"type": "function", "name": "f", "parameters": None, "strict": None}]},
        {"tools": [{"type": "function", "name": "f", "description": "", "parameters": {}}]},
        {"input": []},
    ],
)
def test_what_says_nothing_comes_back_as_it_was(said: JSON) -> None:
    body = {"model": "m", "input": "hi", **said}
    chat = parsed(copy.deepcopy(body))
    outgoing = CHAT_PROVIDER.render_request(chat, "other", Hints())

    assert FACE.render_request(chat) == body
    assert json.loads(outgoing.body) == {**body, "model": "other"}
    assert not outgoing.dropped


def test_what_the_gateway_changed_does_not_come_back() -> None:
    chat = chat_of(tools=[{"type": "function", "name": "f", "strict": None}], user="", store=None)
    chat.tools, chat.user = [], "u"

    assert FACE.render_request(chat) == {"model": "m", "input": "hi", "user": "u", "store": None}


def test_what_a_model_said_in_one_turn_is_one_message() -> None:
    said = {"type": "message", "role": "assistant", "content": [_out("a")], "id": "msg_1"}
    turns = turns_of(THOUGHT, said, CALL, {**CALL, "call_id": "c2"}, RESULT, {**RESULT})

    assert shape(turns) == [
        ("assistant", ["Reasoning", "Text", "ToolCall", "ToolCall"]),
        ("tool", ["ToolResult"]),
        ("tool", ["ToolResult"]),
    ]


def test_a_text_after_a_text_is_a_turn_of_its_own() -> None:
    said = {"role": "assistant", "content": "a"}

    assert shape(turns_of(said, said, CALL, said)) == [
        ("assistant", ["Text"]),
        ("assistant", ["Text", "ToolCall", "Text"]),
    ]


def test_parts_of_a_message_are_read() -> None:
    content = [
        {"type": "input_text", "text": "t", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "low"},
        {"type": "input_image", "image_url": "data:image/png;base64,QUJD"},
        {"type": "input_image", "file_id": "file_1"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,QQ==", "filename": "a"},
        {"type": "input_file", "file_url": "https://x.test/a.pdf"},
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
        {"type": "something_new", "x": 1},
    ]

    assert turns_of({"role": "user", "content": content})[0].parts == [
        Text("t", cache="5m"),
        Media("image", url="https://x.test/a.png", detail="low"),
        Media("image", data="QUJD", media_type="image/png"),
        Media("image", file_id="file_1"),
        Media("file", data="QQ==", media_type="application/pdf", filename="a"),
        Media("file", url="https://x.test/a.pdf"),
        Media("audio", data="QUJD", media_type="audio/wav"),
        Opaque(NAME, content[7]),
    ]


def test_an_answer_sent_back_is_read() -> None:
    refusal = {"type": "refusal", "refusal": "no"}
    note = {"type": "file_path", "file_id": "f", "index": 0}
    content = [{**_out("a"), "annotations": [note]}, refusal]

    parts = turns_of({"role": "assistant", "content": content, "phase": "commentary"})[0].parts

    assert parts == [Text("a", annotations=[note]), Refusal("no")]


def test_thoughts_are_read_in_all_their_forms() -> None:
    summary = [{"type": "summary_text", "text": t} for t in ("a", "b")]
    content = [{"type": "reasoning_text", "text": "raw"}]

    def thought(**members: JSON) -> list[Any]:
        return list(turns_of({"type": "reasoning", "id": "rs", **members})[0].parts)

    assert thought(summary=[]) == [Reasoning(id="rs")]
    assert thought(summary=summary, encrypted_content="e") == [
        Reasoning("a\n\nb", data="e", summary=True, id="rs")
    ]
    assert thought(summary=summary, content=content, encrypted_content="e") == [
        Reasoning("raw", id="rs"),
        Reasoning("a\n\nb", data="e", summary=True, id="rs"),
    ]


def test_calls_and_results_are_read() -> None:
    call = {**CALL, "id": "fc_1", "namespace": "n", "status": "completed"}
    custom = {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "text"}
    picture = {"type": "input_image", "image_url": "https://x.test/a.png"}
    output = {"type": "custom_tool_call_output", "call_id": "c2", "output": [picture]}

    calls, result, other = turns_of(call, custom, RESULT, output)

    assert calls.parts == [
        ToolCall("c1", "f", "{}", namespace="n", item_id="fc_1"),
        ToolCall("c2", "g", "text", custom=True),
    ]
    assert result.parts == [ToolResult("c1", [Text("42")])]
    assert other.parts == [
        ToolResult("c2", [Media("image", url="https://x.test/a.png")], custom=True)
    ]


def test_items_of_hosted_tools_stay_as_they_are() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    shot = {"type": "computer_call_output", "call_id": "c", "output": {}}
    turns = turns_of(search, {"role": "assistant", "content": "a"}, shot, {"id": "msg_1"})

    assert shape(turns) == [
        ("assistant", ["Opaque", "Text"]),
        ("user", ["Opaque"]),
        ("assistant", ["Opaque"]),
    ]
    assert turns[0].parts[0] == Opaque(NAME, search)


def test_a_picture_that_the_model_made_is_one() -> None:
    item = {"type": "image_generation_call", "id": "ig", "result": "QUJD", "status": "completed"}

    assert turns_of(item)[0].parts == [Media("image", data="QUJD", media_type="image/png")]


def test_tools_are_read() -> None:
    function = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}
    custom = {"type": "custom", "name": "g", "format": {"type": "text"}, "description": "d"}
    space = {"type": "namespace", "name": "n", "description": "d", "tools": [function, custom]}
    hosted = {"type": "web_search"}

    body = {"model": "m", "input": "hi", "tools": [function, space, hosted]}
    chat = parsed(body)

    assert chat.tools == [
        Tool("f", schema={"type": "object"}, strict=True),
        Tool(
            "f",
            schema={"type": "object"},
            strict=True,
            namespace="n",
            extra={"namespace": {"description": "d"}},
        ),
        Tool("g", "d", kind="custom", format={"type": "text"}, namespace="n"),
        Tool("web_search", kind="hosted", dialect=NAME, data=hosted),
    ]
    assert FACE.render_request(chat) == body


@pytest.mark.parametrize(
    ("value", "choice"),
    [
        ("auto", ToolChoice()),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ({"type": "function", "name": "f"}, ToolChoice("required", ["f"])),
        ({"type": "custom", "name": "g"}, ToolChoice("required", ["g"], custom=True)),
    ],
)
def test_a_choice_of_tools_is_read(value: JSON, choice: ToolChoice) -> None:
    chat = chat_of(tool_choice=value)

    assert chat.tool_choice == choice
    assert FACE.render_request(chat)["tool_choice"] == value


@pytest.mark.parametrize(
    ("value", "mode", "names"),
    [
        ({"type": "web_search"}, "required", []),
        ({"type": "mcp", "server_label": "s", "name": "x"}, "required", []),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
            "auto",
            ["f"],
        ),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}, {"type": "image_generation"}],
            },
            "required",
            ["f"],
        ),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}],
            },
            "required",
            ["f"],
        ),
    ],
)
def test_every_other_choice_comes_back_too(value: JSON, mode: str, names: list[str]) -> None:
    chat = chat_of(tool_choice=value)

    assert chat.tool_choice is not None
    assert (chat.tool_choice.mode, chat.tool_choice.names) == (mode, names)
    assert FACE.render_request(chat)["tool_choice"] == value


def test_how_to_answer_is_read() -> None:
    form = {
        "type": "json_schema",
        "name": "n",
        "schema": {"type": "object"},
        "strict": True,
        "description": "d",
    }
    members = {
        "text": {"format": form, "verbosity": "low"},
        "reasoning": {"effort": "high", "summary": "auto", "context": "all_turns"},
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "top_logprobs": 3,
        "max_output_tokens": 9,
        "temperature": 0,
        "top_p": 0.5,
        "parallel_tool_calls": False,
        "user": "u",
        "service_tier": "flex",
        "prompt_cache_key": "k",
        "metadata": {"a": "b"},
        "truncation": "auto",
        "max_tool_calls": 2,
        "brand_new": [1],
    }
    chat = chat_of(**members)

    assert chat.format == OutputFormat("json", {"type": "object"}, "n", "d", True)
    assert chat.thinking == Thinking(
        "high", show=True, summary="auto", encrypted=True, extra={"context": "all_turns"}
    )
    assert (chat.logprobs, chat.top_logprobs, chat.verbosity) == (True, 3, "low")
    assert set(chat.extra) == {"metadata", "truncation", "max_tool_calls", "brand_new"}
    assert FACE.render_request(chat) == {"model": "m", "input": "hi", **members}


@pytest.mark.parametrize(
    "members",
    [
        {"text": {"format": {"type": "text"}}},
        {"text": {"format": {"type": "json_object"}, "new": 1}},
        {"text": {"format": {"type": "grammar", "definition": "x"}}},
        {"include": ["web_search_call.action.sources", "reasoning.encrypted_content"]},
        {"reasoning": {"mode": "pro"}},
    ],
)
def test_rare_forms_come_back(members: dict[str, JSON]) -> None:
    assert FACE.render_request(chat_of(**members)) == {"model": "m", "input": "hi", **members}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": 7}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{}]}, "input[0].type"),
        ({"input": [{"type": 5}]}, "input[0].type"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [7]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{}]}]}, "input[0].content[0].type"),
        (
            {"input": [CALL, {"role": "user", "content": [{"type": "input_text"}]}]},
            "input[1].content[0].text",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].image_url",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": {}}]}]},
            "input[0].content[0].image_url",
        ),
        ({"input": [{**CALL, "arguments": {}}]}, "input[0].arguments"),
        ({"input": [{**CALL, "name": None}]}, "input[0].name"),
        ({"input": [{**RESULT, "output": 4}]}, "input[0].output"),
        ({"input": [{**THOUGHT, "summary": "x"}]}, "input[0].summary"),
        ({"instructions": []}, "instructions"),
        ({"tools": {}}, "tools"),
        ({"tools": [7]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "name": "f", "parameters": 1}]}, "tools[0].parameters"),
        ({"tools": [{"type": "function", "name": "f", "strict": 1}]}, "tools[0].strict"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [{}]}]}, "tools[0].tools[0].type"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.tools"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
        ({"reasoning": "high"}, "reasoning"),
        ({"include": "all"}, "include"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_logprobs": 1.5}, "top_logprobs"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
        ({"user": 1}, "user"),
    ],
)
def test_a_malformed_member_is_named(body: JSON, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        FACE.parse_request({"model": "m", **body}, Envelope("m"))

    assert (caught.value.status, caught.value.param) == (400, param)


WORDS = st.sampled_from(
    (
        "message user assistant reasoning function_call function_call_output input_text "
        "input_image function namespace allowed_tools json_schema"
    ).split()
)
NAMES = st.sampled_from(
    (
        "type role content text input tools name output summary arguments tool_choice include "
        "reasoning format image_url encrypted_content id call_id parameters instructions "
        "temperature mode model"
    ).split()
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=25,
)


@settings(max_examples=250, deadline=None)
@given(VALUES)
def test_any_json_is_a_chat_or_a_refusal(body: JSON) -> None:
    refused: ApiError | None = None
    try:
        FACE.render_request(FACE.parse_request(body, Envelope("m")))
    except ApiError as error:
        refused = error
    assert refused is None or (refused.status, bool(refused.param)) == (400, True)


def test_a_long_conversation_is_read_in_a_moment() -> None:
    calls = [{**CALL, "call_id": f"c{n}"} for n in range(20_000)]
    started = time.perf_counter()

    chat = parsed({"model": "m", "input": calls})
    FACE.render_request(chat)

    assert len(chat.messages[0].parts) == 20_000
    assert time.perf_counter() - started < 3


def _out(text: str) -> dict[str, JSON]:
    return {"type": "output_text", "text": text, "annotations": []}
