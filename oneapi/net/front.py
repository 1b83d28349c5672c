"""The door for clients: listening sockets, an ASGI application behind them, and an orderly end.

HTTP/1.1 is served by `net.http1`; TLS that agreed on HTTP/2 goes to hypercorn (`net.h2`). One
`Front` lives on one event loop. The application is run as one task a request and cancelled when its
client leaves before the answer is complete.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneapi.net.http1 import Http1
from oneapi.net.shared import ASGIApp, ClientGone, Common, FrontLimits

if TYPE_CHECKING:
    from oneapi.net.h2 import Http2

__all__ = ["ASGIApp", "ClientGone", "Front", "FrontLimits", "bind", "tls_context"]

BACKLOG = 2048
_GRACE_S = 5.0  # for what applications do after they were cancelled, settling included


class Front:
    """Serves `app` on any number of listeners."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: FrontLimits = FrontLimits(),  # noqa: B008  (frozen)
        server_header: bytes | None = None,
    ) -> None:
        line = b"server: %b\r\n" % server_header if server_header else b""
        self._common = Common(app, limits, line)
        self._servers: list[asyncio.Server] = []
        self._h2: Http2 | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> int:
        return len(self._common.peers)

    @property
    def requests_in_flight(self) -> int:
        return len(self._common.running)

    async def listen(
        self, sockets: Sequence[socket.socket], ssl_context: ssl.SSLContext | None = None
    ) -> None:
        """Accept on `sockets`, which `bind` made; may be called several times."""
        loop = asyncio.get_running_loop()
        adopt = self._http2().adopt if ssl_context is not None else None
        handshake_s = self._common.limits.head_s if ssl_context is not None else None
        for sock in sockets:
            # asyncio sets TCP_NODELAY only where the listener names its protocol; connections
            # inherit it. Without it the second write of an answer waits 40 ms for a delayed
            # acknowledgement.
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = await loop.create_server(
                lambda: Http1(self._common, adopt),
                sock=sock,
                ssl=ssl_context,
                backlog=BACKLOG,
                ssl_handshake_timeout=handshake_s,
            )
            self._servers.append(server)
        if self._sweeper is None:
            self._sweep()

    def _http2(self) -> Http2:
        """HTTP/2 comes over TLS alone; without it, hypercorn's 150 ms of imports are not spent."""
        from oneapi.net.h2 import Http2

        if self._h2 is None:
            self._h2 = Http2(self._common)
        return self._h2

    def _sweep(self) -> None:
        """One timer for all connections: a timer for each request would cost more than the
        request's head.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        for peer in tuple(self._common.peers):
            peer.sweep(now)
        self._sweeper = loop.call_later(_tick(self._common.limits), self._sweep)

    async def drain(self, deadline_s: float) -> int:
        """Stop accepting, let running requests finish, cancel those left after `deadline_s`
        seconds. Returns how many were cancelled.
        """
        self._stop_accepting()
        if self._h2 is not None:
            await self._h2.drain()
        for peer in tuple(self._common.peers):
            peer.drain()
        await self._emptied(deadline_s)
        left = len(self._common.running)
        await self._end()
        return left

    async def abort(self) -> None:
        """End now: every connection is dropped, every application cancelled."""
        self._stop_accepting()
        for peer in tuple(self._common.peers):
            peer.abort()
        await self._end()

    def _stop_accepting(self) -> None:
        # Not `wait_closed`: from Python 3.12 on it waits for the connections.
        for server in self._servers:
            server.close()
        self._common.draining = True

    async def _emptied(self, timeout_s: float) -> None:
        common = self._common
        try:
            async with asyncio.timeout(timeout_s):
                while common.peers or common.running:
                    common.stirred.clear()
                    await common.stirred.wait()
        except TimeoutError:
            pass

    async def _end(self) -> None:
        for request in tuple(self._common.running):
            request.cut()
        tasks = [r.task for r in self._common.running if r.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=_GRACE_S)
        for peer in tuple(self._common.peers):
            peer.abort()
        await self._emptied(_GRACE_S)
        if self._sweeper is not None:
            self._sweeper.cancel()


def _tick(limits: FrontLimits) -> float:
    """Seconds between looks at the clock: a fifth of the shortest limit, between 20 ms and a
    second.
    """
    shortest = min(limits.head_s, limits.idle_s, limits.body_idle_s, limits.send_idle_s)
    return min(1.0, max(0.02, shortest / 5))


def tls_context(cert: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 or later, HTTP/2 offered first. Raises `OSError` (`ssl.SSLError` included) for bad
    files.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # What HTTP/2 allows of TLS 1.2 (RFC 9113, 9.2.2).
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.load_cert_chain(cert, key)
    return context


def bind(host: str, port: int) -> list[socket.socket]:
    """Listening sockets for `host`: one for each address the name has, both families for "" and
    `::`.

    Port 0 takes a free one, the same for all addresses. Raises `OSError` with its `errno`
    (`EADDRINUSE` for a taken port, `socket.gaierror` for an unknown name). An address family this
    machine lacks is left out.
    """
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    lacking: OSError | None = None
    for family, _, _, _, address in dict.fromkeys(found):
        port = sockets[0].getsockname()[1] if sockets else port
        try:
            sockets.append(_listener(family, (address[0], port, *address[2:]), dual=host == "::"))
        except OSError as error:
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                _close_all(sockets)
                raise
            lacking = error
    if lacking is not None and not sockets:
        raise lacking
    return sockets


def _listener(family: int, address: tuple[Any, ...], *, dual: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual)
        sock.setblocking(False)
        sock.bind(address)
        # Here and not first in the event loop: of two sockets on one port, `listen` refuses the
        # second.
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _close_all(sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        sock.close()
