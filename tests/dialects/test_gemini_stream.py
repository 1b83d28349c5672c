"""Streams become the same events however they are cut, and chunks again without loss."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.base import Hints, Stamp
from oneapi.dialects.base_gather import gather
from oneapi.dialects.gemini_chat import FACE
from oneapi.dialects.gemini_objects import ObjectBlocks
from oneapi.dialects.gemini_replies import ArrayRenderer, EventRenderer
from oneapi.dialects.gemini_stream import StreamParser
from oneapi.errors import UpstreamError
from oneapi.ir import (
    BlockStart,
    BlockStop,
    Delta,
    Event,
    Failed,
    Finish,
    Media,
    Opaque,
    Reasoning,
    Signature,
    Spent,
    Start,
    Text,
    ToolCall,
    Usage,
)
from oneapi.wire.json import JSON, encode
from tests.dialects.gemini_recorded import STREAMS, Exchange, cases

STAMP = Stamp("0123456789abcdef")


def parse(chunks: Iterable[bytes]) -> list[Event]:
    parser = StreamParser(Hints(), STAMP)
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return events + parser.close()


def sse(*answers: JSON) -> bytes:
    return b"".join(b"data: " + encode(a) + b"\r\n\r\n" for a in answers)


def said(*parts: JSON, **more: JSON) -> JSON:
    return {"candidates": [{"content": {"parts": list(parts), "role": "model"}, **more}]}


def each(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def folded(chunks: Iterable[JSON]) -> JSON:
    """What chunks say together: texts joined, the last of every other member."""
    choices: dict[int, dict[str, JSON]] = {}
    top: dict[str, JSON] = {}
    for chunk in chunks:
        top.update({k: v for k, v in chunk.items() if k != "candidates"})
        for candidate in chunk.get("candidates", []):
            choice = choices.setdefault(candidate.get("index", 0), {"parts": []})
            for part in candidate.get("content", {}).get("parts", []):
                _join(choice["parts"], part)
            kept = {k: v for k, v in candidate.items() if k not in ("content", "index")}
            choice.update(kept)
    return choices, top


def _join(parts: list[JSON], part: JSON) -> None:
    if part == {"text": ""}:
        return
    last = parts[-1] if parts else {}
    same = "text" in part and "text" in last and last.get("thought") == part.get("thought")
    if same and "thoughtSignature" not in last:
        parts[-1] = {**last, **part, "text": last["text"] + part["text"]}
    else:
        parts.append(part)


def chunks_of(rendered: bytes) -> list[JSON]:
    return [json.loads(e[6:]) for e in rendered.decode().split("\r\n\r\n") if e]


@pytest.mark.parametrize("exchange", cases(STREAMS))
def test_a_recorded_stream_comes_back_without_loss(exchange: Exchange) -> None:
    renderer = EventRenderer(STAMP)
    rendered = renderer.render(parse([exchange.sse])) + renderer.close()
    assert folded(chunks_of(rendered)) == folded(exchange.chunks)


@pytest.mark.parametrize("exchange", cases(STREAMS))
def test_a_recorded_stream_is_the_same_events_however_it_is_cut(exchange: Exchange) -> None:
    whole = parse([exchange.sse])
    assert parse(each(exchange.sse)) == whole
    assert parse([exchange.sse.replace(b"\r\n", b"\n")]) == whole


@pytest.mark.parametrize("exchange", cases(STREAMS))
def test_a_recorded_stream_may_come_as_one_array(exchange: Exchange) -> None:
    array = b"[" + b",\r\n".join(json.dumps(c, indent=1).encode() for c in exchange.chunks) + b"]\n"
    whole = parse([exchange.sse])
    assert parse([array]) == whole
    assert parse(each(array)) == whole


@pytest.mark.parametrize("exchange", cases(STREAMS))
def test_events_as_an_array_are_json_with_the_same_chunks(exchange: Exchange) -> None:
    renderer = ArrayRenderer(STAMP)
    parser = StreamParser(Hints(), STAMP)
    out = [renderer.render(parser.feed(piece)) for piece in each(exchange.sse)]
    out += [renderer.render(parser.close()), renderer.close()]
    assert folded(json.loads(b"".join(out))) == folded(exchange.chunks)


def test_texts_of_several_chunks_are_one_block() -> None:
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 9}
    events = parse(
        [
            sse(
                {**said({"text": "hm", "thought": True}), "responseId": "r", "modelVersion": "m"},
                said({"text": "Grü"}),
                said({"text": "ße"}),
                {
                    **said({"text": "", "thoughtSignature": "sig"}, finishReason="STOP"),
                    "usageMetadata": {**usage, "thoughtsTokenCount": 4},
                },
            )
        ]
    )
    assert events == [
        Start("r", "m", source="gemini"),
        BlockStart(0, Reasoning(summary=True)),
        Delta(0, "hm"),
        BlockStop(0),
        BlockStart(1, Text("")),
        Delta(1, "Grü"),
        Delta(1, "ße"),
        BlockStop(1, {"thoughtSignature": "sig"}),
        Spent(Usage(input=3, output=2, reasoning=4), {**usage, "thoughtsTokenCount": 4}),
        Finish("stop", native_stop="STOP"),
    ]


def test_calls_come_whole_and_have_ids() -> None:
    call = {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s"}
    known = {"functionCall": {"id": "x", "name": "g", "args": {}}}
    events = parse([sse(said(call, known, finishReason="STOP"))])
    assert events[1:] == [
        BlockStart(0, ToolCall("call_0123456789abcdef_0", "f")),
        Delta(0, '{"a":1}'),
        Signature(0, "s"),
        BlockStop(0),
        BlockStart(1, ToolCall("x", "g")),
        Delta(1, "{}"),
        BlockStop(1),
        Finish("tool_calls", native_stop="STOP"),
    ]


def test_a_call_in_pieces_is_put_together() -> None:
    def piece(**call: JSON) -> JSON:
        return said({"functionCall": call})

    events = parse(
        [
            sse(
                piece(name="f", willContinue=True),
                piece(
                    partialArgs=[
                        {"jsonPath": "$.a.b", "stringValue": "New ", "willContinue": True},
                        {"jsonPath": "$.n[0]", "numberValue": 1},
                        {"jsonPath": "$['n'][1]", "boolValue": True},
                    ],
                    willContinue=True,
                ),
                piece(
                    partialArgs=[{"jsonPath": "$.a.b", "stringValue": "Delhi"}], willContinue=True
                ),
                said({"functionCall": {}}, finishReason="STOP"),
            )
        ]
    )
    reply = gather(events, "gemini")
    assert reply.choices[0].parts == [
        ToolCall("call_0123456789abcdef_0", "f", '{"a":{"b":"New Delhi"},"n":[1,true]}')
    ]
    assert reply.choices[0].stop == "tool_calls"


def test_media_and_what_only_google_knows_are_whole_blocks() -> None:
    code: JSON = {"executableCode": {"language": "PYTHON", "code": "1"}}
    blob = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    events = parse([sse(said(code, blob, finishReason="STOP"))])
    begun = [event.part for event in events if isinstance(event, BlockStart)]
    assert begun == [
        Opaque("gemini", code),
        Media("image", data="AAAA", media_type="image/png"),
    ]


def test_several_candidates_have_blocks_of_their_own() -> None:
    def two(first: str, second: str, **more: JSON) -> JSON:
        texts = (first, second)
        return {
            "candidates": [
                {"content": {"parts": [{"text": t}]}, "index": i, **more}
                for i, t in enumerate(texts)
            ]
        }

    events = parse([sse(two("a", "b"), two("c", "d", finishReason="MAX_TOKENS"))])
    reply = gather(events, "gemini")
    assert [(c.index, c.parts, c.stop) for c in reply.choices] == [
        (0, [Text("ac")], "length"),
        (1, [Text("bd")], "length"),
    ]


def test_a_finish_that_comes_early_does_not_end_the_answer() -> None:
    events = parse([sse(said({"text": "a"}, finishReason="STOP"), said({"text": "b"}))])
    assert events[-3:] == [Delta(0, "b"), BlockStop(0), Finish("stop", native_stop="STOP")]


def test_what_a_candidate_says_in_pieces_is_put_together() -> None:
    first = said({"text": "x"}, groundingMetadata={"webSearchQueries": ["q"]})
    last = said(groundingMetadata={"groundingChunks": []}, finishReason="STOP")
    (finish,) = (e for e in parse([sse(first, last)]) if isinstance(e, Finish))
    assert finish.extra == {"groundingMetadata": {"webSearchQueries": ["q"], "groundingChunks": []}}


def test_a_refused_prompt_is_a_filtered_answer() -> None:
    blocked: JSON = {"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": "m"}
    events = parse([sse(blocked)])
    assert events[-1] == Finish("content_filter", native_stop="SAFETY")
    renderer = EventRenderer(STAMP)
    (chunk,) = chunks_of(renderer.render(events) + renderer.close())
    assert chunk["promptFeedback"] == {"blockReason": "SAFETY"}
    assert "candidates" not in chunk


ERROR: JSON = {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}


@pytest.mark.parametrize(
    "body",
    [
        sse(ERROR),
        sse(said({"text": "a"}), ERROR),
        encode([ERROR]),
        json.dumps(ERROR, indent=2).encode(),
        sse(said({"text": "a"})) + encode(ERROR) + b"\n\n",
    ],
)
def test_an_error_in_any_framing_fails_the_stream(body: bytes) -> None:
    for chunks in ([body], each(body)):
        event = parse(chunks)[-1]
        assert isinstance(event, Failed)
        assert (event.error.status, event.error.message) == (429, "slow down")


def test_a_stream_that_breaks_off_has_no_finish() -> None:
    body = sse(said({"text": "a"}), said({"text": "bc"}, finishReason="STOP"))
    assert parse([body[:-20]])[-1] == BlockStop(0)
    assert parse([]) == []


def test_a_page_instead_of_a_stream_fails() -> None:
    (event,) = parse([b"<html>", b"no</html>"])
    assert isinstance(event, Failed)
    assert isinstance(event.error, UpstreamError)


def test_integers_stand_for_names() -> None:
    answer = {
        **said({"text": "a"}, finishReason=6),
        "createTime": "2026-08-19T14:38:24.827860Z",
        "usageMetadata": {"promptTokenCount": 1, "trafficType": 1},
    }
    events = parse([sse(answer)])
    assert events[-1] == Finish("content_filter", native_stop="BLOCKLIST")
    assert isinstance(events[0], Start)
    assert events[0].created == 1787150304


@given(st.binary(max_size=200), st.integers(1, 50))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_events(data: bytes, size: int) -> None:
    for start in (b"", b"data: ", b"[", b'data: {"candidates":'):
        body = start + data
        parse([body[i : i + size] for i in range(0, len(body), size)])


PARTS = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "text thought thoughtSignature functionCall name args partialArgs jsonPath "
                "stringValue willContinue inlineData data mimeType id".split()
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "candidates": st.lists(
                    st.fixed_dictionaries(
                        {},
                        optional={
                            "content": st.fixed_dictionaries(
                                {}, optional={"parts": st.lists(PARTS, max_size=4) | PARTS}
                            )
                            | PARTS,
                            "index": PARTS,
                            "finishReason": PARTS,
                            "logprobsResult": PARTS,
                            "groundingMetadata": PARTS,
                        },
                    )
                    | PARTS,
                    max_size=3,
                )
                | PARTS,
                "usageMetadata": PARTS,
                "promptFeedback": PARTS,
                "responseId": PARTS,
                "modelVersion": PARTS,
            },
        ),
        max_size=4,
    )
)
@settings(max_examples=300, deadline=None)
def test_any_chunks_are_events_that_keep_the_grammar(answers: list[JSON]) -> None:
    open_blocks: set[int] = set()
    events = parse([sse(*answers)])
    for event in events:
        match event:
            case BlockStart():
                open_blocks.add(event.index)
            case Delta() | Signature():
                assert event.index in open_blocks
            case BlockStop():
                open_blocks.remove(event.index)
            case _:
                pass
    assert not open_blocks or isinstance(events[-1], Failed)
    renderer = FACE.stream_renderer(None, STAMP)  # type: ignore[arg-type]
    chunks_of(renderer.render(events))


@given(
    st.lists(
        st.dictionaries(st.text('{}[]",\\ a', max_size=4), st.text('{}"\\ü', max_size=6)),
        max_size=4,
    ),
    st.integers(1, 7),
)
def test_objects_are_cut_where_they_end(values: list[dict[str, str]], size: int) -> None:
    data = json.dumps(values, ensure_ascii=False, indent=1).encode()
    blocks, found = ObjectBlocks(), []
    joined = b""
    for at in range(0, len(data), size):
        block = blocks.feed(data[at : at + size])
        joined += block
        found += blocks.split(block) if block else []
    assert joined + blocks.close() == data
    assert [json.loads(item.lstrip(b"[, \n")) for item in found] == values
