from __future__ import annotations

import json

import pytest

from oneapi.dialects import registry
from oneapi.dialects.base import ClientDialect
from oneapi.dialects.responses import (
    CHAT_PROVIDER,
    NAME,
    OPERATIONS,
    error_status,
    parse_answer,
    rename_response,
    render_error,
    response_text,
    stream_error,
)
from oneapi.errors import ApiError, UpstreamError
from oneapi.ir import Usage
from oneapi.wire.json import JSON
from tests.dialects.responses_recorded import REFUSALS, WHOLE, Exchange

CREATE = OPERATIONS["responses"]


def judged(body: JSON | bytes, name: str = "responses") -> tuple[str | None, Usage | None]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_answer(OPERATIONS[name], 200, "application/json", raw)


def test_the_registry_finds_all_of_it() -> None:
    client: ClientDialect = registry.client(NAME)

    assert (client.NAME, client.PING) == (NAME, b": ping\n\n")
    assert registry.face(NAME, "responses") is not None
    assert registry.face(NAME, "responses.compact") is None
    assert registry.chat_provider(NAME) is CHAT_PROVIDER
    assert CHAT_PROVIDER.OPERATION in client.OPERATIONS


def test_an_answer_stands_in_for_chat_and_says_when_it_ends() -> None:
    assert (CREATE.task, CREATE.streams, CREATE.ends) == ("chat", True, True)
    assert [op.path for op in OPERATIONS.values()] == [
        "/responses",
        "/responses/input_tokens",
        "/responses/compact",
    ]


@pytest.mark.parametrize("exchange", WHOLE)
def test_a_recorded_answer_is_what_was_asked_for(exchange: Exchange) -> None:
    problem, usage = judged(exchange.body)

    assert problem is None
    assert usage is not None
    assert usage.output_tokens == exchange.body["usage"]["output_tokens"]


@pytest.mark.parametrize("exchange", WHOLE)
def test_a_recorded_answer_is_renamed_at_its_top_alone(exchange: Exchange) -> None:
    renamed = rename_response(exchange.raw, "mine")

    assert json.loads(renamed) == {**exchange.body, "model": "mine"}


@pytest.mark.parametrize("exchange", REFUSALS)
def test_a_recorded_refusal_is_read(exchange: Exchange) -> None:
    message, code, _ = CHAT_PROVIDER.parse_error(exchange.status, (), exchange.raw)

    assert message in json.dumps(exchange.body)
    assert code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  \n",
        b"<!DOCTYPE html>",
        b"[]",
        b"oops",
        {},
        {"error": {"message": "x"}},
        {"status": "failed", "output": [], "error": {"code": "server_error", "message": "x"}},
        {"object": "error", "message": "x"},
        {"output": None},
    ],
)
def test_what_is_no_answer_is_said(body: JSON | bytes) -> None:
    assert judged(body)[0] is not None


def test_a_refusal_by_status_is_not_judged() -> None:
    assert parse_answer(CREATE, 400, "application/json", b"{}") == (None, None)


def test_counts_and_compactions_are_answers() -> None:
    counted = {"object": "response.input_tokens", "input_tokens": 4}
    usage = {"input_tokens": 4, "output_tokens": 1, "total_tokens": 5}

    assert judged(counted, "responses.input_tokens") == (None, None)
    assert judged({}, "responses.input_tokens")[0] is not None
    compacted = {"object": "response.compaction", "output": [], "usage": usage}
    assert judged(compacted, "responses.compact") == (None, Usage(input=4, output=1))


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": 9, "output_tokens": 4, "total_tokens": 13}, Usage(input=9, output=4)),
        (
            {
                "input_tokens": 9,
                "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 3},
                "output_tokens": 4,
                "output_tokens_details": {"reasoning_tokens": 3},
                "total_tokens": 13,
            },
            Usage(input=1, cache_read=5, cache_write_5m=3, output=1, reasoning=3),
        ),
        (
            {
                "input_tokens": 9,
                "output_tokens": 4,
                "output_tokens_details": {"reasoning_tokens": 6},
                "total_tokens": 19,
            },
            Usage(input=9, output=4, reasoning=6),
        ),
        (
            {"input_tokens": 3, "input_tokens_details": {"cached_tokens": 5}, "output_tokens": 0},
            Usage(cache_read=3),
        ),
        ({"output_tokens": 4, "total_tokens": 13}, Usage(input=9, output=4)),
        ({"input_tokens": -1, "output_tokens": "x"}, None),
        ({"input_tokens": 1, "num_sources_used": 2}, Usage(input=1, searches=2)),
        ("much", None),
    ],
)
def test_usage_stands_in_disjoint_buckets(usage: JSON, expected: Usage | None) -> None:
    assert judged({"output": [], "usage": usage})[1] == expected


def test_searches_of_hosted_tools_are_counted() -> None:
    usage = {"input_tokens": 1, "output_tokens": 0}
    tools = {"web_search": {"num_requests": 3}}

    assert judged({"output": [], "usage": usage, "tool_usage": tools})[1] == Usage(
        input=1, searches=3
    )


def test_the_text_of_an_answer_is_what_its_model_wrote() -> None:
    body = {
        "output": [
            {"type": "reasoning", "summary": [{"text": "a"}], "content": [{"text": "b"}]},
            {"type": "message", "content": [{"text": "c"}, {"refusal": "d"}]},
            {"type": "function_call", "name": "e", "arguments": "f"},
        ]
    }

    assert response_text(json.dumps(body).encode()) == "abcdef"
    assert response_text(b"oops") == ""


def test_an_error_has_openais_shape() -> None:
    error = ApiError(404, "no", code="model_not_found", param="model")

    assert error_status(error) == 404
    assert json.loads(render_error(error, "r1")) == {
        "error": {
            "message": "no (request id: r1)",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }
    }


def test_an_error_in_a_stream_is_an_event_that_libraries_raise() -> None:
    raw = stream_error(UpstreamError(502, "broke", code="upstream_broke", retryable=False))
    name, data = raw.decode().strip().split("\n")
    event = json.loads(data.removeprefix("data: "))

    assert name == "event: error"
    assert (event["type"], event["code"], event["message"]) == ("error", "upstream_broke", "broke")
    responses = pytest.importorskip("openai.types.responses")
    responses.ResponseErrorEvent.model_validate(event)
