"""`/v1/oneapi/proxy/{channel}/…`: an admin's call through a channel as it stands, metered as a
request.

The channel's own key goes along, its authority is fixed (D36): the rest of the path cannot leave
it.
"""

from __future__ import annotations

import logging

from oneapi.dialects.base import Hints, Operation
from oneapi.errors import ApiError, UpstreamError
from oneapi.gateway.bodies import FormBody
from oneapi.gateway.books import written
from oneapi.gateway.failures import WORDS, no_key
from oneapi.gateway.identify import check_channel, find_channel
from oneapi.gateway.job import Job
from oneapi.gateway.lanes import Lane
from oneapi.gateway.limits import earliest
from oneapi.gateway.meter import Meter
from oneapi.gateway.policy import live_keys
from oneapi.gateway.snapshot import Caller, Channel, Snapshot, Target
from oneapi.gateway.state import Flight
from oneapi.ir import Envelope
from oneapi.net.base import Call, CarrierError
from oneapi.providers.headers import request_headers, response_headers
from oneapi.web.body import read
from oneapi.web.endpoint import Endpoint
from oneapi.web.exchange import Exchange
from oneapi.web.relayed import stamp
from oneapi.wire.json import MalformedJSON, Raw, decode, members

log = logging.getLogger("oneapi.web")

MARK = b"/v1/oneapi/proxy/"
MAX_MODEL = 256
PROXY = Operation("proxy", "")


class RawProxy(Endpoint):
    name = "proxy"

    async def handle(
        self, exchange: Exchange, meter: Meter, flight: Flight, path_model: str | None
    ) -> None:
        caller = self.identify(exchange, meter, flight).caller
        if not caller.admin:
            raise ApiError(
                403,
                "the proxy route is for admins",
                code="proxy_not_allowed",
                kind="permission_error",
            )
        channel, call, body = await self._call(exchange, caller, meter.time_ms)
        target = _target(exchange.snapshot, caller, channel, body)
        meter.model = flight.model = target.model
        job = self._job(exchange, meter, flight, body)
        gate = self.gateway.relay.gate
        await gate.admit(job, (target,))
        full = await gate.board(job, target)
        if isinstance(full, ApiError):
            raise full
        if full is not None:
            raise earliest(job, [(target, full)])
        meter.target = target
        meter.attempts = 1
        flight.channel = channel.name
        await self._relay(exchange, meter, channel, call)

    async def _relay(self, exchange: Exchange, meter: Meter, channel: Channel, call: Call) -> None:
        try:
            reply = await channel.carrier.send(channel.account.origin, call, channel.timeouts)
        except CarrierError as error:
            log.warning("channel %s: %s", channel.name, error)
            raise UpstreamError(
                502, WORDS[error.reason], code="upstream_unreachable", retryable=False
            ) from error
        meter.upstream_status = reply.status
        try:
            await exchange.begin(reply.status, response_headers(reply.headers))
            meter.first_byte()
            while chunk := await reply.chunk():
                await exchange.write(chunk)
        finally:
            await reply.aclose()
        _, committed = meter.settle(self.gateway.books, reply.status, "complete")
        await written(committed)
        await exchange.finish()

    def _job(self, exchange: Exchange, meter: Meter, flight: Flight, body: bytes) -> Job:
        """What admission looks at."""
        return Job(
            dialect=self.dialect,
            operation=PROXY,
            envelope=Envelope(meter.model, size=len(body)),
            headers=exchange.headers,
            body=FormBody(body, None, False),
            client=exchange,
            meter=meter,
            flight=flight,
            stamp=stamp(meter),
            head=exchange.head,
        )

    async def _call(
        self, exchange: Exchange, caller: Caller, now_ms: int
    ) -> tuple[Channel, Call, bytes]:
        name = exchange.scope["path_params"]["channel"]
        channel = find_channel(exchange.snapshot, name)
        if channel is None:
            raise ApiError(404, f"there is no channel {name[:64]!r}", code="unknown_channel")
        check_channel(caller, channel)
        raw: bytes = exchange.scope.get("raw_path") or exchange.path.encode()
        rest = b"/" + raw.partition(MARK)[2].partition(b"/")[2]
        target = channel.account.join(rest, exchange.query)
        key = next(live_keys(channel, self.gateway.state, now_ms), None)
        if key is None:
            raise no_key()
        body = await read(exchange, exchange.snapshot.settings.server.max_body)
        call = Call(
            method=exchange.method.encode(),
            target=target,
            headers=request_headers(exchange.headers, channel.account.headers(key.secret)),
            body=body,
        )
        return channel, call, body


def _target(snapshot: Snapshot, caller: Caller, channel: Channel, body: bytes) -> Target:
    """The channel, with the price of the model that the body names, if it names one: what a request
    costs there is all that can be known of it.
    """
    try:
        model = decode(members(body).get("model", Raw(b'""')))
    except MalformedJSON:
        model = ""
    if not isinstance(model, str) or len(model) > MAX_MODEL or not model.isprintable():
        model = ""
    price = snapshot.price(channel, model, model, caller.ratio_millionths) if model else None
    return Target(channel, model, model, 1, 0, price, Lane("", PROXY.name, Hints()))
