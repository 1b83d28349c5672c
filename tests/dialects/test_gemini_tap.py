"""Streams are read along in both framings: usage, the first content, the end, errors, names."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.gemini import (
    OPERATIONS,
    ArrayFraming,
    parse_answer,
    rename_response,
    response_text,
    tap,
)
from oneapi.dialects.gemini_tap import GeminiTap
from oneapi.dialects.gemini_usage import parse_usage
from oneapi.ir import Usage
from oneapi.wire.json import JSON, encode
from tests.dialects.gemini_recorded import STREAMS, WHOLE, Exchange, cases

GENERATE = OPERATIONS["generate"]
ARRAY = OPERATIONS["generate.array"]


def arrayed(sse: bytes) -> bytes:
    framing = ArrayFraming()
    return framing.feed(sse) + framing.close()


def fed(reader: GeminiTap, data: bytes, size: int) -> bytes:
    out = [reader.feed(data[i : i + size]) for i in range(0, len(data), size)]
    return b"".join(out) + reader.close()


def chunk(text: str = "", **more: JSON) -> JSON:
    candidate: JSON = {"content": {"parts": [{"text": text}] if text else []}, **more}
    return {"candidates": [candidate], "modelVersion": "theirs"}


def sse(*answers: JSON) -> bytes:
    return b"".join(b"data: " + encode(a) + b"\r\n\r\n" for a in answers)


@pytest.mark.parametrize("size", [1, 7, 10**6])
@pytest.mark.parametrize("exchange", cases(STREAMS))
def test_a_recorded_stream_passes_untouched_and_is_metered(exchange: Exchange, size: int) -> None:
    wanted = parse_usage(exchange.chunks[-1]["usageMetadata"])
    assert wanted is not None
    for operation, data in ((GENERATE, exchange.sse), (ARRAY, arrayed(exchange.sse))):
        reader = tap(operation)
        assert fed(reader, data, size) == data
        found = reader.usage
        assert found is not None
        wanted.searches = found.searches
        assert found == wanted
        assert reader.finished
        assert reader.content_seen


@pytest.mark.parametrize("exchange", cases(STREAMS))
def test_the_asked_name_is_put_into_every_chunk(exchange: Exchange) -> None:
    data = exchange.sse
    wanted = data.replace(
        encode(exchange.chunks[0]["modelVersion"]).join([b'"modelVersion": ', b""]),
        b'"modelVersion": "mine"',
    )
    assert wanted != data
    assert fed(tap(GENERATE, asked="mine"), data, 50) == wanted
    renamed = json.loads(fed(tap(ARRAY, asked="mine"), arrayed(data), 50))
    assert {answer["modelVersion"] for answer in renamed} == {"mine"}


@pytest.mark.parametrize("exchange", cases(WHOLE))
def test_a_recorded_answer_is_metered(exchange: Exchange) -> None:
    problem, usage = parse_answer(GENERATE, 200, "application/json", exchange.body)
    assert problem is None
    assert usage is not None
    told = exchange.answer["usageMetadata"]
    assert usage.input_tokens + usage.output_tokens == told["totalTokenCount"]


def test_nothing_goes_out_before_the_first_content() -> None:
    reader = tap(GENERATE)
    first = sse({"usageMetadata": {"promptTokenCount": 1}}, chunk())
    assert reader.feed(first) == b""
    assert not reader.content_seen
    second = sse(chunk("a"))
    assert reader.feed(second) == first + second


def test_usage_of_a_broken_stream_is_the_last_that_came() -> None:
    reader = tap(GENERATE)
    for count in (1, 2, 3):
        reader.feed(sse({**chunk("a"), "usageMetadata": {"candidatesTokenCount": count}}))
    reader.feed(sse(chunk("b")))
    assert reader.usage == Usage(output=3)
    assert not reader.finished
    assert reader.sample() == "aaab"


@pytest.mark.parametrize(
    "last",
    [chunk("b", finishReason="STOP"), {"promptFeedback": {"blockReason": "OTHER"}}],
)
def test_a_reason_says_that_the_answer_is_complete(last: JSON) -> None:
    reader = tap(GENERATE)
    reader.feed(sse(chunk("a")))
    assert not reader.finished
    reader.feed(sse(last))
    assert reader.finished


def test_an_error_is_seen_and_scrubbed() -> None:
    told = {"error": {"code": 400, "message": "key AIzaSecretSecret is bad"}}
    for operation, data in ((GENERATE, sse(told)), (ARRAY, encode([told]))):
        reader = tap(operation, secrets=["AIzaSecretSecret"])
        out = fed(reader, data, 5)
        assert reader.error == told
        assert b"key *** is bad" in out


def test_searches_are_counted() -> None:
    grounded = chunk("a", finishReason="STOP", groundingMetadata={"webSearchQueries": ["", "x"]})
    reader = tap(GENERATE)
    reader.feed(sse({**grounded, "usageMetadata": {"promptTokenCount": 2}}))
    assert reader.usage == Usage(input=2, searches=1)


def test_a_stream_becomes_an_array_that_is_json_however_it_is_cut() -> None:
    data = sse(chunk("a"), chunk("b")) + b": ping\n\n"
    framing = ArrayFraming()
    out = b"".join(framing.feed(data[i : i + 1]) for i in range(len(data))) + framing.close()
    assert out == b"[" + encode(chunk("a")) + b",\r\n" + encode(chunk("b")) + b"]"
    assert ArrayFraming().close() == b"[]"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "the provider's answer was empty"),
        (b"<html>", "the provider answered with a web page"),
        (b"3", "the provider's answer is not a JSON object"),
        (b'{"error":{"code":1}}', "the provider answered with an error inside a status of success"),
        (b"{}", "the provider's answer has no `candidates`"),
        (b'{"candidates":[]}', None),
        (b'[{"candidates":[]}]', None),
    ],
)
def test_an_answer_that_is_none_is_told_in_words(body: bytes, problem: str | None) -> None:
    assert parse_answer(GENERATE, 200, "application/json", body) == (problem, None)


def test_other_operations_may_answer_anything() -> None:
    embedded = b'{"embedding":{"values":[1]},"usageMetadata":{"promptTokenCount":3}}'
    operation = OPERATIONS["gemini.embed"]
    assert parse_answer(operation, 200, "application/json", embedded) == (None, Usage(input=3))
    assert parse_answer(operation, 500, "", b"") == (None, None)


def test_whole_answers_get_the_asked_name_and_keep_their_bytes() -> None:
    body = b'{ "candidates":[1.0E+2], "modelVersion" : "theirs" }'
    assert rename_response(body, "mine") == body.replace(b'"theirs"', b'"mine"')
    both = b"[" + body + b",\r\n" + body + b"]"
    assert rename_response(both, "mine") == both.replace(b'"theirs"', b'"mine"')


def test_the_text_of_an_answer() -> None:
    call = {"functionCall": {"name": "f", "args": {"a": 1}}}
    body = {"candidates": [{"content": {"parts": [{"text": "a"}, call]}}]}
    assert response_text(encode(body)) == 'a["f",{"a":1}]'
    assert response_text(encode([body, body])) == 'a["f",{"a":1}]' * 2
    assert response_text(b"<") == ""


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (None, None),
        ({"trafficType": "ON_DEMAND"}, None),
        (
            {
                "promptTokenCount": 345,
                "cachedContentTokenCount": 230,
                "toolUsePromptTokenCount": 6,
                "candidatesTokenCount": 37,
                "thoughtsTokenCount": 40,
                "totalTokenCount": 428,
                "promptTokensDetails": [
                    {"modality": "AUDIO", "tokenCount": 60},
                    {"modality": "IMAGE", "tokenCount": 100},
                ],
                "cacheTokensDetails": [{"modality": "IMAGE", "tokenCount": 90}],
                "candidatesTokensDetails": [{"modality": 4, "tokenCount": 30}],
            },
            Usage(
                input=51,
                cache_read=230,
                audio_in=60,
                image_in=10,
                output=7,
                audio_out=30,
                reasoning=40,
            ),
        ),
        ({"promptTokenCount": 5, "totalTokenCount": 9}, Usage(input=5, output=4)),
        ({"promptTokenCount": -1, "candidatesTokenCount": True}, None),
    ],
)
def test_usage_is_put_into_disjoint_buckets(told: JSON, usage: Usage | None) -> None:
    assert parse_usage(told) == usage


@given(st.binary(max_size=120), st.integers(1, 40), st.booleans())
@settings(max_examples=200, deadline=None)
def test_any_bytes_pass(data: bytes, size: int, array: bool) -> None:
    reader = tap(ARRAY if array else GENERATE)
    assert fed(reader, data, size) == data
    assert reader.sample() is not None
    assert reader.usage is None or isinstance(reader.usage, Usage)
