"""The relayed endpoints: one class, an operation of the dialect as its argument.

The one door: identify → read → resolve → hold → relay → settle. Whatever happens, the request
leaves one record, and a client that is still there gets an answer it can understand.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod

from oneapi.dialects.openai import Operation, peek, peek_form, render_error, stream_error
from oneapi.errors import ApiError, StoreError, UpstreamError
from oneapi.gateway.bodies import Body
from oneapi.gateway.gateway import Gateway
from oneapi.gateway.identify import Identity, credential, identify
from oneapi.gateway.meter import Meter, Settlement
from oneapi.gateway.relay import Job
from oneapi.gateway.snapshot import Target
from oneapi.gateway.state import Flight
from oneapi.ir import Envelope
from oneapi.net.base import CarrierError
from oneapi.net.shared import ClientGone
from oneapi.web.body import read_form, read_json
from oneapi.web.exchange import Exchange

log = logging.getLogger("oneapi.web")

JSON_HEAD = [(b"content-type", b"application/json")]


class Endpoint(ABC):
    """An endpoint whose every request leaves one record. Subclasses answer in `handle`."""

    name: str

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def __call__(self, exchange: Exchange, path_model: str | None = None) -> None:
        exchange.recorded = True
        meter = Meter(
            snapshot=exchange.snapshot,
            endpoint=self.name,
            request_id=exchange.request_id,
            client=exchange.peer.address,
            id=exchange.id,
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
            self.gateway.state.flights.pop(exchange.id, None)
            if meter.permit is not None and not meter.settled:
                self.gateway.books.door.release(meter.permit)

    @abstractmethod
    async def handle(
        self, exchange: Exchange, meter: Meter, flight: Flight, path_model: str | None
    ) -> None:
        """Answer, or raise `ApiError`; the caller and the record are noted on `meter`."""

    def identify(self, exchange: Exchange, meter: Meter, flight: Flight) -> Identity:
        """Who calls; noted on the record and the flight."""
        presented = credential(exchange.headers)
        exchange.cors = presented != ""  # keyless calls are no business of web pages (D35)
        identity = identify(
            exchange.snapshot,
            self.gateway.state,
            exchange.headers,
            exchange.peer,
            endpoint=self.name,
            now_ms=meter.time_ms,
            presented=presented,
        )
        caller = identity.caller
        meter.caller = caller
        flight.user = caller.user
        flight.token = caller.token
        exchange.cors = not caller.anonymous
        return identity

    def _left(self, meter: Meter) -> None:
        """The client is gone: what was used is settled, nobody waits for the commit."""
        if not meter.settled:
            meter.settle(self.gateway.books, 499, "client_left", "client_left")

    async def _refuse(self, exchange: Exchange, meter: Meter, error: ApiError) -> None:
        if not meter.settled:
            status = exchange.status or error.status
            how: Settlement = "failed" if meter.attempts else "refused"
            if error.code == "request_cancelled":
                how = "cancelled"
            _, committed = meter.settle(self.gateway.books, status, how, error.code)
            try:
                await committed
            except StoreError as failure:
                log.error("request %s: its record is not written: %s", exchange.request_id, failure)
        if exchange.begun and not exchange.streams:
            raise ClientGone("its answer cannot be completed")  # sound, say: nothing may follow it
        if exchange.begun:
            return await exchange.finish(stream_error(error, exchange.request_id))
        head = [(k.encode(), v.encode("latin-1", "replace")) for k, v in error.headers.items()]
        if isinstance(error, UpstreamError) and error.body is not None:
            kind = (b"content-type", error.content_type.encode("latin-1"))
            return await exchange.answer(error.status, [kind, *head], error.body)
        await exchange.answer(
            error.status, [*JSON_HEAD, *head], render_error(error, exchange.request_id)
        )


class Relayed(Endpoint):
    """An endpoint that some provider answers."""

    def __init__(self, gateway: Gateway, operation: Operation) -> None:
        super().__init__(gateway)
        self.operation = operation
        self.name = operation.name.partition(".")[0]

    async def handle(
        self, exchange: Exchange, meter: Meter, flight: Flight, path_model: str | None
    ) -> None:
        identity = self.identify(exchange, meter, flight)
        meter.operation = self.operation
        envelope, body = await self._read(exchange, path_model)
        meter.model = flight.model = envelope.model
        meter.stream = flight.stream = envelope.stream
        meter.request = body.text()
        targets = self._targets(exchange, identity, envelope)
        self.gateway.books.door.admit()
        meter.permit = self.gateway.books.door.hold()
        settings = exchange.snapshot.settings.server
        job = Job(
            operation=self.operation,
            envelope=envelope,
            headers=exchange.headers,
            body=body,
            client=exchange,
            meter=meter,
            flight=flight,
            debug=settings.debug_headers == "always"
            or (settings.debug_headers == "admins" and identity.caller.admin),
        )
        await self.gateway.relay.run(job, targets)

    async def _read(self, exchange: Exchange, path_model: str | None) -> tuple[Envelope, Body]:
        server = exchange.snapshot.settings.server
        if self.operation.form and not _is_json(exchange):
            form = await read_form(exchange, limit=server.max_body, retry=server.retry_body)
            return peek_form(self.operation, form.fields, form.size), form.body
        body, members = await read_json(exchange, limit=server.max_body, retry=server.retry_body)
        envelope = peek(self.operation, members, path_model)
        envelope.size = len(body.raw)
        return envelope, body

    def _targets(
        self, exchange: Exchange, identity: Identity, envelope: Envelope
    ) -> tuple[Target, ...]:
        snapshot, caller = exchange.snapshot, identity.caller
        model = envelope.model
        if model not in caller.policy.models:
            raise ApiError(
                403,
                f"this key may not use the model `{model}`",
                code="model_not_allowed",
                kind="permission_error",
                param="model",
            )
        if identity.pinned is not None:
            if not identity.pinned.account.supports(self.operation.name):
                raise _not_served(model, self.name)
            return (snapshot.pinned(identity.pinned, model),)
        targets = snapshot.resolve(
            model, caller, self.operation.name, self.gateway.state.discovered
        )
        if targets:
            return targets
        raise _not_served(model, self.name)


def _is_json(exchange: Exchange) -> bool:
    """Operations that take forms take JSON as well: images by their addresses, sound as base64."""
    return exchange.headers.get(b"content-type", b"").lower().startswith(b"application/json")


def _not_served(model: str, endpoint: str) -> ApiError:
    return ApiError(
        404,
        f"the model `{model}` does not exist here for the endpoint `{endpoint}`, "
        "or you do not have access to it",
        code="model_not_found",
        param="model",
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
