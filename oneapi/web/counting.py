"""Counting tokens before asking: by the provider where it can, by our own estimate elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from oneapi.dialects import registry
from oneapi.dialects.base import ChatFace
from oneapi.errors import ApiError
from oneapi.estimate import Counter
from oneapi.gateway.aside import Aside
from oneapi.gateway.books import written
from oneapi.gateway.gateway import Gateway
from oneapi.gateway.lanes import Wanted
from oneapi.gateway.meter import Meter
from oneapi.gateway.state import Flight
from oneapi.ir import Envelope
from oneapi.web.endpoint import JSON_HEAD
from oneapi.web.exchange import Exchange
from oneapi.web.relayed import Relayed
from oneapi.wire.json import JSON, decode


class Counting(Relayed):
    """Answers with a count. `chat` is the operation whose requests are counted, `answer` renders
    the number, `inside` finds the chat's body in the request.
    """

    def __init__(
        self,
        gateway: Gateway,
        dialect: str,
        name: str,
        *,
        chat: str,
        answer: Callable[[int], bytes],
        inside: Callable[[JSON], JSON] = lambda body: body,
    ) -> None:
        operations = registry.client(dialect).OPERATIONS
        super().__init__(gateway, operations[name], dialect, name="count_tokens")
        self._chat = Wanted(dialect, operations[chat])
        self._answer = answer
        self._inside = inside
        face = registry.face(dialect, chat)
        assert face is not None
        self._counted: ChatFace = face

    async def handle(
        self, exchange: Exchange, meter: Meter, flight: Flight, path_model: str | None
    ) -> None:
        identity = self.identify(exchange, meter, flight)
        meter.operation = self.operation
        envelope, body = await self._read(exchange, meter, path_model)
        meter.model = flight.model = envelope.model
        targets = self.targets(exchange, identity, envelope, self._chat)
        try:
            native = self.targets(exchange, identity, envelope)
        except ApiError:
            native = ()
        best = max(target.priority for target in targets)
        able = tuple(target for target in native if target.priority == best)
        body, able = await self.continued(meter, envelope, body, able)
        if able:
            job = self.job(exchange, identity, envelope, body, meter, flight)
            return await self.relay(job, able)
        raw = body.text()
        count = await Aside(len(raw))(self._count, raw, envelope, targets[0].counter)
        _, committed = meter.settle(self.gateway.books, 200, "complete")
        await written(committed)
        await exchange.answer(200, JSON_HEAD, self._answer(count))

    def _count(self, raw: bytes, envelope: Envelope, counter: Counter) -> int:
        value = self._inside(decode(raw))
        self._counted.parse_request(value, envelope)  # refuses what is none
        return counter.message_tokens(value, chat=True)
