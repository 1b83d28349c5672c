"""Many requests in one instant: every connection is open before the first byte goes out.

answers = salvo(ports, [request(key, body) for …])
assert sum(answer.status == 200 for answer in answers) == 10
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

JSON = Any
CHAT: Final = "/v1/chat/completions"
PATIENCE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Shot:
    """One request as bytes, and the port it goes to."""

    port: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """Its answer; `status` 0 where none came. Header names are in lower case; `whole` says that
    the body came to its end.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool

    def json(self) -> JSON:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error's code, "" for an answer that is none."""
        if self.status == 200:
            return ""
        return str(self.json().get("error", {}).get("code"))


def shot(port: int, key: str, body: JSON, *, path: str = CHAT, request_id: str = "salvo-0") -> Shot:
    """A POST of JSON."""
    text = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {key}\r\nx-request-id: {request_id}\r\n"
        f"content-length: {len(text)}\r\nconnection: close\r\n\r\n"
    )
    return Shot(port, head.encode() + text)


def salvo(shots: Sequence[Shot]) -> list[Heard]:
    """Fire them all at once and hear every answer, in their order."""
    return asyncio.run(_salvo(shots))


async def _salvo(shots: Sequence[Shot]) -> list[Heard]:
    ends = await asyncio.gather(
        *(asyncio.open_connection("127.0.0.1", one.port, limit=2**20) for one in shots)
    )
    try:
        for (_, writer), one in zip(ends, shots, strict=True):
            writer.write(one.raw)
        async with asyncio.timeout(PATIENCE_S):
            return list(await asyncio.gather(*(_hear(reader) for reader, _ in ends)))
    finally:
        for _, writer in ends:
            writer.close()


async def _hear(reader: asyncio.StreamReader) -> Heard:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return Heard(0, {}, b"", False)
    first, *lines = head[:-4].split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body, whole = await _body(reader, headers)
    return Heard(int(first.split()[1]), headers, body, whole)


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> tuple[bytes, bool]:
    got = b""
    try:
        if "content-length" in headers:
            return await reader.readexactly(int(headers["content-length"])), True
        while size := int(await reader.readuntil(b"\r\n"), 16):
            got += (await reader.readexactly(size + 2))[:-2]
    except (asyncio.IncompleteReadError, ConnectionError):
        return got, False
    return got, True
