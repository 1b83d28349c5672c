from __future__ import annotations

import json
from typing import Any

import pytest

from oneapi.dialects import rerank
from oneapi.dialects.base import ClientDialect, Stamp
from oneapi.errors import ApiError
from oneapi.ir import Envelope, Usage
from oneapi.tasks import Ranked, RerankReply
from oneapi.wire.json import JSON, members

OPERATION = rerank.OPERATIONS["rerank"]
FACE = rerank.TASK_FACES["rerank"]
STAMP = Stamp("0" * 16, model="asked")


def peek(body: JSON) -> Envelope:
    return rerank.peek(OPERATION, members(json.dumps(body).encode()))


def rendered(reply: RerankReply, **said: Any) -> JSON:
    body = {"query": "q", "documents": ["a", {"text": "b", "id": 7}], **said}
    request = FACE.parse_request(body, Envelope("m"))
    kind, out = FACE.render_response(reply, request, STAMP)
    assert kind == b"application/json"
    return json.loads(out)


REPLY = RerankReply([Ranked(1, 0.9, {"text": "b", "id": 7}), Ranked(0, 0.1, "a")], usage=Usage(9))


def test_it_is_a_client_dialect() -> None:
    dialect: ClientDialect = rerank
    assert (dialect.NAME, dialect.OPERATIONS["rerank"].path) == ("rerank", "/rerank")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "model"),
        ({"model": 5}, "model"),
        ({"model": ""}, "model"),
        ({"model": "m", "documents": "a"}, "documents"),
    ],
)
def test_what_routing_must_know_is_checked(body: JSON, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        peek(body)
    assert (caught.value.status, caught.value.param) == (400, param)
    assert peek({"model": "m", "documents": []}).model == "m"


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"query": 5}, "query"),
        ({"documents": []}, "documents"),
        ({"documents": ["a", 5]}, "documents[1]"),
        ({"top_n": 0}, "top_n"),
        ({"return_documents": 1}, "return_documents"),
    ],
)
def test_what_is_wrong_with_a_request_is_named(said: JSON, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        FACE.parse_request({"query": "q", "documents": ["a"], **said}, Envelope("m"))
    assert caught.value.param == param


def test_documents_come_back_unless_the_client_wants_none() -> None:
    documents = [result["document"] for result in rendered(REPLY)["results"]]
    assert documents == [{"text": "b", "id": 7}, {"text": "a"}]
    bare = rendered(REPLY, return_documents=False)["results"]
    assert bare == [
        {"index": 1, "relevance_score": 0.9},
        {"index": 0, "relevance_score": 0.1},
    ]


def test_an_answer_counts_in_both_places_and_holds_no_more_than_was_asked() -> None:
    value = rendered(REPLY, top_n=1)
    assert len(value["results"]) == 1
    assert value["usage"]["total_tokens"] == 9
    assert value["meta"]["billed_units"] == {"input_tokens": 9}
    assert value["model"] == "asked"
    searches = rendered(RerankReply([], "id", usage=Usage(searches=2)))
    assert (searches["id"], searches["meta"]["billed_units"]) == ("id", {"search_units": 2})


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        ({"usage": {"total_tokens": 7, "prompt_tokens": 7}}, Usage(input=7)),
        ({"meta": {"billed_units": {"search_units": 1}}}, Usage(searches=1)),
        ({"meta": {"tokens": {"input_tokens": 5}}}, Usage(input=5)),
        ({"tokens": {"input_tokens": 6}}, Usage(input=6)),
        ({"usage": {"total_tokens": -1}}, None),
        ({}, None),
    ],
)
def test_what_a_relayed_answer_used_is_found(said: JSON, usage: Usage | None) -> None:
    body = json.dumps({"results": [], **said}).encode()
    assert rerank.parse_answer(OPERATION, 200, "application/json", body) == (None, usage)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"results":{}}', b'{"detail":"x"}']
)
def test_what_is_no_ranking_is_told(body: bytes) -> None:
    assert rerank.parse_answer(OPERATION, 200, "", body)[0]
    assert rerank.parse_answer(OPERATION, 400, "", body) == (None, None)


def test_an_error_is_read_by_both_kinds_of_client() -> None:
    error = ApiError(400, "so it is", code="c", param="query")
    value = json.loads(rerank.render_error(error, "r"))
    assert (value["message"], value["detail"], value["id"]) == ("so it is", "so it is", "r")


def test_single_members_are_edited() -> None:
    body = members(b'{"model":"a", "top_n" : 1.0, "query":"q"}')
    assert rerank.edit_request(body, model="b", drop=("query",)) == b'{"model":"b","top_n":1.0}'
    assert rerank.edit_request(body) is None
    assert rerank.rename_response(b'{"model":"b"}', "a") == b'{"model":"a"}'
