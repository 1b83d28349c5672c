"""Answers as Google's own library reads them, whole and streamed, whoever made them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oneapi.dialects.base import Hints, Stamp
from oneapi.dialects.base_gather import replay
from oneapi.dialects.gemini import CHAT_PROVIDER, FACES, face, integer_enums
from oneapi.dialects.gemini_enums import to_names
from oneapi.dialects.gemini_replies import EventRenderer, gemini_logprobs, render_response
from oneapi.dialects.gemini_seal import seal
from oneapi.errors import ApiError, UpstreamError
from oneapi.ir import (
    Aside,
    BlockStart,
    BlockStop,
    ChatRequest,
    ChatResponse,
    Choice,
    Delta,
    Event,
    Failed,
    Finish,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Signature,
    Spent,
    Start,
    Stop,
    Text,
    ToolCall,
    Usage,
)
from oneapi.wire.json import JSON, encode
from tests.dialects.gemini_recorded import WHOLE, Exchange, cases

STAMP = Stamp("0123456789abcdef", model="mine")
CHAT = ChatRequest("mine", [], "gemini")
USAGE = Usage(input=10, cache_read=5, output=7, reasoning=3)


def reply(*parts: Part, stop: Stop = "stop", **more: Any) -> ChatResponse:
    choice = Choice(list(parts), stop, native_stop="end_turn", extra={"odd": 1})
    return ChatResponse("msg_1", "claude", [choice], USAGE, "anthropic", extra={"odd": 1}, **more)


def validated(answer: JSON) -> Any:
    types = pytest.importorskip("google.genai.types")
    return types.GenerateContentResponse.model_validate(answer)


def streamed(events: list[Event]) -> list[JSON]:
    renderer = EventRenderer(STAMP)
    data = b"".join(renderer.render([event]) for event in events) + renderer.close()
    assert data.endswith(b"\r\n\r\n")
    return [json.loads(e[6:]) for e in data.decode().split("\r\n\r\n") if e]


@pytest.mark.parametrize("exchange", cases(WHOLE))
def test_a_recorded_answer_comes_back_as_it_was(exchange: Exchange) -> None:
    stamp = Stamp("0123456789abcdef")
    found = CHAT_PROVIDER.parse_response(exchange.body, Hints(), stamp)
    wanted = json.loads(exchange.body)
    for candidate in wanted["candidates"]:
        candidate.setdefault("index", 0)
    to_names(wanted)
    assert json.loads(render_response(found, stamp)) == wanted


@pytest.mark.parametrize("exchange", cases(WHOLE))
def test_a_recorded_answer_streamed_is_the_same(exchange: Exchange) -> None:
    found = CHAT_PROVIDER.parse_response(exchange.body, Hints(), STAMP)
    renderer = FACES["generate.array"].stream_renderer(CHAT, STAMP)
    chunks = json.loads(renderer.render(replay(found)) + renderer.close())
    parts = [
        part
        for chunk in chunks
        for candidate in chunk["candidates"]
        for part in candidate["content"]["parts"]
        if part != {"text": ""}
    ]
    whole = json.loads(render_response(found, STAMP))
    assert parts == whole["candidates"][0]["content"]["parts"]


PARTS: list[Part] = [
    Reasoning("hm", signature="c2ln"),
    Text("Hello", annotations=[{"url": "x"}], extra={"odd": 1}),
    ToolCall("toolu_1", "f", '{"a":1}', extra={"odd": 1}),
    ToolCall("toolu_2", "run", "ls", custom=True),
    Opaque("anthropic", {"type": "server_tool_use"}),
]


def test_another_providers_answer_is_read_by_googles_library() -> None:
    answer = json.loads(render_response(reply(*PARTS, stop="tool_calls"), STAMP))
    found = validated(answer)
    assert found.text == "Hello"
    assert [(c.id, c.name, c.args) for c in found.function_calls] == [
        ("toolu_1", "f", {"a": 1}),
        ("toolu_2", "run", {"input": "ls"}),
    ]
    signature = found.candidates[0].content.parts[0].thought_signature
    assert signature.startswith(b"oneapi.1:{")
    assert found.candidates[0].finish_reason == "STOP"
    assert (found.model_version, found.response_id) == ("mine", "msg_1")
    usage = found.usage_metadata
    assert usage.prompt_token_count == 15
    assert usage.cached_content_token_count == 5
    assert usage.candidates_token_count == 7
    assert usage.thoughts_token_count == 3
    assert usage.total_token_count == 25
    assert "odd" not in json.dumps(answer)


def test_another_providers_stream_is_read_by_googles_library() -> None:
    chunks = streamed(list(replay(reply(*PARTS, stop="tool_calls"))))
    found = [validated(chunk) for chunk in chunks]
    assert "".join(chunk.text or "" for chunk in found) == "Hello"
    calls = [call for chunk in found for call in chunk.function_calls or ()]
    assert [call.name for call in calls] == ["f", "run"]
    assert [c.candidates[0].finish_reason for c in found] == [None] * (len(found) - 1) + ["STOP"]
    assert found[-1].usage_metadata.total_token_count == 25
    assert {chunk.model_version for chunk in found} == {"mine"}
    assert "odd" not in json.dumps(chunks)


def test_arguments_wait_until_their_call_is_whole() -> None:
    chunks = streamed(
        [
            Start("x", "m"),
            BlockStart(0, ToolCall("1", "f")),
            BlockStart(1, ToolCall("2", "g")),
            Delta(0, '{"a"'),
            Delta(1, "{}"),
            Delta(0, ":1}"),
            BlockStop(1),
            BlockStop(0),
            Finish("tool_calls"),
        ]
    )
    parts = [part for c in chunks for part in c["candidates"][0]["content"]["parts"]]
    assert parts == [
        {"functionCall": {"id": "2", "name": "g", "args": {}}},
        {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}},
        {"text": ""},
    ]


def test_what_vouches_for_a_thought_is_sealed_on_its_last_piece() -> None:
    events: list[Event] = [
        Start("x", "m"),
        BlockStart(0, Reasoning()),
        Delta(0, "hm"),
        Signature(0, "not base64!"),
        BlockStop(0),
    ]
    told = [c["candidates"][0]["content"]["parts"] for c in streamed(events)[:-1]]
    signature = seal(Reasoning(signature="not base64!"), 2)
    last = {"text": "", "thought": True, "thoughtSignature": signature}
    assert told == [[{"text": "hm", "thought": True}], [last]]


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ("stop", "STOP"),
        ("length", "MAX_TOKENS"),
        ("tool_calls", "STOP"),
        ("content_filter", "SAFETY"),
        ("refusal", "SAFETY"),
        ("pause", "STOP"),
        ("error", "OTHER"),
    ],
)
def test_reasons_to_stop(stop: Stop, reason: str) -> None:
    answer = json.loads(render_response(reply(Text("a"), stop=stop), STAMP))
    assert answer["candidates"][0]["finishReason"] == reason
    last = streamed(list(replay(reply(Text("a"), stop=stop))))[-1]
    assert last["candidates"][0]["finishReason"] == reason
    assert validated(answer).candidates[0].finish_reason == reason


def test_a_filtered_answer_without_content_is_a_refused_prompt() -> None:
    filtered = reply(stop="content_filter")
    for answer in (
        json.loads(render_response(filtered, STAMP)),
        *streamed(list(replay(filtered))),
    ):
        assert validated(answer).prompt_feedback.block_reason == "SAFETY"
        assert "candidates" not in answer


def test_media_and_refusals_are_parts() -> None:
    answer = json.loads(
        render_response(
            reply(
                Refusal("no"),
                Media("audio", data="AAAA", media_type="audio/wav"),
                Media("image", url="https://a.example/i.png", media_type="image/png"),
            ),
            STAMP,
        )
    )
    assert answer["candidates"][0]["content"]["parts"] == [
        {"text": "no"},
        {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
        {"fileData": {"mimeType": "image/png", "fileUri": "https://a.example/i.png"}},
    ]


def test_sound_that_is_streamed_is_one_part() -> None:
    chunks = streamed(
        [
            Start("x", "m"),
            BlockStart(0, Media("audio", media_type="audio/wav")),
            Delta(0, "AA"),
            Delta(0, "AA"),
            BlockStop(0),
        ]
    )
    assert chunks[0]["candidates"][0]["content"]["parts"] == [
        {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}
    ]


def test_several_answers_stand_side_by_side() -> None:
    both = ChatResponse(
        "1", "m", [Choice([Text("a")], "stop"), Choice([Text("b")], "length", 1)], None, "x"
    )
    found = validated(json.loads(render_response(both, STAMP)))
    assert [(c.index, c.finish_reason) for c in found.candidates] == [
        (0, "STOP"),
        (1, "MAX_TOKENS"),
    ]


def test_probabilities_of_another_provider() -> None:
    logprobs = {
        "content": [
            {"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -2}]}
        ]
    }
    assert gemini_logprobs(logprobs) == {
        "avgLogprobs": -0.5,
        "logprobsResult": {
            "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
            "topCandidates": [{"candidates": [{"token": "b", "logProbability": -2}]}],
        },
    }


def test_probabilities_for_other_clients() -> None:
    result = {
        "chosenCandidates": [{"token": "a", "tokenId": 1, "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -2}]}],
    }
    body = {"candidates": [{"content": {"parts": [{"text": "a"}]}, "logprobsResult": result}]}
    found = CHAT_PROVIDER.parse_response(encode(body), Hints(), STAMP)
    (entry,) = found.choices[0].logprobs["content"]
    assert (entry["token"], entry["logprob"], entry["bytes"]) == ("a", -0.5, [97])
    assert entry["top_logprobs"] == [{"token": "b", "logprob": -2, "bytes": [98]}]


def test_events_of_this_dialect_alone_come_through() -> None:
    events: list[Event] = [
        Start("x", "m", source="gemini", extra={"createTime": "t"}),
        BlockStart(0, Text("")),
        Delta(0, "a"),
        Aside("gemini", {"modelStatus": {"x": 1}}),
        Aside("anthropic", {"other": 1}),
        Finish("stop", native_stop="STOP", extra={"finishMessage": "done"}),
        Spent(Usage(input=1), {"promptTokenCount": 1, "trafficType": "ON_DEMAND"}),
    ]
    last = streamed(events)[-1]
    assert last["candidates"][0]["finishMessage"] == "done"
    assert last["usageMetadata"]["trafficType"] == "ON_DEMAND"
    assert last["createTime"] == "t"
    assert "other" not in last


def test_a_failure_ends_either_framing() -> None:
    error = ApiError(502, "broke", code="upstream_broke")
    events: list[Event] = [
        Start("x", "m"),
        BlockStart(0, Text("")),
        Delta(0, "a"),
        Failed(error),
    ]
    data = FACES["generate"].stream_renderer(CHAT, STAMP).render(events)
    assert json.loads(data.split(b"data: ")[-1])["error"]["status"] == "UNAVAILABLE"
    array = FACES["generate.array"].stream_renderer(CHAT, STAMP)
    *_, last = json.loads(array.render(events))
    assert last["error"]["message"] == "broke"
    (only,) = json.loads(FACES["generate.array"].stream_renderer(CHAT, STAMP).fail(error))
    assert only["error"]["code"] == 502


def test_names_become_integers_for_clients_that_ask() -> None:
    answer = {
        "candidates": [
            {
                "finishReason": "LANGUAGE",
                "safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW"}],
                "content": {"parts": [{"codeExecutionResult": {"outcome": "OUTCOME_OK"}}]},
            }
        ],
        "usageMetadata": {"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 1}]},
    }
    wanted = {
        "candidates": [
            {
                "finishReason": 6,
                "safetyRatings": [{"category": 7, "probability": 2}],
                "content": {"parts": [{"codeExecutionResult": {"outcome": 1}}]},
            }
        ],
        "usageMetadata": {"promptTokensDetails": [{"modality": 4, "tokenCount": 1}]},
    }
    assert json.loads(integer_enums(encode(answer))) == wanted
    assert json.loads(integer_enums(encode([answer]))) == [wanted]
    events = integer_enums(b"data: " + encode(answer) + b"\r\n\r\n: ping\n\n")
    assert json.loads(events.split(b"\r\n")[0][6:]) == wanted
    assert events.endswith(b"\r\n\r\n: ping\n\n")
    assert integer_enums(b"<html>") == b"<html>"
    numbers = face(integers=True)
    told = json.loads(numbers.render_response(reply(Text("a")), CHAT, STAMP))
    assert told["candidates"][0]["finishReason"] == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<html>", 502),
        (b"3", 502),
        (b"{}", 502),
        (b"[]", 502),
        (b'{"error":{"code":429,"message":"slow"}}', 429),
        (b'[{"error":{"code":400,"message":"bad"}}]', 400),
    ],
)
def test_what_is_no_answer_is_an_upstream_error(body: bytes, status: int) -> None:
    with pytest.raises(UpstreamError) as caught:
        CHAT_PROVIDER.parse_response(body, Hints(), STAMP)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("candidate", "stop"),
    [
        ({"finishReason": "MAX_TOKENS", "content": {"role": "model"}}, "length"),
        ({"finishReason": "SAFETY"}, "content_filter"),
        ({"finishReason": "MALFORMED_FUNCTION_CALL", "content": {}}, "error"),
        ({"finishReason": "SOMETHING_NEW"}, "stop"),
    ],
)
def test_a_candidate_may_lack_its_parts(candidate: JSON, stop: str) -> None:
    found = CHAT_PROVIDER.parse_response(encode({"candidates": [candidate]}), Hints(), STAMP)
    assert (found.choices[0].parts, found.choices[0].stop) == ([], stop)


def test_a_stream_that_came_as_one_array_is_an_answer() -> None:
    chunks = [
        {"candidates": [{"content": {"parts": [{"text": text}]}}], "responseId": "r"}
        for text in ("a", "b")
    ]
    found = CHAT_PROVIDER.parse_response(encode(chunks), Hints(), STAMP)
    assert (found.id, found.choices[0].parts) == ("r", [Text("ab")])


def test_half_a_surrogate_pair_does_not_break_the_answer() -> None:
    body = b'{"candidates":[{"content":{"parts":[{"text":"a\\ud83d"}]},"finishReason":"STOP"}]}'
    found = CHAT_PROVIDER.parse_response(body, Hints(), STAMP)
    for data in (
        render_response(found, STAMP),
        FACES["generate.array"].stream_renderer(CHAT, STAMP).render(replay(found)) + b"]",
    ):
        assert b'"text":"a?"' in data


@pytest.mark.parametrize(
    "candidate",
    [
        {"finishReason": "SAFETY", "index": 0},
        {"content": {"parts": [], "role": "model"}, "finishReason": "STOP", "index": 0},
        {"content": {}, "finishReason": "STOP", "index": 0},
        {"content": {"role": "model"}, "finishReason": "STOP", "index": 0},
    ],
)
def test_what_an_answer_of_the_same_format_leaves_out_is_not_made_up(candidate: JSON) -> None:
    answer = {"candidates": [candidate], "usageMetadata": {"promptTokenCount": 1}}
    stamp = Stamp("0123456789abcdef")
    parsed = CHAT_PROVIDER.parse_response(encode(answer), Hints(), stamp)
    assert json.loads(render_response(parsed, stamp)) == answer
