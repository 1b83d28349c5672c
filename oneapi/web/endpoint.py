"""An endpoint: every request that comes to it leaves one record, and gets an answer that the
client's own library understands.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod

from oneapi.dialects import registry
from oneapi.dialects.base import ClientDialect
from oneapi.errors import ApiError, StoreError, UpstreamError
from oneapi.gateway.gateway import Gateway
from oneapi.gateway.identify import Identity, credential, identify
from oneapi.gateway.meter import Meter, Settlement
from oneapi.gateway.state import Flight
from oneapi.net.base import CarrierError
from oneapi.net.shared import ClientGone
from oneapi.web.exchange import Exchange

log = logging.getLogger("oneapi.web")

JSON_HEAD = [(b"content-type", b"application/json")]
OPENAI = "openai-chat"
NO_CORS = "/api/"
"""Where web pages of other sites never get an answer that they can read (D35)."""


class Endpoint(ABC):
    """An endpoint whose every request leaves one record. Subclasses answer in `handle`."""

    name: str
    query_key = False
    """Whether `?key=` is a credential here (D40)."""
    errors_in_band = False
    """Whether an error may follow what has been sent, although its type is none of a stream."""

    def __init__(self, gateway: Gateway, dialect: str = OPENAI) -> None:
        self.gateway = gateway
        self.dialect: ClientDialect = registry.client(dialect)

    async def __call__(self, exchange: Exchange, path_model: str | None = None) -> None:
        exchange.recorded = True
        exchange.dialect = self.dialect
        meter = Meter(
            snapshot=exchange.snapshot,
            endpoint=self.name,
            request_id=exchange.request_id,
            client=exchange.peer.address,
            id=exchange.id,
            dialect=self.dialect,
        )
        flight = Flight(
            exchange.id,
            exchange.request_id,
            meter.time_ms,
            endpoint=self.name,
            client=meter.client,
            task=asyncio.current_task(),
        )
        self.gateway.state.flights[exchange.id] = flight
        try:
            await self.handle(exchange, meter, flight, path_model)
        except ApiError as error:
            await self._refuse(exchange, meter, error)
        except ClientGone:
            self._left(meter)
        except asyncio.CancelledError:
            if not flight.cancelled_by:
                self._left(meter)
                raise
            if flight.task is not None:
                flight.task.uncancel()
            await self._refuse(exchange, meter, _cancelled())
        except (
            CarrierError
        ) as error:  # after the first byte of an answer that has no in-band errors
            if not meter.settled:
                meter.settle(self.gateway.books, exchange.status, "upstream_broke", error.reason)
            raise ClientGone("its answer broke") from error
        except Exception:
            log.exception("request %s failed", exchange.request_id)
            await self._refuse(exchange, meter, _internal())
        finally:
            if not meter.detached:
                self.close(meter, flight)

    def depart(self, meter: Meter, flight: Flight) -> None:
        """A request that went on without its client is over: what was used is settled."""
        if not meter.settled:
            meter.settle(self.gateway.books, 499, "client_left", "client_left")
        self.close(meter, flight)

    def close(self, meter: Meter, flight: Flight) -> None:
        """The request is over, whoever ended it."""
        self.gateway.state.flights.pop(flight.id, None)
        meter.close(self.gateway.books)

    @abstractmethod
    async def handle(
        self, exchange: Exchange, meter: Meter, flight: Flight, path_model: str | None
    ) -> None:
        """Answer, or raise `ApiError`; the caller and the record are noted on `meter`."""

    def identify(self, exchange: Exchange, meter: Meter, flight: Flight) -> Identity:
        """Who calls; noted on the record and the flight."""
        presented = exchange.path_key or credential(
            exchange.headers, exchange.query, query_key=self.query_key
        )
        exchange.cors = presented != "" and not exchange.path.startswith(
            NO_CORS
        )  # keyless calls are no business of web pages (D35)
        identity = identify(
            exchange.snapshot,
            self.gateway.state,
            exchange.headers,
            exchange.peer,
            endpoint=self.name,
            now_ms=meter.time_ms,
            presented=presented,
        )
        if exchange.path_key and not identity.caller.policy.in_path:
            raise _not_in_path()
        caller = identity.caller
        meter.caller = caller
        flight.user = caller.user
        flight.token = caller.token
        exchange.cors = exchange.cors and not caller.anonymous
        if caller.policy.log_bodies:
            copy = self.gateway.bodies.copy(self.gateway.loaded, meter.id, exchange.headers)
            copy.secrets = (presented,)
            exchange.overhear(copy.came, copy.went)
            meter.copy = copy
        return identity

    def _left(self, meter: Meter) -> None:
        """The client is gone: what was used is settled, nobody waits for the commit."""
        if not (meter.settled or meter.detached):
            meter.settle(self.gateway.books, 499, "client_left", "client_left")

    async def _refuse(self, exchange: Exchange, meter: Meter, error: ApiError) -> None:
        own = isinstance(error, UpstreamError) and error.body is not None  # in its dialect already
        given = error.status if own else self.dialect.error_status(error)
        if not meter.settled:
            status = exchange.status or given
            how: Settlement = "failed" if meter.attempts else "refused"
            if error.code == "request_cancelled":
                how = "cancelled"
            _, committed = meter.settle(self.gateway.books, status, how, error.code)
            try:
                await committed
            except StoreError as failure:
                log.error("request %s: its record is not written: %s", exchange.request_id, failure)
        if exchange.begun and not (exchange.streams or self.errors_in_band):
            raise ClientGone("its answer cannot be completed")  # sound, say: nothing may follow it
        if exchange.begun:
            return await exchange.finish(self.dialect.stream_error(error, exchange.request_id))
        head = [(k.encode(), v.encode("latin-1", "replace")) for k, v in error.headers.items()]
        if isinstance(error, UpstreamError) and error.body is not None:
            kind = (b"content-type", error.content_type.encode("latin-1"))
            return await exchange.answer(error.status, [kind, *head], error.body)
        await exchange.answer(
            given, [*JSON_HEAD, *head], self.dialect.render_error(error, exchange.request_id)
        )


def _not_in_path() -> ApiError:
    return ApiError(
        403,
        "the policy of this key does not allow it in a path (`in_path`)",
        code="key_in_path_not_allowed",
        kind="permission_error",
    )


def _cancelled() -> ApiError:
    return ApiError(
        503,
        "this request was cancelled by the operator",
        code="request_cancelled",
        kind="server_error",
        headers={"x-should-retry": "false"},
    )


def _internal() -> ApiError:
    return ApiError(
        500, "the gateway failed; its log says why", code="internal_error", kind="server_error"
    )
