"""Whatever comes in, the sides of tasks answer with what they promise or with an `ApiError`."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oneapi.dialects import registry
from oneapi.dialects.base import AnswersLater, Hints, Stamp, TaskFace, TaskProvider
from oneapi.errors import ApiError
from oneapi.ir import Envelope, Media
from oneapi.tasks import (
    EmbeddingReply,
    EmbeddingRequest,
    ImageRequest,
    ModerationRequest,
    RerankReply,
    RerankRequest,
    SpeechRequest,
)
from oneapi.wire.json import JSON

TASKS = ("embeddings", "rerank", "images", "speech", "moderation")
PART: JSON = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
GEMINI: JSON = {"content": {"parts": [{"text": "a"}, PART]}, "taskType": 3, "title": "t"}
REQUESTS: Mapping[tuple[str, str], JSON] = {
    ("openai-chat", "embeddings"): {
        "input": ["a", [1, 2], {"text": "b"}, {"image": "https://x.test/a"}],
        "dimensions": 3,
        "encoding_format": "base64",
        "input_type": "query",
        "user": "u",
    },
    ("openai-chat", "images.generations"): {
        "prompt": "p",
        "n": 2,
        "size": "3x4",
        "response_format": "url",
        "quality": "hd",
    },
    ("openai-chat", "moderations"): {
        "input": ["a", {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    },
    ("openai-chat", "speech"): {"input": "a", "voice": {"id": "v"}, "speed": 1.5},
    ("gemini", "gemini.embed"): GEMINI,
    ("gemini", "gemini.batch_embed"): {"requests": [GEMINI, GEMINI]},
    ("rerank", "rerank"): {"query": "q", "documents": ["a", {"text": "b"}], "top_n": 1},
}
USAGE: JSON = {"prompt_tokens": 3, "total_tokens": 3}
RESULTS: JSON = [{"index": 1, "relevance_score": 0.5}]
CANDIDATE: JSON = {"content": {"parts": [{"text": "a"}, PART]}, "finishReason": "STOP"}
ANSWERS: Mapping[tuple[str, str], list[JSON]] = {
    ("openai-chat", "embeddings"): [
        {"data": [{"index": 0, "embedding": [1.0]}, {"embedding": "AACAPw=="}], "usage": USAGE}
    ],
    ("openai-chat", "images"): [{"data": [{"b64_json": "AAAA"}], "usage": USAGE, "created": 1}],
    ("openai-chat", "moderation"): [
        {"results": [{"categories": {"a": True}, "category_scores": {"a": 0.5}}], "usage": USAGE}
    ],
    ("openai-chat", "speech"): [{"audio_data": "AAAA", "usage": USAGE}],
    ("gemini", "embeddings"): [
        {"embeddings": [{"values": [1.0]}], "usageMetadata": {"promptTokenCount": 1}},
        {"embedding": {"values": [1.0]}},
        {"predictions": [{"embeddings": {"values": [1], "statistics": {"token_count": 2}}}]},
    ],
    ("gemini", "images"): [
        {"candidates": [CANDIDATE], "usageMetadata": {"promptTokenCount": 1}},
        {"predictions": [{"bytesBase64Encoded": "AAAA", "mimeType": "image/png"}]},
        {"candidates": [{"finishReason": "SAFETY"}], "promptFeedback": {"blockReason": "OTHER"}},
    ],
    ("ollama", "embeddings"): [{"embeddings": [[1.0]], "prompt_eval_count": 1}],
    ("bedrock-converse", "embeddings"): [
        {"embedding": [1.0], "inputTextTokenCount": 1},
        {"embeddings": {"float": [[1.0]]}},
        {"embeddings": [{"embedding": [1.0]}]},
    ],
    ("bedrock-converse", "rerank"): [{"results": RESULTS}],
    ("bedrock-converse", "images"): [{"images": ["AAAA"], "finish_reasons": [None]}],
    ("cohere", "embeddings"): [
        {"embeddings": {"float": [[1.0]]}, "meta": {"billed_units": {"input_tokens": 1}}}
    ],
    ("cohere", "rerank"): [{"results": RESULTS, "meta": {"billed_units": {"search_units": 1}}}],
    ("dashscope", "embeddings"): [
        {"output": {"embeddings": [{"text_index": 0, "embedding": [1.0]}]}, "usage": USAGE}
    ],
    ("dashscope", "rerank"): [{"output": {"results": RESULTS}, "usage": USAGE}],
    ("dashscope", "images"): [
        {"output": {"task_id": "a-b", "task_status": "PENDING"}},
        {"output": {"results": [{"url": "https://x.test/a"}, {"code": "c", "message": "m"}]}},
        {"output": {"choices": [{"message": {"content": [{"image": "https://x.test/a"}]}}]}},
    ],
    ("cloudflare", "embeddings"): [{"result": {"data": [[1.0]]}, "success": True, "errors": []}],
    ("cloudflare", "rerank"): [{"result": {"response": [{"id": 1, "score": 0.5}]}}],
    ("cloudflare", "images"): [{"result": {"image": "AAAA"}, "success": True}],
    ("replicate", "images"): [
        {"status": "succeeded", "output": ["https://x.test/a.png"], "metrics": {"image_count": 1}},
        {"status": "starting", "urls": {"get": "https://x.test/v1/predictions/a"}},
    ],
}
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
    st.lists(st.integers() | st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.none() | st.text(max_size=3), max_size=2),
)
FORMS = st.sampled_from(["predict", "single", "texts", "multimodal", "prompt", "messages", None, 1])
QUICK = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
PROVIDERS = [
    (dialect, task)
    for dialect in registry.NAMES
    for task in TASKS
    if registry.task_provider(dialect, task)
]


@st.composite
def spoilt(draw: st.DrawFn, whole: JSON) -> JSON:
    """The value with something else somewhere inside."""
    value = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 2))):
        places = list(_places(value))
        if not places:
            return draw(JUNK)
        holder, key = draw(st.sampled_from(places))
        holder[key] = draw(JUNK)
    return value


def _places(value: JSON) -> Iterator[tuple[Any, Any]]:
    keys = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    for key in list(keys):
        yield value, key
        yield from _places(value[key])


def face_of(dialect: str, operation: str) -> TaskFace[Any, Any]:
    face = registry.task_face(dialect, operation)
    assert face is not None
    return face


def provider_of(dialect: str, task: str) -> TaskProvider[Any, Any]:
    provider = registry.task_provider(dialect, task)
    assert provider is not None
    return provider


def attempt(function: Callable[[], Any]) -> Any:
    """What the function gives, or the `ApiError` that it raises."""
    try:
        return function()
    except ApiError as error:
        return error


def asked(task: str) -> Any:
    """A request of a task, with all that a provider may stumble over."""
    picture = Media("image", data="AAAA", media_type="image/png")
    match task:
        case "embeddings":
            return EmbeddingRequest("m", ["a", [picture], [1, 2]], "another", dimensions=3)
        case "rerank":
            return RerankRequest("m", "q", ["a", {"text": "b"}, {"image": "x"}], "another")
        case "images":
            return ImageRequest("m", "p", "another", n=2, size="300x100")
        case "speech":
            return SpeechRequest("m", "t", "another", voice="v")
        case _:
            return ModerationRequest("m", ["a", picture], "another")


def test_every_provider_of_a_task_is_fuzzed() -> None:
    assert {*ANSWERS, ("gemini", "speech")} == set(PROVIDERS)


@pytest.mark.parametrize(("dialect", "operation"), list(REQUESTS))
@given(data=st.data())
@QUICK
def test_any_json_is_a_request_or_a_refusal(dialect: str, operation: str, data: Any) -> None:
    body = data.draw(spoilt(REQUESTS[dialect, operation]) | JUNK)
    face = face_of(dialect, operation)
    found = attempt(lambda: face.parse_request(body, Envelope("m")))
    if isinstance(found, ApiError):
        assert found.status == 400
        return
    task = registry.client(dialect).OPERATIONS[operation].task
    for name in (name for name, known in PROVIDERS if known == task):
        provider = provider_of(name, task)
        outgoing = attempt(partial(provider.render_request, found, "m", Hints()))
        assert not isinstance(outgoing, ApiError) or outgoing.status == 400


@pytest.mark.parametrize(("dialect", "task"), list(ANSWERS))
@given(data=st.data(), kind=st.sampled_from(["application/json", "", "x/y"]))
@QUICK
def test_any_answer_is_read_or_refused(dialect: str, task: str, data: Any, kind: str) -> None:
    provider, request = provider_of(dialect, task), asked(task)
    known = data.draw(st.sampled_from(ANSWERS[dialect, task]))
    value = data.draw(spoilt(known) | JUNK | st.binary(max_size=20))
    body = value if isinstance(value, bytes) else json.dumps(value).encode("utf-8", "replace")
    if isinstance(provider, AnswersLater):
        provider.follow_up(body)
    provider.parse_error(400, (), body)
    found = attempt(lambda: provider.parse_response(kind, body, request))
    assert not isinstance(found, ApiError) or found.status >= 400


@pytest.mark.parametrize(("dialect", "task"), PROVIDERS)
@given(form=FORMS)
@QUICK
def test_any_request_is_rendered_or_refused(dialect: str, task: str, form: JSON) -> None:
    names = ("embed", "images", "embed_most", "inputs", "defaults", "voices", "image_size")
    request, hints = asked(task), Hints(options=dict.fromkeys(names, form))
    before = repr(request)
    found = attempt(lambda: provider_of(dialect, task).render_request(request, "m", hints))
    assert repr(request) == before
    if isinstance(found, ApiError):
        assert (found.status, bool(found.param)) == (400, True)
    else:
        assert all(isinstance(json.loads(body), dict) for body in (found.body, *found.more))


@pytest.mark.parametrize(("dialect", "operation"), list(REQUESTS))
def test_a_face_answers_with_nothing_where_there_is_nothing(dialect: str, operation: str) -> None:
    task = registry.client(dialect).OPERATIONS[operation].task
    replies: Mapping[str, Any] = {
        "embeddings": EmbeddingReply("m", []),
        "rerank": RerankReply([]),
    }
    if task in replies:
        stamp = Stamp("0" * 16)
        face = face_of(dialect, operation)
        _, body = face.render_response(replies[task], asked(task), stamp)
        assert isinstance(json.loads(body), dict)
