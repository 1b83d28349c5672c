"""What providers were asked and answered survives the typed middle, recording by recording."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from oneapi.dialects.base_gather import gather, replay
from oneapi.dialects.openai import CHAT_PROVIDER, FACES
from oneapi.ir import BlockStart, Delta, Envelope, Event, Failed, Start
from tests.dialects.openai_chats import (
    HINTS,
    STAMP,
    Chat,
    bare,
    cases,
    chunks_of,
    folded,
    parse_stream,
    render_stream,
    without_nulls,
)


def has_request(chat: Chat) -> bool:
    body = chat.request
    return isinstance(body, dict) and ("messages" in body or chat.operation == "completions")


ASKED = cases(has_request)
WHOLE = cases(lambda c: c.status == 200 and not c.sse)
STREAMED = cases(lambda c: bool(c.sse))
REFUSED = cases(lambda c: c.status != 200)


@pytest.mark.parametrize("recording", ASKED)
def test_a_recorded_request_comes_out_as_it_went_in(recording: Chat) -> None:
    face = FACES[recording.operation]
    model = recording.request.get("model", "m")
    chat = face.parse_request(recording.request, Envelope(model))
    expected = {**recording.request, "model": model}
    assert face.render_request(chat) == expected
    if recording.operation == "chat":
        outgoing = CHAT_PROVIDER.render_request(chat, model, HINTS)
        assert json.loads(outgoing.body) == expected


@pytest.mark.parametrize("recording", ASKED)
def test_a_recorded_request_means_the_same_when_it_is_written_anew(recording: Chat) -> None:
    if recording.operation != "chat":
        pytest.skip("completions are always written as they came")
    face = FACES["chat"]
    first = bare(recording.chat())
    again = bare(face.parse_request(face.render_request(first), Envelope("m")))
    assert again == first


@pytest.mark.parametrize("recording", WHOLE)
def test_a_recorded_answer_comes_out_as_it_went_in(recording: Chat) -> None:
    reply = CHAT_PROVIDER.parse_response(recording.raw, HINTS, STAMP)
    rendered = FACES[recording.operation].render_response(reply, recording.chat(), STAMP)
    expected = without_nulls(recording.body)
    # What is written although the recorded server left it out, or wrote it in a way of its own.
    expected["object"] = "text_completion" if recording.operation != "chat" else "chat.completion"
    expected["created"] = expected["created"] or STAMP.created
    for choice in expected["choices"]:
        if recording.operation == "chat":
            message = choice.setdefault("message", {"role": "assistant"})
            if isinstance(message.get("content"), dict):
                message["content"] = json.dumps(message["content"], separators=(",", ":"))
            for call in message.get("tool_calls", ()):
                call.setdefault("type", "function")
    assert without_nulls(json.loads(rendered)) == expected


@pytest.mark.parametrize("recording", WHOLE)
def test_a_recorded_answer_is_its_own_replay(recording: Chat) -> None:
    reply = CHAT_PROVIDER.parse_response(recording.raw, HINTS, STAMP)
    assert gather(replay(reply), reply.source) == reply


@pytest.mark.parametrize("recording", STREAMED)
def test_a_recorded_stream_folds_to_what_it_folded_to(recording: Chat) -> None:
    events = parse_stream(recording.sse)
    if any(isinstance(event, Failed) for event in events):
        pytest.skip("the provider broke it off: see the next test")
    out = render_stream(events, recording.chat(), recording.operation)
    expected = folded(chunks_of(recording.sse))
    expected["object"] = "chat.completion.chunk"
    expected["created"] = expected.get("created") or STAMP.created
    expected["id"] = expected["id"] or f"chatcmpl-{STAMP.id}"
    if "usage" not in expected and "usage" in expected.get("x_groq", {}):
        expected["usage"] = expected["x_groq"]["usage"]
    assert folded(chunks_of(out)) == expected
    assert out.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("recording", STREAMED)
def test_a_rendered_stream_is_read_as_the_recorded_one(recording: Chat) -> None:
    events = parse_stream(recording.sse)
    again = parse_stream(render_stream(events, recording.chat(), recording.operation))
    assert comparable(again) == comparable(events)


@pytest.mark.parametrize("recording", STREAMED)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 61])
def test_events_do_not_depend_on_how_a_recorded_stream_is_cut(recording: Chat, size: int) -> None:
    assert comparable(parse_stream(recording.sse, size)) == comparable(parse_stream(recording.sse))


@pytest.mark.parametrize("recording", STREAMED)
def test_a_recorded_stream_reads_the_same_with_other_ends_of_line(recording: Chat) -> None:
    events = comparable(parse_stream(recording.sse))
    crlf = recording.sse.replace(b"\n", b"\r\n")
    assert comparable(parse_stream(crlf, 5)) == events
    assert comparable(parse_stream(recording.sse.replace(b"\n", b"\r"), 5)) == events


@pytest.mark.parametrize("recording", REFUSED)
def test_a_recorded_refusal_says_why(recording: Chat) -> None:
    message, code, kind = CHAT_PROVIDER.parse_error(recording.status, [], recording.raw)
    assert message
    assert not message.startswith("the provider answered")
    assert all(isinstance(word, str) for word in (code, kind))


def comparable(events: list[Event]) -> list[object]:
    """Events by what they say. The id and date of an answer that has none are the gateway's own;
    an error is told by its words, and ends a stream in place of what would follow.
    """
    failed = any(isinstance(event, Failed) for event in events)
    found: list[object] = []
    for event in events:
        if isinstance(event, Failed):
            found.append((event.error.message, event.error.code))
        elif isinstance(event, Start):
            id = event.id.replace(f"chatcmpl-{STAMP.id}", "")
            created = 0 if event.created == STAMP.created else event.created
            found.append(replace(event, id=id, created=created))
        elif not failed or isinstance(event, (BlockStart, Delta)):
            found.append(event)
    return found
