"""Reading an answer off a direct connection, and leaving it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator

import pytest

from oneapi.net.base import Call, CarrierError, Timeouts
from tests.net.peers import (
    GET,
    LONG,
    SHORT,
    SHORT_S,
    Peer,
    Reader,
    Writer,
    answering,
    answering_and_closing,
    cancelled,
    fetch,
    on_both_loops,
    peer,
    pool,
)

pytestmark = [pytest.mark.anyio, on_both_loops]


async def test_chunks_come_as_they_arrive() -> None:
    go_on = asyncio.Event()

    async def script(there: Peer, reader: Reader, writer: Writer) -> None:
        await there.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        await go_on.wait()
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")
        await there.until_left(reader)

    async with peer(script) as there, pool() as through:
        reply = await through.send(there.origin, GET, LONG)
        assert await reply.chunk() == b"one"
        go_on.set()
        assert [await reply.chunk(), await reply.chunk(), await reply.chunk()] == [b"two", b"", b""]


async def test_what_arrived_together_comes_as_one_chunk() -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    )
    async with peer(answering(answer)) as there, pool() as through:
        reply = await through.send(there.origin, GET, LONG)
        assert await reply.chunk() == b"onetwo"


async def test_a_reader_that_sleeps_pauses_the_peer() -> None:
    total, written = 50_000_000, 0

    async def flood(there: Peer, reader: Reader, writer: Writer) -> None:
        nonlocal written
        await there.request(reader)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        while written < total:
            writer.write(b"x" * 50_000)
            await writer.drain()
            written += 50_000
        await there.until_left(reader)

    async with peer(flood) as there, pool() as through:
        reply = await through.send(there.origin, GET, LONG)
        before = -1
        while written != before:  # until the peer cannot write any more
            before = written
            await asyncio.sleep(0.1)
        # 256 KB of ours, one read beyond it, and the kernel's two buffers.
        assert written < 15_000_000
        size = 0
        while chunk := await reply.chunk():
            assert len(chunk) <= 600_000
            size += len(chunk)
        assert (size, through.idle_count()) == (total, 1)


async def test_a_paused_reader_is_not_timed_out() -> None:
    body = b"x" * 5_000_000
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    async with peer(answering(answer)) as there, pool() as through:
        reply = await through.send(there.origin, GET, SHORT)
        await asyncio.sleep(2 * SHORT_S)
        assert await reply.read(len(body)) == body


async def test_reading_stops_at_the_limit() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 900_000
    async with peer(answering(answer)) as there, pool() as through:
        reply = await through.send(there.origin, GET, LONG)
        with pytest.raises(CarrierError) as caught:
            await reply.read(1000)
        assert caught.value.reason == "too_large"
        await asyncio.wait_for(there.left.wait(), 2)


@pytest.mark.parametrize("tail", [b"zz\r\n", b"0\r\n" + b"x-trailer: 1\r\n" * 50_000])
async def test_a_body_that_breaks_is_delivered_up_to_there(tail: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n" + tail
    async with peer(answering(answer)) as there, pool() as through:
        reply = await through.send(there.origin, GET, LONG)
        assert await reply.chunk() == b"one"
        with pytest.raises(CarrierError) as caught:
            await reply.chunk()
        assert caught.value.reason == "protocol"
        await reply.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\none",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n",
    ],
)
async def test_a_peer_that_leaves_in_its_body_has_closed(answer: bytes) -> None:
    async with peer(answering_and_closing(answer)) as there, pool() as through:
        reply = await through.send(there.origin, GET, LONG)
        assert await reply.chunk() == b"one"
        with pytest.raises(CarrierError) as caught:
            await reply.chunk()
        assert caught.value.reason == "closed"


async def test_a_body_that_stops_is_an_idle_timeout() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\none"
    async with peer(answering(answer)) as there, pool() as through:
        reply = await through.send(there.origin, GET, Timeouts(first_byte=5, idle=SHORT_S))
        assert await reply.chunk() == b"one"
        with pytest.raises(CarrierError) as caught:
            await reply.chunk()
        assert caught.value.reason == "idle_timeout"
        await asyncio.wait_for(there.left.wait(), 2)


async def test_idle_time_counts_from_the_last_chunk() -> None:
    async def slow(there: Peer, reader: Reader, writer: Writer) -> None:
        await there.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
        for _ in range(5):
            await asyncio.sleep(0.045)
            writer.write(b"x")
        await there.until_left(reader)

    async with peer(slow) as there, pool() as through:
        times = Timeouts(first_byte=5, idle=0.15)
        assert await fetch(through, there.origin, GET, times) == (200, b"xxxxx")


async def test_a_cancelled_call_closes_its_connection_at_once() -> None:
    async with peer(answering(b"")) as there, pool() as through:
        await cancelled(there, fetch(through, there.origin))


async def test_a_cancelled_reader_closes_its_connection_at_once() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\none"
    async with peer(answering(answer)) as there, pool() as through:
        reply = await through.send(there.origin, GET, LONG)
        assert await reply.chunk() == b"one"
        reading = asyncio.create_task(reply.chunk())
        await asyncio.sleep(0.02)
        reading.cancel()
        await asyncio.wait_for(there.left.wait(), 0.5)
        with pytest.raises(asyncio.CancelledError):
            await reading


async def test_a_cancelled_upload_closes_its_connection_and_leaves_the_iterator_at_rest() -> None:
    async def endless() -> AsyncGenerator[bytes, None]:
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0.005)

    async with peer(answering(b"")) as there, pool() as through:
        body = endless()
        call = asyncio.create_task(fetch(through, there.origin, Call(b"POST", b"/", (), body)))
        await there.spoken_to.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(there.left.wait(), 0.5)
        await body.aclose()


async def test_a_reply_closed_early_closes_its_connection() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\none"
    async with peer(answering(answer)) as there, pool() as through:
        reply = await through.send(there.origin, GET, LONG)
        await reply.aclose()
        await reply.aclose()
        await asyncio.wait_for(there.left.wait(), 0.5)
        assert through.open_count() == 0
