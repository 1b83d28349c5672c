"""HTTP/2, by hypercorn; what its HTTP/2 side leaves open for a gateway is closed
here.

hypercorn 0.18 tells only an application that awaits `receive()` of a client's leaving, drops the
connection when bytes come for a stream that is answered already, never ends a stream whose
application failed half-way, and waits for ever for a reader that takes nothing. Its names used here
are not public: the version is pinned.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import Any

import h2.errors
import h2.events
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Event, Updated
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.events import StreamClosed
from hypercorn.protocol.h2 import (
    BUFFER_HIGH_WATER,
    BUFFER_LOW_WATER,
    BufferCompleteError,
    H2Protocol,
    StreamBuffer,
)
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream
from hypercorn.typing import ConnectionState
from hypercorn.utils import wrap_app

from oneapi.net.shared import (
    BODY_HIGH,
    ClientGone,
    Common,
    Message,
    Receive,
    Scope,
    Send,
    error_body,
    shown,
)

log = logging.getLogger("oneapi.front")

# Bytes of an answer handed to hypercorn at a time, so that a slow reader's progress shows.
_SLICE = 65_536


class Http2:
    """All HTTP/2 connections of one front."""

    def __init__(self, common: Common) -> None:
        self._common = common
        self._config = _config(common.limits.idle_s)
        self._context = WorkerContext(None)
        self._pumps: set[asyncio.Task[None]] = set()
        self._app = wrap_app(self._serve, 0, "asgi")  # type: ignore[arg-type]  # its scopes are TypedDicts

    def adopt(self, transport: asyncio.Transport) -> None:
        """Take over a transport on which TLS agreed on h2."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=2**16, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        transport.set_write_buffer_limits(high=self._common.limits.write_high)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        server = _Connection(self._app, loop, self._config, self._context, {}, reader, writer)
        peer = _Peer(self._common, transport)
        peer.task = loop.create_task(peer.run(server))

    async def drain(self) -> None:
        """Tell clients to go away; hypercorn closes each connection with its last stream."""
        await self._context.terminated.set()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _Request(self._common, self._pumps, scope, receive, send).run()


class _Peer:
    """One connection, as the front looks after it."""

    def __init__(self, common: Common, transport: asyncio.Transport) -> None:
        self._common = common
        self._transport = transport
        self.task: asyncio.Task[None] | None = None
        self._size = 0
        self._stalled_since: float | None = None
        common.peers.add(self)

    async def run(self, server: TCPServer) -> None:
        try:
            await server.run()
        except Exception:
            log.exception("an HTTP/2 connection failed")
        finally:
            self.abort()
            self._common.left(self)

    def sweep(self, now: float) -> None:
        """Abort where bytes wait for the socket and none was taken for `send_idle_s`."""
        with contextlib.suppress(AttributeError):  # see `abort`
            self._count(self._transport.get_write_buffer_size(), now)

    def _count(self, size: int, now: float) -> None:
        if not size or size < self._size or self._stalled_since is None:
            self._stalled_since = now if size else None
        elif now - self._stalled_since > self._common.limits.send_idle_s:
            self.abort()
        self._size = size

    def drain(self) -> None:
        """Nothing: `Http2.drain` reaches all connections at once."""

    def abort(self) -> None:
        # Its task is not cancelled: hypercorn's own cleaning up fails in a task group that is.
        # Early 3.11's TLS transports (Debian 12 has 3.11.2) fail once the connection is lost.
        with contextlib.suppress(AttributeError):
            self._transport.abort()


class _Connection(TCPServer):
    """hypercorn's connection, for HTTP/2 alone and with `_Protocol`."""

    _ended = False

    async def protocol_send(self, event: Event) -> None:
        """Once the client is gone there is no idle time to count; it would outlive the
        connection.
        """
        if not (self._ended and isinstance(event, Updated)):
            await super().protocol_send(event)

    async def run(self) -> None:
        peer, own = self.writer.get_extra_info("peername"), self.writer.get_extra_info("sockname")
        try:
            async with TaskGroup(self.loop) as group:
                self._task_group = group
                self.protocol = _Protocol(  # type: ignore[assignment]  # it has what is used of a wrapper
                    self.app,
                    self.config,
                    self.context,
                    group,
                    ConnectionState(self.state),
                    True,
                    peer[:2] if isinstance(peer, tuple) else None,
                    own[:2] if isinstance(own, tuple) else None,
                    self.protocol_send,
                )
                await self.protocol.initiate()
                await self.idle_task.restart(group, self._idle_timeout)
                await self._read_data()
                self._ended = True
                await self.idle_task.stop()
        except OSError:
            pass
        finally:
            await self._close()


class _Late:
    """Takes what comes for a stream that is answered and forgotten."""

    idle = True

    async def handle(self, event: object) -> None:
        del event


class _Streams(dict[int, Any]):
    def __missing__(self, stream_id: int) -> _Late:
        return _Late()


class _Buffer(StreamBuffer):
    """hypercorn's lets the application go on whenever little was taken, so also when nothing
    was.
    """

    async def push(self, data: bytes) -> None:
        if self._complete:
            raise BufferCompleteError
        self.buffer.extend(data)
        await self._is_empty.clear()
        if len(self.buffer) >= BUFFER_HIGH_WATER:
            await self._paused.clear()
            await self._paused.wait()

    async def pop(self, max_length: int) -> bytes:
        data = bytes(self.buffer[:max_length])
        del self.buffer[:max_length]
        if len(self.buffer) < BUFFER_LOW_WATER:
            await self._paused.set()
        if not self.buffer:
            await self._is_empty.set()
        return data


class _Protocol(H2Protocol):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.streams = _Streams()

    async def _create_stream(self, request: h2.events.RequestReceived) -> None:
        """Refuse what hypercorn would fail on, or hand to a WebSocket: CONNECT, and paths that
        are not ASCII.
        """
        head = dict(request.headers or ())
        if head.get(b":method") == b"CONNECT" or not head.get(b":path", b"\xff").isascii():
            self.connection.reset_stream(request.stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
            return
        await super()._create_stream(request)
        # The application's task exists and has not run yet.
        self.stream_buffers[request.stream_id] = _Buffer(self.context.event_class)

    async def stream_send(self, event: StreamEvent) -> None:
        """End a stream whose answer broke off, so that its client does not wait for the rest."""
        if isinstance(event, StreamClosed):
            stream = self.streams.get(event.stream_id)
            if isinstance(stream, HTTPStream) and stream.state is ASGIHTTPState.RESPONSE:
                self.connection.reset_stream(event.stream_id, h2.errors.ErrorCodes.INTERNAL_ERROR)
                await self._flush()
        await super().stream_send(event)


class _Request:
    """One HTTP/2 request, with the promises of `exchange.Exchange`."""

    __slots__ = (
        "_common",
        "_doomed",
        "_inbox",
        "_news",
        "_over",
        "_pumps",
        "_read",
        "_receive",
        "_room",
        "_scope",
        "_send",
        "_size",
        "_started",
        "finished",
        "gone",
        "task",
    )

    def __init__(
        self,
        common: Common,
        pumps: set[asyncio.Task[None]],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._common = common
        self._pumps = pumps
        self._scope = scope
        self._receive = receive
        self._send = send
        self._inbox: deque[Message] = deque()
        self._size = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._started = False
        self._doomed = False
        self._over = False
        self._read = False  # the application has the whole body
        self.finished = False
        self.gone = False
        self.task = asyncio.current_task()

    async def run(self) -> None:
        """Run the application in the present task, and beside it a pump that reads what the
        client does.
        """
        self._common.running.add(self)
        # It outlives the application and ends with hypercorn's "disconnect": were the rest of a
        # body not taken, hypercorn would stop reading the connection.
        pump = asyncio.get_running_loop().create_task(self._pump())
        self._pumps.add(pump)
        pump.add_done_callback(self._pumps.discard)
        try:
            await self._run_app()
        finally:
            self._over = True
            self._room.set()
            self._common.ended(self)

    async def _run_app(self) -> None:
        try:
            await self._common.app(self._scope, self.receive, self.send)
            if not (self.finished or self.gone):
                raise RuntimeError("the application returned before its answer was complete")
        except asyncio.CancelledError:
            if not self._doomed or self.task is None:
                raise
            self.task.uncancel()
            await self._give_up(503, "the server ended this request", code="request_cancelled")
        except ClientGone:
            pass
        except Exception:
            target = shown(self._scope["path"])
            log.exception("application failed: %s %s", self._scope["method"], target)
            await self._give_up(500, "internal error", code="internal_error")

    async def _give_up(
        self, status: int, message: str, *, code: str, kind: str = "server_error"
    ) -> None:
        """Answer, where nothing was sent; a broken answer is reset by `_Protocol`."""
        if self._started or self.gone:
            return
        headers = [(b"content-type", b"application/json")]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send(
            {"type": "http.response.body", "body": error_body(message, code=code, kind=kind)}
        )

    async def _pump(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                break
            if self.finished or self._over:
                continue
            self._inbox.append(message)
            self._size += len(message["body"])
            self._news.set()
            if self._size > BODY_HIGH:
                self._room.clear()
                await self._room.wait()
        self.gone = True
        self._news.set()
        if not (self.finished or self._over):
            self.cut()

    def cut(self) -> None:
        if not self._doomed and self.task is not None:
            self._doomed = True
            self.task.cancel()

    async def receive(self) -> Message:
        try:
            while not (self._inbox or self.gone or self.finished):
                self._news.clear()
                await self._wait_for_news()
        except TimeoutError:
            await self._give_up(408, "the request's body did not come in time", code="bad_request")
            self.gone = True
        if self.gone or self.finished or not self._inbox:
            return {"type": "http.disconnect"}
        return self._take()

    async def _wait_for_news(self) -> None:
        async with asyncio.timeout(None if self._read else self._common.limits.body_idle_s):
            await self._news.wait()

    def _take(self) -> Message:
        more = True
        parts = []
        while self._inbox:
            message = self._inbox.popleft()
            parts.append(message["body"])
            more = message["more_body"]
        self._size = 0
        self._read = not more
        self._room.set()
        return {"type": "http.request", "body": b"".join(parts), "more_body": more}

    async def send(self, message: Message) -> None:
        if self.gone:
            raise ClientGone("the client left")
        if message["type"] == "http.response.start":
            self._started = True
            await self._hand_over(message)
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        while len(body) > _SLICE:
            await self._hand_over(
                {"type": "http.response.body", "body": body[:_SLICE], "more_body": True}
            )
            body = body[_SLICE:]
        if not more:
            self.finished = True
            self._room.set()
        await self._hand_over({"type": "http.response.body", "body": body, "more_body": more})

    async def _hand_over(self, message: Message) -> None:
        try:
            async with asyncio.timeout(self._common.limits.send_idle_s):
                await self._send(message)
        except TimeoutError as error:
            self.gone = True
            raise ClientGone("the client takes nothing") from error


def _config(idle_s: float) -> Config:
    """hypercorn as the front uses it: its own log silent, no headers of its own."""
    config = Config()
    config.errorlog = None
    config.accesslog = None
    config.include_date_header = False
    config.include_server_header = False
    config.keep_alive_timeout = idle_s
    config.keep_alive_max_requests = 1_000_000
    return config
