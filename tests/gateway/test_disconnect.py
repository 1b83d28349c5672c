"""However a request ends, it gives back what it was given: permits, seats, holds; and it is settled
once.
"""

from __future__ import annotations

import asyncio
import gc
import http.client
import itertools
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, cast

import pytest

from oneapi.errors import ApiError
from oneapi.gateway.departures import Departures, Leaving
from oneapi.gateway.identify import key_hash
from oneapi.ledger.accounts import Budget
from oneapi.ledger.door import Door
from oneapi.net.shared import ClientGone
from tests.e2e.harness import KEY, people, until
from tests.e2e.upstream import Reply, Upstream, scripted_upstream, sse_reply
from tests.web.serving import Served, served

# asyncio's own: `create_connection` with happy eyeballs loses a socket when it is cancelled in the
# moment in which it connects. uvloop, which serves, does not.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

JSON = Any
TALK: Final = [{"role": "user", "content": "hello"}]
USAGE: Final = {"prompt_tokens": 10, "completion_tokens": 20}


def event(value: JSON) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


DELTA: Final = event({"id": "c", "choices": [{"index": 0, "delta": {"content": "one two"}}]})
END: Final = (
    event({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    + event({"id": "c", "choices": [], "usage": USAGE})
    + b"data: [DONE]\n\n"
)
WHOLE: Final = json.dumps(
    {
        "id": "c",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hi"},
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
    }
).encode()


def toml(url: str) -> str:
    def channel(name: str, more: str) -> str:
        return (
            f'[channels.{name}]\ntype = "openai-compatible"\nbase_url = "{url}/v1"\n'
            f'keys = ["k"]\nmodels = ["{name}", "both"]\ndiscover = false\n'
            f'concurrency = 3\nqueue_s = 0.1\nbudget = "$2/day"\n{more}\n'
        )

    prices = "".join(f"[prices.{n}]\ninput = 1\noutput = 2\n" for n in ("cut", "drain", "both"))
    limits = 'budget = ["$5/day", "1M tokens/day"]\nconcurrency = 6\nqueue_s = 0.2\ntpm = 10000000'
    drains = 'on_disconnect = "drain"\ntimeouts = { idle_s = 1 }'
    return channel("cut", "") + channel("drain", drains) + prices + people(policy=limits)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with scripted_upstream(lambda _: Reply(200, body=WHOLE)) as found:
        yield found


@pytest.fixture
def running(tmp_path: Path, upstream: Upstream) -> Iterator[Served]:
    with served(tmp_path, toml(upstream.url)) as found:
        yield found
    gc.collect()  # what asyncio lost is found here, where it is forgiven


def post(running: Served, value: JSON) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
    head = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(value).encode(), head)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def leave(running: Served, value: JSON, wait_s: float) -> None:
    """Ask, and go without a word after a while."""
    raw = json.dumps(value).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", running.port), timeout=5) as client:
        client.sendall(head.encode() + raw)
        client.settimeout(wait_s)
        try:
            while client.recv(65536):
                pass
        except OSError:
            pass
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def budgets(running: Served) -> list[Budget]:
    snapshot = running.gateway.snapshot
    channels = [b for channel in snapshot.channels.values() for b in channel.budgets]
    return [*snapshot.grants[key_hash(KEY)].caller.budgets, *channels]


def is_quiet(running: Served) -> bool:
    gateway = running.gateway
    idle = not gateway.books.door.open_permits and not gateway.relay.gate.running
    return idle and not gateway.state.flights and not len(gateway.departures)


SCRIPTS: Final = (
    sse_reply(DELTA, 0.05, END),
    sse_reply(DELTA, hang=True),
    sse_reply(DELTA, cut=True),
    sse_reply(0.1, END),
    Reply(500, body=b'{"error":{"message":"no"}}'),
    Reply(429, body=b'{"error":{"message":"no"}}'),
    Reply(200, body=b"<html>"),
    Reply(200, body=WHOLE),
    Reply(200, hang=True),
)


def test_a_storm_of_every_end_leaks_nothing(running: Served, upstream: Upstream) -> None:
    turns = itertools.count()
    upstream.script = lambda _: SCRIPTS[next(turns) % len(SCRIPTS)]

    def one(number: int) -> None:
        model = ("cut", "drain", "both")[number % 3]
        value = {"model": model, "messages": TALK, "max_tokens": 50, "stream": number % 4 > 0}
        leave(running, value, (0.02, 0.08, 0.3)[number % 5 % 3])

    for start in range(0, 60, 12):
        threads = [threading.Thread(target=one, args=(start + n,)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert until(lambda: is_quiet(running)), "something is still held"
    ids = [record.id for record in running.records]
    assert len(ids) == len(set(ids)) > 30  # some leave before they are heard
    running.run(asyncio.sleep(0.1))
    door = running.gateway.books.door
    now = running.records[-1].time_ms
    tokens = sum(r.usage.input_tokens + r.usage.output_tokens for r in running.records)
    money = {name: 0 for name in ("cut", "drain", "")}
    for record in running.records:
        money[record.channel] += record.cost_nanousd or 0
    for budget in budgets(running):
        account = budget.account
        used = tokens if account.unit == "tokens" else money.get(account.name, sum(money.values()))
        assert until(_is_left(door, budget, now, budget.limit - used)), account


def test_the_next_channel_gets_the_hold_of_the_one_that_failed(
    running: Served, upstream: Upstream
) -> None:
    replies = iter([Reply(500, body=b"{}"), Reply(200, body=WHOLE)])
    upstream.script = lambda _: next(replies)
    value = {"model": "both", "messages": TALK, "max_tokens": 50}
    assert post(running, value) == 200
    assert until(lambda: is_quiet(running))
    record = running.records[-1]
    assert record.attempts == 2
    door = running.gateway.books.door
    for name, channel in running.gateway.snapshot.channels.items():
        budget = channel.budgets[0]
        spent = (record.cost_nanousd or 0) if name == record.channel else 0
        assert until(_is_left(door, budget, record.time_ms, budget.limit - spent))


def _is_left(door: Door, budget: Budget, now_ms: int, left: int) -> Callable[[], bool]:
    """Whether so much is left of a budget, as far as it is known."""
    return lambda: door.remaining(budget, now_ms) in (None, left)


def test_an_operator_that_ends_a_request_in_a_queue_frees_its_place(
    running: Served, upstream: Upstream
) -> None:
    upstream.script = lambda _: sse_reply(DELTA, hang=True)
    value = {"model": "cut", "messages": TALK, "max_tokens": 50, "stream": True}
    threads = [threading.Thread(target=leave, args=(running, value, 0.8)) for _ in range(8)]
    for thread in threads:
        thread.start()
    flights = running.gateway.state.flights
    assert until(lambda: len(flights) >= 3)
    while not is_quiet(running):
        for flight in list(flights.values()):
            running.loop.call_soon_threadsafe(flight.cancel, "admin")
        running.run(asyncio.sleep(0.02))
    for thread in threads:
        thread.join()
    assert is_quiet(running)


class Gone:
    """A client that left after so many pieces."""

    begun = False

    def __init__(self, after: int) -> None:
        self.after = after
        self.got: list[bytes] = []

    async def begin(self, status: int, headers: object) -> None:
        self.begun = True

    async def write(self, data: bytes) -> None:
        if len(self.got) >= self.after:
            raise ClientGone("the client left")
        self.got.append(data)

    async def finish(self, data: bytes = b"") -> None:
        await self.write(data)

    async def answer(self, status: int, headers: object, body: bytes) -> None:
        await self.write(body)


def test_what_is_sent_to_a_client_that_left_goes_nowhere() -> None:
    async def work() -> Gone:
        gone = Gone(1)
        client = Leaving(cast(Any, gone))
        await client.begin(200, [])
        for piece in (b"a", b"b", b"c"):
            await client.write(piece)
        await client.finish(b"d")
        assert client.left
        return gone

    assert asyncio.run(work()).got == [b"a"]


def test_calls_that_go_on_are_ended_when_their_time_is_over() -> None:
    async def work() -> list[str]:
        over: list[str] = []
        departures = Departures()
        task = asyncio.create_task(asyncio.sleep(60))
        job = cast(Any, None)
        departures._follow(job, task, lambda: over.append("closed"))
        assert len(departures) == 1
        await departures.ended(0.05)
        assert len(departures) == 0
        return over

    assert asyncio.run(work()) == ["closed"]


def test_an_error_of_a_call_that_goes_on_is_no_bug() -> None:
    async def fails() -> None:
        raise ApiError(502, "no", code="upstream_broke")

    async def work() -> list[str]:
        over: list[str] = []
        departures = Departures()
        task = asyncio.create_task(fails())
        departures._follow(cast(Any, None), task, lambda: over.append("closed"))
        await departures.ended(1)
        return over

    assert asyncio.run(work()) == ["closed"]
