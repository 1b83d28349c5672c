"""The harness itself: a gateway process, a scripted upstream, a ledger."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import (
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

CHAT = "/v1/chat/completions"
ASK = {"model": "m", "messages": [{"role": "user", "content": "x"}]}


def toml(upstream: Upstream) -> str:
    return (
        f'[channels.up]\ntype = "openai-compatible"\nbase_url = "{upstream.url}/v1"\n'
        f'keys = ["up-key"]\nmodels = ["m"]\n{people()}'
    )


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with scripted_upstream(lambda _: json_reply({})) as found:
        yield found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Running]:
    with gateway(tmp_path_factory.mktemp("gateway"), toml(upstream)) as found:
        yield found


def test_a_request_reaches_the_upstream_and_the_ledger(
    running: Running, upstream: Upstream
) -> None:
    upstream.script = lambda _: json_reply({"model": "m", "choices": [], "usage": {}})
    answer = running.post(CHAT, ASK)
    assert answer.status == 200
    assert upstream.received[-1].path == CHAT
    assert upstream.received[-1].json() == ASK
    assert upstream.received[-1].header("authorization") == "Bearer up-key"
    assert running.records()[-1]["channel"] == "up"


def test_a_cut_stream_ends_short(running: Running, upstream: Upstream) -> None:
    chunk = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'
    upstream.script = lambda _: sse_reply(chunk, 0.05, cut=True)
    try:
        answer = running.post(CHAT, {**ASK, "stream": True})
    except http.client.HTTPException:
        return
    assert b"[DONE]" not in answer.body


def test_a_saved_file_is_taken(running: Running, upstream: Upstream) -> None:
    upstream.script = lambda _: Reply(200, body=b'{"choices":[]}')
    running.rewrite(toml(upstream).replace('["m"]', '["m", "other"]'))
    assert running.post(CHAT, {**ASK, "model": "other"}).status == 200


def test_a_killed_gateway_keeps_its_ledger(tmp_path: Path, upstream: Upstream) -> None:
    upstream.script = lambda _: json_reply({"choices": []})
    with gateway(tmp_path, toml(upstream)) as mortal:
        assert mortal.post(CHAT, ASK).status == 200
        mortal.kill()
        assert len(mortal.records()) == 1


def test_a_hanging_upstream_sees_the_client_leave(running: Running, upstream: Upstream) -> None:
    upstream.script = lambda _: sse_reply(b": hello\n\n", hang=True)
    gone = upstream.gone
    with pytest.raises(TimeoutError):
        running.post(CHAT, {**ASK, "stream": True}, timeout_s=0.5)
    assert until(lambda: upstream.gone == gone + 1)
