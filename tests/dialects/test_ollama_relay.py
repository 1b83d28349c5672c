from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.ollama import (
    OPERATIONS,
    edit_request,
    parse_answer,
    peek,
    rename_response,
    response_text,
    tap,
)
from oneapi.dialects.ollama_shapes import CHAT, EMBED, EMBEDDINGS, GENERATE
from oneapi.errors import ApiError
from oneapi.ir import Usage
from oneapi.wire.json import members
from tests.dialects.ollama_recorded import Exchange, cases, chats, exchanges

OPERATION = OPERATIONS[CHAT]
LINE = b'{"model":"m","message":{"role":"assistant","content":"Hi"},"done":false}\n'
EMPTY = b'{"model":"m","message":{"role":"assistant","content":""},"done":false}\n'
END = b'{"model":"m","message":{"role":"assistant","content":""},"done":true,"eval_count":3}\n'


@pytest.mark.parametrize(
    ("operation", "body", "stream", "limit"),
    [
        (CHAT, b'{"model":"m"}', True, 0),
        (CHAT, b'{"model":"m","stream":null,"messages":null}', True, 0),
        (CHAT, b'{"model":"m","stream":false,"options":{"num_predict":9}}', False, 9),
        (GENERATE, b'{"model":"m","prompt":"x","options":{"num_predict":-1}}', True, 0),
        (EMBED, b'{"model":"m","input":["a"],"stream":true}', False, 0),
        (EMBEDDINGS, b'{"model":"m","prompt":"a","options":null}', False, 0),
    ],
)
def test_peek(operation: str, body: bytes, stream: bool, limit: int) -> None:
    envelope = peek(OPERATIONS[operation], members(body))
    assert (envelope.model, envelope.stream, envelope.max_output) == ("m", stream, limit)


@pytest.mark.parametrize(
    ("operation", "body", "param"),
    [
        (CHAT, b"{}", "model"),
        (CHAT, b'{"model":""}', "model"),
        (CHAT, b'{"model":1}', "model"),
        (CHAT, b'{"model":"a\\u0000"}', "model"),
        (CHAT, b'{"model":"m","stream":1}', "stream"),
        (CHAT, b'{"model":"m","messages":"hi"}', "messages"),
        (GENERATE, b'{"model":"m","prompt":["hi"]}', "prompt"),
        (EMBED, b'{"model":"m","input":5}', "input"),
        (CHAT, b'{"model":"m","options":[]}', "options"),
        (CHAT, b'{"model":"m","options":{"num_predict":"x"}}', "options.num_predict"),
        (CHAT, b'{"model":"m","options":{"num_predict":1e400}}', "options.num_predict"),
        (CHAT, b'{"model":"m","options":{"num_predict":99999999999}}', "options.num_predict"),
    ],
)
def test_peek_names_what_is_wrong(operation: str, body: bytes, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        peek(OPERATIONS[operation], members(body))
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize("exchange", cases(list(exchanges())))
def test_recorded_requests_are_let_through(exchange: Exchange) -> None:
    body = json.dumps(exchange.request).encode()
    envelope = peek(OPERATIONS[exchange.operation], members(body))
    assert envelope.model == exchange.request["model"]


def test_an_edit_keeps_every_other_byte() -> None:
    body = b'{"model": "a", "options": {"temperature": 1.0E+2}, "x": "\\u00e9"}'
    edited = edit_request(members(body), model="b", set={"keep_alive": "1h"}, drop=["x"])
    assert edited == b'{"model":"b","options":{"temperature": 1.0E+2},"keep_alive":"1h"}'
    assert edit_request(members(body), model="a", include_usage=True) is None


@pytest.mark.parametrize("exchange", cases(chats(stream=True)))
@pytest.mark.parametrize("size", [5, 4096])
def test_a_recorded_stream_is_relayed_to_the_byte(exchange: Exchange, size: int) -> None:
    raw, reading = exchange.lines.encode(), tap(OPERATIONS[exchange.operation])
    out = [reading.feed(raw[i : i + size]) for i in range(0, len(raw), size)]
    assert b"".join(out) + reading.close() == raw
    last = json.loads(raw.splitlines()[-1])
    assert reading.usage == Usage(input=last.get("prompt_eval_count", 0), output=last["eval_count"])
    assert reading.finished


def test_frames_are_held_until_content_and_the_end_until_the_close() -> None:
    reading = tap(OPERATION)
    assert reading.feed(EMPTY) == b""
    assert not reading.content_seen
    assert reading.feed(LINE) == EMPTY + LINE
    assert reading.feed(END) == b""
    assert reading.close() == END


def test_every_line_is_renamed() -> None:
    reading = tap(OPERATION, asked="asked")
    out = reading.feed(LINE * 3 + END) + reading.close()
    assert out == (LINE * 3 + END).replace(b'"m"', b'"asked"')


def test_an_error_line_is_noted_and_cleaned() -> None:
    reading = tap(OPERATION, secrets=["sk-0123456789abcdef"])
    out = reading.feed(LINE + b'{"error":"key sk-0123456789abcdef is bad"}\n')
    assert reading.error == {"error": "key sk-0123456789abcdef is bad"}
    assert b"0123456789" not in out
    assert not reading.finished


def test_text_is_sampled_for_an_estimate() -> None:
    reading = tap(OPERATION)
    call = (
        b'{"message":{"thinking":"hm","tool_calls":[{"function":{"name":"f","arguments":{}}}]}}\n'
    )
    reading.feed(LINE + call)
    assert reading.sample() == "Hihmf{}"
    assert reading.output_estimate() > 0


@pytest.mark.parametrize(
    ("operation", "body", "usage"),
    [
        (CHAT, b'{"message":{},"prompt_eval_count":5,"eval_count":2}', Usage(input=5, output=2)),
        (CHAT, b'{"message":{},"eval_count":2}', Usage(output=2)),
        (CHAT, b'{"message":{},"eval_count":-2}', None),
        (GENERATE, b'{"response":"","done_reason":"load"}', None),
        (EMBED, b'{"embeddings":[[1]],"prompt_eval_count":5}', Usage(input=5)),
        (EMBEDDINGS, b'{"embedding":[1]}', None),
    ],
)
def test_a_whole_answer_says_what_it_used(operation: str, body: bytes, usage: Usage | None) -> None:
    found = parse_answer(OPERATIONS[operation], 200, "application/json", body)
    assert found == (None, usage)


@pytest.mark.parametrize(
    ("operation", "kind", "body"),
    [
        (CHAT, "application/json", b""),
        (CHAT, "text/html", b"<p>"),
        (CHAT, "", b"<!DOCTYPE html>"),
        (CHAT, "", b"[1]"),
        (CHAT, "", b'{"error":"x"}'),
        (CHAT, "", b'{"message":null}'),
        (EMBED, "", b'{"embedding":[1]}'),
    ],
)
def test_what_is_no_answer_is_told(operation: str, kind: str, body: bytes) -> None:
    problem, usage = parse_answer(OPERATIONS[operation], 200, kind, body)
    assert problem
    assert usage is None


@pytest.mark.parametrize("exchange", cases([e for e in exchanges() if not e.lines]))
def test_recorded_answers_are_answers(exchange: Exchange) -> None:
    body = json.dumps(exchange.body).encode()
    operation = OPERATIONS[exchange.operation]
    assert parse_answer(operation, exchange.status, "application/json", body)[0] is None


def test_a_refusal_is_no_answer_to_judge() -> None:
    assert parse_answer(OPERATION, 404, "", b"") == (None, None)


def test_a_whole_answer_is_renamed_and_its_text_read() -> None:
    body = b'{"model": "m", "message": {"content": "Hi", "thinking": "h"}}'
    assert rename_response(body, "asked") == body.replace(b'"m"', b'"asked"')
    assert response_text(body) == "hHi"
    assert response_text(b"{") == ""


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([LINE, EMPTY, END, b"\n", b'{"error":1}\n']) | st.binary(max_size=9))
)
def test_any_stream_is_relayed_whole(pieces: list[bytes]) -> None:
    reading = tap(OPERATION)
    out = b"".join(map(reading.feed, pieces)) + reading.close()
    assert out == b"".join(pieces)
