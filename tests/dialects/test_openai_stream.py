"""Streams pass to the letter, held back where they must be, and tell what they used."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.openai import StreamTap
from oneapi.ir import Usage
from oneapi.wire.json import JSON
from oneapi.wire.sse import data_of, split
from tests.dialects.recorded import Exchange, cases, recorded
from tests.dialects.test_openai_usage import buckets, expected

STREAMS = recorded(stream=True)
DONE = b"data: [DONE]\n\n"
ROLE = b'data: {"model":"m-1","choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
TEXT = b'data: {"model":"m-1","choices":[{"delta":{"content":"hi"}}]}\n\n'
STOP = b'data: {"model":"m-1","choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"model":"m-1","choices":[],"usage":{"prompt_tokens":2,"completion_tokens":3}}\n\n'


def run(tap: StreamTap, stream: bytes, size: int) -> bytes:
    out = [tap.feed(stream[i : i + size]) for i in range(0, len(stream), size)]
    return b"".join(out) + tap.close()


def events_of(stream: bytes) -> list[tuple[bytes, JSON]]:
    """Every event with its data decoded, read without the code under test but for the framing."""
    found: list[tuple[bytes, JSON]] = []
    for event in split(stream):
        try:
            found.append((event, json.loads(data_of(event) or b"")))
        except ValueError:
            found.append((event, None))
    return found


def last_usage(stream: bytes) -> JSON:
    last = None
    for _, value in events_of(stream):
        if isinstance(value, dict):
            last = value.get("usage") or (value.get("x_groq") or {}).get("usage") or last
    return last


def without_usage_chunks(stream: bytes) -> bytes:
    return b"".join(
        event
        for event, value in events_of(stream)
        if not (isinstance(value, dict) and value.get("choices") == [] and value.get("usage"))
    )


@pytest.mark.parametrize("exchange", cases(STREAMS))
@pytest.mark.parametrize("size", [1, 7, 333, 65_536])
@pytest.mark.parametrize("withhold", [False, True])
def test_a_recorded_stream_passes_and_is_metered(
    exchange: Exchange, size: int, withhold: bool
) -> None:
    tap = StreamTap(withhold_usage=withhold, output_excludes_reasoning=exchange.provider == "xai")
    out = run(tap, exchange.sse, size)
    assert out == (without_usage_chunks(exchange.sse) if withhold else exchange.sse)
    usage = last_usage(exchange.sse)
    assert (tap.usage is None) == (usage is None)
    if tap.usage is not None:
        assert buckets(tap.usage) == expected(usage, exchange.provider)
    assert tap.content_seen
    assert tap.done == (b"[DONE]" in exchange.sse)
    assert tap.finished or tap.error
    assert (tap.error is not None) == (b'"error":{' in exchange.sse)


@pytest.mark.parametrize("exchange", cases(STREAMS))
@pytest.mark.parametrize("size", [50, 65_536])
def test_a_recorded_stream_is_renamed_and_nothing_else(exchange: Exchange, size: int) -> None:
    out = run(StreamTap(asked="fast/1"), exchange.sse, size)
    changed = []
    for event, value in events_of(exchange.sse):
        if isinstance(value, dict) and value.get("model"):
            old = json.dumps(value["model"], ensure_ascii=False).encode()
            spaced = b'"model": ' if b'"model": ' in event else b'"model":'
            event = event.replace(spaced + old, spaced + b'"fast/1"', 1)
        changed.append(event)
    assert out == b"".join(changed)


def test_every_cut_gives_the_same_bytes_and_usage() -> None:
    stream = (
        b": ping\n\n" + ROLE + TEXT + b"\n" + TEXT.replace(b"\n", b"\r\n") + STOP + USAGE + DONE
    )
    wanted = stream.replace(USAGE, b"").replace(b'"m-1"', b'"fast"')
    for first in range(len(stream)):
        for second in range(first, len(stream), 13):
            tap = StreamTap(asked="fast", withhold_usage=True)
            pieces = (stream[:first], stream[first:second], stream[second:])
            out = b"".join(map(tap.feed, pieces)) + tap.close()
            assert (out, tap.usage) == (wanted, Usage(input=2, output=3))


def test_a_role_alone_waits_for_content_and_a_comment_does_not() -> None:
    tap = StreamTap()
    assert tap.feed(b": ping\n\n") == b": ping\n\n"
    assert tap.feed(ROLE) == b""
    assert (tap.pending, tap.content_seen) == (ROLE, False)
    assert tap.feed(TEXT) == ROLE + TEXT
    assert tap.content_seen


def test_a_comment_after_a_role_takes_it_along_in_order() -> None:
    tap = StreamTap()
    tap.feed(ROLE)
    assert tap.feed(b": ping\n\n") == ROLE + b": ping\n\n"
    assert not tap.content_seen


@pytest.mark.parametrize(
    "delta",
    [
        b'{"content":"x"}',
        b'{"reasoning_content":"x"}',
        b'{"reasoning":"x"}',
        b'{"content":[{"type":"thinking"}]}',
        b'{"tool_calls":[{"index":0}]}',
        b'{"refusal":"x"}',
        b'{"audio":{"data":"AA"}}',
        b'{"content":"\\ud83d"}',
        b'{"something_new":"x"}',
    ],
)
def test_anything_a_model_says_is_content(delta: bytes) -> None:
    tap = StreamTap()
    event = b'data: {"choices":[{"delta":' + delta + b"}]}\n\n"
    assert tap.feed(event) == event


@pytest.mark.parametrize(
    "data",
    [
        b'{"choices":[{"delta":{"role":"assistant","content":null,"token_id":7}}]}',
        b'{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}',
        b'{"error":{"message":"no"}}',
        b"not json",
        b"[]",
    ],
)
def test_what_is_no_content_is_held_back(data: bytes) -> None:
    tap = StreamTap()
    assert tap.feed(b"data: " + data + b"\n\n") == b""
    assert not tap.content_seen
    assert tap.close() == b"data: " + data + b"\n\n"


def test_events_without_content_are_not_held_without_end() -> None:
    tap = StreamTap()
    assert any(tap.feed(b"data: nothing\n\n") for _ in range(10_000))


def test_the_terminal_event_is_held_and_what_follows_it() -> None:
    tap = StreamTap()
    assert tap.feed(TEXT + STOP + DONE + b": late\n\n") == TEXT + STOP
    assert tap.done
    assert tap.feed(b"more") == b""
    assert tap.close() == DONE + b": late\n\nmore"


def test_a_text_that_says_done_is_not_the_end() -> None:
    tap = StreamTap()
    event = TEXT.replace(b"hi", b"data: [DONE]")
    assert tap.feed(TEXT + event) == TEXT + event
    assert not tap.done


def test_a_stream_cut_in_its_last_event_gives_it_at_the_close() -> None:
    tap = StreamTap()
    assert tap.feed(TEXT + USAGE[:-2]) == TEXT
    assert tap.close() == USAGE[:-2]
    assert tap.usage == Usage(input=2, output=3)
    assert not tap.finished


def test_a_finish_in_a_block_that_was_not_parsed_is_found() -> None:
    tap = StreamTap()
    tap.feed(TEXT)
    assert not tap.finished
    tap.feed(TEXT * 40 + STOP)
    assert tap.finished


def test_usage_inside_a_finish_chunk_passes() -> None:
    event = STOP.replace(b"}]}", b'}],"usage":{"prompt_tokens":2}}')
    tap = StreamTap(withhold_usage=True)
    assert tap.feed(TEXT + event) == TEXT + event
    assert tap.usage == Usage(input=2)


def test_cumulative_counts_are_replaced_and_empty_ones_are_not_taken() -> None:
    tap = StreamTap()
    for count in (1, 5, 0):
        event = TEXT.replace(b"}]}", b'}],"usage":{"completion_tokens":%d}}' % count)
        assert tap.feed(event) == event
    assert tap.usage == Usage(output=5)


@pytest.mark.parametrize(
    "data",
    [
        b'{"error":{"message":"m"}}',
        b'{"choices":[{"delta":{},"error":{"message":"m"},"finish_reason":"error"}]}',
        b'{"error":"m"}',
        b'{"base_resp":{"status_code":1008,"status_msg":"m"}}',
    ],
)
def test_an_error_event_is_reported(data: bytes) -> None:
    tap = StreamTap()
    tap.feed(b"data: " + data + b"\n\n")
    assert tap.error_text() == "m"


def test_an_error_after_content_passes_without_the_key() -> None:
    tap = StreamTap(secrets=["sk-secret-123456"])
    event = b'event: error\ndata: {"error":{"message":"bad key sk-secret-123456"}}\n\n'
    assert tap.feed(TEXT) == TEXT
    assert tap.feed(event) == event.replace(b"sk-secret-123456", b"***")
    assert tap.error is not None


def test_an_empty_model_stays_empty() -> None:
    tap = StreamTap(asked="fast")
    azure = b'data: {"choices":[],"model":"","prompt_filter_results":[]}\n\n'
    assert tap.feed(azure + TEXT) == azure + TEXT.replace(b"m-1", b"fast")


def test_a_block_is_relayed_up_to_its_first_event_of_interest() -> None:
    tap = StreamTap(withhold_usage=True, asked="fast")
    tap.feed(TEXT)
    out = tap.feed(TEXT * 50 + STOP + USAGE + TEXT + DONE)
    assert out == (TEXT * 50 + STOP + TEXT).replace(b"m-1", b"fast")
    assert (tap.done, tap.usage) == (True, Usage(input=2, output=3))


def test_nulls_for_usage_and_error_are_of_no_interest() -> None:
    tap = StreamTap()
    event = TEXT.replace(b"}]}", b'}],"usage": null,"error":null}')
    tap.feed(event)
    before = tap.events
    assert tap.feed(event * 9) == event * 9
    assert tap.events == before + 1  # one block, not nine parsed events


def test_a_usage_chunk_without_choices_is_withheld_too() -> None:
    tap = StreamTap(withhold_usage=True)
    assert tap.feed(TEXT + USAGE.replace(b'"choices":[],', b"")) == TEXT
    assert tap.usage == Usage(input=2, output=3)


def test_a_key_in_escapes_is_renamed_and_teaches_nothing() -> None:
    tap = StreamTap(asked="NEW")
    odd = b'data: {"x":{"model":"m-1"},"mod\\u0065l":"m-1","choices":[{"text":"a"}]}\n\n'
    assert tap.feed(odd * 3) == odd.replace(b'65l":"m-1"', b'65l":"NEW"') * 3


def test_the_same_name_needs_no_renaming() -> None:
    tap = StreamTap(asked="m", served="m")
    assert tap.feed(TEXT) == TEXT


@pytest.mark.parametrize(
    ("odd", "renamed"),
    [
        (
            b'data: {"x":{"model":"m-1"},"model":"m-2","choices":[{"delta":{"content":"a"}}]}\n\n',
            b'data: {"x":{"model":"m-1"},"model":"NEW","choices":[{"delta":{"content":"a"}}]}\n\n',
        ),
        (
            b'data: {"model":"m-1","choices":[{"model":"m-1","delta":{"content":"a"}}]}\n\n',
            b'data: {"model":"NEW","choices":[{"model":"m-1","delta":{"content":"a"}}]}\n\n',
        ),
        (b'data: {"choices":[{"model":"m-1"}]}\n\n', b'data: {"choices":[{"model":"m-1"}]}\n\n'),
        (b': data: {"model":"m-1",\n\n', b': data: {"model":"m-1",\n\n'),
    ],
)
def test_only_the_top_level_model_is_renamed_in_any_block(odd: bytes, renamed: bytes) -> None:
    tap = StreamTap(asked="NEW")
    tap.feed(TEXT)
    text = TEXT.replace(b"m-1", b"NEW")
    assert tap.feed(TEXT * 3 + odd + TEXT) == text * 3 + renamed + text


def test_streams_of_other_endpoints_are_metered() -> None:
    tap = StreamTap()
    speech = b'data: {"type":"speech.audio.done","usage":{"input_tokens":3,"output_tokens":9}}\n\n'
    assert tap.feed(speech) == speech
    assert tap.usage == Usage(input=3, audio_out=9)
    tap = StreamTap()
    image = b'data: {"type":"image_generation.completed","usage":{"output_tokens":9}}\n\n'
    assert tap.feed(image) == image
    assert tap.usage == Usage(output=9, images=1)
    assert tap.finished


def test_pictures_are_counted_where_nothing_says_what_they_used() -> None:
    tap = StreamTap()
    part = b'data: {"type":"image_generation.partial_image","b64_json":"AAAA"}\n\n'
    made = (
        b'data: {"type":"image_generation.completed","b64_json":"AAAA",'
        b'"size":"1536x1024","quality":"high"}\n\n'
    )
    tap.feed(part)
    assert tap.feed(part + made + made) + tap.close() == part + made + made
    assert tap.usage == Usage(images=2)
    assert tap.picture == ("1536x1024", "high")


def test_the_sample_is_bounded_and_the_estimate_scaled() -> None:
    event = TEXT.replace(b"hi", b" hi")
    tap = StreamTap(sample_bytes=len(event) * 10)
    for _ in range(100):
        tap.feed(event)
    assert tap.sample() == " hi" * 10
    assert 90 <= tap.output_estimate() <= 110


def test_what_was_held_back_is_not_sampled() -> None:
    tap = StreamTap(withhold_usage=True)
    tap.feed(TEXT + USAGE + DONE)
    assert (tap.sample(), tap.relayed_bytes) == ("hi", len(TEXT))


PIECES = st.lists(
    st.sampled_from([ROLE, TEXT, STOP, USAGE, DONE, b"data: x\n\n", b": c\r\n\r\n", b"\n", b"\r"])
    | st.binary(max_size=12)
)


@settings(max_examples=200)
@given(PIECES, st.integers(1, 40), st.booleans(), st.sampled_from([None, "fast"]))
def test_any_stream_at_any_cut_gives_the_same_bytes(
    pieces: list[bytes], size: int, withhold: bool, asked: str | None
) -> None:
    stream = b"".join(pieces)
    one = StreamTap(asked=asked, withhold_usage=withhold)
    many = StreamTap(asked=asked, withhold_usage=withhold)
    whole = run(one, stream, len(stream) + 1)
    assert run(many, stream, size) == whole
    assert (one.usage, one.done, one.content_seen) == (many.usage, many.done, many.content_seen)
    if not withhold and asked is None:
        assert whole == stream


def test_single_bytes_cost_linear_time() -> None:
    def seconds(count: int) -> float:
        tap, stream = StreamTap(), TEXT * count
        start = time.process_time()
        for i in range(len(stream)):
            tap.feed(stream[i : i + 1])
        return time.process_time() - start

    small = min(seconds(100) for _ in range(3))
    assert min(seconds(400) for _ in range(3)) < 12 * small


def test_a_burst_costs_a_fraction_of_a_microsecond_an_event() -> None:
    event = (
        b'data: {"id":"chatcmpl-D7TjTgB9tujfGfxdQhgCDjp8kL3G8","object":"chat.completion.chunk",'
        b'"created":1770674959,"model":"gpt-4o-2024-08-06","service_tier":"default",'
        b'"system_fingerprint":"fp_abcdef","choices":[{"index":0,"delta":{"content":" hello"},'
        b'"logprobs":null,"finish_reason":null}],"usage":null}\n\n'
    )
    burst = event * 200

    def microseconds(tap: StreamTap) -> float:
        tap.feed(event)
        best = 1e9
        for _ in range(20):
            start = time.perf_counter()
            tap.feed(burst)
            best = min(best, time.perf_counter() - start)
        return best * 1e6 / 200

    byte_lane, renamed = microseconds(StreamTap()), microseconds(StreamTap(asked="fast"))
    print(f"tap: {byte_lane:.3f} us an event, renamed {renamed:.3f} us")
    assert byte_lane < 0.9  # three times the figure aimed at
    assert renamed < 2.1
