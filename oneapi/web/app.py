"""The ASGI application: a dictionary for the hot paths, starlette's router for all others.

Pure ASGI throughout: no `BaseHTTPMiddleware`, which costs 14 µs a streamed chunk.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from urllib.parse import unquote

from oneapi.dialects import registry
from oneapi.dialects.base import ClientDialect
from oneapi.errors import ApiError
from oneapi.gateway.gateway import Gateway
from oneapi.gateway.logs import Hit
from oneapi.net.shared import ClientGone, Receive, Scope, Send, shown
from oneapi.web.cold import cold_routes
from oneapi.web.endpoint import JSON_HEAD, NO_CORS
from oneapi.web.exchange import Exchange
from oneapi.web.routes import HotPaths

log = logging.getLogger("oneapi.web")

KEY = "/key/"
MESSAGES = ("/v1/messages/", "/messages/", "/anthropic/")
GETS = frozenset({"/v1/responses", "/responses", "/openai/v1/responses", "/openai/responses"})
"""Relayed paths that also take other methods."""
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
        self._paths = HotPaths(gateway)
        self._hot = self._paths.exact
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
        model = None
        if handler is None and path.startswith(KEY):
            path = _take_key(exchange)
            handler = self._hot.get(path)
        if handler is None and (found := self._paths.find(path, exchange.query)) is not None:
            handler, model = found
        if handler is not None and exchange.method == "POST":
            return await handler(exchange, model)
        if handler is not None:
            exchange.dialect = handler.dialect
        relays = handler is not None
        if (relays and path not in GETS) or (exchange.method == "OPTIONS" and _is_relay(path)):
            return await self._other_method(exchange)
        exchange.dialect = _dialect_of(exchange)
        await self._cold(exchange, receive)

    async def _other_method(self, exchange: Exchange) -> None:
        if exchange.method == "OPTIONS" and not exchange.path.startswith(NO_CORS):
            asked = exchange.headers.get(
                b"access-control-request-headers", b"authorization, content-type"
            )
            return await exchange.answer(
                204, [*PREFLIGHT, (b"access-control-allow-headers", asked)], b""
            )
        raise ApiError(
            405,
            f"{shown(exchange.path)} takes POST, not {exchange.method}",
            code="method_not_allowed",
            headers={"allow": "POST, OPTIONS"},
        )


def _hit(exchange: Exchange) -> Hit:
    started_ms = exchange.id >> 20
    return Hit(
        time_ms=started_ms,
        method=exchange.method,
        path=shown(exchange.path),
        status=exchange.status,
        total_ms=time.time_ns() // 1_000_000 - started_ms,
        request_id=exchange.request_id,
        client=exchange.peer.address,
    )


def _take_key(exchange: Exchange) -> str:
    """`/key/SECRET/api/chat`: the secret is taken out of the path before anything is made of it."""
    secret, slash, rest = exchange.path[len(KEY) :].partition("/")
    exchange.path_key = secret
    exchange.path = (slash + rest) or "/"
    raw = exchange.path.encode("utf-8", "replace")
    before, cut, after = exchange.scope.get("raw_path", b"")[len(KEY) :].partition(b"/")
    if unquote(before.decode("ascii", "replace")) == secret:  # else a slash stood there escaped
        raw = (cut + after) or b"/"
    exchange.scope = {**exchange.scope, "path": exchange.path, "raw_path": raw}
    return exchange.path


def _dialect_of(exchange: Exchange) -> ClientDialect:
    """In whose words a path that is no operation is refused."""
    path, headers = exchange.path, exchange.headers
    if path.startswith("/api/") and path != "/api/status":
        return registry.client("ollama")
    if path.startswith(("/v1beta/", "/upload/v1beta/")) or b"x-goog-api-key" in headers:
        return registry.client("gemini")
    if path.startswith(MESSAGES) or b"anthropic-version" in headers:
        return registry.client("anthropic")
    return registry.client("openai-chat")


def _is_relay(path: str) -> bool:
    starts = ("/v1/", "/v1beta/", "/v2/", "/models", "/engines/", "/openai/")
    return path.startswith(starts)


async def _refuse(exchange: Exchange, error: ApiError) -> None:
    head = [(k.encode(), v.encode("latin-1", "replace")) for k, v in error.headers.items()]
    dialect = exchange.dialect
    body = dialect.render_error(error, exchange.request_id)
    await exchange.answer(dialect.error_status(error), [*JSON_HEAD, *head], body)
