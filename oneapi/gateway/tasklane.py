"""The translate lane for what is answered whole: embeddings, rerank, pictures, speech, moderation.

The request is parsed once and rendered for each target. A provider that takes less at once than
the client gave is asked several times, and its answers are joined.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from oneapi.dialects.base import AnswersLater, FollowUp, Outgoing
from oneapi.dialects.base_tasks import joined
from oneapi.errors import ApiError, UpstreamError
from oneapi.estimate import Counter
from oneapi.gateway.answering import Answering, content_type
from oneapi.gateway.aside import SLOW
from oneapi.gateway.bodies import JsonBody
from oneapi.gateway.failures import carrier_failure, error_of_answer, failure
from oneapi.gateway.fetching import Fetches
from oneapi.gateway.job import Job
from oneapi.gateway.lanes import Lane
from oneapi.gateway.meter import ESTIMATED, SPEECH
from oneapi.gateway.snapshot import Key, Target
from oneapi.gateway.translate import MAX_ANSWER, named
from oneapi.ir import Media, Usage
from oneapi.net.base import CarrierError, Reply
from oneapi.providers.quirks import apply
from oneapi.tasks import (
    EmbeddingReply,
    EmbeddingRequest,
    ImageReply,
    ImageRequest,
    ModerationRequest,
    RerankRequest,
)
from oneapi.wire.json import MalformedJSON, decode, encode

HEADROOM = 1024
"""Tokens that are kept free for an answer."""
PICTURE = 800
"""Tokens of a picture of ordinary size."""

Answer = tuple[str, bytes]
"""Content type and body."""
Ask = Callable[[bytes], Awaitable[Answer]]
"""Sends another body to the same place. Raises `UpstreamError` where it is refused."""


class TaskLane:
    """One for the process."""

    def __init__(self, answering: Answering, fetcher: Fetches) -> None:
        self._answering = answering
        self._fetcher = fetcher

    async def outgoing(self, job: Job, target: Target) -> Outgoing:
        """The request as the target's dialect wants it. Raises `ApiError` 400."""
        lane = target.lane
        assert lane.task is not None
        asked = await question(job)
        rendered: Outgoing = lane.task.render_request(asked, target.model, lane.hints)
        return _quirked(rendered, lane) if lane.quirks else rendered

    async def relay(
        self, job: Job, target: Target, key: Key, reply: Reply, more: Sequence[bytes], ask: Ask
    ) -> FollowUp | None:
        """Answer the client, or say what must be asked next. Raises `UpstreamError` as long as
        another target may do better.
        """
        first = await read(job, reply)
        follow = _follow_up(target.lane.task, first[1])
        if follow is not None:
            return follow
        answers = [first, *[await ask(body) for body in more]]
        try:
            slow = sum(len(body) for _, body in answers) > SLOW
            parse = asyncio.to_thread if slow else _at_once
            result = await parse(_parsed, job, target, answers)
        except UpstreamError as error:
            raise error_of_answer(job, target, key, error, reply.status) from error
        if isinstance(result, ImageReply):
            await self._fetch(job, result)
        job.meter.usage = result.usage
        job.meter.first_byte()
        if result.usage is None and job.operation.task in ESTIMATED:
            result = replace(result, usage=Usage(input=job.meter.input_estimate()))
        await self._finish(job, target, result)
        return None

    async def _finish(self, job: Job, target: Target, result: Any) -> None:
        assert job.task_face is not None
        kind, body = job.task_face.render_response(result, job.question, named(job, target))
        cost = await self._answering.settle(job, 200, "complete")
        head = self._answering.own_head(job, target, kind, cost)
        if not job.envelope.stream:
            return await job.client.answer(200, head, body)
        if not job.client.begun:
            await job.client.begin(200, head)
        await job.client.finish(body)

    async def _fetch(self, job: Job, result: ImageReply) -> None:
        """The pictures themselves, where the client wants no addresses and the provider told
        those. Raises `UpstreamError` where one cannot be had.
        """
        asked: ImageRequest = job.question
        missing = [made for made in result.pictures if made.url and not made.data]
        if not missing or not (asked.stream or asked.want == "b64_json"):
            return
        try:
            found = await self._fetcher.fetch([made.url for made in missing])
        except ApiError as error:
            raise failure(job, f"the provider's picture is lost: {error.message}") from error
        for made in missing:
            made.media_type, made.data = found[made.url]


def fitting(job: Job, target: Target) -> Target:
    """The target with the lane that this request needs: bytes, unless it says something that the
    provider's endpoint takes otherwise, or wants the sound that the provider wraps in JSON.
    """
    other = target.lane.other
    if other is None:
        return target
    if other.chat is not None:
        window = target.channel.preset.window
        return replace(target, lane=other) if _is_long(job, window) else target
    if not _says_otherwise(job, other):
        return target
    return replace(target, lane=other)


def _is_long(job: Job, window: int) -> bool:
    """Whether a chat's prompt would be cut to a window of so many tokens."""
    size = len(job.body.text())
    if size + HEADROOM <= window:  # a token is a byte at least
        return False
    return size > SLOW or job.meter.input_estimate() + HEADROOM > window


async def read(job: Job, reply: Reply) -> Answer:
    """A whole answer. Raises `UpstreamError` where it breaks off."""
    try:
        return content_type(reply.headers), await reply.read(MAX_ANSWER)
    except CarrierError as error:
        raise carrier_failure(job, error) from error


async def question(job: Job) -> object:
    """The request in the task's typed middle."""
    if job.question is None:
        raw = job.body.text()
        parse = asyncio.to_thread if len(raw) > SLOW else _at_once
        job.question = await parse(_asked, job, raw)
    return job.question


def estimated_tokens(job: Job) -> int:
    """About how many tokens a task's input is; 0 where it cannot be read."""
    try:
        asked = job.question or _asked(job, job.body.text())
    except (ApiError, MalformedJSON):
        return 0
    counter = job.meter.counter
    match asked:
        case EmbeddingRequest() | ModerationRequest():
            return sum(_tokens(given, counter) for given in asked.inputs)
        case RerankRequest():
            documents = [d.get("text") if isinstance(d, dict) else d for d in asked.documents]
            texts = [text for text in documents if isinstance(text, str)]
            return counter.tokens("\n".join([asked.query, *texts]))
        case _:
            return 0


def _asked(job: Job, raw: bytes) -> Any:
    assert job.task_face is not None
    return job.task_face.parse_request(decode(raw), job.envelope)


def _says_otherwise(job: Job, other: Lane) -> bool:
    if job.operation.task == SPEECH:
        return job.headers.get(b"accept", b"").startswith((b"application/octet-stream", b"audio/"))
    members = job.body.members if isinstance(job.body, JsonBody) else {}
    names = {"size"} if "image_size" in other.hints.options else set()
    for quirk in other.quirks:
        if not quirk.task:
            continue
        names |= {*quirk.rename, *quirk.drop}
        for name, words in quirk.values.items():
            if name in members and decode(members[name]) in words:
                return True
    return not names.isdisjoint(members)


async def _at_once(function: Callable[..., Any], *given: Any) -> Any:
    return function(*given)


def _follow_up(task: object, body: bytes) -> FollowUp | None:
    return task.follow_up(body) if isinstance(task, AnswersLater) else None


def _parsed(job: Job, target: Target, answers: Sequence[Answer]) -> Any:
    """The answers as one, complete."""
    task = target.lane.task
    assert task is not None
    result = joined([task.parse_response(kind, body, job.question) for kind, body in answers])
    if isinstance(result, EmbeddingReply) and len(result.vectors) != len(job.question.inputs):
        raise failure(job, "the provider's answer holds not as many vectors as there are inputs")
    return result


def _tokens(given: str | Media | list[int] | list[Media], counter: Counter) -> int:
    if isinstance(given, str):
        return counter.tokens(given)
    if isinstance(given, Media):
        return counter.tokens(given.text) if given.text else PICTURE
    return sum(_tokens(item, counter) if isinstance(item, Media) else 1 for item in given)


def _quirked(outgoing: Outgoing, lane: Lane) -> Outgoing:
    """The request with what its provider does otherwise."""
    body = decode(outgoing.body)
    dropped = apply(body, lane.quirks)
    more: list[bytes] = []
    for raw in outgoing.more:
        other = decode(raw)
        apply(other, lane.quirks)
        more.append(encode(other))
    names = [*outgoing.dropped, *dropped]
    return replace(outgoing, body=encode(body), more=more, dropped=names)
