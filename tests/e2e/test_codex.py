"""Codex CLI against providers of other dialects: two turns, tools of all kinds, thoughts kept."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e import codex
from tests.e2e.harness import Running, Upstream, gateway, json_reply, scripted_upstream, sse_reply
from tests.e2e.responses import (
    OTHER,
    PATH,
    asked,
    call_of,
    configuration,
    play,
    sse_chat,
    sse_claude,
)
from tests.e2e.talk import REPLY, error_of, head, raw

SOCKET = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with scripted_upstream(lambda _: json_reply({})) as found:
        yield found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Running]:
    with gateway(tmp_path_factory.mktemp("gateway"), configuration(upstream.url)) as found:
        yield found


def test_codex_is_told_at_once_to_go_on_over_http(running: Running) -> None:
    for path in (PATH, "/responses", "/openai/v1/responses"):
        answer = raw(running.port, head(path, *SOCKET, "Sec-WebSocket-Key: x", method="GET"))
        assert (answer.status, answer.headers["x-should-retry"]) == (426, "false")
        assert error_of(answer)["code"] == "websocket_not_supported"


def test_a_get_without_a_socket_is_told_the_right_method(running: Running) -> None:
    answer = running.get(PATH)
    assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")


def test_codex_finds_a_list_of_models_that_it_can_read(running: Running) -> None:
    found = running.get("/v1/models?client_version=0.153.4").json()
    assert found["models"] == []  # its own catalog counts
    assert "alias" in {entry["id"] for entry in found["data"]}
    assert "models" not in running.get("/v1/models").json()


def test_codex_works_on_an_openai_chat_provider(running: Running, upstream: Upstream) -> None:
    play(
        upstream,
        sse_chat(
            {"role": "assistant", "reasoning_content": "Look "},
            {"reasoning_content": "first."},
            {"content": "I will look."},
            call_of(0, "exec_command", "call_1", ""),
            {"tool_calls": [{"index": 0, "function": {"arguments": '{"cmd":'}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": '"ls"}'}}]},
            call_of(1, "apply_patch", "call_2", '{"input":"*** Begin Patch\\n"}'),
            finish="tool_calls",
        ),
        sse_chat({"role": "assistant", "content": "Done."}, finish="stop"),
    )
    first = codex.first_input("Fix the bug")
    answer = running.post(PATH, codex.request("chat-m", first), headers=codex.HEADERS)
    items = codex.items_done(answer)
    assert [i["type"] for i in items] == [
        "reasoning", "message", "function_call", "custom_tool_call",
    ]  # fmt: skip
    assert items[0]["summary"] == [{"type": "summary_text", "text": "Look first."}]
    assert (items[2]["arguments"], items[2]["call_id"]) == ('{"cmd":"ls"}', "call_1")
    assert (items[3]["input"], items[3]["name"]) == ("*** Begin Patch\n", "apply_patch")
    results = [
        {"type": "function_call_output", "call_id": "call_1", "output": "main.py"},
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": "ok"},
    ]
    second = [*first, *codex.replayed(items), *results]
    answer = running.post(PATH, codex.request("chat-m", second), headers=codex.HEADERS)
    assert codex.items_done(answer)[-1]["content"][0]["text"] == "Done."
    sent = asked(upstream).json()["messages"]
    turn = next(m for m in sent if m["role"] == "assistant")
    assert [c["id"] for c in turn["tool_calls"]] == ["call_1", "call_2"]
    patch = json.loads(turn["tool_calls"][1]["function"]["arguments"])
    assert list(patch.values()) == ["*** Begin Patch\n"]
    assert [(m["tool_call_id"], m["content"]) for m in sent if m["role"] == "tool"] == [
        ("call_1", "main.py"),
        ("call_2", "ok"),
    ]


def test_what_codex_asks_for_and_chat_cannot_say_is_named(
    running: Running, upstream: Upstream
) -> None:
    play(upstream, sse_chat({"content": "Done."}, finish="stop"))
    body = codex.request("chat-m", codex.first_input("Hi"))
    answer = running.post(PATH, body, headers=codex.HEADERS)
    dropped = answer.headers["x-oneapi-dropped"].split(", ")
    assert "tools[3]" in dropped  # the hosted search
    assert "store" not in dropped  # the gateway does that itself
    tools = asked(upstream).json()["tools"]
    assert len(tools) == 3  # a function, the patch tool and the one of the namespace


def test_codex_calls_a_namespaced_tool_by_the_name_it_knows(
    running: Running, upstream: Upstream
) -> None:
    play(upstream, sse_chat({"content": "x"}, finish="stop"))
    body = codex.request("chat-m", codex.first_input("Find it"))
    running.post(PATH, body, headers=codex.HEADERS)
    name = asked(upstream).json()["tools"][2]["function"]["name"]
    play(upstream, sse_chat(call_of(0, name, "call_9", '{"number":7}'), finish="tool_calls"))
    (item,) = codex.items_done(running.post(PATH, body, headers=codex.HEADERS))
    assert (item["name"], item["namespace"]) == ("find_issue", "mcp__tracker")
    assert item["arguments"] == '{"number":7}'


def test_codex_replays_what_claude_thought(running: Running, upstream: Upstream) -> None:
    thinking = {"type": "thinking", "thinking": "", "signature": ""}
    tool = {"type": "tool_use", "id": "toolu_1", "name": "exec_command", "input": {}}
    play(
        upstream,
        sse_claude(
            (
                thinking,
                [
                    {"type": "thinking_delta", "thinking": "Look first."},
                    {"type": "signature_delta", "signature": "SIGNED=="},
                ],
            ),
            (tool, [{"type": "input_json_delta", "partial_json": '{"cmd": "ls"}'}]),
            stop="tool_use",
        ),
        sse_claude(
            ({"type": "text", "text": ""}, [{"type": "text_delta", "text": "Done."}]),
            stop="end_turn",
        ),
    )
    first = codex.first_input("Fix the bug")
    answer = running.post(PATH, codex.request("claude-m", first), headers=codex.HEADERS)
    items = codex.items_done(answer)
    assert [i["type"] for i in items] == ["reasoning", "function_call"]
    assert items[0]["encrypted_content"]
    assert "SIGNED" not in json.dumps(items)
    result = {"type": "function_call_output", "call_id": items[1]["call_id"], "output": "main.py"}
    second = [*first, *codex.replayed(items), result]
    # Another token, which shares no memory with the first turn: what is replayed must suffice.
    body = codex.request("claude-m", second)
    answer = running.post(PATH, body, headers=codex.HEADERS, key=OTHER)
    assert codex.items_done(answer)[-1]["content"][0]["text"] == "Done."
    sent = asked(upstream).json()
    turn = next(m for m in sent["messages"] if m["role"] == "assistant")
    thought, use = turn["content"]
    assert thought == {"type": "thinking", "thinking": "Look first.", "signature": "SIGNED=="}
    assert (use["id"], use["input"]) == ("toolu_1", {"cmd": "ls"})
    assert sent["messages"][-1]["content"][0]["tool_use_id"] == "toolu_1"
    record = running.records()[-1]
    assert (record["dialect_in"], record["dialect_out"]) == ("openai-responses", "anthropic")


def test_codex_stores_nothing(running: Running, upstream: Upstream) -> None:
    play(upstream, sse_chat({"content": "Done."}, finish="stop"))
    body = codex.request("chat-m", codex.first_input("Hi"))
    found = codex.events(running.post(PATH, body, headers=codex.HEADERS))[-1]["response"]
    assert running.get(f"{PATH}/{found['id']}").status == 404


@pytest.mark.parametrize("model", ["chat-m", "claude-m"])
def test_codex_compacts_a_conversation_in_a_stream(
    running: Running, upstream: Upstream, model: str
) -> None:
    text = {"type": "text", "text": ""}
    thinking = {"type": "thinking", "thinking": "", "signature": ""}
    thought = {"type": "thinking_delta", "thinking": "Hm."}
    parts = [{"type": "text_delta", "text": word} for word in ("They said ", "hello.")]
    chat = sse_chat({"content": "They said "}, {"content": "hello."}, finish="stop")
    claude = sse_claude((thinking, [thought]), (text, parts), stop="end_turn")
    play(upstream, chat if model == "chat-m" else claude)
    given = [*codex.first_input("Hello"), {"type": "compaction_trigger"}]
    answer = running.post(PATH, codex.request(model, given), headers=codex.HEADERS)
    (item,) = codex.items_done(answer)
    assert item["type"] == "compaction"
    assert codex.events(answer)[-1]["response"]["output"] == [item]
    sent = asked(upstream).json()
    assert "tools" not in sent
    assert "trigger" not in json.dumps(sent)
    done = sse_chat({"content": "Yes."}, finish="stop")
    play(upstream, done)
    after = [*codex.replayed([item]), codex.message("user", "Go on")]
    running.post(PATH, codex.request("chat-m", after), headers=codex.HEADERS)
    assert "They said hello." in json.dumps(asked(upstream).json()["messages"])


def test_a_compaction_that_fails_says_so(running: Running, upstream: Upstream) -> None:
    play(upstream, sse_reply(b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'))
    given = [*codex.first_input("Hello"), {"type": "compaction_trigger"}]
    answer = running.post(PATH, codex.request("chat-m", given), headers=codex.HEADERS)
    assert codex.events(answer)[-1]["type"] == "response.failed"


def test_a_whole_answer_to_a_trigger_is_one_item(running: Running, upstream: Upstream) -> None:
    play(upstream, json_reply(REPLY))
    given = [*codex.first_input("Hello"), {"type": "compaction_trigger"}]
    answer = running.post(PATH, {"model": "chat-m", "input": given})
    assert [item["type"] for item in answer.json()["output"]] == ["compaction"]
