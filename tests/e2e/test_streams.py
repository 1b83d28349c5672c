"""Streams chunk by chunk, clients that leave, requests that are cancelled, readers that stop."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import pytest

from tests.e2e.harness import (
    REPO,
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
from tests.e2e.talk import ASK, CHAT, DONE, REPLY, STREAM, head, sse, streaming

USAGE = sse(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9})
WANTS = {**STREAM, "stream_options": {"include_usage": True}}
ALIAS = {**STREAM, "model": "fast"}


def toml(upstream: str) -> str:
    return (
        f'[channels.up]\ntype = "openai-compatible"\nbase_url = "{upstream}/v1"\n'
        'keys = ["up-key-0123456789"]\nmodels = ["m", "tts-1"]\n'
        '[models.fast]\nroutes = [{ channel = "up", model = "m" }]\n' + people()
    )


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with scripted_upstream(lambda _: json_reply(REPLY)) as found:
        yield found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Running]:
    with gateway(tmp_path_factory.mktemp("streams"), toml(upstream.url)) as found:
        yield found


def last(running: Running, endpoint: str = "chat") -> dict[str, Any]:
    return next(r for r in reversed(running.records()) if r["endpoint"] == endpoint)


def oneapi(running: Running, *words: str) -> subprocess.CompletedProcess[str]:
    """A verb of the command line beside the running gateway."""
    command = [sys.executable, "-m", "oneapi", *words, "--config", str(running.config)]
    env = {**os.environ, "PYTHONPATH": str(REPO)}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=20, check=False)


@pytest.mark.parametrize("asked", [STREAM, ALIAS], ids=["byte lane", "edit lane"])
def test_the_first_event_is_here_before_the_second_is_sent(
    running: Running, upstream: Upstream, asked: dict[str, Any]
) -> None:
    upstream.script = lambda _: sse_reply(sse("one"), hang=True)
    with streaming(running.port, asked, timeout_s=5) as live:
        assert b'"one"' in live.event()


def test_a_comment_passes_at_once(running: Running, upstream: Upstream) -> None:
    upstream.script = lambda _: sse_reply(b": keep-alive\n\n", hang=True)
    with streaming(running.port, STREAM, timeout_s=5) as live:
        assert live.event() == b": keep-alive\n\n"


def test_events_keep_their_pace(running: Running, upstream: Upstream) -> None:
    upstream.script = lambda _: sse_reply(sse("one"), 0.3, sse("two"), 0.3, sse("three"), DONE)
    moments: list[float] = []
    with streaming(running.port, STREAM) as live:
        while live.event():
            moments.append(time.monotonic())
    assert len(moments) == 4
    assert moments[1] - moments[0] > 0.15
    assert moments[2] - moments[1] > 0.15


def test_a_stream_passes_to_the_letter(running: Running, upstream: Upstream) -> None:
    odd = b': hi\n\nevent: x\nid: 7\ndata: {"choices":[{"delta":{"content":"\\u00e9"}}],'
    odd += b'"n":1.0E+2}\n\n'
    upstream.script = lambda _: sse_reply(odd[:50], 0.01, odd[50:], USAGE, DONE)
    assert running.post(CHAT, WANTS).body == odd + USAGE + DONE


def test_a_stream_with_crlf_passes_to_the_letter(running: Running, upstream: Upstream) -> None:
    text = (sse("one") + USAGE + DONE).replace(b"\n", b"\r\n")
    upstream.script = lambda _: sse_reply(*(text[i : i + 7] for i in range(0, len(text), 7)))
    assert running.post(CHAT, WANTS).body == text
    assert (last(running)["input"], last(running)["output"]) == (7, 2)


def test_the_usage_chunk_is_withheld_from_who_did_not_ask(
    running: Running, upstream: Upstream
) -> None:
    upstream.script = lambda _: sse_reply(sse("one") + USAGE + DONE)
    assert running.post(CHAT, STREAM).body == sse("one") + DONE
    assert upstream.received[-1].json()["stream_options"] == {"include_usage": True}
    record = last(running)
    assert (record["input"], record["output"], record["usage_source"]) == (7, 2, "upstream")


def test_text_and_the_end_in_one_chunk_are_both_relayed_and_the_end_waits_for_the_record(
    running: Running, upstream: Upstream
) -> None:
    upstream.script = lambda _: sse_reply(sse("one") + sse("two") + DONE)
    with streaming(running.port, STREAM) as live:
        assert live.rest() == sse("one") + sse("two") + DONE
        assert last(running)["settlement"] == "complete"


def test_what_follows_the_end_is_not_waited_for(running: Running, upstream: Upstream) -> None:
    upstream.script = lambda _: sse_reply(sse("one") + DONE, hang=True)
    started = time.monotonic()
    assert running.post(CHAT, STREAM).body == sse("one") + DONE
    assert time.monotonic() - started < 3


def test_an_alias_answers_under_its_own_name_in_every_chunk(
    running: Running, upstream: Upstream
) -> None:
    upstream.script = lambda _: sse_reply(sse("one"), sse("two") + sse('"model": "m"') + DONE)
    body = running.post(CHAT, ALIAS).body
    assert body == (sse("one") + sse("two") + sse('"model": "m"') + DONE).replace(
        b'"model": "m", "choices"', b'"model": "fast", "choices"'
    )
    assert upstream.received[-1].json()["model"] == "m"
    record = last(running)
    assert (record["model"], record["served_model"]) == ("fast", "m")


@pytest.mark.parametrize("asked", [ASK, STREAM], ids=["plain", "streamed"])
def test_a_client_that_leaves_takes_the_upstream_call_with_it(
    running: Running, upstream: Upstream, asked: dict[str, Any]
) -> None:
    gone, before = upstream.gone, len(running.records())
    if asked is ASK:
        upstream.script = lambda _: Reply(200, hang=True)
        with socket.create_connection(("127.0.0.1", running.port)) as sock:
            body = json.dumps(dict(ASK)).encode()
            sock.sendall(head(CHAT, f"Content-Length: {len(body)}") + body)
            time.sleep(0.1)
    else:
        upstream.script = lambda _: sse_reply(sse("one two three four five six"), hang=True)
        with streaming(running.port, STREAM) as live:
            live.event()
    assert until(lambda: upstream.gone == gone + 1, 1.0)
    assert until(lambda: len(running.records()) == before + 1, 1.0)
    record = last(running)
    assert (record["status"], record["settlement"]) == (499, "client_left")
    assert record["usage_source"] == ("none" if asked is ASK else "estimated")
    assert (record["output"] >= 5) == (asked is not ASK)


def test_a_client_that_leaves_during_its_upload_leaves_a_record(running: Running) -> None:
    before = len(running.records())
    with socket.create_connection(("127.0.0.1", running.port)) as sock:
        sock.sendall(head(CHAT, "Content-Length: 1000") + b'{"model":')
    assert until(lambda: len(running.records()) == before + 1, 2.0)
    assert (last(running)["status"], last(running)["attempts"]) == (499, 0)


def test_an_admin_sees_a_stream_and_cancels_it_in_band(
    running: Running, upstream: Upstream
) -> None:
    upstream.script = lambda _: sse_reply(sse("one"), hang=True)
    with streaming(running.port, STREAM, headers={"X-Request-Id": "my.id-1"}) as live:
        live.event()
        (shown,) = [
            json.loads(line) for line in oneapi(running, "ps", "--json").stdout.splitlines()
        ]
        assert (shown["request_id"], shown["channel"], shown["stream"]) == ("my.id-1", "up", True)
        done = oneapi(running, "cancel", "my.id-1")
        error = json.loads(live.rest().removeprefix(b"data: "))["error"]
    assert (done.returncode, done.stdout) == (0, "cancelled my.id-1\n")
    assert error["code"] == "request_cancelled"
    assert "my.id-1" in error["message"]
    record = last(running)
    assert (record["settlement"], record["error_code"]) == ("cancelled", "request_cancelled")
    assert record["usage_source"] == "estimated"


def test_an_admin_cancels_a_plain_request(running: Running, upstream: Upstream) -> None:
    upstream.script = lambda _: Reply(200, hang=True)
    gone = upstream.gone
    body = json.dumps(dict(ASK)).encode()
    lines = (f"Content-Length: {len(body)}", "X-Request-Id: plain-1")
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as sock:
        sock.sendall(head(CHAT, *lines) + body)
        assert until(lambda: oneapi(running, "cancel", "plain-1").returncode == 0)
        answer = sock.recv(65536)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"request_cancelled" in answer
    assert b"x-should-retry: false" in answer
    assert until(lambda: upstream.gone == gone + 1, 1.0)


def test_cancelling_what_does_not_run_fails_in_words(running: Running) -> None:
    done = oneapi(running, "cancel", "nothing")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "oneapi: no request 'nothing' is under way\n"


def test_a_cancelled_sound_is_cut_and_not_ended_by_text(
    running: Running, upstream: Upstream
) -> None:
    audio = (("content-type", "audio/mpeg"),)
    upstream.script = lambda _: Reply(200, audio, [b"one", 0.05, b"two", 0.05], hang=True)
    asked = {"model": "tts-1", "input": "hello", "voice": "alloy"}
    named = {"X-Request-Id": "sound-1"}
    with streaming(running.port, asked, path="/v1/audio/speech", headers=named) as live:
        assert oneapi(running, "cancel", "sound-1").returncode == 0
        with pytest.raises(Exception, match="IncompleteRead"):
            live.rest()
    assert last(running, "speech")["settlement"] == "cancelled"


class Endless(Sequence[bytes | float]):
    """`size` events of 64 KB, made as they are sent; `sent` says how many were asked for."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sent = 0
        self._event = sse("x" * 65_400)

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(index, slice) or index >= self.size:
            raise IndexError
        self.sent = index + 1
        return self._event


def resident_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("this system has no /proc")
    found = re.search(r"VmRSS:\s+(\d+) kB", status.read_text())
    assert found
    return int(found[1])


@contextlib.contextmanager
def slow_reader(port: int) -> Iterator[socket.socket]:
    """A client with a small buffer that has asked for a stream and reads nothing yet."""
    body = json.dumps(dict(STREAM)).encode()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
        sock.settimeout(20)
        sock.connect(("127.0.0.1", port))
        sock.sendall(head(CHAT, f"Content-Length: {len(body)}") + body)
        yield sock


def test_a_reader_that_stops_pauses_the_upstream_and_memory_stays_flat(
    running: Running, upstream: Upstream
) -> None:
    flood = Endless(3200)  # 200 MB
    upstream.script = lambda _: (
        sse_reply(*())
        if flood.sent
        else Reply(200, (("content-type", "text/event-stream"),), flood)
    )
    before_kb = resident_kb(running.process.pid)
    with slow_reader(running.port) as sock:
        assert until(lambda: flood.sent > 8)
        time.sleep(0.7)
        stuck = flood.sent
        time.sleep(0.5)
        assert flood.sent == stuck  # nothing moves
        assert stuck * 65_536 < 20_000_000  # what the kernel's buffers hold, and little more
        assert resident_kb(running.process.pid) - before_kb < 20_000
        read = 0
        while read < 30_000_000:  # it goes on where it stopped
            read += len(sock.recv(1_000_000))
        assert flood.sent > stuck
    assert until(lambda: last(running)["settlement"] == "client_left", 3.0)
    assert flood.sent < flood.size
    assert resident_kb(running.process.pid) - before_kb < 20_000
