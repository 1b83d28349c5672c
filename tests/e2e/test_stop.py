"""Stopping: streams are finished, newcomers refused, and a second signal ends it now."""

from __future__ import annotations

import http.client
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import (
    Running,
    Upstream,
    gateway,
    people,
    scripted_upstream,
    sse_reply,
    until,
)
from tests.e2e.talk import CHAT, DONE, STREAM, head, read_answer, sse, streaming


def toml(upstream: str, drain_s: float = 30) -> str:
    return (
        f"[server]\ndrain_s = {drain_s}\n"
        f'[channels.up]\ntype = "openai-compatible"\nbase_url = "{upstream}/v1"\n'
        f'keys = ["up-key"]\nmodels = ["m"]\n{people()}'
    )


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with scripted_upstream(lambda _: sse_reply(sse("one"), 1.0, sse("two"), DONE)) as found:
        yield found


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_finishes_what_runs_and_takes_nothing_new(
    tmp_path: Path, upstream: Upstream, number: int
) -> None:
    with (
        gateway(tmp_path, toml(upstream.url)) as running,
        socket.create_connection(("127.0.0.1", running.port)) as idle,
        streaming(running.port, STREAM) as live,
    ):
        idle.sendall(head("/healthz", method="GET"))
        assert read_answer(idle).status == 200
        live.event()
        running.process.send_signal(number)
        assert until(lambda: refused(running.port), 0.9)
        assert running.process.poll() is None
        assert live.rest() == b"".join((sse("two"), DONE))
        assert running.process.wait(3) == 0
        assert idle.recv(1) == b""  # a kept connection is not a request
        assert not (tmp_path / "oneapi.db-wal").exists()  # nothing is left to be recovered
        record = running.records()[-1]
        assert (record["settlement"], record["status"]) == ("complete", 200)
    assert any("1 requests may finish within 30 s" in line for line in running.stderr())
    assert not list(tmp_path.glob("*.sock"))


def assert_cut(running: Running, seconds: float) -> None:
    """The one stream ends within this time, its record says so, and the exit is in order."""
    began = time.monotonic()
    assert running.process.wait(seconds + 5) == 0
    assert time.monotonic() - began < seconds
    record = running.records()[-1]
    assert record["settlement"] != "complete"
    assert record["usage_source"] == "estimated"
    assert "Traceback" not in "\n".join(running.stderr())


def test_a_second_signal_ends_it_now(tmp_path: Path, upstream: Upstream) -> None:
    upstream.script = lambda _: sse_reply(sse("one two three"), hang=True)
    with gateway(tmp_path, toml(upstream.url)) as running, streaming(running.port, STREAM) as live:
        live.event()
        running.process.send_signal(signal.SIGTERM)
        assert until(lambda: refused(running.port), 2)
        running.process.send_signal(signal.SIGTERM)
        assert_cut(running, 2.0)
        with pytest.raises((http.client.HTTPException, OSError)):
            live.rest()


def test_a_drain_is_bounded(tmp_path: Path, upstream: Upstream) -> None:
    upstream.script = lambda _: sse_reply(sse("one two three"), hang=True)
    with (
        gateway(tmp_path, toml(upstream.url, drain_s=0.3)) as running,
        streaming(running.port, STREAM) as live,
    ):
        live.event()
        running.process.send_signal(signal.SIGTERM)
        assert_cut(running, 2.5)
        with pytest.raises((http.client.HTTPException, OSError)):
            live.rest()


def test_readyz_says_no_while_it_drains(tmp_path: Path, upstream: Upstream) -> None:
    upstream.script = lambda _: sse_reply(sse("one"), 0.5, DONE)
    with (
        gateway(tmp_path, toml(upstream.url)) as running,
        socket.create_connection(("127.0.0.1", running.port)) as kept,
        streaming(running.port, STREAM) as live,
    ):
        kept.sendall(f"POST {CHAT} HTTP/1.1\r\nHost: x\r\n".encode())  # half a head: it stays
        live.event()
        running.process.send_signal(signal.SIGTERM)
        assert until(lambda: refused(running.port), 0.4)
        kept.sendall(b"Content-Length: 0\r\n\r\n")
        answer = read_answer(kept)
        assert answer.status in (401, 503)
        assert answer.headers["connection"] == "close"
        live.rest()
        assert running.process.wait(3) == 0
