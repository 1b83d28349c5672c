from __future__ import annotations

import json

import pytest

from oneapi.dialects.anthropic import (
    CHAT_PROVIDER,
    OPERATIONS,
    parse_answer,
    rename_response,
    response_text,
    tap,
)
from oneapi.dialects.base import Hints, Stamp
from oneapi.dialects.base_gather import gather
from oneapi.ir import Usage
from tests.dialects.anthropic_recorded import (
    ANSWERS,
    EXCHANGES,
    STREAMS,
    Exchange,
    cases,
    data_events,
)

MESSAGES = OPERATIONS["messages"]
COUNT = OPERATIONS["messages.count_tokens"]


@pytest.mark.parametrize("size", [1, 100, 100_000])
@pytest.mark.parametrize("exchange", cases(STREAMS))
def test_a_recorded_stream_passes_and_is_metered(exchange: Exchange, size: int) -> None:
    reader = tap(MESSAGES)
    pieces = [exchange.sse[at : at + size] for at in range(0, len(exchange.sse), size)]
    assert b"".join(map(reader.feed, pieces)) + reader.close() == exchange.sse
    parser = CHAT_PROVIDER.stream_parser(Hints(), Stamp("x"))
    reply = gather(parser.feed(exchange.sse) + parser.close(), "anthropic")
    assert reader.usage == reply.usage
    assert (reader.done, reader.error) == (True, None)


@pytest.mark.parametrize("exchange", cases(STREAMS))
def test_a_recorded_stream_is_renamed_and_nothing_else(exchange: Exchange) -> None:
    reader = tap(MESSAGES, asked="asked")
    out = reader.feed(exchange.sse) + reader.close()
    model = data_events(exchange.sse)[0]["message"]["model"]
    assert data_events(out)[0]["message"]["model"] == "asked"
    assert out.replace(b'"asked"', json.dumps(model).encode()) == exchange.sse


def test_nothing_goes_out_before_the_first_content() -> None:
    reader = tap(MESSAGES)
    start = (
        b'event: message_start\ndata: {"type":"message_start","message":{"usage":'
        b'{"input_tokens":3,"output_tokens":1}}}\n\nevent: ping\ndata: {"type":"ping"}\n\n'
    )
    text = b'data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}\n\n'
    assert reader.feed(start) == b""
    assert reader.usage == Usage(input=3, output=1)
    assert reader.feed(text) == start + text
    assert reader.sample() == "a"


def test_an_error_is_noted_and_its_secrets_are_not_told() -> None:
    reader = tap(MESSAGES, secrets=["sk-ant-0123456789"])
    out = reader.feed(
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",'
        b'"message":"sk-ant-0123456789"}}\n\n'
    )
    assert reader.error["error"]["type"] == "overloaded_error"
    assert b"0123456789" not in out + reader.close()


@pytest.mark.parametrize("exchange", cases(ANSWERS))
def test_a_recorded_answer_is_one(exchange: Exchange) -> None:
    problem, usage = parse_answer(MESSAGES, 200, "application/json", exchange.raw)
    assert problem is None
    assert usage is not None
    assert usage.output_tokens == exchange.body["usage"]["output_tokens"]


@pytest.mark.parametrize(
    "exchange", cases([e for e in EXCHANGES if e.api == "count_tokens" and e.status == 200])
)
def test_counting_tokens_uses_none(exchange: Exchange) -> None:
    assert parse_answer(COUNT, 200, "application/json", exchange.raw) == (None, Usage())


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b""),
        ("text/html", b"<html>"),
        ("application/json", b"[]"),
        ("application/json", b"{}"),
        ("application/json", b'{"type":"error","error":{"type":"api_error"}}'),
    ],
)
def test_what_is_no_answer_is_told(kind: str, body: bytes) -> None:
    assert parse_answer(MESSAGES, 200, kind, body)[0]


def test_the_asked_name_is_put_back() -> None:
    assert rename_response(b'{"model": "b", "id":1}', "a") == b'{"model": "a", "id":1}'


def test_the_text_of_an_answer_is_the_models_own() -> None:
    body = {
        "content": [
            {"type": "thinking", "thinking": "t"},
            {"type": "text", "text": "x"},
            {"type": "tool_use", "name": "f", "input": {"a": 1}},
            {"type": "web_search_tool_result", "content": [{"text": "not this"}]},
        ]
    }
    assert response_text(json.dumps(body).encode()) == "txf{'a': 1}"
    assert response_text(b"no") == response_text(b"[]") == ""
