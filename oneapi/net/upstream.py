"""Direct connections to providers: pooled HTTP/1.1 over llhttp (httptools) and asyncio alone.

This is the hot path: a request makes no task, no context manager and no timer, but one future for
each time it really waits. Only a body too large for one write gets a task. What a body means is
nobody's business here.
"""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import ssl

from oneapi.net.base import Call, CarrierError, Origin, Reply, Timeouts
from oneapi.net.connection import Connection, Host
from oneapi.net.reply import NEVER

READ_SIZE = 64 * 1024
ATTEMPT_DELAY_S = 0.25  # RFC 8305, 8: "Connection Attempt Delay"

_BODY_METHODS = frozenset((b"POST", b"PUT", b"PATCH"))


class Pool:
    """A `Carrier` for direct connections, kept by origin; the one used last is taken first.

    It may be made without an event loop and then belongs to the one it first sends on.
    `keepalive_s` is how long an idle connection is kept, give or take a tenth.
    """

    def __init__(
        self,
        *,
        ssl_context: ssl.SSLContext | None = None,
        keepalive_s: float = 60.0,
        max_idle_per_origin: int = 256,
    ) -> None:
        self._ssl_context = ssl_context
        self._keepalive_s = keepalive_s
        self._max_idle = max_idle_per_origin
        self._hosts: dict[Origin, Host] = {}
        self._established: set[Connection] = set()
        self._reaper: asyncio.TimerHandle | None = None
        self._closed = False
        self._emptied: asyncio.Future[None] | None = None
        # What a socket says is parsed before the next one is read, so one buffer does for all. For
        # a `Protocol` asyncio makes a new one of 256 KB a read: 12 us, as long as malloc maps it.
        self.read_buffer = memoryview(bytearray(READ_SIZE))

    async def send(self, origin: Origin, call: Call, timeouts: Timeouts) -> Reply:
        host = self._hosts.get(origin) or Host(origin, origin.authority)
        head = _render_head(host, call)
        # An iterator cannot be sent twice, so it goes where nothing can be stale: on a new one.
        if host.idle and isinstance(call.body, bytes):
            connection = host.idle.popitem()[0]
            try:
                return await connection.start(head, call, timeouts).answered()
            except CarrierError as error:
                if error.reason != "closed" or connection.heard:
                    raise
        connection = await self._connect(origin, timeouts.connect)
        return await connection.start(head, call, timeouts).answered()

    def tls(self) -> ssl.SSLContext:
        """A client's TLS, made on first use: it takes milliseconds and memory. Other carriers may
        share it.
        """
        if self._ssl_context is None:
            self._ssl_context = default_tls()
        return self._ssl_context

    def idle_count(self) -> int:
        """Connections that wait for a request."""
        return sum(len(host.idle) for host in self._hosts.values())

    def open_count(self) -> int:
        """Established connections, idle and busy."""
        return len(self._established)

    async def aclose(self) -> None:
        """Close every connection, busy ones too, and return when the sockets are closed."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
        for connection in tuple(self._established):
            connection.fail(
                CarrierError.at(connection.host.origin, "closed", "the pool was closed")
            )
        if self._established:
            self._emptied = self._emptied or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._emptied)

    async def _connect(self, origin: Origin, timeout_s: float) -> Connection:
        """A new connection; name look-up, TCP and TLS together take `timeout_s` at most."""
        loop = asyncio.get_running_loop()
        host = self._hosts.setdefault(origin, Host(origin, origin.authority))
        connection = Connection(self, host, loop)
        try:
            if not self._closed:
                async with asyncio.timeout(timeout_s):
                    await self._dial(connection, timeout_s)
            if self._closed:
                raise ConnectionError("the pool was closed")
        except BaseException as error:
            connection.abort()
            # uvloop never says that a socket is lost whose making was cancelled at its very end.
            self.retired(connection)
            if isinstance(error, (OSError, UnicodeError)):
                raise _connect_error(origin, error, timeout_s) from error
            raise
        return connection

    async def _dial(self, connection: Connection, timeout_s: float) -> None:
        loop, origin = connection.loop, connection.host.origin
        secure = origin.scheme == "https"
        dial = functools.partial(
            loop.create_connection,
            lambda: connection,
            origin.host,
            origin.port,
            ssl=self.tls() if secure else None,
            # Longer than ours, which therefore ends first; the default is 60 s.
            ssl_handshake_timeout=timeout_s + 1 if secure else None,
        )
        if isinstance(loop, asyncio.BaseEventLoop):
            await dial(happy_eyeballs_delay=ATTEMPT_DELAY_S)
        else:  # uvloop tries addresses one by one
            await dial()

    def opened(self, connection: Connection) -> None:
        """Called by a connection whose socket is open."""
        if connection.retired:  # whoever wanted it was cancelled while the socket was made
            return connection.abort()
        self._established.add(connection)

    def released(self, connection: Connection) -> bool:
        """Called by a connection that became idle. False: there are enough of them."""
        idle = connection.host.idle
        if self._closed or len(idle) >= self._max_idle:
            return False
        idle[connection] = None
        if self._reaper is None:
            self._reaper = connection.loop.call_later(self._keepalive_s, self._reap)
        return True

    def retired(self, connection: Connection) -> None:
        """Called by a connection that is no more. A host without connections is forgotten."""
        if connection.retired:
            return
        connection.retired = True
        host = connection.host
        self._established.discard(connection)
        host.idle.pop(connection, None)
        host.connections -= 1
        if not host.connections:
            self._hosts.pop(host.origin, None)
        if self._emptied and not self._established and not self._emptied.done():
            self._emptied.set_result(None)

    def _reap(self) -> None:
        """Close what has been idle too long. One timer for all, set to the next that will be."""
        self._reaper = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        oldest_kept = NEVER
        for host in self._hosts.values():
            for connection in tuple(host.idle):  # in the order in which they became idle
                if now - connection.idle_since < self._keepalive_s:
                    oldest_kept = min(oldest_kept, connection.idle_since)
                    break
                connection.abort()
        if oldest_kept != NEVER:
            due_s = max(oldest_kept + self._keepalive_s - now, self._keepalive_s / 10)
            self._reaper = loop.call_later(due_s, self._reap)


def default_tls() -> ssl.SSLContext:
    """A client's TLS as the system trusts it, for HTTP/1.1."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _render_head(host: Host, call: Call) -> bytes:
    """The request's head. A line break in a value would be a request of its own: `CarrierError`."""
    body = call.body
    head = b"%b %b HTTP/1.1\r\nhost: %b\r\n" % (call.method, call.target, host.authority)
    head += b"".join([b"%b: %b\r\n" % (name, value) for name, value in call.headers])
    lines = len(call.headers) + 2
    if head.count(b"\n") != lines or head.count(b"\r") != lines or b" " in call.target:
        text = "a line break in the request's head, or a space in its path"
        raise CarrierError.at(host.origin, "protocol", text, sent=False)
    length = len(body) if isinstance(body, bytes) else call.content_length
    if length is None:
        return head + b"transfer-encoding: chunked\r\n\r\n"
    if length or call.method in _BODY_METHODS:
        return b"%bcontent-length: %d\r\n\r\n" % (head, length)
    return head + b"\r\n"


def _connect_error(origin: Origin, error: OSError | UnicodeError, timeout_s: float) -> CarrierError:
    """Ours for what the look-up, the connection and the TLS handshake raise."""
    if isinstance(error, TimeoutError):
        text = f"no connection within {timeout_s:g} s"
        return CarrierError.at(origin, "connect_timeout", text, sent=False)
    if isinstance(error, ssl.SSLError):
        text = f"TLS failed: {getattr(error, 'verify_message', None) or error.reason}"
    elif isinstance(error, (socket.gaierror, UnicodeError)):
        text = "the name was not found"
    else:
        text = f"no connection: {os.strerror(error.errno) if error.errno else error}"
    return CarrierError.at(origin, "connect", text, sent=False)
