"""TLS with HTTP/1.1 and HTTP/2: the same answers over every wire."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.commands import started
from tests.e2e.harness import KEY, Upstream, people, scripted_upstream, sse_reply, until
from tests.e2e.talk import ASK, CHAT, DONE, STREAM, sse


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a self-signed certificate for localhost."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the openssl command is not installed")
    made = tmp_path_factory.mktemp("tls")
    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", "key.pem", "-out", "cert.pem", "-days", "2"]
    subprocess.run([openssl, *new, *files, *subject], check=True, capture_output=True, cwd=made)
    return made


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with scripted_upstream(lambda _: sse_reply(sse("one"), sse("two"), DONE)) as found:
        yield found


@pytest.fixture(scope="module")
def address(folder: Path, upstream: Upstream) -> Iterator[str]:
    (folder / "oneapi.toml").write_text(
        '[server.tls]\ncert = "cert.pem"\nkey = "key.pem"\n'
        f'[channels.up]\ntype = "openai-compatible"\nbase_url = "{upstream.url}/v1"\n'
        f'keys = ["up-key"]\nmodels = ["m"]\n{people()}'
    )
    with started(folder, "--port", "0") as running:
        mark = "listening on https://127.0.0.1:"
        assert until(lambda: mark in running.err()), running.err()
        yield "https://127.0.0.1:" + running.err().partition(mark)[2].split()[0]


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def client(request: pytest.FixtureRequest, folder: Path, address: str) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
    head = {"authorization": f"Bearer {KEY}"}
    http2 = request.param == "HTTP/2"
    with httpx.Client(
        http2=http2, verify=context, base_url=address, headers=head, trust_env=False
    ) as found:
        assert found.get("/healthz").http_version == request.param
        yield found


def test_a_stream_comes_over_tls(client: httpx.Client) -> None:
    answer = client.post(CHAT, json=dict(STREAM))
    assert (answer.status_code, answer.content) == (200, sse("one") + sse("two") + DONE)
    assert answer.headers["content-type"] == "text/event-stream"


def test_the_first_event_is_here_before_the_second_is_sent(
    client: httpx.Client, upstream: Upstream
) -> None:
    old, gone = upstream.script, upstream.gone
    upstream.script = lambda _: sse_reply(sse("one"), hang=True)
    with client.stream("POST", CHAT, json=dict(STREAM), timeout=5) as live:
        assert next(live.iter_bytes()) == sse("one")
    upstream.script = old
    client.close()  # of HTTP/2 too, where httpx does not reset the stream that it leaves
    assert until(lambda: upstream.gone == gone + 1, 2)


def test_errors_are_the_same(client: httpx.Client) -> None:
    answer = client.post(CHAT, json={**ASK, "model": "nobody"}, headers={"x-request-id": "r-1"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (404, "r-1")
    assert answer.json()["error"]["code"] == "model_not_found"
    broken = client.post(CHAT, content=b" " * 100_000)
    assert (broken.status_code, broken.json()["error"]["code"]) == (400, "invalid_json")


def test_plain_http_on_a_tls_port_harms_nobody(address: str, client: httpx.Client) -> None:
    port = int(address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not sock.recv(100).startswith(b"HTTP/1.1 200")
    assert client.get("/").text == "Ollama is running"
