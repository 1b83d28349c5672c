"""Clients that are slow or stop: told so within the limits, while others are served."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest

from oneapi.net.front import FrontLimits
from tests.e2e.harness import until
from tests.e2e.talk import CHAT, error_of, head, raw, read_answer
from tests.web.serving import Served, served

ASK = json.dumps({"model": "demo", "messages": [{"role": "user", "content": "x"}]}).encode()
GOOD = head(CHAT, f"Content-Length: {len(ASK)}") + ASK
LIMITS = FrontLimits(head_s=0.3, body_idle_s=0.3, idle_s=0.5, send_idle_s=0.5)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("slow"), limits=LIMITS) as found:
        yield found


SLOW = {
    "half a request line": GOOD[:9],
    "half a head": GOOD[:60],
    "a head without its end": head(CHAT, "Content-Length: 5")[:-2],
    "no body": head(CHAT, "Content-Length: 100"),
    "half a body": GOOD[:-10],
    "half a chunk": head(CHAT, "Transfer-Encoding: chunked") + b"40\r\n{",
    "no last chunk": head(CHAT, "Transfer-Encoding: chunked") + b"%x\r\n%b\r\n" % (len(ASK), ASK),
}


@pytest.mark.parametrize("kind", SLOW)
def test_a_slow_sender_is_told_so_and_others_are_served_meanwhile(app: Served, kind: str) -> None:
    with socket.create_connection(("127.0.0.1", app.port), timeout=5) as sock:
        sock.sendall(SLOW[kind])
        assert raw(app.port, GOOD).status == 200
        answer = read_answer(sock)
        assert (answer.status, error_of(answer)["code"]) == (408, "bad_request")
        assert sock.recv(1) == b""
    assert raw(app.port, GOOD).status == 200


def test_a_sender_byte_by_byte_is_no_exception(app: Served) -> None:
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", app.port), timeout=5) as sock:
        sock.settimeout(0.05)
        answer = b""
        for at in range(200):
            try:
                sock.sendall(GOOD[at : at + 1])
                answer += sock.recv(65536)
                break
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < 3


def test_a_slow_form_is_told_so(app: Served) -> None:
    kind = "Content-Type: multipart/form-data; boundary=x"
    opening = head("/v1/audio/transcriptions", kind, "Content-Length: 5000000")
    with socket.create_connection(("127.0.0.1", app.port), timeout=5) as sock:
        sock.sendall(
            opening + b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\ndemo\r\n'
        )
        assert read_answer(sock).status == 408


def test_an_idle_connection_is_closed_without_a_word(app: Served) -> None:
    with socket.create_connection(("127.0.0.1", app.port), timeout=5) as sock:
        sock.sendall(GOOD)
        assert read_answer(sock).status == 200
        assert sock.recv(1) == b""


def test_a_slow_sender_leaves_a_record_and_no_request_under_way(app: Served) -> None:
    before = len(app.records)
    with socket.create_connection(("127.0.0.1", app.port), timeout=5) as sock:
        sock.sendall(SLOW["half a body"])
        read_answer(sock)
    assert until(lambda: len(app.records) > before, 2)
    record = app.records[-1]
    assert (record.settlement, record.attempts, record.user) == ("client_left", 0, "e2e")
    assert not app.gateway.state.flights
