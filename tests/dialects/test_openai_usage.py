"""Usage is the one recorded, whoever hid it where; its buckets never count a token twice."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi.dialects.openai import (
    OPERATIONS,
    inspect_response,
    parse_usage,
    parse_usage_value,
    rename_response,
    response_text,
)
from oneapi.ir import USAGE_BUCKETS, Usage
from oneapi.wire.json import JSON
from tests.dialects.recorded import Exchange, cases, recorded

WHOLE = [e for e in recorded(stream=False) if isinstance(e.body, dict)]
UNITS = {"images", "audio_ms", "characters", "searches"}
CHAT = OPERATIONS["chat"]


def expected(usage: JSON, provider: str) -> dict[str, int]:
    """The recorded numbers by the table of where providers differ, without looking at totals."""
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    details = details or usage.get("input_token_details") or {}
    prompt = usage.get("prompt_tokens", usage.get("input_tokens", 0))
    answer = usage.get("completion_tokens", usage.get("output_tokens", 0))
    thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens", 0)
    cached = details.get("cached_tokens", usage.get("num_cached_tokens", 0))
    if provider == "mistral":
        prompt += details.get("audio_tokens", 0)
    if provider == "xai":
        answer += thought
    return {
        "input_tokens": prompt,
        "output_tokens": answer,
        "cache_read": min(cached, prompt),
        "reasoning": min(thought, answer),
    }


def buckets(usage: Usage) -> dict[str, int]:
    return {name: getattr(usage, name) for name in expected({}, "")}


def assert_sane(usage: Usage | None) -> None:
    assert usage is not None
    assert all(type(n) is int and n >= 0 for n in usage.as_tuple())
    tokens = [getattr(usage, name) for name in USAGE_BUCKETS if name not in UNITS]
    assert sum(tokens) == usage.input_tokens + usage.output_tokens


@pytest.mark.parametrize("exchange", cases([e for e in WHOLE if e.body.get("usage")]))
@pytest.mark.parametrize("told", [True, False])
def test_the_usage_of_a_recorded_answer(exchange: Exchange, told: bool) -> None:
    excludes = told and exchange.provider == "xai"
    usage = parse_usage(exchange.operation, exchange.raw, output_excludes_reasoning=excludes)
    recorded_usage = exchange.body["usage"]
    assert_sane(usage)
    assert usage is not None
    assert buckets(usage) == expected(recorded_usage, exchange.provider)
    total = recorded_usage.get("total_tokens")
    assert total in (None, usage.input_tokens + usage.output_tokens)


@pytest.mark.parametrize("exchange", cases([e for e in WHOLE if not e.body.get("usage")]))
def test_a_recorded_answer_without_usage_has_units_or_none(exchange: Exchange) -> None:
    usage = parse_usage(exchange.operation, exchange.raw)
    images = exchange.operation.name.startswith("images")
    assert usage == (Usage(images=len(exchange.body["data"])) if images else None)


@pytest.mark.parametrize("exchange", cases(WHOLE))
def test_recorded_answers_are_what_was_asked_for(exchange: Exchange) -> None:
    kind = "application/json"
    assert inspect_response(exchange.operation, exchange.status, kind, exchange.raw) is None


@pytest.mark.parametrize("exchange", cases([e for e in WHOLE if e.body.get("model")]))
def test_renaming_changes_the_model_and_nothing_else(exchange: Exchange) -> None:
    served = json.dumps(exchange.body["model"], ensure_ascii=False).encode()
    before, found, after = exchange.raw.partition(b'"model": ' + served)
    assert found
    assert rename_response(exchange.raw, "fast") == before + b'"model": "fast"' + after


@pytest.mark.parametrize(
    ("usage", "bucketed"),
    [
        (
            {"prompt_tokens": 401, "completion_tokens": 44, "total_tokens": 630}
            | {"completion_tokens_details": {"reasoning_tokens": 185}},
            Usage(input=401, output=44, reasoning=185),
        ),
        (
            {"prompt_tokens": 11, "completion_tokens": 15, "total_tokens": 401}
            | {"prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 375}},
            Usage(input=11, audio_in=375, output=15),
        ),
        (
            {"prompt_tokens": 347, "completion_tokens": 5, "total_tokens": 352}
            | {"prompt_tokens_details": {"cached_tokens": 403}},
            Usage(cache_read=347, output=5),
        ),
        (
            {"prompt_tokens": 265, "completion_tokens": 208, "total_tokens": 473}
            | {
                "prompt_tokens_details": {
                    "cached_tokens": 170,
                    "text_tokens": 9,
                    "image_tokens": 256,
                }
            },
            Usage(cache_read=170, image_in=95, output=208),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 3, "prompt_cache_hit_tokens": 4},
            Usage(input=5, cache_read=4, output=3),
        ),
        ({"prompt_tokens": 9, "cached_tokens": 4}, Usage(input=5, cache_read=4)),
        (
            {"prompt_tokens": 9, "completion_tokens": 7, "reasoning_tokens": 2},
            Usage(input=9, output=5, reasoning=2),
        ),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"cache_write_tokens": 6}},
            Usage(input=3, cache_write_5m=6),
        ),
        ({"prompt_tokens": 1, "prompt_token_details": {"cached_tokens": 1}}, Usage(cache_read=1)),
        (
            {"completion_tokens": 8, "completion_tokens_details": {"audio_tokens": 6}},
            Usage(output=2, audio_out=6),
        ),
        ({"total_tokens": 5}, Usage(input=5)),
        ({"type": "duration", "seconds": 8.5}, Usage(audio_ms=8500)),
        ({"prompt_tokens": 3, "num_sources_used": 4}, Usage(input=3, searches=4)),
        ({"prompt_tokens": 3.0, "completion_tokens": -1}, None),  # half a count: estimated
        ({"prompt_tokens": "12", "completion_tokens": True, "total_tokens": 1e300}, None),
        ({"cost": 1}, None),
        ([1], None),
        (None, None),
    ],
)
def test_usage_in_disjoint_buckets(usage: JSON, bucketed: Usage | None) -> None:
    assert parse_usage_value(usage) == bucketed


def test_reasoning_outside_the_answers_count_is_added_where_no_total_decides() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "reasoning_tokens": 3}
    assert parse_usage_value(usage, output_excludes_reasoning=True) == Usage(
        1, output=2, reasoning=3
    )
    usage["total_tokens"] = 3
    assert parse_usage_value(usage, output_excludes_reasoning=True) == Usage(1, reasoning=2)


NUMBERS = st.none() | st.booleans() | st.integers(-5, 500) | st.floats() | st.text(max_size=3)
DETAILS = st.dictionaries(
    st.sampled_from(
        ["cached_tokens", "audio_tokens", "image_tokens", "reasoning_tokens", "cache_write_tokens"]
    ),
    NUMBERS,
)
USAGES = st.dictionaries(
    st.sampled_from(
        [
            "prompt_tokens",
            "completion_tokens",
            "total_tokens",
            "reasoning_tokens",
            "seconds",
            "type",
        ]
    ),
    NUMBERS,
) | st.fixed_dictionaries(
    {
        "prompt_tokens": NUMBERS,
        "completion_tokens": NUMBERS,
        "total_tokens": NUMBERS,
        "prompt_tokens_details": DETAILS | NUMBERS,
        "completion_tokens_details": DETAILS | NUMBERS,
    }
)


@given(USAGES, st.booleans())
def test_any_usage_gives_sane_buckets_or_none(usage: JSON, excludes: bool) -> None:
    found = parse_usage_value(usage, output_excludes_reasoning=excludes)
    if found is not None:
        assert_sane(found)


@given(st.integers(0, 99), st.integers(0, 99), DETAILS, DETAILS)
def test_buckets_sum_to_the_providers_total(prompt: int, answer: int, a: JSON, b: JSON) -> None:
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
        "prompt_tokens_details": a,
        "completion_tokens_details": b,
    }
    found = parse_usage_value(usage)
    assert found is not None
    assert found.input_tokens + found.output_tokens == prompt + answer


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (b'{"x_groq":{"usage":{"prompt_tokens":2}}}', Usage(input=2)),
        (b'{"choices":[{"usage":{"completion_tokens":2}}]}', Usage(output=2)),
        (b'\n   {"usage":{"prompt_tokens":2}}', Usage(input=2)),
        (b'{"usage":null}', None),
        (b"WEBVTT", None),
        (b"", None),
        (b'{"usage":{"prompt_tokens":', None),
    ],
)
def test_places_where_usage_stands(body: bytes, usage: Usage | None) -> None:
    assert parse_usage(CHAT, body) == usage


def test_units_are_counted_where_no_tokens_are() -> None:
    images = OPERATIONS["images.generations"]
    body = b'{"data":[{"url":"a"},{"url":"b"}],"usage":{"input_tokens":3,"output_tokens":4}}'
    assert parse_usage(images, body) == Usage(input=3, output=4, images=2)
    heard = parse_usage(OPERATIONS["transcriptions"], b'{"duration":8.47,"text":""}')
    assert heard == Usage(audio_ms=8470)
    asked = '{"input":"h\u00e9llo","voice":"x"}'.encode()
    assert parse_usage(OPERATIONS["speech"], asked) == Usage(characters=5)


@given(st.binary() | st.text().map(str.encode), st.sampled_from(list(OPERATIONS.values())))
def test_arbitrary_answers_raise_nothing(body: bytes, operation: object) -> None:
    assert operation in OPERATIONS.values()
    for known in OPERATIONS.values():
        parse_usage(known, body)
        inspect_response(known, 200, "application/json", body)
    rename_response(body, "x")
    response_text(body)


@pytest.mark.parametrize(
    ("operation", "kind", "body"),
    [
        ("chat", "application/json", b""),
        ("chat", "application/json", b" \n"),
        ("chat", "text/html", b"<p>"),
        ("chat", "application/json", b"<!DOCTYPE html>"),
        ("chat", "text/plain", b"busy"),
        ("chat", "application/json", b"[1]"),
        ("chat", "application/json", b'{"error":{"message":"no"}}'),
        ("chat", "application/json", b'{"choices":null,"base_resp":{"status_code":1008}}'),
        ("chat", "application/json", b'{"error_code":110,"error_msg":"no"}'),
        ("chat", "application/json", b'{"object":"error","message":"no"}'),
        ("chat", "application/json", b'{"id":"1"}'),
        ("embeddings", "application/json", b'{"success":false,"errors":[{"code":10000}]}'),
        ("speech", "application/json", b'{"error":"no"}'),
        ("transcriptions", "text/plain", b""),
    ],
)
def test_a_success_that_is_none_is_found_out(operation: str, kind: str, body: bytes) -> None:
    assert inspect_response(OPERATIONS[operation], 200, kind, body)


@pytest.mark.parametrize(
    ("operation", "kind", "body"),
    [
        ("chat", "application/json", b'{"choices":[],"error":null}'),
        ("chat", "application/json", b'{"choices":[{"error":{"code":502}}]}'),
        ("transcriptions", "text/plain", b"hello"),
        ("transcriptions", "application/json", b'{"text":""}'),
        ("speech", "application/json", b'{"audio_data":"AA=="}'),
        ("moderations", "application/json", b'{"results":[]}'),
    ],
)
def test_a_success_that_is_one_passes(operation: str, kind: str, body: bytes) -> None:
    assert inspect_response(OPERATIONS[operation], 200, kind, body) is None


def test_the_text_of_an_answer_holds_reasoning_and_calls() -> None:
    call = {"function": {"name": "f", "arguments": "{}"}}
    message = {"content": "a", "reasoning_content": "b", "tool_calls": [call]}
    body = json.dumps({"choices": [{"message": message}, {"text": "c"}]}).encode()
    assert sorted(response_text(body)) == sorted("abf{}c")
