from __future__ import annotations

import json
import time

import pytest

from oneapi.dialects.anthropic import CHAT_PROVIDER, FACES, PING
from oneapi.dialects.base import Hints, Stamp, StreamRenderer
from oneapi.dialects.base_gather import gather
from oneapi.errors import ApiError
from oneapi.ir import (
    Annotation,
    Aside,
    BlockStart,
    BlockStop,
    ChatRequest,
    Delta,
    Event,
    Failed,
    Finish,
    Opaque,
    Reasoning,
    Refusal,
    Signature,
    Spent,
    Start,
    Text,
    ToolCall,
    Usage,
)
from oneapi.wire.json import JSON
from tests.dialects.anthropic_judge import judged_message, judged_stream
from tests.dialects.anthropic_recorded import STREAMS, Exchange, cases, data_events

STAMP = Stamp("0123456789abcdef")
FACE = FACES["messages"]


def renderer(stamp: Stamp = STAMP) -> StreamRenderer:
    return FACE.stream_renderer(ChatRequest("m", [], "anthropic"), stamp)


def rendered(*events: Event) -> bytes:
    stream = renderer()
    return stream.render(events) + stream.close()


def shown(*events: Event) -> list[JSON]:
    """The events of blocks alone."""
    found = data_events(rendered(Start("1", "gpt", source="openai-chat"), *events))
    return [event for event in found if event["type"].startswith("content_block")]


def foreign(*blocks: Event) -> list[Event]:
    return [
        Start("chatcmpl-1", "gpt", extra={"system_fingerprint": "fp"}, source="openai-chat"),
        *blocks,
        Finish("stop"),
        Spent(Usage(input=5, cache_read=2, output=3, reasoning=1), {"prompt_tokens": 7}),
    ]


@pytest.mark.parametrize("exchange", cases(STREAMS))
def test_a_recorded_stream_comes_back_event_by_event(exchange: Exchange) -> None:
    parser = CHAT_PROVIDER.stream_parser(Hints(), STAMP)
    events = parser.feed(exchange.sse) + parser.close()
    assert data_events(rendered(*events)) == data_events(exchange.sse)


@pytest.mark.parametrize("exchange", cases(STREAMS))
def test_a_recorded_stream_comes_back_in_pieces_too(exchange: Exchange) -> None:
    parser, stream = CHAT_PROVIDER.stream_parser(Hints(), STAMP), renderer()
    pieces = [exchange.sse[at : at + 50] for at in range(0, len(exchange.sse), 50)]
    out = b"".join(stream.render(parser.feed(piece)) for piece in pieces)
    out += stream.render(parser.close()) + stream.close()
    assert data_events(out) == data_events(exchange.sse)


def test_another_providers_stream_is_one_the_library_reads() -> None:
    message = judged_stream(
        rendered(
            *foreign(
                BlockStart(0, Reasoning()),
                Delta(0, "hm"),
                Signature(0, "sig"),
                BlockStop(0),
                BlockStart(1, Text("")),
                BlockStart(2, ToolCall("call_1", "f")),
                Delta(2, '{"a"'),
                Delta(1, "late text"),
                Delta(2, ":1}"),
                BlockStart(3, ToolCall("call_2", "g")),
                BlockStop(1),
                BlockStop(2),
                BlockStop(3),
            )
        )
    )
    assert [block.type for block in message.content] == ["thinking", "tool_use", "text", "tool_use"]
    assert (message.content[0].thinking, message.content[0].signature) == ("hm", "sig")
    assert [b.input for b in message.content if b.type == "tool_use"] == [{"a": 1}, {}]
    assert message.content[2].text == "late text"
    assert (message.id, message.model, message.stop_reason) == (
        "msg_0123456789abcdef",
        "gpt",
        "tool_use",
    )
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (5, 2)
    assert (message.usage.output_tokens, message.usage.output_tokens_details.thinking_tokens) == (
        4,
        1,
    )


def test_a_stream_and_a_whole_answer_of_the_same_events_agree() -> None:
    events = foreign(
        BlockStart(0, Refusal("")),
        Delta(0, "I won't"),
        BlockStop(0),
        BlockStart(1, ToolCall("c", "f", custom=True)),
        Delta(1, 'say "hi"\n'),
        Delta(1, "😀"),
        BlockStop(1),
    )
    whole = FACE.render_response(
        gather(events, "openai-chat"), ChatRequest("m", [], "anthropic"), STAMP
    )
    streamed = judged_stream(rendered(*events))
    told = judged_message(whole)
    assert streamed.to_dict()["content"] == told.to_dict()["content"]
    assert streamed.stop_reason == told.stop_reason
    assert streamed.usage.output_tokens == told.usage.output_tokens


def test_an_empty_text_never_begins() -> None:
    assert shown(BlockStart(0, Text("")), Delta(0, ""), BlockStop(0)) == []


def test_indices_count_in_the_order_in_which_blocks_begin() -> None:
    events = shown(
        BlockStart(0, Text("")),
        BlockStart(1, Text("")),
        Delta(1, "b"),
        Delta(0, "a"),
    )
    starts = [e["index"] for e in events if e["type"] == "content_block_start"]
    texts = [(e["index"], e["delta"]["text"]) for e in events if "delta" in e]
    assert (starts, texts) == ([0, 1], [(0, "b"), (1, "a")])


@pytest.mark.parametrize(
    ("texts", "written"),
    [
        (["not", " json"], {"input": "not json"}),
        (["[1,", "2]"], {"input": [1, 2]}),
        ([" ", "{}"], {}),
        (["null"], {}),
        ([], {}),
    ],
)
def test_streamed_arguments_are_an_object(texts: list[str], written: JSON) -> None:
    events = shown(
        BlockStart(0, ToolCall("", "f")), *(Delta(0, text) for text in texts), BlockStop(0)
    )
    parts = "".join(e["delta"]["partial_json"] for e in events if "delta" in e)
    assert json.loads(parts or "{}") == written


def test_arguments_of_an_object_go_out_as_they_come() -> None:
    stream = renderer()
    stream.render([Start("", ""), BlockStart(0, ToolCall("c", "f"))])
    assert b'{\\"a\\":' in stream.render([Delta(0, '{"a":')])


def test_encrypted_thought_is_one_word_at_the_blocks_end() -> None:
    events = shown(
        BlockStart(0, Reasoning(id="rs_1", summary=True)),
        Delta(0, "summary"),
        Signature(0, data="part1"),
        Signature(0, data="part2"),
        BlockStop(0),
    )
    kinds = [e["delta"]["type"] for e in events if "delta" in e]
    assert kinds == ["thinking_delta", "signature_delta"]


def test_encrypted_thought_without_words_is_redacted() -> None:
    events = shown(BlockStart(0, Reasoning()), Signature(0, data="enc"), BlockStop(0))
    assert events[0]["content_block"] == {"type": "redacted_thinking", "data": "enc"}


def test_other_choices_and_other_dialects_blocks_are_not_shown() -> None:
    assert (
        shown(
            BlockStart(0, Text(""), choice=1),
            Delta(0, "x"),
            BlockStart(1, Opaque("gemini", {"executableCode": {}})),
            BlockStop(1),
            Annotation(0, {"url": "u"}),
            Aside("gemini", {"type": "x"}),
        )
        == []
    )


def test_an_event_type_cannot_break_out_of_its_line() -> None:
    assert b"evil" not in rendered(Aside("anthropic", {"type": "a\ndata: evil"}))


def test_the_prompts_usage_that_is_known_at_once_comes_at_once() -> None:
    stream = renderer()
    first = data_events(stream.render([Spent(Usage(input=9)), Start("", "")]))[0]
    assert first["message"]["usage"]["input_tokens"] == 9


def test_the_asked_model_is_named() -> None:
    stream = renderer(Stamp("x", model="asked"))
    assert data_events(stream.render([Start("", "gpt")]))[0]["message"]["model"] == "asked"


def test_a_failure_ends_the_stream_with_an_error() -> None:
    stream = renderer()
    error = ApiError(529, "busy", code="overloaded")
    out = stream.render([Start("", ""), Failed(error), BlockStart(0, Text("x"))])
    assert out.endswith(
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",'
        b'"message":"busy"},"request_id":null}\n\n'
    )
    assert stream.close() == stream.fail(error) == b""


def test_open_blocks_are_stopped_at_the_end() -> None:
    events = shown(BlockStart(0, Text("")), Delta(0, "a"))
    assert events[-1] == {"type": "content_block_stop", "index": 0}


def test_half_a_surrogate_pair_does_not_stop_the_stream() -> None:
    assert b"text_delta" in rendered(Start("", ""), BlockStart(0, Text("")), Delta(0, "\ud83d"))


def test_a_ping_is_the_formats_own() -> None:
    assert PING == b'event: ping\ndata: {"type": "ping"}\n\n'


def test_an_event_costs_microseconds() -> None:
    chunk = (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":" some words"}   }\n\n'
    )
    head = (
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        b'"content_block":{"type":"text","text":""}}\n\n'
    )
    parser, stream = CHAT_PROVIDER.stream_parser(Hints(), STAMP), renderer()
    stream.render(parser.feed(head))
    best = 1.0
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(2000):
            stream.render(parser.feed(chunk))
        best = min(best, (time.perf_counter() - start) / 2000)
    assert best < 3 * 8e-6  # the target is 8 µs; a busy machine gets three times that
