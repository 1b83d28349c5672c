"""The Responses API as a service: Codex's exchange, stored answers, whose they are, compaction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import codex
from tests.e2e.harness import (
    KEY,
    Answer,
    Received,
    Reply,
    Running,
    Upstream,
    gateway,
    json_reply,
    people,
    scripted_upstream,
    sse_reply,
)
from tests.e2e.talk import REPLY, error_of, head, raw

JSON = Any
OTHER = "sk-" + "othe" * 12
KEEPER = "sk-" + "keep" * 12
PATH = "/v1/responses"
SOCKET = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")


def configuration(url: str) -> str:
    channel = '[channels.{}]\ntype = "{}"\nbase_url = "{}{}"\nkeys = {}\nmodels = {}\n'
    rows = [
        ("chat", "openai-compatible", url, "/chat/v1", '["up"]', '["chat-*"]'),
        ("claude", "anthropic", url, "/claude/v1", '["up"]', '["claude-*"]'),
        ("native", "openai", url, "/native/v1", '["one", "two"]', '["gpt-5-codex", "shared"]'),
        ("second", "openai", url, "/second/v1", '["up"]', '["shared"]'),
    ]
    found = "".join(channel.format(*row) + "discover = false\n" for row in rows)
    aliases = (
        '[models.alias]\nroutes = [{ channel = "native", model = "gpt-5-codex" }]\n'
        "[models.mixed]\nroutes = [\n"
        '  { channel = "native", model = "gpt-5-codex", priority = -1 },\n'
        '  { channel = "chat", model = "chat-m" },\n]\n'
    )
    keeper = 'store_responses = true\nstore_responses_ttl = "1h"'
    return (
        found
        + aliases
        + people()
        + people(name="other", key=OTHER)
        + people(name="keeper", key=KEEPER, policy=keeper)
    )


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with scripted_upstream(lambda _: json_reply({})) as found:
        yield found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Running]:
    with gateway(tmp_path_factory.mktemp("gateway"), configuration(upstream.url)) as found:
        yield found


def play(upstream: Upstream, *replies: Reply) -> None:
    """Answer the next requests so, the last reply for ever."""
    waiting = list(replies)
    upstream.received.clear()
    upstream.script = lambda _: waiting.pop(0) if len(waiting) > 1 else waiting[0]


def asked(upstream: Upstream) -> Received:
    return upstream.received[-1]


def response(name: str = "resp_up_1", text: str = "2", **members: JSON) -> JSON:
    """A whole answer of a provider that speaks the dialect."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    item = {"id": f"msg_{name}", "type": "message", "status": "completed", "role": "assistant"}
    return {
        "id": name,
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "gpt-5-codex",
        "output": [{**item, "content": content}],
        "store": True,
        "usage": {"input_tokens": 9, "output_tokens": 1, "total_tokens": 10},
        **members,
    }


def terminal(answer: JSON) -> bytes:
    event = {"type": "response.completed", "sequence_number": 2, "response": answer}
    return b"event: response.completed\ndata: " + json.dumps(event).encode() + b"\n\n"


def sse_chat(*deltas: JSON, finish: str) -> Reply:
    def chunk(delta: JSON, reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        value = {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
        return b"data: " + json.dumps(value).encode() + b"\n\n"

    usage = {"prompt_tokens": 50, "completion_tokens": 9, "total_tokens": 59}
    last = json.dumps({"id": "c", "model": "m", "choices": [], "usage": usage}).encode()
    chunks = [*map(chunk, deltas), chunk({}, finish)]
    return sse_reply(*chunks, b"data: " + last + b"\n\n", b"data: [DONE]\n\n")


def call_of(index: int, name: str, call_id: str, arguments: str) -> JSON:
    function = {"name": name, "arguments": arguments}
    call = {"index": index, "id": call_id, "type": "function", "function": function}
    return {"tool_calls": [call]}


def sse_claude(*blocks: tuple[JSON, list[JSON]], stop: str) -> Reply:
    def event(value: JSON) -> bytes:
        return f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode()

    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x"}
    usage = {"input_tokens": 40, "output_tokens": 1}
    begin = {**start, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    out = [event({"type": "message_start", "message": begin})]
    for index, (block, deltas) in enumerate(blocks):
        out.append(event({"type": "content_block_start", "index": index, "content_block": block}))
        for delta in deltas:
            out.append(event({"type": "content_block_delta", "index": index, "delta": delta}))
        out.append(event({"type": "content_block_stop", "index": index}))
    delta = {"stop_reason": stop, "stop_sequence": None}
    out.append(event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 30}}))
    return sse_reply(*out, event({"type": "message_stop"}))


def ask(running: Running, body: JSON, path: str = PATH, key: str = KEY) -> Answer:
    return running.post(path, body, key=key)


def create(running: Running, key: str = KEY, **members: JSON) -> JSON:
    """A whole answer's response object."""
    answer = ask(running, {"model": "chat-m", "input": "1+1?", **members}, key=key)
    assert answer.status == 200, answer.body
    return answer.json()


# Codex


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
    assert "tools[3]" in answer.headers["x-oneapi-dropped"]  # the hosted search
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


# Answers that the gateway stores


def test_an_answer_is_found_again_by_its_own_token_alone(
    running: Running, upstream: Upstream
) -> None:
    play(upstream, json_reply(REPLY))
    made = create(running)
    for start in ("/v1/responses", "/responses", "/openai/v1/responses", "/openai/responses"):
        assert running.get(f"{start}/{made['id']}").json() == made
    answer = running.get(f"{PATH}/{made['id']}", key=OTHER)
    assert (answer.status, error_of(answer)["code"]) == (404, "response_not_found")
    assert made["id"] in error_of(answer)["message"]
    assert running.get(f"{PATH}/{made['id']}", key=None).status == 401


def test_a_streamed_answer_is_kept_as_its_last_event_told_it(
    running: Running, upstream: Upstream
) -> None:
    play(upstream, sse_chat({"content": "2"}, finish="stop"))
    answer = ask(running, {"model": "chat-m", "input": "1+1?", "stream": True})
    told = codex.events(answer)[-1]["response"]
    assert running.get(f"{PATH}/{told['id']}").json() == told


def test_the_next_request_has_the_whole_conversation(running: Running, upstream: Upstream) -> None:
    play(upstream, json_reply(REPLY))
    one = create(running, instructions="Be brief.")
    two = create(running, input="and 2+2?", previous_response_id=one["id"])
    three = create(running, input="and 3+3?", previous_response_id=two["id"])
    assert three["previous_response_id"] == two["id"]
    sent = asked(upstream).json()["messages"]
    assert [m["role"] for m in sent] == ["user", "assistant", "user", "assistant", "user"]
    assert "2+2" in json.dumps(sent[2])
    assert "previous_response_id" not in asked(upstream).json()


def test_a_stream_may_follow_an_answer_too(running: Running, upstream: Upstream) -> None:
    play(upstream, json_reply(REPLY))
    one = create(running)
    play(upstream, sse_chat({"content": "4"}, finish="stop"))
    body = {"model": "chat-m", "input": "2+2?", "stream": True, "previous_response_id": one["id"]}
    told = codex.events(ask(running, body))
    assert told[0]["response"]["previous_response_id"] == one["id"]
    assert len(asked(upstream).json()["messages"]) == 3
    assert "x-oneapi-dropped" not in ask(running, body).headers


@pytest.mark.parametrize("name", ["resp_unknown", "resp_" + "x" * 300])
def test_an_unknown_answer_cannot_be_followed(running: Running, name: str) -> None:
    for model in ("chat-m", "gpt-5-codex"):
        body = {"model": model, "input": "x", "previous_response_id": name}
        answer = ask(running, body)
        error = error_of(answer)
        assert (answer.status, error["code"]) == (400, "previous_response_not_found")
        assert error["param"] == "previous_response_id"


def test_anothers_answer_cannot_be_followed(running: Running, upstream: Upstream) -> None:
    play(upstream, json_reply(REPLY))
    made = create(running)
    body = {"model": "chat-m", "input": "x", "previous_response_id": made["id"]}
    assert ask(running, body, key=OTHER).status == 400


def test_the_input_of_an_answer_is_listed_newest_first(
    running: Running, upstream: Upstream
) -> None:
    play(upstream, json_reply(REPLY))
    one = create(running)
    two = create(running, input="and 2+2?", previous_response_id=one["id"])
    start = f"{PATH}/{two['id']}/input_items"
    found = running.get(start).json()
    texts = [item["content"][0]["text"] for item in found["data"]]
    assert texts == ["and 2+2?", "2", "1+1?"]
    assert found["first_id"] == found["data"][0]["id"]
    page = running.get(f"{start}?order=asc&limit=1").json()
    assert (page["data"][0]["content"][0]["text"], page["has_more"]) == ("1+1?", True)
    rest = running.get(f"{start}?order=asc&after={page['last_id']}").json()
    assert [item["content"][0]["text"] for item in rest["data"]] == ["2", "and 2+2?"]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "order=up"])
def test_a_list_asked_for_wrongly_is_refused(
    running: Running, upstream: Upstream, query: str
) -> None:
    play(upstream, json_reply(REPLY))
    answer = running.get(f"{PATH}/{create(running)['id']}/input_items?{query}")
    assert (answer.status, error_of(answer)["param"]) == (400, query.partition("=")[0])


def test_a_deleted_answer_is_gone(running: Running, upstream: Upstream) -> None:
    play(upstream, json_reply(REPLY))
    made = create(running)
    url = f"{PATH}/{made['id']}"
    assert running.request("DELETE", url, key=OTHER).status == 404
    gone = running.request("DELETE", url)
    assert gone.json() == {"id": made["id"], "object": "response", "deleted": True}
    assert running.request("DELETE", url).status == 404
    body = {"model": "chat-m", "input": "x", "previous_response_id": made["id"]}
    assert error_of(ask(running, body))["code"] == "previous_response_not_found"


def test_what_a_stored_answer_cannot_do_is_told(running: Running, upstream: Upstream) -> None:
    play(upstream, json_reply(REPLY))
    url = f"{PATH}/{create(running)['id']}"
    assert error_of(running.get(f"{url}?stream=true"))["param"] == "stream"
    assert error_of(running.post(f"{url}/cancel", {}))["code"] == "response_not_cancellable"
    assert running.post(f"{PATH}/resp_unknown/cancel", {}).status == 404
    assert running.request("PUT", url).status == 405


def test_a_reference_to_an_item_becomes_the_item(running: Running, upstream: Upstream) -> None:
    play(upstream, json_reply(REPLY))
    item = create(running)["output"][0]["id"]
    for refers in ({"type": "item_reference", "id": item}, {"id": item}):
        ask(running, {"model": "chat-m", "input": [refers, codex.message("user", "Why?")]})
        sent = asked(upstream).json()["messages"]
        assert [m["role"] for m in sent] == ["assistant", "user"]
    body = {"model": "chat-m", "input": [{"type": "item_reference", "id": item}]}
    answer = ask(running, body, key=OTHER)
    assert (answer.status, error_of(answer)["code"]) == (404, "item_not_found")


def test_conversations_are_nobodys(running: Running) -> None:
    for given in ("conv_1", {"id": "conv_1"}):
        for model in ("chat-m", "gpt-5-codex"):
            answer = ask(running, {"model": model, "input": "x", "conversation": given})
            assert (answer.status, error_of(answer)["param"]) == (404, "conversation")


def test_a_failed_answer_is_not_kept(running: Running, upstream: Upstream) -> None:
    play(upstream, sse_reply(b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'))
    answer = ask(running, {"model": "chat-m", "input": "x", "stream": True})
    told = codex.events(answer)[-1]
    assert told["type"] == "response.failed"
    assert running.get(f"{PATH}/{told['response']['id']}").status == 404


# Answers that the provider stores


def test_the_provider_is_asked_for_what_it_stores(running: Running, upstream: Upstream) -> None:
    play(upstream, json_reply(response("resp_n1")))
    made = create(running, model="alias")
    assert made["model"] == "alias"
    stored_by = asked(upstream).header("authorization")
    play(upstream, json_reply(response("resp_n1")))
    for _ in range(3):  # whichever key's turn it is
        assert running.get(f"{PATH}/resp_n1?include=x").json() == made
        got = asked(upstream)
        assert (got.method, got.target) == ("GET", "/native/v1/responses/resp_n1?include=x")
        assert got.header("authorization") == stored_by
    assert running.get(f"{PATH}/resp_n1", key=OTHER).status == 404
    assert len(upstream.received) == 3


def test_a_provider_that_stores_goes_on_itself(running: Running, upstream: Upstream) -> None:
    for number in range(6):
        name = f"resp_s{number}"
        play(upstream, json_reply(response(name)))
        create(running, model="shared")
        first = asked(upstream)
        body = {"model": "shared", "input": "and?", "previous_response_id": name}
        assert ask(running, body).status == 200
        again = asked(upstream)
        assert again.json() == body  # to the letter, and to the same account
        assert again.path == first.path
        assert again.header("authorization") == first.header("authorization")


def test_what_one_provider_stores_another_cannot_follow(
    running: Running, upstream: Upstream
) -> None:
    play(upstream, json_reply(response("resp_n2")))
    create(running, model="alias")
    body = {"model": "chat-m", "input": "x", "previous_response_id": "resp_n2"}
    assert error_of(ask(running, body))["code"] == "previous_response_not_found"


def test_a_stream_of_the_providers_own_is_known_too(running: Running, upstream: Upstream) -> None:
    created = {"type": "response.created", "sequence_number": 0, "response": {"id": "resp_n3"}}
    delta = {"type": "response.output_text.delta", "sequence_number": 1, "delta": "2"}
    events = [b"data: " + json.dumps(e).encode() + b"\n\n" for e in (created, delta)]
    play(upstream, sse_reply(*events, terminal(response("resp_n3", "x" * 100_000))))
    assert ask(running, {"model": "alias", "input": "x", "stream": True}).status == 200
    play(upstream, json_reply(response("resp_n3")))
    assert running.get(f"{PATH}/resp_n3").status == 200
    body = {"model": "alias", "previous_response_id": "resp_n3"}
    body["input"] = [{"type": "item_reference", "id": "msg_resp_n3"}]
    assert ask(running, body).status == 200
    assert asked(upstream).json()["input"] == body["input"]
    assert ask(running, {"model": "alias", "input": body["input"]}, key=OTHER).status == 404


def test_deleting_and_listing_reach_the_provider(running: Running, upstream: Upstream) -> None:
    play(upstream, json_reply(response("resp_n4")))
    create(running, model="alias")
    play(upstream, json_reply({"object": "list", "data": []}))
    assert running.get(f"{PATH}/resp_n4/input_items?limit=2").json()["data"] == []
    assert asked(upstream).target == "/native/v1/responses/resp_n4/input_items?limit=2"
    play(upstream, json_reply({"id": "resp_n4", "object": "response", "deleted": True}))
    assert running.request("DELETE", f"{PATH}/resp_n4").json()["deleted"] is True
    assert asked(upstream).method == "DELETE"
    assert running.request("DELETE", f"{PATH}/resp_n4").status == 404


def test_the_providers_refusal_of_a_stored_answer_is_told(
    running: Running, upstream: Upstream
) -> None:
    play(upstream, json_reply(response("resp_n5")))
    create(running, model="alias")
    for status, seen in ((404, 404), (400, 400), (401, 502), (500, 500)):
        error = {"message": f"no, key one {status}", "type": "t", "code": None}
        play(upstream, json_reply({"error": error}, status))
        answer = running.post(f"{PATH}/resp_n5/cancel", {})
        assert answer.status == seen
        assert asked(upstream).target == "/native/v1/responses/resp_n5/cancel"


def test_a_provider_that_stores_nothing_is_helped_out(running: Running, upstream: Upstream) -> None:
    play(upstream, json_reply(response("resp_n6", store=False)))
    made = create(running, model="alias", input="1+1?")
    assert running.get(f"{PATH}/resp_n6").json() == made
    ask(running, {"model": "alias", "input": "and?", "previous_response_id": "resp_n6"})
    sent = asked(upstream).json()
    assert "previous_response_id" not in sent
    assert [item["role"] for item in sent["input"]] == ["user", "assistant", "user"]


def test_notes_of_the_gateways_own_do_not_reach_a_provider_that_cannot_read_them(
    running: Running, upstream: Upstream
) -> None:
    play(upstream, json_reply(REPLY))
    compacted = ask(running, {"model": "chat-m", "input": "Hello"}, f"{PATH}/compact").json()
    play(upstream, json_reply(response("resp_n7")))
    create(running, model="alias", input=[*compacted["output"], codex.message("user", "Go on")])
    sent = asked(upstream).json()["input"]
    assert [item["type"] for item in sent] == ["message"] * 3
    assert "summary" in sent[1]["content"]
    assert "oneapi1." not in json.dumps(sent)


# Compaction


def test_a_conversation_is_compacted_by_any_provider(running: Running, upstream: Upstream) -> None:
    summary = {**REPLY, "choices": [{**REPLY["choices"][0]}]}
    summary["choices"][0]["message"] = {"role": "assistant", "content": "They said hello."}
    play(upstream, json_reply(summary))
    given = [*codex.first_input("Hello"), codex.message("assistant", "Hello!")]
    body = {"model": "chat-m", "instructions": "You are Codex.", "input": given}
    answer = ask(running, body, f"{PATH}/compact")
    found = answer.json()
    assert (answer.status, found["object"]) == (200, "response.compaction")
    assert [item["type"] for item in found["output"]] == ["message", "message", "compaction"]
    record = running.records()[-1]
    assert (record["endpoint"], record["settlement"]) == ("responses", "complete")
    assert (record["input"], record["output"]) == (7, 1)
    play(upstream, sse_chat({"content": "Yes."}, finish="stop"))
    after = [*found["output"], codex.message("user", "Go on")]
    running.post(PATH, codex.request("chat-m", after), headers=codex.HEADERS)
    assert "They said hello." in json.dumps(asked(upstream).json()["messages"])


def test_a_provider_that_compacts_does_it_itself(running: Running, upstream: Upstream) -> None:
    item = {"id": "cmp_1", "type": "compaction", "encrypted_content": "gAAA"}
    usage = {"input_tokens": 20, "output_tokens": 5, "total_tokens": 25}
    whole = {"id": "resp_c", "object": "response.compaction", "output": [item], "usage": usage}
    play(upstream, json_reply(whole))
    body = {"model": "gpt-5-codex", "instructions": "x", "input": codex.first_input("Hello")}
    assert ask(running, body, f"{PATH}/compact").json() == whole
    assert asked(upstream).target == "/native/v1/responses/compact"
    assert asked(upstream).json() == body
    record = running.records()[-1]
    assert (record["input"], record["output"], record["usage_source"]) == (20, 5, "upstream")


def test_counting_counts_what_is_followed(running: Running, upstream: Upstream) -> None:
    play(upstream, json_reply(REPLY))
    made = create(running, input="word " * 500)
    path = f"{PATH}/input_tokens"
    alone = ask(running, {"model": "chat-m", "input": "x"}, path).json()["input_tokens"]
    body = {"model": "chat-m", "input": "x", "previous_response_id": made["id"]}
    assert ask(running, body, path).json()["input_tokens"] > alone + 400


# On disk


def test_answers_of_a_policy_that_keeps_them_outlive_the_process(
    tmp_path: Path, upstream: Upstream
) -> None:
    text = configuration(upstream.url)
    with gateway(tmp_path, text) as running:
        play(upstream, json_reply(REPLY))
        kept = create(running, key=KEEPER)
        lost = create(running)
        play(upstream, json_reply(response("resp_d1")))
        create(running, key=KEEPER, model="alias")
        running.kill()
    with gateway(tmp_path, text) as running:
        assert running.get(f"{PATH}/{kept['id']}", key=KEEPER).json() == kept
        assert running.get(f"{PATH}/{kept['id']}").status == 404
        assert running.get(f"{PATH}/{lost['id']}").status == 404
        play(upstream, json_reply(REPLY))
        create(running, key=KEEPER, input="and?", previous_response_id=kept["id"])
        assert len(asked(upstream).json()["messages"]) == 3
        item = {"type": "item_reference", "id": kept["output"][0]["id"]}
        create(running, key=KEEPER, input=[item, codex.message("user", "Why?")])
        play(upstream, json_reply(response("resp_d1")))
        assert running.get(f"{PATH}/resp_d1", key=KEEPER).status == 200
        assert running.request("DELETE", f"{PATH}/{kept['id']}", key=KEEPER).status == 200
    with gateway(tmp_path, text) as running:
        assert running.get(f"{PATH}/{kept['id']}", key=KEEPER).status == 404
