"""The seam between the relay and whatever carries its calls to a provider.

Two carriers implement it: `net.upstream.Pool`, HTTP/1.1 over llhttp, for direct connections; and
`net.proxied.ProxiedPool`, httpx as installed, where a channel goes through an HTTP or SOCKS5 proxy.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a connection goes: `scheme` is http or https; `host` is a name or an address without
    brackets.
    """

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> bytes:
        """The `host` header's value: the port is left out where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host.encode() if self.port == default else f"{host}:{self.port}".encode()


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `first_byte` runs from the sent request to the answer's head, `idle` between
    chunks of either body.
    """

    connect: float = 5.0
    first_byte: float = 600.0
    idle: float = 120.0


@dataclass(slots=True)
class Call:
    """One request to a provider.

    `target` is path and query as they go on the wire; `headers` have lower-case names and hold
    neither `host` nor a length: the carrier adds both. A `body` of bytes goes out with its
    length; an iterator goes out as it comes, with `content_length` where that is known and
    chunked where it is None.
    """

    method: bytes
    target: bytes
    headers: Headers
    body: bytes | AsyncIterator[bytes] = b""
    content_length: int | None = None


class Reply(Protocol):
    """A provider's answer, its head read, its body still on the wire.

    `headers` have lower-case names. Whoever holds a reply calls `aclose` in the end, whatever
    happened: it is idempotent, gives the connection back when the body was read to its end, and
    closes it otherwise.
    """

    status: int
    headers: Headers

    async def chunk(self) -> bytes:
        """The next bytes of the body as they came, b"" at its end. Raises `CarrierError` when it
        breaks.
        """
        ...

    async def read(self, limit: int) -> bytes:
        """The rest of the body. Raises `CarrierError` (`too_large`) when it is longer than
        `limit` bytes.
        """
        ...

    async def aclose(self) -> None: ...


class Carrier(Protocol):
    """Carries calls to origins. Safe for any number of tasks on one event loop."""

    async def send(self, origin: Origin, call: Call, timeouts: Timeouts) -> Reply:
        """Send the call and wait for the answer's head. 1xx answers are skipped, redirects are
        not followed.

        Raises `CarrierError`. Cancelling it, or the reader of the reply, closes the connection at
        once. A kept-alive connection that turns out dead before any byte of an answer came is
        replaced by a new one, once and only when the body is bytes.
        """
        ...

    async def aclose(self) -> None: ...


class CarrierError(Exception):
    """The call failed on its way. `reason` is one of REASONS; `sent` says whether the request
    may have left us.

    The text names the origin's host and what happened, never the path, the query or a header.
    """

    REASONS = (
        "connect",  # refused, unreachable, name not found, TLS failed
        "connect_timeout",
        "first_byte_timeout",
        "idle_timeout",
        "closed",  # the peer closed before its answer was complete
        "protocol",  # not HTTP, or an answer that breaks its rules
        "too_large",
    )

    def __init__(self, reason: str, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.reason = reason
        self.sent = sent

    @classmethod
    def at(cls, origin: Origin, reason: str, text: str, *, sent: bool = True) -> CarrierError:
        """The error with the origin's host before its text."""
        return cls(reason, f"{origin.host}: {text}", sent=sent)


async def read_whole(reply: Reply, limit: int, origin: Origin) -> bytes:
    """What `Reply.read` promises, by `chunk` and `aclose`."""
    chunks: list[bytes] = []
    while chunk := await reply.chunk():
        chunks.append(chunk)
        limit -= len(chunk)
        if limit < 0:
            await reply.aclose()
            raise CarrierError.at(origin, "too_large", "the answer is longer than allowed")
    return b"".join(chunks)
