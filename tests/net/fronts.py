"""What the tests of the front share: a front on a free port, raw clients, small applications."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from oneapi.net.front import Front, bind
from oneapi.net.shared import ASGIApp, FrontLimits, Message, Receive, Scope, Send

HEAD = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


@asynccontextmanager
async def serving(
    app: ASGIApp, limits: FrontLimits | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Front, int]]:
    front = Front(app, limits=limits or FrontLimits())
    sockets = bind("127.0.0.1", 0)
    await front.listen(sockets, tls)
    try:
        yield front, sockets[0].getsockname()[1]
    finally:
        await front.abort()


def trusting(*protocols: str) -> ssl.SSLContext:
    """A client's TLS context that trusts anybody and offers `protocols`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(protocols)
    return context


@dataclass
class Answer:
    status: int
    headers: dict[bytes, bytes]
    body: bytes


class Client:
    """A raw connection. Whatever is awaited fails after five seconds."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, *, bodyless: bool = False) -> Answer:
        async with asyncio.timeout(5):
            head = await self.reader.readuntil(b"\r\n\r\n")
            first, *lines = head[:-4].split(b"\r\n")
            headers = dict(line.split(b": ", 1) for line in lines)
            body = b"" if bodyless else await self._body(headers)
            return Answer(int(first.split(b" ")[1]), headers, body)

    async def _body(self, headers: dict[bytes, bytes]) -> bytes:
        if b"content-length" in headers:
            return await self.reader.readexactly(int(headers[b"content-length"]))
        if b"transfer-encoding" not in headers:
            return await self.reader.read()
        parts = []
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            parts.append((await self.reader.readexactly(size + 2))[:-2])
        await self.reader.readexactly(2)
        return b"".join(parts)

    async def rest(self) -> bytes:
        """Everything until the server closes. A reset counts as a close."""
        data = b""
        try:
            async with asyncio.timeout(5):
                while chunk := await self.reader.read(65_536):
                    data += chunk
        except ConnectionResetError:
            pass
        return data

    async def closed(self) -> bool:
        return not await self.rest()


@asynccontextmanager
async def connected(port: int, data: bytes = b"") -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except OSError:
            pass


async def ask(port: int, data: bytes) -> Answer:
    async with connected(port, data) as client:
        return await client.answer()


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes = b"", more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def read_body(receive: Receive) -> bytes:
    data, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client left")
        data += message["body"]
        more = message["more_body"]
    return data


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with method, target and body, one a line."""
    data = await read_body(receive)
    target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    await send(start())
    await send(body(b"%b %b\n%b" % (scope["method"].encode(), target, data)))


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers without looking at the request."""
    await send(start())
    await send(body(b"hello"))


class Waiter:
    """An application that waits until it is told to answer, and tells what became of it."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        self.started.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        await hello(scope, receive, send)
