"""Stored responses: shown, listed, deleted; and the WebSocket that Codex tries first, refused.

What the provider stores is asked of the channel that answered, with the key that got it; what the
gateway stores is answered from its memory or its disk.
"""

from __future__ import annotations

import logging
import time
from typing import Final, Literal
from urllib.parse import parse_qsl, quote, urlencode

from oneapi.dialects import responses
from oneapi.dialects.base import Hints
from oneapi.errors import ApiError, UpstreamError
from oneapi.gateway.books import written
from oneapi.gateway.failures import WORDS, cleaned, no_key
from oneapi.gateway.gateway import Gateway
from oneapi.gateway.lanes import Lane
from oneapi.gateway.meter import Meter
from oneapi.gateway.policy import live_keys
from oneapi.gateway.snapshot import Caller, Channel, Key, Target
from oneapi.gateway.state import Flight
from oneapi.gateway.stored import Kept
from oneapi.net.base import Call, CarrierError
from oneapi.net.shared import Receive, Scope, Send, shown
from oneapi.providers.account import classify
from oneapi.providers.auth.base import refused
from oneapi.web.endpoint import JSON_HEAD, Endpoint
from oneapi.web.exchange import Exchange
from oneapi.web.responses import shelf_of
from oneapi.wire.json import decode

log = logging.getLogger("oneapi.web")

What = Literal["one", "input_items", "cancel"]
PASSED: Final = frozenset({"include", "include[]", "limit", "order", "after", "before"})
"""Members of a query that a provider is told."""
MAX_ANSWER: Final = 256 * 1024 * 1024
OPERATION: Final = "responses"
SOCKET: Final = frozenset({b"sec-websocket-key", b"sec-websocket-version"})


class ResponseLookup(Endpoint):
    """`GET` and `DELETE /v1/responses/{id}`, `…/input_items`, `POST …/cancel`."""

    name = OPERATION

    def __init__(self, gateway: Gateway, what: What) -> None:
        super().__init__(gateway, responses.NAME)
        self._what = what

    async def handle(
        self, exchange: Exchange, meter: Meter, flight: Flight, path_model: str | None
    ) -> None:
        caller = self.identify(exchange, meter, flight).caller
        name = exchange.scope["path_params"]["response_id"]
        query = dict(parse_qsl(exchange.query.decode("latin-1"), keep_blank_values=True))
        if query.get("stream", "false").lower() not in ("false", "0", ""):
            raise _bad("stream", "a stored response is answered whole; leave `stream` out")
        shelf = shelf_of(self.gateway.stored, meter)
        kept = await shelf.find(name)
        if kept is None:
            raise responses.no_response(name)
        meter.model = flight.model = kept.model
        if kept.native:
            body = await _Upstream(self.gateway, exchange, meter, kept).ask(caller, self._what)
        else:
            body = self._own(exchange, kept, query)
        if exchange.method == "DELETE":
            await shelf.stored.forget(shelf.owner, name, disk=shelf.disk)
        _, committed = meter.settle(self.gateway.books, 200, "complete")
        await written(committed)
        await exchange.answer(200, JSON_HEAD, body)

    def _own(self, exchange: Exchange, kept: Kept, query: dict[str, str]) -> bytes:
        if self._what == "cancel":
            raise ApiError(
                400,
                "only a response in the background can be cancelled, and the gateway does not "
                "answer in the background",
                code="response_not_cancellable",
            )
        if self._what == "input_items":
            return responses.item_page(
                decode(kept.input),
                kept.id,
                limit=_limit(query),
                after=query.get("after", ""),
                ascending=_ascending(query),
            )
        return responses.deleted(kept.id) if exchange.method == "DELETE" else kept.answer


class _Upstream:
    """One question to the provider that stores a response."""

    def __init__(self, gateway: Gateway, exchange: Exchange, meter: Meter, kept: Kept) -> None:
        self._gateway = gateway
        self._exchange = exchange
        self._meter = meter
        self._kept = kept

    async def ask(self, caller: Caller, what: What) -> bytes:
        """The provider's answer. Raises `ApiError`: its own refusal, 404 where it has none."""
        exchange, kept, meter = self._exchange, self._kept, self._meter
        channel = exchange.snapshot.channels.get(kept.channel)
        if channel is None or not exchange.snapshot.may_use(channel, caller):
            raise responses.no_response(kept.id)
        key = self._key(channel)
        lane = Lane(responses.NAME, OPERATION, Hints())
        meter.target = Target(channel, kept.model, kept.model, 1, 0, None, lane)
        meter.attempts = 1
        call = await self._call(channel, key, "" if what == "one" else f"/{what}")
        try:
            reply = await channel.carrier.send(channel.account.origin, call, channel.timeouts)
            try:
                meter.upstream_status = reply.status
                body = await reply.read(MAX_ANSWER)
            finally:
                await reply.aclose()
        except CarrierError as error:
            log.warning("channel %s: %s", channel.name, error)
            words = WORDS[error.reason]
            raise UpstreamError(502, words, code="upstream_broke", retryable=False) from error
        if reply.status < 300:
            return responses.rename_response(body, kept.model)
        message, code, kind = responses.parse_error(reply.status, reply.headers, body)
        message = cleaned(message, meter.target, key)
        if reply.status == 404:
            raise responses.no_response(kept.id)
        if classify(reply.status, code, channel.preset, message).auth:
            raise refused(channel.name, message, status=reply.status)
        status = reply.status if reply.status >= 400 else 502
        words = message or "the provider refused without a word on why"
        raise ApiError(status, words, code=code or "upstream_error", kind=kind or "upstream_error")

    def _key(self, channel: Channel) -> Key:
        live = list(live_keys(channel, self._gateway.state, self._meter.time_ms))
        if not live:
            raise no_key()
        return next((key for key in live if key.fingerprint == self._kept.key), live[0])

    async def _call(self, channel: Channel, key: Key, rest: str) -> Call:
        account, exchange = channel.account, self._exchange
        if not account.supports(OPERATION):
            raise responses.no_response(self._kept.id)
        path, _, own = account.target(OPERATION, self._kept.model).partition(b"?")
        given = parse_qsl(exchange.query.decode("latin-1"))
        asked = urlencode([pair for pair in given if pair[0] in PASSED]).encode()
        query = b"&".join(part for part in (own, asked) if part)
        path += b"/" + quote(self._kept.id, safe="").encode() + rest.encode()
        target = path + b"?" + query if query else path
        method = exchange.method.encode() if exchange.method != "HEAD" else b"GET"
        lines = list(account.headers(key.secret))
        if account.signer is not None:
            lines += await account.signer.sign(
                key.secret,
                method=method,
                host=account.origin.authority.decode(),
                target=target,
                body=b"",
                now_s=time.time(),
                headers=tuple(lines),
            )
        return Call(method, target, lines)


async def socket_refused(scope: Scope, receive: Receive, send: Send) -> None:
    """`GET /v1/responses`: Codex asks for a WebSocket there first, and goes on with `POST` at once
    where that is refused with 426; after any other status it tries again several times.
    """
    exchange: Exchange = scope["exchange"]
    exchange.dialect = responses
    if exchange.method == "GET" and not SOCKET.isdisjoint(exchange.headers):
        raise ApiError(
            426,
            "the gateway answers over HTTP, not over a WebSocket: POST the request",
            code="websocket_not_supported",
            headers={"x-should-retry": "false"},
        )
    raise ApiError(
        405,
        f"{shown(exchange.path)} takes POST, not {exchange.method}",
        code="method_not_allowed",
        headers={"allow": "POST, OPTIONS"},
    )


def _bad(param: str, words: str) -> ApiError:
    return ApiError(400, words, code="invalid_value", param=param)


def _limit(query: dict[str, str]) -> int:
    given = query.get("limit", "")
    if not given:
        return responses.PAGE
    if not (given.isascii() and given.isdigit() and len(given) < 4):
        raise _bad("limit", f"`limit` must be an integer from 1 to {responses.MOST}")
    if not 1 <= int(given) <= responses.MOST:
        raise _bad("limit", f"`limit` must be from 1 to {responses.MOST}")
    return int(given)


def _ascending(query: dict[str, str]) -> bool:
    order = query.get("order") or "desc"
    if order not in ("asc", "desc"):
        raise _bad("order", "`order` must be asc or desc")
    return order == "asc"
