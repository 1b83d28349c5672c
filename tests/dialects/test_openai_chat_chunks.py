"""Events of any dialect as a stream that clients of OpenAI's chat read."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from oneapi.dialects.base import Stamp
from oneapi.dialects.openai import FACES
from oneapi.dialects.openai_chat_shapes import Thought
from oneapi.errors import ApiError
from oneapi.ir import (
    Annotation,
    Aside,
    BlockStart,
    BlockStop,
    ChatRequest,
    Delta,
    Envelope,
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
from oneapi.wire.json import JSON
from tests.dialects.openai_chats import chunks_of

CHAT = ChatRequest("asked", [], "openai-chat")
STAMP = Stamp("0123456789abcdef", 1_790_000_000)
OURS = Start("1", "m", 5, source="openai-chat")
FOREIGN = Start("1", "m", 5, source="other")


def stream(*events: Event, start: Start = FOREIGN, chat: ChatRequest = CHAT) -> bytes:
    renderer = FACES["chat"].stream_renderer(chat, STAMP)
    out = b"".join(renderer.render([event]) for event in (start, *events))
    assert renderer.render([]) == b""
    return out + renderer.close()


def deltas(*events: Event, start: Start = FOREIGN, chat: ChatRequest = CHAT) -> list[JSON]:
    """What the first choice's chunks say, but for the role."""
    chunks = chunks_of(stream(*events, start=start, chat=chat))
    found = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return [delta for delta in found if delta and "role" not in delta]


def test_the_role_comes_first_and_the_finish_last() -> None:
    out = stream(BlockStart(0, Text("")), Delta(0, 'a "b"'), BlockStop(0), Finish("stop"))
    choices = [chunk["choices"][0] for chunk in chunks_of(out)]
    assert [choice["delta"] for choice in choices] == [
        {"role": "assistant", "content": ""},
        {"content": 'a "b"'},
        {},
    ]
    assert [choice["finish_reason"] for choice in choices] == [None, None, "stop"]
    assert out.endswith(b"data: [DONE]\n\n")


def test_every_chunk_says_whose_it_is() -> None:
    out = stream(Finish("stop"), start=Start("", "", source="other"))
    for chunk in chunks_of(out):
        assert chunk["id"] == "chatcmpl-0123456789abcdef"
        assert chunk["object"] == "chat.completion.chunk"
        assert (chunk["created"], chunk["model"]) == (1_790_000_000, "asked")


def test_the_asked_name_is_put_back() -> None:
    renderer = FACES["chat"].stream_renderer(CHAT, replace(STAMP, model="alias"))
    assert chunks_of(renderer.render([OURS]))[0]["model"] == "alias"


@pytest.mark.parametrize("wanted", [True, False])
def test_usage_comes_in_a_chunk_of_its_own_if_it_was_asked_for(wanted: bool) -> None:
    spent = Spent(Usage(input=3, output=2))
    chat = replace(CHAT, wants_usage=wanted)
    last = chunks_of(stream(spent, Finish("stop"), chat=chat))[-1]
    assert ("usage" in last) is wanted
    if wanted:
        assert last["choices"] == []
        assert last["usage"]["total_tokens"] == 5


def test_usage_of_this_dialect_is_told_as_it_came() -> None:
    spent = Spent(Usage(input=3), {"prompt_tokens": 3, "cost": 0.1})
    chat = replace(CHAT, wants_usage=True)
    out = stream(spent, Finish("stop"), start=OURS, chat=chat)
    assert chunks_of(out)[-1]["usage"] == {"prompt_tokens": 3, "cost": 0.1}


def test_calls_are_numbered_and_named_once() -> None:
    assert deltas(
        BlockStart(0, ToolCall("a", "f")),
        Delta(0, "{"),
        BlockStart(1, ToolCall("", "g", custom=True)),
        Delta(1, "x"),
        Delta(0, "}"),
        BlockStop(0),
        BlockStop(1),
        Finish("tool_calls"),
    ) == [
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "a",
                    "type": "function",
                    "function": {"name": "f", "arguments": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]},
        {
            "tool_calls": [
                {
                    "index": 1,
                    "id": "call_0123456789abcdef_1",
                    "type": "custom",
                    "custom": {"name": "g", "input": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 1, "custom": {"input": "x"}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]},
    ]


def test_a_client_that_offered_functions_hears_of_a_function_call() -> None:
    body = {"model": "m", "messages": [], "functions": [{"name": "f"}]}
    chat = FACES["chat"].parse_request(body, Envelope("m"))
    events = (BlockStart(0, ToolCall("a", "f")), Delta(0, "{}"), Finish("tool_calls"))
    assert deltas(*events, chat=chat) == [
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
    ]
    assert b'"finish_reason":"function_call"' in stream(*events, chat=chat)


def test_a_foreign_thought_is_told_with_its_signature_at_its_end() -> None:
    assert deltas(
        BlockStart(0, Reasoning()),
        Delta(0, "t"),
        Delta(0, "u"),
        Signature(0, "si"),
        Signature(0, "gn"),
        BlockStop(0),
    ) == [
        {"reasoning_content": "t"},
        {"reasoning_content": "u"},
        {
            "reasoning_details": [
                {"type": "reasoning.text", "index": 0, "text": "tu", "signature": "sign"}
            ]
        },
    ]


def test_an_encrypted_thought_is_told_whole() -> None:
    entry = {"type": "reasoning.encrypted", "index": 0, "data": "d"}
    events = (BlockStart(0, Reasoning()), Signature(0, data="d"), BlockStop(0))
    assert deltas(*events) == [{"reasoning_details": [entry]}]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Thought(member="reasoning"), {"reasoning": "t"}),
        (Thought(member="reasoning_content"), {"reasoning_content": "t"}),
        (
            Thought(member="reasoning", detail={"type": "reasoning.text", "index": 2}),
            {
                "reasoning": "t",
                "reasoning_details": [{"type": "reasoning.text", "index": 2, "text": "t"}],
            },
        ),
        (
            Thought(detail={"type": "reasoning.summary"}, summary=True),
            {"reasoning_details": [{"type": "reasoning.summary", "summary": "t"}]},
        ),
        (
            Thought(member="thinking"),
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}]},
        ),
    ],
)
def test_thoughts_of_this_dialect_stand_where_they_stood(part: Thought, expected: JSON) -> None:
    assert deltas(BlockStart(0, part), Delta(0, "t"), BlockStop(0), start=OURS) == [expected]


def test_a_calls_signature_is_told_in_its_extra_content() -> None:
    found = deltas(BlockStart(0, ToolCall("a", "f")), Signature(0, "s"), BlockStop(0))
    assert found[-1]["tool_calls"][0] == {
        "index": 0,
        "function": {"arguments": ""},
        "extra_content": {"google": {"thought_signature": "s"}},
    }


def test_a_calls_signature_is_nothing_to_clients_of_the_old_functions() -> None:
    body = {"model": "m", "messages": [], "functions": [{"name": "f"}]}
    chat = FACES["chat"].parse_request(body, Envelope("m"))
    events = BlockStart(0, ToolCall("a", "f")), Signature(0, "s"), BlockStop(0)
    assert all("tool_calls" not in delta for delta in deltas(*events, chat=chat))


def test_refusals_and_media() -> None:
    image = Media("image", media_type="image/png")
    assert deltas(
        BlockStart(0, Refusal("")),
        Delta(0, "no"),
        BlockStart(1, image),
        Delta(1, "AA"),
        Delta(1, "=="),
        BlockStop(1),
        BlockStart(2, Media("audio", file_id="i")),
        Delta(2, "AA=="),
        BlockStop(2),
    ) == [
        {"refusal": "no"},
        {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
        {"audio": {"id": "i", "data": "AA=="}},
    ]


def test_a_foreign_citation_points_at_its_text() -> None:
    cited = {"url": "u", "title": "t"}
    found = deltas(
        BlockStart(0, Text("")),
        Delta(0, "abc"),
        BlockStop(0),
        BlockStart(1, Text("")),
        Delta(1, "de"),
        Annotation(1, cited),
        Annotation(1, {"file_id": "f"}),
        BlockStop(1),
    )
    place = {"url": "u", "title": "t", "start_index": 3, "end_index": 5}
    assert found[-1] == {"annotations": [{"type": "url_citation", "url_citation": place}]}


def test_what_only_this_dialect_knows_reaches_its_clients_alone() -> None:
    events: tuple[Event, ...] = (
        BlockStart(0, Opaque("openai-chat", {"type": "reference"})),
        BlockStop(0),
        BlockStart(1, Text("")),
        Delta(1, "a", extra={"delta": {"channel": "final"}, "seed": 3}),
        Aside("openai-chat", {"time_info": 1, "choices": [{"index": 0, "z": 2}]}),
        Finish("stop", native_stop="eos", extra={"native_finish_reason": "x"}),
    )
    start = replace(OURS, extra={"system_fingerprint": "fp", "x_groq": {"id": 1}})
    text = stream(*events, start=start).decode()
    for member in ("reference", "channel", "seed", "time_info", '"z"', "native_finish", "x_groq"):
        assert member in text
    assert '"finish_reason":"eos"' in text
    alien = stream(
        BlockStart(0, Opaque("other", {"odd": 1})),
        Delta(0, "a"),
        BlockStart(1, Text("", extra={"odd": 1})),
        Delta(1, "a", extra={"odd": 1}),
        Aside("other", {"odd": 1}),
        Finish("stop", native_stop="end_turn", extra={"odd": 1}),
        start=replace(FOREIGN, extra={"odd": 1}),
    )
    assert b"odd" not in alien
    assert b"end_turn" not in alien


def test_fingerprints_are_in_every_chunk() -> None:
    start = replace(OURS, service_tier="default", extra={"system_fingerprint": "fp"})
    out = stream(BlockStart(0, Text("")), Delta(0, "a"), Finish("stop"), start=start)
    for chunk in chunks_of(out):
        assert (chunk["system_fingerprint"], chunk["service_tier"]) == ("fp", "default")


def test_several_choices_have_a_role_and_a_finish_each() -> None:
    out = stream(
        BlockStart(0, Text(""), 0),
        BlockStart(1, Text(""), 1),
        Delta(1, "b"),
        Delta(0, "a"),
        Finish("stop", 0),
        Finish("length", 1),
    )
    choices = [choice for chunk in chunks_of(out) for choice in chunk["choices"]]
    for index, word in ((0, "stop"), (1, "length")):
        own = [choice for choice in choices if choice["index"] == index]
        assert own[0]["delta"]["role"] == "assistant"
        assert own[-1]["finish_reason"] == word


def test_log_probabilities_stand_beside_their_text() -> None:
    out = stream(BlockStart(0, Text("")), Delta(0, "a", logprobs={"content": [1]}))
    choice = chunks_of(out)[1]["choices"][0]
    assert (choice["delta"], choice["logprobs"]) == ({"content": "a"}, {"content": [1]})


def test_a_failure_is_an_event_that_the_libraries_raise() -> None:
    error = ApiError(529, "busy", code="overloaded", kind="overloaded_error")
    expected = {"message": "busy", "type": "server_error", "param": None, "code": "overloaded"}
    renderer = FACES["chat"].stream_renderer(CHAT, STAMP)
    out = renderer.render([FOREIGN, Failed(error)])
    assert chunks_of(out)[-1] == {"error": expected}
    assert chunks_of(renderer.fail(error)) == [{"error": expected}]


def test_closing_finishes_what_was_not_finished() -> None:
    out = stream(BlockStart(0, ToolCall("a", "f")), BlockStop(0))
    assert chunks_of(out)[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_halves_of_a_character_are_joined_by_the_client() -> None:
    found = deltas(BlockStart(0, Text("")), Delta(0, "\ud83d"), Delta(0, "\ude00"))
    joined = json.loads(json.dumps("".join(delta["content"] for delta in found)))
    assert joined == "\U0001f600"
