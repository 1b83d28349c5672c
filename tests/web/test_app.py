"""Every route that is not relayed, and what all routes have in common."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from oneapi import __version__
from oneapi.web.refused import FAMILIES
from tests.e2e.harness import Answer, until
from tests.e2e.talk import error_of, head, raw
from tests.web.serving import ADMIN, MOCK, Served, served


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("app"), MOCK) as found:
        yield found


def get(app: Served, path: str, *lines: str, method: str = "GET", key: str | None = None) -> Answer:
    return raw(app.port, head(path, *lines, method=method, key=key))


def test_the_root_speaks_as_ollama_does(app: Served) -> None:
    answer = get(app, "/")
    assert (answer.status, answer.body) == (200, b"Ollama is running")
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/api/status"])
def test_head_is_get_without_its_body(app: Served, path: str) -> None:
    sent = b"HEAD %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path.encode()
    with socket.create_connection(("127.0.0.1", app.port), timeout=5) as sock:
        sock.sendall(sent)
        with sock.makefile("rb") as answers:
            answer = answers.read()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\n")


def test_health_needs_nothing(app: Served) -> None:
    assert (get(app, "/healthz").status, get(app, "/healthz").body) == (200, b"ok")


def test_the_originals_status_has_its_shape(app: Served) -> None:
    found = get(app, "/api/status").json()
    assert (found["success"], found["message"]) == (True, "")
    assert found["data"]["version"] == __version__
    assert found["data"]["quota_per_unit"] == 500_000


@pytest.mark.parametrize("part", sorted(FAMILIES))
@pytest.mark.parametrize("prefix", ["/v1", ""])
def test_what_is_not_offered_is_refused_in_words(app: Served, part: str, prefix: str) -> None:
    for method, path in (("GET", f"{prefix}/{part}"), ("POST", f"{prefix}/{part}/x_1/content")):
        answer = get(app, path, "Content-Length: 0", method=method, key=ADMIN)
        error = error_of(answer)
        assert (answer.status, error["code"]) == (501, "api_not_implemented")
        assert FAMILIES[part] in error["message"]
        assert answer.headers["x-should-retry"] == "false"


def test_what_is_not_offered_asks_for_a_key_first(app: Served) -> None:
    assert get(app, "/v1/files").status == 401


def test_a_refused_family_leaves_a_record_under_its_name(app: Served) -> None:
    get(app, "/v1/threads/t_1/runs", key=ADMIN)
    assert (app.records[-1].endpoint, app.records[-1].status) == ("threads", 501)


def test_an_unknown_address_is_told_without_a_record(app: Served) -> None:
    before = len(app.records)
    answer = get(app, "/v1/nonsense")
    assert error_of(answer)["code"] == "unknown_url"
    assert until(lambda: app.hits[-1].path == "/v1/nonsense", 2)  # written behind the answer
    assert len(app.records) == before
    assert (app.hits[-1].status, app.hits[-1].request_id) == (404, answer.headers["x-request-id"])


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/chat/completions", "POST, OPTIONS"),
        ("DELETE", "/v1/embeddings", "POST, OPTIONS"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("DELETE", "/v1/models/demo", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
        ("GET", "/v1/engines/demo/embeddings", "POST, OPTIONS"),
    ],
)
def test_a_wrong_method_is_told_which_is_right(
    app: Served, method: str, path: str, allow: str
) -> None:
    answer = get(app, path, "Content-Length: 0", method=method, key=ADMIN)
    assert (answer.status, error_of(answer)["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == allow


def test_every_answer_has_an_id_under_both_names(app: Served) -> None:
    for path in ("/", "/healthz", "/readyz", "/metrics", "/nothing", "/v1/models", "/v1/files"):
        headers = get(app, path, "X-Request-Id: mine").headers
        assert headers["x-request-id"] == headers["x-oneapi-request-id"] == "mine"


def test_a_models_name_may_hold_slashes(app: Served) -> None:
    assert get(app, "/v1/models/a/b", key=ADMIN).json()["id"] == "a/b"
    assert get(app, "/v1/models/a%2Fb", key=ADMIN).json()["id"] == "a/b"
    body = json.dumps({"input": "x"}).encode()
    for path in ("/v1/engines/a/b/embeddings", "/engines/a%2Fb/embeddings"):
        opening = head(path, f"Content-Length: {len(body)}", key=ADMIN)
        assert raw(app.port, opening + body).status == 200
        assert app.records[-1].model == "a/b"


def test_models_are_listed_with_their_owner(app: Served) -> None:
    found = {m["id"]: m["owned_by"] for m in get(app, "/v1/models", key=ADMIN).json()["data"]}
    assert found == {"fast": "oneapi", "mapped": "mock", "demo": "mock", "a/b": "mock"}


def test_metrics_are_in_prometheus_text_format(app: Served) -> None:
    get(app, "/v1/models", key=ADMIN)
    answer = get(app, "/metrics", key=ADMIN)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.body.decode().splitlines()
    families = {line.split()[2] for line in lines if line.startswith("# TYPE ")}
    samples = [line for line in lines if not line.startswith("#")]
    assert {line.partition("{")[0].partition(" ")[0] for line in samples} <= families
    assert (
        f'oneapi_info{{version="{__version__}",revision="{app.gateway.snapshot.revision[:12]}"}} 1'
        in samples
    )
    assert 'oneapi_requests_total{endpoint="models",channel="",status="200"}' in str(samples)
    assert "oneapi_requests_in_flight 0" in samples


def test_ready_says_no_while_it_drains(app: Served) -> None:
    app.gateway.draining = True
    try:
        answer = get(app, "/readyz")
        details = get(app, "/readyz", key=ADMIN).json()
    finally:
        app.gateway.draining = False
    assert (answer.status, answer.json()) == (503, {"ready": False})
    assert details["draining"] is True


def test_a_websocket_is_not_taken_for_a_request(app: Served) -> None:
    lines = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    assert get(app, "/v1/realtime", *lines, key=ADMIN).status == 501


VERSION = "anthropic-version: 2023-06-01"


@pytest.mark.parametrize(
    ("method", "path", "line"),
    [
        ("GET", "/v1/messages", ""),
        ("POST", "/v1/messages/batches", ""),
        ("GET", "/v1/models", VERSION),
        ("POST", "/v1/complete", VERSION),
    ],
)
def test_refusals_are_told_in_the_words_of_the_messages_api_to_its_clients(
    app: Served, method: str, path: str, line: str
) -> None:
    lines = [line] if line else []
    answer = get(app, path, *lines, "Content-Length: 0", method=method)
    assert answer.json()["type"] == "error"
    assert answer.status in (401, 404, 405)
    assert ("request-id" in answer.headers) == bool(line)


@pytest.mark.parametrize(
    ("method", "path", "line"),
    [
        ("GET", "/v1beta/models/m:generateContent", ""),
        ("POST", "/upload/v1beta/files", ""),
        ("GET", "/v1/models", "x-goog-api-key: wrong"),
    ],
)
def test_refusals_are_told_in_googles_words_to_its_clients(
    app: Served, method: str, path: str, line: str
) -> None:
    lines = [line] if line else []
    answer = get(app, path, *lines, "Content-Length: 0", method=method)
    assert answer.json()["error"]["code"] == answer.status


def test_a_wrong_method_is_told_in_ollamas_words_below_its_paths(app: Served) -> None:
    assert isinstance(get(app, "/api/chat").json()["error"], str)
