"""The byte and edit lanes: the provider's answer in its own dialect, as it comes."""

from __future__ import annotations

import asyncio

from oneapi.dialects.base import Tap
from oneapi.dialects.openai_stream import StreamTap
from oneapi.errors import ApiError
from oneapi.gateway.answering import Answering, content_type, rest_of
from oneapi.gateway.failures import WORDS, carrier_failure, error_inside, failure
from oneapi.gateway.job import Job
from oneapi.gateway.meter import SPEECH
from oneapi.gateway.pictures import IMAGES, made
from oneapi.gateway.snapshot import Key, Target
from oneapi.gateway.wraps import BEDROCK, Unwrapping
from oneapi.net.base import CarrierError, Reply

MAX_ANSWER = 256 * 1024 * 1024
"""Bytes of the longest answer that is held whole: JSON, whose usage stands anywhere in it."""
AFTER_DONE_S = 0.2
"""Seconds to wait for what follows an error inside a stream."""


class ByteLane:
    """Relays answers whose dialect is the client's."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    async def relay(self, job: Job, target: Target, key: Key, reply: Reply) -> None:
        """Answer the client. Raises `UpstreamError` as long as another target may do better."""
        kind = content_type(reply.headers)
        if target.lane.wrap == BEDROCK and job.envelope.stream:
            reply = Unwrapping(reply)
            kind = content_type(reply.headers)
        if _is_stream(job, kind):
            await self._stream(job, target, key, reply)
        elif job.head_is_out:  # an earlier target sent a comment: only a stream can follow it
            raise failure(job, "the provider did not stream", original=reply.status)
        elif _is_binary(job, kind):
            await self._binary(job, target, reply)
        else:
            await self._whole(job, target, reply, kind)

    async def _whole(self, job: Job, target: Target, reply: Reply, kind: str) -> None:
        """JSON or text: read whole, metered, committed, and then sent."""
        try:
            body = await reply.read(MAX_ANSWER)
        except CarrierError as error:
            raise carrier_failure(job, error) from error
        meter = job.meter
        problem, meter.usage = job.dialect.parse_answer(
            job.operation,
            reply.status,
            kind,
            body,
            output_excludes_reasoning=target.channel.preset.output_excludes_reasoning,
        )
        if problem is not None:
            raise failure(job, problem, original=reply.status)
        if job.operation.name in IMAGES:
            meter.variant = made(body, meter.variant)
        meter.answer = b"" if meter.usage is not None and meter.usage.output_tokens else body
        if target.renamed:
            body = job.dialect.rename_response(body, target.asked)
        meter.first_byte()
        head = self._answering.head(
            job, target, reply, settled=await self._answering.settle(job, reply.status, "complete")
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
                    raise carrier_failure(job, error) from error
                await self._answering.settle(job, reply.status, "upstream_broke", error.reason)
                raise
            if not chunk:
                break
            if out := held + chunk[:-1]:
                if not client.begun:
                    meter.first_byte()
                    await client.begin(reply.status, self._answering.head(job, target, reply))
                await client.write(out)
            held = chunk[-1:]
        if not held:
            raise failure(job, "the provider's answer was empty", original=reply.status)
        meter.first_byte()
        cost = await self._answering.settle(job, reply.status, "complete")
        if client.begun:
            await client.finish(held)
        else:
            await client.answer(
                reply.status, self._answering.head(job, target, reply, settled=cost), held
            )

    async def _stream(self, job: Job, target: Target, key: Key, reply: Reply) -> None:
        """Server-sent events: passed on as they come, the terminal event held until the record
        stands.
        """
        client, meter = job.client, job.meter
        preset = target.channel.preset
        tap = job.dialect.tap(
            job.operation,
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
                        raise error_inside(job, target, key, tap.error)
                    held = out + await _after_error(reply, tap)
                    break
                if out:
                    if not client.begun:
                        meter.first_byte()
                        await client.begin(reply.status, self._answering.head(job, target, reply))
                    await client.write(out)
        except CarrierError as error:
            broke = error
        except ValueError:
            broke = CarrierError("protocol", "an event of the stream is too large", sent=True)
        if not tap.content_seen and not (tap.done and tap.events > 1):
            if broke is not None:
                raise carrier_failure(job, broke) from broke
            raise failure(job, "the provider's stream ended before it began")
        await self._end_of_stream(job, target, reply, tap, held, broke)

    async def _end_of_stream(
        self,
        job: Job,
        target: Target,
        reply: Reply,
        tap: Tap,
        held: bytes,
        broke: CarrierError | None,
    ) -> None:
        client = job.client
        tail = held + tap.close()
        if not client.begun:
            job.meter.first_byte()
            await client.begin(reply.status, self._answering.head(job, target, reply))
        if (broke is not None and not tap.done) or _is_unfinished(job, tap):
            reason = broke.reason if broke is not None else "stream_unfinished"
            await self._answering.settle(job, reply.status, "upstream_broke", reason)
            words = WORDS[broke.reason if broke is not None else "closed"]
            error = ApiError(502, words, code="upstream_broke", kind="upstream_error")
            return await client.finish(tail + job.dialect.stream_error(error, job.meter.request_id))
        if isinstance(tap, StreamTap):
            size, quality = tap.picture
            was = job.meter.variant
            job.meter.variant = (size or was[0], quality or was[1])
        code = "upstream_error" if tap.error is not None else ""
        await self._answering.settle(job, reply.status, "complete", code)
        await client.finish(tail)
        if tap.done and broke is None:
            await rest_of(reply)


def _is_unfinished(job: Job, tap: Tap) -> bool:
    """Whether a stream that says when it is complete ended without saying so. Where usage comes
    because it was asked for, it comes last and says as much.
    """
    if tap.error is not None or not job.operation.ends or tap.finished:
        return False
    return not (job.operation.usage_option and tap.usage)


async def _after_error(reply: Reply, tap: Tap) -> bytes:
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


def _is_stream(job: Job, kind: str) -> bool:
    """A type that says so, or none that says otherwise where a stream was asked for."""
    if kind.startswith(("text/event-stream", "application/x-ndjson")):
        return True
    vague = kind.startswith(("text/plain", "application/octet-stream")) or not kind
    return vague and job.envelope.stream


def _is_binary(job: Job, kind: str) -> bool:
    """Sound and the like. JSON comes as octets too, where JSON was asked for."""
    if kind.startswith("application/octet-stream"):
        return job.operation.name == SPEECH
    return kind.startswith(("audio/", "image/", "video/"))
