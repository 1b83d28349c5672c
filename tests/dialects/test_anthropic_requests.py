from __future__ import annotations

import json

import pytest

from oneapi.dialects.anthropic import OPERATIONS, edit_request, peek
from oneapi.errors import ApiError
from oneapi.ir import Envelope
from oneapi.wire.json import JSON, members
from tests.dialects.anthropic_recorded import EXCHANGES, Exchange, cases

MESSAGES = OPERATIONS["messages"]
COUNT = OPERATIONS["messages.count_tokens"]


def peeked(body: JSON, path_model: str | None = None) -> Envelope:
    return peek(MESSAGES, members(json.dumps(body).encode()), path_model)


def test_what_routing_needs_is_read() -> None:
    body = {"model": "claude", "stream": True, "max_tokens": 9, "messages": []}
    assert peeked(body) == Envelope("claude", stream=True, max_output=9)


def test_counting_tokens_never_streams() -> None:
    assert not peek(COUNT, members(b'{"model":"m","stream":true}'), None).stream


@pytest.mark.parametrize("exchange", cases(EXCHANGES))
def test_a_recorded_request_is_peeked(exchange: Exchange) -> None:
    envelope = peeked(exchange.request, exchange.request.get("model", "in-the-path"))
    assert envelope.stream is bool(exchange.request.get("stream"))
    assert envelope.max_output == exchange.request.get("max_tokens", 0)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "model"),
        ({"model": 1}, "model"),
        ({"model": ""}, "model"),
        ({"model": "a\n"}, "model"),
        ({"model": "m", "stream": "yes"}, "stream"),
        ({"model": "m", "max_tokens": 0.5}, "max_tokens"),
        ({"model": "m", "max_tokens": -1}, "max_tokens"),
        ({"model": "m", "max_tokens": 2**40}, "max_tokens"),
        ({"model": "m", "messages": "hi"}, "messages"),
    ],
)
def test_what_decides_is_checked(body: JSON, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        peeked(body)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_the_paths_model_and_the_bodys_must_agree() -> None:
    assert peeked({}, "m").model == "m"
    with pytest.raises(ApiError):
        peeked({"model": "a"}, "b")


def test_an_edit_keeps_every_other_byte() -> None:
    body = b'{"model": "a", "temperature": 1.0E+0, "metadata": {"x" : 1}}'
    edited = edit_request(members(body), model="b", set={"top_k": 3}, drop=["metadata"])
    assert edited == b'{"model":"b","temperature":1.0E+0,"top_k":3}'


def test_no_edit_is_none() -> None:
    assert edit_request(members(b'{"model":"a"}'), model="a", include_usage=True) is None
