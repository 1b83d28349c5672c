"""A client process that asks one gateway again and again, through its deaths, and tells in the end
what it saw completed.

    python -m tests.e2e.money.client '{"port": 3000, "key": …, "name": …, "clients": 8, "asks": …}'

Ends when its standard input does; prints `{"completed": {request id: status}, "cut": n}`. A request
that was cut is never sent again: each id is used once, so that a record is about one request.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

JSON = Any
DONE = b"data: [DONE]\n\n"
ANSWER_S = 30.0


@dataclass
class Crew:
    """So many connections, each with one request after the other; `asks` are bodies in turn."""

    port: int
    key: str
    name: str
    clients: int
    asks: Sequence[JSON]
    completed: dict[str, int] = field(default_factory=dict)
    cut: int = 0
    stopping: bool = False

    async def run(self) -> None:
        stdin = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
        tasks = [asyncio.create_task(self._client(number)) for number in range(self.clients)]
        await stdin.read()
        self.stopping = True
        await asyncio.gather(*tasks)

    async def _client(self, number: int) -> None:
        turns = iter(range(10**9))
        while not self.stopping:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.05)  # it is dead, and comes back
                continue
            try:
                while not self.stopping:
                    turn = next(turns)
                    request_id = f"{self.name}-{number}-{turn}"
                    ask = self.asks[(number + turn) % len(self.asks)]
                    writer.write(self._request(request_id, ask))
                    async with asyncio.timeout(ANSWER_S):
                        await self._hear(request_id, reader)
            except (OSError, asyncio.IncompleteReadError, ValueError):
                self.cut += 1
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    def _request(self, request_id: str, ask: JSON) -> bytes:
        body = json.dumps(ask).encode()
        return (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
            b"content-type: application/json\r\nauthorization: Bearer %b\r\n"
            b"x-request-id: %b\r\ncontent-length: %d\r\n\r\n%b"
        ) % (self.key.encode(), request_id.encode(), len(body), body)

    async def _hear(self, request_id: str, reader: asyncio.StreamReader) -> None:
        """One answer to its end; a stream that ends without `[DONE]` is not completed."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head[9:12])
        body = await _body(head, reader)
        if b"text/event-stream" not in head or body.endswith(DONE):
            self.completed[request_id] = status
        else:
            self.cut += 1
        if status != 200:
            await asyncio.sleep(0.05)  # as a client that has been refused, only sooner


async def _body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    if b"content-length:" in head:
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        return await reader.readexactly(length)
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body = (body + (await reader.readexactly(size + 2))[:-2])[-200:]
    await reader.readexactly(2)
    return body


def main() -> None:
    crew = Crew(**json.loads(sys.argv[1]))
    asyncio.run(crew.run())
    print(json.dumps({"completed": crew.completed, "cut": crew.cut}))


if __name__ == "__main__":
    main()
