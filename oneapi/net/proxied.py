"""Connections to providers through an HTTP or SOCKS5 proxy: httpx's transport as installed.

A proxy is the exception, so this carrier may be slower than `Pool`, and in one thing poorer: an
answer that comes while a body is still going out is read when the body has gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Protocol, cast

import httpx

from oneapi.net.base import Call, CarrierError, Headers, Origin, Reply, Timeouts, read_whole
from oneapi.net.upstream import default_tls

_KEEPALIVE_S = 60.0
_PROXY_AUTHENTICATION_REQUIRED = 407
_FAILURES = (httpx.TransportError, OSError)


class ProxiedPool:
    """A `Carrier` through one proxy: `http://`, `https://`, `socks5://` or `socks5h://` URLs.

    Raises `ValueError` for any other URL. The proxy's user and password stay out of every text.
    `tls` is asked for the context at the first call.
    """

    def __init__(self, proxy_url: str, *, tls: Callable[[], ssl.SSLContext] = default_tls) -> None:
        try:
            self._proxy = httpx.Proxy(proxy_url)
        except (ValueError, httpx.InvalidURL):
            schemes = "http://, https://, socks5:// or socks5h://"
            raise ValueError(f"a proxy's URL begins with {schemes}") from None
        self._tls = tls
        self._transport: httpx.AsyncHTTPTransport | None = None

    async def send(self, origin: Origin, call: Call, timeouts: Timeouts) -> Reply:
        attempt = _Attempt(origin, call, timeouts)
        try:
            return await attempt.send(self._opened())
        except CarrierError as error:
            stale = error.reason == "closed" and attempt.reused and isinstance(call.body, bytes)
            if not stale:
                raise
        return await _Attempt(origin, call, timeouts).send(self._opened())

    async def aclose(self) -> None:
        if self._transport is not None:
            await self._transport.aclose()

    def _opened(self) -> httpx.AsyncHTTPTransport:
        """Made on first use: it takes milliseconds, and most proxies wait for a call."""
        if self._transport is None:
            self._transport = httpx.AsyncHTTPTransport(
                verify=self._tls(),
                proxy=self._proxy,
                limits=httpx.Limits(max_keepalive_connections=256, keepalive_expiry=_KEEPALIVE_S),
            )
        return self._transport


class _Closable(Protocol):
    async def aclose(self) -> None: ...


class _Attempt:
    """One call on one connection, followed through httpcore's trace events.

    The events tell what no exception does: whether the connection was a new one, whether the
    request may have left, and when the wait for an answer began. One clock is moved along with
    them, since httpcore's own time-outs count each read by itself and leave the proxy's part out.
    """

    def __init__(self, origin: Origin, call: Call, timeouts: Timeouts) -> None:
        self._origin = origin
        self._timeouts = timeouts
        self._clock = asyncio.timeout(timeouts.connect)
        self._phase = "connect"
        self._body_error: BaseException | None = None
        self._socket: _Closable | None = None
        self.reused = True
        # httpcore reads these when a phase begins, `read` once more when the body's turn comes.
        self._limits: dict[str, float | None] = {"write": timeouts.idle, "read": None}
        self._request = httpx.Request(
            call.method.decode(),
            httpx.URL(
                scheme=origin.scheme, host=origin.host, port=origin.port, raw_path=call.target
            ),
            headers=_request_headers(origin, call),
            content=call.body if isinstance(call.body, bytes) else self._watched(call.body),
            extensions={"timeout": self._limits, "trace": self._trace},
        )

    async def send(self, transport: httpx.AsyncHTTPTransport) -> Reply:
        try:
            async with self._clock:
                response = await transport.handle_async_request(self._request)
        except _FAILURES as error:
            if self._body_error is error:
                raise
            if self._clock.expired():
                raise self._too_slow() from error
            raise _carrier_error(self._origin, error, sent=self._phase != "connect") from error
        finally:
            # httpcore forgets the socket on which the talk with a SOCKS5 proxy failed.
            if self._phase == "connect" and self._socket is not None:
                await self._socket.aclose()
        if response.status_code == _PROXY_AUTHENTICATION_REQUIRED:
            await response.aclose()
            raise CarrierError.at(self._origin, "connect", "the proxy refused (407)", sent=False)
        self._limits["read"] = self._timeouts.idle
        return _ProxiedReply(self._origin, response)

    async def _trace(self, event: str, info: dict[str, object]) -> None:
        if event.endswith("connect_tcp.started"):
            self.reused = False
            return
        if event.endswith("connect_tcp.complete"):
            self._socket = cast(_Closable, info["return_value"])
            return
        # Whatever it is: socksio's errors and httpcore's assertions come out of httpx unmapped.
        if event.endswith("setup_socks5_connection.failed"):
            if isinstance(info["exception"], Exception):
                raise CarrierError.at(
                    self._origin, "connect", "the SOCKS5 proxy refused", sent=False
                )
            return
        request = info.get("request")
        if getattr(request, "method", b"CONNECT") == b"CONNECT":  # the talk with the proxy itself
            return
        if event.endswith("send_request_headers.started"):
            self._phase = "write"
            self._clock.reschedule(None)
        elif event.endswith("receive_response_headers.started"):
            self._phase = "first_byte"
            due = asyncio.get_running_loop().time() + self._timeouts.first_byte
            self._clock.reschedule(due)

    async def _watched(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The body; what its iterator raises must not be taken for the network's failure."""
        try:
            async for piece in body:
                yield piece
        except Exception as error:
            self._body_error = error
            raise

    def _too_slow(self) -> CarrierError:
        if self._phase == "connect":
            text = f"no connection through the proxy within {self._timeouts.connect:g} s"
            return CarrierError.at(self._origin, "connect_timeout", text, sent=False)
        text = f"did not answer within {self._timeouts.first_byte:g} s"
        return CarrierError.at(self._origin, "first_byte_timeout", text)


class _ProxiedReply:
    """The `Reply` over httpx's stream, which yields the body as it came: nothing is decoded."""

    def __init__(self, origin: Origin, response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self.status = response.status_code
        self.headers: Headers = [(name.lower(), value) for name, value in response.headers.raw]
        self._origin = origin
        self._stream = response.stream
        self._pieces = aiter(response.stream)

    async def chunk(self) -> bytes:
        try:
            async for piece in self._pieces:
                if piece:
                    return piece
        except _FAILURES as error:
            raise _carrier_error(self._origin, error, sent=True) from error
        return b""

    async def read(self, limit: int) -> bytes:
        return await read_whole(self, limit, self._origin)

    async def aclose(self) -> None:
        with contextlib.suppress(*_FAILURES):
            await self._stream.aclose()


def _request_headers(origin: Origin, call: Call) -> list[tuple[bytes, bytes]]:
    headers = [(b"host", origin.authority), *call.headers]
    if not isinstance(call.body, bytes) and call.content_length is not None:
        headers.append((b"content-length", b"%d" % call.content_length))
    return headers


def _carrier_error(origin: Origin, error: Exception, *, sent: bool) -> CarrierError:
    """Ours for httpx's. No foreign text is passed on: a proxy may have put anything into it."""
    match error:
        case httpx.ProxyError():
            # "407 Proxy Authentication Required" to a CONNECT, "Invalid username/password" …
            status = str(error)[:3]
            text = f"the proxy refused ({status})" if status.isdigit() else "the proxy refused"
            return CarrierError.at(origin, "connect", text, sent=False)
        case httpx.ConnectTimeout():
            return CarrierError.at(origin, "connect_timeout", "no connection in time", sent=False)
        case httpx.TimeoutException():
            return CarrierError.at(origin, "idle_timeout", "nothing moved for too long")
        case httpx.LocalProtocolError():
            return CarrierError.at(
                origin, "protocol", "a request that is not valid HTTP", sent=False
            )
        case httpx.RemoteProtocolError() if not _is_closing(error):
            return CarrierError.at(origin, "protocol", "not a valid HTTP answer")
        case _ if sent:
            return CarrierError.at(origin, "closed", "closed before its answer was complete")
        case _:
            return CarrierError.at(origin, "connect", "no connection through the proxy", sent=False)


def _is_closing(error: httpx.RemoteProtocolError) -> bool:
    """httpx has one class for broken rules and for an early end; only its words differ."""
    text = str(error)
    return "disconnected" in text or "closed connection" in text
