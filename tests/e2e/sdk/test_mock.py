"""The current OpenAI library against the built-in demo provider: no network, no key, no bill."""

from __future__ import annotations

import base64
import json
import wave
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from openai import OpenAI
from pydantic import BaseModel

from tests.e2e.harness import KEY, Running, gateway, people
from tests.e2e.sdk.test_chat import HELLO, PARTS

TOML = (
    '[channels.demo]\ntype = "mock"\nmodels = ["demo"]\n'
    '[channels.tools]\ntype = "mock"\nmodels = ["tools"]\n'
    "[channels.tools.mock]\ntool_calls = [\n"
    '  { name = "weather", arguments = { city = "Rome" } },\n'
    '  { name = "clock", arguments = { zone = "CET", hours = 24 } },\n]\n'
    "[prices.demo]\ninput = 1\noutput = 3\n"
)
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    for name in ("weather", "clock")
]
SOUND = b"RIFF" + bytes(32_000)


class Point(BaseModel):
    name: str
    x: int


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with gateway(tmp_path_factory.mktemp("mock"), TOML + people()) as found:
        yield found


@pytest.fixture(scope="module")
def client(running: Running) -> Iterator[OpenAI]:
    with OpenAI(api_key=KEY, base_url=f"{running.base_url}/v1", max_retries=0) as found:
        yield found


def newest(running: Running) -> dict[str, Any]:
    return next(iter(running.records(limit=1, newest_first=True)))


def test_a_chat_is_the_same_every_time_and_paid_for(client: OpenAI, running: Running) -> None:
    whole = [client.chat.completions.create(model="demo", messages=HELLO) for _ in range(2)]
    assert whole[0].to_dict() == whole[1].to_dict()
    used = whole[0].usage
    assert used is not None
    record = newest(running)
    assert (record["input"], record["output"]) == (used.prompt_tokens, used.completion_tokens)
    assert record["cost_nanousd"] == 1_000 * used.prompt_tokens + 3_000 * used.completion_tokens


def test_a_stream_says_what_the_plain_answer_says(client: OpenAI) -> None:
    plain = client.chat.completions.create(model="demo", messages=HELLO)
    chunks = client.chat.completions.create(
        model="demo", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    *parts, last = list(chunks)
    text = "".join(c.choices[0].delta.content or "" for c in parts)
    assert text == plain.choices[0].message.content
    assert last.usage is not None
    assert last.usage == plain.usage


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_tools_are_called_in_parallel(client: OpenAI, stream: bool) -> None:
    if stream:
        with client.chat.completions.stream(model="tools", messages=HELLO, tools=TOOLS) as helper:
            choice: Any = helper.until_done().get_final_completion().choices[0]
    else:
        found = client.chat.completions.create(model="tools", messages=HELLO, tools=TOOLS)
        choice = found.choices[0]
    calls = choice.message.tool_calls
    assert [(c.function.name, json.loads(c.function.arguments)) for c in calls] == [
        ("weather", {"city": "Rome"}),
        ("clock", {"zone": "CET", "hours": 24}),
    ]
    assert len({c.id for c in calls}) == 2
    assert choice.finish_reason == "tool_calls"


def test_a_schema_is_answered_with_something_that_fits_it(client: OpenAI) -> None:
    found = client.chat.completions.parse(model="demo", messages=HELLO, response_format=Point)
    assert isinstance(found.choices[0].message.parsed, Point)


def test_limits_and_choices_are_kept(client: OpenAI) -> None:
    found = client.chat.completions.create(
        model="demo", messages=[{"role": "user", "content": PARTS}], n=3, max_tokens=4
    )
    assert [c.index for c in found.choices] == [0, 1, 2]
    assert {c.finish_reason for c in found.choices} == {"length"}


def test_models_vectors_completions_and_moderations(client: OpenAI, running: Running) -> None:
    assert {m.id for m in client.models.list()} == {"demo", "tools"}
    packed = client.embeddings.create(model="demo", input=["a cat", "a dog"])
    plain = client.embeddings.create(model="demo", input="a cat", encoding_format="float")
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert packed.data[1].embedding != packed.data[0].embedding
    assert client.completions.create(model="demo", prompt="Tell").choices[0].text
    assert not client.moderations.create(model="demo", input="x").results[0].flagged
    assert newest(running)["endpoint"] == "moderations"


def test_pictures_are_made_and_edited(client: OpenAI) -> None:
    made = client.images.generate(model="demo", prompt="a cat", response_format="b64_json")
    edited = client.images.edit(model="demo", prompt="a dog", image=("a.png", b"x"))
    assert made.data is not None
    assert base64.b64decode(made.data[0].b64_json or "").startswith(b"\x89PNG")
    assert edited.data is not None
    assert (edited.data[0].url or "").startswith("data:image/png;base64,")


def test_speech_is_sound_and_sound_is_transcribed(client: OpenAI, running: Running) -> None:
    speech = client.audio.speech.create(model="demo", voice="alloy", input="Hello")
    with wave.open(BytesIO(speech.content)) as sound:
        assert sound.getnframes() > 0
    assert newest(running)["characters"] == 5
    heard = client.audio.transcriptions.create(model="demo", file=("a.wav", SOUND))
    assert str(len(SOUND)) in heard.text
    assert newest(running)["audio_ms"] == 2_000
    text: Any = client.audio.transcriptions.create(
        model="demo", file=("a.wav", SOUND), response_format="text"
    )
    assert text.strip() == heard.text
    pieces = client.audio.transcriptions.create(model="demo", file=("a.wav", SOUND), stream=True)
    assert list(pieces)[-1].to_dict()["text"] == heard.text
