"""The relayed endpoints: one class, an operation of a dialect as its argument.

The one door: identify → read → resolve → hold → relay → settle.
"""

from __future__ import annotations

import time
from functools import partial

from oneapi.dialects import registry
from oneapi.dialects.base import Operation, Stamp
from oneapi.dialects.openai_requests import peek_form
from oneapi.errors import ApiError
from oneapi.estimate import sound_ms
from oneapi.gateway.bodies import Body, FormBody, JsonBody, StreamedForm
from oneapi.gateway.books import written
from oneapi.gateway.gateway import Gateway
from oneapi.gateway.identify import Identity
from oneapi.gateway.job import Job
from oneapi.gateway.lanes import Wanted
from oneapi.gateway.meter import Meter
from oneapi.gateway.pictures import IMAGES, variant
from oneapi.gateway.snapshot import Target
from oneapi.gateway.state import Flight
from oneapi.gateway.tasklane import estimated_tokens
from oneapi.gateway.translate import estimated_input
from oneapi.ir import Envelope
from oneapi.web.body import read_form, read_json
from oneapi.web.endpoint import JSON_HEAD, OPENAI, Endpoint
from oneapi.web.exchange import Exchange

HEARD = frozenset({"transcriptions", "translations"})
HEAD = 16 * 1024
"""Bytes of a form in which a file begins."""


class Relayed(Endpoint):
    """An endpoint that some provider answers.

    `name` is the endpoint's in policies and records. `stream` overrides what the body says, for
    dialects that say it in the path; with `path_model_wins` the model in a path replaces the
    body's (Azure ignores that one).
    """

    def __init__(
        self,
        gateway: Gateway,
        operation: Operation,
        dialect: str = OPENAI,
        *,
        name: str = "",
        stream: bool | None = None,
        path_model_wins: bool = False,
    ) -> None:
        super().__init__(gateway, dialect)
        self.operation = operation
        self.name = name or operation.name.partition(".")[0]
        self.wanted = Wanted(dialect, operation)
        self._stream = stream
        self._path_model_wins = path_model_wins
        self.face = registry.face(dialect, operation.name)
        self._task_face = registry.task_face(dialect, operation.name)

    async def handle(
        self, exchange: Exchange, meter: Meter, flight: Flight, path_model: str | None
    ) -> None:
        identity = self.identify(exchange, meter, flight)
        meter.operation = self.operation
        envelope, body = await self._read(exchange, meter, path_model)
        meter.model = flight.model = envelope.model
        meter.stream = flight.stream = envelope.stream
        meter.request = body.text()
        targets = self.targets(exchange, identity, envelope)
        meter.model = flight.model = targets[0].asked  # without a tag that says nothing, say
        body, targets = await self.continued(meter, envelope, body, targets)
        own = self.own_answer(meter, envelope, body)
        if own is not None:
            _, committed = meter.settle(self.gateway.books, 200, "complete")
            await written(committed)
            return await exchange.answer(200, JSON_HEAD, own)
        job = self.job(exchange, identity, envelope, body, meter, flight)
        await self.relay(job, targets)

    async def continued(
        self, meter: Meter, envelope: Envelope, body: Body, targets: tuple[Target, ...]
    ) -> tuple[Body, tuple[Target, ...]]:
        """The request with what it follows, and who of the targets can answer it: the usual one
        follows nothing. Raises `ApiError`.
        """
        return body, targets

    def own_answer(self, meter: Meter, envelope: Envelope, body: Body) -> bytes | None:
        """What the gateway answers by itself, None for what a provider must: the usual case."""
        return None

    async def relay(self, job: Job, targets: tuple[Target, ...]) -> None:
        """Through the ledger's door and to the targets."""
        gateway, meter = self.gateway, job.meter
        meter.counter = targets[0].counter
        able = await gateway.relay.gate.admit(job, targets)
        if any(target.channel.drains for target in able):
            return await gateway.departures.relay(
                job, lambda: gateway.relay.run(job, able), lambda: self.depart(meter, job.flight)
            )
        await gateway.relay.run(job, able)

    def job(
        self,
        exchange: Exchange,
        identity: Identity,
        envelope: Envelope,
        body: Body,
        meter: Meter,
        flight: Flight,
    ) -> Job:
        settings = exchange.snapshot.settings.server
        job = Job(
            dialect=self.dialect,
            operation=self.operation,
            envelope=envelope,
            headers=exchange.headers,
            body=body,
            client=exchange,
            meter=meter,
            flight=flight,
            stamp=stamp(meter),
            debug=settings.debug_headers == "always"
            or (settings.debug_headers == "admins" and identity.caller.admin),
            face=self.face,
            task_face=self._task_face,
            head=exchange.head,
        )
        if self.face is not None and self.dialect.NAME != OPENAI:
            meter.count = partial(estimated_input, job)
        if self._task_face is not None and self.dialect.NAME != OPENAI:
            meter.count = partial(estimated_tokens, job)
        return job

    async def _read(
        self, exchange: Exchange, meter: Meter, path_model: str | None
    ) -> tuple[Envelope, Body]:
        server = exchange.snapshot.settings.server
        if self.operation.form and not _is_json(exchange):
            form = await read_form(
                exchange,
                limit=server.max_body,
                retry=server.retry_body,
                whole=self.operation.name in IMAGES,
            )
            meter.variant = (form.fields.get("size", ""), form.fields.get("quality", ""))
            envelope = peek_form(self.operation, form.fields, form.size)
            if self.operation.name in HEARD:
                meter.heard_ms = sound_ms(_head(form.body), form.size)
            return envelope, form.body
        body, members = await read_json(
            exchange, self.dialect, limit=server.max_body, retry=server.retry_body
        )
        if self._path_model_wins and path_model and "model" in members:
            members = {name: raw for name, raw in members.items() if name != "model"}
            body = JsonBody(body.raw, members, body.repeatable, body.edit)
        envelope = self.dialect.peek(self.operation, members, path_model)
        if self._stream is not None:
            envelope.stream = self._stream
        envelope.size = len(body.raw)
        if self.operation.name in HEARD:
            meter.heard_ms = sound_ms(b"", len(body.raw) * 3 // 4)  # as base64
        if self.operation.name in IMAGES:
            meter.variant = variant(members)
        return envelope, body

    def targets(
        self,
        exchange: Exchange,
        identity: Identity,
        envelope: Envelope,
        wanted: Wanted | None = None,
    ) -> tuple[Target, ...]:
        """Who can answer. Raises `ApiError` 403 or 404."""
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
        wanted = wanted or self.wanted
        if identity.pinned is not None:
            pinned = snapshot.pinned(identity.pinned, model, wanted, caller)
            targets: tuple[Target, ...] = () if pinned is None else (pinned,)
        else:
            targets = snapshot.resolve(model, caller, wanted, self.gateway.state.discovered)
        if targets:
            return targets
        raise _not_served(model, self.name)


def _head(body: Body) -> bytes:
    """The beginning of a form, where a sound file says what it is."""
    match body:
        case FormBody():
            return body.raw[:HEAD]
        case StreamedForm():
            return body.head[:HEAD]
        case _:
            return b""


def stamp(meter: Meter) -> Stamp:
    started = meter.started_ns
    return Stamp(
        id=f"{meter.id:016x}",
        created=meter.time_ms // 1000,
        elapsed_ns=lambda: time.monotonic_ns() - started,
    )


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
