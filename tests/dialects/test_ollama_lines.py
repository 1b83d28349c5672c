from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from oneapi.dialects.base import Stamp
from oneapi.dialects.ollama_lines import Renderer
from oneapi.dialects.ollama_stream import Parser
from oneapi.errors import ApiError
from oneapi.ir import (
    Annotation,
    Aside,
    BlockStart,
    BlockStop,
    Delta,
    Event,
    Failed,
    Finish,
    Media,
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
from oneapi.wire.json import JSON, encode

STAMP = Stamp("0123456789abcdef", 1_790_000_000, "asked")
START = Start("id1", "served", extra={"object": "chunk"}, source="another")
END: list[Event] = [Finish("stop"), Spent(Usage(input=5, cache_read=2, output=3, reasoning=1))]


def lines_of(*events: Event, stamp: Stamp = STAMP, generate: bool = False) -> list[JSON]:
    renderer = Renderer(stamp, generate=generate)
    out = renderer.render(events) + renderer.close()
    assert out.endswith(b"\n")
    return [json.loads(line) for line in out.splitlines()]


def block(index: int, part: Text | Reasoning | Refusal | ToolCall, *texts: str) -> Iterator[Event]:
    yield BlockStart(index, part)
    for text in texts:
        yield Delta(index, text, extra={"created_at": "never", "obfuscation": "x"})
    yield BlockStop(index)


def test_text_and_thought_are_lines() -> None:
    first, second, last = lines_of(
        START, *block(0, Reasoning(), "hm"), *block(1, Text(""), "H\né\u2028"), *END
    )
    at = "2026-09-21T14:13:20.000000000Z"
    assert first == {
        "model": "asked",
        "created_at": at,
        "message": {"role": "assistant", "content": "", "thinking": "hm"},
        "done": False,
    }
    assert second["message"] == {"role": "assistant", "content": "H\né\u2028"}
    assert last["message"] == {"role": "assistant", "content": ""}


def test_generate_has_its_own_members() -> None:
    first, second, last = lines_of(
        START, *block(0, Reasoning(), "hm"), *block(1, Text(""), "Hi"), *END, generate=True
    )
    assert (first["response"], first["thinking"]) == ("", "hm")
    assert second["response"] == "Hi"
    assert (last["response"], last["done"]) == ("", True)
    assert "message" not in last


def test_the_last_line_counts_and_times() -> None:
    ticks = iter([0, 2_000_000_000, 2_000_000_000, 5_500_000_000, 5_500_000_000, 5_500_000_000])
    stamp = replace(STAMP, elapsed_ns=lambda: next(ticks))
    renderer = Renderer(stamp, generate=False)
    assert next(ticks) == 0
    renderer.render([START, *block(0, Text(""), "Hi"), *END])
    last = json.loads(renderer.close())
    assert last == {
        "model": "asked",
        "created_at": "2026-09-21T14:13:25.500000000Z",
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "stop",
        "total_duration": 5_500_000_000,
        "load_duration": 0,
        "prompt_eval_count": 7,
        "prompt_eval_duration": 2_000_000_000,
        "eval_count": 4,
        "eval_duration": 3_500_000_000,
    }


def test_clients_may_divide_by_the_answers_time() -> None:
    assert lines_of(START, *END)[-1]["eval_duration"] > 0


@pytest.mark.parametrize(
    ("stop", "reason"),
    [("length", "length"), ("tool_calls", "stop"), ("refusal", "stop"), ("stop", "stop")],
)
def test_the_reason_is_ollamas_word(stop: JSON, reason: str) -> None:
    assert lines_of(START, Finish(stop, native_stop="x"))[-1]["done_reason"] == reason


def test_a_tool_call_comes_whole_with_an_object() -> None:
    lines = lines_of(
        START,
        BlockStart(0, ToolCall("c1", "f")),
        BlockStart(1, ToolCall("c2", "g")),
        Delta(0, '{"x":'),
        Delta(1, ""),
        Delta(0, "1}"),
        BlockStop(1),
        BlockStop(0),
        *END,
    )
    assert [line["message"].get("tool_calls") for line in lines] == [
        [{"id": "c2", "function": {"index": 0, "name": "g", "arguments": {}}}],
        [{"id": "c1", "function": {"index": 1, "name": "f", "arguments": {"x": 1}}}],
        None,
    ]


def test_a_call_that_never_stopped_is_still_sent() -> None:
    lines = lines_of(START, BlockStart(0, ToolCall("c1", "f")), Delta(0, '{"x":1}'), *END)
    assert lines[0]["message"]["tool_calls"][0]["function"]["arguments"] == {"x": 1}


def test_a_refusal_is_text_and_what_it_cannot_say_is_left_out() -> None:
    lines = lines_of(
        START,
        BlockStart(0, Refusal("")),
        Delta(0, "No."),
        BlockStop(0),
        BlockStart(1, Opaque("another", {})),
        Annotation(1, {}),
        Signature(1, "s"),
        BlockStop(1),
        BlockStart(2, Text(""), choice=1),
        Delta(2, "second"),
        BlockStop(2),
        Finish("length", choice=1),
        Aside("another", {"model": "x"}),
        *END,
    )
    assert [line["message"]["content"] for line in lines] == ["No.", ""]
    assert lines[-1]["done_reason"] == "stop"


def test_an_image_is_a_line_of_generate_alone() -> None:
    events: list[Event] = [
        START,
        BlockStart(0, Media("image")),
        Delta(0, "QUJD"),
        BlockStop(0),
        BlockStart(1, Media("audio")),
        Delta(1, "QUJD"),
        BlockStop(1),
        *END,
    ]
    assert [line["message"] for line in lines_of(*events)] == [{"role": "assistant", "content": ""}]
    assert [line.get("image") for line in lines_of(*events, generate=True)] == ["QUJD", None]


def test_log_probabilities_of_tokens_are_kept_and_other_shapes_left_out() -> None:
    listed = [{"token": "Hi", "logprob": -0.1, "top_logprobs": []}]
    lines = lines_of(
        START,
        BlockStart(0, Text("")),
        Delta(0, "Hi", {"content": listed}),
        Delta(0, "Ho", {"chosenCandidates": []}),
        *END,
    )
    assert [line.get("logprobs") for line in lines] == [listed, None, None]


def test_text_that_is_no_unicode_does_not_break_the_stream() -> None:
    lines = lines_of(START, *block(0, Text(""), "a\ud800b"), *END)
    assert lines[0]["message"]["content"] == "a?b"


def test_a_failure_ends_the_stream() -> None:
    error = ApiError(502, "it broke", code="upstream_broke")
    renderer = Renderer(STAMP, generate=False)
    out = renderer.render([START, Failed(error), *block(0, Text(""), "late")])
    assert out == b'{"error":"it broke"}\n'
    assert renderer.render(END) == renderer.fail(error) == renderer.close() == b""


def test_the_providers_name_stands_where_nobody_renamed() -> None:
    lines = lines_of(START, *END, stamp=replace(STAMP, model=""))
    assert lines[0]["model"] == "served"


AT = "2026-08-04T19:58:19.95975Z"
CALL = {"function": {"name": "f", "arguments": {"a": 1}}}
KEPT: list[list[JSON]] = [
    [{"message": {"role": "assistant", "content": ""}}, {"message": {"role": "assistant"}}],
    [{"message": {"role": "assistant", "content": "Hi"}, "remote_model": "x"}],
    [{"message": {"role": "tool", "content": "Hi", "mood": 1}}],
    [{"message": {"role": "assistant", "content": "", "tool_calls": [CALL, {**CALL, "id": "c"}]}}],
    [{"message": {"role": "assistant", "content": "", "tool_calls": [CALL]}, "x": 1}] * 2,
    [
        {
            "message": {"role": "assistant", "content": "Hi"},
            "logprobs": [{"token": "Hi", "logprob": -1}],
        }
    ],
    [{"message": {"role": "assistant", "content": "", "images": ["QUJD"]}}],
    [{"completed": 1, "total": 4}],
]


@pytest.mark.parametrize("given", KEPT)
@pytest.mark.parametrize("end", [{"message": {"role": "assistant"}, "z": 1}, {"done_reason": "x"}])
def test_ollamas_own_lines_are_rendered_as_they_were(given: list[JSON], end: JSON) -> None:
    end = {"message": {"role": "assistant", "content": ""}, "total_duration": 3, **end}
    lines = [{"model": "asked", "created_at": AT, "done": False, **line} for line in given]
    lines.append({"model": "asked", "created_at": AT, "done": True, **end})
    found = lines_of(*Parser(STAMP).feed(b"".join(encode(line) + b"\n" for line in lines)))
    assert found[:-1] == lines[:-1]
    assert found[-1] == {**lines[-1], "message": {"role": "assistant", "content": ""}}


@pytest.mark.parametrize("time", ['"', "\\", "\n", "é\ud800", 5, None])
def test_a_strange_time_does_not_break_a_line(time: JSON) -> None:
    start = Start("id", "m", source="ollama")
    events: list[Event] = [
        start,
        BlockStart(0, Text("")),
        Delta(0, "Hi", None, {"created_at": time}),
    ]
    assert lines_of(*events)[0]["message"]["content"] == "Hi"
