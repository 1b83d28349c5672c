"""A silent stream is kept alive, and nothing is sent twice."""

from __future__ import annotations

import asyncio

from oneapi.gateway.heartbeat import Heartbeat
from oneapi.net.base import Headers


class Recorder:
    """A client that writes down what it gets."""

    begun = False

    def __init__(self) -> None:
        self.got: list[str] = []

    async def begin(self, status: int, headers: Headers) -> None:
        await asyncio.sleep(0)
        self.got.append(f"begin {status}")

    async def write(self, data: bytes) -> None:
        await asyncio.sleep(0)
        self.got.append(data.decode())

    async def finish(self, data: bytes = b"") -> None:
        self.got.append(f"finish {data.decode()}")

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        self.got.append(f"answer {status}")


async def beat(seconds: float) -> tuple[Recorder, Heartbeat]:
    client = Recorder()
    heartbeat = Heartbeat(client, b"ping", [], 0.02)
    await asyncio.sleep(seconds)
    return client, heartbeat


def test_a_fast_answer_is_not_preceded_by_a_ping() -> None:
    async def run() -> list[str]:
        client, heartbeat = await beat(0)
        await heartbeat.begin(200, [])
        await heartbeat.write(b"text")
        await asyncio.sleep(0.05)
        return client.got

    assert asyncio.run(run()) == ["begin 200", "text"]


def test_a_slow_answer_begins_with_pings_and_one_head() -> None:
    async def run() -> list[str]:
        client, heartbeat = await beat(0.05)
        await heartbeat.begin(200, [])
        await heartbeat.finish(b"end")
        return client.got

    got = asyncio.run(run())
    assert got[0] == "begin 200"
    assert got[1:-1] == ["ping"] * (len(got) - 2)
    assert len(got) >= 4
    assert got[-1] == "finish end"


def test_no_ping_follows_a_stop() -> None:
    async def run() -> tuple[list[str], list[str]]:
        client, heartbeat = await beat(0.03)
        await heartbeat.stop()
        before = list(client.got)
        await asyncio.sleep(0.05)
        return before, client.got

    before, after = asyncio.run(run())
    assert before == after
