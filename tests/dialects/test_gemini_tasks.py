"""Embeddings, pictures and speech in Gemini's format."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from oneapi.dialects import cohere
from oneapi.dialects.base import Hints, Outgoing, Stamp
from oneapi.dialects.gemini import TASK_FACES, TASK_PROVIDERS
from oneapi.errors import ApiError, UpstreamError
from oneapi.ir import Envelope, Media, Usage
from oneapi.tasks import EmbeddingReply, EmbeddingRequest, ImageRequest, SpeechRequest
from oneapi.wire.json import JSON

STAMP = Stamp("0" * 16)


def parsed(verb: str, body: JSON) -> Any:
    return TASK_FACES[f"gemini.{verb}"].parse_request(body, Envelope("m"))


def outgoing(task: str, request: Any, **options: JSON) -> Outgoing:
    return TASK_PROVIDERS[task].render_request(request, "m", Hints(options=options))


def answered(task: str, request: Any, value: JSON) -> Any:
    return TASK_PROVIDERS[task].parse_response("", json.dumps(value).encode(), request)


def test_both_spellings_and_numbers_of_tasks_are_read() -> None:
    request = parsed("embed", {"content": {"parts": {"text": "a"}}, "task_type": 1})
    assert (request.inputs, request.purpose, request.single) == (["a"], "search_query", True)
    request = parsed("batch_embed", {"requests": [{"content": {"parts": [{"text": "a"}]}}]})
    assert (request.inputs, request.single) == (["a"], False)


def test_parts_of_text_are_one_text_and_others_stay_apart() -> None:
    parts = [{"text": "a"}, {"text": "b"}]
    assert parsed("embed", {"content": {"parts": parts}}).inputs == ["a\nb"]
    picture = {"inline_data": {"mime_type": "image/png", "data": "AAAA"}}
    found = parsed("embed", {"content": {"parts": [{"text": "a"}, picture]}}).inputs[0]
    assert found[1] == Media("image", data="AAAA", media_type="image/png")


@pytest.mark.parametrize(
    ("verb", "body", "param"),
    [
        ("embed", {}, "content"),
        ("embed", {"content": {}}, "content.parts"),
        ("embed", {"content": {"parts": [{"odd": 1}]}}, "content.parts[0]"),
        ("embed", {"content": {"parts": [{"text": 5}]}}, "content.parts[0].text"),
        ("embed", {"content": {"parts": [{"text": "a"}]}, "taskType": True}, "taskType"),
        ("batch_embed", {"requests": []}, "requests"),
        ("batch_embed", {"requests": [5]}, "requests[0]"),
        ("batch_embed", {"requests": [{"content": 5}]}, "requests[0].content"),
    ],
)
def test_what_is_wrong_is_named(verb: str, body: JSON, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        parsed(verb, body)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_lengths_that_differ_in_a_batch_are_refused() -> None:
    content = {"parts": [{"text": "a"}]}
    requests = [{"content": content, "outputDimensionality": n} for n in (8, 16)]
    with pytest.raises(ApiError, match="same for all"):
        parsed("batch_embed", {"requests": requests})


def test_what_single_requests_say_is_kept_and_named_elsewhere() -> None:
    content = {"parts": [{"text": "a"}]}
    requests: list[dict[str, JSON]] = [
        {"content": content, "title": "one", "taskType": "RETRIEVAL_DOCUMENT"},
        {"content": content, "title": "two", "taskType": "FACT_VERIFICATION", "odd": 1},
    ]
    request = parsed("batch_embed", {"requests": requests})
    same = json.loads(outgoing("embeddings", request).body)["requests"]
    assert same == [{"model": "models/m", **one} for one in requests]
    foreign = cohere.TASK_PROVIDERS["embeddings"].render_request(request, "m", Hints())
    assert foreign.dropped == [
        "title",
        "requests[1].odd",
        "requests[1].taskType",
        "requests[1].title",
    ]


def test_many_inputs_are_several_batches() -> None:
    request = EmbeddingRequest("m", [str(n) for n in range(250)], "another")
    made = outgoing("embeddings", request)
    sizes = [len(json.loads(body)["requests"]) for body in (made.body, *made.more)]
    assert (made.operation, sizes) == ("gemini.batch_embed", [100, 100, 50])
    made = outgoing("embeddings", request, embed="predict", embed_most=1)
    assert (made.operation, len(made.more)) == ("gemini.predict", 249)


def test_vertex_is_asked_for_single_contents() -> None:
    request = EmbeddingRequest(
        "m", ["a", "b"], "another", dimensions=8, purpose="similarity", truncate=False
    )
    made = outgoing("embeddings", request, embed="single")
    assert json.loads(made.more[0]) == {
        "content": {"role": "user", "parts": [{"text": "b"}]},
        "embedContentConfig": {
            "taskType": "SEMANTIC_SIMILARITY",
            "outputDimensionality": 8,
            "autoTruncate": False,
        },
    }


def test_tokens_are_counted_where_the_provider_counts_them() -> None:
    request = EmbeddingRequest("m", ["a"], "another")
    statistics = {"token_count": 3, "truncated": False}
    one = {"embeddings": {"values": [1.0], "statistics": statistics}}
    reply = answered("embeddings", request, {"predictions": [one, one]})
    assert (reply.vectors, reply.usage) == ([[1.0], [1.0]], Usage(input=6))
    assert answered("embeddings", request, {"embeddings": [{"values": [1.0]}]}).usage is None


def test_the_official_library_reads_an_embedding() -> None:
    types = pytest.importorskip("google.genai.types")
    request = parsed("batch_embed", {"requests": [{"content": {"parts": [{"text": "a"}]}}]})
    reply = EmbeddingReply("m", [[0.5]], Usage(input=3))
    _, body = TASK_FACES["gemini.batch_embed"].render_response(reply, request, STAMP)
    read = types.EmbedContentResponse.model_validate_json(body)
    assert read.embeddings[0].values == [0.5]


def test_a_large_picture_is_asked_for_by_the_vendors_words() -> None:
    request = ImageRequest("m", "p", "openai-chat", size="2048x2048", quality="hd", user="u")
    made = outgoing("images", request)
    config = json.loads(made.body)["generationConfig"]
    assert config["imageConfig"] == {"aspectRatio": "1:1", "imageSize": "2K"}
    assert made.dropped == ["quality", "user"]
    request = ImageRequest("m", "p", "openai-chat", n=3, size="1024x1792", file_format="jpeg")
    made = outgoing("images", request, images="predict")
    assert (made.operation, made.more) == ("gemini.predict", ())
    assert json.loads(made.body)["parameters"] == {
        "sampleCount": 3,
        "aspectRatio": "9:16",
        "sampleImageSize": "2K",
        "outputOptions": {"mimeType": "image/jpeg"},
    }


def test_a_thought_is_no_picture_and_a_refusal_says_why() -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    request = ImageRequest("m", "p", "openai-chat")
    parts = [{**picture, "thought": True}, picture]
    reply = answered("images", request, {"candidates": [{"content": {"parts": parts}}]})
    assert [made.data for made in reply.pictures] == ["AAAA"]
    with pytest.raises(UpstreamError, match="nudity") as caught:
        answered("images", request, {"predictions": [{"raiFilteredReason": "nudity"}]})
    assert (caught.value.status, caught.value.code) == (400, "content_filter")
    with pytest.raises(UpstreamError, match="PROHIBITED_CONTENT"):
        answered("images", request, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})


def test_speech_is_pcm_or_a_wav_file() -> None:
    data = base64.b64encode(b"\x01\x00").decode()
    part = {"inlineData": {"mimeType": "audio/L16;rate=16000", "data": data}}
    value = {"candidates": [{"content": {"parts": [part]}}]}
    plain = answered("speech", SpeechRequest("m", "t", "openai-chat", file_format="pcm"), value)
    assert (plain.audio, plain.media_type) == (b"\x01\x00", "audio/pcm")
    wav = answered("speech", SpeechRequest("m", "t", "openai-chat"), value)
    assert struct.unpack("<4sI4s", wav.audio[:12]) == (b"RIFF", len(wav.audio) - 8, b"WAVE")
    assert struct.unpack("<I", wav.audio[24:28]) == (16000,)
    with pytest.raises(ApiError) as caught:
        outgoing("speech", SpeechRequest("m", "t", "openai-chat", file_format="mp3"))
    assert caught.value.param == "response_format"
