"""One HTTP/1.1 request and its answer, as an ASGI application sees them: the pair `receive` and
`send`.

The connection (`net.http1`) parses and writes; an `Exchange` holds one request's body, renders the
answer's head and frames its body. This is the hot path of every request: slots, bound methods, one
write for the head and the first bytes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from http import HTTPStatus
from typing import Protocol

from oneapi.net.shared import ClientGone, Common, Message, Scope, error_body, shown

log = logging.getLogger("oneapi.front")

_STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
# The framing of an answer is ours: what an application says about it is looked at, not copied.
_FRAMING = frozenset(
    (b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"upgrade")
)
_CORK_MAX = 65_536  # bytes
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_NO_BODY, _LENGTH, _CHUNKED, _UNTIL_CLOSE = range(4)


class Line(Protocol):
    """What an exchange asks of its connection."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    write_paused: bool

    def reusable(self) -> bool:
        """Whether the connection can carry another request after this answer."""

    def answered(self, reusable: bool) -> None:
        """The answer is written whole."""

    def break_off(self, *, truthful: bool) -> None:
        """The answer cannot be completed. `truthful`: a plain close already shows the client
        that.
        """

    def body_awaited(self, exchange: Exchange, waiting: bool) -> None: ...

    def body_taken(self) -> None: ...

    async def writable(self) -> None:
        """Returns when the transport is below its low-water mark, or gone."""


def status_line(status: int) -> bytes:
    return _STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n".encode()


class Exchange:
    """One request under way. Promises: the application runs in one task; it is cancelled when
    the client leaves before the answer is complete; an answer that cannot be completed breaks
    the connection.
    """

    __slots__ = (
        "_begun",
        "_chunks",
        "_close",
        "_common",
        "_corked",
        "_delivered",
        "_doomed",
        "_event",
        "_expects",
        "_framing",
        "_headers",
        "_http11",
        "_line",
        "_missing",
        "_pending",
        "_pending_size",
        "_size",
        "_status",
        "_written",
        "body_done",
        "finished",
        "gone",
        "scope",
        "task",
    )

    def __init__(self, line: Line, common: Common, scope: Scope, *, expects: bool) -> None:
        self._line = line
        self._common = common
        self.scope = scope
        self.task: asyncio.Task[None] | None = None
        self.gone = False
        self.finished = False  # the last byte of the answer was handed to the transport
        self.body_done = False
        self._expects = expects
        self._http11 = scope["http_version"] == "1.1"
        self._chunks: list[bytes] = []
        self._size = 0
        self._delivered = False
        self._event: asyncio.Event | None = None
        self._status = 0
        self._headers: Iterable[tuple[bytes, bytes]] = ()
        self._written = False  # the head is on the wire
        self._framing = _NO_BODY
        self._missing = 0  # bytes that content-length still promises
        self._corked = False
        self._pending: list[bytes] = []  # chunks of this turn of the event loop, not yet written
        self._pending_size = 0
        self._close = False
        self._begun = False
        self._doomed = False

    @property
    def started(self) -> bool:
        """Whether a byte of the answer was written."""
        return self._written

    @property
    def unread(self) -> int:
        """Bytes of the body that wait for the application."""
        return self._size

    @property
    def expects_continue(self) -> bool:
        return self._expects

    def feed(self, data: bytes, done: bool) -> None:
        """The next bytes of the body; `done` with or after the last."""
        if data:
            self._chunks.append(data)
            self._size += len(data)
        self.body_done = done
        if self._event is not None:
            self._event.set()

    async def receive(self) -> Message:
        if self._expects:
            self._expects = False
            if not (self.gone or self._written or self._size or self.body_done):
                self._line.transport.write(_CONTINUE)
        while not (self.gone or self.finished):
            if self._size or (self.body_done and not self._delivered):
                return self._take()
            await self._news()
        return {"type": "http.disconnect"}

    def _take(self) -> Message:
        chunks = self._chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._size = 0
        self._delivered = self.body_done
        self._line.body_taken()
        return {"type": "http.request", "body": body, "more_body": not self.body_done}

    async def _news(self) -> None:
        if self._event is None:
            self._event = asyncio.Event()
        self._event.clear()
        if self.body_done:
            await self._event.wait()
            return
        self._line.body_awaited(self, True)
        try:
            await self._event.wait()
        finally:
            self._line.body_awaited(self, False)

    def disconnect(self, *, cancel: bool = True) -> None:
        """The client left, or is treated as if it had: `receive` says so, and the application is
        cancelled unless its answer is complete.
        """
        first, self.gone = not self.gone, True
        if first and self._event is not None:
            self._event.set()
        if cancel and not self._doomed and not self.finished:
            self.cut()

    def cut(self) -> None:
        self._doomed = True
        # A task that is cancelled before its first step never runs its `finally`; `run` looks for
        # itself.
        if self._begun and self.task is not None:
            self.task.cancel()

    async def run(self) -> None:
        """The body of the request's task: the application, and what becomes of its failures."""
        self._begun = True
        try:
            if self._doomed:
                raise asyncio.CancelledError
            await self._common.app(self.scope, self.receive, self.send)
            if not (self.finished or self.gone):
                raise RuntimeError("the application returned before its answer was complete")
        except asyncio.CancelledError:
            self._give_up(503, "the server ended this request", code="request_cancelled")
        except ClientGone:
            self._give_up(503, "the client left", code="request_cancelled")
        except Exception:
            target = shown(self.scope["path"])
            log.exception("application failed: %s %s", self.scope["method"], target)
            self._give_up(500, "internal error", code="internal_error")
        finally:
            self._common.ended(self)

    def _give_up(self, status: int, message: str, *, code: str) -> None:
        if self.finished or self.gone:
            return
        if self._written:
            self._flush(b"")
            self.gone = True
            self._line.break_off(truthful=self._framing != _UNTIL_CLOSE)
            return
        self._status, self._headers = status, ((b"content-type", b"application/json"),)
        self._line.transport.write(
            self._open(error_body(message, code=code, kind="server_error"), False)
        )
        self._finish()

    async def send(self, message: Message) -> None:
        if self.gone:
            raise ClientGone("the client left")
        kind = message["type"]
        if kind == "http.response.start" and not self._status:
            self._status, self._headers = message["status"], message.get("headers", ())
            return
        if kind != "http.response.body" or not self._status or self.finished:
            raise RuntimeError(f"unexpected {kind}")
        body, more = message.get("body", b""), message.get("more_body", False)
        data = self._frame(body, more) if self._written else self._open(body, more)
        line = self._line
        if more:
            if data:
                self._write_soon(data)
            if line.write_paused:
                await line.writable()
            return
        self._flush(data)
        # Complete, and not to be cancelled any more; the next request waits until this answer left.
        self.finished = True
        try:
            if line.write_paused:
                await line.writable()
        finally:
            self._finish()

    def _write_soon(self, data: bytes) -> None:
        """Write the first chunk of a turn of the event loop at once, and those after it together
        at its end: a system call for each event of a burst costs more than all the rest of its
        way.
        """
        if not self._corked:
            self._line.transport.write(data)
            self._corked = True
            self._line.loop.call_soon(self._uncork)
            return
        self._pending.append(data)
        self._pending_size += len(data)
        if self._pending_size > _CORK_MAX:
            self._flush(b"")

    def _uncork(self) -> None:
        self._corked = False
        if self._pending and not self.gone:
            self._flush(b"")

    def _flush(self, data: bytes) -> None:
        if self._pending:
            self._pending.append(data)
            data = b"".join(self._pending)
            self._pending.clear()
            self._pending_size = 0
        if data:
            self._line.transport.write(data)

    def _finish(self) -> None:
        self.finished = True
        if self._event is not None:
            self._event.set()
        if not self.gone:
            self._line.answered(not self._close)

    def _open(self, body: bytes, more: bool) -> bytes:
        """The head and the first bytes of the body."""
        length, lines = self._render_headers()
        lines.append(self._choose_framing(length, len(body), more))
        if not self._line.reusable():
            self._close = True
        if self._close:
            lines.append(b"connection: close\r\n")
        elif not self._http11:
            lines.append(b"connection: keep-alive\r\n")
        lines.append(b"\r\n")
        head = b"".join(lines)
        # A line end inside a name or value would let an upstream's header split the answer.
        breaks = len(lines) - lines.count(b"")
        if head.count(b"\n") != breaks or head.count(b"\r") != breaks:
            raise ValueError("a header of the answer holds a line end")
        framed = self._frame(body, more)
        self._written = True
        return head + framed

    def _render_headers(self) -> tuple[int | None, list[bytes]]:
        length = None
        lines = [status_line(self._status), self._common.server_line]
        for name, value in self._headers:
            if name not in _FRAMING:
                lines.append(name + b": " + value + b"\r\n")
            elif name == b"content-length":
                length = int(value)
            elif name == b"connection" and value.lower() == b"close":
                self._close = True
        return length, lines

    def _choose_framing(self, length: int | None, first: int, more: bool) -> bytes:
        """How the body will be delimited, and the header line that says so (RFC 9112, 6)."""
        status = self._status
        if status in (204, 304) or self.scope["method"] == "HEAD":
            self._framing = _NO_BODY
            return b"" if length is None or status == 204 else b"content-length: %d\r\n" % length
        if length is None and not more:
            length = first
        if length is not None:
            self._framing, self._missing = _LENGTH, length
            return b"content-length: %d\r\n" % length
        if self._http11:
            self._framing = _CHUNKED
            return b"transfer-encoding: chunked\r\n"
        self._framing, self._close = _UNTIL_CLOSE, True
        return b""

    def _frame(self, body: bytes, more: bool) -> bytes:
        """`body` as it goes on the wire. Raises RuntimeError when it breaks the promised length."""
        framing = self._framing
        if framing == _CHUNKED:
            if not body:
                return b"" if more else b"0\r\n\r\n"
            end = b"\r\n" if more else b"\r\n0\r\n\r\n"
            return b"%x\r\n%b%b" % (len(body), body, end)
        if framing == _LENGTH:
            self._missing -= len(body)
            if self._missing < 0 or (self._missing and not more):
                raise RuntimeError("the answer's body does not have the length its head says")
            return body
        return b"" if framing == _NO_BODY else body
