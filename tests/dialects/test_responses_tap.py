from __future__ import annotations

import json

import pytest

from oneapi.dialects.base import Tap
from oneapi.dialects.base_errors import describe
from oneapi.dialects.responses import OPERATIONS, parse_usage, tap
from tests.dialects.responses_recorded import STREAMS, Exchange, told

CREATE = OPERATIONS["responses"]
HEAD = (
    b'event: response.created\ndata: {"type":"response.created","sequence_number":0,'
    b'"response":{"id":"resp_1","tools":[{"model":"x"}],"model": "real","output":[]}}\n\n'
)
DELTA = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"'
END = (
    b'event: response.completed\ndata: {"type":"response.completed","response":{"model":"real",'
    b'"usage":{"input_tokens":3,"output_tokens":2,"total_tokens":5}}}\n\n'
)


def said(text: str) -> bytes:
    return DELTA + json.dumps(text)[1:-1].encode() + b'"}\n\n'


@pytest.mark.parametrize("exchange", STREAMS)
def test_a_recorded_stream_passes_byte_for_byte(exchange: Exchange) -> None:
    for size in (1, 13, 1000, len(exchange.sse)):
        reader = tap(CREATE)
        out = [reader.feed(exchange.sse[i : i + size]) for i in range(0, len(exchange.sse), size)]

        assert b"".join([*out, reader.close()]) == exchange.sse
        assert reader.finished
        assert reader.usage == parse_usage(told(exchange.sse)[-1]["response"])


@pytest.mark.parametrize("exchange", STREAMS)
def test_a_recorded_stream_names_the_asked_model_and_nothing_else(exchange: Exchange) -> None:
    reader: Tap = tap(CREATE, asked="mine")
    renamed = reader.feed(exchange.sse) + reader.close()

    before, after = told(exchange.sse), told(renamed)
    assert {e["response"]["model"] for e in after if "response" in e} == {"mine"}
    for event in (*before, *after):
        event.get("response", {}).pop("model", None)
    assert after == before


def test_nothing_goes_out_before_the_first_content() -> None:
    reader = tap(CREATE)

    assert reader.feed(HEAD) == b""
    assert not reader.content_seen
    assert reader.feed(said("x")) == HEAD + said("x")
    assert reader.content_seen


def test_the_end_waits_for_the_ledger() -> None:
    reader = tap(CREATE)
    reader.feed(HEAD + said("x"))

    assert reader.feed(END + b"data: [DONE]\n\n") == b""
    assert reader.done
    assert reader.usage is not None
    assert reader.usage.output_tokens == 2
    assert reader.close() == END + b"data: [DONE]\n\n"


@pytest.mark.parametrize("cut", [b"", b"data: [DO", b"data: [DONE]", b"data: [DONE]\n"])
def test_half_an_event_after_the_end_does_not_go_out(cut: bytes) -> None:
    reader = tap(CREATE)
    reader.feed(HEAD + said("x") + END + cut)

    assert reader.close() == END


def test_only_the_responses_own_name_changes() -> None:
    reader = tap(CREATE, asked="mine")

    out = reader.feed(HEAD + said('"model":"real"'))

    assert out == HEAD.replace(b'"real"', b'"mine"') + said('"model":"real"')


@pytest.mark.parametrize(
    "event",
    [
        b'{"type":"error","code":"server_error","message":"sorry sk-secretsecret"}',
        b'{"type":"response.failed","response":{"error":{"code":"x","message":"sorry"}}}',
        b'{"error":{"message":"sorry"}}',
    ],
)
def test_an_error_is_found_before_and_after_content(event: bytes) -> None:
    for before in (HEAD, HEAD + said("x")):
        reader = tap(CREATE, secrets=["sk-secretsecret"])
        out = reader.feed(before) + reader.feed(b"data: " + event + b"\n\n") + reader.close()

        assert describe(reader.error)[0].startswith("sorry")
        assert not reader.finished
        assert b"secretsecret" not in out


def test_a_stream_that_breaks_off_is_not_finished() -> None:
    reader = tap(CREATE)
    reader.feed(HEAD + said("hello there"))
    reader.close()

    assert not reader.finished
    assert reader.usage is None
    assert reader.sample() == "hello there"
    assert reader.output_estimate() > 0


def test_what_is_no_event_passes() -> None:
    reader = tap(CREATE)
    noise = b": ping\n\ndata: 7\n\n"

    assert reader.feed(noise) + reader.close() == noise
