"""A direct connection to a provider: a socket below llhttp (httptools), one call at a time.

Which connection carries a call is decided in `net.upstream`; what comes of it is read from the
`DirectReply` of `net.reply`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from oneapi.net.base import Call, CarrierError, Headers, Origin, Timeouts
from oneapi.net.reply import NEVER, DirectReply

HEAD_LIMIT = 128 * 1024  # bytes of a head, and of anything else that comes without a body
PAUSE_ABOVE = 256 * 1024  # bytes of a body that are buffered before the socket is left unread
WRITE_SLICE = 64 * 1024  # a larger body goes out in such slices, each waiting for room


class Keeper(Protocol):
    """What a connection asks of its pool, and what it tells it."""

    read_buffer: memoryview  # one for all: what it holds is parsed before the next socket is read

    def opened(self, connection: Connection) -> None: ...

    def released(self, connection: Connection) -> bool:
        """It is idle. False: it is not wanted any more."""

    def retired(self, connection: Connection) -> None:
        """It is no more; may be said twice."""


@dataclass(slots=True, eq=False)
class Host:
    """An origin's connections. `idle` is a dict for its order; any leaves it in O(1)."""

    origin: Origin
    authority: bytes
    idle: dict[Connection, None] = field(default_factory=dict)
    connections: int = 0  # being made, idle and busy


@dataclass(slots=True, eq=False)
class Connection(asyncio.BufferedProtocol):
    """A socket, its parser, and one reply at a time.

    `deadline` (for the answer) and `write_deadline` (for room to write) are times of the loop's
    clock. One timer looks at both: it stays where it is when a deadline moves on, and is set again
    when it comes too early, so that most requests touch no timer.
    """

    pool: Keeper
    host: Host
    loop: asyncio.AbstractEventLoop
    deadline: float = NEVER
    write_deadline: float = NEVER
    idle_since: float = 0.0
    reading_paused: bool = False
    retired: bool = False
    heard: int = 0  # bytes that came since the request or the last piece of a body
    _writing_paused: bool = False
    _drained: asyncio.Future[None] | None = None
    _reply: DirectReply | None = None
    _headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    _spoilt: bool = False  # not to be used again
    _timer: asyncio.TimerHandle | None = None
    _timer_at: float = NEVER
    _transport: asyncio.Transport | None = None
    _parser: HttpResponseParser = field(init=False)

    def __post_init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self.host.connections += 1

    def start(self, head: bytes, call: Call, timeouts: Timeouts) -> DirectReply:
        """Write the request, or begin to. The connection must be idle or new."""
        reply = DirectReply(self.host.origin, self, timeouts, call.method == b"HEAD")
        transport = self._transport
        self.heard = 0
        self._reply = reply
        if transport is None or transport.is_closing():  # lost a moment ago, or it spoke first
            self.fail(
                CarrierError.at(self.host.origin, "closed", "closed before a request", sent=False)
            )
            return reply
        body = call.body
        if isinstance(body, bytes) and len(body) <= WRITE_SLICE:
            transport.write(head + body if body else head)
            reply.uploaded = True
            return reply
        transport.write(head)
        reply.upload = self.loop.create_task(self._send(reply, transport, call))
        reply.upload.add_done_callback(self._upload_ended)
        return reply

    async def _send(self, reply: DirectReply, transport: asyncio.Transport, call: Call) -> None:
        async with contextlib.aclosing(_body_pieces(self.host.origin, call)) as pieces:
            async for piece in pieces:
                transport.write(piece)
                while self._writing_paused:
                    self._drained = drained = self.loop.create_future()
                    self.write_deadline = self.loop.time() + reply.timeouts.idle
                    self._set_timer(self.write_deadline)
                    await drained
                    self.write_deadline = NEVER
        reply.uploaded = True
        if not reply.status and reply.waiter is not None:
            self.watch(reply.timeouts.first_byte)

    def _upload_ended(self, task: asyncio.Task[None]) -> None:
        """What the body's iterator raised (the client left, say) is what the reader is told."""
        error = None if task.cancelled() else task.exception()
        if error is not None and self._reply is not None and self._reply.upload is task:
            self.fail(error)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.pool.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        reply = self._reply
        if reply is None:  # no request asked for it: a 408 at best, a smuggled answer at worst
            self.abort()
            return
        size = reply.size
        self.heard += nbytes
        try:
            self._parser.feed_data(self.pool.read_buffer[:nbytes])
        except (HttpParserError, HttpParserUpgrade) as error:
            self._spoilt = True
            if not reply.done:  # else the answer was whole, and what followed it was not
                text = f"not a valid HTTP answer: {error}"
                self.fail(CarrierError.at(self.host.origin, "protocol", text))
                return
        if reply.done:
            self._finish(reply)
        elif reply.size != size:
            self.heard = 1
            reply.wake()
            if reply.size > PAUSE_ABOVE and not self.reading_paused and self._transport:
                self.reading_paused = True
                self._transport.pause_reading()
        elif self.heard > HEAD_LIMIT:
            self.fail(
                CarrierError.at(self.host.origin, "protocol", f"{self.heard} bytes without a body")
            )

    def on_message_begin(self) -> None:
        if self._reply is None or self._reply.done:
            self._spoilt = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        headers = self._headers
        self._headers = []  # trailers will go here, and no further
        status = self._parser.get_status_code()
        reply = self._reply
        if status < 200 or reply is None or reply.done:
            return
        if self.heard > HEAD_LIMIT and sum(len(n) + len(v) for n, v in headers) > HEAD_LIMIT:
            raise HttpParserError(f"a head of more than {HEAD_LIMIT} bytes")
        reply.status = status
        reply.headers = headers
        if reply.is_head:  # llhttp does not know, and waits for as much as the head announces
            reply.done = self._spoilt = True
        if reply.upload is not None and status >= 400:  # refused: no use in sending the rest
            reply.upload.cancel()
        reply.wake()

    def on_body(self, body: bytes) -> None:
        reply = self._reply
        if reply is not None and not reply.done:
            reply.pieces.append(body)
            reply.size += len(body)

    def on_message_complete(self) -> None:
        self._headers = []
        reply = self._reply
        if reply is not None and reply.status:  # else it was a 1xx
            reply.done = True
            if not self._parser.should_keep_alive():
                self._spoilt = True

    def resume_reading(self) -> None:
        self.reading_paused = False
        if self._transport is not None:
            self._transport.resume_reading()

    def _finish(self, reply: DirectReply) -> None:
        """The answer is complete: the reply keeps its pieces, the pool the connection."""
        self._reply = None
        reply.connection = None
        reply.wake()
        self.deadline = NEVER
        if self._spoilt or not reply.uploaded:
            if reply.upload is not None:
                reply.upload.cancel()
            self.abort()
            return
        self.idle_since = self.loop.time()
        if not self.pool.released(self):
            self.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # by contract; uvloop's is no subclass
        self.pool.opened(self)

    def eof_received(self) -> bool:
        # Not left to connection_lost, which waits until all that was written has gone out.
        self._ended(None)
        self.abort()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(exc)
        if self._timer is not None:
            self._timer.cancel()
        self._transport = None
        self.pool.retired(self)

    def _ended(self, exc: Exception | None) -> None:
        reply = self._reply
        if reply is None:
            return
        if exc is None and reply.status and _ends_with_connection(reply.headers):
            self._spoilt = reply.done = True
            self._finish(reply)
            return
        text = "closed in its answer" if self.heard else "closed without an answer"
        self.fail(CarrierError.at(self.host.origin, "closed", text))

    def fail(self, error: BaseException) -> None:
        """End the reply, if there is one, with this error, and close the socket."""
        reply = self._reply
        self._reply = None
        self.deadline = NEVER
        if reply is not None:
            reply.connection = None
            reply.error = error
            if reply.upload is not None:
                reply.upload.cancel()
            reply.wake()
        self.abort()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()  # connection_lost follows
        else:
            self.pool.retired(self)

    def watch(self, seconds: float) -> None:
        """The answer's next part must come within `seconds`."""
        self.deadline = at = self.loop.time() + seconds
        if at < self._timer_at:
            self._set_timer(at)

    def _set_timer(self, at: float) -> None:
        """Look at the deadlines at `at` or before."""
        if at >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self.loop.call_at(at, self._look)

    def _look(self) -> None:
        self._timer = None
        self._timer_at = NEVER
        reply = self._reply
        due = min(self.deadline, self.write_deadline)
        if reply is None or due == NEVER:
            return
        if self.loop.time() < due:
            self._set_timer(due)
            return
        reason, text = "idle_timeout", f"sent nothing more for {reply.timeouts.idle:g} s"
        if due == self.write_deadline:
            text = f"took nothing of the request for {reply.timeouts.idle:g} s"
        elif not reply.status:
            reason = "first_byte_timeout"
            text = f"did not answer within {reply.timeouts.first_byte:g} s"
        self.fail(CarrierError.at(self.host.origin, reason, text))


async def _body_pieces(origin: Origin, call: Call) -> AsyncGenerator[bytes | memoryview, None]:
    """A large or iterated body as it goes on the wire."""
    body = call.body
    if isinstance(body, bytes):
        view = memoryview(body)
        for start in range(0, len(body), WRITE_SLICE):
            yield view[start : start + WRITE_SLICE]
    elif call.content_length is None:
        async for piece in body:
            if piece:
                yield b"%x\r\n%b\r\n" % (len(piece), piece)
        yield b"0\r\n\r\n"
    else:
        left = call.content_length
        async for piece in body:
            left -= len(piece)
            if left < 0:
                break
            yield piece
        if left:
            text = f"the request's body was not {call.content_length} bytes long, as announced"
            raise CarrierError.at(origin, "protocol", text)


def _ends_with_connection(headers: Headers) -> bool:
    """Whether the body has no length of its own (RFC 9112, 6.3, rule 8)."""
    fields = dict(headers)
    encoding = fields.get(b"transfer-encoding")
    if encoding is None:
        return b"content-length" not in fields
    return not encoding.lower().endswith(b"chunked")
