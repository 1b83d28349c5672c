from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.ollama import FACES, OPERATIONS, is_load, is_unload, peek
from oneapi.dialects.ollama_shapes import CHAT, GENERATE
from oneapi.errors import ApiError
from oneapi.ir import (
    Envelope,
    Media,
    Opaque,
    OutputFormat,
    Reasoning,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from oneapi.wire.json import JSON, MalformedJSON, decode, members
from tests.dialects.ollama_recorded import parsed

PNG = "iVBORw0KGgoAAAANSUhEUg=="
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CALL = {"function": {"name": "f", "arguments": {"b": 1.0, "a": [None, "é"]}}}

WRITTEN: list[JSON] = [
    {"model": "m"},
    {"model": "m", "messages": None, "stream": None},
    {"model": "m", "messages": [], "tools": [], "options": {}, "format": "", "keep_alive": None},
    {"model": "m", "messages": [], "options": None, "think": None, "stream": True},
    {"model": "m", "messages": [{"role": "user", "content": "hi", "images": []}], "stream": False},
    {"model": "m", "messages": [{"role": "user", "content": "", "images": [PNG]}]},
    {"model": "m", "messages": [{"role": "User", "content": "hi", "name": "bob"}]},
    {"model": "m", "messages": [{"role": "control", "content": "thinking"}]},
    {"model": "m", "messages": [{"role": "assistant", "tool_calls": [CALL]}], "tools": [TOOL]},
    {
        "model": "m",
        "messages": [
            {
                "role": "assistant",
                "content": "",
                "thinking": "hm",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"index": 0, "name": "f"}},
                    {"id": "", "function": {"name": "g", "arguments": {}}},
                    {"function": {"name": "g", "arguments": '{"as": "text"}', "more": [1]}},
                ],
            },
            {"role": "tool", "content": "ok", "tool_name": "f", "tool_call_id": "c1"},
            {"role": "tool", "content": "ok", "name": "g"},
            {"role": "tool", "content": "ok", "images": [PNG]},
            {"role": "tool", "content": None},
        ],
    },
    {"model": "m", "messages": [], "format": "json", "think": "high", "logprobs": True},
    {"model": "m", "messages": [], "format": {"type": "object"}, "think": True, "top_logprobs": 3},
    {
        "model": "m",
        "messages": [],
        "think": False,
        "keep_alive": "10m",
        "truncate": False,
        "shift": True,
        "options": {
            "num_ctx": 8192,
            "num_predict": -2,
            "temperature": 0,
            "top_k": 40,
            "top_p": 0.9,
            "min_p": 0.05,
            "seed": 42,
            "stop": "END",
            "repeat_penalty": 1.1,
            "presence_penalty": 1.5,
            "frequency_penalty": -0.5,
            "use_mmap": False,
            "num_gpu": None,
        },
    },
    {"model": "m", "messages": [], "options": {"stop": ["a", "b"], "num_predict": 7}},
    {"model": "m", "messages": [], "options": {"stop": []}},
    {"model": "m", "messages": [], "tools": [{"type": "web_search", "domain": "x"}]},
    {"model": "m", "messages": [], "tools": [{"function": {"name": "f", "description": ""}}]},
    {"model": "m", "messages": [], "tools": [{**TOOL, "items": {}, "note": "n"}], "new": {"a": 1}},
]
GENERATED: list[JSON] = [
    {"model": "m"},
    {"model": "m", "prompt": "", "keep_alive": 0},
    {"model": "m", "prompt": "hi", "system": "", "template": "", "raw": False, "context": []},
    {"model": "m", "prompt": "def f(", "suffix": "return 1", "system": "code", "raw": True},
    {"model": "m", "prompt": "hi", "context": [1, 2], "template": "{{ .Prompt }}", "think": "low"},
    {"model": "m", "prompt": "what?", "images": [PNG], "options": {"num_predict": 5}, "width": 512},
]


@pytest.mark.parametrize("body", WRITTEN)
def test_a_chat_request_is_rendered_as_it_was_written(body: JSON) -> None:
    assert FACES[CHAT].render_request(parsed(body)) == body


@pytest.mark.parametrize("body", GENERATED)
def test_a_generate_request_is_rendered_as_it_was_written(body: JSON) -> None:
    assert FACES[GENERATE].render_request(parsed(body, GENERATE)) == body


def test_a_data_url_becomes_bare_base64() -> None:
    image = f"data:image/webp;base64,{PNG}"
    chat = parsed({"model": "m", "messages": [{"role": "user", "images": [image]}]})
    assert chat.messages[0].parts == [Media("image", data=PNG, media_type="image/webp")]
    assert FACES[CHAT].render_request(chat)["messages"] == [{"role": "user", "images": [PNG]}]


def test_messages_become_parts() -> None:
    turns = [
        {"role": "user", "content": "look", "images": [PNG]},
        {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [CALL]},
        {"role": "tool", "content": "ok", "tool_name": "f"},
    ]
    chat = parsed({"model": "m", "messages": turns})
    look, call, result = (message.parts for message in chat.messages)
    assert look == [Text("look"), Media("image", data=PNG, media_type="image/png")]
    assert call[0] == Reasoning("hm")
    assert isinstance(call[1], ToolCall)
    assert (call[1].name, call[1].arguments) == ("f", '{"b":1.0,"a":[null,"é"]}')
    assert result == [ToolResult("", [Text("ok")], "f")]


def test_options_become_members_and_the_rest_is_named() -> None:
    options = {"num_predict": 9, "temperature": 0.5, "stop": "x", "num_ctx": 4096, "min_p": 0.1}
    chat = parsed({"model": "m", "messages": [], "options": options, "keep_alive": "5m"})
    assert (chat.max_output, chat.temperature, chat.stop) == (9, 0.5, ["x"])
    assert set(chat.extra) == {"keep_alive", "options.num_ctx", "options.min_p"}


@pytest.mark.parametrize("limit", [-1, -2, 0])
def test_no_limit_is_none(limit: int) -> None:
    chat = parsed({"model": "m", "messages": [], "options": {"num_predict": limit}})
    assert chat.max_output is None


@pytest.mark.parametrize(
    ("think", "expected"),
    [
        (True, Thinking(enabled=True, show=True)),
        (False, Thinking(enabled=False)),
        ("high", Thinking(effort="high", show=True)),
        ("", None),
    ],
)
def test_think(think: JSON, expected: Thinking | None) -> None:
    assert parsed({"model": "m", "think": think}).thinking == expected


def test_format() -> None:
    schema = {"type": "object"}
    assert parsed({"model": "m", "format": "json"}).format == OutputFormat("json")
    assert parsed({"model": "m", "format": schema}).format == OutputFormat("json", schema=schema)
    assert parsed({"model": "m", "format": ""}).format is None


def test_a_role_that_only_a_template_knows_is_opaque_to_others() -> None:
    turn = {"role": "control", "content": "thinking"}
    assert parsed({"model": "m", "messages": [turn]}).messages[0].parts == [Opaque("ollama", turn)]


def test_streams_unless_told_otherwise_and_counts_unasked() -> None:
    chat = parsed({"model": "m"})
    assert (chat.stream, chat.wants_usage) == (True, True)
    assert parsed({"model": "m", "stream": False}).stream is False


def test_generate_says_system_and_prompt() -> None:
    chat = parsed({"model": "m", "prompt": "hi", "system": "be brief"}, GENERATE)
    assert [(m.role, m.parts) for m in chat.messages] == [
        ("system", [Text("be brief")]),
        ("user", [Text("hi")]),
    ]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([], None),
        ({"messages": {}}, "messages"),
        ({"messages": [1]}, "messages[0]"),
        ({"messages": [{}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "thinking": 1}]}, "messages[0].thinking"),
        ({"messages": [{"role": "user", "images": [1]}]}, "messages[0].images[0]"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{}]}]},
            "messages[0].tool_calls[0].function.name",
        ),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "tool_calls": [{"function": {"name": "f", "arguments": 1}}],
                    }
                ]
            },
            "messages[0].tool_calls[0].function.arguments",
        ),
        ({"tools": [{}]}, "tools[0].function"),
        ({"tools": [{"function": {}}]}, "tools[0].function.name"),
        ({"format": "xml"}, "format"),
        ({"think": "very"}, "think"),
        ({"think": 1}, "think"),
        ({"options": []}, "options"),
        ({"options": {"top_k": "x"}}, "options.top_k"),
        ({"options": {"seed": 1.5}}, "options.seed"),
        ({"options": {"seed": float("inf")}}, "options.seed"),
        ({"options": {"stop": [1]}}, "options.stop"),
        ({"stream": 1}, "stream"),
    ],
)
def test_what_is_malformed_is_named(body: JSON, param: str | None) -> None:
    with pytest.raises(ApiError) as caught:
        FACES[CHAT].parse_request(body, Envelope("m"))
    assert (caught.value.status, caught.value.param) == (400, param)


def test_load_and_unload_requests_are_known() -> None:
    assert is_load({"model": "m"})
    assert is_load({"model": "m", "messages": [], "keep_alive": "5m"})
    assert is_load({"model": "m", "prompt": ""})
    assert not is_load({"model": "m", "prompt": "hi"})
    assert not is_load({"model": "m", "messages": [{}]})
    assert is_unload({"keep_alive": 0})
    assert is_unload({"keep_alive": "0s"})
    assert not is_unload({"keep_alive": "10m"})
    assert not is_unload({"keep_alive": None})
    assert not is_unload({"keep_alive": False})


NAMES = (
    "messages tools role content images tool_calls function name arguments options stop seed "
    "num_predict format think prompt system stream id type parameters keep_alive thinking tool_name"
).split()
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=25,
)
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "Tool", "control"])},
    optional={
        "content": st.none() | st.text(max_size=5),
        "thinking": st.none() | st.text(max_size=5),
        "images": st.none() | st.lists(st.sampled_from(["", "QUJD", PNG]), max_size=2),
        "tool_name": st.none() | st.sampled_from(["", "f"]),
        "name": st.none() | st.sampled_from(["", "f"]),
        "tool_call_id": st.none() | st.sampled_from(["", "c"]),
        "tool_calls": st.none() | st.lists(st.sampled_from([CALL, {**CALL, "id": "c"}])),
        "x": JSONS,
    },
)
BODIES = st.fixed_dictionaries(
    {"model": st.just("m")},
    optional={
        "messages": st.none() | st.lists(MESSAGES, max_size=4),
        "tools": st.none() | st.lists(st.just(TOOL), max_size=1),
        "options": st.none() | st.dictionaries(st.sampled_from(NAMES), JSONS, max_size=4),
        "stream": st.none() | st.booleans(),
        "think": st.none() | st.booleans() | st.sampled_from(["", "low", "max"]),
        "format": st.none() | st.sampled_from(["", "json", {"type": "object"}, {}]),
        "prompt": st.none() | st.text(max_size=5),
        "system": st.none() | st.text(max_size=5),
        "keep_alive": JSONS,
    },
)


@settings(max_examples=300, deadline=None)
@given(BODIES | JSONS, st.sampled_from([CHAT, GENERATE]))
def test_any_json_is_rendered_as_it_was_or_refused(body: JSON, operation: str) -> None:
    try:
        chat = FACES[operation].parse_request(body, Envelope("m"))
    except ApiError as error:
        if error.status != 400:
            raise
        return
    assert FACES[operation].render_request(chat) == {**body, "model": "m"}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | JSONS.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_looked_at_or_refused(body: bytes) -> None:
    try:
        envelope = peek(OPERATIONS[CHAT], members(body))
        FACES[CHAT].parse_request(decode(body), envelope)
    except (ApiError, MalformedJSON):
        return
    assert envelope.model
