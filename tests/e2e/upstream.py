"""A provider of any kind: an HTTP/1.1 server on a real socket whose answers a test scripts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

JSON = Any


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came: header names in lower case, `target` with its query."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name.lower()), None)

    def json(self) -> JSON:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `body` as bytes is sent with its length, as a sequence in chunks; a number among
    the chunks is a pause in seconds. `cut` closes the connection where the end of the body should
    come; `hang` sends nothing more and waits until the gateway goes. `raw` replaces the head.
    """

    status: int = 200
    headers: Sequence[tuple[str, str]] = (("content-type", "application/json"),)
    body: bytes | Sequence[bytes | float] = b""
    cut: bool = False
    hang: bool = False
    raw: bytes | None = None

    def head(self) -> bytes:
        if self.raw is not None:
            return self.raw
        lines = [f"HTTP/1.1 {self.status} Scripted"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if isinstance(self.body, bytes):
            length = len(self.body) + (1 if self.cut or self.hang else 0)
            lines.append(f"content-length: {length}")
        else:
            lines.append("transfer-encoding: chunked")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def json_reply(value: JSON, status: int = 200) -> Reply:
    return Reply(status, body=json.dumps(value).encode())


def sse_reply(*chunks: bytes | float, cut: bool = False, hang: bool = False) -> Reply:
    """A stream of server-sent events: whole bytes, `data: ` and blank lines included."""
    return Reply(200, (("content-type", "text/event-stream"),), chunks, cut, hang)


Script = Callable[[Received], Reply]


class Upstream:
    """Answers by `script`, which may be replaced at any time; `received` is what came so far.

    `gone` counts connections that the gateway closed while an answer was paused or hung.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.received: list[Received] = []
        self.gone = 0
        self.port = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        if not self._ready.wait(10):
            raise TimeoutError("the scripted upstream did not start")

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._connection(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=2**20)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._end.wait()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _read(reader):
                self.received.append(request)
                if not await self._answer(self.script(request), reader, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(
        self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Whether the connection goes on."""
        writer.write(reply.head())
        chunked = not isinstance(reply.body, bytes)
        parts = [reply.body] if isinstance(reply.body, bytes) else reply.body
        for part in parts:
            if not isinstance(part, bytes):
                if await self._left(reader, part):
                    return False
            elif part:
                writer.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
                await writer.drain()
        if reply.hang:
            await self._left(reader, 600)
        if reply.cut or reply.hang:
            return False
        if chunked:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        return reply.raw is None

    async def _left(self, reader: asyncio.StreamReader, seconds: float) -> bool:
        """Wait; whether the gateway closed the connection meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                left = not await reader.read(1)
        except TimeoutError:
            return False
        except ConnectionError:
            left = True
        self.gone += left
        return left


@contextlib.contextmanager
def scripted_upstream(script: Script) -> Iterator[Upstream]:
    """A running upstream. The script is called on the upstream's own thread."""
    upstream = Upstream(script)
    upstream.start()
    try:
        yield upstream
    finally:
        upstream.stop()


async def _read(reader: asyncio.StreamReader) -> Received | None:
    """The next request, None at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = tuple(
        (name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)
    )
    body = await _read_body(reader, dict(headers))
    return Received(method, target, headers, body)


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    if "transfer-encoding" not in headers:
        return b""
    parts: list[bytes] = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
    await reader.readexactly(2)
    return b"".join(parts)
