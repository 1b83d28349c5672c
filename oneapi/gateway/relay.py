"""The way of one call: target by target, key by key, until one answers; then its answer, byte by
byte.

Lanes of step 1: the byte lane sends and returns the bytes as they are, the edit lane changes single
members and keeps all others to the letter. The translate lane joins them in `_call` and `_relay`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from oneapi.dialects.openai import (
    Operation,
    StreamTap,
    describe,
    parse_answer,
    parse_error,
    rename_response,
    scrub,
    stream_error,
)
from oneapi.errors import ApiError, UpstreamError
from oneapi.gateway import policy
from oneapi.gateway.bodies import Body
from oneapi.gateway.books import Books, written
from oneapi.gateway.meter import SPEECH, Meter, Settlement
from oneapi.gateway.snapshot import Key, Target
from oneapi.gateway.state import Flight, State
from oneapi.ir import Envelope
from oneapi.net.base import Call, CarrierError, Headers, Reply
from oneapi.providers.account import classify
from oneapi.providers.headers import request_headers, response_headers

log = logging.getLogger("oneapi.relay")

MAX_ANSWER = 256 * 1024 * 1024
"""Bytes of the longest answer that is held whole: JSON, whose usage stands anywhere in it."""
MAX_ERROR = 1024 * 1024
AFTER_DONE_S = 0.2
"""Seconds to wait for a provider's end of body after its `[DONE]`, so that its connection can be
kept.
"""

MAX_CODE = 64
AUTH_CODES = {"invalid_api_key": 401, "401": 401, "insufficient_quota": 402, "402": 402, "403": 403}
"""Codes inside a 200 that speak of the channel's own account, and the status they stand for."""

WORDS = {
    "connect": "the provider cannot be reached",
    "connect_timeout": "the provider cannot be reached: it did not take the connection in time",
    "first_byte_timeout": "the provider did not begin to answer in time",
    "idle_timeout": "the provider fell silent in the middle of its answer",
    "closed": "the provider closed the connection before its answer was complete",
    "protocol": "the provider's answer breaks the rules of HTTP",
    "too_large": "the provider's answer is larger than the gateway holds",
}
"""What clients are told of a `CarrierError`, by its reason."""

Head = list[tuple[bytes, bytes]]


class Client(Protocol):
    """The caller's side of a request. `begin` or `answer` happens once; `begun` says whether it
    did.
    """

    begun: bool

    async def begin(self, status: int, headers: Headers) -> None:
        """Send the head of an answer whose length is not known."""
        ...

    async def write(self, data: bytes) -> None:
        """Send a part of the body; waits while the client does not read."""
        ...

    async def finish(self, data: bytes = b"") -> None:
        """Send the last part and end the answer."""
        ...

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer."""
        ...


@dataclass(slots=True, eq=False)
class Job:
    """One request to relay. `debug` asks for the headers that tell which channel answered."""

    operation: Operation
    envelope: Envelope
    headers: Mapping[bytes, bytes]
    body: Body
    client: Client
    meter: Meter
    flight: Flight
    debug: bool = False


class Relay:
    """Sends jobs to targets. One for the process; all it knows of a request stands in its `Job`."""

    def __init__(self, state: State, books: Books) -> None:
        self._state = state
        self._books = books

    async def run(self, job: Job, targets: Sequence[Target]) -> None:
        """Answer the job from the first target that can; raises what the last one said."""
        last: ApiError | None = None
        for target in policy.order(targets, self._state):
            for key in policy.live_keys(target.channel, self._state, job.meter.time_ms):
                if job.meter.attempts >= policy.MAX_ATTEMPTS:
                    break
                try:
                    return await self._attempt(job, target, key)
                except UpstreamError as error:
                    last = error
                    if not error.retryable:
                        raise
                    if error.code == "upstream_unreachable":
                        self._state.skip(target.channel.name)
                        break  # another key of an account that cannot be reached is no help
        raise last or no_key()

    async def _attempt(self, job: Job, target: Target, key: Key) -> None:
        meter, channel = job.meter, target.channel
        meter.attempts += 1
        meter.target = target
        meter.upstream_status = 0
        meter.first_byte_ns = 0  # what an earlier target sent was no content
        meter.tap = None
        job.flight.channel = channel.name
        try:
            reply = await channel.carrier.send(
                channel.account.origin, self._call(job, target, key), channel.timeouts
            )
        except CarrierError as error:
            raise _carrier_failure(job, error) from error
        try:
            meter.upstream_status = reply.status
            if reply.status >= 300:
                raise await self._refusal(job, target, key, reply)
            await self._relay(job, target, key, reply)
        finally:
            await reply.aclose()

    def _call(self, job: Job, target: Target, key: Key) -> Call:
        account = target.channel.account
        body, length = job.body.render(target, job.envelope)
        return Call(
            method=b"POST",
            target=account.target(job.operation.name, target.model),
            headers=request_headers(job.headers, (*job.body.headers, *account.headers(key.secret))),
            body=body,
            content_length=length,
        )

    async def _refusal(self, job: Job, target: Target, key: Key, reply: Reply) -> UpstreamError:
        """The provider's refusal as the client will see it, if no other target does better."""
        whole = True
        try:
            body = await reply.read(MAX_ERROR)
        except CarrierError:
            body, whole = b"", False
        message, code, kind = parse_error(reply.status, reply.headers, body)
        secrets = target.channel.secrets(key)
        message = scrub(message.encode("utf-8", "replace"), secrets).decode("utf-8", "replace")
        verdict = classify(reply.status, code, target.channel.preset, message)
        if verdict.auth:
            return _account_refused(job, target, key, reply.status, message)
        if reply.status < 400:
            return _failure(job, "the provider answered with a redirect", original=reply.status)
        return UpstreamError(
            reply.status,
            message,
            code=_word(code) or "upstream_error",
            kind=_word(kind) or "upstream_error",
            retryable=verdict.retryable and job.body.repeatable,
            original_status=reply.status,
            body=scrub(body, secrets) if whole else None,
            content_type=_content_type(reply.headers) or "application/json",
            headers=_retry_after(reply.headers),
        )

    async def _relay(self, job: Job, target: Target, key: Key, reply: Reply) -> None:
        kind = _content_type(reply.headers)
        if _is_stream(job, kind):
            await self._stream(job, target, key, reply)
        elif job.client.begun:  # an earlier target sent a comment: only a stream can follow it
            raise _failure(job, "the provider did not stream", original=reply.status)
        elif _is_binary(job, kind):
            await self._binary(job, target, reply)
        else:
            await self._whole(job, target, reply, kind)

    async def _whole(self, job: Job, target: Target, reply: Reply, kind: str) -> None:
        """JSON or text: read whole, metered, committed, and then sent."""
        try:
            body = await reply.read(MAX_ANSWER)
        except CarrierError as error:
            raise _carrier_failure(job, error) from error
        meter = job.meter
        problem, meter.usage = parse_answer(
            job.operation,
            reply.status,
            kind,
            body,
            output_excludes_reasoning=target.channel.preset.output_excludes_reasoning,
        )
        if problem is not None:
            raise _failure(job, problem, original=reply.status)
        meter.answer = body if meter.usage is None else b""
        if target.renamed:
            body = rename_response(body, target.asked)
        meter.first_byte()
        head = self._head(
            job, target, reply, settled=await self._settle(job, reply.status, "complete")
        )
        await job.client.answer(reply.status, head, body)

    async def _binary(self, job: Job, target: Target, reply: Reply) -> None:
        """Speech and the like: passed on as it comes, its last byte held until the record is
        committed.
        """
        client, meter, held = job.client, job.meter, b""
        while True:
            try:
                chunk = await reply.chunk()
            except CarrierError as error:
                if not client.begun:
                    raise _carrier_failure(job, error) from error
                await self._settle(job, reply.status, "upstream_broke", error.reason)
                raise
            if not chunk:
                break
            if out := held + chunk[:-1]:
                if not client.begun:
                    meter.first_byte()
                    await client.begin(reply.status, self._head(job, target, reply))
                await client.write(out)
            held = chunk[-1:]
        if not held:
            raise _failure(job, "the provider's answer was empty", original=reply.status)
        meter.first_byte()
        cost = await self._settle(job, reply.status, "complete")
        if client.begun:
            await client.finish(held)
        else:
            await client.answer(reply.status, self._head(job, target, reply, settled=cost), held)

    async def _stream(self, job: Job, target: Target, key: Key, reply: Reply) -> None:
        """Server-sent events: passed on as they come, the terminal event held until the record
        stands.
        """
        client, meter = job.client, job.meter
        preset = target.channel.preset
        tap = StreamTap(
            asked=target.asked if target.renamed else None,
            withhold_usage=preset.include_usage and not job.envelope.wants_usage,
            output_excludes_reasoning=preset.output_excludes_reasoning,
            secrets=target.channel.secrets(key),
        )
        meter.tap = tap
        broke: CarrierError | None = None
        held = b""
        try:
            while not tap.done and (chunk := await reply.chunk()):
                out = tap.feed(chunk)
                if tap.error is not None:
                    if not tap.content_seen:
                        raise _error_inside(job, target, key, tap)
                    held = out + await _after_error(reply, tap)
                    break
                if out:
                    if not client.begun:
                        meter.first_byte()
                        await client.begin(reply.status, self._head(job, target, reply))
                    await client.write(out)
        except CarrierError as error:
            broke = error
        except ValueError:
            broke = CarrierError("protocol", "an event of the stream is too large", sent=True)
        if not tap.content_seen and not (tap.done and tap.events > 1):
            if broke is not None:
                raise _carrier_failure(job, broke) from broke
            raise _failure(job, "the provider's stream ended before it began")
        await self._end_of_stream(job, target, reply, held, broke)

    async def _end_of_stream(
        self, job: Job, target: Target, reply: Reply, held: bytes, broke: CarrierError | None
    ) -> None:
        client, tap = job.client, job.meter.tap
        assert tap is not None
        tail = held + tap.close()
        if not client.begun:
            job.meter.first_byte()
            await client.begin(reply.status, self._head(job, target, reply))
        if broke is not None and not tap.done:
            await self._settle(job, reply.status, "upstream_broke", broke.reason)
            error = ApiError(502, WORDS[broke.reason], code="upstream_broke", kind="upstream_error")
            return await client.finish(tail + stream_error(error, job.meter.request_id))
        code = "upstream_error" if tap.error is not None else ""
        if not code and job.operation.ends and not (tap.finished or tap.usage):
            code = "stream_unfinished"  # passed on as it came; the record says what is odd
        await self._settle(job, reply.status, "complete", code)
        await client.finish(tail)
        if tap.done and broke is None:
            await _rest(reply)

    async def _settle(
        self, job: Job, status: int, settlement: Settlement, code: str = ""
    ) -> int | None:
        """Commit the record; what the client sees completed is in the ledger first. Returns the
        cost.
        """
        record, committed = job.meter.settle(self._books, status, settlement, code)
        await written(committed)
        return record.cost_nanousd

    def _head(self, job: Job, target: Target, reply: Reply, settled: int | None = None) -> Head:
        head = response_headers(reply.headers)
        if job.debug:
            head.append((b"x-oneapi-channel", target.channel.name.encode()))
            head.append((b"x-oneapi-model", target.model.encode("utf-8", "replace")))
            head.append((b"x-oneapi-attempts", str(job.meter.attempts).encode()))
            if settled is not None:
                head.append((b"x-oneapi-cost", f"{settled / 1e9:.9f}".encode()))
        return head


def _account_refused(
    job: Job, target: Target, key: Key, status: int, message: str
) -> UpstreamError:
    """The client's own key is fine: what the provider said of ours is for the log (D17)."""
    log.warning(
        "channel %s, key %s: its account was refused with %d: %s",
        target.channel.name,
        key.fingerprint,
        status,
        message[:300],
    )
    return UpstreamError(
        502,
        "the provider refused the gateway's own account; the operator's log says more",
        code="upstream_auth",
        retryable=job.body.repeatable,
        original_status=status,
        headers={"x-should-retry": "false"},
    )


def _error_inside(job: Job, target: Target, key: Key, tap: StreamTap) -> UpstreamError:
    """An error event that came first, inside a 200 (D21)."""
    message, code, _ = describe(tap.error)
    secrets = target.channel.secrets(key)
    message = scrub(message.encode("utf-8", "replace"), secrets).decode("utf-8", "replace")
    status = AUTH_CODES.get(code, 0)
    if status or classify(400, code, target.channel.preset, message).auth:
        return _account_refused(job, target, key, status or 400, message)
    return _failure(job, f"the provider's stream began with an error: {message}")


def _word(code: str) -> str:
    """A provider's code as it may stand in records and logs: short and printable."""
    return "".join(c for c in code[:MAX_CODE] if c.isprintable() and not "\ud800" <= c <= "\udfff")


async def _after_error(reply: Reply, tap: StreamTap) -> bytes:
    """What follows an error inside a stream, if it comes soon. Client libraries leave at the error,
    so it is held like a terminal event until the record stands.
    """
    out = b""
    try:
        async with asyncio.timeout(AFTER_DONE_S):
            while not tap.done and (chunk := await reply.chunk()):
                out += tap.feed(chunk)
    except (CarrierError, TimeoutError):
        pass
    return out


async def _rest(reply: Reply) -> None:
    """Read past `[DONE]` to the end of the body, if it comes soon: the connection can then be
    kept.
    """
    try:
        async with asyncio.timeout(AFTER_DONE_S):
            while await reply.chunk():
                pass
    except (CarrierError, TimeoutError):
        return


def _is_stream(job: Job, kind: str) -> bool:
    """A type that says so, or none that says otherwise where a stream was asked for."""
    if kind.startswith("text/event-stream"):
        return True
    vague = kind.startswith(("text/plain", "application/octet-stream")) or not kind
    return vague and job.envelope.stream


def _is_binary(job: Job, kind: str) -> bool:
    """Sound and the like. JSON comes as octets too, where JSON was asked for."""
    if kind.startswith("application/octet-stream"):
        return job.operation.name == SPEECH
    return kind.startswith(("audio/", "image/", "video/"))


def _content_type(headers: Headers) -> str:
    for name, value in headers:
        if name == b"content-type":
            return value.decode("latin-1").lower()
    return ""


def _retry_after(headers: Headers) -> dict[str, str]:
    wanted = (b"retry-after", b"retry-after-ms", b"x-should-retry")
    return {n.decode(): v.decode("latin-1") for n, v in headers if n in wanted}


def no_key() -> ApiError:
    return ApiError(
        503,
        "no channel for this model has a key that is still valid",
        code="no_channel_available",
        kind="server_error",
    )


def _failure(job: Job, message: str, *, original: int = 200) -> UpstreamError:
    """An answer that is not what was asked for: like a 502, another target may do better (D21)."""
    return UpstreamError(
        502,
        message,
        code="bad_upstream_answer",
        retryable=job.body.repeatable,
        original_status=original,
    )


def _carrier_failure(job: Job, error: CarrierError) -> UpstreamError:
    """A call that failed on its way. What never left may be sent again whatever its size.

    The client hears what happened, the log where: hosts are the operator's business.
    """
    late = error.reason in ("first_byte_timeout", "idle_timeout")
    reach = error.reason in ("connect", "connect_timeout")
    log.warning("channel %s: %s", job.flight.channel, error)
    return UpstreamError(
        504 if late else 502,
        WORDS[error.reason],
        code="upstream_unreachable"
        if reach
        else ("upstream_timeout" if late else "upstream_broke"),
        retryable=job.body.repeatable or (reach and not error.sent),
    )
