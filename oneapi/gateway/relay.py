"""The way of one call: target by target, key by key, until one answers; then its answer.

Three lanes: the byte lane sends and returns the bytes as they are, the edit lane changes single
members and keeps all others to the letter (`bytelane`), the translate lane goes through the typed
middle (`translate`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from urllib.parse import urlsplit

from oneapi.dialects import registry
from oneapi.dialects.base import FollowUp, Outgoing
from oneapi.dialects.base_errors import parse_error, scrub
from oneapi.errors import ApiError, UpstreamError
from oneapi.gateway import policy
from oneapi.gateway.answering import Answering, content_type
from oneapi.gateway.books import Books
from oneapi.gateway.bytelane import ByteLane
from oneapi.gateway.failures import (
    account_refused,
    carrier_failure,
    cleaned,
    failure,
    no_key,
    retry_after,
    word,
)
from oneapi.gateway.fetching import Fetches, OnUse
from oneapi.gateway.heartbeat import EVERY_S, Heartbeat
from oneapi.gateway.job import Job
from oneapi.gateway.lanes import CHAT
from oneapi.gateway.limits import Gate, earliest
from oneapi.gateway.listening import Listening
from oneapi.gateway.outbound import call_for
from oneapi.gateway.queueing import Full
from oneapi.gateway.recall import Recall
from oneapi.gateway.snapshot import Key, Target
from oneapi.gateway.state import State
from oneapi.gateway.tasklane import TaskLane, fitting, read
from oneapi.gateway.translate import MAX_NOTE, TranslateLane
from oneapi.ledger.door import Shortage
from oneapi.net.base import Call, CarrierError, Origin, Reply
from oneapi.net.shared import ClientGone
from oneapi.providers.account import Account, classify

__all__ = ["Job", "Relay"]

MAX_ERROR = 1024 * 1024
MAX_POLLS_S = 900.0
"""Seconds that a provider which answers later is asked again."""
POLL_S = 0.1
"""Seconds at least between two such calls, whatever the provider says."""


@dataclass(slots=True)
class _Sent:
    """What went to a target, and in which form."""

    reply: Reply
    outgoing: Outgoing | None


class Relay:
    """Sends jobs to targets. One for the process; all it knows of a request stands in its `Job`."""

    def __init__(
        self,
        state: State,
        books: Books,
        *,
        fetcher: Fetches | None = None,
        ping_every_s: float = EVERY_S,
    ) -> None:
        self._state = state
        self.gate = Gate(books.door)
        self.recall = Recall()
        self._ping_every_s = ping_every_s
        answering = Answering(books)
        self._bytes = ByteLane(answering)
        fetcher = fetcher or OnUse()
        self._translate = TranslateLane(answering, self.recall, fetcher)
        self._tasks = TaskLane(answering, fetcher)

    async def run(self, job: Job, targets: Sequence[Target]) -> None:
        """Answer the job from the first target that can; raises what the last one said."""
        if not (job.envelope.stream and job.dialect.PING):
            return await self._run(job, targets)
        kind = job.face.CONTENT_TYPE if job.face is not None else b"text/event-stream"
        heartbeat = Heartbeat(
            job.client, job.dialect.PING, [(b"content-type", kind)], self._ping_every_s
        )
        job.client = heartbeat
        try:
            await self._run(job, targets)
        finally:
            await heartbeat.stop()

    async def _run(self, job: Job, targets: Sequence[Target]) -> None:
        last: ApiError | None = None
        order: Sequence[Target] = policy.order(targets, self._state)
        while True:
            full: list[tuple[Target, Full | Shortage]] = []
            for target in order:
                found = await self._try(job, target)
                if found is None:
                    return
                if isinstance(found, ApiError):
                    last = found
                else:
                    full.append((target, found))
            if not full:
                break
            if not await self.gate.await_channel(job, full):
                last = last or earliest(job, full)
                break
            order = [target for target, _ in full]
        raise last or no_key()

    async def _try(self, job: Job, target: Target) -> ApiError | Full | Shortage | None:
        """Ask a target, key by key. None where it answered; else what its last key got, or why its
        channel has no room for another call. Raises what no other target can do better.
        """
        channel = target.channel
        last: ApiError | None = None
        for key in policy.live_keys(channel, self._state, job.meter.time_ms):
            if job.meter.attempts >= policy.MAX_ATTEMPTS:
                break
            if job.meter.left:  # nobody is there for whom another call would be worth its price
                raise ClientGone("the client left")
            job.meter.channel_seat = None
            if channel.bounded and (full := await self.gate.board(job, target)) is not None:
                return last or full
            try:
                await self._attempt(job, target, key)
                return None
            except UpstreamError as error:
                last = error
                if not error.retryable or job.meter.left:
                    raise
                if error.code == "upstream_unreachable":
                    self._state.skip(channel.name)
                    break  # another key of an account that cannot be reached is no help
            finally:
                if channel.bounded:
                    self.gate.alight(job, target)
        return last or no_key()

    async def _attempt(self, job: Job, target: Target, key: Key) -> None:
        target = fitting(job, target)
        meter, channel = job.meter, target.channel
        meter.attempts += 1
        meter.target = target
        meter.counter = target.counter
        meter.upstream_status = 0
        meter.first_byte_ns = 0  # what an earlier target sent was no content
        meter.tap = None
        job.notes.clear()
        job.flight.channel = channel.name
        job.key = key.fingerprint
        outgoing = None
        if not target.lane.native:
            lane = self._translate if target.lane.task is None else self._tasks
            outgoing = await lane.outgoing(job, target)
            _note(job, outgoing)
        call = await call_for(job, target, key, outgoing, self.recall)
        reply = await self._send(job, target, call)
        try:
            while follow := await self._answer(job, target, key, _Sent(reply, outgoing)):
                await reply.aclose()
                outgoing, reply = await self._follow(job, target, key, outgoing, follow)
        finally:
            await reply.aclose()

    async def _answer(self, job: Job, target: Target, key: Key, sent: _Sent) -> FollowUp | None:
        reply = sent.reply
        job.meter.upstream_status = reply.status
        if reply.status >= 300:
            raise await self._refusal(job, target, key, reply)
        if sent.outgoing is None:
            await self._bytes.relay(job, target, key, self._heard(job, target, reply))
            return None
        if target.lane.task is None:
            return await self._translate.relay(job, target, key, reply, sent.outgoing)
        ask = partial(self._ask, job, target, key, sent.outgoing)
        return await self._tasks.relay(job, target, key, reply, sent.outgoing.more, ask)

    def _heard(self, job: Job, target: Target, reply: Reply) -> Reply:
        """The reply, listened to where its thoughts will be demanded back."""
        if not target.channel.preset.replays or job.operation.task != CHAT:
            return reply
        provider = registry.chat_provider(target.lane.dialect)
        if provider is None or b'"tools"' not in job.body.text():
            return reply
        return Listening(reply, provider, self.recall, job.meter.owner, job.stamp)

    async def _ask(
        self, job: Job, target: Target, key: Key, outgoing: Outgoing, body: bytes
    ) -> tuple[str, bytes]:
        """Another call like the one before, with another body."""
        call = await call_for(job, target, key, replace(outgoing, body=body), self.recall)
        reply = await self._send(job, target, call)
        try:
            if reply.status >= 300:
                raise await self._refusal(job, target, key, reply)
            return await read(job, reply)
        finally:
            await reply.aclose()

    async def _send(
        self, job: Job, target: Target, call: Call, origin: Origin | None = None
    ) -> Reply:
        channel = target.channel
        try:
            return await channel.carrier.send(
                origin or channel.account.origin, call, channel.timeouts
            )
        except CarrierError as error:
            raise carrier_failure(job, error) from error

    async def _follow(
        self, job: Job, target: Target, key: Key, outgoing: Outgoing | None, follow: FollowUp
    ) -> tuple[Outgoing | None, Reply]:
        """Ask again where the provider answers later, at its host or one that the catalog knows."""
        if time.monotonic_ns() - job.meter.started_ns > MAX_POLLS_S * 1e9:
            raise failure(job, "the provider did not finish in time")
        host, path = _place(job, follow.url)
        await asyncio.sleep(max(follow.wait_s, POLL_S))
        account = target.channel.account
        lines = [*account.headers(key.secret), *follow.headers]
        origin = _elsewhere(account, host)
        reply = await self._send(job, target, Call(follow.method, path, lines), origin)
        if outgoing is not None:
            outgoing.streams = follow.streams
        return outgoing, reply

    async def _refusal(self, job: Job, target: Target, key: Key, reply: Reply) -> UpstreamError:
        """The provider's refusal as the client will see it, if no other target does better."""
        whole = True
        try:
            body = await reply.read(MAX_ERROR)
        except CarrierError:
            body, whole = b"", False
        lane = target.lane
        speaker = lane.chat or lane.task
        read = speaker.parse_error if speaker is not None else parse_error
        message, code, kind = read(reply.status, reply.headers, body)
        message = cleaned(message, target, key)
        verdict = classify(reply.status, code, target.channel.preset, message)
        if verdict.auth:
            return account_refused(job, target, key, reply.status, message)
        if reply.status < 400:
            return failure(job, "the provider answered with a redirect", original=reply.status)
        secrets = target.channel.secrets(key)
        return UpstreamError(
            reply.status,
            message,
            code=word(code) or "upstream_error",
            kind=word(kind) or "upstream_error",
            retryable=verdict.retryable and job.body.repeatable,
            original_status=reply.status,
            body=scrub(body, secrets) if whole and lane.native and not lane.wrap else None,
            content_type=content_type(reply.headers) or "application/json",
            headers=retry_after(reply.headers, b"" if lane.native else body),
        )


def _place(job: Job, url: str) -> tuple[str, bytes]:
    """Host, and path with query, of an address in a provider's answer."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        path = (parts.path + (f"?{parts.query}" if parts.query else "")).encode("ascii")
    except ValueError:
        host, path = "", b" "
    if path[:1] not in (b"/", b"") or any(c <= 0x20 or c >= 0x7F for c in path):
        raise failure(job, "the provider named an address that is none")
    return host, path or b"/"


def _elsewhere(account: Account, host: str) -> Origin | None:
    """A provider's other host that its answer names, if the catalog knows it; None: its own."""
    if any(fnmatchcase(host, pattern) for pattern in account.preset.follow_hosts):
        return Origin("https", host, 443)
    return None


def _note(job: Job, outgoing: Outgoing) -> None:
    """Headers that tell the client what became of its request on the way to this target."""
    names = [name for name in dict.fromkeys(outgoing.dropped) if name not in job.honoured]
    if names:
        job.notes[b"x-oneapi-dropped"] = _printable(", ".join(names))
    if outgoing.warnings:
        job.notes[b"x-oneapi-warning"] = _printable("; ".join(outgoing.warnings))


def _printable(text: str) -> bytes:
    return "".join(c if " " <= c <= "~" else "?" for c in text[:MAX_NOTE]).encode()
