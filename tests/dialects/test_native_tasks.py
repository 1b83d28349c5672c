"""Tasks in formats that no client speaks: Cohere's, Bedrock's, DashScope's, Cloudflare's and
Replicate's.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from oneapi.dialects import dashscope_tasks, registry
from oneapi.dialects.base import AnswersLater, Hints, Outgoing
from oneapi.errors import ApiError, UpstreamError
from oneapi.ir import Media, Usage
from oneapi.tasks import EmbeddingRequest, ImageRequest, Picture, RerankRequest
from oneapi.wire.json import JSON

PICTURE = Media("image", data="AAAA", media_type="image/png")
RANK = RerankRequest("m", "q", ["a", {"text": "b"}], "rerank", top_n=1)


def outgoing(dialect: str, task: str, request: Any, **options: JSON) -> Outgoing:
    provider = registry.task_provider(dialect, task)
    assert provider is not None
    return provider.render_request(request, "m", Hints(options=options))


def body(dialect: str, task: str, request: Any, **options: JSON) -> JSON:
    return json.loads(outgoing(dialect, task, request, **options).body)


def answered(dialect: str, task: str, request: Any, value: JSON, kind: str = "") -> Any:
    provider = registry.task_provider(dialect, task)
    assert provider is not None
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return provider.parse_response(kind, raw, request)


def embedding(*inputs: Any, **said: Any) -> EmbeddingRequest:
    return EmbeddingRequest("m", list(inputs), "another", **said)


def picture(**said: Any) -> ImageRequest:
    return ImageRequest("m", "p", "openai-chat", **said)


def test_cohere_is_told_a_type_always() -> None:
    assert body("cohere", "embeddings", embedding("a"))["input_type"] == "search_document"
    usual = body("cohere", "embeddings", embedding("a"), input_type="clustering")
    assert usual["input_type"] == "clustering"
    asked = embedding("a", purpose="search_query", truncate=True)
    assert body("cohere", "embeddings", asked)["input_type"] == "search_query"
    assert body("cohere", "embeddings", asked)["truncate"] == "END"
    made = outgoing("cohere", "embeddings", embedding("a", purpose="similarity"))
    assert made.dropped == ["purpose"]


def test_cohere_takes_96_texts_one_picture_or_a_mixture() -> None:
    made = outgoing("cohere", "embeddings", embedding(*["a"] * 100))
    assert [len(json.loads(b)["texts"]) for b in (made.body, *made.more)] == [96, 4]
    made = outgoing("cohere", "embeddings", embedding([PICTURE], [PICTURE]))
    assert json.loads(made.more[0])["images"] == ["data:image/png;base64,AAAA"]
    mixed = body("cohere", "embeddings", embedding("a", [PICTURE]))["inputs"]
    assert [one["content"][0]["type"] for one in mixed] == ["text", "image_url"]
    with pytest.raises(ApiError) as caught:
        outgoing("cohere", "embeddings", embedding("a", [Media("image", url="https://x.test/a")]))
    assert caught.value.param == "inputs[1]"


@pytest.mark.parametrize("found", [{"float": [[1.0]]}, {"int8": [[1]]}, [[1.0]]])
def test_coheres_vectors_of_any_version_are_read(found: JSON) -> None:
    value = {"embeddings": found, "meta": {"billed_units": {"input_tokens": 2}}}
    reply = answered("cohere", "embeddings", embedding("a"), value)
    assert (reply.vectors, reply.usage) == ([[1.0]], Usage(input=2))


def test_a_ranking_speaks_of_the_documents_that_were_given() -> None:
    results = [{"index": 1, "relevance_score": 0.5}]
    for dialect, value in (
        ("cohere", {"results": results}),
        ("bedrock-converse", {"results": results}),
        ("dashscope", {"output": {"results": results}}),
        ("cloudflare", {"result": {"response": [{"id": 1, "score": 0.5}]}}),
    ):
        (place,) = answered(dialect, "rerank", RANK, value).results
        assert (place.index, place.score, place.document) == (1, 0.5, {"text": "b"})
    with pytest.raises(UpstreamError):
        answered("cohere", "rerank", RANK, {"results": [{"index": 2, "relevance_score": 1}]})


def test_a_ranking_is_asked_for_in_each_ones_words() -> None:
    plain = {"query": "q", "documents": ["a", "b"], "top_n": 1}
    assert body("bedrock-converse", "rerank", RANK) == plain
    assert body("bedrock-converse", "rerank", RANK, rerank_version=2)["api_version"] == 2
    assert body("cloudflare", "rerank", RANK) == {
        "query": "q",
        "contexts": [{"text": "a"}, {"text": "b"}],
        "top_k": 1,
    }
    asked = RerankRequest("m", "q", ["a"], "rerank", extra={"instruct": "i", "odd": 1})
    made = outgoing("dashscope", "rerank", asked)
    assert json.loads(made.body)["parameters"] == {"instruct": "i"}
    assert made.dropped == ["odd"]


@pytest.mark.parametrize("dialect", ["cohere", "bedrock-converse", "dashscope", "cloudflare"])
def test_a_document_without_text_is_refused_by_name(dialect: str) -> None:
    asked = RerankRequest("m", "q", ["a", {"image": "x"}], "rerank")
    with pytest.raises(ApiError) as caught:
        outgoing(dialect, "rerank", asked)
    assert caught.value.param == "documents[1]"


def test_bedrocks_vendors_have_bodies_of_their_own() -> None:
    asked = embedding("a", "b", dimensions=256)
    made = outgoing("bedrock-converse", "embeddings", asked)
    assert json.loads(made.more[0]) == {"inputText": "b", "dimensions": 256}
    texts = body("bedrock-converse", "embeddings", asked, embed="texts")
    assert (texts["texts"], texts["output_dimension"]) == (["a", "b"], 256)
    single = body("bedrock-converse", "embeddings", asked, embed="single")
    assert single["singleEmbeddingParams"]["text"]["value"] == "a"
    both = embedding([Media("file", text="a"), PICTURE], dimensions=256)
    assert body("bedrock-converse", "embeddings", both, embed="multimodal") == {
        "inputText": "a",
        "inputImage": "AAAA",
        "embeddingConfig": {"outputEmbeddingLength": 256},
    }


def test_bedrocks_pictures() -> None:
    made = body("bedrock-converse", "images", picture(n=2, size="512x512", quality="hd"))
    assert made["imageGenerationConfig"] == {
        "numberOfImages": 2,
        "width": 512,
        "height": 512,
        "quality": "premium",
    }
    made = body("bedrock-converse", "images", picture(size="512x768"), images="prompt")
    assert made == {"prompt": "p", "aspect_ratio": "2:3"}
    reply = answered("bedrock-converse", "images", picture(), {"images": ["AAAA"]})
    assert reply.pictures == [Picture(data="AAAA")]
    filtered = {"images": [None], "finish_reasons": ["Filter reason: prompt"]}
    with pytest.raises(UpstreamError, match="Filter reason: prompt"):
        answered("bedrock-converse", "images", picture(), filtered)


def test_dashscope_sorts_its_vectors_and_takes_ten() -> None:
    found = [{"text_index": n, "embedding": [float(n)]} for n in (1, 0)]
    value = {"output": {"embeddings": found}, "usage": {"total_tokens": 5}}
    reply = answered("dashscope", "embeddings", embedding("a", "b"), value)
    assert (reply.vectors, reply.usage) == ([[0.0], [1.0]], Usage(input=5))
    asked = embedding(*["a"] * 11, purpose="search_query", dimensions=64)
    made = outgoing("dashscope", "embeddings", asked)
    assert json.loads(made.more[0]) == {
        "model": "m",
        "input": {"texts": ["a"]},
        "parameters": {"text_type": "query", "dimension": 64},
    }


def test_dashscopes_task_is_a_promise_until_it_is_done() -> None:
    provider: AnswersLater = dashscope_tasks.Images()
    assert isinstance(registry.task_provider("dashscope", "images"), AnswersLater)
    for status in ("PENDING", "RUNNING"):
        output = {"task_id": "a-1", "task_status": status}
        follow = provider.follow_up(json.dumps({"output": output}).encode())
        assert follow is not None
        assert follow.url == "/api/v1/tasks/a-1"
    for output in ({"task_status": "SUCCEEDED"}, {"task_id": "../x", "task_status": "PENDING"}):
        assert provider.follow_up(json.dumps({"output": output}).encode()) is None


def test_dashscopes_failures_are_told_in_its_words() -> None:
    failed = {"task_status": "FAILED", "code": "InvalidParameter", "message": "the size is wrong"}
    with pytest.raises(UpstreamError, match="the size is wrong") as caught:
        answered("dashscope", "images", picture(), {"output": failed})
    assert caught.value.code == "InvalidParameter"
    results = [{"code": "DataInspectionFailed", "message": "not allowed"}]
    with pytest.raises(UpstreamError, match="not allowed"):
        answered("dashscope", "images", picture(), {"output": {"results": results}})


def test_dashscopes_newer_models_are_asked_as_chats() -> None:
    asked = picture(size="1328x1328", extra={"negative_prompt": "dogs", "seed": 1, "odd": 2})
    made = outgoing("dashscope", "images", asked, images="messages")
    assert (made.operation, made.dropped, made.headers) == ("dashscope.multimodal", ["odd"], ())
    assert json.loads(made.body)["parameters"] == {
        "n": 1,
        "size": "1328*1328",
        "seed": 1,
        "negative_prompt": "dogs",
    }
    content = [{"image": "https://x.test/a"}]
    value = {"output": {"choices": [{"message": {"content": content}}]}}
    reply = answered("dashscope", "images", asked, value)
    assert (reply.pictures, reply.usage) == ([Picture("https://x.test/a")], Usage(images=1))


def test_cloudflares_vectors_have_one_length() -> None:
    assert body("cloudflare", "embeddings", embedding("a", "b")) == {"text": ["a", "b"]}
    with pytest.raises(ApiError) as caught:
        outgoing("cloudflare", "embeddings", embedding("a", dimensions=8))
    assert caught.value.param == "dimensions"
    value = {"result": {"shape": [1, 1], "data": [[1.0]]}, "success": True}
    assert answered("cloudflare", "embeddings", embedding("a"), value).vectors == [[1.0]]
    failed = {"result": None, "success": False, "errors": [{"code": 5006, "message": "no text"}]}
    with pytest.raises(UpstreamError, match="no text"):
        answered("cloudflare", "embeddings", embedding("a"), failed)


def test_cloudflares_picture_is_a_file_or_base64() -> None:
    made = answered("cloudflare", "images", picture(), b"\x89PNG", "image/png").pictures
    assert made == [Picture(data="iVBORw==", media_type="image/png")]
    made = answered("cloudflare", "images", picture(), {"result": {"image": "AAAA"}}).pictures
    assert made == [Picture(data="AAAA")]
    asked = outgoing("cloudflare", "images", picture(n=2, size="8x9", extra={"steps": 4}))
    assert json.loads(asked.body) == {"prompt": "p", "width": 8, "height": 9, "steps": 4}
    assert len(asked.more) == 1


def test_replicates_inputs_are_called_as_the_model_calls_them() -> None:
    asked = picture(n=2, size="1024x576", file_format="jpeg", quality="hd", extra={"seed": 1})
    made = outgoing("replicate", "images", asked)
    assert json.loads(made.body)["input"] == {
        "prompt": "p",
        "num_outputs": 2,
        "aspect_ratio": "16:9",
        "output_format": "jpg",
        "seed": 1,
    }
    assert (made.operation, made.dropped) == ("replicate.predict", ["quality"])
    names = {"n": "", "size": "", "output_format": "format"}
    made = outgoing("replicate", "images", asked, inputs=names, defaults={"go_fast": True})
    assert json.loads(made.body)["input"] == {
        "go_fast": True,
        "prompt": "p",
        "format": "jpg",
        "seed": 1,
    }
    assert made.dropped == ["quality", "size", "n"]


@pytest.mark.parametrize("output", ["https://x.test/a.png", ["https://x.test/a.png"]])
def test_replicates_output_is_one_address_or_several(output: JSON) -> None:
    value = {"status": "succeeded", "output": output, "metrics": {"predict_time": 1.0}}
    reply = answered("replicate", "images", picture(), value)
    assert (reply.pictures, reply.usage) == ([Picture("https://x.test/a.png")], Usage(images=1))


def test_a_prediction_that_failed_is_an_error() -> None:
    failed = {"status": "failed", "error": "NSFW", "output": None}
    with pytest.raises(UpstreamError, match="NSFW"):
        answered("replicate", "images", picture(), failed)
