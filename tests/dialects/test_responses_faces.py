"""Chats that follow a stored answer, and compactions, as a client of the dialect sees them."""

from __future__ import annotations

import json
from typing import Any

from oneapi.dialects import responses
from oneapi.dialects.base import Stamp
from oneapi.dialects.base_gather import replay
from oneapi.dialects.responses_shapes import unseal
from oneapi.errors import ApiError
from oneapi.ir import ChatResponse, Choice, Envelope, Reasoning, Text, ToolCall, Usage
from oneapi.wire.json import members

JSON = Any
FACE = responses.FACES["responses"]
STAMP = Stamp(id="00c0ffee")
TRIGGER = {"type": "compaction_trigger"}
REPLY = ChatResponse(
    id="x",
    model="m",
    choices=[Choice([Reasoning("Hm."), Text("They met."), ToolCall("c", "f", "{}")], "stop")],
    usage=Usage(input=5, output=3),
    source="openai-chat",
)


def body(**members: JSON) -> JSON:
    said = {"role": "user", "content": "Hello"}
    return {"model": "m", "input": [said, TRIGGER], "tools": [], **members}


def summary_of(item: JSON) -> str:
    note = unseal(item["encrypted_content"])
    assert note is not None
    return str(note["summary"])


def test_an_answer_says_which_one_it_follows() -> None:
    face = responses.FollowingFace(FACE, "resp_1")
    chat = face.parse_request({"model": "m", "input": "x"}, Envelope("m"))
    assert "previous_response_id" not in chat.extra
    told = json.loads(face.render_response(REPLY, chat, STAMP))
    assert told["previous_response_id"] == "resp_1"
    events = face.stream_renderer(chat, STAMP).render(replay(REPLY))
    assert b'"previous_response_id":"resp_1"' in events
    assert "previous_response_id" not in face.render_request(chat)


def test_a_trigger_asks_for_a_summary_instead() -> None:
    face = responses.TriggeredFace(FACE, "")
    chat = face.parse_request(body(), Envelope("m", stream=True))
    assert (chat.stream, chat.tools, len(chat.messages)) == (True, [], 2)
    told = json.loads(face.render_response(REPLY, chat, STAMP))
    (item,) = told["output"]
    assert (item["type"], summary_of(item)) == ("compaction", "They met.")
    assert told["usage"]["input_tokens"] == 5


def test_a_streamed_summary_is_one_item() -> None:
    face = responses.TriggeredFace(FACE, "")
    chat = face.parse_request(body(), Envelope("m", stream=True))
    renderer = face.stream_renderer(chat, STAMP)
    out = b"".join(renderer.render([event]) for event in replay(REPLY)) + renderer.close()
    events = [json.loads(line[6:]) for line in out.split(b"\n") if line.startswith(b"data: ")]
    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.output_item.done",
        "response.completed",
    ]
    assert summary_of(events[3]["item"]) == "They met."
    assert [event["sequence_number"] for event in events] == [0, 1, 2, 3, 4]


def test_a_summary_that_fails_ends_as_every_stream_does() -> None:
    face = responses.TriggeredFace(FACE, "")
    renderer = face.stream_renderer(face.parse_request(body(), Envelope("m")), STAMP)
    out = renderer.fail(ApiError(502, "gone", code="upstream_broke"))
    assert b"response.failed" in out


def test_only_a_trigger_at_the_end_counts() -> None:
    def asks(given: JSON) -> bool:
        raw = json.dumps({"input": given}).encode()
        return responses.is_compaction(members(raw))

    assert asks([{"role": "user", "content": "x"}, TRIGGER])
    assert not asks([TRIGGER, {"role": "user", "content": "x"}])
    assert not asks("compaction_trigger")
    assert not asks([])
