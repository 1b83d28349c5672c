"""The ASGI application: a dictionary for the hot paths, starlette's router for all others.

Pure ASGI throughout: no `BaseHTTPMiddleware`, which costs 14 µs a streamed chunk.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from oneapi.dialects.openai import OPERATIONS, render_error
from oneapi.errors import ApiError
from oneapi.gateway.gateway import Gateway
from oneapi.gateway.logs import Hit
from oneapi.net.shared import ClientGone, Receive, Scope, Send
from oneapi.web.cold import cold_routes
from oneapi.web.exchange import Exchange
from oneapi.web.relayed import JSON_HEAD, Relayed

log = logging.getLogger("oneapi.web")

Handler = Callable[[Exchange, str | None], Awaitable[None]]

PREFIXES = ("/v1", "")
"""Every relayed route stands with and without its version."""
PREFLIGHT = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-max-age", b"7200"),
    (b"vary", b"access-control-request-headers"),
]


class App:
    """ASGI 3. Cancelling the task that runs it means that the client is gone."""

    def __init__(self, gateway: Gateway, access: Callable[[Hit], None]) -> None:
        self._gateway = gateway
        self._access = access
        self._hot: dict[str, Handler] = {}
        for operation in OPERATIONS.values():
            for prefix in PREFIXES:
                self._hot[prefix + operation.path] = Relayed(gateway, operation)
        self._engines = Relayed(gateway, OPERATIONS["embeddings"])
        self._cold = cold_routes(gateway)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1002})
        exchange = Exchange(scope, receive, send, self._gateway.snapshot)
        try:
            await self._route(exchange, receive)
        except (ClientGone, asyncio.CancelledError):
            raise
        except ApiError as error:
            await _refuse(exchange, error)
        except Exception:
            log.exception("request %s failed", exchange.request_id)
            if exchange.begun:
                raise
            words = "the gateway failed; its log says why"
            await _refuse(
                exchange, ApiError(500, words, code="internal_error", kind="server_error")
            )
        finally:
            if not exchange.recorded:
                self._access(_hit(exchange))

    async def _route(self, exchange: Exchange, receive: Receive) -> None:
        path = exchange.path
        handler = self._hot.get(path)
        if handler is not None:
            if exchange.method == "POST":
                return await handler(exchange, None)
            return await self._other_method(exchange)
        engine = _engine(path)
        if engine is not None and exchange.method == "POST":
            return await self._engines(exchange, engine)
        if engine is not None or (exchange.method == "OPTIONS" and _is_relay(path)):
            return await self._other_method(exchange)
        await self._cold(exchange, receive)

    async def _other_method(self, exchange: Exchange) -> None:
        if exchange.method == "OPTIONS":
            asked = exchange.headers.get(
                b"access-control-request-headers", b"authorization, content-type"
            )
            return await exchange.answer(
                204, [*PREFLIGHT, (b"access-control-allow-headers", asked)], b""
            )
        raise ApiError(
            405,
            f"{exchange.path} takes POST, not {exchange.method}",
            code="method_not_allowed",
            headers={"allow": "POST, OPTIONS"},
        )


def _hit(exchange: Exchange) -> Hit:
    started_ms = exchange.id >> 20
    return Hit(
        time_ms=started_ms,
        method=exchange.method,
        path=exchange.path,
        status=exchange.status,
        total_ms=time.time_ns() // 1_000_000 - started_ms,
        request_id=exchange.request_id,
        client=exchange.peer.address,
    )


def _engine(path: str) -> str | None:
    """The model of `/v1/engines/{model}/embeddings`, whose name may hold slashes."""
    for prefix in PREFIXES:
        start = f"{prefix}/engines/"
        if path.startswith(start) and path.endswith("/embeddings"):
            return path[len(start) : -len("/embeddings")] or None
    return None


def _is_relay(path: str) -> bool:
    return path.startswith(("/v1/", "/models", "/engines/"))


async def _refuse(exchange: Exchange, error: ApiError) -> None:
    head = [(k.encode(), v.encode("latin-1", "replace")) for k, v in error.headers.items()]
    body = render_error(error, exchange.request_id)
    await exchange.answer(error.status, [*JSON_HEAD, *head], body)
