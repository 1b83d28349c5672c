"""A load of chat completions that costs a fraction of any gateway: asyncio and llhttp, no client.

    python -m tests.bench.load URL [--key K] [--model M] [--connections N] [--seconds S]
                               [--requests N] [--stream] [--usage]

Every connection sends its next request when its last answer is complete (closed loop). When time
is up no request is cut off: the load waits for the answers under way, so that a ledger can be
compared with `Result.sent` exactly. An answer counts as good only if its status is 200 and its
body is whole: its length or its last HTTP chunk arrived, JSON ends as JSON, a stream ends with
[DONE].
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import httptools
import uvloop

_DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send to which whole `url`; it ends after `requests` or `seconds`."""

    url: str
    key: str = "sk-none"
    model: str = "bench-model"
    connections: int = 1
    seconds: float = 3.0
    requests: int | None = None
    stream: bool = False
    usage: bool = False


@dataclass(slots=True)
class Result:
    """What went out and came back, in seconds; `elapsed_s` ends with the last answer."""

    sent: int = 0
    ok: int = 0
    events: int = 0
    elapsed_s: float = 0.0
    latencies: list[float] = field(default_factory=list)
    first_chunks: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        return self.errors.total()

    @property
    def requests_per_s(self) -> float:
        return self.ok / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def events_per_s(self) -> float:
        return self.events / self.elapsed_s if self.elapsed_s else 0.0

    def latency_ms(self, percent: float) -> float:
        return percentile(self.latencies, percent) * 1000

    def first_chunk_ms(self, percent: float) -> float:
        return percentile(self.first_chunks, percent) * 1000


def percentile(values: list[float], percent: float) -> float:
    """The nearest-rank percentile, NaN of nothing."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def count_events(body: bytes) -> int:
    """Server-sent data events in a whole stream; comments and [DONE] do not count."""
    starts = body.count(b"\n\ndata:") + body.startswith(b"data:")
    return starts - body.endswith(_DONE)


async def run(plan: Plan, *, connect_s: float = 10.0, patience_s: float = 30.0) -> Result:
    """Opens every connection, then starts the clock. Raises `OSError` where the address refuses.

    Answers that are still missing `patience_s` after the end of the time count as errors.
    """
    shared = _Run(plan)
    async with asyncio.timeout(connect_s):
        connections = [await _open(shared) for _ in range(plan.connections)]
    started = time.perf_counter()
    shared.until = started + plan.seconds
    for connection in connections:
        connection.next()
    try:
        async with asyncio.timeout(plan.seconds + patience_s):
            await shared.idle.wait()
    except TimeoutError:
        shared.give_up()
    shared.result.elapsed_s = shared.last_answer - started
    for connection in shared.open:
        connection.close()
    return shared.result


class _Run:
    """What the connections of one load share."""

    __slots__ = (
        "busy",
        "host",
        "idle",
        "last_answer",
        "left",
        "open",
        "plan",
        "port",
        "request",
        "result",
        "until",
    )

    def __init__(self, plan: Plan) -> None:
        parts = urlsplit(plan.url)
        self.plan, self.result = plan, Result()
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.request = _render_request(plan, parts.path, parts.netloc)
        self.left = plan.requests if plan.requests is not None else -1
        self.until = 0.0
        self.last_answer = 0.0
        self.busy = plan.connections
        self.idle = asyncio.Event()
        self.open: set[_Connection] = set()

    def take(self, now: float) -> bool:
        """Whether another request is due; a connection that is told no is done."""
        if self.left != 0 and now < self.until:
            self.left -= 1
            self.result.sent += 1
            return True
        self.finish()
        return False

    def give_up(self) -> None:
        self.last_answer = time.perf_counter()
        for connection in self.open:
            connection.give_up("no answer in time")

    def finish(self) -> None:
        self.busy -= 1
        if self.busy == 0:
            self.idle.set()


class _Connection(asyncio.Protocol):
    """One socket of the load; llhttp calls the `on_…` methods."""

    __slots__ = (
        "_body", "_first", "_parser", "_run", "_sent", "_task", "_transport", "_waiting", "on_body",
    )  # fmt: skip

    def __init__(self, shared: _Run) -> None:
        self._run = shared
        self._transport: asyncio.Transport
        self._body: list[bytes] = []
        # A list's own append is the cheapest callback there is, for 200 chunks a stream.
        self.on_body = self._body.append
        self._first = self._sent = 0.0
        self._waiting = False
        self._task: asyncio.Task[None] | None = None
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not a check: uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._run.open.add(self)

    def next(self) -> None:
        now = time.perf_counter()
        if self._run.take(now):
            self._sent, self._first, self._waiting = now, 0.0, True
            self._transport.write(self._run.request)

    def close(self) -> None:
        self._transport.close()

    def give_up(self, reason: str) -> None:
        if self._waiting:
            self._fail(reason)

    def data_received(self, data: bytes) -> None:
        if not self._waiting:
            self._break("bytes nobody asked for")
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._break(f"bad HTTP: {type(error).__name__}")
            return
        if self._body and not self._first:
            self._first = time.perf_counter()

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.open.discard(self)
        if self._waiting:
            self._fail("closed in the body" if self._body else "closed before the answer")
            self._reopen()

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        body = b"".join(self._body)
        self._body.clear()
        self._waiting = False
        self._run.last_answer = now
        result = self._run.result
        problem = self._problem(body)
        if problem:
            result.errors[problem] += 1
        else:
            self._count(result, body, now)
        if self._parser.should_keep_alive():
            self.next()
        else:
            self.close()
            self._reopen()

    def _problem(self, body: bytes) -> str:
        status = self._parser.get_status_code()
        if status != 200:
            return f"status {status}"
        if self._run.plan.stream:
            return "" if body.endswith(_DONE) else "stream without [DONE]"
        return "" if body.startswith(b"{") and body.rstrip().endswith(b"}") else "not a JSON object"

    def _count(self, result: Result, body: bytes, now: float) -> None:
        result.ok += 1
        result.latencies.append(now - self._sent)
        if self._run.plan.stream:
            result.events += count_events(body)
            result.first_chunks.append((self._first or now) - self._sent)

    def _break(self, reason: str) -> None:
        """The peer broke the protocol: what it sends from here on means nothing."""
        if self._waiting:
            self._fail(reason)
            self._reopen()
        else:
            self._run.result.errors[reason] += 1
        self._transport.abort()

    def _fail(self, reason: str) -> None:
        self._waiting = False
        self._run.last_answer = time.perf_counter()
        self._run.result.errors[reason] += 1

    def _reopen(self) -> None:
        self._task = asyncio.create_task(_replace(self._run))


async def _open(shared: _Run) -> _Connection:
    loop = asyncio.get_running_loop()
    address = shared.host, shared.port
    _, connection = await loop.create_connection(lambda: _Connection(shared), *address)
    return connection


async def _replace(shared: _Run) -> None:
    """A new connection for one that ended; where none can be had the load goes on with one less."""
    try:
        connection = await _open(shared)
    except OSError as error:
        shared.result.errors[f"no connection: {type(error).__name__}"] += 1
        shared.finish()
        return
    connection.next()


def _render_request(plan: Plan, path: str, host: str) -> bytes:
    value: dict[str, object] = {
        "model": plan.model,
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "What is one and one, and why? Answer in one paragraph."},
        ],
        "temperature": 0.7,
    }
    if plan.stream:
        value["stream"] = True
    if plan.stream and plan.usage:
        value["stream_options"] = {"include_usage": True}
    body = json.dumps(value, separators=(",", ":")).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {plan.key}\r\n"
        f"content-type: application/json\r\naccept: */*\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _parse_flags() -> Plan:
    flags = argparse.ArgumentParser(description="Load for a chat completions address.")
    flags.add_argument("url")
    flags.add_argument("--key", default="sk-none")
    flags.add_argument("--model", default="bench-model")
    flags.add_argument("--connections", type=int, default=1)
    flags.add_argument("--seconds", type=float, default=3.0)
    flags.add_argument("--requests", type=int)
    flags.add_argument("--stream", action="store_true")
    flags.add_argument("--usage", action="store_true")
    return Plan(**vars(flags.parse_args()))


def _print(result: Result) -> None:
    print(f"{result.requests_per_s:,.0f} requests/s, {result.ok} good in {result.elapsed_s:.2f} s")
    print(f"latency ms: p50 {result.latency_ms(50):.2f}, p99 {result.latency_ms(99):.2f}")
    if result.events:
        print(f"{result.events_per_s:,.0f} events/s")
        print(
            f"first chunk ms: p50 {result.first_chunk_ms(50):.2f}, "
            f"p99 {result.first_chunk_ms(99):.2f}"
        )
    for reason, times in result.errors.most_common():
        print(f"ERROR {times} x {reason}")


if __name__ == "__main__":
    _print(uvloop.run(run(_parse_flags())))
