"""A client's HTTP/1.1 connection: llhttp (httptools) and `asyncio.Protocol` below one ASGI exchange
at a time.

llhttp in its strict mode refuses by itself (checked with httptools 0.9, each case a test): both
lengths, doubled or odd `content-length`, bad chunk sizes, bare LF and CR, obs-fold, space before a
colon, control characters, unknown methods. Added here: sizes and times, HTTP/1.x and nothing else,
exactly one `host`, `chunked` as the only transfer coding, CONNECT, and `upgrade` (taken out, since
llhttp takes the body after it for another protocol). The head is cut out before it is parsed, so
that llhttp never sees two requests at once: what follows a request stays raw bytes until its answer
is complete.
"""

from __future__ import annotations

import asyncio
import math
import re
import select
import socket
import struct
from collections.abc import Callable
from typing import Any, cast

import httptools

from oneapi.net.exchange import Exchange, status_line
from oneapi.net.head import BadRequest, decoded_path, origin_form, request_line, strip_values
from oneapi.net.shared import BODY_HIGH, DRAIN_MAX, Common, error_body

_HEAD, _BODY, _CHUNKS, _WHOLE, _LINGER = range(5)  # what the next byte from the client is part of

_ASGI = {"version": "3.0", "spec_version": "2.4"}
_METHODS = {
    m: m.decode() for m in (b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH")
}
_NOTED = frozenset((b"host", b"content-length", b"transfer-encoding", b"expect"))
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)
_BARE_LF = re.compile(rb"(?<!\r)\n")
_HANG_UP = getattr(select, "POLLRDHUP", 0)  # Linux; elsewhere poll tells of full closes alone
_BLANK = b"\r\n\r\n"
_HELD_MAX = 65_536  # bytes of later requests kept while one is answered, before reading is paused
_LINGER_S = 2.0  # a refused upload is read on for so long, or the reset would eat its answer


class Http1(asyncio.Protocol):
    """One connection. `adopt_h2` takes the transport over when TLS agreed on HTTP/2."""

    __slots__ = (
        "_adopt_h2",
        "_client",
        "_coding",
        "_common",
        "_deadline",
        "_drained",
        "_exchange",
        "_expects",
        "_headers",
        "_held",
        "_hosts",
        "_keep_alive",
        "_length",
        "_overhead",
        "_parser",
        "_phase",
        "_reading",
        "_remaining",
        "_scheme",
        "_server",
        "_tail",
        "_whole",
        "_writable",
        "_write_deadline",
        "_write_size",
        "loop",
        "transport",
        "write_paused",
    )

    def __init__(
        self, common: Common, adopt_h2: Callable[[asyncio.Transport], None] | None
    ) -> None:
        self._common = common
        self._adopt_h2 = adopt_h2
        self.loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._exchange: Exchange | None = None
        self._phase = _HEAD
        # Half a head, or what came after the request that is being answered.
        self._held = bytearray()
        self._reading = True
        self._headers: list[tuple[bytes, bytes]] = []
        self._hosts = 0
        self._length = 0
        self._coding = b""
        self._expects = self._keep_alive = self._whole = False
        self._remaining = 0  # of a body with a length
        self._tail = b""  # the last three bytes of a chunked body so far
        self._overhead = 0  # chunk framing since the last byte of content
        self._drained = 0
        self._deadline = math.inf
        self._write_deadline = math.inf
        self._write_size = 0
        self._writable: asyncio.Event | None = None
        self.write_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        tls = transport.get_extra_info("ssl_object")
        h2 = tls is not None and tls.selected_alpn_protocol() == "h2"
        if h2 and self._adopt_h2 is not None:
            self._adopt_h2(self.transport)
            return
        self._scheme = "http" if tls is None else "https"
        self._client = _address(transport.get_extra_info("peername"))
        self._server = _address(transport.get_extra_info("sockname"))
        self.transport.set_write_buffer_limits(high=self._common.limits.write_high)
        self._deadline = self.loop.time() + self._common.limits.idle_s
        self._common.peers.add(self)
        if self._common.draining:
            self._close()

    def data_received(self, data: bytes) -> None:
        phase = self._phase
        try:
            if phase == _HEAD:
                self._feed_head(data)
            elif phase == _BODY:
                self._feed_body(data)
            elif phase == _CHUNKS:
                self._feed_chunks(data)
            elif phase == _WHOLE:
                self._hold(data)
        except httptools.HttpParserError as error:
            self._refuse(400, f"malformed HTTP: {error}")
        except BadRequest as error:
            self._refuse(error.status, str(error))

    def eof_received(self) -> None:
        """A client that closed its sending half counts as gone, as with hypercorn; the transport
        closes.
        """
        if self._exchange is not None:
            self._exchange.disconnect()
        self._phase = _LINGER
        self._expect_flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._phase = _LINGER
        self._deadline = self._write_deadline = math.inf
        self.write_paused = False
        if self._writable is not None:
            self._writable.set()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.disconnect()
        self._common.left(self)

    def pause_writing(self) -> None:
        self.write_paused = True
        self._expect_flush()
        if self._writable is not None:
            self._writable.clear()

    def resume_writing(self) -> None:
        self.write_paused = False
        if not self.transport.is_closing():
            self._write_deadline = math.inf
        if self._writable is not None:
            self._writable.set()

    def _feed_head(self, data: bytes) -> None:
        held = self._held
        if held:
            searched = max(0, len(held) - 3)
            held += data
            end = held.find(_BLANK, searched) + 4
            if end < 4:
                self._wait_for_head(searched)
                return
            data = bytes(held)
            held.clear()
        else:
            end = data.find(_BLANK) + 4
            if end < 4:
                held += data
                self._deadline = self.loop.time() + self._common.limits.head_s
                self._wait_for_head(0)
                return
        self._limit_head(end)
        if end == len(data):
            self._begin(data)
            return
        self._begin(data[:end])
        self.data_received(data[end:])

    def _wait_for_head(self, searched: int) -> None:
        """Refuse at once what cannot become a head: a TLS hello, a request with bare line feeds."""
        held = self._held
        self._limit_head(len(held))
        start = 2 if held.startswith(b"\r\n") else 0
        letters = held[start : start + 1]
        if letters and not b"A" <= letters <= b"Z" and held != b"\r":
            raise BadRequest("this is not an HTTP/1.1 request")
        if _BARE_LF.search(held, searched):
            raise BadRequest("a line of the request's head ends without a carriage return")

    def _limit_head(self, size: int) -> None:
        limit = self._common.limits.head_bytes
        if size > limit:
            raise BadRequest(f"the request's head is larger than {limit} bytes", 431)

    def _begin(self, head: bytes) -> None:
        """Parse a whole head and start its exchange."""
        if head.startswith(b"\r\n"):  # one empty line before a request is ignored (RFC 9112, 2.2)
            head = head[2:]
        method, target, version = request_line(head)
        if b"\r\nupgrade:" in head.lower():
            head = _UPGRADE.sub(b"", head)
        self._headers = []
        self._hosts = self._length = 0
        self._coding = b""
        self._expects = False
        self._parser.feed_data(head)
        self._check(version)
        scope = self._scope(method, target, version, head)
        exchange = Exchange(self, self._common, scope, expects=self._expects and version == "1.1")
        self._exchange = exchange
        self._deadline = math.inf
        if self._coding:
            self._phase = _CHUNKS
            self._headers = []  # trailers land here and are dropped
            self._tail = b""
            self._overhead = 0
        elif self._length:
            self._phase = _BODY
            self._remaining = self._length
        else:
            self._phase = _WHOLE
            exchange.body_done = True
        self._common.running.add(exchange)
        exchange.task = self.loop.create_task(exchange.run())

    def _check(self, version: str) -> None:
        if self._hosts != 1 and (self._hosts or version == "1.1"):
            raise BadRequest("a request has exactly one host header")
        if self._coding and (version != "1.1" or self._coding.strip().lower() != b"chunked"):
            raise BadRequest("chunked is the only transfer-encoding understood here, with HTTP/1.1")

    def _scope(self, method: bytes, target: bytes, version: str, head: bytes) -> dict[str, Any]:
        headers = strip_values(head, self._headers)
        if not target.startswith(b"/"):
            target, headers = origin_form(target, headers)
        raw_path, _, query = target.partition(b"?")
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "method": _METHODS.get(method) or method.decode("ascii"),
            "scheme": self._scheme,
            "path": decoded_path(raw_path),
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": headers,
            "client": self._client,
            "server": self._server,
            "state": {},
        }

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self._headers.append((name, value))
        if name in _NOTED:
            self._note(name, value)

    def _note(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            self._hosts += 1
        elif name == b"content-length":
            self._length = int(value)
        elif name == b"transfer-encoding":
            self._coding += value
        elif value.strip().lower() == b"100-continue":
            self._expects = True

    def on_headers_complete(self) -> None:
        self._keep_alive = self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        self._overhead = 0
        self._deliver(data, False)

    def on_message_complete(self) -> None:
        self._whole = True

    def _feed_body(self, data: bytes) -> None:
        """A body with a length is not shown to the parser: its bytes go on uncopied."""
        rest = b""
        if len(data) > self._remaining:
            data, rest = data[: self._remaining], data[self._remaining :]
        self._remaining -= len(data)
        if not self._remaining:
            self._phase = _WHOLE
            self._parser = httptools.HttpRequestParser(self)  # the old one still waits for the body
        self._deliver(data, not self._remaining)
        if rest:
            self.data_received(rest)

    def _feed_chunks(self, data: bytes) -> None:
        """A chunked message ends at an empty line and nowhere else, so the parser is fed up to
        each.
        """
        joined = self._tail + data
        view = memoryview(joined)
        fed, at = len(self._tail), 0
        self._whole = False
        while self._phase == _CHUNKS:
            found = joined.find(_BLANK, at)
            end = found + 4 if found >= 0 else len(joined)
            self._overhead += end - fed
            self._parser.feed_data(view[fed:end])
            if self._overhead > self._common.limits.head_bytes:
                raise BadRequest("the request's chunks are all framing")
            fed, at = end, found + 2
            if self._whole:
                self._phase = _WHOLE
                self._deliver(b"", True)
                if fed < len(joined):
                    self.data_received(joined[fed:])
                return
            if found < 0:
                self._tail = joined[-3:]
                return

    def _deliver(self, data: bytes, done: bool) -> None:
        exchange = self._exchange
        if exchange is not None:
            exchange.feed(data, done)
            if exchange.unread > BODY_HIGH:
                self._pause()
            return
        self._drained += len(data)
        if self._drained > DRAIN_MAX:
            self._close()
        elif done:
            self._next()

    def _hold(self, data: bytes) -> None:
        # Not paused at the first byte of a pipelined request: who does not read does not see the
        # client leave.
        self._held += data
        if len(self._held) > _HELD_MAX:
            self._pause()

    def reusable(self) -> bool:
        if not self._keep_alive or self._common.draining:
            return False
        if self._phase == _WHOLE:
            return True
        exchange = self._exchange
        if exchange is not None and exchange.expects_continue:
            return False  # the body may come or not: nobody can tell where the next request starts
        return self._phase == _CHUNKS or self._remaining <= DRAIN_MAX

    def answered(self, reusable: bool) -> None:
        self._exchange = None
        if not reusable or self._common.draining:
            if self._phase == _WHOLE and not self._held:
                self._close()
                return
            self._linger()
        elif self._phase == _WHOLE:
            self._next()
        else:
            self._drained = 0
            self._deadline = self.loop.time() + self._common.limits.body_idle_s
            self._resume()

    def break_off(self, *, truthful: bool) -> None:
        self._exchange = None
        if truthful:
            self._close()
            return
        sock = self.transport.get_extra_info("socket")
        if sock is not None:  # a reset, since an ordinary close would pass for the answer's end
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def body_awaited(self, exchange: Exchange, waiting: bool) -> None:
        if self._exchange is exchange:
            due = self.loop.time() + self._common.limits.body_idle_s
            # Once the body is whole, an answer may take as long as it likes.
            self._deadline = due if waiting and self._phase != _WHOLE else math.inf

    def body_taken(self) -> None:
        if not self._reading and self._phase != _WHOLE:
            self._resume()

    async def writable(self) -> None:
        if self._writable is None:
            self._writable = asyncio.Event()
        await self._writable.wait()

    def sweep(self, now: float) -> None:
        if now > self._write_deadline:
            size = self.transport.get_write_buffer_size()
            if not size or size >= self._write_size:
                self.transport.abort()
                return
            self._expect_flush()
        if now > self._deadline:
            self._expire()
        elif not self._reading and self._exchange is not None and self._left_unseen():
            self._exchange.disconnect()
            self.transport.abort()

    def _left_unseen(self) -> bool:
        """Whether the client left while reading is paused: the event loop does not look then."""
        sock = self.transport.get_extra_info("socket")
        if sock is None:
            return False
        poll = select.poll()
        poll.register(sock.fileno(), _HANG_UP)
        return bool(poll.poll(0))

    def drain(self) -> None:
        if self._exchange is None and not self._held:
            self._close()

    def abort(self) -> None:
        self.transport.abort()

    def _next(self) -> None:
        """Wait for the next request, or begin the one that is here already."""
        self._phase = _HEAD
        self._deadline = self.loop.time() + self._common.limits.idle_s
        self._resume()
        if self._held:
            data = bytes(self._held)
            self._held.clear()
            self.data_received(data)

    def _expire(self) -> None:
        if self._phase == _HEAD and self._held:
            self._refuse(408, "the request's head did not come in time")
        elif self._phase in (_BODY, _CHUNKS) and self._exchange is not None:
            self._refuse(408, "the request's body did not come in time", cancel=False)
        else:
            self._close()

    def _refuse(self, status: int, message: str, *, cancel: bool = True) -> None:
        """Answer what cannot be parsed or waited for, and close."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.disconnect(cancel=cancel)
        answered = exchange.started if exchange is not None else self._phase in (_BODY, _CHUNKS)
        if answered:
            self.break_off(truthful=exchange is None or exchange.finished)
            return
        body = error_body(message)
        self.transport.write(
            b"%bcontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (status_line(status) + self._common.server_line, len(body), body)
        )
        self._linger()

    def _linger(self) -> None:
        """Close, but not before the client had time to read: closing over unread bytes resets."""
        self._phase = _LINGER
        self._held.clear()
        self._deadline = self.loop.time() + _LINGER_S
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._resume()

    def _close(self) -> None:
        self._phase = _LINGER
        self._deadline = math.inf
        self._expect_flush()
        self.transport.close()

    def _expect_flush(self) -> None:
        self._write_size = self.transport.get_write_buffer_size()
        self._write_deadline = self.loop.time() + self._common.limits.send_idle_s

    def _pause(self) -> None:
        if self._reading and not self.transport.is_closing():
            self._reading = False
            self.transport.pause_reading()

    def _resume(self) -> None:
        if not self._reading and not self.transport.is_closing():
            self._reading = True
            self.transport.resume_reading()


def _address(name: Any) -> tuple[str, int] | None:
    return (name[0], name[1]) if isinstance(name, tuple) else None
