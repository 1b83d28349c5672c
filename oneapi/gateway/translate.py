"""The translate lane: the client speaks one dialect, the provider another.

The request is parsed once and rendered for each target; the answer comes back event by event. What
a dialect cannot say is named in `x-oneapi-dropped`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from oneapi.dialects.base import (
    ChatFace,
    ChatProvider,
    FollowUp,
    Outgoing,
    Stamp,
)
from oneapi.dialects.base_calls import Restorer
from oneapi.dialects.base_gather import Gatherer, replay
from oneapi.dialects.base_turns import with_media
from oneapi.errors import ApiError, UpstreamError
from oneapi.gateway.answering import Answering, content_type, rest_of
from oneapi.gateway.aside import Aside
from oneapi.gateway.failures import WORDS, carrier_failure, error_of_answer, failure
from oneapi.gateway.fetching import Fetches
from oneapi.gateway.job import Job
from oneapi.gateway.lanes import Lane
from oneapi.gateway.recall import Recall
from oneapi.gateway.snapshot import Key, Target
from oneapi.gateway.streaming import Outflow, ReadReply, Source, split_thoughts
from oneapi.gateway.watch import EventWatch
from oneapi.gateway.wraps import BEDROCK, Unwrapping
from oneapi.ir import ChatRequest, ChatResponse
from oneapi.net.base import CarrierError, Reply
from oneapi.providers.quirks import apply
from oneapi.wire.json import MalformedJSON, decode, encode

MAX_ANSWER = 256 * 1024 * 1024
MAX_CHAT = 64 * 1024 * 1024
"""Bytes of the longest chat that is held whole; as typed parts it takes several times as many."""
MAX_NOTE = 2000
ELSEWHERE: Final = frozenset({"cachedContent", "conversation", "prompt"})
"""Members of requests that point to a part of the prompt which lies at their own provider."""


class TranslateLane:
    """Renders requests for providers of other dialects, and their answers for clients."""

    def __init__(self, answering: Answering, recall: Recall, fetcher: Fetches) -> None:
        self._answering = answering
        self._recall = recall
        self._fetcher = fetcher

    async def outgoing(self, job: Job, target: Target) -> Outgoing:
        """The request as the target's dialect wants it. Raises `ApiError` 400."""
        asked = await parsed(job)
        run = Aside(len(job.body.text()))
        chat, urls = await run(self._restored, job, target.lane, asked)
        fetched = await self._fetcher.fetch(urls) if urls else {}
        return await run(_rendered, chat, fetched, target)

    def _restored(self, job: Job, lane: Lane, asked: ChatRequest) -> tuple[ChatRequest, list[str]]:
        """The request with what its client dropped, and what must be fetched for it."""
        assert lane.chat is not None
        chat = self._recall.restored(job.meter.owner, asked, lane.chat.NAME)
        return chat, list(lane.chat.fetches(chat, lane.hints))

    async def relay(
        self, job: Job, target: Target, key: Key, reply: Reply, outgoing: Outgoing
    ) -> FollowUp | None:
        """Answer the client, or say what must be asked next. Raises `UpstreamError` as long as
        another target may do better.
        """
        answer = _Answer(job, target, key, reply)
        kind = content_type(reply.headers)
        if _streams(kind) or (outgoing.streams and not kind.startswith("application/json")):
            if target.lane.wrap == BEDROCK and outgoing.streams:
                answer.reply = Unwrapping(reply)
            await self._streamed(answer)
            return None
        return await self._whole(answer, streams=outgoing.streams)

    async def _whole(self, answer: _Answer, *, streams: bool) -> FollowUp | None:
        """`streams`: a stream was asked for, and this may be one under a wrong name."""
        job = answer.job
        try:
            body = await answer.reply.read(MAX_CHAT)
        except CarrierError as error:
            raise carrier_failure(job, error) from error
        if streams and not body.lstrip().startswith(b"{"):
            answer.reply = ReadReply(answer.reply, body)
            await self._streamed(answer)
            return None
        run = Aside(len(body))
        follow = await run(answer.provider.follow_up, body)
        if follow is not None:
            return follow
        try:
            result = await run(answer.parsed, body)
        except UpstreamError as error:
            raise answer.upstream(error) from error
        await self._finish(answer, result, size=len(body))
        return None

    async def _finish(self, answer: _Answer, result: ChatResponse, *, size: int) -> None:
        """Send a whole answer, as a stream if that is what the client asked for. `size` is about
        how many bytes it was.
        """
        job, target = answer.job, answer.target
        self._recall.remember(job.meter.owner, result)
        watch = job.meter.tap = EventWatch()
        rendered = await Aside(size)(answer.rendered, result, watch)
        job.meter.first_byte()
        cost = await self._answering.settle(job, 200, "complete")
        if not job.envelope.stream:
            head = self._answering.own_head(job, target, b"application/json", cost)
            return await job.client.answer(200, head, rendered)
        await answer.begin(self._answering, cost)
        await job.client.finish(rendered)

    async def _streamed(self, answer: _Answer) -> None:
        """Events as they come. Finishes are held until the record is committed."""
        job = answer.job
        parser = answer.provider.stream_parser(answer.target.lane.hints, answer.stamp)
        source = Source(parser, answer.target, answer.restorer)
        watch = job.meter.tap = EventWatch()
        gatherer = Gatherer(answer.provider.NAME)
        if not job.envelope.stream:
            return await self._gathered(answer, source, watch, gatherer)
        stream = Outflow(
            answer.face.stream_renderer(answer.chat, answer.stamp),
            watch,
            gatherer if answer.chat.tools else None,
        )
        broke: CarrierError | None = None
        try:
            while not parser.done and (chunk := await answer.reply.chunk()):
                out = stream.take(source.feed(chunk), len(chunk))
                if out:
                    if not job.client.begun:
                        await answer.begin(self._answering)
                    await job.client.write(out)
                if watch.failed is not None:
                    break
        except CarrierError as error:
            broke = error
        if watch.failed is None:
            stream.hold(source.close())
        if watch.failed is not None:
            watch.failed = answer.upstream(watch.failed)
        if not watch.content_seen:
            _check_empty(answer, watch, broke)
        if stream.gatherer is not None and watch.finished and watch.failed is None:
            self._recall.remember(job.meter.owner, stream.gatherer.response())
        await self._end(answer, stream.tail(broke), watch, broke)

    async def _end(
        self, answer: _Answer, tail: bytes, watch: EventWatch, broke: CarrierError | None
    ) -> None:
        job = answer.job
        if not job.client.begun:
            await answer.begin(self._answering)
        if watch.finished and watch.failed is None:
            await self._answering.settle(job, 200, "complete")
        elif watch.failed is not None:
            await self._answering.settle(job, 200, "complete", "upstream_error")
        else:
            code = broke.reason if broke is not None else "stream_unfinished"
            await self._answering.settle(job, 200, "upstream_broke", code)
        await job.client.finish(tail)
        if watch.finished and broke is None:
            await rest_of(answer.reply)

    async def _gathered(
        self, answer: _Answer, source: Source, watch: EventWatch, gatherer: Gatherer
    ) -> None:
        """The provider streams although the client wants one answer."""
        job, size = answer.job, 0
        try:
            while not source.parser.done and (chunk := await answer.reply.chunk()):
                size += len(chunk)
                if size > MAX_CHAT:
                    raise failure(job, WORDS["too_large"])
                events = source.feed(chunk)
                watch.note(events)
                if watch.failed is not None:
                    raise answer.upstream(watch.failed)
                gatherer.feed(events)
        except CarrierError as error:
            raise carrier_failure(job, error) from error
        rest = source.close()
        watch.note(rest)
        if watch.failed is not None:
            raise answer.upstream(watch.failed)
        gatherer.feed(rest)
        if not watch.finished:
            raise failure(job, WORDS["closed"])
        await self._finish(answer, gatherer.response(), size=size)


def _check_empty(answer: _Answer, watch: EventWatch, broke: CarrierError | None) -> None:
    """A stream without content is an answer only if it says that it is complete."""
    if watch.failed is not None:
        raise watch.failed
    if broke is not None:
        raise carrier_failure(answer.job, broke) from broke
    if not watch.finished:
        raise failure(answer.job, "the provider's stream ended before it began")


class _Answer:
    """One target's answer on its way to the client."""

    def __init__(self, job: Job, target: Target, key: Key, reply: Reply) -> None:
        assert target.lane.chat is not None
        assert job.face is not None
        assert job.chat is not None
        self.job = job
        self.target = target
        self.key = key
        self.reply = reply
        self.provider: ChatProvider = target.lane.chat
        self.face: ChatFace = job.face
        self.chat: ChatRequest = job.chat
        self.stamp = named(job, target)
        self.restorer = Restorer(job.chat.tools)

    async def begin(self, answering: Answering, cost: int | None = None) -> None:
        if self.job.client.begun:  # by a ping
            return
        self.job.meter.first_byte()
        head = answering.own_head(self.job, self.target, self.face.CONTENT_TYPE, cost)
        await self.job.client.begin(200, head)

    def parsed(self, body: bytes) -> ChatResponse:
        """A whole answer. Raises `UpstreamError`."""
        target = self.target
        result = self.provider.parse_response(body, target.lane.hints, self.stamp)
        result.model = result.model or target.model
        if target.think_tags:
            result = split_thoughts(result, target)
        return self.restorer.restored(result) if self.restorer.needed else result

    def rendered(self, result: ChatResponse, watch: EventWatch) -> bytes:
        """A whole answer for the client, or the stream that it asked for."""
        watch.note(replay(result))
        if not self.job.envelope.stream:
            return self.face.render_response(result, self.chat, self.stamp)
        renderer = self.face.stream_renderer(self.chat, self.stamp)
        return renderer.render(replay(result)) + renderer.close()

    def upstream(self, error: ApiError) -> UpstreamError:
        """A provider's error inside a successful status, cleaned; another target may do better."""
        return error_of_answer(self.job, self.target, self.key, error, self.reply.status)


def _rendered(chat: ChatRequest, fetched: dict[str, tuple[str, str]], target: Target) -> Outgoing:
    lane = target.lane
    assert lane.chat is not None
    if fetched:
        chat = with_media(chat, fetched)
    outgoing = lane.chat.render_request(chat, target.model, lane.hints)
    _check_dropped(outgoing.dropped)
    return _quirked(outgoing, lane) if lane.quirks else outgoing


def _check_dropped(dropped: Sequence[str]) -> None:
    """What holds a part of the prompt at another provider is missed too much to be dropped."""
    for name in dropped:
        if name in ELSEWHERE:
            words = f"`{name}` stands for what only its own provider holds: send it as messages"
            raise ApiError(400, words, code="unsupported_parameter", param=name)


def _quirked(outgoing: Outgoing, lane: Lane) -> Outgoing:
    """The request with what its provider does otherwise."""
    body = decode(outgoing.body)
    dropped = apply(body, lane.quirks)
    return replace(outgoing, body=encode(body), dropped=[*outgoing.dropped, *dropped])


async def parsed(job: Job) -> ChatRequest:
    """The request in the typed middle."""
    if job.chat is None:
        raw = job.body.text()
        job.chat = await Aside(len(raw))(_parse, job, raw)
    if job.max_output:  # what is left does not pay for more
        job.chat.max_output = job.max_output
    return job.chat


def _parse(job: Job, raw: bytes) -> ChatRequest:
    assert job.face is not None
    body = decode(raw) if job.decoded is None else job.decoded
    return job.face.parse_request(body, job.envelope)


def estimated_input(job: Job) -> int:
    """Tokens of a chat's input, for what a provider did not count; 0 where it cannot be read."""
    try:
        body = decode(job.body.text()) if job.decoded is None else job.decoded
        return job.meter.counter.message_tokens(body, chat=True)
    except MalformedJSON:
        return 0


def named(job: Job, target: Target) -> Stamp:
    """The stamp with the name that the client asked for, where the gateway changed it."""
    return replace(job.stamp, model=target.asked if target.renamed else "")


def _streams(kind: str) -> bool:
    return kind.startswith(("text/event-stream", "application/x-ndjson", "application/stream+json"))
