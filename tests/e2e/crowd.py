"""Many clients at once, plain and streaming, who remember what they saw completed.

Raw asyncio: every request has an id of its own, which the ledger keeps, so that answers and records
can be compared one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

DONE = b"data: [DONE]\n\n"


@dataclass
class Seen:
    """What the clients saw. `completed` maps request ids to the status of a whole answer."""

    completed: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


class Crowd:
    """`clients` connections that send one request after the other until told to stop."""

    def __init__(self, port: int, key: str, *, clients: int, model: str, name: str) -> None:
        self.seen = Seen()
        self._port = port
        self._key = key
        self._clients = clients
        self._model = model
        self._name = name
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[Seen]:
        """In a thread of its own; on leaving, clients finish what they began."""
        thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="crowd")
        thread.start()
        try:
            yield self.seen
        finally:
            self._stop.set()
            thread.join(60)

    async def _run(self) -> None:
        await asyncio.gather(*(self._client(n) for n in range(self._clients)))

    async def _client(self, number: int) -> None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError as error:
            self.seen.failed.append(f"client {number}: {error!r}")
            return
        try:
            await self._talk(number, reader, writer)
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            self.seen.failed.append(f"client {number}: {error!r}")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _talk(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        streams = number % 2 == 0
        turn = 0
        while not self._stop.is_set():
            request_id = f"{self._name}-{number}-{turn}"
            turn += 1
            writer.write(self._request(request_id, streams))
            status, whole = await _answer(reader)
            if not whole or status != 200:
                self.seen.failed.append(f"{request_id}: {status} {'' if whole else 'cut'}")
            if whole:
                self.seen.completed[request_id] = status

    def _request(self, request_id: str, streams: bool) -> bytes:
        body = json.dumps(
            {
                "model": self._model,
                "stream": streams,
                "messages": [{"role": "user", "content": "hello"}],
            }
        ).encode()
        return (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
            b"content-type: application/json\r\nauthorization: Bearer %b\r\n"
            b"x-request-id: %b\r\ncontent-length: %d\r\n\r\n%b"
        ) % (self._key.encode(), request_id.encode(), len(body), body)


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Status of one answer, and whether it is whole; its body is read to the end."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head[9:12])
    if b"content-length:" in head:
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        return status, body.endswith(b"}")
    body = b""
    while True:
        size = int(await reader.readuntil(b"\r\n"), 16)
        body = (body + (await reader.readexactly(size + 2))[:-2])[-200:]
        if not size:
            return status, body.endswith(DONE)
