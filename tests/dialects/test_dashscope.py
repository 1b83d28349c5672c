"""DashScope's recorded answers and streams become events; recorded requests return unchanged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.base import Hints, Stamp
from oneapi.dialects.base_gather import gather
from oneapi.dialects.dashscope import CHAT_PROVIDER, NAME, parse_request
from oneapi.dialects.dashscope_shapes import MULTIMODAL, parse_usage
from oneapi.errors import ApiError, UpstreamError
from oneapi.ir import (
    Aside,
    ChatResponse,
    Choice,
    Delta,
    Envelope,
    Event,
    Failed,
    Finish,
    Media,
    Reasoning,
    Spent,
    Start,
    Text,
    ToolCall,
    Usage,
)
from oneapi.wire.json import JSON
from tests.dialects.native_recorded import (
    CUTS,
    Recorded,
    cases,
    recorded,
    run,
    said,
    well_formed,
)


def is_chat(record: Recorded) -> bool:
    """Whether messages or a prompt went to one of the two endpoints that generate text."""
    given = record.request.get("input", {}) if isinstance(record.request, dict) else {}
    texts = record.url.partition("?")[0].endswith("-generation/generation")
    return texts and ("messages" in given or "prompt" in given)


ALL = recorded("dashscope")
CHATS = [record for record in ALL if is_chat(record)]
WHOLE = [record for record in CHATS if record.status == 200 and not record.sse]
STREAMS = [record for record in CHATS if record.sse]
NOT_CHAT = {
    "models": "a list of models",
    "rerank": "another task: documents in an order",
    "embeddings": "another task: vectors",
    "images": "another task: pictures, and polls for them",
    "tasks": "polls of another task",
    "apps": "agents of the vendor, with sessions of their own",
    "multimodal": "speech or pictures of a text: no messages",
}
"""Recorded here, and why it is no chat of this format; the compatible mode's chats are OpenAI's."""

STAMP = Stamp("0123456789abcdef")


def whole(body: JSON, hints: Hints | None = None) -> ChatResponse:
    return CHAT_PROVIDER.parse_response(json.dumps(body).encode(), hints or Hints(), STAMP)


def is_incremental(record: Recorded) -> bool:
    """Whether new text alone was asked for: the vendor's default is everything so far."""
    return record.request.get("parameters", {}).get("incremental_output") is True


def streamed(stream: bytes, *, incremental: bool = True, size: int = 1_000_000) -> list[Event]:
    hints = Hints() if incremental else Hints(options={"incremental_output": False})
    return run(CHAT_PROVIDER.stream_parser(hints, STAMP), stream, size)


def sse(*values: JSON, end: str = "\n") -> bytes:
    """Events as the vendor frames them."""
    events = [
        f"id:{i}\nevent:result\n:HTTP_STATUS/200\ndata:{json.dumps(value, ensure_ascii=False)}\n\n"
        for i, value in enumerate(values, 1)
    ]
    return "".join(events).replace("\n", end).encode()


def piece(message: JSON, reason: str = "null", **rest: Any) -> JSON:
    choice = {"message": {"role": "assistant", **message}, "finish_reason": reason, **rest}
    return {"output": {"choices": [choice]}, "usage": {"input_tokens": 3, "output_tokens": 1}}


# An independent reader of the format, as small as the proof needs it.


def values_of(record: Recorded) -> Iterator[JSON]:
    if not record.sse:
        yield record.body
    for line in record.sse.decode().split("\n"):
        if line.startswith("data:"):
            yield json.loads(line[5:])


def read(record: Recorded) -> tuple[str, str, list[tuple[str, str, str]], str | None]:
    text = thought = ""
    calls: dict[int, list[str]] = {}
    stop = None
    for value in values_of(record):
        output = value["output"]
        text_form = {"message": {"content": output.get("text")}, **output}
        choice = (output.get("choices") or [text_form])[0]
        message = choice["message"]
        if not is_incremental(record):
            text = thought = ""
            calls = {}
        content = message.get("content") or ""
        text += content if isinstance(content, str) else "".join(i["text"] for i in content)
        thought += message.get("reasoning_content") or ""
        for call in message.get("tool_calls") or []:
            held = calls.setdefault(call["index"], ["", "", ""])
            held[0] += call["id"]
            held[1] += call["function"].get("name", "")
            held[2] += call["function"].get("arguments", "")
        stop = choice["finish_reason"]
    return text, thought, [(c[0], c[1], c[2]) for c in calls.values()], stop


def counted(record: Recorded) -> tuple[int, int, int]:
    """Prompt, answer and cached tokens of the last event."""
    usage = list(values_of(record))[-1]["usage"]
    cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
    return usage["input_tokens"], usage["output_tokens"], cached


def spent(usage: Usage | None) -> tuple[int, int, int]:
    assert usage is not None
    return usage.input_tokens, usage.output_tokens, usage.cache_read


@pytest.mark.parametrize("record", cases(CHATS))
def test_a_recorded_request_returns_as_it_was(record: Recorded) -> None:
    chat = parse_request(record.request, Envelope("", stream=bool(record.sse)))
    out = CHAT_PROVIDER.render_request(chat, record.request["model"], Hints())
    assert json.loads(out.body) == record.request
    assert (out.operation == MULTIMODAL) == ("multimodal-generation" in record.url)
    assert ((b"x-dashscope-sse", b"enable") in out.headers) == bool(record.sse)
    assert not out.dropped


@pytest.mark.parametrize("record", cases(WHOLE))
def test_a_recorded_answer_is_read(record: Recorded) -> None:
    reply = whole(record.body)
    assert said(reply) == read(record)
    assert spent(reply.usage) == counted(record)
    assert reply.id == record.body["request_id"]
    assert reply.raw_usage == record.body["usage"]


@pytest.mark.parametrize("record", cases(STREAMS))
def test_a_recorded_stream_is_read(record: Recorded) -> None:
    events = streamed(record.sse, incremental=is_incremental(record))
    reply = gather(events, NAME)
    assert well_formed(events)
    assert said(reply) == read(record)
    assert spent(reply.usage) == counted(record)


@pytest.mark.parametrize("record", cases(STREAMS))
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_recorded_stream_may_be_cut_anywhere(record: Recorded, end: str) -> None:
    stream = record.sse.replace(b"\n", end.encode())
    expected = streamed(record.sse)
    assert all(streamed(stream, size=size) == expected for size in CUTS)


@pytest.mark.parametrize("record", cases(ALL))
def test_what_is_no_chat_of_this_format_has_a_reason(record: Recorded) -> None:
    assert record in CHATS or record.api in NOT_CHAT or "/compatible-mode/" in record.url


@pytest.mark.parametrize("record", cases(r for r in ALL if r.status >= 400 and "/api/v1/" in r.url))
def test_a_recorded_refusal_is_read(record: Recorded) -> None:
    message, code, _ = CHAT_PROVIDER.parse_error(record.status, (), record.raw)
    assert (message, code) == (record.body["message"], record.body["code"])


def test_the_text_form_is_an_answer_too() -> None:
    reply = whole({"output": {"text": "hi", "finish_reason": "stop"}, "request_id": "r"})
    assert said(reply) == ("hi", "", [], "stop")
    assert reply.usage is None


def test_thoughts_and_calls_stand_apart_from_text() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"content": "", "reasoning_content": "hm", "tool_calls": [call]}
    reply = whole(piece(message, "tool_calls"))
    assert reply.choices[0].parts == [Reasoning("hm"), ToolCall("c", "f", "{}")]


def test_a_plain_stop_after_calls_is_a_stop_for_calls() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    choice = whole(piece({"content": "", "tool_calls": [call]}, "stop")).choices[0]
    assert (choice.stop, choice.native_stop) == ("tool_calls", "stop")


def test_an_answer_of_items_keeps_media_and_what_nobody_knows() -> None:
    items = [
        {"text": "see", "ocr_result": {"words": 1}},
        {"image": "https://a.example/1.png"},
        {"audio": {"data": "AAA=", "id": "a1", "expires_at": 9}},
        {"hologram": 1},
    ]
    parts = whole(piece({"content": items}, "stop")).choices[0].parts
    assert parts[0] == Text("see", extra={"ocr_result": {"words": 1}})
    assert parts[1] == Media("image", url="https://a.example/1.png")
    assert parts[2] == Media("audio", data="AAA=", file_id="a1", extra={"expires_at": 9})
    assert getattr(parts[3], "data", None) == {"hologram": 1}


def test_several_answers_keep_their_numbers() -> None:
    choices = [
        {"index": i, "finish_reason": "stop", "message": {"content": str(i)}} for i in (0, 1)
    ]
    reply = whole({"output": {"choices": choices}})
    assert [(choice.index, choice.parts) for choice in reply.choices] == [
        (0, [Text("0")]),
        (1, [Text("1")]),
    ]


def test_members_beside_the_answer_are_carried() -> None:
    body = piece({"content": "x", "annotations": [1]}, "stop", logprobs={"content": []})
    body["output"]["search_info"] = {"search_results": []}
    reply = whole(body)
    assert reply.extra == {"search_info": {"search_results": []}}
    assert reply.choices[0] == Choice(
        [Text("x")],
        "stop",
        native_stop="stop",
        logprobs={"content": []},
        extra={"annotations": [1]},
    )


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        (b'{"code":"InvalidParameter","message":"no","request_id":"r"}', "InvalidParameter", 502),
        (b'{"output":{"task_id":"t","task_status":"PENDING"}}', "bad_upstream_answer", 502),
        (b"{}", "bad_upstream_answer", 502),
        (b"[]", "bad_upstream_answer", 502),
        (b"<html>", "bad_upstream_answer", 502),
    ],
)
def test_what_is_no_answer_is_an_error(body: bytes, code: str, status: int) -> None:
    with pytest.raises(UpstreamError) as raised:
        CHAT_PROVIDER.parse_response(body, Hints(), STAMP)
    assert (raised.value.code, raised.value.status) == (code, status)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ({}, None),
        ({"input_tokens": 5, "output_tokens": 2}, Usage(input=5, output=2)),
        ({"total_tokens": 7, "output_tokens": 2}, Usage(input=5, output=2)),
        (
            {
                "input_tokens": 100,
                "output_tokens": 9,
                "prompt_tokens_details": {"cached_tokens": 60, "cache_creation_input_tokens": 30},
                "output_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 2},
            },
            Usage(input=10, cache_read=60, cache_write_5m=30, output=3, reasoning=4, audio_out=2),
        ),
        (
            {"input_tokens": 50, "output_tokens": 1, "image_tokens": 30, "video_tokens": 10},
            Usage(input=10, image_in=40, output=1),
        ),
        (
            {"input_tokens": 33, "output_tokens": 10, "audio_tokens": 85},
            Usage(input=33, audio_in=85, output=10),
        ),
        (
            {"input_tokens": 90, "output_tokens": 1, "input_tokens_details": {"audio_tokens": 80}},
            Usage(input=10, audio_in=80, output=1),
        ),
        (
            {"input_tokens": 1, "output_tokens": 1, "plugins": {"search": {"count": 2}}},
            Usage(input=1, output=1, searches=2),
        ),
        ({"input_tokens": -1, "output_tokens": True, "total_tokens": "x"}, None),
    ],
)
def test_usage_is_told_in_disjoint_buckets(value: JSON, expected: Usage | None) -> None:
    assert parse_usage(value) == expected


def test_usage_is_replaced_not_added() -> None:
    first, last = piece({"content": "a"}), piece({"content": "b"}, "stop")
    last["usage"] = {"input_tokens": 3, "output_tokens": 2}
    told = [event for event in streamed(sse(first, last)) if isinstance(event, Spent)]
    assert [event.usage for event in told] == [Usage(input=3, output=2)]


def test_texts_that_repeat_everything_are_told_once() -> None:
    stream = sse(
        piece({"content": "", "reasoning_content": "hm"}),
        piece({"content": "a", "reasoning_content": "hmm"}),
        piece({"content": "ab", "reasoning_content": "hmm"}),
        piece({"content": "ab", "reasoning_content": "hmm"}, "stop"),
    )
    events = streamed(stream, incremental=False)
    assert said(gather(events, NAME)) == ("ab", "hmm", [], "stop")
    assert [event.text for event in events if isinstance(event, Delta)] == ["hm", "m", "a", "b"]


def test_calls_that_repeat_everything_are_told_once() -> None:
    def call(arguments: str) -> JSON:
        function = {"name": "f", "arguments": arguments}
        return {"content": "", "tool_calls": [{"index": 0, "id": "c", "function": function}]}

    stream = sse(piece(call('{"a"')), piece(call('{"a":1}')), piece(call('{"a":1}'), "tool_calls"))
    reply = gather(streamed(stream, incremental=False), NAME)
    assert said(reply)[2] == [("c", "f", '{"a":1}')]


def test_pieces_of_two_calls_may_alternate() -> None:
    def part(index: int, text: str, name: str = "") -> JSON:
        function = {"arguments": text} | ({"name": name} if name else {})
        id_ = f"c{index}" if name else ""
        return {"content": "", "tool_calls": [{"index": index, "id": id_, "function": function}]}

    stream = sse(
        piece(part(0, "{", "f")),
        piece(part(1, "[", "g")),
        piece(part(0, "}")),
        piece(part(1, "]"), "tool_calls"),
    )
    events = streamed(stream)
    assert well_formed(events)
    assert said(gather(events, NAME))[2] == [("c0", "f", "{}"), ("c1", "g", "[]")]


def test_a_call_waits_for_its_name() -> None:
    stream = sse(
        piece({"tool_calls": [{"index": 0, "id": "c", "function": {"arguments": "{"}}]}),
        piece(
            {"tool_calls": [{"index": 0, "id": "", "function": {"name": "f", "arguments": "}"}}]},
            "tool_calls",
        ),
    )
    assert said(gather(streamed(stream), NAME))[2] == [("c", "f", "{}")]


def test_contents_as_lists_stream_too() -> None:
    stream = sse(
        piece({"content": [{"text": "a"}]}),
        piece({"content": [{"text": "b"}, {"image": "https://a.example/1.png"}]}),
        piece({"content": []}, "stop"),
    )
    reply = gather(streamed(stream), NAME)
    assert Media("image", url="https://a.example/1.png") in reply.choices[0].parts
    assert said(reply)[0] == "ab"


def test_sound_comes_in_pieces() -> None:
    stream = sse(
        piece({"content": [{"audio": {"data": "AA", "id": "a1", "expires_at": 9}}]}),
        piece({"content": [{"audio": {"data": "A=", "id": "a1", "expires_at": 9}}]}),
        piece({"content": [{"audio": {"data": "", "url": "https://a.example/1.wav"}}]}, "stop"),
    )
    parts = gather(streamed(stream), NAME).choices[0].parts
    extra = {"expires_at": 9, "url": "https://a.example/1.wav"}
    assert parts == [Media("audio", data="AAA=", file_id="a1", extra=extra)]


def test_what_stands_beside_a_stream_is_carried() -> None:
    first, second = piece({"content": "a"}), piece({"content": "b"}, "stop")
    first["output"]["search_info"] = [1]
    second["output"]["search_info"] = [2]
    events = streamed(sse(first, second))
    assert isinstance(events[0], Start)
    assert events[0].extra == {"search_info": [1]}
    assert Aside(NAME, {"search_info": [2]}) in events


def test_an_error_in_mid_stream_ends_it() -> None:
    error = (
        b'id:2\nevent:error\n:HTTP_STATUS/429\ndata:{"code":"Throttling","message":"slow",'
        b'"request_id":"r"}\n\n'
    )
    parser = CHAT_PROVIDER.stream_parser(Hints(), STAMP)
    events = run(parser, sse(piece({"content": "a"})) + error + sse(piece({"content": "b"})))
    failed = events[-1]
    assert isinstance(failed, Failed)
    assert (failed.error.status, failed.error.code, failed.error.message) == (
        429,
        "Throttling",
        "slow",
    )
    assert parser.done


@pytest.mark.parametrize(
    "raw",
    [
        b'id:1\nevent:error\n:HTTP_STATUS/400\ndata:{"code":"InvalidParameter","message":"no"}\n\n',
        b'{"code":"InvalidParameter","message":"no","request_id":"r"}',
    ],
)
def test_a_refusal_of_a_stream_may_be_an_event(raw: bytes) -> None:
    assert CHAT_PROVIDER.parse_error(400, (), raw)[:2] == ("no", "InvalidParameter")


def test_a_stream_that_breaks_off_has_no_finish() -> None:
    parser = CHAT_PROVIDER.stream_parser(Hints(), STAMP)
    events = run(parser, sse(piece({"content": "a"})) + b"id:2\nevent:result\ndata:{")
    assert well_formed(events)
    assert not parser.done
    assert not [event for event in events if isinstance(event, Finish)]
    assert [event.usage for event in events if isinstance(event, Spent)] == [
        Usage(input=3, output=1)
    ]


def test_a_last_event_without_its_empty_line_counts() -> None:
    stream = sse(piece({"content": "a"}, "stop")).rstrip(b"\n")
    assert said(gather(streamed(stream), NAME)) == ("a", "", [], "stop")


def test_text_cut_within_a_letter_is_whole() -> None:
    stream = sse(piece({"content": "你好🙂"}, "stop"), end="\r\n")
    assert all(streamed(stream, size=size) == streamed(stream) for size in CUTS)
    assert said(gather(streamed(stream, size=1), NAME))[0] == "你好🙂"


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_an_error(body: bytes) -> None:
    with suppress(UpstreamError):
        CHAT_PROVIDER.parse_response(body, Hints(), STAMP)
    assert well_formed(streamed(b"data:" + body + b"\n\n" + body))


JSONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(
    "choices message content text audio image tool_calls function name arguments id index role "
    "finish_reason reasoning_content logprobs tools tool_choice stop parameters prompt".split()
)
SHAPED = st.recursive(
    JSONS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=25,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(KEYS, SHAPED, max_size=4), max_size=3))
def test_any_json_streams_as_events(outputs: list[JSON]) -> None:
    values = [{"output": output, "usage": output} for output in outputs]
    events = streamed(sse(*values))
    assert well_formed(events)
    streamed(sse(*values), incremental=False)


def returns(body: JSON) -> None:
    """Refused with the member's name, or rendered again as it was."""
    try:
        chat = parse_request(body, Envelope("m"))
    except ApiError as error:
        named = error.param
        status = error.status
    else:
        out = CHAT_PROVIDER.render_request(chat, "m", Hints())
        named = out.operation
        status = 200
        assert json.loads(out.body) == json.loads(json.dumps(body))
    assert named
    assert status in (200, 400)


@settings(max_examples=80, deadline=None)
@given(SHAPED, SHAPED, SHAPED)
def test_any_json_is_a_request_or_refused(messages: JSON, parameters: JSON, message: JSON) -> None:
    for given_input in (messages, {"messages": messages}, {"messages": [message]}):
        returns({"model": "m", "input": given_input, "parameters": parameters})


def sometimes(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[JSON]:
    return st.fixed_dictionaries({}, optional=members)


WORDS = st.sampled_from(["", "a", "data:image/png;base64,AA==", "data:;base64,AA==", "data:,x"])
ITEMS = sometimes(
    text=WORDS,
    image=WORDS,
    audio=WORDS | st.just({"data": "AA=="}),
    video=WORDS | st.just(["a", "b"]),
    type=WORDS,
    cache_control=st.just({"type": "ephemeral"}) | st.just({"type": "other"}),
    fps=st.integers(0, 3),
)
CALLS = sometimes(
    id=WORDS,
    type=st.just("function") | WORDS,
    index=st.integers(0, 2),
    function=sometimes(name=WORDS, arguments=WORDS | st.none(), other=WORDS),
)
MESSAGES = st.builds(
    lambda role, rest: {"role": role, **rest},
    st.sampled_from(["system", "user", "assistant", "tool", "bot", "attachment", "function"]),
    sometimes(
        content=WORDS | st.none() | st.lists(ITEMS | WORDS, max_size=3),
        tool_calls=st.none() | st.lists(CALLS, max_size=2),
        tool_call_id=WORDS | st.none(),
        name=WORDS,
        reasoning_content=WORDS | st.none(),
        partial=st.booleans(),
    ),
)
SCHEMAS: st.SearchStrategy[JSON] = st.sampled_from([None, {}, [], {"type": "object"}])
TOOLS = sometimes(
    type=st.just("function") | WORDS,
    function=sometimes(
        name=st.just("f"),
        description=WORDS | st.none(),
        parameters=SCHEMAS,
        strict=st.booleans() | st.none(),
    ),
    other=WORDS,
)
PARAMETERS = sometimes(
    temperature=st.none() | st.floats(0, 2) | st.integers(0, 2),
    max_tokens=st.none() | st.integers(0, 9),
    n=st.integers(1, 2),
    logprobs=st.booleans(),
    stop=WORDS | st.lists(WORDS | st.integers(), max_size=2),
    tools=st.none() | st.lists(TOOLS, max_size=2),
    tool_choice=st.sampled_from(
        ["auto", "none", "required", "f", {"type": "function", "function": {"name": "f"}}]
    ),
    response_format=st.sampled_from(
        [
            {"type": "text"},
            {"type": "json_object"},
            {"type": "json_schema", "json_schema": {"schema": {}, "name": "", "strict": None}},
            {"type": "json_schema", "json_schema": {"schema": {}, "name": "n", "strict": True}},
            {"type": "other"},
        ]
    ),
    enable_thinking=st.none() | st.booleans(),
    thinking_budget=st.integers(0, 9),
    incremental_output=st.booleans(),
    result_format=WORDS,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(MESSAGES, max_size=3), PARAMETERS, st.booleans())
def test_any_request_of_the_format_returns_as_it_was(
    messages: JSON, parameters: JSON, bare: bool
) -> None:
    body = {"model": "m", "input": {"messages": messages}}
    returns(body if bare else {**body, "parameters": parameters, "resources": []})


@pytest.mark.parametrize("given_input", [{"prompt": "hi"}, {"prompt": "hi", "history": [{"a": 1}]}])
def test_a_prompt_returns_as_one(given_input: JSON) -> None:
    returns({"model": "m", "input": given_input})
