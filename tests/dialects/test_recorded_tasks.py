"""Recorded exchanges that are no chats, see `recorded_tasks`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oneapi.dialects import registry
from oneapi.dialects.base import Hints
from oneapi.ir import Envelope, Media
from oneapi.tasks import EmbeddingRequest, ImageRequest, RerankRequest
from oneapi.wire.json import JSON
from tests.dialects.recorded_tasks import Exchange, exchanges, outcome

FOUND = {exchange.id: exchange for exchange in exchanges()}
TABLE = {
    "translated": 12,
    "native": 6,
    "relayed": 9,
    "refusal": 10,
    "pending": 9,
    "outside": 5,
}


def recorded(name: str) -> Exchange:
    if name not in FOUND:
        pytest.skip("no recordings beside the tree")
    return FOUND[name]


def rendered(dialect: str, task: str, request: Any, model: str, **options: JSON) -> JSON:
    provider = registry.task_provider(dialect, task)
    assert provider is not None
    return json.loads(provider.render_request(request, model, Hints(options=options)).body)


@pytest.mark.parametrize("name", FOUND or ["none"])
def test_nothing_is_lost_of_a_recorded_exchange(name: str) -> None:
    assert outcome(recorded(name)).how in TABLE


def test_what_becomes_of_them_is_known() -> None:
    if not FOUND:
        pytest.skip("no recordings beside the tree")
    counts = dict.fromkeys(TABLE, 0)
    for exchange in FOUND.values():
        counts[outcome(exchange).how] += 1
    assert counts == TABLE


def texts(name: str, texts: list[str], **said: Any) -> EmbeddingRequest:
    return EmbeddingRequest(recorded(name).model, list(texts), "another", **said)


def test_cohere_is_asked_as_it_was() -> None:
    body = recorded("cohere-04e4d08dbe").request
    request = texts("cohere-04e4d08dbe", body["texts"], purpose="search_document")
    made = rendered("cohere", "embeddings", request, body["model"])
    assert made == {**body, "embedding_types": ["float"]}  # said by us, always


def test_cohere_is_asked_for_a_pictures_vector_as_it_was() -> None:
    body = recorded("cohere-5fa2a03e4b").request
    data = body["images"][0].partition(",")[2]
    picture = [Media("image", data=data, media_type="image/gif")]
    request = EmbeddingRequest(body["model"], [picture], "another")
    assert rendered("cohere", "embeddings", request, body["model"]) == body


def test_cohere_is_asked_for_a_ranking_as_it_was() -> None:
    body = recorded("cohere-968bdb09b9").request
    request = RerankRequest("m", body["query"], body["documents"], "rerank", top_n=2)
    assert rendered("cohere", "rerank", request, body["model"]) == body


def test_dashscope_is_asked_for_a_ranking_as_it_was() -> None:
    body = recorded("dashscope-7a227e46ea").request
    request = RerankRequest("m", body["input"]["query"], body["input"]["documents"], "rerank")
    assert rendered("dashscope", "rerank", request, body["model"]) == body


def test_bedrock_is_asked_as_it_was() -> None:
    body = recorded("bedrock-201b0a5d55").request
    request = texts("bedrock-201b0a5d55", body["texts"], purpose="search_document")
    assert rendered("bedrock-converse", "embeddings", request, "m", embed="texts") == body


@pytest.mark.parametrize("name", ["vertex-fbf88083ac", "vertex-46fbf25e0c"])
def test_vertex_is_asked_as_it_was(name: str) -> None:
    body = recorded(name).request
    purpose = "search_query" if "task_type" in body["instances"][0] else ""
    request = texts(name, [i["content"] for i in body["instances"]], purpose=purpose)
    assert rendered("gemini", "embeddings", request, "m", embed="predict") == body


@pytest.mark.parametrize("name", ["gemini-0f6fb0b185", "gemini-1460f32ab4", "gemini-e757bb083d"])
def test_gemini_is_asked_as_its_client_asks(name: str) -> None:
    body, model = recorded(name).request, recorded(name).model.removeprefix("models/")
    face = registry.task_face("gemini", "gemini.batch_embed")
    assert face is not None
    made = rendered("gemini", "embeddings", face.parse_request(body, Envelope(model)), model)
    for request in body["requests"]:  # spelt in camelCase; a role means nothing here
        request["content"].pop("role", None)
        if "output_dimensionality" in request:
            request["outputDimensionality"] = request.pop("output_dimensionality")
    assert made == {"requests": body["requests"]}


@pytest.mark.parametrize("name", ["replicate-df2dd1a0d2", "replicate-588c81933a"])
def test_replicate_is_asked_as_it_was(name: str) -> None:
    body = recorded(name).request
    given = dict(body["input"])
    size = f"{given.pop('width')}x{given.pop('height')}" if "width" in given else ""
    request = ImageRequest("m", given.pop("prompt"), "openai-chat", size=size, extra=given)
    names = {"width": "width", "height": "height"}
    assert rendered("replicate", "images", request, body["version"], inputs=names) == body


PICTURES = [
    exchange.id
    for exchange in FOUND.values()
    if exchange.path.endswith("/images/generations") and isinstance(exchange.request, dict)
]


@pytest.mark.parametrize("name", PICTURES or ["none"])
def test_pictures_in_openais_format_are_asked_for_as_they_were(name: str) -> None:
    exchange = recorded(name)
    face = registry.task_face("openai-chat", "images.generations")
    assert face is not None
    asked = face.parse_request(exchange.request, Envelope(exchange.model))
    body = dict(exchange.request)
    if body.get("n") == 1:
        del body["n"]  # the default
    if body.get("response_format") == "base64":
        body["response_format"] = "b64_json"  # the catalog puts the provider's word back
    assert rendered("openai-chat", "images", asked, exchange.model) == body
