from __future__ import annotations

import json

import pytest

from oneapi.dialects.base import Hints, Stamp
from oneapi.dialects.ollama import TASK_FACES, TASK_PROVIDERS
from oneapi.dialects.ollama_shapes import EMBED, EMBEDDINGS
from oneapi.errors import ApiError, UpstreamError
from oneapi.ir import Envelope, Usage
from oneapi.tasks import EmbeddingReply, EmbeddingRequest
from oneapi.wire.json import JSON
from tests.dialects.ollama_recorded import STAMP, Exchange, cases, exchanges

PROVIDER = TASK_PROVIDERS["embeddings"]
ASKED = EmbeddingRequest("m", ["a", "b"], "another")


def parsed(operation: str, body: JSON) -> EmbeddingRequest:
    request = TASK_FACES[operation].parse_request(body, Envelope("m"))
    assert isinstance(request, EmbeddingRequest)
    return request


@pytest.mark.parametrize(
    "body",
    [
        {"model": "m", "input": "a"},
        {"model": "m", "input": ["a", "b"], "dimensions": 8, "truncate": False},
        {"model": "m", "input": [], "options": {"num_ctx": 512}, "keep_alive": 0},
    ],
)
def test_a_request_is_rendered_as_it_was(body: JSON) -> None:
    outgoing = PROVIDER.render_request(parsed(EMBED, body), "m", Hints())
    assert json.loads(outgoing.body) == body
    assert (outgoing.operation, outgoing.streams) == (EMBED, False)


def test_the_older_endpoint_has_one_prompt_and_one_vector() -> None:
    request = parsed(EMBEDDINGS, {"model": "m", "prompt": "a", "options": {}})
    assert (request.inputs, request.single, request.extra) == (["a"], True, {})
    reply = EmbeddingReply("m", [[1.0, 2.0]])
    _, body = TASK_FACES[EMBEDDINGS].render_response(reply, request, STAMP)
    assert json.loads(body) == {"embedding": [1.0, 2.0]}


def test_an_answer_is_accepted_by_the_vendors_models() -> None:
    ollama = pytest.importorskip("ollama")
    reply = EmbeddingReply("served", [[1.0], [2.0]], Usage(input=3))
    stamp = Stamp("0" * 16, model="asked")
    kind, body = TASK_FACES[EMBED].render_response(reply, ASKED, stamp)
    read = ollama.EmbedResponse.model_validate_json(body)
    assert kind == b"application/json"
    assert (read.model, read.embeddings, read.prompt_eval_count) == ("asked", [[1.0], [2.0]], 3)


def test_what_is_foreign_is_named() -> None:
    request = EmbeddingRequest("m", ["a"], "another", user="u", extra={"odd": 1})
    outgoing = PROVIDER.render_request(request, "m", Hints(options={"keep_alive": "1h"}))
    assert list(outgoing.dropped) == ["user", "odd"]
    assert json.loads(outgoing.body) == {"model": "m", "input": ["a"], "keep_alive": "1h"}


def test_tokens_are_refused() -> None:
    with pytest.raises(ApiError) as caught:
        PROVIDER.render_request(EmbeddingRequest("m", ["a", [1, 2]], "another"), "m", Hints())
    assert caught.value.param == "input[1]"


@pytest.mark.parametrize(
    ("operation", "body", "param"),
    [
        (EMBED, [], None),
        (EMBED, {"input": 5}, "input"),
        (EMBED, {"input": ["a", 1]}, "input"),
        (EMBEDDINGS, {"prompt": ["a"]}, "prompt"),
        (EMBED, {"input": "a", "dimensions": "8"}, "dimensions"),
        (EMBED, {"input": "a", "truncate": 1}, "truncate"),
    ],
)
def test_what_is_malformed_is_named(operation: str, body: JSON, param: str | None) -> None:
    with pytest.raises(ApiError) as caught:
        parsed(operation, body)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_vectors_and_usage_are_read() -> None:
    body = b'{"model":"served","embeddings":[[1,2],[3,4]],"prompt_eval_count":5}'
    reply = PROVIDER.parse_response("application/json", body, ASKED)
    assert reply == EmbeddingReply("served", [[1, 2], [3, 4]], Usage(input=5))
    assert PROVIDER.parse_response("", b'{"embedding":[1]}', ASKED).vectors == [[1]]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"embeddings":[1]}', b'{"error":"x"}'])
def test_what_is_no_answer_is_an_upstream_error(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        PROVIDER.parse_response("", body, ASKED)


@pytest.mark.parametrize("exchange", cases([e for e in exchanges() if e.operation == EMBEDDINGS]))
def test_recorded_embeddings_are_read_and_rendered_again(exchange: Exchange) -> None:
    request = parsed(exchange.operation, exchange.request)
    body = json.dumps(exchange.body).encode()
    reply = PROVIDER.parse_response("", body, request)
    _, rendered = TASK_FACES[exchange.operation].render_response(reply, request, STAMP)
    assert json.loads(rendered) == exchange.body
