"""The mock provider, as OpenAI's own client sees it and as a carrier."""

from __future__ import annotations

import asyncio
import json
import math
import struct
import wave
from base64 import b64decode
from collections.abc import AsyncIterator
from io import BytesIO
from time import monotonic
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel

from oneapi.estimate import tokens
from oneapi.net.base import Call, CarrierError, Origin, Reply, Timeouts
from oneapi.providers.mock import MockCarrier, MockOptions, ScriptedCall, ScriptedError
from oneapi.providers.mock.base import pieces
from oneapi.providers.mock.schema import instance
from tests.providers.bridge import sdk

pytestmark = pytest.mark.anyio

HERE = Origin("http", "mock.invalid", 80)
JSON_TYPE = (b"content-type", b"application/json")
HELLO: list[Any] = [{"role": "user", "content": "Hello there"}]
TOOLS: list[Any] = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
LOOK = MockOptions(tool_calls=(ScriptedCall("look", {"where": "under the bed"}),))


def call(path: str, body: bytes) -> Call:
    return Call(b"POST", path.encode(), (JSON_TYPE,), body)


def chat(**fields: object) -> Call:
    asked = {"model": "demo", "messages": HELLO, **fields}
    return call("/v1/chat/completions", json.dumps(asked).encode())


async def ask(carrier: MockCarrier, asked: Call) -> tuple[Reply, bytes]:
    reply = await carrier.send(HERE, asked, Timeouts())
    return reply, await reply.read(1 << 20)


async def chunks(carrier: MockCarrier, **fields: Any) -> list[ChatCompletionChunk]:
    stream = await sdk(carrier).chat.completions.create(
        model="demo", messages=HELLO, stream=True, **fields
    )
    return [chunk async for chunk in stream]


async def test_a_chat_repeats_what_was_said_and_counts_it() -> None:
    answer = await sdk(MockCarrier()).chat.completions.create(model="x", messages=HELLO)
    text = answer.choices[0].message.content or ""
    assert text.startswith("You said: “Hello there”.")
    assert answer.model == "x"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == tokens(text)
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + tokens(text)


async def test_the_same_question_gets_the_same_bytes() -> None:
    carrier = MockCarrier()
    assert (await ask(carrier, chat()))[1] == (await ask(carrier, chat()))[1]
    assert (await ask(carrier, chat()))[1] != (await ask(carrier, chat(n=2)))[1]


async def test_a_stream_says_what_the_plain_answer_says() -> None:
    carrier = MockCarrier()
    plain = await sdk(carrier).chat.completions.create(model="demo", messages=HELLO)
    found = await chunks(carrier)
    assert found[0].choices[0].delta.role == "assistant"
    text = "".join(c.choices[0].delta.content or "" for c in found)
    assert text == plain.choices[0].message.content
    assert found[-1].choices[0].finish_reason == "stop"
    assert all(c.usage is None for c in found)


async def test_a_stream_tells_its_usage_where_it_was_asked() -> None:
    found = await chunks(MockCarrier(), stream_options={"include_usage": True})
    assert found[-1].choices == []
    assert found[-1].usage is not None
    assert found[-1].usage.completion_tokens > 0


async def test_a_stream_ends_with_done() -> None:
    reply, body = await ask(MockCarrier(), chat(stream=True))
    assert (b"content-type", b"text/event-stream") in reply.headers
    assert body.endswith(b"\n\ndata: [DONE]\n\n")


@pytest.mark.parametrize("count", [0, 1, 7, 200])
async def test_an_answer_is_as_long_as_told(count: int) -> None:
    found = await chunks(MockCarrier(MockOptions(tokens=count)))
    assert len([c for c in found if c.choices[0].delta.content]) == count


async def test_the_requests_own_limit_cuts_and_says_so() -> None:
    answer = await sdk(MockCarrier()).chat.completions.create(
        model="demo", messages=HELLO, max_tokens=3
    )
    assert answer.choices[0].finish_reason == "length"
    assert len(pieces(answer.choices[0].message.content or "")) == 3


async def test_a_stop_word_ends_the_answer() -> None:
    carrier = MockCarrier(MockOptions(text="one two three"))
    answer = await sdk(carrier).chat.completions.create(model="demo", messages=HELLO, stop=" two")
    assert answer.choices[0].message.content == "one"


async def test_several_answers_are_several_choices() -> None:
    answer = await sdk(MockCarrier()).chat.completions.create(model="d", messages=HELLO, n=3)
    assert [c.index for c in answer.choices] == [0, 1, 2]


async def test_offered_tools_are_called_as_scripted() -> None:
    answer = await sdk(MockCarrier(LOOK)).chat.completions.create(
        model="demo", messages=HELLO, tools=TOOLS
    )
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"
    assert json.loads(calls[0].function.arguments) == {"where": "under the bed"}
    assert answer.choices[0].finish_reason == "tool_calls"


async def test_a_streamed_tool_call_comes_in_fragments_that_join() -> None:
    found = await chunks(MockCarrier(LOOK), tools=TOOLS)
    deltas = [t for c in found for t in c.choices[0].delta.tool_calls or []]
    arguments = "".join(t.function.arguments or "" for t in deltas if t.function)
    assert json.loads(arguments) == {"where": "under the bed"}
    assert len(deltas) > 2
    assert [bool(t.id) for t in deltas] == [True, *[False] * (len(deltas) - 1)]


async def test_no_tool_is_called_where_none_is_offered_or_its_result_came() -> None:
    client = sdk(MockCarrier(LOOK))
    answer = await client.chat.completions.create(model="demo", messages=HELLO)
    assert answer.choices[0].message.tool_calls is None
    after: list[Any] = [*HELLO, {"role": "tool", "tool_call_id": "x", "content": "dust"}]
    answer = await client.chat.completions.create(model="demo", messages=after, tools=TOOLS)
    assert answer.choices[0].message.tool_calls is None


async def test_a_schema_is_kept() -> None:
    class Place(BaseModel):
        name: str
        distance: float
        tags: list[str]
        inner: Place | None
        parts: list[Place]

    answer = await sdk(MockCarrier()).chat.completions.parse(
        model="demo", messages=HELLO, response_format=Place
    )
    assert isinstance(answer.choices[0].message.parsed, Place)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "minLength": 6}, "mock.."),
        ({"enum": ["a", "b"]}, "a"),
        ({"const": 7}, 7),
        ({"type": ["integer", "null"], "minimum": 4}, 4),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, [True, True]),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"type": "null"}}}, None),
        ({"$ref": "#"}, None),
        (None, None),
    ],
)
async def test_a_schemas_smallest_value(schema: object, value: object) -> None:
    assert instance(schema) == value


async def test_parts_of_a_message_are_read() -> None:
    parts: list[Any] = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    messages: list[Any] = [{"role": "user", "content": parts}]
    answer = await sdk(MockCarrier()).chat.completions.create(model="demo", messages=messages)
    assert "What is this?" in (answer.choices[0].message.content or "")


async def test_completions_answer_every_prompt() -> None:
    answer = await sdk(MockCarrier()).completions.create(model="demo", prompt=["one", "two"])
    assert ["“one”" in answer.choices[0].text, "“two”" in answer.choices[1].text] == [True, True]


async def test_completions_are_streamed_too() -> None:
    client = sdk(MockCarrier())
    stream = await client.completions.create(
        model="demo", prompt="one", stream=True, stream_options={"include_usage": True}
    )
    found = [chunk async for chunk in stream]
    plain = await client.completions.create(model="demo", prompt="one")
    assert "".join(c.choices[0].text for c in found[:-1]) == plain.choices[0].text
    assert found[-1].usage is not None


async def test_edits_answer() -> None:
    asked = {"model": "demo", "input": "teh", "instruction": "Mend"}
    _, body = await ask(MockCarrier(), call("/v1/edits", json.dumps(asked).encode()))
    assert "Mend teh" in json.loads(body)["choices"][0]["text"]


async def test_embeddings_are_unit_vectors_in_both_encodings() -> None:
    client = sdk(MockCarrier())
    # Without a word the SDK asks for base64 and decodes it.
    answer = await client.embeddings.create(model="e", input=["a b", "b a", "c"], dimensions=64)
    floats = await client.embeddings.create(
        model="e", input="a b", dimensions=64, encoding_format="float"
    )
    vectors = [entry.embedding for entry in answer.data]
    assert math.isclose(sum(x * x for x in vectors[0]), 1.0, rel_tol=1e-5)
    assert vectors[0] == pytest.approx(floats.data[0].embedding, abs=1e-6)
    assert vectors[0] == pytest.approx(vectors[1], abs=1e-6)
    assert vectors[0] != pytest.approx(vectors[2], abs=1e-2)
    assert answer.usage.prompt_tokens > 0


async def test_an_embedding_is_little_endian_float32() -> None:
    asked = {"model": "e", "input": [1, 2], "encoding_format": "base64", "dimensions": 4}
    _, body = await ask(MockCarrier(), call("/v1/embeddings", json.dumps(asked).encode()))
    raw = b64decode(json.loads(body)["data"][0]["embedding"])
    assert math.isclose(sum(x * x for x in struct.unpack("<4f", raw)), 1.0, rel_tol=1e-5)


async def test_moderations_flag_nothing() -> None:
    answer = await sdk(MockCarrier()).moderations.create(input=["a", "b"])
    assert [r.flagged for r in answer.results] == [False, False]


async def test_images_are_pictures() -> None:
    client = sdk(MockCarrier())
    made = await client.images.generate(prompt="x", n=2, response_format="b64_json")
    edited = await client.images.edit(prompt="x", image=("a.png", b"1", "image/png"), n=2)
    assert made.data is not None
    assert edited.data is not None
    assert [b64decode(d.b64_json or "")[:8] for d in made.data] == [b"\x89PNG\r\n\x1a\n"] * 2
    assert [(d.url or "")[:22] for d in edited.data] == ["data:image/png;base64,"] * 2


async def test_speech_is_a_sound() -> None:
    said = await sdk(MockCarrier()).audio.speech.create(model="t", voice="alloy", input="Hello")
    with wave.open(BytesIO(said.content)) as sound:
        assert sound.getnframes() > 0


@pytest.mark.parametrize("form", ["json", "text", "srt", "vtt", "verbose_json"])
async def test_transcripts_come_in_every_form(form: Any) -> None:
    carrier = MockCarrier(MockOptions(text="It rains."))
    client, sound = sdk(carrier), ("a.wav", b"x" * 40_000, "audio/wav")
    answer: Any = await client.audio.transcriptions.create(
        model="w", file=sound, response_format=form
    )
    text = answer if isinstance(answer, str) else answer.text
    assert "It rains." in text
    assert ("-->" in text) is (form in ("srt", "vtt"))


async def test_a_transcript_is_streamed() -> None:
    stream = await sdk(MockCarrier(MockOptions(text="It rains."))).audio.transcriptions.create(
        model="w", file=("a.wav", b"x", "audio/wav"), stream=True
    )
    events = [event async for event in stream]
    assert events[-1].type == "transcript.text.done"


async def test_models_are_listed() -> None:
    assert [m.id async for m in sdk(MockCarrier()).models.list()] == ["demo"]


async def test_a_scripted_error_has_its_status_code_and_text() -> None:
    told = MockOptions(error=ScriptedError(429, "rate_limit_exceeded", "Slow down"))
    with pytest.raises(openai.RateLimitError, match="Slow down") as caught:
        await sdk(MockCarrier(told)).chat.completions.create(model="demo", messages=HELLO)
    assert caught.value.code == "rate_limit_exceeded"


async def test_errors_come_every_so_often_and_so_many_times() -> None:
    carrier = MockCarrier(MockOptions(error=ScriptedError(500, every=2, count=2)))
    statuses = [(await ask(carrier, chat()))[0].status for _ in range(8)]
    assert statuses == [200, 500, 200, 500, 200, 200, 200, 200]


async def test_a_stream_is_cut_after_so_many_events() -> None:
    reply = await MockCarrier(MockOptions(cut_after=3)).send(HERE, chat(stream=True), Timeouts())
    seen = [await reply.chunk() for _ in range(3)]
    assert all(part.startswith(b"data: ") for part in seen)
    with pytest.raises(CarrierError) as caught:
        await reply.chunk()
    assert caught.value.reason == "closed"


async def test_a_plain_answer_is_not_cut() -> None:
    assert (await ask(MockCarrier(MockOptions(cut_after=0)), chat()))[0].status == 200


async def test_latency_and_pauses_take_their_time() -> None:
    started = monotonic()
    carrier = MockCarrier(MockOptions(latency_ms=30, chunk_ms=5, tokens=4))
    await ask(carrier, chat(stream=True))
    assert monotonic() - started >= 0.03 + 7 * 0.005


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (MockOptions(latency_ms=10_000), "first_byte_timeout"),
        (MockOptions(chunk_ms=10_000), "idle_timeout"),
    ],
)
async def test_a_slow_provider_meets_the_channels_time_outs(
    options: MockOptions, reason: str
) -> None:
    limits = Timeouts(first_byte=0.01, idle=0.01)

    async def first_chunk() -> bytes:
        reply = await MockCarrier(options).send(HERE, chat(stream=True), limits)
        return await reply.chunk()

    with pytest.raises(CarrierError) as caught:
        await first_chunk()
    assert caught.value.reason == reason


async def test_waiting_can_be_cancelled() -> None:
    carrier = MockCarrier(MockOptions(latency_ms=60_000))
    task = asyncio.create_task(carrier.send(HERE, chat(), Timeouts()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_body_may_come_in_pieces() -> None:
    async def parts() -> AsyncIterator[bytes]:
        asked = chat()
        assert isinstance(asked.body, bytes)
        yield asked.body[:10]
        yield asked.body[10:]

    asked = Call(b"POST", b"/v1/chat/completions", (JSON_TYPE,), parts())
    assert (await ask(MockCarrier(), asked))[0].status == 200


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/chat/completions", b"{", 400),
        ("/v1/chat/completions", b"[]", 400),
        ("/v1/chat/completions", b"{}", 400),
        ("/v1/chat/completions", b'{"messages": [1]}', 400),
        ("/v1/chat/completions", b'{"messages": [], "stop": 5, "n": "x"}', 200),
        (
            "/v1/chat/completions",
            b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
            400,
        ),
        ("/v1/embeddings", b'{"input": {}}', 400),
        ("/v1/embeddings", b'{"input": "x", "dimensions": 0}', 400),
        ("/v1/completions", b'{"prompt": {}}', 400),
        ("/v1/audio/speech", b"{}", 400),
        ("/v1/audio/transcriptions", b"{}", 400),
        ("/v1/nowhere", b"{}", 404),
    ],
)
async def test_what_makes_no_sense_is_refused_in_openais_shape(
    path: str, body: bytes, status: int
) -> None:
    reply, answer = await ask(MockCarrier(), call(path, body))
    assert reply.status == status
    assert ("error" in json.loads(answer)) is (status != 200)


async def test_options_are_read_from_a_channels_table() -> None:
    table = {
        "latency_ms": 1,
        "tool_calls": [{"name": "look", "arguments": {"a": 1}}],
        "error": {"status": 500, "code": None, "message": None, "every": 2, "count": 1},
    }
    options = MockOptions.from_mapping(table)
    assert options.tool_calls == (ScriptedCall("look", {"a": 1}),)
    assert options.error == ScriptedError(500, every=2, count=1)


@pytest.mark.parametrize("text", ["Hello  there,\n\nyou. ", "你好，世界 mixed テスト", "", " \n"])
async def test_pieces_join_to_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text
