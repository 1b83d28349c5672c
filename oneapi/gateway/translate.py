"""The translate lane: the client speaks one dialect, the provider another.

The request is parsed once and rendered for each target; the answer comes back event by event. What
a dialect cannot say is named in `x-oneapi-dropped`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from oneapi.dialects.base import (
    ChatFace,
    ChatProvider,
    FollowUp,
    Outgoing,
    Stamp,
    StreamParser,
)
from oneapi.dialects.base_calls import Restorer
from oneapi.dialects.base_gather import Gatherer, replay
from oneapi.dialects.base_think import ThinkSplitter, split_response
from oneapi.dialects.base_turns import with_media
from oneapi.errors import ApiError, UpstreamError
from oneapi.gateway.answering import Answering, content_type, rest_of
from oneapi.gateway.counting import input_tokens
from oneapi.gateway.failures import WORDS, carrier_failure, error_of_answer, failure
from oneapi.gateway.job import Job
from oneapi.gateway.lanes import Lane
from oneapi.gateway.media import Fetcher
from oneapi.gateway.recall import Recall
from oneapi.gateway.snapshot import Key, Target
from oneapi.gateway.watch import EventWatch
from oneapi.gateway.wraps import BEDROCK, Unwrapping
from oneapi.ir import ChatRequest, ChatResponse, Event, Failed, Finish
from oneapi.net.base import CarrierError, Reply
from oneapi.providers.quirks import apply
from oneapi.wire.json import MalformedJSON, decode, encode

MAX_ANSWER = 256 * 1024 * 1024
SLOW = 1024 * 1024
"""Bytes from which a body is parsed in a thread, so that others do not wait."""
MAX_NOTE = 2000


class TranslateLane:
    """Renders requests for providers of other dialects, and their answers for clients."""

    def __init__(self, answering: Answering, recall: Recall, fetcher: Fetcher) -> None:
        self._answering = answering
        self._recall = recall
        self._fetcher = fetcher

    async def outgoing(self, job: Job, target: Target) -> Outgoing:
        """The request as the target's dialect wants it. Raises `ApiError` 400."""
        lane = target.lane
        assert lane.chat is not None
        chat = self._recall.restored(job.meter.owner, await parsed(job))
        urls = lane.chat.fetches(chat, lane.hints)
        if urls:
            chat = with_media(chat, await self._fetcher.fetch(urls))
        outgoing = lane.chat.render_request(chat, target.model, lane.hints)
        return _quirked(outgoing, lane) if lane.quirks else outgoing

    async def relay(
        self, job: Job, target: Target, key: Key, reply: Reply, outgoing: Outgoing
    ) -> FollowUp | None:
        """Answer the client, or say what must be asked next. Raises `UpstreamError` as long as
        another target may do better.
        """
        answer = _Answer(job, target, key, reply)
        if target.lane.wrap == BEDROCK and outgoing.streams:
            answer.reply = Unwrapping(reply)
        if outgoing.streams or _streams(content_type(reply.headers)):
            await self._streamed(answer)
            return None
        return await self._whole(answer)

    async def _whole(self, answer: _Answer) -> FollowUp | None:
        job, target = answer.job, answer.target
        try:
            body = await answer.reply.read(MAX_ANSWER)
        except CarrierError as error:
            raise carrier_failure(job, error) from error
        follow = answer.provider.follow_up(body)
        if follow is not None:
            return follow
        try:
            result = answer.provider.parse_response(body, target.lane.hints, answer.stamp)
        except UpstreamError as error:
            raise answer.upstream(error) from error
        if target.think_tags:
            result = _split(result, target)
        if answer.restorer.needed:
            result = answer.restorer.restored(result)
        await self._finish(answer, result)
        return None

    async def _finish(self, answer: _Answer, result: ChatResponse) -> None:
        """Send a whole answer, as a stream if that is what the client asked for."""
        job, target = answer.job, answer.target
        self._recall.remember(job.meter.owner, result)
        watch = job.meter.tap = EventWatch()
        watch.note(replay(result))
        job.meter.first_byte()
        if not job.envelope.stream:
            rendered = answer.face.render_response(result, answer.chat, answer.stamp)
            cost = await self._answering.settle(job, 200, "complete")
            head = self._answering.own_head(job, target, b"application/json", cost)
            return await job.client.answer(200, head, rendered)
        renderer = answer.face.stream_renderer(answer.chat, answer.stamp)
        rendered = renderer.render(replay(result)) + renderer.close()
        cost = await self._answering.settle(job, 200, "complete")
        await answer.begin(self._answering, cost)
        await job.client.finish(rendered)

    async def _streamed(self, answer: _Answer) -> None:
        """Events as they come. Finishes are held until the record is committed."""
        job = answer.job
        parser = answer.provider.stream_parser(answer.target.lane.hints, answer.stamp)
        source = _Source(parser, answer)
        watch = job.meter.tap = EventWatch()
        gatherer = Gatherer(answer.provider.NAME)
        if not job.envelope.stream:
            return await self._gathered(answer, source, watch, gatherer)
        stream = _Stream(answer, watch, gatherer if answer.chat.tools else None)
        broke: CarrierError | None = None
        try:
            while not parser.done and (chunk := await answer.reply.chunk()):
                out = stream.take(source.feed(chunk))
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
        self, answer: _Answer, source: _Source, watch: EventWatch, gatherer: Gatherer
    ) -> None:
        """The provider streams although the client wants one answer."""
        job = answer.job
        try:
            while not source.parser.done and (chunk := await answer.reply.chunk()):
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
        await self._finish(answer, gatherer.response())


def _check_empty(answer: _Answer, watch: EventWatch, broke: CarrierError | None) -> None:
    """A stream without content is an answer only if it says that it is complete."""
    if watch.failed is not None:
        raise answer.upstream(watch.failed)
    if broke is not None:
        raise carrier_failure(answer.job, broke) from broke
    if not watch.finished:
        raise failure(answer.job, "the provider's stream ended before it began")


class _Stream:
    """One stream on its way to the client: what goes out now, and what waits.

    Nothing goes out before the first content (D20). Finishes wait for the end of the stream: what a
    client may take for complete is in the ledger first.
    """

    def __init__(self, answer: _Answer, watch: EventWatch, gatherer: Gatherer | None) -> None:
        self.gatherer = gatherer
        self._watch = watch
        self._renderer = answer.face.stream_renderer(answer.chat, answer.stamp)
        self._held: list[Event] = []
        self._ends: list[Event] = []

    def take(self, events: list[Event]) -> bytes:
        """What may go out of these events."""
        if self._watch.note(events):  # something ends here, or fails
            events = self._without_ends(events)
        if self.gatherer is not None:
            self.gatherer.feed(events)
        if not self._watch.content_seen:
            self._held += events
            return b""
        if self._held:
            events, self._held = self._held + events, []
        return self._renderer.render(events)

    def hold(self, events: list[Event]) -> None:
        """The last events, which go out with the end."""
        self._watch.note(events)
        events = self._without_ends(events)
        if self.gatherer is not None:
            self.gatherer.feed([*events, *self._ends])
        self._held += events

    def tail(self, broke: CarrierError | None) -> bytes:
        """The last bytes: the stream's end, or why it has none in the client's own words."""
        out = self._renderer.render([*self._held, *self._ends])
        if self._watch.failed is not None:
            return out + self._renderer.fail(self._watch.failed)
        if self._watch.finished:
            return out + self._renderer.close()
        words = WORDS[broke.reason] if broke is not None else WORDS["closed"]
        error = ApiError(502, words, code="upstream_broke", kind="upstream_error")
        return out + self._renderer.fail(error)

    def _without_ends(self, events: list[Event]) -> list[Event]:
        self._ends += [event for event in events if isinstance(event, Finish)]
        return [event for event in events if not isinstance(event, Finish | Failed)]


class _Source:
    """A provider's stream as events: thoughts taken out of the text where a rule says so, calls
    under the client's own names.
    """

    def __init__(self, parser: StreamParser, answer: _Answer) -> None:
        self.parser = parser
        target = answer.target
        self._splitter = _splitter(target) if target.think_tags else None
        self._restorer = answer.restorer if answer.restorer.needed else None

    def feed(self, chunk: bytes) -> list[Event]:
        return self._filtered(self.parser.feed(chunk))

    def close(self) -> list[Event]:
        events = self._filtered(self.parser.close())
        return events if self._splitter is None else [*events, *self._splitter.close()]

    def _filtered(self, events: list[Event]) -> list[Event]:
        if self._splitter is not None:
            events = self._splitter.feed(events)
        return events if self._restorer is None else self._restorer.feed(events)


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

    def upstream(self, error: ApiError) -> UpstreamError:
        """A provider's error inside a successful status, cleaned; another target may do better."""
        return error_of_answer(self.job, self.target, self.key, error, self.reply.status)


def _quirked(outgoing: Outgoing, lane: Lane) -> Outgoing:
    """The request with what its provider does otherwise."""
    body = decode(outgoing.body)
    dropped = apply(body, lane.quirks)
    return replace(outgoing, body=encode(body), dropped=[*outgoing.dropped, *dropped])


def _splitter(target: Target) -> ThinkSplitter:
    return ThinkSplitter(*_tags(target), implicit_open=target.think_tags.startswith("/"))


def _split(result: ChatResponse, target: Target) -> ChatResponse:
    return split_response(result, *_tags(target), implicit_open=target.think_tags.startswith("/"))


def _tags(target: Target) -> tuple[str, str]:
    """What encloses thoughts in the text of this target's models."""
    name = target.think_tags.removeprefix("/")
    return f"<{name}>", f"</{name}>"


async def parsed(job: Job) -> ChatRequest:
    """The request in the typed middle."""
    if job.chat is None:
        raw = job.body.text()
        if len(raw) < SLOW:
            job.chat = _parse(job, raw)
        else:
            job.chat = await asyncio.to_thread(_parse, job, raw)
    return job.chat


def _parse(job: Job, raw: bytes) -> ChatRequest:
    assert job.face is not None
    body = decode(raw) if job.decoded is None else job.decoded
    return job.face.parse_request(body, job.envelope)


def estimated_input(job: Job) -> int:
    """Tokens of a chat's input, for what a provider did not count; 0 where it cannot be read."""
    try:
        return input_tokens(job.chat or _parse(job, job.body.text()))
    except (ApiError, MalformedJSON):
        return 0


def named(job: Job, target: Target) -> Stamp:
    """The stamp with the name that the client asked for, where the gateway changed it."""
    return replace(job.stamp, model=target.asked if target.renamed else "")


def _streams(kind: str) -> bool:
    return kind.startswith(("text/event-stream", "application/x-ndjson", "application/stream+json"))
