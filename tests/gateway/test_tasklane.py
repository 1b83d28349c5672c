from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from oneapi.dialects import registry
from oneapi.errors import ApiError, UpstreamError
from oneapi.gateway.bodies import JsonBody
from oneapi.gateway.job import Job
from oneapi.gateway.media import Fetcher
from oneapi.gateway.meter import Meter
from oneapi.gateway.tasklane import TaskLane, estimated_tokens
from oneapi.ir import Envelope
from oneapi.tasks import ImageReply, ImageRequest, Picture
from tests.e2e.upstream import Reply, scripted_upstream
from tests.gateway.making import wanted

NOTHING = cast(Any, None)


def job(dialect: str, operation: str, body: bytes) -> Job:
    return Job(
        dialect=registry.client(dialect),
        operation=wanted(operation, dialect).operation,
        envelope=Envelope("m"),
        headers={},
        body=JsonBody(body, {}, True),
        client=NOTHING,
        meter=Meter(NOTHING, "e", "r", "127.0.0.1"),
        flight=NOTHING,
        stamp=NOTHING,
        task_face=registry.task_face(dialect, operation),
    )


def fetched(asked: ImageRequest, reply: Reply, *, public: bool = True) -> Picture:
    """The picture after the lane has seen to it; the provider told its address."""
    with scripted_upstream(lambda _: reply) as upstream:
        made = ImageReply([Picture(url=upstream.url + "/a.png")])
        lane = TaskLane(NOTHING, Fetcher(allowed=lambda _: public))
        one = job("openai-chat", "images.generations", b"{}")
        one.question = asked
        asyncio.run(lane._fetch(one, made))
        return made.pictures[0]


PNG = Reply(200, (("content-type", "image/png"),), b"\x89PNG")


def test_a_picture_is_fetched_where_the_client_wants_its_bytes() -> None:
    made = fetched(ImageRequest("m", "p", "openai-chat", want="b64_json"), PNG)
    assert (made.data, made.media_type) == ("iVBORw==", "image/png")
    assert fetched(ImageRequest("m", "p", "openai-chat", stream=True), PNG).data == "iVBORw=="


def test_an_address_is_passed_on_where_the_client_takes_one() -> None:
    assert fetched(ImageRequest("m", "p", "openai-chat"), PNG).data == ""
    assert fetched(ImageRequest("m", "p", "openai-chat", want="url"), PNG).data == ""


@pytest.mark.parametrize("public", [True, False])
def test_a_picture_that_cannot_be_had_is_the_providers_failure(public: bool) -> None:
    asked = ImageRequest("m", "p", "openai-chat", want="b64_json")
    with pytest.raises(UpstreamError) as caught:
        fetched(asked, Reply(404), public=public)
    assert (caught.value.status, caught.value.retryable) == (502, True)
    assert isinstance(caught.value.__cause__, ApiError)


@pytest.mark.parametrize(
    ("dialect", "operation", "body"),
    [
        ("gemini", "gemini.embed", b'{"content":{"parts":[{"text":"seven words"}]}}'),
        ("rerank", "rerank", b'{"query":"seven","documents":["words"]}'),
        ("ollama", "ollama.embed", b'{"input":"seven words"}'),
        ("openai-chat", "embeddings", b'{"input":[[5,6]]}'),
    ],
)
def test_the_input_is_estimated_in_any_dialect(dialect: str, operation: str, body: bytes) -> None:
    assert estimated_tokens(job(dialect, operation, body)) in (2, 3)
    assert estimated_tokens(job(dialect, operation, b"[]")) == 0
    assert estimated_tokens(job(dialect, operation, b"{")) == 0
