"""Recorded requests of Converse return unchanged; whatever is no request is refused by name."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.base import Hints
from oneapi.dialects.bedrock import CHAT_PROVIDER, parse_request
from oneapi.errors import ApiError
from oneapi.ir import Envelope, Media, Opaque, Reasoning, Text, ToolCall, ToolResult
from oneapi.wire.json import JSON
from tests.dialects.bedrock_recorded import Recorded, cases, recorded

WRITTEN: list[JSON] = [
    {},
    {"messages": []},
    {"system": [], "inferenceConfig": {}, "toolConfig": {"tools": []}},
    {"system": None, "inferenceConfig": None, "toolConfig": None, "outputConfig": None},
    {"system": [{"cachePoint": {"type": "default"}}, {"text": "a"}]},
    {"system": [{"guardContent": {"text": {"text": "a", "qualifiers": ["query"]}}}]},
    {"inferenceConfig": {"maxTokens": 1, "temperature": 0, "topP": 0.5, "stopSequences": ["x"]}},
    {"inferenceConfig": {"maxTokens": None, "stopSequences": [], "new": 1}},
    {"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}], "new": 1}},
    {"toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": None}}}]}},
    {
        "toolConfig": {
            "tools": [
                {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}},
                {"cachePoint": {"type": "default", "ttl": "1h"}},
                {"cachePoint": {"type": "default"}},
                {"toolSpec": {"name": "a_x2e_b", "description": "", "strict": False, "new": 1}},
            ],
            "toolChoice": {"tool": {"name": "f"}},
        }
    },
    {"toolConfig": {"tools": [{"toolSpec": {"name": "f"}}], "toolChoice": {"any": {}}}},
    {"outputConfig": {"effort": "low"}},
    {"outputConfig": {"textFormat": {"type": "json_schema", "structure": {}}}},
    {"serviceTier": {"type": "flex"}, "performanceConfig": {"latency": "optimized"}},
    {"serviceTier": {"type": "flex", "new": 1}},
    {"guardrailConfig": {"guardrailIdentifier": "x"}, "requestMetadata": {"a": "b"}},
    {"additionalModelRequestFields": {"top_k": 5}, "promptVariables": {"a": {"text": "b"}}},
]
BLOCKS: list[JSON] = [
    {"text": ""},
    {"text": "a", "new": 1},
    {"image": {"format": "png", "source": {"bytes": "QUJD"}}},
    {"image": {"format": "png", "source": {"bytes": "QUJD"}, "error": {"message": "x"}}},
    {"image": {"format": "bmp", "source": {"bytes": "QUJD"}}},
    {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/k", "bucketOwner": "1"}}}},
    {"video": {"format": "three_gp", "source": {"bytes": "QUJD"}}},
    {"audio": {"format": "mpeg", "source": {"bytes": "QUJD"}}},
    {"document": {"format": "pdf", "name": "A b", "source": {"bytes": "QUJD"}}},
    {"document": {"name": "A", "source": {"text": "t"}, "citations": {"enabled": True}}},
    {"document": {"format": "txt", "name": "A", "source": {"text": "t"}, "context": "c"}},
    {"document": {"name": "A", "source": {"content": [{"text": "t"}]}}},
    {"toolUse": {"toolUseId": "1", "name": "f", "input": {"b": 1.0, "a": [None, "é"]}}},
    {"toolUse": {"toolUseId": "1", "name": "f", "input": {}, "type": "server_tool_use"}},
    {"toolUse": {"toolUseId": "1", "name": "f"}},
    {"toolResult": {"toolUseId": "1", "content": [], "status": "success", "type": "tool_result"}},
    {"toolResult": {"toolUseId": "1", "content": [{"json": {"a": 1.0}}, {"text": ""}]}},
    {"toolResult": {"toolUseId": "1", "content": [{"searchResult": {"source": "s"}}]}},
    {"toolResult": {"toolUseId": "1", "content": [{"text": "no"}], "status": "error"}},
    {"toolResult": {"toolUseId": "1", "content": [], "type": "web_search_tool_result"}},
    {"guardContent": {"text": {"text": "a"}}},
    {"reasoningContent": {"reasoningText": {"text": "t", "signature": "s"}}},
    {"reasoningContent": {"reasoningText": {"text": "", "signature": ""}}},
    {"reasoningContent": {"redactedContent": "RXRrRUNrZ0k="}},
    {"reasoningContent": {"redactedContent": "/////w=="}},
    {"reasoningContent": {"redactedContent": "no base64"}},
    {
        "citationsContent": {
            "content": [{"text": "a"}, {"text": "b"}],
            "citations": [{"title": "t"}],
        }
    },
    {"citationsContent": {"content": [{"other": 1}]}},
    {"searchResult": {"source": "s", "title": "t", "content": [{"text": "x"}]}},
    {"toolAddition": {"tool": {"name": "f"}}},
    {"cachePoint": {"type": "default", "ttl": "2h"}},
]


def again(body: JSON) -> JSON:
    sent = CHAT_PROVIDER.render_request(parse_request(body), "m", Hints())
    assert sent.dropped == []
    return json.loads(sent.body)


@pytest.mark.parametrize("record", cases(recorded("converse")))
def test_a_recorded_request_returns_as_it_was(record: Recorded) -> None:
    stream = record.url.endswith("converse-stream")
    chat = parse_request(record.request, Envelope("m", stream))
    sent = CHAT_PROVIDER.render_request(chat, "m", Hints())
    assert json.loads(sent.body) == record.request
    assert (sent.dropped, sent.streams, sent.operation.endswith("stream")) == ([], stream, stream)


@pytest.mark.parametrize("body", WRITTEN, ids=str)
def test_a_request_returns_as_it_was(body: JSON) -> None:
    assert again(body) == body


@pytest.mark.parametrize("role", ["user", "assistant", "system"])
@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_block_returns_as_it_was(block: JSON, role: str) -> None:
    point = {"cachePoint": {"type": "default", "ttl": "5m"}}
    for content in ([block], [block, point], [point, block], [block, point, point]):
        body = {"messages": [{"role": role, "content": content, "new": 1}]}
        assert again(body) == body


def test_blocks_are_parts_of_the_middle() -> None:
    chat = parse_request({"messages": [{"role": "user", "content": BLOCKS}]})
    kinds = [type(part) for part in chat.messages[0].parts]
    assert [kinds.count(kind) for kind in (Text, Media, ToolCall, ToolResult, Reasoning)] == [
        2,
        8,
        2,
        4,
        5,
    ]
    assert all(
        part.dialect == "bedrock-converse"
        for part in chat.messages[0].parts
        if isinstance(part, Opaque)
    )


def test_a_cache_point_marks_the_part_before_it() -> None:
    content = [{"text": "a"}, {"cachePoint": {"type": "default"}}, {"text": "b"}]
    chat = parse_request({"messages": [{"role": "user", "content": content}]})
    marks = [part.cache for part in chat.messages[0].parts if isinstance(part, Text)]
    assert marks == ["5m", ""]


def test_the_system_prompt_is_the_first_message() -> None:
    chat = parse_request({"system": [{"text": "a"}], "messages": [{"role": "user", "content": []}]})
    assert [message.role for message in chat.messages] == ["system", "user"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([], "body"),
        ({"messages": 1}, "messages"),
        ({"messages": [1]}, "messages[0]"),
        ({"messages": [{"role": "tool"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["a"]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"text": 1}]}]}, "messages[0].content[0].text"),
        (
            {"messages": [{"role": "user", "content": [{"toolUse": {"name": "f"}}]}]},
            "messages[0].content[0].toolUse.toolUseId",
        ),
        (
            {"messages": [{"role": "user", "content": [{"toolResult": {"toolUseId": "1"}}]}]},
            "messages[0].content[0].toolResult.content",
        ),
        ({"system": "a"}, "system"),
        ({"inferenceConfig": {"maxTokens": "1"}}, "inferenceConfig.maxTokens"),
        ({"inferenceConfig": {"topP": True}}, "inferenceConfig.topP"),
        ({"inferenceConfig": {"stopSequences": "x"}}, "inferenceConfig.stopSequences"),
        ({"toolConfig": {"tools": {}}}, "toolConfig.tools"),
        ({"toolConfig": {"tools": [{"toolSpec": {}}]}}, "toolConfig.tools[0].toolSpec.name"),
        ({"toolConfig": {"tools": [], "toolChoice": {"no": {}}}}, "toolConfig.toolChoice"),
    ],
)
def test_what_is_malformed_is_refused_by_name(body: JSON, param: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_request(body)
    assert (refused.value.status, refused.value.param) == (400, param)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "messages role content text toolUse toolUseId name input toolResult json type "
                "cachePoint ttl image source bytes document format reasoningContent signature "
                "reasoningText system inferenceConfig stopSequences toolConfig tools toolSpec "
                "inputSchema toolChoice tool textFormat structure jsonSchema schema".split()
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(
    st.dictionaries(st.sampled_from(["messages", "system", "toolConfig", "outputConfig"]), VALUES)
)
@settings(max_examples=200, deadline=None)
def test_arbitrary_json_is_a_request_or_an_api_error(body: JSON) -> None:
    try:
        chat = parse_request(body)
    except ApiError:
        return
    sent = CHAT_PROVIDER.render_request(chat, "m", Hints())
    assert json.loads(sent.body) == json.loads(json.dumps(body))


@given(st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": st.lists(VALUES)})))
@settings(max_examples=60, deadline=None)
def test_arbitrary_content_is_a_request_or_an_api_error(messages: JSON) -> None:
    try:
        chat = parse_request({"messages": messages})
    except ApiError:
        return
    sent = CHAT_PROVIDER.render_request(chat, "m", Hints())
    assert json.loads(sent.body) == {"messages": json.loads(json.dumps(messages))}
