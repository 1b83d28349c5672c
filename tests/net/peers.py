"""What the tests of the carriers share: scripted peers on real sockets, and calls to them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest

from oneapi.net.base import Call, Carrier, Origin, Timeouts
from oneapi.net.upstream import Pool

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Script = Callable[["Peer", Reader, Writer], Awaitable[None]]

SHORT_S = 0.1
SHORT = Timeouts(connect=SHORT_S, first_byte=SHORT_S, idle=SHORT_S)
LONG = Timeouts(connect=5, first_byte=10, idle=10)
GET = Call(b"GET", b"/path?key=secret", ())
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

on_both_loops = pytest.mark.parametrize(
    "anyio_backend",
    [("asyncio", {"use_uvloop": False}), ("asyncio", {"use_uvloop": True})],
    ids=["asyncio", "uvloop"],
)


class Peer:
    """A provider or a proxy that runs `script` once for each connection, and keeps what it was
    asked.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.connections = 0
        self.heads: list[bytes] = []  # in lower case
        self.bodies: list[bytes] = []
        self.asked: list[bytes] = []  # heads and bodies as they came, chunks joined
        self.spoken_to = asyncio.Event()  # a head came
        self.left = asyncio.Event()  # a client closed its connection
        self.tasks: set[asyncio.Task[None]] = set()
        self.origin = Origin("http", "127.0.0.1", 0)

    @property
    def port(self) -> int:
        return self.origin.port

    async def serve(self, reader: Reader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.connections += 1
        try:
            await self.script(self, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            writer.transport.abort()
            self.tasks.discard(task)

    async def request(self, reader: Reader) -> bytes:
        """Read one request whole; its body, chunks joined."""
        raw = await reader.readuntil(b"\r\n\r\n")
        head = raw.lower()
        self.heads.append(head)
        self.spoken_to.set()
        body = b""
        if b"content-length: " in head:
            body = await reader.readexactly(int(head.split(b"content-length: ")[1].split()[0]))
        elif b"transfer-encoding: chunked" in head:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readexactly(2)
        self.bodies.append(body)
        self.asked.append(raw + body)
        return body

    async def until_left(self, reader: Reader) -> None:
        """Until the client closes, by FIN or RST."""
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                pass
        self.left.set()


@contextlib.asynccontextmanager
async def peer(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    there = Peer(script)
    server = await asyncio.start_server(there.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    there.origin = Origin("https" if tls else "http", "127.0.0.1", port)
    try:
        yield there
    finally:
        server.close()
        for task in tuple(there.tasks):
            task.cancel()
        while there.tasks:
            await asyncio.wait(there.tasks)
        await asyncio.sleep(0.005)  # the aborted sockets close


@contextlib.asynccontextmanager
async def pool(**options: Any) -> AsyncIterator[Pool]:
    made = Pool(**options)
    try:
        yield made
    finally:
        await made.aclose()


def answering(*answers: bytes) -> Script:
    """One answer a request on every connection, then wait for the client to leave."""

    async def script(there: Peer, reader: Reader, writer: Writer) -> None:
        for answer in answers:
            await there.request(reader)
            writer.write(answer)
        await there.until_left(reader)

    return script


def answering_and_closing(answer: bytes) -> Script:
    async def script(there: Peer, reader: Reader, writer: Writer) -> None:
        await there.request(reader)
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return script


async def answering_once(there: Peer, reader: Reader, writer: Writer) -> None:
    """Answers the first request of a connection, and leaves without a word at the second."""
    await there.request(reader)
    writer.write(OK)
    await there.request(reader)


async def mute(there: Peer, reader: Reader, writer: Writer) -> None:
    await there.until_left(reader)


async def fetch(
    through: Carrier, origin: Origin, call: Call = GET, timeouts: Timeouts = LONG
) -> tuple[int, bytes]:
    """Status and body."""
    reply = await through.send(origin, call, timeouts)
    try:
        return reply.status, await reply.read(1 << 30)
    finally:
        await reply.aclose()


async def cancelled(there: Peer, calling: Coroutine[None, None, object]) -> None:
    """Cancel a call that waits for `there` to answer; its connection must be closed at once."""
    call = asyncio.create_task(calling)
    await there.spoken_to.wait()
    call.cancel()
    await asyncio.wait_for(there.left.wait(), 0.5)
    with pytest.raises(asyncio.CancelledError):
        await call


async def pieces(*parts: bytes, pause_s: float = 0.0) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(pause_s)
        yield part


async def until(happened: Callable[[], bool]) -> None:
    """Until that of which no event tells has happened. Raises `TimeoutError` after 2 s."""
    async with asyncio.timeout(2):
        while not happened():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
