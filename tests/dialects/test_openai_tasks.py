"""Embeddings, pictures, speech and moderation in OpenAI's format."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from oneapi.dialects.base import Hints, Stamp
from oneapi.dialects.openai import TASK_FACES, TASK_PROVIDERS
from oneapi.errors import ApiError, UpstreamError
from oneapi.ir import Envelope, Media, Usage
from oneapi.tasks import (
    EmbeddingReply,
    EmbeddingRequest,
    ImageReply,
    ImageRequest,
    Picture,
    SpeechReply,
    SpeechRequest,
)
from oneapi.wire.json import JSON

STAMP = Stamp("0" * 16, created=7)


def parsed(operation: str, body: JSON, *, stream: bool = False) -> Any:
    return TASK_FACES[operation].parse_request(body, Envelope("m", stream=stream))


def sent(task: str, request: Any, **options: JSON) -> JSON:
    outgoing = TASK_PROVIDERS[task].render_request(request, "m", Hints(options=options))
    return json.loads(outgoing.body)


@pytest.mark.parametrize(
    "body",
    [
        {"model": "m", "input": "a"},
        {"model": "m", "input": ["a", "b"], "dimensions": 8, "user": "u"},
        {"model": "m", "input": [1, 2, 3], "encoding_format": "base64"},
        {"model": "m", "input": [[1], [2, 3]], "input_type": "search_query"},
        {"model": "m", "input": ["a"], "input_type": "passage", "late_chunking": True},
        {"model": "m", "input": [{"text": "a"}, {"image": "https://x.test/a.png"}]},
    ],
)
def test_an_embedding_is_asked_for_as_it_was(body: JSON) -> None:
    assert sent("embeddings", parsed("embeddings", body)) == body


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["a", 5]}, "input[1]"),
        ({"input": [[1, -2]]}, "input[0]"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "dimensions": True}, "dimensions"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
        ({"input": "a", "user": 5}, "user"),
    ],
)
def test_what_is_wrong_with_an_embedding_request_is_named(body: JSON, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        parsed("embeddings", body)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_another_dialects_purpose_is_named_and_not_sent() -> None:
    request = EmbeddingRequest("m", ["a"], "another", purpose="search_query", extra={"odd": 1})
    outgoing = TASK_PROVIDERS["embeddings"].render_request(request, "m", Hints())
    assert json.loads(outgoing.body) == {"model": "m", "input": ["a"]}
    assert outgoing.dropped == ["purpose", "odd"]


def test_vectors_come_in_the_order_of_their_index() -> None:
    packed = base64.b64encode(b"\x00\x00\x80?").decode()
    data = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": packed}]
    body = {"data": data, "model": "x", "usage": {"prompt_tokens": 4, "total_tokens": 4}}
    request = parsed("embeddings", {"input": ["a", "b"]})
    reply = TASK_PROVIDERS["embeddings"].parse_response("", json.dumps(body).encode(), request)
    assert (reply.vectors, reply.model, reply.usage) == ([[1.0], [2.0]], "x", Usage(input=4))


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"data":[{"embedding":"?"}]}', b'{"data":5}']
)
def test_what_holds_no_vectors_is_no_answer(body: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        TASK_PROVIDERS["embeddings"].parse_response("", body, parsed("embeddings", {"input": "a"}))
    assert caught.value.code == "bad_upstream_answer"


def test_the_official_library_reads_vectors_in_both_forms() -> None:
    types = pytest.importorskip("openai.types")
    for form in ("float", "base64"):
        request = parsed("embeddings", {"input": "a", "encoding_format": form})
        reply = EmbeddingReply("served", [[0.5, -1.0]], Usage(input=3))
        _, body = TASK_FACES["embeddings"].render_response(reply, request, STAMP)
        value = json.loads(body)
        if form == "base64":  # the library unpacks it before it validates
            value["data"][0]["embedding"] = [0.5, -1.0]
        read = types.CreateEmbeddingResponse.model_validate(value)
        assert (read.data[0].embedding, read.usage.total_tokens) == ([0.5, -1.0], 3)


def test_pictures_are_read_by_the_official_library() -> None:
    types = pytest.importorskip("openai.types")
    request = parsed("images.generations", {"prompt": "p", "response_format": "url"})
    made = [Picture(url="https://x.test/a"), Picture(data="AAAA", media_type="image/webp")]
    usage = Usage(input=5, image_in=2, output=9, images=2)
    _, body = TASK_FACES["images.generations"].render_response(
        ImageReply(made, usage=usage), request, STAMP
    )
    read = types.ImagesResponse.model_validate_json(body)
    urls = [item.url for item in read.data or ()]
    assert urls == ["https://x.test/a", "data:image/webp;base64,AAAA"]
    assert read.usage is not None
    assert (read.created, read.usage.input_tokens, read.usage.total_tokens) == (7, 7, 16)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": "p", "n": 11}, "n"),
        ({"prompt": "p", "n": True}, "n"),
        ({"prompt": "p", "response_format": "gif"}, "response_format"),
        ({"prompt": "p", "quality": 1}, "quality"),
    ],
)
def test_what_is_wrong_with_a_picture_request_is_named(body: JSON, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        parsed("images.generations", body)
    assert caught.value.param == param


def test_a_size_is_said_as_the_provider_takes_it() -> None:
    request = parsed("images.generations", {"prompt": "p", "size": "1792x1024", "seed": 1})
    assert sent("images", request)["size"] == "1792x1024"
    wide = sent("images", request, image_size="width_height")
    assert (wide["width"], wide["height"], wide["seed"]) == (1792, 1024, 1)
    assert "size" not in wide
    assert sent("images", request, image_size="aspect_ratio")["aspect_ratio"] == "16:9"


@pytest.mark.parametrize("size", ["big", "0x5", "5x", "x"])
def test_a_size_that_is_none_is_refused(size: str) -> None:
    with pytest.raises(ApiError) as caught:
        sent("images", ImageRequest("m", "p", "openai-chat", size=size), image_size="width_height")
    assert caught.value.param == "size"


@pytest.mark.parametrize(
    ("answer", "made"),
    [
        ({"images": [{"url": "https://x.test/a"}]}, Picture(url="https://x.test/a")),
        ({"images": [{"image": "AAAA"}]}, Picture(data="AAAA")),
        (
            {"data": [{"b64_json": "AAAA", "mime_type": "image/png"}]},
            Picture("", "AAAA", "image/png"),
        ),
        ({"data": [{"url": "data:image/png;base64,AAAA"}]}, Picture("", "AAAA", "image/png")),
    ],
)
def test_pictures_are_found_wherever_a_provider_puts_them(answer: JSON, made: Picture) -> None:
    request = ImageRequest("m", "p", "openai-chat")
    reply = TASK_PROVIDERS["images"].parse_response("", json.dumps(answer).encode(), request)
    assert (reply.pictures, reply.usage) == ([made], Usage(images=1))


def test_speech_in_events_ends_with_what_it_used() -> None:
    request = parsed("speech", {"input": "a", "stream_format": "sse"}, stream=True)
    reply = SpeechReply(b"sound", "audio/mpeg", Usage(input=3, audio_out=4))
    kind, body = TASK_FACES["speech"].render_response(reply, request, STAMP)
    first, last = [json.loads(line[6:]) for line in body.decode().strip().split("\n\n")]
    assert kind == b"text/event-stream"
    assert (first["type"], base64.b64decode(first["audio"])) == ("speech.audio.delta", b"sound")
    assert (last["type"], last["usage"]["total_tokens"]) == ("speech.audio.done", 7)


def test_speech_is_asked_for_as_it_was() -> None:
    body = {
        "model": "m",
        "input": "a",
        "voice": "v",
        "response_format": "wav",
        "speed": 1.5,
        "instructions": "slowly",
        "lang": "fr",
    }
    assert sent("speech", parsed("speech", body)) == body


@pytest.mark.parametrize("body", [b"{}", b'{"audio_data":"?"}', b'{"audio_data":""}', b"no"])
def test_what_is_no_sound_is_no_answer(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        TASK_PROVIDERS["speech"].parse_response("", body, SpeechRequest("m", "t", "openai-chat"))


def test_moderation_keeps_what_it_was_asked_and_told() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    body = {"model": "m", "input": [{"type": "text", "text": "a"}, image]}
    request = parsed("moderations", body)
    assert request.inputs[1] == Media("image", data="AAAA", media_type="image/png")
    assert sent("moderation", request) == body
    result = {"flagged": False, "categories": {"a": True}, "category_scores": {"a": 0.5}, "x": 1}
    answer = {"id": "i", "model": "m", "results": [result]}
    reply = TASK_PROVIDERS["moderation"].parse_response("", json.dumps(answer).encode(), request)
    _, rendered = TASK_FACES["moderations"].render_response(reply, request, STAMP)
    assert json.loads(rendered) == answer
