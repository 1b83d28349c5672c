"""What a hostile reading of the gateway found once, and must not find again."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import (
    KEY,
    Received,
    Reply,
    Running,
    Upstream,
    gateway,
    json_reply,
    key_hash,
    people,
    scripted_upstream,
    sse_reply,
)

ADMIN = "sk-" + "adm1" * 12
UPSTREAM_KEY = "sk-upstream-0123456789abcdef"
HIDDEN = "header-secret-0123456789"
ANSWER = {
    "object": "chat.completion",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


def whole(request: Received) -> Reply:
    return json_reply(ANSWER)


def configuration(url: str) -> str:
    channel = (
        'type = "openai-compatible"\nbase_url = "{url}/v1"\nkeys = {keys}\nmodels = ["m"]\n'
        'headers = {{ "x-secret" = "{hidden}" }}\n'
    )
    expired = f'[{{ key = "sk-ended", until = 2020-01-01 }}, "{UPSTREAM_KEY}"]'
    return (
        "[channels.up]\n"
        + channel.format(url=url, keys=expired, hidden=HIDDEN)
        + "[channels.other]\npriority = -1\n"
        + channel.format(url=url, keys='["sk-other-0123456789"]', hidden=HIDDEN).replace(
            '["m"]', '["second"]'
        )
        + people()
        + f'[users.boss]\nrole = "admin"\n[policies.boss]\nmodels = ["m"]\nchannels = ["up"]\n'
        f'endpoints = ["chat", "models", "pin", "proxy"]\n'
        f'[tokens.boss]\nuser = "boss"\npolicy = "boss"\nkey = "{key_hash(ADMIN)}"\n'
    )


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with scripted_upstream(whole) as made:
        yield made


@pytest.fixture(scope="module")
def running(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("attacks")
    with gateway(folder, configuration(upstream.url)) as made:
        yield made


def test_many_gzip_members_are_refused_at_once(running: Running) -> None:
    body = gzip.compress(b"") * 100_000
    began = time.monotonic()
    answer = running.post("/v1/chat/completions", body, headers={"content-encoding": "gzip"})
    assert (answer.status, answer.json()["error"]["code"]) == (400, "invalid_gzip")
    assert time.monotonic() - began < 2


def test_an_error_that_begins_a_stream_tells_no_secret(
    running: Running, upstream: Upstream
) -> None:
    message = f"Incorrect API key provided: {UPSTREAM_KEY}, {HIDDEN}, org-abcdefghijklmnop1234"
    event = {"error": {"message": message, "code": "invalid_api_key"}}
    upstream.script = lambda _: sse_reply(b"data: " + json.dumps(event).encode() + b"\n\n")
    answer = running.post("/v1/chat/completions", {**CHAT, "stream": True})
    assert (answer.status, answer.json()["error"]["code"]) == (502, "upstream_auth")
    for secret in (UPSTREAM_KEY, HIDDEN, "org-abcdefghijklmnop1234"):
        assert secret.encode() not in answer.body
        assert not any(secret in line for line in running.stderr())


def test_a_refusal_does_not_echo_the_channels_headers(running: Running, upstream: Upstream) -> None:
    upstream.script = lambda _: json_reply({"error": {"message": f"bad header {HIDDEN}"}}, 400)
    answer = running.post("/v1/chat/completions", CHAT)
    assert answer.status == 400
    assert HIDDEN.encode() not in answer.body


def test_a_stream_of_its_end_alone_is_a_failure_and_costs_nothing(
    running: Running, upstream: Upstream
) -> None:
    upstream.script = lambda _: sse_reply(b"data: [DONE]\n\n")
    answer = running.post("/v1/chat/completions", {**CHAT, "stream": True})
    record = running.records()[-1]
    assert answer.status == 502
    assert (record["settlement"], record["usage_source"]) == ("failed", "none")


def test_a_comment_before_a_failure_costs_nothing(running: Running, upstream: Upstream) -> None:
    upstream.script = lambda _: sse_reply(b": ping\n\n", cut=True)
    running.post("/v1/chat/completions", {**CHAT, "stream": True})
    assert running.records()[-1]["usage_source"] == "none"


def test_half_a_surrogate_in_a_code_costs_no_log_line(running: Running, upstream: Upstream) -> None:
    upstream.script = lambda _: Reply(400, body=b'{"error":{"message":"x","code":"a\\ud800b"}}')
    answer = running.post("/v1/chat/completions", CHAT, headers={"x-request-id": "surrogate-1"})
    assert answer.status == 400
    time.sleep(0.3)
    assert any("surrogate-1" in line for line in running.stderr())


def test_a_pin_and_the_proxy_route_stay_inside_the_policy(
    running: Running, upstream: Upstream
) -> None:
    upstream.script = whole
    other = running.post("/v1/chat/completions", CHAT, key=f"{ADMIN}-other")
    model = running.post("/v1/chat/completions", {**CHAT, "model": "second"}, key=f"{ADMIN}-up")
    proxy = running.post("/v1/oneapi/proxy/other/chat/completions", CHAT, key=ADMIN)
    codes = [a.json()["error"]["code"] for a in (other, model, proxy)]
    assert codes == ["channel_not_allowed", "model_not_allowed", "channel_not_allowed"]


def test_the_proxy_route_uses_no_key_that_has_ended(running: Running, upstream: Upstream) -> None:
    upstream.script = whole
    assert running.post("/v1/oneapi/proxy/up/chat/completions", CHAT, key=ADMIN).status == 200
    assert upstream.received[-1].header("authorization") == f"Bearer {UPSTREAM_KEY}"


def test_a_doubled_member_does_not_reach_the_provider(running: Running, upstream: Upstream) -> None:
    before = len(upstream.received)
    body = b'{"model":"m","messages":[],"temperature":2,"temperature":0}'
    assert running.post("/v1/chat/completions", body).status == 400
    assert running.post("/v1/chat/completions", b'{"model":"m","Model":"x"}').status == 400
    assert len(upstream.received) == before


def test_basic_credentials_do_not_hide_a_key(running: Running, upstream: Upstream) -> None:
    upstream.script = whole
    headers = {"authorization": "Basic dTpw", "x-api-key": KEY}
    assert running.post("/v1/chat/completions", CHAT, headers=headers, key=None).status == 200


def test_an_unknown_models_name_is_not_kept(running: Running) -> None:
    running.get("/v1/models/" + "x" * 5000)
    assert running.records()[-1]["model"] == ""


def test_keyless_subnets_do_not_open_the_gateway_behind_an_unknown_proxy(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script = whole
    text = configuration(upstream.url)
    text += '[server]\nanonymous = "lan"\n[policies.lan]\nsubnets = ["127.0.0.0/8"]\n'
    with gateway(tmp_path, text) as open_one:
        assert open_one.post("/v1/chat/completions", CHAT, key=None).status == 200
        for mark in ("x-forwarded-for", "via", "x-forwarded-ssl"):
            answer = open_one.post("/v1/chat/completions", CHAT, key=None, headers={mark: "1.1 x"})
            assert answer.status == 401
