"""What the parts of the front share: the ASGI types, its limits, and the books of what runs."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_HIGH = 262_144  # bytes of a body that wait for the application before reading is paused
DRAIN_MAX = 65_536  # bytes of a body nobody read that are taken off the wire to keep a connection


@dataclass(frozen=True, slots=True)
class FrontLimits:
    """Sizes in bytes, times in seconds, for every client connection."""

    head_bytes: int = 65_536
    head_s: float = 10.0  # for a whole head after its first byte, and for a TLS handshake
    idle_s: float = 75.0  # keep-alive without a request
    body_idle_s: float = 30.0  # between chunks of a body while the application waits for it
    write_high: int = 262_144  # the transport's high-water mark
    send_idle_s: float = 120.0  # a reader that takes nothing for this long is dropped


_SECRET = re.compile(r"(?<=/key/)[^/?]+|sk-[0-9A-Za-z_-]{8,}", re.IGNORECASE)


def shown(path: str) -> str:
    """A path as it may be written down: a key that stands in it, rightly or not, is masked."""
    return _SECRET.sub("***", path)


class ClientGone(OSError):
    """The client left; raised by `send`, so that an application that goes on writing stops."""


class Running(Protocol):
    """A request whose application runs; `net.h2` has its own kind."""

    task: asyncio.Task[None] | None

    def cut(self) -> None:
        """Cancel the application because the server stops."""


class Peer(Protocol):
    """A client's connection, as the front looks after it."""

    def sweep(self, now: float) -> None:
        """Act on the time-outs that passed at `now`, a time of the event loop's clock."""

    def drain(self) -> None:
        """Close when the running request is answered, at once where there is none."""

    def abort(self) -> None: ...


@dataclass(slots=True)
class Common:
    """What all connections of one front share. Owned by the `Front`; touched on its event loop
    only.
    """

    app: ASGIApp
    limits: FrontLimits
    server_line: bytes = b""
    draining: bool = False
    running: set[Running] = field(default_factory=set)
    peers: set[Peer] = field(default_factory=set)
    # Set when a peer or a request ended.
    stirred: asyncio.Event = field(default_factory=asyncio.Event)

    def ended(self, request: Running) -> None:
        self.running.discard(request)
        self.stirred.set()

    def left(self, peer: Peer) -> None:
        self.peers.discard(peer)
        self.stirred.set()


def error_body(
    message: str, *, code: str = "bad_request", kind: str = "invalid_request_error"
) -> bytes:
    """An error as OpenAI's clients read it."""
    error = {"message": message, "type": kind, "param": None, "code": code}
    return json.dumps({"error": error}).encode()
