"""Providers and clients that mean no good, where formats are translated: secrets, money, loops."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.e2e.harness import (
    Received,
    Reply,
    Running,
    Upstream,
    gateway,
    json_reply,
    people,
    scripted_upstream,
    sse_reply,
    until,
)
from tests.e2e.talk import DONE, head, sse

JSON = Any
SECRET = "sk-upstream-0123456789abcdef"
TALK = [{"role": "user", "content": "hello there"}]
WORDS = "one two three four five six seven eight nine ten " * 20
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "hello there"}]}]}
ASKED: dict[str, JSON] = {
    "/v1/chat/completions": {"model": "claude", "messages": TALK},
    "/v1/responses": {"model": "claude", "input": "hello there"},
    "/v1/messages": {"model": "chat", "max_tokens": 9, "messages": TALK},
    "/api/chat": {"model": "claude", "messages": TALK},
    "/v1beta/models/claude:streamGenerateContent?alt=sse": CONTENTS,
    "/v1beta/models/claude:streamGenerateContent": CONTENTS,
}
"""Streams by path, each translated."""


def event(value: JSON) -> bytes:
    return f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode()


def claude(text: str = "hi", *, ends: bool = True) -> list[bytes]:
    """A stream of Anthropic's dialect: 20 tokens in, of its output the beginning is counted."""
    usage = {"input_tokens": 20, "output_tokens": 1}
    message = {"id": "m", "type": "message", "role": "assistant", "content": [], "usage": usage}
    block = {"type": "text", "text": ""}
    delta = {"type": "text_delta", "text": text}
    begun = [
        event({"type": "message_start", "message": {**message, "model": "claude"}}),
        event({"type": "content_block_start", "index": 0, "content_block": block}),
        event({"type": "content_block_delta", "index": 0, "delta": delta}),
    ]
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    ending = [
        event({"type": "content_block_stop", "index": 0}),
        event({**end, "usage": {"output_tokens": 150}}),
        event({"type": "message_stop"}),
    ]
    return [*begun, *(ending if ends else [])]


def configuration(url: str) -> str:
    def channel(name: str, type: str, models: Sequence[str], more: str = "") -> str:
        return (
            f'[channels.{name}]\ntype = "{type}"\nbase_url = "{url}/{name}"\n'
            f'keys = ["{SECRET}"]\nmodels = {json.dumps(models)}\n{more}'
        )

    return (
        channel("anthropic", "anthropic", ["claude"])
        + channel("openai", "openai-compatible", ["chat", "two"])
        + channel("gemini", "gemini", ["two"], "priority = 9\n")
        + channel("replicate", "replicate", ["later"])
        + channel("bedrock", "bedrock", ["anthropic.claude-x"], 'vars = { region = "x-1" }\n')
        + '[prices."*"]\ninput = 1.0\noutput = 10.0\n'
        + people()
    )


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with scripted_upstream(lambda _: json_reply({})) as made:
        yield made


@pytest.fixture(scope="module")
def running(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("hostile")
    with gateway(folder, configuration(upstream.url)) as made:
        yield made


def failing(path: str, words: str) -> Reply:
    """A stream that breaks off with an error after its first content, as `path`'s provider does."""
    if path == "/v1/messages":
        return sse_reply(sse("hi"), sse(error={"message": words, "code": "x"}), DONE)
    error = {"type": "overloaded_error", "message": words}
    return sse_reply(*claude(ends=False), event({"type": "error", "error": error}))


@pytest.mark.parametrize("path", ASKED)
def test_an_error_in_mid_stream_tells_no_secret_in_any_dialect(
    running: Running, upstream: Upstream, path: str
) -> None:
    words = f"the key {SECRET} of org-0123456789abcdef01 is tired"
    upstream.script = lambda _: failing(path, words)
    answer = running.post(
        path, {**ASKED[path], "stream": True} if "v1beta" not in path else ASKED[path]
    )
    assert answer.status == 200
    assert b"is tired" in answer.body
    assert SECRET.encode() not in answer.body
    assert b"0123456789abcdef01" not in answer.body


@pytest.mark.parametrize("path", ASKED)
def test_an_odd_code_of_a_provider_is_no_accident_of_ours(
    running: Running, upstream: Upstream, path: str
) -> None:
    body = b'{"type":"error","error":{"type":"\\ud800x\\r\\n\\u0000","message":"\\ud800no"}}'
    upstream.script = lambda _: Reply(200, body=body)
    answer = running.post(path.replace("streamG", "g"), {**ASKED[path], "stream": False})
    assert answer.status >= 500
    assert b"its log says why" not in answer.body
    code = running.records()[-1]["error_code"]
    assert code.isprintable()


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_stream_that_breaks_is_charged_for_what_was_relayed(
    running: Running, upstream: Upstream, path: str
) -> None:
    """In both lanes: the count at the beginning is not the output's."""
    upstream.script = lambda _: sse_reply(*claude(WORDS, ends=False), cut=True)
    asked = {"model": "claude", "max_tokens": 9, "messages": TALK, "stream": True}
    running.post(path, asked)
    record = running.records()[-1]
    assert (record["settlement"], record["usage_source"]) == ("upstream_broke", "estimated")
    assert record["input"] == 20
    assert 180 < record["output"] < 220


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_client_that_leaves_before_the_count_is_charged_for_what_it_got(
    running: Running, upstream: Upstream, path: str
) -> None:
    count = len(running.records())
    upstream.script = lambda _: sse_reply(*claude(WORDS, ends=False), hang=True)
    asked = {"model": "claude", "max_tokens": 9, "messages": TALK, "stream": True}
    body = json.dumps(asked).encode()
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as sock:
        sock.sendall(head(path, f"Content-Length: {len(body)}") + body)
        got = b""
        while b"ten" not in got:
            got += sock.recv(65536)
    assert until(lambda: len(running.records()) > count)
    record = running.records()[-1]
    assert (record["settlement"], record["usage_source"]) == ("client_left", "estimated")
    assert 180 < record["output"] < 220


def test_a_whole_stream_is_charged_by_its_own_count(running: Running, upstream: Upstream) -> None:
    upstream.script = lambda _: sse_reply(*claude(WORDS))
    running.post("/v1/chat/completions", {**ASKED["/v1/chat/completions"], "stream": True})
    record = running.records()[-1]
    assert (record["output"], record["usage_source"]) == (150, "upstream")


def test_a_count_without_output_is_completed(running: Running, upstream: Upstream) -> None:
    finish = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    usage = {"prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 7}
    upstream.script = lambda _: sse_reply(sse(WORDS), sse(choices=finish, usage=usage), DONE)
    running.post("/v1/messages", {**ASKED["/v1/messages"], "stream": True})
    record = running.records()[-1]
    assert (record["input"], record["usage_source"]) == (7, "estimated")
    assert 180 < record["output"] < 220


def test_an_answer_that_never_reached_its_client_costs_nothing(
    running: Running, upstream: Upstream
) -> None:
    """The provider streams, breaks off, and the client, who wanted it whole, gets an error."""
    upstream.script = lambda _: sse_reply(*claude(WORDS, ends=False), cut=True)
    assert running.post("/v1/responses", ASKED["/v1/responses"]).status == 502
    record = running.records()[-1]
    assert (record["settlement"], record["usage_source"]) == ("failed", "none")
    assert record["cost_nanousd"] == 0


WHOLE = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "all at once"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 20, "output_tokens": 3},
}


def test_a_stream_that_comes_whole_is_streamed(running: Running, upstream: Upstream) -> None:
    upstream.script = lambda _: json_reply(WHOLE)
    answer = running.post("/v1/chat/completions", {**ASKED["/v1/chat/completions"], "stream": True})
    assert answer.headers["content-type"] == "text/event-stream"
    assert b"all at once" in answer.body
    assert answer.body.endswith(DONE)
    assert running.records()[-1]["output"] == 3


def test_an_error_that_comes_whole_for_a_stream_is_told(
    running: Running, upstream: Upstream
) -> None:
    error = {"type": "overloaded_error", "message": f"tired of {SECRET}"}
    upstream.script = lambda _: json_reply({"type": "error", "error": error})
    answer = running.post("/v1/chat/completions", {**ASKED["/v1/chat/completions"], "stream": True})
    assert (answer.status, answer.json()["error"]["code"]) == (503, "overloaded_error")
    assert SECRET.encode() not in answer.body


def test_a_stream_under_a_wrong_name_is_read(running: Running, upstream: Upstream) -> None:
    upstream.script = lambda _: Reply(200, body=b"".join(claude(WORDS)))
    answer = running.post("/v1/chat/completions", {**ASKED["/v1/chat/completions"], "stream": True})
    assert b"nine ten" in answer.body
    assert answer.body.endswith(DONE)


def test_what_one_target_dropped_is_not_told_of_another(
    running: Running, upstream: Upstream
) -> None:
    def script(request: Received) -> Reply:
        if request.path.startswith("/gemini"):
            return json_reply({"error": {"message": "tired"}}, 500)
        choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}}
        return json_reply({"object": "chat.completion", "model": "two", "choices": [choice]})

    upstream.script = script
    asked = {"model": "two", "messages": TALK, "logit_bias": {"1": 2}}
    answer = running.post("/v1/chat/completions", asked)
    assert answer.status == 200
    assert "x-oneapi-dropped" not in answer.headers


@pytest.mark.parametrize(
    "url", ["http://[::1/x", "/v1/a b\r\nx: y", "http://x/\u00e9", "javascript:1"]
)
def test_an_address_that_is_none_is_not_asked(
    running: Running, upstream: Upstream, url: str
) -> None:
    upstream.received.clear()
    waiting = {"id": "p", "status": "starting", "urls": {"get": url}}
    upstream.script = lambda _: json_reply(waiting, 201)
    answer = running.post("/v1/chat/completions", {"model": "later", "messages": TALK})
    assert (answer.status, len(upstream.received)) == (502, 1)
    assert answer.json()["error"]["code"] == "bad_upstream_answer"


def test_another_host_of_an_answer_gets_no_key(running: Running, upstream: Upstream) -> None:
    """Only the path counts, at the channel's own address, unless the catalog knows the host."""

    def script(request: Received) -> Reply:
        if request.method == "POST":
            urls = {"get": "https://evil.example/steal"}
            return json_reply({"id": "p", "status": "starting", "urls": urls}, 201)
        return json_reply({"id": "p", "status": "succeeded", "output": "hi"})

    upstream.received.clear()
    upstream.script = script
    running.post("/v1/chat/completions", {"model": "later", "messages": TALK})
    assert [(r.method, r.path) for r in upstream.received][-1] == ("GET", "/steal")


def test_a_refusal_of_another_transport_has_the_clients_shape(
    running: Running, upstream: Upstream
) -> None:
    upstream.script = lambda _: json_reply({"message": "max_tokens: too many"}, 400)
    asked = {"model": "anthropic.claude-x", "max_tokens": 9, "messages": TALK}
    answer = running.post("/v1/messages", asked)
    assert answer.status == 400
    assert answer.json()["type"] == "error"
    assert "too many" in answer.json()["error"]["message"]


def test_a_character_cut_in_two_does_not_end_a_stream(running: Running, upstream: Upstream) -> None:
    odd = sse("café").replace(b"caf\\u00e9", b"caf\xc3")
    assert b"caf\xc3" in odd
    upstream.script = lambda _: sse_reply(odd, sse(" au lait"), DONE)
    answer = running.post("/v1/messages", {**ASKED["/v1/messages"], "stream": True})
    assert "caf\ufffd" in answer.body.decode()
    assert b" au lait" in answer.body
