"""Keys in the path, for programs that can send no header: everywhere, when allowed, never shown."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import oneapi
from tests.e2e.harness import (
    KEY,
    Answer,
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
from tests.e2e.talk import CHAT, REPLY, error_of, head, raw

JSON = Any
SECRET = "sk-" + "path" * 12
WRONG = "sk-" + "wron" * 12
ADMIN = "sk-" + "admi" * 12
CHAT_BODY = {"model": "m", "messages": [{"role": "user", "content": "1+1?"}]}
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "1+1?"}]}]}
DEMO = {"model": "demo", "input": "x"}

RELAYED: dict[str, JSON] = {
    "/v1/chat/completions": CHAT_BODY,
    "/chat/completions": CHAT_BODY,
    "/openai/v1/chat/completions": CHAT_BODY,
    "/openai/deployments/m/chat/completions": CHAT_BODY,
    "/v1/completions": {"model": "demo", "prompt": "x"},
    "/v1/embeddings": DEMO,
    "/v1/engines/demo/embeddings": DEMO,
    "/v1/moderations": DEMO,
    "/v1/responses": DEMO,
    "/v1/responses/input_tokens": DEMO,
    "/v1/responses/compact": DEMO,
    "/v1/messages": {**CHAT_BODY, "max_tokens": 9},
    "/v1/messages/count_tokens": CHAT_BODY,
    "/anthropic/v1/messages": {**CHAT_BODY, "max_tokens": 9},
    "/v1beta/models/m:generateContent": CONTENTS,
    "/v1/models/m:generateContent": CONTENTS,
    "/v1beta/models/m:countTokens": CONTENTS,
    "/api/chat": {**CHAT_BODY, "stream": False},
    "/api/generate": {"model": "m", "prompt": "x", "stream": False},
    "/api/embed": DEMO,
    "/api/show": {"model": "demo"},
}
LOOKED_UP = (
    "/v1/models",
    "/models/m",
    "/v1beta/models",
    "/v1beta/models/m",
    "/api/tags",
    "/api/ps",
    "/api/version",
    "/",
    "",
)


def configuration(upstream: str) -> str:
    return (
        '[server]\nkey_attempts_per_minute = 40\n[logs]\nlevel = "debug"\n'
        '[channels.up]\ntype = "openai-compatible"\nmodels = ["m"]\ndiscover = false\n'
        f'base_url = "{upstream}/v1"\n'
        '[channels.demo]\ntype = "mock"\nmodels = ["demo"]\n'
        + people()
        + people(name="path", key=SECRET, policy="in_path = true")
        + people(
            name="admin", key=ADMIN, role="admin", policy='endpoints = ["proxy"]\nin_path = true'
        )
    )


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with scripted_upstream(lambda _: json_reply(REPLY)) as found:
        yield found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Running]:
    with gateway(tmp_path_factory.mktemp("gateway"), configuration(upstream.url)) as found:
        yield found


def post(running: Running, secret: str, path: str, body: JSON) -> Answer:
    return running.post(f"/key/{secret}{path}", body, key=None)


@pytest.mark.parametrize("path", RELAYED)
def test_every_relayed_path_takes_a_key(running: Running, path: str) -> None:
    answer = post(running, SECRET, path, RELAYED[path])
    assert answer.status == 200, answer.body
    record = running.records()[-1]
    assert (record["user"], record["token"]) == ("path", "path")


@pytest.mark.parametrize("path", LOOKED_UP)
def test_every_look_up_takes_a_key(running: Running, path: str) -> None:
    answer = running.get(f"/key/{SECRET}{path}", key=None)
    assert answer.status == 200, answer.body


def test_a_stored_answer_is_found_below_a_key(running: Running) -> None:
    made = post(running, SECRET, "/v1/responses", DEMO).json()
    answer = running.get(f"/key/{SECRET}/v1/responses/{made['id']}", key=None)
    assert answer.json() == made


def test_the_proxy_route_gets_what_follows_the_key(running: Running, upstream: Upstream) -> None:
    running.get(f"/key/{ADMIN}/v1/oneapi/proxy/up/some%2Fthing?x=1", key=None)
    assert upstream.received[-1].target == "/v1/some%2Fthing?x=1"


def test_it_is_off_by_default(running: Running) -> None:
    for path in ("/v1/chat/completions", "/api/chat", "/v1/messages"):
        answer = post(running, KEY, path, RELAYED[path])
        assert answer.status == 403
        assert b"in_path" in answer.body
        assert KEY[3:].encode() not in answer.body
    assert running.get(f"/key/{KEY}/v1/models", key=None).status == 403
    assert running.records()[-1]["error_code"] == "key_in_path_not_allowed"


def test_a_key_in_the_path_is_the_one_that_counts(running: Running) -> None:
    answer = running.post(f"/key/{SECRET}{CHAT}", CHAT_BODY, key=KEY)
    assert (answer.status, running.records()[-1]["token"]) == (200, "path")


def test_a_browser_may_ask_first(running: Running) -> None:
    lines = ("Origin: https://app.test", "Access-Control-Request-Method: POST")
    answer = raw(running.port, head(f"/key/{SECRET}{CHAT}", *lines, method="OPTIONS", key=None))
    assert answer.status == 204


def test_what_is_wrong_below_a_key_is_told_without_it(running: Running) -> None:
    cases = (
        ("GET", f"/key/{SECRET}/v1/nonsense", 404),
        ("GET", f"/key/{SECRET}/api/nonsense", 404),
        ("GET", f"/key/{SECRET}/key/{SECRET}/v1/models", 404),
        ("GET", f"/key%2F{SECRET}/v1/nonsense", 404),
        ("GET", f"/%6Bey/{SECRET}/v1/nonsense", 404),
        ("GET", f"//key/{SECRET}/v1/models", 404),
        ("GET", f"/KEY/{SECRET}/v1/models", 404),
        ("GET", f"/v1/{SECRET}/models", 404),
        ("GET", f"/{SECRET}", 404),
        ("PUT", f"/key/{SECRET}/v1/models", 405),
        ("GET", f"/key/{SECRET}/v1/chat/completions", 405),
        ("GET", f"/key/{SECRET}/v1/files", 501),
        ("POST", f"/key/{SECRET}/api/pull", 403),
        ("POST", f"/key/{SECRET}/v1/chat/completions", 400),
        ("GET", f"/key/{SECRET}/v1/responses", 405),
        ("GET", f"/key/{SECRET}/v1/responses/resp_1", 404),
    )
    for method, path, status in cases:
        answer = running.request(method, path, key=None)
        assert answer.status == status, (path, answer)
        assert SECRET[3:] not in f"{answer.headers}{answer.body!r}", path
    broken = head(f"/key/{SECRET}{CHAT}", "Content-Length: 1", "Content-Length: 2", key=None)
    answer = raw(running.port, broken)
    assert (answer.status, SECRET[3:].encode() in answer.body) == (400, False)


def test_a_request_under_way_is_shown_without_it(running: Running, upstream: Upstream) -> None:
    before = len(upstream.received)
    upstream.script = lambda _: sse_reply(hang=True)
    body = json.dumps({**CHAT_BODY, "stream": True}).encode()
    opening = head(f"/key/{SECRET}{CHAT}", f"Content-Length: {len(body)}", key=None)
    with socket.create_connection(("127.0.0.1", running.port), timeout=5) as sock:
        sock.sendall(opening + body)
        assert until(lambda: len(upstream.received) > before)
        shown = [oneapi(running.folder, "ps", *more) for more in ((), ("--json",))]
    upstream.script = lambda _: json_reply(REPLY)
    for ended in shown:
        assert "path" in ended.stdout
        assert SECRET[3:] not in ended.stdout + ended.stderr


def test_a_provider_that_fails_is_told_of_without_it(running: Running, upstream: Upstream) -> None:
    upstream.script = lambda _: Reply(raw=b"nonsense\r\n\r\n")
    answer = post(running, SECRET, CHAT, CHAT_BODY)
    upstream.script = lambda _: json_reply(REPLY)
    assert answer.status == 502
    assert SECRET[3:].encode() not in answer.body


def test_wrong_keys_are_counted(running: Running) -> None:
    statuses = [post(running, WRONG, CHAT, CHAT_BODY).status for _ in range(41)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert error_of(post(running, WRONG, CHAT, CHAT_BODY))["code"] == "too_many_key_attempts"


def test_no_key_was_written_down_anywhere(running: Running, upstream: Upstream) -> None:
    """Runs last in this file: everything above has left its traces by then."""
    assert running.records()
    running.stop()
    traces = [_bytes(path) for path in running.folder.rglob("*") if path.is_file()]
    received = "".join(f"{r.target}{r.headers}{r.body!r}" for r in upstream.received)
    for key in (SECRET, WRONG, ADMIN, KEY):
        hidden = key[3:].encode()
        assert not [name for name, data in traces if hidden in data]
        assert key[3:] not in received
    assert any(b"/v1/nonsense" in data for _, data in traces)


def _bytes(path: Path) -> tuple[str, bytes]:
    return path.name, path.read_bytes()
