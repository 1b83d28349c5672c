from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.anthropic import FACES
from oneapi.dialects.anthropic_forms import wrap
from oneapi.errors import ApiError
from oneapi.ir import (
    ChatRequest,
    Envelope,
    Media,
    Opaque,
    Reasoning,
    Text,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from oneapi.wire.json import JSON
from tests.dialects.anthropic_recorded import EXCHANGES, Exchange, cases

FACE = FACES["messages"]


def parsed(**members: JSON) -> ChatRequest:
    body = {"messages": [{"role": "user", "content": "hi"}], **members}
    return FACE.parse_request(body, Envelope("m"))


def parsed_blocks(*blocks: JSON) -> list[Any]:
    chat = parsed(messages=[{"role": "user", "content": list(blocks)}])
    return list(chat.messages[0].parts)


def again(body: JSON) -> JSON:
    return FACE.render_request(FACE.parse_request(body, Envelope(body.get("model", ""))))


@pytest.mark.parametrize("exchange", cases(EXCHANGES))
def test_a_recorded_request_comes_back_as_it_was(exchange: Exchange) -> None:
    assert again(exchange.request) == exchange.request


CACHE = {"type": "ephemeral"}
BODY: JSON = {
    "model": "m",
    "max_tokens": 2048,
    "stream": False,
    "temperature": 0.5,
    "top_k": None,
    "stop_sequences": [],
    "tools": [
        {"name": "a", "description": "", "input_schema": {"type": "object"}, "strict": True},
        {"type": "custom", "name": "b", "input_schema": {"type": "object"}, "defer_loading": True},
        {"type": "bash_20250124", "name": "bash", "cache_control": CACHE},
    ],
    "tool_choice": {"type": "tool", "name": "a", "disable_parallel_tool_use": True},
    "thinking": {"type": "adaptive", "display": "omitted"},
    "output_config": {
        "effort": "max",
        "format": {"type": "json_schema", "schema": {"type": "object"}},
        "task_budget": {"type": "tokens", "total": 9},
    },
    "metadata": {"user_id": "u", "more": 1},
    "service_tier": "standard_only",
    "cache_control": {"type": "ephemeral", "ttl": "1h"},
    "context_management": {"edits": []},
    "system": "be brief",
    "messages": [
        {"role": "system", "content": "first of all"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "x", "citations": None, "cache_control": CACHE},
                {
                    "type": "text",
                    "text": "y",
                    "cache_control": {"type": "ephemeral", "ttl": "5m", "scope": "global"},
                },
                {"type": "image", "source": {"type": "url", "url": "https://e.org/a.png"}},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
                },
                {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
                {"type": "image", "source": {"type": "hologram", "depth": 3}},
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "words"},
                    "title": "t",
                    "context": "c",
                    "citations": {"enabled": True},
                },
                {
                    "type": "document",
                    "source": {"type": "content", "content": [{"type": "text", "text": "in"}]},
                },
                {
                    "type": "search_result",
                    "source": "https://e.org",
                    "title": "found",
                    "content": [{"type": "text", "text": "hit"}],
                    "citations": {"enabled": True},
                },
                {"type": "container_upload", "file_id": "file_2"},
                {"type": "mid_conv_system", "text": "now"},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "b3BhcXVl"},
                {
                    "type": "text",
                    "text": "z",
                    "citations": [{"type": "char_location", "cited_text": "x"}],
                },
                {
                    "type": "tool_use",
                    "id": "t1",
                    "name": "a",
                    "input": {"q": 1.5, "n": None},
                    "caller": {"type": "direct"},
                },
                {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
                {"type": "compaction", "content": "long ago", "encrypted_content": "e"},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1"},
                {"type": "tool_result", "tool_use_id": "t1", "content": "ok", "is_error": False},
                {"type": "tool_result", "tool_use_id": "t1", "content": []},
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "is_error": True,
                    "content": [
                        {"type": "text", "text": "no"},
                        {"type": "tool_reference", "tool_name": "b"},
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/gif", "data": "aA=="},
                        },
                    ],
                    "cache_control": CACHE,
                },
            ],
        },
        {"role": "system", "content": [{"type": "text", "text": "later"}], "clear_at": "never"},
        {"role": "system", "output_config": {"effort": "low"}},
    ],
}


def test_a_request_with_everything_comes_back_as_it_was() -> None:
    assert again(BODY) == BODY


@pytest.mark.parametrize(
    "thinking",
    [
        {"type": "enabled", "budget_tokens": 1024},
        {"type": "disabled"},
        {"type": "adaptive"},
        {"type": "between_tools", "display": "summarized", "new": 1},
    ],
)
def test_every_form_of_thinking_comes_back(thinking: JSON) -> None:
    body = {"model": "m", "messages": [], "thinking": thinking}
    assert again(body) == body


def test_a_request_is_not_changed_by_reading_it() -> None:
    before = json.dumps(BODY)
    again(BODY)
    assert json.dumps(BODY) == before


def test_the_system_prompt_is_the_first_message() -> None:
    chat = parsed(system=[{"type": "text", "text": "s", "cache_control": CACHE}])
    assert [m.role for m in chat.messages] == ["system", "user"]
    assert chat.messages[0].parts == [Text("s", cache="5m")]


def test_members_the_middle_knows_are_understood() -> None:
    chat = FACE.parse_request(BODY, Envelope("m"))
    assert chat.tool_choice == ToolChoice("required", ["a"])
    assert (chat.parallel_tools, chat.user, chat.service_tier) == (False, "u", "default")
    assert chat.thinking is not None
    assert (chat.thinking.effort, chat.thinking.adaptive, chat.thinking.show) == (
        "max",
        True,
        False,
    )
    assert [(tool.kind, tool.name) for tool in chat.tools] == [
        ("function", "a"),
        ("function", "b"),
        ("hosted", "bash_20250124"),
    ]


def test_what_says_nothing_is_not_extra() -> None:
    chat = parsed(stream=False, tools=[], temperature=None, stop_sequences=[])
    assert chat.extra == {}


def test_a_search_result_shows_its_text_to_other_dialects() -> None:
    (part,) = parsed_blocks(
        {"type": "search_result", "source": "s", "title": "t", "content": [{"text": "hit"}]}
    )
    assert isinstance(part, Media)
    assert (part.kind, part.filename, part.text) == ("file", "t", "s\nhit")


def test_a_data_url_becomes_data() -> None:
    (part,) = parsed_blocks(
        {"type": "image", "source": {"type": "url", "url": "data:image/png;base64,aGk="}}
    )
    assert (part.url, part.media_type, part.data) == ("", "image/png", "aGk=")


def test_blocks_nobody_else_knows_are_opaque() -> None:
    block = {"type": "invented_tomorrow", "x": [1]}
    assert parsed_blocks(block) == [Opaque("anthropic", block)]


def test_calls_and_results_are_understood() -> None:
    call, result = parsed_blocks(
        {"type": "tool_use", "id": "i", "name": "n", "input": {"a": 1}},
        {"type": "tool_result", "tool_use_id": "i", "content": "ok", "is_error": True},
    )
    assert call == ToolCall("i", "n", '{"a":1}')
    assert isinstance(result, ToolResult)
    assert (result.call_id, result.parts, result.error) == ("i", [Text("ok")], True)


def test_another_providers_thought_comes_back_from_its_wrapping() -> None:
    thought = Reasoning("why", data="enc", id="rs_1", summary=True)
    word = wrap(thought)
    (part,) = parsed_blocks({"type": "thinking", "thinking": "why", "signature": word})
    assert (part.text, part.data, part.id, part.summary) == ("why", "enc", "rs_1", True)


def test_a_word_that_only_looks_wrapped_is_a_signature() -> None:
    (part,) = parsed_blocks({"type": "thinking", "thinking": "t", "signature": "oneapi.!!"})
    assert (part.signature, part.data) == ("oneapi.!!", "")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([], None),
        ({}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": [1]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [7]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
            "messages[0].content[0].source",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "tool_result", "tool_use_id": "a", "content": [3]}],
                    }
                ]
            },
            "messages[0].content[0].content[0]",
        ),
        ({"messages": [], "max_tokens": 1.5}, "max_tokens"),
        ({"messages": [], "temperature": "hot"}, "temperature"),
        ({"messages": [], "stop_sequences": [1]}, "stop_sequences"),
        ({"messages": [], "tools": [{}]}, "tools[0].name"),
        ({"messages": [], "tools": [{"name": "a", "input_schema": 1}]}, "tools[0].input_schema"),
        ({"messages": [], "tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"messages": [], "thinking": {}}, "thinking.type"),
        ({"messages": [], "output_format": {"type": "xml"}}, "output_format.type"),
        ({"messages": [], "output_config": {"format": 1}}, "output_config.format"),
    ],
)
def test_what_cannot_be_understood_is_named(body: JSON, param: str | None) -> None:
    with pytest.raises(ApiError) as caught:
        FACE.parse_request(body, Envelope("m"))
    assert (caught.value.status, caught.value.param) == (400, param)


WORDS = st.sampled_from(
    [
        *BODY,
        *("type", "role", "content", "source", "text", "input", "id", "name", "user", "tool_use"),
        *("tool_result", "image", "document", "thinking", "signature", "data", "url", "base64"),
    ]
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=30,
)
BLOCKS = st.dictionaries(WORDS, ANY_JSON, max_size=5)


def status_of(body: JSON) -> int:
    """The error's status, 0 where the body is a request that can be rendered again."""
    try:
        FACE.render_request(FACE.parse_request(body, Envelope("m")))
    except ApiError as error:
        return error.status
    return 0


@settings(max_examples=100, deadline=None)
@given(ANY_JSON)
def test_any_json_is_a_request_or_an_error(body: JSON) -> None:
    assert status_of(body) in (0, 400)


@settings(max_examples=100, deadline=None)
@given(st.lists(BLOCKS, max_size=4), st.dictionaries(WORDS, ANY_JSON, max_size=4))
def test_any_message_is_one_or_an_error(blocks: list[JSON], rest: JSON) -> None:
    body = {**rest, "messages": [{"role": "user", "content": blocks}]}
    assert status_of(body) in (0, 400)


@pytest.mark.parametrize("exchange", cases(EXCHANGES))
def test_a_recorded_request_with_any_member_changed_is_one_or_an_error(exchange: Exchange) -> None:
    odd: tuple[JSON, ...] = (None, 1, "x", [], {}, [{}], [None], True)
    assert {
        status_of({**exchange.request, name: value}) for name in exchange.request for value in odd
    } <= {0, 400}
