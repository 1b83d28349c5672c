"""The Responses API as a service: stored answers, whose they are, compaction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from tests.e2e import codex
from tests.e2e.harness import (
    KEY,
    Running,
    Upstream,
    gateway,
    json_reply,
    scripted_upstream,
    sse_reply,
)
from tests.e2e.responses import (
    KEEPER,
    OTHER,
    PATH,
    ask,
    asked,
    configuration,
    create,
    play,
    response,
    sse_chat,
    terminal,
)
from tests.e2e.talk import REPLY, error_of


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with scripted_upstream(lambda _: json_reply({})) as found:
        yield found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Running]:
    with gateway(tmp_path_factory.mktemp("gateway"), configuration(upstream.url)) as found:
        yield found


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
    refers = [{"type": "item_reference", "id": "msg_resp_n3"}]
    body = {"model": "alias", "previous_response_id": "resp_n3", "input": refers}
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


# The official library


def test_the_official_library_manages_stored_answers(running: Running, upstream: Upstream) -> None:
    play(upstream, json_reply(REPLY))
    address = f"{running.base_url}/v1"
    with OpenAI(api_key=KEY, base_url=address, max_retries=0, timeout=20) as client:
        one = client.responses.create(model="chat-m", input="1+1?")
        two = client.responses.create(model="chat-m", input="Why?", previous_response_id=one.id)
        assert two.previous_response_id == one.id
        assert client.responses.retrieve(two.id) == two
        listed = list(client.responses.input_items.list(two.id, order="asc", limit=2))
        assert [item.type for item in listed] == ["message"] * 3
        with pytest.raises(BadRequestError):
            client.responses.cancel(two.id)
        client.responses.delete(one.id)
        with pytest.raises(NotFoundError):
            client.responses.retrieve(one.id)
        with pytest.raises(BadRequestError) as refused:
            client.responses.create(model="chat-m", input="x", previous_response_id=one.id)
        assert refused.value.code == "previous_response_not_found"
        compacted = client.responses.compact(model="chat-m", previous_response_id=two.id)
        assert compacted.output[-1].type == "compaction"
        counted = client.responses.input_tokens.count(model="chat-m", input="x")
        assert counted.input_tokens > 0


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
        play(upstream, json_reply(REPLY))
        item = {"type": "item_reference", "id": kept["output"][0]["id"]}
        create(running, key=KEEPER, input=[item, codex.message("user", "Why?")])
        assert running.get(f"{PATH}/{kept['id']}", key=KEEPER).json() == kept
        assert running.get(f"{PATH}/{kept['id']}").status == 404
        assert running.get(f"{PATH}/{lost['id']}").status == 404
        play(upstream, json_reply(REPLY))
        create(running, key=KEEPER, input="and?", previous_response_id=kept["id"])
        assert len(asked(upstream).json()["messages"]) == 3
        play(upstream, json_reply(response("resp_d1")))
        assert running.get(f"{PATH}/resp_d1", key=KEEPER).status == 200
        assert running.request("DELETE", f"{PATH}/{kept['id']}", key=KEEPER).status == 200
    with gateway(tmp_path, text) as running:
        assert running.get(f"{PATH}/{kept['id']}", key=KEEPER).status == 404
