"""What people complain of in other gateways, each as a test that it does not happen here.

Of the original's defects that concern formats, P9 (leaks of one provider's WebSocket client) has no
counterpart: that provider is spoken to over HTTP. Routing, retries and cancelled calls have their
tests in `tests/e2e`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from oneapi.dialects import anthropic, gemini, ollama, openai, registry, responses
from oneapi.dialects.base import Hints, Stamp
from oneapi.dialects.base_calls import Restorer
from oneapi.errors import ApiError
from oneapi.gateway.recall import Recall
from oneapi.ir import ChatRequest, Delta, Envelope, Event, Failed, Finish, Reasoning, Spent

STAMP = Stamp("0123456789abcdef", 1_750_000_000, "fast")
OPERATIONS = {
    "openai-chat": "chat",
    "openai-responses": "responses",
    "anthropic": "messages",
    "gemini": "generate",
    "ollama": "ollama.chat",
}
LOOK = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}


def parsed(dialect: str, body: dict[str, Any]) -> ChatRequest:
    face = registry.face(dialect, OPERATIONS[dialect])
    assert face is not None
    return face.parse_request(body, Envelope(body.get("model", "m")))


def rendered(provider: str, chat: ChatRequest) -> dict[str, Any]:
    found = registry.chat_provider(provider)
    assert found is not None
    body: dict[str, Any] = json.loads(found.render_request(chat, "m", Hints()).body)
    return body


def events(provider: str, stream: bytes) -> list[Event]:
    found = registry.chat_provider(provider)
    assert found is not None
    parser = found.stream_parser(Hints(), STAMP)
    return [*parser.feed(stream), *parser.close()]


def streamed(dialect: str, chat: ChatRequest, found: list[Event]) -> bytes:
    face = registry.face(dialect, OPERATIONS[dialect])
    assert face is not None
    renderer = face.stream_renderer(chat, STAMP)
    return renderer.render(found) + renderer.close()


def sse(*values: object) -> bytes:
    return b"".join(b"data: " + json.dumps(v).encode() + b"\n\n" for v in values)


def chunk(finish: str | None = None, **delta: object) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}


CODEX = {
    "model": "fast",
    "instructions": "You are a coder.",
    "input": [{"role": "user", "content": [{"type": "input_text", "text": "fix it"}]}],
    "tools": [
        {"type": "custom", "name": "apply_patch", "description": "Edits files."},
        {
            "type": "namespace",
            "name": "mcp",
            "description": "d",
            "tools": [{"type": "function", "name": "look", "parameters": LOOK, "strict": False}],
        },
        {"type": "web_search"},
    ],
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "stream": True,
}


@pytest.mark.parametrize("provider", ["openai-chat", "anthropic", "gemini", "ollama"])
def test_codexs_custom_and_namespaced_tools_reach_every_provider(provider: str) -> None:
    """demand.md 8: namespaced tools were rejected, apply_patch dropped."""
    text = json.dumps(rendered(provider, parsed("openai-responses", CODEX)))
    assert "look" in text
    assert provider in ("ollama",) or "apply_patch" in text


def test_a_custom_tools_call_comes_back_as_one() -> None:
    """demand.md 8: the answer of a provider that knows functions alone."""
    chat = parsed("openai-responses", CODEX)
    call = {"index": 0, "id": "c1", "type": "function"}
    arguments = json.dumps({"input": "*** Begin Patch"})
    stream = sse(
        chunk(tool_calls=[{**call, "function": {"name": "apply_patch", "arguments": arguments}}]),
        chunk("tool_calls"),
    )
    found = Restorer(chat.tools).feed(events("openai-chat", stream))
    out = streamed("openai-responses", chat, found).decode()
    assert '"type":"custom_tool_call"' in out
    assert '"input":"*** Begin Patch"' in out


@pytest.mark.parametrize("provider", ["openai-chat", "gemini", "ollama", "bedrock-converse"])
def test_a_system_message_among_the_others_is_taken(provider: str) -> None:
    """demand.md 9: Claude Code puts `role: system` inside messages; others answer 400."""
    chat = parsed(
        "anthropic",
        {
            "model": "m",
            "max_tokens": 9,
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "go on"},
            ],
        },
    )
    assert "Be brief." in json.dumps(rendered(provider, chat))


def test_context_management_is_dropped_by_name_for_others() -> None:
    """demand.md 10: "Extra inputs are not permitted"."""
    chat = parsed(
        "anthropic",
        {
            "model": "m",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "hi"}],
            "context_management": {"edits": []},
        },
    )
    outgoing = openai.CHAT_PROVIDER.render_request(chat, "m", Hints())
    assert "context_management" not in json.loads(outgoing.body)
    assert "context_management" in outgoing.dropped


def test_an_empty_text_block_and_text_after_a_call_do_no_harm() -> None:
    """demand.md 11."""
    use = {"type": "tool_use", "id": "t1", "name": "look", "input": {"q": "x"}}
    chat = parsed(
        "anthropic",
        {
            "model": "m",
            "max_tokens": 9,
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": ""}, {"type": "text", "text": "hi"}],
                },
                {"role": "assistant", "content": [use, {"type": "text", "text": "Looking."}]},
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "42"}],
                },
            ],
        },
    )
    messages = rendered("openai-chat", chat)["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant", "tool"]
    assert messages[1]["tool_calls"][0]["id"] == messages[2]["tool_call_id"] == "t1"
    assert "Looking." in json.dumps(messages[1])


@pytest.mark.parametrize("dialect", ["openai-chat", "openai-responses", "anthropic", "gemini"])
def test_every_delta_of_reasoning_arrives(dialect: str) -> None:
    """demand.md 12: reasoning was lost, or cut after two deltas."""
    lines = [
        {"message": {"role": "assistant", "thinking": f"t{i} "}, "done": False} for i in range(9)
    ]
    lines.append({"message": {"role": "assistant", "content": "ok"}, "done": False})
    lines.append({"message": {"content": ""}, "done": True, "done_reason": "stop", "eval_count": 1})
    stream = b"".join(json.dumps({"model": "m", **line}).encode() + b"\n" for line in lines)
    chat = ChatRequest("m", [], dialect)
    out = streamed(dialect, chat, events("ollama", stream)).decode()
    assert all(f"t{i} " in out for i in range(9))


def test_a_dropped_thought_is_put_back_before_its_call() -> None:
    """demand.md 12: keyed by the call's id."""
    recall = Recall()
    answer = {
        "id": "r",
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "content": None,
                    "reasoning_content": "because",
                    "tool_calls": [
                        {
                            "id": "c1",
                            "type": "function",
                            "function": {"name": "look", "arguments": "{}"},
                        }
                    ],
                },
            }
        ],
    }
    raw = json.dumps(answer).encode()
    recall.remember(("u", "t"), openai.CHAT_PROVIDER.parse_response(raw, Hints(), STAMP))
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
    ]
    asked = parsed("openai-chat", {"model": "m", "messages": turns})
    chat = recall.restored(("u", "t"), asked, "openai-chat")
    assert isinstance(chat.messages[1].parts[0], Reasoning)


def test_gemini_clis_spellings_are_taken() -> None:
    """demand.md 13: snake_case, JSON Schema, thought signatures on parts."""
    chat = parsed(
        "gemini",
        {
            "contents": [
                {"role": "user", "parts": [{"text": "hi"}]},
                {
                    "role": "model",
                    "parts": [
                        {
                            "functionCall": {"name": "look", "args": {"q": "x"}},
                            "thought_signature": "c2ln",
                        }
                    ],
                },
                {
                    "role": "user",
                    "parts": [{"function_response": {"name": "look", "response": {"a": 1}}}],
                },
            ],
            "system_instruction": {"parts": [{"text": "Be brief."}]},
            "tools": [
                {"function_declarations": [{"name": "look", "parameters_json_schema": LOOK}]}
            ],
            "generation_config": {"max_output_tokens": 7},
        },
    )
    body = rendered("openai-chat", chat)
    assert body["tools"][0]["function"]["parameters"] == LOOK
    assert body["messages"][0]["content"] == "Be brief."
    assert body["messages"][2]["tool_calls"][0]["id"] == body["messages"][3]["tool_call_id"]


def test_a_model_of_which_nothing_is_known_is_shown_without_nulls() -> None:
    """demand.md 14: programs crash on a null `model_info`."""
    shown = json.loads(ollama.show(ollama.ModelCard("who-knows")))
    info = shown["model_info"]
    assert info[info["general.architecture"] + ".context_length"] > 0
    assert None not in shown.values()


def test_an_error_inside_a_successful_stream_is_found() -> None:
    """demand.md 16: vLLM and others put `{"error": …}` into the stream."""
    found = events("openai-chat", sse({"error": {"message": "out of memory", "code": 500}}))
    assert isinstance(found[-1], Failed)
    assert "out of memory" in found[-1].error.message


def test_ollamas_window_grows_with_the_prompt() -> None:
    """demand.md 37: prompts were cut silently to 4,096 tokens."""
    text = "word " * 20_000
    chat = parsed("openai-chat", {"model": "m", "messages": [{"role": "user", "content": text}]})
    assert rendered("ollama", chat)["options"]["num_ctx"] >= 20_000


def test_ollamas_streamed_calls_have_ids_and_text_arguments() -> None:
    """demand.md 38, one-api 11.4: a missing index, arguments as an object."""
    call = {"function": {"name": "look", "arguments": {"q": "x"}}}
    stream = b"".join(
        json.dumps({"model": "m", **line}).encode() + b"\n"
        for line in (
            {
                "message": {"role": "assistant", "content": "", "tool_calls": [call, call]},
                "done": False,
            },
            {"message": {"content": ""}, "done": True, "done_reason": "stop"},
        )
    )
    out = streamed("openai-chat", ChatRequest("m", [], "openai-chat"), events("ollama", stream))
    chunks = [json.loads(line[6:]) for line in out.splitlines() if line.startswith(b"data: {")]
    calls = [c for x in chunks for ch in x["choices"] for c in ch["delta"].get("tool_calls", ())]
    assert {c["index"] for c in calls} == {0, 1}
    assert len({c["id"] for c in calls if "id" in c}) == 2
    assert isinstance(calls[-1]["function"]["arguments"], str)


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai-chat", {"messages": [{"role": "user", "content": {"no": "text"}}]}),
        ("openai-chat", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
        ("openai-chat", {"messages": [{"role": "user", "content": 5}], "tools": [{"type": 5}]}),
        (
            "openai-chat",
            {"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function"}]},
        ),
        (
            "anthropic",
            {"messages": [{"role": "user", "content": [{"type": "image", "source": 5}]}]},
        ),
        ("gemini", {"contents": [{"parts": [{"functionCall": {"name": 5, "args": "x"}}]}]}),
        ("openai-responses", {"input": [{"type": "function_call", "arguments": {}}]}),
        ("ollama", {"messages": [{"role": "user", "images": [5]}]}),
    ],
)
def test_ordinary_bad_input_is_refused_by_name(dialect: str, body: dict[str, Any]) -> None:
    """one-api P10: panics on content that is no string, images without url, odd tools."""
    with pytest.raises(ApiError) as caught:
        parsed(dialect, {"model": "m", **body})
    assert caught.value.status == 400
    assert caught.value.param


@pytest.mark.parametrize(
    "provider", ["anthropic", "gemini", "cohere", "ollama", "bedrock-converse"]
)
def test_a_tools_schema_may_be_any_schema(provider: str) -> None:
    """one-api P10: a schema whose `type` is a list, or missing, stopped the request."""
    tool = {
        "type": "function",
        "function": {"name": "f", "parameters": {"type": ["object", "null"]}},
    }
    bare = {"type": "function", "function": {"name": "g"}}
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": [tool, bare]}
    assert '"g"' in json.dumps(rendered(provider, parsed("openai-chat", body)))


def test_arguments_that_are_no_json_stop_nothing() -> None:
    """one-api P8: a call that could not be marshalled ended the whole process."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{broken"}}
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
    ]
    chat = parsed("openai-chat", {"model": "m", "messages": turns})
    for provider in ("gemini", "anthropic", "bedrock-converse", "ollama"):
        assert "broken" in json.dumps(rendered(provider, chat)), provider


def test_a_line_of_any_length_is_read() -> None:
    """one-api 11.4: 64 KiB were the most of a stream's line."""
    found = events("openai-chat", sse(chunk(content="x" * 200_000), chunk("stop")))
    assert sum(len(e.text) for e in found if isinstance(e, Delta)) == 200_000


def test_data_without_a_space_is_data() -> None:
    """one-api 11.4: `data:{…}` was dropped."""
    stream = sse(chunk(content="hi"), chunk("stop")).replace(b"data: ", b"data:")
    assert any(isinstance(e, Delta) and e.text == "hi" for e in events("openai-chat", stream))


def test_an_error_in_mid_stream_is_told_in_every_dialect() -> None:
    """one-api 11.4: it was swallowed."""
    error = ApiError(502, "it broke", code="upstream_broke", kind="upstream_error")
    for dialect, operation in OPERATIONS.items():
        face = registry.face(dialect, operation)
        assert face is not None
        renderer = face.stream_renderer(ChatRequest("m", [], dialect), STAMP)
        assert b"it broke" in renderer.fail(error), dialect


def test_a_finish_reason_is_a_word_or_null() -> None:
    """one-api 11.4: clients stop at an empty string."""
    stream = sse(
        {"type": "message_start", "message": {"id": "m", "model": "m", "usage": {}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 1},
        },
        {"type": "message_stop"},
    )
    out = streamed("openai-chat", ChatRequest("m", [], "openai-chat"), events("anthropic", stream))
    chunks = [json.loads(line[6:]) for line in out.splitlines() if line.startswith(b"data: {")]
    reasons = [choice["finish_reason"] for c in chunks for choice in c["choices"]]
    assert reasons == [*[None] * (len(reasons) - 1), "stop"]


def test_a_translated_stream_tells_its_usage() -> None:
    """one-api 11.4: there was none."""
    stream = sse(
        {
            "candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2},
        }
    )
    found = events("gemini", stream)
    assert any(isinstance(e, Spent) for e in found)
    assert any(isinstance(e, Finish) for e in found)
    chat = ChatRequest("m", [], "openai-chat", stream=True, wants_usage=True)
    assert b'"prompt_tokens":3,"completion_tokens":2' in streamed("openai-chat", chat, found)


@pytest.mark.parametrize("dialect", [openai, responses, anthropic, gemini, ollama])
def test_unknown_members_survive_an_edit_and_are_named_in_a_translation(dialect: Any) -> None:
    """one-api 11.4: whatever its struct did not name was lost without a word."""
    name = dialect.NAME
    bodies: dict[str, dict[str, Any]] = {
        "openai-chat": {"messages": [{"role": "user", "content": "x"}]},
        "openai-responses": {"input": "x"},
        "anthropic": {"max_tokens": 5, "messages": [{"role": "user", "content": "x"}]},
        "gemini": {"contents": "x"},
        "ollama": {"messages": [{"role": "user", "content": "x"}]},
    }
    body = bodies[name]
    chat = parsed(name, {"model": "m", **body, "novelty": {"a": 1}})
    other = "openai-chat" if name != "openai-chat" else "anthropic"
    found = registry.chat_provider(other)
    assert found is not None
    assert "novelty" in found.render_request(chat, "m", Hints()).dropped
    assert rendered(name, chat)["novelty"] == {"a": 1}


def test_a_retry_is_rendered_from_the_same_request() -> None:
    """one-api 11.4: a system prompt of the first attempt leaked into the second."""
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    chat = parsed("openai-chat", {"model": "m", "messages": turns})
    first = rendered("anthropic", chat)
    rendered("gemini", chat)
    assert rendered("anthropic", chat) == first
