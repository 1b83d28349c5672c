"""Responses inside the application: what socket tests cannot reach, and pings in each dialect."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from oneapi.gateway.relay import Relay
from oneapi.gateway.stored import Kept, Owner, Stored
from tests.e2e.harness import KEY, Upstream, json_reply, people, scripted_upstream, sse_reply
from tests.e2e.talk import DONE, error_of, head, raw, sse
from tests.web.serving import Served, served

JSON = Any
OPENING = sse(choices=[{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}])
FINISH = sse(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
COMMENT = b": ping\n\n"
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "?"}]}]}
MESSAGES = {"model": "m", "messages": [{"role": "user", "content": "?"}], "stream": True}

PINGED: dict[str, tuple[JSON, bytes]] = {
    "/v1/chat/completions": (MESSAGES, COMMENT),
    "/v1/completions": ({"model": "m", "prompt": "?", "stream": True}, COMMENT),
    "/v1/responses": ({"model": "m", "input": "?", "stream": True}, COMMENT),
    "/v1/messages": ({**MESSAGES, "max_tokens": 9}, b'event: ping\ndata: {"type": "ping"}\n\n'),
    "/v1beta/models/m:streamGenerateContent?alt=sse": (CONTENTS, COMMENT),
}
SILENT: dict[str, JSON] = {
    "/api/chat": MESSAGES,
    "/api/generate": {"model": "m", "prompt": "?"},
    "/v1beta/models/m:streamGenerateContent": CONTENTS,
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with scripted_upstream(lambda _: json_reply({})) as found:
        yield found


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Served]:
    text = (
        '[channels.up]\ntype = "openai-compatible"\nmodels = ["m"]\ndiscover = false\n'
        f'base_url = "{upstream.url}/v1"\n'
        + '[channels.demo]\ntype = "mock"\nmodels = ["demo"]\n'
        + people(policy="store_responses = true\nin_path = true")
    )
    with served(tmp_path_factory.mktemp("responses"), text) as found:
        found.gateway.relay = Relay(found.gateway.state, found.gateway.books, ping_every_s=0.08)
        yield found


def post(app: Served, path: str, value: JSON) -> bytes:
    body = json.dumps(value).encode()
    return raw(app.port, head(path, f"Content-Length: {len(body)}", key=KEY) + body).body


@pytest.mark.parametrize("path", PINGED)
def test_a_silent_stream_is_kept_alive_before_its_first_token(
    app: Served, upstream: Upstream, path: str
) -> None:
    value, ping = PINGED[path]
    upstream.script = lambda _: sse_reply(OPENING, 0.3, sse("Hi"), FINISH, DONE)
    body = post(app, path, value)
    count = body.count(ping)
    assert body.startswith(ping * count)
    assert 2 <= count <= 4
    assert b"Hi" in body[len(ping) * count :]


@pytest.mark.parametrize("path", SILENT)
def test_a_stream_that_has_no_comments_stays_silent(
    app: Served, upstream: Upstream, path: str
) -> None:
    upstream.script = lambda _: sse_reply(0.2, sse("Hi"), FINISH, DONE)
    body = post(app, path, SILENT[path])
    assert b"ping" not in body
    assert body.startswith((b"{", b"["))


def test_what_fails_after_a_ping_is_told_inside_the_stream(app: Served, upstream: Upstream) -> None:
    upstream.script = lambda _: sse_reply(0.2, b'data: {"error": {"message": "no"}}\n\n')
    body = post(app, "/v1/responses", PINGED["/v1/responses"][0])
    assert body.startswith(COMMENT)
    last = json.loads(body.rpartition(b"data: ")[2])
    assert last["type"] in ("error", "response.failed")
    assert app.records[-1].status == 200


class Broken(Stored):
    """Fails whatever is asked of it."""

    async def keep(self, owner: Owner, kept: Kept) -> None:
        raise RuntimeError("half-way")

    async def find(self, owner: Owner, name: str, now_ms: int, *, disk: bool) -> Kept | None:
        raise RuntimeError("half-way")


@pytest.fixture
def broken(app: Served) -> Iterator[Served]:
    whole, app.gateway.stored = app.gateway.stored, Broken()
    yield app
    app.gateway.stored = whole


def test_an_answer_that_cannot_be_kept_does_not_end_as_if_it_were(broken: Served) -> None:
    body = {"model": "demo", "input": "x"}
    whole = post(broken, "/v1/responses", body)
    stream = post(broken, "/v1/responses", {**body, "stream": True})
    assert json.loads(whole)["error"]["code"] == "internal_error"
    assert b"response.completed" not in stream
    assert b"internal_error" in stream


def test_a_failure_below_a_key_is_logged_without_it(
    broken: Served, caplog: pytest.LogCaptureFixture
) -> None:
    path = f"/key/{KEY}/v1/responses"
    with caplog.at_level(logging.DEBUG):
        answers = [
            raw(broken.port, head(f"{path}/resp_1", method="GET", key=None)).status,
            json.loads(post(broken, path, {"model": "demo", "input": "x"}))["error"]["code"],
        ]
    assert answers == [500, "internal_error"]
    assert "half-way" in caplog.text
    assert KEY[3:] not in caplog.text


def test_expired_answers_are_gone(app: Served) -> None:
    made = json.loads(post(app, "/v1/responses", {"model": "demo", "input": "x"}))
    url = f"/v1/responses/{made['id']}"
    assert raw(app.port, head(url, method="GET")).status == 200
    now_ms = app.records[-1].time_ms
    app.run(app.gateway.stored.purge(now_ms + 31 * 86_400_000))
    answer = raw(app.port, head(url, method="GET"))
    assert (answer.status, error_of(answer)["code"]) == (404, "response_not_found")
